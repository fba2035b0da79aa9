//! Binding one model: its template is rendered, and DuckDB says what columns that has and what they come from, or what is
//! wrong with it.

use std::sync::Arc;

use super::ground::{Ground, Shape, has_word};
use super::names::CompileNames;
use super::verdict::{OUT_OF_REACH, Verdict, judge, outside};
use super::{Cause, CompiledNode, State};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, Severity};
use crate::engine::explain::{explain, parents};
use crate::engine::lineage::{Told, of_query, outputs_of_query};
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::{ColumnType, SqlError};
use crate::engine::shadow::{Shadow, Statement};
use crate::error::Result;
use crate::manifest::{Materialization, Node};
use crate::names::{Fingerprint, NodeId};
use crate::run::candidate::{Bound, Reading, bind};
use crate::sql::lineage::Lineage;
use crate::sql::literals::Literal;
use crate::sql::relations;
use crate::sql::rendered::Rendered;
use crate::sql::tokens::{statements, without_end};
use crate::template::LogMessage;

/// What became of a model.
pub(super) enum Step {
    Settled(Box<Settled>),
    /// It names a relation that is still to come.
    Later,
}

/// A model that is done with.
pub(super) struct Settled {
    pub state: State,
    /// Nothing where the template does not render.
    pub compiled: Option<CompiledNode>,
    pub shape: Option<Arc<Shape>>,
    pub lineage: Option<Lineage>,
    pub diagnostics: Diagnostics,
    /// What its template said.
    pub messages: Vec<LogMessage>,
    /// Its ignorance has been said.
    pub warned: bool,
    /// An earlier compile had bound it.
    pub remembered: bool,
    /// What it followed from, where the next compile can rely on it.
    pub key: Option<Fingerprint>,
}

/// Whether a model waits for what it names by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Wait,
    None,
}

/// What binding came to.
enum Bind {
    Known { columns: Vec<ColumnType>, lineage: Lineage },
    Not(State),
    Later,
}

/// A relation that is named without `ref`.
struct HardCoded {
    node: NodeId,
    diagnostic: Diagnostic,
}

/// One model on its way.
pub(super) struct Binding<'a> {
    pub ground: &'a Ground<'a>,
    pub shadow: &'a Shadow,
    pub node: &'a Node,
    patience: Patience,
    pub diagnostics: Diagnostics,
    warned: bool,
    /// Its columns can be made again from their names and types alone.
    plain: bool,
}

/// Renders and binds a model whose parents are settled.
pub(super) fn bind_model(
    ground: &Ground<'_>,
    shadow: &Shadow,
    node: &Node,
    patience: Patience,
) -> Result<Step> {
    let diagnostics = Diagnostics::new();
    let mut binding = Binding { ground, shadow, node, patience, diagnostics, warned: false, plain: true };
    let (step, messages) = ground.workspace.hearing(|| binding.run());
    Ok(match step? {
        Step::Settled(mut settled) => {
            settled.messages = messages;
            settled.diagnostics = binding.diagnostics;
            settled.warned = binding.warned;
            Step::Settled(settled)
        }
        Step::Later => Step::Later,
    })
}

