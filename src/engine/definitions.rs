//! Definitions: macros and types that somebody made in the database by hand, as statements that make them again elsewhere.
//!
//! DuckDB keeps no text of them that could be asked for: its catalog forgets the default of a parameter and the digits of a
//! decimal. EXPORT DATABASE writes both, so an in-memory copy of the catalog without tables is exported. No row is read.

use std::path::Path;

use duckdb::{Config, Connection};

use super::session::{ColumnType, Session, SqlError};
use super::state::DATA_SCHEMA;
use crate::error::Result;
use crate::names::Relation;
use crate::sql::quote::{identifier, literal};

/// What a database knows besides its tables and views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// `CREATE TYPE` and `CREATE MACRO`, each in full.
    pub statements: Vec<String>,
    /// Schemas that they stand in.
    pub schemas: Vec<String>,
    /// The tables and views that people see there: DuckDB makes no macro that reads what is not there.
    pub relations: Vec<(Relation, Vec<ColumnType>)>,
}

/// Reads them. Nothing is changed, and a database that another process writes cannot be read.
///
/// # Errors
/// The file cannot be opened, or DuckDB does not copy its catalog.
pub fn read(path: &Path) -> Result<Definitions> {
    let session = attached(path)?;
    session.execute("ATTACH ':memory:' AS kiln_copy")?;
    let found = session.count(
        "SELECT (SELECT count(*) FROM duckdb_functions() WHERE database_name = 'kiln_published' AND NOT internal) \
         + (SELECT count(*) FROM duckdb_types() WHERE database_name = 'kiln_published' AND NOT internal)",
    )?;
    if found == 0 {
        return Ok(Definitions::default());
    }
    let folder = tempfile::tempdir()
        .map_err(|error| crate::error::Error::io("make a folder in", &std::env::temp_dir(), &error))?;
    let export = literal(&folder.path().to_string_lossy());
    // A view may read a file; copying it must not.
    session.execute(&format!(
        "SET allowed_directories = [{export}]; SET enable_external_access = false; SET lock_configuration = true"
    ))?;
    session.execute("COPY FROM DATABASE kiln_published TO kiln_copy (SCHEMA); USE kiln_copy")?;
    let relations = relations(&session, "kiln_copy")?;
    session.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", identifier(DATA_SCHEMA)))?;
    let gone: Vec<String> = tables(&session)?
        .into_iter()
        .map(|(kind, relation)| format!("DROP {kind} IF EXISTS {relation} CASCADE"))
        .collect();
    session.execute(&gone.join(";\n"))?;
    session.execute(&format!("EXPORT DATABASE {export}"))?;
    let path = folder.path().join("schema.sql");
    let text =
        std::fs::read_to_string(&path).map_err(|error| crate::error::Error::io("read", &path, &error))?;
    let statements = statements(&text);
    let is_definition = |sql: &&str| sql.starts_with("CREATE TYPE") || sql.starts_with("CREATE MACRO");
    Ok(Definitions {
        statements: statements.iter().copied().filter(is_definition).map(str::to_owned).collect(),
        schemas: schemas(&session)?,
        relations,
    })
}

/// The tables and views in a database with their columns, without those of Kiln's own. No row is read.
///
/// # Errors
/// The file cannot be opened: another process writes it, or it is no database.
pub fn relations_in(path: &Path) -> Result<Vec<(Relation, Vec<ColumnType>)>> {
    let session = attached(path)?;
    // A view may read a file; to tell its columns must not.
    session.execute("SET enable_external_access = false; SET lock_configuration = true")?;
    relations(&session, "kiln_published")
}

/// A session beside which a database is open for reading.
fn attached(path: &Path) -> Result<Session> {
    let config = Config::default()
        .with("autoinstall_known_extensions", "false")
        .and_then(|config| config.with("threads", "1"))
        .map_err(SqlError::from)?;
    let session = Session::new(Connection::open_in_memory_with_flags(config).map_err(SqlError::from)?)?;
    session.execute(&format!("ATTACH {} AS kiln_published (READ_ONLY)", literal(&path.to_string_lossy())))?;
    Ok(session)
}

