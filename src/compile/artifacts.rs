//! Artifacts: compiled SQL as files.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::Compiled;
use crate::error::{Error, Result};
use crate::manifest::TestKind;
use crate::workspace::Workspace;

/// Writes the SQL of each model and test into `folder`, under the project's name and the file's own path, as dbt does.
/// What else stands there is taken away, and a file that is right already is left alone: making files costs more than
/// looking at them. Gives how many files there are.
///
/// # Errors
/// The disk said no.
pub fn write_compiled(workspace: &Workspace, compiled: &Compiled, folder: &Path) -> Result<usize> {
    let root = folder.join(&workspace.manifest.project);
    let is_new = std::fs::symlink_metadata(&root).is_err();
    let mut written = HashSet::new();
    let mut write = |path: PathBuf, sql: &str| -> Result<()> {
        let text = format!("{sql}\n");
        let same_size = |now: std::fs::Metadata| now.is_file() && now.len() == text.len() as u64;
        let is_right = !is_new
            && std::fs::symlink_metadata(&path).is_ok_and(same_size)
            && std::fs::read(&path).is_ok_and(|now| now == text.as_bytes());
        if !is_right {
            put(&root, &path, &text)?;
        }
        written.insert(path);
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
    if !is_new {
        sweep(&root, &written)?;
    }
    Ok(written.len())
}

/// Writes a file, whatever stands at its place.
fn put(root: &Path, path: &Path, text: &str) -> Result<()> {
    // Nearly always the folder is there: one of the files before made it.
    let write = || match std::fs::write(path, text) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path.parent().unwrap_or(root))?;
            std::fs::write(path, text)
        }
        written => written,
    };
    if write().is_ok() {
        return Ok(());
    }
    // A folder where a file has to be, or a file where a folder has to be.
    for place in path.ancestors().take_while(|place| place.starts_with(root)) {
        match std::fs::symlink_metadata(place) {
            Ok(found) if found.is_dir() && place == path => {
                std::fs::remove_dir_all(place).map_err(|error| Error::io("remove", place, &error))?;
            }
            Ok(found) if !found.is_dir() => {
                std::fs::remove_file(place).map_err(|error| Error::io("remove", place, &error))?;
            }
            _ => {}
        }
    }
    write().map_err(|error| Error::io("write", path, &error))
}

/// Takes away what is below a folder and was not written, and folders that are empty then.
fn sweep(root: &Path, written: &HashSet<PathBuf>) -> Result<()> {
    for entry in walkdir::WalkDir::new(root).contents_first(true).into_iter().filter_map(Result::ok) {
        let path = entry.path();
        if entry.file_type().is_dir() {
            // One that holds something stays.
            let _ = std::fs::remove_dir(path);
        } else if !written.contains(path) {
            std::fs::remove_file(path).map_err(|error| Error::io("remove", path, &error))?;
        }
    }
    Ok(())
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
