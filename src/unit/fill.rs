//! Filling: rows that are written down become a table with the types of what they stand for.

use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::engine::explain::{explain_at, lowered};
use crate::engine::session::{ColumnType, Session, SqlError};
use crate::manifest::{UnitCell, UnitRows, UnitTable, UnitValue};
use crate::names::Relation;
use crate::sql::quote::{identifier, identifiers, literal};

use super::Trouble;

/// Values with the columns that they must fit, to find the one that does not.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    columns: Vec<ColumnType>,
    rows: Vec<Vec<UnitCell>>,
}

/// What rows stand for.
pub(super) struct Shape<'a> {
    /// As in "`orders` has no column": a model, a source, the result.
    pub name: &'a str,
    /// Its columns; `None` if nobody knows them.
    pub columns: Option<&'a [ColumnType]>,
}

/// Makes a table of rows. Columns that they do not name are NULL. Gives the columns that they name, with their types.
pub(super) fn fill(
    session: &Session,
    relation: &Relation,
    shape: &Shape<'_>,
    rows: &UnitRows,
) -> Result<Vec<ColumnType>, Trouble> {
    match rows {
        UnitRows::Table(table) => of_table(session, relation, shape, table),
        UnitRows::Sql(sql) => of_query(session, relation, shape, sql),
    }
}

fn of_table(
    session: &Session,
    relation: &Relation,
    shape: &Shape<'_>,
    table: &UnitTable,
) -> Result<Vec<ColumnType>, Trouble> {
    let Some(known) = shape.columns else { return untyped(session, relation, shape, table) };
    let named = named(shape, known, &table.columns)?;
    create(session, relation, known)?;
    if table.rows.is_empty() {
        return Ok(named);
    }
    if named.is_empty() {
        // Rows of which only the number matters.
        let first = known.first().map(|column| identifier(&column.name)).unwrap_or_default();
        let sql = format!("INSERT INTO {relation} ({first}) SELECT NULL FROM range({})", table.rows.len());
        session.execute(&sql).map_err(|error| Trouble::Machine(error.into()))?;
        return Ok(named);
    }
    let misfit =
        |error| Trouble::Values(Box::new(Typed { columns: named.clone(), rows: table.rows.clone() }), error);
    if inexact(&named, &table.rows) {
        return Err(misfit(None));
    }
    // A nested value is cast by itself, all others column by column: that is a shorter text to parse.
    let nested = |at: usize| table.rows.iter().any(|row| matches!(row[at].value, UnitValue::Json(_)));
    let nested: Vec<bool> = (0..named.len()).map(nested).collect();
    let rows: Vec<String> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&named).zip(&nested).map(|((cell, column), nested)| match nested {
                true => cast(&cell.value, column),
                false => written(&cell.value),
            });
            format!("({})", cells.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let aliases: Vec<String> = (0..named.len()).map(|at| format!("c{at}")).collect();
    let values = named.iter().zip(&aliases).zip(&nested).map(|((column, alias), nested)| match nested {
        true => alias.clone(),
        false => format!("CAST({alias} AS {})", type_of(column)),
    });
    let insert = format!(
        "INSERT INTO {relation} ({}) SELECT {} FROM (VALUES {}) AS v({})",
        identifiers(named.iter().map(|column| &column.name)),
        values.collect::<Vec<_>>().join(", "),
        rows.join(", "),
        aliases.join(", "),
    );
    session.execute(&insert).map_err(|error| match error.is_machine() || error.is_interrupt() {
        true => Trouble::Machine(error.into()),
        false => misfit(Some(error)),
    })?;
    Ok(named)
}

