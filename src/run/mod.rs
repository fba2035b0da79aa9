//! A run: load, build, audit, publish. Nothing reaches a reader until all of it has passed.

pub mod audit;
pub mod build;
pub mod candidate;
pub mod event;
pub mod land;
pub mod names;
pub mod plan;
pub mod schedule;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::database::Database;
use crate::engine::load;
use crate::engine::publish::{NotPublished, Publication, collect, publish};
use crate::engine::session::Session;
use crate::engine::state::{self, Published, Release, RunEnd};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Test};
use crate::names::NodeId;
use crate::workspace::Workspace;

use audit::{Audited, audit};
use candidate::{Candidate, Candidates, Physical};
use event::{
    Action, Ending, Event, LoadOutcome, NodeReport, Observer, Outcome, PlannedNode, RunReport, Started,
    TestReport,
};
use land::{Landing, Which, raw_candidates, raw_models};
use plan::{Decision, Known, Refresh, decide, is_decidable};
use schedule::{Agenda, Done, Work};

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Nodes to build and tests to run. Everything of the project, unless it was selected.
    pub selected: BTreeSet<NodeId>,
    /// Whether it is everything: then models that the project no longer has are taken from the readers.
    pub scope: Scope,
    /// Builds anew what exists.
    pub refresh: Refresh,
    /// Which objects raw models load.
    pub load: Which,
    /// What is published when something failed.
    pub policy: Policy,
    /// How long to wait for a database that another process holds.
    pub patience: Duration,
}

/// Whether a run is of the whole project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// What was selected.
    Part,
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// All or nothing.
    Whole,
    /// What does not depend on a failure (`--partial`).
    Partial,
    /// Nothing (`--no-publish`).
    Nothing,
    /// Nothing is even built: the plan is made and shown (`--explain`).
    Plan,
}

/// Runs.
///
/// # Errors
/// The machine, the database or the user stopped it; or a template is broken. A model or a test that fails is in the
/// report. In each case readers see one whole release.
pub fn run(
    workspace: &Workspace,
    options: &RunOptions,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<RunReport> {
    let started = Instant::now();
    let run_id = uuid::Uuid::now_v7().to_string();
    let database = Database::open(&workspace.opening(&format!("run {run_id}"), options.patience))?;
    let session = database.session();
    state::migrate(session)?;
    load::create_ledger(session.connection())?;
    let context = Context { workspace, options, observer, stop, run_id: &run_id, database: &database };
    if options.policy == Policy::Plan {
        // Nothing is run, so nothing is written down.
        return context.run(started);
    }
    state::start_run(session, &run_id, &workspace.target.name, "run")?;
    match context.run(started) {
        Ok(report) => {
            let finished = state::finish_run(session, &run_id, &run_end(&report)).map_err(Error::from);
            match report.ending {
                Ending::Published { release_id, .. } => {
                    finished.map_err(|error| after_publishing(release_id, error))?
                }
                _ => finished?,
            }
            Ok(report)
        }
        Err(error) => {
            let status = if matches!(error, Error::Interrupted) { "interrupted" } else { "error" };
            let message = error.to_string().lines().next().map(str::to_owned);
            let end = RunEnd { status: status.into(), message, ..RunEnd::default() };
            // The error itself matters more than that it could not be written down.
            let _ = state::finish_run(session, &run_id, &end);
            Err(error)
        }
    }
}

struct Context<'a> {
    workspace: &'a Workspace,
    options: &'a RunOptions,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
    run_id: &'a str,
    database: &'a Database,
}

