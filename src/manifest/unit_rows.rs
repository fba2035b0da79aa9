//! The rows of a unit test, each value with its place.

use crate::diagnostic::{Located, Location};

/// Rows that are written down.
#[derive(Debug, Clone)]
pub enum UnitRows {
    /// Values.
    Table(UnitTable),
    /// A query that gives them.
    Sql(Located<String>),
}

/// Values in rows.
#[derive(Debug, Clone, Default)]
pub struct UnitTable {
    /// The columns that are named, in the order of their first use.
    pub columns: Vec<Located<String>>,
    /// The rows.
    pub rows: Vec<Vec<UnitCell>>,
}

/// A value. One that a row does not name is NULL.
#[derive(Debug, Clone)]
pub struct UnitCell {
    /// The value.
    pub value: UnitValue,
    /// Its place; the row's for one that is not written.
    pub at: Location,
}

/// A value before it has its column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitValue {
    /// NULL.
    Null,
    /// Text, to be cast.
    Text(String),
    /// A number, `true` or `false`, as SQL writes it too.
    Plain(String),
    /// A list or a mapping, as JSON.
    Json(String),
}
