//! Contracts read from text, and their tests run on a real DuckDB. Generic tests are named here and run in `check`.

use std::fmt::Write;

use duckdb::Connection;

use super::*;
use crate::diagnostic::{Diagnostics, SourceFile, Style};
use crate::manifest::{Test, TestKind, TestSeverity};
use crate::names::NodeId;

const ORDERS: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: orders
version: 2.3.0
status: active
domain: sales
team: {name: Commerce Data, members: [{username: ana@x.io, role: Owner}]}
schema:
  - name: orders                # = model name; physicalName if different
    physicalType: table
    dataGranularityDescription: one row per order
    customProperties:
      - {property: grain, value: [order_id]}
      - {property: compatibility, value: consumer_transitive}
    properties:
      - {name: order_id, physicalType: BIGINT, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: email, physicalType: VARCHAR, classification: restricted, tags: [pii]}
      - name: status
        physicalType: VARCHAR
        required: true
        quality: [{id: status_ok, metric: invalidValues, arguments: {validValues: [placed, shipped]}, mustBe: 0, severity: error}]
      - {name: updated_at, physicalType: TIMESTAMP}
    quality: [{id: vol, metric: rowCount, mustBeGreaterThan: 0}]
slaProperties:
  - {property: latency, value: 4, unit: h, element: orders.updated_at}
  - {property: endOfSupport, value: "2027-06-30"}
"#;

const REVENUE: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: revenue_by_day
version: 1.0.0
status: active
schema:
  - name: revenue_by_day
    physicalType: table
    properties:
      - {name: order_date, physicalType: DATE, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: orders, physicalType: BIGINT, required: true}
      - {name: revenue, physicalType: "DECIMAL(38,2)", required: true}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
"#;

/// A contract on the model `m` with these properties and quality rules (YAML flow sequences' items, one a line).
fn contract(properties: &str, quality: &str) -> String {
    let lines =
        |text: &str| text.lines().map(|line| format!("      - {}\n", line.trim())).collect::<String>();
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: m\nversion: 1.0.0\nstatus: active\nschema:\n  - name: m\n    properties:\n{}    quality:\n{}",
        lines(properties),
        lines(quality)
    )
}

fn read_text(text: &str) -> (Vec<Contract>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let contracts = read(&SourceFile::new("contracts/a.odcs.yaml", text), &mut diagnostics);
    (contracts, diagnostics)
}

fn read_clean(text: &str) -> Vec<Contract> {
    let (contracts, diagnostics) = read_text(text);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(Style::Plain));
    contracts
}

fn enforce(contract: &Contract) -> (Vec<Test>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let find = |name: &str| (name != "nowhere").then(|| NodeId::new("model", "shop", name));
    let node = NodeId::new("model", "shop", &contract.model.value);
    let tests = super::tests(contract, &node, "shop", &find, &mut diagnostics);
    (tests, diagnostics)
}

fn describe(tests: &[Test]) -> String {
    tests.iter().fold(String::new(), |mut text, test| {
        let severity = if test.config.severity == TestSeverity::Warn { " warn" } else { "" };
        let column = test.column.as_ref().map(|column| format!(" on {column}")).unwrap_or_default();
        let what = match &test.kind {
            TestKind::Generic { name, args } => format!("{name} {}", serde_json::Value::Object(args.clone())),
            TestKind::Contract(rule) => format!("{}\n{}", rule.promise, rule.definition()),
            TestKind::Singular { .. } => unreachable!("contracts have no files"),
        };
        writeln!(text, "{}{column}{severity} ({}): {what}", test.name, test.at).expect("text grows");
        text
    })
}

