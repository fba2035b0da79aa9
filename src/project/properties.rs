//! Properties files: the YAML beside models that describes them, their columns and tests, sources and consumers.

use super::consumers::{ExposureProperties, Owner, read_exposure};
use super::expand::{Expand, expand_tree};
use super::settings::{Said, Settings, said, settings};
use super::sources::{SourceProperties, read_source};
use super::test_entry::{TestEntry, read_tests};
use super::unit_test::{UnitTest, read_unit_test};
use super::walk::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::names::NodeKind;
use crate::sql::quote::identifier;
use crate::yaml::{self, Fields, Kind, Object, Yaml};

/// A declared column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type written down, in DuckDB's words.
    pub data_type: Option<Located<String>>,
    /// From its properties.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// `meta`.
    pub meta: Object,
    /// Where it is declared.
    pub at: Location,
}

/// Everything that the properties files of a project say.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    /// Of models and seeds.
    pub nodes: Vec<NodeProperties>,
    /// Source tables.
    pub sources: Vec<SourceProperties>,
    /// Consumers.
    pub exposures: Vec<ExposureProperties>,
    /// Unit tests.
    pub unit_tests: Vec<UnitTest>,
    /// Snapshots of whole relations.
    pub snapshots: Vec<Resource>,
    /// Of macros.
    pub macros: Vec<Described>,
    /// Of singular tests.
    pub tests: Vec<Described>,
    /// Groups.
    pub groups: Vec<Described>,
    /// The first of dbt's keys that Kiln has no use for.
    pub unused: Vec<Located<String>>,
}

/// The properties of a model or a seed.
#[derive(Debug, Clone)]
pub struct NodeProperties {
    /// The package of the file that they stand in.
    pub package: String,
    /// Folders of that file below its search path.
    pub folders: Vec<String>,
    /// Under `models` or `seeds`.
    pub kind: NodeKind,
    /// Whose they are.
    pub name: Located<String>,
    /// The description, its Jinja rendered.
    pub description: String,
    /// Columns in their order.
    pub columns: Vec<Column>,
    /// Tests of the node and of its columns.
    pub tests: Vec<TestEntry>,
    /// dbt's constraints of the node and of its columns.
    pub constraints: Vec<Constraint>,
    /// `config:`, and the keys beside it that mean the same.
    pub config: Settings,
}

/// A dbt constraint.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// `not_null`, `unique`, `primary_key`, `foreign_key`, `check`, `custom`.
    pub kind: String,
    /// The columns that it binds.
    pub columns: Vec<String>,
    /// The expression of a check.
    pub expression: Option<String>,
    /// The other model's `ref` of a foreign key.
    pub to: Option<String>,
    /// The other model's columns.
    pub to_columns: Vec<String>,
    /// Where it stands.
    pub at: Location,
}

/// Something with a name and a description.
#[derive(Debug, Clone)]
pub struct Described {
    /// The package.
    pub package: String,
    /// The name.
    pub name: Located<String>,
    /// The description, its Jinja rendered.
    pub description: String,
    /// Who to ask, of a group.
    pub owner: Owner,
    /// Arguments of a macro.
    pub arguments: Vec<Argument>,
    /// `config:`.
    pub config: Settings,
}

/// A described argument of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its type, in any words.
    pub kind: Option<String>,
    /// What it is.
    pub description: String,
}

/// dbt's kinds that Kiln has no use for.
const UNUSED: [&str; 4] = ["metrics", "semantic_models", "saved_queries", "functions"];

/// Reads a properties file.
pub(super) fn read(
    resource: &Resource,
    expand: &dyn Expand,
    found: &mut Properties,
    problems: &mut Diagnostics,
) {
    let Some(mut yaml) = yaml::parse(&resource.file, problems) else { return };
    // Arguments of tests are rendered with the test, the SQL of fixtures and consumers is not rendered at all.
    let skip = |key: &str| {
        matches!(
            key,
            "data_tests"
                | "tests"
                | "depends_on"
                | "queries"
                | "rows"
                | "pre-hook"
                | "post-hook"
                | "pre_hook"
                | "post_hook"
        ) || UNUSED.contains(&key)
    };
    expand_tree(&mut yaml, expand, &skip, problems);
    let mut fields = Fields::new("a properties file", &yaml);
    fields.allow(&["version", "anchors"]);
    for (key, kind) in
        [("models", NodeKind::Model), ("seeds", NodeKind::Seed), ("snapshots", NodeKind::Snapshot)]
    {
        for item in items(&mut fields, key) {
            problems.extend(read_node(resource, kind, item, expand, found));
        }
    }
    for item in items(&mut fields, "sources") {
        problems.extend(read_source(resource, item, expand, &mut found.sources));
    }
    for item in items(&mut fields, "exposures") {
        problems.extend(read_exposure(resource, item, &mut found.exposures));
    }
    for item in items(&mut fields, "unit_tests") {
        problems.extend(read_unit_test(resource, item, &mut found.unit_tests));
    }
    for (key, what, list) in [
        ("macros", "a macro", &mut found.macros),
        ("groups", "a group", &mut found.groups),
        ("analyses", "an analysis", &mut Vec::new()),
    ] {
        for item in items(&mut fields, key) {
            problems.extend(read_described(resource, what, item, list));
        }
    }
    for key in ["data_tests", "tests"] {
        for item in items(&mut fields, key) {
            problems.extend(read_described(resource, "a test", item, &mut found.tests));
        }
    }
    for key in UNUSED {
        if fields.take(key).is_some()
            && let Some(at) = fields.key_at(key)
        {
            found.unused.push(Located::new(key.to_owned(), at.clone()));
        }
    }
    problems.extend(fields.finish());
}

