//! Reads what history a snapshot keeps: the keys of `materialized: snapshot`.

use serde_json::Value;

use super::config::Reader;
use crate::diagnostic::Diagnostic;
use crate::manifest::{HardDeletes, Snapshot, SnapshotNames, SnapshotStrategy};

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
