//! What readers see after a run, and what they do not.

use kiln::run::event::{Ending, Outcome};

use crate::support::Shop;

fn counts(report: &kiln::run::event::RunReport) -> (usize, usize, usize, usize) {
    let count = |wanted: fn(&Outcome) -> bool| report.nodes.iter().filter(|n| wanted(&n.outcome)).count();
    (
        count(|o| matches!(o, Outcome::Built)),
        count(|o| matches!(o, Outcome::Reused)),
        count(|o| matches!(o, Outcome::Failed | Outcome::Error(_))),
        count(|o| matches!(o, Outcome::Skipped { .. })),
    )
}

#[test]
fn the_project_of_the_design_runs_as_it_stands() {
    let shop = Shop::copy_of("tests/fixtures/design_shop");
    let report = shop.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_good(), "{report:#?}");
    assert!(matches!(report.ending, Ending::Published { release_id: 1, .. }), "{:?}", report.ending);
    assert_eq!(
        shop.query("select * from serving.revenue_by_day order by 1"),
        "2026-11-01|3|27.40\n2026-11-02|1|42.00"
    );
    let again = shop.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(again.ending, Ending::Unchanged { release_id: Some(1) }), "{:?}", again.ending);
    assert_eq!(counts(&again), (0, 3, 0, 0));
}

#[test]
fn the_example_project_gives_the_numbers_that_its_readme_says() {
    let shop = Shop::copy_of("example_project");
    let report = shop.run().unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_good(), "{}", failures(&report));
    let loaded: Vec<(String, u64, u64)> = report
        .loads
        .iter()
        .map(|load| {
            let result = load.result.as_ref().expect("it loaded");
            (load.node.short().to_owned(), result.rows(), result.rejected())
        })
        .collect();
    assert_eq!(
        loaded,
        [
            ("raw_customers".to_owned(), 45, 0),
            ("raw_events".to_owned(), 260, 3),
            ("raw_orders".to_owned(), 305, 5),
            ("raw_payments".to_owned(), 230, 0)
        ]
    );
    assert_eq!(
        shop.query("select order_date, orders, revenue from serving.revenue_by_day order by 1"),
        "2026-11-01|33|1691.60\n2026-11-02|34|1830.90\n2026-11-03|32|2261.60\n2026-11-04|34|2301.00\n\
         2026-11-05|34|2724.90\n2026-11-06|36|1876.80\n2026-11-07|35|2439.10"
    );
    let warned: Vec<(&str, Option<i64>)> = report
        .tests()
        .filter(|test| test.status == kiln::run::event::TestStatus::Warn)
        .map(|test| (test.name.as_str(), test.failures))
        .collect();
    assert_eq!(warned.len(), 2, "{warned:?}");
}

/// What went wrong in a run, for a failed assertion.
fn failures(report: &kiln::run::event::RunReport) -> String {
    let mut text = format!("{:?}\n", report.ending);
    for load in &report.loads {
        text.push_str(&format!("{load:#?}\n"));
    }
    for node in report.nodes.iter().filter(|node| !node.is_good()) {
        text.push_str(&format!("{}: {:#?}\n", node.node, node.outcome));
    }
    for test in report.tests().filter(|test| test.status.blocks()) {
        text.push_str(&format!("{test:#?}\n"));
    }
    text
}

/// Two models over a seed, one test, and an exposure with a query.
fn small() -> Shop {
    Shop::of(&[
        ("kiln.yml", "name: small\ntargets:\n  dev: {type: duckdb, path: small.duckdb}\n"),
        ("seeds/numbers.csv", "n,word\n1,one\n2,two\n3,three\n"),
        (
            "models/doubled.sql",
            "{{ config(materialized='table') }}\nselect n, n * 2 as twice from {{ ref('numbers') }}\n",
        ),
        (
            "models/total.sql",
            "{{ config(materialized='table') }}\nselect sum(twice) as total from {{ ref('doubled') }}\n",
        ),
        ("models/names.sql", "select word from {{ ref('numbers') }}\n"),
        (
            "models/schema.yml",
            "models:\n  - name: doubled\n    columns:\n      - name: n\n        data_tests: [unique, not_null]\n",
        ),
    ])
}

