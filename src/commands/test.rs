//! `kiln test`: tests what is published.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::json;

use crate::artifact::RunResults;
use crate::cli::{Global, TestArgs};
use crate::compile::{CompileOptions, compile};
use crate::error::{Error, Result};
use crate::names::NodeId;
use crate::run;
use crate::run::TestRun;
use crate::run::event::TestStatus;
use crate::workspace::{FullRefresh, Workspace};

use super::artifacts::write_results;
use super::failures::Teller;
use super::progress::Reporter;
use super::run::tell_tests;
use super::terminal::{Terminal, Volume};
use super::words::counted;
use super::{Exit, Opened, open, patience, show_messages, stop_flag, summary};

/// Tests.
pub fn test(terminal: &Terminal, global: &Global, args: &TestArgs) -> Result<Exit> {
    let Opened { workspace, elapsed } = open(terminal, global, "test", FullRefresh::No)?;
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    let units = crate::unit::any(&workspace, &selected);
    let data = selected.iter().any(|id| workspace.manifest.tests.contains_key(id));
    if !units && !data {
        return Err(Error::usage("no test is selected").hint("`kiln ls --resource-type test` lists them"));
    }
    let stop = stop_flag(terminal)?;
    if !data {
        return unit_tests(terminal, global, &workspace, &selected, &stop);
    }
    // Reading first: a database that is not there is not made for this.
    drop(super::open_to_read(global, &workspace)?);
    let beforehand = super::unit::beforehand(&workspace, &selected, &stop);
    let reporter = Reporter::new(terminal, &workspace, "test", std::iter::empty(), elapsed);
    let outcome = reporter
        .during(|| run::test_after(&beforehand, &workspace, &selected, patience(global), &reporter, &stop));
    show_messages(terminal, &workspace);
    let report = outcome?;
    let is_skipped = |test: &run::event::TestReport| test.status == TestStatus::Skipped;
    if report.release_id.is_none() && report.tests.iter().all(is_skipped) {
        let target = &report.target;
        return Err(Error::usage(format!("target `{target}` has published nothing that could be tested"))
            .hint("`kiln run` builds, tests and publishes"));
    }
    end(terminal, global, &workspace, &report)
}

/// Unit tests alone: they need no database.
fn unit_tests(
    terminal: &Terminal,
    global: &Global,
    workspace: &Workspace,
    selected: &BTreeSet<NodeId>,
    stop: &AtomicBool,
) -> Result<Exit> {
    let started = Instant::now();
    let compiled = compile(workspace, &CompileOptions::default())?;
    let tests = crate::unit::run(workspace, &compiled, selected, stop)?;
    show_messages(terminal, workspace);
    let report = TestRun {
        run_id: uuid::Uuid::now_v7().to_string(),
        target: workspace.target.name.clone(),
        tests,
        release_id: None,
        elapsed: started.elapsed(),
    };
    end(terminal, global, workspace, &report)
}

/// Tells what was found and writes it down.
fn end(terminal: &Terminal, global: &Global, workspace: &Workspace, report: &TestRun) -> Result<Exit> {
    let teller = Teller { terminal, workspace, global, command: "test" };
    tell_tests(&teller, report.tests.iter());
    let results = RunResults {
        workspace,
        command: "test",
        nodes: &[],
        tests: report.tests.iter().collect(),
        elapsed: report.elapsed,
    };
    let written = write_results(terminal, &report.run_id, &results);
    let failed = report.tests.iter().any(|test| test.status.blocks());
    let what = match report.release_id {
        Some(id) => format!("release {id} tested"),
        None => {
            let count = report.tests.iter().filter(|test| test.status != TestStatus::Skipped).count();
            format!("{} run in memory", counted(count as u64, "unit test", "unit tests"))
        }
    };
    let text = summary::of_tests(terminal, &report.tests, &what, report.elapsed);
    if failed || terminal.volume == Volume::Normal {
        terminal.gap();
    }
    match failed {
        true => terminal.complain(&text),
        false => terminal.talk(&text),
    }
    terminal.log(
        "finished",
        None,
        json!({
            "status": if failed { "failed" } else { "passed" }, "release_id": report.release_id,
            "tests": summary::Counts::of_tests(report.tests.iter()).json(),
            "seconds": report.elapsed.as_secs_f64(),
        }),
    );
    written?;
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}
