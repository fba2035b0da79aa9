//! Changes of what is promised of a column: its presence, NULLs, values, bounds, who may see it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::change::{Change, Check, ticked};
use super::finding::Side;
use super::grade::{Bump, Severity};
use super::promise::{ColumnPromise, Limit, Promise};
use super::rule::Rule;
use super::schema::undetermined;
use super::terms::{Comparison, Presence};
use crate::sql::quote::{identifier, literal};

impl Comparison<'_> {
    pub fn columns(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
        for before in &old.columns {
            let path = self.now(&before.path);
            let after = new.column(&path);
            let gone = (presence.after)(&path) == Some(false);
            let promised = after.is_some_and(|after| after.is_promised);
            if before.is_promised && !promised {
                let message = format!("{} is not promised any more", self.name(&path));
                let change = Change::new(Rule::ColumnRemoved, Some(&before.path), message)
                    .at("contract", Side::Base, before.at.as_ref())
                    .help("leave it in the contract as long as the model has it, and mark it as deprecated");
                let old = before.data_type.as_deref().unwrap_or("promised");
                self.found.push(change.from(old));
                continue;
            }
            if gone || (presence.before)(&before.path) == Some(false) {
                continue;
            }
            let nothing = ColumnPromise {
                is_promised: false,
                path: path.clone(),
                data_type: None,
                required: None,
                values: None,
                limits: Default::default(),
                ..before.clone()
            };
            self.facts(before, after.unwrap_or(&nothing));
        }
        for after in &new.columns {
            let was = |before: &&ColumnPromise| self.now(&before.path).eq_ignore_ascii_case(&after.path);
            let before = old.columns.iter().find(was);
            if before.is_some_and(|before| before.is_promised) || !after.is_promised && before.is_some() {
                continue;
            }
            if after.is_promised {
                let required = after.required.is_some();
                let (rule, words) = match required {
                    true => (Rule::RequiredColumnAdded, "is promised now, and may not be NULL"),
                    false => (Rule::ColumnAdded, "is promised now"),
                };
                let message = format!("{} {words}", self.name(&after.path));
                let mut change = Change::new(rule, Some(&after.path), message)
                    .to(after.data_type.as_deref().unwrap_or("promised"))
                    .at("contract", Side::Proposed, after.at.as_ref());
                if required && !after.path.contains(['.', '[']) {
                    change = change.check(Check::Rows(format!("{} is null", identifier(&after.path))));
                }
                self.found.push(change);
            } else if (presence.before)(&after.path) == Some(true) {
                let nothing = ColumnPromise {
                    required: None,
                    values: None,
                    limits: Default::default(),
                    ..after.clone()
                };
                self.facts(&nothing, after);
            }
        }
    }

    fn facts(&mut self, before: &ColumnPromise, after: &ColumnPromise) {
        let path = after.path.as_str();
        let name = self.name(path);
        let plain = !path.contains(['.', '[']);
        match (&before.required, &after.required) {
            (Some(was), None) => self.found.push(
                Change::new(Rule::RequiredLoosened, Some(path), format!("{name} may be NULL now"))
                    .from("required")
                    .to("nullable")
                    .at("contract", Side::Proposed, after.at.as_ref())
                    .at("contract", Side::Base, Some(was))
                    .help("keep it required, or tell its readers to expect NULL and raise the major version"),
            ),
            (None, Some(is)) => {
                let message = format!("{name} may not be NULL any more");
                let mut change = Change::new(Rule::RequiredTightened, Some(path), message)
                    .from("nullable")
                    .to("required")
                    .at("contract", Side::Proposed, Some(is));
                if plain {
                    change = change.check(Check::Rows(format!("{} is null", identifier(path))));
                }
                self.found.push(change);
            }
            _ => {}
        }
        self.values(before, after, plain);
        let names: BTreeSet<&String> = before.limits.keys().chain(after.limits.keys()).collect();
        for limit in names {
            self.limit(after, limit, before.limits.get(limit), after.limits.get(limit), plain);
        }
        self.classification(before, after);
    }

    fn values(&mut self, before: &ColumnPromise, after: &ColumnPromise, plain: bool) {
        let path = after.path.as_str();
        let name = self.name(path);
        match (&before.values, &after.values) {
            (Some(was), None) => self.found.push(
                Change::new(
                    Rule::AcceptedValuesDropped,
                    Some(path),
                    format!("{name} may have any value now"),
                )
                .from(was.list.join(", "))
                .at("contract", Side::Proposed, after.at.as_ref())
                .at("contract", Side::Base, was.at.as_ref())
                .help("keep the list, with the values that are new in it"),
            ),
            (Some(was), Some(is)) => {
                let gone: Vec<String> =
                    was.list.iter().filter(|value| !is.list.contains(value)).cloned().collect();
                let more: Vec<String> =
                    is.list.iter().filter(|value| !was.list.contains(value)).cloned().collect();
                if !gone.is_empty() {
                    let message = format!("{name} may not be {} any more", ticked(&gone));
                    let mut change = Change::new(Rule::AcceptedValueRemoved, Some(path), message)
                        .from(gone.join(", "))
                        .at("contract", Side::Proposed, is.at.as_ref());
                    if plain {
                        change = change.check(Check::Rows(among(path, &gone)));
                    }
                    self.found.push(change);
                }
                if !more.is_empty() {
                    let message = format!("{name} may be {} now", ticked(&more));
                    let mut change = Change::new(Rule::AcceptedValueAdded, Some(path), message)
                        .to(more.join(", "))
                        .at("contract", Side::Proposed, is.at.as_ref())
                        .help("ask its readers whether they handle every value by name");
                    if was.closed {
                        change =
                            change.severity(Severity::Error).bump(Bump::Major).why("the list was closed");
                    }
                    self.found.push(change);
                }
            }
            (None, Some(is)) => {
                let message = format!("{name} may only be {} now", ticked(&is.list));
                let mut change = Change::new(Rule::RangeTightened, Some(path), message)
                    .to(is.list.join(", "))
                    .at("contract", Side::Proposed, is.at.as_ref());
                if plain {
                    let outside =
                        format!("{0} is not null and not ({1})", identifier(path), among(path, &is.list));
                    change = change.check(Check::Rows(outside));
                }
                self.found.push(change);
            }
            (None, None) => {}
        }
    }

    fn limit(
        &mut self,
        after: &ColumnPromise,
        limit: &str,
        old: Option<&Limit>,
        new: Option<&Limit>,
        plain: bool,
    ) {
        let path = after.path.as_str();
        let name = self.name(path);
        let show = |limit: &Limit| match &limit.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let place = new.and_then(|new| new.at.as_ref()).or(after.at.as_ref());
        let direction = match (old, new) {
            (Some(old), Some(new)) if same_value(&old.value, &new.value) => return,
            (Some(old), Some(new)) => stricter(limit, &old.value, &new.value),
            (Some(_), None) => Direction::Looser,
            (None, _) => Direction::Stricter,
        };
        let words = match (old, new) {
            (Some(old), Some(new)) => {
                format!("{name} has another `{limit}`: {} in place of {}", show(new), show(old))
            }
            (Some(old), None) => format!("{name} has no `{limit}` any more; it was {}", show(old)),
            (_, new) => format!("{name} has a `{limit}` now: {}", new.map(show).unwrap_or_default()),
        };
        let rule = match direction {
            Direction::Looser | Direction::Unknown => Rule::RangeLoosened,
            Direction::Stricter => Rule::RangeTightened,
        };
        let mut change = Change::new(rule, Some(path), words).at("contract", Side::Proposed, place);
        change.old = old.map(|old| format!("{limit} {}", show(old)));
        change.new = new.map(|new| format!("{limit} {}", show(new)));
        if direction == Direction::Unknown {
            change = undetermined(change.why("which of the two allows more cannot be told"));
        }
        if let (Direction::Stricter, Some(new), true) = (direction, new, plain)
            && let Some(check) = outside(limit, path, &new.value)
        {
            change = change.check(Check::Rows(check));
        }
        self.found.push(change);
    }

    fn classification(&mut self, before: &ColumnPromise, after: &ColumnPromise) {
        let path = after.path.as_str();
        let name = self.name(path);
        let lost: Vec<String> =
            before.personal.iter().filter(|tag| !after.personal.contains(tag)).cloned().collect();
        let gained: Vec<String> =
            after.personal.iter().filter(|tag| !before.personal.contains(tag)).cloned().collect();
        let (old, new) = (before.classification.as_deref(), after.classification.as_deref());
        let same = match (old, new) {
            (Some(old), Some(new)) => old.eq_ignore_ascii_case(new),
            (old, new) => old == new,
        };
        let lowered = match (old, new) {
            _ if same => false,
            (Some(old), new) => match (rank(Some(old)), rank(new)) {
                (Some(old), Some(new)) => new < old,
                _ => new.is_none(),
            },
            (None, _) => false,
        };
        let words = |old: Option<&str>| old.unwrap_or("unclassified").to_owned();
        if lowered || !lost.is_empty() {
            let (from, to) = match same {
                true => (format!("tagged {}", lost.join(", ")), "not tagged".to_owned()),
                false => (words(old), words(new)),
            };
            let message = format!("{name} was {from} and is {to}");
            self.found.push(
                Change::new(Rule::ClassificationLowered, Some(path), message)
                    .from(from)
                    .to(to)
                    .at("contract", Side::Proposed, after.at.as_ref())
                    .help("whoever answers for the data has to agree: waive it with their approval"),
            );
        } else if !same || !gained.is_empty() {
            let (from, to) = match same {
                true => ("not tagged".to_owned(), format!("tagged {}", gained.join(", "))),
                false => (words(old), words(new)),
            };
            let message = format!("{name} was {from} and is {to}; readers may lose access");
            self.found.push(
                Change::new(Rule::ClassificationRaised, Some(path), message).from(from).to(to).at(
                    "contract",
                    Side::Proposed,
                    after.at.as_ref(),
                ),
            );
        }
    }
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Looser,
    Stricter,
    Unknown,
}

