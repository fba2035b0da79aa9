//! Artifacts: files in the target folder that other tools read, in dbt's forms.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Global;
use crate::error::{Error, Result};
use crate::run::event::{NodeReport, Outcome, TestReport, TestStatus};
use crate::workspace::Workspace;

use super::terminal::Terminal;

/// What `run_results.json` is made from.
pub struct RunResults<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// The run.
    pub run_id: &'a str,
    /// The command.
    pub command: &'a str,
    /// Models and seeds.
    pub nodes: &'a [NodeReport],
    /// All tests.
    pub tests: Vec<&'a TestReport>,
    /// Wall time.
    pub elapsed: Duration,
}

impl RunResults<'_> {
    /// Writes `run_results.json`, version 6.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, terminal: &Terminal, global: &Global) -> Result<()> {
        let manifest = &self.workspace.manifest;
        let by_name: std::collections::HashMap<&str, &str> = manifest
            .tests
            .values()
            .map(|test| (test.name.as_str(), test.id.as_str()))
            .chain(manifest.unit_tests.keys().map(|id| (id.short(), id.as_str())))
            .collect();
        let nodes = self.nodes.iter().map(|report| self.node(report));
        let tests = self.tests.iter().map(|report| {
            let id = by_name
                .get(report.name.as_str())
                .map_or_else(|| format!("test.{}.{}", manifest.project, report.name), |id| (*id).to_owned());
            tested(report, &id)
        });
        let results: Vec<Value> = nodes.chain(tests).collect();
        let whole = json!({
            "metadata": {
                "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
                "dbt_version": format!("kiln {}", env!("CARGO_PKG_VERSION")),
                "generated_at": super::words::now(),
                "invocation_id": self.run_id,
                "env": {},
            },
            "results": results,
            "elapsed_time": self.elapsed.as_secs_f64(),
            "args": {
                "which": self.command,
                "target": self.workspace.target.name,
                "project_dir": global.project_dir.to_string_lossy(),
                "threads": self.workspace.threads(),
            },
        });
        let path = self.workspace.target_folder().join("run_results.json");
        write(&path, &terminal.for_file(&format!("{whole:#}\n")))
    }

    fn node(&self, report: &NodeReport) -> Value {
        let (status, message) = match &report.outcome {
            // The model itself was made; that it did not pass is said by its tests.
            Outcome::Built | Outcome::Failed => ("success", "built".to_owned()),
            Outcome::Reused => ("success", "reused".to_owned()),
            Outcome::Error(problem) => ("error", problem.message.clone()),
            Outcome::Skipped { because } => ("skipped", format!("{} failed", because.short())),
            Outcome::Cancelled => ("skipped", "interrupted".to_owned()),
        };
        let relation = self.workspace.manifest.nodes.get(&report.node).map(|node| node.relation.to_string());
        let adapter = report.rows.map_or(json!({}), |rows| json!({"rows_affected": rows}));
        result(report.node.as_str(), status, Some(&message), None, relation, report.elapsed, adapter)
    }
}

fn tested(report: &TestReport, id: &str) -> Value {
    let status = match report.status {
        TestStatus::Pass | TestStatus::Reused => "pass",
        TestStatus::Warn => "warn",
        TestStatus::Fail => "fail",
        TestStatus::Error => "error",
        TestStatus::Skipped => "skipped",
    };
    let failures = match report.status {
        TestStatus::Reused => Some(report.failures.unwrap_or(0)),
        _ => report.failures,
    };
    let mut value = result(id, status, report.message.as_deref(), failures, None, report.elapsed, json!({}));
    if !report.query.is_empty() {
        value["compiled"] = json!(true);
        value["compiled_code"] = json!(report.query);
    }
    value
}

fn result(
    id: &str,
    status: &str,
    message: Option<&str>,
    failures: Option<i64>,
    relation: Option<String>,
    elapsed: Duration,
    adapter: Value,
) -> Value {
    json!({
        "status": status,
        "timing": [],
        "thread_id": "main",
        "execution_time": elapsed.as_secs_f64(),
        "adapter_response": adapter,
        "message": message,
        "failures": failures,
        "unique_id": id,
        "compiled": false,
        "compiled_code": null,
        "relation_name": relation,
    })
}

/// The last run's `run_results.json`, to be brought forward to a run that found the same.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct LastResults {
    metadata: Value,
    results: Box<serde_json::value::RawValue>,
    elapsed_time: f64,
    args: Value,
}

impl LastResults {
    /// Reads it. `None` if it is not there, or of another command or target.
    pub fn read(folder: &Path, target: &str) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join("run_results.json")).ok()?;
        let found: Self = serde_json::from_str(&text).ok()?;
        (found.args["which"] == "run" && found.args["target"] == target).then_some(found)
    }

    /// Writes it for another run.
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
