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
use crate::manifest::{Node, Strategy};
use crate::run::build::{Failure, explain};
use crate::run::candidate::{Bound, Candidates, Physical, Reading, bind};
use crate::run::names::Names;
use crate::sql::quote::identifier;
use crate::sql::rendered::Rendered;
use crate::template::{Form, Window};
use crate::workspace::Workspace;

use super::due::timed_parents;
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
        let filling = Filling { making: self, workspace, candidates: &own, column: &config.event_time, base };
        let (rendered, bound) = filling.query(windows.first().unwrap_or(&begin))?;
        let new =
            self.session.describe(&bound.sql).map_err(|error| filling.told(error, 0, &bound, &rendered))?;
        self.check_columns(&new)?;
        filling.check_time(&new)?;
        let (table, select) = match base {
            None => (rows_of(self.relation()), format!("*, 1::BIGINT AS {}", identifier(VERSION_COLUMN))),
            Some(base) => {
                let there = columns_of(self.session, &base.increment.relation)?;
                let shape = self.shape(&there, &new)?;
                (delta_of(self.relation()), shape.select(&new))
            }
        };
        filling.create(&table, &select, &bound)?;
        let mut filled = Filled { rows: 0, new, built: Vec::new(), failed: Vec::new() };
        for window in windows {
            match filling.insert(&table, &select, window) {
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
        for (parent, column, candidate) in timed_parents(self.workspace, self.node(), self.candidates) {
            if matches!(candidate.physical, Physical::Inline(_)) {
                continue;
            }
            let condition = Replaces::in_windows(column, std::slice::from_ref(window));
            let mut candidate = candidate.clone();
            candidate.physical = Physical::Slice { of: Box::new(candidate.physical), condition };
            sliced.insert(parent.id.clone(), candidate);
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

    fn insert(&self, table: &str, select: &str, window: &Window) -> Result<u64, Failure> {
        let (rendered, bound) = self.query(window)?;
        let prefix = format!("INSERT INTO {} SELECT {select} FROM (\n", quoted(table));
        let condition = Replaces::in_windows(self.column, std::slice::from_ref(window));
        let sql = format!("{prefix}{}\n) WHERE {condition}", bound.sql);
        let inserted = self.making.session.execute_counted(&sql);
        inserted.map_err(|error| self.told(error, prefix.len(), &bound, &rendered))
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
            Diagnostic::error("event-time", message).at(&super::make::said(node, "event_time"), "");
        let names = new.iter().map(|column| column.name.as_str());
        Err(Failure::Node(Box::new(match found {
            Some(_) => diagnostic.help("it must be a DATE or a TIMESTAMP, in UTC"),
            None => diagnostic.suggest(self.column, names),
        })))
    }
}
