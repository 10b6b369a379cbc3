//! How does an untrusted file become a trusted one? Shape, then signature and pin, then TOML; nothing is parsed before.

use crate::access::identity::Identity;
use crate::access::wrap::{open_data_key, open_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{Access, Header, Role, signature_bytes};
use crate::keys::pin::{Pin, check_floor, check_vault};
use crate::keys::signing::{VaultId, id_of, verify};
use crate::text::document::{Document, Property};
use crate::text::outline::Outline;
use crate::text::path::PropertyPath;
use crate::vault::{CanRead, CanWrite, Vault};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The most bytes that a sealed file may have: 16 MiB.
///
/// ```
/// use bootseal_core::{MAX_FILE, SealedFile};
/// assert_eq!(MAX_FILE, 16 * 1024 * 1024);
/// assert!(SealedFile::parse(vec![b' '; MAX_FILE + 1]).is_err());
/// ```
pub const MAX_FILE: usize = 16 << 20;

/// Two key blocks of 256 KiB, 256 entries of access, and room to spare.
const MAX_OWN_PART: usize = 2 << 20;

pub(crate) const RESOLVE: &str = "`bootseal resolve FILE` makes a valid file of it, from the two sides that git has.";

const EDITED: &str = "Nothing in it was used. If you changed it by hand: bootseal sign. If not, bring the last good version back (git checkout), and find out who did.";

const BRING_BACK: &str = "Bring the last good version back, from git or a backup.";

/// A file whose size, bytes and last two lines have the shape of a sealed file. It is not parsed, and nothing in it is trusted.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "")?.sign()?;
/// let file = SealedFile::parse(text.into_bytes())?;
/// println!("claims to be {}", file.claimed_vault());
/// let file = file.verify(&[])?; // only now is it known to be
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SealedFile {
    text: String,
    /// Where `signature = ` begins.
    signed: usize,
    vault: VaultId,
    signature: [u8; 64],
    file: Option<PathBuf>,
}

impl SealedFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be read or is no regular file, [`Kind::NotFound`] where there is none, and what
    /// [`SealedFile::parse`] says.
    ///
    /// ```
    /// use bootseal_core::{Kind, SealedFile};
    /// let error = SealedFile::read("/nonexistent.sealed.toml".as_ref()).unwrap_err();
    /// assert_eq!(error.kind(), Kind::NotFound);
    /// ```
    pub fn read(path: &Path) -> Result<SealedFile> {
        let open = open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file")
                .with_help("`bootseal init` makes an empty vault, `bootseal seal INPUT` one from a settings file."),
            _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
        });
        let file = open.and_then(|mut open| SealedFile::from_open(&mut open)).map_err(|error| error.in_file(path))?;
        Ok(file.at(path))
    }

    pub(crate) fn at(self, path: &Path) -> SealedFile {
        SealedFile { file: Some(path.to_path_buf()), ..self }
    }

    pub(crate) fn from_open(open: &mut File) -> Result<SealedFile> {
        SealedFile::parse(bytes_of(open)?)
    }

    /// Checks size, bytes and the shape of the last two lines.
    ///
    /// CR LF becomes LF and a missing last newline is added, here and once; only this text is looked at from then on.
    ///
    /// # Errors
    /// [`Kind::Malformed`], each time with the reason.
    ///
    /// ```
    /// use bootseal_core::{Kind, SealedFile};
    /// let error = SealedFile::parse(b"\xEF\xBB\xBF[a]\n".to_vec()).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Malformed);
    /// assert!(error.to_string().contains("byte order mark"));
    /// ```
    pub fn parse(bytes: Vec<u8>) -> Result<SealedFile> {
        SealedFile::parse_shape(bytes).map_err(|error| error.or_help(BRING_BACK))
    }

    fn parse_shape(bytes: Vec<u8>) -> Result<SealedFile> {
        let text = text_of(bytes)?;
        let unsealed = || {
            if conflict_marker(&text).is_some() {
                return Error::malformed("holds the markers of a merge that git could not do").with_help(RESOLVE);
            }
            Error::malformed("not a sealed file: its last two lines are not `vault = \"…\"` and `signature = \"…\"`")
                .with_help("A settings file in clear becomes one by `bootseal seal`; a cut or edited one is brought back from git.")
        };
        let signed = text[..text.len() - 1].rfind('\n').ok_or_else(unsealed)? + 1;
        let vault_line = text[..signed - 1].rfind('\n').map_or(0, |newline| newline + 1);
        let quoted = |line: &str, key: &str| {
            Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix("\"\n")?.to_owned())
        };
        let vault = quoted(&text[vault_line..signed], "vault").ok_or_else(unsealed)?;
        let signature = quoted(&text[signed..], "signature").ok_or_else(unsealed)?;
        let vault = vault.parse().map_err(|error: Error| error.at_offset(&text, vault_line))?;
        let signature = signature_bytes(&signature).ok_or_else(|| {
            Error::malformed("the signature is not 64 bytes in canonical base64url").at_offset(&text, signed)
        })?;
        Ok(SealedFile { text, signed, vault, signature, file: None })
    }

    /// The id that the file claims; [`SealedFile::verify`] finds out whether it may.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// let file = SealedFile::parse(text.into_bytes())?;
    /// let claimed = file.claimed_vault();
    /// assert_eq!(file.verify(&[])?.vault_id(), claimed);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn claimed_vault(&self) -> VaultId {
        self.vault
    }

    /// Verifies the signature, under one of `pins` where there are any, then parses.
    ///
    /// # Errors
    /// [`Kind::Forged`] where the signature does not hold; [`Kind::WrongVault`] and [`Kind::OldGeneration`] where a pin says so;
    /// [`Kind::Malformed`] where the signed text is no sealed file by the rules of format 1.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "user = \"bob\"\n")?.sign()?;
    /// let forged = text.replace("bob", "eve");
    /// let error = SealedFile::parse(forged.into_bytes())?.verify(&[]).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Forged);
    /// let file = SealedFile::parse(text.into_bytes())?;
    /// let pin = Pin::from(file.claimed_vault()); // as a rule it comes from elsewhere: a setting, a key file
    /// assert_eq!(file.verify(&[pin])?.trust(), Trust::Pinned);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn verify(self, pins: &[Pin]) -> Result<VerifiedFile> {
        self.verify_signature()?.under(pins)
    }

    /// Verifies the signature alone: the text was signed by the vault that it claims to be. A caller with several keys, each with its
    /// own pins, verifies once and then asks [`SignedFile::under`] for each.
    ///
    /// # Errors
    /// [`Kind::Forged`] when the signature does not hold.
    pub fn verify_signature(self) -> Result<SignedFile> {
        let held = verify(&self.vault, &self.text[..self.signed], &self.signature);
        held.map_err(|error| {
            let help = if conflict_marker(&self.text).is_some() { RESOLVE } else { EDITED };
            placed(error.with_help(help), self.file.as_deref())
        })?;
        Ok(SignedFile(self))
    }

    fn check_pins(self, pins: &[Pin]) -> Result<VerifiedFile> {
        let Err(foreign) = check_vault(pins, &self.vault) else { return self.read_verified(pins) };
        // Another id than the pinned one: only an unbroken handover from there, inside this very text, makes it the same vault.
        // Anyone may have signed it, so no more of it is parsed than the chain needs.
        let handed_over = self.own_part().and_then(|own| Outline::bounds(own).and_then(|_| Header::parse(own)).ok());
        if !handed_over.is_some_and(|header| pins.iter().any(|pin| header.continues(&pin.vault))) {
            return Err(foreign);
        }
        let claimed = self.vault.into();
        let Ok(mut file) = self.read_verified(&[claimed]) else { return Err(foreign) };
        let continued = pins.iter().filter(|pin| file.header.continues(&pin.vault));
        let Some(old) = continued.max_by_key(|pin| pin.floor) else { return Err(foreign) };
        check_floor(&[Pin { vault: file.header.vault, floor: old.floor }], &file.header.vault, file.header.generation)?;
        file.handed_over_from = Some(old.vault);
        Ok(file)
    }

    /// What looks like the table `[bootseal]`, by its line alone; bounded, since its parts are.
    fn own_part(&self) -> Option<&str> {
        let start = self.text.rfind("\n[bootseal]\n").map_or(0, |newline| newline + 1);
        Some(&self.text[start..]).filter(|own| own.starts_with("[bootseal]\n") && own.len() <= MAX_OWN_PART)
    }

    fn read_verified(self, pins: &[Pin]) -> Result<VerifiedFile> {
        let trust = if pins.is_empty() { Trust::Unverified } else { Trust::Pinned };

        let outline = Outline::bounds(&self.text)?;
        let misplaced = || {
            Error::malformed(
                "the table `[bootseal]` must stand once, in a plain line of its own, as the last table of the file",
            )
        };
        let last = outline
            .sections
            .last()
            .filter(|section| section.path == ["bootseal"] && !section.array)
            .ok_or_else(misplaced)?;
        if !self.text[last.start..].starts_with("[bootseal]\n") {
            return Err(misplaced());
        }
        let (user, own) = self.text.split_at(last.start);
        let header = Header::parse(own).map_err(|error| error.below(user.matches('\n').count()))?;
        if header.vault != self.vault {
            return Err(misplaced());
        }
        let document = Document::parse_bounded(user.to_owned())?;
        check_floor(pins, &self.vault, header.generation)?;
        Ok(VerifiedFile { document, own: own.to_owned(), header, trust, handed_over_from: None, file: self.file })
    }
}

