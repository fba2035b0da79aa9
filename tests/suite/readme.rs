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
    assert_eq!(shop.query("select max(release_id) from _kiln.release"), "3");
}

#[test]
fn a_broken_promise_is_not_published() {
    let shop = Shop::copy_of("example_project");
    assert!(shop.run().expect("a run").is_good());
    shop.replace("models/serving/revenue_by_day.sql", "sum(amount)", "-sum(amount)");
    assert!(!shop.run().expect("a run").is_good());
    assert_eq!(shop.query("select sum(revenue) from serving.revenue_by_day"), "15125.90");
}
