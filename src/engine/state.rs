//! State: the public tables in schema `_kiln` that say what was run, built, tested and released.
//!
//! They live in the same file as the data, so that a row and what it speaks of commit together. Users query them;
//! their columns are documented with comments that DuckDB shows. Times are UTC. A newer Kiln migrates them forward;
//! an older one refuses.

use std::collections::{BTreeMap, HashMap, HashSet};

pub mod increment;
mod layout;
pub mod promise;
pub mod size;

pub use layout::migrate;

use super::session::{Session, SqlError};
use crate::error::Result;
use crate::names::{Fingerprint, Relation};
use crate::origin::Origin;
use crate::sql::quote::literal;

/// Schema of the physical builds.
pub const DATA_SCHEMA: &str = "_kiln_data";

/// This moment in UTC, as DuckDB's TIMESTAMP literals are written.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Whether the file holds Kiln's state at all.
pub fn is_present(session: &Session) -> Result<bool> {
    Ok(version(session)?.is_some())
}

/// The version of the state's layout; `None` in a file without state. DuckDB's lists of tables take ten times as long
/// as asking the table, because they describe every table of the file.
fn version(session: &Session) -> Result<Option<i64>> {
    match session.count("SELECT max(version) FROM _kiln.version") {
        Ok(version) => Ok(Some(version)),
        Err(error) if error.class.eq_ignore_ascii_case("catalog") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A column of a state table, or NULL where the file is of a layout that did not have it: reading brings nothing forward.
pub fn column_if_known(session: &Session, table: &str, column: &'static str) -> &'static str {
    match session.describe(&format!("SELECT \"{column}\" FROM _kiln.\"{table}\"")) {
        Ok(_) => column,
        Err(_) => "NULL",
    }
}

/// Inserts the row of a run that starts, and marks those that never ended: the lock says that none of them lives.
pub fn start_run(
    session: &Session,
    run_id: &str,
    target: &str,
    command: &str,
    origin: &Origin,
) -> Result<(), SqlError> {
    let known = |text: &Option<String>| text.as_deref().map_or("NULL".to_owned(), literal);
    session.execute(&format!(
        "UPDATE _kiln.run SET status = 'died' WHERE status = 'running'; \
         INSERT INTO _kiln.run (run_id, target, command, status, started_at, kiln_version, run_by, git_commit, job) \
         VALUES ({}, {}, {}, 'running', {}, {}, {}, {}, {})",
        literal(run_id),
        literal(target),
        literal(command),
        literal(&now()),
        literal(env!("CARGO_PKG_VERSION")),
        known(&origin.by),
        known(&origin.commit),
        known(&origin.job),
    ))
}

/// Whether a run died, or was stopped by the machine, before it had done everything that it does.
pub fn was_cut_short(session: &Session, run_id: &str) -> Result<bool, SqlError> {
    let found = session.count(&format!(
        "SELECT count(*) FROM _kiln.run WHERE run_id = {} AND status IN ('died', 'error')",
        literal(run_id)
    ))?;
    Ok(found > 0)
}

/// The last run of any command and target that may have changed something; `None` where there is none.
pub fn last_busy_run(session: &Session) -> Result<Option<String>, SqlError> {
    let rows = session.rows("SELECT max(run_id) FROM _kiln.run WHERE status <> 'unchanged'")?;
    Ok(rows.into_iter().next().and_then(|mut row| row.remove(0)))
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct RunEnd {
    /// `published`, `unchanged`, `built`, `failed`, `error`, `interrupted`.
    pub status: String,
    /// Models and seeds built.
    pub built: usize,
    /// Models and seeds reused.
    pub reused: usize,
    /// Models and seeds that failed.
    pub failed: usize,
    /// Models and seeds skipped.
    pub skipped: usize,
    /// The release, if there is one.
    pub release_id: Option<i64>,
    /// Why nothing was published.
    pub message: Option<String>,
}

/// Completes the row of a run.
pub fn finish_run(session: &Session, run_id: &str, end: &RunEnd) -> Result<(), SqlError> {
    session.execute(&format!(
        "UPDATE _kiln.run SET status = {}, ended_at = {}, built = {}, reused = {}, failed = {}, skipped = {}, \
         release_id = coalesce({}, release_id), message = {} WHERE run_id = {}",
        literal(&end.status),
        literal(&now()),
        end.built,
        end.reused,
        end.failed,
        end.skipped,
        end.release_id.map_or("NULL".to_owned(), |id| id.to_string()),
        end.message.as_deref().map_or("NULL".to_owned(), literal),
        literal(run_id),
    ))
}

/// A physical build.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// What it is made from.
    pub fingerprint: Fingerprint,
    /// Model or seed.
    pub model: String,
    /// Its layer.
    pub layer: Option<String>,
    /// Its name in [`DATA_SCHEMA`].
    pub relation: String,
    /// `table`, `view`, `seed`.
    pub materialized: &'static str,
    /// Rows; `None` for a view.
    pub rows: Option<u64>,
    /// Builds that a view reads, by name in [`DATA_SCHEMA`].
    pub reads: Vec<String>,
    /// Wall time of building it.
    pub seconds: f64,
    /// Hash of what the model itself says, without its parents.
    pub definition: Fingerprint,
}

/// Records builds. It runs in the transaction that makes them. Their columns follow in [`record_columns`].
///
/// The rows go through DuckDB's appender: as literals in a statement they cost more than a small build itself.
pub fn record_builds(session: &Session, builds: &[Build], run_id: &str) -> Result<(), SqlError> {
    const COLUMNS: [&str; 9] = [
        "fingerprint",
        "model",
        "layer",
        "relation",
        "materialized",
        "rows",
        "run_id",
        "seconds",
        "definition",
    ];
    {
        let connection = session.connection();
        let mut all: Vec<&str> = COLUMNS.to_vec();
        all.push("built_at");
        let mut appender = connection.appender_with_columns_to_db("build", "_kiln", &all)?;
        let now = timestamp();
        for build in builds {
            appender.append_row(duckdb::params![
                build.fingerprint.as_str(),
                build.model,
                build.layer,
                build.relation,
                build.materialized,
                build.rows.map(|rows| rows as i64),
                run_id,
                build.seconds,
                build.definition.as_str(),
                now,
            ])?;
        }
        appender.flush()?;
    }
    // The appender knows no lists; only views have one.
    for build in builds.iter().filter(|build| !build.reads.is_empty()) {
        let reads: Vec<String> = build.reads.iter().map(|name| literal(name)).collect();
        session.execute(&format!(
            "UPDATE _kiln.build SET reads = [{}] WHERE fingerprint = {} AND relation = {}",
            reads.join(", "),
            literal(build.fingerprint.as_str()),
            literal(&build.relation)
        ))?;
    }
    Ok(())
}

/// Writes down the columns of builds that have none yet: once a run, because one look at the catalog costs as much as
/// describing a single table.
pub fn record_columns(session: &Session) -> Result<(), SqlError> {
    session.execute(&format!(
        "UPDATE _kiln.build SET columns = found.columns FROM (
             SELECT table_name, list({{'name': column_name, 'type': data_type}} ORDER BY column_index) AS columns
             FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = '{DATA_SCHEMA}' GROUP BY ALL
         ) AS found WHERE build.relation = found.table_name AND build.columns IS NULL"
    ))
}

/// This moment, for the appender.
fn timestamp() -> duckdb::types::Value {
    let now = jiff::Timestamp::now().as_microsecond();
    duckdb::types::Value::Timestamp(duckdb::types::TimeUnit::Microsecond, now)
}

/// A build that exists, as the plan needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Existing {
    /// Its name in [`DATA_SCHEMA`].
    pub relation: String,
    /// Rows; `None` for a view.
    pub rows: Option<u64>,
    /// Hash of what the model itself said.
    pub definition: Option<Fingerprint>,
}

/// Every build whose table or view is really there.
pub fn builds(session: &Session) -> Result<HashMap<Fingerprint, Existing>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT fingerprint, relation, rows::VARCHAR, definition FROM _kiln.build WHERE dropped_at IS NULL AND relation IN \
         ({}) ORDER BY built_at",
        in_data_schema()
    ))?;
    Ok(rows
        .into_iter()
        .map(|mut row| {
            let definition = row[3].take().map(Fingerprint::from_stored);
            let mut text = |at: usize| row[at].take().unwrap_or_default();
            let (fingerprint, relation) = (Fingerprint::from_stored(text(0)), text(1));
            (fingerprint, Existing { relation, rows: text(2).parse().ok(), definition })
        })
        .collect())
}

