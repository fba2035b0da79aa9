//! Incremental models: what readers see after each run, and that nothing of it depends on what happened in between.

use kiln::run::event::{Ending, Event, Observer, Outcome, RowChange, RunReport};
use kiln::run::plan::Refresh;
use kiln::run::{Policy, RunOptions};

use crate::support::{Deaf, Shop};

/// A seed of orders, an incremental model on it, and a view and a table on that.
pub fn shop(config: &str) -> Shop {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets:\n  dev: {type: duckdb, path: shop.duckdb, keep_releases: 3}\n"),
        (
            "models/schema.yml",
            "models:
  - name: orders
    columns:
      - name: id
        data_tests: [not_null]
      - name: amount
        data_tests:
          - dbt_utils.accepted_range: {min_value: 0}
",
        ),
        ("models/large.sql", "select id, amount from {{ ref('orders') }} where amount >= 50\n"),
        (
            "models/total.sql",
            "{{ config(materialized='table') }}\nselect count(*) as orders, sum(amount) as amount from {{ ref('orders') }}\n",
        ),
    ]);
    model(&shop, config, "id, day, amount, batch");
    shop.write(
        "seeds/arrived.csv",
        "id,day,amount,batch\n1,2026-01-01,10,1\n2,2026-01-01,20,1\n3,2026-01-02,30,1\n",
    );
    shop
}

fn model(shop: &Shop, config: &str, columns: &str) {
    shop.write(
        "models/orders.sql",
        &format!(
            "{{{{ config(materialized='incremental', {config}) }}}}
select {columns} from {{{{ ref('arrived') }}}}
{{% if is_incremental() %}}
where batch > (select max(batch) from {{{{ this }}}})
{{% endif %}}
"
        ),
    );
}

/// Adds rows to the seed: `id,day,amount,batch`.
fn arrive(shop: &Shop, rows: &[&str]) {
    let path = shop.root().join("seeds/arrived.csv");
    let mut text = std::fs::read_to_string(&path).expect("a seed");
    for row in rows {
        text.push_str(row);
        text.push('\n');
    }
    std::fs::write(path, text).expect("a seed");
}

fn run(shop: &Shop) -> RunReport {
    run_with(shop, |_| {})
}

pub fn run_with(shop: &Shop, change: impl FnOnce(&mut RunOptions)) -> RunReport {
    shop.run_with(change).unwrap_or_else(|error| panic!("{error}"))
}

pub fn good(shop: &Shop) -> RunReport {
    let report = run(shop);
    assert!(report.is_good(), "{report:#?}");
    report
}

pub fn change(report: &RunReport) -> Option<RowChange> {
    report.nodes.iter().find(|node| node.node.short() == "orders").expect("a report").change
}

fn orders(shop: &Shop) -> String {
    shop.query("select id, amount, batch from main.orders order by all")
}

#[test]
fn merge_replaces_rows_with_the_same_key_and_adds_others() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    good(&shop);
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|30|1");
    arrive(&shop, &["2,2026-01-03,200,2", "4,2026-01-03,40,2"]);
    let report = good(&shop);
    assert_eq!(change(&report), Some(RowChange { added: 2, replaced: 1 }));
    assert_eq!(orders(&shop), "1|10|1\n2|200|2\n3|30|1\n4|40|2");
    assert_eq!(shop.query("select * from main.large"), "2|200");
    assert_eq!(shop.query("select * from main.total"), "4|280");
    assert!(matches!(good(&shop).ending, Ending::Unchanged { release_id: Some(2) }));
}

#[test]
fn append_adds_rows_and_asks_for_no_key() {
    let shop = shop("incremental_strategy='append'");
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2"]);
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 1, replaced: 0 }));
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n2|200|2\n3|30|1");
}

#[test]
fn delete_and_insert_replaces_all_rows_of_a_key() {
    let shop = shop("unique_key=['day']");
    good(&shop);
    arrive(&shop, &["7,2026-01-01,70,2", "8,2026-01-01,80,2", "9,,90,2"]);
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 3, replaced: 2 }));
    assert_eq!(orders(&shop), "3|30|1\n7|70|2\n8|80|2\n9|90|2");
    // A key that is NULL is nobody's.
    arrive(&shop, &["10,,100,3"]);
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 1, replaced: 0 }));
}

