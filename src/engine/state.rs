//! State: the public tables in schema `_kiln` that say what was run, built, tested and released.
//!
//! They live in the same file as the data, so that a row and what it speaks of commit together. Users query them;
//! their columns are documented with comments that DuckDB shows. Times are UTC. A newer Kiln migrates them forward;
//! an older one refuses.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::session::{Session, SqlError};
use crate::error::{Error, Result};
use crate::names::{Fingerprint, Relation};
use crate::sql::quote::literal;

/// Schema of the physical builds.
pub const DATA_SCHEMA: &str = "_kiln_data";

/// Version of the state's layout.
const VERSION: i64 = 1;

/// The layout: table, what it is, columns with their types and meanings.
type Layout = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static str)]);

const TABLES: &[Layout] = &[
    (
        "run",
        "one row for each run",
        &[
            ("run_id", "VARCHAR PRIMARY KEY", "time-ordered id of the run"),
            ("target", "VARCHAR NOT NULL", "target in kiln.yml"),
            ("command", "VARCHAR NOT NULL", "run, test, rollback"),
            (
                "status",
                "VARCHAR NOT NULL",
                "running, published, unchanged, built, failed, error, interrupted, died",
            ),
            ("started_at", "TIMESTAMP NOT NULL", "UTC"),
            ("ended_at", "TIMESTAMP", "UTC; NULL while it runs, or if it died"),
            ("kiln_version", "VARCHAR NOT NULL", "version of kiln"),
            ("built", "INTEGER", "models and seeds built"),
            ("reused", "INTEGER", "models and seeds whose build existed already"),
            ("failed", "INTEGER", "models and seeds that did not build or did not pass"),
            ("skipped", "INTEGER", "models and seeds skipped because of those"),
            ("release_id", "BIGINT", "the release that it published, if it did"),
            ("message", "VARCHAR", "why nothing was published, if nothing was"),
        ],
    ),
    (
        "build",
        "one row for each physical build that exists or existed",
        &[
            ("fingerprint", "VARCHAR NOT NULL", "hash of all that the build is made from"),
            ("model", "VARCHAR NOT NULL", "model or seed"),
            ("layer", "VARCHAR", "its layer"),
            ("relation", "VARCHAR NOT NULL", "its table or view in _kiln_data"),
            ("materialized", "VARCHAR NOT NULL", "table, view or seed"),
            ("rows", "BIGINT", "rows; NULL for a view"),
            ("columns", "STRUCT(\"name\" VARCHAR, \"type\" VARCHAR)[]", "its columns"),
            ("reads", "VARCHAR[]", "builds in _kiln_data that a view reads"),
            ("run_id", "VARCHAR NOT NULL", "the run that built it"),
            ("built_at", "TIMESTAMP NOT NULL", "UTC"),
            ("seconds", "DOUBLE", "wall time of building it"),
            ("definition", "VARCHAR", "hash of what the model itself says, without its parents"),
            ("dropped_at", "TIMESTAMP", "UTC; when it was collected, if it was"),
        ],
    ),
    (
        "test_result",
        "one row for each test that was run",
        &[
            ("run_id", "VARCHAR NOT NULL", "the run"),
            ("target", "VARCHAR NOT NULL", "target in kiln.yml"),
            ("model", "VARCHAR", "model or seed that was tested"),
            ("test", "VARCHAR NOT NULL", "name of the test"),
            ("column", "VARCHAR", "column that was tested"),
            ("status", "VARCHAR NOT NULL", "pass, warn, fail or error"),
            ("severity", "VARCHAR NOT NULL", "error or warn"),
            ("failures", "BIGINT", "value of fail_calc; NULL if the test could not be run"),
            ("rows", "BIGINT", "rows of the model that was tested"),
            ("fingerprint", "VARCHAR", "build that was tested"),
            ("definition", "VARCHAR NOT NULL", "hash of the test and of every build that it reads"),
            ("seconds", "DOUBLE", "wall time, shared by the tests of one query"),
            ("tested_at", "TIMESTAMP NOT NULL", "UTC"),
            ("message", "VARCHAR", "what went wrong"),
        ],
    ),
    (
        "release",
        "one row for each publish or rollback; the newest of a target is what its readers see",
        &[
            ("release_id", "BIGINT PRIMARY KEY", "1, 2, 3…"),
            ("target", "VARCHAR NOT NULL", "target in kiln.yml"),
            ("run_id", "VARCHAR NOT NULL", "the run that published it"),
            ("kind", "VARCHAR NOT NULL", "run or rollback"),
            ("restores", "BIGINT", "for a rollback, the release that it restored"),
            ("published_at", "TIMESTAMP NOT NULL", "UTC"),
        ],
    ),
    (
        "release_model",
        "what each release shows",
        &[
            ("release_id", "BIGINT NOT NULL", "the release"),
            ("model", "VARCHAR NOT NULL", "model or seed"),
            ("layer", "VARCHAR", "its layer"),
            ("fingerprint", "VARCHAR NOT NULL", "the build"),
            ("relation", "VARCHAR NOT NULL", "the build's table or view in _kiln_data"),
            ("published_schema", "VARCHAR NOT NULL", "schema that readers use"),
            ("published_name", "VARCHAR NOT NULL", "name that readers use"),
        ],
    ),
];

