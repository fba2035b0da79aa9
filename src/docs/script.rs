//! Scripts: data as JavaScript that can stand in a page.

use serde::Serialize;

use crate::error::{Error, Result};

/// A value as JSON in which nothing can end a script or a line of it.
///
/// # Errors
/// The value is no JSON, which is Kiln's own mistake.
pub fn json(value: &impl Serialize) -> Result<String> {
    let text =
        serde_json::to_string(value).map_err(|error| Error::Bug(format!("data of the site: {error}")))?;
    Ok(escaped(&text))
}

/// These characters stand in strings only, where an escape means the same.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_cannot_be_ended_by_its_data() {
        let text = json(&["</script><!--", "a\u{2028}b"]).expect("is JSON");
        assert_eq!(text, r#"["\u003c/script>\u003c!--","a\u2028b"]"#);
        let back: Vec<String> = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(back, ["</script><!--", "a\u{2028}b"]);
    }
}
