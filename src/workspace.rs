//! A workspace: a project opened for one target, every template read once, every name resolved. What all commands start
//! from.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::check;
use crate::contract;
use crate::diagnostic::{Diagnostics, Located, Location, Severity, SourceFile};
use crate::diff::waiver::{self, Waiver};
use crate::engine::database::Opening;
use crate::engine::seed;
use crate::error::{Error, Result};
use crate::graph::{self, Dag};
use crate::interval;
use crate::manifest::{
    Manifest, Materialization, Node, NodeKind, Object, Param, ParsedTemplate, ReadTemplates, Snapshot,
    SnapshotStrategy, SourceTable, Strategy, Test, TestKind, TestUse,
};
use crate::names::{Fingerprint, NodeId, Relation};
use crate::origin::Origin;
use crate::project::{
    Constraint, Expand, NodeProperties, Project, ProjectFile, ProjectFiles, Properties, Target,
};
use crate::sql::history::{self, Checked};
use crate::sql::rendered::{Rendered, Slot};
use crate::template::{
    Clock, Context, Dispatch, Env, Expander, Form, LogMessage, MacroFile, Overrides, Renderer, Resolve,
    TargetView, Template, TestCall,
};

/// The command that compares: a base that is compiled for it was right in its time.
const DIFF_COMMAND: &str = "diff";

/// The command that writes contracts: that one is missing is no reason for it to stop.
pub const CONTRACT_COMMAND: &str = "contract";

/// How to open a workspace.
#[derive(Clone)]
pub struct WorkspaceOptions {
    /// The project's folder.
    pub root: PathBuf,
    /// The target, if not the default one.
    pub target: Option<String>,
    /// Variables of the command line; they win over those of the project.
    pub vars: Object,
    /// Workers, if not what the target says.
    pub threads: Option<NonZeroUsize>,
    /// The environment.
    pub env: Env,
    /// The command, for `flags.WHICH`.
    pub command: &'static str,
    /// `--full-refresh`, for `flags.FULL_REFRESH`.
    pub full_refresh: FullRefresh,
}

impl WorkspaceOptions {
    /// The default target of the project in a folder, with nothing else said and an empty environment.
    pub fn new(root: impl Into<PathBuf>, command: &'static str) -> Self {
        Self {
            root: root.into(),
            target: None,
            vars: Object::new(),
            threads: None,
            env: Arc::new(|_| None),
            command,
            full_refresh: FullRefresh::No,
        }
    }
}

/// Whether templates are told of a full refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullRefresh {
    /// No.
    No,
    /// Yes.
    Yes,
}

/// A project opened for one target.
pub struct Workspace {
    /// The files.
    pub project: Project,
    /// Where it goes.
    pub target: Target,
    /// What is in it.
    pub manifest: Manifest,
    /// Who reads whom.
    pub dag: Dag,
    /// Breaking changes that were agreed to.
    pub waivers: Vec<Waiver>,
    /// Who opened it, and from where: it stands beside what is run.
    pub origin: Origin,
    renderer: Renderer,
    threads: usize,
    order: Vec<NodeId>,
    surroundings: Fingerprint,
    clock: Clock,
}

impl Workspace {
    /// Opens a project. The warnings are beside it.
    ///
    /// # Errors
    /// Everything that is wrong with its files, all in one.
    pub fn open(options: &WorkspaceOptions) -> Result<(Self, Diagnostics)> {
        Self::open_broken(options).and_then(sound)
    }

    /// Opens a project in spite of mistakes in single models and tests: what they break is in [`Manifest::broken`], and all
    /// other models can be compiled. The mistakes are beside it, with the warnings.
    ///
    /// # Errors
    /// All mistakes, if one of them may have consequences elsewhere.
    pub fn open_broken(options: &WorkspaceOptions) -> Result<(Self, Diagnostics)> {
        let root = options
            .root
            .canonicalize()
            .map_err(|error| Error::io("open the project's folder", &options.root, &error))?;
        Self::read(options, |early| ProjectFile::read(&root, early), ProjectFiles::collect)
    }

