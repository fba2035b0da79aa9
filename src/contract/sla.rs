//! What a contract promises about the service: how old the data may be, and when the model goes away.

use super::Contract;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::yaml::{Fields, Yaml};

/// An entry of `slaProperties`, as far as it is about one model.
#[derive(Debug, Clone)]
pub struct Sla {
    /// What is promised.
    pub kind: SlaKind,
    /// The property's name as written: `latency`, `retention`.
    pub property: Located<String>,
    /// The value as written.
    pub value: String,
    /// The unit as written.
    pub unit: Option<String>,
    /// What it says of itself.
    pub description: String,
    /// Where it is declared.
    pub at: Location,
}

/// What kind of promise an SLA property is.
#[derive(Debug, Clone, PartialEq)]
pub enum SlaKind {
    /// `latency` or `freshness`: the newest value of a column is at most so old. The standard keeps the two apart in
    /// words only; both are measured so.
    Age {
        /// The column.
        column: Located<String>,
        /// In seconds.
        at_most: u64,
    },
    /// A promise that no query can check.
    Other,
}

/// The dates of a model's life, as written (`2027-06-30`, or with a time).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lifecycle {
    /// `generalAvailability`.
    pub general_availability: Option<Located<String>>,
    /// `endOfSupport`.
    pub end_of_support: Option<Located<String>>,
    /// `endOfLife`.
    pub end_of_life: Option<Located<String>>,
}

/// An entry of `slaProperties` before it is known which models it is about.
pub(super) struct RawSla {
    pub(super) property: Located<String>,
    pub(super) value: Located<String>,
    pub(super) unit: Option<Located<String>>,
    /// `table.column`, or one of both; the standard lists several with commas.
    pub(super) elements: Vec<Located<String>>,
    pub(super) description: String,
    pub(super) at: Location,
}

pub(super) fn read_one<'a>(
    yaml: &'a Yaml,
    default: Option<&Located<String>>,
) -> (Fields<'a>, Option<RawSla>) {
    let mut fields = Fields::new("an SLA property", yaml);
    fields.allow(&[
        "id",
        "valueExt",
        "driver",
        "scheduler",
        "schedule",
        "name",
        "context",
        "customProperties",
        "authoritativeDefinitions",
        "tags",
    ]);
    let property = fields.required_string("property");
    let value = fields.required_string("value");
    let unit = fields.string("unit");
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let element = fields.string("element").or_else(|| default.cloned());
    let elements = element.into_iter().flat_map(|element| {
        let at = element.at;
        let names: Vec<String> = element.value.split(',').map(|name| name.trim().to_owned()).collect();
        names.into_iter().filter(|name| !name.is_empty()).map(move |name| Located::new(name, at.clone()))
    });
    let elements = elements.collect();
    let at = yaml.at.clone();
    let raw = property.zip(value).map(|(property, value)| RawSla {
        property,
        value,
        unit,
        elements,
        description,
        at,
    });
    (fields, raw)
}

/// A length of time in seconds.
pub(super) fn seconds(raw: &RawSla) -> Result<u64, Diagnostic> {
    let problem = |message: String, at: &Location| {
        Diagnostic::error("contract-sla", message)
            .at(at, "")
            .help("write a number and a unit: `value: 4`, `unit: h`")
    };
    let Some(count) = raw.value.value.parse::<f64>().ok().filter(|count| *count >= 0.0 && count.is_finite())
    else {
        return Err(problem(format!("`{}` is no number", raw.value.value), &raw.value.at));
    };
    let Some(unit) = raw.unit.as_ref().map(|unit| unit.value.trim()) else {
        return Err(problem(format!("`{}` needs a `unit`", raw.property.value), &raw.at.first_line()));
    };
    let length = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => {
            let at = raw.unit.as_ref().map_or(&raw.at, |unit| &unit.at);
            return Err(problem(format!("`{unit}` is no unit of time"), at).help("it takes: s, min, h, d, w"));
        }
    };
    Ok((count * length).round() as u64)
}

