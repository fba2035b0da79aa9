//! `cargo fuzz run --fuzz-dir tests/fuzz plan`.

#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|text: &str| targets::plan(text));
