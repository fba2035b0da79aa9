//! `manifest.json`: everything that a project holds and what reads what.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::node::{Entry, Surroundings};
use super::resource::{DocEntry, ExposureEntry, GroupEntry, SourceEntry, UnitTestEntry};
use super::{Header, Invocation, write};
use crate::compile::Compiled;
use crate::diagnostic::Location;
use crate::digest::md5;
use crate::manifest::{Dependency, Node, Test, TestKind};
use crate::workspace::Workspace;

const SCHEMA: &str = "https://schemas.getdbt.com/dbt/manifest/v12.json";

type Empty = BTreeMap<String, Value>;

#[derive(serde::Serialize)]
struct Whole<'a> {
    metadata: Metadata<'a>,
    nodes: Nodes<'a>,
    sources: BTreeMap<&'a str, SourceEntry<'a>>,
    macros: Macros<'a>,
    docs: BTreeMap<String, DocEntry<'a>>,
    exposures: BTreeMap<&'a str, ExposureEntry<'a>>,
    metrics: Empty,
    groups: BTreeMap<String, GroupEntry<'a>>,
    selectors: Empty,
    disabled: Empty,
    parent_map: BTreeMap<&'a str, Vec<&'a str>>,
    child_map: BTreeMap<&'a str, Vec<&'a str>>,
    group_map: Groups<'a>,
    saved_queries: Empty,
    semantic_models: Empty,
    unit_tests: BTreeMap<&'a str, UnitTestEntry<'a>>,
    functions: Empty,
}

#[derive(Debug, serde::Serialize)]
struct Metadata<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    project_name: &'a str,
    project_id: String,
    adapter_type: &'static str,
    quoting: Quoting,
}

#[derive(Debug, serde::Serialize)]
struct Quoting {
    database: bool,
    schema: bool,
    identifier: bool,
    column: Option<bool>,
}

/// Models, seeds and tests, each made when it is written: of a large project they are many times what else there is.
struct Nodes<'a> {
    around: &'a Surroundings<'a>,
    all: BTreeMap<&'a str, (Member<'a>, &'a str)>,
    found: &'a RefCell<Found>,
}

/// Something that is a node for dbt.
#[derive(Clone, Copy)]
enum Member<'a> {
    Node(&'a Node),
    Test(&'a Test),
}

/// What was met while the nodes were written, for what is written behind them.
#[derive(Default)]
struct Found {
    macros: BTreeSet<String>,
    groups: BTreeMap<String, Vec<String>>,
}

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut found = self.found.borrow_mut();
        let mut map = serializer.serialize_map(Some(self.all.len()))?;
        for (id, (member, description)) in &self.all {
            let entry: Entry<'_> = match *member {
                Member::Node(node) => self.around.node(node),
                Member::Test(test) => self.around.test(test, description),
            };
            map.serialize_entry(id, &entry)?;
            found.macros.extend(entry.depends_on.macros);
            if let Some(group) = entry.group {
                found.groups.entry(group.to_owned()).or_default().push(entry.unique_id);
            }
        }
        map.end()
    }
}

/// The macros that the nodes need, and the project's own.
struct Macros<'a> {
    around: &'a Surroundings<'a>,
    found: &'a RefCell<Found>,
}

impl Serialize for Macros<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = std::mem::take(&mut self.found.borrow_mut().macros);
        self.around.macros_of(&reached(self.around, used)).serialize(serializer)
    }
}

/// Who is in each group.
struct Groups<'a>(&'a RefCell<Found>);

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.borrow().groups.serialize(serializer)
    }
}

