//! Snapshots: history over several runs, as dbt keeps it; never begun anew, never seen before it has passed.

use std::time::{Duration, Instant};

use kiln::run::plan::Refresh;

use crate::idempotence::kill;
use crate::support::{Shop, binary};

const PROJECT: &str =
    "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n";

/// A project whose snapshot reads a seed, so that each version of it is a file.
fn shop(config: &str, rows: &str) -> Shop {
    let block = format!(
        "-- people as they were\n{{% snapshot people_history %}}\n{{{{ config({config}) }}}}\n\
         select * from {{{{ ref('people') }}}}\n{{% endsnapshot %}}\n"
    );
    Shop::of(&[
        ("kiln.yml", PROJECT),
        ("snapshots/people.sql", &block),
        ("seeds/people.csv", &seed(rows)),
        ("models/now.sql", "select id, name from {{ ref('people_history') }} where dbt_valid_to is null\n"),
    ])
}

fn seed(rows: &str) -> String {
    format!("id,name,changed\n{rows}")
}

impl Shop {
    fn becomes(&self, rows: &str) {
        self.write("seeds/people.csv", &seed(rows));
        let report = self.run().expect("a run");
        assert!(report.is_good(), "{:?}", report.ending);
    }

    fn history(&self) -> String {
        self.query(
            "select id, name, dbt_valid_from::date, dbt_valid_to::date, dbt_scd_id = md5(id || '|' || dbt_updated_at) \
             from main.people_history order by id, dbt_valid_from, dbt_valid_to nulls last",
        )
    }
}

const BY_TIME: &str =
    "unique_key='id', strategy='timestamp', updated_at='changed', hard_deletes='invalidate'";

