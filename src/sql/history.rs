//! The SQL of a snapshot: a query as the first version of its history, and what a later result of the query adds to it.
//! Columns, ids and times are dbt's.
//!
//! The rows of a later version are written by their `dbt_scd_id`: each row with an id that comes is replaced by all rows
//! that come with it. So a row that ends comes again with its end, and rows that ended before and have the same id (a key
//! that was deleted and is back as it was) come along unchanged.

use std::sync::Arc;

use super::quote::identifier;
use super::rendered::{Origin, Rendered, Slot};
use super::tokens::without_end;
use crate::manifest::{HardDeletes, Snapshot, SnapshotStrategy};
use crate::names::{NodeId, Relation};

/// The variable that holds the time of the snapshot, the same for all rows of a run: a TIMESTAMP in UTC.
pub const TIME_VARIABLE: &str = "kiln_snapshot_time";

const SOURCE: &str = "__kiln_source";

/// Which values tell that a row changed, under the strategy `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// These columns.
    Columns(Vec<String>),
    /// A column is new: every row counts as changed, as in dbt.
    Everything,
}

/// The time of the snapshot in SQL.
fn time() -> String {
    format!("CAST(getvariable('{TIME_VARIABLE}') AS TIMESTAMP)")
}

/// The rows of a first version.
pub fn whole(query: &Rendered, snapshot: &Snapshot) -> Rendered {
    let names = &snapshot.names;
    let at = moment(snapshot, "s");
    let keys: Vec<String> = snapshot.unique_key.iter().map(|key| format!("({key})")).collect();
    let deleted = match snapshot.hard_deletes {
        HardDeletes::NewRecord => format!(", 'False' AS {}", identifier(&names.is_deleted)),
        _ => String::new(),
    };
    let suffix = format!(
        "\n){doubled}\nSELECT *, {id} AS {scd_id}, {at} AS {updated_at}, {at} AS {valid_from}, {until} AS {valid_to}{deleted}\n\
         FROM {SOURCE} AS s WHERE {sound}",
        doubled = doubled(snapshot),
        id = scd_id(&keys, &at),
        scd_id = identifier(&names.scd_id),
        updated_at = identifier(&names.updated_at),
        valid_from = identifier(&names.valid_from),
        until = until(snapshot, &at),
        valid_to = identifier(&names.valid_to),
        sound = sound(snapshot),
    );
    around(&format!("WITH {SOURCE} AS MATERIALIZED (\n"), query, &suffix, &[])
}

