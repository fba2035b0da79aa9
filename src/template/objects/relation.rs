//! A relation in a template: what `ref`, `source` and `this` give. Written, it becomes its quoted name between marks.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use crate::names::{NodeId, Relation};
use crate::sql::quote::identifier;
use crate::template::errors::Args;
use crate::template::marker;
use crate::template::session::session;

/// Which parts of the name are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    database: Option<bool>,
    schema: bool,
    identifier: bool,
    quoted: bool,
}

/// A relation, of a node of the project or made by hand with `api.Relation.create`.
#[derive(Debug, Clone)]
pub(in crate::template) struct TemplateRelation {
    /// Its number among the marks of this render; a relation made by hand has none.
    pub mark: Option<usize>,
    pub node: Option<NodeId>,
    pub relation: Relation,
    database: String,
    kind: Option<String>,
    shown: Shown,
}

const ALL: Shown = Shown { database: None, schema: true, identifier: true, quoted: true };

impl TemplateRelation {
    /// The relation of a node, as a value.
    pub fn of(node: NodeId, relation: Relation) -> Value {
        let session = session();
        let mark = Some(session.mark(&node));
        let database = session.core.context.target.database.clone();
        Value::from_object(Self { mark, node: Some(node), relation, database, kind: None, shown: ALL })
    }

    /// A relation that is not of the project.
    pub fn by_hand(database: String, schema: String, name: String, kind: Option<String>) -> Value {
        let relation = Relation::new(schema, name);
        Value::from_object(Self { mark: None, node: None, relation, database, kind, shown: ALL })
    }

    /// The name without marks.
    pub fn plain(&self) -> String {
        let quote = |name: &str| if self.shown.quoted { identifier(name) } else { name.to_owned() };
        let mut parts = Vec::with_capacity(3);
        if self.shown.database == Some(true) && !self.database.is_empty() {
            parts.push(quote(&self.database));
        }
        if self.shown.schema && !self.relation.schema.is_empty() {
            parts.push(quote(&self.relation.schema));
        }
        if self.shown.identifier && !self.relation.name.is_empty() {
            parts.push(quote(&self.relation.name));
        }
        parts.join(".")
    }

    /// The name with its marks, where it stands for the whole relation.
    pub fn marked(&self) -> String {
        match self.mark {
            // a part of the name is only a text: it does not stand for the relation
            Some(mark) if self.shown.schema && self.shown.identifier => marker::relation(mark, &self.plain()),
            _ => self.plain(),
        }
    }
}

fn flag(args: &Args, name: &str, old: bool) -> bool {
    args.named_value(name).map_or(old, |value| value.is_true())
}

impl Object for TemplateRelation {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "database" => Value::from(self.database.as_str()),
            "schema" => Value::from(self.relation.schema.as_str()),
            "identifier" | "name" | "table" | "alias" => Value::from(self.relation.name.as_str()),
            "type" => self.kind.as_deref().map_or(Value::from(()), Value::from),
            "is_table" => Value::from(self.kind.as_deref() == Some("table")),
            "is_view" => Value::from(self.kind.as_deref() == Some("view")),
            "is_cte" => Value::from(self.kind.as_deref() == Some("cte")),
            _ => return None,
        })
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let args = Args::new(args);
        let mut other = (**self).clone();
        match method {
            "render" => return Ok(Value::from(self.marked())),
            "include" => {
                // dbt: a part that is not named stays as it was
                other.shown.database =
                    args.named_value("database").map(|v| v.is_true()).or(self.shown.database);
                other.shown.schema = flag(&args, "schema", self.shown.schema);
                other.shown.identifier = flag(&args, "identifier", self.shown.identifier);
            }
            "without_identifier" => other.shown.identifier = false,
            "quote" => {
                let off = ["schema", "identifier"].iter().any(|name| !flag(&args, name, true));
                other.shown.quoted = !off;
            }
            "incorporate" | "replace_path" => {
                let path = args.named_value("path").unwrap_or_default();
                let part = |name: &str| {
                    args.named_value(name)
                        .or_else(|| path.get_attr(name).ok().filter(|value| !value.is_undefined()))
                        .filter(|value| !value.is_none())
                        .map(|value| value.to_string())
                };
                if let Some(name) = part("identifier") {
                    other.relation.name = name;
                }
                if let Some(schema) = part("schema") {
                    other.relation.schema = schema;
                }
                if let Some(database) = part("database") {
                    other.database = database;
                }
                if let Some(kind) = part("type") {
                    other.kind = Some(kind);
                }
                if other.relation != self.relation {
                    (other.mark, other.node) = (None, None);
                }
            }
            "get" => {
                let key = args.required(0, "get", "key")?;
                return Ok(self.get_value(&key).unwrap_or_default());
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from_object(other))
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some((&self.relation, self.plain()).cmp(&(&other.relation, other.plain())))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.marked())
    }
}
