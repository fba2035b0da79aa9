//! Models whose new rows changed nothing: they count as there already, and what was decided below them is decided again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::interval::Intervals;
use crate::manifest::Node;
use crate::names::NodeId;
use crate::run::build::Stands;
use crate::run::event::{Action, RowChange};
use crate::run::increment::LeftOut;
use crate::run::plan::Decision;

use super::Board;

/// How the incremental models of a batch grew.
pub(super) struct Grown {
    /// How their rows changed.
    pub changes: HashMap<NodeId, RowChange>,
    /// Rows that no interval of them takes in.
    pub left_out: HashMap<NodeId, Vec<LeftOut>>,
    /// How long each build took by itself.
    pub elapsed: HashMap<NodeId, Duration>,
    /// Those to which nothing new came.
    pub standing: HashSet<NodeId>,
}

impl Board<'_> {
    /// Turns the decisions for models that stand as they are. Gives the intervals of those.
    pub(super) fn stand(
        &self,
        nodes: &mut [(&Node, Decision)],
        mut stands: HashMap<NodeId, (Stands, Option<u64>)>,
    ) -> HashMap<NodeId, Option<Box<Intervals>>> {
        let mut standing = HashMap::new();
        for (node, decision) in nodes {
            let Some((version, rows)) = stands.remove(&node.id) else { continue };
            decision.action = Action::Reuse;
            decision.fingerprint = version.fingerprint;
            decision.relation = version.relation;
            decision.rows = rows;
            decision.growth = None;
            standing.insert(node.id.clone(), version.intervals);
            // They were decided as if there were new rows.
            let mut state = self.lock();
            for below in self.work.workspace.dag.descendants(&node.id, None) {
                state.done.decisions.remove(&below);
            }
        }
        standing
    }
}