/// The rows that a later version writes. `this` is the history so far.
pub fn later(
    query: &Rendered,
    snapshot: &Snapshot,
    this: (&NodeId, &Relation),
    checked: &Checked,
) -> Rendered {
    let names = &snapshot.names;
    let [scd, updated, from, to, deleted] =
        [&names.scd_id, &names.updated_at, &names.valid_from, &names.valid_to, &names.is_deleted]
            .map(|name| identifier(name));
    let now = time();
    let at = moment(snapshot, "s");
    let count = snapshot.unique_key.len();
    let keyed: Vec<String> = snapshot
        .unique_key
        .iter()
        .enumerate()
        .map(|(at, key)| format!("({key}) AS __kiln_key_{at}"))
        .collect();
    let keyed = keyed.join(", ");
    let key_names: Vec<String> = (0..count).map(|at| format!("__kiln_key_{at}")).collect();
    let without_keys = key_names.join(", ");
    let on: Vec<String> = key_names.iter().map(|key| format!("c.{key} = s.{key}")).collect();
    let on = on.join(" AND ");
    let keys: Vec<String> = key_names.iter().map(|key| format!("s.{key}")).collect();
    let open = match &snapshot.valid_to_current {
        None => format!("{to} IS NULL"),
        Some(current) => format!("({to} = ({current}) OR {to} IS NULL)"),
    };
    let is_new_record = snapshot.hard_deletes == HardDeletes::NewRecord;
    let changed = match (&snapshot.strategy, checked) {
        (SnapshotStrategy::Timestamp { updated_at }, _) => format!("c.{from} < s.{}", identifier(updated_at)),
        (SnapshotStrategy::Check { .. }, Checked::Everything) => "TRUE".to_owned(),
        (SnapshotStrategy::Check { .. }, Checked::Columns(columns)) => {
            let differs = columns
                .iter()
                .map(|name| identifier(name))
                .map(|name| format!("c.{name} IS DISTINCT FROM s.{name}"));
            let differs: Vec<String> = differs.collect();
            if differs.is_empty() { "FALSE".to_owned() } else { format!("({})", differs.join(" OR ")) }
        }
    };
    let changed = match is_new_record {
        true => format!("({changed} OR c.{deleted} = 'True')"),
        false => changed,
    };
    let flag = if is_new_record { format!(", 'False' AS {deleted}") } else { String::new() };
    let gone_already =
        if is_new_record { format!(" WHERE c.{deleted} IS DISTINCT FROM 'True'") } else { String::new() };
    let mut rows = vec![
        format!(
            "SELECT s.* EXCLUDE ({without_keys}), {at} AS {updated}, {at} AS {from}, {until} AS {to}, {id} AS {scd}{flag} \
             FROM __kiln_new AS s LEFT JOIN __kiln_open AS c ON {on} WHERE c.__kiln_key_0 IS NULL OR {changed}",
            until = until(snapshot, &at),
            id = scd_id(&keys, &at),
        ),
        format!(
            "SELECT c.* EXCLUDE ({without_keys}) REPLACE ({at} AS {to}) \
             FROM __kiln_open AS c JOIN __kiln_new AS s ON {on} WHERE {changed}"
        ),
    ];
    if snapshot.hard_deletes != HardDeletes::Ignore {
        rows.push(format!("SELECT * EXCLUDE ({without_keys}) REPLACE ({now} AS {to}) FROM __kiln_gone"));
    }
    if is_new_record {
        rows.push(format!(
            "SELECT * EXCLUDE ({without_keys}) REPLACE ({now} AS {updated}, {now} AS {from}, {id} AS {scd}, \
             'True' AS {deleted}) FROM __kiln_gone",
            id = scd_id(std::slice::from_ref(&scd), &now),
        ));
    }
    let rows = rows.join("\nUNION ALL BY NAME ");
    let before = "\n__kiln_there AS (SELECT * FROM ".to_owned();
    let head = format!("\n){},{before}", doubled(snapshot));
    let tail = format!(
        "),\n__kiln_open AS (SELECT *, {keyed} FROM __kiln_there WHERE {open}),\n\
         __kiln_new AS (SELECT *, {keyed} FROM {SOURCE} AS s WHERE {sound}),\n\
         __kiln_gone AS (SELECT c.* FROM __kiln_open AS c ANTI JOIN __kiln_new AS s ON {on}{gone_already}),\n\
         __kiln_rows AS MATERIALIZED ({rows})\n\
         SELECT * FROM __kiln_rows\nUNION ALL BY NAME SELECT t.* FROM __kiln_there AS t \
         SEMI JOIN __kiln_rows AS r ON t.{scd} = r.{scd} WHERE NOT ({open})",
        sound = sound(snapshot),
    );
    let name = this.1.to_string();
    let slots = [(head.len()..head.len() + name.len(), this.0.clone())];
    let suffix = format!("{head}{name}{tail}");
    around(&format!("WITH {SOURCE} AS MATERIALIZED (\n"), query, &suffix, &slots)
}

/// When a row of the source is valid from.
fn moment(snapshot: &Snapshot, side: &str) -> String {
    match &snapshot.strategy {
        SnapshotStrategy::Timestamp { updated_at }
        | SnapshotStrategy::Check { updated_at: Some(updated_at), .. } => {
            format!("{side}.{}", identifier(updated_at))
        }
        SnapshotStrategy::Check { updated_at: None, .. } => time(),
    }
}

