//! Events: what a run tells whoever watches, while it happens. The terminal and the JSON log are made from these alone.

use std::time::Duration;

use crate::check::unit::Difference;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::diff::data::DataDiff;
use crate::engine::load::{LoadReport, Progress};
use crate::manifest::{Materialization, TestSeverity};
use crate::names::{Fingerprint, NodeId};

use super::freshness::SourceFreshness;

/// Whoever watches a run. Called from several threads.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run has begun; the database is open.
    Started(Started<'a>),
    /// A raw model begins to load.
    LoadStarted {
        /// The raw model.
        node: &'a NodeId,
        /// Objects to load.
        objects: usize,
    },
    /// A raw model's load goes on.
    LoadProgress {
        /// The raw model.
        node: &'a NodeId,
        /// How far.
        progress: Progress,
    },
    /// A raw model's load ended.
    Loaded(&'a LoadOutcome),
    /// It is known what is to be built.
    Planned(&'a [PlannedNode]),
    /// A model or seed begins to build or to be tested.
    NodeStarted {
        /// Which.
        node: &'a NodeId,
    },
    /// A model or seed is done, its tests included.
    NodeFinished(&'a NodeReport),
    /// Tests that read more than one model have run after the last build.
    TestsFinished(&'a [TestReport]),
    /// The views are being pointed at the builds.
    Publishing,
}

/// How a run begins.
#[derive(Debug)]
pub struct Started<'a> {
    /// The run's id.
    pub run_id: &'a str,
    /// The target's name.
    pub target: &'a str,
    /// Workers.
    pub threads: usize,
    /// Models and seeds selected.
    pub nodes: usize,
    /// Tests selected.
    pub tests: usize,
}

/// What a raw model's load did.
#[derive(Debug, Clone)]
pub struct LoadOutcome {
    /// The raw model.
    pub node: NodeId,
    /// Objects on the disk.
    pub objects: usize,
    /// Warnings about the source's patterns.
    pub warnings: Diagnostics,
    /// What was loaded, or why nothing could be.
    pub result: Result<LoadReport, Diagnostic>,
    /// Wall time.
    pub elapsed: Duration,
}

/// What shall be done with a node, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedNode {
    /// Which.
    pub node: NodeId,
    /// What.
    pub action: Action,
    /// Why, as `--explain` prints it.
    pub reason: String,
}

/// What shall be done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A raw table: loaded before everything else.
    Load,
    /// It is built.
    Build,
    /// A build of it exists.
    Reuse,
    /// Pasted into its children.
    Inline,
    /// Known only when its parents are built, because its template asks the database.
    Later,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Build => "build",
            Self::Reuse => "reuse",
            Self::Inline => "inline",
            Self::Later => "later",
        }
    }
}

/// How a node ended.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// Which.
    pub node: NodeId,
    /// What it is.
    pub materialized: Materialization,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows; `None` for a view or where nothing was built.
    pub rows: Option<u64>,
    /// For an incremental model, how its rows changed; `None` where all of them were built.
    pub change: Option<RowChange>,
    /// Wall time of building and testing it. Nodes that were built together share it.
    pub elapsed: Duration,
    /// Its tests.
    pub tests: Vec<TestReport>,
}

/// How the rows of an incremental model changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowChange {
    /// New rows.
    pub added: u64,
    /// Rows that they took the place of.
    pub replaced: u64,
}

impl NodeReport {
    /// Whether children may be built on it.
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Built | Outcome::Reused | Outcome::NothingNew)
    }
}

/// How a node ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Built now, and it passed.
    Built,
    /// There already, and it passed.
    Reused,
    /// Its query gave nothing new: readers go on with what they have.
    NothingNew,
    /// It could not be built: the SQL, the data or the machine.
    Error(Box<Diagnostic>),
    /// Built, but a test or its contract failed.
    Failed,
    /// Not tried, because of a node that it depends on.
    Skipped {
        /// That node.
        because: NodeId,
    },
    /// Not tried, because the run was stopped.
    Cancelled,
}

/// Column names, and rows of text.
pub type Sample = (Vec<String>, crate::engine::session::TextRows);

