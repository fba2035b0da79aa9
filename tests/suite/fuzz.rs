//! Anything at the edges: arbitrary text, and real files with a few bytes changed. Nothing panics, and whatever is refused is
//! refused with a diagnostic that points into the text.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use kiln::compile::{CompileOptions, compile};
use kiln::contract;
use kiln::diagnostic::{Diagnostics, Location, SourceFile};
use kiln::error::Error;
use kiln::sql::lineage::of_plan;
use kiln::sql::plan;
use kiln::sql::tokens;
use kiln::yaml::{self, Kind, Yaml};
use proptest::prelude::*;

use crate::fuzz_targets::{CONTRACT, KILN, MACROS, ORDERS, SCHEMA, places_in_sql, well_placed};
use crate::support::Shop;

/// What a mistake in YAML, Jinja or SQL is made of.
const BITS: &[&str] = &[
    "\n",
    " ",
    "  ",
    "\t",
    "-",
    ":",
    ": ",
    "'",
    "\"",
    "{",
    "}",
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    "--",
    "/*",
    "*/",
    "$$",
    "|",
    ">",
    "&a",
    "*a",
    "<<: *a",
    "!!int",
    "~",
    "#",
    "\\",
    "\u{feff}",
    "\u{0}",
    "é",
    "😀",
    "\r\n",
    "ref('orders')",
    "source('a', 'b')",
    "{% if x %}",
    "{% endif %}",
    "{% for i in range(3) %}",
    "{% endfor %}",
    "{% raw %}",
    "{% endraw %}",
    "{% set x %}",
    "{% macro m(a) %}",
    "{% endmacro %}",
    "{% test t(model) %}",
    "{% docs d %}",
    "select",
    "from",
    "with",
    "as",
    "union all",
    "null",
    "99999999999999999999",
    "-1",
    "1e309",
    "config(",
    "models:",
    "- name: x",
    "version: 2",
    "data_tests:",
    "columns:",
    "tag:",
    "+",
    "@",
    "*",
    "2+",
    "state:",
    "..",
    "\u{F8FF}",
    "\u{E000}",
];

/// A text with some of it cut, doubled or put in.
fn mutated(texts: Vec<String>) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0usize..24, 0usize..4, prop::sample::select(BITS));
    (prop::sample::select(texts), prop::collection::vec(change, 1..6)).prop_map(|(text, changes)| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, length, kind, bit) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            match kind {
                0 => drop(text.drain(at..end)),
                1 => {
                    let copy: Vec<char> = text[at..end].to_vec();
                    text.splice(at..at, copy);
                }
                2 => text.truncate(if length == 0 { at } else { text.len() }),
                _ => drop(text.splice(at..at, bit.chars())),
            }
        }
        text.into_iter().collect()
    })
}

/// Bits in any order, and any letters at all.
fn rubbish() -> impl Strategy<Value = String> {
    let bits = prop::collection::vec(prop::sample::select(BITS), 0..30).prop_map(|bits| bits.concat());
    prop_oneof![3 => bits, 1 => ".{0,60}"]
}

fn in_text(at: &Location) {
    let Location { file, span } = at;
    assert!(file.text.get(span.clone()).is_some(), "{span:?} is not in {:?}", file.text);
}

/// Files of the repository by their ending.
fn files(folders: &[&str], ending: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = folders.iter().flat_map(|folder| walkdir::WalkDir::new(root.join(folder)).sort_by_file_name());
    let texts = all.filter_map(|entry| {
        let path = entry.expect("a readable folder").into_path();
        let is_wanted = path.extension().is_some_and(|found| found == ending)
            && !path.components().any(|part| part.as_os_str() == "target");
        is_wanted.then(|| std::fs::read_to_string(&path).expect("a readable file"))
    });
    let texts: Vec<String> = texts.filter(|text| text.len() < 6_000).collect();
    assert!(!texts.is_empty());
    texts
}

const PROJECTS: &[&str] = &["example_project", "tests/fixtures"];