fn placed(error: Error, file: Option<&Path>) -> Error {
    let error = if error.kind() == Kind::Malformed { error.or_help(BRING_BACK) } else { error };
    match file {
        Some(path) => error.in_file(path),
        None => error,
    }
}

/// A sealed file whose signature holds. Whose vault it is, and whether that one was meant, is not checked yet.
#[derive(Clone, Debug)]
pub struct SignedFile(SealedFile);

impl SignedFile {
    /// Checks the vault under one of `pins`, if there are any, then parses.
    ///
    /// # Errors
    /// Those of [`SealedFile::verify`], but [`Kind::Forged`].
    pub fn under(self, pins: &[Pin]) -> Result<VerifiedFile> {
        let file = self.0.file.clone();
        self.0.check_pins(pins).map_err(|error| placed(error, file.as_deref()))
    }
}

/// The one text that is hashed and parsed: LF ends every line, the last one too.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String> {
    if bytes.len() > MAX_FILE {
        return Err(Error::malformed("larger than 16 MiB, the most that a sealed file may have"));
    }
    if bytes.is_empty() {
        return Err(Error::malformed("the file is empty")
            .with_help("Bring it back from git or a backup, or make a new vault: bootseal init"));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error::malformed("begins with a byte order mark").with_help("Save it as UTF-8 without one."));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::malformed(format!("line {line} is not UTF-8"))
    })?;
    if let Some(at) = text.find('\0') {
        return Err(Error::malformed("holds a NUL byte").at_offset(&text, at));
    }
    let mut text = if text.contains('\r') { text.replace("\r\n", "\n") } else { text };
    if let Some(at) = text.find('\r') {
        return Err(Error::malformed("holds a carriage return that no line feed follows").at_offset(&text, at));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Where the first marker of a merge that git could not do stands.
pub(crate) fn conflict_marker(text: &str) -> Option<usize> {
    let mut at = 0;
    text.split_inclusive('\n').find_map(|line| {
        let start = at;
        at += line.len();
        (line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")).then_some(start)
    })
}

/// All of a regular file, or one byte more than a sealed file may have.
pub(crate) fn bytes_of(open: &mut File) -> Result<Vec<u8>> {
    use std::io::Read;
    let failed = |error: std::io::Error| Error::new(Kind::Io, format!("cannot be read: {error}"));
    let meta = open.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::new(Kind::Io, "is not a regular file"));
    }
    let expected = usize::try_from(meta.len()).unwrap_or(usize::MAX).min(MAX_FILE);
    let mut bytes = Vec::with_capacity(expected + 1);
    open.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Does not wait for a writer where a pipe lies in the file's place; what was opened is looked at before it is read.
#[cfg(unix)]
pub(crate) fn open(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?.into())
}

