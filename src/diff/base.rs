//! The base of a diff: another folder, or a commit, opened and compiled as the checkout is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::finding::Unknown;
use super::view::View;
use crate::compile::cache::memory::Memory;
use crate::compile::{CompileOptions, Compiled, Tables, compile};
use crate::diagnostic::{Diagnostics, Severity};
use crate::engine::load::SourceColumn;
use crate::error::{Error, Result};
use crate::manifest::SourceTable;
use crate::names::NodeId;
use crate::workspace::{Workspace, WorkspaceOptions};

/// A project that was opened and compiled.
pub struct Compiling {
    /// The project.
    pub workspace: Workspace,
    /// What compiling it gave.
    pub compiled: Compiled,
    /// What it shows.
    pub view: View,
}

impl Compiling {
    /// Compiles the checkout, with what is known of its database. What is wrong with it is in its diagnostics.
    ///
    /// # Errors
    /// The project cannot be opened, or the machine failed.
    pub fn checkout(workspace: Workspace, known: &CompileOptions) -> Result<Self> {
        let compiled = compile(&workspace, known)?;
        let view = View::of(&workspace, &compiled);
        Ok(Self { workspace, compiled, view })
    }

    /// Compiles another folder as the base of a checkout. A source that both declare in the same way has the columns that
    /// the checkout's files give it: what is in files is data, and data is no change of a project. `memory` is what an earlier
    /// compile had bound, of either side.
    ///
    /// # Errors
    /// The folder holds no sound project, or a model of it does not bind: a base that cannot be compiled says nothing.
    pub fn base(
        options: &WorkspaceOptions,
        root: &Path,
        checkout: &Self,
        memory: Option<Arc<Memory>>,
    ) -> Result<Self> {
        let options = WorkspaceOptions { root: root.to_owned(), ..options.clone() };
        let (workspace, _) = Workspace::open(&options).map_err(as_base)?;
        let mut loaded: BTreeMap<NodeId, Vec<SourceColumn>> = BTreeMap::new();
        for (id, source) in &workspace.manifest.sources {
            let Some(known) = checkout.compiled.sources.get(id) else { continue };
            let same =
                checkout.workspace.manifest.sources.get(id).is_some_and(|other| same_files(source, other));
            if same {
                // A type that the checkout alone declares is none of the base. The others are named for their order, and
                // a type that the base declares wins.
                let columns = known.iter().filter(|column| {
                    !declares(&checkout.workspace, id, &column.name) || declares(&workspace, id, &column.name)
                });
                let column = |column: &crate::engine::session::ColumnType| SourceColumn {
                    name: column.name.clone(),
                    data_type: column.data_type.clone(),
                };
                loaded.insert(id.clone(), columns.map(column).collect());
            }
        }
        let known = CompileOptions { loaded, memory, tables: Tables::Needed, ..CompileOptions::default() };
        let compiled = compile(&workspace, &known)?;
        let broken: Vec<&NodeId> = compiled
            .models
            .iter()
            .filter(|(_, model)| model.columns.is_none() && model.unknown.is_none())
            .map(|(id, _)| id)
            .collect();
        // A template that asks the database is unknown; one that cannot be rendered has an error of its own.
        let unrendered = workspace.manifest.nodes.iter().any(|(id, node)| {
            !compiled.models.contains_key(id)
                && compiled.diagnostics.sorted().iter().any(|found| {
                    found.severity == Severity::Error
                        && found.primary.as_ref().is_some_and(|(at, _)| at.path() == node.file.path)
                })
        });
        if !broken.is_empty() || unrendered {
            let mut errors = Diagnostics::new();
            let found = compiled.diagnostics.sorted();
            found
                .into_iter()
                .filter(|found| found.severity == Severity::Error)
                .for_each(|found| errors.push(found.clone()));
            return Err(as_base(errors.into()));
        }
        let view = View::of(&workspace, &compiled);
        Ok(Self { workspace, compiled, view })
    }

    /// The errors of a checkout that no finding speaks of, if there are any: it cannot be judged then.
    pub fn unexplained(&self, unknowns: &[Unknown]) -> Option<Diagnostics> {
        let broken = unknowns.iter().any(|unknown| {
            self.workspace.manifest.nodes.values().any(|node| {
                node.name == unknown.subject
                    && self
                        .compiled
                        .models
                        .get(&node.id)
                        .is_none_or(|model| model.columns.is_none() && model.unknown.is_none())
            })
        });
        (broken && self.compiled.diagnostics.has_errors()).then(|| self.compiled.diagnostics.clone())
    }
}

/// Says of every mistake that it is the base's.
fn as_base(error: Error) -> Error {
    match error {
        Error::Project(found) => {
            let mut told = Diagnostics::new();
            for diagnostic in found.sorted() {
                let mut diagnostic = diagnostic.clone();
                diagnostic.message = format!("the base cannot be compiled: {}", diagnostic.message);
                told.push(diagnostic);
            }
            Error::Project(told)
        }
        other => other,
    }
}

fn same_files(one: &SourceTable, other: &SourceTable) -> bool {
    match (&one.files, &other.files) {
        (Some(one), Some(other)) => {
            let patterns = |files: &crate::manifest::FileSource| {
                files.patterns.iter().map(|pattern| pattern.value.clone()).collect::<Vec<_>>()
            };
            let options = |files: &crate::manifest::FileSource| {
                files
                    .options
                    .iter()
                    .map(|(name, value)| (name.value.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            patterns(one) == patterns(other) && options(one) == options(other) && one.format == other.format
        }
        _ => false,
    }
}

fn declares(workspace: &Workspace, id: &NodeId, column: &str) -> bool {
    let source = workspace.manifest.sources.get(id);
    source.is_some_and(|source| source.columns.iter().any(|known| known.name.eq_ignore_ascii_case(column)))
}
