//! What opens? The private side: identity files, read onto guarded pages.

use crate::access::locked::{self, LockedKey};
#[cfg(feature = "plugin")]
use crate::access::plugin::PluginIdentity;
use crate::access::recipient::Recipient;
use crate::error::{Error, Kind, Result, Typed};
use crate::keys::derive::random;
use crate::keys::pin::Pin;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, hkdf};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use bootseal_memory::{Secret, SecretBuf};
use std::fmt;
use std::fs::File;
use std::path::Path;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

const SECRET_PREFIX: Hrp = Hrp::parse_unchecked("age-secret-key-");
const PUBLIC_PREFIX: Hrp = Hrp::parse_unchecked("age");
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
/// An identity file is a few lines; more is a mistake.
const MAX_FILE: usize = 64 * 1024;

/// What opens: an age X25519 identity whose key lies on a guarded page; an SSH key (feature `ssh`), which age keeps on the heap; or what
/// a plugin makes use of (feature `plugin`), which is run when a verified file is opened, and not before.
///
/// ```
/// let identity = bootseal_core::Identity::generate()?;
/// assert!(identity.to_string().starts_with("age1")); // the public side
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Identity(Sort);

#[derive(Clone)]
enum Sort {
    X25519(X25519),
    #[cfg(feature = "ssh")]
    Ssh(crate::access::ssh::Key),
    #[cfg(feature = "plugin")]
    Plugin(PluginIdentity),
}

#[derive(Clone)]
struct X25519 {
    key: Secret,
    public: [u8; 32],
    recipient: Recipient,
}

impl Identity {
    /// A new identity.
    ///
    /// # Errors
    /// [`Kind::Io`] without random numbers or guarded memory.
    ///
    /// ```
    /// let identity = bootseal_core::Identity::generate()?;
    /// println!("{identity}"); // the public side; the key itself is never printed
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn generate() -> Result<Identity> {
        let mut key = SecretBuf::zeroed(32)?;
        key.expose_mut(random)?;
        Ok(Identity::from_key(key.freeze()))
    }

    pub(crate) fn from_key(key: Secret) -> Identity {
        let public = key.expose(|key| PublicKey::from(&static_secret(key)).to_bytes());
        let recipient = Recipient::from_file(&bech32::encode::<Bech32>(PUBLIC_PREFIX, &public).unwrap_or_default());
        Identity(Sort::X25519(X25519 { key, public, recipient }))
    }

    #[cfg(feature = "ssh")]
    pub(crate) fn from_ssh(key: crate::access::ssh::Key) -> Identity {
        Identity(Sort::Ssh(key))
    }

    /// Parses `AGE-SECRET-KEY-1…` or `AGE-PLUGIN-NAME-1…`; the text itself lies on a guarded page already.
    fn parse(text: &str) -> Option<Result<Identity>> {
        #[cfg(feature = "plugin")]
        if let Some(plugin) = PluginIdentity::parse(text) {
            return Some(plugin.map(|plugin| Identity(Sort::Plugin(plugin))));
        }
        #[cfg(not(feature = "plugin"))]
        if text.starts_with("AGE-PLUGIN-") {
            let what = "the identity of a plugin, which takes the feature `plugin` of bootseal";
            return Some(Err(
                Error::malformed(what).with_help("Build with it, or give a key: `bootseal keygen -o FILE`.")
            ));
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
        if checked.hrp() != SECRET_PREFIX || checked.byte_iter().count() != 32 {
            return None;
        }
        let key = SecretBuf::zeroed(32).map(|mut key| {
            key.expose_mut(|key| key.iter_mut().zip(checked.byte_iter()).for_each(|(to, from)| *to = from));
            key.freeze()
        });
        Some(key.map(Identity::from_key).map_err(Error::from))
    }

    /// The public side; `None` for a plugin's identity, of which only the plugin knows it.
    ///
    /// ```
    /// use bootseal_core::{Access, Identity, Role};
    /// let alice = Identity::generate()?;
    /// let line = Access::new("alice", Role::Writer, alice.recipient())?;
    /// assert_eq!(Some(line.recipient), alice.recipient());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn recipient(&self) -> Option<Recipient> {
        match &self.0 {
            Sort::X25519(own) => Some(own.recipient.clone()),
            #[cfg(feature = "ssh")]
            Sort::Ssh(key) => Some(key.recipient.clone()),
            #[cfg(feature = "plugin")]
            Sort::Plugin(_) => None,
        }
    }

