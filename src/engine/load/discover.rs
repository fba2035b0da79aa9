//! Discovery: the files that a source's patterns name, in path order, with their sizes and stamps.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::error::{Error, Result};
use crate::manifest::SourceTable;

use super::{Object, Stamp};

/// What the patterns of a source name.
#[derive(Debug, Clone, Default)]
pub struct Discovered {
    /// The files, by name, each once.
    pub objects: Vec<Object>,
    /// Warnings: a pattern that names nothing, a name that is not UTF-8.
    pub diagnostics: Diagnostics,
}

/// Finds the files of a source. `root` is the project's folder; patterns may be absolute or lead out of it, since they
/// are declared. `*` does not match a name that starts with a dot, as in a shell: half-written files hide so.
pub fn discover(root: &Path, source: &SourceTable) -> Result<Discovered> {
    match &source.files {
        Some(files) => named_by(root, source.id.short(), &files.patterns),
        None => Ok(Discovered::default()),
    }
}

/// Finds the files that patterns name, those of a source that is called `source` in warnings.
pub fn named_by(root: &Path, source: &str, patterns: &[Located<String>]) -> Result<Discovered> {
    let mut found = BTreeMap::new();
    let mut diagnostics = Diagnostics::new();
    let root = std::path::absolute(root).map_err(|error| Error::io("find", root, &error))?;
    for pattern in patterns {
        let before = found.len();
        let mut matched = 0_usize;
        for path in matches(&root, pattern)? {
            matched += 1;
            let Some(name) = shown(&root, &path) else {
                let text = format!("the name of `{}` is not UTF-8, the file is left out", path.display());
                let warning = Diagnostic::warning("source-file-name", text).at(&pattern.at, "");
                diagnostics.push(warning.help("rename the file"));
                continue;
            };
            let metadata = std::fs::metadata(&path).map_err(|error| Error::io("read", &path, &error))?;
            let object = Object { name, size: metadata.len(), stamp: Stamp::of(&metadata), path };
            found.entry(object.name.clone()).or_insert(object);
        }
        if matched == 0 && found.len() == before {
            let text = format!("`{}` of source `{source}` matches no file", pattern.value);
            let warning = Diagnostic::warning("source-no-files", text).at(&pattern.at, "");
            diagnostics.push(warning.help("paths are relative to the project's folder"));
        }
    }
    Ok(Discovered { objects: found.into_values().collect(), diagnostics })
}

/// The files that a pattern names. A file that bears the pattern itself as its name is that file, and no glob.
fn matches(root: &Path, pattern: &Located<String>) -> Result<Vec<PathBuf>> {
    let whole = normal(&root.join(&pattern.value));
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    let Some(text) = whole.to_str() else { return Ok(Vec::new()) };
    if !text.contains(['*', '?', '[', '{']) {
        return Ok(Vec::new());
    }
    // The project's own folder may have glob characters in its name; what is declared starts after it.
    let (base, rest) = match Path::new(&pattern.value).is_absolute() || pattern.value.starts_with("..") {
        true => (PathBuf::new(), whole.as_path()),
        false => (normal(root), whole.strip_prefix(normal(root)).unwrap_or(&whole)),
    };
    let literal: PathBuf = rest
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
        .collect();
    let glob = globset::GlobBuilder::new(&rest.to_string_lossy())
        .literal_separator(true)
        .build()
        .map_err(|error| {
            let text = format!("`{}` is not a glob: {}", pattern.value, error.kind());
            Diagnostic::error("source-glob", text).at(&pattern.at, "")
        })?
        .compile_matcher();
    let hidden_wanted = pattern.value.split('/').any(|part| part.starts_with('.') && part.len() > 2);
    let start = base.join(&literal);
    let mut all = Vec::new();
    let walk = walkdir::WalkDir::new(&start).follow_links(true).sort_by_file_name().into_iter();
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || hidden_wanted || !entry.file_name().to_string_lossy().starts_with('.')
    };
    for entry in walk.filter_entry(visible) {
        // A folder that is not there, or that may not be read, holds no file; so does a loop of links.
        let Ok(entry) = entry else { continue };
        let rest = entry.path().strip_prefix(&base).unwrap_or(entry.path());
        if entry.file_type().is_file() && glob.is_match(rest) {
            all.push(entry.into_path());
        }
    }
    Ok(all)
}

/// `a/./b/../c` as `a/c`, without asking the disk.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// The name of an object: relative where it can be.
fn shown(root: &Path, path: &Path) -> Option<String> {
    let path = path.strip_prefix(normal(root)).unwrap_or(path);
    let text = path.to_str()?;
    Some(if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() })
}

impl Stamp {
    /// The stamp of a file.
    #[cfg(unix)]
    pub fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let at = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let modified = at(metadata.mtime(), metadata.mtime_nsec());
        let changed = at(metadata.ctime(), metadata.ctime_nsec());
        Self {
            text: format!("{}:{modified}:{changed}:{}", metadata.len(), metadata.ino()),
            newest_ns: modified.max(changed),
        }
    }

    /// The stamp of a file. Without a time of change that nobody can set, it never stands for the content.
    #[cfg(not(unix))]
    pub fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let nanos =
            modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map(|at| at.as_nanos());
        Self { text: format!("{}:{nanos:?}", metadata.len()), newest_ns: i128::MAX }
    }
}
