//! Increments: what an incremental model takes in, decided and built. How its table grows is told in
//! [`crate::engine::increment`].
//!
//! A model has two forms. Its *whole* form, with `is_incremental()` false, says what the table is: that, with how rows
//! are cut into intervals, is its definition. Its *delta* form, with `is_incremental()` true and `this` the version
//! before, says how new rows are found; a change of that alone takes effect with the next delta and rebuilds nothing.
//!
//! A version is made from the version before (its *base*), from the definition and from the parents' builds. Where the
//! base was made from this definition and these parents already, there is nothing to do.

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::engine::increment::shape::{Change, Shape, find};
use crate::engine::increment::{
    Replaces, VERSION_COLUMN, columns_of, delta_of, head, keep_undo, newest_view, quoted, rows_of, undo_of,
    waiting_view, whole,
};
use crate::engine::session::{ColumnType, Session};
use crate::engine::state::increment::{Increment, record};
use crate::manifest::{Incremental, Node, OnChange, Strategy, Updates};
use crate::names::{Fingerprint, NodeId};
use crate::sql::history::TIME_VARIABLE;
use crate::sql::quote::{identifier, identifiers, literal};
use crate::sql::rendered::Rendered;
use crate::sql::tokens::read;
use crate::template::Form;
use crate::workspace::Workspace;

use super::build::{Failure, Job, Made, explain, run_model};
use super::candidate::{Bound, Candidate, Candidates, Physical, Reading, bind};
use super::event::{Action, RowChange};
use super::names::Names;
use super::plan::{Decision, Known, Refresh, definition, made_from, why_changed};

/// Most keys that a message names.
const NAMED_KEYS: usize = 3;

/// What is to be done with the table of an incremental model.
#[derive(Debug, Clone)]
pub struct Growth {
    /// What.
    pub step: Step,
    /// Hash of the definition and of the parents' builds.
    pub inputs: Fingerprint,
    /// What the new rows take the place of.
    pub replaces: Replaces,
}

/// What is to be done with the table of an incremental model.
#[derive(Debug, Clone)]
pub enum Step {
    /// All rows are built into a new table.
    Whole,
    /// New rows come into the table of the version before.
    Onto(Base),
    /// The rows of the version before are copied and new rows come to them: its table belongs to another target.
    Copy(Base),
    /// Nothing: the version exists.
    Nothing,
}

/// The version that a new one continues.
#[derive(Debug, Clone)]
pub struct Base {
    /// What is known of it.
    pub increment: Increment,
    /// Its rows, where known.
    pub rows: Option<u64>,
    /// The newest version of its table.
    pub head: i64,
}

