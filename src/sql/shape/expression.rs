//! The digests of expressions: references become what they refer to, and only what is computed counts.

use serde_json::Value;

use super::digest::{Digest, compared, hash, together};
use super::operator::Walk;
use crate::sql::plan::{list, text};

/// Members that say how a plan is written or laid out, not what it computes.
const SILENT: [&str; 16] = [
    "alias",
    "return_type",
    "query_location",
    "query_location_length",
    "table_index",
    "group_index",
    "aggregate_index",
    "groupings_index",
    "window_index",
    "unnest_index",
    "mark_index",
    "pivot_index",
    "has_serialize",
    "parameter_names",
    "is_operator",
    "function_data",
];

impl Walk<'_> {
    pub(super) fn each(&mut self, expressions: &[Value], input: &[Digest]) -> Result<Vec<Digest>, String> {
        expressions.iter().map(|expression| self.expression(expression, input)).collect()
    }

    pub(super) fn list(
        &mut self,
        name: &str,
        expressions: &[Value],
        input: &[Digest],
    ) -> Result<Digest, String> {
        let all = self.each(expressions, input)?;
        Ok(hash(name, &all))
    }

    /// An expression, or anything that holds some.
    pub(super) fn expression(&mut self, value: &Value, input: &[Digest]) -> Result<Digest, String> {
        self.spend()?;
        match value {
            Value::Array(items) => self.list("list", items, input),
            Value::Object(members) => {
                match members.get("expression_class").and_then(Value::as_str) {
                    Some("BOUND_REF") => {
                        let at = reference(value).and_then(|at| input.get(at));
                        return Ok(*at.ok_or("a reference out of range")?);
                    }
                    Some("BOUND_COLUMN_REF" | "BOUND_SUBQUERY") => {
                        return Err("an expression that is not bound to its input".into());
                    }
                    // Its body counts its parameters and captures, which are arguments beside it.
                    Some("BOUND_LAMBDA") => return self.raw(members.get("lambda_expr")),
                    _ => {}
                }
                let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
                if let ("COMPARE_IN", [one, others @ ..]) = (kind, list(value, "children")) {
                    let one = self.expression(one, input)?;
                    let others = self.each(others, input)?;
                    let equal = others.into_iter().map(|other| compared("COMPARE_EQUAL", [one, other]));
                    return Ok(together("CONJUNCTION_OR", equal.collect()));
                }
                if ["CONJUNCTION_AND", "CONJUNCTION_OR"].contains(&kind) {
                    let parts = parts_of(value, kind).into_iter().map(|part| self.expression(part, input));
                    return Ok(together(kind, parts.collect::<Result<_, _>>()?));
                }
                if let (true, [one, other]) = (kind.starts_with("COMPARE_"), list(value, "children")) {
                    return Ok(compared(
                        kind,
                        [self.expression(one, input)?, self.expression(other, input)?],
                    ));
                }
                let function = members.get("qname").and_then(|name| name.get("path")?.as_array()?.last());
                let function = function.and_then(Value::as_str).unwrap_or_default();
                let mut parts = Vec::new();
                for (name, member) in members {
                    let inside = match name.as_str() {
                        // What it is cast to, and the names of a struct's fields, stand in the type alone.
                        "return_type" if ["__cast", "struct_pack", "row"].contains(&function) => {
                            self.raw(Some(member))?
                        }
                        "function_data" => self.raw(Some(member))?,
                        silent if SILENT.contains(&silent) => continue,
                        _ => self.expression(member, input)?,
                    };
                    parts.push(hash(name, [&inside]));
                }
                parts.sort_unstable();
                Ok(hash("expression", &parts))
            }
            scalar => Ok(hash(&scalar.to_string(), [])),
        }
    }

    /// Something whose references do not lead to the operator's input.
    pub(super) fn raw(&mut self, value: Option<&Value>) -> Result<Digest, String> {
        self.spend()?;
        Ok(match value {
            None => hash("nothing", []),
            Some(Value::Array(items)) => {
                let items: Vec<Digest> =
                    items.iter().map(|item| self.raw(Some(item))).collect::<Result<_, _>>()?;
                hash("list", &items)
            }
            Some(Value::Object(members)) => {
                let is_cast = members.get("qname").is_some_and(|name| name.to_string().contains("__cast"));
                let mut parts = Vec::new();
                for (name, member) in members {
                    let keeps = name == "function_data" || (name == "return_type" && is_cast);
                    if keeps || !SILENT.contains(&name.as_str()) {
                        parts.push(hash(name, [&self.raw(Some(member))?]));
                    }
                }
                parts.sort_unstable();
                hash("object", &parts)
            }
            Some(scalar) => hash(&scalar.to_string(), []),
        })
    }
}

/// The conditions that a conjunction of a kind is made of, however its parentheses stand.
pub(super) fn parts_of<'v>(condition: &'v Value, kind: &str) -> Vec<&'v Value> {
    match text(condition, "type") == kind {
        true => list(condition, "children").iter().flat_map(|part| parts_of(part, kind)).collect(),
        false => vec![condition],
    }
}

/// What must hold for a condition to hold.
pub(super) fn conjuncts(condition: &Value) -> Vec<&Value> {
    parts_of(condition, "CONJUNCTION_AND")
}

/// The input column that an expression is, if it is nothing but a reference.
pub(super) fn reference(expression: &Value) -> Option<usize> {
    let is_reference = expression.get("expression_class")?.as_str()? == "BOUND_REF";
    let at = usize::try_from(expression.get("index")?.as_u64()?).ok()?;
    is_reference.then_some(at)
}
