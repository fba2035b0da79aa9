//! Kiln builds SQL models in DuckDB out of sight, tests them, and publishes all of it in one transaction.
//!
//! The library never touches the terminal or the environment; `commands` does. Dependencies point one way, from the
//! bottom of the list in ARCHITECTURE.md to its top; `manifest` holds the types that everything above it speaks.

pub mod artifact;
pub mod check;
pub mod cli;
pub mod commands;
pub mod compile;
pub mod contract;
pub mod diagnostic;
pub mod diff;
pub mod digest;
pub mod docs;
pub mod engine;
pub mod error;
pub mod graph;
pub mod idle;
pub mod interval;
pub mod lineage;
pub mod manifest;
pub mod names;
pub mod project;
pub mod resolve;
pub mod run;
pub mod sql;
pub mod template;
pub mod unit;
pub mod words;
pub mod workspace;
pub mod yaml;
