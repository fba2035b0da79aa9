//! Generic tests: found by name, their arguments made from YAML, called as macros.

use std::rc::Rc;

use minijinja::{Error, Value};

use super::callable::MacroRef;
use super::objects::from_json;
use super::objects::list::{Dict, List};
use super::objects::relation::TemplateRelation;
use super::renderer::{MAIN, PRELUDE, Renderer};
use super::rewrite::Rewriter;
use super::scope::root;
use super::session::{Answers, Phase, Session};
use super::{Parsed, Resolve, TestCall, TestSignature};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::sql::rendered::Rendered;
use crate::yaml::Object;

impl Renderer {
    /// What a generic test refers to beside the tested model.
    pub fn parse_test(&self, call: &TestCall) -> Result<Parsed, Diagnostics> {
        let index = self.find_test(call)?;
        let mut session =
            Session::new(&self.core, Phase::Parse, &call.package, &call.at.file, &Answers::default());
        session.fixed = Some(call.at.clone());
        let (session, _open) = session.open();
        self.enter(&session, index, call)
            .and_then(|()| self.call())
            .map_err(|error| self.core.diagnose(&session, &error, None))?;
        self.flush(&session);
        let mut parsed = session.parsed.take();
        parsed.asks_database |= self.core.library.asks(&self.core.library.macros[index].rewritten);
        Ok(parsed)
    }

    /// The SQL of a generic test: the rows that fail.
    pub fn test(&self, call: &TestCall, resolve: &dyn Resolve) -> Result<Rendered, Diagnostics> {
        let index = self.find_test(call)?;
        self.answer(resolve, &[], |answers| {
            let mut session = Session::new(&self.core, Phase::Render, &call.package, &call.at.file, answers);
            session.fixed = Some(call.at.clone());
            let (session, _open) = session.open();
            let result = self.enter(&session, index, call).and_then(|()| self.call());
            self.finish(&session, result, None)
        })
    }

    /// What a generic test takes: the project's own first, then Kiln's.
    pub fn test_signature(&self, package: &str, name: &str) -> Option<TestSignature> {
        let made = &self.core.library.macros[self.test_index(package, name)?];
        Some(TestSignature { params: made.params.clone(), open: made.takes_any(), at: made.at.clone() })
    }

    pub(super) fn test_index(&self, package: &str, name: &str) -> Option<usize> {
        let library = &self.core.library;
        let project = &self.core.context.project;
        match name.split_once('.') {
            Some((namespace, name)) => library.find(namespace, &format!("test_{name}")),
            None => {
                let name = format!("test_{name}");
                library.lookup(package, project, &name).or_else(|| library.internal(&name))
            }
        }
    }

    /// What the test's own `config()` says, `fail_calc` above all. Nothing where it has none, or does not render: that is
    /// told when it is rendered for keeps.
    pub fn test_config(&self, call: &TestCall) -> Object {
        let found = self.test_index(&call.package, &call.name);
        let configures = |index: usize| self.core.library.macros[index].at.file.text.contains("config(");
        match found.filter(|index| configures(*index)) {
            Some(_) => self.parse_test(call).map(|parsed| parsed.config).unwrap_or_default(),
            None => Object::new(),
        }
    }

    /// The generic tests that a package sees, as they are written there.
    pub fn test_names(&self, package: &str) -> Vec<String> {
        let library = &self.core.library;
        let mut names = Vec::new();
        for owner in library.packages() {
            let bare = *owner == *package || *owner == *self.core.context.project || owner == "dbt";
            for name in library.names(owner) {
                let Some(name) = name.strip_prefix("test_") else { continue };
                names.push(if bare { name.to_owned() } else { format!("{owner}.{name}") });
            }
        }
        names.sort();
        names
    }

    fn find_test(&self, call: &TestCall) -> Result<usize, Diagnostics> {
        self.test_index(&call.package, &call.name).ok_or_else(|| {
            let diagnostic =
                Diagnostic::error("template-unknown", format!("there is no test `{}`", call.name));
            let names = self.test_names(&call.package);
            diagnostic.at(&call.at, "").suggest(&call.name, names.iter().map(String::as_str)).into()
        })
    }

    /// Makes a test's arguments and readies its call.
    fn enter(&self, session: &Rc<Session>, index: usize, call: &TestCall) -> Result<(), Error> {
        let (node, relation) = &call.model;
        let model = TemplateRelation::of(node.clone(), relation.clone());
        session.set_this(model.clone());
        let model = match &call.where_clause {
            Some(condition) => {
                let condition = self.value(session, condition)?.to_string();
                Value::from(format!("(select * from {model} where {condition}) dbt_subquery"))
            }
            None => model,
        };
        let mut named = vec![("model".to_owned(), model)];
        if let Some(column) = &call.column {
            named.push(("column_name".to_owned(), Value::from(column.as_str())));
        }
        for (name, value) in &call.args {
            named.push((name.clone(), self.argument(session, value)?));
        }
        let kwargs: minijinja::value::Kwargs = named.into_iter().collect();
        *session.entry.borrow_mut() = Some((MacroRef::value(index), vec![kwargs.into()]));
        Ok(())
    }

    fn argument(&self, session: &Session, value: &serde_json::Value) -> Result<Value, Error> {
        Ok(match value {
            serde_json::Value::String(text) => self.value(session, text)?,
            serde_json::Value::Array(items) => {
                let items =
                    items.iter().map(|item| self.argument(session, item)).collect::<Result<_, Error>>()?;
                List::value(items)
            }
            serde_json::Value::Object(object) => {
                let entry = |(key, value): (&String, &serde_json::Value)| {
                    Ok((Value::from(key.as_str()), self.argument(session, value)?))
                };
                Dict::value(object.iter().map(entry).collect::<Result<_, Error>>()?)
            }
            other => from_json(other),
        })
    }

    /// The value of a text that may be Jinja: of `{{ … }}` alone and of a call such as `ref('x')` the value itself.
    fn value(&self, session: &Session, text: &str) -> Result<Value, Error> {
        let trimmed = text.trim();
        let is_call = ["ref", "source", "var", "env_var", "doc"].iter().any(|name| {
            let rest = trimmed.strip_prefix(name).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with('(') && rest.ends_with(')'))
        });
        let bare = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let bare = bare.filter(|inner| !inner.contains("{{") && !inner.contains("}}"));
        let expression = match (is_call, bare) {
            (true, _) => trimmed,
            (false, Some(inner)) => inner.trim_matches('-'),
            (false, None) => {
                if !text.contains("{{") && !text.contains("{%") {
                    return Ok(Value::from(text));
                }
                let mut rewriter = Rewriter::new(text, 0);
                rewriter.insert(PRELUDE);
                rewriter.body(0..text.len());
                let rendered = self.env.render_named_str(MAIN, &rewriter.finish().text, root())?;
                return session.keep(&rendered);
            }
        };
        let mut rewriter = Rewriter::new(expression, 0);
        rewriter.insert(PRELUDE);
        rewriter.insert("{% do kiln_result(");
        rewriter.expression(0..expression.len());
        rewriter.insert(") %}");
        self.env.render_named_str(MAIN, &rewriter.finish().text, root())?;
        Ok(session.results.borrow_mut().remove("kiln_result").unwrap_or_default())
    }
}
