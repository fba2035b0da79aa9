//! The golden suite: hard queries, each with its edges written by hand.
//!
//! A file of `src/sql/lineage/golden` starts with statements that set its tables up. Then, after a line of `=`, each case:
//! its name behind `##`, the query, a line of `-`, one line for each output in order. `z <- t.a, t.b ~ t.c` says that
//! z is made of t.a and t.b and influenced by t.c; `z <-` that it comes from no column; `?` at the end that there may be
//! more. `* ~ t.d` says that t.d decides which rows there are.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use proptest::prelude::{any, prop_assert_eq};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{of_query, outputs_of_query, plan_of, shape_of};
use crate::engine::session::Session;
use crate::sql::lineage::{Lineage, TableColumn, of_plan};
use crate::sql::plan::parse;

fn session(setup: &str) -> Session {
    let session = Session::new(Connection::open_in_memory().unwrap()).unwrap();
    session.execute(setup).unwrap();
    session
}

fn lineage(session: &Session, sql: &str) -> Lineage {
    let outputs: Vec<String> = session.describe(sql).unwrap().into_iter().map(|column| column.name).collect();
    of_query(session, sql, &outputs).unwrap()
}

fn names(columns: &BTreeSet<TableColumn>) -> BTreeSet<String> {
    let name = |column: &TableColumn| match column.table.schema.as_str() {
        "main" => format!("{}.{}", column.table.name, column.column),
        _ => format!("{}.{}", column.table.plain(), column.column),
    };
    columns.iter().map(name).collect()
}

fn line(output: &str, value: &BTreeSet<String>, influence: &BTreeSet<String>, unknown: bool) -> String {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let mut line = output.to_owned();
    if output != "*" {
        write!(line, " <- {}", list(value)).unwrap();
    }
    if !influence.is_empty() {
        write!(line, " ~ {}", list(influence)).unwrap();
    }
    if unknown {
        line.push_str(" ?");
    }
    line.replace("  ", " ").trim_end().to_owned()
}

fn actual(lineage: &Lineage) -> Vec<String> {
    let columns = lineage.columns.iter();
    let mut lines: Vec<String> = columns
        .map(|column| line(&column.output, &names(&column.value), &names(&column.influence), column.unknown))
        .collect();
    if !lineage.rows.is_empty() {
        lines.push(line("*", &BTreeSet::new(), &names(&lineage.rows), false));
    }
    lines
}

/// A line as a person wrote it, with its names in order.
fn expected(written: &str) -> String {
    let (rest, unknown) = match written.strip_suffix('?') {
        Some(rest) => (rest.trim_end(), true),
        None => (written, false),
    };
    let (rest, influence) = rest.rsplit_once(" ~ ").unwrap_or((rest, ""));
    let (output, value) = rest.rsplit_once(" <-").unwrap_or((rest, ""));
    let set = |names: &str| {
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect()
    };
    line(output, &set(value), &set(influence), unknown)
}

/// A case of a golden file.
struct Case {
    name: String,
    query: String,
    edges: Vec<String>,
}

/// A golden file's set-up and cases.
fn golden(path: &Path) -> (String, Vec<Case>) {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.display();
    let (setup, cases) = text.split_once("\n====").unwrap_or_else(|| panic!("{file} has no line of ="));
    let case = |text: &str| {
        let (name, rest) = text.split_once('\n').unwrap();
        let (query, edges) =
            rest.split_once("\n----").unwrap_or_else(|| panic!("{file}: {name} has no edges"));
        let edges = edges.lines().skip(1).filter(|line| !line.trim().is_empty()).map(expected).collect();
        Case { name: name.to_owned(), query: query.to_owned(), edges }
    };
    (setup.to_owned(), cases.split("\n## ").skip(1).map(case).collect())
}

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql/lineage/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The cases of one file that differ, as text, and how many cases there are.
fn differences(path: &Path) -> (String, usize) {
    let file = path.file_name().unwrap().to_string_lossy();
    let (setup, cases) = golden(path);
    let session = session(&setup);
    let mut found = String::new();
    for case in &cases {
        let lineage = lineage(&session, &case.query);
        let actual = actual(&lineage);
        if case.edges == actual {
            continue;
        }
        writeln!(found, "{file}: {}\n{}", case.name, case.query).unwrap();
        let expected: Vec<&str> = case.edges.iter().map(String::as_str).collect();
        let actual: Vec<&str> = actual.iter().map(String::as_str).collect();
        for change in similar::TextDiff::from_slices(&expected, &actual).iter_all_changes() {
            writeln!(found, "  {} {}", change.tag(), change.value()).unwrap();
        }
        for reason in &lineage.reasons {
            writeln!(found, "  ({reason})").unwrap();
        }
    }
    (found, cases.len())
}

#[test]
fn hard_queries_have_the_edges_written_by_hand() {
    let (mut text, mut cases) = (String::new(), 0);
    for file in golden_files() {
        let (different, count) = differences(&file);
        text.push_str(&different);
        cases += count;
    }
    assert!(text.is_empty(), "- is what was written, + is what the plan gives\n\n{text}");
    assert!(cases >= 100, "only {cases} cases");
}

