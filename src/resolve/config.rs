//! Configuration: settings of all levels laid over each other, then checked and typed.

use indexmap::IndexMap;
use serde_json::Value;

use super::{incremental, limits, snapshot};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};
use crate::manifest::{
    AuditScope, Materialization, NodeConfig, NodeKind, Object, ParsedTemplate, TestConfig, TestSeverity,
};
use crate::project::{Said, Settings, TEST_CONFIG, listed};
use std::sync::{Arc, LazyLock};

/// Bytes that a seed's file may have, unless it says otherwise: a seed is read and hashed by every command.
const SEED_BYTES: u64 = 10_000_000;

/// Keys that Kiln acts on.
const ACTIVE: [&str; 13] = [
    "alias",
    "audit",
    "column_types",
    "delimiter",
    "description",
    "enabled",
    "materialized",
    "max_size",
    "meta",
    "quote_columns",
    "schema",
    "tags",
    "volatile",
];

/// dbt's keys that say how something is kept or shown, and change nothing here.
const ACCEPTED: &[&str] = &[
    "access",
    "concurrent_batches",
    "contract",
    "database",
    "deprecation_date",
    "docs",
    "format",
    "freshness",
    "grants",
    "group",
    "hours_to_expiration",
    "indexes",
    "labels",
    "latest_version_pointer",
    "location",
    "on_configuration_change",
    "on_error",
    "options",
    "packages",
    "partition_by",
    "partitioned_by",
    "persist_docs",
    "quoting",
    "sorted_by",
    "state",
    "static_analysis",
    "time_spine",
    // Other warehouses'.
    "auto_refresh",
    "auto_liquid_cluster",
    "automatic_clustering",
    "backup",
    "base_location",
    "bind",
    "buckets",
    "catalog",
    "catalog_name",
    "change_tracking",
    "cluster_by",
    "clustered_by",
    "compression",
    "copy_grants",
    "copy_tags",
    "data_retention_time_in_days",
    "databricks_compute",
    "databricks_tags",
    "dist",
    "engine",
    "external_volume",
    "file_format",
    "grant_access_to",
    "kms_key_name",
    "labels_from_meta",
    "liquid_clustered_by",
    "location_root",
    "max_data_extension_time_in_days",
    "max_staleness",
    "order_by",
    "partition_expiration_days",
    "partitions",
    "properties",
    "query_tag",
    "refresh_mode",
    "require_partition_filter",
    "resource_tags",
    "row_access_policy",
    "secure",
    "snowflake_warehouse",
    "storage_uri",
    "sort",
    "sort_type",
    "submission_method",
    "table_format",
    "table_type",
    "target_lag",
    "tblproperties",
    "tmp_relation_type",
    "transient",
    "unlogged",
    "view_security",
];

/// dbt's keys that would change data, and that Kiln does not follow.
const NOT_SUPPORTED: [(&str, &str); 3] = [
    ("pre_hook", "hooks would change data outside of a release; put the statement into the model"),
    ("post_hook", "hooks would change data outside of a release; put the statement into the model"),
    ("sql_header", "put what it defines into the model, or DuckDB's settings into `settings:` of the target"),
];

/// The settings that a template makes in `config()`.
pub(super) fn in_file(parsed: &ParsedTemplate, file: &Arc<SourceFile>) -> Settings {
    parsed
        .config
        .iter()
        .map(|(key, value)| {
            let at = parsed.config_at.get(key).cloned().unwrap_or_else(|| Location::new(file, 0..0));
            (key.replace('-', "_"), Said { value: value.clone(), at })
        })
        .collect()
}

/// Whether `enabled` is not said to be false.
pub(super) fn is_enabled(settings: &Settings, problems: &mut Diagnostics) -> bool {
    Reader { settings, problems }.bool("enabled").unwrap_or(true)
}

