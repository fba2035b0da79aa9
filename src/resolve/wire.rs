//! Wiring tests: entries of properties and files in `tests/` become tests with a name, a node and what they read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Resolver;
use super::config::{in_file, is_enabled, test_config};
use super::consumers::{Call, calls};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, nearest};
use crate::digest::md5;
use crate::manifest::{Column, Dependency, NodeKind, Object, Test, TestKind};
use crate::manifest::{Param, TestUse};
use crate::names::{Fingerprint, NodeId};
use crate::project::{Resource, Said, Settings, TestEntry, lay_over};

/// dbt's longest name of a test that it makes itself.
const LONGEST_NAME: usize = 64;

/// What a test is declared on.
struct Tested<'a> {
    id: NodeId,
    /// In names of tests: `orders`, `source_…`.
    prefix: &'static str,
    label: String,
    package: &'a str,
    folders: &'a [String],
    columns: &'a [Column],
}

/// Adds all tests of properties and of `tests/` to the manifest.
pub(super) fn tests(resolver: &mut Resolver<'_>) {
    let mut params = Params::default();
    let project = resolver.project;
    for properties in &project.properties.nodes {
        let Some(id) = resolver.lineup.node(&properties.name.value, &properties.package).cloned() else {
            continue;
        };
        let kind = match id.resource_type() {
            "seed" => NodeKind::Seed,
            "snapshot" => NodeKind::Snapshot,
            _ => NodeKind::Model,
        };
        if kind != properties.kind {
            continue;
        }
        let label = properties.name.value.clone();
        let (package, folders) = (properties.package.as_str(), properties.folders.as_slice());
        let columns = properties.columns.as_slice();
        let tested = Tested { id, prefix: "", label, package, folders, columns };
        for entry in &properties.tests {
            generic(resolver, &mut params, &tested, entry);
        }
    }
    for declared in &project.properties.sources {
        let id = &declared.table.id;
        let here = resolver.manifest.sources.get(id).is_some_and(|kept| kept.at == declared.table.at);
        if !here {
            continue;
        }
        let label = format!("{}_{}", declared.table.source, declared.table.name);
        let (package, folders) = (declared.package.as_str(), declared.folders.as_slice());
        let columns = declared.table.columns.as_slice();
        let tested = Tested { id: id.clone(), prefix: "source_", label, package, folders, columns };
        for entry in &declared.tests {
            generic(resolver, &mut params, &tested, entry);
        }
    }
    for resource in &project.files.singular_tests {
        singular(resolver, resource);
    }
}

/// The parameters of generic tests, asked for once each.
#[derive(Default)]
struct Params(BTreeMap<(String, String), Option<Vec<Param>>>);

impl Params {
    fn of(&mut self, resolver: &Resolver<'_>, package: &str, test: &str) -> Option<Vec<Param>> {
        let key = (package.to_owned(), test.to_owned());
        self.0.entry(key).or_insert_with(|| resolver.templates.test_params(package, test)).clone()
    }
}

fn folder_settings(resolver: &Resolver<'_>, package: &str, folders: &[String], name: &str) -> Settings {
    let Some(folder) = resolver.project.folder("data_tests") else { return Settings::new() };
    let fqn: Vec<&str> =
        std::iter::once(package).chain(folders.iter().map(String::as_str)).chain([name]).collect();
    folder.settings_for(&fqn)
}

fn generic(resolver: &mut Resolver<'_>, params: &mut Params, tested: &Tested<'_>, entry: &TestEntry) {
    let test = entry.test.value.as_str();
    let Some(wanted) = params.of(resolver, tested.package, test) else {
        unknown_test(resolver, tested.package, entry);
        return;
    };
    let name = match &entry.name {
        Some(name) => name.value.clone(),
        None => made_name(tested, entry),
    };
    let mut settings = folder_settings(resolver, tested.package, tested.folders, &name);
    let own = resolver.templates.test_config(&TestUse {
        package: tested.package,
        name: test,
        tested: &tested.id,
        column: entry.column.as_deref(),
        args: &entry.args,
        at: &entry.at,
    });
    let said = |(key, value)| (key, Said { value, at: entry.at.clone() });
    lay_over(&mut settings, &own.into_iter().map(said).collect());
    lay_over(&mut settings, &entry.config);
    if !is_enabled(&settings, &mut resolver.problems) {
        return;
    }
    if !check_args(resolver, entry, &wanted) {
        // Its macro would say the same once more.
        return;
    }
    let mut depends_on = vec![Dependency { node: tested.id.clone(), at: entry.at.clone() }];
    for (key, value) in &entry.args {
        let at = entry.arg_at.get(key).unwrap_or(&entry.at);
        let mut found = Vec::new();
        calls_in(value, at, &mut found);
        read_calls(resolver, tested.package, found, &mut depends_on);
    }
    if let Some(said) = settings.get("where") {
        let mut found = Vec::new();
        calls_in(&said.value, &said.at, &mut found);
        read_calls(resolver, tested.package, found, &mut depends_on);
    }
    let mut config = test_config(&settings, &mut resolver.problems);
    // As in dbt, a test of a column bears the column's tags.
    let column = tested.columns.iter().find(|column| Some(&column.name) == entry.column.as_ref());
    for tag in column.iter().flat_map(|column| &column.tags) {
        if !config.tags.contains(tag) {
            config.tags.push(tag.clone());
        }
    }
    let kind = TestKind::Generic { name: test.to_owned(), args: entry.args.clone() };
    add(
        resolver,
        Test {
            id: NodeId::new("test", tested.package, &name),
            name,
            node: Some(tested.id.clone()),
            column: entry.column.clone(),
            kind,
            config,
            depends_on,
            at: entry.at.clone(),
        },
    );
}

