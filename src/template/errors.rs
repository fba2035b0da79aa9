//! How a failure inside minijinja becomes a diagnostic at the user's line.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::words::listed;

/// A failure with a code of its own.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub code: &'static str,
    pub message: String,
    pub help: Vec<String>,
}

/// The code of a call to a macro that cannot be read, which has been said where the macro stands.
pub(super) const BROKEN_MACRO: &str = "template-macro-broken";

/// The findings, with one note for each broken macro in the place of an error for each of its calls.
pub fn told_once(problems: Diagnostics) -> Diagnostics {
    if !problems.sorted().iter().any(|found| found.code == BROKEN_MACRO) {
        return problems;
    }
    let mut callers: BTreeMap<String, Vec<Location>> = BTreeMap::new();
    let mut told = Diagnostics::new();
    for found in problems.sorted() {
        // Through other macros it is the outermost call that is not checked.
        let call = found.related.last().or(found.primary.as_ref());
        match call.filter(|_| found.code == BROKEN_MACRO) {
            Some((at, _)) => callers.entry(found.message.clone()).or_default().push(at.clone()),
            None => told.push(found.clone()),
        }
    }
    for (message, calls) in callers {
        let mut files: Vec<String> = calls.iter().map(|at| format!("`{}`", at.path().display())).collect();
        files.sort_unstable();
        files.dedup();
        let message = format!("not checked, because {message}: {}", listed(&files, 8));
        told.push(Diagnostic::note("not-checked", message).at(&calls[0], ""));
    }
    told
}

/// A failure inside a macro, with the places of the calls that led there, innermost first.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    pub diagnostic: Diagnostic,
    pub calls: Vec<Location>,
}

/// Not a failure: `return(…)` on its way to its macro.
#[derive(Debug)]
pub(super) struct Returned;

/// Not a failure: the render must stop until a question is answered.
#[derive(Debug)]
pub(super) struct Unanswered;

macro_rules! as_error {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
        impl std::error::Error for $name {}
    )*};
}
as_error!(Problem Traced Returned Unanswered);

/// Whether an error carries this as its source.
pub(super) fn source_of<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    std::error::Error::source(error)?.downcast_ref()
}

/// A failure with a code.
pub(super) fn problem(code: &'static str, message: impl Into<String>) -> Error {
    raise(Problem { code, message: message.into(), help: Vec::new() })
}

/// A failure with a code and what to do.
pub(super) fn problem_with_help(
    code: &'static str,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Error {
    raise(Problem { code, message: message.into(), help: vec![help.into()] })
}

/// A failure with "did you mean".
pub(super) fn problem_near<'a>(
    code: &'static str,
    message: impl Into<String>,
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let near = crate::diagnostic::nearest(written, known);
    let help = near.map(|name| format!("did you mean `{name}`?")).into_iter().collect();
    raise(Problem { code, message: message.into(), help })
}

pub(super) fn raise(problem: Problem) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.message.clone()).with_source(problem)
}

const TAGS: &[&str] = &[
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "do",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "macro",
    "endmacro",
    "with",
    "endwith",
    "raw",
    "break",
    "continue",
];

/// The diagnostic of an error, without its place. `written` is the text that the error points at, `open` what the
/// template never closes.
pub(super) fn describe<'a>(
    error: &Error,
    written: Option<&str>,
    open: Option<&(String, Range<usize>)>,
    known: impl Fn() -> Vec<&'a str>,
) -> Diagnostic {
    if let Some(problem) = source_of::<Problem>(error) {
        let diagnostic = Diagnostic::error(problem.code, problem.message.clone());
        return problem.help.iter().fold(diagnostic, |diagnostic, help| diagnostic.help(help.clone()));
    }
    let detail = error.detail().unwrap_or("").trim_end_matches('.').to_owned();
    match error.kind() {
        ErrorKind::SyntaxError => match open.map(|(word, _)| word.as_str()) {
            Some(word @ ("{{" | "{%" | "{#")) => {
                Diagnostic::error("template-syntax", format!("broken Jinja: this `{word}` is never closed"))
            }
            Some(word) => Diagnostic::error(
                "template-syntax",
                format!("broken Jinja: this `{{% {word} %}}` is never closed"),
            )
            .help(format!("end it with `{{% end{word} %}}`")),
            None => match detail.strip_prefix("unknown statement ") {
                Some(tag @ ("test" | "data_test" | "docs" | "snapshot" | "materialization")) => {
                    Diagnostic::error(
                        "template-syntax",
                        format!("`{{% {tag} %}}` cannot stand in a template"),
                    )
                    .help("put it in a file of its own, where macros, tests and docs are read")
                }
                Some(tag) => Diagnostic::error("template-syntax", format!("there is no tag `{{% {tag} %}}`"))
                    .suggest(tag, TAGS.iter().copied()),
                None => Diagnostic::error("template-syntax", format!("broken Jinja: {detail}")),
            },
        },
        ErrorKind::UndefinedError => undefined(written, &detail, known),
        ErrorKind::UnknownFunction => {
            let name = detail.strip_suffix(" is unknown").unwrap_or(&detail);
            Diagnostic::error("template-unknown", format!("there is no macro or function `{name}`"))
                .suggest(name, known())
        }
        ErrorKind::UnknownFilter => {
            let name = detail.trim_start_matches("filter ").trim_end_matches(" is unknown");
            Diagnostic::error("template-unknown", format!("there is no filter `{name}`"))
                .suggest(name, super::filters::NAMES.iter().copied())
        }
        ErrorKind::UnknownTest => {
            let name = detail.trim_start_matches("test ").trim_end_matches(" is unknown");
            Diagnostic::error("template-unknown", format!("there is no test `{name}` to write after `is`"))
        }
        ErrorKind::UnknownMethod if detail.starts_with("undefined has no method") => {
            let path = written.and_then(|written| written.split('(').next()).unwrap_or("").trim();
            let (package, name) = path.rsplit_once('.').unwrap_or((path, ""));
            let diagnostic = Diagnostic::error(
                "template-unknown",
                format!("`{package}` is not defined, so it has no `{name}`"),
            )
            .suggest(package, known());
            match package.contains('.') {
                true => diagnostic,
                false => diagnostic.help(format!(
                    "if `{package}` is a package: Kiln installs none; write what you use of it into `macros/`, and call it without \
                     `{package}.`"
                )),
            }
        }
        ErrorKind::UnknownMethod => {
            Diagnostic::error("template-unknown", format!("no such method: {detail}"))
        }
        ErrorKind::OutOfFuel => Diagnostic::error(
            "template-limit",
            format!("the template was stopped after {} steps", super::limits::FUEL),
        )
        .help("look for a loop that does not end or that goes over too many items"),
        ErrorKind::TooManyArguments | ErrorKind::MissingArgument => {
            let detail = if detail.is_empty() { error.kind().to_string() } else { detail };
            Diagnostic::error("template-arguments", format!("wrong arguments: {detail}"))
        }
        _ if detail.contains("recursion limit") => {
            Diagnostic::error("template-limit", "macros call each other too deeply".to_owned())
                .help("look for a macro that calls itself without an end")
        }
        _ if detail.contains("not callable") => {
            let name = written.map_or("this".into(), |name| format!("`{}`", name.trim()));
            Diagnostic::error("template-value", format!("{name} cannot be called: {detail}"))
        }
        _ if detail.is_empty() => Diagnostic::error("template-value", error.kind().to_string()),
        _ => Diagnostic::error("template-value", detail),
    }
}

