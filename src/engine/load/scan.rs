//! Scans: what reading some objects needs and gives, whatever their format, and what can go wrong with them.

use std::collections::HashSet;
use std::path::Path;

use duckdb::Connection;

use crate::error::Error;
use crate::manifest::{FileSource, SourceTable};
use crate::sql::quote::literal;

use super::options::ReaderOptions;
use super::{Failed, database};

/// What reading needs.
pub(super) struct Context<'a> {
    pub conn: &'a Connection,
    pub source: &'a SourceTable,
    pub files: &'a FileSource,
    pub options: ReaderOptions,
    /// Objects with values that the reader would change, such as fractions where integers should be.
    pub exact: HashSet<String>,
    /// Names of columns that are known of the source.
    pub known: Vec<String>,
}

impl Context<'_> {
    /// Names of columns that are known of the source.
    pub fn known_names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// Whether a file is text that can be read as it is.
    pub fn is_plain(&self, path: &Path) -> bool {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        let given = |name| self.options.get(name).is_some();
        !matches!(ending.as_str(), "gz" | "zst") && !given("compression") && !given("encoding")
    }
}

/// Whether objects may be read in one scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// They may: the model passes `_source_object` through.
    Together,
    /// The model drops it, so one object at a time.
    Apart,
}

/// A scan: some of the batch's objects.
pub(super) struct Unit {
    /// Indexes of its objects.
    pub objects: Vec<usize>,
    /// A SELECT of the source's columns and `_kiln_path`.
    pub select: String,
    /// A SELECT of `path, line, column, reason, raw, not_utf8`, valid once the first has run; empty if nothing can fail.
    pub rejects: String,
    /// A SELECT of the paths that have to be read with more care; empty if there is nothing to check.
    pub check: String,
    /// Statements to run afterwards.
    pub clean_up: String,
}

/// Why a transaction was given up.
pub(super) enum Trouble {
    /// No object of this load can be loaded.
    Fatal(Error),
    /// These objects cannot; the others can be tried without them.
    Objects(Vec<Failed>),
    /// A statement failed, and which object it was is not known.
    Statement(String),
    /// These objects have values that the reader would change: all again, these with more care.
    Exact(Vec<String>),
}

impl Trouble {
    /// Sorts an error of DuckDB by whom it concerns.
    pub fn statement(error: duckdb::Error) -> Self {
        let text = super::text_of(&error);
        let whole =
            ["INTERRUPT", "Out of Memory", "FATAL", "ould not write", "No space left", "TransactionContext"];
        match whole.iter().any(|word| text.contains(word)) {
            true => Self::Fatal(database("load", &error)),
            false => Self::Statement(text),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// A pattern that names exactly one file, as a literal: DuckDB globs every path.
pub(super) fn path_pattern(path: &Path) -> String {
    let mut pattern = String::new();
    for character in path.to_string_lossy().chars() {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            _ => pattern.push(character),
        }
    }
    literal(&pattern)
}

/// A list of files as a literal.
pub(super) fn file_list<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    let paths: Vec<String> = paths.map(path_pattern).collect();
    format!("[{}]", paths.join(", "))
}
