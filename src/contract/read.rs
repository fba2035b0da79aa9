//! Reads an ODCS file. Lenient where published examples and the standard's own versions differ, strict about what Kiln
//! acts on: a promise that cannot be read is an error, a key that the standard does not know is a warning.

use std::sync::Arc;

use serde_json::Value;

use super::quality::{self, Level};
use super::sla;
use super::{
    Compatibility, Contract, CustomProperty, Lifecycle, LogicalType, Property, QualityKind, Relationship,
    Status, Version,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, SourceFile};
use crate::yaml::{self, Fields, Kind, Yaml};

/// Reads a file's contracts, one for each entry of `schema`.
pub fn read(file: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Vec<Contract> {
    let Some(root) = yaml::parse(file, diagnostics) else { return Vec::new() };
    let root = Arc::new(root);
    let mut fields = Fields::new("a contract", &root);
    fields.allow(&[
        "name",
        "tenant",
        "tags",
        "servers",
        "dataProduct",
        "description",
        "domain",
        "context",
        "price",
    ]);
    fields.allow(&["authoritativeDefinitions", "contractCreatedTs"]);
    let supported = api_version(&mut fields) & kind(&mut fields);
    let id = fields.required_string("id").map(|id| id.value).unwrap_or_default();
    let version = version(&mut fields);
    let status = status(&mut fields);
    let custom = custom_properties(&mut fields);
    let default_element = fields.string("slaDefaultElement");
    let mut slas = Vec::new();
    for item in fields.list("slaProperties") {
        let (inner, raw) = sla::read_one(item, default_element.as_ref());
        diagnostics.extend(inner.finish().softened("unknown-key"));
        slas.extend(raw);
    }
    let raw = |value: Option<&Yaml>| value.map_or(Value::Null, Yaml::to_json);
    let (team, roles) = (raw(fields.take("team")), raw(fields.take("roles")));
    let support = raw(fields.take("support"));
    let file = File { root: &root, id, version, status, custom, team, roles, support };
    let mut contracts: Vec<Contract> = Vec::new();
    match fields.take("schema").map(|schema| &schema.kind) {
        Some(Kind::List(entries)) if !entries.is_empty() => {
            for entry in entries.iter().filter(|_| supported) {
                let Some(contract) = entry_of(&file, entry, diagnostics) else { continue };
                match contracts.iter().find(|other| other.model.value == contract.model.value) {
                    Some(first) => diagnostics.push(
                        Diagnostic::error(
                            "contract-duplicate",
                            format!("`{}` has two entries in one contract", contract.model.value),
                        )
                        .at(&contract.model.at, "the second one")
                        .related(&first.model.at, "the first one"),
                    ),
                    None => contracts.push(contract),
                }
            }
        }
        _ if !supported => {}
        _ => {
            let at = fields.key_at("schema").cloned().unwrap_or_else(|| fields.at().first_line());
            fields.problem(
                Diagnostic::warning("contract-empty", "this contract promises nothing about any model")
                    .at(&at, "")
                    .help("list the models under `schema:`, each with a `name` and its `properties`"),
            );
        }
    }
    super::references::resolve(&mut contracts, diagnostics);
    sla::attach_all(&slas, &mut contracts, diagnostics);
    diagnostics.extend(fields.finish().softened("unknown-key"));
    contracts
}

struct File<'a> {
    root: &'a Arc<Yaml>,
    id: String,
    version: Located<Version>,
    status: Status,
    custom: Vec<CustomProperty>,
    team: Value,
    roles: Value,
    support: Value,
}

fn api_version(fields: &mut Fields<'_>) -> bool {
    let Some(text) = fields.required_string("apiVersion") else { return true };
    let number = text.value.trim_start_matches('v');
    let mut parts = number.split('.').map(|part| part.parse::<u64>().ok());
    let problem = |diagnostic: Diagnostic| diagnostic.at(&text.at, "");
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(3), Some(0..=2)) => true,
        (Some(3), _) => {
            let message = format!("`{}` is newer than what Kiln knows of the standard", text.value);
            let help = "it is read as v3.2; what is new in it is kept and not checked";
            fields.problem(problem(Diagnostic::warning("contract-api-version", message)).help(help));
            true
        }
        _ => {
            let message = format!("`{}` is no version of the standard that Kiln reads", text.value);
            let help = "Kiln reads v3.0 to v3.2 and writes v3.1: write `apiVersion: v3.1.0`";
            fields.problem(problem(Diagnostic::error("contract-api-version", message)).help(help));
            false
        }
    }
}

fn kind(fields: &mut Fields<'_>) -> bool {
    let Some(kind) = fields.required_string("kind") else { return true };
    if kind.value == "DataContract" {
        return true;
    }
    let diagnostic = Diagnostic::error("contract-kind", format!("`{}` is no data contract", kind.value));
    fields.problem(diagnostic.at(&kind.at, "").help("write `kind: DataContract`"));
    false
}