/// The list under a key; anything that is no list is reported.
pub(super) fn items<'a>(fields: &mut Fields<'a>, key: &'a str) -> &'a [Yaml] {
    match fields.take(key) {
        None => &[],
        Some(Yaml { kind: Kind::List(items), .. }) => items,
        Some(other) => {
            fields.problem(
                other.wrong_kind(key, "a list").help(format!("begin each one with `- name:` under `{key}:`")),
            );
            &[]
        }
    }
}

fn read_node(
    resource: &Resource,
    kind: NodeKind,
    yaml: &Yaml,
    expand: &dyn Expand,
    found: &mut Properties,
) -> Diagnostics {
    let mut fields = Fields::new(
        match kind {
            NodeKind::Model => "a model",
            NodeKind::Seed => "a seed",
            NodeKind::Snapshot => "a snapshot",
        },
        yaml,
    );
    let relation = match kind {
        NodeKind::Snapshot => fields.string("relation"),
        _ => None,
    };
    let name = fields.required_string("name");
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let mut tests = read_tests(&mut fields, None, expand);
    let mut constraints = read_constraints(&mut fields, None);
    let (columns, column_tests, column_constraints) = columns(&mut fields, expand);
    tests.extend(column_tests);
    constraints.extend(column_constraints);
    let config = config(
        &mut fields,
        &["tags", "meta", "docs", "access", "group", "enabled", "time_spine", "deprecation_date"],
    );
    deprecation_date(&mut fields, yaml);
    for key in ["versions", "latest_version"] {
        if fields.take(key).is_some()
            && let Some(at) = fields.key_at(key).cloned()
        {
            fields.problem(
                Diagnostic::error("not-supported", "versions of a model are not supported")
                    .at(&at, "")
                    .help("make the new version a model of its own; a contract carries the version number"),
            );
        }
    }
    fields.allow(&[
        "identifier",
        "semantic_model",
        "agg_time_dimension",
        "primary_entity",
        "metrics",
        "derived_semantics",
    ]);
    if let (Some(name), Some(relation)) = (&name, &relation) {
        found.snapshots.push(super::snapshots::of_relation(resource, &name.value, relation));
    }
    if let Some(name) = name {
        found.nodes.push(NodeProperties {
            package: resource.package.clone(),
            folders: resource.folders.clone(),
            kind,
            name,
            description,
            columns,
            tests,
            constraints,
            config,
        });
    }
    fields.finish()
}

/// `deprecation_date:` is a day, perhaps with a time.
fn deprecation_date(fields: &mut Fields<'_>, yaml: &Yaml) {
    let Some(said) = yaml.get("deprecation_date").filter(|said| said.kind != Kind::Null) else { return };
    let text = said.as_str().unwrap_or_default();
    if text.get(..10).is_none_or(|day| day.parse::<jiff::civil::Date>().is_err()) {
        let found = Diagnostic::error("wrong-value", "`deprecation_date` is not a day");
        fields.problem(found.at(&said.at, "").help("write a day such as `2026-12-31`"));
    }
}

/// `config:`, with those keys beside it that mean the same laid under it.
pub(super) fn config<'a>(fields: &mut Fields<'a>, beside: &[&'a str]) -> Settings {
    let mut all = Settings::new();
    for key in beside {
        if let Some(value) = fields.take(key) {
            all.insert((*key).to_owned(), said(value));
        }
    }
    if let Some(yaml) = fields.take("config") {
        let mut problems = Diagnostics::new();
        let inner = settings("config", yaml, &mut problems);
        super::settings::lay_over(&mut all, &inner);
        for problem in problems.sorted() {
            fields.problem(problem.clone());
        }
    }
    all
}

