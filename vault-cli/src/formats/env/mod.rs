//! `.env` files: our own reading, the dialects of other programs, and the values in which they
//! differ.

pub(crate) mod dialects;
pub(super) mod differences;
pub(crate) mod reader;
