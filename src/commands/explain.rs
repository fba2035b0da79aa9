//! `kiln run --explain`: what would be done with each model, and why. Builds nothing.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::error::Result;
use crate::run::event::{Event, Observer, PlannedNode};
use crate::run::{self, RunOptions};
use crate::workspace::Workspace;

use super::Exit;
use super::terminal::Terminal;

/// Prints the plan.
pub fn explain(terminal: &Terminal, workspace: &Workspace, options: &RunOptions) -> Result<Exit> {
    let keeper = PlanKeeper::default();
    run::run(workspace, options, &keeper, &AtomicBool::new(false))?;
    let plan = keeper.take();
    if terminal.format == crate::cli::LogFormat::Json {
        let lines: String = plan
            .iter()
            .map(|planned| {
                let fields = json!({
                    "v": super::terminal::LOG_VERSION, "at": super::words::now(), "run_id": null, "event": "planned",
                    "node": planned.node, "action": planned.action.as_str(), "reason": planned.reason,
                });
                format!("{fields}\n")
            })
            .collect();
        terminal.data(&lines)?;
        return Ok(Exit::Fine);
    }
    let width = plan.iter().map(|planned| planned.node.short().chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{:<width$}  {:<6}  why\n", "model", "action");
    for planned in &plan {
        let name = planned.node.short();
        text += &format!("{name:<width$}  {:<6}  {}\n", planned.action.as_str(), planned.reason);
    }
    terminal.data(&text)?;
    Ok(Exit::Fine)
}

/// Keeps the plan of a run that builds nothing.
#[derive(Default)]
struct PlanKeeper(Mutex<Vec<PlannedNode>>);

impl PlanKeeper {
    fn take(self) -> Vec<PlannedNode> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for PlanKeeper {
    fn event(&self, event: Event<'_>) {
        if let Event::Planned(nodes) = event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = nodes.to_vec();
        }
    }
}
