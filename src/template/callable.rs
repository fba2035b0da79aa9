//! Macros as templates call them: by name, in a package's namespace, as a `caller`. `return` ends here.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::errors::{Args, BROKEN_MACRO, Problem, Returned, Traced, Unanswered, problem, raise, source_of};
use super::growth;
use super::session::session;
use crate::diagnostic::Location;

/// A macro as templates see it.
#[derive(Debug)]
pub(super) struct MacroRef(pub usize);

impl MacroRef {
    /// As a value.
    pub fn value(index: usize) -> Value {
        Value::from_object(Self(index))
    }

    /// The macro as minijinja has it in this render.
    fn native(&self, state: &mut State<'_, '_>) -> Result<Value, Error> {
        let session = session();
        if let Some(native) = session.loaded.borrow().get(&self.0) {
            return Ok(native.clone());
        }
        let made = &session.core.library.macros[self.0];
        let loader = session.loader.borrow().clone();
        let loader = loader.ok_or_else(|| problem("template-value", "macros cannot be called here"))?;
        session.wanted.set(self.0);
        session.packages.borrow_mut().push(Arc::clone(&made.package));
        let loaded = loader.call(state, &[]);
        session.packages.borrow_mut().pop();
        loaded?;
        let native = session.taken.borrow_mut().take();
        let native = native.ok_or_else(|| problem("template-value", "the macro could not be loaded"))?;
        session.loaded.borrow_mut().insert(self.0, native.clone());
        Ok(native)
    }
}

impl Object for MacroRef {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "name").then(|| Value::from(session().core.library.macros[self.0].name.as_str()))
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let session = session();
        let core = Arc::clone(&session.core);
        let made = &core.library.macros[self.0];
        if made.broken {
            let shown = made.name.strip_prefix("test_").unwrap_or(&made.name);
            return Err(problem(BROKEN_MACRO, format!("`{shown}` has errors")));
        }
        args.iter().try_for_each(growth::value)?;
        let args = Args::new(args);
        let mut bound = made.bind(&args)?;
        let native = self.native(state)?;
        if let Some(caller) = args.named_value("caller")
            && native.get_attr("caller").is_ok_and(|uses| uses.is_true())
        {
            let caller = Value::from_object(Local(caller));
            bound.push(Kwargs::from_iter([("caller", caller)]).into());
        }
        session.packages.borrow_mut().push(Arc::clone(&made.package));
        let result = native.call(state, &bound);
        session.packages.borrow_mut().pop();
        match result {
            Ok(text) => session.keep(text.as_str().unwrap_or("")),
            Err(error) if source_of::<Returned>(&error).is_some() => {
                Ok(session.returned.borrow_mut().take().unwrap_or_default())
            }
            Err(error) => Err(trace(error)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}>", session().core.library.macros[self.0].name)
    }
}

/// How many places of calls a message shows, beside the template's own.
const CALLS_SHOWN: usize = 4;

/// Adds the place of an error inside a macro to its trace, and frees the error for the place of the call.
fn trace(error: Error) -> Error {
    let session = session();
    if source_of::<Unanswered>(&error).is_some() {
        return error;
    }
    let place = session.core.locate(&session, &error);
    let traced = match source_of::<Traced>(&error) {
        Some(traced) => {
            let mut traced = traced.clone();
            // enough to see the way; endless recursion would fill the screen
            let new = |place: &Location| traced.calls.len() < CALLS_SHOWN && !traced.calls.contains(place);
            let place = place.filter(new);
            traced.calls.extend(place);
            traced
        }
        None => {
            let diagnostic = session.core.describe(&error, place.as_ref(), None);
            let diagnostic = match place {
                Some(place) => diagnostic.at(&place, ""),
                None => diagnostic,
            };
            Traced { diagnostic, calls: Vec::new() }
        }
    };
    Error::new(minijinja::ErrorKind::InvalidOperation, traced.diagnostic.message.clone()).with_source(traced)
}

/// A macro defined inside a template or macro, or a `caller`: `return` works in it and its result has no line marks.
#[derive(Debug)]
pub(super) struct Local(pub Value);

impl Object for Local {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get_item(key).ok()
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        args.iter().try_for_each(growth::value)?;
        let session = session();
        match self.0.call(state, args) {
            Ok(value) => match value.as_str() {
                Some(text) => session.keep(text),
                None => Ok(value),
            },
            Err(error) if source_of::<Returned>(&error).is_some() => {
                Ok(session.returned.borrow_mut().take().unwrap_or_default())
            }
            Err(error) => Err(error),
        }
    }
}

/// The macros of a package: `dbt_utils.star`.
#[derive(Debug)]
pub(super) struct Namespace(pub Arc<str>);

impl Object for Namespace {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let session = session();
        let core = Arc::clone(&session.core);
        let name = key.as_str()?;
        if let Some(fixed) = session.overridden(&format!("{}.{name}", self.0)) {
            return Some(fixed);
        }
        match core.library.find(&self.0, name) {
            Some(index) => Some(MacroRef::value(index)),
            // `dbt.ref`, `dbt.run_query`
            None if &*self.0 == "dbt" => core.globals.get(name).cloned(),
            None => None,
        }
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        if let Some(found) = self.get_value(&Value::from(method)) {
            return found.call(state, args);
        }
        let core = Arc::clone(&session().core);
        let names = core.library.names(&self.0);
        let near = crate::diagnostic::nearest(method, names);
        Err(raise(Problem {
            code: "template-unknown",
            message: format!("package `{}` has no macro `{method}`", self.0),
            help: near.map(|name| format!("did you mean `{name}`?")).into_iter().collect(),
        }))
    }
}
