//! Column lineage of a whole project: what each column of each node comes from, followed over nodes.
//!
//! Pure: each node's [`Lineage`] comes in, edges between columns of nodes go out. Nothing is lost on the way: where a node's
//! own lineage is unknown, whatever its parents hold may be in it, and both directions say so.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value, json};

use crate::names::{NodeId, Relation};
use crate::sql::lineage::{Lineage, TableColumn};

/// A column of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeColumn {
    /// The model, seed, source or exposure.
    pub node: NodeId,
    /// Its column.
    pub column: String,
}

impl NodeColumn {
    /// A column of a node.
    pub fn new(node: &NodeId, column: impl Into<String>) -> Self {
        Self { node: node.clone(), column: column.into() }
    }
}

/// `curated_orders.amount`, `api.orders.amount`; a consumer's is called by what it reads: `board.revenue.amount`.
impl fmt::Display for NodeColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node.short(), self.column)
    }
}

/// How a column takes part in another, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// Its content is in it.
    Value,
    /// It decides which value or which rows there are.
    Influence,
    /// It may be one of the two, or nothing.
    Unknown,
}

impl EdgeKind {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Influence => "influence",
            Self::Unknown => "unknown",
        }
    }
}

/// One column's part in another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The column that is read.
    pub from: NodeColumn,
    /// The column that is made.
    pub to: NodeColumn,
    /// Never unknown in a graph, where such columns are listed apart.
    pub kind: EdgeKind,
}

/// A direction to follow edges in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what a column comes from.
    Upstream,
    /// To what is made of it.
    Downstream,
}

/// What a node's columns come from.
#[derive(Debug, Clone, Default)]
struct Node {
    parents: BTreeSet<NodeId>,
    columns: BTreeSet<String>,
}

/// The columns of a project and the edges between them.
#[derive(Debug, Clone, Default)]
pub struct ColumnGraph {
    nodes: BTreeMap<NodeId, Node>,
    edges: BTreeSet<Edge>,
    unknown: BTreeSet<NodeColumn>,
}

/// What is found from one column on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The strongest way in which each column is reached; the start is not among them.
    pub columns: BTreeMap<NodeColumn, EdgeKind>,
    /// The edges on the way.
    pub edges: BTreeSet<Edge>,
    /// Columns on the way whose own lineage is unknown.
    pub unknown: BTreeSet<NodeColumn>,
}

impl ColumnGraph {
    /// No nodes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node without lineage: a source, a seed.
    pub fn add_source(&mut self, node: &NodeId, columns: impl IntoIterator<Item = String>) {
        self.nodes.entry(node.clone()).or_default().columns.extend(columns);
    }

