//! Memory: what earlier compiles had bound, each model and test under a hash of everything that it follows from. Who has
//! the same hash has the same answer, so a memory is never wrong, only useless.
//!
//! A model is remembered only if it was good: mistakes are found again each time, at the places where they are now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cache;
use crate::engine::session::ColumnType;
use crate::names::{Fingerprint, Relation};
use crate::sql::lineage::{ColumnLineage, Lineage, TableColumn};

/// What an earlier compile had bound.
#[derive(Debug, Default)]
pub struct Memory {
    /// What all of it follows from: DuckDB, its settings.
    base: String,
    text: String,
    /// Models by what they followed from, as places in the text.
    models: HashMap<String, Range<usize>>,
    /// Tests and queries that can be bound.
    binds: HashSet<String>,
}

/// What this compile had bound, for the next.
#[derive(Debug, Default)]
pub struct Notes {
    models: BTreeMap<String, String>,
    binds: BTreeSet<String>,
}

impl Memory {
    /// Reads what a cache holds; nothing if there is none.
    pub fn read(cache: &Cache) -> Self {
        let mut memory = Self { text: cache.rest().unwrap_or_default(), ..Self::default() };
        let mut start = 0;
        for line in memory.text.split_inclusive('\n') {
            let place = start..start + line.len();
            start = place.end;
            match line.trim_end().split_once(' ') {
                Some(("base", hash)) => memory.base = hash.to_owned(),
                Some(("binds", hash)) => {
                    memory.binds.insert(hash.to_owned());
                }
                Some(("model", rest)) => {
                    let hash = rest.split(' ').next().unwrap_or_default();
                    memory.models.insert(hash.to_owned(), place);
                }
                _ => {}
            }
        }
        memory
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.binds.is_empty()
    }

    /// Whether it was written under the same conditions.
    pub fn is_for(&self, base: &Fingerprint) -> bool {
        self.base == base.as_str()
    }

    /// The columns and the lineage of a model that followed from the same.
    pub fn model(&self, key: &Fingerprint) -> Option<(Vec<ColumnType>, Lineage)> {
        let line = self.text.get(self.models.get(key.as_str())?.clone())?;
        let json = line.splitn(3, ' ').nth(2)?;
        Some(serde_json::from_str::<Entry>(json).ok()?.restore())
    }

    /// Whether a test or query that followed from the same could be bound.
    pub fn binds(&self, key: &Fingerprint) -> bool {
        self.binds.contains(key.as_str())
    }
}

impl Notes {
    /// What this compile and another one of the same conditions had bound.
    pub fn with(mut self, other: &Self) -> Self {
        self.models.extend(other.models.iter().map(|(key, text)| (key.clone(), text.clone())));
        self.binds.extend(other.binds.iter().cloned());
        self
    }

    /// Notes a good model. What is remembered already is taken over as it stands.
    pub fn model(
        &mut self,
        key: &Fingerprint,
        columns: &[ColumnType],
        lineage: &Lineage,
        memory: Option<&Memory>,
    ) {
        let known = memory.and_then(|memory| memory.text.get(memory.models.get(key.as_str())?.clone()));
        let line = match known {
            Some(line) => line.to_owned(),
            None => {
                let Ok(json) = serde_json::to_string(&Entry::of(columns, lineage)) else { return };
                format!("model {key} {json}\n")
            }
        };
        self.models.insert(key.as_str().to_owned(), line);
    }

    /// Notes a test or query that can be bound.
    pub fn binds(&mut self, key: &Fingerprint) {
        self.binds.insert(key.as_str().to_owned());
    }

    /// All of it as text, for the cache.
    pub fn text(&self, base: &Fingerprint) -> String {
        let binds = self.binds.iter().map(|hash| format!("binds {hash}\n"));
        let head = std::iter::once(format!("base {base}\n")).chain(binds);
        let mut text: String = head.collect();
        self.models.values().for_each(|line| text.push_str(line));
        text
    }
}

/// A model in the cache: every table and column once, by number from then on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Entry {
    columns: Vec<(String, String)>,
    tables: Vec<(String, String)>,
    cells: Vec<(usize, String)>,
    outputs: Vec<(String, Vec<usize>, Vec<usize>, bool)>,
    rows: Vec<usize>,
    read: Vec<usize>,
    reasons: Vec<String>,
}

impl Entry {
    fn of(columns: &[ColumnType], lineage: &Lineage) -> Self {
        let outputs = || lineage.columns.iter();
        let cells = outputs().flat_map(|output| output.value.iter().chain(&output.influence));
        let cells: BTreeSet<&TableColumn> = cells.chain(&lineage.rows).collect();
        let tables: BTreeSet<&Relation> =
            cells.iter().map(|cell| cell.table.as_ref()).chain(&lineage.tables).collect();
        let table_numbers: HashMap<&Relation, usize> = tables.iter().copied().zip(0..).collect();
        let cell_numbers: HashMap<&TableColumn, usize> = cells.iter().copied().zip(0..).collect();
        let numbers =
            |set: &BTreeSet<TableColumn>| set.iter().map(|cell| cell_numbers[cell]).collect::<Vec<_>>();
        Self {
            columns: columns.iter().map(|c| (c.name.clone(), c.data_type.clone())).collect(),
            tables: tables.iter().map(|table| (table.schema.clone(), table.name.clone())).collect(),
            cells: cells
                .iter()
                .map(|cell| (table_numbers[cell.table.as_ref()], cell.column.clone()))
                .collect(),
            outputs: outputs()
                .map(|o| (o.output.clone(), numbers(&o.value), numbers(&o.influence), o.unknown))
                .collect(),
            rows: numbers(&lineage.rows),
            read: lineage.tables.iter().map(|table| table_numbers[table]).collect(),
            reasons: lineage.reasons.iter().cloned().collect(),
        }
    }

    fn restore(self) -> (Vec<ColumnType>, Lineage) {
        let columns = self.columns.into_iter().map(|(name, data_type)| ColumnType { name, data_type });
        let tables: Vec<Arc<Relation>> =
            self.tables.into_iter().map(|(schema, name)| Arc::new(Relation::new(schema, name))).collect();
        // Numbers are those of what was written: the file's hash says so.
        let cells: Vec<TableColumn> = self
            .cells
            .into_iter()
            .filter_map(|(table, column)| Some(TableColumn { table: tables.get(table)?.clone(), column }))
            .collect();
        let set = |numbers: Vec<usize>| numbers.into_iter().filter_map(|at| cells.get(at).cloned()).collect();
        let output = |(output, value, influence, unknown)| ColumnLineage {
            output,
            value: set(value),
            influence: set(influence),
            unknown,
        };
        let lineage = Lineage {
            columns: self.outputs.into_iter().map(output).collect(),
            rows: set(self.rows),
            tables: self.read.into_iter().filter_map(|at| Some(tables.get(at)?.as_ref().clone())).collect(),
            reasons: self.reasons.into_iter().collect(),
        };
        (columns.collect(), lineage)
    }
}
