//! Projects of strangers: what is in them must not hang a command, fill the memory, be obeyed by the terminal or lead out of
//! the project. Every one ends with an error that says where.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Shop, binary};

const KILN: &str = "name: shop\nlayers: []\ntargets: {dev: {type: duckdb, path: shop.duckdb}}\n";

fn project(files: &[(&str, &str)]) -> Shop {
    let shop = Shop::of(&[("kiln.yml", KILN), ("models/fine.sql", "select 1 as id\n")]);
    files.iter().for_each(|(path, text)| shop.write(path, text));
    shop
}

/// A command that is given up after a time that is long for any of these projects, on a loaded machine too.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    const PATIENCE: Duration = Duration::from_secs(120);
    let mut command: Command = binary(folder, arguments);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let errors = file.reopen().expect("the same file");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().expect("a process");
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("a process that can be asked") {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill().expect("a process that can be ended");
                panic!("{arguments:?} does not end");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Output { status, stdout: Vec::new(), stderr: std::fs::read(file.path()).expect("what it said") }
}

/// What is said of a project that no command may take.
fn refused(shop: &Shop) -> String {
    let mut said = Vec::new();
    for arguments in [&["compile"][..], &["ls"], &["parse"], &["docs", "generate"]] {
        let output = run(shop.root(), arguments);
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        said.push(text);
    }
    said.swap_remove(0)
}

