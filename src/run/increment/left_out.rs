//! Left out: rows that no interval of a model takes in, because of their `event_time`. Nobody would miss them, so the run
//! says how many there are, as a test that warns.

use std::time::Duration;

use crate::engine::state::TestRow;
use crate::interval::shown;
use crate::manifest::{Node, Strategy, TestSeverity};
use crate::names::Fingerprint;
use crate::run::audit::Audited;
use crate::run::event::{TestReport, TestStatus};
use crate::template::Window;
use crate::words::counted;

use super::refusal::said;

/// Rows that no interval takes in, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Of which relation; nothing for the model's own query.
    pub of: Option<Parent>,
    /// Their time is NULL.
    pub nulls: u64,
    /// Their time is infinite.
    pub infinite: u64,
    /// Their time is before `begin`.
    pub early: u64,
    /// Their time is still to come.
    pub future: u64,
    /// The query gave them for another interval than that of their time.
    pub elsewhere: u64,
    /// They came when their interval was built already.
    pub late: u64,
    /// The window that would have to be done again for those.
    pub late_for: Option<Window>,
}

/// A relation that a model reads by its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// The column that holds the time.
    pub column: String,
    /// A condition that is true for the rows, and where they are.
    pub query: String,
}

impl LeftOut {
    /// How many.
    pub fn rows(&self) -> u64 {
        self.nulls + self.infinite + self.early + self.future + self.elsewhere + self.late
    }

    /// What is left out, each in a sentence.
    fn sentences(&self, model: &str, own: &str, begin: &str) -> Vec<String> {
        let rows = |count: u64| counted(count, "row", "rows");
        let (of, column) = match &self.of {
            Some(parent) => (format!("`{}`", parent.name), parent.column.as_str()),
            None => ("its query".to_owned(), own),
        };
        let begin = shown(begin);
        let each = [
            (self.nulls, format!("{} of {of} left out: `{column}` is NULL", rows(self.nulls))),
            (self.infinite, format!("{} of {of} left out: `{column}` is infinite", rows(self.infinite))),
            (
                self.early,
                format!("{} of {of} left out: `{column}` is before `begin`, {begin}", rows(self.early)),
            ),
            (
                self.future,
                format!("{} of {of} left out for now: `{column}` is in the future", rows(self.future)),
            ),
            (
                self.elsewhere,
                format!(
                    "{} of {of} left out: `{column}` is not in the interval that they were made for",
                    rows(self.elsewhere)
                ),
            ),
        ];
        let late = self.late_for.as_ref().map(|window| {
            let (from, to) = (shown(&window.start), shown(&window.end));
            format!(
                "{} of {of} came too late for an interval: `kiln run --select {model}+ --from {from} --to {to}` takes {} in",
                rows(self.late),
                if self.late == 1 { "it" } else { "them" }
            )
        });
        each.into_iter().filter(|(count, _)| *count > 0).map(|(_, sentence)| sentence).chain(late).collect()
    }
}

/// What was left out of a model, as a test that warns; nothing where nothing was.
pub fn report(node: &Node, fingerprint: &Fingerprint, all: &[LeftOut]) -> Audited {
    let mut audited = Audited::default();
    let Some(Strategy::Interval(config)) = node.config.incremental.as_ref().map(|config| &config.strategy)
    else {
        return audited;
    };
    let rows: u64 = all.iter().map(LeftOut::rows).sum();
    if rows == 0 {
        return audited;
    }
    let sentences = all.iter().flat_map(|left| left.sentences(&node.name, &config.event_time, &config.begin));
    let message = sentences.collect::<Vec<_>>().join("\n");
    let queries = all.iter().filter(|left| left.rows() > 0).filter_map(|left| left.of.as_ref());
    let report = TestReport {
        name: format!("event_time_{}", node.name),
        node: Some(node.id.clone()),
        column: Some(config.event_time.clone()),
        status: TestStatus::Warn,
        severity: TestSeverity::Warn,
        failures: i64::try_from(rows).ok(),
        rows: None,
        sample: None,
        query: queries.map(|parent| parent.query.clone()).collect::<Vec<_>>().join(";\n"),
        at: said(node, "event_time"),
        message: Some(message),
        elapsed: Duration::ZERO,
        unit: None,
        rows_changed: None,
    };
    audited.rows.push(TestRow {
        model: Some(node.name.clone()),
        test: report.name.clone(),
        column: report.column.clone(),
        status: "warn",
        severity: "warn",
        failures: report.failures,
        rows: None,
        fingerprint: Some(fingerprint.clone()),
        // What is left out is counted again by every build.
        definition: Fingerprint::of([uuid::Uuid::now_v7().as_bytes().as_slice()]),
        seconds: 0.0,
        message: report.message.clone(),
    });
    audited.reports.push(report);
    audited
}
