//! YAML as a tree in which every value knows its place, and a reader of mappings that names every key it does not know.
//!
//! This is the only user of `serde_yaml` (dbt's fork of it, for its spans and its duplicate keys). Merge keys (`<<`)
//! and anchors are applied. A file that does not parse gives one diagnostic and no tree.

pub mod write;

use std::sync::Arc;

use serde_json::Value as Json;
use serde_yaml::Value;
use serde_yaml::mapping::DuplicateKey;

use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location, SourceFile};

/// A JSON object that keeps its order: `meta`, `config`, arguments.
pub type Object = serde_json::Map<String, Json>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Yaml {
    /// The value.
    pub kind: Kind,
    /// Its place: a scalar's own text, a collection's whole extent.
    pub at: Location,
}

/// The value of a [`Yaml`].
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping, in the order written; keys are text, and none occurs twice.
    Map(Vec<(Located<String>, Yaml)>),
}

/// Reads a file's one document. Duplicate keys are reported and the first one is kept.
pub fn parse(file: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<Yaml> {
    let start = Location::new(file, 0..0);
    if file.text.trim().is_empty() {
        return Some(Yaml { kind: Kind::Null, at: start });
    }
    let mut duplicates = Vec::new();
    let parsed = Value::from_str(&file.text, |_, second, first| {
        duplicates.push((first.clone(), second.clone()));
        DuplicateKey::Ignore
    });
    for (first, second) in duplicates {
        let name = second.as_str().unwrap_or("?").to_owned();
        diagnostics.push(
            Diagnostic::error("duplicate-key", format!("the key `{name}` occurs twice"))
                .at(&place(file, &second), "the second one")
                .related(&place(file, &first), "the first one")
                .help("keep one of them: YAML would silently drop the other"),
        );
    }
    let merged = parsed.and_then(|mut value| value.apply_merge().map(|()| value));
    match merged {
        Ok(value) => convert(file, &value, diagnostics),
        Err(error) => {
            let at = error.location().map_or(start, |mark| {
                let offset = mark.index().min(file.text.len());
                Location::new(file, offset..offset + usize::from(offset < file.text.len()))
            });
            let text = error.display_no_mark().to_string();
            diagnostics.push(
                Diagnostic::error("yaml-syntax", format!("this is not valid YAML: {text}")).at(&at, "").help(
                    "look at the indentation here and in the line before; quote text that holds `: ` or `{{`",
                ),
            );
            None
        }
    }
}

fn place(file: &Arc<SourceFile>, value: &Value) -> Location {
    let span = value.span();
    let end = span.end.index().min(file.text.len());
    let start = span.start.index().min(end);
    let text = file.text.get(start..end).unwrap_or("");
    Location::new(file, start..start + own_extent(text))
}

/// How much of a span is the value itself: the parser's spans run on to the next token, over commas, comments, the
/// colon of a plain key and the dash of the next item.
fn own_extent(text: &str) -> usize {
    let closed = |close: char| text.rfind(close).map_or(text.len(), |at| at + 1);
    match text.chars().next() {
        Some('{') => closed('}'),
        Some('[') => closed(']'),
        Some(quote @ ('"' | '\'')) => closed(quote),
        Some('|' | '>') => text.trim_end().len(),
        _ => {
            let next = text.trim_end();
            let next = match next.strip_suffix('-') {
                Some(before) if before.trim_end_matches(' ').ends_with('\n') => before.trim_end(),
                _ => next,
            };
            let next = next.strip_suffix(':').unwrap_or(next);
            if next.contains(": ") || next.contains(":\n") || next.starts_with("- ") {
                return next.len();
            }
            let line = next.lines().next().unwrap_or("");
            let line = line.find(" #").map_or(line, |at| &line[..at]).trim_end();
            line.strip_suffix(',').unwrap_or(line).len()
        }
    }
}

fn convert(file: &Arc<SourceFile>, value: &Value, diagnostics: &mut Diagnostics) -> Option<Yaml> {
    let at = place(file, value);
    let kind = match value {
        Value::Null(_) => Kind::Null,
        Value::Bool(value, _) => Kind::Bool(*value),
        Value::Number(number, _) => match number_of(number) {
            Some(number) => Kind::Number(number),
            None => Kind::String(number.to_string()),
        },
        Value::String(text, _) => Kind::String(text.clone()),
        Value::Sequence(items, _) => {
            Kind::List(items.iter().filter_map(|item| convert(file, item, diagnostics)).collect())
        }
        Value::Mapping(entries, _) => {
            let mut map = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let name = match key {
                    Value::String(name, _) => name.clone(),
                    Value::Bool(value, _) => value.to_string(),
                    Value::Number(number, _) => number.to_string(),
                    _ => {
                        diagnostics.push(
                            Diagnostic::error("yaml-key", "a key must be text").at(&place(file, key), ""),
                        );
                        continue;
                    }
                };
                if let Some(value) = convert(file, value, diagnostics) {
                    map.push((Located::new(name, place(file, key)), value));
                }
            }
            Kind::Map(map)
        }
        Value::Tagged(tagged, _) => {
            diagnostics.push(
                Diagnostic::error("yaml-tag", format!("the tag `{}` means nothing here", tagged.tag))
                    .at(&at, "")
                    .help("write the value without a tag"),
            );
            return None;
        }
        #[allow(unreachable_patterns, reason = "dbt-yaml has one more variant behind a feature")]
        _ => Kind::Null,
    };
    Some(Yaml { kind, at })
}

