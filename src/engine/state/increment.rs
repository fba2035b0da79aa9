//! Increments in the state: which versions of an incremental model's table there are, and what each is made from.

use std::collections::HashMap;

use super::{DATA_SCHEMA, in_data_schema, now};
use crate::engine::session::{Session, SqlError};
use crate::names::Fingerprint;
use crate::sql::quote::literal;

/// A version of an incremental model's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increment {
    /// The version's view in [`DATA_SCHEMA`].
    pub relation: String,
    /// What it is made from.
    pub fingerprint: Fingerprint,
    /// The model.
    pub model: String,
    /// The target that the table belongs to.
    pub target: String,
    /// The table that holds the rows.
    pub table: String,
    /// Its number within the table; `None` while the new rows wait to be published.
    pub version: Option<i64>,
    /// The view of the version that it continues.
    pub base: Option<String>,
    /// Hash of what the model itself says.
    pub definition: Fingerprint,
    /// Hash of that and of its parents' builds.
    pub inputs: Fingerprint,
    /// The table of the new rows.
    pub delta: Option<String>,
    /// The table of the rows that it replaced.
    pub undo: Option<String>,
    /// New rows.
    pub added: u64,
    /// Rows that they took the place of.
    pub replaced: u64,
    /// Whether its view is still there.
    pub presence: Presence,
    /// Builds that it was made from, where it is built by intervals.
    pub parents: Vec<String>,
    /// Windows of time that it built, `start/end` separated by commas.
    pub built: String,
    /// Windows of time that its table holds with it.
    pub covered: String,
    /// Intervals that did not build.
    pub failed: String,
    /// Later [`Increment::inputs`] that brought nothing new.
    pub settled: Vec<Fingerprint>,
}

/// Most values of [`Increment::settled`], and of the parents that came with them.
const SETTLED: usize = 32;

/// An interval that was built, or was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalRow {
    /// Its first moment.
    pub start: String,
    /// The moment behind its last one.
    pub end: String,
    /// Its rows, or why it did not build.
    pub outcome: Result<u64, String>,
}

/// Whether a version can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its view is there.
    There,
    /// Its view was collected; what it replaced may still be needed by older versions.
    Gone,
}

/// All versions whose table is there, by the name of their view.
pub fn increments(session: &Session) -> Result<HashMap<String, Increment>, SqlError> {
    let present = in_data_schema();
    let rows = session.rows(&format!(
        "WITH present AS ({present}) \
         SELECT relation, fingerprint, model, target, \"table\", version::VARCHAR, base, definition, inputs, delta, undo, \
         added::VARCHAR, replaced::VARCHAR, (relation IN (FROM present))::VARCHAR, \
         parents, built, covered, failed, settled \
         FROM _kiln.increment WHERE \"table\" IN (FROM present)"
    ))?;
    let increments = rows.into_iter().map(|mut row| {
        let (version, base, delta, undo) = (row[5].take(), row[6].take(), row[9].take(), row[10].take());
        let mut text = |at: usize| row[at].take().unwrap_or_default();
        let relation = text(0);
        let increment = Increment {
            fingerprint: Fingerprint::from_stored(text(1)),
            model: text(2),
            target: text(3),
            table: text(4),
            version: version.and_then(|version| version.parse().ok()),
            base,
            definition: Fingerprint::from_stored(text(7)),
            inputs: Fingerprint::from_stored(text(8)),
            delta,
            undo,
            added: text(11).parse().unwrap_or(0),
            replaced: text(12).parse().unwrap_or(0),
            presence: if text(13) == "true" { Presence::There } else { Presence::Gone },
            parents: listed(&text(14)).map(str::to_owned).collect(),
            built: text(15),
            covered: text(16),
            failed: text(17),
            settled: listed(&text(18)).map(|text| Fingerprint::from_stored(text.to_owned())).collect(),
            relation: relation.clone(),
        };
        (relation, increment)
    });
    Ok(increments.collect())
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|name| !name.is_empty())
}

/// What readers of other targets see of incremental models: the view's name, by model; the newest release wins.
pub fn elsewhere(session: &Session, target: &str) -> Result<HashMap<String, String>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT model, relation FROM _kiln.release_model WHERE release_id IN \
         (SELECT max(release_id) FROM _kiln.release WHERE target <> {} GROUP BY target) \
         AND relation IN (SELECT relation FROM _kiln.increment) ORDER BY release_id",
        literal(target)
    ))?;
    Ok(rows.into_iter().filter_map(|mut row| Some((row[0].take()?, row[1].take()?))).collect())
}

