//! `sources:` of a properties file: tables outside Kiln, and how those in files are loaded.

use serde_json::Value;

use super::consumers::Owner;
use super::expand::Expand;
use super::properties::{columns, owner, strings_of};
use super::settings::{Said, Settings, settings};
use super::source_table::{
    Age, FileFormat, FileSource, Freshness, OnBadRows, OnSchemaChange, Period, SourceTable,
};
use super::test_entry::{TestEntry, read_tests};
use super::walk::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, nearest};
use crate::names::{NodeId, Relation};
use crate::yaml::{Fields, Kind, Object, Yaml};

/// One declared source table.
#[derive(Debug, Clone)]
pub struct SourceProperties {
    /// The table, complete but for the configuration of folders.
    pub table: SourceTable,
    /// What is said of the source as a whole.
    pub source_description: String,
    /// `meta` of the source as a whole.
    pub source_meta: Object,
    /// Who brings the data, in a word.
    pub loader: String,
    /// Its tests and those of its columns.
    pub tests: Vec<TestEntry>,
    /// Configuration of the source and the table: `enabled`, `tags`, `meta`, `event_time`.
    pub config: Settings,
    /// Folders of the properties file below its search path.
    pub folders: Vec<String>,
    /// The package.
    pub package: String,
}

/// Keys that may stand at a source or in its `config`, and mean nothing here.
const ACCEPTED: [&str; 7] =
    ["loader", "quoting", "database", "catalog", "formatter", "static_analysis", "external"];

struct Shared {
    source: String,
    schema: String,
    description: String,
    owner: Owner,
    freshness: Option<Freshness>,
    loaded_at_field: Option<String>,
    config: Settings,
    tags: Vec<String>,
    meta: Object,
    loader: String,
}

/// Reads one source with all its tables.
pub(super) fn read_source(
    resource: &Resource,
    yaml: &Yaml,
    expand: &dyn Expand,
    found: &mut Vec<SourceProperties>,
) -> Diagnostics {
    let mut fields = Fields::new("a source", yaml);
    let name = fields.required_string("name");
    let schema = fields.string("schema");
    let description = fields.string("description");
    let config = source_config(&mut fields);
    let mut shared = Shared {
        source: name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        schema: schema.or(name.clone()).map(|schema| schema.value).unwrap_or_default(),
        description: description.map(|text| text.value).unwrap_or_default(),
        owner: owner(&mut fields),
        freshness: None,
        loaded_at_field: None,
        tags: strings_of(&mut fields, "tags"),
        meta: fields.object("meta").unwrap_or_default(),
        loader: loader(&mut fields).unwrap_or_default(),
        config,
    };
    shared.freshness = freshness(&mut fields, yaml, None);
    shared.loaded_at_field = loaded_at(&mut fields, yaml, None);
    if fields.take("overrides").is_some() {
        let at = fields.key_at("overrides").unwrap_or(fields.at()).clone();
        fields.problem(
            Diagnostic::error("not-supported", "`overrides` of a source is not supported").at(&at, ""),
        );
    }
    fields.allow(&ACCEPTED);
    let tables = match fields.take("tables") {
        Some(Yaml { kind: Kind::List(tables), .. }) => tables.as_slice(),
        Some(other) => {
            fields.problem(other.wrong_kind("tables", "a list of tables"));
            &[]
        }
        None => &[],
    };
    let mut problems = Diagnostics::new();
    if name.is_some() {
        for table in tables {
            problems.extend(read_table(resource, &shared, table, expand, found));
        }
    }
    problems.extend(fields.finish());
    problems
}

