//! The comparison of two views: every change, where it began, whom it reaches, how loud it is.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Check};
use super::finding::{Finding, ModelChanges, Place, Proof, Report, Side, Unknown};
use super::grade::{Bump, Severity};
use super::ground::{Ground, Machine};
use super::older::History;
use super::origin::{Affected, Delta, Deltas, Key, Origin, Sides};
use super::pairs::Pairs;
use super::readers::Readers;
use super::rule::Rule;
use super::schema::{self, Renames};
use super::settings::{Settings, needed};
use super::view::{ModelView, SourceView, View};
use crate::contract::Version;
use crate::error::Result;
use crate::names::NodeId;

/// Asks published data how many rows break a stricter promise of a model. No answer where there is no data.
pub type Prove<'a> = &'a dyn Fn(&ModelView, &Check) -> Option<Proof>;

/// What to compare, and how.
pub struct Comparison<'a> {
    /// What is there now.
    pub base: &'a View,
    /// What would be there.
    pub proposed: &'a View,
    /// What the base is called.
    pub base_label: String,
    /// What the proposal is called.
    pub proposed_label: String,
    /// The project's settings.
    pub settings: &'a Settings,
    /// What SQL and names mean.
    pub machine: &'a Machine,
    /// The day, as `2026-11-30`, for ends of support and of life.
    pub today: String,
    /// The models and sources to compare; all where none is given.
    pub selected: Option<&'a BTreeSet<NodeId>>,
    /// Where published data can be asked.
    pub prove: Option<Prove<'a>>,
    /// Versions of contracts from before the base, for transitive modes.
    pub history: &'a History,
}

/// Compares two sides.
///
/// # Errors
/// The machine failed.
pub fn compare(comparison: &Comparison<'_>) -> Result<Report> {
    let pairs = Pairs::of(comparison.base, comparison.proposed);
    let mut report = Report {
        base: comparison.base_label.clone(),
        proposed: comparison.proposed_label.clone(),
        mode: comparison.settings.mode,
        findings: Vec::new(),
        unknowns: Vec::new(),
        compared: pairs.models.len() + pairs.removed.len(),
        models: ModelChanges::default(),
        unchanged_contracts: 0,
        documented_only: Vec::new(),
    };
    let views = || {
        pairs.models.iter().map(|(old, new)| (&comparison.base.models[old], &comparison.proposed.models[new]))
    };
    // Promises are long texts: first what is cheap to tell.
    let touched = views().any(|(old, new)| is_built_otherwise(old, new))
        || views().any(|(old, new)| is_touched(old, new));
    let sources = pairs
        .sources
        .iter()
        .any(|id| comparison.base.sources[id].columns != comparison.proposed.sources[id].columns);
    if touched
        || sources
        || !pairs.removed.is_empty()
        || !pairs.removed_sources.is_empty()
        || !pairs.added.is_empty()
    {
        let before = Ground::open(comparison.base, comparison.machine)?.calling(&pairs.renamed);
        let after = Ground::open(comparison.proposed, comparison.machine)?;
        let sides = Sides {
            base: comparison.base,
            proposed: comparison.proposed,
            before: &before,
            after: &after,
            renamed: &pairs.renamed,
        };
        let mut work =
            Work { comparison, pairs: &pairs, sides: &sides, deltas: Deltas::new(), unknowns: Vec::new() };
        work.sources();
        work.models()?;
        work.removals();
        let findings = work.findings()?;
        report.unknowns = work.unknowns;
        report.findings = findings;
    }
    for (id, model) in &comparison.proposed.models {
        let Some(terms) = &model.promise.terms else { continue };
        report
            .documented_only
            .extend(terms.documented_only.iter().map(|text| format!("{}: {text}", model.name)));
        let selected = comparison.selected.is_none_or(|selected| selected.contains(id));
        if selected && !report.findings.iter().any(|finding| finding.model == model.name) {
            report.unchanged_contracts += 1;
        }
    }
    report.models = ModelChanges {
        added: pairs.added.clone(),
        removed: pairs.removed.clone(),
        modified: pairs
            .models
            .iter()
            .map(|(_, new)| new)
            .filter(|id| {
                let name = &comparison.proposed.models[*id].name;
                report.findings.iter().any(|finding| finding.model == *name)
            })
            .cloned()
            .collect(),
    };
    report.sort();
    Ok(report)
}

/// Whether anything of a model differs that a comparison could find.
fn is_touched(old: &ModelView, new: &ModelView) -> bool {
    is_built_otherwise(old, new) || old.promise.text() != new.promise.text()
}

/// Whether anything but its promise differs.
fn is_built_otherwise(old: &ModelView, new: &ModelView) -> bool {
    !old.is_same_query(new)
        || old.columns != new.columns
        || old.relation != new.relation
        || old.materialized != new.materialized
}

