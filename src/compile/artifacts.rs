//! Artifacts: compiled SQL as files, and dbt's catalog.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::Compiled;
use crate::engine::session::ColumnType;
use crate::error::{Error, Result};
use crate::manifest::{Column, Materialization, TestKind};
use crate::names::Relation;
use crate::workspace::Workspace;

/// Writes the SQL of each model and test into `folder`, under the project's name and the file's own path, as dbt does.
/// What else stands there is taken away, and a file that is right already is left alone: making files costs more than
/// looking at them. Gives how many files there are.
///
/// # Errors
/// The disk said no.
pub fn write_compiled(workspace: &Workspace, compiled: &Compiled, folder: &Path) -> Result<usize> {
    let root = folder.join(&workspace.manifest.project);
    let mut written = HashSet::new();
    let mut write = |path: PathBuf, sql: &str| -> Result<()> {
        let text = format!("{sql}\n");
        let is_right = std::fs::symlink_metadata(&path).is_ok_and(|now| now.is_file())
            && std::fs::read(&path).is_ok_and(|now| now == text.as_bytes());
        if !is_right {
            put(&root, &path, &text)?;
        }
        written.insert(path);
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
    sweep(&root, &written)?;
    Ok(written.len())
}

/// Writes a file, whatever stands at its place.
fn put(root: &Path, path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(root))?;
        std::fs::write(path, text)
    };
    if write().is_ok() {
        return Ok(());
    }
    // A folder where a file has to be, or a file where a folder has to be.
    for place in path.ancestors().take_while(|place| place.starts_with(root)) {
        match std::fs::symlink_metadata(place) {
            Ok(found) if found.is_dir() && place == path => {
                std::fs::remove_dir_all(place).map_err(|error| Error::io("remove", place, &error))?;
            }
            Ok(found) if !found.is_dir() => {
                std::fs::remove_file(place).map_err(|error| Error::io("remove", place, &error))?;
            }
            _ => {}
        }
    }
    write().map_err(|error| Error::io("write", path, &error))
}

/// Takes away what is below a folder and was not written, and folders that are empty then.
fn sweep(root: &Path, written: &HashSet<PathBuf>) -> Result<()> {
    for entry in walkdir::WalkDir::new(root).contents_first(true).into_iter().filter_map(Result::ok) {
        let path = entry.path();
        if entry.file_type().is_dir() {
            // One that holds something stays.
            let _ = std::fs::remove_dir(path);
        } else if !written.contains(path) {
            std::fs::remove_file(path).map_err(|error| Error::io("remove", path, &error))?;
        }
    }
    Ok(())
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
