//! Exports: the graph and what is known of it for programs, other drawing tools and language models.

use std::fmt::Write;

use serde_json::{Value, json};

use super::data::Graph;
use super::facts::{Facts, NodeFacts};
use super::layout::{BOX_HEIGHT, BOX_WIDTH};
use super::markdown;
use super::status::is_of_contract;
use crate::template::html::escaped;

/// Room around the drawing, with the names of the bands above it.
const MARGIN: u32 = 24;
const HEAD: u32 = 40;

/// `data/lineage.json`: nodes with what they read, and the edges between columns as `kiln lineage --format json` has them.
pub fn lineage(facts: &Facts<'_>) -> Value {
    let nodes: Vec<Value> = facts
        .nodes
        .iter()
        .map(|node| {
            let parents: Vec<&str> =
                node.parents.iter().map(|parent| facts.node(*parent).id.as_str()).collect();
            json!({
                "id": node.id,
                "name": node.name,
                "kind": node.kind(),
                "layer": facts.layers[node.layer as usize].key,
                "parents": parents,
            })
        })
        .collect();
    let mut whole = facts.graph.to_json();
    whole["version"] = json!(1);
    whole["nodes"] = json!(nodes);
    whole
}

/// `data/manifest.json`: what each node is, has and promises, and which files the site consists of.
pub fn manifest(facts: &Facts<'_>, files: &[String]) -> Value {
    let nodes: Vec<Value> = facts.nodes.iter().map(|node| one(facts, node)).collect();
    let mut whole = json!({
        "version": 1,
        "generator": super::GENERATOR,
        "project": facts.workspace.manifest.project,
        "target": facts.workspace.target.name,
        "run": super::drawing::run(facts),
        "layers": facts.layers.iter().map(|layer| &layer.key).collect::<Vec<_>>(),
        "nodes": nodes,
    });
    whole["files"] = json!(files);
    whole
}

fn one(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Value {
    let columns: Vec<Value> = node
        .columns
        .iter()
        .map(|(name, data_type)| {
            let described = facts.masked(&node.column_description(name));
            json!({"name": facts.masked(name), "type": data_type, "description": described})
        })
        .collect();
    let tests: Vec<Value> = node
        .tests
        .iter()
        .map(|test| {
            let newest = facts.results(test).first();
            json!({
                "name": facts.masked(&test.name),
                "column": test.column.as_ref().map(|column| facts.masked(column)),
                "contract": is_of_contract(node, test),
                "status": newest.map(|result| &result.status),
                "at": newest.map(|result| &result.at),
            })
        })
        .collect();
    let (name, email) = node.owner();
    json!({
        "id": facts.masked(node.id.as_str()),
        "name": facts.masked(&node.name),
        "kind": node.kind(),
        "layer": facts.layers[node.layer as usize].key,
        "url": node.url,
        "status": node.verdict.status.key(),
        "why": node.verdict.why,
        "description": facts.masked(node.description()),
        "owner": {"name": facts.masked(&name), "email": facts.masked(&email)},
        "tags": node.tags().iter().map(|tag| facts.masked(tag)).collect::<Vec<_>>(),
        "file": facts.masked(&node.file()),
        "made_as": node.made_as(),
        "rows": facts.rows(node),
        "contract": node.contract.map(|contract| json!({
            "id": facts.masked(&contract.id),
            "version": contract.version.value.to_string(),
            "status": contract.status.as_str(),
        })),
        "columns": columns,
        "tests": tests,
    })
}

/// `data/graph.mmd`: a Mermaid flowchart of all nodes, a box for each layer.
pub fn mermaid(facts: &Facts<'_>) -> String {
    let mut text = String::from("flowchart LR\n");
    for (layer, named) in (0..).zip(&facts.layers) {
        let _ = writeln!(text, "  subgraph l{layer}[\"{}\"]", crate::lineage::mermaid_label(&named.label));
        for (number, node) in facts.nodes.iter().enumerate().filter(|(_, node)| node.layer == layer) {
            let name = crate::lineage::mermaid_label(&facts.masked(&node.name));
            let _ = writeln!(text, "    n{number}[\"{name}\"]");
        }
        text.push_str("  end\n");
    }
    for [from, to] in facts.edges() {
        let _ = writeln!(text, "  n{from} --> n{to}");
    }
    text
}

/// `data/graph.svg`: the drawing of all nodes, readable alone, in light and dark.
pub fn svg(graph: &Graph) -> String {
    let (width, height) = (graph.size[0] + 2 * MARGIN, graph.size[1] + 2 * MARGIN + HEAD);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>{}</title>\n<style>{SVG_STYLE}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&graph.project)
    );
    for ([left, band], layer) in graph.bands.iter().zip(&graph.layers) {
        if *band > 0 {
            let _ = writeln!(
                text,
                "<text class=\"band\" x=\"{}\" y=\"{MARGIN}\">{}</text>",
                left + MARGIN,
                escaped(&layer.label)
            );
        }
    }
    let place = |number: u32| {
        let node = &graph.nodes[number as usize];
        (node.x + MARGIN, node.y + MARGIN + HEAD)
    };
    for [from, to] in &graph.edges {
        let ((x, y), (to_x, to_y)) = (place(*from), place(*to));
        let (x, y, to_y) = (x + BOX_WIDTH, y + BOX_HEIGHT / 2, to_y + BOX_HEIGHT / 2);
        let bend = x.abs_diff(to_x).max(48) / 2;
        let _ = writeln!(
            text,
            "<path d=\"M{x} {y}C{} {y} {} {to_y} {to_x} {to_y}\"/>",
            x + bend,
            to_x.saturating_sub(bend)
        );
    }
    for (number, node) in (0..).zip(&graph.nodes) {
        let (x, y) = place(number);
        let word = graph.statuses.iter().find(|word| word.key == node.status);
        let (sign, label) = word.map_or(("", ""), |word| (word.sign, word.label));
        let _ = writeln!(
            text,
            "<g class=\"status-{}\"><title>{}: {label}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" \
             height=\"{BOX_HEIGHT}\" rx=\"6\"/><text x=\"{}\" y=\"{}\">{sign} {}</text></g>",
            node.status,
            escaped(&node.name),
            x + 10,
            y + BOX_HEIGHT / 2 + 4,
            escaped(&fitting(&node.name)),
        );
    }
    text.push_str("</svg>\n");
    text
}

