//! The lineup: every name that `ref` and `source` can find, and what to say when they find nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile, nearest};
use crate::manifest::{Dependency, ParsedTemplate, RefCall, SourceCall};
use crate::names::NodeId;
use crate::project::ProjectFiles;

/// Names of models, seeds and source tables, those that are disabled included.
#[derive(Debug, Default)]
pub(super) struct Lineup {
    /// By name: package, id, place, enabled.
    nodes: BTreeMap<String, Vec<Entry>>,
    sources: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Models in Python.
    python: Vec<String>,
    /// Properties files, some of which may not be readable.
    properties: Vec<Arc<SourceFile>>,
}

#[derive(Debug)]
struct Entry {
    package: String,
    id: NodeId,
    at: Location,
    enabled: Enabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enabled {
    Yes,
    No,
}

impl Lineup {
    /// No names yet but those of models in Python, which nothing can read.
    pub(super) fn new(files: &ProjectFiles) -> Self {
        let properties = files.properties.iter().map(|resource| Arc::clone(&resource.file)).collect();
        Self { python: files.python.clone(), properties, ..Self::default() }
    }

    /// The properties file that names a source, as text: it is not known, so something is wrong with that file.
    fn writes_source(&self, source: &str) -> Option<&SourceFile> {
        let is_name = |line: &str| {
            let value = line.trim_start_matches(['-', '{', ' ']).strip_prefix("name:");
            value.is_some_and(|value| value.trim().trim_matches(['"', '\'']) == source)
        };
        let found =
            |file: &&Arc<SourceFile>| file.text.contains("sources:") && file.text.lines().any(is_name);
        self.properties.iter().find(found).map(|file| &**file)
    }

    /// Adds a model or a seed; gives the place of another one that has its name in its package.
    pub(super) fn add_node(
        &mut self,
        name: &str,
        package: &str,
        id: &NodeId,
        at: &Location,
        enabled: Enabled,
    ) -> Option<Location> {
        let entries = self.nodes.entry(name.to_owned()).or_default();
        let other = entries
            .iter()
            .find(|entry| {
                entry.package == package && entry.enabled == Enabled::Yes && enabled == Enabled::Yes
            })
            .map(|entry| entry.at.clone());
        entries.push(Entry { package: package.to_owned(), id: id.clone(), at: at.clone(), enabled });
        other
    }

    /// Adds a source table; gives the place of another one of its name.
    pub(super) fn add_source(
        &mut self,
        source: &str,
        table: &str,
        package: &str,
        id: &NodeId,
        at: &Location,
        enabled: Enabled,
    ) -> Option<Location> {
        let tables = self.sources.entry(source.to_owned()).or_default();
        if let Some(other) = tables.get(table) {
            return Some(other.at.clone());
        }
        let entry = Entry { package: package.to_owned(), id: id.clone(), at: at.clone(), enabled };
        tables.insert(table.to_owned(), entry);
        None
    }

    /// The names of all models and seeds.
    pub(super) fn node_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// The enabled node of a name, as one package sees it: its own first.
    pub(super) fn node(&self, name: &str, from: &str) -> Option<&NodeId> {
        self.best(name, None, from).filter(|entry| entry.enabled == Enabled::Yes).map(|entry| &entry.id)
    }

    /// Whether there is a node of that name, enabled or not.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    fn best(&self, name: &str, package: Option<&str>, from: &str) -> Option<&Entry> {
        let entries = self.nodes.get(name)?;
        entries
            .iter()
            .filter(|entry| package.is_none_or(|package| package == entry.package))
            .max_by_key(|entry| (entry.enabled == Enabled::Yes, entry.package == from))
    }

