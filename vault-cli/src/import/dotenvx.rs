//! dotenvx: a `.env` file in which each value is encrypted for a secp256k1 key (ECIES with
//! AES-256-GCM).
//!
//! The dialect is dotenvx's own, which differs from the one that `seal` reads. `${…}` and `$(…)`,
//! which dotenvx expands and runs, are taken literally.

use super::{Imported, KeySource, Leaf, unhex, wrong};
use crate::cli::Format;
use crate::context::Context;
use crate::formats::{Entries, Node, dotenvx_pairs, has_comments};
use crate::import::{cipher, key_source};
use crate::ui::failure::Result;
use aes_gcm::aead::consts::U16;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{Error, Kind, Secret};
use hkdf::Hkdf;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{PublicKey, SecretKey};
use sha2::Sha256;
use std::collections::HashMap;
use std::path::Path;
use zeroize::Zeroizing;

const MARK: &str = "encrypted:";
const PUBLIC: &str = "DOTENV_PUBLIC_KEY";
const PRIVATE: &str = "DOTENV_PRIVATE_KEY";

pub(crate) fn import(
    text: &str,
    path: &Path,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Imported> {
    let pairs = dotenvx_pairs(text.strip_prefix('\u{feff}').unwrap_or(text))
        .map_err(|error| error.in_file(path))?;
    let (own, values): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|pair| is_own(&pair.name, PUBLIC));
    if !values.iter().any(|pair| pair.value.starts_with(MARK)) {
        return Err(Error::new(Kind::Malformed, "contains nothing that dotenvx has encrypted")
            .in_file(path)
            .with_help("To seal a plain-text file: bootseal seal INPUT")
            .into());
    }
    let public: Vec<(&str, Option<PublicKey>)> = own
        .iter()
        .map(|pair| {
            (
                pair.name.as_str(),
                unhex(pair.value.as_bytes()).and_then(|key| PublicKey::from_sec1_bytes(&key).ok()),
            )
        })
        .collect();
    let private = private_keys(path, &public, keys, context)?;
    // If a name has several values, the last one counts, as in dotenvx.
    let mut entries = Entries { comments: has_comments(text, Format::Env), ..Entries::default() };
    let mut at = HashMap::new();
    for pair in values {
        let node = Node::Text(pair.value);
        let path = vec![pair.name];
        match at.get(&path).and_then(|index: &usize| entries.values.get_mut(*index)) {
            Some((_, value)) => {
                entries
                    .remarks
                    .push(format!("{} appears twice; the last one counts", super::shown(&path)));
                *value = node;
            }
            None => {
                at.insert(path.clone(), entries.values.len());
                entries.values.push((path, node));
            }
        }
    }
    let mut imported = Imported::of(entries, |names, node| match &node {
        Node::Text(value) => match value.strip_prefix(MARK) {
            Some(sealed) => {
                let blob = BASE64_STANDARD.decode(sealed.trim()).ok().filter(|blob| blob.len() >= 65 + 16 + 16);
                let blob = blob.ok_or_else(|| wrong(Kind::Malformed, "the value after `encrypted:` is incomplete", names))?;
                let plain = private.iter().find_map(|key| open(key, &blob));
                let plain = plain.ok_or_else(|| {
                    let what = "does not open with the key of this file: it was changed, or encrypted for another key";
                    wrong(Kind::Forged, what, names)
                })?;
                Ok(Leaf::opened(plain))
            }
            None => Ok(Leaf::Readable(node)),
        },
        _ => Ok(Leaf::Readable(node)),
    })
    .map_err(|error| error.in_file(path))?;
    let left_out = own
        .iter()
        .map(|pair| (super::shown(std::slice::from_ref(&pair.name)), "dotenvx's own key".into()));
    imported.left_out.extend(left_out);
    imported.remarks.push(
        "dotenvx signs nothing: anyone who could write the file could add, swap and remove values. Review the imported values"
            .into(),
    );
    Ok(imported)
}

fn is_own(name: &str, own: &str) -> bool {
    name.strip_prefix(own).is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('_'))
}

