//! Reader options: what `options:` of a source may say, checked against the DuckDB that will read it.

use std::collections::BTreeSet;

use duckdb::Connection;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::{Error, Result};
use crate::manifest::{FileFormat, FileSource, SourceTable};
use crate::sql::quote::literal;

use super::database;

/// DuckDB's option, and what to do instead of setting it: Kiln gives these itself.
const OWN: [(&str, &str); 34] = [
    ("allow_empty", "a pattern that matches nothing is a warning"),
    ("auto_detect", "declare `columns` with their types"),
    ("auto_type_candidates", "declare `columns` with their types"),
    ("bound_schema", "declare `columns` with their types"),
    ("column_names", "declare `columns`"),
    ("column_statistics", "it has no use here"),
    ("column_types", "declare `columns` with their types"),
    ("columns", "declare `columns` with their types"),
    ("dtypes", "declare `columns` with their types"),
    ("field_appearance_threshold", "declare `columns` with their types"),
    ("file_row_number", "rejected rows carry their line in `_line`"),
    ("filename", "each row carries its file in `_source_object`"),
    ("files_to_sniff", "declare `columns` with their types"),
    ("format", "set `format` of the source"),
    ("geojson", "declare `columns`"),
    ("hive_partitioning", "each row carries its file in `_source_object`"),
    ("hive_types", "each row carries its file in `_source_object`"),
    ("hive_types_autocast", "each row carries its file in `_source_object`"),
    ("ignore_errors", "set `on_bad_rows`"),
    ("map_inference_threshold", "declare `columns` with their types"),
    ("maximum_depth", "declare `columns` with their types"),
    ("maximum_sample_files", "declare `columns` with their types"),
    ("names", "declare `columns`"),
    ("normalize_names", "rename the columns in the raw model"),
    ("records", "each record is an object of the file"),
    ("array", "set `format` of the source"),
    ("rejects_limit", "set `on_bad_rows`"),
    ("rejects_scan", "set `on_bad_rows`"),
    ("rejects_table", "set `on_bad_rows`"),
    ("schema", "declare `columns` with their types"),
    ("store_rejects", "set `on_bad_rows`"),
    ("types", "declare `columns` with their types"),
    ("convert_strings_to_integers", "declare `columns` with their types"),
    ("union_by_name", "columns are always matched by name"),
];

/// Checked options, ready to be written into a call of the reader.
#[derive(Debug, Clone, Default)]
pub(super) struct ReaderOptions {
    /// What DuckDB's reader gets: name and SQL.
    pub passed: Vec<(String, String)>,
    /// `delim` under any of its names.
    pub delimiter: Option<String>,
    /// `quote`.
    pub quote: Option<String>,
    /// `escape`.
    pub escape: Option<String>,
    /// `comment`.
    pub comment: Option<String>,
    /// `skip`.
    pub skip: usize,
    /// The first line bears the names.
    pub header: Header,
    /// `all_varchar`: columns without a declared type are text.
    pub untyped: Untyped,
    /// `sample_size`: how many rows decide the type of a column without one.
    pub sample_size: Option<u64>,
}

/// Whether a CSV file begins with its columns' names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Header {
    /// It does.
    #[default]
    Present,
    /// It does not: the declared columns, in their order.
    Absent,
}

/// What type a column gets that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Untyped {
    /// What its values are.
    #[default]
    Inferred,
    /// Text.
    Varchar,
}

impl ReaderOptions {
    /// An option as it was passed, by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.passed.iter().find(|(known, _)| known == name).map(|(_, sql)| sql.as_str())
    }

    /// `, name = value` for each option that is passed on.
    pub fn arguments(&self) -> String {
        self.passed.iter().map(|(name, sql)| format!(", {name} = {sql}")).collect()
    }
}

/// Checks a source's `options:` without reading a file.
pub fn check_options(conn: &Connection, source: &SourceTable) -> Result<Diagnostics> {
    match read(conn, source) {
        Ok(_) => Ok(Diagnostics::new()),
        Err(Error::Project(diagnostics)) => Ok(diagnostics),
        Err(error) => Err(error),
    }
}

