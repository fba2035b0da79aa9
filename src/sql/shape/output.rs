//! The output of an operator: the digests of its columns, and which rows there are.

use std::collections::BTreeSet;

use serde_json::Value;

use super::digest::{Digest, hash};

/// Which rows there are: what they come from, all with all, and what must hold of them, in any order. An inner join is
/// no more than that: which side is which, and whether its condition stands in ON or in WHERE, leaves no trace.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) bases: Vec<Digest>,
    pub(super) filters: BTreeSet<Digest>,
    pub(super) seen: Seen,
}

/// Whether something was computed over all rows: what is filtered afterwards is another thing than what was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Each,
    ByWindow,
}

impl Rows {
    pub(super) fn of(base: Digest) -> Self {
        Self { bases: vec![base], filters: BTreeSet::new(), seen: Seen::Each }
    }

    /// The rows as they come into a filter or a join.
    pub(super) fn open(self) -> Self {
        match self.seen {
            Seen::Each => self,
            Seen::ByWindow => Self::of(hash("windowed", [&self.settled()])),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        let (mut all, other) = (self.open(), other.open());
        all.bases.extend(other.bases);
        all.bases.sort_unstable();
        all.filters.extend(other.filters);
        all
    }

    pub(super) fn settled(&self) -> Digest {
        match (self.bases.as_slice(), self.filters.is_empty()) {
            ([base], true) => *base,
            (bases, _) => hash("filtered", [&hash("bases", bases), &hash("filters", &self.filters)]),
        }
    }
}

/// The output of an operator.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) columns: Vec<Digest>,
    pub(super) rows: Rows,
    /// The order that rows come in, where one was asked for.
    pub(super) order: Option<Digest>,
    /// Columns that no two rows share.
    pub(super) key: Option<Vec<usize>>,
}

impl Output {
    pub(super) fn new(columns: Vec<Digest>, rows: Rows) -> Self {
        Self { columns, rows, order: None, key: None }
    }

    /// The columns that a projection map keeps; an empty one keeps all.
    pub(super) fn project(mut self, map: Option<&Value>) -> Result<Self, String> {
        let Some(map) = map.and_then(Value::as_array).filter(|map| !map.is_empty()) else { return Ok(self) };
        let mut kept = Vec::with_capacity(map.len());
        for position in map {
            let position = position.as_u64().and_then(|at| usize::try_from(at).ok());
            kept.push(position.filter(|at| *at < self.columns.len()).ok_or("a projection map out of range")?);
        }
        self.key = moved(self.key, |old| kept.iter().position(|at| *at == old));
        self.columns = kept.iter().map(|at| self.columns[*at]).collect();
        Ok(self)
    }
}

pub(super) fn moved(key: Option<Vec<usize>>, to: impl Fn(usize) -> Option<usize>) -> Option<Vec<usize>> {
    key?.into_iter().map(to).collect()
}
