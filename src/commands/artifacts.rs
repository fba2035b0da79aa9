//! Artifacts: files in the target folder that other tools read, written whole or not at all.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::artifact::{self, Invocation, RunResults};
use crate::compile::Compiled;
use crate::compile::cache::Cache;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

use super::terminal::Terminal;

const MANIFEST: &str = "manifest.json";

/// Where the artifacts of one call go.
pub struct Artifacts<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// The call.
    pub invocation: Invocation,
    /// The folder.
    pub folder: &'a Path,
}

impl Artifacts<'_> {
    /// Writes `manifest.json`, with the SQL of what was compiled.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_manifest(&self, terminal: &Terminal, compiled: Option<&Compiled>) -> Result<()> {
        let text = artifact::manifest(self.workspace, compiled, &self.invocation)?;
        write(&self.folder.join(MANIFEST), &terminal.for_file(&text))
    }

    /// Writes `catalog.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_catalog(&self, terminal: &Terminal, compiled: &Compiled) -> Result<()> {
        let text = artifact::catalog(self.workspace, compiled, &self.invocation)?;
        write(&self.folder.join("catalog.json"), &terminal.for_file(&text))
    }
}

/// Writes `run_results.json` and `manifest.json` into the target folder.
///
/// # Errors
/// They cannot be written.
pub fn write_results(terminal: &Terminal, run_id: &str, results: &RunResults<'_>) -> Result<()> {
    let invocation = Invocation::new(Some(run_id.to_owned()));
    let folder = results.workspace.target_folder();
    let text = artifact::run_results(results, &invocation)?;
    let artifacts = Artifacts { workspace: results.workspace, invocation, folder: &folder };
    artifacts.write_manifest(terminal, None)?;
    write(&folder.join("run_results.json"), &terminal.for_file(&text))
}

/// What `run_results.json` says of a run that finds nothing to do, as the run before it wrote it down.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct NextResults {
    metadata: Value,
    results: Box<serde_json::value::RawValue>,
    elapsed_time: f64,
    args: Value,
}

impl NextResults {
    /// Reads it from the memory of the run before. `None` if it is not there, or the other artifact is gone.
    pub fn read(cache: &Cache) -> Option<Self> {
        let is_complete = cache.folder().join(MANIFEST).is_file();
        serde_json::from_str(&cache.rest().filter(|_| is_complete)?).ok()
    }

    /// Writes it for a run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(mut self, folder: &Path, run_id: &str, elapsed: Duration) -> Result<()> {
        self.metadata["generated_at"] = super::words::now().into();
        self.metadata["invocation_id"] = run_id.into();
        self.elapsed_time = elapsed.as_secs_f64();
        let text = serde_json::to_string_pretty(&self)
            .map_err(|error| Error::Bug(format!("the results are no JSON: {error}")))?;
        write(&folder.join("run_results.json"), &(text + "\n"))
    }
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
