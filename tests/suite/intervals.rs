//! Models that are built by intervals: a time column and a grain, a ledger of what is done, late rows, windows that are done
//! again.

use kiln::run::event::{Ending, Outcome, RowChange, RunReport};

use crate::incremental::{change, failure, good, plan, run_with, shop};
use crate::support::Shop;

/// Events that arrive in files, days made of them, and weekdays made of the days: both by intervals.
fn days(lookback: u64) -> Shop {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets:\n  dev: {type: duckdb, path: shop.duckdb, keep_releases: 5}\n"),
        (
            "models/raw/sources.yml",
            "sources:
  - name: api
    tables:
      - name: events
        files: landing/*.csv
        columns:
          - {name: id, data_type: bigint}
          - {name: happened, data_type: timestamp}
          - {name: amount, data_type: varchar}
",
        ),
        (
            "models/raw/raw_events.sql",
            "{{ config(event_time='happened') }}\nselect * from {{ source('api', 'events') }}\n",
        ),
        (
            "models/curated/orders.sql",
            "{{ config(materialized='incremental', incremental_strategy='interval', event_time='happened', batch_size='day', begin='2026-01-01', lookback=LOOKBACK) }}
select id, happened, amount::bigint as amount from {{ ref('raw_events') }}
",
        ),
        (
            "models/curated/per_day.sql",
            "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day', batch_size='day', begin='2026-01-01', lookback=0) }}
select date_trunc('day', happened) as day, '{{ interval.start }}' as start, count(*) as events, sum(amount) as amount
from {{ ref('orders') }} group by 1
",
        ),
    ]);
    shop.replace("models/curated/orders.sql", "LOOKBACK", &lookback.to_string());
    shop.write(
        "landing/1.csv",
        "id,happened,amount\n1,2026-01-01 08:00:00,10\n2,2026-01-02 08:00:00,20\n3,2026-01-03 23:59:59,30\n",
    );
    shop
}

fn per_day(shop: &Shop) -> String {
    shop.query("select day::date, start[:10], events, amount from curated.per_day order by all")
}

#[test]
fn intervals_are_built_up_to_the_newest_data() {
    let shop = days(0);
    insta::assert_snapshot!(plan(&shop, None), @"later: new: `raw_events` has never been loaded");
    good(&shop);
    assert_eq!(
        per_day(&shop),
        "2026-01-01|2026-01-01|1|10\n2026-01-02|2026-01-02|1|20\n2026-01-03|2026-01-03|1|30"
    );
    let ledger = "select model, start::date, \"end\"::date, status, rows from _kiln.interval where model = 'orders' order by built_at, start";
    assert_eq!(
        shop.query(ledger),
        "orders|2026-01-01|2026-01-02|built|1\norders|2026-01-02|2026-01-03|built|1\norders|2026-01-03|2026-01-04|built|1"
    );
    assert!(matches!(good(&shop).ending, Ending::Unchanged { .. }));
    // A day that was not whole, a day without events, and a new one.
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-03 12:00:00,31\n5,2026-01-05 00:00:00,50\n");
    good(&shop);
    assert_eq!(
        per_day(&shop),
        "2026-01-01|2026-01-01|1|10\n2026-01-02|2026-01-02|1|20\n2026-01-03|2026-01-03|2|61\n2026-01-05|2026-01-05|1|50"
    );
    let newest = "select string_agg(strftime(start, '%d'), ' ' order by start) from _kiln.interval where model = 'orders' and run_id = (select max(run_id) from _kiln.run)";
    assert_eq!(shop.query(newest), "03 04 05");
}

#[test]
fn late_rows_come_with_lookback_or_with_a_window() {
    let shop = days(1);
    good(&shop);
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-01 12:00:00,11\n5,2026-01-02 12:00:00,21\n");
    good(&shop);
    // The child looks back nowhere, and follows what its parent built again.
    assert_eq!(
        per_day(&shop),
        "2026-01-01|2026-01-01|1|10\n2026-01-02|2026-01-02|2|41\n2026-01-03|2026-01-03|1|30"
    );
    let window = |from: &str, to: &str| {
        let moment = |text: &str| kiln::manifest::moment(text).expect("a moment");
        Some(kiln::template::Window { start: moment(from), end: moment(to) })
    };
    let report = run_with(&shop, |options| options.window = window("2026-01-01", "2026-01-02"));
    assert!(report.is_good(), "{report:#?}");
    assert_eq!(change(&report), Some(RowChange { added: 2, replaced: 1 }));
    assert_eq!(
        per_day(&shop),
        "2026-01-01|2026-01-01|2|21\n2026-01-02|2026-01-02|2|41\n2026-01-03|2026-01-03|1|30"
    );
    assert!(matches!(good(&shop).ending, Ending::Unchanged { .. }));
    // New data is not forgotten because a window was done in between.
    shop.write("landing/3.csv", "id,happened,amount\n6,2026-01-04 12:00:00,40\n");
    run_with(&shop, |options| options.window = window("2026-01-02", "2026-01-03"));
    assert_eq!(shop.query("select max(day)::date from curated.per_day"), "2026-01-03");
    good(&shop);
    assert_eq!(shop.query("select max(day)::date from curated.per_day"), "2026-01-04");
    // Nor are rows of intervals that are there.
    shop.write("landing/4.csv", "id,happened,amount\n7,2026-01-03 12:00:00,300\n8,2026-01-04 13:00:00,400\n");
    run_with(&shop, |options| options.window = window("2026-01-01", "2026-01-02"));
    good(&shop);
    let last = "select string_agg(amount, ' ' order by day) from curated.per_day where day >= '2026-01-03'";
    assert_eq!(shop.query(last), "330 440");
    assert!(matches!(good(&shop).ending, Ending::Unchanged { .. }));
}

#[test]
fn intervals_go_forward_with_a_changed_definition() {
    let shop = days(0);
    shop.replace("models/curated/orders.sql", "lookback=0", "lookback=0, on_change='forward'");
    good(&shop);
    shop.replace("models/curated/orders.sql", "amount::bigint", "amount::bigint * 100");
    insta::assert_snapshot!(plan(&shop, None), @"build: its SQL or configuration changed: no interval is due");
    good(&shop);
    insta::assert_snapshot!(plan(&shop, None), @"reuse: unchanged since the release");
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-04 12:00:00,40\n");
    good(&shop);
    let built = "select string_agg(day::date || ' ' || amount, ', ' order by day) from curated.per_day";
    assert_eq!(shop.query(built), "2026-01-01 10, 2026-01-02 20, 2026-01-03 3000, 2026-01-04 4000");
    // A window beyond the data has no interval either.
    shop.write("landing/3.csv", "id,happened,amount\n5,2026-01-04 13:00:00,50\n");
    let moment = |text: &str| kiln::manifest::moment(text).expect("a moment");
    let report = run_with(&shop, |options| {
        options.window =
            Some(kiln::template::Window { start: moment("2026-02-01"), end: moment("2026-02-03") });
    });
    assert!(report.is_good(), "{report:#?}");
    good(&shop);
    assert_eq!(shop.query("select amount from curated.per_day where day = '2026-01-04'"), "9000");
}

#[test]
fn a_table_can_begin_later_than_its_data() {
    let shop = days(0);
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-05 12:00:00,50\n");
    run_with(&shop, |options| {
        let window = |day: &str| kiln::manifest::moment(day).expect("a moment");
        options.window =
            Some(kiln::template::Window { start: window("2026-01-02"), end: window("2026-01-04") });
    });
    let found = "select string_agg(id, ' ' order by id) from curated.orders";
    assert_eq!(shop.query(found), "2 3");
    good(&shop);
    assert_eq!(shop.query(found), "2 3 4", "what came before its beginning stays out");
    let covered = "select covered from _kiln.increment where model = 'orders' and version = 2";
    assert_eq!(shop.query(covered), "2026-01-02 00:00:00/2026-01-06 00:00:00");
}

#[test]
fn an_interval_that_failed_is_done_again_alone() {
    let shop = days(0);
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-02 12:00:00,much\n");
    insta::assert_snapshot!(failure(&shop), @"
    error[sql-data]: `orders` did not build: could not convert string 'much' to INT64 when casting from source column amount (1 day from 2026-01-02 to 2026-01-03 failed; the other 2 are kept for the next run)
     --> models/curated/orders.sql:2:28
      |
    2 | select id, happened, amount::bigint as amount from {{ ref('raw_events') }}
      |                            ^^^^^^^^
    ");
    let ledger = "select start::date, status, run_id = (select max(run_id) from _kiln.run) as now from _kiln.interval where model = 'orders' order by built_at, start";
    assert_eq!(shop.query(ledger), "2026-01-01|built|true\n2026-01-02|failed|true\n2026-01-03|built|true");
    failure(&shop);
    assert_eq!(
        shop.query(ledger),
        "2026-01-01|built|false\n2026-01-02|failed|false\n2026-01-03|built|false\n2026-01-02|failed|true"
    );
    shop.replace("models/curated/orders.sql", "amount::bigint", "try_cast(amount as bigint)");
    good(&shop);
    assert_eq!(shop.query("select sum(events), sum(amount) from curated.per_day"), "4|60");
}

#[test]
fn an_interval_that_is_done_again_and_is_the_same_makes_no_version() {
    let shop = days(1);
    good(&shop);
    shop.write("landing/2.csv", "id,happened,amount\n");
    let before = shop.query("select count(*) from _kiln.increment");
    let report = run_with(&shop, |options| {
        let moment = |text: &str| kiln::manifest::moment(text).expect("a moment");
        options.window =
            Some(kiln::template::Window { start: moment("2026-01-01"), end: moment("2026-01-03") });
    });
    assert!(matches!(report.ending, Ending::Unchanged { release_id: Some(1) }), "{:?}", report.ending);
    assert_eq!(shop.query("select count(*) from _kiln.increment"), before);
    let ledger = "select count(*) from _kiln.interval where model = 'orders' and run_id = (select max(run_id) from _kiln.run)";
    assert_eq!(shop.query(ledger), "2", "the ledger says that it was done again");
    shop.write("landing/3.csv", "id,happened,amount\n4,2026-01-04 12:00:00,40\n");
    good(&shop);
    assert_eq!(shop.query("select count(*) from curated.per_day"), "4");
}

#[test]
fn a_window_is_for_models_that_are_built_by_intervals() {
    let said = |shop: &Shop, arguments: &[&str]| {
        let output = crate::support::binary(shop.root(), arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    insta::assert_snapshot!(said(&days(0), &["run", "-s", "raw_events", "--from", "2026-01-01"]), @"
    error: `--from` and `--to` change nothing: no selected model is built by intervals
    help: those that are: `orders`, `per_day`
    ");
    insta::assert_snapshot!(said(&shop("incremental_strategy='append'"), &["run", "--from", "2026-01-01"]), @"
    error: `--from` and `--to` change nothing: no selected model is built by intervals
    help: `incremental_strategy: interval` makes a model one that is
    ");
}

/// What a run says of tests that warned.
fn warned(report: &RunReport) -> String {
    let told = report.tests().filter(|test| test.status == kiln::run::event::TestStatus::Warn);
    told.map(|test| format!("{}: {}\n", test.name, test.message.as_deref().unwrap_or_default())).collect()
}

#[test]
fn rows_that_no_interval_takes_in_are_counted() {
    let shop = days(1);
    shop.write(
        "landing/2.csv",
        "id,happened,amount\n7,,1\n8,2025-12-31 08:00:00,1\n9,infinity,1\n10,-infinity,1\n",
    );
    shop.replace(
        "models/raw/sources.yml",
        "files: landing/*.csv",
        "files: landing/*.csv\n        options: {nullstr: ''}",
    );
    let report = good(&shop);
    insta::assert_snapshot!(warned(&report), @"
    event_time_orders: 1 row of `raw_events` left out: `happened` is NULL
    2 rows of `raw_events` left out: `happened` is infinite
    1 row of `raw_events` left out: `happened` is before `begin`, 2026-01-01
    ");
    assert_eq!(shop.query("select max(day)::date, sum(events) from curated.per_day"), "2026-01-03|3");
    let kept = "select status, failures from _kiln.test_result where test = 'event_time_orders' order by all";
    assert_eq!(shop.query(kept), "warn|4");
    // Nothing is done, and nothing is said again; the next rows say what is still left out.
    assert_eq!(warned(&good(&shop)), "");
    shop.write("landing/3.csv", "id,happened,amount\n4,2026-01-04 12:00:00,40\n");
    insta::assert_snapshot!(warned(&good(&shop)), @"
    event_time_orders: 1 row of `raw_events` left out: `happened` is NULL
    2 rows of `raw_events` left out: `happened` is infinite
    ");
}

#[test]
fn rows_of_another_interval_than_the_one_they_are_made_for_are_counted() {
    let shop = days(1);
    shop.replace(
        "models/curated/orders.sql",
        "select id, happened,",
        "select id, date_trunc('month', nullif(happened, '2026-01-01 08:00:00')) as happened,",
    );
    insta::assert_snapshot!(warned(&good(&shop)), @"
    event_time_orders: 1 row of its query left out: `happened` is NULL
    2 rows of its query left out: `happened` is not in the interval that they were made for
    ");
    assert_eq!(shop.query("select count(*) from curated.orders"), "0");
}

#[test]
fn rows_of_parents_without_a_time_are_counted_too() {
    let shop = days(1);
    shop.write("models/raw/raw_events.sql", "select * from {{ source('api', 'events') }}\n");
    shop.write("landing/2.csv", "id,happened,amount\n7,,1\n8,2025-12-31 08:00:00,1\n");
    shop.replace(
        "models/raw/sources.yml",
        "files: landing/*.csv",
        "files: landing/*.csv\n        options: {nullstr: ''}",
    );
    shop.replace("models/curated/orders.sql", "'day'", "'month'");
    insta::assert_snapshot!(warned(&good(&shop)), @"
    event_time_orders: 1 row of its query left out: `happened` is NULL
    1 row of its query left out: `happened` is before `begin`, 2026-01-01
    ");
    assert_eq!(shop.query("select count(*) from curated.orders"), "3");
}

#[test]
fn a_model_without_any_interval_yet_has_children() {
    let shop = days(1);
    shop.write("landing/1.csv", "id,happened,amount\n");
    good(&shop);
    assert_eq!(shop.query("select count(*) from curated.per_day"), "0");
    shop.write("landing/2.csv", "id,happened,amount\n1,2026-01-01 08:00:00,10\n");
    good(&shop);
    assert_eq!(shop.query("select count(*) from curated.per_day"), "1");
}

#[test]
fn a_row_of_the_future_makes_nothing_late() {
    let shop = days(0);
    shop.write("landing/2.csv", "id,happened,amount\n4,2999-01-01 08:00:00,40\n");
    insta::assert_snapshot!(warned(&good(&shop)), @"event_time_orders: 1 row of `raw_events` left out for now: `happened` is in the future");
    // Nor does a window that goes beyond the data.
    let shop = days(0);
    good(&shop);
    run_with(&shop, |options| {
        let moment = |day: &str| kiln::manifest::moment(day).expect("a moment");
        options.window =
            Some(kiln::template::Window { start: moment("2026-01-03"), end: moment("2026-02-01") });
    });
    shop.write("landing/3.csv", "id,happened,amount\n5,2026-01-05 12:00:00,50\n6,2026-01-09 12:00:00,60\n");
    good(&shop);
    assert_eq!(shop.query("select sum(events), sum(amount) from curated.per_day"), "5|170");
}

#[test]
fn what_kiln_cannot_watch_is_looked_at_through_views_too() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n"),
        ("models/sources.yml", "sources: [{name: src, schema: src, tables: [{name: arrived}]}]\n"),
        (
            "models/seen.sql",
            "{{ config(materialized='view', event_time='at') }} select * from {{ source('src', 'arrived') }}\n",
        ),
        ("models/pasted.sql", "{{ config(materialized='ephemeral') }} select * from {{ ref('seen') }}\n"),
        (
            "models/total.sql",
            "{{ config(materialized='table') }} select count(*) as n from {{ ref('pasted') }}\n",
        ),
        (
            "models/taken.sql",
            "{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }} select * from {{ ref('seen') }}\n",
        ),
        (
            "models/by_day.sql",
            "{{ config(materialized='incremental', incremental_strategy='interval', event_time='at', batch_size='day', begin='2026-01-01', lookback=3) }} select * from {{ ref('seen') }}\n",
        ),
    ]);
    let database = shop.root().join("shop.duckdb");
    let changes = |sql: &str| {
        let connection = duckdb::Connection::open(&database).expect("a database");
        connection.execute_batch(sql).expect("it runs");
    };
    changes("create schema src; create table src.arrived as select 1 as id, timestamp '2026-01-05' as at");
    good(&shop);
    let found = || {
        shop.query(
            "select (from main.total), (select count(*) from main.taken), (select count(*) from main.by_day)",
        )
    };
    assert_eq!(found(), "1|1|1");
    changes("insert into src.arrived values (2, '2026-01-03'), (3, '2026-01-01')");
    good(&shop);
    // What is older than `lookback` is late.
    assert_eq!(found(), "3|3|2");
    let nothing = good(&shop);
    let taken = nothing.nodes.iter().find(|node| node.node.short() == "taken").expect("a report");
    assert!(matches!(taken.outcome, Outcome::NothingNew), "{:?}", taken.outcome);
}

/// Events as [`days`] has them, read through a model that has no rows of its own.
fn days_through(materialized: &str) -> Shop {
    let shop = days(1);
    shop.write(
        "models/curated/seen.sql",
        &format!("{{{{ config(materialized='{materialized}', event_time='happened') }}}} select * from {{{{ ref('raw_events') }}}}\n"),
    );
    shop.write(
        "models/curated/again.sql",
        &format!("{{{{ config(materialized='{materialized}', event_time='happened') }}}} select * from {{{{ ref('orders') }}}}\n"),
    );
    shop.replace("models/curated/orders.sql", "ref('raw_events')", "ref('seen')");
    shop.replace("models/curated/per_day.sql", "ref('orders')", "ref('again')");
    shop
}

#[test]
fn intervals_are_built_and_followed_through_models_without_rows() {
    for materialized in ["view", "ephemeral"] {
        let shop = days_through(materialized);
        good(&shop);
        let first = "2026-01-01|2026-01-01|1|10\n2026-01-02|2026-01-02|1|20\n2026-01-03|2026-01-03|1|30";
        assert_eq!(per_day(&shop), first, "{materialized}");
        let ledger = "select count(*) from _kiln.interval where model = 'per_day'";
        assert_eq!(shop.query(ledger), "3", "it ends where the data does");
        // The child looks back nowhere, and follows what was built again behind what it reads.
        shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-02 12:00:00,21\n");
        good(&shop);
        let second = first.replace("2|1|20", "2|2|41");
        assert_eq!(per_day(&shop), second, "{materialized}");
        assert!(matches!(good(&shop).ending, Ending::Unchanged { .. }));
        shop.write("landing/3.csv", "id,happened,amount\n5,,1\n");
        let message = warned(&good(&shop));
        assert!(message.contains("1 row of `seen` left out: `happened` is NULL"), "{message}");
    }
}

#[test]
fn what_an_ephemeral_model_reads_is_not_cut_to_the_interval() {
    let shop = days(0);
    shop.write(
        "models/curated/all_time.sql",
        "{{ config(materialized='ephemeral') }} select count(*) as n from {{ ref('raw_events') }}\n",
    );
    shop.replace(
        "models/curated/orders.sql",
        "amount::bigint as amount from {{ ref('raw_events') }}",
        "n as amount from {{ ref('raw_events') }}, {{ ref('all_time') }}",
    );
    good(&shop);
    assert_eq!(shop.query("select distinct amount from curated.orders"), "3");
}

#[test]
fn rows_that_came_too_late_for_their_interval_are_counted_once() {
    let shop = days(1);
    good(&shop);
    shop.write(
        "landing/2.csv",
        "id,happened,amount\n4,2026-01-01 12:00:00,11\n5,2026-01-01 13:00:00,12\n6,2026-01-02 12:00:00,21\n7,2026-01-04 12:00:00,40\n",
    );
    insta::assert_snapshot!(warned(&good(&shop)), @"event_time_orders: 3 rows of `raw_events` came too late for an interval: `kiln run --select orders+ --from 2026-01-01 --to 2026-01-03` takes them in");
    shop.write("landing/3.csv", "id,happened,amount\n8,2026-01-04 13:00:00,41\n");
    assert_eq!(warned(&good(&shop)), "", "they were said already");
    // What changes nothing else is said too, and through models without rows.
    let shop = days_through("view");
    good(&shop);
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-01 12:30:00,11\n");
    let report = good(&shop);
    insta::assert_snapshot!(warned(&report), @"event_time_orders: 1 row of `raw_events` came too late for an interval: `kiln run --select orders+ --from 2026-01-01 --to 2026-01-02` takes it in");
    assert!(matches!(
        report.nodes.iter().find(|node| node.node.short() == "orders").expect("a report").outcome,
        Outcome::NothingNew
    ));
    let output = crate::support::binary(
        shop.root(),
        &["run", "--select", "orders+", "--from", "2026-01-01", "--to", "2026-01-02"],
    )
    .output()
    .expect("it runs");
    assert!(output.status.success());
    assert!(per_day(&shop).starts_with("2026-01-01|2026-01-01|2|21\n"), "{}", per_day(&shop));
    // A table that was loaded anew has no late rows: all of its rows are new.
    let report = run_with(&shop, |options| options.load = kiln::run::land::Which::All);
    assert_eq!(warned(&report), "");
}

#[test]
fn a_table_outside_has_an_event_time_too() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n"),
        (
            "models/sources.yml",
            "sources: [{name: src, schema: src, tables: [{name: arrived, config: {event_time: happened}}]}]\n",
        ),
        (
            "models/by_day.sql",
            "{{ config(materialized='incremental', incremental_strategy='interval', event_time='happened', batch_size='day', begin='2026-01-01', lookback=1) }} select id, happened, (select count(*) from {{ source('src', 'arrived') }}) as seen from {{ source('src', 'arrived') }}\n",
        ),
    ]);
    let changes = |sql: &str| {
        let connection = duckdb::Connection::open(shop.root().join("shop.duckdb")).expect("a database");
        connection.execute_batch(sql).expect("it runs");
    };
    changes(
        "create schema src; create table src.arrived as from (values (1, timestamp '2026-01-03'), (2, timestamp '2026-01-04 12:00:00'), (3, timestamp '2026-01-04 13:00:00'), (4, NULL)) t(id, happened)",
    );
    let report = good(&shop);
    insta::assert_snapshot!(warned(&report), @"event_time_by_day: 1 row of `src.arrived` left out: `happened` is NULL");
    // It ends with the newest row, and each interval reads its own part of the table.
    assert_eq!(shop.query("select count(*), max(\"end\")::date from _kiln.interval"), "4|2026-01-05");
    assert_eq!(shop.query("select id, seen from main.by_day order by id"), "1|1\n2|2\n3|2");
    changes("insert into src.arrived values (5, '2026-01-03 10:00:00'), (6, '2026-01-05')");
    good(&shop);
    assert_eq!(shop.query("select id, seen from main.by_day order by id"), "1|1\n2|2\n3|2\n6|1");
    shop.replace("models/sources.yml", "event_time: happened", "event_time: hapened");
    insta::assert_snapshot!(shop.refused(&["run"]), @r#"
    error[event-time]: the `event_time` `hapened` of `src.arrived` cannot be read as a time: Referenced column "hapened" not found in FROM clause!
     --> models/sources.yml:1:52
      |
    1 | sources: [{name: src, schema: src, tables: [{name: arrived, config: {event_time: hapened}}]}]
      |                                                    ^^^^^^^
      |
      = help: name a column of it that is a DATE or a TIMESTAMP in UTC

    1 error
    "#);
    shop.replace("models/sources.yml", "event_time: hapened", "event_time: [happened]");
    insta::assert_snapshot!(shop.refused(&["run"]), @"
    error[wrong-type]: `event_time` must be the name of a column
     --> models/sources.yml:1:82
      |
    1 | sources: [{name: src, schema: src, tables: [{name: arrived, config: {event_time: [happened]}}]}]
      |                                                                                  ^^^^^^^^^^

    1 error
    ");
}

#[test]
fn a_value_that_does_not_fit_the_column_of_another_interval_is_told_with_the_types() {
    let shop = days(0);
    good(&shop);
    shop.replace("models/curated/orders.sql", "batch_size='day'", "batch_size='day', on_change='forward'");
    shop.replace("models/curated/orders.sql", "amount::bigint", "amount");
    shop.write("landing/2.csv", "id,happened,amount\n4,2026-01-03 12:00:00,much\n");
    insta::assert_snapshot!(failure(&shop), @"
    error[sql-data]: `orders` did not build: could not convert string 'much' to INT64 when casting from source column amount
     --> models/curated/orders.sql:1:1
      |
    1 | {{ config(materialized='incremental', incremental_strategy='interval', event_time='happened', batch_size='day', on_change='forward', ...
      | ^
      |
      = help: `amount` is VARCHAR now and BIGINT in the table
      = help: cast it in the model, write `on_schema_change='sync_all_columns'`, or run with `--full-refresh`
    ");
}
