//! Facts: everything that the site says of a project, in one place and by number, before any of it is a page.
//!
//! A node's number is its place in the order "by layer, then by name". Texts of users are already masked here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use crate::compile::{Compiled, CompiledNode};
use crate::contract::Contract;
use crate::diagnostic::{Diagnostic, Severity, SourceFile};
use crate::lineage::ColumnGraph;
use crate::manifest::{Exposure, Manifest, Node, NodeKind, Object, SourceTable, Test};
use crate::names::NodeId;
use crate::workspace::Workspace;

use super::columns::{self, ColumnLineage};
use super::data::Layer;
use super::slug::Slugs;
use super::state::{BuildRow, LoadRow, Memory, PublishedRow, ResultRow};
use super::status::{self, Verdict};

/// Hides what must not be shown.
pub type Mask<'a> = &'a (dyn Fn(&str) -> String + Sync);

/// What the site is made from.
pub struct Facts<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// Its models and seeds bound.
    pub models: &'a BTreeMap<NodeId, CompiledNode>,
    /// What was run.
    pub memory: Memory,
    /// The bands of the graph.
    pub layers: Vec<Layer>,
    /// By number.
    pub nodes: Vec<NodeFacts<'a>>,
    /// Column lineage by number.
    pub lineage: ColumnLineage,
    /// The same by name.
    pub graph: &'a ColumnGraph,
    /// Hides secrets.
    pub mask: Mask<'a>,
    numbers: HashMap<NodeId, u32>,
    /// What is wrong, by the file that it is wrong in.
    errors: HashMap<PathBuf, Vec<&'a Diagnostic>>,
}

/// What a node is.
#[derive(Debug, Clone, Copy)]
pub enum Thing<'a> {
    /// A source table.
    Source(&'a SourceTable),
    /// A model or a seed.
    Node(&'a Node),
    /// A consumer.
    Consumer(&'a Exposure),
}

/// What the site says of a node.
#[derive(Debug, Clone)]
pub struct NodeFacts<'a> {
    /// Its id.
    pub id: &'a NodeId,
    /// The thing itself.
    pub thing: Thing<'a>,
    /// What people call it.
    pub name: String,
    /// Its band.
    pub layer: u32,
    /// Its page.
    pub url: String,
    /// How it is.
    pub verdict: Verdict,
    /// What it reads, by number.
    pub parents: BTreeSet<u32>,
    /// What reads it, by number.
    pub children: BTreeSet<u32>,
    /// How many are above it.
    pub up: u32,
    /// How many are below it.
    pub down: u32,
    /// Name and type of its columns; the type is empty where it is not known.
    pub columns: Vec<(String, String)>,
    /// Its data tests, by name.
    pub tests: Vec<&'a Test>,
    /// Its contract.
    pub contract: Option<&'a Contract>,
}

impl<'a> NodeFacts<'a> {
    /// `source`, `seed`, `model`, `snapshot`, `consumer`.
    pub fn kind(&self) -> &'static str {
        match self.thing {
            Thing::Source(_) => "source",
            Thing::Consumer(_) => "consumer",
            Thing::Node(node) => match node.kind {
                NodeKind::Seed => "seed",
                NodeKind::Model => "model",
                NodeKind::Snapshot => "snapshot",
            },
        }
    }

    /// From its properties.
    pub fn description(&self) -> &'a str {
        match self.thing {
            Thing::Source(source) => &source.description,
            Thing::Node(node) => &node.description,
            Thing::Consumer(exposure) => &exposure.description,
        }
    }

    /// All its tags.
    pub fn tags(&self) -> &'a [String] {
        match self.thing {
            Thing::Source(source) => &source.tags,
            Thing::Node(node) => &node.config.tags,
            Thing::Consumer(exposure) => &exposure.tags,
        }
    }

    /// `meta` as written.
    pub fn meta(&self) -> &'a Object {
        match self.thing {
            Thing::Source(source) => &source.meta,
            Thing::Node(node) => &node.config.meta,
            Thing::Consumer(exposure) => &exposure.meta,
        }
    }

    /// The file that declares it, relative to the project.
    pub fn file(&self) -> String {
        let path = match self.thing {
            Thing::Source(source) => source.at.path(),
            Thing::Node(node) => node.written_in(),
            Thing::Consumer(exposure) => exposure.at.path(),
        };
        path.to_string_lossy().replace('\\', "/")
    }

    /// The folder of that file.
    pub fn folder(&self) -> String {
        let file = self.file();
        file.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default()
    }

    /// `table`, `view`, `append`, `seed`; a consumer's type; how a source comes in.
    pub fn made_as(&self) -> &'a str {
        match self.thing {
            Thing::Source(source) if source.files.is_some() => "files",
            Thing::Source(_) => "relation",
            Thing::Node(node) => node.config.materialized.as_str(),
            Thing::Consumer(exposure) => &exposure.kind,
        }
    }

    /// Who to ask: a name and an address, as far as they are known.
    pub fn owner(&self) -> (String, String) {
        let both = |owner: &crate::manifest::Owner| {
            (owner.name.clone().unwrap_or_default(), owner.email.clone().unwrap_or_default())
        };
        match self.thing {
            Thing::Source(source) => both(&source.owner),
            Thing::Consumer(exposure) => both(&exposure.owner),
            Thing::Node(node) => {
                let said =
                    node.config.meta.get("owner").map(owner_of).filter(|owner| owner != &Default::default());
                said.or_else(|| self.contract.map(|contract| owner_of(&contract.team))).unwrap_or_default()
            }
        }
    }

    /// What is said of one of its columns: by its properties, else by its contract.
    pub fn column_description(&self, name: &str) -> String {
        let declared = match self.thing {
            Thing::Source(source) => &source.columns[..],
            Thing::Node(node) => &node.columns,
            Thing::Consumer(_) => &[],
        };
        let said = declared.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        let said = said.map(|column| column.description.trim()).filter(|text| !text.is_empty());
        let promised = || {
            let property = self.contract?.property(name)?;
            Some(property.description.trim())
        };
        said.or_else(promised).unwrap_or_default().to_owned()
    }

    /// The owner in one line, for lists and filters.
    pub fn owner_line(&self) -> String {
        let (name, email) = self.owner();
        if name.is_empty() { email } else { name }
    }
}

