//! `logicalTypeOptions`: bounds, lengths, patterns and formats, as checks on a column.

use serde_json::Value;

use super::{LogicalType, Property};
use crate::diagnostic::{Located, Location};
use crate::sql::quote::literal;
use crate::yaml::{Kind, Yaml};

/// A check that an option asks for.
pub(super) struct Check {
    /// What a test's name ends in.
    pub(super) name: &'static str,
    pub(super) kind: CheckKind,
    pub(super) at: Location,
}

pub(super) enum CheckKind {
    /// Bounds, as SQL.
    Range { min: Option<Value>, max: Option<Value>, inclusive: Inclusive },
    /// Lengths in characters.
    Length { min: Option<u64>, max: Option<u64> },
    /// A regular expression.
    Pattern(String),
    /// Rows for which a condition on the column, written `$column`, holds are failures.
    Rows { promise: String, failing: String },
}

/// Whether a bound itself is allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inclusive {
    Yes,
    No,
}

/// The checks of a property, and what cannot be checked.
pub(super) fn checks(property: &Property) -> (Vec<Check>, Vec<Located<String>>) {
    let mut checks = Vec::new();
    let mut unchecked = Vec::new();
    let logical = property.logical_type.as_ref().map(|logical| logical.value);
    let get = |key: &str| property.options.iter().find(|(name, _)| name.value == key).map(|(_, value)| value);
    bounds(&get, &mut checks);
    lengths(property, &get, &mut checks);
    for (key, value) in &property.options {
        let at = value.at.clone();
        let check = match key.value.as_str() {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "minLength" | "maxLength" => {
                continue;
            }
            "timezone" | "defaultTimezone" if logical != Some(LogicalType::Time) => None,
            "pattern" => value.scalar_text().map(|pattern| ("pattern", CheckKind::Pattern(pattern))),
            "multipleOf" => multiple_of(value).map(|kind| ("multiple_of", kind)),
            "format" => {
                value.scalar_text().and_then(|format| format_check(&format)).map(|kind| ("format", kind))
            }
            "minItems" => items(value, "<", "at least").map(|kind| ("min_items", kind)),
            "maxItems" => items(value, ">", "at most").map(|kind| ("max_items", kind)),
            "uniqueItems" if value.kind == Kind::Bool(true) => Some((
                "unique_items",
                CheckKind::Rows {
                    promise: "has each item once".into(),
                    failing:
                        "len(list_distinct($column)) <> len(list_filter($column, lambda x: x is not null))"
                            .into(),
                },
            )),
            "uniqueItems" => continue,
            _ => None,
        };
        match check {
            Some((name, kind)) => checks.push(Check { name, kind, at }),
            None => {
                let value = value.scalar_text().unwrap_or_else(|| value.to_json().to_string());
                let text = format!("{}: {value} of {}", key.value, property.name);
                unchecked.push(Located::new(text, key.at.clone()));
            }
        }
    }
    (checks, unchecked)
}

/// The options of a property that Kiln cannot check.
pub(super) fn unchecked(property: &Property) -> Vec<Located<String>> {
    checks(property).1
}

fn bounds<'a>(get: &impl Fn(&str) -> Option<&'a Yaml>, checks: &mut Vec<Check>) {
    // 3.0 and JSON Schema's early drafts wrote `exclusiveMaximum: true` beside `maximum`.
    let flag = |key: &str| get(key).is_some_and(|value| value.kind == Kind::Bool(true));
    let bound = |key: &str| get(key).and_then(|value| Some((bound_value(value)?, value.at.clone())));
    let end = |plain: &str, exclusive: &str| {
        let strict = bound(exclusive).map(|(value, at)| (value, at, Inclusive::No));
        let inclusive = if flag(exclusive) { Inclusive::No } else { Inclusive::Yes };
        strict.or_else(|| bound(plain).map(|(value, at)| (value, at, inclusive)))
    };
    match (end("minimum", "exclusiveMinimum"), end("maximum", "exclusiveMaximum")) {
        (Some((min, at, one)), Some((max, _, two))) if one == two => checks.push(Check {
            name: "range",
            kind: CheckKind::Range { min: Some(min), max: Some(max), inclusive: one },
            at,
        }),
        (min, max) => {
            checks.extend(min.map(|(min, at, inclusive)| Check {
                name: "minimum",
                kind: CheckKind::Range { min: Some(min), max: None, inclusive },
                at,
            }));
            checks.extend(max.map(|(max, at, inclusive)| Check {
                name: "maximum",
                kind: CheckKind::Range { min: None, max: Some(max), inclusive },
                at,
            }));
        }
    }
}

