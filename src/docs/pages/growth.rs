//! How a model grows that is not built anew each time: its strategy, its key, and the intervals that are done.

use serde_json::{Value, json};

use super::grouped;
use crate::docs::facts::{Facts, NodeFacts};
use crate::docs::site::{Hide, Samples};
use crate::docs::state::growth::IntervalRow;
use crate::manifest::{HardDeletes, Node, SnapshotStrategy, Strategy};

/// Newest intervals that a page lists; those that failed are all there.
const LISTED: usize = 14;

/// How it grows; nothing for a model that does not.
pub(super) fn growth(facts: &Facts<'_>, hide: &Hide, node: &NodeFacts<'_>, model: &Node) -> Option<Value> {
    let said = match (&model.config.snapshot, &model.config.incremental) {
        (Some(snapshot), _) => {
            let strategy = match &snapshot.strategy {
                SnapshotStrategy::Timestamp { updated_at } => {
                    format!("a new row where {updated_at} is newer")
                }
                SnapshotStrategy::Check { columns, .. } if columns.is_empty() => {
                    "a new row where any column is another".to_owned()
                }
                SnapshotStrategy::Check { columns, .. } => {
                    format!("a new row where one of these is another: {}", columns.join(", "))
                }
            };
            let deleted = match snapshot.hard_deletes {
                HardDeletes::Ignore => "it stays valid",
                HardDeletes::Invalidate => "its row ends",
                HardDeletes::NewRecord => "its row ends, and another says that it is deleted",
            };
            vec![
                ("Keeps history", strategy),
                ("Key", snapshot.unique_key.join(", ")),
                ("What is gone", deleted.to_owned()),
            ]
        }
        (None, Some(grows)) => {
            let mut said =
                vec![("Strategy", grows.strategy.as_str().to_owned()), ("Key", grows.unique_key.join(", "))];
            if let Strategy::Interval(interval) = &grows.strategy {
                let since = interval.begin.strip_suffix(" 00:00:00").unwrap_or(&interval.begin);
                said.push(("Interval", format!("a {} of {}", interval.grain.as_str(), interval.event_time)));
                said.push(("Since", since.to_owned()));
                if interval.lookback > 0 {
                    said.push((
                        "Done again by every run",
                        format!("the newest and {} before it", interval.lookback),
                    ));
                }
            }
            said
        }
        (None, None) => return None,
    };
    let said: Vec<(&str, String)> = said
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, facts.masked(&text)))
        .collect();
    let intervals = facts.memory.intervals.get(&node.name).map_or(&[][..], Vec::as_slice);
    Some(json!({"said": said, "intervals": shown(facts, hide, intervals)}))
}

fn shown(facts: &Facts<'_>, hide: &Hide, all: &[IntervalRow]) -> Option<Value> {
    let (first, last) = (all.first()?, all.last()?);
    let failed = all.iter().filter(|one| one.rows.is_none()).count();
    // What lies between two that were built and was not built itself.
    let gaps = all.windows(2).filter(|pair| pair[0].end < pair[1].start).count();
    let one = |interval: &IntervalRow| {
        json!({
            "start": short(&interval.start),
            "end": short(&interval.end),
            "rows": interval.rows.map(grouped),
            "message": interval.message.as_ref().filter(|_| hide.samples == Samples::Show).map(|text| facts.masked(text)),
            "failed": interval.rows.is_none(),
            "at": interval.at,
        })
    };
    let newest = all.len().saturating_sub(LISTED);
    let listed = all.iter().enumerate().rev().filter(|(at, found)| *at >= newest || found.rows.is_none());
    let list: Vec<Value> = listed.map(|(_, interval)| one(interval)).collect();
    Some(json!({
        "count": grouped((all.len() - failed) as u64),
        "failed": failed,
        "gaps": gaps,
        "first": short(&first.start),
        "end": short(&last.end),
        "more": all.len() - list.len(),
        "list": list,
    }))
}

/// Midnight need not be said.
fn short(moment: &str) -> &str {
    moment.strip_suffix(" 00:00:00").unwrap_or(moment)
}
