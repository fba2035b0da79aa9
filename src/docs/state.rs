//! State: what the target's database remembers of runs, builds, tests, loads and releases, as the site shows it.
//!
//! Read-only, and in few queries however many models there are.

use std::collections::{BTreeMap, HashMap};

pub mod growth;

use crate::engine::load::Note;
use crate::engine::session::{Session, SqlError};
use crate::engine::state;
use crate::error::Result;
use crate::names::Relation;
use crate::origin::Origin;
use crate::run::freshness::{SourceFreshness, measure};
use crate::sql::quote::literal;
use crate::workspace::Workspace;
use growth::{Grown, IntervalRow};

/// Newest runs that the site shows.
const RUNS: usize = 50;
/// Newest releases that the site shows.
const RELEASES: usize = 50;
/// Newest results of a test, and builds of a model, that the site shows.
const HISTORY: usize = 30;

/// What is remembered of one target.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Newest first.
    pub runs: Vec<RunRow>,
    /// Newest first.
    pub releases: Vec<ReleaseRow>,
    /// What readers see, by model.
    pub published: BTreeMap<String, PublishedRow>,
    /// Builds by model, oldest first.
    pub builds: HashMap<String, Vec<BuildRow>>,
    /// Results by test, newest first.
    pub tests: HashMap<String, Vec<ResultRow>>,
    /// Intervals by model, oldest first.
    pub intervals: HashMap<String, Vec<IntervalRow>>,
    /// Loads by source id, newest first.
    pub loads: HashMap<String, Vec<LoadRow>>,
    /// What did not fit, by source id, the most frequent first.
    pub rejects: HashMap<String, Vec<RejectRow>>,
    /// How fresh the sources were that say how fresh they must be, when the newest run ended, by source id.
    pub freshness: HashMap<String, FreshnessRow>,
}

/// A run.
#[derive(Debug, Clone, Default)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// `run`, `test`, `rollback`.
    pub command: String,
    /// How it ended.
    pub status: String,
    /// UTC.
    pub started: String,
    /// UTC.
    pub ended: Option<String>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Built, reused, failed, skipped.
    pub counts: [Option<u64>; 4],
    /// What it published.
    pub release: Option<i64>,
    /// Why nothing was published.
    pub message: Option<String>,
    /// Who ran it, from which commit, in which job.
    pub origin: Origin,
}

/// A release.
#[derive(Debug, Clone, Default)]
pub struct ReleaseRow {
    /// 1, 2, 3…
    pub id: i64,
    /// The run that published it.
    pub run: String,
    /// `run` or `rollback`.
    pub kind: String,
    /// For a rollback, what it restored.
    pub restores: Option<i64>,
    /// UTC.
    pub at: String,
    /// Who published it, from which commit, in which job.
    pub origin: Origin,
    /// How many models and seeds it shows.
    pub models: u64,
    /// Models and seeds that it shows and the release before did not.
    pub added: Vec<String>,
    /// Those of which it shows another build than the release before.
    pub changed: Vec<String>,
    /// Those that only the release before showed.
    pub removed: Vec<String>,
}

/// What readers see of a model.
#[derive(Debug, Clone, Default)]
pub struct PublishedRow {
    /// The build.
    pub fingerprint: String,
    /// The first release in a row that shows it.
    pub since: i64,
    /// Rows; unknown for a view.
    pub rows: Option<u64>,
}

/// A build.
#[derive(Debug, Clone, Default)]
pub struct BuildRow {
    /// Its fingerprint.
    pub fingerprint: String,
    /// UTC.
    pub at: String,
    /// The run that made it.
    pub run: String,
    /// Rows; unknown for a view.
    pub rows: Option<u64>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Bytes of it in the file; unknown for a view.
    pub bytes: Option<u64>,
    /// What came to the build before, if it was not made anew.
    pub grown: Option<Grown>,
    /// Releases that show it.
    pub releases: Vec<i64>,
    /// It was collected.
    pub dropped: bool,
}

