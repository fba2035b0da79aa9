//! The diff of data on the terminal: how many rows came, went and changed, and some of them.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::diff::data::{Cell, DataDiff};
use crate::run::compare::{CompareState, Compared};

use super::terminal::{Paint, Terminal};
use super::words::{cell, counted, number};

/// All comparisons, one block each; those of one build on both sides in a line together.
pub fn text(terminal: &Terminal, all: &[Compared]) -> String {
    let mut text = String::new();
    let mut same = Vec::new();
    for compared in all {
        let name = terminal.paint(Paint::Bold, compared.node.short());
        let dash = terminal.signs.dash;
        match &compared.state {
            CompareState::SameBuild => same.push(compared.node.short()),
            CompareState::NotBuilt(why) => {
                let _ = writeln!(text, "{name} {dash} not built: {why}");
            }
            CompareState::Volatile(why) => {
                let _ = writeln!(
                    text,
                    "{name} {dash} not compared: {why}; a run compares what it builds, where `audit:` sets limits"
                );
            }
            CompareState::New { rows } => {
                let rows =
                    rows.map_or_else(String::new, |rows| format!(" with {}", counted(rows, "row", "rows")));
                let _ = writeln!(text, "{name} {dash} new{rows}: nothing is published to compare it with");
            }
            CompareState::NoSuchKey(missing) => {
                let missing = missing.join("`, `");
                let _ =
                    writeln!(text, "{name} {dash} not compared: it has no column `{missing}` on both sides");
            }
            CompareState::Rows(diff) => {
                let _ = writeln!(text, "{name} {dash} {}", head(terminal, diff));
                for broken in &compared.broken {
                    let _ = writeln!(text, "    {}", terminal.paint(Paint::Red, broken));
                }
                text += &body(terminal, diff);
            }
        }
    }
    if !same.is_empty() {
        let count = counted(same.len() as u64, "model has", "models have");
        let _ = writeln!(text, "{count} the build that is published");
    }
    text
}

/// `1,000 rows → 1,003: 5 added, 2 removed, 10 changed (by order_id)`.
fn head(terminal: &Terminal, diff: &DataDiff) -> String {
    let arrow = arrow(terminal);
    let rows = format!("{} {arrow} {}", counted(diff.before, "row", "rows"), number(diff.after));
    let part = |count: u64, word: &str, paint: Paint| {
        (count > 0).then(|| terminal.paint(paint, &format!("{} {word}", number(count))))
    };
    let parts: Vec<String> = [
        part(diff.added, "added", Paint::Green),
        part(diff.removed, "removed", Paint::Red),
        part(diff.changed, "changed", Paint::Yellow),
    ]
    .into_iter()
    .flatten()
    .collect();
    let parts = if parts.is_empty() { "no row differs".to_owned() } else { parts.join(", ") };
    let by = match diff.key.is_empty() {
        true => "compared by whole rows".to_owned(),
        false => format!("by {}", diff.key.join(", ")),
    };
    format!("{rows}: {parts} ({by})")
}

