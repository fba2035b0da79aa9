//! Testing again: `kiln test` runs the tests on what is published.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::engine::database::Database;
use crate::engine::load;
use crate::engine::state::{self, RunEnd};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Test};
use crate::names::NodeId;
use crate::workspace::Workspace;

use super::audit::{self, Audited, audit};
use super::event::{Event, Observer, Started, TestReport, TestStatus};
use super::land::raw_candidates;
use super::plan::{Known, Refresh};
use super::{Beforehand, interruptible};

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
    test_after(&|_| Ok(Vec::new()), workspace, selected, patience, observer, stop)
}

/// Tests what is published, after the unit tests.
///
/// # Errors
/// As [`test`], and those of the check.
pub fn test_after(
    beforehand: &Beforehand<'_>,
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
    state::start_run(session, &run_id, &target, "test", &workspace.origin)?;
    let known = Known::read(session, &target, &run_id, Refresh::Reuse)?;
    let mut candidates = raw_candidates(workspace, session)?;
    for node in workspace.manifest.nodes.values() {
        if let Some(candidate) = known.published(&node.name) {
            candidates.insert(node.id.clone(), candidate);
        }
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
    let unit_tests = beforehand(session)?;
    observer.event(Event::Started(Started {
        run_id: &run_id,
        target: &target,
        threads: workspace.threads(),
        nodes: 0,
        tests: ready.len() + unit_tests.len(),
    }));
    observer.event(Event::TestsFinished(&unit_tests));
    let audited = interruptible(session, stop, || {
        let mut all = Audited::default();
        // By groups, so that whoever watches sees it go on.
        for chunk in ready.chunks(200) {
            let audited = audit(workspace, session, chunk, &candidates, &HashSet::new())?;
            observer.event(Event::TestsFinished(&audited.reports));
            all.extend(audited);
        }
        Ok::<_, Error>(all)
    })?;
    state::record_tests(session, &audited.rows, &run_id, &target)?;
    let rows: Vec<_> = unit_tests.iter().map(audit::unit_row).collect();
    state::record_tests(session, &rows, &run_id, &target)?;
    let mut reports = unit_tests;
    reports.extend(audited.reports);
    let failed = reports.iter().any(|report| report.status.blocks());
    reports.extend(skipped.into_iter().map(|test| audit::blank(test, TestStatus::Skipped, None)));
    let end = RunEnd { status: if failed { "failed" } else { "passed" }.into(), ..RunEnd::default() };
    state::finish_run(session, &run_id, &end)?;
    let release_id = (known.release.id > 0).then_some(known.release.id);
    Ok(TestRun { run_id, target, tests: reports, release_id, elapsed: started.elapsed() })
}
