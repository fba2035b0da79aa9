//! The comparison of two views: every change, where it began, whom it reaches, how loud it is.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Check, top};
use super::finding::{Broken, Place};
use super::finding::{Bump, Certainty, ConsumerKind, Finding, Proof, Report, Severity, Side, Unknown};
use super::ground::{Ground, Machine};
use super::origin::{Affected, Delta, Deltas, Key, Origin, Sides, is_schema};
use super::readers::Readers;
use super::rule::Rule;
use super::schema::{self, Renames};
use super::settings::{Settings, is_enough, needed};
use super::terms::{self, Presence};
use super::view::{ModelView, SourceView, View, ViewOrigin};
use crate::contract::Version;
use crate::error::Result;
use crate::names::NodeId;

/// Asks published data how many rows break a stricter promise of a model. No answer where there is no data.
pub type Prove<'a> = &'a dyn Fn(&ModelView, &Check) -> Option<Proof>;

/// What to compare, and how.
pub struct Comparison<'a> {
    /// What is there now.
    pub base: &'a View,
    /// What would be there.
    pub proposed: &'a View,
    /// What the base is called.
    pub base_label: String,
    /// What the proposal is called.
    pub proposed_label: String,
    /// The project's settings.
    pub settings: &'a Settings,
    /// What SQL and names mean.
    pub machine: &'a Machine,
    /// The day, as `2026-11-30`, for ends of support and of life.
    pub today: String,
    /// The models and sources to compare; all where none is given.
    pub selected: Option<&'a BTreeSet<NodeId>>,
    /// Where published data can be asked.
    pub prove: Option<Prove<'a>>,
}

/// Compares two sides.
///
/// # Errors
/// The machine failed.
pub fn compare(comparison: &Comparison<'_>) -> Result<Report> {
    let pairs = Pairs::of(comparison.base, comparison.proposed);
    let mut report = Report {
        base: comparison.base_label.clone(),
        proposed: comparison.proposed_label.clone(),
        mode: comparison.settings.mode,
        findings: Vec::new(),
        unknowns: Vec::new(),
        compared: pairs.models.len() + pairs.removed.len(),
        unchanged_contracts: 0,
        documented_only: Vec::new(),
    };
    let touched = pairs
        .models
        .iter()
        .any(|(old, new)| is_touched(&comparison.base.models[old], &comparison.proposed.models[new]));
    let sources = pairs
        .sources
        .iter()
        .any(|id| comparison.base.sources[id].columns != comparison.proposed.sources[id].columns);
    if touched
        || sources
        || !pairs.removed.is_empty()
        || !pairs.removed_sources.is_empty()
        || !pairs.added.is_empty()
    {
        let before = Ground::open(comparison.base, comparison.machine)?.calling(&pairs.renamed);
        let after = Ground::open(comparison.proposed, comparison.machine)?;
        let sides = Sides {
            base: comparison.base,
            proposed: comparison.proposed,
            before: &before,
            after: &after,
            renamed: &pairs.renamed,
        };
        let mut work =
            Work { comparison, pairs: &pairs, sides: &sides, deltas: Deltas::new(), unknowns: Vec::new() };
        work.sources();
        work.models()?;
        work.removals();
        let findings = work.findings()?;
        report.unknowns = work.unknowns;
        report.findings = findings;
    }
    for (id, model) in &comparison.proposed.models {
        let Some(terms) = &model.promise.terms else { continue };
        report
            .documented_only
            .extend(terms.documented_only.iter().map(|text| format!("{}: {text}", model.name)));
        let selected = comparison.selected.is_none_or(|selected| selected.contains(id));
        if selected && !report.findings.iter().any(|finding| finding.model == model.name) {
            report.unchanged_contracts += 1;
        }
    }
    report.sort();
    Ok(report)
}

/// Whether anything of a model differs that a comparison could find.
fn is_touched(old: &ModelView, new: &ModelView) -> bool {
    old.own != new.own
        || old.columns != new.columns
        || old.relation != new.relation
        || old.materialized != new.materialized
        || old.promise.text() != new.promise.text()
}

/// Nodes of both sides that are the same thing.
#[derive(Default)]
struct Pairs {
    /// Old and new ids.
    models: Vec<(NodeId, NodeId)>,
    removed: Vec<NodeId>,
    added: Vec<NodeId>,
    sources: Vec<NodeId>,
    removed_sources: Vec<NodeId>,
    renamed: BTreeMap<NodeId, NodeId>,
}

