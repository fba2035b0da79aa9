//! A small shop: a source, two models, an exposure, and a model whose lineage is unknown.

use std::collections::BTreeSet;

use super::*;
use crate::sql::lineage::ColumnLineage;

fn id(kind: &str, name: &str) -> NodeId {
    NodeId::new(kind, "shop", name)
}

fn table(name: &str, column: &str) -> TableColumn {
    TableColumn { table: std::sync::Arc::new(Relation::new("main", name)), column: column.to_owned() }
}

fn columns(all: &[(&str, &str)]) -> BTreeSet<TableColumn> {
    all.iter().map(|(name, column)| table(name, column)).collect()
}

type Written<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

fn lineage(outputs: &[Written<'_>], rows: &[(&str, &str)]) -> Lineage {
    let column = |(output, value, influence): &Written<'_>| ColumnLineage {
        output: (*output).to_owned(),
        value: columns(value),
        influence: columns(influence),
        unknown: false,
    };
    Lineage { columns: outputs.iter().map(column).collect(), rows: columns(rows), ..Lineage::default() }
}

fn shop() -> ColumnGraph {
    let mut graph = ColumnGraph::new();
    let node_of = |relation: &Relation| match relation.name.as_str() {
        "orders" => Some(id("source", "api.orders")),
        "elsewhere" => None,
        name => Some(id("model", name)),
    };
    graph.add_source(&id("source", "api.orders"), ["id", "day", "amount"].map(String::from));
    let clean = lineage(
        &[
            ("id", &[("orders", "id")], &[]),
            ("day", &[("orders", "day")], &[]),
            ("amount", &[("orders", "amount")], &[]),
        ],
        &[("orders", "id")],
    );
    graph.add(&id("model", "clean"), &clean, [id("source", "api.orders")], node_of);
    let revenue = lineage(
        &[
            ("Day", &[("clean", "day")], &[]),
            ("revenue", &[("clean", "amount")], &[]),
            ("best", &[], &[("clean", "amount")]),
        ],
        &[("clean", "day")],
    );
    graph.add(&id("model", "revenue"), &revenue, [id("model", "clean")], node_of);
    let odd = Lineage::unknown(&["x".to_owned()], "no plan");
    graph.add(&id("model", "odd"), &odd, [id("model", "clean")], node_of);
    graph.add(&id("model", "far"), &lineage(&[("y", &[("elsewhere", "y")], &[])], &[]), [], node_of);
    graph.add_reader(&id("exposure", "board"), [NodeColumn::new(&id("model", "revenue"), "revenue")]);
    graph
}

fn lines(reach: &Reach) -> String {
    let columns = reach.columns.iter().map(|(column, kind)| format!("{column} {}\n", kind.as_str()));
    columns.chain(reach.unknown.iter().map(|column| format!("? {column}\n"))).collect()
}

#[test]
fn downstream_names_the_strongest_way_and_what_may_be_reached() {
    let graph = shop();
    let start = graph.find(&id("source", "api.orders"), "AMOUNT").unwrap();
    let reach = graph.reach([start.clone()], Direction::Downstream, None);
    insta::assert_snapshot!(lines(&reach), @"
    board.revenue.revenue value
    clean.amount value
    odd.x unknown
    revenue.best influence
    revenue.revenue value
    ? odd.x
    ");
    let near = graph.reach([start], Direction::Downstream, Some(1));
    insta::assert_snapshot!(lines(&near), @"clean.amount value");
}

#[test]
fn upstream_follows_rows_too() {
    let graph = shop();
    let start = graph.find(&id("model", "revenue"), "day").unwrap();
    let reach = graph.reach([start], Direction::Upstream, None);
    insta::assert_snapshot!(lines(&reach), @"
    clean.day value
    api.orders.day value
    api.orders.id influence
    ");
    insta::assert_snapshot!(reach.to_mermaid(), @r#"
    flowchart LR
      subgraph n0["clean"]
        c0["day"]
      end
      subgraph n1["revenue"]
        c1["Day"]
      end
      subgraph n2["api.orders"]
        c2["day"]
        c3["id"]
      end
      c0 --> c1
      c0 -.-> c1
      c2 --> c0
      c3 -.-> c0
    "#);
}

#[test]
fn upstream_of_the_unknown_is_all_that_the_parents_hold() {
    let graph = shop();
    let reach = graph.reach(graph.columns(&id("model", "odd")), Direction::Upstream, Some(1));
    insta::assert_snapshot!(lines(&reach), @"
    clean.amount unknown
    clean.day unknown
    clean.id unknown
    ? odd.x
    ");
}

#[test]
fn json_lists_every_edge_and_what_is_unknown() {
    let mut graph = ColumnGraph::new();
    let node_of =
        |relation: &Relation| Some(id("model", &relation.name)).filter(|_| relation.name != "elsewhere");
    let lineage = lineage(&[("z", &[("p", "a")], &[("elsewhere", "b")])], &[("p", "a")]);
    graph.add(&id("model", "q"), &lineage, [], node_of);
    insta::assert_snapshot!(graph.to_json(), @r#"{"edges":[{"from":"p.a","to":"q.z","kind":"value"},{"from":"p.a","to":"q.z","kind":"influence"}],"unknown":["q.z"]}"#);
}

#[test]
fn labels_are_escaped() {
    insta::assert_snapshot!(mermaid_label("a\"<b>\n#&`"), @"a#quot;#lt;b#gt; #35;#amp;#96;");
}
