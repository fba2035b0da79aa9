//! The layout of the state: which tables and columns `_kiln` holds, and how an older file is brought forward.
//!
//! A file of an older layout gets the tables and columns that it lacks; nothing is ever taken away. So a column that
//! was not there in layout 1 must allow NULL.

use std::collections::HashSet;

use super::{DATA_SCHEMA, now, version};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::sql::quote::literal;

/// Version of the state's layout.
const VERSION: i64 = 3;

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
            ("run_by", "VARCHAR", "login of who ran it, if it is known"),
            ("git_commit", "VARCHAR", "commit that the project's folder was a checkout of, if it was one"),
            ("job", "VARCHAR", "job that it was part of: an address, or a scheduler's name for it"),
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
            ("bytes", "BIGINT", "bytes of its blocks in the file; NULL for a view, and until they are known"),
        ],
    ),
    (
        "increment",
        "one row for each version of an incremental model's table",
        &[
            ("relation", "VARCHAR NOT NULL", "the version's view in _kiln_data"),
            ("fingerprint", "VARCHAR NOT NULL", "hash of all that the version is made from"),
            ("model", "VARCHAR NOT NULL", "the model"),
            ("target", "VARCHAR NOT NULL", "target that the table belongs to"),
            ("table", "VARCHAR NOT NULL", "the table in _kiln_data that holds the rows"),
            ("version", "BIGINT", "1, 2, 3… within the table; NULL while the new rows wait to be published"),
            ("base", "VARCHAR", "view of the version that it continues; NULL where all rows were built"),
            ("definition", "VARCHAR NOT NULL", "hash of what the model itself says"),
            ("inputs", "VARCHAR NOT NULL", "hash of that and of its parents' builds"),
            ("delta", "VARCHAR", "table of the new rows in _kiln_data"),
            ("undo", "VARCHAR", "table in _kiln_data of the rows that the version replaced"),
            ("added", "BIGINT NOT NULL", "new rows"),
            ("replaced", "BIGINT NOT NULL", "rows that they took the place of"),
            ("run_id", "VARCHAR NOT NULL", "the run that built it"),
            (
                "parents",
                "VARCHAR",
                "builds that it was made from, separated by commas; where it is built by intervals",
            ),
            ("built", "VARCHAR", "windows of time that it built: start/end, separated by commas"),
            ("covered", "VARCHAR", "windows of time that its table holds with it"),
            ("failed", "VARCHAR", "intervals that did not build"),
            (
                "settled",
                "VARCHAR",
                "later values of `inputs` that brought nothing new, newest first, separated by commas",
            ),
            ("merged_at", "TIMESTAMP", "UTC; when the new rows came into the table"),
        ],
    ),
    (
        "interval",
        "one row for each time that an interval of a model was built",
        &[
            ("model", "VARCHAR NOT NULL", "the model"),
            ("target", "VARCHAR NOT NULL", "target in kiln.yml"),
            ("start", "TIMESTAMP NOT NULL", "UTC; the interval's first moment"),
            ("end", "TIMESTAMP NOT NULL", "UTC; the moment behind its last one"),
            ("status", "VARCHAR NOT NULL", "built or failed"),
            ("rows", "BIGINT", "its rows"),
            ("message", "VARCHAR", "why it did not build"),
            ("relation", "VARCHAR NOT NULL", "the version in _kiln_data that it belongs to"),
            ("run_id", "VARCHAR NOT NULL", "the run that built it"),
            ("built_at", "TIMESTAMP NOT NULL", "UTC"),
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
    (
        "promise",
        "what models and consumers of releases said of themselves, each state of each once",
        &[
            ("digest", "VARCHAR NOT NULL", "hash of the body"),
            ("name", "VARCHAR NOT NULL", "model, seed or consumer"),
            ("contract_version", "VARCHAR", "version of its contract, if it has one"),
            ("sql", "VARCHAR", "its query with published names"),
            (
                "body",
                "VARCHAR NOT NULL",
                "JSON: columns, contract, query and consumers as a diff compares them",
            ),
        ],
    ),
    (
        "release_promise",
        "what each release promised",
        &[
            ("release_id", "BIGINT NOT NULL", "the release"),
            ("id", "VARCHAR NOT NULL", "unique id of the model, seed or consumer"),
            ("digest", "VARCHAR NOT NULL", "its row in promise"),
        ],
    ),
];

/// Makes the schemas and tables that are not there, and brings older ones forward.
///
/// # Errors
/// The file was written by a newer Kiln.
pub fn migrate(session: &Session) -> Result<()> {
    let found = version(session)?.unwrap_or(0);
    if found > VERSION {
        return Err(Error::machine(format!(
            "the database's state has layout {found}, and this kiln knows layouts up to {VERSION}"
        ))
        .hint("use the newer kiln that wrote it"));
    }
    if found == VERSION {
        return Ok(());
    }
    session.transaction(|session| {
        session.execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS _kiln; CREATE SCHEMA IF NOT EXISTS {DATA_SCHEMA}; \
             CREATE TABLE IF NOT EXISTS _kiln.version (version INTEGER NOT NULL, since TIMESTAMP NOT NULL)"
        ))?;
        let present: HashSet<(String, String)> = session
            .rows(
                "SELECT table_name, column_name FROM information_schema.columns \
                 WHERE table_catalog = current_database() AND table_schema = '_kiln'",
            )?
            .into_iter()
            .filter_map(|row| match row.as_slice() {
                [Some(table), Some(column)] => Some((table.clone(), column.clone())),
                _ => None,
            })
            .collect();
        let mut sql = String::new();
        for (table, comment, columns) in TABLES {
            bring_forward(&mut sql, &present, table, comment, columns);
        }
        sql.push_str(&format!("INSERT INTO _kiln.version VALUES ({VERSION}, {});", literal(&now())));
        session.execute(&sql)
    })?;
    Ok(())
}

