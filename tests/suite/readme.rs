//! The commands of the README run, in its order, and end as it says.

use std::path::Path;
use std::process::Command;

use crate::support::Shop;

/// The lines of the README that a reader would type on the example: `$ kiln …` in a block.
fn commands() -> Vec<Vec<String>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(readme).expect("a README");
    let typed = text.lines().filter_map(|line| line.strip_prefix("$ kiln "));
    typed.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let shop = Shop::copy_of("example_project");
    let commands = commands();
    assert!(commands.len() > 8, "{commands:?}");
    let mut runs = 0;
    for args in commands {
        runs += usize::from(args == ["run"]);
        if runs == 3 && args == ["run"] {
            shop.replace(
                "models/serving/revenue_by_day.sql",
                "status in ('paid', 'shipped')",
                "status in ('paid', 'shipped', 'placed')",
            );
        }
        let output = Command::new(env!("CARGO_BIN_EXE_kiln"))
            .args(&args)
            .current_dir(shop.root())
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kiln {}: {said}", args.join(" "));
        if args == ["rollback"] {
            assert_eq!(shop.query("select sum(revenue) from serving.revenue_by_day"), "15125.90");
        }
    }
    assert_eq!(shop.query("select max(release_id) from _kiln.release"), "4");
}

#[test]
fn a_broken_promise_is_not_published() {
    let shop = Shop::copy_of("example_project");
    assert!(shop.run().expect("a run").is_good());
    shop.replace("models/serving/revenue_by_day.sql", "sum(amount)", "-sum(amount)");
    assert!(!shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select sum(revenue) from serving.revenue_by_day"), "15125.90");
}

/// The commands of the pipelines in the README that are Kiln's.
fn pipeline_commands() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(readme).expect("a README");
    let steps = text.lines().map(str::trim);
    let steps = steps.filter_map(|line| line.strip_prefix("run: ").or_else(|| line.strip_prefix("- ")));
    steps.filter(|command| command.starts_with("kiln diff --base \"")).map(str::to_owned).collect()
}

#[test]
fn the_pipelines_of_the_readme_find_what_breaks() {
    let shop = Shop::copy_of("example_project");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=ci", "-c", "user.email=ci@example.com", "-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(shop.root())
            .output()
            .expect("git starts");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "main"]);
    // What a clone calls the branch of the other side.
    git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let commands = pipeline_commands();
    assert_eq!(commands.len(), 2, "{commands:?}");
    let binary = Path::new(env!("CARGO_BIN_EXE_kiln")).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("a path"));
    let run = |command: &str| {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(shop.root())
            .env("PATH", &path)
            .env("BASE", "main")
            .env("CI_MERGE_REQUEST_DIFF_BASE_SHA", &commit)
            .env_remove("GITHUB_STEP_SUMMARY")
            .output();
        output.expect("sh starts").status.code()
    };
    for command in &commands {
        assert_eq!(run(command), Some(0), "{command}");
    }
    shop.replace("models/serving/revenue_by_day.sql", "as revenue", "as turnover");
    for command in &commands {
        assert_eq!(run(command), Some(1), "{command}");
    }
    let written = |name: &str| std::fs::read_to_string(shop.root().join("target").join(name)).expect(name);
    let comment = written("comment.md");
    assert!(comment.starts_with("<!-- kiln:contract-check -->") && comment.contains("revenue"), "{comment}");
    assert!(written("quality.json").contains("column-removed"));
    assert!(written("kiln.xml").contains("column-removed"));
}
