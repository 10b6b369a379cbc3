//! `SecretBuf`, in which a secret is written in place, and `Secret`, the handle that reads it.

use crate::pages::MemoryError;
use crate::slab::{Frozen, Slot};
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Guarded bytes that are being written. The buffer grows only in guarded memory, never on the
/// heap.
///
/// ```
/// use bootseal_memory::SecretBuf;
///
/// let mut buffer = SecretBuf::with_capacity(64)?;
/// buffer.push(b"hunter")?;
/// buffer.push(b"2")?;
/// assert_eq!(buffer.freeze().len(), 7);
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
pub struct SecretBuf {
    slot: Slot,
    len: usize,
}

impl SecretBuf {
    /// Creates an empty buffer with room for `capacity` bytes; it grows if more are written.
    ///
    /// # Errors
    /// [`MemoryError`] if no guarded memory is available.
    ///
    /// ```
    /// let buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// assert!(buffer.is_empty());
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn with_capacity(capacity: usize) -> Result<SecretBuf, MemoryError> {
        Ok(SecretBuf { slot: Slot::new(capacity)?, len: 0 })
    }

    /// Creates a buffer of `len` zero bytes, to be written through [`SecretBuf::expose_mut`].
    ///
    /// # Errors
    /// [`MemoryError`] if no guarded memory is available.
    ///
    /// ```
    /// let mut key = bootseal_memory::SecretBuf::zeroed(32)?;
    /// key.expose_mut(|bytes| bytes.fill(7));
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn zeroed(len: usize) -> Result<SecretBuf, MemoryError> {
        Ok(SecretBuf { slot: Slot::new(len)?, len })
    }

    /// Appends `bytes`. If they do not fit, the content moves to a larger slot and the old one is
    /// wiped.
    ///
    /// # Errors
    /// [`MemoryError`] if no guarded memory is available; the buffer is then as it was.
    ///
    /// ```
    /// # let mut buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// buffer.push(b"hunter2")?;
    /// assert_eq!(buffer.len(), 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        self.reserve(bytes.len())?;
        let end = self.len + bytes.len();
        self.slot.bytes_mut()[self.len..end].copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Reads `source` to its end, at most `limit` bytes, without an intermediate buffer.
    ///
    /// Returns `false` if the source has more than `limit` bytes; the buffer then contains the
    /// first `limit` of them.
    ///
    /// # Errors
    /// The source's own error, or [`MemoryError`] inside an [`std::io::Error`].
    ///
    /// ```
    /// # let mut buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// let mut source = &b"hunter2\n"[..]; // a file, a pipe
    /// let whole = buffer.read_to_end(&mut source, 64 * 1024)?;
    /// assert!(whole);
    /// assert_eq!(buffer.len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_to_end(&mut self, source: &mut impl Read, limit: usize) -> std::io::Result<bool> {
        let start = self.len;
        loop {
            self.reserve(1).map_err(std::io::Error::other)?;
            let got = match source.read(&mut self.slot.bytes_mut()[self.len..]) {
                Ok(0) => return Ok(true),
                Ok(got) => got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.len += got;
            if self.len - start > limit {
                self.truncate(start + limit);
                return Ok(false);
            }
        }
    }

    fn reserve(&mut self, more: usize) -> Result<(), MemoryError> {
        let wanted = self.len.saturating_add(more);
        if wanted > self.slot.bytes().len() {
            let mut larger = Slot::new(wanted.max(self.slot.bytes().len().saturating_mul(2)))?;
            larger.bytes_mut()[..self.len].copy_from_slice(&self.slot.bytes()[..self.len]);
            self.slot = larger;
        }
        Ok(())
    }

    /// Shortens the buffer to `len` bytes and wipes the rest; does nothing if it is shorter
    /// already.
    ///
    /// ```
    /// # let mut buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// buffer.push(b"hunter2\n")?;
    /// buffer.truncate(7); // without the newline
    /// assert_eq!(buffer.len(), 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            zeroize::Zeroize::zeroize(&mut self.slot.bytes_mut()[len..self.len]);
            self.len = len;
        }
    }

    /// The number of bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lends the bytes for the duration of one call and returns its result.
    ///
    /// ```
    /// # let mut buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// buffer.push(b"hunter2")?;
    /// let digits = buffer.expose(|bytes| bytes.iter().filter(|byte| byte.is_ascii_digit()).count());
    /// assert_eq!(digits, 1);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.slot.bytes()[..self.len])
    }

    /// Lends the bytes for writing for the duration of one call and returns its result; the length
    /// stays the same.
    ///
    /// ```
    /// let mut key = bootseal_memory::SecretBuf::zeroed(32)?;
    /// key.expose_mut(|bytes| bytes[0] = 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn expose_mut<R>(&mut self, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let len = self.len;
        write(&mut self.slot.bytes_mut()[..len])
    }

    /// Makes the bytes read-only. They stay where they are.
    ///
    /// ```
    /// # let mut buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// buffer.push(b"hunter2")?;
    /// let password = buffer.freeze(); // from now on it can be read and shared, but not changed
    /// assert_eq!(password.len(), 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn freeze(self) -> Secret {
        let len = self.len;
        self.freeze_range(0..len)
    }

    /// Makes the bytes read-only, with only `range` readable; the range is cut to the buffer.
    ///
    /// ```
    /// # let mut buffer = bootseal_memory::SecretBuf::with_capacity(64)?;
    /// buffer.push(b"password: hunter2")?;
    /// let password = buffer.freeze_range(10..17);
    /// assert_eq!(password.len(), 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn freeze_range(self, range: Range<usize>) -> Secret {
        let end = range.end.min(self.len);
        Secret(Arc::new(self.slot.freeze(range.start.min(end)..end)))
    }
}

