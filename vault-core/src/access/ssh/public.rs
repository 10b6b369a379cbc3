//! SSH public keys as recipients: each key is checked and has exactly one written form.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::VerifyingKey;

/// `ssh-ed25519 BASE64` or `ssh-rsa BASE64` without the comment, if age can wrap to the key. All
/// checks happen before age parses the key: its parser accepts trailing bytes, and panics on an
/// mpint of zeros.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    let (kind, base64) = (words.next()?, words.next()?);
    let blob = BASE64_STANDARD.decode(base64).ok()?;
    let mut rest = blob.as_slice();
    let sound = string(&mut rest)? == kind.as_bytes()
        && match kind {
            "ssh-ed25519" => is_useful_point(string(&mut rest)?),
            "ssh-rsa" => is_useful_exponent(mpint(&mut rest)?) && bits(mpint(&mut rest)?) >= 2048,
            _ => false,
        };
    (sound && rest.is_empty()).then(|| format!("{kind} {}", BASE64_STANDARD.encode(&blob)))
}

/// An SSH `string`: its length in four bytes, then its bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (string, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

/// A positive `mpint` in its canonical encoding, without its leading zero.
fn mpint<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    match string(rest)? {
        [0, number @ ..] if number.first().is_some_and(|byte| byte & 0x80 != 0) => Some(number),
        number => number.first().is_some_and(|byte| (1..0x80).contains(byte)).then_some(number),
    }
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// With exponent 1, the wrapped key would be in the clear.
fn is_useful_exponent(number: &[u8]) -> bool {
    bits(number) >= 2 && number.last().is_some_and(|byte| byte & 1 == 1)
}

/// Anyone can open a key that is wrapped to a point of small order. A point that is not reduced
/// would be a second written form of the same key.
fn is_useful_point(bytes: &[u8]) -> bool {
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else { return false };
    VerifyingKey::from_bytes(&bytes)
        .is_ok_and(|key| !key.is_weak() && key.to_edwards().compress().to_bytes() == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, parts: &[&[u8]]) -> String {
        let mut blob = Vec::new();
        for part in [&[kind.as_bytes()], parts].concat() {
            blob.extend_from_slice(&(part.len() as u32).to_be_bytes());
            blob.extend_from_slice(part);
        }
        format!("{kind} {}", BASE64_STANDARD.encode(blob))
    }

    #[test]
    fn each_key_has_one_text_and_weak_keys_are_refused() {
        let good =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
        assert_eq!(canonical(&format!("{good}  alice@rust more")).unwrap(), good);
        let modulus = [&[0, 0xC0][..], &[1; 255]].concat();
        let rsa = key("ssh-rsa", &[&[1, 0, 1], &modulus]);
        assert_eq!(canonical(&rsa).unwrap(), rsa);
        let mut neutral = [0; 32];
        neutral[0] = 1;
        for bad in [
            key("ssh-ed25519", &[&neutral]),
            key("ssh-ed25519", &[&[7; 31]]),
            key("ssh-rsa", &[&[1], &modulus]),
            key("ssh-rsa", &[&[4], &modulus]),
            key("ssh-rsa", &[&[0], &[0]]),
            key("ssh-rsa", &[&[0, 3], &modulus]),
            key("ssh-rsa", &[&[1, 0, 1], &modulus[1..]]),
            key("ssh-rsa", &[&[1, 0, 1], &[0x7F; 200]]),
            key("ssh-rsa", &[&[1, 0, 1], &modulus, b"more"]),
            key("ecdsa-sha2-nistp256", &[b"nistp256"]),
            "ssh-ed25519".into(),
            "ssh-ed25519 AAAA".into(),
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN".into(),
        ] {
            assert_eq!(canonical(&bad), None, "{bad}");
        }
    }
}
