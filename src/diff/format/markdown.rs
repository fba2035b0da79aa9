//! The report as one comment on a pull request: the verdict, a table of what matters, the rest folded away.

use super::mermaid::mermaid;
use super::{Page, marked, owed, proof};
use crate::diff::{Certainty, Finding, Severity};

/// The first line, by which the comment is found again and replaced.
pub const MARKER: &str = "<!-- kiln:contract-check -->";

/// GitHub takes 65,536 characters; some are left for what is said around them.
const MOST: usize = 60_000;

/// The longest text of a cell.
const CELL: usize = 300;

/// The comment, of at most 60,000 characters.
pub fn markdown(page: &Page<'_>) -> String {
    let report = page.report;
    let mut text = format!("{MARKER}\n### Kiln: {}\n", escape(&page.verdict(), CELL));
    let counts = page.counts();
    let counts = if counts.is_empty() { String::new() } else { format!("{} · ", counts.join(", ")) };
    text.push_str(&format!(
        "\n{counts}{} compared with {} · {}\n",
        models(report.compared),
        escape(&report.base, CELL),
        escape(&report.mode.to_string(), CELL)
    ));
    let loud = |finding: &&Finding| finding.waived.is_none() && finding.severity >= Severity::Warning;
    let loud: Vec<&Finding> = report.findings.iter().filter(loud).collect();
    let quiet = |finding: &&Finding| finding.waived.is_none() && finding.severity < Severity::Warning;
    let mut rest = Rest { left: MOST.saturating_sub(text.len() + 2_000), text: String::new() };
    if !loud.is_empty() {
        rest.text
            .push_str("\n| | Change | Old → New | Who breaks | Fix | Bump |\n|---|---|---|---|---|---|\n");
        let rows: Vec<String> = loud.iter().map(|finding| row(page, finding)).collect();
        rest.lines(&rows, "| | and {} more | | | | |");
    }
    if let Some(chart) = mermaid(loud.iter().copied())
        && chart.len() < rest.left
    {
        rest.text.push_str(&format!("\n```mermaid\n{chart}```\n"));
        rest.left -= chart.len();
    }
    rest.folded(
        "note",
        "notes",
        &report.findings.iter().filter(quiet).map(|finding| item(page, finding)).collect::<Vec<_>>(),
    );
    let waived: Vec<String> = report
        .findings
        .iter()
        .filter_map(|finding| {
            let waived = finding.waived.as_ref()?;
            let by = match waived.approved_by.is_empty() {
                true => String::new(),
                false => format!(" by {}", waived.approved_by.join(", ")),
            };
            let until = waived.expires.iter().map(|day| format!(" until {day}")).collect::<String>();
            let said = escape(&format!("waived{by}{until}: {}", waived.reason), CELL);
            Some(format!("{} — {said}", item(page, finding)))
        })
        .collect();
    rest.folded("waived finding", "waived findings", &waived);
    let unknown: Vec<String> = report
        .unknowns
        .iter()
        .map(|unknown| format!("- {}", escape(&format!("`{}`: {}", unknown.subject, unknown.why), CELL)))
        .collect();
    rest.folded("model that could not be compared", "models that could not be compared", &unknown);
    let notes: Vec<String> = page
        .waivers
        .sorted()
        .into_iter()
        .map(|note| {
            let at = note
                .primary
                .iter()
                .map(|(at, _)| format!(" ({}:{})", (page.in_repository)(at.path()), at.line_col().0));
            let at: String = at.collect();
            format!("- {}", escape(&format!("{}{at}", note.message), CELL))
        })
        .collect();
    rest.folded("waiver that does not count", "waivers that do not count", &notes);
    let documented: Vec<String> =
        report.documented_only.iter().map(|promise| format!("- {}", escape(promise, CELL))).collect();
    rest.folded("promise that nobody checks", "promises that nobody checks", &documented);
    text.push_str(&rest.text);
    text
}

fn models(count: usize) -> String {
    format!("{count} {}", if count == 1 { "model" } else { "models" })
}

/// What follows the head, as long as there is room.
struct Rest {
    left: usize,
    text: String,
}

