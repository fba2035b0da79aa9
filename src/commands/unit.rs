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

/// How wide a table may be.
const WIDTH: usize = 80;

/// What is before the first column of a table, and between two.
const INDENT: usize = 6;
const GAP: usize = 2;

/// Most characters of a cell; of a text that changed, what is around the change.
const WIDEST: usize = 32;

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

/// The rows that differ, cell by cell: a table, or a line for each cell where a table would be wider than a terminal.
pub fn table(terminal: &Terminal, difference: &Difference) -> String {
    let lines = &difference.lines[..difference.lines.len().min(MOST_ROWS)];
    let mut text = match Grid::of(terminal, difference, lines) {
        Some(grid) => grid.text(terminal),
        None => tall(terminal, difference, lines),
    };
    if difference.lines.len() > lines.len() {
        let rest = (difference.lines.len() - lines.len()) as u64;
        let _ = writeln!(text, "      ... and {}", counted(rest, "more row", "more rows"));
    }
    text
}

/// The sign of a row, its colour, and what it says.
fn sign(line: &Line) -> (&'static str, Paint, &'static str) {
    match line {
        Line::Changed(_) => ("~", Paint::Yellow, ""),
        Line::Missing(_) => ("-", Paint::Red, "expected, did not come"),
        Line::Extra(_) => ("+", Paint::Green, "came, not expected"),
    }
}

/// The cell of a row in a column, of a changed row with both of its values.
fn shown(terminal: &Terminal, line: &Line, at: usize) -> Shown {
    match line {
        Line::Changed(cells) => changed(terminal, &cells[at]),
        Line::Missing(cells) => plain(terminal, &cells[at], Paint::Red),
        Line::Extra(cells) => plain(terminal, &cells[at], Paint::Green),
    }
}

/// A cell with its colours, and how wide it looks.
struct Shown {
    text: String,
    width: usize,
}

/// Columns under each other, with a head.
struct Grid<'d> {
    difference: &'d Difference,
    lines: &'d [Line],
    /// The columns that are shown, with what is shown in each row.
    columns: Vec<(usize, usize, Vec<Shown>)>,
}

impl<'d> Grid<'d> {
    /// All columns that differ, and the first of the others; `None` if those that differ are too wide together.
    fn of(terminal: &Terminal, difference: &'d Difference, lines: &'d [Line]) -> Option<Self> {
        let column = |at: usize| {
            let cells: Vec<Shown> = lines.iter().map(|line| shown(terminal, line, at)).collect();
            let widest = cells.iter().map(|cell| cell.width).max().unwrap_or(0);
            (at, widest.max(difference.columns[at].chars().count()), cells)
        };
        let differs = differing(difference, lines);
        let (must, may): (Vec<usize>, Vec<usize>) =
            (0..difference.columns.len()).partition(|at| differs.contains(at));
        let mut columns: Vec<_> = must.into_iter().map(column).collect();
        let mut width: usize = INDENT + columns.iter().map(|(_, width, _)| width + GAP).sum::<usize>();
        if width > WIDTH + GAP && (columns.len() > 1 || !may.is_empty()) {
            return None;
        }
        let mut others = 0;
        for at in may {
            let next = column(at);
            if others == MOST_COLUMNS || (width + next.1 > WIDTH && others + columns.len() > 0) {
                break;
            }
            width += next.1 + GAP;
            others += 1;
            columns.push(next);
        }
        // A row that nothing tells from the others needs lines of its own.
        if others == 0 && !columns.is_empty() && columns.len() < difference.columns.len() {
            return None;
        }
        columns.sort_by_key(|(at, ..)| *at);
        Some(Self { difference, lines, columns })
    }

    fn text(&self, terminal: &Terminal) -> String {
        let names = self.columns.iter().map(|(at, width, _)| {
            let name = &self.difference.columns[*at];
            format!("{name:<width$}")
        });
        let head = format!("      {}", names.collect::<Vec<_>>().join("  "));
        let mut text = String::new();
        if !self.columns.is_empty() {
            text += &terminal.paint(Paint::Dim, head.trim_end());
            text.push('\n');
        }
        let room = WIDTH
            .saturating_sub(INDENT + self.columns.iter().map(|(_, width, _)| width + GAP).sum::<usize>());
        let said_in_rows = self.lines.iter().all(|line| sign(line).2.chars().count() < room);
        for (at, line) in self.lines.iter().enumerate() {
            let (mark, paint, words) = sign(line);
            let cells = self.columns.iter().map(|(_, width, cells)| {
                let cell = &cells[at];
                format!("{}{}", cell.text, " ".repeat(width.saturating_sub(cell.width)))
            });
            let row = cells.collect::<Vec<_>>().join("  ");
            let row = match words.is_empty() || !said_in_rows {
                true => row.trim_end().to_owned(),
                false => format!("{row}   {words}"),
            };
            let _ = writeln!(text, "    {} {row}", terminal.paint(paint, mark));
        }
        let more = self.difference.columns.len() - self.columns.len();
        if more > 0 {
            let all_changed = self.lines.iter().all(|line| matches!(line, Line::Changed(_)));
            let same = if all_changed { " that are the same" } else { "" };
            let _ =
                writeln!(text, "      ... and {}{same}", counted(more as u64, "more column", "more columns"));
        }
        if !said_in_rows {
            text += &legend(terminal, self.lines);
        }
        text
    }
}

/// What the signs say, where the rows have no room for it.
fn legend(terminal: &Terminal, lines: &[Line]) -> String {
    let mut text = String::new();
    let firsts =
        ["-", "+"].iter().filter_map(|mark| lines.iter().map(sign).find(|(found, ..)| found == mark));
    for (mark, paint, words) in firsts {
        let _ = writeln!(text, "      {} {words}", terminal.paint(paint, mark));
    }
    text
}

/// The columns in which a changed row differs.
fn differing(difference: &Difference, lines: &[Line]) -> Vec<usize> {
    let differs = |at: usize| {
        lines.iter().any(|line| matches!(line, Line::Changed(cells) if cells[at].0 != cells[at].1))
    };
    (0..difference.columns.len()).filter(|at| differs(*at)).collect()
}

/// A line for each row, and below it one for each cell that differs.
fn tall(terminal: &Terminal, difference: &Difference, lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let (mark, paint, words) = sign(line);
        let is_other = |at: &usize| match line {
            Line::Changed(cells) => cells[*at].0 != cells[*at].1,
            Line::Missing(_) | Line::Extra(_) => false,
        };
        let mut row = String::new();
        let mut width = INDENT + words.chars().count();
        for at in (0..difference.columns.len()).filter(|at| !is_other(at)) {
            let cell = shown(terminal, line, at);
            let name = &difference.columns[at];
            width += name.chars().count() + cell.width + 1 + GAP;
            if width > WIDTH && !row.is_empty() {
                row += "...  ";
                break;
            }
            let _ = write!(row, "{} {}  ", terminal.paint(Paint::Dim, name), cell.text);
        }
        let _ = writeln!(text, "    {} {}", terminal.paint(paint, mark), format!("{row}{words}").trim_end());
        let others: Vec<usize> = (0..difference.columns.len()).filter(is_other).collect();
        let names = others.iter().map(|at| difference.columns[*at].chars().count());
        let widest = names.max().unwrap_or(0);
        for at in others {
            let cell = shown(terminal, line, at);
            let name = format!("{:<widest$}", difference.columns[at]);
            let _ = writeln!(text, "        {}  {}", terminal.paint(Paint::Dim, &name), cell.text);
        }
    }
    text
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
