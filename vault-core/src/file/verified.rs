//! The verified file: its signature holds and its text keeps the rules, so names and readable values may be used.

use crate::error::{Error, Kind};
use crate::file::header::{Access, Header};
use crate::keys::vault_id::VaultId;
use crate::text::document::{Document, Property};
use crate::text::nearest::near_names;
use crate::text::path::PropertyPath;
use std::path::{Path, PathBuf};

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

    /// The pinned id that handed the vault over to its present one: the pin is old, and should be renewed. `None` if no pin was
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

    /// One property; `None` if there is none of that name, as for a table.
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
        let names: Vec<String> = self.properties().map(|(known, _)| known.to_string()).collect();
        let near = near_names(&path.to_string(), &names);
        let error = Error::new(Kind::NotFound, "no such property").at(path);
        let error = if self.document.is_table(path.segments()) {
            error.with_help(format!("It is a table. `bootseal list {path}` shows what it holds."))
        } else if near.is_empty() {
            error.with_help("`bootseal list` shows all names.")
        } else {
            error.with_help(format!("Did you mean {}?", near[..near.len().min(3)].join(", or ")))
        };
        error.in_file_if(self.path())
    }
}
