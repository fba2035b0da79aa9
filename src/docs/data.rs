//! Data: what the site's scripts read, and what is stable about it.
//!
//! Every file is a classic script that assigns one global, because a page opened from a folder can neither fetch nor
//! import. Keys are only ever added; a key that would say nothing (`false`, an empty list, no value) is left out.
//!
//! | file | assigns | loaded |
//! |---|---|---|
//! | `data/graph.js` | `window.__KILN` = [`Graph`] | by the overview and the lineage page |
//! | `data/search.js` | `window.__KILN_SEARCH` = [`Search`] | when somebody searches |
//! | `data/cols/<shard>.js` | `(window.__KILN_COLS = window.__KILN_COLS \|\| {})[<shard>]` = [`Shard`] | for column lineage |
//!
//! **Addresses.** `url` is relative to the site's root, which a page knows from `<html data-root>` (`""` or `"../"`).
//! A page of a folder is `root + url` and an anchor follows behind `#`. In a single file (`<html data-single>`) there is
//! one document with a `<section class="page" data-path="m/orders.html">` for each page: its id is `/m/orders.html` and
//! the id of an anchor in it is `/m/orders.html/<anchor>`, so that links of a page without scripts work in both. What
//! is behind `?` in the hash is the state of a view: `graph.html#?focus=…` in a folder, `#/graph.html?focus=…` in a
//! single file.
//!
//! **Columns.** The anchor of a node's column is `c<position>`, counted from 1; `cols` of a shard are in that order.

use std::collections::BTreeMap;

use serde::Serialize;

/// `window.__KILN`: the graph of nodes.
#[derive(Debug, Clone, Serialize)]
pub struct Graph {
    /// Of this contract: 1.
    pub version: u32,
    /// The project's name.
    pub project: String,
    /// The target whose runs are shown.
    pub target: String,
    /// The newest run, if there ever was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The bands of the graph, from left to right; `node.layer` counts in them. An empty one is there too.
    pub layers: Vec<Layer>,
    /// Every status that a node can have, the worst first: key, word and sign. Always the same list.
    pub statuses: Vec<StatusWord>,
    /// Sources, seeds, models and consumers, by layer and then by name; what a change removes comes last. Their place in this list is their number
    /// everywhere.
    pub nodes: Vec<Node>,
    /// `[from, to]`: the second reads the first. Sorted.
    pub edges: Vec<[u32; 2]>,
    /// Width and height of every node's box.
    #[serde(rename = "box")]
    pub boxed: [u32; 2],
    /// Width and height of the whole drawing of all nodes.
    pub size: [u32; 2],
    /// Where each band stands in the drawing of all nodes: `[left, width]`, in the order of `layers`; `[left, 0]` for
    /// an empty one.
    pub bands: Vec<[u32; 2]>,
    /// Collapsed drawings: by `layer`, `folder`, `tag` and `owner`. None has more than 300 groups.
    pub groups: BTreeMap<&'static str, Grouping>,
    /// How many nodes a shard of columns covers: the columns of node `n` are in shard `floor(n / shard)`.
    pub shard: u32,
    /// What a change does, if the site was made with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<Diff>,
}

/// A run in words that a page can show.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// When it ended, else started: `2026-11-22 06:00:00`, UTC.
    pub at: String,
    /// `published`, `unchanged`, `built`, `failed`, `error`, `interrupted`, `died`, `running`.
    pub status: String,
    /// What readers see since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<i64>,
}

/// A band of the graph.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// What filters and addresses call it: `sources`, the project's layers, `none`, `consumers`.
    pub key: String,
    /// What people read.
    pub label: String,
}

/// A status.
#[derive(Debug, Clone, Serialize)]
pub struct StatusWord {
    /// `failed`, `broken`, `stale`, `warned`, `none`, `ok`; also the class `status-<key>`.
    pub key: &'static str,
    /// A word or two.
    pub label: &'static str,
    /// One character that tells it apart without colour.
    pub sign: &'static str,
}

