//! `kiln docs generate` and `kiln docs serve`: the site of a project.

use std::path::Path;
use std::time::Instant;

use crate::cli::{DocsArgs, DocsCommand, DocsGenerateArgs, Global};
use crate::compile::{CompileOptions, compile, known_to, lineage};
use crate::docs::facts::Facts;
use crate::docs::{site, state};
use crate::engine::database::Database;
use crate::engine::state::is_present;
use crate::error::{Error, Result};
use crate::workspace::FullRefresh;

use super::terminal::Terminal;
use super::words::{counted, duration};
use super::{Exit, Opened, open, patience, show_diagnostics, show_messages};

/// Makes or serves the site.
pub fn docs(terminal: &Terminal, global: &Global, args: &DocsArgs) -> Result<Exit> {
    match &args.command {
        DocsCommand::Generate(args) => generate(terminal, global, args),
    }
}

fn generate(terminal: &Terminal, global: &Global, args: &DocsGenerateArgs) -> Result<Exit> {
    let started = Instant::now();
    let Opened { workspace, .. } = open(terminal, global, "docs", FullRefresh::No)?;
    let database = Database::open_read_only(&workspace.opening("the docs", patience(global)))?;
    let (mut memory, mut known) = (state::Memory::default(), CompileOptions::default());
    if let Some(database) = &database
        && is_present(database.session())?
    {
        memory = state::read(database.session(), &workspace)?;
        known = known_to(&workspace, database.session())?;
    }
    drop(database);
    let compiled = compile(&workspace, &known)?;
    show_messages(terminal, &workspace);
    let graph = lineage(&workspace, &compiled)?;
    let mask = |text: &str| terminal.for_file(text);
    let facts = Facts::collect(&workspace, &compiled, &graph, memory, &mask);
    let files = site::folder(&facts, &site::Options::default())?;
    let out = args.out.clone().unwrap_or_else(|| workspace.target_folder().join("site"));
    for (path, bytes) in &files {
        write(&out.join(path), bytes)?;
    }
    show_diagnostics(terminal, global, &compiled.diagnostics);
    terminal.talk(&format!(
        " Wrote {} to {} in {}\n",
        counted(files.len() as u64, "file", "files"),
        out.display(),
        duration(started.elapsed())
    ));
    Ok(Exit::Fine)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, &error))?;
    std::fs::write(path, bytes).map_err(|error| Error::io("write", path, &error))
}
