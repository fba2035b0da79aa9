//! Kiln builds SQL models in DuckDB out of sight, tests them, and publishes all of it in one transaction.
//!
//! The library never touches the terminal or the environment; `commands` does.

pub mod contract;
pub mod diagnostic;
pub mod error;
pub mod graph;
pub mod manifest;
pub mod names;
pub mod project;
pub mod sql;
pub mod yaml;