/// The query for the names of what is in the data schema.
fn in_data_schema() -> String {
    format!(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = '{DATA_SCHEMA}' AND database_name = current_database() \
         UNION ALL SELECT view_name FROM duckdb_views() WHERE schema_name = '{DATA_SCHEMA}' AND database_name = \
         current_database()"
    )
}

/// Names of every table and view in the data schema.
pub fn present(session: &Session) -> Result<HashSet<String>, SqlError> {
    let rows = session.rows(&in_data_schema())?;
    Ok(rows.into_iter().filter_map(|mut row| row.remove(0)).collect())
}

/// How many tables and views are in the data schema.
pub fn count_present(session: &Session) -> Result<i64, SqlError> {
    session.count(&format!("SELECT count(*) FROM ({})", in_data_schema()))
}

/// One model of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its layer.
    pub layer: Option<String>,
    /// The build.
    pub fingerprint: Fingerprint,
    /// The build's name in [`DATA_SCHEMA`].
    pub relation: String,
    /// What readers use.
    pub published: Relation,
}

/// What a target's readers see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Release {
    /// 1, 2, 3…; 0 before the first.
    pub id: i64,
    /// The run that published it.
    pub run_id: String,
    /// `run` or `rollback`.
    pub kind: String,
    /// UTC.
    pub published_at: String,
    /// Models and seeds by name.
    pub models: BTreeMap<String, Published>,
}

