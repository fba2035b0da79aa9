//! The diff: what a change of the project does to those who read it, before it is merged or published.
//!
//! Two sides are compared, a base and a proposal. What comes out is a [`Report`] of [`Finding`]s; how it is printed and
//! what is waived is decided elsewhere.

mod finding;
pub mod format;
mod rule;
#[cfg(test)]
pub(crate) mod samples;
pub mod waiver;

pub use finding::{
    Broken, Bump, Certainty, ConsumerKind, Finding, Place, Proof, Report, Severity, Side, Unknown, Waived,
};
pub use rule::{Protects, Rule};
