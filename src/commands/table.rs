//! Tables for people.

use comfy_table::{Table, presets};

use super::terminal::Terminal;

/// A table with a head, ending in a newline. It is as wide as its cells: a pager or a pipe wants whole lines.
pub fn render(terminal: &Terminal, head: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(match terminal.signs.dot.is_ascii() {
        true => presets::ASCII_FULL_CONDENSED,
        false => presets::UTF8_FULL_CONDENSED,
    });
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}
