//! A finding: one change, whom it breaks and what is owed; and the report that all findings of a diff end in.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::grade::{Bump, Severity};
use super::rule::Rule;
use crate::contract::Compatibility;
use crate::diagnostic::Location;
use crate::manifest::Owner;
use crate::names::{Fingerprint, NodeId};

/// Whether a consumer breaks for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// It was bound and does not bind, or it takes the value.
    Certain,
    /// It may: it filters or joins by it, or could not be checked to the end.
    Possible,
}

impl Certainty {
    /// The word for formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Possible => "possible",
        }
    }
}

/// Which side of the comparison something stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What is there now.
    Base,
    /// What would be there.
    Proposed,
}

impl Side {
    /// The word for formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Proposed => "proposed",
        }
    }
}

/// A place in a file of one of the sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What is there, in a word or two: `column`, `contract`, `model`, `source`.
    pub label: String,
    /// Whose file it is. A place of the base may not exist in the checkout.
    pub side: Side,
    /// The file and the bytes in it.
    pub at: Location,
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (line, column) = self.at.line_col();
        let (end_line, end_column) = self.at.file.line_col(self.at.span.end);
        let mut place = serializer.serialize_struct("Place", 7)?;
        place.serialize_field("label", &self.label)?;
        place.serialize_field("side", &self.side)?;
        place.serialize_field("path", &self.at.path().to_string_lossy())?;
        place.serialize_field("line", &line)?;
        place.serialize_field("column", &column)?;
        place.serialize_field("end_line", &end_line)?;
        place.serialize_field("end_column", &end_column)?;
        place.end()
    }
}

/// What kind of reader breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsumerKind {
    /// A dashboard, a job, an application.
    Exposure,
    /// A model of the project.
    Model,
}

impl ConsumerKind {
    /// The word for formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exposure => "exposure",
            Self::Model => "model",
        }
    }
}

/// A reader that a change breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The exposure's or the model's name; `model.column` where one column of a model is meant.
    pub name: String,
    /// What it is.
    pub kind: ConsumerKind,
    /// The columns that it reads of the changed model, as `model.column`, in the order found.
    pub reads: Vec<String>,
    /// Whether it breaks for sure.
    pub certainty: Certainty,
    /// How it is known: `names it in its columns`, `its query does not bind: …`, `takes its value`, `filters by it`.
    pub how: String,
    /// Who to ask.
    pub owner: Option<Owner>,
    /// The models between the changed one and this reader, nearest to the change first.
    pub via: Vec<String>,
    /// Where it reads.
    pub place: Option<Place>,
}

/// What the published data says about a promise that became stricter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Rows that break the new promise.
    pub violations: u64,
    /// Rows there are.
    pub rows: u64,
    /// The query that counts the violations.
    pub query: String,
}

/// That a finding was agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waived {
    /// Why.
    pub reason: String,
    /// Who agreed.
    pub approved_by: Vec<String>,
    /// The last day, as written.
    pub expires: Option<String>,
    /// Where the waiver stands.
    pub place: Option<Place>,
}

/// One change and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of change.
    pub rule: Rule,
    /// How loud, after settings, mode and the contract's status.
    pub severity: Severity,
    /// The changed model, by its name; `source.table` where a source changed.
    pub model: String,
    /// The column, with a dotted path into nested types: `address.city`, `items[].price`.
    pub column: Option<String>,
    /// What was there: a type, a value, a name. Absent where nothing was.
    pub old: Option<String>,
    /// What is there now. Absent where nothing is.
    pub new: Option<String>,
    /// What happened: lower case, no full stop, names in backticks.
    pub message: String,
    /// What caused it first, then what else explains it.
    pub places: Vec<Place>,
    /// Who breaks; those who break for sure first.
    pub breaks: Vec<Broken>,
    /// How many readers the model has in all, broken or not.
    pub consumers_total: usize,
    /// The smallest step of the contract's version that the change asks for.
    pub bump: Bump,
    /// The contract's version in the base, if there is a contract.
    pub version_old: Option<String>,
    /// The contract's version in the proposal, if there is a contract.
    pub version_new: Option<String>,
    /// The first version that would be enough, if there is a contract.
    pub version_needed: Option<String>,
    /// How it came about, one sentence each.
    pub why: Vec<String>,
    /// What to do, one sentence each.
    pub help: Vec<String>,
    /// What the published data says, where it was asked.
    pub proof: Option<Proof>,
    /// The waiver that covers it, if one does.
    pub waived: Option<Waived>,
}

impl Finding {
    /// `model.column`, or the model alone.
    pub fn subject(&self) -> String {
        match &self.column {
            Some(column) => format!("{}.{column}", self.model),
            None => self.model.clone(),
        }
    }

