//! How a snapshot keeps history: the configuration of dbt's snapshots, with its keys and meanings.

use super::{Incremental, OnChange, ShapeChange, Strategy, Updates};

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

impl Snapshot {
    /// How its table grows: rows with the same `dbt_scd_id` are replaced, and no refresh ever begins it anew.
    pub fn growth(&self) -> Incremental {
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
