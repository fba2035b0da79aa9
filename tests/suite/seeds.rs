//! Seeds: types, delimiters, and what is wrong with a file, at its line.

use crate::support::{Shop, binary};

const PROJECT: &str =
    "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: shop.duckdb}\n";

fn said(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let all: Vec<(&str, &str)> = [("kiln.yml", PROJECT)].into_iter().chain(files.iter().copied()).collect();
    let shop = Shop::of(&all);
    let output = binary(shop.root(), arguments).output().expect("it runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = text.find("error[").map_or(text.clone(), |at| text[at..].to_owned());
    text.split("\n\n Result").next().unwrap_or_default().to_owned()
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
      = help: write a comma for each value, also for one that is empty

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
