//! Unit tests: the model and the inputs of each, resolved.

use super::UnitTest;
use super::config::is_enabled;
use super::consumers::{Call, calls};
use super::resolve::Resolver;
use super::template::RefCall;
use crate::diagnostic::Diagnostic;
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
        let mut inputs = Vec::new();
        for input in declared.given.iter().filter_map(|given| given.input.as_ref()) {
            let found = match calls(&input.value, &input.at).first() {
                Some(Call::Ref(call)) => resolver.lineup.find_ref(call, &declared.package).map(Some),
                Some(Call::Source(call)) => resolver.lineup.find_source(call).map(Some),
                None if input.value.trim() == "this" => Ok(None),
                None => {
                    let message = format!("`{}` is not an input", input.value);
                    let problem = Diagnostic::error("unit-test-input", message)
                        .at(&input.at, "")
                        .help("write `ref('model')`, `source('source', 'table')` or `this`");
                    Err(Box::new(problem))
                }
            };
            match found {
                Ok(input) => inputs.push(input),
                Err(problem) => resolver.problems.push(*problem),
            }
        }
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
        resolver
            .manifest
            .unit_tests
            .insert(id.clone(), UnitTest { id, node, inputs, declared: declared.clone() });
    }
}