impl fmt::Debug for SecretBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuf(…)")
    }
}

fn buffer_of(bytes: &[u8]) -> Result<SecretBuf, MemoryError> {
    let mut buffer = SecretBuf::with_capacity(bytes.len())?;
    buffer.push(bytes)?;
    Ok(buffer)
}

/// One secret in guarded memory: a handle that is cheap to clone and never shows its content.
///
/// The methods that read it have names that begin with [`expose`](Secret::expose), so a search for
/// that word finds every reader.
///
/// ```
/// let password = bootseal_memory::Secret::copy_of(b"hunter2")?;
/// let same = password.clone(); // another handle on the same bytes
/// assert!(same.expose(|bytes| bytes.ends_with(b"2")));
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Frozen>);

impl Secret {
    /// Copies `bytes` into guarded memory. The caller still owns the original, and should wipe it.
    ///
    /// # Errors
    /// [`MemoryError`] if no guarded memory is available.
    ///
    /// ```
    /// let pin = bootseal_memory::Secret::copy_of(b"0000")?;
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn copy_of(bytes: &[u8]) -> Result<Secret, MemoryError> {
        Ok(buffer_of(bytes)?.freeze())
    }

    /// Copies public bytes, for an interface that takes a secret: [`audit`](crate::audit) does not
    /// search for them.
    ///
    /// # Errors
    /// As [`Secret::copy_of`].
    ///
    /// ```
    /// let user = bootseal_memory::Secret::of_public(b"shop")?;
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn of_public(bytes: &[u8]) -> Result<Secret, MemoryError> {
        let buffer = buffer_of(bytes)?;
        let len = buffer.len;
        Ok(Secret(Arc::new(buffer.slot.freeze_unshown(len))))
    }

    /// Lends the bytes for the duration of one call.
    ///
    /// ```
    /// # let password = bootseal_memory::Secret::copy_of(b"hunter2")?;
    /// let length = password.expose(|bytes| bytes.len());
    /// assert_eq!(length, 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(self.0.bytes())
    }

    /// Lends the secret as text for the duration of one call.
    ///
    /// # Errors
    /// [`std::str::Utf8Error`] if the bytes are not UTF-8; it contains a position, but none of the
    /// bytes.
    ///
    /// ```
    /// # let password = bootseal_memory::Secret::copy_of("hunter2 €".as_bytes())?;
    /// let characters = password.expose_str(|text| text.chars().count())?;
    /// assert_eq!(characters, 9); // of 11 bytes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expose_str<R>(&self, read: impl FnOnce(&str) -> R) -> Result<R, std::str::Utf8Error> {
        std::str::from_utf8(self.0.bytes()).map(read)
    }

    /// Returns a handle whose bytes can be borrowed for as long as it lives, for interfaces that
    /// take `AsRef<[u8]>`.
    ///
    /// ```
    /// let password = bootseal_memory::Secret::copy_of(b"hunter2")?;
    /// let bytes = password.exposed();
    /// assert_eq!(bytes.as_ref().len(), 7);
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn exposed(&self) -> Exposed {
        Exposed(self.0.clone())
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.bytes().len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.bytes().is_empty()
    }

    /// Whether `given` is this secret. The time taken does not depend on where they differ, but may
    /// show their lengths.
    ///
    /// ```
    /// let key = bootseal_memory::Secret::copy_of(b"open sesame")?;
    /// assert!(key.matches(b"open sesame"));
    /// assert!(!key.matches(b"open sesam!"));
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn matches(&self, given: &[u8]) -> bool {
        self.expose(|bytes| bytes.ct_eq(given).into())
    }

    /// Whether both contain the same bytes. The comparison is not in constant time: use it only for
    /// secrets of one owner, never to check untrusted input.
    ///
    /// ```
    /// use bootseal_memory::Secret;
    /// assert!(Secret::copy_of(b"hunter2")?.same_as(&Secret::copy_of(b"hunter2")?));
    /// # Ok::<(), bootseal_memory::MemoryError>(())
    /// ```
    pub fn same_as(&self, other: &Secret) -> bool {
        self.expose(|one| other.expose(|other| one == other))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The result of [`Secret::exposed`]: the same bytes, in the same place, readable by borrowing.
///
/// ```
/// let body = bootseal_memory::Secret::copy_of(b"user=bob")?.exposed();
/// let first = body.as_ref().split(|byte| *byte == b'=').next();
/// assert_eq!(first, Some(&b"user"[..]));
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
#[derive(Clone)]
pub struct Exposed(Arc<Frozen>);

impl AsRef<[u8]> for Exposed {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposed(…)")
    }
}