fn number_of(number: &serde_yaml::Number) -> Option<serde_json::Number> {
    if let Some(value) = number.as_i64() {
        return Some(value.into());
    }
    if let Some(value) = number.as_u64() {
        return Some(value.into());
    }
    number.as_f64().and_then(serde_json::Number::from_f64)
}

impl Yaml {
    /// What kind of value it is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::String(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as text: text itself, a number or a boolean as written in JSON.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::String(text) => Some(text.clone()),
            Kind::Number(number) => Some(number.to_string()),
            Kind::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Yaml]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn as_map(&self) -> Option<&[(Located<String>, Yaml)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        self.as_map()?.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }

    /// The value without its places.
    pub fn to_json(&self) -> Json {
        match &self.kind {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::Bool(*value),
            Kind::Number(number) => Json::Number(number.clone()),
            Kind::String(text) => Json::String(text.clone()),
            Kind::List(items) => Json::Array(items.iter().map(Yaml::to_json).collect()),
            Kind::Map(entries) => Json::Object(
                entries.iter().map(|(key, value)| (key.value.clone(), value.to_json())).collect(),
            ),
        }
    }

    /// A diagnostic that the value is of the wrong kind.
    pub fn wrong_kind(&self, key: &str, wanted: &str) -> Diagnostic {
        Diagnostic::error("wrong-type", format!("`{key}` must be {wanted}, not {}", self.kind_name()))
            .at(&self.at, format!("{} here", self.kind_name()))
    }
}

/// Reads a mapping key by key, and reports in the end the keys that nobody asked for.
///
/// Problems are collected; [`Fields::finish`] hands them over and must be called.
#[must_use = "call `finish`, or unknown keys go unreported"]
pub struct Fields<'a> {
    what: &'a str,
    at: &'a Location,
    entries: &'a [(Located<String>, Yaml)],
    known: Vec<&'a str>,
    problems: Diagnostics,
}

