//! The functions of dbt's context: `ref`, `source`, `config`, `var`, `env_var`, `log`, `run_query` and their kin.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::callable::Local;
use super::errors::{Args, Returned, problem, problem_near, problem_with_help};
use super::objects::list::{Dict, List};
use super::objects::relation::TemplateRelation;
use super::objects::table::Table;
use super::objects::{from_json, to_json, to_object};
use super::session::{Answer, Phase, Question, Session, session};
use super::{Level, LogMessage, RefCall, SourceCall, growth, limits, marker};
use crate::names::{NodeId, Relation};

/// What a function is: its arguments in, a value out.
pub(super) type Function = fn(&mut State<'_, '_>, &Args) -> Result<Value, Error>;

/// A function as a value.
#[derive(Debug)]
pub(super) struct Builtin(pub &'static str, pub Function);

impl Object for Builtin {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        (self.1)(state, &Args::new(args))
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let args = Args::new(args);
        match (self.0, method) {
            ("config", "get") => config_get(state, &args),
            ("config", "require") => config_require(state, &args),
            ("config", "set") => config_set(state, &args),
            ("config", "persist_relation_docs" | "persist_column_docs") => Ok(Value::from(false)),
            ("var", "has_var") => Ok(Value::from(find_var(&args.text(0, "var.has_var", "name")?).is_some())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.0)
    }
}

/// A call that knows its place: what `kiln_at` makes of `ref` in `ref('x')`.
#[derive(Debug)]
struct Placed(u64, Value);

impl Object for Placed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        session().at.set(((self.0 >> 32) as u32, (self.0 & 0xFFFF_FFFF) as usize));
        self.1.call(state, args)
    }
}

const ALL: &[(&str, Function)] = &[
    ("ref", reference),
    ("source", source),
    ("config", config),
    ("var", var),
    ("env_var", env_var),
    ("log", log),
    ("print", print),
    ("return", return_),
    ("run_query", run_query),
    ("statement", statement),
    ("load_result", load_result),
    ("load_relation", |_, args| super::adapter::load_relation(args)),
    ("is_incremental", |_, _| Ok(Value::from(session().form.is_incremental()))),
    ("should_full_refresh", |_, _| Ok(Value::from(should_full_refresh()))),
    ("doc", doc),
    ("tojson", |_, args| tojson(args)),
    ("fromjson", |_, args| fromjson(args)),
    ("set", |_, args| distinct(args)),
    ("set_strict", |_, args| distinct(args)),
    ("zip", |_, args| zip(args)),
    ("zip_strict", |_, args| zip(args)),
    ("local_md5", |_, args| Ok(Value::from(crate::digest::md5(&args.text(0, "local_md5", "value")?)))),
    ("render", |_, args| args.required(0, "render", "string")),
    ("dict", |_, args| Ok(dict(args))),
    ("kiln_list", |_, args| kiln_list(args)),
    ("kiln_dict", |_, args| Ok(dict(args))),
    ("kiln_at", |_, args| kiln_at(args)),
    ("kiln_fit", |_, args| {
        args.positional().iter().try_for_each(growth::value)?;
        Ok(Value::from(""))
    }),
    ("kiln_wrote", |_, args| {
        session().spend(args.get(0, "bytes").and_then(|bytes| bytes.as_usize()).unwrap_or(0))?;
        Ok(Value::from(""))
    }),
    ("kiln_truth", |_, args| kiln_truth(args)),
    ("kiln_local", |_, args| Ok(Value::from_object(Local(args.required(0, "macro", "macro")?)))),
    ("kiln_boot", |_, args| {
        let session = session();
        session.loaded.borrow_mut().clear();
        *session.loader.borrow_mut() = args.get(0, "loader");
        Ok(Value::from(""))
    }),
    ("kiln_slice", |_, _| Ok(Value::from(super::renderer::slice_name(session().wanted.get())))),
    ("kiln_take", |_, args| {
        *session().taken.borrow_mut() = args.get(0, "macro");
        Ok(Value::from(""))
    }),
    ("kiln_run", |state, _| {
        let entry = session().entry.borrow_mut().take();
        let (callee, args) = entry.ok_or_else(|| problem("template-value", "nothing to call"))?;
        callee.call(state, &args)
    }),
    ("kiln_result", |_, args| {
        let value = args.required(0, "expand", "value")?;
        session().results.borrow_mut().insert("kiln_result".to_owned(), value);
        Ok(Value::from(""))
    }),
];

