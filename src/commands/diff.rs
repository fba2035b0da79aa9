//! `kiln diff`: what the checkout would change for readers of a commit, a release or another folder.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{DiffArgs, DiffFormat, FailOn, Global, LogFormat, Selection};
use crate::compile::cache::Cache;
use crate::compile::cache::memory::Memory;
use crate::compile::cache::watched::WatchedEnv;
use crate::compile::{CompileOptions, Tables, known_to};
use crate::diff::format::{Gate, Proposal, rules_json};
use crate::diff::memo::{self, Memo};
use crate::diff::older::History;
use crate::diff::{
    Check, Comparison, Compiling, Machine, ModelView, Report, Rule, Settings, Severity, View, ViewOrigin,
    compare, git, older, waiver,
};
use crate::engine::database::Database;
use crate::engine::state;
use crate::error::{Error, Result};
use crate::names::NodeId;
use crate::project::FILE_NAME;
use crate::run::compare as run_compare;
use crate::workspace::{FullRefresh, Workspace, WorkspaceOptions};

use super::data_diff;
use super::findings::{self, Shown};
use super::table::render;
use super::terminal::{Paint, Terminal};
use super::{Exit, Opened, binary, open, open_to_read, open_with, opening};

impl FailOn {
    /// The severity.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }
}

/// Compares and says what was found.
pub fn diff(terminal: &Terminal, global: &Global, args: &DiffArgs) -> Result<Exit> {
    if args.rules {
        let Opened { workspace, .. } = open(terminal, global, "diff", FullRefresh::No)?;
        let settings = Settings::read(workspace.project.file.diff.as_ref()).map_err(Error::Project)?;
        terminal.data(&match args.format {
            DiffFormat::Json => rules_json(&|rule| settings.severity(rule, settings.mode)),
            _ => rules(terminal, &settings),
        })?;
        return Ok(Exit::Fine);
    }
    if args.data {
        let Opened { workspace, .. } = open(terminal, global, "diff", FullRefresh::No)?;
        return data(terminal, global, args, &workspace);
    }
    let Some(base) = args.base.as_deref() else { return Err(Error::usage("`--base` is missing")) };
    let judged = judge(terminal, global, base, &args.selection)?;
    let broken = judged.checkout.unexplained(&judged.found.report.unknowns);
    let shown = Shown {
        judged: &judged.found,
        base,
        fail_on: args.fail_on.severity(),
        gate: Gate::Merge,
        proposal: if broken.is_some() { Proposal::Broken } else { Proposal::Sound },
    };
    findings::show(terminal, global, &shown, args.format, &args.also)?;
    if let Some(problems) = broken {
        return Err(Error::Project(problems));
    }
    Ok(if judged.found.report.exit_code(shown.fail_on) == 0 { Exit::Fine } else { Exit::Failed })
}

/// What a comparison found, with its waivers applied, and the proposal.
pub(super) struct Judged {
    /// What was found.
    pub found: waiver::Judged,
    /// The proposal.
    pub checkout: Compiling,
}

impl Judged {
    fn new(report: Report, base: &View, checkout: Compiling) -> Self {
        let deciders = waiver::deciders(base, &checkout.view);
        let waivers = &checkout.workspace.waivers;
        Self { found: waiver::Judged::new(report, waivers, deciders, waiver::today()), checkout }
    }
}

