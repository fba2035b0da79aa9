//! Names: what `ref`, `source`, `run_query` and their kin answer while a template renders.

use serde_json::Value;

use crate::engine::session::Session;
use crate::names::{NodeId, Relation};
use crate::sql::rendered::Rendered;
use crate::template::{QueryTable, Resolve};
use crate::workspace::Workspace;

use super::candidate::{Candidates, Reading, bind};

/// Most rows that a query of a template may bring back; templates make lists of columns and values, not of data.
const MAX_ROWS: u64 = 100_000;

/// Answers from the manifest, and from the database where there is one.
pub struct Names<'a> {
    /// The project.
    pub workspace: &'a Workspace,
    /// What stands behind the names in this run.
    pub candidates: &'a Candidates,
    /// The database, if the template may ask it.
    pub session: Option<&'a Session>,
}

impl Resolve for Names<'_> {
    fn reference(&self, package: Option<&str>, name: &str) -> Result<(NodeId, Relation), String> {
        self.workspace.find_node(package, name).map(|node| (node.id.clone(), node.relation.clone()))
    }

    fn source(&self, source: &str, table: &str) -> Result<(NodeId, Relation), String> {
        self.workspace.find_source(source, table).map(|source| (source.id.clone(), source.relation.clone()))
    }

    fn query(&self, sql: &Rendered) -> Result<QueryTable, String> {
        let Some(session) = self.session else {
            return Err("this query needs the database, which is not open here".into());
        };
        let bound = bind(sql, self.candidates, Reading::Now);
        let (columns, rows) = session.table(&bound.sql, MAX_ROWS).map_err(|error| error.to_string())?;
        let types = session.describe(&bound.sql).map_err(|error| error.to_string())?;
        let value = |(text, at): (Option<String>, usize)| match text {
            None => Value::Null,
            Some(text) => typed(text, &types[at].data_type),
        };
        let rows = rows.into_iter().map(|row| row.into_iter().zip(0..).map(value).collect()).collect();
        Ok(QueryTable { columns, rows })
    }

    fn columns(&self, node: &NodeId, relation: &Relation) -> Result<Vec<(String, String)>, String> {
        let Some(session) = self.session else {
            return Err(format!("the columns of `{}` are not known here", node.short()));
        };
        let whole = Rendered {
            sql: format!("select * from {relation}"),
            slots: vec![crate::sql::rendered::Slot {
                range: "select * from ".len().."select * from ".len() + relation.to_string().len(),
                node: node.clone(),
            }],
            origins: Vec::new(),
        };
        let bound = bind(&whole, self.candidates, Reading::Now);
        let columns = session.describe(&bound.sql).map_err(|error| error.to_string())?;
        Ok(columns.into_iter().map(|column| (column.name, column.data_type)).collect())
    }
}

/// A value of a result as templates see it: numbers and booleans as such, everything else as text.
fn typed(text: String, data_type: &str) -> Value {
    let number = || text.parse::<serde_json::Number>().ok().map(Value::Number);
    let converted = match data_type {
        "BOOLEAN" => text.parse().ok().map(Value::Bool),
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "UTINYINT" | "USMALLINT" | "UINTEGER" | "UBIGINT"
        | "FLOAT" | "DOUBLE" => number(),
        _ => None,
    };
    converted.unwrap_or(Value::String(text))
}
