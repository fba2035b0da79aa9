//! `kiln contract`: writes a first contract for a model, writes one anew as version 3.1 of the standard, shows one.

use std::path::Path;

use serde_json::Value;

use crate::cli::{
    ContractArgs, ContractCommand, ContractExportArgs, ContractInitArgs, ContractShowArgs, Global,
};
use crate::compile::{CompileOptions, compile};
use crate::contract::{self, Contract, Draft, DraftColumn, Status};
use crate::diagnostic::{Diagnostics, SourceFile, Style};
use crate::engine::load::OWN_COLUMNS;
use crate::engine::session::ColumnType;
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node, Object, Owner, Test, is_name};
use crate::sql::quote::identifier;
use crate::workspace::{CONTRACT_COMMAND, FullRefresh, Workspace};
use crate::yaml::write::{Remarks, document};

use super::artifacts::write;
use super::show::find;
use super::terminal::{Paint, Terminal};
use super::words::counted;
use super::{Exit, Opened, open, open_to_read};

/// Writes or shows.
pub fn contract(terminal: &Terminal, global: &Global, args: &ContractArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, CONTRACT_COMMAND, FullRefresh::No)?;
    match &args.command {
        ContractCommand::Init(args) => init(terminal, global, &workspace, args)?,
        ContractCommand::Export(args) => export(terminal, &workspace, args)?,
        ContractCommand::Show(args) => show(terminal, &workspace, args)?,
    }
    Ok(Exit::Fine)
}

fn init(terminal: &Terminal, global: &Global, workspace: &Workspace, args: &ContractInitArgs) -> Result<()> {
    let node = bindable(workspace, &args.model)?;
    let place = Place::of(args.output.as_deref(), &format!("contracts/{}.odcs.yaml", node.name), args.force);
    if let (Some(contract), Place::File { path, .. }) = (workspace.manifest.contracts.get(&node.id), &place)
        && contract.at.path() != path.as_path()
    {
        return Err(Error::usage(format!("`{}` has a contract already, at {}", node.name, contract.at))
            .hint(format!("edit it, or print a new one with `kiln contract init {} -o -`", node.name)));
    }
    place.check(workspace)?;
    let columns = columns_of(workspace, node)?.map_err(|reason| {
        Error::usage(format!("the columns of `{}` are not known: {reason}", node.name))
            .hint("`kiln run` builds it; then its columns are those that are published")
    });
    let columns = match columns {
        Ok(columns) => columns,
        Err(error) => published_columns(terminal, global, workspace, node).ok_or(error)?,
    };
    let facts = workspace.facts(node);
    let counts = null_counts(terminal, global, workspace, node, &columns);
    let described = |name: &str| node.columns.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    let columns = columns.iter().map(|column| {
        let said = described(&column.name);
        let promised = facts.required.contains_key(&column.name.to_lowercase());
        let filled = counts.as_ref().filter(|counts| !promised && counts.is_filled(&column.name));
        DraftColumn {
            name: column.name.clone(),
            data_type: Some(column.data_type.clone()),
            description: said.map(|said| said.description.clone()).unwrap_or_default(),
            tags: said.map(|said| said.tags.clone()).unwrap_or_default(),
            classification: said.and_then(|said| text_of(&said.meta, "classification")),
            remark: filled.map(|counts| {
                format!("no NULL in {}", counted(counts.rows, "published row", "published rows"))
            }),
        }
    });
    let draft = draft(node, columns.collect(), facts, Status::Draft);
    tell_untold(terminal, &draft);
    place.put(terminal, workspace, &sound(draft.text(), &node.name)?)
}

fn export(terminal: &Terminal, workspace: &Workspace, args: &ContractExportArgs) -> Result<()> {
    let node = bindable(workspace, &args.model)?;
    let place = match &args.output {
        None => Place::Stdout,
        Some(path) => Place::of(Some(path), "", args.force),
    };
    place.check(workspace)?;
    let declared = node.columns.iter().map(|column| DraftColumn {
        name: column.name.clone(),
        data_type: column.data_type.as_ref().map(|declared| declared.value.clone()),
        description: column.description.clone(),
        tags: column.tags.clone(),
        classification: text_of(&column.meta, "classification"),
        remark: None,
    });
    let enforced = node.config.all.get("contract").and_then(|contract| contract.get("enforced"));
    let status = if enforced == Some(&Value::Bool(true)) { Status::Active } else { Status::Draft };
    let draft = draft(node, declared.collect(), workspace.facts(node), status);
    tell_untold(terminal, &draft);
    let text = match workspace.manifest.contracts.get(&node.id) {
        Some(contract) => document(&contract::complete(contract, &draft), &Remarks::new()),
        None if draft.columns.is_empty() => {
            return Err(Error::usage(format!("the properties of `{}` name no columns", node.name))
                .hint(format!("`kiln contract init {}` takes them from its SQL", node.name)));
        }
        None => draft.text(),
    };
    place.put(terminal, workspace, &sound(text, &node.name)?)
}

