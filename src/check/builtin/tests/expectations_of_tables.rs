//! Data on which the tests of dbt_expectations that look at a whole table or column pass and fail.

use serde_json::{Value, json};

use super::{Case, NONE};

pub(super) fn cases() -> Vec<Case> {
    let numbers = "from (values (1, 'a'), (5, 'bbb'), (9, null), (null, 'c')) t(x, s)";
    let compound = "from (values (1, 1), (1, 1), (2, null), (2, null), (null, null), (null, null)) t(x, y)";
    let case = |name: &'static str, arguments: Value, rows, failures| {
        let name: &'static str = format!("dbt_expectations.{name}").leak();
        Case(name, arguments, rows, NONE, failures)
    };
    vec![
        case("expect_column_to_exist", json!({"column_name": "S"}), numbers, 0),
        case("expect_column_to_exist", json!({"column_name": "z"}), numbers, 1),
        case("expect_column_to_exist", json!({"column_name": "s", "column_index": 0}), numbers, 1),
        case(
            "expect_column_values_to_be_of_type",
            json!({"column_name": "s", "column_type": "text"}),
            numbers,
            0,
        ),
        case(
            "expect_column_values_to_be_of_type",
            json!({"column_name": "x", "column_type": "bigint"}),
            numbers,
            1,
        ),
        case(
            "expect_column_values_to_be_in_type_list",
            json!({"column_name": "x", "column_type_list": ["text", "int"]}),
            numbers,
            0,
        ),
        case(
            "expect_column_values_to_be_in_type_list",
            json!({"column_name": "x", "column_type_list": ["text", "date"]}),
            numbers,
            1,
        ),
        case(
            "expect_column_values_to_not_be_null",
            json!({"column_name": "x", "row_condition": "s is null"}),
            numbers,
            0,
        ),
        case("expect_column_values_to_not_be_null", json!({"column_name": "x"}), numbers, 1),
        case(
            "expect_column_values_to_be_null",
            json!({"column_name": "x", "row_condition": "s = 'c'"}),
            numbers,
            0,
        ),
        case("expect_column_values_to_be_null", json!({"column_name": "x"}), numbers, 3),
        case("expect_column_values_to_be_unique", json!({"column_name": "x"}), numbers, 0),
        case("expect_column_values_to_be_unique", json!({"column_name": "x"}), compound, 2),
        case("expect_table_column_count_to_equal", json!({"value": 2}), numbers, 0),
        case("expect_table_column_count_to_equal", json!({"value": 3}), numbers, 1),
        case("expect_table_columns_to_match_set", json!({"column_list": ["S", "x"]}), numbers, 0),
        case("expect_table_columns_to_match_set", json!({"column_list": ["x", "z"]}), numbers, 2),
        case("expect_table_columns_to_contain_set", json!({"column_list": ["X"]}), numbers, 0),
        case("expect_table_columns_to_contain_set", json!({"column_list": ["x", "z"]}), numbers, 1),
        case("expect_table_columns_to_match_ordered_list", json!({"column_list": ["X", "S"]}), numbers, 0),
        case("expect_table_columns_to_match_ordered_list", json!({"column_list": ["s", "x"]}), numbers, 2),
        case("expect_table_columns_to_match_ordered_list", json!({"column_list": ["x"]}), numbers, 1),
        case("expect_table_row_count_to_equal", json!({"value": 4}), numbers, 0),
        case("expect_table_row_count_to_equal", json!({"value": 2, "group_by": ["x", "y"]}), compound, 0),
        case("expect_table_row_count_to_equal", json!({"value": 4, "row_condition": "x > 1"}), numbers, 1),
        case(
            "expect_table_row_count_to_equal_other_table",
            json!({"compare_model": "p", "row_condition": "x = 1"}),
            numbers,
            0,
        ),
        case(
            "expect_table_row_count_to_equal_other_table",
            json!({"compare_model": "p", "factor": 4}),
            numbers,
            0,
        ),
        case("expect_table_row_count_to_equal_other_table", json!({"compare_model": "p"}), numbers, 1),
        case(
            "expect_column_values_to_not_match_regex",
            json!({"column_name": "s", "regex": "^d"}),
            numbers,
            0,
        ),
        case(
            "expect_column_values_to_not_match_regex",
            json!({"column_name": "s", "regex": "B", "flags": "i"}),
            numbers,
            1,
        ),
        case(
            "expect_column_values_to_match_like_pattern",
            json!({"column_name": "s", "like_pattern": "_%"}),
            numbers,
            0,
        ),
        case(
            "expect_column_values_to_match_like_pattern",
            json!({"column_name": "s", "like_pattern": "b%"}),
            numbers,
            2,
        ),
        case(
            "expect_column_values_to_not_match_like_pattern",
            json!({"column_name": "s", "like_pattern": "__"}),
            numbers,
            0,
        ),
        case(
            "expect_column_values_to_not_match_like_pattern",
            json!({"column_name": "s", "like_pattern": "b%"}),
            numbers,
            1,
        ),
        case(
            "expect_column_max_to_be_between",
            json!({"column_name": "x", "min_value": 9, "max_value": 9}),
            numbers,
            0,
        ),
        case(
            "expect_column_max_to_be_between",
            json!({"column_name": "x", "max_value": 9, "strictly": true}),
            numbers,
            1,
        ),
        case(
            "expect_column_min_to_be_between",
            json!({"column_name": "x", "min_value": 5, "row_condition": "x > 1"}),
            numbers,
            0,
        ),
        case("expect_column_min_to_be_between", json!({"column_name": "x", "min_value": 2}), numbers, 1),
        case(
            "expect_column_mean_to_be_between",
            json!({"column_name": "x", "min_value": 5, "max_value": 5}),
            numbers,
            0,
        ),
        case(
            "expect_column_mean_to_be_between",
            json!({"column_name": "x", "min_value": 6, "group_by": ["s"]}),
            numbers,
            2,
        ),
        case(
            "expect_column_median_to_be_between",
            json!({"column_name": "x", "min_value": 5, "max_value": 5}),
            numbers,
            0,
        ),
        case("expect_column_median_to_be_between", json!({"column_name": "x", "max_value": 4}), numbers, 1),
        case("expect_column_sum_to_be_between", json!({"column_name": "x", "max_value": 15}), numbers, 0),
        case("expect_column_sum_to_be_between", json!({"column_name": "x", "min_value": 16}), numbers, 1),
        case(
            "expect_column_stdev_to_be_between",
            json!({"column_name": "x", "min_value": 4, "max_value": 4}),
            numbers,
            0,
        ),
        case(
            "expect_column_stdev_to_be_between",
            json!({"column_name": "x", "min_value": 4, "strictly": true}),
            numbers,
            1,
        ),
        case(
            "expect_column_unique_value_count_to_be_between",
            json!({"column_name": "x", "min_value": 3, "max_value": 3}),
            numbers,
            0,
        ),
        case(
            "expect_column_unique_value_count_to_be_between",
            json!({"column_name": "x", "min_value": 3}),
            compound,
            1,
        ),
        case(
            "expect_column_proportion_of_unique_values_to_be_between",
            json!({"column_name": "x", "min_value": 1}),
            numbers,
            0,
        ),
        case(
            "expect_column_proportion_of_unique_values_to_be_between",
            json!({"column_name": "x", "min_value": 0.6}),
            compound,
            1,
        ),
        case("expect_column_distinct_count_to_equal", json!({"column_name": "x", "value": 3}), numbers, 0),
        case("expect_column_distinct_count_to_equal", json!({"column_name": "x", "value": 3}), compound, 1),
        case(
            "expect_column_pair_values_to_be_equal",
            json!({"column_A": "x", "column_B": "y", "row_condition": "x = 1"}),
            compound,
            0,
        ),
        case("expect_column_pair_values_to_be_equal", json!({"column_A": "x", "column_B": "y"}), compound, 4),
        case(
            "expect_column_pair_values_A_to_be_greater_than_B",
            json!({"column_A": "x", "column_B": "y", "or_equal": true, "row_condition": "y is not null"}),
            compound,
            0,
        ),
        case(
            "expect_column_pair_values_A_to_be_greater_than_B",
            json!({"column_A": "x", "column_B": "y"}),
            compound,
            6,
        ),
        case(
            "expression_is_true",
            json!({"expression": "x < 10", "row_condition": "x is not null"}),
            numbers,
            0,
        ),
        case("expression_is_true", json!({"expression": "x", "test_condition": "> 4"}), numbers, 2),
        case(
            "expression_is_true",
            json!({"expression": "count(*)", "test_condition": "> 2", "group_by_columns": ["x"]}),
            compound,
            3,
        ),
    ]
}
