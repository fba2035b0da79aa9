//! The page of releases and runs: what readers got when, and why nothing was published where nothing was.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::seconds;
use crate::docs::facts::{Facts, Thing};
use crate::origin::Origin;

/// Names that one release lists at most.
const LISTED: usize = 60;

/// How a run ends that should not.
const BAD: [&str; 4] = ["failed", "error", "died", "interrupted"];

pub(super) fn content(facts: &Facts<'_>) -> Value {
    let urls: HashMap<&str, &str> = facts
        .nodes
        .iter()
        .filter(|node| matches!(node.thing, Thing::Node(_)))
        .map(|node| (node.name.as_str(), node.url.as_str()))
        .collect();
    let names = |names: &[String]| {
        let list: Vec<Value> = names
            .iter()
            .take(LISTED)
            .map(|name| json!({"name": facts.masked(name), "url": urls.get(name.as_str())}))
            .collect();
        json!({"list": list, "count": names.len(), "more": names.len().saturating_sub(LISTED)})
    };
    let runs: HashMap<&str, &str> =
        facts.memory.runs.iter().map(|run| (run.id.as_str(), run.command.as_str())).collect();
    let releases: Vec<Value> = facts
        .memory
        .releases
        .iter()
        .map(|release| {
            json!({
                "id": release.id,
                "kind": release.kind,
                "restores": release.restores,
                "at": release.at,
                "run": release.run,
                "origin": origin(facts, &release.origin),
                "command": runs.get(release.run.as_str()),
                "models": release.models,
                "added": names(&release.added),
                "changed": names(&release.changed),
                "removed": names(&release.removed),
            })
        })
        .collect();
    let runs: Vec<Value> = facts
        .memory
        .runs
        .iter()
        .map(|run| {
            json!({
                "id": run.id,
                "command": run.command,
                "status": run.status,
                "bad": BAD.contains(&run.status.as_str()),
                "started": run.started,
                "time": run.seconds.map(seconds),
                "counts": run.counts,
                "release": run.release,
                "origin": origin(facts, &run.origin),
                "message": run.message.as_ref().map(|message| facts.masked(message)),
            })
        })
        .collect();
    json!({"releases": releases, "runs": runs, "target": facts.workspace.target.name})
}

/// Who ran something and from where, in words; the job is a link where it has an address.
fn origin(facts: &Facts<'_>, origin: &Origin) -> Value {
    let job = origin.job.as_ref().map(|job| facts.masked(job));
    let is_address =
        job.as_ref().is_some_and(|job| job.starts_with("https://") || job.starts_with("http://"));
    json!({
        "by": origin.by.as_ref().map(|by| facts.masked(by)),
        "commit": origin.commit.as_ref().map(|commit| commit.get(..10).unwrap_or(commit)),
        "job": job,
        "url": job.as_ref().filter(|_| is_address),
    })
}