/// An owner as people write one: a text, or a mapping with `name` and `email`; a contract's team.
fn owner_of(value: &serde_json::Value) -> (String, String) {
    let field = |name: &str| value.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    match value {
        serde_json::Value::String(text) if text.contains('@') => (String::new(), text.clone()),
        serde_json::Value::String(text) => (text.clone(), String::new()),
        // Before 3.1 a team was a list of its members.
        serde_json::Value::Array(members) => members.first().map(owner_of).unwrap_or_default(),
        _ => {
            let email = if field("email").is_empty() { field("username") } else { field("email") };
            (field("name"), email)
        }
    }
}

impl<'a> Facts<'a> {
    /// Puts together what is known.
    pub fn collect(
        workspace: &'a Workspace,
        compiled: &'a Compiled,
        graph: &'a ColumnGraph,
        memory: Memory,
        mask: Mask<'a>,
    ) -> Self {
        let manifest = &workspace.manifest;
        let layers = layers(manifest);
        let mut nodes = nodes(manifest, &layers);
        nodes.sort_by(|a, b| {
            (a.layer, a.name.to_lowercase(), a.id).cmp(&(b.layer, b.name.to_lowercase(), b.id))
        });
        let numbers: HashMap<NodeId, u32> =
            nodes.iter().zip(0..).map(|(node, number)| (node.id.clone(), number)).collect();
        connect(&mut nodes, &numbers);
        give_urls(&mut nodes);
        for node in &mut nodes {
            node.columns = columns::of(node, compiled, graph);
        }
        for test in manifest.tests.values() {
            let node = test.node.as_ref().or_else(|| test.depends_on.first().map(|read| &read.node));
            if let Some(number) = node.and_then(|id| numbers.get(id)) {
                nodes[*number as usize].tests.push(test);
            }
        }
        let lineage = ColumnLineage::of(graph, &nodes, &numbers);
        let errors = errors(compiled);
        let mut facts = Self {
            workspace,
            models: &compiled.models,
            memory,
            layers,
            nodes,
            lineage,
            graph,
            mask,
            numbers,
            errors,
        };
        let verdicts = status::verdicts(&facts);
        for (node, verdict) in facts.nodes.iter_mut().zip(verdicts) {
            node.verdict = verdict;
        }
        facts
    }