fn explained(shop: &Shop) -> Vec<String> {
    use kiln::run::event::{Event, Observer};
    struct Plan(std::sync::Mutex<Vec<String>>);
    impl Observer for Plan {
        fn event(&self, event: Event<'_>) {
            if let Event::Planned(nodes) = event {
                let lines = nodes
                    .iter()
                    .map(|node| format!("{} {}: {}", node.action.as_str(), node.node.short(), node.reason));
                self.0.lock().expect("no panic").extend(lines);
            }
        }
    }
    let (workspace, _) = shop.open().expect("a sound project");
    let mut options = crate::support::whole(&workspace);
    options.policy = kiln::run::Policy::Plan;
    let plan = Plan(std::sync::Mutex::default());
    kiln::run::run(&workspace, &options, &plan, &std::sync::atomic::AtomicBool::new(false)).expect("a plan");
    plan.0.into_inner().expect("no panic")
}

#[test]
fn only_what_changed_is_built_and_what_depends_on_it() {
    let shop = small();
    assert_eq!(counts(&shop.run().expect("a run")), (4, 0, 0, 0));
    shop.replace("models/doubled.sql", "n * 2", "n  *\n   2 /* the same */");
    let report = shop.run().expect("a run");
    assert_eq!(counts(&report), (0, 4, 0, 0), "formatting is not a change");
    shop.replace("models/doubled.sql", "n  *\n   2 /* the same */", "n * 3");
    insta::assert_snapshot!(explained(&shop).join("\n"), @"
    reuse numbers: unchanged since the release
    build doubled: its SQL or configuration changed
    reuse names: unchanged since the release
    build total: `doubled` changed
    ");
    assert_eq!(counts(&shop.run().expect("a run")), (2, 2, 0, 0));
    assert_eq!(shop.query("select total from main.total"), "18");
    shop.replace("seeds/numbers.csv", "3,three", "4,four");
    assert_eq!(counts(&shop.run().expect("a run")), (4, 0, 0, 0));
    assert_eq!(shop.query("select total from main.total"), "21");
}

#[test]
fn nothing_is_published_when_a_test_fails() {
    let shop = small();
    shop.run().expect("a run");
    shop.replace("seeds/numbers.csv", "3,three", "2,three");
    let report = shop.run().expect("a run");
    assert!(!report.is_good());
    let Ending::NotPublished { reason, still, .. } = &report.ending else { panic!("{:?}", report.ending) };
    assert_eq!(reason, "1 test failed");
    assert_eq!(still.as_ref().map(|(id, _)| *id), Some(1));
    assert_eq!(counts(&report), (2, 0, 1, 1), "the child of the failed model is not built");
    assert_eq!(shop.query("select string_agg(word, ' ' order by word) from main.names"), "one three two");
    assert_eq!(shop.query("select total from main.total"), "12");
    assert_eq!(shop.query("select max(release_id) from _kiln.release"), "1");
    let failed = report.tests().find(|test| test.status.blocks()).expect("a failed test");
    assert_eq!((failed.failures, failed.rows), (Some(1), Some(3)));
    assert!(failed.at.to_string().starts_with("models/schema.yml:5:"), "{}", failed.at);
}

#[test]
fn a_partial_run_publishes_what_does_not_depend_on_the_failure() {
    let shop = small();
    shop.run().expect("a run");
    shop.replace("models/doubled.sql", "n * 2 as twice", "1 as n_, n % 2 as n");
    shop.replace("models/names.sql", "select word", "select upper(word) as word");
    let report = shop.run_with(|options| options.policy = kiln::run::Policy::Partial).expect("a run");
    assert!(matches!(report.ending, Ending::Published { release_id: 2, .. }), "{:?}", report.ending);
    assert!(!report.is_good());
    assert_eq!(shop.query("select string_agg(word, ' ' order by word) from main.names"), "ONE THREE TWO");
    assert_eq!(shop.query("select total from main.total"), "12");
}

#[test]
fn a_model_that_does_not_build_is_shown_at_its_line() {
    let shop = small();
    shop.write("models/total.sql", "select\n    sum(twyce) as total\nfrom {{ ref('doubled') }}\n");
    let report = shop.run().expect("a run");
    let broken = report.nodes.iter().find(|node| !node.is_good()).expect("a broken model");
    let Outcome::Error(diagnostic) = &broken.outcome else { panic!("{:?}", broken.outcome) };
    insta::assert_snapshot!(diagnostic.render(kiln::diagnostic::Style::Plain));
}

#[test]
fn a_rollback_brings_the_release_before_back() {
    let shop = small();
    shop.run().expect("a run");
    shop.replace("models/doubled.sql", "n * 2", "n * 3");
    shop.run().expect("a run");
    assert_eq!(shop.query("select total from main.total"), "18");
    let (workspace, _) = shop.open().expect("a sound project");
    let patience = std::time::Duration::from_secs(5);
    let (release, from, to) = kiln::run::rollback(&workspace, None, patience).expect("a rollback");
    assert_eq!((release, from.id, to.id), (3, 2, 1));
    assert_eq!(shop.query("select total from main.total"), "12");
    let error = kiln::run::rollback(&workspace, Some(9), patience).map(|_| ()).expect_err("no such release");
    insta::assert_snapshot!(error, @"
    target `dev` has no release 9
    help: `kiln history` lists the releases
    ");
    // The project still says what release 2 said: a run publishes that again, and builds nothing for it.
    let report = shop.run().expect("a run");
    assert_eq!(counts(&report), (0, 4, 0, 0));
    assert_eq!(shop.query("select total from main.total"), "18");
}

#[test]
fn old_builds_are_collected_and_kept_releases_are_not() {
    let shop = small();
    for factor in 3..8 {
        shop.run().expect("a run");
        shop.replace("models/doubled.sql", &format!("n * {}", factor - 1), &format!("n * {factor}"));
    }
    let builds = "select count(*) from duckdb_tables() where schema_name = '_kiln_data' and table_name like '%doubled%'";
    assert_eq!(shop.query(builds), "2", "the current one and the one before");
}

#[test]
fn a_view_over_raw_shows_new_rows_only_after_a_publish() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: live\ntargets:\n  dev: {type: duckdb, path: live.duckdb}\n"),
        (
            "models/raw/sources.yml",
            "sources:\n  - name: api\n    tables:\n      - name: orders\n        files: landing/*.csv\n        columns:\n          \
             - {name: id, data_type: bigint}\n",
        ),
        ("models/raw/raw_orders.sql", "select * from {{ source('api', 'orders') }}\n"),
        (
            "models/curated/orders.sql",
            "{{ config(materialized='view') }}\nselect id from {{ ref('raw_orders') }}\n",
        ),
        (
            "models/curated/schema.yml",
            "models:\n  - name: orders\n    columns:\n      - name: id\n        data_tests: [unique]\n",
        ),
        ("landing/1.csv", "id\n1\n2\n"),
    ]);
    assert!(shop.run().expect("a run").is_good());
    shop.write("landing/2.csv", "id\n2\n3\n");
    let report = shop.run().expect("a run");
    assert!(!report.is_good());
    assert_eq!(shop.query("select count(*) from raw.raw_orders"), "4", "raw keeps what it got");
    assert_eq!(shop.query("select count(*) from curated.orders"), "2", "readers see what passed");
    shop.write("models/curated/orders.sql", "select distinct id from {{ ref('raw_orders') }}\n");
    assert!(shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select count(*) from curated.orders"), "3");
}

