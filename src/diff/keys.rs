//! Changes of what is promised of rows: what identifies them, and what they refer to.

use std::collections::BTreeSet;

use super::change::{Change, Check, ticked};
use super::finding::Side;
use super::grade::{Bump, Severity};
use super::promise::{Promise, Reference};
use super::rule::Rule;
use super::terms::{Comparison, Presence};

impl Comparison<'_> {
    pub fn keys(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
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
        let is_left = !before.is_empty() || old.key.is_empty();
        if is_left && before != new.key {
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

    pub fn relationships(&mut self, old: &Promise, new: &Promise, presence: &Presence<'_>) {
        let now = |from: &str| -> String {
            let columns: Vec<String> =
                from.split(',').map(|column| self.now(column).to_lowercase()).collect();
            columns.join(",")
        };
        let mut found = Vec::new();
        let column = |from: &str| (!from.contains(',')).then(|| from.to_owned());
        for before in &old.relationships {
            let from = now(&before.from);
            let same = |after: &&Reference| after.from.eq_ignore_ascii_case(&from);
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
            let same_from = |before: &&Reference| now(&before.from).eq_ignore_ascii_case(&after.from);
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
}

fn single(names: &[String]) -> Option<&str> {
    match names {
        [one] => Some(one),
        _ => None,
    }
}
