//! `exposures:` and `unit_tests:` of a properties file: who reads a model, and examples of what it must give.

use indexmap::IndexMap;

use super::properties::{absorb, config, items, owner};
use super::settings::Settings;
use super::walk::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::manifest::{Object, Owner};
use crate::yaml::{Fields, Kind, Yaml};

/// An exposure as declared.
#[derive(Debug, Clone)]
pub struct ExposureProperties {
    /// The package.
    pub package: String,
    /// Folders of the file.
    pub folders: Vec<String>,
    /// Its name.
    pub name: Located<String>,
    /// A name for people.
    pub label: Option<String>,
    /// How far it is trusted: `low`, `medium`, `high`.
    pub maturity: Option<String>,
    /// Its type.
    pub kind: String,
    /// Who to ask.
    pub owner: Owner,
    /// The description.
    pub description: String,
    /// `ref('x')` and `source('a', 'b')`.
    pub depends_on: Vec<Located<String>>,
    /// `meta.columns`, with the place of each model's name.
    pub columns: IndexMap<String, (Location, Vec<Located<String>>)>,
    /// `meta.queries`.
    pub queries: Vec<Located<String>>,
    /// `url`.
    pub url: Option<String>,
    /// Configuration: `enabled`, `tags`, `meta`.
    pub config: Settings,
}

/// A unit test as declared.
#[derive(Debug, Clone)]
pub struct UnitTest {
    /// The package.
    pub package: String,
    /// Its name.
    pub name: Located<String>,
    /// The description.
    pub description: String,
    /// The model under test.
    pub model: Located<String>,
    /// What its parents hold.
    pub given: Vec<UnitTestInput>,
    /// What it must give.
    pub expect: UnitTestInput,
    /// `vars`, `macros`, `env_vars` that it sets.
    pub overrides: Object,
    /// Configuration: `enabled`, `tags`, `meta`.
    pub config: Settings,
}

/// Rows in a unit test.
#[derive(Debug, Clone)]
pub struct UnitTestInput {
    /// `ref('x')`, `source('a', 'b')` or `this`; `None` for what is expected.
    pub input: Option<Located<String>>,
    /// `dict`, `csv` or `sql`.
    pub format: String,
    /// The rows: a list of mappings, or text.
    pub rows: Option<Located<serde_json::Value>>,
    /// The name of a fixture file.
    pub fixture: Option<Located<String>>,
}

const EXPOSURE_TYPES: [&str; 5] = ["dashboard", "notebook", "analysis", "ml", "application"];

const MATURITIES: [&str; 3] = ["low", "medium", "high"];

/// Reads one exposure.
pub(super) fn read_exposure(
    resource: &Resource,
    yaml: &Yaml,
    found: &mut Vec<ExposureProperties>,
) -> Diagnostics {
    let mut fields = Fields::new("an exposure", yaml);
    let name = fields.required_string("name");
    let kind = fields.required_string("type");
    if let Some(kind) = &kind
        && !EXPOSURE_TYPES.contains(&kind.value.as_str())
    {
        fields.problem(
            Diagnostic::error("wrong-value", format!("`{}` is not a type of exposure", kind.value))
                .at(&kind.at, "")
                .suggest(&kind.value, EXPOSURE_TYPES)
                .help(format!("the types are: {}", EXPOSURE_TYPES.join(", "))),
        );
    }
    let owner = owner(&mut fields);
    if owner == Owner::default() {
        let at = name.as_ref().map_or(fields.at(), |name| &name.at).clone();
        fields.problem(
            Diagnostic::error("missing-key", "an exposure needs an `owner` with a `name` or an `email`")
                .at(&at, "")
                .help("say who is asked before its data changes: `owner: {name: BI, email: bi@example.com}`"),
        );
    }
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let depends_on = fields.strings("depends_on");
    let url = fields.string("url").map(|text| text.value);
    let (columns, queries) = consumer_meta(&mut fields, yaml);
    let config = config(&mut fields, &["tags", "meta", "enabled"]);
    let label = fields.string("label").map(|text| text.value);
    let maturity = fields.string("maturity");
    if let Some(said) = &maturity
        && !MATURITIES.contains(&said.value.as_str())
    {
        fields.problem(
            Diagnostic::error("wrong-value", format!("`{}` is not a maturity", said.value))
                .at(&said.at, "")
                .suggest(&said.value, MATURITIES)
                .help(format!("write one of: {}", MATURITIES.join(", "))),
        );
    }
    if let (Some(name), Some(kind)) = (name, kind) {
        found.push(ExposureProperties {
            package: resource.package.clone(),
            folders: resource.folders.clone(),
            name,
            label,
            maturity: maturity.map(|text| text.value),
            kind: kind.value,
            owner,
            description,
            depends_on,
            columns,
            queries,
            url,
            config,
        });
    }
    fields.finish()
}

