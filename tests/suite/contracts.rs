//! Contracts as a user meets them: written by Kiln, read back, shown, and held against a model's properties.

use kiln::contract;
use kiln::diagnostic::{Diagnostics, SourceFile, Style};

use super::commands::Project;
use super::support::Shop;

const PROPERTIES: &str = r#"
models:
  - name: orders
    description: |
      one row per order,
      without test orders
    config:
      tags: [sales]
      contract: {enforced: true}
      meta: {owner: {name: Commerce, email: commerce@example.com}}
    constraints:
      - {type: check, expression: "amount >= 0 or status = 'refund'"}
    data_tests:
      - dbt_utils.unique_combination_of_columns: {combination_of_columns: [status, day]}
      - orders_are_few
    columns:
      - name: order_id
        data_type: bigint
        description: "the shop's number: never reused"
        constraints: [{type: primary_key}]
        data_tests: [unique, not_null]
      - name: status
        data_type: varchar
        data_tests:
          - not_null
          - accepted_values: {values: [placed, "yes", refund]}
          - not_null: {name: soft, config: {severity: warn, where: "day > '2026-01-01'"}}
      - name: amount
        data_type: decimal(12,2)
        tags: [money]
        data_tests:
          - dbt_utils.accepted_range: {min_value: 0, max_value: 1000000}
          - dbt_utils.accepted_range: {name: counted, min_value: 1, config: {warn_if: "> 10"}}
      - name: customer_id
        data_type: bigint
        meta: {classification: restricted}
        data_tests:
          - relationships: {to: ref('customers'), field: customer_id}
      - {name: day, data_type: date}
  - name: customers
    columns: [{name: customer_id, data_tests: [unique]}]
"#;

/// A project with an orders model that promises much in its properties.
fn project() -> Project {
    let project = Project::new();
    project.write(
        "models/curated/orders.sql",
        "select order_id, 'placed' as status, amount, order_id + 1 as customer_id, date '2026-11-01' + order_id::int as day\nfrom {{ ref('raw_orders') }}\n",
    );
    project.write(
        "models/curated/customers.sql",
        "select order_id + 1 as customer_id from {{ ref('orders') }}\n",
    );
    project.write("models/schema.yml", PROPERTIES);
    project.write(
        "tests/generic/few.sql",
        "{% test orders_are_few(model) %}select 1 from (select count(*) as n from {{ model }}) where n > 100{% endtest %}\n",
    );
    project.write("tests/orders_exist.sql", "select 1 from {{ ref('orders') }} having count(*) = 0\n");
    project
}

#[test]
fn a_first_contract_is_written_and_holds() {
    let project = project();
    project.say(&["run"]);
    insta::assert_snapshot!("init_to_stdout", project.say(&["contract", "init", "orders", "-o", "-"]));
    insta::assert_snapshot!("init", project.say(&["contract", "init", "orders"]));
    insta::assert_snapshot!("init_again", project.say(&["contract", "init", "orders"]));
    let written =
        std::fs::read_to_string(project.path().join("contracts/orders.odcs.yaml")).expect("it is written");
    project.write("contracts/orders.odcs.yaml", &written.replace("status: draft", "status: active"));
    // Everything that was written agrees with the properties and holds.
    insta::assert_snapshot!("run_with_the_contract", project.say(&["run"]));
    insta::assert_snapshot!("show_contract", project.say(&["contract", "show", "orders"]));
    insta::assert_snapshot!(
        "init_elsewhere",
        project.say(&["contract", "init", "orders", "-o", "contracts/o.yaml"])
    );
}

#[test]
fn properties_are_exported() {
    let project = project();
    insta::assert_snapshot!("export", project.say(&["contract", "export", "orders"]));
    insta::assert_snapshot!("export_without_columns", project.say(&["contract", "export", "totals"]));
    insta::assert_snapshot!("export_of_nothing", project.say(&["contract", "export", "oders"]));
    insta::assert_snapshot!("show_without_a_contract", project.say(&["contract", "show", "orders"]));
}

