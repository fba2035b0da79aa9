//! How an incremental model grows: the configuration of `materialized: incremental`, with dbt's keys and meanings.

use serde_json::Value;

use super::config::Reader;
use crate::diagnostic::Diagnostic;

/// How the new rows of an incremental model and the rows that are there come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incremental {
    /// `incremental_strategy`.
    pub strategy: Strategy,
    /// `unique_key`: columns that say which row is replaced. Empty for `append` and `interval`.
    pub unique_key: Vec<String>,
    /// A `unique_key` that is computed, as SQL: for `delete+insert`, as in dbt.
    pub computed_key: Option<String>,
    /// `incremental_predicates`: SQL that narrows what is replaced.
    pub predicates: Vec<String>,
    /// `merge_update_columns` and `merge_exclude_columns`.
    pub updates: Updates,
    /// `on_schema_change`.
    pub on_schema_change: ShapeChange,
    /// `on_change`.
    pub on_change: OnChange,
    /// `full_refresh`: what the model itself says of `--full-refresh`.
    pub full_refresh: Option<bool>,
}

/// `incremental_strategy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// New rows are added; nothing is replaced.
    Append,
    /// A row with the same key takes the new row's values.
    Merge,
    /// All rows with a key that comes again go, and the new rows come.
    DeleteInsert,
    /// The rows of an interval of time are replaced together.
    Interval(Interval),
}

impl Strategy {
    /// The word in `incremental_strategy:`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Merge => "merge",
            Self::DeleteInsert => "delete+insert",
            Self::Interval(_) => "interval",
        }
    }
}

/// The time of a model that is built interval by interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// `event_time`: the column that says in which interval a row belongs.
    pub event_time: String,
    /// `batch_size`.
    pub grain: Grain,
    /// `begin`: the first interval's start, as DuckDB writes a TIMESTAMP.
    pub begin: String,
    /// `lookback`: how many intervals before the newest are done again by every run.
    pub lookback: u64,
}

/// `batch_size`: the length of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to the first of the next.
    Month,
    /// From one 1st of January to the next.
    Year,
}

impl Grain {
    /// The word in `batch_size:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// Which columns of a row that is there a merge changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updates {
    /// All of them.
    All,
    /// These only.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// `on_schema_change` of an incremental model: what happens when the new rows have other columns than the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeChange {
    /// The table's columns stay; a new column is left out.
    Ignore,
    /// The model does not build.
    Fail,
    /// New columns are added; those that are missing stay.
    Append,
    /// The table takes the columns and types of the new rows.
    Sync,
}

/// `on_change`: what happens when the model's definition is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// All rows are built anew.
    Rebuild,
    /// Rows that are there stay, new ones follow the new definition.
    Forward,
}

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

/// Whether a text of `unique_key` is the name of a column, and not an expression.
pub fn is_name(text: &str) -> bool {
    !text.chars().any(|c| "()|,+'\"*/%<>=:".contains(c))
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

/// A day or a time in UTC as DuckDB writes a TIMESTAMP: `2026-01-01 00:00:00`.
pub fn moment(written: &str) -> Option<String> {
    let written = written.trim().trim_end_matches("Z").trim_end_matches("+00:00");
    let time = match written.parse::<jiff::civil::DateTime>() {
        Ok(time) => time,
        Err(_) => written.parse::<jiff::civil::Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
    };
    Some(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Columns of a node that hold when a thing happened, for whoever reads an interval of it.
pub(super) fn event_time(reader: &mut Reader<'_>) -> Option<String> {
    match reader.get("event_time").map(|said| &said.value) {
        Some(Value::String(column)) => Some(column.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_days_or_times() {
        assert_eq!(moment("2026-01-02").as_deref(), Some("2026-01-02 00:00:00"));
        assert_eq!(moment("2026-01-02T03:04:05").as_deref(), Some("2026-01-02 03:04:05"));
        assert_eq!(moment("2026-01-02 03:04").as_deref(), Some("2026-01-02 03:04:00"));
        assert_eq!(moment("2026-01-02T03:04:05Z").as_deref(), Some("2026-01-02 03:04:05"));
        assert_eq!(moment("yesterday"), None);
    }
}
