//! What compiling says of a project against what running it makes.

use std::collections::BTreeMap;

use kiln::compile::{CompileOptions, Compiled, compile};
use kiln::diagnostic::Style;
use kiln::manifest::Materialization;

use crate::support::Shop;

fn compiled(shop: &Shop, options: &CompileOptions) -> Compiled {
    let (workspace, _) = shop.open().unwrap_or_else(|error| panic!("{error}"));
    let compiled = compile(&workspace, options).unwrap_or_else(|error| panic!("{error}"));
    let said = compiled.diagnostics.render(Style::Plain);
    assert!(!compiled.diagnostics.has_errors(), "{said}");
    compiled
}

/// `name TYPE, …` of each model and seed that becomes a relation.
fn inferred(shop: &Shop, compiled: &Compiled) -> BTreeMap<String, String> {
    let (workspace, _) = shop.open().expect("a sound project");
    let nodes = workspace.manifest.nodes.values();
    nodes
        .filter(|node| node.config.materialized != Materialization::Ephemeral)
        .map(|node| {
            let columns = compiled.models[&node.id].columns.as_ref().expect("they are known");
            let columns: Vec<String> =
                columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
            (node.name.clone(), columns.join(", "))
        })
        .collect()
}

/// The same of what a run has made, whether it was published or not. Of what is incremental, the version and not the table.
fn made(shop: &Shop) -> BTreeMap<String, String> {
    let rows = shop.query(
        "select coalesce(b.model, c.table_name), \
         string_agg(c.column_name || ' ' || c.data_type, ', ' order by c.ordinal_position) \
         from information_schema.columns c left join _kiln.build b on b.relation = c.table_name \
         where (c.table_schema = '_kiln_data' and not ends_with(c.table_name, '__rows')) or (c.table_schema = 'raw' and not ends_with(c.table_name, '__rejected')) \
         group by all",
    );
    let split =
        |line: &str| line.split_once('|').map(|(name, columns)| (name.to_owned(), columns.to_owned()));
    rows.lines().filter_map(split).collect()
}

fn inferred_is_made(path: &str, at_least: usize) {
    let shop = Shop::copy_of(path);
    let before = inferred(&shop, &compiled(&shop, &CompileOptions::default()));
    shop.run().unwrap_or_else(|error| panic!("{error}"));
    let made = made(&shop);
    assert!(made.len() >= at_least, "{made:#?}");
    for (name, columns) in &made {
        assert_eq!(before.get(name), Some(columns), "{name}");
    }
    // What the database knows by now changes nothing.
    let (workspace, _) = shop.open().expect("a sound project");
    let opening = workspace.opening("test", std::time::Duration::ZERO);
    let database = kiln::engine::database::Database::open(&opening).expect("a database");
    let known = kiln::compile::known_to(&workspace, database.session()).expect("a sound ledger");
    assert!(!known.loaded.is_empty());
    assert_eq!(before, inferred(&shop, &compiled(&shop, &known)));
}

#[test]
fn inferred_types_are_those_of_a_run() {
    inferred_is_made("tests/fixtures/design_shop", 3);
    inferred_is_made("example_project", 12);
}

