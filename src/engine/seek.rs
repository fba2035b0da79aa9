//! Seeking: where in a user's SQL a mistake is that DuckDB tells no place of, or a wrong one.
//!
//! The sentence names something, and the SQL is searched for it. What is found in two places that are as good is not
//! found: a place that may be wrong is worse than none.

use std::ops::Range;

use crate::diagnostic::nearest;
use crate::sql::rendered::Slot;

/// What is told of a place: where it begins and how long it is.
type Found = Option<(usize, usize)>;

/// The place of what an error's sentence is about. `told` is where DuckDB says that it is.
pub(super) fn place(message: &str, sql: &str, slots: &[Slot], told: Found) -> Found {
    if message.starts_with("unterminated quoted identifier") {
        return unclosed(sql, slots).or(told);
    }
    if told.is_some() {
        return told;
    }
    let tokens = tokens(sql);
    if message.starts_with("Max expression depth") {
        return deepest(&tokens, sql);
    }
    if message.starts_with("Set operations can only apply to expressions with the same number") {
        return uneven(&tokens, sql);
    }
    if message.starts_with("Deprecated lambda arrow") {
        return only(tokens.iter().filter(|token| token.is("->", sql)), 1);
    }
    if message.starts_with("Missing ASOF JOIN inequality") {
        return only(tokens.iter().filter(|token| token.is("asof", sql)), 1);
    }
    if let Some(most) = message.strip_prefix("GROUP BY term out of range - should be between 1 and ") {
        let most: usize = most.trim().parse().ok()?;
        return only(
            behind(&tokens, sql, "group").filter(|token| token.number(sql).is_some_and(|n| n > most)),
            1,
        );
    }
    let keyword = [("EXCLUDE list", "exclude"), ("REPLACE list", "replace"), ("RENAME list", "rename")];
    let keyword = keyword.iter().find(|(said, _)| message.contains(said)).map(|(_, keyword)| *keyword);
    let keyword = keyword.or_else(|| message.starts_with("window ").then_some("over"));
    let keyword = keyword.or_else(|| message.contains(" side of join").then_some("using"));
    let quote = message.find(['"', '\''])?;
    let mark = &message[quote..=quote];
    let name = message[quote + 1..].split(mark).next()?;
    if message.contains("referenced that exists in the SELECT clause") {
        return used_for_itself(&tokens, sql, name);
    }
    match keyword {
        Some(keyword) => only(behind(&tokens, sql, keyword).filter(|token| token.names(name, sql)), 1),
        None => only(tokens.iter().filter(|token| token.names(name, sql)), 1),
    }
}

/// What a syntax error at an offset may come from: a keyword with a slip in it, a comma or a bracket too many or too few.
pub(super) fn slip(sql: &str, offset: usize) -> Option<String> {
    let tokens = tokens(sql);
    let at = tokens.iter().position(|token| token.range.start >= offset)?;
    let (before, token) = (&tokens[..at], &tokens[at]);
    let text = |token: &Token| &sql[token.range.clone()];
    let keyword = |token: &Token| token.kind == Kind::Word && WORDS.iter().any(|word| token.is(word, sql));
    let near = |token: &Token| {
        let is_word = token.kind == Kind::Word && token.range.len() > 2 && !keyword(token);
        let found = is_word.then(|| nearest(text(token), WORDS)).flatten()?;
        Some(format!("did you mean `{found}` in place of `{}`?", text(token)))
    };
    if let Some(found) = near(token).or_else(|| before.last().and_then(near)) {
        return Some(found);
    }
    let last = before.last()?;
    if token.is(".", sql) && keyword(last) {
        return Some(format!("`{0}` is a word of the grammar: as a name, write `\"{0}\"`", text(last)));
    }
    let count = |word: &str| before.iter().filter(|token| token.is(word, sql)).count();
    if token.is(")", sql) && count(")") >= count("(") {
        return Some("this `)` closes nothing".into());
    }
    if last.is(",", sql) && (token.is(",", sql) || keyword(token)) {
        return Some("the comma before it is one too many".into());
    }
    if keyword(token)
        && count("case") > count("end")
        && !["when", "then", "else"].iter().any(|w| token.is(w, sql))
    {
        return Some("is an `end` missing before it?".into());
    }
    if keyword(token) && token.depth > 0 && !last.is("(", sql) && !keyword(last) {
        return Some("is a `)` missing before it?".into());
    }
    let value = |token: &Token| token.kind != Kind::Symbol && !keyword(token);
    if token.kind == Kind::Word && !keyword(token) && (last.is(")", sql) || last.is("end", sql)) {
        return Some(format!("if `{0}` is meant as a name, write `as \"{0}\"`", text(token)));
    }
    if let [.., other, last] = before
        && token.is("(", sql)
        && last.kind == Kind::Word
        && !keyword(last)
        && (value(other) || other.is(")", sql))
    {
        return Some(format!("is a comma missing before `{}`?", text(last)));
    }
    let comma = value(token) && value(last);
    comma.then(|| format!("is a comma missing before `{}`?", text(token)))
}

