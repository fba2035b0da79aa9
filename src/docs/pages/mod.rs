//! Pages: what each of them shows, as values that templates fill in.

mod builds;
mod column;
mod consumer;
mod contract;
mod growth;
mod model;
mod overview;
mod releases;
mod source;
mod test;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::data::StatusWord;
use super::facts::{Facts, NodeFacts};
use super::markdown;
use super::site::Hide;
use super::status::Status;
use crate::sql::highlight::{Piece, pieces};
use crate::template::html::escaped;
// Pages have node numbers, too.
use crate::words::number as grouped;

/// A page before it stands in its frame.
#[derive(Debug, Clone)]
pub struct Page {
    /// Relative to the root: `m/orders.html`.
    pub path: String,
    /// `index`, `graph`, `search`, `releases`, `model`, `source`, `consumer`.
    pub kind: &'static str,
    /// What the browser's tab says.
    pub title: String,
    /// The template of its content.
    pub template: &'static str,
    /// The number of the node that it is about.
    pub node: Option<u32>,
    /// What the template fills in.
    pub content: Value,
}

/// How many pages there are besides those of nodes.
const FIXED: usize = 4;

/// How many pages there are.
pub fn count(facts: &Facts<'_>) -> usize {
    FIXED + facts.nodes.len()
}

/// A page by its number: those of the navigation first, then those of the nodes.
pub fn page(facts: &Facts<'_>, hide: &Hide, at: usize) -> Page {
    let project = &facts.workspace.manifest.project;
    let fixed = |path: &str, kind, template, title: String, content| Page {
        path: path.to_owned(),
        kind,
        title,
        template,
        node: None,
        content,
    };
    let titled = |title: &str| format!("{title} · {project}");
    match at {
        0 => fixed("index.html", "index", "index.html", project.clone(), overview::content(facts)),
        1 => fixed("graph.html", "graph", "graph.html", titled("Lineage"), json!({})),
        2 => {
            let content = releases::content(facts);
            fixed("releases.html", "releases", "releases.html", titled("Releases"), content)
        }
        3 => fixed("search.html", "search", "search.html", titled("Search"), json!({})),
        _ => {
            let number = at - FIXED;
            let node = &facts.nodes[number];
            let (kind, template, content) = match node.kind() {
                "source" => ("source", "source.html", source::content(facts, hide, number as u32, node)),
                "consumer" => {
                    ("consumer", "consumer.html", consumer::content(facts, hide, number as u32, node))
                }
                _ => ("model", "model.html", model::content(facts, hide, number as u32, node)),
            };
            Page {
                path: node.url.clone(),
                kind,
                title: titled(&facts.masked(&node.name)),
                template,
                node: Some(number as u32),
                content,
            }
        }
    }
}

/// A node as lists show it.
#[derive(Debug, Clone, Serialize)]
struct Item {
    number: u32,
    id: String,
    name: String,
    kind: &'static str,
    layer: String,
    url: String,
    status: StatusWord,
    why: String,
    about: String,
    made_as: String,
    owner: String,
    tags: Vec<String>,
    rows: String,
    built: String,
}

/// A node as lists show it.
fn item(facts: &Facts<'_>, number: u32) -> Item {
    let node = facts.node(number);
    Item {
        number,
        id: facts.masked(node.id.as_str()),
        name: facts.masked(&node.name),
        kind: node.kind(),
        layer: facts.layers[node.layer as usize].label.clone(),
        url: node.url.clone(),
        status: node.verdict.status.word(),
        why: node.verdict.why.clone(),
        about: markdown::first_sentence(&facts.masked(node.description())),
        made_as: node.made_as().to_owned(),
        owner: facts.masked(&node.owner_line()),
        tags: node.tags().iter().map(|tag| facts.masked(tag)).collect(),
        rows: facts.rows(node).map(grouped).unwrap_or_default(),
        built: facts.made_at(node).unwrap_or_default().to_owned(),
    }
}

