//! Explaining: what DuckDB says of a user's SQL, in Kiln's words, at the place in the user's template.
//!
//! DuckDB's sentences are recognised by how they begin; one that is not known is shown as it is.

use std::sync::Arc;

use super::session::SqlError;
use crate::diagnostic::{Diagnostic, Location, SourceFile, nearest};
use crate::names::NodeId;
use crate::sql::rendered::Rendered;
use crate::sql::seat::alias;

/// Most columns of a parent that are listed.
const LISTED: usize = 12;

/// A relation that the SQL reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// What people call it.
    pub name: String,
    /// What the SQL calls it.
    pub alias: String,
    /// Its columns, where they are known.
    pub columns: Option<Vec<String>>,
}

/// The parents of rendered SQL, in the order in which it names them.
pub fn parents(rendered: &Rendered, mut columns: impl FnMut(&NodeId) -> Option<Vec<String>>) -> Vec<Parent> {
    let mut all: Vec<Parent> = Vec::new();
    for slot in &rendered.slots {
        let Some(alias) = alias(&rendered.sql, &slot.range) else { continue };
        let name = slot.node.short().to_owned();
        if all.iter().any(|known| known.name == name && known.alias == alias) {
            continue;
        }
        let known = all.iter().find(|known| known.name == name).map(|known| known.columns.clone());
        let columns = known.unwrap_or_else(|| columns(&slot.node));
        all.push(Parent { name, alias, columns });
    }
    all
}

/// An error as a diagnostic. `lead` says whose it is, `offset` where in the rendered SQL it is, `file` is pointed at where
/// that is not known.
pub fn explain(
    lead: &str,
    error: &SqlError,
    offset: Option<(usize, usize)>,
    rendered: &Rendered,
    file: &Arc<SourceFile>,
    parents: &[Parent],
) -> Diagnostic {
    let told = super::seek::place(&error.message, &rendered.sql, &rendered.slots, offset);
    let place = told
        .and_then(|(offset, length)| {
            let offset = inside(&rendered.sql, offset);
            // DuckDB tells of an operator where it is, and not how long.
            let word = || rendered.sql[offset..].find(char::is_whitespace).unwrap_or(1).max(1);
            rendered.locate(offset, if length == 0 { word() } else { length })
        })
        .unwrap_or_else(|| {
            let first = file.text.find(|c: char| !c.is_whitespace()).unwrap_or(0);
            Location::new(file, first..first)
        });
    let slip = match error.message.starts_with("syntax error at or near ") {
        true => told.and_then(|(offset, _)| super::seek::slip(&rendered.sql, offset)),
        false => None,
    };
    let explain_at = |place: &Location| {
        let diagnostic = explain_at(lead, error, place, parents);
        slip.iter().fold(diagnostic, |diagnostic, help| diagnostic.help(help.clone()))
    };
    let call = told.and_then(|(offset, _)| rendered.call(inside(&rendered.sql, offset), file));
    match call {
        // Nobody can change what Kiln brings.
        Some(call) if place.file.path.starts_with("kiln") => {
            explain_at(&call).related(&place, "written here")
        }
        Some(call) => explain_at(&place).related(&call, "called from here"),
        None => explain_at(&place),
    }
}

/// An error as a diagnostic at a place.
pub fn explain_at(lead: &str, error: &SqlError, place: &Location, parents: &[Parent]) -> Diagnostic {
    let code = match error.class.to_lowercase().as_str() {
        "parser" => "sql-syntax",
        "binder" | "catalog" => "sql-binding",
        "conversion" | "out of range" | "invalid input" | "constraint" => "sql-data",
        "out of memory" => "out-of-memory",
        "io" => "io",
        _ => "sql-error",
    };
    let told = told(error, parents);
    let code = told.code.unwrap_or(code);
    let mut diagnostic = Diagnostic::error(code, format!("{lead}: {}", told.message)).at(place, told.label);
    diagnostic.help = told.help;
    match error.hint() {
        Some(hint) => diagnostic.help(hint),
        None => diagnostic,
    }
}

