//! The manifest: a project after every file and every template has been read once. Nodes with their resolved
//! configuration, sources, tests, consumers and contracts, and the edges between them, all checked.
//!
//! Everything after this point works on the manifest alone. What it holds cannot be invalid: names resolve, there
//! is no cycle, configuration values have their types.

mod incremental;
mod limits;
mod snapshot;
mod template;
mod test;
mod unit_rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::contract::Contract;
use crate::diagnostic::{Located, Location, SourceFile};
use crate::names::{NodeId, Relation};

pub use self::incremental::{
    Grain, Incremental, Interval, OnChange, ShapeChange, Strategy, Updates, is_name, moment,
};
pub use self::limits::{Limit, RowLimits};
pub use self::snapshot::{HardDeletes, Snapshot, SnapshotNames, SnapshotStrategy};
pub use self::template::{Param, ParsedTemplate, ReadTemplates, RefCall, SourceCall, TestUse};
pub use self::test::{AuditScope, Test, TestConfig, TestKind};
pub use self::unit_rows::{UnitCell, UnitRows, UnitTable, UnitValue};
pub use crate::names::NodeKind;
pub use crate::project::{
    Age, Column, FileFormat, FileSource, Freshness, OnBadRows, OnSchemaChange, Owner, Period, SourceTable,
    TestSeverity,
};
pub use crate::yaml::Object;

/// A checked project for one target.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The project's name, which is also its package's.
    pub project: String,
    /// Layers in their order, empty where the project has none.
    pub layers: Vec<String>,
    /// Models and seeds that are enabled.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Those of them whose templates or configuration cannot be read, or that read what is not there. Not all is known of them, and only
    /// a manifest that is used in spite of mistakes has any.
    pub broken: BTreeSet<NodeId>,
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

impl Manifest {
    /// The model, seed or snapshot of a package that has a name.
    pub fn node_named(&self, package: &str, name: &str) -> Option<&Node> {
        let kinds = ["model", "seed", "snapshot"];
        kinds.iter().find_map(|kind| self.nodes.get(&NodeId::new(kind, package, name)))
    }
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
    /// Whether that is because its own template asks. A snapshot asks by itself, and only where there is something new.
    pub template_asks: bool,
    /// Where its properties stand, else the start of its file.
    pub at: Location,
}

impl Node {
    /// The file that it is written in: of a snapshot in YAML, whose SQL has no file, the properties.
    pub fn written_in(&self) -> &Path {
        let path = self.file.path.as_path();
        let is_yaml =
            |above: &&Path| above.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
        let properties = path.parent().filter(|_| self.kind == NodeKind::Snapshot).filter(is_yaml);
        properties.unwrap_or(path)
    }

    /// dbt's `deprecation_date`, as written: the day from which nobody should read it.
    pub fn deprecation_date(&self) -> Option<&str> {
        self.config.all.get("deprecation_date")?.as_str()
    }
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
