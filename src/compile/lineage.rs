//! The column lineage of a compiled project: what each model's query was found to read becomes one graph over sources,
//! seeds, models and consumers.

use std::collections::{BTreeSet, HashMap};

use crate::engine::session::ColumnType;
use crate::error::Result;
use crate::lineage::{ColumnGraph, NodeColumn};
use crate::manifest::{Column, Exposure, NodeKind};
use crate::names::{NodeId, Relation};
use crate::sql::lineage::Lineage;
use crate::workspace::Workspace;

use super::Compiled;
use super::outside::SCHEMA;

/// Stands for the columns of something whose columns are not all known.
pub(super) const ANY: &str = "*";

/// The column lineage of the whole project. What is not known is unknown in the graph, never left out.
///
/// # Errors
/// The machine failed.
pub fn lineage(workspace: &Workspace, compiled: &Compiled) -> Result<ColumnGraph> {
    let manifest = &workspace.manifest;
    let owners = owners(workspace);
    let node_of = |relation: &Relation| owners.get(&key(relation)).cloned();
    let mut graph = ColumnGraph::new();
    for source in manifest.sources.values() {
        graph.add_source(&source.id, outputs(compiled.sources.get(&source.id), &source.columns));
    }
    for node in manifest.nodes.values() {
        let model = compiled.models.get(&node.id);
        let columns = model.and_then(|model| model.columns.as_ref());
        if node.kind == NodeKind::Seed {
            graph.add_source(&node.id, outputs(columns, &node.columns));
            continue;
        }
        let unknown;
        let lineage = match compiled.lineages.get(&node.id) {
            Some(lineage) => lineage,
            None => {
                unknown = Lineage::unknown(&outputs(None, &node.columns), "its columns are not known");
                &unknown
            }
        };
        graph.add_source(&node.id, columns.into_iter().flatten().map(|column| column.name.clone()));
        let parents = node.depends_on.iter().map(|dependency| dependency.node.clone());
        graph.add(&node.id, lineage, parents, node_of);
    }
    for exposure in manifest.exposures.values() {
        add_consumer(&mut graph, compiled, exposure, node_of);
    }
    Ok(graph)
}

/// The names of the columns: the known ones, else the declared ones and one for what may be there besides.
fn outputs(known: Option<&Vec<ColumnType>>, declared: &[Column]) -> Vec<String> {
    match known {
        Some(columns) => columns.iter().map(|column| column.name.clone()).collect(),
        None => declared.iter().map(|column| column.name.clone()).chain([ANY.to_owned()]).collect(),
    }
}

/// A consumer reads the columns that it declares, and those that its queries read: these make columns of its own, named as
/// the queries name them. Where it says neither of something that it depends on, it may read any.
fn add_consumer(
    graph: &mut ColumnGraph,
    compiled: &Compiled,
    exposure: &Exposure,
    node_of: impl Fn(&Relation) -> Option<NodeId> + Copy,
) {
    let mut read: BTreeSet<NodeId> = BTreeSet::new();
    for lineage in compiled.consumers.get(&exposure.id).into_iter().flatten() {
        read.extend(lineage.tables.iter().filter_map(node_of));
        let depends_on = exposure.depends_on.iter().map(|dependency| dependency.node.clone());
        let is_known = lineage.reasons.is_empty();
        graph.add(&exposure.id, lineage, depends_on.filter(|_| !is_known), node_of);
    }
    let mut silent = Vec::new();
    for dependency in &exposure.depends_on {
        let short = dependency.node.short();
        let declared = exposure
            .columns
            .iter()
            .find(|(model, _)| *model == short || short.rsplit('.').next() == Some(model.as_str()));
        let Some((_, columns)) = declared else {
            if !read.contains(&dependency.node) {
                silent.push(dependency.node.clone());
            }
            continue;
        };
        let reads: Vec<NodeColumn> = columns
            .iter()
            .map(|column| {
                let found = graph.find(&dependency.node, &column.value);
                found.unwrap_or_else(|| NodeColumn::new(&dependency.node, &column.value))
            })
            .collect();
        graph.add_reader(&exposure.id, reads);
    }
    if !silent.is_empty() {
        let unknown = Lineage::unknown(&[ANY.to_owned()], "its columns are not declared");
        graph.add(&exposure.id, &unknown, silent, |_| None);
    }
}

/// Nodes and sources by the relation that stands for them in the shadow.
fn owners(workspace: &Workspace) -> HashMap<(String, String), NodeId> {
    let manifest = &workspace.manifest;
    let nodes = manifest.nodes.values().map(|node| (key(&node.relation), node.id.clone()));
    let sources = manifest.sources.values().map(|source| {
        let relation = match source.files {
            Some(_) => Relation::new(SCHEMA, source.id.short()),
            None => source.relation.clone(),
        };
        (key(&relation), source.id.clone())
    });
    nodes.chain(sources).collect()
}

fn key(relation: &Relation) -> (String, String) {
    (relation.schema.to_lowercase(), relation.name.to_lowercase())
}
