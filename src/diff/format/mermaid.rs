//! A picture of who is reached: from the changed columns to the readers that break, and nothing else.

use std::collections::BTreeMap;

use crate::diff::{Certainty, ConsumerKind, Finding};

/// More than this nobody can read.
const MOST_NODES: usize = 40;

/// A flowchart in Mermaid's words; nothing if nobody breaks or it would be too large.
pub(super) fn mermaid<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<String> {
    let mut chart = Chart::default();
    for finding in findings.into_iter().filter(|finding| !finding.breaks.is_empty()) {
        let changed = chart.node(&finding.subject(), Shape::Changed);
        for broken in &finding.breaks {
            let mut from = changed;
            for step in &broken.via {
                let step = chart.node(step, Shape::Model);
                chart.edge(from, step, Certainty::Certain);
                from = step;
            }
            let shape = match broken.kind {
                ConsumerKind::Exposure => Shape::Exposure,
                ConsumerKind::Model => Shape::Model,
            };
            let reader = chart.node(&broken.name, shape);
            chart.edge(from, reader, broken.certainty);
        }
    }
    (!chart.edges.is_empty() && chart.nodes.len() <= MOST_NODES).then(|| chart.text())
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Changed,
    Model,
    Exposure,
}

#[derive(Default)]
struct Chart {
    nodes: Vec<(String, Shape)>,
    edges: BTreeMap<(usize, usize), Certainty>,
}

impl Chart {
    fn node(&mut self, name: &str, shape: Shape) -> usize {
        if let Some(known) = self.nodes.iter().position(|(known, _)| known == name) {
            return known;
        }
        self.nodes.push((name.to_owned(), shape));
        self.nodes.len() - 1
    }

    /// Adds an edge; what is certain by one way is certain.
    fn edge(&mut self, from: usize, to: usize, certainty: Certainty) {
        if from != to {
            let known = self.edges.entry((from, to)).or_insert(certainty);
            *known = (*known).min(certainty);
        }
    }

    fn text(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (index, (name, shape)) in self.nodes.iter().enumerate() {
            let label = label(name);
            text.push_str(&match shape {
                Shape::Changed => format!("  n{index}[\"{label}\"]:::changed\n"),
                Shape::Model => format!("  n{index}[\"{label}\"]\n"),
                Shape::Exposure => format!("  n{index}([\"{label}\"])\n"),
            });
        }
        for ((from, to), certainty) in &self.edges {
            let arrow = match certainty {
                Certainty::Certain => "-->",
                Certainty::Possible => "-.->",
            };
            text.push_str(&format!("  n{from} {arrow} n{to}\n"));
        }
        text.push_str("  classDef changed stroke-width:3px\n");
        text
    }
}

/// A name inside quotes: Mermaid reads `#60;` as a character.
fn label(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars().take(80) {
        match c {
            c if c.is_alphanumeric() || matches!(c, '_' | '.' | ' ' | '-') => label.push(c),
            c if c.is_control() => label.push(' '),
            c => label.push_str(&format!("#{};", c as u32)),
        }
    }
    label
}
