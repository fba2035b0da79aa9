//! A quality rule as a contract writes it: what is measured, in which unit, what it must be.

use serde_json::{Number, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, Located, Location};
use crate::manifest::TestSeverity;
use crate::yaml::{Fields, Kind, Yaml};

/// A rule in `quality:`.
#[derive(Debug, Clone)]
pub struct Quality {
    /// `id`, else `name`.
    pub id: Option<String>,
    /// What is checked.
    pub kind: QualityKind,
    /// `error` where nothing else is said.
    pub severity: TestSeverity,
    /// One of the standard's seven dimensions, or what was written.
    pub dimension: Option<String>,
    /// What it says of itself.
    pub description: String,
    /// Where it is declared.
    pub at: Location,
}

/// What a quality rule checks.
#[derive(Debug, Clone)]
pub enum QualityKind {
    /// A metric of the standard's library.
    Library {
        /// What is counted.
        metric: Metric,
        /// All must hold.
        must: Vec<Comparison>,
        /// Rows, or percent of all rows.
        unit: Unit,
    },
    /// A query that gives one value.
    Sql {
        /// The query, with its placeholders.
        query: Located<String>,
        /// All must hold.
        must: Vec<Comparison>,
    },
    /// A generic test of Kiln or of the project.
    Test {
        /// Its name, as in `data_tests`.
        name: Located<String>,
        /// Its arguments.
        args: crate::yaml::Object,
        /// `severity`, `where` and the like.
        config: crate::yaml::Object,
    },
    /// What only people, or other tools, can check.
    Documentation {
        /// Why Kiln does not.
        reason: String,
    },
}

/// A metric of the standard's library.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// NULLs.
    NullValues,
    /// NULLs, and values that stand for nothing.
    MissingValues(Vec<Value>),
    /// Values outside a list, or that do not match a pattern. NULL is not invalid.
    InvalidValues {
        /// The list, if there is one.
        valid: Option<Vec<Value>>,
        /// The pattern, if there is one.
        pattern: Option<String>,
    },
    /// Values, or combinations of these properties, that occur more than once.
    DuplicateValues(Vec<Located<String>>),
    /// Rows.
    RowCount,
}

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Rows (values, for duplicates).
    #[default]
    Rows,
    /// Percent of all rows; of no rows it is 0.
    Percent,
}

/// A comparison that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Which.
    pub operator: Operator,
    /// With what.
    pub value: Value,
    /// The upper end, for the two that have one.
    pub upper: Option<Number>,
}

/// The standard's operators. Both ends of `between` are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `mustBe`.
    Be,
    /// `mustNotBe`.
    NotBe,
    /// `mustBeGreaterThan`.
    Greater,
    /// `mustBeGreaterOrEqualTo`.
    GreaterOrEqual,
    /// `mustBeLessThan`.
    Less,
    /// `mustBeLessOrEqualTo`.
    LessOrEqual,
    /// `mustBeBetween`.
    Between,
    /// `mustNotBeBetween`.
    NotBetween,
}

const OPERATORS: [(&str, Operator); 10] = [
    ("mustBe", Operator::Be),
    ("mustNotBe", Operator::NotBe),
    ("mustBeGreaterThan", Operator::Greater),
    ("mustBeGreaterOrEqualTo", Operator::GreaterOrEqual),
    // Not the standard's spelling, but a common one.
    ("mustBeGreaterThanOrEqualTo", Operator::GreaterOrEqual),
    ("mustBeLessThan", Operator::Less),
    ("mustBeLessOrEqualTo", Operator::LessOrEqual),
    ("mustBeLessThanOrEqualTo", Operator::LessOrEqual),
    ("mustBeBetween", Operator::Between),
    ("mustNotBeBetween", Operator::NotBetween),
];

const METRICS: [&str; 5] = ["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"];

impl Comparison {
    /// Whether it says that there must be none.
    pub fn is_none_at_all(&self) -> bool {
        self.operator == Operator::Be && self.value.as_f64() == Some(0.0)
    }

    /// The comparison as SQL on an expression.
    pub fn sql(&self, expression: &str) -> String {
        let value = literal(&self.value);
        match (self.operator, &self.upper) {
            (Operator::Between, Some(upper)) => format!("{expression} between {value} and {upper}"),
            (Operator::NotBetween, Some(upper)) => format!("{expression} not between {value} and {upper}"),
            (operator, _) => format!("{expression} {} {value}", operator.symbol()),
        }
    }