/// The `tags` and `meta` of settings.
pub(super) fn tags_and_meta(settings: &Settings, problems: &mut Diagnostics) -> (Vec<String>, Object) {
    let mut reader = Reader { settings, problems };
    (reader.texts("tags"), reader.object("meta"))
}

/// Checks the settings of a model or a seed and gives them their types.
pub(super) fn node_config(
    kind: NodeKind,
    settings: &Settings,
    default: Materialization,
    problems: &mut Diagnostics,
) -> NodeConfig {
    check_keys(settings, problems);
    let mut reader = Reader { settings, problems };
    let materialized = match kind {
        NodeKind::Seed => Materialization::Seed,
        NodeKind::Snapshot => Materialization::Snapshot,
        NodeKind::Model => reader.materialized().unwrap_or(default),
    };
    let column_types = match reader.get("column_types") {
        Some(Said { value: Value::Object(types), .. }) => {
            types.iter().filter_map(|(name, ty)| Some((name.clone(), ty.as_str()?.to_owned()))).collect()
        }
        Some(said) => {
            let said = said.clone();
            reader.wrong("column_types", &said, "a mapping of columns to types");
            IndexMap::new()
        }
        None => IndexMap::new(),
    };
    let snapshot = match kind {
        NodeKind::Snapshot => snapshot::read(&mut reader),
        _ => None,
    };
    NodeConfig {
        materialized,
        volatile: reader.bool("volatile"),
        tags: reader.texts("tags"),
        meta: reader.object("meta"),
        column_types,
        delimiter: delimiter(&mut reader),
        max_size: reader.size("max_size").unwrap_or(SEED_BYTES),
        incremental: match (&snapshot, materialized) {
            (Some(snapshot), _) => Some(snapshot.growth()),
            (None, Materialization::Incremental) => Some(incremental::read(&mut reader)),
            _ => None,
        },
        snapshot,
        event_time: incremental::event_time(&mut reader),
        limits: limits::read(&mut reader),
        all: settings.iter().map(|(key, said)| (key.clone(), said.value.clone())).collect(),
    }
}

/// What stands between the values of a seed. DuckDB takes up to four bytes.
fn delimiter(reader: &mut Reader<'_>) -> String {
    match reader.text("delimiter") {
        None => ",".into(),
        Some(text) if (1..=4).contains(&text.len()) && !text.contains(['"', '\n', '\r']) => text,
        Some(_) => {
            reader.wrong_value("delimiter", "one to four characters that stand between values, such as `;`");
            ",".into()
        }
    }
}

fn check_keys(settings: &Settings, problems: &mut Diagnostics) {
    for (key, said) in settings {
        if let Some((_, help)) = NOT_SUPPORTED.iter().find(|(name, _)| name == key) {
            if !listed(&said.value).iter().all(|value| value.as_str() == Some("")) {
                let message = format!("`{key}` is not supported");
                problems.push(Diagnostic::error("not-supported", message).at(&said.at, "").help(*help));
            }
        } else if ![&ACTIVE[..], &incremental::KEYS, &snapshot::KEYS, ACCEPTED]
            .iter()
            .any(|keys| keys.contains(&key.as_str()))
        {
            let known =
                ACTIVE.iter().chain(&incremental::KEYS).chain(&snapshot::KEYS).chain(ACCEPTED).copied();
            problems.push(
                Diagnostic::error("unknown-config", format!("there is no configuration `{key}`"))
                    .at(&said.at, "")
                    .suggest(key, known)
                    .help("what is your own goes under `meta`"),
            );
        }
    }
}

