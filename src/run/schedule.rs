//! The schedule: workers take nodes whose parents are good, decide, build and test them, and hand on what follows.
//!
//! Many small nodes share a transaction, because a commit costs more than a small build; a large one has its own. A node
//! whose parents failed is skipped, never built on what readers see.

mod stand;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::session::{Interrupter, Session};
use crate::engine::state::record_tests;
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node, Test};
use crate::names::{Fingerprint, NodeId};
use crate::workspace::Workspace;

use super::audit::{Audited, audit, blank, check_contract, columns_test};
use super::build::{BuildError, Job, make};
use super::candidate::{Candidate, Candidates, Physical};
use super::compare::check_limits;
use super::event::{Action, Event, NodeReport, Observer, Outcome, TestReport, TestStatus};
use super::increment::{is_by_intervals, report_left_out};
use super::plan::{Decision, Known, decide, shows_others};

use stand::Grown;

/// Nodes whose parents have up to this many rows together are small: they are built together.
pub(super) const SMALL_ROWS: u64 = 50_000;

/// Most nodes built in one transaction. 50 cost 0.67 ms each where one alone costs 2.3.
const BATCH: usize = 50;

/// What the workers share and do not change.
pub struct Work<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// What is known of builds and releases.
    pub known: &'a Known,
    /// Tests that have passed on the very same builds.
    pub passed: &'a HashSet<Fingerprint>,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// The run.
    pub run_id: &'a str,
    /// Set when the user wants it to end.
    pub stop: &'a AtomicBool,
    /// Tests that decide whether a node is good, by node.
    pub gates: &'a HashMap<NodeId, Vec<&'a Test>>,
}

/// What a schedule begins with.
pub struct Agenda {
    /// Nodes to go through.
    pub nodes: BTreeSet<NodeId>,
    /// Decisions made beforehand.
    pub decisions: HashMap<NodeId, Decision>,
    /// Candidates that are there: raw tables, sources, published builds of what is not selected, reused builds.
    pub candidates: Candidates,
    /// Nodes that failed before anything was built, such as raw models that did not load.
    pub broken: Vec<NodeReport>,
}

/// What a schedule ends with.
pub struct Done {
    /// One for each node, in the order in which they ended.
    pub reports: Vec<NodeReport>,
    /// All candidates.
    pub candidates: Candidates,
    /// Every decision.
    pub decisions: HashMap<NodeId, Decision>,
}

struct State {
    waiting: HashMap<NodeId, usize>,
    ready: VecDeque<NodeId>,
    running: usize,
    ended: HashSet<NodeId>,
    done: Done,
    error: Option<Error>,
}

struct Board<'a> {
    work: &'a Work<'a>,
    children: BTreeMap<NodeId, Vec<NodeId>>,
    threads: usize,
    state: Mutex<State>,
    wake: Condvar,
}

/// Goes through the agenda with one worker for each session.
///
/// # Errors
/// The database failed. A node that fails is a report.
pub fn run(work: &Work<'_>, agenda: Agenda, sessions: Vec<Session>) -> Result<Done> {
    let manifest = &work.workspace.manifest;
    let mut waiting = HashMap::new();
    let mut children: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let broken: HashSet<NodeId> = agenda.broken.iter().map(|report| report.node.clone()).collect();
    for id in agenda.nodes.iter().filter(|id| !broken.contains(*id)) {
        let parents: BTreeSet<&NodeId> =
            manifest.nodes[id].depends_on.iter().map(|dependency| &dependency.node).collect();
        let open: Vec<&NodeId> = parents
            .into_iter()
            .filter(|parent| agenda.nodes.contains(*parent) && !broken.contains(*parent))
            .collect();
        waiting.insert(id.clone(), open.len());
        for parent in open {
            children.entry(parent.clone()).or_default().push(id.clone());
        }
    }
    let ready = agenda.nodes.iter().filter(|id| waiting.get(*id) == Some(&0)).cloned().collect();
    let board = Board {
        work,
        children,
        threads: sessions.len().max(1),
        state: Mutex::new(State {
            waiting,
            ready,
            running: 0,
            ended: HashSet::new(),
            done: Done { reports: Vec::new(), candidates: agenda.candidates, decisions: agenda.decisions },
            error: None,
        }),
        wake: Condvar::new(),
    };
    for report in agenda.broken {
        board.finish_broken(report, &agenda.nodes);
    }
    let interrupters: Vec<Interrupter> = sessions.iter().map(Session::interrupter).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if work.stop.load(Ordering::Relaxed) {
                    interrupters.iter().for_each(Interrupter::interrupt);
                    board.wake.notify_all();
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        let board = &board;
        let workers: Vec<_> =
            sessions.into_iter().map(|session| scope.spawn(move || board.work_with(&session))).collect();
        for worker in workers {
            if worker.join().is_err() {
                board.fail(Error::Bug("a worker of the schedule panicked".into()));
            }
        }
        over.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
    });
    let state = board.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if work.stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    match state.error {
        Some(error) => Err(error),
        None => Ok(state.done),
    }
}

