//! What else the manifest lists: sources, macros, docs blocks, consumers, unit tests and groups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::node::{DependsOn, Docs, Reference, Surroundings};
use super::{below, full_name, shown};
use crate::diagnostic::{Located, Location};
use crate::graph::fqn_of;
use crate::manifest::{Age, Exposure, FileFormat, FileSource, Object, Owner, Period, SourceTable, UnitTest};
use crate::names::NodeId;
use crate::project::{Argument, Described, ExposureProperties, SourceProperties, UnitOverrides};

#[derive(Debug, Serialize)]
pub(super) struct SourceEntry<'a> {
    database: &'a str,
    schema: &'a str,
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: String,
    original_file_path: String,
    unique_id: &'a str,
    fqn: Vec<String>,
    source_name: &'a str,
    source_description: &'a str,
    loader: &'a str,
    identifier: &'a str,
    quoting: Object,
    loaded_at_field: Option<&'a str>,
    loaded_at_query: Option<String>,
    freshness: Option<FreshnessPart>,
    external: Option<Value>,
    description: &'a str,
    columns: super::node::Columns<'a>,
    meta: &'a Object,
    source_meta: &'a Object,
    tags: &'a [String],
    config: SourceConfig<'a>,
    patch_path: Option<String>,
    unrendered_config: Object,
    relation_name: String,
    doc_blocks: [String; 0],
}

#[derive(Debug, Serialize)]
struct SourceConfig<'a> {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<&'a str>,
    meta: &'a Object,
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded_at_field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<FreshnessPart>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct FreshnessPart {
    warn_after: AgePart,
    error_after: AgePart,
    filter: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct AgePart {
    count: Option<u64>,
    period: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct MacroEntry<'a> {
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: String,
    original_file_path: String,
    unique_id: String,
    macro_sql: &'a str,
    depends_on: DependsOn,
    description: &'a str,
    meta: Object,
    docs: Docs<'a>,
    config: MacroConfig<'a>,
    patch_path: Option<String>,
    arguments: Vec<ArgumentPart<'a>>,
    supported_languages: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct MacroConfig<'a> {
    meta: Object,
    docs: Docs<'a>,
}

#[derive(Debug, Serialize)]
struct ArgumentPart<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    description: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct DocEntry<'a> {
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: String,
    original_file_path: String,
    unique_id: String,
    block_contents: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct ExposureEntry<'a> {
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: String,
    original_file_path: String,
    unique_id: &'a str,
    fqn: Vec<String>,
    #[serde(rename = "type")]
    kind: &'a str,
    owner: OwnerPart<'a>,
    description: &'a str,
    label: Option<&'a str>,
    maturity: Option<&'a str>,
    meta: &'a Object,
    tags: &'a [String],
    config: ExposureConfig<'a>,
    unrendered_config: Object,
    url: Option<&'a str>,
    depends_on: DependsOn,
    refs: Vec<Reference>,
    sources: Vec<[String; 2]>,
    metrics: [String; 0],
}

#[derive(Debug, Serialize)]
struct ExposureConfig<'a> {
    enabled: bool,
    tags: &'a [String],
    meta: &'a Object,
}

#[derive(Debug, Serialize)]
struct OwnerPart<'a> {
    email: Option<&'a str>,
    name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct UnitTestEntry<'a> {
    model: &'a str,
    given: Vec<Value>,
    expect: Value,
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: String,
    original_file_path: String,
    unique_id: &'a str,
    fqn: Vec<String>,
    description: &'a str,
    overrides: Option<Object>,
    depends_on: DependsOn,
    config: Object,
    schema: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct GroupEntry<'a> {
    name: &'a str,
    resource_type: &'static str,
    package_name: &'a str,
    path: String,
    original_file_path: String,
    unique_id: String,
    owner: OwnerPart<'a>,
    description: &'a str,
}

