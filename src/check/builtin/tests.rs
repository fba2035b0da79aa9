//! Every built-in test against a real DuckDB: rendered by a small stand-in for the template engine.

mod dbt;
mod dbt_expectations;
mod dbt_utils;
mod expectations_of_tables;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use duckdb::Connection;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use serde_json::{Value, json};

use super::{FILES, MEASURES, builtin_macros, builtin_names};
use crate::check::query;
use crate::manifest::TestConfig;

/// Renders a test with its arguments; gives its SQL and the `fail_calc` that it set.
fn render(name: &str, args: &Value) -> Result<(String, TestConfig), String> {
    let file = FILES.iter().find(|file| file.qualified() == name).expect("a built-in test");
    let header = format!("{{% test {}(", file.name);
    assert!(file.text.contains(&header), "{name} is in the file of its name");
    let text = file
        .text
        .replace(&header, &format!("{{% macro test_{}(", file.name))
        .replace("{% endtest %}", "{% endmacro %}");
    let config = Arc::new(Mutex::new(TestConfig::default()));
    let seen = Arc::clone(&config);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_function("config", move |kwargs: Kwargs| -> Result<String, Error> {
        seen.lock().expect("no panic").fail_calc = kwargs.get("fail_calc")?;
        kwargs.assert_all_used()?;
        Ok(String::new())
    });
    environment.add_function("raise", |text: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    let text = format!("{}{text}", MEASURES.2).replace("exceptions.raise_compiler_error", "raise");
    let mut arguments = vec!["model='m'".to_owned()];
    arguments.extend(args.as_object().expect("an object").keys().map(|key| format!("{key}=args.{key}")));
    let call = format!("{text}\n{{{{ test_{}({}) }}}}", file.name, arguments.join(", "));
    let sql = environment
        .render_str(&call, context! { args => minijinja::Value::from(minijinja::value::Serde(args)) })
        .map_err(|error| error.to_string())?;
    let config = config.lock().expect("no panic").clone();
    Ok((sql, config))
}

/// How many failures a test finds in `m`, where `p` is another table.
fn failures(name: &str, args: &Value, m: &str, p: &str) -> Result<i64, String> {
    let (sql, config) = render(name, args)?;
    let connection = Connection::open_in_memory().expect("an in-memory database");
    connection
        .execute_batch(&format!("create table m as {m}; create table p as {p};"))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let count = query::count(&sql, &config);
    connection.query_row(&count, [], |row| row.get(0)).map_err(|error| format!("{error}\n{count}"))
}

/// A test, its arguments, the queries that make `m` and `p`, and how many failures it finds.
struct Case(&'static str, Value, &'static str, &'static str, i64);

const NONE: &str = "select 1 as x";

fn check(cases: &[Case]) {
    for Case(name, args, m, p, expected) in cases {
        let found = failures(name, args, m, p).unwrap_or_else(|error| panic!("{name} {args}: {error}"));
        assert_eq!(found, *expected, "{name} {args} on {m}");
    }
    let verdicts: HashMap<&str, BTreeSet<bool>> = cases.iter().fold(HashMap::new(), |mut all, case| {
        all.entry(case.0).or_default().insert(case.4 == 0);
        all
    });
    for (name, verdicts) in verdicts {
        assert_eq!(verdicts.len(), 2, "{name} has a case that passes and one that fails");
    }
}

#[test]
fn dbt_tests() {
    check(&dbt::cases());
}

#[test]
fn dbt_utils_tests() {
    check(&dbt_utils::cases());
}

#[test]
fn dbt_expectations_tests() {
    check(&dbt_expectations::cases());
    check(&expectations_of_tables::cases());
}

fn all_cases() -> Vec<Case> {
    [dbt::cases(), dbt_utils::cases(), dbt_expectations::cases(), expectations_of_tables::cases()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn every_test_has_cases() {
    let all = all_cases();
    let tried: BTreeSet<String> = all.iter().map(|case| case.0.to_owned()).collect();
    assert_eq!(tried, builtin_names().into_iter().collect());
    assert_eq!(builtin_macros().len(), builtin_names().len());
}

#[test]
fn tests_run_on_a_filtered_model() {
    let all = all_cases();
    for Case(name, args, m, p, expected) in all.iter() {
        let (sql, config) = render(name, args).expect("it renders");
        let filtered = TestConfig { where_clause: Some("true".into()), ..TestConfig::default() };
        let relation = query::tested_relation("m", &filtered);
        let sql = sql
            .replace("from m\n", &format!("from {relation}\n"))
            .replace("from m)", &format!("from {relation})"))
            .replace("from m group", &format!("from {relation} group"));
        assert!(sql.contains("dbt_subquery"), "{name}");
        let connection = Connection::open_in_memory().expect("an in-memory database");
        connection.execute_batch(&format!("create table m as {m}; create table p as {p};")).expect("tables");
        let found: i64 = connection
            .query_row(&query::count(&sql, &config), [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{name} {args}: {error}\n{sql}"));
        assert_eq!(found, *expected, "{name} {args}");
    }
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    let refused = |name: &str, args: Value| render(name, &args).expect_err("it is refused");
    let table = [
        refused("dbt_utils.accepted_range", json!({"column_name": "x"})),
        refused(
            "dbt_utils.mutually_exclusive_ranges",
            json!({"lower_bound_column": "a", "upper_bound_column": "b", "gaps": "maybe"}),
        ),
        refused(
            "dbt_utils.equality",
            json!({"compare_model": "p", "compare_columns": ["a"], "exclude_columns": ["b"]}),
        ),
        refused("dbt_expectations.expect_table_row_count_to_be_between", json!({})),
        refused(
            "dbt_expectations.expect_compound_columns_to_be_unique",
            json!({"column_list": ["a"], "ignore_row_if": "sometimes"}),
        ),
    ];
    insta::assert_snapshot!(table.map(|text| text.split(" (in ").next().unwrap_or("").to_owned()).join("\n"));
}

#[test]
fn columns_that_only_one_has_stop_equality() {
    let args = json!({"compare_model": "p"});
    let error = failures("dbt_utils.equality", &args, "select 1 as x, 2 as y", "select 1 as x")
        .expect_err("it stops");
    assert!(error.contains("same number of result columns"), "{error}");
    let error = failures("dbt_utils.equality", &args, "select 1 as x", "select 1 as x, 2 as y")
        .expect_err("it stops");
    assert!(error.contains("same number of result columns"), "{error}");
}
