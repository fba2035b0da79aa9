//! Limits on how much a model's rows may change from one release to the next: `audit:` in its configuration.

use serde_json::Value;

use super::{Manifest, TestKind};
use crate::diagnostic::Location;
use crate::names::NodeId;

/// How much may change.
#[derive(Debug, Clone, PartialEq)]
pub struct RowLimits {
    /// `max_changed_rows`.
    pub changed: Option<Limit>,
    /// `max_added_rows`.
    pub added: Option<Limit>,
    /// `max_removed_rows`.
    pub removed: Option<Limit>,
    /// `row_count_change`, up or down.
    pub row_count: Option<Limit>,
    /// Where it is said.
    pub at: Location,
}

/// A number of rows, or a part of the rows before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Rows.
    Rows(u64),
    /// Of a hundred rows before.
    Percent(f64),
}

impl Limit {
    /// Whether so many rows of so many before are more than that.
    pub fn is_passed(self, rows: u64, before: u64) -> bool {
        match self {
            Self::Rows(most) => rows > most,
            // Of nothing, every row is too many for any percentage but that would fail each first load.
            Self::Percent(_) if before == 0 => false,
            Self::Percent(most) => rows as f64 * 100.0 > most * before as f64,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Manifest {
    /// The columns that tell a node's rows apart: the contract's primary key, `unique_key`, or a column or columns with a
    /// test that says so. Empty if nothing says it.
    pub fn key_of(&self, id: &NodeId) -> Vec<String> {
        if let Some(contract) = self.contracts.get(id) {
            let key = contract.primary_key();
            if !key.is_empty() {
                return key.iter().map(|property| property.column.value.clone()).collect();
            }
        }
        let texts = |value: &Value| -> Vec<String> {
            match value {
                Value::String(text) => vec![text.clone()],
                Value::Array(items) => {
                    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
                }
                _ => Vec::new(),
            }
        };
        if let Some(key) = self.nodes.get(id).and_then(|node| node.config.all.get("unique_key")) {
            let key = texts(key);
            if !key.is_empty() && key.iter().all(|key| super::is_name(key)) {
                return key;
            }
        }
        let of_node = self.tests.values().filter(|test| test.node.as_ref() == Some(id));
        let mut found: Option<Vec<String>> = None;
        for test in of_node.filter(|test| test.config.where_clause.is_none()) {
            let TestKind::Generic { name, args } = &test.kind else { continue };
            let key = match (name.rsplit('.').next().unwrap_or(name), &test.column) {
                ("unique", Some(column)) => vec![column.clone()],
                ("unique_combination_of_columns", _) => {
                    args.get("combination_of_columns").map(texts).unwrap_or_default()
                }
                _ => continue,
            };
            if !key.is_empty() && found.as_ref().is_none_or(|known| key.len() < known.len()) {
                found = Some(key);
            }
        }
        found.unwrap_or_default()
    }
}
