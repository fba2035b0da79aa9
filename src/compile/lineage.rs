//! The column lineage of a compiled project: each model's query is asked for its plan in the shadow, and the answers become
//! one graph over sources, seeds, models and consumers.

use std::collections::{BTreeSet, HashMap};

use crate::engine::lineage::of_query;
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::ColumnType;
use crate::error::Result;
use crate::lineage::{ColumnGraph, NodeColumn};
use crate::manifest::{Column, Exposure, Materialization, Node, NodeKind};
use crate::names::{NodeId, Relation};
use crate::run::candidate::{Reading, bind};
use crate::sql::lineage::Lineage;
use crate::sql::tokens::without_end;
use crate::workspace::Workspace;

use super::outside::SCHEMA;
use super::{Compiled, CompiledNode};

/// Stands for the columns of something whose columns are not all known.
const ANY: &str = "*";

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
        let lineage = match (model, columns) {
            (Some(model), Some(columns)) => of_model(compiled, node, model, columns)?,
            _ => Lineage::unknown(&outputs(None, &node.columns), "its columns are not known"),
        };
        graph.add_source(&node.id, columns.into_iter().flatten().map(|column| column.name.clone()));
        let parents = node.depends_on.iter().map(|dependency| dependency.node.clone());
        graph.add(&node.id, &lineage, parents, node_of);
    }
    for exposure in manifest.exposures.values() {
        add_consumer(&mut graph, compiled, exposure, node_of)?;
    }
    Ok(graph)
}

fn of_model(
    compiled: &Compiled,
    node: &Node,
    model: &CompiledNode,
    columns: &[ColumnType],
) -> Result<Lineage> {
    let bound = bind(&model.rendered, &compiled.aside, Reading::Now).sql;
    let sql = if bound.contains(';') { without_end(&bound) } else { &bound };
    let session = compiled.shadow.session();
    if node.config.materialized != Materialization::Append {
        return Ok(of_query(session, sql, &outputs(Some(&columns.to_vec()), &[]))?);
    }
    // A raw table has columns that its query does not give: Kiln's own, and those of loads before.
    let given = session.describe(sql)?;
    let mut lineage = of_query(session, sql, &outputs(Some(&given), &[]))?;
    let own = |name: &str| OWN_COLUMNS.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    lineage.columns.retain(|column| !own(&column.output));
    Ok(lineage)
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
) -> Result<()> {
    let mut read: BTreeSet<NodeId> = BTreeSet::new();
    for query in &exposure.queries {
        let lineage = of_consumer(compiled, &query.value)?;
        read.extend(lineage.tables.iter().filter_map(node_of));
        let depends_on = exposure.depends_on.iter().map(|dependency| dependency.node.clone());
        let is_known = lineage.reasons.is_empty();
        graph.add(&exposure.id, &lineage, depends_on.filter(|_| !is_known), node_of);
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
    Ok(())
}

/// What a consumer's own query reads. One that does not bind may read anything.
fn of_consumer(compiled: &Compiled, query: &str) -> Result<Lineage> {
    let session = compiled.shadow.session();
    let sql = without_end(query);
    match session.describe(sql) {
        Ok(columns) => Ok(of_query(session, sql, &outputs(Some(&columns), &[]))?),
        Err(error) => Ok(Lineage::unknown(&[ANY.to_owned()], format!("its query does not bind: {error}"))),
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
