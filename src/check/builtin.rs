//! The generic tests that Kiln brings along, under the names that dbt and its packages gave them. Each is a template in
//! the very form in which users write their own; the template engine registers them as packages.

/// Every built-in generic test: its package (`dbt` for dbt's own four), the path to show in messages, its text.
pub fn builtin_macros() -> Vec<(&'static str, &'static str, &'static str)> {
    FILES.iter().map(|file| (file.package, file.path, file.text)).collect()
}

/// The macro that tests of a column's measures share, as [`builtin_macros`] gives tests.
pub const MEASURES: (&str, &str, &str) = (
    "dbt_expectations",
    "kiln/dbt_expectations/measures.sql",
    include_str!("builtin/dbt_expectations/measures.sql"),
);

/// The names of all built-in generic tests as users write them: `unique`, `dbt_utils.accepted_range`.
pub fn builtin_names() -> Vec<String> {
    FILES.iter().map(File::qualified).collect()
}

/// Whether a test's verdict depends on the time at which it runs, so that an old verdict on the same build says nothing.
pub fn depends_on_time(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    matches!(name, "recency" | "expect_row_values_to_have_recent_data")
}

struct File {
    package: &'static str,
    name: &'static str,
    path: &'static str,
    text: &'static str,
}

impl File {
    fn qualified(&self) -> String {
        match self.package {
            "dbt" => self.name.to_owned(),
            package => format!("{package}.{}", self.name),
        }
    }
}

macro_rules! files {
    ($($package:literal : $($name:literal)*;)*) => {
        &[$($(File {
            package: $package,
            name: $name,
            path: concat!("kiln/", $package, "/", $name, ".sql"),
            text: include_str!(concat!("builtin/", $package, "/", $name, ".sql")),
        },)*)*]
    };
}

const FILES: &[File] = files! {
    "dbt":
        "accepted_values"
        "not_null"
        "relationships"
        "unique";
    "dbt_utils":
        "accepted_range"
        "at_least_one"
        "cardinality_equality"
        "equal_rowcount"
        "equality"
        "expression_is_true"
        "fewer_rows_than"
        "mutually_exclusive_ranges"
        "not_accepted_values"
        "not_constant"
        "not_empty_string"
        "not_null_proportion"
        "recency"
        "relationships_where"
        "sequential_values"
        "unique_combination_of_columns";
    "dbt_expectations":
        "expect_column_distinct_count_to_equal"
        "expect_column_max_to_be_between"
        "expect_column_mean_to_be_between"
        "expect_column_median_to_be_between"
        "expect_column_min_to_be_between"
        "expect_column_pair_values_A_to_be_greater_than_B"
        "expect_column_pair_values_to_be_equal"
        "expect_column_proportion_of_unique_values_to_be_between"
        "expect_column_stdev_to_be_between"
        "expect_column_sum_to_be_between"
        "expect_column_to_exist"
        "expect_column_unique_value_count_to_be_between"
        "expect_column_value_lengths_to_be_between"
        "expect_column_value_lengths_to_equal"
        "expect_column_values_to_be_between"
        "expect_column_values_to_be_in_set"
        "expect_column_values_to_be_in_type_list"
        "expect_column_values_to_be_null"
        "expect_column_values_to_be_of_type"
        "expect_column_values_to_be_unique"
        "expect_column_values_to_match_like_pattern"
        "expect_column_values_to_match_regex"
        "expect_column_values_to_not_be_in_set"
        "expect_column_values_to_not_be_null"
        "expect_column_values_to_not_match_like_pattern"
        "expect_column_values_to_not_match_regex"
        "expect_compound_columns_to_be_unique"
        "expect_row_values_to_have_recent_data"
        "expect_table_column_count_to_equal"
        "expect_table_columns_to_contain_set"
        "expect_table_columns_to_match_ordered_list"
        "expect_table_columns_to_match_set"
        "expect_table_row_count_to_be_between"
        "expect_table_row_count_to_equal"
        "expect_table_row_count_to_equal_other_table"
        "expression_is_true";
};

#[cfg(test)]
mod tests;
