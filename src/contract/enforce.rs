//! A contract's promises about data as tests: a generic test where one says exactly the promise, else a [`Rule`].

use std::collections::HashSet;

use serde_json::{Value, json};

use super::measure::{all, invalid, measured, missing};
use super::naming::{pasted, slug};
use super::options::{self, CheckKind, Inclusive};
use super::query::{Piece, guard, pieces};
use super::rule::{Part, Rule};
use super::{Comparison, Contract, Metric, Property, Quality, QualityKind, Relationship, SlaKind, Unit};
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::manifest::{Dependency, Object, Test, TestConfig, TestKind, TestSeverity};
use crate::names::NodeId;
use crate::sql::quote::identifier;

/// The tests of a contract on the node that it binds. `find` gives the node of a model or seed by name, for what other
/// models a relationship leads to; a name that it does not know is an error. In a generic test `column` is what the test
/// pastes: the name itself where that is a plain one, else quoted.
pub fn tests(
    contract: &Contract,
    node: &NodeId,
    package: &str,
    find: &dyn Fn(&str) -> Option<NodeId>,
    diagnostics: &mut Diagnostics,
) -> Vec<Test> {
    let mut maker = Maker::new("contract", contract, node, package, find, diagnostics);
    maker.promises();
    for quality in &contract.quality {
        maker.quality(quality, None);
    }
    maker.ages();
    maker.tests
}

/// Makes the tests of one contract.
pub(super) struct Maker<'a> {
    /// What the tests' names begin with.
    word: &'a str,
    contract: &'a Contract,
    node: &'a NodeId,
    package: &'a str,
    find: &'a dyn Fn(&str) -> Option<NodeId>,
    diagnostics: &'a mut Diagnostics,
    names: HashSet<String>,
    pub tests: Vec<Test>,
}

impl<'a> Maker<'a> {
    pub fn new(
        word: &'a str,
        contract: &'a Contract,
        node: &'a NodeId,
        package: &'a str,
        find: &'a dyn Fn(&str) -> Option<NodeId>,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        Self { word, contract, node, package, find, diagnostics, names: HashSet::new(), tests: Vec::new() }
    }

    /// The key, the columns and what they refer to.
    pub fn promises(&mut self) {
        self.keys();
        for property in &self.contract.properties {
            self.property(property);
        }
        for relationship in &self.contract.relationships {
            self.relationship(relationship);
        }
    }

    pub fn push(
        &mut self,
        what: &str,
        column: Option<&str>,
        kind: TestKind,
        severity: TestSeverity,
        at: &Location,
    ) {
        self.push_test(what, column, kind, TestConfig { severity, ..TestConfig::default() }, &[], at);
    }