/// A source table, seed, model or consumer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Node {
    /// dbt's unique id: `model.shop.orders`.
    pub id: String,
    /// What people call it: `orders`, `shop_api.orders` for a source.
    pub name: String,
    /// `source`, `seed`, `model`, `snapshot`, `consumer`.
    pub kind: &'static str,
    /// Its band, as a place in `layers`.
    pub layer: u32,
    /// Its page, relative to the root. Empty for a node that a change removes.
    pub url: String,
    /// A key of `statuses`.
    pub status: &'static str,
    /// Why it has that status, in a few words: `1 of 6 tests failed`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// `table`, `view`, `append`, `seed`…; a consumer's type: `dashboard`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mat: String,
    /// Its folder: `models/curated`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Who to ask.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Rows of what is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Seconds that its newest build took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// When its newest build was made: `2026-11-22 06:00:00`, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub built: Option<String>,
    /// The newest release shows another build of it than the release before.
    #[serde(skip_serializing_if = "is_false")]
    pub fresh: bool,
    /// How many columns are known.
    #[serde(skip_serializing_if = "is_zero")]
    pub columns: u32,
    /// How many nodes are above it, at any distance.
    #[serde(skip_serializing_if = "is_zero")]
    pub up: u32,
    /// How many nodes are below it, at any distance.
    #[serde(skip_serializing_if = "is_zero")]
    pub down: u32,
    /// Its column in the drawing of all nodes, counted over all bands: a node is always right of what it reads, except
    /// where a layer is left of the one that it reads.
    pub rank: u32,
    /// Its place in its rank, from the top. The order among some nodes of a rank is good for any part of the graph.
    pub order: u32,
    /// The left edge of its box in the drawing of all nodes.
    pub x: u32,
    /// The top edge of it.
    pub y: u32,
    /// `added`, `removed`, `modified` or `affected`, with `diff`. A removed one is drawn only while the overlay is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<&'static str>,
}

/// The graph with nodes folded into groups. Groups of different bands are different groups.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Grouping {
    /// The groups.
    pub groups: Vec<Group>,
    /// The group of each node, by the node's number.
    pub of: Vec<u32>,
    /// `[from, to, how many edges]`, between different groups. Groups may read each other in a circle.
    pub edges: Vec<[u32; 3]>,
    /// Width and height of the drawing; boxes are as large as those of nodes.
    pub size: [u32; 2],
    /// As `bands` of the whole graph.
    pub bands: Vec<[u32; 2]>,
}

/// Some nodes of one layer.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// `models/curated/finance`, a tag, an owner; empty for nodes that have none.
    pub name: String,
    /// Its band.
    pub layer: u32,
    /// How many nodes it holds.
    pub count: u32,
    /// How many of them have each status, in the order of `statuses`.
    pub status: Vec<u32>,
    /// As a node's.
    pub rank: u32,
    /// As a node's.
    pub order: u32,
    /// As a node's.
    pub x: u32,
    /// As a node's.
    pub y: u32,
}

/// What a change does to the project.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// What the change is measured from, as the diff calls it.
    pub base: String,
    /// How many nodes have each label.
    pub counts: BTreeMap<&'static str, u32>,
}

/// `window.__KILN_SEARCH`: everything that can be found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Search {
    /// Of this contract: 1.
    pub version: u32,
    /// `[kind, name, url, layer key, status key, text]`: text is the description as plain words, tags and owner.
    pub nodes: Vec<(&'static str, String, String, String, &'static str, String)>,
    /// `[place in nodes, name, type, text, position]`: found at the node's url with anchor `c<position>`.
    pub columns: Vec<(u32, String, String, String, u32)>,
    /// `[place in nodes, name, place in the page]`: found at the node's url with anchor `t<place>`.
    pub tests: Vec<(u32, String, u32)>,
}

/// One file of `data/cols`: columns and their lineage, by the number of the node.
pub type Shard = BTreeMap<u32, Columns>;

/// The columns of a node and what is known of their lineage.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Columns {
    /// Name and type, in their order; the type is empty where it is not known.
    pub cols: Vec<(String, String)>,
    /// `[column, node, column there, kind]`: what the first is made of. Kind 0 is a value, 1 an influence. A first of
    /// -1 stands for every column of this node: a filter, a join.
    pub up: Vec<(i32, u32, u32, u8)>,
    /// `[column, node, column there, kind]`: what the first is part of. A third of -1 stands for every column there.
    pub down: Vec<(u32, u32, i32, u8)>,
    /// Columns that may come from any column of what the node reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<u32>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}
