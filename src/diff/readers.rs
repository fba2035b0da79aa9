//! Readers: who reads a changed column, through which models, and whether it breaks.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Change;
use super::finding::{Broken, Certainty, ConsumerKind, Place, Side};
use super::origin::{Affected, Deltas, Sides};
use super::rule::Rule;
use super::view::{ConsumerView, ModelView};
use crate::contract::Version;
use crate::engine::session::SqlError;
use crate::error::Result;
use crate::names::NodeId;
use crate::resolve::endings;
use crate::sql::lineage::{ColumnLineage, Lineage, TableColumn};

/// What a change does to whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// What was read is not there.
    Gone,
    /// The model's query does not bind, so nothing of it is there.
    Unbound,
    /// It has another type.
    Retyped,
    /// It is there and means something else, or less is known of it.
    Meaning,
    /// Nobody has to notice.
    Nothing,
}

fn effect(rule: Rule) -> Effect {
    match rule {
        Rule::ColumnRemoved | Rule::ColumnRenamed | Rule::ModelRemoved | Rule::ModelRenamed => Effect::Gone,
        Rule::TypeWidened | Rule::TypeNarrowed | Rule::TypeChanged => Effect::Retyped,
        Rule::ColumnAdded
        | Rule::RequiredColumnAdded
        | Rule::OrderChanged
        | Rule::RequiredTightened
        | Rule::RangeTightened
        | Rule::KeyAdded
        | Rule::RelationshipAdded
        | Rule::FreshnessTightened
        | Rule::ClassificationLowered
        | Rule::ClassificationLeak
        | Rule::MaterializationChanged
        | Rule::VersionNotBumped => Effect::Nothing,
        _ => Effect::Meaning,
    }
}

/// Columns of a node that matter.
#[derive(Debug, Clone)]
enum Columns {
    All,
    Some(BTreeSet<String>),
}

impl Columns {
    fn holds(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(columns) => columns.contains(&column.to_lowercase()),
        }
    }
}

/// A node whose readers are looked for.
struct Step {
    /// Its id in the base.
    node: NodeId,
    columns: Columns,
    effect: Effect,
    via: Vec<String>,
}

/// Finds readers, for all findings of a diff.
pub(super) struct Readers<'a> {
    sides: &'a Sides<'a>,
    deltas: &'a Deltas,
    children: BTreeMap<&'a NodeId, BTreeSet<&'a NodeId>>,
}

/// How a query uses some columns of a node.
struct Use {
    /// Outputs that hold the content.
    value: BTreeSet<String>,
    /// Something else depends on it.
    influence: bool,
    /// It may be used, and nobody knows how.
    unknown: Option<String>,
}

impl Use {
    fn is_any(&self) -> bool {
        !self.value.is_empty() || self.influence || self.unknown.is_some()
    }
}

impl<'a> Readers<'a> {
    pub fn new(sides: &'a Sides<'a>, deltas: &'a Deltas) -> Self {
        Self { sides, deltas, children: sides.base.children() }
    }

    /// Everything below a node: models, and consumers of it or of one of them.
    pub fn count(&self, root: &NodeId) -> usize {
        let mut models = BTreeSet::new();
        let mut work = vec![root];
        while let Some(node) = work.pop() {
            for child in self.children.get(node).into_iter().flatten() {
                if models.insert(*child) {
                    work.push(child);
                }
            }
        }
        let reads = |consumer: &&ConsumerView| {
            consumer.reads.iter().any(|read| read == root || models.contains(read))
        };
        models.len() + self.sides.base.consumers.values().filter(reads).count()
    }

    /// Who breaks by a change of a node, called by its id in the base. Those who break for sure come first.
    pub fn broken(&self, root: &NodeId, change: &Change, affected: &[Affected]) -> Result<Vec<Broken>> {
        let effect = effect(change.rule);
        let mut found: BTreeMap<(ConsumerKind, String), Broken> = BTreeMap::new();
        if effect == Effect::Nothing {
            return Ok(Vec::new());
        }
        let columns = match change.top() {
            Some(column) => Columns::Some(BTreeSet::from([column.to_lowercase()])),
            None => Columns::All,
        };
        let mut seen: BTreeSet<(NodeId, String)> = BTreeSet::new();
        let mut work = vec![Step { node: root.clone(), columns, effect, via: Vec::new() }];
        while let Some(step) = work.pop() {
            let mark = match &step.columns {
                Columns::All => "*".to_owned(),
                Columns::Some(columns) => columns.iter().cloned().collect::<Vec<_>>().join(","),
            };
            if !seen.insert((step.node.clone(), mark)) {
                continue;
            }
            for child in self.children.get(&step.node).into_iter().flatten().copied() {
                if let Some((broken, next)) = self.model(&step, child, change, affected)? {
                    if let Some(broken) = broken {
                        add(&mut found, broken);
                    }
                    work.extend(next);
                }
            }
            for broken in self.consumers(&step, change)? {
                add(&mut found, broken);
            }
        }
        let mut all: Vec<Broken> = found.into_values().collect();
        all.sort_by(|a, b| (a.certainty, a.kind, &a.name).cmp(&(b.certainty, b.kind, &b.name)));
        Ok(all)
    }

