//! Data tests: each is rendered, and bound unless it surely can be.

use std::collections::HashSet;

use crate::check::query;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::explain::{Parent, explain, explain_at, parents};
use crate::engine::session::SqlError;
use crate::engine::shadow::Shadow;
use crate::error::Result;
use crate::manifest::{Test, TestConfig, TestKind};
use crate::names::{Fingerprint, NodeId};
use crate::run::candidate::{Reading, bind};
use crate::sql::rendered::Rendered;
use crate::template::LogMessage;

use super::Compiler;
use super::bind::published;
use super::ground::Ground;
use super::names::CompileNames;
use super::schedule::map;
use super::verdict::{Verdict, judge, outside};

/// Tests that are bound in one statement.
const BATCH: usize = 64;

/// A test that has been rendered.
struct Drawn<'a> {
    test: &'a Test,
    /// The SQL for people; nothing where it does not render.
    sql: Option<String>,
    /// It is still to be bound.
    ready: Option<Ready<'a>>,
    problems: Diagnostics,
    messages: Vec<LogMessage>,
}

/// A test that is ready to be bound.
struct Ready<'a> {
    test: &'a Test,
    rendered: Rendered,
    /// The query that counts its failures, as a run runs it.
    sql: String,
    /// What binding it follows from.
    key: Option<Fingerprint>,
}

impl Compiler<'_> {
    /// Renders and binds every test whose models are known.
    pub(super) fn check_tests(&mut self) -> Result<()> {
        let workspace = self.ground.workspace;
        let shortcut = Shortcut::new(self.shadow())?;
        let tests: Vec<&Test> = workspace.manifest.tests.values().collect();
        let ground = &self.ground;
        let drawn = map(&mut self.shadows, &tests, |shadow, test| Ok(draw(ground, shadow, &shortcut, test)))?;
        let mut ready = Vec::new();
        for drawn in drawn {
            self.tell(&drawn.test.id, drawn.problems);
            workspace.say(drawn.messages);
            if let Some(sql) = drawn.sql {
                self.tests.insert(drawn.test.id.clone(), sql);
            }
            ready.extend(drawn.ready);
        }
        let remembered = |ready: &Ready<'_>| match (&self.ground.options.memory, &ready.key) {
            (Some(memory), Some(key)) => memory.binds(key),
            _ => false,
        };
        let (known, open): (Vec<Ready<'_>>, Vec<Ready<'_>>) = ready.into_iter().partition(remembered);
        let chunks: Vec<&[Ready<'_>]> = open.chunks(BATCH).collect();
        let ground = &self.ground;
        let failed = map(&mut self.shadows, &chunks, |shadow, chunk| try_all(ground, shadow, chunk))?;
        let mut wrong = HashSet::new();
        for (ready, error) in failed.into_iter().flatten() {
            wrong.insert(&ready.test.id);
            self.tell_test(ready, &error)?;
        }
        let good = open.iter().filter(|ready| !wrong.contains(&ready.test.id)).chain(&known);
        good.filter_map(|ready| ready.key.as_ref()).for_each(|key| self.notes.binds(key));
        Ok(())
    }

    fn tell_test(&mut self, ready: &Ready<'_>, error: &SqlError) -> Result<()> {
        let test = ready.test;
        match judge(error, self.ground.workspace.root()) {
            Verdict::Wrong => {}
            Verdict::Outside(path) => {
                let sql = &ready.rendered.sql;
                let place = sql.find(&path).and_then(|at| ready.rendered.locate(at, path.len()));
                let place = place.unwrap_or_else(|| test.at.clone());
                let found = outside(&format!("the test `{}`", test.name), &path, &place);
                if let Some(found) = self.ground.workspace.project.file.graded(found) {
                    self.tell(&test.id, found);
                }
                return Ok(());
            }
            // What only a run can tell is left to it.
            _ => return Ok(()),
        }
        let ground = &self.ground;
        let columns = |id: &NodeId| ground.column_names(ground.landing(id));
        let tested = test.node.as_ref().and_then(|id| Some((id, columns(id)?)));
        if let (Some(column), Some((id, known))) = (&test.column, &tested) {
            let plain = column.trim().trim_matches('"');
            let is_name = plain.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ');
            if is_name && !known.iter().any(|known| known.eq_ignore_ascii_case(plain)) {
                // A column that a contract promises has been missed already.
                if !self.reported.contains(&((*id).clone(), plain.to_lowercase())) {
                    let message =
                        format!("`{}` has no column `{plain}`, which `{}` tests", id.short(), test.name);
                    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                    let found = Diagnostic::error("test-column", message)
                        .at(&test.at, "")
                        .suggest(plain, known.iter().map(String::as_str))
                        .help(format!("`{}` has {}", id.short(), names.join(", ")));
                    self.tell(&test.id, found);
                }
                return Ok(());
            }
        }
        let lead = format!("the test `{}`", test.name);
        let parents: Vec<Parent> = parents(&ready.rendered, columns);
        let found = match &test.kind {
            TestKind::Singular { file } => {
                // Bound by itself, its positions are those of its own text.
                let bound = bind(&ready.rendered, &ground.tested, Reading::Now);
                let own = ground.describe(self.shadow(), &bound.sql).err();
                let offset = own.as_ref().and_then(|error| error.position);
                let offset = offset.and_then(|(at, length)| Some((bound.to_rendered(at)?, length)));
                explain(&lead, own.as_ref().unwrap_or(error), offset, &ready.rendered, file, &parents)
            }
            _ => explain_at(&lead, error, &test.at, &parents),
        };
        self.tell(&test.id, found);
        Ok(())
    }
}

