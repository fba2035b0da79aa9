//! The other form of an incremental model: with `is_incremental()` true it is bound against its own columns, so that a
//! mistake there is found before the second run.

use crate::diagnostic::{Diagnostic, Location};
use crate::engine::explain::{explain, parents};
use crate::engine::increment::shape::{Difference, find};
use crate::engine::session::ColumnType;
use crate::error::Result;
use crate::interval;
use crate::manifest::{Incremental, Node, ShapeChange, Strategy, Updates};
use crate::run::candidate::{Reading, bind};
use crate::run::increment::{no_such_expression, no_such_key};
use crate::sql::quote::identifier;
use crate::template::Form;

use super::Compiler;
use super::names::CompileNames;
use super::verdict::{Verdict, judge};

impl Compiler<'_> {
    /// Checks what incremental models say of their columns, and binds their other forms.
    pub(super) fn check_increments(&mut self) -> Result<()> {
        let workspace = self.ground.workspace;
        for node in workspace.manifest.nodes.values() {
            let Some(config) = &node.config.incremental else { continue };
            let Some(shape) = self.ground.shape(&node.id) else { continue };
            self.check_named(node, config, &shape.columns);
            self.check_delta(node, config, &shape.columns)?;
        }
        Ok(())
    }

    fn check_delta(&mut self, node: &Node, config: &Incremental, columns: &[ColumnType]) -> Result<()> {
        let form = match &config.strategy {
            Strategy::Interval(interval) => Form::DeltaWindow(interval::first(interval)),
            _ => Form::Delta,
        };
        let names = CompileNames::new(&self.ground, &self.ground.aside, self.shadow(), None);
        let rendered = self.ground.workspace.render_form(node, &form, &names);
        let needs = names.needs();
        let rendered = match rendered {
            Ok(rendered) => rendered,
            // What only a run can answer is bound by a run.
            Err(_) if needs.is_some() => return Ok(()),
            Err(problems) => {
                self.diagnostics.extend(problems);
                return Ok(());
            }
        };
        if self.nodes.get(&node.id).is_some_and(|whole| whole.rendered.sql == rendered.sql) {
            return Ok(());
        }
        let bound = bind(&rendered, &self.ground.aside, Reading::Now);
        self.ground.stand_read(self.shadow(), &rendered)?;
        match self.ground.describe(self.shadow(), &bound.sql) {
            Ok(found) => self.check_shape(node, config, columns, &found),
            Err(error) if matches!(judge(&error, self.ground.workspace.root()), Verdict::Wrong) => {
                let offset = error.position.and_then(|(at, length)| Some((bound.to_rendered(at)?, length)));
                let parents = parents(&rendered, |id| self.ground.column_names(id));
                let lead = format!("`{}`, where it is incremental", node.name);
                let found = explain(&lead, &error, offset, &rendered, &node.file, &parents);
                self.diagnostics.push(found);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Columns that the configuration names.
    fn check_named(&mut self, node: &Node, config: &Incremental, columns: &[ColumnType]) {
        let unknown = |name: &&String| find(columns, name).is_none();
        for key in config.unique_key.iter().filter(unknown) {
            self.diagnostics.push(no_such_key(node, key, columns));
        }
        if let Some(key) = &config.computed_key {
            let typed = columns
                .iter()
                .map(|column| format!("CAST(NULL AS {}) AS {}", column.data_type, identifier(&column.name)));
            let typed: Vec<String> = typed.collect();
            let sql = format!("SELECT (\n{key}\n) FROM (SELECT {})", typed.join(", "));
            if let Err(error) = self.ground.describe(self.shadow(), &sql)
                && matches!(judge(&error, self.ground.workspace.root()), Verdict::Wrong)
            {
                self.diagnostics.push(no_such_expression(node, key, &error));
            }
        }
        let merged = match &config.updates {
            Updates::All => &[][..],
            Updates::Only(names) | Updates::Except(names) => names,
        };
        let time = match &config.strategy {
            Strategy::Interval(interval) => std::slice::from_ref(&interval.event_time),
            _ => &[][..],
        };
        for name in merged.iter().chain(time).filter(unknown) {
            let message = format!("`{name}` is not a column of `{}`", node.name);
            self.diagnostics.push(
                Diagnostic::error("incremental-column", message)
                    .at(&place(node, name), "")
                    .suggest(name, columns.iter().map(|column| column.name.as_str())),
            );
        }
    }

    fn check_shape(&mut self, node: &Node, config: &Incremental, whole: &[ColumnType], delta: &[ColumnType]) {
        let difference = Difference::between(whole, delta);
        let stops = match config.on_schema_change {
            ShapeChange::Fail => !difference.is_empty(),
            ShapeChange::Ignore => !difference.missing.is_empty() && config.strategy != Strategy::Merge,
            ShapeChange::Append | ShapeChange::Sync => false,
        };
        if stops {
            let message = format!("`{}` has other columns where it is incremental: {difference}", node.name);
            self.diagnostics.push(
                Diagnostic::error("schema-change", message).at(&place(node, "is_incremental"), "").help(
                    "give the same columns in both forms, or write `on_schema_change='append_new_columns'`",
                ),
            );
        }
    }
}

/// Where a template says something, else where the model is described.
fn place(node: &Node, text: &str) -> Location {
    match node.file.text.find(text) {
        Some(at) => Location::new(&node.file, at..at + text.len()),
        None => node.at.clone(),
    }
}
