//! Refusals: what is wrong with an incremental model, its new rows or the shape of its table, in the user's words.

use crate::diagnostic::{Diagnostic, Location};
use crate::engine::explain::lowered;
use crate::engine::increment::shape::{Difference, find};
use crate::engine::increment::{VERSION_COLUMN, quoted};
use crate::engine::session::{ColumnType, SqlError};
use crate::interval::told;
use crate::manifest::{Node, Strategy, is_name};
use crate::run::build::{Failure, explain};
use crate::run::candidate::Bound;
use crate::sql::quote::{identifier, identifiers};
use crate::template::Window;

use super::fill::Filled;
use super::make::Making;

/// Most keys that a message names.
const NAMED_KEYS: usize = 3;

impl Making<'_> {
    /// What is said of intervals that failed.
    pub(super) fn failed(&self, filled: Option<&Filled>) -> Option<Box<Diagnostic>> {
        let (filled, Strategy::Interval(config)) = (filled?, &self.config.strategy) else { return None };
        let (_, first) = filled.failed.first()?;
        let failed: Vec<Window> = filled.failed.iter().map(|(window, _)| window.clone()).collect();
        let kept = match filled.built.len() {
            0 => String::new(),
            built => format!("; the other {built} are kept for the next run"),
        };
        let message = format!("{} ({} failed{kept})", first.message, told(config.grain, &failed));
        Some(Box::new(Diagnostic { message, ..(**first).clone() }))
    }

    pub(super) fn told(&self, error: SqlError, bound: &Bound) -> Failure {
        if error.is_interrupt() || error.is_machine() {
            return Failure::Sql(error);
        }
        Failure::Node(Box::new(explain(&error, 0, bound, &self.job.decision.rendered, self.job.node)))
    }

    /// The key must be among the columns, and no column may have Kiln's own name.
    pub(super) fn check_columns(&self, columns: &[ColumnType]) -> Result<(), Failure> {
        let node = self.job.node;
        let named = |key: &&String| find(columns, key).is_none();
        if let Some(key) = self.config.unique_key.iter().find(named) {
            return Err(Failure::Node(Box::new(no_such_key(node, key, columns))));
        }
        if columns.iter().any(|column| column.name.to_lowercase().starts_with(VERSION_COLUMN)) {
            let message =
                format!("`{}` did not build: `{VERSION_COLUMN}` is a column of kiln's own", node.name);
            let diagnostic = Diagnostic::error("column-reserved", message).at(&node.at, "");
            return Err(Failure::Node(Box::new(diagnostic.help("give the column another name"))));
        }
        Ok(())
    }

    /// A merge with two new rows for one key has no result: DuckDB refuses it where the key is there, and doubles it
    /// where it is not.
    pub(super) fn check_keys(&self, table: &str) -> Result<(), Failure> {
        if self.config.strategy != Strategy::Merge {
            return Ok(());
        }
        let keys = &self.config.unique_key;
        let columns = identifiers(keys);
        let given: Vec<String> = keys.iter().map(|key| format!("{} IS NOT NULL", identifier(key))).collect();
        let shown: Vec<String> =
            keys.iter().map(|key| format!("CAST({} AS VARCHAR)", identifier(key))).collect();
        let doubled = self.session.rows(&format!(
            "SELECT {}, count(*)::VARCHAR FROM {} WHERE {} GROUP BY {columns} HAVING count(*) > 1 \
             ORDER BY {columns} LIMIT {NAMED_KEYS}",
            shown.join(", "),
            quoted(table),
            given.join(" AND "),
        ))?;
        if doubled.is_empty() {
            return Ok(());
        }
        let named = doubled.iter().map(|row| {
            let key = keys
                .iter()
                .zip(row)
                .map(|(key, value)| format!("{key} = {}", value.as_deref().unwrap_or("NULL")));
            let count = row.last().and_then(Option::as_deref).unwrap_or_default();
            format!("{} ({count} rows)", key.collect::<Vec<_>>().join(", "))
        });
        let named = named.collect::<Vec<_>>().join("; ");
        let node = self.job.node;
        let message = format!("`{}` did not build: new rows have the same `unique_key`: {named}", node.name);
        let by = keys.join(", ");
        Err(Failure::Node(Box::new(
            Diagnostic::error("duplicate-key", message).at(&said(node, "unique_key"), "").help(format!(
                "keep one row of each key, such as with `qualify row_number() over (partition by {by} order by ... desc) = 1`"
            )),
        )))
    }

    pub(super) fn other_shape(&self, difference: &str) -> Diagnostic {
        let node = self.job.node;
        let message = format!("`{}` did not build: its columns changed: {difference}", node.name);
        Diagnostic::error("schema-change", message).at(&said(node, "on_schema_change"), "").help(
            "write `on_schema_change='append_new_columns'` or `'sync_all_columns'`, or run with `--full-refresh`",
        )
    }

    /// A value that does not fit, where a column has another type than in the table: that is why.
    pub(super) fn retyped(&self, failure: Failure, there: &[ColumnType], new: &[ColumnType]) -> Failure {
        let Failure::Node(problem) = failure else { return failure };
        let types = Difference::between(there, new).types;
        if problem.code != "sql-data" || types.is_empty() {
            return Failure::Node(problem);
        }
        let told =
            types.iter().map(|(name, old, new)| format!("`{name}` is {new} now and {old} in the table"));
        let what_to_do = match self.job.node.config.snapshot {
            Some(_) => {
                "cast it in the snapshot's query, or give it another name there: history keeps its types"
            }
            None => {
                "cast it in the model, write `on_schema_change='sync_all_columns'`, or run with `--full-refresh`"
            }
        };
        let told = told.collect::<Vec<_>>().join("; ");
        Failure::Node(Box::new(problem.help(told).help(what_to_do)))
    }

    /// A statement of Kiln's own failed that holds the user's `incremental_predicates`.
    pub(super) fn narrowing(&self, error: SqlError) -> Failure {
        let has_own_sql = !self.config.predicates.is_empty() || self.config.computed_key.is_some();
        if error.is_interrupt() || error.is_machine() || !has_own_sql {
            return Failure::Sql(error);
        }
        let node = self.job.node;
        if let Some(key) = self.config.computed_key.as_ref().filter(|_| self.config.predicates.is_empty()) {
            return Failure::Node(Box::new(no_such_expression(node, key, &error)));
        }
        let message =
            format!("the `incremental_predicates` of `{}` do not work: {}", node.name, error.sentence());
        Failure::Node(Box::new(
            Diagnostic::error("incremental-predicates", message)
                .at(&said(node, "incremental_predicates"), "")
                .help(
                    "call the rows that are there `DBT_INTERNAL_DEST` and the new ones `DBT_INTERNAL_SOURCE`",
                ),
        ))
    }

    pub(super) fn not_copied(&self, error: SqlError) -> Failure {
        if error.is_interrupt() || error.is_machine() {
            return Failure::Sql(error);
        }
        let node = self.job.node;
        let message = format!("`{}` did not build: rows that are there do not fit: {error}", node.name);
        Failure::Node(Box::new(
            Diagnostic::error("schema-change", message)
                .at(&said(node, "on_schema_change"), "")
                .help("run with `--full-refresh`, or give the column another name"),
        ))
    }
}