/// Decides for an incremental model whose parents are all candidates already.
///
/// # Errors
/// The template does not render.
pub fn decide(
    workspace: &Workspace,
    node: &Node,
    config: &Incremental,
    candidates: &Candidates,
    known: &Known,
    session: Option<&Session>,
) -> Result<Decision, Diagnostics> {
    let names = Names { workspace, candidates, session };
    let rendered = workspace.render_form(node, &Form::Whole, &names)?;
    let (definition, mut always) = definition(workspace, node, &rendered)?;
    let mut parts = made_from(node, &definition, candidates, &mut always);
    if always.is_some() {
        parts.push(known.salt.as_bytes().to_vec());
    }
    let inputs = Fingerprint::of(parts.iter().map(Vec::as_slice));
    let base = base_of(node, known);
    let target = &workspace.target.name;
    if let Some(why) = why_whole(config, base.as_ref(), &definition, known) {
        let fingerprint = Fingerprint::of([b"kiln whole 1".as_slice(), inputs.as_str().as_bytes()]);
        let growth = Growth { step: Step::Whole, inputs, replaces: Replaces::of(config, &[]) };
        return Ok(decision(node, known, fingerprint, definition, rendered, growth, why));
    }
    let Some(base) = base else {
        return Err(Diagnostic::error("bug", "an incremental model without a base is built whole")
            .at(&node.at, "")
            .into());
    };
    if base.increment.inputs == inputs {
        let reason = match base.increment.target == *target {
            true => "unchanged since the release".to_owned(),
            false => format!("what target `{}` has, and nothing is new", base.increment.target),
        };
        return Ok(Decision {
            action: Action::Reuse,
            reason,
            fingerprint: base.increment.fingerprint.clone(),
            definition,
            rendered,
            relation: base.increment.relation.clone(),
            rows: base.rows,
            growth: None,
        });
    }
    let own = with_base(node, &base.increment, candidates);
    let names = Names { workspace, candidates: &own, session };
    let delta = workspace.render_form(node, &Form::Delta, &names)?;
    let text = read(&delta.with_relations(|id| Some(format!("\"{id}\"")))).normalised;
    let how =
        format!("{:?} {:?} {:?} {:?}", config.strategy, config.unique_key, config.predicates, config.updates);
    let fingerprint = Fingerprint::of([
        b"kiln delta 1".as_slice(),
        inputs.as_str().as_bytes(),
        base.increment.fingerprint.as_str().as_bytes(),
        how.as_bytes(),
        format!("{:?}", config.on_schema_change).as_bytes(),
        text.as_bytes(),
    ]);
    let reason = match base.increment.target == *target {
        true => {
            let why = match always {
                Some(why) => why,
                None => why_changed(node, &definition, &fingerprint, candidates, known),
            };
            format!("{why}: new rows only")
        }
        false => format!(
            "copies {} rows of target `{}` and takes in what is new",
            base.rows.map_or("the".to_owned(), |rows| rows.to_string()),
            base.increment.target
        ),
    };
    let step = match base.increment.target == *target {
        true => Step::Onto(base),
        false => Step::Copy(base),
    };
    let growth = Growth { step, inputs, replaces: Replaces::of(config, &[]) };
    Ok(decision(node, known, fingerprint, definition, delta, growth, reason))
}

/// A decision for a version that may have been built already.
fn decision(
    node: &Node,
    known: &Known,
    fingerprint: Fingerprint,
    definition: Fingerprint,
    rendered: Rendered,
    growth: Growth,
    reason: String,
) -> Decision {
    let base = match &growth.step {
        Step::Onto(base) | Step::Copy(base) => Some(base.increment.relation.as_str()),
        Step::Whole | Step::Nothing => None,
    };
    // New rows that wait fit the very version that they were built for.
    let fits = |relation: &str| {
        known
            .increments
            .get(relation)
            .is_some_and(|found| found.version.is_some() || found.base.as_deref() == base)
    };
    let existing = known.builds.get(&fingerprint).filter(|existing| fits(&existing.relation));
    match existing.filter(|_| known.refresh == Refresh::Reuse) {
        Some(existing) => Decision {
            action: Action::Reuse,
            reason: "built before, by a run that did not publish it or for another target".to_owned(),
            relation: existing.relation.clone(),
            rows: existing.rows,
            fingerprint,
            definition,
            rendered,
            growth: Some(Box::new(Growth { step: Step::Nothing, ..growth })),
        },
        None => {
            let relation = super::plan::relation_name(node, &fingerprint, known);
            let growth = Some(Box::new(growth));
            Decision {
                action: Action::Build,
                reason,
                fingerprint,
                definition,
                rendered,
                relation,
                rows: None,
                growth,
            }
        }
    }
}

/// Why all rows are built, if they are.
fn why_whole(
    config: &Incremental,
    base: Option<&Base>,
    definition: &Fingerprint,
    known: &Known,
) -> Option<String> {
    let Some(base) = base else { return Some("new: all rows are built".into()) };
    let all = match base.rows {
        Some(rows) => format!("all {rows} rows are built anew"),
        None => "all rows are built anew".to_owned(),
    };
    if config.full_refresh == Some(true) {
        return Some(format!("it is marked `full_refresh: true`: {all}"));
    }
    // What must not be refreshed cannot be built again from its parents.
    if config.full_refresh == Some(false) {
        return None;
    }
    if known.refresh == Refresh::Full {
        return Some(format!("asked for with `--full-refresh`: {all}"));
    }
    let changed = base.increment.definition != *definition;
    (changed && config.on_change == OnChange::Rebuild)
        .then(|| format!("its SQL or configuration changed: {all} (`on_change: forward` would keep them)"))
}

