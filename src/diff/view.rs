//! A view: one side of a diff as values. Everything that a comparison asks of a project, without the project: it can be
//! kept with a release, or beside a commit, and compared years later.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::promise::Promise;
use super::spot::Spot;
use crate::compile::{Compiled, set_aside, stands_as};
use crate::diagnostic::Location;
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::ColumnType;
use crate::manifest::{Exposure, Materialization, Node, NodeKind, Owner};
use crate::names::{Fingerprint, NodeId, Relation};
use crate::run::candidate::{Candidates, Reading, bind};
use crate::sql::items::select_list;
use crate::sql::relations::words;
use crate::sql::rendered::Rendered;
use crate::sql::tokens::{read, without_end};
use crate::workspace::Workspace;

/// One side.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct View {
    /// Where it was read.
    pub origin: ViewOrigin,
    /// Models and seeds by their id.
    pub models: BTreeMap<NodeId, ModelView>,
    /// Source tables by their id.
    pub sources: BTreeMap<NodeId, SourceView>,
    /// Consumers by name.
    pub consumers: BTreeMap<String, ConsumerView>,
    /// Models of a release that says nothing of them but their columns, by name.
    #[serde(skip)]
    pub(super) bare: BTreeMap<String, ModelView>,
}

/// Where a view was read. Sources are compared between files alone: what a database knows of them is data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewOrigin {
    /// A project's files.
    #[default]
    Files,
    /// A database: a release, or what a run is about to make one of.
    Database,
}

/// A model or a seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelView {
    /// Its name.
    pub name: String,
    /// What readers use.
    pub relation: Relation,
    /// How it is kept.
    pub materialized: String,
    /// Its columns, where they are known.
    pub columns: Option<Vec<ColumnType>>,
    /// Why they are not.
    pub unknown: Option<String>,
    /// Its query, as it binds where its parents have the names of `relation`.
    pub sql: String,
    /// A hash of its query without formatting, whatever its parents are called.
    pub own: Fingerprint,
    /// A hash of its template and of all that a template can use: it may render to something else each time.
    pub template: Fingerprint,
    /// What it reads.
    pub reads: Vec<NodeId>,
    /// What is promised of it.
    pub promise: Promise,
    /// The name that it had before, from its `meta`.
    pub renamed_from: Option<String>,
    /// The model.
    pub at: Spot,
    /// Where its outputs are written, by name in lower case; `*` is a star, an empty name the list itself.
    pub items: BTreeMap<String, ItemView>,
}

/// What was seen of a node: what its template renders to, its columns, and its query as it binds where its parents have
/// their published names.
pub struct Seen<'a> {
    /// The rendered template, if it can be rendered.
    pub rendered: Option<&'a Rendered>,
    /// The columns, if they are known.
    pub columns: Option<Vec<ColumnType>>,
    /// The query.
    pub sql: String,
}

/// An output's item in the select list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemView {
    /// Where.
    pub at: Spot,
    /// The expression without its alias.
    pub text: String,
}

/// A source table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceView {
    /// `source.table`.
    pub name: String,
    /// Where queries find it.
    pub relation: Relation,
    /// Its columns, where they are known.
    pub columns: Option<Vec<ColumnType>>,
    /// Where columns are declared, by name in lower case.
    pub column_at: BTreeMap<String, Spot>,
    /// Where it is declared.
    pub at: Spot,
}

/// A consumer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsumerView {
    /// Who to ask.
    pub owner: Owner,
    /// What it reads.
    pub reads: Vec<NodeId>,
    /// Which columns of it, by the model's id.
    pub columns: BTreeMap<NodeId, Vec<NamedColumn>>,
    /// Its own SQL.
    pub queries: Vec<NamedColumn>,
    /// Which versions of a contract it requires, by the model's id.
    #[serde(default)]
    pub requires: BTreeMap<NodeId, String>,
    /// Where it is declared.
    pub at: Spot,
}

/// A text with its place: a column that a consumer names, or one of its queries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedColumn {
    /// The text.
    pub text: String,
    /// Where.
    pub at: Spot,
}