/// Writes what makes one table, or adds to it what it lacks.
fn bring_forward(
    sql: &mut String,
    present: &HashSet<(String, String)>,
    table: &str,
    comment: &str,
    columns: &[(&str, &str, &str)],
) {
    let missing: Vec<_> = columns
        .iter()
        .filter(|(name, ..)| !present.contains(&(table.to_owned(), (*name).to_owned())))
        .collect();
    if missing.len() == columns.len() {
        let list: Vec<String> =
            columns.iter().map(|(name, definition, _)| format!("\"{name}\" {definition}")).collect();
        sql.push_str(&format!("CREATE TABLE _kiln.\"{table}\" ({});", list.join(", ")));
        sql.push_str(&format!("COMMENT ON TABLE _kiln.\"{table}\" IS {};", literal(comment)));
    } else {
        for (name, definition, _) in &missing {
            sql.push_str(&format!("ALTER TABLE _kiln.\"{table}\" ADD COLUMN \"{name}\" {definition};"));
        }
    }
    for (name, _, comment) in missing {
        sql.push_str(&format!("COMMENT ON COLUMN _kiln.\"{table}\".\"{name}\" IS {};", literal(comment)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_layout_gets_what_it_lacks_and_keeps_what_it_holds() {
        let session = Session::new(duckdb::Connection::open_in_memory().expect("opens")).expect("starts");
        session
            .execute(
                "CREATE SCHEMA _kiln; CREATE TABLE _kiln.version (version INTEGER, since TIMESTAMP); \
                 INSERT INTO _kiln.version VALUES (1, now()::TIMESTAMP); \
                 CREATE TABLE _kiln.run (run_id VARCHAR PRIMARY KEY, target VARCHAR NOT NULL, command VARCHAR NOT NULL, \
                 status VARCHAR NOT NULL, started_at TIMESTAMP NOT NULL, kiln_version VARCHAR NOT NULL); \
                 INSERT INTO _kiln.run VALUES ('r1', 'dev', 'run', 'published', TIMESTAMP '2026-01-01', '0.1.0')",
            )
            .expect("an old file");
        migrate(&session).expect("migrates");
        migrate(&session).expect("does nothing the second time");
        let kept = session.rows("SELECT run_id, message FROM _kiln.run").expect("reads");
        assert_eq!(kept, vec![vec![Some("r1".to_owned()), None]]);
        assert_eq!(session.count("SELECT count(*) FROM _kiln.release").expect("is there"), 0);
        assert_eq!(session.count("SELECT max(version) FROM _kiln.version").expect("reads"), VERSION);
    }

    #[test]
    fn a_newer_layout_is_left_alone() {
        let session = Session::new(duckdb::Connection::open_in_memory().expect("opens")).expect("starts");
        migrate(&session).expect("migrates");
        session.execute("INSERT INTO _kiln.version VALUES (99, NULL)").expect_err("since is NOT NULL");
        session
            .execute("INSERT INTO _kiln.version VALUES (99, TIMESTAMP '2026-01-01')")
            .expect("a newer kiln");
        let error = migrate(&session).expect_err("refuses").to_string();
        assert!(error.contains("layout 99"), "{error}");
    }
}
