//! Data tests as SQL: the built-in generic tests, the queries that count and show failing rows, and what a count means.
//! Nothing here opens a connection or renders a template.

pub mod builtin;
pub mod outcome;
pub mod query;
pub mod unit;

pub use builtin::{MEASURES, builtin_macros, builtin_names};
pub use outcome::{Status, evaluate};
