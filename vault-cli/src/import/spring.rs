//! Spring Cloud Config: a settings file with `{cipher}…`, a random IV and AES-256-CBC under a key
//! from PBKDF2.

use super::{Imported, KeySource, Leaf, Weak, unhex, wrong};
use crate::context::Context;
use crate::formats::{Node, Reading, entries, without_selectors};
use crate::import::pbe::Hash;
use crate::import::{cipher, key_source};
use crate::ui::failure::{Failure, Result};
use bootseal_core::Kind;
use std::path::Path;
use zeroize::Zeroizing;

/// The key that `Encryptors.text` of Spring Security derives from `encrypt.key` and `encrypt.salt`.
const ITERATIONS: u32 = 1024;
const DEFAULT_SALT: &str = "deadbeef";

pub(crate) fn import(
    text: &str,
    path: &Path,
    salt: Option<&str>,
    reading: Reading,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Imported> {
    let entries = entries(text, path, reading)?;
    let mut is_sealed = |text: &str| text.starts_with("{cipher}");
    if !entries.values.iter().any(|(_, node)| node.any_text(&mut is_sealed)) {
        if let Some(unopened) = Imported::unopened(entries)? {
            return Ok(unopened);
        }
        return Err(bootseal_core::Error::new(
            Kind::Malformed,
            "contains no {cipher}…, so nothing that Spring has encrypted",
        )
        .in_file(path)
        .with_help("To seal a plain-text file: bootseal seal INPUT")
        .into());
    }
    let salt = unhex(salt.unwrap_or(DEFAULT_SALT).as_bytes()).ok_or_else(|| {
        Failure::new(Kind::Usage, "--salt is not hexadecimal, as encrypt.salt is")
    })?;
    let secrets = keys.or_asked(Some("ENCRYPT_KEY"), "Spring's encrypt.key", context)?;
    let [secret] = secrets.as_slice() else {
        return Err(Failure::new(Kind::Usage, "Spring has one encrypt.key; several were given"));
    };
    let key = secret.expose(|secret| {
        let password = key_source::without_newline(secret);
        if password.windows(15).any(|part| part == b"RSA PRIVATE KEY") {
            let help = "Let the server decrypt the values (POST /decrypt), and pipe them into: bootseal seal - --format properties";
            return Err(Failure::new(Kind::Usage, "encrypt.key is an RSA key, which is not supported").with_help(help));
        }
        let mut key = Zeroizing::new(vec![0; 32]);
        let derived = Hash::Sha1.pbkdf2(password, &salt, ITERATIONS, &mut key);
        derived.map(|()| key).ok_or_else(|| Failure::new(Kind::Usage, "no key can be derived from this encrypt.key"))
    })?;
    let mut imported = Imported::of(entries, |names, node| match &node {
        Node::Text(value) => match value.strip_prefix("{cipher}") {
            Some(sealed) => Ok(Leaf::opened(open(sealed, &key, names)?)),
            None => Ok(Leaf::Readable(node)),
        },
        _ => Ok(Leaf::Readable(node)),
    })
    .map_err(|error| error.in_file(path))?;
    let why =
        "1024 rounds of SHA-1 and often the same salt make guessing encrypt.key cheap; no MAC";
    imported.weak.push(Weak { scheme: "{cipher} with a symmetric key".into(), why });
    Ok(imported)
}

fn open(
    sealed: &str,
    key: &[u8],
    names: &[String],
) -> Result<Zeroizing<Vec<u8>>, bootseal_core::Error> {
    // There is only one key here.
    let digits = without_selectors(sealed.trim());
    let blob = unhex(digits.as_bytes()).ok_or_else(|| {
        wrong(
            Kind::Malformed,
            "{cipher} is not hexadecimal: it was encrypted with an RSA key, which is not supported",
            names,
        )
    })?;
    let plain = blob.split_at_checked(16).and_then(|(iv, text)| cipher::aes_cbc(key, iv, text));
    let plain = plain.filter(|plain| std::str::from_utf8(plain).is_ok());
    plain.ok_or_else(|| {
        wrong(Kind::WrongPassphrase, "does not open with this encrypt.key", names)
            .with_help("If the server sets encrypt.salt, give it as well: --salt")
    })
}
