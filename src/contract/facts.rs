//! What a model's properties promise: the facts in its tests, its constraints and its columns that a contract could
//! state too.
//!
//! A test is a fact where it holds for all rows and fails the run; one that only warns, filters or counts is none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::diagnostic::{Located, Location};
use crate::manifest::{Object, Test, TestConfig, TestKind, TestSeverity};
use crate::project::Constraint;

/// The facts of one model. Columns are keyed in lower case, as DuckDB compares them.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Columns without NULL.
    pub required: BTreeMap<String, Location>,
    /// Columns without a value that occurs twice.
    pub unique: BTreeMap<String, Location>,
    /// The primary key that a constraint names.
    pub primary_key: Option<Located<Vec<String>>>,
    /// Combinations of columns without one that occurs twice.
    pub combinations: Vec<Located<Vec<String>>>,
    /// The values that may occur.
    pub accepted: BTreeMap<String, Located<Vec<Value>>>,
    /// Bounds of numbers, both inside; one of the two may be missing.
    pub ranges: BTreeMap<String, Located<Bounds>>,
    /// Columns whose values occur in another model.
    pub references: Vec<Reference>,
    /// Conditions that every row meets.
    pub checks: Vec<Located<String>>,
    /// Generic tests that none of the above says.
    pub others: Vec<OtherTest>,
    /// What cannot be said in a contract, in words.
    pub untold: Vec<Located<String>>,
}

/// The smallest and the largest number that may occur.
pub type Bounds = (Option<Value>, Option<Value>);

/// Columns whose values occur in another model.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Columns of this model.
    pub from: Vec<String>,
    /// The other model.
    pub model: String,
    /// Its columns.
    pub to: Vec<String>,
    /// Where it is said.
    pub at: Location,
}

/// A generic test that is no fact of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherTest {
    /// The column, as written.
    pub column: Option<String>,
    /// Its name: `dbt_utils.recency`.
    pub name: String,
    /// Its arguments.
    pub args: Object,
    /// Whether a failure only warns.
    pub severity: TestSeverity,
    /// Its filter.
    pub filter: Option<String>,
    /// Where it is declared.
    pub at: Location,
}

static REF: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r#"\bref\(\s*(?:['"][^'"]+['"]\s*,\s*)?['"]([^'"]+)['"]\s*\)"#)
        .expect("the pattern is valid")
});

