//! Seeds: CSV files of the project as queries, the same for a build and for a look at their columns.

use std::path::Path;

use super::session::{ColumnType, SqlError};
use crate::diagnostic::Diagnostic;
use crate::manifest::Node;
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
    // An empty field is NULL and nothing else is, as in dbt: the word NA may be a country.
    format!(
        "SELECT * FROM read_csv({}, header = true, delim = {}, nullstr = '', sample_size = -1{types})",
        literal(&path.to_string_lossy()),
        literal(&node.config.delimiter),
    )
}

/// What is wrong with a seed that could not be read.
pub fn unreadable(root: &Path, node: &Node, error: &SqlError) -> Diagnostic {
    let path = root.join(&node.file.path);
    let message = error.message.replace(&*path.to_string_lossy(), &node.file.path.to_string_lossy());
    Diagnostic::error("seed-load", format!("the seed `{}` did not load: {message}", node.name))
        .at(&node.at, "")
        .help("look at the line that it names, or declare the column's type with `column_types`")
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
