//! Artifacts against dbt's published schemas: every key that stands in one, its type, and what is required.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::{Shop, binary};

/// The shapes, as `dbt_shapes.txt` tells them.
struct Shapes(HashMap<&'static str, Shape>);

struct Shape {
    is_open: bool,
    /// Name, type, required.
    keys: Vec<(&'static str, &'static str, bool)>,
}

impl Shapes {
    fn read() -> Self {
        let lines = include_str!("dbt_shapes.txt").lines().filter(|line| !line.starts_with('#'));
        let shapes = lines.map(|line| {
            let mut words = line.split(' ');
            let name = words.next().expect("a name");
            let is_open = words.next().expect("open or closed") == "open";
            let keys = words.filter(|word| !word.is_empty()).map(|word| {
                let (key, kind) = word.split_once(':').expect("a key and its type");
                (key.trim_end_matches('!'), kind, key.ends_with('!'))
            });
            (name, Shape { is_open, keys: keys.collect() })
        });
        Self(shapes.collect())
    }

    /// What is wrong with a value, one line for each.
    fn faults(&self, value: &Value, kind: &str, at: &str, found: &mut Vec<String>) {
        let mut nested = 0;
        let alternatives: Vec<&str> = kind
            .split(|c| {
                nested += i32::from(matches!(c, '[' | '{')) - i32::from(matches!(c, ']' | '}'));
                c == '/' && nested == 0
            })
            .collect();
        if let [first, .., _] = alternatives.as_slice() {
            let is_null = value.is_null() && kind.ends_with('?');
            let tried = alternatives.iter().map(|one| {
                let mut own = Vec::new();
                self.faults(value, one, at, &mut own);
                own
            });
            let best = tried.min_by_key(Vec::len).unwrap_or_default();
            if !is_null && !best.is_empty() {
                found.push(format!("{at}: no {kind} ({first}…): {}", best.join("; ")));
            }
            return;
        }
        let plain = kind.trim_end_matches('?');
        if value.is_null() && (kind.ends_with('?') || plain == "any") {
            return;
        }
        let inner =
            |open: char, close: char| plain.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(words) = plain.strip_prefix('=') {
            if !value.as_str().is_some_and(|text| words.split('|').any(|word| word == text)) {
                found.push(format!("{at}: {value} is none of {words}"));
            }
        } else if let Some(inner) = inner('[', ']') {
            match value.as_array() {
                Some(items) => {
                    items.iter().enumerate().for_each(|(n, item)| {
                        self.faults(item, inner, &format!("{at}[{n}]"), found);
                    });
                }
                None => found.push(format!("{at}: {value} is no list")),
            }
        } else if let Some(inner) = inner('{', '}') {
            match value.as_object() {
                Some(entries) => entries
                    .iter()
                    .for_each(|(key, value)| self.faults(value, inner, &format!("{at}.{key}"), found)),
                None => found.push(format!("{at}: {value} is no mapping")),
            }
        } else if let Some(shape) = self.0.get(plain) {
            self.shape_faults(value, shape, at, found);
        } else {
            let fits = match plain {
                "text" => value.is_string(),
                "number" => value.is_number(),
                "whole" => value.is_i64() || value.is_u64(),
                "bool" => value.is_boolean(),
                "object" => value.is_object(),
                "any" => true,
                other => panic!("there is no shape {other}"),
            };
            if !fits {
                found.push(format!("{at}: {value} is no {plain}"));
            }
        }
    }

    fn shape_faults(&self, value: &Value, shape: &Shape, at: &str, found: &mut Vec<String>) {
        let Some(entries) = value.as_object() else {
            found.push(format!("{at}: {value} is no mapping"));
            return;
        };
        for (key, _, _) in
            shape.keys.iter().filter(|(key, _, required)| *required && !entries.contains_key(*key))
        {
            found.push(format!("{at} has no {key}"));
        }
        for (key, value) in entries {
            match shape.keys.iter().find(|(name, _, _)| name == key) {
                Some((_, kind, _)) => self.faults(value, kind, &format!("{at}.{key}"), found),
                None if shape.is_open => {}
                None => found.push(format!("{at}.{key} is not in the schema")),
            }
        }
    }

    /// Fails unless an artifact has its shape.
    fn check(&self, artifact: &Value, shape: &str) {
        let mut found = Vec::new();
        self.faults(artifact, shape, shape, &mut found);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

fn artifact(shop: &Shop, name: &str) -> Value {
    let path = shop.root().join("target").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn kiln(shop: &Shop, arguments: &[&str]) -> String {
    let output = binary(shop.root(), arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// A project with everything that the manifest has a place for, written as carelessly as people do.
fn everything() -> Shop {
    Shop::of(&[
        (
            "kiln.yml",
            "name: zoo\ntargets: {dev: {type: duckdb, path: target/zoo.duckdb}}\nmodels:\n  zoo:\n    +materialized: table\n    \
             animals: {+group: keepers, +docs: {show: false, node_color: '#abcdef'}, +meta: {by: me}, +grants: {select: [a]}}\n",
        ),
        ("seeds/food.csv", "kind,grams\nhay,100\n"),
        ("landing/a.csv", "id,kind,weight\n1,hay,2.5\n"),
        (
            "macros/kilos.sql",
            "{%- macro kilos(c, digits=2) -%}round({{ inner(c) }} / 1000.0, {{ digits }}){%- endmacro -%}\n\
             {% macro inner(c) %}{{ c }}{% endmacro %}\n{% test odd(model, column_name, of=[]) %}select 1 from {{ model }} where false{% endtest %}\n",
        ),
        (
            "models/animals/fed.sql",
            "{{ config(alias='Fed Animals', tags=['t'], unique_key='kind', contract={'enforced': true}) }}\n\
             select kind, {{ kilos('grams') }} as kilos from {{ ref('food') }}\n",
        ),
        (
            "models/animals/pasted.sql",
            "{{ config(materialized='ephemeral') }}\nselect * from {{ ref('fed') }}\n",
        ),
        (
            "models/animals/all.sql",
            "select kind from {{ ref('pasted') }} union all select kind from {{ source('farm', 'animals') }}\n",
        ),
        ("models/animals/docs.md", "{% docs kinds %}\nWhat *kinds* there are.\n{% enddocs %}\n"),
        ("tests/no_kilos.sql", "select * from {{ ref('fed') }} where kilos < {{ inner(0) }}\n"),
        (
            "models/animals/props.yml",
            r#"
groups: [{name: keepers, owner: {name: Keepers, email: k@example.com}}]
models:
  - name: fed
    description: "{{ doc('kinds') }}"
    constraints: [{type: check, expression: "kilos > 0"}, {type: unique, columns: [kind, kilos]}]
    columns:
      - name: kind
        data_type: varchar
        description: a kind
        tags: [key]
        meta: {pii: false}
        constraints: [{type: not_null}]
        data_tests:
          - unique: {name: my_own_name, description: "described"}
          - not_null: {config: {where: "kind <> 'x'", severity: warn, limit: 10, warn_if: "> 2", tags: [a], meta: {q: 1}}}
          - odd: {of: ["a b", "c'd", 'e"f', "tab\there", 1.50, true]}
          - accepted_values: {values: [hay, a_long_value_that_makes_the_name_of_this_test_too_long]}
      - {name: kilos, data_type: double}
    data_tests:
      - dbt_utils.expression_is_true: {expression: "kilos > 0", config: {store_failures: true}}
      - relationships: {column_name: kind, to: "ref('food')", field: kind}
sources:
  - name: farm
    description: the farm
    loader: by hand
    meta: {a: 1}
    loaded_at_field: now
    freshness: {warn_after: {count: 1, period: day}}
    tables:
      - {name: animals, identifier: beasts, columns: [{name: kind, data_type: varchar, data_tests: [not_null]}]}
      - {name: landed, files: [landing/*.csv, "{{ env_var('ZOO_DIR', '/somewhere/secret') }}/*.csv"]}
exposures:
  - {name: board, label: The Board, maturity: low, type: ml, url: 'https://example.com', owner: {email: e@example.com}, depends_on: ["ref('fed')", "source('farm', 'animals')"], tags: [x], meta: {columns: {fed: [kind]}}}
macros:
  - {name: kilos, description: to kilos, meta: {a: 1}, arguments: [{name: c, type: column}]}
unit_tests:
  - name: feeds
    model: fed
    given: [{input: "ref('food')", format: csv, rows: "kind,grams\nhay,1000\n"}]
    expect: {rows: [{kind: hay, kilos: 1}]}
    overrides: {vars: {a: 1}}
"#,
        ),
    ])
}

#[test]
fn compile_writes_what_the_schemas_say() {
    let shapes = Shapes::read();
    for shop in [Shop::copy_of("example_project"), Shop::copy_of("tests/fixtures/design_shop"), everything()]
    {
        kiln(&shop, &["compile"]);
        shapes.check(&artifact(&shop, "manifest.json"), "manifest");
        shapes.check(&artifact(&shop, "catalog.json"), "catalog");
    }
}

#[test]
fn run_and_test_write_what_the_schemas_say() {
    let shapes = Shapes::read();
    let shop = Shop::copy_of("example_project");
    for command in ["run", "test"] {
        kiln(&shop, &[command]);
        let (manifest, results) = (artifact(&shop, "manifest.json"), artifact(&shop, "run_results.json"));
        shapes.check(&manifest, "manifest");
        shapes.check(&results, "run_results");
        assert_eq!(manifest["metadata"]["invocation_id"], results["metadata"]["invocation_id"]);
        let results = results["results"].as_array().expect("a list");
        assert!(results.len() > 80, "{}", results.len());
        for result in results {
            let id = result["unique_id"].as_str().expect("an id");
            assert!(manifest["nodes"].get(id).is_some(), "{id} is not in the manifest");
        }
    }
}

/// Ids and checksums that dbt 1.12.6 gave for the same files, and the ids of the tests that constraints are here.
#[test]
fn names_and_checksums_are_those_of_dbt() {
    let shop = everything();
    kiln(&shop, &["compile"]);
    let manifest = artifact(&shop, "manifest.json");
    let ids: Vec<&str> = manifest["nodes"].as_object().expect("nodes").keys().map(String::as_str).collect();
    insta::assert_snapshot!(ids.join("\n"));
    let checksum = |id: &str| manifest["nodes"][id]["checksum"]["checksum"].as_str().expect("one").to_owned();
    insta::assert_snapshot!(checksum("model.zoo.fed"), @"4e4d41ec40632aa28434229b5649db85e43a33026c955e2f45263f958562b90b");
    insta::assert_snapshot!(checksum("seed.zoo.food"), @"a6196bfa6014d7e5807ed64066cf26ca04dab35a848ec6b8e93ff6f16773bf6d");
}

#[test]
fn a_manifest_says_who_reads_whom() {
    let shop = everything();
    kiln(&shop, &["compile"]);
    let manifest = artifact(&shop, "manifest.json");
    let shown = |key: &str, id: &str| manifest[key][id].to_string();
    insta::assert_snapshot!(shown("parent_map", "model.zoo.all"), @r#"["model.zoo.pasted","source.zoo.farm.animals"]"#);
    insta::assert_snapshot!(shown("child_map", "model.zoo.fed"), @r#"["exposure.zoo.board","model.zoo.pasted","test.zoo.accepted_values_fed_kind__hay__a_long_value_that_makes_the_name_of_this_test_too_long.d63fd10fde","test.zoo.constraint_fed_check","test.zoo.constraint_fed_kind_required.eb0e2b203f","test.zoo.constraint_fed_unique.ce950b20f6","test.zoo.dbt_utils_expression_is_true_fed_kilos_0.481b88b981","test.zoo.my_own_name.a42474f594","test.zoo.no_kilos","test.zoo.not_null_fed_kind.112f8cfb7b","test.zoo.odd_fed_kind__a_b__c_d__e_f__tab_here__1_5__True.8e3252245c","test.zoo.relationships_fed_kind__kind__ref_food_.66894199c6","unit_test.zoo.fed.feeds"]"#);
    insta::assert_snapshot!(shown("child_map", "source.zoo.farm.animals"), @r#"["exposure.zoo.board","model.zoo.all","test.zoo.source_not_null_farm_animals_kind.e73ab90fb9"]"#);
    insta::assert_snapshot!(shown("group_map", "keepers"), @r#"["model.zoo.all","model.zoo.fed","model.zoo.pasted","test.zoo.accepted_values_fed_kind__hay__a_long_value_that_makes_the_name_of_this_test_too_long.d63fd10fde","test.zoo.constraint_fed_kind_required.eb0e2b203f","test.zoo.constraint_fed_unique.ce950b20f6","test.zoo.dbt_utils_expression_is_true_fed_kilos_0.481b88b981","test.zoo.my_own_name.a42474f594","test.zoo.not_null_fed_kind.112f8cfb7b","test.zoo.odd_fed_kind__a_b__c_d__e_f__tab_here__1_5__True.8e3252245c","test.zoo.relationships_fed_kind__kind__ref_food_.66894199c6"]"#);
    let fed = &manifest["nodes"]["model.zoo.fed"];
    insta::assert_snapshot!(fed["depends_on"].to_string(), @r#"{"macros":["macro.zoo.kilos"],"nodes":["seed.zoo.food"]}"#);
    insta::assert_snapshot!(fed["config"].to_string(), @r##"{"enabled":true,"materialized":"table","tags":["t"],"meta":{"by":"me"},"group":"keepers","docs":{"show":false,"node_color":"#abcdef"},"grants":{"select":["a"]},"alias":"Fed Animals","unique_key":"kind","contract":{"enforced":true}}"##);
    insta::assert_snapshot!(
        fed["compiled_code"].as_str().expect("text").trim(),
        @r#"select kind, round(grams / 1000.0, 2) as kilos from "main"."food""#
    );
    insta::assert_snapshot!(fed["description"].as_str().expect("text"), @"What *kinds* there are.");
    let called = |name: &str| manifest["macros"][name]["depends_on"].to_string();
    insta::assert_snapshot!(called("macro.zoo.kilos"), @r#"{"macros":["macro.zoo.inner"]}"#);
    // What a test of a package is made of is there too, and dbt's own macros are not: dbt has them.
    assert!(manifest["macros"].get("macro.dbt_utils.test_expression_is_true").is_some());
    assert!(manifest["macros"].get("macro.dbt_utils.test_recency").is_none());
    assert!(manifest["macros"].get("macro.dbt.test_unique").is_none());
}

#[test]
fn artifacts_hold_no_path_and_no_environment() {
    let shop = everything();
    let output =
        binary(shop.root(), &["compile"]).env("ZOO_DIR", "/my/own/disk").output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    kiln(&Shop::copy_of("tests/fixtures/design_shop"), &["run"]);
    for name in ["manifest.json", "catalog.json", "lineage.json"] {
        let text = artifact(&shop, name).to_string();
        assert!(!text.contains("/my/own/disk"), "{name}");
        assert!(!text.contains(&shop.root().to_string_lossy().into_owned()), "{name}");
    }
    insta::assert_snapshot!(artifact(&shop, "manifest.json")["sources"]["source.zoo.farm.landed"]["external"], @r#"{"location":"landing/*.csv","file_format":"csv","files":["landing/*.csv"]}"#);
}

/// dbt-core 1.12 calls a parser so, and loads the manifest that it leaves in a folder of dbt's own.
#[test]
fn parse_takes_what_dbt_says() {
    let shop = everything();
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().to_string_lossy().into_owned();
    let project = shop.root().to_string_lossy().into_owned();
    let id = "11111111-2222-3333-4444-555555555555";
    let output = binary(
        std::path::Path::new("/"),
        &[
            "parse",
            "--project-dir",
            &project,
            "--profiles-dir",
            &project,
            "--profile",
            "zoo",
            "--target",
            "dev",
            "--target-path",
            &target,
            "--packages-install-path",
            "dbt_packages",
            "--vars",
            "{a: 1}",
            "--invocation-id",
            id,
            "--log-format",
            "otel",
            "--log-level-file",
            "off",
        ],
    )
    .output()
    .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.path().join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    Shapes::read().check(&manifest, "manifest");
    assert_eq!(manifest["metadata"]["invocation_id"], id);
    assert!(!shop.root().join("target").exists());
    assert!(!text.contains(&target));
}
