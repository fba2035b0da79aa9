//! `run_results.json`: how each model and test of a run ended.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;

use super::test_node::TestName;
use super::{Header, Invocation, database, full_name, text};
use crate::error::Result;
use crate::manifest::Materialization;
use crate::names::NodeId;
use crate::run::event::{NodeReport, Outcome, TestReport, TestStatus};
use crate::workspace::Workspace;

const SCHEMA: &str = "https://schemas.getdbt.com/dbt/run-results/v6.json";

/// What `run_results.json` is made from.
pub struct RunResults<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// The command.
    pub command: &'a str,
    /// Models and seeds.
    pub nodes: &'a [NodeReport],
    /// All tests.
    pub tests: Vec<&'a TestReport>,
    /// Wall time.
    pub elapsed: Duration,
}

#[derive(Debug, Serialize)]
struct Whole<'a> {
    metadata: Header<'a>,
    results: Vec<Entry<'a>>,
    elapsed_time: f64,
    args: Args<'a>,
}

#[derive(Debug, Serialize)]
struct Args<'a> {
    which: &'a str,
    target: &'a str,
    threads: usize,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    status: &'static str,
    timing: [(); 0],
    thread_id: &'static str,
    execution_time: f64,
    adapter_response: BTreeMap<&'static str, u64>,
    message: Option<String>,
    failures: Option<i64>,
    unique_id: String,
    compiled: bool,
    compiled_code: Option<&'a str>,
    relation_name: Option<String>,
}

/// The text of `run_results.json`. Each result is of something that is in the manifest: what a contract says of columns,
/// which is no test in dbt, is told of its model.
///
/// # Errors
/// A bug of Kiln's.
pub fn run_results(results: &RunResults<'_>, invocation: &Invocation) -> Result<String> {
    let RunResults { workspace, command, nodes, tests, elapsed } = results;
    let mut ids = TestName::ids(&workspace.manifest);
    ids.extend(workspace.manifest.unit_tests.keys().map(|id| (id.short(), id.as_str().to_owned())));
    let (tests, promises): (Vec<&TestReport>, Vec<&TestReport>) =
        tests.iter().partition(|report| ids.contains_key(report.name.as_str()));
    let mut broken: HashMap<&NodeId, &TestReport> = HashMap::new();
    for promise in promises.into_iter().filter(|report| report.status.blocks()) {
        broken.extend(promise.node.as_ref().map(|node| (node, promise)));
    }
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for report in *nodes {
        let mut entry = of_node(workspace, report);
        if let Some(promise) = broken.remove(&report.node) {
            (entry.status, entry.message) = ("error", Some(told(promise)));
        }
        entries.push(entry);
    }
    // In `kiln test` no model has a report of its own.
    let mut left: Vec<_> = broken.into_iter().collect();
    left.sort_by_key(|(node, _)| *node);
    for (node, promise) in left {
        entries.push(Entry {
            message: Some(told(promise)),
            relation_name: relation(workspace, node),
            ..blank(node.as_str().to_owned(), "error", promise.elapsed)
        });
    }
    for report in tests {
        let id = ids.get(report.name.as_str()).cloned().unwrap_or_default();
        entries.push(of_test(report, id));
    }
    text(&Whole {
        metadata: Header::new(SCHEMA, invocation),
        results: entries,
        elapsed_time: elapsed.as_secs_f64(),
        args: Args { which: command, target: &workspace.target.name, threads: workspace.threads() },
    })
}

fn blank<'a>(unique_id: String, status: &'static str, elapsed: Duration) -> Entry<'a> {
    Entry {
        status,
        timing: [],
        thread_id: "main",
        execution_time: elapsed.as_secs_f64(),
        adapter_response: BTreeMap::new(),
        message: None,
        failures: None,
        unique_id,
        compiled: false,
        compiled_code: None,
        relation_name: None,
    }
}

fn of_node<'a>(workspace: &Workspace, report: &NodeReport) -> Entry<'a> {
    let (status, message) = match &report.outcome {
        // The model itself was made; that it did not pass is said by its tests.
        Outcome::Built | Outcome::Failed => ("success", "built".to_owned()),
        Outcome::Reused => ("success", "reused".to_owned()),
        Outcome::NothingNew => ("success", "nothing new".to_owned()),
        Outcome::Error(problem) => ("error", problem.message.clone()),
        Outcome::Skipped { because } => ("skipped", format!("{} failed", because.short())),
        Outcome::Cancelled => ("skipped", "interrupted".to_owned()),
    };
    Entry {
        message: Some(message),
        relation_name: relation(workspace, &report.node),
        adapter_response: report.rows.map(|rows| ("rows_affected", rows)).into_iter().collect(),
        ..blank(report.node.as_str().to_owned(), status, report.elapsed)
    }
}

fn of_test(report: &TestReport, id: String) -> Entry<'_> {
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
    let query = Some(report.query.as_str()).filter(|query| !query.is_empty());
    Entry {
        message: report.message.clone(),
        failures,
        compiled: query.is_some(),
        compiled_code: query,
        ..blank(id, status, report.elapsed)
    }
}

fn told(promise: &TestReport) -> String {
    promise.message.clone().unwrap_or_else(|| "it breaks its contract".to_owned())
}

fn relation(workspace: &Workspace, id: &NodeId) -> Option<String> {
    let node = workspace.manifest.nodes.get(id)?;
    let is_relation = node.config.materialized != Materialization::Ephemeral;
    is_relation.then(|| full_name(&database(workspace), &node.relation))
}
