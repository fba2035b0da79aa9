//! Resolving: a project, its parsed templates and its contracts become a manifest for one target.
//!
//! Strength of configuration, from weak to strong: folders in `kiln.yml` from the outermost in, properties,
//! `config()` in the file. `tags` and `meta` of all of them add up.

mod checks;
mod config;
mod consumers;
mod csv;
pub mod endings;
mod incremental;
mod limits;
mod lineup;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;
mod unit;
mod unit_rows;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::config::{in_file, is_enabled, node_config};
pub use self::csv::{csv, misshapen};
use self::incremental::source_time;
use self::lineup::{Enabled, Lineup};
pub(crate) use self::wire::full_name as full_test_name;
use crate::contract::Contract;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, nearest};
use crate::manifest::{Manifest, Materialization, Node, NodeKind, ParsedTemplate, ReadTemplates};
use crate::names::{NodeId, Relation};
use crate::project::{NodeProperties, Project, Resource, Settings, Target, is_reserved, lay_over};

/// Makes the manifest. It holds everything that could be resolved; whether it may be used says
/// [`Diagnostics::has_errors`]. `contracts` are keyed by the model that they bind.
pub fn resolve(
    project: &Project,
    target: &Target,
    templates: &dyn ReadTemplates,
    contracts: BTreeMap<String, Located<Contract>>,
) -> (Manifest, Diagnostics) {
    let mut resolver = Resolver {
        project,
        target,
        templates,
        lineup: Lineup::new(&project.files),
        properties: BTreeMap::new(),
        manifest: Manifest {
            project: project.file.name.value.clone(),
            layers: project.file.layers.clone(),
            search_paths: search_paths(project),
            ..Manifest::default()
        },
        problems: Diagnostics::new(),
    };
    resolver.index_properties();
    let drafts = resolver.drafts();
    resolver.sources();
    for draft in &drafts {
        resolver.node(draft);
    }
    resolver.unmatched_properties();
    resolver.contracts(contracts);
    wire::tests(&mut resolver);
    unit::tests(&mut resolver);
    consumers::exposures(&mut resolver);
    checks::all(project, &resolver.manifest, &mut resolver.problems);
    let graded = resolver.problems.sorted().into_iter().cloned();
    let problems = graded.filter_map(|problem| project.file.graded(problem)).collect();
    (resolver.manifest, problems)
}

/// The state of one resolving.
struct Resolver<'a> {
    project: &'a Project,
    target: &'a Target,
    templates: &'a dyn ReadTemplates,
    lineup: Lineup,
    properties: BTreeMap<(NodeKind, String), &'a NodeProperties>,
    manifest: Manifest,
    problems: Diagnostics,
}

/// A model or a seed whose name is known and whose neighbours are not.
struct Draft<'a> {
    id: NodeId,
    kind: NodeKind,
    resource: &'a Resource,
    properties: Option<&'a NodeProperties>,
    settings: Settings,
    parsed: ParsedTemplate,
    at: Location,
}

/// What the properties say, else what the template does.
fn description(draft: &Draft<'_>) -> String {
    let own = draft.properties.map(|own| own.description.clone()).filter(|text| !text.is_empty());
    let said = || draft.settings.get("description").and_then(|said| said.value.as_str()).map(str::to_owned);
    own.or_else(said).unwrap_or_default()
}

fn search_paths(project: &Project) -> Vec<String> {
    let paths = &project.file.paths;
    [&paths.models, &paths.seeds, &paths.snapshots, &paths.tests].into_iter().flatten().cloned().collect()
}

impl<'a> Resolver<'a> {
    fn index_properties(&mut self) {
        for properties in &self.project.properties.nodes {
            let key = (properties.kind, properties.name.value.clone());
            if let Some(first) = self.properties.get(&key) {
                let message = format!("`{}` has properties in two places", properties.name.value);
                self.problems.push(
                    Diagnostic::error("duplicate-properties", message)
                        .at(&properties.name.at, "the second one")
                        .related(&first.name.at, "the first one")
                        .help("put everything about it in one place"),
                );
                continue;
            }
            self.properties.insert(key, properties);
        }
    }

