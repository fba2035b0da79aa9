//! Origins: which of a side's changes were made where they show, and which only came down from what is read.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, top};
use super::ground::Ground;
use super::rule::Rule;
use super::schema;
use super::view::{ModelView, View};
use crate::error::Result;
use crate::names::NodeId;

/// The changes of one node.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// Its id on the base side.
    pub before: NodeIdOr,
    /// The changes, each with whether it began here.
    pub changes: Vec<(Change, Origin)>,
}

/// The id on the base side, where it is another one.
pub(super) type NodeIdOr = Option<NodeId>;

/// Where a change began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// In this node's own text, contract or declaration.
    Own,
    /// In something that it reads.
    Inherited,
}

/// All changes by node, under the ids of the proposal, or of the base for what is gone.
pub(super) type Deltas = BTreeMap<NodeId, Delta>;

/// A change of another node that a change brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Affected {
    /// Where it shows.
    pub node: NodeId,
    /// Which of its changes.
    pub change: usize,
    /// The nodes between, nearest to the cause first.
    pub via: Vec<NodeId>,
}

/// A change by its node and its number there.
pub(super) type Key = (NodeId, usize);

/// Both sides, with their grounds.
pub(super) struct Sides<'a> {
    pub base: &'a View,
    pub proposed: &'a View,
    pub before: &'a Ground<'a>,
    pub after: &'a Ground<'a>,
    /// New ids by old ones, of nodes that were renamed.
    pub renamed: &'a BTreeMap<NodeId, NodeId>,
}

impl Sides<'_> {
    /// What a node of the base is called in the proposal.
    pub fn now<'n>(&'n self, id: &'n NodeId) -> &'n NodeId {
        self.renamed.get(id).unwrap_or(id)
    }

    /// Tells for each change of a model's columns whether it began there: the new query is bound on the old ground, and
    /// what does not show there came from below.
    pub fn origins(
        &self,
        old: &ModelView,
        new: &ModelView,
        changes: &[Change],
        renames: &schema::Renames,
    ) -> Result<Vec<Origin>> {
        let is_query = !new.sql.is_empty();
        if old.own == new.own && is_query {
            return Ok(vec![Origin::Inherited; changes.len()]);
        }
        if !is_query || changes.is_empty() {
            return Ok(vec![Origin::Own; changes.len()]);
        }
        let Ok(mut bound) = self.before.bind(&new.sql)? else {
            return Ok(vec![Origin::Own; changes.len()]);
        };
        // What only a table makes of a type: a column of NULLs becomes INTEGER.
        for column in &mut bound {
            if column.data_type.trim_matches('"') == "NULL" {
                let known = new.columns.iter().flatten().find(|known| known.name == column.name);
                column.data_type =
                    known.map_or_else(|| "INTEGER".to_owned(), |known| known.data_type.clone());
            }
        }
        let own = schema::columns(&new.name, old.columns.as_deref().unwrap_or_default(), &bound, renames);
        let is_own = |change: &Change| {
            own.iter()
                .any(|own| own.rule == change.rule && own.column == change.column && own.new == change.new)
        };
        Ok(changes
            .iter()
            .map(|change| if is_own(change) { Origin::Own } else { Origin::Inherited })
            .collect())
    }

    /// The changes that a change came from, each with the nodes on the way up; none if it cannot be told.
    pub fn roots(&self, deltas: &Deltas, key: &Key) -> Result<Vec<(Key, Vec<NodeId>)>> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut work = vec![(key.clone(), Vec::new())];
        while let Some((at, way)) = work.pop() {
            if !seen.insert(at.clone()) {
                continue;
            }
            for parent in self.causes(deltas, &at)? {
                let (_, origin) = &deltas[&parent.0].changes[parent.1];
                if *origin == Origin::Own {
                    found.push((parent, way.clone()));
                } else {
                    let mut way = way.clone();
                    way.insert(0, parent.0.clone());
                    work.push((parent, way));
                }
            }
        }
        found.sort();
        found.dedup_by(|a, b| a.0 == b.0);
        Ok(found)
    }

    /// The changes one step up.
    fn causes(&self, deltas: &Deltas, (node, number): &Key) -> Result<Vec<Key>> {
        let delta = &deltas[node];
        let (change, _) = &delta.changes[*number];
        let Some(column) = change.column.as_deref() else { return Ok(Vec::new()) };
        let adds = matches!(change.rule, Rule::ColumnAdded | Rule::RequiredColumnAdded)
            && !column.contains(['.', '[']);
        let (ground, id) = match adds {
            true => (self.after, node),
            false => (self.before, delta.before.as_ref().unwrap_or(node)),
        };
        let lineage = ground.lineage(id)?;
        let output = lineage.columns.iter().find(|output| output.output.eq_ignore_ascii_case(top(column)));
        let mut causes = Vec::new();
        for read in output.into_iter().flat_map(|output| &output.value) {
            let Some(parent) = ground.owner(&read.table) else { continue };
            let parent = if adds { parent } else { self.now(parent) };
            let Some(delta) = deltas.get(parent) else { continue };
            for (at, (change, _)) in delta.changes.iter().enumerate() {
                if is_schema(change.rule)
                    && change.top().is_some_and(|top| top.eq_ignore_ascii_case(&read.column))
                {
                    causes.push((parent.clone(), at));
                }
            }
        }
        Ok(causes)
    }
}

/// Whether a rule is about columns as they are, which come down from what is read.
pub(super) fn is_schema(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::ColumnRemoved
            | Rule::ColumnRenamed
            | Rule::ColumnAdded
            | Rule::RequiredColumnAdded
            | Rule::TypeWidened
            | Rule::TypeNarrowed
            | Rule::TypeChanged
            | Rule::AcceptedValueRemoved
            | Rule::AcceptedValueAdded
            | Rule::OrderChanged
    )
}
