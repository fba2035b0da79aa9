//! Promises: what contracts and dbt's constraints say of a model becomes tests of it, where nobody declares them already.

use std::collections::BTreeMap;

use super::Workspace;
use crate::contract;
use crate::diagnostic::Diagnostics;
use crate::manifest::{Manifest, Materialization, Node, Test};
use crate::names::NodeId;
use crate::project::{Constraint, NodeProperties, Properties};

impl Workspace {
    /// What the properties of a model or seed promise.
    pub fn facts(&self, node: &Node) -> contract::Facts {
        let contract = self.manifest.contracts.get(&node.id).map(|contract| &contract.at.file);
        let declared = self
            .manifest
            .tests
            .values()
            .filter(|test| test.node.as_ref() == Some(&node.id) && Some(&test.at.file) != contract);
        let own = |properties: &&NodeProperties| {
            properties.package == node.package && properties.name.value == node.name
        };
        let constraints =
            self.project.properties.nodes.iter().filter(own).flat_map(|properties| &properties.constraints);
        contract::Facts::of(declared, constraints, &is_node(&self.manifest, &node.package))
    }
}

/// Adds the tests that contracts and constraints ask for, and says where they disagree with properties.
pub(super) fn add_tests(manifest: &mut Manifest, properties: &Properties, problems: &mut Diagnostics) {
    let mut tests = Vec::new();
    let mut declared: BTreeMap<&NodeId, Vec<&Test>> = BTreeMap::new();
    for test in manifest.tests.values() {
        if let Some(node) = &test.node {
            declared.entry(node).or_default().push(test);
        }
    }
    let mut constraints: BTreeMap<(&str, &str), Vec<&Constraint>> = BTreeMap::new();
    for node in &properties.nodes {
        constraints.entry((&node.package, &node.name.value)).or_default().extend(&node.constraints);
    }
    for (id, contract) in &manifest.contracts {
        let Some(node) = manifest.nodes.get(id) else { continue };
        let own = constraints.get(&(node.package.as_str(), node.name.as_str())).into_iter().flatten();
        let tests_of = declared.get(id).into_iter().flatten();
        let facts = contract::Facts::of(tests_of.copied(), own.copied(), &is_node(manifest, &node.package));
        problems.extend(contract::disagreements(contract, node, &facts));
        let find = |name: &str| manifest.node_named(&node.package, name).map(|found| found.id.clone());
        tests.extend(contract::tests(contract, id, &node.package, &find, problems));
    }
    for ((package, name), own) in constraints.iter().filter(|(_, own)| !own.is_empty()) {
        let find = |name: &str| manifest.node_named(package, name).map(|found| found.id.clone());
        let Some(node) = manifest.node_named(package, name) else { continue };
        if node.config.materialized == Materialization::Ephemeral {
            continue;
        }
        let tests_of = declared.get(&node.id).into_iter().flatten();
        let tested = contract::Facts::of(tests_of.copied(), [], &is_node(manifest, package));
        let stated = contract::Stated { tests: &tested, contract: manifest.contracts.get(&node.id) };
        tests.extend(contract::constraint_tests(node, own, &stated, &find, problems));
    }
    for test in tests {
        manifest.tests.insert(test.id.clone(), test);
    }
}

/// Says whether a name is that of a node of a package.
fn is_node(manifest: &Manifest, package: &str) -> impl Fn(&str) -> bool {
    move |name| manifest.node_named(package, name).is_some()
}