    /// Reads every template and decides what is enabled; the lineup knows all names afterwards.
    fn drafts(&mut self) -> Vec<Draft<'a>> {
        let project = self.project;
        let models = project.files.models.iter().map(|resource| (NodeKind::Model, resource));
        let seeds = project.files.seeds.iter().map(|resource| (NodeKind::Seed, resource));
        let snapshots = project.files.snapshots.iter().chain(&project.properties.snapshots);
        let snapshots = snapshots.map(|resource| (NodeKind::Snapshot, resource));
        models
            .chain(seeds)
            .chain(snapshots)
            .filter_map(|(kind, resource)| self.draft(kind, resource))
            .collect()
    }

    fn draft(&mut self, kind: NodeKind, resource: &'a Resource) -> Option<Draft<'a>> {
        let (folder, prefix) = match kind {
            NodeKind::Model => ("models", "model"),
            NodeKind::Seed => ("seeds", "seed"),
            NodeKind::Snapshot => ("snapshots", "snapshot"),
        };
        let id = NodeId::new(prefix, &resource.package, &resource.name);
        // A snapshot may stand anywhere in its file.
        let first = resource.file.text.find(|c: char| !c.is_whitespace()).unwrap_or(0);
        let start = match kind {
            NodeKind::Snapshot => Location::new(&resource.file, first..first),
            _ => Location::new(&resource.file, 0..0),
        };
        let properties = self.properties.get(&(kind, resource.name.clone())).copied();
        let at = properties.map_or_else(|| start.clone(), |properties| properties.name.at.clone());
        if !resource.name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            self.problems.push(
                Diagnostic::error("model-name", format!("`{}` cannot be a name", resource.name))
                    .at(&Location::whole_file(&resource.file.path), "")
                    .help("rename the file with letters, digits and `_`: its name is the table's name"),
            );
            return None;
        }
        let mut settings = self
            .project
            .folder(folder)
            .map_or_else(Settings::new, |folder| folder.settings_for(&resource.fqn()));
        if let Some(properties) = properties {
            lay_over(&mut settings, &properties.config);
        }
        let parsed = match kind {
            NodeKind::Seed => ParsedTemplate::default(),
            NodeKind::Model | NodeKind::Snapshot if resource.file.text.trim().is_empty() => {
                self.problems.push(
                    Diagnostic::error("empty-model", "this model is empty")
                        .at(&Location::whole_file(&resource.file.path), "")
                        .help("write one SELECT, or remove the file"),
                );
                self.manifest.broken.insert(id.clone());
                ParsedTemplate::default()
            }
            NodeKind::Model | NodeKind::Snapshot => {
                match self.templates.parse(&id, &resource.package, &resource.name, &resource.file) {
                    Ok(parsed) => parsed,
                    // A model that is switched off may be broken.
                    Err(_) if !is_enabled(&settings, &mut Diagnostics::new()) => ParsedTemplate::default(),
                    Err(found) => {
                        self.problems.extend(found);
                        self.manifest.broken.insert(id.clone());
                        ParsedTemplate::default()
                    }
                }
            }
        };
        lay_over(&mut settings, &in_file(&parsed, &resource.file));
        let enabled = if is_enabled(&settings, &mut self.problems) { Enabled::Yes } else { Enabled::No };
        if let Some(first) = self.lineup.add_node(&resource.name, &resource.package, &id, &start, enabled) {
            self.problems.push(
                Diagnostic::error("duplicate-name", format!("two files are called `{}`", resource.name))
                    .at(&start, "the second one")
                    .related(&first, "the first one")
                    .help("rename one of them: `ref` finds a model or a seed by its file's name"),
            );
            return None;
        }
        (enabled == Enabled::Yes).then_some(Draft { id, kind, resource, properties, settings, parsed, at })
    }

    fn sources(&mut self) {
        for declared in &self.project.properties.sources {
            let fqn: Vec<&str> = std::iter::once(declared.package.as_str())
                .chain(declared.folders.iter().map(String::as_str))
                .chain([declared.table.source.as_str(), declared.table.name.as_str()])
                .collect();
            let mut settings =
                self.project.folder("sources").map_or_else(Settings::new, |folder| folder.settings_for(&fqn));
            lay_over(&mut settings, &declared.config);
            let enabled = is_enabled(&settings, &mut self.problems);
            let mut table = declared.table.clone();
            let config = config::tags_and_meta(&settings, &mut self.problems);
            table.tags = config.0.into_iter().chain(table.tags).collect();
            table.tags.dedup();
            let mut meta = config.1;
            meta.extend(table.meta);
            table.meta = meta;
            table.event_time = source_time(&settings, &mut self.problems);
            let enabled = if enabled { Enabled::Yes } else { Enabled::No };
            let first = self.lineup.add_source(
                &table.source,
                &table.name,
                &declared.package,
                &table.id,
                &table.at,
                enabled,
            );
            if let Some(first) = first {
                let message = format!("the source table `{}.{}` is declared twice", table.source, table.name);
                self.problems.push(
                    Diagnostic::error("duplicate-name", message)
                        .at(&table.at, "the second one")
                        .related(&first, "the first one"),
                );
            } else if enabled == Enabled::Yes {
                self.manifest.sources.insert(table.id.clone(), table);
            }
        }
    }

    /// Adds a node, and notes whether anything is wrong with it.
    fn node(&mut self, draft: &Draft<'_>) {
        let earlier = std::mem::take(&mut self.problems);
        self.add_node(draft);
        if self.problems.has_errors() {
            self.manifest.broken.insert(draft.id.clone());
        }
        let own = std::mem::replace(&mut self.problems, earlier);
        self.problems.extend(own);
    }

    fn add_node(&mut self, draft: &Draft<'_>) {
        let Draft { resource, kind, settings, parsed, .. } = draft;
        let layer = (*kind == NodeKind::Model)
            .then(|| resource.folders.first().filter(|folder| self.manifest.layers.contains(folder)))
            .flatten()
            .cloned();
        let first_layer = layer.is_some() && layer.as_ref() == self.manifest.layers.first();
        let default = if first_layer { Materialization::Append } else { Materialization::View };
        let config = node_config(*kind, settings, default, &mut self.problems);
        let relation = self.relation(draft, layer.as_deref(), config.materialized);
        let depends_on = self.lineup.dependencies(parsed, &resource.package, &mut self.problems);
        let node = Node {
            id: draft.id.clone(),
            name: resource.name.clone(),
            package: resource.package.clone(),
            kind: *kind,
            layer,
            file: Arc::clone(&resource.file),
            relation,
            config,
            description: description(draft),
            columns: draft.properties.map(|own| own.columns.clone()).unwrap_or_default(),
            depends_on,
            // What a snapshot checks is known when what it reads is there.
            asks_database: parsed.asks_database || *kind == NodeKind::Snapshot,
            template_asks: parsed.asks_database,
            at: draft.at.clone(),
        };
        self.manifest.nodes.insert(node.id.clone(), node);
    }

    /// What readers see. Targets in one file share raw tables, so these have no prefix.
    fn relation(
        &mut self,
        draft: &Draft<'_>,
        layer: Option<&str>,
        materialized: Materialization,
    ) -> Relation {
        let text = |key: &str| {
            let said = draft.settings.get(key)?;
            Some((said.value.as_str().filter(|text| !text.is_empty())?.to_owned(), said.at.clone()))
        };
        let name = text("alias").map_or_else(|| draft.resource.name.clone(), |(alias, _)| alias);
        let schema = match (layer, text("schema").or_else(|| text("target_schema"))) {
            (Some(layer), Some((schema, at))) if schema != layer => {
                let message = format!("`schema: {schema}` would move this model out of its layer `{layer}`");
                self.problems.push(Diagnostic::error("schema-in-layer", message).at(&at, "").help(
                    "a layer is a schema: remove `schema`, or move the file out of the layer's folder",
                ));
                layer.to_owned()
            }
            (Some(layer), _) => layer.to_owned(),
            (None, Some((schema, at))) => {
                if is_reserved(&schema) {
                    self.problems.push(
                        Diagnostic::error("schema-reserved", format!("`schema` cannot be `{schema}`"))
                            .at(&at, "")
                            .help("`_kiln` and `_kiln_data` hold kiln's own tables"),
                    );
                }
                schema
            }
            (None, None) => self.target.schema.clone(),
        };
        match materialized {
            Materialization::Append => Relation::new(schema, name),
            _ => Relation::new(format!("{}{schema}", self.target.schema_prefix), name),
        }
    }

    /// Properties whose model is not there are a slip of the pen more often than a plan.
    fn unmatched_properties(&mut self) {
        let names = |files: &'a [Resource]| -> BTreeSet<&'a str> {
            files.iter().map(|resource| resource.name.as_str()).collect()
        };
        let mut models = names(&self.project.files.models);
        models.extend(self.project.files.python.iter().map(String::as_str));
        let seeds = names(&self.project.files.seeds);
        let in_yaml = self.project.properties.snapshots.iter().map(|resource| resource.name.as_str());
        let snapshots = names(&self.project.files.snapshots).into_iter().chain(in_yaml).collect();
        for properties in &self.project.properties.nodes {
            let (names, what) = match properties.kind {
                NodeKind::Model => (&models, "model"),
                NodeKind::Seed => (&seeds, "seed"),
                NodeKind::Snapshot => (&snapshots, "snapshot"),
            };
            let written = properties.name.value.as_str();
            if names.contains(written) {
                continue;
            }
            let diagnostic =
                Diagnostic::warning("properties-unmatched", format!("there is no {what} `{written}`"))
                    .at(&properties.name.at, "these properties belong to nothing");
            let names = names.iter().copied();
            self.problems.push(match nearest(written, names) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help("add its file, or remove the properties"),
            });
        }
    }

    fn contracts(&mut self, contracts: BTreeMap<String, Located<Contract>>) {
        let package = self.manifest.project.clone();
        for (model, contract) in contracts {
            match self.lineup.node(&model, &package) {
                Some(id) => {
                    self.manifest.contracts.insert(id.clone(), contract.value);
                }
                None if self.lineup.knows(&model) => self.problems.push(
                    Diagnostic::error("contract-model", format!("`{model}` has a contract and is disabled"))
                        .at(&contract.at, "what is promised must be built"),
                ),
                None => self.problems.push(
                    Diagnostic::error(
                        "contract-model",
                        format!("there is no model `{model}` for this contract"),
                    )
                    .at(&contract.at, "")
                    .suggest(&model, self.lineup.node_names()),
                ),
            }
        }
    }
}
