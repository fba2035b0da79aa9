//! A contract about to be written: what a model's columns and properties say, as a file of the standard, version 3.1.

use serde_json::{Map, Value, json};

use super::facts::{Facts, OtherTest, Reference, key};
use super::{LogicalType, Status};
use crate::manifest::{Object, Owner, TestSeverity};
use crate::yaml::write::{Remarks, document};

/// The version of the standard that Kiln writes.
pub(super) const API_VERSION: &str = "v3.1.0";

/// What a contract shall say of a model.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The model.
    pub model: String,
    /// `active`, or `draft` until its owner agrees.
    pub status: Status,
    /// `table` or `view`.
    pub physical_type: String,
    /// What it is.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Who to ask.
    pub owner: Owner,
    /// Its columns in their order.
    pub columns: Vec<DraftColumn>,
    /// What identifies a row when it is merged.
    pub unique_key: Vec<String>,
    /// What its tests and constraints say.
    pub facts: Facts,
}

/// A column of a [`Draft`].
#[derive(Debug, Clone)]
pub struct DraftColumn {
    /// Its name.
    pub name: String,
    /// Its type in DuckDB's words.
    pub data_type: Option<String>,
    /// What it is.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its classification.
    pub classification: Option<String>,
    /// A remark for whoever edits the file.
    pub remark: Option<String>,
}

impl Draft {
    /// The file's text.
    pub fn text(&self) -> String {
        let mut remarks = Remarks::new();
        if self.status == Status::Draft {
            let remark = "until it is `active`, a broken promise only warns";
            remarks.insert("/status".to_owned(), remark.to_owned());
        }
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(remark) = &column.remark {
                remarks.insert(format!("/schema/0/properties/{index}"), remark.clone());
            }
        }
        document(&self.value(), &remarks)
    }

    /// The file as a value.
    pub fn value(&self) -> Object {
        let mut file = Map::new();
        file.insert("apiVersion".into(), API_VERSION.into());
        file.insert("kind".into(), "DataContract".into());
        file.insert("id".into(), self.model.clone().into());
        file.insert("version".into(), "1.0.0".into());
        file.insert("status".into(), self.status.as_str().into());
        if let Some(team) = self.team() {
            file.insert("team".into(), team);
        }
        file.insert("schema".into(), json!([self.entry()]));
        file
    }

    fn team(&self) -> Option<Value> {
        let mut team = Map::new();
        if let Some(name) = &self.owner.name {
            team.insert("name".into(), name.clone().into());
        }
        if let Some(email) = &self.owner.email {
            team.insert("members".into(), json!([{"username": email, "role": "owner"}]));
        }
        (!team.is_empty()).then_some(Value::Object(team))
    }

    fn entry(&self) -> Object {
        let mut entry = Map::new();
        entry.insert("name".into(), self.model.clone().into());
        entry.insert("physicalType".into(), self.physical_type.clone().into());
        put_text(&mut entry, "description", &self.description);
        put_list(&mut entry, "tags", self.tags.iter().cloned().map(Value::from).collect());
        let key = self.key();
        if let Key::Grain(columns) = &key {
            entry.insert("customProperties".into(), json!([{"property": "grain", "value": columns}]));
        }
        let (single, composite): (Vec<&Reference>, Vec<&Reference>) =
            self.facts.references.iter().partition(|reference| reference.from.len() == 1);
        let composite = composite.into_iter().map(|reference| {
            let of = |model: &str, columns: &[String]| -> Vec<String> {
                columns.iter().map(|column| format!("{model}.{column}")).collect()
            };
            json!({
                "from": of(&self.model, &reference.from),
                "to": of(&reference.model, &reference.to),
            })
        });
        put_list(&mut entry, "relationships", composite.collect());
        let properties =
            self.columns.iter().map(|column| Value::Object(self.property(column, &key, &single)));
        put_list(&mut entry, "properties", properties.collect());
        put_list(&mut entry, "quality", self.quality(&key));
        entry
    }

    fn property(&self, column: &DraftColumn, row_key: &Key, references: &[&Reference]) -> Object {
        let name = key(&column.name);
        let mut property = Map::new();
        property.insert("name".into(), column.name.clone().into());
        let family = column.data_type.as_deref().and_then(LogicalType::of);
        if let Some(family) = family {
            property.insert("logicalType".into(), family.as_str().into());
        }
        if let Some(data_type) = &column.data_type {
            property.insert("physicalType".into(), data_type.clone().into());
        }
        put_text(&mut property, "description", &column.description);
        let position = match row_key {
            Key::Primary(columns) => columns.iter().position(|known| key(known) == name),
            _ => None,
        };
        if self.facts.required.contains_key(&name) || position.is_some() {
            property.insert("required".into(), true.into());
        }
        if let Some(position) = position {
            property.insert("primaryKey".into(), true.into());
            property.insert("primaryKeyPosition".into(), (position + 1).into());
        }
        let alone = matches!(row_key, Key::Primary(columns) if columns.len() == 1) && position.is_some();
        if self.facts.unique.contains_key(&name) && !alone {
            property.insert("unique".into(), true.into());
        }
        if let Some(classification) = &column.classification {
            property.insert("classification".into(), classification.clone().into());
        }
        put_list(&mut property, "tags", column.tags.iter().cloned().map(Value::from).collect());
        let mut quality = Vec::new();
        if let Some(range) = self.facts.ranges.get(&name) {
            let (min, max) = &range.value;
            let mut bounds = Map::new();
            for (key, bound) in [("minimum", min), ("maximum", max)] {
                if let Some(bound) = bound {
                    bounds.insert(key.into(), bound.clone());
                }
            }
            // The standard has bounds for numbers only where the logical type says that it is one.
            match family {
                Some(LogicalType::Integer | LogicalType::Number) => {
                    property.insert("logicalTypeOptions".into(), Value::Object(bounds));
                }
                _ => {
                    let mut args = Map::new();
                    args.extend(min.iter().map(|min| ("min_value".to_owned(), min.clone())));
                    args.extend(max.iter().map(|max| ("max_value".to_owned(), max.clone())));
                    quality.push(custom("dbt_utils.accepted_range", &args, TestSeverity::Error, None));
                }
            }
        }
        let to = references
            .iter()
            .filter(|reference| key(&reference.from[0]) == name)
            .map(|reference| json!({"to": format!("{}.{}", reference.model, reference.to[0])}));
        put_list(&mut property, "relationships", to.collect());
        if let Some(values) = self.facts.accepted.get(&name) {
            quality.push(json!({
                "metric": "invalidValues",
                "arguments": {"validValues": values.value},
                "mustBe": 0,
            }));
        }
        let own = |test: &&OtherTest| test.column.as_deref().is_some_and(|column| key(column) == name);
        quality.extend(self.facts.others.iter().filter(own).map(other));
        put_list(&mut property, "quality", quality);
        property
    }

    fn quality(&self, row_key: &Key) -> Vec<Value> {
        let mut rules = Vec::new();
        for combination in &self.facts.combinations {
            if !row_key.is(&combination.value) {
                rules.push(json!({
                    "metric": "duplicateValues",
                    "arguments": {"properties": combination.value},
                    "mustBe": 0,
                }));
            }
        }
        for check in &self.facts.checks {
            rules.push(json!({
                "type": "sql",
                "query": format!("select count(*) from {{object}} where not ({})", check.value),
                "mustBe": 0,
            }));
        }
        rules.extend(self.facts.others.iter().filter(|test| test.column.is_none()).map(other));
        rules
    }

    /// What identifies a row: the key that a constraint names, else what rows are merged by, else the first column that
    /// is unique and never NULL, else the first combination of columns that is unique.
    fn key(&self) -> Key {
        let facts = &self.facts;
        if let Some(declared) = &facts.primary_key {
            return Key::Primary(declared.value.clone());
        }
        let alone =
            self.columns.iter().map(|column| &column.name).find(|name| {
                facts.unique.contains_key(&key(name)) && facts.required.contains_key(&key(name))
            });
        let columns = match (alone, facts.combinations.first()) {
            _ if !self.unique_key.is_empty() => self.unique_key.clone(),
            (Some(column), _) => vec![column.clone()],
            (None, Some(combination)) => combination.value.clone(),
            (None, None) => return Key::None,
        };
        match columns.iter().all(|column| facts.required.contains_key(&key(column))) {
            true => Key::Primary(columns),
            // A primary key would promise that no part of it is NULL, which nobody said.
            false => Key::Grain(columns),
        }
    }
}

