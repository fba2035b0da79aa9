//! Mistakes of which DuckDB tells no place or that it finds only when rows come, and what is guessed of them.

use super::{built, said};

/// The messages of a model, without where the file stands.
fn lines(queries: &[&str]) -> String {
    queries
        .iter()
        .map(|sql| said(&format!("{sql}\nfrom {{{{ ref('orders') }}}}\n")))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn what_duckdb_tells_no_place_of_is_found() {
    insta::assert_snapshot!(lines(&[
        "select order_id,\n  * exclude (amont)",
        "select order_id,\n  {'a': 1}.b as x",
        "select order_id,\n  sum(amount) over w2 as x",
        "select order_id,\n  list_transform([1], x -> x + 1) as x",
        "select order_id, amount\nfrom {{ ref('orders') }}\nunion all\nselect order_id",
        "select order_id,\n  \"amount as s",
    ]), @r#"
error[sql-binding]: `m`: column "amont" in EXCLUDE list not found in FROM clause
 --> models/m.sql:2:14
  |
2 |   * exclude (amont)
  |              ^^^^^


error[sql-binding]: `m`: could not find key "b" in struct
 --> models/m.sql:2:12
  |
2 |   {'a': 1}.b as x
  |            ^


error[sql-syntax]: `m`: window "w2" does not exist
 --> models/m.sql:2:20
  |
2 |   sum(amount) over w2 as x
  |                    ^^


error[sql-binding]: `m`: DuckDB's lambdas have no arrow any more
 --> models/m.sql:2:25
  |
2 |   list_transform([1], x -> x + 1) as x
  |                         ^^
  |
  = help: write `lambda x: x + 1` in place of `x -> x + 1`


error[sql-binding]: `m`: set operations can only apply to expressions with the same number of result columns
 --> models/m.sql:3:1
  |
3 | union all
  | ^^^^^
  |
  = help: give every SELECT of it as many columns, or write `union all by name`, which fills up with NULL


error[sql-syntax]: `m`: unterminated quoted identifier
 --> models/m.sql:2:3
  |
2 |   "amount as s
  |   ^^^^^^^
"#);
    let deep = format!("select\n  order_id,\n  {}1{} as x", "(".repeat(1200), ")".repeat(1200));
    assert!(lines(&[&deep]).contains("--> models/m.sql:3:3\n"));
}

#[test]
fn a_column_that_is_named_like_its_result_is_a_column() {
    insta::assert_snapshot!(lines(&["select order_id,\n  amuont / 100 as amuont"]), @r"
error[sql-binding]: `m`: `orders` has no column `amuont`
 --> models/m.sql:2:3
  |
2 |   amuont / 100 as amuont
  |   ^^^^^^ no such column
  |
  = help: did you mean `amount`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
  = help: what the SELECT calls `amuont` cannot be used in it before it is made
");
}

#[test]
fn a_column_in_qualify_is_a_column() {
    let sql = "select order_id\nfrom {{ ref('orders') }}\nqualify row_number() over (partition by custmer_id) = 1\n";
    insta::assert_snapshot!(said(sql), @r"
error[sql-binding]: `m`: `orders` has no column `custmer_id`
 --> models/m.sql:3:41
  |
3 | qualify row_number() over (partition by custmer_id) = 1
  |                                         ^^^^^^^^^^ no such column
  |
  = help: did you mean `customer_id`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
");
}

#[test]
fn slips_are_guessed() {
    insta::assert_snapshot!(lines(&[
        "select order_id,\n  colesce(amount, 0) as x",
        "select order_id,\n{% for c in ['amount', 'order_date'] %}\n  max({{ c }}) as max_{{ c }}\n{% endfor %}",
        "select order_id,\n  date_diff(order_date, order_date) as x",
        "select order_id,\n  order_date::timestamp + 6 as x",
    ]), @r"
error[unknown-function]: `m`: there is no function `colesce`
 --> models/m.sql:2:3
  |
2 |   colesce(amount, 0) as x
  |   ^^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `coalesce`?


error[sql-syntax]: `m`: syntax error at or near `max`
 --> models/m.sql:3:3
  |
3 |   max({{ c }}) as max_{{ c }}
  |   ^^^
  |
  = help: is a comma missing before `max`?


error[sql-binding]: `m`: `date_diff` does not take 2 arguments: `date_diff(DATE, DATE)`
 --> models/m.sql:2:3
  |
2 |   date_diff(order_date, order_date) as x
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: it takes 3 arguments
  = help: there is `date_diff(part VARCHAR, startdate DATE, enddate DATE) -> BIGINT`
  = help: there is `date_diff(part VARCHAR, startdate TIME, enddate TIME) -> BIGINT`
  = help: there is `date_diff(part VARCHAR, startdate TIMESTAMP, enddate TIMESTAMP) -> BIGINT`


error[sql-binding]: `m`: no function takes these types: `+(TIMESTAMP, INTEGER_LITERAL)`
 --> models/m.sql:2:25
  |
2 |   order_date::timestamp + 6 as x
  |                         ^
  |
  = help: add an interval, as in `x + interval 1 day`
");
}

#[test]
fn a_literal_that_no_cast_takes_is_found() {
    insta::assert_snapshot!(lines(&[
        "select order_id, date '2026-13-01' as x",
        "select order_id, order_date in ('2026-02-28', '2026-02-30') as x",
        "select order_id, order_date + interval '1 fortnite' as x",
        "select order_id, 'abc'::integer as x",
    ]), @r"
error[sql-data]: `m`: '2026-13-01' is no DATE
 --> models/m.sql:1:23
  |
1 | select order_id, date '2026-13-01' as x
  |                       ^^^^^^^^^^^^
  |
  = help: mend it, or write `try_cast(… as …)`, which gives NULL where a text does not fit


error[sql-data]: `m`: '2026-02-30' is no DATE
 --> models/m.sql:1:47
  |
1 | select order_id, order_date in ('2026-02-28', '2026-02-30') as x
  |                                               ^^^^^^^^^^^^
  |
  = help: mend it, or write `try_cast(… as …)`, which gives NULL where a text does not fit


error[sql-data]: `m`: '1 fortnite' is no INTERVAL
 --> models/m.sql:1:40
  |
1 | select order_id, order_date + interval '1 fortnite' as x
  |                                        ^^^^^^^^^^^^
  |
  = help: mend it, or write `try_cast(… as …)`, which gives NULL where a text does not fit


error[sql-data]: `m`: 'abc' is no INTEGER
 --> models/m.sql:1:18
  |
1 | select order_id, 'abc'::integer as x
  |                  ^^^^^
  |
  = help: mend it, or write `try_cast(… as …)`, which gives NULL where a text does not fit
");
    // What fits, what gives NULL, and what may never be computed.
    assert_eq!(
        lines(&[
            "select date '2026-01-31' as a, '1.5'::decimal(3,1) as b, interval '2 days' as c, '12:30'::time as d",
            "select try_cast('abc' as integer) as a, '2026-13-01' as b",
            "select case when amount > 1 then 'abc'::integer end as a",
            "select coalesce(amount, 'abc') as a",
        ]),
        "\n\n\n"
    );
}

#[test]
fn a_mistake_in_what_kiln_brings_is_shown_at_its_call() {
    let sql = "select order_id,\n  {{ dbt_utils.pivot('amnt', ['a', 'b']) }}\nfrom {{ ref('orders') }}\n";
    insta::assert_snapshot!(said(sql), @r"
error[sql-binding]: `m`: `orders` has no column `amnt`
  --> models/m.sql:2:6
   |
 2 |   {{ dbt_utils.pivot('amnt', ['a', 'b']) }}
   |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no such column
   |
  ::: kiln/dbt_utils/sql.sql:62:1
   |
62 | {{ agg }}({% if distinct %}distinct {% endif %}case when {{ column }} {{ cmp }} '{{ dbt.escape_single_quotes(value) }}' then {{ then_value }} else {{ else_value }} end)
   | ------------------------------------------------------------------------------------------------------------------------------------------------------------------------ written here
   |
   = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
");
}

#[test]
fn a_test_with_wrong_arguments_is_not_tried() {
    let yaml = "models:\n  - name: orders\n    data_tests:\n      - dbt_utils.expression_is_true: {expresion: 'amount > 0'}\n";
    insta::assert_snapshot!(built(&[("models/schema.yml", yaml)]).messages(), @r"
error[test-args]: `dbt_utils.expression_is_true` needs `expression`
 --> models/schema.yml:4:9
  |
4 |       - dbt_utils.expression_is_true: {expresion: 'amount > 0'}
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write `dbt_utils.expression_is_true: {arguments: {expression: ...}}`

error[test-args]: `dbt_utils.expression_is_true` has no argument `expresion`
 --> models/schema.yml:4:51
  |
4 |       - dbt_utils.expression_is_true: {expresion: 'amount > 0'}
  |                                                   ^^^^^^^^^^^^
  |
  = help: did you mean `expression`?
");
}

#[test]
fn an_operator_takes_other_types() {
    insta::assert_snapshot!(lines(&["select order_date / 2 as x"]), @r#"
error[sql-binding]: `m`: no function takes these types: `/(DATE, INTEGER_LITERAL)`
 --> models/m.sql:1:8
  |
1 | select order_date / 2 as x
  |        ^^^^^^^^^^^^^^
  |
  = help: there is `"/"("left" FLOAT, "right" FLOAT, /) -> FLOAT`
  = help: there is `"/"("left" DOUBLE, "right" DOUBLE, /) -> DOUBLE`
  = help: there is `"/"("left" INTERVAL, "right" DOUBLE, /) -> INTERVAL`
  = help: cast an argument, as in `x::varchar`
"#);
}

#[test]
fn functions_of_other_databases_are_known() {
    insta::assert_snapshot!(lines(&["select dateadd(month, 1, order_date) as x", "select nvl(amount, 0) as x"]), @r"
error[unknown-function]: `m`: there is no function `dateadd`
 --> models/m.sql:1:8
  |
1 | select dateadd(month, 1, order_date) as x
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: DuckDB has another way: `x + interval 1 month` or `{{ dbt.dateadd('month', 1, 'x') }}`


error[unknown-function]: `m`: there is no function `nvl`
 --> models/m.sql:1:8
  |
1 | select nvl(amount, 0) as x
  |        ^^^^^^^^^^^^^^
  |
  = help: DuckDB has another way: `coalesce(a, b)`
");
}

#[test]
fn a_field_of_what_is_not_there() {
    insta::assert_snapshot!(lines(&["select _meta.params.id as x", "select order.amount as x"]), @r#"
error[sql-binding]: `m`: no table or column is called `_meta` here
 --> models/m.sql:1:8
  |
1 | select _meta.params.id as x
  |        ^^^^^^^^^^^^^^^
  |
  = help: the tables here are `orders`


error[sql-syntax]: `m`: syntax error at or near `.`
 --> models/m.sql:1:13
  |
1 | select order.amount as x
  |             ^
  |
  = help: `order` is a word of the grammar: as a name, write `"order"`
"#);
}
