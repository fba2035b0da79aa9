//! Changes of what is promised of quality and of the service: rules, ages, retention.

use super::change::Change;
use super::finding::Side;
use super::grade::Severity;
use super::promise::{Must, Promise, QualityPromise, ServicePromise};
use super::rule::Rule;
use super::terms::{Comparison, Presence};

impl Comparison<'_> {
    pub fn quality(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
        let column_of =
            |rule: &QualityPromise| rule.column.as_deref().map(|column| self.now(column).to_lowercase());
        let is_same = |before: &QualityPromise, after: &QualityPromise| {
            let same_place = column_of(before) == after.column.as_deref().map(str::to_lowercase);
            match (&before.id, &after.id) {
                (Some(one), Some(other)) => one == other,
                _ => same_place && before.what == after.what,
            }
        };
        let mut free: Vec<&QualityPromise> = new
            .quality
            .iter()
            .filter(|after| !old.quality.iter().any(|before| is_same(before, after)))
            .collect();
        let mut found = Vec::new();
        for before in &old.quality {
            let column = column_of(before);
            if column.as_deref().is_some_and(|column| (presence.after)(column) == Some(false)) {
                continue;
            }
            let subject = match (&before.id, &column) {
                (Some(id), _) => format!("the quality rule `{id}` of `{}`", self.model),
                (None, Some(column)) => {
                    format!("the quality rule `{}` on `{}.{column}`", before.what, self.model)
                }
                (None, None) => format!("the quality rule `{}` of `{}`", before.what, self.model),
            };
            let mut after = new.quality.iter().find(|after| is_same(before, after));
            if after.is_none() {
                // A rule without an id whose query was edited looks like another one.
                let kin = |rule: &&QualityPromise| {
                    rule.unit == before.unit && rule.column.as_deref().map(str::to_lowercase) == column
                };
                after = free.iter().position(kin).map(|at| free.remove(at));
            }
            let Some(after) = after else {
                // A stricter fact may have taken its place.
                if replaced(before, column.as_deref(), new) {
                    continue;
                }
                found.push(
                    Change::new(
                        Rule::QualityRuleRemoved,
                        column.as_deref(),
                        format!("{subject} was removed"),
                    )
                    .from(&before.what)
                    .severity(if before.severity == "error" { Severity::Error } else { Severity::Warning })
                    .at("contract", Side::Proposed, new.terms.as_ref().map(|terms| &terms.at))
                    .at("contract", Side::Base, before.at.as_ref())
                    .help("keep the rule, with `severity: warning` if it need not stop a publish"),
                );
                continue;
            };
            let relaxed = if before.severity == "error" && after.severity != "error" {
                Some(("an error".to_owned(), "a warning".to_owned()))
            } else if before.what != after.what || before.unit != after.unit {
                Some((before.what.clone(), after.what.clone()))
            } else {
                let looser =
                    !after.must.iter().all(|now| before.must.iter().any(|was| was.allows_all_of(now)))
                        || before.must.iter().any(|was| !after.must.iter().any(|now| was.allows_all_of(now)));
                looser.then(|| (words(&before.must), words(&after.must)))
            };
            if let Some((was, is)) = relaxed {
                let message = format!("{subject} is weaker: it was {was} and is {is}");
                found.push(
                    Change::new(Rule::QualityRuleRelaxed, column.as_deref(), message).from(was).to(is).at(
                        "contract",
                        Side::Proposed,
                        after.at.as_ref(),
                    ),
                );
            }
        }
        self.found.extend(found);
    }

    pub fn ages(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
        let mut found = Vec::new();
        for before in &old.ages {
            let column = self.now(&before.column);
            if (presence.after)(&column) == Some(false) {
                continue;
            }
            let name = self.name(&column);
            let change = match new.ages.iter().find(|after| after.column.eq_ignore_ascii_case(&column)) {
                None => {
                    let message =
                        format!("how old {name} may be is not promised any more; it was {}", before.written);
                    Change::new(Rule::SloRemoved, Some(&column), message)
                        .from(&before.written)
                        .at("contract", Side::Proposed, new.terms.as_ref().map(|terms| &terms.at))
                        .at("contract", Side::Base, before.at.as_ref())
                        .help("keep the promise with a time that can be held")
                }
                Some(after) if after.at_most == before.at_most => continue,
                Some(after) => {
                    let (rule, word) = match after.at_most > before.at_most {
                        true => (Rule::FreshnessLoosened, "may"),
                        false => (Rule::FreshnessTightened, "must not"),
                    };
                    let message = match rule {
                        Rule::FreshnessLoosened => {
                            format!("{name} {word} be {} old now; it was {}", after.written, before.written)
                        }
                        _ => format!(
                            "{name} {word} be older than {} now; it was {}",
                            after.written, before.written
                        ),
                    };
                    Change::new(rule, Some(&column), message).from(&before.written).to(&after.written).at(
                        "contract",
                        Side::Proposed,
                        after.at.as_ref(),
                    )
                }
            };
            found.push(change);
        }
        for after in &new.ages {
            if !old.ages.iter().any(|before| self.now(&before.column).eq_ignore_ascii_case(&after.column)) {
                let message =
                    format!("{} must not be older than {} now", self.name(&after.column), after.written);
                found.push(
                    Change::new(Rule::FreshnessTightened, Some(&after.column), message)
                        .to(&after.written)
                        .at("contract", Side::Proposed, after.at.as_ref()),
                );
            }
        }
        self.found.extend(found);
    }

    pub fn service(&mut self, old: &Promise, new: &Promise) {
        let written = |promise: &ServicePromise| {
            format!("{} {}", promise.value, promise.unit.as_deref().unwrap_or_default()).trim_end().to_owned()
        };
        for before in &old.service {
            let same = |after: &&ServicePromise| after.property.eq_ignore_ascii_case(&before.property);
            let model = self.model;
            let property = &before.property;
            let change = match new.service.iter().find(same) {
                None => {
                    let message = format!("`{property}` of `{model}` is not promised any more");
                    Change::new(Rule::SloRemoved, None, message)
                        .from(format!("{property} {}", written(before)))
                        .at("contract", Side::Proposed, new.terms.as_ref().map(|terms| &terms.at))
                        .at("contract", Side::Base, before.at.as_ref())
                }
                Some(after) if written(after) == written(before) => continue,
                Some(after) => {
                    let severity = match weaker(before, after) {
                        Some(false) => continue,
                        Some(true) => Severity::Error,
                        None => Severity::Warning,
                    };
                    let message = format!(
                        "`{property}` of `{model}` was {} and is {}",
                        written(before),
                        written(after)
                    );
                    Change::new(Rule::SloRemoved, None, message)
                        .from(format!("{property} {}", written(before)))
                        .to(format!("{property} {}", written(after)))
                        .severity(severity)
                        .at("contract", Side::Proposed, after.at.as_ref())
                }
            };
            self.found.push(change);
        }
    }
}