    /// Whether this may open what is wrapped to `recipient`. For a plugin's identity that is known only when it is tried: yes for each recipient of
    /// that plugin, and for `age1tag1…`.
    ///
    /// ```
    /// use bootseal_core::Identity;
    /// let (alice, bob) = (Identity::generate()?, Identity::generate()?);
    /// let recipient = alice.recipient().ok_or("no plugin's")?;
    /// assert!(alice.may_open(&recipient) && !bob.may_open(&recipient));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn may_open(&self, recipient: &Recipient) -> bool {
        match &self.0 {
            #[cfg(feature = "plugin")]
            Sort::Plugin(plugin) => plugin.may_open(recipient),
            _ => self.recipient().as_ref() == Some(recipient),
        }
    }

    /// Whether a program is run to open with it.
    ///
    /// ```
    /// assert!(!bootseal_core::Identity::generate()?.is_plugin());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn is_plugin(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "plugin")]
            Sort::Plugin(_) => true,
            _ => false,
        }
    }

    /// The same, and where its plugin may be found, if it is a plugin's.
    ///
    /// ```
    /// use bootseal_core::{Identity, Plugins};
    /// let plugins = Plugins::default().folder("/usr/bin".as_ref())?;
    /// let identity = Identity::generate()?.with_plugins(&plugins); // of no use for this one
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    #[cfg(feature = "plugin")]
    #[must_use]
    pub fn with_plugins(mut self, plugins: &crate::access::plugin::Plugins) -> Identity {
        if let Sort::Plugin(plugin) = &mut self.0 {
            plugin.plugins = plugins.clone();
        }
        self
    }

    /// The file key, where one of the stanzas is for this identity.
    pub(crate) fn file_key(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        match &self.0 {
            Sort::X25519(own) => {
                let tried = stanzas.iter().find_map(|stanza| own.unwrap_stanza(stanza));
                tried.transpose()
            }
            #[cfg(feature = "ssh")]
            Sort::Ssh(key) => key.file_key(stanzas),
            #[cfg(feature = "plugin")]
            Sort::Plugin(plugin) => plugin.file_key(stanzas),
        }
    }

    /// The identity file's text, as `age-keygen` writes it, with each of `pins` in a comment line.
    ///
    /// # Errors
    /// [`Kind::Io`] without guarded memory; [`Kind::Usage`] for an SSH key or a plugin's identity, which lie in files of their own.
    ///
    /// ```
    /// use bootseal_core::{Identity, IdentityFile};
    /// let identity = Identity::generate()?;
    /// let text = identity.to_file_text(&[])?;
    /// let again = text.expose(|mut bytes| IdentityFile::from_reader(&mut bytes))?;
    /// assert_eq!(again.identities[0].recipient(), identity.recipient());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn to_file_text(&self, pins: &[Pin]) -> Result<Secret> {
        #[cfg_attr(not(any(feature = "ssh", feature = "plugin")), allow(irrefutable_let_patterns))]
        let Sort::X25519(own) = &self.0 else {
            return Err(Error::new(Kind::Usage, "only an age identity is written to a file"));
        };
        let mut text = SecretBuf::with_capacity(512)?;
        for pin in pins {
            text.push(format!("# vault: {pin}\n").as_bytes())?;
        }
        text.push(format!("# public key: {}\n", own.recipient).as_bytes())?;
        // Bech32 by characters, straight onto the page.
        let mut line = SecretBuf::with_capacity(96)?;
        own.key.expose(|key| {
            use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
            let characters = key.iter().copied().bytes_to_fes().with_checksum::<Bech32>(&SECRET_PREFIX).chars();
            characters.into_iter().try_for_each(|character| line.push(&[character.to_ascii_uppercase() as u8]))
        })?;
        line.push(b"\n")?;
        line.expose(|line| text.push(line))?;
        Ok(text.freeze())
    }
}

/// The public side, as far as it is known: `age1yubikey1…` for a plugin's.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Sort::X25519(own) => own.recipient.fmt(f),
            #[cfg(feature = "ssh")]
            Sort::Ssh(key) => key.recipient.fmt(f),
            #[cfg(feature = "plugin")]
            Sort::Plugin(plugin) => plugin.fmt(f),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

fn static_secret(key: &[u8]) -> StaticSecret {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key);
    let secret = StaticSecret::from(bytes);
    bytes.zeroize();
    secret
}

