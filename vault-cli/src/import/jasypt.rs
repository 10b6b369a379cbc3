//! Jasypt: a settings file with `ENC(…)`, which contains salt, possibly an IV, and ciphertext, but
//! not the algorithm.

use super::{Imported, KeySource, Leaf, MAX_DERIVATIONS, Weak, unhex, wrong};
use crate::context::Context;
use crate::formats::{Node, Reading, entries};
use crate::import::cipher;
use crate::import::pbe::{Hash, IvGenerator, Password, Pbe};
use crate::ui::failure::{Failure, Result};
use aes_gcm::aead::consts::U12;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::Kind;
use std::path::Path;
use zeroize::Zeroizing;

/// Settings from the configuration of Jasypt, which are not in the file.
pub(crate) struct Settings<'a> {
    pub(crate) algorithm: Option<&'a str>,
    pub(crate) iv_generator: Option<&'a str>,
    pub(crate) iterations: u32,
    pub(crate) salt: Option<&'a str>,
    pub(crate) reading: Reading,
}

/// The algorithms that are tried if none is named, the most common first.
const USUAL: [&str; 4] = [
    "PBEWITHHMACSHA512ANDAES_256",
    "PBEWithMD5AndDES",
    "PBEWithMD5AndTripleDES",
    "PBEWITHSHA256AND256BITAES-CBC-BC",
];

/// The algorithm and the key or password that open the values.
enum Scheme {
    Pbe(Pbe, Password, u32, IvGenerator),
    /// The scheme of jasypt-spring-boot.
    Gcm(Zeroizing<Vec<u8>>),
}

impl Scheme {
    fn open(&self, blob: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let plain = match self {
            Scheme::Pbe(pbe, password, iterations, generator) => {
                pbe.open(password, *iterations, *generator, blob)?
            }
            Scheme::Gcm(key) => {
                let (iv, rest) = blob.split_at_checked(12)?;
                let (text, tag) = rest.split_at_checked(rest.len().checked_sub(16)?)?;
                cipher::gcm::<U12>(key, iv, b"", text, tag)?
            }
        };
        // Jasypt encrypts text without a MAC: a result that is not text was not encrypted with this
        // key.
        std::str::from_utf8(&plain).is_ok().then_some(plain)
    }
}

pub(crate) fn import(
    text: &str,
    path: &Path,
    settings: &Settings<'_>,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Imported> {
    let entries = entries(text, path, settings.reading)?;
    let mut blobs = Vec::new();
    for (names, node) in &entries.values {
        collect(names, node, &mut blobs).map_err(|error| error.in_file(path))?;
    }
    if blobs.is_empty() {
        if let Some(unopened) = Imported::unopened(entries)? {
            return Ok(unopened);
        }
        return Err(bootseal_core::Error::new(
            Kind::Malformed,
            "contains no ENC(…), so nothing that Jasypt has encrypted",
        )
        .in_file(path)
        .with_help("To seal a plain-text file: bootseal seal INPUT")
        .into());
    }
    if blobs.len() > MAX_DERIVATIONS {
        let what = format!(
            "contains more than {MAX_DERIVATIONS} encrypted values; each requires a password derivation"
        );
        return Err(bootseal_core::Error::new(Kind::Malformed, what).in_file(path).into());
    }
    let (name, scheme) = scheme(&blobs, path, settings, keys, context)?;
    let mut imported = Imported::of(entries, |names, node| match &node {
        Node::Text(value) => match wrapped(value) {
            Some(inner) => {
                let plain = blob(inner, names)?;
                let plain = scheme.open(&plain).ok_or_else(|| refused(&name, names))?;
                Ok(Leaf::opened(plain))
            }
            None => Ok(Leaf::Readable(node)),
        },
        _ => Ok(Leaf::Readable(node)),
    })
    .map_err(|error| error.in_file(path))?;
    let why = match &scheme {
        Scheme::Pbe(pbe, ..) => Some(pbe.weakness()),
        Scheme::Gcm(_) if settings.salt.is_some() => {
            Some("1000 rounds make guessing the password cheap")
        }
        Scheme::Gcm(_) => None,
    };
    imported.weak.extend(why.map(|why| Weak { scheme: name, why }));
    Ok(imported)
}

/// Returns the content of `ENC(…)` around a whole value, as Jasypt does.
fn wrapped(value: &str) -> Option<&str> {
    value.trim().strip_prefix("ENC(")?.strip_suffix(')')
}

