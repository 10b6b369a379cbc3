//! A search for a token in a stream of pieces. Its work is linear in the length of the stream,
//! however the stream is cut, and whatever the token is.

use memchr::memmem;

/// Up to this many bytes the simple search of [`find`] is faster than `memmem`.
const SHORT: usize = 8 * 1024;
/// After this many places that have the rarest byte and not the token, [`find`] uses `memmem`.
const MOST_CANDIDATES: usize = 32;

/// A search for the token in a stream of pieces, by the algorithm of Knuth, Morris and Pratt.
#[derive(Default)]
pub(crate) struct Search {
    /// The length of the longest prefix of the token with which the stream ends so far.
    pub(crate) matched: usize,
    /// For each length of a prefix of the token, the length of the longest shorter prefix with which
    /// it ends. Filled when a prefix of more than [`SMALL`] bytes needs it.
    fallback: Vec<usize>,
    #[cfg(test)]
    steps: usize,
}

/// Up to this length, the fallback of a prefix is computed when it is needed.
const SMALL: usize = 16;

impl Search {
    /// Reads the next piece, and calls `found` with the index in the piece at which each occurrence
    /// ends. With `last`, the state afterwards is not needed.
    pub(crate) fn read(
        &mut self,
        piece: &[u8],
        token: &[u8],
        last: bool,
        mut found: impl FnMut(usize),
    ) {
        let mut at = 0;
        while at < piece.len() {
            if self.matched > 0 {
                self.step(piece[at], token);
                at += 1;
                if self.matched == token.len() {
                    self.matched = 0;
                    found(at);
                }
                continue;
            }
            let rest = &piece[at..];
            if let Some(begin) = find(rest, token) {
                at += begin + token.len();
                found(at);
                continue;
            }
            if !last {
                self.end_of(rest, token);
            }
            return;
        }
    }

    /// Finds the prefix of the token with which `rest` ends. `rest` does not contain the token.
    fn end_of(&mut self, rest: &[u8], token: &[u8]) {
        let mut at = rest.len().saturating_sub(token.len() - 1);
        while at < rest.len() {
            if self.matched == 0 {
                match memchr::memchr(token[0], &rest[at..]) {
                    None => return,
                    Some(skipped) => at += skipped,
                }
            }
            self.step(rest[at], token);
            at += 1;
        }
    }

    /// The number of bytes and prefixes that were compared.
    #[cfg(test)]
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    fn step(&mut self, byte: u8, token: &[u8]) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        while token[self.matched] != byte {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            if self.matched == 0 {
                return;
            }
            self.matched = self.shorter(self.matched, token);
        }
        self.matched += 1;
    }

    /// Returns the length of the longest prefix of the token, shorter than `length`, with which its
    /// prefix of `length` bytes ends.
    fn shorter(&mut self, length: usize, token: &[u8]) -> usize {
        if length <= SMALL {
            let ends = |shorter: &usize| token[..length].ends_with(&token[..*shorter]);
            return (0..length).rev().find(ends).unwrap_or(0);
        }
        if self.fallback.is_empty() {
            self.fallback = vec![0; token.len()];
            let mut matched = 0;
            for at in 1..token.len() - 1 {
                while matched > 0 && token[matched] != token[at] {
                    matched = self.fallback[matched];
                }
                matched += usize::from(token[matched] == token[at]);
                self.fallback[at + 1] = matched;
            }
        }
        self.fallback[length]
    }
}

/// Finds the token. Most pieces are short and do not contain it: for those, a search for its rarest
/// byte is faster than preparing `memmem`, whose advantage is that it stays linear for any input.
pub(crate) fn find(bytes: &[u8], token: &[u8]) -> Option<usize> {
    if bytes.len() < token.len() {
        return None;
    }
    if bytes.len() > SHORT {
        return memmem::find(bytes, token);
    }
    // Upper-case letters are rare in JSON and HTML; E, T and Z occur in numbers and dates.
    let rare = |byte: &u8| byte.is_ascii_uppercase() && !b"ETZ".contains(byte);
    let at = token.iter().position(rare).unwrap_or(0);
    let byte = *token.get(at)?;
    let mut begins = memchr::memchr_iter(byte, bytes).filter_map(|found| found.checked_sub(at));
    for _ in 0..MOST_CANDIDATES {
        let begin = begins.next()?;
        if bytes[begin..].starts_with(token) {
            return Some(begin);
        }
    }
    // The byte is not rare here.
    let rest = begins.next()?;
    memmem::find(&bytes[rest..], token).map(|begin| rest + begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_with_many_candidates_finds_what_memmem_finds() {
        let needle = format!("{}b", "aB".repeat(40));
        for text in ["aB".repeat(2000), format!("{}{needle}", "aB".repeat(100)), needle.clone()] {
            let expected = memmem::find(text.as_bytes(), needle.as_bytes());
            assert_eq!(find(text.as_bytes(), needle.as_bytes()), expected);
        }
    }
}
