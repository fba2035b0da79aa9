//! A contract of any version from 3.0 to 3.2 as one of 3.1, with everything that stood in it.
//!
//! What 3.1 has no key for moves under `customProperties`, where the standard has room for it.

use serde_json::{Map, Value, json};

use super::Contract;
use super::draft::{API_VERSION, Draft};
use crate::yaml::Object;

/// Keys that version 3.1 knows, beside those that all of its sections share.
const ROOT: [&str; 22] = [
    "version",
    "kind",
    "apiVersion",
    "id",
    "name",
    "tenant",
    "tags",
    "status",
    "servers",
    "dataProduct",
    "description",
    "domain",
    "schema",
    "support",
    "price",
    "team",
    "roles",
    "slaDefaultElement",
    "slaProperties",
    "authoritativeDefinitions",
    "customProperties",
    "contractCreatedTs",
];

const ENTRY: [&str; 14] = [
    "authoritativeDefinitions",
    "businessName",
    "customProperties",
    "dataGranularityDescription",
    "description",
    "id",
    "logicalType",
    "name",
    "physicalName",
    "physicalType",
    "properties",
    "quality",
    "relationships",
    "tags",
];

const PROPERTY: [&str; 28] = [
    "authoritativeDefinitions",
    "businessName",
    "classification",
    "criticalDataElement",
    "customProperties",
    "description",
    "encryptedName",
    "examples",
    "id",
    "items",
    "logicalType",
    "logicalTypeOptions",
    "name",
    "partitionKeyPosition",
    "partitioned",
    "physicalName",
    "physicalType",
    "primaryKey",
    "primaryKeyPosition",
    "properties",
    "quality",
    "relationships",
    "required",
    "tags",
    "transformDescription",
    "transformLogic",
    "transformSourceObjects",
    "unique",
];

const QUALITY: [&str; 28] = [
    "arguments",
    "authoritativeDefinitions",
    "businessImpact",
    "customProperties",
    "description",
    "dimension",
    "engine",
    "id",
    "implementation",
    "method",
    "metric",
    "mustBe",
    "mustBeBetween",
    "mustBeGreaterOrEqualTo",
    "mustBeGreaterThan",
    "mustBeLessOrEqualTo",
    "mustBeLessThan",
    "mustNotBe",
    "mustNotBeBetween",
    "name",
    "query",
    "rule",
    "schedule",
    "scheduler",
    "severity",
    "tags",
    "type",
    "unit",
];

const RELATIONSHIP: [&str; 4] = ["type", "from", "to", "customProperties"];

const SLA: [&str; 10] = [
    "description",
    "driver",
    "element",
    "id",
    "property",
    "schedule",
    "scheduler",
    "unit",
    "value",
    "valueExt",
];

/// Writes a contract's file as version 3.1.
pub fn upgrade(file: &Object) -> Object {
    let mut file = file.clone();
    file.insert("apiVersion".into(), API_VERSION.into());
    // The status is free text in the standard, and must be there.
    if !file.contains_key("status") {
        put(&mut file, "status", "active".into());
    }
    if let Some(Value::Array(members)) = file.get("team").cloned() {
        file.insert("team".into(), json!({"members": members}));
    }
    // 3.1 lets an SLA have no custom properties of its own: what it has goes to the file, under its name.
    let mut moved = Vec::new();
    for sla in list(&mut file, "slaProperties") {
        let name = sla.get("property").and_then(Value::as_str).unwrap_or_default().to_owned();
        for (key, value) in take_unknown(sla, &SLA) {
            moved.push(json!({"property": format!("sla.{name}.{key}"), "value": value}));
        }
    }
    for entry in list(&mut file, "schema") {
        entry_of(entry);
    }
    keep_unknown(&mut file, &ROOT);
    add_custom(&mut file, moved);
    file
}

fn entry_of(entry: &mut Object) {
    // In 3.1 every property is a column, which a measure is not.
    let mut measures = Vec::new();
    if let Some(Value::Array(properties)) = entry.get_mut("properties") {
        let is_measure = |item: &Value| item.get("semanticType").and_then(Value::as_str) == Some("measure");
        measures = properties.extract_if(.., |item| is_measure(item)).collect();
    }
    let kept = measures.into_iter().map(|measure| json!({"property": "measure", "value": measure}));
    add_custom(entry, kept.collect());
    for property in list(entry, "properties") {
        property_of(property);
    }
    for quality in list(entry, "quality") {
        quality_of(quality);
    }
    for relationship in list(entry, "relationships") {
        relationship_of(relationship);
    }
    keep_unknown(entry, &ENTRY);
}

