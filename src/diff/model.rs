//! The changes of one model: its columns, what is promised of it, how it is kept, how it is computed.

use super::change::{Change, top};
use super::compare::Work;
use super::finding::{Place, Side, Unknown};
use super::grade::{Bump, Severity};
use super::origin::{Origin, is_schema};
use super::rule::Rule;
use super::schema::{self, Renames};
use super::spot::Spot;
use super::terms::{self, Presence};
use super::view::ModelView;
use crate::engine::session::ColumnType;
use crate::error::Result;
use crate::names::Relation;
use crate::sql::shape::{Digest, Shape};

impl Work<'_> {
    /// All changes of one model.
    pub fn pair(&mut self, old: &ModelView, new: &ModelView) -> Result<Vec<(Change, Origin)>> {
        let renames = terms::renames(&old.promise, &new.promise);
        let mut found = Vec::new();
        if let (Some(before), Some(after)) = (&old.columns, &new.columns) {
            let changes = schema::columns(&new.name, before, after, &renames);
            let origins = self.sides.origins(old, new, &changes, &renames)?;
            found = changes.into_iter().map(|change| placed(change, old, new)).zip(origins).collect();
        } else if !old.is_same_query(new) || old.columns.is_some() != new.columns.is_some() {
            let (side, why) = match &new.columns {
                None => (Side::Proposed, &new.unknown),
                Some(_) => (Side::Base, &old.unknown),
            };
            let why = why.clone().unwrap_or_else(|| "it does not bind".into());
            let place = Place { label: "model".into(), side: Side::Proposed, at: new.at.0.clone() };
            let unknown = Unknown { subject: new.name.clone(), side: Some(side), why, place: Some(place) };
            self.unknowns.push(unknown);
        }
        self.promises(old, new, &renames, &mut found);
        found.extend(self.whole(old, new).into_iter().map(|change| (change, Origin::Own)));
        if !old.is_same_query(new) {
            let semantics = self.semantics(old, new, &renames, &mut found)?;
            found.extend(semantics.into_iter().map(|change| (change, Origin::Own)));
        }
        Ok(found)
    }

    fn promises(
        &self,
        old: &ModelView,
        new: &ModelView,
        renames: &Renames,
        found: &mut Vec<(Change, Origin)>,
    ) {
        let has = |model: &ModelView, path: &str| {
            let columns = model.columns.as_ref()?;
            Some(columns.iter().any(|column| column.name.eq_ignore_ascii_case(top(path))))
        };
        let inner = |path: &str, rule: Rule| {
            found.iter().any(|(change, _)| {
                change.rule == rule
                    && change.column.as_deref().is_some_and(|column| column.eq_ignore_ascii_case(path))
            })
        };
        let before = |path: &str| has(old, path).map(|has| has && !inner(path, Rule::ColumnAdded));
        let after = |path: &str| has(new, path).map(|has| has && !inner(path, Rule::ColumnRemoved));
        let presence = Presence { before: &before, after: &after };
        let mut changes =
            terms::changes(&new.name, &old.promise, &new.promise, renames, &presence, &self.comparison.today);
        if old.promise.terms.is_some()
            && new.promise.terms.is_some()
            && (old.columns.is_none() || new.columns.is_none())
        {
            changes.extend(self.promised_types(old, new, renames));
        }
        let contracted = old.promise.terms.is_some();
        for (change, _) in found.iter_mut() {
            let path = change.column.clone().unwrap_or_default();
            let promised = |model: &ModelView, path: &str| {
                let outer =
                    |at: usize| model.promise.column(&path[..at]).is_some_and(|column| column.is_promised);
                outer(path.len()) || path.char_indices().any(|(at, c)| matches!(c, '.' | '[') && outer(at))
            };
            change.is_promise = contracted
                && match change.rule {
                    Rule::ColumnAdded => promised(new, &path) && new.promise.terms.is_some(),
                    Rule::OrderChanged => true,
                    _ => promised(old, &path),
                };
            if let Some(column) = new.promise.column(&path).filter(|column| column.is_promised) {
                change.places.extend(contract_place(Side::Proposed, column.at.as_ref()));
            } else if let Some(column) = old.promise.column(&path).filter(|column| column.is_promised) {
                change.places.extend(contract_place(Side::Base, column.at.as_ref()));
            }
        }
        for change in changes {
            let same = |known: &Change| {
                let family = |rule: Rule| match rule {
                    Rule::RequiredColumnAdded => Rule::ColumnAdded,
                    Rule::ColumnRenamed => Rule::ColumnRemoved,
                    other => other,
                };
                let adds = |rule: Rule| family(rule) == Rule::ColumnAdded;
                let (one, other) = (known.column.as_deref(), change.column.as_deref());
                let equal = match (one, other) {
                    (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                    (one, other) => one == other,
                };
                // A member that an ENUM lost, and the list in the contract that lost it, are one change.
                equal && (known.rule == change.rule || (adds(known.rule) && adds(change.rule)))
            };
            match found.iter_mut().find(|(known, _)| same(known)) {
                Some((known, _)) => {
                    if change.rule == Rule::RequiredColumnAdded {
                        known.rule = change.rule;
                        known.bump = change.rule.default_bump();
                        known.message = format!("{} and may not be NULL", known.message);
                    }
                    known.is_promise |= change.is_promise;
                }
                None => found.push((change, Origin::Own)),
            }
        }
        // A new column that no row may lack, in a model without a contract, is said by its test.
        for (change, _) in found.iter_mut().filter(|(change, _)| change.rule == Rule::ColumnAdded) {
            let path = change.column.as_deref().unwrap_or_default();
            if new.promise.column(path).is_some_and(|column| column.required.is_some()) {
                change.rule = Rule::RequiredColumnAdded;
                change.bump = change.rule.default_bump();
                change.message = format!("{} and may not be NULL", change.message);
            }
        }
    }

    /// Types as promised, where they cannot be bound.
    fn promised_types(&self, old: &ModelView, new: &ModelView, renames: &Renames) -> Vec<Change> {
        let mut found = Vec::new();
        for before in old.promise.columns.iter().filter(|column| column.is_promised) {
            let now = renames.get(&before.path.to_lowercase()).unwrap_or(&before.path);
            let Some(after) = new.promise.column(now) else { continue };
            let (Some(one), Some(other)) = (&before.data_type, &after.data_type) else { continue };
            let (one, other) = (self.sides.before.canonical(one), self.sides.after.canonical(other));
            if let (Some(one), Some(other)) = (one, other) {
                found.extend(
                    schema::types(&new.name, now, &one, &other)
                        .into_iter()
                        .map(|change| change.promise().at("contract", Side::Proposed, after.at.as_ref())),
                );
            }
        }
        found
    }

    /// Changes of the model as a whole: its name, and how it is kept.
    fn whole(&self, old: &ModelView, new: &ModelView) -> Vec<Change> {
        let mut found = Vec::new();
        let (was, is) = (&old.relation, &new.relation);
        if !old.is_published() {
            return found;
        }
        if !new.is_published() {
            let message =
                format!("`{}` is ephemeral now: readers have no `{}` any more", new.name, was.plain());
            let change = Change::new(Rule::ModelRemoved, None, message).from(was.plain());
            found.push(change.at("model", Side::Proposed, Some(&new.at)));
            return found;
        }
        let same = |one: &Relation, other: &Relation| {
            one.schema.eq_ignore_ascii_case(&other.schema) && one.name.eq_ignore_ascii_case(&other.name)
        };
        let contracted = old.promise.terms.is_some();
        if !same(was, is) {
            let stays = self
                .sides
                .proposed
                .models
                .values()
                .any(|model| model.is_published() && same(&model.relation, was));
            let message = format!("`{}` is called `{}` now", was.plain(), is.plain());
            let mut change = Change::new(Rule::ModelRenamed, None, message)
                .from(was.plain())
                .to(is.plain())
                .at("model", Side::Proposed, Some(&new.at));
            change.is_promise = contracted;
            change = match stays {
                true => change
                    .severity(Severity::Note)
                    .bump(Bump::Minor)
                    .why("another model is published under the old name"),
                false => change.help(format!("keep a view called `{}` for those who read it", was.plain())),
            };
            found.push(change);
        }
        let kind = |model: &ModelView| if model.materialized == "view" { "view" } else { "table" };
        if kind(old) != kind(new) {
            let message = format!("`{}` was a {} and is a {}", new.name, kind(old), kind(new));
            let mut change = Change::new(Rule::MaterializationChanged, None, message)
                .from(kind(old))
                .to(kind(new))
                .at("model", Side::Proposed, Some(&new.at));
            change.is_promise = contracted;
            if kind(new) == "table" {
                // Nobody who reads a view can tell, but for its age.
                change = change.severity(Severity::Note).bump(Bump::Patch);
            }
            found.push(change);
        }
        found
    }

    /// What is computed in another way though it is called the same; and columns that only have another name.
    fn semantics(
        &self,
        old: &ModelView,
        new: &ModelView,
        renames: &Renames,
        found: &mut Vec<(Change, Origin)>,
    ) -> Result<Vec<Change>> {
        if old.sql.is_empty() || new.sql.is_empty() || old.columns.is_none() || new.columns.is_none() {
            return Ok(Vec::new());
        }
        let before = self.sides.before.shape(&old.sql)?;
        // On the old ground a parent's new type is no difference.
        let on_old = self.sides.before.bind(&new.sql)?;
        let (after, outputs) = match on_old {
            Ok(outputs) => (self.sides.before.shape(&new.sql)?, outputs),
            Err(_) => match self.sides.after.bind(&new.sql)? {
                Ok(outputs) => (self.sides.after.shape(&new.sql)?, outputs),
                Err(_) => return Ok(Vec::new()),
            },
        };
        let whole = |message: String, why: String| {
            Change::new(Rule::SemanticsChanged, None, message).why(why).at(
                "model",
                Side::Proposed,
                Some(new.place_of("")),
            )
        };
        let (before, after) = match (before, after) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(why), _) | (_, Err(why)) => {
                let message = format!("the query of `{}` changed", new.name);
                return Ok(vec![whole(message, format!("it cannot be compared piece by piece: {why}"))]);
            }
        };
        let Ok(inputs) = self.sides.before.bind(&old.sql)? else { return Ok(Vec::new()) };
        if inputs.len() != before.columns.len() || outputs.len() != after.columns.len() {
            return Ok(Vec::new());
        }
        let digest = |name: &str| {
            let at = inputs.iter().position(|column| column.name.eq_ignore_ascii_case(name))?;
            Some(before.columns[at])
        };
        self.suggest_renames(old, new, &digest, &outputs, &after, found);
        let old_name = |name: &str| {
            let renamed = renames.iter().find(|(_, now)| now.eq_ignore_ascii_case(name));
            renamed.map_or_else(|| name.to_owned(), |(before, _)| before.clone())
        };
        let mut changed = Vec::new();
        for (output, now) in outputs.iter().zip(&after.columns) {
            let was = digest(&old_name(&output.name));
            let said = found.iter().any(|(change, origin)| {
                *origin == Origin::Own
                    && is_schema(change.rule)
                    && change.top().is_some_and(|top| top.eq_ignore_ascii_case(&output.name))
            });
            if was.is_some_and(|was| was != *now) && !said {
                changed.push(output.name.clone());
            }
        }
        let expressions = |column: &str| match (old.expression(&old_name(column)), new.expression(column)) {
            (Some(was), Some(is)) if was != is => Some(format!("`{column}` is `{is}` in place of `{was}`")),
            _ => None,
        };
        if before.rows != after.rows {
            let clauses = before.different_clauses(&after);
            let words: Vec<&str> = clauses.iter().map(|clause| clause.words()).collect();
            let why = match words.split_last() {
                None => "its rows are put together in another way".to_owned(),
                Some((last, [])) => format!("its {last} changed"),
                Some((last, rest)) => format!("its {} and {last} changed", rest.join(", ")),
            };
            let message = format!("`{}` has other rows, or other values in them", new.name);
            let mut change = whole(message, why);
            change.why.extend(changed.iter().filter_map(|column| expressions(column)));
            return Ok(vec![change]);
        }
        let changes = changed.iter().map(|column| {
            let message = format!("`{}.{column}` is computed in another way", new.name);
            let mut change = Change::new(Rule::SemanticsChanged, Some(column), message).at(
                "column",
                Side::Proposed,
                Some(new.place_of(column)),
            );
            if let (Some(was), Some(is)) = (old.expression(&old_name(column)), new.expression(column))
                && was != is
            {
                change = change.from(was).to(is);
            }
            change
        });
        Ok(changes.collect())
    }

    /// A column that went while one that is computed in the same way came: a rename that nobody declared.
    fn suggest_renames(
        &self,
        old: &ModelView,
        new: &ModelView,
        digest: &dyn Fn(&str) -> Option<Digest>,
        outputs: &[ColumnType],
        after: &Shape,
        found: &mut Vec<(Change, Origin)>,
    ) {
        let removed: Vec<usize> = (0..found.len())
            .filter(|at| found[*at].0.rule == Rule::ColumnRemoved && found[*at].1 == Origin::Own)
            .collect();
        for at in removed {
            let Some(was) = found[at].0.column.clone() else { continue };
            let Some(wanted) = digest(&was) else { continue };
            let same: Vec<&str> = outputs
                .iter()
                .zip(&after.columns)
                .filter(|(output, digest)| {
                    **digest == wanted
                        && found.iter().any(|(change, _)| {
                            matches!(change.rule, Rule::ColumnAdded | Rule::RequiredColumnAdded)
                                && change.column.as_deref() == Some(output.name.as_str())
                        })
                })
                .map(|(output, _)| output.name.as_str())
                .collect();
            let [now] = same.as_slice() else { continue };
            let now = (*now).to_owned();
            let contracted = old.promise.terms.is_some() && new.promise.terms.is_some();
            let (change, _) = &mut found[at];
            change.why.push(format!("`{now}` is new and computed as `{was}` was: it looks renamed"));
            change.help.push(match contracted {
                true => format!(
                    "if it was renamed, say so on `{now}` in the contract: `customProperties: [{{property: renamedFrom, value: {was}}}]`"
                ),
                false => format!("keep `{was}` beside `{now}` until whoever reads it has moved"),
            });
            found.retain(|(change, _)| {
                !(matches!(change.rule, Rule::ColumnAdded | Rule::RequiredColumnAdded)
                    && change.column.as_deref() == Some(now.as_str()))
            });
        }
    }
}

/// Puts the place of an output to a change: where it is now, and where it was.
fn placed(change: Change, old: &ModelView, new: &ModelView) -> Change {
    let column = change.top().unwrap_or_default().to_owned();
    match change.rule {
        Rule::ColumnRemoved if !change.column.as_deref().unwrap_or_default().contains(['.', '[']) => {
            let change = change.at("model", Side::Proposed, Some(new.place_without(&column, old)));
            change.at("column", Side::Base, Some(old.place_of(&column)))
        }
        Rule::ColumnRenamed => {
            let now = change.new.clone().unwrap_or_default();
            let change = change.at("column", Side::Proposed, Some(new.place_of(&now)));
            change.at("column", Side::Base, Some(old.place_of(&column)))
        }
        Rule::OrderChanged => change.at("model", Side::Proposed, Some(new.place_of(""))),
        _ => change.at("column", Side::Proposed, Some(new.place_of(&column))),
    }
}

fn contract_place(side: Side, spot: Option<&Spot>) -> Option<Place> {
    spot.map(|spot| Place { label: "contract".into(), side, at: spot.0.clone() })
}
