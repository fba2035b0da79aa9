//! Changes of promises: what two versions of a contract, or of a model's tests, say differently.

use std::collections::BTreeSet;

use serde_json::Value;

use super::change::{Change, Check, ticked};
use super::finding::{Bump, Severity, Side};
use super::promise::{ColumnPromise, Limit, Promise, QualityPromise, ServicePromise, Terms};
use super::rule::Rule;
use super::schema::{Renames, undetermined};
use crate::sql::quote::identifier;

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
        found = found.into_iter().map(Change::promise).collect();
    }
    found
}

fn terms(model: &str, before: &Terms, after: &Terms, today: &str, found: &mut Vec<Change>) {
    let ended = !after.is_over(today) && !before.deprecated && after.status == "retired";
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

struct Comparison<'a> {
    model: &'a str,
    renames: &'a Renames,
    found: Vec<Change>,
}

impl Comparison<'_> {
    fn name(&self, path: &str) -> String {
        format!("`{}.{path}`", self.model)
    }

    /// What a column is called now.
    fn now(&self, path: &str) -> String {
        self.renames.get(&path.to_lowercase()).cloned().unwrap_or_else(|| path.to_owned())
    }

    fn columns(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
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

    fn keys(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
        let gone = |column: &&String| (presence.after)(&self.now(column)) == Some(false);
        // A key that only lost a column which is gone anyway is that column's finding.
        let mut before: Vec<String> = old
            .key
            .iter()
            .filter(|column| !gone(column))
            .map(|column| self.now(column).to_lowercase())
            .collect();
        before.sort();
        let model = self.model;
        if before != new.key && !(before.is_empty() && !old.key.is_empty()) {
            let (was, is) = (before.join(", "), new.key.join(", "));
            let change = match (before.is_empty(), new.key.is_empty()) {
                (false, true) => {
                    let message = format!("{} do not identify a row of `{model}` any more", ticked(&before));
                    let message =
                        if before.len() == 1 { message.replacen(" do not", " does not", 1) } else { message };
                    Change::new(Rule::KeyRemoved, single(&before), message)
                        .from(was)
                        .help("keep the key: joins on it may repeat rows without it")
                        .at("contract", Side::Proposed, new.terms.as_ref().map(|terms| &terms.at))
                        .at("contract", Side::Base, old.key_at.as_ref())
                }
                (true, false) => {
                    let verb = if new.key.len() == 1 { "identifies" } else { "identify" };
                    let message = format!("{} {verb} a row of `{model}` now", ticked(&new.key));
                    Change::new(Rule::KeyAdded, single(&new.key), message)
                        .to(is)
                        .at("contract", Side::Proposed, new.key_at.as_ref())
                        .check(Check::Duplicates(new.key.clone()))
                }
                _ => {
                    let message = format!(
                        "what identifies a row of `{model}` was {} and is {}",
                        ticked(&before),
                        ticked(&new.key)
                    );
                    Change::new(Rule::KeyChanged, None, message)
                        .from(was)
                        .to(is)
                        .at("contract", Side::Proposed, new.key_at.as_ref())
                        .help("a row means something else now: publish it as another model beside this one")
                }
            };
            // A primary key is required too; that it is not any more is the same change.
            if change.rule == Rule::KeyRemoved
                || change.rule == Rule::KeyAdded
                || change.rule == Rule::KeyChanged
            {
                let touched: Vec<&String> = before.iter().chain(&new.key).collect();
                let implied = [Rule::RequiredLoosened, Rule::RequiredTightened];
                self.found.retain(|found| {
                    !(implied.contains(&found.rule)
                        && touched.iter().any(|key| {
                            found.column.as_deref().is_some_and(|column| column.eq_ignore_ascii_case(key))
                        }))
                });
            }
            self.found.push(change);
        }
        let moved = |columns: &str| {
            let mut columns: Vec<String> =
                columns.split(',').map(|column| self.now(column).to_lowercase()).collect();
            columns.sort();
            columns.join(",")
        };
        let stays = |columns: &str| {
            columns.split(',').all(|column| (presence.after)(&self.now(column)) != Some(false))
        };
        let mut found = Vec::new();
        for (columns, at) in &old.uniques {
            let now = moved(columns);
            if stays(columns) && !new.uniques.contains_key(&now) && new.key.join(",") != now {
                let names: Vec<String> = now.split(',').map(str::to_owned).collect();
                let message = format!("{} may occur twice in `{model}` now", ticked(&names));
                found.push(
                    Change::new(Rule::KeyRemoved, single(&names), message)
                        .from(now)
                        .at("contract", Side::Proposed, new.terms.as_ref().map(|terms| &terms.at))
                        .at("contract", Side::Base, at.as_ref())
                        .help("keep it unique: joins on it may repeat rows otherwise"),
                );
            }
        }
        for (columns, at) in &new.uniques {
            let known = old.uniques.keys().any(|before| moved(before) == *columns);
            if !known && before.join(",") != *columns {
                let names: Vec<String> = columns.split(',').map(str::to_owned).collect();
                if names.iter().any(|name| (presence.before)(name) == Some(false)) {
                    continue;
                }
                let message = format!("{} may occur once only in `{model}` now", ticked(&names));
                found.push(
                    Change::new(Rule::KeyAdded, single(&names), message)
                        .to(columns)
                        .at("contract", Side::Proposed, at.as_ref())
                        .check(Check::Duplicates(names)),
                );
            }
        }
        self.found.extend(found);
    }

    fn relationships(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
        let now = |from: &str| -> String {
            let columns: Vec<String> =
                from.split(',').map(|column| self.now(column).to_lowercase()).collect();
            columns.join(",")
        };
        let mut found = Vec::new();
        let column = |from: &str| (!from.contains(',')).then(|| from.to_owned());
        for before in &old.relationships {
            let from = now(&before.from);
            let same = |after: &&super::promise::Reference| after.from.eq_ignore_ascii_case(&from);
            if new.relationships.iter().filter(same).any(|after| after.to.eq_ignore_ascii_case(&before.to))
                || from.split(',').any(|column| (presence.after)(column) == Some(false))
            {
                continue;
            }
            let others =
                old.relationships.iter().map(|known| known.to.to_lowercase()).collect::<BTreeSet<_>>();
            let retargeted = new
                .relationships
                .iter()
                .filter(same)
                .find(|after| !others.contains(&after.to.to_lowercase()));
            let model = self.model;
            found.push(match retargeted {
                Some(after) => {
                    let message =
                        format!("`{model}.{from}` refers to `{}` and not to `{}`", after.to, before.to);
                    Change::new(Rule::RelationshipRemoved, column(&from).as_deref(), message)
                        .from(&before.to)
                        .to(&after.to)
                        .bump(Bump::Major)
                        .severity(Severity::Error)
                        .at("contract", Side::Proposed, after.at.as_ref())
                }
                None => {
                    let message = format!("`{model}.{from}` need not occur in `{}` any more", before.to);
                    Change::new(Rule::RelationshipRemoved, column(&from).as_deref(), message)
                        .from(&before.to)
                        .at("contract", Side::Proposed, new.terms.as_ref().map(|terms| &terms.at))
                        .at("contract", Side::Base, before.at.as_ref())
                }
            });
        }
        for after in &new.relationships {
            let same_from =
                |before: &&super::promise::Reference| now(&before.from).eq_ignore_ascii_case(&after.from);
            if old.relationships.iter().any(|before| same_from(&before))
                || after.from.split(',').any(|column| (presence.before)(column) == Some(false))
            {
                continue;
            }
            let message = format!("`{}.{}` must occur in `{}` now", self.model, after.from, after.to);
            found.push(
                Change::new(Rule::RelationshipAdded, column(&after.from).as_deref(), message)
                    .to(&after.to)
                    .at("contract", Side::Proposed, after.at.as_ref()),
            );
        }
        self.found.extend(found);
    }

    fn quality(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
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
                Some(("blocks a publish".to_owned(), "only warns".to_owned()))
            } else if before.what != after.what || before.unit != after.unit {
                Some((before.what.clone(), after.what.clone()))
            } else {
                let looser =
                    !after.must.iter().all(|now| before.must.iter().any(|was| was.allows_all_of(now)))
                        || before.must.iter().any(|was| !after.must.iter().any(|now| was.allows_all_of(now)));
                looser.then(|| (words(&before.must), words(&after.must)))
            };
            if let Some((was, is)) = relaxed {
                let message = format!("{subject} is weaker: {is} in place of {was}");
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

    fn ages(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
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

    fn service(&mut self, old: &Promise, new: &Promise) {
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

fn words(must: &[super::promise::Must]) -> String {
    let end = |value: f64| if value.fract() == 0.0 { format!("{value:.0}") } else { value.to_string() };
    let one = |must: &super::promise::Must| match must {
        super::promise::Must::Other(text) => text.clone(),
        super::promise::Must::Between { low, high } => match (low, high) {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Looser,
    Stricter,
    Unknown,
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
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
        Value::String(text) => crate::sql::quote::literal(text),
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
    let values: Vec<String> = values.iter().map(|value| crate::sql::quote::literal(value)).collect();
    format!("{}::varchar in ({})", identifier(path), values.join(", "))
}

fn single(names: &[String]) -> Option<&str> {
    match names {
        [one] => Some(one),
        _ => None,
    }
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
