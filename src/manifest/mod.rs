//! The manifest: a project after every file and every template has been read once. Nodes with their resolved
//! configuration, sources, tests, consumers and contracts, and the edges between them, all checked.
//!
//! Everything after this point works on the manifest alone. What it holds cannot be invalid: names resolve, there
//! is no cycle, configuration values have their types.

mod checks;
mod config;
mod consumers;
mod incremental;
mod limits;
mod lineup;
mod resolve;
mod snapshot;
mod template;
#[cfg(test)]
pub(crate) mod tests;
mod unit;
mod unit_rows;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::contract::Contract;
use crate::diagnostic::{Located, Location, SourceFile};
use crate::names::{NodeId, Relation};

pub use self::incremental::{
    Grain, Incremental, Interval, OnChange, ShapeChange, Strategy, Updates, is_name, moment,
};
pub use self::limits::{Limit, RowLimits};
pub use self::resolve::resolve;
pub use self::snapshot::{HardDeletes, Snapshot, SnapshotNames, SnapshotStrategy};
pub use self::template::{Param, ParsedTemplate, ReadTemplates, RefCall, SourceCall, TestUse};
pub use self::unit_rows::{UnitCell, UnitRows, UnitTable, UnitValue, csv};
pub(crate) use self::wire::full_name as full_test_name;

/// A JSON object that keeps its order: `meta`, `config`, arguments.
pub type Object = serde_json::Map<String, Value>;

/// A checked project for one target.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The project's name, which is also its package's.
    pub project: String,
    /// Layers in their order, empty where the project has none.
    pub layers: Vec<String>,
    /// Models and seeds that are enabled.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Source tables.
    pub sources: BTreeMap<NodeId, SourceTable>,
    /// Data tests that are enabled: from properties, from `tests/`, from contracts.
    pub tests: BTreeMap<NodeId, Test>,
    /// Consumers.
    pub exposures: BTreeMap<NodeId, Exposure>,
    /// Contracts by the node that they bind.
    pub contracts: BTreeMap<NodeId, Contract>,
    /// Unit tests whose model is enabled.
    pub unit_tests: BTreeMap<NodeId, UnitTest>,
    /// Search paths of models, seeds and tests: what is below them in a file's path are its folders.
    pub search_paths: Vec<String>,
}

/// What kind of thing a node is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A templated SELECT.
    Model,
    /// A CSV file of the project.
    Seed,
    /// A templated SELECT whose results are kept as history.
    Snapshot,
}

/// How a node becomes something that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Materialization {
    /// A raw table that keeps everything ever loaded.
    Append,
    /// A view on its parents' builds.
    View,
    /// A table.
    Table,
    /// A table that keeps its rows and takes in new ones.
    Incremental,
    /// Pasted into its children as a CTE.
    Ephemeral,
    /// A typed table of a CSV file.
    Seed,
    /// The history of a query's results.
    Snapshot,
}

impl Materialization {
    /// The word in `materialized:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::View => "view",
            Self::Table => "table",
            Self::Incremental => "incremental",
            Self::Ephemeral => "ephemeral",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A model or a seed.
#[derive(Debug, Clone)]
pub struct Node {
    /// dbt's unique id.
    pub id: NodeId,
    /// The file's name without its ending; what `ref` takes.
    pub name: String,
    /// The project or package that it belongs to.
    pub package: String,
    /// Model or seed.
    pub kind: NodeKind,
    /// Its layer, if it is in one.
    pub layer: Option<String>,
    /// Template or CSV. A seed's text is empty here: it is read when it is loaded.
    pub file: Arc<SourceFile>,
    /// What readers see, with the target's prefix.
    pub relation: Relation,
    /// Its resolved configuration.
    pub config: NodeConfig,
    /// From its properties.
    pub description: String,
    /// Columns declared in its properties, in that order.
    pub columns: Vec<Column>,
    /// Each node and source that it reads, in order of first use.
    pub depends_on: Vec<Dependency>,
    /// The template asks the database while it renders (`run_query` and its kin): it can be rendered only when its
    /// parents are built.
    pub asks_database: bool,
    /// Where its properties stand, else the start of its file.
    pub at: Location,
}

/// An edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What is read: a model, a seed or a source.
    pub node: NodeId,
    /// The `ref` or `source` call.
    pub at: Location,
}

