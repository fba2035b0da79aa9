//! The walk over a plan's operators: what each makes of the rows and columns below it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::Clause;
use super::digest::{Digest, compared, hash};
use super::expression::{conjuncts, reference};
use super::output::{Output, Rows, Seen, moved};
use crate::sql::lineage::takes_order;
use crate::sql::plan::{index, list, text};

/// Nested operators, as in the walk for lineage.
const MAX_DEPTH: usize = 600;
/// Operators and expressions looked at: a CTE is walked where it is used, each time.
const BUDGET: usize = 400_000;

/// A walk over a plan, from its root.
pub(super) struct Walk<'a> {
    pub(super) table: &'a dyn Fn(&str, &str) -> String,
    /// How often each table was scanned: two scans of one table are two things.
    pub(super) seen: HashMap<String, u64>,
    /// The definitions of CTEs in sight; a recursion's own columns while it is walked.
    pub(super) ctes: HashMap<u64, Cte<'a>>,
    pub(super) clauses: BTreeMap<Clause, BTreeSet<Digest>>,
    pub(super) depth: usize,
    pub(super) budget: usize,
}

#[derive(Clone)]
pub(super) enum Cte<'a> {
    Defined(&'a Value),
    Recursive(Output),
}

impl<'a> Walk<'a> {
    /// `table` names a scanned table by its schema and name.
    pub(super) fn new(table: &'a dyn Fn(&str, &str) -> String) -> Self {
        Self {
            table,
            seen: HashMap::new(),
            ctes: HashMap::new(),
            clauses: BTreeMap::new(),
            depth: 0,
            budget: BUDGET,
        }
    }