/// Checks the settings of a data test and gives them their types.
pub(super) fn test_config(settings: &Settings, problems: &mut Diagnostics) -> TestConfig {
    for (key, said) in settings {
        if key != "where" && !TEST_CONFIG.contains(&key.as_str()) {
            let known = TEST_CONFIG.iter().copied().chain(["where"]);
            problems.push(
                Diagnostic::error("unknown-config", format!("a test has no configuration `{key}`"))
                    .at(&said.at, "")
                    .suggest(key, known),
            );
        }
    }
    let mut reader = Reader { settings, problems };
    let default = TestConfig::default();
    let severity = reader.text("severity").map(|text| text.to_ascii_lowercase());
    let severity = match severity.as_deref() {
        None | Some("error") => TestSeverity::Error,
        Some("warn") => TestSeverity::Warn,
        Some(_) => {
            reader.wrong_value("severity", "`error` or `warn`");
            TestSeverity::Error
        }
    };
    let store_as = reader.text("store_failures_as");
    let config = TestConfig {
        severity,
        warn_if: reader.comparison("warn_if").unwrap_or(default.warn_if),
        error_if: reader.comparison("error_if").unwrap_or(default.error_if),
        where_clause: reader.text("where").filter(|text| !text.trim().is_empty()),
        limit: reader.count("limit"),
        fail_calc: reader.text("fail_calc").unwrap_or(default.fail_calc),
        store_failures: store_as
            .map_or_else(|| reader.bool("store_failures").unwrap_or(false), |kind| kind != "ephemeral"),
        audit: match reader.text("audit").as_deref() {
            None | Some("whole") => AuditScope::Whole,
            Some("delta") => AuditScope::Delta,
            Some(_) => {
                reader.wrong_value("audit", "`whole` or `delta`");
                AuditScope::Whole
            }
        },
        tags: reader.texts("tags"),
        meta: reader.object("meta"),
    };
    limit_hides(&config, settings, problems);
    config
}

static COMPARISON: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r"^\s*(?:(!=|<>|==?|<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)|(?i:between)\s+-?\d+(?:\.\d+)?\s+(?i:and)\s+-?\d+(?:\.\d+)?)\s*$")
        .expect("the pattern is valid")
});

/// `limit` caps the failing rows before they are counted, so a threshold above it is never reached.
fn limit_hides(config: &TestConfig, settings: &Settings, problems: &mut Diagnostics) {
    let Some(limit) = config.limit.map(|limit| limit as f64) else { return };
    if config.fail_calc != "count(*)" {
        return;
    }
    for (key, condition) in [("error_if", &config.error_if), ("warn_if", &config.warn_if)] {
        let Some(parts) = COMPARISON.captures(condition) else { continue };
        let (Some(sign), Some(number)) = (parts.get(1), parts.get(2)) else { continue };
        let Ok(number) = number.as_str().parse::<f64>() else { continue };
        let hidden = match sign.as_str() {
            ">" => limit <= number,
            ">=" | "=" | "==" => limit < number,
            _ => false,
        };
        if let (true, Some(said), Some(cap)) = (hidden, settings.get(key), settings.get("limit")) {
            problems.push(
                Diagnostic::warning(
                    "limit-hides-failures",
                    format!("`{key}: \"{condition}\"` can never be true with `limit: {}`", cap.value),
                )
                .at(&cap.at, "at most so many failures are counted")
                .related(&said.at, "this asks for more")
                .help("raise `limit` above the threshold, or remove it"),
            );
        }
    }
}