#[cfg(not(unix))]
pub(crate) fn open(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// Why a verified file is trusted to be the one that is meant.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "")?.sign()?;
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// assert_eq!(file.trust(), Trust::Unverified); // authentic, but of whom?
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// It carries an id that someone insisted on.
    Pinned,
    /// It carries the id that was known for this file.
    Remembered,
    /// Someone was asked, and said yes.
    FirstUse,
    /// Nothing says that it is the right one: anyone may have made it.
    Unverified,
}

/// A file whose signature holds and whose text keeps the rules: names, readable values and the access list may be used.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "[acme]\nuser = \"bob\"\n")?.sign()?;
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// println!("{}, generation {}, opens for {}", file.vault_id(), file.generation(), file.who());
/// for (path, property) in file.properties() {
///     println!("{path} is {}", if matches!(property, Property::Sealed(_)) { "sealed" } else { "readable" });
/// }
/// let vault = file.open(&[alice])?; // and now values can be opened
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct VerifiedFile {
    pub(crate) document: Document,
    /// The text of `[bootseal]`, to the end of the file.
    pub(crate) own: String,
    pub(crate) header: Header,
    pub(crate) trust: Trust,
    pub(crate) handed_over_from: Option<VaultId>,
    pub(crate) file: Option<PathBuf>,
}

impl std::fmt::Debug for VerifiedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifiedFile({}, generation {}, {:?})", self.header.vault, self.header.generation, self.trust)
    }
}

