//! `kiln history`: releases and runs, the newest first.

use crate::cli::{Global, HistoryArgs, LogFormat};
use crate::engine::session::TextRows;
use crate::engine::state::column_if_known;
use crate::error::Result;
use crate::sql::quote::literal;
use crate::workspace::FullRefresh;

use super::terminal::{Paint, Terminal};
use super::{Exit, Opened, open, open_to_read, table};

/// Lists.
pub fn history(terminal: &Terminal, global: &Global, args: &HistoryArgs) -> Result<Exit> {
    let Opened { workspace, .. } = open(terminal, global, "history", FullRefresh::No)?;
    let database = open_to_read(global, &workspace)?;
    let session = database.session();
    let (target, limit) = (literal(&workspace.target.name), args.limit);
    let known = |column| column_if_known(session, "run", column);
    // On a terminal a commit is told by its first digits.
    let digits = if global.log_format == LogFormat::Json { 64 } else { 10 };
    let (run_by, commit) = (known("run_by"), format!("left({}, {digits})", known("git_commit")));
    let releases = session.rows(&format!(
        "SELECT release_id::VARCHAR, strftime(published_at, '%Y-%m-%d %H:%M:%S'), \
         CASE WHEN release_id = max(release_id) OVER () THEN 'what readers see' ELSE '' END, \
         CASE kind WHEN 'rollback' THEN 'rollback to ' || restores ELSE kind END, \
         (SELECT count(*) FROM _kiln.release_model AS m WHERE m.release_id = r.release_id)::VARCHAR, \
         (SELECT {run_by} FROM _kiln.run WHERE run.run_id = r.run_id), \
         (SELECT {commit} FROM _kiln.run WHERE run.run_id = r.run_id), run_id \
         FROM _kiln.release AS r WHERE target = {target} ORDER BY release_id DESC LIMIT {limit}"
    ))?;
    let runs = session.rows(&format!(
        "SELECT strftime(started_at, '%Y-%m-%d %H:%M:%S'), command, status, if(command = 'run', built, NULL)::VARCHAR, if(command = 'run', reused, NULL)::VARCHAR, \
         if(command = 'run', failed, NULL)::VARCHAR, if(command = 'run', skipped, NULL)::VARCHAR, printf('%.1fs', epoch(ended_at) - epoch(started_at)), release_id::VARCHAR, \
         message FROM _kiln.run WHERE target = {target} ORDER BY started_at DESC, run_id DESC LIMIT {limit}"
    ))?;
    let heads = [
        ["release", "published (UTC)", "", "by", "models", "user", "commit", "run"].as_slice(),
        [
            "started (UTC)",
            "command",
            "status",
            "built",
            "reused",
            "failed",
            "skipped",
            "time",
            "release",
            "why",
        ]
        .as_slice(),
    ];
    for (title, head, rows) in [("Releases", heads[0], releases), ("Runs", heads[1], runs)] {
        if global.log_format == LogFormat::Json {
            terminal.data(&json_lines(title, head, rows))?;
            continue;
        }
        terminal.talk(&format!(
            " {} of target {}\n",
            terminal.paint(Paint::Bold, title),
            workspace.target.name
        ));
        let head = head.iter().map(|name| (*name).to_owned()).collect();
        let cells = rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect());
        terminal.data(&table::render(terminal, head, cells))?;
    }
    Ok(Exit::Fine)
}

fn json_lines(title: &str, head: &[&str], rows: TextRows) -> String {
    let what = title.trim_end_matches('s').to_lowercase();
    rows.into_iter()
        .map(|row| {
            let pairs = head.iter().zip(row).filter(|(name, _)| !name.is_empty());
            let pairs = pairs.map(|(name, value)| (name.replace(" (UTC)", ""), value.into()));
            let object: serde_json::Map<_, _> =
                [("what".to_owned(), what.clone().into())].into_iter().chain(pairs).collect();
            format!("{}\n", serde_json::Value::Object(object))
        })
        .collect()
}
