//! Artifacts: compiled SQL as files.

use std::path::{Component, Path, PathBuf};

use super::Compiled;
use crate::error::{Error, Result};
use crate::manifest::TestKind;
use crate::workspace::Workspace;

/// Writes the SQL of each model and test into `folder`, under the project's name and the file's own path, as dbt does.
/// What stood there before is taken away. Gives how many files there are.
///
/// # Errors
/// The disk said no.
pub fn write_compiled(workspace: &Workspace, compiled: &Compiled, folder: &Path) -> Result<usize> {
    let root = folder.join(&workspace.manifest.project);
    if root.exists() {
        std::fs::remove_dir_all(&root).map_err(|error| Error::io("remove", &root, &error))?;
    }
    let mut count = 0;
    let mut write = |path: PathBuf, sql: &str| -> Result<()> {
        let parent = path.parent().unwrap_or(&root);
        std::fs::create_dir_all(parent).map_err(|error| Error::io("create the folder", parent, &error))?;
        std::fs::write(&path, format!("{sql}\n")).map_err(|error| Error::io("write", &path, &error))?;
        count += 1;
        Ok(())
    };
    for (id, model) in &compiled.models {
        let Some(node) = workspace.manifest.nodes.get(id).filter(|_| !model.sql.is_empty()) else { continue };
        write(root.join(below(&node.file.path)), &model.sql)?;
    }
    for (id, sql) in &compiled.tests {
        let Some(test) = workspace.manifest.tests.get(id) else { continue };
        let path = match &test.kind {
            TestKind::Singular { file } => root.join(below(&file.path)),
            _ => root.join(below(test.at.path())).join(format!("{}.sql", file_name(&test.name))),
        };
        write(path, sql)?;
    }
    Ok(count)
}

/// A path that cannot lead out of the folder that it is put below.
fn below(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// A test's name as a file's.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    name.chars().map(plain).take(120).collect()
}
