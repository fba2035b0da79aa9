//! The project file, `kiln.yml`: name, paths, layers, targets, vars, and the configuration of folders.
//!
//! It is read in two steps, because folder configuration may ask for `target` and `var`, which are known only when
//! the rest has been read: [`ProjectFile::read`], then [`ProjectFile::target`], then the folders with the project.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::expand::{Expand, expand_tree};
use super::target::{TARGET_KEYS, Target};
use super::walk::{self, Unread};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, Severity, SourceFile};
use crate::error::{Error, Result};
use crate::yaml::{self, Fields, Kind, Object, Yaml};

/// The name of the project file.
pub const FILE_NAME: &str = "kiln.yml";

/// Diagnostics whose severity a project may set, under `severities:`.
pub const SETTABLE: [&str; 6] = [
    "config-unused",
    "contract-missing",
    "layer-direction",
    "limit-hides-failures",
    "properties-unmatched",
    "reads-outside",
];

/// Keys whose trees are folder configuration, expanded when the target is known.
const FOLDER_KEYS: [&str; 9] =
    ["models", "seeds", "tests", "data_tests", "sources", "snapshots", "unit_tests", "exposures", "analyses"];

/// What `kiln.yml` says.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    /// The project's folder.
    pub root: PathBuf,
    /// The file itself.
    pub file: Arc<SourceFile>,
    /// The project's name, which is also its package's.
    pub name: Located<String>,
    /// Its version, as written.
    pub version: Option<String>,
    /// The target when none is asked for.
    pub default_target: Option<Located<String>>,
    /// Layers in their order.
    pub layers: Vec<String>,
    /// Variables for every package.
    pub vars: Object,
    /// Variables of one package, by its name.
    pub package_vars: IndexMap<String, Object>,
    /// Where things are looked for.
    pub paths: Paths,
    /// Where the macros of a namespace are looked for: its name, and packages in their order.
    pub dispatch: Vec<(String, Vec<String>)>,
    /// `alerts:`, not used yet.
    pub alerts: Option<Object>,
    /// `diff:` as written; what it means, the diff knows.
    pub diff: Option<Yaml>,
    severities: BTreeMap<String, Option<Severity>>,
    targets: IndexMap<String, (Location, Yaml)>,
    pub(super) folders: BTreeMap<&'static str, Yaml>,
}

/// Folders of a project, relative to it.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Models and their properties.
    pub models: Vec<String>,
    /// Seeds.
    pub seeds: Vec<String>,
    /// Singular tests, and generic ones in `generic/`.
    pub tests: Vec<String>,
    /// Macros.
    pub macros: Vec<String>,
    /// Snapshots.
    pub snapshots: Vec<String>,
    /// Analyses.
    pub analyses: Vec<String>,
    /// More places for docs blocks.
    pub docs: Vec<String>,
    /// Where artifacts go.
    pub target: String,
    /// Where packages are installed.
    pub packages: String,
    /// What `kiln clean` removes.
    pub clean: Vec<String>,
}

impl ProjectFile {
    /// Reads `kiln.yml` in a folder. `expand` needs to know `env_var` and the variables of the command line only.
    pub fn read(root: &Path, expand: &dyn Expand) -> (Option<Self>, Diagnostics) {
        let mut problems = Diagnostics::new();
        let Some(file) = read_text(root, &mut problems) else { return (None, problems) };
        let (project, found) = Self::parse(root, &file, expand);
        problems.extend(found);
        (project, problems)
    }

    /// Reads the text of a `kiln.yml` for the project in a folder.
    pub fn parse(root: &Path, file: &Arc<SourceFile>, expand: &dyn Expand) -> (Option<Self>, Diagnostics) {
        let mut problems = Diagnostics::new();
        let Some(mut yaml) = yaml::parse(file, &mut problems) else { return (None, problems) };
        let later = |key: &str| {
            FOLDER_KEYS.contains(&key)
                || ["targets", "on-run-start", "on-run-end", "query-comment"].contains(&key)
        };
        expand_tree(&mut yaml, expand, &later, &mut problems);
        let (project, found) = Self::from_yaml(root, file, &yaml);
        problems.extend(found);
        (project, problems)
    }

