//! The audit: the tests and the contract of what was built, run on the candidates.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::check;
use crate::contract::{self, ColumnFinding, Contract};
use crate::diagnostic::Diagnostic;
use crate::engine::increment::quoted;
use crate::engine::session::Session;
use crate::engine::state::TestRow;
use crate::engine::state::increment::waiting_delta;
use crate::error::{Error, Result};
use crate::manifest::{AuditScope, Materialization, Node, Object, Test, TestConfig, TestKind, TestSeverity};
use crate::names::{Fingerprint, NodeId};
use crate::sql::quote::identifier;
use crate::workspace::Workspace;

use super::candidate::{Candidate, Candidates, Physical, Reading, bind};
use super::event::{TestReport, TestStatus};
use super::names::Names;

/// Tests of models up to this many rows share a query: on 100 rows that halves the time, on millions it costs more
/// than it saves.
const SMALL: u64 = 100_000;

/// Most tests in one query: the statement's own planning grows with them.
const BATCH: usize = 64;

/// Schema of the tables that `store_failures` makes; dbt's name.
const FAILURES_SCHEMA: &str = "dbt_test__audit";

/// A test that is ready to run.
struct Ready<'a> {
    test: &'a Test,
    /// With physical names.
    sql: String,
    definition: Fingerprint,
    rows: Option<u64>,
}

/// The outcome of an audit: what to show, and what to keep.
#[derive(Debug, Default)]
pub struct Audited {
    /// One for each test.
    pub reports: Vec<TestReport>,
    /// One for each test that was run.
    pub rows: Vec<TestRow>,
}

/// Runs tests on candidates. Those that have passed on the very same builds are not run again.
///
/// # Errors
/// The database failed, or the user interrupted. A test that cannot run is a report, not an error.
pub fn audit(
    workspace: &Workspace,
    session: &Session,
    tests: &[&Test],
    candidates: &Candidates,
    passed: &HashSet<Fingerprint>,
) -> Result<Audited> {
    let mut audited = Audited::default();
    let mut small = Vec::new();
    let mut large = Vec::new();
    for test in tests {
        let definition = definition(workspace, test, candidates);
        let delta = with_delta(session, test, candidates)?;
        let candidates = delta.as_ref().unwrap_or(candidates);
        let rows = tested(test, candidates).and_then(|candidate| candidate.rows);
        if definition.as_ref().is_some_and(|definition| passed.contains(definition)) {
            audited.reports.push(TestReport { rows, ..blank(test, TestStatus::Reused, None) });
            continue;
        }
        // A verdict that cannot be used again is kept under a name that nothing else has.
        let definition =
            definition.unwrap_or_else(|| Fingerprint::of([uuid::Uuid::now_v7().as_bytes().as_slice()]));
        let names = Names { workspace, candidates, session: Some(session) };
        match workspace.render_test(test, &names) {
            Ok(rendered) => {
                let sql = bind(&rendered, candidates, Reading::Now).sql;
                let ready = Ready { test, sql, definition, rows };
                match rows.is_some_and(|rows| rows <= SMALL) {
                    true => small.push(ready),
                    false => large.push(ready),
                }
            }
            Err(problems) => {
                let message = problems.render(crate::diagnostic::Style::Plain);
                let report = blank(test, TestStatus::Error, Some(message.trim_end().to_owned()));
                audited.keep(report, test, definition, candidates);
            }
        }
    }
    for chunk in small.chunks(BATCH) {
        run_together(session, chunk, candidates, &mut audited)?;
    }
    if !large.is_empty() {
        session.widen()?;
    }
    for ready in &large {
        run_alone(session, ready, candidates, &mut audited)?;
    }
    for ready in small.iter().chain(&large) {
        store_failures(session, ready)?;
    }
    Ok(audited)
}

impl Audited {
    /// Adds another audit's outcome.
    pub fn extend(&mut self, other: Self) {
        self.reports.extend(other.reports);
        self.rows.extend(other.rows);
    }

