//! Columns: their types, new ones, missing ones, and what a model makes of them.

use super::*;

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
    tz | VARCHAR
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
    1 | 1.0 | true | 01234 | 2026-01-01 10:00:00 | 2013-01-01T10:00:00+02:00 | 2026-01-01 | x | NULL | 12345678901234567890 | 10:00:00 | 1 | landing/a.csv
    2 | 1.5 | false | 7 | 2026-01-01 00:00:00 | 2013-01-01T10:00:00Z | 2026-01-02 | 1 | NULL | 1 | 11:00:01 | 2 | landing/b.csv
    "##);
    bench.write("landing/c.csv", "i,s\nx,1\n3,2\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/c.csv #3: 1 rows, 1 rejected
      columns `d`, `b`, `z`, `t`, `tz`, `day`, `n`, `big`, `clock` are missing, NULL in its rows
      1 row quarantined: line 2: `i`: `x` is not BIGINT
    "##);
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
    let mut bench = super::bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.write("landing/a.csv", "");
    let report = bench.load();
    assert!(!report.table_exists && report.is_complete());
    bench.write("landing/b.csv", "id\n1\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/b.csv #2: 1 rows, 0 rejected"##);
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
