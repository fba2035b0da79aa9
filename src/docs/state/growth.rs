//! Growth: what is remembered of models that are not built anew each time, their new rows and their intervals.

use std::collections::HashMap;

use super::{Cells, moment};
use crate::engine::session::{Session, SqlError};

/// An interval of a model, as it was built last.
#[derive(Debug, Clone, Default)]
pub struct IntervalRow {
    /// Its first moment, UTC.
    pub start: String,
    /// The moment behind its last one.
    pub end: String,
    /// Its rows, if it was built.
    pub rows: Option<u64>,
    /// Why it was not.
    pub message: Option<String>,
    /// When, UTC.
    pub at: String,
}

/// New rows of a build, and rows that they took the place of.
pub type Grown = (u64, u64);

/// The intervals of each model, oldest first.
pub fn intervals(session: &Session, target: &str) -> Result<HashMap<String, Vec<IntervalRow>>, SqlError> {
    let mut intervals: HashMap<String, Vec<IntervalRow>> = HashMap::new();
    // A file of an older layout has no such table.
    if session.describe("SELECT * FROM _kiln.interval").is_err() {
        return Ok(intervals);
    }
    let rows = session.rows(&format!(
        "SELECT model, {}, {}, if(status = 'built', rows, NULL)::VARCHAR, if(status = 'built', NULL, message), {} \
         FROM _kiln.interval WHERE target = {target} \
         QUALIFY row_number() OVER (PARTITION BY model, start ORDER BY built_at DESC, run_id DESC) = 1 \
         ORDER BY model, start",
        moment("start"),
        moment("\"end\""),
        moment("built_at"),
    ))?;
    for row in rows {
        let mut cells = Cells::of(row);
        intervals.entry(cells.text()).or_default().push(IntervalRow {
            start: cells.text(),
            end: cells.text(),
            rows: cells.number(),
            message: cells.maybe(),
            at: cells.text(),
        });
    }
    Ok(intervals)
}

/// How builds grew, by their names in the data schema.
pub fn grown(session: &Session, target: &str) -> Result<HashMap<String, Grown>, SqlError> {
    if session.describe("SELECT * FROM _kiln.increment").is_err() {
        return Ok(HashMap::new());
    }
    let rows = session.rows(&format!(
        "SELECT relation, added::VARCHAR, replaced::VARCHAR FROM _kiln.increment \
         WHERE target = {target} AND base IS NOT NULL"
    ))?;
    let pair = |row| {
        let mut cells = Cells::of(row);
        (cells.text(), (cells.number().unwrap_or_default(), cells.number().unwrap_or_default()))
    };
    Ok(rows.into_iter().map(pair).collect())
}
