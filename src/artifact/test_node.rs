//! Tests as nodes of the manifest, and dbt's names and ids for them.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::node::{
    Checksum, Columns, Config, ContractPart, DependsOn, Entry, Surroundings, docs, of_template,
};
use super::{below, setting, shown};
use crate::digest::md5;
use crate::graph::fqn_of;
use crate::manifest::{Manifest, Object, Test, TestKind, TestSeverity};
use crate::names::NodeId;
use crate::resolve::full_test_name;
use crate::run::candidate::Candidates;
use crate::run::names::Names;
use crate::workspace::Workspace;

/// dbt names the schema of kept failures so.
const AUDIT: &str = "dbt_test__audit";

/// What dbt calls a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestName {
    /// Its whole name, however long.
    pub full: String,
    /// `test.<package>.<full name>`, with a hash of the arguments for a generic one.
    pub id: String,
}

impl TestName {
    pub fn of(test: &Test, manifest: &Manifest) -> Self {
        let package = test.id.as_str().split('.').nth(1).unwrap_or_default();
        let TestKind::Generic { name, args } = &test.kind else {
            return Self { full: test.name.clone(), id: test.id.as_str().to_owned() };
        };
        let source = test.node.as_ref().and_then(|id| manifest.sources.get(id));
        let (prefix, label) = match (source, &test.node) {
            (Some(source), _) => ("source_", format!("{}_{}", source.source, source.name)),
            (None, Some(node)) => ("", node.short().to_owned()),
            (None, None) => ("", String::new()),
        };
        let made = full_test_name(name, prefix, &label, test.column.as_deref(), args);
        // A name that was cut is the beginning of the made one, and a hash; any other is the user's own.
        let is_cut = made != test.name && made.len() > test.name.len() && test.name.ends_with(&md5(&made));
        let full = if is_cut { made } else { test.name.clone() };
        let (namespace, plain) = match name.split_once('.') {
            Some((namespace, plain)) => (Value::from(namespace), plain),
            None => (Value::Null, name.as_str()),
        };
        let metadata = json!({"kwargs": arguments(test, manifest), "name": plain, "namespace": namespace});
        let digest = md5(&format!("{full}{}", python(&metadata)));
        let id = format!("test.{package}.{full}.{}", &digest[digest.len() - 10..]);
        Self { full, id }
    }

    /// dbt's ids of all tests, by Kiln's names.
    pub fn ids(manifest: &Manifest) -> HashMap<&str, String> {
        let all = manifest.tests.values();
        all.map(|test| (test.name.as_str(), Self::of(test, manifest).id)).collect()
    }
}

/// What the macro of a generic test is called with.
fn arguments(test: &Test, manifest: &Manifest) -> Object {
    let mut all = match &test.kind {
        TestKind::Generic { args, .. } => args.clone(),
        _ => Object::new(),
    };
    if let Some(column) = &test.column {
        all.insert("column_name".into(), Value::from(column.as_str()));
    }
    if let Some(id) = &test.node {
        let model = format!("{{{{ get_where_subquery({}) }}}}", call(id, manifest));
        all.insert("model".into(), Value::from(model));
    }
    all
}

/// `ref('x')` or `source('a', 'b')`.
fn call(id: &NodeId, manifest: &Manifest) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    match manifest.sources.get(id) {
        Some(source) => format!("source({}, {})", quoted(&source.source), quoted(&source.name)),
        None => format!("ref({})", quoted(id.short())),
    }
}

/// Python's `repr` of a value whose mappings are sorted and whose leaves are text: what dbt hashes.
fn python(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let entries =
                entries.into_iter().map(|(key, value)| format!("{}: {}", quoted(key), python(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quoted(text),
        Value::Bool(true) => "'True'".into(),
        Value::Bool(false) => "'False'".into(),
        Value::Null => "'None'".into(),
        Value::Number(number) => quoted(&number.to_string()),
    }
}

/// Python's `repr` of a text.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut written = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            c if c == quote => written.extend(['\\', c]),
            c if (c as u32) < 0x20 || (0x7f..=0xa0).contains(&(c as u32)) => {
                written.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => written.push(c),
        }
    }
    written.push(quote);
    written
}

/// What a generic test has besides.
#[derive(Debug, Serialize)]
pub(super) struct GenericPart<'a> {
    column_name: Option<&'a str>,
    file_key_name: Option<String>,
    attached_node: Option<&'a str>,
    test_metadata: TestMetadata,
}

#[derive(Debug, Serialize)]
struct TestMetadata {
    name: String,
    kwargs: Object,
    namespace: Option<String>,
}

/// The configuration of a test.
#[derive(Debug, Serialize)]
pub(super) struct TestConfigPart<'a> {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
    schema: &'static str,
    materialized: &'static str,
    tags: &'a [String],
    meta: &'a Object,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_failures: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_failures_as: Option<&'static str>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    where_clause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    fail_calc: &'a str,
    warn_if: &'a str,
    error_if: &'a str,
}

