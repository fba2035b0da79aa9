//! The JSON log: what `--log-format json` writes, one object a line.
//!
//! Every line has `v` (the layout's version, 1), `at` (UTC), `run_id` (null before the run), `event` and `node` (a unique
//! id, or null). What else a line has depends on `event`:
//!
//! | event | fields |
//! |---|---|
//! | `diagnostic` | `severity`, `code`, `message`, `file`, `line`, `column`, `help` |
//! | `error` | `message`: the command could not do its work |
//! | `started` | `command`, `target`, `threads`, `nodes`, `tests` |
//! | `load_started` | `objects`: how many are new |
//! | `load_progress` | `objects`, `of_objects`, `bytes`, `of_bytes` |
//! | `loaded` | `status` (`ok`, `error`), `objects` (each with `object`, `rows`, `rejected`, `batch_id`, `notes`), `failed`, `rows`, `rejected`, `seconds` |
//! | `planned` | one line a node: `action`, `reason` |
//! | `node_started` | |
//! | `node_finished` | `name`, `materialized`, `status` (`built`, `reused`, `nothing_new`, `failed`, `error`, `skipped`, `cancelled`), `because`, `rows`, `added` and `replaced` (of an incremental model, where not all rows were built), `seconds` |
//! | `test_finished` | `test`, `column`, `status` (`pass`, `reused`, `warn`, `fail`, `error`, `skipped`), `severity`, `failures`, `rows`, `message`, `query`, `file`, `line`, `seconds` |
//! | `message` | `level`, `message`: what a template said |
//! | `publishing` | |
//! | `compiled` | `file`: below the folder of compiled SQL |
//! | `not_compiled` | `name`, `reason` |
//! | `heartbeat` | `running`, `done`, `total` |
//! | `finished` | `status` (`published`, `unchanged`, `withheld`, `not_published`, `passed`, `failed`), `release_id`, `reason`, `changed`, `removed`, `models`, `tests`, `seconds` |
//!
//! Fields may be added; a change of meaning raises `v`.

use serde_json::{Value, json};

use crate::cli::LogFormat;
use crate::diagnostic::{Diagnostic, Severity};
use crate::run::event::{Event, LoadOutcome, NodeReport, Observer, Outcome, TestReport};

use super::terminal::Terminal;

/// Writes each event as it comes.
pub struct JsonLog<'a> {
    /// Where to.
    pub terminal: &'a Terminal,
    /// `run` or `test`.
    pub command: &'static str,
}

impl Observer for JsonLog<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Started(started) = &event {
            self.terminal.set_run(started.run_id);
        }
        if self.terminal.format != LogFormat::Json {
            return;
        }
        let log = |name, node: Option<&str>, fields| self.terminal.log(name, node, fields);
        match event {
            Event::Started(started) => {
                log(
                    "started",
                    None,
                    json!({
                        "command": self.command, "target": started.target, "threads": started.threads,
                        "nodes": started.nodes, "tests": started.tests,
                    }),
                );
            }
            Event::LoadStarted { node, objects } => {
                log("load_started", Some(node.as_str()), json!({"objects": objects}));
            }
            Event::LoadProgress { node, progress } => log(
                "load_progress",
                Some(node.as_str()),
                json!({
                    "objects": progress.objects, "of_objects": progress.of_objects,
                    "bytes": progress.bytes, "of_bytes": progress.of_bytes,
                }),
            ),
            Event::Loaded(outcome) => log("loaded", Some(outcome.node.as_str()), loaded(outcome)),
            Event::Planned(nodes) => {
                for planned in nodes {
                    let fields = json!({"action": planned.action.as_str(), "reason": planned.reason});
                    log("planned", Some(planned.node.as_str()), fields);
                }
            }
            Event::NodeStarted { node } => log("node_started", Some(node.as_str()), json!({})),
            Event::NodeFinished(report) => {
                log("node_finished", Some(report.node.as_str()), finished(report));
                self.tests(&report.tests);
            }
            Event::TestsFinished(tests) => self.tests(tests),
            Event::Publishing => log("publishing", None, json!({})),
        }
    }
}

impl JsonLog<'_> {
    fn tests(&self, tests: &[TestReport]) {
        for test in tests {
            let node = test.node.as_ref().map(crate::names::NodeId::as_str);
            self.terminal.log("test_finished", node, tested(test));
        }
    }
}

/// The word for an outcome.
pub fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Built => "built",
        Outcome::Reused => "reused",
        Outcome::NothingNew => "nothing_new",
        Outcome::Error(_) => "error",
        Outcome::Failed => "failed",
        Outcome::Skipped { .. } => "skipped",
        Outcome::Cancelled => "cancelled",
    }
}

/// The fields of a diagnostic.
pub fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let at = diagnostic.primary.as_ref().map(|(at, _)| at);
    let place = at.map(crate::diagnostic::Location::line_col);
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        "code": diagnostic.code,
        "message": diagnostic.message,
        "file": at.map(|at| at.path().to_string_lossy()),
        "line": place.map(|(line, _)| line),
        "column": place.map(|(_, column)| column),
        "help": diagnostic.help,
    })
}

fn loaded(outcome: &LoadOutcome) -> Value {
    let seconds = outcome.elapsed.as_secs_f64();
    match &outcome.result {
        Ok(report) => json!({
            "status": if report.is_complete() { "ok" } else { "error" },
            "objects": report.objects.iter().map(|object| json!({
                "object": object.object, "rows": object.rows, "rejected": object.rejected,
                "batch_id": object.batch_id, "notes": object.notes,
            })).collect::<Vec<_>>(),
            "failed": report.failed.iter().map(|failed| json!({
                "object": failed.object, "reason": failed.reason, "help": failed.help,
            })).collect::<Vec<_>>(),
            "rows": report.rows(), "rejected": report.rejected(), "seconds": seconds,
        }),
        Err(problem) => json!({
            "status": "error", "objects": [], "failed": [diagnostic(problem)], "rows": 0, "rejected": 0,
            "seconds": seconds,
        }),
    }
}

fn finished(report: &NodeReport) -> Value {
    let because = match &report.outcome {
        Outcome::Skipped { because } => json!(because.as_str()),
        Outcome::Error(problem) => diagnostic(problem),
        _ => Value::Null,
    };
    json!({
        "name": report.node.short(), "materialized": report.materialized.as_str(),
        "status": outcome(&report.outcome), "because": because, "rows": report.rows,
        "added": report.change.map(|change| change.added), "replaced": report.change.map(|change| change.replaced),
        "seconds": report.elapsed.as_secs_f64(),
    })
}

fn tested(test: &TestReport) -> Value {
    let (line, _) = test.at.line_col();
    json!({
        "test": test.name, "column": test.column, "status": test.status.as_str(),
        "severity": super::words::severity(test.severity), "failures": test.failures, "rows": test.rows,
        "message": test.message, "query": (!test.query.is_empty()).then_some(&test.query),
        "file": test.at.path().to_string_lossy(), "line": line, "seconds": test.elapsed.as_secs_f64(),
    })
}
