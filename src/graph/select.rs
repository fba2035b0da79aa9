//! Selection: dbt's `--select` and `--exclude` over a manifest.
//!
//! A space is a union, a comma an intersection. A criterion is `[@][N+]method:value[+N]`; without a method it is a
//! path if it looks like one, else a name. Tests of what is selected are selected with it, as dbt's `eager` does.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::Dag;
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, Node, Test, TestKind};
use crate::names::NodeId;

const METHODS: [&str; 14] = [
    "config",
    "exposure",
    "file",
    "fqn",
    "layer",
    "name",
    "package",
    "path",
    "resource_type",
    "source",
    "state",
    "tag",
    "test_name",
    "test_type",
];

/// The ids that are selected and not excluded: models, seeds, sources, exposures and tests. No `select` means all.
pub fn select(
    manifest: &Manifest,
    dag: &Dag,
    select: &[String],
    exclude: &[String],
) -> Result<BTreeSet<NodeId>> {
    if !select.is_empty() && select.iter().all(|text| text.trim().is_empty()) {
        // A script whose variable is empty would else do everything.
        return Err(Error::usage("`--select` is empty, so nothing is selected")
            .hint("leave it out to select everything"));
    }
    let selected = match select.is_empty() {
        true => everything(manifest).cloned().collect(),
        false => with_tests(manifest, union(manifest, dag, select)?),
    };
    let excluded = with_tests(manifest, union(manifest, dag, exclude)?);
    Ok(selected.difference(&excluded).cloned().collect())
}

/// Package, folders and name of a model or a seed: what `fqn:` matches.
pub fn fqn(manifest: &Manifest, node: &Node) -> Vec<String> {
    fqn_of(manifest, &node.package, node.written_in(), &node.name)
}

/// Package, folders of a file and a name.
pub fn fqn_of(manifest: &Manifest, package: &str, path: &Path, name: &str) -> Vec<String> {
    let below = manifest
        .search_paths
        .iter()
        .filter_map(|search| path.strip_prefix(search).ok())
        .min_by_key(|below| below.components().count())
        .unwrap_or(path);
    let folders =
        below.parent().into_iter().flat_map(Path::iter).map(|part| part.to_string_lossy().into_owned());
    std::iter::once(package.to_owned()).chain(folders).chain([name.to_owned()]).collect()
}

fn everything(manifest: &Manifest) -> impl Iterator<Item = &NodeId> {
    let nodes = manifest.nodes.keys().chain(manifest.sources.keys());
    nodes.chain(manifest.exposures.keys()).chain(manifest.tests.keys()).chain(manifest.unit_tests.keys())
}

fn with_tests(manifest: &Manifest, mut selected: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let touched: Vec<NodeId> = manifest
        .tests
        .values()
        .filter(|test| test.depends_on.iter().any(|dependency| selected.contains(&dependency.node)))
        .map(|test| test.id.clone())
        .collect();
    let units = manifest.unit_tests.values().filter(|test| selected.contains(&test.node));
    let units: Vec<NodeId> = units.map(|test| test.id.clone()).collect();
    selected.extend(touched);
    selected.extend(units);
    selected
}

fn union(manifest: &Manifest, dag: &Dag, arguments: &[String]) -> Result<BTreeSet<NodeId>> {
    let mut found = BTreeSet::new();
    for part in arguments.iter().flat_map(|argument| argument.split_whitespace()) {
        let mut all: Option<BTreeSet<NodeId>> = None;
        for text in part.split(',').filter(|text| !text.is_empty()) {
            let one = Criterion::parse(text)?.find(manifest, dag)?;
            all = Some(match all {
                Some(all) => all.intersection(&one).cloned().collect(),
                None => one,
            });
        }
        found.extend(all.unwrap_or_default());
    }
    Ok(found)
}

/// How far a criterion reaches in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reach {
    None,
    Steps(usize),
    All,
}

/// Whether `@` asks for the descendants and all that they need.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Family {
    Asked,
    NotAsked,
}

