//! A target: the database file that a project goes to, and how.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::expand::{Expand, expand_tree};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, SourceFile};
use crate::yaml::{Fields, Yaml};

pub(super) const TARGET_KEYS: [&str; 8] =
    ["type", "path", "threads", "schema", "schema_prefix", "keep_releases", "settings", "memory_limit"];

/// How many releases' builds are kept where the target does not say.
const KEEP_RELEASES: u64 = 2;

/// One target of `kiln.yml`, its Jinja rendered.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The database file, relative to the project's folder.
    pub path: PathBuf,
    /// How many models are built at once; `None` leaves it to the machine.
    pub threads: Option<NonZeroUsize>,
    /// The schema of what is in no layer, without the prefix.
    pub schema: String,
    /// Put before every schema except that of raw tables, which targets in one file share.
    pub schema_prefix: String,
    /// How many releases' builds are kept.
    pub keep_releases: u64,
    /// DuckDB's settings, in their order; checked by DuckDB.
    pub settings: Vec<(Located<String>, Value)>,
    /// DuckDB's memory limit.
    pub memory_limit: Option<String>,
    /// Where it is defined.
    pub at: Location,
}

impl Target {
    /// The target of a project that names none: `target/dev.duckdb`.
    pub fn implied(file: &Arc<SourceFile>) -> Self {
        Self {
            name: "dev".into(),
            path: PathBuf::from("target/dev.duckdb"),
            threads: None,
            schema: "main".into(),
            schema_prefix: String::new(),
            keep_releases: KEEP_RELEASES,
            settings: Vec::new(),
            memory_limit: None,
            at: Location::new(file, 0..0),
        }
    }

    /// The database file from here, given the project's folder.
    pub fn database(&self, root: &Path) -> PathBuf {
        root.join(&self.path)
    }

    pub(super) fn read(
        name: &str,
        at: &Location,
        yaml: &Yaml,
        expand: &dyn Expand,
    ) -> Result<Self, Diagnostics> {
        let mut problems = Diagnostics::new();
        let mut yaml = yaml.clone();
        expand_tree(&mut yaml, expand, &|_| false, &mut problems);
        let mut fields = Fields::new("a target", &yaml);
        let implied = Self::implied(&at.file);
        if let Some(kind) = fields.string("type")
            && kind.value != "duckdb"
        {
            fields.problem(
                Diagnostic::error("target-type", format!("`{}` is not a type of target", kind.value))
                    .at(&kind.at, "")
                    .help("write `type: duckdb`"),
            );
        }
        let path = fields.required_string("path");
        if let Some(path) = &path
            && (path.value.is_empty() || path.value.starts_with(':') || path.value.starts_with("md:"))
        {
            fields.problem(
                Diagnostic::error("target-path", format!("`{}` is not a database file", path.value))
                    .at(&path.at, "")
                    .help("releases live in a file: write `path: target/dev.duckdb`"),
            );
        }
        let threads = fields.count("threads").map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        if threads == Some(0) {
            fields.problem(
                Diagnostic::error("wrong-type", "`threads` must be at least 1")
                    .at(fields.at(), "in this target"),
            );
        }
        let schema = schema_name(&mut fields, "schema").unwrap_or(implied.schema);
        let schema_prefix = schema_name(&mut fields, "schema_prefix").unwrap_or_default();
        let keep_releases = fields.count("keep_releases").unwrap_or(KEEP_RELEASES);
        if keep_releases == 0 {
            fields.problem(
                Diagnostic::error("wrong-type", "`keep_releases` must be at least 1, the current release")
                    .at(fields.at(), "in this target"),
            );
        }
        let mut settings = Vec::new();
        if let Some(yaml) = fields.take("settings") {
            match yaml.as_map() {
                Some(entries) => {
                    settings.extend(entries.iter().map(|(key, value)| (key.clone(), value.to_json())))
                }
                None => fields.problem(yaml.wrong_kind("settings", "a mapping of DuckDB's settings")),
            }
        }
        let memory_limit = fields.string("memory_limit").map(|limit| limit.value);
        problems.extend(fields.finish());
        if problems.has_errors() {
            return Err(problems);
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.map_or(implied.path, |path| PathBuf::from(path.value)),
            threads: threads.and_then(NonZeroUsize::new),
            schema,
            schema_prefix,
            keep_releases,
            settings,
            memory_limit,
            at: at.clone(),
        })
    }
}

fn schema_name<'a>(fields: &mut Fields<'a>, key: &'a str) -> Option<String> {
    let name = fields.string(key)?;
    if is_reserved(&name.value) {
        fields.problem(
            Diagnostic::error("schema-reserved", format!("`{key}` cannot be `{}`", name.value))
                .at(&name.at, "")
                .help("`_kiln` and `_kiln_data` hold kiln's own tables, `information_schema` and `pg_catalog` DuckDB's"),
        );
    }
    Some(name.value)
}

/// Whether a schema belongs to Kiln or to DuckDB itself.
pub(crate) fn is_reserved(schema: &str) -> bool {
    let schema = schema.to_lowercase();
    schema.starts_with("_kiln")
        || ["information_schema", "pg_catalog", "system", "temp"].contains(&schema.as_str())
}