    /// Opens a project wherever its files come from: `read` gives `kiln.yml`, `collect` all the others. Nothing else is
    /// read from the disk but the sizes of seeds.
    ///
    /// # Errors
    /// As for [`Workspace::open`].
    pub fn with_files(
        options: &WorkspaceOptions,
        read: impl FnOnce(&dyn Expand) -> (Option<ProjectFile>, Diagnostics),
        collect: impl FnOnce(&ProjectFile) -> (ProjectFiles, Diagnostics),
    ) -> Result<(Self, Diagnostics)> {
        Self::read(options, read, collect).and_then(sound)
    }

    fn read(
        options: &WorkspaceOptions,
        read: impl FnOnce(&dyn Expand) -> (Option<ProjectFile>, Diagnostics),
        collect: impl FnOnce(&ProjectFile) -> (ProjectFiles, Diagnostics),
    ) -> Result<(Self, Diagnostics)> {
        let mut problems = Diagnostics::new();
        let clock = Clock::default();
        let early = Expanding(Expander::new(context(options, None, None, &clock)));
        let (file, found) = read(&early);
        problems.extend(found);
        let Some(file) = file.filter(|_| !problems.has_errors()) else { return Err(problems.into()) };
        let with_vars = Expanding(Expander::new(context(options, Some(&file), None, &clock)));
        let target = file.target(options.target.as_deref(), &with_vars)?;
        let (files, found) = collect(&file);
        problems.extend(found);
        let renderer = renderer(options, &file, &files, &target, &clock, &mut problems);
        let (project, found) = Project::read(file, files, &Expanding(&renderer));
        problems.extend(found);
        let contracts = contracts(&project, &mut problems);
        let (mut manifest, found) =
            crate::resolve::resolve(&project, &target, &Templates(&renderer), contracts);
        problems.extend(found);
        let read_waivers = |file| waiver::read(file, &mut problems);
        let waivers: Vec<Waiver> = project.waiver_files().iter().flat_map(read_waivers).collect();
        add_contract_tests(&mut manifest, &project.properties, &mut problems);
        let seeds = manifest.nodes.values().filter(|node| node.kind == NodeKind::Seed);
        seeds
            .filter_map(|seed| seed::too_large(&project.file.root, seed))
            .for_each(|problem| problems.push(problem));
        for test in manifest.tests.values() {
            problems.extend(check::outcome::problems(&test.config, &test.at));
        }
        // A base is looked at as it was; what ended since is no mistake of it.
        if options.command != DIFF_COMMAND {
            problems.extend(crate::resolve::endings::problems(&manifest, &crate::engine::state::now()));
        }
        if options.command == CONTRACT_COMMAND {
            problems = problems
                .sorted()
                .into_iter()
                .filter(|found| found.code != "contract-missing")
                .cloned()
                .collect();
        }
        let dag = Dag::of(&manifest);
        let order = dag.topological();
        // What stands in a cycle has no place in the order.
        if problems.has_errors() && (order.len() < dag.count() || !are_contained(&problems)) {
            return Err(problems.into());
        }
        let machine = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = options.threads.or(target.threads).map_or(machine.min(4), NonZeroUsize::get);
        let surroundings = surroundings(options, &project);
        let opened = Self {
            project,
            target,
            manifest,
            dag,
            waivers,
            origin: Origin::default(),
            renderer,
            threads,
            order,
            surroundings,
            clock,
        };
        Ok((opened, problems))
    }

