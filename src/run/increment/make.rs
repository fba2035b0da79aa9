//! Making a version: the new rows, what they replace, and the view that shows both while it is audited.

use crate::diagnostic::Diagnostic;
use crate::engine::increment::shape::{Change, Shape, find};
use crate::engine::increment::{
    Replaces, VERSION_COLUMN, columns_of, delta_of, keep_undo, newest_view, quoted, rows_of, undo_of,
    waiting_view, whole,
};
use crate::engine::session::{ColumnType, Session};
use crate::engine::state::increment::{Increment, IntervalRow, Presence, record, record_intervals};
use crate::engine::state::now;
use crate::manifest::{Incremental, Strategy, Updates};
use crate::sql::history::TIME_VARIABLE;
use crate::sql::quote::{identifier, identifiers, literal};
use crate::template::Window;
use crate::workspace::Workspace;

use super::fill::Filled;
use super::{Base, Growth, Step, with_base};
use crate::interval::{to_text, without};
use crate::run::build::{Failure, Job, Made, run_model};
use crate::run::candidate::{Bound, Candidates, Reading, bind};
use crate::run::event::RowChange;
use crate::run::schedule::SMALL_ROWS;

/// Builds a version, in the transaction that records it. Gives what its view reads.
pub(in crate::run) fn make(
    workspace: &Workspace,
    session: &Session,
    run_id: &str,
    job: &Job<'_>,
    candidates: &Candidates,
    filled: Option<&Filled>,
) -> Result<(Made, Vec<String>), Failure> {
    let making = Making::of(workspace, session, run_id, job)?;
    match &making.growth.step {
        Step::Whole | Step::Nothing => making.whole(candidates, filled),
        Step::Onto(base) => making.delta(base, Place::Table, candidates, filled),
        Step::Copy(base) => making.delta(base, Place::Copy, candidates, filled),
    }
}

/// Fills the table of a version that is built by intervals, before the transaction that records it.
pub(in crate::run) fn fill(
    workspace: &Workspace,
    session: &Session,
    run_id: &str,
    job: &Job<'_>,
    candidates: &Candidates,
) -> Result<Option<Filled>, Failure> {
    Making::of(workspace, session, run_id, job)?.fill(workspace, candidates)
}

/// Where new rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Into the table that is there.
    Table,
    /// Into a copy of it.
    Copy,
}

pub(super) struct Making<'a> {
    pub session: &'a Session,
    pub job: &'a Job<'a>,
    pub config: &'a Incremental,
    pub growth: &'a Growth,
    pub run_id: &'a str,
    pub target: &'a str,
}

impl<'a> Making<'a> {
    fn of(
        workspace: &'a Workspace,
        session: &'a Session,
        run_id: &'a str,
        job: &'a Job<'a>,
    ) -> Result<Self, Failure> {
        let (Some(growth), Some(config)) = (&job.decision.growth, &job.node.config.incremental) else {
            let bug = format!("`{}` is incremental and nobody decided how it grows", job.node.name);
            return Err(Failure::Node(Box::new(Diagnostic::error("bug", bug).at(&job.node.at, ""))));
        };
        if job.node.config.snapshot.is_some() {
            // One time for all rows that this run writes.
            let time = literal(&now());
            session.execute(&format!("SET VARIABLE {TIME_VARIABLE} = CAST({time} AS TIMESTAMP)"))?;
        }
        Ok(Self { session, job, config, growth, run_id, target: &workspace.target.name })
    }

    pub fn relation(&self) -> &str {
        &self.job.decision.relation
    }

    fn whole(
        &self,
        candidates: &Candidates,
        filled: Option<&Filled>,
    ) -> Result<(Made, Vec<String>), Failure> {
        let table = rows_of(self.relation());
        let rows = match filled {
            Some(filled) => filled.rows,
            None => {
                let bound = bind(&self.job.decision.rendered, candidates, Reading::Now);
                let (prefix, suffix) = whole(&table);
                run_model(self.session, self.job, &prefix, &bound, suffix)?
            }
        };
        let columns = columns_of(self.session, &table)?;
        self.check_columns(&columns)?;
        self.session.execute(&newest_view(self.relation(), &table, &columns))?;
        self.record(&table, Some(1), None, None, RowChange { added: rows, replaced: 0 }, filled)?;
        Ok((Made { failed: self.failed(filled), ..Made::of(Some(rows)) }, vec![table]))
    }

