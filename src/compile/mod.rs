//! Compiling: every model is rendered and bound in an in-memory DuckDB of empty tables. Exact names and types of every
//! column come out, or what is wrong, at the place in the template that the user wrote. No warehouse is needed and no data
//! is read.
//!
//! What cannot be known is `unknown`, with its cause: never an error, and never silence.

mod artifacts;
mod checks;
mod increment;
mod known;
mod lineage;
mod names;
mod outside;
#[cfg(test)]
mod tests;
mod unknown;
mod verdict;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::engine::explain::{explain, parents};
use crate::engine::load::{OWN_COLUMNS, SourceColumn};
use crate::engine::session::{ColumnType, SqlError};
use crate::engine::shadow::{Shadow, Statement};
use crate::error::Result;
use crate::manifest::{Materialization, Node};
use crate::names::{Fingerprint, NodeId};
use crate::run::candidate::{Candidate, Candidates, Physical, Reading, bind};
use crate::sql::relations;
use crate::sql::rendered::Rendered;
use crate::sql::tokens::without_end;
use crate::workspace::Workspace;

use names::CompileNames;
use verdict::{Verdict, judge};

pub use artifacts::{write_catalog, write_compiled};
pub use known::known_to;
pub use lineage::lineage;

/// What is known beforehand. The default is nothing: the project alone.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions {
    /// Columns that earlier loads of a source have seen, from the ledger.
    pub loaded: BTreeMap<NodeId, Vec<SourceColumn>>,
    /// Columns of relations that exist in the database: raw tables, and sources without files.
    pub existing: BTreeMap<NodeId, Vec<ColumnType>>,
}

/// A compiled project.
pub struct Compiled {
    /// Models and seeds; those whose templates do not render are left out.
    pub models: BTreeMap<NodeId, CompiledNode>,
    /// Source tables whose columns are known.
    pub sources: BTreeMap<NodeId, Vec<ColumnType>>,
    /// The SQL of tests, with published names.
    pub tests: BTreeMap<NodeId, String>,
    /// Everything that is wrong, and notes on what could not be checked.
    pub diagnostics: Diagnostics,
    /// The database of empty tables, under the published names, for further questions.
    pub shadow: Shadow,
    /// What stands under another name in the shadow: sources with files.
    aside: Candidates,
}

/// A compiled model or seed.
#[derive(Debug, Clone)]
pub struct CompiledNode {
    /// What its template renders to. Nothing for a seed.
    pub rendered: Rendered,
    /// The SQL with published names, ephemeral parents pasted in: it can be run in any DuckDB shell.
    pub sql: String,
    /// Its columns, where they are known.
    pub columns: Option<Vec<ColumnType>>,
    /// Why they are not, if they are not and nothing is wrong with it itself.
    pub unknown: Option<String>,
}

/// Compiles a project.
///
/// # Errors
/// The machine failed. What is wrong with the project is in the diagnostics.
pub fn compile(workspace: &Workspace, options: &CompileOptions) -> Result<Compiled> {
    let opening = workspace.opening("compile", std::time::Duration::ZERO);
    let database = opening.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let shadow = Shadow::open(&database.unwrap_or_default(), &opening.settings)?;
    let manifest = &workspace.manifest;
    let schemas = manifest
        .nodes
        .values()
        .map(|node| &node.relation)
        .chain(manifest.sources.values().map(|source| &source.relation))
        .map(|relation| relation.schema.as_str());
    shadow.create_schemas(schemas.chain([outside::SCHEMA]))?;
    let mut compiler = Compiler {
        workspace,
        options,
        shadow,
        candidates: Candidates::new(),
        inline: Candidates::new(),
        states: HashMap::new(),
        nodes: BTreeMap::new(),
        sources: BTreeMap::new(),
        tests: BTreeMap::new(),
        names: relation_names(workspace),
        warned: HashSet::new(),
        reported: HashSet::new(),
        diagnostics: Diagnostics::new(),
    };
    compiler.read_outside()?;
    compiler.shadow.seal()?;
    compiler.bind_models()?;
    compiler.take_columns()?;
    compiler.check_contracts();
    compiler.check_tests()?;
    compiler.check_consumers()?;
    compiler.tell_unknown();
    Ok(Compiled {
        models: compiler.nodes,
        sources: compiler.sources,
        tests: compiler.tests,
        diagnostics: compiler.diagnostics,
        shadow: compiler.shadow,
        aside: compiler.candidates,
    })
}

/// What is known of a node or source.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It stands in the shadow.
    Known,
    /// It does not, because of itself or of what it reads.
    Unknown(Cause),
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    /// Where the ignorance begins.
    root: NodeId,
    /// Why there; `None` where something is wrong, which has been said.
    reason: Option<String>,
}

