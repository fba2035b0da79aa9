//! The diff: what a change of the project does to those who read it, before it is merged or published.
//!
//! Two sides are compared, a base and a proposal. What comes out is a [`Report`] of [`Finding`]s; how it is printed and
//! what is waived is decided elsewhere.

mod base;
mod change;
mod compare;
pub mod data;
mod facts;
mod finding;
pub mod format;
pub mod git;
mod grade;
mod ground;
mod judge;
mod keys;
pub mod lattice;
mod leak;
pub mod memo;
mod model;
pub mod older;
mod origin;
mod pairs;
mod promise;
mod proof;
mod readers;
mod released;
mod rule;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod service;
mod settings;
mod spot;
mod terms;
mod view;
pub mod waiver;

pub use base::Compiling;
pub use change::Check;
pub use compare::{Comparison, Prove, compare};
pub use finding::{
    Broken, Certainty, ConsumerKind, Finding, ModelChanges, Place, Proof, Report, Side, Unknown, Waived,
};
pub use grade::{Bump, Severity};
pub use ground::Machine;
pub use promise::Promise;
pub use released::{consumer_row, model_row};
pub use rule::{Protects, Rule};
pub use settings::Settings;
pub use spot::Spot;
pub use view::{ConsumerView, ModelView, Seen, SourceView, View, ViewOrigin};