    fn delta(
        &self,
        base: &Base,
        place: Place,
        candidates: &Candidates,
        filled: Option<&Filled>,
    ) -> Result<(Made, Vec<String>), Failure> {
        let session = self.session;
        if base.rows.is_none_or(|rows| rows > SMALL_ROWS) {
            session.widen()?;
        }
        let there = columns_of(session, &base.increment.relation)?;
        let delta = delta_of(self.relation());
        let (shape, added) = match filled {
            Some(filled) => (self.shape(&there, &filled.new)?, filled.rows),
            None => {
                let own = with_base(self.job.node, &base.increment, candidates);
                let bound = bind(&self.job.decision.rendered, &own, Reading::Now);
                let new = session.describe(&bound.sql).map_err(|error| self.told(error, &bound))?;
                self.check_columns(&new)?;
                let shape = self.shape(&there, &new)?;
                let added = self.new_rows(&bound, &new, &there, &shape, &base.increment.relation)?;
                (shape, added)
            }
        };
        if shape.change == Change::Same
            && added == 0
            && self.may_stand(filled)
            && self.count_replaced(&base.increment.relation)? == 0
        {
            return self.stand(base, place, filled);
        }
        if place == Place::Copy || shape.change == Change::Other {
            return self.copy(base, &there, &shape, added, filled);
        }
        let replaces = &self.growth.replaces;
        let undo = undo_of(self.relation());
        let is_newest = base.increment.version == Some(base.head);
        let keep = keep_undo(&undo, &base.increment.table, &delta, replaces).filter(|_| is_newest);
        let replaced = match keep {
            Some(sql) => session.execute_counted(&sql).map_err(|error| self.narrowing(error))?,
            None => self.count_replaced(&base.increment.relation)?,
        };
        if is_newest
            && self.may_stand(filled)
            && self.brings_the_same(&there, RowChange { added, replaced })?
        {
            return self.stand(base, place, filled);
        }
        let mut reads = vec![base.increment.relation.clone(), delta.clone()];
        if is_newest {
            match replaced {
                0 => session.execute(&format!("DROP TABLE IF EXISTS {}", quoted(&undo)))?,
                _ => reads.push(undo.clone()),
            }
        }
        // Without anything to replace the view needs no join.
        let replacing = if replaced == 0 { &Replaces::Nothing } else { replaces };
        let view = waiting_view(self.relation(), &base.increment.relation, &delta, &shape.columns, replacing);
        session.execute(&view).map_err(|error| self.narrowing(error))?;
        let change = RowChange { added, replaced };
        self.record(
            &base.increment.table,
            None,
            Some(&base.increment.relation),
            Some(&delta),
            change,
            filled,
        )?;
        let rows = self.rows_before(base)?.saturating_sub(replaced) + added;
        Ok((Made { change: Some(change), failed: self.failed(filled), ..Made::of(Some(rows)) }, reads))
    }

    /// Builds the table of the new rows, in the shape that they will have.
    fn new_rows(
        &self,
        bound: &Bound,
        new: &[ColumnType],
        there: &[ColumnType],
        shape: &Shape,
        base: &str,
    ) -> Result<u64, Failure> {
        let delta = delta_of(self.relation());
        let missing = shape.columns.iter().any(|column| find(new, &column.name).is_none());
        let is_partial =
            self.config.strategy == Strategy::Merge && (missing || self.config.updates != Updates::All);
        if !is_partial {
            let (prefix, suffix) = create(&delta, shape, new);
            let added = run_model(self.session, self.job, &prefix, bound, suffix);
            let added = added.map_err(|failure| self.retyped(failure, there, new))?;
            self.check_keys(&delta)?;
            return Ok(added);
        }
        let found = format!("{}__found", self.relation());
        let given: Vec<ColumnType> =
            shape.columns.iter().filter(|column| find(new, &column.name).is_some()).cloned().collect();
        let (prefix, suffix) = create(&found, &Shape { columns: given.clone(), change: Change::Same }, new);
        let filled = run_model(self.session, self.job, &prefix, bound, suffix);
        filled.map_err(|failure| self.retyped(failure, there, new))?;
        self.check_keys(&found)?;
        let merged = self.merged(&delta, &found, &given, there, shape, base);
        let added = self.session.execute_counted(&merged).map_err(|error| self.narrowing(error))?;
        self.session.execute(&format!("DROP TABLE {}", quoted(&found)))?;
        Ok(added)
    }

