//! The graph of a manifest: who reads whom, among models, seeds, sources, tests and consumers.
//!
//! Every order it gives is the same for the same manifest.

mod select;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

pub use self::select::{fqn, fqn_of, select};
use crate::manifest::Manifest;
use crate::names::NodeId;

/// A directed graph without cycles, from what is read to what reads it.
#[derive(Debug, Clone)]
pub struct Dag {
    graph: DiGraph<NodeId, ()>,
    index: BTreeMap<NodeId, NodeIndex>,
}

impl Dag {
    /// The graph of everything in a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let nodes = manifest.nodes.values().map(|node| (&node.id, node.depends_on.as_slice()));
        let sources = manifest.sources.keys().map(|id| (id, [].as_slice()));
        let tests = manifest.tests.values().map(|test| (&test.id, test.depends_on.as_slice()));
        let exposures =
            manifest.exposures.values().map(|exposure| (&exposure.id, exposure.depends_on.as_slice()));
        let all: Vec<_> = nodes.chain(sources).chain(tests).chain(exposures).collect();
        let mut graph = DiGraph::with_capacity(all.len(), all.len() * 2);
        let index: BTreeMap<NodeId, NodeIndex> =
            all.iter().map(|(id, _)| ((*id).clone(), graph.add_node((*id).clone()))).collect();
        for (id, depends_on) in all {
            for dependency in depends_on {
                if let (Some(from), Some(to)) = (index.get(&dependency.node), index.get(id)) {
                    graph.update_edge(*from, *to, ());
                }
            }
        }
        Self { graph, index }
    }

    /// How many nodes there are, those in a cycle too.
    pub fn count(&self) -> usize {
        self.graph.node_count()
    }

    /// Every node after all that it reads; among equals the smaller id first.
    pub fn topological(&self) -> Vec<NodeId> {
        let mut waiting: Vec<usize> = self
            .graph
            .node_indices()
            .map(|node| self.graph.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        let ready = |node: NodeIndex| Reverse((&self.graph[node], node));
        let mut heap: BinaryHeap<_> =
            self.graph.node_indices().filter(|node| waiting[node.index()] == 0).map(ready).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(Reverse((id, node))) = heap.pop() {
            order.push(id.clone());
            for child in self.graph.neighbors_directed(node, Direction::Outgoing) {
                waiting[child.index()] -= 1;
                if waiting[child.index()] == 0 {
                    heap.push(ready(child));
                }
            }
        }
        order
    }

    /// What a node reads.
    pub fn parents(&self, id: &NodeId) -> BTreeSet<NodeId> {
        self.neighbours(id, Direction::Incoming)
    }

    /// What reads a node.
    pub fn children(&self, id: &NodeId) -> BTreeSet<NodeId> {
        self.neighbours(id, Direction::Outgoing)
    }

    /// Whether one node is read by another, at whatever distance.
    pub fn is_upstream(&self, above: &NodeId, below: &NodeId) -> bool {
        match (self.index.get(above), self.index.get(below)) {
            (Some(above), Some(below)) => {
                petgraph::algo::has_path_connecting(&self.graph, *above, *below, None)
            }
            _ => false,
        }
    }

    /// Everything above a node, up to a number of steps; without the node.
    pub fn ancestors(&self, id: &NodeId, steps: Option<usize>) -> BTreeSet<NodeId> {
        self.reach([id], Direction::Incoming, steps)
    }

    /// Everything below a node, up to a number of steps; without the node.
    pub fn descendants(&self, id: &NodeId, steps: Option<usize>) -> BTreeSet<NodeId> {
        self.reach([id], Direction::Outgoing, steps)
    }

    /// Everything above any of several nodes; these only where they are above each other.
    pub(crate) fn above<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a NodeId>,
        steps: Option<usize>,
    ) -> BTreeSet<NodeId> {
        self.reach(ids, Direction::Incoming, steps)
    }

    /// Everything below any of several nodes; these only where they are below each other.
    pub(crate) fn below<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a NodeId>,
        steps: Option<usize>,
    ) -> BTreeSet<NodeId> {
        self.reach(ids, Direction::Outgoing, steps)
    }

    fn neighbours(&self, id: &NodeId, direction: Direction) -> BTreeSet<NodeId> {
        let Some(node) = self.index.get(id) else { return BTreeSet::new() };
        self.graph.neighbors_directed(*node, direction).map(|other| self.graph[other].clone()).collect()
    }

    fn reach<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a NodeId>,
        direction: Direction,
        steps: Option<usize>,
    ) -> BTreeSet<NodeId> {
        let mut seen = vec![false; self.graph.node_count()];
        let mut queue: VecDeque<(NodeIndex, usize)> =
            ids.into_iter().filter_map(|id| self.index.get(id)).map(|node| (*node, 0)).collect();
        let mut found = BTreeSet::new();
        while let Some((node, depth)) = queue.pop_front() {
            if steps.is_some_and(|steps| depth >= steps) {
                continue;
            }
            for next in self.graph.neighbors_directed(node, direction) {
                if !std::mem::replace(&mut seen[next.index()], true) {
                    found.insert(self.graph[next].clone());
                    queue.push_back((next, depth + 1));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
