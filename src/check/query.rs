//! The queries that are made around a test's own: count its failures, count those of many tests at once, show the rows.

use crate::manifest::TestConfig;

/// How many failing rows a failed test prints.
pub const SAMPLE_ROWS: u64 = 5;

/// The query that gives one row with one BIGINT: the test's `fail_calc` over its (limited) failing rows. An aggregate
/// over no rows is NULL, which counts as 0.
pub fn count(test_sql: &str, config: &TestConfig) -> String {
    format!("select {}", value(test_sql, config))
}

/// One query for many tests of small tables: rows of (position in `tests` as INTEGER, value as BIGINT), in any order.
pub fn batch<'a>(tests: impl IntoIterator<Item = (&'a str, &'a TestConfig)>) -> String {
    let mut text = String::new();
    for (position, (test_sql, config)) in tests.into_iter().enumerate() {
        let (union, names) = match position {
            0 => ("", (" as test", " as failures")),
            _ => ("\nunion all\n", ("", "")),
        };
        let (name, value_name) = names;
        // A plain count over the rows costs two thirds of the same count in a scalar subquery.
        let part = match (config.fail_calc.trim(), config.limit) {
            ("count(*)", None) => {
                let body = body(test_sql);
                format!(
                    "select {position}::integer{name}, count(*){value_name} from (\n{body}\n) as failing_rows"
                )
            }
            _ => format!("select {position}::integer{name}, {}{value_name}", value(test_sql, config)),
        };
        text.push_str(union);
        text.push_str(&part);
    }
    text
}

/// The query that shows all failing rows, to be pasted into a shell: the test's own, made to end in a semicolon.
pub fn failing_rows(test_sql: &str) -> String {
    format!("{}\n;", body(test_sql))
}

/// The query for the few failing rows that a report prints.
pub fn sample(test_sql: &str) -> String {
    format!("select * from (\n{}\n) as failing_rows limit {SAMPLE_ROWS}", body(test_sql))
}

/// What stands in for the tested relation: itself, or with `where` a filtered subquery under dbt's name for it.
pub fn tested_relation(relation: &str, config: &TestConfig) -> String {
    match &config.where_clause {
        None => relation.to_owned(),
        Some(clause) => format!("(select * from {relation} where {clause}\n) dbt_subquery"),
    }
}

fn value(test_sql: &str, config: &TestConfig) -> String {
    let limit = config.limit.map(|limit| format!(" limit {limit}")).unwrap_or_default();
    let fail_calc = &config.fail_calc;
    let body = body(test_sql);
    format!(
        "(select coalesce(cast(({fail_calc}\n) as bigint), 0) from (select * from (\n{body}\n) as failing_rows{limit}) as counted)"
    )
}

/// The test's query without the semicolons at its end; a comment after the last one goes with it.
fn body(test_sql: &str) -> &str {
    let mut text = test_sql.trim();
    while let Some(shorter) = text.strip_suffix(';') {
        text = shorter.trim_end();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use duckdb::Connection;

    fn number(sql: &str) -> i64 {
        let connection = Connection::open_in_memory().expect("an in-memory database");
        connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    fn config(fail_calc: &str, limit: Option<u64>) -> TestConfig {
        TestConfig { fail_calc: fail_calc.into(), limit, ..TestConfig::default() }
    }

    #[test]
    fn failures_are_counted() {
        let rows = "with a as (select unnest(range(7)) as x) select x from a -- seven\n;";
        assert_eq!(number(&count(rows, &config("count(*)", None))), 7);
        assert_eq!(number(&count(rows, &config("count(*)", Some(3)))), 3);
        assert_eq!(number(&count(rows, &config("sum(x)", None))), 21);
        assert_eq!(number(&count(rows, &config("max(x) -- the last", None))), 6);
        assert_eq!(number(&count(rows, &config("count(*) > 3", None))), 1);
    }

    #[test]
    fn an_aggregate_over_nothing_is_zero() {
        assert_eq!(number(&count("select 1 as x where false", &config("sum(x)", None))), 0);
    }

    #[test]
    fn many_tests_share_a_query() {
        let all = config("count(*)", None);
        let two = config("count(*)", Some(2));
        let sql = batch([
            ("select unnest(range(4))", &all),
            ("select 1 where false", &all),
            ("from range(9);", &two),
        ]);
        let connection = Connection::open_in_memory().expect("an in-memory database");
        let mut statement = connection.prepare(&format!("{sql} order by test")).expect("it parses");
        let rows: Vec<(i32, i64)> = statement
            .query_map([], |row| Ok((row.get("test")?, row.get("failures")?)))
            .expect("it runs")
            .collect::<Result<_, _>>()
            .expect("it reads");
        assert_eq!(rows, [(0, 4), (1, 0), (2, 2)]);
    }

    #[test]
    fn rows_are_shown() {
        assert_eq!(failing_rows("select 1 -- one;\n"), "select 1 -- one\n;");
        let total = format!("select count(*) from ({})", sample("from range(9) -- nine"));
        assert_eq!(number(&total), 5);
        let filtered = tested_relation(
            "range(9)",
            &TestConfig { where_clause: Some("range > 6 -- late".into()), ..TestConfig::default() },
        );
        assert_eq!(number(&format!("select count(*) from {filtered}")), 2);
    }
}
