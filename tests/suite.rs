//! The tests that need a whole project, a database file or the binary. One crate, because each test crate links DuckDB.

#[path = "suite/commands.rs"]
mod commands;
