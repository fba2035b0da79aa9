//! Reads the rows of a unit test, with the place of each value: from mappings, from CSV text, from SQL, from a file.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::manifest::{UnitCell, UnitRows, UnitTable, UnitValue};
use crate::project::{Resource, UnitTestInput};
use crate::yaml::{Kind, Yaml};

/// Reads rows.
pub(super) fn read(input: &UnitTestInput, fixtures: &[Resource], problems: &mut Diagnostics) -> UnitRows {
    let none = || UnitRows::Table(UnitTable::default());
    if let Some(name) = &input.fixture {
        return match fixture(name, &input.format, fixtures) {
            Ok(resource) => {
                let text = &resource.file.text;
                let at = |range: Range<usize>| Location::new(&resource.file, range);
                match resource.file.path.extension().is_some_and(|ending| ending == "sql") {
                    true => UnitRows::Sql(Located::new(text.clone(), at(0..0))),
                    false => UnitRows::Table(csv(text, ",", &at, problems)),
                }
            }
            Err(problem) => {
                problems.push(*problem);
                none()
            }
        };
    }
    let Some(rows) = &input.rows else { return none() };
    match (input.format.as_str(), rows.as_str()) {
        ("sql", Some(text)) => UnitRows::Sql(Located::new(text.to_owned(), rows.at.clone())),
        ("csv", Some(text)) => {
            let places = Block::of(rows, text);
            UnitRows::Table(csv(text, ",", &|range| places.locate(text, range), problems))
        }
        ("csv" | "sql", None) => {
            let problem = rows.wrong_kind("rows", "text");
            problems.push(problem.help(format!("`format: {}` stands here: write `rows: |`", input.format)));
            none()
        }
        (_, Some(_)) => {
            problems.push(
                rows.wrong_kind("rows", "a list of mappings")
                    .help("say what the text is: `format: csv` or `format: sql`"),
            );
            none()
        }
        _ => UnitRows::Table(mappings(rows, problems)),
    }
}

fn fixture<'f>(
    name: &Located<String>,
    format: &str,
    fixtures: &'f [Resource],
) -> Result<&'f Resource, Box<Diagnostic>> {
    let is = |resource: &&Resource, ending: &str| {
        resource.name == name.value.trim_end_matches(&format!(".{ending}"))
            && resource.file.path.extension().is_some_and(|found| found == ending)
    };
    let endings: &[&str] = match format {
        "dict" => &["csv", "sql"],
        "sql" => &["sql"],
        _ => &["csv"],
    };
    let found = endings.iter().find_map(|ending| fixtures.iter().find(|resource| is(resource, ending)));
    found.ok_or_else(|| {
        let file = format!("tests/fixtures/{}.{}", name.value, endings[0]);
        let problem = Diagnostic::error("unit-test-fixture", format!("there is no fixture `{}`", name.value))
            .at(&name.at, "")
            .suggest(&name.value, fixtures.iter().map(|resource| resource.name.as_str()));
        Box::new(problem.help(format!("its rows belong into `{file}`")))
    })
}

fn mappings(rows: &Yaml, problems: &mut Diagnostics) -> UnitTable {
    let mut table = UnitTable::default();
    let Some(items) = rows.as_list() else {
        problems.push(
            rows.wrong_kind("rows", "a list of mappings").help("write each row as `- {column: value}`"),
        );
        return table;
    };
    for item in items {
        match item.as_map() {
            Some(entries) => {
                for (name, _) in entries {
                    let known = |known: &Located<String>| known.value.eq_ignore_ascii_case(&name.value);
                    if !table.columns.iter().any(known) {
                        table.columns.push(name.clone());
                    }
                }
            }
            None => problems.push(
                item.wrong_kind("rows", "a list of mappings").help("write each row as `- {column: value}`"),
            ),
        }
    }
    for item in items {
        let Some(entries) = item.as_map() else { continue };
        let cell = |column: &Located<String>| {
            let found = entries.iter().find(|(name, _)| name.value.eq_ignore_ascii_case(&column.value));
            match found {
                Some((_, value)) => UnitCell { value: value_of(value), at: value.at.clone() },
                None => UnitCell { value: UnitValue::Null, at: item.at.clone() },
            }
        };
        table.rows.push(table.columns.iter().map(cell).collect());
    }
    table
}