    /// The comparison in words: `at least 5`.
    pub fn words(&self) -> String {
        let value = &self.value;
        match (self.operator, &self.upper) {
            (Operator::Between, Some(upper)) => format!("between {value} and {upper}"),
            (Operator::NotBetween, Some(upper)) => format!("not between {value} and {upper}"),
            (Operator::Be, _) => value.to_string(),
            (Operator::NotBe, _) => format!("not {value}"),
            (Operator::Greater, _) => format!("greater than {value}"),
            (Operator::GreaterOrEqual, _) => format!("at least {value}"),
            (Operator::Less, _) => format!("less than {value}"),
            _ => format!("at most {value}"),
        }
    }
}

impl Operator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Be | Self::Between => "=",
            Self::NotBe | Self::NotBetween => "<>",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// A value from YAML as a SQL literal.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => crate::sql::quote::literal(text),
        other => crate::sql::quote::literal(&other.to_string()),
    }
}

/// Reads a list of quality rules.
pub(super) fn read(items: &[Yaml], level: Level, diagnostics: &mut Diagnostics) -> Vec<Quality> {
    items.iter().map(|item| read_one(item, level, diagnostics)).collect()
}

/// Where a quality rule stands, which decides what its metric may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// On a schema entry.
    Model,
    /// On a property.
    Column,
}

fn read_one(yaml: &Yaml, level: Level, diagnostics: &mut Diagnostics) -> Quality {
    let mut fields = Fields::new("a quality rule", yaml);
    fields.allow(&["authoritativeDefinitions", "businessImpact", "customProperties", "method", "schedule"]);
    fields.allow(&["scheduler", "tags", "scheduleCronExpression", "toolName", "context", "deprecated"]);
    let id = fields.string("id");
    let name = fields.string("name");
    let description = fields.string("description").map(|text| text.value).unwrap_or_default();
    let severity = fields.string("severity");
    let dimension = fields.string("dimension").map(|text| text.value);
    let kind = fields.string("type").map(|kind| Located::new(kind.value.to_ascii_lowercase(), kind.at));
    let must = operators(&mut fields);
    let metric = fields.take_any(&["metric", "rule"]);
    let query = fields.string("query");
    let engine = fields.string("engine");
    let implementation = fields.take("implementation");
    let arguments = fields.take("arguments");
    let inline = [fields.take("validValues"), fields.take("pattern"), fields.take("missingValues")];
    let unit = fields.string("unit");
    let said = kind.as_ref().map(|kind| kind.value.as_str());
    let kind = match (said, metric, query, engine) {
        (Some("text"), ..) => documentation("it is written for people"),
        (Some("sql"), _, Some(query), _) | (None, None, Some(query), _) => sql(query, must, &mut fields),
        (Some("custom"), _, _, Some(engine)) | (None, None, None, Some(engine)) => {
            custom(&engine, implementation, &mut fields)
        }
        (Some("library") | None, Some(metric), ..) => {
            let inputs = Inputs { arguments, inline, unit, level };
            library(metric, must, &inputs, &mut fields)
        }
        (Some("library"), None, ..) => missing(&mut fields, "metric"),
        (Some("sql"), ..) => missing(&mut fields, "query"),
        (Some("custom"), ..) => missing(&mut fields, "engine"),
        // 3.0 wrote rules in words without a type.
        (None, None, None, None) => documentation("it is written for people"),
        (Some(other), ..) => {
            let known = ["library", "sql", "text", "custom"];
            let diagnostic =
                Diagnostic::warning("contract-quality", format!("there is no quality type `{other}`"))
                    .suggest(other, known)
                    .help("it takes: library, sql, text, custom; this rule is listed and not checked");
            let at = fields.key_at("type").unwrap_or(fields.at()).clone();
            fields.problem(diagnostic.at(&at, ""));
            documentation("its type is not known")
        }
    };
    let severity = match severity.map(|text| text.value.to_ascii_lowercase()).as_deref() {
        Some("warning" | "warn" | "info" | "information") => TestSeverity::Warn,
        _ => TestSeverity::Error,
    };
    diagnostics.extend(fields.finish().softened("unknown-key"));
    let id = id.or(name).map(|text| text.value);
    Quality { id, kind, severity, dimension, description, at: yaml.at.clone() }
}

