//! Identity files: identities, passphrase-protected keys, and the pins in their comments.

use crate::access::identity::Identity;
use crate::access::key_file::{page_from, read_page, text_of};
use crate::access::locked::{self, Lock, LockedKey, as_typed};
use crate::access::recipient::Recipient;
#[cfg(feature = "ssh")]
use crate::access::ssh::private::{self, SshKey};
use crate::error::{Error, Kind, Result};
use crate::keys::pin::Pin;
use crate::keys::vault_id::VaultId;
use crate::shown::Typed;
use bootseal_memory::{Secret, SecretBuf};
use std::path::Path;

/// The content of an identity file: identities, and the pins in its comments.
///
/// ```
/// # let (_folder, path) = bootseal_fixtures::key_file();
/// let file = bootseal_core::IdentityFile::read(&path)?;
/// for identity in &file.identities {
///     println!("found the identity of {identity}");
/// }
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct IdentityFile {
    /// The identities, in the order of the file.
    pub identities: Vec<Identity>,
    /// Passphrase-protected identities and SSH keys.
    pub locked: Vec<LockedKey>,
    /// The pins from lines `# vault: vault1…`.
    pub pins: Vec<Pin>,
}

impl IdentityFile {
    /// Reads an identity file onto a guarded page and parses it there.
    ///
    /// # Errors
    /// [`Kind::Usage`] if `path` looks like a private key; [`Kind::NotFound`] if the file does not
    /// exist; [`Kind::Io`] if it cannot be read; [`Kind::UnsafeFile`] if others can write or read
    /// it (this is not checked on a read-only file system, such as the mounted secrets of
    /// Kubernetes and systemd); [`Kind::Malformed`] if it is not an identity file, or if a comment
    /// that begins with `vault:` contains no valid pin.
    ///
    /// ```no_run
    /// let file = bootseal_core::IdentityFile::read("/run/secrets/bootseal.key".as_ref())?;
    /// println!("{} identities, {} pins", file.identities.len(), file.pins.len());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn read(path: &Path) -> Result<IdentityFile> {
        if Typed(&path.to_string_lossy()).is_private() {
            return Err(Error::new(
                Kind::Usage,
                "expected the path of an identity file, found a private key",
            ));
        }
        read_page(path)
            .and_then(|page| IdentityFile::parse(&page))
            .map_err(|error| error.in_file(path))
    }

    /// Like `read`, but reads from a pipe or a descriptor, at most 64 KiB.
    ///
    /// # Errors
    /// The errors of [`IdentityFile::read`], except those about file modes.
    ///
    /// ```
    /// use bootseal_core::{IdentityFile, Kind};
    /// let error = IdentityFile::from_reader(&mut &b"password=hunter2"[..]).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Malformed);
    /// assert!(!error.to_string().contains("hunter2")); // the text is never repeated
    /// ```
    pub fn from_reader(source: &mut impl std::io::Read) -> Result<IdentityFile> {
        IdentityFile::parse(&page_from(source)?)
    }

    fn parse(page: &SecretBuf) -> Result<IdentityFile> {
        page.expose(|bytes| {
            let text = text_of(bytes)?;
            let mut file = IdentityFile::default();
            let mut ssh = SshText::default();
            let (mut public, mut armored): (Option<Recipient>, Option<String>) = (None, None);
            for (index, line) in text.lines().enumerate() {
                if ssh.takes(index, line) {
                    if let Some((first, pem)) = ssh.whole(text) {
                        file.read_ssh(pem).map_err(|error| Error::malformed(format!("line {first}: {}", error.what())).with_help(error.help().unwrap_or_default()))?;
                    }
                    continue;
                }
                let line = line.trim();
                if let Some(text) = &mut armored {
                    text.push_str(line);
                    text.push('\n');
                    if let (true, Some(text), Some(public)) = (line == locked::END, &armored, public.clone()) {
                        file.locked.push(LockedKey::of_age(text, public));
                        armored = None;
                    }
                    continue;
                }
                let place = |what: &str| Error::malformed(format!("line {}: {what}", index + 1));
                if let Some(comment) = line.strip_prefix('#') {
                    public = comment.trim().strip_prefix("public key:").map_or(public, |key| key.trim().parse().ok());
                    let mut words = comment.split_whitespace();
                    // A typo in a pin must not disable the pin, so parsing fails if such a comment
                    // contains no valid pin.
                    let first = words.next().unwrap_or_default();
                    if first.to_ascii_lowercase().starts_with("vault:") {
                        let pin = words.next().filter(|_| first == "vault:").and_then(|word| word.parse().ok()).filter(|_| words.next().is_none());
                        file.pins.push(pin.ok_or_else(|| place("a comment that begins with `vault:` must be `# vault: vault1…`, or `# vault: vault1…@GENERATION`").with_help("`bootseal access pin KEYFILE` writes the line."))?);
                    } else if let Some(pin) = mentioned_pin(line) {
                        return Err(place("a comment contains a vault id, but is not a pin, and would be ignored").with_help(format!(
                            "If the vault is to be pinned, write this line: # vault: {pin} (or run: bootseal access pin KEYFILE). If not, delete {pin} from the comment."
                        )));
                    } else if mentions_damaged_id(comment) {
                        return Err(place("a comment contains something like a vault id, but is not a pin, and would be ignored").with_help(
                            "If the vault is to be pinned, `bootseal access pin KEYFILE` writes the line. If not, delete the word that begins with `vault1`.",
                        ));
                    }
                } else if line == locked::BEGIN && public.is_some() {
                    armored = Some(format!("{line}\n"));
                } else if line.starts_with("-----BEGIN AGE") || line.starts_with("age-encryption.org/") {
                    return Err(place("an encrypted identity file without its public key").with_help(
                        "If it is armored (age -p -a), add this line above it: # public key: age1… Or decrypt it with `age -d` into a pipe, and pass it with `-i -`.",
                    ));
                } else if !line.is_empty() {
                    let identity = Identity::parse(line).ok_or_else(|| place("not an age identity (AGE-SECRET-KEY-1…), an SSH key or a plugin identity"))?;
                    file.identities.push(identity?);
                }
            }
            if armored.is_some() {
                return Err(Error::malformed("contains a truncated encrypted identity"));
            }
            if ssh.is_open() {
                return Err(Error::malformed("contains a truncated SSH key"));
            }
            if file.is_empty() {
                return Err(Error::malformed("contains no identity").with_help("`bootseal keygen -o FILE` creates one."));
            }
            Ok(file)
        })
    }

    fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.locked.is_empty()
    }

    #[cfg(feature = "ssh")]
    fn read_ssh(&mut self, pem: &str) -> Result<()> {
        match private::read(pem)? {
            SshKey::Open(key) => self.identities.push(Identity::from_ssh(key)),
            SshKey::Locked(key, recipient) => self.locked.push(LockedKey::of_ssh(key, recipient)),
        }
        Ok(())
    }

    #[cfg(not(feature = "ssh"))]
    fn read_ssh(&mut self, _: &str) -> Result<()> {
        Err(Error::malformed("an SSH key, which needs the feature `ssh` of bootseal").with_help(
            "`bootseal keygen -o FILE` creates an identity; a writer adds it: bootseal access add NAME RECIPIENT",
        ))
    }
}

