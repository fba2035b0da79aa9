//! A promise: what a model's contract and tests say about it, as facts that can be compared and stored.
//!
//! A fact is the same wherever it was written: `required: true`, a quality rule that allows no NULL and a `not_null` test
//! are one fact. What is only said for people is no fact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spot::Spot;
use crate::contract::{
    Comparison, Contract, Metric, Operator, Property, Quality, QualityKind, SlaKind, Status, Unit,
};
use crate::manifest::{Test, TestConfig, TestKind, TestSeverity};
use crate::sql::tokens::read;
use crate::yaml::Kind;

/// Everything that is promised of one model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Promise {
    /// What the contract's file says of itself; a model without one has none.
    pub terms: Option<Terms>,
    /// dbt's `deprecation_date`, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_on: Option<String>,
    /// Where the model is declared, if it has such a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Spot>,
    /// Columns and their parts, outermost first.
    pub columns: Vec<ColumnPromise>,
    /// The columns that identify a row, in lower case and sorted; empty where nothing is promised.
    pub key: Vec<String>,
    /// Where the key is promised.
    pub key_at: Option<Spot>,
    /// Other columns, or sets of them, without duplicates: in lower case, sorted, joined by commas.
    pub uniques: BTreeMap<String, Option<Spot>>,
    /// References to other models.
    pub relationships: Vec<Reference>,
    /// Quality rules that are no fact of their own.
    pub quality: Vec<QualityPromise>,
    /// How old the newest value of a column may be.
    pub ages: Vec<AgePromise>,
    /// Other promises about the service.
    pub service: Vec<ServicePromise>,
}

/// What a contract says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terms {
    /// The contract's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// `active`, `draft`.
    pub status: String,
    /// `consumer`, `full_transitive`, if it says so itself.
    pub compatibility: Option<String>,
    /// The name that the model had before, from the custom property `renamedFrom`.
    pub renamed_from: Option<String>,
    /// The last day of support, as written.
    pub end_of_support: Option<String>,
    /// The last day, as written.
    pub end_of_life: Option<String>,
    /// It says that it is going away.
    pub deprecated: bool,
    /// Promises that Kiln cannot check.
    pub documented_only: Vec<String>,
    /// Those who may agree to a change for all readers.
    #[serde(default)]
    pub deciders: Vec<String>,
    /// The schema entry.
    pub at: Spot,
    /// The version.
    pub version_at: Spot,
}

/// Whether a day is over. Days are compared as they are written.
fn is_past(day: &str, today: &str) -> bool {
    day.get(..10).unwrap_or(day) < today.get(..10).unwrap_or(today)
}

impl Terms {
    /// Whether a broken promise only warns, because the contract is not in force yet.
    pub fn is_unstable(&self) -> bool {
        ["proposed", "draft"].contains(&self.status.as_str())
    }

    /// Whether the model may go: retired, or past its last day. Days are compared as they are written.
    pub fn is_over(&self, today: &str) -> bool {
        self.status == "retired" || self.end_of_life.as_ref().is_some_and(|day| is_past(day, today))
    }
}

/// A promised column, or a part of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnPromise {
    /// The dotted path: `address.city`, `items[].price`.
    pub path: String,
    /// The property's id, by which a renamed one is known again.
    pub id: Option<String>,
    /// The name that it had before, from the custom property `renamedFrom`.
    pub renamed_from: Option<String>,
    /// The contract names it; a test alone does not.
    pub is_promised: bool,
    /// The type as written.
    pub data_type: Option<String>,
    /// Where it may not be NULL.
    pub required: Option<Spot>,
    /// The values that may occur.
    pub values: Option<Values>,
    /// Bounds, lengths and patterns by the standard's names.
    pub limits: BTreeMap<String, Limit>,
    /// `classification`.
    pub classification: Option<String>,
    /// Tags that say that it is about a person.
    pub personal: Vec<String>,
    /// It says that it is going away.
    pub deprecated: bool,
    /// Where it stands.
    pub at: Option<Spot>,
}

/// The values that a column may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Values {
    /// The values as JSON texts, sorted.
    pub list: Vec<String>,
    /// A custom property says that there will never be another.
    pub closed: bool,
    /// Where they are listed.
    pub at: Option<Spot>,
}