fn read_table(
    resource: &Resource,
    shared: &Shared,
    yaml: &Yaml,
    expand: &dyn Expand,
    found: &mut Vec<SourceProperties>,
) -> Diagnostics {
    if let Some(name) = yaml.as_str() {
        return Diagnostic::error("wrong-type", "a table is a mapping")
            .at(&yaml.at, "")
            .help(format!("write `- name: {name}`"))
            .into();
    }
    let mut fields = Fields::new("a source table", yaml);
    let Some(name) = fields.required_string("name") else { return fields.finish() };
    let identifier = fields.string("identifier").map_or_else(|| name.value.clone(), |text| text.value);
    let schema = fields.string("schema").map_or_else(|| shared.schema.clone(), |text| text.value);
    let description =
        fields.string("description").map_or_else(|| shared.description.clone(), |text| text.value);
    let mut config = shared.config.clone();
    super::settings::lay_over(&mut config, &source_config(&mut fields));
    let mut tags = shared.tags.clone();
    tags.extend(strings_of(&mut fields, "tags"));
    let mut meta = shared.meta.clone();
    meta.extend(fields.object("meta").unwrap_or_default());
    let mut own = owner(&mut fields);
    if own == Owner::default() {
        own = shared.owner.clone();
    }
    let mut tests = read_tests(&mut fields, None, expand);
    let (columns, column_tests, _) = columns(&mut fields, expand);
    tests.extend(column_tests);
    let table = SourceTable {
        id: NodeId::new("source", &resource.package, &format!("{}.{}", shared.source, name.value)),
        source: shared.source.clone(),
        name: name.value.clone(),
        description,
        relation: Relation::new(schema, identifier),
        columns,
        files: files(&mut fields),
        freshness: freshness(&mut fields, yaml, shared.freshness),
        loaded_at_field: loaded_at(&mut fields, yaml, shared.loaded_at_field.as_deref()),
        event_time: None,
        owner: own,
        tags,
        meta,
        at: name.at,
    };
    fields.allow(&ACCEPTED);
    let folders = resource.folders.clone();
    let loader = loader(&mut fields).unwrap_or_else(|| shared.loader.clone());
    found.push(SourceProperties {
        table,
        source_description: shared.description.clone(),
        source_meta: shared.meta.clone(),
        loader,
        tests,
        config,
        folders,
        package: resource.package.clone(),
    });
    fields.finish()
}

fn loader(fields: &mut Fields<'_>) -> Option<String> {
    fields.string("loader").map(|text| text.value)
}

/// The `config:` of a source or a table, without what is read with the keys beside it.
fn source_config(fields: &mut Fields<'_>) -> Settings {
    let Some(yaml) = fields.take("config") else { return Settings::new() };
    let mut problems = Diagnostics::new();
    let all = settings("config", yaml, &mut problems);
    let known = [
        "enabled",
        "tags",
        "meta",
        "freshness",
        "loaded_at_field",
        "loaded_at_query",
        "event_time",
        "schema",
    ];
    for (key, Said { at, .. }) in &all {
        if key == "external_location" {
            problems.push(
                Diagnostic::error("not-supported", "`external_location` is not supported")
                    .at(at, "")
                    .help("write the path under `files:` of the table, and kiln loads it"),
            );
        } else if !known.contains(&key.as_str()) && !ACCEPTED.contains(&key.as_str()) {
            problems.push(
                Diagnostic::error("unknown-config", format!("a source has no configuration `{key}`"))
                    .at(at, "")
                    .suggest(key, known),
            );
        }
    }
    for problem in problems.sorted() {
        fields.problem(problem.clone());
    }
    all
}