impl LockedKey {
    /// Unlocks the identity. See the example of [`LockedKey`].
    ///
    /// # Errors
    /// [`Kind::WrongPassphrase`]; [`Kind::Malformed`] if the content is not an identity, or does
    /// not match the public key that is written beside it.
    pub fn unlock(&self, passphrase: &Secret) -> Result<Identity> {
        let wrong = || {
            Error::new(Kind::WrongPassphrase, format!("wrong passphrase for {}", self.recipient))
        };
        let passphrase = as_typed(passphrase).ok_or_else(wrong)?;
        match &self.lock {
            Lock::Age(armored) => {
                let page = locked::decrypt(armored, passphrase)?.ok_or_else(wrong)?;
                let mut inside = IdentityFile::parse(&page)?;
                match (
                    inside.identities.pop(),
                    inside.identities.is_empty() && inside.locked.is_empty(),
                ) {
                    (Some(identity), true)
                        if identity.recipient().as_ref() == Some(&self.recipient) =>
                    {
                        Ok(identity)
                    }
                    _ => Err(Error::malformed(format!(
                        "the decrypted identity does not match the public key {} in the line above it",
                        self.recipient
                    ))),
                }
            }
            #[cfg(feature = "ssh")]
            Lock::Ssh(key) => private::unlock(key, passphrase, &self.recipient)
                .map(Identity::from_ssh)
                .ok_or_else(wrong),
        }
    }
}

