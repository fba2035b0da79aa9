//! `kiln run`: load, build, test and publish.

use std::sync::Arc;

use serde_json::json;

use crate::artifact::{self, Invocation, RunResults};
use crate::cli::{Global, LogFormat, RunArgs};
use crate::compile::cache::watched::{EnvReads, Outside, WatchedEnv};
use crate::compile::cache::whole::asked;
use crate::diagnostic::{Diagnostics, Severity, nearest};
use crate::diff::{Rule, Severity as DiffSeverity};
use crate::error::{Error, Result};
use crate::idle::{self, Idle, Warned};
use crate::manifest::moment;
use crate::names::{Fingerprint, NodeId};
use crate::run::event::{Ending, Outcome, RunReport, TestReport, TestStatus};
use crate::run::increment::is_by_intervals;
use crate::run::land::Which;
use crate::run::plan::Refresh;
use crate::run::{self, Allowed, Policy, RunOptions, Scope};
use crate::template::{Level, LogMessage, Window};
use crate::workspace::{FullRefresh, Workspace, WorkspaceOptions};

use super::artifacts::{NextResults, write_results};
use super::failures::{Teller, tell_warned};
use super::findings;
use super::progress::Reporter;
use super::terminal::{Terminal, Volume};
use super::{
    Exit, Opened, binary, forge, open_with, opening, origin, patience, show_diagnostic, show_diagnostics,
    stop_flag, summary,
};

/// Runs.
pub fn run(terminal: &Terminal, global: &Global, args: &RunArgs) -> Result<Exit> {
    let started = std::time::Instant::now();
    let full = if args.full_refresh { FullRefresh::Yes } else { FullRefresh::No };
    let mut how = opening(global, "run", full)?;
    let selection = [args.selection.select.as_slice(), args.selection.exclude.as_slice()];
    let (asked, binary) = (asked(&how, &selection), binary());
    let is_plain = !(args.full_refresh || args.reload || args.partial || args.no_publish || args.explain)
        && args.from.is_none();
    if is_plain && global.log_format == LogFormat::Text && repeat(terminal, global, &how, &asked, started)? {
        return Ok(Exit::Fine);
    }
    let env = WatchedEnv::default();
    how.env = env.watch(Arc::clone(&how.env));
    let (Opened { workspace, elapsed }, warnings) = open_with(terminal, global, &how)?;
    let outside = Outside::look(workspace.root(), &workspace.manifest);
    let options = options(global, args, &workspace)?;
    if args.explain {
        return super::explain::explain(terminal, &workspace, &options);
    }
    let stop = stop_flag(terminal)?;
    let names = workspace.manifest.nodes.values().filter(|node| options.selected.contains(&node.id));
    let names: Vec<String> = names.map(|node| node.name.clone()).collect();
    let reporter = Reporter::new(terminal, &workspace, "run", names.iter().map(String::as_str), elapsed);
    let beforehand = super::unit::beforehand(&workspace, &options.selected, &stop);
    let outcome = reporter.during(|| run::run_after(&beforehand, &workspace, &options, &reporter, &stop));
    let messages = workspace.messages();
    super::show_said(terminal, &messages);
    let report = outcome?;
    let teller = Teller { terminal, workspace: &workspace, global, command: "run" };
    let failures = tell(&teller, &report);
    if terminal.volume == Volume::Normal {
        // A run publishes what it has, however old; so this is a warning here and an error of `kiln freshness`.
        super::freshness::tell(terminal, global, &workspace, &report.freshness, Severity::Warning);
    }
    // What became of the run is said also where its artifacts cannot be written.
    let written = write_results(terminal, &report.run_id, &results_of(&workspace, &report));
    let text = summary::of_run(terminal, &report, started.elapsed());
    if !report.is_good() || terminal.volume == Volume::Normal {
        terminal.gap();
    }
    match report.is_good() {
        true => terminal.talk(&text),
        false => terminal.complain(&text),
    }
    forge::summary(terminal, &summary::markdown(&report, &workspace.project.file.name.value, &failures));
    log_end(terminal, &report);
    written?;
    let call = Call { asked: &asked, binary: &binary, env: env.reads(), outside };
    match is_plain {
        true => remember(&teller, call, (&warnings, &messages), &report)?,
        false => idle::cache(&workspace.target_folder(), &binary).forget(),
    }
    Ok(if report.is_good() { Exit::Fine } else { Exit::Failed })
}

/// What a run was asked, and what there was before it.
struct Call<'a> {
    asked: &'a Fingerprint,
    binary: &'a str,
    env: EnvReads,
    outside: Option<Outside>,
}

