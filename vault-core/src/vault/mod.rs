//! What can someone do who opened the file? Readers open values; writers also seal them and sign the file.

pub(crate) mod members;
pub(crate) mod value;

use crate::access::identity::Identity;
use crate::access::wrap::{open_data_key, wrap_data_key, wrap_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{self, Access, Header, MAX_COUNT, MAX_HISTORY, Role};
use crate::file::sealed::{MAX_FILE, SealedFile, Trust, VerifiedFile};
use crate::keys::derive::{CredentialKey, DataKey, SigningSeed, ValueKey};
use crate::keys::pin::Pin;
use crate::keys::signing::{id_of, sign};
use crate::text::document::{Document, Property, quoted, refuse_newer_toml, value_text};
use crate::text::path::PropertyPath;
use crate::vault::value::{OpenedValue, ValueKind};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_memory::Secret;
use std::collections::HashMap;

/// The right to open values.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "")?.sign()?;
/// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// let vault: Vault<CanRead> = file.open(&[alice])?;
/// assert!(vault.open_all()?.is_empty());
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct CanRead {
    credential: CredentialKey,
}

/// The right to seal values and to sign the file.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "")?.sign()?;
/// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// let vault: Vault<CanWrite> = file.open_for_writing(&[alice])?;
/// let next_generation = vault.sign()?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct CanWrite {
    pub(crate) seed: SigningSeed,
    pub(crate) data_key: DataKey,
}

/// An opened vault. `Vault<CanRead>` opens values; `Vault<CanWrite>` also changes them.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "[acme]\nuser = \"bob\"\n")?.sign()?;
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// let mut vault = file.open_for_writing(&[alice.clone()])?;
/// let path = "acme.password".parse()?;
/// vault.set(&path, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
///
/// let vault = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?.open(&[alice])?;
/// assert_eq!(vault.open(&path)?.secret.len(), 7);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct Vault<Mode> {
    pub(crate) file: VerifiedFile,
    pub(crate) key: ValueKey,
    pub(crate) mode: Mode,
}

impl<Mode> std::fmt::Debug for Vault<Mode> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({:?})", self.file)
    }
}

impl Vault<CanRead> {
    /// What tells whether two logins are made with the same credentials. See the example of [`CredentialKey`].
    pub fn credential_key(&self) -> &CredentialKey {
        &self.mode.credential
    }

    pub(crate) fn for_reader(file: VerifiedFile, key: DataKey) -> Result<Vault<CanRead>> {
        // The data key is dropped, and so wiped, here: opening values takes the value key only.
        let mode = CanRead { credential: key.credential_key(&file.vault_id())? };
        Ok(Vault { key: key.value_key(&file.vault_id())?, file, mode })
    }
}

impl<Mode> Vault<Mode> {
    /// The verified file.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let vault = file.open(&[alice])?;
    /// println!("{}, generation {}", vault.file().vault_id(), vault.file().generation());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn file(&self) -> &VerifiedFile {
        &self.file
    }

    /// The verified file alone; the keys are wiped.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let vault = file.open(&[alice])?;
    /// let values = vault.open_all()?;
    /// let file = vault.into_file(); // nothing more can be opened
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn into_file(self) -> VerifiedFile {
        self.file
    }

    /// Opens one value, in place on a guarded page.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such property (with near names), [`Kind::Conflict`] where it is readable, so that
    /// nobody takes for a secret what everybody can read; [`Kind::MovedValue`] and [`Kind::Malformed`] where it does not open.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// # vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
    /// # let vault = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?.open(&[alice])?;
    /// let password = vault.open(&"acme.password".parse()?)?.secret;
    /// assert_eq!(password.len(), 7);
    /// assert_eq!(vault.open(&"timeout".parse()?).unwrap_err().kind(), Kind::Conflict); // readable
    /// assert_eq!(vault.open(&"acme.pasword".parse()?).unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn open(&self, path: &PropertyPath) -> Result<OpenedValue> {
        let opened = match self.file.document.get(path) {
            Some(Property::Sealed(sealed)) => value::open(&self.key, &self.file.vault_id(), path, sealed),
            Some(Property::Readable(_)) => {
                Err(Error::new(Kind::Conflict, "this property is readable, not sealed; a secret was asked for")
                    .at(path)
                    .with_help(format!("Seal it: bootseal set {path}")))
            }
            None => Err(self.file.not_found(path)),
        };
        opened.map_err(|error| self.placed(error))
    }

    /// Opens every sealed value, in the order of the file.
    ///
    /// # Errors
    /// That of the first value that does not open, as [`Vault::open`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// # vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
    /// # let vault = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?.open(&[alice])?;
    /// for (path, value) in vault.open_all()? {
    ///     println!("{path}: {} bytes", value.secret.len());
    /// }
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn open_all(&self) -> Result<Vec<(PropertyPath, OpenedValue)>> {
        let sealed = self.file.properties().filter(|(_, property)| matches!(property, Property::Sealed(_)));
        sealed.map(|(path, _)| Ok((path.clone(), self.open(path)?))).collect()
    }

    pub(crate) fn placed(&self, error: Error) -> Error {
        match self.file.path() {
            Some(path) => error.in_file(path),
            None => error,
        }
    }
}

