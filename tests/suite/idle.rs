//! A run with nothing to do, by the binary: which projects have one, and that it does nothing only where there is nothing.

use crate::support::{Shop, binary};

/// Every way to materialize a model, with unit tests, data tests and a contract.
fn shop() -> Shop {
    Shop::of(&[
        (
            "kiln.yml",
            "name: shop
targets:
  dev: {type: duckdb, path: target/shop.duckdb, threads: 2}
vars: {least: 0}
models:
  shop: {curated: {+materialized: table}}
",
        ),
        (
            "models/raw/sources.yml",
            "sources:\n  - name: api\n    tables: [{name: orders, files: landing/*.csv, columns: [{name: id, data_type: bigint}, {name: day, data_type: date}, {name: amount, data_type: bigint}]}]\n",
        ),
        (
            "models/raw/raw_orders.sql",
            "{{ config(event_time='day') }}\nselect * from {{ source('api', 'orders') }}\n",
        ),
        ("models/curated/appended.sql", &incremental("append")),
        ("models/curated/merged.sql", &incremental("merge")),
        ("models/curated/replaced.sql", &incremental("delete+insert")),
        (
            "models/curated/by_day.sql",
            "{{ config(materialized='incremental', incremental_strategy='interval', event_time='day', batch_size='day', begin='2026-01-01') }}\nselect day, amount from {{ ref('raw_orders') }} where day >= '{{ interval.start }}' and day < '{{ interval.end }}'\n",
        ),
        (
            "models/curated/light.sql",
            "{{ config(materialized='view') }}\nselect id from {{ ref('merged') }}\n",
        ),
        (
            "models/curated/pasted.sql",
            "{{ config(materialized='ephemeral') }}\nselect id, amount from {{ ref('merged') }}\n",
        ),
        (
            "models/curated/large.sql",
            "select id from {{ ref('pasted') }} where amount > {{ var('least') }}\n",
        ),
        ("seeds/names.csv", "id,name\n1,one\n2,two\n"),
        (
            "snapshots/history.sql",
            "{% snapshot history %}{{ config(strategy='check', unique_key='id', check_cols=['name']) }}\nselect id, name from {{ ref('names') }}\n{% endsnapshot %}\n",
        ),
        (
            "models/schema.yml",
            "models:
  - name: merged
    columns:
      - name: id
        data_tests: [unique, not_null]
unit_tests:
  - name: only_large_ones
    model: large
    given: [{input: ref('pasted'), rows: [{id: 1, amount: -9}, {id: 2, amount: 9}]}]
    expect: {rows: [{id: 2}]}
",
        ),
        ("landing/1.csv", "id,day,amount\n1,2026-01-01,10\n2,2026-01-02,20\n"),
    ])
}

fn incremental(strategy: &str) -> String {
    let key = if strategy == "append" { "" } else { ", unique_key='id'" };
    format!(
        "{{{{ config(materialized='incremental', incremental_strategy='{strategy}'{key}) }}}}
select id, day, amount from {{{{ ref('raw_orders') }}}}
{{% if is_incremental() %}}where id > (select max(id) from {{{{ this }}}}){{% endif %}}
"
    )
}

