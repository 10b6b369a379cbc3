//! The file format, checked against vectors that were made from docs/format.md without this code.

#![allow(clippy::unwrap_used)] // tests

mod vectors;