    fn from_yaml(root: &Path, file: &Arc<SourceFile>, yaml: &Yaml) -> (Option<Self>, Diagnostics) {
        let mut fields = Fields::new("kiln.yml", yaml);
        let name = fields.required_string("name");
        if let Some(name) = &name
            && !is_package_name(&name.value)
        {
            fields.problem(
                Diagnostic::error("project-name", format!("`{}` cannot be a project's name", name.value))
                    .at(&name.at, "")
                    .help("use letters, digits and underscores, and begin with a letter"),
            );
        }
        let version = fields.string("version").map(|version| version.value);
        let default_target = fields.string("default_target");
        let layers = read_layers(&mut fields);
        let (vars, package_vars) = read_vars(&mut fields, name.as_ref().map(|name| name.value.as_str()));
        let severities = read_severities(&mut fields);
        let diff = fields.take("diff").cloned();
        let targets = read_targets(&mut fields);
        if let Some(wanted) = &default_target
            && !targets.contains_key(&wanted.value)
        {
            fields.problem(
                Diagnostic::error("unknown-target", format!("there is no target `{}`", wanted.value))
                    .at(&wanted.at, "")
                    .suggest(&wanted.value, targets.keys().map(String::as_str))
                    .help(format!(
                        "the targets are: {}",
                        targets.keys().cloned().collect::<Vec<_>>().join(", ")
                    )),
            );
        }
        let paths = Paths {
            models: paths(&mut fields, &["model-paths", "source-paths"], &["models"]),
            seeds: paths(&mut fields, &["seed-paths", "data-paths"], &["seeds"]),
            tests: paths(&mut fields, &["test-paths"], &["tests"]),
            macros: paths(&mut fields, &["macro-paths"], &["macros"]),
            snapshots: paths(&mut fields, &["snapshot-paths"], &["snapshots"]),
            analyses: paths(&mut fields, &["analysis-paths"], &["analyses"]),
            docs: paths(&mut fields, &["docs-paths"], &[]),
            target: paths(&mut fields, &["target-path"], &["target"]).swap_remove(0),
            packages: paths(&mut fields, &["packages-install-path"], &["dbt_packages"]).swap_remove(0),
            clean: paths(&mut fields, &["clean-targets"], &["target"]),
        };
        for key in ["on-run-start", "on-run-end"] {
            if let Some(first) =
                fields.list(key).iter().find(|hook| hook.scalar_text() != Some(String::new()))
            {
                fields.problem(
                    Diagnostic::error("not-supported", format!("`{key}` hooks are not supported"))
                        .at(&first.at, "")
                        .help("hooks would change data outside of a release; remove it, or make it a model"),
                );
            }
        }
        let mut folders = BTreeMap::new();
        for key in FOLDER_KEYS {
            if let Some(tree) = fields.take(key) {
                folders.insert(key, tree.clone());
            }
        }
        if let (Some(_), Some(second)) = (folders.get("tests"), fields.key_at("data_tests")) {
            let second = second.clone();
            fields.problem(
                Diagnostic::error("duplicate-key", "`tests` and `data_tests` are the same key")
                    .at(&second, "keep this one alone"),
            );
        }
        let dispatch = read_dispatch(&mut fields);
        let alerts = fields.object("alerts");
        fields.allow(&[
            "config-version",
            "profile",
            "asset-paths",
            "function-paths",
            "log-path",
            "query-comment",
            "quoting",
            "flags",
            "require-dbt-version",
            "restrict-access",
            "dbt-cloud",
            "sync",
            "anchors",
            "metrics",
            "semantic-models",
            "saved-queries",
            "functions",
        ]);
        let problems = fields.finish();
        let project = name.map(|name| Self {
            root: root.to_owned(),
            file: Arc::clone(file),
            name,
            version,
            default_target,
            layers,
            vars,
            package_vars,
            paths,
            dispatch,
            alerts,
            severities,
            diff,
            targets,
            folders,
        });
        (project, problems)
    }

