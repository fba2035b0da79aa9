//! How a snapshot keeps history: the configuration of dbt's snapshots, with its keys and meanings.

use serde_json::Value;

use super::config::Reader;
use super::{Incremental, OnChange, ShapeChange, Strategy, Updates};
use crate::diagnostic::Diagnostic;

/// How a snapshot keeps history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `unique_key`: columns or expressions that say which row is which.
    pub unique_key: Vec<String>,
    /// `strategy`.
    pub strategy: SnapshotStrategy,
    /// `hard_deletes`.
    pub hard_deletes: HardDeletes,
    /// `dbt_valid_to_current`: SQL for the end of what is valid still; NULL if nothing is said.
    pub valid_to_current: Option<String>,
    /// What dbt's columns are called.
    pub names: SnapshotNames,
}

/// `strategy`: how a changed row is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotStrategy {
    /// By a column that says when it changed.
    Timestamp {
        /// `updated_at`.
        updated_at: String,
    },
    /// By its values.
    Check {
        /// `check_cols`; empty means all.
        columns: Vec<String>,
        /// `updated_at`, if a column says it all the same.
        updated_at: Option<String>,
    },
}

/// `hard_deletes`: what becomes of rows that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HardDeletes {
    /// They stay valid.
    Ignore,
    /// They end.
    Invalidate,
    /// They end, and a row says that they are deleted.
    NewRecord,
}

/// Names of the columns that a snapshot adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotNames {
    /// `dbt_scd_id`.
    pub scd_id: String,
    /// `dbt_updated_at`.
    pub updated_at: String,
    /// `dbt_valid_from`.
    pub valid_from: String,
    /// `dbt_valid_to`.
    pub valid_to: String,
    /// `dbt_is_deleted`.
    pub is_deleted: String,
}

/// Keys that steer a snapshot alone; `unique_key` is among those of incremental models.
pub(super) const KEYS: [&str; 9] = [
    "check_cols",
    "dbt_valid_to_current",
    "hard_deletes",
    "invalidate_hard_deletes",
    "snapshot_meta_column_names",
    "strategy",
    "target_database",
    "target_schema",
    "updated_at",
];

const META: [&str; 5] = ["dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_is_deleted"];

impl Snapshot {
    /// How its table grows: rows with the same `dbt_scd_id` are replaced, and no refresh ever begins it anew.
    pub(super) fn growth(&self) -> Incremental {
        Incremental {
            strategy: Strategy::DeleteInsert,
            computed_key: None,
            unique_key: vec![self.names.scd_id.clone()],
            predicates: Vec::new(),
            updates: Updates::All,
            on_schema_change: ShapeChange::Append,
            on_change: OnChange::Forward,
            full_refresh: Some(false),
        }
    }
}

/// Reads and checks the configuration of a snapshot.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Snapshot> {
    let unique_key = reader.texts("unique_key");
    if unique_key.is_empty() {
        needs(reader, "unique_key", "say which columns tell its rows apart: `unique_key: id`");
    }
    let updated_at = reader.text("updated_at");
    let strategy = match reader.text("strategy").as_deref() {
        Some("timestamp") => match updated_at {
            Some(updated_at) => Some(SnapshotStrategy::Timestamp { updated_at }),
            None => {
                let help = "name the column that says when a row changed: `updated_at: changed_at`";
                needs(reader, "updated_at", help);
                None
            }
        },
        Some("check") => {
            let columns = reader.texts("check_cols");
            match columns.as_slice() {
                [] => {
                    needs(reader, "check_cols", "write `check_cols: all`, or a list of columns");
                    None
                }
                [all] if all == "all" => Some(SnapshotStrategy::Check { columns: Vec::new(), updated_at }),
                _ => Some(SnapshotStrategy::Check { columns, updated_at }),
            }
        }
        Some(_) => {
            reader.wrong_value("strategy", "`timestamp` or `check`");
            None
        }
        None => {
            needs(reader, "strategy", "write `strategy: timestamp` or `strategy: check`");
            None
        }
    };
    let hard_deletes = match (reader.text("hard_deletes").as_deref(), reader.bool("invalidate_hard_deletes"))
    {
        (Some("ignore"), _) | (None, None | Some(false)) => HardDeletes::Ignore,
        (Some("invalidate"), _) | (None, Some(true)) => HardDeletes::Invalidate,
        (Some("new_record"), _) => HardDeletes::NewRecord,
        (Some(_), _) => {
            reader.wrong_value("hard_deletes", "`ignore`, `invalidate` or `new_record`");
            HardDeletes::Ignore
        }
    };
    let names = names(reader);
    let valid_to_current = reader.text("dbt_valid_to_current");
    (!unique_key.is_empty()).then_some(())?;
    Some(Snapshot { unique_key, strategy: strategy?, hard_deletes, valid_to_current, names })
}

fn needs(reader: &mut Reader<'_>, key: &str, help: &str) {
    let message = format!("this snapshot needs `{key}`");
    let help = help.to_owned();
    reader.problem(key, |said| Diagnostic::error("snapshot-config", message).at(&said.at, "").help(help));
}

fn names(reader: &mut Reader<'_>) -> SnapshotNames {
    let given = reader.object("snapshot_meta_column_names");
    for name in given.keys().filter(|name| !META.contains(&name.as_str())) {
        let message = format!("a snapshot has no column `{name}` that could be renamed");
        reader.problem("snapshot_meta_column_names", |said| {
            Diagnostic::error("snapshot-config", message)
                .at(&said.at, "")
                .suggest(name, META)
                .help(format!("its columns are: {}", META.join(", ")))
        });
    }
    let name = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or(key).to_owned();
    SnapshotNames {
        scd_id: name("dbt_scd_id"),
        updated_at: name("dbt_updated_at"),
        valid_from: name("dbt_valid_from"),
        valid_to: name("dbt_valid_to"),
        is_deleted: name("dbt_is_deleted"),
    }
}