/// Keeps what the next run needs to know that there is nothing to do, with the results that it will have.
fn remember(
    teller: &Teller<'_>,
    call: Call<'_>,
    (warnings, messages): (&Diagnostics, &[LogMessage]),
    report: &RunReport,
) -> Result<()> {
    let workspace = teller.workspace;
    let cache = idle::cache(&workspace.target_folder(), call.binary);
    let messages: Vec<LogMessage> =
        messages.iter().filter(|message| message.level != Level::Debug).cloned().collect();
    // What templates say while they build, they need not say again when nothing is built.
    let says_the_same = messages.is_empty() || matches!(report.ending, Ending::Unchanged { .. });
    let Some(next) = report.rest.as_ref().filter(|_| says_the_same).map(|_| report.repeated()) else {
        cache.forget();
        return Ok(());
    };
    let done = idle::Done {
        asked: call.asked,
        workspace,
        warnings,
        messages: &messages,
        warned: warned(teller, next.tests()),
        env: call.env,
        outside: call.outside,
        report: &next,
    };
    match Idle::of(done) {
        Some(idle) => {
            cache.store(Some(&idle), &results_text(teller.terminal, workspace, &next)?)?;
            idle.keep_mark(report.rest.as_ref().and_then(|rest| rest.mark.as_ref()));
            Ok(())
        }
        None => {
            cache.forget();
            Ok(())
        }
    }
}

/// Repeats a run that left nothing to do, if nothing has changed since. Says whether it did.
fn repeat(
    terminal: &Terminal,
    global: &Global,
    how: &WorkspaceOptions,
    asked: &Fingerprint,
    started: std::time::Instant,
) -> Result<bool> {
    let binary = binary();
    let Some((idle, said)) = Idle::find(how, asked, &binary) else { return Ok(false) };
    let Some(results) = NextResults::read(&idle::cache(&idle.folder, &binary)) else { return Ok(false) };
    let Some(run_id) = idle.repeat(patience(global), &origin(&how.root))? else { return Ok(false) };
    let elapsed = started.elapsed();
    results.write(&idle.folder, &run_id, elapsed)?;
    show_diagnostics(terminal, global, &said.warnings);
    super::show_said(terminal, &said.messages);
    tell_warned(terminal, global, &said.warned);
    if terminal.volume == Volume::Normal {
        terminal.gap();
    }
    terminal.talk(&summary::of_idle(terminal, &idle, elapsed));
    forge::summary(terminal, &summary::idle_markdown(&idle, elapsed));
    Ok(true)
}

fn options(global: &Global, args: &RunArgs, workspace: &Workspace) -> Result<RunOptions> {
    let selection = &args.selection;
    let is_whole = selection.select.is_empty() && selection.exclude.is_empty();
    let selected = workspace.select(&selection.select, &selection.exclude)?;
    if !is_whole && selected.is_empty() {
        return Err(Error::usage("the selection is empty").hint("`kiln ls` lists what there is"));
    }
    let window = window(args)?;
    if window.is_some() && !selected.iter().any(|id| by_intervals(workspace, id)) {
        return Err(no_intervals(workspace));
    }
    Ok(RunOptions {
        selected,
        scope: if is_whole { Scope::Whole } else { Scope::Part },
        refresh: if args.full_refresh { Refresh::Full } else { Refresh::Reuse },
        window,
        load: if args.reload { Which::All } else { Which::New },
        policy: match (args.explain, args.partial, args.no_publish) {
            (true, _, _) => Policy::Plan,
            (_, true, _) => Policy::Partial,
            (_, _, true) => Policy::Nothing,
            _ => Policy::Whole,
        },
        patience: patience(global),
        allow: allowed(workspace, &args.allow_breaking)?,
    })
}

fn by_intervals(workspace: &Workspace, id: &NodeId) -> bool {
    workspace.manifest.nodes.get(id).is_some_and(is_by_intervals)
}

/// Says that a window of time was asked for where nothing is cut by time.
fn no_intervals(workspace: &Workspace) -> Error {
    let all = workspace.manifest.nodes.keys().filter(|id| by_intervals(workspace, id));
    let all: Vec<&str> = all.map(NodeId::short).collect();
    let hint = match all.as_slice() {
        [] => "`incremental_strategy: interval` makes a model one that is".to_owned(),
        names => format!("those that are: `{}`", names.join("`, `")),
    };
    Error::usage("`--from` and `--to` change nothing: no selected model is built by intervals").hint(hint)
}

/// The window of time that `--from` and `--to` ask for.
fn window(args: &RunArgs) -> Result<Option<Window>> {
    let Some(from) = &args.from else { return Ok(None) };
    let read = |name: &str, written: &str| {
        moment(written).ok_or_else(|| {
            Error::usage(format!("`{name} {written}` is no time"))
                .hint("write a day or a time in UTC: `2026-01-01`, `2026-01-01T06:00`")
        })
    };
    let start = read("--from", from)?;
    let end = match &args.to {
        Some(to) => read("--to", to)?,
        None => crate::interval::now(),
    };
    match start < end {
        true => Ok(Some(Window { start, end })),
        false => Err(Error::usage(format!("there is no time from {start} to {end}"))
            .hint("`--to` is the moment behind the last one")),
    }
}

