//! A promise: what a model's contract and tests say about it, as facts that can be compared and stored.
//!
//! A fact is the same wherever it was written: `required: true`, a quality rule that allows no NULL and a `not_null` test
//! are one fact. What is only said for people is no fact.

mod gathered;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spot::Spot;
use crate::resolve::endings::is_over;

/// Everything that is promised of one model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Promise {
    /// What the contract's file says of itself; a model without one has none.
    pub terms: Option<Terms>,
    /// dbt's `deprecation_date`, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_on: Option<String>,
    /// Where the model is declared, if it has such a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Spot>,
    /// Columns and their parts, outermost first.
    pub columns: Vec<ColumnPromise>,
    /// The columns that identify a row, in lower case and sorted; empty where nothing is promised.
    pub key: Vec<String>,
    /// Where the key is promised.
    pub key_at: Option<Spot>,
    /// Other columns, or sets of them, without duplicates: in lower case, sorted, joined by commas.
    pub uniques: BTreeMap<String, Option<Spot>>,
    /// References to other models.
    pub relationships: Vec<Reference>,
    /// Quality rules that are no fact of their own.
    pub quality: Vec<QualityPromise>,
    /// How old the newest value of a column may be.
    pub ages: Vec<AgePromise>,
    /// Other promises about the service.
    pub service: Vec<ServicePromise>,
}

/// What a contract says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terms {
    /// The contract's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// `active`, `draft`.
    pub status: String,
    /// `consumer`, `full_transitive`, if it says so itself.
    pub compatibility: Option<String>,
    /// The name that the model had before, from the custom property `renamedFrom`.
    pub renamed_from: Option<String>,
    /// The last day of support, as written.
    pub end_of_support: Option<String>,
    /// The last day, as written.
    pub end_of_life: Option<String>,
    /// It says that it is going away.
    pub deprecated: bool,
    /// Promises that Kiln cannot check.
    pub documented_only: Vec<String>,
    /// Those who may agree to a change for all readers.
    #[serde(default)]
    pub deciders: Vec<String>,
    /// The schema entry.
    pub at: Spot,
    /// The version.
    pub version_at: Spot,
}

impl Terms {
    /// Whether a broken promise only warns, because the contract is not in force yet.
    pub fn is_unstable(&self) -> bool {
        ["proposed", "draft"].contains(&self.status.as_str())
    }

    /// Whether the model may go: retired, or past its last day. Days are compared as they are written.
    pub fn is_over(&self, today: &str) -> bool {
        self.status == "retired" || self.end_of_life.as_ref().is_some_and(|day| is_over(day, today))
    }
}

/// A promised column, or a part of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnPromise {
    /// The dotted path: `address.city`, `items[].price`.
    pub path: String,
    /// The property's id, by which a renamed one is known again.
    pub id: Option<String>,
    /// The name that it had before, from the custom property `renamedFrom`.
    pub renamed_from: Option<String>,
    /// The contract names it; a test alone does not.
    pub is_promised: bool,
    /// The type as written.
    pub data_type: Option<String>,
    /// Where it may not be NULL.
    pub required: Option<Spot>,
    /// The values that may occur.
    pub values: Option<Values>,
    /// Bounds, lengths and patterns by the standard's names.
    pub limits: BTreeMap<String, Limit>,
    /// `classification`.
    pub classification: Option<String>,
    /// Tags that say that it is about a person.
    pub personal: Vec<String>,
    /// It says that it is going away.
    pub deprecated: bool,
    /// Where it stands.
    pub at: Option<Spot>,
}

/// The values that a column may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Values {
    /// The values as JSON texts, sorted.
    pub list: Vec<String>,
    /// A custom property says that there will never be another.
    pub closed: bool,
    /// Where they are listed.
    pub at: Option<Spot>,
}

/// A bound, a length, a pattern.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// As written.
    pub value: Value,
    /// Where.
    pub at: Option<Spot>,
}

/// A promised reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reference {
    /// Columns of this model, joined by commas.
    pub from: String,
    /// The other model and its columns: `customers.id`.
    pub to: String,
    /// Where.
    pub at: Option<Spot>,
}

/// A quality rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QualityPromise {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// What is measured, without what it must be.
    pub what: String,
    /// What it must be, each as an interval with its ends, or as text where it is none.
    pub must: Vec<Must>,
    /// `rows` or `percent`.
    pub unit: String,
    /// `error` or `warn`.
    pub severity: String,
    /// Where.
    pub at: Option<Spot>,
}

/// What a measure must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Must {
    /// Between two numbers; a missing end is open.
    Between {
        /// The lower end, and whether it is inside.
        low: Option<(f64, bool)>,
        /// The upper end, and whether it is inside.
        high: Option<(f64, bool)>,
    },
    /// Something that is no interval, as SQL.
    Other(String),
}

/// How old data may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgePromise {
    /// The column whose newest value counts.
    pub column: String,
    /// Seconds.
    pub at_most: u64,
    /// As written: `4 h`.
    pub written: String,
    /// Where.
    pub at: Option<Spot>,
}

/// A promise about the service that no query checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServicePromise {
    /// `retention`, `availability`.
    pub property: String,
    /// As written.
    pub value: String,
    /// As written.
    pub unit: Option<String>,
    /// Where.
    pub at: Option<Spot>,
}

impl Promise {
    /// With the day that a model's properties say it ends on.
    pub fn until(mut self, node: &crate::manifest::Node) -> Self {
        self.deprecated_on = node.deprecation_date().map(str::to_owned);
        self.deprecated_at = self.deprecated_on.as_ref().map(|_| Spot::from(&node.at));
        self
    }

    /// Whether the model may go: its contract is over, or the day from which nobody should read it.
    pub fn is_over(&self, today: &str) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.is_over(today))
            || self.deprecated_on.as_ref().is_some_and(|day| is_over(day, today))
    }

    /// The promise as text, for finding out whether two are the same. Places are part of it only where they moved.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A column by its path, in any case.
    pub fn column(&self, path: &str) -> Option<&ColumnPromise> {
        self.columns.iter().find(|column| column.path.eq_ignore_ascii_case(path))
    }
}

impl Must {
    /// Whether everything that another one allows is allowed here too.
    pub fn allows_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Between { low, high }, Self::Between { low: other_low, high: other_high }) => {
                let below = match (low, other_low) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some((own, inside)), Some((other, other_inside))) => {
                        own < other || (own == other && (*inside || !other_inside))
                    }
                };
                let above = match (high, other_high) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some((own, inside)), Some((other, other_inside))) => {
                        own > other || (own == other && (*inside || !other_inside))
                    }
                };
                below && above
            }
            _ => self == other,
        }
    }
}
