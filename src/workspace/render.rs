//! Rendering: models in each of their forms, and tests, as SQL with slots.

use std::sync::Arc;

use serde_json::Value;

use super::Workspace;
use crate::check;
use crate::contract;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::interval;
use crate::manifest::{Node, Object, Snapshot, SnapshotStrategy, Strategy, Test, TestKind};
use crate::names::{NodeId, Relation};
use crate::sql::history::{self, Checked};
use crate::sql::rendered::{Rendered, Slot};
use crate::template::{Form, Overrides, Resolve, Template, TestCall};

impl Workspace {
    /// Renders a model in the form that says what it is: all of its rows; of one that is built by intervals the first
    /// interval, since every run has others.
    ///
    /// # Errors
    /// The template is broken, or what it asks has no answer.
    pub fn render(&self, node: &Node, names: &dyn Resolve) -> Result<Rendered, Diagnostics> {
        let form = match node.config.incremental.as_ref().map(|config| &config.strategy) {
            Some(Strategy::Interval(interval)) => Form::WholeWindow(interval::first(interval)),
            _ => Form::Whole,
        };
        self.render_form(node, &form, names)
    }

    /// Renders a model for the rows that `form` asks for.
    ///
    /// # Errors
    /// As for [`Workspace::render`].
    pub fn render_form(
        &self,
        node: &Node,
        form: &Form,
        names: &dyn Resolve,
    ) -> Result<Rendered, Diagnostics> {
        let rendered = self.rendered(node, (form, None), names)?;
        match &node.config.snapshot {
            Some(snapshot) => with_history(node, snapshot, form, &rendered, names),
            None => Ok(rendered),
        }
    }

    /// Renders a model with what a unit test says in the place of what there is.
    ///
    /// # Errors
    /// The template is broken, or what it asks has no answer.
    pub fn render_with(
        &self,
        node: &Node,
        names: &dyn Resolve,
        overrides: &Arc<Overrides>,
    ) -> Result<Rendered, Diagnostics> {
        let form = match overrides.macros.get("is_incremental") {
            Some(Value::Bool(true)) => Form::Delta,
            _ => Form::Whole,
        };
        let rendered = self.rendered(node, (&form, Some(overrides)), names)?;
        Ok(match &node.config.snapshot {
            Some(snapshot) => history::whole(&rendered, snapshot),
            None => rendered,
        })
    }

    /// A model's own query, before anything is made of it.
    fn rendered(
        &self,
        node: &Node,
        how: (&Form, Option<&Arc<Overrides>>),
        names: &dyn Resolve,
    ) -> Result<Rendered, Diagnostics> {
        let template = Template {
            id: node.id.clone(),
            package: node.package.clone(),
            name: node.name.clone(),
            file: Arc::clone(&node.file),
        };
        let this = Some((node.id.clone(), node.relation.clone()));
        self.renderer.render_with(&template, this, &node.config.all, how, names)
    }

    /// Renders a test to the query whose rows fail.
    ///
    /// # Errors
    /// The test's template is broken, or an argument is.
    pub fn render_test(&self, test: &Test, names: &dyn Resolve) -> Result<Rendered, Diagnostics> {
        let tested = || {
            let id = test.node.as_ref()?;
            let node = self.manifest.nodes.get(id).map(|node| &node.relation);
            let relation = node.or_else(|| self.manifest.sources.get(id).map(|source| &source.relation))?;
            Some((id.clone(), relation.clone()))
        };
        let package = self.manifest.project.clone();
        match &test.kind {
            TestKind::Singular { file } => {
                let template = Template {
                    id: test.id.clone(),
                    package,
                    name: test.name.clone(),
                    file: Arc::clone(file),
                };
                self.renderer.render(&template, None, &Object::new(), names)
            }
            TestKind::Generic { name, args } => {
                let model = tested().ok_or_else(|| no_model(test))?;
                let call = TestCall {
                    package,
                    name: name.clone(),
                    model,
                    where_clause: test.config.where_clause.clone(),
                    column: test.column.clone(),
                    args: args.clone(),
                    at: test.at.clone(),
                };
                self.renderer.test(&call, names)
            }
            TestKind::Contract(rule) => {
                let (node, relation) = tested().ok_or_else(|| no_model(test))?;
                Ok(self.render_rule(rule, &node, &relation, test))
            }
        }
    }

    /// A contract's rule as rendered SQL: the tested relation and others become slots.
    fn render_rule(
        &self,
        rule: &contract::Rule,
        node: &NodeId,
        relation: &Relation,
        test: &Test,
    ) -> Rendered {
        // A character of the private use area that no rule can hold stands for a slot until the text is complete.
        const MARK: char = '\u{F8FF}';
        let mut slots: Vec<(NodeId, String)> = vec![(node.clone(), relation.to_string())];
        let tested = check::query::tested_relation(&format!("{MARK}0{MARK}"), &test.config);
        let other = |id: &NodeId| {
            let name = self.manifest.nodes.get(id).map(|node| node.relation.to_string()).unwrap_or_default();
            slots.push((id.clone(), name));
            format!("{MARK}{}{MARK}", slots.len() - 1)
        };
        let text = rule.sql(&tested, other, contract::NOW);
        let mut rendered = Rendered::default();
        for (at, part) in text.split(MARK).enumerate() {
            match part.parse::<usize>().ok().and_then(|index| slots.get(index)).filter(|_| at % 2 == 1) {
                Some((node, name)) => {
                    let start = rendered.sql.len();
                    rendered.sql.push_str(name);
                    rendered.slots.push(Slot { range: start..rendered.sql.len(), node: node.clone() });
                }
                None => rendered.sql.push_str(part),
            }
        }
        rendered
    }
}

/// The SQL of a snapshot around its query.
fn with_history(
    node: &Node,
    snapshot: &Snapshot,
    form: &Form,
    query: &Rendered,
    names: &dyn Resolve,
) -> Result<Rendered, Diagnostics> {
    if !form.is_incremental() {
        return Ok(history::whole(query, snapshot));
    }
    let SnapshotStrategy::Check { columns, .. } = &snapshot.strategy else {
        let checked = Checked::Columns(Vec::new());
        return Ok(history::later(query, snapshot, (&node.id, &node.relation), &checked));
    };
    let failed = |message: String| {
        let message = format!("what `{}` checks cannot be found out: {message}", node.name);
        Diagnostics::from(Diagnostic::error("snapshot-check", message).at(&node.at, ""))
    };
    let there = names.columns(&node.id, &node.relation).map_err(failed)?;
    let wanted = match columns.is_empty() {
        true => names.query(&history::columns_of(query)).map_err(failed)?.columns,
        false => columns.clone(),
    };
    let is_there = |name: &String| there.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let checked = match wanted.iter().all(is_there) {
        true => Checked::Columns(wanted),
        false => Checked::Everything,
    };
    Ok(history::later(query, snapshot, (&node.id, &node.relation), &checked))
}

fn no_model(test: &Test) -> Diagnostics {
    Diagnostic::error("test-model", format!("`{}` tests nothing that exists", test.name))
        .at(&test.at, "")
        .into()
}
