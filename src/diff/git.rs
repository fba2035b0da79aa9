//! A commit's files, read out of git's objects into a temporary folder.
//!
//! No checkout is touched and nothing of the repository is run: no hook, no filter, no file monitor. Git is asked for
//! plain objects only, so what is written is what was committed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use crate::diagnostic::visible;
use crate::error::{Error, Result};

/// Larger files are data; they are not needed to compile.
const MOST_BYTES: u64 = 32 << 20;

/// A commit's files in a folder that goes when this does.
pub struct Commit {
    folder: tempfile::TempDir,
    /// Where the project is in them.
    pub root: PathBuf,
    /// The whole hash.
    pub hash: String,
    /// What a person should know: links and submodules that were left out, commits that this checkout lacks.
    pub notes: Vec<String>,
}

impl Commit {
    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Where a project stands in its repository.
struct Repository {
    /// The project's folder.
    project: PathBuf,
    /// The path from the repository's top to it, with a slash at its end; empty at the top.
    prefix: String,
}

impl Repository {
    fn find(project: &Path) -> Result<Self> {
        let mut found = Self { project: project.to_owned(), prefix: String::new() };
        let answer = found.git(&["rev-parse", "--show-prefix"])?;
        found.prefix = match answer {
            Ok(prefix) => prefix.trim_end_matches('\n').to_owned(),
            Err(words) => {
                return Err(Error::usage(format!("`{}` is in no git repository", project.display())).hint(format!(
                    "compare with a release, `--base published`, or with a folder, `--base PATH` (git says: {})",
                    first_line(&words)
                )));
            }
        };
        Ok(found)
    }

    fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.project);
        for setting in ["core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.allow=never"] {
            command.args(["-c", setting]);
        }
        command.args(args);
        // A hook of the user's that calls Kiln sets these, and they would point past the project.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(name);
        }
        command
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C");
        command
    }

    /// What git answers, or what it says went wrong.
    fn git(&self, args: &[&str]) -> Result<Result<String, String>> {
        let output = self.command(args).stdin(Stdio::null()).output().map_err(|error| no_git(&error))?;
        Ok(match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        })
    }

    fn is_shallow(&self) -> Result<bool> {
        Ok(self.git(&["rev-parse", "--is-shallow-repository"])?.is_ok_and(|answer| answer.trim() == "true"))
    }

    fn resolve(&self, reference: &str) -> Result<String> {
        let wanted = format!("{reference}^{{commit}}");
        match self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])? {
            Ok(hash) => Ok(hash.trim().to_owned()),
            Err(_) => {
                let error = Error::usage(format!("git knows no commit `{}` here", visible(reference)));
                let name = reference.strip_prefix("origin/").unwrap_or(reference);
                let is_name = !name.starts_with(['-', '/'])
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
                Err(error.hint(match (self.is_shallow()?, is_name) {
                    (true, true) => format!(
                        "this clone is shallow: `git fetch --depth=1 origin {name}:refs/remotes/origin/{name}` brings it"
                    ),
                    (true, false) => "this clone is shallow: `git fetch --unshallow` brings all commits".to_owned(),
                    (false, true) => {
                        format!("`git fetch origin {name}` brings it, if it is a branch of `origin`")
                    }
                    (false, false) => {
                        "name a branch, a tag or a commit, `published`, or a folder with a `kiln.yml`".to_owned()
                    }
                }))
            }
        }
    }

    /// Commits that the base has and this checkout has not.
    fn ahead(&self, hash: &str) -> Result<u64> {
        let range = format!("HEAD..{hash}");
        let answer = self.git(&["rev-list", "--count", &range])?;
        Ok(answer.ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0))
    }
}

/// The first digits of a hash.
pub fn short(hash: &str) -> &str {
    &hash[..hash.len().min(7)]
}

/// One entry of a commit's tree.
struct Entry {
    mode: String,
    object: String,
    size: Option<u64>,
    /// From the repository's top.
    path: String,
}

/// The hash of the commit that a reference means.
///
/// # Errors
/// There is no such commit here.
pub fn resolve(project: &Path, reference: &str) -> Result<String> {
    Repository::find(project)?.resolve(reference)
}

