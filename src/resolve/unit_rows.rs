//! Reads the rows of a unit test, with the place of each value: from mappings, from CSV text, from SQL, from a file.

use std::ops::Range;

use super::csv;
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
                for (at, (name, _)) in entries.iter().enumerate() {
                    let same =
                        |(other, _): &&(Located<String>, Yaml)| other.value.eq_ignore_ascii_case(&name.value);
                    if let Some((first, _)) = entries[..at].iter().find(same) {
                        let message = format!("the column `{}` is there twice", name.value);
                        problems.push(
                            Diagnostic::error("duplicate-column", message)
                                .at(&name.at, "the second one")
                                .related(&first.at, "the first one"),
                        );
                    }
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
