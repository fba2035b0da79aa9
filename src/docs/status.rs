//! Status: how a node is, as far as the last runs tell. It is measured against the newest run, never against the clock,
//! so that the same state gives the same site.

use crate::diagnostic::Diagnostic;
use crate::manifest::{Exposure, SourceTable, Test};

use super::data::StatusWord;
use super::facts::{Facts, NodeFacts, Thing};
use super::state::timestamp;

/// How a node is. The order is from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Status {
    /// It did not build, or a test of it failed.
    Failed,
    /// It breaks its contract, or its columns are not what a consumer needs.
    Broken,
    /// Data in it are older than they may be.
    Stale,
    /// A test of it warned.
    Warned,
    /// Nothing is known of it.
    #[default]
    None,
    /// All is well.
    Ok,
}

impl Status {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Failed, Self::Broken, Self::Stale, Self::Warned, Self::None, Self::Ok];

    /// What addresses and classes call it.
    pub fn key(self) -> &'static str {
        self.word().key
    }

    /// How it is shown.
    pub fn word(self) -> StatusWord {
        let (key, label, sign) = match self {
            Self::Failed => ("failed", "failed", "✗"),
            Self::Broken => ("broken", "contract broken", "⚠"),
            Self::Stale => ("stale", "stale", "◷"),
            Self::Warned => ("warned", "warned", "!"),
            Self::None => ("none", "not run", "–"),
            Self::Ok => ("ok", "ok", "✓"),
        };
        StatusWord { key, label, sign }
    }
}

/// How a node is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// How.
    pub status: Status,
    /// Why, in a few words; may be empty.
    pub why: String,
}