/// Reads a commit's files: those of the project, below the folder that it has in the repository.
///
/// # Errors
/// There is no such commit or no git, or an object is missing.
pub fn read(project: &Path, reference: &str) -> Result<Commit> {
    let repository = Repository::find(project)?;
    let hash = repository.resolve(reference)?;
    let folder = tempfile::tempdir()
        .map_err(|error| Error::machine(format!("cannot make a temporary folder: {error}")))?;
    let mut notes = Vec::new();
    let ahead = repository.ahead(&hash)?;
    if ahead > 0 {
        let commits = if ahead == 1 { "1 commit".to_owned() } else { format!("{ahead} commits") };
        notes.push(format!(
            "`{reference}` has {commits} that this checkout lacks, and what they added looks removed here; \
             merge it, or compare with `--base $(git merge-base {reference} HEAD)`"
        ));
    }
    let entries = entries(&repository, &hash)?;
    if entries.is_empty() {
        return Err(Error::usage(format!(
            "`{reference}` has no files in `{}`",
            repository.prefix.trim_end_matches('/')
        ))
        .hint("the project was not there yet; compare with a later commit"));
    }
    let mut wanted: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let inside = safe(&entry.path);
        match entry.mode.as_str() {
            "160000" => notes.push(format!("the submodule `{}` was not read", entry.path)),
            _ if inside.is_none() => {
                notes.push(format!("`{}` was not read: it leaves the folder", entry.path))
            }
            _ if entry.size.is_some_and(|size| size > MOST_BYTES) => {
                notes.push(format!("`{}` was not read: it is larger than 32 MiB", entry.path));
            }
            _ => wanted.entry(entry.object.clone()).or_default().push(entry),
        }
    }
    let root = folder.path().join(repository.prefix.trim_end_matches('/'));
    let mut pointers = 0;
    blobs(&repository, &wanted, &mut |entries, bytes| {
        pointers += usize::from(bytes.starts_with(b"version https://git-lfs.github.com/spec/"));
        entries.iter().try_for_each(|entry| write(folder.path(), entry, bytes, &mut notes))
    })?;
    if pointers > 0 {
        notes.push(format!("{pointers} files are pointers of git LFS; what they point to was not read"));
    }
    Ok(Commit { folder, root, hash, notes })
}

/// Commits that are looked through for older texts of a file.
const MOST_COMMITS: &str = "200";

/// Older texts of some files below a project, up to a commit and without the one in it: pairs of a path and a text, the
/// newest first. A shallow clone has as many as it has.
///
/// # Errors
/// Git cannot be run.
pub fn older_texts(project: &Path, hash: &str, paths: &[String]) -> Result<Vec<(String, String)>> {
    let repository = Repository::find(project)?;
    let mut texts = Vec::new();
    for path in paths {
        let args = [
            "log",
            "--follow",
            "-n",
            MOST_COMMITS,
            "--format=%H",
            "--name-only",
            "-z",
            hash,
            "--",
            path.as_str(),
        ];
        let Ok(log) = repository.git(&args)? else { continue };
        // `hash NUL LF path NUL`, where the path is the one that the file had at the commit.
        let mut parts = log.split('\0').map(|part| part.trim_matches('\n')).filter(|part| !part.is_empty());
        let mut versions = Vec::new();
        while let (Some(commit), Some(at)) = (parts.next(), parts.next()) {
            versions.push(format!("{commit}:{at}"));
        }
        for version in versions.iter().skip(1) {
            if let Ok(text) = repository.git(&["cat-file", "blob", version])? {
                texts.push((path.clone(), text));
            }
        }
    }
    Ok(texts)
}

fn entries(repository: &Repository, hash: &str) -> Result<Vec<Entry>> {
    let mut args = vec!["ls-tree", "-r", "-z", "-l", "--full-tree", hash];
    let prefix = repository.prefix.clone();
    if !prefix.is_empty() {
        args.extend(["--", prefix.as_str()]);
    }
    let listed = repository.git(&args)?.map_err(|words| missing(&words))?;
    let entry = |line: &str| {
        let (meta, path) = line.split_once('\t')?;
        let mut parts = meta.split_whitespace();
        let (mode, _, object) = (parts.next()?, parts.next()?, parts.next()?);
        let size = parts.next().and_then(|size| size.parse().ok());
        Some(Entry { mode: mode.to_owned(), object: object.to_owned(), size, path: path.to_owned() })
    };
    Ok(listed.split('\0').filter_map(entry).collect())
}