#[test]
fn a_missing_contract_does_not_stop_the_command_that_writes_it() {
    let project = Project::new();
    project.write(
        "models/serving/totals_by_day.sql",
        "select count(*) as orders, max(amount) as \"Most Ever\" from {{ ref('orders') }}\n",
    );
    assert!(project.say(&["compile"]).contains("error[contract-missing]"));
    insta::assert_snapshot!("init_in_serving", project.say(&["contract", "init", "totals_by_day"]));
    assert!(project.say(&["compile"]).starts_with("exit 0"));
}

const OLD: &str = r#"apiVersion: v3.0.2
kind: DataContract
id: 53581432-6c55
name: sellers
version: 1.1.0
inventedAtTheRoot: {kept: true}
team:
  - {username: ceastwood, role: Data Scientist, dateIn: "2022-08-02"}
schema:
  - name: orders
    physicalType: table
    steward: ana
    properties:
      - name: order_id
        logicalType: integer
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {minimum: 0, exclusiveMinimum: true}
        quality:
          - {rule: nullCheck, description: "never NULL", dimension: completeness}
          - {rule: duplicateCount, mustBeLessThanOrEqualTo: 0, toolName: any}
      - name: status
        enum: [{value: placed, label: Placed}, {value: "yes"}, {value: refund}]
        deprecated: true
      - name: tags_of
        physicalName: day
        semanticType: dimension
    quality:
      - {description: "amounts are in euros"}
      - {query: "select count(*) from {object}", mustBeGreaterThan: 0}
slaProperties:
  - {property: retention, value: 3, unit: y, customProperties: [{property: a, value: b}]}
customProperties:
  - {property: mode, value: x, vendor: other}
"#;

#[test]
fn an_older_contract_is_exported_with_all_that_it_says() {
    let project = project();
    project.write("contracts/orders.odcs.yaml", OLD);
    let said = project.say(&["contract", "export", "orders"]);
    insta::assert_snapshot!("export_of_an_older_contract", said);
    // A second time changes nothing: what was moved stays where it is.
    assert!(
        project
            .say(&["contract", "export", "orders", "-o", "contracts/orders.odcs.yaml"])
            .starts_with("exit 2")
    );
    project.say(&["contract", "export", "orders", "-o", "contracts/orders.odcs.yaml", "--force"]);
    let first = std::fs::read_to_string(project.path().join("contracts/orders.odcs.yaml")).expect("written");
    project.say(&["contract", "export", "orders", "-o", "contracts/orders.odcs.yaml", "--force"]);
    let second = std::fs::read_to_string(project.path().join("contracts/orders.odcs.yaml")).expect("written");
    assert_eq!(first, second);
    let read = |text: &str| {
        let mut problems = Diagnostics::new();
        let contracts = contract::read(&SourceFile::new("contracts/orders.odcs.yaml", text), &mut problems);
        assert!(!problems.has_errors(), "{}", problems.render(Style::Plain));
        contracts
    };
    assert_eq!(read(OLD)[0].documentation_only.len(), read(&first)[0].documentation_only.len());
    insta::assert_snapshot!("show_an_older_contract", project.say(&["contract", "show", "orders"]));
}

#[test]
fn what_contract_and_properties_say_differently_is_an_error_at_both_places() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets:\n  dev: {type: duckdb, path: dev.duckdb}\n"),
        (
            "models/orders.sql",
            "select 1::bigint as order_id, 'a' as status, 1 as amount, date '2026-11-01' as day\n",
        ),
        (
            "models/schema.yml",
            "models:\n  - name: orders\n    constraints: [{type: primary_key, columns: [order_id, day]}]\n    columns:\n      - {name: order_id, data_type: int, data_tests: [unique]}\n      - name: status\n        data_type: int\n        data_tests:\n          - not_null\n          - accepted_values: {values: [a, b, 3]}\n      - {name: amount, data_tests: [{not_null: {where: day is null}}]}\n      - {name: day, data_type: date}\n",
        ),
        (
            "contracts/orders.odcs.yaml",
            "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\nschema:\n  - name: orders\n    properties:\n      - {name: Order_ID, physicalType: BIGINT, primaryKey: true, unique: false}\n      - name: status\n        logicalType: string\n        required: false\n        quality: [{metric: invalidValues, arguments: {validValues: [c, a, \"3\"]}}]\n      - {name: amount, required: false}\n      - {name: day, physicalType: Date, logicalType: date}\n",
        ),
    ]);
    let error = shop.open().map(|_| ()).expect_err("they disagree");
    insta::assert_snapshot!("disagreements", error.to_string());
    shop.replace("models/schema.yml", "values: [a, b, 3]", "values: ['3', c, a]");
    let error = shop.open().map(|_| ()).expect_err("they disagree").to_string();
    assert!(!error.contains("the values of"), "{error}");
}

