//! Idempotence: whatever happened on the way (files that arrive, runs, runs killed with SIGKILL, reloads, rollbacks,
//! windows done again), the tables end as one clean run over all files would make them.
//!
//! The sequences are generated with a fixed seed. `KILN_SEQUENCES` sets how many there are. A failure names its sequence,
//! shortened as far as it still fails.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::support::{Shop, binary, query};

/// Sequences, where the environment does not say.
const SEQUENCES: u32 = 6;

/// The tables that are compared.
const TABLES: [&str; 6] = ["merged", "appended", "by_day", "happened", "per_day", "total"];

/// Something that happens to a project.
#[derive(Debug, Clone)]
enum Step {
    /// A file arrives with changes of so many orders, drawn by a seed.
    Arrive { orders: u64, seed: u64 },
    /// A run.
    Run,
    /// A run that is killed so many thousandths of a typical run after its start.
    Kill { after: u64 },
    /// A run that is killed so many microseconds after it began to publish.
    KillPublishing { after: u64 },
    /// Every file is loaded again.
    Reload,
    /// Readers go back to the release before.
    Rollback,
    /// So many days are done again, from a day of January on.
    Window { day: u64, days: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40u64, any::<u64>()).prop_map(|(orders, seed)| Step::Arrive { orders, seed }),
        3 => Just(Step::Run),
        2 => (0..1000u64).prop_map(|after| Step::Kill { after }),
        3 => (0..60_000u64).prop_map(|after| Step::KillPublishing { after }),
        1 => Just(Step::Reload),
        1 => Just(Step::Rollback),
        1 => (1..9u64, 1..4u64).prop_map(|(day, days)| Step::Window { day, days }),
    ]
}

fn project() -> Shop {
    Shop::of(&[
        ("kiln.yml", "name: shop\ntargets:\n  dev: {type: duckdb, path: shop.duckdb, threads: 2, keep_releases: 3}\n"),
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
",
        ),
        (
            "models/raw/raw_changes.sql",
            "{{ config(event_time='day') }}\nselect * from {{ source('api', 'changes') }}\n",
        ),
        // What changes any day can be of any day here: it looks back to the first one.
        (
            "models/curated/happened.sql",
            "{{ config(materialized='incremental', incremental_strategy='interval', event_time='day', batch_size='day',
    begin='2026-01-01', lookback=20) }}
select id, day, amount, batch from {{ ref('raw_changes') }}
",
        ),
        (
            "models/curated/per_day.sql",
            "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day', batch_size='day',
    begin='2026-01-01', lookback=0) }}
select day, count(*) as changes, sum(amount) as amount from {{ ref('happened') }} group by day
",
        ),
        (
            "models/curated/merged.sql",
            "{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}
select id, day, amount, batch from {{ ref('raw_changes') }}
{% if is_incremental() %}where batch > (select coalesce(max(batch), 0) from {{ this }}){% endif %}
qualify row_number() over (partition by id order by batch desc) = 1
",
        ),
        (
            "models/curated/appended.sql",
            "{{ config(materialized='incremental', incremental_strategy='append') }}
select id, amount, batch from {{ ref('raw_changes') }}
{% if is_incremental() %}where batch > (select coalesce(max(batch), 0) from {{ this }}){% endif %}
",
        ),
        (
            "models/curated/by_day.sql",
            "{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key=['day']) }}
select day, count(*) as changes, sum(amount) as amount, max(batch) as batch from {{ ref('raw_changes') }}
{% if is_incremental() %}
where day in (
  select day from {{ ref('raw_changes') }} where batch > (select coalesce(max(batch), 0) from {{ this }})
)
{% endif %}
group by day
",
        ),
        (
            "models/curated/total.sql",
            "{{ config(materialized='table') }}
select m.day, sum(m.amount) as amount, any_value(d.changes) as changes
from {{ ref('merged') }} m join {{ ref('by_day') }} d using (day) group by m.day
",
        ),
        (
            "models/schema.yml",
            "models:
  - name: merged
    columns:
      - {name: id, data_tests: [unique, not_null]}
  - name: appended
    columns:
      - {name: id, data_tests: [{not_null: {config: {audit: delta}}}]}
  - name: by_day
    columns:
      - {name: day, data_tests: [unique]}
",
        ),
    ])
}

