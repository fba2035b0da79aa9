//! Failures: what went wrong, once, in full, at the end, with what to type next.

use std::fmt::Write;

use crate::cli::Global;
use crate::manifest::{Test, TestKind, UnitTest};
use crate::run::event::{TestReport, TestStatus, UnitFinding};
use crate::workspace::Workspace;

use super::terminal::{Paint, Terminal};
use super::words::{cell, counted, number};

/// Most columns of failing rows that are shown.
const MOST_COLUMNS: usize = 8;

/// Tests whose failing rows are values, not rows of the model.
const OF_VALUES: [&str; 7] = [
    "accepted_values",
    "dbt_expectations.expect_compound_columns_to_be_unique",
    "dbt_utils.cardinality_equality",
    "dbt_utils.not_accepted_values",
    "dbt_utils.unique_combination_of_columns",
    "unique",
    "unique_combination_of_columns",
];

/// Tests that say something of all rows together, or of each group of them.
const OF_ALL: [&str; 8] = [
    "dbt_expectations.expect_row_values_to_have_recent_data",
    "dbt_expectations.expect_table_row_count_to_be_between",
    "dbt_utils.at_least_one",
    "dbt_utils.equal_rowcount",
    "dbt_utils.fewer_rows_than",
    "dbt_utils.not_constant",
    "dbt_utils.not_null_proportion",
    "dbt_utils.recency",
];

/// What is needed to tell of a failed test.
pub struct Teller<'a> {
    /// Where to.
    pub terminal: &'a Terminal,
    /// The project.
    pub workspace: &'a Workspace,
    /// Options that a command to type next needs too.
    pub global: &'a Global,
    /// The command that tests again: `run` or `test`.
    pub command: &'static str,
}

