//! What a diff is made against: commits out of git's objects, folders, releases; and the same diff before a publish.

use std::path::Path;
use std::process::{Command, Output};

use kiln::run::Policy;
use kiln::run::event::Ending;

use crate::support::{Shop, binary};

const PROJECT: &str =
    "name: shop\nversion: \"1.0\"\nlayers: []\ntargets:\n  dev: {type: duckdb, path: target/dev.duckdb}\n";

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: order_id, physicalType: BIGINT, required: true}
      - {name: email, physicalType: VARCHAR}
      - {name: status, physicalType: VARCHAR}
";

/// A seed, a model with a contract on it, and one without.
fn shop() -> Shop {
    Shop::of(&[
        ("kiln.yml", PROJECT),
        (".gitignore", "target/\n"),
        (
            "seeds/orders_raw.csv",
            "order_id,email,status\n1,a@x.io,placed\n2,,shipped\n3,c@x.io,placed\n3,c@x.io,lost\n",
        ),
        ("models/orders.sql", "select order_id, email, status from {{ ref('orders_raw') }}\n"),
        (
            "models/statuses.sql",
            "select status, count(*) as orders from {{ ref('orders_raw') }} group by 1\n",
        ),
        ("contracts/orders.odcs.yaml", CONTRACT),
    ])
}

/// Git in a folder, as nobody in particular, whatever the machine's own settings are.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=somebody",
            "-c",
            "user.email=somebody@example.com",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git starts");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn commit_all(folder: &Path, message: &str) {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", message]);
}

fn committed() -> Shop {
    let shop = shop();
    git(shop.root(), &["init", "-q", "-b", "main"]);
    commit_all(shop.root(), "one");
    shop
}

fn diff(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let all: Vec<&str> = ["diff"].iter().chain(arguments).copied().collect();
    let Output { status, stdout, stderr } = binary(folder, &all).output().expect("kiln starts");
    (
        status.code(),
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    )
}

#[test]
fn a_commit_is_compared_without_a_checkout_and_without_a_hook() {
    let outer = tempfile::tempdir().expect("a folder");
    let project = outer.path().join("data/shop");
    std::fs::create_dir_all(project.parent().expect("a parent")).expect("a folder");
    let shop = shop();
    assert!(
        Command::new("cp").arg("-r").arg(shop.root()).arg(&project).status().expect("cp starts").success()
    );
    git(outer.path(), &["init", "-q", "-b", "main"]);
    // A filter and hooks that leave a trace if anybody runs them.
    let trace = outer.path().join("trace");
    let touch = format!("touch {}", trace.display());
    std::fs::write(outer.path().join(".gitattributes"), "*.sql filter=loud\n").expect("written");
    commit_all(outer.path(), "one");
    git(outer.path(), &["config", "filter.loud.smudge", &format!("sh -c '{touch}; cat'")]);
    git(outer.path(), &["config", "core.fsmonitor", &touch]);
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        let path = outer.path().join(".git/hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\n{touch}\n")).expect("written");
        assert!(Command::new("chmod").arg("+x").arg(&path).status().expect("chmod starts").success());
    }
    let index = std::fs::read(outer.path().join(".git/index")).expect("an index");
    std::fs::write(
        project.join("models/orders.sql"),
        "select order_id, status from {{ ref('orders_raw') }}\n",
    )
    .expect("written");
    let (code, out, err) = diff(&project, &["--base", "main"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.starts_with("error[column-removed] `orders.email` was removed"), "{out}");
    assert!(!trace.exists(), "something of the repository was run");
    assert_eq!(std::fs::read(outer.path().join(".git/index")).expect("an index"), index);
}

