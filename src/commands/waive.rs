//! `kiln waive`: writes a waiver for a finding of the present diff.

use std::path::PathBuf;

use jiff::civil::Date;
use serde_json::Value;

use crate::cli::{Global, Selection, WaiveArgs};
use crate::diagnostic::{Diagnostics, SourceFile, Style, nearest};
use crate::diff::waiver::{StubText, Waiver, entry, read, today};
use crate::diff::{Finding, Report, Rule};
use crate::error::{Error, Result};
use crate::yaml::write::{Remarks, list_document};

use super::Exit;
use super::artifacts::write;
use super::diff::{Judged, judge};
use super::findings::last_day;
use super::terminal::{Paint, Terminal};
use super::words::counted;

/// Writes.
pub fn waive(terminal: &Terminal, global: &Global, args: &WaiveArgs) -> Result<Exit> {
    let rule = args.rule.as_deref().map(rule_of).transpose()?;
    let expires = match &args.expires {
        Some(text) => day(text)?,
        None => last_day(),
    };
    if args.reason.trim().is_empty() {
        return Err(Error::usage("a waiver needs a reason").hint(
            "say why the change is right and where it was agreed: `--reason 'GDPR erasure, DATA-431'`",
        ));
    }
    let judged = judge(terminal, global, &args.base, &Selection::default())?;
    let chosen = match &args.subject {
        Some(subject) => one(&judged.found.report, rule, subject)?,
        None => judged.found.report.failing(args.fail_on.severity()).collect(),
    };
    if chosen.is_empty() {
        terminal.talk(" nothing to waive: no finding counts\n");
        return Ok(Exit::Fine);
    }
    let text = StubText { reason: args.reason.trim(), approved_by: &args.approved_by, expires };
    for finding in chosen {
        one_waiver(terminal, &judged, finding, &text, args)?;
    }
    Ok(Exit::Fine)
}

fn one_waiver(
    terminal: &Terminal,
    judged: &Judged,
    finding: &Finding,
    text: &StubText<'_>,
    args: &WaiveArgs,
) -> Result<()> {
    let subject = format!("{} {}", finding.rule.slug(), finding.subject());
    if let Some(known) = judged.checkout.workspace.waivers.iter().find(|waiver| is_of(waiver, finding)) {
        let message = format!("there is a waiver of `{subject}` already, at {}", known.at);
        let hint = "edit it: add to `approved_by`, or set a later `expires`";
        // Among many one that is there keeps none of the others from being written.
        if args.all {
            terminal.talk(&format!(" {message}: {hint}\n"));
            return Ok(());
        }
        return Err(Error::usage(message).hint(hint));
    }
    let path = match &args.output {
        Some(path) => path.clone(),
        None => {
            let name: String =
                finding.model.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
            PathBuf::from(format!("waivers/{}-{name}.yml", today().strftime("%Y-%m")))
        }
    };
    let whole = judged.checkout.workspace.root().join(&path);
    let old = match std::fs::read_to_string(&whole) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::io("read", &whole, &error)),
    };
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    let added = list_document(&[Value::Object(entry(finding, text))], &Remarks::new());
    let new = format!("{old}{gap}{added}");
    let mut problems = Diagnostics::new();
    let waivers = read(&SourceFile::new(path.clone(), new.as_str()), &mut problems);
    if problems.has_errors() || !waivers.iter().any(|waiver| is_of(waiver, finding)) {
        let said = problems.render(Style::Plain);
        return Err(Error::usage(format!("`{}` cannot take another waiver\n{said}", path.display())).hint(
            "a file of waivers is a list, each beginning with `- rule:`; name another with `--output`",
        ));
    }
    write(&whole, &new)?;
    terminal.talk(&format!(" wrote {}: {subject}, until {}\n", path.display(), text.expires));
    let missing = text.missing(finding, &judged.found.deciders);
    if !missing.is_empty() {
        let label = terminal.paint(Paint::Yellow, "warning");
        terminal.talk(&format!(
            "{label}: it does not count yet: it needs the approval of `{}`\n",
            missing.join("`, `")
        ));
        if let Some(names) = judged.found.deciders.get(&finding.model) {
            terminal.talk(&format!(
                "help: or of one who decides for `{}`: {}\n",
                finding.model,
                names.join(", ")
            ));
        }
    }
    if text.expires < today() {
        terminal.talk(&format!("{}: that day is over\n", terminal.paint(Paint::Yellow, "warning")));
    }
    Ok(())
}

fn is_of(waiver: &Waiver, finding: &Finding) -> bool {
    finding.fingerprint().as_str().starts_with(&waiver.fingerprint.value)
        && waiver.rule.value == finding.rule
        && waiver.model.value == finding.model
}

fn rule_of(slug: &str) -> Result<Rule> {
    Rule::from_slug(slug).ok_or_else(|| {
        let error = Error::usage(format!("there is no rule `{slug}`"));
        match nearest(slug, Rule::ALL.iter().map(|rule| rule.slug())) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`kiln diff --rules` lists them"),
        }
    })
}

fn day(text: &str) -> Result<Date> {
    text.parse()
        .map_err(|_| Error::usage(format!("`{text}` is no day")).hint("write it as `--expires 2026-12-31`"))
}

/// The finding that is meant.
fn one<'a>(report: &'a Report, rule: Option<Rule>, subject: &str) -> Result<Vec<&'a Finding>> {
    let about = report.findings.iter().filter(|finding| finding.subject() == subject);
    let found: Vec<&Finding> = about.filter(|finding| rule.is_none_or(|rule| rule == finding.rule)).collect();
    if found.len() == 1 {
        return Ok(found);
    }
    let name = |finding: &&Finding| format!("--rule {} {}", finding.rule.slug(), finding.subject());
    if !found.is_empty() {
        let names: Vec<String> = found.iter().map(name).collect();
        let count = counted(found.len() as u64, "finding is", "findings are");
        return Err(Error::usage(format!("{count} about `{subject}`"))
            .hint(format!("name one: `{}`", names.join("`, `"))));
    }
    let error = Error::usage(format!("the diff has no such finding about `{subject}`"));
    let subjects: Vec<String> = report.findings.iter().map(Finding::subject).collect();
    let names: Vec<String> = report.findings.iter().map(|finding| name(&finding)).collect();
    Err(match nearest(subject, subjects.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if names.is_empty() => error.hint("it found no change that a reader could notice"),
        None => error.hint(format!("it has: `{}`", names.join("`, `"))),
    })
}
