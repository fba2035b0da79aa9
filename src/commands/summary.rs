//! The summary: what readers see now, and counts that add up.

use std::fmt::Write;
use std::time::Duration;

use crate::idle::Idle;
use crate::manifest::Materialization;
use crate::run::event::{Ending, NodeReport, Outcome, RunReport, TestReport, TestStatus};

use super::terminal::{Paint, Terminal};
use super::words::{counted, duration, number};

/// Counts under names, in the order shown; those of nothing are left out.
pub struct Counts(Vec<(&'static str, usize, Option<Paint>)>);

impl Counts {
    /// How the models and seeds of a run ended.
    pub fn of_nodes(nodes: &[NodeReport]) -> Self {
        let count = |wanted: fn(&NodeReport) -> bool| nodes.iter().filter(|node| wanted(node)).count();
        let reused = |node: &NodeReport| matches!(node.outcome, Outcome::Reused | Outcome::NothingNew);
        Self(vec![
            ("built", count(|node| matches!(node.outcome, Outcome::Built)), None),
            (
                "failed",
                count(|node| matches!(node.outcome, Outcome::Failed | Outcome::Error(_))),
                Some(Paint::Red),
            ),
            (
                "skipped",
                count(|node| matches!(node.outcome, Outcome::Skipped { .. } | Outcome::Cancelled)),
                None,
            ),
            (
                "reused",
                nodes.iter().filter(|node| reused(node) && !is_raw(node) && !is_inline(node)).count(),
                None,
            ),
            ("raw", nodes.iter().filter(|node| reused(node) && is_raw(node)).count(), None),
            ("ephemeral", nodes.iter().filter(|node| reused(node) && is_inline(node)).count(), None),
        ])
    }

    /// How tests ended.
    pub fn of_tests<'t>(tests: impl Iterator<Item = &'t TestReport>) -> Self {
        let mut counts = [0; 6];
        for test in tests {
            counts[match test.status {
                TestStatus::Pass => 0,
                TestStatus::Reused => 1,
                TestStatus::Warn => 2,
                TestStatus::Fail => 3,
                TestStatus::Error => 4,
                TestStatus::Skipped => 5,
            }] += 1;
        }
        Self(vec![
            ("passed", counts[0], None),
            ("passed before", counts[1], None),
            ("warned", counts[2], Some(Paint::Yellow)),
            ("failed", counts[3], Some(Paint::Red)),
            ("could not run", counts[4], Some(Paint::Red)),
            ("not run", counts[5], None),
        ])
    }

    fn of_idle(idle: &Idle) -> (Self, Self) {
        let nodes =
            vec![("reused", idle.reused, None), ("raw", idle.raw, None), ("ephemeral", idle.ephemeral, None)];
        let tests = vec![("passed before", idle.tests, None), ("warned", idle.warned(), Some(Paint::Yellow))];
        (Self(nodes), Self(tests))
    }

    fn total(&self) -> usize {
        self.0.iter().map(|(_, count, _)| count).sum()
    }

    /// As an object, with the total.
    pub fn json(&self) -> serde_json::Value {
        let pairs = self.0.iter().map(|(name, count, _)| (name.replace(' ', "_"), (*count).into()));
        let total = ("total".to_owned(), self.total().into());
        serde_json::Value::Object(pairs.chain([total]).collect())
    }

    /// `4 built · 1 failed = 5`.
    pub fn text(&self, terminal: &Terminal) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(name, count, paint)| {
                let text = format!("{} {name}", number(*count as u64));
                paint.map_or(text.clone(), |paint| terminal.paint(paint, &text))
            })
            .collect();
        match parts.is_empty() {
            true => "none".into(),
            false => format!(
                "{} = {}",
                parts.join(&format!(" {} ", terminal.signs.dot)),
                number(self.total() as u64)
            ),
        }
    }

    fn markdown(&self) -> String {
        let parts = self.0.iter().filter(|(_, count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(name, count, _)| format!("{count} {name}")).collect();
        format!("{} = {}", parts.join(", "), self.total())
    }
}

fn is_raw(node: &NodeReport) -> bool {
    node.materialized == Materialization::Append
}

fn is_inline(node: &NodeReport) -> bool {
    node.materialized == Materialization::Ephemeral
}

/// What readers see now, in words.
pub fn ending(ending: &Ending, target: &str, dash: &str) -> String {
    match ending {
        Ending::Published { release_id, changed, removed, held_back, .. } => {
            let mut text = format!(
                "published release {release_id} {dash} {} changed",
                counted(changed.len() as u64, "model", "models")
            );
            if !removed.is_empty() {
                text += &format!(", {} removed", removed.len());
            }
            if *held_back > 0 {
                let held = counted(*held_back as u64, "model", "models");
                text += &format!("; {held} left as before because of failures");
            }
            text
        }
        Ending::Unchanged { release_id: Some(id) } => {
            format!("nothing to publish {dash} release {id} is up to date")
        }
        Ending::Unchanged { release_id: None } => {
            format!("nothing to publish {dash} the selection has no model to show")
        }
        Ending::Withheld => format!("built and tested, not published {dash} as asked for"),
        Ending::NotPublished { reason, still, .. } => {
            let still = match still {
                Some((id, at)) => {
                    format!("{target} still serves release {id} of {} UTC", at.get(..16).unwrap_or(at))
                }
                None => format!("{target} has no release yet"),
            };
            format!("NOT PUBLISHED {dash} {reason}; {still}")
        }
    }
}

