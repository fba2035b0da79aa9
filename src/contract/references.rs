//! References inside a contract: which model and which columns `customers.id` and
//! `schema/customers_id/properties/id` mean.

use super::Contract;
use crate::diagnostic::{Diagnostic, Diagnostics, Located};

/// What a reference may call an entry of the file, and what the project calls it.
struct Entry {
    name: String,
    id: Option<String>,
    model: String,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    id: Option<String>,
    column: String,
}

/// Gives each relationship its model and its columns. One that leads where Kiln cannot follow is listed instead.
pub(super) fn resolve(contracts: &mut [Contract], diagnostics: &mut Diagnostics) {
    let entries: Vec<Entry> = contracts.iter().map(entry).collect();
    for contract in contracts {
        let mut kept = Vec::new();
        for mut relationship in std::mem::take(&mut contract.relationships) {
            let to: Option<Vec<_>> = relationship.to.iter().map(|text| target(&entries, text)).collect();
            let from: Option<Vec<_>> =
                relationship.from.iter().map(|text| own(&entries, contract, text)).collect();
            let one_model = |to: &Vec<(String, String)>| to.iter().all(|(model, _)| *model == to[0].0);
            let Some((to, from)) = to.filter(one_model).zip(from) else {
                let (from, to) = (relationship.from.join(", "), relationship.to.join(", "));
                diagnostics.push(
                    Diagnostic::warning("contract-relationship", "Kiln cannot follow this reference")
                        .at(&relationship.at.first_line(), "")
                        .help(
                            "write `to: customers.id`, a model and its column; it is listed and not checked",
                        ),
                );
                let text = format!("relationship from {from} to {to}");
                contract.documentation_only.push(Located::new(text, relationship.at));
                continue;
            };
            relationship.model.value = to[0].0.clone();
            relationship.to = to.into_iter().map(|(_, column)| column).collect();
            relationship.from = from;
            kept.push(relationship);
        }
        contract.relationships = kept;
    }
}

fn entry(contract: &Contract) -> Entry {
    let raw = contract.raw.get("schema").and_then(|schema| schema.as_list()).unwrap_or_default();
    let raw = raw.iter().find(|entry| entry.at == contract.at);
    let columns = contract.properties.iter().map(|property| Column {
        name: property.name.clone(),
        id: property.id.clone(),
        column: property.column.value.clone(),
    });
    Entry {
        name: contract.name.clone(),
        id: raw.and_then(|entry| entry.get("id")?.scalar_text()),
        model: contract.model.value.clone(),
        columns: columns.collect(),
    }
}

/// The model and the column of a reference. A table that the file does not describe is taken for a model's name.
fn target(entries: &[Entry], reference: &str) -> Option<(String, String)> {
    if reference.contains('/') {
        let parts: Vec<&str> = reference.trim_start_matches('/').split('/').collect();
        let ["schema", table, "properties", column] = parts[..] else { return None };
        let entry = entries.iter().find(|entry| entry.id.as_deref() == Some(table))?;
        let column = entry.columns.iter().find(|known| known.id.as_deref() == Some(column))?;
        return Some((entry.model.clone(), column.column.clone()));
    }
    let (table, column) = reference.split_once('.').filter(|(_, column)| !column.contains('.'))?;
    let Some(entry) = entries.iter().find(|entry| entry.name == table || entry.model == table) else {
        return Some((table.to_owned(), column.to_owned()));
    };
    let known = entry.columns.iter().find(|known| known.name == column);
    Some((entry.model.clone(), known.map_or(column, |known| &known.column).to_owned()))
}

/// The column that a `from` means: with or without its table, which must be the contract's own.
fn own(entries: &[Entry], contract: &Contract, reference: &str) -> Option<String> {
    if reference.contains(['.', '/']) {
        return target(entries, reference)
            .filter(|(model, _)| *model == contract.model.value)
            .map(|(_, column)| column);
    }
    let property = contract.properties.iter().find(|property| property.name == reference);
    Some(property.map_or(reference, |property| &property.column.value).to_owned())
}
