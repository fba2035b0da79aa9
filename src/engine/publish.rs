//! Publishing: the one transaction after which readers see something else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::increment::{Merge, Merged, Undo, merge};
use super::session::{Session, SqlError};
use super::state::promise::{self, Promises};
use super::state::{self, DATA_SCHEMA, Published, Release};
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::sql::quote::{identifier, literal};

/// What to publish.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The run.
    pub run_id: &'a str,
    /// The target whose readers will see it.
    pub target: &'a str,
    /// `run` or `rollback`.
    pub kind: &'static str,
    /// For a rollback, the release restored.
    pub restores: Option<i64>,
    /// What readers see now.
    pub before: &'a BTreeMap<String, Published>,
    /// What they shall see: all of it, not only what changes.
    pub after: BTreeMap<String, Published>,
    /// New rows of incremental models that come into their tables with it.
    pub merges: &'a [Merge],
    /// SQL of consumers, with a name to blame; each must bind against what is published.
    pub consumers: &'a [(String, String)],
    /// What the release promises.
    pub promises: Promises,
}

/// Why a publication did not happen. In each case readers see what they saw before.
#[derive(Debug)]
pub enum NotPublished {
    /// A consumer's registered query does not bind any more.
    ConsumerBreaks {
        /// Who.
        consumer: String,
        /// What DuckDB says of its query.
        error: SqlError,
    },
    /// Something that is not Kiln's has the name of a view to be published.
    NameTaken {
        /// The name.
        relation: Relation,
        /// `table` or `view`.
        kind: String,
    },
    /// What new rows replace is not what was found before; [`publish`] finds it again by itself.
    Moved,
    /// Anything else.
    Failed(Error),
}

impl From<SqlError> for NotPublished {
    fn from(error: SqlError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error> for NotPublished {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Points every view at its build, in one transaction, and records the release. Gives its number.
///
/// Views that go are dropped, views that stay as they are are not touched, and each consumer's query is bound before the
/// commit. The release row is read back, because DuckDB answers COMMIT on an aborted transaction with success.
pub fn publish(session: &Session, publication: &Publication<'_>) -> Result<i64, NotPublished> {
    let created: BTreeSet<&Relation> = publication
        .after
        .iter()
        .filter(|(model, new)| publication.before.get(*model) != Some(new))
        .map(|(_, new)| &new.published)
        .collect();
    let ours: BTreeSet<&Relation> = publication.before.values().map(|old| &old.published).collect();
    let strangers = strangers(session)?;
    for relation in created.difference(&ours) {
        if let Some(kind) = strangers.get(&(relation.schema.to_lowercase(), relation.name.to_lowercase())) {
            return Err(NotPublished::NameTaken { relation: (*relation).clone(), kind: kind.clone() });
        }
    }
    let release_id = match session.transaction(|session| publish_inside(session, publication, Undo::Prepared))
    {
        Err(NotPublished::Moved) => {
            session.transaction(|session| publish_inside(session, publication, Undo::Fresh))?
        }
        published => published?,
    };
    let found =
        session.count(&format!("SELECT count(*) FROM _kiln.release WHERE release_id = {release_id}"))?;
    if found != 1 {
        return Err(NotPublished::Failed(Error::machine(
            "the database did not keep the release that it was given: nothing was published",
        )));
    }
    Ok(release_id)
}

/// Tables and views of the file that are not published by Kiln, in lower case, each with what it is. A view on the data
/// schema is Kiln's: another target's, or one that an earlier release left.
fn strangers(session: &Session) -> Result<HashMap<(String, String), String>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT lower(schema_name), lower(table_name), 'table' FROM duckdb_tables() \
         WHERE database_name = current_database() AND schema_name NOT IN ('_kiln', '{DATA_SCHEMA}') \
         UNION ALL SELECT lower(schema_name), lower(view_name), 'view' FROM duckdb_views() \
         WHERE database_name = current_database() AND NOT internal AND NOT contains(sql, '{DATA_SCHEMA}')"
    ))?;
    Ok(rows
        .into_iter()
        .map(|mut row| {
            let mut text = |at: usize| row[at].take().unwrap_or_default();
            ((text(0), text(1)), text(2))
        })
        .collect())
}

