//! Tests of the graph and of selection, on the project of the manual.

use super::*;
use crate::resolve::tests::{SHOP, manifest};

fn selected(select_: &[&str], exclude: &[&str]) -> String {
    let (manifest, _) = manifest(SHOP);
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    match select(&manifest, &Dag::of(&manifest), &own(select_), &own(exclude)) {
        Ok(ids) => ids
            .iter()
            .filter(|id| id.resource_type() != "test")
            .map(NodeId::short)
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => error.to_string(),
    }
}

fn tests_of(select_: &str) -> String {
    let (manifest, _) = manifest(SHOP);
    let ids = select(&manifest, &Dag::of(&manifest), &[select_.to_owned()], &[]).expect("a selection");
    ids.iter().filter(|id| id.resource_type() == "test").map(NodeId::short).collect::<Vec<_>>().join(" ")
}

#[test]
fn order_is_topological_and_the_same_each_time() {
    let (manifest, _) = manifest(SHOP);
    let order = Dag::of(&manifest).topological();
    let short: Vec<&str> = order.iter().map(NodeId::short).collect();
    insta::assert_debug_snapshot!(short);
}

#[test]
fn neighbours_and_reach() {
    let (manifest, _) = manifest(SHOP);
    let dag = Dag::of(&manifest);
    let curated = NodeId::new("model", "shop", "curated_orders");
    let names =
        |ids: BTreeSet<NodeId>| ids.iter().map(|id| id.short().to_owned()).collect::<Vec<_>>().join(" ");
    assert_eq!(names(dag.parents(&curated)), "raw_orders");
    assert_eq!(names(dag.ancestors(&curated, None)), "raw_orders shop_api.orders");
    assert_eq!(names(dag.ancestors(&curated, Some(1))), "raw_orders");
    assert!(names(dag.children(&curated)).starts_with("revenue_by_day dbt_utils"));
    assert!(names(dag.descendants(&curated, None)).contains("revenue_dashboard"));
}

#[test]
fn names_and_their_surroundings() {
    assert_eq!(selected(&["curated_orders"], &[]), "curated_orders");
    assert_eq!(selected(&["+curated_orders"], &[]), "curated_orders raw_orders shop_api.orders");
    assert_eq!(selected(&["1+curated_orders"], &[]), "curated_orders raw_orders");
    assert_eq!(selected(&["raw_orders+1"], &[]), "curated_orders raw_orders");
    assert_eq!(
        selected(&["@curated_orders"], &["exposure:*"]),
        "curated_orders raw_orders revenue_by_day shop_api.orders"
    );
    assert_eq!(selected(&["*_orders"], &[]), "curated_orders raw_orders");
    assert_eq!(selected(&["shop.curated"], &[]), "curated_orders");
    assert_eq!(selected(&[], &["raw_orders+", "source:*"]), "");
}

#[test]
fn methods() {
    assert_eq!(selected(&["tag:bi"], &[]), "revenue_by_day");
    assert_eq!(selected(&["layer:raw layer:curated"], &[]), "curated_orders raw_orders");
    assert_eq!(selected(&["path:models/curated"], &[]), "curated_orders");
    assert_eq!(selected(&["models/curated/curated_orders.sql"], &[]), "curated_orders");
    assert_eq!(selected(&["source:shop_api.orders+1"], &[]), "raw_orders shop_api.orders");
    assert_eq!(selected(&["1+exposure:revenue_dashboard"], &[]), "revenue_dashboard revenue_by_day");
    assert_eq!(selected(&["config.materialized:table,*_orders"], &[]), "curated_orders");
    assert_eq!(selected(&["config.tags:daily"], &[]), "revenue_by_day");
    assert_eq!(selected(&["resource_type:source"], &[]), "shop_api.orders");
    assert_eq!(selected(&["package:this"], &["resource_type:model"]), "revenue_dashboard shop_api.orders");
    assert_eq!(selected(&["tag:nothing"], &[]), "");
}

#[test]
fn tests_come_with_what_they_test() {
    assert_eq!(tests_of("revenue_by_day"), "");
    assert_eq!(tests_of("test_type:singular"), "no_negative");
    assert_eq!(tests_of("test_name:accepted_range"), "dbt_utils_accepted_range_curated_orders_amount__0");
    assert_eq!(
        tests_of("curated_orders"),
        "dbt_utils_accepted_range_curated_orders_amount__0 no_negative not_null_curated_orders_order_id \
         unique_curated_orders_order_id"
    );
}

#[test]
fn what_cannot_be_selected_is_said() {
    let all: Vec<String> = [
        "curated_order",
        "taag:x",
        "state:modified",
        "layer:gold",
        "revenue_dashboard",
        "@a+",
        "x+y",
        "orders",
        "resource_type:x",
        " ",
    ]
    .iter()
    .map(|text| selected(&[text], &[]))
    .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}
