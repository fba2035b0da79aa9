//! What a diff finds and what it leaves alone: mutations of one project, each with the one finding that it must give, or
//! none.

use std::collections::BTreeMap;
use std::path::Path;

use kiln::compile::{CompileOptions, Tables};
use kiln::diff::{Comparison, Compiling, Machine, Report, Settings, View, compare};

use crate::support::Shop;

/// A mutation: what is done to the project, and what must be found.
struct Mutation {
    name: String,
    edits: Vec<Edit>,
    /// `rule model.column`; empty for nothing.
    expected: Vec<String>,
}

enum Edit {
    Replace { path: String, old: String, new: String },
    Write { path: String, text: String },
    Remove { path: String },
    Move { from: String, to: String },
}

/// Reads `mutations.txt`: its head says how it is written.
fn mutations() -> Vec<Mutation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/diff/mutations.txt");
    let text = std::fs::read_to_string(path).expect("the mutations");
    let mut all: Vec<Mutation> = Vec::new();
    let mut file = String::new();
    let mut said = false;
    let mut before = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("=== ") {
            assert!(all.is_empty() || said, "`{}` expects nothing that is said", all[all.len() - 1].name);
            said = false;
            all.push(Mutation { name: name.to_owned(), edits: Vec::new(), expected: Vec::new() });
            continue;
        }
        let Some(mutation) = all.last_mut() else { continue };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, mutation.edits.last_mut()) {
            ("", _) => {}
            ("@", _) => file = rest.to_owned(),
            ("-", Some(Edit::Replace { old, .. })) if before == "-" => {
                old.push('\n');
                old.push_str(rest);
            }
            ("-", _) => mutation.edits.push(Edit::Replace {
                path: file.clone(),
                old: rest.into(),
                new: String::new(),
            }),
            ("+", Some(Edit::Replace { new, .. })) => {
                if !new.is_empty() {
                    new.push('\n');
                }
                new.push_str(rest);
            }
            ("+", Some(Edit::Write { text, .. })) => text.push_str(&format!("{rest}\n")),
            ("write", _) => mutation.edits.push(Edit::Write { path: rest.into(), text: String::new() }),
            ("remove", _) => mutation.edits.push(Edit::Remove { path: rest.into() }),
            ("move", _) => {
                let (from, to) = rest.split_once(' ').expect("two paths");
                mutation.edits.push(Edit::Move { from: from.into(), to: to.into() });
            }
            ("finds", _) => {
                said = true;
                if rest != "nothing" {
                    mutation.expected.push(rest.to_owned());
                }
            }
            _ => panic!("`{line}` of `{}` is not understood", mutation.name),
        }
        before = word;
    }
    all
}

impl Mutation {
    fn apply(&self, shop: &Shop) {
        for edit in &self.edits {
            match edit {
                Edit::Replace { path, old, new } => shop.replace(path, old, new),
                Edit::Write { path, text } => shop.write(path, text),
                Edit::Remove { path } => shop.remove(path),
                Edit::Move { from, to } => {
                    let text = std::fs::read_to_string(shop.root().join(from)).expect("a file to move");
                    shop.remove(from);
                    shop.write(to, &text);
                }
            }
        }
    }
}

fn project() -> Shop {
    Shop::copy_of("tests/suite/diff/project")
}

fn compiled(shop: &Shop) -> Compiling {
    let (workspace, _) = shop.open().unwrap_or_else(|error| panic!("{error}"));
    Compiling::checkout(workspace, &CompileOptions { tables: Tables::Needed, ..CompileOptions::default() })
        .expect("it compiles")
}