/// `PROPTEST_CASES=25600` makes it a hundred times as many.
fn cases(cases: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    // Without a file for failures: what is found becomes a test of its own.
    ProptestConfig {
        cases: (u64::from(cases) * u64::from(usual.cases) / 256).max(1) as u32,
        max_shrink_iters: 500,
        failure_persistence: None,
        ..usual
    }
}

fn all_places(yaml: &Yaml) {
    in_text(&yaml.at);
    match &yaml.kind {
        Kind::List(items) => items.iter().for_each(all_places),
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
            in_text(&key.at);
            all_places(value);
        }),
        _ => {}
    }
}

fn read_yaml(text: &str) {
    let file = SourceFile::new("a.yml", text);
    let mut found = Diagnostics::new();
    match yaml::parse(&file, &mut found) {
        Some(yaml) => all_places(&yaml),
        None => assert!(found.has_errors(), "nothing is said of {text:?}"),
    }
    well_placed(&found);
}

fn read_contract(text: &str) {
    let mut found = Diagnostics::new();
    let contracts = contract::read(&SourceFile::new("contracts/a.odcs.yaml", text), &mut found);
    contracts.iter().for_each(|contract| in_text(&contract.at));
    well_placed(&found);
}

/// Opens and, where it opens, compiles the small project with another file in a place.
fn open_with(path: &str, text: &str) {
    let shop = small();
    shop.write(path, text);
    match shop.open() {
        Ok((workspace, found)) => {
            well_placed(&found);
            let compiled = compile(&workspace, &CompileOptions::default());
            compiled.iter().for_each(|compiled| well_placed(&compiled.diagnostics));
            assert!(matches!(compiled, Ok(_) | Err(Error::Project(_))), "{:?}", compiled.err());
        }
        Err(Error::Project(found)) => {
            assert!(found.has_errors());
            well_placed(&found);
        }
        Err(error @ (Error::Usage { .. } | Error::Machine { .. })) => assert!(!error.to_string().is_empty()),
        Err(error) => panic!("{error}"),
    }
}

/// A small project with a file of each kind.
fn small() -> Shop {
    Shop::of(&[
        ("kiln.yml", KILN),
        ("models/orders.sql", ORDERS),
        ("models/totals.sql", "select status, sum(amount) as amount from {{ ref('orders') }} group by 1\n"),
        ("models/schema.yml", SCHEMA),
        ("macros/cents.sql", MACROS),
        ("tests/none.sql", "select * from {{ ref('totals') }} where amount < 0\n"),
        ("contracts/totals.odcs.yaml", CONTRACT),
    ])
}

/// Plans that DuckDB made.
static PLANS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let connection = duckdb::Connection::open_in_memory().expect("a database");
    connection.execute_batch("create table t (a integer, b varchar, c integer[])").expect("a table");
    let queries = [
        "select a + 1 as x, b from t where a > (select max(a) from t as u where u.b = t.b)",
        "with r as (select a, row_number() over (partition by b order by a) as n from t) select sum(n) as x, a as y from r group by a",
        "select unnest(c) as x, list_filter(c, lambda z: z > 1) as y from t union all select a, c from t",
    ];
    let plan = |query: &&str| {
        let ask = "select json_serialize_plan(?::varchar, optimize := false, skip_null := true, skip_empty := true)";
        connection.query_row(ask, [query], |row| row.get::<_, String>(0)).expect("a plan")
    };
    queries.iter().map(plan).collect()
});

/// A plan with some of its values replaced by others of it, or gone.
fn scrambled() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..3);
    (prop::sample::select(PLANS.clone()), prop::collection::vec(change, 1..5)).prop_map(|(text, changes)| {
        let mut plan: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for (at, other, kind) in changes {
            let places = pointers(&plan);
            let value = match kind {
                0 => serde_json::Value::Null,
                1 => serde_json::json!(u64::MAX),
                _ => plan.pointer(&places[other.index(places.len())]).cloned().unwrap_or_default(),
            };
            if let Some(slot) = plan.pointer_mut(&places[at.index(places.len())]) {
                *slot = value;
            }
            if plan.to_string().len() > 200_000 {
                break;
            }
        }
        plan.to_string()
    })
}