impl View {
    /// What a compiled project shows.
    pub fn of(workspace: &Workspace, compiled: &Compiled) -> Self {
        let manifest = &workspace.manifest;
        let mut view = Self::default();
        let mut tests: BTreeMap<&NodeId, Vec<&crate::manifest::Test>> = BTreeMap::new();
        for test in manifest.tests.values() {
            if let Some(node) = &test.node {
                tests.entry(node).or_default().push(test);
            }
        }
        let aside = set_aside(workspace);
        for node in manifest.nodes.values() {
            let own = tests.get(&node.id).into_iter().flatten().copied();
            let promise = Promise::of(manifest.contracts.get(&node.id), own).until(node);
            let model = ModelView::of(workspace, node, compiled, &aside, promise);
            view.models.insert(node.id.clone(), model);
        }
        for source in manifest.sources.values() {
            let declared = source.columns.iter();
            let column_at = declared.map(|column| (column.name.to_lowercase(), Spot::from(&column.at)));
            let seen = SourceView {
                name: source.id.short().to_owned(),
                relation: stands_as(source),
                columns: compiled.sources.get(&source.id).cloned(),
                column_at: column_at.collect(),
                at: Spot::from(&source.at),
            };
            view.sources.insert(source.id.clone(), seen);
        }
        for exposure in manifest.exposures.values() {
            view.consumers.insert(exposure.name.clone(), ConsumerView::of(exposure));
        }
        view
    }

    /// What something is called: a model's name, `source.table`.
    pub fn name<'a>(&'a self, id: &'a NodeId) -> &'a str {
        self.models.get(id).map_or_else(|| id.short(), |model| &model.name)
    }

    /// The columns of a model or source.
    pub fn columns(&self, id: &NodeId) -> Option<&[ColumnType]> {
        let model = self.models.get(id).map(|model| model.columns.as_deref());
        model.or_else(|| self.sources.get(id).map(|source| source.columns.as_deref())).flatten()
    }

    /// Models that read something, by what they read.
    pub fn children(&self) -> BTreeMap<&NodeId, BTreeSet<&NodeId>> {
        let mut children: BTreeMap<&NodeId, BTreeSet<&NodeId>> = BTreeMap::new();
        for (id, model) in &self.models {
            for parent in &model.reads {
                children.entry(parent).or_default().insert(id);
            }
        }
        children
    }
}

impl ModelView {
    fn of(
        workspace: &Workspace,
        node: &Node,
        compiled: &Compiled,
        aside: &Candidates,
        promise: Promise,
    ) -> Self {
        let found = compiled.models.get(&node.id);
        let rendered = found.map(|found| &found.rendered);
        let columns = found.and_then(|found| found.columns.clone());
        let sql = rendered.map(|rendered| bind(rendered, aside, Reading::Now).sql).unwrap_or_default();
        let sql = if sql.contains(';') { without_end(&sql).to_owned() } else { sql };
        let mut view = Self::new(workspace, node, Seen { rendered, columns, sql }, promise);
        if let Some(found) = found {
            view.unknown = found.unknown.clone();
        }
        view
    }

    /// What is known of a node.
    pub fn new(workspace: &Workspace, node: &Node, seen: Seen<'_>, promise: Promise) -> Self {
        let Seen { rendered, columns, mut sql } = seen;
        let mut items = rendered.map(|rendered| items(rendered, columns.as_deref().unwrap_or_default()));
        // A view is kept in files and tables that people read.
        for secret in workspace.secrets().iter().filter(|secret| !secret.is_empty()) {
            sql = sql.replace(secret.as_str(), "*****");
            let texts = items.iter_mut().flat_map(|items| items.values_mut());
            texts.for_each(|item| item.text = item.text.replace(secret.as_str(), "*****"));
        }
        let columns = columns.map(|columns| without_own(node, columns));
        let renamed_from =
            node.config.meta.get("renamed_from").and_then(serde_json::Value::as_str).map(str::to_owned);
        Self {
            name: node.name.clone(),
            relation: node.relation.clone(),
            materialized: node.config.materialized.as_str().to_owned(),
            columns,
            unknown: rendered
                .is_none()
                .then(|| "its template can be rendered only where its parents are built".into()),
            sql,
            own: own(node, rendered),
            template: Fingerprint::of([
                workspace.surroundings().as_str().as_bytes(),
                node.file.text.as_bytes(),
            ]),
            reads: node.depends_on.iter().map(|dependency| dependency.node.clone()).collect(),
            promise,
            renamed_from,
            at: Spot::from(&Location::new(&node.file, 0..0)),
            items: items.unwrap_or_default(),
        }
    }

    /// Whether two sides have the same query. A template that did not change is the same, though it holds the time.
    pub fn is_same_query(&self, other: &Self) -> bool {
        self.own == other.own || (self.template == other.template && !self.sql.is_empty())
    }

    /// Whether readers can see it.
    pub fn is_published(&self) -> bool {
        self.materialized != Materialization::Ephemeral.as_str()
    }