fn calls_in(value: &Value, at: &Location, found: &mut Vec<Call>) {
    match value {
        Value::String(text) => found.extend(calls(text, at)),
        Value::Array(items) => items.iter().for_each(|item| calls_in(item, at, found)),
        Value::Object(entries) => entries.values().for_each(|item| calls_in(item, at, found)),
        _ => {}
    }
}

fn read_calls(
    resolver: &mut Resolver<'_>,
    package: &str,
    found: Vec<Call>,
    depends_on: &mut Vec<Dependency>,
) {
    for call in found {
        let (at, found) = match &call {
            Call::Ref(call) => (&call.at, resolver.lineup.find_ref(call, package)),
            Call::Source(call) => (&call.at, resolver.lineup.find_source(call)),
        };
        match found {
            Ok(node) if depends_on.iter().any(|known| known.node == node) => {}
            Ok(node) => depends_on.push(Dependency { node, at: at.clone() }),
            Err(problem) => resolver.problems.push(*problem),
        }
    }
}

fn unknown_test(resolver: &mut Resolver<'_>, package: &str, entry: &TestEntry) {
    let written = entry.test.value.as_str();
    let names = resolver.templates.test_names(package);
    let diagnostic =
        Diagnostic::error("test-not-found", format!("there is no test `{written}`")).at(&entry.test.at, "");
    // `accepted_range` is written for `dbt_utils.accepted_range`, too.
    let tail = |name: &&String| name.rsplit('.').next() == Some(written);
    resolver.problems.push(
        match (nearest(written, names.iter().map(String::as_str)), names.iter().find(tail)) {
            (_, Some(full)) => diagnostic.help(format!("did you mean `{full}`?")),
            (Some(near), None) => diagnostic.help(format!("did you mean `{near}`?")),
            (None, None) => diagnostic.help("define it with `{% test %}` in `tests/generic/` or `macros/`"),
        },
    );
}

/// Says what is wrong with a test's arguments; whether nothing is.
fn check_args(resolver: &mut Resolver<'_>, entry: &TestEntry, wanted: &[Param]) -> bool {
    let test = &entry.test.value;
    let mut fit = true;
    let names = || {
        wanted.iter().map(|param| param.name.as_str()).filter(|name| !["model", "column_name"].contains(name))
    };
    // A macro that uses `kwargs` takes what it is given.
    let takes_any = wanted.iter().any(|param| param.name == "kwargs");
    for key in entry.args.keys() {
        if takes_any || names().any(|name| name == key) {
            continue;
        }
        fit = false;
        let at = entry.arg_at.get(key).unwrap_or(&entry.at);
        let takes = names().collect::<Vec<_>>().join(", ");
        let diagnostic =
            Diagnostic::error("test-args", format!("`{test}` has no argument `{key}`")).at(at, "");
        resolver.problems.push(match nearest(key, names()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if takes.is_empty() => diagnostic.help("it takes none"),
            None => diagnostic.help(format!("it takes: {takes}")),
        });
    }
    for param in
        wanted.iter().filter(|param| param.required && !["model", "kwargs"].contains(&param.name.as_str()))
    {
        let given = match param.name.as_str() {
            "column_name" => entry.column.is_some(),
            name => entry.args.contains_key(name),
        };
        if given {
            continue;
        }
        fit = false;
        let message = format!("`{test}` needs `{}`", param.name);
        let diagnostic = Diagnostic::error("test-args", message).at(&entry.at, "");
        resolver.problems.push(match param.name.as_str() {
            "column_name" => diagnostic.help("put it under a column, or write `column_name:`"),
            name => diagnostic.help(format!("write `{test}: {{arguments: {{{name}: ...}}}}`")),
        });
    }
    fit
}

/// The name that dbt would make: `unique_orders_order_id`.
fn made_name(tested: &Tested<'_>, entry: &TestEntry) -> String {
    let (test, column) = (entry.test.value.as_str(), entry.column.as_deref());
    let full = full_name(test, tested.prefix, &tested.label, column, &entry.args);
    let head = head(test, tested.prefix, &tested.label);
    shortened(&head, full)
}

