//! Operators of the plan: the walk from the tables up to the query's outputs.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value;

use super::deps::{Deps, Kind, Names};
use super::expression::{as_reference, deps, holds_expression, is_fixed, takes_order};
use super::relation::{Column, Delim, Relation, moved};
use super::{ColumnLineage, Lineage};
use crate::names;
use crate::sql::plan::{index, list};

/// Nested operators. A chain of CTEs takes two levels for each.
const MAX_DEPTH: usize = 600;
/// Expressions and operators looked at in one plan, fixpoints of recursive CTEs included.
const BUDGET: usize = 5_000_000;
/// Rounds of a recursive CTE. Each adds a dependency, so that real ones end after a few.
const MAX_ROUNDS: usize = 200;

/// Members of operators that may hold expressions; one in another place is not understood.
const READ: [&str; 13] = [
    "children",
    "function_data",
    "collection",
    "expressions",
    "groups",
    "orders",
    "order_by",
    "distinct_targets",
    "limit_val",
    "offset_val",
    "conditions",
    "condition",
    "bound_pivot",
];

/// A CTE, with the part that its columns have in joins of a correlated subquery.
type Cte = (Rc<Relation>, Delim);

/// A walk over one plan.
pub(super) struct Walk {
    pub names: Names,
    pub tables: BTreeSet<names::Relation>,
    pub reasons: BTreeSet<String>,
    pub budget: usize,
    ctes: HashMap<u64, Cte>,
    depth: usize,
}

/// What a part of the walk gives; an error makes every output unknown.
pub(super) type Walked<T> = Result<T, String>;

impl Walk {
    pub fn new() -> Self {
        Self {
            names: Names::default(),
            tables: BTreeSet::new(),
            reasons: BTreeSet::new(),
            budget: BUDGET,
            ctes: HashMap::new(),
            depth: 0,
        }
    }

    /// A whole answer of `json_serialize_plan`, or one plan out of it.
    pub fn query(mut self, plan: &Value, outputs: &[String]) -> Walked<Lineage> {
        if plan.get("error").and_then(Value::as_bool) == Some(true) {
            let text = |key| plan.get(key).and_then(Value::as_str).unwrap_or("unknown");
            let message = text("error_message").lines().next().unwrap_or_default();
            return Err(format!("duckdb gives no plan: {}: {message}", text("error_type")));
        }
        let root = match plan.get("plans").map(|plans| plans.as_array().map(Vec::as_slice)) {
            None => plan,
            Some(Some([plan])) => plan,
            Some(_) => return Err("not one statement".into()),
        };
        let relation = self.operator(root)?.settled();
        if relation.columns.len() != outputs.len() {
            return Err(format!(
                "the plan has {} columns, the query {}",
                relation.columns.len(),
                outputs.len()
            ));
        }
        let columns = relation.columns.iter().zip(outputs).map(|(column, output)| ColumnLineage {
            output: output.clone(),
            value: self.names.columns(&column.deps.value),
            influence: self.names.columns(&column.deps.influence),
            unknown: column.deps.unknown || relation.rows.unknown,
        });
        Ok(Lineage {
            columns: columns.collect(),
            rows: self.names.columns(&relation.rows.influence),
            tables: self.tables,
            reasons: self.reasons,
        })
    }

