//! Seeds: types, delimiters, and what is wrong with a file, at its line.

use crate::support::Shop;

const PROJECT: &str =
    "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n";

fn said(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let all: Vec<(&str, &str)> = [("kiln.yml", PROJECT)].into_iter().chain(files.iter().copied()).collect();
    Shop::of(&all).refused(arguments)
}

#[test]
fn types_delimiters_and_quotes_are_as_said() {
    let shop = Shop::of(&[
        ("kiln.yml", PROJECT),
        ("seeds/codes.csv", "Code;the name;n\n007;\"it's; here\";1\n#8;\"\";\n"),
        (
            "seeds/codes.yml",
            "seeds:\n  - name: codes\n    config: {delimiter: ';', quote_columns: true, column_types: {Code: varchar, n: 'decimal(9,2)'}}\n",
        ),
    ]);
    assert!(shop.run().expect("a run").is_good());
    assert_eq!(
        shop.query("select \"Code\", \"the name\", n, typeof(n) from main.codes order by 1"),
        "#8|NULL|NULL|DECIMAL(9,2)\n007|it's; here|1.00|DECIMAL(9,2)"
    );
}

#[test]
fn a_bad_row_is_told_at_its_line() {
    let seed = |text: &'static str| [("seeds/s.csv", text)];
    let types = ("seeds/s.yml", "seeds: [{name: s, config: {column_types: {a: bigint}}}]");
    insta::assert_snapshot!(said(&seed("a,b\n1,2\n3,4,5\n6,7\n"), &["run"]), @r"
    error[seed-load]: the seed `s` did not load: this row has 3 values, and the head names 2 columns
     --> seeds/s.csv:3:1
      |
    3 | 3,4,5
      | ^^^^^
      |
      = help: put a value with a comma in it into double quotes
    ");
    insta::assert_snapshot!(said(&seed("a,b\n1,2\n3\n6,7\n"), &["compile"]), @r"
    error[seed-load]: the seed `s` did not load: this row has 1 value, and the head names 2 columns
     --> seeds/s.csv:3:1
      |
    3 | 3
      | ^
      |
      = help: put a comma between all values, empty ones too

    1 error
    ");
    insta::assert_snapshot!(said(&seed("a,b\n1,2\n\"x,4\n6,7\n"), &["run"]), @r#"
    error[seed-load]: the seed `s` did not load: this quote is never closed
     --> seeds/s.csv:3:1
      |
    3 | "x,4
      | ^
    "#);
    insta::assert_snapshot!(said(&[("seeds/s.csv", "a,b\n1,2\nx,4\n"), types], &["run"]), @r"
    error[seed-load]: the seed `s` did not load: `x` does not fit into `a`, which is BIGINT
     --> seeds/s.csv:3:1
      |
    3 | x,4
      | ^^^
      |
      = help: mend the line, or declare the column's type with `column_types`
    ");
}

#[test]
fn a_large_seed_is_refused() {
    let text = format!("a\n{}", "1\n".repeat(1000));
    let limit = ("seeds/s.yml", "seeds: [{name: s, config: {max_size: 1.5kb}}]");
    insta::assert_snapshot!(said(&[("seeds/s.csv", &text), limit], &["ls"]), @r"
    error[seed-too-large]: the seed `s` has 2.0 KB, and a seed has at most 1.5 KB
     --> seeds/s.yml:1:16
      |
    1 | seeds: [{name: s, config: {max_size: 1.5kb}}]
      |                ^
      |
      = help: a large file is a source: move it out of `seeds/`, declare it with `files:`, and read it in a raw model
      = help: or let it be one: `max_size: 1MB` in its configuration

    1 error
    ");
    let limit = ("seeds/s.yml", "seeds: [{name: s, config: {max_size: large}}]");
    insta::assert_snapshot!(said(&[("seeds/s.csv", &text), limit], &["ls"]), @r#"
    error[wrong-type]: `max_size` must be a size, such as `20MB`
     --> seeds/s.yml:1:38
      |
    1 | seeds: [{name: s, config: {max_size: large}}]
      |                                      ^^^^^
      |
      = help: it is `"large"` here

    1 error
    "#);
    let shop = Shop::of(&[("kiln.yml", PROJECT), ("seeds/s.csv", &text)]);
    assert!(shop.run().expect("a run").is_good());
}

#[test]
fn what_duckdb_would_read_otherwise_is_told() {
    let seed = |text: &'static str| said(&[("seeds/s.csv", text)], &["run"]);
    // It takes the last line for the head.
    insta::assert_snapshot!(seed("a,b\n1,x\n2\n3,c,d\n"), @"
    error[seed-load]: the seed `s` did not load: this row has 1 value, and the head names 2 columns
     --> seeds/s.csv:3:1
      |
    3 | 2
      | ^
      |
      = help: put a comma between all values, empty ones too
    ");
    let config = "seeds:\n  - {name: s, config: {delimiter: '|'}}\n";
    let piped = said(&[("seeds/s.csv", "a|b\n1|2|3\n"), ("seeds/s.yml", config)], &["run"]);
    assert!(piped.contains("put a value with a `|` in it into double quotes"), "{piped}");
    insta::assert_snapshot!(seed("a,b,A\n1,2,3\n"), @"
    error[seed-load]: the seed `s` did not load: the column `A` is there twice
     --> seeds/s.csv:1:5
      |
    1 | a,b,A
      |     ^ the second one
      |
     ::: seeds/s.csv:1:1
      |
    1 | a,b,A
      | - the first one
    ");
    insta::assert_snapshot!(seed("a,,c\n1,2,3\n"), @"
    error[seed-load]: the seed `s` did not load: this column has no name
     --> seeds/s.csv:1:3
      |
    1 | a,,c
      |   ^
      |
      = help: name it, or remove the delimiter if there is no column
    ");
    insta::assert_snapshot!(seed(""), @"
    error[seed-load]: the seed `s` did not load: the file is empty
    --> seeds/s.csv
     = help: its first line names the columns, and a file without rows has that line too
    ");
    insta::assert_snapshot!(seed("\n\na,b\n1,2\n"), @"
    error[seed-load]: the seed `s` did not load: the file begins with an empty line
     --> seeds/s.csv:1:1
      |
    1 |
      | ^
      |
      = help: its first line names the columns
    ");
    insta::assert_snapshot!(seed("a,b\n1,\"x\" y\n"), @r#"
    error[seed-load]: the seed `s` did not load: text stands behind the closing quote
     --> seeds/s.csv:2:6
      |
    2 | 1,"x" y
      |      ^^
      |
      = help: a quote inside of quotes is written twice: `""`
    "#);
    insta::assert_snapshot!(seed("a;b\n1;2\n"), @r#"
    error[seed-load]: the seed `s` has one column, `a;b`
     --> seeds/s.csv:1:1
      |
    1 | a;b
      | ^^^
      |
      = help: say what stands between its values: `delimiter: ";"` in its configuration
    "#);
    let typo = ("seeds/s.yml", "seeds: [{name: s, config: {column_types: {a: bigintt}}}]");
    insta::assert_snapshot!(said(&[("seeds/s.csv", "a\n1\n"), typo], &["compile"]), @"
    error[seed-column]: the seed `s` did not load: DuckDB has no type `bigintt`, which `column_types` says of `a`
     --> seeds/s.yml:1:16
      |
    1 | seeds: [{name: s, config: {column_types: {a: bigintt}}}]
      |                ^

    1 error
    ");
    let nothing = ("seeds/s.yml", "seeds: [{name: s, config: {delimiter: ''}}]");
    insta::assert_snapshot!(said(&[("seeds/s.csv", "a\n1\n"), nothing], &["compile"]), @r#"
    error[wrong-type]: `delimiter` must be one to four characters that stand between values, such as `;`
     --> seeds/s.yml:1:39
      |
    1 | seeds: [{name: s, config: {delimiter: ''}}]
      |                                       ^^
      |
      = help: it is `""` here

    1 error
    "#);
}

#[test]
fn files_of_other_systems_are_read() {
    let shop = Shop::of(&[
        ("kiln.yml", PROJECT),
        ("seeds/marked.csv", "\u{feff}id,name\r\n1,\"a\r\nb\"\r\n2,\"x, \"\"y\"\"\"\n"),
        ("seeds/none.csv", "id,name\n"),
    ]);
    assert!(shop.run().expect("a run").is_good());
    assert_eq!(
        shop.query(
            "select id, replace(replace(name, chr(13), 'CR'), chr(10), 'LF') from main.marked order by 1"
        ),
        "1|aCRLFb\n2|x, \"y\""
    );
    assert_eq!(shop.query("select count(*) from main.none"), "0");
}

#[test]
fn a_type_for_a_column_that_is_not_there_is_told() {
    let files = [
        ("seeds/s.csv", "\u{feff}\"zip\",city\n00123,ulm\n"),
        ("seeds/s.yml", "seeds: [{name: s, config: {column_types: {zpi: varchar}}}]"),
    ];
    insta::assert_snapshot!(said(&files, &["run"]), @"
    error[seed-column]: `column_types` names `zpi`, and the seed `s` has no such column
     --> seeds/s.yml:1:16
      |
    1 | seeds: [{name: s, config: {column_types: {zpi: varchar}}}]
      |                ^
      |
      = help: did you mean `zip`?
      = help: its columns are: zip, city
    ");
}
