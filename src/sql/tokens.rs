//! SQL read as tokens: what is formatting and what is not, which functions are called, where a statement begins.
//!
//! The tokenizer is sqlparser's. Where it cannot read what DuckDB can, the answers are the careful ones: the text as it
//! stands, no function found by name but searched for as text.

use std::fmt::Write;

use sqlparser::dialect::DuckDbDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// What the tokens of a statement say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The text without comments and with single spaces: two texts that differ in formatting alone give the same.
    /// Keywords that can be nothing else are lower-cased; names keep their case, because DuckDB keeps it in a result's
    /// columns.
    pub normalised: String,
    /// The first thing that makes the statement's result differ from run to run, as a person would name it.
    pub volatile: Option<String>,
}

/// Reads a statement's tokens once for all that a plan asks of them.
pub fn read(sql: &str) -> Reading {
    match tokens(sql) {
        Some(tokens) => Reading { normalised: normalised(&tokens, sql.len()), volatile: volatile(&tokens) },
        None => {
            let lower = sql.to_lowercase();
            let mut all = VOLATILE.iter().chain(&READERS);
            let found = all.find(|name| lower.contains(&format!("{name}(")));
            Reading { normalised: sql.trim().to_owned(), volatile: found.map(|name| format!("{name}()")) }
        }
    }
}

fn normalised(tokens: &[Token], size: usize) -> String {
    let mut text = String::with_capacity(size);
    for token in tokens {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        match token {
            Token::Word(word) if word.quote_style.is_none() && is_reserved(&word.value) => {
                text.extend(word.value.chars().map(|letter| letter.to_ascii_lowercase()));
            }
            other => {
                // Writing into a string cannot fail.
                let _ = write!(text, "{other}");
            }
        }
    }
    while let Some(shorter) = text.strip_suffix(';') {
        text.truncate(shorter.trim_end().len());
    }
    text
}

fn tokens(sql: &str) -> Option<Vec<Token>> {
    Tokenizer::new(&DuckDbDialect {}, sql).with_unescape(false).tokenize().ok()
}