struct Criterion<'a> {
    text: &'a str,
    family: Family,
    up: Reach,
    down: Reach,
    method: Option<&'a str>,
    value: &'a str,
}

impl<'a> Criterion<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("`{text}` is not a selection"))
                .hint("write a name with what is around it: `orders`, `+orders`, `orders+1`, `2+orders`, `@orders`, `tag:daily`")
        };
        let (family, rest) = match text.strip_prefix('@') {
            Some(rest) => (Family::Asked, rest),
            None => (Family::NotAsked, text),
        };
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (up, rest) = match (rest[..digits].parse(), rest[digits..].strip_prefix('+')) {
            (Ok(steps), Some(rest)) => (Reach::Steps(steps), rest),
            (Err(_), Some(rest)) if digits == 0 => (Reach::All, rest),
            (_, Some(_)) => return Err(wrong()),
            (_, None) => (Reach::None, rest),
        };
        let (rest, down) = match rest.rsplit_once('+') {
            Some((rest, "")) => (rest, Reach::All),
            Some((rest, steps)) => (rest, Reach::Steps(steps.parse().map_err(|_| wrong())?)),
            None => (rest, Reach::None),
        };
        if rest.is_empty() || (family == Family::Asked && (up != Reach::None || down != Reach::None)) {
            return Err(wrong());
        }
        let (method, value) = match rest.split_once(':') {
            Some((method, value)) => (Some(method), value),
            None => (None, rest),
        };
        Ok(Self { text, family, up, down, method, value })
    }

    fn find(&self, manifest: &Manifest, dag: &Dag) -> Result<BTreeSet<NodeId>> {
        let mut found = self.matches(manifest)?;
        let start = found.clone();
        if self.family == Family::Asked {
            found.extend(dag.below(&start, None));
            let below = found.clone();
            found.extend(dag.above(&below, None));
        }
        let steps = |reach: Reach| match reach {
            Reach::Steps(steps) => Some(steps),
            _ => None,
        };
        if self.up != Reach::None {
            found.extend(dag.above(&start, steps(self.up)));
        }
        if self.down != Reach::None {
            found.extend(dag.below(&start, steps(self.down)));
        }
        Ok(found)
    }

    fn matches(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let Some(method) = self.method else {
            let path = self.value.contains('/')
                || [".sql", ".csv", ".yml"].iter().any(|end| self.value.ends_with(end));
            return if path { self.by_path(manifest) } else { self.by_name(manifest) };
        };
        let (method, key) = match method.split_once('.') {
            Some((method, key)) => (method, Some(key)),
            None => (method, None),
        };
        match (method, key) {
            ("fqn" | "name", None) => self.by_name(manifest),
            ("path" | "file", None) => self.by_path(manifest),
            ("tag", None) => self.by_tag(manifest),
            ("layer", None) => self.by_layer(manifest),
            ("source", None) => self.by_source(manifest),
            ("exposure", None) => {
                let all = manifest.exposures.values();
                self.pick(all.map(|exposure| (&exposure.id, glob(self.value, &exposure.name))))
            }
            ("package", None) => {
                let package = if self.value == "this" { &manifest.project } else { self.value };
                let of = |id: &NodeId| id.as_str().split('.').nth(1).unwrap_or_default().to_owned();
                self.pick(everything(manifest).map(|id| (id, glob(package, &of(id)))))
            }
            ("resource_type", None) => self.by_type(manifest),
            ("test_name", None) => {
                let units = manifest.unit_tests.values();
                let units = units.map(|test| (&test.id, glob(self.value, &test.declared.name.value)));
                let data = manifest.tests.values().map(|test| (&test.id, self.test_name(test)));
                self.pick(data.chain(units))
            }
            ("test_type", None) => self.by_test_type(manifest),
            ("config", Some(key)) => {
                self.pick(manifest.nodes.values().map(|node| (&node.id, has_config(node, key, self.value))))
            }
            ("config", None) => Err(Error::usage(format!("`{}` names no configuration", self.text))
                .hint("write `config.materialized:table`")),
            ("state", _) => {
                Err(Error::usage("`state:` is not supported yet").hint("select models by name, tag or path"))
            }
            _ => {
                let hint = match nearest(method, METHODS) {
                    Some(near) => format!("did you mean `{near}:`?"),
                    None => format!("the methods are: {}", METHODS.join(", ")),
                };
                Err(Error::usage(format!("there is no selection method `{method}`")).hint(hint))
            }
        }
    }

    fn pick<'m>(&self, all: impl Iterator<Item = (&'m NodeId, bool)>) -> Result<BTreeSet<NodeId>> {
        Ok(all.filter(|(_, matches)| *matches).map(|(id, _)| id.clone()).collect())
    }

    fn by_name(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let nodes =
            manifest.nodes.values().map(|node| (&node.id, is_named(self.value, &fqn(manifest, node))));
        let tests = manifest.tests.values().map(|test| {
            let full = fqn_of(manifest, package_of(&test.id), test.at.path(), &test.name);
            // A folder stands for its models; their tests come with them.
            (&test.id, full.last().is_some_and(|name| glob(self.value, name)))
        });
        let units = manifest.unit_tests.values().map(|test| {
            (&test.id, glob(self.value, &test.declared.name.value) || glob(self.value, test.id.short()))
        });
        let found = self.pick(nodes.chain(tests).chain(units))?;
        if found.is_empty() && !self.value.contains(['*', '?', '.']) {
            let names = manifest.nodes.values().map(|node| node.name.as_str());
            let sources = manifest
                .sources
                .values()
                .find(|source| source.name == self.value || source.source == self.value);
            let exposure = manifest.exposures.values().find(|exposure| exposure.name == self.value);
            let hint = match (nearest(self.value, names), sources, exposure) {
                (_, Some(source), _) => format!("it is a source: write `source:{}`", source.id.short()),
                (_, _, Some(exposure)) => format!("it is an exposure: write `exposure:{}`", exposure.name),
                (Some(near), _, _) => format!("did you mean `{near}`?"),
                _ => "`kiln ls` shows all names".to_owned(),
            };
            return Err(Error::usage(format!("there is no model, seed or test `{}`", self.value)).hint(hint));
        }
        Ok(found)
    }

    fn by_path(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let wanted = self.value.trim_start_matches("./").trim_end_matches('/');
        let is_at = |path: &Path| {
            let text = path.to_string_lossy();
            path.starts_with(wanted)
                || glob(wanted, &text)
                || path.file_name().is_some_and(|name| name.to_string_lossy() == wanted)
        };
        let nodes = manifest.nodes.values().map(|node| (&node.id, is_at(&node.file.path)));
        let sources = manifest.sources.values().map(|source| (&source.id, is_at(source.at.path())));
        let exposures = manifest.exposures.values().map(|exposure| (&exposure.id, is_at(exposure.at.path())));
        let singular = manifest.tests.values().filter_map(|test| match &test.kind {
            TestKind::Singular { file } => Some((&test.id, is_at(&file.path))),
            _ => None,
        });
        self.pick(nodes.chain(sources).chain(exposures).chain(singular))
    }

    fn by_tag(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let has = |tags: &[String]| tags.iter().any(|tag| glob(self.value, tag));
        let nodes = manifest.nodes.values().map(|node| (&node.id, has(&node.config.tags)));
        let sources = manifest.sources.values().map(|source| (&source.id, has(&source.tags)));
        let exposures = manifest.exposures.values().map(|exposure| (&exposure.id, has(&exposure.tags)));
        let tests = manifest.tests.values().map(|test| (&test.id, has(&test.config.tags)));
        let units = manifest.unit_tests.values().map(|test| (&test.id, has(&test.tags)));
        self.pick(nodes.chain(sources).chain(exposures).chain(tests).chain(units))
    }

    fn by_layer(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        if !manifest.layers.iter().any(|layer| glob(self.value, layer)) {
            return Err(Error::usage(format!("there is no layer `{}`", self.value))
                .hint(format!("the layers are: {}", manifest.layers.join(", "))));
        }
        let of = |node: &Node| node.layer.as_ref().is_some_and(|layer| glob(self.value, layer));
        self.pick(manifest.nodes.values().map(|node| (&node.id, of(node))))
    }

    fn by_source(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let parts: Vec<&str> = self.value.split('.').collect();
        let is = |package: &str, source: &str, table: &str| match parts.as_slice() {
            [one] => glob(one, source),
            [one, two] => glob(one, source) && glob(two, table),
            [one, two, three] => glob(one, package) && glob(two, source) && glob(three, table),
            _ => false,
        };
        let all = manifest.sources.values();
        self.pick(all.map(|source| (&source.id, is(package_of(&source.id), &source.source, &source.name))))
    }

    fn by_type(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let known = ["exposure", "model", "seed", "source", "test", "unit_test"];
        let wanted = if self.value == "data_test" { "test" } else { self.value };
        if !known.contains(&wanted) {
            return Err(Error::usage(format!("there is no resource type `{wanted}`"))
                .hint(format!("the types are: {}", known.join(", "))));
        }
        self.pick(everything(manifest).map(|id| (id, id.resource_type() == wanted)))
    }

    fn by_test_type(&self, manifest: &Manifest) -> Result<BTreeSet<NodeId>> {
        let is = |test: &Test| match (self.value, &test.kind) {
            ("data", _) => Ok(true),
            ("generic", kind) => Ok(matches!(kind, TestKind::Generic { .. })),
            ("singular", kind) => Ok(matches!(kind, TestKind::Singular { .. })),
            ("contract", kind) => Ok(matches!(kind, TestKind::Contract(_))),
            ("unit", _) => Ok(false),
            _ => Err(Error::usage(format!("there is no test type `{}`", self.value))
                .hint("the types are: data, generic, singular, contract, unit")),
        };
        let mut found = BTreeSet::new();
        if self.value == "unit" {
            found.extend(manifest.unit_tests.keys().cloned());
        }
        for test in manifest.tests.values() {
            if is(test)? {
                found.insert(test.id.clone());
            }
        }
        Ok(found)
    }

    fn test_name(&self, test: &Test) -> bool {
        match &test.kind {
            TestKind::Generic { name, .. } => {
                glob(self.value, name) || name.rsplit('.').next().is_some_and(|tail| glob(self.value, tail))
            }
            _ => glob(self.value, &test.name),
        }
    }
}

