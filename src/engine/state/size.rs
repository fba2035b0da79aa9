//! Sizes: how many bytes of the file a build takes.
//!
//! DuckDB knows them only by its list of a table's segments, which names the blocks that they stand in, and only once
//! they are there: a large build writes its blocks as it is made, a small one stands in the write-ahead log until the
//! file is checkpointed, which is when the run ends. So a large build is measured by the run that makes it and a small
//! one by the next run that publishes something; whoever reads the file in between measures it itself.

use std::collections::BTreeMap;

use super::DATA_SCHEMA;
use crate::engine::session::{Session, SqlError};
use crate::names::Relation;
use crate::sql::quote::literal;

/// Tables with fewer rows stand in the log first: it is DuckDB's size of a row group.
const LARGE: u64 = 122_880;
/// Builds that are measured at once, the largest first. One takes about a millisecond.
pub const AT_ONCE: usize = 50;

/// Measures builds that were not measured yet, and writes it down. `run_id` is the run that goes on.
pub fn record(session: &Session, run_id: &str) -> Result<(), SqlError> {
    let found = unmeasured(session, &format!("AND (run_id <> {} OR rows >= {LARGE})", literal(run_id)))?;
    let found = measure(session, &found)?;
    if found.is_empty() {
        return Ok(());
    }
    let values: Vec<String> =
        found.iter().map(|(relation, bytes)| format!("({}, {bytes})", literal(relation))).collect();
    session.execute(&format!(
        "UPDATE _kiln.build SET bytes = found.bytes FROM (VALUES {}) AS found(relation, bytes) \
         WHERE build.relation = found.relation AND build.bytes IS NULL",
        values.join(", ")
    ))
}

/// Sizes of builds that nobody has written down yet, by name in [`DATA_SCHEMA`]. Writes nothing.
pub fn read(session: &Session) -> Result<BTreeMap<String, u64>, SqlError> {
    measure(session, &unmeasured(session, "")?)
}

/// The largest builds that hold rows and have no size, each by its table. Versions of an incremental model share one:
/// only the newest of them is as large as the table is now.
fn unmeasured(session: &Session, and: &str) -> Result<BTreeMap<String, String>, SqlError> {
    let bytes = super::column_if_known(session, "build", "bytes");
    let (table, join) = match super::column_if_known(session, "increment", "table") {
        "NULL" => ("relation", String::new()),
        _ => {
            let newest = "SELECT relation, \"table\" FROM _kiln.increment \
                          QUALIFY version = max(version) OVER (PARTITION BY \"table\")";
            let older = "relation NOT IN (SELECT relation FROM _kiln.increment) OR \"table\" IS NOT NULL";
            (
                "coalesce(\"table\", relation)",
                format!("LEFT JOIN ({newest}) USING (relation) WHERE ({older}) AND"),
            )
        }
    };
    let join = if join.is_empty() { "WHERE".to_owned() } else { join };
    let rows = session.rows(&format!(
        "SELECT {table}, relation FROM _kiln.build {join} dropped_at IS NULL AND rows > 0 AND {bytes} IS NULL {and} \
         ORDER BY rows DESC, relation LIMIT {AT_ONCE}"
    ))?;
    Ok(rows.into_iter().filter_map(|mut row| Some((row[0].take()?, row[1].take()?))).collect())
}