#[test]
fn what_dbt_enforces_is_enforced() {
    let project = Project::new();
    project.write(
        "models/curated/orders.sql",
        "select 1 as id, 'a' as name, -3 as extra union all select 1, null, 2\n",
    );
    project.write("models/curated/customers.sql", "select 5 as id\n");
    project.write("models/curated/totals.sql", "select count(*) as orders from {{ ref('orders') }}\n");
    let properties = r#"
models:
  - name: orders
    constraints:
      - {type: primary_key, columns: [id]}
      - {type: check, expression: "extra > 0"}
      - {type: foreign_key, columns: [id], to: ref('customers'), to_columns: [id]}
      - {type: unique, columns: [name, extra]}
      - {type: custom, expression: "tag"}
    columns:
      - name: id
        data_tests: [not_null]
      - {name: name, constraints: [{type: not_null}]}
"#;
    project.write("models/schema.yml", properties);
    insta::assert_snapshot!("constraints_are_tested", project.say(&["run"]));
    project.write("models/curated/orders.sql", "select 5 as id, 'a' as name, 3 as extra\n");
    assert!(project.say(&["run"]).starts_with("exit 0"));
    // The tests of constraints are no facts of their own: they are exported once.
    let exported = project.say(&["contract", "export", "orders", "-o", "-"]);
    assert_eq!(
        (exported.matches("extra > 0").count(), exported.matches("relationships").count()),
        (1, 1),
        "{exported}"
    );
    let enforced = "models:\n  - name: orders\n    config: {contract: {enforced: true}}\n    columns:\n      - {name: id, data_type: varchar}\n      - {name: nme, data_type: varchar}\n      - {name: name}\n";
    project.write("models/schema.yml", enforced);
    insta::assert_snapshot!("an_enforced_contract_is_compiled", project.say(&["compile"]));
    insta::assert_snapshot!("an_enforced_contract_is_checked", project.say(&["run"]));
    let right = enforced.replace(
        "varchar}\n      - {name: nme, data_type: varchar",
        "int}\n      - {name: extra, data_type: integer",
    );
    project.write("models/schema.yml", &right);
    assert!(project.say(&["run"]).starts_with("exit 0"));
}

#[test]
fn what_has_ended_is_said() {
    let project = Project::new();
    project.write(
        "models/schema.yml",
        "models:\n  - {name: orders, deprecation_date: 2020-01-01}\nexposures:\n  - name: board\n    type: dashboard\n    owner: {name: BI}\n    depends_on: [ref('served')]\n    meta: {requires: '>=2,<3'}\n  - name: sheet\n    type: analysis\n    owner: {name: BI}\n    depends_on: [ref('served')]\n    meta: {requires: {served: two}}\n",
    );
    project.write("models/serving/served.sql", "select count(*) as orders from {{ ref('orders') }}\n");
    let contract = |day: &str| {
        format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: served\nversion: 1.4.0\nstatus: active\nslaProperties:\n  - {day}\nschema:\n  - name: served\n    properties: [{{name: orders, physicalType: BIGINT}}]\n"
        )
    };
    project.write("contracts/served.odcs.yaml", &contract("{property: endOfLife, value: \"2020-02-01\"}"));
    insta::assert_snapshot!("what_has_ended", project.say(&["compile"]));
    project.write("contracts/served.odcs.yaml", &contract("{property: endOfSupport, value: \"2020-02-01\"}"));
    let properties =
        std::fs::read_to_string(project.path().join("models/schema.yml")).expect("the properties");
    project.write("models/schema.yml", &properties.replace("two", "'>=1'"));
    insta::assert_snapshot!("what_is_not_supported_any_more", project.say(&["compile"]));
    project.write("models/schema.yml", "models: [{name: orders, deprecation_date: soon}]\n");
    insta::assert_snapshot!("a_day_that_is_none", project.say(&["compile"]));
}
