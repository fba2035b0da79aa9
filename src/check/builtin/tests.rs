//! Every built-in test against a real DuckDB: rendered by a small stand-in for the template engine.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use duckdb::Connection;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use serde_json::{Value, json};

use super::{FILES, builtin_macros, builtin_names};
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
    let text = text.replace("exceptions.raise_compiler_error", "raise");
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

fn dbt_cases() -> Vec<Case> {
    let x = || json!({"column_name": "x"});
    vec![
        Case("not_null", x(), "from (values (1), (2)) t(x)", NONE, 0),
        Case("not_null", x(), "from (values (1), (null), (null)) t(x)", NONE, 2),
        Case("not_null", json!({"column_name": "\"order date\""}), "select null as \"order date\"", NONE, 1),
        Case("unique", x(), "from (values (1), (2), (null), (null)) t(x)", NONE, 0),
        Case("unique", x(), "from (values (1), (1), (1), (2), (2), (3)) t(x)", NONE, 2),
        Case("unique", json!({"column_name": "lower(x)"}), "from (values ('a'), ('A')) t(x)", NONE, 1),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["a", "b"]}),
            "from (values ('a'), ('b'), (null)) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["a", "b"]}),
            "from (values ('a'), ('c'), ('c'), ('d')) t(x)",
            NONE,
            2,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["it's", "that''s"]}),
            "from (values ('it''s'), ('that''s')) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": [1, 2], "quote": false}),
            "from (values (1), (3)) t(x)",
            NONE,
            1,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": [1, 2]}),
            "from (values (1), (2)) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": [true]}),
            "from (values (true)) t(x)",
            NONE,
            0,
        ),
        Case(
            "accepted_values",
            json!({"column_name": "x", "values": ["current_date"], "quote": false}),
            "select current_date as x",
            NONE,
            0,
        ),
        Case(
            "relationships",
            json!({"column_name": "x", "to": "p", "field": "id"}),
            "from (values (1), (2), (null)) t(x)",
            "from (values (1), (2), (null)) t(id)",
            0,
        ),
        Case(
            "relationships",
            json!({"column_name": "x", "to": "p", "field": "id"}),
            "from (values (1), (3), (3)) t(x)",
            "from (values (1), (2), (null)) t(id)",
            2,
        ),
    ]
}

