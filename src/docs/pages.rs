//! Pages: what each of them shows, as values that templates fill in.

use serde::Serialize;
use serde_json::{Value, json};

use super::drawing;
use super::facts::{Facts, NodeFacts};
use super::markdown;
use super::status::Verdict;

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

/// A node as lists show it.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    number: u32,
    name: String,
    kind: &'static str,
    url: String,
    status: super::data::StatusWord,
    why: String,
    about: String,
    made_as: String,
    owner: String,
    rows: String,
    built: String,
    fresh: bool,
}

/// All pages, in the order of navigation and then of nodes.
pub fn all(facts: &Facts<'_>) -> Vec<Page> {
    let project = &facts.workspace.manifest.project;
    let page = |path: &str, kind, title: String, content| Page {
        path: path.to_owned(),
        kind,
        title,
        template: match kind {
            "index" => "index.html",
            "graph" => "graph.html",
            "search" => "search.html",
            _ => "releases.html",
        },
        node: None,
        content,
    };
    let mut pages = vec![
        page("index.html", "index", project.clone(), json!({"overview": overview(facts)})),
        page("graph.html", "graph", format!("Lineage · {project}"), json!({})),
        page("releases.html", "releases", format!("Releases · {project}"), json!({})),
        page("search.html", "search", format!("Search · {project}"), json!({})),
    ];
    for (number, node) in (0..).zip(&facts.nodes) {
        let (kind, template) = match node.kind() {
            "source" => ("source", "source.html"),
            "consumer" => ("consumer", "consumer.html"),
            _ => ("model", "node.html"),
        };
        pages.push(Page {
            path: node.url.clone(),
            kind,
            title: format!("{} · {project}", facts.masked(&node.name)),
            template,
            node: Some(number),
            content: json!({"item": item(facts, number, node)}),
        });
    }
    pages
}

/// A verdict as templates show it.
fn word(verdict: &Verdict) -> super::data::StatusWord {
    verdict.status.word()
}

/// A node as lists show it.
pub fn item(facts: &Facts<'_>, number: u32, node: &NodeFacts<'_>) -> Item {
    let rows = facts.published(node).and_then(|published| published.rows);
    Item {
        number,
        name: facts.masked(&node.name),
        kind: node.kind(),
        url: node.url.clone(),
        status: word(&node.verdict),
        why: node.verdict.why.clone(),
        about: markdown::first_sentence(&facts.masked(node.description())),
        made_as: node.made_as().to_owned(),
        owner: facts.masked(&node.owner_line()),
        rows: rows.map(grouped).unwrap_or_default(),
        built: facts.builds(node).last().map(|build| build.at.clone()).unwrap_or_default(),
        fresh: false,
    }
}

/// `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn overview(facts: &Facts<'_>) -> Value {
    let fresh = drawing::fresh(facts);
    let items: Vec<Item> = (0..)
        .zip(&facts.nodes)
        .map(|(number, node)| Item { fresh: fresh.contains(node.name.as_str()), ..item(facts, number, node) })
        .collect();
    let mut attention: Vec<(&NodeFacts<'_>, &Item)> = std::iter::zip(&facts.nodes, &items)
        .filter(|(node, _)| {
            use super::status::Status;
            !matches!(node.verdict.status, Status::Ok | Status::None)
        })
        .collect();
    attention.sort_by_key(|(node, item)| (node.verdict.status, item.number));
    let attention: Vec<&Item> = attention.into_iter().map(|(_, item)| item).collect();
    let layers: Vec<Value> = (0..)
        .zip(&facts.layers)
        .map(|(layer, named)| {
            let mut items: Vec<&Item> = std::iter::zip(&facts.nodes, &items)
                .filter(|(node, _)| node.layer == layer)
                .map(|(_, item)| item)
                .collect();
            items.sort_by_key(|item| (facts.node(item.number).verdict.status, !item.fresh, item.number));
            json!({"key": named.key, "label": named.label, "items": items})
        })
        .collect();
    json!({"attention": attention, "layers": layers})
}
