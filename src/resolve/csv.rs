//! CSV: rows of values between delimiters, with the place of each. What is not as it should be is told and never guessed
//! at: DuckDB takes a later line for the head, or drops what stands behind a quote, and says nothing.

use std::ops::{ControlFlow, Range};

use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::manifest::{UnitCell, UnitTable, UnitValue};
use crate::words::counted;

/// The place of bytes of a text.
type Places<'p> = &'p dyn Fn(Range<usize>) -> Location;

/// Reads CSV: a head, then rows of as many values. An empty field is NULL, `""` is the empty text.
pub fn csv(text: &str, delimiter: &str, place: Places<'_>, problems: &mut Diagnostics) -> UnitTable {
    let mut table = UnitTable::default();
    let cell = |(value, range): Field| UnitCell {
        value: value.map_or(UnitValue::Null, UnitValue::Text),
        at: place(range),
    };
    let mut head = Head { columns: Vec::new(), delimiter, place };
    let broken = records(text, delimiter, place, |record| {
        match head.take(record) {
            Ok(Some(row)) => table.rows.push(row.into_iter().map(cell).collect()),
            Ok(None) => {}
            Err(told) => told.into_iter().for_each(|problem| problems.push(problem)),
        }
        ControlFlow::Continue(())
    });
    broken.into_iter().for_each(|problem| problems.push(problem));
    table.columns = head.columns;
    table
}

/// The first thing that is wrong with the rows of a file, whatever their values.
pub fn misshapen(text: &str, delimiter: &str, place: Places<'_>) -> Option<Diagnostic> {
    let mut head = Head { columns: Vec::new(), delimiter, place };
    let mut found = None;
    let broken = records(text, delimiter, place, |record| {
        let start = record.first().map_or(0, |(_, range)| range.start);
        if head.columns.is_empty() && start > 0 {
            let problem = Diagnostic::error("csv", "the file begins with an empty line");
            found = Some(problem.at(&place(0..0), "").help("its first line names the columns"));
            return ControlFlow::Break(());
        }
        match head.take(record) {
            Ok(_) => ControlFlow::Continue(()),
            Err(told) => {
                found = told.into_iter().next();
                ControlFlow::Break(())
            }
        }
    });
    let of_head = || match head.columns.as_slice() {
        [] => {
            let problem = Diagnostic::error("csv", "the file is empty").at(&place(0..0), "");
            Some(problem.help("its first line names the columns, and a file without rows has that line too"))
        }
        columns => columns.iter().find(|name| name.value.is_empty()).map(|unnamed| {
            Diagnostic::error("csv", "this column has no name")
                .at(&unnamed.at, "")
                .help("name it, or remove the delimiter if there is no column")
        }),
    };
    found.or(broken).or_else(of_head)
}

/// The names of the columns, which say how many values a row has.
struct Head<'p> {
    columns: Vec<Located<String>>,
    delimiter: &'p str,
    place: Places<'p>,
}

impl Head<'_> {
    /// Takes the first record as the names. Gives any other back, if it has as many values.
    fn take(&mut self, record: Record) -> Result<Option<Record>, Vec<Diagnostic>> {
        if self.columns.is_empty() {
            let mut problems = Vec::new();
            for (value, range) in record {
                let name = value.unwrap_or_default().trim().to_owned();
                let same = |known: &&Located<String>| known.value.eq_ignore_ascii_case(&name);
                if let Some(first) = self.columns.iter().find(same).filter(|_| !name.is_empty()) {
                    problems.push(
                        Diagnostic::error("duplicate-column", format!("the column `{name}` is there twice"))
                            .at(&(self.place)(range.clone()), "the second one")
                            .related(&first.at, "the first one"),
                    );
                }
                self.columns.push(Located::new(name, (self.place)(range)));
            }
            return if problems.is_empty() { Ok(None) } else { Err(problems) };
        }
        let (has, wants) = (record.len(), self.columns.len());
        if has == wants {
            return Ok(Some(record));
        }
        let start = record.first().map_or(0, |(_, range)| range.start);
        let end = record.last().map_or(start, |(_, range)| range.end);
        let message = format!(
            "this row has {}, and the head names {}",
            counted(has as u64, "value", "values"),
            counted(wants as u64, "column", "columns")
        );
        let problem = Diagnostic::error("unit-test-rows", message).at(&(self.place)(start..end), "");
        let delimiter = match self.delimiter {
            "," => "a comma".to_owned(),
            "\t" => "a tab".to_owned(),
            other => format!("a `{other}`"),
        };
        Err(vec![problem.help(match has > wants {
            true => format!("put a value with {delimiter} in it into double quotes"),
            false => format!("put {delimiter} between all values, empty ones too"),
        })])
    }
}