fn publish_inside(session: &Session, publication: &Publication<'_>, undo: Undo) -> Result<i64, NotPublished> {
    if !publication.merges.is_empty() {
        let increments = state::increment::increments(session)?;
        for one in publication.merges {
            if merge(session, one, &increments, undo)? == Merged::Stale {
                return Err(NotPublished::Moved);
            }
        }
    }
    let release_id = session.count("SELECT coalesce(max(release_id), 0) + 1 FROM _kiln.release")?;
    let mut sql = String::new();
    let schemas: BTreeSet<&str> =
        publication.after.values().map(|new| new.published.schema.as_str()).collect();
    for schema in schemas {
        sql.push_str(&format!("CREATE SCHEMA IF NOT EXISTS {};\n", identifier(schema)));
    }
    let kept: BTreeSet<&Relation> = publication.after.values().map(|new| &new.published).collect();
    for old in publication.before.values().filter(|old| !kept.contains(&old.published)) {
        sql.push_str(&format!("DROP VIEW IF EXISTS {};\n", old.published));
    }
    for (model, new) in &publication.after {
        if publication.before.get(model) != Some(new) {
            let build = Relation::new(DATA_SCHEMA, &new.relation);
            sql.push_str(&format!("CREATE OR REPLACE VIEW {} AS SELECT * FROM {build};\n", new.published));
        }
    }
    session.execute(&sql)?;
    for (consumer, query) in publication.consumers {
        if let Err(error) = session.describe(query) {
            return Err(NotPublished::ConsumerBreaks { consumer: consumer.clone(), error });
        }
    }
    session.execute(&format!(
        "INSERT INTO _kiln.release VALUES ({release_id}, {}, {}, '{}', {}, {})",
        literal(publication.target),
        literal(publication.run_id),
        publication.kind,
        publication.restores.map_or("NULL".to_owned(), |id| id.to_string()),
        literal(&state::now()),
    ))?;
    let rows: Vec<String> = publication
        .after
        .iter()
        .map(|(model, new)| {
            format!(
                "({release_id}, {}, {}, {}, {}, {}, {})",
                literal(model),
                new.layer.as_deref().map_or("NULL".to_owned(), literal),
                literal(new.fingerprint.as_str()),
                literal(&new.relation),
                literal(&new.published.schema),
                literal(&new.published.name),
            )
        })
        .collect();
    if !rows.is_empty() {
        session.execute(&format!("INSERT INTO _kiln.release_model VALUES {}", rows.join(", ")))?;
    }
    promise::record(session, release_id, &publication.promises)?;
    session.execute(&format!(
        "UPDATE _kiln.run SET release_id = {release_id} WHERE run_id = {}",
        literal(publication.run_id)
    ))?;
    Ok(release_id)
}

/// What a collection removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// Builds dropped, by name in [`DATA_SCHEMA`].
    pub builds: Vec<String>,
}

/// Drops every build that no kept release needs: the newest `keep` releases of each target, and what their views read.
pub fn collect(session: &Session, keep: u32) -> Result<Collected> {
    let garbage = garbage(session, keep)?;
    for chunk in garbage.chunks(200) {
        session.transaction(|session| -> Result<(), SqlError> {
            let mut sql = String::new();
            for (relation, kind) in chunk {
                let kind = if kind == "view" { "VIEW" } else { "TABLE" };
                sql.push_str(&format!("DROP {kind} IF EXISTS {};\n", Relation::new(DATA_SCHEMA, relation)));
            }
            let names: Vec<String> = chunk.iter().map(|(relation, _)| literal(relation)).collect();
            sql.push_str(&format!(
                "UPDATE _kiln.build SET dropped_at = {now} WHERE relation IN ({names}) AND dropped_at IS NULL; \
                 DELETE FROM _kiln.increment WHERE \"table\" IN ({names}) OR (version IS NULL AND relation IN ({names}))",
                now = literal(&state::now()),
                names = names.join(", ")
            ));
            session.execute(&sql)
        })?;
    }
    Ok(Collected { builds: garbage.into_iter().map(|(relation, _)| relation).collect() })
}

/// The builds that [`collect`] would drop, each with `table` or `view`.
pub fn garbage(session: &Session, keep: u32) -> Result<Vec<(String, String)>> {
    let keep = keep.max(1);
    let rows = session.rows(&format!(
        "WITH RECURSIVE kept_release AS (
             SELECT release_id FROM _kiln.release
             QUALIFY row_number() OVER (PARTITION BY target ORDER BY release_id DESC) <= {keep}
         ), needed AS (
             SELECT relation FROM _kiln.release_model WHERE release_id IN (SELECT release_id FROM kept_release)
             UNION
             SELECT unnest(build.reads) FROM _kiln.build JOIN needed USING (relation) WHERE build.dropped_at IS NULL
         ), present AS (
             SELECT table_name AS relation, 'table' AS kind FROM duckdb_tables()
             WHERE schema_name = '{DATA_SCHEMA}' AND database_name = current_database()
             UNION ALL
             SELECT view_name, 'view' FROM duckdb_views()
             WHERE schema_name = '{DATA_SCHEMA}' AND database_name = current_database()
         )
         SELECT relation, kind FROM present WHERE relation NOT IN (SELECT relation FROM needed WHERE relation IS NOT NULL)
         ORDER BY kind DESC, relation"
    ))?;
    Ok(rows
        .into_iter()
        .filter_map(|mut row| Some((row.first_mut()?.take()?, row.get_mut(1)?.take()?)))
        .collect())
}

/// The release that a rollback with no number goes to: the newest one before the current whose builds all exist.
pub fn previous(session: &Session, target: &str, current: &Release) -> Result<Option<i64>> {
    let rows = session.rows(&format!(
        "SELECT max(release_id)::VARCHAR FROM _kiln.release WHERE target = {} AND release_id < {}",
        literal(target),
        current.id
    ))?;
    Ok(rows.into_iter().next().and_then(|mut row| row.remove(0)).and_then(|id| id.parse().ok()))
}
