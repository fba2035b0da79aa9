//! Consumers: exposures with what they read resolved to nodes.

use std::sync::LazyLock;

use indexmap::IndexMap;

use super::Resolver;
use super::config::{is_enabled, tags_and_meta};
use crate::diagnostic::{Diagnostic, Location};
use crate::manifest::{Dependency, Exposure};
use crate::manifest::{RefCall, SourceCall};
use crate::names::NodeId;
use crate::project::{ExposureProperties, Settings, lay_over};

static CALL: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(
        r#"\b(ref|source)\(\s*['"]([^'"]+)['"]\s*(?:,\s*(?:(?:package|table|name)\s*=\s*)?['"]([^'"]+)['"]\s*)?\)"#,
    )
    .expect("the pattern is valid")
});

/// A `ref` or `source` call in YAML text.
pub(super) enum Call {
    Ref(RefCall),
    Source(SourceCall),
}

/// Every call in a text that stands at a place.
pub(super) fn calls(text: &str, at: &Location) -> Vec<Call> {
    let mut found = Vec::new();
    for call in CALL.captures_iter(text) {
        let at = at.clone();
        let second = call.get(3).map(|part| part.as_str().to_owned());
        let first = call[2].to_owned();
        match (&call[1], second) {
            ("ref", None) => found.push(Call::Ref(RefCall { package: None, name: first, at })),
            ("ref", Some(name)) => found.push(Call::Ref(RefCall { package: Some(first), name, at })),
            (_, Some(table)) => found.push(Call::Source(SourceCall { source: first, table, at })),
            (_, None) => {}
        }
    }
    found
}

/// Adds all exposures to the manifest.
pub(super) fn exposures(resolver: &mut Resolver<'_>) {
    for declared in &resolver.project.properties.exposures {
        let fqn: Vec<&str> = std::iter::once(declared.package.as_str())
            .chain(declared.folders.iter().map(String::as_str))
            .chain([declared.name.value.as_str()])
            .collect();
        let folder = resolver.project.folder("exposures");
        let mut settings = folder.map_or_else(Settings::new, |folder| folder.settings_for(&fqn));
        lay_over(&mut settings, &declared.config);
        if is_enabled(&settings, &mut resolver.problems) {
            exposure(resolver, declared, &settings);
        }
    }
}

fn exposure(resolver: &mut Resolver<'_>, declared: &ExposureProperties, settings: &Settings) {
    let id = NodeId::new("exposure", &declared.package, &declared.name.value);
    if let Some(first) = resolver.manifest.exposures.get(&id) {
        resolver.problems.push(
            Diagnostic::error(
                "duplicate-name",
                format!("two exposures are called `{}`", declared.name.value),
            )
            .at(&declared.name.at, "the second one")
            .related(&first.at, "the first one"),
        );
        return;
    }
    let mut depends_on: Vec<Dependency> = Vec::new();
    for text in &declared.depends_on {
        let calls = calls(&text.value, &text.at);
        if calls.is_empty() {
            resolver.problems.push(
                Diagnostic::error("exposure-depends-on", format!("`{}` is not a reference", text.value))
                    .at(&text.at, "")
                    .help(format!("write `ref('{}')` or `source('source', 'table')`", text.value)),
            );
        }
        for call in calls {
            let found = match &call {
                Call::Ref(call) => resolver.lineup.find_ref(call, &declared.package),
                Call::Source(call) => resolver.lineup.find_source(call),
            };
            match found {
                Ok(node) if depends_on.iter().any(|known| known.node == node) => {}
                Ok(node) => depends_on.push(Dependency { node, at: text.at.clone() }),
                Err(problem) => resolver.problems.push(*problem),
            }
        }
    }
    let mut columns = IndexMap::new();
    for (model, (at, names)) in &declared.columns {
        let named = |dependency: &Dependency| {
            let short = dependency.node.short();
            short == model || short.rsplit('.').next() == Some(model)
        };
        if !depends_on.iter().any(named) {
            let known: Vec<&str> = depends_on.iter().map(|dependency| dependency.node.short()).collect();
            resolver.problems.push(
                Diagnostic::error(
                    "exposure-columns",
                    format!("`{model}` has columns here and is not in `depends_on`"),
                )
                .at(at, "")
                .suggest(model, known)
                .help(format!("add `ref('{model}')` to `depends_on`")),
            );
        }
        columns.insert(model.clone(), names.clone());
    }
    let (tags, meta) = tags_and_meta(settings, &mut resolver.problems);
    let exposure = Exposure {
        id: id.clone(),
        name: declared.name.value.clone(),
        kind: declared.kind.clone(),
        owner: declared.owner.clone(),
        description: declared.description.clone(),
        depends_on,
        columns,
        queries: declared.queries.clone(),
        url: declared.url.clone(),
        tags,
        meta,
        at: declared.name.at.clone(),
    };
    resolver.manifest.exposures.insert(id, exposure);
}