/// Compares the checkout with a base.
pub(super) fn judge(
    terminal: &Terminal,
    global: &Global,
    wanted: &str,
    selection: &Selection,
) -> Result<Judged> {
    let options = opening(global, "diff", FullRefresh::No)?;
    let (Opened { workspace, .. }, _) = open_with(terminal, global, &options)?;
    let settings = Settings::read(workspace.project.file.diff.as_ref()).map_err(Error::Project)?;
    let narrowed = !selection.select.is_empty() || !selection.exclude.is_empty();
    let selected = match narrowed {
        true => Some(workspace.select(&selection.select, &selection.exclude)?),
        false => None,
    };
    let machine = machine(&workspace);
    if wanted == "published" {
        return against_release(global, workspace, &settings, &machine, selected.as_ref());
    }
    let binary = binary();
    let cache = memo::cache(&workspace.target_folder(), &binary);
    // What either side bound before, or a compile of the checkout, need not be bound again.
    let mut memory = Memory::read(&cache);
    if memory.is_empty() {
        memory = Memory::read(&Cache::new(&workspace.target_folder(), &binary));
    }
    let memory = Some(Arc::new(memory));
    let known =
        CompileOptions { memory: memory.clone(), tables: Tables::Needed, ..CompileOptions::default() };
    let checkout = Compiling::checkout(workspace, &known)?;
    let mut history = History::new();
    let root = global.project_dir.join(wanted);
    let (base, label, notes) = match root.join(FILE_NAME).is_file() {
        true if root.canonicalize().is_ok_and(|root| root == checkout.workspace.root()) => {
            return Err(Error::usage(format!("`--base {wanted}` is this project itself"))
                .hint("name a commit, `published`, or the folder of another checkout"));
        }
        true => (Compiling::base(&options, &root, &checkout, memory)?.view, wanted.to_owned(), Vec::new()),
        false => {
            let hash = git::resolve(checkout.workspace.root(), wanted)?;
            let files = transitive(&checkout, &settings);
            if !files.is_empty() {
                let texts = git::older_texts(checkout.workspace.root(), &hash, &files)?;
                history = older::of_texts(&checkout.workspace.manifest, texts);
            }
            let label = format!("{wanted} ({})", git::short(&hash));
            let memo = commit(&options, &checkout, wanted, &hash, &cache, memory)?;
            (memo.view, label, memo.notes)
        }
    };
    for note in notes {
        terminal.talk(&format!("{}: {note}\n", terminal.paint(Paint::Yellow, "warning")));
    }
    let published = published(&checkout.workspace);
    let prove = |model: &ModelView, check: &Check| check.ask(published.as_ref()?.session(), &model.relation);
    let report = compare(&Comparison {
        base: &base,
        proposed: &checkout.view,
        base_label: label,
        proposed_label: "working tree".into(),
        settings: &settings,
        machine: &machine,
        today: state::now(),
        selected: selected.as_ref(),
        prove: Some(&prove),
        history: &history,
    })?;
    Ok(Judged::new(report, &base, checkout))
}

/// What a commit shows: as it was found the last time, or compiled now and kept.
fn commit(
    options: &WorkspaceOptions,
    checkout: &Compiling,
    wanted: &str,
    hash: &str,
    cache: &Cache,
    memory: Option<Arc<Memory>>,
) -> Result<Memo> {
    let key = Memo::key(options, hash, checkout);
    if let Some(memo) = Memo::find(cache, &key, options) {
        return Ok(memo);
    }
    let commit = git::read(checkout.workspace.root(), wanted)?;
    let env = WatchedEnv::default();
    let watched = WorkspaceOptions { env: env.watch(Arc::clone(&options.env)), ..options.clone() };
    let base = Compiling::base(&watched, &commit.root, checkout, memory)?;
    let memo = Memo::new(key, env.reads(), base.view, commit.notes);
    // Two compiles of one project bind mostly the same; what either of them bound is kept for both.
    let turn = cache.turn()?;
    if turn.is_alone() {
        let notes = base.compiled.notes.with(&checkout.compiled.notes);
        cache.store(Some(&memo), &notes.text(&checkout.compiled.base))?;
    }
    Ok(memo)
}

