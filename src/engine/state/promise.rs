//! What a release promised: for each model and consumer a text that a later diff reads, kept once however many releases
//! say the same.

use std::collections::BTreeMap;

use crate::engine::session::{Session, SqlError};
use crate::names::Fingerprint;
use crate::sql::quote::literal;

/// Rows of one INSERT.
const CHUNK: usize = 200;

/// What a model or a consumer promises from a release on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromiseRow {
    /// Its unique id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The version of its contract.
    pub contract_version: Option<String>,
    /// Its query.
    pub sql: Option<String>,
    /// All of it, as JSON.
    pub body: String,
}

impl PromiseRow {
    fn digest(&self) -> Fingerprint {
        Fingerprint::of([self.body.as_bytes()])
    }
}

/// Promises of a release: what the one before promised, with some changed and some gone.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    /// The release whose promises stay where nothing is said.
    pub from: Option<i64>,
    /// What is new or another.
    pub changed: Vec<PromiseRow>,
    /// Ids of what is there no more.
    pub gone: Vec<String>,
}

/// Writes a release's promises. It runs in the transaction that publishes.
pub(in crate::engine) fn record(
    session: &Session,
    release_id: i64,
    promises: &Promises,
) -> Result<(), SqlError> {
    if let Some(from) = promises.from {
        let left_out: Vec<String> = promises
            .changed
            .iter()
            .map(|row| row.id.as_str())
            .chain(promises.gone.iter().map(String::as_str))
            .map(literal)
            .collect();
        let but = match left_out.is_empty() {
            true => String::new(),
            false => format!(" AND id NOT IN ({})", left_out.join(", ")),
        };
        session.execute(&format!(
            "INSERT INTO _kiln.release_promise SELECT {release_id}, id, digest FROM _kiln.release_promise \
             WHERE release_id = {from}{but}"
        ))?;
    }
    let optional = |text: &Option<String>| text.as_deref().map_or("NULL".to_owned(), literal);
    for chunk in promises.changed.chunks(CHUNK) {
        let rows: Vec<(&PromiseRow, Fingerprint)> = chunk.iter().map(|row| (row, row.digest())).collect();
        let known: Vec<String> = rows.iter().map(|(_, digest)| literal(digest.as_str())).collect();
        let known = session
            .rows(&format!("SELECT digest FROM _kiln.promise WHERE digest IN ({})", known.join(", ")))?;
        let known: Vec<String> = known.into_iter().filter_map(|mut row| row.remove(0)).collect();
        let bodies: BTreeMap<&str, String> = rows
            .iter()
            .filter(|(_, digest)| !known.iter().any(|known| known == digest.as_str()))
            .map(|(row, digest)| {
                let values = format!(
                    "({}, {}, {}, {}, {})",
                    literal(digest.as_str()),
                    literal(&row.name),
                    optional(&row.contract_version),
                    optional(&row.sql),
                    literal(&row.body),
                );
                (digest.as_str(), values)
            })
            .collect();
        if !bodies.is_empty() {
            let bodies: Vec<String> = bodies.into_values().collect();
            session.execute(&format!("INSERT INTO _kiln.promise VALUES {}", bodies.join(", ")))?;
        }
        let links: Vec<String> = rows
            .iter()
            .map(|(row, digest)| {
                format!("({release_id}, {}, {})", literal(&row.id), literal(digest.as_str()))
            })
            .collect();
        session.execute(&format!("INSERT INTO _kiln.release_promise VALUES {}", links.join(", ")))?;
    }
    Ok(())
}

/// What a release promised, by id; nothing for one of an older Kiln.
pub fn promises(session: &Session, release_id: i64) -> Result<BTreeMap<String, String>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT id, body FROM _kiln.release_promise JOIN _kiln.promise USING (digest) WHERE release_id = {release_id}"
    ))?;
    Ok(pairs(rows))
}

/// Every state that a contract of a release of this target was ever published in, but for those of one release: pairs of
/// an id and a body, the newest first.
pub fn earlier(session: &Session, target: &str, but: i64) -> Result<Vec<(String, String)>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT id, arg_max(body, release_id) AS body FROM _kiln.release_promise JOIN _kiln.promise USING (digest) \
         JOIN _kiln.release USING (release_id) WHERE target = {} AND contract_version IS NOT NULL AND release_id < {but} \
         GROUP BY id, contract_version ORDER BY max(release_id) DESC, id",
        literal(target)
    ))?;
    Ok(rows
        .into_iter()
        .filter_map(|mut row| Some((row.first_mut()?.take()?, row.get_mut(1)?.take()?)))
        .collect())
}

/// Columns of builds, by name of their relation, as `name` and `type`.
pub fn build_columns(
    session: &Session,
    relations: &[&str],
) -> Result<BTreeMap<String, Vec<crate::engine::session::ColumnType>>, SqlError> {
    let mut all: BTreeMap<String, Vec<crate::engine::session::ColumnType>> = BTreeMap::new();
    if relations.is_empty() {
        return Ok(all);
    }
    let names: Vec<String> = relations.iter().map(|name| literal(name)).collect();
    let rows = session.rows(&format!(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() \
         AND schema_name = '{}' AND table_name IN ({}) ORDER BY table_name, column_index",
        super::DATA_SCHEMA,
        names.join(", ")
    ))?;
    for mut row in rows {
        let mut text = |at: usize| row[at].take().unwrap_or_default();
        let relation = text(0);
        let column = crate::engine::session::ColumnType { name: text(1), data_type: text(2) };
        all.entry(relation).or_default().push(column);
    }
    Ok(all)
}

fn pairs(rows: Vec<Vec<Option<String>>>) -> BTreeMap<String, String> {
    rows.into_iter().filter_map(|mut row| Some((row.first_mut()?.take()?, row.get_mut(1)?.take()?))).collect()
}
