//! `kiln run --explain`: what would be done with each model, and why. Builds nothing.

use std::sync::atomic::AtomicBool;

use serde_json::json;

use crate::error::Result;
use crate::run::{self, RunOptions};
use crate::workspace::Workspace;

use super::Exit;
use super::run::PlanKeeper;
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
                    "v": super::json_log::VERSION, "at": super::words::now(), "run_id": null, "event": "planned",
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
