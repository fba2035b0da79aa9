//! What the tests share: projects in temporary folders, runs through the library, questions to the database.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use kiln::diagnostic::Diagnostics;
use kiln::error::Result;
use kiln::run::event::{Event, Observer, RunReport};
use kiln::run::land::Which;
use kiln::run::plan::Refresh;
use kiln::run::{Policy, RunOptions, Scope};
use kiln::workspace::{Workspace, WorkspaceOptions};

/// A project in a temporary folder.
pub struct Shop {
    folder: tempfile::TempDir,
}

/// Hears nothing.
pub struct Deaf;

impl Observer for Deaf {
    fn event(&self, _: Event<'_>) {}
}

impl Shop {
    /// A copy of a folder of this repository.
    pub fn copy_of(path: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        for entry in walkdir::WalkDir::new(&from) {
            let entry = entry.expect("a readable folder");
            let to = folder.path().join(entry.path().strip_prefix(&from).expect("inside it"));
            if entry.path().components().any(|part| part.as_os_str() == "target") {
                continue;
            }
            if entry.file_type().is_dir() {
                std::fs::create_dir_all(&to).expect("a folder");
            } else {
                std::fs::copy(entry.path(), &to).expect("a copy");
            }
        }
        Self { folder }
    }

    /// A project of these files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let shop = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        for (path, text) in files {
            shop.write(path, text);
        }
        shop
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder above it")).expect("a folder");
        std::fs::write(path, text).expect("a written file");
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.root().join(path)).expect("a removed file");
    }

    /// Replaces text in a file, which must hold it.
    pub fn replace(&self, path: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.root().join(path)).expect("a readable file");
        assert!(text.contains(old), "{path} does not hold {old:?}");
        self.write(path, &text.replace(old, new));
    }

    /// What a command that fails says, from its first error on.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = binary(self.root(), arguments).output().expect("it runs");
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = text.find("error[").map_or(text.clone(), |at| text[at..].to_owned());
        text.split("\n\n Result").next().unwrap_or_default().to_owned()
    }

    /// How the tests open it.
    pub fn options(&self) -> WorkspaceOptions {
        WorkspaceOptions {
            threads: std::num::NonZeroUsize::new(2),
            env: Arc::new(|name| std::env::var(name).ok()),
            ..WorkspaceOptions::new(self.root(), "run")
        }
    }

    /// Opens it.
    pub fn open(&self) -> Result<(Workspace, Diagnostics)> {
        Workspace::open(&self.options())
    }

    /// Runs all of it.
    pub fn run(&self) -> Result<RunReport> {
        self.run_with(|_| {})
    }

    /// Runs it with other options.
    pub fn run_with(&self, change: impl FnOnce(&mut RunOptions)) -> Result<RunReport> {
        let (workspace, _) = self.open()?;
        let mut options = whole(&workspace);
        change(&mut options);
        kiln::run::run(&workspace, &options, &Deaf, &AtomicBool::new(false))
    }

    /// Runs a selection.
    pub fn run_selected(&self, select: &str) -> Result<RunReport> {
        let (workspace, _) = self.open()?;
        let options = RunOptions {
            selected: workspace.select(&[select.to_owned()], &[])?,
            scope: Scope::Part,
            ..whole(&workspace)
        };
        kiln::run::run(&workspace, &options, &Deaf, &AtomicBool::new(false))
    }

    /// The default target's file.
    pub fn database(&self) -> PathBuf {
        let (workspace, _) = self.open().expect("a sound project");
        workspace.target.database(workspace.root())
    }

    /// The rows of a query on the default target's file, as text separated by `|` and line ends.
    pub fn query(&self, sql: &str) -> String {
        query(&self.database(), sql)
    }
}

/// Everything, built, tested and published.
pub fn whole(workspace: &Workspace) -> RunOptions {
    RunOptions {
        selected: workspace.select(&[], &[]).unwrap_or_else(|_| BTreeSet::new()),
        scope: Scope::Whole,
        refresh: Refresh::Reuse,
        window: None,
        load: Which::New,
        policy: Policy::Whole,
        patience: Duration::from_secs(5),
        allow: Vec::new(),
    }
}

/// The rows of a query on a database file.
pub fn query(path: &Path, sql: &str) -> String {
    let connection = duckdb::Connection::open(path).expect("a database");
    let mut statement =
        connection.prepare(&format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})")).expect("a sound query");
    let mut rows = statement.query([]).expect("a result");
    let mut lines = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let count = row.as_ref().column_count();
        let cells: Vec<String> = (0..count)
            .map(|at| row.get::<_, Option<String>>(at).expect("text").unwrap_or_else(|| "NULL".into()))
            .collect();
        lines.push(cells.join("|"));
    }
    lines.join("\n")
}

/// What says who runs something, of everywhere where the tests may run.
pub const LOGINS: [&str; 9] = [
    "GITHUB_ACTOR",
    "GITHUB_SERVER_URL",
    "GITLAB_USER_LOGIN",
    "CI_JOB_URL",
    "BUILD_USER_ID",
    "BUILD_URL",
    "BUILDKITE_BUILD_CREATOR",
    "LOGNAME",
    "USERNAME",
];

/// The binary in a folder, deaf to what the machine that runs the tests has in its environment.
pub fn binary(folder: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kiln"));
    for name in
        ["CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "CLICOLOR_FORCE", "TERM", "LC_CTYPE"]
            .iter()
            .chain(&LOGINS)
    {
        command.env_remove(name);
    }
    command.env("USER", "ada").env("LC_ALL", "C.UTF-8").args(arguments).current_dir(folder);
    command
}

/// Notes something that is seen with `--nocapture`, and when the test fails.
#[expect(clippy::print_stderr, reason = "a test has no other way to say it")]
pub fn tell(text: &str) {
    eprintln!("{text}");
}
