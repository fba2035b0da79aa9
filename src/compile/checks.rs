//! Checks on what was inferred: contracts, tests, and the consumers' own queries.

use std::collections::HashSet;

use crate::check::query;
use crate::contract::{self, ColumnFinding};
use crate::diagnostic::{Diagnostic, Location, Severity};
use crate::engine::explain::{Parent, explain, explain_at, parents};
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::SqlError;
use crate::error::Result;
use crate::manifest::{Materialization, Test, TestConfig, TestKind};
use crate::names::NodeId;
use crate::run::candidate::{Candidate, Candidates, Physical, Reading, bind};
use crate::sql::rendered::Rendered;

use super::names::CompileNames;
use super::verdict::{Verdict, judge};
use super::{Compiler, State};

/// Tests that are bound in one statement.
const BATCH: usize = 64;

/// A test that is ready to be bound.
struct Ready<'a> {
    test: &'a Test,
    rendered: Rendered,
    /// The query that counts its failures, as a run runs it.
    sql: String,
}

impl Compiler<'_> {
    /// Compares promised columns with inferred ones.
    pub(super) fn check_contracts(&mut self) {
        let own = |name: &str| OWN_COLUMNS.iter().any(|(own, _)| *own == name);
        for (id, contract) in &self.workspace.manifest.contracts {
            let Some(node) = self.workspace.manifest.nodes.get(id) else { continue };
            let Some(columns) = self.nodes.get(id).and_then(|node| node.columns.clone()) else { continue };
            let actual: Vec<(String, String)> = columns
                .into_iter()
                .filter(|column| node.config.materialized != Materialization::Append || !own(&column.name))
                .map(|column| (column.name, column.data_type))
                .collect();
            let canonical = |written: &str| self.shadow.session().canonical_type(written);
            for finding in contract::check_columns(contract, &actual, &canonical) {
                if let ColumnFinding::MissingColumn { column, .. } = &finding {
                    self.reported.insert((id.clone(), column.to_lowercase()));
                }
                if matches!(finding, ColumnFinding::ExtraColumn { .. }) {
                    continue;
                }
                let mut found = finding.diagnostic(contract);
                if contract.is_unstable() && found.severity == Severity::Error {
                    found.severity = Severity::Warning;
                }
                self.diagnostics.push(found);
            }
        }
    }

    /// Renders and binds every test whose models are known.
    pub(super) fn check_tests(&mut self) -> Result<()> {
        let workspace = self.workspace;
        let candidates = self.tested();
        let shortcut = Shortcut::new(self)?;
        let mut ready = Vec::new();
        for test in workspace.manifest.tests.values() {
            let reads = test.depends_on.iter().map(|dependency| &dependency.node).chain(&test.node);
            let landed = reads.filter_map(|id| match workspace.manifest.sources.get(id) {
                Some(source) if source.files.is_some() => workspace.landing_of(id).or(Some(id)),
                _ => Some(id),
            });
            let cause = self.cause(landed);
            let names = CompileNames::new(workspace, &candidates, &self.shadow, cause.as_ref());
            let rendered = match workspace.render_test(test, &names) {
                Ok(rendered) => rendered,
                Err(_) if names.needs().is_some() => continue,
                Err(problems) => {
                    self.diagnostics.extend(problems);
                    continue;
                }
            };
            self.tests.insert(test.id.clone(), self.published(&rendered));
            if cause.is_none() && !shortcut.binds(self, test, &rendered) {
                let bound = bind(&rendered, &candidates, Reading::Now);
                ready.push(Ready { test, rendered, sql: query::count(&bound.sql, &test.config) });
            }
        }
        for chunk in ready.chunks(BATCH) {
            let all = chunk.iter().enumerate().map(|(at, ready)| {
                let union = if at == 0 { "" } else { "\nunion all\n" };
                format!("{union}({})", ready.sql)
            });
            if self.shadow.session().describe(&all.collect::<String>()).is_ok() {
                continue;
            }
            for ready in chunk {
                if let Err(error) = self.shadow.session().describe(&ready.sql) {
                    self.tell_test(ready, &error)?;
                }
            }
        }
        Ok(())
    }

    /// Where tests find what they read: a source with files is tested where it lands.
    fn tested(&self) -> Candidates {
        let manifest = &self.workspace.manifest;
        let sources = manifest.sources.values().filter(|source| source.files.is_some());
        sources
            .filter_map(|source| {
                let landing = manifest.nodes.get(self.workspace.landing_of(&source.id)?)?;
                let physical = Physical::Source(landing.relation.clone());
                let fingerprint = crate::names::Fingerprint::of([]);
                Some((source.id.clone(), Candidate { fingerprint, physical, rows: None, intervals: None }))
            })
            .collect()
    }

    fn tell_test(&mut self, ready: &Ready<'_>, error: &SqlError) -> Result<()> {
        let test = ready.test;
        match judge(error) {
            Verdict::Wrong => {}
            // What only a run can tell is left to it.
            _ => return Ok(()),
        }
        let columns = |id: &NodeId| {
            let landed = self.workspace.manifest.sources.get(id).filter(|source| source.files.is_some());
            let id = landed.and_then(|source| self.workspace.landing_of(&source.id)).unwrap_or(id);
            self.column_names(id)
        };
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
                    self.diagnostics.push(found);
                }
                return Ok(());
            }
        }
        let lead = format!("the test `{}`", test.name);
        let parents: Vec<Parent> = parents(&ready.rendered, columns);
        let found = match &test.kind {
            TestKind::Singular { file } => {
                // Bound by itself, its positions are those of its own text.
                let bound = bind(&ready.rendered, &self.tested(), Reading::Now);
                let own = self.shadow.session().describe(&bound.sql).err();
                let offset = own.as_ref().and_then(|error| error.position);
                let offset = offset.and_then(|(at, length)| Some((bound.to_rendered(at)?, length)));
                explain(&lead, own.as_ref().unwrap_or(error), offset, &ready.rendered, file, &parents)
            }
            _ => explain_at(&lead, error, &test.at, &parents),
        };
        self.diagnostics.push(found);
        Ok(())
    }

    /// Checks what consumers say that they read: their queries and their columns.
    pub(super) fn check_consumers(&mut self) -> Result<()> {
        let workspace = self.workspace;
        for exposure in workspace.manifest.exposures.values() {
            for (model, wanted) in &exposure.columns {
                let Ok(node) = workspace.find_node(None, model) else { continue };
                let Some(known) = self.column_names(&node.id) else { continue };
                for column in wanted {
                    if known.iter().any(|known| known.eq_ignore_ascii_case(&column.value)) {
                        continue;
                    }
                    let message =
                        format!("`{}` reads `{model}.{}`, which does not exist", exposure.name, column.value);
                    let found = Diagnostic::error("consumer-column", message)
                        .at(&column.at, "")
                        .suggest(&column.value, known.iter().map(String::as_str));
                    self.diagnostics.push(found);
                }
            }
            let cause = self.cause(exposure.depends_on.iter().map(|dependency| &dependency.node));
            for query in exposure.queries.iter().filter(|_| cause.is_none()) {
                let Err(error) = self.shadow.session().describe(&query.value) else { continue };
                let place = inside(&query.at, &query.value, error.position);
                let lead = format!("a query of `{}`", exposure.name);
                let parents: Vec<Parent> = exposure
                    .depends_on
                    .iter()
                    .filter_map(|dependency| {
                        let name = dependency.node.short().to_owned();
                        Some(Parent {
                            alias: name.clone(),
                            name,
                            columns: Some(self.column_names(&dependency.node)?),
                        })
                    })
                    .collect();
                match judge(&error) {
                    Verdict::Wrong => self.diagnostics.push(explain_at(&lead, &error, &place, &parents)),
                    Verdict::NoTable(name) => {
                        let node = self.find_relation(&name);
                        let unknown =
                            node.and_then(|id| self.states.get(&id)).is_some_and(|s| *s != State::Known);
                        if !unknown {
                            let message =
                                format!("{lead} reads `{name}`, which nothing in the project declares");
                            let found = Diagnostic::warning("unknown-relation", message).at(&place, "");
                            self.diagnostics
                                .push(found.suggest(&name, error.candidates.iter().map(String::as_str)));
                        }
                    }
                    Verdict::OutOfReach(_) | Verdict::Value => {}
                }
            }
        }
        Ok(())
    }
}