fn version(fields: &mut Fields<'_>) -> Located<Version> {
    let none = Version { major: 0, minor: 0, patch: 0, pre: None };
    let Some(text) = fields.required_string("version") else {
        return Located::new(none, fields.at().clone());
    };
    let version = Version::parse(&text.value).unwrap_or_else(|| {
        fields.problem(
            Diagnostic::error("contract-version", format!("`{}` is no semantic version", text.value))
                .at(&text.at, "")
                .help("write three numbers, such as `version: 1.0.0`: Kiln compares them to say what a change owes"),
        );
        none
    });
    Located::new(version, text.at)
}

fn status(fields: &mut Fields<'_>) -> Status {
    let Some(text) = fields.string("status") else { return Status::Active };
    match text.value.to_ascii_lowercase().as_str() {
        "proposed" => Status::Proposed,
        "draft" | "development" | "in development" => Status::Draft,
        "active" | "current" | "production" => Status::Active,
        "deprecated" => Status::Deprecated,
        "retired" => Status::Retired,
        other => {
            let known = ["proposed", "draft", "active", "deprecated", "retired"];
            let diagnostic = Diagnostic::warning("contract-status", format!("there is no status `{other}`"))
                .at(&text.at, "read as `active`")
                .suggest(other, known)
                .help(format!("it takes: {}", known.join(", ")));
            fields.problem(diagnostic);
            Status::Active
        }
    }
}

fn custom_properties(fields: &mut Fields<'_>) -> Vec<CustomProperty> {
    let mut found = Vec::new();
    let mut problems = Diagnostics::new();
    for item in fields.list("customProperties") {
        let mut inner = Fields::new("a custom property", item);
        inner.allow(&["id", "description", "vendor"]);
        let property = inner.required_string("property");
        let value = inner.take("value").map_or(Value::Null, Yaml::to_json);
        problems.extend(inner.finish());
        found.extend(property.map(|name| CustomProperty {
            property: name.value,
            value,
            at: item.at.clone(),
        }));
    }
    for problem in problems.softened("unknown-key").sorted() {
        fields.problem(problem.clone());
    }
    found
}

fn entry_of(file: &File<'_>, yaml: &Yaml, diagnostics: &mut Diagnostics) -> Option<Contract> {
    let mut fields = Fields::new("a schema entry", yaml);
    fields.allow(&["businessName", "authoritativeDefinitions", "logicalType", "context", "id", "synonyms"]);
    let name = fields.required_string("name");
    let physical_name = fields.string("physicalName");
    let physical_type = fields.string("physicalType");
    let text = |value: Option<Located<String>>| value.map(|value| value.value);
    let description = text(fields.string("description")).unwrap_or_default();
    let granularity = text(fields.string("dataGranularityDescription"));
    let tags = fields.strings("tags").into_iter().map(|tag| tag.value).collect();
    let deprecated = deprecated(&mut fields);
    let own = custom_properties(&mut fields);
    let quality = quality::read(fields.list("quality"), Level::Model, diagnostics);
    let mut relationships = Vec::new();
    for item in fields.list("relationships") {
        relationships.extend(relationship(item, None, diagnostics));
    }
    let mut properties: Vec<Property> = Vec::new();
    for item in fields.list("properties") {
        properties.extend(property(item, &mut relationships, "", diagnostics));
    }
    let (measures, properties): (Vec<Property>, Vec<Property>) =
        properties.into_iter().partition(|property| property.measure);
    for (index, property) in properties.iter().enumerate() {
        let same = |other: &&Property| other.column.value.eq_ignore_ascii_case(&property.column.value);
        if let Some(first) = properties[..index].iter().find(same) {
            let message = format!("the column `{}` is promised twice", property.column.value);
            let diagnostic =
                Diagnostic::error("contract-duplicate", message).at(&property.column.at, "the second one");
            fields.problem(diagnostic.related(&first.column.at, "the first one"));
        }
    }
    let grain = own.iter().find(|custom| custom.property == "grain");
    let grain = grain.map(|grain| grain_of(grain, &properties, &mut fields)).unwrap_or_default();
    let compatibility = own.iter().chain(&file.custom).find(|custom| custom.property == "compatibility");
    let compatibility = compatibility.map(|custom| compatibility_of(custom, &mut fields)).unwrap_or_default();
    diagnostics.extend(fields.finish().softened("unknown-key"));
    let name = name?;
    let model = physical_name.unwrap_or_else(|| name.clone());
    let last = model.value.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned();
    let mut contract = Contract {
        model: Located::new(last, model.at),
        name: name.value,
        id: file.id.clone(),
        version: file.version.clone(),
        status: file.status,
        at: yaml.at.clone(),
        physical_type,
        description,
        granularity,
        grain,
        tags,
        properties,
        quality,
        relationships,
        sla: Vec::new(),
        lifecycle: Lifecycle::default(),
        compatibility,
        custom: file.custom.iter().cloned().chain(own).collect(),
        team: file.team.clone(),
        roles: file.roles.clone(),
        support: file.support.clone(),
        deprecated,
        documentation_only: Vec::new(),
        raw: Arc::clone(file.root),
    };
    contract.documentation_only = unchecked(&contract);
    contract.documentation_only.extend(
        measures.into_iter().map(|measure| {
            Located::new(format!("the measure {}: it is no column", measure.name), measure.at)
        }),
    );
    Some(contract)
}