fn documentation(reason: &str) -> QualityKind {
    QualityKind::Documentation { reason: reason.to_owned() }
}

fn missing(fields: &mut Fields<'_>, key: &str) -> QualityKind {
    let message = format!("a quality rule of this type needs `{key}`");
    let at = fields.at().first_line();
    fields.problem(Diagnostic::error("missing-key", message).at(&at, ""));
    documentation("it is not complete")
}

fn operators(fields: &mut Fields<'_>) -> Vec<Comparison> {
    let mut found = Vec::new();
    for (key, operator) in OPERATORS {
        let Some(value) = fields.take(key) else { continue };
        let comparison = match operator {
            Operator::Between | Operator::NotBetween => between(operator, value),
            Operator::Be | Operator::NotBe if value.scalar_text().is_some() => {
                Some(Comparison { operator, value: value.to_json(), upper: None })
            }
            _ => number(value).map(|number| Comparison { operator, value: number.into(), upper: None }),
        };
        match comparison {
            Some(comparison) => found.push(comparison),
            None => {
                let wanted = match operator {
                    Operator::Between | Operator::NotBetween => {
                        "a list of two numbers, the smaller one first"
                    }
                    Operator::Be | Operator::NotBe => "a number, text, or true or false",
                    _ => "a number",
                };
                fields.problem(value.wrong_kind(key, wanted));
            }
        }
    }
    found
}