#[test]
fn a_merge_changes_the_columns_that_it_is_told_to() {
    let shop = shop("incremental_strategy='merge', unique_key='id', merge_update_columns=['batch']");
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2", "4,2026-01-03,40,2"]);
    good(&shop);
    assert_eq!(orders(&shop), "1|10|1\n2|20|2\n3|30|1\n4|40|2");
    model(
        &shop,
        "incremental_strategy='merge', unique_key='id', merge_exclude_columns=['batch']",
        "id, day, amount, batch",
    );
    arrive(&shop, &["1,2026-01-03,100,3"]);
    good(&shop);
    assert_eq!(orders(&shop), "1|100|1\n2|20|2\n3|30|1\n4|40|2");
}

#[test]
fn predicates_narrow_what_is_replaced() {
    let merge = "incremental_strategy='merge', unique_key='id', incremental_predicates=[\"DBT_INTERNAL_DEST.amount < 25\"]";
    let shop = shop(merge);
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2", "3,2026-01-03,300,2"]);
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 2, replaced: 1 }));
    assert_eq!(orders(&shop), "1|10|1\n2|200|2\n3|30|1\n3|300|2");
    model(&shop, "unique_key='id', incremental_predicates=['amount >= 300']", "id, day, amount, batch");
    arrive(&shop, &["1,2026-01-04,11,3", "3,2026-01-04,33,3"]);
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 2, replaced: 1 }));
    assert_eq!(orders(&shop), "1|10|1\n1|11|3\n2|200|2\n3|30|1\n3|33|3");
    model(&shop, "unique_key='id', incremental_predicates=['nothing = 1']", "id, day, amount, batch");
    arrive(&shop, &["1,2026-01-05,12,4"]);
    insta::assert_snapshot!(failure(&shop), @r#"
    error[incremental-predicates]: the `incremental_predicates` of `orders` do not work: Referenced column "nothing" not found in FROM clause!
     --> models/orders.sql:1:56
      |
    1 | {{ config(materialized='incremental', unique_key='id', incremental_predicates=['nothing = 1']) }}
      |                                                        ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: call the rows that are there `DBT_INTERNAL_DEST` and the new ones `DBT_INTERNAL_SOURCE`
    "#);
}

