//! Filters of dbt, and those of minijinja that must give lists which can be changed or must not see marks.

use minijinja::{Environment, Error, Value};

use super::errors::{Args, problem};
use super::functions;
use super::growth;
use super::marker;
use super::objects::list::List;
use super::session::session;

/// Names for suggestions.
pub(super) const NAMES: &[&str] = &[
    "abs",
    "as_bool",
    "as_native",
    "as_number",
    "as_text",
    "batch",
    "capitalize",
    "count",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
];

/// Adds the filters.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("kiln_keep", |value: Value| match value.as_str() {
        Some(text) => session().keep(text),
        None => Ok(value),
    });
    env.add_filter("kiln_percent", |value: String, arg: Value| percent(&value, &arg));
    growth::add(env);
    env.add_filter("as_native", |value: Value| value);
    env.add_filter("as_text", |value: Value| if value.is_none() { String::new() } else { value.to_string() });
    env.add_filter("as_bool", as_bool);
    env.add_filter("as_number", as_number);
    env.add_filter("tojson", |value: Value, sort_keys: Option<Value>| {
        let args = [value, Value::from(()), sort_keys.unwrap_or_default()];
        functions::tojson(&Args::new(&args))
    });
    for name in ["length", "count"] {
        env.add_filter(name, |value: Value| -> Result<usize, Error> {
            match value.as_str() {
                Some(text) => Ok(marker::plain(text).chars().count()),
                None => value.len().ok_or_else(|| problem("template-value", "this value has no length")),
            }
        });
    }
    env.add_filter("list", |value: Value| -> Result<Value, Error> {
        match value.as_str() {
            Some(text) => {
                Ok(List::value(marker::plain(text).chars().map(|c| Value::from(c.to_string())).collect()))
            }
            None => Ok(List::value(value.try_iter()?.collect())),
        }
    });
    env.add_filter("wordcount", |value: String| marker::plain(&value).split_whitespace().count());
    env.add_filter("float", |value: Value, default: Option<f64>| {
        let parsed = value.to_string().trim().parse::<f64>().ok();
        parsed.or(default).unwrap_or(0.0)
    });
}

fn as_bool(value: Value) -> Result<Value, Error> {
    match value.to_string().to_lowercase().as_str() {
        "true" => Ok(Value::from(true)),
        "false" => Ok(Value::from(false)),
        _ => Err(problem("template-value", format!("`{value}` is not a boolean, which `as_bool` needs"))),
    }
}

fn as_number(value: Value) -> Result<Value, Error> {
    if value.is_number() {
        return Ok(value);
    }
    let text = value.to_string();
    match (text.trim().parse::<i64>(), text.trim().parse::<f64>()) {
        (Ok(number), _) => Ok(Value::from(number)),
        (_, Ok(number)) => Ok(Value::from(number)),
        _ => Err(problem("template-value", format!("`{text}` is not a number, which `as_number` needs"))),
    }
}

/// Python's `format % argument`.
fn percent(format: &str, argument: &Value) -> Result<Value, Error> {
    let args: Vec<Value> = match argument.is_tuple() {
        true => argument.try_iter()?.collect(),
        false => vec![argument.clone()],
    };
    let mut args = args.into_iter();
    let mut text = String::with_capacity(format.len());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| c.is_ascii_alphabetic() || c == '%').unwrap_or(rest.len());
        let (spec, kind) = (&rest[..end], rest[end..].chars().next());
        rest = rest.get(end + 1..).unwrap_or("");
        if kind == Some('%') {
            text.push('%');
            continue;
        }
        let value =
            args.next().ok_or_else(|| problem("template-value", format!("too few values for `{format}`")))?;
        match kind {
            Some('s') if spec.is_empty() => text.push_str(&value.to_string()),
            Some('r') if spec.is_empty() => text.push_str(&format!("{value:?}")),
            Some('d' | 'i' | 'f' | 's') => text.push_str(&number(spec, kind, &value)?),
            _ => return Err(problem("template-value", format!("`%` in `{format}` is not understood"))),
        }
    }
    text.push_str(rest);
    match args.next() {
        None => Ok(Value::from(text)),
        Some(_) => Err(problem("template-value", format!("too many values for `{format}`"))),
    }
}

fn number(spec: &str, kind: Option<char>, value: &Value) -> Result<String, Error> {
    let left = spec.contains('-');
    let zeros = spec.trim_start_matches(['-', '+', ' ']).starts_with('0');
    let digits = spec.trim_start_matches(['-', '+', ' ', '0']);
    let (width, precision) = digits.split_once('.').unwrap_or((digits, ""));
    let width = width.parse::<usize>().unwrap_or(0).min(1000);
    let float = || value.to_string().trim().parse::<f64>();
    let body = match kind {
        Some('s') => value.to_string(),
        Some('f') => {
            let precision = precision.parse::<usize>().unwrap_or(6).min(100);
            let number =
                float().map_err(|_| problem("template-value", format!("`{value}` is not a number")))?;
            format!("{number:.precision$}")
        }
        _ => match (value.as_i64(), float()) {
            (Some(number), _) => number.to_string(),
            (None, Ok(number)) => format!("{}", number.trunc()),
            _ => return Err(problem("template-value", format!("`{value}` is not a number"))),
        },
    };
    Ok(match (left, zeros) {
        (true, _) => format!("{body:<width$}"),
        (false, true) => format!("{body:0>width$}"),
        (false, false) => format!("{body:>width$}"),
    })
}

/// JSON as Python's `json.dumps` writes it: a space after `,` and `:`.
pub(super) fn python_json(value: &serde_json::Value, sorted: bool) -> String {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| python_json(item, sorted)).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(object) => {
            let mut entries: Vec<(&String, &Json)> = object.iter().collect();
            if sorted {
                entries.sort_by_key(|(key, _)| key.as_str());
            }
            let entry = |(key, value): (&String, &Json)| {
                format!("{}: {}", Json::String(key.clone()), python_json(value, sorted))
            };
            let entries: Vec<String> = entries.into_iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