/// Writes `manifest.json`; with the SQL of models and tests where the project was compiled.
///
/// # Errors
/// It cannot be written; `InvalidData` is a bug of Kiln's.
pub fn manifest(
    workspace: &Workspace,
    compiled: Option<&Compiled>,
    invocation: &Invocation,
    out: impl Write,
) -> std::io::Result<()> {
    let around = Surroundings::new(workspace, compiled);
    let around = &around;
    let manifest = &workspace.manifest;
    let properties = &workspace.project.properties;
    let described = descriptions(workspace);
    let tests = manifest.tests.values().map(|test| {
        let description = described.get(&place(&test.at)).copied().unwrap_or_default();
        (around.name_of(test).id.as_str(), (Member::Test(test), description))
    });
    let nodes = manifest.nodes.values().map(|node| (node.id.as_str(), (Member::Node(node), "")));
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
    let found = RefCell::new(Found::default());
    for group in &properties.groups {
        let entry = around.group(group);
        groups.insert(format!("group.{}.{}", group.package, group.name.value), entry);
        found.borrow_mut().groups.entry(group.name.value.clone()).or_default();
    }
    let (parent_map, child_map) = maps(around);
    let whole = Whole {
        metadata: Metadata {
            header: Header::new(SCHEMA, invocation),
            project_name: &manifest.project,
            project_id: md5(&manifest.project),
            adapter_type: "duckdb",
            quoting: Quoting { database: true, schema: true, identifier: true, column: None },
        },
        nodes: Nodes { around, all: nodes.chain(tests).collect(), found: &found },
        sources: sources.collect(),
        macros: Macros { around, found: &found },
        docs: around.docs_blocks(),
        exposures: exposures.collect(),
        metrics: Empty::new(),
        groups,
        selectors: Empty::new(),
        disabled: Empty::new(),
        parent_map,
        child_map,
        group_map: Groups(&found),
        saved_queries: Empty::new(),
        semantic_models: Empty::new(),
        unit_tests: manifest
            .unit_tests
            .values()
            .map(|test| (test.id.as_str(), around.unit_test(test)))
            .collect(),
        functions: Empty::new(),
    };
    write(&whole, out)
}

/// Ids of the macros that are used, those that these call too.
fn reached(around: &Surroundings<'_>, used: BTreeSet<String>) -> BTreeSet<String> {
    let mut left: Vec<String> = used.into_iter().collect();
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

/// By id, the ids of others.
type Map<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Who reads whom, in both directions. Everything has an entry.
fn maps<'a>(around: &'a Surroundings<'a>) -> (Map<'a>, Map<'a>) {
    let manifest = &around.workspace.manifest;
    let mut parents = Map::new();
    let mut add = |id: &'a str, depends_on: &'a [Dependency]| {
        let mut all: Vec<&str> = depends_on.iter().map(|dependency| dependency.node.as_str()).collect();
        all.sort_unstable();
        parents.insert(id, all);
    };
    manifest.nodes.values().for_each(|node| add(node.id.as_str(), &node.depends_on));
    manifest.tests.values().for_each(|test| add(&around.name_of(test).id, &test.depends_on));
    manifest.exposures.values().for_each(|one| add(one.id.as_str(), &one.depends_on));
    manifest.sources.keys().for_each(|id| add(id.as_str(), &[]));
    for test in manifest.unit_tests.values() {
        parents.insert(test.id.as_str(), vec![test.node.as_str()]);
    }
    let mut children: Map<'_> = parents.keys().map(|id| (*id, Vec::new())).collect();
    for (id, all) in &parents {
        for parent in all {
            children.entry(*parent).or_default().push(*id);
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
    let mut said: BTreeMap<&str, &str> = BTreeMap::new();
    for test in &properties.tests {
        said.entry(&test.name.value).or_insert(&test.description);
    }
    let is_singular = |test: &&Test| matches!(test.kind, TestKind::Singular { .. });
    let singular = workspace.manifest.tests.values().filter(is_singular);
    all.extend(singular.filter_map(|test| Some((place(&test.at), *said.get(test.name.as_str())?))));
    all
}

fn place(at: &Location) -> (&std::path::Path, usize) {
    (at.path(), at.span.start)
}
