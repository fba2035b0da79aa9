//! A contract: what a model promises to its consumers, read from an Open Data Contract Standard file.

/// One model's contract.
#[derive(Debug, Clone)]
pub struct Contract {}

/// A promise that is checked by a query of its own.
#[derive(Debug, Clone)]
pub struct Rule {}
