//! Strict HTTP/1.1 framing of everything a caller sends, below the HTTP library.

pub(crate) mod connection_state;
pub(crate) mod strict_stream;

pub(crate) mod http2_heads;
pub(crate) mod machine;
pub(crate) mod write_pace;
