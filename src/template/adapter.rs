//! The objects with functions in them: `adapter`, `exceptions`, `api`, `builtins`.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::callable::MacroRef;
use super::errors::{Args, problem, problem_with_help};
use super::functions::{self, Function, query, warn};
use super::objects::list::List;
use super::objects::relation::TemplateRelation;
use super::session::{Answer, Phase, Question, session};
use crate::sql::quote::{identifier, literal};

/// An object that is nothing but its functions.
#[derive(Debug)]
pub(super) struct Functions(&'static str, &'static [(&'static str, Function)]);

impl Functions {
    /// An object of functions.
    pub const fn new(name: &'static str, functions: &'static [(&'static str, Function)]) -> Self {
        Self(name, functions)
    }
}

impl Object for Functions {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        match (self.0, key) {
            ("api", "Relation") => return Some(Value::from_object(RELATION)),
            ("api", "Column") => return Some(Value::from_object(COLUMN)),
            _ => {}
        }
        let (name, function) = self.1.iter().find(|(name, _)| *name == key)?;
        Some(Value::from_object(functions::Builtin(name, *function)))
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match self.1.iter().find(|(name, _)| *name == method) {
            Some((_, function)) => function(state, &Args::new(args)),
            None if self.0 == "adapter" => Err(problem_with_help(
                "not-supported",
                format!("`adapter.{method}()` is not supported"),
                "kiln itself creates, changes and drops what is in the database",
            )),
            None => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

pub(super) const ADAPTER: Functions = Functions(
    "adapter",
    &[
        ("dispatch", |_, args| dispatch(args)),
        ("quote", |_, args| Ok(Value::from(identifier(&args.text(0, "adapter.quote", "identifier")?)))),
        ("type", |_, _| Ok(Value::from(session().core.context.target.kind.as_str()))),
        ("get_columns_in_relation", |_, args| columns(args)),
        ("get_relation", |_, args| get_relation(args)),
        ("check_schema_exists", |_, args| schema_exists(args)),
        ("quote_as_configured", |_, args| {
            Ok(Value::from(identifier(&args.text(0, "adapter.quote_as_configured", "identifier")?)))
        }),
    ],
);

pub(super) const EXCEPTIONS: Functions = Functions(
    "exceptions",
    &[
        ("raise_compiler_error", |_, args| raised(args)),
        ("raise_not_implemented", |_, args| raised(args)),
        ("raise_fail_fast_error", |_, args| raised(args)),
        ("warn", warn),
    ],
);

pub(super) const API: Functions = Functions("api", &[]);

const RELATION: Functions = Functions("api.Relation", &[("create", |_, args| create_relation(args))]);

const COLUMN: Functions = Functions(
    "api.Column",
    &[
        ("create", |_, args| {
            let (name, dtype) = (args.text(0, "create", "name")?, args.text(1, "create", "dtype")?);
            Ok(Value::from_object(Column { name, dtype }))
        }),
        ("translate_type", |_, args| args.required(0, "translate_type", "dtype")),
        ("string_type", |_, _| Ok(Value::from("varchar"))),
    ],
);

fn raised(args: &Args) -> Result<Value, Error> {
    let message = super::marker::plain(&args.required(0, "raise_compiler_error", "msg")?.to_string());
    Err(problem("template-raised", message.trim().to_owned()))
}

fn dispatch(args: &Args) -> Result<Value, Error> {
    let name = args.text(0, "adapter.dispatch", "macro_name")?;
    let namespace =
        args.get(1, "macro_namespace").filter(|name| !name.is_none()).map(|name| name.to_string());
    let session = session();
    let library = &session.core.library;
    let project = &session.core.context.project;
    if name.contains('.') {
        return Err(problem_with_help(
            "template-arguments",
            format!("`adapter.dispatch('{name}')` names a package in the macro's name"),
            "write `adapter.dispatch('macro', 'package')`",
        ));
    }
    let mut packages: Vec<String> = match &namespace {
        Some(namespace) => match session.core.dispatch.get(namespace) {
            Some(order) => order.clone(),
            None => vec![project.clone(), namespace.clone()],
        },
        None => vec![session.package().to_string(), project.clone(), "dbt".into()],
    };
    packages.dedup();
    let adapter = session.core.context.target.kind.as_str();
    let candidates = [format!("{adapter}__{name}"), format!("default__{name}")];
    for package in &packages {
        for candidate in &candidates {
            if let Some(index) = library.find(package, candidate) {
                return Ok(MacroRef::value(index));
            }
        }
    }
    Err(problem_with_help(
        "template-unknown",
        format!("`adapter.dispatch` found no macro for `{name}`"),
        format!("looked for `{}` and `{}` in {}", candidates[0], candidates[1], listed(&packages)),
    ))
}

fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn columns(args: &Args) -> Result<Value, Error> {
    let session = session();
    if session.phase == Phase::Parse {
        session.parsed.borrow_mut().asks_database = true;
        return Ok(List::value(Vec::new()));
    }
    let value = args.required(0, "adapter.get_columns_in_relation", "relation")?;
    let Some(relation) = value.downcast_object_ref::<TemplateRelation>() else {
        return Err(problem_with_help(
            "template-arguments",
            "`adapter.get_columns_in_relation()` needs a relation",
            "give it what `ref()` or `source()` returns, not a text",
        ));
    };
    let pairs = match &relation.node {
        Some(node) => {
            let question = Question::Columns(node.clone(), relation.relation.clone());
            match session.ask(question, None)? {
                Answer::Columns(columns) => match &*columns {
                    Ok(columns) => columns.clone(),
                    Err(message) => return Err(problem("template-query", message.clone())),
                },
                _ => return Err(problem("template-query", "the answer does not fit the question")),
            }
        }
        None => {
            let sql = format!(
                "select column_name, data_type from information_schema.columns where table_schema = {} and table_name = {} order by ordinal_position",
                literal(&relation.relation.schema),
                literal(&relation.relation.name)
            );
            let table = query(&sql)?.unwrap_or_default();
            let text = |row: &Value, at: usize| row.get_item_by_index(at).unwrap_or_default().to_string();
            table.try_iter()?.map(|row| (text(&row, 0), text(&row, 1))).collect()
        }
    };
    let column = |(name, dtype): (String, String)| Value::from_object(Column { name, dtype });
    Ok(List::value(pairs.into_iter().map(column).collect()))
}

fn part(args: &Args, index: usize, name: &str) -> String {
    let value = args.get(index, name).filter(|value| !value.is_none() && !value.is_undefined());
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn get_relation(args: &Args) -> Result<Value, Error> {
    let (database, schema, name) =
        (part(args, 0, "database"), part(args, 1, "schema"), part(args, 2, "identifier"));
    existing(database, schema, name)
}

/// `load_relation(this)`: the relation, if it is in the database.
pub(super) fn load_relation(args: &Args) -> Result<Value, Error> {
    let value = args.required(0, "load_relation", "relation")?;
    let Some(relation) = value.downcast_object_ref::<TemplateRelation>() else {
        return Err(problem("template-arguments", "`load_relation()` needs a relation"));
    };
    existing(String::new(), relation.relation.schema.clone(), relation.relation.name.clone())
}

fn existing(database: String, schema: String, name: String) -> Result<Value, Error> {
    let sql = format!(
        "select table_type from information_schema.tables where table_schema = {} and table_name = {}",
        literal(&schema),
        literal(&name)
    );
    let Some(table) = query(&sql)? else { return Ok(Value::from(())) };
    let Some(row) = table.try_iter()?.next() else { return Ok(Value::from(())) };
    let kind = match row.get_item_by_index(0)?.to_string().as_str() {
        "VIEW" => "view",
        _ => "table",
    };
    Ok(TemplateRelation::by_hand(database, schema, name, Some(kind.into())))
}

fn schema_exists(args: &Args) -> Result<Value, Error> {
    let schema = part(args, 1, "schema");
    let sql = format!("select 1 from information_schema.schemata where schema_name = {}", literal(&schema));
    match query(&sql)? {
        Some(table) => Ok(Value::from(table.try_iter()?.next().is_some())),
        None => Ok(Value::from(false)),
    }
}

fn create_relation(args: &Args) -> Result<Value, Error> {
    let kind = Some(part(args, 3, "type")).filter(|kind| !kind.is_empty());
    Ok(TemplateRelation::by_hand(
        part(args, 0, "database"),
        part(args, 1, "schema"),
        part(args, 2, "identifier"),
        kind,
    ))
}

/// A column of `get_columns_in_relation`.
#[derive(Debug)]
struct Column {
    name: String,
    dtype: String,
}

impl Column {
    fn is(&self, types: &[&str]) -> bool {
        let base = self.dtype.split('(').next().unwrap_or("").trim().to_lowercase();
        types.contains(&base.as_str())
    }
}

const STRINGS: &[&str] = &["varchar", "text", "char", "bpchar", "string", "character varying"];
const INTEGERS: &[&str] = &[
    "tinyint",
    "smallint",
    "integer",
    "int",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "uhugeint",
];
const FLOATS: &[&str] = &["float", "real", "double"];
const DECIMALS: &[&str] = &["decimal", "numeric"];

impl Object for Column {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" | "column" => Value::from(self.name.as_str()),
            "dtype" | "data_type" => Value::from(self.dtype.as_str()),
            "quoted" => Value::from(identifier(&self.name)),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        Ok(Value::from(match method {
            "is_string" => self.is(STRINGS),
            "is_integer" => self.is(INTEGERS),
            "is_float" => self.is(FLOATS),
            "is_numeric" => self.is(DECIMALS),
            "is_number" => self.is(INTEGERS) || self.is(FLOATS) || self.is(DECIMALS),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }))
    }
}
