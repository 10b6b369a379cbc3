//! Creates vaults, and adds, replaces, renames and removes their properties.

use crate::access::wrap::{wrap_data_key, wrap_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{Access, Header, Role, recipients};
use crate::file::verified::{Trust, VerifiedFile};
use crate::keys::derive::DataKey;
use crate::keys::signing::{SigningSeed, id_of};
use crate::shown::shell_word;
use crate::text::document::Document;
use crate::text::host::refuse_unclear_hosts;
use crate::text::path::PropertyPath;
use crate::text::plain::{PlainDocument, mentions};
use crate::text::toml_value::{quoted, value_text};
use crate::vault::removed::LAST_SECOND;
use crate::vault::value::{self, ValueKind};
use crate::vault::{CanWrite, Vault};
use bootseal_memory::Secret;

impl Vault<CanWrite> {
    /// Creates a vault whose members are `access` and whose readable part is `text`. Signing gives
    /// it generation 1.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `text` is not valid TOML, exceeds a limit of the format, or contains
    /// a sealed value; [`Kind::Conflict`] if a host in a settings table is not written in ASCII;
    /// [`Kind::Usage`] if age cannot encrypt to these recipients together; [`Kind::Io`] if `access`
    /// has no writer, or if random numbers or guarded memory are not available. [`Vault::sign`]
    /// checks the other rules of the format.
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
    pub fn create(access: Vec<Access>, text: impl Into<String>) -> Result<Vault<CanWrite>> {
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
        let document = Document::parse(with_final_newline(text.into()))?;
        // A value that was sealed for another vault could not be opened in this one.
        if let Some((path, _)) = document.names().find(|(_, sealed)| *sealed) {
            return Err(Error::malformed(
                "is already sealed; a new vault starts with readable text",
            )
            .at(&path));
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

    /// Seals `value` and stores it as the property `path`, which is added if it does not exist.
    ///
    /// The value is dated `now`, in seconds since 1970-01-01 UTC. If the last removal of a member,
    /// or the value that is replaced, has the same date or a later one, the new value is dated one
    /// second after it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if `path` is a table, if a value has the name of a table that `path`
    /// needs, or if `value` is longer than 16 MiB; [`Kind::Malformed`] if its bytes are not valid
    /// for `kind`.
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
        self.replace_document(self.file.document.with(path, &quoted(&sealed))?)
    }

    /// Like `set`, but the value is always dated `set_at`, even if the last removal or the replaced
    /// value is newer.
    pub(crate) fn set_as_of(
        &mut self,
        path: &PropertyPath,
        kind: ValueKind,
        value: &Secret,
        set_at: u64,
    ) -> Result<()> {
        let sealed = value::seal(&self.key, &self.file.vault_id(), path, kind, set_at, value)?;
        self.replace_document(self.file.document.with(path, &quoted(&sealed))?)
    }

    /// Like [`Vault::set`], but for many properties, in one change of the text. The values are taken
    /// one at a time, so that they need not all be in memory.
    ///
    /// # Errors
    /// As [`Vault::set`], and the first error of `values`. Then, nothing is changed.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("user = \"\"\npassword = \"\"\n");
    /// use bootseal_core::{Secret, ValueKind};
    /// let sealed = vec![
    ///     ("user".parse()?, ValueKind::Text, Secret::copy_of(b"bob")?),
    ///     ("password".parse()?, ValueKind::Text, Secret::copy_of(b"hunter2")?),
    /// ];
    /// vault.set_all(sealed.into_iter().map(Ok), 1_700_000_000)?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn set_all(
        &mut self,
        values: impl IntoIterator<Item = Result<(PropertyPath, ValueKind, Secret)>>,
        now: u64,
    ) -> Result<()> {
        let document = &self.file.document;
        // Values in the order of the text are written at once, and the others afterwards.
        let (mut text, mut done, mut late, mut new) = (String::new(), 0, Vec::new(), Vec::new());
        for value in values {
            let (path, kind, value) = value?;
            let span = document.replaceable(&path)?;
            // A sealed value has no character to escape.
            let sealed = ["\"", &self.seal(&path, kind, &value, now)?, "\""].concat();
            match span {
                Some(span) if span.start >= done => {
                    text.extend([&document.text()[done..span.start], &sealed]);
                    done = span.end;
                }
                Some(_) => late.push((path, sealed)),
                None => new.push((path, sealed)),
            }
        }
        if done == 0 && new.is_empty() {
            return Ok(());
        }
        text.push_str(&document.text()[done..]);
        if late.is_empty() && new.is_empty() {
            return self.replace_text(text);
        }
        let changed = Document::parse(text)?;
        let mut changes = Vec::new();
        for (path, sealed) in late {
            changes.extend(changed.replaceable(&path)?.map(|span| (span, sealed)));
        }
        let changed = Document::parse(changed.with_values(changes))?;
        let new: Vec<(&PropertyPath, &str)> =
            new.iter().map(|(path, text)| (path, text.as_str())).collect();
        self.replace_document(match new.is_empty() {
            true => changed,
            false => changed.with_new(&new)?,
        })
    }

    /// Stores the readable `value` as the property `path`, which is added if it does not exist. A
    /// table is added as its properties.
    ///
    /// # Errors
    /// As [`Vault::set`]; [`Kind::Conflict`] also if a string in `value` begins with `sealed:` or
    /// `secret:`, or if `path` is a setting whose host is not written in ASCII.
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
        if let toml::Value::Table(_) = value
            && !self.file.document.contains(path)
        {
            return self.add_table(path, value);
        }
        self.replace_document(self.file.document.with(path, &value_text(value))?)
    }

    /// Adds the properties of a table, each as a property of its own.
    fn add_table(&mut self, path: &PropertyPath, table: &toml::Value) -> Result<()> {
        let document = &self.file.document;
        if document.is_table(path.segments()) {
            let what = "this is a table already; set its properties one by one";
            return Err(Error::new(Kind::Conflict, what).at(path));
        }
        document.refuse_inside_value(path)?;
        let mut leaves = Vec::new();
        leaves_of(path, table, &mut leaves)?;
        if leaves.is_empty() {
            return Err(
                Error::new(Kind::Conflict, "a table without a value is no property").at(path)
            );
        }
        let leaves: Vec<(&PropertyPath, &str)> =
            leaves.iter().map(|(path, text)| (path, text.as_str())).collect();
        self.replace_document(document.with_new(&leaves)?)
    }

    /// Appends `text`, the TOML of readable properties, unchanged. It must begin with a table
    /// header; otherwise, its first properties would become part of the last table of the file.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `text` is not valid TOML; [`Kind::Conflict`] if a string in it begins
    /// with `sealed:` or `secret:`, if a host in a settings table is not written in ASCII, or if the
    /// file already defines a table that `text` defines, because TOML allows each table only once.
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
        if let Some(secret) = new.properties().find(|property| mentions(&property.value)) {
            let what = "a readable value may not begin with `sealed:` or `secret:`";
            return Err(Error::new(Kind::Conflict, what).at(&secret.path));
        }
        let before = self.file.document.text();
        let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
        let whole = Document::parse(format!("{before}{gap}{text}")).ok();
        let count = self.file.document.counts().0 + new.len();
        let whole = whole.filter(|whole| {
            let before = &self.file.document;
            whole.counts().0 == count
                && before.names().all(|(path, _)| before.has_same(&path, whole))
        });
        let whole = whole.ok_or_else(|| {
            Error::new(
                Kind::Conflict,
                "this text cannot be appended: the file already defines one of its tables",
            )
        })?;
        refuse_unclear_hosts(&self.file.document, &whole)?;
        self.file.document = whole;
        Ok(())
    }

    /// Removes the property `path`, and the tables that are empty without it. Comments above it
    /// stay.
    ///
    /// # Errors
    /// [`Kind::NotFound`], with similar names, if there is no such property; [`Kind::Conflict`] if
    /// it is an array of tables, written as `[[blocks]]`.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\"\nretries = 3\n");
    /// vault.unset(&"retries".parse()?)?;
    /// assert_eq!(vault.file().properties().count(), 1);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn unset(&mut self, path: &PropertyPath) -> Result<()> {
        self.unset_all(std::slice::from_ref(path))
    }

    /// Like [`Vault::unset`], but for many properties, in one change of the text. A property that is
    /// named twice is removed once.
    ///
    /// # Errors
    /// As [`Vault::unset`], of the first property that cannot be removed. Then, nothing is changed.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\"\nretries = 3\n");
    /// vault.unset_all(&["retries".parse()?, "timeout".parse()?])?;
    /// assert_eq!(vault.file().properties().count(), 0);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn unset_all(&mut self, paths: &[PropertyPath]) -> Result<()> {
        let document = &self.file.document;
        if let Some(missing) = paths.iter().find(|path| !document.contains(path)) {
            return Err(self.file.not_found(missing));
        }
        let paths: Vec<&PropertyPath> = paths.iter().collect();
        self.replace_document(document.without_all(&paths)?.without_empty_above(&paths)?)
    }

    /// Renames the property `old` to `new`. A sealed value keeps the time at which it was set.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if `old` does not exist; [`Kind::Exists`] if `new` exists and `replace`
    /// is false; [`Kind::Conflict`] if the file's tables do not allow the name `new`, or if `new` is
    /// a setting whose host is not written in ASCII; the errors of [`Vault::open`] if `old` is
    /// sealed.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("timeout = \"10s\" # of a call\n");
    /// vault.rename(&"timeout".parse()?, &"call_timeout".parse()?, false)?;
    /// assert!(vault.file().property(&"call_timeout".parse()?).is_some());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn rename(&mut self, old: &PropertyPath, new: &PropertyPath, replace: bool) -> Result<()> {
        let value = match self.file.is_sealed(old) {
            None => return Err(self.file.not_found(old)),
            Some(_) if old == new => return Ok(()),
            Some(true) => {
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
            Some(false) => self.file.document.raw_value(old).unwrap_or_default().to_owned(),
        };
        if self.file.document.contains(new) {
            if !replace {
                return Err(
                    Error::new(Kind::Exists, "a property of this name exists already").at(new)
                );
            }
            self.replace_document(self.file.document.without(new)?)?;
        }
        self.replace_document(self.file.document.renamed(old, new, &value)?)
    }

    pub(crate) fn seal(
        &self,
        path: &PropertyPath,
        kind: ValueKind,
        value: &Secret,
        now: u64,
    ) -> Result<String> {
        // The new value must be newer than every removal. Otherwise, it would be marked as known to
        // the removed members.
        let last_removal = self.file.header.removed.iter().map(|removed| removed.at + 1).max();
        // The new value must also be newer than the one that it replaces. If both had the same
        // date, a merge or a review could not decide which of them is newer.
        let replaced = match self.file.document.is_sealed(path) {
            true => self.open(path).ok().map(|old| old.set_at.saturating_add(1).min(LAST_SECOND)),
            false => None,
        };
        let set_at = [last_removal, replaced].into_iter().flatten().fold(now, u64::max);
        value::seal(&self.key, &self.file.vault_id(), path, kind, set_at, value)
    }

    /// Replaces the user's part of the file. New and changed hosts in settings tables must be
    /// written in ASCII.
    pub(crate) fn replace_text(&mut self, text: String) -> Result<()> {
        self.replace_document(Document::parse(text)?)
    }

    pub(crate) fn replace_document(&mut self, document: Document) -> Result<()> {
        refuse_unclear_hosts(&self.file.document, &document)?;
        self.file.document = document;
        // The table was a part of the old text, which is freed.
        self.file.own = self.file.own.to_string().into();
        Ok(())
    }
}

/// The values in a table, each with its name and its text.
fn leaves_of(
    path: &PropertyPath,
    value: &toml::Value,
    leaves: &mut Vec<(PropertyPath, String)>,
) -> Result<()> {
    match value {
        toml::Value::Table(table) => {
            table.iter().try_for_each(|(key, value)| leaves_of(&path.child(key)?, value, leaves))
        }
        value => {
            leaves.push((path.clone(), value_text(value)));
            Ok(())
        }
    }
}

fn with_final_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