/// All functions by name.
pub(super) fn all() -> HashMap<&'static str, Value> {
    ALL.iter().map(|(name, function)| (*name, Value::from_object(Builtin(name, *function)))).collect()
}

fn reference(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let (package, name) = match args.positional().len() {
        0 => return Err(problem("template-arguments", "`ref()` needs the name of a model")),
        1 => (None, args.text(0, "ref", "name")?),
        2 => (Some(args.text(0, "ref", "package")?), args.text(1, "ref", "name")?),
        _ => return Err(problem("template-arguments", "`ref()` takes a package and a name at most")),
    };
    if args.named().iter().any(|(name, value)| matches!(name.as_str(), "v" | "version") && !value.is_none()) {
        return Err(problem_with_help(
            "not-supported",
            "versions of a model are not supported",
            "give the version a model of its own and `ref()` it by name",
        ));
    }
    let session = session();
    if session.phase == Phase::Parse {
        let at = session.place();
        let call = RefCall { package: package.clone(), name: name.clone(), at };
        let mut parsed = session.parsed.borrow_mut();
        if !parsed.refs.contains(&call) {
            parsed.refs.push(call);
        }
        return Ok(placeholder(&session, "model", &name));
    }
    relation(&session, Question::Reference(package, name))
}

fn source(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    if args.positional().len() != 2 {
        return Err(problem_with_help(
            "template-arguments",
            "`source()` takes two names",
            "write `source('source_name', 'table_name')`",
        ));
    }
    let (source, table) = (args.text(0, "source", "source")?, args.text(1, "source", "table")?);
    let session = session();
    if session.phase == Phase::Parse {
        let call = SourceCall { source: source.clone(), table: table.clone(), at: session.place() };
        let mut parsed = session.parsed.borrow_mut();
        if !parsed.sources.contains(&call) {
            parsed.sources.push(call);
        }
        return Ok(placeholder(&session, "source", &table));
    }
    relation(&session, Question::Source(source, table))
}

/// What a name stands for before it is resolved.
fn placeholder(session: &Session, kind: &str, name: &str) -> Value {
    let schema = session.core.context.target.schema.clone();
    TemplateRelation::of(NodeId::new(kind, &session.package(), name), Relation::new(schema, name))
}

fn relation(session: &Session, question: Question) -> Result<Value, Error> {
    match session.ask(question, None)? {
        Answer::Relation(Ok((node, relation))) => Ok(TemplateRelation::of(node, relation)),
        Answer::Relation(Err(message)) => Err(problem("template-ref", message)),
        _ => Err(problem("template-ref", "the answer does not fit the question")),
    }
}

fn config(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let session = session();
    if session.phase == Phase::Render {
        return Ok(Value::from(""));
    }
    let mut entries: Vec<(String, serde_json::Value)> = Vec::new();
    if let Some(object) = args.positional().first() {
        entries.extend(to_object(object));
    }
    entries.extend(args.named().iter().map(|(key, value)| (key.clone(), to_json(value))));
    let place = session.place();
    let mut parsed = session.parsed.borrow_mut();
    for (key, value) in entries {
        parsed.config_at.insert(key.clone(), key_place(&place, &key));
        match (key.as_str(), parsed.config.get_mut(&key), value) {
            ("meta", Some(serde_json::Value::Object(old)), serde_json::Value::Object(new)) => old.extend(new),
            (_, _, value) => {
                parsed.config.insert(key, value);
            }
        }
    }
    Ok(Value::from(""))
}