/// A node as the lists of other nodes' pages show it.
#[derive(Debug, Clone, Serialize)]
struct Link {
    name: String,
    kind: &'static str,
    url: String,
    status: StatusWord,
    made_as: String,
    owner: String,
}

fn links<'n>(facts: &Facts<'_>, numbers: impl IntoIterator<Item = &'n u32>) -> Vec<Link> {
    let link = |number: &u32| {
        let node = facts.node(*number);
        Link {
            name: facts.masked(&node.name),
            kind: node.kind(),
            url: node.url.clone(),
            status: node.verdict.status.word(),
            made_as: node.made_as().to_owned(),
            owner: facts.masked(&node.owner_line()),
        }
    };
    numbers.into_iter().map(link).collect()
}

/// What every node's page shows.
fn common(facts: &Facts<'_>, number: u32, node: &NodeFacts<'_>) -> Value {
    let (name, email) = node.owner();
    json!({
        "item": item(facts, number),
        "description": markdown::html(&facts.masked(node.description())),
        "owner": {"name": facts.masked(&name), "email": facts.masked(&email)},
        "file": facts.masked(&node.file()),
        "parents": links(facts, &node.parents),
        "children": links(facts, &node.children),
        "up": node.up,
        "down": node.down,
        "trouble": trouble(facts, node),
        "meta": meta(facts, node),
    })
}

/// What is wrong above a node: the first few, and how many there are.
fn trouble(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Value {
    let mut found: Vec<u32> = above(facts, node)
        .into_iter()
        .filter(|number| !matches!(facts.node(*number).verdict.status, Status::Ok | Status::None))
        .collect();
    found.sort_by_key(|number| (facts.node(*number).verdict.status, *number));
    json!({"count": found.len(), "items": links(facts, found.iter().take(5))})
}

/// Everything above a node, by number.
fn above(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Vec<u32> {
    reached(facts, &node.parents, |node| &node.parents)
}

/// Everything below a node, by number.
fn below(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Vec<u32> {
    reached(facts, &node.children, |node| &node.children)
}

/// Every page asks, so it is marked by number and not searched.
fn reached<'f>(
    facts: &'f Facts<'_>,
    from: &BTreeSet<u32>,
    next: impl Fn(&'f NodeFacts<'_>) -> &'f BTreeSet<u32>,
) -> Vec<u32> {
    let mut seen = vec![false; facts.nodes.len()];
    let mut found: Vec<u32> = Vec::new();
    let mut work: Vec<u32> = from.iter().copied().collect();
    while let Some(at) = work.pop() {
        if !std::mem::replace(&mut seen[at as usize], true) {
            found.push(at);
            work.extend(next(facts.node(at)));
        }
    }
    found.sort_unstable();
    found
}

/// `meta` as names and values; what has a place of its own is left out.
fn meta(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Vec<(String, String)> {
    const SHOWN: [&str; 3] = ["owner", "columns", "queries"];
    let text = |value: &Value| match value {
        Value::String(text) => facts.masked(text),
        other => facts.masked(&other.to_string()),
    };
    let shown = node.meta().iter().filter(|(key, _)| !SHOWN.contains(&key.as_str()));
    shown.map(|(key, value)| (facts.masked(key), text(value))).collect()
}

/// SQL with its words marked.
fn sql(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    for (piece, text) in pieces(text) {
        let class = match piece {
            Piece::Plain => "",
            Piece::Keyword => "k",
            Piece::Function => "f",
            Piece::Text => "s",
            Piece::Number => "n",
            Piece::Comment => "c",
            Piece::Template => "j",
        };
        match class {
            "" => html.push_str(&escaped(text)),
            class => html.push_str(&format!("<span class=\"{class}\">{}</span>", escaped(text))),
        }
    }
    html
}

/// `1.2 s`, `45 ms`.
fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

/// `1.2 MB`.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut size, mut unit) = (bytes as f64 / 1000.0, 0);
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}
