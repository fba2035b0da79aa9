//! An entry of `data_tests:` in one of the shapes that dbt takes: `unique`, `{unique: {...}}`, `{test_name: unique, ...}`.

use std::collections::BTreeMap;

use super::expand::{Expand, expand_tree};
use super::settings::{Settings, said, settings};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::yaml::{Fields, Kind, Object, Yaml};

/// `severity:` of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestSeverity {
    /// A failure stops the publish.
    Error,
    /// A failure is said.
    Warn,
}

/// Configuration keys of a data test.
pub const TEST_CONFIG: [&str; 15] = [
    "alias",
    "audit",
    "database",
    "enabled",
    "error_if",
    "fail_calc",
    "group",
    "limit",
    "meta",
    "schema",
    "severity",
    "store_failures",
    "store_failures_as",
    "tags",
    "warn_if",
];

/// One declared test.
#[derive(Debug, Clone)]
pub struct TestEntry {
    /// The generic test: `unique`, `dbt_utils.accepted_range`.
    pub test: Located<String>,
    /// A name of the user's own.
    pub name: Option<Located<String>>,
    /// What it is for.
    pub description: String,
    /// The column: that which it stands under, or `column_name:`.
    pub column: Option<String>,
    /// Its arguments; Jinja in them is rendered when the test is.
    pub args: Object,
    /// Where each argument stands.
    pub arg_at: BTreeMap<String, Location>,
    /// Its configuration.
    pub config: Settings,
    /// The whole entry.
    pub at: Location,
}

/// Reads all entries under `data_tests` or `tests`.
pub(super) fn read_tests<'a>(
    fields: &mut Fields<'a>,
    column: Option<&str>,
    expand: &dyn Expand,
) -> Vec<TestEntry> {
    if let (Some(_), Some(second)) = (fields.key_at("tests"), fields.key_at("data_tests")) {
        fields.problem(
            Diagnostic::error("duplicate-key", "`tests` and `data_tests` are the same key")
                .at(second, "keep this one alone"),
        );
    }
    let mut tests = Vec::new();
    for key in ["data_tests", "tests"] {
        let entries: &'a [Yaml] = fields.list(key);
        for entry in entries {
            let mut problems = Diagnostics::new();
            tests.extend(read_entry(entry, column, expand, &mut problems));
            for problem in problems.sorted() {
                fields.problem(problem.clone());
            }
        }
    }
    tests
}

fn read_entry(
    entry: &Yaml,
    column: Option<&str>,
    expand: &dyn Expand,
    problems: &mut Diagnostics,
) -> Option<TestEntry> {
    let mut test = TestEntry {
        test: Located::new(String::new(), entry.at.clone()),
        name: None,
        description: String::new(),
        column: column.map(str::to_owned),
        args: Object::new(),
        arg_at: BTreeMap::new(),
        config: Settings::new(),
        at: entry.at.clone(),
    };
    match &entry.kind {
        Kind::String(name) => test.test.value.clone_from(name),
        Kind::Map(entries) if entry.get("test_name").is_some() => {
            if let Some(name) = entry.get("test_name") {
                test.test = Located::new(name.scalar_text().unwrap_or_default(), name.at.clone());
            }
            read_body(entries, expand, &mut test, problems);
        }
        Kind::Map(entries) => {
            let [(name, body)] = entries.as_slice() else {
                problems.push(not_one_key(entry, entries));
                return None;
            };
            test.test = name.clone();
            test.at = Location::new(&entry.at.file, name.at.span.start..entry.at.span.end);
            match &body.kind {
                Kind::Map(entries) => read_body(entries, expand, &mut test, problems),
                Kind::Null => {}
                _ => {
                    problems.push(body.wrong_kind(&name.value, "a mapping of arguments"));
                    return None;
                }
            }
        }
        _ => {
            problems.push(entry.wrong_kind("data_tests", "a list of tests"));
            return None;
        }
    }
    Some(test)
}

fn not_one_key(entry: &Yaml, entries: &[(Located<String>, Yaml)]) -> Diagnostic {
    let at = entries.get(1).map_or(&entry.at, |(key, _)| &key.at);
    Diagnostic::error("test-shape", "a test is one name with its arguments below it")
        .at(at, "this stands beside the test's name")
        .help("indent the arguments below the name, or begin a second test with `- `")
}

fn read_body(
    entries: &[(Located<String>, Yaml)],
    expand: &dyn Expand,
    test: &mut TestEntry,
    problems: &mut Diagnostics,
) {
    for (key, value) in entries {
        match key.value.as_str() {
            "test_name" => {}
            "name" => {
                test.name = value.scalar_text().map(|name| Located::new(name, value.at.clone()));
            }
            "description" => test.description = value.scalar_text().unwrap_or_default(),
            "column_name" => test.column = value.scalar_text(),
            "arguments" => match &value.kind {
                Kind::Map(args) => args.iter().for_each(|(key, value)| argument(test, key, value)),
                Kind::Null => {}
                _ => problems.push(value.wrong_kind("arguments", "a mapping")),
            },
            "config" => {
                let mut value = value.clone();
                expand_tree(&mut value, expand, &|key| key == "where", problems);
                for (name, setting) in settings("config", &value, problems) {
                    if let Some(other) = test.config.insert(name.clone(), setting.clone()) {
                        problems.push(
                            Diagnostic::error(
                                "duplicate-key",
                                format!("`{name}` is set twice for this test"),
                            )
                            .at(&setting.at, "in `config`")
                            .related(&other.at, "and beside it"),
                        );
                    }
                }
            }
            config if config == "where" || TEST_CONFIG.contains(&config) => {
                let mut value = value.clone();
                if config != "where" {
                    expand_tree(&mut value, expand, &|_| false, problems);
                }
                if test.config.insert(config.to_owned(), said(&value)).is_some() {
                    problems.push(
                        Diagnostic::error("duplicate-key", format!("`{config}` is set twice for this test"))
                            .at(&value.at, ""),
                    );
                }
            }
            _ => argument(test, key, value),
        }
    }
}

fn argument(test: &mut TestEntry, key: &Located<String>, value: &Yaml) {
    if key.value == "column_name" {
        test.column = value.scalar_text();
        return;
    }
    test.arg_at.insert(key.value.clone(), value.at.clone());
    test.args.insert(key.value.clone(), value.to_json());
}