#[test]
fn names_work_as_in_dbt_although_builds_have_other_ones() {
    let shop = small();
    shop.write(
        "models/joined.sql",
        "select numbers.word, {{ ref('doubled') }}.twice\nfrom {{ ref('numbers') }}\njoin {{ ref('doubled') }} using (n)\n",
    );
    shop.write(
        "models/eph.sql",
        "{{ config(materialized='ephemeral') }}\nselect * from {{ ref('joined') }}\n",
    );
    shop.write(
        "models/last.sql",
        "with a as (select * from {{ ref('eph') }}) select count(*) as c from a, {{ ref('eph') }}\n",
    );
    let report = shop.run().expect("a run");
    assert!(report.is_good(), "{}", failures(&report));
    assert_eq!(shop.query("select c from main.last"), "9");
    assert_eq!(shop.query("select count(*) from information_schema.tables where table_name = 'eph'"), "0");
}

#[test]
fn targets_share_builds_in_one_file() {
    let shop = small();
    shop.write(
        "kiln.yml",
        "name: small\ndefault_target: prod\ntargets:\n  prod: {type: duckdb, path: small.duckdb}\n  \
         dev: {type: duckdb, path: small.duckdb, schema_prefix: dev_}\n",
    );
    assert_eq!(counts(&shop.run().expect("a run")), (4, 0, 0, 0));
    let mut options = shop.options();
    options.target = Some("dev".into());
    let (workspace, _) = kiln::workspace::Workspace::open(&options).expect("a sound project");
    let report = kiln::run::run(
        &workspace,
        &crate::support::whole(&workspace),
        &crate::support::Deaf,
        &std::sync::atomic::AtomicBool::new(false),
    )
    .expect("a run");
    assert_eq!(counts(&report), (0, 4, 0, 0));
    assert_eq!(shop.query("select total from dev_main.total"), "12");
}