/// Macros and types that somebody made in the database by hand.
#[test]
fn what_the_database_defines_is_known() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets: {dev: {type: duckdb, path: shop.duckdb}}\n"),
        (
            "models/sources.yml",
            "sources:\n  - name: app\n    tables: [{name: people, columns: [{name: m, data_type: mood}]}]\n",
        ),
        ("models/first.sql", "select plus(1) as two, tools.twice(2.5) as five, 'a'::mood as m\n"),
        ("models/second.sql", "select * from top(3)\n"),
        ("models/third.sql", "select m from {{ source('app', 'people') }}\n"),
        ("models/typo.sql", "select lowr('X') as x\n"),
    ]);
    let said = || {
        let (workspace, _) = shop.open().unwrap_or_else(|error| panic!("{error}"));
        let compiled =
            compile(&workspace, &CompileOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        let columns = |name: &str| {
            let id = kiln::names::NodeId::new("model", "shop", name);
            let columns = compiled.models[&id].columns.clone().unwrap_or_default();
            columns
                .into_iter()
                .map(|column| format!("{} {}", column.name, column.data_type))
                .collect::<Vec<_>>()
        };
        let all = ["first", "second", "third"].map(|name| columns(name).join(", "));
        format!("{}\n{}", all.join("\n"), compiled.diagnostics.render(Style::Plain))
    };
    insta::assert_snapshot!("no_database_to_ask", said());
    let made = duckdb::Connection::open(shop.root().join("shop.duckdb")).expect("a database");
    made.execute_batch(
        "CREATE SCHEMA tools; CREATE MACRO tools.twice(x) AS plus(x, x); CREATE MACRO plus(a, b := 1) AS a + b;",
    )
    .expect_err("DuckDB wants what a macro calls to be there");
    made.execute_batch(
        "CREATE MACRO plus(a, b := 1) AS a + b; CREATE MACRO tools.twice(x) AS plus(x, x);
         CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE first (old INTEGER); CREATE TABLE other (o DECIMAL(9, 1));
         CREATE MACRO top(n) AS TABLE SELECT five, m FROM first LIMIT n;",
    )
    .expect_err("and the columns too");
    made.execute_batch(
        "CREATE OR REPLACE TABLE first (five DECIMAL(9, 1), m mood); \
         CREATE MACRO top(n) AS TABLE SELECT five, m FROM first LIMIT n;",
    )
    .expect("sound statements");
    drop(made);
    insta::assert_snapshot!("a_database_was_asked", said());
}

/// What DuckDB says badly, or says nothing to do about.
#[test]
fn mistakes_of_newcomers() {
    let orders = "from {{ ref('orders') }}";
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\ntargets: {dev: {type: duckdb, path: shop.duckdb}}\n"),
        ("seeds/orders.csv", "id,amount,status\n1,2.5,a\n"),
        (
            "models/having.sql",
            &format!("select status, count(*) as n {orders} group by status having nn > 1\n"),
        ),
        ("models/sets.sql", &format!("select id, amount {orders}\nunion all\nselect id {orders}\n")),
        ("models/wheres.sql", &format!("select status {orders} where sum(amount) > 1 group by 1\n")),
        ("models/windows.sql", &format!("select id {orders} where row_number() over () = 1\n")),
        ("models/deep.sql", &format!("select {}1{} as x\n", "(".repeat(3_000), ")".repeat(3_000))),
        ("models/letter.sql", &format!("select x {orders}\n")),
        (
            "models/sources.yml",
            "sources: [{name: app, tables: [{name: t, columns: [{name: a, data_type: intt}]}]}]\n",
        ),
    ]);
    let (workspace, _) = shop.open().unwrap_or_else(|error| panic!("{error}"));
    let compiled = compile(&workspace, &CompileOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let said = compiled.diagnostics.render(Style::Plain);
    let lines: Vec<String> = said.lines().map(|line| line.chars().take(120).collect()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn mistakes_of_every_kind_come_at_once_and_nothing_is_left_behind() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\nlayers: []\ntargets: {dev: {type: duckdb, path: shop.duckdb}}\n"),
        ("models/a.sql", "select 1 as id\n"),
        ("models/b.sql", "select idd from {{ ref('a') }}\n"),
        ("models/c.sql", "select * from {{ ref('aa') }}\n"),
        ("models/d.sql", "{{ config(materialized='tabel') }} select 1 as id\n"),
    ]);
    let said = shop.refused(&["compile"]);
    for expected in ["`a` has no column `idd`", "no model or seed `aa`", "`tabel` is not a", "3 errors"] {
        assert!(said.contains(expected), "{expected} is missing:\n{said}");
    }
    assert!(!shop.root().join("target/manifest.json").exists());
}
