//! Loading, on real files and a real database file.

mod drift;
mod formats;
mod objects;

use std::path::PathBuf;

use duckdb::Connection;
use serde_json::Value;

use super::*;
use crate::diagnostic::{Located, Location, SourceFile};
use crate::manifest::{
    Column, FileFormat, FileSource, Materialization, NodeConfig, NodeKind, Object as Map, OnBadRows,
    OnSchemaChange, Owner,
};
use crate::names::{NodeId, Relation};
use crate::sql::rendered::Slot;

/// A project folder, a database in it, and one source with one raw model.
struct Bench {
    dir: tempfile::TempDir,
    conn: Option<Connection>,
    source: SourceTable,
    node: Node,
    sql: Rendered,
    run: i64,
}

fn at() -> Location {
    Location::whole_file("models/raw/sources.yml")
}

fn bench(pattern: &str, format: FileFormat, columns: &[(&str, &str)]) -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let conn = Connection::open(dir.path().join("db.duckdb")).expect("a database");
    let column = |(name, data_type): &(&str, &str)| Column {
        name: (*name).into(),
        data_type: (!data_type.is_empty()).then(|| Located::new((*data_type).into(), at())),
        description: String::new(),
        tags: Vec::new(),
        meta: Map::new(),
        at: at(),
    };
    let source = SourceTable {
        id: NodeId::new("source", "shop", "api.orders"),
        source: "api".into(),
        name: "orders".into(),
        description: String::new(),
        relation: Relation::new("api", "orders"),
        columns: columns.iter().map(column).collect(),
        files: Some(FileSource {
            patterns: vec![Located::new(pattern.into(), at())],
            format,
            options: Vec::new(),
            on_schema_change: OnSchemaChange::Evolve,
            on_bad_rows: OnBadRows::Quarantine,
        }),
        freshness: None,
        loaded_at_field: None,
        event_time: None,
        owner: Owner::default(),
        tags: Vec::new(),
        meta: Map::new(),
        at: at(),
    };
    let node = Node {
        id: NodeId::new("model", "shop", "raw_orders"),
        name: "raw_orders".into(),
        package: "shop".into(),
        kind: NodeKind::Model,
        layer: Some("raw".into()),
        file: SourceFile::new("models/raw/raw_orders.sql", ""),
        relation: Relation::new("raw", "raw_orders"),
        config: NodeConfig {
            materialized: Materialization::Append,
            volatile: None,
            tags: Vec::new(),
            meta: Map::new(),
            column_types: indexmap::IndexMap::new(),
            delimiter: ",".into(),
            incremental: None,
            event_time: None,
            limits: None,
            max_size: 0,
            snapshot: None,
            all: Map::new(),
        },
        description: String::new(),
        columns: Vec::new(),
        depends_on: Vec::new(),
        asks_database: false,
        template_asks: false,
        at: at(),
    };
    let mut bench = Bench { dir, conn: Some(conn), source, node, sql: Rendered::default(), run: 0 };
    bench.model("select * from @");
    bench
}

impl Bench {
    /// `@` stands for the source.
    fn model(&mut self, sql: &str) {
        let name = self.source.relation.to_string();
        let at = sql.find('@').expect("the source");
        let slots = vec![Slot { range: at..at + name.len(), node: self.source.id.clone() }];
        self.sql = Rendered { sql: sql.replace('@', &name), slots, origins: Vec::new() };
    }

    fn files(&mut self) -> &mut FileSource {
        self.source.files.as_mut().expect("files")
    }

