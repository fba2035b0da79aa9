//! How large values may grow while a template runs. minijinja counts steps, and one step can double a text; so what is
//! assigned, put into a list or given to a macro is measured, and so is what a filter is about to make.

use std::cell::Cell;
use std::fmt::{self, Write as _};

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::errors::problem;
use super::session::session;

/// Bytes of one text.
const TEXT: usize = 8 * 1024 * 1024;
/// Items of one list.
const ITEMS: usize = 1_000_000;
/// Bytes of all large texts that lists and dicts were given.
const HELD: usize = 256 * 1024 * 1024;
/// A text of this size counts for [`HELD`].
const LARGE: usize = 64 * 1024;
/// Lists in lists.
const DEPTH: usize = 100;
/// Values inside a value that are looked at.
const LOOKS: usize = 1_000;
/// Digits of a width in a format text that are more than anybody means.
const DIGITS: usize = 5;

fn too_large(what: &str, most: usize) -> Error {
    problem("template-limit", format!("{what} grows beyond {most}: look for a loop that doubles it"))
}

/// Whether a text of so many bytes may be made.
pub(super) fn text(bytes: usize) -> Result<(), Error> {
    match bytes > TEXT {
        true => Err(problem(
            "template-limit",
            format!("a text grows beyond {} MB: look for a loop that doubles it", TEXT / 1024 / 1024),
        )),
        false => Ok(()),
    }
}

/// Whether a list of so many items may be made.
pub(super) fn items(count: usize) -> Result<(), Error> {
    if count > ITEMS { Err(too_large("a list", ITEMS)) } else { Ok(()) }
}

/// Whether a value may be kept.
pub(super) fn value(value: &Value) -> Result<(), Error> {
    bounded()?;
    look(value, 0, &mut LOOKS.clone())
}

fn look(value: &Value, depth: usize, looks: &mut usize) -> Result<(), Error> {
    if let Some(found) = value.as_str() {
        return text(found.len());
    }
    let pairs = match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => false,
        ValueKind::Map => true,
        _ => return Ok(()),
    };
    items(value.len().unwrap_or(0))?;
    if depth > DEPTH {
        return Err(problem("template-limit", format!("lists lie in each other deeper than {DEPTH}")));
    }
    let Ok(inner) = value.try_iter() else { return Ok(()) };
    for item in inner {
        let Some(left) = looks.checked_sub(1) else { break };
        *looks = left;
        let item = if pairs { value.get_item(&item).unwrap_or_default() } else { item };
        look(&item, depth + 1, looks)?;
    }
    Ok(())
}

/// Whether a list or dict of so many items may take a value more.
pub(super) fn held(item: &Value, count: usize) -> Result<(), Error> {
    items(count)?;
    let Some(found) = item.as_str().filter(|found| found.len() > LARGE) else { return Ok(()) };
    text(found.len())?;
    let session = session();
    let held = session.held.get() + found.len();
    session.held.set(held);
    match held > HELD {
        true => Err(problem("template-limit", format!("lists hold more than {} MB", HELD / 1024 / 1024))),
        false => Ok(()),
    }
}

/// A value as text, as far as a text may be long.
pub(super) fn written(value: &Value) -> Result<String, Error> {
    struct Bounded(String);
    impl fmt::Write for Bounded {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            if self.0.len() + part.len() > TEXT {
                return Err(fmt::Error);
            }
            self.0.push_str(part);
            Ok(())
        }
    }
    let mut out = Bounded(String::new());
    let done = write!(out, "{value}");
    bounded()?;
    match done {
        Ok(()) => Ok(out.0),
        Err(_) => text(usize::MAX).map(|()| String::new()),
    }
}

/// How far a value that is being written or compared was followed.
#[derive(Debug, Clone, Copy)]
struct Followed {
    /// Lists that are open, one in the other.
    depth: usize,
    /// Values that were looked at since the first of them.
    count: usize,
    /// It was too much, and the rest was left out.
    cut: bool,
}

thread_local! {
    static FOLLOWED: Cell<Followed> = const { Cell::new(Followed { depth: 0, count: 0, cut: false }) };
}

