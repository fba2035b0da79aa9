//! Idle: a run that found nothing to do, remembered, so that the next one need not look at every model again.
//!
//! What it followed from is kept in the target folder: the command line, the texts of the project, the variables of the
//! environment that were read, the seeds and the files of sources; and in the database the last run that did anything.
//! As long as all of that is the same, a run would find again that there is nothing to do: it says so and writes its row.
//! A run that built, loaded, tested or warned is never kept, nor one that asked for the time or read a secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compile::cache::watched::{EnvReads, Outside, same_env};
use crate::compile::cache::{Cache, whole};
use crate::diagnostic::Diagnostics;
use crate::engine::database::{Database, Opening};
use crate::engine::state::{self, RunEnd};
use crate::error::Result;
use crate::manifest::Materialization;
use crate::names::Fingerprint;
use crate::origin::Origin;
use crate::project::{ProjectFile, ProjectFiles};
use crate::run::event::{Ending, Outcome, RunReport, TestStatus};
use crate::run::freshness::{FreshnessStatus, SourceFreshness};
use crate::workspace::{Workspace, WorkspaceOptions, early_expand};

/// The file's name in the target folder.
const FILE_NAME: &str = "run.cache";

/// A run that did nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Idle {
    asked: Fingerprint,
    files: Fingerprint,
    env: EnvReads,
    outside: Outside,
    /// The target folder.
    pub folder: PathBuf,
    path: PathBuf,
    settings: Vec<(String, String)>,
    threads: usize,
    /// The last run in the database that was not idle.
    basis: String,
    /// Tables and views that hold builds.
    builds: usize,
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

/// What a run followed from and came to.
pub struct Done<'a> {
    /// How it was asked for.
    pub asked: &'a Fingerprint,
    /// The project.
    pub workspace: &'a Workspace,
    /// What was worth saying about its files.
    pub warnings: &'a Diagnostics,
    /// What was read of the environment.
    pub env: EnvReads,
    /// Seeds and the files of sources, as they were before the run.
    pub outside: Option<Outside>,
    /// What it came to.
    pub report: &'a RunReport,
}

/// The file that remembers, in a target folder.
pub fn cache(folder: &Path, binary: &str) -> Cache {
    Cache::named(folder, binary, FILE_NAME)
}

impl Idle {
    /// What to keep of a run; `None` where it did something, or where the next one might.
    pub fn of(done: Done<'_>) -> Result<Option<Self>> {
        let (workspace, report) = (done.workspace, done.report);
        let Ending::Unchanged { release_id: Some(release_id) } = report.ending else { return Ok(None) };
        let at_rest = |materialized| {
            matches!(
                materialized,
                Materialization::Append
                    | Materialization::View
                    | Materialization::Table
                    | Materialization::Incremental
                    | Materialization::Ephemeral
                    | Materialization::Seed
            )
        };
        let did_nothing = report.is_good()
            && done.warnings.is_empty()
            && workspace.messages().is_empty()
            && report.freshness.iter().all(|source| source.status == FreshnessStatus::Pass)
            && report.loads.iter().all(|load| {
                load.warnings.is_empty() && load.result.as_ref().is_ok_and(|loaded| loaded.objects.is_empty())
            })
            && report.nodes.iter().all(|node| {
                matches!(node.outcome, Outcome::Reused)
                    && at_rest(node.materialized)
                    && workspace.manifest.nodes.get(&node.node).is_some_and(|node| !node.asks_database)
            })
            && report.tests().all(|test| test.status == TestStatus::Reused);
        if !did_nothing || workspace.asked_the_clock() || !workspace.secrets().is_empty() {
            return Ok(None);
        }
        let outside = Outside::look(workspace.root(), &workspace.manifest);
        let Some(outside) = outside.filter(|now| now.is_certain() && done.outside.as_ref() == Some(now))
        else {
            return Ok(None);
        };
        let opening = workspace.opening("", Duration::ZERO);
        let Some(database) = Database::open_read_only(&opening)? else { return Ok(None) };
        let Some(basis) = state::last_busy_run(database.session())? else { return Ok(None) };
        let builds = state::present(database.session())?.len();
        let count = |wanted: fn(Materialization) -> bool| {
            report.nodes.iter().filter(|node| wanted(node.materialized)).count()
        };
        let raw = count(|kind| kind == Materialization::Append);
        let ephemeral = count(|kind| kind == Materialization::Ephemeral);
        Ok(Some(Self {
            asked: done.asked.clone(),
            files: whole::fingerprint(&workspace.project.file, &workspace.project.files),
            env: done.env,
            outside,
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
            tests: report.tests().count(),
        }))
    }

    /// The idle run that the one asked for would repeat, as far as files can tell.
    pub fn find(options: &WorkspaceOptions, asked: &Fingerprint, binary: &str) -> Option<Self> {
        let root = options.root.canonicalize().ok()?;
        let (file, problems) = ProjectFile::read(&root, &early_expand(options));
        let file = file.filter(|_| problems.is_empty())?;
        let idle: Self = cache(&root.join(&file.paths.target), binary).whole()?;
        if idle.asked != *asked || !same_env(&idle.env, &options.env) {
            return None;
        }
        let (files, problems) = ProjectFiles::collect(&file);
        let same = problems.is_empty()
            && idle.files == whole::fingerprint(&file, &files)
            && idle.outside.is_same(&root);
        let now = jiff::Timestamp::now();
        (same && idle.freshness.iter().all(|source| source.is_fresh_at(now))).then_some(idle)
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
            && state::present(session)?.len() == self.builds;
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
        Ok(Some(run_id))
    }
}