    fn keep(&mut self, report: TestReport, test: &Test, definition: Fingerprint, candidates: &Candidates) {
        let status = match report.status {
            TestStatus::Pass | TestStatus::Reused | TestStatus::Skipped => "pass",
            TestStatus::Warn => "warn",
            TestStatus::Fail => "fail",
            TestStatus::Error => "error",
        };
        self.rows.push(TestRow {
            model: test.node.as_ref().map(|node| node.short().to_owned()),
            test: test.name.clone(),
            column: test.column.clone(),
            status,
            severity: match test.config.severity {
                TestSeverity::Error => "error",
                TestSeverity::Warn => "warn",
            },
            failures: report.failures,
            rows: report.rows,
            fingerprint: test
                .node
                .as_ref()
                .and_then(|node| candidates.get(node))
                .map(|candidate| candidate.fingerprint.clone()),
            definition,
            seconds: report.elapsed.as_secs_f64(),
            message: report.message.clone(),
        });
        self.reports.push(report);
    }
}

/// The candidates with the new rows of the tested model alone in its place, for a test that asks for them and as long as
/// they wait to be published.
fn with_delta(session: &Session, test: &Test, candidates: &Candidates) -> Result<Option<Candidates>> {
    let (AuditScope::Delta, Some(node)) = (test.config.audit, &test.node) else { return Ok(None) };
    let Some(Candidate { physical: Physical::Build(relation), fingerprint, .. }) = candidates.get(node)
    else {
        return Ok(None);
    };
    let Some(delta) = waiting_delta(session, relation)? else { return Ok(None) };
    let rows = session.count(&format!("SELECT count(*) FROM {}", quoted(&delta)))?;
    let candidate = Candidate {
        fingerprint: fingerprint.clone(),
        physical: Physical::Build(delta),
        rows: Some(rows.max(0) as u64),
        intervals: None,
        volatile: None,
    };
    let mut candidates = candidates.clone();
    candidates.insert(node.clone(), candidate);
    Ok(Some(candidates))
}

/// What a test is tested on.
fn tested<'a>(test: &Test, candidates: &'a Candidates) -> Option<&'a Candidate> {
    candidates.get(test.node.as_ref()?)
}

/// What a test says. `None` if its verdict may differ the next time though it says the same: it reads the clock or the
/// environment.
fn said(test: &Test) -> Option<String> {
    let said = match &test.kind {
        TestKind::Generic { name, .. } if check::builtin::depends_on_time(name) => return None,
        TestKind::Contract(rule) if rule.depends_on_time() => return None,
        TestKind::Generic { name, args } => {
            format!("generic {name} {}", serde_json::Value::Object(args.clone()))
        }
        TestKind::Contract(rule) => format!("contract {}", rule.definition()),
        TestKind::Singular { file } => format!("singular {}", file.text),
    };
    let asks_outside = |text: &str| text.contains("env_var") || text.contains("run_query");
    let clause = test.config.where_clause.as_deref().unwrap_or_default();
    let is_certain = |text: &str| !asks_outside(text) && !may_be_volatile(text);
    (is_certain(&said) && is_certain(clause)).then_some(said)
}

/// What a test reads. `None` if that is not there, or a relation that Kiln does not watch.
fn read<'a>(test: &'a Test, candidates: &'a Candidates) -> Option<Vec<(&'a NodeId, &'a Candidate)>> {
    let watched = |node| {
        let candidate = candidates.get(node)?;
        (!matches!(candidate.physical, Physical::Source(_))).then_some((node, candidate))
    };
    test.depends_on.iter().map(|dependency| watched(&dependency.node)).collect()
}

/// Whether a test that has passed need not be run again as long as what it reads is the same.
pub fn lasts(test: &Test, candidates: &Candidates) -> bool {
    said(test).is_some() && read(test, candidates).is_some()
}

