//! `kiln clean`: removes what Kiln wrote into the target folder. Never a database, never a file outside the project.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::Global;
use crate::error::{Error, Result};
use crate::project::{ProjectFile, Verbatim};

use super::terminal::Terminal;
use super::words::counted;
use super::{Exit, must_be_a_project};

/// Cleans.
pub fn clean(terminal: &Terminal, global: &Global) -> Result<Exit> {
    must_be_a_project(global)?;
    let root = global.project_dir.canonicalize();
    let root = root.map_err(|error| Error::io("open the project's folder", &global.project_dir, &error))?;
    let (file, problems) = ProjectFile::read(&root, &Verbatim);
    let Some(file) = file.filter(|_| !problems.has_errors()) else { return Err(problems.into()) };
    let paths = &file.paths;
    let sources =
        [&paths.models, &paths.seeds, &paths.tests, &paths.macros, &paths.snapshots, &paths.analyses];
    let sources: Vec<PathBuf> = sources.into_iter().flatten().map(|path| root.join(path)).collect();
    let mut wanted: Vec<&String> = paths.clean.iter().chain([&paths.target]).collect();
    wanted.sort();
    wanted.dedup();
    let (mut removed, mut kept) = (0, Vec::new());
    for path in wanted {
        let folder = root.join(path);
        let Ok(real) = folder.canonicalize() else { continue };
        let holds_sources =
            sources.iter().any(|source| source.starts_with(&real) || real.starts_with(source));
        if real == root || !real.starts_with(&root) || holds_sources {
            return Err(Error::usage(format!(
                "`{path}` is not cleaned: it is not inside the project, or holds its files"
            ))
            .hint("set `target-path` and `clean-targets` to folders that hold nothing but artifacts"));
        }
        empty(&real, &mut removed, &mut kept)?;
    }
    terminal.talk(&format!(" {} removed\n", counted(removed, "file", "files")));
    for path in kept {
        let path = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        terminal.talk(&format!("  kept {path}: a database\n"));
    }
    Ok(Exit::Fine)
}

/// Removes the files below a folder, and the folders that are empty then. Links are removed, not followed.
fn empty(folder: &Path, removed: &mut u64, kept: &mut Vec<PathBuf>) -> Result<()> {
    let list = std::fs::read_dir(folder).map_err(|error| Error::io("read the folder", folder, &error))?;
    let mut entries: Vec<std::fs::DirEntry> = list.filter_map(Result::ok).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let databases: Vec<PathBuf> =
        entries.iter().map(std::fs::DirEntry::path).filter(|path| is_database(path)).collect();
    for entry in entries {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if databases.contains(&path) {
            kept.push(path);
        } else if databases.iter().any(|database| belongs(&path, database)) {
            // Its log holds what is committed and not yet in it.
        } else if is_folder {
            empty(&path, removed, kept)?;
            // It stays if something in it was kept.
            let _ = std::fs::remove_dir(&path);
        } else {
            std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))?;
            *removed += 1;
        }
    }
    Ok(())
}

/// DuckDB's files have `DUCK` at byte 8.
fn is_database(path: &Path) -> bool {
    let mut head = [0; 12];
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|data| data.is_file());
    let read = is_file && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok();
    read && &head[8..] == b"DUCK"
}

/// `x.duckdb.wal`, `x.duckdb.lock`, `x.duckdb.tmp` beside `x.duckdb`.
fn belongs(path: &Path, database: &Path) -> bool {
    let name =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name(path).strip_prefix(&name(database)).is_some_and(|rest| rest.starts_with('.'))
}
