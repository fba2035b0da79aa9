//! A table outside Kiln: where it is, how its files are loaded, how old it may be.

use serde_json::Value;

use super::{Column, Owner};
use crate::diagnostic::{Located, Location};
use crate::names::{NodeId, Relation};
use crate::yaml::Object;

/// A table outside Kiln.
#[derive(Debug, Clone)]
pub struct SourceTable {
    /// `source.<package>.<source>.<table>`.
    pub id: NodeId,
    /// The source's name.
    pub source: String,
    /// The table's name in it.
    pub name: String,
    /// From the properties; the source's own where the table has none.
    pub description: String,
    /// The relation, for a table that exists already.
    pub relation: Relation,
    /// Declared columns.
    pub columns: Vec<Column>,
    /// How Kiln loads it; `None` for a relation that exists already.
    pub files: Option<FileSource>,
    /// How old it may be.
    pub freshness: Option<Freshness>,
    /// The column whose maximum is the data's age; `None` means the load's own time.
    pub loaded_at_field: Option<String>,
    /// `event_time`: the column that says when what a row tells of happened.
    pub event_time: Option<String>,
    /// Who to ask.
    pub owner: Owner,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta`.
    pub meta: Object,
    /// Where it is declared.
    pub at: Location,
}

/// Files that Kiln loads.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Paths or globs, relative to the project's folder.
    pub patterns: Vec<Located<String>>,
    /// How they are read.
    pub format: FileFormat,
    /// DuckDB's reader options.
    pub options: Vec<(Located<String>, Value)>,
    /// What happens when the shape changes.
    pub on_schema_change: OnSchemaChange,
    /// What happens to a row that does not fit.
    pub on_bad_rows: OnBadRows,
}

/// A file format, by its ending or by `format:`. `.gz` and `.zst` may follow each ending of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `.csv`, `.tsv`, `.txt`.
    Csv,
    /// `.json`: one array, or one object after the other.
    Json,
    /// `.ndjson`, `.jsonl`: one object a line.
    NdJson,
    /// `.parquet`.
    Parquet,
}

/// `on_schema_change` of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSchemaChange {
    /// A new column is added, a missing one is NULL; both are said.
    #[default]
    Evolve,
    /// As the table is: a new column is left out, with a warning.
    Warn,
    /// The load of the object fails.
    Fail,
}

/// `on_bad_rows` of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRows {
    /// The row goes to `<table>__rejected` with the reason.
    #[default]
    Quarantine,
    /// The load of the object fails.
    Fail,
}

/// How old data may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Freshness {
    /// Older warns.
    pub warn_after: Option<Age>,
    /// Older fails.
    pub error_after: Option<Age>,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Age {
    /// How many.
    pub count: u64,
    /// Of what.
    pub period: Period,
}

/// A unit of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Period {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl Period {
    /// How long it is.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its name in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}