    fn option(&mut self, name: &str, value: Value) {
        self.files().options.push((Located::new(name.into(), at()), value));
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    fn conn(&self) -> &Connection {
        self.conn.as_ref().expect("a connection")
    }

    fn pending(&self) -> Pending {
        let found = discover(self.dir.path(), &self.source).expect("discovered");
        pending(self.conn(), &self.node.id, &found.objects).expect("pending")
    }

    fn try_load(&mut self) -> Result<LoadReport> {
        let pending = self.pending();
        self.run += 1;
        let run_id = format!("run{}", self.run);
        let plan = LoadPlan {
            model: &self.node,
            source: &self.source,
            sql: &self.sql,
            run_id: &run_id,
            loaded_at: "2026-01-01T00:00:00Z".parse().expect("a time"),
        };
        load(self.conn(), &plan, &pending.objects, &mut |_| {})
    }

    fn load(&mut self) -> LoadReport {
        self.try_load().expect("loaded")
    }
}

/// The rows of a query as text, values separated by ` | `.
fn table(bench: &Bench, sql: &str) -> String {
    let names: Vec<String> = super::table::describe(bench.conn(), sql)
        .expect(sql)
        .iter()
        .map(|column| format!("coalesce({}::VARCHAR, 'NULL')", crate::sql::quote::identifier(&column.name)))
        .collect();
    let sql = format!("SELECT {} FROM ({sql})", names.join(" || ' | ' || "));
    let mut statement = bench.conn().prepare(&sql).expect(&sql);
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect(&sql);
    let rows: Vec<String> = rows.map(|row| row.expect("a row")).collect();
    rows.join("\n")
}

/// A report as text.
fn told(report: &LoadReport) -> String {
    let mut lines = Vec::new();
    for object in &report.objects {
        lines.push(format!(
            "{} #{}: {} rows, {} rejected",
            object.object, object.batch_id, object.rows, object.rejected
        ));
        lines.extend(object.notes.iter().map(|note| format!("  {note}")));
    }
    for failed in &report.failed {
        let help = failed.help.as_deref().unwrap_or("-");
        lines.push(format!("FAILED {}: {} (help: {help})", failed.object, failed.reason));
    }
    lines.join("\n")
}

const ORDERS: [(&str, &str); 3] = [("order_id", "bigint"), ("amount", "decimal(12,2)"), ("day", "date")];
const RAW: &str = "select * exclude (_loaded_at) from raw.raw_orders order by _batch_id, 1";
const TYPES: &str = "select column_name, data_type from duckdb_columns() where table_name = 'raw_orders' order by column_index";
const BAD: &str = "select _source_object, _line, _column, _reason, _raw, _batch_id from raw.raw_orders__rejected order by all";

#[test]
fn a_csv_is_loaded_once() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.write("landing/a.csv", "order_id,amount,day\n1,2.50,2026-01-01\n2,3,2026-01-02\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/a.csv #1: 2 rows, 0 rejected"##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 2.50 | 2026-01-01 | 1 | landing/a.csv
    2 | 3.00 | 2026-01-02 | 1 | landing/a.csv
    "##);
    assert_eq!(
        bench.load(),
        LoadReport { columns: bench.load().columns, table_exists: true, ..LoadReport::default() }
    );
    assert_eq!(bench.pending().unchanged, 1);
}

#[test]
fn changed_content_is_a_new_batch_also_when_it_is_what_it_was_before() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2026-01-01\n");
    bench.load();
    bench.write("landing/a.csv", "order_id,amount,day\n1,9,2026-01-01\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #2: 1 rows, 0 rejected
      content changed since batch 1, loaded as a new batch
    "##);
    insta::assert_snapshot!(table(&bench, "select * from raw.raw_orders order by _batch_id"), @r##"
    1 | 1.00 | 2026-01-01 | 2026-01-01 00:00:00 | 1 | landing/a.csv
    1 | 9.00 | 2026-01-01 | 2026-01-01 00:00:00.000001 | 2 | landing/a.csv
    "##);
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2026-01-01\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #3: 1 rows, 0 rejected
      content changed since batch 2 back to that of batch 1, loaded as a new batch
    "##);
    assert_eq!(bench.pending().objects, []);
    insta::assert_snapshot!(table(&bench, "select object, batch_id, rows, run_id, changed_from, schema, notes from _kiln.load order by all"), @r##"
    landing/a.csv | 1 | 1 | run1 | NULL | [{"name":"order_id","type":"BIGINT"},{"name":"amount","type":"DECIMAL(12,2)"},{"name":"day","type":"DATE"}] | []
    landing/a.csv | 2 | 1 | run2 | 1 | [{"name":"order_id","type":"BIGINT"},{"name":"amount","type":"DECIMAL(12,2)"},{"name":"day","type":"DATE"}] | [{"note":"changed_content","previous_batch":1}]
    landing/a.csv | 3 | 1 | run3 | 2 | [{"name":"order_id","type":"BIGINT"},{"name":"amount","type":"DECIMAL(12,2)"},{"name":"day","type":"DATE"}] | [{"note":"changed_content","previous_batch":2,"same_as":1}]
    "##);
}

#[test]
fn a_connection_that_dies_leaves_nothing_half_done() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..1]);
    bench.write("landing/a.csv", "order_id\n1\n");
    bench.load();
    bench.write("landing/b.csv", "order_id,new\n2,x\n");
    // The transaction of a load, up to where a process may die: rows, columns and ledger, but no COMMIT.
    bench.conn().execute_batch("begin; alter table raw.raw_orders add column new varchar; insert into raw.raw_orders (order_id, new, _batch_id, _source_object) values (2, 'x', 2, 'landing/b.csv'); insert into _kiln.load by name select * replace ('landing/b.csv' as object, 2 as batch_id) from _kiln.load;").expect("begun");
    bench.conn = None;
    bench.conn = Some(Connection::open(bench.dir.path().join("db.duckdb")).expect("a database"));
    assert_eq!(bench.pending().objects.len(), 1);
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/b.csv #2: 1 rows, 0 rejected
      new column `new` VARCHAR, NULL in the rows before
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1 | landing/a.csv | NULL
    2 | 2 | landing/b.csv | x
    "##);
    assert_eq!(bench.pending().objects.len(), 0);
}