fn number(yaml: &Yaml) -> Option<Number> {
    match &yaml.kind {
        Kind::Number(number) => Some(number.clone()),
        Kind::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn between(operator: Operator, yaml: &Yaml) -> Option<Comparison> {
    let [low, high] = yaml.as_list()? else { return None };
    let (low, high) = (number(low)?, number(high)?);
    (low.as_f64() <= high.as_f64()).then(|| Comparison { operator, value: low.into(), upper: Some(high) })
}

struct Inputs<'a> {
    arguments: Option<&'a Yaml>,
    /// `validValues`, `pattern`, `missingValues` beside the metric, as 3.0 wrote them.
    inline: [Option<&'a Yaml>; 3],
    unit: Option<Located<String>>,
    level: Level,
}

impl Inputs<'_> {
    fn argument(&self, key: &str, inline: Option<usize>) -> Option<&Yaml> {
        let nested = self.arguments.and_then(|arguments| arguments.get(key));
        nested
            .or_else(|| inline.and_then(|index| self.inline[index]))
            .filter(|value| value.kind != Kind::Null)
    }

    fn values(&self, key: &str, inline: usize) -> Option<Vec<Value>> {
        let yaml = self.argument(key, Some(inline))?;
        Some(match yaml.as_list() {
            Some(items) => items.iter().map(Yaml::to_json).collect(),
            None => vec![yaml.to_json()],
        })
    }
}

fn library(
    metric: &Yaml,
    mut must: Vec<Comparison>,
    inputs: &Inputs<'_>,
    fields: &mut Fields<'_>,
) -> QualityKind {
    let name = metric.scalar_text().unwrap_or_default();
    let found = match name.as_str() {
        "nullValues" | "nullCheck" | "nullCount" => Metric::NullValues,
        "missingValues" | "missingCount" => {
            Metric::MissingValues(inputs.values("missingValues", 2).unwrap_or_default())
        }
        "invalidValues" | "invalidCount" | "validValues" => {
            let pattern = inputs.argument("pattern", Some(1)).and_then(Yaml::scalar_text);
            let valid = inputs.values("validValues", 0);
            if valid.is_none() && pattern.is_none() {
                let diagnostic =
                    Diagnostic::error("contract-quality", format!("`{name}` does not say what is valid"));
                fields.problem(
                    diagnostic
                        .at(&metric.at, "")
                        .help("add `arguments: {validValues: [...]}` or a `pattern`"),
                );
                return documentation("it is not complete");
            }
            Metric::InvalidValues { valid, pattern }
        }
        "duplicateValues" | "duplicateCount" | "duplicates" => {
            let items = inputs.argument("properties", None).and_then(Yaml::as_list).unwrap_or_default();
            let name = |item: &Yaml| Some(Located::new(item.scalar_text()?, item.at.clone()));
            Metric::DuplicateValues(items.iter().filter_map(name).collect())
        }
        "rowCount" | "countCheck" => Metric::RowCount,
        other => {
            let diagnostic = Diagnostic::warning("contract-quality", format!("there is no metric `{other}`"))
                .at(&metric.at, "")
                .suggest(other, METRICS)
                .help(format!(
                    "the library has: {}; this rule is listed and not checked",
                    METRICS.join(", ")
                ));
            fields.problem(diagnostic);
            return documentation("its metric is not known");
        }
    };
    let of_column = !matches!(found, Metric::RowCount | Metric::DuplicateValues(_));
    if inputs.level == Level::Model && of_column || inputs.level == Level::Column && found == Metric::RowCount
    {
        let (where_to, what) =
            if of_column { ("a property", "one column") } else { ("the schema entry", "all rows") };
        let diagnostic = Diagnostic::error("contract-quality", format!("`{name}` counts {what}"));
        fields.problem(diagnostic.at(&metric.at, "").help(format!("move it to the `quality` of {where_to}")));
        return documentation("it stands in the wrong place");
    }
    let unit = match inputs.unit.as_ref().map(|unit| unit.value.to_ascii_lowercase()).as_deref() {
        None | Some("rows" | "row" | "values") => Unit::Rows,
        Some("percent" | "%" | "percentage") => Unit::Percent,
        Some(other) => {
            let at = inputs.unit.as_ref().map_or(fields.at(), |unit| &unit.at).clone();
            let message = format!("Kiln cannot count in the unit `{other}`");
            let help = "write `rows` or `percent`; this rule is listed and not checked";
            fields.problem(Diagnostic::warning("contract-quality", message).at(&at, "").help(help));
            return documentation("its unit is not known");
        }
    };
    if let Some(wrong) = must.iter().find(|comparison| !comparison.value.is_number()) {
        let message = format!("`{name}` is a number and cannot be compared with {}", wrong.value);
        fields.problem(Diagnostic::error("contract-quality", message).at(&metric.at, ""));
        return documentation("it is not complete");
    }
    if must.is_empty() {
        if found == Metric::RowCount {
            return missing(fields, "mustBeGreaterThan");
        }
        must.push(Comparison { operator: Operator::Be, value: 0.into(), upper: None });
    }
    QualityKind::Library { metric: found, must, unit }
}

fn sql(query: Located<String>, must: Vec<Comparison>, fields: &mut Fields<'_>) -> QualityKind {
    if must.is_empty() {
        return missing(fields, "mustBe");
    }
    QualityKind::Sql { query, must }
}

fn custom(engine: &Located<String>, implementation: Option<&Yaml>, fields: &mut Fields<'_>) -> QualityKind {
    if !matches!(engine.value.to_ascii_lowercase().as_str(), "kiln" | "dbt") {
        return documentation(&format!("it is for the engine {}", engine.value));
    }
    let Some(implementation) = implementation else { return missing(fields, "implementation") };
    if let Kind::String(text) = &implementation.kind {
        if text.trim().chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            let name = Located::new(text.trim().to_owned(), implementation.at.clone());
            return QualityKind::Test { name, args: Default::default(), config: Default::default() };
        }
        let diagnostic =
            Diagnostic::error("contract-quality", "this implementation is a text that Kiln cannot read");
        let help = "write a mapping: `{name: accepted_values, args: {values: [a, b]}}`";
        fields.problem(diagnostic.at(&implementation.at, "").help(help));
        return documentation("it is not complete");
    }
    let mut inner = Fields::new("an implementation", implementation);
    let name = inner.take_any(&["name", "test", "test_name"]).cloned();
    let args = inner.take_any(&["args", "arguments", "kwargs"]).map(Yaml::to_json);
    let mut config = inner.object("config").unwrap_or_default();
    for key in
        ["severity", "where", "warn_if", "error_if", "limit", "fail_calc", "store_failures", "tags", "meta"]
    {
        if let Some(value) = inner.take(key) {
            config.insert(key.to_owned(), value.to_json());
        }
    }
    let problems = inner.finish();
    for problem in problems.sorted() {
        fields.problem(problem.clone());
    }
    let name = name.and_then(|name| Some(Located::new(name.scalar_text()?, name.at.clone())));
    let Some(name) = name else { return missing(fields, "name") };
    let args = match args {
        Some(Value::Object(args)) => args,
        _ => Default::default(),
    };
    QualityKind::Test { name, args, config }
}
