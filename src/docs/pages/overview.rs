//! The overview: what needs attention, then everything by layer.

use serde_json::{Value, json};

use super::{Item, item};
use crate::docs::drawing;
use crate::docs::facts::Facts;
use crate::docs::status::Status;

/// How many cards ask for attention at most; the lists below have them all.
const CARDS: usize = 24;

pub(super) fn content(facts: &Facts<'_>) -> Value {
    let fresh = drawing::fresh(facts);
    let is_fresh = |number: u32| fresh.contains(facts.node(number).name.as_str());
    let mut bad: Vec<u32> = (0..facts.nodes.len() as u32)
        .filter(|number| !matches!(facts.node(*number).verdict.status, Status::Ok | Status::None))
        .collect();
    bad.sort_by_key(|number| (facts.node(*number).verdict.status, *number));
    let cards: Vec<Item> = bad.iter().take(CARDS).map(|number| item(facts, *number)).collect();
    let layers: Vec<Value> = (0..)
        .zip(&facts.layers)
        .map(|(layer, named)| {
            let mut numbers: Vec<u32> =
                (0..facts.nodes.len() as u32).filter(|number| facts.node(*number).layer == layer).collect();
            numbers.sort_by_key(|number| {
                let status = facts.node(*number).verdict.status;
                // What was not run is no worse than what is well.
                let status = if status == Status::None { Status::Ok } else { status };
                (status, !is_fresh(*number), *number)
            });
            let items: Vec<Value> = numbers
                .into_iter()
                .map(|number| json!({"node": item(facts, number), "fresh": is_fresh(number)}))
                .collect();
            json!({"key": named.key, "label": named.label, "items": items})
        })
        .collect();
    let count = |status: Status| facts.nodes.iter().filter(|node| node.verdict.status == status).count();
    let statuses: Vec<Value> = Status::ALL
        .iter()
        .filter(|status| count(**status) > 0)
        .map(|status| json!({"word": status.word(), "count": count(*status)}))
        .collect();
    let release = facts.memory.releases.first();
    let run = facts.memory.runs.first();
    json!({
        "attention": cards,
        "attention_count": bad.len(),
        "layers": layers,
        "statuses": statuses,
        "release": release.map(|release| json!({
            "id": release.id,
            "at": release.at,
            "changed": fresh.len(),
            "models": release.models,
        })),
        "run": run.map(|run| json!({
            "status": run.status,
            "at": run.ended.as_ref().unwrap_or(&run.started),
            "message": run.message.as_ref().map(|message| facts.masked(message)),
        })),
    })
}
