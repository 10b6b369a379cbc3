//! Sealed values in other files: their keyed digests, and the search for them.
//!
//! The values themselves are not kept. Every eight bytes of a file are compared with the keyed
//! digests of the first eight bytes of the values, and only after a hit with those of whole values.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::rules::{is_secret_name, is_secret_shape};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bootseal_core::{Identity, PropertyPath, Secret, VerifiedFile};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The minimum length of a value that is searched for. A shorter one may appear by chance.
const SHORTEST: usize = 8;
/// The bits of the first filter.
const FILTER_BITS: u32 = 16;

/// The digests of the values.
pub(super) struct Values {
    identities: Vec<Identity>,
    key: [u8; 32],
    hasher: RandomState,
    /// An odd factor, whose product with eight bytes is a position in `filter`.
    factor: u64,
    filter: Vec<u64>,
    by_start: HashMap<u64, Vec<SameLength>>,
    /// Whether a value has characters that some formats write as escapes.
    pub(super) any_escaped: bool,
    /// Whether a value is new.
    pub(super) any_new: bool,
}

/// Values with the same first eight bytes and the same length.
struct SameLength {
    length: usize,
    /// By the keyed digest of the last eight bytes.
    by_end: HashMap<u64, Vec<Value>>,
}

/// A value, or an encoding of it.
struct Value {
    digest: [u8; 32],
    name: Arc<Owner>,
    how: &'static str,
}

/// The property that has a value.
pub(super) struct Owner {
    pub(super) property: String,
    pub(super) file: String,
    /// Whether the value looks like a secret, by its name or by its shape.
    pub(super) is_secret: bool,
    /// Whether the commit adds the value.
    pub(super) is_new: bool,
}

/// What a commit does to a sealed file.
pub(super) enum Change {
    /// Nothing, or it does not matter.
    None,
    /// It replaces this version of HEAD; `None` if HEAD has none that verifies.
    Since(Box<Option<VerifiedFile>>),
}

/// The values that a version of HEAD has.
#[derive(Default)]
struct Former {
    /// The properties whose ciphertext is the same.
    unchanged: HashSet<PropertyPath>,
    /// The keyed digests of all values.
    values: HashSet<[u8; 32]>,
}

/// A value in a file.
pub(super) struct Found<'a> {
    pub(super) owner: &'a Owner,
    pub(super) how: &'static str,
    pub(super) line: usize,
}

impl Values {
    /// No values yet, and the available keys that need no prompt.
    pub(super) fn of_keys(context: &mut Context<'_>) -> Values {
        // A hook must also work without a key, so an unusable one is no error.
        let identities = Keys::find(context).map(|keys| keys.identities).unwrap_or_default();
        let identities = identities.into_iter().filter(|identity| !identity.is_plugin());
        Values { identities: identities.collect(), ..Values::empty() }
    }

    /// Adds the values of a sealed file, if a key opens it.
    pub(super) fn add_file(&mut self, name: &str, file: VerifiedFile, change: Change) {
        if self.identities.is_empty() {
            return;
        }
        let Ok(vault) = file.open(&self.identities) else { return };
        let before = match change {
            Change::None => None,
            Change::Since(before) => Some(self.former_values(*before, vault.file())),
        };
        for (path, _) in vault.file().names().filter(|(_, sealed)| *sealed) {
            if let Ok(opened) = vault.open(&path) {
                let is_new = before.as_ref().is_some_and(|before| {
                    !before.unchanged.contains(&path)
                        && !before.values.contains(&opened.secret.expose(|text| self.digest(text)))
                });
                self.add(&path.to_string(), name, &opened.secret, is_new);
            }
        }
    }

    /// The values of the version in HEAD, if a key opens it. After a removal, every value is sealed
    /// again, so that the same value looks different.
    fn former_values(&self, before: Option<VerifiedFile>, now: &VerifiedFile) -> Former {
        let mut former = Former::default();
        let Some(before) = before else { return former };
        let sealed = now.names().filter(|(_, sealed)| *sealed).map(|(path, _)| path);
        let (same, other): (HashSet<_>, HashSet<_>) =
            sealed.partition(|path| before.has_same(path, now));
        former.unchanged = same;
        if !other.is_empty()
            && let Ok(vault) = before.open(&self.identities)
        {
            let values = vault.open_all().unwrap_or_default();
            let digests = values.iter().map(|(_, old)| old.secret.expose(|text| self.digest(text)));
            former.values = digests.collect();
        }
        former
    }

    fn empty() -> Values {
        let hasher = RandomState::new();
        let mut key = [0; 32];
        for (at, part) in key.chunks_mut(8).enumerate() {
            part.copy_from_slice(&hasher.hash_one(("key", at)).to_le_bytes());
        }
        // The keys of both digests must not be the same.
        let hasher = RandomState::new();
        Values {
            identities: Vec::new(),
            key,
            factor: hasher.hash_one("factor") | 1,
            hasher,
            filter: vec![0; 1 << (FILTER_BITS - 6)],
            by_start: HashMap::new(),
            any_escaped: false,
            any_new: false,
        }
    }

