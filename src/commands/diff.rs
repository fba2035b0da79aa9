//! `kiln diff`: what the checkout would change for readers of a commit, a release or another folder.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::{DiffArgs, FailOn, Global, LogFormat};
use crate::compile::{CompileOptions, known_to};
use crate::diff::older::History;
use crate::diff::{
    Check, Comparison, Compiling, Machine, ModelView, Report, Rule, Settings, Severity, View, ViewOrigin,
    compare, git, older,
};
use crate::engine::database::Database;
use crate::engine::state;
use crate::error::{Error, Result};
use crate::names::NodeId;
use crate::project::FILE_NAME;
use crate::run::compare as run_compare;
use crate::workspace::{FullRefresh, Workspace};

use super::data_diff;
use super::table::render;
use super::terminal::{Paint, Terminal};
use super::words::counted;
use super::{Exit, Opened, open, open_to_read, opening};

/// Compares and says what was found.
pub fn diff(terminal: &Terminal, global: &Global, args: &DiffArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "diff", FullRefresh::No)?;
    let settings = Settings::read(workspace.project.file.diff.as_ref()).map_err(Error::Project)?;
    if args.rules {
        terminal.data(&rules(terminal, &settings))?;
        return Ok(Exit::Fine);
    }
    if args.data {
        return data(terminal, global, args, &workspace);
    }
    let Some(wanted) = args.base.as_deref() else { return Err(Error::usage("`--base` is missing")) };
    let narrowed = !args.selection.select.is_empty() || !args.selection.exclude.is_empty();
    let selected = match narrowed {
        true => Some(workspace.select(&args.selection.select, &args.selection.exclude)?),
        false => None,
    };
    let machine = machine(&workspace);
    if wanted == "published" {
        return against_release(terminal, global, args, workspace, &settings, &machine, selected.as_ref());
    }
    let checkout = Compiling::checkout(workspace, &CompileOptions::default())?;
    let options = opening(global, "diff", FullRefresh::No)?;
    let mut history = History::new();
    let (base, label, notes) = match global.project_dir.join(wanted).join(FILE_NAME).is_file() {
        true => {
            let root = global.project_dir.join(wanted);
            (Compiling::base(&options, &root, &checkout)?, wanted.to_owned(), Vec::new())
        }
        false => {
            let commit = git::read(checkout.workspace.root(), wanted)?;
            let label = format!("{wanted} ({})", commit.short());
            let files = transitive(&checkout, &settings);
            if !files.is_empty() {
                let texts = git::older_texts(checkout.workspace.root(), &commit.hash, &files)?;
                history = older::of_texts(&checkout.workspace.manifest, texts);
            }
            (Compiling::base(&options, &commit.root, &checkout)?, label, commit.notes)
        }
    };
    for note in notes {
        terminal.talk(&format!("{}: {note}\n", terminal.paint(Paint::Yellow, "warning")));
    }
    let published = published(&checkout.workspace);
    let prove = |model: &ModelView, check: &Check| check.ask(published.as_ref()?.session(), &model.relation);
    let report = compare(&Comparison {
        base: &base.view,
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
    end(terminal, args, &checkout, &report)
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
    terminal: &Terminal,
    global: &Global,
    args: &DiffArgs,
    workspace: Workspace,
    settings: &Settings,
    machine: &Machine,
    selected: Option<&BTreeSet<NodeId>>,
) -> Result<Exit> {
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
    end(terminal, args, &checkout, &report)
}

/// Shows what was found. What no finding speaks of and is wrong all the same keeps the checkout from being judged.
fn end(terminal: &Terminal, args: &DiffArgs, checkout: &Compiling, report: &Report) -> Result<Exit> {
    show(terminal, report)?;
    if let Some(problems) = checkout.unexplained(&report.unknowns) {
        return Err(Error::Project(problems));
    }
    let fail_on = match args.fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
        FailOn::Note => Severity::Note,
    };
    Ok(if report.exit_code(fail_on) == 0 { Exit::Fine } else { Exit::Failed })
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

/// Findings for people, the loudest first.
pub(super) fn findings(report: &Report, mildest: Severity) -> String {
    let mut text = String::new();
    for finding in report.findings.iter().filter(|finding| finding.severity >= mildest) {
        text.push_str(&format!(
            "{}[{}] {}\n",
            finding.severity.as_str(),
            finding.rule.slug(),
            finding.message
        ));
        for place in &finding.places {
            text.push_str(&format!("  --> {} ({}, {})\n", place.at, place.label, place.side.as_str()));
        }
        for broken in &finding.breaks {
            let via = if broken.via.is_empty() {
                String::new()
            } else {
                format!(", via {}", broken.via.join(", "))
            };
            text.push_str(&format!(
                "  breaks {} ({}), {}: {}{via}\n",
                broken.name,
                broken.kind.as_str(),
                broken.certainty.as_str(),
                broken.how
            ));
        }
        for why in &finding.why {
            text.push_str(&format!("  why: {why}\n"));
        }
        for help in &finding.help {
            text.push_str(&format!("  help: {help}\n"));
        }
    }
    text
}

fn show(terminal: &Terminal, report: &Report) -> Result<()> {
    let mut text = findings(report, Severity::Note);
    for unknown in &report.unknowns {
        text.push_str(&format!("unknown: `{}`: {}\n", unknown.subject, unknown.why));
    }
    text.push_str(&format!(
        "{}, {}, {} against {}\n",
        counted(report.count(Severity::Error) as u64, "error", "errors"),
        counted(report.count(Severity::Warning) as u64, "warning", "warnings"),
        counted(report.count(Severity::Note) as u64, "note", "notes"),
        report.base
    ));
    terminal.data(&text)
}
