//! Increments: how the table of an incremental model grows without any reader seeing half of it.
//!
//! The rows of an incremental model live in one table, each with the number of the version in which it came
//! ([`VERSION_COLUMN`]). A *version* is an immutable build like every other: a view. That of the newest version shows the
//! whole table. What a version took out of the table stands in its *undo* table, so a row belongs to version `w` if it
//! came in `w` or before, and is in the table still or was taken out by a later version. With that, older versions go on
//! showing what they always showed, and a rollback only points views back.
//!
//! New rows are built apart, as a *delta* table. While it is audited, the new version's view is "the version before, less
//! what the delta replaces, and the delta". The transaction that publishes it moves the rows ([`merge`]).
//!
//! A version may continue another than the newest one: after a rollback. It then takes out what came later too, and puts
//! back what later versions had taken out.

pub mod replaces;
pub mod shape;

use std::collections::HashMap;

use super::session::{ColumnType, Session, SqlError};
use super::state::increment::{Increment, Presence};
use super::state::{DATA_SCHEMA, now};
use crate::names::Relation;
use crate::sql::quote::{identifier, identifiers, literal};

pub use replaces::Replaces;

/// The column that says in which version a row came. The same for all rows of a version, so it takes no room.
pub const VERSION_COLUMN: &str = "_kiln_version";

/// The column of an undo table that says where in the table a row stood, while it is taken out.
const ROW_COLUMN: &str = "_kiln_rowid";

/// The table of an incremental model's rows, named after the version that makes it.
pub fn rows_of(version: &str) -> String {
    format!("{version}__rows")
}

/// The table of a version's new rows.
pub fn delta_of(version: &str) -> String {
    format!("{version}__delta")
}

/// The table of the rows that a version replaced.
pub fn undo_of(version: &str) -> String {
    format!("{version}__undo")
}

/// A name in the data schema, quoted.
pub fn quoted(name: &str) -> String {
    Relation::new(DATA_SCHEMA, name).to_string()
}

/// What stands before and behind a query in the statement that makes a table's first version of it.
pub fn whole(table: &str) -> (String, &'static str) {
    let version = identifier(VERSION_COLUMN);
    (format!("CREATE OR REPLACE TABLE {} AS SELECT *, 1::BIGINT AS {version} FROM (\n", quoted(table)), "\n)")
}

/// The view of the newest version of a table.
pub fn newest_view(relation: &str, table: &str, columns: &[ColumnType]) -> String {
    let columns = names(columns);
    format!("CREATE OR REPLACE VIEW {} AS SELECT {columns} FROM {};", quoted(relation), quoted(table))
}

/// The view of a version whose new rows are not in the table yet.
pub fn waiting_view(
    relation: &str,
    base: &str,
    delta: &str,
    columns: &[ColumnType],
    replaces: &Replaces,
) -> String {
    let columns = names(columns);
    let kept = replaces.kept(&quoted(base), &quoted(delta), &columns);
    format!(
        "CREATE OR REPLACE VIEW {} AS {kept}\nUNION ALL SELECT {columns} FROM {};",
        quoted(relation),
        quoted(delta)
    )
}

/// The statement that keeps what a delta replaces, for as long as an older version is kept.
pub fn keep_undo(undo: &str, table: &str, delta: &str, replaces: &Replaces) -> Option<String> {
    let replaced = replaces.replaced(&quoted(table), &quoted(delta), "*")?;
    Some(format!("CREATE OR REPLACE TABLE {} AS {replaced}", quoted(undo)))
}

fn names(columns: &[ColumnType]) -> String {
    identifiers(columns.iter().map(|column| &column.name))
}

/// The columns of a table of rows, without Kiln's own.
pub fn columns_of(session: &Session, relation: &str) -> Result<Vec<ColumnType>, SqlError> {
    let mut columns = session.describe(&format!("SELECT * FROM {}", quoted(relation)))?;
    columns.retain(|column| column.name != VERSION_COLUMN);
    Ok(columns)
}

/// The number of the newest version of a table.
pub fn head(table: &str, increments: &HashMap<String, Increment>) -> i64 {
    let of_table = increments.values().filter(|increment| increment.table == table);
    of_table.filter_map(|increment| increment.version).max().unwrap_or(0)
}

/// New rows that wait, and what they replace.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The version.
    pub waiting: Increment,
    /// What its new rows take the place of.
    pub replaces: Replaces,
}

/// Which undo table a merge uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// The one that was made with the delta, when nobody waited for it.
    Prepared,
    /// One made now.
    Fresh,
}

/// How a merge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// The rows are in the table.
    Done,
    /// The undo table does not hold what was taken out. It has to be made anew, in another transaction, since what this
    /// one took out is gone.
    Stale,
}

