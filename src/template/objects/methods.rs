//! Python's methods on strings, and on sequences and mappings that filters made.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::list::List;
use crate::template::errors::problem_with_help;
use crate::template::growth;

/// What minijinja asks when an object knows no such method.
pub(in crate::template) fn unknown(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let (Some(text), ValueKind::String) = (value.as_str(), value.kind()) {
        match method {
            "removeprefix" | "removesuffix" => {
                let part = args.first().and_then(|part| part.as_str()).unwrap_or("");
                let cut = match method {
                    "removeprefix" => text.strip_prefix(part),
                    _ => text.strip_suffix(part),
                };
                return Ok(Value::from(cut.unwrap_or(text)));
            }
            "zfill" => {
                let width = args.first().and_then(|width| width.as_usize()).unwrap_or(0).min(4096);
                return Ok(Value::from(format!("{text:0>width$}")));
            }
            _ => {}
        }
    }
    if matches!(method, "append" | "extend" | "insert" | "update" | "remove" | "pop")
        && value.as_object().is_some()
    {
        return Err(problem_with_help(
            "template-value",
            format!("`{method}` cannot change this value: a filter or an operator made it"),
            "make a list of it first: `{% set items = items | list %}`",
        ));
    }
    growth::call(method, value, args)?;
    let result = minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)?;
    // what Python gives as a list can be changed
    match method {
        "split" | "splitlines" | "keys" | "values" | "items" => match result.try_iter() {
            Ok(items) => Ok(List::value(items.collect())),
            Err(_) => Err(Error::from(ErrorKind::UnknownMethod)),
        },
        _ => Ok(result),
    }
}