/// Collects every encrypted value, including those in arrays.
fn collect(
    names: &[String],
    node: &Node,
    found: &mut Vec<(Vec<String>, Vec<u8>)>,
) -> Result<(), bootseal_core::Error> {
    match node {
        Node::Text(value) => {
            if let Some(inner) = wrapped(value) {
                found.push((names.to_vec(), blob(inner, names)?));
            }
            Ok(())
        }
        Node::Array(elements) => {
            elements.iter().try_for_each(|element| collect(names, element, found))
        }
        Node::Table(table) => {
            table.iter().try_for_each(|(_, element)| collect(names, element, found))
        }
        _ => Ok(()),
    }
}

/// Decodes base64, or hexadecimal digits, which `string-output-type` can select.
fn blob(inner: &str, names: &[String]) -> Result<Vec<u8>, bootseal_core::Error> {
    let inner = inner.trim();
    let hexadecimal = inner.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let blob = match hexadecimal {
        true => unhex(inner.as_bytes()),
        false => BASE64_STANDARD.decode(inner).ok(),
    };
    let what = "ENC(…) contains neither base64 nor hexadecimal digits";
    blob.ok_or_else(|| wrong(Kind::Malformed, what, names))
}

fn refused(name: &str, names: &[String]) -> bootseal_core::Error {
    wrong(Kind::WrongPassphrase, format!("does not open with this password and {name}"), names)
}

/// Returns the named algorithm with the given password, else the only common one that opens every
/// value.
fn scheme(
    blobs: &[(Vec<String>, Vec<u8>)],
    path: &Path,
    settings: &Settings<'_>,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<(String, Scheme)> {
    let gcm = settings.algorithm.is_some_and(|name| name.eq_ignore_ascii_case("AES/GCM/NoPadding"));
    let named = match settings.algorithm.filter(|_| !gcm) {
        Some(name) => Some((name.to_owned(), Pbe::by_name(name).ok_or_else(|| unknown(name))?)),
        None => None,
    };
    let prompt = if gcm { "Jasypt's key" } else { "Jasypt's password" };
    let secrets = keys.or_asked(Some("JASYPT_ENCRYPTOR_PASSWORD"), prompt, context)?;
    let [secret] = secrets.as_slice() else {
        return Err(Failure::new(Kind::Usage, "Jasypt has one password; several were given"));
    };
    let password = || {
        Password::of(secret)
            .ok_or_else(|| Failure::new(Kind::WrongPassphrase, "Jasypt's password is not UTF-8"))
    };
    if gcm {
        let scheme = Scheme::Gcm(gcm_key(&password()?, settings)?);
        if let Some((names, _)) = blobs.iter().find(|(_, blob)| scheme.open(blob).is_none()) {
            return Err(refused("AES/GCM/NoPadding", names).in_file(path).into());
        }
        return Ok(("AES/GCM/NoPadding".into(), scheme));
    }
    let generator = match settings.iv_generator {
        Some(name) => Some(IvGenerator::by_name(name).ok_or_else(|| unknown_generator(name))?),
        None => None,
    };
    let algorithms: Vec<(String, Pbe)> = match named {
        Some(named) => vec![named],
        None => {
            let usual = USUAL.iter().map(|name| Some(((*name).to_owned(), Pbe::by_name(name)?)));
            usual.flatten().collect()
        }
    };
    let mut fitting = Vec::new();
    for (name, pbe) in &algorithms {
        let possible = pbe.iv_generators().iter().copied();
        for iv in possible.filter(|iv| generator.is_none_or(|wanted| wanted == *iv)) {
            let scheme = Scheme::Pbe(*pbe, password()?, settings.iterations, iv);
            match opened_by(&scheme, blobs) {
                Opened::Not => {}
                opened => fitting.push((opened, described(name, *pbe, iv), scheme)),
            }
        }
    }
    // A wrong choice opens some values to control characters; a right one to text.
    if fitting.iter().any(|(opened, ..)| *opened == Opened::ToText) {
        fitting.retain(|(opened, ..)| *opened == Opened::ToText);
    } else if settings.algorithm.is_none() {
        fitting.clear();
    }
    match (fitting.len(), fitting.pop()) {
        (1, Some((_, name, scheme))) => Ok((name, scheme)),
        (0, _) => Err(none_opens(blobs, &algorithms, settings, path)),
        (_, last) => {
            let mut names: Vec<String> = fitting.into_iter().map(|(_, name, _)| name).collect();
            names.extend(last.map(|(_, name, _)| name));
            let what = format!(
                "several algorithms and IV generators open these values, which have no MAC: {}",
                names.join("; ")
            );
            let help = "Name those of jasypt.encryptor.algorithm and iv-generator-classname, for example: --algorithm PBEWithMD5AndDES --iv-generator RandomIvGenerator";
            Err(bootseal_core::Error::new(Kind::Conflict, what)
                .in_file(path)
                .with_help(help)
                .into())
        }
    }
}

