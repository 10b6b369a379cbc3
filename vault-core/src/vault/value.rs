//! Seals and opens one value with XAES-256-GCM (C2SP), bound to its vault and its name.

use crate::error::{Error, Kind, Result};
use crate::keys::derive::ValueKey;
use crate::keys::random::random;
use crate::keys::vault_id::VaultId;
use crate::text::parse::value_text::is_one_value;
use crate::text::path::PropertyPath;
use crate::text::sealed_text::{NONCE, SEALED_PREFIX, STEP, TAG, check_shape, not_canonical};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_memory::{Secret, SecretBuf};
use xaes_256_gcm::aead::{AeadInOut, KeyInit};
use xaes_256_gcm::{Key, Nonce, Tag, Xaes256Gcm};

/// The number of bytes in the plaintext before the value: its kind, `set_at`, and its length.
const HEADER: usize = 13;

/// The type of a value's bytes.
///
/// ```
/// # let mut vault = bootseal_fixtures::vault("");
/// use bootseal_core::{Kind, Secret, ValueKind};
/// vault.set(&"acme.port".parse()?, ValueKind::Toml, &Secret::copy_of(b"443")?, 1_700_000_000)?;
/// let no_toml = vault.set(&"acme.port".parse()?, ValueKind::Toml, &Secret::copy_of(b"443 444")?, 1_700_000_000);
/// assert_eq!(no_toml.unwrap_err().kind(), Kind::Malformed);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// UTF-8 text, a TOML string.
    Text,
    /// Bytes of any kind.
    Bytes,
    /// The text of exactly one other TOML value: a number, a boolean, a date, an array, an inline
    /// table.
    Toml,
}

impl ValueKind {
    /// The length of a sealed value's text in bytes, for a content of `length` bytes. It is the same
    /// for every kind.
    ///
    /// ```
    /// assert_eq!(bootseal_core::ValueKind::sealed_length(7), 146);
    /// ```
    pub fn sealed_length(length: usize) -> usize {
        let bytes = NONCE + (HEADER.saturating_add(length)).next_multiple_of(STEP) + TAG;
        SEALED_PREFIX.len() + (bytes.saturating_mul(4)).div_ceil(3)
    }

    fn code(self) -> u8 {
        match self {
            ValueKind::Text => 1,
            ValueKind::Bytes => 2,
            ValueKind::Toml => 3,
        }
    }

