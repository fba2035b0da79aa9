//! The cache of `kiln compile`: whatever happened since the last one, a compile comes to what a compile without it does.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Shop, binary};

const FILES: [(&str, &str); 8] = [
    (
        "kiln.yml",
        "name: shop\nversion: \"1.0\"\nvars: {wide: false}\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n",
    ),
    (
        "models/schema.yml",
        "sources:\n  - name: app\n    tables:\n      - {name: orders, files: landing/*.csv}\n      - {name: clicks}\nmodels:\n  - {name: orders, columns: [{name: id, data_tests: [unique]}]}\n",
    ),
    ("models/raw/raw.sql", "select * from {{ source('app', 'orders') }}\n"),
    (
        "models/orders.sql",
        "{{ log('hello', info=true) }}select id, {{ cents('amount') }} as cents{% if var('wide') %}, 1 as one{% endif %} from {{ ref('raw') }}\n",
    ),
    ("models/named.sql", "select c.code, '{{ env_var('TOWN', 'none') }}' as town from main.codes as c\n"),
    ("macros/m.sql", "{% macro cents(x) %}{{ x }} * 100{% endmacro %}\n"),
    ("seeds/codes.csv", "code,label\n1,a\n"),
    ("landing/a.csv", "id,amount\n1,2\n"),
];

