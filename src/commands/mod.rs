//! The commands: one file each. This is the only code that prints.

pub mod artifacts;
mod clean;
mod compile;
mod contract;
mod data_diff;
mod diff;
mod docs;
mod explain;
pub mod failures;
mod findings;
pub mod forge;
mod freshness;
mod gc;
mod history;
mod init;
pub mod json_log;
mod lineage;
mod ls;
pub mod progress;
mod rollback;
mod run;
mod show;
pub mod summary;
mod table;
pub mod terminal;
mod test;
mod unit;
mod waive;
pub mod words;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::cli::{Cli, Command, Global};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile};
use crate::engine::database::Database;
use crate::engine::state;
use crate::error::{Error, Result};
use crate::manifest::Object;
use crate::origin::Origin;
use crate::project::FILE_NAME;
use crate::template::{Level, LogMessage};
use crate::workspace::{FullRefresh, Workspace, WorkspaceOptions};
use crate::yaml;

use terminal::{LogTo, Paint, Terminal};

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Fine,
    /// The data or a check failed.
    Failed,
}

/// Runs a command and shows what it says.
pub fn execute(cli: &Cli) -> ExitCode {
    let log_to = match &cli.command {
        Command::Run(args) if args.explain => LogTo::Stderr,
        Command::Run(_) | Command::Test(_) | Command::Compile(_) | Command::Docs(_) => LogTo::Stdout,
        _ => LogTo::Stderr,
    };
    let terminal = Terminal::new(&cli.global, log_to);
    match dispatch(cli, &terminal) {
        Ok(Exit::Fine) | Err(Error::BrokenPipe) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Err(error) => {
            show_error(&terminal, &cli.global, &error);
            ExitCode::from(2)
        }
    }
}

fn dispatch(cli: &Cli, terminal: &Terminal) -> Result<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::init(terminal, args),
        Command::Compile(args) => compile::compile(terminal, global, args),
        Command::Run(args) => run::run(terminal, global, args),
        Command::Test(args) => test::test(terminal, global, args),
        Command::Diff(args) => diff::diff(terminal, global, args),
        Command::Waive(args) => waive::waive(terminal, global, args),
        Command::Ls(args) => ls::ls(terminal, global, args),
        Command::Show(args) => show::show(terminal, global, args),
        Command::Lineage(args) => lineage::lineage(terminal, global, args),
        Command::Contract(args) => contract::contract(terminal, global, args),
        Command::Docs(args) => docs::docs(terminal, global, args),
        Command::History(args) => history::history(terminal, global, args),
        Command::Rollback(args) => rollback::rollback(terminal, global, args),
        Command::Freshness(args) => freshness::freshness(terminal, global, args),
        Command::Gc(args) => gc::gc(terminal, global, args),
        Command::Clean => clean::clean(terminal, global),
    }
}

fn show_error(terminal: &Terminal, global: &Global, error: &Error) {
    let label = terminal.paint(Paint::Red, "error");
    match error {
        Error::Project(diagnostics) => {
            show_diagnostics(terminal, global, diagnostics);
            return;
        }
        Error::Interrupted => terminal.complain("interrupted; nothing published\n"),
        Error::BrokenPipe => {}
        Error::Machine { message, hint } | Error::Usage { message, hint } => {
            let hint = hint.iter().map(|hint| format!("help: {hint}\n")).collect::<String>();
            terminal.complain(&format!("{label}: {message}\n{hint}"));
        }
        Error::Bug(message) => {
            terminal
                .complain(&format!("{label}: this is a bug in kiln: {message}\nhelp: please report it\n"));
        }
    }
    forge::error(terminal, &error.to_string());
    terminal.log("error", None, json!({"message": error.to_string()}));
}

/// Shows diagnostics and how many there are.
fn show_diagnostics(terminal: &Terminal, global: &Global, diagnostics: &Diagnostics) {
    let sorted = diagnostics.sorted();
    if sorted.is_empty() {
        return;
    }
    for diagnostic in &sorted {
        show_diagnostic(terminal, global, diagnostic);
        match diagnostic.severity {
            Severity::Error => terminal.complain("\n"),
            _ => terminal.talk("\n"),
        }
    }
    let count = |severity| sorted.iter().filter(|found| found.severity == severity).count() as u64;
    let mut counts = Vec::new();
    if count(Severity::Error) > 0 {
        let text = words::counted(count(Severity::Error), "error", "errors");
        counts.push(terminal.paint(Paint::Red, &text));
    }
    if count(Severity::Warning) > 0 {
        let text = words::counted(count(Severity::Warning), "warning", "warnings");
        counts.push(terminal.paint(Paint::Yellow, &text));
    }
    if count(Severity::Note) > 0 {
        counts.push(words::counted(count(Severity::Note), "note", "notes"));
    }
    let line = format!("{}\n", counts.join(", "));
    match diagnostics.has_errors() {
        true => terminal.complain(&line),
        false => terminal.talk(&(line + "\n")),
    }
}

/// Shows one diagnostic; warnings only if it need not be quiet.
fn show_diagnostic(terminal: &Terminal, global: &Global, diagnostic: &Diagnostic) {
    let text = diagnostic.render(terminal.style());
    match diagnostic.severity {
        Severity::Error => terminal.complain(&text),
        _ => terminal.talk(&text),
    }
    forge::diagnostic(terminal, &global.project_dir, diagnostic);
    terminal.log("diagnostic", None, json_log::diagnostic(diagnostic));
}

/// How a command opens the project.
struct Opened {
    workspace: Workspace,
    elapsed: Duration,
}

