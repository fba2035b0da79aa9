//! A seat: how a relation's name is used where it stands, which decides what can stand there instead of it.
//!
//! A query may call a table by its own name (`select orders.id from "curated"."orders"`). When another table takes its
//! place, the name must stay good, so it becomes an alias; and where the whole name qualifies a column
//! (`"curated"."orders".id`), the alias alone must stand.

use std::ops::Range;

/// How a relation's name is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// In a FROM clause, without an alias of its own.
    Bare,
    /// In a FROM clause with an alias, or in a place where an alias cannot be.
    Other,
    /// Before a dot: it qualifies a column.
    Qualifier,
}

/// Words that may follow a table in a FROM clause and are no alias.
const AFTER_TABLE: [&str; 36] = [
    "anti",
    "asof",
    "cross",
    "except",
    "fetch",
    "for",
    "full",
    "group",
    "having",
    "inner",
    "intersect",
    "join",
    "left",
    "limit",
    "natural",
    "offset",
    "on",
    "order",
    "outer",
    "pivot",
    "positional",
    "qualify",
    "returning",
    "right",
    "sample",
    "select",
    "semi",
    "set",
    "tablesample",
    "union",
    "unpivot",
    "using",
    "when",
    "where",
    "window",
    "with",
];

/// Finds out how the name at `range` is used.
pub fn seat(sql: &str, range: &Range<usize>) -> Seat {
    let after = skip_blank(&sql[range.end..]);
    if after.starts_with('.') {
        return Seat::Qualifier;
    }
    let before = sql[..range.start].trim_end();
    let word_start = before
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = before[word_start..].to_lowercase();
    if !(word == "from" || word == "join" || before.ends_with(',') || before.ends_with('(')) {
        return Seat::Other;
    }
    let next: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let aliased = match next.is_empty() {
        true => after.starts_with('"'),
        false => !AFTER_TABLE.contains(&next.to_lowercase().as_str()),
    };
    if aliased || (before.ends_with('(') && !after.starts_with([',', ')']) && next.is_empty()) {
        return Seat::Other;
    }
    Seat::Bare
}

/// What the query calls the relation at `range`: its alias, or the last part of its own name. `None` where the name
/// qualifies a column.
pub fn alias(sql: &str, range: &Range<usize>) -> Option<String> {
    let after = skip_blank(&sql[range.end..]);
    if after.starts_with('.') {
        return None;
    }
    let word = |text: &str| -> String {
        match text.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
            None => text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect(),
        }
    };
    let next = word(after);
    let named = match next.eq_ignore_ascii_case("as") {
        true => word(skip_blank(&after[2..])),
        false if !after.starts_with('"') && AFTER_TABLE.contains(&next.to_lowercase().as_str()) => {
            String::new()
        }
        false => next,
    };
    if !named.is_empty() {
        return Some(named);
    }
    let own = sql[range.clone()].trim_end_matches('"');
    Some(own.rsplit(['"', '.']).next().unwrap_or(own).to_owned())
}

/// The text without the white space and comments that it begins with.
fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if text.starts_with("--") {
            text = text.find('\n').map_or("", |at| &text[at..]);
        } else if text.starts_with("/*") {
            text = text.find("*/").map_or("", |at| &text[at + 2..]);
        } else {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Seat {
        let start = sql.find("\"s\".\"t\"").expect("the name is there");
        seat(sql, &(start..start + 7))
    }

    #[test]
    fn aliases_are_found() {
        let of = |sql: &str| alias(sql, &(sql.find("\"s\"").map_or(0..0, |at| at..at + 7)));
        assert_eq!(of("select 1 from \"s\".\"t\""), Some("t".into()));
        assert_eq!(of("select 1 from \"s\".\"t\" as x where y"), Some("x".into()));
        assert_eq!(of("select 1 from \"s\".\"t\" x"), Some("x".into()));
        assert_eq!(of("select 1 from \"s\".\"t\" \"x y\""), Some("x y".into()));
        assert_eq!(of("select 1 from \"s\".\"t\"\nwhere y"), Some("t".into()));
        assert_eq!(of("select \"s\".\"t\".a"), None);
    }

    #[test]
    fn seats_are_told_apart() {
        assert_eq!(of("select t.a from \"s\".\"t\""), Seat::Bare);
        assert_eq!(of("select t.a from \"s\".\"t\" -- all\n where x"), Seat::Bare);
        assert_eq!(of("select * from a, \"s\".\"t\" where x"), Seat::Bare);
        assert_eq!(of("select * from a left join \"s\".\"t\" using (x)"), Seat::Bare);
        assert_eq!(of("select * from (select * from \"s\".\"t\") q"), Seat::Bare);
        assert_eq!(of("select * from \"s\".\"t\" as x"), Seat::Other);
        assert_eq!(of("select * from \"s\".\"t\" x"), Seat::Other);
        assert_eq!(of("select * from \"s\".\"t\" /* c */ \"x\""), Seat::Other);
        assert_eq!(of("describe \"s\".\"t\""), Seat::Other);
        assert_eq!(of("select \"s\".\"t\".a from x"), Seat::Qualifier);
    }
}
