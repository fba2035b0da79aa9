//! Changes of columns: names, types and order, on what two sides really give.

use std::collections::BTreeMap;

use super::change::{Change, ticked};
use super::grade::{Bump, Severity};
use super::lattice::{Difference, DifferenceKind, Step, Type, differences};
use super::rule::Rule;
use crate::engine::session::ColumnType;

/// New paths by old ones, in lower case, of columns that are known to have been renamed.
pub(super) type Renames = BTreeMap<String, String>;

/// The changes from one list of columns to another.
pub(super) fn columns(model: &str, old: &[ColumnType], new: &[ColumnType], renames: &Renames) -> Vec<Change> {
    let find = |columns: &'_ [ColumnType], name: &str| {
        columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    };
    let mut changes = Vec::new();
    let mut taken = vec![false; new.len()];
    let mut stays = Vec::new();
    for column in old {
        let name = column.name.as_str();
        let renamed = renames.get(&name.to_lowercase()).and_then(|to| find(new, to));
        match (find(new, name), renamed) {
            (Some(at), _) => {
                taken[at] = true;
                stays.push(at);
                changes.extend(types(model, name, &column.data_type, &new[at].data_type));
            }
            (None, Some(at)) => {
                taken[at] = true;
                stays.push(at);
                let now = &new[at].name;
                let message = format!("`{model}.{name}` is called `{now}` now");
                changes.push(Change::new(Rule::ColumnRenamed, Some(name), message).from(name).to(now).help(
                    format!(
                        "keep `{name}` beside `{now}` until its readers have moved, and mark it as deprecated"
                    ),
                ));
                changes.extend(types(model, now, &column.data_type, &new[at].data_type));
            }
            (None, None) => {
                let message = format!("`{model}.{name}` was removed");
                changes.push(Change::new(Rule::ColumnRemoved, Some(name), message).from(&column.data_type));
            }
        }
    }
    for (at, column) in new.iter().enumerate().filter(|(at, _)| !taken[*at]) {
        let _ = at;
        let message = format!("`{model}.{}` is new", column.name);
        changes.push(Change::new(Rule::ColumnAdded, Some(&column.name), message).to(&column.data_type));
    }
    if !stays.is_sorted() {
        let names = |columns: &mut dyn Iterator<Item = &ColumnType>| {
            columns.map(|column| column.name.clone()).collect::<Vec<_>>().join(", ")
        };
        let kept = |column: &&ColumnType| {
            find(new, &column.name).is_some() || renames.contains_key(&column.name.to_lowercase())
        };
        let before = names(&mut old.iter().filter(kept));
        stays.sort_unstable();
        let after = names(&mut stays.iter().map(|at| &new[*at]));
        let message = format!("the columns of `{model}` stand in another order");
        changes.push(Change::new(Rule::OrderChanged, None, message).from(before).to(after));
    }
    changes
}

/// The changes from one type to another.
pub(super) fn types(model: &str, column: &str, old: &str, new: &str) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let found = differences(&Type::parse(old), &Type::parse(new));
    found.into_iter().map(|difference| type_change(model, column, difference)).collect()
}

fn type_change(model: &str, column: &str, difference: Difference) -> Change {
    let path = format!("{column}{}", difference.path);
    let name = format!("`{model}.{path}`");
    match difference.kind {
        DifferenceKind::FieldRemoved(of) => {
            Change::new(Rule::ColumnRemoved, Some(&path), format!("{name} was removed")).from(of.to_string())
        }
        DifferenceKind::FieldAdded(of) => {
            Change::new(Rule::ColumnAdded, Some(&path), format!("{name} is new")).to(of.to_string())
        }
        DifferenceKind::FieldsReordered(before, after) => {
            let message = format!("the fields of {name} stand in another order");
            Change::new(Rule::OrderChanged, Some(&path), message).from(before.join(", ")).to(after.join(", "))
        }
        DifferenceKind::MembersRemoved(members) => {
            let message = format!("{name} cannot be {} any more", ticked(&members));
            Change::new(Rule::AcceptedValueRemoved, Some(&path), message).from(members.join(", "))
        }
        DifferenceKind::MembersAdded(members) => {
            let message = format!("{name} can be {} now", ticked(&members));
            Change::new(Rule::AcceptedValueAdded, Some(&path), message).to(members.join(", "))
        }
        DifferenceKind::Retyped(step, old, new) => {
            let message = format!("{name} was {old} and is {new}");
            let rule = match step {
                Step::Same | Step::Widened => Rule::TypeWidened,
                Step::Narrowed => Rule::TypeNarrowed,
                Step::Changed => Rule::TypeChanged,
            };
            let mut change =
                Change::new(rule, Some(&path), message).from(old.to_string()).to(new.to_string());
            if let (Type::Decimal(_, one), Type::Decimal(_, other)) = (&old, &new)
                && one != other
            {
                change = change.why("another scale changes how values are written out, and how sums round");
            }
            match step {
                Step::Changed => {
                    change.help(format!("keep {old} here, and give the new type a column of its own"))
                }
                Step::Narrowed => {
                    change.help(format!("cast it back: `::{old}`; what does not fit makes the run fail"))
                }
                _ => change,
            }
        }
    }
}

/// The severity and step of a change whose meaning nobody can tell.
pub(super) fn undetermined(change: Change) -> Change {
    change.severity(Severity::Warning).bump(Bump::Major)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(columns: &[(&str, &str)]) -> Vec<ColumnType> {
        let column =
            |(name, kind): &(&str, &str)| ColumnType { name: (*name).into(), data_type: (*kind).into() };
        columns.iter().map(column).collect()
    }

    #[test]
    fn columns_are_compared_by_name() {
        let old =
            list(&[("id", "INTEGER"), ("email", "VARCHAR"), ("s", "STRUCT(a INTEGER)"), ("city", "VARCHAR")]);
        let new =
            list(&[("s", "STRUCT(a BIGINT, b DATE)"), ("ID", "INTEGER"), ("town", "VARCHAR"), ("n", "DATE")]);
        let renames = Renames::from([("city".into(), "town".into())]);
        let lines: Vec<String> = columns("orders", &old, &new, &renames)
            .iter()
            .map(|change| format!("{} {}", change.rule.slug(), change.message))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        column-removed `orders.email` was removed
        type-widened `orders.s.a` was INTEGER and is BIGINT
        column-added `orders.s.b` is new
        column-renamed `orders.city` is called `town` now
        column-added `orders.n` is new
        order-changed the columns of `orders` stand in another order
        ");
    }
}