/// Words of the grammar that a slip may be meant for.
const WORDS: [&str; 40] = [
    "select",
    "distinct",
    "from",
    "where",
    "group",
    "having",
    "qualify",
    "order",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "join",
    "left",
    "right",
    "inner",
    "outer",
    "cross",
    "full",
    "using",
    "with",
    "recursive",
    "as",
    "on",
    "by",
    "and",
    "or",
    "not",
    "null",
    "like",
    "between",
    "case",
    "when",
    "then",
    "else",
    "end",
    "over",
    "partition",
    "filter",
];

/// The first of at most so many.
fn only<'a>(mut found: impl Iterator<Item = &'a Token>, most: usize) -> Found {
    let first = found.next()?;
    let more = found.count();
    (more < most).then_some((first.range.start, first.range.len()))
}

/// The tokens behind each of a keyword, up to the end of the brackets around them or the next clause.
fn behind<'a>(tokens: &'a [Token], sql: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a Token> {
    let ends = move |token: &Token| {
        ["select", "from", "where", "group", "having", "qualify", "order", "limit", "union", "join", ";"]
            .iter()
            .any(|word| token.is(word, sql))
    };
    let starts = tokens.iter().enumerate().filter(move |(_, token)| token.is(keyword, sql));
    starts.flat_map(move |(at, keyword)| {
        let depth = keyword.depth;
        tokens[at + 1..].iter().take_while(move |token| token.depth >= depth && !ends(token))
    })
}

/// The use of a name in the expression that gets this name: `a / 2 as a`.
fn used_for_itself(tokens: &[Token], sql: &str, name: &str) -> Found {
    let mut found = tokens.windows(2).enumerate().filter_map(|(at, pair)| {
        let [before, token] = pair else { return None };
        if !before.is("as", sql) || !token.names(name, sql) {
            return None;
        }
        let inside = |other: &&Token| {
            let ends = other.depth == before.depth && (other.is(",", sql) || other.is("select", sql));
            other.depth >= before.depth && !ends
        };
        tokens[..at].iter().rev().take_while(inside).filter(|other| other.names(name, sql)).last()
    });
    let first = found.next()?;
    found.next().is_none().then_some((first.range.start, first.range.len()))
}

/// The quote of a name that is never closed: a name that goes on over a `ref`.
fn unclosed(sql: &str, slots: &[Slot]) -> Found {
    let mut at = 0;
    while at < sql.len() {
        if let Some(slot) = slots.iter().find(|slot| slot.range.start == at) {
            at = slot.range.end;
            continue;
        }
        let length = length(&sql[at..]);
        let swallows = |slot: &Slot| at < slot.range.start && slot.range.start < at + length;
        if sql[at..].starts_with('"') && (slots.iter().any(swallows) || at + length == sql.len()) {
            let word = sql[at..].find(|c: char| c.is_whitespace() || c == ',').unwrap_or(1);
            return Some((at, word.max(1)));
        }
        at += length;
    }
    None
}