/// The X25519 recipient type of the age specification (C2SP age.md), with the key read from its page: age's own identity keeps it on the heap.
impl X25519 {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey>> {
        let [share] = stanza.args.as_slice() else { return None };
        if stanza.tag != "X25519" {
            return None;
        }
        let share: [u8; 32] = BASE64_STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?;
        let shared = self.key.expose(|key| static_secret(key).diffie_hellman(&PublicKey::from(share)));
        if !shared.was_contributory() {
            return Some(Err(Error::malformed("what is wrapped to an X25519 recipient holds a point of small order")));
        }
        let mut salt = [0; 64];
        salt[..32].copy_from_slice(&share);
        salt[32..].copy_from_slice(&self.public);
        let mut wrapping_key = hkdf(&salt, LABEL, shared.as_bytes());
        let opened = aead_decrypt(&wrapping_key, FILE_KEY_BYTES, &stanza.body);
        wrapping_key.zeroize();
        // Not for us: another stanza may be.
        let mut bytes = opened.ok()?;
        let key = FileKey::init_with_mut(|key| key.copy_from_slice(&bytes));
        bytes.zeroize();
        Some(Ok(key))
    }
}

/// What an identity file holds: identities, and the pins that its comments carry.
///
/// ```
/// # let text = bootseal_core::Identity::generate()?.to_file_text(&[])?;
/// # text.expose(|mut source| -> bootseal_core::Result<()> {
/// let file = bootseal_core::IdentityFile::from_reader(&mut source)?;
/// for identity in &file.identities {
///     println!("opens what is sealed for {identity}");
/// }
/// # Ok(()) })?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct IdentityFile {
    /// In the order of the file.
    pub identities: Vec<Identity>,
    /// Identities and SSH keys that a passphrase locks.
    pub locked: Vec<LockedKey>,
    /// From lines `# vault: vault1…`.
    pub pins: Vec<Pin>,
}

impl IdentityFile {
    /// Reads an identity file onto a guarded page and parses it there.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none, [`Kind::Io`] where it cannot be read; [`Kind::UnsafeFile`] where others can write or read it (on a file system that is
    /// mounted read-only, as Kubernetes and systemd mount secrets, others may read); [`Kind::Malformed`] where it is no identity
    /// file, or where a comment that begins with `vault:` holds no pin.
    ///
    /// ```no_run
    /// let file = bootseal_core::IdentityFile::read("/run/secrets/bootseal.key".as_ref())?;
    /// println!("{} identities, {} pins", file.identities.len(), file.pins.len());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn read(path: &Path) -> Result<IdentityFile> {
        if Typed(&path.to_string_lossy()).is_private() {
            return Err(Error::new(Kind::Usage, "a private key stands where the name of its file was expected"));
        }
        read_page(path).and_then(|page| IdentityFile::parse(&page)).map_err(|error| error.in_file(path))
    }

    /// The same from a pipe or a descriptor; at most 64 KiB are read.
    ///
    /// # Errors
    /// As [`IdentityFile::read`], but for modes.
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

    pub(crate) fn parse(page: &SecretBuf) -> Result<IdentityFile> {
        page.expose(|bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Error::malformed("not UTF-8: this is no identity file"))?;
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
                    // A typo in a pin must not open the door, so such a comment is a pin or an error.
                    let first = words.next().unwrap_or_default();
                    if first.to_ascii_lowercase().starts_with("vault:") {
                        let pin = words.next().filter(|_| first == "vault:").and_then(|word| word.parse().ok()).filter(|_| words.next().is_none());
                        file.pins.push(pin.ok_or_else(|| place("a comment that begins with `vault:` must be `# vault: vault1…`, or `# vault: vault1…@GENERATION`"))?);
                    }
                } else if line == locked::BEGIN && public.is_some() {
                    armored = Some(format!("{line}\n"));
                } else if line.starts_with("-----BEGIN AGE") || line.starts_with("age-encryption.org/") {
                    return Err(place("an encrypted identity file that does not say whose it is").with_help(
                        "Where it is armored (age -p -a), write above it: # public key: age1… Or decrypt it with `age -d` into a pipe, and give it with `-i -`.",
                    ));
                } else if !line.is_empty() {
                    let identity = Identity::parse(line).ok_or_else(|| place("not an age identity (AGE-SECRET-KEY-1…), nor an SSH key or a plugin's"))?;
                    file.identities.push(identity?);
                }
            }
            if armored.is_some() {
                return Err(Error::malformed("holds an encrypted identity that is cut"));
            }
            if ssh.is_open() {
                return Err(Error::malformed("holds an SSH key that is cut"));
            }
            if file.is_empty() {
                return Err(Error::malformed("holds no identity").with_help("`bootseal keygen -o FILE` makes one."));
            }
            Ok(file)
        })
    }

    fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.locked.is_empty()
    }

    #[cfg(feature = "ssh")]
    fn read_ssh(&mut self, pem: &str) -> Result<()> {
        match crate::access::ssh::read(pem)? {
            Ok(identity) => self.identities.push(identity),
            Err(locked) => self.locked.push(locked),
        }
        Ok(())
    }

    #[cfg(not(feature = "ssh"))]
    fn read_ssh(&mut self, _: &str) -> Result<()> {
        Err(Error::malformed("an SSH key, which takes the feature `ssh` of bootseal").with_help(
            "`bootseal keygen -o FILE` makes an identity; a writer adds it: bootseal access add NAME RECIPIENT",
        ))
    }
}

