//! Tests of unit tests: whole projects in temporary folders, each kind of message as a snapshot.

use std::sync::atomic::AtomicBool;

use crate::check::unit::Line;
use crate::compile::{CompileOptions, compile};
use crate::diagnostic::Style;
use crate::run::event::{TestReport, UnitFinding};
use crate::workspace::{Workspace, WorkspaceOptions};

const PROJECT: &str = "name: shop\nversion: \"1.0\"\nlayers: []\nvars: {floor: 0}\n\
                       targets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n";

const SOURCES: &str = "
sources:
  - name: app
    schema: app
    tables:
      - name: orders
        columns:
          - {name: order_id, data_type: bigint}
          - {name: country, data_type: varchar}
          - {name: order_date, data_type: date}
          - {name: amount, data_type: \"decimal(12,2)\"}
          - {name: tags, data_type: \"varchar[]\"}
          - {name: place, data_type: \"struct(lat double, lon double)\"}
      - name: unknown
";

const ORDERS: &str = "select * from {{ source('app', 'orders') }} where amount > {{ var('floor') }}\n";

const BY_DAY: &str = "
with sums as (
    select order_date, country, count(*) as orders, sum(amount) as revenue
    from {{ ref('orders') }}
    {% if is_incremental() %}
    where order_date > (select max(order_date) from {{ this }})
    {% endif %}
    group by all
)
select s.*, c.label
from sums s left join {{ ref('countries') }} c on c.code = s.country
";

fn run(files: &[(&str, &str)]) -> Vec<TestReport> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = [
        ("kiln.yml", PROJECT),
        ("models/sources.yml", SOURCES),
        ("models/orders.sql", ORDERS),
        ("models/by_day.sql", BY_DAY),
        ("seeds/countries.csv", "code,label\nDE,Germany\nFR,\"Fra\"\"nce\"\n"),
    ];
    for (path, text) in all.iter().chain(files) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder above it")).expect("a folder");
        std::fs::write(path, text).expect("a written file");
    }
    let opening = WorkspaceOptions::new(folder.path(), "test");
    let (workspace, _) = Workspace::open(&opening).unwrap_or_else(|error| panic!("{error}"));
    let compiled = compile(&workspace, &CompileOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let selected = workspace.select(&[], &[]).unwrap_or_else(|error| panic!("{error}"));
    super::run(&workspace, &compiled, &selected, &AtomicBool::new(false))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Each test with what it found.
fn told(files: &[(&str, &str)]) -> String {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
    let line = |line: &Line| match line {
        Line::Changed(cells) => {
            let cells = cells.iter().map(|(old, new)| match old == new {
                true => cell(old),
                false => format!("{} -> {}", cell(old), cell(new)),
            });
            format!("~ {}\n", cells.collect::<Vec<_>>().join(" | "))
        }
        Line::Missing(cells) => format!("- {}\n", cells.iter().map(cell).collect::<Vec<_>>().join(" | ")),
        Line::Extra(cells) => format!("+ {}\n", cells.iter().map(cell).collect::<Vec<_>>().join(" | ")),
    };
    let mut text = String::new();
    for report in run(files) {
        text += &format!("{} {}\n", report.status.as_str(), report.name);
        match report.unit.as_deref() {
            None => {}
            Some(UnitFinding::Different(found)) => text.extend(found.lines.iter().map(line)),
            Some(UnitFinding::Broken(problems)) => text += &problems.render(Style::Plain),
        }
    }
    text
}

fn of(yaml: &str) -> String {
    told(&[("models/u.yml", yaml)])
}

#[test]
fn rows_are_given_in_each_form() {
    let yaml = "
unit_tests:
  - name: dict
    model: by_day
    given:
      - input: ref('orders')
        rows:
          - {order_date: 2026-01-01, country: FR, amount: 1}
          - {order_date: 2026-01-01, country: FR, amount: 2.50, tags: [a, b], place: {lat: 1, lon: 2.5}}
    expect: {rows: [{revenue: 3.5, label: 'Fra\"nce', orders: 2}]}
  - name: csv
    model: by_day
    given:
      - input: ref('orders')
        format: csv
        rows: |
          order_date,country,amount
          2026-01-01,\"DE\",1
          2026-01-02,,2
    expect:
      format: csv
      rows: |
        order_date,label,revenue
        2026-01-02,,2.00
        2026-01-01,Germany,1
  - name: sql
    model: by_day
    given:
      - {input: ref('orders'), format: sql, rows: 'select 1 as amount, date ''2026-01-01'' as order_date'}
      - {input: ref('countries'), rows: []}
    expect: {format: sql, rows: 'select 1.0 as revenue, null as label'}
  - name: fixtures
    model: by_day
    given:
      - {input: ref('orders'), format: csv, fixture: two_orders}
    expect: {format: sql, fixture: two_days}
";
    let text = told(&[
        ("models/u.yml", yaml),
        ("tests/fixtures/two_orders.csv", "order_date,amount\n2026-01-01,1\n2026-01-02,2\n"),
        ("tests/fixtures/two_days.sql", "select unnest([1, 2]) as revenue"),
    ]);
    insta::assert_snapshot!(text, @r"
    pass by_day.csv
    pass by_day.dict
    pass by_day.fixtures
    pass by_day.sql
    ");
}

#[test]
fn several_models_and_parts_of_one_are_tested() {
    insta::assert_snapshot!(of("
unit_tests:
  - name: from_the_source
    model: by_day
    given:
      - {input: 'source(''app'', ''orders'')', rows: [{amount: 5, country: DE}, {amount: 1}]}
    overrides: {vars: {floor: 2}}
    expect: {rows: [{revenue: 5, label: Germany}]}
  - name: one_part
    model: by_day
    cte: SUMS
    given: [{input: ref('orders'), rows: [{amount: 1}]}]
    expect: {rows: [{orders: 1, revenue: 1}]}
  - name: incremental
    model: by_day
    given:
      - {input: ref('orders'), rows: [{order_date: 2026-01-01, amount: 1}, {order_date: 2026-01-03, amount: 2}]}
      - {input: this, rows: [{order_date: 2026-01-02}]}
    overrides: {macros: {is_incremental: true}}
    expect: {rows: [{order_date: 2026-01-03, revenue: 2}]}
"), @r"
    pass by_day.from_the_source
    pass by_day.incremental
    pass by_day.one_part
    ");
}

#[test]
fn the_clock_and_the_environment_stand_still() {
    let model = "select now() as a, current_timestamp as b, current_date as c, today() as d,
        now()::timestamp as e, '{{ run_started_at }}' as f, '{{ env_var('PLACE', 'nowhere') }}' as g,
        '{{ modules.datetime.datetime.now().strftime('%Y') }}' as h, {{ hers('x') }} as i,
        age(date '2020-01-01') as j, age(date '2020-03-01', timestamp '2020-01-01') as k
        from {{ ref('orders') }}";
    let yaml = "
unit_tests:
  - name: frozen
    model: clock
    given: [{input: ref('orders'), rows: [{}]}]
    overrides:
      now: 2020-02-29 12:00:00
      env_vars: {PLACE: here}
      macros: {hers: 42}
    expect:
      rows:
        - {c: 2020-02-29, d: 2020-02-29, e: 2020-02-29 12:00:00, f: '2020-02-29 12:00:00+00:00', g: here, h: 2020, i: 42,
           j: 1 month 28 days, k: 2 months}
";
    let files = [
        ("models/clock.sql", model),
        ("models/u.yml", yaml),
        ("macros/hers.sql", "{% macro hers(x) %}1 / 0{% endmacro %}"),
    ];
    insta::assert_snapshot!(told(&files), @"pass clock.frozen");
}

#[test]
fn differences_are_told_row_by_row() {
    insta::assert_snapshot!(of("
unit_tests:
  - name: differs
    model: orders
    given:
      - input: source('app', 'orders')
        rows:
          - {order_id: 1, amount: 1, country: DE}
          - {order_id: 2, amount: 2, country: FR}
          - {order_id: 3, amount: 3, country: IT}
    expect:
      rows:
        - {order_id: 3, amount: 3, country: IT}
        - {order_id: 1, amount: 1.01, country: DE}
        - {order_id: 9, amount: 9, country: ES}
"), @r"
    fail orders.differs
    ~ 1 | 1.01 -> 1.00 | DE
    - 9 | 9.00 | ES
    + 2 | 2.00 | FR
    ");
}

#[test]
fn values_are_compared_by_what_they_mean() {
    let model =
        "select amount::double * 0.1 as d, (amount::double * 0.1)::float as f, '{\"a\":  [1]}'::json as j
        from {{ ref('orders') }}";
    let yaml = "
unit_tests:
  - name: same
    model: floats
    given: [{input: ref('orders'), rows: [{amount: 3}, {amount: 0}, {amount: 30}]}]
    expect: {rows: [{d: 0.3, f: 0.3, j: {a: [1]}}, {d: -0.0, f: 0, j: '{\"a\":[1] }'}, {d: 3, f: 3, j: {a: [1]}}]}
  - name: other
    model: floats
    given: [{input: ref('orders'), rows: [{amount: 3}]}]
    expect: {rows: [{d: 0.3000001, f: 0.3, j: {a: [1]}}]}
";
    insta::assert_snapshot!(told(&[("models/floats.sql", model), ("models/u.yml", yaml)]), @r#"
    fail floats.other
    ~ 0.3000001 -> 0.3 | 0.3 | {"a":[1]}
    pass floats.same
    "#);
}

#[test]
fn a_field_that_a_type_does_not_have_is_told() {
    insta::assert_snapshot!(of("
unit_tests:
  - name: fields
    model: orders
    given:
      - input: source('app', 'orders')
        rows: [{order_id: 1, place: {lat: 1}}, {order_id: 2, place: {lat: 1, long: 2}}, {tags: {a: 1}}]
    expect: {rows: []}
"), @r#"
    error orders.fields
    error[unit-test-value]: `{"lat":1}` does not fit into `place`: object {"lat":1} does not have key "lon"
     --> models/u.yml:7:37
      |
    7 |         rows: [{order_id: 1, place: {lat: 1}}, {order_id: 2, place: {lat: 1, long: 2}}, {tags: {a: 1}}]
      |                                     ^^^^^^^^ STRUCT(lat DOUBLE, lon DOUBLE)
      |
      = help: write every field of it, and `null` for one that says nothing

    error[unit-test-value]: `{"lat":1,"long":2}` does not fit into `place`: object {"lat":1,"long":2} has unknown key "long"
     --> models/u.yml:7:69
      |
    7 |         rows: [{order_id: 1, place: {lat: 1}}, {order_id: 2, place: {lat: 1, long: 2}}, {tags: {a: 1}}]
      |                                                                     ^^^^^^^^^^^^^^^^^ STRUCT(lat DOUBLE, lon DOUBLE)

    error[unit-test-value]: `{"a":1}` does not fit into `tags`: expected ARRAY, but got OBJECT: {"a":1}
     --> models/u.yml:7:96
      |
    7 |         rows: [{order_id: 1, place: {lat: 1}}, {order_id: 2, place: {lat: 1, long: 2}}, {tags: {a: 1}}]
      |                                                                                                ^^^^^^ VARCHAR[]
    "#);
}

#[test]
fn mistakes_are_told_at_their_place() {
    let yaml = "
unit_tests:
  - name: a_column
    model: orders
    given: [{input: 'source(''app'', ''orders'')', rows: [{order_idd: 1}]}]
    expect: {rows: []}
  - name: b_value
    model: orders
    given:
      - input: source('app', 'orders')
        format: csv
        rows: |
          order_id,amount,order_date
          1,2,2026-01-01
          x,1.555,2026-13-01
    expect: {rows: []}
  - name: c_value
    model: orders
    given:
      - {input: 'source(''app'', ''orders'')', rows: [{order_id: x, place: {lat: high}}]}
    expect: {rows: []}
  - name: d_expected
    model: orders
    given: [{input: 'source(''app'', ''orders'')', rows: []}]
    expect: {rows: [{amonut: 1}]}
  - name: e_missing
    model: by_day
    given: [{input: ref('countries'), rows: []}]
    expect: {rows: []}
  - name: f_cte
    model: by_day
    cte: sum
    given: [{input: ref('orders'), rows: []}]
    expect: {rows: []}
  - name: g_macro
    model: by_day
    given: [{input: ref('orders'), rows: []}]
    overrides: {macros: {is_incrementl: true}}
    expect: {rows: []}
  - name: h_sql
    model: orders
    given:
      - input: source('app', 'orders')
        format: sql
        rows: |
          select 1 as order_id,
            amuont
    expect: {rows: []}
  - name: i_this
    model: by_day
    given: [{input: ref('orders'), rows: []}]
    overrides: {macros: {is_incremental: true}}
    expect: {rows: []}
  - name: j_model
    model: broken
    given: [{input: ref('orders'), rows: [{country: DE}]}]
    expect: {rows: []}
";
    let broken = "select country::int as n\nfrom {{ ref('orders') }}\n";
    insta::assert_snapshot!(told(&[("models/u.yml", yaml), ("models/broken.sql", broken)]), @r#"
    error broken.j_model
    error[sql-data]: `broken`: could not convert string 'DE' to INT32 when casting from source column country
      --> models/broken.sql:1:15
       |
     1 | select country::int as n
       |               ^^^^^
       |
      ::: models/u.yml:54:11
       |
    54 |   - name: j_model
       |           ------- in this unit test

    error by_day.e_missing
    error[unit-test-input]: `by_day` reads `orders`, for which `e_missing` gives no rows
      --> models/u.yml:26:11
       |
    26 |   - name: e_missing
       |           ^^^^^^^^^
       |
       = help: add `- {input: ref('orders'), rows: []}` under `given`, with rows if they matter

    error by_day.f_cte
    error[unit-test-cte]: `by_day` has no common table expression `sum`
      --> models/u.yml:32:10
       |
    32 |     cte: sum
       |          ^^^
       |
       = help: did you mean `sums`?
       = help: it has `sums`

    error by_day.g_macro
    error[unit-test-override]: there is no macro `is_incrementl`
      --> models/u.yml:38:26
       |
    38 |     overrides: {macros: {is_incrementl: true}}
       |                          ^^^^^^^^^^^^^
       |
       = help: did you mean `is_incremental`?
       = help: a macro of a package is written with the package: `dbt_utils.star`

    error by_day.i_this
    error[unit-test-input]: `by_day` reads `this`, for which `i_this` gives no rows
      --> models/u.yml:49:11
       |
    49 |   - name: i_this
       |           ^^^^^^
       |
       = help: add `- {input: this, rows: []}` under `given`, with rows if they matter

    error orders.a_column
    error[unit-test-column]: `app.orders` has no column `order_idd`
     --> models/u.yml:5:60
      |
    5 |     given: [{input: 'source(''app'', ''orders'')', rows: [{order_idd: 1}]}]
      |                                                            ^^^^^^^^^ no such column
      |
      = help: did you mean `order_id`?
      = help: `app.orders` has `order_id`, `country`, `order_date`, `amount`, `tags`, `place`

    error orders.b_value
    error[unit-test-value]: `x` does not fit into `order_id`
      --> models/u.yml:15:11
       |
    15 |           x,1.555,2026-13-01
       |           ^ BIGINT

    error[unit-test-value]: `1.555` does not fit into `amount`: DECIMAL(12,2) holds 2 decimals
      --> models/u.yml:15:13
       |
    15 |           x,1.555,2026-13-01
       |             ^^^^^ DECIMAL(12,2)

    error[unit-test-value]: `2026-13-01` does not fit into `order_date`
      --> models/u.yml:15:19
       |
    15 |           x,1.555,2026-13-01
       |                   ^^^^^^^^^^ DATE

    error orders.c_value
    error[unit-test-value]: `x` does not fit into `order_id`
      --> models/u.yml:20:66
       |
    20 |       - {input: 'source(''app'', ''orders'')', rows: [{order_id: x, place: {lat: high}}]}
       |                                                                  ^ BIGINT

    error[unit-test-value]: `{"lat":"high"}` does not fit into `place`: failed to cast value to numerical: "high"
      --> models/u.yml:20:76
       |
    20 |       - {input: 'source(''app'', ''orders'')', rows: [{order_id: x, place: {lat: high}}]}
       |                                                                            ^^^^^^^^^^^ STRUCT(lat DOUBLE, lon DOUBLE)

    error orders.d_expected
    error[unit-test-column]: `orders` has no column `amonut`
      --> models/u.yml:25:22
       |
    25 |     expect: {rows: [{amonut: 1}]}
       |                      ^^^^^^ no such column
       |
       = help: did you mean `amount`?
       = help: `orders` has `order_id`, `country`, `order_date`, `amount`, `tags`, `place`

    error orders.h_sql
    error[sql-binding]: the rows of `app.orders`: there is no column `amuont` here
      --> models/u.yml:47:13
       |
    47 |             amuont
       |             ^^^^^^ no such column
    "#);
}

#[test]
fn what_nobody_knows_is_taken_as_it_looks() {
    let files = [
        ("models/x.sql", "select a + 1 as a, b from {{ source('app', 'unknown') }}"),
        (
            "models/u.yml",
            "
unit_tests:
  - name: looks
    model: x
    given: [{input: 'source(''app'', ''unknown'')', rows: [{a: 1, b: yes}, {a: 2.5}]}]
    expect: {rows: [{a: 3.5}, {a: 2, b: true}]}
  - name: nothing
    model: x
    given: [{input: 'source(''app'', ''unknown'')', rows: []}]
    expect: {rows: []}
",
        ),
    ];
    insta::assert_snapshot!(told(&files), @r"
    fail x.looks
    ~ 2.0 | true -> yes
    error x.nothing
    error[unit-test-column]: the columns of `app.unknown` are not known, and no row names any
     --> models/u.yml:7:11
      |
    7 |   - name: nothing
      |           ^^^^^^^
    ");
}

#[test]
fn no_file_can_be_read() {
    let files = [
        ("models/x.sql", "select * from read_text('/etc/passwd')"),
        ("models/u.yml", "unit_tests: [{name: sealed, model: x, expect: {rows: []}}]"),
    ];
    insta::assert_snapshot!(told(&files), @r#"
    error x.sealed
    error[sql-error]: `x`: cannot access file "/etc/passwd" - file system operations are disabled by configuration
     --> models/x.sql:1:15
      |
    1 | select * from read_text('/etc/passwd')
      |               ^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: models/u.yml:1:21
      |
    1 | unit_tests: [{name: sealed, model: x, expect: {rows: []}}]
      |                     ------ in this unit test
    "#);
}