fn tables(session: &Session) -> Result<Vec<(String, Relation)>> {
    let rows = session.rows(
        "SELECT 'VIEW', schema_name, view_name FROM duckdb_views() WHERE database_name = 'kiln_copy' AND NOT internal \
         UNION ALL SELECT 'TABLE', schema_name, table_name FROM duckdb_tables() WHERE database_name = 'kiln_copy'",
    )?;
    let relation = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || cells.next().unwrap_or_default();
        (next(), Relation::new(next(), next()))
    };
    Ok(rows.into_iter().map(relation).collect())
}

fn schemas(session: &Session) -> Result<Vec<String>> {
    let rows = session.rows(
        "SELECT DISTINCT schema_name FROM (SELECT schema_name FROM duckdb_functions() \
         WHERE database_name = 'kiln_copy' AND NOT internal UNION ALL SELECT schema_name FROM duckdb_types() \
         WHERE database_name = 'kiln_copy' AND NOT internal) ORDER BY 1",
    )?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

fn relations(session: &Session, database: &str) -> Result<Vec<(Relation, Vec<ColumnType>)>> {
    let rows = session.rows(&format!(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() \
         WHERE database_name = {} AND NOT internal AND schema_name NOT IN ({}, '_kiln') \
         ORDER BY schema_name, table_name, column_index",
        literal(database),
        literal(DATA_SCHEMA)
    ))?;
    let mut all: Vec<(Relation, Vec<ColumnType>)> = Vec::new();
    for row in rows {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || cells.next().unwrap_or_default();
        let relation = Relation::new(next(), next());
        let column = ColumnType { name: next(), data_type: next() };
        match all.last_mut().filter(|(known, _)| *known == relation) {
            Some((_, columns)) => columns.push(column),
            None => all.push((relation, vec![column])),
        }
    }
    Ok(all)
}

/// Statements that DuckDB has written: they hold no comment, and a `;` within only in quotes.
fn statements(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ';') => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_and_types_come_back_in_full() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a 'quoted' name.duckdb");
        let connection = Connection::open(&path).expect("a database");
        connection
            .execute_batch(
                "CREATE SCHEMA _kiln_data; CREATE SCHEMA curated; CREATE SCHEMA tools;
                 CREATE TYPE mood AS ENUM ('a', 'b''c;'); CREATE TYPE price AS DECIMAL(12,3);
                 CREATE TABLE _kiln_data.x AS SELECT 1 AS a; CREATE VIEW curated.v AS SELECT a FROM _kiln_data.x;
                 CREATE MACRO tools.plus(a, b := 5) AS a + b, (a, b, c) AS a + b + c;
                 CREATE MACRO top(n) AS TABLE SELECT * FROM curated.v LIMIT n;",
            )
            .expect("sound statements");
        drop(connection);
        let found = read(&path).expect("definitions");
        insta::assert_snapshot!(found.statements.join("\n"), @r"
        CREATE TYPE mood AS ENUM ( 'a', 'b''c;' )
        CREATE TYPE price AS DECIMAL(12,3)
        CREATE MACRO top (n) AS TABLE (SELECT * FROM curated.v LIMIT n)
        CREATE MACRO tools.plus (a, b := 5) AS ((a + b)), (a, b, c) AS (((a + b) + c))
        ");
        assert_eq!(found.schemas, ["main", "tools"]);
        let names: Vec<String> = found.relations.iter().map(|(relation, _)| relation.plain()).collect();
        assert_eq!(names, ["curated.v"]);
    }

    #[test]
    fn a_database_without_any_has_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plain.duckdb");
        Connection::open(&path)
            .and_then(|made| made.execute_batch("CREATE TABLE t (a INTEGER)"))
            .expect("a database");
        assert_eq!(read(&path).expect("definitions"), Definitions::default());
        assert!(read(&folder.path().join("nothing.duckdb")).is_err());
    }
}