/// The version that readers of this target see; where there is none, the one that those of another target see.
fn base_of(node: &Node, known: &Known) -> Option<Base> {
    let own = known.release.models.get(&node.name).map(|published| &published.relation);
    let relation = own.or_else(|| known.elsewhere.get(&node.name))?;
    let increment = known.increments.get(relation)?.clone();
    let rows = known.builds.get(&increment.fingerprint).and_then(|build| build.rows);
    let head = head(&increment.table, &known.increments);
    Some(Base { increment, rows, head })
}

/// The candidates, with the version before under the model's own name: what `this` reads.
fn with_base(node: &Node, base: &Increment, candidates: &Candidates) -> Candidates {
    let mut own = candidates.clone();
    let this = Candidate {
        fingerprint: base.fingerprint.clone(),
        physical: Physical::Build(base.relation.clone()),
        rows: None,
    };
    own.insert(node.id.clone(), this);
    own
}

/// Builds a version, in the transaction that records it. Gives what its view reads.
pub(super) fn make(
    workspace: &Workspace,
    session: &Session,
    run_id: &str,
    job: &Job<'_>,
    candidates: &Candidates,
) -> Result<(Made, Vec<String>), Failure> {
    let (Some(growth), Some(config)) = (&job.decision.growth, &job.node.config.incremental) else {
        let bug = format!("`{}` is incremental and nobody decided how it grows", job.node.name);
        return Err(Failure::Node(Box::new(Diagnostic::error("bug", bug).at(&job.node.at, ""))));
    };
    if job.node.config.snapshot.is_some() {
        // One time for all rows that this run writes.
        let time = literal(&crate::engine::state::now());
        session.execute(&format!("SET VARIABLE {TIME_VARIABLE} = CAST({time} AS TIMESTAMP)"))?;
    }
    let making = Making { session, job, config, growth, run_id, target: &workspace.target.name };
    match &growth.step {
        Step::Whole | Step::Nothing => making.whole(candidates),
        Step::Onto(base) => making.delta(base, Place::Table, candidates),
        Step::Copy(base) => making.delta(base, Place::Copy, candidates),
    }
}

/// Where new rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Into the table that is there.
    Table,
    /// Into a copy of it.
    Copy,
}

struct Making<'a> {
    session: &'a Session,
    job: &'a Job<'a>,
    config: &'a Incremental,
    growth: &'a Growth,
    run_id: &'a str,
    target: &'a str,
}