/// Everything that a test's verdict follows from, known without rendering it: what it says, the macros and variables
/// that it can use, and the builds that it reads. `None` if the verdict may differ the next time all the same.
fn definition(workspace: &Workspace, test: &Test, candidates: &Candidates) -> Option<Fingerprint> {
    let config = &test.config;
    let said = said(test)?;
    let verdict = format!(
        "{:?} {:?} {} {} {:?} {:?} {}",
        test.column,
        config.severity,
        config.warn_if,
        config.error_if,
        config.limit,
        config.where_clause,
        config.fail_calc
    );
    let mut parts: Vec<&[u8]> = vec![
        b"kiln test 2",
        said.as_bytes(),
        verdict.as_bytes(),
        workspace.surroundings().as_str().as_bytes(),
    ];
    for (node, candidate) in read(test, candidates)? {
        parts.push(node.as_str().as_bytes());
        parts.push(candidate.fingerprint.as_str().as_bytes());
        // A build that was made anew under an old fingerprint is another table.
        if let Physical::Build(relation) = &candidate.physical
            && (test.config.audit == AuditScope::Whole || test.node.as_ref() != Some(node))
        {
            parts.push(relation.as_bytes());
        }
    }
    Some(Fingerprint::of(parts))
}

/// Whether a text names something that is another thing each time. Searched for as text, since it need not be SQL yet.
pub(super) fn may_be_volatile(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "now(",
        "current_",
        "today(",
        "random(",
        "uuid",
        "local_time",
        "localtime",
        "run_started_at",
        "invocation_id",
    ]
    .iter()
    .any(|word| text.contains(word))
        || text
            .match_indices("age(")
            .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn run_together(
    session: &Session,
    chunk: &[Ready<'_>],
    candidates: &Candidates,
    audited: &mut Audited,
) -> Result<()> {
    if let [one] = chunk {
        return run_alone(session, one, candidates, audited);
    }
    let started = Instant::now();
    let sql = check::query::batch(chunk.iter().map(|ready| (ready.sql.as_str(), &ready.test.config)));
    let counted = session.pairs(&sql);
    let rows = match counted {
        Ok(rows) => rows,
        Err(error) if error.is_interrupt() => return Err(Error::Interrupted),
        // One of them is broken: alone, each says for itself whether it is the one.
        Err(_) => {
            return chunk.iter().try_for_each(|ready| run_alone(session, ready, candidates, audited));
        }
    };
    let elapsed = started.elapsed();
    let mut failures = vec![0; chunk.len()];
    for (position, count) in rows {
        failures[position as usize] = count;
    }
    for (ready, failures) in chunk.iter().zip(failures) {
        judge(session, ready, failures, elapsed, candidates, audited)?;
    }
    Ok(())
}

fn run_alone(
    session: &Session,
    ready: &Ready<'_>,
    candidates: &Candidates,
    audited: &mut Audited,
) -> Result<()> {
    let started = Instant::now();
    match session.count(&check::query::count(&ready.sql, &ready.test.config)) {
        Ok(failures) => judge(session, ready, failures, started.elapsed(), candidates, audited),
        Err(error) if error.is_interrupt() => Err(Error::Interrupted),
        Err(error) => {
            let mut report = blank(ready.test, TestStatus::Error, Some(error.to_string()));
            report.elapsed = started.elapsed();
            report.query = check::query::failing_rows(&ready.sql);
            audited.keep(report, ready.test, ready.definition.clone(), candidates);
            Ok(())
        }
    }
}

fn judge(
    session: &Session,
    ready: &Ready<'_>,
    failures: i64,
    elapsed: Duration,
    candidates: &Candidates,
    audited: &mut Audited,
) -> Result<()> {
    let mut report = blank(ready.test, TestStatus::Pass, None);
    report.failures = Some(failures);
    report.rows = ready.rows;
    report.elapsed = elapsed;
    match check::outcome::evaluate(&ready.test.config, failures) {
        Ok(check::outcome::Status::Pass) => {}
        Ok(check::outcome::Status::Warn) => report.status = TestStatus::Warn,
        Ok(check::outcome::Status::Fail) => report.status = TestStatus::Fail,
        Err(problem) => {
            report.status = TestStatus::Error;
            report.message = Some(problem.message);
        }
    }
    if report.status != TestStatus::Pass {
        report.query = check::query::failing_rows(&ready.sql);
        if report.rows.is_none() {
            report.rows = count_rows(session, ready.test, candidates);
        }
        report.sample = session.table(&check::query::sample(&ready.sql), check::query::SAMPLE_ROWS).ok();
    }
    audited.keep(report, ready.test, ready.definition.clone(), candidates);
    Ok(())
}

fn count_rows(session: &Session, test: &Test, candidates: &Candidates) -> Option<u64> {
    let relation = relation_of(&candidates.get(test.node.as_ref()?)?.physical)?;
    session.count(&format!("SELECT count(*) FROM {relation}")).ok().map(|rows| rows.max(0) as u64)
}

fn store_failures(session: &Session, ready: &Ready<'_>) -> Result<()> {
    if !ready.test.config.store_failures {
        return Ok(());
    }
    let table = format!("{}.{}", identifier(FAILURES_SCHEMA), identifier(&ready.test.name));
    let query = check::query::failing_rows(&ready.sql);
    let limit = ready.test.config.limit.map_or(String::new(), |limit| format!(" LIMIT {limit}"));
    let query = query.trim_end().trim_end_matches(';');
    session.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(FAILURES_SCHEMA)))?;
    // A test that cannot run has been reported already.
    let _ =
        session.execute(&format!("CREATE OR REPLACE TABLE {table} AS SELECT * FROM (\n{query}\n){limit}"));
    Ok(())
}