/// A bound, a length, a pattern.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// As written.
    pub value: Value,
    /// Where.
    pub at: Option<Spot>,
}

/// A promised reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reference {
    /// Columns of this model, joined by commas.
    pub from: String,
    /// The other model and its columns: `customers.id`.
    pub to: String,
    /// Where.
    pub at: Option<Spot>,
}

/// A quality rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QualityPromise {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// What is measured, without what it must be.
    pub what: String,
    /// What it must be, each as an interval with its ends, or as text where it is none.
    pub must: Vec<Must>,
    /// `rows` or `percent`.
    pub unit: String,
    /// `error` or `warn`.
    pub severity: String,
    /// Where.
    pub at: Option<Spot>,
}

/// What a measure must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Must {
    /// Between two numbers; a missing end is open.
    Between {
        /// The lower end, and whether it is inside.
        low: Option<(f64, bool)>,
        /// The upper end, and whether it is inside.
        high: Option<(f64, bool)>,
    },
    /// Something that is no interval, as SQL.
    Other(String),
}

/// How old data may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgePromise {
    /// The column whose newest value counts.
    pub column: String,
    /// Seconds.
    pub at_most: u64,
    /// As written: `4 h`.
    pub written: String,
    /// Where.
    pub at: Option<Spot>,
}

/// A promise about the service that no query checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServicePromise {
    /// `retention`, `availability`.
    pub property: String,
    /// As written.
    pub value: String,
    /// As written.
    pub unit: Option<String>,
    /// Where.
    pub at: Option<Spot>,
}

/// Tags that say that a column is about a person.
const PERSONAL: [&str; 6] = ["pii", "phi", "pci", "gdpr", "personal", "sensitive"];

