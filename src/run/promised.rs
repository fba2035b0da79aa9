//! What a release would promise, and whether that breaks what readers were promised before.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::set_aside;
use crate::diff::waiver::{self, Judged};
use crate::diff::{
    Broken, Certainty, Check, Comparison, ConsumerView, Finding, Machine, ModelView, Promise, Report, Seen,
    Settings, Severity, View, ViewOrigin, Waived, compare, consumer_row, model_row, older,
};
use crate::engine::session::ColumnType;
use crate::engine::state::Published;
use crate::engine::state::promise::{Promises, build_columns, promises};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node};
use crate::names::NodeId;
use crate::sql::tokens::without_end;

use super::Context;
use super::candidate::{Candidates, Physical, Reading, bind};
use super::plan::Known;
use super::schedule::Done;

/// What a release would say of the project.
pub(super) struct Promised {
    /// What to keep with it.
    pub rows: Promises,
    /// What changed for readers; nothing where there is no promise and no consumer to keep.
    pub report: Option<Judged>,
}

impl Context<'_> {
    /// Puts together what the release would promise, and compares it with what the release before promised.
    pub(super) fn promised(
        &self,
        done: &Done,
        known: &Known,
        after: &BTreeMap<String, Published>,
        changed: &[String],
        blocked: &BTreeSet<NodeId>,
    ) -> Result<Promised> {
        let manifest = &self.workspace.manifest;
        let session = self.database.session();
        let before = (known.release.id > 0).then_some(known.release.id);
        let stored = match before {
            Some(release) => promises(session, release)?,
            None => BTreeMap::new(),
        };
        let changed: BTreeSet<&str> = changed.iter().map(String::as_str).collect();
        let mut tests: BTreeMap<&NodeId, Vec<&crate::manifest::Test>> = BTreeMap::new();
        for test in manifest.tests.values() {
            if let Some(node) = &test.node {
                tests.entry(node).or_default().push(test);
            }
        }
        // A model that nothing was done to keeps what was said of it, unless its contract's file says something else.
        let is_new = |node: &&Node| {
            let settled = match node.config.materialized {
                Materialization::Append | Materialization::Ephemeral => {
                    done.decisions.contains_key(&node.id) || done.candidates.contains_key(&node.id)
                }
                _ => changed.contains(node.name.as_str()),
            };
            let published = after.contains_key(&node.name)
                || matches!(node.config.materialized, Materialization::Append | Materialization::Ephemeral);
            published
                && (settled
                    || manifest.contracts.contains_key(&node.id)
                    || !stored.contains_key(node.id.as_str()))
        };
        // What is held back promises what it promised.
        let held_back = |node: &&Node| blocked.contains(&node.id) && stored.contains_key(node.id.as_str());
        let wanted: Vec<&Node> =
            manifest.nodes.values().filter(is_new).filter(|node| !held_back(node)).collect();
        let relations: Vec<&str> =
            wanted.iter().filter_map(|node| Some(after.get(&node.name)?.relation.as_str())).collect();
        let columns = build_columns(session, &relations)?;
        let aside = set_aside(self.workspace);
        let mut models: BTreeMap<NodeId, ModelView> = BTreeMap::new();
        for node in wanted {
            let own = tests.get(&node.id).into_iter().flatten().copied();
            let promise = Promise::of(manifest.contracts.get(&node.id), own).until(node);
            let rendered = done.decisions.get(&node.id).map(|decision| &decision.rendered);
            let known_before = stored.get(node.id.as_str());
            let view = match (rendered, known_before) {
                // It was not selected: only what is said of it may be new.
                (None, Some(body)) if node.config.materialized != Materialization::Append => {
                    let Ok(mut view) = serde_json::from_str::<ModelView>(body) else { continue };
                    view.promise = promise;
                    view
                }
                _ => {
                    let columns = match done.candidates.get(&node.id).map(|candidate| &candidate.physical) {
                        Some(Physical::Raw { columns, .. }) => Some(columns.clone()),
                        Some(Physical::Inline(rendered)) => {
                            session.describe(&bind(rendered, &done.candidates, Reading::Now).sql).ok()
                        }
                        _ => after.get(&node.name).and_then(|new| columns.get(&new.relation)).cloned(),
                    };
                    self.model(node, rendered, columns, &aside, promise)
                }
            };
            models.insert(node.id.clone(), view);
        }
        let mut rows = Promises { from: before, ..Promises::default() };
        for (id, model) in &models {
            rows.changed.push(model_row(id, model)?);
        }
        let mut consumers: BTreeMap<String, ConsumerView> = BTreeMap::new();
        for (id, exposure) in &manifest.exposures {
            let consumer = ConsumerView::of(exposure);
            rows.changed.push(consumer_row(id, &exposure.name, &consumer)?);
            consumers.insert(exposure.name.clone(), consumer);
        }
        // What is said already need not be said again.
        rows.changed.retain(|row| stored.get(&row.id) != Some(&row.body));
        let exists = |id: &String| {
            let id = NodeId::from_stored(id);
            manifest.exposures.contains_key(&id)
                || manifest.nodes.get(&id).is_some_and(|node| {
                    matches!(node.config.materialized, Materialization::Append | Materialization::Ephemeral)
                        || after.contains_key(&node.name)
                })
                || after.contains_key(id.short())
        };
        rows.gone = stored.keys().filter(|id| !exists(id)).cloned().collect();
        let report = match before {
            Some(_) => self.compare_with_published(known, after, models, consumers)?,
            None => None,
        };
        Ok(Promised { rows, report })
    }

    fn model(
        &self,
        node: &Node,
        rendered: Option<&crate::sql::rendered::Rendered>,
        columns: Option<Vec<ColumnType>>,
        aside: &Candidates,
        promise: Promise,
    ) -> ModelView {
        let again;
        let rendered = match (rendered, node.config.materialized) {
            // A raw model is loaded by another way; what it says is rendered here.
            (None, Materialization::Append) => {
                let names =
                    super::names::Names { workspace: self.workspace, candidates: aside, session: None };
                again = self.workspace.render(node, &names).ok();
                again.as_ref()
            }
            (rendered, _) => rendered,
        };
        let sql = rendered.map(|rendered| bind(rendered, aside, Reading::Now).sql).unwrap_or_default();
        let sql = if sql.contains(';') { without_end(&sql).to_owned() } else { sql };
        ModelView::new(self.workspace, node, Seen { rendered, columns, sql }, promise)
    }

    fn compare_with_published(
        &self,
        known: &Known,
        after: &BTreeMap<String, Published>,
        models: BTreeMap<NodeId, ModelView>,
        consumers: BTreeMap<String, ConsumerView>,
    ) -> Result<Option<Judged>> {
        let workspace = self.workspace;
        let session = self.database.session();
        let mut base = View::of_release(session, &known.release)?;
        base.adopt(&|name| workspace.find_node(None, name).ok().map(|node| node.id.clone()));
        let is_promised = |model: &ModelView| model.promise.terms.is_some();
        if !base.models.values().chain(models.values()).any(is_promised) {
            return Ok(None);
        }
        let mut proposed = View::default();
        (proposed.origin, proposed.models, proposed.consumers) = (ViewOrigin::Database, models, consumers);
        for (id, model) in &base.models {
            let stays = match model.materialized.as_str() {
                "append" | "ephemeral" => workspace.manifest.nodes.contains_key(id),
                _ => after.contains_key(&model.name),
            };
            if stays && !proposed.models.contains_key(id) {
                proposed.models.insert(id.clone(), model.clone());
            }
        }
        let settings = Settings::read(workspace.project.file.diff.as_ref()).map_err(Error::Project)?;
        let opening = workspace.opening("diff", std::time::Duration::ZERO);
        let database = opening.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let machine = Machine { database: database.unwrap_or_default(), settings: opening.settings };
        let report = compare(&Comparison {
            base: &base,
            proposed: &proposed,
            base_label: format!("release {}", known.release.id),
            proposed_label: format!("the candidates of run {}", self.run_id),
            settings: &settings,
            machine: &machine,
            today: crate::engine::state::now(),
            selected: None,
            prove: Some(&|model: &ModelView, check: &Check| check.ask(session, &model.relation)),
            history: &older::of_releases(session, &workspace.target.name, known.release.id)?,
        })?;
        let deciders = waiver::deciders(&base, &proposed);
        let mut judged = Judged::new(report, &workspace.waivers, deciders, waiver::today());
        for finding in &mut judged.report.findings {
            if self.options.allow.iter().any(|allowed| allowed.covers(finding)) {
                finding.waived = Some(Waived {
                    reason: "allowed on the command line, for this run".into(),
                    approved_by: Vec::new(),
                    expires: None,
                    place: None,
                });
            }
        }
        // What nobody was promised may change, and is said.
        for finding in &mut judged.report.findings {
            if finding.counts(Severity::Error) && !self.stops(finding) {
                finding.severity = Severity::Warning;
                finding.why.push("it stops nothing: no contract in force promises it".into());
            }
        }
        judged.report.sort();
        Ok(Some(judged))
    }

    /// Whether a finding keeps a release from its readers: something in force promised what it changes, or breaks by it.
    fn stops(&self, finding: &Finding) -> bool {
        let in_force = |name: &str| {
            let contract = self.named(name).and_then(|id| self.workspace.manifest.contracts.get(&id));
            contract.is_some_and(|contract| !contract.is_unstable())
        };
        let reaches = |broken: &Broken| {
            broken.certainty == Certainty::Certain
                && in_force(broken.name.split('.').next().unwrap_or(&broken.name))
        };
        let promised = finding.version_old.is_some() || in_force(&finding.model);
        promised || finding.breaks.iter().any(reaches)
    }

    /// The findings that keep a release from its readers, with the models that they are about.
    pub(super) fn breaking<'r>(&self, report: &'r Report) -> Vec<(&'r Finding, Option<NodeId>)> {
        report.failing(Severity::Error).map(|finding| (finding, self.named(&finding.model))).collect()
    }

    fn named(&self, name: &str) -> Option<NodeId> {
        self.workspace.find_node(None, name).ok().map(|node| node.id.clone())
    }
}
