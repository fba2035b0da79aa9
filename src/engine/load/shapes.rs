//! Shapes: which columns a batch's objects have, folded into what is known of their source. Loading begins with it, and
//! whoever only wants to know a source's columns ends with it.

use duckdb::Connection;

use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::manifest::{FileFormat, SourceTable};

use super::csv::CsvShape;
use super::drift::{Difference, Known, KnownColumn, Seen, Shape};
use super::json::JsonShape;
use super::scan::{Context, Trouble};
use super::{Failed, Object, PendingObject, SourceColumn, csv, json, options, parquet, table};

/// A source that is only looked at is read up to this many bytes.
const LOOK_BYTES: u64 = 64 << 20;

/// What looking at a source's files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// Its columns, as a load of these files would have them.
    Columns(Vec<SourceColumn>),
    /// They are not known, and why: a sentence without a subject.
    Unknown(String),
}

/// The columns that a source would have once these objects are loaded, without loading them. `stored` are those that
/// earlier loads have seen.
///
/// # Errors
/// The options or a declared type are none of DuckDB's.
pub fn look(
    conn: &Connection,
    source: &SourceTable,
    objects: &[Object],
    stored: Vec<SourceColumn>,
) -> Result<Looked> {
    let Some(files) = &source.files else {
        return Err(Error::Bug(format!("`{}` has no files to look at", source.id)));
    };
    let options = options::read(conn, source)?;
    let mut known = known_columns(conn, source, stored)?;
    let bytes: u64 = objects.iter().map(|object| object.size).sum();
    let untyped = known.seen == Seen::Never && known.columns.iter().any(|column| column.data_type.is_none());
    let reads_all = matches!(files.format, FileFormat::Json | FileFormat::NdJson);
    if bytes > LOOK_BYTES && (reads_all || untyped || known.columns.is_empty()) {
        return Ok(Looked::Unknown("its files are too large to be read for their types alone".into()));
    }
    let mut context = Context {
        conn,
        source,
        files,
        options,
        exact: std::collections::HashSet::new(),
        known: known.columns.iter().map(|column| column.name.clone()).collect(),
    };
    let pending: Vec<PendingObject> = objects.iter().map(unhashed).collect();
    let mut left: Vec<&PendingObject> = pending.iter().collect();
    left.sort_by(|a, b| a.object.name.cmp(&b.object.name));
    // What cannot be loaded is said when it is loaded; here the others decide.
    while !left.is_empty() {
        let mut attempt = known.clone();
        let outcome = Shapes::of(&context, &left).and_then(|shapes| {
            drift(&context, &mut attempt, &left, &shapes.each())?;
            complete(&context, &mut attempt, &left, &shapes)
        });
        match outcome {
            Ok(()) => {
                known = attempt;
                break;
            }
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::Exact(names)) => context.exact.extend(names),
            Err(Trouble::Statement(text)) => {
                return Ok(Looked::Unknown(format!(
                    "its files cannot be read: {}",
                    super::first_lines(&text).lines().next().unwrap_or_default()
                )));
            }
            Err(Trouble::Objects(failed)) => {
                let before = left.len();
                left.retain(|object| !failed.iter().any(|failed| failed.object == object.object.name));
                if left.len() == before {
                    return Err(Error::Bug("a look at files failed without saying which".into()));
                }
            }
        }
    }
    let untyped = known.columns.iter().find(|column| column.data_type.is_none());
    Ok(match untyped {
        _ if known.columns.is_empty() => Looked::Unknown("no column is declared and no file has any".into()),
        Some(column) => {
            Looked::Unknown(format!("neither a file nor `data_type` says what `{}` is", column.name))
        }
        None => Looked::Columns(typed(&known.columns)),
    })
}

/// An object whose content does not matter yet.
fn unhashed(object: &Object) -> PendingObject {
    PendingObject {
        object: object.clone(),
        content_hash: String::new(),
        reason: super::Reason::New { copy_of: None },
    }
}

/// The shapes of a batch's objects, as their format sees them.
pub(super) enum Shapes {
    Csv(Vec<CsvShape>),
    Json(Vec<JsonShape>),
    Parquet(Vec<Shape>),
}

impl Shapes {
    /// The shapes, in the order of the objects.
    pub fn each(&self) -> Vec<&Shape> {
        match self {
            Self::Csv(shapes) => shapes.iter().map(|shape| &shape.shape).collect(),
            Self::Json(shapes) => shapes.iter().map(|shape| &shape.shape).collect(),
            Self::Parquet(shapes) => shapes.iter().collect(),
        }
    }