/// What is wrong with a `unique_key` that is not a column.
pub fn no_such_key(node: &Node, key: &str, columns: &[ColumnType]) -> Diagnostic {
    let message = format!("the `unique_key` `{key}` is not a column of `{}`", node.name);
    let diagnostic = Diagnostic::error("unique-key", message).at(&said(node, "unique_key"), "");
    match is_name(key) {
        true => diagnostic
            .suggest(key, columns.iter().map(|column| column.name.as_str()))
            .help("a key of several columns is a list: `unique_key=['a', 'b']`"),
        false => diagnostic.help(
            "give the model a column of it; alone and with `incremental_strategy='delete+insert'` an expression is a key too",
        ),
    }
}

/// What is wrong with a `unique_key` that is an expression.
pub fn no_such_expression(node: &Node, key: &str, error: &SqlError) -> Diagnostic {
    let message =
        format!("the `unique_key` `{key}` of `{}` does not work: {}", node.name, lowered(error.sentence()));
    Diagnostic::error("unique-key", message)
        .at(&said(node, "unique_key"), "")
        .help("it is computed from the model's own columns; a key of several columns is a list: `unique_key=['a', 'b']`")
}

/// Where a template says a setting, else where the model is described.
pub(super) fn said(node: &Node, key: &str) -> Location {
    match node.file.text.find(key) {
        Some(at) => Location::new(&node.file, at..at + key.len()),
        None => node.at.clone(),
    }
}
