//! Which findings are waived: a waiver counts where it names the very change, has not expired, and everybody agreed whose
//! agreement it needs.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use super::Waiver;
use crate::contract::Contract;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::diff::{Finding, Place, Protects, Report, Severity, Side, Waived};

/// How the help begins that a finding gets from a waiver that does not count yet.
pub const WAIVER_AT: &str = "the waiver at";

/// Marks the findings of a report that are waived, and says of each waiver that does not count why it does not.
/// `deciders` are those who may agree for all readers of a model, by the model's name.
pub fn apply(
    report: &mut Report,
    waivers: &[Waiver],
    deciders: &BTreeMap<String, Vec<String>>,
    today: Date,
) -> Diagnostics {
    let mut said = Diagnostics::new();
    for waiver in waivers {
        let expired = waiver.expires.value < today;
        let mut used = false;
        for finding in report.findings.iter_mut().filter(|finding| is_for(waiver, finding)) {
            used = true;
            if expired {
                let message = format!("this waiver expired on {} and is not applied", waiver.expires.value);
                said.push(
                    Diagnostic::warning("waiver-expired", message)
                        .at(&waiver.expires.at, "")
                        .help("ask again, and write a later day when everybody agrees"),
                );
                finding.help.push(format!("{WAIVER_AT} {} has expired", waiver.at));
                continue;
            }
            let missing = missing(waiver, finding, deciders.get(&finding.model));
            if !missing.is_empty() {
                let missing = missing.join("`, `");
                let mut warning = Diagnostic::warning(
                    "waiver-approval",
                    format!("this waiver is not applied: it needs the approval of `{missing}`"),
                )
                .at(&waiver.rule.at, "")
                .help("add them to `approved_by` when they agree");
                if let Some(names) = deciders.get(&finding.model).filter(|names| !names.is_empty()) {
                    warning = warning.help(format!(
                        "or one who decides for `{}`: {}",
                        finding.model,
                        names.join(", ")
                    ));
                }
                said.push(warning);
                finding.help.push(format!("{WAIVER_AT} {} needs the approval of `{missing}`", waiver.at));
                continue;
            }
            if finding.waived.is_none() {
                finding.waived = Some(Waived {
                    reason: waiver.reason.clone(),
                    approved_by: waiver.approved_by.clone(),
                    expires: Some(waiver.expires.value.to_string()),
                    place: Some(Place {
                        label: "waiver".to_owned(),
                        side: Side::Proposed,
                        at: waiver.rule.at.clone(),
                    }),
                });
            }
        }
        if !used {
            said.push(unused(report, waiver, expired));
        }
    }
    said
}

/// Whether a waiver is for this finding and no other.
fn is_for(waiver: &Waiver, finding: &Finding) -> bool {
    let version = || match (&waiver.from, &finding.version_old) {
        (Some(from), Some(version)) => from.value == *version,
        (Some(_), None) => false,
        (None, _) => true,
    };
    is_about(waiver, finding)
        && finding.fingerprint().as_str().starts_with(&waiver.fingerprint.value)
        && version()
}

/// Whether a waiver names a finding's rule, model and column.
fn is_about(waiver: &Waiver, finding: &Finding) -> bool {
    waiver.rule.value == finding.rule
        && waiver.model.value == finding.model
        && waiver.column.as_ref().map(|column| &column.value) == finding.column.as_ref()
}

fn unused(report: &Report, waiver: &Waiver, expired: bool) -> Diagnostic {
    let near = report.findings.iter().find(|finding| is_about(waiver, finding));
    match near {
        Some(finding) => {
            let same_change = finding.fingerprint().as_str().starts_with(&waiver.fingerprint.value);
            let (message, at) = match (&waiver.from, same_change) {
                (Some(from), true) => {
                    let now = finding.version_old.as_deref().unwrap_or("no contract");
                    (
                        format!("this waiver starts from version {} and the base has {now}", from.value),
                        &from.at,
                    )
                }
                _ => (
                    "this waiver is for another change than the one that is made now".to_owned(),
                    &waiver.fingerprint.at,
                ),
            };
            Diagnostic::warning("waiver-unused", message).at(at, "").help(format!(
                "`kiln waive --rule {} {}` writes one for the change as it is now",
                finding.rule.slug(),
                finding.subject()
            ))
        }
        None if expired => {
            let message = format!("this waiver expired on {}, and nothing needs it", waiver.expires.value);
            Diagnostic::warning("waiver-expired", message).at(&waiver.expires.at, "").help("remove it")
        }
        None => {
            let message = format!("nothing needs the waiver of `{}`", waiver.subject());
            Diagnostic::warning("waiver-unused", message)
                .at(&waiver.rule.at, "")
                .help("remove it when the change is published everywhere")
        }
    }
}

/// Whose agreement a waiver lacks: the owner of each reader that breaks, unless somebody agreed who decides for the model.
/// A change of what is protected needs somebody's in any case.
pub(super) fn missing(waiver: &Waiver, finding: &Finding, deciders: Option<&Vec<String>>) -> Vec<String> {
    let agreed = |name: &str| waiver.approved_by.iter().any(|by| by.trim().eq_ignore_ascii_case(name.trim()));
    if deciders.is_some_and(|names| names.iter().any(|name| agreed(name))) {
        return Vec::new();
    }
    let mut missing: Vec<String> = Vec::new();
    for (name, email) in owners(finding) {
        let covered = [&name, &email].into_iter().flatten().any(|who| agreed(who));
        let asked = email.or(name);
        if let (false, Some(who)) = (covered, asked)
            && !missing.contains(&who)
        {
            missing.push(who);
        }
    }
    let guarded = finding.rule.protects() == Protects::Policy && finding.severity >= Severity::Warning;
    if missing.is_empty() && guarded && waiver.approved_by.is_empty() {
        missing.push(match deciders.and_then(|names| names.first()) {
            Some(name) => name.clone(),
            None => "whoever is responsible for the data".to_owned(),
        });
    }
    missing
}

fn owners(finding: &Finding) -> impl Iterator<Item = (Option<String>, Option<String>)> {
    let owners = finding.breaks.iter().filter_map(|broken| broken.owner.as_ref());
    owners.map(|owner| (owner.name.clone(), owner.email.clone()))
}

/// Those whom contracts name to decide about a model: the approvers of its roles, and the roles themselves.
pub fn deciders<'a>(contracts: impl IntoIterator<Item = &'a Contract>) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for contract in contracts {
        let mut names: Vec<String> = Vec::new();
        let roles = contract.roles.as_array().map(Vec::as_slice).unwrap_or_default();
        for role in roles {
            for key in ["firstLevelApprovers", "secondLevelApprovers", "role"] {
                let texts = match role.get(key) {
                    Some(Value::String(text)) => vec![text.as_str()],
                    Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
                    _ => Vec::new(),
                };
                let each = texts.iter().flat_map(|text| text.split([',', ';'])).map(str::trim);
                for name in each.filter(|name| !name.is_empty()) {
                    if !names.iter().any(|known| known == name) {
                        names.push(name.to_owned());
                    }
                }
            }
        }
        if !names.is_empty() {
            all.insert(contract.model.value.clone(), names);
        }
    }
    all
}
