//! The report for a terminal: each finding in the form of a compiler's message, then what it adds up to.

use super::{Page, Proposal, one_line, owed, proof, waive_command};
use crate::diff::waiver::WAIVER_AT;
use crate::diff::{Broken, Certainty, Finding, Place, Severity, Side};
use crate::words::counted;

/// Where the version that is owed begins, if there is room.
const MARGIN: usize = 72;

/// The report, with colours.
pub fn text(page: &Page<'_>) -> String {
    let mut text = String::new();
    for finding in &page.report.findings {
        finding_text(&mut text, page, finding);
        text.push('\n');
    }
    for unknown in &page.report.unknowns {
        let side = unknown.side.map(|side| format!(" in the {}", side.as_str())).unwrap_or_default();
        let label = paint(YELLOW, "unknown");
        text.push_str(&format!("{label} {}{side}: {}\n", one_line(&unknown.subject), one_line(&unknown.why)));
        if let Some(place) = &unknown.place {
            text.push_str(&format!("  {} {}\n", paint(DIM, "-->"), at(place)));
        }
        text.push('\n');
    }
    text.push_str(&totals(page));
    text
}

fn totals(page: &Page<'_>) -> String {
    let report = page.report;
    let mut parts = Vec::new();
    let counts = page.counts();
    if !counts.is_empty() {
        parts.push(counts.join(", "));
    }
    parts.push(format!("{} compared", many(report.compared, "model", "models")));
    if report.unchanged_contracts > 0 {
        parts.push(format!(
            "{} hidden",
            many(report.unchanged_contracts, "unchanged contract", "unchanged contracts")
        ));
    }
    if !report.documented_only.is_empty() {
        let promises = many(report.documented_only.len(), "promise", "promises");
        parts.push(format!("{promises} documented only, checked by nobody"));
    }
    parts.push(format!("{} vs {}", report.mode, one_line(&report.base)));
    let verdict = page.verdict();
    let sound = page.proposal == Proposal::Sound && !page.is_blocked();
    let colour = if sound { GREEN } else { RED };
    format!("{}\n{}\n", parts.join(" · "), paint(colour, &verdict))
}

fn many(count: usize, one: &str, many: &str) -> String {
    counted(count as u64, one, many)
}

fn finding_text(text: &mut String, page: &Page<'_>, finding: &Finding) {
    let (label, colour) = match (&finding.waived, finding.severity) {
        (Some(_), _) => ("waived", DIM),
        (None, Severity::Error) => ("error", RED),
        (None, Severity::Warning) => ("warning", YELLOW),
        (None, _) => ("note", BOLD),
    };
    let head = format!("{label}[{}]", finding.rule.slug());
    let message = one_line(&finding.message);
    text.push_str(&format!("{} {}", paint(colour, &head), paint(BOLD, &message)));
    if let Some(owed) = owed(finding) {
        let used = head.chars().count() + 1 + message.chars().count();
        let gap = MARGIN.saturating_sub(used).max(3);
        text.push_str(&format!("{:gap$}{}", "", one_line(&owed)));
    }
    text.push('\n');
    if !finding.places.is_empty() {
        let places: Vec<String> =
            finding.places.iter().enumerate().map(|(index, place)| placed(index, place)).collect();
        text.push_str(&format!("  {} {}\n", paint(DIM, "-->"), places.join("   ")));
    }
    sides(text, finding);
    breaks(text, finding);
    for why in &finding.why {
        text.push_str(&format!("  why: {}\n", one_line(why)));
    }
    if let Some(proof) = proof(finding) {
        text.push_str(&format!("  proof: {proof}\n"));
    }
    if let Some(waived) = &finding.waived {
        let by = match waived.approved_by.is_empty() {
            true => String::new(),
            false => format!(" by {}", waived.approved_by.join(", ")),
        };
        let until = waived.expires.iter().map(|day| format!(" until {day}")).collect::<String>();
        let place = waived.place.iter().map(|place| format!("  {}", at(place))).collect::<String>();
        let line = one_line(&format!("waived{by}{until}: {}{place}", waived.reason));
        text.push_str(&format!("  {line}\n"));
        return;
    }
    for help in &finding.help {
        text.push_str(&format!("  help: {}\n", one_line(help)));
    }
    // A waiver that does not count yet wants to be completed, and no second one beside it.
    let has_one = finding.help.iter().any(|help| help.starts_with(WAIVER_AT));
    if finding.counts(page.fail_on) && !has_one {
        let command = one_line(&waive_command(page, finding));
        text.push_str(&format!("  help: `{command}` writes a waiver for this one change\n"));
    }
}

