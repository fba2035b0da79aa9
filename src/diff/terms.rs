//! Changes of promises: what two versions of a contract, or of a model's tests, say differently.

use super::change::Change;
use super::finding::Side;
use super::grade::{Bump, Severity};
use super::promise::{Promise, Terms};
use super::rule::Rule;
use super::schema::Renames;

/// Columns known to have been renamed: by `renamedFrom`, or by a property's id that stayed.
pub(super) fn renames(old: &Promise, new: &Promise) -> Renames {
    let mut renames = Renames::new();
    for column in &new.columns {
        let by_id = column.id.as_ref().and_then(|id| {
            old.columns
                .iter()
                .find(|known| known.id.as_ref() == Some(id) && !known.path.eq_ignore_ascii_case(&column.path))
        });
        let before = column.renamed_from.clone().or_else(|| by_id.map(|known| known.path.clone()));
        if let Some(before) = before.filter(|before| !before.eq_ignore_ascii_case(&column.path)) {
            renames.insert(before.to_lowercase(), column.path.clone());
        }
    }
    renames
}

/// Which columns are there on the new side, as far as it is known.
pub(super) struct Presence<'a> {
    /// Whether a column's path is really there before; `None` if nobody knows.
    pub before: &'a dyn Fn(&str) -> Option<bool>,
    /// And afterwards.
    pub after: &'a dyn Fn(&str) -> Option<bool>,
}

/// The changes from one promise to another of the same model.
pub(super) fn changes(
    model: &str,
    old: &Promise,
    new: &Promise,
    renames: &Renames,
    presence: &Presence<'_>,
    today: &str,
) -> Vec<Change> {
    let mut found = Vec::new();
    if let (before, Some(after)) = (&old.deprecated_on, &new.deprecated_on)
        && before.as_ref().is_none_or(|before| after < before)
    {
        let said =
            before.as_ref().map_or("; before, none was said".to_owned(), |day| format!(", and was {day}"));
        let message = format!("`deprecation_date` of `{model}` is {after}{said}");
        let mut change = Change::new(Rule::SupportShortened, None, message).to(after);
        change = match before {
            Some(before) => change.from(before),
            None => change.severity(Severity::Note).bump(Bump::Patch),
        };
        found.push(change.at("properties", Side::Proposed, new.deprecated_at.as_ref()));
    }
    match (&old.terms, &new.terms) {
        (Some(before), None) => {
            if !before.is_unstable() && !before.is_over(today) {
                let message = format!("the contract of `{model}` was removed");
                found.push(
                    Change::new(Rule::ContractRemoved, None, message)
                        .from(&before.version)
                        .at("contract", Side::Base, Some(&before.at))
                        .help(
                            "keep it with `status: deprecated` and an `endOfLife` that readers can plan with",
                        ),
                );
            }
            return found;
        }
        // All that a new contract says is new; whether data keeps to it, the run says.
        (None, Some(_)) => return found,
        (Some(before), Some(after)) => terms(model, before, after, today, &mut found),
        (None, None) => {}
    }
    let mut work = Comparison { model, renames, found: Vec::new() };
    work.columns(old, new, presence);
    work.keys(old, new, presence);
    work.relationships(old, new, presence);
    work.quality(old, new, presence);
    work.ages(old, new, presence);
    work.service(old, new);
    found.extend(work.found);
    if new.terms.is_some() {
        return found.into_iter().map(Change::promise).collect();
    }
    let places = found.iter_mut().flat_map(|change| &mut change.places);
    places.for_each(|place| place.label = "properties".into());
    found
}

fn terms(model: &str, before: &Terms, after: &Terms, today: &str, found: &mut Vec<Change>) {
    // Going by way of `deprecated`, or to the last day that was said, tells readers in time.
    let was_told = before.deprecated || before.is_over(today);
    let ended = !was_told && after.status == "retired";
    if !before.is_unstable() && (after.is_unstable() || ended) {
        let message = format!("the contract of `{model}` is {} and not in force any more", after.status);
        found.push(
            Change::new(Rule::ContractRemoved, None, message)
                .from(&before.status)
                .to(&after.status)
                .at("contract", Side::Proposed, Some(&after.at))
                .help("keep `status: active`, or go by way of `deprecated`"),
        );
    }
    let days = [
        ("endOfSupport", &before.end_of_support, &after.end_of_support),
        ("endOfLife", &before.end_of_life, &after.end_of_life),
    ];
    for (name, old, new) in days {
        let change = match (old, new) {
            (Some(old), Some(new)) if new < old => {
                let message = format!("`{name}` of `{model}` moved from {old} to {new}");
                Change::new(Rule::SupportShortened, None, message).from(old).to(new)
            }
            (None, Some(new)) => {
                let message = format!("`{name}` of `{model}` is {new}; before, none was said");
                Change::new(Rule::SupportShortened, None, message)
                    .to(new)
                    .severity(Severity::Note)
                    .bump(Bump::Minor)
            }
            _ => continue,
        };
        found.push(change.at("contract", Side::Proposed, Some(&after.at)));
    }
}

pub(super) struct Comparison<'a> {
    pub model: &'a str,
    pub renames: &'a Renames,
    pub found: Vec<Change>,
}

impl Comparison<'_> {
    pub fn name(&self, path: &str) -> String {
        format!("`{}.{path}`", self.model)
    }

    /// What a column is called now.
    pub fn now(&self, path: &str) -> String {
        self.renames.get(&path.to_lowercase()).cloned().unwrap_or_else(|| path.to_owned())
    }
}