/// All that a compile leaves and says, its time left out.
fn outcome(root: &Path, arguments: &[&str], town: Option<&str>) -> BTreeMap<String, String> {
    let mut command = binary(root, &[&["compile"], arguments].concat());
    if let Some(town) = town {
        command.env("TOWN", town);
    }
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let said =
        said.split(" in ").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'));
    let said = said.collect::<Vec<_>>().join(" in ").replace(" in ms\n", " in s\n");
    let mut all = BTreeMap::from([("said".to_owned(), format!("{:?}\n{said}", output.status.code()))]);
    let target = root.join("target");
    for entry in walkdir::WalkDir::new(&target).into_iter().filter_map(Result::ok) {
        let name = entry.path().strip_prefix(&target).expect("inside it").to_string_lossy().into_owned();
        if entry.file_type().is_dir() || name == "compile.cache" || name == "compile.lock" {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        let text = match name.ends_with(".json") {
            true => without_time(&text),
            false => text,
        };
        all.insert(name, text);
    }
    all
}

fn without_time(text: &str) -> String {
    let mut json: serde_json::Value = serde_json::from_str(text).expect("JSON");
    for key in ["generated_at", "invocation_id"] {
        if let Some(value) = json.pointer_mut(&format!("/metadata/{key}")) {
            *value = serde_json::Value::Null;
        }
    }
    json.to_string()
}

/// What a compile that remembers comes to, which must be what one without a cache does.
fn same(shop: &Shop, arguments: &[&str], town: Option<&str>) -> BTreeMap<String, String> {
    let warm = outcome(shop.root(), arguments, town);
    std::fs::remove_dir_all(shop.root().join("target")).expect("a folder");
    let cold = outcome(shop.root(), arguments, town);
    assert_eq!(cold, warm, "{arguments:?}");
    warm
}

/// When the catalog was written, which a compile that has nothing to do leaves alone.
fn written(shop: &Shop) -> String {
    std::fs::read_to_string(shop.root().join("target/catalog.json")).expect("a catalog")
}

#[test]
fn a_compile_after_any_change_comes_to_the_same() {
    let shop = Shop::of(&FILES);
    let first = same(&shop, &[], None);
    assert!(
        first["said"].contains("hello") && first["said"].contains("hard-coded-relation"),
        "{}",
        first["said"]
    );

    // Nothing changed: it is said again, and nothing is written.
    let before = written(&shop);
    assert_eq!(outcome(shop.root(), &[], None), first);
    assert_eq!(written(&shop), before);

    // What lies in the target folder is mended.
    let sql = shop.root().join("target/compiled/shop/models/orders.sql");
    for change in [
        &|| std::fs::remove_file(&sql).expect("removed") as _,
        &|| std::fs::write(&sql, "select 1\n").expect("written"),
        &|| std::fs::write(sql.with_file_name("more.sql"), "").expect("written"),
        &|| std::fs::remove_file(shop.root().join("target/lineage.json")).expect("removed"),
        &|| {
            std::fs::write(shop.root().join("target/compile.cache"), "kiln compile cache 1").expect("written")
        },
        &|| std::fs::write(shop.root().join("target/compile.cache"), b"\xff\0").expect("written"),
    ] as [&dyn Fn(); 6]
    {
        change();
        assert_eq!(outcome(shop.root(), &[], None), first);
    }

    // Each thing that a compile follows from.
    let mut seen = vec![first];
    let mut is_new = |now: BTreeMap<String, String>| {
        assert!(!seen.contains(&now), "nothing changed: {now:#?}");
        seen.push(now);
    };
    is_new(same(&shop, &["--vars", "{wide: true}"], None));
    is_new(same(&shop, &["--select", "named"], None));
    is_new(same(&shop, &[], Some("Basel")));
    is_new(same(&shop, &[], Some("Bern")));
    shop.replace("seeds/codes.csv", "1,a", "x,a");
    is_new(same(&shop, &[], None));
    shop.write("landing/b.csv", "id,amount,more\n1,2,3\n");
    is_new(same(&shop, &[], None));
    shop.replace("macros/m.sql", "* 100", "* 1000::bigint");
    is_new(same(&shop, &[], None));
    shop.replace("models/schema.yml", "[unique]", "[unique, not_null]");
    is_new(same(&shop, &[], None));
    shop.replace("models/named.sql", "c.code,", "c.cod,");
    let broken = same(&shop, &[], None);
    assert!(
        broken["said"].contains("`codes` has no column `cod`") || broken["said"].contains("cod"),
        "{}",
        broken["said"]
    );
    assert_eq!(outcome(shop.root(), &[], None), broken, "a mistake is said each time");
    is_new(broken);
    shop.replace("models/named.sql", "c.cod,", "c.label,");
    is_new(same(&shop, &[], None));
    shop.remove("models/named.sql");
    is_new(same(&shop, &[], None));
}

#[test]
fn what_follows_from_the_time_is_done_again() {
    let shop = Shop::of(&FILES);
    shop.write("models/timed.sql", "select '{{ run_started_at }}' as at\n");
    let sql = || outcome(shop.root(), &[], None)["compiled/shop/models/timed.sql"].clone();
    assert_ne!(sql(), sql());
}

#[test]
fn a_promise_on_age_leaves_the_rest_remembered() {
    let shop = Shop::of(&FILES);
    shop.write("models/events.sql", "select timestamp '2026-01-01 10:00:00' as happened_at\n");
    shop.write(
        "contracts/events.odcs.yaml",
        "apiVersion: v3.1.0\nkind: DataContract\nid: events\nversion: 1.0.0\nstatus: active\nschema:\n  - name: events\n    \
         properties: [{name: happened_at, physicalType: TIMESTAMP}]\nslaProperties:\n  \
         - {property: latency, value: 4, unit: d, element: events.happened_at}\n",
    );
    let first = same(&shop, &[], None);
    let ages: Vec<&String> =
        first.iter().filter(|(name, _)| name.contains("latency")).map(|(_, sql)| sql).collect();
    assert_eq!(ages.len(), 1, "{:?}", first.keys());
    assert!(ages[0].contains("make_timestamp(epoch_us(now()))"), "{}", ages[0]);
    let catalog = written(&shop);
    assert_eq!(outcome(shop.root(), &[], None), first);
    assert_eq!(written(&shop), catalog, "nothing changed, so nothing is written");
}

#[test]
fn a_secret_is_in_no_cache() {
    let shop = Shop::of(&FILES);
    shop.write("models/secret.sql", "select '{{ env_var('KILN_SECRET_WORD') }}' is null as a\n");
    let compile = || {
        let mut command = binary(shop.root(), &["compile"]);
        assert!(
            command.env("KILN_SECRET_WORD", "sesame").output().expect("the binary runs").status.success()
        );
        std::fs::read_to_string(shop.root().join("target/compile.cache")).expect("a cache")
    };
    compile();
    let cache = compile();
    assert!(!cache.contains("sesame"));
    // Nothing that the whole follows from, so not even a hash of it.
    assert_eq!(cache.lines().nth(1), Some("null"));
}

#[test]
fn compiles_at_the_same_time_do_not_disturb_each_other() {
    let shop = Shop::of(&FILES);
    for _ in 0..3 {
        let children: Vec<_> = (0..4)
            .map(|at| {
                let vars = format!("{{wide: {}}}", at % 2 == 0);
                binary(shop.root(), &["compile", "--quiet", "--vars", &vars])
                    .spawn()
                    .expect("the binary runs")
            })
            .collect();
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
        same(&shop, &["--vars", "{wide: true}"], None);
    }
}
