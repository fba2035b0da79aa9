//! The plan: for each node what it is made from, whether a build of that exists, and why it has to be made if not.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::session::{Session, SqlError};
use crate::engine::state::increment::Increment;
use crate::engine::state::{self, Existing, Release};
use crate::manifest::{Materialization, Node, NodeKind};
use crate::names::{Fingerprint, NodeId};
use crate::sql::rendered::Rendered;
use crate::sql::tokens;
use crate::template::Window;
use crate::workspace::Workspace;

use super::candidate::{Candidate, Candidates, Physical};
use super::event::Action;
use super::increment::{self, Growth};
use super::names::Names;
use crate::interval::Intervals;

/// What is known when a run begins.
pub struct Known {
    /// Builds that exist.
    pub builds: HashMap<Fingerprint, Existing>,
    /// What readers see.
    pub release: Release,
    /// Salt for what must never be reused: the run's id.
    pub salt: String,
    /// Whether everything is built anew (`--full-refresh`).
    pub refresh: Refresh,
    /// The window of time that was asked for: models built by intervals do it again.
    pub asked: Option<Window>,
    /// Versions of incremental models, by the name of their view.
    pub increments: HashMap<String, Increment>,
    /// What readers of another target see of incremental models: the view's name, by model.
    pub elsewhere: HashMap<String, String>,
}

impl Known {
    /// Reads it from the state. `salt` is what nothing else has: the run's id.
    ///
    /// # Errors
    /// The database failed.
    pub fn read(session: &Session, target: &str, salt: &str, refresh: Refresh) -> Result<Self, SqlError> {
        let increments = state::increment::increments(session)?;
        let elsewhere = match increments.is_empty() {
            true => HashMap::new(),
            false => state::increment::elsewhere(session, target)?,
        };
        Ok(Self {
            builds: state::builds(session)?,
            release: state::current_release(session, target)?.unwrap_or_default(),
            salt: salt.to_owned(),
            refresh,
            asked: None,
            increments,
            elsewhere,
        })
    }

    /// What readers see of a model, as a candidate; `None` if nothing was published.
    pub fn published(&self, model: &str) -> Option<Candidate> {
        let published = self.release.models.get(model)?;
        Some(Candidate {
            fingerprint: published.fingerprint.clone(),
            physical: Physical::Build(published.relation.clone()),
            rows: self.builds.get(&published.fingerprint).and_then(|build| build.rows),
            intervals: None,
            volatile: None,
        })
    }
}

/// Whether builds that exist are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// They are.
    Reuse,
    /// Everything is built anew.
    Full,
}

/// What is to be done with one node.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Build, reuse or inline.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What it is made from.
    pub fingerprint: Fingerprint,
    /// What it alone says, without its parents.
    pub definition: Fingerprint,
    /// Its SQL; nothing for a seed.
    pub rendered: Rendered,
    /// The name of its build, there already or to be.
    pub relation: String,
    /// Rows of the build that exists.
    pub rows: Option<u64>,
    /// What is to be done with the table of an incremental model.
    pub growth: Option<Box<Growth>>,
    /// Whether the next run makes it anew though nothing changed: it is never the same twice.
    pub is_fleeting: bool,
    /// For what has no rows of its own: why what it shows is never the same twice, if it is not.
    pub volatile: Option<String>,
}

impl Decision {
    /// The intervals that it builds.
    pub fn intervals(&self) -> Option<Box<Intervals>> {
        self.growth.as_ref()?.intervals.clone().map(Box::new)
    }
}