/// How many rows each rule of a contract on `m` finds, by name, at noon of 2026-11-30.
fn failures(yaml: &str, m: &str) -> String {
    let (tests, diagnostics) = enforce(&read_clean(yaml)[0]);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(Style::Plain));
    let connection = Connection::open_in_memory().expect("an in-memory database");
    connection.execute_batch(&format!("create table m as {m}")).expect("a table");
    connection.execute_batch("create table p as from (values (1, 'a'), (2, 'b')) t(id, k)").expect("a table");
    let mut found = Vec::new();
    for test in tests {
        let TestKind::Contract(rule) = &test.kind else { continue };
        let sql =
            rule.sql("(select * from m) dbt_subquery", |_| "p".into(), "timestamp '2026-11-30 12:00:00'");
        let count = crate::check::query::count(&sql, &test.config);
        let count: i64 = connection
            .query_row(&count, [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{}: {error}\n{sql}", test.name));
        found.push(format!("{} {count}", test.name.trim_start_matches("contract_m_")));
    }
    found.join(", ")
}

#[test]
fn the_recommended_contract_is_read() {
    let contracts = read_clean(ORDERS);
    let contract = &contracts[0];
    assert_eq!(contract.model.value, "orders");
    assert_eq!(contract.version.value.to_string(), "2.3.0");
    assert_eq!(contract.version.at.to_string(), "contracts/a.odcs.yaml:4:10");
    assert_eq!(contract.compatibility, Compatibility { mode: CompatibilityMode::Consumer, transitive: true });
    assert_eq!(
        contract.lifecycle.end_of_support.as_ref().map(|date| date.value.as_str()),
        Some("2027-06-30")
    );
    assert_eq!(
        contract.property("EMAIL").and_then(|p| p.classification.as_ref()).map(|c| &*c.value),
        Some("restricted")
    );
    assert_eq!(contract.team["name"], "Commerce Data");
    assert_eq!(contract.raw.get("domain").and_then(|domain| domain.as_str()), Some("sales"));
    assert!(contract.documentation_only.is_empty());
    insta::assert_snapshot!(describe(&enforce(contract).0));
}

#[test]
fn the_contract_of_the_example_project() {
    insta::assert_snapshot!(describe(&enforce(&read_clean(REVENUE)[0]).0));
}

#[test]
fn drafts_only_warn() {
    let text = REVENUE.replace("status: active", "status: draft");
    let (tests, _) = enforce(&read_clean(&text)[0]);
    assert!(tests.iter().all(|test| test.config.severity == TestSeverity::Warn));
}

#[test]
fn metrics_are_measured() {
    let yaml = contract(
        "{name: x, quality: [
        {id: a, metric: nullValues, mustBeLessThan: 2}, {id: b, metric: nullValues, unit: percent, mustBeLessOrEqualTo: 25},
        {id: c, metric: missingValues, arguments: {missingValues: [null, '', 'N/A']}, mustBe: 0},
        {id: d, metric: missingValues, arguments: {missingValues: ['N/A']}, mustBeBetween: [1, 2]},
        {id: e, metric: invalidValues, arguments: {validValues: [a, b], pattern: '^a'}},
        {id: f, metric: invalidValues, arguments: {validValues: [a, b]}, unit: percent, mustNotBeBetween: [20, 60]},
        {id: g, metric: duplicateValues, mustBeLessThan: 1}, {id: h, metric: duplicateValues, unit: percent, mustBeGreaterOrEqualTo: 25}]}"
            .replace('\n', " ")
            .as_str(),
        "{id: rows, metric: rowCount, mustBeGreaterThan: 2, mustBeLessThan: 5}\n{id: none, metric: rowCount, mustNotBe: 0}",
    );
    let some = failures(&yaml, "from (values ('a'), ('a'), ('N/A'), (null)) t(x)");
    assert_eq!(some, "x_a 0, x_b 0, x_c 2, x_d 0, x_e 1, x_f 1, x_g 1, x_h 0, rows 0, none 0");
    let nothing = failures(&yaml, "select 'a' as x where false");
    assert_eq!(nothing, "x_a 0, x_b 0, x_c 0, x_d 1, x_e 0, x_f 0, x_g 0, x_h 1, rows 1, none 1");
}

