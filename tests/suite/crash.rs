//! Runs killed with SIGKILL, many times and at many points: while files load, models are built, views are published and
//! the file is closed. After each kill readers see one whole release and the ledger matches the rows; the next run ends
//! as if nothing had happened.
//!
//! `KILN_KILLS` sets how many kills each test makes, `KILN_KILL_SEED` where its random points begin. A failure names both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Shop, binary, tell};

/// Kills of one test, where the environment does not say.
const KILLS: u64 = 14;

/// The database file and what DuckDB puts beside it begin so.
const DATABASE: &str = "shop.duckdb";

#[test]
fn a_first_run_killed_anywhere() {
    kill_many(0);
}

#[test]
fn a_run_with_new_files_and_a_changed_model_killed_anywhere() {
    kill_many(1);
}

#[test]
fn a_run_that_changes_every_view_killed_anywhere() {
    kill_many(2);
}

/// The project's file, where every model's `generation` comes from.
fn kiln_yml(generation: u64) -> String {
    format!(
        "name: shop\n\
         targets:\n  dev: {{type: duckdb, path: {DATABASE}, threads: 2, keep_releases: 1}}\n\
         vars: {{generation: {generation}}}\n\
         models:\n  shop:\n    curated: {{+materialized: table}}\n    serving: {{+materialized: table}}\n"
    )
}

