//! Compiling: every model is rendered and bound in an in-memory DuckDB of empty tables. Exact names and types of every
//! column come out, or what is wrong, at the place in the template that the user wrote. No warehouse is needed and no data
//! is read.
//!
//! What cannot be known is `unknown`, with its cause: never an error, and never silence.

mod artifacts;
mod bind;
pub mod cache;
mod checks;
mod data_tests;
mod definitions;
mod ground;
mod increment;
mod known;
mod lineage;
mod names;
mod outside;
mod schedule;
#[cfg(test)]
mod tests;
mod unknown;
mod verdict;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::engine::definitions::Definitions;
use crate::engine::load::SourceColumn;
use crate::engine::session::ColumnType;
use crate::engine::shadow::Shadow;
use crate::error::{Error, Result};
use crate::manifest::SourceTable;
use crate::names::{Fingerprint, NodeId, Relation};
use crate::run::candidate::{Candidates, Reading, bind as put_in};
use crate::sql::lineage::Lineage;
use crate::sql::rendered::Rendered;
use crate::sql::tokens::without_end;
use crate::template::told_once;
use crate::workspace::Workspace;

use cache::memory::{Memory, Notes};
use ground::Ground;

pub use artifacts::write_compiled;
pub use known::known_to;
pub use lineage::lineage;
pub use outside::{set_aside, stands_as};

/// What is known beforehand. The default is nothing: the project alone.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions {
    /// Columns that earlier loads of a source have seen, from the ledger.
    pub loaded: BTreeMap<NodeId, Vec<SourceColumn>>,
    /// Columns of relations that exist in the database: raw tables, and sources without files.
    pub existing: BTreeMap<NodeId, Vec<ColumnType>>,
    /// What an earlier compile had bound.
    pub memory: Option<Arc<Memory>>,
    /// Which tables stand in the shadow afterwards.
    pub tables: Tables,
    /// Whose mistakes are told; everybody's if nobody is named. All of the project is bound either way.
    pub about: Option<Arc<BTreeSet<NodeId>>>,
}

/// Which tables stand in the shadow when a compile is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tables {
    /// Those of all models whose columns are known, so that any question can be asked.
    #[default]
    All,
    /// Those that the compile needed.
    Needed,
}

/// A compiled project.
pub struct Compiled {
    /// Models and seeds; those whose templates do not render are left out.
    pub models: BTreeMap<NodeId, CompiledNode>,
    /// Source tables whose columns are known.
    pub sources: BTreeMap<NodeId, Vec<ColumnType>>,
    /// The SQL of tests, with published names.
    pub tests: BTreeMap<NodeId, String>,
    /// Everything that is wrong, and notes on what could not be checked.
    pub diagnostics: Diagnostics,
    /// The database of empty tables, under the published names, for further questions.
    pub shadow: Shadow,
    /// How many models an earlier compile had bound.
    pub remembered: u64,
    /// What was bound, for the next compile.
    pub notes: Notes,
    /// What the notes as a whole follow from.
    pub base: Fingerprint,
    /// It needed to know what the target's database defines.
    pub asked_database: bool,
    /// The lineage of each model's query.
    lineages: HashMap<NodeId, Lineage>,
    /// The lineage of each query of a consumer.
    consumers: HashMap<NodeId, Vec<Lineage>>,
    /// What stands under another name in the shadow: sources with files.
    aside: Candidates,
}

impl Compiled {
    /// A model's query as it binds in the shadow: its sources with files and its ephemeral parents are tables there.
    pub fn bound(&self, id: &NodeId) -> Option<String> {
        let bound = put_in(&self.models.get(id)?.rendered, &self.aside, Reading::Now).sql;
        Some(if bound.contains(';') { without_end(&bound).to_owned() } else { bound })
    }

    /// Lets the lineage go, once its graph is made: it is as large as all else of a model.
    pub fn forget_lineage(&mut self) {
        self.lineages = HashMap::new();
        self.consumers = HashMap::new();
    }

    /// Where a source stands in the shadow.
    pub fn source_relation(&self, source: &SourceTable) -> Relation {
        match source.files {
            Some(_) => Relation::new(outside::SCHEMA, source.id.short()),
            None => source.relation.clone(),
        }
    }
}

/// A compiled model or seed.
#[derive(Debug, Clone)]
pub struct CompiledNode {
    /// What its template renders to. Nothing for a seed.
    pub rendered: Rendered,
    /// The SQL with published names, ephemeral parents pasted in: it can be run in any DuckDB shell.
    pub sql: String,
    /// Its columns, where they are known.
    pub columns: Option<Vec<ColumnType>>,
    /// Why they are not, if they are not and nothing is wrong with it itself.
    pub unknown: Option<String>,
}

/// Compiles a project.
///
/// # Errors
/// The machine failed. What is wrong with the project is in the diagnostics.
pub fn compile(workspace: &Workspace, options: &CompileOptions) -> Result<Compiled> {
    let compiled = compile_with(workspace, options, &Definitions::default())?;
    definitions::again(workspace, compiled, |definitions| compile_with(workspace, options, definitions))
}

