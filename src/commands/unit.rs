//! Unit tests on the terminal: how the rows that came differ from those that were expected.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use similar::{ChangeTag, TextDiff};

use crate::check::unit::{Cell, Difference, Line};
use crate::compile::cache::Cache;
use crate::compile::cache::memory::Memory;
use crate::compile::{CompileOptions, Tables, compile, known_to};
use crate::engine::session::Session;
use crate::error::Result;
use crate::names::NodeId;
use crate::run::event::TestReport;
use crate::unit;
use crate::workspace::Workspace;

use super::terminal::{Paint, Terminal};
use super::words::{counted, number};

/// Most rows that are shown.
const MOST_ROWS: usize = 20;

/// Most columns that are shown, those that differ not counted.
const MOST_COLUMNS: usize = 8;

/// Most characters of a cell; of a text that changed, what is around the change.
const WIDEST: usize = 40;

/// The unit tests of a selection, to be run before anything else. The project is compiled for them: their rows get the
/// types of what they stand for.
pub fn beforehand<'a>(
    workspace: &'a Workspace,
    selected: &'a BTreeSet<NodeId>,
    stop: &'a AtomicBool,
) -> impl Fn(&Session) -> Result<Vec<TestReport>> + 'a {
    move |session| {
        if !unit::any(workspace, selected) {
            return Ok(Vec::new());
        }
        let cache = Cache::new(&workspace.target_folder(), &super::binary());
        let options = CompileOptions {
            memory: Some(Arc::new(Memory::read(&cache))),
            tables: Tables::Needed,
            ..known_to(workspace, session)?
        };
        let compiled = compile(workspace, &options)?;
        unit::run(workspace, &compiled, selected, stop)
    }
}

/// `3 rows expected, 2 came, 1 as expected`.
pub fn extent(difference: &Difference) -> String {
    let same = match difference.same {
        0 => "none is as expected".to_owned(),
        1 => "1 is as expected".to_owned(),
        same => format!("{} are as expected", number(same as u64)),
    };
    let expected = counted(difference.expected as u64, "row", "rows");
    format!("{expected} expected, {} came, {same}", number(difference.actual as u64))
}

/// The rows that differ, cell by cell.
pub fn table(terminal: &Terminal, difference: &Difference) -> String {
    let shown = columns(difference);
    let mut grid: Vec<(Sign, Vec<Shown>)> = Vec::new();
    for line in difference.lines.iter().take(MOST_ROWS) {
        grid.push(match line {
            Line::Changed(cells) => {
                (Sign::Changed, shown.iter().map(|at| changed(terminal, &cells[*at])).collect())
            }
            Line::Missing(cells) => {
                (Sign::Missing, shown.iter().map(|at| plain(terminal, &cells[*at], Paint::Red)).collect())
            }
            Line::Extra(cells) => {
                (Sign::Extra, shown.iter().map(|at| plain(terminal, &cells[*at], Paint::Green)).collect())
            }
        });
    }
    let widths: Vec<usize> = shown
        .iter()
        .enumerate()
        .map(|(index, at)| {
            let cells = grid.iter().map(|(_, cells)| cells[index].width);
            cells.max().unwrap_or(0).max(difference.columns[*at].chars().count())
        })
        .collect();
    let mut text = String::new();
    let head: Vec<String> =
        shown.iter().zip(&widths).map(|(at, width)| format!("{:<width$}", difference.columns[*at])).collect();
    let more = difference.columns.len() - shown.len();
    let more =
        if more > 0 { format!("  (and {more} more columns that are the same)") } else { String::new() };
    let head = format!("      {}{more}", head.join("  "));
    if !shown.is_empty() {
        text += &terminal.paint(Paint::Dim, head.trim_end());
        text.push('\n');
    }
    for (sign, cells) in &grid {
        let (mark, paint, words) = match sign {
            Sign::Changed => ("~", Paint::Yellow, ""),
            Sign::Missing => ("-", Paint::Red, "expected, did not come"),
            Sign::Extra => ("+", Paint::Green, "came, not expected"),
        };
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{}{}", cell.text, " ".repeat(width.saturating_sub(cell.width))));
        let row = padded.collect::<Vec<_>>().join("  ");
        let row = if words.is_empty() { row.trim_end().to_owned() } else { format!("{row}   {words}") };
        let _ = writeln!(text, "    {} {}", terminal.paint(paint, mark), row);
    }
    if difference.lines.len() > MOST_ROWS {
        let rest = (difference.lines.len() - MOST_ROWS) as u64;
        let _ = writeln!(text, "      ... and {}", counted(rest, "more row", "more rows"));
    }
    text
}

