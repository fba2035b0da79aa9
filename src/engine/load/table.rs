//! The raw table and its table of rejected rows: made when the first rows come, widened when a column does.

use duckdb::Connection;

use crate::error::{Error, Result};
use crate::names::Relation;
use crate::sql::quote::{identifier, literal};

use super::drift::same;
use super::{OWN_COLUMNS, SourceColumn, database};

/// The columns that a query gives.
pub(super) fn describe(conn: &Connection, query: &str) -> duckdb::Result<Vec<SourceColumn>> {
    let mut statement = conn.prepare(&format!("DESCRIBE {query}"))?;
    let columns =
        statement.query_map([], |row| Ok(SourceColumn { name: row.get(0)?, data_type: row.get(1)? }))?;
    columns.collect()
}

/// The columns of a table, none if it is not there.
pub(super) fn columns(conn: &Connection, relation: &Relation) -> duckdb::Result<Vec<SourceColumn>> {
    let sql = "SELECT column_name, data_type FROM duckdb_columns() \
               WHERE database_name = current_database() AND schema_name = ? AND table_name = ? ORDER BY column_index";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([&relation.schema, &relation.name], |row| {
        Ok(SourceColumn { name: row.get(0)?, data_type: row.get(1)? })
    })?;
    rows.collect()
}

/// Where rejected rows go.
pub(super) fn rejected(relation: &Relation) -> Relation {
    Relation::new(relation.schema.clone(), format!("{}__rejected", relation.name))
}

/// Makes the raw table able to hold what the model gives; a column that the model no longer gives stays, as NULL.
pub(super) fn ensure(conn: &Connection, relation: &Relation, outputs: &[SourceColumn]) -> Result<()> {
    let existing = columns(conn, relation).map_err(|error| database("read the catalog", &error))?;
    let mut sql = String::new();
    if existing.is_empty() {
        sql = format!("CREATE SCHEMA IF NOT EXISTS {};\n", identifier(&relation.schema));
        let own = OWN_COLUMNS.iter().map(|(name, data_type)| format!("{} {data_type}", identifier(name)));
        let columns: Vec<String> = outputs
            .iter()
            .filter(|column| !is_own(&column.name))
            .map(|column| format!("{} {}", identifier(&column.name), stored(&column.data_type)))
            .chain(own)
            .collect();
        sql.push_str(&format!("CREATE TABLE {relation} ({});\n", columns.join(", ")));
    }
    for column in outputs.iter().filter(|column| !existing.is_empty() && !is_own(&column.name)) {
        match existing.iter().find(|existing| same(&existing.name, &column.name)) {
            None => sql.push_str(&format!(
                "ALTER TABLE {relation} ADD COLUMN {} {};\n",
                identifier(&column.name),
                stored(&column.data_type)
            )),
            Some(existing) if holds(&existing.data_type, stored(&column.data_type)) => {}
            Some(existing) => return Err(other_type(relation, column, existing)),
        }
    }
    conn.execute_batch(&sql).map_err(|error| database(&format!("change `{}`", relation.plain()), &error))
}

fn other_type(relation: &Relation, column: &SourceColumn, existing: &SourceColumn) -> Error {
    let name = identifier(&existing.name);
    let text = format!(
        "`{}` is {} in `{}`, and {} in what is to be loaded",
        existing.name,
        existing.data_type,
        relation.plain(),
        column.data_type
    );
    Error::machine(text).hint(format!(
        "cast it in the raw model, or change the table: `alter table {relation} alter {name} type {}`",
        column.data_type
    ))
}

/// Makes the table of rejected rows.
pub(super) fn ensure_rejected(conn: &Connection, relation: &Relation) -> duckdb::Result<()> {
    let table = rejected(relation);
    let comments = [
        ("_source_object", "the file that the row came from"),
        ("_line", "its line in the file; for Parquet the number of the row; NULL where DuckDB does not tell"),
        ("_column", "the first column that did not fit, if it was one"),
        ("_reason", "why the row was rejected"),
        ("_raw", "the row as it stands in the file, or as JSON"),
        ("_batch_id", "the load, as in _kiln.load"),
        ("_loaded_at", "when, UTC"),
    ];
    if !columns(conn, &table)?.is_empty() {
        return Ok(());
    }
    let mut sql = format!(
        "CREATE TABLE {table} (_source_object VARCHAR, _line BIGINT, _column VARCHAR, _reason VARCHAR, _raw VARCHAR, \
         _batch_id BIGINT, _loaded_at TIMESTAMP);\n"
    );
    let about = format!("rows of {} that did not fit", relation.plain());
    sql.push_str(&format!("COMMENT ON TABLE {table} IS {};\n", literal(&about)));
    for (name, comment) in comments {
        sql.push_str(&format!("COMMENT ON COLUMN {table}.{name} IS {};\n", literal(comment)));
    }
    conn.execute_batch(&sql)
}

/// Whether a name is one of the columns that Kiln adds.
pub(super) fn is_own(name: &str) -> bool {
    OWN_COLUMNS.iter().any(|(own, _)| same(own, name))
}

/// The type of a table's column for a type of a query's: a bare NULL has a type that tables do not know.
fn stored(data_type: &str) -> &str {
    if data_type.trim_matches('"') == "NULL" { "VARCHAR" } else { data_type }
}

/// Whether a column holds all values of a type as they are.
fn holds(column: &str, value: &str) -> bool {
    let rank =
        |name: &str| ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"].iter().position(|x| *x == name);
    column == value
        || column == "VARCHAR"
        || matches!((rank(column), rank(value)), (Some(column), Some(value)) if column >= value)
        || matches!(
            (column, value),
            ("DOUBLE", "FLOAT" | "INTEGER" | "SMALLINT" | "TINYINT") | ("TIMESTAMP", "DATE")
        )
}

/// Checks that a type written by hand is a type and nothing else, and gives DuckDB's own name for it.
pub(super) fn canonical_type(conn: &Connection, written: &str) -> std::result::Result<String, String> {
    let harmless = |c: char| c.is_alphanumeric() || " _,()[]\"'".contains(c);
    let mut depth = 0_i32;
    for character in written.chars() {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 || !harmless(character) {
            return Err(format!("`{written}` is not a type"));
        }
    }
    let sql = format!("SELECT typeof(CAST(NULL AS {written}))");
    let found: duckdb::Result<String> = conn.query_row(&sql, [], |row| row.get(0));
    match found {
        Ok(_) => {}
        Err(_) => return Err(format!("`{written}` is not a type of DuckDB")),
    }
    // `typeof` of NULL says `"NULL"`; the description of the query names the type.
    let described = describe(conn, &format!("SELECT CAST(NULL AS {written}) AS x"));
    let name = described.ok().and_then(|columns| columns.into_iter().next()).map(|column| column.data_type);
    name.ok_or_else(|| format!("`{written}` is not a type of DuckDB"))
}