    /// What becomes of one model that reads a changed one, and where to go on from it.
    fn model(
        &self,
        step: &Step,
        child: &NodeId,
        change: &Change,
        affected: &[Affected],
    ) -> Result<Option<(Option<Broken>, Option<Step>)>> {
        let now = self.sides.now(child);
        let (Some(old), Some(new)) = (self.sides.base.models.get(child), self.sides.proposed.models.get(now))
        else {
            return Ok(None);
        };
        let used = self.usage(&step.node, &step.columns, &*self.sides.before.lineage(child)?);
        if !used.is_any() {
            return Ok(None);
        }
        let mut via = step.via.clone();
        via.push(new.name.clone());
        let reads = self.reads(step);
        let broken = |certainty, how: String, name: String| Broken {
            name,
            kind: ConsumerKind::Model,
            reads: reads.clone(),
            certainty,
            how,
            owner: None,
            via: step.via.clone(),
            place: Some(Place { label: "model".into(), side: Side::Proposed, at: new.at.0.clone() }),
        };
        let next = |columns, effect| Step { node: child.clone(), columns, effect, via: via.clone() };
        // A query that does not bind takes everything below with it.
        if step.effect != Effect::Meaning
            && new.columns.is_none()
            && old.columns.is_some()
            && let Err(error) = self.sides.after.bind(&new.sql)?
        {
            let how = format!("does not bind: {}", brief(&error));
            let broken = broken(Certainty::Certain, how, new.name.clone());
            return Ok(Some((Some(broken), Some(next(Columns::All, Effect::Unbound)))));
        }
        let lost = self.lost(now, affected, &used.value);
        Ok(Some(match step.effect {
            Effect::Gone | Effect::Retyped if !lost.is_empty() => {
                let name = |column: &String| format!("{}.{column}", new.name);
                let names = lost.keys().map(name).collect::<Vec<_>>().join(", ");
                let pinned = self.pinned(new, &lost);
                let (certainty, how) = match (step.effect, pinned) {
                    (Effect::Gone | Effect::Unbound, _) => {
                        let what = if lost.len() == 1 {
                            "its column goes with it"
                        } else {
                            "its columns go with it"
                        };
                        (Certainty::Certain, what.to_owned())
                    }
                    (_, Some(pinned)) => (Certainty::Certain, pinned),
                    _ => (
                        Certainty::Possible,
                        format!("becomes {}", lost.values().next().cloned().unwrap_or_default()),
                    ),
                };
                let columns = Columns::Some(lost.keys().map(|column| column.to_lowercase()).collect());
                (Some(broken(certainty, how, names)), Some(next(columns, step.effect)))
            }
            // It binds, and keeps what it shows: it was adapted, or never needed it.
            Effect::Gone | Effect::Unbound | Effect::Nothing => return Ok(None),
            Effect::Retyped => {
                if change.rule == Rule::TypeWidened || !old.is_same_query(new) {
                    return Ok(None);
                }
                let how = "computes with it, or compares by it".to_owned();
                (Some(broken(Certainty::Possible, how, new.name.clone())), None)
            }
            Effect::Meaning => {
                let how = match (&used.unknown, used.value.is_empty()) {
                    (_, false) => "takes its value".to_owned(),
                    (Some(reason), true) => format!("may read it: {reason}"),
                    (None, true) => "filters, joins or groups by it".to_owned(),
                };
                let go_on = match (&step.columns, used.value.is_empty(), &used.unknown) {
                    (Columns::All, ..) | (_, true, Some(_)) => Some(next(Columns::All, Effect::Meaning)),
                    (_, false, _) => Some(next(Columns::Some(used.value.clone()), Effect::Meaning)),
                    (_, true, None) => None,
                };
                (Some(broken(Certainty::Possible, how, new.name.clone())), go_on)
            }
        }))
    }