#[test]
fn a_worktree_has_the_commits_of_its_repository() {
    let shop = committed();
    let beside = tempfile::tempdir().expect("a folder");
    let tree = beside.path().join("tree");
    git(shop.root(), &["worktree", "add", "-q", "-b", "next", tree.to_str().expect("a path")]);
    std::fs::write(
        tree.join("models/statuses.sql"),
        "select status, 1 as orders from {{ ref('orders_raw') }}\n",
    )
    .expect("written");
    let (code, out, err) = diff(&tree, &["--base", "main"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("statuses"), "{out}");
}

#[test]
fn a_shallow_clone_says_what_it_lacks() {
    let shop = committed();
    let first = git(shop.root(), &["rev-parse", "HEAD"]);
    shop.write("models/more.sql", "select 1 as one\n");
    commit_all(shop.root(), "two");
    let beside = tempfile::tempdir().expect("a folder");
    let from = format!("file://{}", shop.root().display());
    git(beside.path(), &["clone", "-q", "--depth=1", &from, "clone"]);
    let clone = beside.path().join("clone");
    let (code, _, err) = diff(&clone, &["--base", first.trim()]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("git knows no commit") && err.contains("git fetch --depth=1"), "{err}");
    let (code, out, err) = diff(&clone, &["--base", "HEAD"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn a_base_that_does_not_compile_is_no_empty_project() {
    let shop = committed();
    shop.write("models/orders.sql", "select order_id, emial from {{ ref('orders_raw') }}\n");
    commit_all(shop.root(), "broken");
    shop.write("models/orders.sql", "select order_id, email, status from {{ ref('orders_raw') }}\n");
    let (code, out, err) = diff(shop.root(), &["--base", "HEAD"]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("the base cannot be compiled") && err.contains("models/orders.sql:1:18"), "{err}");
    let (code, _, err) = diff(shop.root(), &["--base", "nowhere"]);
    assert_eq!(code, Some(2), "{err}");
    let plain = Shop::of(&[("kiln.yml", PROJECT)]);
    let (code, _, err) = diff(plain.root(), &["--base", "main"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("is in no git repository"), "{err}");
}

#[test]
fn a_checkout_that_does_not_compile_is_judged_only_as_far_as_it_binds() {
    let shop = committed();
    shop.write("models/statuses.sql", "select stat from {{ ref('orders_raw') }}\n");
    let (code, out, err) = diff(shop.root(), &["--base", "HEAD"]);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(err.contains("models/statuses.sql:1:8"), "{err}");
    assert!(!out.contains("column-removed"), "what does not bind is not removed: {out}");
}

#[test]
fn what_a_branch_lacks_is_said() {
    let shop = committed();
    git(shop.root(), &["switch", "-q", "-c", "feature"]);
    git(shop.root(), &["switch", "-q", "main"]);
    shop.write("models/more.sql", "select 1 as one\n");
    commit_all(shop.root(), "main went on");
    git(shop.root(), &["switch", "-q", "feature"]);
    let (_, _, err) = diff(shop.root(), &["--base", "main"]);
    assert!(err.contains("`main` has 1 commit that this checkout lacks"), "{err}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_and_never_out() {
    let shop = committed();
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("secret.sql"), "select 1 as secret\n").expect("written");
    shop.write("shared/common.sql", "select 1 as one\n");
    std::os::unix::fs::symlink("../shared/common.sql", shop.root().join("models/common.sql"))
        .expect("a link");
    std::os::unix::fs::symlink(outside.path().join("secret.sql"), shop.root().join("notes.txt"))
        .expect("a link");
    shop.write("seeds/.big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    commit_all(shop.root(), "links");
    let (code, out, err) = diff(shop.root(), &["--base", "HEAD"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("the link `notes.txt` was not read"), "{err}");
    assert!(err.contains("1 files are pointers of git LFS") || err.contains("pointer of git LFS"), "{err}");
}

#[test]
fn another_folder_is_a_base_too() {
    let (one, other) = (shop(), shop());
    other.replace("models/orders.sql", "email, ", "");
    let path = one.root().to_str().expect("a path").to_owned();
    let (code, out, err) = diff(other.root(), &["--base", &path, "--select", "orders"]);
    assert_eq!(code, Some(1), "{out}{err}");
    let (code, out, err) = diff(other.root(), &["--base", &path, "--select", "statuses"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, _, err) = diff(other.root(), &["--base", "published"]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn a_base_that_is_no_other_project_is_refused() {
    let shop = committed();
    let refused = |base: &str| {
        let (code, out, err) = diff(shop.root(), &[&format!("--base={base}")]);
        assert_eq!(code, Some(2), "{out}{err}");
        err
    };
    // What an empty variable of a CI gives must not compare the project with itself.
    assert!(refused("").contains("a value is required for '--base"), "{}", refused(""));
    assert!(refused(".").contains("is this project itself"), "{}", refused("."));
    let odd = refused("--output=x");
    assert!(odd.contains("name a branch, a tag or a commit") && !odd.contains("git fetch"), "{odd}");
    assert!(refused("nope").contains("`git fetch origin nope` brings it"), "{}", refused("nope"));
}

#[test]
fn the_rules_are_listed_with_the_severities_of_the_project() {
    let shop = shop();
    shop.write("kiln.yml", &format!("{PROJECT}diff: {{severities: {{column-removed: note}}}}\n"));
    let (code, out, _) = diff(shop.root(), &["--rules"]);
    assert_eq!(code, Some(0));
    let line = |rule: &str| out.lines().find(|line| line.contains(rule)).expect("the rule").to_owned();
    assert!(line("column-removed").contains("note"), "{out}");
    assert_eq!(out.matches("DC1").count(), 35, "{out}");
    shop.write("kiln.yml", &format!("{PROJECT}diff: {{severities: {{column-gone: note}}}}\n"));
    let (code, _, err) = diff(shop.root(), &["--rules"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("kiln.yml:6:21") && err.contains("kiln diff --rules"), "{err}");
}

#[test]
fn a_broken_promise_is_not_published() {
    let shop = shop();
    assert!(shop.run().expect("runs").is_good());
    let (code, out, err) = diff(shop.root(), &["--base", "published"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!out.contains('['), "nothing changed: {out}");
    shop.write("models/orders.sql", "select order_id, status from {{ ref('orders_raw') }}\n");
    shop.replace("contracts/orders.odcs.yaml", "      - {name: email, physicalType: VARCHAR}\n", "");
    shop.replace("contracts/orders.odcs.yaml", "1.0.0", "2.0.0");
    let (code, out, _) = diff(shop.root(), &["--base", "published"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("error[column-removed] `orders.email` was removed"), "{out}");
    let report = shop.run().expect("runs");
    assert!(!report.is_good());
    let Ending::NotPublished { reason, .. } = &report.ending else { panic!("{:?}", report.ending) };
    assert_eq!(reason, "a promise would break: `orders.email` was removed");
    assert_eq!(shop.query("select count(*) from main.orders where email is not null"), "3");
    // What has no contract goes its way, also when the rest may not: `--partial`.
    shop.write("models/statuses.sql", "select status from {{ ref('orders_raw') }} group by 1\n");
    let report = shop.run_with(|options| options.policy = Policy::Partial).expect("runs");
    let Ending::Published { changed, held_back, .. } = &report.ending else { panic!("{:?}", report.ending) };
    assert_eq!((changed.as_slice(), *held_back), (["statuses".to_owned()].as_slice(), 1));
    assert_eq!(shop.query("select count(*) from main.orders where email is not null"), "3");
}

#[test]
fn a_model_without_a_contract_changes_freely() {
    let shop = shop();
    assert!(shop.run().expect("runs").is_good());
    shop.write("models/statuses.sql", "select 1 as nothing\n");
    let report = shop.run().expect("runs");
    assert!(report.is_good(), "{:?}", report.ending);
    let diff = report.diff.expect("it was compared");
    assert!(!diff.report.findings.is_empty());
}

#[test]
fn a_rollback_brings_its_promises_back() {
    let shop = shop();
    assert!(shop.run().expect("runs").is_good());
    shop.write(
        "models/orders.sql",
        "select order_id, email, status, 1 as extra from {{ ref('orders_raw') }}\n",
    );
    shop.replace(
        "contracts/orders.odcs.yaml",
        "      - {name: status, physicalType: VARCHAR}\n",
        "      - {name: status, physicalType: VARCHAR}\n      - {name: extra, physicalType: INTEGER}\n",
    );
    shop.replace("contracts/orders.odcs.yaml", "1.0.0", "1.1.0");
    assert!(shop.run().expect("runs").is_good());
    let version = "select contract_version from _kiln.promise join _kiln.release_promise using (digest) where id = \
                   'model.shop.orders' and release_id = (select max(release_id) from _kiln.release)";
    assert_eq!(shop.query(version), "1.1.0");
    assert!(binary(shop.root(), &["rollback"]).output().expect("kiln starts").status.success());
    assert_eq!(shop.query(version), "1.0.0");
    let (code, out, _) = diff(shop.root(), &["--base", "published"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("column-added"), "{out}");
}

#[test]
fn a_stricter_promise_is_proved_on_what_is_published() {
    let shop = shop();
    assert!(shop.run().expect("runs").is_good());
    git(shop.root(), &["init", "-q", "-b", "main"]);
    commit_all(shop.root(), "one");
    shop.replace("contracts/orders.odcs.yaml", "1.0.0", "1.1.0");
    shop.replace("contracts/orders.odcs.yaml", "{name: email,", "{name: email, required: true,");
    shop.replace("contracts/orders.odcs.yaml", "{name: status,", "{name: status, required: true,");
    shop.replace("contracts/orders.odcs.yaml", "{name: order_id,", "{name: order_id, unique: true,");
    let root = shop.root().to_owned();
    let proofs = |base: &str| {
        let (code, out, err) = diff(&root, &["--base", base]);
        assert_eq!(code, Some(1), "{out}{err}");
        let wanted = |line: &&str| line.contains("[required-tightened]") || line.contains("[key-added]");
        let head = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
        out.lines().filter(wanted).map(head).collect::<Vec<_>>()
    };
    let expected = vec![
        "error[required-tightened] `orders.email` may not be NULL any more".to_owned(),
        "error[key-added] `order_id` may occur once only in `orders` now".to_owned(),
        "note[required-tightened] `orders.status` may not be NULL any more".to_owned(),
    ];
    assert_eq!(proofs("published"), expected);
    assert_eq!(proofs("main"), expected);
}

#[test]
fn a_transitive_mode_remembers_every_version() {
    let shop = shop();
    let contract = "contracts/orders.odcs.yaml";
    shop.replace(
        contract,
        "  - name: orders\n",
        "  - name: orders\n    customProperties: [{property: compatibility, value: consumer_transitive}]\n",
    );
    git(shop.root(), &["init", "-q", "-b", "main"]);
    commit_all(shop.root(), "email is text");
    shop.write("models/orders.sql", "select order_id, status from {{ ref('orders_raw') }}\n");
    shop.replace(contract, "      - {name: email, physicalType: VARCHAR}\n", "");
    shop.replace(contract, "1.0.0", "2.0.0");
    commit_all(shop.root(), "email is gone");
    shop.write("models/orders.sql", "select order_id, status, 1 as email from {{ ref('orders_raw') }}\n");
    shop.replace(contract, "2.0.0", "2.1.0");
    shop.replace(
        contract,
        "      - {name: status,",
        "      - {name: email, physicalType: INTEGER}\n      - {name: status,",
    );
    let (code, out, err) = diff(shop.root(), &["--base", "HEAD"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("error[type-changed] `orders.email` was VARCHAR and is INTEGER"), "{out}");
    assert!(out.contains("against version 1.0.0"), "{out}");
    shop.replace(contract, "consumer_transitive", "consumer");
    let (code, out, err) = diff(shop.root(), &["--base", "HEAD"]);
    assert_eq!(code, Some(0), "{out}{err}");
}