    /// A node's number.
    pub fn number(&self, id: &NodeId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// A node by its number.
    pub fn node(&self, number: u32) -> &NodeFacts<'a> {
        &self.nodes[number as usize]
    }

    /// Edges by number, sorted.
    pub fn edges(&self) -> Vec<[u32; 2]> {
        let mut edges: Vec<[u32; 2]> = (0..)
            .zip(&self.nodes)
            .flat_map(|(to, node)| node.parents.iter().map(move |from| [*from, to]))
            .collect();
        edges.sort_unstable();
        edges
    }

    /// What readers see of a node.
    pub fn published(&self, node: &NodeFacts<'_>) -> Option<&PublishedRow> {
        self.memory.published.get(&node.name).filter(|_| matches!(node.thing, Thing::Node(_)))
    }

    /// A node's builds, oldest first.
    pub fn builds(&self, node: &NodeFacts<'_>) -> &[BuildRow] {
        match node.thing {
            Thing::Node(_) => self.memory.builds.get(&node.name).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    /// What a raw table holds, or what of a source was loaded: its rows, and when the newest of them came.
    pub fn landed(&self, node: &NodeFacts<'_>) -> Option<(u64, &str)> {
        let of = |id: &NodeId| self.memory.loads.get(id.as_str()).into_iter().flatten();
        let loads: Vec<&LoadRow> = match node.thing {
            Thing::Source(source) => of(&source.id).collect(),
            Thing::Node(model) => {
                let reads = model.depends_on.iter().flat_map(|read| of(&read.node));
                reads.filter(|load| load.model == node.name).collect()
            }
            Thing::Consumer(_) => Vec::new(),
        };
        let newest = loads.iter().map(|load| load.at.as_str()).max()?;
        Some((loads.iter().map(|load| load.rows).sum(), newest))
    }

    /// Rows of what readers see of a node.
    pub fn rows(&self, node: &NodeFacts<'_>) -> Option<u64> {
        let published = || self.published(node).and_then(|published| published.rows);
        self.landed(node).map(|(rows, _)| rows).or_else(published)
    }

    /// When the newest build of a node was made, or its newest rows were loaded.
    pub fn made_at(&self, node: &NodeFacts<'_>) -> Option<&str> {
        let built = || self.builds(node).last().map(|build| build.at.as_str());
        self.landed(node).map(|(_, at)| at).or_else(built)
    }

    /// A test's results, newest first.
    pub fn results(&self, test: &Test) -> &[ResultRow] {
        self.memory.tests.get(&test.name).map_or(&[], Vec::as_slice)
    }

    /// A source's loads, newest first.
    pub fn loads(&self, source: &SourceTable) -> &[LoadRow] {
        self.memory.loads.get(source.id.as_str()).map_or(&[], Vec::as_slice)
    }

    /// What is wrong in a file.
    pub fn errors(&self, file: &SourceFile) -> impl Iterator<Item = &'a Diagnostic> {
        self.errors.get(&file.path).into_iter().flatten().copied()
    }

    /// Text that may be shown.
    pub fn masked(&self, text: &str) -> String {
        (self.mask)(text)
    }
}

fn errors(compiled: &Compiled) -> HashMap<PathBuf, Vec<&Diagnostic>> {
    let mut errors: HashMap<PathBuf, Vec<&Diagnostic>> = HashMap::new();
    for found in compiled.diagnostics.sorted() {
        if let (Severity::Error, Some((at, _))) = (found.severity, &found.primary) {
            errors.entry(at.path().to_owned()).or_default().push(found);
        }
    }
    errors
}

/// The bands from left to right. What is in no layer stands before the layers, unless it reads from them.
fn layers(manifest: &Manifest) -> Vec<Layer> {
    let layer = |key: &str, label: &str| Layer { key: key.to_owned(), label: label.to_owned() };
    let mut layers: Vec<Layer> = manifest.layers.iter().map(|name| layer(name, name)).collect();
    let loose = |node: &&Node| node.layer.is_none() && node.kind != NodeKind::Seed;
    if manifest.nodes.values().any(|node| loose(&node)) {
        let layered = |id: &NodeId| manifest.nodes.get(id).is_some_and(|node| node.layer.is_some());
        let reads_layers = manifest
            .nodes
            .values()
            .filter(loose)
            .any(|node| node.depends_on.iter().any(|dependency| layered(&dependency.node)));
        let at = if reads_layers { layers.len() } else { 0 };
        let mut kinds = manifest.nodes.values().filter(loose).map(|node| node.kind);
        let label = match manifest.layers.is_empty() {
            _ if kinds.all(|kind| kind == NodeKind::Snapshot) => "snapshots",
            true => "models",
            false => "no layer",
        };
        layers.insert(at, layer("none", label));
    }
    if manifest.nodes.values().any(|node| node.layer.is_none() && node.kind == NodeKind::Seed) {
        layers.insert(0, layer("seeds", "seeds"));
    }
    if !manifest.sources.is_empty() {
        layers.insert(0, layer("sources", "sources"));
    }
    if !manifest.exposures.is_empty() {
        layers.push(layer("consumers", "consumers"));
    }
    layers
}

fn nodes<'a>(manifest: &'a Manifest, layers: &[Layer]) -> Vec<NodeFacts<'a>> {
    let places: BTreeMap<&str, u32> = layers.iter().map(|layer| layer.key.as_str()).zip(0..).collect();
    let make = |id: &'a NodeId, thing: Thing<'a>| {
        let key = match thing {
            Thing::Source(_) => "sources",
            Thing::Consumer(_) => "consumers",
            Thing::Node(node) => match (&node.layer, node.kind) {
                (Some(layer), _) => layer.as_str(),
                (None, NodeKind::Seed) => "seeds",
                (None, NodeKind::Model | NodeKind::Snapshot) => "none",
            },
        };
        NodeFacts {
            id,
            thing,
            name: id.short().to_owned(),
            layer: places.get(key).copied().unwrap_or_default(),
            url: String::new(),
            verdict: Verdict::default(),
            parents: BTreeSet::new(),
            children: BTreeSet::new(),
            up: 0,
            down: 0,
            columns: Vec::new(),
            tests: Vec::new(),
            contract: manifest.contracts.get(id),
        }
    };
    let sources = manifest.sources.iter().map(|(id, source)| make(id, Thing::Source(source)));
    let models = manifest.nodes.iter().map(|(id, node)| make(id, Thing::Node(node)));
    let consumers = manifest.exposures.iter().map(|(id, exposure)| make(id, Thing::Consumer(exposure)));
    sources.chain(models).chain(consumers).collect()
}

