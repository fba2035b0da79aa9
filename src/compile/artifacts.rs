//! Artifacts: compiled SQL as files, and dbt's catalog.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::Compiled;
use crate::engine::session::ColumnType;
use crate::error::{Error, Result};
use crate::manifest::{Column, Materialization, TestKind};
use crate::names::Relation;
use crate::workspace::Workspace;

/// Writes the SQL of each model and test into `folder`, under the project's name and the file's own path, as dbt does.
/// What stood there before is taken away. Gives how many files there are.
///
/// # Errors
/// The disk said no.
pub fn write_compiled(workspace: &Workspace, compiled: &Compiled, folder: &Path) -> Result<usize> {
    let root = folder.join(&workspace.manifest.project);
    if root.exists() {
        std::fs::remove_dir_all(&root).map_err(|error| Error::io("remove", &root, &error))?;
    }
    let mut count = 0;
    let mut write = |path: PathBuf, sql: &str| -> Result<()> {
        let parent = path.parent().unwrap_or(&root);
        std::fs::create_dir_all(parent).map_err(|error| Error::io("create the folder", parent, &error))?;
        std::fs::write(&path, format!("{sql}\n")).map_err(|error| Error::io("write", &path, &error))?;
        count += 1;
        Ok(())
    };
    for (id, model) in &compiled.models {
        let Some(node) = workspace.manifest.nodes.get(id).filter(|_| !model.sql.is_empty()) else { continue };
        write(root.join(below(&node.file.path)), &model.sql)?;
    }
    for (id, sql) in &compiled.tests {
        let Some(test) = workspace.manifest.tests.get(id) else { continue };
        let path = match &test.kind {
            TestKind::Singular { file } => root.join(below(&file.path)),
            _ => root.join(below(test.at.path())).join(format!("{}.sql", file_name(&test.name))),
        };
        write(path, sql)?;
    }
    Ok(count)
}

/// A path that cannot lead out of the folder that it is put below.
fn below(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// A test's name as a file's.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    name.chars().map(plain).take(120).collect()
}

/// Writes dbt's `catalog.json` (v1) into `folder`: the columns of every model, seed and source that are known.
///
/// # Errors
/// The disk said no.
pub fn write_catalog(workspace: &Workspace, compiled: &Compiled, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
    let path = folder.join("catalog.json");
    let text = serde_json::to_string(&catalog(workspace, compiled))
        .map_err(|error| Error::Bug(format!("the catalog is no JSON: {error}")))?;
    std::fs::write(&path, text).map_err(|error| Error::io("write", &path, &error))?;
    Ok(path)
}

fn catalog(workspace: &Workspace, compiled: &Compiled) -> Value {
    let manifest = &workspace.manifest;
    let stem = workspace.target.database(workspace.root());
    let database = stem.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut nodes = serde_json::Map::new();
    for (id, model) in &compiled.models {
        let (Some(node), Some(columns)) = (manifest.nodes.get(id), &model.columns) else { continue };
        let kind = match node.config.materialized {
            Materialization::Ephemeral => continue,
            Materialization::View => "VIEW",
            Materialization::Append
            | Materialization::Table
            | Materialization::Incremental
            | Materialization::Snapshot
            | Materialization::Seed => "BASE TABLE",
        };
        let entry = entry(id.as_str(), kind, &node.relation, &database, columns, &node.columns);
        nodes.insert(id.as_str().to_owned(), entry);
    }
    let mut sources = serde_json::Map::new();
    for (id, columns) in &compiled.sources {
        let Some(source) = manifest.sources.get(id) else { continue };
        let entry = entry(id.as_str(), "BASE TABLE", &source.relation, &database, columns, &source.columns);
        sources.insert(id.as_str().to_owned(), entry);
    }
    json!({
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json",
            "dbt_version": concat!("kiln ", env!("CARGO_PKG_VERSION")),
            "generated_at": jiff::Timestamp::now().to_string(),
            "invocation_id": Value::Null,
            "env": {},
        },
        "nodes": nodes,
        "sources": sources,
        "errors": Value::Null,
    })
}

fn entry(
    id: &str,
    kind: &str,
    relation: &Relation,
    database: &str,
    columns: &[ColumnType],
    declared: &[Column],
) -> Value {
    let columns: serde_json::Map<String, Value> = columns
        .iter()
        .zip(1..)
        .map(|(column, index)| {
            let said = declared.iter().find(|declared| declared.name.eq_ignore_ascii_case(&column.name));
            let comment = said.map(|declared| declared.description.trim()).filter(|text| !text.is_empty());
            let entry = json!({
                "type": column.data_type, "index": index, "name": column.name, "comment": comment,
            });
            (column.name.clone(), entry)
        })
        .collect();
    json!({
        "metadata": {
            "type": kind, "schema": relation.schema, "name": relation.name, "database": database,
            "comment": Value::Null, "owner": Value::Null,
        },
        "columns": columns,
        "stats": {},
        "unique_id": id,
    })
}