impl Board<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another worker is reported by itself; the state is only counters and maps.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn fail(&self, error: Error) {
        self.lock().error.get_or_insert(error);
        self.wake.notify_all();
    }

    fn work_with(&self, session: &Session) {
        while let Some((batch, candidates)) = self.take() {
            let outcome = self.process(session, &batch, candidates);
            if let Err(error) = outcome {
                let mut state = self.lock();
                state.running = state.running.saturating_sub(batch.len());
                drop(state);
                self.fail(error);
            }
            self.wake.notify_all();
        }
    }

    /// The next nodes for one worker, with what is known of their parents; `None` when all is over.
    fn take(&self) -> Option<(Vec<NodeId>, Candidates)> {
        let mut state = self.lock();
        loop {
            if state.error.is_some() || self.work.stop.load(Ordering::Relaxed) {
                return None;
            }
            if !state.ready.is_empty() {
                break;
            }
            if state.running == 0 {
                self.wake.notify_all();
                return None;
            }
            let waited = self.wake.wait_timeout(state, Duration::from_millis(200));
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        let share = state.ready.len().div_ceil(self.threads).min(BATCH);
        let mut batch: Vec<NodeId> = Vec::new();
        while batch.len() < share {
            let Some(next) = state.ready.front() else { break };
            let small = self.is_small(next, &state.done.candidates);
            if !batch.is_empty() && !small {
                break;
            }
            batch.extend(state.ready.pop_front());
            if !small {
                break;
            }
        }
        state.running += batch.len();
        let candidates = self.around(&batch, &state.done.candidates);
        Some((batch, candidates))
    }

    /// The candidates that a batch and its tests can name.
    fn around(&self, batch: &[NodeId], candidates: &Candidates) -> Candidates {
        let manifest = &self.work.workspace.manifest;
        let mut near = Candidates::new();
        let mut queue: Vec<&NodeId> = batch.iter().collect();
        let asks_far = batch.iter().any(|id| is_by_intervals(&manifest.nodes[id]));
        for id in batch {
            queue.extend(manifest.nodes[id].depends_on.iter().map(|dependency| &dependency.node));
            let gates = self.work.gates.get(id).into_iter().flatten();
            queue.extend(gates.flat_map(|test| test.depends_on.iter().map(|dependency| &dependency.node)));
        }
        while let Some(id) = queue.pop() {
            let Some(candidate) = candidates.get(id).filter(|_| !near.contains_key(id)) else { continue };
            near.insert(id.clone(), candidate.clone());
            // What is pasted brings along what it reads, and a model built by intervals asks what stands behind views.
            if let Some(node) = manifest.nodes.get(id)
                && (matches!(candidate.physical, Physical::Inline(_)) || asks_far && shows_others(node))
            {
                queue.extend(node.depends_on.iter().map(|dependency| &dependency.node));
            }
        }
        near
    }

    fn is_small(&self, id: &NodeId, candidates: &Candidates) -> bool {
        let node = &self.work.workspace.manifest.nodes[id];
        if node.config.materialized == Materialization::View {
            return true;
        }
        if node.depends_on.is_empty() {
            // A seed is a file of the repository; a model without parents can make any number of rows.
            return node.config.materialized == Materialization::Seed;
        }
        let rows = node.depends_on.iter().try_fold(0u64, |sum, dependency| {
            candidates.get(&dependency.node)?.rows.map(|rows| sum.saturating_add(rows))
        });
        rows.is_some_and(|rows| rows <= SMALL_ROWS)
    }

    fn process(&self, session: &Session, batch: &[NodeId], mut candidates: Candidates) -> Result<()> {
        let work = self.work;
        let started = Instant::now();
        let mut nodes: Vec<(&Node, Decision)> = Vec::with_capacity(batch.len());
        let mut reports = Vec::new();
        for id in batch {
            work.observer.event(Event::NodeStarted { node: id });
            let node = &work.workspace.manifest.nodes[id];
            let known = self.lock().done.decisions.remove(id);
            let decided = match known {
                Some(decision) => Ok(decision),
                None if candidates.contains_key(id) => continue,
                None => decide(work.workspace, node, &candidates, work.known, Some(session)),
            };
            match decided {
                Ok(decision) => nodes.push((node, decision)),
                Err(problems) => {
                    let first = problems.sorted().first().map(|diagnostic| (*diagnostic).clone());
                    let first =
                        first.ok_or_else(|| Error::Bug("no diagnostic for a failed template".into()))?;
                    reports.push(self.report(node, Outcome::Error(Box::new(first)), started));
                }
            }
        }
        let Grown { changes, left_out, elapsed, standing: stood } =
            self.build(session, &mut nodes, &mut candidates, &mut reports, started)?;
        // Raw tables and builds that exist are only tested.
        let failed: HashSet<NodeId> = reports.iter().map(|report| report.node.clone()).collect();
        let standing: Vec<&NodeId> = batch.iter().filter(|id| !failed.contains(*id)).collect();
        let tests: Vec<&Test> =
            standing.iter().flat_map(|id| work.gates.get(*id).into_iter().flatten().copied()).collect();
        let mut audited = audit(work.workspace, session, &tests, &candidates, work.passed)?;
        for id in &standing {
            let node = &work.workspace.manifest.nodes[*id];
            audited.extend(check_contract(work.workspace, session, node, &candidates, work.passed)?);
            if let (Some(left_out), Some(candidate)) = (left_out.get(*id), candidates.get(*id)) {
                audited.extend(report_left_out(node, &candidate.fingerprint, left_out));
            }
            audited.extend(check_limits(work.workspace, session, node, &candidates, work.known)?);
        }
        record_tests(session, &audited.rows, work.run_id, &work.workspace.target.name)?;
        let built: HashSet<NodeId> = nodes
            .iter()
            .filter(|(_, decision)| decision.action == Action::Build)
            .map(|(node, _)| node.id.clone())
            .collect();
        let mut by_node: HashMap<NodeId, Audited> = HashMap::new();
        // By the node that waited for it: a source's test belongs to the raw model that lands the source.
        let gated: HashMap<&str, &NodeId> = standing
            .iter()
            .flat_map(|id| work.gates.get(*id).into_iter().flatten().map(|test| (test.name.as_str(), *id)))
            .collect();
        for report in audited.reports {
            let owner = gated.get(report.name.as_str()).map(|id| (*id).clone());
            if let Some(node) = owner.or_else(|| report.node.clone()) {
                by_node.entry(node).or_default().reports.push(report);
            }
        }
        for id in standing {
            let node = &work.workspace.manifest.nodes[id];
            let tests = by_node.remove(id).unwrap_or_default().reports;
            let outcome = if tests.iter().any(|test| test.status.blocks()) {
                Outcome::Failed
            } else if built.contains(id) {
                Outcome::Built
            } else if stood.contains(id) {
                Outcome::NothingNew
            } else {
                Outcome::Reused
            };
            let rows = candidates.get(id).and_then(|candidate| candidate.rows);
            let change = changes.get(id).copied();
            let mut report = NodeReport { rows, change, tests, ..self.report(node, outcome, started) };
            if batch.len() > 1 {
                // The others' time is not its own.
                report.elapsed = elapsed.get(id).copied().unwrap_or_default();
            }
            reports.push(report);
        }
        for (node, decision) in nodes {
            self.lock().done.decisions.insert(node.id.clone(), decision);
        }
        for report in reports {
            self.finish(report, &candidates);
        }
        Ok(())
    }

    fn report(&self, node: &Node, outcome: Outcome, started: Instant) -> NodeReport {
        let tests = match &outcome {
            Outcome::Error(_) => self.not_run(&node.id),
            _ => Vec::new(),
        };
        NodeReport {
            node: node.id.clone(),
            materialized: node.config.materialized,
            outcome,
            rows: None,
            change: None,
            elapsed: started.elapsed(),
            tests,
        }
    }

    /// The tests of a node that was not built, so that every test is accounted for.
    fn not_run(&self, id: &NodeId) -> Vec<TestReport> {
        let tests = self.work.gates.get(id).into_iter().flatten().map(|test| (*test).clone());
        let workspace = self.work.workspace;
        let columns = workspace.manifest.nodes.get(id).and_then(|node| columns_test(workspace, node));
        tests.chain(columns).map(|test| blank(&test, TestStatus::Skipped, None)).collect()
    }

    /// Makes what is to be made: all together, and one by one when that fails, so that the one to blame is alone. Says how
    /// the rows of incremental models changed.
    fn build(
        &self,
        session: &Session,
        nodes: &mut Vec<(&Node, Decision)>,
        candidates: &mut Candidates,
        reports: &mut Vec<NodeReport>,
        started: Instant,
    ) -> Result<Grown> {
        let work = self.work;
        let mut changes = HashMap::new();
        let mut broken = HashSet::new();
        let mut stands = HashMap::new();
        let mut left_out = HashMap::new();
        let mut elapsed = HashMap::new();
        let jobs: Vec<Job<'_>> = nodes
            .iter()
            .filter(|(_, decision)| decision.action == Action::Build)
            .map(|(node, decision)| Job { node, decision })
            .collect();
        if jobs.iter().any(|job| !self.is_small(&job.node.id, candidates)) {
            session.widen()?;
        }
        let groups: Vec<&[Job<'_>]> = if jobs.is_empty() { Vec::new() } else { vec![&jobs[..]] };
        let mut queue: VecDeque<&[Job<'_>]> = groups.into();
        while let Some(group) = queue.pop_front() {
            match make(work.workspace, session, work.run_id, group, candidates) {
                Ok(made) => {
                    for (job, made) in group.iter().zip(made) {
                        elapsed.insert(job.node.id.clone(), made.elapsed);
                        if let Some(problem) = made.failed {
                            broken.insert(job.node.id.clone());
                            reports.push(self.report(job.node, Outcome::Error(problem), started));
                            continue;
                        }
                        if !made.left_out.is_empty() {
                            left_out.insert(job.node.id.clone(), made.left_out);
                        }
                        if let Some(version) = made.stands {
                            stands.insert(job.node.id.clone(), (version, made.rows));
                            continue;
                        }
                        changes.extend(made.change.map(|change| (job.node.id.clone(), change)));
                        candidates.insert(
                            job.node.id.clone(),
                            Candidate {
                                fingerprint: job.decision.fingerprint.clone(),
                                physical: Physical::Build(job.decision.relation.clone()),
                                rows: made.rows,
                                intervals: job.decision.intervals(),
                                volatile: job.decision.volatile.clone(),
                            },
                        );
                    }
                }
                Err((_, BuildError::Database(error))) => return Err(error),
                Err((_, BuildError::Commit)) => queue.extend(group.chunks(1)),
                Err((at, BuildError::Node(diagnostic))) => {
                    let job = &group[at];
                    broken.insert(job.node.id.clone());
                    reports.push(self.report(job.node, Outcome::Error(diagnostic), started));
                    // The others go again without it: its transaction took them along.
                    for rest in [&group[..at], &group[at + 1..]] {
                        if !rest.is_empty() {
                            queue.push_back(rest);
                        }
                    }
                }
            }
        }
        nodes.retain(|(node, _)| !broken.contains(&node.id));
        let standing = self.stand(nodes, stands);
        for (node, decision) in nodes.iter().filter(|(_, decision)| decision.action != Action::Build) {
            // Built before and not published: what it leaves out is still to be said.
            if let Some(growth) = decision.growth.as_ref().filter(|growth| !growth.left_out.is_empty()) {
                left_out.insert(node.id.clone(), growth.left_out.clone());
            }
            let physical = match decision.action {
                Action::Inline => Physical::Inline(Box::new(decision.rendered.clone())),
                _ => Physical::Build(decision.relation.clone()),
            };
            candidates.insert(
                node.id.clone(),
                Candidate {
                    fingerprint: decision.fingerprint.clone(),
                    physical,
                    rows: decision.rows,
                    intervals: standing.get(&node.id).cloned().unwrap_or_else(|| decision.intervals()),
                    volatile: decision.volatile.clone(),
                },
            );
        }
        Ok(Grown { changes, left_out, elapsed, standing: standing.into_keys().collect() })
    }

    fn finish(&self, report: NodeReport, candidates: &Candidates) {
        let good = report.is_good();
        let id = report.node.clone();
        self.work.observer.event(Event::NodeFinished(&report));
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
        state.ended.insert(id.clone());
        if let Some(candidate) = candidates.get(&id) {
            state.done.candidates.insert(id.clone(), candidate.clone());
        }
        state.done.reports.push(report);
        if good {
            for child in self.children.get(&id).into_iter().flatten() {
                let Some(open) = state.waiting.get_mut(child) else { continue };
                *open -= 1;
                if *open == 0 && !state.ended.contains(child) {
                    state.ready.push_back(child.clone());
                }
            }
            return;
        }
        let skipped = self.below(&id, &mut state);
        drop(state);
        for report in skipped {
            self.work.observer.event(Event::NodeFinished(&report));
            self.lock().done.reports.push(report);
        }
    }

    /// Reports for everything below a node that is not good.
    fn below(&self, cause: &NodeId, state: &mut State) -> Vec<NodeReport> {
        let mut reports = Vec::new();
        let mut queue: VecDeque<&NodeId> = self.children.get(cause).into_iter().flatten().collect();
        while let Some(id) = queue.pop_front() {
            if !state.ended.insert(id.clone()) {
                continue;
            }
            reports.push(self.skipped(id, cause));
            queue.extend(self.children.get(id).into_iter().flatten());
        }
        reports
    }

    fn skipped(&self, id: &NodeId, cause: &NodeId) -> NodeReport {
        let node = &self.work.workspace.manifest.nodes[id];
        NodeReport {
            node: id.clone(),
            materialized: node.config.materialized,
            outcome: Outcome::Skipped { because: cause.clone() },
            rows: None,
            change: None,
            elapsed: Duration::ZERO,
            tests: self.not_run(id),
        }
    }

    /// A node that was broken before the schedule began, and what is below it.
    fn finish_broken(&self, mut report: NodeReport, nodes: &BTreeSet<NodeId>) {
        report.tests.extend(self.not_run(&report.node));
        let cause = report.node.clone();
        self.work.observer.event(Event::NodeFinished(&report));
        let mut state = self.lock();
        state.ended.insert(cause.clone());
        state.done.reports.push(report);
        let below = self.work.workspace.dag.descendants(&cause, None);
        for id in nodes.iter().filter(|id| below.contains(*id)) {
            if state.ended.insert(id.clone()) {
                let skipped = self.skipped(id, &cause);
                self.work.observer.event(Event::NodeFinished(&skipped));
                state.done.reports.push(skipped);
                state.ready.retain(|ready| ready != id);
            }
        }
    }
}
