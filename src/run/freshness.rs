//! Freshness: how old the data of each source is, against what `freshness:` allows.
//!
//! The newest moment is the largest value of `loaded_at_field` in the raw table, or, for files without such a column,
//! when Kiln last loaded one. `kiln freshness` fails on what is too old; a run says it and goes on, because what
//! readers see does not get newer by not being published.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::load;
use crate::engine::session::Session;
use crate::manifest::{Age, Freshness, SourceTable};
use crate::names::NodeId;
use crate::workspace::Workspace;

/// How old one source's data is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceFreshness {
    /// The source table.
    pub source: NodeId,
    /// What is allowed.
    pub allowed: Freshness,
    /// The newest moment, if there is one.
    pub newest: Option<Timestamp>,
    /// Its age when it was measured; a moment in the future has none.
    pub age: Duration,
    /// Whether that is good.
    pub status: FreshnessStatus,
}

/// Whether a source's data is new enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FreshnessStatus {
    /// New enough.
    Pass,
    /// Older than `warn_after`.
    Warn,
    /// Older than `error_after`.
    Error,
    /// It has no data at all, or it could not be measured: why.
    Unknown(String),
}

impl FreshnessStatus {
    /// The word for it, as dbt has it in `sources.json`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Unknown(_) => "runtime error",
        }
    }

    /// Whether `kiln freshness` fails on it.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Error | Self::Unknown(_))
    }
}

impl SourceFreshness {
    /// What is wrong, in words: `newest value 2026-11-03 12:00 UTC, older than 3 days`. `None` where nothing is.
    pub fn complaint(&self) -> Option<String> {
        let limit = match &self.status {
            FreshnessStatus::Pass => return None,
            FreshnessStatus::Unknown(why) => return Some(why.clone()),
            FreshnessStatus::Warn => self.allowed.warn_after,
            FreshnessStatus::Error => self.allowed.error_after,
        };
        let newest = self.newest.map(moment).unwrap_or_default();
        Some(format!("its newest data is from {newest}, older than {}", limit.map(words).unwrap_or_default()))
    }
}

/// Measures the sources among `wanted` that say what they allow. Reads only.
pub fn measure(
    workspace: &Workspace,
    session: &Session,
    wanted: &BTreeSet<NodeId>,
    now: Timestamp,
) -> Vec<SourceFreshness> {
    let sources = workspace.manifest.sources.iter().filter(|(id, _)| wanted.contains(*id));
    let stated = sources.filter_map(|(_, source)| Some((source, source.freshness?)));
    stated
        .map(|(source, allowed)| judge(source.id.clone(), allowed, newest(workspace, session, source), now))
        .collect()
}

/// The sources that the nodes of a selection read.
pub fn sources_of(workspace: &Workspace, nodes: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let manifest = &workspace.manifest;
    let read = nodes.iter().filter_map(|id| manifest.nodes.get(id)).flat_map(|node| &node.depends_on);
    read.map(|dependency| dependency.node.clone()).filter(|id| manifest.sources.contains_key(id)).collect()
}

fn newest(
    workspace: &Workspace,
    session: &Session,
    source: &SourceTable,
) -> Result<Option<Timestamp>, String> {
    let found = match workspace.landing_of(&source.id).and_then(|id| workspace.manifest.nodes.get(id)) {
        Some(raw) => load::newest(session.connection(), source, &raw.id, &raw.relation),
        None if source.files.is_some() => return Err("no raw model reads it, so nothing was loaded".into()),
        None if source.loaded_at_field.is_none() => {
            return Err(
                "it is not loaded by kiln and has no `loaded_at_field`: name the column that says when \
                        a row came"
                    .into(),
            );
        }
        None => load::newest(session.connection(), source, &source.id, &source.relation),
    };
    found.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

impl SourceFreshness {
    /// Whether the same data would be new enough at another moment.
    pub fn is_fresh_at(&self, now: Timestamp) -> bool {
        let newest = self.newest.ok_or_else(String::new);
        judge(self.source.clone(), self.allowed, newest.map(Some), now).status == FreshnessStatus::Pass
    }
}

fn judge(
    source: NodeId,
    allowed: Freshness,
    newest: Result<Option<Timestamp>, String>,
    now: Timestamp,
) -> SourceFreshness {
    let (newest, status) = match newest {
        Err(why) => (None, FreshnessStatus::Unknown(why)),
        Ok(None) => (None, FreshnessStatus::Unknown("it has no data".into())),
        Ok(Some(newest)) => (Some(newest), FreshnessStatus::Pass),
    };
    let age =
        newest.and_then(|newest| Duration::try_from(now.duration_since(newest)).ok()).unwrap_or_default();
    let is_over = |limit: Option<Age>| limit.is_some_and(|limit| age > length(limit));
    let status = match status {
        FreshnessStatus::Pass if is_over(allowed.error_after) => FreshnessStatus::Error,
        FreshnessStatus::Pass if is_over(allowed.warn_after) => FreshnessStatus::Warn,
        other => other,
    };
    SourceFreshness { source, allowed, newest, age, status }
}

fn length(age: Age) -> Duration {
    Duration::from_secs(age.count.saturating_mul(age.period.seconds()))
}

/// `3 days`, `1 hour`.
pub fn words(age: Age) -> String {
    let plural = if age.count == 1 { "" } else { "s" };
    format!("{} {}{plural}", age.count, age.period.as_str())
}

/// A moment in UTC, to the minute.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
