//! Idle: a run that leaves nothing to do, remembered, so that the next one need not look at every model again.
//!
//! What it followed from is kept in the target folder: the command line, the texts of the project, the variables of the
//! environment that were read, the seeds and the files of sources; and in the database the last run that did anything.
//! As long as all of that is the same, a run would find that there is nothing to do: it says so and writes its row.
//! What leaves nothing to do is told in `run::rest`. A run that asked for the time or read a secret is never kept: the
//! first may come out differently each time, and of the second not even a hash should lie on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compile::cache::saved::{SavedDiagnostic, SavedMessage, SavedPlace, restore, save, texts};
use crate::compile::cache::watched::{EnvReads, Outside, same_env};
use crate::compile::cache::{Cache, whole};
use crate::diagnostic::{Diagnostics, Location};
use crate::engine::database::{Database, Opening, mark};
use crate::engine::state::{self, RunEnd};
use crate::error::Result;
use crate::manifest::Materialization;
use crate::names::Fingerprint;
use crate::origin::Origin;
use crate::project::{ProjectFile, ProjectFiles};
use crate::run::event::{Ending, Rest, RunReport};
use crate::run::freshness::SourceFreshness;
use crate::template::LogMessage;
use crate::workspace::{Workspace, WorkspaceOptions, early_expand};

/// The file's name in the target folder.
const FILE_NAME: &str = "run.cache";

/// The name of the file that says which state of the database was looked at last.
const MARK_NAME: &str = "run.mark";

/// A run that did nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Idle {
    asked: Fingerprint,
    files: Fingerprint,
    env: EnvReads,
    outside: Outside,
    warnings: Vec<SavedDiagnostic>,
    messages: Vec<SavedMessage>,
    warned: Vec<SavedWarned>,
    /// The target folder.
    pub folder: PathBuf,
    path: PathBuf,
    settings: Vec<(String, String)>,
    threads: usize,
    /// The last run in the database that was not idle.
    basis: String,
    /// Tables and views that hold builds.
    builds: i64,
    /// The project's name.
    pub project: String,
    /// The target's name.
    pub target: String,
    /// When it ran, in UTC.
    pub since: String,
    /// The release that readers see.
    pub release_id: i64,
    /// How old the sources may be, and how new their data is. It cannot have changed: nothing was loaded.
    freshness: Vec<SourceFreshness>,
    /// Models and seeds whose builds are reused.
    pub reused: usize,
    /// Raw models with nothing to load.
    pub raw: usize,
    /// Ephemeral models.
    pub ephemeral: usize,
    /// Tests that passed before.
    pub tests: usize,
}

/// What a run says beside what it did.
#[derive(Debug, Default)]
pub struct Said {
    /// What is worth saying about the project's files.
    pub warnings: Diagnostics,
    /// What templates said.
    pub messages: Vec<LogMessage>,
    /// Tests that warned before and would again.
    pub warned: Vec<Warned>,
}

/// A test that warned, in words.
#[derive(Debug, Clone)]
pub struct Warned {
    /// What was tested.
    pub node: Option<String>,
    /// What is wrong: `unique(order_id)`.
    pub title: String,
    /// How much of it: `2 of 99,441 rows`.
    pub extent: String,
    /// More words.
    pub message: Option<String>,
    /// Where the test was declared.
    pub at: Location,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SavedWarned {
    node: Option<String>,
    title: String,
    extent: String,
    message: Option<String>,
    at: SavedPlace,
}

/// What a run followed from and came to.
pub struct Done<'a> {
    /// How it was asked for.
    pub asked: &'a Fingerprint,
    /// The project.
    pub workspace: &'a Workspace,
    /// What was worth saying about its files.
    pub warnings: &'a Diagnostics,
    /// What its templates said.
    pub messages: &'a [LogMessage],
    /// The tests that warned.
    pub warned: Vec<Warned>,
    /// What was read of the environment.
    pub env: EnvReads,
    /// Seeds and the files of sources, as they were before the run.
    pub outside: Option<Outside>,
    /// What it came to, as the next one would tell it.
    pub report: &'a RunReport,
}

/// The file that remembers, in a target folder.
pub fn cache(folder: &Path, binary: &str) -> Cache {
    Cache::named(folder, binary, FILE_NAME)
}