    /// What this change is and no other: rule, model, column, old and new. A waiver is bound to it, and other tools
    /// know a finding again by it. Positions and readers are not part of it.
    pub fn fingerprint(&self) -> Fingerprint {
        let part = |text: &Option<String>| match text {
            Some(text) => format!("={text}"),
            None => String::new(),
        };
        let parts = [
            self.rule.slug().to_owned(),
            self.model.clone(),
            part(&self.column),
            part(&self.old),
            part(&self.new),
        ];
        Fingerprint::of(parts.iter().map(|part| part.as_bytes()))
    }

    /// Whether it counts at a severity: loud enough, and nobody agreed to it.
    pub fn counts(&self, fail_on: Severity) -> bool {
        self.waived.is_none() && self.severity >= fail_on && self.severity > Severity::Off
    }
}

/// Something that could not be compared. It is never read as a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The model or exposure, by name.
    pub subject: String,
    /// The side that is not known; absent where both are known and the comparison itself is not possible.
    pub side: Option<Side>,
    /// Why: lower case, no full stop.
    pub why: String,
    /// Where, if a file says it.
    pub place: Option<Place>,
}

/// All that a diff found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// What the proposal was compared with: `main (4f1c2ab)`, `release 12`, a folder.
    pub base: String,
    /// What was compared: `working tree`, `candidates of run …`.
    pub proposed: String,
    /// The project's mode: `consumer`, `full_transitive`.
    #[serde(serialize_with = "mode")]
    pub mode: Compatibility,
    /// The findings, in order: loudest first, then by model, column and rule. None of them is off.
    pub findings: Vec<Finding>,
    /// What could not be compared.
    pub unknowns: Vec<Unknown>,
    /// Models that were compared.
    pub compared: usize,
    /// Which models came, went, or have a finding.
    pub models: ModelChanges,
    /// Contracts without a finding.
    pub unchanged_contracts: usize,
    /// Promises of the proposal's contracts that Kiln cannot check, as `model: promise`. They never count as passed.
    pub documented_only: Vec<String>,
}

/// Models that differ between two sides, by id and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ModelChanges {
    /// Only the proposal has them.
    pub added: Vec<NodeId>,
    /// Only the base has them.
    pub removed: Vec<NodeId>,
    /// Both have them, and a finding is about them.
    pub modified: Vec<NodeId>,
}

fn mode<S: Serializer>(mode: &Compatibility, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mode)
}

impl Report {
    /// The findings that count at a severity.
    pub fn failing(&self, fail_on: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.counts(fail_on))
    }

    /// 0 where nothing counts at this severity, else 1.
    pub fn exit_code(&self, fail_on: Severity) -> u8 {
        u8::from(self.failing(fail_on).next().is_some())
    }

    /// How many findings there are of a severity that nobody agreed to.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity && finding.waived.is_none())
            .count()
    }

    /// Puts the findings into their order.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            (b.severity, &a.model, &a.column, a.rule, &a.old, &a.new)
                .cmp(&(a.severity, &b.model, &b.column, b.rule, &b.old, &b.new))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    fn finding() -> Finding {
        let file = SourceFile::new("models/orders.sql", "select\n  a\n");
        Finding {
            rule: Rule::ColumnRemoved,
            severity: Severity::Error,
            model: "orders".into(),
            column: Some("email".into()),
            old: Some("VARCHAR".into()),
            new: None,
            message: "`orders.email` was removed".into(),
            places: vec![Place {
                label: "model".into(),
                side: Side::Proposed,
                at: Location::new(&file, 9..10),
            }],
            breaks: Vec::new(),
            consumers_total: 0,
            bump: Bump::Major,
            version_old: None,
            version_new: None,
            version_needed: None,
            why: Vec::new(),
            help: Vec::new(),
            proof: None,
            waived: None,
        }
    }

    #[test]
    fn json_has_slugs_and_positions() {
        let json = serde_json::to_value(finding()).unwrap();
        assert_eq!(json["rule"], "column-removed");
        assert_eq!(json["severity"], "error");
        assert_eq!(json["places"][0]["line"], 2);
        assert_eq!(json["places"][0]["column"], 3);
        assert_eq!(json["places"][0]["side"], "proposed");
    }

    #[test]
    fn a_fingerprint_is_of_the_change_alone() {
        let mut moved = finding();
        moved.places.clear();
        moved.message.clear();
        assert_eq!(moved.fingerprint(), finding().fingerprint());
        moved.old = Some("INTEGER".into());
        assert_ne!(moved.fingerprint(), finding().fingerprint());
    }

    #[test]
    fn what_was_agreed_to_does_not_count() {
        let mut waived = finding();
        assert!(waived.counts(Severity::Error));
        waived.waived =
            Some(Waived { reason: "agreed".into(), approved_by: Vec::new(), expires: None, place: None });
        assert!(!waived.counts(Severity::Note));
    }
}