fn pointers(value: &serde_json::Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut inside = |key: String, value: &serde_json::Value| {
        found.extend(pointers(value).into_iter().map(|rest| format!("/{key}{rest}")));
    };
    match value {
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| inside(n.to_string(), item))
        }
        serde_json::Value::Object(entries) => {
            entries.iter().for_each(|(key, item)| inside(key.replace('~', "~0").replace('/', "~1"), item));
        }
        _ => {}
    }
    found
}

fn walk_plan(text: &str) {
    let outputs = ["x".to_owned(), "y".to_owned()];
    if let Some(plan) = plan::parse(text) {
        let lineage = of_plan(&plan, &outputs);
        let names: Vec<&str> = lineage.columns.iter().map(|column| column.output.as_str()).collect();
        assert_eq!(names, ["x", "y"], "an output was lost");
    }
}

/// What was found once.
#[test]
fn found_before() {
    for text in ["\0;-", "0\u{feff} '", "select '\0' as a"] {
        open_with("models/orders.sql", text);
    }
    open_with("macros/cents.sql", &MACROS.replace("{{ model", "{{é model"));
}

/// Inputs that a fuzzer found, and the ones that it began with, through its own entry functions.
fn regressions(target: &str, run: fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        crate::support::tell(&path.display().to_string());
        run(&std::fs::read_to_string(&path).expect("a text"));
    }
}

#[test]
fn regressions_of_yaml() {
    regressions("yaml", crate::fuzz_targets::yaml);
}

#[test]
fn regressions_of_jinja() {
    regressions("jinja", crate::fuzz_targets::jinja);
}

#[test]
fn regressions_of_plans() {
    regressions("plan", crate::fuzz_targets::plan);
}

#[test]
fn regressions_of_sql() {
    regressions("sql", crate::fuzz_targets::sql);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_yaml(text in rubbish()) {
        read_yaml(&text);
    }

    #[test]
    fn yaml_like_ours(text in mutated(files(PROJECTS, "yml"))) {
        read_yaml(&text);
    }

    #[test]
    fn any_contract(text in prop_oneof![rubbish(), mutated(files(PROJECTS, "yaml"))]) {
        read_contract(&text);
    }

    #[test]
    fn any_sql(text in prop_oneof![rubbish(), mutated(files(PROJECTS, "sql"))]) {
        let _ = tokens::read(&text);
        let _ = tokens::is_closed(&text);
        places_in_sql(&text);
    }

    #[test]
    fn any_plan(text in prop_oneof![3 => scrambled(), 1 => mutated(PLANS.clone())]) {
        walk_plan(&text);
    }

    #[test]
    fn any_selection(text in prop_oneof![
        rubbish(),
        mutated(["+orders", "orders+1", "@totals,tag:a", "path:models", "config.tags:b", "exposure:board", "test_type:generic"].map(str::to_owned).to_vec()),
    ]) {
        static OPENED: LazyLock<kiln::workspace::Workspace> = LazyLock::new(|| small().open().expect("a sound project").0);
        let all: BTreeSet<_> = OPENED.select(&[], &[]).expect("all of it");
        match OPENED.select(std::slice::from_ref(&text), &[]) {
            Ok(found) => prop_assert!(found.is_subset(&all)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        let _ = OPENED.select(&[], &[text]);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_model(text in prop_oneof![1 => rubbish(), 4 => mutated(vec![ORDERS.to_owned()])]) {
        open_with("models/orders.sql", &text);
    }

    #[test]
    fn any_macro(text in prop_oneof![1 => rubbish(), 4 => mutated(vec![MACROS.to_owned()])]) {
        open_with("macros/cents.sql", &text);
    }

    #[test]
    fn any_properties(text in prop_oneof![1 => rubbish(), 4 => mutated(vec![SCHEMA.to_owned()])]) {
        open_with("models/schema.yml", &text);
    }

    #[test]
    fn any_project_file(text in mutated(vec![KILN.to_owned()])) {
        open_with("kiln.yml", &text);
    }

    #[test]
    fn any_promise(text in mutated(vec![CONTRACT.to_owned()])) {
        open_with("contracts/totals.odcs.yaml", &text);
    }
}
