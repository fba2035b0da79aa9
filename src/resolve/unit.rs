//! Unit tests: the model, the inputs and the rows of each, resolved.

use std::collections::BTreeSet;

use super::Resolver;
use super::config::{is_enabled, tags_and_meta};
use super::consumers::{Call, calls};
use super::unit_rows;
use crate::diagnostic::{Diagnostic, Located};
use crate::manifest::RefCall;
use crate::manifest::UnitTest;
use crate::names::NodeId;

/// Adds the unit tests to the manifest.
pub(super) fn tests(resolver: &mut Resolver<'_>) {
    for declared in &resolver.project.properties.unit_tests {
        if !is_enabled(&declared.config, &mut resolver.problems) {
            continue;
        }
        let (name, at) = (declared.model.value.clone(), declared.model.at.clone());
        let node = match resolver.lineup.find_ref(&RefCall { package: None, name, at }, &declared.package) {
            Ok(node) => node,
            // As a data test, it goes away with its model.
            Err(problem) if problem.code == "ref-disabled" => continue,
            Err(problem) => {
                resolver.problems.push(*problem);
                continue;
            }
        };
        if node.resource_type() != "model" {
            let message = format!("`{}` is not a model, so there is nothing to test", declared.model.value);
            resolver.problems.push(Diagnostic::error("unit-test-model", message).at(&declared.model.at, ""));
            continue;
        }
        let above = upstream(resolver, &node);
        let is_whole = above.iter().chain([&node]).all(|id| !resolver.manifest.broken.contains(id));
        let fixtures = &resolver.project.files.fixtures;
        let mut inputs: Vec<Option<NodeId>> = Vec::new();
        let mut given = Vec::new();
        for one in &declared.given {
            let Some(input) = &one.input else { continue };
            match find(resolver, input, &declared.package) {
                Ok(found) => {
                    if let Some(first) = inputs.iter().position(|known| *known == found) {
                        let mut problem =
                            Diagnostic::error("unit-test-input", format!("`{}` is given twice", input.value))
                                .at(&input.at, "the second one");
                        if let Some(first) = declared.given.get(first).and_then(|first| first.input.as_ref())
                        {
                            problem = problem.related(&first.at, "the first one");
                        }
                        resolver.problems.push(problem.help("put all its rows into one of them"));
                    } else if is_whole && found.as_ref().is_some_and(|found| !above.contains(found)) {
                        let names = above.iter().map(NodeId::short);
                        let short = found.as_ref().map_or("", NodeId::short);
                        resolver.problems.push(
                            Diagnostic::error(
                                "unit-test-input",
                                format!("`{}` does not read `{short}`, nor does what it reads", node.short()),
                            )
                            .at(&input.at, "given here")
                            .suggest(short, names)
                            .help("remove it: its rows would change nothing"),
                        );
                    }
                    inputs.push(found);
                    given.push(unit_rows::read(one, fixtures, &mut resolver.problems));
                }
                Err(problem) => resolver.problems.push(*problem),
            }
        }
        let expect = unit_rows::read(&declared.expect, fixtures, &mut resolver.problems);
        let local = format!("{}.{}", declared.model.value, declared.name.value);
        let id = NodeId::new("unit_test", &declared.package, &local);
        if let Some(first) = resolver.manifest.unit_tests.get(&id) {
            let message = format!("two unit tests are called `{}`", declared.name.value);
            resolver.problems.push(
                Diagnostic::error("duplicate-name", message)
                    .at(&declared.name.at, "the second one")
                    .related(&first.declared.name.at, "the first one"),
            );
            continue;
        }
        let (tags, _) = tags_and_meta(&declared.config, &mut resolver.problems);
        resolver.manifest.unit_tests.insert(
            id.clone(),
            UnitTest { id, node, inputs, tags, given, expect, declared: declared.clone() },
        );
    }
}

/// What an input stands for; `None` is the model itself.
fn find(
    resolver: &Resolver<'_>,
    input: &Located<String>,
    package: &str,
) -> Result<Option<NodeId>, Box<Diagnostic>> {
    match calls(&input.value, &input.at).first() {
        Some(Call::Ref(call)) => resolver.lineup.find_ref(call, package).map(Some),
        Some(Call::Source(call)) => resolver.lineup.find_source(call).map(Some),
        None if input.value.trim() == "this" => Ok(None),
        None => {
            let problem = Diagnostic::error("unit-test-input", format!("`{}` is not an input", input.value))
                .at(&input.at, "")
                .help("write `ref('model')`, `source('source', 'table')` or `this`");
            Err(Box::new(problem))
        }
    }
}

/// Everything that a model reads, at whatever distance.
fn upstream(resolver: &Resolver<'_>, node: &NodeId) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    let mut queue = vec![node];
    while let Some(id) = queue.pop() {
        for dependency in resolver.manifest.nodes.get(id).into_iter().flat_map(|node| &node.depends_on) {
            if found.insert(dependency.node.clone()) {
                queue.push(&dependency.node);
            }
        }
    }
    found
}
