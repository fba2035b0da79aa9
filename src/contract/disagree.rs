//! Facts that both a contract and a model's properties state, and state differently: one place must give way.

use serde_json::Value;

use super::facts::{Facts, key};
use super::{Contract, Metric, Property, QualityKind, Unit, same_type};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::manifest::{Node, TestSeverity};

/// Compares a contract with the facts of its model's properties: types, what may be NULL or occur twice, the values that
/// may occur, the key. A fact that stands in one place alone is no disagreement.
pub fn disagreements(contract: &Contract, node: &Node, facts: &Facts) -> Diagnostics {
    let mut found = Diagnostics::new();
    for column in &node.columns {
        let Some(declared) = &column.data_type else { continue };
        let Some(property) = contract.property(&column.name) else { continue };
        let (promised, at) = match (&property.physical_type, &property.logical_type) {
            (Some(promised), _) if !same_type(&promised.value, &declared.value) => {
                (promised.value.as_str(), &promised.at)
            }
            (None, Some(promised)) if !promised.value.admits_declared(&declared.value) => {
                (promised.value.as_str(), &promised.at)
            }
            _ => continue,
        };
        let message = format!(
            "the type of `{}.{}` is {promised} in its contract and {} in its properties",
            node.name, column.name, declared.value
        );
        found.push(disagreement(message, at, &declared.at));
    }
    for property in &contract.properties {
        found.extend(of_property(property, node, facts));
    }
    if let Some(diagnostic) = keys(contract, node, facts) {
        found.push(diagnostic);
    }
    found
}

fn disagreement(message: String, contract: &Location, properties: &Location) -> Diagnostic {
    Diagnostic::error("contract-disagrees", message)
        .at(contract, "in the contract")
        .related(properties, "in the properties")
        .help("keep the fact in one of the two places; the contract is what consumers read")
}

fn of_property(property: &Property, node: &Node, facts: &Facts) -> Diagnostics {
    let mut found = Diagnostics::new();
    let column = key(&property.column.value);
    let name = format!("{}.{}", node.name, property.column.value);
    if let (Some(may), Some(must)) = (&property.optional, facts.required.get(&column)) {
        let message = format!("`{name}` may be NULL in its contract and may not in its properties");
        found.push(disagreement(message, may, must));
    }
    if let (Some(may), Some(must)) = (&property.repeats, facts.unique.get(&column)) {
        let message = format!("values of `{name}` may repeat in its contract and may not in its properties");
        found.push(disagreement(message, may, must));
    }
    if let (Some(promised), Some(declared)) = (values_of(property), facts.accepted.get(&column)) {
        let only = |these: &[Value], those: &[Value]| -> Vec<String> {
            let texts: Vec<String> = those.iter().map(text).collect();
            these.iter().map(text).filter(|value| !texts.contains(value)).collect()
        };
        let listed = |values: Vec<String>, place: &str| match values.is_empty() {
            true => None,
            false => Some(format!("{} only in the {place}", values.join(", "))),
        };
        let differences = [
            listed(only(&promised.value, &declared.value), "contract"),
            listed(only(&declared.value, &promised.value), "properties"),
        ];
        let differences: Vec<String> = differences.into_iter().flatten().collect();
        if !differences.is_empty() {
            let message = format!(
                "the values of `{name}` differ in its contract and its properties: {}",
                differences.join("; ")
            );
            found.push(disagreement(message, &promised.at, &declared.at));
        }
    }
    found
}

/// The values that may occur, from `enum` or from a rule without a tolerance.
fn values_of(property: &Property) -> Option<Located<Vec<Value>>> {
    if let Some(first) = property.enum_values.first() {
        let values = property.enum_values.iter().map(|value| value.value.clone()).collect();
        return Some(Located::new(values, first.at.clone()));
    }
    property.quality.iter().find_map(|quality| match &quality.kind {
        QualityKind::Library {
            metric: Metric::InvalidValues { valid: Some(valid), pattern: None },
            must,
            unit: Unit::Rows,
        } if quality.severity == TestSeverity::Error && must.len() == 1 && must[0].is_none_at_all() => {
            Some(Located::new(valid.clone(), quality.at.clone()))
        }
        _ => None,
    })
}

/// A value as a test compares it: as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn keys(contract: &Contract, node: &Node, facts: &Facts) -> Option<Diagnostic> {
    let declared = facts.primary_key.as_ref()?;
    let promised = contract.primary_key();
    let first = promised.first()?;
    let set = |names: Vec<String>| {
        let mut names: Vec<String> = names.iter().map(|name| key(name)).collect();
        names.sort_unstable();
        names
    };
    let names: Vec<String> = promised.iter().map(|property| property.column.value.clone()).collect();
    if set(names.clone()) == set(declared.value.clone()) {
        return None;
    }
    let message = format!(
        "the primary key of `{}` is ({}) in its contract and ({}) in its properties",
        node.name,
        names.join(", "),
        declared.value.join(", ")
    );
    Some(disagreement(message, &first.column.at, &declared.at))
}
