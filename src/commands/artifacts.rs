//! Artifacts: files in the target folder that other tools read, written whole or not at all.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::artifact::{self, Invocation, RunResults};
use crate::compile::Compiled;
use crate::compile::cache::Cache;
use crate::error::{Error, Result};
use crate::lineage::ColumnGraph;
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
        let fill =
            |file: &mut dyn Write| artifact::manifest(self.workspace, compiled, &self.invocation, file);
        self.write_large(terminal, MANIFEST, &fill)
    }

    /// Writes `lineage.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_lineage(&self, terminal: &Terminal, graph: &ColumnGraph) -> Result<()> {
        self.write_large(terminal, "lineage.json", &|file| artifact::lineage(graph, file))
    }

    /// Writes what is not to be in memory as a whole, unless something in it has to be masked.
    fn write_large(
        &self,
        terminal: &Terminal,
        name: &str,
        fill: &dyn Fn(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<()> {
        write_by(&self.folder.join(name), |file| {
            if terminal.hides_nothing() {
                return fill(file);
            }
            let mut text = Vec::new();
            fill(&mut text)?;
            file.write_all(terminal.for_file(&String::from_utf8_lossy(&text)).as_bytes())
        })
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
    write_by(path, |file| file.write_all(text.as_bytes()))
}

fn write_by(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        fill(&mut file)?;
        Ok(file.persist(path)?)
    });
    written.map(drop).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => Error::Bug(format!("an artifact is no JSON: {error}")),
        _ => Error::io("write", path, &error),
    })
}
