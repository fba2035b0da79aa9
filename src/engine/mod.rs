//! The engine: the only user of DuckDB. It opens the file, loads raw tables, keeps the state, and publishes.

pub mod database;
pub mod definitions;
pub mod explain;
mod foreign;
pub mod increment;
pub mod lineage;
pub mod load;
pub mod publish;
pub mod sandbox;
pub mod seed;
mod seek;
pub mod session;
pub mod shadow;
pub mod state;
