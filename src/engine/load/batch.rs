//! Batches: some objects, read and committed in one transaction. What fails in one is narrowed down to the objects that
//! cause it; the others are committed.

use std::collections::HashSet;

use duckdb::Connection;

use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::manifest::OnBadRows;
use crate::sql::quote::{identifier, literal};

use super::drift::{Difference, Known, Seen, Shape};
use super::scan::{Context, Grouping, Trouble, Unit};
use super::shapes::{Shapes, complete, drift, known_columns, typed};
use super::{
    Failed, LoadPlan, LoadReport, LoadedObject, Note, PendingObject, Progress, Reason, SourceColumn, Stamp,
    csv, database, json, ledger, options, parquet, swallowed, table,
};

/// One transaction holds at most this many bytes of files, unless one file is larger, and this many files.
const BATCH_BYTES: u64 = 512 << 20;
const BATCH_OBJECTS: usize = 2_000;
/// Names and numbers of the objects of the transaction.
const OBJECTS: &str = "temp.main._kiln_objects";

/// Loads batch after batch.
pub(super) struct Loader<'a> {
    plan: &'a LoadPlan<'a>,
    context: Context<'a>,
    known: Known,
    next_batch: i64,
    /// Microseconds since 1970 of the next object.
    next_time: i64,
    report: LoadReport,
}

impl<'a> Loader<'a> {
    pub fn new(conn: &'a Connection, plan: &'a LoadPlan<'a>) -> Result<Self> {
        ledger::create_ledger(conn)?;
        let Some(files) = &plan.source.files else {
            return Err(Error::Bug(format!("`{}` has no files to load", plan.source.id)));
        };
        let options = options::read(conn, plan.source)?;
        let last = ledger::last_load(conn, &plan.model.id)?;
        let known = known_columns(conn, plan.source, last.columns)?;
        let relation = &plan.model.relation;
        let table = table::columns(conn, relation).map_err(|error| database("read the catalog", &error))?;
        if last.rows > 0 && table.is_empty() {
            let text = format!(
                "`{}` is gone, and the ledger says that {} rows are in it",
                relation.plain(),
                last.rows
            );
            return Err(Error::machine(text).hint("load it again with `kiln run --reload`"));
        }
        let now = plan.loaded_at.as_microsecond();
        Ok(Self {
            plan,
            context: Context {
                conn,
                source: plan.source,
                files,
                options,
                exact: HashSet::new(),
                known: Vec::new(),
            },
            known,
            next_batch: last.batch_id + 1,
            // A clock that was set back must not make new rows the older ones.
            next_time: now.max(last.loaded_at_us.saturating_add(1)),
            report: LoadReport::default(),
        })
    }