fn open(terminal: &Terminal, global: &Global, command: &'static str, refresh: FullRefresh) -> Result<Opened> {
    Ok(open_with(terminal, global, &opening(global, command, refresh)?)?.0)
}

/// What the command line says of how to open the project.
fn opening(global: &Global, command: &'static str, refresh: FullRefresh) -> Result<WorkspaceOptions> {
    must_be_a_project(global)?;
    Ok(WorkspaceOptions {
        root: global.project_dir.clone(),
        target: global.target.clone(),
        vars: vars(global)?,
        threads: global.threads,
        env: Arc::new(|name| std::env::var(name).ok()),
        command,
        full_refresh: refresh,
    })
}

/// Tells this binary from others of the same version: what one found, another might not.
fn binary() -> String {
    let stamp = std::env::current_exe().and_then(std::fs::metadata).map(|metadata| {
        let modified = metadata.modified().ok();
        format!("{} {modified:?}", metadata.len())
    });
    stamp.unwrap_or_default()
}

/// Who runs Kiln, and from where. Projects do not see what is read for it: nothing that they make follows from it.
fn origin(root: &Path) -> Origin {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    Origin::of(&|name| std::env::var(name).ok(), &root)
}

/// Opens the project, and gives what was said of its files too.
fn open_with(
    terminal: &Terminal,
    global: &Global,
    options: &WorkspaceOptions,
) -> Result<(Opened, Diagnostics)> {
    let (opened, warnings) =
        open_broken(terminal, options).and_then(|(opened, found)| match found.has_errors() {
            true => Err(found.into()),
            false => Ok((opened, found)),
        })?;
    show_diagnostics(terminal, global, &warnings);
    Ok((opened, warnings))
}

/// Opens the project as [`Workspace::open_broken`] does, and shows nothing yet.
fn open_broken(terminal: &Terminal, options: &WorkspaceOptions) -> Result<(Opened, Diagnostics)> {
    let started = std::time::Instant::now();
    let (mut workspace, found) = Workspace::open_broken(options)?;
    workspace.origin = origin(workspace.root());
    terminal.hide(workspace.secrets());
    Ok((Opened { workspace, elapsed: started.elapsed() }, found))
}

/// Says where the project is when it is not here.
fn must_be_a_project(global: &Global) -> Result<()> {
    let folder = &global.project_dir;
    if folder.join(FILE_NAME).exists() {
        return Ok(());
    }
    if !folder.is_dir() {
        return Err(Error::usage(format!("there is no folder `{}`", folder.display())));
    }
    let above = folder.canonicalize().ok().and_then(|folder| {
        folder.ancestors().skip(1).find(|above| above.join(FILE_NAME).exists()).map(std::path::Path::to_owned)
    });
    let hint = match above {
        Some(above) => format!("there is one in `{0}`: use `--project-dir {0}`", above.display()),
        None => "go to the project's folder, name it with `--project-dir`, or write a new project with `kiln init DIR`"
            .into(),
    };
    Err(Error::usage(format!("there is no `{FILE_NAME}` in `{}`", folder.display())).hint(hint))
}

fn vars(global: &Global) -> Result<Object> {
    let Some(text) = &global.vars else { return Ok(Object::new()) };
    let mut problems = Diagnostics::new();
    let parsed = yaml::parse(&SourceFile::new("--vars", text), &mut problems);
    if problems.has_errors() {
        return Err(problems.into());
    }
    match parsed.map(|yaml| yaml.to_json()) {
        Some(serde_json::Value::Object(vars)) => Ok(vars),
        None | Some(serde_json::Value::Null) => Ok(Object::new()),
        _ => Err(Error::usage("`--vars` is not a mapping")
            .hint("write it as YAML or JSON: `--vars '{first_day: 2026-11-01}'`")),
    }
}

/// Shows what templates said.
fn show_messages(terminal: &Terminal, workspace: &Workspace) {
    show_said(terminal, &workspace.messages());
}

fn show_said(terminal: &Terminal, messages: &[LogMessage]) {
    let mut told: Vec<&LogMessage> = Vec::new();
    for message in messages {
        // A template is rendered more than once, and says the same each time.
        if told.contains(&message) {
            continue;
        }
        told.push(message);
        let level = match message.level {
            Level::Debug => continue,
            Level::Info => "info",
            Level::Warning => "warning",
        };
        let place = message.at.iter().map(|at| format!(" ({at})")).collect::<String>();
        terminal.talk(&format!("{level}: {}{place}\n", message.text));
        terminal.log("message", None, json!({"level": level, "message": message.text}));
    }
}

/// The target's database, to read what is published.
fn open_to_read(global: &Global, workspace: &Workspace) -> Result<Database> {
    let opening = workspace.opening("a reader", patience(global));
    let nothing = || {
        let target = &workspace.target.name;
        Error::usage(format!("nothing was ever run for target `{target}`"))
            .hint("`kiln run` builds and publishes")
    };
    let database = Database::open_read_only(&opening)?.ok_or_else(nothing)?;
    match state::is_present(database.session())? {
        true => Ok(database),
        false => Err(nothing()),
    }
}

fn patience(global: &Global) -> Duration {
    Duration::from_secs(global.wait)
}

/// The flag that Ctrl-C sets. The second Ctrl-C ends the process at once.
fn stop_flag(terminal: &Terminal) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let speaks = terminal.format == crate::cli::LogFormat::Text;
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(2);
        }
        if speaks {
            let note = b"\nstopping; press Ctrl-C again to end at once\n";
            // Nothing can be done for a terminal that is gone.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), note);
        }
    })
    .map_err(|error| Error::machine(format!("cannot watch for Ctrl-C: {error}")))?;
    Ok(stop)
}
