//! Column lineage: which columns of tables make each column of a query, read from DuckDB's bound plan.
//!
//! The plan is what `json_serialize_plan(sql, optimize := false)` prints: names are resolved, stars, macros and views are
//! expanded, correlated subqueries are joins. The format belongs to DuckDB 2.0.0, so nothing here trusts it: what is not
//! understood becomes `unknown`, and nothing is left out in silence. The decisions:
//! - **value**: the column's content is handed on or computed with. `coalesce`, THEN and ELSE are value; so are a list
//!   and what a lambda takes along, and both sides of UNION and INTERSECT.
//! - **influence** of a column: it decides which value, not what it is made of. CASE's WHEN, an aggregate's FILTER and
//!   ORDER BY, a window's PARTITION BY, ORDER BY and frame, the offset of `lag`, the second argument of `arg_max`, the
//!   condition of `list_filter`, EXISTS.
//! - **rows**: it decides which rows there are, and so influences every output. WHERE, HAVING, QUALIFY, ON and USING,
//!   SEMI and ANTI joins, GROUP BY, DISTINCT, ORDER BY under a LIMIT, the other side of EXCEPT, the list of an unnest.
//! - A join that can neither drop nor repeat rows (a scalar subquery, a LEFT JOIN on all group keys of its right side)
//!   influences only the columns that it brings. An aggregate without groups always has one row, so that what chose its
//!   input influences only its own columns.
//! - ORDER BY alone is no influence; neither are constants, `now()` or `random()`.

mod deps;
mod expression;
mod get;
mod join;
mod operator;
mod relation;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::names;

pub(super) use expression::takes_order;

/// A column of a table, as the plan names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableColumn {
    /// The table that is scanned.
    pub table: Arc<names::Relation>,
    /// Its column, in the spelling of the table.
    pub column: String,
}

/// What one output column comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnLineage {
    /// The output's name.
    pub output: String,
    /// Columns whose content is in it.
    pub value: BTreeSet<TableColumn>,
    /// Columns that decide which value it gets, apart from [`Lineage::rows`].
    pub influence: BTreeSet<TableColumn>,
    /// There may be more than the two sets say.
    pub unknown: bool,
}

/// What the columns of one query come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// One for each output, in order.
    pub columns: Vec<ColumnLineage>,
    /// Columns that decide which rows there are: an influence on every output.
    pub rows: BTreeSet<TableColumn>,
    /// Tables that are read, those without an edge too (`count(*)`).
    pub tables: BTreeSet<names::Relation>,
    /// Why something is unknown, for people.
    pub reasons: BTreeSet<String>,
}

impl Lineage {
    /// Nothing is known, for a reason.
    pub fn unknown(outputs: &[String], reason: impl Into<String>) -> Self {
        let unknown =
            |output: &String| ColumnLineage { output: output.clone(), unknown: true, ..Default::default() };
        Self {
            columns: outputs.iter().map(unknown).collect(),
            reasons: BTreeSet::from([reason.into()]),
            ..Self::default()
        }
    }

    /// Everything that influences an output: its own influences and those on every row.
    pub fn influences<'a>(&'a self, column: &'a ColumnLineage) -> BTreeSet<&'a TableColumn> {
        column.influence.iter().chain(&self.rows).collect()
    }
}

/// The names and types of a query's outputs, where its plan tells them: that of `SELECT * FROM (…)` does, as long as the
/// types are plain ones. DuckDB's own spelling of a nested type depends on more than its plan shows.
pub fn outputs_of(plan: &Value) -> Option<Vec<(String, String)>> {
    let root = plan.get("plans")?.as_array()?.first()?;
    if root.get("type")?.as_str()? != "LOGICAL_PROJECTION" {
        return None;
    }
    let output = |expression: &Value| {
        let is_handed_on = expression.get("type")?.as_str()? == "BOUND_REF";
        let name = expression.get("alias")?.as_str().filter(|name| is_handed_on && !name.is_empty())?;
        Some((name.to_owned(), type_name(expression.get("return_type")?)?))
    };
    root.get("expressions")?.as_array()?.iter().map(output).collect()
}

/// DuckDB's spelling of a plain type.
fn type_name(json: &Value) -> Option<String> {
    const PLAIN: [&str; 21] = [
        "TIMESTAMP WITH TIME ZONE",
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
        "FLOAT",
        "DOUBLE",
        "VARCHAR",
        "BLOB",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "INTERVAL",
        "UUID",
    ];
    let id = json.get("id")?.as_str()?;
    let Some(info) = json.get("type_info") else {
        return match id {
            "NULL" => Some("\"NULL\"".into()),
            id => PLAIN.contains(&id).then(|| id.to_owned()),
        };
    };
    let known = |members: &[&str]| {
        info.as_object().is_some_and(|info| info.keys().all(|key| members.contains(&key.as_str())))
    };
    match (id, info.get("type")?.as_str()?) {
        ("DECIMAL", "DECIMAL_TYPE_INFO") if known(&["type", "width", "scale"]) => {
            // A scale of nothing may be left out.
            let scale = info.get("scale").map_or(Some(0), Value::as_u64)?;
            Some(format!("DECIMAL({},{scale})", info.get("width")?.as_u64()?))
        }
        ("LIST", "LIST_TYPE_INFO") if known(&["type", "child_type"]) => {
            Some(format!("{}[]", type_name(info.get("child_type")?)?))
        }
        ("VARCHAR", "GENERIC_TYPE_INFO") if known(&["type", "alias"]) => {
            (info.get("alias")?.as_str()? == "JSON").then(|| "JSON".into())
        }
        _ => None,
    }
}

/// The lineage of a query from its bound plan and the names of its outputs, in order.
pub fn of_plan(plan: &Value, outputs: &[String]) -> Lineage {
    match operator::Walk::new().query(plan, outputs) {
        Ok(lineage) => lineage,
        Err(reason) => Lineage::unknown(outputs, reason),
    }
}
