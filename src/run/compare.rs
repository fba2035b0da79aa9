//! Comparing: the rows of a candidate with those that readers see, for `kiln diff --data` and as a gate before a publish.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::diff::data::{ChangedRow, Comparison, DataDiff, NotUnique, Samples, Table, Which};
use crate::engine::session::{Session, SqlError};
use crate::engine::state::{DATA_SCHEMA, TestRow};
use crate::error::Result;
use crate::manifest::{Limit, Materialization, Node, RowLimits, TestSeverity};
use crate::names::{Fingerprint, NodeId, Relation};
use crate::sql::rendered::{Rendered, Slot};
use crate::words::number;
use crate::workspace::Workspace;

use super::audit::Audited;
use super::candidate::{Candidate, Candidates, Physical, Reading, bind};
use super::event::{Action, TestReport, TestStatus};
use super::land::raw_candidates;
use super::plan::{Decision, Known, Refresh, decide, is_decidable, volatile};

/// Rows of each kind that are sampled.
const SAMPLES: usize = 5;

/// Columns of which changed rows are shown.
const SAMPLED_COLUMNS: usize = 12;

/// How the rows of a model differ from those that readers see.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The model or seed.
    pub node: NodeId,
    /// What was found.
    pub state: CompareState,
    /// Limits of its `audit` that are passed, in sentences.
    pub broken: Vec<String>,
}

/// What became of a comparison.
#[derive(Debug, Clone)]
pub enum CompareState {
    /// Both sides are the same build.
    SameBuild,
    /// It is not built as the project says it now.
    NotBuilt(String),
    /// Its build is never taken twice, for this reason: what a run built says nothing of the next.
    Volatile(String),
    /// Readers do not see it yet.
    New {
        /// Its rows, where known.
        rows: Option<u64>,
    },
    /// The key that was asked for has columns that it does not have.
    NoSuchKey(Vec<String>),
    /// The rows.
    Rows(Box<DataDiff>),
}

/// Compares candidates with what is published, in the order of the graph. Nothing is built for it: what no run has built
/// is said to be so. `key` is used for every model, instead of what the project says.
///
/// # Errors
/// The database failed, or a template does not render.
pub fn compare(
    workspace: &Workspace,
    session: &Session,
    selected: &BTreeSet<NodeId>,
    key: &[String],
) -> Result<Vec<Compared>> {
    let manifest = &workspace.manifest;
    let known = Known::read(session, &workspace.target.name, "", Refresh::Reuse)?;
    let mut candidates = raw_candidates(workspace, session)?;
    let mut compared = Vec::new();
    for id in workspace.topological() {
        let Some(node) = manifest.nodes.get(id) else { continue };
        if node.config.materialized == Materialization::Append {
            continue;
        }
        let state = match candidate(workspace, session, node, &candidates, &known)? {
            Ok(found) => {
                let is_inline = matches!(found.physical, Physical::Inline(_));
                candidates.insert(id.clone(), found);
                if is_inline || !selected.contains(id) {
                    continue;
                }
                beside(workspace, session, node, &candidates, &known, key)?
            }
            Err(why) => why,
        };
        if selected.contains(id) {
            let broken = match (&state, &node.config.limits) {
                (CompareState::Rows(diff), Some(limits)) => broken(limits, diff),
                _ => Vec::new(),
            };
            compared.push(Compared { node: id.clone(), state, broken });
        }
    }
    Ok(compared)
}

/// What stands for a node as the project says it now, or why nothing does.
fn candidate(
    workspace: &Workspace,
    session: &Session,
    node: &Node,
    candidates: &Candidates,
    known: &Known,
) -> Result<Result<Candidate, CompareState>> {
    let missing = node.depends_on.iter().find(|dependency| !candidates.contains_key(&dependency.node));
    if let Some(missing) = missing {
        let why = format!("it reads `{}`, which is not built", missing.node.short());
        return Ok(Err(CompareState::NotBuilt(why)));
    }
    if !is_decidable(workspace, node, candidates, &|_| false) {
        return Ok(Err(CompareState::NotBuilt("what it is can be known only when it is built".into())));
    }
    let decision = decide(workspace, node, candidates, known, Some(session))?;
    let (intervals, changing) = (decision.intervals(), decision.volatile);
    let physical = match decision.action {
        Action::Inline => Physical::Inline(Box::new(decision.rendered)),
        Action::Reuse => Physical::Build(decision.relation),
        _ => {
            let always = volatile(node, &decision.rendered);
            return Ok(Err(always.map_or(CompareState::NotBuilt(decision.reason), CompareState::Volatile)));
        }
    };
    let Decision { fingerprint, rows, .. } = decision;
    Ok(Ok(Candidate { fingerprint, physical, rows, intervals, volatile: changing }))
}