#[test]
fn a_name_that_somebody_else_uses_is_left_alone() {
    let shop = small();
    let connection = duckdb::Connection::open(shop.database()).expect("a database");
    connection.execute_batch("create table total (mine integer)").expect("a table");
    drop(connection);
    let report = shop.run().expect("a run");
    let Ending::NotPublished { diagnostic: Some(diagnostic), .. } = &report.ending else {
        panic!("{:?}", report.ending)
    };
    insta::assert_snapshot!(diagnostic.render(kiln::diagnostic::Style::Plain));
    assert_eq!(shop.query("select count(*) from main.total"), "0");
}

#[test]
fn a_consumer_that_would_break_stops_the_publish() {
    let shop = small();
    shop.write(
        "models/exposures.yml",
        "exposures:\n  - name: board\n    type: dashboard\n    owner: {name: BI}\n    depends_on: [ref('total')]\n    meta:\n      \
         queries: [\"select total.total from total\"]\n",
    );
    assert!(shop.run().expect("a run").is_good());
    shop.replace("models/total.sql", "as total", "as sum_total");
    let report = shop.run().expect("a run");
    let Ending::NotPublished { diagnostic: Some(diagnostic), .. } = &report.ending else {
        panic!("{:?}", report.ending)
    };
    insta::assert_snapshot!(diagnostic.render(kiln::diagnostic::Style::Plain));
    assert_eq!(shop.query("select total.total from total"), "12");
}

#[test]
fn models_that_are_gone_are_taken_from_the_readers() {
    let shop = small();
    shop.run().expect("a run");
    shop.remove("models/names.sql");
    let report = shop.run().expect("a run");
    let Ending::Published { removed, .. } = &report.ending else { panic!("{:?}", report.ending) };
    assert_eq!(removed, &["names"]);
    assert_eq!(shop.query("select count(*) from duckdb_views() where view_name = 'names'"), "0");
}

#[test]
fn a_selection_builds_on_what_is_published() {
    let shop = small();
    let error = shop.run_selected("total").expect_err("its parent was never published");
    insta::assert_snapshot!(error);
    shop.run().expect("a run");
    shop.replace("models/total.sql", "sum(twice)", "max(twice)");
    let report = shop.run_selected("total").expect("a run");
    assert_eq!(counts(&report), (1, 0, 0, 0));
    assert_eq!(shop.query("select total from main.total"), "6");
}

#[test]
fn a_run_that_is_asked_not_to_publish_builds_and_the_next_one_reuses() {
    let shop = small();
    let report = shop.run_with(|options| options.policy = kiln::run::Policy::Nothing).expect("a run");
    assert!(matches!(report.ending, Ending::Withheld));
    assert_eq!(
        shop.query("select count(*) from duckdb_views() where schema_name = 'main' and not internal"),
        "0"
    );
    assert_eq!(counts(&shop.run().expect("a run")), (0, 4, 0, 0));
    assert_eq!(shop.query("select total from main.total"), "12");
}

#[test]
fn a_full_refresh_builds_anew_and_then_all_is_well() {
    let shop = small();
    shop.run().expect("a run");
    let report = shop.run_with(|options| options.refresh = kiln::run::plan::Refresh::Full).expect("a run");
    assert_eq!(counts(&report), (4, 0, 0, 0));
    assert!(matches!(report.ending, Ending::Published { release_id: 2, .. }), "{:?}", report.ending);
    assert_eq!(counts(&shop.run().expect("a run")), (0, 4, 0, 0));
}

