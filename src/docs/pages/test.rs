//! Tests of a page: what they found last, and before.

use serde_json::{Value, json};

use super::grouped;
use crate::docs::data::StatusWord;
use crate::docs::facts::{Facts, NodeFacts};
use crate::docs::site::{Hide, Samples};
use crate::docs::state::ResultRow;
use crate::docs::status::is_of_contract;
use crate::manifest::{Test, TestKind, TestSeverity};

/// All data tests of a node.
pub(super) fn tests(facts: &Facts<'_>, hide: &Hide, node: &NodeFacts<'_>) -> Vec<Value> {
    (1..).zip(&node.tests).map(|(place, test)| one(facts, hide, node, place, test)).collect()
}

fn one(facts: &Facts<'_>, hide: &Hide, node: &NodeFacts<'_>, place: u32, test: &Test) -> Value {
    let results = facts.results(test);
    let newest = results.first();
    // Oldest first: time goes to the right.
    let history: Vec<Value> = results
        .iter()
        .rev()
        .map(|result| json!({"word": word(Some(result)), "at": result.at, "found": found(result)}))
        .collect();
    // What DuckDB says of a test that could not run may quote a value.
    let message = newest
        .and_then(|result| result.message.as_ref())
        .filter(|_| hide.samples == Samples::Show)
        .map(|message| facts.masked(message));
    json!({
        "place": place,
        "name": facts.masked(&test.name),
        "short": facts.masked(&short(test)),
        "column": test.column.as_ref().map(|column| facts.masked(column)),
        "word": word(newest),
        "at": newest.map(|result| &result.at),
        "found": newest.map(found),
        "message": message,
        "history": history,
        "declared": facts.masked(&test.at.to_string()),
        "severity": if test.config.severity == TestSeverity::Warn { "warn" } else { "error" },
        "contract": is_of_contract(node, test),
    })
}

/// What a test is called by people: `unique`, `accepted_values`, a promise under its own name.
pub(super) fn short(test: &Test) -> String {
    match &test.kind {
        TestKind::Generic { name, .. } => name.rsplit('.').next().unwrap_or(name).to_owned(),
        TestKind::Singular { .. } => test.name.clone(),
        TestKind::Contract(rule) => {
            let model = test.node.as_ref().map(|node| format!("contract_{}_", node.short()));
            let own = model.and_then(|model| test.name.strip_prefix(&model)).unwrap_or(&test.name);
            format!("{own}: {}", rule.promise)
        }
    }
}

/// A result's status.
pub(super) fn word(result: Option<&ResultRow>) -> StatusWord {
    let (key, label, sign) = match result.map(|result| result.status.as_str()) {
        Some("pass") => ("ok", "passed", "✓"),
        Some("warn") => ("warned", "warned", "!"),
        Some("fail") => ("failed", "failed", "✗"),
        Some(_) => ("failed", "could not run", "✗"),
        None => ("none", "not run", "–"),
    };
    StatusWord { key, label, sign }
}

/// What a result counted: `2 of 238 rows`.
fn found(result: &ResultRow) -> String {
    let number = |value: i64| match value {
        0.. => grouped(value.unsigned_abs()),
        below => below.to_string(),
    };
    match (result.failures, result.rows) {
        (Some(0) | None, _) => String::new(),
        (Some(failures), Some(rows)) => format!("{} of {} rows", number(failures), number(rows)),
        (Some(failures), None) => number(failures),
    }
}