/// Words that no column can be called without quotes.
fn is_reserved(word: &str) -> bool {
    const RESERVED: [&str; 34] = [
        "all",
        "and",
        "as",
        "asc",
        "case",
        "cast",
        "desc",
        "distinct",
        "else",
        "end",
        "except",
        "from",
        "group",
        "having",
        "in",
        "intersect",
        "into",
        "join",
        "lateral",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "or",
        "order",
        "qualify",
        "select",
        "then",
        "union",
        "using",
        "when",
        "where",
        "with",
    ];
    word.len() <= 9 && RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// Functions whose result is another one each time, and functions that read what Kiln does not watch.
const VOLATILE: [&str; 28] = [
    "now",
    "today",
    "random",
    "uuid",
    "uuidv4",
    "uuidv7",
    "gen_random_uuid",
    "current_timestamp",
    "current_date",
    "current_time",
    "get_current_timestamp",
    "get_current_time",
    "current_localtime",
    "current_localtimestamp",
    "localtime",
    "localtimestamp",
    "transaction_timestamp",
    "clock_timestamp",
    "statement_timestamp",
    "txid_current",
    "nextval",
    "currval",
    "setseed",
    "getenv",
    "current_user",
    "session_user",
    "version",
    "pg_backend_pid",
];

/// Those among them that are called without parentheses.
const BARE: [&str; 5] = ["current_timestamp", "current_date", "current_time", "localtime", "localtimestamp"];

const READERS: [&str; 14] = [
    "read_csv",
    "read_csv_auto",
    "sniff_csv",
    "read_parquet",
    "parquet_scan",
    "parquet_metadata",
    "read_json",
    "read_json_auto",
    "read_json_objects",
    "read_ndjson",
    "read_ndjson_auto",
    "read_text",
    "read_blob",
    "glob",
];

fn volatile(tokens: &[Token]) -> Option<String> {
    let significant: Vec<&Token> =
        tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    for (at, token) in significant.iter().enumerate() {
        let called = matches!(significant.get(at + 1), Some(Token::LParen));
        match token {
            Token::Word(word) if word.quote_style.is_none() => {
                let is_one_of =
                    |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(&word.value));
                let after_dot = at > 0 && matches!(significant[at - 1], Token::Period);
                let is_function = called
                    && (is_one_of(&VOLATILE)
                        || is_one_of(&READERS)
                        || (is_one_of(&["age"]) && has_one_argument(&significant[at + 2..])));
                if is_function || (!after_dot && is_one_of(&BARE)) {
                    let name = word.value.to_lowercase();
                    return Some(if called { format!("{name}()") } else { name });
                }
            }
            Token::SingleQuotedString(path) => {
                let after = at.checked_sub(1).and_then(|before| match significant[before] {
                    Token::Word(word) => Some(word.value.to_lowercase()),
                    _ => None,
                });
                if matches!(after.as_deref(), Some("from" | "join")) {
                    return Some(format!("the file '{path}'"));
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether what stands behind an opened parenthesis is one argument. `age(x)` counts from today, `age(x, y)` does not.
fn has_one_argument(tokens: &[&Token]) -> bool {
    let mut depth = 0_usize;
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen if depth == 0 => return true,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => return false,
            _ => {}
        }
    }
    true
}

/// Where each statement of a text begins, comments passed over; nothing where sqlparser cannot read it.
pub fn statements(sql: &str) -> Vec<usize> {
    let located = Tokenizer::new(&DuckDbDialect {}, sql).with_unescape(false).tokenize_with_location();
    let mut starts = Vec::new();
    let mut begins = true;
    for token in located.unwrap_or_default() {
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => begins = true,
            _ if begins => {
                starts.push(offset(sql, token.span.start.line, token.span.start.column));
                begins = false;
            }
            _ => {}
        }
    }
    starts
}

/// Whether a text surely closes only parentheses that it has opened, so that it can stand inside of some. What it cannot
/// follow (`$$`, escapes) it is not sure of.
pub fn is_closed(sql: &str) -> bool {
    let bytes = sql.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    let until = |from: usize, end: &str| sql[from..].find(end).map(|found| from + found + end.len());
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += 1;
        match byte {
            b'(' => depth += 1,
            b')' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            b'\'' | b'"' => match until(at, if *byte == b'"' { "\"" } else { "'" }) {
                Some(end) if !sql[at..end].contains('\\') => at = end,
                _ => return false,
            },
            b'-' if rest.starts_with(b"--") => {
                at = sql[at..].find(['\n', '\r']).map_or(bytes.len(), |found| at + found);
            }
            b'/' if rest.starts_with(b"/*") => match until(at + 1, "*/") {
                Some(end) if !sql[at + 1..end].contains("/*") => at = end,
                _ => return false,
            },
            b'$' | b'\\' | b';' => return false,
            _ => {}
        }
    }
    depth == 0
}

/// The text up to the semicolon that ends its statement, if nothing but comments follows; else up to its end.
pub fn without_end(sql: &str) -> &str {
    let located = Tokenizer::new(&DuckDbDialect {}, sql).with_unescape(false).tokenize_with_location();
    let Ok(tokens) = located else { return sql.trim_end().trim_end_matches(';') };
    let mut end = None;
    for token in tokens.iter().rev() {
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => end = Some(token.span.start),
            _ => break,
        }
    }
    match end {
        Some(end) => &sql[..offset(sql, end.line, end.column)],
        None => sql.trim_end(),
    }
}

/// The byte at a line and column as the tokenizer counts them.
fn offset(sql: &str, line: u64, column: u64) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => sql.match_indices('\n').nth(line as usize - 2).map_or(sql.len(), |(at, _)| at + 1),
    };
    let column = (column as usize).saturating_sub(1);
    sql[start..].char_indices().nth(column).map_or(sql.len(), |(at, _)| start + at)
}

/// Where common table expressions can be put in front of a query: after its own `WITH`, or at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CteSeat {
    /// The query has no `WITH`; write one at this byte.
    Start(usize),
    /// The query has one; write the expressions with a comma behind them at this byte.
    AfterWith(usize),
}