impl<'a> Surroundings<'a> {
    pub fn source(
        &'a self,
        source: &'a SourceTable,
        declared: Option<&'a SourceProperties>,
    ) -> SourceEntry<'a> {
        let manifest = &self.workspace.manifest;
        let package = package_of(&source.id);
        let path = shown(source.at.path());
        let freshness = source.freshness.map(|freshness| FreshnessPart {
            warn_after: age(freshness.warn_after),
            error_after: age(freshness.error_after),
            filter: None,
        });
        let mut fqn = fqn_of(manifest, package, source.at.path(), &source.source);
        fqn.push(source.name.clone());
        SourceEntry {
            database: &self.database,
            schema: &source.relation.schema,
            name: &source.name,
            resource_type: "source",
            package_name: package,
            path: path.clone(),
            original_file_path: path,
            unique_id: source.id.as_str(),
            fqn,
            source_name: &source.source,
            source_description: declared.map(|said| said.source_description.as_str()).unwrap_or_default(),
            loader: declared.map(|said| said.loader.as_str()).unwrap_or_default(),
            identifier: &source.relation.name,
            quoting: Object::new(),
            loaded_at_field: source.loaded_at_field.as_deref(),
            loaded_at_query: None,
            freshness,
            external: source.files.as_ref().map(external),
            description: &source.description,
            columns: super::node::Columns { declared: &source.columns, constraints: &[] },
            meta: &source.meta,
            source_meta: declared.map(|said| &said.source_meta).unwrap_or(&source.meta),
            tags: &source.tags,
            config: SourceConfig {
                enabled: true,
                event_time: source.event_time.as_deref(),
                meta: &source.meta,
                tags: &source.tags,
                loaded_at_field: source.loaded_at_field.as_deref(),
                freshness,
            },
            patch_path: None,
            unrendered_config: Object::new(),
            relation_name: full_name(&self.database, &source.relation),
            doc_blocks: [],
        }
    }

    /// The project's macros, and those of Kiln's that stand for a package's: `used` names them by id. They are in reach of
    /// dbt's own Jinja, and what a test is made of is then complete. Not among them is package `dbt`, which dbt has.
    pub fn macros_of(&'a self, used: &BTreeSet<String>) -> BTreeMap<String, MacroEntry<'a>> {
        let properties = &self.workspace.project.properties.macros;
        let mut all = BTreeMap::new();
        for made in self.workspace.templates().macros() {
            let id = format!("macro.{}.{}", made.package, made.name);
            let is_ours = made.path.starts_with("kiln");
            if made.package == "dbt" || (is_ours && !used.contains(&id)) || all.contains_key(&id) {
                continue;
            }
            let plain = made.name.strip_prefix("test_").unwrap_or(made.name);
            let said: Option<&Described> = properties.iter().find(|said| {
                said.package == made.package && (said.name.value == made.name || said.name.value == plain)
            });
            let path = shown(made.path);
            let meta = match said.and_then(|said| said.config.get("meta")).map(|said| &said.value) {
                Some(Value::Object(meta)) => meta.clone(),
                _ => Object::new(),
            };
            let calls = self.macros(made.package, made.text).into_iter().filter(|called| *called != id);
            let entry = MacroEntry {
                name: made.name,
                resource_type: "macro",
                package_name: made.package,
                path: path.clone(),
                original_file_path: path,
                unique_id: id.clone(),
                macro_sql: made.text,
                depends_on: DependsOn { macros: calls.collect(), nodes: None },
                description: said.map(|said| said.description.as_str()).unwrap_or_default(),
                meta: meta.clone(),
                docs: Docs::shown(),
                config: MacroConfig { meta, docs: Docs::shown() },
                patch_path: said.map(|said| format!("{}://{}", said.package, shown(said.name.at.path()))),
                arguments: arguments(said, &made.params),
                supported_languages: None,
            };
            all.insert(id, entry);
        }
        all
    }

    pub fn docs_blocks(&'a self) -> BTreeMap<String, DocEntry<'a>> {
        let search = &self.workspace.manifest.search_paths;
        let blocks = self.workspace.templates().docs().map(|block| {
            let id = format!("doc.{}.{}", block.package, block.name);
            let entry = DocEntry {
                name: block.name,
                resource_type: "doc",
                package_name: block.package,
                path: shown(below(block.path, search)),
                original_file_path: shown(block.path),
                unique_id: id.clone(),
                block_contents: block.text,
            };
            (id, entry)
        });
        blocks.collect()
    }

    pub fn exposure(
        &'a self,
        exposure: &'a Exposure,
        declared: Option<&'a ExposureProperties>,
    ) -> ExposureEntry<'a> {
        let manifest = &self.workspace.manifest;
        let package = package_of(&exposure.id);
        let (refs, sources) = self.reads(&exposure.depends_on);
        let at = exposure.at.path();
        ExposureEntry {
            name: &exposure.name,
            resource_type: "exposure",
            package_name: package,
            path: shown(below(at, &manifest.search_paths)),
            original_file_path: shown(at),
            unique_id: exposure.id.as_str(),
            fqn: fqn_of(manifest, package, at, &exposure.name),
            kind: &exposure.kind,
            owner: owner(&exposure.owner),
            description: &exposure.description,
            label: declared.and_then(|said| said.label.as_deref()),
            maturity: declared.and_then(|said| said.maturity.as_deref()),
            meta: &exposure.meta,
            tags: &exposure.tags,
            config: ExposureConfig { enabled: true, tags: &exposure.tags, meta: &exposure.meta },
            unrendered_config: Object::new(),
            url: exposure.url.as_deref(),
            depends_on: DependsOn::new(Vec::new(), Self::nodes(&exposure.depends_on)),
            refs,
            sources,
            metrics: [],
        }
    }

    pub fn unit_test(&'a self, test: &'a UnitTest) -> UnitTestEntry<'a> {
        let manifest = &self.workspace.manifest;
        let declared = &test.declared;
        let at = declared.name.at.path();
        let mut fqn = fqn_of(manifest, &declared.package, at, &declared.model.value);
        fqn.push(declared.name.value.clone());
        let rows = |input: &crate::project::UnitTestInput| {
            let written = input.rows.as_ref().map(crate::yaml::Yaml::to_json);
            let mut rows = json!({
                // dbt reads CSV before it writes its manifest, and reads none out of it.
                "rows": match (input.format.as_str(), written) {
                    ("csv", Some(Value::String(text))) => Some(csv_rows(&text)),
                    (_, written) => written,
                },
                "format": input.format,
                "fixture": input.fixture.as_ref().map(|fixture| &fixture.value),
            });
            if let Some(call) = &input.input {
                rows["input"] = Value::from(call.value.as_str());
            }
            rows
        };
        let mut config = Object::new();
        config.insert("enabled".into(), Value::Bool(true));
        for (key, empty) in [("tags", json!([])), ("meta", json!({}))] {
            let said = declared.config.get(key).map(|said| said.value.clone());
            config.insert(key.into(), said.unwrap_or(empty));
        }
        UnitTestEntry {
            model: &declared.model.value,
            given: declared.given.iter().map(rows).collect(),
            expect: rows(&declared.expect),
            name: &declared.name.value,
            resource_type: "unit_test",
            package_name: &declared.package,
            path: shown(below(at, &manifest.search_paths)),
            original_file_path: shown(at),
            unique_id: test.id.as_str(),
            fqn,
            description: &declared.description,
            overrides: overrides(&declared.overrides),
            depends_on: DependsOn::new(Vec::new(), vec![test.node.as_str().to_owned()]),
            config,
            schema: manifest.nodes.get(&test.node).map(|node| node.relation.schema.clone()),
        }
    }

    pub fn group(&'a self, group: &'a Described) -> GroupEntry<'a> {
        let path = shown(group.name.at.path());
        GroupEntry {
            name: &group.name.value,
            resource_type: "group",
            package_name: &group.package,
            path: shown(below(group.name.at.path(), &self.workspace.manifest.search_paths)),
            original_file_path: path,
            unique_id: format!("group.{}.{}", group.package, group.name.value),
            owner: owner(&group.owner),
            description: &group.description,
        }
    }
}