/// An offset at the text's end moved onto its last character that can be seen.
fn inside(sql: &str, offset: usize) -> usize {
    let end = sql.trim_end().len();
    match offset < end {
        // DuckDB counts a byte-order mark as it likes.
        true => sql.floor_char_boundary(offset),
        false => sql[..end].char_indices().next_back().map_or(0, |(at, _)| at),
    }
}

struct Told {
    /// A code of its own.
    code: Option<&'static str>,
    message: String,
    label: String,
    help: Vec<String>,
}

fn told(error: &SqlError, parents: &[Parent]) -> Told {
    let text = error.message.as_str();
    let lower = text.to_lowercase();
    let quoted: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    let told = |message: String, label: &str, help: Vec<String>| Told {
        code: None,
        message,
        label: label.to_owned(),
        help,
    };
    if text.starts_with("Referenced column \"") {
        let name = error.name.as_deref().or(quoted.first().copied()).unwrap_or_default();
        return no_column(name, None, candidates(text, error), parents);
    }
    // The SELECT names a column of its own so, which DuckDB thinks is meant.
    if text.contains("referenced that exists in the SELECT clause")
        && let Some(name) = quoted.first()
    {
        let mut told = no_column(name, None, candidates(text, error), parents);
        told.help.push(format!("what the SELECT calls `{name}` cannot be used in it before it is made"));
        return told;
    }
    // In QUALIFY and ORDER BY, without quotes and without candidates.
    if let Some(rest) = text.strip_prefix("Referenced column ")
        && let Some((name, _)) = rest.split_once(" not found in FROM clause")
    {
        return no_column(name, None, Vec::new(), parents);
    }
    if text.contains(" does not have a column named \"") && quoted.len() >= 2 {
        return no_column(quoted[1], Some(quoted[0]), candidates(text, error), parents);
    }
    if text.starts_with("Referenced table \"") {
        let name = quoted.first().copied().unwrap_or_default();
        let known: Vec<&str> =
            quoted.iter().skip(1).map(|known| known.rsplit('.').next().unwrap_or(known)).collect();
        let mut help: Vec<String> = suggestion(name, known.iter().copied()).into_iter().collect();
        // `a.b` is a column of a table or a field of a column.
        let message = match help.is_empty() {
            true => format!("no table or column is called `{}` here", name.split('.').next().unwrap_or(name)),
            false => format!("no table is called `{name}` here"),
        };
        if !known.is_empty() {
            help.push(format!("the tables here are {}", listed(&known)));
        }
        return told(message, "", help);
    }
    if let Some((kind, rest)) = text.split_once(" with name ")
        && lower.contains("does not exist")
        && (kind.ends_with("Function") || kind == "Type")
    {
        let name = rest.split(" does not exist").next().unwrap_or(rest).trim_matches('"');
        let (kind, code) = match kind {
            "Type" => ("type", "unknown-type"),
            _ => ("function", "unknown-function"),
        };
        // DuckDB always offers something, however far.
        let offered = quoted.last().filter(|_| text.contains("Did you mean"));
        let offered = offered.map(|near| near.rsplit('.').next().unwrap_or(near));
        let near =
            offered.into_iter().chain(if kind == "function" { &FORMS[..] } else { &[] }.iter().copied());
        let other = (kind == "function").then(|| super::foreign::instead(name)).flatten();
        let help = match other {
            Some(other) => vec![format!("DuckDB has another way: `{other}`")],
            None => suggestion(name, near).into_iter().collect(),
        };
        return Told { code: Some(code), ..told(format!("there is no {kind} `{name}`"), "", help) };
    }
    if let Some(rest) = text.strip_prefix("Ambiguous reference to column name \"") {
        let name = rest.split('"').next().unwrap_or_default();
        let choices: Vec<&str> = rest.split('\'').skip(1).step_by(2).collect();
        let help = match choices.is_empty() {
            true => Vec::new(),
            false => vec![format!("say which one: {}", listed(&choices))],
        };
        return told(format!("`{name}` is ambiguous: more than one table has it"), "", help);
    }
    if text.contains("must appear in the GROUP BY clause") {
        let name = quoted.first().copied().unwrap_or_default();
        let known = |parent: &Parent| {
            parent.columns.as_ref().map(|columns| columns.iter().any(|c| c.eq_ignore_ascii_case(name)))
        };
        // In HAVING and behind GROUP BY, DuckDB says so of any name that it does not know.
        if !parents.is_empty() && parents.iter().all(|parent| known(parent) == Some(false)) {
            return no_column(name, None, Vec::new(), parents);
        }
        let help = format!("add it to the GROUP BY, or take one of its values with `any_value({name})`");
        return told(format!("`{name}` is neither grouped by nor aggregated"), "", vec![help]);
    }
    if let Some(rest) = text.strip_prefix("No function matches the given name and argument types ") {
        let call = rest.split('\'').nth(1).unwrap_or(rest);
        let offered: Vec<String> = signatures(text).map(|found| format!("there is `{found}`")).collect();
        let count = |call: &str| arguments(call).map(|all| all.len());
        if !offered.is_empty() && signatures(text).all(|found| !takes(found, count(call))) {
            let mut counts: Vec<usize> = signatures(text).filter_map(count).collect();
            counts.sort_unstable();
            counts.dedup();
            let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
            let name = call.split('(').next().unwrap_or(call);
            let mut help = vec![format!("it takes {} arguments", counts.join(" or "))];
            help.extend(offered.into_iter().take(3));
            let given = count(call).unwrap_or_default();
            let message = format!("`{name}` does not take {given} arguments: `{call}`");
            return told(message, "", help);
        }
        // An operator has dozens, which help nobody.
        let mut help = if offered.len() <= 3 { offered } else { Vec::new() };
        let is_date = |data_type: &&str| data_type.starts_with("TIMESTAMP") || *data_type == "DATE";
        let shifts = call.starts_with(['+', '-'])
            && arguments(call)
                .is_some_and(|all| all.iter().any(is_date) && all.iter().any(|t| t.contains("INT")));
        help.push(match shifts {
            true => "add an interval, as in `x + interval 1 day`".into(),
            false => "cast an argument, as in `x::varchar`".into(),
        });
        return told(format!("no function takes these types: `{call}`"), "", help);
    }
    if text.starts_with("Could not choose a best candidate function") {
        let call = quoted.first().copied().unwrap_or_default();
        let help = vec!["cast an argument, as in `x::varchar`".to_owned()];
        return told(format!("no function fits best: `{call}`"), "", help);
    }
    if let Some(rest) = text.strip_prefix("syntax error at or near ") {
        return told(format!("syntax error at or near `{}`", rest.trim_matches('"')), "", Vec::new());
    }
    if text.starts_with("Deprecated lambda arrow") {
        let help = "write `lambda x: x + 1` in place of `x -> x + 1`";
        return told("DuckDB's lambdas have no arrow any more".into(), "", vec![help.into()]);
    }
    let advice = ADVICE.iter().find(|(begin, _)| text.starts_with(begin)).map(|(_, advice)| *advice);
    let first = text.split("; ").next().unwrap_or(text).trim_end_matches(['!', '.']);
    let help = suggestion(error.name.as_deref().unwrap_or_default(), candidates(text, error));
    told(lowered(first), "", help.into_iter().chain(advice.map(str::to_owned)).collect())
}

