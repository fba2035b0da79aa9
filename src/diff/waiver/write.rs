//! Waivers as text: what `kiln waive` adds to a file, and the stubs of `--format waiver`.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::apply::missing;
use super::{DIGITS, Waiver};
use crate::diagnostic::{Located, Location};
use crate::diff::Finding;
use crate::manifest::Object;
use crate::yaml::write::{Remarks, list_document};

/// What people say in a waiver.
#[derive(Debug, Clone)]
pub struct StubText<'a> {
    /// Why.
    pub reason: &'a str,
    /// Who agreed.
    pub approved_by: &'a [String],
    /// The last day on which it holds.
    pub expires: Date,
}

/// The entry for a finding.
pub fn entry(finding: &Finding, text: &StubText<'_>) -> Object {
    let mut entry = Map::new();
    entry.insert("rule".into(), finding.rule.slug().into());
    entry.insert("model".into(), finding.model.clone().into());
    if let Some(column) = &finding.column {
        entry.insert("column".into(), column.clone().into());
    }
    if let Some(version) = &finding.version_old {
        entry.insert("from".into(), version.clone().into());
    }
    entry.insert("fingerprint".into(), finding.fingerprint().as_str()[..DIGITS].into());
    entry.insert("reason".into(), text.reason.into());
    entry.insert("approved_by".into(), json!(text.approved_by));
    entry.insert("expires".into(), text.expires.to_string().into());
    entry
}

/// Waivers for findings as a file's text, with a remark where somebody has to agree yet.
pub fn stubs<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    text: &StubText<'_>,
    deciders: &BTreeMap<String, Vec<String>>,
) -> String {
    let mut entries = Vec::new();
    let mut remarks = Remarks::new();
    for (index, finding) in findings.into_iter().enumerate() {
        let waiting = missing(&unplaced(finding, text), finding, deciders.get(&finding.model));
        if !waiting.is_empty() {
            remarks.insert(format!("/{index}/approved_by"), format!("needs {}", waiting.join(", ")));
        }
        if text.reason.is_empty() {
            remarks.insert(format!("/{index}/reason"), "say why".to_owned());
        }
        entries.push(Value::Object(entry(finding, text)));
    }
    list_document(&entries, &remarks)
}

impl StubText<'_> {
    /// Whose agreement a waiver of a finding would lack.
    pub fn missing(&self, finding: &Finding, deciders: &BTreeMap<String, Vec<String>>) -> Vec<String> {
        missing(&unplaced(finding, self), finding, deciders.get(&finding.model))
    }
}

fn unplaced(finding: &Finding, text: &StubText<'_>) -> Waiver {
    let at = Location::whole_file("");
    let located = |value: String| Located::new(value, at.clone());
    Waiver {
        rule: Located::new(finding.rule, at.clone()),
        model: located(finding.model.clone()),
        column: finding.column.clone().map(located),
        from: None,
        fingerprint: located(finding.fingerprint().as_str().to_owned()),
        reason: text.reason.to_owned(),
        approved_by: text.approved_by.to_vec(),
        expires: Located::new(text.expires, at.clone()),
        at: at.clone(),
    }
}
