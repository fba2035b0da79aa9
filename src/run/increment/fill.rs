//! Filling: the rows of a model's intervals, one interval after the other into one table.
//!
//! Each interval has a query of its own, whatever the number of intervals, so that the result does not depend on how many
//! a run does. What the model reads of parents with an `event_time` is the interval's part of them, as in dbt. The table
//! is filled outside of the transaction that records it, since DuckDB gives a transaction up at the first row that does
//! not fit, and an interval that fails shall not take the others along.

use crate::diagnostic::Diagnostic;
use crate::engine::increment::shape::Shape;
use crate::engine::increment::{Replaces, VERSION_COLUMN, columns_of, delta_of, quoted, rows_of};
use crate::engine::session::{ColumnType, SqlError};
use crate::manifest::{Dependency, Interval, Node, NodeKind, Strategy};
use crate::run::build::{Failure, explain};
use crate::run::candidate::{Bound, Candidates, Physical, Reading, bind};
use crate::run::names::Names;
use crate::sql::quote::{identifier, literal};
use crate::sql::rendered::Rendered;
use crate::template::{Form, Window};
use crate::workspace::Workspace;

use super::due::{Timed, timed_parents};
use super::left_out::LeftOut;
use super::make::Making;
use super::{Base, Step, with_base};

/// What came of the intervals.
#[derive(Debug, Clone)]
pub(in crate::run) struct Filled {
    /// Rows in the table.
    pub rows: u64,
    /// Columns that the model gives.
    pub new: Vec<ColumnType>,
    /// Intervals that were built now, with their rows.
    pub built: Vec<(Window, u64)>,
    /// Intervals that were not, with the reason.
    pub failed: Vec<(Window, Box<Diagnostic>)>,
    /// Rows of the query that no interval takes in.
    pub left_out: LeftOut,
}

impl Making<'_> {
    /// Fills the table of a version that is built by intervals; nothing for another.
    pub(super) fn fill(
        &self,
        workspace: &Workspace,
        candidates: &Candidates,
    ) -> Result<Option<Filled>, Failure> {
        let (Strategy::Interval(config), Some(intervals)) = (&self.config.strategy, &self.growth.intervals)
        else {
            return Ok(None);
        };
        let base = match &self.growth.step {
            Step::Onto(base) | Step::Copy(base) => Some(base),
            Step::Whole | Step::Nothing => None,
        };
        let own = match base {
            Some(base) => with_base(self.job.node, &base.increment, candidates),
            None => candidates.clone(),
        };
        let windows = match &self.growth.resume {
            Some(resume) => &resume.failed,
            None => &intervals.built,
        };
        let begin = Window { start: config.begin.clone(), end: config.begin.clone() };
        let reads = self.reads(workspace);
        let filling =
            Filling { making: self, workspace, candidates: &own, column: &config.event_time, base, reads };
        let (rendered, bound) = filling.query(windows.first().unwrap_or(&begin))?;
        let new =
            self.session.describe(&bound.sql).map_err(|error| filling.told(error, 0, &bound, &rendered))?;
        self.check_columns(&new)?;
        filling.check_time(&new)?;
        let mut there = new.clone();
        let (table, select) = match base {
            None => (rows_of(self.relation()), format!("*, 1::BIGINT AS {}", identifier(VERSION_COLUMN))),
            Some(base) => {
                there = columns_of(self.session, &base.increment.relation)?;
                let shape = self.shape(&there, &new)?;
                (delta_of(self.relation()), shape.select(&new))
            }
        };
        filling.create(&table, &select, &bound)?;
        let left_out = filling.out_of_reach(&bound, config)?;
        let mut filled = Filled { rows: 0, new, built: Vec::new(), failed: Vec::new(), left_out };
        for window in windows {
            let rows = filling.insert(&table, &select, window, &mut filled.left_out);
            match rows.map_err(|failure| self.retyped(failure, &there, &filled.new)) {
                Ok(rows) => filled.built.push((window.clone(), rows)),
                Err(Failure::Node(problem)) if problem.code == "sql-data" => {
                    filled.failed.push((window.clone(), problem));
                }
                Err(failure) => return Err(failure),
            }
        }
        filled.rows = self.session.count(&format!("SELECT count(*) FROM {}", quoted(&table)))?.max(0) as u64;
        match filled.failed.first() {
            Some((_, problem)) if filled.built.is_empty() && self.growth.resume.is_none() => {
                Err(Failure::Node(problem.clone()))
            }
            _ => Ok(Some(filled)),
        }
    }

    /// Whether all that the model reads has an `event_time`, seeds aside.
    fn reads(&self, workspace: &Workspace) -> Reads {
        let has_time = |dependency: &Dependency| {
            if let Some(source) = workspace.manifest.sources.get(&dependency.node) {
                return Some(Some(source.event_time.is_some()));
            }
            let parent = workspace.manifest.nodes.get(&dependency.node)?;
            Some(match parent.kind {
                NodeKind::Seed => None,
                _ => Some(parent.config.event_time.is_some()),
            })
        };
        let mut parents =
            self.job.node.depends_on.iter().filter_map(|parent| has_time(parent).unwrap_or(Some(false)));
        match parents.next() {
            Some(true) if parents.all(|has_time| has_time) => Reads::Part,
            _ => Reads::More,
        }
    }

    /// The columns that the table has with the new rows.
    pub(super) fn shape(&self, there: &[ColumnType], new: &[ColumnType]) -> Result<Shape, Failure> {
        Shape::of(self.config.on_schema_change, &self.config.strategy, there, new)
            .map_err(|difference| Failure::Node(Box::new(self.other_shape(&difference.to_string()))))
    }
}

