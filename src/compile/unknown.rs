//! Unknown: what could not be checked, said once for each cause.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Location};
use crate::names::NodeId;
use crate::words::listed;

use super::{Cause, Compiler, State};

impl Compiler<'_> {
    /// One note for each cause: what is not checked because of it.
    pub(super) fn tell_unknown(&mut self) {
        let mut by_root: BTreeMap<NodeId, (Option<String>, BTreeSet<NodeId>)> = BTreeMap::new();
        for (id, state) in &self.ground.known().states {
            let State::Unknown(Cause { root, reason }) = state else { continue };
            let entry = by_root.entry(root.clone()).or_insert_with(|| (reason.clone(), BTreeSet::new()));
            if id != root {
                entry.1.insert(id.clone());
            }
        }
        for (root, (reason, mut dependents)) in by_root {
            let manifest = &self.ground.workspace.manifest;
            let is_model = manifest.nodes.contains_key(&root);
            let at = match (manifest.nodes.get(&root), manifest.sources.get(&root)) {
                (Some(node), _) => Location::new(&node.file, 0..0),
                (_, Some(source)) => source.at.clone(),
                _ => continue,
            };
            dependents.retain(|id| manifest.nodes.contains_key(id) && self.is_told(id));
            if dependents.is_empty() && !self.is_told(&root) {
                continue;
            }
            let names: Vec<String> = dependents.iter().map(|id| format!("`{}`", id.short())).collect();
            let listed = listed(&names, 8);
            let (code, message) = match (&reason, dependents.len()) {
                (None, 0) => continue,
                (None, _) => {
                    ("not-checked", format!("not checked, because `{}` has errors: {listed}", root.short()))
                }
                // A source that nothing reads is nobody's loss.
                (Some(_), 0) if !is_model || self.warned.contains(&root) => continue,
                (Some(reason), 0) => {
                    ("unknown-columns", format!("the columns of `{}` are not known: {reason}", root.short()))
                }
                (Some(reason), _) => (
                    "unknown-columns",
                    format!(
                        "the columns of `{}` are not known: {reason}; so not checked: {listed}",
                        root.short()
                    ),
                ),
            };
            let mut note = Diagnostic::note(code, message).at(&at, "");
            if !is_model && reason.is_some() {
                let database = self.ground.workspace.target.path.display();
                note = note.help(format!(
                    "declare its `columns`, each with a `data_type`; those of a table in `{database}` are read there"
                ));
            }
            self.diagnostics.push(note);
        }
    }
}