    pub(super) fn operator(&mut self, node: &'a Value) -> Result<Output, String> {
        self.spend()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("a plan nested too deep to follow".into());
        }
        let output = self.by_type(node);
        self.depth -= 1;
        output
    }

    pub(super) fn spend(&mut self) -> Result<(), String> {
        self.budget = self.budget.checked_sub(1).ok_or("a plan too large to follow")?;
        Ok(())
    }

    fn by_type(&mut self, node: &'a Value) -> Result<Output, String> {
        let kind = text(node, "type");
        match kind.strip_prefix("LOGICAL_").unwrap_or(kind) {
            "GET" => self.get(node),
            "PROJECTION" => self.projection(node),
            "FILTER" => self.filter(node),
            "AGGREGATE_AND_GROUP_BY" => self.aggregate(node),
            "WINDOW" => self.window(node),
            "UNNEST" => self.unnest(node),
            "ORDER_BY" => {
                let mut child = self.only_child(node)?;
                child.order = Some(self.list("orders", list(node, "orders"), &child.columns)?);
                child.project(node.get("projection_map"))
            }
            "LIMIT" => self.limit(node),
            "DISTINCT" => self.distinct(node),
            "UNION" | "EXCEPT" | "INTERSECT" => self.set_operation(node, kind),
            "MATERIALIZED_CTE" => self.cte(node),
            "RECURSIVE_CTE" => self.recursive_cte(node),
            "CTE_REF" => self.cte_ref(node),
            "DUMMY_SCAN" => {
                let one = hash("one row", []);
                Ok(Output::new(vec![one], Rows::of(one)))
            }
            "EXPRESSION_GET" => self.values(node),
            "CROSS_PRODUCT" | "POSITIONAL_JOIN" | "COMPARISON_JOIN" | "ASOF_JOIN" | "ANY_JOIN" => {
                self.join(node, kind)
            }
            other => Err(format!("the operator {other} of duckdb's plan is not known")),
        }
    }

    fn only_child(&mut self, node: &'a Value) -> Result<Output, String> {
        match list(node, "children") {
            [child] => self.operator(child),
            _ => Err("an operator without its one input".into()),
        }
    }

    fn note(&mut self, clause: Clause, digest: Digest) {
        self.clauses.entry(clause).or_default().insert(digest);
    }

    fn get(&mut self, node: &'a Value) -> Result<Output, String> {
        let names = list(node, "names");
        let path: Vec<&str> = node
            .pointer("/function_data/qualified_name/path")
            .and_then(Value::as_array)
            .map(|path| path.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let input = match list(node, "children") {
            [] => None,
            [input] => Some(self.operator(input)?),
            _ => return Err("a table function with several inputs".into()),
        };
        let table = match (path.as_slice(), &input) {
            ([.., schema, name], None) => (self.table)(schema, name),
            _ => {
                let mut parts = vec![self.raw(node.get("qname"))?, self.raw(node.get("parameters"))?];
                parts.push(self.raw(node.get("named_parameters"))?);
                parts.push(self.raw(node.get("function_data"))?);
                if let Some(input) = &input {
                    parts.extend(&input.columns);
                    parts.push(input.rows.settled());
                }
                format!("{:?}", hash("function", &parts))
            }
        };
        self.note(Clause::Table, hash(&table, []));
        let times = self.seen.entry(table.clone()).or_default();
        *times += 1;
        let scan = hash(&format!("{table} {times}"), []);
        let mut columns = Vec::new();
        for number in list(node, "column_indexes") {
            let number = number.get("index").and_then(Value::as_u64).unwrap_or(u64::MAX);
            let name = usize::try_from(number).ok().and_then(|at| names.get(at)).and_then(Value::as_str);
            let name = name.map_or_else(|| format!("#{number}"), str::to_lowercase);
            columns.push(hash(&name, [&scan]));
        }
        for position in list(node, "projected_input") {
            let at = position.as_u64().and_then(|at| usize::try_from(at).ok());
            let through = at.zip(input.as_ref()).and_then(|(at, input)| input.columns.get(at));
            columns.push(*through.ok_or("a table function hands through a column out of range")?);
        }
        Output::new(columns, Rows::of(scan)).project(node.get("projection_ids"))
    }

    fn projection(&mut self, node: &'a Value) -> Result<Output, String> {
        let child = self.only_child(node)?;
        let expressions = list(node, "expressions");
        let columns = self.each(expressions, &child.columns)?;
        let key = moved(child.key, |old| {
            expressions.iter().position(|expression| reference(expression) == Some(old))
        });
        Ok(Output { columns, key, rows: child.rows, order: child.order })
    }

    fn filter(&mut self, node: &'a Value) -> Result<Output, String> {
        let mut child = self.only_child(node)?;
        child.rows = child.rows.open();
        for expression in list(node, "expressions").iter().flat_map(conjuncts) {
            let condition = self.expression(expression, &child.columns)?;
            self.note(Clause::Filter, condition);
            child.rows.filters.insert(condition);
        }
        child.project(node.get("projection_map"))
    }

    fn aggregate(&mut self, node: &'a Value) -> Result<Output, String> {
        let child = self.only_child(node)?;
        let groups = self.each(list(node, "groups"), &child.columns)?;
        let sets = list(node, "grouping_sets");
        let mut sorted: Vec<Digest> = groups.clone();
        sorted.sort_unstable();
        if sets.len() > 1 {
            sorted = groups.clone();
            sorted.push(self.raw(node.get("grouping_sets"))?);
        }
        let grouping = hash("grouped", &sorted);
        if !groups.is_empty() {
            self.note(Clause::Grouping, grouping);
        }
        let mut columns = groups.clone();
        for aggregate in list(node, "expressions") {
            let mut digest = self.expression(aggregate, &child.columns)?;
            if let (true, Some(order)) = (takes_order(aggregate), child.order) {
                digest = hash("ordered", [&digest, &order]);
            }
            columns.push(hash("aggregate", [&digest]));
        }
        for at in 0..list(node, "grouping_functions").len() {
            columns.push(hash(&format!("grouping {at}"), [&grouping]));
        }
        let key = (sets.len() <= 1).then(|| (0..groups.len()).collect());
        let rows = Rows::of(hash("aggregated", [&grouping, &child.rows.settled()]));
        Ok(Output { columns, rows, order: None, key })
    }

    fn window(&mut self, node: &'a Value) -> Result<Output, String> {
        let mut child = self.only_child(node)?;
        for window in list(node, "expressions") {
            let mut digest = self.expression(window, &child.columns)?;
            if let (true, Some(order)) = (list(window, "orders").is_empty(), child.order) {
                digest = hash("ordered", [&digest, &order]);
            }
            child.columns.push(digest);
        }
        child.rows.seen = Seen::ByWindow;
        Ok(child)
    }

    fn unnest(&mut self, node: &'a Value) -> Result<Output, String> {
        let mut child = self.only_child(node)?;
        let lists = self.each(list(node, "expressions"), &child.columns)?;
        let all = hash("unnested", &lists);
        self.note(Clause::Unnest, all);
        child.columns.extend(lists.iter().map(|list| hash("element", [list])));
        child.rows = Rows::of(hash("unnested", [&all, &child.rows.settled()]));
        child.key = None;
        Ok(child)
    }

    fn limit(&mut self, node: &'a Value) -> Result<Output, String> {
        let mut child = self.only_child(node)?;
        let mut parts = Vec::new();
        for name in ["limit_val", "offset_val"] {
            parts.push(match node.get(name) {
                Some(value) => self.expression(value, &child.columns)?,
                None => hash("none", []),
            });
        }
        parts.extend(child.order);
        let limit = hash("limit", &parts);
        self.note(Clause::Limit, limit);
        child.rows = Rows::of(hash("limited", [&limit, &child.rows.settled()]));
        Ok(child)
    }

    fn distinct(&mut self, node: &'a Value) -> Result<Output, String> {
        let mut child = self.only_child(node)?;
        let mut parts = self.each(list(node, "distinct_targets"), &child.columns)?;
        parts.sort_unstable();
        if text(node, "distinct_type") != "DISTINCT" {
            parts.push(hash("on", child.order.as_ref()));
            if let Some(order) = node.get("order_by") {
                parts.push(self.expression(order, &child.columns)?);
            }
        }
        let distinct = hash("distinct", &parts);
        self.note(Clause::Distinct, distinct);
        child.rows = Rows::of(hash("distinct", [&distinct, &child.rows.settled()]));
        Ok(child)
    }

    fn set_operation(&mut self, node: &'a Value, kind: &str) -> Result<Output, String> {
        let mut sides = Vec::new();
        for child in list(node, "children") {
            sides.push(self.operator(child)?);
        }
        if kind != "LOGICAL_EXCEPT" {
            sides.sort_by_cached_key(|side| (side.rows.settled(), hash("columns", &side.columns)));
        }
        let width = sides.first().map_or(0, |side| side.columns.len());
        if sides.iter().any(|side| side.columns.len() != width) {
            return Err("a set operation over different numbers of columns".into());
        }
        let columns: Vec<Digest> = (0..width)
            .map(|at| hash(kind, sides.iter().map(|side| &side.columns[at]).collect::<Vec<_>>()))
            .collect();
        let all = node.get("setop_all").and_then(Value::as_bool) == Some(true);
        let mut parts: Vec<Digest> = sides.iter().map(|side| side.rows.settled()).collect();
        if !all {
            parts.extend(&columns);
        }
        let rows = hash(if all { "all" } else { "distinct" }, [&hash(kind, &parts)]);
        self.note(Clause::Combination, rows);
        Ok(Output::new(columns, Rows::of(rows)))
    }

    fn cte(&mut self, node: &'a Value) -> Result<Output, String> {
        let [definition, body] = list(node, "children") else {
            return Err("a CTE without its two parts".into());
        };
        let number = index(node, "table_index").ok_or("a CTE without a number")?;
        let before = self.ctes.insert(number, Cte::Defined(definition));
        let output = self.operator(body);
        match before {
            Some(before) => self.ctes.insert(number, before),
            None => self.ctes.remove(&number),
        };
        output
    }

    fn cte_ref(&mut self, node: &'a Value) -> Result<Output, String> {
        let number = index(node, "cte_index").ok_or("a reference to a CTE without its number")?;
        match self.ctes.get(&number).cloned().ok_or("a reference to a CTE out of sight")? {
            Cte::Defined(definition) => self.operator(definition),
            Cte::Recursive(output) => Ok(output),
        }
    }

    fn recursive_cte(&mut self, node: &'a Value) -> Result<Output, String> {
        let [anchor, step] = list(node, "children") else {
            return Err("a recursive CTE without its two parts".into());
        };
        let number = index(node, "table_index").ok_or("a CTE without a number")?;
        let anchor = self.operator(anchor)?;
        let level = self.depth;
        let own = (0..anchor.columns.len()).map(|at| hash(&format!("recursion {level} {at}"), []));
        let own = Output::new(own.collect(), Rows::of(hash(&format!("recursion {level}"), [])));
        self.ctes.insert(number, Cte::Recursive(own));
        let step = self.operator(step);
        self.ctes.remove(&number);
        let step = step?;
        let columns: Vec<Digest> = anchor
            .columns
            .iter()
            .zip(&step.columns)
            .map(|(one, next)| hash("recursive", [one, next]))
            .collect();
        let mut parts = vec![anchor.rows.settled(), step.rows.settled()];
        parts.push(self.raw(node.get("union_all"))?);
        parts.push(self.raw(node.get("key_targets"))?);
        let rows = hash("recursive", &parts);
        self.note(Clause::Other, rows);
        Ok(Output::new(columns, Rows::of(rows)))
    }

    fn values(&mut self, node: &'a Value) -> Result<Output, String> {
        let child = self.only_child(node)?;
        let width = list(node, "expr_types").len();
        let mut columns = vec![Vec::new(); width];
        let mut all = Vec::new();
        for row in list(node, "expressions") {
            let row = row.as_array().filter(|row| row.len() == width).ok_or("a row of another width")?;
            for (column, expression) in columns.iter_mut().zip(row) {
                let digest = self.expression(expression, &child.columns)?;
                column.push(digest);
                all.push(digest);
            }
        }
        let rows = hash("values", &all);
        self.note(Clause::Table, rows);
        Ok(Output::new(columns.iter().map(|column| hash("values", column)).collect(), Rows::of(rows)))
    }

    fn join(&mut self, node: &'a Value, kind: &str) -> Result<Output, String> {
        let [left, right] = list(node, "children") else { return Err("a join without two sides".into()) };
        let (left, right) = (self.operator(left)?, self.operator(right)?);
        let mut conditions = Vec::new();
        let mut equal = Vec::new();
        for condition in list(node, "conditions") {
            let (Some(one), Some(other)) = (condition.get("left"), condition.get("right")) else {
                return Err("a join condition without two sides".into());
            };
            let comparison = text(condition, "comparison");
            if let (Some(at), "COMPARE_EQUAL" | "COMPARE_NOT_DISTINCT_FROM") = (reference(other), comparison)
            {
                equal.push(at);
            }
            let sides = [self.expression(one, &left.columns)?, self.expression(other, &right.columns)?];
            conditions.push(compared(comparison, sides));
        }
        if let Some(condition) = node.get("condition").filter(|condition| !condition.is_null()) {
            let columns: Vec<Digest> = left.columns.iter().chain(&right.columns).copied().collect();
            for part in conjuncts(condition) {
                conditions.push(self.expression(part, &columns)?);
            }
        }
        conditions.sort_unstable();
        let join_type = text(node, "join_type");
        let in_any_order = ["LOGICAL_CROSS_PRODUCT", "LOGICAL_COMPARISON_JOIN", "LOGICAL_ANY_JOIN"];
        if ["", "INNER"].contains(&join_type) && in_any_order.contains(&kind) {
            let mut rows = left.rows.clone().and(right.rows.clone());
            for condition in conditions {
                self.note(Clause::Join, condition);
                rows.filters.insert(condition);
            }
            let mut columns = left.project(node.get("left_projection_map"))?.columns;
            columns.extend(right.project(node.get("right_projection_map"))?.columns);
            return Ok(Output::new(columns, rows));
        }
        let on = hash(&format!("{kind} {join_type}"), &conditions);
        let at_most_one = right.key.as_ref().is_some_and(|key| key.iter().all(|at| equal.contains(at)));
        let met = hash("met", [&on, &right.rows.settled()]);
        let (left_map, right_map) = (node.get("left_projection_map"), node.get("right_projection_map"));
        match join_type {
            "MARK" => {
                let mut left = left.project(left_map)?;
                left.columns.push(met);
                Ok(left)
            }
            _ if join_type == "SINGLE" || (join_type == "LEFT" && at_most_one) => {
                let mut left = left.project(left_map)?;
                let found = right.project(right_map)?.columns;
                left.columns.extend(found.iter().map(|column| hash("found", [column, &met])));
                Ok(left)
            }
            "SEMI" | "ANTI" => {
                self.note(Clause::Join, on);
                let mut left = left.project(left_map)?;
                left.rows = Rows::of(hash("joined", [&met, &left.rows.settled()]));
                Ok(left)
            }
            "RIGHT_SEMI" | "RIGHT_ANTI" => {
                self.note(Clause::Join, on);
                let mut right = right.project(right_map)?;
                let met = hash("met", [&on, &left.rows.settled()]);
                right.rows = Rows::of(hash("joined", [&met, &right.rows.settled()]));
                Ok(right)
            }
            "" | "INNER" | "LEFT" | "RIGHT" | "OUTER" | "FULL" => {
                self.note(Clause::Join, on);
                let mut parts = vec![met, left.rows.settled()];
                if kind == "LOGICAL_POSITIONAL_JOIN" {
                    parts.extend(left.order);
                    parts.extend(right.order);
                }
                let mut columns = left.project(left_map)?.columns;
                columns.extend(right.project(right_map)?.columns);
                Ok(Output::new(columns, Rows::of(hash("joined", &parts))))
            }
            other => Err(format!("the join type {other} of duckdb's plan is not known")),
        }
    }
}
