//! A session: one connection to the database file, with errors as values and transactions that cannot lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duckdb::Connection;
use serde_json::Value;

use crate::error::Error;

/// One connection. A worker has its own; sessions of one database see each other's commits.
pub struct Session {
    connection: Connection,
    width: Option<Arc<Width>>,
}

/// How many threads DuckDB may use, and whether it does already.
#[derive(Debug)]
pub(super) struct Width {
    threads: usize,
    is_wide: AtomicBool,
}

impl Width {
    /// A database that was opened with one thread and may use `threads`.
    pub(super) fn narrow(threads: usize) -> Arc<Self> {
        Arc::new(Self { threads, is_wide: AtomicBool::new(threads <= 1) })
    }
}

/// What DuckDB says is wrong with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// DuckDB's class of error: `Binder`, `Catalog`, `Parser`, `Conversion`, `Out of Memory`, `IO`, `INTERRUPT`, `FATAL`…
    pub class: String,
    /// Its sentence, without the class and without the line it quotes.
    pub message: String,
    /// Byte offset and length in the statement, where DuckDB tells them.
    pub position: Option<(usize, usize)>,
    /// The name that was not found, if that is what is wrong.
    pub name: Option<String>,
    /// Names that it might have been.
    pub candidates: Vec<String>,
}

impl SqlError {
    /// Reads an error of the crate's.
    pub fn of(error: &duckdb::Error) -> Self {
        match error {
            duckdb::Error::DuckDBFailure(_, Some(text)) => Self::parse(text),
            other => Self::parse(&other.to_string()),
        }
    }

    /// Whether the user stopped it.
    pub fn is_interrupt(&self) -> bool {
        self.class.eq_ignore_ascii_case("interrupt")
    }

    /// Whether the machine, not the SQL, is the cause: memory, disk, a damaged file.
    pub fn is_machine(&self) -> bool {
        ["out of memory", "io", "fatal", "internal"].contains(&self.class.to_lowercase().as_str())
    }

    /// The message without the names that DuckDB offers instead.
    pub fn sentence(&self) -> &str {
        let offers = ["; Candidate ", "; Did you mean"].iter().filter_map(|offer| self.message.find(offer));
        &self.message[..offers.min().unwrap_or(self.message.len())]
    }

    /// A few words on what to do, where that is known.
    pub fn hint(&self) -> Option<String> {
        let class = self.class.to_lowercase();
        let message = self.message.to_lowercase();
        if class == "out of memory" {
            return Some(
                "give DuckDB more with the target's `memory_limit`, or use fewer `--threads`".into(),
            );
        }
        if message.contains("extension") && message.contains("icu") {
            return Some(
                "the DuckDB in kiln has no time zones: write `make_timestamp(epoch_us(now()))` for the time in UTC, add \
                 `::date` for the day, and keep times as TIMESTAMP"
                    .into(),
            );
        }
        if message.contains("no space left") || message.contains("disk is full") {
            return Some("free some disk space and run again: what was built is kept".into());
        }
        None
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The class says nothing more where the disk or a commit failed: the sentence names the file or the commit.
        match ["io", "transactioncontext"].contains(&self.class.to_lowercase().as_str()) {
            true => write!(f, "{}", self.message),
            false => write!(f, "{} error: {}", self.class.to_lowercase(), self.message),
        }
    }
}

impl From<duckdb::Error> for SqlError {
    fn from(error: duckdb::Error) -> Self {
        Self::of(&error)
    }
}

impl From<SqlError> for Error {
    /// For statements of Kiln's own; those of users become diagnostics before they get here.
    fn from(error: SqlError) -> Self {
        if error.is_interrupt() {
            return Error::Interrupted;
        }
        let hint = error.hint();
        let failed = Error::machine(format!("the database said: {error}"));
        match hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

impl SqlError {
    /// Reads DuckDB's text, which is JSON behind a prefix when `errors_as_json` is on.
    fn parse(text: &str) -> Self {
        let json = text.find('{').and_then(|at| serde_json::from_str::<Value>(text[at..].trim()).ok());
        let Some(json) = json else {
            let (class, message) = match text.split_once(" Error: ") {
                Some((class, message)) if class.len() < 40 => (class, message),
                _ => ("Database", text),
            };
            return Self {
                class: class.to_owned(),
                message: message.lines().next().unwrap_or("").to_owned(),
                position: None,
                name: None,
                candidates: Vec::new(),
            };
        };
        Self::of_fields(&json, "exception_type", "exception_message", text)
    }

    /// An error that `json_serialize_sql` returned as its result.
    pub(super) fn from_result(json: &Value) -> Self {
        Self::of_fields(json, "error_type", "error_message", "the SQL cannot be parsed")
    }

    fn of_fields(json: &Value, class: &str, message: &str, text: &str) -> Self {
        let field = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let position = field("location").and_then(|text| serde_json::from_str::<(usize, usize)>(&text).ok());
        let message = field(message).unwrap_or_else(|| text.to_owned());
        let message: Vec<&str> = message.lines().take_while(|line| !line.starts_with("LINE ")).collect();
        let class = field(class).unwrap_or_else(|| "Database".into());
        // What follows is DuckDB's advice for its own shell; `hint` has Kiln's.
        let message = if class.eq_ignore_ascii_case("out of memory") {
            &message[..1.min(message.len())]
        } else {
            &message
        };
        Self {
            class,
            message: message.join("; ").trim_end_matches("; ").to_owned(),
            position,
            name: field("name"),
            candidates: field("candidates")
                .map(|text| text.split(',').map(|name| name.trim().to_owned()).collect())
                .unwrap_or_default(),
        }
    }
}

/// Rows of text; NULL is `None`.
pub type TextRows = Vec<Vec<Option<String>>>;

/// A column of a relation or of a query's result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ColumnType {
    /// Its name.
    pub name: String,
    /// DuckDB's own spelling of its type.
    #[serde(rename = "type")]
    pub data_type: String,
}

impl Session {
    /// Takes a connection over and sets it up.
    pub(super) fn new(connection: Connection) -> Result<Self, SqlError> {
        connection.execute_batch("SET errors_as_json = true")?;
        Ok(Self { connection, width: None })
    }