/// The message of the model that did not build, without the lines around it.
pub fn failure(shop: &Shop) -> String {
    let report = run(shop);
    assert!(matches!(report.ending, Ending::NotPublished { .. }), "{:?}", report.ending);
    let of_orders = report.nodes.iter().find(|node| node.node.short() == "orders").expect("a report");
    match &of_orders.outcome {
        Outcome::Error(problem) => problem.render(kiln::diagnostic::Style::Plain),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_new_rows_with_one_key_have_no_merge() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2", "2,2026-01-03,201,2", "5,2026-01-03,1,2", "5,2026-01-03,1,2"]);
    insta::assert_snapshot!(failure(&shop), @"
    error[duplicate-key]: `orders` did not build: new rows have the same `unique_key`: id = 2 (2 rows); id = 5 (2 rows)
     --> models/orders.sql:1:69
      |
    1 | {{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}
      |                                                                     ^^^^^^^^^^
      |
      = help: keep one row of each key, such as with `qualify row_number() over (partition by id order by ... desc) = 1`
    ");
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|30|1");
}

#[test]
fn a_key_must_be_a_column() {
    let shop = shop("unique_key='idd'");
    insta::assert_snapshot!(failure(&shop), @"
    error[unique-key]: the `unique_key` `idd` is not a column of `orders`
     --> models/orders.sql:1:39
      |
    1 | {{ config(materialized='incremental', unique_key='idd') }}
      |                                       ^^^^^^^^^^
      |
      = help: did you mean `id`?
      = help: a key of several columns is a list: `unique_key=['a', 'b']`
    ");
}

#[test]
fn a_failed_audit_leaves_the_table_as_it_was_and_the_next_run_goes_on() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    good(&shop);
    let table = "select id, amount, _kiln_version, rowid from _kiln_data.\"main__orders__";
    let name = shop.query("select \"table\" from _kiln.increment");
    let content = format!("{}{} order by rowid", table, &name["main__orders__".len()..].to_owned())
        .replace("__rows ", "__rows\" ");
    let before = shop.query(&content);
    arrive(&shop, &["2,2026-01-03,-1,2"]);
    let report = run(&shop);
    assert!(matches!(report.ending, Ending::NotPublished { .. }), "{:?}", report.ending);
    assert_eq!(shop.query(&content), before, "the rows are where they were");
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|30|1");
    // The new rows are kept, and not built again for the same verdict.
    let report = run(&shop);
    assert!(matches!(report.ending, Ending::NotPublished { .. }), "{:?}", report.ending);
    shop.replace("models/schema.yml", "min_value: 0", "min_value: -5");
    let report = good(&shop);
    let of_orders = report.nodes.iter().find(|node| node.node.short() == "orders").expect("a report");
    assert!(matches!(of_orders.outcome, Outcome::Reused), "{:?}", of_orders.outcome);
    assert_eq!(orders(&shop), "1|10|1\n2|-1|2\n3|30|1");
}

#[test]
fn tests_and_children_see_the_table_as_it_will_be() {
    let shop = shop("incremental_strategy='append'");
    shop.replace("models/schema.yml", "data_tests: [not_null]", "data_tests: [not_null, unique]");
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2"]);
    let report = run(&shop);
    let failed: Vec<&str> =
        report.tests().filter(|test| test.status.blocks()).map(|test| test.name.as_str()).collect();
    assert_eq!(failed, ["unique_orders_id"], "it is among the old rows that the new one is not unique");
    shop.replace("models/schema.yml", "[not_null, unique]", "[not_null, {unique: {config: {audit: delta}}}]");
    assert!(run(&shop).is_good(), "the new rows alone are unique");
    let again = run(&shop);
    let ran = again.tests().filter(|test| test.status == kiln::run::event::TestStatus::Pass).count();
    assert_eq!(ran, 0, "a verdict on the new rows stands");
}

#[test]
fn a_rollback_restores_the_rows_that_a_merge_replaced() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    shop.replace("kiln.yml", "keep_releases: 3", "keep_releases: 20");
    good(&shop);
    let first = orders(&shop);
    arrive(&shop, &["2,2026-01-03,200,2", "4,2026-01-03,40,2"]);
    good(&shop);
    let second = orders(&shop);
    arrive(&shop, &["2,2026-01-04,201,3", "1,2026-01-04,100,3"]);
    good(&shop);
    let third = orders(&shop);
    let back = |to: i64| {
        let (workspace, _) = shop.open().expect("a sound project");
        kiln::run::rollback(&workspace, Some(to), std::time::Duration::ZERO).expect("a rollback");
        orders(&shop)
    };
    assert_eq!(back(1), first);
    assert_eq!(shop.query("select * from main.total"), "3|60");
    assert_eq!(back(2), second);
    assert_eq!(back(3), third);
    // The version that readers see is what the next run goes on from; it has been built before.
    assert_eq!(back(2), second);
    let report = good(&shop);
    assert!(matches!(report.ending, Ending::Published { .. }), "{:?}", report.ending);
    assert_eq!(orders(&shop), third);
    // A delta on an older version takes out what came after it, and every release stays what it was.
    assert_eq!(back(1), first);
    arrive(&shop, &["3,2026-01-05,300,4", "5,2026-01-05,50,4"]);
    shop.replace("models/orders.sql", "where batch >", "where batch >= 4 and batch >");
    let report = good(&shop);
    assert_eq!(change(&report), Some(RowChange { added: 2, replaced: 1 }));
    let branch = orders(&shop);
    assert_eq!(branch, "1|10|1\n2|20|1\n3|300|4\n5|50|4");
    assert_eq!(back(9), first, "what the branch went on from");
    let newest = shop.query("select max(release_id) from _kiln.release where kind = 'run'");
    assert_eq!(back(newest.parse().expect("a number")), branch);
    arrive(&shop, &["5,2026-01-06,51,5"]);
    shop.replace("models/orders.sql", "where batch >= 4 and", "where");
    good(&shop);
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|300|4\n5|51|5");
}

#[test]
fn a_version_that_was_collected_comes_again_without_its_old_rows() {
    for config in ["incremental_strategy='append'", "incremental_strategy='merge', unique_key='id'"] {
        let shop = shop(config);
        good(&shop);
        arrive(&shop, &["2,2026-01-03,200,2", "4,2026-01-03,40,2"]);
        good(&shop);
        let second = orders(&shop);
        let (workspace, _) = shop.open().expect("a sound project");
        kiln::run::rollback(&workspace, None, std::time::Duration::ZERO).expect("a rollback");
        shop.replace("models/total.sql", "count(*) as orders", "count(id) as orders");
        // The second version goes, and its rows stay in the table.
        shop.replace("kiln.yml", "keep_releases: 3", "keep_releases: 1");
        assert!(shop.run_selected("total").expect("a run").is_good());
        good(&shop);
        assert_eq!(orders(&shop), second, "{config}");
        assert_eq!(shop.query("select count(*) from main.orders"), second.lines().count().to_string());
        assert!(matches!(good(&shop).ending, Ending::Unchanged { .. }));
    }
}

#[test]
fn what_no_release_needs_is_collected() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    shop.replace("kiln.yml", "keep_releases: 3", "keep_releases: 1");
    for batch in 1..6 {
        arrive(&shop, &[&format!("1,2026-01-01,{batch},{batch}")]);
        if batch > 1 {
            good(&shop);
        }
    }
    let tables = "select regexp_replace(table_name, '[0-9a-f]{12}', 'X') from duckdb_tables() where schema_name = '_kiln_data' and table_name like '%orders%'";
    assert_eq!(shop.query(tables), "main__orders__X__rows", "no undo and no delta is left");
    let views =
        "select count(*) from duckdb_views() where schema_name = '_kiln_data' and view_name like '%orders%'";
    assert_eq!(shop.query(views), "1");
}

#[test]
fn a_full_refresh_builds_all_rows_unless_the_model_forbids_it() {
    let shop = shop("incremental_strategy='append'");
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2"]);
    good(&shop);
    shop.replace("seeds/arrived.csv", "1,2026-01-01,10,1", "1,2026-01-01,11,1");
    let report = run_with(&shop, |options| options.refresh = Refresh::Full);
    assert!(report.is_good() && change(&report).is_none(), "{report:#?}");
    assert_eq!(orders(&shop), "1|11|1\n2|20|1\n2|200|2\n3|30|1");
    model(&shop, "incremental_strategy='append', full_refresh=false", "id, day, amount, batch");
    shop.replace("seeds/arrived.csv", "1,2026-01-01,11,1", "1,2026-01-01,12,1");
    let report = run_with(&shop, |options| options.refresh = Refresh::Full);
    assert!(report.is_good() && change(&report).is_none(), "{report:#?}");
    assert_eq!(orders(&shop), "1|11|1\n2|20|1\n2|200|2\n3|30|1");
}

/// The plan's line for the model.
pub fn plan(shop: &Shop, target: Option<&str>) -> String {
    #[derive(Default)]
    struct Plan(std::sync::Mutex<String>);
    impl Observer for Plan {
        fn event(&self, event: Event<'_>) {
            if let Event::Planned(nodes) = event {
                let line = nodes.iter().find(|node| node.node.short() == "orders").expect("a plan");
                *self.0.lock().expect("no panic") = format!("{}: {}", line.action.as_str(), line.reason);
            }
        }
    }
    let options = kiln::workspace::WorkspaceOptions { target: target.map(str::to_owned), ..shop.options() };
    let (workspace, _) = kiln::workspace::Workspace::open(&options).expect("a sound project");
    let mut options = crate::support::whole(&workspace);
    options.policy = Policy::Plan;
    let plan = Plan::default();
    kiln::run::run(&workspace, &options, &plan, &std::sync::atomic::AtomicBool::new(false)).expect("a plan");
    plan.0.into_inner().expect("no panic")
}

#[test]
fn a_changed_definition_rebuilds_or_goes_forward() {
    let shop = shop("incremental_strategy='append'");
    insta::assert_snapshot!(plan(&shop, None), @"build: new: all rows are built");
    good(&shop);
    insta::assert_snapshot!(plan(&shop, None), @"reuse: unchanged since the release");
    arrive(&shop, &["4,2026-01-03,40,2"]);
    insta::assert_snapshot!(plan(&shop, None), @"build: `arrived` changed: new rows only");
    model(&shop, "incremental_strategy='append'", "id, day, amount * 2 as amount, batch");
    insta::assert_snapshot!(plan(&shop, None), @"build: its SQL or configuration changed: all 3 rows are built anew (`on_change: forward` would keep them)");
    model(
        &shop,
        "incremental_strategy='append', on_change='forward'",
        "id, day, amount * 2 as amount, batch",
    );
    insta::assert_snapshot!(plan(&shop, None), @"build: its SQL or configuration changed: new rows only");
    good(&shop);
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|30|1\n4|80|2");
    model(&shop, "incremental_strategy='append'", "id, day, amount * 3 as amount, batch");
    good(&shop);
    assert_eq!(orders(&shop), "1|30|1\n2|60|1\n3|90|1\n4|120|2");
    // How new rows are found is not what the table is.
    shop.replace("models/orders.sql", "where batch >", "where true and batch >");
    insta::assert_snapshot!(plan(&shop, None), @"reuse: unchanged since the release");
}

#[test]
fn columns_that_change() {
    let shop = shop("incremental_strategy='append', on_change='forward'");
    good(&shop);
    arrive(&shop, &["4,2026-01-03,40,2"]);
    model(&shop, "incremental_strategy='append', on_change='forward'", "id, amount, batch, 'x' as extra");
    insta::assert_snapshot!(failure(&shop), @"
    error[schema-change]: `orders` did not build: its columns changed: new: `extra`; missing: `day`
     --> models/schema.yml:2:11
      |
    2 |   - name: orders
      |           ^^^^^^
      |
      = help: write `on_schema_change='append_new_columns'` or `'sync_all_columns'`, or run with `--full-refresh`
    ");
    model(
        &shop,
        "incremental_strategy='append', on_change='forward', on_schema_change='fail'",
        "id, day, amount::double as amount, batch",
    );
    insta::assert_snapshot!(failure(&shop), @"
    error[schema-change]: `orders` did not build: its columns changed: `amount` is DOUBLE and was BIGINT
     --> models/orders.sql:1:91
      |
    1 | {{ config(materialized='incremental', incremental_strategy='append', on_change='forward', on_schema_change='fail') }}
      |                                                                                           ^^^^^^^^^^^^^^^^
      |
      = help: write `on_schema_change='append_new_columns'` or `'sync_all_columns'`, or run with `--full-refresh`
    ");
    model(
        &shop,
        "incremental_strategy='append', on_change='forward', on_schema_change='append_new_columns'",
        "id, amount, batch, 'x' as extra",
    );
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 1, replaced: 0 }));
    assert_eq!(
        shop.query("select * from main.orders order by id"),
        "1|2026-01-01|10|1|NULL\n2|2026-01-01|20|1|NULL\n3|2026-01-02|30|1|NULL\n4|NULL|40|2|x"
    );
    arrive(&shop, &["5,2026-01-03,50,3"]);
    model(
        &shop,
        "incremental_strategy='merge', unique_key='id', on_change='forward', on_schema_change='sync_all_columns'",
        "id, amount::double as amount, batch, 7 as other",
    );
    good(&shop);
    assert_eq!(
        shop.query("select * from main.orders order by id"),
        "1|10.0|1|NULL\n2|20.0|1|NULL\n3|30.0|1|NULL\n4|40.0|2|NULL\n5|50.0|3|7"
    );
}

