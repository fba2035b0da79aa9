//! Building: a decision becomes a table or a view in the data schema, together with its row in the state.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::engine::explain::{self, Parent, parents};
use crate::engine::seed;
use crate::engine::session::{Session, SqlError};
use crate::engine::state::{Build, DATA_SCHEMA, record_builds};
use crate::error::Error;
use crate::interval::Intervals;
use crate::manifest::{Materialization, Node};
use crate::names::{Fingerprint, Relation};
use crate::sql::rendered::Rendered;
use crate::workspace::Workspace;

use super::candidate::{Bound, Candidates, Reading, bind};
use super::event::RowChange;
use super::increment::{self, Filled, LeftOut};
use super::plan::Decision;

/// A build that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// Rows; `None` for a view.
    pub rows: Option<u64>,
    /// How the rows of an incremental model changed.
    pub change: Option<RowChange>,
    /// What did not build of it, where the rest did and is kept for the next run.
    pub failed: Option<Box<Diagnostic>>,
    /// Rows that no interval takes in.
    pub left_out: Vec<LeftOut>,
    /// The build that readers go on with, where nothing new came.
    pub stands: Option<Stands>,
    /// How long it took by itself.
    pub elapsed: Duration,
}

/// A version of an incremental model that needs no other after it.
#[derive(Debug, Clone)]
pub struct Stands {
    /// What it is made from.
    pub fingerprint: Fingerprint,
    /// Its view in the data schema.
    pub relation: String,
    /// What it holds, where it is built by intervals.
    pub intervals: Option<Box<Intervals>>,
}

impl Made {
    /// A build of so many rows.
    pub(super) fn of(rows: Option<u64>) -> Self {
        Self { rows, change: None, failed: None, left_out: Vec::new(), stands: None, elapsed: Duration::ZERO }
    }
}

/// Why a build was not made.
#[derive(Debug)]
pub enum BuildError {
    /// The model, its data or the machine: it concerns this node alone.
    Node(Box<Diagnostic>),
    /// The commit of several together: which of them is too much shows when each is made alone.
    Commit,
    /// The database, and so everything.
    Database(Error),
}

/// A node and what was decided for it.
pub struct Job<'a> {
    /// Which.
    pub node: &'a Node,
    /// What.
    pub decision: &'a Decision,
}