struct Filling<'a> {
    making: &'a Making<'a>,
    workspace: &'a Workspace,
    candidates: &'a Candidates,
    /// The column that holds the time.
    column: &'a str,
    base: Option<&'a Base>,
    reads: Reads,
}

/// How much a model's query for an interval reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// The interval's part of its parents.
    Part,
    /// More: a parent has no `event_time`.
    More,
}

impl Filling<'_> {
    fn node(&self) -> &Node {
        self.making.job.node
    }

    /// The model's SQL for an interval.
    fn query(&self, window: &Window) -> Result<(Rendered, Bound), Failure> {
        let form = match self.base {
            Some(_) => Form::DeltaWindow(window.clone()),
            None => Form::WholeWindow(window.clone()),
        };
        let names = Names {
            workspace: self.workspace,
            candidates: self.candidates,
            session: Some(self.making.session),
        };
        let rendered = self.workspace.render_form(self.node(), &form, &names).map_err(|problems| {
            let first = problems.sorted().first().map(|problem| (*problem).clone());
            let unknown = || Diagnostic::error("bug", "no diagnostic for a failed template");
            Failure::Node(Box::new(first.unwrap_or_else(unknown)))
        })?;
        let bound = bind(&rendered, &self.sliced(window), Reading::Now);
        Ok((rendered, bound))
    }

    /// The candidates, with the interval's part of every parent that has an `event_time`.
    fn sliced(&self, window: &Window) -> Candidates {
        let mut sliced = self.candidates.clone();
        for Timed { id, column, candidate, .. } in timed_parents(self.workspace, self.node(), self.candidates)
        {
            let condition = Replaces::in_windows(column, std::slice::from_ref(window));
            let mut candidate = candidate.clone();
            candidate.physical = Physical::Slice { of: Box::new(candidate.physical), condition };
            sliced.insert(id.clone(), candidate);
        }
        sliced
    }

    /// Makes the table, empty, or with what an earlier run had built of it.
    fn create(&self, table: &str, select: &str, bound: &Bound) -> Result<(), Failure> {
        let from = match &self.making.growth.resume {
            Some(resume) => format!("SELECT * FROM {}", quoted(&resume.table)),
            None => format!("SELECT {select} FROM (\n{}\n) LIMIT 0", bound.sql),
        };
        Ok(self.making.session.execute(&format!("CREATE OR REPLACE TABLE {} AS {from}", quoted(table)))?)
    }

    /// Inserts the rows of an interval. Rows that are not of it come along and are taken out again, which tells how many
    /// they are; where the query reads more than the interval's part of its parents, only those without a time do.
    fn insert(
        &self,
        table: &str,
        select: &str,
        window: &Window,
        left_out: &mut LeftOut,
    ) -> Result<u64, Failure> {
        let session = self.making.session;
        let (rendered, bound) = self.query(window)?;
        let (table, column) = (quoted(table), identifier(self.column));
        let prefix = format!("INSERT INTO {table} SELECT {select} FROM (\n");
        let condition = Replaces::in_windows(self.column, std::slice::from_ref(window));
        let (suffix, behind) = match self.reads {
            Reads::Part => {
                let last = session.count(&format!("SELECT coalesce(max(rowid), -1) FROM {table}"))?;
                ("\n)".to_owned(), Some(last))
            }
            Reads::More => (format!("\n) WHERE ({condition}) IS NOT FALSE"), None),
        };
        let inserted = session.execute_counted(&format!("{prefix}{}{suffix}", bound.sql));
        let inserted = inserted.map_err(|error| self.told(error, prefix.len(), &bound, &rendered))?;
        let nulls = session.execute_counted(&format!("DELETE FROM {table} WHERE {column} IS NULL"))?;
        let Some(last) = behind else {
            // The same rows come with every interval.
            left_out.nulls = left_out.nulls.max(nulls);
            return Ok(inserted - nulls);
        };
        left_out.nulls += nulls;
        let others = session
            .execute_counted(&format!("DELETE FROM {table} WHERE rowid > {last} AND NOT ({condition})"))?;
        left_out.elsewhere += others;
        Ok(inserted - nulls - others)
    }

    /// Counts what no interval can ever take in, when the table is made by a query that does not read its parents by time.
    fn out_of_reach(&self, bound: &Bound, config: &Interval) -> Result<LeftOut, Failure> {
        let mut left_out = LeftOut::default();
        if self.reads == Reads::Part || self.base.is_some() {
            return Ok(left_out);
        }
        let column = identifier(self.column);
        let rows = self.making.session.rows(&format!(
            "SELECT (count(*) FILTER (NOT isfinite({column}::TIMESTAMP)))::VARCHAR, \
             (count(*) FILTER (isfinite({column}::TIMESTAMP) AND {column} < TIMESTAMP {}))::VARCHAR FROM (\n{}\n)",
            literal(&config.begin),
            bound.sql
        ));
        // What is wrong with the query is told where it fills an interval.
        let mut row = rows.unwrap_or_default().into_iter().next().unwrap_or_default().into_iter();
        let mut next = || row.next().flatten().and_then(|text| text.parse().ok()).unwrap_or(0);
        left_out.infinite = next();
        left_out.early = next();
        Ok(left_out)
    }

    fn told(&self, error: SqlError, prefix: usize, bound: &Bound, rendered: &Rendered) -> Failure {
        if error.is_interrupt() || error.class.eq_ignore_ascii_case("fatal") {
            return Failure::Sql(error);
        }
        Failure::Node(Box::new(explain(&error, prefix, bound, rendered, self.node())))
    }

    /// The column that holds the time is there and can be compared with a time.
    fn check_time(&self, new: &[ColumnType]) -> Result<(), Failure> {
        let node = self.node();
        let found = crate::engine::increment::shape::find(new, self.column);
        let is_time =
            |column: &ColumnType| column.data_type.starts_with("TIMESTAMP") || column.data_type == "DATE";
        if found.is_some_and(is_time) {
            return Ok(());
        }
        let message = match found {
            Some(column) => {
                format!("the `event_time` `{}` of `{}` is {}", self.column, node.name, column.data_type)
            }
            None => format!("the `event_time` `{}` is not a column of `{}`", self.column, node.name),
        };
        let diagnostic =
            Diagnostic::error("event-time", message).at(&super::refusal::said(node, "event_time"), "");
        let names = new.iter().map(|column| column.name.as_str());
        Err(Failure::Node(Box::new(match found {
            Some(_) => diagnostic.help("it must be a DATE or a TIMESTAMP, in UTC"),
            None => diagnostic.suggest(self.column, names),
        })))
    }
}
