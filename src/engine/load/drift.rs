//! Drift: what an object's columns are against what the source's were, and what the policy makes of the difference.
//! A pure function over names, folded over the objects in path order, so the outcome does not depend on how many
//! runs they were loaded in.

use serde::{Deserialize, Serialize};

use crate::manifest::OnSchemaChange;

/// A column of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceColumn {
    /// Its name, as first seen or declared.
    pub name: String,
    /// Its DuckDB type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A column that is known to belong to a source, its type perhaps not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownColumn {
    pub name: String,
    pub data_type: Option<String>,
}

/// What is known of a source's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub columns: Vec<KnownColumn>,
    /// Whether an object has been loaded: the first one says what there is, and a column of it is not new.
    pub seen: Seen,
}

/// Whether a source had an object with columns before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Seen {
    #[default]
    Never,
    Before,
}

/// What an object consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing at all, not even a header.
    Empty,
    /// Columns, in the object's order.
    Columns(Vec<KnownColumn>),
}

/// The difference of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub new: Vec<String>,
    pub ignored: Vec<String>,
    pub missing: Vec<String>,
}

pub(super) fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Known {
    /// The column of a name, in any case.
    pub fn find(&self, name: &str) -> Option<&KnownColumn> {
        self.columns.iter().find(|column| same(&column.name, name))
    }

    /// Takes an object in: what is new is added to what is known, if the policy has it so. `Err` says why the
    /// object cannot be loaded under the policy.
    pub fn take(&mut self, shape: &Shape, policy: OnSchemaChange) -> Result<Difference, String> {
        let Shape::Columns(columns) = shape else { return Ok(Difference::default()) };
        let mut difference = Difference::default();
        let new: Vec<&KnownColumn> =
            columns.iter().filter(|column| self.find(&column.name).is_none()).collect();
        for known in &self.columns {
            if !columns.iter().any(|column| same(&column.name, &known.name)) {
                difference.missing.push(known.name.clone());
            }
        }
        let is_new = !new.is_empty() && self.seen == Seen::Before;
        if policy == OnSchemaChange::Fail && (is_new || !difference.missing.is_empty()) {
            let mut why = Vec::new();
            if is_new {
                let names: Vec<&str> = new.iter().map(|column| column.name.as_str()).collect();
                why.push(format!("{} new", listed(&names)));
            }
            if !difference.missing.is_empty() {
                why.push(format!("{} missing", listed(&difference.missing)));
            }
            return Err(why.join(", "));
        }
        match (self.seen, policy) {
            (Seen::Before, OnSchemaChange::Warn) => {
                difference.ignored = new.iter().map(|column| column.name.clone()).collect();
            }
            (Seen::Before, _) => {
                difference.new = new.iter().map(|column| column.name.clone()).collect();
                self.columns.extend(new.into_iter().map(untyped));
            }
            (Seen::Never, _) => self.columns.extend(new.into_iter().map(untyped)),
        }
        self.seen = Seen::Before;
        Ok(difference)
    }
}

/// A column whose type is still to be found: the files' format decides how.
fn untyped(column: &KnownColumn) -> KnownColumn {
    KnownColumn { name: column.name.clone(), data_type: None }
}

/// "column `a` is", "columns `a`, `b` are".
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [one] => format!("column {one} is"),
        many => format!("columns {} are", many.join(", ")),
    }
}
