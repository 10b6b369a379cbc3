//! Finds the end of the first JSON value in a body, byte by byte, so that a stream is never read
//! beyond its first value.

use crate::login::extract::matches;
use bootseal_core::When;
use bytes::BytesMut;

/// The maximum length of a value that is scanned; a response with a longer value is an ordinary
/// response.
pub(crate) const LONGEST: usize = 64 * 1024;

/// An incremental scan for the first JSON value of a body, and the condition to test on it.
pub(crate) struct JsonProbe {
    when: When,
    pub(crate) read: BytesMut,
    /// The number of bytes of `read` scanned so far.
    at: usize,
    /// The number of open braces and brackets.
    depth: usize,
    in_string: bool,
    /// Whether the previous byte was a backslash in a string.
    escaped: bool,
}

impl JsonProbe {
    pub(crate) fn new(when: &When) -> JsonProbe {
        JsonProbe {
            when: when.clone(),
            read: BytesMut::new(),
            at: 0,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// Scans more of the body. Returns `None` until the end of the value, and then whether the
    /// condition is met. If the body does not begin with an object, an array or a string, or if its
    /// value is longer than 64 KiB, the condition is not met.
    pub(crate) fn more(&mut self, data: &[u8]) -> Option<bool> {
        self.read.extend_from_slice(data);
        while let Some(byte) = self.read.get(self.at) {
            self.at += 1;
            if self.at > LONGEST {
                return Some(false);
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => self.depth -= 1,
                b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => continue,
                _ if self.depth == 0 => return Some(false),
                _ => {}
            }
            if self.depth == 0 && !self.in_string {
                return Some(matches(&self.when, &self.read[..self.at]));
            }
        }
        None
    }
}
