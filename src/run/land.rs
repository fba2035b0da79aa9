//! Landing: raw models take in what is new at their sources, before anything is built. Raw commits by itself: it is kept
//! even when what is built on it fails, since that is when it is needed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::load::{self, LoadPlan, LoadReport};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node, SourceTable};
use crate::names::{Fingerprint, NodeId};
use crate::workspace::Workspace;

use super::candidate::{Candidate, Candidates, Physical};
use super::event::{Event, LoadOutcome, Observer};
use super::names::Names;

/// Which objects are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that the ledger does not know.
    New,
    /// All of them again, into an emptied table (`--reload`).
    All,
}

/// What a landing needs.
pub struct Landing<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// A session.
    pub session: &'a Session,
    /// The run.
    pub run_id: &'a str,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// Set when the user wants it to end.
    pub stop: &'a AtomicBool,
    /// Which objects.
    pub which: Which,
}

/// The raw models of a selection, in order.
pub fn raw_models<'a>(
    workspace: &'a Workspace,
    selected: &'a std::collections::BTreeSet<NodeId>,
) -> impl Iterator<Item = &'a Node> {
    selected
        .iter()
        .filter_map(|id| workspace.manifest.nodes.get(id))
        .filter(|node| node.config.materialized == Materialization::Append)
}

impl Landing<'_> {
    /// Loads what is new for one raw model.
    ///
    /// # Errors
    /// The database failed, or the user interrupted. What is wrong with the source or its files is in the outcome.
    pub fn land(&self, node: &Node) -> Result<LoadOutcome> {
        let started = Instant::now();
        let mut objects = 0;
        let mut warnings = Diagnostics::new();
        let result = self.land_inside(node, &mut objects, &mut warnings);
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let result = match result {
            Ok(report) => Ok(report),
            Err(Error::Project(problems)) => Err(problems
                .sorted()
                .first()
                .map(|first| (*first).clone())
                .ok_or_else(|| Error::Bug("no diagnostic for a failed load".into()))?),
            Err(Error::Machine { message, hint }) => {
                let diagnostic =
                    Diagnostic::error("load-failed", format!("`{}` did not load: {message}", node.name))
                        .at(&node.at, "");
                Err(hint.into_iter().fold(diagnostic, Diagnostic::help))
            }
            Err(other) => return Err(other),
        };
        let outcome =
            LoadOutcome { node: node.id.clone(), objects, warnings, result, elapsed: started.elapsed() };
        self.observer.event(Event::Loaded(&outcome));
        Ok(outcome)
    }

    /// How many files a load would take in now.
    ///
    /// # Errors
    /// The source or its files are wrong, or the database failed.
    pub fn waiting(&self, node: &Node) -> Result<usize> {
        let found = load::discover(self.workspace.root(), source_of(self.workspace, node)?)?;
        Ok(load::pending(self.session.connection(), &node.id, &found.objects)?.objects.len())
    }

    fn land_inside(
        &self,
        node: &Node,
        objects: &mut usize,
        warnings: &mut Diagnostics,
    ) -> Result<LoadReport> {
        let source = source_of(self.workspace, node)?;
        let connection = self.session.connection();
        if self.which == Which::All {
            load::forget(connection, &node.id, &node.relation)?;
        }
        let names =
            Names { workspace: self.workspace, candidates: &Candidates::new(), session: Some(self.session) };
        let sql = self.workspace.render(node, &names)?;
        let found = load::discover(self.workspace.root(), source)?;
        *objects = found.objects.len();
        let pending = load::pending(connection, &node.id, &found.objects)?;
        if !pending.objects.is_empty() {
            self.session.widen()?;
        }
        self.observer.event(Event::LoadStarted { node: &node.id, objects: pending.objects.len() });
        let plan = LoadPlan {
            model: node,
            source,
            sql: &sql,
            run_id: self.run_id,
            loaded_at: jiff::Timestamp::now(),
        };
        let mut last = Instant::now();
        let mut report = load::load(connection, &plan, &pending.objects, &mut |progress| {
            if last.elapsed() > Duration::from_millis(100) {
                last = Instant::now();
                self.observer.event(Event::LoadProgress { node: &node.id, progress });
            }
        })?;
        report.failed.extend(pending.unreadable);
        *warnings = found.diagnostics;
        if !report.table_exists && report.failed.is_empty() {
            return Err(no_columns(node, source, found.objects.len()).into());
        }
        Ok(report)
    }
}

