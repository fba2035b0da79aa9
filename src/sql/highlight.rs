//! Highlighting: SQL and templates of SQL cut into pieces for a reader's eyes.
//!
//! It never fails and loses nothing: the pieces joined are the text. It knows no grammar, so that a template reads as
//! well as what it renders to.

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Names, operators, blanks.
    Plain,
    /// A word of the language.
    Keyword,
    /// A name that is called.
    Function,
    /// Text in quotes, or between dollars.
    Text,
    /// A number.
    Number,
    /// A comment, of SQL or of the template.
    Comment,
    /// `{{ … }}` and `{% … %}`.
    Template,
}

/// Words that are shown as the language's own.
const KEYWORDS: &str = " all and anti any array as asc asof between by case cast cross cube current delete desc describe \
    distinct else end escape except exclude exists false fetch filter first following for from full glob group grouping \
    having ignore ilike in inner insert intersect interval into is isnull join last lateral left like limit materialized \
    natural not notnull null nulls offset on or order outer over partition pivot positional preceding qualify range \
    recursive rename replace respect returning right rollup row rows sample select semi sets similar some struct table \
    tablesample then ties to true try_cast unbounded union unpivot update using values when where window with within ";

/// Cuts a text into pieces.
pub fn pieces(text: &str) -> Vec<(Piece, &str)> {
    let mut found: Vec<(Piece, &str)> = Vec::new();
    let mut at = 0;
    let mut plain = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (piece, length) = next(rest);
        if piece != Piece::Plain {
            if plain < at {
                found.push((Piece::Plain, &text[plain..at]));
            }
            found.push((piece, &rest[..length]));
            plain = at + length;
        }
        at += length;
    }
    if plain < text.len() {
        found.push((Piece::Plain, &text[plain..]));
    }
    found
}

/// The piece at the start of a text that is not empty, and its length.
fn next(rest: &str) -> (Piece, usize) {
    let until =
        |start: usize, end: &str| rest[start..].find(end).map_or(rest.len(), |at| start + at + end.len());
    if rest.starts_with("{#") {
        return (Piece::Comment, until(2, "#}"));
    }
    if rest.starts_with("{{") {
        return (Piece::Template, until(2, "}}"));
    }
    if rest.starts_with("{%") {
        return (Piece::Template, until(2, "%}"));
    }
    if rest.starts_with("--") {
        return (Piece::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Piece::Comment, until(2, "*/"));
    }
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        '\'' => (Piece::Text, quoted(rest, '\'')),
        '"' => (Piece::Plain, quoted(rest, '"')),
        '$' => match dollar(rest) {
            Some(length) => (Piece::Text, length),
            None => (Piece::Plain, 1),
        },
        c if c.is_ascii_digit() => {
            let digits = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
            (Piece::Number, rest.find(|c| !digits(c)).unwrap_or(rest.len()))
        }
        c if c.is_alphabetic() || c == '_' => {
            let length =
                rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
            (word(&rest[..length], &rest[length..]), length)
        }
        c => (Piece::Plain, c.len_utf8()),
    }
}

fn word(word: &str, behind: &str) -> Piece {
    if KEYWORDS.contains(&format!(" {} ", word.to_lowercase())) {
        return Piece::Keyword;
    }
    match behind.starts_with('(') {
        true => Piece::Function,
        false => Piece::Plain,
    }
}

/// The length of a text in quotes, where two of them stand for one.
fn quoted(rest: &str, quote: char) -> usize {
    let mut at = 1;
    loop {
        match rest[at..].find(quote) {
            None => return rest.len(),
            Some(end) if rest[at + end + 1..].starts_with(quote) => at += end + 2,
            Some(end) => return at + end + 1,
        }
    }
}

/// The length of `$tag$ … $tag$`, if that is what begins here.
fn dollar(rest: &str) -> Option<usize> {
    let end = rest[1..].find('$')? + 2;
    let tag = &rest[..end];
    let named = |c: char| c.is_alphanumeric() || c == '_';
    if !tag[1..end - 1].chars().all(named) {
        return None;
    }
    Some(end + rest[end..].find(tag)? + tag.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let piece = |(piece, text): (Piece, &str)| match piece {
            Piece::Plain => text.to_owned(),
            piece => format!("[{}:{text}]", format!("{piece:?}").chars().next().unwrap_or(' ')),
        };
        pieces(text).into_iter().map(piece).collect()
    }

    #[test]
    fn pieces_are_found() {
        let sql = "{{ config(x='a') }}\nselect 'it''s' as \"from\", count(*), 1.5e3 -- all\nfrom {{ ref('a') }} /* b */ where x = $q$a'b$q$";
        insta::assert_snapshot!(shown(sql), @r#"
        [T:{{ config(x='a') }}]
        [K:select] [T:'it''s'] [K:as] "from", [F:count](*), [N:1.5e3] [C:-- all]
        [K:from] [T:{{ ref('a') }}] [C:/* b */] [K:where] x = [T:$q$a'b$q$]
        "#);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-z'\"$\\-/*{}#% \né0-9(]*") {
            let joined: String = pieces(&text).into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
