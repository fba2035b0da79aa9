//! Opening: a project's files are read, its templates are compiled, its names are resolved, and all that is wrong with them is
//! collected.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{FullRefresh, Workspace, WorkspaceOptions, promises};
use crate::check;
use crate::contract;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, Severity, SourceFile};
use crate::diff::waiver::{self, Waiver};
use crate::engine::seed;
use crate::error::{Error, Result};
use crate::graph::Dag;
use crate::manifest::{NodeKind, Object, Param, ParsedTemplate, ReadTemplates, TestUse};
use crate::names::{Fingerprint, NodeId, Relation};
use crate::origin::Origin;
use crate::project::{Expand, Project, ProjectFile, ProjectFiles, Target};
use crate::template::{
    Clock, Context, Dispatch, Expander, MacroFile, Renderer, TargetView, Template, TestCall, told_once,
};

/// The command that compares: a base that is compiled for it was right in its time.
const DIFF_COMMAND: &str = "diff";

/// The command that writes contracts: that one is missing is no reason for it to stop.
pub const CONTRACT_COMMAND: &str = "contract";

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
        promises::add_tests(&mut manifest, &project.properties, &mut problems);
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
        let problems = told_once(problems);
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
        .chain([check::MEASURES])
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
                    Diagnostic::error(
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