impl VerifiedFile {
    /// The error for a property that is not there, with the names that are near. Its kind is [`Kind::NotFound`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "[acme]\nuser = \"bob\"\n")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let error = file.not_found(&"acme.usr".parse()?);
    /// assert!(error.help().is_some_and(|help| help.contains("acme.user")));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn not_found(&self, path: &PropertyPath) -> Error {
        let asked = path.to_string();
        let mut near: Vec<(f64, String)> = self
            .properties()
            .map(|(known, _)| known.to_string())
            .map(|known| (strsim::jaro_winkler(&known, &asked), known))
            .filter(|(score, _)| *score > 0.85)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let error = Error::new(Kind::NotFound, "no such property").at(path);
        let error = if self.document.is_table(path.segments()) {
            error.with_help(format!("It is a table. `bootseal list {path}` shows what it holds."))
        } else if near.is_empty() {
            error.with_help("`bootseal list` shows all names.")
        } else {
            let near: Vec<String> = near.into_iter().take(3).map(|(_, name)| name).collect();
            error.with_help(format!("Did you mean {}?", near.join(", or ")))
        };
        match self.path() {
            Some(file) => error.in_file(file),
            None => error,
        }
    }
}

impl Vault<CanWrite> {
    pub(crate) fn for_writer(file: VerifiedFile, seed: SigningSeed, data_key: DataKey) -> Result<Vault<CanWrite>> {
        Ok(Vault { key: data_key.value_key(&file.vault_id())?, file, mode: CanWrite { seed, data_key } })
    }