fn property_of(property: &mut Object) {
    for inner in list(property, "properties") {
        property_of(inner);
    }
    if let Some(Value::Object(items)) = property.get_mut("items") {
        property_of(items);
    }
    for quality in list(property, "quality") {
        quality_of(quality);
    }
    for relationship in list(property, "relationships") {
        relationship_of(relationship);
    }
    if let Some(Value::Array(values)) = property.get("enum").cloned() {
        values_of(property, &values);
    }
    // What 3.2 added to the logical types has no name in 3.1.
    let newer = property.get("logicalType").and_then(Value::as_str);
    if newer.is_some_and(|name| ["map", "vector"].contains(&name)) {
        let kept: Vec<Value> = ["logicalType", "logicalTypeOptions"]
            .into_iter()
            .filter_map(|key| Some(json!({"property": key, "value": property.shift_remove(key)?})))
            .collect();
        add_custom(property, kept);
    }
    if let Some(Value::Object(options)) = property.get_mut("logicalTypeOptions") {
        bounds_of(options);
    }
    keep_unknown(property, &PROPERTY);
}

/// 3.2's `enum` as the rule that says the same in 3.1. What else is said of the values is kept beside it.
fn values_of(property: &mut Object, values: &[Value]) {
    let bare: Vec<Value> = values.iter().map(|item| item.get("value").unwrap_or(item).clone()).collect();
    let more = values.iter().any(|item| item.as_object().is_some_and(|item| item.len() > 1));
    if !more {
        property.shift_remove("enum");
    }
    let rule = json!({"metric": "invalidValues", "arguments": {"validValues": bare}, "mustBe": 0});
    match property.get_mut("quality") {
        Some(Value::Array(rules)) => rules.push(rule),
        _ => {
            property.insert("quality".into(), json!([rule]));
        }
    }
}

/// 3.0 wrote `exclusiveMinimum: true` beside `minimum`; 3.1 writes the bound itself.
fn bounds_of(options: &mut Object) {
    for (plain, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match options.get(exclusive) {
            Some(Value::Bool(true)) => {
                if let Some(bound) = options.shift_remove(plain) {
                    options.insert(exclusive.into(), bound);
                }
            }
            Some(Value::Bool(false)) => {
                options.shift_remove(exclusive);
            }
            _ => {}
        }
    }
}

fn quality_of(quality: &mut Object) {
    let kind = quality.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase);
    if quality.contains_key("rule") && !quality.contains_key("metric") {
        rename(quality, "rule", "metric");
    }
    let metric = quality.get("metric").and_then(Value::as_str).map(|name| match name {
        "nullCheck" | "nullCount" => "nullValues",
        "missingCount" => "missingValues",
        "invalidCount" | "validValues" => "invalidValues",
        "duplicateCount" | "duplicates" => "duplicateValues",
        "countCheck" => "rowCount",
        other => other,
    });
    if let Some(metric) = metric.map(str::to_owned) {
        quality.insert("metric".into(), metric.into());
    }
    for (old, new) in [
        ("mustBeGreaterThanOrEqualTo", "mustBeGreaterOrEqualTo"),
        ("mustBeLessThanOrEqualTo", "mustBeLessOrEqualTo"),
        ("scheduleCronExpression", "schedule"),
    ] {
        if quality.contains_key(old) && !quality.contains_key(new) {
            rename(quality, old, new);
        }
    }
    let inline: Vec<(String, Value)> = ["validValues", "pattern", "missingValues"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), quality.shift_remove(key)?)))
        .collect();
    if !inline.is_empty() {
        let mut arguments = match quality.shift_remove("arguments") {
            Some(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        };
        arguments.extend(inline);
        quality.insert("arguments".into(), Value::Object(arguments));
    }
    let is_library = kind.as_deref().is_none_or(|kind| kind == "library") && quality.contains_key("metric");
    let compared = quality.keys().any(|key| key.starts_with("must"));
    if is_library && !compared {
        quality.insert("mustBe".into(), 0.into());
    }
    let said = match (kind.as_deref(), quality.contains_key("query"), quality.contains_key("engine")) {
        (Some(kind), ..) => Some(kind.to_owned()),
        (None, ..) if quality.contains_key("metric") => None,
        (None, true, _) => Some("sql".to_owned()),
        (None, false, true) => Some("custom".to_owned()),
        // 3.0 wrote rules in words without a type.
        (None, false, false) => Some("text".to_owned()),
    };
    if let Some(said) = said {
        quality.insert("type".into(), said.into());
    }
    keep_unknown(quality, &QUALITY);
}

fn relationship_of(relationship: &mut Object) {
    keep_unknown(relationship, &RELATIONSHIP);
}

/// The mappings of a list under a key.
fn list<'a>(map: &'a mut Object, key: &str) -> impl Iterator<Item = &'a mut Object> {
    let items = match map.get_mut(key) {
        Some(Value::Array(items)) => items.as_mut_slice(),
        _ => &mut [],
    };
    items.iter_mut().filter_map(Value::as_object_mut)
}

fn rename(map: &mut Object, old: &str, new: &str) {
    let renamed = std::mem::take(map);
    map.extend(
        renamed
            .into_iter()
            .map(|(key, value)| if key == old { (new.to_owned(), value) } else { (key, value) }),
    );
}

fn take_unknown(map: &mut Object, known: &[&str]) -> Vec<(String, Value)> {
    let unknown: Vec<String> = map.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
    unknown.into_iter().filter_map(|key| map.shift_remove(&key).map(|value| (key, value))).collect()
}

