//! Tests of resolving, and the small project that they and the tests of selection start from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::Value;

use super::*;
use crate::diagnostic::{Diagnostics, SourceFile, Style};
use crate::manifest::*;
use crate::project::{self, Verbatim};

/// Reads `ref`, `source` and `config` as plain text: the template engine has its own tests.
pub(crate) struct PlainTemplates;

static CALLS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(ref|source)\('([^']*)'(?:, '([^']*)')?\)|config\(([^)]*)\)").expect("the pattern is valid")
});
static SETTING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\w+)=('[^']*'|\w+|\[[^\]]*\])").expect("the pattern is valid"));

impl ReadTemplates for PlainTemplates {
    fn parse(
        &self,
        _: &NodeId,
        _: &str,
        _: &str,
        file: &Arc<SourceFile>,
    ) -> Result<ParsedTemplate, Diagnostics> {
        let mut parsed = ParsedTemplate::default();
        for call in CALLS.captures_iter(&file.text) {
            let at = Location::new(file, call.get(0).expect("it matched").range());
            let second = call.get(3).map(|part| part.as_str().to_owned());
            match (call.get(1).map(|kind| kind.as_str()), second) {
                (Some("ref"), None) => {
                    parsed.refs.push(RefCall { package: None, name: call[2].to_owned(), at });
                }
                (Some("ref"), Some(name)) => {
                    parsed.refs.push(RefCall { package: Some(call[2].to_owned()), name, at });
                }
                (Some(_), table) => {
                    let (source, table) = (call[2].to_owned(), table.expect("a table"));
                    parsed.sources.push(SourceCall { source, table, at });
                }
                (None, _) => {
                    let body = call.get(4).expect("a config");
                    for setting in SETTING.captures_iter(body.as_str()) {
                        let value: Value =
                            serde_json::from_str(&setting[2].replace('\'', "\"")).expect("json");
                        let place = setting.get(0).expect("it matched").range();
                        let place = body.start() + place.start..body.start() + place.end;
                        parsed.config_at.insert(setting[1].to_owned(), Location::new(file, place));
                        parsed.config.insert(setting[1].to_owned(), value);
                    }
                }
            }
        }
        Ok(parsed)
    }

    fn test_params(&self, _: &str, name: &str) -> Option<Vec<Param>> {
        let params: &[(&str, bool)] = match name {
            "unique" | "not_null" => &[("column_name", true)],
            "accepted_values" => &[("column_name", true), ("values", true), ("quote", false)],
            "relationships" => &[("column_name", true), ("to", true), ("field", true)],
            "dbt_utils.accepted_range" => {
                &[("column_name", true), ("min_value", false), ("max_value", false)]
            }
            "dbt_utils.equal_rowcount" => &[("compare_model", true)],
            _ => return None,
        };
        Some(
            params
                .iter()
                .map(|(name, required)| Param { name: (*name).into(), required: *required })
                .collect(),
        )
    }

    fn test_names(&self, _: &str) -> Vec<String> {
        ["unique", "not_null", "accepted_values", "relationships", "dbt_utils.accepted_range"]
            .map(String::from)
            .to_vec()
    }
}

/// Writes files into a folder.
pub(crate) fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

/// The manifest of a project made of these files, without contracts.
pub(crate) fn manifest(files: &[(&str, &str)]) -> (Manifest, Diagnostics) {
    manifest_of(files, None, &[])
}

fn manifest_of(files: &[(&str, &str)], target: Option<&str>, contracts: &[&str]) -> (Manifest, Diagnostics) {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), files);
    let (project, mut problems) = project::load(folder.path(), &Verbatim);
    let Some(project) = project else { return (Manifest::default(), problems) };
    let target = project.file.target(target, &Verbatim).expect("a target");
    let at = Location::new(&project.file.file, 0..0);
    let contracts: BTreeMap<_, _> = contracts
        .iter()
        .map(|model| ((*model).to_owned(), Located::new(contract_of(model), at.clone())))
        .collect();
    let (manifest, found) = resolve(&project, &target, &PlainTemplates, contracts);
    problems.extend(found);
    (manifest, problems)
}

