//! Tests of the cache: whatever is edited, a compile that remembers comes to the same as one that does not.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop_assert_eq};
use proptest::test_runner::{Config, TestRunner};

use super::memory::Memory;
use super::{Cache, FILE_NAME};
use crate::compile::{CompileOptions, Tables, compile, lineage};
use crate::diagnostic::Style;
use crate::workspace::{Workspace, WorkspaceOptions};

const MODELS: usize = 7;

/// Bodies of models; `$p` and `$q` are refs of two others, `$h` the name of another without `ref`.
const BODIES: [&str; 18] = [
    "select * from $p",
    "select a, b + 1 as b from $p",
    "select {{ twice('a') }} as a, b from $p",
    "select count(*) as n, a from $p group by a",
    "select p.a, q.b from $p as p join $q as q using (a)",
    "select nope from $p",
    "selec a from $p",
    "select * from $h",
    "select {% for c in adapter.get_columns_in_relation($r) %}{{ c.name }} as x_{{ c.name }}, {% endfor %}1 as a, 2 as b from $p",
    "{% set found = run_query(\"select table_name, column_name from information_schema.columns order by all\") %}\nselect {{ found.rows | length if execute else 0 }} as a, 1 as b from $p",
    "{{ config(materialized='ephemeral') }} select a, b from $p",
    "select a{% if var('wide') %}, b{% endif %} from $p",
    "select * from {{ source('app', 'unknown') }}",
    "{{ log('hello from ' ~ this.name, info=true) }}select a, a as b from $p",
    "select *, 'x;y' as \"q;\" from $p",
    "pivot $p on b using sum(a)",
    "select a, a, struct_pack(a := a) as s, [a] as b from $p",
    "select * from query_table('m0')",
];

const SOURCES: [&str; 4] = [
    "[{name: a, data_type: bigint}, {name: b, data_type: integer}]",
    "[{name: a, data_type: varchar}, {name: b, data_type: integer}]",
    "[{name: a, data_type: bigint}, {name: b, data_type: integer}, {name: c, data_type: date}]",
    "[{name: a, data_type: bigint}]",
];

const MACROS: [&str; 3] = ["{{ x }} || {{ x }}", "{{ x }} + {{ x }}", "{{ nope() }}"];

const TESTS: [&str; 4] = [
    "[not_null]",
    "[unique, dbt_utils.accepted_range: {min_value: 0}]",
    "[accepted_values: {values: [x]}, relationships: {to: ref('m0'), field: a}]",
    "[dbt_utils.expression_is_true: {expression: '> 0', config: {where: 'b is not null'}}]",
];

const QUERIES: [&str; 3] = ["select a from main.m1", "select a, b from main.m2", "select n from main.m3"];

/// What the project is at some moment.
#[derive(Debug, Clone)]
struct Design {
    /// Body, and two parents counted back; no file where there is no body.
    models: Vec<Option<(usize, usize, usize)>>,
    source: usize,
    twice: usize,
    wide: bool,
    test: usize,
    query: usize,
}