/// Where the expression begins that is nested deepest, by brackets and operators.
fn deepest(tokens: &[Token], sql: &str) -> Found {
    struct Frame {
        begins: usize,
        operators: usize,
        is_query: bool,
    }
    let frame = |begins| Frame { begins, operators: 0, is_query: false };
    let mut frames = vec![frame(0)];
    let (mut depth, mut best, mut found) = (0, 0, None);
    let mut begins_next = true;
    for (index, token) in tokens.iter().enumerate() {
        let text = &sql[token.range.clone()];
        let Some(top) = frames.last_mut() else { break };
        if begins_next {
            top.begins = token.range.start;
            depth -= top.operators;
            top.operators = 0;
            begins_next = false;
        }
        if CLAUSES.iter().any(|word| text.eq_ignore_ascii_case(word)) || text == "," {
            top.is_query |= text.eq_ignore_ascii_case("select") || text.eq_ignore_ascii_case("from");
            begins_next = true;
        } else if text == "(" || text == "[" {
            let next = tokens.get(index + 1).map_or(token.range.end, |next| next.range.start);
            frames.push(frame(next));
            depth += 1;
        } else if text == ")" || text == "]" {
            if frames.len() > 1
                && let Some(closed) = frames.pop()
            {
                depth -= closed.operators + 1;
            }
        } else if matches!(token.kind, Kind::Symbol) && text != "." && text != ";" {
            top.operators += 1;
            depth += 1;
        }
        if depth > best {
            best = depth;
            let outer = frames.iter().rfind(|frame| frame.is_query).or(frames.first());
            found = outer.map(|frame| frame.begins);
        }
    }
    let at = found?;
    let word = sql[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(1).max(1);
    Some((at, word))
}

const CLAUSES: [&str; 12] = [
    "select", "distinct", "from", "where", "group", "by", "having", "qualify", "order", "on", "union", "then",
];

/// The set operation whose SELECT has another number of columns than the first.
fn uneven(tokens: &[Token], sql: &str) -> Found {
    let is_operation = |token: &&Token| {
        let named = ["union", "except", "intersect"].iter().any(|word| token.is(word, sql));
        let follows = tokens.iter().find(|next| next.range.start >= token.range.end);
        // `* except (a)` is none.
        named
            && follows.is_some_and(|next| {
                ["all", "select", "distinct", "from"].iter().any(|w| next.is(w, sql))
                    || (next.is("(", sql) && !token.is("except", sql))
            })
    };
    let operations: Vec<&Token> = tokens.iter().filter(is_operation).collect();
    if let [operation] = operations.as_slice() {
        return Some((operation.range.start, operation.range.len()));
    }
    let columns = |from: usize, depth: usize| -> Option<usize> {
        let mut all = tokens.iter().filter(|token| token.range.start >= from);
        let select = all.find(|token| token.depth == depth && token.is("select", sql))?;
        let list = all.take_while(|token| {
            token.depth >= depth && !(token.depth == depth && (token.is("from", sql) || is_operation(token)))
        });
        let list: Vec<&Token> = list.filter(|token| token.depth == select.depth).collect();
        let star = |token: &&Token| token.is("*", sql) || token.is("columns", sql);
        match list.iter().any(star) {
            true => None,
            false => Some(1 + list.iter().filter(|token| token.is(",", sql)).count()),
        }
    };
    let first = operations.first()?;
    let same = operations.iter().filter(|operation| operation.depth == first.depth);
    let before = tokens.iter().rfind(|token| {
        token.range.start < first.range.start && token.depth == first.depth && token.is("select", sql)
    })?;
    let expected = columns(before.range.start, first.depth)?;
    let other = same.clone().map(|operation| (operation, columns(operation.range.end, first.depth)));
    let mut other = other.filter(|(_, count)| *count != Some(expected));
    let (operation, count) = other.next()?;
    count.is_some().then_some((operation.range.start, operation.range.len()))
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Name,
    Text,
    Symbol,
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    range: Range<usize>,
    /// How many brackets are open around it.
    depth: usize,
}

impl Token {
    /// Whether it is this word or symbol.
    fn is(&self, word: &str, sql: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Symbol) && sql[self.range.clone()].eq_ignore_ascii_case(word)
    }

    /// Whether it is this name, in quotes or not, or a text that holds nothing else.
    fn names(&self, name: &str, sql: &str) -> bool {
        let text = &sql[self.range.clone()];
        match self.kind {
            Kind::Word => text.eq_ignore_ascii_case(name),
            Kind::Name | Kind::Text => text[1..].trim_end_matches(['"', '\'']).eq_ignore_ascii_case(name),
            Kind::Symbol => false,
        }
    }

    fn number(&self, sql: &str) -> Option<usize> {
        sql[self.range.clone()].parse().ok()
    }
}