/// Moves the new rows of a version into its table, inside the transaction that publishes it, and lets the views of all
/// older versions show what they showed before.
pub fn merge(
    session: &Session,
    merge: &Merge,
    increments: &HashMap<String, Increment>,
    undo: Undo,
) -> Result<Merged, SqlError> {
    let waiting = &merge.waiting;
    let table = quoted(&waiting.table);
    let version_column = identifier(VERSION_COLUMN);
    let columns = columns_of(session, &waiting.table)?;
    let list = names(&columns);
    let head = head(&waiting.table, increments);
    let base = waiting.base.as_ref().and_then(|base| increments.get(base)).and_then(|base| base.version);
    let base = base.unwrap_or(head);
    let version = head + 1;
    let undo_name = undo_of(&waiting.relation);
    let mut has_undo = waiting.replaced > 0;
    let take_out = merge.replaces.take_out(&table, &quoted(&undo_name));
    if let (true, Undo::Prepared, Some(take_out)) = (base == head, undo, take_out) {
        if has_undo && session.execute_counted(&take_out)? != waiting.replaced {
            return Ok(Merged::Stale);
        }
    } else {
        has_undo = true;
        let delta = delta_of(&waiting.relation);
        let row = identifier(ROW_COLUMN);
        let from = format!("(SELECT rowid AS {row}, * FROM {table} WHERE {version_column} <= {base})");
        let replaced = merge.replaces.replaced(&from, &quoted(&delta), "*");
        let replaced = replaced.map_or(String::new(), |replaced| format!(" UNION ALL {replaced}"));
        session.execute(&format!(
            "CREATE OR REPLACE TABLE {undo} AS SELECT rowid AS {row}, * FROM {table} WHERE {version_column} > {base}\
             {replaced}; DELETE FROM {table} WHERE rowid IN (SELECT {row} FROM {undo})",
            undo = quoted(&undo_name),
        ))?;
        for (_, later) in undos(&waiting.table, increments).filter(|(later, _)| *later > base) {
            // What came back in this version and what it replaces at once never comes back.
            let gone = format!("(SELECT {list} FROM {} WHERE {version_column} <= {base})", quoted(later));
            let kept = merge.replaces.kept(&gone, &quoted(&delta), &list);
            session.execute(&format!(
                "INSERT INTO {table} ({list}, {version_column}) SELECT *, {version} FROM ({kept})"
            ))?;
        }
    }
    session.execute(&format!(
        "INSERT INTO {table} ({list}, {version_column}) SELECT {list}, {version} FROM {}",
        quoted(&delta_of(&waiting.relation))
    ))?;
    let undo_value = if has_undo { literal(&undo_name) } else { "NULL".to_owned() };
    let mut sql = newest_view(&waiting.relation, &waiting.table, &columns);
    sql.push_str(&reads(&waiting.relation, std::iter::once(waiting.table.as_str())));
    sql.push_str(&format!(
        "UPDATE _kiln.increment SET version = {version}, undo = {undo_value}, merged_at = {} WHERE relation = {};",
        literal(&now()),
        literal(&waiting.relation)
    ));
    let mut undos: Vec<(i64, &str)> = undos(&waiting.table, increments).collect();
    undos.extend(has_undo.then_some((version, undo_name.as_str())));
    undos.sort_unstable();
    let older = increments.values().filter(|older| older.table == waiting.table);
    let mut older: Vec<&Increment> = older.filter(|older| older.presence == Presence::There).collect();
    older.sort_by_key(|older| older.version);
    for older in older {
        if let Some(number) = older.version {
            sql.push_str(&older_view(&older.relation, &waiting.table, &columns, number, &undos));
        }
    }
    session.execute(&sql)?;
    Ok(Merged::Done)
}

/// The undo tables of a table, each with its version.
fn undos<'a>(
    table: &'a str,
    increments: &'a HashMap<String, Increment>,
) -> impl Iterator<Item = (i64, &'a str)> {
    let of_table = increments.values().filter(move |increment| increment.table == table);
    of_table.filter_map(|increment| Some((increment.version?, increment.undo.as_deref()?)))
}

/// The view of a version that is not the newest any more, and what it reads.
fn older_view(
    relation: &str,
    table: &str,
    columns: &[ColumnType],
    version: i64,
    undos: &[(i64, &str)],
) -> String {
    let columns = names(columns);
    let column = identifier(VERSION_COLUMN);
    let later = || undos.iter().filter(|(later, _)| *later > version).map(|(_, name)| *name);
    let mut sql = format!(
        "CREATE OR REPLACE VIEW {} AS SELECT {columns} FROM {} WHERE {column} <= {version}",
        quoted(relation),
        quoted(table)
    );
    for undo in later() {
        sql.push_str(&format!(
            "\nUNION ALL SELECT {columns} FROM {} WHERE {column} <= {version}",
            quoted(undo)
        ));
    }
    sql.push_str(";\n");
    sql.push_str(&reads(relation, std::iter::once(table).chain(later())));
    sql
}

/// Notes what a version's view reads, so that none of it is collected.
fn reads<'a>(relation: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(literal).collect();
    format!("UPDATE _kiln.build SET reads = [{}] WHERE relation = {};\n", names.join(", "), literal(relation))
}
