//! A project: its files and YAML, checked one by one. What they say about each other is checked by the manifest.
//!
//! Reading has four steps, because each needs what the one before gives: [`ProjectFile::read`] (`kiln.yml`),
//! [`ProjectFile::target`], [`ProjectFiles::collect`] (finds all files: macros and docs for the templates), and
//! [`Project::read`] (properties). [`load`] does all but the target for those who have one [`Expand`] from the start.

mod consumers;
mod expand;
mod file;
mod properties;
mod settings;
mod snapshots;
mod source_table;
mod sources;
mod target;
mod test_entry;
#[cfg(test)]
mod tests;
mod unit_test;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use self::consumers::{ExposureProperties, Owner};
pub use self::expand::{Expand, Verbatim};
pub use self::file::{FILE_NAME, Paths, ProjectFile, SETTABLE};
pub use self::properties::{Argument, Column, Constraint, Described, NodeProperties, Properties};
pub use self::settings::{Folder, Said, Settings, lay_over, listed};
pub use self::source_table::{
    Age, FileFormat, FileSource, Freshness, OnBadRows, OnSchemaChange, Period, SourceTable,
};
pub use self::sources::SourceProperties;
pub use self::target::Target;
pub(crate) use self::target::is_reserved;
pub use self::test_entry::{TEST_CONFIG, TestEntry, TestSeverity};
pub use self::unit_test::{UnitOverrides, UnitTest, UnitTestInput};
pub use self::walk::{ProjectFiles, Resource};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};

/// A project, every file of it read.
#[derive(Debug, Clone)]
pub struct Project {
    /// `kiln.yml`.
    pub file: ProjectFile,
    /// Templates, macros, seeds and all other files.
    pub files: ProjectFiles,
    /// What the properties files say.
    pub properties: Properties,
    /// Folder configuration by kind: `models`, `seeds`, `data_tests`, `sources`, `exposures`, `unit_tests`.
    pub folders: BTreeMap<&'static str, Folder>,
}

impl Project {
    /// Reads the properties files and the folder configuration. `expand` must know everything now: variables,
    /// the target, docs blocks.
    pub fn read(file: ProjectFile, files: ProjectFiles, expand: &dyn Expand) -> (Self, Diagnostics) {
        let mut problems = Diagnostics::new();
        let mut folders = BTreeMap::new();
        for (key, tree) in &file.folders {
            let mut tree = tree.clone();
            let skip = |key: &str| key.trim_start_matches('+').replace('-', "_").ends_with("_hook");
            expand::expand_tree(&mut tree, expand, &skip, &mut problems);
            let name = if *key == "tests" { "data_tests" } else { key };
            folders.insert(name, Folder::read(key, &tree, &mut problems));
        }
        let mut properties = Properties::default();
        for resource in &files.properties {
            properties::read(resource, expand, &mut properties, &mut problems);
        }
        if let Some(at) = properties.unused.first() {
            problems.push(
                Diagnostic::warning("not-used", format!("kiln has no use for `{}`", at.value)).at(&at.at, ""),
            );
        }
        (Self { file, files, properties, folders }, problems)
    }

    /// The folder configuration of a kind.
    pub fn folder(&self, kind: &str) -> Option<&Folder> {
        self.folders.get(kind)
    }

    /// The files of waivers.
    pub fn waiver_files(&self) -> &[Arc<SourceFile>] {
        &self.files.waivers
    }

    /// The contract files.
    pub fn contract_files(&self) -> &[Arc<SourceFile>] {
        &self.files.contracts
    }
}

/// Reads a whole project. Every problem is reported; there is no project only if `kiln.yml` cannot be read.
pub fn load(root: &Path, expand: &dyn Expand) -> (Option<Project>, Diagnostics) {
    let (file, mut problems) = ProjectFile::read(root, expand);
    let Some(file) = file else { return (None, problems) };
    let (files, found) = ProjectFiles::collect(&file);
    problems.extend(found);
    let (project, found) = Project::read(file, files, expand);
    problems.extend(found);
    (Some(project), problems)
}
