//! Ground: what all workers of a compile stand on: the project, what is known of its nodes so far, and which of them have
//! a table in the shadow.
//!
//! A node's table is made when somebody first reads it: most of a large project is never read by name again once its
//! columns are known, and a model that was bound by an earlier compile needs none at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use super::verdict::{Verdict, judge};
use super::{Cause, CompileOptions, State};
use crate::engine::session::{ColumnType, SqlError};
use crate::engine::shadow::Shadow;
use crate::error::Result;
use crate::manifest::{Manifest, Node};
use crate::names::{Fingerprint, NodeId, Relation};
use crate::run::candidate::{Candidate, Candidates, Physical};
use crate::sql::relations;
use crate::sql::rendered::Rendered;
use crate::workspace::Workspace;

/// The columns of something, with a hash of them: whoever reads it is bound again when they change.
#[derive(Debug)]
pub(super) struct Shape {
    pub columns: Vec<ColumnType>,
    pub signature: Fingerprint,
}

impl Shape {
    pub fn new(columns: Vec<ColumnType>) -> Arc<Self> {
        let parts = columns.iter().flat_map(|column| [column.name.as_bytes(), column.data_type.as_bytes()]);
        let signature = Fingerprint::of(parts);
        Arc::new(Self { columns, signature })
    }
}

/// What is known so far.
#[derive(Default)]
pub(super) struct Known {
    pub states: HashMap<NodeId, State>,
    pub shapes: HashMap<NodeId, Arc<Shape>>,
    /// Ephemeral models, to be pasted into what people see.
    pub inline: Candidates,
}

pub(super) struct Ground<'a> {
    pub workspace: &'a Workspace,
    pub options: &'a CompileOptions,
    /// What stands under another name in the shadow: sources with files.
    pub aside: Candidates,
    /// Where tests find what they read: a source with files is tested where it lands.
    pub tested: Candidates,
    /// The raw model that takes in a source with files.
    landings: HashMap<NodeId, NodeId>,
    /// Nodes and sources by the name of their relation, in lower case.
    pub names: HashMap<String, Vec<NodeId>>,
    /// Names that are not one plain word, in lower case.
    odd_names: Vec<String>,
    known: RwLock<Known>,
    /// Models whose tables are made when they are needed.
    tables: HashMap<NodeId, OnceLock<Result<(), SqlError>>>,
}

impl<'a> Ground<'a> {
    pub fn new(workspace: &'a Workspace, options: &'a CompileOptions) -> Self {
        let names = relation_names(&workspace.manifest);
        let landings = landings(workspace);
        let is_plain = |name: &String| relations::words(name).any(|(_, word)| word == name);
        Self {
            workspace,
            options,
            aside: Candidates::new(),
            tested: tested(workspace, &landings),
            landings,
            odd_names: names.keys().filter(|name| !is_plain(name)).cloned().collect(),
            names,
            known: RwLock::default(),
            tables: workspace.manifest.nodes.keys().map(|id| (id.clone(), OnceLock::new())).collect(),
        }
    }

    /// What is known now.
    pub fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of a node or source.
    pub fn settle(&self, id: &NodeId, state: State, shape: Option<Arc<Shape>>, inline: Option<&Rendered>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.states.insert(id.clone(), state);
        if let Some(shape) = shape {
            known.shapes.insert(id.clone(), shape);
        }
        if let Some(rendered) = inline {
            known.inline.insert(id.clone(), candidate(Physical::Inline(Box::new(rendered.clone()))));
        }
    }

    pub fn is_settled(&self, id: &NodeId) -> bool {
        self.known().states.contains_key(id)
    }

    pub fn shape(&self, id: &NodeId) -> Option<Arc<Shape>> {
        self.known().shapes.get(id).cloned()
    }

    pub fn column_names(&self, id: &NodeId) -> Option<Vec<String>> {
        Some(self.shape(id)?.columns.iter().map(|column| column.name.clone()).collect())
    }