    pub fn run(
        mut self,
        pending: &[PendingObject],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<LoadReport> {
        let mut pending: Vec<&PendingObject> = pending.iter().collect();
        pending.sort_by(|a, b| a.object.name.cmp(&b.object.name));
        if pending.is_empty() {
            // Nothing new, but the table is there for whoever reads it, if its columns are known.
            self.batch(&[])?;
        }
        let total: u64 = pending.iter().map(|object| object.object.size).sum();
        let (mut objects, mut bytes) = (0, 0);
        for batch in batches(&pending) {
            self.batch(batch)?;
            objects += batch.len();
            bytes += batch.iter().map(|object| object.object.size).sum::<u64>();
            progress(Progress { objects, of_objects: pending.len(), bytes, of_bytes: total });
        }
        self.report.failed.sort_by(|a, b| a.object.cmp(&b.object));
        self.report.columns = typed(&self.known.columns);
        let columns = table::columns(self.context.conn, &self.plan.model.relation);
        self.report.table_exists = !columns.map_err(|error| database("read the catalog", &error))?.is_empty();
        Ok(self.report)
    }

    /// Loads a batch; what fails is narrowed down by halves, so a thousand files with one bad one take ten
    /// transactions more.
    fn batch(&mut self, objects: &[&PendingObject]) -> Result<()> {
        let failed = match self.attempt(objects)? {
            Ok(()) => return Ok(()),
            Err(Failure::Objects(failed)) => failed,
            Err(Failure::Again) => return self.batch(objects),
            Err(Failure::Statement(text)) => {
                if let [object] = objects {
                    let invalid = text.contains("strict_mode");
                    let reason = match invalid {
                        true => "its line ends are mixed, or a quote is out of place".to_owned(),
                        false => csv::reason_of(&text, &object.object),
                    };
                    let help =
                        invalid.then(|| "mend it, or add `strict_mode: false` to its `options`".to_owned());
                    self.report.failed.push(Failed { object: object.object.name.clone(), reason, help });
                    return Ok(());
                }
                let (left, right) = objects.split_at(objects.len() / 2);
                self.batch(left)?;
                return self.batch(right);
            }
        };
        let names: HashSet<&str> = failed.iter().map(|failed| failed.object.as_str()).collect();
        let rest: Vec<&PendingObject> =
            objects.iter().filter(|object| !names.contains(object.object.name.as_str())).copied().collect();
        if rest.len() == objects.len() {
            return Err(Error::Bug("a load failed without saying which object".into()));
        }
        self.report.failed.extend(failed);
        if rest.is_empty() { Ok(()) } else { self.batch(&rest) }
    }

    /// One transaction: all of the objects or nothing.
    fn attempt(&mut self, objects: &[&PendingObject]) -> Result<Result<(), Failure>> {
        let conn = self.context.conn;
        let trouble = match self.transaction(objects) {
            Ok((known, loaded)) => match conn.execute_batch("COMMIT") {
                Ok(()) => {
                    self.read_back(&loaded)?;
                    self.next_batch += i64::try_from(objects.len()).unwrap_or(i64::MAX);
                    self.next_time += i64::try_from(objects.len()).unwrap_or(i64::MAX);
                    self.known = known;
                    self.report.objects.extend(loaded);
                    return Ok(Ok(()));
                }
                Err(error) => Trouble::Fatal(database("commit a load", &error)),
            },
            Err(trouble) => trouble,
        };
        // The statement's error is the one to tell; where no transaction is open there is nothing to roll back.
        let _ = conn.execute_batch("ROLLBACK");
        match trouble {
            Trouble::Fatal(error) => Err(error),
            Trouble::Objects(failed) => Ok(Err(Failure::Objects(failed))),
            Trouble::Exact(names) => {
                self.context.exact.extend(names);
                Ok(Err(Failure::Again))
            }
            Trouble::Statement(text) if objects.is_empty() => Err(Error::machine(super::first_lines(&text))),
            Trouble::Statement(text) => Ok(Err(Failure::Statement(text))),
        }
    }

    /// COMMIT on an aborted transaction returns success, so the ledger has the last word.
    fn read_back(&self, loaded: &[LoadedObject]) -> Result<()> {
        let (Some(first), Some(last)) = (loaded.first(), loaded.last()) else { return Ok(()) };
        let sql = "SELECT count(*) FROM _kiln.load WHERE model = ? AND batch_id BETWEEN ? AND ?";
        let parameters = duckdb::params![self.plan.model.id.short(), first.batch_id, last.batch_id];
        let count: i64 = self
            .context
            .conn
            .query_row(sql, parameters, |row| row.get(0))
            .map_err(|error| database("read the ledger", &error))?;
        match usize::try_from(count) == Ok(loaded.len()) {
            true => Ok(()),
            false => Err(Error::machine(format!("the load of `{}` was not committed", self.plan.model.name))),
        }
    }

    fn transaction(&mut self, objects: &[&PendingObject]) -> Result<(Known, Vec<LoadedObject>), Trouble> {
        let conn = self.context.conn;
        self.context.known = self.known.columns.iter().map(|column| column.name.clone()).collect();
        let shapes = Shapes::of(&self.context, objects)?;
        let mut known = self.known.clone();
        let differences = drift(&self.context, &mut known, objects, &shapes.each())?;
        complete(&self.context, &mut known, objects, &shapes)?;
        let columns = typed(&known.columns);

        let mut loaded: Vec<LoadedObject> = objects
            .iter()
            .zip(&differences)
            .zip(shapes.each())
            .zip(self.next_batch..)
            .map(|(((object, difference), shape), batch_id)| LoadedObject {
                object: object.object.name.clone(),
                rows: 0,
                rejected: 0,
                batch_id,
                notes: notes(object, difference, shape, &known),
            })
            .collect();
        // Files are read for their shapes before this: a statement that fails aborts the transaction that it is in.
        conn.execute_batch("BEGIN").map_err(|error| database("begin", &error))?;
        if !columns.is_empty() {
            let outputs = self.model_outputs(&columns)?;
            table::ensure(conn, &self.plan.model.relation, &outputs)?;
            table::ensure_rejected(conn, &self.plan.model.relation).map_err(Trouble::statement)?;
            if !objects.is_empty() {
                self.number(objects).map_err(Trouble::statement)?;
                self.insert(objects, &shapes, &columns, &outputs)?;
                self.count(&mut loaded)?;
                if let Shapes::Csv(shapes) = &shapes {
                    let relation = &self.plan.model.relation;
                    swallowed::note(conn, relation, shapes, &outputs, &mut loaded)
                        .map_err(Trouble::statement)?;
                }
                self.none_swallowed(objects, &shapes, &loaded)?;
            }
            let view = identifier(&self.plan.source.relation.name);
            let clean = format!(
                "DROP VIEW IF EXISTS temp.main.{view}; DROP TABLE IF EXISTS {OBJECTS}; DROP TABLE IF EXISTS temp.main._kiln_json;"
            );
            conn.execute_batch(&clean).map_err(Trouble::statement)?;
        }
        unchanged(objects)?;
        let time = self.next_time;
        // Until an object had columns, the first that has some still decides.
        let stored = if known.seen == Seen::Never { &[] } else { columns.as_slice() };
        ledger::insert(conn, self.plan, objects, &loaded, stored, time).map_err(Trouble::statement)?;
        Ok((known, loaded))
    }

    /// The columns that the model gives, bound over no rows. The model must not depend on what is in the files.
    fn model_outputs(&self, columns: &[SourceColumn]) -> Result<Vec<SourceColumn>> {
        let empty: Vec<String> = columns
            .iter()
            .map(|column| format!("CAST(NULL AS {}) AS {}", column.data_type, identifier(&column.name)))
            .collect();
        let select = format!("SELECT {}, NULL::VARCHAR AS _source_object WHERE false", empty.join(", "));
        let bind = || {
            self.stage(&select)?;
            table::describe(self.context.conn, &self.model_sql())
        };
        let outputs = bind().map_err(|error| {
            let text = super::text_of(&error);
            let text = super::first_lines(&text).to_owned();
            Diagnostic::error(
                "raw-model",
                format!("`{}` cannot be run over its source: {text}", self.plan.model.name),
            )
            .at(&self.plan.model.at, "")
        })?;
        for (name, _) in super::OWN_COLUMNS.iter().take(2) {
            if outputs.iter().any(|column| super::drift::same(&column.name, name)) {
                let text =
                    format!("`{}` gives a column `{name}`, which kiln adds itself", self.plan.model.name);
                return Err(Diagnostic::error("raw-model", text).at(&self.plan.model.at, "").into());
            }
        }
        Ok(outputs)
    }

    /// Puts the new rows where the model finds them, under the source's own name, so that a column may be
    /// qualified with it.
    fn stage(&self, select: &str) -> duckdb::Result<()> {
        let view = identifier(&self.plan.source.relation.name);
        self.context.conn.execute_batch(&format!("CREATE OR REPLACE TEMP VIEW {view} AS {select}"))
    }

    fn model_sql(&self) -> String {
        let view = format!("temp.main.{}", identifier(&self.plan.source.relation.name));
        let source = &self.plan.source.id;
        let sql = self.plan.sql.with_relations(|node| (node == source).then(|| view.clone()));
        // A comment may end the last line.
        format!("(\n{}\n)", sql.trim_end().trim_end_matches(';'))
    }

    /// The objects of the transaction with their numbers and times.
    fn number(&self, objects: &[&PendingObject]) -> duckdb::Result<()> {
        let rows: Vec<String> = objects
            .iter()
            .zip(0_i64..)
            .map(|(object, index)| {
                format!(
                    "({}, {}, {}, {})",
                    literal(&object.object.path.to_string_lossy()),
                    literal(&object.object.name),
                    self.next_batch + index,
                    self.next_time + index
                )
            })
            .collect();
        self.context.conn.execute_batch(&format!(
            "CREATE OR REPLACE TEMP TABLE _kiln_objects AS \
             SELECT path, object, batch_id::BIGINT AS batch_id, make_timestamp(time::BIGINT) AS loaded_at \
             FROM (VALUES {}) t(path, object, batch_id, time)",
            rows.join(", ")
        ))
    }

    fn insert(
        &self,
        objects: &[&PendingObject],
        shapes: &Shapes,
        columns: &[SourceColumn],
        outputs: &[SourceColumn],
    ) -> Result<(), Trouble> {
        let conn = self.context.conn;
        let passes = outputs.iter().any(|column| super::drift::same(&column.name, "_source_object"));
        let grouping = if passes { Grouping::Together } else { Grouping::Apart };
        let units = match shapes {
            Shapes::Csv(shapes) => csv::units(&self.context, objects, shapes, columns, grouping),
            Shapes::Json(shapes) => json::units(objects, shapes, columns, grouping),
            Shapes::Parquet(shapes) => parquet::units(&self.context, objects, shapes, columns, grouping),
        };
        let relation = &self.plan.model.relation;
        for unit in units {
            self.stage(&format!(
                "SELECT u.* EXCLUDE (_kiln_path), o.object AS _source_object FROM ({}) u JOIN {OBJECTS} o ON o.path = u._kiln_path",
                unit.select
            ))
            .map_err(Trouble::statement)?;
            let model = self.model_sql();
            let sql = match grouping {
                Grouping::Together => format!(
                    "INSERT INTO {relation} BY NAME SELECT q.*, o.loaded_at AS _loaded_at, o.batch_id AS _batch_id \
                     FROM {model} q JOIN {OBJECTS} o ON o.object = q._source_object"
                ),
                Grouping::Apart => format!(
                    "INSERT INTO {relation} BY NAME SELECT q.*, o.loaded_at AS _loaded_at, o.batch_id AS _batch_id, \
                     o.object AS _source_object FROM {model} q, {OBJECTS} o WHERE o.object = {}",
                    literal(&objects[unit.objects[0]].object.name)
                ),
            };
            conn.execute_batch(&sql).map_err(Trouble::statement)?;
            if !unit.check.is_empty() {
                self.check(objects, &unit)?;
            }
            if !unit.rejects.is_empty() {
                self.reject(&unit)?;
            }
            conn.execute_batch(&unit.clean_up).map_err(Trouble::statement)?;
        }
        Ok(())
    }

    /// Looks for what the reader took although it should not have.
    fn check(&self, objects: &[&PendingObject], unit: &Unit) -> Result<(), Trouble> {
        let read = || -> duckdb::Result<HashSet<String>> {
            let mut statement = self.context.conn.prepare(&unit.check)?;
            let paths = statement.query_map([], |row| row.get::<_, String>(0))?;
            paths.collect()
        };
        let paths = read().map_err(Trouble::statement)?;
        let found = unit.objects.iter().map(|index| &objects[*index].object);
        let found = found.filter(|object| paths.contains(object.path.to_string_lossy().as_ref()));
        let names: Vec<String> = found.map(|object| object.name.clone()).collect();
        match (paths.is_empty(), names.is_empty()) {
            (true, _) => Ok(()),
            (false, false) => Err(Trouble::Exact(names)),
            (false, true) => Err(Trouble::Fatal(Error::Bug("a file was read that is in no batch".into()))),
        }
    }

    /// Moves what did not fit into quarantine, or fails the objects that hold it.
    fn reject(&self, unit: &Unit) -> Result<(), Trouble> {
        let conn = self.context.conn;
        let quarantine = self.context.files.on_bad_rows == OnBadRows::Quarantine;
        let sql = format!(
            "SELECT o.object, arg_min(r.line, r.line), arg_min(r.reason, coalesce(r.line, 0)), bool_or(r.not_utf8), count(*) \
             FROM ({}) r JOIN {OBJECTS} o ON o.path = r.path {} GROUP BY o.object ORDER BY o.object",
            unit.rejects,
            if quarantine { "WHERE r.not_utf8" } else { "" },
        );
        let read = || -> duckdb::Result<Vec<Failed>> {
            let mut statement = conn.prepare(&sql)?;
            let rows = statement.query_map([], |row| {
                let (line, reason, encoding): (Option<i64>, String, bool) =
                    (row.get(1)?, row.get(2)?, row.get(3)?);
                let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
                Ok(match encoding {
                    true => Failed {
                        object: row.get(0)?,
                        reason: format!("{line}it is not UTF-8"),
                        help: Some("add `encoding: latin-1` (or what it is) to its `options`".into()),
                    },
                    false => Failed {
                        object: row.get(0)?,
                        reason: format!("{line}{reason}"),
                        help: Some("set `on_bad_rows: quarantine` to load the other rows".into()),
                    },
                })
            })?;
            rows.collect()
        };
        let failed = read().map_err(Trouble::statement)?;
        if !failed.is_empty() {
            return Err(Trouble::Objects(failed));
        }
        let sql = format!(
            "INSERT INTO {} BY NAME SELECT o.object AS _source_object, r.line AS _line, r.\"column\" AS _column, \
             r.reason AS _reason, r.raw AS _raw, o.batch_id AS _batch_id, o.loaded_at AS _loaded_at \
             FROM ({}) r JOIN {OBJECTS} o ON o.path = r.path ORDER BY o.batch_id, r.line",
            table::rejected(&self.plan.model.relation),
            unit.rejects
        );
        conn.execute_batch(&sql).map_err(Trouble::statement)
    }

    /// Looks again at CSV objects that gave nothing at all.
    fn none_swallowed(
        &self,
        objects: &[&PendingObject],
        shapes: &Shapes,
        loaded: &[LoadedObject],
    ) -> Result<(), Trouble> {
        let Shapes::Csv(shapes) = shapes else { return Ok(()) };
        let mut failed = Vec::new();
        for ((object, shape), loaded) in objects.iter().zip(shapes).zip(loaded) {
            if loaded.rows == 0 && loaded.rejected == 0 {
                failed.extend(csv::read_nothing(&self.context, object, shape).map_err(Trouble::statement)?);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Trouble::Objects(failed)) }
    }

    /// Counts what each object gave.
    fn count(&self, loaded: &mut [LoadedObject]) -> Result<(), Trouble> {
        let (Some(first), Some(last)) = (loaded.first(), loaded.last()) else { return Ok(()) };
        let (first, last) = (first.batch_id, last.batch_id);
        let relation = &self.plan.model.relation;
        let sql = format!(
            "SELECT _batch_id, count(*), 0, NULL FROM {relation} WHERE _batch_id BETWEEN {first} AND {last} GROUP BY ALL \
             UNION ALL SELECT _batch_id, 0, count(*), arg_min(coalesce('line ' || _line || ': ', '') || _reason, coalesce(_line, 0)) \
             FROM {} WHERE _batch_id BETWEEN {first} AND {last} GROUP BY _batch_id",
            table::rejected(relation)
        );
        let read = || -> duckdb::Result<()> {
            let mut statement = self.context.conn.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (batch, count, rejected): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let Some(object) = usize::try_from(batch - first).ok().and_then(|at| loaded.get_mut(at))
                else {
                    continue;
                };
                object.rows += count.unsigned_abs();
                object.rejected += rejected.unsigned_abs();
                if let Some(first) = row.get::<_, Option<String>>(3)? {
                    object.notes.push(Note::Quarantined { rows: rejected.unsigned_abs(), first });
                }
            }
            Ok(())
        };
        let mut read = read;
        read().map_err(Trouble::statement)?;
        // Two files without a row are no copies.
        for object in loaded.iter_mut().filter(|object| object.rows == 0) {
            object.notes.retain(|note| !matches!(note, Note::CopyOf { .. }));
        }
        Ok(())
    }
}

