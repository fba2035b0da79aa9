//! The items of a SELECT: the text of each output and where it stands. It is found by brackets and words alone, so it is
//! good for showing a person the place and for nothing else.

use std::ops::Range;

/// An item of the outermost SELECT list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name that it seems to give its output: an alias, or the last part of a name. A star has none.
    pub name: Option<String>,
    /// Its bytes in the SQL, without blanks around it.
    pub range: Range<usize>,
    /// The bytes of the expression, without an alias.
    pub expression: Range<usize>,
}

/// The select list of a query's first branch: where it starts, and its items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectList {
    /// The word `select`.
    pub select: Option<Range<usize>>,
    /// The items in order.
    pub items: Vec<Item>,
}

impl SelectList {
    /// The item of an output, by its name in any case.
    pub fn find(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name)))
    }

    /// The first star, which an output without an item of its own comes from.
    pub fn star(&self) -> Option<&Item> {
        self.items.iter().find(|item| item.name.is_none())
    }
}

/// A word, a quoted name, or any other character that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    range: Range<usize>,
    kind: TokenKind,
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Word,
    Quoted,
    Other,
}

/// Words that end a select list.
const ENDS: [&str; 14] = [
    "from",
    "where",
    "group",
    "having",
    "qualify",
    "window",
    "order",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "using",
    "sample",
];

/// Finds the items.
pub fn select_list(sql: &str) -> SelectList {
    let tokens = tokens(sql);
    let is = |token: &Token, word: &str| {
        token.kind == TokenKind::Word && sql[token.range.clone()].eq_ignore_ascii_case(word)
    };
    let Some(start) = tokens.iter().position(|token| token.depth == 0 && is(token, "select")) else {
        return SelectList::default();
    };
    let mut list = SelectList { select: Some(tokens[start].range.clone()), items: Vec::new() };
    let mut at = start + 1;
    if tokens.get(at).is_some_and(|token| is(token, "distinct") || is(token, "all")) {
        at += 1;
        if tokens.get(at).is_some_and(|token| is(token, "on")) {
            at += 1;
            // The opening bracket is one level below what stands in it.
            while tokens.get(at).is_some_and(|token| token.depth > 0) {
                at += 1;
            }
        }
    }
    let mut item: Vec<&Token> = Vec::new();
    for token in &tokens[at..] {
        let text = &sql[token.range.clone()];
        if token.depth == 0 && text == "," {
            list.items.extend(item_of(sql, &item));
            item.clear();
            continue;
        }
        let ends = token.kind == TokenKind::Word && ENDS.iter().any(|word| word.eq_ignore_ascii_case(text));
        if token.depth == 0 && (ends || text == ";") {
            break;
        }
        item.push(token);
    }
    list.items.extend(item_of(sql, &item));
    list
}

fn item_of(sql: &str, tokens: &[&Token]) -> Option<Item> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let range = first.range.start..last.range.end;
    let text = |token: &Token| &sql[token.range.clone()];
    let plain = |token: &Token| match token.kind {
        TokenKind::Quoted if text(token).starts_with('"') => {
            Some(text(token).trim_matches('"').replace("\"\"", "\""))
        }
        TokenKind::Word => Some(text(token).to_owned()),
        _ => None,
    };
    let star = tokens.iter().any(|token| token.depth == 0 && text(token) == "*");
    let ends_in_name = last.depth == 0 && plain(last).is_some();
    let before = tokens.len().checked_sub(2).map(|at| tokens[at]);
    let is_alias = before.is_some_and(|token| {
        let word = text(token);
        word.eq_ignore_ascii_case("as")
            || (word != "." && !word.ends_with([':', '*', '+', '-', '/', '|', '=']))
    });
    if star && !(ends_in_name && before.is_some_and(|token| text(token).eq_ignore_ascii_case("as"))) {
        // A product has a star between two operands and mostly an alias; one without an alias has no good name.
        return Some(Item { name: None, expression: range.clone(), range });
    }
    if !ends_in_name {
        return Some(Item { name: Some(sql[range.clone()].to_owned()), expression: range.clone(), range });
    }
    let mut end = range.end;
    if is_alias && let Some(before) = before {
        let as_word = text(before).eq_ignore_ascii_case("as");
        // Before a bare `as name`, which is no SQL, nothing stands.
        let kept = tokens.len().checked_sub(if as_word { 3 } else { 2 });
        end = kept.map_or(range.end, |kept| tokens[kept].range.end);
    }
    Some(Item { name: plain(last), expression: range.start..end.max(range.start), range })
}

fn tokens(sql: &str) -> Vec<Token> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = sql[at..].find('\n').map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = sql[at + 2..].find("*/").map_or(bytes.len(), |end| at + 2 + end + 2);
                continue;
            }
            quote @ (b'\'' | b'"') => {
                at += 1;
                while at < bytes.len() {
                    if bytes[at] == quote {
                        at += 1;
                        if bytes.get(at) != Some(&quote) {
                            break;
                        }
                    }
                    at += 1;
                }
                at = at.min(bytes.len());
                TokenKind::Quoted
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 => {
                while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80) {
                    at += 1;
                }
                TokenKind::Word
            }
            _ => {
                at += 1;
                TokenKind::Other
            }
        };
        let opens = matches!(bytes[start], b'(' | b'[' | b'{');
        let closes = matches!(bytes[start], b')' | b']' | b'}');
        let bracket = kind == TokenKind::Other && (opens || closes);
        let inside = if bracket && opens { depth + 1 } else { depth };
        found.push(Token { range: start..at, kind, depth: inside });
        if bracket && opens {
            depth += 1;
        } else if bracket {
            depth = depth.saturating_sub(1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(sql: &str) -> String {
        let list = select_list(sql);
        let lines = list.items.iter().map(|item| {
            format!("{} = {}", item.name.as_deref().unwrap_or("*"), &sql[item.expression.clone()])
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn items_are_found_by_their_names() {
        let sql = "with a as (select x, y from t)\n-- select no\nselect a.x, coalesce(y, 0) as \"total y\", 'a, b' b,\n \
                   case when x > 1 then 'from' end kind, y::int, count(*) as n from a where x = 1";
        insta::assert_snapshot!(
            items(sql),
            @r#"x = a.x; total y = coalesce(y, 0); b = 'a, b'; kind = case when x > 1 then 'from' end; int = y::int; n = count(*)"#
        );
    }

    #[test]
    fn stars_have_no_name() {
        insta::assert_snapshot!(items("select distinct *, a * b as c from t"), @"* = *; c = a * b");
        insta::assert_snapshot!(items("select distinct on (a, b) t.* exclude (x), d from t"), @"* = t.* exclude (x); d = d");
        assert_eq!(select_list("from t").items, Vec::new());
    }

    #[test]
    fn positions_are_those_of_the_text() {
        let sql = "select\n  a,\n  b + 1 as c\nfrom t";
        let list = select_list(sql);
        assert_eq!(&sql[list.find("C").unwrap().range.clone()], "b + 1 as c");
    }
}
