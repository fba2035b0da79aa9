//! `modules.re` and `modules.datetime`: the little of Python's library that templates use.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};
use regex::Regex;

use super::adapter::Functions;
use super::errors::{Args, problem};
use super::growth;
use super::objects::list::{Dict, List};
use super::session::session;
use super::time::Moment;

/// `modules`.
pub(super) fn value() -> Value {
    let datetime = Dict::named([("datetime", Value::from_object(DATETIME))]);
    Dict::named([("re", Value::from_object(RE)), ("datetime", datetime)])
}

const RE: Functions = Functions::new(
    "re",
    &[
        ("match", |_, args| find(args, "match", "^(?:", ")")),
        ("fullmatch", |_, args| find(args, "fullmatch", "^(?:", ")$")),
        ("search", |_, args| find(args, "search", "", "")),
        ("sub", |_, args| {
            let text = args.text(2, "re.sub", "string")?;
            let with = python_groups(&args.text(1, "re.sub", "repl")?);
            let regex = regex(args, "sub", "", "")?;
            // Each of its groups can be all of what was found.
            let mut size = text.len();
            for found in regex.find_iter(&text) {
                let groups = with.matches("${").count().saturating_mul(found.len());
                size = size.saturating_add(with.len()).saturating_add(groups);
                growth::text(size)?;
            }
            Ok(Value::from(regex.replace_all(&text, with.as_str()).into_owned()))
        }),
        ("findall", |_, args| {
            let text = args.text(1, "re.findall", "string")?;
            let regex = regex(args, "findall", "", "")?;
            // Python: the group where there is one, else the whole
            let group = usize::from(regex.captures_len() > 1);
            let found = regex
                .captures_iter(&text)
                .map(|groups| Value::from(groups.get(group).map_or("", |m| m.as_str())));
            Ok(List::value(found.collect()))
        }),
        ("split", |_, args| {
            let text = args.text(1, "re.split", "string")?;
            Ok(List::value(regex(args, "split", "", "")?.split(&text).map(Value::from).collect()))
        }),
        ("escape", |_, args| Ok(Value::from(regex::escape(&args.text(0, "re.escape", "pattern")?)))),
    ],
);

const DATETIME: Functions = Functions::new(
    "datetime",
    &[
        ("now", |_, _| Ok(now())),
        ("utcnow", |_, _| Ok(now())),
        ("today", |_, _| Ok(now())),
        ("strptime", |_, args| {
            let text = args.text(0, "strptime", "date_string")?;
            let format = args.text(1, "strptime", "format")?;
            let bad = |error: jiff::Error| {
                problem("template-value", format!("`strptime('{text}', '{format}')`: {error}"))
            };
            let parsed = jiff::fmt::strtime::parse(&format, &text).map_err(bad)?;
            let time = parsed.to_time().unwrap_or_else(|_| jiff::civil::Time::midnight());
            let date = parsed.to_date().map_err(bad)?.to_datetime(time);
            let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(bad)?;
            Ok(Value::from_object(Moment(zoned.timestamp())))
        }),
    ],
);

/// This moment, or the one that a unit test says it is.
fn now() -> Value {
    session().core.context.clock.note();
    Value::from_object(Moment(session().frozen().unwrap_or_else(jiff::Timestamp::now)))
}

fn regex(args: &Args, function: &str, before: &str, after: &str) -> Result<Regex, Error> {
    let pattern = args.text(0, &format!("re.{function}"), "pattern")?;
    regex::RegexBuilder::new(&format!("{before}{pattern}{after}")).size_limit(1 << 20).build().map_err(
        |error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            problem(
                "template-value",
                format!("`{pattern}` is not a regular expression that kiln can use: {why}"),
            )
        },
    )
}

/// `\\1` and `\\g<name>` as the regex crate writes them.
fn python_groups(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('$', _) => out.push_str("$$"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str(&format!("${{{digit}}}"));
                chars.next();
            }
            (c, _) => out.push(c),
        }
    }
    out
}

fn find(args: &Args, function: &str, before: &str, after: &str) -> Result<Value, Error> {
    let text = args.text(1, &format!("re.{function}"), "string")?;
    let regex = regex(args, function, before, after)?;
    let Some(groups) = regex.captures(&text) else { return Ok(Value::from(())) };
    let names = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
    let groups = groups
        .iter()
        .map(|group| group.map_or(Value::from(()), |group| Value::from(group.as_str())))
        .collect();
    Ok(Value::from_object(Match { groups, names }))
}

/// What `re.match` gives.
#[derive(Debug)]
struct Match {
    groups: Vec<Value>,
    names: Vec<Option<String>>,
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "group" => {
                let key = args.first().cloned().unwrap_or(Value::from(0));
                let index = match key.as_str() {
                    Some(name) => self.names.iter().position(|known| known.as_deref() == Some(name)),
                    None => key.as_usize(),
                };
                let group = index.and_then(|index| self.groups.get(index)).cloned();
                group.ok_or_else(|| problem("template-value", format!("the match has no group {key:?}")))
            }
            "groups" => Ok(List::value(self.groups.iter().skip(1).cloned().collect())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
