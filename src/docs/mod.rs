//! The docs: a static site of one project and one target. Pages that work without scripts, data for those that have
//! them, and exports for programs. It opens from a folder and sends no request.
//!
//! The same project and the same state give the same bytes: nothing here asks for the time.

pub mod assets;
pub mod charts;
pub mod columns;
pub mod data;
pub mod diff;
pub mod drawing;
pub mod export;
pub mod facts;
pub mod layout;
pub mod markdown;
pub mod mask;
pub mod pages;
pub mod script;
pub mod search;
pub mod serve;
pub mod site;
pub mod slug;
pub mod state;
pub mod status;
pub mod watch;
pub mod workers;
pub mod write;

/// By what Kiln knows a site that it made.
pub const GENERATOR: &str = "kiln docs";