#[test]
fn a_failure_in_the_transaction_is_rolled_back_whole() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..1]);
    bench.write("landing/a.csv", "order_id\n1\n");
    bench.write("landing/b.csv", "order_id,new\n0,x\n");
    // The model's SQL fails on a value that one file holds.
    bench.model("select *, case when order_id = 0 then error('no zero') end as boom from @ -- the end");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 1 rows, 0 rejected
    FAILED landing/b.csv: no zero (help: -)
    "##);
    insta::assert_snapshot!(table(&bench, TYPES), @r##"
    order_id | BIGINT
    boom | VARCHAR
    _loaded_at | TIMESTAMP
    _batch_id | BIGINT
    _source_object | VARCHAR
    "##);
    assert_eq!(table(&bench, "select count(*) from _kiln.load"), "1");
    assert_eq!(bench.pending().objects.len(), 1);
}

#[test]
fn freshness_is_the_newest_value_or_the_newest_load() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    let newest = |bench: &Bench| {
        super::newest(bench.conn(), &bench.source, &bench.node.id, &bench.node.relation)
            .expect("an age")
            .map(|at| at.to_string())
    };
    create_ledger(bench.conn()).expect("a ledger");
    assert_eq!(newest(&bench), None);
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2025-12-24\n");
    bench.load();
    assert_eq!(newest(&bench).as_deref(), Some("2026-01-01T00:00:00Z"));
    bench.source.loaded_at_field = Some("day".into());
    assert_eq!(newest(&bench).as_deref(), Some("2025-12-24T00:00:00Z"));
}

#[test]
fn a_table_that_is_gone_is_said_and_can_be_loaded_again() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..1]);
    bench.write("landing/a.csv", "order_id\n1\nx\n");
    bench.load();
    bench.conn().execute_batch("drop table raw.raw_orders").expect("dropped");
    insta::assert_snapshot!(bench.try_load().expect_err("it is gone"), @r##"
    `raw.raw_orders` is gone, and the ledger says that 1 rows are in it
    help: load it again with `kiln run --reload`
    "##);
    forget(bench.conn(), &bench.node.id, &bench.node.relation).expect("forgotten");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 1 rows, 1 rejected
      1 row quarantined: line 3: `order_id`: `x` is not BIGINT
    "##);
}
