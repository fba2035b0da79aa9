//! `kiln compile`: checks the whole project without a database, and leaves its SQL, columns and lineage as files.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::artifact::Invocation;
use crate::cli::{CompileArgs, Global};
use crate::compile::cache::Cache;
use crate::compile::cache::memory::Memory;
use crate::compile::cache::watched::{Outside, WatchedEnv};
use crate::compile::cache::whole::{Counts, Done, Told, Whole, asked, unchanged};
use crate::compile::{
    CompileOptions, Compiled, Tables, asks_database, compile as compile_project, in_database, lineage,
    write_compiled,
};
use crate::error::{Error, Result};
use crate::manifest::NodeKind;
use crate::names::NodeId;
use crate::run::event::{TestReport, UnitFinding};
use crate::workspace::{FullRefresh, Workspace};

use super::artifacts::Artifacts;
use super::failures::Teller;
use super::run::tell_tests;
use super::summary::Counts as TestCounts;
use super::terminal::Terminal;
use super::words::{counted, duration};
use super::{Exit, Opened, binary, open_broken, opening, show_diagnostics, show_said, stop_flag};

/// Compiles. The files are written even if something is wrong: what renders can be looked at.
pub fn compile(terminal: &Terminal, global: &Global, args: &CompileArgs) -> Result<Exit> {
    let started = Instant::now();
    let mut options = opening(global, "compile", FullRefresh::No)?;
    let selection = [args.selection.select.as_slice(), args.selection.exclude.as_slice()];
    let binary = binary();
    // What lies in a folder of the caller's own is not watched, and what unit tests find is not kept.
    let last = match &args.target_path {
        None if !args.unit_tests => unchanged(&options, &selection, &binary),
        _ => None,
    };
    if let Some(told) = last {
        show_diagnostics(terminal, global, &told.opening);
        show_said(terminal, &told.messages);
        show_diagnostics(terminal, global, &told.found);
        report(terminal, &told, &[], started.elapsed());
        return Ok(Exit::Fine);
    }
    let asked = asked(&options, &selection);
    let env = WatchedEnv::default();
    options.env = env.watch(Arc::clone(&options.env));
    let (Opened { workspace, .. }, warnings) = open_broken(terminal, &options)?;
    if !warnings.has_errors() {
        show_diagnostics(terminal, global, &warnings);
    }
    // The process ends with the command: to take a large project apart first is work for nobody.
    let workspace = ManuallyDrop::new(workspace);
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    let outside = Outside::look(workspace.root(), &workspace.manifest);
    let outside = match asks_database(&workspace) {
        true => outside.and_then(|outside| outside.with_database(workspace.root(), &workspace.target.path)),
        false => outside,
    };
    let folder = match &args.target_path {
        Some(folder) => workspace.root().join(folder),
        None => workspace.target_folder(),
    };
    let cache = Cache::new(&workspace.target_folder(), &binary);
    let is_whole = args.selection.select.is_empty() && args.selection.exclude.is_empty();
    let compile_options = CompileOptions {
        about: (!is_whole).then(|| Arc::new(with_ancestors(&workspace, &selected))),
        ..remembering(&workspace)?
    };
    let mut compiled = ManuallyDrop::new(compile_project(&workspace, &compile_options)?);
    if warnings.has_errors() {
        let mut found = warnings;
        found.extend(std::mem::take(&mut compiled.diagnostics));
        return Err(Error::Project(found));
    }
    let mut told = Told { opening: warnings, messages: workspace.messages(), ..Told::default() };
    show_said(terminal, &told.messages);
    let turn = match &args.target_path {
        Some(_) => None,
        None => Some(cache.turn()?),
    };
    let artifacts = Artifacts {
        workspace: &workspace,
        invocation: Invocation::new(args.caller.invocation_id.clone()),
        folder: &folder,
    };
    artifacts.write_catalog(terminal, &compiled)?;
    artifacts.write_lineage(terminal, &lineage(&workspace, &compiled)?)?;
    compiled.forget_lineage();
    let units = match args.unit_tests {
        true => {
            let stop = stop_flag(terminal)?;
            crate::unit::run(&workspace, &compiled, &selected, &stop)?
        }
        false => Vec::new(),
    };
    compiled.models.retain(|id, _| selected.contains(id));
    compiled.tests.retain(|id, _| selected.contains(id));
    artifacts.write_manifest(terminal, Some(&compiled))?;
    write_compiled(&workspace, &compiled, &folder.join("compiled"))?;
    let sql = format!("compiled/{}", workspace.manifest.project);
    told.folder = format!("{}/{sql}", workspace.project.file.paths.target);
    told.counts = counts(&workspace, &compiled);
    told.found = std::mem::take(&mut compiled.diagnostics);
    let done = Done {
        asked: &asked,
        workspace: &workspace,
        env: env.reads(),
        outside,
        artifacts: vec!["catalog.json".into(), "lineage.json".into(), "manifest.json".into(), sql],
        told: &told,
    };
    if let Some(turn) = turn {
        let keeps = turn.is_alone() && !compiled.asked_database;
        let whole = if keeps { Whole::of(done) } else { None };
        cache.store(whole.as_ref(), &compiled.notes.text(&compiled.base))?;
    }
    for report in &units {
        if let Some(UnitFinding::Broken(problems)) = report.unit.as_deref() {
            told.found.extend(problems.clone());
        }
    }
    if told.found.has_errors() {
        return Err(Error::Project(told.found));
    }
    show_diagnostics(terminal, global, &told.found);
    let teller = Teller { terminal, workspace: &workspace, global, command: "compile" };
    tell_tests(&teller, units.iter());
    report(terminal, &told, &units, started.elapsed());
    let failed = units.iter().any(|test| test.status.blocks());
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// How to compile a project of which `kiln compile` may have bound much already.
pub(super) fn remembering(workspace: &Workspace) -> Result<CompileOptions> {
    let cache = Cache::new(&workspace.target_folder(), &binary());
    Ok(CompileOptions {
        existing: in_database(workspace)?,
        memory: Some(Arc::new(Memory::read(&cache))),
        tables: Tables::Needed,
        ..CompileOptions::default()
    })
}

/// What is selected and all that it needs.
fn with_ancestors(workspace: &Workspace, selected: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let tests = selected.iter().filter_map(|id| workspace.manifest.tests.get(id));
    let tested = tests.flat_map(|test| &test.depends_on).map(|dependency| &dependency.node);
    let mut all: BTreeSet<NodeId> = selected.iter().chain(tested).cloned().collect();
    for id in all.clone() {
        all.extend(workspace.dag.ancestors(&id, None));
    }
    all
}

fn counts(workspace: &Workspace, compiled: &Compiled) -> Counts {
    let is_model = |id| workspace.manifest.nodes.get(id).is_some_and(|node| node.kind == NodeKind::Model);
    let mut counts =
        Counts { tests: compiled.tests.len() as u64, remembered: compiled.remembered, ..Counts::default() };
    for (id, model) in &compiled.models {
        counts.models += u64::from(is_model(id));
        match &model.columns {
            Some(known) => counts.columns += known.len() as u64,
            None => counts.unknown += 1,
        }
    }
    counts
}

fn report(terminal: &Terminal, told: &Told, units: &[TestReport], elapsed: Duration) {
    let (counts, folder) = (told.counts, &told.folder);
    let not_known = match counts.unknown {
        0 => String::new(),
        count => format!("; those of {} are not", counted(count, "model", "models")),
    };
    let tested = match units.is_empty() {
        true => String::new(),
        false => format!(" Unit tests: {}\n", TestCounts::of_tests(units.iter()).text(terminal)),
    };
    terminal.log(
        "compiled",
        None,
        json!({
            "models": counts.models,
            "tests": counts.tests,
            "columns": counts.columns,
            "models_with_unknown_columns": counts.unknown,
            "models_remembered": counts.remembered,
            "unit_tests": (!units.is_empty()).then(|| TestCounts::of_tests(units.iter()).json()),
            "elapsed_s": elapsed.as_secs_f64(),
        }),
    );
    terminal.talk(&format!(
        " Compiled {} and {} to {folder} in {}\n {} known{not_known}\n{tested}",
        counted(counts.models, "model", "models"),
        counted(counts.tests, "test", "tests"),
        duration(elapsed),
        counted(counts.columns, "column", "columns"),
    ));
}