/// The outcome of a test.
#[derive(Debug, Clone, Default)]
pub struct ResultRow {
    /// `pass`, `warn`, `fail`, `error`.
    pub status: String,
    /// What was counted.
    pub failures: Option<i64>,
    /// Rows of the model.
    pub rows: Option<i64>,
    /// UTC.
    pub at: String,
    /// The run.
    pub run: String,
    /// What went wrong.
    pub message: Option<String>,
}

/// A load of an object.
#[derive(Debug, Clone, Default)]
pub struct LoadRow {
    /// The raw model.
    pub model: String,
    /// Path of the file.
    pub object: String,
    /// Bytes of it.
    pub size: u64,
    /// Rows that went in.
    pub rows: u64,
    /// Rows that did not fit.
    pub rejected: u64,
    /// UTC.
    pub at: String,
    /// It was loaded before with other content.
    pub again: bool,
    /// What was said about it.
    pub notes: Vec<Note>,
}

/// How fresh a source was.
#[derive(Debug, Clone, Default)]
pub struct FreshnessRow {
    /// The newest moment in its data, UTC.
    pub newest: Option<String>,
    /// What is wrong with that, if anything is.
    pub complaint: Option<String>,
}

/// Rows of a source that did not fit, for the same column.
#[derive(Debug, Clone, Default)]
pub struct RejectRow {
    /// The column, if it was one.
    pub column: Option<String>,
    /// How many there are.
    pub count: u64,
    /// Of the newest of them: why.
    pub reason: String,
    /// The file that it came from.
    pub object: String,
    /// Its line there.
    pub line: Option<u64>,
    /// The row as it stands there.
    pub raw: String,
}

/// Reads what is remembered of a target.
///
/// # Errors
/// The database failed.
pub fn read(session: &Session, workspace: &Workspace) -> Result<Memory> {
    let mut memory = Memory::default();
    if !state::is_present(session)? {
        return Ok(memory);
    }
    let target = literal(&workspace.target.name);
    memory.runs = runs(session, &target)?;
    memory.releases = releases(session, &target)?;
    memory.published = published(session, &target)?;
    memory.builds = builds(session, &target)?;
    memory.intervals = growth::intervals(session, &target)?;
    memory.tests = tests(session, &target)?;
    // A project that loads no files has no ledger.
    if session.describe("SELECT * FROM _kiln.load").is_ok() {
        memory.loads = loads(session)?;
    }
    for source in workspace.manifest.sources.values() {
        let landing = workspace.landing_of(&source.id).and_then(|id| workspace.manifest.nodes.get(id));
        let id = source.id.as_str();
        if let Some(landing) = landing.filter(|_| rejected(memory.loads.get(id)) > 0) {
            memory.rejects.insert(id.to_owned(), rejects(session, &landing.relation));
        }
    }
    memory.freshness = fresh(session, workspace, &memory);
    Ok(memory)
}

fn rejected(loads: Option<&Vec<LoadRow>>) -> u64 {
    loads.into_iter().flatten().map(|load| load.rejected).sum()
}

/// What did not fit into a raw table. Its table of rejected rows may have been dropped by hand: then nothing is known.
fn rejects(session: &Session, relation: &Relation) -> Vec<RejectRow> {
    let table = Relation::new(&relation.schema, format!("{}__rejected", relation.name));
    let newest = |column: &str| format!("last({column} ORDER BY _loaded_at, _line)");
    let rows = session.rows(&format!(
        "SELECT _column, count(*)::VARCHAR, {}, {}, {}::VARCHAR, {} FROM {table} GROUP BY _column \
         ORDER BY count(*) DESC, _column LIMIT {HISTORY}",
        newest("_reason"),
        newest("_source_object"),
        newest("_line"),
        newest("_raw"),
    ));
    let reject = |row| {
        let mut cells = Cells::of(row);
        RejectRow {
            column: cells.maybe(),
            count: cells.number().unwrap_or_default(),
            reason: cells.text(),
            object: cells.text(),
            line: cells.number(),
            raw: cells.text(),
        }
    };
    rows.unwrap_or_default().into_iter().map(reject).collect()
}

