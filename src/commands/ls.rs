//! `kiln ls`: what is in the project. Its names can be given to `--select`.

use serde_json::{Value, json};

use crate::cli::{Global, LsArgs, LsOutput, ResourceType};
use crate::error::Result;
use crate::manifest::{Dependency, NodeKind};
use crate::names::NodeId;
use crate::workspace::{FullRefresh, Workspace};

use super::terminal::Terminal;
use super::{Exit, Opened, open};

struct Item {
    kind: ResourceType,
    id: NodeId,
    name: String,
    path: String,
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
            LsOutput::Json => json_line(&workspace, item),
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

fn json_line(workspace: &Workspace, item: Item) -> String {
    let mut object = serde_json::Map::new();
    let more = more(workspace, &item.id);
    object.insert("unique_id".into(), json!(item.id));
    object.insert("name".into(), json!(item.name));
    object.insert("resource_type".into(), json!(item.id.resource_type()));
    object.insert("original_file_path".into(), json!(item.path));
    if let Some(Value::Object(more)) = more {
        object.extend(more);
    }
    Value::Object(object).to_string()
}

/// A node, source, test or consumer, as it is listed.
fn item(workspace: &Workspace, id: &NodeId) -> Option<Item> {
    let manifest = &workspace.manifest;
    let (kind, name, path) = if let Some(node) = manifest.nodes.get(id) {
        let kind = match node.kind {
            NodeKind::Model => ResourceType::Model,
            NodeKind::Seed => ResourceType::Seed,
            NodeKind::Snapshot => ResourceType::Snapshot,
        };
        (kind, node.name.clone(), node.written_in())
    } else if let Some(source) = manifest.sources.get(id) {
        (ResourceType::Source, format!("source:{}", id.short()), source.at.path())
    } else if let Some(test) = manifest.tests.get(id) {
        (ResourceType::Test, test.name.clone(), test.at.path())
    } else if let Some(test) = manifest.unit_tests.get(id) {
        (ResourceType::UnitTest, id.short().to_owned(), test.declared.name.at.path())
    } else {
        let exposure = manifest.exposures.get(id)?;
        (ResourceType::Exposure, format!("exposure:{}", exposure.name), exposure.at.path())
    };
    let path = path.to_string_lossy().replace('\\', "/");
    Some(Item { kind, id: id.clone(), name, path })
}

/// What else there is to say of one.
fn more(workspace: &Workspace, id: &NodeId) -> Option<Value> {
    let manifest = &workspace.manifest;
    let parents = |all: &[Dependency]| all.iter().map(|d| json!(d.node)).collect::<Vec<_>>();
    if let Some(node) = manifest.nodes.get(id) {
        return Some(json!({
            "layer": node.layer, "materialized": node.config.materialized.as_str(),
            "relation": node.relation.plain(), "tags": node.config.tags, "depends_on": parents(&node.depends_on),
        }));
    }
    if let Some(source) = manifest.sources.get(id) {
        return Some(json!({"tags": source.tags, "is_loaded": source.files.is_some()}));
    }
    if let Some(test) = manifest.tests.get(id) {
        return Some(json!({
            "node": test.node, "column": test.column, "severity": super::words::severity(test.config.severity),
            "depends_on": parents(&test.depends_on),
        }));
    }
    if let Some(test) = manifest.unit_tests.get(id) {
        let given: Vec<&NodeId> = test.inputs.iter().flatten().collect();
        return Some(json!({"node": test.node, "given": given}));
    }
    let exposure = manifest.exposures.get(id)?;
    Some(json!({"type": exposure.kind, "depends_on": parents(&exposure.depends_on)}))
}
