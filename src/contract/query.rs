//! The query of a quality rule as text: its placeholders, and whether it can be one query at all.

use std::sync::OnceLock;

use regex::Regex;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// A piece of a query as a contract writes it.
pub(super) enum Piece<'a> {
    Sql(&'a str),
    Object,
    Property,
}

/// Splits a query at the standard's placeholders, in each of the spellings in use. A query without one that reads the
/// model by its name after FROM or JOIN means the same.
pub(super) fn pieces<'a>(query: &'a str, model: &str) -> Vec<Piece<'a>> {
    static PLACEHOLDER: OnceLock<Regex> = OnceLock::new();
    let placeholder = PLACEHOLDER.get_or_init(|| {
        Regex::new(r"(?i)\$?\{(?:(object|table|model|schema)|(property|column|field))\}")
            .expect("a valid expression")
    });
    let mut found = Vec::new();
    let mut end = 0;
    for captures in placeholder.captures_iter(query) {
        let Some(whole) = captures.get(0) else { continue };
        found.push(Piece::Sql(&query[end..whole.start()]));
        found.push(if captures.get(1).is_some() { Piece::Object } else { Piece::Property });
        end = whole.end();
    }
    if found.is_empty() {
        let name = regex::escape(model);
        let by_name = format!(r#"(?i)\b(?:from|join)\s+((?:[\w"]+\.)*"?{name}"?)(?:[^\w."]|$)"#);
        for captures in Regex::new(&by_name).iter().flat_map(|by_name| by_name.captures_iter(query)) {
            let Some(name) = captures.get(1) else { continue };
            found.push(Piece::Sql(&query[end..name.start()]));
            found.push(Piece::Object);
            end = name.end();
        }
    }
    found.push(Piece::Sql(&query[end..]));
    found
}

/// Refuses what is plainly no single query. The engine's parser has the last word; this one says so earlier, and sees
/// that nothing closes the parenthesis that the query is put in.
pub(super) fn guard(query: &str) -> Result<(), String> {
    let Ok(tokens) = Tokenizer::new(&DuckDbDialect {}, query).tokenize() else { return Ok(()) };
    let first = tokens.iter().find(|token| !matches!(token, Token::Whitespace(_) | Token::LParen));
    let first = match first {
        Some(Token::Word(word)) => word.value.to_ascii_lowercase(),
        Some(other) => other.to_string(),
        None => return Err("there is no query".into()),
    };
    if !matches!(first.as_str(), "select" | "with" | "from" | "values") {
        return Err(format!("a quality rule's query must be a SELECT, and this begins with `{first}`"));
    }
    let mut depth = 0_i64;
    for token in &tokens {
        depth += match token {
            Token::LParen => 1,
            Token::RParen => -1,
            Token::SemiColon => {
                return Err("a quality rule's query must be one statement, without `;`".into());
            }
            Token::Word(word) if first == "with" && depth == 0 && word.quote_style.is_none() => {
                let word = word.value.to_ascii_lowercase();
                if matches!(word.as_str(), "insert" | "update" | "delete" | "merge") {
                    return Err(format!("a quality rule's query must be a SELECT, and this is `{word}`"));
                }
                0
            }
            _ => 0,
        };
        if depth < 0 {
            return Err("this query closes a parenthesis that it did not open".into());
        }
    }
    match depth {
        0 => Ok(()),
        _ => Err("this query does not close its parentheses".into()),
    }
}