fn dbt_utils_cases() -> Vec<Case> {
    let groups = "from (values (1, 'a'), (null, 'a'), (null, 'b')) t(x, g)";
    let ranges = "from (values (1, 3, 'a'), (3, 5, 'a'), (7, 9, 'a'), (2, 4, 'b')) t(lo, hi, g)";
    let range = |gaps: &str| json!({"lower_bound_column": "lo", "upper_bound_column": "hi", "partition_by": "g", "gaps": gaps});
    vec![
        Case(
            "dbt_utils.expression_is_true",
            json!({"expression": "x + y = 3"}),
            "from (values (1, 2), (null, 3)) t(x, y)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.expression_is_true",
            json!({"expression": "x < y or x = 7"}),
            "from (values (2, 1), (2, 1), (7, 1)) t(x, y)",
            NONE,
            2,
        ),
        Case(
            "dbt_utils.expression_is_true",
            json!({"expression": ">= 2", "column_name": "x"}),
            "from (values (1), (2)) t(x)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.unique_combination_of_columns",
            json!({"combination_of_columns": ["x", "y"]}),
            "from (values (1, 2), (1, 3)) t(x, y)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.unique_combination_of_columns",
            json!({"combination_of_columns": ["x", "y"]}),
            "from (values (1, 2), (1, 2), (1, null), (1, null)) t(x, y)",
            NONE,
            2,
        ),
        Case(
            "dbt_utils.unique_combination_of_columns",
            json!({"combination_of_columns": ["a b", "y"], "quote_columns": true}),
            "from (values (1, 2), (1, 2)) t(\"a b\", y)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.accepted_range",
            json!({"column_name": "x", "min_value": 0, "max_value": 2}),
            "from (values (0), (2), (null)) t(x)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.accepted_range",
            json!({"column_name": "x", "min_value": 0, "max_value": 2, "inclusive": false}),
            "from (values (0), (1), (2)) t(x)",
            NONE,
            2,
        ),
        Case(
            "dbt_utils.accepted_range",
            json!({"column_name": "x", "min_value": "y"}),
            "from (values (1, 2), (2, 2)) t(x, y)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.accepted_range",
            json!({"column_name": "x", "max_value": "'2026-01-01'"}),
            "from (values (date '2026-01-01'), (date '2026-01-02')) t(x)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.relationships_where",
            json!({"column_name": "x", "to": "p", "field": "id"}),
            "from (values (1), (null)) t(x)",
            "select 1 as id",
            0,
        ),
        Case(
            "dbt_utils.relationships_where",
            json!({"column_name": "x", "to": "p", "field": "id", "from_condition": "x < 9 or x = 9"}),
            "from (values (1), (2), (10)) t(x)",
            "select 1 as id",
            1,
        ),
        Case(
            "dbt_utils.relationships_where",
            json!({"column_name": "x", "to": "p", "field": "id", "to_condition": "live"}),
            "from (values (1), (2)) t(x)",
            "from (values (1, true), (2, false)) t(id, live)",
            1,
        ),
        Case(
            "dbt_utils.not_empty_string",
            json!({"column_name": "x"}),
            "from (values ('a'), (null)) t(x)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.not_empty_string",
            json!({"column_name": "x"}),
            "from (values (''), (' '), (chr(9) || chr(10)), ('a')) t(x)",
            NONE,
            3,
        ),
        Case(
            "dbt_utils.not_empty_string",
            json!({"column_name": "x", "trim_whitespace": false}),
            "from (values (''), (' ')) t(x)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.not_accepted_values",
            json!({"column_name": "x", "values": ["a", "b"]}),
            "from (values ('c'), (null)) t(x)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.not_accepted_values",
            json!({"column_name": "x", "values": ["a", "b"]}),
            "from (values ('a'), ('a'), ('b')) t(x)",
            NONE,
            2,
        ),
        Case(
            "dbt_utils.not_accepted_values",
            json!({"column_name": "x", "values": [1], "quote": false}),
            "from (values (1), (2)) t(x)",
            NONE,
            1,
        ),
        Case("dbt_utils.not_null_proportion", json!({"column_name": "x", "at_least": 0.3}), groups, NONE, 0),
        Case("dbt_utils.not_null_proportion", json!({"column_name": "x", "at_least": 0.5}), groups, NONE, 1),
        Case(
            "dbt_utils.not_null_proportion",
            json!({"column_name": "x", "at_least": 0, "at_most": 0.2}),
            groups,
            NONE,
            1,
        ),
        Case(
            "dbt_utils.not_null_proportion",
            json!({"column_name": "x", "at_least": 0.1, "group_by_columns": ["g"]}),
            groups,
            NONE,
            1,
        ),
        Case(
            "dbt_utils.not_null_proportion",
            json!({"column_name": "x", "at_least": 1}),
            "select 1 as x where false",
            NONE,
            0,
        ),
        Case("dbt_utils.equal_rowcount", json!({"compare_model": "p"}), "from range(3)", "from range(3)", 0),
        Case("dbt_utils.equal_rowcount", json!({"compare_model": "p"}), "from range(3)", "from range(7)", 4),
        Case("dbt_utils.equal_rowcount", json!({"compare_model": "p"}), "from range(0)", "from range(2)", 2),
        Case(
            "dbt_utils.equal_rowcount",
            json!({"compare_model": "p", "group_by_columns": ["g"]}),
            "from (values ('a'), ('b'), ('b')) t(g)",
            "from (values ('a'), ('a'), ('c')) t(g)",
            4,
        ),
        Case("dbt_utils.fewer_rows_than", json!({"compare_model": "p"}), "from range(2)", "from range(3)", 0),
        Case("dbt_utils.fewer_rows_than", json!({"compare_model": "p"}), "from range(3)", "from range(3)", 1),
        Case("dbt_utils.fewer_rows_than", json!({"compare_model": "p"}), "from range(9)", "from range(3)", 6),
        Case(
            "dbt_utils.fewer_rows_than",
            json!({"compare_model": "p", "group_by_columns": ["g"]}),
            "from (values ('a'), ('b'), ('b'), ('z')) t(g)",
            "from (values ('a'), ('a'), ('b')) t(g)",
            1,
        ),
        Case(
            "dbt_utils.equality",
            json!({"compare_model": "p"}),
            "from (values (1, 'a'), (2, null)) t(x, y)",
            "select y, x from (values (2, null), (1, 'a')) t(x, y)",
            0,
        ),
        Case(
            "dbt_utils.equality",
            json!({"compare_model": "p"}),
            "from (values (1, 'a'), (2, 'b')) t(x, y)",
            "from (values (1, 'a'), (2, 'c'), (3, 'd')) t(x, y)",
            4,
        ),
        Case(
            "dbt_utils.equality",
            json!({"compare_model": "p", "compare_columns": ["x"]}),
            "from (values (1, 'a')) t(x, y)",
            "from (values ('b', 1)) t(z, x)",
            0,
        ),
        Case(
            "dbt_utils.equality",
            json!({"compare_model": "p", "exclude_columns": ["y"]}),
            "from (values (1, 'a')) t(x, y)",
            "from (values (1, 'b')) t(x, y)",
            0,
        ),
        Case(
            "dbt_utils.equality",
            json!({"compare_model": "p", "precision": 2}),
            "from (values (1.001, 'a', date '2026-01-01')) t(x, y, d)",
            "from (values (1.002::double, 'a', date '2026-01-01')) t(x, y, d)",
            0,
        ),
        Case(
            "dbt_utils.equality",
            json!({"compare_model": "p", "precision": 3}),
            "from (values (1.001, 'a')) t(x, y)",
            "from (values (1.002::double, 'a')) t(x, y)",
            2,
        ),
        Case(
            "dbt_utils.recency",
            json!({"field": "x", "datepart": "day", "interval": 1}),
            "select make_timestamp(epoch_us(now())) - interval 2 hours as x",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.recency",
            json!({"field": "x", "datepart": "hour", "interval": 1}),
            "select make_timestamp(epoch_us(now())) - interval 2 hours as x",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.recency",
            json!({"field": "x", "datepart": "hour", "interval": 1, "group_by_columns": ["g"]}),
            "from (values (timestamp '2020-01-01', 'a'), (timestamp '2120-01-01', 'b')) t(x, g)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.recency",
            json!({"field": "x", "datepart": "day", "interval": 1, "ignore_time_component": true}),
            "select make_timestamp(epoch_us(now()))::date - 1 as x",
            NONE,
            0,
        ),
        Case("dbt_utils.at_least_one", json!({"column_name": "x"}), groups, NONE, 0),
        Case(
            "dbt_utils.at_least_one",
            json!({"column_name": "x", "group_by_columns": ["g"]}),
            groups,
            NONE,
            1,
        ),
        Case("dbt_utils.at_least_one", json!({"column_name": "x"}), "select 1 as x where false", NONE, 1),
        Case("dbt_utils.not_constant", json!({"column_name": "g"}), groups, NONE, 0),
        Case("dbt_utils.not_constant", json!({"column_name": "x"}), groups, NONE, 1),
        Case(
            "dbt_utils.not_constant",
            json!({"column_name": "x", "group_by_columns": ["g"]}),
            "from (values (1, 'a'), (1, 'a'), (1, 'b'), (2, 'b')) t(x, g)",
            NONE,
            1,
        ),
        Case("dbt_utils.mutually_exclusive_ranges", range("allowed"), ranges, NONE, 0),
        Case("dbt_utils.mutually_exclusive_ranges", range("not_allowed"), ranges, NONE, 1),
        Case("dbt_utils.mutually_exclusive_ranges", range("required"), ranges, NONE, 1),
        Case(
            "dbt_utils.mutually_exclusive_ranges",
            json!({"lower_bound_column": "lo", "upper_bound_column": "hi"}),
            ranges,
            NONE,
            2,
        ),
        Case(
            "dbt_utils.mutually_exclusive_ranges",
            json!({"lower_bound_column": "lo", "upper_bound_column": "hi"}),
            "from (values (1, 1), (2, null)) t(lo, hi)",
            NONE,
            2,
        ),
        Case(
            "dbt_utils.mutually_exclusive_ranges",
            json!({"lower_bound_column": "lo", "upper_bound_column": "hi", "zero_length_range_allowed": true}),
            "from (values (1, 1), (2, 3)) t(lo, hi)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.sequential_values",
            json!({"column_name": "x"}),
            "from (values (3), (1), (2)) t(x)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.sequential_values",
            json!({"column_name": "x"}),
            "from (values (1), (3), (4)) t(x)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.sequential_values",
            json!({"column_name": "x", "interval": 5}),
            "from (values (5), (10), (15)) t(x)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.sequential_values",
            json!({"column_name": "x", "datepart": "day"}),
            "from (values (date '2026-01-31'), (date '2026-02-01'), (date '2026-02-03')) t(x)",
            NONE,
            1,
        ),
        Case(
            "dbt_utils.sequential_values",
            json!({"column_name": "x", "group_by_columns": ["g"]}),
            "from (values (1, 'a'), (2, 'a'), (1, 'b'), (2, 'b')) t(x, g)",
            NONE,
            0,
        ),
        Case(
            "dbt_utils.cardinality_equality",
            json!({"column_name": "x", "to": "p", "field": "y"}),
            "from (values (1), (1), (null)) t(x)",
            "from (values (1), (null), (1)) t(y)",
            0,
        ),
        Case(
            "dbt_utils.cardinality_equality",
            json!({"column_name": "x", "to": "p", "field": "y"}),
            "from (values (1), (1), (2)) t(x)",
            "from (values (1), (3)) t(y)",
            4,
        ),
    ]
}

