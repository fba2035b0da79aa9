//! Loading: source files into raw tables, each object exactly once, whatever happens on the way.
//!
//! [`discover`] says what lies on the disk, [`pending`] what of it the ledger does not know, [`load`] reads that and
//! commits rows, rejected rows, new columns and ledger rows together. An object that cannot be loaded is a
//! [`Failed`] in the report: it stays out of the ledger, so the next run tries it again, and the others still load.

mod batch;
mod csv;
mod discover;
mod drift;
mod header;
mod infer;
mod json;
mod ledger;
mod nested;
mod options;
mod parquet;
mod scan;
mod shapes;
mod swallowed;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::engine::session::SqlError;
use crate::error::{Error, Result};
use crate::manifest::{Node, SourceTable};
use crate::sql::rendered::Rendered;

pub use discover::{Discovered, discover, named_by};
pub use drift::SourceColumn;
pub use ledger::{
    LEDGER, Pending, PendingObject, Reason, create_ledger, forget, loaded_columns, newest, pending,
};
pub use options::check_options;
pub use shapes::{Looked, look};

/// Columns that Kiln adds to every raw table, in this order, after the model's own.
pub const OWN_COLUMNS: [(&str, &str); 3] =
    [("_loaded_at", "TIMESTAMP"), ("_batch_id", "BIGINT"), ("_source_object", "VARCHAR")];

/// A file that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The path to show and to keep in the ledger: relative to the project's folder and `/`-separated, or absolute
    /// for a file outside it.
    pub name: String,
    /// The absolute path.
    pub path: PathBuf,
    /// Bytes on the disk.
    pub size: u64,
    /// What changes whenever the file is written: its times and its inode.
    pub stamp: Stamp,
}

/// What a file's metadata say about its content: as long as it is the same, so is the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Size, time of modification, time of change and inode, as one text.
    pub text: String,
    /// The later of the two times, in nanoseconds since 1970.
    pub newest_ns: i128,
}

/// What to load into which table.
#[derive(Debug, Clone, Copy)]
pub struct LoadPlan<'a> {
    /// The raw model.
    pub model: &'a Node,
    /// The source that it reads.
    pub source: &'a SourceTable,
    /// The model's SQL, whose slot for the source is replaced by the new rows.
    pub sql: &'a Rendered,
    /// The run that loads.
    pub run_id: &'a str,
    /// When the run loads. Each object gets a time of its own, a microsecond after the one before it in path order,
    /// so that `order by _loaded_at desc` always knows which of two files is the later one.
    pub loaded_at: jiff::Timestamp,
}

/// What a load did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadReport {
    /// Objects that are in the table now, in path order.
    pub objects: Vec<LoadedObject>,
    /// Objects that are not, and why. With one of these the load of the model has failed.
    pub failed: Vec<Failed>,
    /// What the source's columns are after the load.
    pub columns: Vec<SourceColumn>,
    /// Whether the raw table exists. It does not when nothing is known of its columns: no file and none declared.
    pub table_exists: bool,
}

impl LoadReport {
    /// Whether every object was loaded.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// Rows inserted.
    pub fn rows(&self) -> u64 {
        self.objects.iter().map(|object| object.rows).sum()
    }

    /// Rows in quarantine.
    pub fn rejected(&self) -> u64 {
        self.objects.iter().map(|object| object.rejected).sum()
    }
}

/// An object that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedObject {
    /// Its name, as in [`Object::name`].
    pub object: String,
    /// Rows inserted into the raw table.
    pub rows: u64,
    /// Rows put into `<table>__rejected`.
    pub rejected: u64,
    /// The number of this load of this object, counted up within the model: `_batch_id` of its rows.
    pub batch_id: i64,
    /// What is worth saying about it.
    pub notes: Vec<Note>,
}

