//! The objects that templates hold: lists and dicts that can be changed, relations, query results.

pub(super) mod list;
pub(super) mod methods;
pub(super) mod relation;
pub(super) mod table;

use minijinja::Value;
use minijinja::value::ValueKind;

use self::list::{Dict, List};
use super::marker;
use crate::yaml::Object;

/// A JSON value as a template sees it.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Value::from(number),
            (_, Some(number), _) => Value::from(number),
            (_, _, Some(number)) => Value::from(number),
            _ => Value::from(number.to_string()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => List::value(items.iter().map(from_json).collect()),
        serde_json::Value::Object(object) => from_object(object),
    }
}

/// A JSON object as a template sees it.
pub(super) fn from_object(object: &Object) -> Value {
    Dict::value(object.iter().map(|(key, value)| (Value::from(key.as_str()), from_json(value))).collect())
}

/// A template's value as JSON, without marks. What has no JSON form becomes its text.
pub(super) fn to_json(value: &Value) -> serde_json::Value {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => serde_json::Value::Null,
        ValueKind::Bool => serde_json::Value::Bool(value.is_true()),
        ValueKind::Number => serde_json::to_value(value).unwrap_or(serde_json::Value::Null),
        ValueKind::Seq | ValueKind::Iterable => match value.try_iter() {
            Ok(items) => items.map(|item| to_json(&item)).collect(),
            Err(_) => serde_json::Value::Null,
        },
        ValueKind::Map => to_object(value).into(),
        _ => serde_json::Value::String(marker::plain(&value.to_string())),
    }
}

/// A mapping as a JSON object; anything else is empty.
pub(super) fn to_object(value: &Value) -> Object {
    pairs(value).into_iter().map(|(key, value)| (marker::plain(&key.to_string()), to_json(&value))).collect()
}

/// The entries of a mapping.
pub(super) fn pairs(value: &Value) -> Vec<(Value, Value)> {
    if value.kind() != ValueKind::Map {
        return Vec::new();
    }
    value.as_object().and_then(|object| object.try_iter_pairs()).into_iter().flatten().collect()
}