fn beside(
    workspace: &Workspace,
    session: &Session,
    node: &Node,
    candidates: &Candidates,
    known: &Known,
    key: &[String],
) -> Result<CompareState> {
    let candidate = &candidates[&node.id];
    let Some(published) = known.release.models.get(&node.name) else {
        return Ok(CompareState::New { rows: candidate.rows });
    };
    if candidate.fingerprint == published.fingerprint {
        return Ok(CompareState::SameBuild);
    }
    let key = match key.is_empty() {
        true => workspace.manifest.key_of(&node.id),
        false => key.to_vec(),
    };
    let before = Relation::new(DATA_SCHEMA, &published.relation).to_string();
    Ok(match rows(session, &before, &after(node, candidates), &key)? {
        Ok(diff) => CompareState::Rows(Box::new(diff)),
        Err(missing) => CompareState::NoSuchKey(missing),
    })
}

/// A candidate as something that can stand in a FROM clause.
fn after(node: &Node, candidates: &Candidates) -> String {
    let name = node.relation.to_string();
    let start = "select * from ".len();
    let whole = Rendered {
        sql: format!("select * from {name}"),
        slots: vec![Slot { range: start..start + name.len(), node: node.id.clone() }],
        origins: Vec::new(),
    };
    format!("({})", bind(&whole, candidates, Reading::Now).sql)
}

/// Compares two tables by a key, or by whole rows without one. Gives the columns of the key that are not there.
///
/// # Errors
/// The database failed.
pub fn rows(
    session: &Session,
    before: &str,
    after: &str,
    key: &[String],
) -> Result<std::result::Result<DataDiff, Vec<String>>, SqlError> {
    let table = |sql: &str| {
        let columns = session.describe(&format!("SELECT * FROM {sql}"))?;
        Ok::<_, SqlError>(Table { sql: sql.to_owned(), columns })
    };
    let (before, after) = (table(before)?, table(after)?);
    let keyed = match Comparison::new(before.clone(), after.clone(), key) {
        Ok(keyed) => keyed,
        Err(missing) => return Ok(Err(missing)),
    };
    let mut diff = counted(session, &keyed, key)?;
    let mut laid = keyed;
    if diff.not_unique.is_some() {
        // Which row became which nobody can tell: whole rows are counted instead.
        let not_unique = diff.not_unique.take();
        let whole = Comparison::new(before, after, &[]);
        if let Ok(whole) = whole {
            diff = counted(session, &whole, &[])?;
            laid = whole;
        }
        diff.not_unique = not_unique;
    }
    if diff.added + diff.removed + diff.changed > 0 {
        details(session, &laid, &mut diff)?;
    }
    session.execute(&Comparison::forget())?;
    diff.columns_added = laid.columns_added;
    diff.columns_removed = laid.columns_removed;
    diff.columns_retyped = laid.columns_retyped;
    Ok(Ok(diff))
}

fn counted(session: &Session, laid: &Comparison, key: &[String]) -> Result<DataDiff, SqlError> {
    session.execute(&laid.collect())?;
    let row = session.rows(&laid.count())?.into_iter().next().unwrap_or_default();
    let numbers: Vec<u64> = row.iter().map(|cell| parsed(cell.as_deref())).collect();
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    let mut diff = DataDiff {
        key: key.to_vec(),
        before: at(0),
        after: at(1),
        added: at(2),
        removed: at(3),
        changed: at(4),
        ..DataDiff::default()
    };
    if at(5) + at(6) > 0 {
        let values = session.rows(&laid.repeated(SAMPLES))?.into_iter().map(|mut row| {
            let after = parsed(row.pop().flatten().as_deref());
            let before = parsed(row.pop().flatten().as_deref());
            (row, before, after)
        });
        diff.not_unique =
            Some(NotUnique { key: key.to_vec(), before: at(5), after: at(6), values: values.collect() });
    }
    Ok(diff)
}

fn details(session: &Session, laid: &Comparison, diff: &mut DataDiff) -> Result<(), SqlError> {
    let mut samples = Samples {
        columns: laid.sampled(Which::After),
        columns_before: laid.sampled(Which::Before),
        ..Samples::default()
    };
    if diff.added > 0 {
        samples.added = session.rows(&laid.rows_of(Which::After, SAMPLES))?;
    }
    if diff.removed > 0 {
        samples.removed = session.rows(&laid.rows_of(Which::Before, SAMPLES))?;
    }
    if diff.changed > 0 && !laid.columns().is_empty() {
        let counts = session.rows(&laid.by_column())?.into_iter().next().unwrap_or_default();
        let names = laid.columns().into_iter().map(str::to_owned);
        let all = names.zip(counts).map(|(name, count)| (name, parsed(count.as_deref())));
        diff.columns = all.filter(|(_, count)| *count > 0).collect();
        let shown: Vec<String> =
            diff.columns.iter().take(SAMPLED_COLUMNS).map(|(name, _)| name.clone()).collect();
        let width = diff.key.len();
        samples.changed = session
            .rows(&laid.changed_rows(&shown, SAMPLES))?
            .into_iter()
            .map(|row| {
                let (key, cells) = row.split_at(width.min(row.len()));
                let cells = shown.iter().zip(cells.chunks(2)).filter_map(|(name, pair)| match pair {
                    [before, after] if before != after => Some((name.clone(), before.clone(), after.clone())),
                    _ => None,
                });
                ChangedRow { key: key.to_vec(), cells: cells.collect() }
            })
            .collect();
    }
    diff.samples = samples;
    Ok(())
}

