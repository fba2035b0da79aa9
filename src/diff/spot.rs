//! A spot: a place that survives being stored. What comes back knows its path, line and column, and not the file's text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::diagnostic::{Location, SourceFile};

/// A place in one side's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot(pub Location);

impl From<&Location> for Spot {
    fn from(at: &Location) -> Self {
        Self(at.clone())
    }
}

#[derive(Serialize, Deserialize)]
struct Stored(String, usize, usize, usize);

impl Serialize for Spot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (line, column) = self.0.line_col();
        let (end_line, end_column) = self.0.file.line_col(self.0.span.end);
        let length = if end_line == line { end_column.saturating_sub(column) } else { 0 };
        Stored(self.0.path().to_string_lossy().into_owned(), line, column, length).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Spot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored(path, line, column, length) = Stored::deserialize(deserializer)?;
        if line > 10_000_000 || column > 10_000_000 || length > 10_000_000 {
            return Err(D::Error::custom("a place out of any file"));
        }
        // Lines of nothing up to the place, so that its line and column come out as they went in.
        let start = line.saturating_sub(1) + column.saturating_sub(1);
        let mut text = "\n".repeat(line.saturating_sub(1));
        text.push_str(&" ".repeat(column.saturating_sub(1) + length.max(1)));
        let file = SourceFile::new(path, text);
        Ok(Self(Location::new(&file, start..start + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_spot_says_the_same_line_and_column() {
        let file = SourceFile::new("models/orders.sql", "select\n  é, amount\nfrom x\n");
        let at = file.text.find("amount").unwrap();
        let spot = Spot(Location::new(&file, at..at + 6));
        let stored = serde_json::to_string(&spot).unwrap();
        assert_eq!(stored, r#"["models/orders.sql",2,6,6]"#);
        let back: Spot = serde_json::from_str(&stored).unwrap();
        assert_eq!(back.0.to_string(), spot.0.to_string());
        assert_eq!(serde_json::to_string(&back).unwrap(), stored);
    }
}