    /// Adds a node with what its query reads. `parents` are the nodes that it refers to; `node_of` tells whose table a
    /// relation is. A column from a table that is no node's makes an output unknown.
    pub fn add<'l>(
        &mut self,
        node: &NodeId,
        lineage: &'l Lineage,
        parents: impl IntoIterator<Item = NodeId>,
        node_of: impl Fn(&Relation) -> Option<NodeId>,
    ) {
        let entry = self.nodes.entry(node.clone()).or_default();
        entry.parents.extend(parents);
        entry.parents.extend(lineage.tables.iter().filter_map(&node_of));
        entry.columns.extend(lineage.columns.iter().map(|column| column.output.clone()));
        // The many edges of a query come from a few tables.
        let mut owners: Vec<(&Relation, Option<NodeId>)> = Vec::new();
        for column in &lineage.columns {
            let to = NodeColumn::new(node, &column.output);
            let mut unknown = column.unknown;
            let mut edge = |from: &'l TableColumn, kind| {
                let known = owners.iter().find(|(table, _)| std::ptr::eq(*table, &*from.table));
                let owner = match known {
                    Some((_, owner)) => owner.clone(),
                    None => {
                        let owner = node_of(&from.table);
                        owners.push((&from.table, owner.clone()));
                        owner
                    }
                };
                match owner {
                    Some(parent) => {
                        let from = NodeColumn { node: parent, column: from.column.clone() };
                        self.edges.insert(Edge { from, to: to.clone(), kind });
                    }
                    None => unknown = true,
                }
            };
            column.value.iter().for_each(|from| edge(from, EdgeKind::Value));
            lineage.influences(column).into_iter().for_each(|from| edge(from, EdgeKind::Influence));
            if unknown {
                self.unknown.insert(to);
            }
        }
    }

    /// Adds a consumer that is known by the columns it reads, not by a query.
    pub fn add_reader(&mut self, reader: &NodeId, reads: impl IntoIterator<Item = NodeColumn>) {
        for from in reads {
            let entry = self.nodes.entry(reader.clone()).or_default();
            entry.parents.insert(from.node.clone());
            let name = format!("{}.{}", from.node.short(), from.column);
            entry.columns.insert(name.clone());
            self.edges.insert(Edge { to: NodeColumn::new(reader, name), from, kind: EdgeKind::Value });
        }
    }

    /// A node's column by the name that a person wrote, in any case.
    pub fn find(&self, node: &NodeId, column: &str) -> Option<NodeColumn> {
        let columns = &self.nodes.get(node)?.columns;
        let found =
            columns.get(column).or_else(|| columns.iter().find(|c| c.eq_ignore_ascii_case(column)))?;
        Some(NodeColumn::new(node, found))
    }

    /// A node's columns, by name.
    pub fn columns(&self, node: &NodeId) -> impl Iterator<Item = NodeColumn> {
        let columns = self.nodes.get(node).map(|node| node.columns.clone()).unwrap_or_default();
        columns.into_iter().map(|column| NodeColumn::new(node, column))
    }

    /// All edges, in order.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter()
    }

    /// Columns that may come from more than their edges say.
    pub fn unknown(&self) -> impl Iterator<Item = &NodeColumn> {
        self.unknown.iter()
    }

    /// What can be reached from some columns in so many steps from node to node, or in any number of them.
    pub fn reach(
        &self,
        start: impl IntoIterator<Item = NodeColumn>,
        direction: Direction,
        depth: Option<usize>,
    ) -> Reach {
        let steps = self.steps(direction);
        let mut reach = Reach::default();
        let mut seen = BTreeSet::new();
        let mut work: VecDeque<(NodeColumn, EdgeKind, usize)> = VecDeque::new();
        for column in start {
            seen.insert((column.clone(), EdgeKind::Value));
            work.push_back((column, EdgeKind::Value, 0));
        }
        let start: BTreeSet<NodeColumn> = work.iter().map(|(column, _, _)| column.clone()).collect();
        while let Some((at, way, far)) = work.pop_front() {
            if self.unknown.contains(&at) {
                reach.unknown.insert(at.clone());
            }
            if depth.is_some_and(|depth| far >= depth) {
                continue;
            }
            for (next, kind) in steps.get(&at).into_iter().flatten() {
                if *kind != EdgeKind::Unknown {
                    let (from, to) = match direction {
                        Direction::Upstream => (next.clone(), at.clone()),
                        Direction::Downstream => (at.clone(), next.clone()),
                    };
                    reach.edges.insert(Edge { from, to, kind: *kind });
                }
                let way = way.max(*kind);
                if !start.contains(next) {
                    let strongest = reach.columns.entry(next.clone()).or_insert(way);
                    *strongest = (*strongest).min(way);
                }
                if seen.insert((next.clone(), way)) {
                    work.push_back((next.clone(), way, far + 1));
                }
            }
        }
        reach
    }

    /// Where one step leads from each column.
    fn steps(&self, direction: Direction) -> HashMap<NodeColumn, Vec<(NodeColumn, EdgeKind)>> {
        let mut steps: HashMap<NodeColumn, Vec<(NodeColumn, EdgeKind)>> = HashMap::new();
        let mut step = |from: &NodeColumn, to: &NodeColumn, kind| {
            let (at, next) = match direction {
                Direction::Upstream => (to, from),
                Direction::Downstream => (from, to),
            };
            steps.entry(at.clone()).or_default().push((next.clone(), kind));
        };
        for edge in &self.edges {
            step(&edge.from, &edge.to, edge.kind);
        }
        for to in &self.unknown {
            for parent in self.nodes.get(&to.node).into_iter().flat_map(|node| &node.parents) {
                self.columns(parent).for_each(|from| step(&from, to, EdgeKind::Unknown));
            }
        }
        steps
    }

    /// `{"edges": [{"from", "to", "kind"}], "unknown": [...]}`.
    pub fn to_json(&self) -> Value {
        to_json(self.edges.iter(), self.unknown.iter())
    }
}