impl Binding<'_> {
    fn run(&mut self) -> Result<Step> {
        let (ground, node) = (self.ground, self.node);
        if ground.workspace.manifest.broken.contains(&node.id) {
            return Ok(settled(broken(node)));
        }
        let cause = ground.cause(node.depends_on.iter().map(|dependency| &dependency.node));
        let names = CompileNames::new(ground, &ground.aside, self.shadow, cause.as_ref());
        let rendered = match ground.workspace.render(node, &names) {
            Ok(rendered) => rendered,
            Err(problems) => {
                return Ok(match (names.needs(), cause) {
                    (Some(_), Some(cause)) => settled(State::Unknown(cause)),
                    (Some(reason), None) => settled(unknown_here(node, reason)),
                    (None, _) => {
                        self.diagnostics.extend(problems);
                        settled(broken(node))
                    }
                });
            }
        };
        let hard_coded = self.hard_coded(&rendered);
        let waits = |id: &NodeId| ground.node(id).is_some() && !ground.is_settled(id);
        if self.patience == Patience::Wait && hard_coded.iter().any(|found| waits(&found.node)) {
            return Ok(Step::Later);
        }
        let bound = bind(&rendered, &ground.aside, Reading::Now);
        // What is remembered is one form of a model; an incremental one has two.
        let alone = cause.is_none() && node.config.incremental.is_none();
        let key = if alone { self.key(&rendered, &bound) } else { None };
        let kept = key.as_ref().and_then(|key| ground.options.memory.as_ref()?.model(key));
        let remembered = kept.is_some();
        let bind = match kept {
            Some((columns, lineage)) => Bind::Known { columns, lineage },
            None => self.bind_rendered(&rendered, &bound, cause)?,
        };
        let (state, shape, lineage) = match bind {
            Bind::Later => {
                self.diagnostics = Diagnostics::new();
                return Ok(Step::Later);
            }
            Bind::Not(state) => (state, None, None),
            Bind::Known { columns, lineage } => (State::Known, Some(Shape::new(columns)), Some(lineage)),
        };
        self.diagnostics.extend(hard_coded.into_iter().map(|found| found.diagnostic).collect());
        let unknown = match &state {
            State::Unknown(Cause { root, reason: Some(reason) }) => Some(because(root, reason)),
            State::Unknown(Cause { root, reason: None }) if *root != node.id => {
                Some(format!("`{}` has errors", root.short()))
            }
            _ => None,
        };
        let columns = shape.as_ref().map(|shape| shape.columns.clone());
        let sql = published(ground, &rendered);
        let key = key.filter(|_| state == State::Known && self.plain);
        Ok(Step::Settled(Box::new(Settled {
            state,
            compiled: Some(CompiledNode { rendered, sql, columns, unknown }),
            shape,
            lineage,
            diagnostics: Diagnostics::new(),
            messages: Vec::new(),
            warned: false,
            remembered,
            key,
        })))
    }

    /// What binding follows from, where that can be told.
    fn key(&self, rendered: &Rendered, bound: &Bound) -> Option<Fingerprint> {
        let node = self.node;
        let existing = self.ground.options.existing.get(&node.id).map(Vec::as_slice).unwrap_or_default();
        let existing = Shape::new(existing.to_vec());
        let purpose =
            format!("{} {} {}", node.config.materialized.as_str(), node.relation, existing.signature);
        self.ground.key(&purpose, Some(&node.id), &bound.sql, rendered)
    }

    /// Binds what a model renders to.
    fn bind_rendered(&mut self, rendered: &Rendered, bound: &Bound, cause: Option<Cause>) -> Result<Bind> {
        if let Some(at) = rendered.sql.find('\0') {
            self.diagnostics.push(
                Diagnostic::error(
                    "sql-syntax",
                    format!("`{}` holds a NUL byte, which no SQL can", self.node.name),
                )
                .at(&rendered.locate(at, 1).unwrap_or_else(|| Location::new(&self.node.file, 0..0)), ""),
            );
            return Ok(Bind::Not(broken(self.node)));
        }
        let suspicious = cause.is_some() || bound.sql.contains(';') || has_word(&bound.sql, "pivot");
        if suspicious || bound.sql.trim().is_empty() {
            // What a text is, DuckDB says of some only where their tables are.
            for id in self.ground.may_read(&bound.sql, rendered) {
                self.ground.stand(self.shadow, &id)?;
            }
            match self.shadow.statement(&bound.sql)? {
                Statement::Query => {}
                Statement::DynamicPivot => {
                    let reason = "its PIVOT has no `IN (…)`, so its columns come from the data";
                    return Ok(Bind::Not(unknown_here(self.node, reason.into())));
                }
                other => {
                    self.no_query(rendered, bound, other);
                    return Ok(Bind::Not(broken(self.node)));
                }
            }
        }
        if let Some(cause) = cause {
            return Ok(Bind::Not(State::Unknown(cause)));
        }
        let sql = if bound.sql.contains(';') { without_end(&bound.sql) } else { &bound.sql };
        self.ground.stand_read(self.shadow, rendered)?;
        if let Some(Told { columns, lineage, misfit }) = outputs_of_query(self.shadow.session(), sql)? {
            if let Some(literal) = misfit {
                self.tell_misfit(rendered, bound, &literal);
                return Ok(Bind::Not(broken(self.node)));
            }
            match self.node.config.materialized {
                // A raw table has no second column of a name, where a query has `a` and `a_1`.
                Materialization::Append if columns.iter().any(|column| is_numbered(&column.name)) => {}
                Materialization::Append => {
                    return Ok(Bind::Known {
                        columns: self.raw_columns(columns),
                        lineage: raw_lineage(lineage),
                    });
                }
                _ => return Ok(Bind::Known { columns, lineage }),
            }
        }
        self.bind_slowly(rendered, bound, sql)
    }

    /// Says that a text cannot be what it is taken for.
    fn tell_misfit(&mut self, rendered: &Rendered, bound: &Bound, literal: &Literal) {
        let node = self.node;
        let place = literal.position.and_then(|(at, length)| rendered.locate(bound.to_rendered(at)?, length));
        let place = place.unwrap_or_else(|| Location::new(&node.file, 0..0));
        let message = format!("`{}`: '{}' is no {}", node.name, literal.text, literal.data_type);
        let found = Diagnostic::error("sql-data", message)
            .at(&place, "")
            .help("mend it, or write `try_cast(… as …)`, which gives NULL where a text does not fit");
        self.diagnostics.push(found);
    }

    /// Makes the model's table from its query: the way for what a plan does not show, and to mistakes at their places.
    fn bind_slowly(&mut self, rendered: &Rendered, bound: &Bound, sql: &str) -> Result<Bind> {
        let relation = &self.node.relation;
        let made = self.ground.attempt(self.shadow, |shadow| match self.node.config.materialized {
            Materialization::Append => {
                let given = shadow.session().describe(sql)?;
                shadow.create(relation, &self.raw_columns(given))
            }
            _ => shadow.create_as(relation, sql),
        });
        if let Err(error) = made
            && let Some(bind) = self.explain_failure(rendered, bound, error)?
        {
            return Ok(bind);
        }
        self.ground.stands(&self.node.id);
        let columns = self.shadow.columns(relation).unwrap_or_default();
        let session = self.shadow.session();
        let is_plain = |column: &ColumnType| {
            session.canonical_type(&column.data_type).as_ref() == Some(&column.data_type)
        };
        self.plain = columns.iter().all(is_plain);
        let names =
            |columns: &[ColumnType]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let lineage = match self.node.config.materialized {
            // A raw table has columns that its query does not give: Kiln's own, and those of loads before.
            Materialization::Append => raw_lineage(of_query(session, sql, &names(&session.describe(sql)?))?),
            _ => of_query(session, sql, &names(&columns))?,
        };
        Ok(Bind::Known { columns, lineage })
    }

    /// Says what is wrong, or why nothing can be said; nothing if the table could be made in another way.
    fn explain_failure(
        &mut self,
        rendered: &Rendered,
        bound: &Bound,
        error: SqlError,
    ) -> Result<Option<Bind>> {
        let (ground, node) = (self.ground, self.node);
        if error.class.eq_ignore_ascii_case("parser") {
            match self.shadow.statement(&bound.sql)? {
                Statement::Query => {}
                other => {
                    self.no_query(rendered, bound, other);
                    return Ok(Some(Bind::Not(broken(node))));
                }
            }
        }
        let offset = error.position.and_then(|(at, length)| Some((bound.to_rendered(at)?, length)));
        let lead = format!("`{}`", node.name);
        let state = match judge(&error, ground.workspace.root()) {
            Verdict::OutOfReach(reason) => unknown_here(node, reason),
            Verdict::Outside(path) => {
                let place = rendered.sql.find(&path).and_then(|at| rendered.locate(at, path.len()));
                let place = place.unwrap_or_else(|| node.at.clone());
                let found = ground.workspace.project.file.graded(outside(&lead, &path, &place));
                let wrong = found.as_ref().is_some_and(|found| found.severity == Severity::Error);
                self.diagnostics.extend(found.into_iter().collect());
                if wrong { broken(node) } else { unknown_here(node, OUT_OF_REACH.into()) }
            }
            Verdict::NoTable(name) => {
                if let Some(id) = ground.find_relation(&name).filter(|id| *id != node.id) {
                    if self.patience == Patience::Wait && !ground.is_settled(&id) {
                        return Ok(Some(Bind::Later));
                    }
                    if let Some(State::Unknown(cause)) = ground.known().states.get(&id) {
                        return Ok(Some(Bind::Not(State::Unknown(cause.clone()))));
                    }
                }
                let found = explain(&lead, &error, offset, rendered, &node.file, &[]);
                let (place, _) = found.primary.clone().unwrap_or_else(|| (node.at.clone(), String::new()));
                let message =
                    format!("`{}` reads `{name}`, which nothing in the project declares", node.name);
                let mut known: Vec<&str> = ground.names.keys().map(String::as_str).collect();
                known.sort_unstable();
                let short = name.rsplit('.').next().unwrap_or(&name);
                self.diagnostics.push(
                    Diagnostic::warning("unknown-relation", message)
                        .at(&place, "")
                        .suggest(short, error.candidates.iter().map(String::as_str).chain(known))
                        .help(
                            "declare it as a source, so that its columns are known and its changes are seen",
                        ),
                );
                self.warned = true;
                unknown_here(node, format!("nothing is known of `{name}`, which it reads"))
            }
            Verdict::Wrong => {
                let parents = parents(rendered, |id| ground.column_names(id));
                let found = explain(&lead, &error, offset, rendered, &node.file, &parents);
                self.diagnostics.push(found);
                broken(node)
            }
            // DuckDB ran into a value while it planned; whether a run would meet it, only a run can say.
            Verdict::Value => match self.shadow.session().describe(&bound.sql) {
                Ok(columns) => {
                    self.shadow.create(&node.relation, &columns)?;
                    return Ok(None);
                }
                Err(error) => {
                    let found = explain(&lead, &error, offset, rendered, &node.file, &[]);
                    self.diagnostics.push(found);
                    broken(node)
                }
            },
        };
        Ok(Some(Bind::Not(state)))
    }

    /// The columns of a raw table: what the model gives, and Kiln's own behind it.
    fn raw_columns(&self, mut columns: Vec<ColumnType>) -> Vec<ColumnType> {
        columns.retain(|column| !is_own(&column.name));
        for column in &mut columns {
            if column.data_type.trim_matches('"') == "NULL" {
                column.data_type = "VARCHAR".into();
            }
        }
        // What the model gave before stays in the table.
        for existing in self.ground.options.existing.get(&self.node.id).into_iter().flatten() {
            let known = columns.iter().any(|column| column.name.eq_ignore_ascii_case(&existing.name));
            if !known && !is_own(&existing.name) {
                columns.push(existing.clone());
            }
        }
        let own = OWN_COLUMNS.iter();
        columns
            .extend(own.map(|(name, kind)| ColumnType { name: (*name).into(), data_type: (*kind).into() }));
        columns
    }

    /// Says that a text is not one query.
    fn no_query(&mut self, rendered: &Rendered, bound: &Bound, statement: Statement) {
        let node = self.node;
        let start = Location::new(&node.file, 0..0);
        let starts = statements(&rendered.sql);
        let second = starts.get(1).filter(|_| matches!(statement, Statement::Several(_)));
        let begins = second.or(starts.first()).copied();
        let begins = begins.or_else(|| rendered.sql.find(|c: char| !c.is_whitespace()));
        let word = |at: usize| rendered.sql[at..].find(char::is_whitespace).unwrap_or(1).max(1);
        let at = begins.and_then(|at| rendered.locate(at, word(at))).unwrap_or(start);
        let not_one = |text: &str| {
            Diagnostic::error("not-a-query", format!("`{}` {text}", node.name))
                .at(&at, "")
                .help("a model is one SELECT; what has to be done besides belongs into another model")
        };
        let found = match statement {
            Statement::Several(count) => not_one(&format!("has {count} statements")),
            Statement::Nothing => not_one("renders to nothing"),
            Statement::Broken(error) => {
                let offset = error.position.and_then(|(at, length)| Some((bound.to_rendered(at)?, length)));
                explain(&format!("`{}`", node.name), &error, offset, rendered, &node.file, &[])
            }
            _ => not_one("is not a query"),
        };
        self.diagnostics.push(found);
    }

    /// Relations of the project that a model names without `ref` or `source`.
    fn hard_coded(&self, rendered: &Rendered) -> Vec<HardCoded> {
        let (ground, node) = (self.ground, self.node);
        let mut words = relations::words(&rendered.sql);
        let in_slot = |at: usize| rendered.slots.iter().any(|slot| slot.range.contains(&at));
        if !words.any(|(at, word)| ground.names.contains_key(&word.to_lowercase()) && !in_slot(at)) {
            return Vec::new();
        }
        let tables = relations::tables(&rendered.sql).unwrap_or_default();
        let mut found = Vec::new();
        for table in tables.into_iter().filter(|table| !in_slot(table.at)) {
            let Some(id) = ground.find_relation(&table.name()).filter(|id| *id != node.id) else { continue };
            let call = match ground.workspace.manifest.sources.get(&id) {
                Some(source) => format!("source('{}', '{}')", source.source, source.name),
                None => format!("ref('{}')", id.short()),
            };
            let Some(mut place) = rendered.locate(table.at, table.length) else { continue };
            // Nobody can change what Kiln brings.
            if place.file.path.starts_with("kiln") {
                place = rendered.call(table.at, &node.file).unwrap_or(place);
            }
            let diagnostic = Diagnostic::warning(
                "hard-coded-relation",
                format!("`{}` reads `{}` by its name, past the graph", node.name, table.name()),
            )
            .at(&place, "")
            .help(format!("write `{{{{ {call} }}}}`: then it is built first, and tests see the same data"));
            found.push(HardCoded { node: id, diagnostic });
        }
        found
    }
}