fn package_of(id: &NodeId) -> &str {
    id.as_str().split('.').nth(1).unwrap_or_default()
}

/// dbt's rule: the name itself, or the beginning of the full name, part by part, with globs.
fn is_named(wanted: &str, fqn: &[String]) -> bool {
    if fqn.last().is_some_and(|name| glob(wanted, name)) {
        return true;
    }
    let parts: Vec<&str> = wanted.split('.').collect();
    parts.len() <= fqn.len() && parts.iter().zip(fqn).all(|(wanted, part)| glob(wanted, part))
        || (wanted.contains('*') && glob(wanted, &fqn.join(".")))
}

fn has_config(node: &Node, key: &str, wanted: &str) -> bool {
    if key == "materialized" {
        return glob(wanted, node.config.materialized.as_str());
    }
    let mut parts = key.split('.');
    let first = parts.next().unwrap_or_default();
    let mut value = node.config.all.get(first);
    for part in parts {
        value = value.and_then(|value| value.get(part));
    }
    value.is_some_and(|value| is_value(value, wanted))
}

fn is_value(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => glob(wanted, text),
        Value::Array(items) => items.iter().any(|item| is_value(item, wanted)),
        Value::Object(entries) => entries.contains_key(wanted),
        other => other.to_string().eq_ignore_ascii_case(wanted),
    }
}

/// `*` and `?` as in a shell; `*` matches `/` and `.` too.
fn glob(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return pattern == text;
    }
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