fn package_of(id: &NodeId) -> &str {
    id.as_str().split('.').nth(1).unwrap_or_default()
}

/// What a unit test overrides, by kind; nothing where it overrides nothing. dbt knows no clock that stands still.
fn overrides(declared: &UnitOverrides) -> Option<Object> {
    let kinds = [("macros", &declared.macros), ("vars", &declared.vars), ("env_vars", &declared.env_vars)];
    if kinds.iter().all(|(_, values)| values.is_empty()) {
        return None;
    }
    let values = |values: &[(Located<String>, Value)]| {
        values.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect()
    };
    Some(kinds.iter().map(|(kind, all)| ((*kind).to_owned(), Value::Object(values(all)))).collect())
}

/// The rows of a CSV text by its header. An empty value is none.
fn csv_rows(text: &str) -> Value {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    row.push(cell);
    rows.push(row);
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()) || row.len() > 1);
    let mut rows = rows.into_iter();
    let header = rows.next().unwrap_or_default();
    let value = |cell: String| if cell.is_empty() { Value::Null } else { Value::String(cell) };
    let object = |row: Vec<String>| {
        let cells = row.into_iter().chain(std::iter::repeat(String::new()));
        Value::Object(header.iter().cloned().zip(cells.map(value)).collect())
    };
    Value::Array(rows.map(object).collect())
}