/// A value and its bytes.
type Field = (Option<String>, Range<usize>);

type Record = Vec<Field>;

/// Gives each record. Where quotes are not as they should be it ends, and says so.
fn records(
    text: &str,
    delimiter: &str,
    place: Places<'_>,
    mut each: impl FnMut(Record) -> ControlFlow<()>,
) -> Option<Diagnostic> {
    let mut record = Record::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let rest = &text[at..];
        let value = if rest.starts_with('"') {
            let Some((value, length)) = quoted(rest) else {
                let problem = Diagnostic::error("unit-test-rows", "this quote is never closed");
                return Some(problem.at(&place(at..at + 1), ""));
            };
            at += length;
            let line = text[at..].find('\n').unwrap_or(text.len() - at);
            let behind = text[at..at + line].find(delimiter).unwrap_or(line);
            if !text[at..at + behind].trim_end_matches('\r').is_empty() {
                let problem = Diagnostic::error("unit-test-rows", "text stands behind the closing quote");
                return Some(
                    problem
                        .at(&place(at..at + behind), "")
                        .help("a quote inside of quotes is written twice: `\"\"`"),
                );
            }
            Some(value)
        } else {
            let line = rest.find('\n').unwrap_or(rest.len());
            let length = rest[..line].find(delimiter).unwrap_or(line);
            at += length;
            let value = rest[..length].trim_end_matches('\r');
            (!value.is_empty()).then(|| value.to_owned())
        };
        let end = at - usize::from(text[start..at].ends_with('\r'));
        record.push((value, start..end));
        let rest = &text[at..];
        if rest.starts_with(delimiter) {
            at += delimiter.len();
            // A delimiter at the very end has one more empty value behind it.
            if at < text.len() {
                continue;
            }
            record.push((None, at..at));
        }
        let rest = &text[at..];
        at += rest.find('\n').map_or(rest.len(), |line| line + 1);
        let done = std::mem::take(&mut record);
        // An empty line is no row.
        if !(done.len() == 1 && done[0].0.is_none()) && each(done).is_break() {
            return None;
        }
    }
    None
}

/// A value in double quotes, and how long it is with them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut at = 1;
    loop {
        let close = at + text[at..].find('"')?;
        value.push_str(&text[at..close]);
        match text[close + 1..].starts_with('"') {
            true => {
                value.push('"');
                at = close + 2;
            }
            false => return Some((value, close + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{SourceFile, Style};

    fn read(text: &str) -> (UnitTable, String) {
        let file = SourceFile::new("tests/fixtures/x.csv", text);
        let mut problems = Diagnostics::new();
        let table = csv(text, ",", &|range| Location::new(&file, range), &mut problems);
        (table, problems.render(Style::Plain))
    }

    #[test]
    fn values_keep_what_csv_says() {
        let (table, problems) = read("id,name,note\r\n1,\"a, \"\"b\"\"\",\n\n2,\"\",two\nlines");
        assert_eq!(
            problems.lines().next(),
            Some("error[unit-test-rows]: this row has 1 value, and the head names 3 columns")
        );
        let names: Vec<&str> = table.columns.iter().map(|column| column.value.as_str()).collect();
        assert_eq!(names, ["id", "name", "note"]);
        let text = |text: &str| UnitValue::Text(text.into());
        let values: Vec<Vec<UnitValue>> =
            table.rows.iter().map(|row| row.iter().map(|cell| cell.value.clone()).collect()).collect();
        assert_eq!(
            values,
            [vec![text("1"), text("a, \"b\""), UnitValue::Null], vec![text("2"), text(""), text("two")]]
        );
        assert_eq!(table.rows[1][2].at.to_string(), "tests/fixtures/x.csv:4:6");
    }

    #[test]
    fn a_delimiter_at_the_end_has_an_empty_value_behind_it() {
        let (table, problems) = read("a,b\n1,");
        assert_eq!((table.rows.len(), table.rows[0].len(), problems.as_str()), (1, 2, ""));
    }

    #[test]
    fn broken_csv_is_told_at_its_place() {
        insta::assert_snapshot!(read("a,A\n1,\"x").1, @r#"
    error[duplicate-column]: the column `A` is there twice
     --> tests/fixtures/x.csv:1:3
      |
    1 | a,A
      |   ^ the second one
      |
     ::: tests/fixtures/x.csv:1:1
      |
    1 | a,A
      | - the first one

    error[unit-test-rows]: this quote is never closed
     --> tests/fixtures/x.csv:2:3
      |
    2 | 1,"x
      |   ^
    "#);
    }
}
