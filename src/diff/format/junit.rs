//! The report as JUnit's XML: a case for each rule and model that has findings.

use std::collections::BTreeMap;

use super::{Page, Proposal, details};
use crate::diff::{Finding, Rule};

/// The document.
pub fn junit(page: &Page<'_>) -> String {
    let mut cases: BTreeMap<(&str, Rule), Vec<&Finding>> = BTreeMap::new();
    for finding in &page.report.findings {
        cases.entry((&finding.model, finding.rule)).or_default().push(finding);
    }
    let mut body = String::new();
    let (mut failures, mut skipped) = (0, 0);
    for ((model, rule), findings) in &cases {
        let head = format!(
            "    <testcase classname=\"{}\" name=\"{}\"",
            escape(&format!("kiln.diff.{model}")),
            escape(rule.slug())
        );
        let said: Vec<String> = findings.iter().map(|finding| describe(finding)).collect();
        let said = escape(&said.join("\n\n"));
        let first = |wanted: &dyn Fn(&Finding) -> bool| {
            findings.iter().find(|finding| wanted(finding)).map(|finding| escape(&finding.message))
        };
        let fails = first(&|finding| finding.counts(page.fail_on));
        let all_waived = findings.iter().all(|finding| finding.waived.is_some());
        body.push_str(&match (fails, all_waived) {
            (Some(message), _) => {
                failures += 1;
                let kind = escape(rule.slug());
                format!("{head}>\n      <failure type=\"{kind}\" message=\"{message}\">{said}</failure>\n    </testcase>\n")
            }
            (None, true) => {
                skipped += 1;
                format!("{head}>\n      <skipped message=\"waived\"/>\n      <system-out>{said}</system-out>\n    </testcase>\n")
            }
            (None, false) => format!("{head}>\n      <system-out>{said}</system-out>\n    </testcase>\n"),
        });
    }
    let mut tests = cases.len();
    let mut errors = 0;
    if page.proposal == Proposal::Broken {
        (tests, errors) = (tests + 1, 1);
        let message = escape(&page.verdict());
        body.push_str(&format!(
            "    <testcase classname=\"kiln.diff\" name=\"the proposal compiles\">\n      <error message=\"{message}\"/>\n    </testcase>\n"
        ));
    } else if cases.is_empty() {
        // Readers of these files take one without a case for a broken one.
        tests = 1;
        body.push_str(
            "    <testcase classname=\"kiln.diff\" name=\"no change that a reader could notice\"/>\n",
        );
    }
    let counts =
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kiln diff\" {counts}>\n  <testsuite name=\"kiln diff vs {}\" {counts}>\n{body}  </testsuite>\n</testsuites>\n",
        escape(&page.report.base)
    )
}

fn describe(finding: &Finding) -> String {
    let mut lines = vec![format!("{}: {}", finding.severity.as_str(), finding.message)];
    lines.extend(finding.places.iter().map(|place| format!("{} {}", place.label, place.at)));
    lines.extend(details(finding));
    lines.join("\n")
}

/// Text in XML: what XML cannot hold in any form becomes a replacement character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
