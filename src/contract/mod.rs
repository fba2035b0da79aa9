//! A contract: what a model promises to its consumers, read from an Open Data Contract Standard file (3.0 to 3.2).
//!
//! [`read`] makes contracts of a file, [`tests`] turns what they promise about data into tests, [`check_columns`] and
//! [`disagreements`] compare what they promise about columns. All of it is pure: a promise that needs data becomes a
//! [`Rule`], whose SQL someone else runs.

mod columns;
mod constraints;
mod disagree;
mod draft;
mod enforce;
mod facts;
mod measure;
mod naming;
mod options;
mod quality;
mod query;
mod read;
mod references;
mod rule;
mod sla;
mod types;
mod upgrade;
mod version;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use columns::{ColumnFinding, check_columns, check_declared};
pub use constraints::{Stated, constraint_tests, enforced};
pub use disagree::disagreements;
pub use draft::{Draft, DraftColumn};
pub use enforce::tests;
pub use facts::{Bounds, Facts, OtherTest, Reference};
pub use quality::{Comparison, Metric, Operator, Quality, QualityKind, Unit};
pub use read::read;
pub use rule::{Part, Rule};
pub use sla::{Lifecycle, Sla, SlaKind};
pub use types::{LogicalType, same_type};
pub use upgrade::{complete, upgrade};
pub use version::Version;

use crate::diagnostic::{Located, Location};
use crate::yaml::Yaml;

/// One model's contract: one entry of a file's `schema`.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The model that it binds: the last part of `physicalName`, else `name`.
    pub model: Located<String>,
    /// The entry's `name`, by which references inside the file call it.
    pub name: String,
    /// The file's `id`.
    pub id: String,
    /// The file's `version`.
    pub version: Located<Version>,
    /// The file's `status`.
    pub status: Status,
    /// The schema entry.
    pub at: Location,
    /// `table`, `view`, as written.
    pub physical_type: Option<Located<String>>,
    /// What the entry says of itself.
    pub description: String,
    /// `dataGranularityDescription`.
    pub granularity: Option<String>,
    /// The columns that identify a row, from the custom property `grain`.
    pub grain: Vec<Located<String>>,
    /// Tags of the entry.
    pub tags: Vec<String>,
    /// The promised columns, in their order.
    pub properties: Vec<Property>,
    /// Quality rules on the whole model.
    pub quality: Vec<Quality>,
    /// References from columns of this model to columns of others, wherever they were written.
    pub relationships: Vec<Relationship>,
    /// Freshness, and what else is promised about the service.
    pub sla: Vec<Sla>,
    /// General availability, end of support, end of life.
    pub lifecycle: Lifecycle,
    /// Which side of a change is protected.
    pub compatibility: Compatibility,
    /// Custom properties of the file and of the entry, in this order.
    pub custom: Vec<CustomProperty>,
    /// `team` as written.
    pub team: Value,
    /// `roles` as written.
    pub roles: Value,
    /// `support` as written.
    pub support: Value,
    /// The entry says that it is going away.
    pub deprecated: bool,
    /// Promises that Kiln cannot check: they are listed and never count as passed.
    pub documentation_only: Vec<Located<String>>,
    /// The whole file, with what Kiln does not read.
    pub raw: Arc<Yaml>,
}

impl Contract {
    /// The property that promises a column; names are compared as DuckDB does, without case.
    pub fn property(&self, column: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.column.value.eq_ignore_ascii_case(column))
    }

    /// The columns of the primary key, in the order of their positions.
    pub fn primary_key(&self) -> Vec<&Property> {
        let mut key: Vec<&Property> = self.properties.iter().filter(|p| p.primary_key.is_some()).collect();
        key.sort_by_key(|property| property.primary_key);
        key
    }

    /// Whether a broken promise only warns, because the contract is not in force yet.
    pub fn is_unstable(&self) -> bool {
        matches!(self.status, Status::Proposed | Status::Draft)
    }
}

/// `status` of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Being discussed.
    Proposed,
    /// Being written.
    Draft,
    /// In force.
    Active,
    /// In force, and going away.
    Deprecated,
    /// Not in force any more.
    Retired,
}