/// What `--allow-breaking` names. Where others read, a waiver says who agreed.
fn allowed(workspace: &Workspace, named: &[String]) -> Result<Vec<Allowed>> {
    let target = &workspace.target;
    let is_dev = target.name.starts_with("dev") || !target.schema_prefix.is_empty();
    if !named.is_empty() && !is_dev {
        return Err(Error::usage(format!("`--allow-breaking` is not for target `{}`", target.name)).hint(
            "`kiln waive --base published` writes a waiver; a development target is one whose name begins with `dev`, or that has a `schema_prefix`",
        ));
    }
    let each = |text: &String| {
        let wrong =
            |message: String| Error::usage(message).hint("write `--allow-breaking column-removed:orders`");
        let Some((slug, model)) = text.split_once(':') else {
            return Err(wrong(format!("`{text}` is no rule and model")));
        };
        let rule =
            Rule::from_slug(slug).ok_or_else(|| {
                let near = nearest(slug, Rule::ALL.iter().map(|rule| rule.slug()));
                let error = Error::usage(format!("there is no rule `{slug}`"));
                error.hint(near.map_or("`kiln diff --rules` lists them".into(), |near| {
                    format!("did you mean `{near}`?")
                }))
            })?;
        Ok(Allowed { rule, model: model.to_owned() })
    };
    named.iter().map(each).collect()
}

fn results_of<'a>(workspace: &'a Workspace, report: &'a RunReport) -> RunResults<'a> {
    RunResults {
        workspace,
        command: "run",
        nodes: &report.nodes,
        tests: report.tests().collect(),
        elapsed: report.elapsed,
    }
}

/// The results of a run as one text, to be written by the next.
fn results_text(terminal: &Terminal, workspace: &Workspace, report: &RunReport) -> Result<String> {
    let text = artifact::run_results(&results_of(workspace, report), &Invocation::new(None))?;
    Ok(terminal.for_file(&text).into_owned())
}

/// Tells of every failure, in full and once. Gives them as sentences.
fn tell(teller: &Teller<'_>, report: &RunReport) -> Vec<String> {
    let Teller { terminal, global, .. } = teller;
    let mut sentences = Vec::new();
    for warning in report.loads.iter().flat_map(|load| load.warnings.sorted()) {
        if terminal.volume == Volume::Normal {
            terminal.gap();
        }
        show_diagnostic(terminal, global, warning);
    }
    for node in &report.nodes {
        if let Outcome::Error(problem) = &node.outcome {
            terminal.gap();
            show_diagnostic(terminal, global, problem);
            sentences.push(problem.message.clone());
        }
    }
    sentences.extend(tell_tests(teller, report.tests()));
    if let Some(judged) = &report.diff {
        findings::tell(terminal, global, judged);
        let failing = judged.report.failing(DiffSeverity::Error);
        sentences.extend(failing.map(|finding| finding.message.clone()));
    }
    if let Ending::NotPublished { diagnostic: Some(problem), .. } = &report.ending {
        terminal.gap();
        show_diagnostic(terminal, global, problem);
        sentences.push(problem.message.clone());
    }
    sentences
}

/// Tells of warnings briefly and of failed tests in full. Gives the failures as sentences.
pub fn tell_tests<'t>(teller: &Teller<'_>, tests: impl Iterator<Item = &'t TestReport>) -> Vec<String> {
    let tests: Vec<&TestReport> = tests.collect();
    let mut sentences = Vec::new();
    tell_warned(teller.terminal, teller.global, &warned(teller, tests.iter().copied()));
    for test in tests.iter().filter(|test| test.status.blocks()) {
        teller.terminal.gap();
        teller.terminal.complain(&teller.block(test));
        let place = (Severity::Error, &test.at);
        forge::test(teller.terminal, &teller.global.project_dir, place, &teller.sentence(test));
        sentences.push(teller.sentence(test));
    }
    sentences
}

fn warned<'t>(teller: &Teller<'_>, tests: impl Iterator<Item = &'t TestReport>) -> Vec<Warned> {
    tests.filter(|test| test.status == TestStatus::Warn).map(|test| teller.warned(test)).collect()
}

fn log_end(terminal: &Terminal, report: &RunReport) {
    let (mut release_id, mut reason) = (None, None);
    let (mut changed, mut removed): (&[String], &[String]) = (&[], &[]);
    match &report.ending {
        Ending::Published { release_id: id, changed: new, removed: gone, .. } => {
            release_id = Some(*id);
            (changed, removed) = (new, gone);
        }
        Ending::Unchanged { release_id: id } => release_id = *id,
        Ending::Withheld => {}
        Ending::NotPublished { reason: why, still, .. } => {
            release_id = still.as_ref().map(|(id, _)| *id);
            reason = Some(why);
        }
    }
    terminal.log(
        "finished",
        None,
        json!({
            "status": summary::status(&report.ending), "release_id": release_id, "reason": reason,
            "changed": changed, "removed": removed,
            "models": summary::Counts::of_nodes(&report.nodes).json(),
            "tests": summary::Counts::of_tests(report.tests()).json(),
            "seconds": report.elapsed.as_secs_f64(),
        }),
    );
}
