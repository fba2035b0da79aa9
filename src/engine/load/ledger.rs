//! The ledger: `_kiln.load`, one row for each load of each object. What it holds was loaded; what it does not hold was not.

use std::collections::HashMap;
use std::path::Path;

use duckdb::{Connection, params};

use crate::error::{Error, Result};
use crate::manifest::SourceTable;
use crate::names::{NodeId, Relation};
use crate::sql::quote::{identifier, literal};

use super::{LoadPlan, LoadedObject, Object, Stamp, database};

/// The ledger's columns: name, type, and what it says about itself.
pub const LEDGER: [(&str, &str, &str); 14] = [
    ("model", "VARCHAR NOT NULL", "the raw model"),
    ("source", "VARCHAR NOT NULL", "unique id of the source"),
    ("object", "VARCHAR NOT NULL", "path of the file, relative to the project where it is inside it"),
    (
        "content_hash",
        "VARCHAR NOT NULL",
        "BLAKE3 of the file's bytes; a path is loaded again when its content is not that of its last load",
    ),
    ("size", "BIGINT NOT NULL", "bytes of the file"),
    ("stamp", "VARCHAR", "size, times and inode of the file; while they are the same it is not read again"),
    ("rows", "BIGINT NOT NULL", "rows inserted into the raw table"),
    ("rejected", "BIGINT NOT NULL", "rows put into the rejected table"),
    ("batch_id", "BIGINT NOT NULL", "number of the load within the model; _batch_id of its rows"),
    ("run_id", "VARCHAR NOT NULL", "the run that loaded it"),
    ("loaded_at", "TIMESTAMP NOT NULL", "UTC; _loaded_at of its rows"),
    ("changed_from", "BIGINT", "batch that holds the content before, if the path was loaded before"),
    ("schema", "VARCHAR NOT NULL", "the source's columns as known after this load, as JSON"),
    ("notes", "VARCHAR NOT NULL", "what was said about it, as JSON"),
];

/// A file that was written less than this before it was looked at may be written again within the same tick of the clock.
const SETTLED_NS: i128 = 2_000_000_000;

/// Makes the ledger if it is not there.
pub fn create_ledger(conn: &Connection) -> Result<()> {
    let columns: Vec<String> =
        LEDGER.iter().map(|(name, kind, _)| format!("{} {kind}", identifier(name))).collect();
    let mut sql = format!(
        "CREATE SCHEMA IF NOT EXISTS _kiln;\nCREATE TABLE IF NOT EXISTS _kiln.load ({});\n",
        columns.join(", ")
    );
    sql.push_str("COMMENT ON TABLE _kiln.load IS 'every object that was loaded into a raw table';\n");
    for (name, _, comment) in LEDGER {
        sql.push_str(&format!(
            "COMMENT ON COLUMN _kiln.load.{} IS {};\n",
            identifier(name),
            literal(comment)
        ));
    }
    let exists: bool = conn
        .query_row(
            "SELECT count(*) > 0 FROM duckdb_tables() \
             WHERE database_name = current_database() AND schema_name = '_kiln' AND table_name = 'load'",
            [],
            |row| row.get(0),
        )
        .map_err(|error| database("read the catalog", &error))?;
    match exists {
        true => Ok(()),
        false => conn.execute_batch(&sql).map_err(|error| database("create the ledger", &error)),
    }
}

/// What of a source is to be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// Objects to load, in path order.
    pub objects: Vec<PendingObject>,
    /// How many are in the ledger as they are.
    pub unchanged: usize,
    /// Objects that could not be read to know their content, and why.
    pub unreadable: Vec<super::Failed>,
}

/// An object that the ledger does not know as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingObject {
    /// The object.
    pub object: Object,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub content_hash: String,
    /// Why it is to be loaded.
    pub reason: Reason,
}

/// Why an object is to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its path is new.
    New {
        /// An object whose last load had the same content: perhaps the file was only renamed.
        copy_of: Option<String>,
    },
    /// Its path is known with other content.
    Changed {
        /// The batch of the content before.
        previous: i64,
        /// An earlier batch that had the same content as now.
        same_as: Option<i64>,
    },
}

