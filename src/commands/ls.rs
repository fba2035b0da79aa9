//! `kiln ls`: what is in the project. Its names can be given to `--select`.

use serde_json::{Value, json};

use crate::cli::{Global, LsArgs, LsOutput, ResourceType};
use crate::error::Result;
use crate::names::NodeId;
use crate::workspace::{FullRefresh, Workspace};

use super::terminal::Terminal;
use super::{Exit, Opened, open};

struct Item {
    kind: ResourceType,
    id: NodeId,
    name: String,
    path: String,
    more: Value,
}

/// Lists.
pub fn ls(terminal: &Terminal, global: &Global, args: &LsArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "list", FullRefresh::No)?;
    // The process ends with the command: to take a large project apart first is work for nobody.
    let workspace = std::mem::ManuallyDrop::new(workspace);
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    let mut items: Vec<Item> = selected.iter().filter_map(|id| item(&workspace, id)).collect();
    match args.resource_type.is_empty() {
        false => items.retain(|item| args.resource_type.contains(&item.kind)),
        // Tests come along with every selection; they are shown when they are all that there is.
        true if items.iter().any(|item| !is_test(item)) => items.retain(|item| !is_test(item)),
        true => {}
    }
    let mut lines: Vec<String> = items
        .into_iter()
        .map(|item| match args.output {
            LsOutput::Name => item.name,
            LsOutput::Path => item.path,
            LsOutput::Json => json_line(item),
        })
        .collect();
    if args.output == LsOutput::Path {
        lines.sort();
        lines.dedup();
    }
    terminal.data(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Exit::Fine)
}

fn is_test(item: &Item) -> bool {
    matches!(item.kind, ResourceType::Test | ResourceType::UnitTest)
}

fn json_line(item: Item) -> String {
    let mut object = serde_json::Map::new();
    object.insert("unique_id".into(), json!(item.id));
    object.insert("name".into(), json!(item.name));
    object.insert("resource_type".into(), json!(item.id.resource_type()));
    object.insert("original_file_path".into(), json!(item.path));
    if let Value::Object(more) = item.more {
        object.extend(more);
    }
    Value::Object(object).to_string()
}

fn item(workspace: &Workspace, id: &NodeId) -> Option<Item> {
    let manifest = &workspace.manifest;
    let parents = |all: &[crate::manifest::Dependency]| all.iter().map(|d| json!(d.node)).collect::<Vec<_>>();
    let path = |path: &std::path::Path| path.to_string_lossy().replace('\\', "/");
    if let Some(node) = manifest.nodes.get(id) {
        let kind = match id.resource_type() {
            "seed" => ResourceType::Seed,
            "snapshot" => ResourceType::Snapshot,
            _ => ResourceType::Model,
        };
        let more = json!({
            "layer": node.layer, "materialized": node.config.materialized.as_str(),
            "relation": node.relation.plain(), "tags": node.config.tags, "depends_on": parents(&node.depends_on),
        });
        return Some(Item {
            kind,
            id: id.clone(),
            name: node.name.clone(),
            path: path(node.written_in()),
            more,
        });
    }
    if let Some(source) = manifest.sources.get(id) {
        let name = format!("source:{}", id.short());
        let more = json!({"tags": source.tags, "is_loaded": source.files.is_some()});
        return Some(Item {
            kind: ResourceType::Source,
            id: id.clone(),
            name,
            path: path(source.at.path()),
            more,
        });
    }
    if let Some(test) = manifest.tests.get(id) {
        let more = json!({
            "node": test.node, "column": test.column, "severity": super::words::severity(test.config.severity),
            "depends_on": parents(&test.depends_on),
        });
        let name = test.name.clone();
        return Some(Item {
            kind: ResourceType::Test,
            id: id.clone(),
            name,
            path: path(test.at.path()),
            more,
        });
    }
    if let Some(test) = manifest.unit_tests.get(id) {
        let given: Vec<&NodeId> = test.inputs.iter().flatten().collect();
        return Some(Item {
            kind: ResourceType::UnitTest,
            id: id.clone(),
            name: id.short().to_owned(),
            path: path(test.declared.name.at.path()),
            more: json!({"node": test.node, "given": given}),
        });
    }
    let exposure = manifest.exposures.get(id)?;
    let more = json!({"type": exposure.kind, "depends_on": parents(&exposure.depends_on)});
    let name = format!("exposure:{}", exposure.name);
    Some(Item { kind: ResourceType::Exposure, id: id.clone(), name, path: path(exposure.at.path()), more })
}