/// The first place says by itself what it is; those behind it are named.
fn placed(index: usize, place: &Place) -> String {
    match (index, place.side) {
        (0, Side::Proposed) => at(place),
        (0, Side::Base) => format!("{} (base)", at(place)),
        (_, Side::Proposed) => format!("{} {}", one_line(&place.label), at(place)),
        (_, Side::Base) => format!("{} {} (base)", one_line(&place.label), at(place)),
    }
}

fn at(place: &Place) -> String {
    one_line(&place.at.to_string())
}

/// What was there and what is there now, beside the versions.
fn sides(text: &mut String, finding: &Finding) {
    if finding.old.is_none() && finding.new.is_none() {
        return;
    }
    let version = |version: &Option<String>| version.clone().unwrap_or_default();
    let (old, new) = (version(&finding.version_old), version(&finding.version_new));
    let width = old.chars().count().max(new.chars().count());
    for (side, version, value) in [("base", old, &finding.old), ("proposed", new, &finding.new)] {
        let value = value.as_deref().map_or("(absent)".to_owned(), one_line);
        let version = if width == 0 { String::new() } else { format!("{version:<width$}  ") };
        text.push_str(&format!("   {side:<8}  {version}{value}\n"));
    }
}

fn breaks(text: &mut String, finding: &Finding) {
    let total = finding.consumers_total;
    match (finding.breaks.len(), total) {
        (0, 0) => text.push_str("  nobody is known to read it\n"),
        (0, total) => text.push_str(&format!("  breaks none of {}\n", many(total, "consumer", "consumers"))),
        (count, total) => {
            text.push_str(&format!(
                "  breaks {count} of {}:\n",
                many(total.max(count), "consumer", "consumers")
            ));
        }
    }
    let rows: Vec<[String; 3]> = finding.breaks.iter().map(row).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default().min(48);
    let (one, two) = (width(0), width(1));
    for [who, reads, how] in &rows {
        text.push_str(&format!("    {who:<one$}   {reads:<two$}   {how}\n"));
    }
}

fn row(broken: &Broken) -> [String; 3] {
    let asked = broken.owner.as_ref().and_then(|owner| owner.email.as_ref().or(owner.name.as_ref()));
    let owner = asked.map(|who| format!(", owner {}", one_line(who))).unwrap_or_default();
    let who = format!("{} ({}{owner})", one_line(&broken.name), broken.kind.as_str());
    let reads = match broken.reads.is_empty() {
        true => String::new(),
        false => format!("reads {}", one_line(&broken.reads.join(", "))),
    };
    let mut how = match broken.certainty {
        Certainty::Certain => "certain".to_owned(),
        Certainty::Possible => "possible".to_owned(),
    };
    if !broken.how.is_empty() {
        how.push_str(&format!(": {}", one_line(&broken.how)));
    }
    if !broken.via.is_empty() {
        how.push_str(&format!(", via {}", one_line(&broken.via.join(" → "))));
    }
    if let Some(place) = &broken.place {
        how.push_str(&format!("  {}", at(place)));
    }
    [who, reads, how]
}

const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const DIM: &str = "2";

/// Coloured text; whoever prints it takes the colours out where nobody sees them.
fn paint(code: &str, text: &str) -> String {
    format!("\x1b[{code}m{text}\x1b[0m")
}