impl Idle {
    /// What to keep of a run; `None` where the next one might do something though nothing changes.
    pub fn of(done: Done<'_>) -> Option<Self> {
        let (workspace, report) = (done.workspace, done.report);
        let Rest { basis, builds, .. } = report.rest.clone()?;
        let Ending::Unchanged { release_id: Some(release_id) } = report.ending else { return None };
        if workspace.asked_the_clock() || !workspace.secrets().is_empty() {
            return None;
        }
        let outside = done.outside?.look_again(workspace.root(), &workspace.manifest)?;
        let opening = workspace.opening("", Duration::ZERO);
        let texts = texts(whole::all(&workspace.project.file, &workspace.project.files));
        let warned = done.warned.into_iter().map(|Warned { node, title, extent, message, at }| {
            let at = SavedPlace::of(&at, "", &texts);
            SavedWarned { node, title, extent, message, at }
        });
        let warned: Vec<SavedWarned> = warned.collect();
        let count = |wanted: fn(Materialization) -> bool| {
            report.nodes.iter().filter(|node| wanted(node.materialized)).count()
        };
        let raw = count(|kind| kind == Materialization::Append);
        let ephemeral = count(|kind| kind == Materialization::Ephemeral);
        Some(Self {
            asked: done.asked.clone(),
            files: whole::fingerprint(&workspace.project.file, &workspace.project.files),
            env: done.env,
            outside,
            warnings: save(done.warnings, &texts),
            messages: done.messages.iter().map(|message| SavedMessage::of(message, &texts)).collect(),
            folder: workspace.target_folder(),
            path: opening.path,
            settings: opening.settings,
            threads: workspace.threads(),
            basis,
            builds,
            project: workspace.project.file.name.value.clone(),
            target: workspace.target.name.clone(),
            since: state::now(),
            release_id,
            freshness: report.freshness.clone(),
            reused: report.nodes.len() - raw - ephemeral,
            raw,
            ephemeral,
            tests: report.tests().count() - warned.len(),
            warned,
        })
    }

    /// The idle run that the one asked for would repeat, as far as files can tell, and what it would say.
    pub fn find(options: &WorkspaceOptions, asked: &Fingerprint, binary: &str) -> Option<(Self, Said)> {
        let root = options.root.canonicalize().ok()?;
        let (file, problems) = ProjectFile::read(&root, &early_expand(options));
        let file = file.filter(|_| !problems.has_errors())?;
        let mut idle: Self = cache(&root.join(&file.paths.target), binary).whole()?;
        if idle.asked != *asked || !same_env(&idle.env, &options.env) {
            return None;
        }
        let (files, _) = ProjectFiles::collect(&file);
        let now = jiff::Timestamp::now();
        let same = idle.files == whole::fingerprint(&file, &files)
            && idle.outside.is_same(&root)
            && idle.freshness.iter().all(|source| source.is_fresh_at(now));
        if !same {
            return None;
        }
        let texts = texts(whole::all(&file, &files).filter(|_| !idle.is_silent()));
        let warnings = restore(std::mem::take(&mut idle.warnings), &texts);
        let messages = std::mem::take(&mut idle.messages);
        let messages = messages.into_iter().map(|message| message.restore(&texts)).collect();
        let warned = idle.warned.iter().cloned().map(|SavedWarned { node, title, extent, message, at }| {
            let at = at.restore(&texts).0;
            Warned { node, title, extent, message, at }
        });
        let warned = warned.collect();
        Some((idle, Said { warnings, messages, warned }))
    }

    /// How many tests warned before.
    pub fn warned(&self) -> usize {
        self.warned.len()
    }

    fn is_silent(&self) -> bool {
        self.warnings.is_empty() && self.messages.is_empty() && self.warned.is_empty()
    }

    /// Repeats it: writes the row of a run that did nothing, and gives the run's id. `None` if the database has seen
    /// anything else since.
    ///
    /// # Errors
    /// The database cannot be opened or written.
    pub fn repeat(&self, patience: Duration, origin: &Origin) -> Result<Option<String>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let left = std::fs::read_to_string(self.folder.join(MARK_NAME)).ok();
        let is_as_left = left.is_some() && left == mark(&self.path).map(|mark| self.marked(&mark));
        let run_id = uuid::Uuid::now_v7().to_string();
        let database = Database::open(&Opening {
            path: self.path.clone(),
            threads: self.threads,
            settings: self.settings.clone(),
            holder: format!("run {run_id}"),
            patience,
        })?;
        let session = database.session();
        let is_same = state::is_present(session)?
            && state::last_busy_run(session)?.as_ref() == Some(&self.basis)
            // Nobody can have taken a build away from a file that nobody wrote.
            && (is_as_left || state::count_present(session)? == self.builds);
        if !is_same {
            return Ok(None);
        }
        state::start_run(session, &run_id, &self.target, "run", origin)?;
        let end = RunEnd {
            status: "unchanged".into(),
            reused: self.reused + self.raw + self.ephemeral,
            release_id: Some(self.release_id),
            ..RunEnd::default()
        };
        state::finish_run(session, &run_id, &end)?;
        self.keep_mark(database.settle()?.as_ref());
        database.leave();
        Ok(Some(run_id))
    }

    /// Notes in which state the database was left, so that the next run need not count what is in it.
    pub fn keep_mark(&self, mark: Option<&Fingerprint>) {
        // Without it the next run counts.
        let _ = mark.map(|mark| std::fs::write(self.folder.join(MARK_NAME), self.marked(mark)));
    }

    fn marked(&self, mark: &Fingerprint) -> String {
        format!("{} {mark}\n", self.basis)
    }
}