/// What identifies a row.
enum Key {
    /// Never NULL.
    Primary(Vec<String>),
    /// A part of it may be NULL.
    Grain(Vec<String>),
    /// Nothing that is known.
    None,
}

impl Key {
    fn is(&self, columns: &[String]) -> bool {
        let set = |names: &[String]| {
            let mut names: Vec<String> = names.iter().map(|name| key(name)).collect();
            names.sort_unstable();
            names
        };
        match self {
            Self::Primary(own) | Self::Grain(own) => set(own) == set(columns),
            Self::None => false,
        }
    }
}

fn other(test: &OtherTest) -> Value {
    custom(&test.name, &test.args, test.severity, test.filter.as_deref())
}

/// A generic test as a rule that Kiln runs.
fn custom(name: &str, args: &Object, severity: TestSeverity, filter: Option<&str>) -> Value {
    let mut implementation = Map::new();
    implementation.insert("name".into(), name.into());
    if !args.is_empty() {
        implementation.insert("args".into(), Value::Object(args.clone()));
    }
    if let Some(filter) = filter {
        implementation.insert("where".into(), filter.into());
    }
    let mut rule = json!({"type": "custom", "engine": "kiln", "implementation": implementation});
    if severity == TestSeverity::Warn {
        rule["severity"] = "warning".into();
    }
    rule
}

fn put_text(map: &mut Object, name: &str, text: &str) {
    if !text.trim().is_empty() {
        map.insert(name.into(), text.trim_end().into());
    }
}

fn put_list(map: &mut Object, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        map.insert(name.into(), Value::Array(items));
    }
}
