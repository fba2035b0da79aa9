//! What new rows take the place of: conditions between the rows that are there and those that come.
//!
//! In SQL of users the rows that are there are called `DBT_INTERNAL_DEST` and the new ones `DBT_INTERNAL_SOURCE`, as in
//! dbt. Keys are compared with `=`: a row whose key is NULL replaces nothing and is never replaced, as in dbt.

use crate::manifest::{Incremental, Strategy};
use crate::sql::quote::{identifier, identifiers, literal};
use crate::template::Window;

/// dbt's name for the rows that are there.
const THERE: &str = "DBT_INTERNAL_DEST";

/// dbt-duckdb's other name for them.
const THERE_TOO: &str = "DBT_INCREMENTAL_TARGET";

/// dbt's name for the new rows.
const NEW: &str = "DBT_INTERNAL_SOURCE";

/// What new rows take the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaces {
    /// Nothing: they are added.
    Nothing,
    /// Rows with the same key.
    Keys {
        /// The columns of the key.
        columns: Vec<String>,
        /// SQL that narrows it.
        predicates: Vec<String>,
        /// What the predicates can name.
        sight: Sight,
    },
    /// Rows for which an expression has the same value.
    Computed {
        /// The expression.
        key: String,
        /// SQL that narrows it.
        predicates: Vec<String>,
    },
    /// All rows of these windows.
    Windows {
        /// The column that holds the time.
        column: String,
        /// The windows, not overlapping.
        windows: Vec<Window>,
        /// SQL that narrows it.
        predicates: Vec<String>,
    },
}

/// What `incremental_predicates` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Both sides, as in the condition of a MERGE.
    Both,
    /// The rows that are there, as in the condition of a DELETE.
    There,
}

impl Replaces {
    /// What the configuration says. `windows` are those that are built, for intervals.
    pub fn of(config: &Incremental, windows: &[Window]) -> Self {
        let keys = |sight| match config.unique_key.is_empty() {
            true => Self::Nothing,
            false => Self::Keys {
                columns: config.unique_key.clone(),
                predicates: config.predicates.clone(),
                sight,
            },
        };
        match &config.strategy {
            Strategy::Append => Self::Nothing,
            Strategy::Merge => keys(Sight::Both),
            Strategy::DeleteInsert => match &config.computed_key {
                Some(key) => Self::Computed { key: key.clone(), predicates: config.predicates.clone() },
                None => keys(Sight::There),
            },
            Strategy::Interval(interval) => Self::Windows {
                column: interval.event_time.clone(),
                windows: windows.to_vec(),
                predicates: config.predicates.clone(),
            },
        }
    }

    /// The query for those of `from` that rows of `delta` replace; nothing where nothing is replaced.
    pub fn replaced(&self, from: &str, delta: &str, select: &str) -> Option<String> {
        let there = self.there();
        Some(match self {
            Self::Nothing => return None,
            Self::Keys { columns, predicates, sight: Sight::Both } => format!(
                "SELECT {select} FROM {from} AS {there} SEMI JOIN {delta} AS {NEW} ON {}",
                both(there, columns, predicates)
            ),
            Self::Keys { columns, predicates, sight: Sight::There } if predicates.is_empty() => format!(
                "SELECT {select} FROM {from} AS {there} SEMI JOIN {delta} AS {NEW} ON {}",
                both(there, columns, predicates)
            ),
            _ => format!("SELECT {select} FROM {from} AS {there} WHERE {}", self.condition(delta)),
        })
    }

    /// The query for those of `from` that stay.
    pub fn kept(&self, from: &str, delta: &str, select: &str) -> String {
        let there = self.there();
        match self {
            Self::Nothing => format!("SELECT {select} FROM {from}"),
            Self::Keys { columns, predicates, sight } if *sight == Sight::Both || predicates.is_empty() => {
                format!(
                    "SELECT {select} FROM {from} AS {there} ANTI JOIN {delta} AS {NEW} ON {}",
                    both(there, columns, predicates)
                )
            }
            // A condition that is NULL keeps the row, as it does in a DELETE.
            _ => format!(
                "SELECT {select} FROM {from} AS {there} WHERE ({}) IS NOT TRUE",
                self.condition(delta)
            ),
        }
    }

    /// The statement that takes out of a table all that is replaced, where `undo` holds it already; nothing where only
    /// the predicates, which may read any column and any clock, can tell.
    pub(super) fn take_out(&self, table: &str, undo: &str) -> Option<String> {
        match self {
            Self::Keys { predicates, .. }
            | Self::Computed { predicates, .. }
            | Self::Windows { predicates, .. }
                if !predicates.is_empty() =>
            {
                None
            }
            Self::Computed { key, .. } => Some(format!("DELETE FROM {table} WHERE {}", computed(key, undo))),
            Self::Nothing => Some(format!("DELETE FROM {table} WHERE FALSE")),
            // The keys in `undo` are fewer than those of the new rows. By one column it costs a third of a join by two.
            Self::Keys { columns, .. } => {
                let columns = identifiers(columns);
                Some(format!("DELETE FROM {table} WHERE ({columns}) IN (SELECT {columns} FROM {undo})"))
            }
            Self::Windows { column, windows, .. } => {
                Some(format!("DELETE FROM {table} WHERE {}", Self::in_windows(column, windows)))
            }
        }
    }

    /// The windows as a condition on the rows of a query.
    pub fn in_windows(column: &str, windows: &[Window]) -> String {
        let column = identifier(column);
        let each = windows.iter().map(|window| {
            format!(
                "({column} >= TIMESTAMP {} AND {column} < TIMESTAMP {})",
                literal(&window.start),
                literal(&window.end)
            )
        });
        let each: Vec<String> = each.collect();
        match each.is_empty() {
            true => "FALSE".to_owned(),
            false => each.join(" OR "),
        }
    }

    fn condition(&self, delta: &str) -> String {
        let there = self.there();
        match self {
            Self::Nothing => "FALSE".to_owned(),
            Self::Keys { columns, predicates, .. } => {
                let equal = both(there, columns, &[]);
                format!("EXISTS (SELECT 1 FROM {delta} AS {NEW} WHERE {equal}){}", also(predicates))
            }
            Self::Computed { key, predicates } => {
                format!("{}{}", computed(key, &format!("{delta} AS {NEW}")), also(predicates))
            }
            Self::Windows { column, windows, predicates } => {
                format!("({}){}", Self::in_windows(column, windows), also(predicates))
            }
        }
    }

    fn there(&self) -> &'static str {
        let predicates = match self {
            Self::Nothing => &[][..],
            Self::Keys { predicates, .. }
            | Self::Computed { predicates, .. }
            | Self::Windows { predicates, .. } => predicates,
        };
        let named = |text: &String| text.to_uppercase().contains(THERE_TOO);
        if predicates.iter().any(named) { THERE_TOO } else { THERE }
    }
}

/// That an expression has a value that it has for a row of `from` too. On lines of its own: it may end in a comment.
fn computed(key: &str, from: &str) -> String {
    format!("((\n{key}\n) IN (SELECT (\n{key}\n) FROM {from}))")
}

fn both(there: &str, columns: &[String], predicates: &[String]) -> String {
    let equal = columns.iter().map(|column| {
        let column = identifier(column);
        format!("{there}.{column} = {NEW}.{column}")
    });
    let equal: Vec<String> = equal.collect();
    format!("({}){}", equal.join(" AND "), also(predicates))
}

/// Each on lines of its own: a predicate may end in a comment.
fn also(predicates: &[String]) -> String {
    predicates.iter().map(|predicate| format!(" AND (\n{predicate}\n)")).collect()
}
