//! A rule: a promise that is checked by a query of its own, with gaps where the relations and the time stand.

use crate::names::NodeId;

/// The time in UTC as a TIMESTAMP, asked of DuckDB when the query runs: text with a moment in it would be another one with
/// every compile. Without icu, which the bundled DuckDB has not, `now()` cannot be cast.
pub const NOW: &str = "make_timestamp(epoch_us(now()))";

/// A query whose rows are failures. The relations that it reads are known only when it runs, and so is the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What is promised, for messages: `age_hours of orders is at most 4`.
    pub promise: String,
    /// The query in pieces.
    pub parts: Vec<Part>,
}

/// A piece of a rule's query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// SQL.
    Sql(String),
    /// The tested relation.
    Tested,
    /// Another model's relation.
    Other(NodeId),
    /// The time of the run, as a TIMESTAMP in UTC.
    Now,
}

impl Rule {
    /// A rule without a query yet.
    pub(super) fn new(promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), parts: Vec::new() }
    }

    /// Appends SQL as it stands.
    pub(super) fn text(mut self, sql: impl AsRef<str>) -> Self {
        match self.parts.last_mut() {
            _ if sql.as_ref().is_empty() => {}
            Some(Part::Sql(text)) => text.push_str(sql.as_ref()),
            _ => self.parts.push(Part::Sql(sql.as_ref().to_owned())),
        }
        self
    }

    /// Appends a gap.
    pub(super) fn gap(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// A rule whose failures are the tested rows for which a condition holds.
    pub(super) fn rows(promise: impl Into<String>, failing: &str) -> Self {
        Self::new(promise).text("select * from ").gap(Part::Tested).text(format!("\nwhere {failing}"))
    }

    /// The query's text. `tested` is what stands for the tested relation: a name, or a parenthesised query with an
    /// alias. `other` names another model's relation. `now` is SQL for a TIMESTAMP in UTC: [`NOW`], or one that stands still.
    pub fn sql(&self, tested: &str, mut other: impl FnMut(&NodeId) -> String, now: &str) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Sql(sql) => text.push_str(sql),
                Part::Tested => text.push_str(tested),
                Part::Other(node) => text.push_str(&other(node)),
                Part::Now => text.push_str(now),
            }
        }
        text
    }

    /// What identifies the rule, wherever its relations are: the same text means the same verdict on the same data.
    pub fn definition(&self) -> String {
        self.sql("$tested", |node| format!("${node}"), "timestamp '$now'")
    }

    /// Whether the verdict depends on the time of the run, so that an old one says nothing.
    pub fn depends_on_time(&self) -> bool {
        self.parts.contains(&Part::Now)
    }

    /// The other models that it reads.
    pub fn others(&self) -> impl Iterator<Item = &NodeId> {
        self.parts.iter().filter_map(|part| match part {
            Part::Other(node) => Some(node),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled() {
        let rule = Rule::new("it holds")
            .text("select ")
            .gap(Part::Now)
            .text(" from ")
            .gap(Part::Tested)
            .text(" where a = ")
            .text("'$tested'");
        let sql = rule.sql("\"s\".\"t\"", |_| String::new(), NOW);
        assert_eq!(sql, "select make_timestamp(epoch_us(now())) from \"s\".\"t\" where a = '$tested'");
        assert!(rule.depends_on_time());
        assert_eq!(rule.parts.len(), 5);
        assert_eq!(rule.definition(), "select timestamp '$now' from $tested where a = '$tested'");
    }
}
