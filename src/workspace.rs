//! A workspace: a project opened for one target, every template read once, every name resolved. What all commands start
//! from.

mod open;
mod promises;
mod render;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::diagnostic::Located;
use crate::diff::waiver::Waiver;
use crate::engine::database::Opening;
use crate::error::Result;
use crate::graph::{self, Dag};
use crate::manifest::{Manifest, Node, Object, SourceTable};
use crate::names::{Fingerprint, NodeId};
use crate::origin::Origin;
use crate::project::{Project, Target};
use crate::template::{Clock, Env, LogMessage, Renderer};

pub use open::{CONTRACT_COMMAND, early_expand};

/// How to open a workspace.
#[derive(Clone)]
pub struct WorkspaceOptions {
    /// The project's folder.
    pub root: PathBuf,
    /// The target, if not the default one.
    pub target: Option<String>,
    /// Variables of the command line; they win over those of the project.
    pub vars: Object,
    /// Workers, if not what the target says.
    pub threads: Option<NonZeroUsize>,
    /// The environment.
    pub env: Env,
    /// The command, for `flags.WHICH`.
    pub command: &'static str,
    /// `--full-refresh`, for `flags.FULL_REFRESH`.
    pub full_refresh: FullRefresh,
}

impl WorkspaceOptions {
    /// The default target of the project in a folder, with nothing else said and an empty environment.
    pub fn new(root: impl Into<PathBuf>, command: &'static str) -> Self {
        Self {
            root: root.into(),
            target: None,
            vars: Object::new(),
            threads: None,
            env: Arc::new(|_| None),
            command,
            full_refresh: FullRefresh::No,
        }
    }
}

/// Whether templates are told of a full refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullRefresh {
    /// No.
    No,
    /// Yes.
    Yes,
}

/// A project opened for one target.
pub struct Workspace {
    /// The files.
    pub project: Project,
    /// Where it goes.
    pub target: Target,
    /// What is in it.
    pub manifest: Manifest,
    /// Who reads whom.
    pub dag: Dag,
    /// Breaking changes that were agreed to.
    pub waivers: Vec<Waiver>,
    /// Who opened it, and from where: it stands beside what is run.
    pub origin: Origin,
    renderer: Renderer,
    threads: usize,
    order: Vec<NodeId>,
    surroundings: Fingerprint,
    clock: Clock,
}

impl Workspace {
    /// The project's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.project.file.root
    }

    /// The folder for artifacts, absolute.
    pub fn target_folder(&self) -> PathBuf {
        self.root().join(&self.project.file.paths.target)
    }

    /// Workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Releases whose builds are kept.
    pub fn keep_releases(&self) -> u32 {
        u32::try_from(self.target.keep_releases).unwrap_or(u32::MAX)
    }

    /// Everything that a template can use and that does not stand in it: macros, variables, Kiln's own version.
    pub fn surroundings(&self) -> &Fingerprint {
        &self.surroundings
    }

    /// Whether some text has come out as it did only because of when it was rendered.
    pub fn asked_the_clock(&self) -> bool {
        self.clock.was_asked()
    }

    /// Every id, parents before children.
    pub fn topological(&self) -> &[NodeId] {
        &self.order
    }

    /// How to open the target's database. `holder` says who does.
    pub fn opening(&self, holder: &str, patience: Duration) -> Opening {
        let mut settings: Vec<(String, String)> = self
            .target
            .settings
            .iter()
            .map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (name.value.clone(), text)
            })
            .collect();
        settings
            .extend(self.target.memory_limit.iter().map(|limit| ("memory_limit".to_owned(), limit.clone())));
        Opening {
            path: self.target.database(self.root()),
            threads: self.threads,
            settings,
            holder: holder.to_owned(),
            patience,
        }
    }

    /// The node that `ref` means; the sentence says what is wrong if there is none.
    pub fn find_node(&self, package: Option<&str>, name: &str) -> Result<&Node, String> {
        let package = package.unwrap_or(&self.manifest.project);
        self.manifest.node_named(package, name).ok_or_else(|| format!("there is no model or seed `{name}`"))
    }

    /// The table that `source` means.
    pub fn find_source(&self, source: &str, table: &str) -> Result<&SourceTable, String> {
        let id = NodeId::new("source", &self.manifest.project, &format!("{source}.{table}"));
        self.manifest.sources.get(&id).ok_or_else(|| format!("there is no source `{source}.{table}`"))
    }

    /// The raw model that takes a source in.
    pub fn landing_of(&self, source: &NodeId) -> Option<&NodeId> {
        self.manifest
            .nodes
            .values()
            .filter(|node| node.config.materialized == crate::manifest::Materialization::Append)
            .find(|node| node.depends_on.iter().any(|dependency| dependency.node == *source))
            .map(|node| &node.id)
    }

    /// Names of all macros and functions that templates of the project can call.
    pub fn macro_names(&self) -> Vec<String> {
        self.renderer.macro_names()
    }

    /// Whether a generic test is one that Kiln brings along, and not the project's own of that name.
    pub fn is_builtin_test(&self, name: &str) -> bool {
        let found = self.renderer.test_signature(&self.manifest.project, name);
        found.is_some_and(|signature| signature.at.path().starts_with("kiln/"))
    }

    /// The macros and docs blocks that templates use.
    pub fn templates(&self) -> &Renderer {
        &self.renderer
    }

    /// What templates said, since the last time.
    pub fn messages(&self) -> Vec<LogMessage> {
        self.renderer.messages()
    }

    /// Does something, and gives what templates said meanwhile on this thread, which is then not said by anybody else.
    pub fn hearing<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<LogMessage>) {
        self.renderer.hearing(work)
    }

    /// Says what was heard.
    pub fn say(&self, messages: Vec<LogMessage>) {
        self.renderer.say(messages);
    }

    /// Values that must not be shown in any output.
    pub fn secrets(&self) -> Vec<String> {
        self.renderer.secrets()
    }

    /// Consumers' own queries, each with the consumer's name.
    pub fn consumer_queries(&self) -> Vec<(String, Located<String>)> {
        self.manifest
            .exposures
            .values()
            .flat_map(|exposure| exposure.queries.iter().map(|query| (exposure.name.clone(), query.clone())))
            .collect()
    }

    /// What `--select` and `--exclude` choose; everything if neither is given.
    ///
    /// # Errors
    /// A name that does not exist, or a method that is not known.
    pub fn select(&self, select: &[String], exclude: &[String]) -> Result<BTreeSet<NodeId>> {
        graph::select(&self.manifest, &self.dag, select, exclude)
    }
}
