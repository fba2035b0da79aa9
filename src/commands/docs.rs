//! `kiln docs generate` and `kiln docs serve`: the site of a project.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::{DocsArgs, DocsCommand, DocsContent, DocsGenerateArgs, DocsServeArgs, Global};
use crate::compile::cache::Cache;
use crate::compile::cache::memory::Memory as CompileMemory;
use crate::compile::{CompileOptions, Compiled, Tables, compile, known_to, lineage};
use crate::docs::data::Graph;
use crate::docs::diff::Overlay;
use crate::docs::drawing;
use crate::docs::facts::Facts;
use crate::docs::mask::{Overheard, without};
use crate::docs::serve::{Files, Server, Site};
use crate::docs::site::{self, Hide, Options, Samples, Sql};
use crate::docs::state::{self, Memory};
use crate::docs::watch::Watch;
use crate::docs::write::{Folder, write_file};
use crate::engine::database::Database;
use crate::engine::state::is_present;
use crate::error::{Error, Result};
use crate::workspace::{FullRefresh, Workspace};

use super::terminal::Terminal;
use super::words::{counted, duration};
use super::{Exit, Opened, binary, open_with, opening, patience, show_diagnostics, show_messages, stop_flag};

/// What the last site bound, in the target folder.
const KEPT: &str = "docs.cache";
/// A single file larger than this is slow to open.
const LARGE: u64 = 25_000_000;

/// Makes or serves the site.
pub fn docs(terminal: &Terminal, global: &Global, args: &DocsArgs) -> Result<Exit> {
    match &args.command {
        DocsCommand::Generate(args) => generate(terminal, global, args),
        DocsCommand::Serve(args) => serve(terminal, global, args),
    }
}

/// Serves until Ctrl-C.
fn serve(terminal: &Terminal, global: &Global, args: &DocsServeArgs) -> Result<Exit> {
    let stop = stop_flag(terminal)?;
    let server = Arc::new(Server::bind(args.port)?);
    let mut version = 1_u64;
    // What cannot be shown at all ends the command now; later it is only said.
    let (workspace, heard) = open_heard(terminal, global)?;
    let mut watch = Watch::of(&workspace);
    let mut seen = watch.state();
    show(terminal, global, args, &server, (&workspace, &heard), version)?;
    let answering = Arc::clone(&server);
    std::thread::spawn(move || answering.run());
    let url = server.url();
    terminal.log("serving", None, json!({"url": url}));
    terminal.talk(&format!(" Serving {url}\n         it follows changes of the project; Ctrl-C ends it\n"));
    if !args.no_open && open::that_detached(&url).is_err() {
        terminal.talk(" No browser could be opened: open the address yourself\n");
    }
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(200));
        let now = watch.state();
        if now == seen {
            continue;
        }
        seen = now;
        let made = open_heard(terminal, global).and_then(|(workspace, heard)| {
            watch = Watch::of(&workspace);
            show(terminal, global, args, &server, (&workspace, &heard), version + 1)
        });
        match made {
            Ok(()) => {
                version += 1;
                terminal.talk(" Made anew\n");
            }
            // What is wrong may be half of a change: the site stays as it was. Ctrl-C ends waiting for a database, too.
            Err(_) if stop.load(Ordering::Relaxed) => {}
            Err(error) => super::show_error(terminal, global, &error),
        }
    }
    Ok(Exit::Fine)
}

/// Makes the site and shows it from now on.
fn show(
    terminal: &Terminal,
    global: &Global,
    args: &DocsServeArgs,
    server: &Server,
    (workspace, heard): (&Workspace, &Overheard),
    version: u64,
) -> Result<()> {
    let version = version.to_string();
    let mut files = Files::new();
    let (diagnostics, ()) = with_facts(terminal, global, workspace, heard, |facts| {
        let options = Options { live: Some(version.clone()), ..options(&args.content) };
        let graph = graph(&args.content, facts)?;
        site::folder(facts, &options, &graph, &mut |path, bytes| {
            files.insert(path.to_owned(), bytes.to_vec());
            Ok(())
        })
    })?;
    show_diagnostics(terminal, global, &diagnostics);
    server.show(Site { version, files });
    Ok(())
}

fn generate(terminal: &Terminal, global: &Global, args: &DocsGenerateArgs) -> Result<Exit> {
    let started = Instant::now();
    let (workspace, heard) = open_heard(terminal, global)?;
    let default = if args.single_file { "site.html" } else { "site" };
    let out = args.out.clone().unwrap_or_else(|| workspace.target_folder().join(default));
    let (mut nodes, mut drawn) = (0, Duration::ZERO);
    let made = with_facts(terminal, global, &workspace, &heard, |facts| {
        nodes = facts.nodes.len() as u64;
        let options = options(&args.content);
        let drawing = Instant::now();
        let graph = graph(&args.content, facts)?;
        drawn = drawing.elapsed();
        match args.single_file {
            true => to_file(&out, facts, &options, &graph),
            false => to_folder(&out, facts, &options, &graph),
        }
    });
    let (diagnostics, (files, bytes)) = made?;
    let elapsed = started.elapsed();
    terminal.log(
        "docs",
        None,
        json!({
            "path": out.display().to_string(),
            "files": files,
            "bytes": bytes,
            "drawing_s": drawn.as_secs_f64(),
            "elapsed_s": elapsed.as_secs_f64(),
        }),
    );
    let index = if args.single_file { out.clone() } else { out.join("index.html") };
    terminal.talk(&format!(
        " Wrote a site of {}: {}, {:.1} MB, in {}\n Open   {}\n",
        counted(nodes, "node", "nodes"),
        counted(files, "file", "files"),
        bytes as f64 / 1e6,
        duration(elapsed),
        index.display()
    ));
    if args.single_file && bytes > LARGE {
        terminal.talk(&format!(
            "warning: one file of {:.0} MB is slow to open: leave out `--single-file` to get a folder, whose pages load \
             what they need\n",
            bytes as f64 / 1e6
        ));
    }
    match diagnostics.has_errors() {
        true => Err(Error::Project(diagnostics)),
        false => {
            show_diagnostics(terminal, global, &diagnostics);
            Ok(Exit::Fine)
        }
    }
}

