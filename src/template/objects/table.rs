//! What `run_query` gives: dbt's table, with `.columns`, `.rows`, `.column_names` and iteration over rows.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::list::List;
use crate::template::QueryTable;

/// A result.
#[derive(Debug)]
pub(in crate::template) struct Table {
    names: Arc<Vec<String>>,
    rows: Vec<Value>,
}

impl Table {
    /// A result as a value.
    pub fn value(table: &QueryTable) -> Value {
        let names = Arc::new(table.columns.clone());
        let row = |row: &Vec<serde_json::Value>| {
            let cells = row.iter().map(super::from_json).collect();
            Value::from_object(Row { names: Arc::clone(&names), cells })
        };
        Value::from_object(Self { rows: table.rows.iter().map(row).collect(), names: Arc::clone(&names) })
    }

    fn names(&self) -> Value {
        List::value(self.names.iter().map(|name| Value::from(name.as_str())).collect())
    }

    fn columns(&self) -> Value {
        let columns = (0..self.names.len()).map(|index| {
            let cell = |row: &Value| row.get_item_by_index(index).unwrap_or_default();
            Value::from_object(TableColumn {
                name: self.names[index].clone(),
                cells: self.rows.iter().map(cell).collect(),
            })
        });
        Value::from_object(Columns { names: Arc::clone(&self.names), columns: columns.collect() })
    }
}

impl Object for Table {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(index) = key.as_usize() {
            return self.rows.get(index).cloned();
        }
        Some(match key.as_str()? {
            "rows" => List::value(self.rows.clone()),
            "columns" => self.columns(),
            "column_names" => self.names(),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.rows.clone())
    }

    /// A table is true even when it has no rows, as in dbt.
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "print_table" | "print_csv" => Ok(Value::from(())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<table of {} rows: {}>", self.rows.len(), self.names.join(", "))
    }
}

#[derive(Debug)]
struct Columns {
    names: Arc<Vec<String>>,
    columns: Vec<Value>,
}

impl Object for Columns {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = match key.as_str() {
            Some(name) => self.names.iter().position(|known| known == name)?,
            None => key.as_usize()?,
        };
        self.columns.get(index).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.columns.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "keys" => Ok(List::value(self.names.iter().map(|name| Value::from(name.as_str())).collect())),
            "values" => Ok(List::value(self.columns.clone())),
            "get" => Ok(args.first().and_then(|key| self.get_value(key)).unwrap_or(Value::from(()))),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

#[derive(Debug)]
struct TableColumn {
    name: String,
    cells: Vec<Value>,
}

impl Object for TableColumn {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("name") => Some(Value::from(self.name.as_str())),
            Some(_) => None,
            None => self.cells.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.cells.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "values" => Ok(List::value(self.cells.clone())),
            "values_distinct" => {
                let distinct: indexmap::IndexSet<Value> = self.cells.iter().cloned().collect();
                Ok(List::value(distinct.into_iter().collect()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

#[derive(Debug)]
struct Row {
    names: Arc<Vec<String>>,
    cells: Vec<Value>,
}

impl Object for Row {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = match key.as_str() {
            Some(name) => self
                .names
                .iter()
                .position(|known| known == name)
                .or_else(|| self.names.iter().position(|known| known.eq_ignore_ascii_case(name)))?,
            None => key.as_usize()?,
        };
        self.cells.get(index).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.cells.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "values" => Ok(List::value(self.cells.clone())),
            "keys" => Ok(List::value(self.names.iter().map(|name| Value::from(name.as_str())).collect())),
            "get" => Ok(args.first().and_then(|key| self.get_value(key)).unwrap_or(Value::from(()))),
            "items" | "dict" => {
                let entries =
                    self.names.iter().map(|name| Value::from(name.as_str())).zip(self.cells.iter().cloned());
                let dict = super::Dict::value(entries.collect());
                if method == "dict" {
                    return Ok(dict);
                }
                let pairs = super::pairs(&dict).into_iter();
                Ok(List::value(
                    pairs
                        .map(|(key, value)| Value::from(minijinja::value::Tuple::from([key, value])))
                        .collect(),
                ))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
