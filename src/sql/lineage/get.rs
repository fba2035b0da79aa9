//! Scans: of tables, which are the ends of lineage, and of table functions.

use std::sync::Arc;

use serde_json::Value;

use super::deps::{Deps, Kind};
use super::expression::function;
use super::operator::{Walk, Walked};
use super::relation::{Column, Relation};
use crate::names;
use crate::sql::plan::{index, list};

/// Table functions that give nothing but what they are given.
const PURE: [&str; 7] =
    ["generate_series", "range", "repeat", "repeat_row", "unnest", "json_each", "json_tree"];
/// Column numbers from here on are DuckDB's virtual columns; the last of them is the row's number.
const VIRTUAL: u64 = 1 << 63;
const ROWID: u64 = u64::MAX;

impl Walk {
    pub fn get(&mut self, node: &Value) -> Walked<Relation> {
        let name = node.as_object().and_then(function).unwrap_or_default();
        match list(node, "children") {
            [] if name == "seq_scan" => self.scan(node),
            [] => Ok(self.function(node, name)),
            [input] => {
                let input = self.operator(input)?;
                self.function_of(node, name, input)
            }
            _ => Err(format!("the table function {name} has several inputs")),
        }
    }

    fn scan(&mut self, node: &Value) -> Walked<Relation> {
        let table = Arc::new(table_name(node).ok_or("a scan without a table")?);
        self.tables.insert(table.as_ref().clone());
        let names = list(node, "names");
        let mut columns = Vec::new();
        for (at, column) in list(node, "column_indexes").iter().enumerate() {
            let number = index(column, "index");
            let name = match number {
                Some(ROWID) => Some("rowid"),
                Some(number) if number < VIRTUAL => {
                    usize::try_from(number).ok().and_then(|number| names.get(number)).and_then(Value::as_str)
                }
                _ => None,
            };
            let deps = match name {
                Some(name) => Deps::of(self.names.number(&table, name)),
                None => Deps::unknown(),
            };
            columns.push(Column::new(deps).bound(index(node, "table_index"), at));
        }
        let mut relation = Relation { columns, ..Relation::default() };
        // Filters move into a scan only when a plan is optimised.
        let filters = node.get("table_filters");
        relation.rows.unknown = filters.is_some_and(|filters| {
            ["filters", "multi_column_filters"].iter().any(|kind| !list(filters, kind).is_empty())
        });
        relation.project(node.get("projection_ids"))
    }

    /// A table function over constants.
    fn function(&mut self, node: &Value, name: &str) -> Relation {
        let deps = self.pure_or_unknown(name);
        let width = list(node, "column_indexes").len();
        let table = index(node, "table_index");
        let columns = (0..width).map(|at| Column::new(deps.clone()).bound(table, at)).collect();
        let rows = Deps { unknown: deps.unknown, ..Deps::default() };
        Relation { columns, rows, ..Relation::default() }
    }

    /// A table function over the rows of a query: its arguments, then the columns that it hands through.
    fn function_of(&mut self, node: &Value, name: &str, input: Relation) -> Walked<Relation> {
        let through = list(node, "projected_input");
        let arguments = list(node, "input_table_names").len();
        let mut found = self.pure_or_unknown(name);
        for column in input.columns.iter().take(if arguments == 0 { input.columns.len() } else { arguments })
        {
            found.add(&column.deps, Kind::Value);
        }
        let table = index(node, "table_index");
        // WITH ORDINALITY only counts the rows.
        let counted = node.get("source_ordinality").and_then(Value::as_str) == Some("WITH_ORDINALITY");
        let counter = index(node, "ordinality_idx").filter(|_| counted);
        let own = list(node, "column_indexes");
        let mut columns: Vec<Column> = Vec::with_capacity(own.len() + through.len());
        for (at, number) in own.iter().enumerate() {
            let is_counter = counter.is_some() && index(number, "index") == counter;
            let deps = if is_counter { Deps::default() } else { found.clone() };
            columns.push(Column::new(deps).bound(table, at));
        }
        for (at, position) in through.iter().enumerate() {
            let position = position.as_u64().and_then(|position| usize::try_from(position).ok());
            let column = position.and_then(|position| input.columns.get(position));
            let column = column.cloned().ok_or("a table function hands through a column out of range")?;
            columns.push(column.bound(table, own.len() + at));
        }
        let mut rows = input.rows;
        rows.add(&found, Kind::Influence);
        Ok(Relation { columns, rows, order: input.order, ..Relation::default() })
    }

    fn pure_or_unknown(&mut self, name: &str) -> Deps {
        if PURE.contains(&name) {
            return Deps::default();
        }
        self.reasons.insert(format!("what the table function `{name}` reads is not known"));
        Deps::unknown()
    }
}

/// Schema and name of the table that is scanned.
fn table_name(node: &Value) -> Option<names::Relation> {
    let data = node.get("function_data")?;
    let path = data.get("qualified_name")?.get("path")?.as_array()?;
    let [.., schema, name] = path.as_slice() else { return None };
    Some(names::Relation::new(schema.as_str()?, name.as_str()?))
}
