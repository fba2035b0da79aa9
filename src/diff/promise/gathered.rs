//! Gathered: what a contract and the tests of its model say, as facts of one promise.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    AgePromise, ColumnPromise, Limit, Must, Promise, QualityPromise, Reference, ServicePromise, Terms, Values,
};
use crate::contract::{
    Comparison, Contract, Metric, Operator, Property, Quality, QualityKind, SlaKind, Status, Unit,
};
use crate::diff::spot::Spot;
use crate::diff::waiver;
use crate::manifest::{Test, TestConfig, TestKind, TestSeverity};
use crate::sql::tokens::read;
use crate::yaml::Kind;

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
            deciders: waiver::approvers(contract),
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
