//! Watching: whether a project and what was run of it are as they were. Times and sizes are asked for; nothing is read.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::{DirEntry, WalkDir};

use crate::workspace::Workspace;

/// Files that are looked at, at most: a folder of data may hold more than anybody waits for.
const FILES: usize = 50_000;

/// What is watched: a project's folder without what Kiln writes into it, and the target's database.
#[derive(Debug, Clone)]
pub struct Watch {
    root: PathBuf,
    target: PathBuf,
    database: PathBuf,
}

/// What the files look like: another state, and one of them has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State([u8; 32]);

impl Watch {
    /// What the site of a project follows from.
    pub fn of(workspace: &Workspace) -> Self {
        Self {
            root: workspace.root().to_owned(),
            target: workspace.target_folder(),
            database: workspace.target.database(workspace.root()),
        }
    }

    /// Looks.
    pub fn state(&self) -> State {
        let mut hasher = blake3::Hasher::new();
        let watched = |entry: &DirEntry| {
            let hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
            // A database outside of the target folder has its log and its lock beside it.
            let beside = entry.path().as_os_str().as_encoded_bytes();
            let beside = beside.starts_with(self.database.as_os_str().as_encoded_bytes());
            !hidden && !beside && entry.path() != self.target
        };
        let files = WalkDir::new(&self.root).sort_by_file_name().into_iter().filter_entry(watched);
        for entry in files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).take(FILES) {
            look(&mut hasher, entry.path());
        }
        look(&mut hasher, &self.database);
        State(*hasher.finalize().as_bytes())
    }
}

/// Adds what a file looks like. One that is not there, or goes while it is looked at, looks like nothing.
fn look(hasher: &mut blake3::Hasher, path: &Path) {
    let Ok(about) = path.metadata() else { return };
    let changed = about.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    hasher.update(path.as_os_str().as_encoded_bytes());
    hasher.update(&about.len().to_le_bytes());
    hasher.update(&changed.unwrap_or_default().as_nanos().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_project_or_of_its_database_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        std::fs::create_dir_all(root.join("models")).unwrap();
        std::fs::create_dir_all(root.join("target/site")).unwrap();
        std::fs::write(root.join("models/a.sql"), "select 1").unwrap();
        let watch = Watch {
            target: root.join("target"),
            database: root.join("target/dev.duckdb"),
            root: root.clone(),
        };
        let before = watch.state();
        for own in ["target/site/index.html", "target/dev.duckdb.lock", ".git"] {
            std::fs::write(root.join(own), "x").unwrap();
            assert_eq!(watch.state(), before, "{own}");
        }
        for watched in ["models/b.sql", "models/a.sql", "target/dev.duckdb"] {
            let before = watch.state();
            std::fs::write(root.join(watched), "select 2, 3").unwrap();
            assert_ne!(watch.state(), before, "{watched}");
        }
        let before = watch.state();
        std::fs::remove_file(root.join("models/b.sql")).unwrap();
        assert_ne!(watch.state(), before);
    }
}
