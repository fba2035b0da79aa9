//! Checks of a manifest as a whole: layers, loading, relations, cycles, contracts, folders of configuration.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::manifest::{Dependency, Manifest, Materialization, Node};
use crate::names::NodeId;
use crate::project::Project;

/// Runs all of them.
pub(super) fn all(project: &Project, manifest: &Manifest, problems: &mut Diagnostics) {
    for node in manifest.nodes.values() {
        directions(manifest, node, problems);
        loading(manifest, node, problems);
        contract(manifest, node, problems);
        limits(manifest, node, problems);
    }
    relations(manifest, problems);
    cycles(manifest, problems);
    folders(project, problems);
}

/// Which rows changed can be told by a key alone.
fn limits(manifest: &Manifest, node: &Node, problems: &mut Diagnostics) {
    let Some(limits) = node.config.limits.as_ref().filter(|limits| limits.changed.is_some()) else { return };
    if manifest.key_of(&node.id).is_empty() && !manifest.broken.contains(&node.id) {
        let message = format!("`max_changed_rows` needs a key, and `{}` has none", node.name);
        problems.push(
            Diagnostic::error("audit-key", message)
                .at(&limits.at, "")
                .help("name it with `unique_key`, a contract's primary key, or a `unique` test"),
        );
    }
}

/// Sources → first layer → … → last layer: a layer reads itself and the one before, the first reads sources only.
fn directions(manifest: &Manifest, node: &Node, problems: &mut Diagnostics) {
    let position = |layer: &str| manifest.layers.iter().position(|known| known == layer);
    let Some(layer) = &node.layer else { return };
    let Some(own) = position(layer) else { return };
    for dependency in &node.depends_on {
        let (read, related, allowed) = if let Some(source) = manifest.sources.get(&dependency.node) {
            (format!("the source `{}`", source.id.short()), source.at.clone(), own == 0)
        } else if let Some(parent) = manifest.nodes.get(&dependency.node) {
            let Some(parent_layer) = &parent.layer else { continue };
            let Some(other) = position(parent_layer) else { continue };
            let allowed = own > 0 && (other == own || other + 1 == own);
            (format!("`{}` in `{parent_layer}`", parent.name), Location::new(&parent.file, 0..0), allowed)
        } else {
            continue;
        };
        if allowed {
            continue;
        }
        let rule = match own.checked_sub(1) {
            None => format!("`{layer}` reads sources only"),
            Some(before) => format!("`{layer}` reads `{}` and `{layer}`", manifest.layers[before]),
        };
        problems.push(
            Diagnostic::error("layer-direction", format!("`{}` in `{layer}` reads {read}", node.name))
                .at(&dependency.at, "")
                .related(&related, "what it reads")
                .help(format!("{rule}: move one of the two, or read a model of the right layer")),
        );
    }
}

/// Files are loaded by `append` models, and an `append` model loads the files of one source table.
fn loading(manifest: &Manifest, node: &Node, problems: &mut Diagnostics) {
    let at = Location::new(&node.file, 0..0);
    let files_of = |dependency: &&Dependency| {
        manifest.sources.get(&dependency.node).is_some_and(|source| source.files.is_some())
    };
    if node.config.materialized != Materialization::Append {
        // In a later layer, reading a source at all is the mistake, and is said already.
        if node.layer.is_some() && node.layer.as_ref() != manifest.layers.first() {
            return;
        }
        for dependency in node.depends_on.iter().filter(files_of) {
            problems.push(
                Diagnostic::error(
                    "append-needed",
                    format!("`{}` reads files and is a {}", node.name, node.config.materialized.as_str()),
                )
                .at(&dependency.at, "these files are loaded by `append` models only")
                .help(append_help(manifest)),
            );
        }
        return;
    }
    if node.layer.is_none() || node.layer.as_ref() != manifest.layers.first() {
        problems.push(
            Diagnostic::error(
                "append-layer",
                format!("`{}` is `append` outside of the first layer", node.name),
            )
            .at(&at, "")
            .help(append_help(manifest)),
        );
        return;
    }
    let loaded = node.depends_on.iter().filter(files_of).count();
    if loaded == 1 && node.depends_on.len() == 1 {
        return;
    }
    // What it reads may be what could not be found, which has been reported already.
    if manifest.broken.contains(&node.id) {
        return;
    }
    let (at, label) = match node.depends_on.iter().find(|dependency| !files_of(dependency)) {
        Some(other) => (other.at.clone(), "this has no `files`, so it has no new rows to append"),
        None => (node.depends_on.last().map_or(at, |last| last.at.clone()), ""),
    };
    problems.push(
        Diagnostic::error(
            "append-source",
            format!("`{}` is `append` and does not read exactly one source with `files`", node.name),
        )
        .at(&at, label)
        .help("read one such source, or write `{{ config(materialized='view') }}` for what exists already"),
    );
}

fn append_help(manifest: &Manifest) -> String {
    match manifest.layers.first() {
        Some(first) => {
            format!("read the files in a model in `models/{first}/`, and that model with `ref` here")
        }
        None => "name a layer for what is loaded under `layers:` in `kiln.yml`".to_owned(),
    }
}