/// What looks like a function and is grammar, so that DuckDB never offers it.
const FORMS: [&str; 12] = [
    "coalesce",
    "nullif",
    "cast",
    "try_cast",
    "extract",
    "substring",
    "position",
    "trim",
    "overlay",
    "row",
    "grouping",
    "exists",
];

/// What to do about sentences that say it badly or not at all.
const ADVICE: [(&str, &str); 4] = [
    (
        "Max expression depth limit",
        "nest it less: give parts of it names in a `WITH`, or models of their own",
    ),
    (
        "Set operations can only apply to expressions with the same number",
        "give every SELECT of it as many columns, or write `union all by name`, which fills up with NULL",
    ),
    ("WHERE clause cannot contain aggregates", "filter groups with HAVING, behind the GROUP BY"),
    ("WHERE clause cannot contain window functions", "filter what they give with QUALIFY"),
];

/// A column that is not there: in which parent it is not, and which is near.
fn no_column(name: &str, table: Option<&str>, candidates: Vec<&str>, parents: &[Parent]) -> Told {
    let asked: Vec<&Parent> = match table {
        Some(table) => parents.iter().filter(|parent| parent.alias.eq_ignore_ascii_case(table)).collect(),
        None => parents.iter().collect(),
    };
    let has =
        |parent: &Parent| parent.columns.iter().flatten().any(|column| column.eq_ignore_ascii_case(name));
    let message = match (table, asked.as_slice()) {
        (_, [parent]) if parent.columns.is_some() && !has(parent) => {
            format!("`{}` has no column `{name}`", parent.name)
        }
        (Some(table), _) => format!("`{table}` has no column `{name}`"),
        (None, _) => format!("there is no column `{name}` here"),
    };
    let known = asked.iter().flat_map(|parent| parent.columns.iter().flatten()).map(String::as_str);
    let mut help: Vec<String> = suggestion(name, candidates.into_iter().chain(known)).into_iter().collect();
    let mut said: Vec<&str> = Vec::new();
    for parent in asked {
        let Some(columns) = &parent.columns else { continue };
        if said.contains(&parent.name.as_str()) {
            continue;
        }
        said.push(&parent.name);
        help.push(match has(parent) {
            true => format!("`{}` has a column `{name}`, but it is not in reach here", parent.name),
            false => {
                let names: Vec<&str> = columns.iter().map(String::as_str).collect();
                format!("`{}` has {}", parent.name, listed(&names))
            }
        });
    }
    Told { code: None, message, label: "no such column".into(), help }
}

fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// Names that DuckDB offers, without what they are qualified with.
fn candidates<'a>(text: &'a str, error: &'a SqlError) -> Vec<&'a str> {
    let plain = |name: &'a str| name.rsplit('.').next().unwrap_or(name).trim_matches('"');
    let told = text.split("Candidate bindings:").nth(1).unwrap_or_default();
    let told = told.split('"').skip(1).step_by(2);
    error.candidates.iter().map(String::as_str).map(plain).chain(told.map(plain)).collect()
}

/// Function signatures that DuckDB offers.
fn signatures(text: &str) -> impl Iterator<Item = &str> {
    let offered = text.split("Candidate functions:").nth(1).unwrap_or_default();
    offered.split("; ").map(str::trim).filter(|line| !line.is_empty())
}

/// The types in a call or a signature: `f(A, B(1, 2))`.
fn arguments(call: &str) -> Option<Vec<&str>> {
    let (open, close) = (call.find('(')?, call.rfind(" -> ").unwrap_or(call.len()));
    let inner = call.get(open + 1..close)?.trim().strip_suffix(')')?;
    let (mut all, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                all.push(inner[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner.trim().is_empty() {
        all.push(inner[from..].trim());
    }
    // `/` and `*` part what is told by place from what is told by name.
    all.retain(|argument| !["/", "*"].contains(argument));
    Some(all)
}

/// Whether a signature takes so many arguments; one that cannot be read takes any.
fn takes(signature: &str, count: Option<usize>) -> bool {
    let known = arguments(signature).filter(|all| !all.iter().any(|one| one.contains("...")));
    known.is_none_or(|all| Some(all.len()) == count)
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    crate::words::listed(&names, LISTED)
}

/// A sentence as a part of another: its first letter is small, unless the word is all capitals.
pub fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}
