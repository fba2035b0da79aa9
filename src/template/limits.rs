//! How much a template may use: a template is a stranger's program.

/// Instructions of one render, macros included.
pub(super) const FUEL: u64 = 10_000_000;
/// Depth of calls, in minijinja's measure: a macro costs 4, loading one 10.
pub(super) const RECURSION: usize = 2_000;
/// Bytes written in one render, in macros and captures too.
pub(super) const BYTES: usize = 64 * 1024 * 1024;
/// Calls of `ref`, `source` and `config` in one render.
pub(super) const CALLS: usize = 10_000;
/// Messages of one render.
pub(super) const MESSAGES: usize = 10_000;
/// How often a render may stop for an answer of the database.
pub(super) const QUESTIONS: usize = 1_000;