/// `freshness`, beside the other keys or in `config`; said to be nothing, it takes back what the source says.
fn freshness<'a>(fields: &mut Fields<'a>, yaml: &'a Yaml, inherited: Option<Freshness>) -> Option<Freshness> {
    fields.allow(&["freshness"]);
    let Some(said) = yaml.get("freshness").or_else(|| yaml.get("config")?.get("freshness")) else {
        return inherited;
    };
    if said.kind == Kind::Null {
        return None;
    }
    let mut inner = Fields::new("freshness", said);
    let mut freshness = inherited.unwrap_or_default();
    for (key, slot) in
        [("warn_after", &mut freshness.warn_after), ("error_after", &mut freshness.error_after)]
    {
        if let Some(yaml) = inner.take(key) {
            *slot = age(&mut inner, yaml);
        } else if said.get(key).is_some() {
            *slot = None;
        }
    }
    if let Some(filter) = inner.string("filter") {
        inner.problem(
            Diagnostic::error("not-supported", "`filter` of freshness is not supported").at(&filter.at, ""),
        );
    }
    inner.allow(&["loaded_at_field", "loaded_at_query"]);
    for problem in inner.finish().sorted() {
        fields.problem(problem.clone());
    }
    (freshness != Freshness::default()).then_some(freshness)
}

fn age<'a>(outer: &mut Fields<'a>, yaml: &'a Yaml) -> Option<Age> {
    let mut fields = Fields::new("an age", yaml);
    let count = fields.count("count");
    let period = fields.string("period");
    let period = period.and_then(|period| match period.value.as_str() {
        "minute" => Some(Period::Minute),
        "hour" => Some(Period::Hour),
        "day" => Some(Period::Day),
        other => {
            let diagnostic = Diagnostic::error("freshness", format!("`{other}` is not a period"));
            fields.problem(diagnostic.at(&period.at, "").help("write `minute`, `hour` or `day`"));
            None
        }
    });
    let complete = yaml.get("count").is_some() && yaml.get("period").is_some();
    if !complete && yaml.as_map().is_some() {
        let diagnostic = Diagnostic::error("freshness", "an age needs `count` and `period`");
        fields.problem(diagnostic.at(&yaml.at, "").help("write `{count: 3, period: day}`"));
    }
    for problem in fields.finish().sorted() {
        outer.problem(problem.clone());
    }
    Some(Age { count: count?, period: period? })
}

fn loaded_at<'a>(fields: &mut Fields<'a>, yaml: &'a Yaml, inherited: Option<&str>) -> Option<String> {
    fields.allow(&["loaded_at_field", "loaded_at_query"]);
    let say = |key: &str| {
        let config = yaml.get("config");
        let freshness = yaml.get("freshness").or_else(|| config?.get("freshness"));
        yaml.get(key).or_else(|| config?.get(key)).or_else(|| freshness?.get(key))
    };
    if let Some(query) = say("loaded_at_query") {
        fields.problem(
            Diagnostic::error("not-supported", "`loaded_at_query` is not supported")
                .at(&query.at, "")
                .help("name a column or an expression in `loaded_at_field`"),
        );
    }
    match say("loaded_at_field") {
        None => inherited.map(str::to_owned),
        Some(Yaml { kind: Kind::Null, .. }) => None,
        Some(field) => field.scalar_text(),
    }
}

const FORMATS: [&str; 4] = ["csv", "json", "ndjson", "parquet"];