    /// The columns of a model that changed with the cause, each with what it became.
    fn lost(
        &self,
        node: &NodeId,
        affected: &[Affected],
        outputs: &BTreeSet<String>,
    ) -> BTreeMap<String, String> {
        let mut lost = BTreeMap::new();
        for affected in affected.iter().filter(|affected| affected.node == *node) {
            let Some(delta) = self.deltas.get(node) else { continue };
            let (change, _) = &delta.changes[affected.change];
            if let Some(column) = change.top()
                && outputs.contains(&column.to_lowercase())
            {
                lost.insert(column.to_owned(), change.new.clone().unwrap_or_default());
            }
        }
        lost
    }

    /// Whether a contract holds a column to the type that it had.
    fn pinned(&self, model: &ModelView, lost: &BTreeMap<String, String>) -> Option<String> {
        lost.iter().find_map(|(column, became)| {
            let written = model.promise.column(column)?.data_type.clone()?;
            let promised = self.sides.after.canonical(&written)?;
            (promised != *became).then(|| format!("its contract promises {promised}"))
        })
    }

    /// Whether a version that a consumer requires of a model's contract is not there any more.
    fn required(&self, step: &Step, consumer: &ConsumerView) -> Option<String> {
        let range = consumer.requires.get(&step.node)?;
        let version = |model: Option<&ModelView>| Version::parse(&model?.promise.terms.as_ref()?.version);
        let before = version(self.sides.base.models.get(&step.node))?;
        let after = version(self.sides.proposed.models.get(self.sides.now(&step.node)))?;
        let lost =
            endings::holds(range, &before) == Some(true) && endings::holds(range, &after) == Some(false);
        lost.then(|| format!("requires {range}, and the version becomes {after}"))
    }

    fn consumers(&self, step: &Step, change: &Change) -> Result<Vec<Broken>> {
        let mut found = Vec::new();
        let (base, proposed) = (&self.sides.base.consumers, &self.sides.proposed.consumers);
        let names: BTreeSet<&String> = base.keys().chain(proposed.keys()).collect();
        for name in names {
            // A consumer that is not declared any more may be there all the same.
            let (consumer, side) = match (proposed.get(name), base.get(name)) {
                (Some(consumer), _) => (consumer, Side::Proposed),
                (None, Some(consumer)) => (consumer, Side::Base),
                (None, None) => continue,
            };
            let broken = match self.required(step, consumer) {
                Some(how) => Some((Certainty::Certain, how, &consumer.at)),
                None => self.consumer(step, consumer, change)?,
            };
            let Some((mut certainty, mut how, at)) = broken else { continue };
            if side == Side::Base {
                certainty = Certainty::Possible;
                how.push_str("; it is not declared any more");
            }
            found.push(Broken {
                name: name.clone(),
                kind: ConsumerKind::Exposure,
                reads: self.reads(step),
                certainty,
                how,
                owner: Some(consumer.owner.clone())
                    .filter(|owner| owner.name.is_some() || owner.email.is_some()),
                via: step.via.clone(),
                place: Some(Place { label: "consumer".into(), side, at: at.0.clone() }),
            });
        }
        Ok(found)
    }

