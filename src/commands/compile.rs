//! `kiln compile`: checks the whole project without a database, and leaves its SQL, columns and lineage as files.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::{CompileArgs, Global};
use crate::compile::{CompileOptions, Compiled, compile as compile_project, lineage};
use crate::compile::{write_catalog, write_compiled};
use crate::error::{Error, Result};
use crate::manifest::NodeKind;
use crate::run::event::{TestReport, UnitFinding};
use crate::workspace::{FullRefresh, Workspace};

use super::artifacts::write;
use super::failures::Teller;
use super::run::tell_tests;
use super::summary::Counts;
use super::terminal::Terminal;
use super::words::{counted, duration};
use super::{Exit, Opened, open, show_diagnostics, show_messages, stop_flag};

/// Compiles. The files are written even if something is wrong: what renders can be looked at.
pub fn compile(terminal: &Terminal, global: &Global, args: &CompileArgs) -> Result<Exit> {
    let started = Instant::now();
    let Opened { workspace, .. } = open(terminal, global, "compile", FullRefresh::No)?;
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    let mut compiled = compile_project(&workspace, &CompileOptions::default())?;
    show_messages(terminal, &workspace);
    let folder = workspace.target_folder();
    write_catalog(&workspace, &compiled, &folder)?;
    let graph = lineage(&workspace, &compiled)?.to_json();
    write(&folder.join("lineage.json"), &terminal.for_file(&format!("{graph}\n")))?;
    let units = match args.unit_tests {
        true => {
            let stop = stop_flag(terminal)?;
            crate::unit::run(&workspace, &compiled, &selected, &stop)?
        }
        false => Vec::new(),
    };
    for report in &units {
        if let Some(UnitFinding::Broken(problems)) = report.unit.as_deref() {
            compiled.diagnostics.extend(problems.clone());
        }
    }
    compiled.models.retain(|id, _| selected.contains(id));
    compiled.tests.retain(|id, _| selected.contains(id));
    write_compiled(&workspace, &compiled, &folder.join("compiled"))?;
    if compiled.diagnostics.has_errors() {
        return Err(Error::Project(compiled.diagnostics));
    }
    show_diagnostics(terminal, global, &compiled.diagnostics);
    let teller = Teller { terminal, workspace: &workspace, global, command: "compile" };
    tell_tests(&teller, units.iter());
    report(terminal, &workspace, &compiled, &units, started.elapsed());
    let failed = units.iter().any(|test| test.status.blocks());
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

fn report(
    terminal: &Terminal,
    workspace: &Workspace,
    compiled: &Compiled,
    units: &[TestReport],
    elapsed: Duration,
) {
    let is_model = |id| workspace.manifest.nodes.get(id).is_some_and(|node| node.kind == NodeKind::Model);
    let (mut models, mut columns, mut unknown) = (0, 0, 0);
    for (id, model) in &compiled.models {
        models += u64::from(is_model(id));
        match &model.columns {
            Some(known) => columns += known.len() as u64,
            None => unknown += 1,
        }
    }
    let tests = compiled.tests.len() as u64;
    let folder = format!("{}/compiled/{}", workspace.project.file.paths.target, workspace.manifest.project);
    let not_known = match unknown {
        0 => String::new(),
        count => format!("; those of {} are not", counted(count, "model", "models")),
    };
    let tested = match units.is_empty() {
        true => String::new(),
        false => format!(" Unit tests: {}\n", Counts::of_tests(units.iter()).text(terminal)),
    };
    terminal.log(
        "compiled",
        None,
        json!({
            "models": models,
            "tests": tests,
            "columns": columns,
            "models_with_unknown_columns": unknown,
            "unit_tests": (!units.is_empty()).then(|| Counts::of_tests(units.iter()).json()),
            "elapsed_s": elapsed.as_secs_f64(),
        }),
    );
    terminal.talk(&format!(
        " Compiled {} and {} to {folder} in {}\n {} known{not_known}\n{tested}",
        counted(models, "model", "models"),
        counted(tests, "test", "tests"),
        duration(elapsed),
        counted(columns, "column", "columns"),
    ));
}