fn dbt_expectations_cases() -> Vec<Case> {
    let numbers = "from (values (1, 'a'), (5, 'bbb'), (9, null), (null, 'c')) t(x, s)";
    let compound = "from (values (1, 1), (1, 1), (2, null), (2, null), (null, null), (null, null)) t(x, y)";
    vec![
        Case(
            "dbt_expectations.expect_column_values_to_be_between",
            json!({"column_name": "x", "min_value": 1, "max_value": 9}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_be_between",
            json!({"column_name": "x", "min_value": 1, "max_value": 9, "strictly": true}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_be_between",
            json!({"column_name": "x", "max_value": 4, "row_condition": "s is not null or false"}),
            numbers,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_table_row_count_to_be_between",
            json!({"min_value": 4, "max_value": 4}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_table_row_count_to_be_between",
            json!({"max_value": 4, "strictly": true}),
            numbers,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_table_row_count_to_be_between",
            json!({"min_value": 3, "row_condition": "x > 1"}),
            numbers,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_table_row_count_to_be_between",
            json!({"min_value": 1, "group_by": ["x"], "max_value": 1}),
            compound,
            NONE,
            3,
        ),
        Case(
            "dbt_expectations.expect_table_row_count_to_be_between",
            json!({"min_value": 1}),
            "from range(0)",
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_be_in_set",
            json!({"column_name": "s", "value_set": ["a", "bbb", "c"], "row_condition": "s is not null"}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_be_in_set",
            json!({"column_name": "s", "value_set": ["a", "bbb"]}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_be_in_set",
            json!({"column_name": "x", "value_set": [1, 5], "quote_values": false}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_not_be_in_set",
            json!({"column_name": "s", "value_set": ["z"]}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_not_be_in_set",
            json!({"column_name": "x", "value_set": [1, 5], "quote_values": false}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_not_be_in_set",
            json!({"column_name": "s", "value_set": ["a", "c"], "row_condition": "x is not null"}),
            numbers,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_match_regex",
            json!({"column_name": "s", "regex": "^[a-c]+$"}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_match_regex",
            json!({"column_name": "s", "regex": "^\\w$"}),
            numbers,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_match_regex",
            json!({"column_name": "s", "regex": "A", "flags": "i", "is_raw": true}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_column_values_to_match_regex",
            json!({"column_name": "s", "regex": "'", "row_condition": "x = 1"}),
            numbers,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_column_value_lengths_to_be_between",
            json!({"column_name": "s", "min_value": 1, "max_value": 3}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_column_value_lengths_to_be_between",
            json!({"column_name": "s", "min_value": 1, "strictly": true}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_column_value_lengths_to_equal",
            json!({"column_name": "s", "value": 3, "row_condition": "x = 5"}),
            numbers,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_column_value_lengths_to_equal",
            json!({"column_name": "s", "value": 3}),
            numbers,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_compound_columns_to_be_unique",
            json!({"column_list": ["x", "y"]}),
            compound,
            NONE,
            2,
        ),
        Case(
            "dbt_expectations.expect_compound_columns_to_be_unique",
            json!({"column_list": ["x", "y"], "ignore_row_if": "any_value_is_missing"}),
            compound,
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_compound_columns_to_be_unique",
            json!({"column_list": ["x", "y"], "ignore_row_if": "never", "quote_columns": true}),
            compound,
            NONE,
            3,
        ),
        Case(
            "dbt_expectations.expect_compound_columns_to_be_unique",
            json!({"column_list": ["x", "y"], "row_condition": "x is null"}),
            compound,
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_row_values_to_have_recent_data",
            json!({"column_name": "x", "datepart": "day", "interval": 1}),
            "select make_timestamp(epoch_us(now())) - interval 2 hours as x",
            NONE,
            0,
        ),
        Case(
            "dbt_expectations.expect_row_values_to_have_recent_data",
            json!({"column_name": "x", "datepart": "hour", "interval": 1}),
            "from (values (timestamp '2020-01-01'), (timestamp '2120-01-01')) t(x)",
            NONE,
            1,
        ),
        Case(
            "dbt_expectations.expect_row_values_to_have_recent_data",
            json!({"column_name": "x", "datepart": "day", "interval": 1, "row_condition": "x is null"}),
            "select make_timestamp(epoch_us(now())) as x",
            NONE,
            1,
        ),
    ]
}

#[test]
fn dbt() {
    check(&dbt_cases());
}

#[test]
fn dbt_utils() {
    check(&dbt_utils_cases());
}

#[test]
fn dbt_expectations() {
    check(&dbt_expectations_cases());
}

#[test]
fn every_test_has_cases() {
    let all = [dbt_cases(), dbt_utils_cases(), dbt_expectations_cases()];
    let tried: BTreeSet<String> = all.iter().flatten().map(|case| case.0.to_owned()).collect();
    assert_eq!(tried, builtin_names().into_iter().collect());
    assert_eq!(builtin_macros().len(), builtin_names().len());
}

#[test]
fn tests_run_on_a_filtered_model() {
    let all = [dbt_cases(), dbt_utils_cases(), dbt_expectations_cases()];
    for Case(name, args, m, p, expected) in all.iter().flatten() {
        let (sql, config) = render(name, args).expect("it renders");
        let filtered = TestConfig { where_clause: Some("true".into()), ..TestConfig::default() };
        let relation = query::tested_relation("m", &filtered);
        let sql = sql
            .replace("from m\n", &format!("from {relation}\n"))
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
