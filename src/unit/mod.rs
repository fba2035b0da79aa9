//! Unit tests: models run on rows that are written down, in memory, before anything is built.
//!
//! Each test has a transaction of its own in one sealed database, rolled back in the end. Rows get the types that compiling
//! has inferred for what they stand for. Where rows are given for something further up than the model's own parents, the
//! models between are run too.

mod fill;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::check::unit::compare;
use crate::compile::Compiled;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::engine::explain::{explain, parents};
use crate::engine::load::OWN_COLUMNS;
use crate::engine::sandbox::Sandbox;
use crate::engine::session::{ColumnType, Session, SqlError};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node, NodeKind, TestSeverity, UnitRows, UnitTest, UnitValue};
use crate::names::{Fingerprint, NodeId, Relation};
use crate::resolve::csv;
use crate::run::candidate::{Bound, Candidate, Candidates, Physical, Reading, bind};
use crate::run::event::{TestReport, TestStatus, UnitFinding};
use crate::run::interruptible;
use crate::run::names::Names;
use crate::sql::cte;
use crate::sql::history::TIME_VARIABLE;
use crate::sql::quote::identifier;
use crate::sql::rendered::Rendered;
use crate::sql::tokens::without_end;
use crate::template::Overrides;
use crate::workspace::Workspace;

use fill::{Shape, Typed, fill, misfits};

/// The schema of all tables of a test.
const SCHEMA: &str = "given";

/// Most rows that a model may give in a unit test.
const MOST_ROWS: usize = 10_000;

/// Runs the selected unit tests, in the order of their ids.
///
/// # Errors
/// The machine failed or the user stopped it. What is wrong with a test is in its report.
pub fn run(
    workspace: &Workspace,
    compiled: &Compiled,
    selected: &BTreeSet<NodeId>,
    stop: &AtomicBool,
) -> Result<Vec<TestReport>> {
    let tests = workspace.manifest.unit_tests.values().filter(|test| selected.contains(&test.id));
    let tests: Vec<&UnitTest> = tests.collect();
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let opening = workspace.opening("unit tests", Duration::ZERO);
    let database = opening.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let sandbox = Sandbox::open(&database.unwrap_or_default(), &opening.settings, &[SCHEMA])?;
    let macros = workspace.macro_names();
    let runner = Runner { workspace, compiled, sandbox: &sandbox, macros };
    interruptible(sandbox.session(), stop, || {
        let mut reports = Vec::new();
        for test in tests {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            reports.push(runner.report(test)?);
        }
        Ok(reports)
    })
}

/// Whether any unit test is selected.
pub fn any(workspace: &Workspace, selected: &BTreeSet<NodeId>) -> bool {
    workspace.manifest.unit_tests.keys().any(|id| selected.contains(id))
}

/// Why a test could not be run.
enum Trouble {
    /// What is wrong with it, or with the model.
    Told(Diagnostics),
    /// A value that does not fit its column; which one is asked when the transaction is over.
    Values(Box<Typed>, Option<SqlError>),
    /// The machine.
    Machine(Error),
}

impl From<Diagnostic> for Trouble {
    fn from(problem: Diagnostic) -> Self {
        Self::Told(problem.into())
    }
}

impl From<Diagnostics> for Trouble {
    fn from(problems: Diagnostics) -> Self {
        Self::Told(problems)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Machine(error)
    }
}

struct Runner<'a> {
    workspace: &'a Workspace,
    compiled: &'a Compiled,
    sandbox: &'a Sandbox,
    /// Names that can be overridden.
    macros: Vec<String>,
}

