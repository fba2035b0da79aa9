//! What a count of failures means: dbt's `severity`, `warn_if` and `error_if`.
//!
//! dbt pastes the two conditions into SQL. Here they are parsed, so that a typo is found when the project is read and
//! nothing else than a comparison with numbers gets in.

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::manifest::{TestConfig, TestSeverity};

/// The verdict on a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing to say.
    Pass,
    /// Said; the publish goes on.
    Warn,
    /// Nothing is published.
    Fail,
}

/// The verdict for a value of `fail_calc`. With severity error `error_if` is asked first and then `warn_if`; with
/// severity warn only `warn_if`.
pub fn evaluate(config: &TestConfig, failures: i64) -> Result<Status, Diagnostic> {
    if config.severity == TestSeverity::Error
        && Condition::parse("error_if", &config.error_if)?.holds(failures)
    {
        return Ok(Status::Fail);
    }
    match Condition::parse("warn_if", &config.warn_if)?.holds(failures) {
        true => Ok(Status::Warn),
        false => Ok(Status::Pass),
    }
}

/// What is wrong with a test's configuration, found without data: a condition that is none.
pub fn problems(config: &TestConfig, at: &Location) -> Diagnostics {
    let mut found = Diagnostics::new();
    for (key, text) in [("error_if", &config.error_if), ("warn_if", &config.warn_if)] {
        if let Err(diagnostic) = Condition::parse(key, text) {
            found.push(diagnostic.at(at, ""));
        }
    }
    found
}

/// A comparison of a number with numbers.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    kind: Kind,
    negated: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Less(f64),
    LessOrEqual(f64),
    Greater(f64),
    GreaterOrEqual(f64),
    Equal(f64),
    Between(f64, f64),
    In(Vec<f64>),
}

impl Condition {
    fn parse(key: &str, text: &str) -> Result<Self, Diagnostic> {
        Self::read(text).ok_or_else(|| {
            Diagnostic::error("test-condition", format!("`{key}: \"{text}\"` is no comparison with a number"))
                .help("write an operator and a number, such as `> 10` or `!= 0`, or `between 1 and 5`")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let operators = ["<=", ">=", "!=", "<>", "==", "<", ">", "="];
        if let Some(operator) = operators.iter().find(|operator| text.starts_with(**operator)) {
            let number = number(&text[operator.len()..])?;
            let (kind, negated) = match *operator {
                "<" => (Kind::Less(number), false),
                "<=" => (Kind::LessOrEqual(number), false),
                ">" => (Kind::Greater(number), false),
                ">=" => (Kind::GreaterOrEqual(number), false),
                "!=" | "<>" => (Kind::Equal(number), true),
                _ => (Kind::Equal(number), false),
            };
            return Some(Self { kind, negated });
        }
        Self::read_words(&text.to_ascii_lowercase())
    }

    fn read_words(text: &str) -> Option<Self> {
        let (negated, text) = match text.strip_prefix("not ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        if let Some(rest) = text.strip_prefix("between ") {
            let (low, high) = rest.split_once(" and ")?;
            return Some(Self { kind: Kind::Between(number(low)?, number(high)?), negated });
        }
        let list = text.strip_prefix("in")?.trim().strip_prefix('(')?.strip_suffix(')')?;
        let numbers = list.split(',').map(number).collect::<Option<Vec<f64>>>()?;
        Some(Self { kind: Kind::In(numbers), negated })
    }

    fn holds(&self, failures: i64) -> bool {
        let value = failures as f64;
        let found = match &self.kind {
            Kind::Less(number) => value < *number,
            Kind::LessOrEqual(number) => value <= *number,
            Kind::Greater(number) => value > *number,
            Kind::GreaterOrEqual(number) => value >= *number,
            Kind::Equal(number) => value == *number,
            Kind::Between(low, high) => value >= *low && value <= *high,
            Kind::In(numbers) => numbers.contains(&value),
        };
        found != self.negated
    }
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{SourceFile, Style};

    fn config(severity: TestSeverity, error_if: &str, warn_if: &str) -> TestConfig {
        TestConfig { severity, error_if: error_if.into(), warn_if: warn_if.into(), ..TestConfig::default() }
    }

    #[test]
    fn severity_error_asks_error_if_and_then_warn_if() {
        let plain = TestConfig::default();
        assert_eq!(evaluate(&plain, 0), Ok(Status::Pass));
        assert_eq!(evaluate(&plain, 1), Ok(Status::Fail));
        let both = config(TestSeverity::Error, "> 10", ">= 5");
        let verdicts = [4, 5, 10, 11].map(|failures| evaluate(&both, failures).expect("it parses"));
        assert_eq!(verdicts, [Status::Pass, Status::Warn, Status::Warn, Status::Fail]);
    }

    #[test]
    fn severity_warn_asks_warn_if_only() {
        let config = config(TestSeverity::Warn, "> 10", "> 5");
        let verdicts = [5, 6, 11].map(|failures| evaluate(&config, failures).expect("it parses"));
        assert_eq!(verdicts, [Status::Pass, Status::Warn, Status::Warn]);
    }

    #[test]
    fn conditions_are_comparisons_with_numbers() {
        let holds = |text: &str| {
            let condition = Condition::read(text)?;
            Some(
                (0..8)
                    .filter(|failures| condition.holds(*failures))
                    .map(|n| n.to_string())
                    .collect::<String>(),
            )
        };
        let table: Vec<String> = [
            "> 5",
            ">5",
            ">= 5",
            "< 2",
            "<= 2",
            "= 3",
            "== 3",
            "!= 3",
            "<> 3",
            "between 2 and 4",
            "BETWEEN 2 AND 4",
            "not between 1 and 6",
            "in (1, 2)",
            "not in (0)",
            "> 2.5",
            "> -1",
            ">= 5 and < 100",
            "> (select 1)",
            "",
            "many",
            "> inf",
            "> nan",
            "5",
        ]
        .iter()
        .map(|text| format!("{text:20} {}", holds(text).unwrap_or_else(|| "no condition".into())))
        .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn what_cannot_work_is_said() {
        let file = SourceFile::new("models/schema.yml", "data_tests: [unique]\n");
        let at = Location::new(&file, 13..19);
        let bad = TestConfig { limit: Some(50), ..config(TestSeverity::Error, "> 100", "more than 3") };
        insta::assert_snapshot!(problems(&bad, &at).render(Style::Plain));
        assert!(problems(&TestConfig { limit: Some(1), ..TestConfig::default() }, &at).is_empty());
    }
}
