//! The diff: what a change does to those who read it.

pub mod data;