fn owner(owner: &Owner) -> OwnerPart<'_> {
    OwnerPart { email: owner.email.as_deref(), name: owner.name.as_deref() }
}

fn age(age: Option<Age>) -> AgePart {
    AgePart {
        count: age.map(|age| age.count),
        period: age.map(|age| match age.period {
            Period::Minute => "minute",
            Period::Hour => "hour",
            Period::Day => "day",
        }),
    }
}

/// Where a source's files are. A path that is absolute, or that somebody's environment is a part of, is left out: this file
/// may be read elsewhere.
fn external(files: &FileSource) -> Value {
    let is_plain = |pattern: &&Located<String>| {
        let Location { file, span } = &pattern.at;
        let is_rendered = file.text.get(span.clone()).is_some_and(|written| written.contains("{{"));
        !is_rendered && !Path::new(&pattern.value).is_absolute()
    };
    let all: Vec<&str> = files.patterns.iter().filter(is_plain).map(|one| one.value.as_str()).collect();
    json!({"location": all.first(), "file_format": format_name(files.format), "files": all})
}

fn format_name(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Csv => "csv",
        FileFormat::Json => "json",
        FileFormat::NdJson => "ndjson",
        FileFormat::Parquet => "parquet",
    }
}

/// The described arguments, else the macro's own parameters.
fn arguments<'a>(said: Option<&'a Described>, params: &[&'a str]) -> Vec<ArgumentPart<'a>> {
    let described = said.map(|said| said.arguments.as_slice()).unwrap_or_default();
    let of = |argument: &'a Argument| ArgumentPart {
        name: &argument.name,
        kind: argument.kind.as_deref(),
        description: &argument.description,
    };
    match described.is_empty() {
        true => params.iter().map(|name| ArgumentPart { name, kind: None, description: "" }).collect(),
        false => described.iter().map(of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_csv() {
        insta::assert_snapshot!(
            csv_rows("a,b\r\n1,\"x, \"\"y\"\"\"\n\n2,\n3"),
            @r#"[{"a":"1","b":"x, \"y\""},{"a":"2","b":null},{"a":"3","b":null}]"#
        );
        assert_eq!(csv_rows(""), json!([]));
    }
}