/// Where `key=` stands in a call.
fn key_place(call: &crate::diagnostic::Location, key: &str) -> crate::diagnostic::Location {
    let text = call.file.text.get(call.span.clone()).unwrap_or("");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let found = text.match_indices(key).find(|(at, _)| {
        let before = text[..*at].chars().next_back();
        let after = text[at + key.len()..].trim_start_matches(['\'', '"']).trim_start();
        !before.is_some_and(is_word) && after.starts_with(['=', ':'])
    });
    match found {
        Some((at, _)) => {
            let start = call.span.start + at;
            crate::diagnostic::Location::new(&call.file, start..start + key.len())
        }
        None => call.clone(),
    }
}

fn config_value(key: &str) -> Option<Value> {
    let session = session();
    let found = match session.phase {
        Phase::Parse => session.parsed.borrow().config.get(key).map(from_json),
        Phase::Render => session.config.get(key).map(from_json),
    };
    found.filter(|value| !value.is_none())
}

fn config_get(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let key = args.text(0, "config.get", "name")?;
    Ok(config_value(&key).or_else(|| args.get(1, "default")).unwrap_or(Value::from(())))
}

fn config_require(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let key = args.text(0, "config.require", "name")?;
    match (config_value(&key), session().phase) {
        (Some(value), _) => Ok(value),
        (None, Phase::Parse) => Ok(Value::from("")),
        (None, Phase::Render) => {
            Err(problem("template-config", format!("this model needs the config `{key}`, which is not set")))
        }
    }
}

fn config_set(state: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let key = args.text(0, "config.set", "name")?;
    let value = args.required(1, "config.set", "value")?;
    let object = Dict::named([(key.as_str(), value)]);
    config(state, &Args::new(&[object]))
}

/// The model's own `full_refresh`, else the command line's.
fn should_full_refresh() -> bool {
    let own = config_value("full_refresh").map(|value| value.is_true());
    let session = session();
    own.unwrap_or_else(|| session.core.context.flags.get("FULL_REFRESH").is_some_and(|flag| flag == true))
}

fn find_var(name: &str) -> Option<Value> {
    let session = session();
    if let Some(value) = session.overrides.as_ref().and_then(|overrides| overrides.vars.get(name)) {
        return Some(from_json(value));
    }
    let context = &session.core.context;
    let of_package = context.package_vars.get(&*session.package()).and_then(|vars| vars.get(name));
    of_package.or_else(|| context.vars.get(name)).map(from_json)
}

