//! The findings of a diff, in the format that was asked for: to the terminal, to files, to the forge.

use std::path::{Path, PathBuf};

use jiff::ToSpan;
use jiff::civil::Date;

use crate::cli::{DiffFormat, Global};
use crate::diagnostic::Diagnostics;
use crate::diff::Severity;
use crate::diff::format::{self, Gate, Page, Proposal};
use crate::diff::waiver::{Judged, StubText, stubs, today};
use crate::error::{Error, Result};

use super::artifacts::write;
use super::terminal::{Forge, Terminal, Volume};
use super::{forge, show_diagnostics};

/// How long a waiver holds where nothing else is said.
const DAYS: i64 = 30;

/// What is shown.
pub(super) struct Shown<'a> {
    /// What was found.
    pub judged: &'a Judged,
    /// The base as it was asked for.
    pub base: &'a str,
    /// The severity from which on a finding counts.
    pub fail_on: Severity,
    /// What a finding stops.
    pub gate: Gate,
    /// Whether the proposal could be judged.
    pub proposal: Proposal,
}

/// The last day of a waiver that begins today.
pub(super) fn last_day() -> Date {
    today().saturating_add(DAYS.days())
}

/// Prints the findings, and writes them to files in other formats.
pub(super) fn show(
    terminal: &Terminal,
    global: &Global,
    shown: &Shown<'_>,
    format: DiffFormat,
    also: &[(DiffFormat, PathBuf)],
) -> Result<()> {
    let in_repository = |path: &Path| forge::in_repository(&global.project_dir, path);
    let page = Page {
        report: &shown.judged.report,
        fail_on: shown.fail_on,
        waivers: &shown.judged.waivers,
        gate: shown.gate,
        proposal: shown.proposal,
        base: shown.base,
        in_repository: &in_repository,
    };
    for (format, path) in also {
        let text = uncoloured(&render(*format, &page, shown));
        let path = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
        write(&path, &terminal.for_file(&text))?;
    }
    match format {
        DiffFormat::Text => {
            show_diagnostics(terminal, global, &shown.judged.waivers);
            terminal.data(&render(format, &page, shown))?;
        }
        // The commands are for the machine that reads the log; the people who read it get the text beside them.
        DiffFormat::Github => {
            terminal.talk(&render(DiffFormat::Text, &page, shown));
            terminal.data(&render(format, &page, shown))?;
        }
        _ => terminal.data(&render(format, &page, shown))?,
    }
    if terminal.forge == Forge::GitHub {
        forge::summary(terminal, &format::markdown(&page));
    }
    Ok(())
}

/// Tells of what a run's release changes for the readers of the one before: in full if it is kept from them, else only
/// what they should know.
pub(super) fn tell(terminal: &Terminal, global: &Global, judged: &Judged) {
    let in_repository = |path: &Path| forge::in_repository(&global.project_dir, path);
    let mut report = judged.report.clone();
    report.findings.retain(|finding| finding.severity >= Severity::Warning);
    if report.findings.is_empty() {
        return;
    }
    let blocked = report.exit_code(Severity::Error) != 0;
    // A waiver of another change may be for another target.
    let about = judged.waivers.sorted().into_iter().filter(|note| note.code != "waiver-unused");
    let waivers: Diagnostics = about.cloned().collect();
    let page = Page {
        report: &report,
        fail_on: Severity::Error,
        waivers: &waivers,
        gate: Gate::Publish,
        proposal: Proposal::Sound,
        base: "published",
        in_repository: &in_repository,
    };
    let text = format::text(&page);
    if blocked {
        terminal.gap();
        show_diagnostics(terminal, global, &waivers);
        terminal.complain(&text);
    } else if terminal.volume == Volume::Normal {
        terminal.gap();
        show_diagnostics(terminal, global, &waivers);
        terminal.talk(&text);
    }
    if terminal.forge == Forge::GitHub {
        terminal.stderr(&format::github(&page));
    }
}

fn render(format: DiffFormat, page: &Page<'_>, shown: &Shown<'_>) -> String {
    match format {
        DiffFormat::Text => format::text(page),
        DiffFormat::Json => format::json(page),
        DiffFormat::Markdown => format::markdown(page),
        DiffFormat::Sarif => format::sarif(page),
        DiffFormat::Junit => format::junit(page),
        DiffFormat::Github => format::github(page),
        DiffFormat::Gitlab => format::gitlab(page),
        DiffFormat::Waiver => {
            let text = StubText { reason: "", approved_by: &[], expires: last_day() };
            stubs(page.report.failing(page.fail_on), &text, &shown.judged.deciders)
        }
    }
}

fn uncoloured(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
