//! Tests of reading a project.
