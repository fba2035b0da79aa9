//! How an incremental model grows: the configuration of `materialized: incremental`, with dbt's keys and meanings.

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

/// Whether a text of `unique_key` is the name of a column, and not an expression.
pub fn is_name(text: &str) -> bool {
    !text.chars().any(|c| "()|,+'\"*/%<>=:".contains(c))
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