/// `columns:` with their tests and constraints.
pub(super) fn columns<'a>(
    fields: &mut Fields<'a>,
    expand: &dyn Expand,
) -> (Vec<Column>, Vec<TestEntry>, Vec<Constraint>) {
    let mut columns: Vec<Column> = Vec::new();
    let (mut tests, mut constraints) = (Vec::new(), Vec::new());
    for item in items(fields, "columns") {
        let mut inner = Fields::new("a column", item);
        let Some(name) = inner.required_string("name") else {
            absorb(fields, inner);
            continue;
        };
        if let Some(first) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name.value)) {
            inner.problem(
                Diagnostic::error(
                    "duplicate-column",
                    format!("the column `{}` is declared twice", name.value),
                )
                .at(&name.at, "the second one")
                .related(&first.at, "the first one"),
            );
        }
        let data_type = inner.string("data_type");
        let description = inner.string("description").map(|text| text.value).unwrap_or_default();
        // As in dbt, tests get the name as it has to be written in SQL.
        let is_quoted = item.get("quote").is_some_and(|said| said.kind == Kind::Bool(true));
        let written = if is_quoted { identifier(&name.value) } else { name.value.clone() };
        tests.extend(read_tests(&mut inner, Some(&written), expand));
        constraints.extend(read_constraints(&mut inner, Some(&name.value)));
        let config = config(&mut inner, &["tags", "meta"]);
        inner.allow(&[
            "quote",
            "granularity",
            "policy_tags",
            "classifiers",
            "databricks_tags",
            "column_mask",
            "entity",
            "dimension",
        ]);
        columns.push(Column {
            name: name.value,
            data_type,
            description,
            tags: tags_of(&config),
            meta: meta_of(&config),
            at: name.at,
        });
        absorb(fields, inner);
    }
    (columns, tests, constraints)
}

pub(super) fn absorb(outer: &mut Fields<'_>, inner: Fields<'_>) {
    for problem in inner.finish().sorted() {
        outer.problem(problem.clone());
    }
}

const CONSTRAINTS: [&str; 6] = ["not_null", "unique", "primary_key", "foreign_key", "check", "custom"];

fn read_constraints(fields: &mut Fields<'_>, column: Option<&str>) -> Vec<Constraint> {
    let mut all = Vec::new();
    for item in items(fields, "constraints") {
        let mut inner = Fields::new("a constraint", item);
        let kind = inner.required_string("type");
        let listed = inner.strings("columns");
        let expression = inner.string("expression").map(|text| text.value);
        let to = inner.string("to").map(|text| text.value);
        let to_columns = inner.strings("to_columns").into_iter().map(|name| name.value).collect();
        inner.allow(&["name", "warn_unenforced", "warn_unsupported"]);
        if let Some(kind) = kind {
            if !CONSTRAINTS.contains(&kind.value.as_str()) {
                inner.problem(
                    Diagnostic::error("wrong-value", format!("`{}` is not a type of constraint", kind.value))
                        .at(&kind.at, "")
                        .suggest(&kind.value, CONSTRAINTS)
                        .help(format!("the types are: {}", CONSTRAINTS.join(", "))),
                );
            }
            let columns = match column {
                Some(column) => vec![column.to_owned()],
                None => listed.into_iter().map(|name| name.value).collect(),
            };
            all.push(Constraint { kind: kind.value, columns, expression, to, to_columns, at: kind.at });
        }
        absorb(fields, inner);
    }
    all
}

/// `owner:` as a mapping.
pub(super) fn owner(fields: &mut Fields<'_>) -> Owner {
    let Some(yaml) = fields.take("owner") else { return Owner::default() };
    if let Some(name) = yaml.as_str() {
        return Owner { name: Some(name.to_owned()), email: None };
    }
    let mut inner = Fields::new("an owner", yaml);
    let owner = Owner {
        name: inner.string("name").map(|text| text.value),
        email: inner.strings("email").into_iter().next().map(|text| text.value),
    };
    // People add a phone or a channel here; dbt takes any key.
    inner.rest();
    absorb(fields, inner);
    owner
}

/// A list of text without places.
pub(super) fn strings_of<'a>(fields: &mut Fields<'a>, key: &'a str) -> Vec<String> {
    fields.strings(key).into_iter().map(|text| text.value).collect()
}

/// The `tags` of settings as text.
pub(super) fn tags_of(config: &Settings) -> Vec<String> {
    let tags = config.get("tags").map(|said| super::settings::listed(&said.value)).unwrap_or_default();
    tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

/// The `meta` of settings.
pub(super) fn meta_of(config: &Settings) -> Object {
    match config.get("meta") {
        Some(Said { value: serde_json::Value::Object(meta), .. }) => meta.clone(),
        _ => Object::new(),
    }
}

fn read_described<'a>(
    resource: &Resource,
    what: &'a str,
    yaml: &'a Yaml,
    found: &mut Vec<Described>,
) -> Diagnostics {
    let mut fields = Fields::new(what, yaml);
    let name = fields.required_string("name");
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let config = config(&mut fields, &["docs", "meta", "tags"]);
    let owner = owner(&mut fields);
    let mut arguments = Vec::new();
    for item in items(&mut fields, "arguments") {
        let mut inner = Fields::new("an argument", item);
        let name = inner.required_string("name").map(|text| text.value);
        let kind = inner.string("type").map(|text| text.value);
        let description = inner.string("description").map(|text| text.value).unwrap_or_default();
        // Packages of dbt say all kinds of things here.
        inner.rest();
        arguments.extend(name.map(|name| Argument { name, kind, description }));
        absorb(&mut fields, inner);
    }
    fields.allow(&["columns"]);
    if let Some(name) = name {
        let package = resource.package.clone();
        found.push(Described { package, name, description, owner, arguments, config });
    }
    fields.finish()
}
