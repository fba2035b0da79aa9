//! Dependencies: sets of table columns by kind, kept as small numbers while a plan is walked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::TableColumn;
use crate::names;

/// Numbers of interned table columns.
pub(super) type Set = BTreeSet<u32>;

/// In what way something is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    Influence,
}

/// What an expression depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Deps {
    pub value: Set,
    pub influence: Set,
    pub unknown: bool,
}

impl Deps {
    /// Of nothing that can be told.
    pub fn unknown() -> Self {
        Self { unknown: true, ..Self::default() }
    }

    /// The content of one column.
    pub fn of(column: u32) -> Self {
        Self { value: Set::from([column]), ..Self::default() }
    }

    /// Adds what another depends on; as an influence, both of its sets become one.
    pub fn add(&mut self, other: &Deps, kind: Kind) {
        let values = match kind {
            Kind::Value => &mut self.value,
            Kind::Influence => &mut self.influence,
        };
        values.extend(&other.value);
        self.influence.extend(&other.influence);
        self.unknown |= other.unknown;
    }
}

/// Table columns by number.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Vec<TableColumn>,
    numbers: HashMap<TableColumn, u32>,
}

impl Names {
    /// The number of a column.
    pub fn number(&mut self, table: &Arc<names::Relation>, column: &str) -> u32 {
        let name = TableColumn { table: Arc::clone(table), column: column.to_owned() };
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.known.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The columns of a set of numbers.
    pub fn columns(&self, set: &Set) -> BTreeSet<TableColumn> {
        set.iter().filter_map(|number| self.known.get(*number as usize)).cloned().collect()
    }
}