/// What `compile` says of a project that can be opened.
fn compiled(shop: &Shop) -> String {
    let output = run(shop.root(), &["compile"]);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{text}");
    text
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out() {
    use std::os::unix::fs::symlink;

    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(elsewhere.path().join("deep")).expect("a folder");
    for name in ["a.sql", "b.yml", "c.csv", "deep/d.sql"] {
        std::fs::write(elsewhere.path().join(name), "a secret: [").expect("a file");
    }
    let shop = project(&[("seeds/kept.csv", "a\n1\n")]);
    let to = |name: &str| shop.root().join(name);
    symlink(elsewhere.path().join("a.sql"), to("models/a.sql")).expect("a link");
    symlink(elsewhere.path().join("b.yml"), to("models/b.yml")).expect("a link");
    symlink(elsewhere.path().join("c.csv"), to("seeds/c.csv")).expect("a link");
    symlink(elsewhere.path(), to("models/folder")).expect("a link");
    symlink(elsewhere.path(), to("macros")).expect("a link");
    let said = refused(&shop);
    assert!(!said.contains("secret"), "{said}");
    insta::assert_snapshot!(said, @r"
error[path-outside]: this link leads out of the project
--> macros
 = help: copy what it leads to into the project

error[path-outside]: this link leads out of the project
--> models/a.sql
 = help: copy what it leads to into the project

error[path-outside]: this link leads out of the project
--> models/b.yml
 = help: copy what it leads to into the project

error[path-outside]: this link leads out of the project
--> models/folder
 = help: copy what it leads to into the project

error[path-outside]: this link leads out of the project
--> seeds/c.csv
 = help: copy what it leads to into the project

5 errors
");
}

#[cfg(unix)]
#[test]
fn the_project_file_is_no_link_out_either() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::write(elsewhere.path().join("passwd"), "a secret: [").expect("a file");
    let shop = project(&[]);
    shop.remove("kiln.yml");
    std::os::unix::fs::symlink(elsewhere.path().join("passwd"), shop.root().join("kiln.yml"))
        .expect("a link");
    insta::assert_snapshot!(refused(&shop), @r"
error[path-outside]: this link leads out of the project
--> kiln.yml
 = help: copy what it leads to into the project

1 error
");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_read() {
    let shop = project(&[("seeds/kept.csv", "a\n1\n"), ("contracts/kept.md", "")]);
    let names = [
        "models/pipe.sql",
        "models/pipe.yml",
        "seeds/pipe.csv",
        "macros/pipe.sql",
        "contracts/pipe.odcs.yaml",
    ];
    std::fs::create_dir_all(shop.root().join("macros")).expect("a folder");
    for name in names {
        let made = Command::new("mkfifo").arg(shop.root().join(name)).status().expect("mkfifo");
        assert!(made.success());
    }
    insta::assert_snapshot!(refused(&shop), @r"
error[unreadable-file]: this is not a file
--> contracts/pipe.odcs.yaml
 = help: remove it, or put a file in its place

error[unreadable-file]: this is not a file
--> macros/pipe.sql
 = help: remove it, or put a file in its place

error[unreadable-file]: this is not a file
--> models/pipe.sql
 = help: remove it, or put a file in its place

error[unreadable-file]: this is not a file
--> models/pipe.yml
 = help: remove it, or put a file in its place

error[unreadable-file]: this is not a file
--> seeds/pipe.csv
 = help: remove it, or put a file in its place

5 errors
");
    names.iter().for_each(|name| shop.remove(name));
    shop.remove("kiln.yml");
    assert!(Command::new("mkfifo").arg(shop.root().join("kiln.yml")).status().expect("mkfifo").success());
    insta::assert_snapshot!(refused(&shop), @r"
error[unreadable-file]: this is not a file
--> kiln.yml
 = help: remove it, or put a file in its place

1 error
");
}

#[cfg(unix)]
#[test]
fn names_are_not_obeyed_by_the_terminal() {
    let shop =
        project(&[("models/a\u{1b}[31mred.sql", "select 1\n"), ("models/two\nlines.sql", "select 1\n")]);
    insta::assert_snapshot!(refused(&shop), @r"
error[file-name]: this file's name holds a character that cannot be seen
--> models/a\u{1b}[31mred.sql
 = help: give it a name that can be read

error[file-name]: this file's name holds a character that cannot be seen
--> models/two\nlines.sql
 = help: give it a name that can be read

2 errors
");
    let shop = project(&[
        (
            "models/schema.yml",
            "models: [{name: \"\\e[2Jgone\", columns: [{name: a, data_type: \"\\x07int\"}]}]\nsources: [{name: \"s\\e[2J\", tables: [{name: t, wrong\u{7f}: 1}]}]\n",
        ),
        ("models/red.sql", "select \u{1b}[31m {{ '\u{1b}[2J' ~ nope }}\n"),
    ]);
    let said = refused(&shop);
    assert!(
        said.contains("--> models/red.sql:1:17") && said.contains("--> models/schema.yml:2:52"),
        "{said}"
    );
    assert!(!said.chars().any(|char| char.is_control() && char != '\n'), "{said}");
}

#[test]
fn large_files_are_not_read() {
    let large = format!("select 1 as a -- {}\n", "x".repeat(17 * 1024 * 1024));
    let shop = project(&[("models/large.sql", &large), ("models/large.yml", &large)]);
    insta::assert_snapshot!(refused(&shop), @r"
error[unreadable-file]: this file is larger than 16 MB
--> models/large.sql
 = help: rows belong into a seed or a source, and a model into parts

error[unreadable-file]: this file is larger than 16 MB
--> models/large.yml
 = help: rows belong into a seed or a source, and a model into parts

2 errors
");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let shop = project(&[]);
    std::fs::write(shop.root().join("models/latin.sql"), b"select 1\n-- caf\xe9\n").expect("a file");
    std::fs::write(shop.root().join("models/latin.yml"), b"# \xff\n").expect("a file");
    insta::assert_snapshot!(refused(&shop), @r"
error[not-utf8]: this file is not UTF-8: line 2 has other bytes
--> models/latin.sql
 = help: save it as UTF-8

error[not-utf8]: this file is not UTF-8: line 1 has other bytes
--> models/latin.yml
 = help: save it as UTF-8

2 errors
");
}

#[test]
fn what_other_editors_write_is_read() {
    let shop = project(&[
        (
            "models/crlf.sql",
            "\u{feff}{{ config(materialized='table') }}\r\nselect\r\n  id,\r\n  'é' as b\r\nfrom {{ ref('fine') }}\r\n",
        ),
        (
            "models/crlf.yml",
            "\u{feff}models:\r\n  - name: crlf\r\n    columns:\r\n      - {name: id, data_tests: [unique]}\r\n",
        ),
    ]);
    let output = run(shop.root(), &["compile"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    shop.write("models/crlf.sql", "select\r\n  id,\r\n  idd\r\nfrom {{ ref('fine') }}\r\n");
    assert!(compiled(&shop).contains("--> models/crlf.sql:3:3"));
    shop.write("models/crlf.sql", "select '\0' as a\n");
    insta::assert_snapshot!(compiled(&shop), @r"
error[sql-syntax]: `crlf` holds a NUL byte, which no SQL can
 --> models/crlf.sql:1:9
  |
1 | select '␀' as a
  |         ^

1 error
");
}

#[test]
fn deep_sql_ends() {
    let deep = [
        ("parentheses", format!("select {}1{} as a\n", "(".repeat(10_000), ")".repeat(10_000))),
        ("calls", format!("select {}1{} as a\n", "abs(".repeat(10_000), ")".repeat(10_000))),
        (
            "cases",
            format!("select {}1{} as a\n", "case when true then ".repeat(10_000), " end".repeat(10_000)),
        ),
        ("subqueries", format!("{}select 1 as a{}\n", "select * from (".repeat(10_000), ")".repeat(10_000))),
        ("lists", format!("select {}1{} as a\n", "[".repeat(10_000), "]".repeat(10_000))),
        ("sum", format!("select 1{} as a\n", " + 1".repeat(10_000))),
        ("nots", format!("select {}true as a\n", "not ".repeat(10_000))),
        ("unions", format!("select 1 as a{}\n", " union all select 1".repeat(2_000))),
    ];
    for (name, sql) in &deep {
        let shop = project(&[("models/deep.sql", sql)]);
        let output = run(shop.root(), &["compile"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 2)), "{name}: {:?} {text:.2000}", output.status);
        if output.status.code() == Some(2) {
            assert!(text.contains("--> models/deep.sql:1:"), "{name}: {text:.2000}");
        }
    }
}

#[test]
fn deep_jinja_ends() {
    let deep = [
        ("parentheses", format!("select {{{{ {}1{} }}}}\n", "(".repeat(10_000), ")".repeat(10_000))),
        ("lists", format!("select {{{{ {}1{} }}}}\n", "[".repeat(10_000), "]".repeat(10_000))),
        ("ifs", format!("{}select 1{}\n", "{% if true %}".repeat(10_000), "{% endif %}".repeat(10_000))),
        ("nots", format!("select {{{{ {}1 }}}}\n", "not ".repeat(10_000))),
        ("sum", format!("select {{{{ 1{} }}}}\n", " + 1".repeat(10_000))),
        ("attributes", format!("select {{{{ a{} }}}}\n", ".b".repeat(10_000))),
        ("filters", format!("select {{{{ 1{} }}}} as a\n", "|int".repeat(10_000))),
    ];
    for (name, text) in &deep {
        let shop = project(&[("models/deep.sql", text)]);
        let output = run(shop.root(), &["compile"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 2)), "{name}: {:?} {text:.2000}", output.status);
        if output.status.code() == Some(2) {
            assert!(text.contains("models/deep.sql:1:"), "{name}: {text:.2000}");
        }
    }
}

#[test]
fn deep_yaml_ends() {
    let laughs: String =
        (1..40).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "))).collect();
    let deep = [
        ("lists", format!("models: {}{}\n", "[".repeat(10_000), "]".repeat(10_000))),
        ("maps", format!("models: {}{}\n", "{a: ".repeat(10_000), "}".repeat(10_000))),
        (
            "blocks",
            format!("models:\n{}\n", (0..3_000).map(|n| format!("{}-\n", " ".repeat(n))).collect::<String>()),
        ),
        ("laughs", format!("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{laughs}")),
        ("itself", "models: &a [*a]\n".to_owned()),
        ("merged", "a: &a {<<: *a}\nmodels: []\n".to_owned()),
        ("key", format!("{}: 1\n", "k".repeat(1_000_000))),
    ];
    for (name, text) in &deep {
        for path in ["models/deep.yml", "contracts/deep.odcs.yaml", "waivers/deep.yml"] {
            let shop = project(&[(path, text)]);
            let said = refused(&shop);
            assert!(said.contains(&format!("{path}:")), "{name}: {said:.2000}");
        }
        let shop = project(&[]);
        shop.write("kiln.yml", text);
        assert!(refused(&shop).contains("kiln.yml:"), "{name}");
    }
}