/// What became of a model.
enum Step {
    Settled(State),
    /// It names a relation that is still to come.
    Later,
}

struct Compiler<'a> {
    workspace: &'a Workspace,
    options: &'a CompileOptions,
    shadow: Shadow,
    /// What stands under another name in the shadow: sources with files.
    candidates: Candidates,
    /// Ephemeral models, to be pasted into what people see.
    inline: Candidates,
    states: HashMap<NodeId, State>,
    nodes: BTreeMap<NodeId, CompiledNode>,
    sources: BTreeMap<NodeId, Vec<ColumnType>>,
    tests: BTreeMap<NodeId, String>,
    /// Nodes and sources by the name of their relation, in lower case.
    names: HashMap<String, Vec<NodeId>>,
    /// Models whose ignorance has been said.
    warned: HashSet<NodeId>,
    /// Columns whose absence has been said, by node, in lower case.
    reported: HashSet<(NodeId, String)>,
    diagnostics: Diagnostics,
}

impl Compiler<'_> {
    /// Binds models, parents first. A hard-coded name is an edge that the graph does not know, so a model with one may
    /// have to wait.
    fn bind_models(&mut self) -> Result<()> {
        let workspace = self.workspace;
        let mut left: Vec<&Node> = workspace
            .topological()
            .iter()
            .filter(|id| !self.states.contains_key(*id))
            .filter_map(|id| workspace.manifest.nodes.get(id))
            .collect();
        let mut patience = Patience::Wait;
        while !left.is_empty() {
            let before = left.len();
            let mut waiting = Vec::new();
            for node in left {
                let ready = node.depends_on.iter().all(|dependency| {
                    self.states.contains_key(&dependency.node)
                        || !workspace.manifest.nodes.contains_key(&dependency.node)
                });
                match ready {
                    true => match self.bind_model(node, patience)? {
                        Step::Settled(state) => {
                            self.states.insert(node.id.clone(), state);
                        }
                        Step::Later => waiting.push(node),
                    },
                    false => waiting.push(node),
                }
            }
            left = waiting;
            if left.len() == before {
                patience = Patience::None;
            }
        }
        Ok(())
    }

    fn bind_model(&mut self, node: &Node, patience: Patience) -> Result<Step> {
        let cause = self.cause(node.depends_on.iter().map(|dependency| &dependency.node));
        let names = CompileNames::new(self.workspace, &self.candidates, &self.shadow, cause.as_ref());
        let rendered = match self.workspace.render(node, &names) {
            Ok(rendered) => rendered,
            Err(problems) => {
                return Ok(Step::Settled(match names.needs() {
                    Some(reason) => self.unknown(node, cause, reason),
                    None => {
                        self.diagnostics.extend(problems);
                        broken(node)
                    }
                }));
            }
        };
        let hard_coded = self.hard_coded(node, &rendered);
        let waits =
            |id: &NodeId| self.workspace.manifest.nodes.contains_key(id) && !self.states.contains_key(id);
        if patience == Patience::Wait && hard_coded.iter().any(|found| waits(&found.node)) {
            return Ok(Step::Later);
        }
        for found in hard_coded {
            self.diagnostics.push(found.diagnostic);
        }
        let sql = self.published(&rendered);
        if node.config.materialized == Materialization::Ephemeral {
            self.inline.insert(
                node.id.clone(),
                Candidate {
                    fingerprint: Fingerprint::of([]),
                    physical: Physical::Inline(Box::new(rendered.clone())),
                    rows: None,
                    intervals: None,
                },
            );
        }
        let state = self.bind_rendered(node, &rendered, cause)?;
        if state == State::Known {
            self.check_increment(node, &rendered)?;
        }
        let unknown = match &state {
            State::Unknown(Cause { root, reason: Some(reason) }) => Some(because(root, reason)),
            State::Unknown(Cause { root, reason: None }) if *root != node.id => {
                Some(format!("`{}` has errors", root.short()))
            }
            _ => None,
        };
        self.nodes.insert(node.id.clone(), CompiledNode { rendered, sql, columns: None, unknown });
        Ok(Step::Settled(state))
    }

    /// Binds what a model renders to, and makes its empty table.
    fn bind_rendered(&mut self, node: &Node, rendered: &Rendered, cause: Option<Cause>) -> Result<State> {
        let bound = bind(rendered, &self.candidates, Reading::Now);
        let suspicious = cause.is_some() || bound.sql.contains(';') || has_word(&bound.sql, "pivot");
        if suspicious || bound.sql.trim().is_empty() {
            match self.shadow.statement(&bound.sql)? {
                Statement::Query => {}
                Statement::DynamicPivot => {
                    let reason = "its PIVOT has no `IN (…)`, so its columns come from the data";
                    return Ok(unknown_here(node, reason.into()));
                }
                other => {
                    self.no_query(node, rendered, &bound, other);
                    return Ok(broken(node));
                }
            }
        }
        if let Some(cause) = cause {
            return Ok(State::Unknown(cause));
        }
        let sql = if bound.sql.contains(';') { without_end(&bound.sql) } else { &bound.sql };
        let result = match node.config.materialized {
            Materialization::Append => self.create_raw(node, sql),
            _ => self.shadow.create_as(&node.relation, sql),
        };
        let Err(error) = result else { return Ok(State::Known) };
        self.explain_failure(node, rendered, &bound, error)
    }

    fn explain_failure(
        &mut self,
        node: &Node,
        rendered: &Rendered,
        bound: &crate::run::candidate::Bound,
        error: SqlError,
    ) -> Result<State> {
        if error.class.eq_ignore_ascii_case("parser") {
            match self.shadow.statement(&bound.sql)? {
                Statement::Query => {}
                other => {
                    self.no_query(node, rendered, bound, other);
                    return Ok(broken(node));
                }
            }
        }
        let offset = error.position.and_then(|(at, length)| Some((bound.to_rendered(at)?, length)));
        let lead = format!("`{}`", node.name);
        match judge(&error) {
            Verdict::OutOfReach(reason) => Ok(unknown_here(node, reason)),
            Verdict::NoTable(name) => {
                let elsewhere = self.find_relation(&name).filter(|id| self.states.contains_key(id));
                if let Some(State::Unknown(cause)) = elsewhere.and_then(|id| self.states.get(&id)) {
                    return Ok(State::Unknown(cause.clone()));
                }
                let found = explain(&lead, &error, offset, rendered, &node.file, &[]);
                let (place, _) = found.primary.clone().unwrap_or_else(|| (node.at.clone(), String::new()));
                let message =
                    format!("`{}` reads `{name}`, which nothing in the project declares", node.name);
                let known = self.names.keys().map(String::as_str);
                let short = name.rsplit('.').next().unwrap_or(&name);
                self.diagnostics.push(
                    Diagnostic::warning("unknown-relation", message)
                        .at(&place, "")
                        .suggest(short, error.candidates.iter().map(String::as_str).chain(known))
                        .help(
                            "declare it as a source, so that its columns are known and its changes are seen",
                        ),
                );
                self.warned.insert(node.id.clone());
                Ok(unknown_here(node, format!("nothing is known of `{name}`, which it reads")))
            }
            Verdict::Wrong => {
                let parents = parents(rendered, |id| self.column_names(id));
                let found = explain(&lead, &error, offset, rendered, &node.file, &parents);
                self.diagnostics.push(found);
                Ok(broken(node))
            }
            // DuckDB ran into a value while it planned; whether a run would meet it, only a run can say.
            Verdict::Value => match self.shadow.session().describe(&bound.sql) {
                Ok(columns) => {
                    self.shadow.create(&node.relation, &columns)?;
                    Ok(State::Known)
                }
                Err(error) => {
                    let found = explain(&lead, &error, offset, rendered, &node.file, &[]);
                    self.diagnostics.push(found);
                    Ok(broken(node))
                }
            },
        }
    }

    /// A raw table: what the model gives, and Kiln's own columns behind it.
    fn create_raw(&self, node: &Node, sql: &str) -> Result<(), SqlError> {
        let own = |name: &str| OWN_COLUMNS.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut columns = self.shadow.session().describe(sql)?;
        columns.retain(|column| !own(&column.name));
        for column in &mut columns {
            if column.data_type.trim_matches('"') == "NULL" {
                column.data_type = "VARCHAR".into();
            }
        }
        // What the model gave before stays in the table.
        for existing in self.options.existing.get(&node.id).into_iter().flatten() {
            let known = columns.iter().any(|column| column.name.eq_ignore_ascii_case(&existing.name));
            if !known && !own(&existing.name) {
                columns.push(existing.clone());
            }
        }
        columns.extend(
            OWN_COLUMNS
                .iter()
                .map(|(name, kind)| ColumnType { name: (*name).into(), data_type: (*kind).into() }),
        );
        self.shadow.create(&node.relation, &columns)
    }

    /// Says that a text is not one query.
    fn no_query(
        &mut self,
        node: &Node,
        rendered: &Rendered,
        bound: &crate::run::candidate::Bound,
        statement: Statement,
    ) {
        let start = Location::new(&node.file, 0..0);
        let at = rendered.sql.find(|c: char| !c.is_whitespace()).and_then(|at| rendered.locate(at, 1));
        let at = at.unwrap_or(start);
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

    /// The SQL for people: published names, ephemeral models pasted in.
    fn published(&self, rendered: &Rendered) -> String {
        match rendered.slots.iter().any(|slot| self.inline.contains_key(&slot.node)) {
            true => bind(rendered, &self.inline, Reading::Now).sql,
            false => without_end(&rendered.sql).trim_end().to_owned(),
        }
    }

    /// Relations of the project that a model names without `ref` or `source`.
    fn hard_coded(&self, node: &Node, rendered: &Rendered) -> Vec<HardCoded> {
        let mut words = relations::words(&rendered.sql);
        if !words.any(|(at, word)| {
            self.names.contains_key(&word.to_lowercase())
                && !rendered.slots.iter().any(|slot| slot.range.contains(&at))
        }) {
            return Vec::new();
        }
        let tables = relations::tables(&rendered.sql).unwrap_or_default();
        let outside = tables
            .into_iter()
            .filter(|table| !rendered.slots.iter().any(|slot| slot.range.contains(&table.at)));
        let mut found = Vec::new();
        for table in outside {
            let Some(id) = self.find_relation(&table.name()).filter(|id| *id != node.id) else { continue };
            let call = match self.workspace.manifest.sources.get(&id) {
                Some(source) => format!("source('{}', '{}')", source.source, source.name),
                None => format!("ref('{}')", id.short()),
            };
            let Some(place) = rendered.locate(table.at, table.length) else { continue };
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

    /// The node or source of a written name: `schema.name`, or `name` in `main`.
    fn find_relation(&self, written: &str) -> Option<NodeId> {
        let parts: Vec<String> =
            written.split('.').map(|part| part.trim_matches('"').to_lowercase()).collect();
        let (schema, name) = match parts.as_slice() {
            [.., schema, name] => (schema.as_str(), name),
            [name] => ("main", name),
            [] => return None,
        };
        let manifest = &self.workspace.manifest;
        self.names.get(name)?.iter().find_map(|id| {
            let relation = manifest.nodes.get(id).map(|node| &node.relation);
            let relation = relation.or_else(|| manifest.sources.get(id).map(|source| &source.relation))?;
            relation.schema.eq_ignore_ascii_case(schema).then(|| id.clone())
        })
    }

    /// The first cause among parents, if one of them is not known.
    fn cause<'n>(&self, parents: impl Iterator<Item = &'n NodeId>) -> Option<Cause> {
        parents.into_iter().find_map(|id| match self.states.get(id) {
            Some(State::Unknown(cause)) => Some(cause.clone()),
            _ => None,
        })
    }

    fn unknown(&mut self, node: &Node, cause: Option<Cause>, reason: String) -> State {
        match cause {
            Some(cause) => State::Unknown(cause),
            None => unknown_here(node, reason),
        }
    }

    /// The columns of something that stands in the shadow.
    fn columns(&self, id: &NodeId) -> Option<Vec<ColumnType>> {
        if let Some(columns) = self.sources.get(id) {
            return Some(columns.clone());
        }
        if let Some(columns) = self.nodes.get(id).and_then(|node| node.columns.clone()) {
            return Some(columns);
        }
        if self.states.get(id) != Some(&State::Known) {
            return None;
        }
        self.shadow.columns(&self.workspace.manifest.nodes.get(id)?.relation)
    }

    fn column_names(&self, id: &NodeId) -> Option<Vec<String>> {
        Some(self.columns(id)?.into_iter().map(|column| column.name).collect())
    }

    /// Takes over the columns of all tables at once.
    fn take_columns(&mut self) -> Result<()> {
        let mut all = self.shadow.all_columns()?;
        for (id, compiled) in &mut self.nodes {
            let Some(node) = self.workspace.manifest.nodes.get(id) else { continue };
            if self.states.get(id) == Some(&State::Known) {
                let key = (node.relation.schema.to_lowercase(), node.relation.name.to_lowercase());
                compiled.columns = all.remove(&key);
            }
        }
        Ok(())
    }
}

/// Whether a model waits for what it names by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Wait,
    None,
}

/// A relation that is named without `ref`.
struct HardCoded {
    node: NodeId,
    diagnostic: Diagnostic,
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

fn has_word(sql: &str, wanted: &str) -> bool {
    relations::words(sql).any(|(_, word)| word.eq_ignore_ascii_case(wanted))
}

fn relation_names(workspace: &Workspace) -> HashMap<String, Vec<NodeId>> {
    let mut names: HashMap<String, Vec<NodeId>> = HashMap::new();
    let manifest = &workspace.manifest;
    let nodes = manifest.nodes.values().map(|node| (&node.relation, &node.id));
    let sources = manifest.sources.values().map(|source| (&source.relation, &source.id));
    for (relation, id) in nodes.chain(sources) {
        names.entry(relation.name.to_lowercase()).or_default().push(id.clone());
    }
    names
}
