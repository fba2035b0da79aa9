//! A diagnostic: what is wrong with a user's file, where, and what to do about it.
//!
//! Every mistake in a project ends here. A diagnostic owns the text that it points into, so it can be
//! rendered anywhere, and all diagnostics of a command are collected before any is shown.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A file's text, with the path that a person should see: relative to the project's folder, `/`-separated.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceFile {
    /// Path relative to the project's folder.
    pub path: PathBuf,
    /// The whole text as read.
    pub text: String,
}

impl SourceFile {
    /// Wraps a text under the path to show.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }

    /// The 1-based line and column (in characters) of a byte offset; past the end gives the end.
    pub fn line_col(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The byte offset of a 1-based line and column (in characters); past a line's end gives its end.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = match line {
            0 | 1 => 0,
            _ => self.text.match_indices('\n').nth(line - 2).map_or(self.text.len(), |(at, _)| at + 1),
        };
        let text = self.text[start..].split('\n').next().unwrap_or("");
        start + text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
    }
}

/// A range of bytes in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file pointed into.
    pub file: Arc<SourceFile>,
    /// Byte offsets, half-open.
    pub span: Range<usize>,
}

impl Location {
    /// A range in a file. It is moved into the text, and outwards to whole characters: who counts bytes may be off by some.
    pub fn new(file: &Arc<SourceFile>, span: Range<usize>) -> Self {
        let text = &file.text;
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        Self { file: Arc::clone(file), span: start..end }
    }

    /// A place that is a whole file, shown by its path alone.
    pub fn whole_file(path: impl Into<PathBuf>) -> Self {
        Self { file: SourceFile::new(path, ""), span: 0..0 }
    }

    /// The path to show.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// 1-based line and column of the start.
    pub fn line_col(&self) -> (usize, usize) {
        self.file.line_col(self.span.start)
    }
}

/// `file:line:col`, as every message of Kiln writes a place.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.file.path.display();
        if self.file.text.is_empty() {
            return write!(f, "{path}");
        }
        let (line, column) = self.line_col();
        write!(f, "{path}:{line}:{column}")
    }
}

/// A value with the place that it was written at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Location,
}

impl<T> Located<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, at: Location) -> Self {
        Self { value, at }
    }
}

/// How bad a diagnostic is. The order is from mild to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Said, never counted.
    Note,
    /// Shown and counted; the command goes on.
    Warning,
    /// The command ends with exit code 2.
    Error,
}

/// One finding in a user's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable slug, such as `layer-direction`.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop, names in backticks.
    pub message: String,
    /// Where, and a few words to put under the place (may be empty).
    pub primary: Option<(Location, String)>,
    /// Other places that explain it.
    pub related: Vec<(Location, String)>,
    /// What to do, one sentence each.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: None,
            related: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// A note without a place yet.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, message) }
    }

    /// Sets the place, with a few words to put under it (may be empty).
    pub fn at(mut self, location: &Location, label: impl Into<String>) -> Self {
        self.primary = Some((location.clone(), label.into()));
        self
    }

    /// Adds another place that explains the finding.
    pub fn related(mut self, location: &Location, label: impl Into<String>) -> Self {
        self.related.push((location.clone(), label.into()));
        self
    }

    /// Adds a sentence that says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds "did you mean" when one of the known names is near to the one that was written.
    pub fn suggest<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(written, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The finding as text for a terminal, in rustc's form, ending in a newline.
    pub fn render(&self, style: Style) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(visible(&self.message)).id(self.code));
        let places = self.primary.iter().map(|place| (place, AnnotationKind::Primary));
        let others = self.related.iter().map(|place| (place, AnnotationKind::Context));
        for ((location, label), kind) in places.chain(others) {
            let path = visible(&location.file.path.to_string_lossy()).replace('\n', "\\n");
            if location.file.text.is_empty() {
                group = group.element(annotate_snippets::Origin::path(path));
                continue;
            }
            let annotation = kind.span(location.clamped());
            let annotation = if label.is_empty() { annotation } else { annotation.label(visible(label)) };
            let source = shown_source(&location.file.text);
            group = group.element(Snippet::source(source).path(path).annotation(annotation));
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(visible(help)));
        }
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Colour => Renderer::styled(),
        };
        let mut text = renderer.render(&[group]);
        text.push('\n');
        text
    }
}

/// A text without characters that a terminal obeys: a name in a stranger's project may hold any.
pub fn visible(text: &str) -> Cow<'_, str> {
    let obeyed = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let escaped = |letter: char| match obeyed(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// A file's text as it is shown. annotate-snippets draws the control characters of ASCII, and leaves those of Latin-1, which
/// some terminals obey too. What stands for them has as many bytes, so that spans stay good.
fn shown_source(text: &str) -> Cow<'_, str> {
    let obeyed = |letter: char| ('\u{80}'..='\u{9f}').contains(&letter);
    match text.contains(obeyed) {
        true => Cow::Owned(text.replace(obeyed, "\u{bf}")),
        false => Cow::Borrowed(text),
    }
}

impl Location {
    /// The first line of a place: that of a collection in YAML reaches to whatever follows it.
    pub fn first_line(&self) -> Self {
        let text = self.file.text.get(self.span.clone()).unwrap_or_default();
        let length = text.split('\n').next().unwrap_or_default().trim_end().len();
        Self::new(&self.file, self.span.start..self.span.start + length)
    }

    /// The span moved inside the text and onto character boundaries.
    fn clamped(&self) -> Range<usize> {
        let text = &self.file.text;
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(self.span.start);
        start..floor(self.span.end).max(start)
    }
}

/// Whether a rendered diagnostic carries colour codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No escape codes.
    Plain,
    /// ANSI colours.
    Colour,
}

/// Letters of a name that is compared with others: nobody slips in a longer one, and comparing takes their square.
const LONGEST_NAME: usize = 500;

/// The known name nearest to the one written, if it is near enough to be a slip of the hand.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = written.chars().count();
    if letters > LONGEST_NAME {
        return None;
    }
    // Of one letter, any other is as near.
    let limit = if letters < 2 { 0 } else { (letters / 3).max(1) };
    known
        .into_iter()
        .filter(|name| name.len() <= 4 * LONGEST_NAME && name.chars().count().abs_diff(letters) <= limit)
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= limit && *name != written)
        .min()
        .map(|(_, name)| name)
}

/// The diagnostics of one command, in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The same, but those of a code only warn.
    pub fn softened(&self, code: &str) -> Self {
        let soften = |found: &Diagnostic| match found.code == code {
            true => Diagnostic { severity: Severity::Warning, ..found.clone() },
            false => found.clone(),
        };
        self.sorted().into_iter().map(soften).collect()
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// All, ordered by file, place and code, without repetitions.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.0.iter().collect();
        all.sort_by_key(|d| {
            let place = d.primary.as_ref().map(|(at, _)| (at.file.path.clone(), at.span.start));
            (place, std::cmp::Reverse(d.severity), d.code, d.message.clone())
        });
        all.dedup();
        all
    }

    /// All of them as text, ordered, each followed by an empty line.
    pub fn render(&self, style: Style) -> String {
        self.sorted().iter().map(|diagnostic| diagnostic.render(style) + "\n").collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}
