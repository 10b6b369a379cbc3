//! Strict HTTP/1.1 framing of what callers send.

pub mod strict_stream;
