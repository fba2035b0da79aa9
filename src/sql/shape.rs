//! The shape of a query: what each output is computed from and which rows there are, free of how it is written.
//!
//! It is read from DuckDB's bound plan, where stars are expanded, names are resolved and types are spelled one way.
//! References are followed through subqueries and common table expressions down to the tables, so that an alias, a CTE's
//! name or their order leave no trace. Two queries of one shape give the same data; two shapes may still do so, since
//! nothing is proved about expressions that are written in another way.

mod digest;
mod expression;
mod operator;
mod output;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use digest::Digest;
use operator::Walk;

/// What a clause does to the rows of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clause {
    /// A table or a table function that is read.
    Table,
    /// WHERE, HAVING, QUALIFY.
    Filter,
    /// A join with its kind and condition.
    Join,
    /// GROUP BY.
    Grouping,
    /// DISTINCT.
    Distinct,
    /// UNION, EXCEPT, INTERSECT.
    Combination,
    /// LIMIT, with the order that it cuts.
    Limit,
    /// An unnested list.
    Unnest,
    /// A sample, a pivot, a recursion.
    Other,
}

impl Clause {
    /// How a sentence names it: `its filter`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Table => "tables",
            Self::Filter => "filter",
            Self::Join => "joins",
            Self::Grouping => "grouping",
            Self::Distinct => "DISTINCT",
            Self::Combination => "set operation",
            Self::Limit => "limit",
            Self::Unnest => "unnesting",
            Self::Other => "row source",
        }
    }
}

/// The shape of a query. Two are equal if their columns and rows are: in which clause a condition stands is no difference.
#[derive(Debug, Clone)]
pub struct Shape {
    /// One for each output, in order.
    pub columns: Vec<Digest>,
    /// Which rows there are.
    pub rows: Digest,
    /// What decides that, clause by clause.
    pub clauses: BTreeMap<Clause, BTreeSet<Digest>>,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        (&self.columns, self.rows) == (&other.columns, other.rows)
    }
}

impl Eq for Shape {}

impl Shape {
    /// The clauses in which two shapes differ.
    pub fn different_clauses(&self, other: &Self) -> Vec<Clause> {
        let kinds: BTreeSet<Clause> = self.clauses.keys().chain(other.clauses.keys()).copied().collect();
        kinds.into_iter().filter(|kind| self.clauses.get(kind) != other.clauses.get(kind)).collect()
    }
}

/// The shape of a plan that was parsed with its types. `table` names a scanned table by its schema and name, so that a
/// table that only moved stays itself.
///
/// # Errors
/// Something in the plan is not understood; the words say what.
pub fn of_plan(plan: &Value, table: &dyn Fn(&str, &str) -> String) -> Result<Shape, String> {
    if plan.get("error").and_then(Value::as_bool) == Some(true) {
        return Err("duckdb gives no plan".into());
    }
    let root = match plan.get("plans").and_then(Value::as_array).map(Vec::as_slice) {
        Some([root]) => root,
        _ => return Err("not one statement".into()),
    };
    let mut walk = Walk::new(table);
    let found = walk.operator(root)?;
    Ok(Shape { rows: found.rows.settled(), columns: found.columns, clauses: walk.clauses })
}