impl Context<'_> {
    fn run(&self, started: Instant) -> Result<RunReport> {
        let workspace = self.workspace;
        let manifest = &workspace.manifest;
        let session = self.database.session();
        let nodes: BTreeSet<NodeId> =
            self.options.selected.iter().filter(|id| manifest.nodes.contains_key(*id)).cloned().collect();
        let tests: Vec<&Test> =
            self.options.selected.iter().filter_map(|id| manifest.tests.get(id)).collect();
        self.observer.event(Event::Started(Started {
            run_id: self.run_id,
            target: &workspace.target.name,
            threads: workspace.threads(),
            nodes: nodes.len(),
            tests: tests.len(),
        }));
        let loads = match self.options.policy {
            Policy::Plan => Vec::new(),
            _ => self.land(&nodes)?,
        };
        let known = Known {
            builds: state::builds(session)?,
            release: state::current_release(session, &workspace.target.name)?.unwrap_or_default(),
            salt: self.run_id.to_owned(),
            refresh: self.options.refresh,
        };
        let mut candidates = raw_candidates(workspace, session)?;
        self.add_published(&nodes, &known, &mut candidates)?;
        let broken = broken_loads(workspace, &loads);
        let (decisions, planned) = self.plan(&nodes, &known, &mut candidates, &broken)?;
        self.observer.event(Event::Planned(&planned));
        if self.options.policy == Policy::Plan {
            return Ok(self.report(started, loads, Vec::new(), Vec::new(), Ending::Withheld));
        }
        let (gates, late) = self.gates(&tests);
        let passed = match self.options.refresh {
            Refresh::Reuse => state::passed_tests(session)?,
            Refresh::Full => std::collections::HashSet::new(),
        };
        let work = Work {
            workspace,
            known: &known,
            passed: &passed,
            observer: self.observer,
            run_id: self.run_id,
            stop: self.stop,
            gates: &gates,
        };
        let agenda = Agenda { nodes: nodes.clone(), decisions, candidates, broken };
        let sessions =
            (0..workspace.threads()).map(|_| self.database.worker()).collect::<Result<Vec<_>, _>>()?;
        let done = schedule::run(&work, agenda, sessions)?;
        let late_tests =
            interruptible(self.database.session(), self.stop, || self.late_audit(&late, &done, &passed))?;
        let ending = self.publish(&done, &known, &late_tests, &loads)?;
        Ok(self.report(started, loads, done.reports, late_tests, ending))
    }

    fn report(
        &self,
        started: Instant,
        loads: Vec<LoadOutcome>,
        nodes: Vec<NodeReport>,
        late_tests: Vec<TestReport>,
        ending: Ending,
    ) -> RunReport {
        RunReport {
            run_id: self.run_id.to_owned(),
            target: self.workspace.target.name.clone(),
            loads,
            nodes,
            late_tests,
            ending,
            elapsed: started.elapsed(),
        }
    }

    fn land(&self, nodes: &BTreeSet<NodeId>) -> Result<Vec<LoadOutcome>> {
        let session = self.database.session();
        let landing = Landing {
            workspace: self.workspace,
            session,
            run_id: self.run_id,
            observer: self.observer,
            stop: self.stop,
            which: self.options.load,
        };
        interruptible(session, self.stop, || {
            raw_models(self.workspace, nodes).map(|node| landing.land(node)).collect()
        })
    }

    /// Candidates for what is not selected: what readers see. A node that nothing has published is an error where a
    /// selected one needs it.
    fn add_published(
        &self,
        nodes: &BTreeSet<NodeId>,
        known: &Known,
        candidates: &mut Candidates,
    ) -> Result<()> {
        let manifest = &self.workspace.manifest;
        let mut problems = Diagnostics::new();
        let names = |candidates: &Candidates, id: &NodeId| candidates.contains_key(id);
        for id in self.workspace.topological() {
            let Some(node) = manifest.nodes.get(id).filter(|_| !nodes.contains(id)) else { continue };
            if names(candidates, id) {
                continue;
            }
            if node.config.materialized == Materialization::Ephemeral {
                // Its text is needed wherever something selected reads it.
                if node.depends_on.iter().all(|dependency| candidates.contains_key(&dependency.node))
                    && let Ok(decision) =
                        decide(self.workspace, node, candidates, known, Some(self.database.session()))
                {
                    candidates.insert(
                        id.clone(),
                        Candidate {
                            fingerprint: decision.fingerprint,
                            physical: Physical::Inline(Box::new(decision.rendered)),
                            rows: None,
                        },
                    );
                }
                continue;
            }
            let Some(published) = known.release.models.get(&node.name) else { continue };
            candidates.insert(
                id.clone(),
                Candidate {
                    fingerprint: published.fingerprint.clone(),
                    physical: Physical::Build(published.relation.clone()),
                    rows: known.builds.get(&published.fingerprint).and_then(|build| build.rows),
                },
            );
        }
        for id in nodes {
            let node = &manifest.nodes[id];
            if node.config.materialized == Materialization::Append {
                continue;
            }
            for dependency in &node.depends_on {
                let known_here =
                    nodes.contains(&dependency.node) || candidates.contains_key(&dependency.node);
                if !known_here && manifest.nodes.contains_key(&dependency.node) {
                    problems.push(
                        Diagnostic::error(
                            "not-published",
                            format!(
                                "`{}` reads `{}`, which is not selected and was never published here",
                                node.name,
                                dependency.node.short()
                            ),
                        )
                        .at(&dependency.at, "")
                        .help(format!("select it too: `--select +{}`", node.name)),
                    );
                }
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems.into()),
        }
    }

    /// Decides what can be decided before anything is built.
    fn plan(
        &self,
        nodes: &BTreeSet<NodeId>,
        known: &Known,
        candidates: &mut Candidates,
        broken: &[NodeReport],
    ) -> Result<(HashMap<NodeId, Decision>, Vec<PlannedNode>)> {
        let manifest = &self.workspace.manifest;
        let mut decisions: HashMap<NodeId, Decision> = HashMap::new();
        let mut planned = Vec::new();
        let mut problems = Diagnostics::new();
        let mut provisional = candidates.clone();
        let mut later: BTreeSet<NodeId> = BTreeSet::new();
        let is_broken = |id: &NodeId| broken.iter().any(|report| report.node == *id);
        for id in self.workspace.topological() {
            let Some(node) = manifest.nodes.get(id).filter(|_| nodes.contains(id)) else { continue };
            let mut push =
                |action, reason: String| planned.push(PlannedNode { node: id.clone(), action, reason });
            if node.config.materialized == Materialization::Append {
                push(Action::Load, "raw: takes in what is new at its source".into());
                continue;
            }
            if node
                .depends_on
                .iter()
                .any(|dependency| is_broken(&dependency.node) || later.contains(&dependency.node))
            {
                later.insert(id.clone());
                push(Action::Later, "known only when its parents are built".into());
                continue;
            }
            let building =
                |id: &NodeId| decisions.get(id).is_some_and(|decision| decision.action == Action::Build);
            if !is_decidable(node, &provisional, &building) {
                later.insert(id.clone());
                let unloaded = node.depends_on.iter().find(|dependency| {
                    let parent = manifest.nodes.get(&dependency.node);
                    parent.is_some_and(|parent| parent.config.materialized == Materialization::Append)
                        && !provisional.contains_key(&dependency.node)
                });
                let reason = match unloaded {
                    Some(raw) => format!("new: `{}` has never been loaded", raw.node.short()),
                    None => "known only when its parents are built".into(),
                };
                push(Action::Later, reason);
                continue;
            }
            match decide(self.workspace, node, &provisional, known, Some(self.database.session())) {
                Ok(decision) => {
                    push(decision.action, decision.reason.clone());
                    let physical = match decision.action {
                        Action::Inline => Physical::Inline(Box::new(decision.rendered.clone())),
                        _ => Physical::Build(decision.relation.clone()),
                    };
                    let candidate = Candidate {
                        fingerprint: decision.fingerprint.clone(),
                        physical,
                        rows: decision.rows,
                    };
                    provisional.insert(id.clone(), candidate);
                    decisions.insert(id.clone(), decision);
                }
                Err(found) => {
                    problems.extend(found);
                    later.insert(id.clone());
                }
            }
        }
        match problems.has_errors() {
            true => Err(problems.into()),
            false => Ok((decisions, planned)),
        }
    }

    /// Tests by the node whose children wait for them; and those that can only run when everything is built, because
    /// they read what is built after what they test.
    fn gates<'t>(&self, tests: &[&'t Test]) -> (HashMap<NodeId, Vec<&'t Test>>, Vec<&'t Test>) {
        let mut gates: HashMap<NodeId, Vec<&Test>> = HashMap::new();
        let mut late = Vec::new();
        let mut ancestors: HashMap<&NodeId, BTreeSet<NodeId>> = HashMap::new();
        for test in tests {
            let gated = test.node.as_ref().and_then(|node| match self.workspace.manifest.sources.get(node) {
                // A source is tested where it lands.
                Some(_) => self.workspace.landing_of(node),
                None => Some(node),
            });
            let Some(node) = gated.filter(|node| self.options.selected.contains(*node)) else {
                late.push(*test);
                continue;
            };
            let above = ancestors.entry(node).or_insert_with(|| self.workspace.dag.ancestors(node, None));
            let ready = test.depends_on.iter().all(|dependency| {
                dependency.node == *node
                    || above.contains(&dependency.node)
                    || test.node.as_ref() == Some(&dependency.node)
            });
            match ready {
                true => gates.entry(node.clone()).or_default().push(test),
                false => late.push(test),
            }
        }
        (gates, late)
    }

    fn late_audit(
        &self,
        tests: &[&Test],
        done: &Done,
        passed: &std::collections::HashSet<crate::names::Fingerprint>,
    ) -> Result<Vec<TestReport>> {
        if tests.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.database.session();
        let bad: BTreeSet<&NodeId> =
            done.reports.iter().filter(|report| !report.is_good()).map(|report| &report.node).collect();
        let can_run = |test: &&&Test| {
            test.depends_on.iter().all(|dependency| {
                !bad.contains(&dependency.node) && done.candidates.contains_key(&dependency.node)
            })
        };
        let (ready, skipped): (Vec<&&Test>, Vec<&&Test>) = tests.iter().partition(can_run);
        let ready: Vec<&Test> = ready.into_iter().copied().collect();
        let mut audited: Audited = audit(self.workspace, session, &ready, &done.candidates, passed)?;
        if !audited.rows.is_empty() {
            session.execute(&state::insert_tests(&audited.rows, self.run_id, &self.workspace.target.name))?;
        }
        audited
            .reports
            .extend(skipped.into_iter().map(|test| audit::blank(test, event::TestStatus::Skipped, None)));
        self.observer.event(Event::TestsFinished(&audited.reports));
        Ok(audited.reports)
    }

    fn publish(
        &self,
        done: &Done,
        known: &Known,
        late_tests: &[TestReport],
        loads: &[LoadOutcome],
    ) -> Result<Ending> {
        let still = (known.release.id > 0).then(|| (known.release.id, known.release.published_at.clone()));
        let blocked = self.blocked(done, late_tests);
        let failed_loads = loads
            .iter()
            .filter(|load| !load.result.as_ref().is_ok_and(|report| report.is_complete()))
            .count();
        if self.options.policy == Policy::Nothing {
            return Ok(match blocked.is_empty() && failed_loads == 0 {
                true => Ending::Withheld,
                false => Ending::NotPublished { reason: "something failed".into(), diagnostic: None, still },
            });
        }
        if (!blocked.is_empty() || failed_loads > 0) && self.options.policy == Policy::Whole {
            let reason = self.why_blocked(done, late_tests, failed_loads);
            return Ok(Ending::NotPublished { reason, diagnostic: None, still });
        }
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
        let publication = Publication {
            run_id: self.run_id,
            target: &self.workspace.target.name,
            kind: "run",
            restores: None,
            before: &known.release.models,
            after,
            consumers: &queries,
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
                let message = format!("the query of `{consumer}` would break: {}", error.message);
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
            after.retain(|model, _| {
                manifest.nodes.values().any(|node| {
                    node.name == *model
                        && !matches!(
                            node.config.materialized,
                            Materialization::Ephemeral | Materialization::Append
                        )
                })
            });
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
fn after_publishing(release_id: i64, error: Error) -> Error {
    match error {
        Error::Machine { message, hint } => Error::Machine {
            message: format!("release {release_id} is published; afterwards {message}"),
            hint,
        },
        other => other,
    }
}

/// Raw models that did not load, as reports: what reads them is skipped.
fn broken_loads(workspace: &Workspace, loads: &[LoadOutcome]) -> Vec<NodeReport> {
    loads
        .iter()
        .filter_map(|load| {
            let node = &workspace.manifest.nodes[&load.node];
            let diagnostic = match &load.result {
                Ok(report) if report.is_complete() => return None,
                Ok(report) => {
                    let first = &report.failed[0];
                    let more = match report.failed.len() {
                        1 => String::new(),
                        count => format!(" (and {} more)", count - 1),
                    };
                    let message =
                        format!("`{}` did not load `{}`: {}{more}", node.name, first.object, first.reason);
                    let diagnostic = Diagnostic::error("load-failed", message).at(&node.at, "");
                    first.help.iter().fold(diagnostic, |diagnostic, help| diagnostic.help(help))
                }
                Err(diagnostic) => diagnostic.clone(),
            };
            Some(NodeReport {
                node: load.node.clone(),
                materialized: node.config.materialized,
                outcome: Outcome::Error(Box::new(diagnostic)),
                rows: None,
                elapsed: load.elapsed,
                tests: Vec::new(),
            })
        })
        .collect()
}

fn run_end(report: &RunReport) -> RunEnd {
    let count =
        |wanted: fn(&Outcome) -> bool| report.nodes.iter().filter(|node| wanted(&node.outcome)).count();
    let (status, release_id, message) = match &report.ending {
        Ending::Published { release_id, .. } => ("published", Some(*release_id), None),
        Ending::Unchanged { release_id } => ("unchanged", *release_id, None),
        Ending::Withheld => ("built", None, None),
        Ending::NotPublished { reason, .. } => ("failed", None, Some(reason.clone())),
    };
    RunEnd {
        status: status.into(),
        built: count(|outcome| matches!(outcome, Outcome::Built)),
        reused: count(|outcome| matches!(outcome, Outcome::Reused)),
        failed: count(|outcome| matches!(outcome, Outcome::Failed | Outcome::Error(_))),
        skipped: count(|outcome| matches!(outcome, Outcome::Skipped { .. } | Outcome::Cancelled)),
        release_id,
        message,
    }
}

/// What `kiln test` found.
#[derive(Debug, Clone)]
pub struct TestRun {
    /// The run's id.
    pub run_id: String,
    /// The target.
    pub target: String,
    /// Every selected test; those whose model nobody published are skipped.
    pub tests: Vec<TestReport>,
    /// The release that was tested.
    pub release_id: Option<i64>,
    /// Wall time.
    pub elapsed: Duration,
}

/// Tests what is published, all of it anew, and keeps the results.
///
/// # Errors
/// The machine, the database or the user stopped it.
pub fn test(
    workspace: &Workspace,
    selected: &BTreeSet<NodeId>,
    patience: Duration,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<TestRun> {
    let started = Instant::now();
    let run_id = uuid::Uuid::now_v7().to_string();
    let database = Database::open(&workspace.opening(&format!("test {run_id}"), patience))?;
    let session = database.session();
    state::migrate(session)?;
    load::create_ledger(session.connection())?;
    let target = workspace.target.name.clone();
    state::start_run(session, &run_id, &target, "test")?;
    let known = Known {
        builds: state::builds(session)?,
        release: state::current_release(session, &target)?.unwrap_or_default(),
        salt: run_id.clone(),
        refresh: Refresh::Reuse,
    };
    let mut candidates = raw_candidates(workspace, session)?;
    for node in workspace.manifest.nodes.values() {
        let Some(published) = known.release.models.get(&node.name) else { continue };
        let candidate = Candidate {
            fingerprint: published.fingerprint.clone(),
            physical: Physical::Build(published.relation.clone()),
            rows: known.builds.get(&published.fingerprint).and_then(|build| build.rows),
        };
        candidates.insert(node.id.clone(), candidate);
    }
    let tests: Vec<&Test> = selected.iter().filter_map(|id| workspace.manifest.tests.get(id)).collect();
    let (ready, skipped): (Vec<&Test>, Vec<&Test>) = tests.into_iter().partition(|test| {
        test.depends_on.iter().all(|dependency| {
            candidates.contains_key(&dependency.node)
                || workspace
                    .manifest
                    .nodes
                    .get(&dependency.node)
                    .is_some_and(|node| node.config.materialized == Materialization::Ephemeral)
        })
    });
    observer.event(Event::Started(Started {
        run_id: &run_id,
        target: &target,
        threads: workspace.threads(),
        nodes: 0,
        tests: ready.len(),
    }));
    let audited = interruptible(session, stop, || {
        let mut all = Audited::default();
        // By groups, so that whoever watches sees it go on.
        for chunk in ready.chunks(200) {
            let audited = audit(workspace, session, chunk, &candidates, &std::collections::HashSet::new())?;
            observer.event(Event::TestsFinished(&audited.reports));
            all.extend(audited);
        }
        Ok::<_, Error>(all)
    })?;
    if !audited.rows.is_empty() {
        session.execute(&state::insert_tests(&audited.rows, &run_id, &target))?;
    }
    let mut reports = audited.reports;
    let failed = reports.iter().any(|report| report.status.blocks());
    reports.extend(skipped.into_iter().map(|test| audit::blank(test, event::TestStatus::Skipped, None)));
    let end = RunEnd { status: if failed { "failed" } else { "passed" }.into(), ..RunEnd::default() };
    state::finish_run(session, &run_id, &end)?;
    let release_id = (known.release.id > 0).then_some(known.release.id);
    Ok(TestRun { run_id, target, tests: reports, release_id, elapsed: started.elapsed() })
}

/// Runs something on a session while a watcher stands ready to stop it.
fn interruptible<T>(session: &Session, stop: &AtomicBool, body: impl FnOnce() -> T) -> T {
    let interrupter = session.interrupter();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if stop.load(Ordering::Relaxed) {
                    interrupter.interrupt();
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        let value = body();
        over.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        value
    })
}

/// Points a target's views back at an earlier release, in one transaction. Gives the new release and the one restored.
///
/// # Errors
/// There is no such release, or its builds have been collected.
pub fn rollback(
    workspace: &Workspace,
    to: Option<i64>,
    patience: Duration,
) -> Result<(i64, Release, Release)> {
    let run_id = uuid::Uuid::now_v7().to_string();
    let database = Database::open(&workspace.opening(&format!("rollback {run_id}"), patience))?;
    let session = database.session();
    state::migrate(session)?;
    let target = &workspace.target.name;
    let nothing = || {
        Error::usage(format!("target `{target}` has no release to roll back"))
            .hint("`kiln run` publishes one")
    };
    let current = state::current_release(session, target)?.ok_or_else(nothing)?;
    let id = match to {
        Some(id) => id,
        None => crate::engine::publish::previous(session, target, &current)?.ok_or_else(|| {
            Error::usage(format!("release {} is the first one of target `{target}`", current.id))
                .hint("`kiln history` lists the releases")
        })?,
    };
    let wanted = release_to_restore(session, workspace, &current, id)?;
    state::start_run(session, &run_id, target, "rollback")?;
    let publication = Publication {
        run_id: &run_id,
        target,
        kind: "rollback",
        restores: Some(wanted.id),
        before: &current.models,
        after: wanted.models.clone(),
        consumers: &[],
    };
    let published = publish(session, &publication).map_err(|failure| match failure {
        NotPublished::Failed(error) => error,
        NotPublished::NameTaken { relation, kind } => {
            Error::machine(format!("there is a {kind} `{}` that kiln did not make", relation.plain()))
                .hint("rename or drop it, then roll back again")
        }
        NotPublished::ConsumerBreaks { consumer, error } => {
            Error::machine(format!("the query of `{consumer}` would break: {error}"))
        }
    })?;
    let end = RunEnd { status: "published".into(), release_id: Some(published), ..RunEnd::default() };
    state::finish_run(session, &run_id, &end)?;
    Ok((published, current, wanted))
}

fn release_to_restore(
    session: &Session,
    workspace: &Workspace,
    current: &Release,
    id: i64,
) -> Result<Release> {
    if id == current.id {
        return Err(Error::usage(format!("release {id} is what readers see already")));
    }
    let owner = session.rows(&format!("SELECT target FROM _kiln.release WHERE release_id = {id}"))?;
    let owner = owner.into_iter().next().and_then(|mut row| row.remove(0));
    if owner.as_deref() != Some(workspace.target.name.as_str()) {
        return Err(Error::usage(format!("target `{}` has no release {id}", workspace.target.name))
            .hint("`kiln history` lists the releases"));
    }
    let wanted = state::release(session, id)?.ok_or_else(|| {
        Error::usage(format!("there is no release {id}")).hint("`kiln history` lists the releases")
    })?;
    let builds = state::present(session)?;
    let gone: Vec<&str> = wanted
        .models
        .iter()
        .filter(|(_, m)| !builds.contains(&m.relation))
        .map(|(name, _)| name.as_str())
        .collect();
    if !gone.is_empty() {
        return Err(Error::usage(format!(
            "release {id} cannot be restored: builds of `{}` have been collected",
            gone.join("`, `")
        ))
        .hint("raise `keep_releases` of the target to keep more releases"));
    }
    Ok(wanted)
}
