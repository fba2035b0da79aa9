//! Unit tests through the library and the binary: they run before anything is built, and what fails them is not built.

use crate::support::{Shop, binary};

const FILES: [(&str, &str); 7] = [
    (
        "kiln.yml",
        "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n",
    ),
    ("seeds/orders.csv", "order_id,day,amount\n1,2026-01-01,10\n2,2026-01-01,5\n"),
    (
        "models/paid.sql",
        "{{ config(materialized='table') }}\nselect * from {{ ref('orders') }} where amount > 0\n",
    ),
    (
        "models/revenue.sql",
        "{{ config(materialized='table') }}\nselect day, sum(amount) as revenue from {{ ref('paid') }} group by day\n",
    ),
    (
        "models/other.sql",
        "{{ config(materialized='table') }}\nselect count(*) as n from {{ ref('orders') }}\n",
    ),
    (
        "models/last.sql",
        "{{ config(materialized='table') }}\nselect max(revenue) as best from {{ ref('revenue') }}\n",
    ),
    (
        "models/schema.yml",
        "
models:
  - name: revenue
    columns: [{name: day, data_tests: [not_null]}]
unit_tests:
  - name: leaves_out_the_unpaid
    model: paid
    given: [{input: ref('orders'), rows: [{order_id: 1, amount: 0}, {order_id: 2, amount: 1}]}]
    expect: {rows: [{order_id: 2}]}
  - name: sums_up
    model: revenue
    given:
      - input: ref('orders')
        rows:
          - {day: 2026-01-01, amount: 10}
          - {day: 2026-01-01, amount: 5}
          - {day: 2026-01-02, amount: 7}
    expect:
      rows:
        - {day: 2026-01-02, revenue: 7}
        - {day: 2026-01-01, revenue: 15}
",
    ),
];

fn failing() -> Shop {
    let shop = Shop::of(&FILES);
    shop.replace("models/revenue.sql", "sum(amount)", "max(amount)");
    shop
}

fn output(shop: &Shop, arguments: &[&str]) -> (i32, String) {
    let output = binary(shop.root(), arguments).output().expect("it runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit code"), text)
}

/// Without what differs from run to run.
fn quiet(text: &str) -> String {
    let seconds = regex::Regex::new(r"\d+\.\d\ds").expect("a sound pattern");
    let text = seconds.replace_all(text, "0.00s").into_owned();
    let slowest = regex::Regex::new(r" \(slowest: [^)]*\)").expect("a sound pattern");
    slowest.replace_all(&text, "").into_owned()
}