/// Records a version, in the transaction that makes it.
pub fn record(session: &Session, increment: &Increment, run_id: &str) -> Result<(), SqlError> {
    let optional = |text: &Option<String>| text.as_deref().map_or("NULL".to_owned(), literal);
    let (version, merged_at) = match increment.version {
        Some(version) => (version.to_string(), literal(&now())),
        None => ("NULL".to_owned(), "NULL".to_owned()),
    };
    session.execute(&format!(
        "DELETE FROM _kiln.increment WHERE relation = {relation}; \
         INSERT INTO _kiln.increment (relation, fingerprint, model, target, \"table\", version, base, definition, inputs, \
         delta, undo, added, replaced, run_id, parents, built, covered, failed, merged_at) VALUES ({relation}, {}, {}, {}, \
         {}, {version}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {merged_at})",
        literal(increment.fingerprint.as_str()),
        literal(&increment.model),
        literal(&increment.target),
        literal(&increment.table),
        optional(&increment.base),
        literal(increment.definition.as_str()),
        literal(increment.inputs.as_str()),
        optional(&increment.delta),
        optional(&increment.undo),
        increment.added,
        increment.replaced,
        literal(run_id),
        literal(&increment.parents.join(",")),
        literal(&increment.built),
        literal(&increment.covered),
        literal(&increment.failed),
        relation = literal(&increment.relation),
    ))
}

/// What a version shows already, though it was made from something else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// The [`Increment::inputs`] that brought nothing new; `None` where they are never the same again.
    pub inputs: Option<Fingerprint>,
    /// Parents' builds that were looked at.
    pub parents: Vec<String>,
}

/// Records that a version shows already what newer inputs would make of it, so that the next run need not look.
pub fn settle(session: &Session, increment: &Increment, settled: &Settled) -> Result<(), SqlError> {
    let mut changes = Vec::new();
    if let Some(inputs) = &settled.inputs {
        let known = increment.settled.iter().filter(|known| *known != inputs);
        let all = std::iter::once(inputs).chain(known).take(SETTLED).map(Fingerprint::as_str);
        changes.push(format!("settled = {}", literal(&all.collect::<Vec<_>>().join(","))));
    }
    let new: Vec<&String> =
        settled.parents.iter().filter(|parent| !increment.parents.contains(parent)).collect();
    if !new.is_empty() {
        let all = increment.parents.iter().chain(new.iter().copied()).map(String::as_str);
        let all: Vec<&str> = all.collect();
        let kept = &all[all.len().saturating_sub(SETTLED + settled.parents.len())..];
        changes.push(format!("parents = {}", literal(&kept.join(","))));
    }
    if changes.is_empty() {
        return Ok(());
    }
    let changes = changes.join(", ");
    session.execute(&format!(
        "UPDATE _kiln.increment SET {changes} WHERE relation = {}",
        literal(&increment.relation)
    ))
}

/// Records the intervals that a version built, in the transaction that makes it.
pub fn record_intervals(
    session: &Session,
    increment: &Increment,
    rows: &[IntervalRow],
    run_id: &str,
) -> Result<(), SqlError> {
    let now = now();
    for chunk in rows.chunks(500) {
        let rows = chunk.iter().map(|row| {
            let (status, count, message) = match &row.outcome {
                Ok(count) => ("built", count.to_string(), "NULL".to_owned()),
                Err(message) => ("failed", "NULL".to_owned(), literal(message)),
            };
            format!(
                "({}, {}, {}, {}, '{status}', {count}, {message}, {}, {}, {})",
                literal(&increment.model),
                literal(&increment.target),
                literal(&row.start),
                literal(&row.end),
                literal(&increment.relation),
                literal(run_id),
                literal(&now)
            )
        });
        let rows: Vec<String> = rows.collect();
        session.execute(&format!("INSERT INTO _kiln.interval VALUES {}", rows.join(", ")))?;
    }
    Ok(())
}

/// The table of a version's new rows, as long as they wait to be published.
pub fn waiting_delta(session: &Session, relation: &str) -> Result<Option<String>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT delta FROM _kiln.increment WHERE version IS NULL AND relation = {} AND delta IN \
         (SELECT table_name FROM duckdb_tables() WHERE schema_name = '{DATA_SCHEMA}')",
        literal(relation)
    ))?;
    Ok(rows.into_iter().next().and_then(|mut row| row.remove(0)))
}
