//! A change: one difference between two sides, before it is known who reads it and how loud it is.

use super::finding::{Finding, Place, Side};
use super::grade::{Bump, Severity};
use super::rule::Rule;
use super::spot::Spot;

/// One difference.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub rule: Rule,
    /// The column, with its path.
    pub column: Option<String>,
    pub old: Option<String>,
    pub new: Option<String>,
    pub message: String,
    pub places: Vec<Place>,
    pub why: Vec<String>,
    pub help: Vec<String>,
    pub bump: Bump,
    /// The severity that the case itself asks for, in place of the rule's.
    pub severity: Option<Severity>,
    /// Whether a contract's facts changed, so that its version has to.
    pub is_promise: bool,
    /// What the data has to show, where a promise became stricter: a condition that a good row fulfils, or the columns
    /// that must identify one.
    pub check: Option<Check>,
}

/// What published data can be asked about a stricter promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Rows for which this SQL holds break it.
    Rows(String),
    /// Rows that share these columns with another one break it.
    Duplicates(Vec<String>),
}

impl Change {
    pub fn new(rule: Rule, column: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            rule,
            column: column.map(str::to_owned),
            old: None,
            new: None,
            message: message.into(),
            places: Vec::new(),
            why: Vec::new(),
            help: Vec::new(),
            bump: rule.default_bump(),
            severity: None,
            is_promise: false,
            check: None,
        }
    }

    /// The change as a finding about a model, before anybody is known whom it breaks.
    pub fn into_finding(self, model: &str, severity: Severity) -> Finding {
        Finding {
            rule: self.rule,
            severity,
            model: model.to_owned(),
            column: self.column,
            old: self.old,
            new: self.new,
            message: self.message,
            places: self.places,
            breaks: Vec::new(),
            consumers_total: 0,
            bump: self.bump,
            version_old: None,
            version_new: None,
            version_needed: None,
            why: self.why,
            help: self.help,
            proof: None,
            waived: None,
        }
    }

    pub fn from(mut self, old: impl Into<String>) -> Self {
        self.old = Some(old.into());
        self
    }

    pub fn to(mut self, new: impl Into<String>) -> Self {
        self.new = Some(new.into());
        self
    }

    pub fn promise(mut self) -> Self {
        self.is_promise = true;
        self
    }

    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    pub fn bump(mut self, bump: Bump) -> Self {
        self.bump = bump;
        self
    }

    pub fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    pub fn at(mut self, label: &str, side: Side, spot: Option<&Spot>) -> Self {
        if let Some(Spot(at)) = spot {
            self.places.push(Place { label: label.to_owned(), side, at: at.clone() });
        }
        self
    }

    /// The column itself, without the path into it.
    pub fn top(&self) -> Option<&str> {
        self.column.as_deref().map(top)
    }
}

/// The column of a path.
pub(super) fn top(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// `a`, `a and b`, `a, b and c`, each in backticks.
pub(super) fn ticked(names: &[String]) -> String {
    let ticked: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match ticked.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
