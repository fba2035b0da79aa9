//! Whole: what a compile as a whole follows from. As long as all of it is the same, there is nothing to do but to say again
//! what was said.
//!
//! That is: the command line, the texts of the project's files, the variables of the environment that were read, the seeds
//! and the files of sources; and what was written must still be there, untouched. A compile that found errors, that asked
//! for the time, or that read a secret is not kept: the first would have to be said at places that move, the second comes
//! out differently each time, and of the third not even a hash should lie on the disk.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cache;
use super::saved::{SavedDiagnostic, SavedMessage, Texts, restore, save, texts};
use super::watched::{EnvReads, Outside, same_env};
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::engine::load::Stamp;
use crate::names::Fingerprint;
use crate::project::{ProjectFile, ProjectFiles};
use crate::template::LogMessage;
use crate::workspace::{Workspace, WorkspaceOptions, early_expand};

/// Numbers for the last line of a compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Models.
    pub models: u64,
    /// Tests.
    pub tests: u64,
    /// Columns that are known.
    pub columns: u64,
    /// Models whose columns are not all known.
    pub unknown: u64,
    /// Models that an earlier compile had bound.
    pub remembered: u64,
}

/// What a compile says.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What is worth saying about the files.
    pub opening: Diagnostics,
    /// What templates said.
    pub messages: Vec<LogMessage>,
    /// What was found.
    pub found: Diagnostics,
    /// The last line.
    pub counts: Counts,
    /// Where the SQL lies, for people.
    pub folder: String,
}

/// A compile in the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Whole {
    asked: Fingerprint,
    files: Fingerprint,
    env: EnvReads,
    outside: Outside,
    /// Files and folders in the target folder, and a hash of how they were left.
    artifacts: Vec<String>,
    left: Fingerprint,
    opening: Vec<SavedDiagnostic>,
    messages: Vec<SavedMessage>,
    found: Vec<SavedDiagnostic>,
    counts: Counts,
    folder: String,
}

/// What a compile that has been done followed from and came to.
pub struct Done<'a> {
    /// How it was asked for.
    pub asked: &'a Fingerprint,
    /// The project.
    pub workspace: &'a Workspace,
    /// What was read of the environment.
    pub env: EnvReads,
    /// The files that DuckDB read, as they were before it did.
    pub outside: Option<Outside>,
    /// What was written into the target folder.
    pub artifacts: Vec<String>,
    /// What was said.
    pub told: &'a Told,
}

/// How a compile is asked for: everything that is not in the project's folder.
pub fn asked(options: &WorkspaceOptions, selection: &[&[String]]) -> Fingerprint {
    let text = format!(
        "{:?} {:?} {:?} {:?} {} {:?} {selection:?}",
        options.root.canonicalize(),
        options.target,
        options.vars,
        options.threads,
        options.command,
        options.full_refresh,
    );
    Fingerprint::of([text.as_bytes()])
}

/// What the compile that is asked for would say, if the last one was the same and nothing has changed since.
pub fn unchanged(options: &WorkspaceOptions, selection: &[&[String]], binary: &str) -> Option<Told> {
    let root = options.root.canonicalize().ok()?;
    let (file, problems) = ProjectFile::read(&root, &early_expand(options));
    let file = file.filter(|_| !problems.has_errors())?;
    let folder = root.join(&file.paths.target);
    let whole: Whole = Cache::new(&folder, binary).whole()?;
    if whole.asked != asked(options, selection) || !same_env(&whole.env, &options.env) {
        return None;
    }
    let (files, _) = ProjectFiles::collect(&file);
    let same = whole.files == fingerprint(&file, &files)
        && whole.outside.is_same(&root)
        && left(&folder, &whole.artifacts).as_ref() == Some(&whole.left);
    same.then(|| whole.told(&texts(all(&file, &files))))
}

impl Whole {
    /// What to keep of a compile; `None` where it cannot be known later that nothing has changed.
    pub fn of(done: Done<'_>) -> Option<Self> {
        let workspace = done.workspace;
        let project = &workspace.project;
        if done.told.found.has_errors() || workspace.asked_the_clock() || !workspace.secrets().is_empty() {
            return None;
        }
        // Whoever wrote to a seed meanwhile made this compile one of neither text.
        let outside = done.outside?.look_again(workspace.root(), &workspace.manifest)?;
        let texts = texts(all(&project.file, &project.files));
        let messages = done.told.messages.iter().map(|message| SavedMessage::of(message, &texts));
        Some(Self {
            asked: done.asked.clone(),
            files: fingerprint(&project.file, &project.files),
            env: done.env,
            outside,
            left: left(&workspace.target_folder(), &done.artifacts)?,
            artifacts: done.artifacts,
            opening: save(&done.told.opening, &texts),
            messages: messages.collect(),
            found: save(&done.told.found, &texts),
            counts: done.told.counts,
            folder: done.told.folder.clone(),
        })
    }

    fn told(self, texts: &Texts) -> Told {
        Told {
            opening: restore(self.opening, texts),
            messages: self.messages.into_iter().map(|message| message.restore(texts)).collect(),
            found: restore(self.found, texts),
            counts: Counts { remembered: self.counts.models, ..self.counts },
            folder: self.folder,
        }
    }
}

/// The texts of a project, each list by itself: what a file is follows from its list.
fn lists<'a>(file: &'a ProjectFile, files: &'a ProjectFiles) -> Vec<Vec<&'a Arc<SourceFile>>> {
    // Without `..`: a list that is added has to be added here.
    let ProjectFiles {
        models,
        seeds,
        snapshots,
        fixtures,
        singular_tests,
        generic_tests,
        macros,
        docs,
        properties,
        contracts,
        waivers,
        // A project with one is never without mistakes, which are not remembered.
        python: _,
    } = files;
    let resources =
        [models, seeds, snapshots, fixtures, singular_tests, generic_tests, macros, docs, properties];
    let resources = resources.into_iter().map(|list| list.iter().map(|resource| &resource.file).collect());
    let others = [contracts, waivers].map(|list| list.iter().collect());
    resources.chain(others).chain([vec![&file.file]]).collect()
}

/// Every text of a project.
pub fn all<'a>(file: &'a ProjectFile, files: &'a ProjectFiles) -> impl Iterator<Item = &'a Arc<SourceFile>> {
    lists(file, files).into_iter().flatten()
}

/// What a project's texts are.
pub fn fingerprint(file: &ProjectFile, files: &ProjectFiles) -> Fingerprint {
    let mut parts: Vec<&[u8]> = Vec::new();
    for list in lists(file, files) {
        for file in &list {
            parts.extend([file.path.as_os_str().as_encoded_bytes(), file.text.as_bytes()]);
        }
        // No file has this path: here ends a list.
        parts.push(b"/");
    }
    Fingerprint::of(parts)
}

/// How files and folders in the target folder were left: names and stamps, not contents. `None` where one is missing.
fn left(folder: &Path, artifacts: &[String]) -> Option<Fingerprint> {
    let mut parts = Vec::new();
    for artifact in artifacts {
        let top = folder.join(artifact);
        for entry in walkdir::WalkDir::new(&top).sort_by_file_name() {
            let entry = entry.ok()?;
            if entry.file_type().is_dir() {
                continue;
            }
            parts.push(entry.path().as_os_str().as_encoded_bytes().to_vec());
            parts.push(Stamp::of(&entry.metadata().ok()?).text.into_bytes());
        }
    }
    Some(Fingerprint::of(parts.iter().map(Vec::as_slice)))
}