impl Reach {
    /// Adds what was found in the other direction.
    pub fn extend(&mut self, other: Self) {
        for (column, kind) in other.columns {
            let strongest = self.columns.entry(column).or_insert(kind);
            *strongest = (*strongest).min(kind);
        }
        self.edges.extend(other.edges);
        self.unknown.extend(other.unknown);
    }

    /// The same form as [`ColumnGraph::to_json`].
    pub fn to_json(&self) -> Value {
        to_json(self.edges.iter(), self.unknown.iter())
    }

    /// A Mermaid flowchart: a box for each node, a full arrow for a value, a dotted one for an influence.
    pub fn to_mermaid(&self) -> String {
        let mut numbers: BTreeMap<&NodeColumn, usize> = BTreeMap::new();
        let ends = self.edges.iter().flat_map(|edge| [&edge.from, &edge.to]);
        for column in ends.chain(self.columns.keys()).chain(&self.unknown) {
            numbers.insert(column, 0);
        }
        let mut boxes: BTreeMap<&NodeId, Vec<&NodeColumn>> = BTreeMap::new();
        for (at, (column, number)) in numbers.iter_mut().enumerate() {
            *number = at;
            boxes.entry(&column.node).or_default().push(column);
        }
        let mut text = String::from("flowchart LR\n");
        for (at, (node, columns)) in boxes.iter().enumerate() {
            text.push_str(&format!("  subgraph n{at}[\"{}\"]\n", mermaid_label(node.short())));
            for column in columns {
                let mark = if self.unknown.contains(*column) { " ?" } else { "" };
                text.push_str(&format!(
                    "    c{}[\"{}{mark}\"]\n",
                    numbers[column],
                    mermaid_label(&column.column)
                ));
            }
            text.push_str("  end\n");
        }
        for edge in &self.edges {
            let arrow = if edge.kind == EdgeKind::Value { "-->" } else { "-.->" };
            text.push_str(&format!("  c{} {arrow} c{}\n", numbers[&edge.from], numbers[&edge.to]));
        }
        text
    }
}

fn to_json<'a>(
    edges: impl Iterator<Item = &'a Edge>,
    unknown: impl Iterator<Item = &'a NodeColumn>,
) -> Value {
    json!({
        "edges": edges.map(|edge| json!(edge)).collect::<Vec<_>>(),
        "unknown": unknown.map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// As text right away: of a large project, the tree of JSON values is many times larger than the text.
impl Serialize for ColumnGraph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct("ColumnGraph", 2)?;
        whole.serialize_field("edges", &self.edges)?;
        whole.serialize_field("unknown", &self.unknown)?;
        whole.end()
    }
}

impl Serialize for Edge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut edge = serializer.serialize_struct("Edge", 3)?;
        edge.serialize_field("from", &self.from)?;
        edge.serialize_field("to", &self.to)?;
        edge.serialize_field("kind", self.kind.as_str())?;
        edge.end()
    }
}

impl Serialize for NodeColumn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Mermaid reads text in quotes as HTML, with `#` for its own entities.
pub fn mermaid_label(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "#quot;".to_owned(),
        '#' => "#35;".to_owned(),
        '<' => "#lt;".to_owned(),
        '>' => "#gt;".to_owned(),
        '&' => "#amp;".to_owned(),
        '`' => "#96;".to_owned(),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests;
