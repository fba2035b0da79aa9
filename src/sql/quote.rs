//! The one place that quotes: identifiers and literals from data, YAML or the command line enter SQL only through here.

/// A quoted identifier, whatever it holds: `"a ""quoted"" name"`.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string literal: `'it''s'`. DuckDB reads no backslash escapes in it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quoted identifiers separated by commas.
pub fn identifiers<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| identifier(name.as_ref())).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(identifiers(["a", "b c"]), "\"a\", \"b c\"");
    }
}
