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
fn rows_that_do_not_fit_are_quarantined() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.write("landing/a.csv", "order_id,amount,day\n1,n/a,2026-13-01\n2,\"12,50\",2026-01-02\n3\n4,1,2026-01-01,9\n5,1,2026-01-01\n");
    bench.write("landing/b.csv", "\u{feff}order_id,amount,day\r\nx,1,2026-01-01\r\n7,1,2026-01-01\r\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 1 rows, 4 rejected
      4 rows quarantined, the first: line 2: `amount`: `n/a` is not DECIMAL(12,2); `day`: `2026-13-01` is not DATE
    landing/b.csv #2: 1 rows, 1 rejected
      1 row quarantined: line 2: `order_id`: `x` is not BIGINT
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    5 | 1.00 | 2026-01-01 | 1 | landing/a.csv
    7 | 1.00 | 2026-01-01 | 2 | landing/b.csv
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"
    landing/a.csv | 2 | amount | `amount`: `n/a` is not DECIMAL(12,2); `day`: `2026-13-01` is not DATE | 1,n/a,2026-13-01 | 1
    landing/a.csv | 3 | amount | `amount`: `12,50` is not DECIMAL(12,2) | 2,"12,50",2026-01-02 | 1
    landing/a.csv | 4 | amount | 3 values expected, found 1 | 3 | 1
    landing/a.csv | 5 | NULL | 3 values expected, found 4 | 4,1,2026-01-01,9 | 1
    landing/b.csv | 2 | order_id | `order_id`: `x` is not BIGINT | x,1,2026-01-01 | 2
    "##);
}

#[test]
fn changed_content_is_a_new_batch_and_old_content_is_not_loaded_again() {
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
    assert_eq!(bench.pending().objects, []);
    insta::assert_snapshot!(table(&bench, "select object, batch_id, rows, run_id, changed_from, schema, notes from _kiln.load order by all"), @r##"
    landing/a.csv | 1 | 1 | run1 | NULL | [{"name":"order_id","type":"BIGINT"},{"name":"amount","type":"DECIMAL(12,2)"},{"name":"day","type":"DATE"}] | []
    landing/a.csv | 2 | 1 | run2 | 1 | [{"name":"order_id","type":"BIGINT"},{"name":"amount","type":"DECIMAL(12,2)"},{"name":"day","type":"DATE"}] | [{"note":"changed_content","previous_batch":1}]
    "##);
}

fn drifting(policy: OnSchemaChange) -> Bench {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..2]);
    bench.files().on_schema_change = policy;
    bench.write("landing/1.csv", "order_id,amount\n1,1\n");
    bench.write("landing/2.csv", "AMOUNT,Order_ID\n2,20\n");
    bench.write("landing/3.csv", "order_id,amount,channel\n3,3,web\n");
    bench.write("landing/4.csv", "order_id,channel\n4,app\n");
    bench
}