/// Whether a bound became stricter. Numbers compare as numbers, dates as they are written.
fn stricter(limit: &str, old: &Value, new: &Value) -> Direction {
    let order = match (old.as_f64(), new.as_f64(), old.as_str(), new.as_str()) {
        (Some(old), Some(new), ..) => new.partial_cmp(&old),
        (_, _, Some(old), Some(new)) if limit != "pattern" && limit != "format" => Some(new.cmp(old)),
        _ => None,
    };
    let Some(order) = order else {
        return match (limit, old.as_bool(), new.as_bool()) {
            ("uniqueItems" | "exclusiveMinimum" | "exclusiveMaximum", Some(false), Some(true)) => {
                Direction::Stricter
            }
            ("uniqueItems" | "exclusiveMinimum" | "exclusiveMaximum", Some(true), Some(false)) => {
                Direction::Looser
            }
            _ => Direction::Unknown,
        };
    };
    let lower = limit.starts_with("min") || limit == "exclusiveMinimum";
    let upper = limit.starts_with("max") || limit == "exclusiveMaximum";
    match (lower, upper, order) {
        (true, _, std::cmp::Ordering::Greater) | (_, true, std::cmp::Ordering::Less) => Direction::Stricter,
        (true, _, std::cmp::Ordering::Less) | (_, true, std::cmp::Ordering::Greater) => Direction::Looser,
        _ => match (limit, old.as_f64(), new.as_f64()) {
            ("multipleOf", Some(old), Some(new)) if old != 0.0 && (new / old).fract() == 0.0 => {
                Direction::Stricter
            }
            ("multipleOf", Some(old), Some(new)) if new != 0.0 && (old / new).fract() == 0.0 => {
                Direction::Looser
            }
            _ => Direction::Unknown,
        },
    }
}