    /// A session on a database that was opened with one thread.
    pub(super) fn narrow(connection: Connection, width: Arc<Width>) -> Result<Self, SqlError> {
        Ok(Self { width: Some(width), ..Self::new(connection)? })
    }

    /// Lets DuckDB use all its threads from now on, in every session. Until then it has one: waking the others for a
    /// query over a few rows costs more than the query, so only who has many rows to read or write asks for them.
    pub fn widen(&self) -> Result<(), SqlError> {
        match &self.width {
            Some(width) if !width.is_wide.swap(true, Ordering::Relaxed) => {
                self.execute(&format!("SET threads = {}", width.threads))
            }
            _ => Ok(()),
        }
    }

    /// Another session on the same database.
    pub fn fork(&self) -> Result<Self, SqlError> {
        Ok(Self { width: self.width.clone(), ..Self::new(self.connection.try_clone()?)? })
    }

    /// The connection itself, for the engine's own modules.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs one or more statements for their effect.
    pub fn execute(&self, sql: &str) -> Result<(), SqlError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// Runs one statement and says how many rows it wrote.
    pub fn execute_counted(&self, sql: &str) -> Result<u64, SqlError> {
        Ok(self.connection.execute(sql, [])? as u64)
    }

    /// Runs a query and gives its rows; each output column must be VARCHAR (cast it in the query).
    pub fn rows(&self, sql: &str) -> Result<TextRows, SqlError> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let count = row.as_ref().column_count();
            all.push((0..count).map(|at| row.get::<_, Option<String>>(at)).collect::<duckdb::Result<_>>()?);
        }
        Ok(all)
    }

    /// Runs any query and gives its column names and its first `limit` rows as text.
    pub fn table(&self, sql: &str, limit: u64) -> Result<(Vec<String>, TextRows), SqlError> {
        let columns = self.describe(sql)?;
        let sql = sql.trim().trim_end_matches(';');
        let rows = self.rows(&format!("SELECT COLUMNS(*)::VARCHAR FROM (\n{sql}\n) LIMIT {limit}"))?;
        Ok((columns.into_iter().map(|column| column.name).collect(), rows))
    }

    /// A query that gives two whole numbers a row.
    pub fn pairs(&self, sql: &str) -> Result<Vec<(i64, i64)>, SqlError> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<duckdb::Result<_>>()?)
    }

    /// A query that gives one whole number.
    pub fn count(&self, sql: &str) -> Result<i64, SqlError> {
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// The columns that a query would give. Binds it and runs nothing.
    pub fn describe(&self, sql: &str) -> Result<Vec<ColumnType>, SqlError> {
        const PREFIX: &str = "DESCRIBE ";
        let rows = self.described(&format!("{PREFIX}{sql}")).map_err(|mut error| {
            error.position = error.position.map(|(at, length)| (at.saturating_sub(PREFIX.len()), length));
            error
        })?;
        Ok(rows)
    }

    fn described(&self, sql: &str) -> Result<Vec<ColumnType>, SqlError> {
        let mut statement = self.connection.prepare(sql)?;
        let columns = statement
            .query_map([], |row| Ok(ColumnType { name: row.get(0)?, data_type: row.get(1)? }))?
            .collect::<duckdb::Result<_>>()?;
        Ok(columns)
    }

    /// DuckDB's own spelling of a type, or `None` where it knows no such type.
    pub fn canonical_type(&self, written: &str) -> Option<String> {
        // The text comes from YAML: it is a type or it is refused, so nothing but a type may be in it.
        let harmless = |c: char| c.is_alphanumeric() || "_ ()[],.\"'".contains(c);
        if !written.chars().all(harmless) || written.trim().is_empty() {
            return None;
        }
        let columns = self.describe(&format!("SELECT CAST(NULL AS {written}) AS c")).ok()?;
        (columns.len() == 1).then(|| columns[0].data_type.clone())
    }

    /// Runs `body` in one transaction: all of it or nothing. An error of any statement rolls back.
    ///
    /// DuckDB answers COMMIT of an aborted transaction with success, so `body` must return every error that it meets;
    /// whoever needs certainty reads a row back afterwards.
    pub fn transaction<T, E: From<SqlError>>(
        &self,
        body: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.execute("BEGIN TRANSACTION")?;
        match body(self) {
            Ok(value) => match self.execute("COMMIT") {
                Ok(()) => Ok(value),
                Err(error) => {
                    // A failed COMMIT has rolled back already; a second ROLLBACK would only hide the cause.
                    let _ = self.execute("ROLLBACK");
                    Err(error.into())
                }
            },
            Err(error) => {
                let _ = self.execute("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Something that another thread can use to stop what this session runs.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.connection.interrupt_handle())
    }
}

/// Stops a session's running statement from another thread.
#[derive(Clone)]
pub struct Interrupter(std::sync::Arc<duckdb::InterruptHandle>);

impl Interrupter {
    /// Stops it, if it runs.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}
