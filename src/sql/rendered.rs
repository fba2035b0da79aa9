//! What a template renders to: SQL with published names, where each `ref` and `source` stands in it, and the way
//! back from each of its lines to the template.

use std::ops::Range;
use std::sync::Arc;

use super::alignment::expression_at;
use crate::diagnostic::{Location, SourceFile};
use crate::names::NodeId;

/// A place in the SQL where a relation's name stands, quoted, as readers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Bytes in the SQL.
    pub range: Range<usize>,
    /// Whose name it is.
    pub node: NodeId,
}

/// Where a line of rendered SQL came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The template, or the macro's file.
    pub file: Arc<SourceFile>,
    /// 1-based line in it.
    pub line: usize,
}

/// Rendered SQL.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// The text with published names: it can be pasted into any DuckDB shell.
    pub sql: String,
    /// Its relations, in order, not overlapping.
    pub slots: Vec<Slot>,
    /// For each line of `sql` (0-based), where it came from, where that is known.
    pub origins: Vec<Option<Origin>>,
}

impl Rendered {
    /// The text with each relation replaced by what `name` says; `None` keeps the published name.
    pub fn with_relations(&self, mut name: impl FnMut(&NodeId) -> Option<String>) -> String {
        let mut text = String::with_capacity(self.sql.len() + 64 * self.slots.len());
        let mut at = 0;
        for slot in &self.slots {
            text.push_str(&self.sql[at..slot.range.start]);
            match name(&slot.node) {
                Some(name) => text.push_str(&name),
                None => text.push_str(&self.sql[slot.range.clone()]),
            }
            at = slot.range.end;
        }
        text.push_str(&self.sql[at..]);
        text
    }

    /// Where a template calls the macro that wrote a byte of `sql`; `None` where the template wrote it itself, or where
    /// the call is not on the template's line before.
    pub fn call(&self, offset: usize, template: &Arc<SourceFile>) -> Option<Location> {
        let line = self.sql[..self.sql.floor_char_boundary(offset)].matches('\n').count();
        let own = |origin: &&Origin| origin.file.path == template.path;
        if self.origins.get(line)?.as_ref().is_none_or(|origin| own(&origin)) {
            return None;
        }
        let before = self.origins[..line].iter().rev().flatten().find(own)?;
        let start = template.offset(before.line, 1);
        let text = template.text[start..].split('\n').next().unwrap_or("");
        let range = called_in(text)?;
        Some(Location::new(template, start + range.start..start + range.end))
    }

    /// The place in the user's template for a byte offset of `sql`: the line is exact; the column is found by the
    /// text around the offset where the template's line holds it, else it is that of the expression that wrote it, else
    /// the line's first character.
    pub fn locate(&self, offset: usize, length: usize) -> Option<Location> {
        let offset = self.sql.floor_char_boundary(offset);
        let line_start = self.sql[..offset].rfind('\n').map_or(0, |at| at + 1);
        let line = self.sql[..offset].matches('\n').count();
        let origin = self.origins.get(line)?.as_ref()?;
        let start = origin.file.offset(origin.line, 1);
        let template_line = origin.file.text[start..].split('\n').next().unwrap_or("");
        let end = (offset + length).min(self.sql.len());
        let written = self.sql.get(offset..end).unwrap_or("");
        let before = self.sql.get(line_start..offset).unwrap_or("");
        let occurrence = if written.is_empty() { 0 } else { before.matches(written).count() };
        let found = match written.is_empty() || written.contains('\n') {
            true => None,
            false => template_line
                .match_indices(written)
                .nth(occurrence)
                .or_else(|| template_line.match_indices(written).next()),
        };
        let rendered_line = self.sql[line_start..].split('\n').next().unwrap_or("");
        let wrote = || expression_at(template_line, rendered_line, offset - line_start);
        let found = found.map(|(at, text)| at..at + text.len()).or_else(wrote);
        let (from, to) = match found {
            Some(range) => (range.start, range.end),
            None => {
                let indent = template_line.len() - template_line.trim_start().len();
                (indent, template_line.trim_end().len().max(indent))
            }
        };
        Some(Location::new(&origin.file, start + from..start + to))
    }
}

/// The call of a macro in a template's line: its one expression that is no relation; all of the line where there are more.
fn called_in(line: &str) -> Option<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = ["{{", "{% call"].iter().filter_map(|open| line[at..].find(open)).min() {
        let blank = |c: char| c == '-' || c.is_whitespace();
        let from = at + open + 2;
        let end = line[from..].find(['}', '%']).map_or(line.len(), |end| from + end);
        let inner = line[from..end].trim_matches(blank);
        let start = end - line[from..end].trim_start_matches(blank).len();
        if !["ref(", "source(", "this", "config("].iter().any(|name| inner.starts_with(name)) {
            found.push(start..start + inner.len());
        }
        at = end;
    }
    match found.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        _ => Some(line.len() - line.trim_start().len()..line.trim_end().len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Rendered {
        let file = SourceFile::new("models/a.sql", "{% set x %}\nselect b, c\nfrom {{ ref('p') }}\n");
        let sql = "select b, c\nfrom \"s\".\"p\"\n".to_owned();
        let start = sql.find("\"s\"").expect("the relation is there");
        let origin = |line| Some(Origin { file: Arc::clone(&file), line });
        Rendered {
            slots: vec![Slot { range: start..start + 7, node: NodeId::new("model", "x", "p") }],
            origins: vec![origin(2), origin(3), None],
            sql,
        }
    }

    #[test]
    fn the_call_of_a_macro_is_found_in_a_line() {
        let called = |line: &str| called_in(line).map(|range| line[range].to_owned()).unwrap_or_default();
        assert_eq!(called("  {{- cents('a') -}} as x"), "cents('a')");
        assert_eq!(called("select {{ cents('a') }} from {{ ref('o') }}"), "cents('a')");
        assert_eq!(called("{% call wrap(1) %}x"), "call wrap(1)");
        assert_eq!(called("  {{ star("), "star(");
        assert_eq!(called("  {{ a() }}, {{ b() }} "), "{{ a() }}, {{ b() }}");
        assert_eq!(called("from {{ ref('o') }}"), "");
    }

    #[test]
    fn relations_are_replaced_where_they_stand() {
        let sql = rendered().with_relations(|_| Some("t".into()));
        assert_eq!(sql, "select b, c\nfrom t\n");
    }

    #[test]
    fn an_offset_is_found_in_the_template() {
        let rendered = rendered();
        let at = rendered.locate(10, 1).expect("a place");
        assert_eq!(at.to_string(), "models/a.sql:2:11");
        let at = rendered.locate(17, 7).expect("a place");
        assert_eq!(at.to_string(), "models/a.sql:3:6");
    }
}