/// Renders a test.
fn draw<'t>(ground: &Ground<'_>, shadow: &Shadow, shortcut: &Shortcut, test: &'t Test) -> Drawn<'t> {
    let workspace = ground.workspace;
    let reads = test.depends_on.iter().map(|dependency| &dependency.node).chain(&test.node);
    let cause = ground.cause(reads.map(|id| ground.landing(id)));
    let names = CompileNames::new(ground, &ground.tested, shadow, cause.as_ref());
    let (rendered, messages) = workspace.hearing(|| workspace.render_test(test, &names));
    let mut drawn = Drawn { test, sql: None, ready: None, problems: Diagnostics::new(), messages };
    match rendered {
        Ok(rendered) => {
            drawn.sql = Some(published(ground, &rendered));
            if cause.is_none() && !shortcut.binds(ground, test, &rendered) {
                let bound = bind(&rendered, &ground.tested, Reading::Now);
                let sql = query::count(&bound.sql, &test.config);
                let key = ground.key("test", None, &sql, &rendered);
                drawn.ready = Some(Ready { test, rendered, sql, key });
            }
        }
        Err(_) if names.needs().is_some() => {}
        Err(problems) => drawn.problems = problems,
    }
    drawn
}

/// Binds tests in one statement, and one by one if that fails; gives those that cannot be bound.
fn try_all<'r, 't>(
    ground: &Ground<'_>,
    shadow: &Shadow,
    chunk: &'r [Ready<'t>],
) -> Result<Vec<(&'r Ready<'t>, SqlError)>> {
    for ready in chunk {
        ground.stand_read(shadow, &ready.rendered)?;
    }
    let all = chunk.iter().enumerate().map(|(at, ready)| {
        let union = if at == 0 { "" } else { "\nunion all\n" };
        format!("{union}({})", ready.sql)
    });
    if ground.describe(shadow, &all.collect::<String>()).is_ok() {
        return Ok(Vec::new());
    }
    let each = chunk.iter().filter_map(|ready| Some((ready, ground.describe(shadow, &ready.sql).err()?)));
    Ok(each.collect())
}

/// Knows without asking DuckDB that the most common tests bind: that is most of the time of compiling a large project.
struct Shortcut {
    /// Words that are no column's name without quotes.
    keywords: HashSet<String>,
}

impl Shortcut {
    fn new(shadow: &Shadow) -> Result<Self> {
        let sql = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'";
        let rows = shadow.session().rows(sql)?;
        Ok(Self { keywords: rows.into_iter().flatten().flatten().collect() })
    }

    /// Whether a test is one of Kiln's own that take a column of any type, on a column that is there.
    fn binds(&self, ground: &Ground<'_>, test: &Test, rendered: &Rendered) -> bool {
        let TestKind::Generic { name, args } = &test.kind else { return false };
        let (Some(column), Some(tested)) = (&test.column, &test.node) else { return false };
        let usual = TestConfig::default();
        let is_plain = test.config.fail_calc == usual.fail_calc && test.config.where_clause.is_none();
        if !is_plain || !ground.workspace.is_builtin_test(name) {
            return false;
        }
        let Some(data_type) = self.type_of(ground, tested, column) else { return false };
        match name.as_str() {
            "unique" | "not_null" => args.is_empty(),
            // Two columns of one type can be compared.
            "relationships" => {
                let field = args.get("field").and_then(serde_json::Value::as_str);
                let mut others = rendered.slots.iter().map(|slot| &slot.node).filter(|id| *id != tested);
                let other = others.next().unwrap_or(tested);
                args.len() == 2
                    && others.next().is_none()
                    && field.and_then(|field| self.type_of(ground, other, field)) == Some(data_type)
            }
            "accepted_values" => {
                let texts = args.get("values").and_then(serde_json::Value::as_array);
                args.len() == 1
                    && data_type == "VARCHAR"
                    && texts.is_some_and(|texts| {
                        texts.iter().all(|text| text.as_str().is_some_and(|text| !text.contains(['{', '\''])))
                    })
            }
            _ => false,
        }
    }

    /// The type of a column that can be written without quotes.
    fn type_of(&self, ground: &Ground<'_>, id: &NodeId, column: &str) -> Option<String> {
        let starts = column.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = starts && column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || self.keywords.contains(&column.to_lowercase()) {
            return None;
        }
        ground.node(id)?;
        let shape = ground.shape(id)?;
        let found = shape.columns.iter().find(|known| known.name.eq_ignore_ascii_case(column))?;
        Some(found.data_type.clone())
    }
}