/// Knows without asking DuckDB that the most common tests bind: that is most of the time of compiling a large project.
struct Shortcut {
    /// Words that are no column's name without quotes.
    keywords: HashSet<String>,
}

impl Shortcut {
    fn new(compiler: &Compiler<'_>) -> Result<Self> {
        let sql = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'";
        let rows = compiler.shadow.session().rows(sql)?;
        Ok(Self { keywords: rows.into_iter().flatten().flatten().collect() })
    }

    /// Whether a test is one of Kiln's own that take a column of any type, on a column that is there.
    fn binds(&self, compiler: &Compiler<'_>, test: &Test, rendered: &Rendered) -> bool {
        let TestKind::Generic { name, args } = &test.kind else { return false };
        let (Some(column), Some(tested)) = (&test.column, &test.node) else { return false };
        let usual = TestConfig::default();
        let is_plain = test.config.fail_calc == usual.fail_calc && test.config.where_clause.is_none();
        if !is_plain || !compiler.workspace.is_builtin_test(name) {
            return false;
        }
        let Some(data_type) = self.type_of(compiler, tested, column) else { return false };
        match name.as_str() {
            "unique" | "not_null" => args.is_empty(),
            // Two columns of one type can be compared.
            "relationships" => {
                let field = args.get("field").and_then(serde_json::Value::as_str);
                let mut others = rendered.slots.iter().map(|slot| &slot.node).filter(|id| *id != tested);
                let other = others.next().unwrap_or(tested);
                args.len() == 2
                    && others.next().is_none()
                    && field.and_then(|field| self.type_of(compiler, other, field)) == Some(data_type)
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
    fn type_of<'c>(&self, compiler: &'c Compiler<'_>, id: &NodeId, column: &str) -> Option<&'c str> {
        let starts = column.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = starts && column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || self.keywords.contains(&column.to_lowercase()) {
            return None;
        }
        let columns = compiler.nodes.get(id)?.columns.as_ref()?;
        let found = columns.iter().find(|known| known.name.eq_ignore_ascii_case(column))?;
        Some(&found.data_type)
    }
}

/// A place inside a text of a YAML file, where the file holds the text as it is.
fn inside(at: &Location, text: &str, position: Option<(usize, usize)>) -> Location {
    let exact = || {
        let (offset, length) = position?;
        let written = at.file.text.get(at.span.clone())?;
        let start = at.span.start + written.find(text)? + offset;
        Some(Location::new(&at.file, start..(start + length).min(at.span.end)))
    };
    exact().unwrap_or_else(|| at.clone())
}
