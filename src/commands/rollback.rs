//! `kiln rollback`: points readers back at an earlier release.

use crate::cli::{Global, RollbackArgs};
use crate::error::Result;
use crate::run;
use crate::workspace::FullRefresh;

use super::terminal::{Paint, Terminal};
use super::words::counted;
use super::{Exit, Opened, open, open_to_read, patience};

/// Rolls back.
pub fn rollback(terminal: &Terminal, global: &Global, args: &RollbackArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "rollback", FullRefresh::No)?;
    // Reading first: a database that is not there is not made for this.
    drop(open_to_read(global, &workspace)?);
    let (published, before, restored) = run::rollback(&workspace, args.release, patience(global))?;
    terminal.talk(&format!(
        " {} readers of {} see release {} again, as release {published} {} {}; they saw release {} before\n",
        terminal.paint(Paint::Green, "Rolled back:"),
        workspace.target.name,
        restored.id,
        terminal.signs.dash,
        counted(restored.models.len() as u64, "model", "models"),
        before.id,
    ));
    terminal.log(
        "finished",
        None,
        serde_json::json!({"status": "published", "release_id": published, "restores": restored.id}),
    );
    Ok(Exit::Fine)
}