#[derive(Debug, Clone)]
enum Edit {
    Model(usize, (usize, usize, usize)),
    Remove(usize),
    Source(usize),
    Macro(usize),
    Wide(bool),
    Test(usize),
    Query(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    (0..14_usize, any::<[u8; 4]>()).prop_map(|(kind, n)| {
        let n = n.map(usize::from);
        match kind {
            0..=6 => Edit::Model(n[0] % MODELS, (n[1] % BODIES.len(), n[2], n[3])),
            7 => Edit::Remove(1 + n[0] % (MODELS - 1)),
            8 | 9 => Edit::Source(n[0] % SOURCES.len()),
            10 => Edit::Macro(n[0] % MACROS.len()),
            11 => Edit::Wide(n[0] % 2 == 0),
            12 => Edit::Test(n[0] % TESTS.len()),
            _ => Edit::Query(n[0] % QUERIES.len()),
        }
    })
}

impl Design {
    fn new() -> Self {
        let models = (0..MODELS).map(|at| Some((at % 2, at, 0))).collect();
        Self { models, source: 0, twice: 1, wide: true, test: 0, query: 0 }
    }

    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Model(at, body) => self.models[*at] = Some(*body),
            Edit::Remove(at) => self.models[*at] = None,
            Edit::Source(source) => self.source = *source,
            Edit::Macro(twice) => self.twice = *twice,
            Edit::Wide(wide) => self.wide = *wide,
            Edit::Test(test) => self.test = *test,
            Edit::Query(query) => self.query = *query,
        }
    }

    fn write(&self, root: &Path) {
        let write = |path: &str, text: String| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder above it")).expect("a folder");
            std::fs::write(path, text).expect("a written file");
        };
        write(
            "kiln.yml",
            format!(
                "name: shop\nversion: \"1.0\"\nlayers: []\nvars: {{wide: {}}}\ntargets:\n  dev: {{type: duckdb, path: target/dev.duckdb}}\n",
                self.wide
            ),
        );
        write("macros/m.sql", format!("{{% macro twice(x) %}}{}{{% endmacro %}}", MACROS[self.twice]));
        let mut yaml = format!(
            "sources:\n  - name: app\n    schema: app\n    tables:\n      - {{name: orders, columns: {}}}\n      - name: unknown\nmodels:\n",
            SOURCES[self.source]
        );
        for (at, model) in self.models.iter().enumerate() {
            let path = format!("models/m{at}.sql");
            let Some((body, p, q)) = model else {
                let _ = std::fs::remove_file(root.join(path));
                continue;
            };
            // Only what stands before it, so that there is no cycle.
            let name = |back: usize| match (0..at).filter(|at| self.models[*at].is_some()).collect::<Vec<_>>()
            {
                before if before.is_empty() => "source('app', 'orders')".to_owned(),
                before => format!("ref('m{}')", before[back % before.len()]),
            };
            let sql = BODIES[*body]
                .replace("$p", &format!("{{{{ {} }}}}", name(*p)))
                .replace("$q", &format!("{{{{ {} }}}}", name(*q)))
                .replace("$r", &name(*p))
                .replace("$h", &format!("main.m{}", q % MODELS));
            write(&path, sql + "\n");
            writeln!(yaml, "  - {{name: m{at}, columns: [{{name: a, data_tests: {}}}]}}", TESTS[self.test])
                .expect("a text takes it");
        }
        yaml += &format!(
            "exposures:\n  - name: board\n    type: dashboard\n    owner: {{name: BI, email: bi@example.com}}\n    depends_on: [ref('m0')]\n    meta: {{queries: [\"{}\"]}}\n",
            QUERIES[self.query]
        );
        write("models/schema.yml", yaml);
    }
}

fn options(root: &Path, threads: usize) -> WorkspaceOptions {
    WorkspaceOptions { threads: NonZeroUsize::new(threads), ..WorkspaceOptions::new(root, "compile") }
}

/// All that a compile comes to, as text, and how many models it remembered.
fn outcome(root: &Path, threads: usize, cache: Option<&Cache>) -> (String, u64) {
    let (workspace, warnings) = match Workspace::open(&options(root, threads)) {
        Ok(opened) => opened,
        Err(error) => return (error.to_string(), 0),
    };
    let memory = cache.map(|cache| Arc::new(Memory::read(cache)));
    let tables = if cache.is_some() { Tables::Needed } else { Tables::All };
    let with = CompileOptions { memory, tables, ..CompileOptions::default() };
    let compiled = compile(&workspace, &with).unwrap_or_else(|error| panic!("{error}"));
    let mut text = warnings.render(Style::Plain) + &compiled.diagnostics.render(Style::Plain);
    for message in workspace.messages() {
        writeln!(text, "{:?} {}", message.level, message.text).expect("a text takes it");
    }
    for (id, model) in &compiled.models {
        writeln!(text, "{id}: {:?} {:?}\n{}", model.columns, model.unknown, model.sql)
            .expect("a text takes it");
    }
    for (id, sql) in &compiled.tests {
        writeln!(text, "{id}: {sql}").expect("a text takes it");
    }
    writeln!(text, "{:?}", compiled.sources).expect("a text takes it");
    let graph = lineage(&workspace, &compiled).unwrap_or_else(|error| panic!("{error}"));
    writeln!(text, "{:#}", graph.to_json()).expect("a text takes it");
    if let Some(cache) = cache {
        cache
            .store::<super::whole::Whole>(None, &compiled.notes.text(&compiled.base))
            .expect("a written cache");
    }
    (text, compiled.remembered)
}

