//! The shadow: an in-memory DuckDB whose tables are empty. SQL is bound against it, so names and types are exactly
//! DuckDB's, and nothing of a warehouse is read.
//!
//! It has two phases. While it is open it may read the project's own files for their columns; once it is sealed, neither
//! a file nor a socket can be reached from it, and no setting can be changed back. Templates are run and bound sealed.

use std::collections::{BTreeSet, HashMap};

use duckdb::{Config, Connection};
use serde_json::Value;

use super::session::{ColumnType, Session, SqlError};
use crate::error::Result;
use crate::names::Relation;
use crate::sql::quote::{identifier, literal};

/// Settings of a target that mean nothing to a database without data, or that would open it.
const LEFT_OUT: [&str; 12] = [
    "access_mode",
    "allow_unsigned_extensions",
    "autoinstall_known_extensions",
    "autoload_known_extensions",
    "checkpoint_threshold",
    "enable_external_access",
    "errors_as_json",
    "max_temp_directory_size",
    "memory_limit",
    "temp_directory",
    "threads",
    "worker_threads",
];

/// An in-memory database of empty tables.
pub struct Shadow {
    session: Session,
    /// Of the catalog that stands for the target's database, where it has one of its own.
    catalog: Option<String>,
    settings: Vec<String>,
}

/// What a text of SQL is, as DuckDB's parser reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// One query.
    Query,
    /// A PIVOT whose columns are made from the data.
    DynamicPivot,
    /// Nothing but comments.
    Nothing,
    /// More than one statement.
    Several(usize),
    /// One statement that is no query.
    Other,
    /// It cannot be parsed.
    Broken(SqlError),
}

