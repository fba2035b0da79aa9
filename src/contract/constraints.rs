//! dbt's constraints, and its `contract: {enforced: true}`: promises that stand in a model's properties. DuckDB could
//! hold some of them at the table, but then no view could be published of it; so they are tests of the candidate.

use std::sync::Arc;

use super::enforce::Maker;
use super::facts::key;
use super::{Compatibility, Contract, Facts, Lifecycle, Property, Relationship, Rule, Status, Version};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::manifest::{Node, Test, TestConfig, TestKind, TestSeverity};
use crate::names::NodeId;
use crate::project::Constraint;
use crate::yaml::{Kind, Yaml};

/// The columns that a model's properties declare, as a contract, where `contract: {enforced: true}` asks for them.
pub fn enforced(node: &Node) -> Option<Contract> {
    let said = node.config.all.get("contract")?.get("enforced")?;
    (said == &serde_json::Value::Bool(true)).then(|| {
        let mut contract = empty(node);
        contract.properties = node
            .columns
            .iter()
            .map(|column| Property {
                physical_type: column.data_type.clone(),
                ..property(&column.name, &column.at)
            })
            .collect();
        contract
    })
}

/// The tests of a model's constraints. What its tests and its contract say already (`stated`) is not tested twice; what
/// cannot be tested is said.
pub fn constraint_tests(
    node: &Node,
    constraints: &[&Constraint],
    stated: &Stated<'_>,
    find: &dyn Fn(&str) -> Option<NodeId>,
    diagnostics: &mut Diagnostics,
) -> Vec<Test> {
    let mut contract = empty(node);
    let mut checks: Vec<(&str, &Location)> = Vec::new();
    for constraint in constraints {
        for column in &constraint.columns {
            if contract.property(column).is_none() {
                contract.properties.push(property(column, &constraint.at));
            }
        }
        if constraint.kind == "check" {
            match &constraint.expression {
                Some(expression) => checks.push((expression, &constraint.at)),
                None => diagnostics.push(untested(node, "a check without an `expression`", &constraint.at)),
            }
        } else if constraint.kind == "custom" {
            diagnostics.push(untested(node, "a `custom` constraint", &constraint.at));
        }
    }
    // One place says all, in the words that its tests and its contract are compared in.
    let facts = Facts::of([], constraints.iter().copied(), &|name| find(name).is_some());
    for property in &mut contract.properties {
        let column = key(&property.column.value);
        let unstated = |at: Option<&Location>, known: bool| at.filter(|_| !known).cloned();
        property.required = unstated(facts.required.get(&column), stated.required(&column));
        property.unique = unstated(facts.unique.get(&column), stated.unique(&column));
    }
    if let Some(keys) = facts.primary_key.as_ref().filter(|_| !stated.has_key()) {
        for (position, name) in (1..).zip(&keys.value) {
            let same = |property: &&mut Property| property.column.value.eq_ignore_ascii_case(name);
            if let Some(property) = contract.properties.iter_mut().find(same) {
                property.primary_key = Some(position);
                property.at = keys.at.clone();
            }
        }
    }
    contract.relationships = facts
        .references
        .iter()
        .filter(|reference| !stated.refers(&reference.from, &reference.model))
        .map(|reference| Relationship {
            from: reference.from.clone(),
            model: Located::new(reference.model.clone(), reference.at.clone()),
            to: reference.to.clone(),
            at: reference.at.clone(),
        })
        .collect();
    for constraint in constraints.iter().filter(|constraint| constraint.kind == "foreign_key") {
        if !facts.references.iter().any(|reference| reference.at == constraint.at) {
            let what = "a foreign key that does not name a model's `ref` in `to` and its `to_columns`";
            diagnostics.push(untested(node, what, &constraint.at));
        }
    }
    let mut maker = Maker::new("constraint", &contract, &node.id, &node.package, find, diagnostics);
    maker.promises();
    for combination in facts.combinations.iter().filter(|columns| !stated.combination(&columns.value)) {
        let columns: Vec<&str> = combination.value.iter().map(String::as_str).collect();
        maker.unique("unique", &columns, TestSeverity::Error, &combination.at);
    }
    for (expression, at) in checks {
        let rule = Rule::rows(format!("`{expression}` holds"), &format!("not ({expression}\n)"));
        maker.push("check", None, TestKind::Contract(rule), TestSeverity::Error, at);
    }
    let mut tests = maker.tests;
    for test in &mut tests {
        test.config = TestConfig::default();
    }
    tests
}