/// Compares the rows of what is built with those that readers see.
fn data(terminal: &Terminal, global: &Global, args: &DiffArgs, workspace: &Workspace) -> Result<Exit> {
    if let Some(other) = args.base.as_deref().filter(|base| *base != "published") {
        return Err(Error::usage(format!("there are no rows of `{other}` to compare with")).hint(
            "rows are compared with what readers see: leave `--base` out, or write `--base published`",
        ));
    }
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    let database = open_to_read(global, workspace)?;
    let compared = run_compare::compare(workspace, database.session(), &selected, &args.key)?;
    if compared.is_empty() {
        return Err(Error::usage("no model or seed is selected").hint("`kiln ls` lists what there is"));
    }
    match global.log_format {
        LogFormat::Json => {
            let lines = compared.iter().map(|one| format!("{}\n", data_diff::json(one)));
            terminal.data(&lines.collect::<String>())?;
        }
        LogFormat::Text => terminal.data(&data_diff::text(terminal, &compared))?,
    }
    let is_key_missing =
        |one: &run_compare::Compared| matches!(one.state, run_compare::CompareState::NoSuchKey(_));
    let failed = compared.iter().any(|one| !one.broken.is_empty() || is_key_missing(one));
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// Files of contracts that are compared with every version before.
fn transitive(checkout: &Compiling, settings: &Settings) -> Vec<String> {
    let models = checkout.view.models.values();
    let terms = models.filter_map(|model| model.promise.terms.as_ref());
    let files: BTreeSet<String> = terms
        .filter(|terms| settings.mode_of(terms.compatibility.as_deref()).transitive)
        .map(|terms| terms.at.0.path().to_string_lossy().into_owned())
        .collect();
    files.into_iter().collect()
}

/// Compares with what readers see: what the release promised when it was published.
fn against_release(
    global: &Global,
    workspace: Workspace,
    settings: &Settings,
    machine: &Machine,
    selected: Option<&BTreeSet<NodeId>>,
) -> Result<Judged> {
    let database = open_to_read(global, &workspace)?;
    let session = database.session();
    let target = workspace.target.name.clone();
    let release = state::current_release(session, &target)?.ok_or_else(|| {
        Error::usage(format!("target `{target}` has no release yet")).hint("`kiln run` publishes one")
    })?;
    let mut base = View::of_release(session, &release)?;
    base.adopt(&|name| workspace.find_node(None, name).ok().map(|node| node.id.clone()));
    let known = known_to(&workspace, session)?;
    let mut checkout = Compiling::checkout(workspace, &known)?;
    checkout.view.origin = ViewOrigin::Database;
    let report = compare(&Comparison {
        base: &base,
        proposed: &checkout.view,
        base_label: format!("release {} of {}", release.id, release.published_at),
        proposed_label: "working tree".into(),
        settings,
        machine,
        today: state::now(),
        selected,
        prove: Some(&|model: &ModelView, check: &Check| check.ask(session, &model.relation)),
        history: &older::of_releases(session, &target, release.id)?,
    })?;
    Ok(Judged::new(report, &base, checkout))
}

/// The target's database, if there is one that can be read now: a diff of files needs none.
fn published(workspace: &Workspace) -> Option<Database> {
    let database = Database::open_read_only(&workspace.opening("a reader", Duration::ZERO)).ok()??;
    state::is_present(database.session()).ok()?.then_some(database)
}

/// What names and SQL mean on the workspace's target.
pub(super) fn machine(workspace: &Workspace) -> Machine {
    let opening = workspace.opening("diff", std::time::Duration::ZERO);
    let database = opening.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Machine { database: database.unwrap_or_default(), settings: opening.settings }
}

fn rules(terminal: &Terminal, settings: &Settings) -> String {
    let head = ["rule", "id", "severity", "bump", "protects", "what"].map(str::to_owned).to_vec();
    let rows = Rule::ALL.iter().map(|rule| {
        vec![
            rule.slug().to_owned(),
            rule.id().to_owned(),
            settings.severity(*rule, settings.mode).as_str().to_owned(),
            rule.default_bump().as_str().to_owned(),
            rule.protects().as_str().to_owned(),
            rule.description().to_owned(),
        ]
    });
    render(terminal, head, rows)
}