    fn add(&mut self, property: &str, file: &str, secret: &Secret, is_new: bool) {
        let text = secret.expose(|bytes| Zeroizing::new(bytes.to_vec()));
        if text.len() < SHORTEST {
            return;
        }
        let shape = std::str::from_utf8(&text).is_ok_and(is_secret_shape);
        let owner = Arc::new(Owner {
            property: property.to_owned(),
            file: file.to_owned(),
            is_secret: shape || is_secret_name(property.trim_end_matches('"')),
            is_new,
        });
        self.any_new |= is_new;
        self.insert(&text, "", &owner);
        let base64 = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*text));
        self.insert(base64.as_bytes(), " in base64", &owner);
        let url_safe = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&*text));
        if *url_safe != *base64 {
            self.insert(url_safe.as_bytes(), " in base64", &owner);
        }
        let percent: String = url::form_urlencoded::byte_serialize(&text).collect();
        let percent = Zeroizing::new(percent);
        if percent.as_bytes() != text.as_slice() {
            self.insert(percent.as_bytes(), " in percent-encoding", &owner);
            self.any_escaped = true;
        }
    }

    fn insert(&mut self, text: &[u8], how: &'static str, owner: &Arc<Owner>) {
        let (Some(start), Some(end)) = (eight(text), eight(&text[text.len() - SHORTEST..])) else {
            return;
        };
        let slot = self.slot(start);
        self.filter[slot >> 6] |= 1 << (slot & 63);
        let value = Value { digest: self.digest(text), name: owner.clone(), how };
        let (start, end) = (self.hasher.hash_one(start), self.hasher.hash_one(end));
        let lengths = self.by_start.entry(start).or_default();
        let at = lengths.iter().position(|same| same.length == text.len());
        let at = at.unwrap_or_else(|| {
            lengths.push(SameLength { length: text.len(), by_end: HashMap::new() });
            lengths.len() - 1
        });
        lengths[at].by_end.entry(end).or_default().push(value);
    }

    fn slot(&self, eight: u64) -> usize {
        (eight.wrapping_mul(self.factor) >> (64 - FILTER_BITS)) as usize
    }

    fn digest(&self, text: &[u8]) -> [u8; 32] {
        // HMAC takes a key of any length.
        match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mut mac) => {
                mac.update(text);
                mac.finalize().into_bytes().into()
            }
            Err(_) => [0; 32],
        }
    }

    /// The first value in `bytes` that `counts`.
    pub(super) fn find(&self, bytes: &[u8], counts: impl Fn(&Owner) -> bool) -> Option<Found<'_>> {
        if self.by_start.is_empty() || bytes.len() < SHORTEST {
            return None;
        }
        let mut window = 0_u64;
        for (at, byte) in bytes.iter().enumerate() {
            window = window >> 8 | u64::from(*byte) << 56;
            let slot = self.slot(window);
            if at + 1 < SHORTEST || self.filter[slot >> 6] >> (slot & 63) & 1 == 0 {
                continue;
            }
            let start = at + 1 - SHORTEST;
            if let Some(value) = self.at(&bytes[start..], &counts) {
                let line = bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
                return Some(Found { owner: &value.name, how: value.how, line });
            }
        }
        None
    }

    /// The value that `rest` begins with.
    fn at(&self, rest: &[u8], counts: impl Fn(&Owner) -> bool) -> Option<&Value> {
        let alike = self.by_start.get(&self.hasher.hash_one(eight(rest)?))?;
        alike.iter().find_map(|same| {
            let text = rest.get(..same.length)?;
            let end = self.hasher.hash_one(eight(&text[text.len() - SHORTEST..])?);
            let values = same.by_end.get(&end)?;
            let digest = self.digest(text);
            values.iter().find(|value| value.digest == digest && counts(&value.name))
        })
    }
}

/// The first eight bytes.
fn eight(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(..SHORTEST)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(list: &[&str]) -> Values {
        let mut values = Values::empty();
        for (at, text) in list.iter().enumerate() {
            let secret = Secret::copy_of(text.as_bytes()).unwrap();
            values.add(&format!("name{at}"), "app.sealed.toml", &secret, false);
        }
        values
    }

    fn found(values: &Values, text: &str) -> Option<String> {
        values
            .find(text.as_bytes(), |_| true)
            .map(|found| format!("{}{} {}", found.owner.property, found.how, found.line))
    }

    #[test]
    fn a_value_is_found_anywhere_and_in_its_encodings() {
        let values = values(&["hunter2-long", "pass word+1/ü", "short"]);
        for (text, wanted) in [
            ("hunter2-long", Some("name0 1")),
            ("a\nb: xhunter2-longx", Some("name0 2")),
            ("hunter2-lonhunter2-long", Some("name0 1")),
            ("aHVudGVyMi1sb25n", Some("name0 in base64 1")),
            ("data: cGFzcyB3b3JkKzEvw7w=", Some("name1 in base64 1")),
            ("u=pass+word%2B1%2F%C3%BC&x", Some("name1 in percent-encoding 1")),
            ("hunter2-lon", None),
            ("Hunter2-long", None),
            ("short", None),
            ("", None),
        ] {
            assert_eq!(found(&values, text).as_deref(), wanted, "{text}");
        }
        assert!(values.any_escaped);
    }

    proptest! {
        #[test]
        fn the_search_finds_what_contains_finds(value in "[ab]{8,14}", text in "[ab\n]{0,60}") {
            let is_in = text.contains(&value);
            prop_assert_eq!(found(&values(&[&value]), &text).is_some(), is_in);
        }
    }
}