/// The first vault id in a comment, with its generation: what was probably meant as a pin.
fn mentioned_pin(comment: &str) -> Option<Pin> {
    let mut words = comment.split(|next: char| !next.is_ascii_alphanumeric() && next != '@');
    words.find_map(|word| {
        let word = word.to_ascii_lowercase();
        let id = word.split('@').find(|part| part.starts_with("vault1"))?;
        word.parse().ok().or_else(|| id.parse::<VaultId>().ok().map(Pin::from))
    })
}

/// Whether a comment contains what may have been a vault id: `vault1` and at least 20 characters of
/// Bech32, wherever it begins. Spaces and other characters between them are ignored, and up to two
/// letters of `vault1` may be from another script.
fn mentions_damaged_id(comment: &str) -> bool {
    const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let text: Vec<char> = comment
        .chars()
        .filter(|next| next.is_alphanumeric())
        .map(|next| next.to_ascii_lowercase())
        .collect();
    text.windows("vault1".len() + 20).any(|window| {
        let (prefix, data) = window.split_at("vault1".len());
        let foreign = prefix.iter().filter(|next| !next.is_ascii()).count();
        let same = prefix.iter().zip("vault1".chars()).all(|(a, b)| *a == b || !a.is_ascii());
        same && foreign <= 2 && data.iter().all(|next| BECH32.contains(*next))
    })
}

/// The position of an SSH key in an identity file, from its BEGIN line to its END line.
#[derive(Default)]
struct SshText(Option<(usize, bool)>);

impl SshText {
    /// Whether the line belongs to an SSH key.
    fn takes(&mut self, index: usize, line: &str) -> bool {
        let line = line.trim();
        let of_ssh = line == "-----BEGIN OPENSSH PRIVATE KEY-----"
            || line == "-----BEGIN RSA PRIVATE KEY-----";
        match &mut self.0 {
            Some((_, ended @ false)) => *ended = line.starts_with("-----END "),
            _ if of_ssh => self.0 = Some((index, false)),
            _ => return false,
        }
        true
    }