/// Compares what is on the disk with the ledger. Content decides: a file is hashed, unless its size, its times (that of
/// change among them, which nobody can set) and its inode are as the ledger saw them. The last load of a path is what
/// counts: a file that went back to what it was is loaded again, or the newest rows of it would be those that it no
/// longer has.
pub fn pending(conn: &Connection, model: &NodeId, objects: &[Object]) -> Result<Pending> {
    create_ledger(conn)?;
    let known = known_objects(conn, model)?;
    let mut names: Vec<&String> = known.keys().collect();
    names.sort();
    // By content, the first object that has it: a copy, or what a file was called before.
    let mut contents: HashMap<String, String> = HashMap::new();
    for name in names {
        if let Some(last) = known[name].last().filter(|load| load.rows > 0) {
            contents.entry(last.content_hash.clone()).or_insert_with(|| name.clone());
        }
    }
    let now = jiff::Timestamp::now().as_nanosecond();
    let mut result = Pending::default();
    let mut restamped: Vec<(i64, String)> = Vec::new();
    for object in objects {
        let before = known.get(&object.name).map(Vec::as_slice).unwrap_or_default();
        let last = before.last();
        if last.is_some_and(|load| load.stamp.as_deref() == Some(&*object.stamp.text)) {
            result.unchanged += 1;
            continue;
        }
        let content_hash = match hash(&object.path) {
            Ok(hash) => hash,
            Err(error) => {
                let reason = format!("cannot read it: {error}");
                result.unreadable.push(super::Failed { object: object.name.clone(), reason, help: None });
                continue;
            }
        };
        if let Some(load) = last.filter(|load| load.content_hash == content_hash) {
            result.unchanged += 1;
            if let Some(stamp) = object.stamp.settled(now) {
                restamped.push((load.batch_id, stamp.to_owned()));
            }
            continue;
        }
        let same = |load: &&KnownLoad| load.content_hash == content_hash;
        let reason = match last {
            Some(last) => Reason::Changed {
                previous: last.batch_id,
                same_as: before.iter().rev().find(same).map(|load| load.batch_id),
            },
            None => Reason::New { copy_of: contents.get(&content_hash).cloned() },
        };
        contents.entry(content_hash.clone()).or_insert_with(|| object.name.clone());
        result.objects.push(PendingObject { object: object.clone(), content_hash, reason });
    }
    restamp(conn, model, &restamped)?;
    Ok(result)
}

impl Stamp {
    /// The stamp as text, if the file has rested long enough for it to stand for the content.
    pub fn settled(&self, now_ns: i128) -> Option<&str> {
        (self.newest_ns.saturating_add(SETTLED_NS) < now_ns).then_some(self.text.as_str())
    }
}

struct KnownLoad {
    batch_id: i64,
    content_hash: String,
    stamp: Option<String>,
    rows: i64,
}

fn known_objects(conn: &Connection, model: &NodeId) -> Result<HashMap<String, Vec<KnownLoad>>> {
    let mut known: HashMap<String, Vec<KnownLoad>> = HashMap::new();
    let run = || -> duckdb::Result<_> {
        let sql = "SELECT object, batch_id, content_hash, stamp, rows FROM _kiln.load WHERE model = ? ORDER BY batch_id";
        let mut statement = conn.prepare(sql)?;
        let mut rows = statement.query(params![model.short()])?;
        while let Some(row) = rows.next()? {
            let load = KnownLoad {
                batch_id: row.get(1)?,
                content_hash: row.get(2)?,
                stamp: row.get(3)?,
                rows: row.get(4)?,
            };
            known.entry(row.get(0)?).or_default().push(load);
        }
        Ok(())
    };
    let mut run = run;
    run().map_err(|error| database("read the ledger", &error))?;
    Ok(known)
}

fn restamp(conn: &Connection, model: &NodeId, stamps: &[(i64, String)]) -> Result<()> {
    if stamps.is_empty() {
        return Ok(());
    }
    let values: Vec<String> =
        stamps.iter().map(|(batch, stamp)| format!("({batch}, {})", literal(stamp))).collect();
    let sql = format!(
        "UPDATE _kiln.load AS l SET stamp = s.stamp FROM (VALUES {}) AS s(batch_id, stamp) \
         WHERE l.batch_id = s.batch_id AND l.model = {}",
        values.join(", "),
        literal(model.short())
    );
    conn.execute_batch(&sql).map_err(|error| database("write the ledger", &error))
}

