//! Common table expressions of a query: their names, and the query that gives the rows of one of them.

use super::quote::identifier;

/// A query cut so that it gives one of its common table expressions. All before the cut is as it was, so offsets in it are
/// good still.
///
/// # Errors
/// The names that there are, where none of them is the one asked for.
pub fn only(sql: &str, name: &str) -> Result<String, Vec<String>> {
    let found = scan(sql).unwrap_or_default();
    match found.names.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => Ok(format!("{}select * from {}", &sql[..found.end], identifier(known))),
        None => Err(found.names),
    }
}

#[derive(Default)]
struct Ctes {
    names: Vec<String>,
    /// Where the query behind them begins.
    end: usize,
}

/// Reads `WITH a AS (…), b(x) AS MATERIALIZED (…)` from a query's beginning.
fn scan(sql: &str) -> Option<Ctes> {
    let mut words = Words { sql, at: 0 };
    if !words.next()?.eq_ignore_ascii_case("with") {
        return None;
    }
    let mut found = Ctes::default();
    let mut word = words.next()?;
    if word.eq_ignore_ascii_case("recursive") {
        word = words.next()?;
    }
    loop {
        let name = match word.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?.replace("\"\"", "\""),
            None => word.to_owned(),
        };
        found.names.push(name);
        // Columns, `USING KEY (…)` and `AS MATERIALIZED` stand before the parenthesis of the query.
        let mut is_query = false;
        loop {
            match words.next()? {
                "(" => {
                    words.close()?;
                    if is_query {
                        break;
                    }
                }
                next => is_query = is_query || next.eq_ignore_ascii_case("as"),
            }
        }
        let end = words.at;
        match words.next()? {
            "," => word = words.next()?,
            first => {
                found.end = words.at - first.len();
                debug_assert!(found.end >= end);
                return Some(found);
            }
        }
    }
}

/// Words, quoted names and signs of SQL; comments and strings are passed over.
struct Words<'s> {
    sql: &'s str,
    at: usize,
}

impl<'s> Words<'s> {
    /// Goes to behind the parenthesis that closes the open one.
    fn close(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }

    fn next(&mut self) -> Option<&'s str> {
        loop {
            let rest = &self.sql[self.at..];
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            let rest = &self.sql[self.at..];
            if rest.starts_with("--") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += comment(rest);
            } else {
                break;
            }
        }
        let rest = &self.sql[self.at..];
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            '\'' | '"' => quoted(rest, first)?,
            '$' => dollars(rest).unwrap_or(1),
            _ if is_word(first) => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        self.at += length;
        Some(&rest[..length])
    }
}

/// How long a comment is; DuckDB lets them stand in each other.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// How long a string or a quoted name is; a doubled quote stands for itself.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// How long a string in dollar quotes is: `$$…$$`, `$tag$…$tag$`.
fn dollars(text: &str) -> Option<usize> {
    let tag = 1 + text[1..].find('$')? + 1;
    let open = &text[..tag];
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let close = open.chars().all(plain).then(|| text[tag..].find(open))??;
    Some(tag + close + open.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_is_cut_out() {
        let sql = "-- head\nwith a as (select ')' as x /* ( */), \"B c\"(y) as not materialized (select (1)) \nselect * from a";
        assert_eq!(
            only(sql, "A").expect("it is there"),
            "-- head\nwith a as (select ')' as x /* ( */), \"B c\"(y) as not materialized (select (1)) \nselect * from \"a\""
        );
        assert!(only(sql, "b C").expect("it is there").ends_with("(select (1)) \nselect * from \"B c\""));
        assert_eq!(only(sql, "d"), Err(vec!["a".to_owned(), "B c".to_owned()]));
    }

    #[test]
    fn recursion_and_dollars_are_read() {
        let sql =
            "with recursive t(n) using key (n) as (select $q$ ) $q$, 1 union all select 1 from t) from t";
        assert_eq!(only(sql, "t").map(|cut| cut.ends_with("from t) select * from \"t\"")), Ok(true));
    }

    #[test]
    fn a_query_without_any_has_no_names() {
        assert_eq!(only("select 1", "a"), Err(Vec::new()));
        assert_eq!(only("with a as (select 1", "a"), Err(Vec::new()));
    }
}