    /// The project's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.project.file.root
    }

    /// The folder for artifacts, absolute.
    pub fn target_folder(&self) -> PathBuf {
        self.root().join(&self.project.file.paths.target)
    }

    /// Workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// What the properties of a model or seed promise.
    pub fn facts(&self, node: &Node) -> contract::Facts {
        let contract = self.manifest.contracts.get(&node.id).map(|contract| &contract.at.file);
        let declared = self
            .manifest
            .tests
            .values()
            .filter(|test| test.node.as_ref() == Some(&node.id) && Some(&test.at.file) != contract);
        let own = |properties: &&NodeProperties| {
            properties.package == node.package && properties.name.value == node.name
        };
        let constraints =
            self.project.properties.nodes.iter().filter(own).flat_map(|properties| &properties.constraints);
        contract::Facts::of(declared, constraints, &is_node(&self.manifest, &node.package))
    }

    /// Releases whose builds are kept.
    pub fn keep_releases(&self) -> u32 {
        u32::try_from(self.target.keep_releases).unwrap_or(u32::MAX)
    }

    /// Everything that a template can use and that does not stand in it: macros, variables, Kiln's own version.
    pub fn surroundings(&self) -> &Fingerprint {
        &self.surroundings
    }

    /// Whether some text has come out as it did only because of when it was rendered.
    pub fn asked_the_clock(&self) -> bool {
        self.clock.was_asked()
    }

    /// Every id, parents before children.
    pub fn topological(&self) -> &[NodeId] {
        &self.order
    }

    /// How to open the target's database. `holder` says who does.
    pub fn opening(&self, holder: &str, patience: Duration) -> Opening {
        let mut settings: Vec<(String, String)> = self
            .target
            .settings
            .iter()
            .map(|(name, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (name.value.clone(), text)
            })
            .collect();
        settings
            .extend(self.target.memory_limit.iter().map(|limit| ("memory_limit".to_owned(), limit.clone())));
        Opening {
            path: self.target.database(self.root()),
            threads: self.threads,
            settings,
            holder: holder.to_owned(),
            patience,
        }
    }

    /// The node that `ref` means; the sentence says what is wrong if there is none.
    pub fn find_node(&self, package: Option<&str>, name: &str) -> Result<&Node, String> {
        let package = package.unwrap_or(&self.manifest.project);
        let ids = ["model", "seed", "snapshot"].map(|kind| NodeId::new(kind, package, name));
        ids.iter()
            .find_map(|id| self.manifest.nodes.get(id))
            .ok_or_else(|| format!("there is no model or seed `{name}`"))
    }

    /// The table that `source` means.
    pub fn find_source(&self, source: &str, table: &str) -> Result<&SourceTable, String> {
        let id = NodeId::new("source", &self.manifest.project, &format!("{source}.{table}"));
        self.manifest.sources.get(&id).ok_or_else(|| format!("there is no source `{source}.{table}`"))
    }

    /// The raw model that takes a source in.
    pub fn landing_of(&self, source: &NodeId) -> Option<&NodeId> {
        self.manifest
            .nodes
            .values()
            .filter(|node| node.config.materialized == crate::manifest::Materialization::Append)
            .find(|node| node.depends_on.iter().any(|dependency| dependency.node == *source))
            .map(|node| &node.id)
    }

    /// Renders a model in the form that says what it is: all of its rows; of one that is built by intervals the first
    /// interval, since every run has others.
    ///
    /// # Errors
    /// The template is broken, or what it asks has no answer.
    pub fn render(&self, node: &Node, names: &dyn Resolve) -> Result<Rendered, Diagnostics> {
        let form = match node.config.incremental.as_ref().map(|config| &config.strategy) {
            Some(Strategy::Interval(interval)) => Form::WholeWindow(interval::first(interval)),
            _ => Form::Whole,
        };
        self.render_form(node, &form, names)
    }

    /// Renders a model for the rows that `form` asks for.
    ///
    /// # Errors
    /// As for [`Workspace::render`].
    pub fn render_form(
        &self,
        node: &Node,
        form: &Form,
        names: &dyn Resolve,
    ) -> Result<Rendered, Diagnostics> {
        let rendered = self.rendered(node, (form, None), names)?;
        match &node.config.snapshot {
            Some(snapshot) => with_history(node, snapshot, form, &rendered, names),
            None => Ok(rendered),
        }
    }

    /// Renders a model with what a unit test says in the place of what there is.
    ///
    /// # Errors
    /// The template is broken, or what it asks has no answer.
    pub fn render_with(
        &self,
        node: &Node,
        names: &dyn Resolve,
        overrides: &Arc<Overrides>,
    ) -> Result<Rendered, Diagnostics> {
        let form = match overrides.macros.get("is_incremental") {
            Some(Value::Bool(true)) => Form::Delta,
            _ => Form::Whole,
        };
        let rendered = self.rendered(node, (&form, Some(overrides)), names)?;
        Ok(match &node.config.snapshot {
            Some(snapshot) => history::whole(&rendered, snapshot),
            None => rendered,
        })
    }

    /// A model's own query, before anything is made of it.
    fn rendered(
        &self,
        node: &Node,
        how: (&Form, Option<&Arc<Overrides>>),
        names: &dyn Resolve,
    ) -> Result<Rendered, Diagnostics> {
        let template = Template {
            id: node.id.clone(),
            package: node.package.clone(),
            name: node.name.clone(),
            file: Arc::clone(&node.file),
        };
        let this = Some((node.id.clone(), node.relation.clone()));
        self.renderer.render_with(&template, this, &node.config.all, how, names)
    }

    /// Names of all macros and functions that templates of the project can call.
    pub fn macro_names(&self) -> Vec<String> {
        self.renderer.macro_names()
    }

    /// Renders a test to the query whose rows fail.
    ///
    /// # Errors
    /// The test's template is broken, or an argument is.
    pub fn render_test(&self, test: &Test, names: &dyn Resolve) -> Result<Rendered, Diagnostics> {
        let tested = || {
            let id = test.node.as_ref()?;
            let node = self.manifest.nodes.get(id).map(|node| &node.relation);
            let relation = node.or_else(|| self.manifest.sources.get(id).map(|source| &source.relation))?;
            Some((id.clone(), relation.clone()))
        };
        let package = self.manifest.project.clone();
        match &test.kind {
            TestKind::Singular { file } => {
                let template = Template {
                    id: test.id.clone(),
                    package,
                    name: test.name.clone(),
                    file: Arc::clone(file),
                };
                self.renderer.render(&template, None, &Object::new(), names)
            }
            TestKind::Generic { name, args } => {
                let model = tested().ok_or_else(|| no_model(test))?;
                let call = TestCall {
                    package,
                    name: name.clone(),
                    model,
                    where_clause: test.config.where_clause.clone(),
                    column: test.column.clone(),
                    args: args.clone(),
                    at: test.at.clone(),
                };
                self.renderer.test(&call, names)
            }
            TestKind::Contract(rule) => {
                let (node, relation) = tested().ok_or_else(|| no_model(test))?;
                Ok(self.render_rule(rule, &node, &relation, test))
            }
        }
    }

    /// Whether a generic test is one that Kiln brings along, and not the project's own of that name.
    pub fn is_builtin_test(&self, name: &str) -> bool {
        let found = self.renderer.test_signature(&self.manifest.project, name);
        found.is_some_and(|signature| signature.at.path().starts_with("kiln/"))
    }

    /// A contract's rule as rendered SQL: the tested relation and others become slots.
    fn render_rule(
        &self,
        rule: &contract::Rule,
        node: &NodeId,
        relation: &Relation,
        test: &Test,
    ) -> Rendered {
        // A character of the private use area that no rule can hold stands for a slot until the text is complete.
        const MARK: char = '\u{F8FF}';
        let mut slots: Vec<(NodeId, String)> = vec![(node.clone(), relation.to_string())];
        let tested = check::query::tested_relation(&format!("{MARK}0{MARK}"), &test.config);
        let other = |id: &NodeId| {
            let name = self.manifest.nodes.get(id).map(|node| node.relation.to_string()).unwrap_or_default();
            slots.push((id.clone(), name));
            format!("{MARK}{}{MARK}", slots.len() - 1)
        };
        let text = rule.sql(&tested, other, contract::NOW);
        let mut rendered = Rendered::default();
        for (at, part) in text.split(MARK).enumerate() {
            match part.parse::<usize>().ok().and_then(|index| slots.get(index)).filter(|_| at % 2 == 1) {
                Some((node, name)) => {
                    let start = rendered.sql.len();
                    rendered.sql.push_str(name);
                    rendered.slots.push(Slot { range: start..rendered.sql.len(), node: node.clone() });
                }
                None => rendered.sql.push_str(part),
            }
        }
        rendered
    }

    /// The macros and docs blocks that templates use.
    pub fn templates(&self) -> &Renderer {
        &self.renderer
    }

    /// What templates said, since the last time.
    pub fn messages(&self) -> Vec<LogMessage> {
        self.renderer.messages()
    }

    /// Does something, and gives what templates said meanwhile on this thread, which is then not said by anybody else.
    pub fn hearing<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<LogMessage>) {
        self.renderer.hearing(work)
    }

    /// Says what was heard.
    pub fn say(&self, messages: Vec<LogMessage>) {
        self.renderer.say(messages);
    }

    /// Values that must not be shown in any output.
    pub fn secrets(&self) -> Vec<String> {
        self.renderer.secrets()
    }

    /// Consumers' own queries, each with the consumer's name.
    pub fn consumer_queries(&self) -> Vec<(String, Located<String>)> {
        self.manifest
            .exposures
            .values()
            .flat_map(|exposure| exposure.queries.iter().map(|query| (exposure.name.clone(), query.clone())))
            .collect()
    }

    /// What `--select` and `--exclude` choose; everything if neither is given.
    ///
    /// # Errors
    /// A name that does not exist, or a method that is not known.
    pub fn select(&self, select: &[String], exclude: &[String]) -> Result<BTreeSet<NodeId>> {
        graph::select(&self.manifest, &self.dag, select, exclude)
    }
}

