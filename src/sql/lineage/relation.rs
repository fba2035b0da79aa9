//! A relation: what an operator of the plan gives to the one above it.

use serde_json::Value;

use super::deps::{Deps, Kind};

/// DuckDB keeps the outer rows of a correlated subquery in a CTE, computes the subquery for each different key among them,
/// and joins the two again. The query did not ask for that grouping, nor for that join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Delim {
    /// None, as far as can be told.
    #[default]
    No,
    /// A column of the outer rows.
    Outer,
    /// A key for which the subquery is computed.
    Key,
}

/// One column of an operator's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Column {
    /// What it comes from.
    pub deps: Deps,
    /// Table index and position, by which the input of a table function is referred to.
    pub binding: Option<(u64, u64)>,
    /// Its part in a join of a correlated subquery.
    pub delim: Delim,
    /// A list whose length the data does not change.
    pub fixed: bool,
}

impl Column {
    /// A column with nothing but its dependencies.
    pub fn new(deps: Deps) -> Self {
        Self { deps, ..Self::default() }
    }

    /// A column of the same content under another operator's binding.
    pub fn bound(mut self, table: Option<u64>, position: usize) -> Self {
        self.binding = table.map(|table| (table, position as u64));
        self
    }
}

/// An operator's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Relation {
    pub columns: Vec<Column>,
    /// What decides which rows there are: influences only.
    pub rows: Deps,
    /// The keys of a GROUP BY, which decide over rows unless the groups are grouped again by some of them.
    pub grouping: Deps,
    /// What the rows are sorted by: no influence until something depends on the order.
    pub order: Deps,
    /// Positions of columns that together are a key; empty if there is at most one row.
    pub key: Option<Vec<usize>>,
}

impl Relation {
    /// Adds what decides over rows.
    pub fn filter(&mut self, deps: &Deps) {
        self.rows.add(deps, Kind::Influence);
    }

    /// The relation with its grouping counted among what decides over rows.
    pub fn settled(mut self) -> Self {
        let grouping = std::mem::take(&mut self.grouping);
        self.filter(&grouping);
        self
    }

    /// The columns of a projection map; an empty or missing one keeps all.
    pub fn project(mut self, map: Option<&Value>) -> Result<Self, String> {
        let Some(map) = map.and_then(Value::as_array).filter(|map| !map.is_empty()) else { return Ok(self) };
        let mut kept = Vec::with_capacity(map.len());
        for position in map {
            let position = position.as_u64().and_then(|at| usize::try_from(at).ok());
            kept.push(position.filter(|at| *at < self.columns.len()).ok_or("a projection map out of range")?);
        }
        self.key = self.key.and_then(|key| moved(&key, |old| kept.iter().position(|at| *at == old)));
        self.columns = kept.iter().map(|at| self.columns[*at].clone()).collect();
        Ok(self)
    }
}

/// A key whose columns moved, or none if one of them is gone.
pub(super) fn moved(key: &[usize], to: impl Fn(usize) -> Option<usize>) -> Option<Vec<usize>> {
    key.iter().map(|old| to(*old)).collect()
}
