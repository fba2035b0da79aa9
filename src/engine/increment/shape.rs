//! Shape: the columns that an incremental model's table has after new rows came with other columns.

use crate::engine::session::ColumnType;
use crate::manifest::{ShapeChange, Strategy};
use crate::sql::quote::identifier;

/// The columns of a table after new rows came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// All of them, in order.
    pub columns: Vec<ColumnType>,
    /// Whether they are those that the table has.
    pub change: Change,
}

/// Whether the columns of a table change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They stay.
    Same,
    /// They change: the table is made anew from its rows.
    Other,
}

/// How the columns of new rows differ from those of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Columns that only the new rows have.
    pub extra: Vec<String>,
    /// Columns that only the table has.
    pub missing: Vec<String>,
    /// Columns of other types: name, type in the table, type of the new rows.
    pub types: Vec<(String, String, String)>,
}

impl Difference {
    /// Between a table's columns and those of new rows.
    pub fn between(table: &[ColumnType], new: &[ColumnType]) -> Self {
        let mut difference = Self::default();
        for column in new {
            match find(table, &column.name) {
                None => difference.extra.push(column.name.clone()),
                Some(known) if known.data_type != column.data_type && !is_null(column) => {
                    difference.types.push((
                        known.name.clone(),
                        known.data_type.clone(),
                        column.data_type.clone(),
                    ));
                }
                Some(_) => {}
            }
        }
        let missing = table.iter().filter(|column| find(new, &column.name).is_none());
        difference.missing = missing.map(|column| column.name.clone()).collect();
        difference
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.extra.is_empty() && self.missing.is_empty() && self.types.is_empty()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: &[String]| format!("`{}`", names.join("`, `"));
        let mut parts = Vec::new();
        if !self.extra.is_empty() {
            parts.push(format!("new: {}", list(&self.extra)));
        }
        if !self.missing.is_empty() {
            parts.push(format!("missing: {}", list(&self.missing)));
        }
        for (name, old, new) in &self.types {
            parts.push(format!("`{name}` is {new} and was {old}"));
        }
        write!(f, "{}", parts.join("; "))
    }
}

impl Shape {
    /// What a policy makes of a difference; an error where the policy does not allow it.
    pub fn of(
        policy: ShapeChange,
        strategy: &Strategy,
        table: &[ColumnType],
        new: &[ColumnType],
    ) -> Result<Self, Difference> {
        let difference = Difference::between(table, new);
        let same = || Self { columns: table.to_vec(), change: Change::Same };
        // A merge by name leaves what is missing as it is, or NULL in a new row.
        let may_be_missing = difference.missing.is_empty() || *strategy == Strategy::Merge;
        match policy {
            _ if difference.is_empty() => Ok(same()),
            ShapeChange::Fail => Err(difference),
            ShapeChange::Ignore if may_be_missing => Ok(same()),
            ShapeChange::Ignore => Err(difference),
            ShapeChange::Append if difference.extra.is_empty() => Ok(same()),
            ShapeChange::Append => {
                let extra = new.iter().filter(|column| find(table, &column.name).is_none());
                let columns = table.iter().cloned().chain(extra.map(real)).collect();
                Ok(Self { columns, change: Change::Other })
            }
            ShapeChange::Sync => {
                let stays = table.iter().filter_map(|column| {
                    let new = find(new, &column.name)?;
                    let data_type = if is_null(new) { &column.data_type } else { &new.data_type };
                    Some(ColumnType { name: column.name.clone(), data_type: data_type.clone() })
                });
                let extra = new.iter().filter(|column| find(table, &column.name).is_none());
                let columns = stays.chain(extra.map(real)).collect();
                Ok(Self { columns, change: Change::Other })
            }
        }
    }

    /// The list of a SELECT that brings rows with the columns `from` into this shape. What they lack is NULL.
    pub fn select(&self, from: &[ColumnType]) -> String {
        let columns = self.columns.iter().map(|column| {
            let name = identifier(&column.name);
            match find(from, &column.name) {
                Some(found) if found.data_type == column.data_type && found.name == column.name => name,
                Some(found) => {
                    format!("CAST({} AS {}) AS {name}", identifier(&found.name), column.data_type)
                }
                None => format!("CAST(NULL AS {}) AS {name}", column.data_type),
            }
        });
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// A column by its name, whose case does not matter to DuckDB.
pub fn find<'a>(columns: &'a [ColumnType], name: &str) -> Option<&'a ColumnType> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// Whether a column is a bare NULL, which has no type of its own.
fn is_null(column: &ColumnType) -> bool {
    column.data_type.trim_matches('"') == "NULL"
}

/// A column with the type that DuckDB gives it in a table.
fn real(column: &ColumnType) -> ColumnType {
    let data_type = if is_null(column) { "INTEGER".to_owned() } else { column.data_type.clone() };
    ColumnType { name: column.name.clone(), data_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<ColumnType> {
        let column = |part: &str| {
            let (name, data_type) = part.split_once(' ').expect("a name and a type");
            ColumnType { name: name.into(), data_type: data_type.into() }
        };
        text.split(", ").map(column).collect()
    }

    fn shape(policy: ShapeChange, strategy: &Strategy) -> String {
        let table = columns("id INTEGER, a VARCHAR, old DATE");
        let new = columns("ID BIGINT, a VARCHAR, fresh DOUBLE");
        match Shape::of(policy, strategy, &table, &new) {
            Ok(shape) => format!("{:?}: {}", shape.change, shape.select(&new)),
            Err(difference) => format!("refused: {difference}"),
        }
    }

    #[test]
    fn policies() {
        let append = &Strategy::Append;
        insta::assert_snapshot!(shape(ShapeChange::Ignore, append), @"refused: new: `fresh`; missing: `old`; `id` is BIGINT and was INTEGER");
        insta::assert_snapshot!(shape(ShapeChange::Ignore, &Strategy::Merge), @r#"Same: CAST("ID" AS INTEGER) AS "id", "a", CAST(NULL AS DATE) AS "old""#);
        insta::assert_snapshot!(shape(ShapeChange::Fail, append), @"refused: new: `fresh`; missing: `old`; `id` is BIGINT and was INTEGER");
        insta::assert_snapshot!(shape(ShapeChange::Append, append), @r#"Other: CAST("ID" AS INTEGER) AS "id", "a", CAST(NULL AS DATE) AS "old", "fresh""#);
        insta::assert_snapshot!(shape(ShapeChange::Sync, append), @r#"Other: CAST("ID" AS BIGINT) AS "id", "a", "fresh""#);
    }
}
