//! The clear text of a session, on guarded pages. Where the system does not allow enough of them,
//! it is in ordinary memory, which is wiped.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Secret};
use bootseal_memory::{SecretBuf, scrub_registers, scrub_stack};
use std::io::{Read, Write};
use std::ops::Range;
use std::rc::Rc;
use zeroize::Zeroizing;

/// A text in the editor, before or after the user's changes. A clone is the same memory.
#[derive(Clone)]
pub(super) struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Guarded(Secret),
    Wiped(Rc<Zeroizing<Vec<u8>>>),
}

impl From<Secret> for Text {
    fn from(secret: Secret) -> Text {
        Text(Kept::Guarded(secret))
    }
}

impl Text {
    pub(super) fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match &self.0 {
            Kept::Guarded(secret) => secret.expose(read),
            Kept::Wiped(bytes) => read(bytes),
        }
    }

    pub(super) fn same_as(&self, other: &Text) -> bool {
        self.expose(|one| other.expose(|other| one == other))
    }

    pub(super) fn is_guarded(&self) -> bool {
        matches!(self.0, Kept::Guarded(_))
    }

    pub(super) fn is_blank(&self) -> bool {
        self.expose(|bytes| bytes.iter().all(u8::is_ascii_whitespace))
    }
}

/// A text that is being written.
pub(super) enum TextBuffer {
    Guarded(SecretBuf),
    Wiped(Zeroizing<Vec<u8>>),
}

impl TextBuffer {
    /// Allocates the buffer at once, because growth moves it.
    pub(super) fn with_capacity(bytes: usize) -> TextBuffer {
        match SecretBuf::with_capacity(bytes) {
            Ok(page) => TextBuffer::Guarded(page),
            Err(_) => TextBuffer::Wiped(Zeroizing::new(Vec::with_capacity(bytes))),
        }
    }

    /// Reads a file of `length` bytes to its end, without an intermediate buffer.
    pub(super) fn read(source: &mut impl Read, length: usize, limit: usize) -> Result<TextBuffer> {
        let mut buffer = TextBuffer::with_capacity(length + 1);
        let read = match &mut buffer {
            TextBuffer::Guarded(page) => page.read_to_end(source, limit).map(drop),
            TextBuffer::Wiped(bytes) => source.take(limit as u64).read_to_end(bytes).map(drop),
        };
        read.map_err(|error| {
            Failure::new(Kind::Io, format!("the edited text cannot be read: {error}"))
        })?;
        Ok(buffer)
    }

    pub(super) fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            TextBuffer::Guarded(page) => page.expose(read),
            TextBuffer::Wiped(bytes) => read(bytes),
        }
    }

    /// Removes a part of the text.
    pub(super) fn cut(&mut self, part: Range<usize>) {
        let length = part.len();
        match self {
            TextBuffer::Guarded(page) => {
                let left = page.len() - length;
                page.expose_mut(|bytes| bytes.copy_within(part.end.., part.start));
                page.truncate(left);
            }
            TextBuffer::Wiped(bytes) => drop(bytes.drain(part)),
        }
    }

    /// The finished text. Wipes what the functions that wrote it left in registers and on
    /// the stack.
    pub(super) fn finish(self) -> Text {
        scrub_registers();
        scrub_stack();
        Text(match self {
            TextBuffer::Guarded(page) => Kept::Guarded(page.freeze()),
            TextBuffer::Wiped(bytes) => Kept::Wiped(Rc::new(bytes)),
        })
    }
}

impl Write for TextBuffer {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if let TextBuffer::Guarded(page) = self {
            if page.push(more).is_ok() {
                return Ok(more.len());
            }
            // There are not enough guarded pages for a longer text.
            let mut bytes = Zeroizing::new(Vec::with_capacity(2 * (page.len() + more.len())));
            page.expose(|page| bytes.extend_from_slice(page));
            *self = TextBuffer::Wiped(bytes);
        }
        if let TextBuffer::Wiped(bytes) = self {
            if bytes.capacity() - bytes.len() < more.len() {
                // The vector's own growth would leave a copy.
                let wanted = 2 * (bytes.len() + more.len());
                let mut larger = Zeroizing::new(Vec::with_capacity(wanted));
                larger.extend_from_slice(bytes);
                *bytes = larger;
            }
            bytes.extend_from_slice(more);
        }
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn guarded_and_ordinary_memory_contain_the_same_text() {
        let written = |mut buffer: TextBuffer| {
            for part in ["#: head\n", "a = 1\n", &"x".repeat(10_000)] {
                buffer.write_all(part.as_bytes()).unwrap();
            }
            buffer.cut(0..8);
            buffer.finish()
        };
        let one = written(TextBuffer::with_capacity(4));
        let other = written(TextBuffer::Wiped(Zeroizing::new(Vec::new())));
        assert!(matches!(one.0, Kept::Guarded(_)) && matches!(other.0, Kept::Wiped(_)));
        assert!(one.same_as(&other) && !one.is_blank());
        one.expose(|text| assert!(text.starts_with(b"a = 1\nxxx") && text.len() == 10_006));
        let read = TextBuffer::read(&mut &b" \n\t"[..], 3, 16).unwrap().finish();
        assert!(read.is_blank() && !read.same_as(&one));
    }
}
