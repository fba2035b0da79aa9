//! Nodes of the manifest: models and seeds, and the form that they share with tests.

use std::collections::HashMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::test_node::TestName;
use super::{below, full_name, setting, shown};
use crate::compile::Compiled;
use crate::digest::sha256;
use crate::graph::fqn;
use crate::manifest::{Column, Dependency, Materialization, Node, NodeKind, Object, Test};
use crate::project::{Constraint, NodeProperties};
use crate::workspace::Workspace;

/// dbt reads no larger seed for its checksum.
const LARGEST_SEED: u64 = 1024 * 1024;

/// What is asked again and again while nodes are written.
pub(super) struct Surroundings<'a> {
    pub workspace: &'a Workspace,
    pub compiled: Option<&'a Compiled>,
    pub database: String,
    properties: HashMap<(NodeKind, &'a str), &'a NodeProperties>,
    /// Where compiled SQL lies, if that can be said without an absolute path.
    compiled_folder: Option<String>,
    /// What dbt calls each test, by Kiln's ids.
    tests: HashMap<&'a str, TestName>,
    /// No settings.
    pub nothing: Object,
}

/// A node, as dbt writes it.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub database: &'a str,
    pub schema: String,
    pub name: String,
    pub resource_type: &'a str,
    pub package_name: &'a str,
    pub path: String,
    pub original_file_path: String,
    pub unique_id: String,
    pub fqn: Vec<String>,
    pub alias: String,
    pub checksum: Checksum,
    pub config: Config<'a>,
    pub tags: &'a [String],
    pub description: &'a str,
    pub columns: Columns<'a>,
    pub meta: &'a Object,
    pub group: Option<&'a str>,
    pub docs: Docs<'a>,
    pub patch_path: Option<String>,
    pub build_path: Option<String>,
    pub unrendered_config: &'a Object,
    pub relation_name: Option<String>,
    pub raw_code: String,
    pub doc_blocks: [String; 0],
    pub depends_on: DependsOn,
    /// Of a seed: dbt looks for its file from here. The project's own folder, in which dbt works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_path: Option<&'static str>,
    #[serde(flatten)]
    pub code: Option<Code>,
    #[serde(flatten)]
    pub model: Option<ModelPart>,
    #[serde(flatten)]
    pub test: Option<super::test_node::GenericPart<'a>>,
}

/// What a node with SQL has besides.
#[derive(Debug, Serialize)]
pub(super) struct Code {
    pub language: &'static str,
    pub refs: Vec<Reference>,
    pub sources: Vec<[String; 2]>,
    pub metrics: [String; 0],
    pub functions: [String; 0],
    pub compiled_path: Option<String>,
    #[serde(flatten)]
    pub compiled: Option<CompiledCode>,
    pub contract: ContractPart,
}

/// What compiling adds.
#[derive(Debug, Serialize)]
pub(super) struct CompiledCode {
    pub compiled: bool,
    pub compiled_code: String,
    pub extra_ctes_injected: bool,
    pub extra_ctes: [String; 0],
}

/// What a model alone has.
#[derive(Debug, Serialize)]
pub(super) struct ModelPart {
    access: String,
    constraints: Vec<ConstraintPart>,
    version: Option<String>,
    latest_version: Option<String>,
    deprecation_date: Option<String>,
}