#[test]
fn options_are_checked() {
    let yaml = contract(
        "{name: even, logicalType: integer, logicalTypeOptions: {multipleOf: 2, format: i8}}
        {name: price, logicalType: number, logicalTypeOptions: {multipleOf: 0.1}}
        {name: mail, logicalType: string, logicalTypeOptions: {format: email}}
        {name: \"item list\", logicalType: array, logicalTypeOptions: {minItems: 1, maxItems: 2, uniqueItems: true}}",
        "{metric: rowCount, mustBeBetween: [0, 9]}",
    );
    let good = "select 4 as even, 0.3::double as price, 'a@b.c' as mail, [1, 2] as \"item list\"";
    let bad = "select 1001 as even, 0.35 as price, 'a b@c.d' as mail, [1, 1, null] as \"item list\"";
    let names =
        ["even_multiple_of", "even_format", "price_multiple_of", "mail_format", "item_list_min_items"];
    let all = |counts: [u8; 8]| {
        let names = names.iter().chain(["item_list_max_items", "item_list_unique_items", "row_count"].iter());
        names.zip(counts).map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(failures(&yaml, good), all([0; 8]));
    assert_eq!(failures(&yaml, bad), all([1, 1, 1, 1, 0, 1, 1, 0]));
}

#[test]
fn options_become_generic_tests() {
    let yaml = contract(
        "{name: a, logicalTypeOptions: {minimum: 0, maximum: 10}}
        {name: b, logicalTypeOptions: {minimum: 0, exclusiveMaximum: 10}}
        {name: c, logicalTypeOptions: {maximum: 10, exclusiveMaximum: true}}
        {name: d, logicalType: date, logicalTypeOptions: {minimum: '2020-01-01', format: yyyy-MM-dd}}
        {name: e, logicalTypeOptions: {minLength: 2, pattern: '^\\d{{2}}$'}, physicalType: VARCHAR(8)}
        {name: \"order\", required: true, unique: true, enum: [a, {value: b, label: B}, null]}",
        "{type: text, description: it is fine}",
    );
    let contract = &read_clean(&yaml)[0];
    insta::assert_snapshot!(describe(&enforce(contract).0));
    let listed: Vec<&str> = contract.documentation_only.iter().map(|text| text.value.as_str()).collect();
    insta::assert_snapshot!("documentation_only", listed.join("\n"));
}

#[test]
fn queries_are_rules() {
    let yaml = contract(
        "{name: \"a b\", quality: [{type: sql, query: 'SELECT COUNT(*) FROM ${table} WHERE ${column} IS NULL;', mustBe: 0}]}",
        "{id: one, type: sql, query: \"select count(*) from {object} -- {property\", mustBeGreaterThan: 1}
        {id: two, type: sql, query: \"with a as (select * from main.m) select bool_and(x = ';') from a\", mustBe: true}",
    );
    let rows = "from (values (1, ';'), (null, ';')) t(\"a b\", x)";
    assert_eq!(failures(&yaml, rows), "a_b_query 1, one 0, two 0");
    assert_eq!(failures(&yaml, "select 1 as \"a b\", 'y' as x"), "a_b_query 0, one 1, two 1");
}

#[test]
fn queries_that_are_none_are_refused() {
    let queries = [
        "drop table {object}",
        "select 1; drop table x",
        "select 1) as x) from y --",
        "select (1 from {object}",
        "",
        "with a as (select 1) insert into {object} select 1",
        "select {property} from {object}",
        "select 1",
    ];
    let rules: Vec<String> =
        queries.iter().map(|query| format!("{{type: sql, query: \"{query}\", mustBe: 0}}")).collect();
    let (contracts, _) = read_text(&contract("{name: x}", &rules.join("\n")));
    insta::assert_snapshot!(enforce(&contracts[0]).1.render(Style::Plain));
}

#[test]
fn ages_are_measured_without_icu() {
    let yaml = contract("{name: at}", "{metric: rowCount, mustNotBe: -1}")
        + "slaProperties: [{property: freshness, value: 4, unit: h, element: m.at}]\n";
    let at = |text: &str| failures(&yaml, &format!("select {text} as at"));
    assert_eq!(at("timestamp '2026-11-30 08:00:00'"), "row_count 0, at_freshness 0");
    assert_eq!(at("timestamp '2026-11-30 07:59:59'"), "row_count 0, at_freshness 1");
    assert_eq!(at("date '2026-11-30'"), "row_count 0, at_freshness 1");
    assert_eq!(at("date '2026-12-01'"), "row_count 0, at_freshness 0");
    assert_eq!(at("null::timestamp"), "row_count 0, at_freshness 1");
    assert_eq!(at("to_timestamp(1796029200)"), "row_count 0, at_freshness 0");
    assert_eq!(at("to_timestamp(1796029200 - 7200)"), "row_count 0, at_freshness 1");
    assert_eq!(at("make_timestamp(2026, 11, 30, 9, 0, 0.0)::timestamp_ns"), "row_count 0, at_freshness 0");
}

#[test]
fn relationships_lead_to_other_models() {
    let yaml = "apiVersion: v3.1.0\nkind: DataContract\nid: m\nversion: 1.0.0\nschema:
  - name: tbl
    id: tbl_obj
    physicalName: db.main.m
    relationships:
      - {type: foreignKey, from: [tbl.rcvr, tbl.land], to: [p.id, p.k]}
    properties:
      - {name: rcvr, relationships: [{to: receivers.id}]}
      - {name: land, relationships: [{to: schema/receivers_obj/properties/land_prop}]}
      - {name: away, relationships: [{to: 'https://x.io/a.yaml#/schema/a/properties/b'}]}
  - name: receivers
    id: receivers_obj
    physicalName: receivers_master
    properties: [{name: id}, {name: land, id: land_prop, physicalName: land_code}]
";
    let (contracts, diagnostics) = read_text(yaml);
    insta::assert_snapshot!("relationship_warnings", diagnostics.render(Style::Plain));
    insta::assert_snapshot!(describe(&enforce(&contracts[0]).0));
    assert_eq!(contracts[0].documentation_only.len(), 1);
    let (tests, _) = enforce(&contracts[0]);
    let rule = tests.iter().find_map(|test| match &test.kind {
        TestKind::Contract(rule) => Some(rule),
        _ => None,
    });
    let rule = rule.expect("a composite key is a rule");
    assert_eq!(rule.others().map(NodeId::short).collect::<Vec<_>>(), ["p"]);
    let connection = Connection::open_in_memory().expect("an in-memory database");
    connection
        .execute_batch(
            "create table m as from (values (1, 'a'), (1, 'b'), (1, null)) t(rcvr, land);
             create table p as from (values (1, 'a'), (2, 'b')) t(id, k);",
        )
        .expect("tables");
    let sql = rule.sql("m", |node| node.short().to_owned(), "");
    let count: i64 = connection
        .query_row(&format!("select count(*) from ({sql})"), [], |row| row.get(0))
        .expect("it runs");
    assert_eq!(count, 1);
}

#[test]
fn what_cannot_be_read_is_said() {
    let text = r#"apiVersion: v2.2.2
kind: DataContract
id: a
version: 1.0
"#;
    insta::assert_snapshot!("old_api", read_text(text).1.render(Style::Plain));
    let text = r#"apiVersion: v3.4.0
kind: DataContract
id: a
version: "1.0"
status: actve
sceham: 1
customProperties: [{property: compatibility, value: consumers}]
schema:
  - name: m
    customProperties: [{property: grain, value: [ordr_id]}]
    properties:
      - {name: order_id, logicalType: text, requird: true}
      - {name: ORDER_ID}
      - name: x
        quality:
          - {metric: nullValue, mustBe: 0}
          - {metric: invalidValues, mustBe: 0}
          - {metric: rowCount, mustBe: 0}
          - {metric: nullValues, mustBeLessThan: few}
          - {metric: nullValues, unit: meters, mustBe: 0}
          - {type: sql, query: select 1}
          - {type: sqll, query: select 1}
          - {type: custom, engine: soda, implementation: "type: x"}
          - {type: custom, engine: dbt, implementation: "type: x"}
    relationships: [{from: m.x, to: nowhere.y}, {to: [a.b, a.c]}]
    quality: [{metric: nullValues, mustBe: 0}]
slaProperties:
  - {property: latency, value: 4, unit: h, element: m.ordr_id}
  - {property: latency, value: many, unit: h, element: m.x}
  - {property: latency, value: 4, element: m.x}
  - {property: latency, value: 4, unit: h}
  - {property: retention, value: 3, unit: y}
"#;
    let (contracts, mut diagnostics) = read_text(text);
    diagnostics.extend(enforce(&contracts[0]).1);
    insta::assert_snapshot!(diagnostics.render(Style::Plain));
    let listed: Vec<&str> = contracts[0].documentation_only.iter().map(|text| text.value.as_str()).collect();
    insta::assert_snapshot!("listed_not_checked", listed.join("\n"));
}

#[test]
fn old_spellings_are_read() {
    let text = r#"apiVersion: v3.0.2
kind: DataContract
id: a
version: 1.1.0
status: current
slaDefaultElement: m.t
team: [{username: ana, role: Owner}]
slaProperties: [{property: latency, value: "1", unit: day}]
schema:
  - name: m
    properties:
      - name: t
        logicalType: date
        quality:
          - {rule: nullCheck, scheduleCronExpression: "0 20 * * *"}
          - {rule: duplicateCount, mustBeLessThan: 10, unit: rows}
      - {name: u, quality: [{type: library, rule: validValues, validValues: [pounds, kg]}]}
      - {name: v, quality: [{type: custom, engine: dbt, implementation: {name: dbt_utils.accepted_range, args: {min_value: 0}, severity: warn, where: "v < 9"}}]}
      - {name: w, quality: [{type: custom, engine: kiln, implementation: not_null, severity: info}]}
    quality: [{rule: rowCount, mustBeBetween: [1, 9]}, {description: all is well}]
"#;
    let contracts = read_clean(text);
    assert_eq!(contracts[0].team[0]["username"], "ana");
    insta::assert_snapshot!(describe(&enforce(&contracts[0]).0));
}

#[test]
fn columns_are_compared_with_duckdbs_types() {
    let text = REVENUE.replace("name: orders,", "name: ordres,").replace("DATE", "date");
    let text = text + "      - {metric: rowCount, mustBe: 1}\n";
    let text = text.replace(
        "    quality:\n",
        "      - {name: city, logicalType: string}\n      - {name: day, logicalType: integer}\n      - {name: odd, physicalType: NUMBERS}\n    quality:\n",
    );
    let connection = Connection::open_in_memory().expect("an in-memory database");
    let canonical = |declared: &str| -> Option<String> {
        connection.query_row(&format!("select typeof(null::{declared})"), [], |row| row.get(0)).ok()
    };
    let actual = [
        ("order_date", "DATE"),
        ("orders", "BIGINT"),
        ("Revenue", "DECIMAL(38,3)"),
        ("city", "VARCHAR"),
        ("day", "VARCHAR"),
        ("odd", "INTEGER"),
    ]
    .map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    let contract = &read_clean(&text)[0];
    let findings = check_columns(contract, &actual, &canonical);
    let diagnostics: Diagnostics = findings.iter().map(|finding| finding.diagnostic(contract)).collect();
    insta::assert_snapshot!(diagnostics.render(Style::Plain));
}

#[test]
fn generic_tests_are_built_in() {
    let known = crate::check::builtin_names();
    for text in [ORDERS, REVENUE] {
        for test in enforce(&read_clean(text)[0]).0 {
            if let TestKind::Generic { name, .. } = test.kind {
                assert!(known.contains(&name), "{name}");
            }
        }
    }
    let source = include_str!("enforce.rs");
    let calls = source
        .match_indices("generic(\"")
        .filter_map(|(at, call)| source[at + call.len()..].split('"').next());
    let missing: Vec<&str> = calls.filter(|name| !known.iter().any(|known| known == name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// One of each thing that 3.2 added, and the older forms that its own examples still use.
const NEWEST: &str = r#"apiVersion: v3.2.0
kind: DataContract
id: m
version: 1.0.0
status: active
context: [{type: instructions, value: "for machines"}]
team: {name: Data, members: [{username: ana, role: Owner, tags: [a]}]}
schema:
  - name: m
    synonyms: [n]
    deprecated: false
    context: [{type: instructions, value: "for machines"}]
    relationships:
      - {id: to_itself, from: [m.a, m.b], to: [m.b, m.a]}
    properties:
      - {name: a, logicalType: string, enum: [{value: x, label: X, id: x}, {value: "y"}], semanticType: column}
      - {name: b, logicalType: string, synonyms: [bee], deprecated: true, semanticType: dimension}
      - {name: embedding, logicalType: vector, logicalTypeOptions: {dimensions: 3}, physicalType: "FLOAT[3]"}
      - {name: pairs, logicalType: map, map: {key: {logicalType: string}, value: {logicalType: integer}}}
      - {name: total, logicalType: number, semanticType: measure, transformLogic: "sum(a)"}
    customProperties: [{property: grain, value: [a], vendor: kiln}]
slaProperties:
  - {property: retention, value: 3, unit: y, customProperties: [], authoritativeDefinitions: []}
"#;

#[test]
fn the_newest_version_is_read_without_a_warning() {
    let contract = read_clean(NEWEST).remove(0);
    let columns: Vec<&str> = contract.properties.iter().map(|p| p.column.value.as_str()).collect();
    assert_eq!(columns, ["a", "b", "embedding", "pairs"]);
    assert!(contract.properties[1].deprecated);
    let said: Vec<&str> = contract.documentation_only.iter().map(|promise| promise.value.as_str()).collect();
    assert_eq!(said, ["dimensions: 3 of embedding", "the measure total: it is no column", "retention 3 y"]);
    let canonical = |declared: &str| Some(declared.to_owned());
    let types =
        [("a", "VARCHAR"), ("b", "VARCHAR"), ("embedding", "FLOAT[3]"), ("pairs", "MAP(VARCHAR, INTEGER)")];
    let actual = types.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(check_columns(&contract, &actual, &canonical), []);
}

#[test]
fn an_upgrade_keeps_everything_and_changes_nothing_twice() {
    let object = |text: &str| match crate::yaml::parse(&SourceFile::new("a", text), &mut Diagnostics::new()) {
        Some(yaml) => yaml.to_json().as_object().cloned().expect("a mapping"),
        None => panic!("it parses"),
    };
    let once = upgrade(&object(NEWEST));
    assert_eq!(upgrade(&once), once);
    let text = crate::yaml::write::document(&once, &Default::default());
    assert_eq!(object(&text), once);
    insta::assert_snapshot!(text);
}