/// How a test ended.
#[derive(Debug, Clone)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// The model or seed tested.
    pub node: Option<NodeId>,
    /// The column tested.
    pub column: Option<String>,
    /// How it ended.
    pub status: TestStatus,
    /// Its severity.
    pub severity: TestSeverity,
    /// The value of `fail_calc`.
    pub failures: Option<i64>,
    /// Rows of what was tested.
    pub rows: Option<u64>,
    /// Up to five failing rows: column names and text.
    pub sample: Option<Sample>,
    /// The query that shows all failing rows of the candidate.
    pub query: String,
    /// Where it was declared.
    pub at: Location,
    /// What went wrong, beyond the count.
    pub message: Option<String>,
    /// Wall time; tests that shared a query share it.
    pub elapsed: Duration,
    /// What a unit test found; `None` for one that passed, and for a data test.
    pub unit: Option<Box<UnitFinding>>,
    /// The rows that changed, where more of them did than the model allows.
    pub rows_changed: Option<Box<DataDiff>>,
}

/// What a unit test found.
#[derive(Debug, Clone)]
pub enum UnitFinding {
    /// Other rows than expected.
    Different(Difference),
    /// It cannot be run: what is wrong with it or with the model.
    Broken(Diagnostics),
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TestStatus {
    /// No failing rows, or few enough.
    Pass,
    /// It passed before on this very build.
    Reused,
    /// Failing rows, of severity warn.
    Warn,
    /// Failing rows.
    Fail,
    /// The test itself could not be run.
    Error,
    /// What it tests was not built.
    Skipped,
}

impl TestStatus {
    /// Whether nothing may be published with it.
    pub fn blocks(self) -> bool {
        matches!(self, Self::Fail | Self::Error)
    }

    /// The word in the state tables and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Reused => "reused",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// How a whole run ended.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The run's id.
    pub run_id: String,
    /// The target.
    pub target: String,
    /// What was loaded.
    pub loads: Vec<LoadOutcome>,
    /// How old the sources are that say how old they may be.
    pub freshness: Vec<SourceFreshness>,
    /// Every selected node, in the order in which they ended.
    pub nodes: Vec<NodeReport>,
    /// Tests that belong to no single node's report.
    pub late_tests: Vec<TestReport>,
    /// What the release changes for readers of the one before, where it was compared.
    pub diff: Option<crate::diff::waiver::Judged>,
    /// What readers see now.
    pub ending: Ending,
    /// Wall time.
    pub elapsed: Duration,
    /// Where the run leaves the project at rest: the next one has nothing to do, as long as nothing changes.
    pub rest: Option<Rest>,
}

/// How a run that left a project at rest left the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The last run that was not idle.
    pub basis: String,
    /// Tables and views that hold builds.
    pub builds: i64,
    /// The state of the file.
    pub mark: Option<Fingerprint>,
}

/// What readers see when a run has ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// A new release.
    Published {
        /// Its number.
        release_id: i64,
        /// Models that readers see a new build of, or for the first time.
        changed: Vec<String>,
        /// Models that readers do not see any more.
        removed: Vec<String>,
        /// Models left as they were because of failures (`--partial`).
        held_back: usize,
        /// Builds that were collected afterwards.
        collected: usize,
    },
    /// The release that they saw before is exactly what the project says.
    Unchanged {
        /// Its number, if there is one.
        release_id: Option<i64>,
    },
    /// Everything passed and nothing was published because that was asked for.
    Withheld,
    /// Something failed.
    NotPublished {
        /// Why, in a sentence.
        reason: String,
        /// A diagnostic, where one thing alone is to blame.
        diagnostic: Option<Box<Diagnostic>>,
        /// The release that readers still see, with its moment in UTC.
        still: Option<(i64, String)>,
    },
}

impl RunReport {
    /// Every test of the run.
    pub fn tests(&self) -> impl Iterator<Item = &TestReport> {
        self.nodes.iter().flat_map(|node| &node.tests).chain(&self.late_tests)
    }

    /// Whether the exit code is 0.
    pub fn is_good(&self) -> bool {
        !matches!(self.ending, Ending::NotPublished { .. })
            && self.nodes.iter().all(NodeReport::is_good)
            && self.loads.iter().all(|load| load.result.as_ref().is_ok_and(LoadReport::is_complete))
            && !self.tests().any(|test| test.status.blocks())
    }
}
