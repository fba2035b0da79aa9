//! Tests of compiling: whole projects in temporary folders, each kind of message as a snapshot.

use super::{CompileOptions, Compiled, compile, write_compiled};
use crate::diagnostic::Style;
use crate::engine::session::ColumnType;
use crate::names::NodeId;
use crate::workspace::{Workspace, WorkspaceOptions};

const PROJECT: &str =
    "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n";

const SOURCES: &str = "
version: 2
sources:
  - name: app
    schema: app
    tables:
      - name: orders
        columns:
          - {name: order_id, data_type: bigint}
          - {name: customer_id, data_type: bigint}
          - {name: order_date, data_type: date}
          - {name: amount, data_type: \"decimal(12,2)\"}
      - name: clicks
";

const ORDERS: (&str, &str) = ("models/orders.sql", "select * from {{ source('app', 'orders') }}\n");

/// A project on disk, opened and compiled.
struct Built {
    folder: tempfile::TempDir,
    workspace: Workspace,
    compiled: Compiled,
}

fn built_with(files: &[(&str, &str)], options: &CompileOptions) -> Built {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = [("kiln.yml", PROJECT), ("models/sources.yml", SOURCES), ORDERS];
    for (path, text) in all.iter().chain(files) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder above it")).expect("a folder");
        std::fs::write(path, text).expect("a written file");
    }
    let opening = WorkspaceOptions::new(folder.path(), "compile");
    let (workspace, found) = Workspace::open_broken(&opening).unwrap_or_else(|error| panic!("{error}"));
    let mut compiled = compile(&workspace, options).unwrap_or_else(|error| panic!("{error}"));
    if found.has_errors() {
        compiled.diagnostics.extend(found);
    }
    Built { folder, workspace, compiled }
}

fn built(files: &[(&str, &str)]) -> Built {
    built_with(files, &CompileOptions::default())
}

impl Built {
    fn messages(&self) -> String {
        self.compiled.diagnostics.render(Style::Plain)
    }

    /// `name TYPE, …`, or why it is not known.
    fn columns(&self, id: &str) -> String {
        let id = self.compiled.models.keys().find(|known| known.short() == id).expect("it is compiled");
        let model = &self.compiled.models[id];
        match &model.columns {
            Some(columns) => {
                let all: Vec<String> =
                    columns.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect();
                all.join(", ")
            }
            None => format!("? {}", model.unknown.as_deref().unwrap_or("it is broken")),
        }
    }
}

/// The messages of a project with one more model.
fn said(sql: &str) -> String {
    built(&[("models/m.sql", sql)]).messages()
}