/// The SQL for people: published names, ephemeral models pasted in.
pub(super) fn published(ground: &Ground<'_>, rendered: &Rendered) -> String {
    let known = ground.known();
    match rendered.slots.iter().any(|slot| known.inline.contains_key(&slot.node)) {
        true => bind(rendered, &known.inline, Reading::Now).sql,
        false if rendered.sql.contains(';') => without_end(&rendered.sql).trim_end().to_owned(),
        false => rendered.sql.trim_end().to_owned(),
    }
}

/// Kiln's own columns come from no query.
fn raw_lineage(mut lineage: Lineage) -> Lineage {
    lineage.columns.retain(|column| !is_own(&column.output));
    lineage
}

fn is_own(name: &str) -> bool {
    OWN_COLUMNS.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
}

/// Whether DuckDB may have given a column this name because another has its own.
fn is_numbered(name: &str) -> bool {
    name.rsplit_once('_')
        .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
}

fn settled(state: State) -> Step {
    Step::Settled(Box::new(Settled {
        state,
        compiled: None,
        shape: None,
        lineage: None,
        diagnostics: Diagnostics::new(),
        messages: Vec::new(),
        warned: false,
        remembered: false,
        key: None,
    }))
}

fn broken(node: &Node) -> State {
    State::Unknown(Cause { root: node.id.clone(), reason: None })
}

fn unknown_here(node: &Node, reason: String) -> State {
    State::Unknown(Cause { root: node.id.clone(), reason: Some(reason) })
}

fn because(root: &NodeId, reason: &str) -> String {
    format!("the columns of `{}` are not known: {reason}", root.short())
}
