//! Why a command could not do its work: the user's files, or the machine, or Kiln itself.
//!
//! A test that failed is not an error: it is a result, and the commands turn it into exit code 1.

use std::fmt;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The one error type of the library. Every kind ends a command with exit code 2.
#[derive(Debug, Clone)]
pub enum Error {
    /// Something is wrong in the project's files.
    Project(Diagnostics),
    /// The machine said no: a file, a lock, the disk, the database.
    Machine {
        /// What happened: lower case, no full stop.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The command line asks for something that cannot be.
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The user pressed Ctrl-C, or the process was told to end.
    Interrupted,
    /// Whoever read the output went away. Not a failure.
    BrokenPipe,
    /// Kiln's own mistake.
    Bug(String),
}

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of the machine.
    pub fn machine(message: impl Into<String>) -> Self {
        Self::Machine { message: message.into(), hint: None }
    }

    /// A failure of the machine to do something with a path.
    pub fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        Self::machine(format!("cannot {action} `{}`: {error}", path.display()))
    }

    /// A command line that cannot be followed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// Adds what to do about it, where the kind has room for it.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::Machine { hint, .. } | Self::Usage { hint, .. } => *hint = Some(text.into()),
            _ => {}
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(diagnostics) => {
                write!(f, "{}", diagnostics.render(crate::diagnostic::Style::Plain))
            }
            Self::Machine { message, hint } | Self::Usage { message, hint } => {
                write!(f, "{message}")?;
                hint.iter().try_for_each(|hint| write!(f, "\nhelp: {hint}"))
            }
            Self::Interrupted => write!(f, "interrupted"),
            Self::BrokenPipe => write!(f, "broken pipe"),
            Self::Bug(message) => write!(f, "this is a bug in kiln: {message}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Project(diagnostics)
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Project(diagnostic.into())
    }
}