/// The bytes of builds whose tables' blocks are all in the file. What is no table, or is gone, is left out.
fn measure(session: &Session, builds: &BTreeMap<String, String>) -> Result<BTreeMap<String, u64>, SqlError> {
    if builds.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = builds.keys().map(|table| literal(table)).collect();
    let tables = session.rows(&format!(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() \
         AND schema_name = '{DATA_SCHEMA}' AND table_name IN ({}) ORDER BY table_name",
        names.join(", ")
    ))?;
    let each: Vec<String> = tables
        .into_iter()
        .filter_map(|mut row| row.remove(0))
        .map(|table| {
            let relation = Relation::new(DATA_SCHEMA, &table).to_string();
            // A segment of one value for all rows stands in no block: it has number -1.
            format!(
                "SELECT {}, CASE WHEN bool_and(persistent) THEN count(DISTINCT block) FILTER (block >= 0) END FROM (
                     SELECT persistent, unnest([block_id] || additional_block_ids) AS block
                     FROM pragma_storage_info({})
                 )",
                literal(&builds[&table]),
                literal(&relation)
            )
        })
        .collect();
    if each.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = session.rows(&format!(
        "WITH found(relation, blocks) AS ({})
         SELECT relation, (blocks * block_size)::VARCHAR FROM found, pragma_database_size()
         WHERE database_name = current_database() AND blocks IS NOT NULL ORDER BY relation",
        each.join(" UNION ALL ")
    ))?;
    let pair = |mut row: Vec<Option<String>>| Some((row[0].take()?, row[1].take()?.parse().ok()?));
    Ok(rows.into_iter().filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::database::{Database, Opening};
    use crate::engine::state::migrate;

    fn open(path: &std::path::Path) -> Database {
        let opening = Opening {
            path: path.to_owned(),
            threads: 2,
            settings: Vec::new(),
            holder: "a test".into(),
            patience: Duration::ZERO,
        };
        Database::open(&opening).unwrap()
    }

    fn build(session: &Session, relation: &str, rows: u64, run_id: &str) {
        let columns = "range AS a, hash(range) AS b, 'x' AS c, repeat('long ', 2000 * (range % 2)::INT) AS d";
        session
            .execute(&format!(
                "CREATE TABLE {2} AS SELECT {columns} FROM range({rows}); \
                 INSERT INTO _kiln.build (fingerprint, model, relation, materialized, rows, run_id, built_at) \
                 VALUES ({0}, {0}, {0}, 'table', {rows}, {1}, TIMESTAMP '2026-01-01')",
                literal(relation),
                literal(run_id),
                Relation::new(DATA_SCHEMA, relation),
            ))
            .unwrap();
    }

    #[test]
    fn a_small_build_is_measured_when_it_is_in_the_file_and_a_large_one_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.duckdb");
        let sizes = |session: &Session| {
            let rows = session.rows("SELECT bytes::VARCHAR FROM _kiln.build ORDER BY rows").unwrap();
            rows.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>()
        };
        let database = open(&path);
        migrate(database.session()).unwrap();
        build(database.session(), "it's \"small\"", 10, "first");
        database
            .session()
            .execute(
                "CREATE TABLE _kiln_data.large AS SELECT range AS a, hash(range) AS b FROM range(200000); \
                 INSERT INTO _kiln.build (fingerprint, model, relation, materialized, rows, run_id, built_at) \
                 VALUES ('large', 'large', 'large', 'table', 200000, 'first', TIMESTAMP '2026-01-01')",
            )
            .unwrap();
        record(database.session(), "first").unwrap();
        // Two versions of an incremental model: they are views on one table.
        database
            .session()
            .execute(
                "CREATE VIEW _kiln_data.v1 AS SELECT 1; CREATE VIEW _kiln_data.v2 AS SELECT 2; \
                 CREATE TABLE _kiln_data.grows AS SELECT range AS a FROM range(100); \
                 INSERT INTO _kiln.build (fingerprint, model, relation, materialized, rows, run_id, built_at) \
                 SELECT v, 'grows', v, 'view', n, 'first', TIMESTAMP '2026-01-01' FROM (VALUES ('v1', 98), ('v2', 99)) AS b(v, n); \
                 INSERT INTO _kiln.increment (relation, fingerprint, model, target, \"table\", version, definition, inputs, \
                 added, replaced, run_id) SELECT v, v, 'grows', 'dev', 'grows', n, '', '', 0, 0, 'first' \
                 FROM (VALUES ('v1', 1), ('v2', 2)) AS b(v, n)",
            )
            .unwrap();
        let [small, _, _, large] = sizes(database.session()).try_into().unwrap();
        assert_eq!(small, None);
        let large: u64 = large.unwrap().parse().unwrap();
        assert!((1_600_000..4_000_000).contains(&large), "{large}");
        drop(database);
        let database = open(&path);
        let seen = read(database.session()).unwrap();
        record(database.session(), "second").unwrap();
        let [small, older, newer, _] = sizes(database.session()).try_into().unwrap();
        let small: u64 = small.unwrap().parse().unwrap();
        let seen: Vec<(String, u64)> = seen.into_iter().collect();
        assert_eq!(seen, [("it's \"small\"".to_owned(), small), ("v2".to_owned(), 262_144)]);
        assert_eq!(
            (older, newer),
            (None, Some("262144".to_owned())),
            "the older version has the newer one's table"
        );
        assert_eq!(small, 262_144, "a table is one block at least");
    }

    #[test]
    fn what_is_gone_or_is_no_table_has_no_size() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder.path().join("data.duckdb"));
        migrate(database.session()).unwrap();
        build(database.session(), "gone", 10, "first");
        build(database.session(), "view", 10, "first");
        database
            .session()
            .execute("DROP TABLE _kiln_data.gone; DROP TABLE _kiln_data.view; CREATE VIEW _kiln_data.view AS SELECT 1")
            .unwrap();
        assert_eq!(read(database.session()).unwrap(), BTreeMap::new());
    }
}