/// The plans of all golden queries that have one, with their outputs.
fn plans() -> Vec<(Value, Vec<String>)> {
    let mut plans = Vec::new();
    for file in golden_files() {
        let (setup, cases) = golden(&file);
        let session = session(&setup);
        for case in cases {
            let outputs =
                session.describe(&case.query).unwrap().into_iter().map(|column| column.name).collect();
            plans.extend(
                plan_of(&session, &case.query)
                    .unwrap()
                    .ok()
                    .and_then(|text| parse(&text))
                    .map(|p| (p, outputs)),
            );
        }
    }
    plans
}

/// The places in a value, the outermost first.
fn places(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let mut work = vec![(String::new(), value)];
    while let Some((at, value)) = work.pop() {
        match value {
            Value::Object(members) => {
                work.extend(members.iter().map(|(name, member)| (format!("{at}/{name}"), member)));
            }
            Value::Array(items) => {
                work.extend(items.iter().enumerate().map(|(n, item)| (format!("{at}/{n}"), item)));
            }
            _ => {}
        }
        all.push(at);
    }
    all
}

/// No edge is lost in silence when DuckDB's plan says something new: the column is unknown then.
#[test]
fn a_new_kind_of_expression_or_operator_makes_unknown() {
    for (whole, outputs) in plans() {
        let before = of_plan(&whole, &outputs);
        for place in places(&whole) {
            let name = place.rsplit('/').next().unwrap();
            let mut changed = whole.clone();
            match name {
                "expression_class" => *changed.pointer_mut(&place).unwrap() = json!("BOUND_NEW"),
                "type"
                    if changed.pointer(&place).is_some_and(|kind| kind.to_string().contains("LOGICAL")) =>
                {
                    *changed.pointer_mut(&place).unwrap() = json!("LOGICAL_NEW");
                }
                _ if holds_expression(changed.pointer(&place).unwrap()) && name.parse::<usize>().is_err() => {
                    let parent = changed.pointer_mut(&place[..place.len() - name.len() - 1]).unwrap();
                    let Some(members) = parent.as_object_mut() else { continue };
                    let member = members.shift_remove(name).unwrap();
                    members.insert("new".into(), member);
                }
                _ => continue,
            }
            // The bind data of functions is not read.
            if place.contains("function_data")
                || place.contains("lambda_expr")
                || place.contains("bound_pivot")
            {
                continue;
            }
            let after = of_plan(&changed, &outputs);
            for (old, new) in before.columns.iter().zip(&after.columns) {
                let kept = old.value.is_subset(&new.value)
                    && before.influences(old).is_subset(&after.influences(new));
                assert!(kept || new.unknown, "{place}: {old:?} became {new:?}");
            }
        }
    }
}