#[test]
fn drift_evolves() {
    let mut bench = drifting(OnSchemaChange::Evolve);
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/1.csv #1: 1 rows, 0 rejected
    landing/2.csv #2: 1 rows, 0 rejected
    landing/3.csv #3: 1 rows, 0 rejected
      new column `channel` VARCHAR, NULL in the rows before
    landing/4.csv #4: 1 rows, 0 rejected
      column `amount` is missing, NULL in its rows
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1.00 | NULL | 1 | landing/1.csv
    20 | 2.00 | NULL | 2 | landing/2.csv
    3 | 3.00 | web | 3 | landing/3.csv
    4 | NULL | app | 4 | landing/4.csv
    "##);
    bench.write("landing/5.csv", "order_id,amount,channel,zip\n5,5,web,01234\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/5.csv #5: 1 rows, 0 rejected
      new column `zip` VARCHAR, NULL in the rows before
    "##);
    insta::assert_snapshot!(table(&bench, TYPES), @r##"
    order_id | BIGINT
    amount | DECIMAL(12,2)
    channel | VARCHAR
    _loaded_at | TIMESTAMP
    _batch_id | BIGINT
    _source_object | VARCHAR
    zip | VARCHAR
    "##);
}

#[test]
fn drift_warns() {
    let mut bench = drifting(OnSchemaChange::Warn);
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/1.csv #1: 1 rows, 0 rejected
    landing/2.csv #2: 1 rows, 0 rejected
    landing/3.csv #3: 1 rows, 0 rejected
      new column `channel` is left out (`on_schema_change: warn`)
    landing/4.csv #4: 1 rows, 0 rejected
      new column `channel` is left out (`on_schema_change: warn`)
      column `amount` is missing, NULL in its rows
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1.00 | 1 | landing/1.csv
    20 | 2.00 | 2 | landing/2.csv
    3 | 3.00 | 3 | landing/3.csv
    4 | NULL | 4 | landing/4.csv
    "##);
}

#[test]
fn drift_fails() {
    let mut bench = drifting(OnSchemaChange::Fail);
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/1.csv #1: 1 rows, 0 rejected
    landing/2.csv #2: 1 rows, 0 rejected
    FAILED landing/3.csv: column `channel` is new (help: set `on_schema_change: evolve` to take it as it is)
    FAILED landing/4.csv: column `channel` is new, column `amount` is missing (help: set `on_schema_change: evolve` to take it as it is)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1.00 | 1 | landing/1.csv
    20 | 2.00 | 2 | landing/2.csv
    "##);
    assert_eq!(bench.pending().objects.len(), 2);
}

#[test]
fn the_same_files_give_the_same_table_in_one_run_or_in_many() {
    let mut one = drifting(OnSchemaChange::Evolve);
    one.load();
    let mut many = drifting(OnSchemaChange::Evolve);
    for file in ["2", "3", "4"] {
        std::fs::rename(many.dir.path().join(format!("landing/{file}.csv")), many.dir.path().join(file))
            .expect("moved");
    }
    many.load();
    for file in ["2", "3", "4"] {
        std::fs::rename(many.dir.path().join(file), many.dir.path().join(format!("landing/{file}.csv")))
            .expect("moved");
        many.load();
    }
    let rows = "select order_id, amount, channel, _batch_id from raw.raw_orders order by all";
    assert_eq!(table(&one, rows), table(&many, rows));
    let ledger = "select object, batch_id, rows, notes from _kiln.load order by all";
    assert_eq!(table(&one, ledger), table(&many, ledger));
}

#[test]
fn bad_rows_can_fail_their_object() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.files().on_bad_rows = OnBadRows::Fail;
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2026-01-01\n2,n/a,2026-01-01\n");
    bench.write("landing/b.csv", "order_id,amount,day\n3,1,2026-01-01\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/b.csv #1: 1 rows, 0 rejected
    FAILED landing/a.csv: line 3: `amount`: `n/a` is not DECIMAL(12,2) (help: set `on_bad_rows: quarantine` to load the other rows)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"3 | 1.00 | 2026-01-01 | 1 | landing/b.csv"##);
}

#[test]
fn objects_that_cannot_be_read_do_not_stop_the_others() {
    let mut bench = bench("landing/*", FileFormat::Csv, &ORDERS[..1]);
    let rows: String = (0..20_000).map(|row| format!("{row}\n")).collect();
    bench.write("src/big.csv", format!("order_id\n{rows}"));
    let root = bench.dir.path().display().to_string();
    std::fs::create_dir(bench.dir.path().join("landing")).expect("a folder");
    bench.conn().execute_batch(&format!("copy (from read_csv('{root}/src/big.csv')) to '{root}/landing/whole.csv.gz'; copy (from read_csv('{root}/src/big.csv')) to '{root}/landing/whole.csv.zst'")).expect("copied");
    let whole = std::fs::read(bench.dir.path().join("landing/whole.csv.gz")).expect("read");
    bench.write("landing/cut.csv.gz", &whole[..whole.len() / 2]);
    bench.write("landing/latin.csv", b"order_id,name\n1,caf\xe9\n");
    bench.write("landing/latin_header.csv", b"order_id,nam\xe9\n1,x\n");
    bench.write("landing/utf16.csv", b"\xff\xfeo\0r\0d\0e\0r\0_\0i\0d\0\n\x001\0\n\0");
    bench.write("landing/twice.csv", "order_id,x,X\n1,2,3\n");
    bench.write("landing/own.csv", "order_id,_batch_id\n1,2\n");
    bench.write("landing/zero.csv", "");
    bench.write("landing/header.csv", "order_id");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/header.csv #1: 0 rows, 0 rejected
    landing/whole.csv.gz #2: 20000 rows, 0 rejected
    landing/whole.csv.zst #3: 20000 rows, 0 rejected
    landing/zero.csv #4: 0 rows, 0 rejected
      the object is empty
    FAILED landing/cut.csv.gz: unexpected end of GZIP stream (help: -)
    FAILED landing/latin.csv: line 2: it is not UTF-8 (help: add `encoding: latin-1` (or what it is) to its `options`)
    FAILED landing/latin_header.csv: it is not UTF-8 (help: add `encoding: latin-1` (or what it is) to its `options`)
    FAILED landing/own.csv: it has a column `_batch_id`, a name that kiln gives itself (help: rename the column in the file)
    FAILED landing/twice.csv: its header has `x` and `X`, which are one name to DuckDB (help: rename one of the columns in the file)
    FAILED landing/utf16.csv: it is UTF-16, not UTF-8 (help: add `encoding: utf-16` to its `options`)
    "##);
    insta::assert_snapshot!(table(&bench, "select _source_object, count(*), sum(order_id) from raw.raw_orders group by all order by all"), @r##"
    landing/whole.csv.gz | 20000 | 199990000
    landing/whole.csv.zst | 20000 | 199990000
    "##);
    assert_eq!(bench.pending().objects.len(), 6);
    bench.write("landing/cut.csv.gz", &whole);
    bench.load();
    assert_eq!(bench.pending().objects.len(), 5);
}

#[test]
fn hostile_names_are_names() {
    let mut bench = bench("landing/**/*.csv", FileFormat::Csv, &ORDERS[..1]);
    let names = [
        "it's.csv",
        "a\"b.csv",
        "sp ace.csv",
        "é中.csv",
        "[ab].csv",
        "a.csv",
        "*.csv",
        "?.csv",
        "{a,b}.csv",
        "$x%20.csv",
        "new\nline.csv",
        "back\\slash.csv",
        "sub [1]/x.csv",
        "sub 1/x.csv",
        "-- ;drop.csv",
        "#.csv",
        "~.csv",
        "a:b.csv",
    ];
    for (row, name) in names.iter().enumerate() {
        bench.write(&format!("landing/{name}"), format!("order_id\n{row}\n"));
    }
    bench.write("landing/.hidden.csv", "order_id\n99\n");
    let report = bench.load();
    assert!(report.is_complete(), "{}", told(&report));
    assert_eq!(report.rows(), names.len() as u64);
    for (row, name) in names.iter().enumerate() {
        let object = format!("landing/{name}");
        let sql = format!(
            "select order_id from raw.raw_orders where _source_object = {}",
            crate::sql::quote::literal(&object)
        );
        assert_eq!(table(&bench, &sql), row.to_string(), "{name}");
    }
}

#[test]
fn patterns_are_paths_globs_or_absolute() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..1]);
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("o.csv"), "order_id\n1\n").expect("a file");
    bench.write("landing/[x].csv", "order_id\n1\n");
    bench.write("deep/1/2/x.csv", "order_id\n1\n");
    let absolute = format!("{}/*.csv", outside.path().display());
    let patterns =
        ["landing/[x].csv", "./landing/*.csv", "deep/**/*.csv", "nothing/*.csv", "none.csv", &absolute];
    bench.files().patterns = patterns.iter().map(|text| Located::new((*text).to_owned(), at())).collect();
    let found = discover(bench.dir.path(), &bench.source).expect("discovered");
    let names: Vec<&str> = found.objects.iter().map(|object| object.name.as_str()).collect();
    let names = names.join("\n").replace(&outside.path().display().to_string(), "OUTSIDE");
    insta::assert_snapshot!(names, @r##"
    OUTSIDE/o.csv
    deep/1/2/x.csv
    landing/[x].csv
    "##);
    insta::assert_snapshot!(found.diagnostics.render(crate::diagnostic::Style::Plain), @r##"
    warning[source-no-files]: `none.csv` of source `api.orders` matches no file
    --> models/raw/sources.yml
     = help: paths are relative to the project's folder

    warning[source-no-files]: `nothing/*.csv` of source `api.orders` matches no file
    --> models/raw/sources.yml
     = help: paths are relative to the project's folder
    "##);
}

#[test]
fn types_are_inferred_where_none_is_declared() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.write("landing/a.csv", "i,d,b,z,t,tz,day,s,n,big,clock\n1,1,true,01234,2026-01-01 10:00:00,2013-01-01T10:00:00+02:00,2026-01-01,x,,12345678901234567890,10:00\n");
    bench.write("landing/b.csv", "i,d,b,z,t,tz,day,s,n,big,clock\n2,1.5,FALSE,7,2026-01-01,2013-01-01T10:00:00Z,2026-01-02,1,,1,11:00:01\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 1 rows, 0 rejected
    landing/b.csv #2: 1 rows, 0 rejected
    "##);
    insta::assert_snapshot!(table(&bench, TYPES), @r##"
    i | BIGINT
    d | DOUBLE
    b | BOOLEAN
    z | VARCHAR
    t | TIMESTAMP
    tz | TIME
    day | DATE
    s | VARCHAR
    n | VARCHAR
    big | HUGEINT
    clock | TIME
    _loaded_at | TIMESTAMP
    _batch_id | BIGINT
    _source_object | VARCHAR
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1.0 | true | 01234 | 2026-01-01 10:00:00 | 10:00:00 | 2026-01-01 | x | NULL | 12345678901234567890 | 10:00:00 | 1 | landing/a.csv
    2 | 1.5 | false | 7 | 2026-01-01 00:00:00 | 10:00:00 | 2026-01-02 | 1 | NULL | 1 | 11:00:01 | 2 | landing/b.csv
    "##);
    bench.write("landing/c.csv", "i,s\nx,1\n3,2\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/c.csv #3: 1 rows, 1 rejected
      columns `d`, `b`, `z`, `t`, `tz`, `day`, `n`, `big`, `clock` are missing, NULL in its rows
      1 row quarantined: line 2: `i`: `x` is not BIGINT
    "##);
}

#[test]
fn ndjson_is_loaded_and_its_bad_lines_are_quarantined() {
    let mut bench = bench("landing/*", FileFormat::NdJson, &[("id", "bigint"), ("amount", "decimal(12,2)")]);
    bench.write("landing/a.ndjson", "{\"id\":1,\"amount\":2.5,\"who\":{\"x\":1},\"tags\":[\"a\"],\"at\":\"2026-01-01T10:00:00Z\"}\n\n{\"id\":\"two\",\"amount\":\"n/a\"}\n{broken\n[1,2]\n{\"ID\":3,\"amount\":null,\"code\":\"007\"}\n{\"id\":1.5}\n");
    bench.write("landing/b.ndjson", "{\"id\":4,\"a/b~c \\\"d\\\"\":true}\nnull\n");
    bench.write("landing/c.ndjson", "");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.ndjson #1: 2 rows, 4 rejected
      4 rows quarantined, the first: line 3: `id`: `two` is not BIGINT; `amount`: `n/a` is not DECIMAL(12,2)
    landing/b.ndjson #2: 1 rows, 1 rejected
      new column `a/b~c "d"` BOOLEAN, NULL in the rows before
      columns `amount`, `who`, `tags`, `at`, `code` are missing, NULL in its rows
      1 row quarantined: line 2: not a JSON object
    landing/c.ndjson #3: 0 rows, 0 rejected
      the object is empty
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 2.50 | {"x":1} | ["a"] | 2026-01-01 10:00:00 | NULL | NULL | 1 | landing/a.ndjson
    3 | NULL | NULL | NULL | NULL | 007 | NULL | 1 | landing/a.ndjson
    4 | NULL | NULL | NULL | NULL | NULL | true | 2 | landing/b.ndjson
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"
    landing/a.ndjson | 3 | id | `id`: `two` is not BIGINT; `amount`: `n/a` is not DECIMAL(12,2) | {"id":"two","amount":"n/a"} | 1
    landing/a.ndjson | 4 | NULL | not valid JSON | {broken | 1
    landing/a.ndjson | 5 | NULL | not a JSON object | [1,2] | 1
    landing/a.ndjson | 7 | id | `id`: `1.5` is not BIGINT | {"id":1.5} | 1
    landing/b.ndjson | 2 | NULL | not a JSON object | null | 2
    "##);
    insta::assert_snapshot!(table(&bench, TYPES), @r##"
    id | BIGINT
    amount | DECIMAL(12,2)
    who | JSON
    tags | JSON
    at | TIMESTAMP
    code | VARCHAR
    a/b~c "d" | BOOLEAN
    _loaded_at | TIMESTAMP
    _batch_id | BIGINT
    _source_object | VARCHAR
    "##);
    bench.write("landing/d.ndjson", "{\"id\":5,\"at\":\"soon\"}\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/d.ndjson #4: 0 rows, 1 rejected
      columns `amount`, `who`, `tags`, `code`, `a/b~c "d"` are missing, NULL in its rows
      1 row quarantined: line 1: `at`: `soon` is not TIMESTAMP
    "##);
}

#[test]
fn json_is_an_array_or_records() {
    let mut bench = bench("landing/*.json", FileFormat::Json, &[("id", "bigint")]);
    bench.write("landing/a.json", "\u{feff}\n[{\"id\":1,\n\"n\":1},{\"id\":\"x\"}]");
    bench.write("landing/b.json", "{\"id\":2,\n\"n\":1}\n{\"id\":3}");
    bench.write("landing/c.json", "[]");
    bench.write("landing/cut.json", "[{\"id\":4},{\"id\":");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.json #1: 1 rows, 1 rejected
      1 row quarantined: `id`: `x` is not BIGINT
    landing/b.json #2: 2 rows, 0 rejected
    landing/c.json #3: 0 rows, 0 rejected
      the object is empty
    FAILED landing/cut.json: malformed JSON in file "landing/cut.json", at byte 7 in record/value 3: unexpected end of data (help: -)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1 | 1 | landing/a.json
    2 | 1 | 2 | landing/b.json
    3 | NULL | 2 | landing/b.json
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"landing/a.json | NULL | id | `id`: `x` is not BIGINT | {"id":"x"} | 1"##);
}

#[test]
fn parquet_is_cast_where_its_types_differ() {
    let mut bench = bench("landing/*.parquet", FileFormat::Parquet, &[("id", "bigint")]);
    let root = bench.dir.path().display().to_string();
    std::fs::create_dir(bench.dir.path().join("landing")).expect("a folder");
    for (file, select) in [
        ("a", "select 1::integer as id, timestamptz '2026-01-01 10:00:00+00' as at, [1, 2] as l"),
        ("b", "select * from (values ('2'), ('x'), (null)) t(id)"),
        ("c", "select 3::bigint as ID, 'new' as extra"),
    ] {
        bench
            .conn()
            .execute_batch(&format!("copy ({select}) to '{root}/landing/{file}.parquet'"))
            .expect("written");
    }
    bench.write("landing/bad.parquet", "PAR1 no");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.parquet #1: 1 rows, 0 rejected
    landing/b.parquet #2: 2 rows, 1 rejected
      columns `at`, `l` are missing, NULL in its rows
      1 row quarantined: line 2: `id`: `x` is not BIGINT
    landing/c.parquet #3: 1 rows, 0 rejected
      new column `extra` VARCHAR, NULL in the rows before
      columns `at`, `l` are missing, NULL in its rows
    FAILED landing/bad.parquet: file 'landing/bad.parquet' too small to be a Parquet file (help: -)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 2026-01-01 10:00:00 | [1, 2] | NULL | 1 | landing/a.parquet
    2 | NULL | NULL | NULL | 2 | landing/b.parquet
    NULL | NULL | NULL | NULL | 2 | landing/b.parquet
    3 | NULL | NULL | new | 3 | landing/c.parquet
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"landing/b.parquet | 2 | id | `id`: `x` is not BIGINT | {"id":"x"} | 2"##);
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
fn a_thousand_small_files_are_one_scan() {
    let mut bench = bench("landing/**/*.csv", FileFormat::Csv, &ORDERS[..2]);
    for file in 0..1_000 {
        bench.write(&format!("landing/{}/f{file:04}.csv", file % 7), format!("order_id,amount\n{file},1\n"));
    }
    bench.write("landing/0/bad.csv.csv", b"order_id,amount\n1,\xff\n");
    let report = bench.load();
    assert_eq!(
        (report.rows(), report.failed.len(), report.objects.len()),
        (1_000, 0, 1_001),
        "{:?}",
        report.failed
    );
    assert_eq!(
        table(
            &bench,
            "select count(*), count(distinct _source_object), count(distinct _batch_id), count(distinct _loaded_at) from raw.raw_orders"
        ),
        "1000 | 1000 | 1000 | 1000"
    );
    assert_eq!(bench.pending().objects.len(), 0);
}

#[test]
fn a_model_may_filter_cast_and_drop_columns() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.model("with x as (select orders.order_id as id, amount * 2 as double from @ as orders where order_id > 1) select * from x;");
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2026-01-01\n2,2,2026-01-01\n");
    bench.write("landing/b.csv", "order_id,amount,day,more\n3,3,soon,x\n4,n/a,2026-01-01,y\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 1 rows, 0 rejected
    landing/b.csv #2: 1 rows, 1 rejected
      new column `more` VARCHAR, NULL in the rows before
      1 row quarantined: line 3: `amount`: `n/a` is not DECIMAL(12,2)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    2 | 4.00 | 1 | landing/a.csv
    3 | 6.00 | 2 | landing/b.csv
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"landing/b.csv | 3 | amount | `amount`: `n/a` is not DECIMAL(12,2) | 4,n/a,2026-01-01,y | 2"##);
    bench.model("select order_id as id, amount::varchar as double, day from @");
    bench.write("landing/c.csv", "order_id,amount,day,more\n5,3,2026-01-01,x\n");
    insta::assert_snapshot!(bench.try_load().expect_err("a type that the table does not hold"), @r##"
    `double` is DECIMAL(18,2) in `raw.raw_orders`, and VARCHAR in what is to be loaded
    help: cast it in the raw model, or change the table: `alter table "raw"."raw_orders" alter "double" type VARCHAR`
    "##);
    bench.model("select nothing from @");
    insta::assert_snapshot!(bench.try_load().expect_err("a column that is not there"), @r##"
    error[raw-model]: `raw_orders` cannot be run over its source: Binder Error: Referenced column "nothing" not found in FROM clause!
                      Candidate bindings: "amount", "order_id"
    --> models/raw/sources.yml
    "##);
    bench.model("select order_id, 1 as _batch_id from @");
    insta::assert_snapshot!(bench.try_load().expect_err("a name that is taken"), @r##"
    error[raw-model]: `raw_orders` gives a column `_batch_id`, which kiln adds itself
    --> models/raw/sources.yml
    "##);
}

#[test]
fn options_are_checked_against_duckdb() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..2]);
    bench.option("nulstr", Value::from("NA"));
    bench.option("filename", Value::from(true));
    bench.option("header", Value::from("yes"));
    let found = check_options(bench.conn(), &bench.source).expect("checked");
    insta::assert_snapshot!(found.render(crate::diagnostic::Style::Plain), @r##"
    error[source-option]: `filename` of source `api.orders` is set by kiln
    --> models/raw/sources.yml
     = help: each row carries its file in `_source_object`

    error[source-option]: `header` takes `true` or `false`, not `"yes"`
    --> models/raw/sources.yml

    error[source-option]: `nulstr` is not an option of DuckDB's `read_csv`
    --> models/raw/sources.yml
     = help: did you mean `nullstr`?
    "##);
    bench.files().options.clear();
    bench.option("nullstr", serde_json::json!(["NA", "it's"]));
    bench.option("sep", Value::from(";"));
    bench.option("skip", Value::from(1));
    bench.option("decimal_separator", Value::from(","));
    bench.option("comment", Value::from("#"));
    bench.write("landing/a.csv", "# exported\norder_id;amount\n1;2,5\nNA;it's\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/a.csv #1: 2 rows, 0 rejected"##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 2.50 | 1 | landing/a.csv
    NULL | NULL | 1 | landing/a.csv
    "##);
}

#[test]
fn a_file_without_header_needs_declared_columns() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..2]);
    bench.option("header", Value::from(false));
    bench.write("landing/a.csv", "1|2.5\n2|3\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/a.csv #1: 2 rows, 0 rejected"##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 2.50 | 1 | landing/a.csv
    2 | 3.00 | 1 | landing/a.csv
    "##);
    bench.source.columns.clear();
    bench.write("landing/b.csv", "1|2.5\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"FAILED landing/b.csv: it has no header, and no columns are declared (help: declare the source's `columns` in the order of the file)"##);
}

#[test]
fn encodings_quotes_and_line_ends() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.option("encoding", Value::from("latin-1"));
    bench.write("landing/a.csv", b"id,na\xefve\n1,\"two\nlines, \"\"quoted\"\"\"\n2,caf\xe9\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/a.csv #1: 2 rows, 0 rejected"##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | two
    lines, "quoted" | 1 | landing/a.csv
    2 | café | 1 | landing/a.csv
    "##);
    bench.files().options.clear();
    bench.write("landing/b.csv", "\n\"ID\"; \"naïve\" \r\n3;x\r\n\r\n4;\r\n");
    bench.write("landing/c.csv", "id,naïve\n5,\"open\n6,x\n");
    bench.write("landing/d.csv", "id,naïve\n7,y\nx7,\"a\nb\"\nx8,z\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/c.csv #2: 0 rows, 1 rejected
      1 row quarantined: line 2: a quote is not closed or has text after it
    landing/d.csv #3: 1 rows, 2 rejected
      2 rows quarantined, the first: line 3: `id`: `x7` is not BIGINT
    FAILED landing/b.csv: no row can be read after its header, though there is text (help: look for quotes that do not close and for mixed line ends at its start)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | two
    lines, "quoted" | 1 | landing/a.csv
    2 | café | 1 | landing/a.csv
    7 | y | 3 | landing/d.csv
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"
    landing/c.csv | 2 | naïve | a quote is not closed or has text after it | 5,"open
    6,x | 2
    landing/d.csv | 3 | id | `id`: `x7` is not BIGINT | x7,"a
    b" | 3
    landing/d.csv | 4 | id | `id`: `x8` is not BIGINT | x8,z | 3
    "##);
}

#[test]
fn without_files_the_table_is_there_as_declared() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    let report = bench.load();
    assert!(report.table_exists && report.objects.is_empty());
    insta::assert_snapshot!(table(&bench, TYPES), @r##"
    order_id | BIGINT
    amount | DECIMAL(12,2)
    day | DATE
    _loaded_at | TIMESTAMP
    _batch_id | BIGINT
    _source_object | VARCHAR
    "##);
    let mut bench = super::tests::bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.write("landing/a.csv", "");
    let report = bench.load();
    assert!(!report.table_exists && report.is_complete());
    bench.write("landing/b.csv", "id\n1\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/b.csv #2: 1 rows, 0 rejected"##);
}

#[test]
fn freshness_is_the_newest_value_or_the_newest_load() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    let newest = |bench: &Bench| {
        super::newest(bench.conn(), &bench.source, &bench.node.id, &bench.node.relation)
            .expect("an age")
            .map(|at| at.to_string())
    };
    assert_eq!(newest(&bench), None);
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2025-12-24\n");
    bench.load();
    assert_eq!(newest(&bench).as_deref(), Some("2026-01-01T00:00:00Z"));
    bench.source.loaded_at_field = Some("day".into());
    assert_eq!(newest(&bench).as_deref(), Some("2025-12-24T00:00:00Z"));
}

#[test]
fn a_declared_type_must_be_a_type() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &[("id", "bigint) as x, (select 1")]);
    insta::assert_snapshot!(bench.try_load().expect_err("not a type"), @r##"
    error[unknown-type]: `bigint) as x, (select 1` is not a type
    --> models/raw/sources.yml
    "##);
    bench.source.columns[0].data_type = Some(Located::new("bigit".into(), at()));
    insta::assert_snapshot!(bench.try_load().expect_err("not a type"), @r##"
    error[unknown-type]: `bigit` is not a type of DuckDB
    --> models/raw/sources.yml
    "##);
}

#[test]
fn a_file_that_changes_meanwhile_is_not_loaded() {
    let bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..1]);
    bench.write("landing/a.csv", "order_id\n1\n");
    bench.write("landing/b.csv", "order_id\n1\n");
    bench.write("landing/c.csv", "order_id\n1\n");
    let pending = bench.pending();
    bench.write("landing/a.csv", "order_id\n1\n2\n");
    std::fs::remove_file(bench.dir.path().join("landing/b.csv")).expect("removed");
    let plan = LoadPlan {
        model: &bench.node,
        source: &bench.source,
        sql: &bench.sql,
        run_id: "r",
        loaded_at: jiff::Timestamp::now(),
    };
    let report = load(bench.conn(), &plan, &pending.objects, &mut |_| {}).expect("loaded");
    insta::assert_snapshot!(told(&report), @r##"
    landing/c.csv #1: 1 rows, 0 rejected
    FAILED landing/a.csv: it changed while it was read (help: write files under another name and rename them when they are complete)
    FAILED landing/b.csv: cannot read it: No such file or directory (os error 2) (help: -)
    "##);
}

#[test]
fn a_fraction_is_no_integer() {
    let mut bench =
        bench("landing/*.csv", FileFormat::Csv, &[("id", "bigint"), ("n", "integer"), ("amount", "double")]);
    bench.write("landing/a.csv", "id,n,amount\n1,1,1.5\n2,2.0,2\n9007199254740993,3,1\n");
    bench.write("landing/b.csv", "id,n,amount\n3,1.5,1\nx,4,1\n5,5,soon\n6,6,6\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 3 rows, 0 rejected
    landing/b.csv #2: 1 rows, 3 rejected
      3 rows quarantined, the first: `n`: `1.5` is not INTEGER
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 1 | 1.5 | 1 | landing/a.csv
    2 | 2 | 2.0 | 1 | landing/a.csv
    9007199254740993 | 3 | 1.0 | 1 | landing/a.csv
    6 | 6 | 6.0 | 2 | landing/b.csv
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"
    landing/b.csv | 4 | amount | `amount`: `soon` is not DOUBLE | 5,5,soon | 2
    landing/b.csv | NULL | id | `id`: `x` is not BIGINT | {"id":"x","n":"4","amount":"1.0"} | 2
    landing/b.csv | NULL | n | `n`: `1.5` is not INTEGER | {"id":"3","n":"1.5","amount":"1.0"} | 2
    "##);
}

#[test]
fn mixed_line_ends_are_said() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..2]);
    bench.write("landing/a.csv", "order_id,amount\n1,1\r\n2,2\n3,3\r\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"FAILED landing/a.csv: the CSV Parser state machine reached an invalid state (help: its line ends are mixed or a quote is out of place: mend it, or add `strict_mode: false` to its `options`)"##);
    bench.option("strict_mode", Value::from(false));
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/a.csv #1: 3 rows, 0 rejected"##);
}
