//! What every template sees without defining it: dbt's context, macros by their bare names, packages.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;

use super::callable::{MacroRef, Namespace};
use super::errors::problem;
use super::objects::list::Dict;
use super::objects::{from_object, pairs};
use super::session::{Phase, session};
use super::{Context, adapter, functions, modules, time};
use crate::yaml::Object;

/// What does not change from render to render.
pub(super) fn globals(context: &Context) -> HashMap<&'static str, Value> {
    let mut all = functions::all();
    let target = &context.target;
    let mut view = from_object(&target.extra);
    let own = [
        ("name", Value::from(target.name.as_str())),
        ("target_name", Value::from(target.name.as_str())),
        ("profile_name", Value::from(context.project.as_str())),
        ("schema", Value::from(target.schema.as_str())),
        ("database", Value::from(target.database.as_str())),
        ("dbname", Value::from(target.database.as_str())),
        ("type", Value::from(target.kind.as_str())),
        ("threads", Value::from(target.threads)),
    ];
    view = Dict::value(
        pairs(&view)
            .into_iter()
            .chain(own.into_iter().map(|(key, value)| (Value::from(key), value)))
            .collect(),
    );
    let mut flags = Object::new();
    for (name, value) in
        [("FULL_REFRESH", false), ("STORE_FAILURES", false), ("EMPTY", false), ("QUIET", false)]
    {
        flags.insert(name.to_owned(), value.into());
    }
    flags.insert("WHICH".to_owned(), "run".into());
    flags.extend(context.flags.clone());
    all.extend([
        ("target", view),
        ("flags", from_object(&flags)),
        ("project_name", Value::from(context.project.as_str())),
        ("invocation_id", Value::from(context.invocation_id.as_str())),
        ("run_started_at", Value::from_object(time::Moment(context.run_started_at))),
        ("adapter", Value::from_object(adapter::ADAPTER)),
        ("exceptions", Value::from_object(adapter::EXCEPTIONS)),
        ("api", Value::from_object(adapter::API)),
        ("database", Value::from(target.database.as_str())),
        ("schema", Value::from(target.schema.as_str())),
        ("dbt_version", Value::from("1.12.0")),
        ("thread_id", Value::from("Thread-1")),
        ("modules", modules::value()),
        ("True", Value::from(true)),
        ("False", Value::from(false)),
        ("None", Value::from(())),
    ]);
    let builtins = ["ref", "source", "config"].map(|name| (name, all.get(name).cloned().unwrap_or_default()));
    all.insert("builtins", Dict::named(builtins));
    all
}

/// The outermost scope of every template: looks a name up for the package whose code is running.
#[derive(Debug)]
struct Root;

/// The scope as minijinja gets it.
pub(super) fn root() -> Value {
    Value::from_object(Root)
}

impl minijinja::value::Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let session = session();
        if let Some(fixed) = session.overridden(name) {
            return Some(fixed);
        }
        match name {
            "run_started_at" if session.frozen().is_some() => {
                return session.frozen().map(|now| Value::from_object(time::Moment(now)));
            }
            "execute" => return Some(Value::from(session.phase == Phase::Render)),
            "this" => return session.this_value(),
            "model" | "node" => return Some(session.model.clone()),
            "interval" => match (session.form.window(), session.phase) {
                (Some(window), _) => {
                    let (start, end) = (Value::from(window.start.as_str()), Value::from(window.end.as_str()));
                    return Some(Dict::named([("start", start), ("end", end)]));
                }
                (None, Phase::Parse) => {
                    return Some(Dict::named([("start", Value::from("")), ("end", Value::from(""))]));
                }
                (None, Phase::Render) => {}
            },
            "graph" if session.phase == Phase::Render => {
                return Some(Value::from(problem("not-supported", "`graph` is not supported")));
            }
            "graph" => return Some(Dict::named([("nodes", Dict::named([])), ("sources", Dict::named([]))])),
            _ => {}
        }
        let core = &session.core;
        let project = &core.context.project;
        if let Some(index) = core.library.lookup(&session.package(), project, name) {
            return Some(MacroRef::value(index));
        }
        if let Some(global) = core.globals.get(name) {
            if name == "invocation_id" || name == "run_started_at" {
                core.context.clock.note();
            }
            return Some(global.clone());
        }
        if let Some(index) = core.library.internal(name) {
            return Some(MacroRef::value(index));
        }
        core.library.has_package(name).then(|| Value::from_object(Namespace(Arc::from(name))))
    }
}
