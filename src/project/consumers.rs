//! `exposures:` of a properties file: who reads a model.

use indexmap::IndexMap;

use super::properties::{absorb, config, owner};
use super::settings::Settings;
use super::walk::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::yaml::{Fields, Kind, Yaml};

/// Who to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// A name.
    pub name: Option<String>,
    /// An address.
    pub email: Option<String>,
}

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
