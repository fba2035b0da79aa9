//! Verdicts: whether an error of the binder is a mistake in the SQL, or something that cannot be known without data.

use std::path::{Component, Path};

use crate::diagnostic::{Diagnostic, Location};
use crate::engine::session::SqlError;

/// Why nothing is known of SQL that reads files.
pub(super) const OUT_OF_REACH: &str = "it reads files or the network itself, which is closed here";

/// What an error of the binder means for a model.
pub(super) enum Verdict {
    /// The SQL is wrong.
    Wrong,
    /// It reads a relation that the shadow does not have.
    NoTable(String),
    /// It reads what cannot be reached while compiling.
    OutOfReach(String),
    /// It reads this file or address, which is not in the project.
    Outside(String),
    /// A value was met that the SQL cannot take.
    Value,
}

/// Judges an error about SQL of the project in a folder.
pub(super) fn judge(error: &SqlError, root: &Path) -> Verdict {
    let (class, text) = (error.class.to_lowercase(), error.message.as_str());
    let quoted = || text.split('"').nth(1).unwrap_or_default().to_owned();
    match class.as_str() {
        "catalog" => {
            if text.contains("is not in the catalog, but it exists in the") || text.contains("extension") {
                return Verdict::OutOfReach(format!("it needs an extension: {}", first(text)));
            }
            if text.starts_with("Table with name \"") {
                return Verdict::NoTable(quoted());
            }
            match text.strip_prefix("Table with name ") {
                Some(rest) => {
                    Verdict::NoTable(rest.split(" does not exist").next().unwrap_or(rest).to_owned())
                }
                None => Verdict::Wrong,
            }
        }
        "binder" if text.starts_with("Catalog \"") => Verdict::NoTable(quoted()),
        "binder" | "parser" | "syntax" => Verdict::Wrong,
        "permission" if text.starts_with("Cannot access") && leads_out(&quoted(), root) => {
            Verdict::Outside(quoted())
        }
        "permission" | "io" | "http" => Verdict::OutOfReach(OUT_OF_REACH.into()),
        "missing extension" | "autoload" => {
            Verdict::OutOfReach(format!("it needs an extension: {}", first(text)))
        }
        _ => Verdict::Value,
    }
}

/// Whether a path that SQL names is an address, or that of a file outside of a folder.
fn leads_out(path: &str, root: &Path) -> bool {
    let written = Path::new(path);
    path.contains("://")
        || path.starts_with('~')
        || (written.is_absolute() && !written.starts_with(root))
        || written.components().any(|part| part == Component::ParentDir)
}

/// What is said of SQL that reads outside of the project.
pub(super) fn outside(lead: &str, path: &str, place: &Location) -> Diagnostic {
    Diagnostic::error("reads-outside", format!("{lead} reads `{path}`, which is outside of the project"))
        .at(place, "")
        .help("declare it as a source with `files:` and read it with `source()`, so that it is known what is read")
        .help("to allow it, write `severities: {reads-outside: off}` in kiln.yml")
}

fn first(text: &str) -> &str {
    text.split("; ").next().unwrap_or(text)
}
