//! Diff: what `kiln diff --format json` found, as labels of nodes to be drawn over the graph.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::Facts;
use crate::error::{Error, Result};

/// The labels, in the order in which they win over each other.
pub const LABELS: [&str; 4] = ["removed", "added", "modified", "affected"];

/// What a change does, by node.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    /// What it is measured from.
    pub base: String,
    /// By number: `added`, `modified`, `affected`.
    pub labels: BTreeMap<u32, &'static str>,
    /// What only the base has.
    pub removed: Vec<Removed>,
}

/// A node that only the base has.
#[derive(Debug, Clone, Default)]
pub struct Removed {
    /// Its unique id, where the diff says it.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Folders of its file in the base, where the diff says it: one of them is its layer.
    pub folders: Vec<String>,
}

impl Overlay {
    /// Reads a report. A report that lists `models` by label is taken at its word; else labels follow from its findings,
    /// and what is downstream of a change is affected.
    ///
    /// # Errors
    /// The text is no report.
    pub fn read(text: &str, path: &str, facts: &Facts<'_>) -> Result<Self> {
        let no_report = |why: &str| {
            Error::usage(format!("`{path}` is not what `kiln diff --format json` writes: {why}"))
                .hint(format!("make it with `kiln diff --format json > {path}`"))
        };
        let report: Value = serde_json::from_str(text).map_err(|error| no_report(&error.to_string()))?;
        let findings = report["findings"].as_array().ok_or_else(|| no_report("it has no `findings`"))?;
        let base = report["base"].as_str().unwrap_or("the base").to_owned();
        let mut overlay = Self { base, ..Self::default() };
        match report["models"].as_object() {
            Some(models) => {
                overlay.take_lists(models, facts);
                if !models.contains_key("affected") {
                    overlay.spread(facts);
                }
            }
            None => overlay.take_findings(findings, facts),
        }
        for gone in &mut overlay.removed {
            gone.folders = folders(findings, &gone.name);
        }
        overlay.removed.sort_by(|a, b| a.name.cmp(&b.name));
        overlay.removed.dedup_by(|a, b| a.name == b.name);
        Ok(overlay)
    }

    fn take_lists(&mut self, models: &serde_json::Map<String, Value>, facts: &Facts<'_>) {
        for label in LABELS {
            for entry in models.get(label).and_then(Value::as_array).into_iter().flatten() {
                if let Some(id) = entry.as_str() {
                    self.label(facts, id, label);
                }
            }
        }
    }

    fn take_findings(&mut self, findings: &[Value], facts: &Facts<'_>) {
        for finding in findings {
            let Some(model) = finding["model"].as_str() else { continue };
            match finding["rule"].as_str() {
                Some("model-removed") => self.label(facts, model, "removed"),
                Some("model-renamed") => {
                    let text = |key: &str| finding[key].as_str().unwrap_or(model).to_owned();
                    self.label(facts, &text("old"), "removed");
                    self.label(facts, &text("new"), "added");
                }
                _ => self.label(facts, model, "modified"),
            }
        }
        self.spread(facts);
    }

    /// What is downstream of a change is affected.
    fn spread(&mut self, facts: &Facts<'_>) {
        let mut work: Vec<u32> = self.labels.keys().copied().collect();
        while let Some(at) = work.pop() {
            for child in &facts.node(at).children {
                if !self.labels.contains_key(child) {
                    self.labels.insert(*child, "affected");
                    work.push(*child);
                }
            }
        }
    }

    fn label(&mut self, facts: &Facts<'_>, name: &str, label: &'static str) {
        let found = (0..).zip(&facts.nodes).find(|(_, node)| node.name == name || node.id.as_str() == name);
        match found {
            Some((number, _)) if label != "removed" => {
                self.labels.entry(number).or_insert(label);
            }
            // It is here: the report is of another state of the project, or the name came back.
            Some(_) => {}
            None if label == "removed" => {
                let is_id = ["model.", "seed.", "snapshot."].iter().any(|kind| name.starts_with(kind));
                let short = name.splitn(3, '.').nth(2).filter(|_| is_id);
                self.removed.push(Removed {
                    id: short.map(|_| facts.masked(name)),
                    name: facts.masked(short.unwrap_or(name)),
                    folders: Vec::new(),
                });
            }
            None => {}
        }
    }

    /// How many nodes have each label.
    pub fn counts(&self) -> BTreeMap<&'static str, u32> {
        let count = |label| self.labels.values().filter(|found| **found == label).count() as u32;
        let mut counts: BTreeMap<&'static str, u32> = LABELS.map(|label| (label, count(label))).into();
        counts.insert("removed", self.removed.len() as u32);
        counts
    }
}

/// The folders of a model's file in the base, as a finding about it tells them.
fn folders(findings: &[Value], model: &str) -> Vec<String> {
    let about = findings.iter().filter(|finding| finding["model"] == model || finding["old"] == model);
    let mut places = about.flat_map(|finding| finding["places"].as_array().into_iter().flatten());
    let place = places.find(|place| place["side"] == "base" && place["label"] == "model");
    let path = place.and_then(|place| place["path"].as_str()).unwrap_or_default();
    let (folder, _) = path.rsplit_once('/').unwrap_or_default();
    folder.split('/').map(str::to_owned).collect()
}