const FILES: [(&str, &str); 12] = [
    (
        "models/raw/sources.yml",
        "sources:
  - name: api
    tables:
      - name: orders
        files: landing/orders/*.csv
        on_bad_rows: quarantine
        columns:
          - {name: order_id, data_type: bigint}
          - {name: customer, data_type: bigint}
          - {name: amount, data_type: \"decimal(12,2)\"}
      - name: events
        files: landing/events/*.ndjson
        on_bad_rows: quarantine
        columns:
          - {name: event_id, data_type: bigint}
          - {name: customer, data_type: bigint}
",
    ),
    ("models/raw/raw_orders.sql", "select * from {{ source('api', 'orders') }}\n"),
    ("models/raw/raw_events.sql", "select * from {{ source('api', 'events') }}\n"),
    ("seeds/regions.csv", "region,name\n0,north\n1,east\n2,south\n3,west\n"),
    (
        "models/curated/orders.sql",
        "select order_id, customer, amount, {{ var('generation') }} as generation from {{ ref('raw_orders') }}\n",
    ),
    (
        "models/curated/events.sql",
        "{{ config(materialized='view') }}
select event_id, customer, {{ var('generation') }} as generation from {{ ref('raw_events') }}
",
    ),
    (
        "models/curated/calendar.sql",
        "select d as day, d % 7 as weekday, {{ var('generation') }} as generation from range(150000) days(d)\n",
    ),
    (
        "models/curated/customers.sql",
        "select customer, customer % 4 as region, count(*) as orders, {{ var('generation') }} as generation
from {{ ref('orders') }} group by all
",
    ),
    (
        "models/serving/revenue.sql",
        "select r.name, sum(o.amount) as revenue, {{ var('generation') }} as generation
from {{ ref('orders') }} o join {{ ref('customers') }} c using (customer) join {{ ref('regions') }} r using (region)
group by all
",
    ),
    (
        "models/serving/activity.sql",
        "{{ config(materialized='view') }}
select customer, count(*) as events, {{ var('generation') }} as generation
from {{ ref('events') }} semi join {{ ref('customers') }} using (customer) group by all
",
    ),
    (
        "models/schema.yml",
        "models:
  - name: orders
    columns:
      - name: order_id
        data_tests: [unique, not_null]
  - name: activity
    columns:
      - name: customer
        data_tests: [unique]
exposures:
  - name: board
    type: dashboard
    owner: {name: BI, email: bi@example.com}
    depends_on: [ref('revenue'), ref('activity')]
    meta:
      queries: [\"select name, revenue, events from serving.revenue, serving.activity\"]
",
    ),
    (
        "contracts/activity.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: activity
version: 1.0.0
status: active
schema:
  - name: activity
    physicalType: view
    properties:
      - {name: customer, physicalType: BIGINT, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: events, physicalType: BIGINT, required: true}
      - {name: generation, physicalType: INTEGER}
",
    ),
];

const REVENUE_CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: revenue
version: 1.0.0
status: active
schema:
  - name: revenue
    physicalType: table
    properties:
      - {name: name, physicalType: VARCHAR, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: revenue, physicalType: \"DECIMAL(38,2)\", required: true}
      - {name: generation, physicalType: INTEGER}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
";

/// One of the landing files; each has a row that does not fit.
fn land(shop: &Shop, number: u64) {
    let first = number * 1000;
    let (mut csv, mut json) = ("order_id,customer,amount\n".to_owned(), String::new());
    for id in first..first + 1000 {
        let customer = id % 97;
        let _ = writeln!(csv, "{id},{customer},{}.{:02}", id % 500, id % 100);
        let _ = writeln!(json, "{{\"event_id\": {id}, \"customer\": {customer}}}");
    }
    csv.push_str("not a number,1,1.00\n");
    json.push_str("{\"event_id\": \"not a number\", \"customer\": 1}\n");
    shop.write(&format!("landing/orders/{number}.csv"), &csv);
    shop.write(&format!("landing/events/{number}.ndjson"), &json);
}

fn project() -> Shop {
    let shop = Shop::of(&FILES);
    shop.write("kiln.yml", &kiln_yml(1));
    shop.write("contracts/revenue.odcs.yaml", REVENUE_CONTRACT);
    (0..4).for_each(|number| land(&shop, number));
    shop
}

/// Brings the files from one stage to the next: more data and another model, then another generation of everything.
fn advance(shop: &Shop, to: usize) {
    match to {
        0 => {}
        1 => {
            (4..7).for_each(|number| land(shop, number));
            shop.replace("models/curated/customers.sql", "count(*) as orders", "count(*) + 1 as orders");
        }
        _ => {
            shop.write("kiln.yml", &kiln_yml(2));
            land(shop, 7);
        }
    }
}

/// What a database file holds, as far as it must be the same however often the run was killed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    release: i64,
    /// What readers see, by view.
    published: BTreeMap<String, String>,
    /// Raw tables, rejected rows and the ledger.
    raw: BTreeMap<String, String>,
    /// Builds in the file.
    builds: usize,
    /// Builds ever made.
    made: usize,
    /// Status of the newest run.
    run: String,
    runs: usize,
}

/// How far a killed run had come, by what it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    BeforeItsRow,
    Loading,
    Loaded,
    Building,
    Built,
    Published,
    Closing,
    Ended,
}

fn kill_many(stage: usize) {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (kills, seed) = (number("KILN_KILLS", KILLS), number("KILN_KILL_SEED", 20_261_101));
    // Never killed: what there is to see before the stage's run and after it.
    let clean = project();
    let stored = tempfile::tempdir().expect("a temporary folder");
    let mut before = Seen::default();
    let mut length = Duration::ZERO;
    let mut after = Seen::default();
    for step in 0..=stage {
        advance(&clean, step);
        copy_database(clean.root(), stored.path());
        before = std::mem::take(&mut after);
        let started = Instant::now();
        finish(clean.root(), "the clean run");
        length = started.elapsed();
        after = look(clean.root(), "after the clean run").expect("a database");
    }
    assert_eq!(after.release, before.release + 1, "each stage publishes");
    let shop = project();
    (0..=stage).for_each(|step| advance(&shop, step));
    let mut random = Random(seed.wrapping_add(stage as u64));
    let mut phases: BTreeMap<Phase, usize> = BTreeMap::new();
    let mut done = 0;
    while done < kills {
        copy_database(stored.path(), shop.root());
        // Every third time the run that comes to mend it is killed too.
        let in_a_row = if done % 3 == 2 { 2 } else { 1 };
        let mut runs = before.runs;
        let mut last_words = String::new();
        for _ in 0..in_a_row {
            let point = Point::choose(&mut random, length, done);
            last_words = format!("KILN_KILL_SEED={seed} stage {stage} kill {done}: {point:?}");
            let ended = point.run_and_kill(shop.root());
            let seen = look(shop.root(), &last_words);
            let phase = phase(shop.root(), seen.as_ref(), runs, &before, &after, ended);
            *phases.entry(phase).or_default() += 1;
            if let Some(seen) = seen {
                runs = seen.runs;
                let readers = (seen.release, &seen.published);
                assert!(
                    readers == (before.release, &before.published)
                        || readers == (after.release, &after.published),
                    "{last_words}: readers see neither release\n{seen:#?}\nbefore {before:#?}\nafter {after:#?}"
                );
            } else {
                assert_eq!(before.release, 0, "{last_words}: the database is gone");
            }
            done += 1;
        }
        finish(shop.root(), &last_words);
        let seen = look(shop.root(), &last_words).expect("a database");
        assert_eq!(
            (seen.release, &seen.published, &seen.raw, seen.builds, seen.made),
            (after.release, &after.published, &after.raw, after.builds, after.made),
            "{last_words}: the next run ends otherwise than an undisturbed one"
        );
        assert!(["published", "unchanged"].contains(&seen.run.as_str()), "{last_words}: {}", seen.run);
    }
    tell(&format!("stage {stage}: {done} kills, by what they left: {phases:?}"));
}

/// SplitMix64: a seed gives the same points everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

/// When to kill.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// So long after the start.
    Time(Duration),
    /// So long after the nth event of a kind.
    Event(&'static str, u64, Duration),
}

impl Point {
    fn choose(random: &mut Random, length: Duration, number: u64) -> Self {
        let mut micros = |most: u64| Duration::from_micros(random.below(most));
        match number % 6 {
            0 | 3 => Self::Time(micros(length.as_micros() as u64)),
            // Views, release, collection and the checkpoint that closes the file follow it.
            1 | 4 => Self::Event("publishing", 1, micros(80_000)),
            2 => {
                let delay = micros(20_000);
                let kind = ["load_started", "loaded"][random.below(2) as usize];
                Self::Event(kind, 1 + random.below(2), delay)
            }
            _ => {
                let delay = micros(20_000);
                Self::Event("node_finished", 1 + random.below(8), delay)
            }
        }
    }

    /// Whether the run had ended before it could be killed.
    fn run_and_kill(self, folder: &Path) -> bool {
        let mut child = binary(folder, &["run", "--log-format", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("kiln starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        match self {
            Self::Time(delay) => std::thread::sleep(delay),
            Self::Event(kind, nth, delay) => {
                let wanted = format!("\"event\":\"{kind}\"");
                let lines = stdout.lines().map(|line| line.expect("text"));
                let _ = lines.filter(|line| line.contains(&wanted)).nth(nth as usize - 1);
                std::thread::sleep(delay);
                return kill(&mut child);
            }
        }
        kill(&mut child)
    }
}

fn kill(child: &mut Child) -> bool {
    let ended = child.try_wait().expect("a child").is_some();
    child.kill().expect("a kill");
    child.wait().expect("an end");
    ended
}

/// A run that nobody kills.
fn finish(folder: &Path, when: &str) {
    let output = binary(folder, &["run"]).output().expect("kiln starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{when}: the run after it says\n{said}");
}

/// Copies the database and its logs as they are, in place of what is there.
fn copy_database(from: &Path, to: &Path) {
    let files = |folder: &Path| -> Vec<std::path::PathBuf> {
        let entries =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries
            .filter(|path| {
                path.is_file() && path.file_name().is_some_and(|name| is_database(&name.to_string_lossy()))
            })
            .collect()
    };
    files(to).iter().for_each(|path| std::fs::remove_file(path).expect("a removed file"));
    for path in files(from) {
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

fn is_database(name: &str) -> bool {
    name.starts_with(DATABASE) && !name.ends_with(".lock")
}

/// Opens a copy of the database, so that the run which comes next has the log to replay and not this; checks what always
/// holds, and gives what is in it. `None` where there is no state yet.
fn look(folder: &Path, when: &str) -> Option<Seen> {
    if !folder.join(DATABASE).exists() {
        return None;
    }
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_database(folder, copy.path());
    let connection = duckdb::Connection::open(copy.path().join(DATABASE))
        .unwrap_or_else(|error| panic!("{when}: the database does not open: {error}"));
    let file = Questions { connection, when };
    if file.one("select count(*) from duckdb_tables() where schema_name = '_kiln' and table_name = 'version'")
        == "0"
    {
        assert_eq!(file.one("select count(*) from duckdb_tables()"), "0", "{when}: tables and no state");
        return None;
    }
    let mut seen = Seen {
        runs: file.one("select count(*) from _kiln.run").parse().expect("a count"),
        run: file.texts("select status from _kiln.run order by run_id desc limit 1").join(""),
        ..Seen::default()
    };
    file.published(&mut seen);
    file.builds(&mut seen);
    if file.one("select count(*) from duckdb_tables() where schema_name = '_kiln' and table_name = 'load'")
        == "1"
    {
        file.raw(&mut seen);
    }
    Some(seen)
}

/// A database file that was left by a run.
struct Questions<'a> {
    connection: duckdb::Connection,
    when: &'a str,
}

impl Questions<'_> {
    fn lines(&self, sql: &str) -> Vec<String> {
        let ask = || -> duckdb::Result<Vec<String>> {
            let mut statement = self.connection.prepare(&format!("select t::varchar from ({sql}) t"))?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        let lines = ask().unwrap_or_else(|error| panic!("{}: {sql}\n{error}", self.when));
        lines.into_iter().map(|line| line.trim_matches(['(', ')']).to_owned()).collect()
    }

    fn one(&self, sql: &str) -> String {
        let ask = self
            .connection
            .query_row(&format!("select columns(*)::varchar from ({sql})"), [], |row| row.get(0));
        ask.unwrap_or_else(|error| panic!("{}: {sql}\n{error}", self.when))
    }

    fn nothing(&self, what: &str, sql: &str) {
        let lines = self.lines(sql);
        assert!(lines.is_empty(), "{}: {what}\n{lines:#?}", self.when);
    }

    /// Each view can be read, stands on the build that the newest release names, and no view is of another release.
    fn published(&self, seen: &mut Seen) {
        seen.release =
            self.one("select coalesce(max(release_id), 0) from _kiln.release").parse().expect("a number");
        let release = "select * from _kiln.release_model where release_id = (select max(release_id) from _kiln.release)";
        self.nothing(
            "views and the release differ",
            &format!(
                "select * from (select schema_name, view_name, sql from duckdb_views()
                 where not internal and schema_name <> '_kiln_data') v
                 full join ({release}) m on schema_name = published_schema and view_name = published_name
                 where view_name is null or model is null or not contains(v.sql, m.relation)"
            ),
        );
        self.nothing(
            "a release without models, or models without one",
            "select release_id from _kiln.release full join (select distinct release_id, true as named
             from _kiln.release_model) m using (release_id) where run_id is null or named is null",
        );
        let mut generations = std::collections::BTreeSet::new();
        for view in
            self.texts(&format!("select published_schema || '.' || published_name as v from ({release})"))
        {
            let content =
                format!("select md5(string_agg(t::varchar, '|' order by t::varchar)) from {view} t");
            seen.published.insert(view.clone(), self.one(&content));
            if !view.ends_with("regions") {
                generations.extend(self.texts(&format!("select distinct generation::varchar from {view}")));
            }
        }
        assert!(generations.len() <= 1, "{}: readers see generations {generations:?}", self.when);
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        let ask = || -> duckdb::Result<Vec<String>> {
            self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        ask().unwrap_or_else(|error| panic!("{}: {sql}\n{error}", self.when))
    }

    /// Builds and their rows in the state.
    fn builds(&self, seen: &mut Seen) {
        let present = "select table_name as relation from duckdb_tables() where schema_name = '_kiln_data'
             union all select view_name from duckdb_views() where schema_name = '_kiln_data'";
        self.nothing(
            "builds and their rows differ",
            &format!(
                "select b.relation, p.relation from (select relation from _kiln.build where dropped_at is null) b
                 full join ({present}) p using (relation) where b.relation is null or p.relation is null"
            ),
        );
        seen.made = self.one("select count(*) from _kiln.build").parse().expect("a count");
        seen.builds = self.one(&format!("select count(*) from ({present})")).parse().expect("a count");
    }

    /// Raw rows, rejected rows and the ledger: the same batches with the same counts, and no object twice.
    fn raw(&self, seen: &mut Seen) {
        self.nothing("loaded twice", "select model, object from _kiln.load group by all having count(*) > 1");
        for model in ["raw_orders", "raw_events"] {
            for (table, count) in [(model.to_owned(), "rows"), (format!("{model}__rejected"), "rejected")] {
                let ledger = format!(
                    "select batch_id, object, \"{count}\" as n from _kiln.load where model = '{model}' and \"{count}\" > 0"
                );
                let exists = format!(
                    "select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = '{table}'"
                );
                if self.one(&exists) == "0" {
                    self.nothing("a ledger without its table", &ledger);
                    continue;
                }
                self.nothing(
                    "rows and ledger differ",
                    &format!(
                        "select * from (select _batch_id, _source_object, count(*) as n from raw.{table} group by all) r
                         full join ({ledger}) l on _batch_id = batch_id and _source_object = object
                         where r.n is null or l.n is null or r.n <> l.n"
                    ),
                );
                let rows = format!(
                    "select md5(string_agg(t::varchar, '|' order by t::varchar))
                     from (select * exclude (_loaded_at) from raw.{table}) t"
                );
                seen.raw.insert(table, self.one(&format!("select coalesce(({rows}), '')")));
            }
            let ledger = format!(
                "select object, rows, rejected, batch_id from _kiln.load where model = '{model}' order by batch_id"
            );
            seen.raw.insert(format!("ledger of {model}"), self.lines(&ledger).join("; "));
        }
    }
}

fn phase(folder: &Path, seen: Option<&Seen>, runs: usize, before: &Seen, after: &Seen, ended: bool) -> Phase {
    let Some(seen) = seen else { return Phase::BeforeItsRow };
    let log = folder.join(format!("{DATABASE}.wal")).exists();
    match () {
        () if ended || (seen.runs > runs && seen.run != "running" && !log) => Phase::Ended,
        () if seen.runs == runs => Phase::BeforeItsRow,
        () if seen.run != "running" => Phase::Closing,
        () if seen.release == after.release => Phase::Published,
        () if seen.raw != after.raw => Phase::Loading,
        () if seen.made <= before.made => Phase::Loaded,
        () if seen.made < after.made => Phase::Building,
        () => Phase::Built,
    }
}