/// The name that dbt would make, however long. `prefix` is `source_` for a test of a source, `label` what is tested.
pub(crate) fn full_name(
    test: &str,
    prefix: &str,
    label: &str,
    column: Option<&str>,
    args: &Object,
) -> String {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, value) in args {
        all.insert(key, parts(value));
    }
    if let Some(column) = column {
        all.insert("column_name", vec![column.to_owned()]);
    }
    let tail: Vec<String> = all.into_values().flatten().map(|text| clean(&text)).collect();
    format!("{}_{}", head(test, prefix, label), tail.join("__"))
}

/// The beginning of a name: the package of a test stands before all of it.
fn head(test: &str, prefix: &str, label: &str) -> String {
    match test.split_once('.') {
        Some((package, test)) => format!("{package}_{prefix}{test}_{label}"),
        None => format!("{prefix}{test}_{label}"),
    }
}

/// A name that dbt finds too long is cut, and ends in a hash of all of it.
fn shortened(head: &str, full: String) -> String {
    if full.chars().count() < LONGEST_NAME {
        return full;
    }
    let cut: String = head.chars().take(30).collect();
    format!("{cut}_{}", md5(&full))
}

/// The parts of an argument in a name, as Python writes them.
fn parts(value: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Object(entries) => entries.values().map(text).collect(),
        single => vec![text(single)],
    }
}

fn clean(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            clean.push(c);
        } else if !clean.ends_with('\u{0}') {
            clean.push('\u{0}');
        }
    }
    clean.replace('\u{0}', "_")
}

fn singular(resolver: &mut Resolver<'_>, resource: &Resource) {
    let id = NodeId::new("test", &resource.package, &resource.name);
    let start = Location::new(&resource.file, 0..0);
    if resource.file.text.trim().is_empty() {
        resolver.problems.push(
            Diagnostic::error("empty-model", "this test is empty")
                .at(&Location::whole_file(&resource.file.path), "")
                .help("write a SELECT whose rows are failures, or remove the file"),
        );
        return;
    }
    let described = resolver.project.properties.tests.iter().find(|own| own.name.value == resource.name);
    let mut settings = folder_settings(resolver, &resource.package, &resource.folders, &resource.name);
    if let Some(described) = described {
        lay_over(&mut settings, &described.config);
    }
    let parsed = match resolver.templates.parse(&id, &resource.package, &resource.name, &resource.file) {
        Ok(parsed) => parsed,
        Err(found) => {
            resolver.problems.extend(found);
            return;
        }
    };
    lay_over(&mut settings, &in_file(&parsed, &resource.file));
    settings.shift_remove("materialized");
    if !is_enabled(&settings, &mut resolver.problems) {
        return;
    }
    let mut missing = Diagnostics::new();
    let depends_on = resolver.lineup.dependencies(&parsed, &resource.package, &mut missing);
    if missing.has_errors() {
        resolver.problems.extend(missing);
        return;
    }
    let config = test_config(&settings, &mut resolver.problems);
    let node = match depends_on.as_slice() {
        [only] => Some(only.node.clone()),
        _ => None,
    };
    let kind = TestKind::Singular { file: Arc::clone(&resource.file) };
    let name = resource.name.clone();
    add(resolver, Test { id, name, node, column: None, kind, config, depends_on, at: start });
}

/// Adds a test. Two tests of one made name differ in their configuration; the later one gets a hash of its own.
fn add(resolver: &mut Resolver<'_>, mut test: Test) {
    if let Some(first) = resolver.manifest.tests.get(&test.id) {
        let same = first.config == test.config && definition(first) == definition(&test);
        let made = matches!(test.kind, TestKind::Generic { .. }) && first.node == test.node;
        if same || !made {
            resolver.problems.push(
                Diagnostic::error("duplicate-test", format!("two tests are called `{}`", test.name))
                    .at(&test.at, "the second one")
                    .related(&first.at, "the first one")
                    .help("remove one of them, or give it a `name`"),
            );
            return;
        }
        let hash = Fingerprint::of([format!("{:?}", test.config).as_bytes(), definition(&test).as_bytes()]);
        test.name = format!("{}_{}", test.name, hash.short());
        test.id = NodeId::new("test", test.id.as_str().split('.').nth(1).unwrap_or_default(), &test.name);
    }
    resolver.manifest.tests.insert(test.id.clone(), test);
}

fn definition(test: &Test) -> String {
    let args = match &test.kind {
        TestKind::Generic { name, args } => format!("{name} {}", Value::Object(args.clone())),
        _ => Value::Object(Object::new()).to_string(),
    };
    format!("{:?} {:?} {args}", test.node, test.column)
}
