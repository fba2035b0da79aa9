//! The relations that SQL names, with their places. sqlparser reads it; where it cannot, nothing is said.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, Query, Statement, Visit, Visitor};
use sqlparser::dialect::DuckDbDialect;
use sqlparser::parser::Parser;

/// A relation's name in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Its parts, without quotes.
    pub parts: Vec<String>,
    /// The byte at which it begins.
    pub at: usize,
    /// How many bytes it is long.
    pub length: usize,
}

impl TableName {
    /// The parts with dots between them.
    pub fn name(&self) -> String {
        self.parts.join(".")
    }
}

/// The relations that statements read, common table expressions left out; `None` where sqlparser cannot read them.
pub fn tables(sql: &str) -> Option<Vec<TableName>> {
    let parser = Parser::new(&DuckDbDialect {}).with_recursion_limit(100);
    let statements: Vec<Statement> = parser.try_with_sql(sql).ok()?.parse_statements().ok()?;
    let mut found = Found { sql, tables: Vec::new(), ctes: HashSet::new() };
    for statement in &statements {
        let _ = statement.visit(&mut found);
    }
    let Found { mut tables, ctes, .. } = found;
    tables.retain(|table| table.parts.len() > 1 || !ctes.contains(&table.name().to_lowercase()));
    Some(tables)
}

struct Found<'a> {
    sql: &'a str,
    tables: Vec<TableName>,
    ctes: HashSet<String>,
}

impl Visitor for Found<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let idents: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let (Some(first), Some(last)) = (idents.first(), idents.last()) else {
            return ControlFlow::Continue(());
        };
        if first.span.start.line > 0 && idents.len() == name.0.len() {
            let at = offset(self.sql, first.span.start.line, first.span.start.column);
            let end = offset(self.sql, last.span.end.line, last.span.end.column);
            let parts = idents.iter().map(|ident| ident.value.clone()).collect();
            self.tables.push(TableName { parts, at, length: end.saturating_sub(at) });
        }
        ControlFlow::Continue(())
    }
}

fn offset(sql: &str, line: u64, column: u64) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => sql.match_indices('\n').nth(line as usize - 2).map_or(sql.len(), |(at, _)| at + 1),
    };
    let column = (column as usize).saturating_sub(1);
    sql[start..].char_indices().nth(column).map_or(sql.len(), |(at, _)| start + at)
}

/// The words of a text with their places, whatever they are: keywords, names, parts of text and of comments.
pub fn words(sql: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = rest + sql[rest..].find(is_word)?;
        let end = sql[start..].find(|c: char| !is_word(c)).map_or(sql.len(), |at| start + at);
        rest = end;
        Some((start, &sql[start..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_found_with_their_places() {
        let sql = "with c as (select 1)\nselect * from c, \"s\".t as x\njoin lower using (a) where b in (select 1 from é.u)";
        let found = tables(sql).expect("it parses");
        let all: Vec<(String, &str)> =
            found.iter().map(|table| (table.name(), &sql[table.at..table.at + table.length])).collect();
        assert_eq!(
            all,
            [("s.t".into(), "\"s\".t"), ("lower".to_owned(), "lower"), ("é.u".to_owned(), "é.u")]
        );
        assert_eq!(tables("select * rename (a as b) from t"), None);
    }
}