impl Making<'_> {
    fn relation(&self) -> &str {
        &self.job.decision.relation
    }

    fn whole(&self, candidates: &Candidates) -> Result<(Made, Vec<String>), Failure> {
        let bound = bind(&self.job.decision.rendered, candidates, Reading::Now);
        let table = rows_of(self.relation());
        let (prefix, suffix) = whole(&table);
        let rows = run_model(self.session, self.job, &prefix, &bound, suffix)?;
        let columns = columns_of(self.session, &table)?;
        self.check_columns(&columns)?;
        self.session.execute(&newest_view(self.relation(), &table, &columns))?;
        self.record(&table, Some(1), None, None, RowChange { added: rows, replaced: 0 })?;
        Ok((Made { rows: Some(rows), change: None }, vec![table]))
    }

    fn delta(
        &self,
        base: &Base,
        place: Place,
        candidates: &Candidates,
    ) -> Result<(Made, Vec<String>), Failure> {
        let session = self.session;
        let own = with_base(self.job.node, &base.increment, candidates);
        let bound = bind(&self.job.decision.rendered, &own, Reading::Now);
        let new = session.describe(&bound.sql).map_err(|error| {
            if error.is_interrupt() || error.is_machine() {
                return Failure::Sql(error);
            }
            Failure::Node(Box::new(explain(&error, 0, &bound, &self.job.decision.rendered, self.job.node)))
        })?;
        self.check_columns(&new)?;
        let there = columns_of(session, &base.increment.relation)?;
        let shape = Shape::of(self.config.on_schema_change, &self.config.strategy, &there, &new)
            .map_err(|difference| Failure::Node(Box::new(self.other_shape(&difference.to_string()))))?;
        let delta = delta_of(self.relation());
        let added = self.new_rows(&bound, &new, &there, &shape, &base.increment.relation)?;
        if place == Place::Copy || shape.change == Change::Other {
            return self.copy(base, &there, &shape, added);
        }
        let replaces = &self.growth.replaces;
        let undo = undo_of(self.relation());
        let is_newest = base.increment.version == Some(base.head);
        let keep = keep_undo(&undo, &base.increment.table, &delta, replaces).filter(|_| is_newest);
        let replaced = match keep {
            Some(sql) => session.execute_counted(&sql).map_err(|error| self.narrowing(error))?,
            None => self.count_replaced(&base.increment.relation)?,
        };
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
        self.record(&base.increment.table, None, Some(&base.increment.relation), Some(&delta), change)?;
        let rows = self.rows_before(base)?.saturating_sub(replaced) + added;
        Ok((Made { rows: Some(rows), change: Some(change) }, reads))
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
            let added = run_model(self.session, self.job, &prefix, bound, suffix)?;
            self.check_keys(&delta)?;
            return Ok(added);
        }
        let found = format!("{}__found", self.relation());
        let given: Vec<ColumnType> =
            shape.columns.iter().filter(|column| find(new, &column.name).is_some()).cloned().collect();
        let (prefix, suffix) = create(&found, &Shape { columns: given.clone(), change: Change::Same }, new);
        run_model(self.session, self.job, &prefix, bound, suffix)?;
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
        self.record(&table, Some(1), Some(&base.increment.relation), None, change)?;
        Ok((Made { rows: Some(rows), change: Some(change) }, vec![table]))
    }

    fn rows_before(&self, base: &Base) -> Result<u64, Failure> {
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
    ) -> Result<(), Failure> {
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
            presence: crate::engine::state::increment::Presence::There,
        };
        Ok(record(self.session, &increment, self.run_id)?)
    }

    /// The key must be among the columns, and no column may have Kiln's own name.
    fn check_columns(&self, columns: &[ColumnType]) -> Result<(), Failure> {
        let node = self.job.node;
        let named = |key: &&String| find(columns, key).is_none();
        if let Some(key) = self.config.unique_key.iter().find(named) {
            return Err(Failure::Node(Box::new(no_such_key(node, key, columns))));
        }
        if columns.iter().any(|column| column.name.to_lowercase().starts_with(VERSION_COLUMN)) {
            let message =
                format!("`{}` did not build: `{VERSION_COLUMN}` is a column of kiln's own", node.name);
            let diagnostic = Diagnostic::error("column-reserved", message).at(&node.at, "");
            return Err(Failure::Node(Box::new(diagnostic.help("give the column another name"))));
        }
        Ok(())
    }

    /// A merge with two new rows for one key has no result: DuckDB refuses it where the key is there, and doubles it
    /// where it is not.
    fn check_keys(&self, table: &str) -> Result<(), Failure> {
        if self.config.strategy != Strategy::Merge {
            return Ok(());
        }
        let keys = &self.config.unique_key;
        let columns = identifiers(keys);
        let given: Vec<String> = keys.iter().map(|key| format!("{} IS NOT NULL", identifier(key))).collect();
        let shown: Vec<String> =
            keys.iter().map(|key| format!("CAST({} AS VARCHAR)", identifier(key))).collect();
        let doubled = self.session.rows(&format!(
            "SELECT {}, count(*)::VARCHAR FROM {} WHERE {} GROUP BY {columns} HAVING count(*) > 1 \
             ORDER BY {columns} LIMIT {NAMED_KEYS}",
            shown.join(", "),
            quoted(table),
            given.join(" AND "),
        ))?;
        if doubled.is_empty() {
            return Ok(());
        }
        let named = doubled.iter().map(|row| {
            let key = keys
                .iter()
                .zip(row)
                .map(|(key, value)| format!("{key} = {}", value.as_deref().unwrap_or("NULL")));
            let count = row.last().and_then(Option::as_deref).unwrap_or_default();
            format!("{} ({count} rows)", key.collect::<Vec<_>>().join(", "))
        });
        let named = named.collect::<Vec<_>>().join("; ");
        let node = self.job.node;
        let message = format!("`{}` did not build: new rows have the same `unique_key`: {named}", node.name);
        let by = keys.join(", ");
        Err(Failure::Node(Box::new(
            Diagnostic::error("duplicate-key", message).at(&said(node, "unique_key"), "").help(format!(
                "keep one row of each key, such as with `qualify row_number() over (partition by {by} order by ... desc) = 1`"
            )),
        )))
    }

    fn other_shape(&self, difference: &str) -> Diagnostic {
        let node = self.job.node;
        let message = format!("`{}` did not build: its columns changed: {difference}", node.name);
        Diagnostic::error("schema-change", message).at(&said(node, "on_schema_change"), "").help(
            "write `on_schema_change='append_new_columns'` or `'sync_all_columns'`, or run with `--full-refresh`",
        )
    }

    /// A statement of Kiln's own failed that holds the user's `incremental_predicates`.
    fn narrowing(&self, error: crate::engine::session::SqlError) -> Failure {
        if error.is_interrupt() || error.is_machine() || self.config.predicates.is_empty() {
            return Failure::Sql(error);
        }
        let node = self.job.node;
        let message =
            format!("the `incremental_predicates` of `{}` do not work: {}", node.name, error.sentence());
        Failure::Node(Box::new(
            Diagnostic::error("incremental-predicates", message)
                .at(&said(node, "incremental_predicates"), "")
                .help(
                    "call the rows that are there `DBT_INTERNAL_DEST` and the new ones `DBT_INTERNAL_SOURCE`",
                ),
        ))
    }

    fn not_copied(&self, error: crate::engine::session::SqlError) -> Failure {
        if error.is_interrupt() || error.is_machine() {
            return Failure::Sql(error);
        }
        let node = self.job.node;
        let message = format!("`{}` did not build: rows that are there do not fit: {error}", node.name);
        Failure::Node(Box::new(
            Diagnostic::error("schema-change", message)
                .at(&said(node, "on_schema_change"), "")
                .help("run with `--full-refresh`, or give the column another name"),
        ))
    }
}