/// Configuration with its types, resolved from the file, its properties and its folders, in that order of strength.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// How it is built.
    pub materialized: Materialization,
    /// Says of a model with volatile functions, or one that reads what Kiln cannot watch, that it may be reused
    /// (`volatile: false`), or of any other that it may not (`volatile: true`).
    pub volatile: Option<bool>,
    /// Tags of all levels.
    pub tags: Vec<String>,
    /// `meta` of all levels, merged.
    pub meta: Object,
    /// Types of a seed's columns, by name.
    pub column_types: IndexMap<String, String>,
    /// A seed's delimiter; `,` if not said.
    pub delimiter: String,
    /// How many bytes a seed's file may have.
    pub max_size: u64,
    /// How it grows, for an incremental model.
    pub incremental: Option<Incremental>,
    /// What history it keeps, for a snapshot.
    pub snapshot: Option<Snapshot>,
    /// The column that says when a row's thing happened: models built by intervals read only those of theirs.
    pub event_time: Option<String>,
    /// How much its rows may change from one release to the next.
    pub limits: Option<RowLimits>,
    /// Every key as resolved, for `config.get` and for the fingerprint of what is not typed here.
    pub all: Object,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type written down, in DuckDB's words.
    pub data_type: Option<Located<String>>,
    /// From its properties.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta`.
    pub meta: Object,
    /// Where it is declared.
    pub at: Location,
}

/// A table outside Kiln.
#[derive(Debug, Clone)]
pub struct SourceTable {
    /// `source.<package>.<source>.<table>`.
    pub id: NodeId,
    /// The source's name.
    pub source: String,
    /// The table's name in it.
    pub name: String,
    /// From the properties; the source's own where the table has none.
    pub description: String,
    /// The relation, for a table that exists already.
    pub relation: Relation,
    /// Declared columns.
    pub columns: Vec<Column>,
    /// How Kiln loads it; `None` for a relation that exists already.
    pub files: Option<FileSource>,
    /// How old it may be.
    pub freshness: Option<Freshness>,
    /// The column whose maximum is the data's age; `None` means the load's own time.
    pub loaded_at_field: Option<String>,
    /// Who to ask.
    pub owner: Owner,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta`.
    pub meta: Object,
    /// Where it is declared.
    pub at: Location,
}

/// Files that Kiln loads.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Paths or globs, relative to the project's folder.
    pub patterns: Vec<Located<String>>,
    /// How they are read.
    pub format: FileFormat,
    /// DuckDB's reader options.
    pub options: Vec<(Located<String>, Value)>,
    /// What happens when the shape changes.
    pub on_schema_change: OnSchemaChange,
    /// What happens to a row that does not fit.
    pub on_bad_rows: OnBadRows,
}

/// A file format, by its ending or by `format:`. `.gz` and `.zst` may follow each ending of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `.csv`, `.tsv`, `.txt`.
    Csv,
    /// `.json`: one array, or one object after the other.
    Json,
    /// `.ndjson`, `.jsonl`: one object a line.
    NdJson,
    /// `.parquet`.
    Parquet,
}

/// `on_schema_change` of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSchemaChange {
    /// A new column is added, a missing one is NULL; both are said.
    #[default]
    Evolve,
    /// As the table is: a new column is left out, with a warning.
    Warn,
    /// The load of the object fails.
    Fail,
}

/// `on_bad_rows` of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRows {
    /// The row goes to `<table>__rejected` with the reason.
    #[default]
    Quarantine,
    /// The load of the object fails.
    Fail,
}

/// How old data may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Freshness {
    /// Older warns.
    pub warn_after: Option<Age>,
    /// Older fails.
    pub error_after: Option<Age>,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Age {
    /// How many.
    pub count: u64,
    /// Of what.
    pub period: Period,
}

/// A unit of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Period {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl Period {
    /// How long it is.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its name in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Who to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// A name.
    pub name: Option<String>,
    /// An address.
    pub email: Option<String>,
}

/// A consumer: dbt's exposure.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// `exposure.<package>.<name>`.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// `dashboard`, `notebook`, `analysis`, `ml`, `application`.
    pub kind: String,
    /// Who to ask.
    pub owner: Owner,
    /// From the properties.
    pub description: String,
    /// What it reads.
    pub depends_on: Vec<Dependency>,
    /// Which columns of which model it needs, from `meta.columns`.
    pub columns: IndexMap<String, Vec<Located<String>>>,
    /// Its real SQL, from `meta.queries`.
    pub queries: Vec<Located<String>>,
    /// `url`.
    pub url: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta` as written.
    pub meta: Object,
    /// Where it is declared.
    pub at: Location,
}

