//! What a user reads: the binary itself, its words on both streams and its exit codes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A small project in a temporary folder: one raw model, two curated ones, two tests that pass.
pub struct Project {
    folder: tempfile::TempDir,
}

const FILES: [(&str, &str); 7] = [
    (
        "kiln.yml",
        "name: shop\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb, threads: 1}\nmodels:\n  shop:\n    curated: {+materialized: table}\n",
    ),
    (
        "models/raw/sources.yml",
        "sources:\n  - name: api\n    tables:\n      - name: orders\n        files: landing/*.csv\n        columns:\n          - {name: order_id, data_type: bigint}\n          - {name: amount, data_type: \"decimal(12,2)\"}\n",
    ),
    ("models/raw/raw_orders.sql", "select * from {{ source('api', 'orders') }}\n"),
    ("models/curated/orders.sql", "select order_id, amount\nfrom {{ ref('raw_orders') }}\n"),
    (
        "models/curated/totals.sql",
        "select count(*) as orders, sum(amount) as amount from {{ ref('orders') }}\n",
    ),
    (
        "models/schema.yml",
        "models:\n  - name: orders\n    columns:\n      - name: order_id\n        data_tests: [unique, not_null]\n      - name: amount\n        data_tests:\n          - dbt_utils.accepted_range: {min_value: 0, config: {severity: warn}}\n",
    ),
    ("landing/1.csv", "order_id,amount\n1,10.00\n2,20.50\n"),
];

impl Project {
    pub fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        for (path, text) in FILES {
            project.write(path, text);
        }
        project
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder above it")).expect("a folder");
        std::fs::write(path, text).expect("a written file");
    }

    /// A second row with the number 1, and one with an amount below 0.
    fn spoil(&self) {
        self.write("landing/2.csv", "order_id,amount\n1,-3.00\n3,1.00\n");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = kiln(arguments);
        command.current_dir(self.path());
        command
    }

    /// Exit code, stdout and stderr, without what differs from run to run.
    pub fn say(&self, arguments: &[&str]) -> String {
        said(&self.command(arguments).output().expect("kiln starts"), self.path())
    }
}