fn undefined<'a>(written: Option<&str>, detail: &str, known: impl Fn() -> Vec<&'a str>) -> Diagnostic {
    let written = written.map(str::trim).unwrap_or("");
    let words: Vec<&str> = written.split('.').collect();
    let is_name = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    if let [name] = words.as_slice()
        && is_name(name)
    {
        return Diagnostic::error("template-undefined", format!("`{name}` is not defined"))
            .suggest(name, known());
    }
    if words.len() > 1 && words.iter().all(is_name) {
        let known = known();
        if !known.contains(&words[0]) {
            let message = format!("`{}` is not defined", words[0]);
            return Diagnostic::error("template-undefined", message).suggest(words[0], known);
        }
        return Diagnostic::error("template-undefined", format!("`{written}` has no value"));
    }
    let message = match detail {
        "" => "a value in this expression is not defined".to_owned(),
        detail => format!("a value in this expression is not defined: {detail}"),
    };
    Diagnostic::error("template-undefined", message)
}

/// The arguments of a call, positional and named.
#[derive(Debug)]
pub(super) struct Args<'a> {
    positional: &'a [Value],
    named: Vec<(String, Value)>,
}

impl<'a> Args<'a> {
    /// Takes the arguments of a call apart.
    pub fn new(args: &'a [Value]) -> Self {
        match args.split_last() {
            Some((last, positional)) if last.is_kwargs() => {
                let named = super::objects::pairs(last);
                Self { positional, named: named.into_iter().map(|(k, v)| (k.to_string(), v)).collect() }
            }
            _ => Self { positional: args, named: Vec::new() },
        }
    }

    pub fn positional(&self) -> &'a [Value] {
        self.positional
    }

    pub fn named(&self) -> &[(String, Value)] {
        &self.named
    }

    pub fn named_value(&self, name: &str) -> Option<Value> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// An argument by its place or its name.
    pub fn get(&self, index: usize, name: &str) -> Option<Value> {
        self.positional.get(index).cloned().or_else(|| self.named_value(name))
    }

    /// An argument that must be there.
    pub fn required(&self, index: usize, function: &str, name: &str) -> Result<Value, Error> {
        self.get(index, name).ok_or_else(|| {
            problem("template-arguments", format!("`{function}()` needs its argument `{name}`"))
        })
    }

    /// An argument that must be a text; marks are taken out.
    pub fn text(&self, index: usize, function: &str, name: &str) -> Result<String, Error> {
        let value = self.required(index, function, name)?;
        match value.kind() {
            ValueKind::String => Ok(super::marker::plain(value.as_str().unwrap_or(""))),
            ValueKind::Undefined => Err(problem_with_help(
                "template-arguments",
                format!("`{function}()` needs a string for `{name}`, and this is not defined"),
                "put the name in quotes, if it is one",
            )),
            kind => Err(problem(
                "template-arguments",
                format!("`{function}()` needs a string for `{name}`, not {}", kind_name(kind)),
            )),
        }
    }
}

fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Undefined => "an undefined value",
        ValueKind::None => "none",
        ValueKind::Bool => "a boolean",
        ValueKind::Number => "a number",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a dict",
        _ => "an object",
    }
}
