use super::*;
use crate::diagnostic::{Diagnostic, Location, SourceFile};
use crate::diff::samples::{full, hostile, removed, report};

/// A waiver that nothing needs.
fn notes() -> Diagnostics {
    let file = SourceFile::new("waivers/old.yml", "- rule: column-removed\n");
    let at = Location::new(&file, 8..22);
    let mut notes = Diagnostics::new();
    notes.push(
        Diagnostic::warning("waiver-unused", "nothing needs the waiver of `column-removed a.b`")
            .at(&at, "")
            .help("remove it when the change is published everywhere"),
    );
    notes
}

fn shown(report: &Report, format: fn(&Page<'_>) -> String) -> String {
    let (none, some) = (Diagnostics::new(), notes());
    let waivers = if report.findings.len() > 1 { &some } else { &none };
    let in_repository = |path: &Path| format!("warehouse/{}", path.display());
    format(&Page {
        report,
        fail_on: Severity::Error,
        waivers,
        gate: Gate::Merge,
        proposal: Proposal::Sound,
        base: "origin/main",
        in_repository: &in_repository,
    })
}

/// Colours as tags that a person can read.
fn plain(text: &str) -> String {
    let mut plain = text.replace("\x1b[0m", "}");
    for (code, tag) in
        [("1;31", "{red "), ("32", "{green "), ("33", "{yellow "), ("1", "{bold "), ("2", "{dim ")]
    {
        plain = plain.replace(&format!("\x1b[{code}m"), tag);
    }
    plain
}

fn colourless(page: &Page<'_>) -> String {
    let mut text = plain(&text(page)).replace('}', "");
    for tag in ["{red ", "{green ", "{yellow ", "{bold ", "{dim "] {
        text = text.replace(tag, "");
    }
    text
}

#[test]
fn text_looks_like_a_compilers() {
    insta::assert_snapshot!("text_full", shown(&full(), colourless));
    insta::assert_snapshot!("text_one_with_colours", plain(&shown(&report(vec![removed()]), text)));
    insta::assert_snapshot!("text_empty", shown(&report(vec![]), colourless));
    insta::assert_snapshot!("text_hostile", shown(&report(vec![hostile()]), colourless));
}

#[test]
fn a_publish_says_that_nothing_was_published() {
    let report = report(vec![removed()]);
    let page = Page {
        report: &report,
        fail_on: Severity::Error,
        waivers: &Diagnostics::new(),
        gate: Gate::Publish,
        proposal: Proposal::Sound,
        base: "published",
        in_repository: &|path| path.display().to_string(),
    };
    assert!(colourless(&page).ends_with("blocked: nothing was published, 1 finding at or above `error`\n"));
}

#[test]
fn json_is_for_programs() {
    insta::assert_snapshot!("json_full", shown(&full(), json));
    insta::assert_snapshot!("json_empty", shown(&report(vec![]), json));
    let hostile: serde_json::Value =
        serde_json::from_str(&shown(&report(vec![hostile()]), json)).expect("it is JSON");
    assert_eq!(hostile["findings"][0]["model"], "or|ders\n::warning::");
    assert_eq!(hostile["blocked"], true);
}

#[test]
fn markdown_is_one_comment() {
    insta::assert_snapshot!("markdown_full", shown(&full(), markdown));
    insta::assert_snapshot!("markdown_empty", shown(&report(vec![]), markdown));
    insta::assert_snapshot!("markdown_hostile", shown(&report(vec![hostile()]), markdown));
}

#[test]
fn a_comment_has_room_for_its_verdict_whatever_happened() {
    let many: Vec<Finding> =
        (0..2_000).map(|number| Finding { column: Some(format!("column_{number}")), ..hostile() }).collect();
    let text = shown(&report(many), markdown);
    assert!(text.len() < 65_536, "{} bytes", text.len());
    assert!(text.starts_with("<!-- kiln:contract-check -->\n### Kiln: blocked: 2000 findings"));
    assert!(text.contains("more | | | | |"));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 10);
    assert!(
        rows.iter().all(|row| row.matches(" | ").count() == 5 || row.starts_with("| | ")),
        "a cell broke out"
    );
}

#[test]
fn sarif_has_suppressions_and_fingerprints() {
    let text = shown(&full(), sarif);
    let log: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(crate::diff::Rule::ALL.len()));
    let mut shortened = run.clone();
    shortened["tool"]["driver"]["rules"].as_array_mut().expect("rules").truncate(1);
    insta::assert_snapshot!("sarif_full", format!("{shortened:#}"));
    for result in run["results"].as_array().expect("results") {
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
    let hostile: serde_json::Value =
        serde_json::from_str(&shown(&report(vec![hostile()]), sarif)).expect("it is JSON");
    let uri =
        &hostile["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "warehouse/models/a%2Cb%3Ac%25.sql");
    serde_json::from_str::<serde_json::Value>(&shown(&report(vec![]), sarif)).expect("it is JSON");
}

#[test]
fn junit_has_a_case_for_each_rule_and_model() {
    insta::assert_snapshot!("junit_full", shown(&full(), junit));
    insta::assert_snapshot!("junit_empty", shown(&report(vec![]), junit));
    insta::assert_snapshot!("junit_hostile", shown(&report(vec![hostile()]), junit));
}

#[test]
fn github_has_one_annotation_for_each_finding() {
    insta::assert_snapshot!("github_full", shown(&full(), github));
    assert_eq!(shown(&report(vec![]), github), "");
    let text = shown(&report(vec![hostile()]), github);
    assert_eq!(text.lines().count(), 1, "a line break would begin a command of its own");
    insta::assert_snapshot!("github_hostile", text);
}

#[test]
fn gitlab_has_one_issue_for_each_finding() {
    insta::assert_snapshot!("gitlab_full", shown(&full(), gitlab));
    assert_eq!(shown(&report(vec![]), gitlab), "[]\n");
}

#[test]
fn rules_are_listed_with_the_severity_that_they_have() {
    let severity = |rule: crate::diff::Rule| match rule {
        crate::diff::Rule::OrderChanged => Severity::Off,
        rule => rule.default_severity(),
    };
    let rules: serde_json::Value = serde_json::from_str(&rules_json(&severity)).expect("it is JSON");
    let order = rules["rules"].as_array().expect("rules").iter().find(|rule| rule["rule"] == "order-changed");
    insta::assert_snapshot!("rule_as_json", format!("{:#}", order.expect("it is listed")));
}

#[test]
fn a_proposal_that_does_not_compile_is_never_well() {
    let nothing = report(vec![]);
    let page = Page {
        report: &nothing,
        fail_on: Severity::Error,
        waivers: &Diagnostics::new(),
        gate: Gate::Merge,
        proposal: Proposal::Broken,
        base: "main",
        in_repository: &|path| path.display().to_string(),
    };
    assert!(colourless(&page).ends_with("not checked: the proposal does not compile\n"));
    assert!(markdown(&page).contains("### Kiln: not checked"));
    assert!(json(&page).contains("\"checked\": false"));
    assert!(sarif(&page).contains("\"executionSuccessful\": false"));
    insta::assert_snapshot!("junit_not_checked", junit(&page));
}
