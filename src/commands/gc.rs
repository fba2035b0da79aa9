//! `kiln gc`: drops builds that no kept release needs.

use crate::cli::{GcArgs, Global};
use crate::engine::database::Database;
use crate::engine::publish::{collect, garbage};
use crate::engine::state;
use crate::error::Result;
use crate::workspace::FullRefresh;

use super::terminal::Terminal;
use super::words::counted;
use super::{Exit, Opened, open, open_to_read, patience};

/// Collects, or names what would be collected.
pub fn gc(terminal: &Terminal, global: &Global, args: &GcArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "gc", FullRefresh::No)?;
    let reading = open_to_read(global, &workspace)?;
    let keep = workspace.keep_releases();
    let kept = counted(u64::from(keep), "release is kept", "releases are kept");
    if args.dry_run {
        let names: Vec<String> =
            garbage(reading.session(), keep)?.into_iter().map(|(name, _)| name).collect();
        terminal.data(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        let builds = counted(names.len() as u64, "build", "builds");
        terminal.talk(&format!(" {builds} would be dropped; {kept}\n"));
        return Ok(Exit::Fine);
    }
    drop(reading);
    let database = Database::open(&workspace.opening("gc", patience(global)))?;
    state::migrate(database.session())?;
    let dropped = collect(database.session(), keep)?.builds.len() as u64;
    terminal.talk(&format!(" {} dropped; {kept}\n", counted(dropped, "build", "builds")));
    Ok(Exit::Fine)
}
