//! Jinja into SQL, with the way back to the template. The only user of minijinja.
//!
//! [`Renderer`] holds the macros of a project, compiled once, and reads each template twice: `parse` finds what it
//! refers to and how it is configured, `render` makes the SQL. What rendered text remembers about its relations and
//! lines is told in `marker`; what a template is turned into before minijinja gets it, in `rewrite`; how a borrowed
//! resolver answers functions that may hold no borrows, in `session`.

mod adapter;
mod callable;
mod errors;
mod filters;
mod functions;
mod generic;
mod growth;
pub mod html;
mod lexer;
mod library;
mod limits;
mod marker;
mod modules;
mod objects;
mod packages;
mod renderer;
mod rewrite;
mod scope;
mod session;
mod shelf;
mod time;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diagnostic::{Diagnostics, Location, SourceFile};
use crate::names::{NodeId, Relation};
use crate::sql::rendered::Rendered;
use crate::yaml::Object;

pub use errors::told_once;
pub use renderer::Renderer;
pub use shelf::{DocsText, MacroText};

/// What the first reading of a template finds.
pub use crate::manifest::{ParsedTemplate as Parsed, RefCall, SourceCall};

/// Looks up an environment variable.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a project and a command line say to every template.
#[derive(Clone)]
pub struct Context {
    /// The project's name, which is also its package's.
    pub project: String,
    /// The target.
    pub target: TargetView,
    /// The project's variables, those of the command line laid over them.
    pub vars: Object,
    /// Variables under a package's name; stronger than `vars` in that package.
    pub package_vars: BTreeMap<String, Object>,
    /// The environment.
    pub env: Env,
    /// This run's id.
    pub invocation_id: String,
    /// When this run began.
    pub run_started_at: jiff::Timestamp,
    /// Notes who asks for what is another at each run.
    pub clock: Clock,
    /// `FULL_REFRESH`, `WHICH` and their kin.
    pub flags: Object,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("project", &self.project)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Whether a template has asked for what is another at each run: the time, the run's id.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicBool>);

impl Clock {
    /// Notes that one has.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one has.
    pub fn was_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// `target` as templates see it.
#[derive(Debug, Clone, Default)]
pub struct TargetView {
    /// `target.name`.
    pub name: String,
    /// `target.schema`.
    pub schema: String,
    /// `target.database`.
    pub database: String,
    /// `target.type`: `duckdb`.
    pub kind: String,
    /// `target.threads`.
    pub threads: usize,
    /// Everything else that the target says.
    pub extra: Object,
}

/// A file that may hold macros, generic tests and docs blocks. Snapshots and materializations are passed over.
#[derive(Debug, Clone)]
pub struct MacroFile {
    /// The package that it belongs to.
    pub package: String,
    /// The file.
    pub file: Arc<SourceFile>,
}

/// A template: a model, a singular test, an analysis.
#[derive(Debug, Clone)]
pub struct Template {
    /// Whose it is.
    pub id: NodeId,
    /// The package that it belongs to.
    pub package: String,
    /// Its name.
    pub name: String,
    /// The file.
    pub file: Arc<SourceFile>,
}

/// What a unit test puts in the place of what its templates would find.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Results of macros and functions by name, `package.macro` for those of a package.
    pub macros: Object,
    /// Variables.
    pub vars: Object,
    /// Environment variables.
    pub env_vars: BTreeMap<String, String>,
    /// What `run_started_at` and Python's `datetime.now()` say.
    pub now: Option<jiff::Timestamp>,
}

/// Where `adapter.dispatch` looks for the macros of a namespace.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The namespace.
    pub macro_namespace: String,
    /// Packages, in order.
    pub search_order: Vec<String>,
}

/// A generic test to render.
#[derive(Debug, Clone)]
pub struct TestCall {
    /// The package that declares it.
    pub package: String,
    /// `unique`, `dbt_utils.accepted_range`.
    pub name: String,
    /// What is tested.
    pub model: (NodeId, Relation),
    /// Filters the tested rows.
    pub where_clause: Option<String>,
    /// The tested column.
    pub column: Option<String>,
    /// Other arguments; a text may be Jinja, or a call such as `ref('x')`.
    pub args: Object,
    /// Where it was declared.
    pub at: Location,
}

/// What a generic test takes.
#[derive(Debug, Clone)]
pub struct TestSignature {
    /// Its parameters, in order.
    pub params: Vec<TestParam>,
    /// It takes any other argument too.
    pub open: bool,
    /// Where it is defined.
    pub at: Location,
}

/// A parameter of a generic test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestParam {
    /// Its name.
    pub name: String,
    /// It may be left out.
    pub has_default: bool,
}

/// How much a message of a template matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `log(…)`.
    Debug,
    /// `log(…, info=true)`, `print(…)`.
    Info,
    /// `exceptions.warn(…)`.
    Warning,
}

/// Something that a template said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage {
    /// How much it matters.
    pub level: Level,
    /// What it said.
    pub text: String,
    /// About where: the last place of a call that is known.
    pub at: Option<Location>,
}

/// The result of a query that a template asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryTable {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows, each with a cell per column.
    pub rows: Vec<Vec<serde_json::Value>>,
}

/// Which rows a model is asked for: what `is_incremental()` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Form {
    /// All of them.
    #[default]
    Whole,
    /// All of a window of time.
    WholeWindow(Window),
    /// What is new beside what `this` holds.
    Delta,
    /// What a window of time holds, in place of what `this` holds of it.
    DeltaWindow(Window),
}

/// From a moment up to another and not including it, in UTC as DuckDB writes a TIMESTAMP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The first moment.
    pub start: String,
    /// The moment behind the last one.
    pub end: String,
}

impl Form {
    /// What `is_incremental()` answers.
    pub fn is_incremental(&self) -> bool {
        matches!(self, Self::Delta | Self::DeltaWindow(_))
    }

    /// The window, if there is one.
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::WholeWindow(window) | Self::DeltaWindow(window) => Some(window),
            Self::Whole | Self::Delta => None,
        }
    }
}

/// Answers what a template asks. Errors are plain sentences; they are shown at the place of the call.
pub trait Resolve {
    /// The node that `ref` means.
    fn reference(&self, package: Option<&str>, name: &str) -> Result<(NodeId, Relation), String>;
    /// The table that `source` means.
    fn source(&self, source: &str, table: &str) -> Result<(NodeId, Relation), String>;
    /// The result of a query.
    fn query(&self, sql: &Rendered) -> Result<QueryTable, String>;
    /// Names and types of a relation's columns.
    fn columns(&self, node: &NodeId, relation: &Relation) -> Result<Vec<(String, String)>, String>;
}

/// Renders Jinja in YAML before any macro is read: `env_var`, `var`, `target`.
pub struct Expander(Renderer);

impl Expander {
    /// An expander that knows no macros.
    pub fn new(context: Context) -> Self {
        Self(Renderer::without_macros(context))
    }

    /// The text with its Jinja rendered.
    pub fn expand(&self, text: &str, at: &Location) -> Result<String, Diagnostics> {
        self.0.expand(text, at)
    }

    /// Values that must not be shown.
    pub fn secrets(&self) -> Vec<String> {
        self.0.secrets()
    }
}