    /// The target of a name, or the default one. Only this target's Jinja is rendered, so that a secret that is
    /// missing for another target does no harm.
    pub fn target(&self, name: Option<&str>, expand: &dyn Expand) -> Result<Target> {
        let name = match (name, &self.default_target) {
            (Some(name), _) => name,
            (None, Some(default)) => &default.value,
            (None, None) if self.targets.is_empty() => return Ok(Target::implied(&self.file)),
            (None, None) => match self.targets.first() {
                Some((only, _)) if self.targets.len() == 1 => only,
                _ => return Err(self.no_default_target()),
            },
        };
        let Some((at, yaml)) = self.targets.get(name) else {
            let known = self.target_names().collect::<Vec<_>>().join(", ");
            let nearest = crate::diagnostic::nearest(name, self.target_names());
            let hint =
                nearest.map_or(format!("the targets are: {known}"), |near| format!("did you mean `{near}`?"));
            return Err(Error::usage(format!("there is no target `{name}` in {FILE_NAME}")).hint(hint));
        };
        Target::read(name, at, yaml, expand).map_err(Error::from)
    }

    fn no_default_target(&self) -> Error {
        let known = self.target_names().collect::<Vec<_>>().join(", ");
        Error::usage("there are several targets and no `default_target`")
            .hint(format!("write `default_target:` in {FILE_NAME}, or `--target` with one of: {known}"))
    }

    /// The names of all targets, in their order.
    pub fn target_names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// A diagnostic with the severity that the project has set for its code; `None` if it is off.
    pub fn graded(&self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        match self.severities.get(diagnostic.code) {
            None => Some(diagnostic),
            Some(None) => None,
            Some(Some(severity)) => {
                diagnostic.severity = *severity;
                Some(diagnostic)
            }
        }
    }
}

/// Whether a text is a package's name.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read_text(root: &Path, problems: &mut Diagnostics) -> Option<Arc<SourceFile>> {
    let path = root.join(FILE_NAME);
    if path.is_symlink()
        && path.exists()
        && root.canonicalize().is_ok_and(|root| walk::leads_out(&path, &root))
    {
        walk::outside(Path::new(FILE_NAME), problems);
        return None;
    }
    match walk::bytes(&path) {
        Ok(bytes) => walk::text_of(FILE_NAME, bytes, problems),
        Err(Unread::Refused(message, help)) => {
            walk::refused(Path::new(FILE_NAME), message, help, problems);
            None
        }
        Err(Unread::Absent(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            let place = if root.as_os_str().is_empty() { Path::new(".") } else { root };
            problems.push(
                Diagnostic::error(
                    "no-project",
                    format!("there is no `{FILE_NAME}` in `{}`", place.display()),
                )
                .help("run `kiln init` to begin a project here, or name its folder with `--project-dir`"),
            );
            None
        }
        Err(Unread::Absent(error)) => {
            walk::unreadable(Path::new(FILE_NAME), &error, problems);
            None
        }
    }
}

fn read_layers(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(at) = fields.take("layers").map(|yaml| yaml.at.clone()) else {
        return ["raw", "curated", "serving"].map(String::from).to_vec();
    };
    let layers = fields.strings("layers");
    let mut seen: Vec<String> = Vec::new();
    for layer in layers {
        let problem = if !is_package_name(&layer.value) || layer.value.starts_with("_kiln") {
            Some(format!("`{}` cannot be a layer's name", layer.value))
        } else if seen.contains(&layer.value) {
            Some(format!("the layer `{}` is named twice", layer.value))
        } else {
            None
        };
        match problem {
            Some(message) => fields.problem(
                Diagnostic::error("layers", message)
                    .at(&layer.at, "")
                    .related(&at, "")
                    .help("a layer is a folder and a schema: letters, digits and underscores, each one once"),
            ),
            None => seen.push(layer.value),
        }
    }
    seen
}