/// A table of columns that nobody knows: the values are what they look like.
fn untyped(
    session: &Session,
    relation: &Relation,
    shape: &Shape<'_>,
    table: &UnitTable,
) -> Result<Vec<ColumnType>, Trouble> {
    if table.columns.is_empty() {
        let message = format!("the columns of `{}` are not known, and no row names any", shape.name);
        return Err(Diagnostic::error("unit-test-column", message).into());
    }
    let names = identifiers(table.columns.iter().map(|column| &column.value));
    let rows: Vec<String> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.iter().map(|cell| match &cell.value {
                UnitValue::Plain(text) => text.clone(),
                other => written(other),
            });
            format!("({})", cells.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let sql = match rows.is_empty() {
        true => {
            let columns = table.columns.iter().map(|column| format!("{} VARCHAR", identifier(&column.value)));
            format!("CREATE TABLE {relation} ({})", columns.collect::<Vec<_>>().join(", "))
        }
        false => {
            format!("CREATE TABLE {relation} AS SELECT * FROM (VALUES {}) AS v({names})", rows.join(", "))
        }
    };
    session.execute(&sql).map_err(|error| {
        let at = &table.columns[0].at;
        Trouble::from(explain_at(&format!("the rows of `{}`", shape.name), &error, at, &[]))
    })?;
    Ok(session.describe(&format!("SELECT * FROM {relation}")).map_err(crate::error::Error::from)?)
}

fn of_query(
    session: &Session,
    relation: &Relation,
    shape: &Shape<'_>,
    sql: &Located<String>,
) -> Result<Vec<ColumnType>, Trouble> {
    let told = |error: &SqlError| {
        let lead = format!("the rows of `{}`", shape.name);
        Trouble::from(explain_at(&lead, error, &place(sql, error), &[]))
    };
    let query = crate::sql::tokens::without_end(&sql.value);
    let columns = session.describe(query).map_err(|error| told(&error))?;
    let Some(known) = shape.columns else {
        session.execute(&format!("CREATE TABLE {relation} AS {query}")).map_err(|error| told(&error))?;
        return Ok(columns);
    };
    let written: Vec<Located<String>> =
        columns.into_iter().map(|column| Located::new(column.name, sql.at.clone())).collect();
    let named = named(shape, known, &written)?;
    create(session, relation, known)?;
    let list = identifiers(named.iter().map(|column| &column.name));
    session
        .execute(&format!("INSERT INTO {relation} ({list}) FROM (\n{query}\n)"))
        .map_err(|error| told(&SqlError { position: None, ..error }))?;
    Ok(named)
}

/// The columns that rows name, as they are known.
fn named(
    shape: &Shape<'_>,
    known: &[ColumnType],
    written: &[Located<String>],
) -> Result<Vec<ColumnType>, Trouble> {
    let mut problems = Diagnostics::new();
    let mut found = Vec::new();
    for name in written {
        match known.iter().find(|column| column.name.eq_ignore_ascii_case(&name.value)) {
            Some(column) => found.push(column.clone()),
            None => {
                let names: Vec<String> = known.iter().map(|column| format!("`{}`", column.name)).collect();
                problems.push(
                    Diagnostic::error(
                        "unit-test-column",
                        format!("`{}` has no column `{}`", shape.name, name.value),
                    )
                    .at(&name.at, "no such column")
                    .suggest(&name.value, known.iter().map(|column| column.name.as_str()))
                    .help(format!("`{}` has {}", shape.name, names.join(", "))),
                );
            }
        }
    }
    match problems.is_empty() {
        true => Ok(found),
        false => Err(Trouble::Told(problems)),
    }
}

fn create(session: &Session, relation: &Relation, columns: &[ColumnType]) -> Result<(), Trouble> {
    let columns: Vec<String> =
        columns.iter().map(|column| format!("{} {}", identifier(&column.name), type_of(column))).collect();
    let sql = format!("CREATE TABLE {relation} ({})", columns.join(", "));
    session.execute(&sql).map_err(|error| Trouble::Machine(error.into()))
}

/// DuckDB's name for the type of a bare NULL is no type that a column can have.
fn type_of(column: &ColumnType) -> &str {
    match column.data_type.trim_matches('"') {
        "NULL" => "VARCHAR",
        _ => &column.data_type,
    }
}

fn written(value: &UnitValue) -> String {
    match value {
        UnitValue::Null => "NULL".into(),
        UnitValue::Text(text) | UnitValue::Plain(text) | UnitValue::Json(text) => literal(text),
    }
}

fn cast(value: &UnitValue, column: &ColumnType) -> String {
    match value {
        UnitValue::Json(text) => format!("CAST(CAST({} AS JSON) AS {})", literal(text), type_of(column)),
        other => format!("CAST({} AS {})", written(other), type_of(column)),
    }
}

/// Whether a cast would change a value without a word: DuckDB rounds `1.5` into an integer.
fn inexact(columns: &[ColumnType], rows: &[Vec<UnitCell>]) -> bool {
    let lossy = |(cell, column): (&UnitCell, &ColumnType)| match &cell.value {
        UnitValue::Text(text) | UnitValue::Plain(text) => loss(text, &column.data_type).is_some(),
        _ => false,
    };
    rows.iter().any(|row| row.iter().zip(columns).any(lossy))
}

/// What a text loses as a value of a type.
fn loss(text: &str, data_type: &str) -> Option<String> {
    let (name, rest) = data_type.split_once('(').unwrap_or((data_type, ""));
    let scale = match name {
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
        | "UBIGINT" | "UHUGEINT" => 0,
        "DECIMAL" => rest.trim_end_matches(')').split(',').nth(1)?.trim().parse::<usize>().ok()?,
        "DATE" => {
            let time = text.trim().get(10..)?;
            let has_time = time.contains(':') && time.chars().any(|c| ('1'..='9').contains(&c));
            return has_time.then(|| "a date has no time".into());
        }
        _ => return None,
    };
    // With an exponent it is told by the cast alone.
    let digits = text.trim().split_once('.')?.1;
    let decimals = digits.trim_end_matches('0').len();
    let plain = digits.chars().all(|c| c.is_ascii_digit());
    (plain && decimals > scale).then(|| match scale {
        0 => format!("{name} holds whole numbers"),
        _ => format!("{data_type} holds {scale} decimals"),
    })
}

/// The values that do not fit their columns, asked one by one.
pub(super) fn misfits(
    session: &Session,
    typed: &Typed,
    error: Option<&SqlError>,
) -> Result<Diagnostics, SqlError> {
    let mut problems = Diagnostics::new();
    for row in &typed.rows {
        for (cell, column) in row.iter().zip(&typed.columns) {
            let (text, lost) = match &cell.value {
                UnitValue::Null => continue,
                UnitValue::Text(text) | UnitValue::Plain(text) => (text, loss(text, &column.data_type)),
                UnitValue::Json(text) => (text, None),
            };
            let why = match lost {
                Some(lost) => format!(": {lost}"),
                // Asked without TRY_CAST, which passes over a key that a STRUCT does not have.
                None => match session.count(&format!("SELECT count({})", cast(&cell.value, column))) {
                    Ok(_) => continue,
                    Err(error) if error.is_machine() || error.is_interrupt() => return Err(error),
                    Err(error) if matches!(cell.value, UnitValue::Json(_)) => {
                        format!(": {}", lowered(error.sentence()))
                    }
                    Err(_) => String::new(),
                },
            };
            let message = format!("`{text}` does not fit into `{}`{why}", column.name);
            let problem =
                Diagnostic::error("unit-test-value", message).at(&cell.at, column.data_type.clone());
            problems.push(match why.contains("does not have key") {
                true => problem.help("write every field of it, and `null` for one that says nothing"),
                false => problem,
            });
        }
    }
    if problems.is_empty() {
        let at = typed.rows.first().and_then(|row| row.first()).map(|cell| &cell.at);
        let whole = error.map(|error| match at {
            Some(at) => explain_at("these rows", error, at, &[]),
            None => Diagnostic::error("unit-test-value", error.to_string()),
        });
        whole.into_iter().for_each(|problem| problems.push(problem));
    }
    Ok(problems)
}

/// The place of an error in SQL that stands in YAML or in a file: the line is looked for by its text.
fn place(sql: &Located<String>, error: &SqlError) -> Location {
    let whole = || {
        let text = &sql.at.file.text;
        let end = text[sql.at.span.start..].find('\n').map_or(text.len(), |at| sql.at.span.start + at);
        Location::new(&sql.at.file, sql.at.span.start..end.max(sql.at.span.start))
    };
    let Some((at, length)) = error.position else { return whole() };
    let at = at.min(sql.value.len());
    let start = sql.value.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = sql.value[start..].lines().next().unwrap_or_default();
    let found = sql.at.file.text[sql.at.span.start..].find(line.trim());
    match (found, line.trim().is_empty()) {
        (Some(found), false) => {
            let blanks = line.len() - line.trim_start().len();
            let from = sql.at.span.start + found + (at - start).saturating_sub(blanks);
            let end = (from + length.max(1)).min(sql.at.file.text.len());
            Location::new(&sql.at.file, from..end)
        }
        _ => whole(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cast_would_round_is_known() {
        let told = |text, data_type| loss(text, data_type).unwrap_or_default();
        assert_eq!(told("1.5", "INTEGER"), "INTEGER holds whole numbers");
        assert_eq!(told("1.50", "DECIMAL(12,1)"), "");
        assert_eq!(told("1.55", "DECIMAL(12,1)"), "DECIMAL(12,1) holds 1 decimals");
        assert_eq!(told("2026-01-01 10:00:00", "DATE"), "a date has no time");
        assert_eq!(told("2026-01-01 00:00:00", "DATE"), "");
        assert_eq!(told("1.5", "DOUBLE"), "");
        assert_eq!(told("abc.def", "INTEGER"), "");
    }
}