    /// The first cause among parents, if one of them is not known.
    pub fn cause<'n>(&self, mut parents: impl Iterator<Item = &'n NodeId>) -> Option<Cause> {
        let known = self.known();
        parents.find_map(|id| match known.states.get(id) {
            Some(State::Unknown(cause)) => Some(cause.clone()),
            _ => None,
        })
    }

    /// The node or source of a written name: `schema.name`, or `name` in `main`.
    pub fn find_relation(&self, written: &str) -> Option<NodeId> {
        let parts: Vec<String> =
            written.split('.').map(|part| part.trim_matches('"').to_lowercase()).collect();
        let (schema, name) = match parts.as_slice() {
            [.., schema, name] => (schema.as_str(), name),
            [name] => ("main", name),
            [] => return None,
        };
        self.names.get(name)?.iter().find_map(|id| {
            let relation = self.relation(id)?;
            relation.schema.eq_ignore_ascii_case(schema).then(|| id.clone())
        })
    }

    pub fn relation(&self, id: &NodeId) -> Option<&Relation> {
        let manifest = &self.workspace.manifest;
        let node = manifest.nodes.get(id).map(|node| &node.relation);
        node.or_else(|| manifest.sources.get(id).map(|source| &source.relation))
    }

    /// What SQL may read: what its slots say, and everything whose name stands anywhere in it. More than it does read.
    pub fn may_read(&self, sql: &str, rendered: &Rendered) -> Vec<NodeId> {
        let slots = rendered.slots.iter().map(|slot| slot.node.clone());
        let mut all: Vec<NodeId> = slots.collect();
        let mut lower = String::new();
        for (_, word) in relations::words(sql) {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            all.extend(self.names.get(&lower).into_iter().flatten().cloned());
        }
        if !self.odd_names.is_empty() {
            let text = sql.to_lowercase();
            let found = self.odd_names.iter().filter(|name| text.contains(name.as_str()));
            all.extend(found.flat_map(|name| &self.names[name]).cloned());
        }
        all.sort();
        all.dedup();
        all
    }

    /// What binding SQL follows from: what it is for, its text with the names of the shadow, and the columns of everything
    /// that it may read. `own` is whose SQL it is: its own table is not there yet. Nothing where that cannot be told.
    pub fn key(
        &self,
        purpose: &str,
        own: Option<&NodeId>,
        sql: &str,
        rendered: &Rendered,
    ) -> Option<Fingerprint> {
        // These two make relations out of text.
        if has_word(sql, "query") || has_word(sql, "query_table") {
            return None;
        }
        // Of a secret, not even a hash is kept.
        if self.workspace.secrets().iter().any(|secret| sql.contains(secret)) {
            return None;
        }
        let mut parts: Vec<String> = vec![purpose.to_owned(), sql.to_owned()];
        let reads = self.may_read(sql, rendered);
        let known = self.known();
        for id in reads.into_iter().filter(|id| Some(id) != own) {
            // What is not settled yet may be there for one worker and not for another.
            let state = match (known.states.get(&id)?, known.shapes.get(&id)) {
                (State::Known, Some(shape)) => shape.signature.as_str(),
                _ => "unknown",
            };
            parts.extend([id.as_str().to_owned(), self.relation(&id)?.to_string(), state.to_owned()]);
        }
        Some(Fingerprint::of(parts.iter().map(String::as_bytes)))
    }

    /// Notes that a model's table stands already.
    pub fn stands(&self, id: &NodeId) {
        if let Some(table) = self.tables.get(id) {
            let _ = table.set(Ok(()));
        }
    }

    /// Makes the table of a model whose columns are known, unless it stands. Says whether there is one now.
    pub fn stand(&self, shadow: &Shadow, id: &NodeId) -> Result<bool, SqlError> {
        let (Some(table), Some(node)) = (self.tables.get(id), self.workspace.manifest.nodes.get(id)) else {
            return Ok(false);
        };
        let Some(shape) = self.shape(id) else { return Ok(false) };
        table.get_or_init(|| shadow.create(&node.relation, &shape.columns)).clone()?;
        Ok(true)
    }

    /// Makes the tables that SQL reads by its slots.
    pub fn stand_read(&self, shadow: &Shadow, rendered: &Rendered) -> Result<(), SqlError> {
        for slot in &rendered.slots {
            self.stand(shadow, self.landing(&slot.node))?;
        }
        Ok(())
    }

    /// Where the rows of something are found: those of a source with files in the raw model that takes them in.
    pub fn landing<'i>(&'i self, id: &'i NodeId) -> &'i NodeId {
        self.landings.get(id).unwrap_or(id)
    }

    /// Makes the tables of all models that are known by now.
    pub fn stand_all(&self, shadow: &Shadow) -> Result<(), SqlError> {
        let all: BTreeMap<NodeId, ()> = self.known().shapes.keys().map(|id| (id.clone(), ())).collect();
        for id in all.keys() {
            self.stand(shadow, id)?;
        }
        Ok(())
    }

    /// Tries SQL in the shadow; where it misses the table of a model that is known, that is made, and it is tried again.
    pub fn attempt<T>(
        &self,
        shadow: &Shadow,
        attempt: impl Fn(&Shadow) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let mut missed: Vec<NodeId> = Vec::new();
        loop {
            let error = match attempt(shadow) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Verdict::NoTable(name) = judge(&error, self.workspace.root()) else { return Err(error) };
            match self.find_relation(&name).filter(|id| !missed.contains(id)) {
                Some(id) if self.stand(shadow, &id)? => missed.push(id),
                _ => return Err(error),
            }
        }
    }

    pub fn describe(&self, shadow: &Shadow, sql: &str) -> Result<Vec<ColumnType>, SqlError> {
        self.attempt(shadow, |shadow| shadow.session().describe(sql))
    }

    /// The nodes that the compile itself binds.
    pub fn node(&self, id: &NodeId) -> Option<&'a Node> {
        self.workspace.manifest.nodes.get(id)
    }
}

pub(super) fn has_word(sql: &str, wanted: &str) -> bool {
    relations::words(sql).any(|(_, word)| word.eq_ignore_ascii_case(wanted))
}

/// Something that stands for another name.
pub(super) fn candidate(physical: Physical) -> Candidate {
    Candidate { fingerprint: Fingerprint::of([]), physical, rows: None, intervals: None, volatile: None }
}

fn landings(workspace: &Workspace) -> HashMap<NodeId, NodeId> {
    let sources = workspace.manifest.sources.values().filter(|source| source.files.is_some());
    sources
        .filter_map(|source| Some((source.id.clone(), workspace.landing_of(&source.id)?.clone())))
        .collect()
}

fn tested(workspace: &Workspace, landings: &HashMap<NodeId, NodeId>) -> Candidates {
    let physical = |id| Some(Physical::Source(workspace.manifest.nodes.get(id)?.relation.clone()));
    landings.iter().filter_map(|(source, id)| Some((source.clone(), candidate(physical(id)?)))).collect()
}

fn relation_names(manifest: &Manifest) -> HashMap<String, Vec<NodeId>> {
    let mut names: HashMap<String, Vec<NodeId>> = HashMap::new();
    let nodes = manifest.nodes.values().map(|node| (&node.relation, &node.id));
    let sources = manifest.sources.values().map(|source| (&source.relation, &source.id));
    for (relation, id) in nodes.chain(sources) {
        names.entry(relation.name.to_lowercase()).or_default().push(id.clone());
    }
    names
}