#[test]
fn a_value_that_does_not_fit_a_column_of_another_type_is_told_with_the_types() {
    let shop = shop("incremental_strategy='append'");
    good(&shop);
    arrive(&shop, &["4,2026-01-03,much,2"]);
    shop.write("models/schema.yml", "models: []\n");
    insta::assert_snapshot!(failure(&shop), @"
    error[sql-data]: `orders` did not build: could not convert string 'much' to INT64 when casting from source column amount
     --> models/orders.sql:1:1
      |
    1 | {{ config(materialized='incremental', incremental_strategy='append') }}
      | ^
      |
      = help: `amount` is VARCHAR now and BIGINT in the table
      = help: cast it in the model, write `on_schema_change='sync_all_columns'`, or run with `--full-refresh`
    ");
}

#[test]
fn another_target_takes_the_rows_over_and_changes_nothing() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    shop.write(
        "kiln.yml",
        "name: shop\ndefault_target: prod\ntargets:\n  prod: {type: duckdb, path: shop.duckdb}\n  dev: {type: duckdb, path: shop.duckdb, schema_prefix: dev_}\n",
    );
    let dev = || {
        let options = kiln::workspace::WorkspaceOptions { target: Some("dev".into()), ..shop.options() };
        let (workspace, _) = kiln::workspace::Workspace::open(&options).expect("a sound project");
        let options = crate::support::whole(&workspace);
        let report = kiln::run::run(&workspace, &options, &Deaf, &std::sync::atomic::AtomicBool::new(false));
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        assert!(report.is_good(), "{report:#?}");
        report
    };
    good(&shop);
    insta::assert_snapshot!(plan(&shop, Some("dev")), @"reuse: what target `prod` has, and nothing is new");
    let tables = "select count(*) from duckdb_tables() where table_name like '%orders%rows'";
    dev();
    assert_eq!(shop.query("select count(*) from dev_main.orders"), "3");
    assert_eq!(shop.query(tables), "1", "the same build, and no copy");
    arrive(&shop, &["2,2026-01-03,200,2"]);
    insta::assert_snapshot!(plan(&shop, Some("dev")), @"build: copies 3 rows of target `prod` and takes in what is new");
    dev();
    assert_eq!(shop.query(tables), "2");
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|30|1", "what prod reads");
    let mine = "select id, amount, batch from dev_main.orders order by all";
    assert_eq!(shop.query(mine), "1|10|1\n2|200|2\n3|30|1");
    arrive(&shop, &["3,2026-01-03,300,3"]);
    dev();
    assert_eq!(shop.query(mine), "1|10|1\n2|200|2\n3|300|3");
    assert_eq!(orders(&shop), "1|10|1\n2|20|1\n3|30|1", "what prod reads");
    good(&shop);
    assert_eq!(orders(&shop), "1|10|1\n2|200|2\n3|300|3");
}