/// Finds the seat for more common table expressions.
pub fn cte_seat(sql: &str) -> CteSeat {
    let located = Tokenizer::new(&DuckDbDialect {}, sql).with_unescape(false).tokenize_with_location();
    let Ok(tokens) = located else { return CteSeat::Start(0) };
    let mut words = tokens.iter().filter(|token| {
        !matches!(
            token.token,
            Token::Whitespace(
                Whitespace::Space
                    | Whitespace::Newline
                    | Whitespace::Tab
                    | Whitespace::SingleLineComment { .. }
                    | Whitespace::MultiLineComment(_)
            )
        )
    });
    let offset = |line: u64, column: u64| offset(sql, line, column);
    let is = |token: &Token, wanted: &str| match token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    };
    let Some(first) = words.next() else { return CteSeat::Start(0) };
    let start = offset(first.span.start.line, first.span.start.column);
    if !is(&first.token, "with") {
        return CteSeat::Start(start);
    }
    match words.next() {
        Some(second) if is(&second.token, "recursive") => {
            CteSeat::AfterWith(offset(second.span.end.line, second.span.end.column))
        }
        _ => CteSeat::AfterWith(offset(first.span.end.line, first.span.end.column)),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, *};

    fn normalised(sql: &str) -> String {
        read(sql).normalised
    }

    fn volatile(sql: &str) -> Option<String> {
        read(sql).volatile
    }

    #[test]
    fn parentheses_are_followed_through_texts_and_comments() {
        for closed in [
            "select (1)",
            "select ')', \")\" -- )\n",
            "select 1 /* ) */",
            "select 'it''s )' from (x)",
            "select 1 -- (",
        ] {
            assert!(is_closed(closed), "{closed}");
        }
        for open in [
            "select 1) x, (select 2",
            "select '(') x, (select 2",
            "select (1",
            "select 1 -- (\r) x, (select 2",
            "select 1 /* /* */ ) */",
            "select E'\\'' ) --'",
            "select $$'$$",
            "select 'x",
            "select 1; select 2",
        ] {
            assert!(!is_closed(open), "{open}");
        }
    }

    #[test]
    fn formatting_does_not_matter() {
        let one = normalised("select a,b -- note\nfrom t where x='A  b';");
        let two = normalised("SELECT a , b\n\n  FROM t /* c */ WHERE x = 'A  b'");
        assert_eq!(one, two);
        assert_ne!(normalised("select a"), normalised("select A"));
        assert_ne!(normalised("select 'a b'"), normalised("select 'a  b'"));
        assert_ne!(normalised("select \"From\""), normalised("select \"from\""));
    }

    #[test]
    fn volatile_functions_are_found() {
        assert_eq!(volatile("select NOW ()").as_deref(), Some("now()"));
        assert_eq!(volatile("select current_date - 1").as_deref(), Some("current_date"));
        assert_eq!(volatile("select age(greatest(a, b))").as_deref(), Some("age()"));
        assert_eq!(volatile("select age(a, b), average(c)"), None);
        assert_eq!(volatile("select * from 'x.csv'").as_deref(), Some("the file 'x.csv'"));
        assert_eq!(volatile("select * from read_csv('x')").as_deref(), Some("read_csv()"));
        assert_eq!(volatile("select 'now()', t.current_date, random_seed(1) from t"), None);
    }

    #[test]
    fn the_end_of_a_statement_is_found() {
        assert_eq!(without_end("select ';' as a; -- the; end\n;"), "select ';' as a");
        assert_eq!(without_end("select 1 -- one;\n"), "select 1 -- one;");
        assert_eq!(without_end("select 'é'\n, 'é' ;"), "select 'é'\n, 'é' ");
        assert_eq!(without_end("select 1; select 2;"), "select 1; select 2");
    }

    #[test]
    fn a_seat_for_ctes_is_found() {
        assert_eq!(cte_seat("-- c\nselect 1"), CteSeat::Start(5));
        assert_eq!(cte_seat("with a as (select 1) select 2"), CteSeat::AfterWith(4));
        assert_eq!(cte_seat("/* é */ WITH RECURSIVE a as (select 1) select 2"), CteSeat::AfterWith(23));
    }
}