#[test]
fn types_are_inferred_through_models() {
    let project = built(&[
        (
            "models/paid.sql",
            "{{ config(materialized='ephemeral') }}\nselect order_date, amount from {{ ref('orders') }}",
        ),
        (
            "models/daily.sql",
            "select order_date, count(*) as n, sum(amount) as revenue, null as nothing\nfrom {{ ref('paid') }} group by 1;\n",
        ),
        ("seeds/codes.csv", "code,label,since\n1,a,2026-01-01\n"),
        ("models/coded.sql", "select * from {{ ref('codes') }} -- all of it"),
    ]);
    insta::assert_snapshot!(project.messages(), @"");
    insta::assert_snapshot!(project.columns("daily"), @r#"order_date DATE, n BIGINT, revenue DECIMAL(38,2), nothing "NULL""#);
    insta::assert_snapshot!(project.columns("coded"), @"code BIGINT, label VARCHAR, since DATE");
    let daily = &project.compiled.models[&NodeId::new("model", "shop", "daily")];
    insta::assert_snapshot!(daily.sql, @r#"
with "__dbt__cte__paid" as (

select order_date, amount from "main"."orders"
)
select order_date, count(*) as n, sum(amount) as revenue, null as nothing
from "__dbt__cte__paid" as "paid" group by 1
"#);
}

#[test]
fn a_wrong_column_is_shown_where_it_is_written() {
    insta::assert_snapshot!(said("select order_id,\n       amuont * 2 as twice\nfrom {{ ref('orders') }}\n"), @r"
error[sql-binding]: `m`: `orders` has no column `amuont`
 --> models/m.sql:2:8
  |
2 |        amuont * 2 as twice
  |        ^^^^^^ no such column
  |
  = help: did you mean `amount`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
");
}

#[test]
fn a_wrong_column_of_an_alias_names_its_parent() {
    insta::assert_snapshot!(said(
        "select a.order_id, b.totl\nfrom {{ ref('orders') }} as a\njoin {{ source('app', 'orders') }} b using (order_id)\n"
    ), @r"
error[sql-binding]: `m`: `app.orders` has no column `totl`
 --> models/m.sql:1:20
  |
1 | select a.order_id, b.totl
  |                    ^^^^^^ no such column
  |
  = help: `app.orders` has `order_id`, `customer_id`, `order_date`, `amount`
");
}

#[test]
fn a_column_that_is_out_of_reach_is_said_to_be() {
    insta::assert_snapshot!(said(
        "with o as (select order_id from {{ ref('orders') }})\nselect amount from o\n"
    ), @r"
error[sql-binding]: `m`: there is no column `amount` here
 --> models/m.sql:2:8
  |
2 | select amount from o
  |        ^^^^^^ no such column
  |
  = help: `orders` has a column `amount`, but it is not in reach here
");
}

#[test]
fn a_mistake_in_a_loop_is_found() {
    insta::assert_snapshot!(said(
        "select\n{% for c in ['order_id', 'amnt'] %}\n  max({{ c }}) as max_{{ c }},\n{% endfor %}\n  1 as one\nfrom {{ ref('orders') }}\n"
    ), @r"
error[sql-binding]: `m`: `orders` has no column `amnt`
 --> models/m.sql:3:7
  |
3 |   max({{ c }}) as max_{{ c }},
  |       ^^^^^^^ no such column
  |
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
");
}

#[test]
fn a_mistake_in_a_macro_is_found_in_the_macro() {
    let project = built(&[
        ("macros/cents.sql", "{% macro cents(c) %}\n  cast({{ c }} * 100 as bigintt)\n{% endmacro %}\n"),
        ("models/m.sql", "select {{ cents('amount') }} as cents from {{ ref('orders') }}\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r"
error[unknown-type]: `m`: there is no type `bigintt`
 --> macros/cents.sql:2:25
  |
2 |   cast({{ c }} * 100 as bigintt)
  |                         ^^^^^^^
  |
  = help: did you mean `bigint`?
");
}

#[test]
fn a_wrong_function_is_shown() {
    insta::assert_snapshot!(said("select lowr('A') as a\n"), @r"
error[unknown-function]: `m`: there is no function `lowr`
 --> models/m.sql:1:8
  |
1 | select lowr('A') as a
  |        ^^^^^^^^^
  |
  = help: did you mean `lower`?
");
}

#[test]
fn a_type_error_is_shown() {
    insta::assert_snapshot!(said("select lower(order_date) as a\nfrom {{ ref('orders') }}\n"), @r"
error[sql-binding]: `m`: no function takes these types: `lower(DATE)`
 --> models/m.sql:1:8
  |
1 | select lower(order_date) as a
  |        ^^^^^^^^^^^^^^^^^
  |
  = help: there is `lower(string VARCHAR) -> VARCHAR`
  = help: cast an argument, as in `x::varchar`
");
}

#[test]
fn a_column_that_is_not_grouped_is_shown() {
    insta::assert_snapshot!(said("select order_date, sum(amount) as a\nfrom {{ ref('orders') }}\n"), @r"
error[sql-binding]: `m`: `order_date` is neither grouped by nor aggregated
 --> models/m.sql:1:8
  |
1 | select order_date, sum(amount) as a
  |        ^^^^^^^^^^
  |
  = help: add it to the GROUP BY, or take one of its values with `any_value(order_date)`
");
}

#[test]
fn an_ambiguous_name_is_shown() {
    insta::assert_snapshot!(said(
        "select amount\nfrom {{ ref('orders') }} as a join {{ ref('orders') }} as b on a.order_id = b.order_id\n"
    ), @r"
error[sql-binding]: `m`: `amount` is ambiguous: more than one table has it
 --> models/m.sql:1:8
  |
1 | select amount
  |        ^^^^^^
  |
  = help: say which one: `a.amount`, `b.amount`
");
}

#[test]
fn a_syntax_error_is_shown() {
    insta::assert_snapshot!(said("select order_id\nfrom {{ ref('orders') }}\nwere order_id > 1\n"), @r"
error[sql-syntax]: `m`: syntax error at or near `order_id`
 --> models/m.sql:3:6
  |
3 | were order_id > 1
  |      ^^^^^^^^
");
    insta::assert_snapshot!(said("select order_id,\nfrom {{ ref('orders') }}\nwhere (order_id > 1\n"), @r"
error[sql-syntax]: `m`: syntax error at or near `1`
 --> models/m.sql:3:19
  |
3 | where (order_id > 1
  |                   ^
");
}

#[test]
fn a_model_is_one_query() {
    insta::assert_snapshot!(said("select 1 as a;\nselect 2 as a;\n"), @r"
error[not-a-query]: `m` has 2 statements
 --> models/m.sql:2:1
  |
2 | select 2 as a;
  | ^^^^^^
  |
  = help: a model is one SELECT; what has to be done besides belongs into another model
");
    insta::assert_snapshot!(said("delete from {{ ref('orders') }}\n"), @r"
error[not-a-query]: `m` is not a query
 --> models/m.sql:1:1
  |
1 | delete from {{ ref('orders') }}
  | ^^^^^^
  |
  = help: a model is one SELECT; what has to be done besides belongs into another model
");
    insta::assert_snapshot!(said("-- nothing yet\n"), @r"
error[not-a-query]: `m` renders to nothing
 --> models/m.sql:1:1
  |
1 | -- nothing yet
  | ^^
  |
  = help: a model is one SELECT; what has to be done besides belongs into another model
");
    insta::assert_snapshot!(said("select ';' as a; -- the end\n"), @"");
}

#[test]
fn all_errors_come_at_once_and_children_are_named_once() {
    let project = built(&[
        ("models/a.sql", "select nope from {{ ref('orders') }}\n"),
        ("models/b.sql", "select * from {{ ref('a') }}\n"),
        ("models/c.sql", "select * from {{ ref('b') }} where x = 1\n"),
        ("models/d.sql", "select order_id + order_date::varchar[] as x from {{ ref('orders') }}\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r#"
note[not-checked]: not checked, because `a` has errors: `b`, `c`
 --> models/a.sql:1:1
  |
1 | select nope from {{ ref('orders') }}
  | ^

error[sql-binding]: `a`: `orders` has no column `nope`
 --> models/a.sql:1:8
  |
1 | select nope from {{ ref('orders') }}
  |        ^^^^ no such column
  |
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`

error[sql-binding]: `d`: no function takes these types: `+(BIGINT, VARCHAR[])`
 --> models/d.sql:1:17
  |
1 | select order_id + order_date::varchar[] as x from {{ ref('orders') }}
  |                 ^
  |
  = help: cast an argument, as in `x::varchar`
"#);
    insta::assert_snapshot!(project.columns("c"), @"? `a` has errors");
}

#[test]
fn what_is_wrong_with_templates_does_not_hide_what_is_wrong_with_sql() {
    let project = built(&[
        ("models/a.sql", "select order_id from {{ ref('order') }}\n"),
        ("models/b.sql", "select * from {{ ref('a') }}\n"),
        ("models/c.sql", "select * from {{ ref('orders') }} {% if %}\n"),
        ("models/d.sql", "select order_idd from {{ ref('orders') }}\n"),
        ("models/schema.yml", "models:\n  - {name: d, columns: [{name: x, data_tests: [not_nul]}]}\n"),
        ("tests/none.sql", "select * from {{ ref('nothing') }}\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r#"
note[not-checked]: not checked, because `a` has errors: `b`
 --> models/a.sql:1:1
  |
1 | select order_id from {{ ref('order') }}
  | ^

error[ref-not-found]: there is no model or seed `order`
 --> models/a.sql:1:25
  |
1 | select order_id from {{ ref('order') }}
  |                         ^^^^^^^^^^^^
  |
  = help: did you mean `orders`?

error[template-syntax]: broken Jinja: this `{% if %}` is never closed
 --> models/c.sql:1:35
  |
1 | select * from {{ ref('orders') }} {% if %}
  |                                   ^^^^^^^^
  |
  = help: end it with `{% endif %}`

error[sql-binding]: `d`: `orders` has no column `order_idd`
 --> models/d.sql:1:8
  |
1 | select order_idd from {{ ref('orders') }}
  |        ^^^^^^^^^ no such column
  |
  = help: did you mean `order_id`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`

error[test-not-found]: there is no test `not_nul`
 --> models/schema.yml:2:48
  |
2 |   - {name: d, columns: [{name: x, data_tests: [not_nul]}]}
  |                                                ^^^^^^^
  |
  = help: did you mean `not_null`?

error[ref-not-found]: there is no model or seed `nothing`
 --> tests/none.sql:1:18
  |
1 | select * from {{ ref('nothing') }}
  |                  ^^^^^^^^^^^^^^
  |
  = help: a model's name is its file's name without `.sql`
"#);
}

#[test]
fn a_broken_macro_is_told_once_and_not_by_each_of_its_callers() {
    let project = built(&[
        (
            "macros/a.sql",
            "{% macro cents(x) %}{{ x }} * 100{% endmacroo %}\n{% macro fine() %}1{% endmacro %}\n",
        ),
        ("macros/b.sql", "{% macro outer(x) %}{{ cents(x) }}{% endmacro %}\n{% macro odd %}{% endmacro %}\n"),
        ("macros/c.sql", "{% test small(model) %}select * from {{ model }}\n"),
        ("models/m.sql", "select {{ cents('amount') }} as a from {{ ref('orders') }}\n"),
        (
            "models/n.sql",
            "select {{ outer('amount') }} as a, {{ fine() }} as one, {{ odd() }} from {{ ref('orders') }}\n",
        ),
        ("models/o.sql", "select {{ fine() }} as one, * from {{ ref('m') }}\n"),
        ("models/schema.yml", "models: [{name: orders, data_tests: [small: {most: 3}]}]\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r#"
error[template-syntax]: broken Jinja: this `{% macro %}` is never closed
 --> macros/a.sql:1:1
  |
1 | {% macro cents(x) %}{{ x }} * 100{% endmacroo %}
  | ^^^^^^^^^^^^^^^^^^^^ opened here
  |
  = help: end it with `{% endmacro %}`

error[template-syntax]: broken Jinja: `odd` needs its parameters in parentheses
 --> macros/b.sql:2:3
  |
2 | {% macro odd %}{% endmacro %}
  |   ^^^^^^^^^^^

error[template-syntax]: broken Jinja: this `{% test %}` is never closed
 --> macros/c.sql:1:1
  |
1 | {% test small(model) %}select * from {{ model }}
  | ^^^^^^^^^^^^^^^^^^^^^^^ opened here
  |
  = help: end it with `{% endtest %}`

note[not-checked]: not checked, because `m` has errors: `o`
 --> models/m.sql:1:1
  |
1 | select {{ cents('amount') }} as a from {{ ref('orders') }}
  | ^

note[not-checked]: not checked, because `cents` has errors: `models/m.sql`, `models/n.sql`
 --> models/n.sql:1:11
  |
1 | select {{ outer('amount') }} as a, {{ fine() }} as one, {{ odd() }} from {{ ref('orders') }}
  |           ^^^^^^^^^^^^^^^

note[not-checked]: not checked, because `small` has errors: `models/schema.yml`
 --> models/schema.yml:1:38
  |
1 | models: [{name: orders, data_tests: [small: {most: 3}]}]
  |                                      ^^^^^^^^^^^^^^^^
"#);
}

#[test]
fn what_reads_an_unknown_source_is_unknown_and_said_so() {
    let project = built(&[
        ("models/clicks_by_day.sql", "select day, count(*) from {{ source('app', 'clicks') }} group by 1\n"),
        ("models/child.sql", "select day from {{ ref('clicks_by_day') }}\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r"
note[unknown-columns]: the columns of `app.clicks` are not known: it is outside of the project, and no column is declared; so not checked: `child`, `clicks_by_day`
  --> models/sources.yml:13:15
   |
13 |       - name: clicks
   |               ^^^^^^
   |
   = help: declare its `columns`, each with a `data_type`
");
    insta::assert_snapshot!(project.columns("child"), @"? the columns of `app.clicks` are not known: it is outside of the project, and no column is declared");
    let known = CompileOptions {
        existing: [(
            NodeId::new("source", "shop", "app.clicks"),
            vec![ColumnType { name: "day".into(), data_type: "DATE".into() }],
        )]
        .into(),
        ..CompileOptions::default()
    };
    let project = built_with(
        &[(
            "models/clicks_by_day.sql",
            "select day, count(*) as n from {{ source('app', 'clicks') }} group by 1\n",
        )],
        &known,
    );
    insta::assert_snapshot!(project.columns("clicks_by_day"), @"day DATE, n BIGINT");
}

#[test]
fn templates_ask_the_inferred_catalog() {
    let project = built(&[
        (
            "models/listed.sql",
            "select\n{% for c in adapter.get_columns_in_relation(ref('orders')) %}  {{ c.name }} as x_{{ c.name }},\n{% endfor %}  1 as one\nfrom {{ ref('orders') }}\n",
        ),
        (
            "models/asked.sql",
            "{% set found = run_query(\"select column_name from information_schema.columns where table_name = 'orders' and table_schema = 'main' order by ordinal_position\") %}\nselect {% if execute %}{{ found.columns[0].values() | join(', ') }}{% endif %}\nfrom {{ ref('orders') }}\n",
        ),
    ]);
    insta::assert_snapshot!(project.messages(), @"");
    insta::assert_snapshot!(project.columns("listed"), @"x_order_id BIGINT, x_customer_id BIGINT, x_order_date DATE, x_amount DECIMAL(12,2), one INTEGER");
    insta::assert_snapshot!(project.columns("asked"), @"order_id BIGINT, customer_id BIGINT, order_date DATE, amount DECIMAL(12,2)");
}

#[test]
fn a_template_that_needs_data_is_a_note() {
    let project = built(&[
        (
            "models/pivoted.sql",
            "{% set found = run_query('select distinct order_date from ' ~ ref('orders')) %}\nselect {% if execute %}{{ found.rows | length }}{% else %}0{% endif %} as n\n",
        ),
        ("models/wide.sql", "pivot {{ ref('orders') }} on order_date using sum(amount)\n"),
        ("models/file.sql", "select * from read_csv('landing/*.csv')\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r"
note[unknown-columns]: the columns of `file` are not known: it reads files or the network itself, which is closed here
 --> models/file.sql:1:1
  |
1 | select * from read_csv('landing/*.csv')
  | ^

note[unknown-columns]: the columns of `pivoted` are not known: its template needs the data of `orders`
 --> models/pivoted.sql:1:1
  |
1 | {% set found = run_query('select distinct order_date from ' ~ ref('orders')) %}
  | ^

note[unknown-columns]: the columns of `wide` are not known: its PIVOT has no `IN (…)`, so its columns come from the data
 --> models/wide.sql:1:1
  |
1 | pivot {{ ref('orders') }} on order_date using sum(amount)
  | ^
");
}

#[test]
fn nothing_outside_of_the_project_is_read() {
    let files = [
        (
            "models/file.sql",
            "select 1 as a\nunion all\nselect length(content) from read_text('/etc/passwd')\n",
        ),
        ("models/bare.sql", "select * from '../other/x.csv'\n"),
        ("models/web.sql", "select * from 'https://example.com/x.parquet'\n"),
        ("models/listed.sql", "select * from glob('/etc/*')\n"),
        ("models/hidden.sql", "select * from query('select * from read_csv(''~/x.csv'')')\n"),
        ("tests/peek.sql", "select * from read_blob('/etc/shadow')\n"),
        (
            "models/schema.yml",
            "exposures:\n  - {name: board, type: dashboard, owner: {name: A}, depends_on: [ref('orders')], meta: {queries: [\"from '/etc/x.json'\"]}}\n",
        ),
    ];
    let project = built(&files);
    let messages = project.messages();
    for reader in ["`file` reads `/etc/passwd`", "`bare` reads `../other/x.csv`", "`listed` reads `/etc/*`"] {
        assert!(messages.contains(&format!("{reader}, which is outside of the project")), "{messages}");
    }
    for reader in ["`web`", "`hidden`", "the test `peek`", "a query of `board`"] {
        assert!(messages.contains(&format!("error[reads-outside]: {reader} reads `")), "{messages}");
    }
    assert!(messages.contains("--> models/file.sql:3:"), "{messages}");
    let mut files = files.to_vec();
    let allowed = format!("{PROJECT}severities: {{reads-outside: off}}\n");
    files.push(("kiln.yml", &allowed));
    assert!(!built(&files).messages().contains("error"));
}

#[test]
fn hard_coded_names_are_found_and_still_bound() {
    let project = built(&[
        (
            "models/a_first.sql",
            "select order_id as id\nfrom main.orders as o\njoin app.orders using (order_id)\n",
        ),
        ("models/free.sql", "select * from elsewhere.things\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r"
warning[hard-coded-relation]: `a_first` reads `main.orders` by its name, past the graph
 --> models/a_first.sql:2:6
  |
2 | from main.orders as o
  |      ^^^^^^^^^^^
  |
  = help: write `{{ ref('orders') }}`: then it is built first, and tests see the same data

warning[hard-coded-relation]: `a_first` reads `app.orders` by its name, past the graph
 --> models/a_first.sql:3:6
  |
3 | join app.orders using (order_id)
  |      ^^^^^^^^^^
  |
  = help: write `{{ source('app', 'orders') }}`: then it is built first, and tests see the same data

warning[unknown-relation]: `free` reads `elsewhere.things`, which nothing in the project declares
 --> models/free.sql:1:15
  |
1 | select * from elsewhere.things
  |               ^^^^^^^^^^^^^^^^
  |
  = help: declare it as a source, so that its columns are known and its changes are seen
");
    insta::assert_snapshot!(project.columns("a_first"), @"id BIGINT");
}

#[test]
fn tests_are_bound() {
    let project = built(&[
        (
            "models/schema.yml",
            "models:\n  - name: orders\n    columns:\n      - name: order_idd\n        data_tests: [unique, not_null]\n      - name: order_date\n        data_tests:\n          - accepted_values: {values: [a]}\n          - dbt_utils.accepted_range: {min_value: 0, config: {where: \"amt > 1\"}}\n",
        ),
        ("tests/odd.sql", "select *\nfrom {{ ref('orders') }}\nwhere custmer_id is null\n"),
    ]);
    insta::assert_snapshot!(project.messages(), @r#"
error[test-column]: `orders` has no column `order_idd`, which `unique_orders_order_idd` tests
 --> models/schema.yml:5:22
  |
5 |         data_tests: [unique, not_null]
  |                      ^^^^^^
  |
  = help: did you mean `order_id`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`

error[test-column]: `orders` has no column `order_idd`, which `not_null_orders_order_idd` tests
 --> models/schema.yml:5:30
  |
5 |         data_tests: [unique, not_null]
  |                              ^^^^^^^^
  |
  = help: did you mean `order_id`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`

error[sql-binding]: the test `dbt_utils_accepted_range_orders_order_date__0`: `orders` has no column `amt`
 --> models/schema.yml:9:13
  |
9 |           - dbt_utils.accepted_range: {min_value: 0, config: {where: "amt > 1"}}
  |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no such column
  |
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`

error[sql-binding]: the test `odd`: `orders` has no column `custmer_id`
 --> tests/odd.sql:3:7
  |
3 | where custmer_id is null
  |       ^^^^^^^^^^ no such column
  |
  = help: did you mean `customer_id`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
"#);
}

#[test]
fn consumers_are_checked() {
    let project = built(&[(
        "models/exposures.yml",
        "exposures:\n  - name: board\n    type: dashboard\n    owner: {name: BI, email: bi@example.com}\n    depends_on: [ref('orders')]\n    meta:\n      columns: {orders: [order_id, amuont]}\n      queries:\n        - \"select order_id, ammount from main.orders\"\n        - \"select 1\"\n",
    )]);
    insta::assert_snapshot!(project.messages(), @r#"
error[consumer-column]: `board` reads `orders.amuont`, which does not exist
 --> models/exposures.yml:7:36
  |
7 |       columns: {orders: [order_id, amuont]}
  |                                    ^^^^^^
  |
  = help: did you mean `amount`?

error[sql-binding]: a query of `board`: `orders` has no column `ammount`
 --> models/exposures.yml:9:29
  |
9 |         - "select order_id, ammount from main.orders"
  |                             ^^^^^^^ no such column
  |
  = help: did you mean `amount`?
  = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
"#);
}

#[test]
fn contracts_are_compared() {
    let project = built(&[(
        "contracts/orders.odcs.yaml",
        "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\nschema:\n  - name: orders\n    physicalType: table\n    properties:\n      - {name: order_id, physicalType: INTEGER, required: true}\n      - {name: total, physicalType: DOUBLE, required: true}\n",
    )]);
    insta::assert_snapshot!(project.messages(), @r"
error[contract-type]: `orders.order_id` is BIGINT, and its contract promises INTEGER
  --> contracts/orders.odcs.yaml:10:40
   |
10 |       - {name: order_id, physicalType: INTEGER, required: true}
   |                                        ^^^^^^^ promised here
   |
   = help: write `order_id::INTEGER` in the model, or change the contract

error[contract-column-missing]: `orders` has no column `total`, which its contract promises
  --> contracts/orders.odcs.yaml:11:16
   |
11 |       - {name: total, physicalType: DOUBLE, required: true}
   |                ^^^^^ promised here
   |
   = help: select it in the model, or take it out of the contract and raise its major version
");
}

#[test]
fn artifacts_are_written() {
    let project = built(&[(
        "models/schema.yml",
        "models:\n  - name: orders\n    columns:\n      - name: order_id\n        description: the key\n        data_tests: [unique]\n",
    )]);
    let target = project.folder.path().join("target");
    let count =
        write_compiled(&project.workspace, &project.compiled, &target.join("compiled")).expect("written");
    assert_eq!(count, 2);
    let call = crate::artifact::Invocation::new(None);
    let text = crate::artifact::catalog(&project.workspace, &project.compiled, &call).expect("JSON");
    let catalog: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let column = &catalog["nodes"]["model.shop.orders"]["columns"]["order_id"];
    assert_eq!(column.to_string(), r#"{"type":"BIGINT","index":1,"name":"order_id","comment":"the key"}"#);
    assert_eq!(catalog["sources"]["source.shop.app.orders"]["metadata"]["schema"], "app");
}

#[test]
fn both_forms_of_an_incremental_model_are_bound() {
    let model = |config: &str, filter: &str| {
        said(&format!(
            "{{{{ config(materialized='incremental', {config}) }}}}
select order_id, amount {{% if is_incremental() %}}{{% else %}}, order_date {{% endif %}} from {{{{ ref('orders') }}}}
{{% if is_incremental() %}}{filter}{{% endif %}}
"
        ))
    };
    let sync = "on_schema_change='sync_all_columns'";
    insta::assert_snapshot!(
        model(sync, "where order_id > (select max(order_id) from {{ this }}) and order_date > (select max(order_date) from {{ ref('orders') }})"),
        @""
    );
    insta::assert_snapshot!(model(sync, "where order_id > (select max(order_no) from {{ this }})"), @"
    error[sql-binding]: `m`, where it is incremental: there is no column `order_no` here
     --> models/m.sql:3:55
      |
    3 | {% if is_incremental() %}where order_id > (select max(order_no) from {{ this }}){% endif %}
      |                                                       ^^^^^^^^ no such column
      |
      = help: did you mean `order_id`?
      = help: `orders` has `order_id`, `customer_id`, `order_date`, `amount`
      = help: `m` has `order_id`, `amount`, `order_date`
    ");
    insta::assert_snapshot!(model("incremental_strategy='append'", ""), @"
    error[schema-change]: `m` has other columns where it is incremental: missing: `order_date`
     --> models/m.sql:2:31
      |
    2 | select order_id, amount {% if is_incremental() %}{% else %}, order_date {% endif %} from {{ ref('orders') }}
      |                               ^^^^^^^^^^^^^^
      |
      = help: give the same columns in both forms, or write `on_schema_change='append_new_columns'`
    ");
    let merge =
        "incremental_strategy='merge', unique_key=['order_id', 'line'], merge_update_columns=['amuont']";
    insta::assert_snapshot!(model(&format!("{merge}, {sync}"), ""), @"
    error[unique-key]: the `unique_key` `line` is not a column of `m`
     --> models/m.sql:1:69
      |
    1 | {{ config(materialized='incremental', incremental_strategy='merge', unique_key=['order_id', 'line'], merge_update_columns=['amuont'],...
      |                                                                     ^^^^^^^^^^
      |
      = help: a key of several columns is a list: `unique_key=['a', 'b']`

    error[incremental-column]: `amuont` is not a column of `m`
     --> models/m.sql:1:125
      |
    1 | {{ config(materialized='incremental', incremental_strategy='merge', unique_key=['order_id', 'line'], merge_update_columns=['amuont'],...
      |                                                                                                                             ^^^^^^
      |
      = help: did you mean `amount`?
    ");
}

#[test]
fn a_model_built_by_intervals_has_its_columns() {
    let project = built(&[(
        "models/daily.sql",
        "{{ config(materialized='incremental', incremental_strategy='interval', event_time='order_date', batch_size='month', begin='2026-01-01') }}
select order_date, '{{ interval.start }}'::timestamp as since, '{{ model.batch.event_time_end }}' as until, sum(amount) as amount
from {{ ref('orders') }} group by all
",
    )]);
    insta::assert_snapshot!(project.messages(), @"");
    insta::assert_snapshot!(project.columns("daily"), @"order_date DATE, since TIMESTAMP, until VARCHAR, amount DECIMAL(38,2)");
}
