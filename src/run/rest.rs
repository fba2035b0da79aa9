//! Rest: whether a run leaves the project at rest, so that the next one has nothing to do as long as nothing changes.
//!
//! A run whose every decision was to reuse has shown that. One that built and published shows it too, where each thing
//! that it made is one that the next run would reuse, and each verdict one that it would not ask for again.

use crate::manifest::{NodeKind, UnitRows, UnitTest};
use crate::sql::tokens;

use super::audit::{lasts, may_be_volatile};
use super::event::{Ending, RunReport, TestReport, TestStatus};
use super::freshness::FreshnessStatus;
use super::schedule::Done;
use super::{Context, compare};

impl Context<'_> {
    /// Whether a run that ends as the report says leaves nothing to do.
    pub(super) fn is_at_rest(&self, done: &Done, report: &RunReport) -> bool {
        let manifest = &self.workspace.manifest;
        let is_final = match &report.ending {
            Ending::Published { held_back, .. } => *held_back == 0,
            Ending::Unchanged { release_id } => release_id.is_some(),
            Ending::Withheld | Ending::NotPublished { .. } => false,
        };
        let passed = |test: &TestReport| {
            matches!(test.status, TestStatus::Pass | TestStatus::Reused | TestStatus::Warn)
        };
        let mut tests = manifest.tests.values().filter(|test| self.options.selected.contains(&test.id));
        let mut units = manifest.unit_tests.values().filter(|test| self.options.selected.contains(&test.id));
        is_final
            && report.is_good()
            && report.tests().all(passed)
            && report.freshness.iter().all(|source| source.status == FreshnessStatus::Pass)
            && report.loads.iter().all(|load| load.warnings.is_empty())
            && done.decisions.values().all(|decision| !decision.is_fleeting)
            // What the database answers may be something else each time.
            && report.nodes.iter().all(|node| manifest.nodes.get(&node.node).is_some_and(|node| !node.template_asks))
            && tests.all(|test| lasts(test, &done.candidates))
            && units.all(|test| self.is_steady(test, done))
    }

    /// Whether a unit test that has passed would pass at any other time too.
    fn is_steady(&self, test: &UnitTest, done: &Done) -> bool {
        let overrides = &test.declared.overrides;
        if overrides.now.is_some() {
            return true;
        }
        let is_volatile = |text: &str| may_be_volatile(text) || tokens::read(text).volatile.is_some();
        let rows = test.given.iter().chain([&test.expect]);
        let queries = rows.filter_map(|rows| match rows {
            UnitRows::Sql(query) => Some(query.value.as_str()),
            UnitRows::Table(_) => None,
        });
        let Some(node) = self.workspace.manifest.nodes.get(&test.node) else { return false };
        let rendered = done.decisions.get(&node.id).map(|decision| decision.rendered.sql.as_str());
        let replaced: Vec<String> = overrides.macros.iter().map(|(_, value)| value.to_string()).collect();
        // Then the test may go where the model itself does not go.
        let goes_elsewhere =
            !(replaced.is_empty() && overrides.vars.is_empty() && overrides.env_vars.is_empty())
                || node.config.incremental.is_some()
                || node.kind == NodeKind::Snapshot;
        let macros = self.workspace.project.files.macros.iter().filter(|_| goes_elsewhere);
        rendered.is_some()
            && !queries
                .chain(rendered)
                .chain([node.file.text.as_str()])
                .chain(replaced.iter().map(String::as_str))
                .chain(macros.map(|resource| resource.file.text.as_str()))
                .any(is_volatile)
    }
}

impl RunReport {
    /// What the next run says, as long as nothing changes: everything is reused.
    pub fn repeated(&self) -> Self {
        let mut report = self.clone();
        if let Ending::Published { release_id, .. } = report.ending {
            report.ending = Ending::Unchanged { release_id: Some(release_id) };
        }
        report.elapsed = std::time::Duration::ZERO;
        for load in &mut report.loads {
            load.elapsed = std::time::Duration::ZERO;
        }
        for node in &mut report.nodes {
            node.outcome = super::event::Outcome::Reused;
            node.change = None;
            node.elapsed = std::time::Duration::ZERO;
            forget(&mut node.tests);
        }
        forget(&mut report.late_tests);
        report
    }
}

/// Tests as they are told of when nothing is built: those that passed are not run again, those that warned come to the
/// same. That rows changed within limits is said once.
fn forget(tests: &mut Vec<TestReport>) {
    tests.retain(|test| !compare::is_of_limits(test));
    for test in tests {
        test.elapsed = std::time::Duration::ZERO;
        if test.status != TestStatus::Warn {
            test.status = TestStatus::Reused;
            test.failures = None;
            test.message = None;
        }
    }
}