impl VerifiedFile {
    /// The vault's id: the public key under which the signature holds.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let pin = Pin::from(file.vault_id());
    /// assert_eq!(pin.to_string(), file.vault_id().to_string());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn vault_id(&self) -> VaultId {
        self.header.vault
    }

    /// Counts the writes of this file, from 1.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// assert_eq!(file.generation(), 1);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn generation(&self) -> u64 {
        self.header.generation
    }

    /// Counts the data keys of this vault, from 1.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// assert_eq!(file.epoch(), 1);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// The text of the file.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let access = vec![Access::new("alice", Role::Writer, Identity::generate()?.recipient())?];
    /// # let text = Vault::create(access, "timeout = \"10s\"\n")?.sign()?;
    /// let file = SealedFile::parse(text.clone().into_bytes())?.verify(&[])?;
    /// assert_eq!(file.text(), text);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn text(&self) -> String {
        [self.document.text(), &self.own].concat()
    }

    /// The SHA-256 of the text that is signed.
    pub(crate) fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let signed = self.own.rfind("signature = ").unwrap_or(self.own.len());
        Sha256::new().chain_update(self.document.text()).chain_update(&self.own[..signed]).finalize().into()
    }

    /// Who may read or write, in the order of the file.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let writers = file.access().iter().filter(|access| access.role == Role::Writer);
    /// assert_eq!(writers.count(), 1);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn access(&self) -> &[Access] {
        &self.header.access
    }

    /// "alice, bob (writers), web1": for messages.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// println!("It opens for: {}.", file.who());
    /// # assert!(file.who().contains("alice"));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn who(&self) -> String {
        self.header.who()
    }

    /// How the file is trusted.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// if file.trust() == Trust::Unverified {
    ///     eprintln!("pin it: BOOTSEAL_PIN={}", file.vault_id());
    /// }
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// The pinned id that handed the vault over to its present one: the pin is old, and should be renewed. `None` where no pin was
    /// needed, or where it is that of the present id.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// if let Some(old) = file.handed_over_from() {
    ///     eprintln!("the pin {old} is old; the vault is {} now", file.vault_id());
    /// }
    /// # assert!(file.handed_over_from().is_none());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn handed_over_from(&self) -> Option<VaultId> {
        self.handed_over_from
    }

    /// The ids that this vault had before, handed over one to the next, the oldest first.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// assert!(file.former_ids().is_empty()); // it was never handed over
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn former_ids(&self) -> Vec<VaultId> {
        self.header.former_ids()
    }

    /// Says that something outside the file, a memory or a person, vouches for it. A file that is
    /// trusted already keeps the trust that it has.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let mut file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// file.trusted_by(Trust::FirstUse); // someone was asked, and said yes
    /// assert_eq!(file.trust(), Trust::FirstUse);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn trusted_by(&mut self, trust: Trust) {
        if self.trust == Trust::Unverified {
            self.trust = trust;
        }
    }

    /// Where the file was read, as it was asked for; `None` for a text in memory.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// assert!(file.path().is_none()); // it was parsed from memory
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// All properties, in the order of the file; a sealed one is its ciphertext.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "[acme]\nuser = \"bob\"\n")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let names: Vec<_> = file.properties().map(|(path, _)| path.to_string()).collect();
    /// assert_eq!(names, ["acme.user"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn properties(&self) -> impl Iterator<Item = (&PropertyPath, &Property)> {
        self.document.iter()
    }

    /// The paths of tables that hold nothing.
    pub(crate) fn empty_tables(&self) -> &[Vec<String>] {
        self.document.empty()
    }

    /// One property; `None` where there is none of that name, as for a table.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "[acme]\nuser = \"bob\"\n")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let user = file.property(&"acme.user".parse()?);
    /// assert_eq!(user, Some(&Property::Readable("bob".into())));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn property(&self, path: &PropertyPath) -> Option<&Property> {
        self.document.get(path)
    }

    /// The names of those who were removed and knew a value that was given at `set_at`, in seconds since 1970-01-01 UTC.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let set_at = 1_700_000_000; // of an opened value
    /// assert!(file.known_to(set_at).is_empty()); // nobody was removed
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn known_to(&self, set_at: u64) -> Vec<&str> {
        self.header.removed.iter().filter(|removed| set_at <= removed.at).map(|removed| removed.name.as_str()).collect()
    }

    /// What the access list says of these identities: the greatest right that one of them has; `None` where it names none of them.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// assert_eq!(file.role_of(&[alice]), Some(Role::Writer));
    /// assert_eq!(file.role_of(&[Identity::generate()?]), None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn role_of(&self, identities: &[Identity]) -> Option<Role> {
        let may = |access: &&Access| identities.iter().any(|identity| identity.may_open(&access.recipient));
        let roles = self.header.access.iter().filter(may).map(|access| access.role);
        roles.fold(None, |best, role| if best == Some(Role::Writer) { best } else { Some(role) })
    }

    /// Opens the data key: values can be opened from then on.
    ///
    /// # Errors
    /// [`Kind::NoIdentity`] where none of `identities` opens it, with who can; [`Kind::Malformed`] where a key block is broken.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let vault = file.open(&[alice])?;
    /// assert!(vault.open_all()?.is_empty());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn open(self, identities: &[Identity]) -> Result<Vault<CanRead>> {
        match open_data_key(&self.header.read_key, &self.wanted(identities)) {
            Ok(Some(key)) => Vault::for_reader(self, key),
            Ok(None) => Err(self.none_of(identities)),
            Err(error) => Err(self.placed(error)),
        }
    }

    /// Opens the signing seed and the data key: values can also be sealed, and the file signed.
    ///
    /// # Errors
    /// As [`VerifiedFile::open`], [`Kind::NoIdentity`] also for who may only read; [`Kind::Malformed`] where the seed is not that of the vault's id.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let mut vault = file.open_for_writing(&[alice])?;
    /// vault.set_readable(&"timeout".parse()?, &"10s".into())?;
    /// let text = vault.sign()?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn open_for_writing(self, identities: &[Identity]) -> Result<Vault<CanWrite>> {
        match open_writer_keys(&self.header.write_key, &self.wanted(identities)) {
            Ok(Some((seed, key))) if id_of(&seed) == self.header.vault => Vault::for_writer(self, seed, key),
            Ok(Some(_)) => {
                Err(self.placed(Error::malformed("`write_key` does not hold the signing seed of this vault")))
            }
            Ok(None) if self.role_of(identities) == Some(Role::Reader) => {
                let error = Error::new(Kind::NoIdentity, "this identity may read, not write")
                    .with_help(format!("Writers: {}.", self.header.writers()));
                Err(self.placed(error))
            }
            Ok(None) => Err(self.none_of(identities)),
            Err(error) => Err(self.placed(error)),
        }
    }

    /// No program is run for a file that has nobody of its plugin in access.
    fn wanted(&self, identities: &[Identity]) -> Vec<Identity> {
        let wanted =
            |identity: &&Identity| !identity.is_plugin() || self.role_of(std::slice::from_ref(*identity)).is_some();
        identities.iter().filter(wanted).cloned().collect()
    }

    /// The same, and where plugins may be found that wrap its keys for those in access whose recipients are a plugin's.
    ///
    /// ```
    /// # use bootseal_core::{Access, Identity, Role, Vault};
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?.into_bytes();
    /// use bootseal_core::{Plugins, SealedFile};
    /// let plugins = Plugins::default().folder("/usr/bin".as_ref())?;
    /// let file = SealedFile::parse(text)?.verify(&[])?.with_plugins(&plugins);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    #[cfg(feature = "plugin")]
    #[must_use]
    pub fn with_plugins(mut self, plugins: &crate::access::plugin::Plugins) -> VerifiedFile {
        for access in &mut self.header.access {
            access.recipient = access.recipient.clone().with_plugins(plugins);
        }
        self
    }

    fn none_of(&self, identities: &[Identity]) -> Error {
        let tried: Vec<String> = identities.iter().map(Identity::to_string).collect();
        self.no_identity(&if tried.is_empty() { "nothing".into() } else { tried.join(", ") })
    }

    /// The error of [`VerifiedFile::open`] where no identity does: for a caller that knows where it looked for one, and says so with `tried`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let error = file.no_identity("APP_KEY (unset)");
    /// assert_eq!(error.kind(), Kind::NoIdentity);
    /// assert!(error.what().ends_with("Tried: APP_KEY (unset)"));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn no_identity(&self, tried: &str) -> Error {
        let what = format!(
            "no key opens this file ({}, generation {}). Tried: {tried}",
            self.header.vault, self.header.generation
        );
        let passphrases = self.passphrase_help();
        self.placed(Error::new(Kind::NoIdentity, what).with_help(format!(
            "It opens for: {}.{passphrases} On a writer's machine: bootseal access add NAME RECIPIENT",
            self.header.who()
        )))
    }

    fn placed(&self, error: Error) -> Error {
        match &self.file {
            Some(path) => error.in_file(path),
            None => error,
        }
    }
}
