//! Older versions of contracts: what a transitive mode compares with, beside the base.
//!
//! Every version that was ever promised and has not reached its end of life counts, as far back as there are releases or
//! commits that hold it. Only what contracts say is compared: nobody compiles the project of years ago. What the base
//! broke already is not told again.

use std::collections::BTreeMap;

use super::change::{Change, top};
use super::compare::Work;
use super::promise::Promise;
use super::schema;
use super::terms::{self, Presence};
use super::view::ModelView;
use crate::contract;
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::engine::session::Session;
use crate::engine::state::promise::earlier;
use crate::error::Result;
use crate::manifest::Manifest;
use crate::names::NodeId;

/// A version of a model's contract that was promised before the base.
#[derive(Debug, Clone)]
pub struct Older {
    /// Its version.
    pub version: String,
    /// What it promised.
    pub promise: Promise,
}

/// Older versions by the model that they bind, the newest first.
pub type History = BTreeMap<NodeId, Vec<Older>>;

/// The versions that releases before this one promised.
///
/// # Errors
/// The state cannot be read.
pub fn of_releases(session: &Session, target: &str, release: i64) -> Result<History> {
    let mut history = History::new();
    for (id, body) in earlier(session, target, release)? {
        let Ok(model) = serde_json::from_str::<ModelView>(&body) else { continue };
        add(&mut history, NodeId::from_stored(id), model.promise);
    }
    Ok(history)
}

/// The versions in older texts of contract files, the newest first. A text that cannot be read any more says nothing.
pub fn of_texts(manifest: &Manifest, texts: Vec<(String, String)>) -> History {
    let mut history = History::new();
    for (path, text) in texts {
        let file = SourceFile::new(path, text);
        for contract in contract::read(&file, &mut Diagnostics::new()) {
            let bound = manifest.nodes.values().find(|node| node.name == contract.model.value);
            if let Some(node) = bound {
                add(&mut history, node.id.clone(), Promise::of(Some(&contract), std::iter::empty()));
            }
        }
    }
    history
}

fn add(history: &mut History, id: NodeId, promise: Promise) {
    let Some(version) = promise.terms.as_ref().map(|terms| terms.version.clone()) else { return };
    let known = history.entry(id).or_default();
    if !known.iter().any(|older| older.version == version) {
        known.push(Older { version, promise });
    }
}

impl Work<'_> {
    /// Changes against older versions that the step from the base does not show.
    pub fn against_older(
        &self,
        id: &NodeId,
        old: &ModelView,
        new: &ModelView,
        found: &[Change],
    ) -> Vec<Change> {
        let Some(after) = &new.promise.terms else { return Vec::new() };
        let mode = self.comparison.settings.mode_of(after.compatibility.as_deref());
        let base = old.promise.terms.as_ref().map(|terms| terms.version.as_str());
        let older = self.comparison.history.get(id).filter(|_| mode.transitive);
        let mut more: Vec<Change> = Vec::new();
        for older in older.into_iter().flatten() {
            let ended = older
                .promise
                .terms
                .as_ref()
                .is_none_or(|terms| terms.is_over(&self.comparison.today) || terms.is_unstable());
            if ended || Some(older.version.as_str()) == base {
                continue;
            }
            let accepted = self.contract_changes(older, old);
            for change in self.contract_changes(older, new) {
                let same = |known: &Change| known.rule == change.rule && known.column == change.column;
                if !accepted.iter().any(same) && !found.iter().any(same) && !more.iter().any(same) {
                    let why =
                        format!("against version {}, which has not reached its end of life", older.version);
                    more.push(change.why(why));
                }
            }
        }
        more
    }

    fn contract_changes(&self, older: &Older, model: &ModelView) -> Vec<Change> {
        let renames = terms::renames(&older.promise, &model.promise);
        let has = |path: &str| {
            let columns = model.columns.as_ref()?;
            Some(columns.iter().any(|column| column.name.eq_ignore_ascii_case(top(path))))
        };
        let before = |path: &str| Some(older.promise.column(path).is_some_and(|column| column.is_promised));
        let presence = Presence { before: &before, after: &has };
        let today = &self.comparison.today;
        let mut changes =
            terms::changes(&model.name, &older.promise, &model.promise, &renames, &presence, today);
        // A test of the properties was never part of a contract, and an older file says nothing of tests.
        changes.retain(|change| change.old.is_some());
        for column in older.promise.columns.iter().filter(|column| column.is_promised) {
            let now = renames.get(&column.path.to_lowercase()).unwrap_or(&column.path);
            let (Some(was), Some(is)) =
                (&column.data_type, model.promise.column(now).and_then(|column| column.data_type.as_ref()))
            else {
                continue;
            };
            if let (Some(was), Some(is)) = (self.sides.after.canonical(was), self.sides.after.canonical(is)) {
                changes.extend(schema::types(&model.name, now, &was, &is).into_iter().map(Change::promise));
            }
        }
        changes
    }
}
