//! `manifest.json`: everything that a project holds and what reads what.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::node::{Entry, Surroundings};
use super::resource::{DocEntry, ExposureEntry, GroupEntry, MacroEntry, SourceEntry, UnitTestEntry};
use super::test_node::TestName;
use super::{Header, Invocation, text};
use crate::compile::Compiled;
use crate::diagnostic::Location;
use crate::digest::md5;
use crate::error::Result;
use crate::manifest::Dependency;
use crate::workspace::Workspace;

const SCHEMA: &str = "https://schemas.getdbt.com/dbt/manifest/v12.json";

type Empty = BTreeMap<String, Value>;

#[derive(Debug, Serialize)]
struct Whole<'a> {
    metadata: Metadata<'a>,
    nodes: BTreeMap<String, Entry<'a>>,
    sources: BTreeMap<&'a str, SourceEntry<'a>>,
    macros: BTreeMap<String, MacroEntry<'a>>,
    docs: BTreeMap<String, DocEntry<'a>>,
    exposures: BTreeMap<&'a str, ExposureEntry<'a>>,
    metrics: Empty,
    groups: BTreeMap<String, GroupEntry<'a>>,
    selectors: Empty,
    disabled: Empty,
    parent_map: BTreeMap<String, Vec<String>>,
    child_map: BTreeMap<String, Vec<String>>,
    group_map: BTreeMap<String, Vec<String>>,
    saved_queries: Empty,
    semantic_models: Empty,
    unit_tests: BTreeMap<&'a str, UnitTestEntry<'a>>,
    functions: Empty,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    project_name: &'a str,
    project_id: String,
    adapter_type: &'static str,
    quoting: Quoting,
}

#[derive(Debug, Serialize)]
struct Quoting {
    database: bool,
    schema: bool,
    identifier: bool,
    column: Option<bool>,
}

/// The text of `manifest.json`; with the SQL of models and tests where the project was compiled.
///
/// # Errors
/// A bug of Kiln's.
pub fn manifest(
    workspace: &Workspace,
    compiled: Option<&Compiled>,
    invocation: &Invocation,
) -> Result<String> {
    let around = Surroundings::new(workspace, compiled);
    let manifest = &workspace.manifest;
    let properties = &workspace.project.properties;
    let described = descriptions(workspace);
    let tests = manifest.tests.values().map(|test| {
        let description = described.get(&place(&test.at)).copied().unwrap_or_default();
        around.test(test, description)
    });
    let nodes = manifest.nodes.values().map(|node| around.node(node));
    let nodes: BTreeMap<String, Entry<'_>> =
        nodes.chain(tests).map(|entry| (entry.unique_id.clone(), entry)).collect();
    let declared = properties.sources.iter().map(|declared| (place(&declared.table.at), declared));
    let declared: BTreeMap<_, _> = declared.collect();
    let sources = manifest
        .sources
        .values()
        .map(|source| (source.id.as_str(), around.source(source, declared.get(&place(&source.at)).copied())));
    let consumers = properties.exposures.iter().map(|declared| (place(&declared.name.at), declared));
    let consumers: BTreeMap<_, _> = consumers.collect();
    let exposures = manifest.exposures.values().map(|exposure| {
        let declared = consumers.get(&place(&exposure.at)).copied();
        (exposure.id.as_str(), around.exposure(exposure, declared))
    });
    let mut groups = BTreeMap::new();
    for group in &properties.groups {
        let entry = around.group(group);
        groups.insert(format!("group.{}.{}", group.package, group.name.value), entry);
    }
    let mut group_map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in &properties.groups {
        group_map.entry(group.name.value.clone()).or_default();
    }
    for (id, entry) in &nodes {
        if let Some(group) = entry.group {
            group_map.entry(group.to_owned()).or_default().push(id.clone());
        }
    }
    let (parent_map, child_map) = maps(workspace);
    let macros = around.macros_of(&reached(&around, &nodes));
    let whole = Whole {
        metadata: Metadata {
            header: Header::new(SCHEMA, invocation),
            project_name: &manifest.project,
            project_id: md5(&manifest.project),
            adapter_type: "duckdb",
            quoting: Quoting { database: true, schema: true, identifier: true, column: None },
        },
        nodes,
        sources: sources.collect(),
        macros,
        docs: around.docs_blocks(),
        exposures: exposures.collect(),
        metrics: Empty::new(),
        groups,
        selectors: Empty::new(),
        disabled: Empty::new(),
        parent_map,
        child_map,
        group_map,
        saved_queries: Empty::new(),
        semantic_models: Empty::new(),
        unit_tests: manifest
            .unit_tests
            .values()
            .map(|test| (test.id.as_str(), around.unit_test(test)))
            .collect(),
        functions: Empty::new(),
    };
    text(&whole)
}

/// Ids of the macros that the nodes need, those that these call too.
fn reached(around: &Surroundings<'_>, nodes: &BTreeMap<String, Entry<'_>>) -> BTreeSet<String> {
    let mut left: Vec<String> =
        nodes.values().flat_map(|entry| entry.depends_on.macros.iter().cloned()).collect();
    let texts: BTreeMap<String, (&str, &str)> = around
        .workspace
        .templates()
        .macros()
        .map(|made| (format!("macro.{}.{}", made.package, made.name), (made.package, made.text)))
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = left.pop() {
        let Some((package, text)) = texts.get(&id) else { continue };
        if found.insert(id) {
            left.extend(around.macros(package, text));
        }
    }
    found
}

/// Who reads whom, in both directions. Everything has an entry.
fn maps(workspace: &Workspace) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, Vec<String>>) {
    let manifest = &workspace.manifest;
    let mut parents: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |id: String, depends_on: &[Dependency]| {
        let mut all = Surroundings::nodes(depends_on);
        all.sort();
        parents.insert(id, all);
    };
    manifest.nodes.values().for_each(|node| add(node.id.as_str().to_owned(), &node.depends_on));
    manifest.tests.values().for_each(|test| add(TestName::of(test, manifest).id, &test.depends_on));
    manifest.exposures.values().for_each(|one| add(one.id.as_str().to_owned(), &one.depends_on));
    manifest.sources.keys().for_each(|id| add(id.as_str().to_owned(), &[]));
    for test in manifest.unit_tests.values() {
        parents.insert(test.id.as_str().to_owned(), vec![test.node.as_str().to_owned()]);
    }
    let mut children: BTreeMap<String, Vec<String>> =
        parents.keys().map(|id| (id.clone(), Vec::new())).collect();
    for (id, all) in &parents {
        for parent in all {
            children.entry(parent.clone()).or_default().push(id.clone());
        }
    }
    (parents, children)
}

/// The descriptions of tests by the place at which they are declared.
fn descriptions(workspace: &Workspace) -> BTreeMap<(&std::path::Path, usize), &str> {
    let properties = &workspace.project.properties;
    let of_nodes = properties.nodes.iter().flat_map(|node| &node.tests);
    let of_sources = properties.sources.iter().flat_map(|source| &source.tests);
    let generic = of_nodes.chain(of_sources).map(|entry| (place(&entry.at), entry.description.as_str()));
    let described = generic.filter(|(_, description)| !description.is_empty());
    let mut all: BTreeMap<_, _> = described.collect();
    for test in workspace.manifest.tests.values() {
        let said = properties.tests.iter().find(|said| said.name.value == test.name);
        if let (crate::manifest::TestKind::Singular { .. }, Some(said)) = (&test.kind, said) {
            all.insert(place(&test.at), &said.description);
        }
    }
    all
}

fn place(at: &Location) -> (&std::path::Path, usize) {
    (at.path(), at.span.start)
}