impl<'a> Surroundings<'a> {
    /// A test. A promise of a contract is a singular one, for that is what it would be in dbt.
    pub fn test(&'a self, test: &'a Test, description: &'a str) -> Entry<'a> {
        let manifest = &self.workspace.manifest;
        let package = test.id.as_str().split('.').nth(1).unwrap_or_default();
        let TestName { full, id } = TestName::of(test, manifest);
        let sql = self.compiled.and_then(|compiled| compiled.tests.get(&test.id)).cloned();
        let stored = test.config.store_failures;
        let config = TestConfigPart {
            enabled: true,
            alias: (full != test.name).then_some(&test.name),
            schema: AUDIT,
            materialized: "test",
            tags: &test.config.tags,
            meta: &test.config.meta,
            severity: if test.config.severity == TestSeverity::Warn { "WARN" } else { "ERROR" },
            store_failures: stored.then_some(true),
            store_failures_as: stored.then_some("table"),
            where_clause: test.config.where_clause.as_deref(),
            limit: test.config.limit,
            fail_calc: &test.config.fail_calc,
            warn_if: &test.config.warn_if,
            error_if: &test.config.error_if,
        };
        let original = shown(test.at.path());
        let plain = || Checksum { name: "none", checksum: String::new() };
        let (path, raw_code, checksum, macros, part) = match &test.kind {
            TestKind::Singular { file } => {
                let path = shown(below(&file.path, &manifest.search_paths));
                let macros = self.macros(package, &file.text);
                (path, file.text.trim().to_owned(), of_template(&file.text), macros, None)
            }
            TestKind::Generic { name, .. } => {
                let (namespace, plain_name) = match name.split_once('.') {
                    Some((namespace, plain)) => (Some(namespace.to_owned()), plain),
                    None => (None, name.as_str()),
                };
                let prefix = namespace.as_ref().map(|namespace| format!("{namespace}.")).unwrap_or_default();
                let raw = format!("{{{{ {prefix}test_{plain_name}(**_dbt_generic_test_kwargs) }}}}");
                let found = self.workspace.templates().test_macro(package, name);
                let mut macros: Vec<String> =
                    found.map(|(package, name)| format!("macro.{package}.{name}")).into_iter().collect();
                // As in dbt, which reads these two without rendering them.
                if !matches!(name.as_str(), "not_null" | "unique") {
                    macros.push("macro.dbt.get_where_subquery".into());
                }
                let metadata = TestMetadata {
                    name: plain_name.to_owned(),
                    kwargs: arguments(test, manifest),
                    namespace,
                };
                (format!("{}.sql", test.name), raw, plain(), macros, Some(self.generic(test, metadata)))
            }
            TestKind::Contract(_) => {
                (format!("{}.sql", test.name), self.template_of(test), plain(), Vec::new(), None)
            }
        };
        let code_path = match part.is_some() {
            true => format!("{original}/{}.sql", test.name),
            false => original.clone(),
        };
        let contract = ContractPart { enforced: false, alias_types: true, checksum: None };
        let code = self.code(&test.depends_on, sql, &code_path, contract);
        Entry {
            database: &self.database,
            schema: format!("{}_{AUDIT}", self.workspace.target.schema),
            resource_type: "test",
            package_name: package,
            path,
            unique_id: id,
            fqn: fqn_of(manifest, package, test.at.path(), &full),
            alias: test.name.clone(),
            checksum,
            config: Config::Test(config),
            tags: &test.config.tags,
            description,
            columns: Columns::default(),
            meta: &test.config.meta,
            // As in dbt, a generic test is in the group of what it tests.
            group: part.is_some().then(|| self.group_of(test)).flatten(),
            docs: docs(&test.config.meta),
            patch_path: None,
            build_path: None,
            unrendered_config: &self.nothing,
            relation_name: None,
            raw_code,
            doc_blocks: [],
            depends_on: DependsOn::new(macros, Self::nodes(&test.depends_on)),
            root_path: None,
            code: Some(code),
            model: None,
            test: part,
            name: full,
            original_file_path: original,
        }
    }

    fn group_of(&self, test: &Test) -> Option<&'a str> {
        let node = self.workspace.manifest.nodes.get(test.node.as_ref()?)?;
        setting(&node.config.all, "group")
    }

    fn generic(&self, test: &'a Test, test_metadata: TestMetadata) -> GenericPart<'a> {
        let manifest = &self.workspace.manifest;
        let node = test.node.as_ref();
        let source = node.and_then(|id| manifest.sources.get(id));
        GenericPart {
            column_name: test.column.as_deref(),
            file_key_name: match (source, node) {
                (Some(source), _) => Some(format!("sources.{}", source.source)),
                (None, Some(node)) => Some(format!("{}s.{}", node.resource_type(), node.short())),
                (None, None) => None,
            },
            attached_node: node.filter(|_| source.is_none()).map(NodeId::as_str),
            test_metadata,
        }
    }

    /// A promise as a template: the SQL with its relations as calls.
    fn template_of(&self, test: &Test) -> String {
        let candidates = Candidates::new();
        let workspace: &Workspace = self.workspace;
        let names = Names { workspace, candidates: &candidates, session: None };
        let Ok(rendered) = workspace.render_test(test, &names) else { return String::new() };
        let plain = |text: &str| match ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            true => format!("{{% raw %}}{text}{{% endraw %}}"),
            false => text.to_owned(),
        };
        let (mut text, mut at) = (String::new(), 0);
        for slot in &rendered.slots {
            text.push_str(&plain(&rendered.sql[at..slot.range.start]));
            text.push_str(&format!("{{{{ {} }}}}", call(&slot.node, &workspace.manifest)));
            at = slot.range.end;
        }
        text.push_str(&plain(&rendered.sql[at..]));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_writes_text_so() {
        let value = json!({"b": [1, 0.5, true, null], "a": {"x": "it's", "w": "a\"b'c\n"}});
        insta::assert_snapshot!(
            python(&value),
            @r#"{'a': {'w': 'a"b\'c\n', 'x': "it's"}, 'b': ['1', '0.5', 'True', 'None']}"#
        );
    }
}