/// What is kept of a unit test. Its verdict is never used again: it runs each time.
pub fn unit_row(report: &TestReport) -> TestRow {
    TestRow {
        model: report.node.as_ref().map(|node| node.short().to_owned()),
        test: report.name.clone(),
        column: None,
        status: match report.status {
            TestStatus::Fail => "fail",
            TestStatus::Error => "error",
            _ => "pass",
        },
        severity: "error",
        failures: report.failures,
        rows: report.rows,
        fingerprint: None,
        definition: Fingerprint::of([uuid::Uuid::now_v7().as_bytes().as_slice()]),
        seconds: report.elapsed.as_secs_f64(),
        message: report.message.clone(),
    }
}

/// A report with nothing measured yet.
pub fn blank(test: &Test, status: TestStatus, message: Option<String>) -> TestReport {
    TestReport {
        name: test.name.clone(),
        node: test.node.clone(),
        column: test.column.clone(),
        status,
        severity: test.config.severity,
        failures: None,
        rows: None,
        sample: None,
        query: String::new(),
        at: test.at.clone(),
        message,
        elapsed: Duration::ZERO,
        unit: None,
        rows_changed: None,
    }
}

/// The contract that a build's columns are compared with: the published one, else what the properties declare.
fn contract_of<'a>(workspace: &'a Workspace, node: &Node) -> Option<Cow<'a, Contract>> {
    if node.config.materialized == Materialization::Ephemeral {
        return None;
    }
    let published = workspace.manifest.contracts.get(&node.id).map(Cow::Borrowed);
    published.or_else(|| contract::enforced(node).map(Cow::Owned))
}

/// The test that compares a build's columns with its contract, where it has one.
pub fn columns_test(workspace: &Workspace, node: &Node) -> Option<Test> {
    contract_of(workspace, node).map(|contract| contract_test(node, &contract))
}

