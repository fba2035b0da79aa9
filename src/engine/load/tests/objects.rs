//! Objects: names, patterns, and files that cannot be read.

use super::*;

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
      its content is that of `landing/a.csv`, loaded as an object of its own
    FAILED landing/a.csv: it changed while it was read (help: write files under another name and rename them when they are complete)
    FAILED landing/b.csv: cannot read it: No such file or directory (os error 2) (help: -)
    "##);
}

#[test]
fn a_copy_and_a_renamed_file_are_said() {
    let mut bench = bench("landing/*.csv", FileFormat::Csv, &ORDERS[..1]);
    bench.write("landing/a.csv", "order_id\n1\n");
    bench.write("landing/a (1).csv", "order_id\n1\n");
    bench.write("landing/none.csv", "order_id\n");
    bench.write("landing/none too.csv", "order_id\n");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/a (1).csv #1: 1 rows, 0 rejected
    landing/a.csv #2: 1 rows, 0 rejected
      its content is that of `landing/a (1).csv`, loaded as an object of its own
    landing/none too.csv #3: 0 rows, 0 rejected
    landing/none.csv #4: 0 rows, 0 rejected
    "##);
    std::fs::rename(bench.dir.path().join("landing/a.csv"), bench.dir.path().join("landing/b.csv"))
        .expect("moved");
    insta::assert_snapshot!(told(&bench.load()), @r##"
    landing/b.csv #5: 1 rows, 0 rejected
      its content is that of `landing/a (1).csv`, loaded as an object of its own
    "##);
}
