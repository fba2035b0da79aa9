//! Expressions of the plan: the references in them, each as a value or as an influence.

use serde_json::{Map, Value};

use super::deps::{Deps, Kind};
use super::relation::Column;

/// How the members of an expression are used. Those that are in neither list and hold an expression are not understood.
const VALUES: [&str; 9] =
    ["children", "child", "input", "lower", "upper", "case_checks", "then_expr", "else_expr", "default_expr"];
const INFLUENCES: [&str; 11] = [
    "when_expr",
    "filter",
    "filters",
    "filter_expr",
    "partitions",
    "orders",
    "order_bys",
    "arg_orders",
    "start_expr",
    "end_expr",
    "offset_expr",
];

/// Classes whose meaning is known.
const KNOWN: [&str; 15] = [
    "BOUND_AGGREGATE",
    "BOUND_BETWEEN",
    "BOUND_CASE",
    "BOUND_CAST",
    "BOUND_COLUMN_REF",
    "BOUND_COMPARISON",
    "BOUND_CONJUNCTION",
    "BOUND_CONSTANT",
    "BOUND_FUNCTION",
    "BOUND_LAMBDA",
    "BOUND_OPERATOR",
    "BOUND_PARAMETER",
    "BOUND_REF",
    "BOUND_UNNEST",
    "BOUND_WINDOW",
];

/// Aggregates whose result depends on the order of their input.
const ORDERED: [&str; 10] = [
    "first",
    "last",
    "any_value",
    "arbitrary",
    "first_value",
    "list",
    "array_agg",
    "string_agg",
    "group_concat",
    "listagg",
];

/// What an expression depends on, given the columns that it refers to. `budget` is the work left to do.
pub(super) fn deps(root: &Value, input: &[Column], budget: &mut usize) -> Result<Deps, String> {
    let mut found = Deps::default();
    let mut work = vec![(root, Kind::Value)];
    while let Some((value, kind)) = work.pop() {
        *budget = budget.checked_sub(1).ok_or("a plan too large to follow")?;
        match value {
            Value::Array(items) => work.extend(items.iter().map(|item| (item, kind))),
            Value::Object(members) => match members.get("expression_class") {
                Some(class) => expression(class, members, kind, input, &mut work, &mut found),
                // What holds expressions and is none: a list of orders, one WHEN with its THEN.
                None => {
                    for (name, member) in members {
                        match name.as_str() {
                            "expression" => work.push((member, kind)),
                            _ => follow(name, member, kind, &mut work, &mut found),
                        }
                    }
                }
            },
            Value::Null => {}
            _ => found.unknown = true,
        }
    }
    Ok(found)
}

fn expression<'a>(
    class: &Value,
    members: &'a Map<String, Value>,
    kind: Kind,
    input: &[Column],
    work: &mut Vec<(&'a Value, Kind)>,
    found: &mut Deps,
) {
    let class = class.as_str().unwrap_or_default();
    if !KNOWN.contains(&class) {
        found.unknown = true;
    }
    match class {
        "BOUND_REF" | "BOUND_COLUMN_REF" => match reference(members, input) {
            Some(column) => found.add(&column.deps, kind),
            None => found.unknown = true,
        },
        // A lambda's references are its own parameters; what it takes along stands beside it as a child of the function.
        "BOUND_LAMBDA" | "BOUND_CONSTANT" | "BOUND_PARAMETER" => {}
        _ => {
            let argument = |at: usize| if at > 0 && chooses(members, at) { Kind::Influence } else { kind };
            for (name, member) in members {
                match (name.as_str(), member) {
                    // The bind data of a function repeats its lambda.
                    ("function_data", _) => {}
                    ("children", Value::Array(children)) => {
                        work.extend(children.iter().enumerate().map(|(at, child)| (child, argument(at))));
                    }
                    _ => follow(name, member, kind, work, found),
                }
            }
        }
    }
}

fn follow<'a>(
    name: &str,
    member: &'a Value,
    kind: Kind,
    work: &mut Vec<(&'a Value, Kind)>,
    found: &mut Deps,
) {
    if INFLUENCES.contains(&name) {
        work.push((member, Kind::Influence));
    } else if VALUES.contains(&name) {
        work.push((member, kind));
    } else if holds_expression(member) {
        found.unknown = true;
    }
}

/// Whether an argument of a function only chooses among others.
fn chooses(members: &Map<String, Value>, argument: usize) -> bool {
    let kind = members.get("type").and_then(Value::as_str);
    if let Some("WINDOW_LAG" | "WINDOW_LEAD" | "WINDOW_NTH_VALUE") = kind {
        return argument == 1;
    }
    match function(members) {
        Some("list_filter" | "array_filter" | "filter") => true,
        Some(name) => ["arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by"]
            .iter()
            .any(|by| name.starts_with(by)),
        None => false,
    }
}

/// A function's bare name.
pub(super) fn function(members: &Map<String, Value>) -> Option<&str> {
    members.get("qname")?.get("path")?.as_array()?.last()?.as_str()
}

/// Whether an aggregate takes its input in the order in which it comes.
pub(in crate::sql) fn takes_order(aggregate: &Value) -> bool {
    let Some(members) = aggregate.as_object() else { return true };
    let sorted = members.get("order_bys").is_some_and(|orders| !orders.is_null());
    !sorted && function(members).is_some_and(|name| ORDERED.contains(&name))
}

/// The input column that an expression is, if it is nothing but a reference.
pub(super) fn as_reference<'a>(expression: &Value, input: &'a [Column]) -> Option<(usize, &'a Column)> {
    let members = expression.as_object()?;
    let found = reference(members, input)?;
    let position = input.iter().position(|column| std::ptr::eq(column, found))?;
    Some((position, found))
}

/// Whether a list is as long whatever the data is.
pub(super) fn is_fixed(expression: &Value) -> bool {
    let class = expression.get("expression_class").and_then(Value::as_str);
    class == Some("BOUND_CONSTANT")
        || expression.as_object().and_then(function).is_some_and(|f| f == "list_value" || f == "unpivot_list")
}

fn reference<'a>(members: &Map<String, Value>, input: &'a [Column]) -> Option<&'a Column> {
    match members.get("expression_class")?.as_str()? {
        "BOUND_REF" => input.get(usize::try_from(members.get("index")?.as_u64()?).ok()?),
        "BOUND_COLUMN_REF" => {
            let binding = members.get("binding")?;
            let wanted = (binding.get("table_index")?.as_u64()?, binding.get("column_index")?.as_u64()?);
            // One of an outer query would need that query's columns.
            let depth = members.get("depth").and_then(Value::as_u64).unwrap_or(0);
            input.iter().find(|column| depth == 0 && column.binding == Some(wanted))
        }
        _ => None,
    }
}

/// Whether there is an expression in a member of a plan, at most a few levels down.
pub(super) fn holds_expression(value: &Value) -> bool {
    let mut work = vec![(value, 4)];
    while let Some((value, levels)) = work.pop() {
        match value {
            Value::Object(members) if members.contains_key("expression_class") => return true,
            Value::Object(members) if levels > 0 => {
                work.extend(members.values().map(|member| (member, levels - 1)));
            }
            Value::Array(items) if levels > 0 => work.extend(items.iter().map(|item| (item, levels - 1))),
            _ => {}
        }
    }
    false
}
