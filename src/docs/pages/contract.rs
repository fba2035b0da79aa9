//! A contract on a page: what it promises, what of that is checked, and what is written down only.

use serde_json::{Value, json};

use super::test::{short, word};
use crate::contract::SlaKind;
use crate::docs::facts::{Facts, NodeFacts};
use crate::docs::markdown;
use crate::docs::status::{is_of_contract, words};

/// The contract of a node, if it has one.
pub(super) fn contract(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Option<Value> {
    let contract = node.contract?;
    let key: Vec<String> =
        contract.primary_key().iter().map(|property| facts.masked(&property.column.value)).collect();
    let tests: Vec<Value> = (1..)
        .zip(&node.tests)
        .filter(|(_, test)| is_of_contract(node, test))
        .map(|(place, test)| {
            let newest = facts.results(test).first();
            json!({
                "place": place,
                "promise": facts.masked(&short(test)),
                "column": test.column.as_ref().map(|column| facts.masked(column)),
                "word": word(newest),
                "at": newest.map(|result| &result.at),
            })
        })
        .collect();
    let typed = contract
        .properties
        .iter()
        .filter(|property| property.physical_type.is_some() || property.logical_type.is_some())
        .count();
    let ages: Vec<String> = contract
        .sla
        .iter()
        .filter_map(|sla| match &sla.kind {
            SlaKind::Age { column, at_most } => {
                Some(format!("the newest {} is at most {} old", facts.masked(&column.value), words(*at_most)))
            }
            SlaKind::Other => None,
        })
        .collect();
    let date = |found: &Option<crate::diagnostic::Located<String>>| {
        found.as_ref().map(|found| facts.masked(&found.value))
    };
    let documented: Vec<String> =
        contract.documentation_only.iter().map(|text| facts.masked(&text.value)).collect();
    let broken: Vec<String> =
        facts.errors(&contract.at.file).map(|found| facts.masked(&found.message)).collect();
    Some(json!({
        "id": facts.masked(&contract.id),
        "version": contract.version.value.to_string(),
        "status": contract.status.as_str(),
        "unstable": contract.is_unstable(),
        "description": markdown::html(&facts.masked(&contract.description)),
        "granularity": contract.granularity.as_ref().map(|text| facts.masked(text)),
        "key": key,
        "columns": contract.properties.len(),
        "typed": typed,
        "ages": ages,
        "tests": tests,
        "broken": broken,
        "documented": documented,
        "available": date(&contract.lifecycle.general_availability),
        "support_ends": date(&contract.lifecycle.end_of_support),
        "ends": date(&contract.lifecycle.end_of_life),
        "deprecated": contract.deprecated,
        "file": facts.masked(&contract.at.path().to_string_lossy().replace('\\', "/")),
    }))
}
