//! The report as GitHub's workflow commands: one annotation for each finding, at the line that caused it.

use super::{Page, details, marked, one_line};
use crate::diff::{Finding, Severity};

/// The commands, one a line.
pub fn github(page: &Page<'_>) -> String {
    let mut text = String::new();
    for finding in &page.report.findings {
        text.push_str(&command(page, finding));
    }
    for unknown in &page.report.unknowns {
        let at = unknown.place.as_ref().map(|place| page.path(place));
        let file = at.map(|path| format!("file={},", property(&path))).unwrap_or_default();
        let message = format!("{} could not be compared: {}", unknown.subject, unknown.why);
        text.push_str(&format!("::warning {file}title=kiln unknown::{}\n", data(&message)));
    }
    for note in page.waivers.sorted() {
        let file = note.primary.iter().map(|(at, _)| {
            let (line, column) = at.line_col();
            format!("file={},line={line},col={column},", property(&(page.in_repository)(at.path())))
        });
        let file: String = file.collect();
        let message = [note.message.clone()].into_iter().chain(note.help.clone()).collect::<Vec<_>>();
        text.push_str(&format!("::warning {file}title={}::{}\n", note.code, data(&message.join("\n"))));
    }
    text
}

fn command(page: &Page<'_>, finding: &Finding) -> String {
    let level = match (&finding.waived, finding.severity) {
        (None, Severity::Error) => "error",
        (None, Severity::Warning) => "warning",
        _ => "notice",
    };
    let place = marked(finding).map(|place| {
        let (line, column) = place.at.line_col();
        let (end_line, end_column) = place.at.file.line_col(place.at.span.end);
        // GitHub refuses columns of an annotation over several lines.
        let columns = match line == end_line {
            true => format!("col={column},endColumn={end_column},"),
            false => String::new(),
        };
        format!("file={},line={line},endLine={end_line},{columns}", property(&page.path(place)))
    });
    let waived = if finding.waived.is_some() { "waived: " } else { "" };
    let title = property(&format!("{waived}{} {}", finding.rule.slug(), one_line(&finding.subject())));
    format!("::{level} {}title={title}::{}\n", place.unwrap_or_default(), data(&message(finding)))
}

/// What is said below the title: the message, who breaks, what to do.
fn message(finding: &Finding) -> String {
    let mut lines = vec![finding.message.clone()];
    if let (Some(old), Some(new)) = (&finding.old, &finding.new) {
        lines.push(format!("{old} → {new}"));
    }
    lines.extend(details(finding));
    lines.join("\n")
}

/// Text behind `::`: a line break would end the command.
pub(super) fn data(text: &str) -> String {
    text.trim_end().replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value, which commas and colons end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