/// Keeps what was bound for the next site, unless nothing is new.
fn keep(kept: &Cache, compiled: &Compiled) -> Result<()> {
    let notes = compiled.notes.text(&compiled.base);
    if kept.rest().is_some_and(|there| there == notes) {
        return Ok(());
    }
    let turn = kept.turn()?;
    match turn.is_alone() {
        true => kept.store(None::<&()>, &notes),
        false => Ok(()),
    }
}

fn to_folder(out: &Path, facts: &Facts<'_>, options: &Options, graph: &Graph) -> Result<(u64, u64)> {
    let mut folder = Folder::open(out)?;
    folder.announce(&site::files(facts, options))?;
    site::folder(facts, options, graph, &mut |path, bytes| folder.write(path, bytes))?;
    folder.finish()
}

fn to_file(out: &Path, facts: &Facts<'_>, options: &Options, graph: &Graph) -> Result<(u64, u64)> {
    if out.is_dir() {
        return Err(Error::usage(format!("`{}` is a folder", out.display()))
            .hint("name the file to write: `--single-file --out docs.html`"));
    }
    let text = site::single(facts, options, graph)?;
    write_file(out, &text)?;
    Ok((1, text.len() as u64))
}

/// The graph, with what a change does drawn over it.
fn graph(content: &DocsContent, facts: &Facts<'_>) -> Result<Graph> {
    let overlay = match &content.diff {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))?;
            Some(Overlay::read(&text, &path.to_string_lossy(), facts)?)
        }
        None => None,
    };
    Ok(drawing::graph(facts, overlay.as_ref()))
}

fn options(content: &DocsContent) -> Options {
    let hide = Hide {
        sql: if content.no_sql { Sql::Hide } else { Sql::Show },
        samples: if content.no_samples { Samples::Hide } else { Samples::Show },
    };
    Options { hide, live: None }
}

/// Opens the project and listens to what it reads from the environment.
fn open_heard(terminal: &Terminal, global: &Global) -> Result<(Workspace, Overheard)> {
    let heard = Overheard::default();
    let mut options = opening(global, "docs", FullRefresh::No)?;
    options.env = heard.listen(Arc::clone(&options.env));
    let (Opened { workspace, .. }, _) = open_with(terminal, global, &options)?;
    Ok((workspace, heard))
}

/// Reads what was run, compiles, and hands over what is known. What is wrong with the project comes back beside what was
/// made of it: a site shows that, too.
fn with_facts<T>(
    terminal: &Terminal,
    global: &Global,
    workspace: &Workspace,
    heard: &Overheard,
    make: impl FnOnce(&Facts<'_>) -> Result<T>,
) -> Result<(crate::diagnostic::Diagnostics, T)> {
    let database = Database::open_read_only(&workspace.opening("the docs", patience(global)))?;
    let (mut memory, mut known) = (Memory::default(), CompileOptions::default());
    if let Some(database) = &database
        && is_present(database.session())?
    {
        memory = state::read(database.session(), workspace)?;
        known = known_to(workspace, database.session())?;
    }
    // The file is free again while pages are made.
    drop(database);
    // What the last site or the last `kiln compile` bound need not be bound again.
    let kept = Cache::named(&workspace.target_folder(), &binary(), KEPT);
    let mut bound = CompileMemory::read(&kept);
    if bound.is_empty() {
        bound = CompileMemory::read(&Cache::new(&workspace.target_folder(), &binary()));
    }
    known.memory = Some(Arc::new(bound));
    known.tables = Tables::Needed;
    let compiled = compile(workspace, &known)?;
    keep(&kept, &compiled)?;
    show_messages(terminal, workspace);
    terminal.hide(workspace.secrets());
    let graph = lineage(workspace, &compiled)?;
    let root = workspace.root().to_string_lossy();
    let values = heard.values();
    let mask = |text: &str| {
        let masked = without(&terminal.for_file(text), &values);
        // Nearly no text holds the folder, and every text is asked.
        if masked.contains(&*root) { masked.replace(&*root, ".") } else { masked }
    };
    let facts = Facts::collect(workspace, &compiled, &graph, memory, &mask);
    let made = make(&facts)?;
    Ok((compiled.diagnostics, made))
}