/// Gives every node its neighbours, and how many are above and below it.
fn connect(nodes: &mut [NodeFacts<'_>], numbers: &HashMap<NodeId, u32>) {
    for number in 0..nodes.len() {
        let reads = match nodes[number].thing {
            Thing::Source(_) => &[][..],
            Thing::Node(node) => &node.depends_on,
            Thing::Consumer(exposure) => &exposure.depends_on,
        };
        for parent in reads.iter().filter_map(|dependency| numbers.get(&dependency.node)) {
            nodes[number].parents.insert(*parent);
            nodes[*parent as usize].children.insert(number as u32);
        }
    }
    // By which search a node was seen last: clearing the marks would cost more than searching.
    let mut seen = vec![0; nodes.len()];
    for start in 0..nodes.len() {
        nodes[start].up = reached(nodes, start, (&mut seen, 2 * start + 1), |node| &node.parents);
        nodes[start].down = reached(nodes, start, (&mut seen, 2 * start + 2), |node| &node.children);
    }
}

fn reached<'n>(
    nodes: &'n [NodeFacts<'_>],
    start: usize,
    (seen, mark): (&mut [usize], usize),
    next: impl Fn(&'n NodeFacts<'_>) -> &'n BTreeSet<u32>,
) -> u32 {
    let mut count = 0;
    let mut work = vec![start];
    seen[start] = mark;
    while let Some(at) = work.pop() {
        for neighbour in next(&nodes[at]) {
            let place = *neighbour as usize;
            if seen[place] != mark {
                seen[place] = mark;
                count += 1;
                work.push(place);
            }
        }
    }
    count
}

fn give_urls(nodes: &mut [NodeFacts<'_>]) {
    let mut slugs: BTreeMap<char, Slugs> = BTreeMap::new();
    for node in nodes {
        let folder = match node.thing {
            Thing::Source(_) => 's',
            Thing::Node(_) => 'm',
            Thing::Consumer(_) => 'c',
        };
        let slug = slugs.entry(folder).or_default().of(node.id.as_str(), &node.name);
        node.url = format!("{folder}/{slug}.html");
    }
}