/// Makes the schemas and tables that are not there, and brings older ones forward.
///
/// # Errors
/// The file was written by a newer Kiln.
pub fn migrate(session: &Session) -> Result<()> {
    if is_present(session)? {
        let version = session.count("SELECT max(version) FROM _kiln.version")?;
        if version > VERSION {
            return Err(Error::machine(format!(
                "the database's state has layout {version}, and this kiln knows layouts up to {VERSION}"
            ))
            .hint("use the newer kiln that wrote it"));
        }
        return Ok(());
    }
    session.transaction(|session| {
        let mut sql =
            format!("CREATE SCHEMA IF NOT EXISTS _kiln; CREATE SCHEMA IF NOT EXISTS {DATA_SCHEMA};");
        sql.push_str("CREATE TABLE _kiln.version (version INTEGER NOT NULL, since TIMESTAMP NOT NULL);");
        for (table, comment, columns) in TABLES {
            let list: Vec<String> =
                columns.iter().map(|(name, definition, _)| format!("\"{name}\" {definition}")).collect();
            sql.push_str(&format!("CREATE TABLE _kiln.\"{table}\" ({});", list.join(", ")));
            sql.push_str(&format!("COMMENT ON TABLE _kiln.\"{table}\" IS {};", literal(comment)));
            for (name, _, comment) in *columns {
                sql.push_str(&format!(
                    "COMMENT ON COLUMN _kiln.\"{table}\".\"{name}\" IS {};",
                    literal(comment)
                ));
            }
        }
        sql.push_str(&format!("INSERT INTO _kiln.version VALUES ({VERSION}, {});", literal(&now())));
        session.execute(&sql)
    })?;
    Ok(())
}

/// This moment in UTC, as DuckDB's TIMESTAMP literals are written.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Whether the file holds Kiln's state at all.
pub fn is_present(session: &Session) -> Result<bool> {
    let found = session.count(
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema = \
         '_kiln' AND table_name = 'version'",
    )?;
    Ok(found > 0)
}

/// Inserts the row of a run that starts, and marks those that never ended: the lock says that none of them lives.
pub fn start_run(session: &Session, run_id: &str, target: &str, command: &str) -> Result<(), SqlError> {
    session.execute(&format!(
        "UPDATE _kiln.run SET status = 'died' WHERE status = 'running'; \
         INSERT INTO _kiln.run (run_id, target, command, status, started_at, kiln_version) \
         VALUES ({}, {}, {}, 'running', {}, {})",
        literal(run_id),
        literal(target),
        literal(command),
        literal(&now()),
        literal(env!("CARGO_PKG_VERSION")),
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