/// Compares a build's columns with its contract: one more test, whose failures are the columns that differ.
///
/// # Errors
/// The database failed.
pub fn check_contract(
    workspace: &Workspace,
    session: &Session,
    node: &Node,
    candidates: &Candidates,
    passed: &HashSet<Fingerprint>,
) -> Result<Audited> {
    let mut audited = Audited::default();
    let (Some(contract), Some(candidate)) = (contract_of(workspace, node), candidates.get(&node.id)) else {
        return Ok(audited);
    };
    let Some(relation) = relation_of(&candidate.physical) else { return Ok(audited) };
    let test = contract_test(node, &contract);
    let severity = test.config.severity;
    let definition = Fingerprint::of([
        b"contract columns".as_slice(),
        contract.at.file.text.as_bytes(),
        candidate.fingerprint.as_str().as_bytes(),
    ]);
    if passed.contains(&definition) {
        let mut report = blank(&test, TestStatus::Reused, None);
        report.rows = candidate.rows;
        audited.reports.push(report);
        return Ok(audited);
    }
    let started = Instant::now();
    let columns = session.describe(&format!("SELECT * FROM {relation}"))?;
    let own = |name: &str| crate::engine::load::OWN_COLUMNS.iter().any(|(own, _)| *own == name);
    let actual: Vec<(String, String)> = columns
        .into_iter()
        .filter(|column| node.config.materialized != Materialization::Append || !own(&column.name))
        .map(|column| (column.name, column.data_type))
        .collect();
    let canonical = |written: &str| session.canonical_type(written);
    let findings = match &contract {
        Cow::Borrowed(published) => contract::check_columns(published, &actual, &canonical),
        Cow::Owned(declared) => contract::check_declared(declared, &actual, &canonical),
    };
    let faults: Vec<&ColumnFinding> =
        findings.iter().filter(|finding| !matches!(finding, ColumnFinding::ExtraColumn { .. })).collect();
    let status = match (faults.is_empty(), severity) {
        (true, _) => TestStatus::Pass,
        (false, TestSeverity::Warn) => TestStatus::Warn,
        (false, TestSeverity::Error) => TestStatus::Fail,
    };
    let lines: Vec<String> =
        faults.iter().map(|finding| finding.diagnostic(&contract)).map(|d| one_line(&d)).collect();
    let mut report = blank(&test, status, (!lines.is_empty()).then(|| lines.join("\n")));
    report.failures = Some(faults.len() as i64);
    report.rows = candidate.rows;
    report.elapsed = started.elapsed();
    if let Some((at, _)) = faults.first().and_then(|finding| finding.diagnostic(&contract).primary) {
        report.at = at;
    }
    audited.keep(report, &test, definition, candidates);
    Ok(audited)
}

/// The columns of a contract, as a test.
fn contract_test(node: &Node, contract: &Contract) -> Test {
    let severity = if contract.is_unstable() { TestSeverity::Warn } else { TestSeverity::Error };
    let name = format!("contract_{}_columns", node.name);
    Test {
        id: NodeId::new("test", &node.package, &name),
        name,
        node: Some(node.id.clone()),
        column: None,
        kind: TestKind::Generic { name: "contract_columns".into(), args: Object::new() },
        config: TestConfig { severity, ..TestConfig::default() },
        depends_on: Vec::new(),
        at: contract.at.clone(),
    }
}

/// A diagnostic as one line: what, where, what to do.
fn one_line(diagnostic: &Diagnostic) -> String {
    let mut line = diagnostic.message.clone();
    if let Some((at, _)) = &diagnostic.primary {
        line.push_str(&format!(" ({at})"));
    }
    for help in &diagnostic.help {
        line.push_str(&format!("; {help}"));
    }
    line
}

fn relation_of(physical: &Physical) -> Option<String> {
    match physical {
        Physical::Build(build) => {
            Some(crate::names::Relation::new(crate::engine::state::DATA_SCHEMA, build).to_string())
        }
        Physical::Raw { relation, .. } | Physical::Source(relation) => Some(relation.to_string()),
        Physical::Inline(_) | Physical::Slice { .. } => None,
    }
}