impl<'a> Fields<'a> {
    /// Starts to read a mapping; `what` names it in messages (`a model`). Nothing at all reads as an empty mapping.
    pub fn new(what: &'a str, yaml: &'a Yaml) -> Self {
        let mut problems = Diagnostics::new();
        let entries = match &yaml.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => &[],
            _ => {
                problems.push(
                    Diagnostic::error(
                        "wrong-type",
                        format!("{what} must be a mapping, not {}", yaml.kind_name()),
                    )
                    .at(&yaml.at, ""),
                );
                &[]
            }
        };
        Self { what, at: &yaml.at, entries, known: Vec::new(), problems }
    }

    /// The place of the whole mapping.
    pub fn at(&self) -> &'a Location {
        self.at
    }

    /// Adds a problem of the caller's own.
    pub fn problem(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    /// The value of a key, if it is there and not null.
    pub fn take(&mut self, key: &'a str) -> Option<&'a Yaml> {
        self.known.push(key);
        let (_, value) = self.entries.iter().find(|(name, _)| name.value == key)?;
        (value.kind != Kind::Null).then_some(value)
    }

    /// The place of a key's name.
    pub fn key_at(&self, key: &str) -> Option<&'a Location> {
        self.entries.iter().find(|(name, _)| name.value == key).map(|(name, _)| &name.at)
    }

    /// The first of several names for the same key.
    pub fn take_any(&mut self, keys: &[&'a str]) -> Option<&'a Yaml> {
        keys.iter().fold(None, |found, key| {
            let value = self.take(key);
            found.or(value)
        })
    }

    /// Declares keys that are known and read elsewhere, or not at all.
    pub fn allow(&mut self, keys: &[&'a str]) {
        self.known.extend_from_slice(keys);
    }

    /// The entries that were not asked for so far; they count as known from now on.
    pub fn rest(&mut self) -> Vec<&'a (Located<String>, Yaml)> {
        let entries = self.entries;
        let rest: Vec<_> =
            entries.iter().filter(|(name, _)| !self.known.contains(&name.value.as_str())).collect();
        self.known.extend(rest.iter().map(|(name, _)| name.value.as_str()));
        rest
    }

    /// Text. A number or a boolean is taken as the text written.
    pub fn string(&mut self, key: &'a str) -> Option<Located<String>> {
        let value = self.take(key)?;
        match value.scalar_text() {
            Some(text) => Some(Located::new(text, value.at.clone())),
            None => {
                self.problems.push(value.wrong_kind(key, "text"));
                None
            }
        }
    }

    /// Text that must be there.
    pub fn required_string(&mut self, key: &'a str) -> Option<Located<String>> {
        if self.take(key).is_none() {
            let message = format!("{} needs `{key}`", self.what);
            self.problems.push(Diagnostic::error("missing-key", message).at(self.at, ""));
            return None;
        }
        self.string(key)
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &'a str) -> Option<bool> {
        let value = self.take(key)?;
        match value.kind {
            Kind::Bool(value) => Some(value),
            _ => {
                self.problems.push(value.wrong_kind(key, "true or false"));
                None
            }
        }
    }

    /// A whole number that is not negative.
    pub fn count(&mut self, key: &'a str) -> Option<u64> {
        let value = self.take(key)?;
        match &value.kind {
            Kind::Number(number) if number.is_u64() => number.as_u64(),
            _ => {
                self.problems.push(value.wrong_kind(key, "a whole number from 0 up"));
                None
            }
        }
    }

    /// A list; one value alone counts as a list of one.
    pub fn list(&mut self, key: &'a str) -> &'a [Yaml] {
        match self.take(key) {
            None => &[],
            Some(Yaml { kind: Kind::List(items), .. }) => items,
            Some(single) => std::slice::from_ref(single),
        }
    }

    /// A list of text; one text alone counts as a list of one.
    pub fn strings(&mut self, key: &'a str) -> Vec<Located<String>> {
        let mut texts = Vec::new();
        for item in self.list(key) {
            match item.scalar_text() {
                Some(text) => texts.push(Located::new(text, item.at.clone())),
                None => self.problems.push(item.wrong_kind(key, "a list of text")),
            }
        }
        texts
    }

    /// A mapping without its places.
    pub fn object(&mut self, key: &'a str) -> Option<Object> {
        let value = self.take(key)?;
        match value.to_json() {
            Json::Object(object) => Some(object),
            _ => {
                self.problems.push(value.wrong_kind(key, "a mapping"));
                None
            }
        }
    }

    /// Ends the reading: each key that was never asked for becomes an error with the nearest known name.
    pub fn finish(mut self) -> Diagnostics {
        for (name, _) in self.entries {
            if self.known.contains(&name.value.as_str()) {
                continue;
            }
            let mut known = self.known.clone();
            known.sort_unstable();
            known.dedup();
            let found = crate::diagnostic::nearest(&name.value, known.iter().copied()).is_some();
            let mut diagnostic =
                Diagnostic::error("unknown-key", format!("{} has no key `{}`", self.what, name.value))
                    .at(&name.at, "")
                    .suggest(&name.value, known.iter().copied());
            if !found {
                diagnostic = diagnostic.help(format!("it takes: {}", known.join(", ")));
            }
            self.problems.push(diagnostic);
        }
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Style;

    fn read(text: &str) -> (Option<Yaml>, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let yaml = parse(&SourceFile::new("a.yml", text), &mut diagnostics);
        (yaml, diagnostics)
    }

    #[test]
    fn values_know_their_places() {
        let (yaml, problems) = read("a: 1\nb:\n  - {c: \"x\"}\n");
        let yaml = yaml.expect("it parses");
        assert!(problems.is_empty());
        let item = &yaml.get("b").and_then(Yaml::as_list).expect("a list")[0];
        assert_eq!(item.get("c").expect("c").at.to_string(), "a.yml:3:9");
        assert_eq!(yaml.to_json().to_string(), r#"{"a":1,"b":[{"c":"x"}]}"#);
    }

    #[test]
    fn a_place_is_the_value_and_no_more() {
        let (yaml, _) = read("a:\n  - one\n  - two words # said\n  - {k: x, l: 'y', m: [1, 2]}\nb: it\n");
        let yaml = yaml.expect("it parses");
        let text = |yaml: &Yaml| yaml.at.file.text[yaml.at.span.clone()].to_owned();
        let items = yaml.get("a").and_then(Yaml::as_list).expect("a list");
        let map = &items[2];
        let all = [
            &items[0],
            &items[1],
            map,
            map.get("k").expect("k"),
            map.get("l").expect("l"),
            map.get("m").expect("m"),
        ];
        insta::assert_debug_snapshot!(all.map(text), @r#"
        [
            "one",
            "two words",
            "{k: x, l: 'y', m: [1, 2]}",
            "x",
            "'y'",
            "[1, 2]",
        ]
        "#);
    }

    #[test]
    fn merge_keys_are_applied() {
        let (yaml, _) = read("base: &b {x: 1}\nother: {<<: *b, y: 2}\n");
        let other = yaml.expect("it parses").get("other").expect("other").to_json();
        assert_eq!(other["x"], 1);
    }

    #[test]
    fn duplicate_keys_are_errors_with_both_places() {
        let (_, problems) = read("name: a\nname: b\n");
        insta::assert_snapshot!(problems.render(Style::Plain));
    }

    #[test]
    fn broken_yaml_is_placed() {
        let (yaml, problems) = read("models:\n  - name: a\n   columns: 3\n");
        assert!(yaml.is_none());
        insta::assert_snapshot!(problems.render(Style::Plain));
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest() {
        let (yaml, _) = read("name: a\ndescripton: b\nzzz: 1\n");
        let yaml = yaml.expect("it parses");
        let mut fields = Fields::new("a model", &yaml);
        fields.required_string("name");
        fields.string("description");
        fields.bool("enabled");
        insta::assert_snapshot!(fields.finish().render(Style::Plain));
    }
}
