//! The report as JSON, for programs. The form is versioned: keys are added within a version, and never change meaning.

use serde_json::{Value, json as object};

use super::{Page, Proposal, marked};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::diff::{Finding, Rule, Severity};

/// The version of the form.
pub const VERSION: u32 = 1;

/// One object, ending in a newline.
pub fn json(page: &Page<'_>) -> String {
    let report = page.report;
    let findings: Vec<Value> = report.findings.iter().map(|finding| finding_value(page, finding)).collect();
    let mut counts = serde_json::Map::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        counts.insert(severity.as_str().to_owned(), report.count(severity).into());
    }
    let waived = report.findings.iter().filter(|finding| finding.waived.is_some()).count();
    counts.insert("waived".to_owned(), waived.into());
    counts.insert("unknown".to_owned(), report.unknowns.len().into());
    let whole = object!({
        "version": VERSION,
        "base": report.base,
        "proposed": report.proposed,
        "mode": report.mode.to_string(),
        "fail_on": page.fail_on,
        "blocked": page.is_blocked(),
        "checked": page.proposal == Proposal::Sound,
        "counts": counts,
        "findings": findings,
        "unknowns": report.unknowns,
        "waivers": notes(page.waivers),
        "models": report.models,
        "compared": report.compared,
        "unchanged_contracts": report.unchanged_contracts,
        "documented_only": report.documented_only,
    });
    format!("{whole:#}\n")
}

fn finding_value(page: &Page<'_>, finding: &Finding) -> Value {
    let mut value = object!(finding);
    value["id"] = finding.rule.id().into();
    value["fingerprint"] = finding.fingerprint().as_str().into();
    value["counts"] = finding.counts(page.fail_on).into();
    value["path"] = marked(finding).map(|place| page.path(place)).into();
    value
}

/// What there is to say about waivers.
fn notes(diagnostics: &Diagnostics) -> Vec<Value> {
    let note = |found: &Diagnostic| {
        let at = found.primary.as_ref().map(|(at, _)| at.to_string());
        object!({"code": found.code, "message": found.message, "at": at, "help": found.help})
    };
    diagnostics.sorted().into_iter().map(note).collect()
}

/// All rules as JSON, with the severity that each has in a project.
pub fn rules_json(severity: &dyn Fn(Rule) -> Severity) -> String {
    let rule = |rule: &Rule| {
        object!({
            "rule": rule.slug(),
            "id": rule.id(),
            "severity": severity(*rule),
            "default_severity": rule.default_severity(),
            "bump": rule.default_bump(),
            "protects": rule.protects(),
            "description": rule.description(),
        })
    };
    let rules: Vec<Value> = Rule::ALL.iter().map(rule).collect();
    format!("{:#}\n", object!({"version": VERSION, "rules": rules}))
}
