//! Tests of reading a project.

use super::*;
use crate::diagnostic::{Location, Style};
use crate::resolve::tests::write;

fn read(files: &[(&str, &str)]) -> (Option<Project>, Diagnostics) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), files);
    load(folder.path(), &Braces)
}

fn said(files: &[(&str, &str)]) -> String {
    read(files).1.render(Style::Plain)
}

/// Replaces `{{ n }}` by 7, and knows nothing else.
struct Braces;

impl Expand for Braces {
    fn expand(&self, text: &str, at: &Location) -> Result<String, Diagnostics> {
        if text.contains("missing") {
            return Err(Diagnostic::error("undefined", "`missing` is not set").at(at, "").into());
        }
        Ok(text.replace("{{ n }}", "7"))
    }
}

#[test]
fn a_folder_without_a_project_file() {
    let (project, problems) = load(std::path::Path::new("no/such/folder"), &Verbatim);
    assert!(project.is_none());
    insta::assert_snapshot!(problems.render(Style::Plain));
}

#[test]
fn the_project_file_is_checked() {
    insta::assert_snapshot!(said(&[(
        "kiln.yml",
        "name: my-shop
default_target: prd
targets:
  prod: {type: duckdb, path: a.db, thread: 3}
layers: [raw, raw]
model-paths: [../models]
on-run-start: ['create schema x']
severities: {layer-directions: warn, contract-missing: maybe}
materialised: table
"
    )]));
}

#[test]
fn targets() {
    let text = "name: shop
targets:
  dev: {path: 'a{{ n }}.db', threads: '{{ n }}', settings: {preserve_insertion_order: false}}
  bad: {type: postgres, path: ':memory:', threads: 0, schema: _kiln}
  secret: {path: '{{ missing }}'}
";
    let (project, problems) = read(&[("kiln.yml", text)]);
    assert_eq!(problems.render(Style::Plain), "");
    let file = project.expect("a project").file;
    let dev = file.target(Some("dev"), &Braces).expect("a target");
    assert_eq!((dev.path.to_str(), dev.threads.map(usize::from)), (Some("a7.db"), Some(7)));
    assert_eq!((dev.schema.as_str(), dev.keep_releases), ("main", 2));
    let wrong: Vec<String> = [Some("bad"), Some("secret"), Some("deb"), None]
        .map(|name| file.target(name, &Braces).expect_err("no target").to_string())
        .to_vec();
    insta::assert_snapshot!(wrong.join("\n\n"));
}

