//! `catalog.json`: the columns of every model, seed, snapshot and source that are known.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use super::{Header, Invocation, database, text};
use crate::compile::Compiled;
use crate::engine::session::ColumnType;
use crate::error::Result;
use crate::manifest::{Column, Materialization};
use crate::names::{NodeId, Relation};
use crate::workspace::Workspace;

const SCHEMA: &str = "https://schemas.getdbt.com/dbt/catalog/v1.json";

#[derive(Debug, Serialize)]
struct Whole<'a> {
    metadata: Header<'a>,
    nodes: BTreeMap<&'a str, Table<'a>>,
    sources: BTreeMap<&'a str, Table<'a>>,
    errors: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Table<'a> {
    metadata: TableHeader<'a>,
    columns: IndexMap<&'a str, ColumnPart<'a>>,
    stats: BTreeMap<String, String>,
    unique_id: &'a str,
}

#[derive(Debug, Serialize)]
struct TableHeader<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a str,
    name: &'a str,
    database: &'a str,
    comment: Option<&'a str>,
    owner: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ColumnPart<'a> {
    #[serde(rename = "type")]
    data_type: &'a str,
    index: usize,
    name: &'a str,
    comment: Option<&'a str>,
}

/// The text of `catalog.json`.
///
/// # Errors
/// A bug of Kiln's.
pub fn catalog(workspace: &Workspace, compiled: &Compiled, invocation: &Invocation) -> Result<String> {
    let manifest = &workspace.manifest;
    let database = database(workspace);
    let nodes = compiled.models.iter().filter_map(|(id, model)| {
        let (node, columns) = (manifest.nodes.get(id)?, model.columns.as_ref()?);
        let kind = match node.config.materialized {
            Materialization::Ephemeral => return None,
            Materialization::View => "VIEW",
            _ => "BASE TABLE",
        };
        let table =
            table(&node.id, kind, &database, &node.relation, columns, &node.columns, &node.description);
        Some((node.id.as_str(), table))
    });
    let sources = compiled.sources.iter().filter_map(|(id, columns)| {
        let source = manifest.sources.get(id)?;
        let (relation, declared) = (&source.relation, &source.columns);
        let table =
            table(&source.id, "BASE TABLE", &database, relation, columns, declared, &source.description);
        Some((source.id.as_str(), table))
    });
    text(&Whole {
        metadata: Header::new(SCHEMA, invocation),
        nodes: nodes.collect(),
        sources: sources.collect(),
        errors: None,
    })
}

fn table<'a>(
    id: &'a NodeId,
    kind: &'static str,
    database: &'a str,
    relation: &'a Relation,
    columns: &'a [ColumnType],
    declared: &'a [Column],
    description: &'a str,
) -> Table<'a> {
    let said = |text: &'a str| Some(text.trim()).filter(|text| !text.is_empty());
    let column = |(index, column): (usize, &'a ColumnType)| {
        let found = declared.iter().find(|declared| declared.name.eq_ignore_ascii_case(&column.name));
        let part = ColumnPart {
            data_type: &column.data_type,
            index: index + 1,
            name: &column.name,
            comment: found.and_then(|declared| said(&declared.description)),
        };
        (column.name.as_str(), part)
    };
    Table {
        metadata: TableHeader {
            kind,
            schema: &relation.schema,
            name: &relation.name,
            database,
            comment: said(description),
            owner: None,
        },
        columns: columns.iter().enumerate().map(column).collect(),
        stats: BTreeMap::new(),
        unique_id: id.as_str(),
    }
}
