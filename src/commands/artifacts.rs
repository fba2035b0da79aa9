//! Artifacts: files in the target folder that other tools read, written whole or not at all.

use std::path::Path;

use crate::artifact::{self, Invocation, RunResults};
use crate::compile::Compiled;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

use super::terminal::Terminal;

/// Writes `manifest.json` and, where something was compiled, `catalog.json` into a folder.
///
/// # Errors
/// They cannot be written.
pub fn write_compiled(
    terminal: &Terminal,
    workspace: &Workspace,
    compiled: &Compiled,
    invocation: &Invocation,
    folder: &Path,
) -> Result<()> {
    let manifest = artifact::manifest(workspace, Some(compiled), invocation)?;
    write(&folder.join("manifest.json"), &terminal.for_file(&manifest))?;
    let catalog = artifact::catalog(workspace, compiled, invocation)?;
    write(&folder.join("catalog.json"), &terminal.for_file(&catalog))
}

/// Writes `run_results.json` and `manifest.json` into the target folder.
///
/// # Errors
/// They cannot be written.
pub fn write_results(terminal: &Terminal, run_id: &str, results: &RunResults<'_>) -> Result<()> {
    let invocation = Invocation::new(Some(run_id.to_owned()));
    let folder = results.workspace.target_folder();
    let manifest = artifact::manifest(results.workspace, None, &invocation)?;
    write(&folder.join("manifest.json"), &terminal.for_file(&manifest))?;
    let results = artifact::run_results(results, &invocation)?;
    write(&folder.join("run_results.json"), &terminal.for_file(&results))
}

/// Writes a file whole or not at all, making its folder.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        Ok(file.persist(path)?)
    });
    written.map(drop).map_err(|error| Error::io("write", path, &error))
}
