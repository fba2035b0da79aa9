//! YAML as text: what Kiln writes for people to keep and edit. Short things stand on one line, long ones in a block.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The longest line that holds a collection in braces.
const WIDTH: usize = 100;

/// Remarks behind values, by JSON pointer (`/schema/0/properties/2`).
pub type Remarks = BTreeMap<String, String>;

/// A mapping as a document, ending in a newline. A remark about a collection stands behind its first line.
pub fn document(map: &Map<String, Value>, remarks: &Remarks) -> String {
    let mut writer = Writer { text: String::new(), remarks, pending: None };
    writer.map(map, 0, "");
    writer.text
}

/// A list as a document, each item a block of its own.
pub fn list_document(items: &[Value], remarks: &Remarks) -> String {
    let mut writer = Writer { text: String::new(), remarks, pending: None };
    writer.list(items, 0, "", Items::Blocks);
    writer.text
}

#[derive(Clone, Copy, PartialEq)]
enum Items {
    /// Mappings on one line where they fit.
    Short,
    /// Mappings always as blocks.
    Blocks,
}

struct Writer<'a> {
    text: String,
    remarks: &'a Remarks,
    /// The remark about a block that begins on this line.
    pending: Option<&'a String>,
}

impl Writer<'_> {
    fn map(&mut self, map: &Map<String, Value>, indent: usize, pointer: &str) {
        for (index, (key, value)) in map.iter().enumerate() {
            if index > 0 || self.text.is_empty() || self.text.ends_with('\n') {
                self.indent(indent);
            }
            let key_text = scalar(key);
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            self.text.push_str(&key_text);
            self.text.push(':');
            self.value(value, indent, key_text.len() + 1, &pointer);
        }
    }

    /// The value behind a key, up to the end of its last line.
    fn value(&mut self, value: &Value, indent: usize, used: usize, pointer: &str) {
        match value {
            Value::String(text) => match literal_block(text) {
                Some((head, lines)) => {
                    self.text.push(' ');
                    self.text.push_str(head);
                    self.end(pointer);
                    for line in lines {
                        if !line.is_empty() {
                            self.indent(indent + 2);
                            self.text.push_str(line);
                        }
                        self.text.push('\n');
                    }
                }
                None => self.short(&scalar(text), pointer),
            },
            Value::Object(map) if !map.is_empty() && !self.fits(value, indent + used, pointer) => {
                self.end(pointer);
                self.map(map, indent + 2, pointer);
            }
            Value::Array(items) if !items.is_empty() => {
                let of_mappings = items.iter().any(Value::is_object);
                if !of_mappings && self.fits(value, indent + used, pointer) {
                    return self.short(&flow(value), pointer);
                }
                self.end(pointer);
                self.list(items, indent + 2, pointer, Items::Short);
            }
            _ => self.short(&flow(value), pointer),
        }
    }

    fn list(&mut self, items: &[Value], indent: usize, pointer: &str, style: Items) {
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            self.indent(indent);
            self.text.push('-');
            match item {
                Value::Object(map)
                    if !map.is_empty()
                        && (style == Items::Blocks || !self.fits(item, indent + 2, &pointer)) =>
                {
                    self.text.push(' ');
                    self.pending = self.remarks.get(&pointer);
                    self.map(map, indent + 2, &pointer);
                }
                Value::Array(inner) if !inner.is_empty() && !self.fits(item, indent + 2, &pointer) => {
                    self.end(&pointer);
                    self.list(inner, indent + 2, &pointer, Items::Short);
                }
                Value::String(_) => self.value(item, indent, 1, &pointer),
                _ => self.short(&flow(item), &pointer),
            }
        }
    }

    /// Whether a collection can stand on the line, which nothing inside of it forbids by a remark of its own.
    fn fits(&self, value: &Value, used: usize, pointer: &str) -> bool {
        let below = format!("{pointer}/");
        let remarked = self.remarks.keys().any(|key| key.starts_with(&below));
        !remarked && one_line(value) && used + 1 + flow(value).chars().count() <= WIDTH
    }

    fn short(&mut self, text: &str, pointer: &str) {
        self.text.push(' ');
        self.text.push_str(text);
        self.end(pointer);
    }

    fn end(&mut self, pointer: &str) {
        let pending = self.pending.take();
        if let Some(remark) = self.remarks.get(pointer).or(pending) {
            self.text.push_str("  # ");
            self.text.extend(remark.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        self.text.push('\n');
    }

    fn indent(&mut self, by: usize) {
        self.text.extend(std::iter::repeat_n(' ', by));
    }
}

/// Whether everything inside is short enough in kind: no text of several lines.
fn one_line(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\n'),
        Value::Array(items) => items.iter().all(one_line),
        Value::Object(map) => map.values().all(one_line),
        _ => true,
    }
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// Text as a scalar on one line that reads back as the same text, without quotes where it needs none.
pub fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    // JSON's strings are YAML's, but that YAML refuses some characters that JSON leaves as they are.
    let mut quoted = String::new();
    for c in Value::String(text.to_owned()).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

fn is_plain(text: &str) -> bool {
    let inside =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '.' | '/' | '@' | '+' | '(' | ')' | '-');
    let version = |text: &str| {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() == 3
            && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let word = text.to_ascii_lowercase();
    let meant = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"];
    version(text)
        || text.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && text.chars().all(inside)
            && !text.ends_with(' ')
            && !meant.contains(&word.as_str())
}

/// The head and the lines of a text of several lines, where a literal block can hold it.
fn literal_block(text: &str) -> Option<(&'static str, Vec<&str>)> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let clean = |line: &str| !line.ends_with(' ') && !line.chars().any(|c| c.is_control() || is_break(c));
    let good = body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(clean);
    let head = if text.ends_with('\n') { "|" } else { "|-" };
    good.then(|| (head, body.split('\n').collect()))
}

fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostics, SourceFile};
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        let mut problems = Diagnostics::new();
        let yaml = crate::yaml::parse(&SourceFile::new("a.yml", text), &mut problems);
        assert!(problems.is_empty(), "{}\n{text}", problems.render(crate::diagnostic::Style::Plain));
        yaml.expect("it parses").to_json()
    }

    #[test]
    fn short_things_stand_on_one_line() {
        let value = json!({
            "version": "1.0.0",
            "date": "2026-11-30",
            "team": {"name": "BI", "members": [{"username": "a@x.io"}]},
            "schema": [{
                "name": "orders",
                "description": "one row\nper order\n",
                "properties": [
                    {"name": "id", "physicalType": "BIGINT", "required": true},
                    {"name": "status", "physicalType": "DECIMAL(38,2)", "quality": [{"metric": "invalidValues", "arguments": {"validValues": ["placed", "no", "1"]}, "mustBe": 0}]},
                ],
                "empty": [],
                "tags": ["a", "b: c"],
            }],
        });
        let remarks = Remarks::from(
            ["0", "1"].map(|at| (format!("/schema/0/properties/{at}"), "no NULL in 3 rows".to_owned())),
        );
        let text = document(value.as_object().expect("a mapping"), &remarks);
        assert_eq!(read(&text), value);
        insta::assert_snapshot!(text);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ a-z:#,\\[\\]{}'\"|>\n-]{0,12}".prop_map(Value::from),
            "[a-z]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[a-zA-Z:# -]{1,9}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            let map = json!({"a": value, "b": [value, {"c": value}]});
            prop_assert_eq!(read(&document(map.as_object().expect("a mapping"), &Remarks::new())), map.clone());
            prop_assert_eq!(read(&list_document(std::slice::from_ref(&map), &Remarks::new())), json!([map]));
        }
    }
}