/// Does something inside of a list; nothing where lists lie too deep in each other, as they do when one holds itself, or
/// where one list stands for more values than anybody means. [`bounded`] tells that it was so.
pub(super) fn inside<T>(work: impl FnOnce() -> T) -> Option<T> {
    let Followed { depth, count, cut } = FOLLOWED.get();
    let count = if depth == 0 { 0 } else { count + 1 };
    if depth >= DEPTH || count >= ITEMS {
        FOLLOWED.set(Followed { depth, count, cut: true });
        return None;
    }
    FOLLOWED.set(Followed { depth: depth + 1, count, cut });
    let done = work();
    FOLLOWED.set(Followed { depth, ..FOLLOWED.get() });
    Some(done)
}

/// Whether all of the values that were written or compared was.
pub(super) fn bounded() -> Result<(), Error> {
    let followed = FOLLOWED.get();
    FOLLOWED.set(Followed { cut: false, ..followed });
    match followed.cut {
        true => Err(problem(
            "template-limit",
            format!("lists that lie in each other deeper than {DEPTH}, or hold more than {ITEMS} values"),
        )),
        false => Ok(()),
    }
}

/// Whether a format text asks for a width that is more than anybody means.
fn widths(format: &str) -> Result<(), Error> {
    let runs = format.split(|c: char| !c.is_ascii_digit());
    match runs.map(str::len).any(|digits| digits > DIGITS) {
        true => Err(problem("template-limit", "a format with a width of more than 99999")),
        false => Ok(()),
    }
}

/// Measures what a call of Python's string methods, or of the filter of that name, would make.
pub(super) fn call(name: &str, subject: &Value, args: &[Value]) -> Result<(), Error> {
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    let arg = |index: usize| args.get(index).map_or(0, length);
    match name {
        "replace" => {
            let (Some(whole), Some(old)) = (subject.as_str(), args.first().and_then(Value::as_str)) else {
                return Ok(());
            };
            if arg(1) > old.len() {
                let found = if old.is_empty() { whole.len() + 1 } else { whole.matches(old).count() };
                text(found.saturating_mul(arg(1)).saturating_add(whole.len()))?;
            }
            Ok(())
        }
        "join" => {
            // The method's separator is what it is called on, the filter's its argument.
            let (list, separator) = match subject.as_str() {
                Some(separator) if args.first().is_some_and(|list| list.as_object().is_some()) => {
                    (&args[0], separator.len())
                }
                _ => (subject, arg(0)),
            };
            let mut size = 0_usize;
            for item in list.try_iter().into_iter().flatten() {
                size = size.saturating_add(separator).saturating_add(length(&item));
                text(size)?;
            }
            if let Some(whole) = list.as_str() {
                text(whole.len().saturating_mul(separator + 1))?;
            }
            Ok(())
        }
        "sum" => {
            let sizes = subject.try_iter().into_iter().flatten().map(|item| length(&item));
            text(sizes.fold(0, usize::saturating_add))
        }
        "indent" => {
            let width = args.first().and_then(Value::as_usize).unwrap_or(0);
            let lines = subject.as_str().map_or(0, |whole| whole.lines().count());
            text(width.saturating_mul(lines.max(1)).saturating_add(length(subject)))
        }
        "format" => widths(subject.as_str().unwrap_or("")),
        _ => Ok(()),
    }
}

/// Puts a measure before the filters that can make much of little.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("kiln_fit", |found: Value| value(&found).map(|()| found));
    let all: [(&'static str, Value); 5] = [
        ("replace", Value::from_function(minijinja::filters::replace)),
        ("join", Value::from_function(minijinja::filters::join)),
        ("sum", Value::from_function(minijinja::filters::sum)),
        ("indent", Value::from_function(minijinja::filters::indent)),
        ("format", Value::from_function(minijinja::filters::format)),
    ];
    for (name, filter) in all {
        env.add_filter(name, move |state: &mut State<'_, '_>, args: Rest<Value>| {
            if let Some((subject, rest)) = args.split_first() {
                call(name, subject, rest)?;
            }
            filter.call(state, &args)
        });
    }
}
