//! Swallowed rows: a stray quote that closes again some rows later makes one value of all that is between. Such a file is
//! read without a fault, so values are looked at that hold whole lines which have as many delimiters as a row.

use std::collections::BTreeMap;

use crate::names::Relation;
use crate::sql::quote::{identifier, literal};

use super::csv::CsvShape;
use super::drift::Shape;
use super::{LoadedObject, Note, SourceColumn};

/// A row of two columns looks like any line of a text with a comma.
const FEWEST_COLUMNS: usize = 3;

/// Notes the objects with such values among the rows that were inserted.
pub(super) fn note(
    conn: &duckdb::Connection,
    relation: &Relation,
    shapes: &[CsvShape],
    outputs: &[SourceColumn],
    loaded: &mut [LoadedObject],
) -> duckdb::Result<()> {
    let mut alike: BTreeMap<(&str, usize), Vec<i64>> = BTreeMap::new();
    for (shape, loaded) in shapes.iter().zip(&*loaded) {
        let Shape::Columns(columns) = &shape.shape else { continue };
        if loaded.rows > 0 && columns.len() >= FEWEST_COLUMNS {
            alike.entry((shape.delimiter(), columns.len())).or_default().push(loaded.batch_id);
        }
    }
    let texts = outputs.iter().filter(|column| column.data_type == "VARCHAR");
    let texts: Vec<String> = texts.map(|column| identifier(&column.name)).collect();
    if texts.is_empty() {
        return Ok(());
    }
    for ((delimiter, columns), batches) in alike {
        let (delimiter, between) = (literal(delimiter), columns - 1);
        let holds = |text: &String| {
            // The first and the last line of a value are parts of its own row.
            format!(
                "CASE WHEN contains({text}, e'\\n') THEN len(list_filter(string_split({text}, e'\\n')[2:-2], \
                 lambda l: length(l) - length(replace(l, {delimiter}, '')) = {between} * length({delimiter}))) > 0 END"
            )
        };
        let holds: Vec<String> = texts.iter().map(holds).collect();
        let batches: Vec<String> = batches.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT _batch_id, count(*) FROM {relation} WHERE _batch_id IN ({}) AND ({}) GROUP BY ALL",
            batches.join(", "),
            holds.join(" OR ")
        );
        let mut statement = conn.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (batch, rows): (i64, i64) = (row.get(0)?, row.get(1)?);
            if let Some(object) = loaded.iter_mut().find(|object| object.batch_id == batch) {
                object.notes.push(Note::Swallowed { rows: rows.unsigned_abs() });
            }
        }
    }
    Ok(())
}