    /// Where an output is written: its item, else the star that it may come from, else the list, else the model.
    pub fn place_of(&self, column: &str) -> &Spot {
        let top = column.split(['.', '[']).next().unwrap_or(column).to_lowercase();
        let found = self.items.get(&top).or_else(|| self.items.get("*")).or_else(|| self.items.get(""));
        found.map_or(&self.at, |item| &item.at)
    }

    /// Where an output that is gone would stand: behind the one that stood before it.
    pub fn place_without(&self, column: &str, before: &Self) -> &Spot {
        let columns = before.columns.as_deref().unwrap_or_default();
        let at = columns.iter().position(|known| known.name.eq_ignore_ascii_case(column)).unwrap_or(0);
        let neighbour =
            columns[..at].iter().rev().find_map(|known| self.items.get(&known.name.to_lowercase()));
        neighbour.map_or_else(|| self.place_of(""), |item| &item.at)
    }

    /// The text of an output's expression, if it has an item of its own.
    pub fn expression(&self, column: &str) -> Option<&str> {
        let item = self.items.get(&column.to_lowercase())?;
        (!item.text.is_empty()).then_some(item.text.as_str())
    }
}

impl ConsumerView {
    /// What an exposure says.
    pub fn of(exposure: &Exposure) -> Self {
        let reads: Vec<NodeId> =
            exposure.depends_on.iter().map(|dependency| dependency.node.clone()).collect();
        let named = |text: &crate::diagnostic::Located<String>| NamedColumn {
            text: text.value.clone(),
            at: Spot::from(&text.at),
        };
        let mut columns = BTreeMap::new();
        for (model, wanted) in &exposure.columns {
            let read = reads.iter().find(|id| {
                let short = id.short();
                short == model || short.rsplit('.').next() == Some(model.as_str())
            });
            if let Some(id) = read {
                columns.insert(id.clone(), wanted.iter().map(named).collect());
            }
        }
        let required = |id: &NodeId| {
            Some((id.clone(), crate::resolve::endings::requirement(exposure, id.short())?.to_owned()))
        };
        Self {
            owner: exposure.owner.clone(),
            requires: reads.iter().filter_map(required).collect(),
            reads,
            columns,
            queries: exposure.queries.iter().map(named).collect(),
            at: Spot::from(&exposure.at),
        }
    }
}

/// A raw table's columns without those that Kiln adds: they are never a change.
fn without_own(node: &Node, mut columns: Vec<ColumnType>) -> Vec<ColumnType> {
    if node.config.materialized == Materialization::Append {
        columns.retain(|column| !OWN_COLUMNS.iter().any(|(own, _)| own.eq_ignore_ascii_case(&column.name)));
    }
    columns
}

fn own(node: &Node, rendered: Option<&Rendered>) -> Fingerprint {
    if node.kind == NodeKind::Seed {
        // A seed is its data, and data is no promise: its columns say what changed.
        return Fingerprint::of([b"seed".as_slice()]);
    }
    // What these render to depends on what is there already.
    let grows = ["incremental", "snapshot"].contains(&node.config.materialized.as_str());
    match rendered.filter(|_| !grows) {
        Some(rendered) => {
            let text = rendered.with_relations(|id| Some(format!("\"{id}\"")));
            Fingerprint::of([read(&text).normalised.as_bytes()])
        }
        // A template that only a database can render is known by its text.
        None => Fingerprint::of([b"template".as_slice(), read(&node.file.text).normalised.as_bytes()]),
    }
}

fn items(rendered: &Rendered, columns: &[ColumnType]) -> BTreeMap<String, ItemView> {
    let list = select_list(&rendered.sql);
    let mut items = BTreeMap::new();
    let mut add = |name: String, range: &std::ops::Range<usize>, text: &std::ops::Range<usize>| {
        if let Some(at) = rendered.locate(range.start, range.len()) {
            let text = rendered.sql.get(text.clone()).unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            items.entry(name).or_insert(ItemView { at: Spot(at), text });
        }
    };
    if let Some(select) = &list.select {
        add(String::new(), select, select);
    }
    for item in &list.items {
        let name = item.name.as_deref().unwrap_or("*").to_lowercase();
        add(name, &item.range, &item.expression);
    }
    // What comes by a star was written further in, most likely where its name stands last.
    if list.star().is_some() {
        let mut last = BTreeMap::new();
        for (at, word) in words(&rendered.sql) {
            last.insert(word.to_lowercase(), at);
        }
        for column in columns {
            let name = column.name.to_lowercase();
            if let Some(at) = last.get(&name).copied() {
                add(name.clone(), &(at..at + name.len()), &(0..0));
            }
        }
    }
    items
}