/// 3.2 writes `deprecated: true`, or a mapping with the reason.
fn deprecated(fields: &mut Fields<'_>) -> bool {
    fields.take("deprecated").is_some_and(|value| value.kind != Kind::Bool(false))
}

fn property(
    yaml: &Yaml,
    relationships: &mut Vec<Relationship>,
    parent: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Property> {
    let mut fields = Fields::new("a property", yaml);
    fields.allow(&[
        "businessName",
        "authoritativeDefinitions",
        "partitioned",
        "partitionKeyPosition",
        "encryptedName",
    ]);
    fields.allow(&[
        "transformSourceObjects",
        "transformLogic",
        "transformDescription",
        "examples",
        "context",
        "items",
    ]);
    fields.allow(&["map", "synonyms"]);
    let name = fields.required_string("name");
    let measure = fields.string("semanticType").is_some_and(|kind| kind.value == "measure");
    let physical_name = fields.string("physicalName");
    let physical_type = fields.string("physicalType");
    let logical_type = fields.string("logicalType").and_then(|text| match LogicalType::parse(&text.value) {
        Some(kind) => Some(Located::new(kind, text.at)),
        None => {
            let message = format!("there is no logical type `{}`", text.value);
            let diagnostic = Diagnostic::error("contract-type", message).at(&text.at, "");
            let diagnostic = diagnostic.suggest(&text.value, LogicalType::NAMES);
            let help = format!(
                "it takes: {}; DuckDB's own types go under `physicalType`",
                LogicalType::NAMES.join(", ")
            );
            diagnostics.push(diagnostic.help(help));
            None
        }
    });
    let options = fields.take("logicalTypeOptions");
    let options = options.and_then(Yaml::as_map).map(<[_]>::to_vec).unwrap_or_default();
    let placed = |fields: &mut Fields<'_>, key: &'static str| match fields.bool(key) {
        None => (None, None),
        Some(said) => {
            let at = Some(fields.key_at(key).unwrap_or(fields.at()).clone());
            if said { (at, None) } else { (None, at) }
        }
    };
    let (required, optional) = placed(&mut fields, "required");
    let (unique, repeats) = placed(&mut fields, "unique");
    let in_key = fields.bool("primaryKey") == Some(true);
    // -1 is how the standard's examples say "not in the key".
    let position =
        fields.take("primaryKeyPosition").and_then(|position| position.scalar_text()?.parse::<i64>().ok());
    let position = position.and_then(|position| u64::try_from(position).ok());
    let enum_values = fields.list("enum").iter().map(|item| {
        let value = item.get("value").unwrap_or(item);
        Located::new(value.to_json(), value.at.clone())
    });
    let enum_values = enum_values.collect();
    let classification = fields.string("classification");
    let critical = fields.bool("criticalDataElement").unwrap_or(false);
    let tags = fields.strings("tags").into_iter().map(|tag| tag.value).collect();
    let id = fields.string("id").map(|id| id.value);
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let deprecated = deprecated(&mut fields);
    let custom = custom_properties(&mut fields);
    let quality = quality::read(fields.list("quality"), Level::Column, diagnostics);
    let column = physical_name.or_else(|| name.clone());
    let path = column.as_ref().map(|column| format!("{parent}{}", column.value)).unwrap_or_default();
    for item in fields.list("relationships") {
        relationships.extend(relationship(item, Some(&path), diagnostics));
    }
    let mut properties = Vec::new();
    for item in fields.list("properties") {
        properties.extend(self::property(item, relationships, &format!("{path}."), diagnostics));
    }
    let at = yaml.at.clone();
    diagnostics.extend(fields.finish().softened("unknown-key"));
    let (name, column) = (name?.value, column?);
    Some(Property {
        column,
        name,
        id,
        physical_type,
        logical_type,
        options,
        required,
        optional,
        unique,
        repeats,
        primary_key: in_key.then(|| position.unwrap_or(u64::MAX)),
        enum_values,
        classification,
        critical,
        deprecated,
        tags,
        description,
        quality,
        custom,
        properties,
        measure,
        at,
    })
}

/// Reads a relationship. Its `to` and `from` stay as written until all entries of the file are known.
fn relationship(yaml: &Yaml, column: Option<&str>, diagnostics: &mut Diagnostics) -> Option<Relationship> {
    let mut fields = Fields::new("a relationship", yaml);
    fields.allow(&["id", "customProperties", "description", "name"]);
    let kind = fields.string("type");
    let from = fields.strings("from");
    let to = fields.strings("to");
    let mut from: Vec<String> = from.into_iter().map(|name| name.value).collect();
    from.extend(column.map(str::to_owned).filter(|_| from.is_empty()));
    let problem = match (kind.as_ref().map(|kind| kind.value.as_str()), to.len()) {
        (Some(other), _) if other != "foreignKey" => {
            Some(format!("there is no relationship of type `{other}`"))
        }
        (_, 0) => Some("a relationship needs `to`".to_owned()),
        (_, count) if count != from.len() => Some(format!(
            "a relationship leads from {} columns to {count}",
            if from.is_empty() { "no".to_owned() } else { from.len().to_string() }
        )),
        _ => None,
    };
    let refused = problem.is_some();
    if let Some(message) = problem {
        let diagnostic = Diagnostic::error("contract-relationship", message).at(&yaml.at.first_line(), "");
        fields.problem(
            diagnostic.help("write `to: customers.id`; on a schema entry also `from: orders.customer_id`"),
        );
    }
    diagnostics.extend(fields.finish().softened("unknown-key"));
    let at = to.first().map(|to| to.at.clone())?;
    let to = to.into_iter().map(|name| name.value).collect();
    (!refused).then(|| Relationship { from, model: Located::new(String::new(), at), to, at: yaml.at.clone() })
}

fn grain_of(
    custom: &CustomProperty,
    properties: &[Property],
    fields: &mut Fields<'_>,
) -> Vec<Located<String>> {
    let names: Vec<String> = match &custom.value {
        Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::String(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for name in &names {
        match properties.iter().find(|property| property.name == *name || property.column.value == *name) {
            Some(property) => found.push(Located::new(property.column.value.clone(), custom.at.clone())),
            None => fields.problem(
                Diagnostic::error(
                    "contract-grain",
                    format!("the grain names `{name}`, which is no property here"),
                )
                .at(&custom.at, "")
                .suggest(name, properties.iter().map(|property| property.name.as_str())),
            ),
        }
    }
    found
}

fn compatibility_of(custom: &CustomProperty, fields: &mut Fields<'_>) -> Compatibility {
    let text = custom.value.as_str().unwrap_or_default();
    Compatibility::parse(text).unwrap_or_else(|| {
        fields.problem(
            Diagnostic::error("contract-compatibility", format!("there is no compatibility `{text}`"))
                .at(&custom.at, "")
                .suggest(text, Compatibility::NAMES)
                .help("it takes: none, consumer, history, full, each but the first also with `_transitive`"),
        );
        Compatibility::default()
    })
}

/// What the entry promises and Kiln cannot check.
fn unchecked(contract: &Contract) -> Vec<Located<String>> {
    let mut found = Vec::new();
    let mut note = |what: &str, quality: &super::Quality| {
        if let QualityKind::Documentation { reason } = &quality.kind {
            let says = [quality.id.clone().unwrap_or_default(), quality.description.trim().to_owned()];
            let says: Vec<&str> = says.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
            let says = if says.is_empty() { "a rule".to_owned() } else { says.join(": ") };
            let text = format!("quality of {what}: {says} ({reason})");
            found.push(Located::new(text, quality.at.clone()));
        }
    };
    contract.quality.iter().for_each(|quality| note(&contract.name, quality));
    for property in &contract.properties {
        property.quality.iter().for_each(|quality| note(&property.name, quality));
    }
    for property in &contract.properties {
        found.extend(super::options::unchecked(property));
        for inner in &property.properties {
            nested(inner, &property.name, &mut found);
        }
    }
    found
}

/// Promises about the fields of a struct: only the struct's own type is checked.
fn nested(property: &Property, parent: &str, found: &mut Vec<Located<String>>) {
    let path = format!("{parent}.{}", property.name);
    let promises = [
        property.required.is_some().then_some("required"),
        property.unique.is_some().then_some("unique"),
        (!property.enum_values.is_empty()).then_some("enum"),
        (!property.options.is_empty()).then_some("logicalTypeOptions"),
        (!property.quality.is_empty()).then_some("quality"),
    ];
    let promises: Vec<&str> = promises.into_iter().flatten().collect();
    if !promises.is_empty() {
        let text = format!("{} of the nested property {path}", promises.join(", "));
        found.push(Located::new(text, property.at.clone()));
    }
    property.properties.iter().for_each(|inner| nested(inner, &path, found));
}