/// Why an attempt was given up, when another one makes sense.
enum Failure {
    Objects(Vec<Failed>),
    Statement(String),
    Again,
}

/// Cuts the objects into batches.
fn batches<'a, 'b>(pending: &'b [&'a PendingObject]) -> Vec<&'b [&'a PendingObject]> {
    let mut all = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, object) in pending.iter().enumerate() {
        let full = bytes + object.object.size > BATCH_BYTES || index - start >= BATCH_OBJECTS;
        if full && index > start {
            all.push(&pending[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += object.object.size;
    }
    if start < pending.len() {
        all.push(&pending[start..]);
    }
    all
}

/// Objects must be what they were when they were hashed.
fn unchanged(objects: &[&PendingObject]) -> Result<(), Trouble> {
    let now =
        |object: &PendingObject| std::fs::metadata(&object.object.path).map(|metadata| Stamp::of(&metadata));
    let failed: Vec<Failed> = objects
        .iter()
        .filter(|object| now(object).ok().as_ref() != Some(&object.object.stamp))
        .map(|object| Failed {
            object: object.object.name.clone(),
            reason: "it changed while it was read".into(),
            help: Some("write files under another name and rename them when they are complete".into()),
        })
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(Trouble::Objects(failed)) }
}

/// What there is to say about an object before its rows are read.
fn notes(object: &PendingObject, difference: &Difference, shape: &Shape, known: &Known) -> Vec<Note> {
    let mut notes = Vec::new();
    match &object.reason {
        Reason::Changed { previous, same_as } => {
            notes.push(Note::ChangedContent { previous_batch: *previous, same_as: *same_as });
        }
        Reason::New { copy_of: Some(other) } => notes.push(Note::CopyOf { object: other.clone() }),
        Reason::New { copy_of: None } => {}
    }
    if *shape == Shape::Empty {
        notes.push(Note::Empty);
    }
    let data_type =
        |name: &str| known.find(name).and_then(|column| column.data_type.clone()).unwrap_or_default();
    let new = difference.new.iter();
    notes.extend(new.map(|name| Note::NewColumn { column: name.clone(), data_type: data_type(name) }));
    if !difference.ignored.is_empty() {
        notes.push(Note::IgnoredColumns { columns: difference.ignored.clone() });
    }
    if !difference.missing.is_empty() {
        notes.push(Note::MissingColumns { columns: difference.missing.clone() });
    }
    notes
}