#[test]
fn history_is_kept_by_time() {
    let shop = shop(BY_TIME, "1,ann,2026-01-01 00:00:00\n2,bob,2026-01-01 00:00:00\n");
    assert!(shop.run().expect("a run").is_good());
    shop.becomes("1,anna,2026-02-01 00:00:00\n2,bob,2026-01-01 00:00:00\n3,cid,2026-02-02 00:00:00\n");
    insta::assert_snapshot!(shop.history(), @r"
    1|ann|2026-01-01|2026-02-01|true
    1|anna|2026-02-01|NULL|true
    2|bob|2026-01-01|NULL|true
    3|cid|2026-02-02|NULL|true
    ");
    assert_eq!(shop.query("select string_agg(name, ',' order by id) from main.now"), "anna,bob,cid");
    // One that was gone and comes back as it was has two rows with one id, and neither is lost when it changes again.
    shop.becomes("1,anna,2026-02-01 00:00:00\n3,cid,2026-02-02 00:00:00\n");
    shop.becomes("1,anna,2026-02-01 00:00:00\n2,bob,2026-01-01 00:00:00\n3,cid,2026-02-02 00:00:00\n");
    shop.becomes("1,anna,2026-02-01 00:00:00\n2,bo,2026-03-01 00:00:00\n3,cid,2026-02-02 00:00:00\n");
    assert_eq!(shop.query("select count(*) from main.people_history where id = 2"), "3");
    assert_eq!(shop.query("select count(*) from main.people_history where id = 2 and name = 'bob'"), "2");
}

#[test]
fn no_refresh_begins_it_anew_and_nothing_new_changes_nothing() {
    let shop = shop(BY_TIME, "1,ann,2026-01-01 00:00:00\n");
    assert!(shop.run().expect("a run").is_good());
    shop.becomes("1,anna,2026-02-01 00:00:00\n");
    let before = shop.query("select * from main.people_history order by all");
    let again = shop.run().expect("a run");
    assert!(matches!(again.ending, kiln::run::event::Ending::Unchanged { .. }), "{:?}", again.ending);
    let refreshed = shop.run_with(|options| options.refresh = Refresh::Full).expect("a run");
    assert!(refreshed.is_good());
    assert_eq!(shop.query("select * from main.people_history order by all"), before);
    // Another query goes on from the history that there is.
    shop.replace("snapshots/people.sql", "select *", "select *, upper(name) as loud");
    shop.becomes("1,anne,2026-03-01 00:00:00\n");
    assert_eq!(
        shop.query("select name, loud from main.people_history order by dbt_valid_from"),
        "ann|NULL\nanna|NULL\nanne|ANNE"
    );
}

#[test]
fn history_is_kept_by_values() {
    let shop = shop(
        "unique_key='id', strategy='check', check_cols=['name'], hard_deletes='new_record'",
        "1,ann,x\n2,bob,x\n",
    );
    assert!(shop.run().expect("a run").is_good());
    shop.becomes("1,anna,x\n2,bob,y\n");
    shop.becomes("1,anna,x\n");
    shop.becomes("1,anna,x\n2,bob,z\n");
    insta::assert_snapshot!(shop.query(
        "select id, name, changed, dbt_is_deleted, dbt_valid_to is null,
            dbt_valid_from = lag(dbt_valid_to) over (partition by id order by dbt_valid_from, dbt_is_deleted)
         from main.people_history order by id, dbt_valid_from"
    ), @r"
    1|ann|x|False|false|NULL
    1|anna|x|False|true|true
    2|bob|x|False|false|NULL
    2|bob|x|True|false|true
    2|bob|z|False|true|true
    ");
}

#[test]
fn a_failed_test_leaves_the_history_as_it_is() {
    let shop = shop(BY_TIME, "1,ann,2026-01-01 00:00:00\n");
    shop.write(
        "snapshots/people.yml",
        "snapshots:\n  - name: people_history\n    columns: [{name: name, data_tests: [not_null]}]\n",
    );
    assert!(shop.run().expect("a run").is_good());
    let before = shop.query("select * from main.people_history order by all");
    shop.write("seeds/people.csv", &seed("1,,2026-02-01 00:00:00\n"));
    assert!(!shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select * from main.people_history order by all"), before);
    shop.becomes("1,anna,2026-02-01 00:00:00\n");
    assert_eq!(shop.query("select count(*) from main.people_history"), "2");
}

#[test]
fn whole_relations_are_declared_in_yaml() {
    let shop = shop(BY_TIME, "1,ann,2026-01-01 00:00:00\n");
    shop.write(
        "models/snapshots.yml",
        "snapshots:
  - name: in_yaml
    relation: ref('people')
    config:
      unique_key: id
      strategy: timestamp
      updated_at: changed
      dbt_valid_to_current: \"timestamp '9999-12-31'\"
      snapshot_meta_column_names: {dbt_valid_from: since, dbt_valid_to: until}
",
    );
    assert!(shop.run().expect("a run").is_good());
    shop.becomes("1,anna,2026-02-01 00:00:00\n");
    assert_eq!(
        shop.query("select name, since::date, until::date from main.in_yaml order by since"),
        "ann|2026-01-01|2026-02-01\nanna|2026-02-01|9999-12-31"
    );
    // Its SQL has no file; what tools are told is the file that it is written in.
    let listed = |arguments: &[&str]| {
        let output = binary(shop.root(), arguments).output().expect("a process");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let select = ["ls", "--resource-type", "snapshot", "--select", "in_yaml", "--output"];
    assert_eq!(listed(&[&select[..], &["name"]].concat()), "in_yaml\n");
    assert_eq!(listed(&[&select[..], &["path"]].concat()), "models/snapshots.yml\n");
    assert!(binary(shop.root(), &["compile"]).status().expect("a process").success());
    let compiled = shop.root().join("target/compiled/shop/models/snapshots.yml/in_yaml.sql");
    assert!(compiled.is_file());
}

#[test]
fn a_source_whose_rows_cannot_be_told_apart_is_refused() {
    let shop = shop(BY_TIME, "1,ann,2026-01-01 00:00:00\n1,bob,2026-01-01 00:00:00\n");
    insta::assert_snapshot!(shop.refused(&["run"]), @r"
    error[sql-data]: `people_history` did not build: rows of the source cannot be told apart by `unique_key`: id = 1 (2 rows)
     --> snapshots/people.sql:2:1
      |
    2 | {# snapshot people_history #}
      | ^
    ");
    shop.becomes("1,ann,2026-01-01 00:00:00\n");
    shop.write("seeds/people.csv", &seed("1,ann,2026-01-01 00:00:00\n,bob,2026-01-01 00:00:00\n"));
    insta::assert_snapshot!(shop.refused(&["run"]), @r"
    error[sql-data]: `people_history` did not build: rows of the source cannot be told apart by `unique_key`: id = NULL (1 row)
     --> snapshots/people.sql:2:1
      |
    2 | {# snapshot people_history #}
      | ^
    ");
    assert_eq!(shop.query("select count(*) from main.people_history"), "1");
}

#[test]
fn a_column_of_another_type_that_does_not_fit_is_named() {
    let shop = shop(BY_TIME, "1,7,2026-01-01 00:00:00\n");
    assert!(shop.run().expect("a run").is_good());
    shop.write("seeds/people.csv", &seed("1,seven,2026-02-01 00:00:00\n"));
    insta::assert_snapshot!(shop.refused(&["run"]), @r"
    error[sql-data]: `people_history` did not build: could not convert string 'seven' to INT64 when casting from source column name
     --> snapshots/people.sql:2:1
      |
    2 | {# snapshot people_history #}
      | ^
      |
      = help: `name` is VARCHAR now and BIGINT in the table
      = help: cast it in the snapshot's query, or give it another name there: history keeps its types
    ");
    shop.replace("snapshots/people.sql", "select *", "select * replace (try_cast(name as bigint) as name)");
    assert!(shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select count(*) from main.people_history"), "2");
}

#[test]
fn mistakes_in_a_snapshot_are_told() {
    let shop = shop("unique_key='id', strategy='check', check_cols=['nmae']", "1,ann,x\n");
    insta::assert_snapshot!(shop.refused(&["compile"]), @r"
    error[sql-binding]: `people_history`: `people` has no column `nmae`
     --> snapshots/people.sql:2:1
      |
    2 | {# snapshot people_history #}
      | ^ no such column
      |
      = help: did you mean `name`?
      = help: `people` has `id`, `name`, `changed`

    1 error, 1 note
    ");
    shop.write(
        "snapshots/people.sql",
        "{% snapshot people_history %}{{ config(strategy='timestamp') }} select 1 as id",
    );
    insta::assert_snapshot!(shop.refused(&["compile"]), @r"
    error[ref-not-found]: there is no model or seed `people_history`
     --> models/now.sql:1:25
      |
    1 | select id, name from {{ ref('people_history') }} where dbt_valid_to is null
      |                         ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a model's name is its file's name without `.sql`

    error[template-syntax]: this snapshot is never closed
     --> snapshots/people.sql:1:1
      |
    1 | {% snapshot people_history %}{{ config(strategy='timestamp') }} select 1 as id
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ opened here
      |
      = help: end it with `{% endsnapshot %}`

    2 errors
    ");
    shop.write(
        "snapshots/people.sql",
        "{% snapshot people_history %}{{ config(strategy='timestamp', hard_deletes='maybe', snapshot_meta_column_names={'valid_from': 'x'}) }} select 1 as id{% endsnapshot %}",
    );
    insta::assert_snapshot!(shop.refused(&["compile"]), @r#"
    error[snapshot-config]: this snapshot needs `unique_key`
     --> snapshots/people.sql:1:40
      |
    1 | {# snapshot people_history #}{{ config(strategy='timestamp', hard_deletes='maybe', snapshot_meta_column_names={'valid_from': 'x'}) }}...
      |                                        ^^^^^^^^
      |
      = help: say which columns tell its rows apart: `unique_key: id`

    error[snapshot-config]: this snapshot needs `updated_at`
     --> snapshots/people.sql:1:40
      |
    1 | {# snapshot people_history #}{{ config(strategy='timestamp', hard_deletes='maybe', snapshot_meta_column_names={'valid_from': 'x'}) }}...
      |                                        ^^^^^^^^
      |
      = help: name the column that says when a row changed: `updated_at: changed_at`

    error[wrong-type]: `hard_deletes` must be `ignore`, `invalidate` or `new_record`
     --> snapshots/people.sql:1:62
      |
    1 | {# snapshot people_history #}{{ config(strategy='timestamp', hard_deletes='maybe', snapshot_meta_column_names={'valid_from': 'x'}) }}...
      |                                                              ^^^^^^^^^^^^
      |
      = help: it is `"maybe"` here

    error[snapshot-config]: a snapshot has no column `valid_from` that could be renamed
     --> snapshots/people.sql:1:84
      |
    1 | {# snapshot people_history #}{{ config(strategy='timestamp', hard_deletes='maybe', snapshot_meta_column_names={'valid_from': 'x'}) }}...
      |                                                                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: its columns are: dbt_scd_id, dbt_updated_at, dbt_valid_from, dbt_valid_to, dbt_is_deleted

    4 errors, 1 note
    "#);
}

/// Kills for each version of the source, where the environment does not say.
const KILLS: u64 = 3;

/// What people were, version by version: some come, change, go, and come back as they were.
const VERSIONS: [&str; 5] = [
    "1,ann,2020-01-01 00:00:00\n2,bob,2020-01-01 00:00:00\n",
    "1,anna,2020-02-01 00:00:00\n2,bob,2020-01-01 00:00:00\n3,cid,2020-02-02 00:00:00\n",
    "1,anna,2020-02-01 00:00:00\n3,cid,2020-02-02 00:00:00\n4,dan,2020-03-01 00:00:00\n",
    "2,bob,2020-01-01 00:00:00\n3,cy,2020-04-02 00:00:00\n4,dan,2020-03-01 00:00:00\n",
    "1,anna,2020-02-01 00:00:00\n2,bo,2020-05-01 00:00:00\n3,cy,2020-04-02 00:00:00\n",
];

/// Each strategy with each way to see what was deleted.
fn all_snapshots() -> Shop {
    let shop = Shop::of(&[("kiln.yml", PROJECT), ("seeds/people.csv", &seed(VERSIONS[0]))]);
    for deletes in ["ignore", "invalidate", "new_record"] {
        for (name, strategy) in [
            ("time", "strategy='timestamp', updated_at='changed'"),
            ("value", "strategy='check', check_cols=['name']"),
        ] {
            shop.write(
                &format!("snapshots/by_{name}_{deletes}.sql"),
                &format!(
                    "{{% snapshot by_{name}_{deletes} %}}{{{{ config(unique_key='id', {strategy}, hard_deletes='{deletes}') }}}}\n\
                     select * from {{{{ ref('people') }}}}{{% endsnapshot %}}\n"
                ),
            );
        }
    }
    shop
}

/// All histories. The times of runs are numbered, since they differ each time.
fn histories(shop: &Shop) -> String {
    let mut all = String::new();
    for name in ["time", "value"] {
        for deletes in ["ignore", "invalidate", "new_record"] {
            let moment = |column: &str| {
                let of_run = format!("case when {column} > '2021-01-01' then {column} end");
                format!(
                    "coalesce('run ' || case when {of_run} is not null then dense_rank() over (order by {of_run} nulls last) end, {column}::varchar)"
                )
            };
            let deleted = if deletes == "new_record" { ", dbt_is_deleted" } else { "" };
            let rows = shop.query(&format!(
                "select id, name, {}, {}{deleted} from main.by_{name}_{deletes} order by all",
                moment("dbt_valid_from"),
                moment("dbt_valid_to")
            ));
            all += &format!("by_{name}_{deletes}\n{rows}\n");
        }
    }
    all
}

#[test]
fn killed_runs_leave_the_history_that_a_clean_run_makes() {
    let kills = std::env::var("KILN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (clean, killed) = (all_snapshots(), all_snapshots());
    let mut seed_of_kills = 20_u64;
    for version in VERSIONS {
        clean.write("seeds/people.csv", &seed(version));
        let started = Instant::now();
        assert!(binary(clean.root(), &["run"]).output().expect("it runs").status.success());
        let typical = started.elapsed();
        killed.write("seeds/people.csv", &seed(version));
        for number in 0..kills {
            seed_of_kills =
                seed_of_kills.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let part = (seed_of_kills >> 33) % 1000;
            match number % 2 {
                0 => kill(killed.root(), None, typical.mul_f64(part as f64 / 1000.0)),
                _ => kill(killed.root(), Some("publishing"), Duration::from_micros(part * 60)),
            }
        }
        let output = binary(killed.root(), &["run"]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(histories(&killed), histories(&clean));
    }
    assert!(histories(&clean).contains("by_value_new_record\n1|ann|"), "{}", histories(&clean));
}
