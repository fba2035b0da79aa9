//! Building: a decision becomes a table or a view in the data schema, together with its row in the state.

use std::time::Instant;

use crate::diagnostic::Diagnostic;
use crate::engine::session::{ColumnType, Session, SqlError};
use crate::engine::state::{Build, DATA_SCHEMA, insert_builds};
use crate::error::Error;
use crate::manifest::{Materialization, Node};
use crate::names::Relation;
use crate::sql::quote::{identifier, literal};
use crate::sql::rendered::Rendered;
use crate::workspace::Workspace;

use super::candidate::{Bound, Candidates, Reading, bind};
use super::plan::Decision;

/// A build that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// Rows; `None` for a view.
    pub rows: Option<u64>,
    /// Its columns.
    pub columns: Vec<ColumnType>,
}

/// Why a build was not made.
#[derive(Debug)]
pub enum BuildError {
    /// The model, its data or the machine: it concerns this node alone.
    Node(Box<Diagnostic>),
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
    let outcome: Result<Vec<Made>, Failure> = session.transaction(|session| {
        let mut made = Vec::with_capacity(jobs.len());
        let mut rows = Vec::with_capacity(jobs.len());
        for (at, job) in jobs.iter().enumerate() {
            blame.set(at);
            let started = Instant::now();
            let (build, reads) = make_one(workspace, session, job, candidates)?;
            rows.push(Build {
                fingerprint: job.decision.fingerprint.clone(),
                model: job.node.name.clone(),
                layer: job.node.layer.clone(),
                relation: job.decision.relation.clone(),
                materialized: job.node.config.materialized.as_str(),
                rows: build.rows,
                columns: build.columns.clone(),
                reads,
                seconds: started.elapsed().as_secs_f64(),
                definition: job.decision.definition.clone(),
            });
            made.push(build);
        }
        session.execute(&insert_builds(&rows, run_id))?;
        Ok(made)
    });
    outcome.map_err(|failure| {
        let error = match failure {
            Failure::Node(diagnostic) => BuildError::Node(diagnostic),
            Failure::Sql(error) => BuildError::Database(error.into()),
        };
        (blame.get(), error)
    })
}

enum Failure {
    Node(Box<Diagnostic>),
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
    job: &Job<'_>,
    candidates: &Candidates,
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
            run_model(session, job, &prefix, &bound)?;
            let columns = session.describe(&format!("SELECT * FROM {relation}"))?;
            Ok((Made { rows: None, columns }, bound.reads))
        }
        _ => {
            let bound = bind(&job.decision.rendered, candidates, Reading::Now);
            let prefix = format!("CREATE OR REPLACE TABLE {relation} AS ");
            let rows = run_model(session, job, &prefix, &bound)?;
            let columns = session.describe(&format!("SELECT * FROM {relation}"))?;
            Ok((Made { rows: Some(rows), columns }, Vec::new()))
        }
    }
}

fn run_model(session: &Session, job: &Job<'_>, prefix: &str, bound: &Bound) -> Result<u64, Failure> {
    session.execute_counted(&format!("{prefix}{}", bound.sql)).map_err(|error| {
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
    let place = error
        .position
        .and_then(|(offset, length)| Some((bound.to_rendered(offset.checked_sub(prefix)?)?, length)))
        .and_then(|(offset, length)| rendered.locate(offset, length))
        .unwrap_or_else(|| node.at.clone());
    let code = match error.class.to_lowercase().as_str() {
        "parser" => "sql-syntax",
        "binder" | "catalog" => "sql-binding",
        "conversion" | "out of range" | "invalid input" | "constraint" => "sql-data",
        "out of memory" => "out-of-memory",
        "io" => "io",
        _ => "sql-error",
    };
    let mut diagnostic =
        Diagnostic::error(code, format!("`{}` did not build: {}", node.name, error.message)).at(&place, "");
    if let (Some(name), false) = (&error.name, error.candidates.is_empty()) {
        let columns: Vec<&str> =
            error.candidates.iter().map(|c| c.rsplit('.').next().unwrap_or(c).trim_matches('"')).collect();
        diagnostic = diagnostic.suggest(name, columns);
    }
    match error.hint() {
        Some(hint) => diagnostic.help(hint),
        None => diagnostic,
    }
}

fn make_seed(
    workspace: &Workspace,
    session: &Session,
    node: &Node,
    relation: &Relation,
) -> Result<Made, Failure> {
    let path = workspace.root().join(&node.file.path);
    let types: Vec<String> = node
        .config
        .column_types
        .iter()
        .map(|(column, data_type)| format!("{}: {}", identifier(column), literal(data_type)))
        .collect();
    let types = if types.is_empty() { String::new() } else { format!(", types = {{{}}}", types.join(", ")) };
    // An empty field is NULL and nothing else is, as in dbt: the word NA may be a country.
    let sql = format!(
        "CREATE OR REPLACE TABLE {relation} AS SELECT * FROM read_csv({}, header = true, delim = {}, nullstr = '', \
         sample_size = -1{types})",
        literal(&path.to_string_lossy()),
        literal(&node.config.delimiter),
    );
    let rows = session.execute_counted(&sql).map_err(|error| {
        if error.is_interrupt() {
            return Failure::Sql(error);
        }
        let message = error.message.replace(&*path.to_string_lossy(), &node.file.path.to_string_lossy());
        Failure::Node(Box::new(
            Diagnostic::error("seed-load", format!("the seed `{}` did not load: {message}", node.name))
                .at(&node.at, "")
                .help("look at the line that it names, or declare the column's type with `column_types`"),
        ))
    })?;
    let columns = session.describe(&format!("SELECT * FROM {relation}"))?;
    for (column, _) in &node.config.column_types {
        if !columns.iter().any(|found| found.name.eq_ignore_ascii_case(column)) {
            return Err(Failure::Node(Box::new(
                Diagnostic::error(
                    "seed-column",
                    format!("the seed `{}` has no column `{column}`", node.name),
                )
                .at(&node.at, "")
                .suggest(column, columns.iter().map(|found| found.name.as_str())),
            )));
        }
    }
    Ok(Made { rows: Some(rows), columns })
}