/// Makes several builds in one transaction, with their rows in the state. On an error none of them exists, and the
/// position of the one to blame is given.
pub fn make(
    workspace: &Workspace,
    session: &Session,
    run_id: &str,
    jobs: &[Job<'_>],
    candidates: &Candidates,
) -> Result<Vec<Made>, (usize, BuildError)> {
    let blame = std::cell::Cell::new(0);
    let mut filled = HashMap::new();
    for (at, job) in jobs.iter().enumerate().filter(|(_, job)| job.decision.growth.is_some()) {
        let started = Instant::now();
        match increment::fill(workspace, session, run_id, job, candidates) {
            Ok(Some(found)) => {
                filled.insert(&job.node.id, (found, started.elapsed()));
            }
            Ok(None) => {}
            Err(Failure::Node(diagnostic)) => return Err((at, BuildError::Node(diagnostic))),
            Err(Failure::Sql(error)) => return Err((at, BuildError::Database(error.into()))),
        }
    }
    let outcome: Result<Vec<Made>, Failure> = session.transaction(|session| {
        let mut made = Vec::with_capacity(jobs.len());
        let mut rows = Vec::with_capacity(jobs.len());
        for (at, job) in jobs.iter().enumerate() {
            blame.set(at);
            let started = Instant::now();
            let (filled, filling) = filled.get(&job.node.id).map(|(found, took)| (found, *took)).unzip();
            let (mut build, reads) = make_one(workspace, session, run_id, job, candidates, filled)?;
            let of_parents = job.decision.growth.iter().flat_map(|growth| &growth.left_out);
            build.left_out = of_parents.chain(filled.map(|filled| &filled.left_out)).cloned().collect();
            build.elapsed = started.elapsed() + filling.unwrap_or_default();
            if build.stands.is_some() {
                made.push(build);
                continue;
            }
            rows.push(Build {
                fingerprint: job.decision.fingerprint.clone(),
                model: job.node.name.clone(),
                layer: job.node.layer.clone(),
                relation: job.decision.relation.clone(),
                materialized: job.node.config.materialized.as_str(),
                rows: build.rows,
                reads,
                seconds: build.elapsed.as_secs_f64(),
                definition: job.decision.definition.clone(),
            });
            made.push(build);
        }
        if !rows.is_empty() {
            record_builds(session, &rows, run_id)?;
        }
        // From here on only the commit can fail, and that is nobody's alone.
        blame.set(jobs.len());
        Ok(made)
    });
    outcome.map_err(|failure| {
        let error = match failure {
            Failure::Node(diagnostic) => BuildError::Node(diagnostic),
            Failure::Sql(error) if error.is_interrupt() || error.class.eq_ignore_ascii_case("fatal") => {
                BuildError::Database(error.into())
            }
            Failure::Sql(error) if blame.get() == jobs.len() => match jobs {
                [job] => BuildError::Node(Box::new(not_kept(&error, job.node))),
                _ => BuildError::Commit,
            },
            Failure::Sql(error) => BuildError::Database(error.into()),
        };
        (blame.get().min(jobs.len().saturating_sub(1)), error)
    })
}

/// A build that was made and could not be committed: no room, most of the time.
fn not_kept(error: &SqlError, node: &Node) -> Diagnostic {
    let code = if error.message.contains("No space left") { "io" } else { "sql-error" };
    let diagnostic =
        Diagnostic::error(code, format!("`{}` did not build: {}", node.name, error.message)).at(&node.at, "");
    match error.hint() {
        Some(hint) => diagnostic.help(hint),
        None => diagnostic,
    }
}

/// Why one of several builds was not made.
pub(super) enum Failure {
    /// The model or its data.
    Node(Box<Diagnostic>),
    /// The database.
    Sql(SqlError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

fn make_one(
    workspace: &Workspace,
    session: &Session,
    run_id: &str,
    job: &Job<'_>,
    candidates: &Candidates,
    filled: Option<&Filled>,
) -> Result<(Made, Vec<String>), Failure> {
    let relation = Relation::new(DATA_SCHEMA, &job.decision.relation);
    match job.node.config.materialized {
        Materialization::Seed => {
            let made = make_seed(workspace, session, job.node, &relation)?;
            Ok((made, Vec::new()))
        }
        Materialization::View => {
            let bound = bind(&job.decision.rendered, candidates, Reading::Pinned);
            let prefix = format!("CREATE OR REPLACE VIEW {relation} AS ");
            run_model(session, job, &prefix, &bound, "")?;
            Ok((Made::of(None), bound.reads))
        }
        Materialization::Incremental | Materialization::Snapshot => {
            increment::make(workspace, session, run_id, job, candidates, filled)
        }
        _ => {
            let bound = bind(&job.decision.rendered, candidates, Reading::Now);
            let prefix = format!("CREATE OR REPLACE TABLE {relation} AS ");
            let rows = run_model(session, job, &prefix, &bound, "")?;
            Ok((Made::of(Some(rows)), Vec::new()))
        }
    }
}

/// Runs a model's SQL between what stands before and behind it in the statement.
pub(super) fn run_model(
    session: &Session,
    job: &Job<'_>,
    prefix: &str,
    bound: &Bound,
    suffix: &str,
) -> Result<u64, Failure> {
    session.execute_counted(&format!("{prefix}{}{suffix}", bound.sql)).map_err(|error| {
        if error.is_interrupt() || error.class.eq_ignore_ascii_case("fatal") {
            return Failure::Sql(error);
        }
        Failure::Node(Box::new(explain(&error, prefix.len(), bound, &job.decision.rendered, job.node)))
    })
}

/// What DuckDB says of a model's SQL, at the place in the model's template. `prefix` is the length of what stands before
/// the model's SQL in the statement.
pub fn explain(
    error: &SqlError,
    prefix: usize,
    bound: &Bound,
    rendered: &Rendered,
    node: &Node,
) -> Diagnostic {
    let offset =
        error.position.and_then(|(at, length)| Some((bound.to_rendered(at.checked_sub(prefix)?)?, length)));
    let parents: Vec<Parent> = parents(rendered, |_| None);
    explain::explain(&format!("`{}` did not build", node.name), error, offset, rendered, &node.file, &parents)
}

fn make_seed(
    workspace: &Workspace,
    session: &Session,
    node: &Node,
    relation: &Relation,
) -> Result<Made, Failure> {
    if let Some(problem) = seed::malformed(workspace.root(), node) {
        return Err(Failure::Node(Box::new(problem)));
    }
    let query = seed::query(workspace.root(), node);
    let sql = format!("CREATE OR REPLACE TABLE {relation} AS {query}");
    let rows = session.execute_counted(&sql).map_err(|error| match error.is_interrupt() {
        true => Failure::Sql(error),
        false => Failure::Node(Box::new(seed::unreadable(workspace.root(), node, &error))),
    })?;
    let columns = session.describe(&format!("SELECT * FROM {relation}"))?;
    match seed::unknown_type_column(node, &columns) {
        Some(problem) => Err(Failure::Node(Box::new(problem))),
        None => Ok(Made::of(Some(rows))),
    }
}
