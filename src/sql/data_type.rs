//! Types as trees, read in DuckDB's own spelling, where aliases, case and the length of a VARCHAR are gone already.

use std::fmt;

/// A type as a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Everything without parts, by its name.
    Plain(String),
    /// `DECIMAL(width, scale)`.
    Decimal(u32, u32),
    /// `ENUM('a', 'b')`.
    Enum(Vec<String>),
    /// `T[]`.
    List(Box<Type>),
    /// `T[n]`.
    Array(Box<Type>, u64),
    /// `STRUCT(a T, b U)`.
    Struct(Vec<(String, Type)>),
    /// `MAP(K, V)`.
    Map(Box<Type>, Box<Type>),
    /// `UNION(a T, b U)`.
    Union(Vec<(String, Type)>),
}

impl Type {
    /// Reads a type in DuckDB's spelling; what cannot be read is a plain name.
    pub fn parse(text: &str) -> Self {
        let mut reader = Reader { text, at: 0 };
        match reader.read() {
            Some(found) if reader.rest().trim().is_empty() => found,
            _ => Self::Plain(text.trim().to_owned()),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, name: &str, fields: &[(String, Type)]| {
            let fields: Vec<String> = fields.iter().map(|(name, of)| format!("{name} {of}")).collect();
            write!(f, "{name}({})", fields.join(", "))
        };
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Decimal(width, scale) => write!(f, "DECIMAL({width},{scale})"),
            Self::Enum(members) => {
                let members: Vec<String> = members.iter().map(|member| format!("'{member}'")).collect();
                write!(f, "ENUM({})", members.join(", "))
            }
            Self::List(of) => write!(f, "{of}[]"),
            Self::Array(of, size) => write!(f, "{of}[{size}]"),
            Self::Struct(of) => fields(f, "STRUCT", of),
            Self::Union(of) => fields(f, "UNION", of),
            Self::Map(key, value) => write!(f, "MAP({key}, {value})"),
        }
    }
}

/// Reads DuckDB's spelling of a type.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, wanted: char) -> Option<()> {
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.at += blank;
        self.rest().starts_with(wanted).then(|| self.at += wanted.len_utf8())
    }

    fn read(&mut self) -> Option<Type> {
        let mut found = self.base()?;
        while self.skip('[').is_some() {
            let size: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
            self.at += size.len();
            self.skip(']')?;
            found = match size.parse() {
                Ok(size) => Type::Array(Box::new(found), size),
                Err(_) => Type::List(Box::new(found)),
            };
        }
        Some(found)
    }

    fn base(&mut self) -> Option<Type> {
        let word: String =
            self.rest().trim_start().chars().take_while(|c| !"()[],\"'".contains(*c)).collect();
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.at += blank + word.len();
        let name = word.trim();
        if name.is_empty() {
            // `"NULL"`, and types of the user's own.
            return Some(Type::Plain(self.quoted('"')?));
        }
        if !self.rest().starts_with('(') {
            return Some(Type::Plain(name.to_owned()));
        }
        self.skip('(')?;
        let found = match name {
            "DECIMAL" => {
                let width = self.number()?;
                self.skip(',')?;
                Type::Decimal(width, self.number()?)
            }
            "ENUM" => {
                let mut members = Vec::new();
                loop {
                    self.rest_of_blank();
                    members.push(self.quoted('\'')?);
                    if self.skip(',').is_none() {
                        break Type::Enum(members);
                    }
                }
            }
            "STRUCT" | "UNION" => {
                let mut fields = Vec::new();
                loop {
                    let field = self.field()?;
                    fields.push((field, self.read()?));
                    if self.skip(',').is_none() {
                        break;
                    }
                }
                if name == "STRUCT" { Type::Struct(fields) } else { Type::Union(fields) }
            }
            "MAP" => {
                let key = self.read()?;
                self.skip(',')?;
                Type::Map(Box::new(key), Box::new(self.read()?))
            }
            _ => return None,
        };
        self.skip(')')?;
        Some(found)
    }

    fn rest_of_blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn number(&mut self) -> Option<u32> {
        self.rest_of_blank();
        let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
        self.at += digits.len();
        digits.parse().ok()
    }

    fn field(&mut self) -> Option<String> {
        self.rest_of_blank();
        if self.rest().starts_with('"') {
            return self.quoted('"');
        }
        let name: String = self.rest().chars().take_while(|c| !c.is_whitespace()).collect();
        self.at += name.len();
        (!name.is_empty()).then_some(name)
    }

    /// A text in quotes, in which a doubled quote is one.
    fn quoted(&mut self, quote: char) -> Option<String> {
        self.rest_of_blank();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        if !self.rest().starts_with(quote) {
            return None;
        }
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
                text.push(quote);
            } else {
                let end = at + quote.len_utf8();
                self.at += end;
                return Some(text);
            }
        }
        None
    }
}
