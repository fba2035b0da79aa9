//! Limits on how much a model's rows may change: a run that passes them publishes nothing.

use crate::support::{Shop, binary};

const PROJECT: &str =
    "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n";

fn shop(limits: &str) -> Shop {
    let model = "{{ config(materialized='table') }}\nselect i as id, i * 2 as n from range(100) r(i)\n";
    let schema = format!("models:\n  - name: m\n    config: {{unique_key: id, audit: {limits}}}\n");
    let shop = Shop::of(&[("kiln.yml", PROJECT), ("models/m.sql", model), ("models/schema.yml", &schema)]);
    assert!(shop.run().expect("a run").is_good());
    shop
}

fn run(shop: &Shop) -> (i32, String) {
    let output = binary(shop.root(), &["run"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = text.find("FAIL m").map_or(text.clone(), |at| text[at..].to_owned());
    let text = text.lines().filter(|line| !line.starts_with(" Time")).collect::<Vec<_>>().join("\n");
    let moment = regex::Regex::new(r"of \d{4}-\d\d-\d\d \d\d:\d\d UTC").expect("a sound pattern");
    (output.status.code().expect("an exit code"), moment.replace_all(&text, "of NOW").into_owned())
}

#[test]
fn more_changes_than_allowed_are_not_published() {
    let shop = shop("{max_changed_rows: 5%}");
    shop.replace("models/m.sql", "i * 2 as n", "if(i < 5, 0, i * 2) as n");
    assert_eq!(run(&shop).0, 0, "four rows changed");
    shop.replace("models/m.sql", "i < 5", "i < 20");
    let (code, text) = run(&shop);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @r"
    FAIL m · more rows changed than it allows — 0 added, 0 removed, 15 changed of 100 rows
      declared at models/schema.yml:3:37
      15 of 100 rows changed (15.0%): `max_changed_rows` is 5%
        rows changed in n 15
        ~ id=5: n 10 → 0
        ~ id=6: n 12 → 0
        ~ id=7: n 14 → 0
        ~ id=8: n 16 → 0
        ~ id=9: n 18 → 0
      re-run:   kiln run --select m+

     Result   NOT PUBLISHED — 1 test failed; dev still serves release 2 of NOW
     Models   1 failed = 1
     Tests    1 failed = 1
    ");
    assert_eq!(shop.query("select count(*) from main.m where n = 0"), "5");
}

#[test]
fn rows_that_come_have_a_limit_too() {
    let shop = shop("{max_added_rows: 10, max_changed_rows: 1%}");
    shop.replace("models/m.sql", "range(100)", "range(2100)");
    let (code, text) = run(&shop);
    assert_eq!(code, 1);
    assert!(text.contains("\n  2,000 rows came to 100 (2000.0%): `max_added_rows` is 10\n"), "{text}");
    shop.replace("models/schema.yml", "max_added_rows: 10, ", "");
    assert_eq!(run(&shop).0, 0);
    shop.replace("models/m.sql", "i * 2", "if(i < 6, i * 2, 1)");
    let (code, text) = run(&shop);
    assert_eq!(code, 1);
    assert!(text.contains("\n  2,094 of 2,100 rows changed (99.7%): `max_changed_rows` is 1%\n"), "{text}");
    let output = binary(shop.root(), &["run", "--no-publish"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("NOT PUBLISHED — 1 test failed; "), "{text}");
}

#[test]
fn rows_that_go_and_counts_have_limits_too() {
    let shop = shop("{max_removed_rows: 0, row_count_change: 10%}");
    shop.replace("models/m.sql", "range(100)", "range(80)");
    let (code, text) = run(&shop);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @r"
    FAIL m · more rows changed than it allows — 0 added, 20 removed, 0 changed of 100 rows
      declared at models/schema.yml:3:37
      20 of 100 rows are gone (20.0%): `max_removed_rows` is 0
      100 rows became 80 (20.0%): `row_count_change` is 10%
        - id=80 n=160
        - id=81 n=162
        - id=82 n=164
        - id=83 n=166
        - id=84 n=168
      re-run:   kiln run --select m+

     Result   NOT PUBLISHED — 1 test failed; dev still serves release 1 of NOW
     Models   1 failed = 1
     Tests    1 failed = 1
    ");
    assert_eq!(
        shop.query("select status, failures from _kiln.test_result where test = 'audit_m_rows'"),
        "fail|20"
    );
}

#[test]
fn a_key_that_is_not_unique_fails_the_limit() {
    let shop = shop("{max_changed_rows: 50%}");
    shop.replace("models/m.sql", "select i as id", "select i // 2 as id");
    let (code, text) = run(&shop);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @r"
    FAIL m · more rows changed than it allows — 99 added, 99 removed, 0 changed of 100 rows
      declared at models/schema.yml:3:37
      which rows changed cannot be told: the key `id` is not unique (0 values more than once before, 50 after)
        the key (id) is not unique: 0 values more than once before, 50 after
          0 (1 before, 2 after)
          1 (1 before, 2 after)
          2 (1 before, 2 after)
          3 (1 before, 2 after)
          4 (1 before, 2 after)
        - id=1 n=2
        - id=10 n=20
        - id=11 n=22
        - id=12 n=24
        - id=13 n=26
        + id=0 n=2
        + id=1 n=4
        + id=1 n=6
        + id=10 n=40
        + id=10 n=42
      re-run:   kiln run --select m+

     Result   NOT PUBLISHED — 1 test failed; dev still serves release 1 of NOW
     Models   1 failed = 1
     Tests    1 failed = 1
    ");
}

#[test]
fn limits_that_make_no_sense_are_told() {
    let shop = Shop::of(&[
        ("kiln.yml", PROJECT),
        ("models/m.sql", "select 1 as id"),
        (
            "models/schema.yml",
            "models:\n  - name: m\n    config: {audit: {max_changed_rows: 5 percent, max_removd_rows: 1}}\n",
        ),
        ("models/k.sql", "{{ config(audit={'max_changed_rows': '5%'}) }} select 1 as id"),
    ]);
    let output = binary(shop.root(), &["ls"]).output().expect("it runs");
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr), @r"
    error[audit-key]: `max_changed_rows` needs a key, and `k` has none
     --> models/k.sql:1:11
      |
    1 | {{ config(audit={'max_changed_rows': '5%'}) }} select 1 as id
      |           ^^^^^
      |
      = help: name it with `unique_key`, a contract's primary key, or a `unique` test

    error[unknown-config]: `audit` has no limit `max_removd_rows`
     --> models/schema.yml:3:21
      |
    3 |     config: {audit: {max_changed_rows: 5 percent, max_removd_rows: 1}}
      |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `max_removed_rows`?
      = help: the limits are: max_added_rows, max_changed_rows, max_removed_rows, row_count_change

    error[wrong-value]: `max_changed_rows` is `5 percent`, which is no limit
     --> models/schema.yml:3:21
      |
    3 |     config: {audit: {max_changed_rows: 5 percent, max_removd_rows: 1}}
      |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write a number of rows, or a part of the rows before: `5%`

    3 errors
    ");
}

#[test]
fn rows_of_what_is_built_are_compared_with_what_readers_see() {
    let shop = shop("{max_removed_rows: 1}");
    shop.write("models/same.sql", "{{ config(materialized='table') }} select 1 as n");
    assert!(shop.run().expect("a run").is_good());
    shop.replace(
        "models/m.sql",
        "i * 2 as n from range(100)",
        "if(i = 7, 0, i * 2) as n, 'x' as note from range(2, 101)",
    );
    shop.write("models/new.sql", "{{ config(materialized='table') }} select 1 as n");
    let told = |arguments: &[&str]| {
        let output = binary(shop.root(), arguments).output().expect("it runs");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        format!("{text}exit {}", output.status.code().expect("an exit code"))
    };
    insta::assert_snapshot!(told(&["diff", "--data"]), @r"
    m — not built: its SQL or configuration changed
    new — not built: new
    1 model has the build that is published
    exit 0
    ");
    told(&["run", "--no-publish"]);
    insta::assert_snapshot!(told(&["diff", "--data"]), @r"
    m — 100 rows → 99: 1 added, 2 removed, 1 changed (by id)
        2 of 100 rows are gone (2.0%): `max_removed_rows` is 1
        the column came: note
        rows changed in n 1
        ~ id=7: n 14 → 0
        - id=0 n=0
        - id=1 n=2
        + id=100 n=200 note=x
    new — new with 1 row: nothing is published to compare it with
    1 model has the build that is published
    exit 1
    ");
    insta::assert_snapshot!(told(&["diff", "--data", "-s", "m", "--key", "nope"]), @r"
    m — not compared: it has no column `nope` on both sides
    exit 1
    ");
    insta::assert_snapshot!(told(&["diff", "--data", "-s", "m", "--key", "id", "--log-format", "json"]), @r#"
    {"node":"model.shop.m","limits_passed":["2 of 100 rows are gone (2.0%): `max_removed_rows` is 1"],"state":"compared","key":["id"],"rows_before":100,"rows_after":99,"added":1,"removed":2,"changed":1,"changed_by_column":[{"column":"n","rows":1}],"columns_added":["note"],"columns_removed":[],"columns_retyped":[],"key_not_unique":null,"samples":{"added":[{"id":"100","n":"200","note":"x"}],"removed":[{"id":"0","n":"0"},{"id":"1","n":"2"}],"changed":[{"key":{"id":"7"},"cells":[{"column":"n","before":"14","after":"0"}]}]}}
    exit 1
    "#);
    insta::assert_snapshot!(told(&["diff", "--data", "--base", "HEAD"]), @r"
    error: there are no rows of `HEAD` to compare with
    help: rows are compared with what readers see: leave `--base` out, or write `--base published`
    exit 2
    ");
    assert_eq!(shop.query("select count(*) from main.m"), "100");
}
