//! `kiln test`: tests what is published.

use serde_json::json;

use crate::artifact::RunResults;
use crate::cli::{Global, TestArgs};
use crate::error::{Error, Result};
use crate::run;
use crate::run::event::TestStatus;
use crate::workspace::FullRefresh;

use super::artifacts::write_results;
use super::failures::Teller;
use super::progress::Reporter;
use super::run::tell_tests;
use super::terminal::{Terminal, Volume};
use super::{Exit, Opened, open, patience, show_messages, stop_flag, summary};

/// Tests.
pub fn test(terminal: &Terminal, global: &Global, args: &TestArgs) -> Result<Exit> {
    let Opened { workspace, elapsed } = open(terminal, global, "test", FullRefresh::No)?;
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    if !selected.iter().any(|id| workspace.manifest.tests.contains_key(id)) {
        return Err(Error::usage("no test is selected").hint("`kiln ls --resource-type test` lists them"));
    }
    // Reading first: a database that is not there is not made for this.
    drop(super::open_to_read(global, &workspace)?);
    let stop = stop_flag(terminal)?;
    let reporter = Reporter::new(terminal, &workspace, "test", std::iter::empty(), elapsed);
    let outcome = reporter.during(|| run::test(&workspace, &selected, patience(global), &reporter, &stop));
    show_messages(terminal, &workspace);
    let report = outcome?;
    if report.release_id.is_none() && report.tests.iter().all(|test| test.status == TestStatus::Skipped) {
        let target = &report.target;
        return Err(Error::usage(format!("target `{target}` has published nothing that could be tested"))
            .hint("`kiln run` builds, tests and publishes"));
    }
    let teller = Teller { terminal, workspace: &workspace, global, command: "test" };
    tell_tests(&teller, report.tests.iter());
    let results = RunResults {
        workspace: &workspace,
        command: "test",
        nodes: &[],
        tests: report.tests.iter().collect(),
        elapsed: report.elapsed,
    };
    write_results(terminal, &report.run_id, &results)?;
    let failed = report.tests.iter().any(|test| test.status.blocks());
    let text = summary::of_tests(terminal, &report.tests, report.release_id, report.elapsed);
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
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}