impl Runner<'_> {
    fn report(&self, test: &UnitTest) -> Result<TestReport> {
        let started = Instant::now();
        let outcome = self.sandbox.and_forget(|session| Case { runner: self, test, session }.run())?;
        let found = match outcome {
            Ok(found) => found,
            Err(Trouble::Told(problems)) => {
                let name = &test.declared.name.at;
                let placed = problems.sorted().into_iter().cloned().map(|problem| match problem.primary {
                    None => problem.at(name, ""),
                    Some(_) => problem,
                });
                Some(UnitFinding::Broken(placed.collect()))
            }
            Err(Trouble::Values(typed, error)) => {
                Some(UnitFinding::Broken(misfits(self.sandbox.session(), &typed, error.as_ref())?))
            }
            Err(Trouble::Machine(error)) => return Err(error),
        };
        let (status, failures, rows, message) = match &found {
            None => (TestStatus::Pass, Some(0), None, None),
            Some(UnitFinding::Different(difference)) => {
                let differ = difference.lines.len();
                (TestStatus::Fail, i64::try_from(differ).ok(), Some(difference.actual as u64), None)
            }
            Some(UnitFinding::Broken(problems)) => {
                let first = problems.sorted().first().map(|problem| problem.message.clone());
                (TestStatus::Error, None, None, first)
            }
        };
        Ok(TestReport {
            name: test.id.short().to_owned(),
            node: Some(test.node.clone()),
            column: None,
            status,
            severity: TestSeverity::Error,
            failures,
            rows,
            sample: None,
            query: String::new(),
            at: test.declared.name.at.clone(),
            message,
            elapsed: started.elapsed(),
            unit: found.map(Box::new),
            rows_changed: None,
        })
    }

    /// The columns of a node or a source, where they are known.
    fn columns(&self, id: &NodeId) -> Option<&[ColumnType]> {
        let of_node = self.compiled.models.get(id).and_then(|node| node.columns.as_deref());
        of_node.or_else(|| self.compiled.sources.get(id).map(Vec::as_slice))
    }

    /// Why the columns of a node are not known.
    fn unknown(&self, id: &NodeId) -> Option<&str> {
        self.compiled.models.get(id).and_then(|node| node.unknown.as_deref())
    }
}

/// One test in its transaction.
struct Case<'a> {
    runner: &'a Runner<'a>,
    test: &'a UnitTest,
    session: &'a Session,
}

