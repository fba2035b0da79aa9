//! Columns: what each column of each node is made of and part of, by number.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::compile::Compiled;
use crate::lineage::{ColumnGraph, EdgeKind};
use crate::manifest::Column;
use crate::names::NodeId;

use super::data::{Columns, Shard};
use super::facts::{NodeFacts, Thing};

/// How many nodes a shard covers.
pub const SHARD: u32 = 64;

/// A column: number of the node, place in it.
pub type At = (u32, u32);

/// One column's lineage, one step in each direction.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// What its value is made of.
    pub value: BTreeSet<At>,
    /// What decides it or its rows.
    pub influence: BTreeSet<At>,
    /// What has its value.
    pub value_of: BTreeSet<At>,
    /// What it decides.
    pub influence_of: BTreeSet<At>,
    /// It may come from more.
    pub unknown: bool,
}

/// The lineage of all columns.
#[derive(Debug, Clone, Default)]
pub struct ColumnLineage {
    /// By node, by column.
    pub steps: Vec<Vec<Steps>>,
    /// By node: what influences every column of it, its filters and joins.
    rows: Vec<BTreeSet<At>>,
}

/// Name and type of a node's columns, in their order: as bound, else as declared. What lineage alone knows comes last.
pub fn of(node: &NodeFacts<'_>, compiled: &Compiled, graph: &ColumnGraph) -> Vec<(String, String)> {
    let declared = |columns: &[Column]| -> Vec<(String, String)> {
        let typed = |column: &Column| {
            let data_type = column.data_type.as_ref().map(|found| found.value.clone());
            (column.name.clone(), data_type.unwrap_or_default())
        };
        columns.iter().map(typed).collect()
    };
    let bound = match node.thing {
        Thing::Source(_) => compiled.sources.get(node.id),
        _ => compiled.models.get(node.id).and_then(|model| model.columns.as_ref()),
    };
    let mut columns: Vec<(String, String)> = match (bound, node.thing) {
        (Some(bound), _) => {
            bound.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
        }
        (None, Thing::Source(source)) => declared(&source.columns),
        (None, Thing::Node(model)) => declared(&model.columns),
        (None, Thing::Consumer(_)) => Vec::new(),
    };
    let known: BTreeSet<String> = columns.iter().map(|(name, _)| name.to_lowercase()).collect();
    let more = graph.columns(node.id).map(|column| column.column);
    columns
        .extend(more.filter(|name| !known.contains(&name.to_lowercase())).map(|name| (name, String::new())));
    columns
}

impl ColumnLineage {
    /// By number what the graph has by name.
    pub fn of(graph: &ColumnGraph, nodes: &[NodeFacts<'_>], numbers: &HashMap<NodeId, u32>) -> Self {
        let mut steps: Vec<Vec<Steps>> =
            nodes.iter().map(|node| vec![Steps::default(); node.columns.len()]).collect();
        let places: Vec<HashMap<&str, u32>> = nodes
            .iter()
            .map(|node| node.columns.iter().map(|(name, _)| name.as_str()).zip(0..).collect())
            .collect();
        let find = |column: &crate::lineage::NodeColumn| -> Option<At> {
            let number = *numbers.get(&column.node)?;
            let node = number as usize;
            let place = places[node].get(column.column.as_str()).copied().or_else(|| {
                let same = |(name, _): &(String, String)| name.eq_ignore_ascii_case(&column.column);
                nodes[node].columns.iter().position(same).map(|place| place as u32)
            })?;
            Some((number, place))
        };
        for edge in graph.edges() {
            let (Some(from), Some(to)) = (find(&edge.from), find(&edge.to)) else { continue };
            let is_value = edge.kind == EdgeKind::Value;
            let made = &mut steps[to.0 as usize][to.1 as usize];
            if is_value {
                made.value.insert(from)
            } else {
                made.influence.insert(from)
            };
            let used = &mut steps[from.0 as usize][from.1 as usize];
            if is_value {
                used.value_of.insert(to)
            } else {
                used.influence_of.insert(to)
            };
        }
        for column in graph.unknown() {
            if let Some(at) = find(column) {
                steps[at.0 as usize][at.1 as usize].unknown = true;
            }
        }
        let rows = steps.iter().map(|columns| common(columns)).collect();
        Self { steps, rows }
    }

    /// A column's steps.
    pub fn at(&self, at: At) -> &Steps {
        &self.steps[at.0 as usize][at.1 as usize]
    }

    /// What influences every column of a node: its filters and joins.
    pub fn rows(&self, node: u32) -> &BTreeSet<At> {
        &self.rows[node as usize]
    }

    /// How many files `data/cols` has.
    pub fn shard_count(&self) -> u32 {
        (self.steps.len() as u32).div_ceil(SHARD)
    }

    /// The files of `data/cols`.
    pub fn shards(&self, nodes: &[NodeFacts<'_>]) -> Vec<Shard> {
        let rows = &self.rows;
        let one = |node: u32| {
            let mut columns = Columns { cols: nodes[node as usize].columns.clone(), ..Columns::default() };
            columns.up.extend(rows[node as usize].iter().map(|at| (-1, at.0, at.1, 1)));
            for (steps, place) in self.steps[node as usize].iter().zip(0_u32..) {
                let own = |at: &&At| !rows[node as usize].contains(at);
                columns.up.extend(steps.value.iter().map(|at| (place as i32, at.0, at.1, 0)));
                columns.up.extend(steps.influence.iter().filter(own).map(|at| (place as i32, at.0, at.1, 1)));
                columns.down.extend(steps.value_of.iter().map(|at| (place, at.0, at.1 as i32, 0)));
                let mut whole: BTreeSet<u32> = BTreeSet::new();
                for at in &steps.influence_of {
                    match rows[at.0 as usize].contains(&(node, place)) {
                        true if !whole.insert(at.0) => {}
                        true => columns.down.push((place, at.0, -1, 1)),
                        false => columns.down.push((place, at.0, at.1 as i32, 1)),
                    }
                }
                if steps.unknown {
                    columns.unknown.push(place);
                }
            }
            columns
        };
        let mut shards: BTreeMap<u32, Shard> = BTreeMap::new();
        for node in 0..self.steps.len() as u32 {
            shards.entry(node / SHARD).or_default().insert(node, one(node));
        }
        shards.into_values().collect()
    }
}

/// What influences each of some columns.
fn common(columns: &[Steps]) -> BTreeSet<At> {
    let Some(first) = columns.first().filter(|_| columns.len() > 1) else { return BTreeSet::new() };
    let all = |at: &&At| columns.iter().all(|steps| steps.influence.contains(at));
    first.influence.iter().filter(all).copied().collect()
}