#[test]
fn a_model_that_fails_its_unit_test_is_not_built_nor_what_reads_it() {
    let shop = failing();
    let (code, text) = output(&shop, &["run"]);
    assert_eq!(code, 1, "{text}");
    let text = text[text.find("FAIL revenue").expect("a failure")..].to_owned();
    insta::assert_snapshot!(quiet(&text), @r"
    FAIL revenue · unit test sums_up — 2 rows expected, 2 came, 1 is as expected
      declared at models/schema.yml:10:11
          day         revenue
        ~ 2026-01-01  15 → 10
      re-run:   kiln run --select revenue+

     Result   NOT PUBLISHED — 1 test failed; dev has no release yet
     Models   3 built · 1 failed · 1 skipped = 5
     Tests    1 passed · 1 failed · 1 not run = 3
     Time     0.00s
    ");
    assert_eq!(
        shop.query("select string_agg(distinct model, ',' order by model) from _kiln.build"),
        "orders,other,paid"
    );
    assert_eq!(
        shop.query(
            "select test, status, failures from _kiln.test_result where test not like '%null%' order by test"
        ),
        "paid.leaves_out_the_unpaid|pass|0\nrevenue.sums_up|fail|1"
    );
    shop.replace("models/revenue.sql", "max(amount)", "sum(amount)");
    let (code, text) = output(&shop, &["run"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(shop.query("select best from main.last"), "15");
}

#[test]
fn a_partial_run_publishes_what_does_not_depend_on_it() {
    let shop = failing();
    let (code, text) = output(&shop, &["run", "--partial"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(
        shop.query("select string_agg(model, ',' order by model) from _kiln.release_model"),
        "orders,other,paid"
    );
}

#[test]
fn unit_tests_need_no_database() {
    let shop = failing();
    let (code, text) = output(&shop, &["test", "-s", "test_type:unit"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(quiet(&text), @r"
    FAIL revenue · unit test sums_up — 2 rows expected, 2 came, 1 is as expected
      declared at models/schema.yml:10:11
          day         revenue
        ~ 2026-01-01  15 → 10
      re-run:   kiln test --select revenue.sums_up

     Result   FAILED — 2 unit tests run in memory
     Tests    1 passed · 1 failed = 2
     Time     0.00s
    ");
    assert!(!shop.root().join("shop.duckdb").exists());
    let (code, text) = output(&shop, &["test", "-s", "paid"]);
    assert_eq!((code, quiet(&text).lines().last()), (0, Some(" Time     0.00s")), "{text}");
    let results = std::fs::read_to_string(shop.root().join("target/run_results.json")).expect("the results");
    assert!(results.contains("\"unit_test.shop.paid.leaves_out_the_unpaid\""), "{results}");
}

#[test]
fn colours_mark_what_differs() {
    let shop = failing();
    let (_, text) = output(&shop, &["test", "-s", "sums_up", "--color", "always"]);
    let row = text.lines().find(|line| line.contains("2026-01-01")).expect("the row");
    insta::assert_snapshot!(row.replace('\u{1b}', "ESC"), @"    ESC[33m~ESC[0m 2026-01-01  ESC[1;31m15ESC[0m ESC[2m→ESC[0m ESC[32m10ESC[0m");
}

#[test]
fn compiling_runs_them_when_it_is_asked_to() {
    let shop = failing();
    let (code, text) = output(&shop, &["compile"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = output(&shop, &["compile", "--unit-tests"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(quiet(&text), @r"
    FAIL revenue · unit test sums_up — 2 rows expected, 2 came, 1 is as expected
      declared at models/schema.yml:10:11
          day         revenue
        ~ 2026-01-01  15 → 10
      re-run:   kiln compile --unit-tests --select revenue.sums_up
     Compiled 4 models and 1 test to target/compiled/shop in 0.00s
     10 columns known
     Unit tests: 1 passed · 1 failed = 2
    ");
    shop.replace("models/schema.yml", "{day: 2026-01-02, amount: 7}", "{dya: 2026-01-02, amount: 7}");
    let (code, text) = output(&shop, &["compile", "--unit-tests"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(quiet(&text), @r"
    error[unit-test-column]: `orders` has no column `dya`
      --> models/schema.yml:17:14
       |
    17 |           - {dya: 2026-01-02, amount: 7}
       |              ^^^ no such column
       |
       = help: did you mean `day`?
       = help: `orders` has `order_id`, `day`, `amount`

    1 error
    ");
}

#[test]
fn data_tests_and_unit_tests_are_counted_together() {
    let shop = Shop::of(&FILES);
    let report = shop.run().expect("a run");
    assert!(report.is_good());
    let (code, text) = output(&shop, &["test"]);
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(quiet(&text), @r"
    Opened 3 tests of shop in 0.00s · target dev · 2 threads

    Result   release 1 tested
    Tests    3 passed = 3
    Time     0.00s
    ");
    let (_, text) = output(&shop, &["ls", "--resource-type", "unit_test"]);
    assert_eq!(text, "paid.leaves_out_the_unpaid\nrevenue.sums_up\n");
}

#[test]
fn a_raw_model_that_fails_loads_nothing() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\nversion: \"1.0\"\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n"),
        (
            "models/raw/sources.yml",
            "
sources:
  - name: api
    tables:
      - {name: orders, files: 'landing/*.csv', columns: [{name: id, data_type: bigint}]}
unit_tests:
  - name: keeps_all
    model: raw_orders
    given: [{input: \"source('api', 'orders')\", rows: [{id: 1}, {id: 2}]}]
    expect: {rows: [{id: 1}, {id: 2}]}
",
        ),
        ("models/raw/raw_orders.sql", "select * from {{ source('api', 'orders') }} where id > 1\n"),
        ("landing/a.csv", "id\n1\n2\n"),
    ]);
    let (code, text) = output(&shop, &["run"]);
    assert_eq!(code, 1, "{text}");
    assert_eq!(shop.query("select count(*) from _kiln.load"), "0");
    shop.replace("models/raw/raw_orders.sql", " where id > 1", "");
    let (code, text) = output(&shop, &["run"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(shop.query("select count(*) from raw.raw_orders"), "2");
}

/// A model of so many columns, each of which is its row's number, and a unit test with a mistake in some.
fn wide(columns: usize, wrong: &[usize]) -> Shop {
    let names: Vec<String> = (0..columns).map(|at| format!("column_{at}")).collect();
    let made = |at: usize| format!("n * 1000 + {at} as {}", names[at]);
    let model = (0..columns).map(made).collect::<Vec<_>>().join(", ");
    let row = |n: usize| {
        let value = |at: usize| if n == 2 && wrong.contains(&at) { 7 } else { n * 1000 + at };
        let cells: Vec<String> = (0..columns).map(|at| format!("{}: {}", names[at], value(at))).collect();
        format!("        - {{{}}}\n", cells.join(", "))
    };
    let yaml = format!(
        "unit_tests:\n  - name: wide\n    model: wide\n    given: [{{input: ref('numbers'), rows: [{{n: 1}}, {{n: 2}}, {{n: 4}}]}}]\n    expect:\n      rows:\n{}{}{}",
        row(1),
        row(2),
        row(3)
    );
    Shop::of(&[
        FILES[0],
        ("seeds/numbers.csv", "n\n1\n"),
        ("models/wide.sql", &format!("select {model} from {{{{ ref('numbers') }}}}\n")),
        ("models/unit.yml", &yaml),
    ])
}

fn difference(shop: &Shop) -> String {
    let (_, text) = output(shop, &["test", "-s", "wide"]);
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("declared at")).skip(1).collect();
    let end = lines.iter().position(|line| line.contains("re-run")).unwrap_or(lines.len());
    assert!(lines[..end].iter().all(|line| line.chars().count() <= 80), "{text}");
    lines[..end].join("\n")
}

#[test]
fn a_difference_fits_into_a_terminal() {
    insta::assert_snapshot!(difference(&wide(4, &[1])), @"
      column_0  column_1  column_2  column_3
    ~ 2000      7 → 2001  2002      2003
    - 3000      3001      3002      3003       expected, did not come
    + 4000      4001      4002      4003       came, not expected
    ");
    insta::assert_snapshot!(difference(&wide(12, &[9])), @"
      column_0  column_1  column_2  column_3  column_4  column_5  column_9
    ~ 2000      2001      2002      2003      2004      2005      7 → 2009
    - 3000      3001      3002      3003      3004      3005      3009
    + 4000      4001      4002      4003      4004      4005      4009
      ... and 5 more columns
      - expected, did not come
      + came, not expected
    ");
    insta::assert_snapshot!(difference(&wide(30, &[1, 5, 6, 9, 12, 20, 21, 22, 29])), @"
    ~ column_0 2000  column_2 2002  column_3 2003  column_4 2004  ...
        column_1   7 → 2001
        column_5   7 → 2005
        column_6   7 → 2006
        column_9   7 → 2009
        column_12  7 → 2012
        column_20  7 → 2020
        column_21  7 → 2021
        column_22  7 → 2022
        column_29  7 → 2029
    - column_0 3000  column_1 3001  column_2 3002  ...  expected, did not come
    + column_0 4000  column_1 4001  column_2 4002  ...  came, not expected
    ");
}