/// What is wrong with a `unique_key` that is not a column.
pub fn no_such_key(node: &Node, key: &str, columns: &[ColumnType]) -> Diagnostic {
    let message = format!("the `unique_key` `{key}` is not a column of `{}`", node.name);
    Diagnostic::error("unique-key", message)
        .at(&said(node, "unique_key"), "")
        .suggest(key, columns.iter().map(|column| column.name.as_str()))
        .help("a key of several columns is a list: `unique_key=['a', 'b']`")
}

/// The statement around a query that makes a table of a shape.
fn create(table: &str, shape: &Shape, new: &[ColumnType]) -> (String, &'static str) {
    let table = quoted(table);
    match shape.columns == new {
        true => (format!("CREATE OR REPLACE TABLE {table} AS "), ""),
        false => (format!("CREATE OR REPLACE TABLE {table} AS SELECT {} FROM (\n", shape.select(new)), "\n)"),
    }
}

/// Where a template says a setting, else where the model is described.
fn said(node: &Node, key: &str) -> Location {
    match node.file.text.find(key) {
        Some(at) => Location::new(&node.file, at..at + key.len()),
        None => node.at.clone(),
    }
}

/// What new rows of a model take the place of, for whoever publishes it.
pub(super) fn replaces_of(decisions: &std::collections::HashMap<NodeId, Decision>, node: &Node) -> Replaces {
    let decided = decisions.get(&node.id).and_then(|decision| decision.growth.as_ref());
    match (decided, &node.config.incremental) {
        (Some(growth), _) => growth.replaces.clone(),
        (None, Some(config)) => Replaces::of(config, &[]),
        (None, None) => Replaces::Nothing,
    }
}
