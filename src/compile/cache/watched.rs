//! Watched: an environment that notes which of its variables were read, and what a compile looks at outside of the project's
//! own texts: seeds, the files of sources, the day.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Located, Location};
use crate::engine::load::{self, Object, Stamp};
use crate::engine::state::now;
use crate::manifest::{Manifest, NodeKind};
use crate::names::Fingerprint;
use crate::resolve::endings;
use crate::template::Env;

/// A seed up to this size is known by its content too, so that a fresh checkout is no change.
const HASHED_BYTES: u64 = 16 << 20;

/// What was read of the environment: each name with a hash of its value, none for a variable that is not set.
pub type EnvReads = BTreeMap<String, Option<String>>;

/// An environment that notes what is read of it.
#[derive(Debug, Clone, Default)]
pub struct WatchedEnv(Arc<Mutex<EnvReads>>);

impl WatchedEnv {
    /// Watches an environment.
    pub fn watch(&self, env: Env) -> Env {
        let reads = Arc::clone(&self.0);
        Arc::new(move |name| {
            let value = env(name);
            let mut reads = reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.insert(name.to_owned(), value.as_deref().map(hashed));
            value
        })
    }

    /// What was read so far.
    pub fn reads(&self) -> EnvReads {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether variables still have the values that they had.
pub fn same_env(reads: &EnvReads, env: &Env) -> bool {
    reads.iter().all(|(name, value)| env(name).as_deref().map(hashed) == *value)
}

fn hashed(value: &str) -> String {
    Fingerprint::of([value.as_bytes()]).as_str().to_owned()
}

/// Files that DuckDB reads while a project compiles, and for how long it compiles so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// Seeds.
    seeds: Vec<SeenFile>,
    /// What each source's patterns name.
    sources: Vec<(Vec<String>, Vec<SeenFile>)>,
    /// The day after which something is over, which is said.
    last_day: Option<String>,
    /// The target's database, where columns of sources are read from it.
    #[serde(default)]
    database: Option<Database>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Database {
    path: String,
    /// Nothing where there is no such file.
    seen: Option<SeenFile>,
}

impl Database {
    fn look(root: &Path, path: String) -> Option<Self> {
        let seen = match root.join(&path).is_file() {
            true => Some(SeenFile::look(root, &path, false)?),
            false => None,
        };
        Some(Self { path, seen })
    }

    fn is_same(&self, root: &Path) -> bool {
        match &self.seen {
            Some(file) => file.is_same(root),
            None => !root.join(&self.path).is_file(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SeenFile {
    path: String,
    stamp: String,
    /// The stamp stands for the content: the file had rested when it was looked at.
    rested: bool,
    content: Option<String>,
}

impl Outside {
    /// What there is now. `None` where it cannot be told.
    pub fn look(root: &Path, manifest: &Manifest) -> Option<Self> {
        let seeds = manifest.nodes.values().filter(|node| node.kind == NodeKind::Seed);
        let seeds = seeds.map(|node| SeenFile::look(root, &node.file.path.to_string_lossy(), true));
        let sources = manifest.sources.values().filter_map(|source| {
            let files = source.files.as_ref()?;
            let patterns: Vec<String> = files.patterns.iter().map(|pattern| pattern.value.clone()).collect();
            Some(named_by(root, &patterns).map(|found| (patterns, found)))
        });
        let last_day = endings::next(manifest, &now());
        Some(Self {
            seeds: seeds.collect::<Option<_>>()?,
            sources: sources.collect::<Option<_>>()?,
            last_day,
            database: None,
        })
    }

    /// Looks at the target's database too.
    pub fn with_database(self, root: &Path, path: &Path) -> Option<Self> {
        let database = Some(Database::look(root, path.to_str()?.to_owned())?);
        Some(Self { database, ..self })
    }

    /// Whether it can be told later that nothing has changed.
    pub fn is_certain(&self) -> bool {
        self.all().all(|file| file.rested || file.content.is_some())
    }

    /// Whether everything is still as it was.
    pub fn is_same(&self, root: &Path) -> bool {
        let sources = self.sources.iter().all(|(patterns, files)| {
            let before = files.iter().map(|file| &file.path);
            objects(root, patterns).is_some_and(|now| now.iter().map(|object| &object.name).eq(before))
        });
        let in_time = self.last_day.as_ref().is_none_or(|day| !endings::is_over(day, &now()));
        let database = self.database.as_ref().is_none_or(|database| database.is_same(root));
        in_time && sources && database && self.all().all(|file| file.is_same(root))
    }

    /// What there is now, if it is what there was before and it can be told later that nothing has changed.
    pub fn look_again(self, root: &Path, manifest: &Manifest) -> Option<Self> {
        let now = Self::look(root, manifest)?;
        let now = match &self.database {
            Some(database) => now.with_database(root, Path::new(&database.path))?,
            None => now,
        };
        let now = Some(now).filter(Self::is_certain)?;
        // In this order: what changes between the two looks is found by the second.
        self.is_same(root).then_some(now)
    }

    fn all(&self) -> impl Iterator<Item = &SeenFile> {
        let database = self.database.iter().flat_map(|database| &database.seen);
        self.seeds.iter().chain(self.sources.iter().flat_map(|(_, files)| files)).chain(database)
    }
}

fn objects(root: &Path, patterns: &[String]) -> Option<Vec<Object>> {
    let nowhere = Location::whole_file("");
    let patterns: Vec<Located<String>> =
        patterns.iter().map(|pattern| Located::new(pattern.clone(), nowhere.clone())).collect();
    Some(load::named_by(root, "", &patterns).ok()?.objects)
}

fn named_by(root: &Path, patterns: &[String]) -> Option<Vec<SeenFile>> {
    let found = objects(root, patterns)?;
    found.iter().map(|object| SeenFile::look(root, &object.name, false)).collect()
}

impl SeenFile {
    fn look(root: &Path, path: &str, by_content: bool) -> Option<Self> {
        let whole = root.join(path);
        let metadata = std::fs::metadata(&whole).ok()?;
        let stamp = Stamp::of(&metadata);
        let rested = stamp.settled(jiff::Timestamp::now().as_nanosecond()).is_some();
        let wanted = (by_content || !rested) && metadata.len() <= HASHED_BYTES;
        let content = if wanted { Some(content(&whole)?) } else { None };
        Some(Self { path: path.to_owned(), stamp: stamp.text, rested, content })
    }

    fn is_same(&self, root: &Path) -> bool {
        let path = root.join(&self.path);
        let same_stamp = std::fs::metadata(&path).is_ok_and(|now| Stamp::of(&now).text == self.stamp);
        (same_stamp && self.rested) || (self.content.is_some() && content(&path) == self.content)
    }
}

fn content(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(Fingerprint::of([bytes.as_slice()]).as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_on_a_day_is_looked_at_again_after_it() {
        let until = |day: Option<&str>| Outside {
            seeds: Vec::new(),
            sources: Vec::new(),
            last_day: day.map(ToOwned::to_owned),
            database: None,
        };
        let today = now().get(..10).map(ToOwned::to_owned);
        assert!(until(None).is_same(Path::new(".")));
        assert!(until(today.as_deref()).is_same(Path::new(".")));
        assert!(until(Some("2999-12-31")).is_same(Path::new(".")));
        assert!(!until(Some("2020-01-01")).is_same(Path::new(".")));
    }
}
