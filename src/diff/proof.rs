//! A proof: what published data says about a promise that became stricter.

use super::change::Check;
use super::finding::Proof;
use crate::engine::session::Session;
use crate::names::Relation;
use crate::sql::quote::identifier;

impl Check {
    /// Asks a relation how many of its rows break a promise; nothing where it cannot be asked.
    pub fn ask(&self, session: &Session, relation: &Relation) -> Option<Proof> {
        let (violations, query) = match self {
            Self::Rows(condition) => (
                format!("count(*) FILTER (WHERE {condition})"),
                format!("SELECT * FROM {relation} WHERE {condition}"),
            ),
            Self::Duplicates(columns) => {
                let names: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
                let names = names.join(", ");
                let key = if columns.len() == 1 { names.clone() } else { format!("({names})") };
                (
                    format!("count({key}) - count(DISTINCT {key})"),
                    format!("SELECT {names}, count(*) FROM {relation} GROUP BY ALL HAVING count(*) > 1"),
                )
            }
        };
        let found = session.pairs(&format!("SELECT {violations}, count(*) FROM {relation}")).ok()?;
        let (violations, rows) = found.first().copied()?;
        Some(Proof {
            violations: u64::try_from(violations).unwrap_or_default(),
            rows: u64::try_from(rows).unwrap_or_default(),
            query,
        })
    }
}
