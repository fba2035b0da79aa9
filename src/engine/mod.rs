//! The engine: the only user of DuckDB. It opens the file, keeps the state, and publishes.

pub mod database;
pub mod publish;
pub mod session;
pub mod state;