    /// The statement that fills what a merge does not change from the rows that are there.
    fn merged(
        &self,
        delta: &str,
        found: &str,
        given: &[ColumnType],
        there: &[ColumnType],
        shape: &Shape,
        base: &str,
    ) -> String {
        let has = |names: &[String], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let is_key = |name: &str| has(&self.config.unique_key, name);
        let changes = |name: &str| match &self.config.updates {
            Updates::All => true,
            Updates::Only(names) => is_key(name) || has(names, name),
            Updates::Except(names) => is_key(name) || !has(names, name),
        };
        let columns = shape.columns.iter().map(|column| {
            let name = identifier(&column.name);
            let old = match find(there, &column.name) {
                Some(_) => format!("CAST(DBT_INTERNAL_DEST.{name} AS {})", column.data_type),
                None => "NULL".to_owned(),
            };
            match find(given, &column.name) {
                Some(_) if changes(&column.name) => format!("DBT_INTERNAL_SOURCE.{name} AS {name}"),
                Some(_) => format!(
                    "CASE WHEN DBT_INTERNAL_DEST.\"_kiln_matched\" THEN {old} ELSE DBT_INTERNAL_SOURCE.{name} END AS {name}"
                ),
                None => format!("{old} AS {name}"),
            }
        });
        let columns: Vec<String> = columns.collect();
        let equal = self.config.unique_key.iter().map(|key| {
            let key = identifier(key);
            format!("DBT_INTERNAL_DEST.{key} = DBT_INTERNAL_SOURCE.{key}")
        });
        let narrowed = self.config.predicates.iter().map(|predicate| format!("(\n{predicate}\n)"));
        let matched: Vec<String> = equal.chain(narrowed).collect();
        format!(
            "CREATE OR REPLACE TABLE {} AS SELECT {} FROM {} AS DBT_INTERNAL_SOURCE LEFT JOIN \
             (SELECT *, TRUE AS \"_kiln_matched\" FROM {}) AS DBT_INTERNAL_DEST ON {}",
            quoted(delta),
            columns.join(", "),
            quoted(found),
            quoted(base),
            matched.join(" AND ")
        )
    }

    /// Makes a table of its own from the rows of the version before and the new ones.
    fn copy(
        &self,
        base: &Base,
        there: &[ColumnType],
        shape: &Shape,
        added: u64,
        filled: Option<&Filled>,
    ) -> Result<(Made, Vec<String>), Failure> {
        let session = self.session;
        let (table, delta) = (rows_of(self.relation()), delta_of(self.relation()));
        let kept = self.growth.replaces.kept(&quoted(&base.increment.relation), &quoted(&delta), "*");
        let version = identifier(VERSION_COLUMN);
        let columns = identifiers(shape.columns.iter().map(|column| &column.name));
        let rows = session.execute_counted(&format!(
            "CREATE OR REPLACE TABLE {} AS SELECT {}, 1::BIGINT AS {version} FROM ({kept}\n)\n\
             UNION ALL SELECT {columns}, 1::BIGINT FROM {}",
            quoted(&table),
            shape.select(there),
            quoted(&delta)
        ));
        let rows = rows.map_err(|error| self.not_copied(error))?;
        session.execute(&format!("DROP TABLE {}", quoted(&delta)))?;
        session.execute(&newest_view(self.relation(), &table, &shape.columns))?;
        let replaced = (self.rows_before(base)? + added).saturating_sub(rows);
        let change = RowChange { added, replaced };
        self.record(&table, Some(1), Some(&base.increment.relation), None, change, filled)?;
        Ok((Made { change: Some(change), failed: self.failed(filled), ..Made::of(Some(rows)) }, vec![table]))
    }