/// Decides for a node whose parents are all candidates already.
///
/// # Errors
/// The template does not render.
pub fn decide(
    workspace: &Workspace,
    node: &Node,
    candidates: &Candidates,
    known: &Known,
    session: Option<&Session>,
) -> Result<Decision, Diagnostics> {
    if let Some(config) = &node.config.incremental {
        return increment::decide(workspace, node, config, candidates, known, session);
    }
    let rendered = match node.kind {
        NodeKind::Seed => Rendered::default(),
        NodeKind::Model | NodeKind::Snapshot => {
            let names = Names { workspace, candidates, session };
            workspace.render(node, &names)?
        }
    };
    let (definition, mut always) = definition(workspace, node, &rendered)?;
    inherit(node, candidates, &mut always);
    let volatile = always.clone().filter(|_| shows_others(node));
    let mut parts = made_from(workspace, node, &definition, candidates, &mut always);
    // A view runs its volatile functions when it is read: it needs no new build for them.
    if always.is_some() && matches!(node.config.materialized, Materialization::Table | Materialization::Seed)
    {
        parts.push(known.salt.as_bytes().to_vec());
    } else {
        always = None;
    }
    let is_fleeting = always.is_some();
    let fingerprint = Fingerprint::of(parts.iter().map(Vec::as_slice));
    if node.config.materialized == Materialization::Ephemeral {
        let reason = "ephemeral: pasted into what reads it".to_owned();
        return Ok(Decision {
            action: Action::Inline,
            reason,
            fingerprint,
            definition,
            rendered,
            relation: String::new(),
            rows: None,
            growth: None,
            is_fleeting,
            volatile,
        });
    }
    let existing = known.builds.get(&fingerprint).filter(|_| known.refresh == Refresh::Reuse);
    let decision = match existing {
        Some(existing) => Decision {
            action: Action::Reuse,
            reason: match known.release.models.get(&node.name) {
                Some(published) if published.fingerprint == fingerprint => {
                    "unchanged since the release".into()
                }
                _ => "built before, by a run that did not publish it or for another target".to_owned(),
            },
            relation: existing.relation.clone(),
            rows: existing.rows,
            fingerprint,
            definition,
            rendered,
            growth: None,
            is_fleeting,
            volatile,
        },
        None => Decision {
            action: Action::Build,
            reason: match always {
                Some(why) => why,
                None => why_changed(node, &definition, &fingerprint, candidates, known),
            },
            relation: relation_name(node, &fingerprint, known),
            rows: None,
            fingerprint,
            definition,
            rendered,
            growth: None,
            is_fleeting,
            volatile,
        },
    };
    Ok(decision)
}

/// What a node reads may never be the same twice, and have no rows that would keep what it was: then the node is not
/// either.
pub(super) fn inherit(node: &Node, candidates: &Candidates, always: &mut Option<String>) {
    for dependency in &node.depends_on {
        let Some(why) = candidates.get(&dependency.node).and_then(|parent| parent.volatile.as_ref()) else {
            continue;
        };
        always.get_or_insert_with(|| format!("it reads `{}`: {why}", dependency.node.short()));
    }
    as_marked(node, always);
}

/// What a build is made from: the node, what it says, and its parents' builds. `always` becomes why it can never be reused.
pub(super) fn made_from(
    workspace: &Workspace,
    node: &Node,
    definition: &Fingerprint,
    candidates: &Candidates,
    always: &mut Option<String>,
) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = vec![
        b"kiln build 1".to_vec(),
        node.id.as_str().as_bytes().to_vec(),
        definition.as_str().as_bytes().to_vec(),
    ];
    for dependency in &node.depends_on {
        let Some(parent) = candidates.get(&dependency.node) else { continue };
        parts.push(dependency.node.as_str().as_bytes().to_vec());
        parts.push(parent.fingerprint.as_str().as_bytes().to_vec());
    }
    if let Some(source) =
        unwatched(workspace, node).filter(|_| node.config.materialized != Materialization::View)
    {
        always.get_or_insert_with(|| format!("it reads `{}`, which kiln cannot watch", source.short()));
    }
    as_marked(node, always);
    parts
}

/// What the configuration says of it counts more than what the SQL looks like.
fn as_marked(node: &Node, always: &mut Option<String>) {
    match node.config.volatile {
        Some(false) => *always = None,
        Some(true) => *always = Some(MARKED_VOLATILE.into()),
        None => {}
    }
}

const MARKED_VOLATILE: &str = "it is marked `volatile: true`";

fn said_volatile(what: &str) -> String {
    format!("it uses {what}, which gives something else each time")
}

/// Why a node by itself can never be the same twice, if it cannot.
pub(super) fn volatile(node: &Node, rendered: &Rendered) -> Option<String> {
    match node.config.volatile {
        Some(false) => None,
        Some(true) => Some(MARKED_VOLATILE.into()),
        None => tokens::read(&rendered.sql).volatile.map(|what| said_volatile(&what)),
    }
}

/// A relation that Kiln does not load and so cannot watch, which a node reads: itself, or through views and ephemeral
/// models, whose own builds say nothing of the rows behind them.
pub(super) fn unwatched<'a>(workspace: &'a Workspace, node: &'a Node) -> Option<&'a NodeId> {
    let manifest = &workspace.manifest;
    let mut seen: HashSet<&NodeId> = HashSet::new();
    let mut queue: VecDeque<&Node> = VecDeque::from([node]);
    while let Some(node) = queue.pop_front() {
        for dependency in &node.depends_on {
            let id = &dependency.node;
            if manifest.sources.get(id).is_some_and(|source| source.files.is_none()) {
                return Some(id);
            }
            let is_open = |parent: &&Node| shows_others(parent) && parent.config.volatile != Some(false);
            queue.extend(manifest.nodes.get(id).filter(is_open).filter(|_| seen.insert(id)));
        }
    }
    None
}

