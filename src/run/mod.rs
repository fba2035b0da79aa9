//! A run: load, build, audit, publish. Nothing reaches a reader until all of it has passed.

pub mod audit;
pub mod build;
pub mod candidate;
pub mod compare;
pub mod event;
mod foretold;
pub mod freshness;
pub mod increment;
pub mod land;
pub mod names;
mod options;
pub mod plan;
mod promised;
mod publication;
mod rest;
mod retest;
mod rollback;
pub mod schedule;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::database::Database;
use crate::engine::load;
use crate::engine::session::Session;
use crate::engine::state::{self, RunEnd};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node, Test};
use crate::names::NodeId;
use crate::workspace::Workspace;

pub use options::{Allowed, Policy, RunOptions, Scope};
pub use retest::{TestRun, test, test_after};
pub use rollback::rollback;

use audit::{Audited, audit};
use candidate::{Candidate, Candidates, Physical};
use event::{
    Action, Ending, Event, LoadOutcome, NodeReport, Observer, Outcome, PlannedNode, Rest, RunReport, Started,
    TestReport,
};
use land::{Landing, raw_candidates, raw_models};
use plan::{Decision, Known, Refresh, decide, is_decidable, shows_others};
use schedule::{Agenda, Done, Work};

/// What is checked before anything is loaded or built, when the database is open: the unit tests. A model whose report is
/// bad is not built, nor is what reads it.
pub type Beforehand<'a> = dyn Fn(&Session) -> Result<Vec<TestReport>> + 'a;

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
    run_after(&|_| Ok(Vec::new()), workspace, options, observer, stop)
}

