//! The page of a source table: what was loaded, how fresh it is, and what did not fit.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{bytes, column, common, grouped, links, test};
use crate::docs::facts::{Facts, NodeFacts, Thing};
use crate::docs::site::{Hide, Samples};
use crate::docs::status::{age, newest_data, words};
use crate::engine::load::Note;
use crate::manifest::{FileFormat, FileSource, Freshness, OnBadRows, OnSchemaChange};
use crate::run::freshness::words as limit;

/// Objects that a page lists at most.
const LISTED: usize = 200;

pub(super) fn content(facts: &Facts<'_>, hide: &Hide, number: u32, node: &NodeFacts<'_>) -> Value {
    let Thing::Source(source) = node.thing else { return json!({}) };
    let loads = facts.loads(source);
    let note = |note: &Note| match note {
        Note::Quarantined { rows, .. } if hide.samples == Samples::Hide => format!("{rows} rows quarantined"),
        note => facts.masked(&note.to_string()),
    };
    let objects: Vec<Value> = loads
        .iter()
        .take(LISTED)
        .map(|load| {
            json!({
                "object": facts.masked(&load.object),
                "at": load.at,
                "rows": grouped(load.rows),
                "rejected": (load.rejected > 0).then(|| grouped(load.rejected)),
                "size": bytes(load.size),
                "again": load.again,
                "notes": load.notes.iter().map(note).collect::<Vec<_>>(),
            })
        })
        .collect();
    let drift: Vec<Value> = loads
        .iter()
        .flat_map(|load| load.notes.iter().map(move |note| (load, note)))
        .filter(|(_, note)| is_drift(note))
        .take(LISTED)
        .map(
            |(load, found)| json!({"at": load.at, "object": facts.masked(&load.object), "note": note(found)}),
        )
        .collect();
    let newest = newest_data(facts, source);
    let total = |of: fn(&crate::docs::state::LoadRow) -> u64| loads.iter().map(of).sum::<u64>();
    let into: BTreeMap<&str, u32> =
        node.children.iter().map(|child| (facts.node(*child).name.as_str(), *child)).collect();
    let landed: Vec<u32> =
        into.into_values().filter(|child| facts.node(*child).made_as() == "append").collect();
    let mut content = common(facts, number, node);
    content["columns"] = column::columns(facts, number, node);
    content["tests"] = json!(test::tests(facts, hide, node));
    content["files"] = json!(source.files.as_ref().map(|files| about_files(facts, files)));
    content["relation"] = json!(source.files.is_none().then(|| facts.masked(&source.relation.plain())));
    content["freshness"] = json!({
        "promise": source.freshness.map(promise),
        "newest": newest,
        "age": newest.as_ref().and_then(|newest| age(facts, newest)).map(words),
        "field": source.loaded_at_field.as_ref().map(|field| facts.masked(field)),
    });
    content["loads"] = json!({
        "objects": objects,
        "count": grouped(loads.len() as u64),
        "more": loads.len().saturating_sub(LISTED),
        "rows": grouped(total(|load| load.rows)),
        "rejected": grouped(total(|load| load.rejected)),
        "size": bytes(total(|load| load.size)),
    });
    content["drift"] = json!(drift);
    content["landed"] = json!(links(facts, &landed));
    content["rejects"] = json!(rejects(facts, hide, node));
    content
}

fn is_drift(note: &Note) -> bool {
    matches!(note, Note::NewColumn { .. } | Note::IgnoredColumns { .. } | Note::MissingColumns { .. })
}

fn promise(freshness: Freshness) -> Value {
    json!({"warn": freshness.warn_after.map(limit), "error": freshness.error_after.map(limit)})
}

fn about_files(facts: &Facts<'_>, files: &FileSource) -> Value {
    let root = facts.workspace.root().to_string_lossy();
    // A source may be declared outside of the project: where on this machine is nobody's business.
    let patterns: Vec<String> = files
        .patterns
        .iter()
        .map(|pattern| facts.masked(&pattern.value.replace(&*root, ".")))
        .map(|pattern| match pattern.starts_with('/') {
            true => format!("…/{}", pattern.rsplit('/').next().unwrap_or_default()),
            false => pattern,
        })
        .collect();
    json!({
        "patterns": patterns,
        "format": match files.format {
            FileFormat::Csv => "CSV",
            FileFormat::Json => "JSON",
            FileFormat::NdJson => "JSON lines",
            FileFormat::Parquet => "Parquet",
        },
        "on_schema_change": match files.on_schema_change {
            OnSchemaChange::Evolve => "evolve",
            OnSchemaChange::Warn => "warn",
            OnSchemaChange::Fail => "fail",
        },
        "on_bad_rows": match files.on_bad_rows {
            OnBadRows::Quarantine => "quarantine",
            OnBadRows::Fail => "fail",
        },
    })
}

/// Why rows did not fit: each reason with how often, and a row of it where rows may be shown.
fn rejects(facts: &Facts<'_>, hide: &Hide, node: &NodeFacts<'_>) -> Vec<Value> {
    let rows = facts.memory.rejects.get(node.id.as_str()).map_or(&[][..], Vec::as_slice);
    rows.iter()
        .map(|reject| {
            let shown = hide.samples == Samples::Show;
            json!({
                "column": reject.column.as_ref().map(|column| facts.masked(column)),
                "reason": shown.then(|| facts.masked(&reject.reason)),
                "count": grouped(reject.count),
                "object": facts.masked(&reject.object),
                "line": reject.line,
                "raw": shown.then(|| facts.masked(&reject.raw)),
            })
        })
        .collect()
}