impl Case<'_> {
    fn run(&self) -> Result<Option<UnitFinding>, Trouble> {
        let test = self.test;
        let (all, own) = self.overrides()?;
        let now = test.declared.overrides.now.as_ref();
        let time =
            now.map_or("NULL".to_owned(), |now| format!("make_timestamp({})", now.value.as_microsecond()));
        self.session.execute(&format!("SET VARIABLE {TIME_VARIABLE} = {time}")).map_err(Error::from)?;
        if let Some(now) = now {
            self.session.execute(&frozen(now.value)).map_err(Error::from)?;
        }
        let mut candidates = Candidates::new();
        for (input, rows) in test.inputs.iter().zip(&test.given) {
            let id = input.as_ref().unwrap_or(&test.node);
            self.give(id, rows, &mut candidates)?;
        }
        let manifest = &self.runner.workspace.manifest;
        for id in self.between(&candidates) {
            self.step(&manifest.nodes[&id], &all, &mut candidates)?;
        }
        let node = &manifest.nodes[&test.node];
        let (columns, result) = self.result(node, &own, &mut candidates)?;
        let expected = Relation::new(SCHEMA, "<expected>");
        let name = test.declared.cte.as_ref().map_or(node.name.as_str(), |cte| &cte.value);
        let shape = Shape { name, columns: Some(&columns) };
        let named = fill(self.session, &expected, &shape, &test.expect)?;
        let actual = self.rows(&result, &named)?;
        if actual.len() > MOST_ROWS {
            let message = format!("`{name}` gives more than {MOST_ROWS} rows");
            let problem = Diagnostic::error("unit-test-rows", message).at(&test.declared.name.at, "");
            return Err(problem.help("give it fewer rows: a unit test is an example").into());
        }
        let expected = self.rows(&expected, &named)?;
        let names = named.into_iter().map(|column| column.name).collect();
        Ok(compare(names, expected, actual).map(UnitFinding::Different))
    }

    /// What templates find changed: for all models, and for the one under test. Whether a run is incremental is said of
    /// that one alone.
    fn overrides(&self) -> Result<(Arc<Overrides>, Arc<Overrides>), Trouble> {
        let declared = &self.test.declared.overrides;
        let mut problems = Diagnostics::new();
        for (name, _) in &declared.macros {
            if !self.runner.macros.contains(&name.value) {
                let known = self.runner.macros.iter().map(String::as_str);
                problems.push(
                    Diagnostic::error("unit-test-override", format!("there is no macro `{}`", name.value))
                        .at(&name.at, "")
                        .suggest(&name.value, known)
                        .help("a macro of a package is written with the package: `dbt_utils.star`"),
                );
            }
        }
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let object = |entries: &[(crate::diagnostic::Located<String>, serde_json::Value)]| {
            entries.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect()
        };
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        let own = Overrides {
            macros: object(&declared.macros),
            vars: object(&declared.vars),
            env_vars: declared
                .env_vars
                .iter()
                .map(|(name, value)| (name.value.clone(), text(value)))
                .collect(),
            now: declared.now.as_ref().map(|now| now.value),
        };
        let mut all = own.clone();
        all.macros.shift_remove("is_incremental");
        Ok((Arc::new(all), Arc::new(own)))
    }

    /// Makes the table of an input.
    fn give(&self, id: &NodeId, rows: &UnitRows, candidates: &mut Candidates) -> Result<(), Trouble> {
        let relation = Relation::new(SCHEMA, id.short());
        let shape = Shape { name: id.short(), columns: self.runner.columns(id) };
        fill(self.session, &relation, &shape, rows)?;
        candidates.insert(id.clone(), stands_at(relation));
        Ok(())
    }

    /// The models between what is given and the model under test, in the order in which they run.
    fn between(&self, given: &Candidates) -> Vec<NodeId> {
        let manifest = &self.runner.workspace.manifest;
        let direct = manifest.nodes[&self.test.node].depends_on.iter().map(|dependency| &dependency.node);
        if direct.into_iter().all(|id| given.contains_key(id) || !manifest.nodes.contains_key(id)) {
            return Vec::new();
        }
        let dag = &self.runner.workspace.dag;
        let given = given.keys().filter(|id| **id != self.test.node);
        let below: HashSet<NodeId> = dag.below(given.clone(), None).into_iter().collect();
        let given: HashSet<&NodeId> = given.collect();
        let above = dag.ancestors(&self.test.node, None);
        let between = |id: &&NodeId| above.contains(*id) && below.contains(*id) && !given.contains(*id);
        let order = self.runner.workspace.topological().iter();
        order.filter(between).filter(|id| manifest.nodes.contains_key(*id)).cloned().collect()
    }

    /// Runs a model between.
    fn step(
        &self,
        node: &Node,
        overrides: &Arc<Overrides>,
        candidates: &mut Candidates,
    ) -> Result<(), Trouble> {
        let rendered = self.render(node, overrides, candidates)?;
        if node.config.materialized == Materialization::Ephemeral {
            let physical = Physical::Inline(Box::new(rendered));
            let fingerprint = Fingerprint::of([]);
            candidates.insert(
                node.id.clone(),
                Candidate { fingerprint, physical, rows: None, intervals: None, volatile: None },
            );
            return Ok(());
        }
        let bound = bind(&rendered, candidates, Reading::Now);
        let relation = Relation::new(SCHEMA, node.id.short());
        self.create(&relation, node, &rendered, &bound)?;
        if node.config.materialized == Materialization::Append {
            self.add_own_columns(&relation)?;
        }
        candidates.insert(node.id.clone(), stands_at(relation));
        Ok(())
    }

    /// Kiln's own columns of a raw table, as one load would fill them.
    fn add_own_columns(&self, relation: &Relation) -> Result<(), Trouble> {
        let now = self.test.declared.overrides.now.as_ref().map_or(0, |now| now.value.as_microsecond());
        let values = [format!("make_timestamp({now})"), "1".to_owned(), "'unit test'".to_owned()];
        let existing = self.session.describe(&format!("SELECT * FROM {relation}")).map_err(Error::from)?;
        for ((name, data_type), value) in OWN_COLUMNS.iter().zip(values) {
            if !existing.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
                let name = identifier(name);
                let sql = format!("ALTER TABLE {relation} ADD COLUMN {name} {data_type} DEFAULT {value}");
                self.session.execute(&sql).map_err(Error::from)?;
            }
        }
        Ok(())
    }

    /// The result of the model, or of one of its common table expressions, as a table.
    fn result(
        &self,
        node: &Node,
        overrides: &Arc<Overrides>,
        candidates: &mut Candidates,
    ) -> Result<(Vec<ColumnType>, Relation), Trouble> {
        let rendered = self.render(node, overrides, candidates)?;
        let mut bound = bind(&rendered, candidates, Reading::Now);
        if let Some(name) = &self.test.declared.cte {
            bound.sql = cte::only(&bound.sql, &name.value).map_err(|known| {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let message = format!("`{}` has no common table expression `{}`", node.name, name.value);
                let problem = Diagnostic::error("unit-test-cte", message)
                    .at(&name.at, "")
                    .suggest(&name.value, known.iter().copied());
                match known.is_empty() {
                    true => problem.help("it has none at all"),
                    false => problem.help(format!("it has `{}`", known.join("`, `"))),
                }
            })?;
        }
        let relation = Relation::new(SCHEMA, "<result>");
        self.create(&relation, node, &rendered, &bound)?;
        let columns = self.session.describe(&format!("SELECT * FROM {relation}")).map_err(Error::from)?;
        Ok((columns, relation))
    }

    /// Renders a model, and sees to it that all that it reads is there.
    fn render(
        &self,
        node: &Node,
        overrides: &Arc<Overrides>,
        candidates: &mut Candidates,
    ) -> Result<Rendered, Trouble> {
        let workspace = self.runner.workspace;
        let names = Names { workspace, candidates, session: Some(self.session) };
        let rendered = workspace.render_with(node, &names, overrides).map_err(|problems| {
            let told = problems.sorted().into_iter().map(|problem| self.concerns(problem.clone()));
            Trouble::Told(told.collect())
        })?;
        let missing: Vec<&NodeId> =
            rendered.slots.iter().map(|slot| &slot.node).filter(|id| !candidates.contains_key(*id)).collect();
        let missing: BTreeSet<NodeId> = missing.into_iter().cloned().collect();
        let mut problems = Diagnostics::new();
        for id in missing {
            match workspace.manifest.nodes.get(&id) {
                Some(seed) if seed.kind == NodeKind::Seed => {
                    let rows = self.seed(seed)?;
                    self.give(&id, &rows, candidates)?;
                }
                // Of a model of which one part is looked at, the others need no rows.
                _ if self.test.declared.cte.is_some() && self.runner.columns(&id).is_some() => {
                    self.give(&id, &UnitRows::Table(crate::manifest::UnitTable::default()), candidates)?;
                }
                _ => problems.push(self.not_given(node, &id)),
            }
        }
        match problems.is_empty() {
            true => Ok(rendered),
            false => Err(problems.into()),
        }
    }

    fn not_given(&self, reader: &Node, id: &NodeId) -> Diagnostic {
        let input = match self.runner.workspace.manifest.sources.get(id) {
            _ if *id == self.test.node => "this".to_owned(),
            Some(source) => format!("source('{}', '{}')", source.source, source.name),
            None => format!("ref('{}')", id.short()),
        };
        let name = &self.test.declared.name;
        let what = if *id == self.test.node { "this" } else { id.short() };
        let message = format!("`{}` reads `{what}`, for which `{}` gives no rows", reader.name, name.value);
        let problem = Diagnostic::error("unit-test-input", message).at(&name.at, "");
        let help = format!("add `- {{input: {input}, rows: []}}` under `given`, with rows if they matter");
        match self.runner.unknown(id) {
            Some(why) => problem.help(help).help(why.to_owned()),
            None => problem.help(help),
        }
    }

    /// The rows of a seed that the test does not give: they are part of the project.
    fn seed(&self, seed: &Node) -> Result<UnitRows, Trouble> {
        let path = self.runner.workspace.root().join(&seed.file.path);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::io("read the seed", &path, &error))?;
        let mut problems = Diagnostics::new();
        let mut table = csv(
            text.trim_start_matches('\u{feff}'),
            &seed.config.delimiter,
            &|_| Location::whole_file(&seed.file.path),
            &mut problems,
        );
        if !problems.is_empty() {
            return Err(problems.into());
        }
        for cell in table.rows.iter_mut().flatten() {
            // As in a run: an empty field is NULL, in quotes too.
            if cell.value == UnitValue::Text(String::new()) {
                cell.value = UnitValue::Null;
            }
        }
        Ok(UnitRows::Table(table))
    }

    /// Makes a table of a model's query.
    fn create(
        &self,
        relation: &Relation,
        node: &Node,
        rendered: &Rendered,
        bound: &Bound,
    ) -> Result<(), Trouble> {
        let prefix = format!("CREATE TABLE {relation} AS ");
        let sql = without_end(&bound.sql);
        self.session.execute(&format!("{prefix}{sql}")).map_err(|error| {
            if error.is_interrupt() || error.is_machine() {
                return Trouble::Machine(error.into());
            }
            let offset = error
                .position
                .and_then(|(at, length)| Some((bound.to_rendered(at.checked_sub(prefix.len())?)?, length)));
            let parents = parents(rendered, |id| {
                Some(self.runner.columns(id)?.iter().map(|column| column.name.clone()).collect())
            });
            let lead = format!("`{}`", node.name);
            self.concerns(explain(&lead, &error, offset, rendered, &node.file, &parents)).into()
        })
    }

    /// A problem of a model, with the test that met it.
    fn concerns(&self, problem: Diagnostic) -> Diagnostic {
        problem.related(&self.test.declared.name.at, "in this unit test")
    }

    /// Rows as text, with a column for each that is compared.
    fn rows(&self, relation: &Relation, columns: &[ColumnType]) -> Result<Vec<Vec<Option<String>>>, Trouble> {
        if columns.is_empty() {
            let count =
                self.session.count(&format!("SELECT count(*) FROM {relation}")).map_err(Error::from)?;
            return Ok(vec![Vec::new(); usize::try_from(count).unwrap_or(usize::MAX).min(MOST_ROWS + 1)]);
        }
        let cells: Vec<String> = columns.iter().map(compared).collect();
        let sql = format!("SELECT {} FROM {relation} LIMIT {}", cells.join(", "), MOST_ROWS + 1);
        Ok(self.session.rows(&sql).map_err(Error::from)?)
    }
}