    /// Whether a consumer reads the columns, how that is known, and where.
    fn consumer<'c>(
        &self,
        step: &Step,
        consumer: &'c ConsumerView,
        change: &Change,
    ) -> Result<Option<(Certainty, String, &'c super::spot::Spot)>> {
        let node = &step.node;
        let now = self.sides.now(node);
        let is_it = |read: &NodeId| read == node || read == now;
        // A consumer that is declared to read the new name was looked at.
        let moved = now != node && consumer.reads.contains(now);
        let sure = match step.effect {
            Effect::Gone if !moved => Certainty::Certain,
            _ => Certainty::Possible,
        };
        if step.effect == Effect::Unbound {
            let reads = consumer.reads.iter().any(is_it)
                || self
                    .queries(consumer)?
                    .iter()
                    .any(|lineage| self.usage(node, &Columns::All, lineage).is_any());
            let how = format!("reads `{}`, which does not bind", self.sides.base.name(node));
            return Ok(reads.then_some((Certainty::Certain, how, &consumer.at)));
        }
        for query in &consumer.queries {
            let lineage = self.sides.before.query_lineage(&query.text)?;
            let used = self.usage(node, &step.columns, &lineage);
            let only_unknown = used.value.is_empty() && !used.influence;
            if !used.is_any() || only_unknown && !consumer.reads.iter().any(is_it) {
                continue;
            }
            let bound_before = self.sides.before.bind(&query.text)?.is_ok();
            match self.sides.after.bind(&query.text)? {
                Err(error) if bound_before => {
                    let how = format!("its query does not bind: {}", brief(&error));
                    return Ok(Some((Certainty::Certain, how, &query.at)));
                }
                _ if step.effect == Effect::Gone && bound_before => {
                    let how = "its query takes every column".to_owned();
                    return Ok(Some((Certainty::Possible, how, &query.at)));
                }
                _ => {
                    let how = match used.value.is_empty() {
                        true => "its query filters, joins or groups by it",
                        false => "its query reads it",
                    };
                    return Ok(Some((Certainty::Possible, how.to_owned(), &query.at)));
                }
            }
        }
        if let Some((_, named)) = consumer.columns.iter().find(|(read, _)| is_it(read)) {
            let hit = named.iter().find(|column| {
                step.columns.holds(column.text.split(['.', '[']).next().unwrap_or(&column.text))
            });
            // A whole model that is gone breaks those who name none of its columns, too.
            return Ok(hit.map(|column| (sure, format!("names `{}`", column.text), &column.at)));
        }
        if !consumer.reads.iter().any(is_it) {
            return Ok(None);
        }
        let whole =
            matches!(step.columns, Columns::All) && step.effect == Effect::Gone && change.column.is_none();
        let declared = !consumer.queries.is_empty();
        Ok(match (whole, declared) {
            (true, _) => Some((sure, "reads the model".to_owned(), &consumer.at)),
            (false, true) => None,
            (false, false) => {
                Some((Certainty::Possible, "does not say which columns it reads".to_owned(), &consumer.at))
            }
        })
    }

    fn queries(&self, consumer: &ConsumerView) -> Result<Vec<Lineage>> {
        consumer.queries.iter().map(|query| self.sides.before.query_lineage(&query.text)).collect()
    }

    /// What a reader reads, for people: `orders.email`.
    fn reads(&self, step: &Step) -> Vec<String> {
        let name = self.sides.base.name(&step.node);
        match &step.columns {
            Columns::All => vec![name.to_owned()],
            Columns::Some(columns) => columns.iter().map(|column| format!("{name}.{column}")).collect(),
        }
    }

    /// How a query with this lineage uses columns of a node of the base.
    fn usage(&self, node: &NodeId, columns: &Columns, lineage: &Lineage) -> Use {
        let is_it = |read: &TableColumn| {
            self.sides.before.owner(&read.table) == Some(node) && columns.holds(&read.column)
        };
        let holds = |output: &&ColumnLineage| output.value.iter().any(is_it);
        let mut used = Use {
            value: lineage.columns.iter().filter(holds).map(|output| output.output.to_lowercase()).collect(),
            influence: lineage.rows.iter().any(is_it)
                || lineage.columns.iter().any(|output| output.influence.iter().any(is_it)),
            unknown: None,
        };
        if matches!(columns, Columns::All) {
            // `count(*)` reads a table and none of its columns.
            used.influence |= lineage.tables.iter().any(|table| self.sides.before.owner(table) == Some(node));
        }
        if lineage.columns.iter().any(|output| output.unknown) && !lineage.reasons.is_empty() {
            used.unknown = lineage.reasons.iter().next().cloned();
        }
        used
    }
}

/// Keeps one entry for a reader: the strongest, with all that it reads.
fn add(found: &mut BTreeMap<(ConsumerKind, String), Broken>, broken: Broken) {
    match found.get_mut(&(broken.kind, broken.name.clone())) {
        None => {
            found.insert((broken.kind, broken.name.clone()), broken);
        }
        Some(known) => {
            let mut reads = known.reads.clone();
            reads.extend(broken.reads.iter().filter(|read| !known.reads.contains(read)).cloned());
            if (broken.certainty, broken.via.len()) < (known.certainty, known.via.len()) {
                *known = broken;
            }
            known.reads = reads;
        }
    }
}

/// What DuckDB says, without the list of what else there is.
fn brief(error: &SqlError) -> String {
    let sentence = error.sentence();
    let end = [sentence.find(['\n', '\t']), sentence.find("; "), sentence.find(". You might")];
    let end = end.into_iter().flatten().min().unwrap_or(sentence.len());
    sentence[..end].trim_end_matches(['.', ';', ' ', '!']).to_owned()
}