#[test]
fn a_compile_that_remembers_comes_to_the_same() {
    let config = Config { cases: 12, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let edits = proptest::collection::vec(edit(), 1..12);
    let remembered = std::cell::Cell::new(0);
    TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
    .run(&edits, |edits| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = tempfile::tempdir().expect("a temporary folder");
        let cache = Cache::new(target.path(), "a binary");
        let mut design = Design::new();
        design.write(folder.path());
        outcome(folder.path(), 3, Some(&cache));
        for edit in &edits {
            design.apply(edit);
            design.write(folder.path());
            let (cold, _) = outcome(folder.path(), 1, None);
            let (warm, count) = outcome(folder.path(), 3, Some(&cache));
            prop_assert_eq!(&cold, &warm, "after {:?}", edit);
            remembered.set(remembered.get() + count);
        }
        Ok(())
    })
    .unwrap_or_else(|error| panic!("{error}"));
    assert!(remembered.get() > 100, "only {} models were remembered", remembered.get());
}

/// How many models are bound after something was written.
fn bound(root: &Path, cache: &Cache) -> u64 {
    let (_, remembered) = outcome(root, 2, Some(cache));
    MODELS as u64 - remembered
}

#[test]
fn a_child_is_bound_again_only_if_its_columns_change() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path(), "a binary");
    let root = folder.path();
    let mut design = Design::new();
    // A chain: each reads the one before.
    design.models = (0..MODELS).map(|at| Some((0, at.saturating_sub(1), 0))).collect();
    design.write(root);
    assert_eq!(bound(root, &cache), MODELS as u64);
    assert_eq!(bound(root, &cache), 0);
    // Another SQL with the same columns stops there.
    std::fs::write(root.join("models/m2.sql"), "select a, b from {{ ref('m1') }} where a > 1\n")
        .expect("written");
    assert_eq!(bound(root, &cache), 1);
    // Another type goes through all that read it.
    std::fs::write(root.join("models/m2.sql"), "select a::varchar as a, b from {{ ref('m1') }}\n")
        .expect("written");
    assert_eq!(bound(root, &cache), 5);
    // Another Kiln believes nothing of it.
    assert_eq!(bound(root, &Cache::new(root, "another binary")), MODELS as u64);
}

#[test]
fn a_cache_that_is_cut_off_or_damaged_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path(), "a binary");
    let root = folder.path().join("project");
    Design::new().write(&root);
    outcome(&root, 2, Some(&cache));
    let path = folder.path().join(FILE_NAME);
    let good = std::fs::read(&path).expect("a cache");
    let rest = cache.rest().expect("a sound cache");
    let put = |bytes: &[u8]| std::fs::write(&path, bytes).expect("written");
    for length in 0..good.len() {
        put(&good[..length]);
        assert_eq!(cache.rest(), None, "cut off at {length}");
    }
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        put(&bytes);
        assert!(cache.rest().is_none_or(|found| found == rest), "damaged at {at}");
    }
    put(b"\xff\xfe\0 something else");
    assert!(cache.rest().is_none() && cache.whole::<super::whole::Whole>().is_none());
    assert_eq!(bound(&root, &cache), MODELS as u64);
    assert_eq!(bound(&root, &cache), 0);
}