impl Promise {
    /// What a contract and the tests of its model promise together.
    pub fn of<'t>(contract: Option<&Contract>, tests: impl Iterator<Item = &'t Test>) -> Self {
        let mut promise = Self::default();
        if let Some(contract) = contract {
            promise.take_contract(contract);
        }
        for test in tests {
            promise.take_test(test);
        }
        promise.columns.sort_by_key(|column| column.path.to_lowercase());
        promise
    }

    /// With the day that a model's properties say it ends on.
    pub fn until(mut self, node: &crate::manifest::Node) -> Self {
        self.deprecated_on = node.deprecation_date().map(str::to_owned);
        self.deprecated_at = self.deprecated_on.as_ref().map(|_| Spot::from(&node.at));
        self
    }

    /// Whether the model may go: its contract is over, or the day from which nobody should read it.
    pub fn is_over(&self, today: &str) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.is_over(today))
            || self.deprecated_on.as_ref().is_some_and(|day| is_past(day, today))
    }

    /// The promise as text, for finding out whether two are the same. Places are part of it only where they moved.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A column by its path, in any case.
    pub fn column(&self, path: &str) -> Option<&ColumnPromise> {
        self.columns.iter().find(|column| column.path.eq_ignore_ascii_case(path))
    }

    fn column_mut(&mut self, path: &str) -> &mut ColumnPromise {
        let at = self.columns.iter().position(|column| column.path.eq_ignore_ascii_case(path));
        let at = at.unwrap_or_else(|| {
            self.columns.push(ColumnPromise {
                path: path.to_owned(),
                id: None,
                renamed_from: None,
                is_promised: false,
                data_type: None,
                required: None,
                values: None,
                limits: BTreeMap::new(),
                classification: None,
                personal: Vec::new(),
                deprecated: false,
                at: None,
            });
            self.columns.len() - 1
        });
        &mut self.columns[at]
    }

    fn take_contract(&mut self, contract: &Contract) {
        let custom = |name: &str| {
            let found = contract.custom.iter().rev().find(|custom| custom.property == name);
            found.and_then(|custom| custom.value.as_str()).map(str::to_owned)
        };
        let day =
            |day: &Option<crate::diagnostic::Located<String>>| day.as_ref().map(|day| day.value.clone());
        self.terms = Some(Terms {
            id: contract.id.clone(),
            version: contract.version.value.to_string(),
            status: contract.status.as_str().to_owned(),
            compatibility: custom("compatibility"),
            renamed_from: custom("renamedFrom"),
            end_of_support: day(&contract.lifecycle.end_of_support),
            end_of_life: day(&contract.lifecycle.end_of_life),
            deprecated: contract.deprecated || contract.status == Status::Deprecated,
            documented_only: contract.documentation_only.iter().map(|text| text.value.clone()).collect(),
            deciders: super::waiver::approvers(contract),
            at: Spot::from(&contract.model.at),
            version_at: Spot::from(&contract.version.at),
        });
        for property in &contract.properties {
            self.take_property(&property.column.value, property);
        }
        let primary = contract.primary_key();
        match (primary.first(), contract.grain.first()) {
            (Some(first), _) => {
                self.key_at = Some(Spot::from(&first.at));
                self.key = set(primary.iter().map(|property| property.column.value.as_str()));
                let grain = set(contract.grain.iter().map(|column| column.value.as_str()));
                if !grain.is_empty() && grain != self.key {
                    self.uniques.insert(grain.join(","), contract.grain.first().map(|at| Spot::from(&at.at)));
                }
            }
            (None, Some(first)) => {
                self.key_at = Some(Spot::from(&first.at));
                self.key = set(contract.grain.iter().map(|column| column.value.as_str()));
            }
            (None, None) => {}
        }
        for relationship in &contract.relationships {
            self.relationships.push(Reference {
                from: relationship.from.join(","),
                to: format!("{}.{}", relationship.model.value, relationship.to.join(",")),
                at: Some(Spot::from(&relationship.at)),
            });
        }
        for quality in &contract.quality {
            self.take_quality(None, quality);
        }
        for sla in &contract.sla {
            let at = Some(Spot::from(&sla.at));
            match &sla.kind {
                SlaKind::Age { column, at_most } => {
                    let unit = sla.unit.as_deref().unwrap_or_default();
                    self.ages.push(AgePromise {
                        column: column.value.clone(),
                        at_most: *at_most,
                        written: format!("{} {unit}", sla.value).trim_end().to_owned(),
                        at,
                    });
                }
                SlaKind::Other => self.service.push(ServicePromise {
                    property: sla.property.value.clone(),
                    value: sla.value.clone(),
                    unit: sla.unit.clone(),
                    at,
                }),
            }
        }
    }

    fn take_property(&mut self, path: &str, property: &Property) {
        let custom = |name: &str| property.custom.iter().find(|custom| custom.property == name);
        let column = self.column_mut(path);
        column.path = path.to_owned();
        column.is_promised = true;
        column.id = property.id.clone();
        column.renamed_from =
            custom("renamedFrom").and_then(|custom| custom.value.as_str()).map(str::to_owned);
        column.data_type = property.physical_type.as_ref().map(|written| written.value.clone());
        let required = property.required.as_ref().or(property.primary_key.map(|_| &property.at));
        column.required = required.map(Spot::from);
        column.classification = property.classification.as_ref().map(|text| text.value.clone());
        column.personal = property
            .tags
            .iter()
            .map(|tag| tag.to_lowercase())
            .filter(|tag| PERSONAL.contains(&tag.as_str()))
            .collect();
        column.personal.sort();
        column.deprecated = property.deprecated;
        column.at = Some(Spot::from(&property.column.at));
        let closed = custom("closed").is_some_and(|custom| custom.value == Value::Bool(true));
        if let Some(first) = property.enum_values.first() {
            let values = property.enum_values.iter().map(|value| &value.value);
            column.values = Some(Values { list: texts(values), closed, at: Some(Spot::from(&first.at)) });
        }
        for (name, value) in &property.options {
            let is_limit = !["timezone", "defaultTimezone", "required"].contains(&name.value.as_str());
            if is_limit && value.kind != Kind::Null {
                let limit = Limit { value: value.to_json(), at: Some(Spot::from(&value.at)) };
                column.limits.insert(name.value.clone(), limit);
            }
        }
        if let Some(at) = &property.unique {
            self.uniques.insert(path.to_lowercase(), Some(Spot::from(at)));
        }
        for quality in &property.quality {
            self.take_quality(Some(path), quality);
        }
        if closed && let Some(values) = &mut self.column_mut(path).values {
            values.closed = true;
        }
        let is_list =
            property.physical_type.as_ref().is_some_and(|written| written.value.trim().ends_with(']'));
        for inner in &property.properties {
            let step = if is_list { "[]" } else { "" };
            self.take_property(&format!("{path}{step}.{}", inner.column.value), inner);
        }
    }

    fn take_quality(&mut self, column: Option<&str>, quality: &Quality) {
        let at = Some(Spot::from(&quality.at));
        let blocks = quality.severity == TestSeverity::Error;
        let (what, must, unit) = match &quality.kind {
            QualityKind::Documentation { .. } => return,
            QualityKind::Library { metric, must, unit } => {
                let exact = blocks && matches!(must.as_slice(), [one] if one.is_none_at_all());
                match (metric, column) {
                    (Metric::NullValues, Some(path)) if exact => {
                        let column = self.column_mut(path);
                        column.required = column.required.take().or(at);
                        return;
                    }
                    (Metric::DuplicateValues(_), Some(path)) if exact => {
                        self.uniques.entry(path.to_lowercase()).or_insert(at);
                        return;
                    }
                    (Metric::DuplicateValues(columns), None) if exact && !columns.is_empty() => {
                        let set = set(columns.iter().map(|column| column.value.as_str()));
                        if set != self.key {
                            self.uniques.entry(set.join(",")).or_insert(at);
                        }
                        return;
                    }
                    (Metric::InvalidValues { valid, pattern }, Some(path)) if exact => {
                        let column = self.column_mut(path);
                        if let Some(valid) = valid {
                            let values = Values { list: texts(valid.iter()), closed: false, at: at.clone() };
                            column.values.get_or_insert(values);
                        }
                        if let Some(pattern) = pattern {
                            let limit = Limit { value: Value::String(pattern.clone()), at };
                            column.limits.entry("pattern".into()).or_insert(limit);
                        }
                        return;
                    }
                    _ => {}
                }
                let what = match metric {
                    Metric::NullValues => "nullValues".to_owned(),
                    Metric::MissingValues(values) => {
                        format!("missingValues {}", texts(values.iter()).join(","))
                    }
                    Metric::InvalidValues { valid, pattern } => format!(
                        "invalidValues {} {}",
                        texts(valid.iter().flatten()).join(","),
                        pattern.as_deref().unwrap_or_default()
                    ),
                    Metric::DuplicateValues(columns) => {
                        let names = set(columns.iter().map(|column| column.value.as_str()));
                        format!("duplicateValues {}", names.join(","))
                    }
                    Metric::RowCount => "rowCount".to_owned(),
                };
                let unit = if *unit == Unit::Percent { "percent" } else { "rows" };
                (what.trim_end().to_owned(), must.iter().map(interval).collect(), unit)
            }
            QualityKind::Sql { query, must } => {
                (read(&query.value).normalised, must.iter().map(interval).collect(), "value")
            }
            QualityKind::Test { name, args, config } => {
                (format!("{} {}", name.value, sorted(args)), vec![Must::Other(sorted(config))], "rows")
            }
        };
        self.quality.push(QualityPromise {
            id: quality.id.clone(),
            column: column.map(str::to_owned),
            what,
            must,
            unit: unit.to_owned(),
            severity: if blocks { "error" } else { "warn" }.to_owned(),
            at,
        });
    }

    /// The facts that a plain test of the properties states. What a contract made a test of is known already.
    fn take_test(&mut self, test: &Test) {
        let usual = TestConfig::default();
        let is_plain = test.config.severity == TestSeverity::Error
            && test.config.where_clause.is_none()
            && test.config.error_if == usual.error_if
            && test.config.fail_calc == usual.fail_calc
            && !test.config.meta.contains_key("contract");
        let TestKind::Generic { name, args } = &test.kind else { return };
        if !is_plain {
            return;
        }
        let at = Some(Spot::from(&test.at));
        let column = test.column.as_deref().map(|column| column.trim_matches('"').to_owned());
        let listed =
            |key: &str| args.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        match (name.as_str(), column) {
            ("not_null", Some(path)) => {
                let column = self.column_mut(&path);
                column.required = column.required.take().or(at);
            }
            ("unique", Some(path)) if self.key != [path.to_lowercase()] => {
                self.uniques.entry(path.to_lowercase()).or_insert(at);
            }
            ("accepted_values", Some(path)) if !listed("values").is_empty() => {
                let values = Values { list: texts(listed("values").iter()), closed: false, at };
                self.column_mut(&path).values.get_or_insert(values);
            }
            ("relationships", Some(path)) => {
                let to = test.depends_on.iter().map(|dependency| &dependency.node);
                let to = to.filter(|node| Some(*node) != test.node.as_ref()).map(|node| node.short()).next();
                let to = to.or(test.node.as_ref().map(|node| node.short())).unwrap_or_default();
                let field = args.get("field").and_then(Value::as_str).unwrap_or_default();
                let to = format!("{to}.{field}");
                let same = |known: &Reference| {
                    known.from.eq_ignore_ascii_case(&path) && known.to.eq_ignore_ascii_case(&to)
                };
                if !self.relationships.iter().any(same) {
                    self.relationships.push(Reference { from: path, to, at });
                }
            }
            ("dbt_utils.accepted_range", Some(path)) => {
                let inclusive = args.get("inclusive").and_then(Value::as_bool).unwrap_or(true);
                let names = match inclusive {
                    true => [("min_value", "minimum"), ("max_value", "maximum")],
                    false => [("min_value", "exclusiveMinimum"), ("max_value", "exclusiveMaximum")],
                };
                for (arg, limit) in names {
                    if let Some(value) = args.get(arg).filter(|value| !value.is_null()) {
                        let limit_of = Limit { value: value.clone(), at: at.clone() };
                        self.column_mut(&path).limits.entry(limit.into()).or_insert(limit_of);
                    }
                }
            }
            ("dbt_utils.unique_combination_of_columns", _) => {
                let set = set(listed("combination_of_columns").iter().filter_map(Value::as_str));
                if set != self.key {
                    self.uniques.entry(set.join(",")).or_insert(at);
                }
            }
            _ => {}
        }
    }
}

