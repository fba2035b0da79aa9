//! The entry point: parse, dispatch, exit code.

fn main() {}
