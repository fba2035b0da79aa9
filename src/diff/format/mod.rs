//! A report as text for people and for machines. Everything here gives a string and prints nothing.
//!
//! Names, reasons and messages come from files that a stranger may have written: each format escapes them in one
//! function of its own.

mod github;
mod gitlab;
mod json;
mod junit;
mod markdown;
mod mermaid;
mod sarif;
#[cfg(test)]
mod tests;
mod text;

use std::path::Path;

use super::{Finding, Place, Report, Severity, Side};
use crate::contract::Version;
use crate::diagnostic::Diagnostics;
use crate::words::number;

pub use github::github;
pub use gitlab::gitlab;
pub use json::{VERSION, json, rules_json};
pub use junit::junit;
pub use markdown::{MARKER, markdown};
pub use sarif::sarif;
pub use text::text;

/// A report with what is needed to show it.
pub struct Page<'a> {
    /// What was found.
    pub report: &'a Report,
    /// The severity from which on a finding counts.
    pub fail_on: Severity,
    /// What there is to say about waivers that do not count.
    pub waivers: &'a Diagnostics,
    /// What depends on the report.
    pub gate: Gate,
    /// Whether the proposal could be judged.
    pub proposal: Proposal,
    /// What the proposal is compared with, as `--base` takes it.
    pub base: &'a str,
    /// Where a file of the project is, from the root of the repository.
    pub in_repository: &'a dyn Fn(&Path) -> String,
}

/// What a finding that counts stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// A merge: `kiln diff`.
    Merge,
    /// A publish: `kiln run`.
    Publish,
}

/// Whether a proposal could be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposal {
    /// All of it.
    Sound,
    /// A model of it does not compile, so silence about it means nothing.
    Broken,
}

impl Page<'_> {
    /// Whether something counts.
    pub fn is_blocked(&self) -> bool {
        self.report.exit_code(self.fail_on) != 0
    }

    /// The last line: whether to go on.
    fn verdict(&self) -> String {
        let count = self.report.failing(self.fail_on).count();
        let findings = if count == 1 { "finding" } else { "findings" };
        match (count, self.gate) {
            _ if self.proposal == Proposal::Broken => "not checked: the proposal does not compile".to_owned(),
            (0, _) if self.report.findings.is_empty() => {
                "ok: no change that a reader could notice".to_owned()
            }
            (0, _) => format!("ok: no finding counts at `{}`", self.fail_on.as_str()),
            (_, Gate::Merge) => {
                format!("blocked: {count} {findings} at or above `{}`", self.fail_on.as_str())
            }
            (_, Gate::Publish) => {
                format!(
                    "blocked: nothing was published, {count} {findings} at or above `{}`",
                    self.fail_on.as_str()
                )
            }
        }
    }

    /// How many there are of each kind: `1 error, 2 warnings, 1 waived`.
    fn counts(&self) -> Vec<String> {
        let mut counts = Vec::new();
        for (severity, one, many) in [
            (Severity::Error, "error", "errors"),
            (Severity::Warning, "warning", "warnings"),
            (Severity::Note, "note", "notes"),
        ] {
            counts.extend(counted(self.report.count(severity), one, many));
        }
        let waived = self.report.findings.iter().filter(|finding| finding.waived.is_some()).count();
        counts.extend(counted(waived, "waived", "waived"));
        let proofs = self.report.findings.iter().filter(|finding| finding.proof.is_some()).count();
        counts.extend(counted(proofs, "proof", "proofs"));
        counts.extend(counted(self.report.unknowns.len(), "unknown", "unknown"));
        counts
    }

    /// Where a place is, from the root of the repository.
    fn path(&self, place: &Place) -> String {
        (self.in_repository)(place.at.path())
    }
}

fn counted(count: usize, one: &str, many: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
}

/// The place that a tool should mark: one in the proposal, since the base's files need not exist any more.
fn marked(finding: &Finding) -> Option<&Place> {
    finding.places.iter().find(|place| place.side == Side::Proposed).or(finding.places.first())
}

/// The version that is owed, beside the one that is declared; nothing without a contract.
fn owed(finding: &Finding) -> Option<String> {
    let needed = finding.version_needed.as_deref()?;
    let declared = finding.version_new.as_deref()?;
    let enough = match (Version::parse(needed), Version::parse(declared)) {
        (Some(needed), Some(declared)) => declared >= needed,
        _ => false,
    };
    Some(match enough {
        true => format!("{declared} is enough"),
        false => format!("needs {needed} (declared {declared})"),
    })
}

/// What a finding says about the published data, in words.
fn proof(finding: &Finding) -> Option<String> {
    let proof = finding.proof.as_ref()?;
    let (rows, broken) = (number(proof.rows), number(proof.violations));
    Some(match proof.violations {
        0 => format!("0 of {rows} published rows break it: safe to promise"),
        _ => format!("{broken} of {rows} published rows break it"),
    })
}

/// What there is to say below a finding's message, a line each: what is owed, who breaks, why, what to do.
fn details(finding: &Finding) -> Vec<String> {
    let broken = finding.breaks.iter().map(|broken| {
        let owner = broken.owner.as_ref().and_then(|owner| owner.email.as_ref().or(owner.name.as_ref()));
        let owner = owner.map(|who| format!(", owner {who}")).unwrap_or_default();
        format!("breaks {} ({}{owner}): {}", broken.name, broken.certainty.as_str(), broken.how)
    });
    let waived = finding.waived.iter().map(|waived| format!("waived: {}", waived.reason));
    let help = finding.help.iter().map(|help| format!("help: {help}"));
    let lines = owed(finding).into_iter().chain(broken).chain(finding.why.iter().cloned());
    lines.chain(proof(finding)).chain(waived).chain(help).collect()
}

/// How a waiver for a finding is asked for, to be pasted into a shell.
fn waive_command(page: &Page<'_>, finding: &Finding) -> String {
    let (base, subject) = (shell_word(page.base), shell_word(&finding.subject()));
    format!("kiln waive --base {base} --rule {} {subject} --reason '...'", finding.rule.slug())
}

fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./@:=+-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Text on one line, without anything that a terminal would obey.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}
