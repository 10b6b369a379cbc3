//! Placeholders: unguessable strings that stand for secrets in a request's head. The writer below
//! HTTP replaces each placeholder with its secret, so that no buffer, pool, copy or trace of an
//! HTTP library ever contains a secret.
//!
//! A placeholder is one `!`, then 30 random digits that all placeholders of a client share, then
//! the 16 digits of its number. The alphabet is chosen for HTTP/2, which compresses header values:
//! compressed, the prefix and the number end at whole bytes, so the compressed placeholder can be
//! found and replaced like a plain one.

use crate::error::{Error, Result};
use bootseal_memory::{Exposed, Secret};
use http::HeaderValue;
use memchr::memmem::Finder;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ten digits. These characters have codes of five bits in HTTP/2's Huffman table (RFC 7541,
/// appendix B), and the code of each digit is its index here.
pub(crate) const DIGITS: &[u8; 10] = b"012aceiost";
/// The first character. It occurs nowhere else in a placeholder, and its code has ten bits.
pub(crate) const FIRST: u8 = b'!';
/// The length of the part that is the same for all placeholders of one client.
pub(crate) const PREFIX: usize = 31;
/// The length of the number after the prefix.
pub(crate) const NUMBER: usize = 16;
pub(crate) const LENGTH: usize = PREFIX + NUMBER;

/// The placeholders of one client.
pub(crate) struct Placeholders {
    pub(crate) prefix: [u8; PREFIX],
    pub(crate) find: Finder<'static>,
    /// The secrets whose placeholders are not written yet.
    waiting: Mutex<HashMap<u64, Secret>>,
    count: AtomicUsize,
    last: AtomicU64,
}

impl Placeholders {
    /// # Errors
    /// [`Error::System`] if the system has no random bytes.
    pub(crate) fn new() -> Result<Placeholders> {
        let mut prefix = [0; PREFIX];
        getrandom::fill(&mut prefix)
            .map_err(|error| Error::System(format!("no random bytes: {error}")))?;
        // About 99 bits of randomness.
        prefix = prefix.map(|byte| DIGITS[usize::from(byte) % DIGITS.len()]);
        prefix[0] = FIRST;
        Ok(Placeholders {
            find: Finder::new(&prefix).into_owned(),
            prefix,
            waiting: Mutex::default(),
            count: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        })
    }

    /// Creates a placeholder for `secret`. The placeholder is replaced once, and only while the
    /// returned value exists.
    pub(crate) fn stand_in(self: &Arc<Placeholders>, secret: &Secret) -> StandIn {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.waiting().insert(number, secret.clone());
        self.count.fetch_add(1, Ordering::Release);
        StandIn { of: self.clone(), number }
    }

    /// Whether any placeholder is not written yet. If none is, the writer does not search for
    /// placeholders.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// The secret of a placeholder that is not written yet.
    pub(crate) fn secret(&self, number: u64) -> Option<Exposed> {
        self.waiting().get(&number).map(Secret::exposed)
    }

    /// Marks a placeholder as written. From then on, the same bytes are ordinary text.
    pub(crate) fn written(&self, number: u64) {
        if self.waiting().remove(&number).is_some() {
            self.count.fetch_sub(1, Ordering::Release);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Secret>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Placeholders(…)")
    }
}

/// One placeholder. When this is dropped, the placeholder becomes ordinary text.
#[derive(Debug)]
pub(crate) struct StandIn {
    of: Arc<Placeholders>,
    number: u64,
}

impl StandIn {
    pub(crate) fn text(&self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        text[..PREFIX].copy_from_slice(&self.of.prefix);
        let mut rest = self.number;
        for digit in text[PREFIX..].iter_mut().rev() {
            *digit = DIGITS[(rest % 10) as usize];
            rest /= 10;
        }
        text
    }

    pub(crate) fn header(&self) -> Result<HeaderValue> {
        let value = HeaderValue::from_bytes(&self.text());
        let mut value =
            value.map_err(|_| Error::Unusable("a placeholder is not valid in a header".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl StandIn {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the placeholder has not been replaced yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.of.waiting().contains_key(&self.number)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.of.written(self.number);
    }
}

/// Reads the number of a placeholder from its digits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        let value = DIGITS.iter().position(|other| other == digit)?;
        number.checked_mul(10)?.checked_add(value as u64)
    })
}

/// The prefix as compressed by HTTP/2 (RFC 7541, appendix B), with ten bits for [`FIRST`] and five
/// for each digit.
pub(crate) fn huffman_prefix(prefix: &[u8; PREFIX]) -> Vec<u8> {
    let values =
        prefix[1..].iter().map(|byte| DIGITS.iter().position(|digit| digit == byte).unwrap_or(0));
    let mut code = Vec::new();
    // `held` contains the last `bits` bits of the code, which do not fill a byte yet; at first,
    // these are the ten bits of `!`.
    let (mut bits, mut held) = (10, 0b11_1111_1000_u32);
    for value in values {
        (held, bits) = (held << 5 | value as u32, bits + 5);
        while bits >= 8 {
            bits -= 8;
            code.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    code
}

/// Reads the number of a placeholder from its compressed digits, which have five bits each.
pub(crate) fn huffman_number(code: &[u8]) -> Option<u64> {
    let mut digits = [0; NUMBER];
    for (at, digit) in digits.iter_mut().enumerate() {
        let value = (0..5).try_fold(0, |value, bit| {
            let bit = 5 * at + bit;
            Some(value << 1 | code.get(bit / 8)? >> (7 - bit % 8) & 1)
        });
        *digit = *DIGITS.get(usize::from(value?))?;
    }
    number(&digits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_placeholder_is_valid_in_a_header_and_its_number_is_read_back() {
        let placeholders = Arc::new(Placeholders::new().unwrap());
        placeholders.last.store(9_876_543_210, Ordering::Relaxed);
        let stand_in = placeholders.stand_in(&Secret::copy_of(b"token").unwrap());
        assert!(stand_in.header().unwrap().is_sensitive());
        let text = stand_in.text();
        assert_eq!(text.iter().filter(|byte| **byte == FIRST).count(), 1);
        assert_eq!(number(&text[PREFIX..]), Some(9_876_543_210));
        assert_eq!(number(b"x"), None);
        assert!(placeholders.any() && placeholders.secret(9_876_543_210).is_some());
        drop(stand_in);
        assert!(!placeholders.any() && placeholders.secret(9_876_543_210).is_none());
    }

    #[test]
    fn two_clients_have_different_placeholders() {
        let (one, other) = (Placeholders::new().unwrap(), Placeholders::new().unwrap());
        assert_ne!(one.prefix, other.prefix);
    }
}