/// Whether a node has no rows of its own: what it reads is what it shows.
pub(super) fn shows_others(node: &Node) -> bool {
    matches!(node.config.materialized, Materialization::View | Materialization::Ephemeral)
}

/// The name of a build that is to be made.
pub(super) fn relation_name(node: &Node, fingerprint: &Fingerprint, known: &Known) -> String {
    let layer = node.layer.as_deref().unwrap_or(&node.relation.schema);
    let plain = format!("{layer}__{}__{}", node.name, fingerprint.short());
    // The build that exists may be the one that readers see: it is left alone. And a version of an incremental table that
    // was collected is known by its name still, because its rows are in the table.
    match known.builds.contains_key(fingerprint) || known.increments.contains_key(&plain) {
        true => format!("{plain}__{}", &Fingerprint::of([known.salt.as_bytes()]).short()[..6]),
        false => plain,
    }
}

/// What a node says by itself: its SQL free of formatting, how it is built; for a seed the file and its types. And why it
/// can never be the same twice, if it cannot.
pub(super) fn definition(
    workspace: &Workspace,
    node: &Node,
    rendered: &Rendered,
) -> Result<(Fingerprint, Option<String>), Diagnostics> {
    let materialized = node.config.materialized.as_str().as_bytes();
    match node.kind {
        NodeKind::Seed => {
            let path = workspace.root().join(&node.file.path);
            let content = std::fs::read(&path).map_err(|error| {
                Diagnostic::error("seed-unreadable", format!("cannot read the seed `{}`: {error}", node.name))
                    .at(&node.at, "")
            })?;
            let types = format!("{:?} {}", node.config.column_types, node.config.delimiter);
            let content = blake3::hash(&content);
            Ok((Fingerprint::of([materialized, types.as_bytes(), content.as_bytes().as_slice()]), None))
        }
        NodeKind::Model | NodeKind::Snapshot => {
            // Names of relations differ from target to target; what a build is made from does not.
            let sql = rendered.with_relations(|id| Some(format!("\"{id}\"")));
            let reading = tokens::read(&sql);
            let always = reading.volatile.map(|what| said_volatile(&what));
            Ok((Fingerprint::of([materialized, reading.normalised.as_bytes()]), always))
        }
    }
}

pub(super) fn why_changed(
    node: &Node,
    definition: &Fingerprint,
    fingerprint: &Fingerprint,
    candidates: &Candidates,
    known: &Known,
) -> String {
    if known.refresh == Refresh::Full && known.builds.contains_key(fingerprint) {
        return "asked for with `--full-refresh`".into();
    }
    let Some(published) = known.release.models.get(&node.name) else { return "new".into() };
    if published.fingerprint == *fingerprint {
        return "its build is gone from the database".into();
    }
    let before = known.builds.get(&published.fingerprint).and_then(|build| build.definition.as_ref());
    if before.is_some_and(|before| before != definition) {
        return match node.kind {
            NodeKind::Seed => "its file or its types changed".into(),
            NodeKind::Model | NodeKind::Snapshot => "its SQL or configuration changed".into(),
        };
    }
    let changed: Vec<&str> = node
        .depends_on
        .iter()
        .filter(|dependency| match candidates.get(&dependency.node) {
            Some(parent) if matches!(parent.physical, Physical::Raw { .. }) => true,
            Some(parent) => known
                .release
                .models
                .get(dependency.node.short())
                .is_none_or(|before| before.fingerprint != parent.fingerprint),
            None => false,
        })
        .map(|dependency| dependency.node.short())
        .collect();
    match changed.as_slice() {
        [] => "what it is made from changed".into(),
        [one] => format!("`{one}` changed"),
        many => format!("`{}` changed", many.join("`, `")),
    }
}

/// The nodes of a selection that read only what is decided, in the order given: used to decide as many as possible
/// before anything is built.
pub fn is_decidable(
    workspace: &Workspace,
    node: &Node,
    candidates: &Candidates,
    building: &dyn Fn(&NodeId) -> bool,
) -> bool {
    let known = node.depends_on.iter().all(|dependency| candidates.contains_key(&dependency.node));
    // How far a model built by intervals goes is seen in what it reads.
    let asks = node.asks_database || increment::asks_parents(workspace, node, candidates);
    known && !(asks && is_reading(workspace, node, building))
}

/// Whether something that a node reads is still being built: what stands behind an ephemeral model too.
fn is_reading(workspace: &Workspace, node: &Node, building: &dyn Fn(&NodeId) -> bool) -> bool {
    node.depends_on.iter().any(|dependency| {
        let pasted = workspace.manifest.nodes.get(&dependency.node);
        building(&dependency.node)
            || pasted
                .filter(|parent| parent.config.materialized == Materialization::Ephemeral)
                .is_some_and(|parent| is_reading(workspace, parent, building))
    })
}