    /// What a `ref` finds.
    pub(super) fn find_ref(&self, call: &RefCall, from: &str) -> Result<NodeId, Box<Diagnostic>> {
        let found = self.best(&call.name, call.package.as_deref(), from);
        match found {
            Some(entry) if entry.enabled == Enabled::Yes => Ok(entry.id.clone()),
            Some(entry) => Err(Box::new(
                Diagnostic::error("ref-disabled", format!("`{}` is disabled", call.name))
                    .at(&call.at, "read here")
                    .related(&entry.at, "disabled")
                    .help("enable it, or disable what reads it too"),
            )),
            None => Err(Box::new(self.ref_not_found(call))),
        }
    }

    fn ref_not_found(&self, call: &RefCall) -> Diagnostic {
        let what = match &call.package {
            Some(package) => format!("there is no model or seed `{}` in `{package}`", call.name),
            None => format!("there is no model or seed `{}`", call.name),
        };
        if self.python.contains(&call.name) {
            let message = format!("`{}` is a Python model, which is not supported", call.name);
            return Diagnostic::error("ref-not-found", message).at(&call.at, "").help("write it in SQL");
        }
        let diagnostic = Diagnostic::error("ref-not-found", what).at(&call.at, "");
        let near = nearest(&call.name, self.node_names());
        if let (None, Some((source, _))) =
            (near, self.sources.iter().find(|(_, tables)| tables.contains_key(&call.name)))
        {
            return diagnostic
                .help(format!("it is a table of a source: write `source('{source}', '{}')`", call.name));
        }
        match near {
            Some(_) => diagnostic.suggest(&call.name, self.node_names()),
            None => diagnostic.help("a model's name is its file's name without `.sql`"),
        }
    }

    /// What a `source` finds.
    pub(super) fn find_source(&self, call: &SourceCall) -> Result<NodeId, Box<Diagnostic>> {
        match self.sources.get(&call.source).and_then(|tables| tables.get(&call.table)) {
            Some(entry) if entry.enabled == Enabled::Yes => Ok(entry.id.clone()),
            Some(entry) => {
                let message = format!("`{}.{}` is disabled", call.source, call.table);
                let diagnostic = Diagnostic::error("source-disabled", message).at(&call.at, "read here");
                Err(Box::new(diagnostic.related(&entry.at, "disabled")))
            }
            None => Err(Box::new(self.source_not_found(call))),
        }
    }

    fn source_not_found(&self, call: &SourceCall) -> Diagnostic {
        let Some(tables) = self.sources.get(&call.source) else {
            let message = format!("there is no source `{}`", call.source);
            let diagnostic = Diagnostic::error("source-not-found", message).at(&call.at, "");
            if let Some(file) = self.writes_source(&call.source) {
                let file = file.path.display();
                return diagnostic.help(format!(
                    "it is written in `{file}`, where something else is wrong: mend that first"
                ));
            }
            return match nearest(&call.source, self.sources.keys().map(String::as_str)) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help("declare it under `sources:` in a properties file"),
            };
        };
        let message = format!("the source `{}` has no table `{}`", call.source, call.table);
        Diagnostic::error("source-not-found", message)
            .at(&call.at, "")
            .suggest(&call.table, tables.keys().map(String::as_str))
            .help(format!("it has: {}", tables.keys().cloned().collect::<Vec<_>>().join(", ")))
    }

    /// Everything that a template reads, each once, in order of first use.
    pub(super) fn dependencies(
        &self,
        parsed: &ParsedTemplate,
        from: &str,
        problems: &mut Diagnostics,
    ) -> Vec<Dependency> {
        let refs = parsed.refs.iter().map(|call| (&call.at, self.find_ref(call, from)));
        let sources = parsed.sources.iter().map(|call| (&call.at, self.find_source(call)));
        let mut all: Vec<_> = refs.chain(sources).collect();
        all.sort_by_key(|(at, _)| at.span.start);
        let mut dependencies: Vec<Dependency> = Vec::new();
        for (at, found) in all {
            match found {
                Ok(node) if dependencies.iter().any(|known| known.node == node) => {}
                Ok(node) => dependencies.push(Dependency { node, at: at.clone() }),
                Err(problem) => problems.push(*problem),
            }
        }
        dependencies
    }
}