/// Nothing, if mistakes are among what was found.
fn sound((workspace, problems): (Workspace, Diagnostics)) -> Result<(Workspace, Diagnostics)> {
    match problems.has_errors() {
        true => Err(problems.into()),
        false => Ok((workspace, problems)),
    }
}

/// Whether models can be compiled in spite of these mistakes: they stand in SQL, or concern what no model needs. Another one
/// in YAML may have taken away what many need: a source, a type, a model's configuration.
fn are_contained(problems: &Diagnostics) -> bool {
    const NEEDED_BY_NO_MODEL: [&str; 4] = ["contract-", "exposure-", "test-", "unit-test-"];
    let is_sql = |place: &Location| place.file.path.extension().is_some_and(|ending| ending == "sql");
    let mut errors = problems.sorted().into_iter().filter(|found| found.severity == Severity::Error);
    errors.all(|found| {
        NEEDED_BY_NO_MODEL.iter().any(|family| found.code.starts_with(family))
            || found.primary.as_ref().is_some_and(|(place, _)| is_sql(place))
    })
}

/// The SQL of a snapshot around its query.
fn with_history(
    node: &Node,
    snapshot: &Snapshot,
    form: &Form,
    query: &Rendered,
    names: &dyn Resolve,
) -> Result<Rendered, Diagnostics> {
    if !form.is_incremental() {
        return Ok(history::whole(query, snapshot));
    }
    let SnapshotStrategy::Check { columns, .. } = &snapshot.strategy else {
        let checked = Checked::Columns(Vec::new());
        return Ok(history::later(query, snapshot, (&node.id, &node.relation), &checked));
    };
    let failed = |message: String| {
        let message = format!("what `{}` checks cannot be found out: {message}", node.name);
        Diagnostics::from(crate::diagnostic::Diagnostic::error("snapshot-check", message).at(&node.at, ""))
    };
    let there = names.columns(&node.id, &node.relation).map_err(failed)?;
    let wanted = match columns.is_empty() {
        true => names.query(&history::columns_of(query)).map_err(failed)?.columns,
        false => columns.clone(),
    };
    let is_there = |name: &String| there.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let checked = match wanted.iter().all(is_there) {
        true => Checked::Columns(wanted),
        false => Checked::Everything,
    };
    Ok(history::later(query, snapshot, (&node.id, &node.relation), &checked))
}

