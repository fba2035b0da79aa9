//! Checks on what was inferred: contracts, and the consumers' own queries.

use crate::contract::{self, ColumnFinding};
use crate::diagnostic::{Diagnostic, Location, Severity};
use crate::engine::explain::{Parent, explain_at};
use crate::engine::lineage::of_query;
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::SqlError;
use crate::error::Result;
use crate::manifest::Materialization;
use crate::names::NodeId;
use crate::sql::lineage::Lineage;
use crate::sql::rendered::Rendered;
use crate::sql::tokens::without_end;

use super::lineage::ANY;
use super::verdict::{Verdict, judge};
use super::{Compiler, State};

impl Compiler<'_> {
    /// Compares promised columns with inferred ones.
    pub(super) fn check_contracts(&mut self) {
        let own = |name: &str| OWN_COLUMNS.iter().any(|(own, _)| *own == name);
        let workspace = self.ground.workspace;
        for (id, node) in &workspace.manifest.nodes {
            let (declared, published) = (contract::enforced(node), workspace.manifest.contracts.get(id));
            let Some(contract) = published.or(declared.as_ref()) else { continue };
            let Some(columns) = self.nodes.get(id).and_then(|node| node.columns.clone()) else { continue };
            let actual: Vec<(String, String)> = columns
                .into_iter()
                .filter(|column| node.config.materialized != Materialization::Append || !own(&column.name))
                .map(|column| (column.name, column.data_type))
                .collect();
            let canonical = |written: &str| self.canonical_type(written);
            let findings = match published {
                Some(contract) => contract::check_columns(contract, &actual, &canonical),
                None => contract::check_declared(contract, &actual, &canonical),
            };
            for finding in findings {
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
                self.tell(id, found);
            }
        }
    }

    /// Checks what consumers say that they read: their queries and their columns.
    pub(super) fn check_consumers(&mut self) -> Result<()> {
        let workspace = self.ground.workspace;
        for exposure in workspace.manifest.exposures.values() {
            for (model, wanted) in &exposure.columns {
                let Ok(node) = workspace.find_node(None, model) else { continue };
                let Some(known) = self.ground.column_names(&node.id) else { continue };
                for column in wanted {
                    if known.iter().any(|known| known.eq_ignore_ascii_case(&column.value)) {
                        continue;
                    }
                    let message =
                        format!("`{}` reads `{model}.{}`, which does not exist", exposure.name, column.value);
                    let found = Diagnostic::error("consumer-column", message)
                        .at(&column.at, "")
                        .suggest(&column.value, known.iter().map(String::as_str));
                    self.tell(&exposure.id, found);
                }
            }
            let cause = self.ground.cause(exposure.depends_on.iter().map(|dependency| &dependency.node));
            for query in &exposure.queries {
                if cause.is_some() {
                    self.add_query(&exposure.id, unknown("what it reads is not known"));
                    continue;
                }
                let error = match self.read_query(&query.value) {
                    Ok(lineage) => {
                        self.add_query(&exposure.id, lineage);
                        continue;
                    }
                    Err(error) => error,
                };
                self.add_query(&exposure.id, unknown("it does not bind"));
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
                            columns: Some(self.ground.column_names(&dependency.node)?),
                        })
                    })
                    .collect();
                match judge(&error) {
                    Verdict::Wrong => self.tell(&exposure.id, explain_at(&lead, &error, &place, &parents)),
                    Verdict::NoTable(name) => {
                        let node = self.ground.find_relation(&name);
                        let known = self.ground.known();
                        let is_unknown =
                            node.and_then(|id| known.states.get(&id)).is_some_and(|s| *s != State::Known);
                        drop(known);
                        if !is_unknown {
                            let message =
                                format!("{lead} reads `{name}`, which nothing in the project declares");
                            let found = Diagnostic::warning("unknown-relation", message).at(&place, "");
                            let offered = error.candidates.iter().map(String::as_str);
                            self.tell(&exposure.id, found.suggest(&name, offered));
                        }
                    }
                    Verdict::OutOfReach(_) | Verdict::Value => {}
                }
            }
        }
        Ok(())
    }

    fn add_query(&mut self, exposure: &NodeId, lineage: Lineage) {
        self.consumers.entry(exposure.clone()).or_default().push(lineage);
    }

    /// What a query reads, from DuckDB or from an earlier compile.
    fn read_query(&mut self, sql: &str) -> Result<Lineage, SqlError> {
        let key = self.ground.key("query", None, sql, &Rendered::default());
        let memory = self.ground.options.memory.clone();
        let known = key.as_ref().and_then(|key| memory.as_ref()?.model(key));
        let (columns, lineage) = match known {
            Some(known) => known,
            None => {
                // DuckDB names a table that it misses without its schema.
                for id in self.ground.may_read(sql, &Rendered::default()) {
                    self.ground.stand(self.shadow(), &id)?;
                }
                let sql = without_end(sql);
                let columns = self.ground.describe(self.shadow(), sql)?;
                let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                let lineage = of_query(self.shadow().session(), sql, &names)?;
                (columns, lineage)
            }
        };
        if let Some(key) = &key {
            self.notes.model(key, &columns, &lineage, memory.as_deref());
        }
        Ok(lineage)
    }
}

/// A query may read any column.
fn unknown(reason: &str) -> Lineage {
    Lineage::unknown(&[ANY.to_owned()], reason)
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