/// Returns the private keys: the named ones, else those in `.env.keys` beside the file, else those
/// in the environment, else the typed ones. If the file contains public keys, only matching private
/// keys are returned.
fn private_keys(
    path: &Path,
    public: &[(&str, Option<PublicKey>)],
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Vec<SecretKey>> {
    let beside = path.with_file_name(".env.keys");
    let mut found = keys.named(context)?;
    let mut tried = "the named keys";
    if found.is_empty() && beside.exists() {
        tried = ".env.keys beside it";
        found.push(key_source::as_utf8(&key_source::from_file(&beside)?)?);
    }
    if found.is_empty() {
        let names = public.iter().map(|(name, _)| name.replacen(PUBLIC, PRIVATE, 1));
        let variables: Vec<_> = names.filter_map(|name| context.var(&name)).collect();
        tried = "DOTENV_PRIVATE_KEY in the environment";
        found = variables
            .iter()
            .map(|value| key_source::from_variable(value))
            .collect::<Result<_>>()?;
    }
    if found.is_empty() {
        tried = "the typed key";
        found = keys.or_asked(None, "dotenvx's private key", context)?;
    }
    let mut parsed = Vec::new();
    for secret in &found {
        parsed.extend(keys_in(secret)?);
    }
    let fits = |key: &SecretKey| {
        public.is_empty() || public.iter().any(|(_, known)| *known == Some(key.public_key()))
    };
    parsed.retain(fits);
    if parsed.is_empty() {
        let what =
            format!("no available private key matches this file's public key; tried {tried}");
        let help = "To give another key: --key-file FILE, with a .env.keys or the key's 64 hexadecimal digits";
        return Err(Error::new(Kind::NoIdentity, what).in_file(path).with_help(help).into());
    }
    Ok(parsed)
}

/// Reads the keys in a `.env.keys`, or given as digits; several keys are separated by commas.
fn keys_in(secret: &Secret) -> Result<Vec<SecretKey>, Error> {
    secret.expose(|bytes| {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::new(Kind::Malformed, "a key file is not UTF-8"))?;
        let lines = match text.contains('=') {
            true => dotenvx_pairs(text)?
                .into_iter()
                .filter(|pair| is_own(&pair.name, PRIVATE))
                .map(|pair| pair.value)
                .collect(),
            false => vec![Zeroizing::new(text.to_owned())],
        };
        let digits = lines
            .iter()
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|digits| !digits.is_empty());
        let key = |digits: &str| {
            let bytes = Zeroizing::new(unhex(digits.as_bytes())?);
            SecretKey::from_slice(&bytes).ok()
        };
        let broken =
            || Error::new(Kind::Malformed, "a private key of dotenvx is 64 hexadecimal digits");
        digits.map(|digits| key(digits).ok_or_else(broken)).collect()
    })
}

/// Opens `ephemeral key ‖ nonce ‖ tag ‖ ciphertext`, of 65, 16 and 16 bytes and the rest.
fn open(key: &SecretKey, blob: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (ephemeral, rest) = blob.split_at_checked(65)?;
    let (nonce, rest) = rest.split_at_checked(16)?;
    let (tag, text) = rest.split_at_checked(16)?;
    let point =
        PublicKey::from_sec1_bytes(ephemeral).ok()?.to_projective() * *key.to_nonzero_scalar();
    let shared =
        Zeroizing::new(PublicKey::try_from(point).ok()?.to_sec1_point(false).as_bytes().to_vec());
    let input = Zeroizing::new([ephemeral, &shared].concat());
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, &input).expand(b"", &mut *key).ok()?;
    cipher::gcm::<U16>(&*key, nonce, b"", text, tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_dialect_is_that_of_dotenv() {
        let text = "A=1 # c\nexport B = x y#z\nC: 'l1\nl2 #'\nD=\"a\\\"b\\n\"\r\nE=\n# F=1\nG=`\"'`\nH='open\n";
        let pairs = dotenvx_pairs(text).unwrap();
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
        let wanted = [
            ("A", "1"),
            ("B", "x y"),
            ("C", "l1\nl2 #"),
            ("D", "a\\\"b\n"),
            ("E", ""),
            ("G", "\"'"),
            ("H", "'open"),
        ];
        assert_eq!(pairs, wanted);
        assert_eq!(
            dotenvx_pairs("A=1\nnothing\n").err().unwrap().to_string(),
            "line 2, column 1: is not NAME=value, or its value cannot be read"
        );
    }

    #[test]
    fn the_parsing_time_is_linear_in_the_length() {
        // This would take seconds if each line counted all lines before it.
        assert_eq!(dotenvx_pairs(&"A=1\n".repeat(1 << 18)).unwrap().len(), 1 << 18);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([A-C=:#'\"`\\\\ \n\r\u{e4}]|export ){0,40}") {
            let _ = dotenvx_pairs(&text);
        }
    }
}
