//! Seeds: CSV files of the project as queries, the same for a build and for a look at their columns.

use std::path::Path;

use super::session::{ColumnType, SqlError};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};
use crate::manifest::Node;
use crate::resolve::csv;
use crate::sql::quote::{identifier, literal};

/// The query that reads a seed. `root` is the project's folder.
pub fn query(root: &Path, node: &Node) -> String {
    let path = root.join(&node.file.path);
    let types: Vec<String> = node
        .config
        .column_types
        .iter()
        .map(|(column, data_type)| format!("{}: {}", identifier(column), literal(data_type)))
        .collect();
    let types = if types.is_empty() { String::new() } else { format!(", types = {{{}}}", types.join(", ")) };
    // An empty field is NULL and nothing else is, as in dbt: the word NA may be a country. What quotes are is said too:
    // DuckDB guesses, and takes an apostrophe or a `#` for more than it is.
    format!(
        "SELECT * FROM read_csv({}, header = true, delim = {}, quote = '\"', escape = '\"', comment = '', nullstr = '', \
         sample_size = -1{types})",
        literal(&path.to_string_lossy()),
        literal(&node.config.delimiter),
    )
}

/// What is wrong with a seed that could not be read, at its line where that can be told.
pub fn unreadable(root: &Path, node: &Node, error: &SqlError) -> Diagnostic {
    let path = root.join(&node.file.path);
    let lead = format!("the seed `{}` did not load", node.name);
    let text =
        std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let file = SourceFile::new(node.file.path.clone(), text);
    let (line, what) = line_of(error);
    if let Some(line) = line {
        let start = file.offset(line, 1);
        let end = start + file.text[start..].lines().next().unwrap_or_default().len();
        return Diagnostic::error("seed-load", format!("{lead}: {what}"))
            .at(&Location::new(&file, start..end), "")
            .help("mend the line, or declare the column's type with `column_types`");
    }
    // Where DuckDB finds no form in the file as a whole, it names no line.
    let mut problems = Diagnostics::new();
    let place = |range: std::ops::Range<usize>| Location::new(&file, range);
    csv(&file.text, &node.config.delimiter, &place, &mut problems);
    if let Some(first) = problems.sorted().first().map(|first| (*first).clone()) {
        let message = format!("{lead}: {}", first.message);
        return Diagnostic { code: "seed-load", message, ..first };
    }
    let message = what.replace(&*path.to_string_lossy(), &node.file.path.to_string_lossy());
    Diagnostic::error("seed-load", format!("{lead}: {message}"))
        .at(&node.at, "")
        .help("values stand between commas, or what `delimiter` says; text with one of them in it stands in double quotes")
}

/// The line that DuckDB names, and what it says of it.
fn line_of(error: &SqlError) -> (Option<usize>, String) {
    let parts: Vec<&str> = error.message.split("; ").collect();
    let line = parts.first().and_then(|first| first.strip_prefix("CSV Error on Line: "));
    match line.and_then(|line| line.trim().parse().ok()) {
        Some(line) => {
            let what = parts.iter().skip(1).find(|part| !part.starts_with("Original Line:"));
            (Some(line), lowered(what.copied().unwrap_or_default()))
        }
        None => (None, parts.first().copied().unwrap_or_default().to_owned()),
    }
}

/// DuckDB's sentence in Kiln's words.
fn lowered(text: &str) -> String {
    let quoted: Vec<&str> = text.split(['"', '\'']).skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [column, value, data_type] if text.starts_with("Error when converting column") => {
            format!("`{value}` does not fit into `{column}`, which is {data_type}")
        }
        _ => text.to_owned(),
    }
}

/// Bytes as people write them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Says of a seed that is too large to be one.
pub fn too_large(root: &Path, node: &Node) -> Option<Diagnostic> {
    let bytes = std::fs::metadata(root.join(&node.file.path)).ok()?.len();
    let most = node.config.max_size;
    (bytes > most).then(|| {
        let message =
            format!("the seed `{}` has {}, and a seed has at most {}", node.name, size(bytes), size(most));
        let enough = (bytes as f64 * 1.5 / 1e6).ceil();
        Diagnostic::error("seed-too-large", message)
            .at(&node.at, "")
            .help("a large file is a source: move it out of `seeds/`, declare it with `files:`, and read it in a raw model")
            .help(format!("or let it be one: `max_size: {enough}MB` in its configuration"))
    })
}

/// Says of a type that is declared for a column that is not there.
pub fn unknown_type_column(node: &Node, columns: &[ColumnType]) -> Option<Diagnostic> {
    let has = |name: &str| columns.iter().any(|found| found.name.eq_ignore_ascii_case(name));
    let column = node.config.column_types.keys().find(|column| !has(column))?;
    let message = format!("the seed `{}` has no column `{column}`", node.name);
    Some(
        Diagnostic::error("seed-column", message)
            .at(&node.at, "")
            .suggest(column, columns.iter().map(|found| found.name.as_str())),
    )
}