/// The function that reads a format.
fn reader(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Csv => "read_csv",
        FileFormat::Json | FileFormat::NdJson => "read_json",
        FileFormat::Parquet => "read_parquet",
    }
}

/// Reads and checks the options of a source.
pub(super) fn read(conn: &Connection, source: &SourceTable) -> Result<ReaderOptions> {
    let mut options = ReaderOptions::default();
    let Some(files) = &source.files else { return Ok(options) };
    if files.options.is_empty() {
        return Ok(options);
    }
    let function = reader(files.format);
    let known = parameters(conn, function)?;
    let mut diagnostics = Diagnostics::new();
    for (name, value) in &files.options {
        let key = name.value.to_lowercase();
        if !known.contains(&key) {
            let text = format!("`{}` is not an option of DuckDB's `{function}`", name.value);
            let usable =
                known.iter().map(String::as_str).filter(|name| !OWN.iter().any(|(own, _)| own == name));
            let finding = Diagnostic::error("source-option", text).at(&name.at, "");
            diagnostics.push(finding.suggest(&key, usable));
        } else if let Some((_, instead)) = OWN.iter().find(|(own, _)| *own == key) {
            let text = format!("`{}` of source `{}` is set by kiln", name.value, source.id.short());
            diagnostics.push(Diagnostic::error("source-option", text).at(&name.at, "").help(*instead));
        } else if let Err(expected) = options.set(files, &key, value) {
            let text = format!("`{}` takes {expected}, not `{value}`", name.value);
            diagnostics.push(Diagnostic::error("source-option", text).at(&name.at, ""));
        }
    }
    match diagnostics.has_errors() {
        true => Err(diagnostics.into()),
        false => Ok(options),
    }
}

impl ReaderOptions {
    fn set(&mut self, files: &FileSource, key: &str, value: &Value) -> Result<(), &'static str> {
        let text = || value.as_str().map(str::to_owned).ok_or("a text");
        let flag = || value.as_bool().ok_or("`true` or `false`");
        let number = || value.as_u64().ok_or("a number");
        if files.format != FileFormat::Csv {
            if key != "sample_size" {
                self.passed.push((key.to_owned(), sql_value(value)));
            }
            return Ok(());
        }
        match key {
            "sep" | "delim" | "separator" | "delimiter" => {
                self.delimiter = Some(text()?).filter(|delimiter| !delimiter.is_empty());
                return self.delimiter.is_some().then_some(()).ok_or("a text that is not empty");
            }
            "quote" => {
                self.quote = Some(text()?);
                return Ok(());
            }
            "escape" => {
                self.escape = Some(text()?);
                return Ok(());
            }
            "header" => {
                self.header = if flag()? { Header::Present } else { Header::Absent };
                return Ok(());
            }
            "all_varchar" => {
                self.untyped = if flag()? { Untyped::Varchar } else { Untyped::Inferred };
                return Ok(());
            }
            "sample_size" => {
                self.sample_size = value.as_i64().ok_or("a number")?.try_into().ok();
                return Ok(());
            }
            "comment" => self.comment = Some(text()?),
            "skip" => {
                self.skip = usize::try_from(number()?).map_err(|_| "a number")?;
                return Ok(());
            }
            _ => {}
        }
        self.passed.push((key.to_owned(), sql_value(value)));
        Ok(())
    }
}

/// The parameters that a table function has, by DuckDB's own list.
fn parameters(conn: &Connection, function: &str) -> Result<BTreeSet<String>> {
    let query = || -> duckdb::Result<BTreeSet<String>> {
        let sql = "SELECT DISTINCT unnest(parameters) FROM duckdb_functions() WHERE function_name = ?";
        let mut statement = conn.prepare(sql)?;
        let names = statement.query_map([function], |row| row.get::<_, String>(0))?;
        names.filter(|name| !matches!(name.as_deref(), Ok("path" | "paths"))).collect()
    };
    query().map_err(|error| database("read DuckDB's reader options", &error))
}

/// A value of YAML as a literal of SQL.
fn sql_value(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => literal(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(sql_value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{}: {}", literal(key), sql_value(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}
