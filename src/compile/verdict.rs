//! Verdicts: whether an error of the binder is a mistake in the SQL, or something that cannot be known without data.

use crate::engine::session::SqlError;

/// What an error of the binder means for a model.
pub(super) enum Verdict {
    /// The SQL is wrong.
    Wrong,
    /// It reads a relation that the shadow does not have.
    NoTable(String),
    /// It reads what cannot be reached while compiling.
    OutOfReach(String),
    /// A value was met that the SQL cannot take.
    Value,
}

/// Judges an error.
pub(super) fn judge(error: &SqlError) -> Verdict {
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
        "permission" | "io" | "http" => {
            Verdict::OutOfReach("it reads files or the network itself, which is closed here".into())
        }
        "missing extension" | "autoload" => {
            Verdict::OutOfReach(format!("it needs an extension: {}", first(text)))
        }
        _ => Verdict::Value,
    }
}

fn first(text: &str) -> &str {
    text.split("; ").next().unwrap_or(text)
}
