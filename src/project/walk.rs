//! The files of a project: found in a fixed order, read once, sorted by what they are.
//!
//! Hidden folders, `target/` and installed packages are not entered. A link is followed as long as it stays in the
//! project.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::file::{Paths, ProjectFile};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};

/// A file that is something by its name and place: a model, a seed, a test.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The package that it belongs to.
    pub package: String,
    /// The file's name without its ending.
    pub name: String,
    /// Folders between the search path (`models/`) and the file.
    pub folders: Vec<String>,
    /// The file. A seed's text is empty.
    pub file: Arc<SourceFile>,
}

impl Resource {
    /// Package, folders, name: what folder configuration and selection go by.
    pub fn fqn(&self) -> Vec<&str> {
        let folders = self.folders.iter().map(String::as_str);
        std::iter::once(self.package.as_str()).chain(folders).chain([self.name.as_str()]).collect()
    }
}

/// Every file of a project, read and not yet understood.
#[derive(Debug, Clone, Default)]
pub struct ProjectFiles {
    /// Templates of models.
    pub models: Vec<Resource>,
    /// CSV files; their text is not read.
    pub seeds: Vec<Resource>,
    /// Tests in a file of their own.
    pub singular_tests: Vec<Resource>,
    /// Snapshots, one for each block.
    pub snapshots: Vec<Resource>,
    /// Rows of unit tests in files of their own: `tests/fixtures/`.
    pub fixtures: Vec<Resource>,
    /// Files that define generic tests: `tests/generic/`.
    pub generic_tests: Vec<Resource>,
    /// Files of macros, which may define generic tests too.
    pub macros: Vec<Resource>,
    /// Markdown files, which may hold docs blocks.
    pub docs: Vec<Resource>,
    /// Properties files.
    pub properties: Vec<Resource>,
    /// Files in `contracts/`.
    pub contracts: Vec<Arc<SourceFile>>,
    /// Files in `waivers/`.
    pub waivers: Vec<Arc<SourceFile>>,
    /// Names of models in Python, which are not read.
    pub python: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Models,
    Seeds,
    Tests,
    Macros,
    Snapshots,
    Analyses,
    Docs,
    Contracts,
    Waivers,
}

impl ProjectFiles {
    /// Finds and reads the files.
    pub fn collect(project: &ProjectFile) -> (Self, Diagnostics) {
        let mut walk = Walk::new(project);
        for (place, folder) in places(&project.paths) {
            walk.folder(place, &folder);
        }
        (walk.found, walk.problems)
    }

    /// Sorts files that are in memory, with paths relative to the project, as [`ProjectFiles::collect`] does those of the
    /// disk.
    pub fn of(project: &ProjectFile, files: &[Arc<SourceFile>]) -> (Self, Diagnostics) {
        let mut walk = Walk::new(project);
        for (place, folder) in places(&project.paths) {
            for file in files.iter().filter(|file| file.path.starts_with(&folder)) {
                if walk.seen.insert(walk.root.join(&file.path))
                    && let Some(seat) = walk.seat(place, &folder, &file.path)
                {
                    walk.keep(seat, Arc::clone(file));
                }
            }
        }
        (walk.found, walk.problems)
    }
}

/// The folders that are looked into, in order.
fn places(paths: &Paths) -> Vec<(Place, String)> {
    let Paths { models, seeds, tests, macros, snapshots, analyses, docs, .. } = paths;
    let contracts = ["contracts".to_owned()];
    let waivers = ["waivers".to_owned()];
    let places: [(Place, &[String]); 9] = [
        (Place::Models, models),
        (Place::Seeds, seeds),
        (Place::Tests, tests),
        (Place::Macros, macros),
        (Place::Snapshots, snapshots),
        (Place::Analyses, analyses),
        (Place::Docs, docs),
        (Place::Contracts, &contracts),
        (Place::Waivers, &waivers),
    ];
    let each = |(place, folders): (Place, &[String])| {
        folders.iter().map(|folder| (place, folder.clone())).collect::<Vec<_>>()
    };
    places.into_iter().flat_map(each).collect()
}

/// What a file is by its path.
struct Seat {
    place: Place,
    /// Its name without its ending.
    name: String,
    /// In lower case.
    ending: String,
    folders: Vec<String>,
    is_fixture: bool,
}

struct Walk<'a> {
    root: &'a Path,
    real_root: PathBuf,
    package: &'a str,
    skip: Vec<PathBuf>,
    seen: std::collections::BTreeSet<PathBuf>,
    /// The folder of the last file, and whether it is a link or below one.
    last_folder: Option<(PathBuf, bool)>,
    found: ProjectFiles,
    problems: Diagnostics,
}

impl<'a> Walk<'a> {
    fn new(project: &'a ProjectFile) -> Self {
        Self {
            root: &project.root,
            real_root: project.root.canonicalize().unwrap_or_else(|_| project.root.clone()),
            package: &project.name.value,
            skip: [project.paths.target.as_str(), project.paths.packages.as_str()]
                .iter()
                .map(|path| project.root.join(path))
                .collect(),
            seen: std::collections::BTreeSet::new(),
            last_folder: None,
            found: ProjectFiles::default(),
            problems: Diagnostics::new(),
        }
    }