/// The report of each mutation, in order. Two at a time: a project of its own is opened and compiled for each.
fn reports(base: &View, mutations: &[Mutation]) -> Vec<Report> {
    let half = mutations.len().div_ceil(2);
    std::thread::scope(|scope| {
        let halves: Vec<_> = mutations
            .chunks(half)
            .map(|mutations| {
                scope.spawn(move || {
                    let report = |mutation: &Mutation| {
                        let shop = project();
                        mutation.apply(&shop);
                        report(base, &compiled(&shop))
                    };
                    mutations.iter().map(report).collect::<Vec<Report>>()
                })
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().expect("no panic")).collect()
    })
}

/// The report of a changed project against the one that it was made from.
fn report(base: &View, proposed: &Compiling) -> Report {
    let settings = Settings::read(proposed.workspace.project.file.diff.as_ref()).expect("sound settings");
    compare(&Comparison {
        base,
        proposed: &proposed.view,
        base_label: "base".into(),
        proposed_label: "proposed".into(),
        settings: &settings,
        machine: &Machine { database: "dev".into(), settings: Vec::new() },
        today: "2026-11-22".into(),
        selected: None,
        prove: None,
        history: &BTreeMap::new(),
    })
    .expect("it compares")
}

fn found(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| format!("{} {}", finding.rule.slug(), finding.subject())).collect()
}

#[test]
fn each_mutation_is_found_once_and_what_is_no_change_is_not() {
    let base = compiled(&project());
    let all = mutations();
    let loud = all.iter().filter(|mutation| !mutation.expected.is_empty()).count();
    let quiet = all.len() - loud;
    assert!(loud >= 65 && quiet >= 65, "{loud} with a finding, {quiet} without");
    let (mut right, mut wrong, mut missed) = (0, 0, 0);
    let (mut misses, mut messages) = (String::new(), String::new());
    for (mutation, report) in all.iter().zip(reports(&base.view, &all)) {
        if !report.findings.is_empty() {
            messages.push_str(&format!("=== {}\n{}", mutation.name, told(&report)));
        }
        let found = found(&report);
        let hits = found.iter().filter(|found| mutation.expected.contains(found)).count();
        right += hits;
        wrong += found.len() - hits;
        missed += mutation.expected.iter().filter(|expected| !found.contains(expected)).count();
        if found != mutation.expected || !report.unknowns.is_empty() {
            misses.push_str(&format!(
                "{}\n  expected {:?}\n  found    {found:?}\n  unknown  {:?}\n",
                mutation.name, mutation.expected, report.unknowns
            ));
        }
    }
    let (precision, recall) = (share(right, wrong), share(right, missed));
    crate::support::tell(&format!(
        "{} mutations, {loud} with a finding and {quiet} without: precision {precision:.3}, recall {recall:.3}",
        all.len()
    ));
    insta::assert_snapshot!("findings", messages);
    assert!(misses.is_empty(), "precision {precision:.3}, recall {recall:.3}\n{misses}");
}

/// Every word of a report that a person may read.
fn told(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let version =
            finding.version_needed.as_ref().map(|needed| format!(" (needs {needed})")).unwrap_or_default();
        text.push_str(&format!("{}: {}{version}\n", finding.severity.as_str(), finding.message));
        if finding.old.is_some() || finding.new.is_some() {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".into());
            text.push_str(&format!("  {} -> {}\n", side(&finding.old), side(&finding.new)));
        }
        for place in &finding.places {
            text.push_str(&format!("  at {} ({}, {})\n", place.at, place.label, place.side.as_str()));
        }
        for broken in &finding.breaks {
            let via =
                if broken.via.is_empty() { String::new() } else { format!(" via {}", broken.via.join(", ")) };
            let (name, certainty, how) = (&broken.name, broken.certainty.as_str(), &broken.how);
            text.push_str(&format!(
                "  breaks {name}{via}, {certainty}: {how} [{}]\n",
                broken.reads.join(", ")
            ));
        }
        finding.why.iter().for_each(|why| text.push_str(&format!("  why: {why}\n")));
        finding.help.iter().for_each(|help| text.push_str(&format!("  help: {help}\n")));
    }
    text
}

fn share(right: usize, wrong: usize) -> f64 {
    right as f64 / (right + wrong).max(1) as f64
}

#[test]
fn every_rule_is_found_by_a_mutation() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let all = mutations();
    for rule in all.iter().flat_map(|mutation| &mutation.expected) {
        *counts.entry(rule.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    let missing: Vec<&str> = kiln::diff::Rule::ALL
        .iter()
        .map(|rule| rule.slug())
        .filter(|slug| !counts.contains_key(slug))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
