//! ansible-vault: whole files, or single values after `!vault`, encrypted with PBKDF2, AES-256-CTR
//! and an HMAC of the ciphertext.

use super::{Imported, KeySource, Leaf, MAX_DERIVATIONS, Weak, unhex, wrong};
use crate::cli::Format;
use crate::context::Context;
use crate::formats::{Entries, Node, Reading, WrittenBy, by_content, entries, nested};
use crate::import::key_source;
use crate::import::pbe::Hash;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Error, Kind, Secret, Shown};
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const ITERATIONS: u32 = 10_000;
const MARK: &str = "$ANSIBLE_VAULT;";
/// The maximum number of passwords; no playbook is known with more vault ids.
const MAX_PASSWORDS: usize = 16;
const WEAK: &str = "10,000 rounds of SHA-256 make guessing the password cheap";

pub(crate) fn import(
    text: &str,
    path: &Path,
    reading: Reading,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Imported> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut vault = match text.contains(MARK) {
        true => Passwords::find(keys, context)?,
        false => {
            return Err(Error::new(
                Kind::Malformed,
                "contains nothing that ansible-vault has encrypted",
            )
            .in_file(path)
            .with_help("To seal a plain-text file: bootseal seal INPUT")
            .into());
        }
    };
    let in_file = |error: Error| Failure::from(error.in_file(path));
    let whole = text.trim_start().starts_with(MARK);
    let mut imported = match whole {
        false => {
            let entries =
                nested(text, Format::Yaml, WrittenBy::Ansible, reading).map_err(in_file)?;
            Imported::of(entries, |names, node| vault.value(names, node, false)).map_err(in_file)?
        }
        true => {
            let plain = vault.open(text, &[]).map_err(in_file)?;
            match tables(&plain, path, reading)? {
                Some(entries) => {
                    Imported::of(entries, |names, node| vault.value(names, node, true))
                        .map_err(in_file)?
                }
                None => {
                    let name = name_of(path)?;
                    let mut plain = Some(plain);
                    let values = vec![(vec![name.clone()], Node::Vault(Zeroizing::default()))];
                    let entries = Entries { values, ..Entries::default() };
                    let mut imported = Imported::of(entries, |_, _| {
                        Ok(Leaf::opened(plain.take().unwrap_or_default()))
                    })
                    .map_err(in_file)?;
                    imported.remarks.push(format!(
                        "the file is in no known format of settings; it is one value, {}",
                        Shown(&name)
                    ));
                    imported
                }
            }
        }
    };
    imported.weak.push(Weak { scheme: "ansible-vault".into(), why: WEAK });
    Ok(imported)
}

/// The entries of an opened file, in the format that the user, its name or its content indicates;
/// `None` if it is a single value.
fn tables(plain: &[u8], path: &Path, reading: Reading) -> Result<Option<Entries>> {
    let named = reading.named(path);
    let Ok(text) = std::str::from_utf8(plain) else {
        return match named {
            None => Ok(None),
            Some(_) => Err(Error::new(Kind::Malformed, "its decrypted content: is not UTF-8")
                .in_file(path)
                .into()),
        };
    };
    let Some(format) = named.or_else(|| by_content(text)) else { return Ok(None) };
    let parsed: Result<Entries> = match format {
        Format::Json | Format::Yaml => {
            nested(text, format, WrittenBy::Ansible, reading).map_err(Failure::from)
        }
        // A whole file in another format, a .env file for example.
        flat => entries(text, path, Reading { format: Some(flat), ..reading }),
    };
    match parsed {
        Ok(entries) => Ok(Some(entries)),
        // A file without a known name may be anything.
        Err(_) if named.is_none() => Ok(None),
        Err(failure) => {
            let text = format!("{}: its decrypted content: {}", Shown::path(path), failure.text());
            Err(Failure::new(failure.kind(), text).in_file(path))
        }
    }
}

/// `id_rsa.vault` → `id_rsa`
fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(|name| name.strip_suffix(".vault").unwrap_or(name).to_owned())
        .ok_or_else(|| Failure::new(Kind::Usage, "the file's name is not text"))
}

/// The given passwords, and the keys derived from them.
struct Passwords {
    passwords: Vec<Secret>,
    keys: HashMap<(usize, Vec<u8>), Zeroizing<[u8; 80]>>,
}

impl Passwords {
    fn find(keys: &KeySource<'_>, context: &mut Context<'_>) -> Result<Passwords> {
        let file = context.var("ANSIBLE_VAULT_PASSWORD_FILE").map(PathBuf::from);
        let named = !keys.files.is_empty() || keys.descriptor.is_some();
        let passwords = match file {
            Some(file) if !named => vec![password_file(&file)?],
            _ => {
                keys.files.iter().try_for_each(|file| refuse_program(file))?;
                match keys.as_saved(context)? {
                    saved if saved.is_empty() => keys.or_asked(None, "Vault password", context)?,
                    saved => saved,
                }
            }
        };
        // Ansible uses the bytes of the file, also those of a byte order mark. Someone who typed
        // the password did not type the mark.
        let plain = passwords.iter().map(key_source::as_utf8).filter_map(Result::ok);
        let other: Vec<Secret> = plain.collect();
        let mut passwords = passwords;
        for plain in other {
            if !passwords.iter().any(|known| known.same_as(&plain)) {
                passwords.push(plain);
            }
        }
        if passwords.len() > MAX_PASSWORDS {
            return Err(Failure::new(Kind::Usage, format!("more than {MAX_PASSWORDS} passwords")));
        }
        let stripped =
            passwords.iter().map(|password| password.expose(|bytes| Secret::copy_of(strip(bytes))));
        Ok(Passwords { passwords: stripped.collect::<Result<_, _>>()?, keys: HashMap::new() })
    }