/// The word for an ending in JSON.
pub fn status(ending: &Ending) -> &'static str {
    match ending {
        Ending::Published { .. } => "published",
        Ending::Unchanged { .. } => "unchanged",
        Ending::Withheld => "withheld",
        Ending::NotPublished { .. } => "not_published",
    }
}

/// The summary of a run.
pub fn of_run(terminal: &Terminal, report: &RunReport, total_time: Duration) -> String {
    let paint = match (&report.ending, report.is_good()) {
        (Ending::NotPublished { .. }, _) => Paint::Red,
        (_, false) => Paint::Yellow,
        _ => Paint::Green,
    };
    let result = ending(&report.ending, &report.target, terminal.signs.dash);
    let mut text = String::new();
    let _ = writeln!(text, " Result   {}", terminal.paint(paint, &result));
    let _ = writeln!(text, " Models   {}", Counts::of_nodes(&report.nodes).text(terminal));
    let _ = writeln!(text, " Tests    {}", Counts::of_tests(report.tests()).text(terminal));
    let _ = writeln!(text, " Time     {}{}", duration(total_time), slowest(report));
    text
}

/// The summary of a run that repeats one that found nothing to do.
pub fn of_idle(terminal: &Terminal, idle: &Idle, total_time: Duration) -> String {
    let (nodes, tests) = Counts::of_idle(idle);
    let since = idle.since.get(..19).unwrap_or(&idle.since);
    let unchanged = Ending::Unchanged { release_id: Some(idle.release_id) };
    let result = ending(&unchanged, &idle.target, terminal.signs.dash);
    let mut text = String::new();
    let _ = writeln!(
        text,
        " {} {} {} target {}: no file, no source and nothing in the database changed since {since} UTC\n",
        terminal.paint(Paint::Bold, "Looked at"),
        idle.project,
        terminal.signs.dot,
        idle.target,
    );
    let _ = writeln!(text, " Result   {}", terminal.paint(Paint::Green, &result));
    let _ = writeln!(text, " Models   {}", nodes.text(terminal));
    let _ = writeln!(text, " Tests    {}", tests.text(terminal));
    let _ = writeln!(text, " Time     {}", duration(total_time));
    text
}

/// The same in Markdown.
pub fn idle_markdown(idle: &Idle, total_time: Duration) -> String {
    let (nodes, tests) = Counts::of_idle(idle);
    let result = ending(&Ending::Unchanged { release_id: Some(idle.release_id) }, &idle.target, "—");
    page(&idle.project, &result, &nodes, &tests, &duration(total_time))
}

fn page(project: &str, result: &str, nodes: &Counts, tests: &Counts, time: &str) -> String {
    format!(
        "## kiln: {project}\n\n**{result}**\n\n| | |\n|---|---|\n| Models | {} |\n| Tests | {} |\n| Time | {time} |\n",
        nodes.markdown(),
        tests.markdown(),
    )
}

fn slowest(report: &RunReport) -> String {
    let nodes = report.nodes.iter().map(|node| (node.elapsed, node.node.short()));
    let loads = report.loads.iter().map(|load| (load.elapsed, load.node.short()));
    match nodes.chain(loads).max() {
        Some((time, name)) if time > Duration::from_millis(5) => {
            format!(" (slowest: {name} {})", duration(time))
        }
        _ => String::new(),
    }
}

/// The summary of tests alone.
pub fn of_tests(terminal: &Terminal, tests: &[TestReport], what: &str, time: Duration) -> String {
    let mut text = String::new();
    let failed = tests.iter().any(|test| test.status.blocks());
    let paint = if failed { Paint::Red } else { Paint::Green };
    let word = if failed { format!("FAILED {} {what}", terminal.signs.dash) } else { what.to_owned() };
    let _ = writeln!(text, " Result   {}", terminal.paint(paint, &word));
    let _ = writeln!(text, " Tests    {}", Counts::of_tests(tests.iter()).text(terminal));
    let _ = writeln!(text, " Time     {}", duration(time));
    text
}

/// The page of a run in Markdown; `failures` are sentences.
pub fn markdown(report: &RunReport, project: &str, failures: &[String]) -> String {
    let mut text = page(
        project,
        &ending(&report.ending, &report.target, "—"),
        &Counts::of_nodes(&report.nodes),
        &Counts::of_tests(report.tests()),
        &format!("{}{}", duration(report.elapsed), slowest(report)),
    );
    if !failures.is_empty() {
        text += "\n### Failures\n\n";
        for failure in failures {
            let _ = writeln!(text, "- {}", failure.replace('\n', " ").replace('<', "&lt;"));
        }
    }
    text.push('\n');
    text
}