/// A model or seed that a contract can bind.
fn bindable<'a>(workspace: &'a Workspace, name: &str) -> Result<&'a Node> {
    let node = find(workspace, name)?;
    match node.config.materialized {
        Materialization::Ephemeral => Err(Error::usage(format!("`{name}` is ephemeral: nobody can read it"))
            .hint("a contract is for what readers see: write one for a model that reads it")),
        _ => Ok(node),
    }
}

fn draft(node: &Node, columns: Vec<DraftColumn>, facts: contract::Facts, status: Status) -> Draft {
    let view = node.config.materialized == Materialization::View;
    let unique_key = match node.config.all.get("unique_key") {
        Some(Value::String(column)) if is_name(column) => vec![column.clone()],
        Some(Value::Array(columns)) => {
            columns.iter().filter_map(|column| column.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    Draft {
        model: node.name.clone(),
        status,
        physical_type: if view { "view" } else { "table" }.to_owned(),
        description: node.description.clone(),
        tags: node.config.tags.clone(),
        owner: owner_of(node),
        columns,
        unique_key,
        facts,
    }
}

/// `meta.owner`, as a name, an address or a mapping of both; else the group.
fn owner_of(node: &Node) -> Owner {
    match node.config.meta.get("owner") {
        Some(Value::String(text)) if text.contains('@') => Owner { name: None, email: Some(text.clone()) },
        Some(Value::String(text)) => Owner { name: Some(text.clone()), email: None },
        Some(Value::Object(owner)) => Owner { name: text_of(owner, "name"), email: text_of(owner, "email") },
        _ => Owner { name: text_of(&node.config.all, "group"), email: None },
    }
}

fn text_of(map: &Object, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The columns as compiled, without those that Kiln adds to what it loads; or why they are not known.
fn columns_of(workspace: &Workspace, node: &Node) -> Result<Result<Vec<ColumnType>, String>> {
    let compiled = compile(workspace, &CompileOptions::default())?;
    let model = compiled.models.get(&node.id);
    match model.and_then(|model| model.columns.clone()) {
        Some(columns) => Ok(Ok(without_own(node, columns))),
        None if compiled.diagnostics.has_errors() => Err(Error::Project(compiled.diagnostics)),
        None => {
            let reason = model.and_then(|model| model.unknown.clone());
            Ok(Err(reason.unwrap_or_else(|| "its SQL does not say".to_owned())))
        }
    }
}

fn without_own(node: &Node, mut columns: Vec<ColumnType>) -> Vec<ColumnType> {
    if node.config.materialized == Materialization::Append {
        columns.retain(|column| !OWN_COLUMNS.iter().any(|(own, _)| *own == column.name));
    }
    columns
}

fn published_columns(
    terminal: &Terminal,
    global: &Global,
    workspace: &Workspace,
    node: &Node,
) -> Option<Vec<ColumnType>> {
    let database = open_to_read(global, workspace).ok()?;
    let columns = database.session().describe(&format!("select * from {}", node.relation)).ok()?;
    terminal.talk(&format!(" the columns are those of `{}` as published\n", node.name));
    Some(without_own(node, columns))
}

/// How many values of each column are there.
struct Counts {
    rows: u64,
    filled: Vec<(String, u64)>,
}

impl Counts {
    fn is_filled(&self, column: &str) -> bool {
        self.rows > 0 && self.filled.iter().any(|(name, count)| name == column && *count == self.rows)
    }
}

/// Counts what is published, in one pass; nothing if it is not there or has other columns.
fn null_counts(
    terminal: &Terminal,
    global: &Global,
    workspace: &Workspace,
    node: &Node,
    columns: &[ColumnType],
) -> Option<Counts> {
    if !workspace.target.database(workspace.root()).exists() {
        return None;
    }
    let database = match open_to_read(global, workspace) {
        Ok(database) => database,
        Err(error) => {
            let message = error.to_string();
            let reason = message.lines().next().unwrap_or_default();
            terminal.talk(&format!(" published rows were not looked at: {reason}\n"));
            return None;
        }
    };
    let parts: Vec<String> =
        columns.iter().map(|column| format!("count({})::varchar", identifier(&column.name))).collect();
    let sql = format!("select count(*)::varchar, {} from {}", parts.join(", "), node.relation);
    let row = database.session().rows(&sql).ok()?.into_iter().next()?;
    let mut numbers = row.into_iter().map(|cell| cell.and_then(|text| text.parse::<u64>().ok()));
    let rows = numbers.next()??;
    let filled = columns.iter().map(|column| column.name.clone()).zip(numbers.map(Option::unwrap_or_default));
    Some(Counts { rows, filled: filled.collect() })
}

/// What properties say and a contract cannot.
fn tell_untold(terminal: &Terminal, draft: &Draft) {
    for untold in &draft.facts.untold {
        let label = terminal.paint(Paint::Yellow, "left out");
        terminal.talk(&format!("{label}: {} ({})\n", untold.value, untold.at));
    }
}

/// A text that Kiln's own reader takes.
fn sound(text: String, model: &str) -> Result<String> {
    let mut problems = Diagnostics::new();
    let contracts = contract::read(&SourceFile::new("(written contract)", text.as_str()), &mut problems);
    let bound = contracts.iter().any(|contract| contract.model.value == model);
    if problems.has_errors() || !bound {
        let said = problems.render(Style::Plain);
        return Err(Error::Bug(format!("the contract that was written cannot be read back\n{said}")));
    }
    Ok(text)
}

/// Where a contract goes.
enum Place {
    Stdout,
    File { path: std::path::PathBuf, force: bool },
}

impl Place {
    fn of(asked: Option<&Path>, usual: &str, force: bool) -> Self {
        match asked {
            Some(path) if path == Path::new("-") => Self::Stdout,
            Some(path) => Self::File { path: path.to_owned(), force },
            None => Self::File { path: usual.into(), force },
        }
    }

    fn check(&self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::File { path, force: false } if workspace.root().join(path).exists() => {
                Err(Error::usage(format!("`{}` is there already", path.display()))
                    .hint("`--force` writes over it, `-o -` prints to stdout"))
            }
            _ => Ok(()),
        }
    }

    fn put(&self, terminal: &Terminal, workspace: &Workspace, text: &str) -> Result<()> {
        match self {
            Self::Stdout => terminal.data(text),
            Self::File { path, .. } => {
                write(&workspace.root().join(path), text)?;
                terminal.talk(&format!(" wrote {}\n", path.display()));
                Ok(())
            }
        }
    }
}

fn show(terminal: &Terminal, workspace: &Workspace, args: &ContractShowArgs) -> Result<()> {
    let node = find(workspace, &args.model)?;
    let Some(contract) = workspace.manifest.contracts.get(&node.id) else {
        return Err(Error::usage(format!("`{}` has no contract", node.name))
            .hint(format!("`kiln contract init {}` writes one", node.name)));
    };
    let mut text = head(terminal, contract);
    section(
        &mut text,
        terminal,
        "columns, checked when the project is compiled and in every run",
        &columns(contract),
    );
    let own = |test: &&Test| test.at.file == contract.at.file && test.node.as_ref() == Some(&node.id);
    let mut tests: Vec<&Test> = workspace.manifest.tests.values().filter(own).collect();
    tests.sort_by_key(|test| (test.at.span.start, test.name.clone()));
    let lines: Vec<(String, String)> =
        tests.iter().map(|test| (test.name.clone(), test.at.to_string())).collect();
    section(&mut text, terminal, "tests, run on what is built before it is published", &lines);
    section(&mut text, terminal, "compared by `kiln diff`", &compared(contract));
    let lines: Vec<(String, String)> = contract
        .documentation_only
        .iter()
        .map(|promise| (promise.value.clone(), promise.at.to_string()))
        .collect();
    section(
        &mut text,
        terminal,
        "documented only: Kiln cannot check it, and it never counts as passed",
        &lines,
    );
    terminal.data(&text)
}

fn head(terminal: &Terminal, contract: &Contract) -> String {
    let title = terminal.paint(Paint::Bold, &contract.model.value);
    let unstable = if contract.is_unstable() { ": a broken promise only warns" } else { "" };
    format!("{title}  {} {}{unstable}  {}\n", contract.version.value, contract.status.as_str(), contract.at)
}

fn section(text: &mut String, terminal: &Terminal, title: &str, lines: &[(String, String)]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    let width = lines.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default().min(60);
    for (what, place) in lines {
        let place = terminal.paint(Paint::Dim, place);
        text.push_str(&format!("  {what:<width$}  {place}\n"));
    }
}

fn columns(contract: &Contract) -> Vec<(String, String)> {
    let lines = contract.properties.iter().map(|property| {
        let promised = match (&property.physical_type, &property.logical_type) {
            (Some(promised), _) => promised.value.clone(),
            (None, Some(family)) => format!("any {}", family.value.as_str()),
            (None, None) => "any type".to_owned(),
        };
        (format!("{} {promised}", property.column.value), property.column.at.to_string())
    });
    lines.collect()
}

fn compared(contract: &Contract) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for property in &contract.properties {
        if let Some(classification) = &property.classification {
            let what = format!("classification of {}: {}", property.column.value, classification.value);
            lines.push((what, classification.at.to_string()));
        }
    }
    let life = &contract.lifecycle;
    for (what, date) in [
        ("general availability", &life.general_availability),
        ("end of support", &life.end_of_support),
        ("end of life", &life.end_of_life),
    ] {
        if let Some(date) = date {
            lines.push((format!("{what} {}", date.value), date.at.to_string()));
        }
    }
    lines.push((
        format!("compatibility {}, version {}", contract.compatibility, contract.version.value),
        contract.version.at.to_string(),
    ));
    lines
}
