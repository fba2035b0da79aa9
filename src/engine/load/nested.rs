//! Nested values in JSON: what inside of one does not fit its declared type. DuckDB's lenient cast turns an inner value
//! that does not fit into NULL without a word, and its strict cast fails on any key that is new or missing, so each
//! value is looked at on its own.

use crate::sql::data_type::Type;
use crate::sql::quote::literal;

use super::json::{lossy, pointer};

/// SQL for the first value within a JSON value that does not fit a type, as a reason; NULL if all fit. `None` if there
/// is nothing that might not fit.
pub(super) fn misfit(value: &str, declared: &Type, path: &str) -> Option<String> {
    inside(value, declared, &literal(path), 0)
}

/// `path` is an expression, since it holds a map's keys.
fn inside(value: &str, declared: &Type, path: &str, depth: usize) -> Option<String> {
    let kind = |wanted: &str, found: Option<String>| {
        let other = format!("json_type({value}) NOT IN ('{wanted}', 'NULL')");
        let found = found.map(|found| format!(" ELSE {found}")).unwrap_or_default();
        Some(format!("CASE WHEN {other} THEN {}{found} END", reason(value, declared, path)))
    };
    match declared {
        Type::Struct(fields) => {
            let found: Vec<String> = fields
                .iter()
                .filter_map(|(name, of)| {
                    let value = format!("json_extract({value}, {})", pointer(name));
                    inside(&value, of, &format!("{path} || {}", literal(&format!(".{name}"))), depth)
                })
                .collect();
            kind("OBJECT", (!found.is_empty()).then(|| format!("coalesce({}, NULL)", found.join(", "))))
        }
        Type::List(of) | Type::Array(of, _) => {
            let item = format!("_kiln_{depth}");
            let found = inside(&item, of, &format!("{path} || '[]'"), depth + 1);
            kind("ARRAY", found.map(|found| first(&format!("json_extract({value}, '$[*]')"), &item, &found)))
        }
        Type::Map(_, of) => {
            let key = format!("_kiln_{depth}");
            let at = format!("'/' || replace(replace({key}, '~', '~0'), '/', '~1')");
            let path = format!("{path} || '[' || {key} || ']'");
            let found = inside(&format!("json_extract({value}, {at})"), of, &path, depth + 1);
            kind("OBJECT", found.map(|found| first(&format!("json_keys({value})"), &key, &found)))
        }
        Type::Plain(name) if name == "JSON" || name == "VARCHAR" => None,
        Type::Plain(_) | Type::Decimal(..) | Type::Enum(_) | Type::Union(_) => {
            let text = format!("({value} ->> '$')");
            let data_type = spelled(declared);
            let lost = lossy(&data_type, &text).map(|lossy| format!(" OR {lossy}")).unwrap_or_default();
            Some(format!(
                "CASE WHEN {text} IS NOT NULL AND (TRY_CAST({value} AS {data_type}) IS NULL{lost}) THEN {} END",
                reason(value, declared, path)
            ))
        }
    }
}

/// The first reason over a list.
fn first(list: &str, item: &str, found: &str) -> String {
    format!("list_filter(list_transform({list}, lambda {item}: {found}), lambda found: found IS NOT NULL)[1]")
}

fn reason(value: &str, declared: &Type, path: &str) -> String {
    let what = match declared {
        Type::Struct(_) => "a STRUCT".to_owned(),
        Type::Map(..) => "a MAP".to_owned(),
        Type::List(_) | Type::Array(..) => "a list".to_owned(),
        other => spelled(other),
    };
    format!(
        "'`' || {path} || '`: `' || left({value} ->> '$', 200) || {}",
        literal(&format!("` is not {what}"))
    )
}

/// A type without parts, as SQL.
fn spelled(leaf: &Type) -> String {
    match leaf {
        Type::Enum(members) => {
            let members: Vec<String> = members.iter().map(|member| literal(member)).collect();
            format!("ENUM({})", members.join(", "))
        }
        other => other.to_string(),
    }
}
