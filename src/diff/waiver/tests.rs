use std::collections::BTreeMap;

use jiff::civil::{Date, date};

use super::*;
use crate::contract::read as read_contract;
use crate::diagnostic::{Diagnostics, SourceFile, Style};
use crate::diff::samples::{removed, report, tightened, widened};
use crate::diff::{Finding, Severity};

const TODAY: Date = date(2026, 11, 22);

fn text(finding: &Finding, change: impl Fn(String) -> String) -> String {
    let said = StubText {
        reason: "GDPR erasure, ticket DATA-431",
        approved_by: &["CRM@x.io".to_owned()],
        expires: date(2026, 12, 15),
    };
    change(stubs([finding], &said, &BTreeMap::new()))
}

fn read_text(text: &str) -> (Vec<Waiver>, Diagnostics) {
    let mut problems = Diagnostics::new();
    let waivers = read(&SourceFile::new("waivers/email.yml", text), &mut problems);
    (waivers, problems)
}

fn waivers(text: &str) -> Vec<Waiver> {
    let (waivers, problems) = read_text(text);
    assert!(problems.is_empty(), "{}", problems.render(Style::Plain));
    waivers
}

/// What `apply` says, and the finding after it.
fn applied(
    finding: Finding,
    text: &str,
    deciders: &BTreeMap<String, Vec<String>>,
    today: Date,
) -> (Finding, String) {
    let mut report = report(vec![finding]);
    let said = apply(&mut report, &waivers(text), deciders, today);
    assert!(!said.has_errors());
    (report.findings.remove(0), said.render(Style::Plain))
}

fn same(text: String) -> String {
    text
}

#[test]
fn a_waiver_is_written_and_read_and_covers_its_change() {
    let text = text(&removed(), same);
    insta::assert_snapshot!("written", text);
    let (finding, said) = applied(removed(), &text, &BTreeMap::new(), TODAY);
    assert_eq!(said, "");
    assert!(!finding.counts(Severity::Note));
    let waived = finding.waived.expect("it is waived");
    assert_eq!(
        (waived.reason.as_str(), waived.expires.as_deref()),
        ("GDPR erasure, ticket DATA-431", Some("2026-12-15"))
    );
    assert_eq!(waived.place.expect("a place").at.to_string(), "waivers/email.yml:1:9");
    // It holds on its last day.
    assert!(applied(removed(), &text, &BTreeMap::new(), date(2026, 12, 15)).0.waived.is_some());
}

#[test]
fn a_waiver_is_for_one_change_and_no_other() {
    let text = text(&removed(), same);
    let another = Finding { old: Some("INTEGER".into()), ..removed() };
    let (finding, said) = applied(another, &text, &BTreeMap::new(), TODAY);
    assert_eq!(finding.waived, None);
    insta::assert_snapshot!("for_another_change", said);
    let (finding, said) = applied(widened(), &text, &BTreeMap::new(), TODAY);
    assert_eq!(finding.waived, None);
    insta::assert_snapshot!("unused", said);
    let later = Finding { version_old: Some("2.4.0".into()), ..removed() };
    let (finding, said) = applied(later, &text, &BTreeMap::new(), TODAY);
    assert_eq!(finding.waived, None);
    insta::assert_snapshot!("for_another_version", said);
}

#[test]
fn an_expired_waiver_is_not_applied() {
    let text = text(&removed(), same);
    let (finding, said) = applied(removed(), &text, &BTreeMap::new(), date(2026, 12, 16));
    assert_eq!(finding.waived, None);
    assert!(finding.counts(Severity::Error));
    insta::assert_snapshot!("expired", format!("{said}\n{}", finding.help.join("\n")));
    let (_, said) = applied(widened(), &text, &BTreeMap::new(), date(2026, 12, 16));
    insta::assert_snapshot!("expired_and_unused", said);
}

#[test]
fn every_affected_owner_must_agree_or_one_who_decides() {
    let text = text(&removed(), |text| text.replace("CRM@x.io", "ana@x.io"));
    let (finding, said) = applied(removed(), &text, &BTreeMap::new(), TODAY);
    assert_eq!(finding.waived, None);
    insta::assert_snapshot!("without_approval", format!("{said}\n{}", finding.help.join("\n")));

    let contract = "apiVersion: v3.1.0\nkind: DataContract\nid: o\nversion: 1.0.0\nschema: [{name: orders}]\nroles:\n  - {role: data_office, firstLevelApprovers: 'ben@x.io, ana@x.io'}\n";
    let contracts = read_contract(&SourceFile::new("contracts/o.yaml", contract), &mut Diagnostics::new());
    let deciders = deciders(&contracts);
    assert_eq!(deciders["orders"], ["ben@x.io", "ana@x.io", "data_office"]);
    assert!(applied(removed(), &text, &deciders, TODAY).0.waived.is_some());

    // The name of an owner is as good as the address.
    let by_name = text.replace("ana@x.io", "crm");
    assert!(applied(removed(), &by_name, &BTreeMap::new(), TODAY).0.waived.is_some());
    // Where nobody is affected, nobody is asked, but for what is protected.
    let nobody = tightened();
    let alone = super::tests::text(&nobody, |text| text.replace("[CRM@x.io]", "[]"));
    assert!(applied(nobody, &alone, &BTreeMap::new(), TODAY).0.waived.is_some());
    let guarded = Finding {
        rule: Rule::ClassificationLowered,
        severity: Severity::Error,
        breaks: Vec::new(),
        ..removed()
    };
    let alone = super::tests::text(&guarded, |text| text.replace("[CRM@x.io]", "[]"));
    assert_eq!(applied(guarded, &alone, &BTreeMap::new(), TODAY).0.waived, None);
}

#[test]
fn stubs_say_what_is_missing() {
    let said = StubText { reason: "", approved_by: &[], expires: date(2026, 12, 22) };
    let text = stubs([&removed(), &widened()], &said, &BTreeMap::new());
    insta::assert_snapshot!("stubs", text);
    let (waivers, problems) = read_text(&text);
    assert_eq!(waivers, []);
    assert!(problems.has_errors(), "a stub must be filled in");
}

#[test]
fn what_is_not_understood_waives_nothing() {
    let text = "\
- {rule: column-remove, model: orders, column: email, fingerprint: 0123456789ab, reason: x, expires: 2026-12-01}
- {rule: column-removed, model: orders, colum: email, fingerprint: 0123456789ab, reason: x, expires: 2026-12-01}
- {rule: column-removed, fingerprint: 0123, reason: ' ', expires: tomorrow}
- {rule: type-changed, model: orders}
- just text
- {rule: model-removed, model: a, fingerprint: 0123456789ab, reason: x, expires: 2026-12-01}
- {rule: model-removed, model: a, fingerprint: 0123456789AB, reason: y, expires: 2026-12-02}
";
    let (waivers, problems) = read_text(text);
    assert_eq!(waivers.len(), 1);
    insta::assert_snapshot!("not_understood", problems.render(Style::Plain));
    assert_eq!(read_text("").0, []);
    insta::assert_snapshot!("no_list", read_text("rule: column-removed\n").1.render(Style::Plain));
}