/// How fresh sources were when the newest run ended.
fn fresh(session: &Session, workspace: &Workspace, memory: &Memory) -> HashMap<String, FreshnessRow> {
    let Some(now) = memory.now() else { return HashMap::new() };
    let all = workspace.manifest.sources.keys().cloned().collect();
    let row = |one: SourceFreshness| {
        let newest = one.newest.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let row = FreshnessRow { complaint: one.complaint(), newest };
        (one.source.as_str().to_owned(), row)
    };
    measure(workspace, session, &all, now).into_iter().map(row).collect()
}

impl Memory {
    /// When the newest run ended, or else began: what counts as now.
    pub fn now(&self) -> Option<jiff::Timestamp> {
        let run = self.runs.first()?;
        timestamp(run.ended.as_deref().unwrap_or(&run.started))
    }
}

/// A moment as it is written here.
pub fn timestamp(moment: &str) -> Option<jiff::Timestamp> {
    let civil: jiff::civil::DateTime = moment.parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Takes the cells of a row one by one.
struct Cells(std::vec::IntoIter<Option<String>>);

impl Cells {
    fn of(row: Vec<Option<String>>) -> Self {
        Self(row.into_iter())
    }

    fn maybe(&mut self) -> Option<String> {
        self.0.next().flatten()
    }

    fn text(&mut self) -> String {
        self.maybe().unwrap_or_default()
    }

    fn origin(&mut self) -> Origin {
        Origin { by: self.maybe(), commit: self.maybe(), job: self.maybe() }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.maybe().and_then(|text| text.parse().ok())
    }
}

/// How a moment is written.
fn moment(column: &str) -> String {
    format!("strftime({column}, '%Y-%m-%d %H:%M:%S')")
}

/// The columns of a run's origin, of a file that may be older than they are.
fn origin_of(session: &Session) -> String {
    ["run_by", "git_commit", "job"].map(|column| state::column_if_known(session, "run", column)).join(", ")
}

fn runs(session: &Session, target: &str) -> Result<Vec<RunRow>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT run_id, command, status, {}, {}, (epoch(ended_at) - epoch(started_at))::VARCHAR, built::VARCHAR, \
         reused::VARCHAR, failed::VARCHAR, skipped::VARCHAR, release_id::VARCHAR, message, {} FROM _kiln.run \
         WHERE target = {target} ORDER BY started_at DESC, run_id DESC LIMIT {RUNS}",
        moment("started_at"),
        moment("ended_at"),
        origin_of(session),
    ))?;
    let run = |row| {
        let mut cells = Cells::of(row);
        RunRow {
            id: cells.text(),
            command: cells.text(),
            status: cells.text(),
            started: cells.text(),
            ended: cells.maybe(),
            seconds: cells.number(),
            counts: [cells.number(), cells.number(), cells.number(), cells.number()],
            release: cells.number(),
            message: cells.maybe(),
            origin: cells.origin(),
        }
    };
    Ok(rows.into_iter().map(run).collect())
}

