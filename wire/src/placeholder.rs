//! What stands in a request's head in a secret's place? A text that nobody can guess; the writer below HTTP puts the secret there as it
//! writes, so that no buffer, pool, copy or trace of an HTTP library ever holds it.

use crate::error::{Error, Result};
use bootseal_memory::{Exposed, Secret};
use http::HeaderValue;
use memchr::memmem::Finder;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ten characters whose codes in HTTP/2's Huffman table have five bits each (RFC 7541, appendix B), by their value.
pub(crate) const DIGITS: &[u8; 10] = b"012aceiost";
/// A first character that occurs nowhere else in a placeholder, and whose code has ten bits. So prefix and number end at whole bytes there.
pub(crate) const FIRST: u8 = b'!';
/// The same for all of one client.
pub(crate) const PREFIX: usize = 31;
/// Then which one it is.
pub(crate) const NUMBER: usize = 16;
pub(crate) const LENGTH: usize = PREFIX + NUMBER;

/// The placeholders of one client.
pub(crate) struct Placeholders {
    pub(crate) prefix: [u8; PREFIX],
    pub(crate) find: Finder<'static>,
    /// Those that are not written yet.
    waiting: Mutex<HashMap<u64, Secret>>,
    count: AtomicUsize,
    last: AtomicU64,
}

impl Placeholders {
    /// # Errors
    /// [`Error::System`] when the system gives no random bytes.
    pub(crate) fn new() -> Result<Placeholders> {
        let mut prefix = [0; PREFIX];
        getrandom::fill(&mut prefix).map_err(|error| Error::System(format!("no random bytes: {error}")))?;
        // About 99 bits.
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

    /// A placeholder for `secret`, which is written once in its place, as long as the result is there.
    pub(crate) fn stand_in(self: &Arc<Placeholders>, secret: &Secret) -> StandIn {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.waiting().insert(number, secret.clone());
        self.count.fetch_add(1, Ordering::Release);
        StandIn { of: self.clone(), number }
    }

    /// Whether there is one that is not written yet.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// What stands behind a number that is not written yet.
    pub(crate) fn secret(&self, number: u64) -> Option<Exposed> {
        self.waiting().get(&number).map(Secret::exposed)
    }

    /// It was written; what looks like it from now on is a text like any other.
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

/// One placeholder. When it goes, nothing is written in its place any more.
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
        let mut value = value.map_err(|_| Error::Unusable("a placeholder is not valid in a header".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.of.written(self.number);
    }
}

/// The number at the end of a placeholder.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        let value = DIGITS.iter().position(|other| other == digit)?;
        number.checked_mul(10)?.checked_add(value as u64)
    })
}

/// The prefix as HTTP/2 compresses it (RFC 7541, appendix B): ten bits for [`FIRST`], five for each other, whose value is its code.
pub(crate) fn huffman_prefix(prefix: &[u8; PREFIX]) -> Vec<u8> {
    let values = prefix[1..].iter().map(|byte| DIGITS.iter().position(|digit| digit == byte).unwrap_or(0));
    let mut code = Vec::new();
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

/// The number at the end of a placeholder, as HTTP/2 compresses it.
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
    fn a_placeholder_is_a_header_and_its_number_is_read_back() {
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
    fn two_clients_have_different_ones() {
        let (one, other) = (Placeholders::new().unwrap(), Placeholders::new().unwrap());
        assert_ne!(one.prefix, other.prefix);
    }
}