fn value_of(yaml: &Yaml) -> UnitValue {
    match &yaml.kind {
        Kind::Null => UnitValue::Null,
        Kind::Bool(value) => UnitValue::Plain(value.to_string()),
        Kind::String(text) => UnitValue::Text(text.clone()),
        Kind::Number(number) => {
            // As written: a float has lost digits of a long decimal.
            let written = yaml.at.file.text.get(yaml.at.span.clone()).unwrap_or_default();
            let plain = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            UnitValue::Plain(match !written.is_empty() && written.chars().all(plain) {
                true => written.to_owned(),
                false => number.to_string(),
            })
        }
        Kind::List(_) | Kind::Map(_) => UnitValue::Json(yaml.to_json().to_string()),
    }
}

/// Where the lines of a text in YAML stand in the file.
struct Block<'y> {
    yaml: &'y Yaml,
    /// The line of the text's first line and how far it is indented, for a block (`|`).
    first: Option<(usize, usize)>,
}

impl<'y> Block<'y> {
    fn of(yaml: &'y Yaml, text: &str) -> Self {
        let file = &yaml.at.file;
        let is_block = file.text[yaml.at.span.start.min(file.text.len())..].starts_with('|');
        let line = yaml.at.line_col().0 + 1;
        let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let skipped = text.lines().take_while(|line| line.trim().is_empty()).count();
        let in_file = file.text[file.offset(line + skipped, 1)..].lines().next().unwrap_or_default();
        let in_text = text.lines().nth(skipped).unwrap_or_default();
        let first = is_block.then(|| (line, blanks(in_file).saturating_sub(blanks(in_text))));
        Self { yaml, first }
    }

    fn locate(&self, text: &str, range: Range<usize>) -> Location {
        let Some((line, indent)) = self.first else { return self.yaml.at.clone() };
        let before = &text[..range.start];
        let within = range.start - before.rfind('\n').map_or(0, |at| at + 1);
        let file = &self.yaml.at.file;
        let start =
            (file.offset(line + before.matches('\n').count(), 1) + indent + within).min(file.text.len());
        let end = (start + range.len()).min(file.text.len());
        match file.text.is_char_boundary(start) && file.text.is_char_boundary(end) {
            true => Location::new(file, start..end),
            false => self.yaml.at.clone(),
        }
    }
}

/// The place of bytes of a text.
type Places<'p> = &'p dyn Fn(Range<usize>) -> Location;

/// Reads CSV: a head, then rows of as many values. An empty field is NULL, `""` is the empty text.
pub fn csv(text: &str, delimiter: &str, place: Places<'_>, problems: &mut Diagnostics) -> UnitTable {
    let mut table = UnitTable::default();
    for record in records(text, delimiter, place, problems) {
        if table.columns.is_empty() {
            for (value, range) in record {
                let name = value.unwrap_or_default().trim().to_owned();
                if let Some(first) =
                    table.columns.iter().find(|known| known.value.eq_ignore_ascii_case(&name))
                {
                    problems.push(
                        Diagnostic::error("duplicate-column", format!("the column `{name}` is there twice"))
                            .at(&place(range.clone()), "the second one")
                            .related(&first.at, "the first one"),
                    );
                }
                table.columns.push(Located::new(name, place(range)));
            }
            continue;
        }
        let (has, wants) = (record.len(), table.columns.len());
        if has != wants {
            let start = record.first().map_or(0, |(_, range)| range.start);
            let end = record.last().map_or(start, |(_, range)| range.end);
            let values = if has == 1 { "1 value".to_owned() } else { format!("{has} values") };
            let columns = if wants == 1 { "1 column".to_owned() } else { format!("{wants} columns") };
            problems.push(
                Diagnostic::error(
                    "unit-test-rows",
                    format!("this row has {values}, and the head names {columns}"),
                )
                .at(&place(start..end), "")
                .help(match has > wants {
                    true => "put a value with a comma in it into double quotes",
                    false => "write a comma for each value, also for one that is empty",
                }),
            );
            continue;
        }
        let cell = |(value, range): (Option<String>, Range<usize>)| UnitCell {
            value: value.map_or(UnitValue::Null, UnitValue::Text),
            at: place(range),
        };
        table.rows.push(record.into_iter().map(cell).collect());
    }
    table
}

/// A record: values and their bytes.
type Record = Vec<(Option<String>, Range<usize>)>;

fn records(text: &str, delimiter: &str, place: Places<'_>, problems: &mut Diagnostics) -> Vec<Record> {
    let mut all = Vec::new();
    let mut record = Record::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let rest = &text[at..];
        let value = if rest.starts_with('"') {
            let Some((value, length)) = quoted(rest) else {
                problems.push(
                    Diagnostic::error("unit-test-rows", "this quote is never closed")
                        .at(&place(at..at + 1), ""),
                );
                return all;
            };
            at += length;
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
        if !(done.len() == 1 && done[0].0.is_none()) {
            all.push(done);
        }
    }
    all
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