/// The newest release of a target.
pub fn current_release(session: &Session, target: &str) -> Result<Option<Release>, SqlError> {
    let newest = session.rows(&format!(
        "SELECT max(release_id)::VARCHAR FROM _kiln.release WHERE target = {}",
        literal(target)
    ))?;
    match newest.into_iter().next().and_then(|mut row| row.remove(0)).and_then(|id| id.parse().ok()) {
        Some(id) => release(session, id),
        None => Ok(None),
    }
}

/// A release by its number.
pub fn release(session: &Session, id: i64) -> Result<Option<Release>, SqlError> {
    let head = session.rows(&format!(
        "SELECT run_id, kind, strftime(published_at, '%Y-%m-%d %H:%M:%S') FROM _kiln.release WHERE release_id = {id}"
    ))?;
    let Some(mut head) = head.into_iter().next() else { return Ok(None) };
    let models = session
        .rows(&format!(
            "SELECT model, layer, fingerprint, relation, published_schema, published_name FROM _kiln.release_model WHERE \
             release_id = {id}"
        ))?
        .into_iter()
        .map(|mut row| {
            let layer = row[1].take();
            let mut text = |at: usize| row[at].take().unwrap_or_default();
            let published = Published {
                layer,
                fingerprint: Fingerprint::from_stored(text(2)),
                relation: text(3),
                published: Relation::new(text(4), text(5)),
            };
            (text(0), published)
        })
        .collect();
    let mut text = |at: usize| head[at].take().unwrap_or_default();
    Ok(Some(Release { id, run_id: text(0), kind: text(1), published_at: text(2), models }))
}

/// The outcome of a test, to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct TestRow {
    /// Model or seed.
    pub model: Option<String>,
    /// The test's name.
    pub test: String,
    /// Column.
    pub column: Option<String>,
    /// `pass`, `warn`, `fail`, `error`.
    pub status: &'static str,
    /// `error`, `warn`.
    pub severity: &'static str,
    /// Value of `fail_calc`.
    pub failures: Option<i64>,
    /// Rows of the model.
    pub rows: Option<u64>,
    /// Build that was tested.
    pub fingerprint: Option<Fingerprint>,
    /// Hash of the test and of all that it reads.
    pub definition: Fingerprint,
    /// Wall time.
    pub seconds: f64,
    /// What went wrong.
    pub message: Option<String>,
}

/// Records test results.
pub fn record_tests(
    session: &Session,
    tests: &[TestRow],
    run_id: &str,
    target: &str,
) -> Result<(), SqlError> {
    if tests.is_empty() {
        return Ok(());
    }
    let mut appender = session.connection().appender_to_db("test_result", "_kiln")?;
    let now = timestamp();
    for test in tests {
        appender.append_row(duckdb::params![
            run_id,
            target,
            test.model,
            test.test,
            test.column,
            test.status,
            test.severity,
            test.failures,
            test.rows.map(|rows| rows as i64),
            test.fingerprint.as_ref().map(Fingerprint::as_str),
            test.definition.as_str(),
            test.seconds,
            now,
            test.message,
        ])?;
    }
    Ok(appender.flush()?)
}

/// Definitions of the tests that have passed and need not be run again on the same builds.
pub fn passed_tests(session: &Session) -> Result<HashSet<Fingerprint>, SqlError> {
    let rows = session.rows("SELECT DISTINCT definition FROM _kiln.test_result WHERE status = 'pass'")?;
    Ok(rows.into_iter().filter_map(|mut row| row.remove(0)).map(Fingerprint::from_stored).collect())
}
