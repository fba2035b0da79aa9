//! Asks DuckDB for the bound plan of a query and reads the column lineage in it.
//!
//! DuckDB 2.0.0 prints no plan for files read in the query itself, for a recursive CTE with USING KEY and for a few more.
//! Such a query is no error: its lineage is unknown, with the reason.

use super::session::{ColumnType, Session, SqlError};
use crate::sql::lineage::{Lineage, of_plan, outputs_of};
use crate::sql::plan;
use crate::sql::relations::words;
use crate::sql::shape::{self, Shape};
use crate::sql::tokens::is_closed;

/// The lineage of a query with these outputs, in order. The session must see the tables of the query; rows are not read.
///
/// # Errors
/// Only what stops a command: an interrupt, or no memory.
pub fn of_query(session: &Session, sql: &str, outputs: &[String]) -> Result<Lineage, SqlError> {
    let text = match plan_of(session, sql)? {
        Ok(text) => text,
        Err(reason) => return Ok(Lineage::unknown(outputs, reason)),
    };
    Ok(match plan::parse(&text) {
        Some(plan) => of_plan(&plan, outputs),
        None => Lineage::unknown(outputs, "duckdb's plan is nested too deep to follow"),
    })
}

/// The shape of a query, or why it cannot be told. `table` names a scanned table by its schema and name.
///
/// # Errors
/// Only what stops a command: an interrupt, or no memory.
pub fn shape_of(
    session: &Session,
    sql: &str,
    table: &dyn Fn(&str, &str) -> String,
) -> Result<Result<Shape, String>, SqlError> {
    let text = match plan_of(session, sql)? {
        Ok(text) => text,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(match plan::parse_typed(&text) {
        Some(plan) => shape::of_plan(&plan, table),
        None => Err("duckdb's plan is nested too deep to follow".into()),
    })
}

/// The outputs of a query and their lineage from one bind; `None` where the plan does not tell them, which is no verdict on
/// the query: it may even be wrong.
///
/// # Errors
/// Only what stops a command: an interrupt, or no memory.
pub fn outputs_of_query(
    session: &Session,
    sql: &str,
) -> Result<Option<(Vec<ColumnType>, Lineage)>, SqlError> {
    // What closes a parenthesis that it did not open would be another query inside of one.
    if !is_closed(sql) {
        return Ok(None);
    }
    let Ok(text) = plan_of(session, &format!("SELECT * FROM (\n{sql}\n)"))? else { return Ok(None) };
    let Some(plan) = plan::parse(&text) else { return Ok(None) };
    drop(text);
    let Some(outputs) = outputs_of(&plan) else { return Ok(None) };
    let names: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
    let lineage = of_plan(&plan, &names);
    let columns = outputs.into_iter().map(|(name, data_type)| ColumnType { name, data_type });
    Ok(Some((columns.collect(), lineage)))
}

/// Joins and set operations of one query whose plan is asked for. The time that DuckDB 2.0.0 takes to print a plan grows with
/// their square: 10,000 take five seconds, 40,000 more than two minutes, where binding takes one.
const MOST_OPERATORS: usize = 5_000;

/// The bound plan of a query as JSON, without members that are null or empty, or why there is none.
fn plan_of(session: &Session, sql: &str) -> Result<Result<String, String>, SqlError> {
    const ASK: &str =
        "SELECT json_serialize_plan(?::VARCHAR, optimize := false, skip_null := true, skip_empty := true)";
    if has_more_operators(sql, MOST_OPERATORS) {
        return Ok(Err(format!("the query has more than {MOST_OPERATORS} joins and set operations")));
    }
    let mut statement = session.connection().prepare_cached(ASK)?;
    match statement.query_row([sql], |row| row.get(0)).map_err(SqlError::from) {
        Ok(text) => Ok(Ok(text)),
        Err(error) if error.is_interrupt() || error.is_machine() => Err(error),
        Err(error) => Ok(Err(format!("duckdb gives no plan: {error}"))),
    }
}

fn has_more_operators(sql: &str, most: usize) -> bool {
    const OPERATORS: [&str; 4] = ["join", "union", "except", "intersect"];
    let is_operator = |word: &str| OPERATORS.iter().any(|operator| word.eq_ignore_ascii_case(operator));
    // Few texts are long enough to be looked through.
    sql.len() / "join ".len() > most && words(sql).filter(|(_, word)| is_operator(word)).nth(most).is_some()
}

#[cfg(test)]
mod tests;