/// Hands each SLA property to the contracts that it is about.
pub(super) fn attach_all(slas: &[RawSla], contracts: &mut [Contract], diagnostics: &mut Diagnostics) {
    for raw in slas {
        let name = raw.property.value.to_ascii_lowercase();
        let date = || Some(raw.value.clone());
        match name.as_str() {
            "generalavailability" => {
                contracts.iter_mut().for_each(|c| c.lifecycle.general_availability = date())
            }
            "endofsupport" => contracts.iter_mut().for_each(|c| c.lifecycle.end_of_support = date()),
            "endoflife" => contracts.iter_mut().for_each(|c| c.lifecycle.end_of_life = date()),
            "latency" | "freshness" | "ly" | "fr" => attach_age(raw, contracts, diagnostics),
            _ => contracts.iter_mut().for_each(|contract| attach(contract, raw, SlaKind::Other)),
        }
    }
}

fn attach(contract: &mut Contract, raw: &RawSla, kind: SlaKind) {
    let unit = raw.unit.as_ref().map(|unit| unit.value.clone());
    if kind == SlaKind::Other {
        let text =
            format!("{} {} {}", raw.property.value, raw.value.value, unit.as_deref().unwrap_or_default());
        contract.documentation_only.push(Located::new(text.trim_end().to_owned(), raw.at.clone()));
    }
    contract.sla.push(Sla {
        kind,
        property: raw.property.clone(),
        value: raw.value.value.clone(),
        unit,
        description: raw.description.clone(),
        at: raw.at.clone(),
    });
}

fn attach_age(raw: &RawSla, contracts: &mut [Contract], diagnostics: &mut Diagnostics) {
    let at_most = match seconds(raw) {
        Ok(seconds) => seconds,
        Err(diagnostic) => return diagnostics.push(diagnostic),
    };
    if raw.elements.is_empty() {
        diagnostics.push(
            Diagnostic::warning("contract-sla", format!("`{}` does not say of which column", raw.property.value))
                .at(&raw.at.first_line(), "")
                .help("add `element: model.column`, the column whose newest value is the data's age; until then it is listed and not checked"),
        );
        contracts.iter_mut().for_each(|contract| attach(contract, raw, SlaKind::Other));
    }
    for element in &raw.elements {
        let (table, column) = match element.value.rsplit_once('.') {
            Some((table, column)) => (Some(table), column),
            None => (None, element.value.as_str()),
        };
        let only = contracts.len() == 1;
        let wanted = |contract: &&mut Contract| match table {
            Some(table) => contract.name == table || contract.model.value == table,
            None => only || contract.properties.iter().any(|p| p.name == column || p.column.value == column),
        };
        let found = contracts.iter_mut().find(wanted).and_then(|contract| {
            let property =
                contract.properties.iter().find(|p| p.name == column || p.column.value == column)?;
            let column = Located::new(property.column.value.clone(), element.at.clone());
            attach(contract, raw, SlaKind::Age { column, at_most });
            Some(())
        });
        let known_table =
            contracts.iter().any(|c| Some(c.name.as_str()) == table || Some(c.model.value.as_str()) == table);
        if found.is_none() && !known_table && table.is_some() {
            diagnostics.push(
                Diagnostic::warning("contract-sla", format!("`{}` is of no model in this contract", element.value))
                    .at(&element.at, "")
                    .help("write `element: model.column`, as under `schema`; until then it is listed and not checked"),
            );
            contracts.iter_mut().for_each(|contract| attach(contract, raw, SlaKind::Other));
        } else if found.is_none() {
            let known: Vec<String> = contracts
                .iter()
                .flat_map(|c| c.properties.iter().map(|p| format!("{}.{}", c.name, p.name)))
                .collect();
            diagnostics.push(
                Diagnostic::error(
                    "contract-sla",
                    format!("`{}` is no property of this contract", element.value),
                )
                .at(&element.at, "")
                .suggest(&element.value, known.iter().map(String::as_str))
                .help("write `element: model.column`, as under `schema`"),
            );
        }
    }
}
