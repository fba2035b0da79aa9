//! Settings: configuration as somebody said it, each value with its place, before anybody checks what it means.
//!
//! Folders in `kiln.yml`, a properties file and a template all say settings; the stronger ones are laid over the
//! weaker ones, and `tags` and `meta` add up.

use indexmap::IndexMap;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::yaml::{Kind, Yaml};

/// A value and where it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The value.
    pub value: Value,
    /// Where.
    pub at: Location,
}

/// Settings by key, in the order said.
pub type Settings = IndexMap<String, Said>;

/// Lays stronger settings over weaker ones.
pub fn lay_over(weaker: &mut Settings, stronger: &Settings) {
    for (key, said) in stronger {
        match (key.as_str(), weaker.get_mut(key)) {
            ("tags", Some(known)) => {
                let mut tags = listed(&known.value);
                for tag in listed(&said.value) {
                    if !tags.contains(&tag) {
                        tags.push(tag);
                    }
                }
                *known = Said { value: Value::Array(tags), at: said.at.clone() };
            }
            ("meta", Some(Said { value: Value::Object(known), .. })) => match &said.value {
                Value::Object(more) => known.extend(more.clone()),
                _ => {
                    weaker.insert(key.clone(), said.clone());
                }
            },
            _ => {
                weaker.insert(key.clone(), said.clone());
            }
        }
    }
}

/// A list as it is; one value as a list of one; nothing as none.
pub fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        single => vec![single.clone()],
    }
}

/// The settings of a mapping; anything else is reported.
pub(super) fn settings(what: &str, yaml: &Yaml, problems: &mut Diagnostics) -> Settings {
    match &yaml.kind {
        Kind::Null => Settings::new(),
        Kind::Map(entries) => entries.iter().map(|(key, value)| (key_of(&key.value), said(value))).collect(),
        _ => {
            problems.push(yaml.wrong_kind(what, "a mapping"));
            Settings::new()
        }
    }
}

/// dbt writes `pre-hook` in YAML and `pre_hook` in templates; there is one name here.
pub(super) fn key_of(key: &str) -> String {
    key.replace('-', "_")
}

pub(super) fn said(value: &Yaml) -> Said {
    Said { value: value.to_json(), at: value.at.clone() }
}

/// The configuration of one kind of resource by folder: the tree under `models:` in `kiln.yml`.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    settings: Settings,
    children: IndexMap<String, (Location, Folder)>,
}

impl Folder {
    /// Reads the tree. A key with `+`, or one whose value is no mapping, is a setting; all others are folders.
    pub(super) fn read(what: &str, yaml: &Yaml, problems: &mut Diagnostics) -> Self {
        let mut folder = Self::default();
        let entries: &[(Located<String>, Yaml)] = match &yaml.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            _ => {
                problems.push(yaml.wrong_kind(what, "a mapping"));
                &[]
            }
        };
        for (key, value) in entries {
            match (key.value.strip_prefix('+'), &value.kind) {
                (None, Kind::Map(_)) => {
                    let child = Self::read(&key.value, value, problems);
                    folder.children.insert(key.value.clone(), (key.at.clone(), child));
                }
                (None, Kind::Null) => {}
                (stripped, _) => {
                    let name = key_of(stripped.unwrap_or(&key.value));
                    if folder.settings.insert(name.clone(), said(value)).is_some() {
                        problems.push(
                            Diagnostic::error("duplicate-key", format!("`{name}` is set twice here"))
                                .at(&key.at, "the second one"),
                        );
                    }
                }
            }
        }
        folder
    }

    /// The settings for something by its full name: package, folders, name.
    pub fn settings_for(&self, fqn: &[&str]) -> Settings {
        let mut all = self.settings.clone();
        let mut folder = self;
        for part in fqn {
            match folder.children.get(*part) {
                Some((_, child)) => folder = child,
                None => break,
            }
            lay_over(&mut all, &folder.settings);
        }
        all
    }

    /// The outermost folders that hold none of the things with these full names.
    pub fn unused<'a>(&'a self, fqns: &[Vec<&str>]) -> Vec<(&'a str, &'a Location)> {
        let mut found = Vec::new();
        for (name, (at, child)) in &self.children {
            let inside: Vec<Vec<&str>> = fqns
                .iter()
                .filter(|fqn| fqn.first() == Some(&name.as_str()))
                .map(|fqn| fqn[1..].to_vec())
                .collect();
            if inside.is_empty() {
                found.push((name.as_str(), at));
            } else {
                found.extend(child.unused(&inside));
            }
        }
        found
    }
}