fn stands_at(relation: Relation) -> Candidate {
    Candidate {
        fingerprint: Fingerprint::of([]),
        physical: Physical::Source(relation),
        rows: None,
        intervals: None,
        volatile: None,
    }
}

/// A column as the text that is compared. The last digits of a float depend on the order in which rows were added up, and
/// nobody writes `0.30000000000000004`; blanks in JSON are no content.
fn compared(column: &ColumnType) -> String {
    let name = identifier(&column.name);
    match column.data_type.as_str() {
        "DOUBLE" => format!("CAST(CAST(format('{{:.15g}}', {name} + 0) AS DOUBLE) AS VARCHAR)"),
        "FLOAT" => format!("CAST(CAST(format('{{:.6g}}', {name} + 0) AS FLOAT) AS VARCHAR)"),
        "JSON" => format!("CAST(json({name}) AS VARCHAR)"),
        _ => format!("CAST({name} AS VARCHAR)"),
    }
}

/// SQL that makes the clock stand still: a macro of the same name is found before DuckDB's own function.
fn frozen(now: jiff::Timestamp) -> String {
    let micros = now.as_microsecond();
    let moment = format!("make_timestamp({micros})");
    let zoned = format!("to_timestamp({micros} / 1000000.0)");
    let values = [
        ("now", zoned.clone()),
        ("current_timestamp", zoned.clone()),
        ("get_current_timestamp", zoned.clone()),
        ("transaction_timestamp", zoned),
        ("current_date", format!("{moment}::DATE")),
        ("today", format!("{moment}::DATE")),
        ("current_localtimestamp", moment.clone()),
        ("localtimestamp", moment.clone()),
        ("current_localtime", format!("{moment}::TIME")),
        ("localtime", format!("{moment}::TIME")),
        ("current_time", format!("{moment}::TIME::TIMETZ")),
        ("get_current_time", format!("{moment}::TIME::TIMETZ")),
    ];
    let macros = values.iter().map(|(name, value)| format!("CREATE MACRO {}() AS {value}", identifier(name)));
    // With one argument it counts from midnight of today; DuckDB's own one has to be named with its database.
    let age = format!(
        "CREATE MACRO age(since) AS system.main.age({moment}::DATE::TIMESTAMP, since), \
         (until, since) AS system.main.age(until, since)"
    );
    macros.chain([age]).collect::<Vec<_>>().join(";\n")
}