/// What is done with an object, and the entries that it is the content of.
type Take<'a> = &'a mut dyn FnMut(&[Entry], &[u8]) -> Result<()>;

/// Hands each wanted object to `take`.
fn blobs(repository: &Repository, wanted: &BTreeMap<String, Vec<Entry>>, take: Take<'_>) -> Result<()> {
    let mut child = repository
        .command(&["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| no_git(&error))?;
    let broken = |what: &str| Error::machine(format!("git's answer ends early: {what}"));
    let mut input = child.stdin.take().ok_or_else(|| broken("no way in"))?;
    let mut output = BufReader::new(child.stdout.take().ok_or_else(|| broken("no way out"))?);
    let list: String = wanted.keys().map(|object| format!("{object}\n")).collect();
    // Both pipes are short: who writes everything first waits for ever.
    let writer = std::thread::spawn(move || input.write_all(list.as_bytes()));
    let mut result = Ok(());
    for (object, entries) in wanted {
        let mut header = String::new();
        output.read_line(&mut header).map_err(|error| broken(&error.to_string()))?;
        let mut parts = header.split_whitespace();
        let (Some(_), Some(kind)) = (parts.next(), parts.next()) else {
            result = Err(broken("no header"));
            break;
        };
        let Some(size) = parts.next().and_then(|size| size.parse::<usize>().ok()).filter(|_| kind == "blob")
        else {
            let path = entries.first().map(|entry| entry.path.as_str()).unwrap_or_default();
            result = Err(missing(&format!("the object {object} of `{path}` is {kind}")));
            break;
        };
        let mut bytes = vec![0; size + 1];
        output.read_exact(&mut bytes).map_err(|error| broken(&error.to_string()))?;
        bytes.pop();
        result = take(entries, &bytes);
        if result.is_err() {
            break;
        }
    }
    drop(output);
    if result.is_err() {
        let _ = child.kill();
    }
    let _ = writer.join();
    let _ = child.wait();
    result
}

fn write(folder: &Path, entry: &Entry, bytes: &[u8], notes: &mut Vec<String>) -> Result<()> {
    let Some(relative) = safe(&entry.path) else { return Ok(()) };
    let path = folder.join(&relative);
    let failed = |error: std::io::Error| Error::io("write", &path, &error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    if entry.mode == "120000" {
        let target = String::from_utf8_lossy(bytes).into_owned();
        let from = relative.parent().unwrap_or(Path::new(""));
        return match stays(from, Path::new(&target)) {
            true => link(&target, &path).map_err(failed),
            false => {
                notes.push(format!("the link `{}` was not read: it leads out of the repository", entry.path));
                Ok(())
            }
        };
    }
    std::fs::write(&path, bytes).map_err(failed)
}

#[cfg(unix)]
fn link(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(target: &str, path: &Path) -> std::io::Result<()> {
    // Git itself writes the target's name into a file where links need rights.
    std::fs::write(path, target)
}

/// A path of a tree as a path below a folder; `None` for one that would leave it.
fn safe(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| path.to_owned())
}

/// Whether a link's target, seen from its folder, is below the top.
fn stays(from: &Path, target: &Path) -> bool {
    let mut depth = from.components().count();
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::CurDir => {}
            _ => return false,
        }
    }
    true
}

fn missing(words: &str) -> Error {
    Error::machine(format!("git does not have all of the base: {}", first_line(words)))
        .hint("a shallow or partial clone lacks objects: `git fetch --depth=1 origin BRANCH`, or `git fetch --unshallow`")
}

fn no_git(error: &std::io::Error) -> Error {
    Error::machine(format!("cannot run `git`: {error}"))
        .hint("install git, or compare with `--base published` or `--base PATH`")
}

fn first_line(words: &str) -> &str {
    words.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_do_not_leave_the_folder() {
        assert_eq!(safe("models/a.sql"), Some(PathBuf::from("models/a.sql")));
        assert_eq!(safe("../a.sql"), None);
        assert_eq!(safe("/etc/passwd"), None);
        assert!(stays(Path::new("models"), Path::new("../seeds/x.csv")));
        assert!(!stays(Path::new("models"), Path::new("../../x")));
        assert!(!stays(Path::new("models"), Path::new("/etc/passwd")));
    }
}