/// A table is made when its columns are known; without one nothing that reads it can be built.
fn no_columns(node: &Node, source: &SourceTable, files: usize) -> Diagnostic {
    let why = match files {
        0 => "there is no file yet".to_owned(),
        1 => "its file is empty".to_owned(),
        files => format!("its {files} files are empty"),
    };
    let name = source.id.short();
    let text = format!("`{}` has no columns yet: {why}, and `{name}` declares none", node.name);
    Diagnostic::error("no-columns", text)
        .at(&node.at, "")
        .help("declare its `columns` with their `data_type`, and the table is there before the first row is")
}

/// The one source with files that a raw model reads.
fn source_of<'a>(workspace: &'a Workspace, node: &Node) -> Result<&'a SourceTable> {
    let mut sources =
        node.depends_on.iter().filter_map(|dependency| workspace.manifest.sources.get(&dependency.node));
    match (sources.next(), sources.next()) {
        (Some(source), None) if source.files.is_some() => Ok(source),
        _ => Err(Diagnostic::error(
            "raw-source",
            format!("`{}` is appended to, so it must read one source with `files:`", node.name),
        )
        .at(&node.at, "")
        .help("read exactly one `source()` that has `files:`, or use `materialized: table`")
        .into()),
    }
}

/// The raw tables as they are now, as candidates: also those that were not loaded in this run.
pub fn raw_candidates(workspace: &Workspace, session: &Session) -> Result<Candidates> {
    let mut candidates = Candidates::new();
    let versions = session.rows(
        "SELECT model, max(batch_id)::VARCHAR, count(*)::VARCHAR, max(loaded_at)::VARCHAR FROM _kiln.load GROUP BY model",
    )?;
    let raw =
        workspace.manifest.nodes.values().filter(|node| node.config.materialized == Materialization::Append);
    for node in raw {
        let version = versions.iter().find(|row| row[0].as_deref() == Some(node.name.as_str()));
        let Ok(columns) = session.describe(&format!("SELECT * FROM {}", node.relation)) else { continue };
        let rows = session.count(&format!("SELECT count(*) FROM {}", node.relation))?.max(0) as u64;
        let batch = version.and_then(|row| row[1].as_deref()?.parse().ok()).unwrap_or(0);
        let version = format!("{version:?}");
        let shape = format!("{columns:?}");
        let fingerprint = Fingerprint::of([
            b"kiln raw 1".as_slice(),
            node.id.as_str().as_bytes(),
            version.as_bytes(),
            shape.as_bytes(),
        ]);
        let candidate = Candidate {
            fingerprint,
            physical: Physical::Raw { relation: node.relation.clone(), columns, batch },
            rows: Some(rows),
            intervals: None,
            volatile: None,
        };
        // A test of the source reads the raw table: that is where the source's data is.
        for dependency in &node.depends_on {
            let source = workspace.manifest.sources.get(&dependency.node);
            if source.is_some_and(|source| source.files.is_some()) {
                candidates.insert(dependency.node.clone(), candidate.clone());
            }
        }
        candidates.insert(node.id.clone(), candidate);
    }
    for source in workspace.manifest.sources.values().filter(|source| source.files.is_none()) {
        candidates.insert(
            source.id.clone(),
            Candidate {
                fingerprint: Fingerprint::of([source.id.as_str().as_bytes()]),
                physical: Physical::Source(source.relation.clone()),
                rows: None,
                intervals: None,
                volatile: None,
            },
        );
    }
    Ok(candidates)
}
