//! What a run publishes, and why it does not.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::Ordering;

use crate::diagnostic::Diagnostic;
use crate::diff::waiver::Judged;
use crate::engine::increment::Merge;
use crate::engine::publish::{NotPublished, Publication, collect, publish};
use crate::engine::state::increment::increments;
use crate::engine::state::{self, Published};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node};
use crate::names::NodeId;

use super::candidate::Physical;
use super::event::{Ending, Event, LoadOutcome, Outcome, TestReport};
use super::increment::replaces_of;
use super::plan::Known;
use super::schedule::{Done, SMALL_ROWS};
use super::{Context, Policy, Scope};

impl Context<'_> {
    pub(super) fn publish(
        &self,
        done: &Done,
        known: &Known,
        late_tests: &[TestReport],
        loads: &[LoadOutcome],
        report: &mut Option<Judged>,
    ) -> Result<Ending> {
        let still = (known.release.id > 0).then(|| (known.release.id, known.release.published_at.clone()));
        let mut blocked = self.blocked(done, late_tests);
        let failed_loads = loads
            .iter()
            .filter(|load| !load.result.as_ref().is_ok_and(|report| report.is_complete()))
            .count();
        if self.options.policy == Policy::Nothing {
            return Ok(match blocked.is_empty() && failed_loads == 0 {
                true => Ending::Withheld,
                false => Ending::NotPublished {
                    reason: self.why_blocked(done, late_tests, failed_loads),
                    diagnostic: None,
                    still,
                },
            });
        }
        if (!blocked.is_empty() || failed_loads > 0) && self.options.policy == Policy::Whole {
            let reason = self.why_blocked(done, late_tests, failed_loads);
            return Ok(Ending::NotPublished { reason, diagnostic: None, still });
        }
        let (after, held_back, changed, removed, promises) = loop {
            let (after, held_back) = self.after(done, known, &blocked);
            let changed: Vec<String> = after
                .iter()
                .filter(|(model, new)| known.release.models.get(*model) != Some(new))
                .map(|(model, _)| model.clone())
                .collect();
            let removed: Vec<String> =
                known.release.models.keys().filter(|model| !after.contains_key(*model)).cloned().collect();
            if changed.is_empty() && removed.is_empty() {
                let session = self.database.session();
                // The run that published it may have died before it could collect what the release made useless.
                if state::was_cut_short(session, &known.release.run_id)? {
                    collect(session, self.workspace.keep_releases())?;
                }
                return Ok(match held_back {
                    0 => Ending::Unchanged { release_id: (known.release.id > 0).then_some(known.release.id) },
                    _ => Ending::NotPublished {
                        reason: "everything that changed depends on a failure".into(),
                        diagnostic: None,
                        still,
                    },
                });
            }
            let promised = self.promised(done, known, &after, &changed, &blocked)?;
            let found = promised.report;
            let breaking = found.as_ref().map(|found| self.breaking(&found.report)).unwrap_or_default();
            let about: BTreeSet<NodeId> = breaking.iter().filter_map(|(_, node)| node.clone()).collect();
            let sentence = match breaking.as_slice() {
                [] => None,
                [(only, _)] => Some(format!("a promise would break: {}", only.message)),
                [(first, _), ..] => {
                    Some(format!("{} promises would break: {}, …", breaking.len(), first.message))
                }
            };
            let can_wait = self.options.policy == Policy::Partial
                && breaking.iter().all(|(_, node)| node.as_ref().is_some_and(|node| !blocked.contains(node)));
            if report.is_none() {
                *report = found;
            }
            match sentence {
                None => break (after, held_back, changed, removed, promised.rows),
                Some(_) if can_wait => {
                    for node in about {
                        blocked.extend(self.workspace.dag.descendants(&node, None));
                        blocked.insert(node);
                    }
                }
                Some(reason) => return Ok(Ending::NotPublished { reason, diagnostic: None, still }),
            }
        };
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        self.observer.event(Event::Publishing);
        let session = self.database.session();
        // What was never there for a consumer cannot be taken from it.
        let mut consumers = self.workspace.consumer_queries();
        consumers.retain(|(name, _)| self.can_be_answered(name, &after, known, done));
        let queries: Vec<(String, String)> =
            consumers.iter().map(|(name, query)| (name.clone(), query.value.clone())).collect();
        let merges = self.merges(&after, known, done)?;
        // Before what is measured is collected. A size that cannot be told keeps nothing from being published.
        let _ = state::size::record(session, self.run_id);
        let publication = Publication {
            run_id: self.run_id,
            target: &self.workspace.target.name,
            kind: "run",
            restores: None,
            before: &known.release.models,
            after,
            merges: &merges,
            consumers: &queries,
            promises,
        };
        match publish(session, &publication) {
            Ok(release_id) => {
                let collected = collect(session, self.workspace.keep_releases())
                    .map_err(|error| after_publishing(release_id, error))?
                    .builds
                    .len();
                Ok(Ending::Published { release_id, changed, removed, held_back, collected })
            }
            Err(NotPublished::Failed(error)) => Err(error),
            Err(NotPublished::Moved) => Err(Error::Bug("rows moved twice while they were published".into())),
            Err(NotPublished::NameTaken { relation, kind }) => {
                let taker = self.workspace.manifest.nodes.values().find(|node| node.relation == relation);
                let message =
                    format!("there is already a {kind} `{}` that kiln did not make", relation.plain());
                let diagnostic = Diagnostic::error("name-taken", message);
                let diagnostic = match taker {
                    Some(node) => diagnostic.at(&node.at, "this would take its place"),
                    None => diagnostic,
                };
                let diagnostic = diagnostic.help("rename or drop it, or give the model another `alias`");
                let reason = "a name is taken".to_owned();
                Ok(Ending::NotPublished { reason, diagnostic: Some(Box::new(diagnostic)), still })
            }
            Err(NotPublished::ConsumerBreaks { consumer, error }) => {
                let message = format!("the query of `{consumer}` would break: {}", error.sentence());
                let mut diagnostic = Diagnostic::error("consumer-breaks", message);
                if let Some((_, query)) = consumers
                    .iter()
                    .filter(|(name, _)| *name == consumer)
                    .find(|(_, query)| session.describe(&query.value).is_err())
                    .or_else(|| consumers.iter().find(|(name, _)| *name == consumer))
                {
                    diagnostic = diagnostic.at(&query.at, "");
                }
                let diagnostic = diagnostic.help("keep what it reads, or agree on the change with its owner");
                let reason = format!("the query of `{consumer}` would break");
                Ok(Ending::NotPublished { reason, diagnostic: Some(Box::new(diagnostic)), still })
            }
        }
    }

    /// The new rows of incremental models that are published and not in their tables yet.
    fn merges(&self, after: &BTreeMap<String, Published>, known: &Known, done: &Done) -> Result<Vec<Merge>> {
        let manifest = &self.workspace.manifest;
        let incremental = |model: &str| {
            let mut nodes = manifest.nodes.values().filter(|node| node.config.incremental.is_some());
            nodes.find(|node| node.name == model)
        };
        let changed = after.iter().filter(|(model, new)| known.release.models.get(*model) != Some(new));
        let changed: Vec<(&Node, &Published)> =
            changed.filter_map(|(model, new)| Some((incremental(model)?, new))).collect();
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.database.session();
        let is_large = |(node, _): &(&Node, &Published)| {
            let rows = done.candidates.get(&node.id).and_then(|candidate| candidate.rows);
            rows.is_none_or(|rows| rows > SMALL_ROWS)
        };
        if changed.iter().any(is_large) {
            session.widen()?;
        }
        let increments = increments(session)?;
        let merge = |(node, new): (&Node, &Published)| {
            let waiting = increments.get(&new.relation).filter(|found| found.version.is_none())?.clone();
            Some(Merge { waiting, replaces: replaces_of(&done.decisions, node) })
        };
        Ok(changed.into_iter().filter_map(merge).collect())
    }

    /// Whether all that a consumer reads is published now, or was before.
    fn can_be_answered(
        &self,
        consumer: &str,
        after: &BTreeMap<String, Published>,
        known: &Known,
        done: &Done,
    ) -> bool {
        let manifest = &self.workspace.manifest;
        let read = manifest.exposures.values().filter(|exposure| exposure.name == consumer);
        read.flat_map(|exposure| &exposure.depends_on).all(|dependency| {
            let Some(node) = manifest.nodes.get(&dependency.node) else { return true };
            match node.config.materialized {
                Materialization::Append => done.candidates.contains_key(&node.id),
                _ => after.contains_key(&node.name) || known.release.models.contains_key(&node.name),
            }
        })
    }

    /// Nodes that may not be published: failed ones, what depends on them, and what failed tests belong to.
    fn blocked(&self, done: &Done, late_tests: &[TestReport]) -> BTreeSet<NodeId> {
        let mut blocked: BTreeSet<NodeId> = done
            .reports
            .iter()
            .filter(|report| !report.is_good())
            .map(|report| report.node.clone())
            .collect();
        for test in late_tests.iter().filter(|test| test.status.blocks()) {
            match &test.node {
                Some(node) => {
                    blocked.insert(node.clone());
                    blocked.extend(self.workspace.dag.descendants(node, None));
                }
                // A test of several models holds all of them back.
                None => {
                    let read = self.workspace.manifest.tests.values().find(|known| known.name == test.name);
                    for dependency in read.into_iter().flat_map(|test| &test.depends_on) {
                        blocked.insert(dependency.node.clone());
                        blocked.extend(self.workspace.dag.descendants(&dependency.node, None));
                    }
                }
            }
        }
        blocked
    }

    fn why_blocked(&self, done: &Done, late_tests: &[TestReport], failed_loads: usize) -> String {
        let count = |wanted: fn(&Outcome) -> bool| done.reports.iter().filter(|r| wanted(&r.outcome)).count();
        let errors = count(|outcome| matches!(outcome, Outcome::Error(_))).saturating_sub(failed_loads);
        let tests = done.reports.iter().flat_map(|report| &report.tests).chain(late_tests);
        let failed_tests = tests.filter(|test| test.status.blocks()).count();
        let say = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let parts: Vec<String> = [
            say(failed_loads, "source did not load", "sources did not load"),
            say(errors, "model did not build", "models did not build"),
            say(failed_tests, "test failed", "tests failed"),
        ]
        .into_iter()
        .flatten()
        .collect();
        match parts.is_empty() {
            true => "something failed".into(),
            false => parts.join(", "),
        }
    }

    /// What readers shall see, and how many models stay as they were because of failures.
    fn after(
        &self,
        done: &Done,
        known: &Known,
        blocked: &BTreeSet<NodeId>,
    ) -> (BTreeMap<String, Published>, usize) {
        let manifest = &self.workspace.manifest;
        let mut after = known.release.models.clone();
        if self.options.scope == Scope::Whole {
            let published: HashSet<&str> = manifest
                .nodes
                .values()
                .filter(|node| {
                    !matches!(node.config.materialized, Materialization::Ephemeral | Materialization::Append)
                })
                .map(|node| node.name.as_str())
                .collect();
            after.retain(|model, _| published.contains(model.as_str()));
        }
        let mut held_back = 0;
        for report in &done.reports {
            let node = &manifest.nodes[&report.node];
            if blocked.contains(&report.node) {
                held_back += 1;
                continue;
            }
            let Some(candidate) = done.candidates.get(&report.node) else { continue };
            if let Physical::Build(relation) = &candidate.physical {
                after.insert(
                    node.name.clone(),
                    Published {
                        layer: node.layer.clone(),
                        fingerprint: candidate.fingerprint.clone(),
                        relation: relation.clone(),
                        published: node.relation.clone(),
                    },
                );
            }
        }
        (after, held_back)
    }
}

/// An error that came too late to keep readers from the release: a full disk, most of the time.
pub(super) fn after_publishing(release_id: i64, error: Error) -> Error {
    match error {
        Error::Machine { message, hint } => Error::Machine {
            message: format!("release {release_id} is published; afterwards {message}"),
            hint,
        },
        other => other,
    }
}
