//! DuckDB's bound plan as JSON, read without recursion, and the members of its nodes.
//!
//! serde_json stops at 128 levels, which a query of forty chained CTEs or a sum of seventy terms passes. This reads any
//! depth up to a limit, and leaves out members that lineage never looks at, which are two thirds of the text.

use serde_json::{Map, Value};

/// Dropping a value recurses, so that depth has to end somewhere. DuckDB itself ends expressions at 1,000 levels.
const MAX_DEPTH: usize = 3_000;

/// Where an output of the whole query is, in a plan: the plans, the first of them, its expressions, one of those.
const OUTPUT_DEPTH: usize = 5;

/// Members that say nothing about columns: flags, types, places in the text. The types of the whole query's outputs are kept.
const LEFT_OUT: [&str; 17] = [
    "has_serialize",
    "is_operator",
    "has_index",
    "index_type",
    "is_null",
    "try_cast",
    "is_default_cast",
    "return_type",
    "returned_types",
    "query_location",
    "query_location_length",
    "arguments",
    "types",
    "extra_info",
    "chunk_types",
    "internal_types",
    "input_table_types",
];

enum Open {
    Array(Vec<Value>),
    /// The members so far, and the name of the one whose value comes next.
    Object(Map<String, Value>, Option<String>),
}

/// Reads a plan. `None` for what is not JSON or too deep.
pub fn parse(text: &str) -> Option<Value> {
    parse_without(text, &LEFT_OUT)
}

/// How many of them make two queries different.
const TELLING: usize = 8;

/// Reads a plan with the flags of its expressions and the types that they return.
pub fn parse_typed(text: &str) -> Option<Value> {
    parse_without(text, &LEFT_OUT[TELLING..])
}

fn parse_without(text: &str, left_out: &[&str]) -> Option<Value> {
    let bytes = text.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    loop {
        at = blank(bytes, at);
        // A value starts here, or an array or object ends.
        let value = match bytes.get(at)? {
            b'[' if open.len() < MAX_DEPTH => {
                open.push(Open::Array(Vec::new()));
                at += 1;
                continue;
            }
            b'{' if open.len() < MAX_DEPTH => {
                at = blank(bytes, at + 1);
                let mut key = None;
                if bytes.get(at)? == &b'"' {
                    (key, at) = member_at(text, at, open.len() + 1, left_out)?;
                }
                open.push(Open::Object(Map::new(), key));
                continue;
            }
            end @ (b']' | b'}') => {
                at += 1;
                match (end, open.pop()?) {
                    (b']', Open::Array(values)) => Value::Array(values),
                    (b'}', Open::Object(members, None)) => Value::Object(members),
                    _ => return None,
                }
            }
            _ => {
                let end = scalar_end(bytes, at)?;
                let value = scalar(text.get(at..end)?)?;
                at = end;
                value
            }
        };
        let depth = open.len();
        match open.last_mut() {
            None => return (blank(bytes, at) == bytes.len()).then_some(value),
            Some(Open::Array(values)) => {
                values.push(value);
                at = blank(bytes, at);
                match bytes.get(at)? {
                    b',' => at += 1,
                    b']' => {}
                    _ => return None,
                }
            }
            Some(Open::Object(members, key)) => {
                members.insert(key.take()?, value);
                at = blank(bytes, at);
                match bytes.get(at)? {
                    b',' => (*key, at) = member_at(text, blank(bytes, at + 1), depth, left_out)?,
                    b'}' => {}
                    _ => return None,
                }
            }
        }
    }
}

/// The name of the next member that is kept, and where its value starts; no name, and the object's end, if none is.
fn member_at(text: &str, mut at: usize, depth: usize, left_out: &[&str]) -> Option<(Option<String>, usize)> {
    let bytes = text.as_bytes();
    loop {
        if bytes.get(at)? != &b'"' {
            return None;
        }
        let end = scalar_end(bytes, at)?;
        let written = text.get(at..end)?;
        let colon = blank(bytes, end);
        if bytes.get(colon)? != &b':' {
            return None;
        }
        let plain = written.trim_matches('"');
        if !left_out.contains(&plain) || (depth == OUTPUT_DEPTH && plain == "return_type") {
            return Some((Some(string(written)?), colon + 1));
        }
        at = blank(bytes, passed(bytes, blank(bytes, colon + 1))?);
        match bytes.get(at)? {
            b',' => at = blank(bytes, at + 1),
            b'}' => return Some((None, at)),
            _ => return None,
        }
    }
}

/// The end of a value that nobody looks at.
fn passed(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match bytes.get(at)? {
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' if depth > 0 => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => at = scalar_end(bytes, at)?,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A string, a number or a word.
fn scalar(text: &str) -> Option<Value> {
    if text.starts_with('"') { string(text).map(Value::String) } else { serde_json::from_str(text).ok() }
}

/// A string with its quotes. Nearly all of a plan's are plain.
fn string(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.bytes().any(|byte| byte == b'\\' || byte < b' ') {
        return serde_json::from_str(text).ok();
    }
    Some(inner.to_owned())
}

/// The first byte at or after a place that is not blank.
fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of a string, a number or a word.
fn scalar_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    if bytes.get(at)? == &b'"' {
        loop {
            at += 1;
            match bytes.get(at)? {
                b'\\' => at += 1,
                b'"' => return Some(at + 1),
                _ => {}
            }
        }
    }
    while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) {
        at += 1;
    }
    (at > start).then_some(at)
}

/// A member that is a list; a missing one is empty, as DuckDB leaves them out.
pub(super) fn list<'a>(node: &'a Value, name: &str) -> &'a [Value] {
    node.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member that is a number.
pub(super) fn index(node: &Value, name: &str) -> Option<u64> {
    node.get(name).and_then(Value::as_u64)
}

/// A member that is a text; a missing one is empty.
pub(super) fn text<'a>(node: &'a Value, name: &str) -> &'a str {
    node.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            " [ ] ",
            "{}",
            r#"{"a":[1,-2.5e3,true,{"b\"c":"ü\u0041\\"}],"z":{}}"#,
            r#"[[],[[]],{"":""}]"#,
            "18446744073709551615",
        ] {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn members_that_say_nothing_are_passed_over() {
        let text = r#"{"types":[{"a":"]}"},1],"x":{"return_type":"\\\"","arguments":{}},"extra_info":null}"#;
        assert_eq!(parse(text).unwrap().to_string(), r#"{"x":{}}"#);
        let text =
            r#"{"plans":[{"expressions":[{"return_type":{"id":"DATE"},"arguments":[1]}],"return_type":2}]}"#;
        let kept = r#"{"plans":[{"expressions":[{"return_type":{"id":"DATE"}}]}]}"#;
        assert_eq!(parse(text).unwrap().to_string(), kept);
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in
            ["", "[", "]", "{", "[1", "[1 2]", r#"{"a"}"#, r#"{"a":}"#, r#"{a:1}"#, "nul", r#""a"#, "[1]x"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn reads_deep_plans_in_a_small_stack() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse(&deep(2_900)).is_some());
        assert_eq!(parse(&deep(100_000)), None);
    }
}