/// An object that could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its name, as in [`Object::name`].
    pub object: String,
    /// Why: lower case, no full stop.
    pub reason: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Something to say about an object that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// A column that the source did not have before was added to it.
    NewColumn {
        /// The column.
        column: String,
        /// Its type in the table.
        data_type: String,
    },
    /// Columns that the source did not have before were left out (`on_schema_change: warn`).
    IgnoredColumns {
        /// The columns.
        columns: Vec<String>,
    },
    /// Columns that the source has are not in the object: NULL.
    MissingColumns {
        /// The columns.
        columns: Vec<String>,
    },
    /// The path was loaded before, with other content.
    ChangedContent {
        /// The batch that holds the content before.
        previous_batch: i64,
        /// An earlier batch that had the same content as now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        same_as: Option<i64>,
    },
    /// Another object has the same content.
    CopyOf {
        /// The other one.
        object: String,
    },
    /// Rows did not fit.
    Quarantined {
        /// How many.
        rows: u64,
        /// The first reason.
        first: String,
    },
    /// Rows hold values in which there are whole lines that look like rows.
    Swallowed {
        /// How many.
        rows: u64,
    },
    /// No row and no header.
    Empty,
}

impl Note {
    /// Whether it is worth a warning rather than a line in the log.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::NewColumn { .. } | Self::Empty)
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NewColumn { column, data_type } => {
                write!(f, "new column `{column}` {data_type}, NULL in the rows before")
            }
            Self::IgnoredColumns { columns } => {
                write!(f, "new {} left out (`on_schema_change: warn`)", drift::listed(columns))
            }
            Self::MissingColumns { columns } => {
                write!(f, "{} missing, NULL in its rows", drift::listed(columns))
            }
            Self::ChangedContent { previous_batch, same_as: None } => {
                write!(f, "content changed since batch {previous_batch}, loaded as a new batch")
            }
            Self::ChangedContent { previous_batch, same_as: Some(same) } => write!(
                f,
                "content changed since batch {previous_batch} back to that of batch {same}, loaded as a new batch"
            ),
            Self::CopyOf { object } => {
                write!(f, "its content is that of `{object}`, loaded as an object of its own")
            }
            Self::Quarantined { rows: 1, first } => write!(f, "1 row quarantined: {first}"),
            Self::Quarantined { rows, first } => write!(f, "{rows} rows quarantined, the first: {first}"),
            Self::Swallowed { rows } => write!(
                f,
                "{} with lines inside of a value that look like rows: is there a quote too many?",
                crate::words::counted(*rows, "row", "rows")
            ),
            Self::Empty => write!(f, "the object is empty"),
        }
    }
}

/// How far a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Objects that are done, failed ones included.
    pub objects: usize,
    /// Of how many.
    pub of_objects: usize,
    /// Their bytes on the disk.
    pub bytes: u64,
    /// Of how many.
    pub of_bytes: u64,
}

/// Loads what is pending. Every transaction holds whole objects: their rows, their rejected rows, the columns that they
/// add and their ledger rows. A process that dies leaves the objects of the transactions before it.
pub fn load(
    conn: &duckdb::Connection,
    plan: &LoadPlan<'_>,
    pending: &[PendingObject],
    progress: &mut dyn FnMut(Progress),
) -> Result<LoadReport> {
    batch::Loader::new(conn, plan)?.run(pending, progress)
}

/// A DuckDB error as one of the machine, or the interrupt that it is.
fn database(doing: &str, error: &duckdb::Error) -> Error {
    let text = text_of(error);
    if text.starts_with("INTERRUPT") || text.contains("Interrupted!") {
        return Error::Interrupted;
    }
    let told = first_lines(&text);
    let told = told.strip_prefix("TransactionContext Error: ").unwrap_or(told);
    let failed = Error::machine(format!("cannot {doing}: {told}"));
    match SqlError::of(error).hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// What DuckDB says, as it says it to people: a session asks for errors as JSON.
fn text_of(error: &duckdb::Error) -> String {
    let text = error.to_string();
    let json = text.find("{\"exception_type\"").and_then(|at| serde_json::from_str(&text[at..]).ok());
    let json: serde_json::Value = match json {
        Some(json) => json,
        None => return text,
    };
    let field = |key: &str| json.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    format!("{} Error: {}", field("exception_type"), field("exception_message"))
}

/// A DuckDB message without the statement that it quotes.
fn first_lines(text: &str) -> &str {
    text.split("\n\n").next().unwrap_or(text).trim()
}
