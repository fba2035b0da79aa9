//! Tests of comparing, on a real database.

use super::*;
use crate::engine::database::{Database, Opening};

struct Base {
    _folder: tempfile::TempDir,
    database: Database,
}

fn base(sql: &str) -> Base {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let opening = Opening {
        path: folder.path().join("x.duckdb"),
        threads: 2,
        settings: Vec::new(),
        holder: "a test".into(),
        patience: std::time::Duration::ZERO,
    };
    let database = Database::open(&opening).unwrap_or_else(|error| panic!("{error}"));
    database.session().execute(sql).expect("sound SQL");
    Base { _folder: folder, database }
}

fn told(sql: &str, key: &[&str]) -> String {
    let base = base(sql);
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    match rows(base.database.session(), "b", "a", &key).expect("a comparison") {
        Ok(diff) => {
            assert_eq!(
                base.database.session().count("select count(*) from duckdb_tables() where temporary"),
                Ok(0)
            );
            compact(&diff)
        }
        Err(missing) => format!("no {missing:?}"),
    }
}

/// What was found, a line for each thing.
fn compact(diff: &DataDiff) -> String {
    let cells = |cells: &[Option<String>]| {
        cells.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" ")
    };
    let mut text = format!(
        "by {:?}: {} -> {}, +{} -{} ~{} {:?}\n",
        diff.key, diff.before, diff.after, diff.added, diff.removed, diff.changed, diff.columns
    );
    for (columns, sign) in [(&diff.columns_added, "came"), (&diff.columns_removed, "went")] {
        text.extend(columns.iter().map(|column| format!("{sign} {column}\n")));
    }
    if let Some(found) = &diff.not_unique {
        text += &format!("not unique {:?}: {} before, {} after\n", found.key, found.before, found.after);
        text.extend(found.values.iter().map(|(key, b, a)| format!("  {} {b} {a}\n", cells(key))));
    }
    let samples = &diff.samples;
    for row in &samples.changed {
        let changed = row.cells.iter().map(|(name, old, new)| {
            format!(" {name}: {} -> {}", cells(std::slice::from_ref(old)), cells(std::slice::from_ref(new)))
        });
        text += &format!("~ {}{}\n", cells(&row.key), changed.collect::<String>());
    }
    for (rows, columns, sign) in
        [(&samples.removed, &samples.columns_before, "-"), (&samples.added, &samples.columns, "+")]
    {
        text.extend(rows.iter().map(|row| format!("{sign} {} ({})\n", cells(row), columns.join(" "))));
    }
    text
}

#[test]
fn rows_are_told_apart_by_their_key() {
    insta::assert_snapshot!(told(
        "create table b as select i as id, 'n' || i as name, (i * 1.5)::decimal(9,2) as amount, null::date as day
         from range(100) r(i);
         create table a as select id, if(id in (7, 8), 'other', name) as name,
            if(id = 8, 0, amount)::decimal(9,2) as amount, day from b where id <> 3
         union all select 1000, null, 1, date '2026-01-01'",
        &["id"]
    ), @r#"
    by ["id"]: 100 -> 100, +1 -1 ~2 [("name", 2), ("amount", 1)]
    ~ 7 name: n7 -> other
    ~ 8 name: n8 -> other amount: 12.00 -> 0.00
    - 3 n3 4.50 NULL (id name amount day)
    + 1000 NULL 1.00 2026-01-01 (id name amount day)
    "#);
}

#[test]
fn a_key_of_several_columns_may_hold_null() {
    insta::assert_snapshot!(told(
        "create table b as from (values (null, 1, 'x'), (null, 2, 'y'), (1, null, 'z')) v(k, l, c);
         create table a as from (values (null, 1, 'x'), (null, 2, 'Y'), (2, null, 'z')) v(k, l, c)",
        &["k", "L"]
    ), @r#"
    by ["k", "L"]: 3 -> 3, +1 -1 ~1 [("c", 1)]
    ~ NULL 2 c: y -> Y
    - 1 NULL z (k l c)
    + 2 NULL z (k l c)
    "#);
}

#[test]
fn a_key_that_is_not_unique_is_said_and_makes_no_product() {
    let text = told(
        "create table b as select 1 as id, i as n from range(20000) r(i);
         create table a as select 1 as id, i as n from range(1, 20001) r(i)",
        &["id"],
    );
    insta::assert_snapshot!(text, @r#"
    by []: 20000 -> 20000, +1 -1 ~0 []
    not unique ["id"]: 1 before, 1 after
      1 20000 20000
    - 1 0 (id n)
    + 1 20000 (id n)
    "#);
}

#[test]
fn whole_rows_are_compared_without_a_key() {
    insta::assert_snapshot!(told(
        "create table b as from (values (1, 'x'), (1, 'x'), (2, 'y')) v(n, c);
         create table a as from (values (1, 'x'), (2, 'y'), (2, 'y'), (3, null)) v(n, c)",
        &[]
    ), @r"
    by []: 3 -> 4, +2 -1 ~0 []
    - 1 x (n c)
    - 1 x (n c)
    + 2 y (n c)
    + 2 y (n c)
    + 3 NULL (n c)
    ");
}

#[test]
fn columns_that_came_went_or_have_another_type() {
    insta::assert_snapshot!(told(
        "create table b as select 1 as id, 1 as n, '1' as t, 1 as gone;
         create table a as select 1 as id, 1.00 as n, 1 as t, 2 as came",
        &["id"]
    ), @r#"
    by ["id"]: 1 -> 1, +0 -0 ~0 []
    came came
    went gone
    "#);
    assert_eq!(
        told("create table b as select 1 as id; create table a as select 2 as x", &["id"]),
        "no [\"id\"]"
    );
}
