//! `kiln compile`: renders every model and test to files that can be pasted into any DuckDB shell.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::{CompileArgs, Global};
use crate::diagnostic::Diagnostics;
use crate::error::{Error, Result};
use crate::manifest::{Materialization, NodeKind, Test, TestKind};
use crate::names::{Fingerprint, NodeId};
use crate::run::candidate::{Candidate, Candidates, Physical, Reading, bind};
use crate::run::names::Names;
use crate::workspace::{FullRefresh, Workspace};

use super::artifacts::write;
use super::terminal::Terminal;
use super::words::{counted, duration};
use super::{Exit, Opened, open, show_messages};

/// Renders.
pub fn compile(terminal: &Terminal, global: &Global, args: &CompileArgs) -> Result<Exit> {
    let started = std::time::Instant::now();
    let Opened { workspace, .. } = open(terminal, global, "compile", FullRefresh::No)?;
    let selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    let mut problems = Diagnostics::new();
    let mut files: Vec<(NodeId, PathBuf, String)> = Vec::new();
    let mut asking: Vec<&str> = Vec::new();
    let mut candidates = Candidates::new();
    for id in workspace.topological() {
        let Some(node) = workspace.manifest.nodes.get(id).filter(|node| node.kind == NodeKind::Model) else {
            continue;
        };
        let is_pasted = node.config.materialized == Materialization::Ephemeral;
        let is_selected = selected.contains(id);
        if !is_selected && !is_pasted {
            continue;
        }
        let names = Names { workspace: &workspace, candidates: &candidates, session: None };
        let rendered = match workspace.render(node, &names) {
            Ok(rendered) => rendered,
            Err(_) if node.asks_database => {
                asking.push(&node.name);
                continue;
            }
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        if is_selected {
            let sql = bind(&rendered, &candidates, Reading::Now).sql;
            files.push((id.clone(), node.file.path.clone(), sql));
        }
        if is_pasted {
            let physical = Physical::Inline(Box::new(rendered));
            candidates
                .insert(id.clone(), Candidate { fingerprint: Fingerprint::of([]), physical, rows: None });
        }
    }
    let models = files.len() as u64;
    for test in selected.iter().filter_map(|id| workspace.manifest.tests.get(id)) {
        let names = Names { workspace: &workspace, candidates: &candidates, session: None };
        match workspace.render_test(test, &names) {
            Ok(rendered) => {
                let sql = bind(&rendered, &candidates, Reading::Now).sql;
                files.push((test.id.clone(), path_of(test), sql));
            }
            // A test may ask for the columns of what it tests, which only the database knows.
            Err(found) if found.sorted().iter().all(|problem| needs_database(&problem.message)) => {
                asking.push(&test.name);
            }
            Err(found) => problems.extend(found),
        }
    }
    show_messages(terminal, &workspace);
    if problems.has_errors() {
        return Err(Error::Project(problems));
    }
    let folder = workspace.target_folder().join("compiled").join(&workspace.manifest.project);
    for (id, path, sql) in &files {
        write(&folder.join(path), &(sql.trim_end().to_owned() + "\n"))?;
        terminal.log("compiled", Some(id.as_str()), json!({"file": path.to_string_lossy()}));
    }
    report(terminal, &workspace, models, files.len() as u64 - models, &asking, started.elapsed());
    Ok(Exit::Fine)
}

fn report(
    terminal: &Terminal,
    workspace: &Workspace,
    models: u64,
    tests: u64,
    asking: &[&str],
    elapsed: std::time::Duration,
) {
    for name in asking {
        terminal.talk(&format!(
            "  {} {name}  needs the database to render: `kiln run` does it\n",
            terminal.signs.skipped
        ));
        terminal.log("not_compiled", None, json!({"name": name, "reason": "needs the database to render"}));
    }
    let folder = format!("{}/compiled/{}", workspace.project.file.paths.target, workspace.manifest.project);
    terminal.talk(&format!(
        " Compiled {} and {} to {folder} in {}\n",
        counted(models, "model", "models"),
        counted(tests, "test", "tests"),
        duration(elapsed)
    ));
}

/// As [`Names`] says it when there is no database.
fn needs_database(message: &str) -> bool {
    message.contains("needs the database") || message.contains("are not known here")
}

/// As dbt does: below the file that declares it.
fn path_of(test: &Test) -> PathBuf {
    match &test.kind {
        TestKind::Singular { file } => file.path.clone(),
        _ => {
            let name: String = test
                .name
                .chars()
                .map(|c| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' })
                .take(200)
                .collect();
            test.at.path().join(format!("{name}.sql"))
        }
    }
}