impl Shadow {
    /// Makes one. Its catalog bears the name of the database that it stands for, so that a name of three parts means the
    /// same; `settings` are the target's, because some of them change what SQL means.
    pub fn open(database: &str, settings: &[(String, String)]) -> Result<Self> {
        let config = Config::default()
            .with("autoinstall_known_extensions", "false")
            .and_then(|config| config.with("autoload_known_extensions", "false"))
            .and_then(|config| config.with("threads", "1"))
            .map_err(SqlError::from)?;
        let connection = Connection::open_in_memory_with_flags(config).map_err(SqlError::from)?;
        let session = Session::new(connection)?;
        let taken = ["memory", "system", "temp", ""].contains(&database.to_lowercase().as_str());
        let catalog = (!taken).then(|| identifier(database));
        if let Some(name) = &catalog {
            session.execute(&format!("ATTACH ':memory:' AS {name}"))?;
        }
        let settings = settings.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.to_lowercase().as_str()));
        let settings = settings.map(|(name, value)| format!("SET {} = {}", identifier(name), literal(value)));
        let shadow = Self { session, catalog, settings: settings.collect() };
        shadow.set_up()?;
        Ok(shadow)
    }

    /// Another connection to the same tables. It can be had only before the shadow is sealed.
    pub fn fork(&self) -> Result<Self, SqlError> {
        let shadow = Self {
            session: self.session.fork()?,
            catalog: self.catalog.clone(),
            settings: self.settings.clone(),
        };
        shadow.set_up()?;
        Ok(shadow)
    }

    /// What each connection has of its own.
    fn set_up(&self) -> Result<(), SqlError> {
        // Nothing is run, so nothing needs a good plan.
        self.session.execute("PRAGMA disable_optimizer")?;
        if let Some(name) = &self.catalog {
            self.session.execute(&format!("USE {name}"))?;
        }
        for setting in &self.settings {
            // A setting that DuckDB does not take is said where the database is opened.
            let _ = self.session.execute(setting);
        }
        Ok(())
    }

    /// The session on it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// DuckDB's version, as it says it itself.
    pub fn version(&self) -> Result<String, SqlError> {
        let rows = self.session.rows("SELECT version() || ' ' || source_id FROM pragma_version()")?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// The connection set up for running SQL, with its optimizer, before it is sealed.
    pub(super) fn into_runner(self) -> Result<Session, SqlError> {
        self.session.execute("PRAGMA enable_optimizer")?;
        Ok(self.session)
    }

    /// From now on no file and no socket can be reached, and no setting changed.
    pub fn seal(&self) -> Result<(), SqlError> {
        self.session.execute("SET enable_external_access = false; SET lock_configuration = true")
    }

    /// Makes schemas.
    pub fn create_schemas<'a>(&self, schemas: impl IntoIterator<Item = &'a str>) -> Result<(), SqlError> {
        let schemas: BTreeSet<&str> = schemas.into_iter().collect();
        let sql: Vec<String> = schemas
            .into_iter()
            .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(schema)))
            .collect();
        self.session.execute(&sql.join(";\n"))
    }

    /// Makes an empty table of these columns.
    pub fn create(&self, relation: &Relation, columns: &[ColumnType]) -> Result<(), SqlError> {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {}", identifier(&column.name), column.data_type))
            .collect();
        self.session.execute(&format!("CREATE OR REPLACE TABLE {relation} ({})", columns.join(", ")))
    }

    /// Makes an empty table of a query's columns: one bind gives their names and types, and nothing is run. Positions in
    /// an error are those of `sql`.
    pub fn create_as(&self, relation: &Relation, sql: &str) -> Result<(), SqlError> {
        let prefix = format!("CREATE OR REPLACE TABLE {relation} AS ");
        self.session.execute(&format!("{prefix}{sql}\nWITH NO DATA")).map_err(|mut error| {
            error.position = error
                .position
                .and_then(|(at, length)| Some((at.checked_sub(prefix.len())?.min(sql.len()), length)));
            error
        })
    }

    /// The columns of a relation; none if it is not here.
    pub fn columns(&self, relation: &Relation) -> Option<Vec<ColumnType>> {
        self.session.describe(&format!("SELECT * FROM {relation}")).ok()
    }

    /// The columns of all relations, by schema and name in lower case.
    pub fn all_columns(&self) -> Result<HashMap<(String, String), Vec<ColumnType>>, SqlError> {
        let rows = self.session.rows(
            "SELECT lower(schema_name), lower(table_name), column_name, data_type FROM duckdb_columns() \
             WHERE database_name = current_database() AND NOT internal ORDER BY table_oid, column_index",
        )?;
        let mut all: HashMap<(String, String), Vec<ColumnType>> = HashMap::new();
        for row in rows {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || cells.next().unwrap_or_default();
            let key = (next(), next());
            let column = ColumnType { name: next(), data_type: next() };
            all.entry(key).or_default().push(column);
        }
        Ok(all)
    }

    /// What a text is. DuckDB's own parser is the judge.
    pub fn statement(&self, sql: &str) -> Result<Statement, SqlError> {
        let Some(json) = self.serialized(sql)? else { return Ok(Statement::Query) };
        if json.get("error").and_then(Value::as_bool) != Some(true) {
            let count = json.get("statements").and_then(Value::as_array).map_or(1, Vec::len);
            return Ok(match count {
                0 => Statement::Nothing,
                1 => Statement::Query,
                several => Statement::Several(several),
            });
        }
        if json.get("error_type").and_then(Value::as_str) == Some("parser") {
            return Ok(Statement::Broken(SqlError::from_result(&json)));
        }
        // A PIVOT without `IN (…)` becomes several statements inside DuckDB.
        let begins = sql.to_lowercase();
        let pivots = begins.contains("pivot")
            && match self.session.describe(&format!("(\n{sql}\n)")) {
                Ok(_) => true,
                // Without data, a PIVOT that uses every column is left with none.
                Err(error) => error.message.contains("SELECT list is empty"),
            };
        Ok(if pivots { Statement::DynamicPivot } else { Statement::Other })
    }

    /// The names of relations and table functions that a query reads, as written, in lower case; `None` if that cannot
    /// be told. What DESCRIBE and SHOW name is not read.
    pub fn reads(&self, sql: &str) -> Option<BTreeSet<Read>> {
        let json = self.serialized(sql).ok()??;
        if json.get("error").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let mut found = BTreeSet::new();
        let mut ctes = BTreeSet::new();
        walk(&json, &mut found, &mut ctes);
        found.retain(|read| !(read.schema.is_empty() && ctes.contains(&read.name)));
        Some(found)
    }

    fn serialized(&self, sql: &str) -> Result<Option<Value>, SqlError> {
        let rows = self.session.rows(&format!("SELECT json_serialize_sql({})::VARCHAR", literal(sql)))?;
        let text = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

/// Something that a query reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// The schema, empty if none is written.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl Read {
    /// Whether it tells of the catalog, not of data.
    pub fn is_catalog(&self) -> bool {
        let name = self.name.as_str();
        let makers = ["range", "generate_series", "unnest", "pragma_table_info", "pragma_show", "repeat"];
        self.schema == "information_schema"
            || self.schema == "pg_catalog"
            || name.starts_with("duckdb_")
            || (self.schema.is_empty() && (name.starts_with("pg_") || makers.contains(&name)))
    }
}

fn walk(json: &Value, found: &mut BTreeSet<Read>, ctes: &mut BTreeSet<String>) {
    let text = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).map(str::to_lowercase).unwrap_or_default()
    };
    match json {
        Value::Array(all) => all.iter().for_each(|one| walk(one, found, ctes)),
        Value::Object(object) => {
            match object.get("type").and_then(Value::as_str) {
                Some("BASE_TABLE") => {
                    found.insert(Read { schema: text(json, "schema_name"), name: text(json, "table_name") });
                }
                Some("TABLE_FUNCTION") => {
                    let name = json.get("function").map(|function| text(function, "function_name"));
                    found.insert(Read { schema: String::new(), name: name.unwrap_or_default() });
                }
                Some("SHOW_REF") if text(json, "show_type") != "summary" => return,
                _ => {}
            }
            if let Some(map) = json.pointer("/cte_map/map").and_then(Value::as_array) {
                ctes.extend(map.iter().map(|entry| text(entry, "key")));
            }
            object.values().for_each(|value| walk(value, found, ctes));
        }
        _ => {}
    }
}
