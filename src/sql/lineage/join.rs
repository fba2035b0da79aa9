//! Joins: two inputs side by side, and what their conditions decide.

use serde_json::Value;

use super::deps::{Deps, Kind};
use super::expression::as_reference;
use super::operator::{Walk, Walked};
use super::relation::{Column, Delim, Relation};
use crate::sql::plan::{index, list};

/// The conditions of a join.
#[derive(Debug, Default)]
struct Conditions {
    /// What they depend on, all of them as one influence.
    all: Deps,
    /// What the query itself compares; the answer of an `IN` is computed from it.
    compared: Deps,
    /// Where a correlated subquery meets its outer rows.
    correlated: Deps,
    /// Positions on the right side that must equal something on the left.
    equal: Vec<usize>,
}

impl Walk {
    pub fn join(&mut self, node: &Value, kind: &str) -> Walked<Relation> {
        let [left, right] = self.children(node)?;
        let conditions = self.conditions(node, &left, &right)?;
        let (left_map, right_map) = (node.get("left_projection_map"), node.get("right_projection_map"));
        let join_type = node.get("join_type").and_then(Value::as_str).unwrap_or("INNER");
        let at_most_one =
            right.key.as_ref().is_some_and(|key| key.iter().all(|at| conditions.equal.contains(at)));
        match (kind, join_type) {
            ("LOGICAL_POSITIONAL_JOIN", _) => {
                // The n-th rows of both sides meet, so that their order decides.
                let mut order = left.order.clone();
                order.add(&right.order, Kind::Influence);
                let mut joined = both(left, right, &conditions.all);
                joined.filter(&order);
                Ok(joined)
            }
            (_, "MARK") => {
                let mut mark = conditions.compared;
                mark.add(&conditions.correlated, Kind::Influence);
                mark.add(&right.rows, Kind::Influence);
                let mark = Column::new(mark).bound(index(node, "mark_index"), 0);
                let mut left = left.project(left_map)?;
                left.columns.push(mark);
                Ok(left)
            }
            (_, "SINGLE") => Ok(attached(left.project(left_map)?, right, right_map, &conditions.all)?),
            (_, "LEFT") if at_most_one => {
                attached(left.project(left_map)?, right, right_map, &conditions.all)
            }
            (_, "SEMI" | "ANTI") => {
                let mut left = left.project(left_map)?;
                left.filter(&conditions.all);
                left.filter(&right.rows);
                Ok(left)
            }
            (_, "RIGHT_SEMI" | "RIGHT_ANTI") => {
                let mut right = right.project(right_map)?;
                right.filter(&conditions.all);
                right.filter(&left.rows);
                Ok(right)
            }
            (_, "INNER" | "LEFT" | "RIGHT" | "OUTER" | "FULL") => {
                Ok(both(left.project(left_map)?, right.project(right_map)?, &conditions.all))
            }
            (_, other) => Err(format!("the join type {other} of duckdb's plan is not known")),
        }
    }

    fn conditions(&mut self, node: &Value, left: &Relation, right: &Relation) -> Walked<Conditions> {
        let mut found = Conditions::default();
        if let Some(condition) = node.get("condition").filter(|condition| !condition.is_null()) {
            let columns: Vec<Column> = left.columns.iter().chain(&right.columns).cloned().collect();
            let deps = self.deps(condition, &columns)?;
            found.all.add(&deps, Kind::Influence);
            found.compared.add(&deps, Kind::Value);
        }
        for condition in list(node, "conditions") {
            let (Some(one), Some(other)) = (condition.get("left"), condition.get("right")) else {
                return Err("a join condition without two sides".into());
            };
            let comparison = condition.get("comparison").and_then(Value::as_str).unwrap_or_default();
            let sides = (as_reference(one, &left.columns), as_reference(other, &right.columns));
            if let (Some((at, _)), "COMPARE_EQUAL" | "COMPARE_NOT_DISTINCT_FROM") = (sides.1, comparison) {
                found.equal.push(at);
            }
            // DuckDB joins a correlated subquery to its outer rows by NOT DISTINCT FROM; the rest was written.
            let by_duckdb = comparison == "COMPARE_NOT_DISTINCT_FROM";
            if by_duckdb && matches!(sides, (Some((_, one)), Some((_, other))) if is_key(one, other)) {
                continue;
            }
            for (side, columns) in [(one, &left.columns), (other, &right.columns)] {
                let deps = self.deps(side, columns)?;
                found.all.add(&deps, Kind::Influence);
                if by_duckdb {
                    found.correlated.add(&deps, Kind::Influence);
                } else {
                    found.compared.add(&deps, Kind::Value);
                }
            }
        }
        Ok(found)
    }
}

/// Whether a correlated subquery's key only meets itself. A table that is correlated with itself is another matter.
fn is_key(one: &Column, other: &Column) -> bool {
    let by_duckdb = matches!(
        (one.delim, other.delim),
        (Delim::Key, Delim::Key) | (Delim::Outer, Delim::Key) | (Delim::Key, Delim::Outer)
    );
    by_duckdb && one.deps.value == other.deps.value
}

/// Both sides' columns, in rows on which both and the conditions decide.
fn both(left: Relation, right: Relation, conditions: &Deps) -> Relation {
    let mut joined = left;
    joined.columns.extend(right.columns);
    joined.filter(&right.rows);
    joined.filter(conditions);
    joined.key = None;
    joined
}

/// The left side's rows as they are, with columns from the right side that had to be found.
fn attached(
    mut left: Relation,
    mut right: Relation,
    right_map: Option<&Value>,
    conditions: &Deps,
) -> Walked<Relation> {
    for column in &mut right.columns {
        column.deps.add(conditions, Kind::Influence);
        column.deps.add(&right.rows, Kind::Influence);
    }
    left.columns.extend(right.project(right_map)?.columns);
    Ok(left)
}