fn no_model(test: &Test) -> Diagnostics {
    crate::diagnostic::Diagnostic::error("test-model", format!("`{}` tests nothing that exists", test.name))
        .at(&test.at, "")
        .into()
}

fn context(
    options: &WorkspaceOptions,
    file: Option<&ProjectFile>,
    target: Option<(&Target, &Path)>,
    clock: &Clock,
) -> Context {
    let mut vars = file.map(|file| file.vars.clone()).unwrap_or_default();
    vars.extend(options.vars.clone());
    let mut package_vars: BTreeMap<String, Object> =
        file.into_iter().flat_map(|file| file.package_vars.clone()).collect();
    // The command line wins over what a package is given by name.
    for scoped in package_vars.values_mut() {
        scoped.extend(options.vars.clone());
    }
    let view = target.map(|(target, root)| {
        let path = target.database(root);
        let database = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut extra = Object::new();
        extra.insert("path".into(), Value::String(target.path.to_string_lossy().into_owned()));
        TargetView {
            name: target.name.clone(),
            schema: format!("{}{}", target.schema_prefix, target.schema),
            database,
            kind: "duckdb".into(),
            threads: options.threads.or(target.threads).map_or(1, NonZeroUsize::get),
            extra,
        }
    });
    let mut flags = Object::new();
    flags.insert("WHICH".into(), Value::String(options.command.into()));
    flags.insert("FULL_REFRESH".into(), Value::Bool(options.full_refresh == FullRefresh::Yes));
    Context {
        project: file.map(|file| file.name.value.clone()).unwrap_or_default(),
        target: view.unwrap_or_default(),
        vars,
        package_vars,
        env: Arc::clone(&options.env),
        invocation_id: uuid::Uuid::new_v4().to_string(),
        run_started_at: jiff::Timestamp::now(),
        clock: clock.clone(),
        flags,
    }
}