/// Whether dbt compares the model's columns with what is declared.
#[derive(Debug, Serialize)]
pub(super) struct ContractPart {
    pub enforced: bool,
    pub alias_types: bool,
    pub checksum: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Checksum {
    pub name: &'static str,
    pub checksum: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Reference {
    pub name: String,
    pub package: Option<String>,
    pub version: Option<String>,
}

/// What a node or macro reads.
#[derive(Debug, Default, Serialize)]
pub(super) struct DependsOn {
    pub macros: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Docs<'a> {
    show: bool,
    node_color: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConstraintPart {
    #[serde(rename = "type")]
    kind: String,
    expression: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    columns: Vec<String>,
}

/// Columns by name, in the order declared.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub declared: &'a [Column],
    pub constraints: &'a [Constraint],
}

/// Configuration: what is set, and nothing that is not.
#[derive(Debug)]
pub(super) enum Config<'a> {
    Node(&'a Node),
    Test(super::test_node::TestConfigPart<'a>),
}

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let node = match self {
            Self::Node(node) => node,
            Self::Test(config) => return config.serialize(serializer),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("enabled", &true)?;
        map.serialize_entry("materialized", node.config.materialized.as_str())?;
        map.serialize_entry("tags", &node.config.tags)?;
        map.serialize_entry("meta", &node.config.meta)?;
        let written = ["enabled", "materialized", "tags", "meta", "pre_hook", "post_hook"];
        for (key, value) in &node.config.all {
            if !written.contains(&key.as_str()) && !value.is_null() {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Settings<'a> {
            meta: &'a Object,
            tags: &'a [String],
        }
        #[derive(Serialize)]
        struct One<'a> {
            name: &'a str,
            description: &'a str,
            meta: &'a Object,
            data_type: Option<&'a str>,
            constraints: Vec<ConstraintPart>,
            quote: Option<bool>,
            config: Settings<'a>,
            tags: &'a [String],
        }
        let mut map = serializer.serialize_map(Some(self.declared.len()))?;
        for column in self.declared {
            let own =
                self.constraints.iter().filter(|constraint| constraint.columns == [column.name.clone()]);
            let one = One {
                name: &column.name,
                description: &column.description,
                meta: &column.meta,
                data_type: column.data_type.as_ref().map(|written| written.value.as_str()),
                constraints: own.map(|constraint| constraint_part(constraint, Vec::new())).collect(),
                quote: None,
                config: Settings { meta: &column.meta, tags: &column.tags },
                tags: &column.tags,
            };
            map.serialize_entry(&column.name, &one)?;
        }
        map.end()
    }
}

fn constraint_part(constraint: &Constraint, columns: Vec<String>) -> ConstraintPart {
    ConstraintPart { kind: constraint.kind.clone(), expression: constraint.expression.clone(), columns }
}

impl DependsOn {
    pub fn new(macros: Vec<String>, nodes: Vec<String>) -> Self {
        Self { macros, nodes: Some(nodes) }
    }
}

impl<'a> Surroundings<'a> {
    pub fn new(workspace: &'a Workspace, compiled: Option<&'a Compiled>) -> Self {
        let declared = workspace.project.properties.nodes.iter();
        let properties =
            declared.map(|properties| ((properties.kind, properties.name.value.as_str()), properties));
        let target = &workspace.project.file.paths.target;
        let compiled_folder = (compiled.is_some() && std::path::Path::new(target).is_relative())
            .then(|| format!("{target}/compiled/{}", workspace.manifest.project));
        Self {
            workspace,
            compiled,
            database: super::database(workspace),
            properties: properties.collect(),
            compiled_folder,
            tests: TestName::all(&workspace.manifest),
            nothing: Object::new(),
        }
    }

    /// What dbt calls a test of the project.
    pub fn name_of(&self, test: &Test) -> &TestName {
        &self.tests[test.id.as_str()]
    }

    /// The ids of the macros that a template calls.
    pub fn macros(&self, package: &str, source: &str) -> Vec<String> {
        let called = self.workspace.templates().calls(package, source);
        called.into_iter().map(|(package, name)| format!("macro.{package}.{name}")).collect()
    }

    /// `refs` and `sources` of dependencies.
    pub fn reads(&self, depends_on: &[Dependency]) -> (Vec<Reference>, Vec<[String; 2]>) {
        let (mut refs, mut sources) = (Vec::new(), Vec::new());
        for Dependency { node, .. } in depends_on {
            match self.workspace.manifest.sources.get(node) {
                Some(source) => sources.push([source.source.clone(), source.name.clone()]),
                None => refs.push(Reference { name: node.short().to_owned(), package: None, version: None }),
            }
        }
        (refs, sources)
    }

    /// What stands in `depends_on.nodes`.
    pub fn nodes(depends_on: &[Dependency]) -> Vec<String> {
        depends_on.iter().map(|dependency| dependency.node.as_str().to_owned()).collect()
    }

    /// Where a file's compiled SQL lies.
    pub fn compiled_path(&self, original: &str) -> Option<String> {
        self.compiled_folder.as_ref().map(|folder| format!("{folder}/{original}"))
    }

    /// `package://file.yml`, where the properties do not stand in the file itself.
    fn patch_path(&self, node: &Node) -> Option<String> {
        (node.at.path() != node.file.path).then(|| format!("{}://{}", node.package, shown(node.at.path())))
    }

    /// A model or a seed.
    pub fn node(&'a self, node: &'a Node) -> Entry<'a> {
        let manifest = &self.workspace.manifest;
        let original = shown(node.written_in());
        let has_code = node.kind != NodeKind::Seed;
        let is_model = node.kind == NodeKind::Model;
        let declared = self.properties.get(&(node.kind, node.name.as_str()));
        let constraints = declared.map(|properties| properties.constraints.as_slice()).unwrap_or_default();
        let settings = &node.config.all;
        let is_relation = node.config.materialized != Materialization::Ephemeral;
        let columns = Columns { declared: &node.columns, constraints };
        let depends_on = match has_code {
            true => {
                DependsOn::new(self.macros(&node.package, &node.file.text), Self::nodes(&node.depends_on))
            }
            false => DependsOn::default(),
        };
        Entry {
            database: &self.database,
            schema: node.relation.schema.clone(),
            name: node.name.clone(),
            resource_type: node.id.resource_type(),
            package_name: &node.package,
            path: shown(below(&node.file.path, &manifest.search_paths)),
            unique_id: node.id.as_str().to_owned(),
            fqn: fqn(manifest, node),
            alias: node.relation.name.clone(),
            checksum: match has_code {
                true => of_template(&node.file.text),
                false => self.of_seed(&original),
            },
            config: Config::Node(node),
            tags: &node.config.tags,
            description: &node.description,
            columns,
            meta: &node.config.meta,
            group: setting(settings, "group"),
            docs: docs(settings),
            patch_path: self.patch_path(node),
            build_path: None,
            // dbt finds out with this what was changed; Kiln keeps what was set with its Jinja rendered.
            unrendered_config: settings,
            relation_name: is_relation.then(|| full_name(&self.database, &node.relation)),
            raw_code: node.file.text.trim().to_owned(),
            doc_blocks: [],
            depends_on,
            root_path: (!has_code).then_some("."),
            code: has_code.then(|| self.model_code(node)),
            model: is_model.then(|| ModelPart {
                access: setting(settings, "access").unwrap_or("protected").to_owned(),
                constraints: of_table(&node.columns, constraints),
                version: None,
                latest_version: None,
                deprecation_date: node.deprecation_date().map(moment),
            }),
            test: None,
            original_file_path: original,
        }
    }

    fn model_code(&self, node: &Node) -> Code {
        let sql = self.compiled.and_then(|compiled| compiled.models.get(&node.id)).map(|model| &model.sql);
        let contract = node.config.all.get("contract");
        let flag = |key: &str| contract.and_then(|contract| contract.get(key)).and_then(Value::as_bool);
        self.code(
            &node.depends_on,
            sql.filter(|sql| !sql.is_empty()).cloned(),
            &shown(&node.file.path),
            ContractPart {
                enforced: flag("enforced").unwrap_or(false),
                alias_types: flag("alias_types").unwrap_or(true),
                checksum: None,
            },
        )
    }

    /// What a node with SQL has besides.
    pub fn code(
        &self,
        depends_on: &[Dependency],
        sql: Option<String>,
        original: &str,
        contract: ContractPart,
    ) -> Code {
        let (refs, sources) = self.reads(depends_on);
        Code {
            language: "sql",
            refs,
            sources,
            metrics: [],
            functions: [],
            compiled_path: sql.as_ref().and_then(|_| self.compiled_path(original)),
            compiled: sql.map(|compiled_code| CompiledCode {
                compiled: true,
                compiled_code,
                extra_ctes_injected: true,
                extra_ctes: [],
            }),
            contract,
        }
    }

    /// A seed's checksum is that of its file; of a large one, its path.
    fn of_seed(&self, original: &str) -> Checksum {
        let path = self.workspace.root().join(original);
        let is_small = std::fs::metadata(&path).is_ok_and(|file| file.len() <= LARGEST_SEED);
        match is_small.then(|| std::fs::read_to_string(&path)) {
            Some(Ok(text)) => {
                let text = text.replace("\r\n", "\n");
                Checksum { name: "sha256", checksum: sha256(text.trim()) }
            }
            _ => Checksum { name: "path", checksum: original.to_owned() },
        }
    }
}

/// A template's checksum, which white space does not change.
pub(super) fn of_template(text: &str) -> Checksum {
    let words: Vec<&str> = text.split_whitespace().collect();
    Checksum { name: "sha256", checksum: sha256(&words.join(" ")) }
}

/// Constraints that are not of one declared column.
fn of_table(columns: &[Column], constraints: &[Constraint]) -> Vec<ConstraintPart> {
    let is_of_one = |constraint: &&Constraint| match constraint.columns.as_slice() {
        [one] => columns.iter().any(|column| column.name == *one),
        _ => false,
    };
    let all = constraints.iter().filter(|constraint| !is_of_one(constraint));
    all.map(|constraint| constraint_part(constraint, constraint.columns.clone())).collect()
}

impl Docs<'_> {
    /// Nothing is said.
    pub fn shown() -> Self {
        Self { show: true, node_color: None }
    }
}

/// `docs:` of settings.
pub(super) fn docs(settings: &Object) -> Docs<'_> {
    let said = settings.get("docs");
    Docs {
        show: said.and_then(|docs| docs.get("show")).and_then(Value::as_bool).unwrap_or(true),
        node_color: said.and_then(|docs| docs.get("node_color")).and_then(Value::as_str),
    }
}

/// A day as dbt writes it; what has a time, as it was written.
fn moment(written: &str) -> String {
    match written.len() {
        10 => format!("{written}T00:00:00+00:00"),
        _ => written.to_owned(),
    }
}