/// SQL as tokens, without blanks and comments.
fn tokens(sql: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(first) = sql.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = &sql[at..];
        let length = length(rest);
        let range = at..at + length;
        at += length;
        let kind = match first {
            _ if first.is_whitespace() || rest.starts_with("--") || rest.starts_with("/*") => continue,
            '"' => Kind::Name,
            '\'' => Kind::Text,
            '_' => Kind::Word,
            _ if first.is_alphanumeric() => Kind::Word,
            _ => Kind::Symbol,
        };
        if [")", "]"].contains(&&rest[..length]) {
            depth = depth.saturating_sub(1);
        }
        all.push(Token { kind, range, depth });
        if ["(", "["].contains(&&rest[..length]) {
            depth += 1;
        }
    }
    all
}

/// How long the token, blank or comment is with which a text begins that is not empty.
fn length(rest: &str) -> usize {
    let first = rest.chars().next().unwrap_or(' ');
    let until =
        |start: usize, end: &str| rest[start..].find(end).map_or(rest.len(), |at| start + at + end.len());
    match first {
        '\'' | '"' => {
            let quote = &rest[..1];
            let mut end = until(1, quote);
            while rest[end..].starts_with(quote) {
                end = until(end + 1, quote);
            }
            end
        }
        _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
        _ if rest.starts_with("/*") => until(2, "*/"),
        _ if rest.starts_with("->") => 2,
        _ if first.is_alphanumeric() || first == '_' => {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len())
        }
        _ => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str, sql: &str) -> String {
        match place(message, sql, &[], None) {
            Some((at, length)) => format!("{}«{}»", &sql[..at], &sql[at..at + length]),
            None => "nowhere".into(),
        }
    }

    #[test]
    fn what_the_sentence_names_is_found() {
        let exclude = "Column \"amont\" in EXCLUDE list not found in FROM clause";
        assert_eq!(found(exclude, "select amont, * exclude (amont)"), "select amont, * exclude («amont»");
        assert_eq!(found(exclude, "select 1"), "nowhere");
        let window = "window \"w2\" does not exist";
        assert_eq!(found(window, "select sum(a) over w2 -- w2"), "select sum(a) over «w2»");
        let join = "Column \"id\" does not exist on right side of join!";
        assert_eq!(found(join, "select id from a join b using (id)"), "select id from a join b using («id»");
        let key = "Could not find key \"b\" in struct";
        assert_eq!(found(key, "select s.b"), "select s.«b»");
        assert_eq!(found(key, "select s['b']"), "select s[«'b'»");
        assert_eq!(found(key, "select s.b, t.b"), "nowhere", "either may be meant");
        let itself = "Column \"a\" referenced that exists in the SELECT clause - but";
        assert_eq!(found(itself, "select b, f(a, 2) as a, c"), "select b, f(«a»");
        assert_eq!(found(itself, "select a + 1 as a from (select a + 2 as a from t)"), "nowhere");
        let part = "extract specifier \"mnth\" not recognized";
        assert_eq!(found(part, "select date_trunc('mnth', d)"), "select date_trunc(«'mnth'»");
        let term = "GROUP BY term out of range - should be between 1 and 2";
        assert_eq!(found(term, "select 7, b group by 1, 3"), "select 7, b group by 1, «3»");
        let arrow = "Deprecated lambda arrow (->) detected";
        assert_eq!(found(arrow, "select f([1], x -> '->')"), "select f([1], x «->»");
    }

    #[test]
    fn the_select_with_other_columns_is_found() {
        let message = "Set operations can only apply to expressions with the same number of result columns";
        assert_eq!(found(message, "select * from a union all select 1"), "select * from a «union»");
        let three = "select a, f(b, c) from t union all select 1, 2 union select 1 from u union select 2, 3";
        assert_eq!(found(message, three), "select a, f(b, c) from t union all select 1, 2 «union»");
        assert_eq!(found(message, "select 1 union select * from t union select 2, 3"), "nowhere");
        let inside = "with x as (select 1, 2 union all select 3, 4 union all select 5) select * from x";
        assert_eq!(found(message, inside), "with x as (select 1, 2 union all select 3, 4 «union»");
        assert_eq!(
            found(message, "select * except (a) from t union select 1"),
            "select * except (a) from t «union»"
        );
    }

    #[test]
    fn the_deepest_expression_is_found() {
        let message = "Max expression depth limit of 1000 exceeded";
        assert_eq!(found(message, "select a + 1, abs(abs(abs(b))) as c, d"), "select a + 1, «abs»");
        assert_eq!(
            found(message, "select a from (select b, (((1))) as x from t)"),
            "select a from (select b, «(»"
        );
        assert_eq!(
            found(message, "select (a), b from t where a + b + c + d > 1"),
            "select (a), b from t where «a»"
        );
    }

    #[test]
    fn a_slip_is_guessed() {
        let guess =
            |sql: &str, near: &str| slip(sql, sql.rfind(near).expect("it is there")).unwrap_or_default();
        insta::assert_snapshot!([
            guess("selct a from t", "selct"),
            guess("select a form t", "t"),
            guess("select a from t were b > 3", "b"),
            guess("select a\n  b\n  c from t", "c"),
            guess("select max(a) as b\n  max(c) as d", "max"),
            guess("select a,, b", ", b"),
            guess("select sum(a as s from t", "as"),
            guess("select sum(a)) as s", ") as"),
            guess("select case when a then 1 else 0 as x", "as"),
            guess("select a is nul from t", "nul"),
            guess("select a from t where", "where"),
                guess("select sum(a) AT from t", "AT"),
                guess("select max(a)\n  min(b)", "(b"),
        ].join("\n"), @r#"
did you mean `select` in place of `selct`?
did you mean `from` in place of `form`?
did you mean `where` in place of `were`?
is a comma missing before `c`?
is a comma missing before `max`?
the comma before it is one too many
is a `)` missing before it?
this `)` closes nothing
is an `end` missing before it?
did you mean `null` in place of `nul`?

if `AT` is meant as a name, write `as "AT"`
is a comma missing before `min`?
"#);
    }

    #[test]
    fn a_name_over_a_ref_was_never_closed() {
        let sql = "select a,\n  \"amount as s\nfrom \"main\".\"o\"\n";
        let at = sql.find("\"main").expect("it is there");
        let node = crate::names::NodeId::new("model", "x", "o");
        let slots = [Slot { range: at..at + 10, node }];
        let (at, length) =
            place("unterminated quoted identifier", sql, &slots, Some((40, 1))).expect("a place");
        assert_eq!(&sql[at..at + length], "\"amount");
    }
}