/// The name under which a [`Secret`] asks its deserializer for a sealed value.
#[cfg(feature = "serde")]
pub const SECRET_NAME: &str = "$bootseal::Secret";

/// A `Secret` can be deserialized only from a vault, whose deserializer knows [`SECRET_NAME`] and
/// lends the bytes. Any other format is an error, because it would contain the value in the clear.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        struct Lent;

        impl serde::de::Visitor<'_> for Lent {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sealed value of a vault")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Secret, E> {
                Secret::copy_of(bytes).map_err(E::custom)
            }
        }

        from.deserialize_newtype_struct(SECRET_NAME, Lent)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Miri is slow, and cannot record failures in files.
        #![proptest_config(if cfg!(miri) { ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() } } else { ProptestConfig::default() })]
        #[test]
        fn the_bytes_read_are_those_pushed(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40)) {
            let mut buffer = SecretBuf::with_capacity(0).unwrap();
            for part in &parts {
                buffer.push(part).unwrap();
            }
            let whole = parts.concat();
            prop_assert!(buffer.expose(|bytes| bytes == whole));
            let from = whole.len() / 3;
            let secret = buffer.freeze_range(from..whole.len());
            prop_assert!(secret.clone().expose(|bytes| bytes == &whole[from..]));
            let exposed = secret.exposed();
            prop_assert_eq!(exposed.as_ref(), &whole[from..]);
        }

        #[test]
        fn reading_stops_at_the_limit(content in prop::collection::vec(any::<u8>(), 0..5000), limit in 0usize..5000) {
            let mut buffer = SecretBuf::with_capacity(16).unwrap();
            let whole = buffer.read_to_end(&mut &content[..], limit).unwrap();
            prop_assert_eq!(whole, content.len() <= limit);
            prop_assert!(buffer.expose(|bytes| bytes == &content[..content.len().min(limit)]));
        }
    }

    #[test]
    fn debug_output_does_not_show_the_content() {
        let mut buffer = SecretBuf::with_capacity(8).unwrap();
        buffer.push(b"hunter2").unwrap();
        assert_eq!(format!("{buffer:?}"), "SecretBuf(…)");
        let secret = buffer.freeze();
        assert_eq!(format!("{secret:?} {:?}", secret.exposed()), "Secret(…) Exposed(…)");
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn proc_self_mem_does_not_show_secret_pages() {
        use std::os::unix::fs::FileExt;
        let secret = Secret::copy_of(b"a canary that nobody reads").unwrap();
        let plain = b"an ordinary string on the heap".to_vec();
        let window = std::fs::File::open("/proc/self/mem").unwrap();
        let mut bytes = [0; 26];
        window.read_exact_at(&mut bytes, plain.as_ptr() as u64).unwrap();
        assert_eq!(bytes[..], plain[..26]);
        let address = secret.expose(|bytes| bytes.as_ptr() as u64);
        let seen = window.read_exact_at(&mut bytes, address);
        match crate::report().unwrap().level {
            crate::Level::MemfdSecret => assert!(seen.is_err()),
            // Locked pages protect against swap and dumps, not against /proc/PID/mem, as the docs
            // say.
            crate::Level::Locked => assert!(seen.is_ok()),
        }
    }

    #[test]
    fn many_threads_share_and_drop() {
        let secret = Secret::copy_of(&[7; 1000]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..(if cfg!(miri) { 3 } else { 16 }) {
                let secret = secret.clone();
                scope.spawn(move || {
                    for size in 1..(if cfg!(miri) { 10 } else { 200 }) {
                        let own = Secret::copy_of(&vec![9; size]).unwrap();
                        assert!(own.expose(|bytes| bytes.iter().all(|byte| *byte == 9)));
                        assert!(secret.expose(|bytes| bytes == [7; 1000]));
                    }
                });
            }
        });
    }
}