/// What is tested anyway.
pub struct Stated<'a> {
    /// By the tests that the properties declare.
    pub tests: &'a Facts,
    /// By the contract.
    pub contract: Option<&'a Contract>,
}

impl Stated<'_> {
    fn property(&self, column: &str) -> Option<&Property> {
        self.contract?.property(column)
    }

    fn required(&self, column: &str) -> bool {
        let said = |property: &Property| property.required.is_some() || property.primary_key.is_some();
        self.tests.required.contains_key(column) || self.property(column).is_some_and(said)
    }

    fn unique(&self, column: &str) -> bool {
        self.tests.unique.contains_key(column)
            || self.property(column).is_some_and(|property| property.unique.is_some())
    }

    fn has_key(&self) -> bool {
        self.contract.is_some_and(|contract| !contract.primary_key().is_empty())
    }

    fn combination(&self, columns: &[String]) -> bool {
        let set = |names: &[String]| {
            let mut names: Vec<String> = names.iter().map(|name| key(name)).collect();
            names.sort_unstable();
            names
        };
        self.tests.combinations.iter().any(|known| set(&known.value) == set(columns))
    }

    fn refers(&self, from: &[String], model: &str) -> bool {
        let contract = self.contract.map(|contract| contract.relationships.as_slice()).unwrap_or_default();
        self.tests.references.iter().any(|known| known.from == from && known.model == model)
            || contract.iter().any(|known| known.from == from && known.model.value == model)
    }
}

fn untested(node: &Node, what: &str, at: &Location) -> Diagnostic {
    Diagnostic::warning("constraint-untested", format!("{what} of `{}` is not tested", node.name))
        .at(at, "")
        .help("write a test of your own in `tests/` for it")
}

fn empty(node: &Node) -> Contract {
    let at = &node.at;
    Contract {
        model: Located::new(node.name.clone(), at.clone()),
        name: node.name.clone(),
        id: node.name.clone(),
        version: Located::new(Version { major: 1, minor: 0, patch: 0, pre: None }, at.clone()),
        status: Status::Active,
        at: at.clone(),
        physical_type: None,
        description: String::new(),
        granularity: None,
        grain: Vec::new(),
        tags: Vec::new(),
        properties: Vec::new(),
        quality: Vec::new(),
        relationships: Vec::new(),
        sla: Vec::new(),
        lifecycle: Lifecycle::default(),
        compatibility: Compatibility::default(),
        custom: Vec::new(),
        team: serde_json::Value::Null,
        roles: serde_json::Value::Null,
        support: serde_json::Value::Null,
        deprecated: false,
        documentation_only: Vec::new(),
        raw: Arc::new(Yaml { kind: Kind::Null, at: at.clone() }),
    }
}

fn property(column: &str, at: &Location) -> Property {
    Property {
        column: Located::new(column.to_owned(), at.clone()),
        name: column.to_owned(),
        id: None,
        physical_type: None,
        logical_type: None,
        options: Vec::new(),
        required: None,
        optional: None,
        unique: None,
        repeats: None,
        primary_key: None,
        enum_values: Vec::new(),
        classification: None,
        critical: false,
        deprecated: false,
        tags: Vec::new(),
        description: String::new(),
        quality: Vec::new(),
        custom: Vec::new(),
        properties: Vec::new(),
        measure: false,
        at: at.clone(),
    }
}