#[test]
fn a_version_that_another_target_makes_is_not_taken_for_the_one_that_was_collected() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    shop.write(
        "kiln.yml",
        "name: shop\ndefault_target: prod\ntargets:\n  prod: {type: duckdb, path: shop.duckdb, keep_releases: 2}\n  dev: {type: duckdb, path: shop.duckdb, schema_prefix: dev_}\n",
    );
    // In a layer both targets' builds have one name.
    for file in ["orders.sql", "total.sql", "large.sql"] {
        let text = std::fs::read_to_string(shop.root().join("models").join(file)).expect("a model");
        shop.remove(&format!("models/{file}"));
        shop.write(&format!("models/curated/{file}"), &text);
    }
    let found =
        |schema: &str| shop.query(&format!("select id, amount, batch from {schema}.orders order by all"));
    good(&shop);
    arrive(&shop, &["2,2026-01-03,200,2", "4,2026-01-03,40,2"]);
    good(&shop);
    let second = found("curated");
    let (workspace, _) = shop.open().expect("a sound project");
    kiln::run::rollback(&workspace, None, std::time::Duration::ZERO).expect("a rollback");
    shop.replace("models/curated/total.sql", "count(*) as orders", "count(id) as orders");
    assert!(shop.run_selected("total").expect("a run").is_good());
    let options = kiln::workspace::WorkspaceOptions { target: Some("dev".into()), ..shop.options() };
    let (dev, _) = kiln::workspace::Workspace::open(&options).expect("a sound project");
    let all = crate::support::whole(&dev);
    let report = kiln::run::run(&dev, &all, &Deaf, &std::sync::atomic::AtomicBool::new(false));
    assert!(report.expect("a run").is_good());
    assert_eq!(found("dev_curated"), second);
    good(&shop);
    assert_eq!(found("curated"), second);
}