/// Runs what passes a check.
///
/// # Errors
/// As [`run`], and those of the check.
pub fn run_after(
    beforehand: &Beforehand<'_>,
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
    let context =
        Context { beforehand, workspace, options, observer, stop, run_id: &run_id, database: &database };
    if options.policy == Policy::Plan {
        // Nothing is run, so nothing is written down.
        return Ok(context.run(started)?.0);
    }
    state::start_run(session, &run_id, &workspace.target.name, "run", &workspace.origin)?;
    match context.run(started) {
        Ok((mut report, is_at_rest)) => {
            let finished = state::finish_run(session, &run_id, &run_end(&report)).map_err(Error::from);
            match report.ending {
                Ending::Published { release_id, .. } => {
                    finished.map_err(|error| publication::after_publishing(release_id, error))?
                }
                _ => finished?,
            }
            if is_at_rest {
                // That the next run will look at everything is no reason for this one to fail.
                report.rest = rest_of(&database).ok().flatten();
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
    beforehand: &'a Beforehand<'a>,
    workspace: &'a Workspace,
    options: &'a RunOptions,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
    run_id: &'a str,
    database: &'a Database,
}

impl Context<'_> {
    /// The run's report, and whether the project is at rest now.
    fn run(&self, started: Instant) -> Result<(RunReport, bool)> {
        let workspace = self.workspace;
        let manifest = &workspace.manifest;
        let session = self.database.session();
        let nodes: BTreeSet<NodeId> =
            self.options.selected.iter().filter(|id| manifest.nodes.contains_key(*id)).cloned().collect();
        let tests: Vec<&Test> =
            self.options.selected.iter().filter_map(|id| manifest.tests.get(id)).collect();
        let units = manifest.unit_tests.keys().filter(|id| self.options.selected.contains(*id)).count();
        let promised = nodes.iter().filter_map(|id| manifest.nodes.get(id));
        let contracts = promised.filter(|node| audit::columns_test(workspace, node).is_some()).count();
        self.observer.event(Event::Started(Started {
            run_id: self.run_id,
            target: &workspace.target.name,
            threads: workspace.threads(),
            nodes: nodes.len(),
            tests: tests.len() + units + contracts,
        }));
        let (mut broken, unit_tests) = match self.options.policy {
            Policy::Plan => (Vec::new(), Vec::new()),
            _ => self.check_beforehand(&nodes)?,
        };
        let loads = match self.options.policy {
            Policy::Plan => Vec::new(),
            _ => self.land(&nodes, &broken)?,
        };
        let mut known = Known::read(session, &workspace.target.name, self.run_id, self.options.refresh)?;
        known.asked = self.options.window.clone();
        let mut candidates = raw_candidates(workspace, session)?;
        self.add_published(&nodes, &known, &mut candidates)?;
        broken.extend(broken_loads(workspace, &loads));
        let (decisions, mut planned) = self.plan(&nodes, &known, &mut candidates, &broken)?;
        if self.options.policy == Policy::Plan {
            self.foretell(&nodes, &mut planned);
        }
        self.observer.event(Event::Planned(&planned));
        if self.options.policy == Policy::Plan {
            return Ok((self.report(started, loads, Vec::new(), Vec::new(), Ending::Withheld), false));
        }
        let wanted = freshness::sources_of(workspace, &nodes);
        let freshness = freshness::measure(workspace, session, &wanted, jiff::Timestamp::now());
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
        let mut done = schedule::run(&work, agenda, sessions)?;
        let mut late_tests = unit_tests;
        late_tests.extend(interruptible(self.database.session(), self.stop, || {
            self.late_audit(&late, &done, &passed)
        })?);
        let mut diff = None;
        let ending = self.publish(&done, &known, &late_tests, &loads, &mut diff)?;
        let reports = std::mem::take(&mut done.reports);
        let report =
            RunReport { freshness, diff, ..self.report(started, loads, reports, late_tests, ending) };
        let is_at_rest = self.is_at_rest(&done, &report);
        Ok((report, is_at_rest))
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
            freshness: Vec::new(),
            nodes,
            late_tests,
            diff: None,
            ending,
            elapsed: started.elapsed(),
            rest: None,
        }
    }

    /// Runs the unit tests. Gives the nodes that are not to be built because of them, and the other tests' reports.
    fn check_beforehand(&self, nodes: &BTreeSet<NodeId>) -> Result<(Vec<NodeReport>, Vec<TestReport>)> {
        let session = self.database.session();
        let reports = (self.beforehand)(session)?;
        let rows: Vec<_> = reports.iter().map(audit::unit_row).collect();
        state::record_tests(session, &rows, self.run_id, &self.workspace.target.name)?;
        let fails = |report: &TestReport| {
            report.node.clone().filter(|node| report.status.blocks() && nodes.contains(node))
        };
        let failed: BTreeSet<NodeId> = reports.iter().filter_map(fails).collect();
        let of = |node: &NodeId, report: &TestReport| report.node.as_ref() == Some(node);
        let broken = failed.iter().map(|node| NodeReport {
            node: node.clone(),
            materialized: self.workspace.manifest.nodes[node].config.materialized,
            outcome: Outcome::Failed,
            rows: None,
            change: None,
            elapsed: reports.iter().filter(|report| of(node, report)).map(|report| report.elapsed).sum(),
            tests: reports.iter().filter(|report| of(node, report)).cloned().collect(),
        });
        let broken = broken.collect();
        let others = |report: &&TestReport| !report.node.as_ref().is_some_and(|node| failed.contains(node));
        let others: Vec<TestReport> = reports.iter().filter(others).cloned().collect();
        self.observer.event(Event::TestsFinished(&others));
        Ok((broken, others))
    }

    fn landing(&self) -> Landing<'_> {
        Landing {
            workspace: self.workspace,
            session: self.database.session(),
            run_id: self.run_id,
            observer: self.observer,
            stop: self.stop,
            which: self.options.load,
        }
    }

    fn land(&self, nodes: &BTreeSet<NodeId>, broken: &[NodeReport]) -> Result<Vec<LoadOutcome>> {
        let session = self.database.session();
        let landing = self.landing();
        interruptible(session, self.stop, || {
            let sound = |node: &&Node| !broken.iter().any(|report| report.node == node.id);
            raw_models(self.workspace, nodes).filter(sound).map(|node| landing.land(node)).collect()
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
                            intervals: None,
                            volatile: decision.volatile,
                        },
                    );
                }
                continue;
            }
            if let Some(mut candidate) = known.published(&node.name) {
                if node.config.materialized == Materialization::View && self.is_behind(id, nodes) {
                    let decided =
                        decide(self.workspace, node, candidates, known, Some(self.database.session()));
                    candidate.volatile = decided.ok().and_then(|decision| decision.volatile);
                }
                candidates.insert(id.clone(), candidate);
            }
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

    /// Whether something selected reads a node, itself or through what has no rows of its own.
    fn is_behind(&self, id: &NodeId, nodes: &BTreeSet<NodeId>) -> bool {
        let manifest = &self.workspace.manifest;
        self.workspace.dag.descendants(id, Some(1)).iter().any(|child| {
            nodes.contains(child)
                || manifest.nodes.get(child).is_some_and(shows_others) && self.is_behind(child, nodes)
        })
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
            if !is_decidable(self.workspace, node, &provisional, &building) {
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
                        intervals: decision.intervals(),
                        volatile: decision.volatile.clone(),
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
            let ready = test.depends_on.iter().all(|dependency| {
                dependency.node == *node
                    || test.node.as_ref() == Some(&dependency.node)
                    || self.workspace.dag.is_upstream(&dependency.node, node)
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
        state::record_tests(session, &audited.rows, self.run_id, &self.workspace.target.name)?;
        audited
            .reports
            .extend(skipped.into_iter().map(|test| audit::blank(test, event::TestStatus::Skipped, None)));
        self.observer.event(Event::TestsFinished(&audited.reports));
        Ok(audited.reports)
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
                change: None,
                elapsed: load.elapsed,
                tests: Vec::new(),
            })
        })
        .collect()
}

/// How a run that has ended leaves the database.
fn rest_of(database: &Database) -> Result<Option<Rest>> {
    let session = database.session();
    let Some(basis) = state::last_busy_run(session)? else { return Ok(None) };
    let builds = state::count_present(session)?;
    Ok(Some(Rest { basis, builds, mark: database.settle()? }))
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
        reused: count(|outcome| matches!(outcome, Outcome::Reused | Outcome::NothingNew)),
        failed: count(|outcome| matches!(outcome, Outcome::Failed | Outcome::Error(_))),
        skipped: count(|outcome| matches!(outcome, Outcome::Skipped { .. } | Outcome::Cancelled)),
        release_id,
        message,
    }
}

/// Runs something on a session while a watcher stands ready to stop it.
pub(crate) fn interruptible<T>(session: &Session, stop: &AtomicBool, body: impl FnOnce() -> T) -> T {
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
