//! Artifacts: what other tools read of a project, in the forms of dbt's published schemas: `manifest.json` (v12),
//! `catalog.json` (v1) and `run_results.json` (v6).
//!
//! Pure: a project, and what was compiled or run of it, come in, and text goes out, the manifest's piece by piece. It holds no absolute path and nothing of
//! the environment, and apart from its header it is the same whenever it is made.

mod catalog;
mod manifest;
mod node;
mod resource;
mod run_results;
mod test_node;

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::lineage::ColumnGraph;
use crate::names::Relation;
use crate::sql::quote::identifier;
use crate::workspace::Workspace;

pub use catalog::catalog;
pub use manifest::manifest;
pub use run_results::{RunResults, run_results};

/// The dbt release whose artifacts these are like. Tools read it as a version, so Kiln's own stands where a version has
/// room for the maker's.
const DBT_VERSION: &str = concat!("1.12.0+kiln.", env!("CARGO_PKG_VERSION"));

/// One call of a command: all artifacts that it leaves bear its id.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// A UUID.
    pub id: String,
    /// When the artifacts are made.
    pub at: jiff::Timestamp,
}

impl Invocation {
    /// A call that is known by an id, or by one of its own.
    pub fn new(id: Option<String>) -> Self {
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        Self { id, at: jiff::Timestamp::now() }
    }
}

/// `metadata` of an artifact.
#[derive(Debug, Serialize)]
struct Header<'a> {
    dbt_schema_version: &'static str,
    dbt_version: &'static str,
    generated_at: String,
    invocation_id: &'a str,
    env: BTreeMap<String, String>,
}

impl<'a> Header<'a> {
    fn new(dbt_schema_version: &'static str, invocation: &'a Invocation) -> Self {
        Self {
            dbt_schema_version,
            dbt_version: DBT_VERSION,
            generated_at: invocation.at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            invocation_id: &invocation.id,
            env: BTreeMap::new(),
        }
    }
}

/// The name of the target's database in a name of three parts.
fn database(workspace: &Workspace) -> String {
    let path = workspace.target.database(workspace.root());
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `"database"."schema"."name"`.
fn full_name(database: &str, relation: &Relation) -> String {
    format!("{}.{relation}", identifier(database))
}

/// A path with `/` on every machine.
fn shown(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// What stands at a path below the folder in which such files are looked for.
fn below<'p>(path: &'p Path, search: &[String]) -> &'p Path {
    let found = search.iter().filter_map(|search| path.strip_prefix(search).ok());
    found.min_by_key(|below| below.components().count()).unwrap_or(path)
}

fn text(artifact: &impl Serialize) -> Result<String> {
    serde_json::to_string(artifact).map_err(|error| Error::Bug(format!("an artifact is no JSON: {error}")))
}

/// Writes `lineage.json`: who comes from whom, column by column.
///
/// # Errors
/// It cannot be written; `InvalidData` is a bug of Kiln's.
pub fn lineage(graph: &ColumnGraph, mut out: impl Write) -> std::io::Result<()> {
    write(graph, &mut out)?;
    out.write_all(b"\n")
}

/// Writes an artifact as it is made, so that it is never in memory as a whole.
fn write(artifact: &impl Serialize, out: impl Write) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    serde_json::to_writer(&mut out, artifact)?;
    out.flush()
}

/// A setting that is text.
fn setting<'v>(settings: &'v crate::manifest::Object, key: &str) -> Option<&'v str> {
    settings.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}