impl Teller<'_> {
    fn definition(&self, report: &TestReport) -> Option<&Test> {
        self.workspace.manifest.tests.values().find(|test| test.name == report.name)
    }

    /// `unique(order_id)`, or the test's name where it has no better one.
    fn title(&self, report: &TestReport) -> String {
        if let Some(test) = self.unit_test(report) {
            return format!("unit test {}", test.declared.name.value);
        }
        if report.name.starts_with("audit_") && self.definition(report).is_none() {
            return "more rows changed than it allows".into();
        }
        match self.definition(report).map(|test| &test.kind) {
            Some(TestKind::Generic { name, .. }) => {
                let title = match &report.column {
                    Some(column) => format!("{name}({column})"),
                    None => name.clone(),
                };
                // A name that somebody gave says more than what it is made from; a long one that nobody gave is cut.
                let made = [name.replace('.', "_"), format!("source_{}", name.replace('.', "_"))];
                let given = made.iter().all(|made| !report.name.starts_with(made.get(..24).unwrap_or(made)))
                    && !["contract_", "constraint_"].iter().any(|word| report.name.starts_with(word));
                if given { format!("{}: {title}", report.name) } else { title }
            }
            _ => report.name.clone(),
        }
    }

    /// The unit test that a report is of.
    fn unit_test(&self, report: &TestReport) -> Option<&UnitTest> {
        let of = |test: &&UnitTest| test.id.short() == report.name;
        self.workspace.manifest.unit_tests.values().find(of).filter(|_| self.definition(report).is_none())
    }

    fn subject(&self, report: &TestReport) -> String {
        let dot = self.terminal.signs.dot;
        match &report.node {
            Some(node) => format!("{} {dot} {}", node.short(), self.title(report)),
            None => self.title(report),
        }
    }

    /// `2 of 99,441 rows`, or what kept the test from running.
    fn extent(&self, report: &TestReport) -> String {
        if let (Some(diff), TestStatus::Fail) = (&report.rows_changed, report.status) {
            return format!(
                "{} added, {} removed, {} changed of {}",
                number(diff.added),
                number(diff.removed),
                number(diff.changed),
                counted(diff.before, "row", "rows")
            );
        }
        if let Some(UnitFinding::Different(difference)) = report.unit.as_deref() {
            return super::unit::extent(difference);
        }
        let failures = u64::try_from(report.failures.unwrap_or(0)).unwrap_or(0);
        let counts_rows = self.definition(report).is_none_or(|test| test.config.fail_calc == "count(*)");
        match (report.status, report.rows) {
            (TestStatus::Error, _) => "could not run".into(),
            (_, Some(rows)) if counts_rows && self.is_one_of(&OF_ALL, report) => match failures {
                1 => format!("does not hold for {}", counted(rows, "row", "rows")),
                _ => format!("{} groups in {}", number(failures), counted(rows, "row", "rows")),
            },
            (_, Some(rows)) if counts_rows && self.is_one_of(&OF_VALUES, report) => {
                let values = counted(failures, "value", "values");
                format!("{values} in {}", counted(rows, "row", "rows"))
            }
            (_, Some(rows)) if counts_rows && failures <= rows => {
                format!("{} of {}", number(failures), counted(rows, "row", "rows"))
            }
            _ if counts_rows && self.definition(report).is_none() && report.name.starts_with("contract_") => {
                counted(failures, "column", "columns")
            }
            _ if counts_rows => counted(failures, "row", "rows"),
            _ => format!("{} failures", report.failures.unwrap_or(0)),
        }
    }

    fn is_one_of(&self, tests: &[&str], report: &TestReport) -> bool {
        match self.definition(report).map(|test| &test.kind) {
            Some(TestKind::Generic { name, .. }) => tests.contains(&name.as_str()),
            _ => false,
        }
    }

    /// A failed test in a sentence, for an annotation.
    pub fn sentence(&self, report: &TestReport) -> String {
        let message = report.message.iter().map(|message| format!("\n{message}")).collect::<String>();
        format!("{}: {}{message}", self.subject(report), self.extent(report))
    }

    /// The whole block of a failed test.
    pub fn block(&self, report: &TestReport) -> String {
        let (word, paint) = match report.status {
            TestStatus::Warn => ("WARN", Paint::Yellow),
            TestStatus::Error => ("ERROR", Paint::Red),
            _ => ("FAIL", Paint::Red),
        };
        let dash = self.terminal.signs.dash;
        let mut text = format!(
            "{} {} {dash} {}\n",
            self.terminal.paint(paint, word),
            self.terminal.paint(Paint::Bold, &self.subject(report)),
            self.extent(report)
        );
        let _ = writeln!(text, "  declared at {}", report.at);
        if let Some(finding) = report.unit.as_deref() {
            text += &match finding {
                UnitFinding::Different(difference) => super::unit::table(self.terminal, difference),
                UnitFinding::Broken(problems) => problems.render(self.terminal.style()),
            };
            let _ = writeln!(text, "  re-run:   {}", self.again(report));
            return text;
        }
        for line in report.message.iter().flat_map(|message| message.lines()) {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(diff) = &report.rows_changed {
            text += &super::data_diff::body(self.terminal, diff);
        }
        if let Some((columns, rows)) = report.sample.as_ref().filter(|(_, rows)| !rows.is_empty()) {
            text += &self.rows(columns, rows);
        }
        let query = report.query.trim();
        if !query.is_empty() {
            text += match query.contains('\n') {
                true => "  see all:\n",
                false => "  see all:  ",
            };
            for line in query.lines() {
                text += &match query.contains('\n') {
                    true => format!("    {line}\n"),
                    false => format!("{line}\n"),
                };
            }
        }
        let _ = writeln!(text, "  re-run:   {}", self.again(report));
        text
    }

    /// A warning in two lines.
    pub fn brief(&self, report: &TestReport) -> String {
        let dash = self.terminal.signs.dash;
        format!(
            "{} {} {dash} {} ({})\n",
            self.terminal.paint(Paint::Yellow, "WARN"),
            self.subject(report),
            self.extent(report),
            report.at
        )
    }

    fn rows(&self, columns: &[String], rows: &[Vec<Option<String>>]) -> String {
        let shown = columns.len().min(MOST_COLUMNS);
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().take(shown).map(|value| cell(value.as_deref())).collect())
            .collect();
        let width = |at: usize| {
            let widest = cells.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max();
            widest.unwrap_or(0).max(columns[at].chars().count())
        };
        let widths: Vec<usize> = (0..shown).map(width).collect();
        let line = |values: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> =
                values.zip(&widths).map(|(value, width)| format!("{value:<width$}")).collect();
            format!("    {}", padded.join("  ")).trim_end().to_owned()
        };
        let more = columns.len() - shown;
        let more = if more > 0 { format!("  (and {more} more columns)") } else { String::new() };
        let head = line(&mut columns.iter().take(shown).map(String::as_str));
        let mut text = self.terminal.paint(Paint::Dim, &format!("{head}{more}")) + "\n";
        for row in &cells {
            text += &line(&mut row.iter().map(String::as_str));
            text.push('\n');
        }
        text
    }

    fn again(&self, report: &TestReport) -> String {
        let mut command = format!("kiln {}", self.command);
        let options = &self.global;
        if options.project_dir != std::path::Path::new(".") {
            command += &format!(" --project-dir {}", quoted(&options.project_dir.to_string_lossy()));
        }
        command += &options.target.iter().map(|target| format!(" --target {target}")).collect::<String>();
        command += &options.vars.iter().map(|vars| format!(" --vars {}", quoted(vars))).collect::<String>();
        let source = report.node.as_ref().filter(|node| node.resource_type() == "source");
        match (self.command, &report.node, source) {
            ("compile", _, _) => format!("{command} --unit-tests --select {}", report.name),
            ("test", _, _) | (_, None, _) => format!("{command} --select {}", report.name),
            (_, _, Some(source)) => format!("{command} --select source:{}+", source.short()),
            (_, Some(node), None) => format!("{command} --select {}+", node.short()),
        }
    }
}

/// A word of a command line, in quotes where a shell would take it apart.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    match word.chars().all(plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
