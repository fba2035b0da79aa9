//! Incremental models: what readers see after each run, and that nothing of it depends on what happened in between.

use kiln::run::event::{Ending, Event, Observer, Outcome, RowChange, RunReport};
use kiln::run::plan::Refresh;
use kiln::run::{Policy, RunOptions};

use crate::support::{Deaf, Shop};

/// A seed of orders, an incremental model on it, and a view and a table on that.
fn shop(config: &str) -> Shop {
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
    shop.write("seeds/arrived.csv", "id,day,amount,batch\n1,2026-01-01,10,1\n2,2026-01-01,20,1\n3,2026-01-02,30,1\n");
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

fn run_with(shop: &Shop, change: impl FnOnce(&mut RunOptions)) -> RunReport {
    shop.run_with(change).unwrap_or_else(|error| panic!("{error}"))
}

fn good(shop: &Shop) -> RunReport {
    let report = run(shop);
    assert!(report.is_good(), "{report:#?}");
    report
}

fn change(report: &RunReport) -> Option<RowChange> {
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
