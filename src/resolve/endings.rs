//! Endings: models whose support or life is over and that are read all the same, and consumers that require a version of
//! a contract that is not there.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::{Contract, Version};
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::manifest::{Exposure, Manifest, Node};
use crate::names::NodeId;

/// How long a model is kept for those who read it.
enum End {
    Support(String),
    Life(String),
    /// dbt's `deprecation_date`.
    Deprecated(String),
}

/// What is wrong on a day, `2026-11-30`.
pub fn problems(manifest: &Manifest, today: &str) -> Diagnostics {
    let mut found = Diagnostics::new();
    let ended: BTreeMap<&NodeId, End> =
        manifest.nodes.keys().filter_map(|id| Some((id, end(manifest, id, today)?))).collect();
    let mut reads = |reader: &str, node: &NodeId, at: &Location| {
        if let Some(end) = ended.get(node) {
            found.push(ended_read(reader, node, end, at));
        }
    };
    for node in manifest.nodes.values() {
        node.depends_on.iter().for_each(|read| reads(&node.name, &read.node, &read.at));
    }
    for exposure in manifest.exposures.values() {
        exposure.depends_on.iter().for_each(|read| reads(&exposure.name, &read.node, &read.at));
    }
    for exposure in manifest.exposures.values() {
        for read in &exposure.depends_on {
            let Some(contract) = manifest.contracts.get(&read.node) else { continue };
            if let Some(problem) = required(exposure, read.node.short(), contract) {
                found.push(problem);
            }
        }
    }
    found
}

/// The next day after which [`problems`] may find something else, if there is one.
pub fn next(manifest: &Manifest, today: &str) -> Option<String> {
    let all = manifest.nodes.keys().flat_map(|id| ends(manifest, id));
    all.map(|end| day(end.day()).to_owned()).filter(|last| !is_over(last, today)).min()
}

/// How a model has ended, if it has.
fn end(manifest: &Manifest, id: &NodeId, today: &str) -> Option<End> {
    ends(manifest, id).find(|end| is_over(end.day(), today))
}

/// How a model ends, the worst first.
fn ends(manifest: &Manifest, id: &NodeId) -> impl Iterator<Item = End> {
    let life = manifest.contracts.get(id).map(|contract| &contract.lifecycle);
    let of_life = life.and_then(|life| life.end_of_life.as_ref()).map(|day| End::Life(day.value.clone()));
    let support = life.and_then(|life| life.end_of_support.as_ref());
    let support = support.map(|day| End::Support(day.value.clone()));
    let deprecated = manifest.nodes.get(id).and_then(Node::deprecation_date);
    let deprecated = deprecated.map(|day| End::Deprecated(day.to_owned()));
    of_life.into_iter().chain(support).chain(deprecated)
}

impl End {
    fn day(&self) -> &str {
        match self {
            Self::Support(day) | Self::Life(day) | Self::Deprecated(day) => day,
        }
    }
}

/// Whether a last day, `2026-11-30`, is over at a time: when the next day has begun.
pub fn is_over(last: &str, today: &str) -> bool {
    day(last) < day(today)
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

fn ended_read(reader: &str, node: &NodeId, end: &End, at: &Location) -> Diagnostic {
    let name = node.short();
    let found = match end {
        End::Life(day) => Diagnostic::error(
            "ended-read",
            format!("`{reader}` reads `{name}`, whose contract says that its life ended on {day}"),
        ),
        End::Support(day) => Diagnostic::warning(
            "ended-read",
            format!("`{reader}` reads `{name}`, whose contract says that its support ended on {day}"),
        ),
        End::Deprecated(day) => Diagnostic::warning(
            "ended-read",
            format!("`{reader}` reads `{name}`, which has been deprecated since {day}"),
        ),
    };
    found.at(at, "").help(format!("read what takes the place of `{name}`, or agree on a later day"))
}

/// The range of versions that a consumer requires of a model: `meta.requires`, one for all that it reads or one by model.
pub fn requirement<'a>(exposure: &'a Exposure, model: &str) -> Option<&'a str> {
    match exposure.meta.get("requires")? {
        Value::String(range) => Some(range),
        Value::Object(ranges) => ranges.get(model)?.as_str(),
        _ => None,
    }
}

fn required(exposure: &Exposure, model: &str, contract: &Contract) -> Option<Diagnostic> {
    let range = requirement(exposure, model)?;
    let version = &contract.version;
    match holds(range, &version.value) {
        Some(true) => None,
        Some(false) => Some(
            Diagnostic::warning(
                "version-required",
                format!(
                    "`{}` requires `{model}` {range}, and its version is {}",
                    exposure.name, version.value
                ),
            )
            .at(&exposure.at, "")
            .related(&version.at, "the version")
            .help("ask its owner whether it can read this version, and widen `meta.requires`"),
        ),
        None => Some(
            Diagnostic::error(
                "version-required",
                format!(
                    "`{range}`, which `{}` requires of `{model}`, is no range of versions",
                    exposure.name
                ),
            )
            .at(&exposure.at, "")
            .help("write comparisons with commas between them, such as `>=2,<3` or `>=2.1`"),
        ),
    }
}

/// Whether a version is in a range such as `>=2,<3.1`; `None` if that is no range.
pub fn holds(range: &str, version: &Version) -> Option<bool> {
    let mut all = true;
    for part in range.split(',') {
        let part = part.trim();
        let signs = [">=", "<=", "==", "!=", ">", "<", "="];
        let sign = signs.into_iter().find(|sign| part.starts_with(sign)).unwrap_or("=");
        let written = part.strip_prefix(sign).unwrap_or(part).trim();
        let dots = written.split('.').count();
        let bound = Version::parse(&format!("{written}{}", ".0".repeat(3_usize.saturating_sub(dots))))?;
        // `=2` and `=2.1` mean all that begins so.
        let begins = |parts: usize| {
            (bound.major == version.major)
                && (parts < 2 || bound.minor == version.minor)
                && (parts < 3 || bound == *version)
        };
        all &= match sign {
            ">=" => *version >= bound,
            "<=" => *version <= bound || begins(dots),
            ">" => *version > bound && !begins(dots),
            "<" => *version < bound,
            "!=" => !begins(dots),
            _ => begins(dots),
        };
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_when_the_next_one_begins() {
        assert!(!is_over("2026-11-30", "2026-11-29 12:00:00"));
        assert!(!is_over("2026-11-30", "2026-11-30 23:59:59.999999"));
        assert!(is_over("2026-11-30", "2026-12-01 00:00:00"));
        assert!(is_over("2026-11-30 08:00:00", "2026-12-01"));
    }

    #[test]
    fn ranges_hold() {
        let version = Version::parse("2.3.0").expect("a version");
        for range in [">=2,<3", "2", "=2.3", ">=2.3.0", "<=2", "!=3", ">1", " >= 2.1 , < 2.10 "] {
            assert_eq!(holds(range, &version), Some(true), "{range}");
        }
        for range in [">=3", "<2", ">2", "2.4", "!=2", "<=2.2", ">=2,<2.3"] {
            assert_eq!(holds(range, &version), Some(false), "{range}");
        }
        for range in ["", "two", ">=2,", "^2", "1.2.3.4"] {
            assert_eq!(holds(range, &version), None, "{range}");
        }
    }
}
