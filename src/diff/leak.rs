//! Leaks: values of a protected column in a column that is less protected.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::rank;
use super::ground::Ground;
use super::view::View;
use crate::error::Result;
use crate::names::NodeId;

/// A way from a protected column to one that is less so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leak {
    pub to: NodeId,
    pub to_column: String,
    pub to_class: String,
    pub from: NodeId,
    pub from_column: String,
    pub from_class: String,
}

/// All leaks of a side. A side without a classification costs nothing.
pub(super) fn leaks(view: &View, ground: &Ground<'_>) -> Result<BTreeSet<Leak>> {
    let mut found = BTreeSet::new();
    let class = |id: &NodeId, column: &str| -> Option<String> {
        view.models.get(id)?.promise.column(column)?.classification.clone()
    };
    let protected = view
        .models
        .values()
        .flat_map(|model| &model.promise.columns)
        .any(|column| column.classification.as_deref().is_some_and(|class| rank(Some(class)) > Some(0)));
    if !protected {
        return Ok(found);
    }
    let children = view.children();
    for (id, model) in &view.models {
        for column in &model.promise.columns {
            let Some(own) = column.classification.as_deref() else { continue };
            let Some(level) = rank(Some(own)).filter(|level| *level > 0) else { continue };
            if column.path.contains(['.', '[']) {
                continue;
            }
            let mut reached: BTreeMap<NodeId, BTreeSet<String>> = BTreeMap::new();
            let mut work = vec![(id.clone(), column.path.to_lowercase())];
            while let Some((at, name)) = work.pop() {
                for child in children.get(&at).into_iter().flatten().copied() {
                    for output in &ground.lineage(child)?.columns {
                        let takes = output.value.iter().any(|read| {
                            ground.owner(&read.table) == Some(&at) && read.column.eq_ignore_ascii_case(&name)
                        });
                        let output = output.output.to_lowercase();
                        if !takes || !reached.entry(child.clone()).or_default().insert(output.clone()) {
                            continue;
                        }
                        let given = class(child, &output);
                        let promised =
                            view.models[child].promise.column(&output).is_some_and(|c| c.is_promised);
                        if promised && rank(given.as_deref()).is_some_and(|given| given < level) {
                            found.insert(Leak {
                                to: child.clone(),
                                to_column: output.clone(),
                                to_class: given.clone().unwrap_or_else(|| "unclassified".into()),
                                from: id.clone(),
                                from_column: column.path.to_lowercase(),
                                from_class: own.to_owned(),
                            });
                        }
                        // A column with a class of its own answers for what is made of it.
                        if given.is_none() {
                            work.push((child.clone(), output));
                        }
                    }
                }
            }
        }
    }
    Ok(found)
}