    /// Returns the key's text and the number of its first line, after the END line has been read.
    fn whole<'a>(&self, text: &'a str) -> Option<(usize, &'a str)> {
        let (first, true) = self.0? else { return None };
        let start: usize = text.split_inclusive('\n').take(first).map(str::len).sum();
        let key = &text[start..];
        let end = key.find("-----END ").map_or(key.len(), |end| {
            key[end..].find('\n').map_or(key.len(), |line| end + line + 1)
        });
        Some((first + 1, &key[..end]))
    }

    fn is_open(&self) -> bool {
        matches!(self.0, Some((_, false)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<IdentityFile> {
        IdentityFile::from_reader(&mut text.as_bytes())
    }

    #[test]
    fn a_written_identity_is_read_back() {
        let identity = Identity::generate().unwrap();
        let text = identity.to_file_text(&[]).unwrap().expose_str(str::to_owned).unwrap();
        assert!(text.lines().nth(1).unwrap().starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(parse(&text).unwrap().identities[0].recipient(), identity.recipient());
    }

    #[test]
    fn a_typo_in_a_pin_is_an_error() {
        let key = Identity::generate()
            .unwrap()
            .to_file_text(&[])
            .unwrap()
            .expose_str(str::to_owned)
            .unwrap();
        assert!(
            parse(&format!("# about vaults\n#vault\n# the vault: x\n{key}"))
                .unwrap()
                .pins
                .is_empty()
        );
        for line in [
            "# vault: vault1abc",
            "#vault: ",
            "# vault: vault1abc and more",
            "#\tvault: x",
            "# Vault: x",
            "#vault:x",
        ] {
            assert_eq!(
                parse(&format!("{line}\n{key}")).unwrap_err().kind(),
                Kind::Malformed,
                "{line}"
            );
        }
    }

    #[test]
    fn a_vault_id_in_any_other_comment_is_an_error_that_prints_the_pin_line() {
        let access = crate::file::header::Access::new(
            "me",
            crate::file::header::Role::Writer,
            Identity::generate().unwrap().recipient(),
        );
        let vault = crate::vault::Vault::create(vec![access.unwrap()], "").unwrap();
        let id = vault.file().vault_id();
        let key = Identity::generate().unwrap().to_file_text(&[]).unwrap();
        let key = key.expose_str(str::to_owned).unwrap();
        let upper = id.to_string().to_uppercase();
        for line in [
            format!("# vault : {id}"),
            format!("## vault: {id}"),
            format!("#{id}"),
            format!("# {id}"),
            format!("#! vault: {id}"),
            format!("# pin: {id}@41"),
            format!("# the vault is {upper}."),
            format!("# public key: x vault: {id}"),
            format!("#vault={id}"),
        ] {
            let error = parse(&format!("{line}\n{key}")).unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed, "{line}");
            let help = error.help().unwrap();
            assert!(help.contains(&format!("# vault: {id}")), "{line}: {help}");
            assert!(help.contains("bootseal access pin KEYFILE"), "{line}: {help}");
        }
        let with_floor = parse(&format!("# pin: {id}@41\n{key}")).unwrap_err();
        assert!(with_floor.help().unwrap().contains(&format!("# vault: {id}@41")));
        // Words that are not a vault id, and a pin line, stay allowed.
        for line in ["# vault1 was the first", "# vault1abc", &format!("# vault: {id}@7")] {
            parse(&format!("{line}\n{key}")).unwrap();
        }
    }

    #[test]
    fn a_damaged_vault_id_in_a_comment_is_an_error_too() {
        let vault =
            format!("vault1{}", "tuawd74a8wze79cchvhygajj37vsq2hvzqtxyc8n6sncvv0vr5jsgl33j6");
        let rest = &vault[6..];
        let key = Identity::generate().unwrap().to_file_text(&[]).unwrap();
        let key = key.expose_str(str::to_owned).unwrap();
        for line in [
            format!("# x{vault}"),
            format!("# {vault}x"),
            format!("# pin: {}q", &vault[..vault.len() - 1]),
            format!("# pin: {}", &vault[..26]),
            format!("# vault1 {rest}"),
            format!("# v\u{200b}ault1{rest}"),
            format!("# vault1\u{feff}{rest}"),
            format!("# v\u{430}ult1{rest}"),
            format!("# VAULT1{}", rest.to_uppercase()),
            format!("# vault\\ {}", &vault[..30]),
            format!("#'{}-{}'", &vault[..20], &vault[20..]),
        ] {
            let error = parse(&format!("{line}\n{key}")).unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed, "{line}");
            assert!(error.help().unwrap().contains("bootseal access pin KEYFILE"), "{line}");
        }
        let recipient =
            format!("# public key: {}", Identity::generate().unwrap().recipient().unwrap());
        for line in [
            "# vault1 was the first of all our vaults, and the key of the team is here",
            "# \u{4fdd}\u{967a}\u{5eab} vault1abc",
            "# the id begins with vault1tuawd74a8",
            &recipient,
        ] {
            parse(&format!("{line}\n{key}")).unwrap();
        }
    }

    #[test]
    fn errors_name_the_kind_of_other_files_and_never_quote_them() {
        for (text, word) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", "truncated SSH key"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
                "SSH",
            ),
            ("-----BEGIN AGE ENCRYPTED FILE-----\nhunter2", "encrypted"),
            ("password=hunter2", "line 1"),
            ("", "no identity"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
        }
    }
}
