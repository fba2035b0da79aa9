//! Reports for tests of what is made from a report.

use crate::contract::{Compatibility, CompatibilityMode};
use crate::diagnostic::{Location, SourceFile};
use crate::manifest::Owner;

use super::{
    Broken, Bump, Certainty, ConsumerKind, Finding, Place, Proof, Report, Rule, Severity, Side, Unknown,
};

const SQL: &str = "select\n  order_id,\n  status\nfrom {{ ref('stg_orders') }}\n";
const CONTRACT: &str = "version: 2.3.1\nschema:\n  - name: orders\n    properties:\n      - {name: email}\n";

fn place(label: &str, side: Side, path: &str, text: &str, needle: &str) -> Place {
    let file = SourceFile::new(path, text);
    let start = text.find(needle).expect("the text holds it");
    Place { label: label.into(), side, at: Location::new(&file, start..start + needle.len()) }
}

fn owner(name: Option<&str>, email: Option<&str>) -> Option<Owner> {
    Some(Owner { name: name.map(str::to_owned), email: email.map(str::to_owned) })
}

/// A removed column that a job and a model read.
pub(crate) fn removed() -> Finding {
    Finding {
        rule: Rule::ColumnRemoved,
        severity: Severity::Error,
        model: "orders".into(),
        column: Some("email".into()),
        old: Some("VARCHAR".into()),
        new: None,
        message: "`orders.email` was removed".into(),
        places: vec![
            place("model", Side::Proposed, "models/serving/orders.sql", SQL, "status"),
            place("contract", Side::Proposed, "contracts/orders.odcs.yaml", CONTRACT, "{name: email}"),
        ],
        breaks: vec![
            Broken {
                name: "crm_sync".into(),
                kind: ConsumerKind::Exposure,
                reads: vec!["orders.email".into()],
                certainty: Certainty::Certain,
                how: "names it in its columns".into(),
                owner: owner(Some("CRM"), Some("crm@x.io")),
                via: Vec::new(),
                place: Some(place(
                    "consumer",
                    Side::Proposed,
                    "models/schema.yml",
                    "a\n- crm_sync\n",
                    "crm_sync",
                )),
            },
            Broken {
                name: "customer_360.contact_email".into(),
                kind: ConsumerKind::Model,
                reads: vec!["orders.email".into()],
                certainty: Certainty::Possible,
                how: "takes its value".into(),
                owner: None,
                via: vec!["stg_contacts".into()],
                place: Some(place(
                    "model",
                    Side::Base,
                    "models/serving/customer_360.sql",
                    "select coalesce(o.email, c.email) as contact_email\n",
                    "coalesce",
                )),
            },
        ],
        consumers_total: 5,
        bump: Bump::Major,
        version_old: Some("2.3.0".into()),
        version_new: Some("2.3.1".into()),
        version_needed: Some("3.0.0".into()),
        why: vec![],
        help: vec!["keep `email` as deprecated until 2027-06-30, or publish `orders_v3` beside it".into()],
        proof: None,
        waived: None,
    }
}

/// A wider type that breaks nobody.
pub(crate) fn widened() -> Finding {
    Finding {
        rule: Rule::TypeWidened,
        severity: Severity::Warning,
        column: Some("order_id".into()),
        old: Some("INTEGER".into()),
        new: Some("BIGINT".into()),
        message: "`orders.order_id` is BIGINT and was INTEGER".into(),
        places: vec![place("model", Side::Proposed, "models/serving/orders.sql", SQL, "order_id")],
        breaks: Vec::new(),
        bump: Bump::Minor,
        version_needed: Some("2.4.0".into()),
        why: vec!["`id` comes from `stg_orders.id`, which is BIGINT now".into()],
        help: Vec::new(),
        ..removed()
    }
}

/// A promise that became stricter and holds for the published rows.
pub(crate) fn tightened() -> Finding {
    Finding {
        rule: Rule::RequiredTightened,
        severity: Severity::Note,
        column: Some("status".into()),
        old: None,
        new: Some("required".into()),
        message: "`orders.status` may not be NULL any more".into(),
        proof: Some(Proof {
            violations: 0,
            rows: 1_284_113,
            query: "select count(*) from serving.orders where status is null".into(),
        }),
        version_needed: None,
        ..widened()
    }
}

/// A change whose texts would break out of every format.
pub(crate) fn hostile() -> Finding {
    let text = "a|b`c`\n<script>alert(1)</script> ::error::x %0A ]]> \u{1b}[31m --> \"q\" & *b* [l](http://x) @team #1";
    Finding {
        model: "or|ders\n::warning::".into(),
        column: Some("e`m`ail<b>".into()),
        message: format!("`{text}` was removed"),
        old: Some(format!("ENUM('{text}')")),
        why: vec![text.into()],
        help: vec![text.into()],
        places: vec![place("model", Side::Proposed, "models/a,b:c%.sql", "select 1\n", "1")],
        breaks: vec![Broken {
            name: text.into(),
            how: text.into(),
            owner: owner(Some(text), None),
            ..removed().breaks.swap_remove(0)
        }],
        ..removed()
    }
}

/// A report of these findings.
pub(crate) fn report(findings: Vec<Finding>) -> Report {
    let mut report = Report {
        base: "main (4f1c2ab)".into(),
        proposed: "working tree".into(),
        mode: Compatibility { mode: CompatibilityMode::Consumer, transitive: true },
        findings,
        unknowns: Vec::new(),
        compared: 12,
        models: crate::diff::ModelChanges::default(),
        unchanged_contracts: 3,
        documented_only: Vec::new(),
    };
    report.sort();
    report
}

/// A report with one of everything.
pub(crate) fn full() -> Report {
    let mut waived = removed();
    waived.model = "refunds".into();
    waived.message = "`refunds.email` was removed".into();
    waived.waived = Some(super::Waived {
        reason: "GDPR erasure, ticket DATA-431".into(),
        approved_by: vec!["crm@x.io".into()],
        expires: Some("2026-12-15".into()),
        place: Some(place(
            "waiver",
            Side::Proposed,
            "waivers/a.yml",
            "- rule: column-removed\n",
            "column-removed",
        )),
    });
    let mut report = report(vec![tightened(), removed(), waived, widened()]);
    report.unknowns.push(Unknown {
        subject: "events_pivot".into(),
        side: Some(Side::Base),
        why: "its columns come from a dynamic PIVOT".into(),
        place: Some(place("model", Side::Base, "models/events_pivot.sql", "pivot x\n", "pivot")),
    });
    report.documented_only.push("orders: retention 3 y".into());
    report
}