    fn from_code(code: u8) -> Option<ValueKind> {
        [ValueKind::Text, ValueKind::Bytes, ValueKind::Toml]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// One opened value.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::with_password("");
/// use bootseal_core::ValueKind;
/// let password = file.open(&[alice])?.open(&"acme.password".parse()?)?;
/// assert_eq!((password.kind, password.set_at), (ValueKind::Text, 1_700_000_000));
/// assert_eq!(password.secret.len(), 7);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct OpenedValue {
    /// The type of the bytes.
    pub kind: ValueKind,
    /// The time at which the value was set, in seconds since 1970-01-01 UTC, for information only.
    pub set_at: u64,
    /// The value, on a guarded page.
    pub secret: Secret,
}

impl OpenedValue {
    /// Whether both have the same content, regardless of when they were set.
    pub(crate) fn same_as(&self, other: &OpenedValue) -> bool {
        self.kind == other.kind && self.secret.same_as(&other.secret)
    }
}

/// Checks that `bytes` can be a value of `kind`. The error never contains `bytes`.
pub(crate) fn check_payload(kind: ValueKind, bytes: &[u8]) -> Result<()> {
    match kind {
        ValueKind::Bytes => Ok(()),
        ValueKind::Text => std::str::from_utf8(bytes)
            .map(drop)
            .map_err(|_| Error::malformed("is not UTF-8, as a text value must be")),
        ValueKind::Toml => {
            let not_one = || Error::malformed("is not exactly one TOML value");
            let text = std::str::from_utf8(bytes).map_err(|_| not_one())?;
            if is_one_value(text) { Ok(()) } else { Err(not_one()) }
        }
    }
}

/// Seals `payload` for `path` in `vault`, with a fresh nonce.
pub(crate) fn seal(
    key: &ValueKey,
    vault: &VaultId,
    path: &PropertyPath,
    kind: ValueKind,
    set_at: u64,
    payload: &Secret,
) -> Result<String> {
    let mut nonce = [0; NONCE];
    random(&mut nonce)?;
    seal_with(key, vault, path, kind, set_at, payload, &nonce)
}

fn seal_with(
    key: &ValueKey,
    vault: &VaultId,
    path: &PropertyPath,
    kind: ValueKind,
    set_at: u64,
    payload: &Secret,
    nonce: &[u8; NONCE],
) -> Result<String> {
    let too_long =
        || Error::new(Kind::Conflict, "the value is longer than a sealed file may be (16 MiB)");
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length < 16 << 20)
        .ok_or_else(too_long)?;
    payload.expose(|bytes| check_payload(kind, bytes)).map_err(|error| error.at(path))?;
    let padded = (HEADER + payload.len()).next_multiple_of(STEP);
    let mut plain = SecretBuf::zeroed(padded)?;
    plain.expose_mut(|plain| {
        plain[0] = kind.code();
        plain[1..9].copy_from_slice(&set_at.to_le_bytes());
        plain[9..HEADER].copy_from_slice(&length.to_le_bytes());
        payload.expose(|bytes| plain[HEADER..HEADER + bytes.len()].copy_from_slice(bytes));
    });
    let aad = additional_data(vault, path);
    let tag = plain.expose_mut(|plain| {
        cipher(key, |cipher| {
            cipher.encrypt_inout_detached(&Nonce::from(*nonce), &aad, plain.into())
        })
    });
    let tag = tag.map_err(|_| too_long())?;
    let mut sealed = Vec::with_capacity(NONCE + padded + TAG);
    sealed.extend_from_slice(nonce);
    plain.expose(|ciphertext| sealed.extend_from_slice(ciphertext));
    sealed.extend_from_slice(&tag);
    Ok(format!("{SEALED_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(sealed)))
}

/// Opens `sealed`, in place on a guarded page.
///
/// Fails with [`Kind::MovedValue`] if it does not belong to this name in this vault,
/// [`Kind::Malformed`] if the content breaks the format.
pub(crate) fn open(
    key: &ValueKey,
    vault: &VaultId,
    path: &PropertyPath,
    sealed: &str,
) -> Result<OpenedValue> {
    let text = check_shape(sealed).map_err(|error| error.at(path))?;
    // The decoder needs space for whole groups of three bytes, which is up to two bytes more than
    // the result has.
    let mut page = SecretBuf::zeroed(text.len() / 4 * 3 + 3)?;
    let decoded = page.expose_mut(|page| BASE64_URL_SAFE_NO_PAD.decode_slice(text, page));
    page.truncate(decoded.map_err(|_| not_canonical().at(path))?);
    let aad = additional_data(vault, path);
    let opened = page.expose_mut(|page| {
        let (nonce, rest) = page.split_first_chunk_mut::<NONCE>()?;
        let (ciphertext, tag) = rest.split_last_chunk_mut::<TAG>()?;
        let (nonce, tag) = (Nonce::from(*nonce), Tag::from(*tag));
        cipher(key, |cipher| cipher.decrypt_inout_detached(&nonce, &aad, ciphertext.into(), &tag))
            .ok()
    });
    if opened.is_none() {
        return Err(Error::new(Kind::MovedValue, "this sealed value was not sealed under this name in this vault")
            .at(path)
            .with_help("It was moved, truncated, or pasted in from elsewhere. Set it again: bootseal set (or restore the line from git)."));
    }
    let broken = |what: &str| Error::malformed(format!("the sealed content {what}")).at(path);
    let (kind, set_at, payload) = page.expose(|page| {
        let plain = &page[NONCE..page.len() - TAG];
        let (header, body) =
            plain.split_first_chunk::<HEADER>().ok_or_else(|| broken("is too short"))?;
        let [code, s0, s1, s2, s3, s4, s5, s6, s7, l0, l1, l2, l3] = *header;
        let kind = ValueKind::from_code(code)
            .ok_or_else(|| broken("is of a kind that format 1 does not have"))?;
        let set_at = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > body.len() || plain.len() != (HEADER + length).next_multiple_of(STEP) {
            return Err(broken("has a wrong length"));
        }
        let (payload, padding) = body.split_at(length);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(broken("is padded with other bytes than zeros"));
        }
        check_payload(kind, payload).map_err(|error| broken(error.what()))?;
        Ok((kind, set_at, NONCE + HEADER..NONCE + HEADER + length))
    })?;
    Ok(OpenedValue { kind, set_at, secret: page.freeze_range(payload) })
}

fn cipher<R>(key: &ValueKey, run: impl FnOnce(&Xaes256Gcm) -> R) -> R {
    key.0.expose(|bytes| {
        let mut copy = Key::<Xaes256Gcm>::default();
        copy.copy_from_slice(bytes);
        let cipher = Xaes256Gcm::new(&copy);
        zeroize::Zeroize::zeroize(&mut copy[..]);
        run(&cipher)
    })
}

/// `bootseal 1 value` ‖ 0x00 ‖ vault id ‖ for each segment: length (u32 LE) ‖ bytes.
fn additional_data(vault: &VaultId, path: &PropertyPath) -> Vec<u8> {
    let mut data = b"bootseal 1 value\0".to_vec();
    data.extend_from_slice(vault.as_bytes());
    for segment in path.segments() {
        // The type limits the length to 1 KiB.
        data.extend_from_slice(&(segment.len() as u32).to_le_bytes());
        data.extend_from_slice(segment.as_bytes());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::derive::DataKey;
    use proptest::prelude::*;

    fn key() -> (ValueKey, VaultId) {
        let id = crate::keys::signing::id_of(&crate::keys::signing::SigningSeed(
            Secret::copy_of(&[1; 32]).unwrap(),
        ));
        (DataKey(Secret::copy_of(&[2; 32]).unwrap()).value_key(&id).unwrap(), id)
    }

    proptest! {
        #[test]
        fn a_sealed_value_opens_only_under_its_own_name(bytes in prop::collection::vec(any::<u8>(), 0..400), set_at in any::<u64>()) {
            let (key, id) = key();
            let path: PropertyPath = "a.b".parse().unwrap();
            let payload = Secret::copy_of(&bytes).unwrap();
            let sealed = seal(&key, &id, &path, ValueKind::Bytes, set_at, &payload).unwrap();
            let opened = open(&key, &id, &path, &sealed).unwrap();
            prop_assert!(opened.secret.expose(|opened| opened == bytes));
            prop_assert_eq!(opened.set_at, set_at);
            for other in ["a", "a.c", "b.a", "\"a.b\"", "a.b.c"] {
                prop_assert_eq!(open(&key, &id, &other.parse().unwrap(), &sealed).unwrap_err().kind(), Kind::MovedValue);
            }
        }

        #[test]
        fn any_changed_character_is_refused(at in 7usize..146, to in "[A-Za-z0-9_-]") {
            let (key, id) = key();
            let path: PropertyPath = "a".parse().unwrap();
            let mut sealed = seal(&key, &id, &path, ValueKind::Text, 0, &Secret::copy_of(b"x").unwrap()).unwrap();
            prop_assume!(sealed.len() == 146 && sealed[at..=at] != to);
            sealed.replace_range(at..=at, &to);
            prop_assert!(open(&key, &id, &path, &sealed).is_err());
        }

        #[test]
        fn arbitrary_text_is_refused_without_a_panic(text in "(sealed:)?[ -~]{0,200}") {
            let (key, id) = key();
            prop_assert!(open(&key, &id, &"a".parse().unwrap(), &text).is_err());
        }
    }

    /// Known answers, computed by other code: they check the bytes that a writer makes, not only
    /// those that a reader accepts.
    #[test]
    fn sealing_and_signing_match_the_vectors_byte_for_byte() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/primitives.json");
        let known: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let hex = |text: &serde_json::Value| -> Vec<u8> {
            let text = text.as_str().unwrap();
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                .collect()
        };
        let seed = crate::keys::signing::SigningSeed(
            Secret::copy_of(&hex(&known["vault"]["seed"])).unwrap(),
        );
        let id = crate::keys::signing::id_of(&seed);
        assert_eq!(id.to_string(), known["vault"]["id"]);
        let key = DataKey(Secret::copy_of(&hex(&known["keys"]["data_key"])).unwrap())
            .value_key(&id)
            .unwrap();
        assert!(key.0.expose(|key| key == hex(&known["keys"]["bootseal 1 value key"])));
        let segments = |row: &serde_json::Value| {
            serde_json::from_value(row["path"].clone()).map(PropertyPath::new).unwrap().unwrap()
        };
        for row in known["additional_data"].as_array().unwrap() {
            assert_eq!(additional_data(&id, &segments(row)), hex(&row["hex"]));
            assert_eq!(segments(row).to_string(), row["dotted"].as_str().unwrap());
        }
        let rows = known["sealed"].as_array().unwrap();
        assert!(rows.len() > 10);
        for row in rows {
            let value = row["value"].as_str().unwrap();
            let (kind, payload) = match row["kind"].as_str().unwrap() {
                "text" => (ValueKind::Text, value.as_bytes().to_vec()),
                "bytes" => (ValueKind::Bytes, BASE64_URL_SAFE_NO_PAD.decode(value).unwrap()),
                _ => (ValueKind::Toml, value.as_bytes().to_vec()),
            };
            let (payload, nonce) =
                (Secret::copy_of(&payload).unwrap(), hex(&row["nonce"]).try_into().unwrap());
            let set_at = row["set_at"].as_u64().unwrap();
            let sealed =
                seal_with(&key, &id, &segments(row), kind, set_at, &payload, &nonce).unwrap();
            assert_eq!(sealed, row["sealed"].as_str().unwrap());
        }
        let signed =
            crate::keys::signing::sign(&seed, known["signature"]["text"].as_str().unwrap());
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(signed),
            known["signature"]["signature"].as_str().unwrap()
        );
    }

    #[test]
    fn a_sealed_value_reveals_its_length_only_in_steps() {
        let (key, id) = key();
        let path: PropertyPath = "a".parse().unwrap();
        let length = |size: usize| {
            seal(&key, &id, &path, ValueKind::Bytes, 0, &Secret::copy_of(&vec![0; size]).unwrap())
                .unwrap()
                .len()
        };
        assert_eq!(length(0), length(51));
        assert!(length(51) < length(52));
        assert_eq!(length(52), length(115));
    }

    #[test]
    fn a_toml_payload_is_exactly_one_value() {
        for good in ["1", "true", "[1, 2]", "{ a = 1 }", "2026-11-23T18:00:00Z", "1.5", "[\n]"] {
            assert!(check_payload(ValueKind::Toml, good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "\"text\"",
            "1 2",
            "1\nx = 2",
            "1 # note\n[t]",
            "[1",
            "99999999999999999999",
            "a",
            "{ a = 1, }",
        ] {
            assert!(check_payload(ValueKind::Toml, bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