fn contract(manifest: &Manifest, node: &Node, problems: &mut Diagnostics) {
    let published =
        manifest.layers.len() > 1 && node.layer.is_some() && node.layer.as_ref() == manifest.layers.last();
    let bound = manifest.contracts.contains_key(&node.id);
    if !published || bound || node.config.materialized == Materialization::Ephemeral {
        return;
    }
    let layer = node.layer.as_deref().unwrap_or_default();
    problems.push(
        Diagnostic::error("contract-missing", format!("`{}` is in `{layer}` and has no contract", node.name))
            .at(&Location::new(&node.file, 0..0), "")
            .help(format!(
                "write `contracts/{}.odcs.yaml`, or set `severities: {{contract-missing: warn}}`",
                node.name
            )),
    );
}

/// DuckDB's names are the same whatever their case.
fn relations(manifest: &Manifest, problems: &mut Diagnostics) {
    let mut seen: BTreeMap<(String, String), &Node> = BTreeMap::new();
    let real = |node: &&Node| node.config.materialized != Materialization::Ephemeral;
    for node in manifest.nodes.values().filter(real) {
        let mut names = vec![node.relation.name.to_lowercase()];
        if node.config.materialized == Materialization::Append {
            names.push(format!("{}__rejected", names[0]));
        }
        for name in names {
            let key = (node.relation.schema.to_lowercase(), name);
            if let Some(first) = seen.get(&key) {
                let relation = format!("{}.{}", key.0, key.1);
                problems.push(
                    Diagnostic::error(
                        "duplicate-relation",
                        format!("`{}` and `{}` would both be `{relation}`", first.name, node.name),
                    )
                    .at(&Location::new(&node.file, 0..0), "the second one")
                    .related(&Location::new(&first.file, 0..0), "the first one")
                    .help("rename one of them, or give it an `alias`"),
                );
            } else {
                seen.insert(key, node);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Open,
    Done,
}

/// Each cycle once, with its whole path. Depth first without recursion: projects can be deep.
fn cycles(manifest: &Manifest, problems: &mut Diagnostics) {
    let mut marks: BTreeMap<&NodeId, Mark> = BTreeMap::new();
    for start in manifest.nodes.keys() {
        let mut path: Vec<(&Node, usize)> = Vec::new();
        enter(manifest, start, &mut marks, &mut path);
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(dependency) = node.depends_on.get(*next) else {
                marks.insert(&node.id, Mark::Done);
                path.pop();
                continue;
            };
            *next += 1;
            match marks.get(&dependency.node) {
                Some(Mark::Open) => problems.push(cycle(&path, &dependency.node)),
                Some(Mark::Done) => {}
                None => enter(manifest, &dependency.node, &mut marks, &mut path),
            }
        }
    }
}

fn enter<'a>(
    manifest: &'a Manifest,
    id: &NodeId,
    marks: &mut BTreeMap<&'a NodeId, Mark>,
    path: &mut Vec<(&'a Node, usize)>,
) {
    if let Some((id, node)) = manifest.nodes.get_key_value(id)
        && !marks.contains_key(id)
    {
        marks.insert(id, Mark::Open);
        path.push((node, 0));
    }
}

fn cycle(path: &[(&Node, usize)], back_to: &NodeId) -> Diagnostic {
    let start = path.iter().position(|(node, _)| node.id == *back_to).unwrap_or(0);
    let round = &path[start..];
    let names: Vec<&str> =
        round.iter().map(|(node, _)| node.name.as_str()).chain([back_to.short()]).collect();
    // Of each node on the way the dependency that is being followed.
    let mut calls = round.iter().filter_map(|(node, next)| {
        node.depends_on.get(next.checked_sub(1)?).map(|dependency| (&dependency.at, &node.name))
    });
    let mut diagnostic =
        Diagnostic::error("cycle", format!("models read each other in a circle: {}", names.join(" → ")));
    if let Some((at, _)) = calls.next() {
        diagnostic = diagnostic.at(at, "the circle begins here");
    }
    for (at, name) in calls {
        diagnostic = diagnostic.related(at, format!("then `{name}` reads this"));
    }
    diagnostic.help("cut one of these: often the shared part can be a model of its own")
}

/// Folder configuration that holds nothing is a folder that was renamed, or a missing project name.
fn folders(project: &Project, problems: &mut Diagnostics) {
    let files = &project.files;
    let in_yaml = &project.properties.snapshots;
    let resources = [
        ("models", &files.models[..], &[][..]),
        ("seeds", &files.seeds, &[]),
        ("snapshots", &files.snapshots, in_yaml),
    ];
    for (key, resources, others) in resources {
        let Some(folder) = project.folder(key) else { continue };
        let fqns: Vec<Vec<&str>> = resources.iter().chain(others).map(|resource| resource.fqn()).collect();
        for (name, at) in folder.unused(&fqns) {
            let is_folder = fqns.iter().any(|fqn| fqn.get(1) == Some(&name));
            let diagnostic =
                Diagnostic::warning("config-unused", format!("no {key} are below `{name}`")).at(at, "");
            let project = &project.file.name.value;
            problems.push(match is_folder {
                true => diagnostic.help(format!("the project's name comes first: put it below `{project}:`")),
                false => diagnostic
                    .suggest(name, fqns.iter().flat_map(|fqn| fqn.iter().copied()))
                    .help("remove it, or begin it with `+` if it is a setting"),
            });
        }
    }
}
