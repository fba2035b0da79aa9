//! `cargo fuzz run --fuzz-dir tests/fuzz sql`.

#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|text: &str| targets::sql(text));
