//! `kiln show`: columns and first rows of what readers see, or the columns that compiling infers.

use serde_json::{Map, Value, json};

use crate::cli::{Global, ShowArgs, ShowOutput};
use crate::compile::compile;
use crate::diagnostic::nearest;
use crate::engine::session::{ColumnType, TextRows};
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node};
use crate::workspace::{FullRefresh, Workspace};

use super::compile::remembering;
use super::terminal::Terminal;
use super::words::{cell, counted};
use super::{Exit, Opened, open, open_to_read, table};

/// Shows.
pub fn show(terminal: &Terminal, global: &Global, args: &ShowArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "show", FullRefresh::No)?;
    let node = find(&workspace, &args.model)?;
    if args.schema {
        return schema(terminal, &workspace, node, args.output);
    }
    if node.config.materialized == Materialization::Ephemeral {
        return Err(Error::usage(format!("`{}` is ephemeral: it is pasted into what reads it", node.name))
            .hint("show one of its children, or look at its SQL with `kiln compile`"));
    }
    let database = open_to_read(global, &workspace)?;
    let session = database.session();
    let query = format!("select * from {}", node.relation);
    let columns = session.describe(&query).map_err(|_| {
        let target = &workspace.target.name;
        Error::usage(format!("target `{target}` has not published `{}`", node.name))
            .hint(format!("`kiln run --select +{}` builds and publishes it", node.name))
    })?;
    let (_, rows) = session.table(&query, args.limit)?;
    match args.output {
        ShowOutput::Csv => terminal.data(&csv(&columns, &rows))?,
        ShowOutput::Json => {
            let rows: Vec<Value> = rows.into_iter().map(|row| object(&columns, row)).collect();
            let whole = json!({"relation": node.relation.plain(), "columns": columns, "rows": rows});
            terminal.data(&format!("{whole:#}\n"))?;
        }
        ShowOutput::Table => {
            terminal.talk(&format!(" {}\n", node.relation.plain()));
            let head =
                columns.iter().map(|column| format!("{}\n{}", column.name, column.data_type)).collect();
            let cells = rows.iter().map(|row| row.iter().map(|value| cell(value.as_deref())).collect());
            terminal.data(&table::render(terminal, head, cells))?;
            let shown = rows.len() as u64;
            let more = if shown == args.limit { "; see more with `--limit`" } else { "" };
            terminal.talk(&format!(" {} shown{more}\n", counted(shown, "row", "rows")));
        }
    }
    Ok(Exit::Fine)
}

/// Shows names and types as they come out of compiling.
fn schema(terminal: &Terminal, workspace: &Workspace, node: &Node, output: ShowOutput) -> Result<Exit> {
    let compiled = compile(workspace, &remembering(workspace)?)?;
    let model = compiled.models.get(&node.id);
    let Some(columns) = model.and_then(|model| model.columns.as_ref()) else {
        if compiled.diagnostics.has_errors() {
            return Err(Error::Project(compiled.diagnostics));
        }
        let lead = format!("the columns of `{}` are not known", node.name);
        let message = match model.and_then(|model| model.unknown.as_deref()) {
            // The cause may be this model itself, and is then said in these words.
            Some(reason) if reason.starts_with(&lead) => reason.to_owned(),
            Some(reason) => format!("{lead}: {reason}"),
            None => lead,
        };
        return Err(Error::usage(message)
            .hint("`kiln run` builds it, and `kiln show` without `--schema` shows what was built"));
    };
    match output {
        ShowOutput::Csv => {
            let line = |column: &ColumnType| {
                format!("{},{}\n", field(Some(&column.name)), field(Some(&column.data_type)))
            };
            let lines: String = columns.iter().map(line).collect();
            terminal.data(&format!("column,type\n{lines}"))?;
        }
        ShowOutput::Json => {
            let whole = json!({"relation": node.relation.plain(), "columns": columns});
            terminal.data(&format!("{whole:#}\n"))?;
        }
        ShowOutput::Table => {
            terminal.talk(&format!(" {}\n", node.relation.plain()));
            let head = vec!["column".to_owned(), "type".to_owned()];
            let rows = columns.iter().map(|column| vec![column.name.clone(), column.data_type.clone()]);
            terminal.data(&table::render(terminal, head, rows))?;
        }
    }
    Ok(Exit::Fine)
}

/// The model or seed of a name.
pub(super) fn find<'a>(workspace: &'a Workspace, name: &str) -> Result<&'a Node> {
    let nodes = || workspace.manifest.nodes.values();
    let found = nodes()
        .find(|node| node.name == name)
        .or_else(|| nodes().find(|node| node.relation.plain() == name || node.id.as_str() == name));
    found.ok_or_else(|| {
        let error = Error::usage(format!("there is no model or seed `{name}`"));
        match nearest(name, nodes().map(|node| node.name.as_str())) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`kiln ls` lists them"),
        }
    })
}

fn object(columns: &[ColumnType], row: Vec<Option<String>>) -> Value {
    let values = columns.iter().zip(row).map(|(column, value)| {
        let value = value.map_or(Value::Null, |text| typed(&column.data_type, text));
        (column.name.clone(), value)
    });
    Value::Object(values.collect::<Map<String, Value>>())
}

/// Numbers and booleans as such; everything that JSON would round, and all else, as text.
fn typed(data_type: &str, text: String) -> Value {
    let parsed = match data_type {
        "BOOLEAN" => text.parse().ok().map(Value::Bool),
        "TINYINT" | "SMALLINT" | "INTEGER" | "UTINYINT" | "USMALLINT" | "UINTEGER" | "BIGINT" | "FLOAT"
        | "DOUBLE" => text.parse().ok().map(Value::Number),
        _ => None,
    };
    parsed.unwrap_or(Value::String(text))
}

fn csv(columns: &[ColumnType], rows: &TextRows) -> String {
    let head = columns.iter().map(|column| field(Some(&column.name))).collect::<Vec<_>>().join(",");
    let lines =
        rows.iter().map(|row| row.iter().map(|value| field(value.as_deref())).collect::<Vec<_>>().join(","));
    std::iter::once(head).chain(lines).map(|line| line + "\n").collect()
}

/// NULL is nothing; an empty text is two quotes.
fn field(value: Option<&str>) -> String {
    match value {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_tells_null_from_nothing() {
        let columns = ["a", "b,c"].map(|name| ColumnType { name: name.into(), data_type: "VARCHAR".into() });
        let rows = vec![vec![None, Some(String::new())], vec![Some("x\"y".into()), Some("z".into())]];
        assert_eq!(csv(&columns, &rows), "a,\"b,c\"\n,\"\"\n\"x\"\"y\",z\n");
    }

    #[test]
    fn json_keeps_what_a_float_would_round() {
        assert_eq!(typed("DECIMAL(38,2)", "1.10".into()), json!("1.10"));
        assert_eq!(typed("BIGINT", "7".into()), json!(7));
        assert_eq!(typed("DOUBLE", "inf".into()), json!("inf"));
        assert_eq!(typed("BOOLEAN", "true".into()), json!(true));
    }
}