fn parsed(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Compares a candidate with what readers see, where the model limits how much may change: one more test.
///
/// # Errors
/// The database failed.
pub(super) fn check_limits(
    workspace: &Workspace,
    session: &Session,
    node: &Node,
    candidates: &Candidates,
    known: &Known,
) -> Result<Audited> {
    let mut audited = Audited::default();
    let (Some(limits), Some(candidate)) = (&node.config.limits, candidates.get(&node.id)) else {
        return Ok(audited);
    };
    let started = Instant::now();
    let (status, message, failures, rows) = match beside(workspace, session, node, candidates, known, &[])? {
        CompareState::Rows(diff) => {
            let broken = broken(limits, &diff);
            let status = if broken.is_empty() { TestStatus::Pass } else { TestStatus::Fail };
            let failures = diff.added + diff.removed + diff.changed;
            let message = (!broken.is_empty()).then(|| broken.join("\n"));
            (status, message, if broken.is_empty() { 0 } else { failures }, Some((diff.after, diff)))
        }
        CompareState::NoSuchKey(missing) => {
            let message = format!("the key `{}` is not on both sides", missing.join("`, `"));
            (TestStatus::Error, Some(message), 0, None)
        }
        _ => return Ok(audited),
    };
    let name = limits_test(&node.id);
    let report = TestReport {
        name: name.clone(),
        node: Some(node.id.clone()),
        column: None,
        status,
        severity: TestSeverity::Error,
        failures: i64::try_from(failures).ok(),
        rows: rows.as_ref().map(|(after, _)| *after),
        sample: None,
        query: String::new(),
        at: limits.at.clone(),
        message,
        elapsed: started.elapsed(),
        unit: None,
        rows_changed: rows.filter(|_| status == TestStatus::Fail).map(|(_, diff)| diff),
    };
    audited.rows.push(TestRow {
        model: Some(node.name.clone()),
        test: name,
        column: None,
        status: match status {
            TestStatus::Pass => "pass",
            TestStatus::Fail => "fail",
            _ => "error",
        },
        severity: "error",
        failures: report.failures,
        rows: report.rows,
        fingerprint: Some(candidate.fingerprint.clone()),
        // What it is compared with may be another release the next time.
        definition: Fingerprint::of([uuid::Uuid::now_v7().as_bytes().as_slice()]),
        seconds: report.elapsed.as_secs_f64(),
        message: report.message.clone(),
    });
    audited.reports.push(report);
    Ok(audited)
}

/// The name of what holds a model against its limits.
fn limits_test(node: &NodeId) -> String {
    format!("audit_{}_rows", node.short())
}

/// Whether a test's report is of a model's limits: they are compared with what readers see, so only where that changes.
pub(super) fn is_of_limits(test: &TestReport) -> bool {
    test.node.as_ref().is_some_and(|node| test.name == limits_test(node))
}

/// The limits that are passed, each in a sentence.
fn broken(limits: &RowLimits, diff: &DataDiff) -> Vec<String> {
    let difference = diff.after.abs_diff(diff.before);
    let part = |rows: u64| match diff.before {
        0 => String::new(),
        // Nearly all is not all.
        before if rows < before => format!(" ({:.1}%)", (rows as f64 * 100.0 / before as f64).min(99.9)),
        before => format!(" ({:.1}%)", rows as f64 * 100.0 / before as f64),
    };
    let (before, after) = (number(diff.before), number(diff.after));
    let told = |limit: Option<Limit>, rows: u64, what: String, name: &str| {
        let limit = limit.filter(|limit| limit.is_passed(rows, diff.before))?;
        Some(format!("{} {what}{}: `{name}` is {limit}", number(rows), part(rows)))
    };
    let mut all = Vec::new();
    if let Some(not_unique) = diff.not_unique.as_ref().filter(|_| limits.changed.is_some()) {
        all.push(format!(
            "which rows changed cannot be told: the key `{}` is not unique ({} values more than once before, {} after)",
            not_unique.key.join("`, `"),
            number(not_unique.before),
            number(not_unique.after)
        ));
    }
    all.extend(told(limits.changed, diff.changed, format!("of {before} rows changed"), "max_changed_rows"));
    all.extend(told(limits.removed, diff.removed, format!("of {before} rows are gone"), "max_removed_rows"));
    all.extend(told(limits.added, diff.added, format!("rows came to {before}"), "max_added_rows"));
    if let Some(limit) = limits.row_count.filter(|limit| limit.is_passed(difference, diff.before)) {
        all.push(format!("{before} rows became {after}{}: `row_count_change` is {limit}", part(difference)));
    }
    all
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
