//! What fuzzing feeds: the edges where text of strangers comes in. A fuzzer calls these with what it makes up, `cargo test`
//! with the inputs under `regressions/`, so that what was found once stays mended.
//!
//! Whatever the text, nothing may panic, hang or take all memory, and a mistake is a diagnostic with a place in its text.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use kiln::diagnostic::{Diagnostics, SourceFile, Style};
use kiln::diff::Settings;
use kiln::error::Error;
use kiln::interval;
use kiln::manifest::{Node, Strategy};
use kiln::names::{NodeId, Relation};
use kiln::project::{ProjectFile, ProjectFiles};
use kiln::sql::lineage::{of_plan, outputs_of};
use kiln::sql::plan::{parse, parse_typed};
use kiln::sql::rendered::Rendered;
use kiln::sql::{cte, highlight, items, relations, seat, shape, tokens};
use kiln::template::{Form, QueryTable, Resolve, Window};
use kiln::workspace::{Workspace, WorkspaceOptions};

/// YAML: the first line names the file that the rest is put in, in the place of the one that is there.
pub fn yaml(text: &str) {
    let (path, text) = text.split_once('\n').unwrap_or((text, ""));
    let path = match path.bytes().next() {
        Some(b'k') => "kiln.yml",
        Some(b'c') => "contracts/totals.odcs.yaml",
        Some(b'w') => "waivers/agreed.yml",
        _ => "models/schema.yml",
    };
    let mut files = Files::small();
    files.put(path, text);
    files.open();
}

/// Jinja: the first line names the file that the rest is put in.
pub fn jinja(text: &str) {
    let (path, text) = text.split_once('\n').unwrap_or((text, ""));
    let path = match path.bytes().next() {
        Some(b'c') => "macros/cents.sql",
        Some(b't') => "tests/none.sql",
        Some(b'd') => "models/notes.md",
        Some(b's') => "snapshots/kept.sql",
        _ => "models/orders.sql",
    };
    let mut files = Files::small();
    files.put(path, text);
    files.open();
}

/// The walkers over DuckDB's plan, which get it as JSON.
pub fn plan(text: &str) {
    let Some(plan) = parse(text) else { return };
    let outputs = match outputs_of(&plan) {
        Some(outputs) => outputs.into_iter().map(|(name, _)| name).collect(),
        None => vec!["x".to_owned(), "y".to_owned()],
    };
    let lineage = of_plan(&plan, &outputs);
    let names: Vec<&String> = lineage.columns.iter().map(|column| &column.output).collect();
    assert_eq!(names, outputs.iter().collect::<Vec<_>>(), "an output was lost");
    let mut texts = HashSet::new();
    collect(&plan, &mut texts);
    for column in &lineage.columns {
        for origin in column.value.iter().chain(&column.influence).chain(&lineage.rows) {
            assert!(texts.contains(origin.column.as_str()), "`{}` stands nowhere in the plan", origin.column);
        }
    }
    assert_eq!(lineage, of_plan(&plan, &outputs));
    // What is left out without types may be damaged.
    let Some(plan) = parse_typed(text) else { return };
    let table = |schema: &str, name: &str| format!("{schema}.{name}");
    let _ = shape::of_plan(&plan, &table);
}

/// What reads SQL as text.
pub fn sql(text: &str) {
    let reading = tokens::read(text);
    let spaced = format!("\n{} \n", reading.normalised);
    if tokens::statements(text).len() == 1 && tokens::is_closed(text) {
        let again = tokens::read(&spaced);
        assert_eq!(again, tokens::read(&again.normalised), "of {text:?}");
    }
    places_in_sql(text);
    let pieces: String = highlight::pieces(text).into_iter().map(|(_, piece)| piece).collect();
    assert_eq!(pieces, text);
    let list = items::select_list(text);
    for item in &list.items {
        assert!(text.get(item.range.clone()).is_some() && text.get(item.expression.clone()).is_some());
    }
    if let Err(names) = cte::only(text, "") {
        names.iter().for_each(|name| drop(cte::only(text, name)));
    }
}

/// Fails if something that is found in SQL does not stand in it.
pub fn places_in_sql(text: &str) {
    assert!(tokens::statements(text).iter().all(|at| text.is_char_boundary(*at) && *at < text.len()));
    assert!(text.starts_with(tokens::without_end(text)));
    match tokens::cte_seat(text) {
        tokens::CteSeat::Start(at) | tokens::CteSeat::AfterWith(at) => {
            assert!(text.is_char_boundary(at), "{at} in {text:?}");
        }
    }
    for (at, word) in relations::words(text) {
        let range = at..at + word.len();
        assert_eq!(text.get(range.clone()), Some(word));
        let _ = seat::seat(text, &range);
        let _ = seat::alias(text, &range);
    }
    for table in relations::tables(text).into_iter().flatten() {
        assert!(text.get(table.at..table.at + table.length).is_some(), "{:?} in {text:?}", table.name());
    }
}

