//! Texts without copies: a text that several values share, and the replacement of CR LF in place.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// A part of a text; clones share the text.
#[derive(Clone, Default)]
pub(crate) struct SharedText {
    whole: Arc<String>,
    part: Range<usize>,
}

impl SharedText {
    /// The part of this text with these offsets, which must be character boundaries.
    pub(crate) fn part(&self, part: Range<usize>) -> SharedText {
        let start = self.part.start;
        SharedText { whole: self.whole.clone(), part: start + part.start..start + part.end }
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &SharedText) -> bool {
        **self == **other
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> SharedText {
        SharedText { part: 0..text.len(), whole: Arc::new(text) }
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        self.whole.get(self.part.clone()).unwrap_or_default()
    }
}

impl std::fmt::Debug for SharedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&**self, f)
    }
}

/// The text in which each CR LF is LF, in the same memory.
pub(crate) fn with_lf(text: String) -> String {
    if !text.contains("\r\n") {
        return text;
    }
    let mut bytes = text.into_bytes();
    let mut kept = 0;
    for at in 0..bytes.len() {
        if !bytes[at..].starts_with(b"\r\n") {
            bytes[kept] = bytes[at];
            kept += 1;
        }
    }
    // What is left behind the text may be a secret.
    bytes[kept..].fill(0);
    bytes.truncate(kept);
    String::from_utf8(bytes).unwrap_or_default()
}
