//! Saved: what a compile said, kept so that a compile that does nothing can say it again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Diagnostics, Location, Severity, SourceFile};
use crate::template::{Level, LogMessage};

/// The texts that places point into, by path.
pub type Texts = HashMap<PathBuf, Arc<SourceFile>>;

/// A diagnostic in the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedDiagnostic {
    severity: u8,
    code: String,
    message: String,
    primary: Option<SavedPlace>,
    related: Vec<SavedPlace>,
    help: Vec<String>,
}

/// A place in a text, with what is said there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedPlace {
    path: PathBuf,
    start: usize,
    end: usize,
    label: String,
    /// The text, where it is not that of a file of the project.
    text: Option<String>,
}

/// What a template said, in the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedMessage {
    level: u8,
    text: String,
    at: Option<SavedPlace>,
}

/// Diagnostics as the cache keeps them.
pub fn save(diagnostics: &Diagnostics, texts: &Texts) -> Vec<SavedDiagnostic> {
    let one = |found: &Diagnostic| SavedDiagnostic {
        severity: found.severity as u8,
        code: found.code.to_owned(),
        message: found.message.clone(),
        primary: found.primary.as_ref().map(|(at, label)| SavedPlace::of(at, label, texts)),
        related: found.related.iter().map(|(at, label)| SavedPlace::of(at, label, texts)).collect(),
        help: found.help.clone(),
    };
    diagnostics.sorted().into_iter().map(one).collect()
}

/// Diagnostics as they were.
pub fn restore(saved: Vec<SavedDiagnostic>, texts: &Texts) -> Diagnostics {
    let mut codes: HashMap<String, &'static str> = HashMap::new();
    let mut one = |saved: SavedDiagnostic| Diagnostic {
        severity: match saved.severity {
            0 => Severity::Note,
            1 => Severity::Warning,
            _ => Severity::Error,
        },
        // Codes are part of the program everywhere else. There are few, and a process restores them once.
        code: codes.entry(saved.code).or_insert_with_key(|code| Box::leak(code.clone().into_boxed_str())),
        message: saved.message,
        primary: saved.primary.map(|place| place.restore(texts)),
        related: saved.related.into_iter().map(|place| place.restore(texts)).collect(),
        help: saved.help,
    };
    saved.into_iter().map(&mut one).collect()
}

impl SavedPlace {
    /// A place as the cache keeps it.
    pub fn of(at: &Location, label: &str, texts: &Texts) -> Self {
        let is_known = texts.get(at.path()).is_some_and(|known| *known == at.file);
        Self {
            path: at.path().to_owned(),
            start: at.span.start,
            end: at.span.end,
            label: label.to_owned(),
            text: (!is_known).then(|| at.file.text.clone()),
        }
    }

    /// The place as it was.
    pub fn restore(self, texts: &Texts) -> (Location, String) {
        let file = match (self.text, texts.get(&self.path)) {
            (None, Some(file)) => Arc::clone(file),
            (text, _) => SourceFile::new(self.path, text.unwrap_or_default()),
        };
        (Location::new(&file, self.start..self.end), self.label)
    }
}

impl SavedMessage {
    /// A message as the cache keeps it.
    pub fn of(message: &LogMessage, texts: &Texts) -> Self {
        Self {
            level: message.level as u8,
            text: message.text.clone(),
            at: message.at.as_ref().map(|at| SavedPlace::of(at, "", texts)),
        }
    }

    /// The message as it was.
    pub fn restore(self, texts: &Texts) -> LogMessage {
        LogMessage {
            level: match self.level {
                0 => Level::Debug,
                1 => Level::Info,
                _ => Level::Warning,
            },
            text: self.text,
            at: self.at.map(|place| place.restore(texts).0),
        }
    }
}

/// The texts of files, to be found by their paths.
pub fn texts<'a>(files: impl IntoIterator<Item = &'a Arc<SourceFile>>) -> Texts {
    files.into_iter().map(|file| (Path::to_owned(&file.path), Arc::clone(file))).collect()
}