fn set<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut set: Vec<String> = names.map(|name| name.trim_matches('"').to_lowercase()).collect();
    set.sort();
    set.dedup();
    set
}

/// Values as JSON texts, sorted. What was quoted and what was not are one value where both are written the same.
fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut texts: Vec<String> = values
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

fn sorted(object: &crate::manifest::Object) -> String {
    let members: BTreeMap<&String, String> =
        object.iter().map(|(key, value)| (key, value.to_string())).collect();
    members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

fn interval(comparison: &Comparison) -> Must {
    let Some(value) = comparison.value.as_f64() else { return Must::Other(comparison.sql("it")) };
    let (low, high) = match comparison.operator {
        Operator::Be => (Some((value, true)), Some((value, true))),
        Operator::Greater => (Some((value, false)), None),
        Operator::GreaterOrEqual => (Some((value, true)), None),
        Operator::Less => (None, Some((value, false))),
        Operator::LessOrEqual => (None, Some((value, true))),
        Operator::Between => {
            let upper = comparison.upper.as_ref().and_then(serde_json::Number::as_f64);
            (Some((value, true)), upper.map(|upper| (upper, true)))
        }
        Operator::NotBe | Operator::NotBetween => return Must::Other(comparison.sql("it")),
    };
    Must::Between { low, high }
}

impl Must {
    /// Whether everything that another one allows is allowed here too.
    pub fn allows_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Between { low, high }, Self::Between { low: other_low, high: other_high }) => {
                let below = match (low, other_low) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some((own, inside)), Some((other, other_inside))) => {
                        own < other || (own == other && (*inside || !other_inside))
                    }
                };
                let above = match (high, other_high) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some((own, inside)), Some((other, other_inside))) => {
                        own > other || (own == other && (*inside || !other_inside))
                    }
                };
                below && above
            }
            _ => self == other,
        }
    }
}