impl Verdict {
    fn new(status: Status, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

/// Every node's verdict, by number.
pub fn verdicts(facts: &Facts<'_>) -> Vec<Verdict> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; facts.nodes.len()];
    let mut work: Vec<u32> = (0..facts.nodes.len() as u32).rev().collect();
    while let Some(number) = work.pop() {
        if verdicts[number as usize].is_some() {
            continue;
        }
        let node = facts.node(number);
        // A node's verdict needs those of what it reads.
        let waiting: Vec<u32> =
            node.parents.iter().copied().filter(|parent| verdicts[*parent as usize].is_none()).collect();
        if !waiting.is_empty() {
            work.push(number);
            work.extend(waiting);
            continue;
        }
        let parents: Vec<(&NodeFacts<'_>, &Verdict)> = node
            .parents
            .iter()
            .filter_map(|parent| Some((facts.node(*parent), verdicts[*parent as usize].as_ref()?)))
            .collect();
        verdicts[number as usize] = Some(verdict(facts, node, &parents));
    }
    verdicts.into_iter().map(Option::unwrap_or_default).collect()
}

fn verdict(facts: &Facts<'_>, node: &NodeFacts<'_>, parents: &[(&NodeFacts<'_>, &Verdict)]) -> Verdict {
    let mut found = vec![match node.thing {
        Thing::Source(source) => of_source(facts, source),
        Thing::Node(_) => of_model(facts, node),
        Thing::Consumer(_) => of_consumer(parents),
    }];
    found.extend(of_tests(facts, node));
    found.extend(of_files(facts, node));
    let stale = parents.iter().find(|(_, verdict)| verdict.status == Status::Stale);
    if let (Some((parent, verdict)), Thing::Node(_)) = (stale, node.thing) {
        let why = match verdict.why.split_once(" is stale: ") {
            Some(_) => verdict.why.clone(),
            None => format!("{} is stale: {}", parent.name, verdict.why),
        };
        found.push(Verdict::new(Status::Stale, why));
    }
    found.into_iter().min_by_key(|verdict| verdict.status).unwrap_or_default()
}

/// What compiling says of its files.
fn of_files(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Option<Verdict> {
    let (own, status) = match node.thing {
        Thing::Node(model) => (facts.errors(&model.file).next(), Status::Failed),
        Thing::Consumer(exposure) => (needs(facts, exposure).next(), Status::Broken),
        Thing::Source(_) => (None, Status::Failed),
    };
    let promised = || node.contract.and_then(|contract| facts.errors(&contract.at.file).next());
    let found = own.map(|found| (found, status)).or_else(|| Some((promised()?, Status::Broken)));
    found.map(|(found, status)| Verdict::new(status, facts.masked(&found.message)))
}

/// What a consumer needs and does not get.
pub fn needs<'f>(facts: &'f Facts<'_>, exposure: &Exposure) -> impl Iterator<Item = &'f Diagnostic> {
    let name = format!("`{}`", exposure.name);
    facts.errors(&exposure.at.file).filter(move |found| found.message.contains(&name))
}

fn of_model(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Verdict {
    let made = match node.made_as() {
        "append" => facts.landed(node).is_some(),
        // It is part of what reads it, and has no build of its own.
        "ephemeral" => facts.memory.runs.iter().any(|run| run.release.is_some()),
        _ => facts.published(node).is_some() || !facts.builds(node).is_empty(),
    };
    Verdict::new(if made { Status::Ok } else { Status::None }, "")
}

/// A consumer is as the worst of what it reads.
fn of_consumer(parents: &[(&NodeFacts<'_>, &Verdict)]) -> Verdict {
    let Some((parent, worst)) = parents.iter().min_by_key(|(_, verdict)| verdict.status) else {
        return Verdict::default();
    };
    match (worst.status, worst.why.as_str()) {
        (status @ (Status::Ok | Status::None), _) => Verdict::new(status, ""),
        (status, "") => Verdict::new(status, format!("{} is {}", parent.name, status.word().label)),
        (status, why) if why.contains(" is stale: ") => Verdict::new(status, why),
        (Status::Stale, why) => Verdict::new(Status::Stale, format!("{} is stale: {why}", parent.name)),
        (status, why) => Verdict::new(status, format!("{}: {why}", parent.name)),
    }
}

/// Whether a test stands for a promise of the contract.
pub fn is_of_contract(node: &NodeFacts<'_>, test: &Test) -> bool {
    node.contract.is_some_and(|contract| contract.at.file == test.at.file)
}

fn of_tests(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Option<Verdict> {
    let newest = |test: &&Test| facts.results(test).first().map(|result| result.status.as_str());
    let (mut failed, mut broken, mut warned) = (0, 0, 0);
    for test in &node.tests {
        match newest(&test) {
            Some("fail" | "error") if is_of_contract(node, test) => broken += 1,
            Some("fail" | "error") => failed += 1,
            Some("warn") => warned += 1,
            _ => {}
        }
    }
    let of = node.tests.len();
    let sentence =
        |count: usize, did: &str| format!("{count} of {of} {} {did}", if of == 1 { "test" } else { "tests" });
    match (failed, broken, warned) {
        (0, 0, 0) => None,
        (0, 0, warned) => Some(Verdict::new(Status::Warned, sentence(warned, "warned"))),
        (0, 1, _) => Some(Verdict::new(Status::Broken, "1 promise of its contract is broken")),
        (0, broken, _) => {
            Some(Verdict::new(Status::Broken, format!("{broken} promises of its contract are broken")))
        }
        (failed, broken, _) => Some(Verdict::new(Status::Failed, sentence(failed + broken, "failed"))),
    }
}

fn of_source(facts: &Facts<'_>, source: &SourceTable) -> Verdict {
    let measured = facts.memory.freshness.get(source.id.as_str());
    let complaint = measured.and_then(|fresh| fresh.complaint.as_ref().map(|why| (fresh, why)));
    match (complaint, newest_data(facts, source)) {
        (Some((fresh, why)), _) if fresh.newest.is_some() => Verdict::new(Status::Stale, facts.masked(why)),
        (_, None) => Verdict::new(Status::None, ""),
        (Some((_, why)), _) => Verdict::new(Status::Warned, facts.masked(why)),
        (None, Some(_)) => Verdict::new(Status::Ok, ""),
    }
}

/// When the newest data of a source came: by what says so, else by the newest load.
pub fn newest_data(facts: &Facts<'_>, source: &SourceTable) -> Option<String> {
    let measured = facts.memory.freshness.get(source.id.as_str()).and_then(|fresh| fresh.newest.as_ref());
    measured.or_else(|| facts.loads(source).first().map(|load| &load.at)).cloned()
}

/// Seconds from a moment to the newest run.
pub fn age(facts: &Facts<'_>, moment: &str) -> Option<u64> {
    let age = facts.memory.now()?.as_second().checked_sub(timestamp(moment)?.as_second())?;
    age.try_into().ok()
}

/// A length of time in its largest unit: `2 days`.
pub fn words(seconds: u64) -> String {
    match seconds {
        0..120 => plural(seconds, "second"),
        120..7200 => plural(seconds / 60, "minute"),
        7200..172_800 => plural(seconds / 3600, "hour"),
        _ => plural(seconds / 86400, "day"),
    }
}

fn plural(count: u64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