#[test]
fn what_is_volatile_is_built_each_time() {
    let shop = small();
    shop.write("models/stamp.sql", "{{ config(materialized='table') }}\nselect random() as r\n");
    shop.run().expect("a run");
    assert_eq!(counts(&shop.run().expect("a run")), (1, 4, 0, 0));
    shop.replace("models/stamp.sql", "materialized='table'", "materialized='table', volatile=false");
    shop.run().expect("a run");
    assert_eq!(counts(&shop.run().expect("a run")), (0, 5, 0, 0));
}

#[test]
fn a_model_that_asks_the_database_is_rendered_when_its_parents_are_built() {
    let shop = small();
    shop.write(
        "models/asked.sql",
        "{% set top = run_query('select max(n) from ' ~ ref('numbers')) %}\nselect {{ top.columns[0].values()[0] if execute \
         else 0 }} as top\n",
    );
    assert!(shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select top from main.asked"), "3");
    shop.replace("seeds/numbers.csv", "3,three", "7,seven");
    assert!(shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select top from main.asked"), "7");
}

#[test]
fn a_raw_model_that_does_not_fit_its_source_is_told_in_words() {
    let shop = Shop::copy_of("tests/fixtures/design_shop");
    shop.replace("models/raw/raw_orders.sql", "select *", "select nope");
    let report = shop.run().expect("a run");
    let Err(problem) = &report.loads[0].result else { panic!("{:?}", report.loads[0]) };
    assert!(problem.message.contains("Referenced column \"nope\" not found"), "{}", problem.message);
    assert!(!problem.message.contains("exception_type"), "{}", problem.message);
}

#[test]
fn models_that_are_built_together_have_times_of_their_own() {
    let shop = Shop::of(&[
        (
            "kiln.yml",
            "name: shop\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb, threads: 1}\n",
        ),
        ("seeds/one.csv", "id\n1\n"),
        ("models/fast.sql", "{{ config(materialized='table') }} select id from {{ ref('one') }}\n"),
        (
            "models/slow.sql",
            "{{ config(materialized='table') }} select id, (select sum(i % 7) from range(30000000) r(i)) as n from {{ ref('one') }}\n",
        ),
    ]);
    let options =
        kiln::workspace::WorkspaceOptions { threads: std::num::NonZeroUsize::new(1), ..shop.options() };
    let (workspace, _) = kiln::workspace::Workspace::open(&options).expect("a sound project");
    let all = crate::support::whole(&workspace);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let report = kiln::run::run(&workspace, &all, &crate::support::Deaf, &stop).expect("a run");
    let took =
        |name: &str| report.nodes.iter().find(|node| node.node.short() == name).expect("built").elapsed;
    assert!(took("fast") * 2 < took("slow"), "{:?} {:?}", took("fast"), took("slow"));
    let seconds = "select arg_max(model, seconds) from _kiln.build";
    assert_eq!(shop.query(seconds), "slow");
}

#[test]
fn what_changes_by_itself_changes_through_views_too() {
    let shop = Shop::of(&[
        ("kiln.yml", "name: shop\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n"),
        ("models/dice.sql", "{{ config(materialized='view') }} select random() as n\n"),
        ("models/thrown.sql", "{{ config(materialized='ephemeral') }} select n from {{ ref('dice') }}\n"),
        ("models/kept.sql", "{{ config(materialized='table') }} select n from {{ ref('thrown') }}\n"),
        ("models/after.sql", "{{ config(materialized='table') }} select n from {{ ref('kept') }}\n"),
    ]);
    let thrown = || {
        assert!(shop.run().expect("a run").is_good());
        shop.query("select n from main.after")
    };
    let first = thrown();
    let second = thrown();
    assert_ne!(first, second, "the view gives another number each time");
    assert!(shop.run_selected("kept").expect("a run").is_good());
    assert_ne!(shop.query("select n from main.kept"), second, "also where the view is not selected");
    let output =
        crate::support::binary(shop.root(), &["run", "--explain", "-s", "kept"]).output().expect("it runs");
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout), @"
    model  action  why
    kept   build   it reads `thrown`: it reads `dice`: it uses random(), which gives something else each time
    ");
    shop.replace("models/dice.sql", "materialized='view'", "materialized='view', volatile=false");
    let third = thrown();
    assert_eq!(thrown(), third, "its author knows better");
}