/// Exit code, and everything that is said.
fn run_with(shop: &Shop, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let mut command = binary(shop.root(), &[&["run"], arguments].concat());
    let output = command.envs(variables.iter().copied()).output().expect("kiln starts");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// Runs, which must be idle or not; gives what was said.
fn run(shop: &Shop, idle: Idle, what: &str) -> String {
    let (code, text) = run_with(shop, &[], &[]);
    assert_eq!(code, 0, "{what}: {text}");
    assert_eq!(text.contains("Looked at"), idle == Idle::Yes, "{what}: {text}");
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    Yes,
    No,
}

/// Takes one thing away from a project, or adds one, and runs: something is done, and then nothing.
fn notices(shop: &Shop, what: &str, change: impl FnOnce(&Shop)) -> String {
    change(shop);
    let text = run(shop, Idle::No, what);
    run(shop, Idle::Yes, &format!("after {what}"));
    text
}

#[test]
fn every_kind_of_model_can_have_nothing_to_do_and_is_built_when_it_has() {
    let shop = shop();
    run(&shop, Idle::No, "the first run");
    let text = run(&shop, Idle::Yes, "the next");
    assert!(text.contains("8 reused · 1 raw · 1 ephemeral = 10"), "{text}");
    assert!(text.contains("3 passed before = 3"), "{text}");
    let text = notices(&shop, "new rows", |shop| {
        shop.write("landing/2.csv", "id,day,amount\n3,2026-01-03,30\n");
    });
    assert!(text.contains("6 built · 2 reused · 1 raw"), "{text}");
    for table in ["appended", "merged", "replaced", "by_day"] {
        assert_eq!(shop.query(&format!("select count(*) from curated.{table}")), "3", "{table}");
    }
    notices(&shop, "a changed seed", |shop| shop.write("seeds/names.csv", "id,name\n1,one\n2,TWO\n"));
    assert_eq!(shop.query("select count(*) from main.history"), "3");
    notices(&shop, "a changed model", |shop| {
        shop.replace("models/curated/light.sql", "select id", "select id, amount");
    });
    notices(&shop, "a changed unit test", |shop| shop.replace("models/schema.yml", "id: 2}]", "id: 2}] "));
    notices(&shop, "a changed variable", |shop| shop.replace("kiln.yml", "least: 0", "least: 1"));
}

#[test]
fn a_unit_test_that_fails_is_not_passed_over() {
    let shop = shop();
    run(&shop, Idle::No, "the first run");
    shop.replace("models/schema.yml", "rows: [{id: 2}]", "rows: [{id: 1}]");
    for _ in 0..2 {
        let (code, text) = run_with(&shop, &[], &[]);
        assert_eq!(code, 1, "{text}");
    }
    shop.replace("models/schema.yml", "rows: [{id: 1}]", "rows: [{id: 2}]");
    run(&shop, Idle::No, "the test is right again");
    run(&shop, Idle::Yes, "and then there is nothing to do");
}

#[test]
fn what_comes_out_differently_each_time_is_never_passed_over() {
    let always = |what: &str, path: &str, text: &str| {
        let shop = shop();
        shop.write(
            "models/curated/aged.sql",
            "{{ config(materialized='view') }}\nselect id from {{ ref('names') }} where id < epoch_us(now())\n",
        );
        shop.write(path, text);
        for turn in ["first", "second", "third"] {
            run(&shop, Idle::No, &format!("{what}, {turn} run"));
        }
    };
    always("a table of random rows", "models/curated/dice.sql", "select random() as eyes\n");
    always(
        "a volatile increment",
        "models/curated/clock.sql",
        "{{ config(materialized='incremental') }}\nselect epoch_us(now()) as at\n",
    );
    always(
        "a template that asks for the time",
        "models/curated/when.sql",
        "select '{{ run_started_at }}' as at\n",
    );
    always(
        "a template that asks the database",
        "models/curated/asks.sql",
        "{% set found = run_query('select 1 as one') %}select 1 as one\n",
    );
    always(
        "a test that may pass now only",
        "tests/luck.sql",
        "select 1 from {{ ref('large') }} where random() > 2\n",
    );
    always(
        "a unit test of the clock",
        "models/curated/late.yml",
        "unit_tests:\n  - name: is_old\n    model: aged\n    given: [{input: ref('names'), rows: [{id: 1}]}]\n    expect: {rows: [{id: 1}]}\n",
    );
}

#[test]
fn what_it_followed_from_outside_of_the_project_is_looked_at() {
    let shop = shop();
    shop.write("models/curated/of_env.sql", "select '{{ env_var('SHOP_REGION', 'none') }}' as region\n");
    run(&shop, Idle::No, "the first run");
    run(&shop, Idle::Yes, "the same environment");
    let idle = |variables: &[(&str, &str)], arguments: &[&str]| {
        let (code, text) = run_with(&shop, variables, arguments);
        assert_eq!(code, 0, "{text}");
        text.contains("Looked at")
    };
    assert!(!idle(&[("SHOP_REGION", "north")], &[]), "another environment");
    assert!(idle(&[("SHOP_REGION", "north")], &[]), "which stays");
    assert!(!idle(&[], &[]), "and goes");
    assert!(!idle(&[], &["--vars", "least: 5"]), "another variable");
    assert!(!idle(&[], &["-s", "large"]), "another selection");
    assert!(!idle(&[], &["--full-refresh"]), "all of it anew");
    assert!(!idle(&[], &[]) && idle(&[], &[]), "the run before was another");
    let build =
        shop.query("select max(relation) from _kiln.build where model = 'large' and dropped_at is null");
    let connection = duckdb::Connection::open(shop.root().join("target/shop.duckdb")).expect("opens");
    connection.execute_batch(&format!("drop table _kiln_data.\"{build}\"")).expect("dropped");
    drop(connection);
    assert!(!idle(&[], &[]), "a build is gone from the database");
    std::fs::remove_file(shop.root().join("target/manifest.json")).expect("removed");
    assert!(!idle(&[], &[]) && shop.root().join("target/manifest.json").exists(), "an artifact is gone");
    std::fs::remove_file(shop.root().join("target/shop.duckdb")).expect("removed");
    assert!(!idle(&[], &[]), "the database is gone");
}

#[test]
fn warnings_and_what_templates_say_are_said_each_time() {
    let shop = shop();
    shop.write("models/curated/chatty.sql", "{{ log('good morning', info=true) }}select 1 as one\n");
    shop.write("models/serving/open.sql", "select id from {{ ref('large') }}\n");
    shop.replace("kiln.yml", "vars:", "severities: {contract-missing: warn}\nvars:");
    shop.write(
        "models/curated/warned.yml",
        "models:\n  - name: large\n    columns: [{name: id, data_tests: [{accepted_values: {values: [7], config: {severity: warn}}}]}]\n",
    );
    for idle in [Idle::No, Idle::No, Idle::Yes, Idle::Yes] {
        let text = run(&shop, idle, "a project that talks");
        assert!(text.contains("good morning") && text.contains("contract-missing"), "{text}");
        assert!(text.contains("WARN large · accepted_values(id)") && text.contains("1 warned = 4"), "{text}");
    }
}
