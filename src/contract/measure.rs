//! The library's metrics as SQL: what is counted, and a rule that holds the count against what it must be.

use serde_json::Value;

use super::quality::literal;
use super::rule::Rule;
use super::{Comparison, Unit};
use crate::manifest::TestKind;

/// A rule of one row: the measure over `source`, if it is not what it must be. Of nothing, 0 percent are anything.
pub(super) fn measured(
    what: &str,
    source: Rule,
    counted: &str,
    total: &str,
    must: &[Comparison],
    unit: Unit,
) -> TestKind {
    let words: Vec<String> = must.iter().map(Comparison::words).collect();
    let (observed, percent) = match unit {
        Unit::Rows => (counted.to_owned(), ""),
        Unit::Percent => (format!("coalesce(100.0 * ({counted}) / nullif({total}, 0), 0)"), " percent"),
    };
    let promise = format!("{} is {}{percent}", what.replace('_', " "), words.join(" and "));
    let mut rule =
        Rule::new(promise).text(format!("select observed from (select {observed} as observed from "));
    rule.parts.extend(source.parts);
    TestKind::Contract(rule.text(format!("\n) where not ({})", all(must, "observed"))))
}

/// All comparisons on one expression.
pub(super) fn all(must: &[Comparison], expression: &str) -> String {
    must.iter()
        .map(|comparison| format!("({})", comparison.sql(expression)))
        .collect::<Vec<_>>()
        .join(" and ")
}

/// NULL is missing whatever the list says; values are compared as text, so that `N/A` may stand for a missing number.
pub(super) fn missing(column: &str, values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().filter(|value| !value.is_null()).map(as_text).collect();
    match texts.is_empty() {
        true => format!("{column} is null"),
        false => format!("{column} is null or {column}::varchar in ({})", texts.join(", ")),
    }
}

/// Not in the list, or not matching the pattern. NULL is neither valid nor invalid.
pub(super) fn invalid(column: &str, valid: Option<&[Value]>, pattern: Option<&str>) -> String {
    let list = valid.map(|values| {
        let values: Vec<String> = values.iter().filter(|value| !value.is_null()).map(as_text).collect();
        match values.is_empty() {
            true => format!("{column} is not null"),
            false => format!("{column} not in ({})", values.join(", ")),
        }
    });
    let pattern = pattern.map(|pattern| {
        format!("not regexp_matches({column}::varchar, {})", crate::sql::quote::literal(pattern))
    });
    [list, pattern].into_iter().flatten().collect::<Vec<_>>().join(" or ")
}

/// A value as a string literal, which DuckDB casts to the column's type.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(_) => literal(value),
        other => crate::sql::quote::literal(&other.to_string()),
    }
}