fn compile_with(
    workspace: &Workspace,
    options: &CompileOptions,
    definitions: &Definitions,
) -> Result<Compiled> {
    let opening = workspace.opening("compile", std::time::Duration::ZERO);
    let database =
        opening.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let shadow = Shadow::open(&database, &opening.settings)?;
    definitions::make(&shadow, definitions)?;
    let manifest = &workspace.manifest;
    let schemas = manifest
        .nodes
        .values()
        .map(|node| &node.relation)
        .chain(manifest.sources.values().map(|source| &source.relation))
        .map(|relation| relation.schema.as_str());
    shadow.create_schemas(schemas.chain([outside::SCHEMA]))?;
    let mut conditions =
        format!("{} {database} {:?} {:?}", shadow.version()?, opening.settings, definitions.statements);
    for secret in workspace.secrets() {
        // One that is set is no condition of binding, and not even its hash is kept.
        conditions = conditions.replace(&secret, "");
    }
    let base = Fingerprint::of([conditions.as_bytes()]);
    let mut options = options.clone();
    options.memory = options.memory.filter(|memory| memory.is_for(&base));
    let mut shadows = vec![shadow];
    for _ in 1..workspace.threads() {
        let another = shadows[0].fork()?;
        shadows.push(another);
    }
    let mut compiler = Compiler {
        ground: Ground::new(workspace, &options),
        shadows,
        nodes: BTreeMap::new(),
        sources: BTreeMap::new(),
        tests: BTreeMap::new(),
        lineages: HashMap::new(),
        consumers: HashMap::new(),
        remembered: 0,
        notes: Notes::default(),
        types: RefCell::default(),
        warned: HashSet::new(),
        reported: HashSet::new(),
        diagnostics: Diagnostics::new(),
    };
    compiler.read_outside()?;
    compiler.shadow().seal()?;
    compiler.bind_models()?;
    compiler.check_increments()?;
    compiler.check_contracts();
    compiler.check_tests()?;
    compiler.check_consumers()?;
    compiler.tell_unknown();
    if options.tables == Tables::All {
        compiler.ground.stand_all(compiler.shadow())?;
    }
    Ok(Compiled {
        models: compiler.nodes,
        sources: compiler.sources,
        tests: compiler.tests,
        diagnostics: told_once(compiler.diagnostics),
        shadow: compiler.shadows.swap_remove(0),
        remembered: compiler.remembered,
        notes: compiler.notes,
        base,
        asked_database: false,
        lineages: compiler.lineages,
        consumers: compiler.consumers,
        aside: compiler.ground.aside,
    })
}

/// What is known of a node or source.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Its columns are known.
    Known,
    /// They are not, because of itself or of what it reads.
    Unknown(Cause),
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    /// Where the ignorance begins.
    root: NodeId,
    /// Why there; `None` where something is wrong, which has been said.
    reason: Option<String>,
}

struct Compiler<'a> {
    ground: Ground<'a>,
    /// One for each worker; all are of one database.
    shadows: Vec<Shadow>,
    nodes: BTreeMap<NodeId, CompiledNode>,
    sources: BTreeMap<NodeId, Vec<ColumnType>>,
    tests: BTreeMap<NodeId, String>,
    lineages: HashMap<NodeId, Lineage>,
    consumers: HashMap<NodeId, Vec<Lineage>>,
    remembered: u64,
    notes: Notes,
    /// DuckDB's spelling of written types.
    types: RefCell<HashMap<String, Option<String>>>,
    /// Models whose ignorance has been said.
    warned: HashSet<NodeId>,
    /// Columns whose absence has been said, by node, in lower case.
    reported: HashSet<(NodeId, String)>,
    diagnostics: Diagnostics,
}

impl Compiler<'_> {
    /// The one that is used where there is one worker.
    fn shadow(&self) -> &Shadow {
        &self.shadows[0]
    }

    /// Binds models, parents first, and takes over what became of them, in the graph's order.
    fn bind_models(&mut self) -> Result<()> {
        let workspace = self.ground.workspace;
        let mut done = schedule::bind_models(&self.ground, &mut self.shadows)?;
        for id in workspace.topological() {
            let Some(settled) = done.remove(id) else { continue };
            self.tell(id, settled.diagnostics);
            workspace.say(settled.messages);
            self.remembered += u64::from(settled.remembered);
            if settled.warned {
                self.warned.insert(id.clone());
            }
            if let (Some(key), Some(shape), Some(lineage)) = (&settled.key, &settled.shape, &settled.lineage)
            {
                self.notes.model(key, &shape.columns, lineage, self.ground.options.memory.as_deref());
            }
            if let Some(lineage) = settled.lineage {
                self.lineages.insert(id.clone(), lineage);
            }
            if let Some(compiled) = settled.compiled {
                self.nodes.insert(id.clone(), compiled);
            }
        }
        match done.is_empty() {
            true => Ok(()),
            false => Err(Error::Bug("a model was bound that is not in the graph".into())),
        }
    }

    /// Takes up what is wrong with something, if anybody wants to know.
    fn tell(&mut self, about: &NodeId, found: impl Into<Diagnostics>) {
        if self.is_told(about) {
            self.diagnostics.extend(found.into());
        }
    }

    fn is_told(&self, about: &NodeId) -> bool {
        self.ground.options.about.as_ref().is_none_or(|wanted| wanted.contains(about))
    }

    /// DuckDB's own spelling of a type.
    fn canonical_type(&self, written: &str) -> Option<String> {
        if let Some(known) = self.types.borrow().get(written) {
            return known.clone();
        }
        let found = self.shadow().session().canonical_type(written);
        self.types.borrow_mut().insert(written.to_owned(), found.clone());
        found
    }
}