fn read_vars(fields: &mut Fields<'_>, project: Option<&str>) -> (Object, IndexMap<String, Object>) {
    let mut global = Object::new();
    let mut packages = IndexMap::new();
    for (name, value) in fields.object("vars").unwrap_or_default() {
        match value {
            // As in dbt: the project's own name holds its variables. Any mapping may be a package's, or a variable
            // whose value is a mapping, so it is both.
            serde_json::Value::Object(vars) => {
                packages.insert(name.clone(), vars.clone());
                if Some(name.as_str()) != project {
                    global.insert(name, serde_json::Value::Object(vars));
                }
            }
            value => {
                global.insert(name, value);
            }
        }
    }
    (global, packages)
}

fn read_dispatch(fields: &mut Fields<'_>) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for item in fields.list("dispatch") {
        let mut inner = Fields::new("a dispatch", item);
        let namespace = inner.required_string("macro_namespace");
        let order = inner.strings("search_order").into_iter().map(|name| name.value).collect();
        all.extend(namespace.map(|namespace| (namespace.value, order)));
        for problem in inner.finish().sorted() {
            fields.problem(problem.clone());
        }
    }
    all
}

fn read_severities(fields: &mut Fields<'_>) -> BTreeMap<String, Option<Severity>> {
    let mut severities = BTreeMap::new();
    let Some(yaml) = fields.take("severities") else { return severities };
    let Some(entries) = yaml.as_map() else {
        fields.problem(yaml.wrong_kind("severities", "a mapping of codes"));
        return severities;
    };
    for (code, value) in entries {
        if !SETTABLE.contains(&code.value.as_str()) {
            fields.problem(
                Diagnostic::error("unknown-key", format!("the severity of `{}` cannot be set", code.value))
                    .at(&code.at, "")
                    .suggest(&code.value, SETTABLE)
                    .help(format!("it can be set for: {}", SETTABLE.join(", "))),
            );
            continue;
        }
        let severity = match (&value.kind, value.as_str()) {
            (_, Some("error")) => Some(Severity::Error),
            (_, Some("warn" | "warning")) => Some(Severity::Warning),
            (Kind::Bool(false), _) | (_, Some("off")) => None,
            _ => {
                fields.problem(value.wrong_kind(&code.value, "`error`, `warn` or `off`"));
                continue;
            }
        };
        severities.insert(code.value.clone(), severity);
    }
    severities
}

fn read_targets(fields: &mut Fields<'_>) -> IndexMap<String, (Location, Yaml)> {
    let mut targets = IndexMap::new();
    let Some(yaml) = fields.take("targets") else { return targets };
    let Some(entries) = yaml.as_map() else {
        fields.problem(yaml.wrong_kind("targets", "a mapping of names"));
        return targets;
    };
    for (name, target) in entries {
        // The keys of every target are checked now, the values when it is used.
        let mut keys = Fields::new("a target", target);
        keys.allow(&TARGET_KEYS);
        for found in keys.finish().sorted() {
            fields.problem(found.clone());
        }
        targets.insert(name.value.clone(), (name.at.clone(), target.clone()));
    }
    targets
}

/// A list of folders under one of several keys, none of which may lead out of the project.
fn paths<'a>(fields: &mut Fields<'a>, keys: &[&'a str], default: &[&str]) -> Vec<String> {
    let mut found: Option<Vec<String>> = None;
    for key in keys {
        if fields.take(key).is_none() {
            continue;
        }
        let mut list = Vec::new();
        for path in fields.strings(key) {
            match inside(&path.value) {
                Some(clean) => list.push(clean),
                None => fields.problem(
                    Diagnostic::error("path-outside", format!("`{}` leads out of the project", path.value))
                        .at(&path.at, "")
                        .help("write a path relative to the project's folder, without `..`"),
                ),
            }
        }
        found.get_or_insert_with(Vec::new).extend(list);
    }
    match found {
        Some(list) if !list.is_empty() => list,
        _ => default.iter().map(|path| (*path).to_owned()).collect(),
    }
}

/// A relative path without `.` and trailing slashes; `None` if it leads outside.
pub(super) fn inside(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(parts.join("/"))
}