    /// A new vault for `access`, with `text` as its readable part. It has generation 1 once it is signed.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where `text` is not TOML that may be signed, or `access` breaks a rule of the format;
    /// [`Kind::Usage`] where a recipient cannot be wrapped to; [`Kind::Io`] without random numbers or guarded memory.
    ///
    /// ```
    /// use bootseal_core::{Access, Identity, Role, Secret, SealedFile, ValueKind, Vault};
    ///
    /// let alice = Identity::generate()?;
    /// let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// let mut vault = Vault::create(access, "[acme]\nuser = \"bob\"\n")?;
    /// let path = "acme.password".parse()?;
    /// vault.set(&path, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
    /// let text = vault.sign()?;
    ///
    /// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let opened = file.open(&[alice])?.open(&path)?;
    /// assert!(opened.secret.expose(|bytes| bytes == b"hunter2"));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn create(access: Vec<Access>, text: &str) -> Result<Vault<CanWrite>> {
        let (seed, data_key) = (SigningSeed::generate()?, DataKey::generate()?);
        let vault = id_of(&seed);
        let mut header = Header {
            generation: 0,
            epoch: 1,
            access,
            removed: Vec::new(),
            handover: Vec::new(),
            read_key: String::new(),
            write_key: String::new(),
            vault,
        };
        header.read_key = wrap_data_key(&data_key, &header::recipients(&header.access, None))?;
        header.write_key = wrap_writer_keys(&seed, &data_key, &header::recipients(&header.access, Some(Role::Writer)))?;
        let document = Document::parse(with_final_newline(text))?;
        // Of whatever vault it is, it would not open in this one.
        if let Some((path, _)) = document.iter().find(|(_, property)| matches!(property, Property::Sealed(_))) {
            return Err(Error::malformed("is sealed already; a new vault begins with readable text").at(path));
        }
        let file = VerifiedFile {
            document,
            own: header.to_text(),
            header,
            trust: Trust::FirstUse,
            handed_over_from: None,
            file: None,
        };
        Vault::for_writer(file, seed, data_key)
    }

    /// Seals `value` as the property `path`, new or in place of what it was; `now` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`Kind::Conflict`] where the name is a table, or a value stands where a table is needed; [`Kind::Malformed`] where the
    /// bytes are not of `kind`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// let now = 1_700_000_000;
    /// vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, now)?;
    /// let error = vault.set(&"acme".parse()?, ValueKind::Text, &Secret::copy_of(b"x")?, now).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Conflict); // `acme` is a table
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set(&mut self, path: &PropertyPath, kind: ValueKind, value: &Secret, now: u64) -> Result<()> {
        let sealed = self.seal(path, kind, value, now)?;
        self.replace_text(self.file.document.with(path, &quoted(&sealed))?)
    }

    /// The same with a time of its own, which no removal raises.
    pub(crate) fn set_as_of(
        &mut self,
        path: &PropertyPath,
        kind: ValueKind,
        value: &Secret,
        set_at: u64,
    ) -> Result<()> {
        let sealed = value::seal(&self.key, &self.file.vault_id(), path, kind, set_at, value)?;
        self.replace_text(self.file.document.with(path, &quoted(&sealed))?)
    }

    /// Seals many properties at once, new ones or in place of what they were; `now` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// As [`Vault::set`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "user = \"\"\npassword = \"\"\n")?;
    /// let sealed = vec![
    ///     ("user".parse()?, ValueKind::Text, Secret::copy_of(b"bob")?),
    ///     ("password".parse()?, ValueKind::Text, Secret::copy_of(b"hunter2")?),
    /// ];
    /// vault.set_all(&sealed, 1_700_000_000)?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set_all(&mut self, values: &[(PropertyPath, ValueKind, Secret)], now: u64) -> Result<()> {
        let (mut changes, mut new) = (HashMap::with_capacity(values.len()), Vec::new());
        for (path, kind, value) in values {
            let text = quoted(&self.seal(path, *kind, value, now)?);
            match self.file.document.get(path) {
                Some(_) => drop(changes.insert(path.clone(), text)),
                None => new.push((path, text)),
            }
        }
        let document = Document::parse(self.file.document.with_all(&changes)?)?;
        let new: Vec<(&PropertyPath, &str)> = new.iter().map(|(path, text)| (*path, text.as_str())).collect();
        self.replace_text(document.with_new(&new)?)
    }

    /// Sets the property `path` to `value`, which everybody can read; new or in place of what it was.
    ///
    /// # Errors
    /// As [`Vault::set`]; [`Kind::Conflict`] also for text that begins with `sealed:` or `secret:`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// vault.set_readable(&"timeout".parse()?, &"30s".into())?;
    /// vault.set_readable(&"acme.port".parse()?, &443.into())?;
    /// let error = vault.set_readable(&"acme.key".parse()?, &"secret:hunter2".into()).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Conflict);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set_readable(&mut self, path: &PropertyPath, value: &toml::Value) -> Result<()> {
        if crate::text::plain::mentions(value) {
            let what = "a readable value may not begin with `sealed:` or `secret:`";
            return Err(Error::new(Kind::Conflict, what).at(path).with_help(format!("Seal it: bootseal set {path}")));
        }
        self.replace_text(self.file.document.with(path, &value_text(value))?)
    }

    /// Adds readable properties, written as TOML, behind all that is there: their layout is kept.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where it is no TOML; [`Kind::Conflict`] where a value would have to be sealed, or where the file has such a
    /// table already, and TOML does not let it be opened again.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// vault.append("[acme.login]\nurl = \"https://acme.example\"\nbasic = true\n")?;
    /// assert_eq!(vault.file().properties().count(), 3);
    /// assert_eq!(vault.append("[acme.login]\nmethod = \"PUT\"\n").unwrap_err().kind(), Kind::Conflict);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn append(&mut self, text: &str) -> Result<()> {
        let new = crate::text::plain::PlainDocument::parse(text.to_owned())?;
        if let Some(secret) = new.properties().iter().find(|property| crate::text::plain::mentions(&property.value)) {
            let what = "a readable value may not begin with `sealed:` or `secret:`";
            return Err(Error::new(Kind::Conflict, what).at(&secret.path));
        }
        let before = self.file.document.text();
        let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
        let whole = Document::parse(format!("{before}{gap}{text}")).ok();
        let count = self.file.document.iter().count() + new.properties().len();
        let whole = whole.filter(|whole| {
            whole.iter().count() == count
                && self.file.document.iter().all(|(path, property)| whole.get(path) == Some(property))
        });
        self.file.document = whole.ok_or_else(|| {
            Error::new(Kind::Conflict, "the file has such a table already, which cannot be opened a second time")
        })?;
        Ok(())
    }

    /// Takes a property out of the file; comments above it stay.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none, with near names; [`Kind::Conflict`] where it cannot be taken out alone, as one of
    /// `[[blocks]]`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// let mut vault = Vault::create(access, "timeout = \"10s\"\nretries = 3\n")?;
    /// vault.unset(&"retries".parse()?)?;
    /// assert_eq!(vault.file().properties().count(), 1);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn unset(&mut self, path: &PropertyPath) -> Result<()> {
        if self.file.property(path).is_none() {
            return Err(self.file.not_found(path));
        }
        self.replace_text(self.file.document.without(path)?)
    }

    /// Gives the property `old` the name `new`. A sealed value keeps the time at which it was given.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no `old`; [`Kind::Exists`] where there is a `new`, unless `replace`; [`Kind::Conflict`] where
    /// the tables of the file have no place for it; those of [`Vault::open`] for a sealed value.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// let mut vault = Vault::create(access, "timeout = \"10s\" # of a call\n")?;
    /// vault.rename(&"timeout".parse()?, &"call_timeout".parse()?, false)?;
    /// assert!(vault.file().property(&"call_timeout".parse()?).is_some());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn rename(&mut self, old: &PropertyPath, new: &PropertyPath, replace: bool) -> Result<()> {
        let value = match self.file.property(old) {
            None => return Err(self.file.not_found(old)),
            Some(_) if old == new => return Ok(()),
            Some(Property::Sealed(_)) => {
                let opened = self.open(old)?;
                quoted(&value::seal(&self.key, &self.file.vault_id(), new, opened.kind, opened.set_at, &opened.secret)?)
            }
            Some(Property::Readable(_)) => self.file.document.raw_value(old).unwrap_or_default().to_owned(),
        };
        if self.file.property(new).is_some() {
            if !replace {
                return Err(Error::new(Kind::Exists, "there is a property of that name already").at(new));
            }
            self.unset(new)?;
        }
        self.replace_text(self.file.document.renamed(old, new, &value)?)
    }

    pub(crate) fn seal(&self, path: &PropertyPath, kind: ValueKind, value: &Secret, now: u64) -> Result<String> {
        // A value that is given anew is younger than every removal, or it would stay marked as known to who was removed.
        let last_removal = self.file.header.removed.iter().map(|removed| removed.at + 1).max();
        let set_at = last_removal.map_or(now, |at| at.max(now));
        value::seal(&self.key, &self.file.vault_id(), path, kind, set_at, value)
    }

    pub(crate) fn replace_text(&mut self, text: String) -> Result<()> {
        self.file.document = Document::parse(text)?;
        Ok(())
    }

    /// Whether both key blocks hold the same data key, as they must: asked by `verify` with a writer's identity.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where they do not, or where none of `identities` opens the readers' block.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let vault = file.open_for_writing(&[alice.clone()])?;
    /// vault.check_key_blocks(&[alice])?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn check_key_blocks(&self, identities: &[Identity]) -> Result<()> {
        let same = open_data_key(&self.file.header.read_key, identities)?
            .is_some_and(|key| key.0.same_as(&self.mode.data_key.0));
        if same {
            Ok(())
        } else {
            Err(self.placed(Error::malformed("`read_key` and `write_key` do not hold the same data key")))
        }
    }

    /// The next generation of the file, signed; it was read again, and verifies.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where the text may not be signed: TOML that only version 1.1 allows, a broken rule of the format,
    /// more than 16 MiB.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let text = file.open_for_writing(&[alice])?.sign()?;
    /// assert_eq!(SealedFile::parse(text.into_bytes())?.verify(&[])?.generation(), 2);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn sign(self) -> Result<String> {
        self.sign_above(0).map(|(text, _)| text)
    }

    /// The same with a generation above `generation` as well: what was seen elsewhere must be older than this. Returns the text, and
    /// the file that it is, verified and pinned to its own vault.
    ///
    /// # Errors
    /// As [`Vault::sign`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// let (text, file) = Vault::create(access, "")?.sign_above(41)?;
    /// assert_eq!(file.generation(), 42);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn sign_above(mut self, generation: u64) -> Result<(String, VerifiedFile)> {
        self.forget_removals()?;
        if self.file.header.removed.len() > MAX_HISTORY {
            let text = format!(
                "more than {MAX_HISTORY} who were removed know values of this file, and more names are not kept"
            );
            return Err(Error::new(Kind::Conflict, text)
                .with_help("Give values anew first: `bootseal list` shows which are known to whom."));
        }
        let generation = self.file.header.generation.max(generation).saturating_add(1);
        if generation > MAX_COUNT {
            return Err(Error::new(Kind::Conflict, "there is no higher generation: the format counts to 2^53"));
        }
        let own = header::replace(&self.file.own, "generation", &generation.to_string())?;
        let end = own.rfind("signature = ").filter(|at| own[..*at].ends_with('\n')).unwrap_or(own.len());
        let user = self.file.document.text();
        let gap = if user.is_empty() || user.ends_with("\n\n") { "" } else { "\n" };
        let mut text = format!("{user}{gap}{}", &own[..end]);
        let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(&self.mode.seed, &text));
        text.push_str(&format!("signature = \"{signature}\"\n"));
        refuse_newer_toml(&text)?;
        if text.len() > MAX_FILE {
            return Err(Error::malformed("the file would be larger than 16 MiB, the most that a sealed file may have"));
        }
        let file = SealedFile::parse(text.clone().into_bytes())?.verify(&[Pin::from(self.file.vault_id())])?;
        Ok((text, file))
    }
}

fn with_final_newline(text: &str) -> String {
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{newline}")
}