fn kiln(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    for name in
        ["CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "CLICOLOR_FORCE", "TERM", "LC_CTYPE"]
            .iter()
            .chain(&crate::support::LOGINS)
    {
        command.env_remove(name);
    }
    command.env("USER", "ada").env("LC_ALL", "C.UTF-8").args(arguments);
    command
}

fn said(output: &Output, folder: &Path) -> String {
    let part = |name: &str, bytes: &[u8]| match bytes.is_empty() {
        true => String::new(),
        false => format!("--- {name}\n{}", String::from_utf8_lossy(bytes)),
    };
    let code = output.status.code().unwrap_or(-1);
    let text = format!("exit {code}\n{}{}", part("stdout", &output.stdout), part("stderr", &output.stderr));
    let canonical = folder.canonicalize().expect("the folder is there");
    steady(
        &text
            .replace(&*canonical.to_string_lossy(), "[folder]")
            .replace(&*folder.to_string_lossy(), "[folder]"),
    )
}

fn steady(text: &str) -> String {
    let filters = [
        (r" \(slowest: [^)]*\)", ""),
        (r"\b\d+\.\d\ds", "0.00s"),
        (r"\b\d+\.\ds\b", "0.0s"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[moment]"),
        (r"of \d{4}-\d\d-\d\d \d\d:\d\d UTC", "of [moment] UTC"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
        (r"__[0-9a-f]{12}", "__[hash]"),
    ];
    filters.iter().fold(text.to_owned(), |text, (pattern, with)| {
        regex::Regex::new(pattern).expect("a good pattern").replace_all(&text, *with).into_owned()
    })
}

#[test]
fn a_plan_says_which_files_come_first() {
    let project = Project::new();
    project.say(&["run"]);
    project.write("landing/2.csv", "order_id,amount\n7,1.00\n");
    project.write("models/curated/totals.sql", "select count(*) as orders from {{ ref('orders') }}\n");
    insta::assert_snapshot!(project.say(&["run", "--explain"]), @r"
    exit 0
    --- stdout
    model       action  why
    raw_orders  load    raw: takes in 1 file
    orders      later   `raw_orders` takes in 1 file first
    totals      build   its SQL or configuration changed; `raw_orders` takes in 1 file first
    ");
}

#[test]
fn first_run_then_nothing_to_do_then_history() {
    let project = Project::new();
    insta::assert_snapshot!("explain_before_the_first_run", project.say(&["run", "--explain"]));
    insta::assert_snapshot!("first_run", project.say(&["run"]));
    // What the first one left would keep the second from looking at anything.
    std::fs::remove_file(project.path().join("target/run.cache")).expect("there");
    insta::assert_snapshot!("second_run", project.say(&["run"]));
    insta::assert_snapshot!("explain_when_nothing_changed", project.say(&["run", "--explain"]));
    project.write("models/curated/totals.sql", "select count(*) as orders from {{ ref('orders') }}\n");
    insta::assert_snapshot!("explain_when_a_model_changed", project.say(&["run", "--explain"]));
    project.say(&["run"]);
    insta::assert_snapshot!("rollback", project.say(&["rollback"]));
    insta::assert_snapshot!("rollback_to_nowhere", project.say(&["rollback", "77"]));
    insta::assert_snapshot!("history", project.say(&["history"]));
    insta::assert_snapshot!("test_passes", project.say(&["test"]));
    insta::assert_snapshot!("gc", project.say(&["gc", "--dry-run"]));
}

#[test]
fn a_run_that_repeats_one_that_did_nothing_looks_at_files_only() {
    let project = Project::new();
    let kept = project.path().join("target/run.cache");
    let is_idle = |project: &Project| project.say(&["run"]).contains("Looked at");
    // Files that were written a moment ago may change again within the same tick of the clock.
    let settle = || std::thread::sleep(std::time::Duration::from_millis(2100));
    settle();
    let results = || {
        let text = std::fs::read_to_string(project.path().join("target/run_results.json")).expect("results");
        let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut results = whole["results"].as_array().expect("a list").clone();
        results.iter_mut().for_each(|result| result["execution_time"] = 0.into());
        results.sort_by_key(|result| result["unique_id"].to_string());
        results
    };
    assert!(!is_idle(&project) && kept.exists(), "a run that built leaves nothing to do");
    let built = results();
    insta::assert_snapshot!("repeated_run", project.say(&["run"]));
    let repeated = results();
    std::fs::remove_file(&kept).expect("there");
    assert!(!is_idle(&project) && kept.exists(), "and one that looked at everything and found nothing to do");
    assert_eq!(repeated, results(), "what is repeated is what would have been found");
    assert_eq!(results().len(), 6);
    assert_ne!(repeated, built);
    let ids = || {
        let runs = project.say(&["history", "--log-format", "json"]);
        runs.lines().filter(|line| line.contains("\"unchanged\"")).count()
    };
    assert_eq!(ids(), 2, "every run has its row");
    let rest = |what: &str| {
        assert!(!is_idle(&project), "{what} is looked at");
        settle();
        assert!(is_idle(&project), "and then there is nothing to do again after {what}");
    };
    project.write("models/curated/totals.sql", "select count(*) as orders from {{ ref('orders') }}\n");
    rest("a changed model");
    project.write("landing/2.csv", "order_id,amount\n7,1.00\n");
    rest("a new file");
    project.write("landing/2.csv", "order_id,amount\n8,1.00\n");
    rest("a changed file");
    project.say(&["rollback"]);
    rest("a rollback");
    project.say(&["test"]);
    rest("a test");
    std::fs::write(&kept, "kiln compile cache").expect("written");
    rest("a damaged memory");
    assert!(!project.say(&["run", "-s", "orders"]).contains("Looked at"), "another selection is another run");
    assert!(!is_idle(&project));
    let database = duckdb::Connection::open(project.path().join("target/dev.duckdb")).expect("opens");
    let build: String = database
        .query_row(
            "select relation from _kiln.build where model = 'totals' order by built_at desc limit 1",
            [],
            |row| row.get(0),
        )
        .expect("a build");
    database.execute_batch(&format!("drop table _kiln_data.\"{build}\"")).expect("dropped");
    drop(database);
    let text = project.say(&["run"]);
    assert!(!text.contains("Looked at") && text.contains("1 built"), "{text}");
}

#[test]
fn a_failed_test_keeps_readers_where_they_were() {
    let project = Project::new();
    project.say(&["run"]);
    project.spoil();
    insta::assert_snapshot!("failing_test", project.say(&["run"]));
    insta::assert_snapshot!("failing_test_quiet", project.say(&["run", "--quiet"]));
    project.write("models/curated/fine.sql", "select 1 as one\n");
    insta::assert_snapshot!("failing_test_partial", project.say(&["run", "--partial"]));
    insta::assert_snapshot!("failing_model", {
        project.write(
            "models/curated/totals.sql",
            "select count(*) as orders, sum(amuont) from {{ ref('orders') }}\n",
        );
        project.write("models/schema.yml", "models: []\n");
        project.say(&["run"])
    });
}

#[test]
fn all_mistakes_of_a_project_are_shown_at_once() {
    let project = Project::new();
    project.write("models/curated/totals.sql", "select * from {{ ref('ordrs') }}\n");
    project.write("models/curated/broken.sql", "select {{ 1 + }}\n");
    project.write("models/broken.yml", "models:\n  - name: orders\n   columns: []\n");
    insta::assert_snapshot!(project.say(&["compile"]));
}

#[test]
fn a_missing_project_says_where_to_look() {
    let project = Project::new();
    let below = project.path().join("models");
    let output = kiln(&["run"]).current_dir(&below).output().expect("kiln starts");
    insta::assert_snapshot!("project_is_above", said(&output, project.path()));
    let empty = tempfile::tempdir().expect("a temporary folder");
    let output = kiln(&["ls"]).current_dir(empty.path()).output().expect("kiln starts");
    insta::assert_snapshot!("no_project", said(&output, empty.path()));
    insta::assert_snapshot!("no_run_yet", project.say(&["show", "orders"]));
    insta::assert_snapshot!("bad_vars", project.say(&["run", "--vars", "[1, 2]"]));
    insta::assert_snapshot!("bad_selection", project.say(&["run", "-s", "ordres"]));
}

#[test]
fn the_json_log_is_one_object_a_line_and_nothing_else() {
    let project = Project::new();
    project.spoil();
    let output = project.command(&["run", "--log-format", "json"]).output().expect("kiln starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut events = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("one object");
        assert_eq!(line["v"], 1);
        assert!(line["run_id"].is_string(), "{line}");
        assert!(line.as_object().expect("an object").contains_key("node"));
        events.push(line["event"].as_str().expect("an event").to_owned());
    }
    assert_eq!(events.first().map(String::as_str), Some("started"));
    assert_eq!(events.last().map(String::as_str), Some("finished"));
    for event in ["load_started", "loaded", "planned", "node_started", "node_finished", "test_finished"] {
        assert!(events.iter().any(|known| known == event), "{event}: {events:?}");
    }
}

#[test]
fn colours_are_asked_for_or_not_there() {
    let project = Project::new();
    let coloured = |set: &[(&str, &str)], arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.envs(set.iter().copied());
        let output = command.output().expect("kiln starts");
        output.stderr.contains(&0x1b)
    };
    assert!(!coloured(&[], &["run"]));
    assert!(coloured(&[], &["run", "--color", "always"]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &["run"]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1")], &["run", "--color", "never"]));
}

#[test]
fn a_locale_without_unicode_gets_ascii() {
    let project = Project::new();
    project.spoil();
    for arguments in [["run"], ["history"]] {
        let output = project.command(&arguments).env("LC_ALL", "C").output().expect("kiln starts");
        assert!(output.stderr.is_ascii(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_ascii(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let project = Project::new();
    project.say(&["run"]);
    for arguments in [&["ls"][..], &["show", "orders", "--output", "csv"], &["run", "--log-format", "json"]] {
        let mut command = project.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiln starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("kiln ends");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            output.stderr.is_empty() || arguments[0] == "ls",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn github_gets_annotations_and_a_page() {
    let project = Project::new();
    project.spoil();
    let page = project.path().join("page.md");
    let mut command = project.command(&["run"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &page)
        .env("GITHUB_WORKSPACE", project.path());
    let output = command.output().expect("kiln starts");
    let marks: Vec<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.starts_with("::"))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!("github_marks", marks.join("\n"));
    insta::assert_snapshot!("github_page", steady(&std::fs::read_to_string(page).expect("a page")));
}

#[test]
fn secrets_are_masked() {
    let project = Project::new();
    project.write(
        "models/curated/totals.sql",
        "select '{{ env_var('KILN_SECRET_KEY') }}' as k, nope from {{ ref('orders') }}\n",
    );
    let mut command = project.command(&["run"]);
    let output = command.env("KILN_SECRET_KEY", "hush-hush").output().expect("kiln starts");
    let text = said(&output, project.path());
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("hush-hush"), "{text}");
    let results = std::fs::read_to_string(project.path().join("target/run_results.json")).expect("artifacts");
    assert!(!results.contains("hush-hush"));
}

#[test]
fn ls_show_compile_and_clean() {
    let project = Project::new();
    insta::assert_snapshot!("ls", project.say(&["ls"]));
    insta::assert_snapshot!("ls_tests", project.say(&["ls", "--resource-type", "test", "-s", "orders"]));
    insta::assert_snapshot!("ls_json", project.say(&["ls", "--output", "json", "-s", "totals"]));
    insta::assert_snapshot!("ls_path", project.say(&["ls", "--output", "path", "-s", "+orders"]));
    project.say(&["run"]);
    insta::assert_snapshot!("show", project.say(&["show", "orders"]));
    insta::assert_snapshot!("show_csv", project.say(&["show", "orders", "--output", "csv", "--limit", "1"]));
    insta::assert_snapshot!("show_json", project.say(&["show", "curated.totals", "--output", "json"]));
    insta::assert_snapshot!("show_misspelt", project.say(&["show", "ordes"]));
    insta::assert_snapshot!("compile", project.say(&["compile"]));
    let compiled = project.path().join("target/compiled/shop/models/curated/totals.sql");
    insta::assert_snapshot!("compiled_model", std::fs::read_to_string(compiled).expect("a compiled model"));
    insta::assert_snapshot!("clean", project.say(&["clean"]));
    assert!(project.path().join("target/dev.duckdb").exists());
    assert!(!project.path().join("target/compiled").exists());
}

#[test]
fn clean_touches_nothing_outside_and_no_sources() {
    let project = Project::new();
    project.write("kiln.yml", &format!("{}clean-targets: [models]\n", FILES[0].1));
    insta::assert_snapshot!(project.say(&["clean"]));
    assert!(project.path().join("models/schema.yml").exists());
}

#[test]
fn a_new_project_runs_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("my-shop");
    let name = dir.to_string_lossy().into_owned();
    let output = kiln(&["init", &name]).output().expect("kiln starts");
    insta::assert_snapshot!("init", said(&output, folder.path()));
    let output = kiln(&["init", &name]).output().expect("kiln starts");
    insta::assert_snapshot!("init_twice", said(&output, folder.path()));
    let output = kiln(&["run", "--threads", "1"]).current_dir(&dir).output().expect("kiln starts");
    insta::assert_snapshot!("init_then_run", said(&output, folder.path()));
}

#[test]
fn run_results_have_the_form_that_tools_read() {
    let project = Project::new();
    project.say(&["run"]);
    let text = std::fs::read_to_string(project.path().join("target/run_results.json")).expect("artifacts");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(whole["metadata"]["dbt_schema_version"], "https://schemas.getdbt.com/dbt/run-results/v6.json");
    let results: Vec<String> = whole["results"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|result| {
            format!(
                "{} {}",
                result["unique_id"].as_str().expect("an id"),
                result["status"].as_str().expect("a word")
            )
        })
        .collect();
    insta::assert_snapshot!("run_results", results.join("\n"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_publishes_nothing() {
    let project = Project::new();
    project.write(
        "models/curated/totals.sql",
        "select count(*) as orders from {{ ref('orders') }}, range(10000000000) as slow(i) where i % 7 = order_id\n",
    );
    let mut command = project.command(&["run", "--log-format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiln starts");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    for line in out.lines() {
        let line = line.expect("a line");
        if line.contains("node_started") && line.contains("model.shop.totals") {
            let id = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill starts").success());
        }
    }
    assert_eq!(child.wait().expect("kiln ends").code(), Some(2));
    let text = project.say(&["show", "orders"]);
    assert!(text.contains("exit 2") && text.contains("has not published `orders`"), "{text}");
}

#[test]
fn old_data_is_said_and_freshness_fails_on_it() {
    let project = Project::new();
    let sources = |field: &str, limits: &str| {
        project.write(
            "models/raw/sources.yml",
            &format!(
                "sources:\n  - name: api\n    tables:\n      - name: orders\n        files: landing/*.csv\n        \
                 {field}freshness: {limits}\n"
            ),
        );
    };
    project.write("landing/1.csv", "order_id,amount,day\n1,10.00,2026-01-02\n2,20.50,2026-01-01\n");
    // The table's width follows the age.
    let complaint = |text: String, word: &str| {
        assert!(text.contains(word), "{text}");
        text.lines().filter(|line| !line.starts_with(['┌', '│', '╞', '└'])).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("freshness_before_a_run", project.say(&["freshness"]));
    sources("", "{warn_after: {count: 12, period: hour}}");
    project.say(&["run"]);
    let fresh = project.say(&["freshness"]);
    assert!(fresh.starts_with("exit 0") && fresh.contains("12 hours"), "{fresh}");
    sources("loaded_at_field: day\n        ", "{warn_after: {count: 1, period: day}}");
    insta::assert_snapshot!("freshness_old", complaint(project.say(&["freshness"]), "old "));
    sources(
        "loaded_at_field: day\n        ",
        "{warn_after: {count: 1, period: day}, error_after: {count: 2, period: day}}",
    );
    insta::assert_snapshot!(
        "freshness_too_old",
        complaint(project.say(&["freshness", "-s", "source:api"]), "too old")
    );
    let file = std::fs::read_to_string(project.path().join("target/sources.json")).expect("an artifact");
    let file: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(file["results"][0]["status"], "error");
    assert_eq!(file["results"][0]["max_loaded_at"], "2026-01-02T00:00:00Z");
    assert_eq!(file["results"][0]["criteria"]["error_after"]["period"], "day");
    insta::assert_snapshot!("run_with_old_data", project.say(&["run"]));
    sources("loaded_at_field: dya\n        ", "{warn_after: {count: 1, period: day}}");
    insta::assert_snapshot!("freshness_of_no_column", project.say(&["freshness"]));
}

#[test]
fn help_and_no_command() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    let plain = |arguments: &[&str]| said(&kiln(arguments).output().expect("kiln starts"), empty.path());
    insta::assert_snapshot!("no_command", plain(&[]));
    insta::assert_snapshot!("help_run", plain(&["run", "--help"]));
    assert!(plain(&["--version"]).starts_with("exit 0\n--- stdout\nkiln "));
    assert!(plain(&["rnu"]).starts_with("exit 2"));
}

#[test]
fn a_source_without_columns_is_said() {
    let project = Project::new();
    project.write(
        "models/raw/sources.yml",
        "sources:\n  - name: api\n    tables:\n      - {name: orders, files: 'landing/*.csv*'}\n      - {name: other, files: landing/other}\n",
    );
    project.write("models/raw/raw_other.sql", "select * from {{ source('api', 'other') }}\n");
    // A format that is not known is one mistake and not two.
    insta::assert_snapshot!("files_of_no_format", project.say(&["run"]));
    project.write(
        "models/raw/sources.yml",
        "sources: [{name: api, tables: [{name: orders, files: 'landing/*.csv*'}]}]\n",
    );
    std::fs::remove_file(project.path().join("models/raw/raw_other.sql")).expect("removed");
    project.write("landing/1.csv", "");
    insta::assert_snapshot!("files_without_columns", project.say(&["run"]));
    project.write("landing/1.csv", "order_id,amount\n1,1.5\n");
    assert!(project.say(&["run"]).starts_with("exit 0"));
}

#[test]
fn a_run_whose_artifacts_cannot_be_written_says_what_became_of_it() {
    let project = Project::new();
    project.write("target/manifest.json/in the way", "");
    insta::assert_snapshot!("artifacts_in_the_way", project.say(&["run"]));
    let tested = project.say(&["test"]);
    assert!(tested.starts_with("exit 2") && tested.contains("release 1 tested"), "{tested}");
}