/// Where in an identity file an SSH key stands, from its BEGIN line to its END line.
#[derive(Default)]
struct SshText(Option<(usize, bool)>);

impl SshText {
    /// Whether this line belongs to it.
    fn takes(&mut self, index: usize, line: &str) -> bool {
        let line = line.trim();
        let of_ssh = line == "-----BEGIN OPENSSH PRIVATE KEY-----" || line == "-----BEGIN RSA PRIVATE KEY-----";
        match &mut self.0 {
            Some((_, ended @ false)) => *ended = line.starts_with("-----END "),
            _ if of_ssh => self.0 = Some((index, false)),
            _ => return false,
        }
        true
    }

    /// The key's text, and the number of its first line, once it has ended.
    fn whole<'a>(&self, text: &'a str) -> Option<(usize, &'a str)> {
        let (first, true) = self.0? else { return None };
        let start: usize = text.split_inclusive('\n').take(first).map(str::len).sum();
        let key = &text[start..];
        let end = key
            .find("-----END ")
            .map_or(key.len(), |end| key[end..].find('\n').map_or(key.len(), |line| end + line + 1));
        Some((first + 1, &key[..end]))
    }

    fn is_open(&self) -> bool {
        matches!(self.0, Some((_, false)))
    }
}

/// An identity file that only its owner can read, on a guarded page.
pub(crate) fn read_page(path: &Path) -> Result<SecretBuf> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
        _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
    })?;
    check_mode(&file, path)?;
    page_from(&mut file)
}

fn page_from(source: &mut impl std::io::Read) -> Result<SecretBuf> {
    let mut page = SecretBuf::with_capacity(4096)?;
    match page.read_to_end(source, MAX_FILE) {
        Ok(true) => Ok(page),
        Ok(false) => Err(Error::malformed("longer than 64 KiB: this is no identity file")),
        Err(error) => Err(Error::new(Kind::Io, format!("cannot be read: {error}"))),
    }
}

#[cfg(unix)]
pub(crate) fn check_mode(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let meta = file.metadata().map_err(|error| Error::new(Kind::Io, format!("cannot be read: {error}")))?;
    if meta.is_dir() {
        return Err(Error::new(Kind::Io, "is a folder, not an identity file"));
    }
    if meta.file_type().is_fifo() || meta.file_type().is_char_device() || meta.file_type().is_socket() {
        return Ok(());
    }
    let mode = meta.mode() & 0o777;
    let path = crate::error::Shown(&path.to_string_lossy()).to_string();
    let refuse = |who: &str| {
        Err(Error::new(Kind::UnsafeFile, format!("a key file that others can {who} (mode {mode:04o})"))
            .with_help(format!("chmod 600 '{path}'")))
    };
    let fixed =
        rustix::fs::fstatvfs(file).is_ok_and(|system| system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if mode & 0o022 != 0 && !fixed {
        return refuse("write");
    }
    if mode & 0o044 != 0 && !fixed {
        return refuse("read");
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn check_mode(_file: &File, _path: &Path) -> Result<()> {
    // Access lists of Windows are inherited from the user's own folder, where identities lie by default.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<IdentityFile> {
        IdentityFile::from_reader(&mut text.as_bytes())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let identity = Identity::generate().unwrap();
        let text = identity.to_file_text(&[]).unwrap().expose_str(str::to_owned).unwrap();
        assert!(text.lines().nth(1).unwrap().starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(parse(&text).unwrap().identities[0].recipient(), identity.recipient());
    }

    #[test]
    fn a_typo_in_a_pin_is_an_error() {
        let key = Identity::generate().unwrap().to_file_text(&[]).unwrap().expose_str(str::to_owned).unwrap();
        assert!(parse(&format!("# about vaults\n#vault\n# the vault: x\n{key}")).unwrap().pins.is_empty());
        for line in
            ["# vault: vault1abc", "#vault: ", "# vault: vault1abc and more", "#\tvault: x", "# Vault: x", "#vault:x"]
        {
            assert_eq!(parse(&format!("{line}\n{key}")).unwrap_err().kind(), Kind::Malformed, "{line}");
        }
    }

    #[test]
    fn other_files_are_told_by_name_and_never_quoted() {
        for (text, word) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", "SSH key that is cut"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----", "SSH"),
            ("-----BEGIN AGE ENCRYPTED FILE-----\nhunter2", "encrypted"),
            ("password=hunter2", "line 1"),
            ("", "no identity"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
        }
    }
}