fn renderer(
    options: &WorkspaceOptions,
    file: &ProjectFile,
    files: &ProjectFiles,
    target: &Target,
    clock: &Clock,
    problems: &mut Diagnostics,
) -> Renderer {
    let macros = files
        .macros
        .iter()
        .chain(&files.generic_tests)
        .chain(&files.docs)
        .map(|resource| MacroFile { package: resource.package.clone(), file: Arc::clone(&resource.file) })
        .collect();
    let builtins = check::builtin_macros()
        .into_iter()
        .map(|(package, path, text)| MacroFile { package: package.into(), file: SourceFile::new(path, text) })
        .collect();
    let context = context(options, Some(file), Some((target, &file.root)), clock);
    let dispatch = file
        .dispatch
        .iter()
        .map(|(macro_namespace, search_order)| Dispatch {
            macro_namespace: macro_namespace.clone(),
            search_order: search_order.clone(),
        })
        .collect();
    let (renderer, found) = Renderer::new(context, macros, builtins, dispatch);
    problems.extend(found);
    renderer
}

fn surroundings(options: &WorkspaceOptions, project: &Project) -> Fingerprint {
    let vars = format!("{:?} {:?} {:?}", options.vars, project.file.vars, project.file.package_vars);
    let files = project.files.macros.iter().chain(&project.files.generic_tests);
    let texts = files.map(|resource| resource.file.text.as_bytes());
    Fingerprint::of([env!("CARGO_PKG_VERSION").as_bytes(), vars.as_bytes()].into_iter().chain(texts))
}

fn contracts(project: &Project, problems: &mut Diagnostics) -> BTreeMap<String, Located<contract::Contract>> {
    let mut contracts: BTreeMap<String, Located<contract::Contract>> = BTreeMap::new();
    for file in project.contract_files() {
        for contract in contract::read(file, problems) {
            let at = contract.at.clone();
            if let Some(first) = contracts.get(&contract.model.value) {
                problems.push(
                    crate::diagnostic::Diagnostic::error(
                        "duplicate-contract",
                        format!("`{}` has two contracts", contract.model.value),
                    )
                    .at(&at, "the second one")
                    .related(&first.at, "the first one")
                    .help("keep one of them"),
                );
                continue;
            }
            contracts.insert(contract.model.value.clone(), Located::new(contract, at));
        }
    }
    contracts
}

