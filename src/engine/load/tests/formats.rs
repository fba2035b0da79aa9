//! Formats: what is read from each, and which rows are not.

use super::*;

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
      1 row quarantined: line 2: a quote is not closed or has text after it; the row reaches to line 3
    landing/d.csv #3: 1 rows, 2 rejected
      2 rows quarantined, the first: line 3: `id`: `x7` is not BIGINT; the row reaches to line 4
    FAILED landing/b.csv: no row can be read after its header, though there is text (help: look for quotes that do not close and for mixed line ends at its start)
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | two
    lines, "quoted" | 1 | landing/a.csv
    2 | café | 1 | landing/a.csv
    7 | y | 3 | landing/d.csv
    "##);
    insta::assert_snapshot!(table(&bench, BAD), @r##"
    landing/c.csv | 2 | naïve | a quote is not closed or has text after it; the row reaches to line 3 | 5,"open
    6,x | 2
    landing/d.csv | 3 | id | `id`: `x7` is not BIGINT; the row reaches to line 4 | x7,"a
    b" | 3
    landing/d.csv | 4 | id | `id`: `x8` is not BIGINT | x8,z | 3
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
    insta::assert_snapshot!(told(&bench.load()), @r##"FAILED landing/a.csv: its line ends are mixed, or a quote is out of place (help: mend it, or add `strict_mode: false` to its `options`)"##);
    bench.option("strict_mode", Value::from(false));
    insta::assert_snapshot!(told(&bench.load()), @r##"landing/a.csv #1: 3 rows, 0 rejected"##);
}

#[test]
fn an_offset_is_not_dropped() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &[("id", "bigint"), ("at", "timestamp")]);
    bench
        .write("landing/a.csv", "id,at\n1,2026-01-01T10:00:00Z\n2,2026-01-01 10:00:00+00:00\n3,2026-01-01\n");
    bench.write("landing/b.csv", "id,at\n4,2026-01-01T10:00:00+02:00\n5,2026-01-01 10:00:00\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 3 rows, 0 rejected
    landing/b.csv #2: 1 rows, 1 rejected
      1 row quarantined: `at`: `2026-01-01T10:00:00+02:00` is not TIMESTAMP
    "##);
    insta::assert_snapshot!(table(&bench, RAW), @r##"
    1 | 2026-01-01 10:00:00 | 1 | landing/a.csv
    2 | 2026-01-01 10:00:00 | 1 | landing/a.csv
    3 | 2026-01-01 00:00:00 | 1 | landing/a.csv
    5 | 2026-01-01 10:00:00 | 2 | landing/b.csv
    "##);
    let mut bench = super::bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.write("landing/a.csv", "at\n2026-01-01T10:00:00+02:00\n");
    bench.load();
    insta::assert_snapshot!(table(&bench, RAW), @r##"2026-01-01T10:00:00+02:00 | 1 | landing/a.csv"##);
}

#[test]
fn a_model_that_reads_its_source_twice_rejects_a_row_once() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS);
    bench.model("select * from @ where order_id in (select order_id from temp.main.orders where amount > 0)");
    bench.write("landing/a.csv", "order_id,amount,day\n1,1,2026-01-01\nx,n/a,soon\n2,,2026-01-01\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 1 rows, 1 rejected
      1 row quarantined: line 3: `order_id`: `x` is not BIGINT; `amount`: `n/a` is not DECIMAL(12,2); `day`: `soon` is not DATE
    "##);
    assert_eq!(table(&bench, "select count(*) from raw.raw_orders__rejected"), "1");
}

#[test]
fn quotes_that_would_swallow_rows_are_said() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.option("skip", 1.into());
    let rows = "id,name\n1,Ann\n2,\"Bob\"\n3,5\",x\n4,D\n";
    bench.write("landing/preamble.csv", format!("\"Report daily\n{rows}"));
    bench.write("landing/two lines.csv", format!("\"Report\ndaily\"\n{rows}"));
    bench.write("landing/text after.csv", format!("\"Report\" daily\n{rows}"));
    bench.write("landing/header.csv", "x\nid,\"name\n1,Ann\n2,\"Bob\"\n");
    bench.write("landing/header closed.csv", "x\nid,\"name\n1,5\",x\n2,Bob\n");
    bench.write("landing/within.csv", "Report \"daily, 5\"\n\"id\" ,\"na \"\"m\"\" e\"\n1,Ann\n");
    bench.write("landing/reaches.csv", "x\nid,\"na\nme\"\n1,Ann\n2,\"Bob\n3,Cid\n4,D\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/reaches.csv #1: 1 rows, 1 rejected
      1 row quarantined: line 4: a quote is not closed or has text after it; the row reaches to line 6
    landing/within.csv #2: 1 rows, 0 rejected
      new column `na "m" e` VARCHAR, NULL in the rows before
      column `na
    me` is missing, NULL in its rows
    FAILED landing/header closed.csv: a quote in its header is not closed or has text after it (help: rows behind it would be lost: mend the header in the file)
    FAILED landing/header.csv: a quote in its header is not closed or has text after it (help: rows behind it would be lost: mend the header in the file)
    FAILED landing/preamble.csv: line 1, before its header: a quote does not close in the line it opens in (help: rows behind it would be lost: remove the quote from the file)
    FAILED landing/text after.csv: line 1, before its header: a quote does not close in the line it opens in (help: rows behind it would be lost: remove the quote from the file)
    FAILED landing/two lines.csv: line 1, before its header: a quote does not close in the line it opens in (help: rows behind it would be lost: remove the quote from the file)
    "##);
}

#[test]
fn rows_inside_of_a_value_are_said() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &[]);
    bench.write("landing/a.csv", "id,name,amount\n1,\"Ann,1\n2,Bob,2\n3,Cid\",3\n4,D,4\n");
    bench.write("landing/b.csv", "id,name,amount\n1,\"Ann\nlives, in a\nhouse\",1\n2,Bob,2\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a.csv #1: 2 rows, 0 rejected
      1 row with lines inside of a value that look like rows: is there a quote too many?
    landing/b.csv #2: 2 rows, 0 rejected
    "##);
}

#[test]
fn what_does_not_fit_inside_of_a_nested_value_is_a_bad_row() {
    let declared = [
        ("id", "bigint"),
        ("home", "struct(zip integer, since date, \"a b\" struct(x tinyint))"),
        ("items", "struct(sku varchar, qty integer)[]"),
        ("marks", "map(varchar, decimal(4,1))"),
        ("size", "enum('s', 'm')[2]"),
    ];
    let mut ndjson = bench("landing/*.ndjson", FileFormat::NdJson, &declared);
    let rows = [
        r#"{"id": 1, "home": {"zip": 1, "since": "2026-01-01", "a b": {"x": 1}}, "items": [{"sku": "a", "qty": 1}], "marks": {"a": 1.5}, "size": ["s", "m"]}"#,
        r#"{"id": 2, "home": {"zip": null, "new": 1}, "items": [null, {"qty": null}], "marks": {}, "size": null}"#,
        r#"{"id": 3, "home": {"zip": "x"}}"#,
        r#"{"id": 4, "home": {"since": "2026-13-01"}}"#,
        r#"{"id": 5, "home": {"a b": {"x": 300}}}"#,
        r#"{"id": 6, "home": {"zip": 1.5}}"#,
        r#"{"id": 7, "home": "Main Street"}"#,
        r#"{"id": 8, "items": [{"qty": 1}, {"qty": "two"}]}"#,
        r#"{"id": 9, "items": {"qty": 1}}"#,
        r#"{"id": 10, "marks": {"a/b": 1, "c~": 99999}}"#,
        r#"{"id": 11, "size": ["s", "xl"]}"#,
    ];
    ndjson.write("landing/a.ndjson", rows.join("\n"));
    ndjson.load();
    let rejected = "select _line, _column, _reason from raw.raw_orders__rejected order by all";
    insta::assert_snapshot!(table(&ndjson, rejected), @r##"
    3 | home | `home.zip`: `x` is not INTEGER
    4 | home | `home.since`: `2026-13-01` is not DATE
    5 | home | `home.a b.x`: `300` is not TINYINT
    6 | home | `home.zip`: `1.5` is not INTEGER
    7 | home | `home`: `Main Street` is not a STRUCT
    8 | items | `items[].qty`: `two` is not INTEGER
    9 | items | `items`: `{"qty":1}` is not a list
    10 | marks | `marks[c~]`: `99999` is not DECIMAL(4,1)
    11 | size | `size[]`: `xl` is not ENUM('s', 'm')
    "##);
    insta::assert_snapshot!(table(&ndjson, "select id, home::varchar, items::varchar from raw.raw_orders order by id"), @r##"
    1 | {'zip': 1, 'since': 2026-01-01, 'a b': {'x': 1}} | [{'sku': a, 'qty': 1}]
    2 | {'zip': NULL, 'since': NULL, 'a b': NULL} | [NULL, {'sku': NULL, 'qty': NULL}]
    "##);

    let declared = [("id", "bigint"), ("home", "struct(zip integer)"), ("n", "integer[]")];
    let mut csv = bench("landing/*.csv", FileFormat::Csv, &declared);
    csv.write("landing/a.csv", "id|home|n\n1|{'zip': 1}|[1]\n2|{'zip': x}|[1]\n3|{'zip': 3}|[1, y]\n4||\n");
    csv.load();
    insta::assert_snapshot!(table(&csv, rejected), @r##"
    NULL | home | `home`: `{'zip': x}` is not STRUCT(zip INTEGER)
    NULL | n | `n`: `[1, y]` is not INTEGER[]
    "##);
    insta::assert_snapshot!(table(&csv, "select id, home::varchar, n::varchar from raw.raw_orders order by id"), @r##"
    1 | {'zip': 1} | [1]
    4 | NULL | NULL
    "##);

    let mut parquet = bench(
        "landing/*.parquet",
        FileFormat::Parquet,
        &[("id", "bigint"), ("home", "struct(zip integer)"), ("n", "integer[]")],
    );
    std::fs::create_dir(parquet.dir.path().join("landing")).expect("a folder");
    let file = parquet.dir.path().join("landing/a.parquet");
    let query = "select 1 id, {'zip': '1'} home, ['1'] n union all select 2, {'zip': 'x'}, ['1', null] union all select 3, null, ['1', 'y']";
    parquet.conn().execute_batch(&format!("copy ({query}) to '{}'", file.display())).expect("written");
    parquet.load();
    insta::assert_snapshot!(table(&parquet, rejected), @r##"
    2 | home | `home`: `{'zip': x}` is not STRUCT(zip INTEGER)
    3 | n | `n`: `[1, y]` is not INTEGER[]
    "##);
    insta::assert_snapshot!(table(&parquet, "select id, home::varchar, n::varchar from raw.raw_orders order by id"), @"1 | {'zip': 1} | [1]");
}
