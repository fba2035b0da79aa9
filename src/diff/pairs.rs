//! Pairs: which nodes of two sides are the same thing.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{ModelView, View, ViewOrigin};
use crate::names::NodeId;

/// Nodes of both sides that are the same thing.
#[derive(Default)]
pub(super) struct Pairs {
    /// Old and new ids.
    pub models: Vec<(NodeId, NodeId)>,
    pub removed: Vec<NodeId>,
    pub added: Vec<NodeId>,
    pub sources: Vec<NodeId>,
    pub removed_sources: Vec<NodeId>,
    pub renamed: BTreeMap<NodeId, NodeId>,
}

impl Pairs {
    pub fn of(base: &View, proposed: &View) -> Self {
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
