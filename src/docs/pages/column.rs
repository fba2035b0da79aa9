//! Columns of a page: type, meaning, promises, tests, and where they come from and go.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::contract::Property;
use crate::docs::columns::At;
use crate::docs::facts::{Facts, NodeFacts, Thing};
use crate::docs::markdown;

/// References of one list at most; the graph has them all.
const LISTED: usize = 40;

/// All columns of a node, and what decides its rows.
pub(super) fn columns(facts: &Facts<'_>, number: u32, node: &NodeFacts<'_>) -> Value {
    let rows = facts.lineage.rows(number);
    let columns: Vec<Value> = (0..)
        .zip(&node.columns)
        .map(|(place, (name, data_type))| column(facts, number, node, rows, place, name, data_type))
        .collect();
    json!({"list": columns, "rows": references(facts, rows)})
}

fn column(
    facts: &Facts<'_>,
    number: u32,
    node: &NodeFacts<'_>,
    rows: &BTreeSet<At>,
    place: u32,
    name: &str,
    data_type: &str,
) -> Value {
    let steps = facts.lineage.at((number, place));
    let own: BTreeSet<At> = steps.influence.difference(rows).copied().collect();
    let property = node.contract.and_then(|contract| contract.property(name));
    let tests: Vec<Value> = (1..)
        .zip(&node.tests)
        .filter(|(_, test)| test.column.as_deref().is_some_and(|column| is_called(column, name)))
        .map(|(place, test)| {
            json!({
                "place": place,
                "name": facts.masked(&super::test::short(test)),
                "word": super::test::word(facts.results(test).first()),
            })
        })
        .collect();
    let tags: Vec<String> = declared_tags(node, name)
        .chain(property.iter().flat_map(|property| &property.tags))
        .map(|tag| facts.masked(tag))
        .collect();
    json!({
        "place": place + 1,
        "name": facts.masked(name),
        "type": data_type,
        "description": markdown::html(&facts.masked(&node.column_description(name))),
        "promises": property.map(promises).unwrap_or_default(),
        "classification": property
            .and_then(|property| property.classification.as_ref())
            .map(|found| facts.masked(&found.value)),
        "tags": tags,
        "tests": tests,
        "unknown": steps.unknown,
        "value": references(facts, &steps.value),
        "influence": references(facts, &own),
        "value_of": references(facts, &steps.value_of),
        "influence_of": influences(facts, (number, place), &steps.influence_of),
    })
}

/// Whether a test's column, which may be quoted, is this one.
fn is_called(written: &str, name: &str) -> bool {
    written.trim_matches('"').replace("\"\"", "\"").eq_ignore_ascii_case(name)
}

fn declared_tags<'a>(node: &NodeFacts<'a>, name: &str) -> impl Iterator<Item = &'a String> {
    let declared = match node.thing {
        Thing::Source(source) => &source.columns[..],
        Thing::Node(node) => &node.columns,
        Thing::Consumer(_) => &[],
    };
    let found = declared.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    found.into_iter().flat_map(|column| &column.tags)
}

/// What a contract says of a column, in words.
fn promises(property: &Property) -> Vec<&'static str> {
    let said = [
        (property.primary_key.is_some(), "primary key"),
        (property.required.is_some(), "required"),
        (property.unique.is_some(), "unique"),
        (property.critical, "critical"),
        (property.deprecated, "deprecated"),
    ];
    said.into_iter().filter(|(said, _)| *said).map(|(_, word)| word).collect()
}

/// What a column influences: a node whose rows it decides stands for all columns of that node.
fn influences(facts: &Facts<'_>, column: At, all: &BTreeSet<At>) -> Value {
    let decides = |node: u32| facts.lineage.rows(node).contains(&column);
    let mut whole: Vec<u32> = all.iter().map(|(node, _)| *node).filter(|node| decides(*node)).collect();
    whole.dedup();
    let single: BTreeSet<At> = all.iter().filter(|(node, _)| !decides(*node)).copied().collect();
    let rows: Vec<Value> = whole
        .iter()
        .take(LISTED)
        .map(|number| {
            let node = facts.node(*number);
            json!({"url": node.url, "anchor": "columns", "node": facts.masked(&node.name), "column": "*"})
        })
        .collect();
    let mut found = references(facts, &single);
    if let Some(list) = found["list"].as_array_mut() {
        list.splice(0..0, rows);
    }
    found["count"] = json!(whole.len() + single.len());
    found["more"] = json!(whole.len().saturating_sub(LISTED) + single.len().saturating_sub(LISTED));
    found
}

/// Columns as links, the first of them, and how many there are.
pub(super) fn references(facts: &Facts<'_>, all: &BTreeSet<At>) -> Value {
    let list: Vec<Value> = all
        .iter()
        .take(LISTED)
        .map(|(number, place)| {
            let node = facts.node(*number);
            let (name, _) = &node.columns[*place as usize];
            // A consumer's columns are called by what it reads.
            let name = if node.kind() == "consumer" { String::new() } else { facts.masked(name) };
            json!({
                "url": node.url,
                "anchor": format!("c{}", place + 1),
                "node": facts.masked(&node.name),
                "column": name,
            })
        })
        .collect();
    json!({"list": list, "count": all.len(), "more": all.len().saturating_sub(LISTED)})
}
