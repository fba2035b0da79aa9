//! Reads how an incremental model grows: the keys of `materialized: incremental`.

use serde_json::Value;

use super::config::Reader;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::manifest::{
    Grain, Incremental, Interval, OnChange, ShapeChange, Strategy, Updates, is_name, moment,
};
use crate::project::Settings;

/// Keys that steer an incremental model.
pub(super) const KEYS: [&str; 13] = [
    "batch_size",
    "begin",
    "event_time",
    "full_refresh",
    "incremental_predicates",
    "incremental_strategy",
    "lookback",
    "merge_exclude_columns",
    "merge_update_columns",
    "on_change",
    "on_schema_change",
    "predicates",
    "unique_key",
];

/// Reads and checks the configuration of an incremental model.
pub(super) fn read(reader: &mut Reader<'_>) -> Incremental {
    let unique_key: Vec<String> = reader.texts("unique_key").iter().map(|key| unquoted(key)).collect();
    let name = reader.text("incremental_strategy").unwrap_or_else(|| "default".into());
    let strategy = match name.as_str() {
        "append" => Strategy::Append,
        "merge" => Strategy::Merge,
        "delete+insert" => Strategy::DeleteInsert,
        "interval" | "microbatch" => Strategy::Interval(interval(reader)),
        // As dbt-duckdb: what comes replaces what has the same key, and is added where there is no key.
        "default" if unique_key.is_empty() => Strategy::Append,
        "default" => Strategy::DeleteInsert,
        _ => {
            let known = ["append", "merge", "delete+insert", "interval", "microbatch"];
            reader.problem("incremental_strategy", |said| {
                Diagnostic::error("wrong-value", format!("`{name}` is not an incremental strategy"))
                    .at(&said.at, "")
                    .suggest(&name, known)
                    .help("write `append`, `merge`, `delete+insert` or `interval`")
            });
            Strategy::Append
        }
    };
    check_key(reader, &strategy, &unique_key);
    let is_text = matches!(reader.get("unique_key").map(|said| &said.value), Some(Value::String(_)));
    let (unique_key, computed_key) = match unique_key.as_slice() {
        [key] if is_text && strategy == Strategy::DeleteInsert && !is_name(key) => {
            (Vec::new(), Some(key.clone()))
        }
        _ => (unique_key, None),
    };
    let mut predicates = reader.texts("incremental_predicates");
    if predicates.is_empty() {
        predicates = reader.texts("predicates");
    }
    Incremental {
        updates: updates(reader, &strategy),
        on_schema_change: shape_change(reader),
        on_change: on_change(reader),
        full_refresh: reader.bool("full_refresh"),
        strategy,
        unique_key,
        computed_key,
        predicates,
    }
}

/// A column's name without the quotes of SQL.
fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    match inner.filter(|inner| !inner.replace("\"\"", "").contains('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// `merge` and `delete+insert` need a key, and `interval` has its own.
fn check_key(reader: &mut Reader<'_>, strategy: &Strategy, unique_key: &[String]) {
    match strategy {
        Strategy::Merge if unique_key.is_empty() => reader.problem("incremental_strategy", |said| {
            Diagnostic::error("unique-key", "`merge` needs a `unique_key`").at(&said.at, "").help(
                "write `unique_key='id'`, or a list of columns; to add rows without replacing any, write `append`",
            )
        }),
        Strategy::Interval(_) if !unique_key.is_empty() => reader.problem("unique_key", |said| {
            Diagnostic::error("unique-key", "`interval` replaces whole intervals and takes no `unique_key`")
                .at(&said.at, "")
                .help("remove `unique_key`, or write `incremental_strategy='merge'`")
        }),
        _ => {}
    }
}

fn updates(reader: &mut Reader<'_>, strategy: &Strategy) -> Updates {
    let only = reader.texts("merge_update_columns");
    let except = reader.texts("merge_exclude_columns");
    if *strategy != Strategy::Merge {
        return Updates::All;
    }
    match (only.is_empty(), except.is_empty()) {
        (true, true) => Updates::All,
        (false, true) => Updates::Only(only),
        (true, false) => Updates::Except(except),
        (false, false) => {
            reader.problem("merge_exclude_columns", |said| {
                let message = "`merge_update_columns` and `merge_exclude_columns` are both given";
                Diagnostic::error("wrong-value", message).at(&said.at, "").help("keep one of them")
            });
            Updates::All
        }
    }
}

fn shape_change(reader: &mut Reader<'_>) -> ShapeChange {
    match reader.text("on_schema_change").as_deref() {
        None | Some("ignore") => ShapeChange::Ignore,
        Some("fail") => ShapeChange::Fail,
        Some("append_new_columns") => ShapeChange::Append,
        Some("sync_all_columns") => ShapeChange::Sync,
        Some(_) => {
            reader.wrong_value(
                "on_schema_change",
                "`ignore`, `fail`, `append_new_columns` or `sync_all_columns`",
            );
            ShapeChange::Ignore
        }
    }
}

fn on_change(reader: &mut Reader<'_>) -> OnChange {
    match reader.text("on_change").as_deref() {
        None | Some("rebuild") => OnChange::Rebuild,
        Some("forward") => OnChange::Forward,
        Some(_) => {
            reader.wrong_value("on_change", "`rebuild` or `forward`");
            OnChange::Rebuild
        }
    }
}

fn interval(reader: &mut Reader<'_>) -> Interval {
    for (key, example) in [("event_time", "'ordered_at'"), ("batch_size", "'day'"), ("begin", "'2026-01-01'")]
    {
        if reader.get(key).is_none() {
            reader.problem("incremental_strategy", |said| {
                Diagnostic::error("interval-config", format!("`interval` needs `{key}`"))
                    .at(&said.at, "")
                    .help(format!("write `{key}={example}`"))
            });
        }
    }
    let grain = match reader.text("batch_size").as_deref() {
        Some("hour") => Grain::Hour,
        None | Some("day") => Grain::Day,
        Some("month") => Grain::Month,
        Some("year") => Grain::Year,
        Some(_) => {
            reader.wrong_value("batch_size", "`hour`, `day`, `month` or `year`");
            Grain::Day
        }
    };
    let begin = reader.text("begin").unwrap_or_else(|| "2000-01-01".into());
    let begin = moment(&begin).unwrap_or_else(|| {
        reader.wrong_value("begin", "a day or a time in UTC, such as `2026-01-01`");
        "2000-01-01 00:00:00".into()
    });
    Interval {
        event_time: reader.text("event_time").unwrap_or_default(),
        grain,
        begin,
        lookback: match reader.get("lookback") {
            None => 1,
            Some(_) => reader.count("lookback").unwrap_or(1),
        },
    }
}

/// Columns of a node that hold when a thing happened, for whoever reads an interval of it.
pub(super) fn event_time(reader: &mut Reader<'_>) -> Option<String> {
    match reader.get("event_time").map(|said| &said.value) {
        Some(Value::String(column)) => Some(column.clone()),
        _ => None,
    }
}
/// The same of a table outside.
pub(super) fn source_time(settings: &Settings, problems: &mut Diagnostics) -> Option<String> {
    let said = settings.get("event_time").filter(|said| !said.value.is_null())?;
    let column = said.value.as_str().map(str::to_owned);
    if column.is_none() {
        let message = "`event_time` must be the name of a column";
        problems.push(Diagnostic::error("wrong-type", message).at(&said.at, ""));
    }
    column
}
