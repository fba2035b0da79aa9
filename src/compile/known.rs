//! What a database knows beforehand, for a command that has it open: the columns of raw tables and of relations that Kiln
//! does not make.

use std::collections::BTreeMap;

use crate::engine::session::{ColumnType, Session};
use crate::engine::{definitions, load};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, SourceTable};
use crate::names::NodeId;
use crate::workspace::Workspace;

use super::CompileOptions;

/// The sources that somebody else loads and whose columns nobody declares in full: only the database knows them.
fn undeclared(workspace: &Workspace) -> impl Iterator<Item = &SourceTable> {
    workspace.manifest.sources.values().filter(|source| {
        let declared =
            !source.columns.is_empty() && source.columns.iter().all(|column| column.data_type.is_some());
        source.files.is_none() && !declared
    })
}

/// Whether the project alone does not tell all, so that the target's database is worth a look.
pub fn asks_database(workspace: &Workspace) -> bool {
    undeclared(workspace).next().is_some()
}

/// The columns of undeclared sources in the target's database, if there is such a file and it can be read now. No row of it is
/// read, and what is not known by this stays unknown.
///
/// # Errors
/// The user stopped it.
pub fn in_database(workspace: &Workspace) -> Result<BTreeMap<NodeId, Vec<ColumnType>>> {
    let file = workspace.target.database(workspace.root());
    if !asks_database(workspace) || !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let mut known = match definitions::relations_in(&file) {
        Ok(known) => known,
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(_) => return Ok(BTreeMap::new()),
    };
    let found = undeclared(workspace).filter_map(|source| {
        let at = known.iter().position(|(relation, _)| *relation == source.relation)?;
        Some((source.id.clone(), std::mem::take(&mut known[at].1)))
    });
    Ok(found.filter(|(_, columns)| !columns.is_empty()).collect())
}

/// What the database behind a session knows of a project's sources and raw tables.
///
/// # Errors
/// The ledger is damaged.
pub fn known_to(workspace: &Workspace, session: &Session) -> Result<CompileOptions> {
    let mut options = CompileOptions::default();
    let manifest = &workspace.manifest;
    let ledger = session.describe("SELECT * FROM _kiln.load").is_ok();
    // What is not there cannot be described, and nothing is known of it.
    let describe = |relation| session.describe(&format!("SELECT * FROM {relation}")).ok();
    let raw = manifest.nodes.values().filter(|node| node.config.materialized == Materialization::Append);
    for node in raw {
        if let Some(columns) = describe(&node.relation) {
            options.existing.insert(node.id.clone(), columns);
        }
        let sources = node.depends_on.iter().filter_map(|dependency| manifest.sources.get(&dependency.node));
        for source in sources.filter(|source| ledger && source.files.is_some()) {
            let columns = load::loaded_columns(session.connection(), &node.id)?;
            options.loaded.insert(source.id.clone(), columns);
        }
    }
    for source in manifest.sources.values().filter(|source| source.files.is_none()) {
        if let Some(columns) = describe(&source.relation) {
            options.existing.insert(source.id.clone(), columns);
        }
    }
    Ok(options)
}
