//! A line of a template beside what it rendered to: which expression of the line wrote a piece of SQL that is not in it.

use std::ops::Range;

/// A piece of a template's line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text, written as it is.
    Text(Range<usize>),
    /// `{{ … }}`.
    Expression(Range<usize>),
    /// `{% … %}` or `{# … #}`.
    Silent,
}

/// The expression of a template's line that wrote the byte at `offset` of the line that it rendered to. Text around the
/// expressions is looked for in its order; `None` where that leaves it open.
pub(super) fn expression_at(template: &str, rendered: &str, offset: usize) -> Option<Range<usize>> {
    let pieces = pieces(template);
    aligned(&pieces, template, rendered, offset).or_else(|| {
        // What is not in the line as text can only come from its one expression.
        let mut all = expressions(&pieces);
        all.next().filter(|_| all.next().is_none())
    })
}

fn expressions(pieces: &[Piece]) -> impl Iterator<Item = Range<usize>> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Expression(range) => Some(range.clone()),
        Piece::Text(_) | Piece::Silent => None,
    })
}

fn aligned(pieces: &[Piece], template: &str, rendered: &str, offset: usize) -> Option<Range<usize>> {
    let mut at = 0;
    let mut since = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Text(range) = piece else { continue };
        // Blanks tell nothing, and tags may take them away.
        let text = template[range.clone()].trim();
        if text.is_empty() {
            continue;
        }
        let found = at + rendered.get(at..)?.find(text)?;
        if offset < found {
            return only(&pieces[since..index]);
        }
        at = found + text.len();
        since = index + 1;
        if offset < at {
            return None;
        }
    }
    only(&pieces[since..])
}

fn only(pieces: &[Piece]) -> Option<Range<usize>> {
    let mut all = expressions(pieces);
    all.next().filter(|_| all.next().is_none())
}

fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let tag = ["{{", "{%", "{#"].iter().filter_map(|open| line[at..].find(open)).min();
        let start = tag.map_or(line.len(), |start| at + start);
        if at < start {
            pieces.push(Piece::Text(at..start));
        }
        if start == line.len() {
            break;
        }
        let is_expression = line[start..].starts_with("{{");
        let close = match &line[start..start + 2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let end = line[start + 2..].find(close).map_or(line.len(), |end| start + 2 + end + 2);
        pieces.push(if is_expression { Piece::Expression(start..end) } else { Piece::Silent });
        at = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(template: &str, rendered: &str, written: &str) -> Option<String> {
        let offset = rendered.rfind(written).expect("it is there");
        expression_at(template, rendered, offset).map(|range| template[range].to_owned())
    }

    #[test]
    fn what_is_not_in_the_line_came_from_an_expression() {
        let line = "select {{ c }} from {{ ref('o') }}";
        assert_eq!(at(line, "select amuont from \"raw\".\"o\"", "amuont").as_deref(), Some("{{ c }}"));
        assert_eq!(at(line, "select amuont from \"raw\".\"o\"", "\"o\"").as_deref(), Some("{{ ref('o') }}"));
        let line = "  {{ c }} as {{ name(c) }}{% if not loop.last %},{% endif %}";
        assert_eq!(at(line, "  amuont as x_amuont,", "x_am").as_deref(), Some("{{ name(c) }}"));
        assert_eq!(at("a, {{- b }}", "a,bb", "bb").as_deref(), Some("{{- b }}"));
        // A loop in one line: its only expression.
        let line = "{% for c in cols %}{{ c }}, {% endfor %}";
        assert_eq!(at(line, "id, amuont, ", "amuont").as_deref(), Some("{{ c }}"));
    }

    #[test]
    fn what_is_left_open_is_said_to_be() {
        assert_eq!(at("{{ a }}{{ b }}", "ab", "b"), None);
        assert_eq!(at("{% if x %}", "y", "y"), None);
        assert_eq!(at("", "y", "y"), None);
        assert_eq!(at("{{ 'ä' ", "ü", "ü").as_deref(), Some("{{ 'ä' "));
    }
}