/// The condition of rows outside a limit.
fn outside(limit: &str, path: &str, value: &Value) -> Option<String> {
    let column = identifier(path);
    let bound = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => literal(text),
        _ => return None,
    };
    Some(match limit {
        "minimum" => format!("{column} < {bound}"),
        "exclusiveMinimum" => format!("{column} <= {bound}"),
        "maximum" => format!("{column} > {bound}"),
        "exclusiveMaximum" => format!("{column} >= {bound}"),
        "minLength" => format!("length({column}) < {bound}"),
        "maxLength" => format!("length({column}) > {bound}"),
        "pattern" => format!("not regexp_matches({column}::varchar, {bound})"),
        _ => return None,
    })
}

fn among(path: &str, values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
    format!("{}::varchar in ({})", identifier(path), values.join(", "))
}

/// How protected a classification is; nothing for a word that has no place among the usual ones.
pub(super) fn rank(classification: Option<&str>) -> Option<u8> {
    Some(match classification.unwrap_or("public").to_lowercase().replace(['-', ' '], "_").as_str() {
        "public" | "open" | "unclassified" => 0,
        "internal" => 1,
        "confidential" | "private" | "sensitive" => 2,
        "restricted" | "highly_confidential" | "highly_restricted" | "secret" => 3,
        _ => return None,
    })
}