impl Facts {
    /// Reads the facts of a model from the tests that its properties declare and from its constraints. `is_node` says
    /// whether a name is that of a model or seed.
    pub fn of<'a>(
        tests: impl IntoIterator<Item = &'a Test>,
        constraints: impl IntoIterator<Item = &'a Constraint>,
        is_node: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut facts = Self::default();
        let mut tests: Vec<&Test> = tests.into_iter().collect();
        tests.sort_by(|a, b| {
            (a.at.path(), a.at.span.start, &a.name).cmp(&(b.at.path(), b.at.span.start, &b.name))
        });
        for test in tests {
            facts.test(test, is_node);
        }
        for constraint in constraints {
            facts.constraint(constraint);
        }
        facts
    }

    fn test(&mut self, test: &Test, is_node: &dyn Fn(&str) -> bool) {
        let (name, args) = match &test.kind {
            TestKind::Generic { name, args } => (name.as_str(), args),
            TestKind::Singular { .. } => {
                let text = format!("the test `{}`, which is a query of its own", test.name);
                return self.untold.push(Located::new(text, test.at.clone()));
            }
            TestKind::Contract(_) => return,
        };
        let default = TestConfig::default();
        let config = &test.config;
        let counts = config.warn_if == default.warn_if
            && config.error_if == default.error_if
            && config.limit.is_none()
            && config.fail_calc == default.fail_calc;
        let plain = counts && config.where_clause.is_none() && config.severity == TestSeverity::Error;
        if !plain || !self.known(test, name, args, is_node) {
            if !counts {
                let text = format!("the test `{}`, which counts in a way of its own", test.name);
                return self.untold.push(Located::new(text, test.at.clone()));
            }
            // A rule of a contract reads the one model that it is about.
            let text = Value::Object(args.clone()).to_string();
            if text.contains("ref(") || text.contains("source(") {
                let text = format!("the test `{}`, which reads another model", test.name);
                return self.untold.push(Located::new(text, test.at.clone()));
            }
            self.others.push(OtherTest {
                column: test.column.clone(),
                name: name.to_owned(),
                args: args.clone(),
                severity: config.severity,
                filter: config.where_clause.clone(),
                at: test.at.clone(),
            });
        }
    }

    /// Takes a test in as a fact, if it is one.
    fn known(&mut self, test: &Test, name: &str, args: &Object, is_node: &dyn Fn(&str) -> bool) -> bool {
        let column = test.column.as_deref().map(key);
        let at = || test.at.clone();
        match (name, column) {
            ("not_null", Some(column)) => {
                self.required.entry(column).or_insert_with(at);
            }
            ("unique", Some(column)) => {
                self.unique.entry(column).or_insert_with(at);
            }
            ("dbt_utils.unique_combination_of_columns", _) => {
                let Some(columns) = texts(args.get("combination_of_columns")) else { return false };
                self.combinations.push(Located::new(columns, at()));
            }
            ("accepted_values", Some(column)) => {
                let Some(Value::Array(values)) = args.get("values") else { return false };
                let scalar = |value: &Value| !value.is_object() && !value.is_array();
                let known = args.keys().all(|key| key == "values" || key == "quote");
                if !known || !values.iter().all(scalar) || self.accepted.contains_key(&column) {
                    return false;
                }
                self.accepted.insert(column, Located::new(values.clone(), at()));
            }
            ("dbt_utils.accepted_range", Some(column)) => {
                let number = |key: &str| match args.get(key) {
                    None => Some(None),
                    Some(Value::Number(number)) => Some(Some(Value::Number(number.clone()))),
                    Some(_) => None,
                };
                let inside = args.get("inclusive").is_none_or(|value| value == &Value::Bool(true));
                let (Some(min), Some(max), true) = (number("min_value"), number("max_value"), inside) else {
                    return false;
                };
                if self.ranges.contains_key(&column) {
                    return false;
                }
                self.ranges.insert(column, Located::new((min, max), at()));
            }
            ("relationships", Some(_)) => {
                let text = |key: &str| args.get(key).and_then(Value::as_str);
                let (Some(to), Some(field), Some(from)) = (text("to"), text("field"), &test.column) else {
                    return false;
                };
                let Some(model) = REF.captures(to).map(|found| found[1].to_owned()) else { return false };
                if !is_node(&model) {
                    return false;
                }
                self.references.push(Reference {
                    from: vec![bare(from)],
                    model,
                    to: vec![bare(field)],
                    at: at(),
                });
            }
            _ => return false,
        }
        true
    }

    fn constraint(&mut self, constraint: &Constraint) {
        let at = || constraint.at.clone();
        match constraint.kind.as_str() {
            "not_null" => {
                for column in &constraint.columns {
                    self.required.entry(key(column)).or_insert_with(at);
                }
            }
            "unique" => match &constraint.columns[..] {
                [column] => {
                    self.unique.entry(key(column)).or_insert_with(at);
                }
                [] => {}
                columns => {
                    if !self.combinations.iter().any(|known| known.value == columns) {
                        self.combinations.push(Located::new(columns.to_vec(), at()));
                    }
                }
            },
            "primary_key" if !constraint.columns.is_empty() => {
                // dbt writes a key of one column beside the column, and a longer one beside the model.
                self.primary_key.get_or_insert_with(|| Located::new(constraint.columns.clone(), at()));
            }
            "foreign_key" => {
                let to = constraint.to.as_deref().unwrap_or_default();
                let model = REF.captures(to).map(|found| found[1].to_owned());
                match model {
                    Some(model) if constraint.to_columns.len() == constraint.columns.len() => {
                        let (from, to) = (constraint.columns.clone(), constraint.to_columns.clone());
                        let same =
                            |known: &&Reference| known.from == from && known.model == model && known.to == to;
                        if self.references.iter().find(same).is_none() {
                            self.references.push(Reference { from, model, to, at: at() });
                        }
                    }
                    _ => {
                        let text = "a foreign key that does not name a model's `ref` and `to_columns`";
                        self.untold.push(Located::new(text.to_owned(), at()));
                    }
                }
            }
            "check" => match &constraint.expression {
                Some(expression) => self.checks.push(Located::new(expression.clone(), at())),
                None => {
                    self.untold.push(Located::new("a check without an `expression`".to_owned(), at()));
                }
            },
            other => {
                let text = format!("a constraint of type `{other}`");
                self.untold.push(Located::new(text, at()));
            }
        }
    }
}

/// A column's name as a key.
pub(super) fn key(column: &str) -> String {
    bare(column).to_lowercase()
}

/// A column's name without the quotes that tests need around odd ones.
fn bare(column: &str) -> String {
    let inner = column.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| column.to_owned(), |inner| inner.replace("\"\"", "\""))
}

fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    let Some(Value::Array(items)) = value else { return None };
    let names: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(bare)).collect();
    names.filter(|names| !names.is_empty())
}