/// Moves what 3.1 does not know under `customProperties`, and what custom properties may not hold into their values.
fn keep_unknown(map: &mut Object, known: &[&str]) {
    let unknown = take_unknown(map, known);
    let kept = unknown.into_iter().map(|(key, value)| json!({"property": key, "value": value}));
    add_custom(map, kept.collect());
    for custom in list(map, "customProperties") {
        if let Some(Value::String(vendor)) = custom.shift_remove("vendor")
            && !custom.contains_key("description")
        {
            custom.insert("description".into(), format!("vendor: {vendor}").into());
        }
        if !custom.contains_key("value") {
            custom.insert("value".into(), Value::Null);
        }
    }
}

fn add_custom(map: &mut Object, items: Vec<Value>) {
    if items.is_empty() {
        return;
    }
    match map.get_mut("customProperties") {
        Some(Value::Array(list)) => list.extend(items),
        _ => {
            map.insert("customProperties".into(), Value::Array(items));
        }
    }
}

/// A contract's file as version 3.1, completed by what its model's properties say and it does not.
pub fn complete(contract: &Contract, draft: &Draft) -> Object {
    let mut file = match contract.raw.to_json() {
        Value::Object(file) => upgrade(&file),
        _ => Object::new(),
    };
    let drafted = draft.value();
    if let (false, Some(team)) = (file.contains_key("team"), drafted.get("team")) {
        put(&mut file, "team", team.clone());
    }
    let Some(wanted) = list_of(&drafted, "schema").next() else { return file };
    let entry = list(&mut file, "schema")
        .find(|entry| entry.get("name").and_then(Value::as_str) == Some(contract.name.as_str()));
    if let Some(entry) = entry {
        add_missing(entry, wanted, &["description", "physicalType", "tags", "relationships"]);
        for column in list_of(wanted, "properties") {
            column_of(entry, column);
        }
        for rule in list_of(wanted, "quality") {
            add_rule(entry, rule);
        }
    }
    file
}

fn column_of(entry: &mut Object, column: &Object) {
    let name = column.get("name").and_then(Value::as_str).unwrap_or_default();
    let is_it = |property: &&mut Object| {
        let own = property.get("physicalName").or_else(|| property.get("name"));
        own.and_then(Value::as_str).is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let has_key =
        list_of(entry, "properties").any(|property| property.get("primaryKey") == Some(&true.into()));
    let mut column = column.clone();
    if has_key {
        column.shift_remove("primaryKey");
        column.shift_remove("primaryKeyPosition");
    }
    if let Some(property) = list(entry, "properties").find(is_it) {
        let typed = property.contains_key("logicalType") || property.contains_key("physicalType");
        if typed {
            column.shift_remove("logicalType");
        }
        let rules: Vec<Object> = list_of(&column, "quality").cloned().collect();
        column.shift_remove("quality");
        let keys: Vec<String> = column.keys().cloned().collect();
        add_missing(property, &column, &keys);
        for rule in &rules {
            add_rule(property, rule);
        }
        return;
    }
    match entry.get_mut("properties") {
        Some(Value::Array(properties)) => properties.push(Value::Object(column)),
        _ => {
            entry.insert("properties".into(), json!([column]));
        }
    }
}

fn add_missing<K: AsRef<str>>(map: &mut Object, from: &Object, keys: &[K]) {
    for key in keys.iter().map(AsRef::as_ref) {
        if let (false, Some(value)) = (map.contains_key(key), from.get(key)) {
            put(map, key, value.clone());
        }
    }
}

/// Adds a key before the long sections of a mapping, where a person would look for it.
fn put(map: &mut Object, key: &str, value: Value) {
    let long = ["customProperties", "properties", "quality", "relationships", "schema", "slaProperties"];
    let at = map.keys().position(|known| long.contains(&known.as_str()));
    match at {
        Some(at) if !long.contains(&key) => map.shift_insert(at, key.to_owned(), value),
        _ => map.insert(key.to_owned(), value),
    };
}

/// Adds a rule that is not there yet. Two rules are the same if they measure the same.
fn add_rule(map: &mut Object, rule: &Object) {
    let measured = |rule: &Object| {
        ["metric", "query", "engine", "implementation", "arguments"].map(|key| rule.get(key).cloned())
    };
    let values = |rule: &Object| {
        rule.get("metric").and_then(Value::as_str) == Some("invalidValues")
            && rule.get("arguments").is_some_and(|arguments| arguments.get("validValues").is_some())
    };
    // The values are compared elsewhere: here they agree, in whatever order they are written.
    let known = list_of(map, "quality")
        .any(|known| measured(known) == measured(rule) || values(known) && values(rule));
    if known {
        return;
    }
    match map.get_mut("quality") {
        Some(Value::Array(rules)) => rules.push(Value::Object(rule.clone())),
        _ => {
            map.insert("quality".into(), json!([rule]));
        }
    }
}

fn list_of<'a>(map: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    map.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}