impl Rest {
    /// Adds lines while they fit, and then says how many are left out.
    fn lines(&mut self, lines: &[String], more: &str) {
        for (index, line) in lines.iter().enumerate() {
            if line.len() + 1 > self.left {
                self.text.push_str(&more.replace("{}", &(lines.len() - index).to_string()));
                self.text.push('\n');
                return;
            }
            self.left -= line.len() + 1;
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn folded(&mut self, one: &str, many: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let title = format!("{} {}", lines.len(), if lines.len() == 1 { one } else { many });
        self.text.push_str(&format!("\n<details><summary>{title}</summary>\n\n"));
        self.lines(lines, "- and {} more");
        self.text.push_str("\n</details>\n");
    }
}

fn row(page: &Page<'_>, finding: &Finding) -> String {
    let sign = match finding.severity {
        Severity::Error => "**error**",
        _ => "warning",
    };
    let place = marked(finding).map(|place| {
        let (line, _) = place.at.line_col();
        format!("<br>{}:{line}", escape(&page.path(place), CELL))
    });
    let change = format!(
        "{}<br>{}{}",
        escape(&finding.message, CELL),
        escape(&format!("`{}`", finding.rule.slug()), CELL),
        place.unwrap_or_default()
    );
    let value = |value: &Option<String>| value.as_deref().map_or("—".to_owned(), |text| escape(text, CELL));
    let values = match (&finding.old, &finding.new) {
        (None, None) => String::new(),
        (old, new) => format!("{} → {}", value(old), value(new)),
    };
    let mut fixes: Vec<String> = finding.help.iter().map(|help| escape(help, CELL)).collect();
    fixes.extend(proof(finding).map(|proof| escape(&proof, CELL)));
    let bump = match owed(finding) {
        Some(owed) => format!("{}<br>{}", finding.bump.as_str(), escape(&owed, CELL)),
        None => finding.bump.as_str().to_owned(),
    };
    format!("| {sign} | {change} | {values} | {} | {} | {bump} |", readers(finding), fixes.join("<br>"))
}

fn readers(finding: &Finding) -> String {
    /// Readers of one change that a cell names.
    const NAMED: usize = 8;
    if finding.breaks.is_empty() {
        return match finding.consumers_total {
            0 => "nobody known".to_owned(),
            total => format!("none of {total}"),
        };
    }
    let named = finding.breaks.iter().take(NAMED).map(|broken| {
        let owner = broken.owner.as_ref().and_then(|owner| owner.email.as_ref().or(owner.name.as_ref()));
        let owner = owner.map(|who| format!(", {who}")).unwrap_or_default();
        let maybe = if broken.certainty == Certainty::Possible { " (possible)" } else { "" };
        escape(&format!("`{}`{owner}{maybe}", broken.name), CELL)
    });
    let mut named: Vec<String> = named.collect();
    if finding.breaks.len() > NAMED {
        named.push(format!("and {} more", finding.breaks.len() - NAMED));
    }
    named.join("<br>")
}

fn item(page: &Page<'_>, finding: &Finding) -> String {
    let place = marked(finding).map(|place| format!(" ({}:{})", page.path(place), place.at.line_col().0));
    let proof = proof(finding).map(|proof| format!("; {proof}")).unwrap_or_default();
    let text = format!("`{}`: {}{proof}{}", finding.rule.slug(), finding.message, place.unwrap_or_default());
    format!("- {}", escape(&text, CELL * 2))
}

/// Text in a cell or an item: one line, names in backticks as code, and nothing that Markdown, HTML or a mention would
/// take for more than text.
fn escape(text: &str, most: usize) -> String {
    let cut: String = match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    };
    let mut escaped = String::with_capacity(cut.len());
    let parts: Vec<&str> = cut.split('`').collect();
    let last = parts.len() - 1;
    // Without a partner a backtick is a character like any other.
    let pairs = if last.is_multiple_of(2) { last } else { last - 1 };
    for (index, part) in parts.iter().enumerate() {
        characters(&mut escaped, part);
        if index < pairs {
            escaped.push_str(if index % 2 == 0 { "<code>" } else { "</code>" });
        } else if index < last {
            escaped.push_str("&#96;");
        }
    }
    escaped
}

fn characters(escaped: &mut String, text: &str) {
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let inside = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '&' | '<' | '>' | '|' | '*' | '[' | ']' | '~' | '\\' | '!' | '#' | '$' => {
                escaped.push_str(&format!("&#{};", c as u32));
            }
            '_' if !inside => escaped.push_str("&#95;"),
            // A name behind it would be called.
            '@' if !before.is_alphanumeric() => escaped.push_str("@\u{200b}"),
            // GitHub makes links of these by itself.
            ':' if chars.peek() == Some(&'/') => escaped.push_str("&#58;\u{200b}"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
        before = c;
    }
}
