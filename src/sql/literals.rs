//! Literals: texts in a query that DuckDB will cast to another type, read from its bound plan. Binding does not look at what
//! they say, so a date that is none fails at the first row.

use serde::Deserialize;

/// A text that is cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// What is written.
    pub text: String,
    /// The type to which it is cast.
    pub data_type: String,
    /// Byte offset and length in the query, where DuckDB tells them.
    pub position: Option<(usize, usize)>,
}

const CAST: &str = r#"{"expression_class":"BOUND_FUNCTION","type":"OPERATOR_CAST""#;
const OF_CONSTANT: &str = r#""children":[{"expression_class":"BOUND_CONSTANT""#;
/// How far behind the beginning of a cast its child is, with an alias and the longest of the types that are looked at.
const NEAR: usize = 600;

/// The literals of a plan whose text may not fit the type that it is cast to.
pub fn doubtful(plan: &str) -> Vec<Literal> {
    let starts = plan.match_indices(CAST).map(|(at, _)| at);
    let of_constant = starts.filter(|at| {
        let near = &plan[*at..plan.floor_char_boundary((at + NEAR).min(plan.len()))];
        near.find(r#""children":"#).is_some_and(|at| near[at..].starts_with(OF_CONSTANT))
    });
    let mut found: Vec<Literal> = of_constant.filter_map(|at| literal(&plan[at..])).collect();
    found.retain(|literal| !is_plain(literal));
    if found.is_empty() || guarded(plan) {
        return Vec::new();
    }
    found
}

/// Whether the plan has an expression that may keep a cast from being computed. Which cast, is not looked at.
fn guarded(plan: &str) -> bool {
    const GUARDS: [&str; 3] = [r#""BOUND_CASE""#, r#""OPERATOR_COALESCE""#, r#""OPERATOR_TRY""#];
    GUARDS.iter().any(|guard| plan.contains(guard))
}

#[derive(Deserialize)]
struct Cast {
    return_type: Type,
    children: Vec<Constant>,
    function_data: How,
}

#[derive(Deserialize)]
struct Type {
    id: String,
    type_info: Option<Decimal>,
}

#[derive(Deserialize)]
struct Decimal {
    width: Option<u8>,
    scale: Option<u8>,
}

#[derive(Deserialize)]
struct Constant {
    query_location: Option<usize>,
    query_location_length: Option<usize>,
    value: Value,
}

#[derive(Deserialize)]
struct Value {
    r#type: Type,
    value: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct How {
    try_cast: bool,
}

/// The literal of the cast with which a text begins, if it is one.
fn literal(plan: &str) -> Option<Literal> {
    let cast: Cast = serde_json::Deserializer::from_str(plan).into_iter().next()?.ok()?;
    let [constant] = cast.children.as_slice() else { return None };
    if cast.function_data.try_cast || constant.value.r#type.id != "VARCHAR" {
        return None;
    }
    const TYPES: [&str; 17] = [
        "DATE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
        "INTERVAL",
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "FLOAT",
        "DOUBLE",
        "UUID",
        "UBIGINT",
    ];
    let data_type = match (cast.return_type.id.as_str(), &cast.return_type.type_info) {
        ("DECIMAL", Some(Decimal { width: Some(width), scale: Some(scale) })) => {
            format!("DECIMAL({width},{scale})")
        }
        (id, _) => (*TYPES.iter().find(|known| **known == id)?).to_owned(),
    };
    let text = constant.value.value.as_ref()?.as_str()?.to_owned();
    let position =
        constant.query_location.filter(|at| *at < usize::MAX / 2).zip(constant.query_location_length);
    Some(Literal { text, data_type, position })
}

/// Whether a text fits without asking DuckDB: the days and numbers that people write.
fn is_plain(literal: &Literal) -> bool {
    let text = literal.text.as_str();
    match literal.data_type.as_str() {
        "DATE" | "TIMESTAMP" => is_day(text),
        "INTEGER" => text.parse::<i32>().is_ok(),
        "BIGINT" => text.parse::<i64>().is_ok(),
        "DOUBLE" | "FLOAT" => text.parse::<f64>().is_ok(),
        "INTERVAL" => is_span(text),
        _ => false,
    }
}

/// `7 days`.
fn is_span(text: &str) -> bool {
    const UNITS: [&str; 7] = ["second", "minute", "hour", "day", "week", "month", "year"];
    text.split_once(' ').is_some_and(|(count, unit)| {
        count.parse::<u32>().is_ok() && UNITS.contains(&unit.strip_suffix('s').unwrap_or(unit))
    })
}

/// `2026-11-22`, up to the 28th, which every month has.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| match text.len() == digits {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    let [year, month, day] = parts.as_slice() else { return false };
    number(year, 4).is_some()
        && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
        && number(day, 2).is_some_and(|day| (1..=28).contains(&day))
}
