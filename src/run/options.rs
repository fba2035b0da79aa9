//! Options: what a run is asked to do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::land::Which;
use super::plan::Refresh;
use crate::diff::{Finding, Rule};
use crate::names::NodeId;
use crate::template::Window;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Nodes to build and tests to run. Everything of the project, unless it was selected.
    pub selected: BTreeSet<NodeId>,
    /// Whether it is everything: then models that the project no longer has are taken from the readers.
    pub scope: Scope,
    /// Builds anew what exists.
    pub refresh: Refresh,
    /// The window of time that models built by intervals do again (`--from`, `--to`).
    pub window: Option<Window>,
    /// Which objects raw models load.
    pub load: Which,
    /// What is published when something failed.
    pub policy: Policy,
    /// How long to wait for a database that another process holds.
    pub patience: Duration,
    /// Changes that break promises and are published all the same.
    pub allow: Vec<Allowed>,
}

/// A change that may break promises, in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Of which rule.
    pub rule: Rule,
    /// Of which model.
    pub model: String,
}

impl Allowed {
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule && self.model == finding.model
    }
}

/// Whether a run is of the whole project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// What was selected.
    Part,
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// All or nothing.
    Whole,
    /// What does not depend on a failure (`--partial`).
    Partial,
    /// Nothing (`--no-publish`).
    Nothing,
    /// Nothing is even built: the plan is made and shown (`--explain`).
    Plan,
}