impl Status {
    /// The word in `status:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }
}

/// A promised column.
#[derive(Debug, Clone)]
pub struct Property {
    /// The column: `physicalName`, else `name`.
    pub column: Located<String>,
    /// `name`, by which references inside the file call it.
    pub name: String,
    /// `id`, by which a renamed property is known again.
    pub id: Option<String>,
    /// The type in DuckDB's words.
    pub physical_type: Option<Located<String>>,
    /// The type in the standard's words.
    pub logical_type: Option<Located<LogicalType>>,
    /// `logicalTypeOptions` as written.
    pub options: Vec<(Located<String>, Yaml)>,
    /// Where `required: true` stands.
    pub required: Option<Location>,
    /// Where `required: false` stands.
    pub optional: Option<Location>,
    /// Where `unique: true` stands.
    pub unique: Option<Location>,
    /// Where `unique: false` stands.
    pub repeats: Option<Location>,
    /// Its position in the primary key, if it is part of it.
    pub primary_key: Option<u64>,
    /// The values that may occur.
    pub enum_values: Vec<Located<Value>>,
    /// `classification`.
    pub classification: Option<Located<String>>,
    /// `criticalDataElement`.
    pub critical: bool,
    /// The property says that it is going away.
    pub deprecated: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// What it says of itself.
    pub description: String,
    /// Quality rules on the column.
    pub quality: Vec<Quality>,
    /// Custom properties.
    pub custom: Vec<CustomProperty>,
    /// Properties of a nested object.
    pub properties: Vec<Property>,
    /// `semanticType: measure`: an aggregate that tools compute, and no column.
    pub measure: bool,
    /// Where it is declared.
    pub at: Location,
}

/// A custom property.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomProperty {
    /// Its name.
    pub property: String,
    /// Its value.
    pub value: Value,
    /// Where it is declared.
    pub at: Location,
}

/// A foreign key: each row's `from` columns occur as `to` columns of another model.
#[derive(Debug, Clone, PartialEq)]
pub struct Relationship {
    /// Columns of this model.
    pub from: Vec<String>,
    /// The other model, by the name that the project knows.
    pub model: Located<String>,
    /// Its columns, as many as in `from`.
    pub to: Vec<String>,
    /// Where it is declared.
    pub at: Location,
}

/// Who is protected from a change: the custom property `compatibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compatibility {
    /// Which side.
    pub mode: CompatibilityMode,
    /// Against every version that has not reached its end of life, not only the one before.
    pub transitive: bool,
}

impl Default for Compatibility {
    fn default() -> Self {
        Self { mode: CompatibilityMode::Consumer, transitive: false }
    }
}

impl Compatibility {
    /// Every word that `compatibility:` takes.
    pub const NAMES: [&'static str; 7] = [
        "none",
        "consumer",
        "history",
        "full",
        "consumer_transitive",
        "history_transitive",
        "full_transitive",
    ];

    /// Reads a word.
    pub fn parse(text: &str) -> Option<Self> {
        let (mode, transitive) = match text.strip_suffix("_transitive") {
            Some(mode) => (mode, true),
            None => (text, false),
        };
        let mode = match mode {
            "none" if !transitive => CompatibilityMode::None,
            "consumer" => CompatibilityMode::Consumer,
            "history" => CompatibilityMode::History,
            "full" => CompatibilityMode::Full,
            _ => return None,
        };
        Some(Self { mode, transitive })
    }
}

/// The word as `compatibility:` writes it: `consumer`, `full_transitive`.
impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            CompatibilityMode::None => "none",
            CompatibilityMode::Consumer => "consumer",
            CompatibilityMode::History => "history",
            CompatibilityMode::Full => "full",
        };
        f.write_str(mode)?;
        if self.transitive { f.write_str("_transitive") } else { Ok(()) }
    }
}

/// The side that [`Compatibility`] protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompatibilityMode {
    /// None.
    None,
    /// Those who read the model.
    Consumer,
    /// The data that was published before.
    History,
    /// Both.
    Full,
}

#[cfg(test)]
mod tests_contract;