/// Writes a file of changes. The same number and seed give the same file.
fn land(shop: &Shop, number: u64, orders: u64, mut seed: u64) {
    let mut text = "id,day,amount,batch\n".to_owned();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..orders {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, day, amount) = ((seed >> 33) % 60, (seed >> 40) % 9 + 1, (seed >> 45) % 1000);
        if ids.insert(id) {
            text += &format!("{id},2026-01-0{day},{amount},{number}\n");
        }
    }
    shop.write(&format!("landing/{number:04}.csv"), &text);
}

/// Starts the binary and kills it: after a time, or after a time from an event on.
pub fn kill(folder: &Path, event: Option<&str>, after: Duration) {
    use std::io::{BufRead, BufReader};
    let mut child = binary(folder, &["run", "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("kiln starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    if let Some(event) = event {
        let wanted = format!("\"event\":\"{event}\"");
        let _ = stdout.lines().map(|line| line.expect("text")).find(|line| line.contains(&wanted));
    }
    std::thread::sleep(after);
    child.kill().expect("a kill");
    child.wait().expect("an end");
}

fn command(folder: &Path, arguments: &[&str]) -> Result<(), TestCaseError> {
    let output = binary(folder, arguments).output().expect("kiln starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        _ => Err(TestCaseError::fail(format!("{arguments:?} says\n{said}"))),
    }
}

fn tables(shop: &Shop) -> Vec<String> {
    let database = shop.root().join("shop.duckdb");
    let table = |name: &&str| {
        format!("{name}\n{}", query(&database, &format!("select * from curated.{name} order by all")))
    };
    TABLES.iter().map(table).collect()
}

fn happens(steps: &[Step]) -> Result<(), TestCaseError> {
    let shop = project();
    land(&shop, 1, 20, 7);
    let mut files = 1;
    let mut published = false;
    for step in steps {
        match step {
            Step::Arrive { orders, seed } => {
                files += 1;
                land(&shop, files, *orders, *seed);
            }
            Step::Run => {
                command(shop.root(), &["run"])?;
                published = true;
            }
            Step::Kill { after } => kill(shop.root(), None, Duration::from_micros(after * 900)),
            Step::KillPublishing { after } => {
                kill(shop.root(), Some("publishing"), Duration::from_micros(*after));
            }
            Step::Reload => {
                command(shop.root(), &["run", "--reload"])?;
                published = true;
            }
            // There may be no release to go back to; then readers stay where they are.
            Step::Rollback if published => {
                let _ = binary(shop.root(), &["rollback"]).output().expect("kiln starts");
            }
            Step::Rollback => {}
            // Before the first release a window is where the table begins.
            Step::Window { .. } if !published => {}
            Step::Window { day, days } => {
                let (from, to) = (format!("2026-01-{day:02}"), format!("2026-01-{:02}", day + days));
                command(shop.root(), &["run", "--from", &from, "--to", &to])?;
                published = true;
            }
        }
    }
    command(shop.root(), &["run"])?;
    let found = tables(&shop);
    std::fs::remove_file(shop.root().join("shop.duckdb")).expect("a database");
    let _ = std::fs::remove_file(shop.root().join("shop.duckdb.wal"));
    command(shop.root(), &["run"])?;
    prop_assert_eq!(found, tables(&shop));
    Ok(())
}

#[test]
fn whatever_happened_the_tables_end_as_a_clean_run_makes_them() {
    let sequences =
        std::env::var("KILN_SEQUENCES").ok().and_then(|text| text.parse().ok()).unwrap_or(SEQUENCES);
    let config =
        Config { cases: sequences, failure_persistence: None, max_shrink_iters: 12, ..Config::default() };
    let seed = *b"kiln: sequences of what happens!";
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let outcome = runner.run(&prop::collection::vec(step(), 4..10), |steps| happens(&steps));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
