//! Outside: what is known of sources and seeds. This is the only part that reads files, and it reads none but those that
//! the project declares.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::load::{self, Looked};
use crate::engine::seed;
use crate::engine::session::ColumnType;
use crate::error::{Error, Result};
use crate::manifest::{Node, NodeKind, SourceTable};
use crate::names::Relation;
use crate::run::candidate::{Candidates, Physical};
use crate::workspace::Workspace;

use super::ground::{Shape, candidate};
use super::{Cause, Compiler, State};

/// The schema of sources with files: in a run they are no relations, so their published names stay free.
pub(super) const SCHEMA: &str = "_kiln_source";

/// Types that people write.
const TYPES: [&str; 18] = [
    "bigint",
    "blob",
    "boolean",
    "date",
    "decimal",
    "double",
    "float",
    "hugeint",
    "int",
    "integer",
    "interval",
    "json",
    "smallint",
    "text",
    "time",
    "timestamp",
    "uuid",
    "varchar",
];
/// The relation that a source is while queries are bound.
pub fn stands_as(source: &SourceTable) -> Relation {
    match source.files {
        Some(_) => Relation::new(SCHEMA, source.id.short()),
        None => source.relation.clone(),
    }
}

/// The sources with files, where they stand while queries are bound.
pub fn set_aside(workspace: &Workspace) -> Candidates {
    let sources = workspace.manifest.sources.values().filter(|source| source.files.is_some());
    sources.map(|source| (source.id.clone(), candidate(Physical::Source(stands_as(source))))).collect()
}

impl Compiler<'_> {
    /// Makes the empty tables of sources and seeds.
    pub(super) fn read_outside(&mut self) -> Result<()> {
        let workspace = self.ground.workspace;
        for source in workspace.manifest.sources.values() {
            let known = match self.look(source) {
                Ok(known) => known,
                Err(Error::Project(problems)) => {
                    self.tell(&source.id, problems);
                    Err(None)
                }
                Err(error) => return Err(error),
            };
            match known {
                Ok(columns) => {
                    self.create_source(source, &columns)?;
                    self.ground.settle(&source.id, State::Known, Some(Shape::new(columns.clone())), None);
                    self.sources.insert(source.id.clone(), columns);
                }
                Err(reason) => {
                    let cause = Cause { root: source.id.clone(), reason };
                    self.ground.settle(&source.id, State::Unknown(cause), None, None);
                }
            }
        }
        for node in workspace.manifest.nodes.values().filter(|node| node.kind == NodeKind::Seed) {
            let (problem, columns) = match self.seed_columns(workspace, node) {
                Ok(columns) => (None, Some(columns)),
                Err(problem) => (Some(*problem), None),
            };
            let state = match &problem {
                Some(_) => State::Unknown(Cause { root: node.id.clone(), reason: None }),
                None => State::Known,
            };
            self.tell(&node.id, problem.into_iter().collect::<Diagnostics>());
            self.ground.stands(&node.id);
            self.ground.settle(&node.id, state, columns.clone().map(Shape::new), None);
            let compiled = super::CompiledNode {
                rendered: Default::default(),
                sql: String::new(),
                columns,
                unknown: None,
            };
            self.nodes.insert(node.id.clone(), compiled);
        }
        Ok(())
    }

    /// The columns of a seed, or what is wrong with it. Makes its table.
    fn seed_columns(
        &self,
        workspace: &Workspace,
        node: &Node,
    ) -> std::result::Result<Vec<ColumnType>, Box<Diagnostic>> {
        if let Some(problem) = seed::malformed(workspace.root(), node) {
            return Err(Box::new(problem));
        }
        let made = self.shadow().create_as(&node.relation, &seed::query(workspace.root(), node));
        let columns = made
            .map(|()| self.shadow().columns(&node.relation).unwrap_or_default())
            .map_err(|error| Box::new(seed::unreadable(workspace.root(), node, &error)))?;
        match seed::unknown_type_column(node, &columns) {
            Some(problem) => Err(Box::new(problem)),
            None => Ok(columns),
        }
    }

    /// The columns of a source, or why they are not known.
    fn look(&self, source: &SourceTable) -> Result<Result<Vec<ColumnType>, Option<String>>> {
        let plain = |name: String, data_type: String| ColumnType { name, data_type };
        if source.files.is_some() {
            let connection = self.shadow().session().connection();
            // What a pattern does not match is said when the source is loaded.
            let found = load::discover(self.ground.workspace.root(), source)?;
            let stored = self.ground.options.loaded.get(&source.id).cloned().unwrap_or_default();
            return Ok(match load::look(connection, source, &found.objects, stored)? {
                Looked::Columns(columns) => {
                    Ok(columns.into_iter().map(|column| plain(column.name, column.data_type)).collect())
                }
                Looked::Unknown(reason) => Err(Some(reason)),
            });
        }
        if let Some(columns) = self.ground.options.existing.get(&source.id) {
            return Ok(Ok(columns.clone()));
        }
        if source.columns.is_empty() {
            return Ok(Err(Some("it is outside of the project, and no column is declared".into())));
        }
        let mut columns = Vec::new();
        let mut problems = Diagnostics::new();
        for column in &source.columns {
            let Some(written) = &column.data_type else {
                return Ok(Err(Some(format!("no `data_type` is declared for `{}`", column.name))));
            };
            match self.canonical_type(&written.value) {
                Some(data_type) => columns.push(plain(column.name.clone(), data_type)),
                None => problems.push(
                    Diagnostic::error("unknown-type", format!("`{}` is not a type of DuckDB", written.value))
                        .at(&written.at, "")
                        .suggest(&written.value, TYPES),
                ),
            }
        }
        match problems.is_empty() {
            true => Ok(Ok(columns)),
            false => Err(problems.into()),
        }
    }

    /// The empty table of a source. One with files stands aside, and its tests read the raw table, as in a run.
    fn create_source(&mut self, source: &SourceTable, columns: &[ColumnType]) -> Result<()> {
        if source.files.is_none() {
            return Ok(self.shadow().create(&source.relation, columns)?);
        }
        let aside = stands_as(source);
        let own = ColumnType { name: "_source_object".into(), data_type: "VARCHAR".into() };
        let columns: Vec<ColumnType> = columns.iter().cloned().chain([own]).collect();
        self.shadow().create(&aside, &columns)?;
        self.ground.aside.insert(source.id.clone(), candidate(Physical::Source(aside)));
        Ok(())
    }
}
