//! The engine: the only user of DuckDB.

pub mod load;