#[test]
fn a_key_can_be_computed() {
    let shop = shop("incremental_strategy='delete+insert', unique_key=\"id || '-' || day -- both\"");
    good(&shop);
    arrive(&shop, &["1,2026-01-01,11,2", "1,2026-01-02,12,2"]);
    assert_eq!(change(&good(&shop)), Some(RowChange { added: 2, replaced: 1 }));
    assert_eq!(orders(&shop), "1|11|2\n1|12|2\n2|20|1\n3|30|1");
    let said = |config: &str| {
        model(&shop, config, "id, day, amount, batch");
        let output = crate::support::binary(shop.root(), &["compile"]).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.find("error[").map_or(text.clone(), |at| text[at..].to_owned())
    };
    insta::assert_snapshot!(said("incremental_strategy='delete+insert', unique_key=\"id || dya\""), @r#"
    error[unique-key]: the `unique_key` `id || dya` of `orders` does not work: referenced column "dya" not found in FROM clause!
     --> models/orders.sql:1:77
      |
    1 | {{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key="id || dya") }}
      |                                                                             ^^^^^^^^^^
      |
      = help: it is computed from the model's own columns; a key of several columns is a list: `unique_key=['a', 'b']`

    1 error
    "#);
    insta::assert_snapshot!(said("incremental_strategy='merge', unique_key=\"id || day\""), @r#"
    error[unique-key]: the `unique_key` `id || day` is not a column of `orders`
     --> models/orders.sql:1:69
      |
    1 | {{ config(materialized='incremental', incremental_strategy='merge', unique_key="id || day") }}
      |                                                                     ^^^^^^^^^^
      |
      = help: give the model a column of it; alone and with `incremental_strategy='delete+insert'` an expression is a key too

    1 error
    "#);
}

#[test]
fn what_brings_nothing_new_makes_no_version() {
    let shop = shop("incremental_strategy='merge', unique_key='id'");
    good(&shop);
    let versions = "select count(*) from _kiln.increment";
    // A new file whose rows the filter leaves out: the model is looked at once and its child is not.
    arrive(&shop, &["1,2026-01-01,99,0"]);
    let report = good(&shop);
    let Ending::Published { changed, .. } = &report.ending else { panic!("{:?}", report.ending) };
    assert_eq!(changed, &["arrived"]);
    let outcome = |report: &kiln::run::event::RunReport, name: &str| {
        let node = report.nodes.iter().find(|node| node.node.short() == name).expect("a report");
        format!("{:?}", node.outcome)
    };
    assert_eq!(outcome(&report, "orders"), "NothingNew");
    assert_eq!(outcome(&report, "total"), "Reused");
    assert_eq!(shop.query(versions), "1");
    let left = "select string_agg(table_name, ' ') from duckdb_tables() where table_name like '%orders%' and (table_name like '%delta' or table_name like '%undo')";
    assert_eq!(shop.query(left), "NULL");
    // It is remembered.
    assert_eq!(outcome(&good(&shop), "orders"), "Reused");
    // What is new is still taken in.
    arrive(&shop, &["2,2026-01-03,200,2"]);
    good(&shop);
    assert_eq!(orders(&shop), "1|10|1\n2|200|2\n3|30|1");
    assert_eq!(shop.query(versions), "2");
}