    pub(super) fn rows_before(&self, base: &Base) -> Result<u64, Failure> {
        match base.rows {
            Some(rows) => Ok(rows),
            None => {
                let sql = format!("SELECT count(*) FROM {}", quoted(&base.increment.relation));
                Ok(self.session.count(&sql)?.max(0) as u64)
            }
        }
    }

    fn count_replaced(&self, base: &str) -> Result<u64, Failure> {
        let delta = quoted(&delta_of(self.relation()));
        match self.growth.replaces.replaced(&quoted(base), &delta, "1") {
            Some(query) => {
                Ok(self.session.count(&format!("SELECT count(*) FROM ({query}\n)"))?.max(0) as u64)
            }
            None => Ok(0),
        }
    }

    fn record(
        &self,
        table: &str,
        version: Option<i64>,
        base: Option<&str>,
        delta: Option<&str>,
        change: RowChange,
        filled: Option<&Filled>,
    ) -> Result<(), Failure> {
        let (built, covered, failed) = self.windows(filled);
        let increment = Increment {
            relation: self.relation().to_owned(),
            fingerprint: self.job.decision.fingerprint.clone(),
            model: self.job.node.name.clone(),
            target: self.target.to_owned(),
            table: table.to_owned(),
            version,
            base: base.map(str::to_owned),
            definition: self.job.decision.definition.clone(),
            inputs: self.growth.inputs.clone(),
            delta: delta.map(str::to_owned),
            undo: None,
            added: change.added,
            replaced: change.replaced,
            presence: Presence::There,
            parents: self.growth.parents.clone(),
            built: to_text(&built),
            covered: to_text(&covered),
            failed: to_text(&failed),
            settled: Vec::new(),
        };
        record(self.session, &increment, self.run_id)?;
        self.record_intervals(&increment, filled)
    }

    /// Writes into the ledger what came of the intervals.
    pub(super) fn record_intervals(
        &self,
        increment: &Increment,
        filled: Option<&Filled>,
    ) -> Result<(), Failure> {
        let Some(filled) = filled else { return Ok(()) };
        let row = |window: &Window, outcome| IntervalRow {
            start: window.start.clone(),
            end: window.end.clone(),
            outcome,
        };
        let built = filled.built.iter().map(|(window, rows)| row(window, Ok(*rows)));
        let failed = filled.failed.iter().map(|(window, problem)| row(window, Err(problem.message.clone())));
        let rows: Vec<IntervalRow> = built.chain(failed).collect();
        Ok(record_intervals(self.session, increment, &rows, self.run_id)?)
    }

    /// The intervals that were built, all that the table holds, and those that failed.
    fn windows(&self, filled: Option<&Filled>) -> (Vec<Window>, Vec<Window>, Vec<Window>) {
        let (Some(filled), Some(intervals)) = (filled, &self.growth.intervals) else {
            return Default::default();
        };
        let failed: Vec<Window> = filled.failed.iter().map(|(window, _)| window.clone()).collect();
        let built = intervals.built.iter().filter(|window| !failed.contains(window)).cloned().collect();
        let covered = intervals.covered.iter().flat_map(|window| without(window, &failed)).collect();
        (built, covered, failed)
    }
}

/// The statement around a query that makes a table of a shape.
fn create(table: &str, shape: &Shape, new: &[ColumnType]) -> (String, &'static str) {
    let table = quoted(table);
    match shape.columns == new {
        true => (format!("CREATE OR REPLACE TABLE {table} AS "), ""),
        false => (format!("CREATE OR REPLACE TABLE {table} AS SELECT {} FROM (\n", shape.select(new)), "\n)"),
    }
}