fn collect<'a>(value: &'a serde_json::Value, texts: &mut HashSet<&'a str>) {
    match value {
        serde_json::Value::String(text) => drop(texts.insert(text)),
        serde_json::Value::Array(all) => all.iter().for_each(|one| collect(one, texts)),
        serde_json::Value::Object(members) => members.values().for_each(|one| collect(one, texts)),
        _ => {}
    }
}

/// A small project in memory.
struct Files(Vec<(&'static str, String)>);

impl Files {
    fn small() -> Self {
        let all = [
            ("kiln.yml", KILN),
            ("models/orders.sql", ORDERS),
            (
                "models/totals.sql",
                "select status, sum(amount) as amount from {{ ref('orders') }} group by 1\n",
            ),
            ("models/hours.sql", HOURS),
            ("models/schema.yml", SCHEMA),
            ("models/notes.md", "{% docs note %}Of *hours*.{% enddocs %}\n"),
            ("macros/cents.sql", MACROS),
            ("tests/none.sql", "select * from {{ ref('totals') }} where amount < 0\n"),
            ("snapshots/kept.sql", SNAPSHOT),
            ("contracts/totals.odcs.yaml", CONTRACT),
            ("waivers/agreed.yml", WAIVERS),
        ];
        Self(all.map(|(path, text)| (path, text.to_owned())).to_vec())
    }

    fn put(&mut self, path: &'static str, text: &str) {
        self.0.iter_mut().filter(|(known, _)| *known == path).for_each(|(_, old)| text.clone_into(old));
    }

    fn file(&self, path: &str) -> Arc<SourceFile> {
        let text = self.0.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text);
        SourceFile::new(path, text)
    }

    /// Reads all of it and renders everything that can be rendered.
    fn open(&self) {
        let options = WorkspaceOptions::new("project", "compile");
        let opened = Workspace::with_files(
            &options,
            |expand| ProjectFile::parse(Path::new("project"), &self.file("kiln.yml"), expand),
            |project| {
                let files: Vec<_> = self.0.iter().map(|(path, text)| SourceFile::new(*path, text)).collect();
                ProjectFiles::of(project, &files)
            },
        );
        let workspace = match opened {
            Ok((workspace, found)) => {
                well_placed(&found);
                workspace
            }
            Err(Error::Project(found)) => {
                assert!(found.has_errors());
                return well_placed(&found);
            }
            Err(error @ (Error::Usage { .. } | Error::Machine { .. })) => {
                return assert!(!error.to_string().is_empty());
            }
            Err(error) => panic!("{error}"),
        };
        if let Err(found) = Settings::read(workspace.project.file.diff.as_ref()) {
            well_placed(&found);
        }
        let names = Names(&workspace);
        for node in workspace.manifest.nodes.values() {
            intervals(node);
            let window = Window { start: "2026-01-01 00:00:00".into(), end: "2026-01-02 00:00:00".into() };
            for form in [Form::Whole, Form::Delta, Form::DeltaWindow(window)] {
                rendered(workspace.render_form(node, &form, &names));
            }
            let _ = workspace.facts(node);
        }
        for test in workspace.manifest.tests.values() {
            rendered(workspace.render_test(test, &names));
        }
        let _ = workspace.select(&[], &[]);
    }
}

fn rendered(found: Result<Rendered, Diagnostics>) {
    let rendered = match found {
        Ok(rendered) => rendered,
        Err(found) => {
            assert!(found.has_errors());
            return well_placed(&found);
        }
    };
    assert_eq!(rendered.with_relations(|_| None), rendered.sql);
    let mut end = 0;
    for slot in &rendered.slots {
        assert!(slot.range.start >= end && rendered.sql.get(slot.range.clone()).is_some(), "{slot:?}");
        end = slot.range.end;
    }
    for (at, word) in relations::words(&rendered.sql).take(200) {
        if let Some(place) = rendered.locate(at, word.len()) {
            assert!(place.file.text.get(place.span).is_some());
        }
    }
}

/// What a model's intervals come to.
fn intervals(node: &Node) {
    let Some(config) = &node.config.incremental else { return };
    let Strategy::Interval(config) = &config.strategy else { return };
    let first = interval::first(config);
    assert!(first.start <= first.end, "{first:?}");
    let until = "2026-03-01 00:00:00";
    for covered in [Vec::new(), vec![first]] {
        let due = interval::due(config, &covered, until, &[], interval::News::Anywhere);
        let due = due.unwrap_or_default();
        assert!(due.iter().all(|window| window.start < window.end), "{config:?}");
        assert_eq!(interval::from_text(&interval::to_text(&due)), due);
        let _ = interval::told(config.grain, &due);
        let _ = interval::holes(config, &covered);
    }
}

/// Fails if a diagnostic points past its text, or cannot be shown.
pub fn well_placed(diagnostics: &Diagnostics) {
    for found in diagnostics.sorted() {
        for (at, _) in found.primary.iter().chain(&found.related) {
            assert!(at.file.text.get(at.span.clone()).is_some(), "{:?} of {:?}", at.span, at.file.text);
        }
        assert!(!found.message.is_empty());
    }
    let shown = diagnostics.render(Style::Plain);
    assert_eq!(shown.is_empty(), diagnostics.is_empty());
    let hidden = |letter: char| letter.is_control() && letter != '\n';
    assert!(!shown.contains(hidden), "a control character would reach the terminal: {shown:?}");
}

/// Names as the project has them; a database is not there.
struct Names<'a>(&'a Workspace);

