//! A change that breaks a reader, from the pull request to the agreement: the diff in every format, its exit codes, and
//! the waiver that lets it pass and is printed all the same.

use std::path::Path;
use std::process::Command;

use super::commands::Project;

const EXPOSURES: &str = r#"
exposures:
  - name: crm_sync
    type: application
    owner: {name: CRM, email: crm@example.com}
    depends_on: [ref('orders')]
    meta:
      queries: ["select order_id, upper(email) as mail from curated.orders"]
  - name: revenue_dashboard
    type: dashboard
    owner: {name: BI, email: bi@example.com}
    depends_on: [ref('orders')]
    meta: {columns: {orders: [order_id, amount]}}
"#;

const CONTRACT: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: orders
version: 2.3.0
status: active
roles: [{role: data_office, firstLevelApprovers: "ana@example.com"}]
schema:
  - name: orders
    properties:
      - {name: order_id, physicalType: BIGINT, required: true}
      - {name: email, physicalType: VARCHAR}
      - {name: amount, physicalType: "DECIMAL(12,2)"}
slaProperties:
  - {property: retention, value: 3, unit: y}
"#;

const SQL: &str = "select\n  order_id,\n  'x@y.z' as email,\n  amount\nfrom {{ ref('raw_orders') }}\n";

/// A repository whose first commit has orders with an address, which a job reads.
fn repository() -> Project {
    let project = Project::new();
    project.write("models/curated/orders.sql", SQL);
    project.write("models/exposures.yml", EXPOSURES);
    project.write("contracts/orders.odcs.yaml", CONTRACT);
    project.write(".gitignore", "target/\n");
    git(project.path(), &["init", "--quiet", "--initial-branch", "main"]);
    git(project.path(), &["add", "."]);
    git(project.path(), &["commit", "--quiet", "-m", "before"]);
    project
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.com")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.com")])
        .envs([("GIT_AUTHOR_DATE", "2026-11-01T00:00:00Z"), ("GIT_COMMITTER_DATE", "2026-11-01T00:00:00Z")])
        .args(arguments)
        .output()
        .expect("git starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Takes the address out of the model and its contract.
fn remove_the_address(project: &Project) {
    project.write("models/curated/orders.sql", &SQL.replace("  'x@y.z' as email,\n", ""));
    let without = CONTRACT.replace("      - {name: email, physicalType: VARCHAR}\n", "");
    project.write("contracts/orders.odcs.yaml", &without.replace("version: 2.3.0", "version: 3.0.0"));
}

/// What is said, without days and the commit's digits.
fn said(project: &Project, arguments: &[&str]) -> String {
    let text = project.say(arguments);
    let filters = [
        (r"\d{4}-\d\d-\d\d", "[day]"),
        (r"waivers/\d{4}-\d\d-", "waivers/[month]-"),
        (r"main \([0-9a-f]+\)", "main ([commit])"),
        (r"\b[0-9a-f]{12}\b|\b[0-9a-f]{32}\b", "[fingerprint]"),
    ];
    filters.iter().fold(text, |text, (pattern, with)| {
        regex::Regex::new(pattern).expect("a good pattern").replace_all(&text, *with).into_owned()
    })
}

fn waiver_file(project: &Project) -> std::path::PathBuf {
    let folder = project.path().join("waivers");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the folder").flatten().collect();
    assert_eq!(files.len(), 1);
    files.remove(0).path()
}

#[test]
fn a_removed_column_is_found_and_agreed_to() {
    let project = repository();
    insta::assert_snapshot!("nothing_changed", said(&project, &["diff", "--base", "main"]));
    remove_the_address(&project);
    insta::assert_snapshot!("removed", said(&project, &["diff", "--base", "main"]));
    insta::assert_snapshot!("stub", said(&project, &["diff", "--base", "main", "--format", "waiver"]));

    let waive = [
        "waive",
        "--base",
        "main",
        "--rule",
        "column-removed",
        "orders.email",
        "--reason",
        "GDPR erasure, DATA-431",
    ];
    insta::assert_snapshot!("waived_without_approval", said(&project, &waive));
    insta::assert_snapshot!("not_agreed", said(&project, &["diff", "--base", "main"]));
    insta::assert_snapshot!("waived_already", said(&project, &waive));

    let file = waiver_file(&project);
    let text = std::fs::read_to_string(&file).expect("the waiver");
    std::fs::write(&file, text.replace("approved_by: []", "approved_by: [crm@example.com]"))
        .expect("written");
    insta::assert_snapshot!("agreed", said(&project, &["diff", "--base", "main"]));
    assert!(said(&project, &["diff", "--base", "main", "--fail-on", "note"]).starts_with("exit 0"));

    // Another change of the same column is not what was agreed to.
    project.write("models/curated/orders.sql", &SQL.replace("'x@y.z'", "1"));
    project.write(
        "contracts/orders.odcs.yaml",
        &CONTRACT.replace("email, physicalType: VARCHAR", "email, physicalType: INTEGER"),
    );
    let other = said(&project, &["diff", "--base", "main"]);
    assert!(other.starts_with("exit 1"), "{other}");
    assert!(other.contains("warning[waiver-unused]"), "{other}");

    // What is published needs no waiver any more.
    remove_the_address(&project);
    git(project.path(), &["add", "."]);
    git(project.path(), &["commit", "--quiet", "-m", "after"]);
    insta::assert_snapshot!("unused", said(&project, &["diff", "--base", "main"]));
}

#[test]
fn one_who_decides_can_agree_for_all_but_not_by_naming_themselves() {
    let project = repository();
    remove_the_address(&project);
    let path = project.path().join("contracts/orders.odcs.yaml");
    let contract = std::fs::read_to_string(&path).expect("the contract");
    std::fs::write(&path, contract.replace("ana@example.com", "eve@example.com")).expect("written");
    let waive = |by: &str| {
        let file = format!("waivers/{by}.yml");
        said(
            &project,
            &["waive", "--base", "main", "--all", "--reason", "x", "--approved-by", by, "-o", &file],
        )
    };
    insta::assert_snapshot!("self_made_approver", waive("eve@example.com"));
    assert!(said(&project, &["diff", "--base", "main"]).starts_with("exit 1"));
    std::fs::remove_file(project.path().join("waivers/eve@example.com.yml")).expect("removed");
    insta::assert_snapshot!("approver", waive("ana@example.com"));
    assert!(said(&project, &["diff", "--base", "main"]).starts_with("exit 0"));
}

#[test]
fn mistakes_of_the_command_line_and_of_waivers_are_told() {
    let project = repository();
    remove_the_address(&project);
    let waive = |arguments: &[&str]| {
        let mut all = vec!["waive", "--base", "main", "--reason", "x"];
        all.extend(arguments);
        said(&project, &all)
    };
    insta::assert_snapshot!("no_such_finding", waive(&["orders.emial"]));
    insta::assert_snapshot!("no_such_rule", waive(&["orders.email", "--rule", "column-remove"]));
    insta::assert_snapshot!("no_such_day", waive(&["orders.email", "--expires", "soon"]));
    insta::assert_snapshot!(
        "no_such_format",
        said(&project, &["diff", "--base", "main", "--also", "html=a.html"])
    );
    project.write("waivers/a.yml", "- {rule: column-removed, model: orders}\n");
    let broken = said(&project, &["diff", "--base", "main"]);
    assert!(broken.starts_with("exit 2"), "{broken}");
    project.write("waivers/a.yml", "a: 1\n");
    let broken = said(&project, &["compile"]);
    assert!(broken.starts_with("exit 2"), "{broken}");
}

#[test]
fn every_format_goes_to_stdout_or_to_a_file() {
    let project = repository();
    remove_the_address(&project);
    insta::assert_snapshot!("github", said(&project, &["diff", "--base", "main", "--format", "github"]));
    let mut arguments = vec!["diff", "--base", "main", "--quiet", "--format", "json"];
    let also = [
        "markdown=out/comment.md",
        "sarif=out/kiln.sarif",
        "junit=out/kiln.xml",
        "gitlab=out/quality.json",
        "text=out/report.txt",
    ];
    for file in &also {
        arguments.extend(["--also", file]);
    }
    let said = said(&project, &arguments);
    let json = said.split_once("--- stdout\n").expect("stdout").1;
    let json: serde_json::Value = serde_json::from_str(json).expect("one JSON object");
    assert_eq!(json["findings"][0]["rule"], "column-removed");
    assert_eq!(json["findings"][0]["breaks"][0]["name"], "crm_sync");
    let read =
        |name: &str| std::fs::read_to_string(project.path().join("out").join(name)).expect("it is written");
    assert!(read("comment.md").starts_with("<!-- kiln:contract-check -->"));
    assert!(read("report.txt").starts_with("error[column-removed]"), "no colours in a file");
    assert!(read("kiln.xml").contains("failures=\"1\""));
    for name in ["kiln.sarif", "quality.json"] {
        serde_json::from_str::<serde_json::Value>(&read(name)).expect("JSON");
    }
    let rules = project.say(&["diff", "--rules", "--format", "json"]);
    assert!(rules.contains("\"rule\": \"column-removed\""));
}

#[test]
fn a_run_publishes_a_break_only_where_it_was_agreed_to() {
    let project = repository();
    project.write(
        "models/exposures.yml",
        &EXPOSURES.replace("select order_id, upper(email) as mail", "select order_id"),
    );
    assert!(project.say(&["run"]).starts_with("exit 0"));
    remove_the_address(&project);
    insta::assert_snapshot!("run_blocked", said(&project, &["run"]));
    let waive = ["waive", "--base", "published", "orders.email", "--reason", "GDPR erasure, DATA-431"];
    insta::assert_snapshot!("run_waive", said(&project, &waive));
    insta::assert_snapshot!("run_waived", said(&project, &["run"]));
    // What is published is the new base: nothing is left to agree to.
    assert!(said(&project, &["run"]).contains("nothing to publish"));
    assert!(said(&project, &["diff", "--base", "published"]).starts_with("exit 0"));
}

#[test]
fn a_development_target_can_be_told_to_go_on() {
    let project = repository();
    project.write("models/exposures.yml", "");
    project.write(
        "kiln.yml",
        "name: shop\ndefault_target: dev\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb, threads: 1}\n  prod: {type: duckdb, path: target/prod.duckdb, threads: 1}\n",
    );
    assert!(project.say(&["run"]).starts_with("exit 0"));
    assert!(project.say(&["run", "--target", "prod"]).starts_with("exit 0"));
    remove_the_address(&project);
    let allow = ["run", "--allow-breaking", "column-removed:orders"];
    insta::assert_snapshot!(
        "allow_misspelt",
        said(&project, &["run", "--allow-breaking", "column-remvoed:orders"])
    );
    insta::assert_snapshot!(
        "allow_another",
        said(&project, &["run", "--allow-breaking", "column-removed:totals"])
    );
    insta::assert_snapshot!("allowed", said(&project, &allow));
    insta::assert_snapshot!("not_allowed", said(&project, &[&allow[..], &["--target", "prod"]].concat()));
}