/// The end of a row that is valid still. The odd form gives it the type of its beginning, as in dbt.
fn until(snapshot: &Snapshot, at: &str) -> String {
    let current = snapshot.valid_to_current.as_deref().unwrap_or("NULL");
    format!("coalesce(nullif({at}, {at}), {current})")
}

/// dbt's id of a row's version.
fn scd_id(keys: &[String], at: &str) -> String {
    let parts: Vec<String> = keys
        .iter()
        .map(String::as_str)
        .chain([at])
        .map(|part| format!("coalesce(CAST({part} AS VARCHAR), '')"))
        .collect();
    format!("md5({})", parts.join(" || '|' || "))
}

/// Keys of the source that tell no row apart, as a common table expression.
fn doubled(snapshot: &Snapshot) -> String {
    let keys: Vec<String> =
        snapshot.unique_key.iter().enumerate().map(|(at, key)| format!("({key}) AS k{at}")).collect();
    let nulls: Vec<String> = (0..keys.len()).map(|at| format!("k{at} IS NULL")).collect();
    format!(
        ",\n__kiln_doubled AS (SELECT {}, count(*) AS n FROM {SOURCE} GROUP BY ALL HAVING n > 1 OR {})",
        keys.join(", "),
        nulls.join(" OR ")
    )
}

/// The words with which an error of [`sound`] begins.
pub const UNSOUND: &str = "rows of the source cannot be told apart by `unique_key`: ";

/// A condition that is true, or an error that names keys that are doubled or NULL. It binds the checked columns too.
fn sound(snapshot: &Snapshot) -> String {
    let named = snapshot.unique_key.iter().enumerate().map(|(at, key)| {
        let name = key.replace('\'', "''");
        format!("'{name} = ' || coalesce(CAST(k{at} AS VARCHAR), 'NULL')")
    });
    let named = named.collect::<Vec<_>>().join(" || ', ' || ");
    let mut condition = format!(
        "(SELECT CASE WHEN count(*) = 0 THEN TRUE ELSE error('{UNSOUND}' || string_agg({named} || ' (' || n || if(n = 1, ' row)', ' rows)'), '; ' \
         ORDER BY {named})) END FROM (SELECT * FROM __kiln_doubled ORDER BY ALL LIMIT 3))"
    );
    if let SnapshotStrategy::Check { columns, .. } = &snapshot.strategy
        && !columns.is_empty()
    {
        let columns: Vec<String> = columns.iter().map(|name| identifier(name)).collect();
        condition +=
            &format!(" AND (SELECT count(*) = 0 FROM (SELECT {} FROM {SOURCE} LIMIT 0))", columns.join(", "));
    }
    condition
}

/// A query that gives the names of another's columns, and no rows.
pub fn columns_of(query: &Rendered) -> Rendered {
    around("SELECT * FROM (\n", query, "\n) LIMIT 0", &[])
}

/// A query with text before and behind it; `slots` are places in the text behind it.
fn around(
    prefix: &str,
    query: &Rendered,
    suffix: &str,
    slots: &[(std::ops::Range<usize>, NodeId)],
) -> Rendered {
    let body = without_end(&query.sql);
    let shift = prefix.len();
    let behind = shift + body.len();
    let inner = query.slots.iter().filter(|slot| slot.range.end <= body.len()).map(|slot| Slot {
        range: slot.range.start + shift..slot.range.end + shift,
        node: slot.node.clone(),
    });
    let outer = slots
        .iter()
        .map(|(range, node)| Slot { range: range.start + behind..range.end + behind, node: node.clone() });
    let before: Vec<Option<Origin>> = vec![None; prefix.matches('\n').count()];
    let lines = body.matches('\n').count() + 1;
    let origins = query.origins.iter().take(lines).map(|origin| {
        origin.as_ref().map(|origin| Origin { file: Arc::clone(&origin.file), line: origin.line })
    });
    Rendered {
        sql: format!("{prefix}{body}{suffix}"),
        slots: inner.chain(outer).collect(),
        origins: before.into_iter().chain(origins).collect(),
    }
}