/// A bound as an argument of `accepted_range`, whose bounds are SQL: text is quoted here.
fn bound_value(yaml: &Yaml) -> Option<Value> {
    match &yaml.kind {
        Kind::Number(number) => Some(Value::Number(number.clone())),
        Kind::String(text) => Some(Value::String(literal(text))),
        _ => None,
    }
}

/// Lengths of text, from the options, else from `VARCHAR(n)`, which DuckDB reads and does not keep.
fn lengths<'a>(property: &Property, get: &impl Fn(&str) -> Option<&'a Yaml>, checks: &mut Vec<Check>) {
    let length = |key: &str| {
        let value = get(key)?;
        Some((value.scalar_text()?.parse::<u64>().ok()?, value.at.clone()))
    };
    let declared = || {
        let declared = property.physical_type.as_ref()?;
        let (base, rest) = declared.value.split_once('(')?;
        let text = ["varchar", "char", "bpchar", "nvarchar", "character varying", "text", "string"];
        let is_text = text.contains(&base.trim().to_ascii_lowercase().as_str());
        let length = rest.trim_end().strip_suffix(')')?.trim().parse::<u64>().ok()?;
        is_text.then(|| (length, declared.at.clone()))
    };
    let (min, max) = (length("minLength"), length("maxLength").or_else(declared));
    let Some(at) = min.as_ref().or(max.as_ref()).map(|(_, at)| at.clone()) else { return };
    let kind = CheckKind::Length { min: min.map(|(length, _)| length), max: max.map(|(length, _)| length) };
    checks.push(Check { name: "length", kind, at });
}

/// Whole steps are exact; others are counted in DOUBLE, where 0.3 is no multiple of 0.1 without some tolerance.
fn multiple_of(value: &Yaml) -> Option<CheckKind> {
    let Kind::Number(step) = &value.kind else { return None };
    let failing = match (step.as_i64(), step.as_f64()) {
        (Some(whole), _) if whole > 0 => format!("$column % {whole} <> 0"),
        (_, Some(part)) if part > 0.0 => {
            format!("abs($column::double / {part} - round($column::double / {part})) > 1e-9")
        }
        _ => return None,
    };
    Some(CheckKind::Rows { promise: format!("is a multiple of {step}"), failing })
}

fn items(value: &Yaml, failing: &str, words: &str) -> Option<CheckKind> {
    let count = value.scalar_text()?.parse::<u64>().ok()?;
    let promise = format!("has {words} {count} items");
    Some(CheckKind::Rows { promise, failing: format!("len($column) {failing} {count}") })
}

/// The formats that a value can be held against.
fn format_check(format: &str) -> Option<CheckKind> {
    let pattern = match format {
        "email" => r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        "uuid" => r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        "uri" => r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$",
        "hostname" => {
            r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
        }
        "ipv4" => r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.|$)){4}$",
        _ => {
            let bits: u32 = format.get(1..)?.parse().ok().filter(|bits| [8, 16, 32, 64].contains(bits))?;
            let (low, high) = match format.as_bytes().first()? {
                b'i' => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
                b'u' => (0, (1_i128 << bits) - 1),
                _ => return None,
            };
            return Some(CheckKind::Rows {
                promise: format!("fits {format}"),
                failing: format!("$column not between {low} and {high}"),
            });
        }
    };
    let failing = format!("not regexp_matches($column::varchar, {})", literal(pattern));
    Some(CheckKind::Rows { promise: format!("has the format {format}"), failing })
}