type ConsumerColumns = IndexMap<String, (Location, Vec<Located<String>>)>;

/// `meta.columns` and `meta.queries`, of `meta` or `config.meta`.
fn consumer_meta(fields: &mut Fields<'_>, yaml: &Yaml) -> (ConsumerColumns, Vec<Located<String>>) {
    let (mut columns, mut queries) = (ConsumerColumns::new(), Vec::new());
    let metas = [yaml.get("meta"), yaml.get("config").and_then(|config| config.get("meta"))];
    for meta in metas.into_iter().flatten() {
        if let Some(said) = meta.get("columns") {
            match said.as_map() {
                Some(entries) => {
                    for (model, list) in entries {
                        let mut inner = Fields::new("`meta.columns`", said);
                        let names = inner.strings(&model.value);
                        inner.rest();
                        absorb(fields, inner);
                        if list.kind != Kind::Null {
                            columns.insert(model.value.clone(), (model.at.clone(), names));
                        }
                    }
                }
                None => fields.problem(
                    said.wrong_kind("meta.columns", "a mapping")
                        .help("write the columns of each model: `{orders: [order_id, amount]}`"),
                ),
            }
        }
        if meta.get("queries").is_some() {
            let mut inner = Fields::new("`meta`", meta);
            queries.extend(inner.strings("queries"));
            inner.rest();
            absorb(fields, inner);
        }
    }
    (columns, queries)
}

/// Reads one unit test.
pub(super) fn read_unit_test(resource: &Resource, yaml: &Yaml, found: &mut Vec<UnitTest>) -> Diagnostics {
    let mut fields = Fields::new("a unit test", yaml);
    let name = fields.required_string("name");
    let model = fields.required_string("model");
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let mut given = Vec::new();
    for item in items(&mut fields, "given") {
        given.extend(unit_rows(&mut fields, "an input", item));
    }
    let expect = match fields.take("expect") {
        Some(yaml) => unit_rows(&mut fields, "what is expected", yaml),
        None => {
            let at = fields.at();
            fields.problem(Diagnostic::error("missing-key", "a unit test needs `expect`").at(at, ""));
            None
        }
    };
    let overrides = fields.object("overrides").unwrap_or_default();
    let config = config(&mut fields, &["tags", "meta", "enabled"]);
    fields.allow(&["versions"]);
    if let (Some(name), Some(model), Some(expect)) = (name, model, expect) {
        let package = resource.package.clone();
        found.push(UnitTest { package, name, description, model, given, expect, overrides, config });
    }
    fields.finish()
}

fn unit_rows<'a>(outer: &mut Fields<'a>, what: &'a str, yaml: &'a Yaml) -> Option<UnitTestInput> {
    let mut fields = Fields::new(what, yaml);
    let input = if what == "an input" { fields.required_string("input") } else { None };
    let format = fields.string("format");
    if let Some(format) = &format
        && !["dict", "csv", "sql"].contains(&format.value.as_str())
    {
        fields.problem(
            Diagnostic::error("wrong-value", format!("`{}` is not a format of rows", format.value))
                .at(&format.at, "")
                .help("write `dict`, `csv` or `sql`"),
        );
    }
    let rows = fields.take("rows").map(|rows| Located::new(rows.to_json(), rows.at.clone()));
    let fixture = fields.string("fixture");
    absorb(outer, fields);
    let format = format.map_or_else(|| "dict".to_owned(), |format| format.value);
    (what != "an input" || input.is_some()).then_some(UnitTestInput { input, format, rows, fixture })
}
