//! Changes a vault: creates it, and sets, renames and removes values.

use crate::access::wrap::{wrap_data_key, wrap_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{Access, Header, Role, recipients};
use crate::file::verified::{Trust, VerifiedFile};
use crate::keys::derive::DataKey;
use crate::keys::signing::{SigningSeed, id_of};
use crate::shown::shell_word;
use crate::text::document::{Document, Property};
use crate::text::host::refuse_unclear_hosts;
use crate::text::path::PropertyPath;
use crate::text::plain::{PlainDocument, mentions};
use crate::text::toml_value::{quoted, value_text};
use crate::vault::removed::LAST_SECOND;
use crate::vault::value::{self, ValueKind};
use crate::vault::{CanWrite, Vault};
use bootseal_memory::Secret;
use std::collections::HashMap;

impl Vault<CanWrite> {
    /// Creates a vault for `access` with `text` as its readable part. It has generation 1 after it
    /// has been signed.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `text` is not TOML that may be signed, or if `access` breaks a rule
    /// of the format; [`Kind::Conflict`] if a host in a settings table is not written in ASCII;
    /// [`Kind::Usage`] if a recipient cannot be wrapped to; [`Kind::Io`] without random numbers or
    /// guarded memory.
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
        header.read_key = wrap_data_key(&data_key, &recipients(&header.access, None))?;
        header.write_key =
            wrap_writer_keys(&seed, &data_key, &recipients(&header.access, Some(Role::Writer)))?;
        let document = Document::parse(with_final_newline(text))?;
        // Another vault's sealed value would not open in this vault.
        if let Some((path, _)) =
            document.iter().find(|(_, property)| matches!(property, Property::Sealed(_)))
        {
            return Err(Error::malformed(
                "is sealed already; a new vault starts with readable text",
            )
            .at(path));
        }
        refuse_unclear_hosts(&Document::default(), &document)?;
        let file = VerifiedFile {
            document,
            own: header.to_text().into(),
            header,
            trust: Trust::FirstUse,
            handed_over_from: None,
            file: None,
        };
        Vault::for_writer(file, seed, data_key)
    }

    /// Seals `value` as the property `path`, which is added or replaced. `now` is in seconds since
    /// 1970-01-01 UTC. The value is dated later if a removal or the replaced value is as new.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the name is a table, or if a value is in the place of a table that is
    /// needed; [`Kind::Malformed`] if the bytes are not of `kind`.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// use bootseal_core::{Kind, Secret, ValueKind};
    /// let now = 1_700_000_000;
    /// vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, now)?;
    /// let error = vault.set(&"acme".parse()?, ValueKind::Text, &Secret::copy_of(b"x")?, now).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Conflict); // `acme` is a table
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set(
        &mut self,
        path: &PropertyPath,
        kind: ValueKind,
        value: &Secret,
        now: u64,
    ) -> Result<()> {
        let sealed = self.seal(path, kind, value, now)?;
        self.replace_text(self.file.document.with(path, &quoted(&sealed))?)
    }

    /// Like `set`, but keeps `set_at` as given instead of raising it past the last removal and the
    /// replaced value.
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

    /// Seals many properties at once, each added or replaced. `now` is in seconds since 1970-01-01
    /// UTC.
    ///
    /// # Errors
    /// As [`Vault::set`].
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("user = \"\"\npassword = \"\"\n");
    /// use bootseal_core::{Secret, ValueKind};
    /// let sealed = vec![
    ///     ("user".parse()?, ValueKind::Text, Secret::copy_of(b"bob")?),
    ///     ("password".parse()?, ValueKind::Text, Secret::copy_of(b"hunter2")?),
    /// ];
    /// vault.set_all(&sealed, 1_700_000_000)?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set_all(
        &mut self,
        values: &[(PropertyPath, ValueKind, Secret)],
        now: u64,
    ) -> Result<()> {
        let (mut changes, mut new) = (HashMap::with_capacity(values.len()), Vec::new());
        for (path, kind, value) in values {
            let text = quoted(&self.seal(path, *kind, value, now)?);
            match self.file.document.get(path) {
                Some(_) => drop(changes.insert(path.clone(), text)),
                None => new.push((path, text)),
            }
        }
        let document = Document::parse(self.file.document.with_all(&changes)?)?;
        let new: Vec<(&PropertyPath, &str)> =
            new.iter().map(|(path, text)| (*path, text.as_str())).collect();
        self.replace_text(document.with_new(&new)?)
    }

    /// Sets the property `path` to a readable value, by adding or replacing the property.
    ///
    /// # Errors
    /// As [`Vault::set`]; [`Kind::Conflict`] also for text that begins with `sealed:` or `secret:`,
    /// and for a host in a settings table that is not written in ASCII.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\"\n");
    /// vault.set_readable(&"timeout".parse()?, &"30s".into())?;
    /// vault.set_readable(&"acme.port".parse()?, &443.into())?;
    /// let error = vault.set_readable(&"acme.key".parse()?, &"secret:hunter2".into()).unwrap_err();
    /// assert_eq!(error.kind(), bootseal_core::Kind::Conflict);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set_readable(&mut self, path: &PropertyPath, value: &toml::Value) -> Result<()> {
        if mentions(value) {
            let what = "a readable value may not begin with `sealed:` or `secret:`";
            return Err(Error::new(Kind::Conflict, what)
                .at(path)
                .with_help(format!("Seal it: bootseal set {}", shell_word(path))));
        }
        self.replace_text(self.file.document.with(path, &value_text(value))?)
    }

    /// Appends readable properties that are written as TOML, and keeps their layout.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it is not TOML; [`Kind::Conflict`] if a value would have to be
    /// sealed, if a host in a settings table is not written in ASCII, or if the file already has a
    /// table that the text defines, which TOML does not allow.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\"\n");
    /// use bootseal_core::Kind;
    /// vault.append("[acme.login]\nurl = \"https://acme.example\"\nbasic = true\n")?;
    /// assert_eq!(vault.file().properties().count(), 3);
    /// assert_eq!(vault.append("[acme.login]\nmethod = \"PUT\"\n").unwrap_err().kind(), Kind::Conflict);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn append(&mut self, text: &str) -> Result<()> {
        let new = PlainDocument::parse(text.to_owned())?;
        if let Some(secret) = new.properties().iter().find(|property| mentions(&property.value)) {
            let what = "a readable value may not begin with `sealed:` or `secret:`";
            return Err(Error::new(Kind::Conflict, what).at(&secret.path));
        }
        let before = self.file.document.text();
        let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
        let whole = Document::parse(format!("{before}{gap}{text}")).ok();
        let count = self.file.document.iter().count() + new.properties().len();
        let whole = whole.filter(|whole| {
            whole.iter().count() == count
                && self
                    .file
                    .document
                    .iter()
                    .all(|(path, property)| whole.get(path) == Some(property))
        });
        let whole = whole.ok_or_else(|| {
            Error::new(
                Kind::Conflict,
                "the file already has such a table, which cannot be defined twice",
            )
        })?;
        refuse_unclear_hosts(&self.file.document, &whole)?;
        self.file.document = whole;
        Ok(())
    }

    /// Removes a property; comments above it stay.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none, with similar names; [`Kind::Conflict`] if it cannot be
    /// removed alone, because it is in one of several `[[blocks]]`.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\"\nretries = 3\n");
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

    /// Renames the property `old` to `new`. A sealed value keeps the time at which it was set.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if `old` does not exist; [`Kind::Exists`] if `new` exists and `replace`
    /// is false; [`Kind::Conflict`] if the tables of the file have no place for it, or if it becomes
    /// a host in a settings table that is not written in ASCII; those of [`Vault::open`] for a
    /// sealed value.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\" # of a call\n");
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
                quoted(&value::seal(
                    &self.key,
                    &self.file.vault_id(),
                    new,
                    opened.kind,
                    opened.set_at,
                    &opened.secret,
                )?)
            }
            Some(Property::Readable(_)) => {
                self.file.document.raw_value(old).unwrap_or_default().to_owned()
            }
        };
        if self.file.property(new).is_some() {
            if !replace {
                return Err(
                    Error::new(Kind::Exists, "there is a property of that name already").at(new)
                );
            }
            self.unset(new)?;
        }
        self.replace_text(self.file.document.renamed(old, new, &value)?)
    }

    pub(crate) fn seal(
        &self,
        path: &PropertyPath,
        kind: ValueKind,
        value: &Secret,
        now: u64,
    ) -> Result<String> {
        // A replaced value must be newer than every removal. Otherwise, it would stay marked as
        // known to removed members.
        let last_removal = self.file.header.removed.iter().map(|removed| removed.at + 1).max();
        // It must also be newer than the value that it replaces: two values of one second would have
        // no order, and a merge or a review could not tell which is the newer one.
        let replaced = match self.file.document.get(path) {
            Some(Property::Sealed(_)) => {
                self.open(path).ok().map(|old| old.set_at.saturating_add(1).min(LAST_SECOND))
            }
            _ => None,
        };
        let set_at = [last_removal, replaced].into_iter().flatten().fold(now, u64::max);
        value::seal(&self.key, &self.file.vault_id(), path, kind, set_at, value)
    }

    /// Replaces the user's part. A host that is new in it must be written in ASCII.
    pub(crate) fn replace_text(&mut self, text: String) -> Result<()> {
        let document = Document::parse(text)?;
        refuse_unclear_hosts(&self.file.document, &document)?;
        self.file.document = document;
        Ok(())
    }
}

fn with_final_newline(text: &str) -> String {
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{newline}")
}
