//! The report as GitLab's code quality report, which a merge request shows beside the lines.

use serde_json::{Value, json};

use super::{Page, marked, one_line};
use crate::diff::{Finding, Severity};

/// One list. Waived findings are told as information.
pub fn gitlab(page: &Page<'_>) -> String {
    let issues: Vec<Value> = page.report.findings.iter().map(|finding| issue(page, finding)).collect();
    format!("{:#}\n", Value::Array(issues))
}

fn issue(page: &Page<'_>, finding: &Finding) -> Value {
    let severity = match (&finding.waived, finding.severity) {
        (None, Severity::Error) => "critical",
        (None, Severity::Warning) => "minor",
        _ => "info",
    };
    let place = marked(finding);
    let path = place.map_or_else(|| "kiln.yml".to_owned(), |place| page.path(place));
    let line = place.map_or(1, |place| place.at.line_col().0);
    let waived = finding.waived.iter().map(|waived| format!(" (waived: {})", waived.reason));
    json!({
        "description": one_line(&format!("{}{}", finding.message, waived.collect::<String>())),
        "check_name": finding.rule.slug(),
        "fingerprint": finding.fingerprint().as_str(),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": line}},
    })
}