/// What is below the head: columns, and samples of rows.
pub fn body(terminal: &Terminal, diff: &DataDiff) -> String {
    let mut text = String::new();
    if let Some(not_unique) = &diff.not_unique {
        let key = not_unique.key.join(", ");
        let _ = writeln!(
            text,
            "    the key ({key}) is not unique: {} more than once before, {} after",
            counted(not_unique.before, "value", "values"),
            number(not_unique.after)
        );
        for (values, before, after) in &not_unique.values {
            let values: Vec<String> = values.iter().map(|value| cell(value.as_deref())).collect();
            let _ = writeln!(text, "      {} ({before} before, {after} after)", values.join(", "));
        }
    }
    for (columns, word) in [(&diff.columns_added, "came"), (&diff.columns_removed, "went")] {
        if !columns.is_empty() {
            let word =
                if columns.len() == 1 { format!("the column {word}") } else { format!("columns {word}") };
            let _ = writeln!(text, "    {word}: {}", columns.join(", "));
        }
    }
    if !diff.columns_retyped.is_empty() {
        let types = diff
            .columns_retyped
            .iter()
            .map(|(name, before, after)| format!("{name} {before} {} {after}", arrow(terminal)));
        let _ = writeln!(text, "    other types: {}", types.collect::<Vec<_>>().join(", "));
    }
    if !diff.columns.is_empty() {
        let counts: Vec<String> =
            diff.columns.iter().map(|(name, count)| format!("{name} {}", number(*count))).collect();
        let _ = writeln!(text, "    rows changed in {}", counts.join(", "));
    }
    let samples = &diff.samples;
    let arrow = arrow(terminal);
    for row in &samples.changed {
        let key = named(&diff.key, &row.key);
        let cells = row.cells.iter().map(|(name, before, after)| {
            let before = terminal.paint(Paint::Red, &cell(before.as_deref()));
            let after = terminal.paint(Paint::Green, &cell(after.as_deref()));
            format!("{name} {before} {arrow} {after}")
        });
        let _ = writeln!(
            text,
            "    {} {key}: {}",
            terminal.paint(Paint::Yellow, "~"),
            cells.collect::<Vec<_>>().join(", ")
        );
    }
    for row in &samples.removed {
        let _ =
            writeln!(text, "    {} {}", terminal.paint(Paint::Red, "-"), named(&samples.columns_before, row));
    }
    for row in &samples.added {
        let _ = writeln!(text, "    {} {}", terminal.paint(Paint::Green, "+"), named(&samples.columns, row));
    }
    if diff.key.is_empty() && diff.not_unique.is_none() && diff.added > 0 && diff.removed > 0 {
        text += "    without a key a row that changed went and came; name one to see what changed: `--key COLUMN,...`\n";
    }
    text
}

fn named(names: &[String], cells: &[Cell]) -> String {
    let cells = names.iter().zip(cells).map(|(name, value)| format!("{name}={}", cell(value.as_deref())));
    cells.collect::<Vec<_>>().join(" ")
}

fn arrow(terminal: &Terminal) -> &'static str {
    if terminal.signs.dot.is_ascii() { "->" } else { "→" }
}

/// A comparison as an object.
pub fn json(compared: &Compared) -> Value {
    let mut value = json!({"node": compared.node, "limits_passed": compared.broken});
    let (state, more) = match &compared.state {
        CompareState::SameBuild => ("same_build", Value::Null),
        CompareState::NotBuilt(why) => ("not_built", json!({"reason": why})),
        CompareState::Volatile(why) => ("volatile", json!({"reason": why})),
        CompareState::New { rows } => ("new", json!({"rows": rows})),
        CompareState::NoSuchKey(missing) => ("no_such_key", json!({"columns": missing})),
        CompareState::Rows(diff) => ("compared", rows(diff)),
    };
    value["state"] = json!(state);
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn rows(diff: &DataDiff) -> Value {
    let object = |names: &[String], cells: &[Cell]| -> Value {
        names
            .iter()
            .zip(cells)
            .map(|(name, cell)| (name.clone(), json!(cell)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let samples = &diff.samples;
    let changed = samples.changed.iter().map(|row| {
        let cells = row
            .cells
            .iter()
            .map(|(name, before, after)| json!({"column": name, "before": before, "after": after}));
        json!({"key": object(&diff.key, &row.key), "cells": cells.collect::<Vec<_>>()})
    });
    json!({
        "key": diff.key,
        "rows_before": diff.before, "rows_after": diff.after,
        "added": diff.added, "removed": diff.removed, "changed": diff.changed,
        "changed_by_column": diff.columns.iter().map(|(name, count)| json!({"column": name, "rows": count})).collect::<Vec<_>>(),
        "columns_added": diff.columns_added, "columns_removed": diff.columns_removed,
        "columns_retyped": diff.columns_retyped.iter().map(|(name, before, after)| json!({"column": name, "before": before, "after": after})).collect::<Vec<_>>(),
        "key_not_unique": diff.not_unique.as_ref().map(|found| json!({
            "key": found.key, "values_before": found.before, "values_after": found.after,
        })),
        "samples": {
            "added": samples.added.iter().map(|row| object(&samples.columns, row)).collect::<Vec<_>>(),
            "removed": samples.removed.iter().map(|row| object(&samples.columns_before, row)).collect::<Vec<_>>(),
            "changed": changed.collect::<Vec<_>>(),
        },
    })
}