fn releases(session: &Session, target: &str) -> Result<Vec<ReleaseRow>, SqlError> {
    // One more than is shown: the oldest that is shown is compared with it.
    let rows = session.rows(&format!(
        "SELECT release_id::VARCHAR, run_id, kind, restores::VARCHAR, {}, {} FROM _kiln.release LEFT JOIN ( \
             SELECT * EXCLUDE (release_id, target) FROM _kiln.run \
         ) USING (run_id) WHERE target = {target} ORDER BY release_id DESC LIMIT {}",
        moment("published_at"),
        origin_of(session),
        RELEASES + 1,
    ))?;
    let release = |row| {
        let mut cells = Cells::of(row);
        ReleaseRow {
            id: cells.number().unwrap_or_default(),
            run: cells.text(),
            kind: cells.text(),
            restores: cells.number(),
            at: cells.text(),
            origin: cells.origin(),
            ..ReleaseRow::default()
        }
    };
    let mut releases: Vec<ReleaseRow> = rows.into_iter().map(release).collect();
    let Some(oldest) = releases.last().map(|release| release.id) else { return Ok(releases) };
    let changes = session.rows(&format!(
        "WITH numbered AS (
             SELECT release_id, row_number() OVER (ORDER BY release_id) AS place FROM _kiln.release
             WHERE target = {target} AND release_id >= {oldest}
         ), shown AS (
             SELECT place, model, fingerprint FROM _kiln.release_model JOIN numbered USING (release_id)
         ), compared AS (
             SELECT coalesce(now.place, before.place + 1) AS place, coalesce(now.model, before.model) AS model,
                 CASE WHEN before.model IS NULL THEN 'added' WHEN now.model IS NULL THEN 'removed' ELSE 'changed' END AS change
             FROM shown AS now FULL JOIN shown AS before ON now.model = before.model AND now.place = before.place + 1
             WHERE now.fingerprint IS DISTINCT FROM before.fingerprint
         )
         SELECT release_id::VARCHAR, change, model FROM compared JOIN numbered USING (place) ORDER BY release_id, model"
    ))?;
    let counts = session.pairs(&format!(
        "SELECT release_id, count(*) FROM _kiln.release_model WHERE release_id >= {oldest} GROUP BY release_id"
    ))?;
    let counts: HashMap<i64, i64> = counts.into_iter().collect();
    for release in &mut releases {
        release.models = counts.get(&release.id).copied().unwrap_or_default().unsigned_abs();
    }
    let mut places: HashMap<i64, usize> =
        releases.iter().enumerate().map(|(at, release)| (release.id, at)).collect();
    if releases.len() > RELEASES {
        places.remove(&oldest);
        releases.truncate(RELEASES);
    }
    for row in changes {
        let mut cells = Cells::of(row);
        let id = cells.number::<i64>().unwrap_or_default();
        let Some(release) = places.get(&id).and_then(|at| releases.get_mut(*at)) else { continue };
        match cells.text().as_str() {
            "added" => release.added.push(cells.text()),
            "removed" => release.removed.push(cells.text()),
            _ => release.changed.push(cells.text()),
        }
    }
    Ok(releases)
}

fn published(session: &Session, target: &str) -> Result<BTreeMap<String, PublishedRow>, SqlError> {
    let rows = session.rows(&format!(
        "WITH mine AS (
             SELECT release_id, model, fingerprint FROM _kiln.release_model JOIN _kiln.release USING (release_id)
             WHERE target = {target}
         ), newest AS (SELECT max(release_id) AS release_id FROM _kiln.release WHERE target = {target})
         SELECT now.model, now.fingerprint, (
             SELECT min(m.release_id) FROM mine AS m WHERE m.model = now.model AND m.fingerprint = now.fingerprint
                 AND m.release_id > coalesce((
                     SELECT max(o.release_id) FROM mine AS o WHERE o.model = now.model AND o.fingerprint <> now.fingerprint
                 ), 0)
         )::VARCHAR, (
             SELECT max(b.rows) FROM _kiln.build AS b WHERE b.fingerprint = now.fingerprint AND b.model = now.model
         )::VARCHAR
         FROM mine AS now JOIN newest USING (release_id)"
    ))?;
    let row = |row| {
        let mut cells = Cells::of(row);
        let (model, fingerprint) = (cells.text(), cells.text());
        (model, PublishedRow { fingerprint, since: cells.number().unwrap_or_default(), rows: cells.number() })
    };
    Ok(rows.into_iter().map(row).collect())
}

