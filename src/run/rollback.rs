//! Rolling back: a target's views point at an earlier release again.

use std::time::Duration;

use crate::engine::database::Database;
use crate::engine::publish::{NotPublished, Publication, previous, publish};
use crate::engine::session::Session;
use crate::engine::state::promise::Promises;
use crate::engine::state::{self, Release, RunEnd};
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Points a target's views back at an earlier release, in one transaction. Gives the new release and the one restored.
///
/// # Errors
/// There is no such release, or its builds have been collected.
pub fn rollback(
    workspace: &Workspace,
    to: Option<i64>,
    patience: Duration,
) -> Result<(i64, Release, Release)> {
    let run_id = uuid::Uuid::now_v7().to_string();
    let database = Database::open(&workspace.opening(&format!("rollback {run_id}"), patience))?;
    let session = database.session();
    state::migrate(session)?;
    let target = &workspace.target.name;
    let nothing = || {
        Error::usage(format!("target `{target}` has no release to roll back"))
            .hint("`kiln run` publishes one")
    };
    let current = state::current_release(session, target)?.ok_or_else(nothing)?;
    let id = match to {
        Some(id) => id,
        None => previous(session, target, &current)?.ok_or_else(|| {
            Error::usage(format!("release {} is the first one of target `{target}`", current.id))
                .hint("`kiln history` lists the releases")
        })?,
    };
    let wanted = release_to_restore(session, workspace, &current, id)?;
    state::start_run(session, &run_id, target, "rollback", &workspace.origin)?;
    let publication = Publication {
        run_id: &run_id,
        target,
        kind: "rollback",
        restores: Some(wanted.id),
        before: &current.models,
        after: wanted.models.clone(),
        merges: &[],
        consumers: &[],
        promises: Promises { from: Some(wanted.id), ..Promises::default() },
    };
    let published = publish(session, &publication).map_err(|failure| match failure {
        NotPublished::Failed(error) => error,
        NotPublished::NameTaken { relation, kind } => {
            Error::machine(format!("there is a {kind} `{}` that kiln did not make", relation.plain()))
                .hint("rename or drop it, then roll back again")
        }
        NotPublished::Moved => Error::Bug("a rollback moves no rows".into()),
        NotPublished::ConsumerBreaks { consumer, error } => {
            Error::machine(format!("the query of `{consumer}` would break: {error}"))
        }
    })?;
    let end = RunEnd { status: "published".into(), release_id: Some(published), ..RunEnd::default() };
    state::finish_run(session, &run_id, &end)?;
    Ok((published, current, wanted))
}

fn release_to_restore(
    session: &Session,
    workspace: &Workspace,
    current: &Release,
    id: i64,
) -> Result<Release> {
    if id == current.id {
        return Err(Error::usage(format!("release {id} is what readers see already")));
    }
    let owner = session.rows(&format!("SELECT target FROM _kiln.release WHERE release_id = {id}"))?;
    let owner = owner.into_iter().next().and_then(|mut row| row.remove(0));
    if owner.as_deref() != Some(workspace.target.name.as_str()) {
        return Err(Error::usage(format!("target `{}` has no release {id}", workspace.target.name))
            .hint("`kiln history` lists the releases"));
    }
    let wanted = state::release(session, id)?.ok_or_else(|| {
        Error::usage(format!("there is no release {id}")).hint("`kiln history` lists the releases")
    })?;
    let builds = state::present(session)?;
    let gone: Vec<&str> = wanted
        .models
        .iter()
        .filter(|(_, m)| !builds.contains(&m.relation))
        .map(|(name, _)| name.as_str())
        .collect();
    if !gone.is_empty() {
        return Err(Error::usage(format!(
            "release {id} cannot be restored: builds of `{}` have been collected",
            gone.join("`, `")
        ))
        .hint("raise `keep_releases` of the target to keep more releases"));
    }
    Ok(wanted)
}
