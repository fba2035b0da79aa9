//! The report as SARIF 2.1.0, for code scanning. Waived findings are suppressed results.

use serde_json::{Value, json};

use super::{Page, Proposal, marked, owed, proof};
use crate::diagnostic::Location;
use crate::diff::{Finding, Place, Rule, Severity};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The log, with one run.
pub fn sarif(page: &Page<'_>) -> String {
    let rules: Vec<Value> = Rule::ALL.iter().map(|rule| described(*rule)).collect();
    let results: Vec<Value> = page.report.findings.iter().map(|finding| result(page, finding)).collect();
    let unknowns = page.report.unknowns.iter().map(|unknown| {
        let text = format!("{} could not be compared: {}", unknown.subject, unknown.why);
        let places = unknown.place.iter().map(|place| location(page, &place.at, None));
        json!({"level": "warning", "message": {"text": text}, "locations": places.collect::<Vec<_>>()})
    });
    let waivers = page.waivers.sorted().into_iter().map(|note| {
        let places = note.primary.iter().map(|(at, _)| location(page, at, None));
        json!({
            "level": "warning",
            "descriptor": {"id": note.code},
            "message": {"text": note.message},
            "locations": places.collect::<Vec<_>>(),
        })
    });
    let notifications: Vec<Value> = unknowns.chain(waivers).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "kiln",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "automationDetails": {"id": "kiln/diff/"},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": page.proposal == Proposal::Sound,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
            "properties": {
                "base": page.report.base,
                "mode": page.report.mode.to_string(),
                "blocked": page.is_blocked(),
            },
        }],
    });
    format!("{log:#}\n")
}

fn described(rule: Rule) -> Value {
    json!({
        "id": rule.slug(),
        "name": rule.id(),
        "shortDescription": {"text": rule.description()},
        "defaultConfiguration": {"level": level(rule.default_severity())},
        "properties": {"bump": rule.default_bump(), "protects": rule.protects()},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
        Severity::Off => "none",
    }
}

fn result(page: &Page<'_>, finding: &Finding) -> Value {
    let main = marked(finding);
    let related: Vec<&Place> = finding
        .places
        .iter()
        .filter(|place| Some(*place) != main)
        .chain(finding.breaks.iter().filter_map(|broken| broken.place.as_ref()))
        .collect();
    let related: Vec<Value> = related
        .into_iter()
        .enumerate()
        .map(|(index, place)| {
            let mut value =
                location(page, &place.at, Some(format!("{} ({})", place.label, place.side.as_str())));
            value["id"] = index.into();
            value
        })
        .collect();
    let suppressions: Vec<Value> = finding
        .waived
        .iter()
        .map(|waived| {
            let mut value = json!({"kind": "external", "status": "accepted", "justification": waived.reason});
            if let Some(place) = &waived.place {
                value["location"] = location(page, &place.at, None);
            }
            value
        })
        .collect();
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    json!({
        "ruleId": finding.rule.slug(),
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": {"text": message(finding)},
        "locations": main.iter().map(|place| location(page, &place.at, None)).collect::<Vec<_>>(),
        "relatedLocations": related,
        "partialFingerprints": {"kilnChange/v1": finding.fingerprint().as_str()},
        "baselineState": "new",
        "suppressions": suppressions,
        "properties": {
            "model": finding.model,
            "column": finding.column,
            "old": finding.old,
            "new": finding.new,
            "bump": finding.bump,
            "breaks": finding.breaks.iter().map(|broken| &broken.name).collect::<Vec<_>>(),
        },
    })
}

fn message(finding: &Finding) -> String {
    let mut lines = vec![finding.message.clone()];
    lines.extend(owed(finding));
    for broken in &finding.breaks {
        lines.push(format!("breaks {} ({}): {}", broken.name, broken.certainty.as_str(), broken.how));
    }
    lines.extend(finding.why.iter().cloned());
    lines.extend(proof(finding));
    lines.extend(finding.help.iter().cloned());
    lines.join("\n")
}

fn location(page: &Page<'_>, at: &Location, message: Option<String>) -> Value {
    let (line, column) = at.line_col();
    let (end_line, end_column) = at.file.line_col(at.span.end);
    let uri = percent((page.in_repository)(at.path()).as_str());
    let mut value = json!({"physicalLocation": {"artifactLocation": {"uri": uri}}});
    // A place that is a whole file has no text, and no region.
    if !at.file.text.is_empty() {
        value["physicalLocation"]["region"] = json!({
            "startLine": line,
            "startColumn": column,
            "endLine": end_line,
            "endColumn": end_column,
        });
    }
    if let Some(message) = message {
        value["message"] = json!({"text": message});
    }
    value
}

/// A path as the path of a URI.
fn percent(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte as char)
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
