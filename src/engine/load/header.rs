//! The beginning of a CSV file, cut into records and values as DuckDB will cut it: what it skips has to be what is
//! skipped here, or rows are lost.

use super::drift::same;

/// The text from the first line with something in it on, after `skip` lines, and how many lines before it are no comments.
pub(super) fn skip_to_header<'a>(text: &'a str, skip: usize, comment: Option<&str>) -> (&'a str, usize) {
    let mut rest = text;
    let (mut skipped, mut comments) = (0, 0);
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let line = &rest[..end];
        let is_comment = comment.is_some_and(|comment| !comment.is_empty() && line.starts_with(comment));
        if skipped >= skip && !is_comment && !line.trim().is_empty() {
            return (rest, skipped - comments);
        }
        comments += usize::from(is_comment);
        skipped += 1;
        let newline = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = rest.get(end + newline..).unwrap_or("");
    }
    (rest, skipped - comments)
}

/// What cuts a text into records and values.
pub(super) struct Marks<'a> {
    pub delimiter: &'a str,
    pub quote: &'a str,
    pub escape: &'a str,
}

impl Marks<'_> {
    /// The first record of a text (values between delimiters, quoted ones unquoted), and the text after it.
    pub fn record<'t>(&self, text: &'t str) -> (Vec<String>, &'t str) {
        let Self { delimiter, quote, escape } = *self;
        let mut values = vec![String::new()];
        let mut rest = text;
        let mut quoted = false;
        while let Some(character) = rest.chars().next() {
            let mut step = character.len_utf8();
            let current = values.last_mut().expect("there is always a value");
            if quoted
                && !escape.is_empty()
                && rest.starts_with(escape)
                && rest[escape.len()..].starts_with(quote)
            {
                current.push_str(quote);
                step = escape.len() + quote.len();
            } else if !quote.is_empty() && rest.starts_with(quote) && (quoted || current.trim().is_empty()) {
                quoted = !quoted;
                step = quote.len();
            } else if quoted {
                current.push(character);
            } else if rest.starts_with(delimiter) {
                values.push(String::new());
                step = delimiter.len();
            } else if character == '\n' || character == '\r' {
                break;
            } else {
                current.push(character);
            }
            rest = &rest[step..];
        }
        (values, rest)
    }

    /// Where the first record of a text ends, read as strictly as DuckDB skips one: `None` if a quote does not close or
    /// has text after it. Then DuckDB skips all there is without a word.
    pub fn end(&self, text: &str) -> Option<usize> {
        let mut rest = text;
        let mut state = Place::Start;
        while let Some(character) = rest.chars().next() {
            let is_quote = !self.quote.is_empty() && rest.starts_with(self.quote);
            let mut step = character.len_utf8();
            let escaped = || rest.strip_prefix(self.escape).is_some_and(|rest| rest.starts_with(self.quote));
            match state {
                Place::Quoted if !self.escape.is_empty() && escaped() => {
                    step = self.escape.len() + self.quote.len();
                }
                Place::Quoted if is_quote => {
                    state = Place::Closed;
                    step = self.quote.len();
                }
                Place::Quoted => {}
                _ if character == '\n' || character == '\r' => break,
                _ if rest.starts_with(self.delimiter) => {
                    state = Place::Start;
                    step = self.delimiter.len();
                }
                Place::Start if is_quote => {
                    state = Place::Quoted;
                    step = self.quote.len();
                }
                Place::Start | Place::Closed if character == ' ' => {}
                Place::Closed => return None,
                Place::Start | Place::Plain => state = Place::Plain,
            }
            rest = &rest[step..];
        }
        (state != Place::Quoted).then_some(text.len() - rest.len())
    }

    /// The first line of a text that DuckDB, told to skip it, would not skip alone.
    pub fn astray(&self, text: &str, comment: Option<&str>) -> Option<usize> {
        let is_comment = |line: &str| comment.is_some_and(|mark| !mark.is_empty() && line.starts_with(mark));
        let mut lines = text.lines().enumerate().filter(|(_, line)| !is_comment(line));
        lines.find(|(_, line)| self.end(line).is_none()).map(|(index, _)| index + 1)
    }
}

/// Where in a value a reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    Closed,
}

/// The delimiter that makes most of the header known; else the one that cuts it into most pieces.
pub(super) fn likely_delimiter<'a>(
    text: &str,
    quote: &str,
    escape: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.collect();
    let score = |delimiter: &&str| {
        let (names, _) = Marks { delimiter, quote, escape }.record(text);
        let hits = names.iter().filter(|name| known.iter().any(|known| same(known, name.trim()))).count();
        (hits, names.len())
    };
    // `max_by_key` takes the last of equals: the comma.
    ["|", "\t", ";", ","]
        .iter()
        .max_by_key(|delimiter| score(delimiter))
        .map_or(",", |found| found)
        .to_owned()
}