fn files(fields: &mut Fields<'_>) -> Option<FileSource> {
    let patterns = fields.strings("files");
    let said = fields.string("format");
    let options = fields.take("options");
    let on_schema_change = fields.string("on_schema_change");
    let on_bad_rows = fields.string("on_bad_rows");
    if patterns.is_empty() {
        let alone = [
            ("format", said.as_ref().map(|text| &text.at)),
            ("options", options.map(|yaml| &yaml.at)),
            ("on_schema_change", on_schema_change.as_ref().map(|text| &text.at)),
            ("on_bad_rows", on_bad_rows.as_ref().map(|text| &text.at)),
        ];
        for (key, at) in alone {
            if let Some(at) = at {
                fields.problem(
                    Diagnostic::error("files-missing", format!("`{key}` is for a table with `files`"))
                        .at(at, "")
                        .help("add `files:`, or remove it: a table without files exists already"),
                );
            }
        }
        return None;
    }
    let format = format_of(fields, &patterns, said.as_ref());
    let on_schema_change = on_schema_change.and_then(|said| {
        let word = [
            ("evolve", OnSchemaChange::Evolve),
            ("warn", OnSchemaChange::Warn),
            ("fail", OnSchemaChange::Fail),
        ];
        one_of(fields, "on_schema_change", &said, &word)
    });
    let on_bad_rows = on_bad_rows.and_then(|said| {
        let words = [("quarantine", OnBadRows::Quarantine), ("fail", OnBadRows::Fail)];
        one_of(fields, "on_bad_rows", &said, &words)
    });
    let options: Vec<(Located<String>, Value)> = match options.map(|yaml| (yaml, yaml.as_map())) {
        None => Vec::new(),
        Some((_, Some(entries))) => {
            entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()
        }
        Some((yaml, None)) => {
            fields.problem(yaml.wrong_kind("options", "a mapping of DuckDB's reader options"));
            Vec::new()
        }
    };
    Some(FileSource {
        patterns,
        // What was not understood is reported; that the table has files is known, and its models are not to blame.
        format: format.unwrap_or(FileFormat::Csv),
        options,
        on_schema_change: on_schema_change.unwrap_or_default(),
        on_bad_rows: on_bad_rows.unwrap_or_default(),
    })
}

fn one_of<T: Copy>(
    fields: &mut Fields<'_>,
    key: &str,
    said: &Located<String>,
    words: &[(&str, T)],
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == said.value);
    if found.is_none() {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        fields.problem(
            Diagnostic::error("wrong-value", format!("`{key}` cannot be `{}`", said.value))
                .at(&said.at, "")
                .help(format!("write {}", known.join(" or "))),
        );
    }
    found.map(|(_, value)| *value)
}

fn format_of(
    fields: &mut Fields<'_>,
    patterns: &[Located<String>],
    said: Option<&Located<String>>,
) -> Option<FileFormat> {
    if let Some(said) = said {
        let format = format_named(&said.value);
        if format.is_none() {
            let mut diagnostic =
                Diagnostic::error("file-format", format!("`{}` is not a format", said.value))
                    .at(&said.at, "")
                    .help(format!("the formats are: {}", FORMATS.join(", ")));
            if let Some(near) = nearest(&said.value, FORMATS) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            fields.problem(diagnostic);
        }
        return format;
    }
    let mut format: Option<(FileFormat, &Location)> = None;
    for pattern in patterns {
        let Some(found) = format_by_ending(&pattern.value) else {
            fields.problem(
                Diagnostic::error("file-format", format!("the ending of `{}` says no format", pattern.value))
                    .at(&pattern.at, "")
                    .help(format!("add `format:` with one of: {}", FORMATS.join(", "))),
            );
            return None;
        };
        match format {
            Some((first, at)) if first != found => {
                fields.problem(
                    Diagnostic::error("file-format", "the files of one table have one format")
                        .at(&pattern.at, "another format")
                        .related(at, "than here")
                        .help("make a table of each format, or write `format:` if the endings are wrong"),
                );
                return None;
            }
            _ => format = Some((found, &pattern.at)),
        }
    }
    format.map(|(format, _)| format)
}

fn format_named(name: &str) -> Option<FileFormat> {
    match name.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "txt" => Some(FileFormat::Csv),
        "json" => Some(FileFormat::Json),
        "ndjson" | "jsonl" => Some(FileFormat::NdJson),
        "parquet" => Some(FileFormat::Parquet),
        _ => None,
    }
}

fn format_by_ending(path: &str) -> Option<FileFormat> {
    let lower = path.to_ascii_lowercase();
    // `*.csv*` names what is compressed and what is not.
    let lower = lower.strip_suffix(".*").or_else(|| lower.strip_suffix('*')).unwrap_or(&lower);
    let plain = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(lower);
    let (_, ending) = plain.rsplit_once('.')?;
    let format = format_named(ending)?;
    (format != FileFormat::Parquet || plain.len() == lower.len()).then_some(format)
}