fn builds(session: &Session, target: &str) -> Result<HashMap<String, Vec<BuildRow>>, SqlError> {
    // What no run has measured yet is measured here.
    let sizes = state::size::read(session)?;
    let grown = growth::grown(session, target)?;
    let rows = session.rows(&format!(
        "SELECT model, fingerprint, {}, run_id, rows::VARCHAR, seconds::VARCHAR, relation, {}::VARCHAR, \
         (dropped_at IS NOT NULL)::VARCHAR, (
             SELECT string_agg(DISTINCT release_id, ' ' ORDER BY release_id) FROM _kiln.release_model AS m
             JOIN _kiln.release AS r USING (release_id)
             WHERE r.target = {target} AND m.model = build.model AND m.fingerprint = build.fingerprint
         ) FROM _kiln.build
         QUALIFY row_number() OVER (PARTITION BY model ORDER BY built_at DESC, relation DESC) <= {HISTORY}
         ORDER BY model, built_at, relation",
        moment("built_at"),
        state::column_if_known(session, "build", "bytes"),
    ))?;
    let mut builds: HashMap<String, Vec<BuildRow>> = HashMap::new();
    for row in rows {
        let mut cells = Cells::of(row);
        let (model, mut build) = (cells.text(), BuildRow::default());
        build.fingerprint = cells.text();
        build.at = cells.text();
        build.run = cells.text();
        build.rows = cells.number();
        build.seconds = cells.number();
        let relation = cells.text();
        build.bytes = cells.number().or_else(|| sizes.get(&relation).copied());
        build.grown = grown.get(&relation).copied();
        builds.entry(model).or_default().push(BuildRow {
            dropped: cells.text() == "true",
            releases: cells.text().split(' ').filter_map(|id| id.parse().ok()).collect(),
            ..build
        });
    }
    Ok(builds)
}

fn tests(session: &Session, target: &str) -> Result<HashMap<String, Vec<ResultRow>>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT test, status, failures::VARCHAR, rows::VARCHAR, {}, run_id, message FROM _kiln.test_result \
         WHERE target = {target} \
         QUALIFY row_number() OVER (PARTITION BY test ORDER BY tested_at DESC, run_id DESC) <= {HISTORY} \
         ORDER BY test, tested_at DESC, run_id DESC",
        moment("tested_at"),
    ))?;
    let mut tests: HashMap<String, Vec<ResultRow>> = HashMap::new();
    for row in rows {
        let mut cells = Cells::of(row);
        tests.entry(cells.text()).or_default().push(ResultRow {
            status: cells.text(),
            failures: cells.number(),
            rows: cells.number(),
            at: cells.text(),
            run: cells.text(),
            message: cells.maybe(),
        });
    }
    Ok(tests)
}

fn loads(session: &Session) -> Result<HashMap<String, Vec<LoadRow>>, SqlError> {
    let rows = session.rows(&format!(
        "SELECT source, model, object, size::VARCHAR, rows::VARCHAR, rejected::VARCHAR, {}, \
         (changed_from IS NOT NULL)::VARCHAR, notes FROM _kiln.load ORDER BY source, loaded_at DESC, object",
        moment("loaded_at"),
    ))?;
    let mut loads: HashMap<String, Vec<LoadRow>> = HashMap::new();
    for row in rows {
        let mut cells = Cells::of(row);
        loads.entry(cells.text()).or_default().push(LoadRow {
            model: cells.text(),
            object: cells.text(),
            size: cells.number().unwrap_or_default(),
            rows: cells.number().unwrap_or_default(),
            rejected: cells.number().unwrap_or_default(),
            at: cells.text(),
            again: cells.text() == "true",
            notes: serde_json::from_str(&cells.text()).unwrap_or_default(),
        });
    }
    Ok(loads)
}