#[derive(Clone, Copy)]
enum Sign {
    Changed,
    Missing,
    Extra,
}

/// A cell with its colours, and how wide it looks.
struct Shown {
    text: String,
    width: usize,
}

/// The columns that are shown: those that differ, and the first of the others.
fn columns(difference: &Difference) -> Vec<usize> {
    let differs = |at: usize| {
        difference.lines.iter().any(|line| matches!(line, Line::Changed(cells) if cells[at].0 != cells[at].1))
    };
    let mut others = 0;
    (0..difference.columns.len())
        .filter(|at| {
            let wanted = differs(*at) || others < MOST_COLUMNS;
            others += usize::from(wanted && !differs(*at));
            wanted
        })
        .collect()
}

fn plain(terminal: &Terminal, cell: &Cell, paint: Paint) -> Shown {
    let text = cut(&written(cell));
    Shown { width: text.chars().count(), text: terminal.paint(paint, &text) }
}

/// `expected → came`, or the value where it is as expected.
fn changed(terminal: &Terminal, (expected, actual): &(Cell, Cell)) -> Shown {
    if expected == actual {
        let text = cut(&written(expected));
        return Shown { width: text.chars().count(), text };
    }
    let arrow = if terminal.signs.dot.is_ascii() { "->" } else { "→" };
    let (old, new) = (written(expected), written(actual));
    let (old, new) = around(&old, &new);
    let width = old.chars().count() + new.chars().count() + arrow.chars().count() + 2;
    let text = format!(
        "{} {} {}",
        inked(terminal, &old, &new, ChangeTag::Delete, Paint::Red),
        terminal.paint(Paint::Dim, arrow),
        inked(terminal, &old, &new, ChangeTag::Insert, Paint::Green),
    );
    Shown { text, width }
}

/// One side of a change: what is not on the other side has the colour.
fn inked(terminal: &Terminal, old: &str, new: &str, side: ChangeTag, paint: Paint) -> String {
    let whole = if side == ChangeTag::Delete { old } else { new };
    let diff = TextDiff::from_chars(old, new);
    // Letters that two words have in common by chance say nothing, nor do digits.
    if diff.ratio() < 0.5 || whole == "NULL" || whole.parse::<f64>().is_ok() {
        return terminal.paint(paint, whole);
    }
    let mut text = String::new();
    let mut run = String::new();
    for change in diff.iter_all_changes() {
        if change.tag() == side {
            run.push_str(change.value());
        } else if change.tag() == ChangeTag::Equal {
            if !run.is_empty() {
                text += &terminal.paint(paint, &std::mem::take(&mut run));
            }
            text.push_str(change.value());
        }
    }
    if !run.is_empty() {
        text += &terminal.paint(paint, &run);
    }
    text
}

/// A value in one line. Text that would look like something else, or whose blanks would not be seen, is in quotes.
fn written(cell: &Cell) -> String {
    let Some(text) = cell else { return "NULL".into() };
    let clean: String = text.chars().map(visible).collect();
    match text.is_empty() || text.trim() != text || text.eq_ignore_ascii_case("null") {
        true => format!("'{clean}'"),
        false => clean,
    }
}

/// Control characters as `\n`, `\u{1b}`; all others as they are.
fn visible(c: char) -> String {
    match c.is_control() {
        true => c.escape_default().collect(),
        false => c.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Two long texts cut to what is around their first difference.
fn around(old: &str, new: &str) -> (String, String) {
    let common = old.chars().zip(new.chars()).take_while(|(one, other)| one == other).count();
    let from =
        if old.chars().count().max(new.chars().count()) > WIDEST { common.saturating_sub(10) } else { 0 };
    let part = |text: &str| {
        let lead = if from > 0 { "..." } else { "" };
        let rest: String = text.chars().skip(from).collect();
        format!("{lead}{}", cut(&rest))
    };
    (part(old), part(new))
}
