//! `kiln freshness`: how old the data of each source is, against what it allows. dbt's `source freshness`.

use serde_json::{Value, json};

use crate::cli::{FreshnessArgs, Global, LogFormat};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::manifest::{Age, Freshness};
use crate::run::freshness::{self, FreshnessStatus, SourceFreshness};
use crate::workspace::{FullRefresh, Workspace};

use super::terminal::{Paint, Terminal};
use super::{Exit, Opened, artifacts, open, open_to_read, show_diagnostic, table, words};

/// Measures, prints and writes `sources.json`.
pub fn freshness(terminal: &Terminal, global: &Global, args: &FreshnessArgs) -> Result<Exit> {
    let Opened { workspace, elapsed } = open(terminal, global, "freshness", FullRefresh::No)?;
    let mut selected = workspace.select(&args.selection.select, &args.selection.exclude)?;
    selected.extend(freshness::sources_of(&workspace, &selected));
    let stated = workspace.manifest.sources.values().filter(|source| source.freshness.is_some());
    if !stated.clone().any(|source| selected.contains(&source.id)) {
        return Err(Error::usage("no source is selected that says how old its data may be")
            .hint("add `freshness: {warn_after: {count: 1, period: day}}` to a table under `sources:`"));
    }
    let database = open_to_read(global, &workspace)?;
    let now = jiff::Timestamp::now();
    let found = freshness::measure(&workspace, database.session(), &selected, now);
    let results = sources_json(&found, now, elapsed.as_secs_f64());
    artifacts::write(&workspace.target_folder().join("sources.json"), &format!("{results:#}\n"))?;
    if global.log_format == LogFormat::Json {
        let lines = results["results"].as_array().into_iter().flatten().map(|result| format!("{result}\n"));
        terminal.data(&lines.collect::<String>())?;
    } else {
        terminal.data(&table::render(terminal, head(), found.iter().map(|one| cells(terminal, one))))?;
    }
    tell(terminal, global, &workspace, &found, Severity::Error);
    Ok(if found.iter().any(|one| one.status.is_bad()) { Exit::Failed } else { Exit::Fine })
}

/// Shows what is too old, at the place where its source is declared. `worst` is how grave that is at most.
pub fn tell(
    terminal: &Terminal,
    global: &Global,
    workspace: &Workspace,
    found: &[SourceFreshness],
    worst: Severity,
) {
    for one in found {
        let Some(complaint) = one.complaint() else { continue };
        let message = format!("source `{}`: {complaint}", one.source.short());
        let mut diagnostic = Diagnostic::warning("source-stale", message);
        if one.status.is_bad() {
            diagnostic.severity = worst;
        }
        if let Some(source) = workspace.manifest.sources.get(&one.source) {
            diagnostic = diagnostic.at(&source.at, "");
        }
        terminal.gap();
        show_diagnostic(terminal, global, &diagnostic);
    }
}

fn head() -> Vec<String> {
    ["source", "newest data", "age", "warn after", "error after", "status"].map(str::to_owned).to_vec()
}

fn cells(terminal: &Terminal, one: &SourceFreshness) -> Vec<String> {
    let limit = |age: Option<Age>| age.map(freshness::words).unwrap_or_default();
    let (paint, word) = match &one.status {
        FreshnessStatus::Pass => (Paint::Green, "fresh"),
        FreshnessStatus::Warn => (Paint::Yellow, "old"),
        FreshnessStatus::Error => (Paint::Red, "too old"),
        FreshnessStatus::Unknown(_) => (Paint::Red, "unknown"),
    };
    vec![
        one.source.short().to_owned(),
        one.newest.map(freshness::moment).unwrap_or_default(),
        one.newest.map(|_| words::long(one.age)).unwrap_or_default(),
        limit(one.allowed.warn_after),
        limit(one.allowed.error_after),
        terminal.paint(paint, word),
    ]
}

/// dbt's `sources.json`, version 3.
fn sources_json(found: &[SourceFreshness], now: jiff::Timestamp, elapsed: f64) -> Value {
    let results: Vec<Value> = found
        .iter()
        .map(|one| match &one.status {
            FreshnessStatus::Unknown(why) => json!({
                "unique_id": one.source.as_str(), "error": why, "status": one.status.as_str(),
            }),
            status => json!({
                "unique_id": one.source.as_str(),
                "max_loaded_at": one.newest.map(|at| at.to_string()),
                "snapshotted_at": now.to_string(),
                "max_loaded_at_time_ago_in_s": one.age.as_secs_f64(),
                "status": status.as_str(),
                "criteria": criteria(one.allowed),
                "adapter_response": {},
                "timing": [],
                "thread_id": "main",
                "execution_time": 0.0,
            }),
        })
        .collect();
    json!({
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/sources/v3.json",
            "dbt_version": concat!("kiln ", env!("CARGO_PKG_VERSION")),
            "generated_at": now.to_string(),
            "invocation_id": null,
            "env": {},
        },
        "results": results,
        "elapsed_time": elapsed,
    })
}

fn criteria(allowed: Freshness) -> Value {
    let age = |age: Option<Age>| {
        age.map_or(
            json!({"count": null, "period": null}),
            |age| json!({"count": age.count, "period": age.period.as_str()}),
        )
    };
    json!({"warn_after": age(allowed.warn_after), "error_after": age(allowed.error_after), "filter": null})
}