    fn push_test(
        &mut self,
        what: &str,
        column: Option<&str>,
        kind: TestKind,
        mut config: TestConfig,
        reads: &[NodeId],
        at: &Location,
    ) {
        if self.contract.is_unstable() {
            config.severity = TestSeverity::Warn;
        }
        config.meta.insert("contract".into(), Value::String(self.contract.id.clone()));
        let parts = [self.word, &self.contract.model.value, column.unwrap_or_default(), what];
        let base = slug(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_"));
        let mut name = base.clone();
        for number in 2.. {
            if self.names.insert(name.clone()) {
                break;
            }
            name = format!("{base}_{number}");
        }
        let dependency = |node: &NodeId| Dependency { node: node.clone(), at: at.clone() };
        let mut depends_on = vec![dependency(self.node)];
        depends_on.extend(reads.iter().filter(|node| *node != self.node).map(dependency));
        self.tests.push(Test {
            id: NodeId::new("test", self.package, &name),
            name,
            node: Some(self.node.clone()),
            column: column.map(pasted),
            kind,
            config,
            depends_on,
            at: at.clone(),
        });
    }

    fn keys(&mut self) {
        let key = self.contract.primary_key();
        let columns: Vec<&str> = key.iter().map(|property| property.column.value.as_str()).collect();
        if let Some(first) = key.first() {
            self.unique("primary_key", &columns, TestSeverity::Error, &first.at);
        }
        let grain: Vec<&str> = self.contract.grain.iter().map(|column| column.value.as_str()).collect();
        let (mut one, mut two) = (grain.clone(), columns);
        one.sort_unstable();
        two.sort_unstable();
        if let (Some(first), true) = (self.contract.grain.first(), one != two) {
            let at = first.at.clone();
            self.unique("grain", &grain, TestSeverity::Error, &at);
        }
    }

    pub fn unique(&mut self, what: &str, columns: &[&str], severity: TestSeverity, at: &Location) {
        match columns {
            [column] => self.push(what, Some(column), generic("unique", json!({})), severity, at),
            _ => {
                let names: Vec<String> = columns.iter().map(|column| pasted(column)).collect();
                let args = json!({"combination_of_columns": names});
                self.push(what, None, generic("dbt_utils.unique_combination_of_columns", args), severity, at);
            }
        }
    }

    fn property(&mut self, property: &Property) {
        let column = property.column.value.as_str();
        let required =
            property.required.clone().or_else(|| property.primary_key.map(|_| property.at.clone()));
        if let Some(at) = required {
            self.push("required", Some(column), generic("not_null", json!({})), TestSeverity::Error, &at);
        }
        let alone_in_key = property.primary_key.is_some() && self.contract.primary_key().len() == 1;
        if let (Some(at), false) = (&property.unique, alone_in_key) {
            self.push("unique", Some(column), generic("unique", json!({})), TestSeverity::Error, at);
        }
        if let Some(first) = property.enum_values.first() {
            let values: Vec<Value> = property.enum_values.iter().map(|value| value.value.clone()).collect();
            self.push("enum", Some(column), accepted(&values), TestSeverity::Error, &first.at);
        }
        for check in options::checks(property).0 {
            let kind = match check.kind {
                CheckKind::Range { min, max, inclusive } => {
                    let mut args = json!({"inclusive": inclusive == Inclusive::Yes});
                    for (key, value) in [("min_value", min), ("max_value", max)] {
                        if let Some(value) = value {
                            args[key] = raw(value);
                        }
                    }
                    generic("dbt_utils.accepted_range", args)
                }
                CheckKind::Length { min, max } => {
                    let mut args = json!({});
                    for (key, value) in [("min_value", min), ("max_value", max)] {
                        if let Some(value) = value {
                            args[key] = value.into();
                        }
                    }
                    generic("dbt_expectations.expect_column_value_lengths_to_be_between", args)
                }
                CheckKind::Pattern(pattern) => matches(&pattern),
                CheckKind::Rows { promise, failing } => {
                    let failing = failing.replace("$column", &identifier(column));
                    TestKind::Contract(Rule::rows(format!("`{column}` {promise}"), &failing))
                }
            };
            self.push(check.name, Some(column), kind, TestSeverity::Error, &check.at);
        }
        for quality in &property.quality {
            self.quality(quality, Some(property));
        }
    }

    fn relationship(&mut self, relationship: &Relationship) {
        let model = &relationship.model;
        let Some(target) = (self.find)(&model.value) else {
            self.diagnostics.push(
                Diagnostic::error("contract-relationship", format!("there is no model `{}`", model.value))
                    .at(&model.at, "")
                    .help("name a model of this project, or take the relationship out"),
            );
            return;
        };
        if let ([from], [to]) = (&relationship.from[..], &relationship.to[..]) {
            let args =
                json!({"to": format!("ref('{}')", model.value.replace('\'', "\\'")), "field": pasted(to)});
            let kind = generic("relationships", args);
            let config = TestConfig::default();
            self.push_test("relationships", Some(from), kind, config, &[target], &relationship.at);
            return;
        }
        let pairs: Vec<String> = std::iter::zip(&relationship.from, &relationship.to)
            .map(|(from, to)| format!("child.{} = parent.{}", identifier(from), identifier(to)))
            .collect();
        let filled: Vec<String> =
            relationship.from.iter().map(|from| format!("{} is not null", identifier(from))).collect();
        let promise = format!("({}) occurs in `{}`", relationship.from.join(", "), model.value);
        let rule = Rule::new(promise)
            .text("select child.* from (select * from ")
            .gap(Part::Tested)
            .text(format!("\nwhere {}\n) as child\nanti join ", filled.join(" and ")))
            .gap(Part::Other(target.clone()))
            .text(format!(" as parent on {}", pairs.join(" and ")));
        let what = format!("relationships_{}", model.value);
        let config = TestConfig::default();
        self.push_test(&what, None, TestKind::Contract(rule), config, &[target], &relationship.at);
    }

    fn quality(&mut self, quality: &Quality, property: Option<&Property>) {
        let column = property.map(|property| property.column.value.as_str());
        let name = |fallback: &str| quality.id.clone().unwrap_or_else(|| fallback.to_owned());
        match &quality.kind {
            QualityKind::Documentation { .. } => {}
            QualityKind::Library { metric, must, unit } => {
                let (what, kind) = self.library(metric, must, *unit, column);
                self.push(&name(what), column, kind, quality.severity, &quality.at);
            }
            QualityKind::Sql { query, must } => match self.sql(&query.value, must, column) {
                Ok((rule, reads_itself)) => {
                    if !reads_itself {
                        self.diagnostics.push(
                            Diagnostic::warning("contract-query", "this query does not read the model that it is about")
                                .at(&query.at, "")
                                .help("write `from {object}`: a name would be what is published, not what is about to be"),
                        );
                    }
                    self.push(
                        &name("query"),
                        column,
                        TestKind::Contract(rule),
                        quality.severity,
                        &quality.at,
                    );
                }
                Err(message) => self.diagnostics.push(
                    Diagnostic::error("contract-query", message).at(&query.at, "").help(
                        "write one SELECT that gives one value, such as `select count(*) from {object}`",
                    ),
                ),
            },
            QualityKind::Test { name: test, args, config } => {
                let mut settings = TestConfig { severity: quality.severity, ..TestConfig::default() };
                if let Err(message) = configure(&mut settings, config) {
                    let diagnostic = Diagnostic::error("contract-quality", message).at(&quality.at, "");
                    self.diagnostics.push(diagnostic);
                    return;
                }
                let fallback = test.value.replace('.', "_");
                let kind = TestKind::Generic { name: test.value.clone(), args: args.clone() };
                self.push_test(&name(&fallback), column, kind, settings, &[], &quality.at);
            }
        }
    }

    fn library(
        &self,
        metric: &Metric,
        must: &[Comparison],
        unit: Unit,
        column: Option<&str>,
    ) -> (&'static str, TestKind) {
        let none_at_all = must.len() == 1 && must[0].is_none_at_all();
        let quoted = column.map(identifier).unwrap_or_default();
        let (what, counted, exact) = match metric {
            Metric::RowCount => ("row_count", "count(*)".to_owned(), None),
            Metric::NullValues => {
                ("null_values", format!("count(*) - count({quoted})"), Some(generic("not_null", json!({}))))
            }
            Metric::MissingValues(values) => {
                let missing = missing(&quoted, values);
                let rule = Rule::rows(format!("`{}` is filled", column.unwrap_or_default()), &missing);
                (
                    "missing_values",
                    format!("count(*) filter (where {missing})"),
                    Some(TestKind::Contract(rule)),
                )
            }
            Metric::InvalidValues { valid, pattern } => {
                let invalid = invalid(&quoted, valid.as_deref(), pattern.as_deref());
                let exact = match (valid, pattern) {
                    (Some(valid), None) => accepted(valid),
                    (None, Some(pattern)) => matches(pattern),
                    _ => {
                        let promise = format!("`{}` is valid", column.unwrap_or_default());
                        TestKind::Contract(Rule::rows(promise, &invalid))
                    }
                };
                ("invalid_values", format!("count(*) filter (where {invalid})"), Some(exact))
            }
            Metric::DuplicateValues(names) => return self.duplicates(names, must, unit, column),
        };
        let kind = match exact {
            Some(exact) if none_at_all => exact,
            _ => measured(what, Rule::new("").gap(Part::Tested), &counted, "count(*)", must, unit),
        };
        (what, kind)
    }

    /// Values, or combinations, that occur more than once; NULL is no value of a column, and part of a combination.
    fn duplicates(
        &self,
        names: &[crate::diagnostic::Located<String>],
        must: &[Comparison],
        unit: Unit,
        column: Option<&str>,
    ) -> (&'static str, TestKind) {
        let what = "duplicate_values";
        let named = names.iter().map(|name| {
            let property = self.contract.properties.iter().find(|property| property.name == name.value);
            property.map_or(name.value.as_str(), |property| property.column.value.as_str())
        });
        let mut columns: Vec<&str> = named.collect();
        if columns.is_empty() {
            columns.extend(column);
        }
        if columns.is_empty() {
            columns.extend(self.contract.properties.iter().map(|property| property.column.value.as_str()));
        }
        if must.len() == 1 && must[0].is_none_at_all() {
            if let (Some(column), [only]) = (column, &columns[..])
                && column == *only
            {
                return (what, generic("unique", json!({})));
            }
            let names: Vec<String> = columns.iter().map(|column| pasted(column)).collect();
            let args = json!({"combination_of_columns": names});
            return (what, generic("dbt_utils.unique_combination_of_columns", args));
        }
        let quoted = crate::sql::quote::identifiers(&columns);
        let filled = match column {
            Some(column) if columns == [column] => format!(" and {} is not null", identifier(column)),
            _ => String::new(),
        };
        let source = Rule::new("")
            .text(format!("(select {quoted}, count(*) as occurrences from "))
            .gap(Part::Tested)
            .text(format!("\ngroup by {quoted}) as counted"));
        let counted = format!("count(*) filter (where occurrences > 1{filled})");
        (what, measured(what, source, &counted, "sum(occurrences)", must, unit))
    }

    fn sql(&self, query: &str, must: &[Comparison], column: Option<&str>) -> Result<(Rule, bool), String> {
        let words: Vec<String> = must.iter().map(Comparison::words).collect();
        let mut rule = Rule::new(format!("the query gives {}", words.join(" and ")));
        rule = rule.text("select observed from (select (\n");
        let mut reads_itself = false;
        let mut plain = String::new();
        let query = query.trim().trim_end_matches(';').trim_end();
        for piece in pieces(query, &self.contract.model.value) {
            match piece {
                Piece::Sql(sql) => {
                    plain.push_str(sql);
                    rule = rule.text(sql);
                }
                Piece::Object => {
                    reads_itself = true;
                    plain.push_str("tested");
                    rule = rule.gap(Part::Tested);
                }
                Piece::Property => {
                    let Some(column) = column else {
                        return Err("`{property}` has no meaning in a query on a whole model".into());
                    };
                    plain.push_str("tested");
                    rule = rule.text(identifier(column));
                }
            }
        }
        guard(&plain)?;
        Ok((
            rule.text(format!("\n) as observed) where not coalesce({}, false)", all(must, "observed"))),
            reads_itself,
        ))
    }

    fn ages(&mut self) {
        for sla in &self.contract.sla {
            let SlaKind::Age { column, at_most } = &sla.kind else { continue };
            let name = column.value.as_str();
            let unit = sla.unit.as_deref().unwrap_or_default();
            let quoted = identifier(name);
            let microseconds = at_most.saturating_mul(1_000_000);
            // Both sides in microseconds: a TIMESTAMPTZ could not be compared with a TIMESTAMP without icu.
            let rule = Rule::new(format!("the newest `{name}` is at most {} {unit} old", sla.value))
                .text(format!("select max({quoted}) as newest, "))
                .gap(Part::Now)
                .text(format!(" as checked_at, {at_most} as at_most_seconds from "))
                .gap(Part::Tested)
                .text("\nhaving coalesce(epoch_us(")
                .gap(Part::Now)
                .text(format!(") - epoch_us(max({quoted})) > {microseconds}, true)"));
            let what = slug(&sla.property.value);
            let column = Some(name);
            self.push(&what, column, TestKind::Contract(rule), TestSeverity::Error, &sla.at);
        }
    }
}

fn generic(name: &str, args: Value) -> TestKind {
    let args = match args {
        Value::Object(args) => args,
        _ => Object::new(),
    };
    TestKind::Generic { name: name.to_owned(), args }
}

fn accepted(values: &[Value]) -> TestKind {
    let values: Vec<Value> = values.iter().filter(|value| !value.is_null()).cloned().map(raw).collect();
    generic("accepted_values", json!({"values": values}))
}

fn matches(pattern: &str) -> TestKind {
    let regex = raw(Value::String(pattern.to_owned()));
    generic("dbt_expectations.expect_column_values_to_match_regex", json!({"regex": regex}))
}

/// Text of a contract is no template: what looks like one is kept from being rendered.
fn raw(value: Value) -> Value {
    match value {
        Value::String(text) if ["{{", "{%", "{#"].iter().any(|open| text.contains(open)) => {
            Value::String(format!("{{% raw %}}{text}{{% endraw %}}"))
        }
        other => other,
    }
}

fn configure(settings: &mut TestConfig, config: &Object) -> Result<(), String> {
    for (key, value) in config {
        let text = || match value {
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let wrong = || format!("`{key}` of a test cannot be {value}");
        match key.as_str() {
            "severity" => {
                settings.severity = match text().map(|text| text.to_ascii_lowercase()).as_deref() {
                    Some("error") => TestSeverity::Error,
                    Some("warn" | "warning" | "info") => TestSeverity::Warn,
                    _ => return Err(wrong()),
                }
            }
            "where" => settings.where_clause = Some(text().ok_or_else(wrong)?),
            "warn_if" => settings.warn_if = text().ok_or_else(wrong)?,
            "error_if" => settings.error_if = text().ok_or_else(wrong)?,
            "fail_calc" => settings.fail_calc = text().ok_or_else(wrong)?,
            "limit" => settings.limit = Some(value.as_u64().ok_or_else(wrong)?),
            "store_failures" => settings.store_failures = value.as_bool().ok_or_else(wrong)?,
            "tags" => match value {
                Value::String(tag) => settings.tags.push(tag.clone()),
                Value::Array(tags) => {
                    settings.tags.extend(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)));
                }
                _ => return Err(wrong()),
            },
            "meta" => settings.meta.extend(value.as_object().ok_or_else(wrong)?.clone()),
            _ => return Err(format!("a test has no setting `{key}`")),
        }
    }
    Ok(())
}