/// Whether a promise about the service is weaker than it was, where its meaning is known.
fn weaker(before: &ServicePromise, after: &ServicePromise) -> Option<bool> {
    if before.unit != after.unit {
        return None;
    }
    let number = |promise: &ServicePromise| promise.value.trim_end_matches('%').trim().parse::<f64>().ok();
    let (old, new) = (number(before)?, number(after)?);
    match before.property.to_lowercase().as_str() {
        "retention" | "availability" | "throughput" | "completeness" => Some(new < old),
        "latency" | "freshness" | "errorrate" | "timetodetect" | "timetonotify" | "timetorepair"
        | "frequency" => Some(new > old),
        _ => None,
    }
}

/// Whether a fact of the new promise says what an old quality rule said.
fn replaced(before: &QualityPromise, column: Option<&str>, new: &Promise) -> bool {
    let Some(column) = column else { return false };
    let fact = new.column(column);
    match before.what.split(' ').next() {
        Some("nullValues") => fact.is_some_and(|fact| fact.required.is_some()),
        Some("duplicateValues") => new.uniques.contains_key(column) || new.key == [column.to_owned()],
        Some("invalidValues") => fact.is_some_and(|fact| fact.values.is_some()),
        _ => false,
    }
}

fn words(must: &[Must]) -> String {
    let end = |value: f64| if value.fract() == 0.0 { format!("{value:.0}") } else { value.to_string() };
    let one = |must: &Must| match must {
        Must::Other(text) => text.clone(),
        Must::Between { low, high } => match (low, high) {
            (Some((low, _)), Some((high, _))) if low == high => end(*low),
            (Some((low, inside)), high) => {
                let lower = format!("{} {}", if *inside { "at least" } else { "more than" }, end(*low));
                match high {
                    Some((high, inside)) => {
                        format!(
                            "{lower} and {} {}",
                            if *inside { "at most" } else { "less than" },
                            end(*high)
                        )
                    }
                    None => lower,
                }
            }
            (None, Some((high, inside))) => {
                format!("{} {}", if *inside { "at most" } else { "less than" }, end(*high))
            }
            (None, None) => "anything".to_owned(),
        },
    };
    must.iter().map(one).collect::<Vec<_>>().join(", ")
}
