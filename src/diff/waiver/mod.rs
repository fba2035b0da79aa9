//! Waivers: breaking changes that were agreed to. A waiver is for one change, says why, who agreed and until when; it
//! silences nothing, since a finding that it covers is still printed.

mod apply;
mod read;
mod write;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use apply::{WAIVER_AT, apply, deciders};
pub use read::read;
pub use write::{StubText, entry, stubs};

use super::Report;
use super::rule::Rule;
use crate::diagnostic::{Diagnostics, Located, Location};

/// The least digits of a fingerprint that a waiver must give.
pub const DIGITS: usize = 12;

/// One agreed change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Of which rule.
    pub rule: Located<Rule>,
    /// Of which model.
    pub model: Located<String>,
    /// Of which column, if it is about one.
    pub column: Option<Located<String>>,
    /// The contract's version that it starts from.
    pub from: Option<Located<String>>,
    /// The beginning of the change's fingerprint.
    pub fingerprint: Located<String>,
    /// Why.
    pub reason: String,
    /// Who agreed.
    pub approved_by: Vec<String>,
    /// The last day on which it holds.
    pub expires: Located<Date>,
    /// Where it is written.
    pub at: Location,
}

impl Waiver {
    /// `rule model.column`, as `kiln waive` takes it.
    pub fn subject(&self) -> String {
        let column = self.column.iter().map(|column| format!(".{}", column.value)).collect::<String>();
        format!("{} {}{column}", self.rule.value.slug(), self.model.value)
    }
}

/// A report with its waivers applied.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What was found.
    pub report: Report,
    /// What there is to say about waivers that do not count.
    pub waivers: Diagnostics,
    /// Who may agree for all readers of a model.
    pub deciders: BTreeMap<String, Vec<String>>,
}

impl Judged {
    /// Applies waivers to a report.
    pub fn new(
        mut report: Report,
        waivers: &[Waiver],
        deciders: BTreeMap<String, Vec<String>>,
        today: Date,
    ) -> Self {
        let waivers = apply(&mut report, waivers, &deciders, today);
        Self { report, waivers, deciders }
    }
}

/// Today, in UTC.
pub fn today() -> Date {
    jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests;
