//! Combinations: each strategy on each kind of parent, and whatever happens to them, ends as one clean run over all data
//! does. Beside [`crate::idempotence`], which has one kind of parent and looks at kills, reloads and windows closely.
//!
//! The sequences are generated with a fixed seed. `KILN_COMBINATIONS` sets how many there are. A failure names its
//! sequence, shortened as far as it still fails.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::idempotence::kill;
use crate::support::{Shop, binary, query};

/// Sequences, where the environment does not say.
const SEQUENCES: u32 = 5;

/// The tables that are compared.
const TABLES: [&str; 8] =
    ["appended", "merged", "by_day", "happened", "followed", "pasted", "now_by_time", "now_by_value"];

/// What the models read.
#[derive(Debug, Clone, Copy)]
enum Parent {
    /// A raw table, loaded from files.
    Raw,
    /// A table that Kiln does not make.
    Outside,
    /// A view on a view on a table that Kiln does not make.
    View,
    /// An ephemeral model on a view on a raw table.
    Ephemeral,
    /// A seed.
    Seed,
    /// An incremental model that takes in what is new at a table that Kiln does not make.
    Appended,
    /// A view on a model that is built by intervals.
    Days,
}

/// Something that happens to a project.
#[derive(Debug, Clone)]
enum Step {
    /// Changes of so many orders arrive, drawn by a seed. There may be none.
    Arrive { orders: u64, seed: u64 },
    /// A run.
    Run,
    /// A run of a part.
    Part(&'static str),
    /// A run of another target in the same file.
    Other,
    /// A run whose audit fails.
    Refused,
    /// A run that is killed so many microseconds after it began to publish.
    Kill { after: u64 },
    /// Readers go back to the release before.
    Rollback,
    /// Another number of releases is kept.
    Keep(u64),
    /// All that can be built anew is.
    Refresh,
    /// A day of January is done again.
    Window { day: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let part =
        prop::sample::select(vec!["happened", "happened+", "merged+", "seen", "now_by_time", "followed"]);
    prop_oneof![
        5 => (0..30u64, any::<u64>()).prop_map(|(orders, seed)| Step::Arrive { orders, seed }),
        3 => Just(Step::Run),
        2 => part.prop_map(Step::Part),
        2 => Just(Step::Other),
        2 => Just(Step::Refused),
        2 => (0..60_000u64).prop_map(|after| Step::Kill { after }),
        2 => Just(Step::Rollback),
        1 => (1..4u64).prop_map(Step::Keep),
        1 => Just(Step::Refresh),
        1 => (1..9u64).prop_map(|day| Step::Window { day }),
    ]
}

fn parent() -> impl Strategy<Value = Parent> {
    prop::sample::select(vec![
        Parent::Raw,
        Parent::Outside,
        Parent::View,
        Parent::Ephemeral,
        Parent::Seed,
        Parent::Appended,
        Parent::Days,
    ])
}

const COLUMNS: &str = "id, day, amount, batch";

/// What comes with `is_incremental()`.
const NEW: &str =
    "{% if is_incremental() %}where batch > (select coalesce(max(batch), 0) from {{ this }}){% endif %}";

const NEWEST: &str = "qualify row_number() over (partition by id order by batch desc) = 1";

struct World {
    shop: Shop,
    /// Statements that brought rows into the table that Kiln does not make.
    outside: Vec<String>,
    files: u64,
}

impl World {
    fn of(parent: Parent) -> Self {
        let shop = Shop::of(&[
            (
                "models/raw/sources.yml",
                "sources:
  - name: api
    tables:
      - name: changes
        files: landing/*.csv
        columns:
          - {name: id, data_type: bigint}
          - {name: day, data_type: date}
          - {name: amount, data_type: bigint}
          - {name: batch, data_type: bigint}
  - name: out
    schema: src
    tables: [{name: changes, config: {event_time: day}}]
",
            ),
            (
                "models/raw/raw_changes.sql",
                "{{ config(event_time='day') }}\nselect * from {{ source('api', 'changes') }}\n",
            ),
            ("seeds/arrived.csv", "id,day,amount,batch\n"),
            (
                "seeds/arrived.yml",
                "seeds:
  - name: arrived
    config: {event_time: day, column_types: {id: bigint, day: date, amount: bigint, batch: bigint}}
",
            ),
        ]);
        let mut world = Self { shop, outside: Vec::new(), files: 0 };
        world.keep(3);
        world.allow("0");
        let outside = "{{ source('out', 'changes') }}";
        let read = match parent {
            Parent::Raw => "{{ ref('raw_changes') }}",
            Parent::Outside => outside,
            Parent::Seed => "{{ ref('arrived') }}",
            _ => "{{ ref('seen') }}",
        };
        let from = |table: &str| format!("select {COLUMNS} from {table}");
        match parent {
            Parent::Raw | Parent::Outside | Parent::Seed => {}
            Parent::View => {
                world.model("seen_once", "materialized='view', event_time='day'", &from(outside));
                world.model("seen", "materialized='view', event_time='day'", &from("{{ ref('seen_once') }}"));
            }
            Parent::Ephemeral => {
                world.model("seen_once", "materialized='view'", &from("{{ ref('raw_changes') }}"));
                world.model(
                    "seen",
                    "materialized='ephemeral', event_time='day'",
                    &from("{{ ref('seen_once') }}"),
                );
            }
            Parent::Appended => {
                let config = "materialized='incremental', incremental_strategy='append', event_time='day'";
                world.model("seen", config, &format!("{} {NEW}", from(outside)));
            }
            Parent::Days => {
                world.interval("days", "day", 20, &from("{{ ref('raw_changes') }}"));
                world.model("seen", "materialized='view', event_time='day'", &from("{{ ref('days') }}"));
            }
        }
        world.children(read);
        world
    }

    fn children(&mut self, read: &str) {
        let incremental =
            |strategy: &str| format!("materialized='incremental', incremental_strategy={strategy}");
        self.model("appended", &incremental("'append'"), &format!("select {COLUMNS} from {read} {NEW}"));
        self.model(
            "merged",
            &incremental("'merge', unique_key='id'"),
            &format!("select {COLUMNS} from {read} {NEW} {NEWEST}"),
        );
        let changed = NEW.replace("where", &format!("where day in (select day from {read} where"));
        let changed = changed.replace("{% endif %}", "){% endif %}");
        self.model(
            "by_day",
            &incremental("'delete+insert', unique_key=['day']"),
            &format!(
                "select day, count(*) as changes, sum(amount) as amount, max(batch) as batch from {read} {changed} group by day"
            ),
        );
        self.interval("happened", "day", 20, &format!("select {COLUMNS} from {read}"));
        let happened = "select day, amount from {{ ref('happened') }}";
        self.model("happened_view", "materialized='view', event_time='day'", happened);
        self.model("happened_text", "materialized='ephemeral', event_time='day'", happened);
        let per_day = "select day, count(*) as changes, sum(amount) as amount from";
        self.interval(
            "followed",
            "day",
            0,
            &format!("{per_day} {{{{ ref('happened_view') }}}} group by day"),
        );
        let per_month = per_day.replace("day,", "date_trunc('month', day) as month,");
        self.interval(
            "pasted",
            "month",
            0,
            &format!("{per_month} {{{{ ref('happened_text') }}}} group by 1"),
        );
        let latest = format!(
            "select *, timestamp '2025-01-01' + batch * interval 1 hour as changed from {read} {NEWEST}"
        );
        self.model("latest", "materialized='view'", &latest);
        for (name, strategy) in [
            ("time", "'timestamp', updated_at='changed'"),
            ("value", "'check', check_cols=['amount', 'day']"),
        ] {
            self.shop.write(
                &format!("snapshots/by_{name}.sql"),
                &format!(
                    "{{% snapshot by_{name} %}}{{{{ config(unique_key='id', strategy={strategy}, hard_deletes='invalidate') }}}}
select id, day, amount, changed from {{{{ ref('latest') }}}}{{% endsnapshot %}}\n"
                ),
            );
            self.model(
                &format!("now_by_{name}"),
                "materialized='table'",
                &format!("select id, day, amount from {{{{ ref('by_{name}') }}}} where dbt_valid_to is null"),
            );
        }
    }

    fn model(&mut self, name: &str, config: &str, sql: &str) {
        self.shop
            .write(&format!("models/curated/{name}.sql"), &format!("{{{{ config({config}) }}}}\n{sql}\n"));
    }

    fn interval(&mut self, name: &str, grain: &str, lookback: u64, sql: &str) {
        let config = format!(
            "materialized='incremental', incremental_strategy='microbatch', event_time='{grain}', batch_size='{grain}',
    begin='2026-01-01', lookback={lookback}"
        );
        self.model(name, &config, sql);
    }

    fn keep(&self, releases: u64) {
        self.shop.write(
            "kiln.yml",
            &format!(
                "name: shop
default_target: own
targets:
  own: {{type: duckdb, path: shop.duckdb, threads: 2, keep_releases: {releases}}}
  other: {{type: duckdb, path: shop.duckdb, threads: 2, schema_prefix: other_}}
severities: {{layer-direction: off}}
"
            ),
        );
    }

    /// Writes tests that pass for amounts of at least so much.
    fn allow(&self, least: &str) {
        let tested = |name: &str| {
            format!(
                "  - name: {name}\n    columns: [{{name: amount, data_tests: [{{dbt_utils.accepted_range: {{min_value: {least}}}}}]}}]\n"
            )
        };
        let all: Vec<String> = ["appended", "merged", "happened"].map(tested).into();
        self.shop.write("models/schema.yml", &format!("models:\n{}", all.concat()));
    }

    fn arrive(&mut self, orders: u64, mut seed: u64) {
        self.files += 1;
        let mut rows: Vec<(u64, u64, u64)> = Vec::new();
        for _ in 0..orders {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (id, day, amount) = ((seed >> 33) % 40, (seed >> 40) % 9 + 1, (seed >> 45) % 1000);
            if rows.iter().all(|(known, ..)| *known != id) {
                rows.push((id, day, amount));
            }
        }
        let number = self.files;
        let lines = rows.iter().map(|(id, day, amount)| format!("{id},2026-01-0{day},{amount},{number}\n"));
        let lines: String = lines.collect();
        self.shop.write(&format!("landing/{number:04}.csv"), &format!("id,day,amount,batch\n{lines}"));
        let seeds = std::fs::read_to_string(self.shop.root().join("seeds/arrived.csv")).expect("a seed");
        self.shop.write("seeds/arrived.csv", &format!("{seeds}{lines}"));
        if number == 1 {
            self.tell(
                "create schema src; create table src.changes (id bigint, day date, amount bigint, batch bigint)",
            );
        }
        for (id, day, amount) in rows {
            self.tell(&format!(
                "insert into src.changes values ({id}, '2026-01-0{day}', {amount}, {number})"
            ));
        }
    }

    /// Tells the database something that it is told again when it is made anew.
    fn tell(&mut self, sql: &str) {
        self.outside.push(sql.to_owned());
        self.say(&[sql.to_owned()]);
    }

    fn say(&self, all: &[String]) {
        let connection = duckdb::Connection::open(self.database()).expect("a database");
        connection.execute_batch(&all.join(";")).expect("it runs");
    }

    fn database(&self) -> std::path::PathBuf {
        self.shop.root().join("shop.duckdb")
    }

    fn run(&self, arguments: &[&str]) -> Result<(), TestCaseError> {
        let arguments = [&["run"], arguments].concat();
        let output = binary(self.shop.root(), &arguments).output().expect("kiln starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok(()),
            _ => Err(TestCaseError::fail(format!("{arguments:?} says\n{said}"))),
        }
    }

    fn tables(&self, prefix: &str) -> Vec<String> {
        let table = |name: &&str| {
            let sql = format!("select * from {prefix}curated.{name} order by all");
            format!("{name}\n{}", query(&self.database(), &sql))
        };
        TABLES.iter().map(table).collect()
    }

    fn happens(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Arrive { orders, seed } => self.arrive(*orders, *seed),
            Step::Run => self.run(&[])?,
            // A part may not be there for every kind of parent.
            Step::Part(part) => {
                let _ = binary(self.shop.root(), &["run", "--select", part]).output().expect("kiln starts");
            }
            Step::Other => {
                let before = self.tables("");
                self.run(&["--target", "other"])?;
                prop_assert_eq!(before, self.tables(""), "what another target changed");
            }
            Step::Refused => {
                let before = self.tables("");
                self.allow("2000");
                let output = binary(self.shop.root(), &["run"]).output().expect("kiln starts");
                prop_assert_eq!(output.status.code(), Some(1));
                self.allow("0");
                prop_assert_eq!(before, self.tables(""), "what a refused run changed");
            }
            Step::Kill { after } => {
                kill(self.shop.root(), Some("publishing"), Duration::from_micros(*after));
            }
            // There may be no release to go back to; then readers stay where they are.
            Step::Rollback => {
                let _ = binary(self.shop.root(), &["rollback"]).output().expect("kiln starts");
            }
            Step::Keep(releases) => self.keep(*releases),
            Step::Refresh => self.run(&["--full-refresh"])?,
            Step::Window { day } => {
                let (from, to) = (format!("2026-01-{day:02}"), format!("2026-01-{:02}", day + 1));
                self.run(&["--from", &from, "--to", &to])?;
            }
        }
        Ok(())
    }
}

fn all_happens(parent: Parent, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::of(parent);
    world.arrive(20, 7);
    world.run(&[])?;
    for step in steps {
        // A window shows a part of a batch, and what reads on from the last batch takes the rest for seen, as with dbt.
        if matches!((parent, step), (Parent::Days, Step::Window { .. })) {
            continue;
        }
        world.happens(step)?;
    }
    world.run(&[])?;
    let found = world.tables("");
    world.run(&["--target", "other"])?;
    prop_assert_eq!(&found, &world.tables("other_"), "the other target");
    prop_assert_eq!(&found, &world.tables(""), "after the other target");
    std::fs::remove_file(world.database()).expect("a database");
    let _ = std::fs::remove_file(world.shop.root().join("shop.duckdb.wal"));
    world.say(&world.outside);
    world.run(&[])?;
    prop_assert_eq!(&found, &world.tables(""), "a clean run");
    Ok(())
}

#[test]
fn each_strategy_on_each_parent_ends_as_a_clean_run_does() {
    let sequences =
        std::env::var("KILN_COMBINATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEQUENCES);
    let config =
        Config { cases: sequences, failure_persistence: None, max_shrink_iters: 12, ..Config::default() };
    let seed = *b"kiln: strategies times parents!!";
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let sequence = (parent(), prop::collection::vec(step(), 3..8));
    if let Err(error) = runner.run(&sequence, |(parent, steps)| all_happens(parent, &steps)) {
        panic!("{error}");
    }
}
