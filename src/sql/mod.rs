//! SQL as values: quoting, rendered text with its relations and origins. No connection is opened here.

mod alignment;
pub mod cte;
pub mod data_type;
pub mod highlight;
pub mod history;
pub mod items;
pub mod lineage;
pub mod plan;
pub mod quote;
pub mod relations;
pub mod rendered;
pub mod seat;
pub mod shape;
pub mod tokens;
