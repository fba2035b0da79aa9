//! The cache: one file in the target folder with what the last compile found, so that the next one does only what changed.
//!
//! It is text. The first line names the format, the Kiln that wrote it and a hash of each part; the second says what the
//! compile as a whole followed from ([`whole`]). A file that is cut off, damaged, or written by another Kiln is no cache:
//! nothing of it is believed, and the next compile writes a new one. It is written beside its place and renamed, so that
//! whoever reads it sees the old one or the new one.

pub mod memory;
pub mod saved;
#[cfg(test)]
mod tests;
pub mod watched;
pub mod whole;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::names::Fingerprint;

/// Changes whenever what is written does.
const FORMAT: u32 = 1;

/// The file's name in the target folder.
pub const FILE_NAME: &str = "compile.cache";

/// The file whose lock is held while artifacts are written.
const LOCK_NAME: &str = "compile.lock";

/// How long another compile may write before this one goes on without the lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cache of one target folder.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    name: &'static str,
    kiln: Fingerprint,
}

/// Two compiles that write into one folder take turns.
#[derive(Debug)]
pub struct Turn {
    /// The lock ends with the file. `None` where the machine has no locks, or the other takes too long.
    lock: Option<File>,
}

impl Turn {
    /// Whether nobody else writes.
    pub fn is_alone(&self) -> bool {
        self.lock.is_some()
    }
}

impl Cache {
    /// The cache in a target folder. `binary` tells builds of one version of Kiln apart.
    pub fn new(folder: &Path, binary: &str) -> Self {
        Self::named(folder, binary, FILE_NAME)
    }

    /// A cache with another name: what it holds is another type.
    pub fn named(folder: &Path, binary: &str, name: &'static str) -> Self {
        let kiln = Fingerprint::of([env!("CARGO_PKG_VERSION").as_bytes(), binary.as_bytes()]);
        Self { folder: folder.to_owned(), name, kiln }
    }

    /// Makes it remember nothing.
    pub fn forget(&self) {
        // What is not there is forgotten.
        let _ = std::fs::remove_file(self.folder.join(self.name));
    }

    /// The target folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the last compile as a whole followed from, if it was good.
    pub fn whole<T: DeserializeOwned>(&self) -> Option<T> {
        let (head, mut reader) = self.open()?;
        serde_json::from_str(&line(&mut reader, &head.whole)?).ok()
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn store<T: Serialize>(&self, whole: Option<&T>, rest: &str) -> Result<()> {
        let whole = serde_json::to_string(&whole)
            .map_err(|error| Error::Bug(format!("the cache is no JSON: {error}")))?
            + "\n";
        let head = Head { whole: hash(whole.as_bytes()), rest: hash(rest.as_bytes()) };
        let path = self.folder.join(self.name);
        let written = tempfile::NamedTempFile::new_in(&self.folder).and_then(|mut file| {
            file.write_all(head.line(&self.kiln).as_bytes())?;
            file.write_all(whole.as_bytes())?;
            file.write_all(rest.as_bytes())?;
            Ok(file.persist(&path)?)
        });
        written.map(drop).map_err(|error| Error::io("write", &path, &error))
    }

    /// The part behind the first two lines.
    pub fn rest(&self) -> Option<String> {
        let (head, mut reader) = self.open()?;
        line(&mut reader, &head.whole)?;
        let mut text = String::new();
        reader.read_to_string(&mut text).ok()?;
        (hash(text.as_bytes()) == head.rest).then_some(text)
    }

    /// Waits until no other compile writes into the folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn turn(&self) -> Result<Turn> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| Error::io("create the folder", &self.folder, &error))?;
        let Ok(file) = File::create(self.folder.join(LOCK_NAME)) else { return Ok(Turn { lock: None }) };
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Turn { lock: Some(file) }),
                Err(std::fs::TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(_) => return Ok(Turn { lock: None }),
            }
        }
    }

    fn open(&self) -> Option<(Head, BufReader<File>)> {
        let mut reader = BufReader::with_capacity(1 << 16, File::open(self.folder.join(self.name)).ok()?);
        let mut first = String::new();
        // A foreign file may have no line's end at all.
        (&mut reader).take(1 << 10).read_line(&mut first).ok()?;
        Some((Head::read(&first, &self.kiln)?, reader))
    }
}

/// The first line.
struct Head {
    whole: String,
    rest: String,
}

impl Head {
    fn line(&self, kiln: &Fingerprint) -> String {
        format!("kiln compile cache {FORMAT} {kiln} {} {}\n", self.whole, self.rest)
    }

    fn read(line: &str, kiln: &Fingerprint) -> Option<Self> {
        let words = line.strip_prefix(&format!("kiln compile cache {FORMAT} {kiln} "))?;
        let (whole, rest) = words.strip_suffix('\n')?.split_once(' ')?;
        Some(Self { whole: whole.to_owned(), rest: rest.to_owned() })
    }
}

/// The next line, if it is what was written.
fn line(reader: &mut impl BufRead, expected: &str) -> Option<String> {
    let mut text = String::new();
    reader.read_line(&mut text).ok()?;
    (hash(text.as_bytes()) == expected).then_some(text)
}

fn hash(bytes: &[u8]) -> String {
    Fingerprint::of([bytes]).as_str().to_owned()
}
