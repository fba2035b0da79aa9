//! Builds of a model on its page: rows, time and size over the releases, and what was used again.

use serde_json::{Value, json};

use super::{bytes, grouped, seconds};
use crate::docs::charts::{Point, line};
use crate::docs::facts::{Facts, NodeFacts};

/// What is known of a model's builds.
pub(super) fn builds(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Value {
    let builds = facts.builds(node);
    let label = |at: &str, text: String| format!("{at}: {text}");
    let rows: Vec<Point> = builds
        .iter()
        .filter_map(|build| {
            let rows = build.rows?;
            Some(Point { label: label(&build.at, format!("{} rows", grouped(rows))), value: rows as f64 })
        })
        .collect();
    let times: Vec<Point> = builds
        .iter()
        .filter_map(|build| {
            let time = build.seconds?;
            Some(Point { label: label(&build.at, seconds(time)), value: time })
        })
        .collect();
    let sizes: Vec<Point> = builds
        .iter()
        .filter_map(|build| {
            let size = build.bytes?;
            Some(Point { label: label(&build.at, bytes(size)), value: size as f64 })
        })
        .collect();
    let published = facts.published(node);
    let list: Vec<Value> = builds
        .iter()
        .rev()
        .map(|build| {
            json!({
                "at": build.at,
                "rows": build.rows.map(grouped),
                "time": build.seconds.map(seconds),
                "size": build.bytes.map(bytes),
                "grown": build.grown.map(|(added, replaced)| match replaced {
                    0 => format!("+{}", grouped(added)),
                    _ => format!("+{} −{}", grouped(added), grouped(replaced)),
                }),
                "releases": releases(&build.releases),
                "state": match (published, build.dropped) {
                    (Some(published), _) if published.fingerprint == build.fingerprint => "published",
                    (_, true) => "dropped",
                    (_, false) => "kept",
                },
                "fingerprint": build.fingerprint.get(..12).unwrap_or(&build.fingerprint),
            })
        })
        .collect();
    let newest = facts.memory.releases.first().map(|release| release.id);
    json!({
        "list": list,
        "grows": builds.iter().any(|build| build.grown.is_some()),
        "rows_chart": line(&about("rows", &rows), &rows),
        "time_chart": line(&about("build time", &times), &times),
        "size_chart": line(&about("size in the file", &sizes), &sizes),
        "size": builds.iter().rev().find(|build| !build.dropped).and_then(|build| build.bytes).map(bytes),
        "since": published.map(|published| published.since),
        "reused": published.is_some_and(|published| newest.is_some_and(|newest| newest > published.since)),
        "newest": newest,
    })
}

fn about(what: &str, points: &[Point]) -> String {
    match points {
        [first, .., last] => {
            format!("{what} of {} builds, from {} to {}", points.len(), first.label, last.label)
        }
        _ => what.to_owned(),
    }
}

/// Release numbers, neighbours joined: `1–3, 7`.
fn releases(ids: &[i64]) -> String {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for id in ids {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *id => *last = *id,
            _ => parts.push((*id, *id)),
        }
    }
    let text = |(first, last): (i64, i64)| match first == last {
        true => first.to_string(),
        false => format!("{first}–{last}"),
    };
    parts.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn neighbouring_releases_are_joined() {
        assert_eq!(super::releases(&[1, 2, 3, 7, 9, 10]), "1–3, 7, 9–10");
        assert_eq!(super::releases(&[]), "");
    }
}