    /// The output of one operator.
    pub fn operator(&mut self, node: &Value) -> Walked<Relation> {
        self.budget = self.budget.checked_sub(1).ok_or("a plan too large to follow")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("a plan nested too deep to follow".into());
        }
        let relation = self.by_type(node);
        self.depth -= 1;
        relation
    }

    fn by_type(&mut self, node: &Value) -> Walked<Relation> {
        let kind = node.get("type").and_then(Value::as_str).ok_or("an operator without a type")?;
        for (name, member) in node.as_object().into_iter().flatten() {
            if !READ.contains(&name.as_str()) && holds_expression(member) {
                return Err(format!("the member {name} of {kind} in duckdb's plan is not known"));
            }
        }
        match kind.strip_prefix("LOGICAL_").unwrap_or(kind) {
            "GET" => self.get(node),
            "PROJECTION" => self.projection(node),
            "FILTER" => self.filter(node),
            "AGGREGATE_AND_GROUP_BY" => self.aggregate(node),
            "WINDOW" => self.window(node),
            "UNNEST" => self.unnest(node),
            "ORDER_BY" => self.order_by(node),
            "LIMIT" => self.limit(node),
            "DISTINCT" => self.distinct(node),
            "SAMPLE" => self.only_child(node),
            "PIVOT" => self.pivot(node),
            "UNION" | "EXCEPT" | "INTERSECT" => self.set_operation(node, kind),
            "MATERIALIZED_CTE" => self.cte(node),
            "RECURSIVE_CTE" => self.recursive_cte(node),
            "CTE_REF" => self.cte_ref(node),
            "EXPRESSION_GET" => self.values(node),
            "DUMMY_SCAN" => Ok(constants(1, index(node, "table_index"))),
            "CHUNK_GET" => Ok(constants(list(node, "column_ids").len(), index(node, "table_index"))),
            "EMPTY_RESULT" => Ok(constants(list(node, "bindings").len(), None)),
            "CROSS_PRODUCT" | "POSITIONAL_JOIN" | "COMPARISON_JOIN" | "ASOF_JOIN" | "ANY_JOIN" => {
                self.join(node, kind)
            }
            _ => Err(format!("the operator {kind} of duckdb's plan is not known")),
        }
    }

    /// The children's outputs, which must be so many.
    pub fn children<const N: usize>(&mut self, node: &Value) -> Walked<[Relation; N]> {
        let children = list(node, "children");
        if children.len() != N {
            return Err(format!("an operator with {} inputs in place of {N}", children.len()));
        }
        let mut relations = Vec::with_capacity(N);
        for child in children {
            relations.push(self.operator(child)?.settled());
        }
        relations.try_into().map_err(|_| "an operator with other inputs than counted".to_owned())
    }

    /// The child's output with the keys of its GROUP BY still apart.
    fn grouped_child(&mut self, node: &Value) -> Walked<Relation> {
        match list(node, "children") {
            [child] => self.operator(child),
            children => Err(format!("an operator with {} inputs in place of one", children.len())),
        }
    }

    fn only_child(&mut self, node: &Value) -> Walked<Relation> {
        let [child] = self.children(node)?;
        Ok(child)
    }

    /// What an expression over a relation depends on.
    pub fn deps(&mut self, expression: &Value, input: &[Column]) -> Walked<Deps> {
        deps(expression, input, &mut self.budget)
    }

    /// What several expressions depend on, as one influence.
    pub fn influence(&mut self, expressions: &[Value], input: &[Column]) -> Walked<Deps> {
        let mut all = Deps::default();
        for expression in expressions {
            let one = self.deps(expression, input)?;
            all.add(&one, Kind::Influence);
        }
        Ok(all)
    }

    /// Expressions over a relation as columns of a table.
    fn columns(&mut self, list: &[Value], input: &[Column], table: Option<u64>) -> Walked<Vec<Column>> {
        let mut columns = Vec::with_capacity(list.len());
        for (position, expression) in list.iter().enumerate() {
            let column = match as_reference(expression, input) {
                Some((_, column)) => column.clone(),
                None => Column { fixed: is_fixed(expression), ..Column::new(self.deps(expression, input)?) },
            };
            columns.push(column.bound(table, position));
        }
        Ok(columns)
    }

    fn projection(&mut self, node: &Value) -> Walked<Relation> {
        let child = self.grouped_child(node)?;
        let expressions = list(node, "expressions");
        let columns = self.columns(expressions, &child.columns, index(node, "table_index"))?;
        let kept: Vec<Option<usize>> = expressions
            .iter()
            .map(|expression| as_reference(expression, &child.columns).map(|(at, _)| at))
            .collect();
        let key = child.key.and_then(|key| moved(&key, |old| kept.iter().position(|at| *at == Some(old))));
        Ok(Relation { columns, key, ..child })
    }

    fn filter(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.only_child(node)?;
        let condition = self.influence(list(node, "expressions"), &child.columns)?;
        child.filter(&condition);
        child.project(node.get("projection_map"))
    }

    fn aggregate(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.grouped_child(node)?;
        let groups = list(node, "groups");
        let again: Option<Vec<usize>> =
            groups.iter().map(|group| as_reference(group, &child.columns).map(|(at, _)| at)).collect();
        let mut merged = Deps::default();
        match (&again, &child.key) {
            (Some(again), Some(key)) if again.iter().all(|at| key.contains(at)) => {
                // Groups of groups: the keys that are given up decide only over what is computed.
                let given_up = key.iter().filter(|at| !again.contains(at)).map(|at| &child.columns[*at]);
                for column in given_up.filter(|column| column.delim != Delim::Key) {
                    merged.add(&column.deps, Kind::Influence);
                }
                child.grouping = Deps::default();
            }
            _ => child = child.settled(),
        }
        let mut columns = self.columns(groups, &child.columns, index(node, "group_index"))?;
        let mut grouping = Deps::default();
        for column in columns.iter().filter(|column| column.delim != Delim::Key) {
            grouping.add(&column.deps, Kind::Influence);
        }
        let mut rows = child.rows;
        for (position, aggregate) in list(node, "expressions").iter().enumerate() {
            let mut found = self.deps(aggregate, &child.columns)?;
            found.add(&merged, Kind::Influence);
            if takes_order(aggregate) {
                found.add(&child.order, Kind::Influence);
            }
            columns.push(Column::new(found).bound(index(node, "aggregate_index"), position));
        }
        for position in 0..list(node, "grouping_functions").len() {
            columns.push(Column::default().bound(index(node, "groupings_index"), position));
        }
        let one_set = list(node, "grouping_sets").len() <= 1;
        let key = one_set.then(|| (0..groups.len()).collect::<Vec<usize>>());
        if key.as_ref().is_some_and(Vec::is_empty) {
            // One row, whatever the input is; what chose the input decides only what is in it.
            for column in &mut columns {
                column.deps.add(&rows, Kind::Influence);
            }
            rows = Deps::default();
        }
        Ok(Relation { columns, rows, grouping, key, ..Relation::default() })
    }

    fn window(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.only_child(node)?;
        let mut added = Vec::new();
        for (position, window) in list(node, "expressions").iter().enumerate() {
            let mut found = self.deps(window, &child.columns)?;
            if list(window, "orders").is_empty() {
                found.add(&child.order, Kind::Influence);
            }
            added.push(Column::new(found).bound(index(node, "window_index"), position));
        }
        child.columns.extend(added);
        Ok(child)
    }

    fn unnest(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.only_child(node)?;
        let mut added = Vec::new();
        for (position, unnest) in list(node, "expressions").iter().enumerate() {
            let found = self.deps(unnest, &child.columns)?;
            let from = unnest.get("child").unwrap_or(&Value::Null);
            let fixed = as_reference(from, &child.columns).map_or(is_fixed(from), |(_, column)| column.fixed);
            if !fixed {
                child.rows.add(&found, Kind::Influence);
            }
            added.push(Column::new(found).bound(index(node, "unnest_index"), position));
        }
        child.columns.extend(added);
        child.key = None;
        Ok(child)
    }

    fn order_by(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.only_child(node)?;
        child.order = self.influence(list(node, "orders"), &child.columns)?;
        child.project(node.get("projection_map"))
    }

    fn limit(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.only_child(node)?;
        let mut chosen = child.order.clone();
        for name in ["limit_val", "offset_val"] {
            let Some(value) = node.get(name) else { continue };
            match value.get("expression") {
                Some(expression) => {
                    let found = self.deps(expression, &child.columns)?;
                    chosen.add(&found, Kind::Influence);
                }
                None => chosen.unknown |= holds_expression(value),
            }
        }
        child.filter(&chosen);
        Ok(child)
    }

    fn distinct(&mut self, node: &Value) -> Walked<Relation> {
        let mut child = self.only_child(node)?;
        let mut chosen = self.influence(list(node, "distinct_targets"), &child.columns)?;
        if let Some(order) = node.get("order_by") {
            let found = self.influence(list(order, "orders"), &child.columns)?;
            chosen.add(&found, Kind::Influence);
            chosen.unknown |= list(order, "orders").is_empty() && holds_expression(order);
        }
        if node.get("distinct_type").and_then(Value::as_str) != Some("DISTINCT") {
            // DISTINCT ON keeps the first row of each.
            chosen.add(&child.order, Kind::Influence);
        }
        child.filter(&chosen);
        Ok(child)
    }

    /// A PIVOT of many values: groups, then a list for each aggregate, then the names that the values stand under.
    fn pivot(&mut self, node: &Value) -> Walked<Relation> {
        let child = self.grouped_child(node)?;
        let pivot = node.get("bound_pivot").ok_or("a pivot without its values")?;
        let groups = index(pivot, "group_count").and_then(|count| usize::try_from(count).ok());
        let groups = groups.ok_or("a pivot without its groups")?;
        let aggregates = list(pivot, "aggregates").len();
        if aggregates == 0 || child.columns.len() <= groups.saturating_add(aggregates) {
            return Err("a pivot of another form".into());
        }
        let table = index(node, "pivot_index");
        let mut columns = child.columns[..groups].to_vec();
        for at in 0..list(pivot, "pivot_values").len() {
            let mut found = child.columns[groups + at % aggregates].deps.clone();
            for name in &child.columns[groups + aggregates..] {
                found.add(&name.deps, Kind::Influence);
            }
            columns.push(Column::new(found));
        }
        let bound = columns.into_iter().enumerate().map(|(at, column)| column.bound(table, at));
        Ok(Relation { columns: bound.collect(), ..child })
    }

    fn set_operation(&mut self, node: &Value, kind: &str) -> Walked<Relation> {
        let mut all: Option<Relation> = None;
        let mut compared = Deps::default();
        for child in list(node, "children") {
            let child = self.operator(child)?.settled();
            for column in &child.columns {
                compared.add(&column.deps, Kind::Influence);
            }
            let Some(first) = &mut all else {
                all = Some(child);
                continue;
            };
            if first.columns.len() != child.columns.len() {
                return Err("a set operation over different numbers of columns".into());
            }
            for (column, other) in first.columns.iter_mut().zip(&child.columns) {
                // EXCEPT hands on rows of its first side only.
                if kind != "LOGICAL_EXCEPT" {
                    column.deps.add(&other.deps, Kind::Value);
                }
                (column.delim, column.fixed) = (Delim::No, false);
            }
            first.filter(&child.rows);
        }
        let mut all = all.ok_or("a set operation over nothing")?;
        if kind != "LOGICAL_UNION" || node.get("setop_all").and_then(Value::as_bool) != Some(true) {
            all.filter(&compared);
        }
        let table = index(node, "table_index");
        let columns = all.columns.into_iter().enumerate();
        let columns = columns.map(|(at, column)| column.bound(table, at)).collect();
        Ok(Relation { columns, rows: all.rows, ..Relation::default() })
    }

    fn cte(&mut self, node: &Value) -> Walked<Relation> {
        let [definition, body] = list(node, "children") else {
            return Err("a CTE without its two parts".into());
        };
        let number = index(node, "table_index").ok_or("a CTE without a number")?;
        let mut relation = self.operator(definition)?;
        let mut delim = Delim::No;
        let name = node.get("ctename").and_then(Value::as_str).unwrap_or_default();
        if name == format!("__duckdb_delim_{number}") {
            delim = Delim::Outer;
        } else if name == format!("__duckdb_delim_dedup_{number}")
            && index(definition, "group_index").is_some()
        {
            relation.rows = self.only_child(definition)?.rows;
            relation.grouping = Deps::default();
            delim = Delim::Key;
        }
        let before = self.ctes.insert(number, (Rc::new(relation), delim));
        let body = self.operator(body);
        match before {
            Some(before) => self.ctes.insert(number, before),
            None => self.ctes.remove(&number),
        };
        body
    }

    fn recursive_cte(&mut self, node: &Value) -> Walked<Relation> {
        let [anchor, step] = list(node, "children") else {
            return Err("a recursive CTE without its two parts".into());
        };
        let number = index(node, "table_index").ok_or("a CTE without a number")?;
        if !list(node, "key_targets").is_empty() {
            return Err("a recursive CTE with USING KEY is not followed".into());
        }
        let anchor = self.operator(anchor)?.settled();
        let columns = anchor.columns.into_iter().enumerate().map(|(at, column)| Column {
            delim: Delim::No,
            fixed: false,
            ..column.bound(Some(number), at)
        });
        let mut all = Relation { columns: columns.collect(), rows: anchor.rows, ..Relation::default() };
        let distinct = node.get("union_all").and_then(Value::as_bool) != Some(true);
        for _ in 0..MAX_ROUNDS {
            let before = all.clone();
            self.ctes.insert(number, (Rc::new(all.clone()), Delim::No));
            let next = self.operator(step);
            self.ctes.remove(&number);
            let next = next?.settled();
            if next.columns.len() != all.columns.len() {
                return Err("a recursive CTE over different numbers of columns".into());
            }
            for (column, other) in all.columns.iter_mut().zip(&next.columns) {
                column.deps.add(&other.deps, Kind::Value);
            }
            all.filter(&next.rows);
            if distinct {
                for column in &all.columns {
                    all.rows.add(&column.deps, Kind::Influence);
                }
            }
            if all == before {
                return Ok(all);
            }
        }
        Err("a recursive CTE that does not settle".into())
    }

    fn cte_ref(&mut self, node: &Value) -> Walked<Relation> {
        let number = index(node, "cte_index").ok_or("a reference to a CTE without its number")?;
        let (relation, delim) = self.ctes.get(&number).ok_or("a reference to a CTE out of sight")?;
        if list(node, "bound_columns").len() != relation.columns.len() {
            return Err("a reference to a CTE with other columns".into());
        }
        let table = index(node, "table_index");
        let columns = relation.columns.iter().cloned().enumerate().map(|(at, column)| {
            let column = column.bound(table, at);
            // A key stays one among the outer rows of a subquery within the subquery.
            Column { delim: column.delim.max(*delim), ..column }
        });
        Ok(Relation {
            columns: columns.collect(),
            rows: relation.rows.clone(),
            grouping: relation.grouping.clone(),
            order: relation.order.clone(),
            key: relation.key.clone(),
        })
    }

    fn values(&mut self, node: &Value) -> Walked<Relation> {
        let child = self.only_child(node)?;
        let width = list(node, "expr_types").len();
        let mut columns = constants(width, index(node, "table_index")).columns;
        for row in list(node, "expressions") {
            let row = row.as_array().filter(|row| row.len() == width).ok_or("a row of another width")?;
            for (column, expression) in columns.iter_mut().zip(row) {
                let found = self.deps(expression, &child.columns)?;
                column.deps.add(&found, Kind::Value);
            }
        }
        Ok(Relation { columns, key: None, ..child })
    }
}

/// Columns without any source.
fn constants(count: usize, table: Option<u64>) -> Relation {
    let columns = (0..count).map(|at| Column::default().bound(table, at)).collect();
    Relation { columns, ..Relation::default() }
}
