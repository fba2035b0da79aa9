//! Parquet: types come with the file; what differs from the table's is cast, and a value that cannot be is a rejected row.

use crate::error::Result;
use crate::sql::quote::{identifier, literal};

use super::csv::reason_of;
use super::drift::{KnownColumn, Shape, same};
use super::json::{is_nested, misfit, reasons};
use super::scan::{Context, Grouping, Unit, file_list, path_pattern};
use super::{Failed, PendingObject, SourceColumn};

/// Reads the schema of each object.
pub(super) fn shapes(context: &Context<'_>, objects: &[&PendingObject]) -> Vec<Result<Shape, Failed>> {
    let shape = |object: &&PendingObject| {
        if object.object.size == 0 {
            return Ok(Shape::Empty);
        }
        describe(context, object).map(Shape::Columns).map_err(|error| Failed {
            object: object.object.name.clone(),
            reason: reason_of(&super::text_of(&error), &object.object),
            help: None,
        })
    };
    objects.iter().map(shape).collect()
}

fn describe(context: &Context<'_>, object: &PendingObject) -> duckdb::Result<Vec<KnownColumn>> {
    let path = path_pattern(&object.object.path);
    let sql = format!("DESCRIBE SELECT * FROM read_parquet({path}{})", context.options.arguments());
    let mut statement = context.conn.prepare(&sql)?;
    let columns = statement.query_map([], |row| {
        Ok(KnownColumn { name: row.get(0)?, data_type: Some(row.get::<_, String>(1)?) })
    })?;
    columns.collect()
}

/// A type as Kiln keeps it: there is no icu to show or cast a TIMESTAMP WITH TIME ZONE, so UTC it is.
fn kept(data_type: &str) -> &str {
    if data_type == "TIMESTAMP WITH TIME ZONE" { "TIMESTAMP" } else { data_type }
}

/// The types of columns that have none: the first file's.
pub(super) fn types(shapes: &[Shape], wanted: &[String]) -> Vec<Option<String>> {
    let find = |name: &String| {
        shapes.iter().find_map(|shape| match shape {
            Shape::Columns(columns) => {
                columns.iter().find(|column| same(&column.name, name))?.data_type.clone()
            }
            Shape::Empty => None,
        })
    };
    wanted.iter().map(|name| find(name).map(|data_type| kept(&data_type).to_owned())).collect()
}

/// What to read, and what does not fit: objects of one schema together.
pub(super) fn units(
    context: &Context<'_>,
    objects: &[&PendingObject],
    shapes: &[Shape],
    columns: &[SourceColumn],
    grouping: Grouping,
) -> Vec<Unit> {
    let mut groups: Vec<(&Shape, Vec<usize>)> = Vec::new();
    for (index, shape) in shapes.iter().enumerate().filter(|(_, shape)| **shape != Shape::Empty) {
        let group = groups.iter_mut().find(|(known, _)| grouping == Grouping::Together && *known == shape);
        match group {
            Some((_, indexes)) => indexes.push(index),
            None => groups.push((shape, vec![index])),
        }
    }
    let groups = groups.into_iter();
    groups.map(|(shape, indexes)| unit(context, objects, shape, indexes, columns)).collect()
}

fn unit(
    context: &Context<'_>,
    objects: &[&PendingObject],
    shape: &Shape,
    indexes: Vec<usize>,
    columns: &[SourceColumn],
) -> Unit {
    let Shape::Columns(own) = shape else { unreachable!("groups hold no empty object") };
    let mut values = Vec::new();
    let mut misfits = Vec::new();
    for column in columns {
        let name = identifier(&column.name);
        let Some(found) = own.iter().find(|found| same(&found.name, &column.name)) else {
            values.push(format!("CAST(NULL AS {}) AS {name}", column.data_type));
            continue;
        };
        let there = identifier(&found.name);
        let found_type = found.data_type.as_deref().unwrap_or("VARCHAR");
        if found_type == column.data_type {
            values.push(format!("{there} AS {name}"));
            continue;
        }
        let plain = match found_type == "TIMESTAMP WITH TIME ZONE" {
            true => format!("make_timestamp(epoch_us({there}))"),
            false => there.clone(),
        };
        // TRY_CAST makes what does not fit inside of a nested value NULL; a cast that fails, and is tried, does not.
        let cast = match is_nested(&column.data_type) {
            true => format!("TRY(CAST({plain} AS {}))", column.data_type),
            false => format!("TRY_CAST({plain} AS {})", column.data_type),
        };
        values.push(format!("{cast} AS {name}"));
        misfits.push(misfit(column, &format!("({plain})::VARCHAR"), &cast));
    }
    let paths = file_list(indexes.iter().map(|index| objects[*index].object.path.as_path()));
    let arguments = context.options.arguments();
    let from = format!("read_parquet({paths}, filename = '_kiln_path', file_row_number = true{arguments})");
    let (why, first) = reasons(&misfits);
    let row: Vec<String> = own
        .iter()
        .map(|column| format!("{}: {}::VARCHAR", literal(&column.name), identifier(&column.name)))
        .collect();
    Unit {
        objects: indexes,
        select: format!("SELECT {}, _kiln_path FROM {from} WHERE {why} = ''", values.join(", ")),
        rejects: match misfits.is_empty() {
            true => String::new(),
            false => format!(
                "SELECT _kiln_path AS path, file_row_number + 1 AS line, {first} AS \"column\", {why} AS reason, \
                 to_json({{{}}})::VARCHAR AS raw, false AS not_utf8 FROM {from} WHERE {why} <> ''",
                row.join(", ")
            ),
        },
        check: String::new(),
        clean_up: String::new(),
    }
}
