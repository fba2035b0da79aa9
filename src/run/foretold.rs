//! Foretold: what a plan says of files that would be loaded first. Nothing is loaded for a plan, so what follows from them
//! is not known yet.

use std::collections::BTreeSet;

use crate::names::NodeId;
use crate::words::counted;

use super::Context;
use super::event::{Action, PlannedNode};
use super::land::raw_models;

impl Context<'_> {
    /// Says of a plan what files would be loaded first: what follows from them is not known yet.
    pub(super) fn foretell(&self, nodes: &BTreeSet<NodeId>, planned: &mut [PlannedNode]) {
        let landing = self.landing();
        for raw in raw_models(self.workspace, nodes) {
            // What is wrong with its files is told when they are loaded.
            let Ok(files) = landing.waiting(raw) else { continue };
            let below = self.workspace.dag.descendants(&raw.id, None);
            let files_told = counted(files as u64, "file", "files");
            for plan in planned.iter_mut() {
                if plan.node == raw.id {
                    plan.reason = match files {
                        0 => "raw: nothing is new at its source".to_owned(),
                        _ => format!("raw: takes in {files_told}"),
                    };
                } else if files > 0 && below.contains(&plan.node) {
                    let first = format!("`{}` takes in {files_told} first", raw.name);
                    match plan.action {
                        Action::Reuse => {
                            plan.action = Action::Later;
                            plan.reason = first;
                        }
                        Action::Build => plan.reason = format!("{}; {first}", plan.reason),
                        _ => {}
                    }
                }
            }
        }
    }
}
