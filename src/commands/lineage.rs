//! `kiln lineage`: what columns come from, and what is made of them.

use crate::cli::{Global, LineageArgs, LineageFormat};
use crate::compile::{compile, lineage as lineage_of};
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::lineage::{ColumnGraph, Direction, NodeColumn, Reach};
use crate::names::NodeId;
use crate::workspace::{FullRefresh, Workspace};

use super::compile::remembering;
use super::terminal::Terminal;
use super::{Exit, Opened, open, show_messages};

/// Follows columns.
pub fn lineage(terminal: &Terminal, global: &Global, args: &LineageArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "lineage", FullRefresh::No)?;
    let (node, column) = find_node(&workspace, &args.start)?;
    let compiled = compile(&workspace, &remembering(&workspace)?)?;
    show_messages(terminal, &workspace);
    if compiled.diagnostics.has_errors() {
        return Err(Error::Project(compiled.diagnostics));
    }
    let graph = lineage_of(&workspace, &compiled)?;
    let start = match column {
        Some(column) => vec![find_column(&graph, &node, column)?],
        None => graph.columns(&node).collect(),
    };
    let mut directions = vec![Direction::Upstream, Direction::Downstream];
    directions.retain(|direction| match direction {
        Direction::Upstream => !args.downstream,
        Direction::Downstream => !args.upstream,
    });
    let whole = || {
        let mut whole = Reach::default();
        for direction in &directions {
            whole.extend(graph.reach(start.clone(), *direction, args.depth));
        }
        whole
    };
    let text = match args.format {
        LineageFormat::Text => {
            let lines = start.iter().map(|column| text(&graph, column, &directions, args.depth));
            lines.collect::<Vec<_>>().join("\n")
        }
        LineageFormat::Json => format!("{:#}\n", whole().to_json()),
        LineageFormat::Mermaid => whole().to_mermaid(),
    };
    terminal.data(&text)?;
    Ok(Exit::Fine)
}

/// A column, and a line for each column that it can be followed to.
fn text(graph: &ColumnGraph, start: &NodeColumn, directions: &[Direction], depth: Option<usize>) -> String {
    let reaches: Vec<(&str, Reach)> = directions
        .iter()
        .map(|direction| {
            let arrow = if *direction == Direction::Upstream { "<-" } else { "->" };
            (arrow, graph.reach([start.clone()], *direction, depth))
        })
        .collect();
    let all = || reaches.iter().flat_map(|(_, reach)| reach.columns.keys());
    let width = all().map(|column| column.to_string().chars().count()).max().unwrap_or(0);
    let mut lines = format!("{start}\n");
    for (arrow, reach) in &reaches {
        for (column, kind) in &reach.columns {
            let name = column.to_string();
            lines.push_str(&format!("  {arrow} {name:<width$}  {}\n", kind.as_str()));
        }
    }
    let unknown: std::collections::BTreeSet<&NodeColumn> =
        reaches.iter().flat_map(|(_, reach)| &reach.unknown).collect();
    for column in unknown {
        lines.push_str(&format!("  ?  {column} may come from more than is known\n"));
    }
    lines
}

/// The node that is meant, and the rest behind its name. Names may hold dots: the longest name wins.
fn find_node<'a>(workspace: &Workspace, written: &'a str) -> Result<(NodeId, Option<&'a str>)> {
    let manifest = &workspace.manifest;
    let ids = || manifest.nodes.keys().chain(manifest.sources.keys()).chain(manifest.exposures.keys());
    let called = |name: &str| {
        let by_name = ids().find(|id| id.short() == name || id.as_str() == name);
        let relation =
            || manifest.nodes.values().find(|node| node.relation.plain() == name).map(|node| &node.id);
        by_name.or_else(relation).cloned()
    };
    if let Some(id) = called(written) {
        return Ok((id, None));
    }
    for (at, _) in written.rmatch_indices('.') {
        if let Some(id) = called(&written[..at]) {
            return Ok((id, Some(&written[at + 1..])));
        }
    }
    let error = Error::usage(format!("there is no model, seed, source or consumer `{written}`"));
    // The last part may be a column.
    let parts = std::iter::once(written).chain(written.rsplit_once('.').map(|(name, _)| name));
    let near = parts.rev().find_map(|part| Some((part, nearest(part, ids().map(NodeId::short))?)));
    Err(match near {
        Some((part, near)) => error.hint(format!("did you mean `{near}{}`?", &written[part.len()..])),
        None => error.hint("`kiln ls` lists them"),
    })
}

fn find_column(graph: &ColumnGraph, node: &NodeId, written: &str) -> Result<NodeColumn> {
    let found = graph.find(node, written);
    found.ok_or_else(|| {
        let name = node.short();
        let columns: Vec<String> = graph.columns(node).map(|column| column.column).collect();
        let error = Error::usage(format!("`{name}` has no column `{written}`"));
        match nearest(written, columns.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{name}.{near}`?")),
            None => error.hint(format!("its columns are {}", columns.join(", "))),
        }
    })
}
