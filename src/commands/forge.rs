//! The forge: what GitHub Actions reads. Commands on stderr that mark lines of a pull request, and a page in Markdown.

use std::io::Write;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Location, Severity};

use super::terminal::{Forge, Terminal};

/// Marks a diagnostic's line.
pub fn diagnostic(terminal: &Terminal, project: &Path, diagnostic: &Diagnostic) {
    let help: String = diagnostic.help.iter().map(|help| format!("\nhelp: {help}")).collect();
    let place = diagnostic.primary.as_ref().map(|(at, _)| at);
    mark(
        terminal,
        level(diagnostic.severity),
        project,
        place,
        diagnostic.code,
        &format!("{}{help}", diagnostic.message),
    );
}

/// Marks the line that declared a test, how bad its verdict is.
pub fn test(terminal: &Terminal, project: &Path, (severity, at): (Severity, &Location), message: &str) {
    mark(terminal, level(severity), project, Some(at), "test", message);
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    }
}

/// An error without a place.
pub fn error(terminal: &Terminal, message: &str) {
    mark(terminal, "error", Path::new("."), None, "kiln", message);
}

fn mark(terminal: &Terminal, level: &str, project: &Path, at: Option<&Location>, title: &str, message: &str) {
    if terminal.forge != Forge::GitHub {
        return;
    }
    let place = at.map_or(String::new(), |at| {
        let (line, column) = at.line_col();
        format!("file={},line={line},col={column},", property(&in_repository(project, at.path())))
    });
    terminal.stderr(&format!("::{level} {place}title={}::{}\n", property(title), escaped(message)));
}

/// A file's path from the repository's root, which is where the annotation looks for it.
pub fn in_repository(project: &Path, path: &Path) -> String {
    let whole = project.canonicalize().unwrap_or_else(|_| project.to_owned()).join(path);
    let root = std::env::var_os("GITHUB_WORKSPACE").map(std::path::PathBuf::from);
    let root = root.and_then(|root| root.canonicalize().ok()).or_else(|| std::env::current_dir().ok());
    let relative = root.and_then(|root| whole.strip_prefix(root).map(Path::to_owned).ok());
    relative.unwrap_or_else(|| path.to_owned()).to_string_lossy().replace('\\', "/")
}

fn escaped(text: &str) -> String {
    text.trim_end().replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

/// Adds Markdown to the job's page, if there is one.
pub fn summary(terminal: &Terminal, markdown: &str) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|_| terminal.forge == Forge::GitHub)
    else {
        return;
    };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    // A page that cannot be written is no reason to fail a run that did its work.
    let _ = file.and_then(|mut file| file.write_all(terminal.for_file(markdown).as_bytes()));
}
