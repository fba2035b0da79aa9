//! Marks in rendered text: where a relation's name stands, and which template line a line came from.
//!
//! A mark is made of private-use characters of plane 15, so it survives concatenation, joining and trimming. Marks
//! for relations may be part of values. **Marks for lines never are**: they exist only in text that is being
//! written. At the places where written text becomes a value (the result of a macro, a `{% set %}` block, a
//! `{% filter %}` block, a `caller()`), they are taken out and kept beside the session, keyed by the plain text; when
//! that very text is written again, they come back. So a value compares, measures and slices as in plain Jinja, and
//! text that was changed on the way is attributed to the line that writes it.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::SourceFile;
use crate::names::NodeId;
use crate::sql::rendered::{Origin, Rendered, Slot};

const LINE: char = '\u{F0000}';
const OPEN: char = '\u{F0001}';
const CLOSE: char = '\u{F0002}';
const DIGITS: u32 = 0xF1000;
const BASE: u32 = 4096;

/// The first byte of every mark in UTF-8, which is rare enough in real text to look for first.
const FIRST_BYTE: u8 = 0xF3;

/// Whether a character is one that marks are made of.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0xF0000..=0xF1FFF)
}

/// Whether a text holds characters that marks are made of.
pub(super) fn is_marked(text: &str) -> bool {
    text.as_bytes().contains(&FIRST_BYTE) && text.chars().any(is_mark)
}

/// The byte place of the first such character.
pub(super) fn find(text: &str) -> Option<Range<usize>> {
    if !text.as_bytes().contains(&FIRST_BYTE) {
        return None;
    }
    text.char_indices().find(|(_, c)| is_mark(*c)).map(|(at, c)| at..at + c.len_utf8())
}

fn push_number(text: &mut String, number: u32) {
    for digit in [number / BASE % BASE, number % BASE] {
        text.push(char::from_u32(DIGITS + digit).unwrap_or('\u{F1000}'));
    }
}

fn number(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut digit = || chars.next().map(u32::from).filter(|c| (DIGITS..DIGITS + BASE).contains(c));
    Some((digit()? - DIGITS) * BASE + digit()? - DIGITS)
}

/// Writes the mark of a line of a file.
pub(super) fn push_line(text: &mut String, file: u32, line: u32) {
    text.push(LINE);
    push_number(text, file);
    push_number(text, line);
}

/// The text of a relation with its marks.
pub(super) fn relation(index: usize, name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 16);
    text.push(OPEN);
    push_number(&mut text, u32::try_from(index).unwrap_or(u32::MAX));
    text.push_str(name);
    text.push(CLOSE);
    text
}

/// The text without any marks.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !is_mark(*c)).collect()
}

/// The text without the marks of lines, if it has any.
pub(super) fn without_lines(text: &str) -> Option<String> {
    let mut rest = text;
    let mut plain = None;
    while let Some(at) = rest.find(LINE) {
        let plain = plain.get_or_insert_with(|| String::with_capacity(text.len()));
        plain.push_str(&rest[..at]);
        // five characters of four bytes each
        rest = rest.get(at + 20..).unwrap_or("");
    }
    plain.map(|mut plain| {
        plain.push_str(rest);
        plain
    })
}

/// What was done to a relation's name that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// Takes every mark out of a written text.
pub(super) fn extract(
    text: &str,
    nodes: &[NodeId],
    file: impl Fn(u32) -> Option<Arc<SourceFile>>,
) -> Result<Rendered, Damaged> {
    let mut sql = String::with_capacity(text.len());
    let mut slots = Vec::new();
    let mut origins = Vec::new();
    let mut current: Option<(u32, u32)> = None;
    // the mark that leads this line, as long as nothing that can be seen stands before it
    let mut line: Option<(u32, u32)> = None;
    let mut seen = false;
    let mut open: Option<(usize, usize)> = None;
    let origin = |place: Option<(u32, u32)>| {
        let (index, line) = place?;
        Some(Origin { file: file(index)?, line: line as usize })
    };
    let mut rest = text;
    loop {
        let Some(next) = rest.find([LINE, OPEN, CLOSE, '\n']) else {
            sql.push_str(rest);
            break;
        };
        let before = &rest[..next];
        sql.push_str(before);
        if !seen && !before.trim().is_empty() {
            seen = true;
        }
        let mut chars = rest[next..].chars();
        match chars.next() {
            Some('\n') => {
                sql.push('\n');
                origins.push(origin(line));
                line = current;
                seen = false;
            }
            Some(LINE) => {
                let place = (number(&mut chars).ok_or(Damaged)?, number(&mut chars).ok_or(Damaged)?);
                current = Some(place);
                if !seen {
                    line = current;
                }
            }
            Some(OPEN) => {
                let index = number(&mut chars).ok_or(Damaged)? as usize;
                if open.is_some() || index >= nodes.len() {
                    return Err(Damaged);
                }
                seen = true;
                open = Some((index, sql.len()));
            }
            _ => {
                let (index, start) = open.take().ok_or(Damaged)?;
                slots.push(Slot { range: start..sql.len(), node: nodes[index].clone() });
            }
        }
        rest = chars.as_str();
    }
    origins.push(origin(line));
    if open.is_some() || is_marked(&sql) {
        return Err(Damaged);
    }
    if sql.is_empty() || sql.ends_with('\n') {
        origins.pop();
    }
    Ok(Rendered { sql, slots, origins })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_out_and_are_remembered() {
        let mut text = String::from("  ");
        push_line(&mut text, 0, 3);
        text.push_str("select ");
        text.push_str(&relation(0, "\"a\".\"b\""));
        text.push_str("\nx");
        let nodes = [NodeId::new("model", "p", "b")];
        let file = SourceFile::new("m.sql", "");
        let rendered = extract(&text, &nodes, |_| Some(Arc::clone(&file))).expect("whole marks");
        assert_eq!(rendered.sql, "  select \"a\".\"b\"\nx");
        assert_eq!(rendered.slots[0].range, 9..16);
        assert_eq!(rendered.origins.len(), 2);
        assert_eq!(rendered.origins[0].as_ref().map(|o| o.line), Some(3));
    }

    #[test]
    fn a_cut_relation_is_noticed() {
        let text = relation(0, "\"a\".\"b\"");
        let nodes = [NodeId::new("model", "p", "b")];
        let cut = text.split('.').next().expect("a part");
        assert!(extract(cut, &nodes, |_| None).is_err());
    }
}
