//! The tests that need a whole project, a database file or the binary. One crate, because each test crate links DuckDB.

#[path = "suite/support.rs"]
mod support;

#[path = "suite/artifacts.rs"]
mod artifacts;
#[path = "suite/combinations.rs"]
mod combinations;
#[path = "suite/commands.rs"]
mod commands;
#[path = "suite/contracts.rs"]
mod contracts;
#[path = "suite/crash.rs"]
mod crash;
#[path = "suite/diff.rs"]
mod diff;
#[path = "suite/diff_base.rs"]
mod diff_base;
#[path = "suite/docs.rs"]
mod docs;
#[path = "suite/faults.rs"]
mod faults;
#[path = "suite/flights.rs"]
mod flights;
#[path = "suite/fuzz.rs"]
mod fuzz;
#[path = "fuzz/targets.rs"]
mod fuzz_targets;
#[path = "suite/hostile.rs"]
mod hostile;
#[path = "suite/idempotence.rs"]
mod idempotence;
#[path = "suite/idle.rs"]
mod idle;
#[path = "suite/incremental.rs"]
mod incremental;
#[path = "suite/intervals.rs"]
mod intervals;
#[path = "suite/lineage.rs"]
mod lineage;
#[path = "suite/publish.rs"]
mod publish;
#[path = "suite/readme.rs"]
mod readme;

#[path = "suite/snapshots.rs"]
mod snapshots;

#[path = "suite/seeds.rs"]
mod seeds;

#[path = "suite/row_limits.rs"]
mod row_limits;

#[path = "suite/unit_tests.rs"]
mod unit_tests;
#[path = "suite/waivers.rs"]
mod waivers;

#[path = "suite/compile.rs"]
mod compile;
#[path = "suite/compile_cache.rs"]
mod compile_cache;