/// A comparison at work.
pub(super) struct Work<'a> {
    pub comparison: &'a Comparison<'a>,
    pub pairs: &'a Pairs,
    pub sides: &'a Sides<'a>,
    pub deltas: Deltas,
    pub unknowns: Vec<Unknown>,
}

impl Work<'_> {
    fn sources(&mut self) {
        for id in &self.pairs.sources {
            let (old, new) = (&self.sides.base.sources[id], &self.sides.proposed.sources[id]);
            let (Some(before), Some(after)) = (&old.columns, &new.columns) else {
                if old.columns.is_some() != new.columns.is_some() {
                    let side = if old.columns.is_none() { Side::Base } else { Side::Proposed };
                    self.unknowns.push(Unknown {
                        subject: new.name.clone(),
                        side: Some(side),
                        why: "the columns of this source are not known".into(),
                        place: Some(Place {
                            label: "source".into(),
                            side: Side::Proposed,
                            at: new.at.0.clone(),
                        }),
                    });
                }
                continue;
            };
            let changes = schema::columns(&new.name, before, after, &Renames::new());
            let place = |source: &SourceView, side, change: Change| {
                let column = change.top().map(str::to_lowercase);
                let spot = column.and_then(|column| source.column_at.get(&column).cloned());
                change.at("source", side, Some(spot.as_ref().unwrap_or(&source.at)))
            };
            let changes =
                changes.into_iter().filter(|change| change.rule != Rule::OrderChanged).map(|change| {
                    let change = match change.new.is_some() {
                        true => place(new, Side::Proposed, change),
                        false => place(old, Side::Base, change.at("source", Side::Proposed, Some(&new.at))),
                    };
                    (change, Origin::Own)
                });
            self.add(id, id, changes.collect());
        }
    }

    fn add(&mut self, new: &NodeId, old: &NodeId, changes: Vec<(Change, Origin)>) {
        if !changes.is_empty() {
            let delta = self.deltas.entry(new.clone()).or_default();
            delta.before = Some(old.clone());
            delta.changes.extend(changes);
        }
    }

    fn models(&mut self) -> Result<()> {
        for (old_id, new_id) in &self.pairs.models {
            let (old, new) = (&self.sides.base.models[old_id], &self.sides.proposed.models[new_id]);
            if !is_touched(old, new) {
                continue;
            }
            let mut changes = self.pair(old, new)?;
            let known: Vec<Change> = changes.iter().map(|(change, _)| change.clone()).collect();
            let older = self.against_older(new_id, old, new, &known);
            changes.extend(older.into_iter().map(|change| (change, Origin::Own)));
            self.add(new_id, old_id, changes);
        }
        Ok(())
    }

    fn removals(&mut self) {
        for id in &self.pairs.removed {
            let old = &self.sides.base.models[id];
            if !old.is_published() {
                continue;
            }
            let message = format!("`{}` was removed", old.name);
            let mut change = Change::new(Rule::ModelRemoved, None, message).from(old.relation.plain()).at(
                "model",
                Side::Base,
                Some(&old.at),
            );
            if let Some(terms) = &old.promise.terms {
                change = change.at("contract", Side::Base, Some(&terms.at)).promise();
                change = match terms.is_over(&self.comparison.today) {
                    true => change.severity(Severity::Note).why("its contract had ended"),
                    false => change.help(
                        "keep it until its `endOfLife`; `status: deprecated` and a date in the contract tell its readers",
                    ),
                };
            }
            if let Some(day) = &old.promise.deprecated_on {
                change = match old.promise.is_over(&self.comparison.today) {
                    true => change.severity(Severity::Note).why(format!("it was deprecated since {day}")),
                    false => change.why(format!("its `deprecation_date` is {day}: readers have until then")),
                };
            }
            let similar = self
                .pairs
                .added
                .iter()
                .filter_map(|id| self.sides.proposed.models.get(id))
                .find(|new| new.columns.is_some() && new.columns == old.columns && new.own == old.own);
            if let Some(new) = similar {
                change = change
                    .why(format!("`{}` is new and has the same query: it looks renamed", new.name))
                    .help(format!(
                        "if it was renamed, say so: `meta: {{renamed_from: {}}}` on `{}`",
                        old.name, new.name
                    ));
            }
            self.add(id, id, vec![(change, Origin::Own)]);
        }
        for id in &self.pairs.removed_sources {
            let old = &self.sides.base.sources[id];
            let message = format!("the source `{}` was removed", old.name);
            let change = Change::new(Rule::ModelRemoved, None, message).from(old.name.clone()).at(
                "source",
                Side::Base,
                Some(&old.at),
            );
            self.add(id, id, vec![(change, Origin::Own)]);
        }
    }

    /// Changes become findings: one for each that began somewhere, with all that it brought along.
    fn findings(&mut self) -> Result<Vec<Finding>> {
        let mut brought: BTreeMap<Key, Vec<Affected>> = BTreeMap::new();
        let mut folded: BTreeSet<Key> = BTreeSet::new();
        for (id, delta) in &self.deltas {
            for (at, (_, origin)) in delta.changes.iter().enumerate() {
                if *origin == Origin::Own {
                    continue;
                }
                let key = (id.clone(), at);
                for (root, via) in self.sides.roots(&self.deltas, &key)? {
                    folded.insert(key.clone());
                    brought.entry(root).or_default().push(Affected { node: id.clone(), change: at, via });
                }
            }
        }
        let readers = Readers::new(self.sides, &self.deltas);
        let mut findings = Vec::new();
        let mut said: BTreeMap<NodeId, Bump> = BTreeMap::new();
        let none = Vec::new();
        for (id, delta) in &self.deltas {
            for (at, (change, _)) in delta.changes.iter().enumerate() {
                let key = (id.clone(), at);
                if folded.contains(&key) {
                    continue;
                }
                let affected = brought.get(&key).unwrap_or(&none);
                let finding = self.finding(id, delta, change, affected, &readers)?;
                if finding.severity == Severity::Error {
                    let mut say = |node: &NodeId, bump: Bump| {
                        let known = said.entry(node.clone()).or_insert(bump);
                        *known = (*known).max(bump);
                    };
                    if change.is_promise {
                        say(id, change.bump);
                    }
                    for affected in affected {
                        say(&affected.node, self.deltas[&affected.node].changes[affected.change].0.bump);
                    }
                }
                findings.push((id.clone(), finding));
            }
        }
        findings.extend(self.versions(&said)?);
        findings.extend(self.leaks()?);
        let broken: BTreeSet<String> = findings
            .iter()
            .flat_map(|(_, finding)| &finding.breaks)
            .map(|broken| broken.name.clone())
            .collect();
        self.unknowns.retain(|unknown| !broken.contains(&unknown.subject));
        let selected = |id: &NodeId| self.comparison.selected.is_none_or(|selected| selected.contains(id));
        Ok(findings
            .into_iter()
            .filter(|(id, finding)| finding.severity > Severity::Off && selected(id))
            .map(|(_, finding)| finding)
            .collect())
    }

    fn finding(
        &self,
        id: &NodeId,
        delta: &Delta,
        change: &Change,
        affected: &[Affected],
        readers: &Readers<'_>,
    ) -> Result<Finding> {
        let before = delta.before.as_ref().unwrap_or(id);
        let (old, new) = (self.sides.base.models.get(before), self.sides.proposed.models.get(id));
        let breaks = readers.broken(before, change, affected)?;
        let proof = match (&change.check, new, self.comparison.prove) {
            (Some(check), Some(model), Some(prove)) => prove(model, check),
            _ => None,
        };
        let terms_old = old.and_then(|model| model.promise.terms.as_ref());
        let terms_new = new.and_then(|model| model.promise.terms.as_ref());
        let mut why = change.why.clone();
        let severity =
            self.severity(change, terms_old.or(terms_new), &breaks, affected, proof.as_ref(), &mut why);
        let mut help = change.help.clone();
        let is_read = change.is_promise || !breaks.is_empty();
        if help.is_empty() && change.rule == Rule::ColumnRemoved && is_read {
            help.push(match change.is_promise {
                true => format!(
                    "keep `{}` as deprecated until its readers have moved, or publish the new shape beside it under another name",
                    change.column.as_deref().unwrap_or_default()
                ),
                false => format!(
                    "keep `{}` until its readers have moved",
                    change.column.as_deref().unwrap_or_default()
                ),
            });
        }
        let version = |terms: Option<&super::promise::Terms>| terms.map(|terms| terms.version.clone());
        let version_needed = terms_old
            .filter(|_| change.is_promise)
            .and_then(|terms| Version::parse(&terms.version))
            .map(|from| needed(&from, change.bump).to_string());
        Ok(Finding {
            breaks,
            consumers_total: readers.count(before),
            version_old: version(terms_old),
            version_new: version(terms_new),
            version_needed,
            why,
            help,
            proof,
            ..change.clone().into_finding(self.subject(id), severity)
        })
    }

    /// What a node is called: in the proposal, or in the base if it is gone.
    fn subject<'n>(&'n self, id: &'n NodeId) -> &'n str {
        match self.sides.proposed.models.contains_key(id) {
            true => self.sides.proposed.name(id),
            false => self.sides.base.name(id),
        }
    }
}