/// Any damage to a plan gives a lineage with the same outputs, never a panic.
#[test]
fn damaged_plans_never_panic() {
    let plans = plans();
    let places: Vec<Vec<String>> = plans.iter().map(|(plan, _)| places(plan)).collect();
    let damage = (0..plans.len(), any::<Index>(), any::<Index>(), 0..9_usize);
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    let damaged = proptest::collection::vec(damage, 1..4);
    let result = runner.run(&damaged, |damage| {
        let (mut plan, outputs) = plans[damage[0].0].clone();
        let places = &places[damage[0].0];
        for (_, at, other, how) in damage {
            let other = plan.pointer(other.get(places).as_str()).cloned();
            let Some(value) = plan.pointer_mut(at.get(places).as_str()) else { continue };
            *value = match how {
                0 => Value::Null,
                1 => json!(u64::MAX),
                2 => json!(0),
                3 => json!(-1.5),
                4 => json!("LOGICAL_UNION"),
                5 => json!([]),
                6 => json!({}),
                7 => json!([value.take()]),
                _ => other.unwrap_or_default(),
            };
        }
        let lineage = of_plan(&plan, &outputs);
        prop_assert_eq!(lineage.columns.len(), outputs.len());
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_long_query_is_followed() {
    let session = session("create table t(a int, b int, c varchar)");
    let sum = vec!["b"; 400].join(" + ");
    let found = lineage(&session, &format!("select {sum} as z from t"));
    assert_eq!(actual(&found), ["z <- t.b"]);

    let mut ctes = vec!["q0 as (select a, b from t where c = 'x')".to_owned()];
    ctes.extend((1..120).map(|n| format!("q{n} as (select a, b + {n} as b from q{})", n - 1)));
    let found = lineage(&session, &format!("with {} select b from q119 order by a", ctes.join(", ")));
    assert_eq!(actual(&found), ["b <- t.b", "* ~ t.c"]);
}

#[test]
fn what_duckdb_refuses_is_unknown_with_a_reason() {
    let session = session("create table t(a int)");
    let found = of_query(&session, "select nothing from t", &["nothing".to_owned()]).unwrap();
    assert!(found.columns[0].unknown);
    insta::assert_snapshot!(found.reasons.first().unwrap(), @r#"duckdb gives no plan: binder: Referenced column "nothing" not found in FROM clause!"#);
    let found = of_query(&session, "select a from t; select 1", &["a".to_owned()]).unwrap();
    insta::assert_snapshot!(found.reasons.first().unwrap(), @"not one statement");
}

fn holds_expression(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(members) => members.contains_key("expression_class"),
        _ => false,
    }
}

#[test]
fn where_a_join_is_written_leaves_no_trace() {
    let session = session(
        "create table a(id int, x int); create table b(id int, y int, z int); create table c(id int, x int)",
    );
    let shape = |sql: &str| shape_of(&session, sql, &|_, name| name.to_owned()).unwrap().unwrap();
    let same = [
        ("select a.x, b.y from a join b on a.id = b.id", "select a.x, b.y from a, b where b.id = a.id"),
        ("select a.x, b.y from a join b on a.id = b.id", "select a.x, b.y from b join a on a.id = b.id"),
        ("select x, y from a join b using (id)", "select x, y from b join a using (id)"),
        (
            "select a.x, b.y, c.x from a join b on a.id = b.id join c on c.id = b.id where a.x > 1 and b.y < 3",
            "select a.x, b.y, c.x from c, b, a where 1 < a.x and c.id = b.id and 3 > b.y and a.id = b.id",
        ),
        (
            "select a.x, b.y from a join b on a.id = b.id and a.x > b.y",
            "select a.x, b.y from a cross join b where b.y < a.x and a.id = b.id",
        ),
        (
            "select a.x from a join b on a.id = b.id where b.y > 1",
            "select a.x from a join b on a.id = b.id and b.y > 1",
        ),
        ("select x from a where x in (1, 2, 3)", "select x from a where x in (3, 1, 2)"),
        ("select x from a where x in (1, 2)", "select x from a where 2 = x or x = 1"),
        ("select x from a where x in (1)", "select x from a where x = 1"),
        ("select x from a where x not in (1, 2)", "select x from a where not (x = 2 or x = 1)"),
        ("select x = 1 or (id = 2 and x = 3) b from a", "select (x = 3 and id = 2) or x = 1 b from a"),
        (
            "select a.x, b.y from a join b on a.id = b.id or a.x = b.y",
            "select a.x, b.y from b, a where a.id = b.id or a.x = b.y",
        ),
    ];
    for (one, other) in same {
        assert_eq!(shape(one), shape(other), "{one}\n{other}");
    }
    let different = [
        ("select a.x, b.y from a join b on a.id = b.id", "select a.x, b.y from a left join b on a.id = b.id"),
        ("select a.x, b.y from a join b on a.id = b.id", "select a.x, b.y from a join b on a.id = b.y"),
        ("select a.x, b.y from a join b on a.id < b.id", "select a.x, b.y from a join b on b.id < a.id"),
        ("select a.x, b.y from a, b", "select a.x, b.y from a, b where a.id = b.id"),
        ("select a.x from a, b", "select a.x from a"),
        ("select x from a where x in (1, 2)", "select x from a where x in (1, 3)"),
        ("select x from a where x in (1, 2)", "select x from a where x not in (1, 2)"),
        ("select x = 1 or (id = 2 and x = 3) b from a", "select (x = 1 or id = 2) and x = 3 b from a"),
        ("select a.x from a, b", "select a.x from a, b, b b2"),
        (
            "select a.x from a left join b on a.id = b.id and b.y > 1",
            "select a.x from a left join b on a.id = b.id where b.y > 1",
        ),
        ("select a.x from a, c where a.id = c.id", "select c.x from a, c where a.id = c.id"),
        (
            "select x, row_number() over (order by id) from (select * from a where x > 1)",
            "select x, n from (select *, row_number() over (order by id) n from a) where x > 1",
        ),
        (
            "select a.x, n from (select *, row_number() over (order by id) n from b where z = 1) b join a on a.id = b.id",
            "select a.x, n from (select *, row_number() over (order by id) n from b) b join a on a.id = b.id where b.z = 1",
        ),
    ];
    for (one, other) in different {
        assert_ne!(shape(one), shape(other), "{one}\n{other}");
    }
    // A window that nothing is filtered by changes no row.
    let rows = |sql: &str| shape(sql).rows;
    assert_eq!(
        rows("select x from a where x > 1"),
        rows("select x, row_number() over () from a where x > 1")
    );
}

#[test]
fn a_query_of_thousands_of_set_operations_has_no_lineage() {
    let session = session("");
    let sql = vec!["select 1 as id"; 5_002].join(" union all ");
    assert!(outputs_of_query(&session, &sql).expect("an answer").is_none());
    let lineage = of_query(&session, &sql, &["id".to_owned()]).expect("an answer");
    insta::assert_snapshot!(format!("{:?}", lineage.columns), @r#"
[ColumnLineage { output: "id", value: {}, influence: {}, unknown: true }]
"#);
    // Words alone are no operators, and a long text is none either.
    let long = format!("select 1 as id, '{}' as words", "union ".repeat(4_999));
    assert!(outputs_of_query(&session, &long).expect("an answer").is_some());
}
