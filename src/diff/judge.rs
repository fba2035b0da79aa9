//! The judgement: how loud a change is, and which findings follow from others: versions and leaks.

use std::collections::BTreeMap;

use super::change::{Change, top};
use super::compare::Work;
use super::finding::{Broken, Certainty, ConsumerKind, Finding, Proof, Side};
use super::grade::{Bump, Severity};
use super::leak::leaks;
use super::origin::{Affected, is_schema};
use super::promise::Terms;
use super::rule::Rule;
use super::settings::{is_enough, needed};
use crate::contract::{CompatibilityMode, Version};
use crate::error::Result;
use crate::names::NodeId;

impl Work<'_> {
    pub fn severity(
        &self,
        change: &Change,
        terms: Option<&Terms>,
        breaks: &[Broken],
        affected: &[Affected],
        proof: Option<&Proof>,
        why: &mut Vec<String>,
    ) -> Severity {
        let settings = self.comparison.settings;
        if let Some(said) = settings.severities.get(&change.rule) {
            return *said;
        }
        let mode = settings.mode_of(terms.and_then(|terms| terms.compatibility.as_deref()));
        let by_mode = settings.severity(change.rule, mode);
        // What the case itself asks for never makes louder what a mode has silenced.
        let mut severity = match change.severity {
            Some(asked) if by_mode >= change.rule.default_severity() => asked,
            Some(asked) => asked.min(by_mode),
            None => by_mode,
        };
        let certain =
            breaks.iter().any(|broken| broken.certainty == Certainty::Certain && self.matters(broken));
        let exposed = breaks.iter().any(|broken| broken.kind == ConsumerKind::Exposure);
        let promised_below = affected.iter().any(|affected| {
            let model = self.sides.proposed.models.get(&affected.node);
            let (change, _) = &self.deltas[&affected.node].changes[affected.change];
            change.is_promise
                && model.is_some_and(|model| model.promise.terms.as_ref().is_some_and(|t| !t.is_unstable()))
        });
        if change.rule == Rule::TypeWidened && certain && mode.mode != CompatibilityMode::None {
            severity = severity.max(Severity::Error);
            why.push("a reader depends on the narrower type".into());
        }
        if terms.is_none() || !change.is_promise {
            severity = match (certain || promised_below, exposed) {
                _ if terms.is_some() && !is_schema(change.rule) => severity,
                (true, _) => severity,
                (false, true) => severity.min(Severity::Warning),
                (false, false) => severity.min(Severity::Note),
            };
        }
        if terms.is_some_and(Terms::is_unstable) {
            severity = severity.min(Severity::Warning);
        }
        match proof {
            Some(proof) if proof.violations == 0 => severity.min(Severity::Note),
            Some(_) if terms.is_some_and(|terms| !terms.is_unstable()) => severity.max(Severity::Error),
            _ => severity,
        }
    }

    /// Whether a reader that breaks for sure makes a change of something unpromised an error: a consumer, a model whose
    /// query does not bind, a model whose contract is in force.
    fn matters(&self, broken: &Broken) -> bool {
        if broken.kind == ConsumerKind::Exposure || broken.how.starts_with("does not bind") {
            return true;
        }
        let name = top(&broken.name);
        let model = self.sides.proposed.models.values().find(|model| model.name == name);
        let terms = model.and_then(|model| model.promise.terms.as_ref());
        terms.is_some_and(|terms| !terms.is_unstable()) && broken.how.contains("contract")
    }

    /// Contracts whose version does not say what changed, where no error says it already.
    pub fn versions(&self, said: &BTreeMap<NodeId, Bump>) -> Result<Vec<(NodeId, Finding)>> {
        let mut found = Vec::new();
        for (old_id, new_id) in &self.pairs.models {
            let (old, new) = (&self.sides.base.models[old_id], &self.sides.proposed.models[new_id]);
            let (Some(before), Some(after)) = (&old.promise.terms, &new.promise.terms) else { continue };
            let (Some(from), Some(to)) = (Version::parse(&before.version), Version::parse(&after.version))
            else {
                continue;
            };
            let changes = self.deltas.get(new_id).map(|delta| delta.changes.as_slice()).unwrap_or_default();
            let owed = changes
                .iter()
                .map(|(change, _)| change)
                .filter(|change| {
                    change.is_promise
                        && self.comparison.settings.severities.get(&change.rule) != Some(&Severity::Off)
                })
                .map(|change| change.bump)
                .max();
            let name = &new.name;
            let (bump, message) = match owed {
                _ if to < from => (
                    owed.unwrap_or(Bump::Patch),
                    format!("the version of `{name}` went back from {from} to {to}"),
                ),
                Some(bump) if bump > Bump::Patch && !is_enough(&from, &to, bump) => {
                    if said.get(new_id).is_some_and(|said| *said >= bump) {
                        continue;
                    }
                    let message = format!(
                        "the contract of `{name}` changed by a {} step and its version is {}",
                        bump.as_str(),
                        if to == from { format!("still {to}") } else { format!("{to} after {from}") }
                    );
                    (bump, message)
                }
                _ => continue,
            };
            let wanted = needed(&from, bump);
            let mut change = Change::new(Rule::VersionNotBumped, None, message)
                .from(from.to_string())
                .to(to.to_string())
                .bump(bump)
                .promise()
                .at("contract", Side::Proposed, Some(&after.version_at))
                .help(format!("write `version: {wanted}`"));
            change.why = changes
                .iter()
                .filter(|(change, _)| change.is_promise && change.bump == bump)
                .map(|(change, _)| change.message.clone())
                .collect();
            let severity = self.severity(&change, Some(after), &[], &[], None, &mut Vec::new());
            found.push((
                new_id.clone(),
                Finding {
                    version_old: Some(before.version.clone()),
                    version_new: Some(after.version.clone()),
                    version_needed: Some(wanted.to_string()),
                    ..change.into_finding(name, severity)
                },
            ));
        }
        Ok(found)
    }

    /// Protected columns whose values reach a column of a contract that is less protected, where they did not before.
    pub fn leaks(&self) -> Result<Vec<(NodeId, Finding)>> {
        let before = leaks(self.sides.base, self.sides.before)?;
        let after = leaks(self.sides.proposed, self.sides.after)?;
        let mut found = Vec::new();
        for leak in after {
            if before.contains(&leak) {
                continue;
            }
            let model = &self.sides.proposed.models[&leak.to];
            let from = format!("{}.{}", self.sides.proposed.name(&leak.from), leak.from_column);
            let message = format!(
                "`{}.{}` holds values of `{from}`, which is {}, and is {} itself",
                model.name, leak.to_column, leak.from_class, leak.to_class
            );
            let column = model.promise.column(&leak.to_column);
            let change = Change::new(Rule::ClassificationLeak, Some(&leak.to_column), message)
                .from(&leak.from_class)
                .to(&leak.to_class)
                .promise()
                .at("column", Side::Proposed, Some(model.place_of(&leak.to_column)))
                .at("contract", Side::Proposed, column.and_then(|column| column.at.as_ref()))
                .help(format!(
                    "write `classification: {}` on `{}`, or keep the value out of it",
                    leak.from_class, leak.to_column
                ));
            let terms = model.promise.terms.as_ref();
            let severity = self.severity(&change, terms, &[], &[], None, &mut Vec::new());
            found.push((
                leak.to.clone(),
                Finding {
                    version_new: terms.map(|terms| terms.version.clone()),
                    ..change.into_finding(&model.name, severity)
                },
            ));
        }
        Ok(found)
    }
}