    /// Opens one value that is marked with `!vault`; `sealed` is whether the whole file was
    /// encrypted.
    fn value(&mut self, names: &[String], node: Node, sealed: bool) -> Result<Leaf, Error> {
        match node {
            Node::Vault(envelope) => Ok(Leaf::opened(self.open(&envelope, names)?)),
            other if sealed => Ok(Leaf::Opened(other)),
            other => Ok(Leaf::Readable(other)),
        }
    }

    fn open(&mut self, envelope: &str, names: &[String]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let [salt, mac, text] =
            parts(envelope).map_err(|what| wrong(Kind::Malformed, what, names))?;
        for index in 0..self.passwords.len() {
            let key = self.key(index, &salt)?;
            let Ok(mut check) = Hmac::<Sha256>::new_from_slice(&key[32..64]) else { continue };
            check.update(&text);
            if check.verify_slice(&mac).is_err() {
                continue;
            }
            let mut plain = Zeroizing::new(text);
            let Ok(mut cipher) =
                ctr::Ctr128BE::<aes::Aes256>::new_from_slices(&key[..32], &key[64..])
            else {
                break;
            };
            cipher.apply_keystream(&mut plain);
            let padding = plain.last().map_or(0, |last| usize::from(*last));
            let length = plain.len().checked_sub(padding).filter(|_| (1..=16).contains(&padding));
            let length = length.ok_or_else(|| {
                wrong(Kind::Malformed, "has no valid padding after decryption", names)
            })?;
            plain.truncate(length);
            return Ok(plain);
        }
        let what = match self.passwords.len() {
            1 => "the vault password does not open it, or it was changed",
            _ => "none of the vault passwords opens it, or it was changed",
        };
        Err(wrong(Kind::WrongPassphrase, what, names)
            .with_help("To give another password: --key-file, which can be repeated"))
    }

    fn key(&mut self, index: usize, salt: &[u8]) -> Result<Zeroizing<[u8; 80]>, Error> {
        let at = (index, salt.to_vec());
        if let Some(key) = self.keys.get(&at) {
            return Ok(key.clone());
        }
        if self.keys.len() >= MAX_DERIVATIONS {
            let what =
                format!("the file requires more than {MAX_DERIVATIONS} password derivations");
            return Err(Error::new(Kind::Malformed, what));
        }
        let mut key = Zeroizing::new([0; 80]);
        let derived = self.passwords[index]
            .expose(|password| Hash::Sha256.pbkdf2(password, salt, ITERATIONS, &mut *key));
        derived
            .ok_or_else(|| Error::new(Kind::Usage, "no key can be derived from this password"))?;
        self.keys.insert(at, key.clone());
        Ok(key)
    }
}

/// Splits an envelope into salt, HMAC and ciphertext.
fn parts(envelope: &str) -> Result<[Vec<u8>; 3], &'static str> {
    let mut lines = envelope.trim().lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().trim().split(';').collect();
    match header.as_slice() {
        ["$ANSIBLE_VAULT", "1.1" | "1.2", "AES256", ..] => {}
        ["$ANSIBLE_VAULT", "1.0", ..] => {
            return Err(
                "is in the format of ansible-vault 1.0, which current versions cannot open either: first run `ansible-vault rekey` of an old version",
            );
        }
        _ => return Err("does not begin with $ANSIBLE_VAULT;1.1;AES256 or 1.2"),
    }
    if envelope.trim_end().ends_with('%') {
        return Err(
            "ends with `%`, which zsh shows after output that has no line break at its end: remove it",
        );
    }
    let broken = "is not a complete ansible-vault envelope";
    let digits: Vec<u8> = lines.flat_map(|line| line.trim().bytes()).collect();
    let inner = unhex(&digits).ok_or(broken)?;
    let parts: Vec<Vec<u8>> =
        inner.split(|byte| *byte == b'\n').map(unhex).collect::<Option<_>>().ok_or(broken)?;
    parts.try_into().map_err(|_| broken)
}

/// Refuses a password file that is a program: Ansible would run it, but nothing is run here.
fn refuse_program(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|meta| {
        meta.is_file() && std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
    }) {
        return Err(Error::new(
            Kind::Usage,
            "is an executable file, and bootseal import runs no program",
        )
        .in_file(path)
        .with_help("Run it yourself: FILE | bootseal import --from ansible-vault … --key-fd 0")
        .into());
    }
    Ok(())
}

fn password_file(path: &Path) -> Result<Secret> {
    refuse_program(path)?;
    key_source::from_file(path)
}

/// Removes blanks at both ends, as Python's `bytes.strip` does.
fn strip(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let from = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|byte| !blank(byte)).map_or(from, |last| last + 1);
    &bytes[from..to]
}