fn contract_of(model: &str) -> crate::contract::Contract {
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {model}\nversion: 1.0.0\nstatus: active\nschema:\n  - name: {model}\n"
    );
    let file = SourceFile::new(format!("contracts/{model}.odcs.yaml"), text);
    let mut problems = Diagnostics::new();
    let mut contracts = crate::contract::read(&file, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(Style::Plain));
    contracts.remove(0)
}

/// What is said about a project made of `kiln.yml` and these files.
fn said(files: &[(&str, &str)]) -> String {
    let mut all = vec![("kiln.yml", "name: shop\n")];
    all.extend_from_slice(files);
    manifest(&all).1.render(Style::Plain)
}

/// The project of the manual.
pub(crate) const SHOP: &[(&str, &str)] = &[
    (
        "kiln.yml",
        r#"name: shop
version: "1.0.0"
default_target: dev
targets:
  dev:  {type: duckdb, path: target/dev.duckdb, threads: 4}
  prod: {type: duckdb, path: shop.duckdb, keep_releases: 4, schema_prefix: p_}
vars: {first_day: "2026-11-01"}
models:
  shop:
    curated: {+materialized: table}
    serving: {+materialized: table, +tags: [bi]}
"#,
    ),
    (
        "models/raw/sources.yml",
        r#"sources:
  - name: shop_api
    description: the shop's nightly export
    owner: {name: Shop backend, email: shop@example.com}
    tables:
      - name: orders
        files: landing/orders/*.csv        # csv, json, ndjson, parquet by ending
        options: {nullstr: "NA"}
        on_schema_change: evolve
        on_bad_rows: quarantine
        freshness: {error_after: {count: 3, period: day}}
        columns:
          - {name: order_id, data_type: bigint, data_tests: [not_null]}
          - {name: customer_id, data_type: bigint}
          - {name: order_date, data_type: date}
          - {name: amount, data_type: "decimal(12,2)"}
"#,
    ),
    ("models/raw/raw_orders.sql", "select * from {{ source('shop_api', 'orders') }}\n"),
    ("models/curated/curated_orders.sql", "select order_id, amount\nfrom {{ ref('raw_orders') }}\n"),
    (
        "models/serving/revenue_by_day.sql",
        "{{ config(materialized='table', tags=['daily']) }}\nselect 1 as revenue from {{ ref('curated_orders') }}\n",
    ),
    (
        "models/schema.yml",
        r#"models:
  - name: curated_orders
    columns:
      - name: order_id
        data_tests: [unique, not_null]
      - name: amount
        data_tests:
          - dbt_utils.accepted_range: {min_value: 0}
exposures:
  - name: revenue_dashboard
    type: dashboard
    owner: {name: BI, email: bi@example.com}
    depends_on: [ref('revenue_by_day')]
    meta:
      columns: {revenue_by_day: [order_date, revenue]}
      queries: ["select order_date, revenue from serving.revenue_by_day order by 1"]
"#,
    ),
    ("tests/no_negative.sql", "select * from {{ ref('curated_orders') }} where amount < 0\n"),
];

#[test]
fn the_project_of_the_manual_resolves() {
    let (manifest, problems) = manifest_of(SHOP, None, &["revenue_by_day"]);
    assert_eq!(problems.render(Style::Plain), "");
    let nodes: Vec<String> = manifest
        .nodes
        .values()
        .map(|node| {
            format!("{} {} {:?}", node.relation.plain(), node.config.materialized.as_str(), node.config.tags)
        })
        .collect();
    insta::assert_debug_snapshot!(nodes, @r#"
    [
        "curated.curated_orders table []",
        "raw.raw_orders append []",
        "serving.revenue_by_day table [\"bi\", \"daily\"]",
    ]
    "#);
    let tests: Vec<&str> = manifest.tests.keys().map(NodeId::as_str).collect();
    insta::assert_debug_snapshot!(tests);
    let source = &manifest.sources.values().next().expect("a source");
    insta::assert_snapshot!(format!(
        "{:?} {:?}",
        source.freshness,
        source.files.as_ref().map(|files| files.format)
    ));
    let exposure = manifest.exposures.values().next().expect("an exposure");
    assert_eq!(exposure.depends_on[0].node.as_str(), "model.shop.revenue_by_day");
    assert_eq!(exposure.queries.len(), 1);
}

#[test]
fn a_prefix_moves_all_schemas_but_raw() {
    let (manifest, _) = manifest_of(SHOP, Some("prod"), &["revenue_by_day"]);
    let names: Vec<String> = manifest.nodes.values().map(|node| node.relation.plain()).collect();
    assert_eq!(names, ["p_curated.curated_orders", "raw.raw_orders", "p_serving.revenue_by_day"]);
}

#[test]
fn layers_have_a_direction() {
    insta::assert_snapshot!(said(&[
        ("models/curated/a.sql", "select * from {{ ref('b') }}"),
        ("models/serving/b.sql", "select 1"),
    ]));
}

#[test]
fn severities_can_be_set() {
    let (_, problems) = manifest(&[
        ("kiln.yml", "name: shop\nseverities: {layer-direction: warn, contract-missing: off}\n"),
        ("models/curated/a.sql", "select * from {{ ref('b') }}"),
        ("models/serving/b.sql", "select 1"),
    ]);
    assert!(!problems.has_errors());
    assert_eq!(problems.sorted().len(), 1);
}

#[test]
fn a_missing_ref_is_placed_with_the_nearest_name() {
    insta::assert_snapshot!(said(&[
        ("models/a.sql", "select *\nfrom {{ ref('ordrs') }} join {{ source('x', 'y') }} using (id)"),
        ("models/orders.sql", "select 1"),
    ]));
}

#[test]
fn a_disabled_model_is_not_found_for_a_reason() {
    insta::assert_snapshot!(said(&[
        ("models/a.sql", "select * from {{ ref('b') }}"),
        ("models/b.sql", "{{ config(enabled=false) }} select 1"),
    ]));
}

#[test]
fn a_cycle_is_shown_whole() {
    insta::assert_snapshot!(said(&[
        ("models/a.sql", "select * from {{ ref('b') }}"),
        ("models/b.sql", "select * from {{ ref('c') }}"),
        ("models/c.sql", "select * from {{ ref('a') }}"),
        ("models/d.sql", "select * from {{ ref('d') }}"),
    ]));
}

#[test]
fn names_and_relations_occur_once() {
    insta::assert_snapshot!(said(&[
        ("models/x/a.sql", "select 1"),
        ("models/y/a.sql", "select 2"),
        ("models/b.sql", "{{ config(alias='C') }} select 2"),
        ("models/c.sql", "select 2"),
        ("models/odd name.sql", "select 2"),
        ("models/empty.sql", " \n"),
    ]));
}

#[test]
fn configuration_is_checked_where_it_was_said() {
    insta::assert_snapshot!(said(&[
        ("models/a.sql", "{{ config(materialized='materialized_view') }} select 1"),
        ("models/b.sql", "{{ config(materialized='tabel', owner='me') }} select 1"),
        ("models/c.sql", "{{ config(post_hook='drop table x', enabled='maybe') }} select 1"),
        ("models/curated/d.sql", "{{ config(schema='other', materialized='append') }} select 1"),
    ]));
}

#[test]
fn incremental_configuration_is_checked_where_it_was_said() {
    let model = |config: &str| {
        said(&[("models/a.sql", &format!("{{{{ config(materialized='incremental', {config}) }}}} select 1"))])
    };
    insta::assert_snapshot!(model("incremental_strategy='merg', unique_key='id'"), @"
    error[wrong-value]: `merg` is not an incremental strategy
     --> models/a.sql:1:39
      |
    1 | {{ config(materialized='incremental', incremental_strategy='merg', unique_key='id') }} select 1
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `merge`?
      = help: write `append`, `merge`, `delete+insert` or `interval`
    ");
    insta::assert_snapshot!(model("incremental_strategy='merge'"), @"
    error[unique-key]: `merge` needs a `unique_key`
     --> models/a.sql:1:39
      |
    1 | {{ config(materialized='incremental', incremental_strategy='merge') }} select 1
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `unique_key='id'`, or a list of columns; to add rows without replacing any, write `append`
    ");
    insta::assert_snapshot!(
        model("incremental_strategy='merge', unique_key='id', merge_update_columns='a', merge_exclude_columns='b'"),
        @"
        error[wrong-value]: `merge_update_columns` and `merge_exclude_columns` are both given
         --> models/a.sql:1:112
          |
        1 | ...'merge', unique_key='id', merge_update_columns='a', merge_exclude_columns='b') }} select 1
          |                                                        ^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: keep one of them
        "
    );
    insta::assert_snapshot!(model("on_schema_change='append', on_change='later'"), @r#"
    error[wrong-type]: `on_schema_change` must be `ignore`, `fail`, `append_new_columns` or `sync_all_columns`
     --> models/a.sql:1:39
      |
    1 | {{ config(materialized='incremental', on_schema_change='append', on_change='later') }} select 1
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: it is `"append"` here

    error[wrong-type]: `on_change` must be `rebuild` or `forward`
     --> models/a.sql:1:66
      |
    1 | {{ config(materialized='incremental', on_schema_change='append', on_change='later') }} select 1
      |                                                                  ^^^^^^^^^^^^^^^^^
      |
      = help: it is `"later"` here
    "#);
    insta::assert_snapshot!(model("incremental_strategy='interval', unique_key='id'"), @"
    error[interval-config]: `interval` needs `batch_size`
     --> models/a.sql:1:39
      |
    1 | {{ config(materialized='incremental', incremental_strategy='interval', unique_key='id') }} select 1
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `batch_size='day'`

    error[interval-config]: `interval` needs `begin`
     --> models/a.sql:1:39
      |
    1 | {{ config(materialized='incremental', incremental_strategy='interval', unique_key='id') }} select 1
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `begin='2026-01-01'`

    error[interval-config]: `interval` needs `event_time`
     --> models/a.sql:1:39
      |
    1 | {{ config(materialized='incremental', incremental_strategy='interval', unique_key='id') }} select 1
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `event_time='ordered_at'`

    error[unique-key]: `interval` replaces whole intervals and takes no `unique_key`
     --> models/a.sql:1:72
      |
    1 | {{ config(materialized='incremental', incremental_strategy='interval', unique_key='id') }} select 1
      |                                                                        ^^^^^^^^^^^^^^^
      |
      = help: remove `unique_key`, or write `incremental_strategy='merge'`
    ");
    insta::assert_snapshot!(
        model("incremental_strategy='microbatch', event_time='at', batch_size='week', begin='soon', lookback='two'"),
        @r#"
        error[wrong-type]: `batch_size` must be `hour`, `day`, `month` or `year`
         --> models/a.sql:1:91
          |
        1 | {{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='week', begin='soon', lookback='...
          |                                                                                           ^^^^^^^^^^^^^^^^^
          |
          = help: it is `"week"` here

        error[wrong-type]: `begin` must be a day or a time in UTC, such as `2026-01-01`
         --> models/a.sql:1:110
          |
        1 | {{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='week', begin='soon', lookback='...
          |                                                                                                              ^^^^^^^^^^^^
          |
          = help: it is `"soon"` here

        error[wrong-type]: `lookback` must be a whole number from 0 up
         --> models/a.sql:1:124
          |
        1 | ...batch', event_time='at', batch_size='week', begin='soon', lookback='two') }} select 1
          |                                                              ^^^^^^^^^^^^^^
          |
          = help: it is `"two"` here
        "#
    );
}

#[test]
fn files_are_loaded_by_append_models() {
    insta::assert_snapshot!(said(&[
        ("models/s.yml", "sources: [{name: s, tables: [{name: f, files: a.csv}, {name: t}]}]"),
        ("models/raw/a.sql", "select * from {{ source('s', 't') }}"),
        ("models/raw/b.sql", "{{ config(materialized='table') }} select * from {{ source('s', 'f') }}"),
        ("models/curated/c.sql", "select * from {{ source('s', 'f') }}"),
    ]));
}

#[test]
fn tests_are_checked() {
    insta::assert_snapshot!(said(&[
        ("models/a.sql", "select 1 as id"),
        (
            "models/a.yml",
            "models:
  - name: a
    data_tests:
      - unique
      - dbt_utils.equal_rowcount: {compare_model: ref('bb')}
    columns:
      - name: id
        tests:
          - uniqe
          - accepted_range: {min_value: 1}
          - relationships: {to: ref('a')}
          - accepted_values: {arguments: {value: [1]}}
          - not_null: {severity: bad}
          - not_null: {config: {error_if: 'drop', limit: 5}}
          - not_null: {config: {error_if: '> 100', limit: 50}, name: hidden}
"
        ),
    ]));
}

#[test]
fn tests_of_one_name_get_a_hash_and_equal_ones_are_errors() {
    let yaml = "models:\n  - name: a\n    columns:\n      - name: id\n        data_tests:\n          - unique\n          - unique: {where: 'id > 1'}\n          - unique\n";
    let (manifest, problems) =
        manifest(&[("kiln.yml", "name: shop"), ("models/a.sql", "select 1"), ("models/a.yml", yaml)]);
    assert_eq!(manifest.tests.len(), 2);
    insta::assert_snapshot!(problems.render(Style::Plain));
}

#[test]
fn tests_are_named_as_dbt_names_them() {
    let yaml = "models:
  - name: orders
    data_tests:
      - dbt_utils.equal_rowcount: {compare_model: ref('orders')}
    columns:
      - name: status
        data_tests:
          - accepted_values: {values: [placed, shipped]}
          - accepted_values: {values: [a rather long value, another rather long one], quote: true}
          - unique: {name: mine, severity: warn}
sources:
  - name: s
    tables: [{name: t, columns: [{name: id, tests: [not_null]}]}]
";
    let (manifest, problems) = manifest(&[
        ("kiln.yml", "name: shop\ndata_tests: {+store_failures: true}"),
        ("models/orders.sql", "select 1"),
        ("models/a.yml", yaml),
    ]);
    assert_eq!(problems.render(Style::Plain), "");
    let names: Vec<&str> = manifest.tests.values().map(|test| test.name.as_str()).collect();
    insta::assert_debug_snapshot!(names);
    let mine = &manifest.tests[&NodeId::new("test", "shop", "mine")];
    assert_eq!((mine.config.severity, mine.config.store_failures), (TestSeverity::Warn, true));
}

#[test]
fn exposures_are_checked() {
    insta::assert_snapshot!(said(&[
        ("models/orders.sql", "select 1"),
        (
            "models/e.yml",
            "exposures:
  - name: board
    type: dashbord
    depends_on: [ref('order'), orders]
    meta: {columns: {orders: [id]}}
"
        ),
    ]));
}

#[test]
fn properties_and_folders_that_hold_nothing_are_said() {
    insta::assert_snapshot!(said(&[
        ("models/staging/orders.sql", "select 1"),
        ("models/e.yml", "models: [{name: order}]"),
    ]));
    let (_, problems) = manifest(&[
        ("kiln.yml", "name: shop\nmodels: {staging: {+materialized: table}, shop: {stagin: {+tags: a}}}"),
        ("models/staging/orders.sql", "select 1"),
    ]);
    insta::assert_snapshot!(problems.render(Style::Plain));
}

#[test]
fn a_serving_model_needs_a_contract() {
    insta::assert_snapshot!(said(&[("models/serving/a.sql", "select 1")]));
    let files = [("kiln.yml", "name: shop"), ("models/serving/a.sql", "select 1")];
    insta::assert_snapshot!(manifest_of(&files, None, &["a", "aa"]).1.render(Style::Plain));
}

#[test]
fn a_thousand_models_resolve() {
    let models: Vec<(String, String)> = (0..1000)
        .map(|n| (format!("models/m{n}.sql"), format!("select * from {{{{ ref('m{}') }}}}", n + 1)))
        .collect();
    let yaml: String = (0..1000).fold("models:\n".to_owned(), |yaml, n| {
        yaml + &format!("  - name: m{n}\n    columns: [{{name: id, data_tests: [unique, not_null]}}]\n")
    });
    let mut files =
        vec![("kiln.yml", "name: shop"), ("models/a.yml", yaml.as_str()), ("models/m1000.sql", "select 1")];
    files.extend(models.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let (manifest, problems) = manifest(&files);
    assert_eq!(problems.render(Style::Plain), "");
    assert_eq!((manifest.nodes.len(), manifest.tests.len()), (1001, 2000));
    assert_eq!(crate::graph::Dag::of(&manifest).topological().len(), 3001);
}

#[test]
fn unit_tests_are_checked() {
    insta::assert_snapshot!(said(&[
        ("models/a.sql", "select * from {{ ref('b') }}"),
        ("models/b.sql", "select 1"),
        (
            "models/u.yml",
            "unit_tests:
  - {name: one, model: a, given: [{input: ref('b'), rows: []}, {input: this}], expect: {rows: []}}
  - {name: one, model: a, given: [{input: b}], expect: {rows: []}}
  - {name: two, model: aa, expect: {rows: [], format: xml}}
"
        ),
    ]));
}

#[test]
fn settings_of_all_levels_are_laid_over_each_other() {
    let (manifest, problems) = manifest(&[
        (
            "kiln.yml",
            "name: shop\nmodels: {+tags: a, +meta: {x: 1}, shop: {f: {+tags: [b], +materialized: table}}}",
        ),
        ("models/f/m.sql", "{{ config(tags='d', schema='own') }} select 1"),
        ("models/m.yml", "models: [{name: m, tags: c, meta: {y: 2}, config: {materialized: ephemeral}}]"),
    ]);
    assert_eq!(problems.render(Style::Plain), "");
    let node = &manifest.nodes[&NodeId::new("model", "shop", "m")];
    assert_eq!(node.config.tags, ["a", "b", "c", "d"]);
    assert_eq!(Value::Object(node.config.meta.clone()).to_string(), r#"{"x":1,"y":2}"#);
    assert_eq!(node.config.materialized, Materialization::Ephemeral);
    assert_eq!(node.relation.plain(), "own.m");
}

#[test]
fn a_model_in_python_is_said_to_be_one() {
    insta::assert_snapshot!(said(&[
        ("models/scored.py", "def model(dbt, session): pass"),
        ("models/a.sql", "{{ config(description='What scored.') }} select * from {{ ref('scored') }}"),
        ("models/schema.yml", "models: [{name: scored, description: in Python}]\n"),
    ]), @r"
error[ref-not-found]: `scored` is a Python model, which is not supported
 --> models/a.sql:1:59
  |
1 | {{ config(description='What scored.') }} select * from {{ ref('scored') }}
  |                                                           ^^^^^^^^^^^^^
  |
  = help: write it in SQL

error[not-supported]: Python models are not supported
--> models/scored.py
 = help: write the model in SQL
");
}

#[test]
fn a_template_may_describe_its_model() {
    let files = [
        ("kiln.yml", "name: shop\n"),
        ("models/a.sql", "{{ config(description='What scored.') }} select 1"),
        ("models/b.sql", "{{ config(description='Not this.') }} select 1"),
        ("models/schema.yml", "models: [{name: b, description: This.}]\n"),
    ];
    let (manifest, problems) = manifest(&files);
    assert_eq!(problems.render(Style::Plain), "");
    let described: Vec<&str> = manifest.nodes.values().map(|node| node.description.as_str()).collect();
    assert_eq!(described, ["What scored.", "This."]);
}

#[test]
fn a_source_in_a_file_with_mistakes_is_not_said_to_be_undeclared() {
    let yaml = "sources:\n  - name: web\n    tabels: [{name: hits}]\n";
    let sql = "select * from {{ source('web', 'hits') }}\n";
    insta::assert_snapshot!(said(&[("models/web.yml", yaml), ("models/m.sql", sql)]), @r"
error[source-not-found]: there is no source `web`
 --> models/m.sql:1:18
  |
1 | select * from {{ source('web', 'hits') }}
  |                  ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: it is written in `models/web.yml`, where something else is wrong: mend that first

error[unknown-key]: a source has no key `tabels`
 --> models/web.yml:3:5
  |
3 |     tabels: [{name: hits}]
  |     ^^^^^^
  |
  = help: did you mean `tables`?
");
}
