//! `unit_tests:` of a properties file: rows that are given, and what a model must make of them.

use serde_json::Value;

use super::properties::{absorb, config, items};
use super::settings::Settings;
use super::walk::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::yaml::{Fields, Yaml};

/// A unit test as declared.
#[derive(Debug, Clone)]
pub struct UnitTest {
    /// The package.
    pub package: String,
    /// Its name.
    pub name: Located<String>,
    /// The description.
    pub description: String,
    /// The model under test.
    pub model: Located<String>,
    /// The common table expression of the model that is looked at, instead of its result.
    pub cte: Option<Located<String>>,
    /// What its parents hold.
    pub given: Vec<UnitTestInput>,
    /// What it must give.
    pub expect: UnitTestInput,
    /// What it sets while its templates render and its SQL runs.
    pub overrides: UnitOverrides,
    /// Configuration: `enabled`, `tags`, `meta`.
    pub config: Settings,
}

/// Rows in a unit test.
#[derive(Debug, Clone)]
pub struct UnitTestInput {
    /// `ref('x')`, `source('a', 'b')` or `this`; `None` for what is expected.
    pub input: Option<Located<String>>,
    /// `dict`, `csv` or `sql`.
    pub format: String,
    /// The rows: a list of mappings, or text.
    pub rows: Option<Yaml>,
    /// The name of a fixture file.
    pub fixture: Option<Located<String>>,
    /// All of it.
    pub at: Location,
}

/// `overrides:` of a unit test.
#[derive(Debug, Clone, Default)]
pub struct UnitOverrides {
    /// Results of macros.
    pub macros: Vec<(Located<String>, Value)>,
    /// Variables.
    pub vars: Vec<(Located<String>, Value)>,
    /// Environment variables.
    pub env_vars: Vec<(Located<String>, Value)>,
    /// The moment at which the clock stands still.
    pub now: Option<Located<jiff::Timestamp>>,
}

const FORMATS: [&str; 3] = ["dict", "csv", "sql"];

/// Reads one unit test.
pub(super) fn read_unit_test(resource: &Resource, yaml: &Yaml, found: &mut Vec<UnitTest>) -> Diagnostics {
    let mut fields = Fields::new("a unit test", yaml);
    let name = fields.required_string("name");
    let model = fields.required_string("model");
    let cte = fields.string("cte");
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let mut given = Vec::new();
    for item in items(&mut fields, "given") {
        given.extend(rows(&mut fields, Part::Given, item));
    }
    let expect = match fields.take("expect") {
        Some(yaml) => rows(&mut fields, Part::Expected, yaml),
        None => {
            let at = fields.at();
            fields.problem(Diagnostic::error("missing-key", "a unit test needs `expect`").at(at, ""));
            None
        }
    };
    let overrides = overrides(&mut fields);
    let config = config(&mut fields, &["tags", "meta", "enabled"]);
    fields.allow(&["versions"]);
    if let (Some(name), Some(model), Some(expect)) = (name, model, expect) {
        let package = resource.package.clone();
        found.push(UnitTest { package, name, description, model, cte, given, expect, overrides, config });
    }
    fields.finish()
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Given,
    Expected,
}

fn rows<'a>(outer: &mut Fields<'a>, part: Part, yaml: &'a Yaml) -> Option<UnitTestInput> {
    let what = if part == Part::Given { "an input" } else { "what is expected" };
    let mut fields = Fields::new(what, yaml);
    let input = if part == Part::Given { fields.required_string("input") } else { None };
    let format = fields.string("format");
    if let Some(format) = &format
        && !FORMATS.contains(&format.value.as_str())
    {
        fields.problem(
            Diagnostic::error("wrong-value", format!("`{}` is not a format of rows", format.value))
                .at(&format.at, "")
                .suggest(&format.value, FORMATS)
                .help("write `dict`, `csv` or `sql`"),
        );
    }
    let rows = fields.take("rows").cloned();
    let fixture = fields.string("fixture");
    if let (Some(fixture), Some(rows)) = (&fixture, &rows) {
        fields.problem(
            Diagnostic::error("unit-test-rows", "there are rows here and a fixture too")
                .at(&fixture.at, "")
                .related(&rows.at, "the rows")
                .help("keep one of them"),
        );
    }
    absorb(outer, fields);
    let format = format.map_or_else(|| "dict".to_owned(), |format| format.value);
    let wanted = part == Part::Expected || input.is_some();
    wanted.then(|| UnitTestInput { input, format, rows, fixture, at: yaml.at.clone() })
}

fn overrides(fields: &mut Fields<'_>) -> UnitOverrides {
    let Some(yaml) = fields.take("overrides") else { return UnitOverrides::default() };
    let mut inner = Fields::new("`overrides`", yaml);
    let mut entries = |key| -> Vec<(Located<String>, Value)> {
        let Some(yaml) = inner.take(key) else { return Vec::new() };
        match yaml.as_map() {
            Some(entries) => entries.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
            None => {
                inner.problem(
                    yaml.wrong_kind(key, "a mapping").help(format!("write `{key}: {{name: value}}`")),
                );
                Vec::new()
            }
        }
    };
    let (macros, vars, env_vars) = (entries("macros"), entries("vars"), entries("env_vars"));
    let written = match (inner.string("now"), inner.string("run_started_at")) {
        (Some(now), Some(other)) => {
            inner.problem(
                Diagnostic::error("unit-test-clock", "`now` and `run_started_at` are the same clock")
                    .at(&other.at, "")
                    .related(&now.at, "set here too")
                    .help("keep `now`: `run_started_at` stands still with it"),
            );
            None
        }
        (now, other) => now.or(other),
    };
    let now = written.and_then(|text| match moment(&text.value) {
        Some(moment) => Some(Located::new(moment, text.at)),
        None => {
            inner.problem(
                Diagnostic::error("unit-test-clock", format!("`{}` is not a moment", text.value))
                    .at(&text.at, "")
                    .help("write it in UTC: `now: 2026-11-22 06:30:00`"),
            );
            None
        }
    });
    absorb(fields, inner);
    UnitOverrides { macros, vars, env_vars, now }
}

/// A moment in UTC, of a date, a date with a time, or one with an offset.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment);
    }
    let text = text.strip_suffix("UTC").unwrap_or(text).trim();
    let civil: jiff::civil::DateTime = match text.parse::<jiff::civil::DateTime>() {
        Ok(civil) => civil,
        Err(_) => text.parse::<jiff::civil::Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
    };
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_utc() {
        let all = ["2026-11-22", "2026-11-22 06:30:00", "2026-11-22T06:30:00Z", "2026-11-22 06:30:00.5 UTC"];
        let read = all.map(|text| moment(text).map(|moment| moment.to_string()).unwrap_or_default());
        assert_eq!(
            read,
            [
                "2026-11-22T00:00:00Z",
                "2026-11-22T06:30:00Z",
                "2026-11-22T06:30:00Z",
                "2026-11-22T06:30:00.5Z"
            ]
        );
        assert_eq!(
            moment("2026-11-22T06:30:00+02:00").map(|m| m.to_string()),
            Some("2026-11-22T04:30:00Z".into())
        );
        assert_eq!(moment("yesterday"), None);
    }
}