#[test]
fn files_are_found_in_order_and_sorted_by_what_they_are() {
    let (project, problems) = read(&[
        ("kiln.yml", "name: shop"),
        ("models/b/y.sql", "select 1"),
        ("models/a.sql", "select 1"),
        ("models/.hidden/x.sql", "select 1"),
        ("models/target/x.sql", "select 1"),
        ("seeds/s.csv", "a\n1\n"),
        ("tests/t.sql", "select 1"),
        ("tests/generic/g.sql", "{% test g(model) %}{% endtest %}"),
        ("macros/m.sql", "{% macro m() %}{% endmacro %}"),
        ("models/docs.md", "{% docs d %}x{% enddocs %}"),
        ("contracts/a.odcs.yaml", "kind: DataContract"),
    ]);
    assert_eq!(problems.render(Style::Plain), "");
    let files = project.expect("a project").files;
    let names =
        |all: &[Resource]| all.iter().map(|one| one.file.path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(names(&files.models), ["models/a.sql", "models/b/y.sql"]);
    assert_eq!(files.models[1].fqn(), ["shop", "b", "y"]);
    assert_eq!(
        (names(&files.seeds), files.seeds[0].file.text.as_str()),
        (vec!["seeds/s.csv".to_owned()], "")
    );
    assert_eq!(
        (names(&files.singular_tests), files.generic_tests.len()),
        (vec!["tests/t.sql".to_owned()], 1)
    );
    assert_eq!((files.macros.len(), files.docs.len(), files.contracts.len()), (1, 1, 1));
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(
        root,
        &[("kiln.yml", "name: shop"), ("models/a.py", "x"), ("snapshots/s.sql", "x"), ("out.sql", "x")],
    );
    std::fs::write(root.join("models/latin.sql"), b"select\n 'caf\xe9'").expect("a file");
    std::os::unix::fs::symlink(root.join("models"), root.join("models/loop")).expect("a link");
    std::os::unix::fs::symlink("/etc/passwd", root.join("models/away.sql")).expect("a link");
    std::os::unix::fs::symlink(root.join("out.sql"), root.join("models/inside.sql")).expect("a link");
    let (project, problems) = load(root, &Verbatim);
    assert_eq!(project.expect("a project").files.models.len(), 1);
    insta::assert_snapshot!(problems.render(Style::Plain));
}

#[test]
fn properties_are_checked() {
    insta::assert_snapshot!(said(&[
        ("kiln.yml", "name: shop"),
        (
            "models/p.yml",
            "version: 2
modles: []
models:
  - name: a
    versions: [{v: 1}]
    descripton: x
    columns:
      - {name: id, data_type: bigint}
      - {name: ID, data_types: bigint}
    data_tests:
      - unique:
        column_name: id
      - 3
  - nam: b
seeds: {name: x}
metrics: [1]
snapshots: [{name: s}]
"
        ),
    ]));
}

#[test]
fn sources_are_checked() {
    insta::assert_snapshot!(said(&[
        ("kiln.yml", "name: shop"),
        (
            "models/s.yml",
            "sources:
  - name: s
    loaded_at_query: select 1
    freshness: {warn_after: {count: 3, period: week}}
    tables:
      - orders
      - {name: a, files: a.xls}
      - {name: b, files: [a.csv, b.json]}
      - {name: c, files: a, format: cvs, on_bad_rows: drop}
      - {name: d, on_bad_rows: fail}
      - {name: e, config: {external_location: x}, freshness: null}
"
        ),
    ]));
}

#[test]
fn sources_inherit() {
    let (project, problems) = read(&[
        ("kiln.yml", "name: shop"),
        (
            "models/s.yml",
            "sources:
  - name: s
    schema: other
    tags: [x]
    loaded_at_field: at
    freshness: {warn_after: {count: 3, period: hour}}
    tables:
      - {name: a, files: data/a.csv.gz, freshness: {error_after: {count: 1, period: day}}}
      - {name: b, identifier: bb, freshness: null, tags: [y]}
",
        ),
    ]);
    assert_eq!(problems.render(Style::Plain), "");
    let sources = project.expect("a project").properties.sources;
    let (a, b) = (&sources[0].table, &sources[1].table);
    assert!(a.freshness.is_some_and(|fresh| fresh.warn_after.is_some() && fresh.error_after.is_some()));
    assert_eq!((b.freshness, b.relation.plain().as_str()), (None, "other.bb"));
    assert_eq!((b.tags.join(" "), b.loaded_at_field.as_deref()), ("x y".into(), Some("at")));
}

#[test]
fn tests_take_all_shapes() {
    let (project, problems) = read(&[
        ("kiln.yml", "name: shop"),
        (
            "models/s.yml",
            "models:
  - name: a
    columns:
      - name: id
        data_tests:
          - unique
          - accepted_values: {values: ['{{ n }}'], severity: warn, config: {limit: '{{ n }}'}}
          - accepted_values:
              arguments: {values: [1]}
              name: mine
          - test_name: relationships
            to: ref('b')
            field: id
",
        ),
    ]);
    assert_eq!(problems.render(Style::Plain), "");
    let tests = &project.expect("a project").properties.nodes[0].tests;
    let shown: Vec<String> = tests
        .iter()
        .map(|test| {
            let config: Vec<String> =
                test.config.iter().map(|(key, said)| format!("{key}={}", said.value)).collect();
            let args = serde_json::Value::Object(test.args.clone());
            format!(
                "{} {} {args} {config:?} {}",
                test.test.value,
                test.column.clone().unwrap_or_default(),
                test.at
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn unit_tests_are_read() {
    let (project, problems) = read(&[
        ("kiln.yml", "name: shop"),
        (
            "models/u.yml",
            "unit_tests:
  - name: sums
    model: a
    given: [{input: ref('b'), rows: [{x: 1}]}, {input: this, format: csv, rows: 'x'}]
    expect: {rows: [{y: 1}]}
    overrides: {vars: {d: 1}}
",
        ),
    ]);
    assert_eq!(problems.render(Style::Plain), "");
    let tests = project.expect("a project").properties.unit_tests;
    assert_eq!((tests[0].given.len(), tests[0].given[1].format.as_str()), (2, "csv"));
}

#[test]
fn dispatch_and_vars() {
    let text = "name: shop\nvars: {a: 1, shop: {b: 2}, other: {c: 3}}\ndispatch: [{macro_namespace: dbt_utils, search_order: [shop, dbt_utils]}]\n";
    let file = read(&[("kiln.yml", text)]).0.expect("a project").file;
    assert_eq!(file.dispatch, [("dbt_utils".to_owned(), vec!["shop".to_owned(), "dbt_utils".to_owned()])]);
    assert_eq!((file.vars["a"].as_i64(), file.vars.get("shop")), (Some(1), None));
    assert_eq!(file.package_vars["shop"]["b"], 2);
}