/// Reads settings by type; what has the wrong one is reported and reads as not said.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    problems: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Said> {
        self.settings.get(key).filter(|said| !said.value.is_null())
    }

    /// Reports something at a setting's place; at the first setting there is where that one is not said.
    pub(super) fn problem(&mut self, key: &str, diagnostic: impl FnOnce(&Said) -> Diagnostic) {
        let said =
            self.get(key).or_else(|| self.get("materialized")).or_else(|| self.settings.values().next());
        if let Some(said) = said {
            self.problems.push(diagnostic(said));
        }
    }

    fn wrong(&mut self, key: &str, said: &Said, wanted: &str) {
        self.problems.push(
            Diagnostic::error("wrong-type", format!("`{key}` must be {wanted}"))
                .at(&said.at, "")
                .help(format!("it is `{}` here", said.value)),
        );
    }

    pub(super) fn wrong_value(&mut self, key: &str, wanted: &str) {
        if let Some(said) = self.get(key) {
            self.wrong(key, said, wanted);
        }
    }

    pub(super) fn bool(&mut self, key: &str) -> Option<bool> {
        let said = self.get(key)?;
        match (&said.value, said.value.as_str()) {
            (Value::Bool(value), _) => Some(*value),
            (_, Some("true" | "True")) => Some(true),
            (_, Some("false" | "False")) => Some(false),
            _ => {
                self.wrong(key, said, "true or false");
                None
            }
        }
    }

    pub(super) fn count(&mut self, key: &str) -> Option<u64> {
        let said = self.get(key)?;
        let count = said.value.as_u64().or_else(|| said.value.as_str()?.trim().parse().ok());
        if count.is_none() {
            self.wrong(key, said, "a whole number from 0 up");
        }
        count
    }

    /// A size in bytes: `500`, `20MB`.
    fn size(&mut self, key: &str) -> Option<u64> {
        let text = self.text(key)?;
        let lower = text.trim().to_lowercase();
        let units = [("gb", 1e9), ("mb", 1e6), ("kb", 1e3), ("b", 1.0), ("", 1.0)];
        let found = units.iter().find_map(|(unit, factor)| {
            let number: f64 = lower.strip_suffix(unit)?.trim().parse().ok()?;
            (number.is_finite() && number >= 0.0).then_some((number * factor) as u64)
        });
        if found.is_none() {
            self.wrong_value(key, "a size, such as `20MB`");
        }
        found
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let said = self.get(key)?;
        match &said.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(said.value.to_string()),
            _ => {
                self.wrong(key, said, "text");
                None
            }
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(said) = self.get(key) else { return Vec::new() };
        let mut texts: Vec<String> = Vec::new();
        for value in listed(&said.value) {
            let text = match value {
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => {
                    self.wrong(key, said, "a list of text");
                    continue;
                }
            };
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    pub(super) fn object(&mut self, key: &str) -> Object {
        match self.get(key) {
            None => Object::new(),
            Some(Said { value: Value::Object(object), .. }) => object.clone(),
            Some(said) => {
                self.wrong(key, said, "a mapping");
                Object::new()
            }
        }
    }

    /// A comparison with a number. Nothing else, because it goes into SQL as it is.
    fn comparison(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        if COMPARISON.is_match(&text) {
            return Some(text.trim().to_owned());
        }
        self.wrong_value(key, "a comparison with a number, such as `> 10`");
        None
    }

    fn materialized(&mut self) -> Option<Materialization> {
        let said = self.get("materialized")?;
        let name = self.text("materialized")?;
        let known = ["append", "view", "table", "incremental", "ephemeral"];
        match name.as_str() {
            "append" => return Some(Materialization::Append),
            "view" => return Some(Materialization::View),
            "table" => return Some(Materialization::Table),
            "incremental" => return Some(Materialization::Incremental),
            "ephemeral" => return Some(Materialization::Ephemeral),
            _ => {}
        }
        let diagnostic = if crate::diagnostic::nearest(&name, known).is_some() {
            Diagnostic::error("wrong-value", format!("`{name}` is not a materialization"))
        } else {
            Diagnostic::error("not-supported", format!("`materialized: {name}` is not supported"))
        };
        let help = match name.as_str() {
            "materialized_view" => "write `table`: an unchanged table is not built again",
            "snapshot" => {
                "a snapshot is a `{% snapshot %}` block in `snapshots/`, or has a `relation:` under `snapshots:` in YAML"
            }
            "seed" => "a seed is a CSV file in `seeds/`",
            _ => "write `table`, `view`, `incremental`, `ephemeral` or `append`",
        };
        self.problems.push(diagnostic.at(&said.at, "").suggest(&name, known).help(help));
        None
    }
}