fn hash(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    // Not through mmap: a file that shrinks meanwhile would end the process.
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Forgets that a raw model was ever loaded: its table, its rejected rows and its ledger rows go in one transaction, and
/// the next load reads every file that is there. What only the table had is lost: this is `--reload`, asked for by name.
pub fn forget(conn: &Connection, model: &NodeId, relation: &Relation) -> Result<()> {
    create_ledger(conn)?;
    let sql = format!(
        "BEGIN; DROP TABLE IF EXISTS {relation}; DROP TABLE IF EXISTS {}; DELETE FROM _kiln.load WHERE model = {}; COMMIT;",
        super::table::rejected(relation),
        literal(model.short())
    );
    conn.execute_batch(&sql).map_err(|error| {
        // The error above is the one to tell.
        let _ = conn.execute_batch("ROLLBACK");
        database(&format!("forget `{}`", relation.plain()), &error)
    })
}

/// How new a source's data are: the newest value of `loaded_at_field`, else the newest load. `None` where there is none.
/// `model` is the raw model that loads the source and `relation` its table, or the source itself where kiln does not
/// load it. The ledger exists.
pub fn newest(
    conn: &Connection,
    source: &SourceTable,
    model: &NodeId,
    relation: &Relation,
) -> Result<Option<jiff::Timestamp>> {
    let sql = match &source.loaded_at_field {
        None => format!(
            "SELECT epoch_us(max(loaded_at)) FROM _kiln.load WHERE model = {}",
            literal(model.short())
        ),
        // Text goes through TIMESTAMP; dates and both kinds of timestamp have `epoch_us` without icu.
        Some(field) => {
            let field = identifier(field);
            let kind: String = conn
                .query_row(&format!("SELECT typeof(max({field})) FROM {relation}"), [], |row| row.get(0))
                .map_err(|error| {
                    database(&format!("read the freshness of `{}`", source.id.short()), &error)
                })?;
            match kind == "DATE" || kind.starts_with("TIMESTAMP") {
                true => format!("SELECT epoch_us(max({field})) FROM {relation}"),
                false => format!("SELECT epoch_us(max(TRY_CAST({field} AS TIMESTAMP))) FROM {relation}"),
            }
        }
    };
    let micros: Option<i64> = conn
        .query_row(&sql, [], |row| row.get(0))
        .map_err(|error| database(&format!("read the freshness of `{}`", source.id.short()), &error))?;
    let stamp = micros.map(jiff::Timestamp::from_microsecond).transpose();
    stamp.map_err(|error| {
        Error::machine(format!("the age of `{}` is out of range: {error}", source.id.short()))
    })
}

/// What the newest load of a model left.
#[derive(Debug, Default)]
pub(super) struct LastLoad {
    pub batch_id: i64,
    pub loaded_at_us: i64,
    /// Of all loads.
    pub rows: i64,
    pub columns: Vec<super::SourceColumn>,
}

/// Reads what the newest load of a model left; zeros if there was none.
pub(super) fn last_load(conn: &Connection, model: &NodeId) -> Result<LastLoad> {
    let sql = "SELECT coalesce(max(batch_id), 0), coalesce(epoch_us(max(loaded_at)), 0), arg_max(schema, batch_id), \
               coalesce(sum(rows), 0)::BIGINT FROM _kiln.load WHERE model = ?";
    let read =
        |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?, row.get(3)?));
    let (batch_id, loaded_at_us, schema, rows) = conn
        .query_row(sql, params![model.short()], read)
        .map_err(|error| database("read the ledger", &error))?;
    let columns = match schema {
        None => Vec::new(),
        Some(schema) => serde_json::from_str(&schema).map_err(|error| {
            Error::machine(format!("`_kiln.load.schema` of `{}` is damaged: {error}", model.short()))
        })?,
    };
    Ok(LastLoad { batch_id, loaded_at_us, rows, columns })
}

/// The source's columns as the loads of a model have seen them; none if there was no load.
pub fn loaded_columns(conn: &Connection, model: &NodeId) -> Result<Vec<super::SourceColumn>> {
    Ok(last_load(conn, model)?.columns)
}

/// Writes the ledger rows of a transaction.
pub(super) fn insert(
    conn: &Connection,
    plan: &LoadPlan<'_>,
    objects: &[&PendingObject],
    loaded: &[LoadedObject],
    columns: &[super::SourceColumn],
    first_time_us: i64,
) -> duckdb::Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let now = jiff::Timestamp::now().as_nanosecond();
    let schema = literal(&serde_json::to_string(columns).unwrap_or_else(|_| "[]".to_owned()));
    let rows: Vec<String> = objects
        .iter()
        .zip(loaded)
        .zip(first_time_us..)
        .map(|((object, loaded), time)| {
            let stamp = object.object.stamp.settled(now).map_or_else(|| "NULL".to_owned(), literal);
            let changed_from = match object.reason {
                Reason::New { .. } => "NULL".to_owned(),
                Reason::Changed { previous, .. } => previous.to_string(),
            };
            format!(
                "({}, {}, {}, {}, {}, {stamp}, {}, {}, {}, {}, make_timestamp({time}), {changed_from}, {schema}, {})",
                literal(plan.model.id.short()),
                literal(plan.source.id.as_str()),
                literal(&object.object.name),
                literal(&object.content_hash),
                object.object.size,
                loaded.rows,
                loaded.rejected,
                loaded.batch_id,
                literal(plan.run_id),
                literal(&serde_json::to_string(&loaded.notes).unwrap_or_else(|_| "[]".to_owned())),
            )
        })
        .collect();
    let names: Vec<&str> = LEDGER.iter().map(|(name, _, _)| *name).collect();
    let names = crate::sql::quote::identifiers(names);
    conn.execute_batch(&format!("INSERT INTO _kiln.load ({names}) VALUES {}", rows.join(", ")))
}