    /// Looks at each object.
    pub fn of(context: &Context<'_>, objects: &[&PendingObject]) -> Result<Self, Trouble> {
        Ok(match context.files.format {
            FileFormat::Csv => Self::Csv(all_or_failed(csv::shapes(context, objects))?),
            FileFormat::Json | FileFormat::NdJson => Self::Json(json::shapes(context, objects)?),
            FileFormat::Parquet => Self::Parquet(all_or_failed(parquet::shapes(context, objects))?),
        })
    }
}

/// Folds the shapes of the objects into what is known.
pub(super) fn drift(
    context: &Context<'_>,
    known: &mut Known,
    objects: &[&PendingObject],
    shapes: &[&Shape],
) -> Result<Vec<Difference>, Trouble> {
    let policy = context.files.on_schema_change;
    let mut differences = Vec::new();
    let mut failed = Vec::new();
    for (object, shape) in objects.iter().zip(shapes) {
        let fail = |reason: String, help: &str| Failed {
            object: object.object.name.clone(),
            reason,
            help: Some(help.to_owned()),
        };
        if let Shape::Columns(columns) = shape
            && let Some(column) = columns.iter().find(|column| table::is_own(&column.name))
        {
            let reason = format!("it has a column `{}`, a name that kiln gives itself", column.name);
            failed.push(fail(reason, "rename the column in the file"));
            continue;
        }
        match known.take(shape, policy) {
            Ok(difference) => differences.push(difference),
            Err(reason) => failed.push(fail(reason, "set `on_schema_change: evolve` to take it as it is")),
        }
    }
    if failed.is_empty() { Ok(differences) } else { Err(Trouble::Objects(failed)) }
}

/// Gives each known column a type.
pub(super) fn complete(
    context: &Context<'_>,
    known: &mut Known,
    objects: &[&PendingObject],
    shapes: &Shapes,
) -> Result<(), Trouble> {
    // Without an object that has columns, what was declared without a type may still get one from the data.
    if known.seen == Seen::Never {
        return Ok(());
    }
    let wanted: Vec<String> = known
        .columns
        .iter()
        .filter(|column| column.data_type.is_none())
        .map(|column| column.name.clone())
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let types = match shapes {
        Shapes::Csv(shapes) => csv::types(context, objects, shapes, &wanted)?,
        Shapes::Json(shapes) => json::types(context, shapes, &wanted)?,
        Shapes::Parquet(shapes) => parquet::types(shapes, &wanted),
    };
    let mut types = types.into_iter();
    for column in known.columns.iter_mut().filter(|column| column.data_type.is_none()) {
        // A column without any value: text holds whatever comes.
        column.data_type = Some(types.next().flatten().unwrap_or_else(|| "VARCHAR".to_owned()));
    }
    Ok(())
}

/// All values, or all failures.
fn all_or_failed<T>(results: Vec<Result<T, Failed>>) -> Result<Vec<T>, Trouble> {
    let mut failed = Vec::new();
    let mut values = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(failure) => failed.push(failure),
        }
    }
    if failed.is_empty() { Ok(values) } else { Err(Trouble::Objects(failed)) }
}

/// Columns whose type is known.
pub(super) fn typed(columns: &[KnownColumn]) -> Vec<SourceColumn> {
    let with_type = |column: &KnownColumn| SourceColumn {
        name: column.name.clone(),
        data_type: column.data_type.clone().unwrap_or_else(|| "VARCHAR".to_owned()),
    };
    columns.iter().map(with_type).collect()
}

/// What is known before the first object: what earlier loads saw, and what is declared. A declared type wins.
pub(super) fn known_columns(
    conn: &Connection,
    source: &SourceTable,
    stored: Vec<SourceColumn>,
) -> Result<Known> {
    let seen = if stored.is_empty() { Seen::Never } else { Seen::Before };
    let mut columns: Vec<KnownColumn> = stored
        .into_iter()
        .map(|column| KnownColumn { name: column.name, data_type: Some(column.data_type) })
        .collect();
    for declared in &source.columns {
        let data_type = match &declared.data_type {
            None => None,
            Some(written) => Some(
                table::canonical_type(conn, &written.value)
                    .map_err(|text| Diagnostic::error("unknown-type", text).at(&written.at, ""))?,
            ),
        };
        match columns.iter_mut().find(|known| super::drift::same(&known.name, &declared.name)) {
            Some(known) => known.data_type = data_type.or_else(|| known.data_type.take()),
            None => columns.push(KnownColumn { name: declared.name.clone(), data_type }),
        }
    }
    Ok(Known { columns, seen })
}