fn add_contract_tests(manifest: &mut Manifest, properties: &Properties, problems: &mut Diagnostics) {
    let mut tests = Vec::new();
    let mut declared: BTreeMap<&NodeId, Vec<&Test>> = BTreeMap::new();
    for test in manifest.tests.values() {
        if let Some(node) = &test.node {
            declared.entry(node).or_default().push(test);
        }
    }
    let mut constraints: BTreeMap<(&str, &str), Vec<&Constraint>> = BTreeMap::new();
    for node in &properties.nodes {
        constraints.entry((&node.package, &node.name.value)).or_default().extend(&node.constraints);
    }
    for (id, contract) in &manifest.contracts {
        let Some(node) = manifest.nodes.get(id) else { continue };
        let own = constraints.get(&(node.package.as_str(), node.name.as_str())).into_iter().flatten();
        let tests_of = declared.get(id).into_iter().flatten();
        let facts = contract::Facts::of(tests_of.copied(), own.copied(), &is_node(manifest, &node.package));
        problems.extend(contract::disagreements(contract, node, &facts));
        let find = |name: &str| {
            ["model", "seed"]
                .into_iter()
                .map(|kind| NodeId::new(kind, &node.package, name))
                .find(|id| manifest.nodes.contains_key(id))
        };
        tests.extend(contract::tests(contract, id, &node.package, &find, problems));
    }
    for ((package, name), own) in constraints.iter().filter(|(_, own)| !own.is_empty()) {
        let find = |name: &str| {
            ["model", "seed"]
                .into_iter()
                .map(|kind| NodeId::new(kind, package, name))
                .find(|id| manifest.nodes.contains_key(id))
        };
        let Some(node) = find(name).and_then(|id| manifest.nodes.get(&id)) else { continue };
        if node.config.materialized == Materialization::Ephemeral {
            continue;
        }
        let tests_of = declared.get(&node.id).into_iter().flatten();
        let tested = contract::Facts::of(tests_of.copied(), [], &is_node(manifest, package));
        let stated = contract::Stated { tests: &tested, contract: manifest.contracts.get(&node.id) };
        tests.extend(contract::constraint_tests(node, own, &stated, &find, problems));
    }
    for test in tests {
        manifest.tests.insert(test.id.clone(), test);
    }
}

/// Says whether a name is that of a model or seed of a package.
fn is_node(manifest: &Manifest, package: &str) -> impl Fn(&str) -> bool {
    move |name| {
        ["model", "seed"].iter().any(|kind| manifest.nodes.contains_key(&NodeId::new(kind, package, name)))
    }
}

/// What `kiln.yml` is read with: the environment and the variables of the command line.
pub fn early_expand(options: &WorkspaceOptions) -> impl Expand + use<> {
    Expanding(Expander::new(context(options, None, None, &Clock::default())))
}

struct Expanding<T>(T);

impl Expand for Expanding<Expander> {
    fn expand(&self, text: &str, at: &Location) -> Result<String, Diagnostics> {
        self.0.expand(text, at)
    }
}

impl Expand for Expanding<&Renderer> {
    fn expand(&self, text: &str, at: &Location) -> Result<String, Diagnostics> {
        self.0.expand(text, at)
    }
}

struct Templates<'a>(&'a Renderer);

impl ReadTemplates for Templates<'_> {
    fn parse(
        &self,
        id: &NodeId,
        package: &str,
        name: &str,
        file: &Arc<SourceFile>,
    ) -> Result<ParsedTemplate, Diagnostics> {
        let template =
            Template { id: id.clone(), package: package.into(), name: name.into(), file: Arc::clone(file) };
        self.0.parse(&template)
    }

    fn test_params(&self, package: &str, name: &str) -> Option<Vec<Param>> {
        let signature = self.0.test_signature(package, name)?;
        let own = |name: &str| name == "model" || name == "column_name";
        let params = signature.params.into_iter().filter(|param| !own(&param.name));
        let params = params.map(|param| Param { name: param.name, required: !param.has_default });
        // A macro that takes any argument says so with this name.
        let any = signature.open.then(|| Param { name: "kwargs".into(), required: false });
        Some(params.chain(any).collect())
    }

    fn test_config(&self, test: &TestUse<'_>) -> Object {
        self.0.test_config(&TestCall {
            package: test.package.to_owned(),
            name: test.name.to_owned(),
            // Nothing is rendered for keeps here: the name alone is needed.
            model: (test.tested.clone(), Relation::new("main", test.tested.short())),
            where_clause: None,
            column: test.column.map(str::to_owned),
            args: test.args.clone(),
            at: test.at.clone(),
        })
    }

    fn test_names(&self, package: &str) -> Vec<String> {
        self.0.test_names(package)
    }
}