    fn folder(&mut self, place: Place, folder: &str) {
        let top = self.root.join(folder);
        if !top.is_dir() {
            return;
        }
        if top.is_symlink() && leads_out(&top, &self.real_root) {
            return outside(&shown(self.root, &top), &mut self.problems);
        }
        let skip = self.skip.clone();
        // What a link outside leads to can be all of the machine.
        let left = std::cell::RefCell::new(Vec::new());
        let real_root = self.real_root.clone();
        let leaves = |entry: &DirEntry| {
            let leaves =
                entry.path_is_symlink() && entry.file_type().is_dir() && leads_out(entry.path(), &real_root);
            if leaves {
                left.borrow_mut().push(entry.path().to_owned());
            }
            leaves
        };
        let enter = |entry: &DirEntry| {
            entry.depth() == 0
                || !(leaves(entry)
                    || entry.file_name().as_encoded_bytes().starts_with(b".")
                    || (entry.file_type().is_dir()
                        && (skip.iter().any(|path| path == entry.path())
                            || ["dbt_packages", "dbt_modules", "target"]
                                .iter()
                                .any(|n| entry.file_name() == *n))))
        };
        let entries =
            WalkDir::new(&top).follow_links(true).sort_by_file_name().into_iter().filter_entry(enter);
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => self.file(place, folder, &entry),
                Err(error) => {
                    let path = error.path().map_or_else(|| top.clone(), Path::to_path_buf);
                    let message = match error.loop_ancestor() {
                        Some(ancestor) => format!(
                            "this link leads back to `{}`, which it is in",
                            shown(self.root, ancestor).display()
                        ),
                        None => format!("cannot read this: {}", io_text(&error)),
                    };
                    let code = if error.loop_ancestor().is_some() { "link-loop" } else { "unreadable-file" };
                    let help = "remove it, or make it readable";
                    let at = Location::whole_file(shown(self.root, &path));
                    self.problems.push(Diagnostic::error(code, message).at(&at, "").help(help));
                }
            }
        }
        for path in left.into_inner() {
            outside(&shown(self.root, &path), &mut self.problems);
        }
    }

    fn file(&mut self, place: Place, folder: &str, entry: &DirEntry) {
        let path = entry.path();
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let relative = shown(self.root, path);
        let Some(seat) = self.seat(place, folder, &relative) else { return };
        // `canonicalize` costs system calls for each part of the path: links alone are worth them.
        let linked = entry.path_is_symlink() || self.is_below_link(path);
        if linked && leads_out(path, &self.real_root) {
            return outside(&relative, &mut self.problems);
        }
        let file = if seat.ending == "csv" && !seat.is_fixture {
            if !entry.file_type().is_file() {
                return refused(&relative, NO_FILE.0, NO_FILE.1, &mut self.problems);
            }
            SourceFile::new(relative, "")
        } else {
            match read(path, &relative, &mut self.problems) {
                Some(file) => file,
                None => return,
            }
        };
        self.keep(seat, file);
    }

    /// What a file is; nothing where it is of no use.
    fn seat(&mut self, place: Place, folder: &str, relative: &Path) -> Option<Seat> {
        let Some(name) = relative.file_name().and_then(OsStr::to_str) else {
            let at = Location::whole_file(relative);
            self.problems.push(Diagnostic::error("file-name", "this file's name is not UTF-8").at(&at, ""));
            return None;
        };
        if relative.to_string_lossy().contains(char::is_control) {
            let at = Location::whole_file(relative);
            let message = "this file's name holds a character that cannot be seen";
            self.problems.push(
                Diagnostic::error("file-name", message).at(&at, "").help("give it a name that can be read"),
            );
            return None;
        }
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let ending = ending.to_ascii_lowercase();
        let yaml = matches!(ending.as_str(), "yml" | "yaml");
        let folders: Vec<String> = relative
            .parent()
            .and_then(|parent| parent.strip_prefix(folder).ok())
            .map(|parent| parent.iter().map(|part| part.to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        if place == Place::Models && ending == "py" {
            self.not_supported(relative, "Python models are not supported", "write the model in SQL");
            self.found.python.push(stem.to_owned());
            return None;
        }
        let is_fixture = place == Place::Tests && folders.first().is_some_and(|first| first == "fixtures");
        let wanted = match place {
            Place::Contracts | Place::Waivers => yaml,
            Place::Seeds => yaml || ending == "csv" || ending == "md",
            Place::Tests if is_fixture => ending == "sql" || ending == "csv",
            Place::Docs => ending == "md",
            Place::Analyses => yaml || ending == "md",
            _ => yaml || ending == "sql" || ending == "md",
        };
        wanted.then(|| Seat { place, name: stem.to_owned(), ending, folders, is_fixture })
    }

    fn keep(&mut self, seat: Seat, file: Arc<SourceFile>) {
        let Seat { place, name, ending, folders, is_fixture } = seat;
        let resource = Resource { package: self.package.to_owned(), name, folders, file };
        let found = &mut self.found;
        match (place, ending.as_str()) {
            (Place::Contracts, _) => found.contracts.push(resource.file),
            (Place::Waivers, _) => found.waivers.push(resource.file),
            (_, "yml" | "yaml") => found.properties.push(resource),
            (_, "md") => found.docs.push(resource),
            (Place::Models, _) => found.models.push(resource),
            (Place::Seeds, _) => found.seeds.push(resource),
            (Place::Tests, _) if resource.folders.first().is_some_and(|first| first == "generic") => {
                found.generic_tests.push(resource);
            }
            (Place::Tests, _) if is_fixture => found.fixtures.push(resource),
            (Place::Tests, _) => found.singular_tests.push(resource),
            (Place::Macros, _) => found.macros.push(resource),
            (Place::Snapshots, _) => {
                found.snapshots.extend(super::snapshots::blocks(&resource, &mut self.problems));
            }
            (Place::Analyses | Place::Docs, _) => {}
        }
    }

    fn not_supported(&mut self, relative: &Path, message: &str, help: &str) {
        let at = Location::whole_file(relative);
        self.problems.push(Diagnostic::error("not-supported", message).at(&at, "").help(help));
    }

    /// Whether a folder on the way to a file is a link. Files of one folder come one after the other.
    fn is_below_link(&mut self, path: &Path) -> bool {
        let Some(folder) = path.parent() else { return false };
        if let Some((last, linked)) = &self.last_folder
            && last == folder
        {
            return *linked;
        }
        let linked =
            folder.ancestors().take_while(|above| *above != self.root).any(|above| above.is_symlink());
        self.last_folder = Some((folder.to_owned(), linked));
        linked
    }
}

fn shown(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

fn io_text(error: &walkdir::Error) -> String {
    error.io_error().map_or_else(|| error.to_string(), ToString::to_string)
}

fn read(path: &Path, relative: &Path, problems: &mut Diagnostics) -> Option<Arc<SourceFile>> {
    match bytes(path) {
        Ok(bytes) => text_of(relative, bytes, problems),
        Err(Unread::Absent(error)) => {
            unreadable(relative, &error, problems);
            None
        }
        Err(Unread::Refused(message, help)) => {
            refused(relative, message, help, problems);
            None
        }
    }
}

/// Why a file was not read.
pub(super) enum Unread {
    /// The machine says so.
    Absent(std::io::Error),
    /// Kiln says so: what it is, and what to do.
    Refused(&'static str, &'static str),
}

/// What is said of a pipe or a device, and what to do.
const NO_FILE: (&str, &str) = ("this is not a file", "remove it, or put a file in its place");

/// Most bytes of a file that people write.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes of a file that people write; a pipe or a device, which may never end, is not read.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Unread> {
    let about = std::fs::metadata(path).map_err(Unread::Absent)?;
    if !about.is_file() && !about.is_dir() {
        return Err(Unread::Refused(NO_FILE.0, NO_FILE.1));
    }
    if about.len() > MOST_BYTES {
        let help = "rows belong into a seed or a source, and a model into parts";
        return Err(Unread::Refused("this file is larger than 16 MB", help));
    }
    std::fs::read(path).map_err(Unread::Absent)
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error, problems: &mut Diagnostics) {
    problems.push(
        Diagnostic::error("unreadable-file", format!("cannot read this file: {error}"))
            .at(&Location::whole_file(path), ""),
    );
}

pub(super) fn refused(path: &Path, message: &str, help: &str, problems: &mut Diagnostics) {
    problems.push(
        Diagnostic::error("unreadable-file", message.to_owned())
            .at(&Location::whole_file(path), "")
            .help(help),
    );
}

/// Whether a path leads out of a folder that is given without links.
pub(super) fn leads_out(path: &Path, real_root: &Path) -> bool {
    !path.canonicalize().is_ok_and(|real| real.starts_with(real_root))
}

pub(super) fn outside(path: &Path, problems: &mut Diagnostics) {
    let at = Location::whole_file(path);
    problems.push(
        Diagnostic::error("path-outside", "this link leads out of the project")
            .at(&at, "")
            .help("copy what it leads to into the project"),
    );
}

/// A file's bytes as text; a byte-order mark is taken off.
pub(super) fn text_of(
    path: impl Into<PathBuf>,
    bytes: Vec<u8>,
    problems: &mut Diagnostics,
) -> Option<Arc<SourceFile>> {
    match String::from_utf8(bytes) {
        Ok(text) => {
            let text = match text.strip_prefix('\u{feff}') {
                Some(rest) => rest.to_owned(),
                None => text,
            };
            Some(SourceFile::new(path, text))
        }
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
            problems.push(
                Diagnostic::error("not-utf8", format!("this file is not UTF-8: line {line} has other bytes"))
                    .at(&Location::whole_file(path), "")
                    .help("save it as UTF-8"),
            );
            None
        }
    }
}