/// A data test: a query whose rows are failures.
#[derive(Debug, Clone)]
pub struct Test {
    /// `test.<package>.<name>`.
    pub id: NodeId,
    /// Unique in the project, as dbt makes it: `unique_orders_order_id`.
    pub name: String,
    /// What is tested: the model that a failure belongs to. `None` for a singular test that reads several.
    pub node: Option<NodeId>,
    /// The column, for a test of one.
    pub column: Option<String>,
    /// What it is made from.
    pub kind: TestKind,
    /// Its configuration.
    pub config: TestConfig,
    /// Everything that it reads, the tested node included.
    pub depends_on: Vec<Dependency>,
    /// Where it was declared.
    pub at: Location,
}

/// A unit test: what a model must give for rows that are written down.
#[derive(Debug, Clone)]
pub struct UnitTest {
    /// `unit_test.<package>.<model>.<name>`.
    pub id: NodeId,
    /// The model under test.
    pub node: NodeId,
    /// What each input stands for, in the order of `declared.given`; `None` is the model itself (`this`).
    pub inputs: Vec<Option<NodeId>>,
    /// Tags.
    pub tags: Vec<String>,
    /// The rows of each input, in the same order.
    pub given: Vec<UnitRows>,
    /// The rows that the model must give.
    pub expect: UnitRows,
    /// As declared.
    pub declared: crate::project::UnitTest,
}

/// What a test is made from.
#[derive(Debug, Clone)]
pub enum TestKind {
    /// A generic test: the project's own, or one of Kiln's under its dbt name.
    Generic {
        /// `unique`, `dbt_utils.accepted_range`.
        name: String,
        /// Its arguments without `model` and `column_name`; text may hold Jinja.
        args: Object,
    },
    /// A file in `tests/`.
    Singular {
        /// The template.
        file: Arc<SourceFile>,
    },
    /// A promise of a contract that no generic test covers.
    Contract(crate::contract::Rule),
}

/// The configuration of a test, with dbt's meanings.
#[derive(Debug, Clone, PartialEq)]
pub struct TestConfig {
    /// What a failure means.
    pub severity: TestSeverity,
    /// Comparison that warns, such as `> 10`.
    pub warn_if: String,
    /// Comparison that fails.
    pub error_if: String,
    /// Filters the tested model.
    pub where_clause: Option<String>,
    /// Caps the failing rows before they are counted.
    pub limit: Option<u64>,
    /// The aggregate over the failing rows that is compared.
    pub fail_calc: String,
    /// Keeps the failing rows in a table.
    pub store_failures: bool,
    /// Which rows of an incremental model are tested while it runs.
    pub audit: AuditScope,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta`.
    pub meta: Object,
}

impl Default for TestConfig {
    /// dbt's defaults.
    fn default() -> Self {
        Self {
            severity: TestSeverity::Error,
            warn_if: "!= 0".into(),
            error_if: "!= 0".into(),
            where_clause: None,
            limit: None,
            fail_calc: "count(*)".into(),
            store_failures: false,
            audit: AuditScope::Whole,
            tags: Vec::new(),
            meta: Object::new(),
        }
    }
}

/// `audit:` of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditScope {
    /// The table as it will be.
    Whole,
    /// The new rows alone. Sound for tests that judge each row by itself.
    Delta,
}

/// `severity:` of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestSeverity {
    /// A failure stops the publish.
    Error,
    /// A failure is said.
    Warn,
}