impl Pairs {
    fn of(base: &View, proposed: &View) -> Self {
        let mut pairs = Self::default();
        let is_new = |id: &NodeId| !base.models.contains_key(id);
        let mut taken: BTreeSet<&NodeId> = BTreeSet::new();
        for (id, old) in &base.models {
            if proposed.models.contains_key(id) {
                pairs.models.push((id.clone(), id.clone()));
                continue;
            }
            let contract = old.promise.terms.as_ref().map(|terms| &terms.id);
            let only = base
                .models
                .values()
                .filter(|other| other.promise.terms.as_ref().map(|terms| &terms.id) == contract);
            let only = contract.is_some() && only.count() == 1;
            let same = |new: &ModelView| {
                let terms = new.promise.terms.as_ref();
                let said = new.renamed_from.as_ref() == Some(&old.name)
                    || terms.is_some_and(|terms| terms.renamed_from.as_ref() == Some(&old.name));
                said || new.relation == old.relation || only && terms.map(|terms| &terms.id) == contract
            };
            let found = proposed
                .models
                .iter()
                .find(|(new_id, new)| is_new(new_id) && !taken.contains(new_id) && same(new));
            match found {
                Some((new_id, _)) => {
                    taken.insert(new_id);
                    pairs.renamed.insert(id.clone(), new_id.clone());
                    pairs.models.push((id.clone(), new_id.clone()));
                }
                None => pairs.removed.push(id.clone()),
            }
        }
        pairs.added =
            proposed.models.keys().filter(|id| is_new(id) && !taken.contains(id)).cloned().collect();
        let files = [base, proposed].iter().all(|side| side.origin == ViewOrigin::Files);
        for id in base.sources.keys().filter(|_| files) {
            match proposed.sources.contains_key(id) {
                true => pairs.sources.push(id.clone()),
                false => pairs.removed_sources.push(id.clone()),
            }
        }
        pairs
    }
}

struct Work<'a> {
    comparison: &'a Comparison<'a>,
    pairs: &'a Pairs,
    sides: &'a Sides<'a>,
    deltas: Deltas,
    unknowns: Vec<Unknown>,
}

