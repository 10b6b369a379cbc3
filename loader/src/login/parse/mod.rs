//! Parsers of the formats in a response. They read in place and put every value on a guarded page.

pub(crate) mod cookie;
pub(crate) mod date;
pub(crate) mod json;
pub(crate) mod jwt;
