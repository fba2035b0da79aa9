//! Loading, on real files and a real database file.

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
            all: Map::new(),
        },
        description: String::new(),
        columns: Vec::new(),
        depends_on: Vec::new(),
        asks_database: false,
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
const BAD: &str = "select _source_object, _line, _column, _reason, _raw, _batch_id from raw.raw_orders__rejected order by all";

#[test]
fn a_csv_is_loaded_once() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.write("landing/a.csv", "order_id,amount,day\n1,2.50,2026-01-01\n2,3,2026-01-02\n");
    insta::assert_snapshot!(told(&bench.load()), @"");
    insta::assert_snapshot!(table(&bench, RAW), @"");
    assert_eq!(
        bench.load(),
        LoadReport { columns: bench.load().columns, table_exists: true, ..LoadReport::default() }
    );
    assert_eq!(bench.pending().unchanged, 1);
}

#[test]
fn rows_that_do_not_fit_are_quarantined() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.write("landing/a.csv", "order_id,amount,day\n1,n/a,2026-13-01\n2,\"12,50\",2026-01-02\n3\n4,1,2026-01-01,9\n5,1,2026-01-01\n");
    bench.write("landing/b.csv", "\u{feff}order_id,amount,day\r\nx,1,2026-01-01\r\n7,1,2026-01-01\r\n");
    insta::assert_snapshot!(told(&bench.load()), @"");
    insta::assert_snapshot!(table(&bench, RAW), @"");
    insta::assert_snapshot!(table(&bench, BAD), @"");
}