impl Work<'_> {
    fn sources(&mut self) {
        for id in &self.pairs.sources {
            let (old, new) = (&self.sides.base.sources[id], &self.sides.proposed.sources[id]);
            let (Some(before), Some(after)) = (&old.columns, &new.columns) else {
                if old.columns.is_some() != new.columns.is_some() {
                    let side = if old.columns.is_none() { Side::Base } else { Side::Proposed };
                    self.unknowns.push(Unknown {
                        subject: new.name.clone(),
                        side: Some(side),
                        why: "the columns of this source are not known".into(),
                        place: Some(Place {
                            label: "source".into(),
                            side: Side::Proposed,
                            at: new.at.0.clone(),
                        }),
                    });
                }
                continue;
            };
            let changes = schema::columns(&new.name, before, after, &Renames::new());
            let place = |source: &SourceView, side, change: Change| {
                let column = change.top().map(str::to_lowercase);
                let spot = column.and_then(|column| source.column_at.get(&column).cloned());
                change.at("source", side, Some(spot.as_ref().unwrap_or(&source.at)))
            };
            let changes =
                changes.into_iter().filter(|change| change.rule != Rule::OrderChanged).map(|change| {
                    let change = match change.new.is_some() {
                        true => place(new, Side::Proposed, change),
                        false => place(old, Side::Base, change.at("source", Side::Proposed, Some(&new.at))),
                    };
                    (change, Origin::Own)
                });
            self.add(id, id, changes.collect());
        }
    }

    fn add(&mut self, new: &NodeId, old: &NodeId, changes: Vec<(Change, Origin)>) {
        if !changes.is_empty() {
            let delta = self.deltas.entry(new.clone()).or_insert_with(Delta::default);
            delta.before = Some(old.clone());
            delta.changes.extend(changes);
        }
    }

    fn models(&mut self) -> Result<()> {
        for (old_id, new_id) in &self.pairs.models {
            let (old, new) = (&self.sides.base.models[old_id], &self.sides.proposed.models[new_id]);
            if !is_touched(old, new) {
                continue;
            }
            let changes = self.pair(old, new)?;
            self.add(new_id, old_id, changes);
        }
        Ok(())
    }

    /// All changes of one model.
    fn pair(&mut self, old: &ModelView, new: &ModelView) -> Result<Vec<(Change, Origin)>> {
        let renames = terms::renames(&old.promise, &new.promise);
        let mut found = Vec::new();
        if let (Some(before), Some(after)) = (&old.columns, &new.columns) {
            let changes = schema::columns(&new.name, before, after, &renames);
            let origins = self.sides.origins(old, new, &changes, &renames)?;
            found = changes.into_iter().map(|change| placed(change, old, new)).zip(origins).collect();
        } else if old.own != new.own || old.columns.is_some() != new.columns.is_some() {
            let (side, why) = match &new.columns {
                None => (Side::Proposed, &new.unknown),
                Some(_) => (Side::Base, &old.unknown),
            };
            let why = why.clone().unwrap_or_else(|| "it does not bind".into());
            let place = Place { label: "model".into(), side: Side::Proposed, at: new.at.0.clone() };
            let unknown = Unknown { subject: new.name.clone(), side: Some(side), why, place: Some(place) };
            self.unknowns.push(unknown);
        }
        self.promises(old, new, &renames, &mut found);
        found.extend(self.whole(old, new).into_iter().map(|change| (change, Origin::Own)));
        if old.own != new.own {
            let semantics = self.semantics(old, new, &renames, &mut found)?;
            found.extend(semantics.into_iter().map(|change| (change, Origin::Own)));
        }
        Ok(found)
    }

    fn promises(
        &self,
        old: &ModelView,
        new: &ModelView,
        renames: &Renames,
        found: &mut Vec<(Change, Origin)>,
    ) {
        let has = |model: &ModelView, path: &str| {
            let columns = model.columns.as_ref()?;
            Some(columns.iter().any(|column| column.name.eq_ignore_ascii_case(top(path))))
        };
        let inner = |path: &str, rule: Rule| {
            found.iter().any(|(change, _)| {
                change.rule == rule
                    && change.column.as_deref().is_some_and(|column| column.eq_ignore_ascii_case(path))
            })
        };
        let before = |path: &str| has(old, path).map(|has| has && !inner(path, Rule::ColumnAdded));
        let after = |path: &str| has(new, path).map(|has| has && !inner(path, Rule::ColumnRemoved));
        let presence = Presence { before: &before, after: &after };
        let mut changes =
            terms::changes(&new.name, &old.promise, &new.promise, renames, &presence, &self.comparison.today);
        if old.promise.terms.is_some()
            && new.promise.terms.is_some()
            && (old.columns.is_none() || new.columns.is_none())
        {
            changes.extend(self.promised_types(old, new, renames));
        }
        let contracted = old.promise.terms.is_some();
        for (change, _) in found.iter_mut() {
            let path = change.column.clone().unwrap_or_default();
            let promised = |model: &ModelView, path: &str| {
                let outer =
                    |at: usize| model.promise.column(&path[..at]).is_some_and(|column| column.is_promised);
                outer(path.len()) || path.char_indices().any(|(at, c)| matches!(c, '.' | '[') && outer(at))
            };
            change.is_promise = contracted
                && match change.rule {
                    Rule::ColumnAdded => promised(new, &path) && new.promise.terms.is_some(),
                    Rule::OrderChanged => true,
                    _ => promised(old, &path),
                };
            if let Some(column) = new.promise.column(&path).filter(|column| column.is_promised) {
                change.places.extend(contract_place(Side::Proposed, column.at.as_ref()));
            } else if let Some(column) = old.promise.column(&path).filter(|column| column.is_promised) {
                change.places.extend(contract_place(Side::Base, column.at.as_ref()));
            }
        }
        for change in changes {
            let same = |known: &Change| {
                let family = |rule: Rule| match rule {
                    Rule::RequiredColumnAdded => Rule::ColumnAdded,
                    Rule::ColumnRenamed => Rule::ColumnRemoved,
                    other => other,
                };
                let adds = |rule: Rule| family(rule) == Rule::ColumnAdded;
                let (one, other) = (known.column.as_deref(), change.column.as_deref());
                let equal = match (one, other) {
                    (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                    (one, other) => one == other,
                };
                // A member that an ENUM lost, and the list in the contract that lost it, are one change.
                equal && (known.rule == change.rule || (adds(known.rule) && adds(change.rule)))
            };
            match found.iter_mut().find(|(known, _)| same(known)) {
                Some((known, _)) => {
                    if change.rule == Rule::RequiredColumnAdded {
                        known.rule = change.rule;
                        known.bump = change.rule.default_bump();
                        known.message = format!("{} and may not be NULL", known.message);
                    }
                    known.is_promise |= change.is_promise;
                }
                None => found.push((change, Origin::Own)),
            }
        }
        // A new column that no row may lack, in a model without a contract, is said by its test.
        for (change, _) in found.iter_mut().filter(|(change, _)| change.rule == Rule::ColumnAdded) {
            let path = change.column.as_deref().unwrap_or_default();
            if new.promise.column(path).is_some_and(|column| column.required.is_some()) {
                change.rule = Rule::RequiredColumnAdded;
                change.bump = change.rule.default_bump();
                change.message = format!("{} and may not be NULL", change.message);
            }
        }
    }

    /// Types as promised, where they cannot be bound.
    fn promised_types(&self, old: &ModelView, new: &ModelView, renames: &Renames) -> Vec<Change> {
        let mut found = Vec::new();
        for before in old.promise.columns.iter().filter(|column| column.is_promised) {
            let now = renames.get(&before.path.to_lowercase()).unwrap_or(&before.path);
            let Some(after) = new.promise.column(now) else { continue };
            let (Some(one), Some(other)) = (&before.data_type, &after.data_type) else { continue };
            let (one, other) = (self.sides.before.canonical(one), self.sides.after.canonical(other));
            if let (Some(one), Some(other)) = (one, other) {
                found.extend(
                    schema::types(&new.name, now, &one, &other)
                        .into_iter()
                        .map(|change| change.promise().at("contract", Side::Proposed, after.at.as_ref())),
                );
            }
        }
        found
    }

    /// Changes of the model as a whole: its name, and how it is kept.
    fn whole(&self, old: &ModelView, new: &ModelView) -> Vec<Change> {
        let mut found = Vec::new();
        let (was, is) = (&old.relation, &new.relation);
        if !old.is_published() {
            return found;
        }
        if !new.is_published() {
            let message =
                format!("`{}` is ephemeral now: readers have no `{}` any more", new.name, was.plain());
            let change = Change::new(Rule::ModelRemoved, None, message).from(was.plain());
            found.push(change.at("model", Side::Proposed, Some(&new.at)));
            return found;
        }
        let same = |one: &crate::names::Relation, other: &crate::names::Relation| {
            one.schema.eq_ignore_ascii_case(&other.schema) && one.name.eq_ignore_ascii_case(&other.name)
        };
        let contracted = old.promise.terms.is_some();
        if !same(was, is) {
            let stays = self
                .sides
                .proposed
                .models
                .values()
                .any(|model| model.is_published() && same(&model.relation, was));
            let message = format!("`{}` is called `{}` now", was.plain(), is.plain());
            let mut change = Change::new(Rule::ModelRenamed, None, message)
                .from(was.plain())
                .to(is.plain())
                .at("model", Side::Proposed, Some(&new.at));
            change.is_promise = contracted;
            change = match stays {
                true => change
                    .severity(Severity::Note)
                    .bump(Bump::Minor)
                    .why("another model is published under the old name"),
                false => change.help(format!("keep a view called `{}` for those who read it", was.plain())),
            };
            found.push(change);
        }
        let kind = |model: &ModelView| if model.materialized == "view" { "view" } else { "table" };
        if kind(old) != kind(new) {
            let message = format!("`{}` was a {} and is a {}", new.name, kind(old), kind(new));
            let mut change = Change::new(Rule::MaterializationChanged, None, message)
                .from(kind(old))
                .to(kind(new))
                .at("model", Side::Proposed, Some(&new.at));
            change.is_promise = contracted;
            if kind(new) == "table" {
                // Nobody who reads a view can tell, but for its age.
                change = change.severity(Severity::Note).bump(Bump::Patch);
            }
            found.push(change);
        }
        found
    }

    /// What is computed in another way though it is called the same; and columns that only have another name.
    fn semantics(
        &self,
        old: &ModelView,
        new: &ModelView,
        renames: &Renames,
        found: &mut Vec<(Change, Origin)>,
    ) -> Result<Vec<Change>> {
        if old.sql.is_empty() || new.sql.is_empty() || old.columns.is_none() || new.columns.is_none() {
            return Ok(Vec::new());
        }
        let before = self.sides.before.shape(&old.sql)?;
        // On the old ground a parent's new type is no difference.
        let on_old = self.sides.before.bind(&new.sql)?;
        let (after, outputs) = match on_old {
            Ok(outputs) => (self.sides.before.shape(&new.sql)?, outputs),
            Err(_) => match self.sides.after.bind(&new.sql)? {
                Ok(outputs) => (self.sides.after.shape(&new.sql)?, outputs),
                Err(_) => return Ok(Vec::new()),
            },
        };
        let whole = |message: String, why: String| {
            Change::new(Rule::SemanticsChanged, None, message).why(why).at(
                "model",
                Side::Proposed,
                Some(new.place_of("")),
            )
        };
        let (before, after) = match (before, after) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(why), _) | (_, Err(why)) => {
                let message = format!("the query of `{}` changed", new.name);
                return Ok(vec![whole(message, format!("it cannot be compared piece by piece: {why}"))]);
            }
        };
        let Ok(inputs) = self.sides.before.bind(&old.sql)? else { return Ok(Vec::new()) };
        if inputs.len() != before.columns.len() || outputs.len() != after.columns.len() {
            return Ok(Vec::new());
        }
        let digest = |name: &str| {
            let at = inputs.iter().position(|column| column.name.eq_ignore_ascii_case(name))?;
            Some(before.columns[at])
        };
        self.suggest_renames(old, new, &digest, &outputs, &after, found);
        let old_name = |name: &str| {
            let renamed = renames.iter().find(|(_, now)| now.eq_ignore_ascii_case(name));
            renamed.map_or_else(|| name.to_owned(), |(before, _)| before.clone())
        };
        let mut changed = Vec::new();
        for (output, now) in outputs.iter().zip(&after.columns) {
            let was = digest(&old_name(&output.name));
            let said = found.iter().any(|(change, origin)| {
                *origin == Origin::Own
                    && is_schema(change.rule)
                    && change.top().is_some_and(|top| top.eq_ignore_ascii_case(&output.name))
            });
            if was.is_some_and(|was| was != *now) && !said {
                changed.push(output.name.clone());
            }
        }
        let expressions = |column: &str| match (old.expression(&old_name(column)), new.expression(column)) {
            (Some(was), Some(is)) if was != is => Some(format!("`{column}` is `{is}` in place of `{was}`")),
            _ => None,
        };
        if before.rows != after.rows {
            let clauses = before.different_clauses(&after);
            let words: Vec<&str> = clauses.iter().map(|clause| clause.words()).collect();
            let why = match words.split_last() {
                None => "its rows are put together in another way".to_owned(),
                Some((last, [])) => format!("its {last} changed"),
                Some((last, rest)) => format!("its {} and {last} changed", rest.join(", ")),
            };
            let message = format!("`{}` has other rows, or other values in them", new.name);
            let mut change = whole(message, why);
            change.why.extend(changed.iter().filter_map(|column| expressions(column)));
            return Ok(vec![change]);
        }
        let changes = changed.iter().map(|column| {
            let message = format!("`{}.{column}` is computed in another way", new.name);
            let mut change = Change::new(Rule::SemanticsChanged, Some(column), message).at(
                "column",
                Side::Proposed,
                Some(new.place_of(column)),
            );
            if let (Some(was), Some(is)) = (old.expression(&old_name(column)), new.expression(column))
                && was != is
            {
                change = change.from(was).to(is);
            }
            change
        });
        Ok(changes.collect())
    }

    /// A column that went while one that is computed in the same way came: a rename that nobody declared.
    fn suggest_renames(
        &self,
        old: &ModelView,
        new: &ModelView,
        digest: &dyn Fn(&str) -> Option<crate::sql::shape::Digest>,
        outputs: &[crate::engine::session::ColumnType],
        after: &crate::sql::shape::Shape,
        found: &mut Vec<(Change, Origin)>,
    ) {
        let removed: Vec<usize> = (0..found.len())
            .filter(|at| found[*at].0.rule == Rule::ColumnRemoved && found[*at].1 == Origin::Own)
            .collect();
        for at in removed {
            let Some(was) = found[at].0.column.clone() else { continue };
            let Some(wanted) = digest(&was) else { continue };
            let same: Vec<&str> = outputs
                .iter()
                .zip(&after.columns)
                .filter(|(output, digest)| {
                    **digest == wanted
                        && found.iter().any(|(change, _)| {
                            matches!(change.rule, Rule::ColumnAdded | Rule::RequiredColumnAdded)
                                && change.column.as_deref() == Some(output.name.as_str())
                        })
                })
                .map(|(output, _)| output.name.as_str())
                .collect();
            let [now] = same.as_slice() else { continue };
            let now = (*now).to_owned();
            let contracted = old.promise.terms.is_some() && new.promise.terms.is_some();
            let (change, _) = &mut found[at];
            change.why.push(format!("`{now}` is new and computed as `{was}` was: it looks renamed"));
            change.help.push(match contracted {
                true => format!(
                    "if it was renamed, say so on `{now}` in the contract: `customProperties: [{{property: renamedFrom, value: {was}}}]`"
                ),
                false => format!("keep `{was}` beside `{now}` until its readers have moved"),
            });
            found.retain(|(change, _)| {
                !(matches!(change.rule, Rule::ColumnAdded | Rule::RequiredColumnAdded)
                    && change.column.as_deref() == Some(now.as_str()))
            });
        }
    }

    fn removals(&mut self) {
        for id in &self.pairs.removed {
            let old = &self.sides.base.models[id];
            if !old.is_published() {
                continue;
            }
            let message = format!("`{}` was removed", old.name);
            let mut change = Change::new(Rule::ModelRemoved, None, message).from(old.relation.plain()).at(
                "model",
                Side::Base,
                Some(&old.at),
            );
            if let Some(terms) = &old.promise.terms {
                change = change.at("contract", Side::Base, Some(&terms.at)).promise();
                change = match terms.is_over(&self.comparison.today) {
                    true => change.severity(Severity::Note).why("its contract had ended"),
                    false => change.help(
                        "keep it until its `endOfLife`; `status: deprecated` and a date in the contract tell its readers",
                    ),
                };
            }
            let similar = self
                .pairs
                .added
                .iter()
                .filter_map(|id| self.sides.proposed.models.get(id))
                .find(|new| new.columns.is_some() && new.columns == old.columns && new.own == old.own);
            if let Some(new) = similar {
                change = change
                    .why(format!("`{}` is new and has the same query: it looks renamed", new.name))
                    .help(format!(
                        "if it was renamed, say so: `meta: {{renamed_from: {}}}` on `{}`",
                        old.name, new.name
                    ));
            }
            self.add(id, id, vec![(change, Origin::Own)]);
        }
        for id in &self.pairs.removed_sources {
            let old = &self.sides.base.sources[id];
            let message = format!("the source `{}` was removed", old.name);
            let change = Change::new(Rule::ModelRemoved, None, message).from(old.name.clone()).at(
                "source",
                Side::Base,
                Some(&old.at),
            );
            self.add(id, id, vec![(change, Origin::Own)]);
        }
    }

    /// Changes become findings: one for each that began somewhere, with all that it brought along.
    fn findings(&mut self) -> Result<Vec<Finding>> {
        let mut brought: BTreeMap<Key, Vec<Affected>> = BTreeMap::new();
        let mut folded: BTreeSet<Key> = BTreeSet::new();
        for (id, delta) in &self.deltas {
            for (at, (_, origin)) in delta.changes.iter().enumerate() {
                if *origin == Origin::Own {
                    continue;
                }
                let key = (id.clone(), at);
                for (root, via) in self.sides.roots(&self.deltas, &key)? {
                    folded.insert(key.clone());
                    brought.entry(root).or_default().push(Affected { node: id.clone(), change: at, via });
                }
            }
        }
        let readers = Readers::new(self.sides, &self.deltas);
        let mut findings = Vec::new();
        let mut said: BTreeMap<NodeId, Bump> = BTreeMap::new();
        let none = Vec::new();
        for (id, delta) in &self.deltas {
            for (at, (change, _)) in delta.changes.iter().enumerate() {
                let key = (id.clone(), at);
                if folded.contains(&key) {
                    continue;
                }
                let affected = brought.get(&key).unwrap_or(&none);
                let finding = self.finding(id, delta, change, affected, &readers)?;
                if finding.severity == Severity::Error {
                    let mut say = |node: &NodeId, bump: Bump| {
                        let known = said.entry(node.clone()).or_insert(bump);
                        *known = (*known).max(bump);
                    };
                    if change.is_promise {
                        say(id, change.bump);
                    }
                    for affected in affected {
                        say(&affected.node, self.deltas[&affected.node].changes[affected.change].0.bump);
                    }
                }
                findings.push((id.clone(), finding));
            }
        }
        findings.extend(self.versions(&said)?);
        findings.extend(self.leaks()?);
        let broken: BTreeSet<String> = findings
            .iter()
            .flat_map(|(_, finding)| &finding.breaks)
            .map(|broken| broken.name.clone())
            .collect();
        self.unknowns.retain(|unknown| !broken.contains(&unknown.subject));
        let selected = |id: &NodeId| self.comparison.selected.is_none_or(|selected| selected.contains(id));
        Ok(findings
            .into_iter()
            .filter(|(id, finding)| finding.severity > Severity::Off && selected(id))
            .map(|(_, finding)| finding)
            .collect())
    }

    fn finding(
        &self,
        id: &NodeId,
        delta: &Delta,
        change: &Change,
        affected: &[Affected],
        readers: &Readers<'_>,
    ) -> Result<Finding> {
        let before = delta.before.as_ref().unwrap_or(id);
        let (old, new) = (self.sides.base.models.get(before), self.sides.proposed.models.get(id));
        let breaks = readers.broken(before, change, affected)?;
        let proof = match (&change.check, new, self.comparison.prove) {
            (Some(check), Some(model), Some(prove)) => prove(model, check),
            _ => None,
        };
        let terms_old = old.and_then(|model| model.promise.terms.as_ref());
        let terms_new = new.and_then(|model| model.promise.terms.as_ref());
        let mut why = change.why.clone();
        let severity =
            self.severity(change, terms_old.or(terms_new), &breaks, affected, proof.as_ref(), &mut why);
        let mut help = change.help.clone();
        if help.is_empty() && change.rule == Rule::ColumnRemoved {
            help.push(match change.is_promise {
                true => format!(
                    "keep `{}` as deprecated until its readers have moved, or publish the new shape beside it under another name",
                    change.column.as_deref().unwrap_or_default()
                ),
                false => format!(
                    "keep `{}` until its readers have moved",
                    change.column.as_deref().unwrap_or_default()
                ),
            });
        }
        let version = |terms: Option<&super::promise::Terms>| terms.map(|terms| terms.version.clone());
        let version_needed = terms_old
            .filter(|_| change.is_promise)
            .and_then(|terms| Version::parse(&terms.version))
            .map(|from| needed(&from, change.bump).to_string());
        Ok(Finding {
            rule: change.rule,
            severity,
            model: self.subject(id).to_owned(),
            column: change.column.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            message: change.message.clone(),
            places: change.places.clone(),
            breaks,
            consumers_total: readers.count(before),
            bump: change.bump,
            version_old: version(terms_old),
            version_new: version(terms_new),
            version_needed,
            why,
            help,
            proof,
            waived: None,
        })
    }

    /// What a node is called: in the proposal, or in the base if it is gone.
    fn subject<'n>(&'n self, id: &'n NodeId) -> &'n str {
        match self.sides.proposed.models.contains_key(id) {
            true => self.sides.proposed.name(id),
            false => self.sides.base.name(id),
        }
    }

    fn severity(
        &self,
        change: &Change,
        terms: Option<&super::promise::Terms>,
        breaks: &[Broken],
        affected: &[Affected],
        proof: Option<&Proof>,
        why: &mut Vec<String>,
    ) -> Severity {
        let settings = self.comparison.settings;
        if let Some(said) = settings.severities.get(&change.rule) {
            return *said;
        }
        let mode = settings.mode_of(terms.and_then(|terms| terms.compatibility.as_deref()));
        let by_mode = settings.severity(change.rule, mode);
        // What the case itself asks for never makes louder what a mode has silenced.
        let mut severity = match change.severity {
            Some(asked) if by_mode >= change.rule.default_severity() => asked,
            Some(asked) => asked.min(by_mode),
            None => by_mode,
        };
        let certain =
            breaks.iter().any(|broken| broken.certainty == Certainty::Certain && self.matters(broken));
        let exposed = breaks.iter().any(|broken| broken.kind == ConsumerKind::Exposure);
        let promised_below = affected.iter().any(|affected| {
            let model = self.sides.proposed.models.get(&affected.node);
            let (change, _) = &self.deltas[&affected.node].changes[affected.change];
            change.is_promise
                && model.is_some_and(|model| model.promise.terms.as_ref().is_some_and(|t| !t.is_unstable()))
        });
        if change.rule == Rule::TypeWidened
            && certain
            && mode.mode != crate::contract::CompatibilityMode::None
        {
            severity = severity.max(Severity::Error);
            why.push("a reader depends on the narrower type".into());
        }
        if terms.is_none() || !change.is_promise {
            severity = match (certain || promised_below, exposed) {
                _ if terms.is_some() && !is_schema(change.rule) => severity,
                (true, _) => severity,
                (false, true) => severity.min(Severity::Warning),
                (false, false) => severity.min(Severity::Note),
            };
        }
        if terms.is_some_and(super::promise::Terms::is_unstable) {
            severity = severity.min(Severity::Warning);
        }
        match proof {
            Some(proof) if proof.violations == 0 => severity.min(Severity::Note),
            Some(_) if terms.is_some_and(|terms| !terms.is_unstable()) => severity.max(Severity::Error),
            _ => severity,
        }
    }

    /// Whether a reader that breaks for sure makes a change of something unpromised an error: a consumer, a model whose
    /// query does not bind, a model whose contract is in force.
    fn matters(&self, broken: &Broken) -> bool {
        if broken.kind == ConsumerKind::Exposure || broken.how.starts_with("does not bind") {
            return true;
        }
        let name = top(&broken.name);
        let model = self.sides.proposed.models.values().find(|model| model.name == name);
        let terms = model.and_then(|model| model.promise.terms.as_ref());
        terms.is_some_and(|terms| !terms.is_unstable()) && broken.how.contains("contract")
    }

    /// Contracts whose version does not say what changed, where no error says it already.
    fn versions(&self, said: &BTreeMap<NodeId, Bump>) -> Result<Vec<(NodeId, Finding)>> {
        let mut found = Vec::new();
        for (old_id, new_id) in &self.pairs.models {
            let (old, new) = (&self.sides.base.models[old_id], &self.sides.proposed.models[new_id]);
            let (Some(before), Some(after)) = (&old.promise.terms, &new.promise.terms) else { continue };
            let (Some(from), Some(to)) = (Version::parse(&before.version), Version::parse(&after.version))
            else {
                continue;
            };
            let changes = self.deltas.get(new_id).map(|delta| delta.changes.as_slice()).unwrap_or_default();
            let owed = changes
                .iter()
                .map(|(change, _)| change)
                .filter(|change| {
                    change.is_promise
                        && self.comparison.settings.severities.get(&change.rule) != Some(&Severity::Off)
                })
                .map(|change| change.bump)
                .max();
            let name = &new.name;
            let (bump, message) = match owed {
                _ if to < from => (
                    owed.unwrap_or(Bump::Patch),
                    format!("the version of `{name}` went back from {from} to {to}"),
                ),
                Some(bump) if bump > Bump::Patch && !is_enough(&from, &to, bump) => {
                    if said.get(new_id).is_some_and(|said| *said >= bump) {
                        continue;
                    }
                    let message = format!(
                        "the contract of `{name}` changed by a {} step and its version is {}",
                        bump.as_str(),
                        if to == from { format!("still {to}") } else { format!("{to} after {from}") }
                    );
                    (bump, message)
                }
                _ => continue,
            };
            let wanted = needed(&from, bump);
            let mut change = Change::new(Rule::VersionNotBumped, None, message)
                .from(from.to_string())
                .to(to.to_string())
                .bump(bump)
                .promise()
                .at("contract", Side::Proposed, Some(&after.version_at))
                .help(format!("write `version: {wanted}`"));
            change.why = changes
                .iter()
                .filter(|(change, _)| change.is_promise && change.bump == bump)
                .map(|(change, _)| change.message.clone())
                .collect();
            let mut why = change.why.clone();
            let severity = self.severity(&change, Some(after), &[], &[], None, &mut why);
            found.push((
                new_id.clone(),
                Finding {
                    rule: change.rule,
                    severity,
                    model: name.clone(),
                    column: None,
                    old: change.old,
                    new: change.new,
                    message: change.message,
                    places: change.places,
                    breaks: Vec::new(),
                    consumers_total: 0,
                    bump,
                    version_old: Some(before.version.clone()),
                    version_new: Some(after.version.clone()),
                    version_needed: Some(wanted.to_string()),
                    why,
                    help: change.help,
                    proof: None,
                    waived: None,
                },
            ));
        }
        Ok(found)
    }

    /// Protected columns whose values reach a column of a contract that is less protected, where they did not before.
    fn leaks(&self) -> Result<Vec<(NodeId, Finding)>> {
        let before = super::leak::leaks(self.sides.base, self.sides.before)?;
        let after = super::leak::leaks(self.sides.proposed, self.sides.after)?;
        let mut found = Vec::new();
        for leak in after {
            if before.contains(&leak) {
                continue;
            }
            let model = &self.sides.proposed.models[&leak.to];
            let from = format!("{}.{}", self.sides.proposed.name(&leak.from), leak.from_column);
            let message = format!(
                "`{}.{}` holds values of `{from}`, which is {}, and is {} itself",
                model.name, leak.to_column, leak.from_class, leak.to_class
            );
            let column = model.promise.column(&leak.to_column);
            let change = Change::new(Rule::ClassificationLeak, Some(&leak.to_column), message)
                .from(&leak.from_class)
                .to(&leak.to_class)
                .promise()
                .at("column", Side::Proposed, Some(model.place_of(&leak.to_column)))
                .at("contract", Side::Proposed, column.and_then(|column| column.at.as_ref()))
                .help(format!(
                    "write `classification: {}` on `{}`, or keep the value out of it",
                    leak.from_class, leak.to_column
                ));
            let terms = model.promise.terms.as_ref();
            let mut why = Vec::new();
            let severity = self.severity(&change, terms, &[], &[], None, &mut why);
            found.push((
                leak.to.clone(),
                Finding {
                    rule: change.rule,
                    severity,
                    model: model.name.clone(),
                    column: change.column,
                    old: change.old,
                    new: change.new,
                    message: change.message,
                    places: change.places,
                    breaks: Vec::new(),
                    consumers_total: 0,
                    bump: change.bump,
                    version_old: None,
                    version_new: terms.map(|terms| terms.version.clone()),
                    version_needed: None,
                    why,
                    help: change.help,
                    proof: None,
                    waived: None,
                },
            ));
        }
        Ok(found)
    }
}

/// Puts the place of an output to a change: where it is now, and where it was.
fn placed(change: Change, old: &ModelView, new: &ModelView) -> Change {
    let column = change.top().unwrap_or_default().to_owned();
    match change.rule {
        Rule::ColumnRemoved if !change.column.as_deref().unwrap_or_default().contains(['.', '[']) => {
            let change = change.at("model", Side::Proposed, Some(new.place_without(&column, old)));
            change.at("column", Side::Base, Some(old.place_of(&column)))
        }
        Rule::ColumnRenamed => {
            let now = change.new.clone().unwrap_or_default();
            let change = change.at("column", Side::Proposed, Some(new.place_of(&now)));
            change.at("column", Side::Base, Some(old.place_of(&column)))
        }
        Rule::OrderChanged => change.at("model", Side::Proposed, Some(new.place_of(""))),
        _ => change.at("column", Side::Proposed, Some(new.place_of(&column))),
    }
}

fn contract_place(side: Side, spot: Option<&super::spot::Spot>) -> Option<Place> {
    spot.map(|spot| Place { label: "contract".into(), side, at: spot.0.clone() })
}