/// What a scheme makes of all values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Not,
    ToControlCharacters,
    ToText,
}

fn opened_by(scheme: &Scheme, blobs: &[(Vec<String>, Vec<u8>)]) -> Opened {
    let mut opened = Opened::ToText;
    for (_, blob) in blobs {
        let Some(plain) = scheme.open(blob) else { return Opened::Not };
        let text = std::str::from_utf8(&plain).unwrap_or_default();
        if text.chars().any(|next| next.is_control() && !"\t\n\r\u{85}".contains(next)) {
            opened = Opened::ToControlCharacters;
        }
    }
    opened
}

/// The algorithm for messages, with its IV generator if it can have several.
fn described(name: &str, pbe: Pbe, generator: IvGenerator) -> String {
    match pbe.iv_generators().len() > 1 && generator == IvGenerator::Random {
        true => format!("{name} with {}", generator.name()),
        false => name.to_owned(),
    }
}

fn none_opens(
    blobs: &[(Vec<String>, Vec<u8>)],
    algorithms: &[(String, Pbe)],
    settings: &Settings<'_>,
    path: &Path,
) -> Failure {
    let iv = match settings.iv_generator.and_then(IvGenerator::by_name) {
        Some(generator) => format!("with {}", generator.name()),
        None => "with and without RandomIvGenerator".to_owned(),
    };
    let error = match (settings.algorithm, algorithms, blobs) {
        (Some(_), [(name, _)], [(names, _), ..]) => refused(&format!("{name}, {iv}"), names),
        _ => {
            let what = format!(
                "no common algorithm opens all values with this password; tried {}, {iv}",
                USUAL.join(", ")
            );
            bootseal_core::Error::new(Kind::WrongPassphrase, what)
        }
    };
    error.in_file(path).with_help(LOST_IV).into()
}

fn unknown_generator(name: &str) -> Failure {
    let what = format!("`{}` is not a supported IV generator", bootseal_core::Typed(name));
    Failure::new(Kind::Usage, what).with_help(
        "NoIvGenerator or RandomIvGenerator; the IV of another generator is not in the file",
    )
}

const LOST_IV: &str = "The error is the same for a wrong password and a wrong algorithm: name one with --algorithm. Values encrypted with an AES \
    algorithm and NoIvGenerator cannot be opened at all: their IV was never stored (jasypt-spring-boot issue 226).";

fn unknown(name: &str) -> Failure {
    let what = match name.to_ascii_uppercase().contains("RSA") {
        true => "Jasypt's RSA is not supported".to_owned(),
        false => format!("`{}` is not a supported algorithm", bootseal_core::Typed(name)),
    };
    Failure::new(Kind::Usage, what).with_help(format!(
        "{}, PBEWithSHA1AndDESede, PBEWITHSHAAND{{2,3}}-KEYTRIPLEDES-CBC, PBEWITHMD5AND{{128,192,256}}BITAES-CBC-OPENSSL, PBEWITHHMACSHA{{1,224,256,384,512}}ANDAES_{{128,256}}, PBEWITHSHA{{,256}}AND{{128,192,256}}BITAES-CBC-BC, AES/GCM/NoPadding. \
         For another one, let the application print the values, and pipe them into: bootseal seal - --format properties",
        USUAL.join(", ")
    ))
}

/// Returns the key of AES/GCM: `gcm-secret-key-string`, 32 bytes in base64; with a salt, the key
/// derived from `gcm-secret-key-password` and `gcm-secret-key-salt`.
fn gcm_key(password: &Password, settings: &Settings<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let Some(salt) = settings.salt else {
        let key = BASE64_STANDARD
            .decode(password.bytes())
            .map(Zeroizing::new)
            .ok()
            .filter(|key| key.len() == 32);
        return key.ok_or_else(|| {
            Failure::new(Kind::WrongPassphrase, "the key of AES/GCM is not 32 bytes in base64")
                .with_help(
                    "If it is a password, give its salt as well, from gcm-secret-key-salt: --salt",
                )
        });
    };
    let salt = BASE64_STANDARD
        .decode(salt)
        .map_err(|_| Failure::new(Kind::Usage, "--salt is not base64"))?;
    let mut key = Zeroizing::new(vec![0; 32]);
    let derived = Hash::Sha256.pbkdf2(password.bytes(), &salt, settings.iterations, &mut key);
    derived
        .map(|()| key)
        .ok_or_else(|| Failure::new(Kind::Usage, "no key can be derived from this password"))
}
