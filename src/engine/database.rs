//! The database: one DuckDB file that holds builds, published views, raw tables and state.
//!
//! DuckDB lets one process write a file. A lock file beside it says which run of Kiln that is, so that a second run can
//! be told; the kernel frees the lock when its holder dies, whatever the death.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};

use super::load::Stamp;
use super::session::{Session, SqlError, Width};
use crate::error::{Error, Result};
use crate::names::Fingerprint;

/// What to do about a folder that cannot be written.
const ELSEWHERE: &str = "make its folder writable, or give the target another `path`";

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The file.
    pub path: PathBuf,
    /// Threads that DuckDB may use for one query.
    pub threads: usize,
    /// DuckDB settings from the target, by name: `memory_limit`, `temp_directory`…
    pub settings: Vec<(String, String)>,
    /// Who opens it, for whoever waits: `run 0193…, kiln run`.
    pub holder: String,
    /// How long to wait for another process to let go.
    pub patience: Duration,
}

/// An open database. Dropping it closes the file and frees the lock.
pub struct Database {
    // Declared before the lock: the connection closes first.
    session: Session,
    path: PathBuf,
    _lock: Option<File>,
}

impl Database {
    /// Opens a file for writing, making it and its folder if they are not there. It has one thread until a session
    /// [widens](Session::widen).
    ///
    /// # Errors
    /// Another run of Kiln holds it, another program holds it (its process id is named), or it cannot be opened.
    pub fn open(options: &Opening) -> Result<Self> {
        if let Some(folder) = options.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::io("create the folder", folder, &error).hint(ELSEWHERE))?;
        }
        let deadline = Instant::now() + options.patience;
        let lock = lock(options, deadline)?;
        let connection = loop {
            match connect(options, AccessMode::ReadWrite, 1) {
                Ok(connection) => break connection,
                Err(error) if is_locked(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(cannot_open(options, &error)),
            }
        };
        let is_set = options.settings.iter().any(|(name, _)| name.eq_ignore_ascii_case("threads"));
        let width = Width::narrow(if is_set { 1 } else { options.threads });
        let session = Session::narrow(connection, width)?;
        Ok(Self { session, path: options.path.clone(), _lock: Some(lock) })
    }

    /// Opens a file to read what is published. `None` if there is no file yet.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn open_read_only(options: &Opening) -> Result<Option<Self>> {
        if !options.path.exists() {
            return Ok(None);
        }
        let deadline = Instant::now() + options.patience;
        loop {
            match connect(options, AccessMode::ReadOnly, options.threads) {
                Ok(connection) => {
                    let session = Session::new(connection)?;
                    return Ok(Some(Self { session, path: options.path.clone(), _lock: None }));
                }
                Err(error) if is_locked(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(cannot_open(options, &error)),
            }
        }
    }

    /// Writes everything into the file, and gives its mark. Nobody else can write the file before this is dropped.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn settle(&self) -> Result<Option<Fingerprint>, SqlError> {
        self.session.execute("CHECKPOINT")?;
        Ok(mark(&self.path))
    }

    /// Leaves the file to the end of the process: taking apart what DuckDB knows of a thousand tables costs more than
    /// writing it. Only after [`Database::settle`], and where the process is about to end.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// The main session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// A session for a worker.
    pub fn worker(&self) -> Result<Session, SqlError> {
        self.session.fork()
    }
}

/// What tells the state of a database file from those before and after it: DuckDB writes one of its headers with each
/// checkpoint. `None` where a log beside it knows more than the file, or where it cannot be read.
pub fn mark(path: &Path) -> Option<Fingerprint> {
    const HEADERS: usize = 3 * 4096;
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    if Path::new(&log).exists() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let stamp = Stamp::of(&file.metadata().ok()?);
    let mut headers = vec![0; HEADERS];
    file.read_exact(&mut headers).ok()?;
    Some(Fingerprint::of([headers.as_slice(), stamp.text.as_bytes()]))
}

fn connect(options: &Opening, mode: AccessMode, threads: usize) -> Result<Connection, SqlError> {
    let mut config = Config::default()
        .access_mode(mode)?
        // Nothing is downloaded behind a user's back.
        .with("autoinstall_known_extensions", "false")?
        .with("threads", threads.max(1).to_string())?;
    for (name, value) in &options.settings {
        config = config.with(name, value)?;
    }
    Ok(Connection::open_with_flags(&options.path, config)?)
}

fn is_locked(error: &SqlError) -> bool {
    error.message.contains("Could not set lock on file") || error.message.contains("Conflicting lock")
}

fn cannot_open(options: &Opening, error: &SqlError) -> Error {
    let path = options.path.display();
    if is_locked(error) {
        let holder = error.message.split("(PID ").nth(1).and_then(|rest| rest.split(')').next());
        let who = match holder {
            Some(pid) => format!("process {pid}{}", process_name(pid)),
            None => "another process".to_owned(),
        };
        return Error::machine(format!("the database `{path}` is held by {who}"))
            .hint("close it there (a DuckDB shell or a notebook holds the file as long as it is open), then run again");
    }
    let message = error.message.to_lowercase();
    let failed = Error::machine(format!("cannot open the database `{path}`: {}", error.message));
    if message.contains("wal") && (message.contains("replay") || message.contains("corrupt")) {
        return failed.hint(format!(
            "its write-ahead log is damaged: copy `{path}` and `{path}.wal` to a safe place first; moving the log aside \
             opens the last checkpoint and loses what was committed after it"
        ));
    }
    match error.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

fn process_name(pid: &str) -> String {
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!(" ({})", name.trim()),
        Err(_) => String::new(),
    }
}

/// The path of the lock file of a database.
pub fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn lock(options: &Opening, deadline: Instant) -> Result<File> {
    let path = lock_path(&options.path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| Error::io("write the lock file", &path, &error).hint(ELSEWHERE))?;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "another run of kiln" } else { holder.trim() };
                return Err(Error::machine(format!(
                    "the database `{}` is in use by {holder}",
                    options.path.display()
                ))
                .hint("wait for it to end, then run again"));
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(Error::io("lock", &path, &error));
            }
        }
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{} (process {})", options.holder, std::process::id()));
    written.map_err(|error| Error::io("write the lock file", &path, &error))?;
    Ok(file)
}