impl Resolve for Names<'_> {
    fn reference(&self, package: Option<&str>, name: &str) -> Result<(NodeId, Relation), String> {
        self.0.find_node(package, name).map(|node| (node.id.clone(), node.relation.clone()))
    }

    fn source(&self, source: &str, table: &str) -> Result<(NodeId, Relation), String> {
        self.0.find_source(source, table).map(|table| (table.id.clone(), table.relation.clone()))
    }

    fn query(&self, sql: &Rendered) -> Result<QueryTable, String> {
        let cell = serde_json::Value::from(sql.sql.chars().take(20).collect::<String>());
        Ok(QueryTable {
            columns: vec!["a".into(), "b".into()],
            rows: vec![vec![cell, serde_json::Value::Null]],
        })
    }

    fn columns(&self, _: &NodeId, _: &Relation) -> Result<Vec<(String, String)>, String> {
        Ok(vec![("id".into(), "BIGINT".into()), ("status".into(), "VARCHAR".into())])
    }
}

pub const KILN: &str = "name: shop
targets: {dev: {type: duckdb, path: shop.duckdb}}
layers: []
vars: {least: 1}
models: {shop: {+materialized: table, +tags: [a]}}
";
pub const ORDERS: &str = "{{ config(materialized='view', tags=['b']) }}
{% set statuses = ['placed', 'shipped'] %}
select 1 as id, {{ cents('2.5') }} as amount,
{% for status in statuses -%}
  '{{ status }}' as {{ status }}{{ ',' if not loop.last }}
{% endfor %}, 'x' as status
{% if var('least') > 0 %}-- {{ this }}{% endif %}
";
const HOURS: &str = "{{ config(materialized='incremental', incremental_strategy='interval', event_time='at',
   batch_size='hour', begin='2026-02-27', lookback=2) }}
select now()::timestamp as at, id from {{ ref('orders') }} where status >= '{{ model.batch.event_time_start }}'
";
pub const MACROS: &str = "{% macro cents(x, by=100) %}({{ x }} * {{ by }})::bigint{% endmacro %}
{% test small(model, column_name, most=10) %}
select * from {{ model }} where {{ column_name }} > {{ most }}
{% endtest %}
{% docs kinds %}All *kinds*.{% enddocs %}
";
const SNAPSHOT: &str = "{% snapshot kept %}
{{ config(unique_key='status', strategy='check', check_cols=['amount']) }}
select * from {{ ref('totals') }}
{% endsnapshot %}
";
pub const SCHEMA: &str = "version: 2
models:
  - name: totals
    description: \"{{ doc('kinds') }}\"
    columns:
      - name: status
        data_type: varchar
        data_tests: [unique, {accepted_values: {values: [x, y], config: {severity: warn}}}]
      - {name: amount, data_tests: [{small: {most: 5, where: 'amount > 0'}}]}
exposures:
  - {name: board, type: dashboard, owner: {name: A}, depends_on: [ref('totals')], meta: {columns: {totals: [amount]}, queries: ['select amount from main.totals']}}
sources:
  - {name: app, tables: [{name: raw, columns: [{name: a, data_type: 'decimal(9,2)'}], freshness: {warn_after: {count: 1, period: day}}}]}
unit_tests:
  - {name: u, model: totals, given: [{input: ref('orders'), rows: [{status: a, amount: 1}]}], expect: {rows: [{status: a}]}}
";
pub const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: totals
version: 1.0.0
status: active
schema:
  - name: totals
    properties:
      - {name: status, physicalType: VARCHAR, required: true, primaryKey: true, primaryKeyPosition: 1}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
slaProperties:
  - {property: latency, value: 4, unit: d}
";
const WAIVERS: &str = "- rule: column-removed
  model: totals
  column: gone
  fingerprint: 0123456789abcdef
  reason: nobody reads it
  approved_by: bi@example.com
  expires: 2026-12-31
";