fn var(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let name = args.text(0, "var", "name")?;
    if let Some(value) = find_var(&name).or_else(|| args.get(1, "default")) {
        return Ok(value);
    }
    let session = session();
    let context = &session.core.context;
    let known = context
        .vars
        .keys()
        .chain(context.package_vars.get(&*session.package()).into_iter().flat_map(|v| v.keys()));
    let near = crate::diagnostic::nearest(&name, known.map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"));
    let help = "set it under `vars:` or with `--vars`, or give a default".to_owned();
    Err(super::errors::raise(super::errors::Problem {
        code: "template-var",
        message: format!("no variable `{name}`"),
        help: near.into_iter().chain([help]).collect(),
    }))
}

fn env_var(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let name = args.text(0, "env_var", "name")?;
    let session = session();
    let core = Arc::clone(&session.core);
    let said = session.overrides.as_ref().and_then(|overrides| overrides.env_vars.get(&name).cloned());
    match said.or_else(|| (core.context.env)(&name)) {
        Some(value) => {
            if ["DBT_ENV_SECRET", "KILN_SECRET"].iter().any(|prefix| name.starts_with(prefix)) {
                core.keep_secret(&value);
            }
            if marker::is_marked(&value) {
                return Err(problem(
                    "template-text",
                    format!(
                        "the environment variable `{name}` holds private-use characters that kiln needs for itself"
                    ),
                ));
            }
            Ok(Value::from(value))
        }
        None => match args.get(1, "default") {
            Some(default) => Ok(Value::from(default.to_string())),
            None => Err(problem_with_help(
                "template-env-var",
                format!("the environment variable `{name}` is not set"),
                format!("set it, or give a default: `env_var('{name}', 'default')`"),
            )),
        },
    }
}

fn say(text: &Value, level: Level) -> Result<Value, Error> {
    let session = session();
    let text = growth::written(text)?;
    session.spend(text.len())?;
    let at = Some(session.place());
    let mut messages = session.messages.borrow_mut();
    if messages.len() >= limits::MESSAGES {
        let message = format!("the template says more than {} things", limits::MESSAGES);
        return Err(problem("template-limit", message));
    }
    messages.push(LogMessage { level, text: marker::plain(&text), at });
    Ok(Value::from(""))
}

fn log(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let info = args.get(1, "info").is_some_and(|info| info.is_true());
    say(&args.required(0, "log", "msg")?, if info { Level::Info } else { Level::Debug })
}

fn print(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    say(&args.required(0, "print", "msg")?, Level::Info)
}

/// `exceptions.warn`.
pub(super) fn warn(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    say(&args.required(0, "warn", "msg")?, Level::Warning)
}

fn return_(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    *session().returned.borrow_mut() = Some(args.get(0, "value").unwrap_or(Value::from(())));
    Err(Error::new(ErrorKind::InvalidOperation, "`return()` stands outside a macro").with_source(Returned))
}

/// Asks the database and gives the result; `none` while parsing.
pub(super) fn query(sql: &str) -> Result<Option<Value>, Error> {
    let session = session();
    if session.phase == Phase::Parse {
        session.parsed.borrow_mut().asks_database = true;
        return Ok(None);
    }
    let rendered = session.rendered(sql)?;
    match session.ask(Question::Query(rendered.sql.clone()), Some(rendered))? {
        Answer::Table(table) => match &*table {
            Ok(table) => Ok(Some(Table::value(table))),
            Err(message) => Err(problem("template-query", message.clone())),
        },
        _ => Err(problem("template-query", "the answer does not fit the question")),
    }
}

fn run_query(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let sql = args.required(0, "run_query", "sql")?.to_string();
    Ok(query(&sql)?.unwrap_or(Value::from(())))
}

fn statement(state: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let session = session();
    session.parsed.borrow_mut().asks_database = true;
    let Some(caller) = args.named_value("caller") else {
        return Err(problem_with_help(
            "template-arguments",
            "`statement()` is called without SQL",
            "write `{% call statement('name', fetch_result=true) %} select … {% endcall %}`",
        ));
    };
    let sql = Value::from_object(Local(caller)).call(state, &[])?.to_string();
    let Some(table) = query(&sql)? else { return Ok(Value::from("")) };
    if let Some(name) = args.get(0, "name").filter(|name| !name.is_none()) {
        let rows: Vec<Value> = table.get_attr("rows")?.try_iter()?.collect();
        let result =
            Dict::named([("table", table), ("data", List::value(rows)), ("response", Value::from("OK"))]);
        session.results.borrow_mut().insert(name.to_string(), result);
    }
    Ok(Value::from(""))
}

fn load_result(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let name = args.text(0, "load_result", "name")?;
    Ok(session().results.borrow().get(&name).cloned().unwrap_or(Value::from(())))
}

fn doc(_: &mut State<'_, '_>, args: &Args) -> Result<Value, Error> {
    let session = session();
    let (package, name) = match args.positional().len() {
        2 => (args.text(0, "doc", "package")?, args.text(1, "doc", "name")?),
        _ => (String::new(), args.text(0, "doc", "name")?),
    };
    let docs = &session.core.library.docs;
    let packages = match package.is_empty() {
        true => vec![session.package().to_string(), session.core.context.project.clone(), "dbt".into()],
        false => vec![package],
    };
    if let Some(text) = packages.iter().find_map(|package| docs.get(&(package.clone(), name.clone()))) {
        return Ok(Value::from(text.as_str()));
    }
    let known = docs.keys().map(|(_, name)| name.as_str());
    Err(problem_near("template-doc", format!("there is no `{{% docs {name} %}}` block"), &name, known))
}

/// `tojson(value, default, sort_keys)`.
pub(super) fn tojson(args: &Args) -> Result<Value, Error> {
    let value = to_json(&args.required(0, "tojson", "value")?);
    growth::bounded()?;
    let sorted = args.get(2, "sort_keys").is_some_and(|sort| sort.is_true());
    Ok(Value::from(super::filters::python_json(&value, sorted)))
}

fn fromjson(args: &Args) -> Result<Value, Error> {
    let text = args.text(0, "fromjson", "string")?;
    match (serde_json::from_str::<serde_json::Value>(&text), args.get(1, "default")) {
        (Ok(value), _) => Ok(from_json(&value)),
        (Err(_), Some(default)) => Ok(default),
        (Err(_), None) => Ok(Value::from(())),
    }
}

fn distinct(args: &Args) -> Result<Value, Error> {
    let items = args.required(0, "set", "values")?;
    let distinct: indexmap::IndexSet<Value> = items.try_iter()?.collect();
    Ok(List::value(distinct.into_iter().collect()))
}

fn zip(args: &Args) -> Result<Value, Error> {
    let lists: Vec<Vec<Value>> =
        args.positional().iter().map(|list| Ok(list.try_iter()?.collect())).collect::<Result<_, Error>>()?;
    let length = lists.iter().map(Vec::len).min().unwrap_or(0);
    let row = |at: usize| {
        let cells: Vec<Value> = lists.iter().map(|list| list[at].clone()).collect();
        Value::from(minijinja::value::Tuple::from(cells))
    };
    Ok(List::value((0..length).map(row).collect()))
}

fn kiln_list(args: &Args) -> Result<Value, Error> {
    let items: Vec<Value> = args.required(0, "list", "items")?.try_iter()?.collect();
    items.iter().try_for_each(|item| growth::held(item, items.len()))?;
    Ok(List::value(items))
}

fn dict(args: &Args) -> Value {
    let mut entries = indexmap::IndexMap::new();
    if let Some(object) = args.positional().first() {
        entries.extend(super::objects::pairs(object));
    }
    entries.extend(args.named().iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())));
    Dict::value(entries)
}

fn kiln_at(args: &Args) -> Result<Value, Error> {
    let place = args.required(0, "call", "place")?.as_i64().unwrap_or(0) as u64;
    let callee = args.required(1, "call", "function")?;
    let session = session();
    session.calls.set(session.calls.get() + 1);
    if session.calls.get() > limits::CALLS {
        return Err(problem_with_help(
            "template-limit",
            format!("`ref`, `source` and `config` are called more than {} times", limits::CALLS),
            "call it once before the loop: `{% set orders = ref('orders') %}`",
        ));
    }
    match callee.downcast_object_ref::<Builtin>() {
        Some(_) => Ok(Value::from_object(Placed(place, callee))),
        // a macro that takes the function's place: what it calls stands here too
        None => {
            session.at.set(((place >> 32) as u32, (place & 0xFFFF_FFFF) as usize));
            Ok(callee)
        }
    }
}

fn kiln_truth(args: &Args) -> Result<Value, Error> {
    let value = args.required(1, "if", "value")?;
    if !value.is_undefined() {
        return Ok(value);
    }
    let name = args.text(0, "if", "name")?;
    let core = Arc::clone(&session().core);
    Err(problem_near("template-undefined", format!("`{name}` is not defined"), &name, core.known()))
}
