//! What a database knows beforehand, for a command that has it open: the columns of raw tables and of relations that Kiln
//! does not make.

use crate::engine::load;
use crate::engine::session::Session;
use crate::error::Result;
use crate::manifest::Materialization;
use crate::workspace::Workspace;

use super::CompileOptions;

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