const SVG_STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2328}.band{font-weight:600;fill:#59636e}\
    .paper{fill:#fff}path{fill:none;stroke:#afb8c1;stroke-width:1.2}g rect{fill:#f6f8fa;stroke:#afb8c1}\
    .status-failed rect,.status-broken rect{stroke:#cf222e;stroke-width:2}\
    .status-stale rect,.status-warned rect{stroke:#9a6700;stroke-width:2}.status-none rect{stroke-dasharray:4 3}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.band{fill:#9198a1}.paper{fill:#0d1117}\
    path{stroke:#3d444d}g rect{fill:#161b22;stroke:#3d444d}}";

/// A name cut to what a box holds.
fn fitting(name: &str) -> String {
    const LONGEST: usize = 26;
    match name.chars().count() {
        0..=LONGEST => name.to_owned(),
        _ => format!("{}…", name.chars().take(LONGEST - 1).collect::<String>()),
    }
}

/// `data/llms.txt`: the project as Markdown, short enough to be read by whoever writes SQL against it.
pub fn llms(facts: &Facts<'_>) -> String {
    let manifest = &facts.workspace.manifest;
    let mut text = format!(
        "# {}\n\n> A Kiln project: SQL models in layers, tested and published as releases.\n",
        manifest.project
    );
    for (layer, named) in (0..).zip(&facts.layers) {
        let _ = write!(text, "\n## {}\n", one_line(&named.label));
        for node in facts.nodes.iter().filter(|node| node.layer == layer) {
            let about = markdown::plain(node.description());
            let about = if about.is_empty() { String::new() } else { format!(": {about}") };
            let _ = write!(text, "\n- [{}](../{}){about}", one_line(&node.name), node.url);
            let columns: Vec<String> = node
                .columns
                .iter()
                .filter(|_| node.kind() != "consumer")
                .map(|(name, data_type)| format!("{name} {data_type}").trim().to_owned())
                .collect();
            if !columns.is_empty() {
                let _ = write!(text, "\n  columns: {}", one_line(&columns.join(", ")));
            }
            let reads: Vec<&str> =
                node.parents.iter().map(|parent| facts.node(*parent).name.as_str()).collect();
            if !reads.is_empty() {
                let _ = write!(text, "\n  reads: {}", one_line(&reads.join(", ")));
            }
        }
        text.push('\n');
    }
    facts.masked(&text)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
