//! The outside of a template: where its texts, expressions, tags and comments begin and end, and the tokens in them.
//!
//! It agrees with minijinja's own lexer on every template that minijinja accepts; what it cannot make sense of it
//! hands on untouched, so that minijinja says what is wrong.

use std::ops::Range;

/// What a piece of a template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Text that is written as it stands.
    Text,
    /// `{{ … }}`.
    Expression,
    /// `{% … %}`.
    Tag,
    /// `{# … #}`.
    Comment,
    /// The whole of `{% raw %}…{% endraw %}`; `inner` is the text in it.
    Raw,
    /// Something that is opened and never closed.
    Broken,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub kind: PieceKind,
    /// All of it, delimiters included.
    pub range: Range<usize>,
    /// What is between the delimiters and their `-` or `+`.
    pub inner: Range<usize>,
}

/// What a token inside a tag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Ident,
    Text,
    Number,
    Punct(u8),
}

/// A token inside a tag or an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub fn text<'s>(&self, source: &'s str) -> &'s str {
        &source[self.start..self.end]
    }

    pub fn is(&self, byte: u8) -> bool {
        self.kind == TokenKind::Punct(byte)
    }
}

/// The next piece at or after `at`, or `None` at the end.
pub(super) fn next_piece(source: &str, at: usize) -> Option<Piece> {
    let bytes = source.as_bytes();
    if at >= bytes.len() {
        return None;
    }
    let start = find_start(bytes, at);
    if start > at {
        return Some(Piece { kind: PieceKind::Text, range: at..start, inner: at..start });
    }
    let sign = |index: usize| usize::from(matches!(bytes.get(index), Some(b'-' | b'+')));
    let broken = Piece { kind: PieceKind::Broken, range: at..bytes.len(), inner: at + 2..bytes.len() };
    let piece = match bytes[at + 1] {
        b'#' => match source[at + 2..].find("#}") {
            Some(length) => {
                let end = at + 2 + length;
                Piece { kind: PieceKind::Comment, range: at..end + 2, inner: at + 2..end }
            }
            None => broken,
        },
        b'{' => match find_end(source, at + 2, b'}') {
            Some(end) => {
                let close = end - usize::from(matches!(bytes[end - 1], b'-' | b'+') && end > at + 2);
                let open = (at + 2 + sign(at + 2)).min(close);
                Piece { kind: PieceKind::Expression, range: at..end + 2, inner: open..close }
            }
            None => broken,
        },
        _ => match find_end(source, at + 2, b'%') {
            Some(end) => {
                let close = end - usize::from(matches!(bytes[end - 1], b'-' | b'+') && end > at + 2);
                let open = (at + 2 + sign(at + 2)).min(close);
                let tag = Piece { kind: PieceKind::Tag, range: at..end + 2, inner: open..close };
                match source[tag.inner.clone()].trim() == "raw" {
                    true => raw(source, &tag).unwrap_or(broken),
                    false => tag,
                }
            }
            None => broken,
        },
    };
    Some(piece)
}

/// The raw block that `tag` opens.
fn raw(source: &str, tag: &Piece) -> Option<Piece> {
    let mut at = tag.range.end;
    loop {
        let open = at + source[at..].find("{%")?;
        let rest = source[open + 2..].trim_start_matches(['-', '+']);
        let word = rest.trim_start();
        if let Some(tail) = word.strip_prefix("endraw") {
            let tail = tail.trim_start();
            let tail = tail.strip_prefix(['-', '+']).unwrap_or(tail);
            if let Some(tail) = tail.strip_prefix("%}") {
                let end = source.len() - tail.len();
                return Some(Piece {
                    kind: PieceKind::Raw,
                    range: tag.range.start..end,
                    inner: tag.range.end..open,
                });
            }
        }
        at = open + 2;
    }
}

fn find_start(bytes: &[u8], mut at: usize) -> usize {
    while at + 1 < bytes.len() {
        if bytes[at] == b'{' && matches!(bytes[at + 1], b'{' | b'%' | b'#') {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Where the closing `}}` or `%}` stands, minding strings and brackets as minijinja does.
fn find_end(source: &str, from: usize, first: u8) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut at = from;
    let mut depth = 0i32;
    while at < bytes.len() {
        let byte = bytes[at];
        if depth == 0 && byte == first && bytes.get(at + 1) == Some(&b'}') {
            return Some(at);
        }
        match byte {
            b'\'' | b'"' => at = string_end(bytes, at)?,
            b'(' | b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b')' | b']' | b'}' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == bytes[start] => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The tokens in a range.
pub(super) fn tokens(source: &str, range: Range<usize>) -> Vec<Token> {
    let bytes = source.as_bytes();
    let mut all = Vec::with_capacity(range.len() / 4);
    let mut at = range.start;
    while at < range.end {
        let byte = bytes[at];
        let start = at;
        let kind = match byte {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'\'' | b'"' => {
                at = string_end(bytes, at).unwrap_or(range.end).min(range.end);
                TokenKind::Text
            }
            b'0'..=b'9' => {
                while at < range.end && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                    at += 1;
                }
                TokenKind::Number
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                while at < range.end && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                    at += 1;
                }
                TokenKind::Ident
            }
            _ => {
                at += 1;
                while !source.is_char_boundary(at) {
                    at += 1;
                }
                TokenKind::Punct(byte)
            }
        };
        all.push(Token { kind, start, end: at });
    }
    all
}

/// The text of a string token without its quotes; escapes stay as they are written.
pub(super) fn unquoted<'s>(token: &Token, source: &'s str) -> &'s str {
    let text = token.text(source);
    text.get(1..text.len().saturating_sub(1)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(source: &str) -> String {
        let mut at = 0;
        let mut text = String::new();
        while let Some(piece) = next_piece(source, at) {
            text.push_str(&format!("{:?} {:?}\n", piece.kind, &source[piece.inner.clone()]));
            at = piece.range.end;
        }
        text
    }

    #[test]
    fn a_template_falls_into_pieces() {
        insta::assert_snapshot!(pieces("a {{- x['}}'] -}} {% if {'a': {}} %}{# {{ #}{% raw %}{{ y }}{%- endraw %} z {{ q"), @r#"
        Text "a "
        Expression " x['}}'] "
        Text " "
        Tag " if {'a': {}} "
        Comment " {{ "
        Raw "{{ y }}"
        Text " z "
        Broken " q"
        "#);
    }
}
