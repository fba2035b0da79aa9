//! What a release promised, as a view: read back from the state tables, or put together from what a run has built.

use std::collections::BTreeMap;

use super::view::{ConsumerView, ModelView, View, ViewOrigin};
use super::{Promise, Spot};
use crate::diagnostic::{Location, SourceFile};
use crate::engine::session::Session;
use crate::engine::state::promise::{PromiseRow, build_columns, promises};
use crate::engine::state::{Published, Release};
use crate::error::{Error, Result};
use crate::names::{Fingerprint, NodeId};

impl View {
    /// What a release promised. Of a model that an older Kiln published only its columns are known.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn of_release(session: &Session, release: &Release) -> Result<Self> {
        let mut view = Self { origin: ViewOrigin::Database, ..Self::default() };
        for (id, body) in promises(session, release.id)? {
            view.take(&id, &body)?;
        }
        let is_known = |name: &str| view.models.values().any(|model| model.name == *name);
        let bare: Vec<(&String, &Published)> =
            release.models.iter().filter(|(name, _)| !is_known(name)).collect();
        let relations: Vec<&str> = bare.iter().map(|(_, published)| published.relation.as_str()).collect();
        let mut columns = build_columns(session, &relations)?;
        let bare: Vec<(String, ModelView)> = bare
            .into_iter()
            .map(|(name, published)| {
                let file = SourceFile::new(format!("release {}", release.id), "");
                let model = ModelView {
                    name: name.clone(),
                    relation: published.published.clone(),
                    materialized: "table".into(),
                    columns: columns.remove(&published.relation),
                    unknown: Some("the release does not say what it promised".into()),
                    sql: String::new(),
                    own: Fingerprint::of([]),
                    reads: Vec::new(),
                    promise: Promise::default(),
                    renamed_from: None,
                    at: Spot(Location::new(&file, 0..0)),
                    items: BTreeMap::new(),
                };
                (name.clone(), model)
            })
            .collect();
        for (name, model) in bare {
            view.bare.insert(name, model);
        }
        Ok(view)
    }

    /// Takes one stored state.
    fn take(&mut self, id: &str, body: &str) -> Result<()> {
        let broken = |error: serde_json::Error| {
            Error::machine(format!("what the release says of `{id}` cannot be read: {error}"))
                .hint("it was written by another kiln; `kiln run` publishes anew")
        };
        let Some(kind) = id.split('.').next() else { return Ok(()) };
        if kind == "exposure" {
            let consumer: ConsumerView = serde_json::from_str(body).map_err(broken)?;
            let name = id.rsplit('.').next().unwrap_or(id).to_owned();
            self.consumers.insert(name, consumer);
        } else {
            let model: ModelView = serde_json::from_str(body).map_err(broken)?;
            self.models.insert(NodeId::from_stored(id), model);
        }
        Ok(())
    }

    /// Gives models of an older Kiln the ids that the project knows them by.
    pub fn adopt(&mut self, names: &dyn Fn(&str) -> Option<NodeId>) {
        for (name, model) in std::mem::take(&mut self.bare) {
            let id = names(&name).unwrap_or_else(|| NodeId::new("model", "released", &name));
            self.models.insert(id, model);
        }
    }
}

/// A model's state to be kept with a release.
pub fn model_row(id: &NodeId, model: &ModelView) -> Result<PromiseRow> {
    let body =
        serde_json::to_string(model).map_err(|error| Error::Bug(format!("a view without JSON: {error}")))?;
    Ok(PromiseRow {
        id: id.as_str().to_owned(),
        name: model.name.clone(),
        contract_version: model.promise.terms.as_ref().map(|terms| terms.version.clone()),
        sql: Some(model.sql.clone()).filter(|sql| !sql.is_empty()),
        body,
    })
}

/// A consumer's state to be kept with a release.
pub fn consumer_row(id: &NodeId, name: &str, consumer: &ConsumerView) -> Result<PromiseRow> {
    let body = serde_json::to_string(consumer)
        .map_err(|error| Error::Bug(format!("a view without JSON: {error}")))?;
    Ok(PromiseRow {
        id: id.as_str().to_owned(),
        name: name.to_owned(),
        contract_version: None,
        sql: None,
        body,
    })
}
