//! Kiln builds SQL models in DuckDB out of sight, tests them, and publishes all of it in one transaction.
//!
//! The library never touches the terminal or the environment; `commands` does. Dependencies point one way, from the
//! bottom of this list to its top, but for `manifest`, whose types everything speaks.

pub mod diagnostic;
pub mod error;
pub mod names;
pub mod yaml;
pub mod sql;
pub mod project;
pub mod template;
pub mod manifest;
pub mod graph;
pub mod contract;
pub mod check;
pub mod engine;
pub mod workspace;
pub mod run;
