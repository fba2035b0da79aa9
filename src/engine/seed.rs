//! Seeds: CSV files of the project as queries, the same for a build and for a look at their columns.

use std::ops::Range;
use std::path::Path;

use super::explain::lowered;
use super::session::{ColumnType, SqlError};
use crate::diagnostic::{Diagnostic, Location, SourceFile};
use crate::manifest::Node;
use crate::resolve::misshapen;
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
    // DuckDB guesses, and takes an apostrophe or a `#` for more than it is. Without `skip` it takes a later line for the head
    // where an earlier one does not fit; not being strict, it reads lines that end in different ways. Both rely on
    // `malformed` having looked at the file before.
    format!(
        "SELECT * FROM read_csv({}, header = true, skip = 0, strict_mode = false, delim = {}, quote = '\"', escape = '\"', comment = '', nullstr = '', \
         sample_size = -1{types})",
        literal(&path.to_string_lossy()),
        literal(&node.config.delimiter),
    )
}

/// What is wrong with the rows of a seed, at its place.
pub fn malformed(root: &Path, node: &Node) -> Option<Diagnostic> {
    const MARK: char = '\u{feff}';
    // What is not UTF-8 is told by DuckDB, with the line.
    let text = std::fs::read_to_string(root.join(&node.file.path)).ok()?;
    let (delimiter, skipped) = (&node.config.delimiter, text.len() - text.trim_start_matches(MARK).len());
    let file = SourceFile::new(node.file.path.clone(), text);
    let place = |range: Range<usize>| Location::new(&file, range.start + skipped..range.end + skipped);
    let rows = &file.text[skipped..];
    if let Some(problem) = misshapen(rows, delimiter, &place) {
        let message = format!("the seed `{}` did not load: {}", node.name, problem.message);
        return Some(Diagnostic { code: "seed-load", message, ..problem });
    }
    let head = rows.lines().next().unwrap_or_default();
    let other = [";", "\t", "|"].into_iter().find(|other| head.contains(other))?;
    (!head.contains(delimiter.as_str())).then(|| {
        let message = format!("the seed `{}` has one column, `{}`", node.name, head.replace('\t', " "));
        let other = other.replace('\t', "\\t");
        Diagnostic::error("seed-load", message).at(&place(0..head.len()), "").help(format!(
            "say what stands between its values: `delimiter: \"{other}\"` in its configuration"
        ))
    })
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
        let help = match what.contains("not utf-8") {
            true => "save the file as UTF-8",
            false => "mend the line, or declare the column's type with `column_types`",
        };
        return Diagnostic::error("seed-load", format!("{lead}: {what}"))
            .at(&Location::new(&file, start..end), "")
            .help(help);
    }
    if let Some(data_type) = what.strip_prefix("Type with name ").and_then(|rest| rest.split(' ').next()) {
        let names =
            |(_, declared): &(&String, &String)| declared.to_lowercase().contains(&data_type.to_lowercase());
        let column = node.config.column_types.iter().find(names).map_or("", |(column, _)| column);
        let message =
            format!("{lead}: DuckDB has no type `{data_type}`, which `column_types` says of `{column}`");
        return Diagnostic::error("seed-column", message).at(&node.at, "");
    }
    if what.starts_with("COLUMN_TYPES error") {
        let head = file.text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
        let columns = head.split(node.config.delimiter.as_str()).map(|name| ColumnType {
            name: name.trim().trim_matches('"').to_owned(),
            data_type: String::new(),
        });
        if let Some(problem) = unknown_type_column(node, &columns.collect::<Vec<_>>()) {
            return problem;
        }
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
            (Some(line), spoken(what.copied().unwrap_or_default()))
        }
        None => (None, parts.first().copied().unwrap_or_default().to_owned()),
    }
}

/// DuckDB's sentence in Kiln's words.
fn spoken(text: &str) -> String {
    let quoted: Vec<&str> = text.split(['"', '\'']).skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [column, value, data_type] if text.starts_with("Error when converting column") => {
            format!("`{value}` does not fit into `{column}`, which is {data_type}")
        }
        _ => lowered(text),
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
    let names = || columns.iter().map(|found| found.name.as_str());
    let has = |name: &str| names().any(|found| found.eq_ignore_ascii_case(name));
    let column = node.config.column_types.keys().find(|column| !has(column))?;
    let message = format!("`column_types` names `{column}`, and the seed `{}` has no such column", node.name);
    let diagnostic = Diagnostic::error("seed-column", message).at(&node.at, "").suggest(column, names());
    Some(diagnostic.help(format!("its columns are: {}", names().collect::<Vec<_>>().join(", "))))
}
