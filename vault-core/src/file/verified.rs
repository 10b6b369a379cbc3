//! The verified file, whose signature is valid and whose text follows the rules of the format, so
//! that names and readable values may be used.

use crate::error::{Error, Kind};
use crate::file::header::{Access, Header};
use crate::keys::vault_id::VaultId;
use crate::shown::shell_word;
use crate::text::document::{Document, Property};
use crate::text::nearest::near_names;
use crate::text::parse::value_parts::ValuePart;
use crate::text::path::PropertyPath;
use crate::text::shared_text::SharedText;
use std::path::{Path, PathBuf};

/// The reason why a verified file is trusted to be the intended file.
///
/// ```
/// # let (_, text) = bootseal_fixtures::sealed("");
/// use bootseal_core::{SealedFile, Trust};
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// assert_eq!(file.trust(), Trust::Unverified); // authentic, but its creator is unknown
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The id of its vault is pinned.
    Pinned,
    /// The id of its vault is the id that is remembered for this file.
    Remembered,
    /// Its vault was trusted when it was first seen: a user confirmed it, or the loader accepted it
    /// at its first start with a state folder and without a pin. A vault that was created just now
    /// also has this reason.
    FirstUse,
    /// Nothing confirms the file, so anyone may have created it.
    Unverified,
}

/// A file whose signature is valid and whose text follows the rules of the format: names, readable
/// values and the access list may be used.
///
/// ```
/// # let (alice, text) = bootseal_fixtures::sealed("[acme]\nuser = \"bob\"\n");
/// use bootseal_core::{Property, SealedFile};
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// println!("{}, generation {}, members: {}", file.vault_id(), file.generation(), file.who());
/// for (path, property) in file.properties() {
///     println!("{path} is {}", if matches!(property, Property::Sealed(_)) { "sealed" } else { "readable" });
/// }
/// let vault = file.open(&[alice])?; // now values can be opened
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct VerifiedFile {
    pub(crate) document: Document,
    /// The text of `[bootseal]`, to the end of the file.
    pub(crate) own: SharedText,
    pub(crate) header: Header,
    pub(crate) trust: Trust,
    pub(crate) handed_over_from: Option<VaultId>,
    pub(crate) file: Option<PathBuf>,
}

impl std::fmt::Debug for VerifiedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "VerifiedFile({}, generation {}, {:?})",
            self.header.vault, self.header.generation, self.trust
        )
    }
}

impl VerifiedFile {
    /// The vault's id: the public key under which the signature is valid.
    pub fn vault_id(&self) -> VaultId {
        self.header.vault
    }

    /// The generation: a number from 1 that every write increases.
    pub fn generation(&self) -> u64 {
        self.header.generation
    }

    /// The epoch: the number of the data key, from 1 for each vault id.
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        [self.document.text(), &self.own].concat()
    }

    /// The text above `[bootseal]`.
    pub fn user_text(&self) -> &str {
        self.document.text()
    }

    /// The SHA-256 of the signed text.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let signed = self.own.rfind("signature = ").unwrap_or(self.own.len());
        Sha256::new()
            .chain_update(self.document.text())
            .chain_update(&self.own[..signed])
            .finalize()
            .into()
    }

    /// The access list, in the order of the file.
    pub fn access(&self) -> &[Access] {
        &self.header.access
    }

    /// The members, for messages: "alice, bob (writers), web1".
    pub fn who(&self) -> String {
        self.header.who()
    }

    /// The reason why the file is trusted.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// The pinned id from which the vault was handed over to its present id, in which case the pin
    /// should be renewed. `None` without a pin, or if the pin names the present id.
    pub fn handed_over_from(&self) -> Option<VaultId> {
        self.handed_over_from
    }

    /// Whether a pin names exactly this id, and not a former one. Such a pin decides between two
    /// handovers.
    pub fn is_pinned_itself(&self) -> bool {
        self.trust == Trust::Pinned && self.handed_over_from.is_none()
    }

    /// The earlier ids of this vault, each handed over to the next, oldest first.
    pub fn former_ids(&self) -> Vec<VaultId> {
        self.header.former_ids()
    }

    /// The generation at which `old` was handed over, if it is an earlier id of this vault. Later
    /// generations of `old` do not count: anyone who still has its key can sign any generation.
    pub fn handed_over_at(&self, old: &VaultId) -> Option<u64> {
        self.header.handed_over_at(old)
    }

    /// Records why a file without a pin is trusted: its vault is known, or is trusted on first use.
    /// A file that is trusted already keeps its reason.
    ///
    /// ```
    /// # let (_, mut file) = bootseal_fixtures::file("");
    /// use bootseal_core::Trust;
    /// file.trusted_by(Trust::FirstUse); // the user confirmed it
    /// assert_eq!(file.trust(), Trust::FirstUse);
    /// ```
    pub fn trusted_by(&mut self, trust: Trust) {
        if self.trust == Trust::Unverified {
            self.trust = trust;
        }
    }

    /// The path of the file as the caller gave it; `None` for a text in memory.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// All properties, in the order of the file; a sealed property is returned as ciphertext. Each
    /// is read from the text when the iterator reaches it.
    pub fn properties(&self) -> impl Iterator<Item = (PropertyPath, Property)> {
        self.document.iter()
    }

    /// The name of each property in the order of the file, and whether it is sealed. Unlike
    /// [`VerifiedFile::properties`], this reads no value.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("[acme]\nuser = \"bob\"\n");
    /// let names: Vec<_> = file.names().collect();
    /// assert_eq!(names, [("acme.user".parse()?, false)]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = (PropertyPath, bool)> {
        self.document.names()
    }

    /// The number of properties, and how many of them are sealed.
    pub fn counts(&self) -> (usize, usize) {
        self.document.counts()
    }

    /// One property, read from the text; `None` if no property has this name, or if the name is a
    /// table.
    pub fn property(&self, path: &PropertyPath) -> Option<Property> {
        self.document.get(path)
    }

    /// Whether the property is sealed; `None` if no property has this name. This reads no value.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::with_password("timeout = \"10s\"\n");
    /// assert_eq!(file.is_sealed(&"acme.password".parse()?), Some(true));
    /// assert_eq!(file.is_sealed(&"timeout".parse()?), Some(false));
    /// assert_eq!(file.is_sealed(&"acme".parse()?), None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn is_sealed(&self, path: &PropertyPath) -> Option<bool> {
        self.document.contains(path).then(|| self.document.is_sealed(path))
    }

    /// Whether the property is readable and a string. This reads no value.
    pub fn is_text(&self, path: &PropertyPath) -> bool {
        self.document.is_text(path)
    }

    /// Whether the property is readable and an array. This reads no element of it.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("hosts = [\"a\"]\nname = \"[\"\n");
    /// assert!(file.is_array(&"hosts".parse()?));
    /// assert!(!file.is_array(&"name".parse()?));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn is_array(&self, path: &PropertyPath) -> bool {
        self.document.is_array(path)
    }

    /// Whether both files have the same value for a property, as a reader sees it, or neither has
    /// the property.
    pub fn has_same(&self, path: &PropertyPath, other: &VerifiedFile) -> bool {
        self.document.has_same(path, &other.document)
    }

    /// Calls `each` with the parts of a property's value: the elements of an array, one at a time,
    /// so that a long one is never in memory as a whole. A missing property has no parts.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("hosts = [\"a\", \"b\"]\n");
    /// use bootseal_core::ValuePart;
    /// let mut hosts = Vec::new();
    /// file.parts(&"hosts".parse()?, &mut |part| {
    ///     if let ValuePart::Value(host) = part {
    ///         hosts.push(host);
    ///     }
    /// });
    /// assert_eq!(hosts.len(), 2);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn parts(&self, path: &PropertyPath, each: &mut dyn FnMut(ValuePart)) {
        self.document.parts(path, each);
    }

    /// The patterns of the names whose values must be sealed: see
    /// [`sealing_names`](crate::sealing_names).
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("[seal]\nnames = [\"*password*\"]\n");
    /// assert_eq!(file.sealing_names(), Some(vec!["*password*".to_owned()]));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn sealing_names(&self) -> Option<Vec<String>> {
        self.document.sealing_names()
    }

    /// Whether the file has rules for what is sealed.
    pub fn has_rules(&self) -> bool {
        self.document.has_rules()
    }

    /// The names of removed members who know a value that was set at `set_at`, in seconds since
    /// 1970-01-01 UTC. A name that has access now is of someone with a
    /// new key, or who was removed and added again: the former key may be in other hands.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("");
    /// let set_at = 1_700_000_000; // of an opened value
    /// assert!(file.known_to(set_at).is_empty()); // nobody was removed
    /// ```
    pub fn known_to(&self, set_at: u64) -> Vec<&str> {
        self.header
            .removed
            .iter()
            .filter(|removed| set_at <= removed.at)
            .map(|removed| removed.name.as_str())
            .collect()
    }
}

impl VerifiedFile {
    /// The place of an array's element, if the path ends in its number, as in `acme.users.0`.
    fn element(&self, path: &PropertyPath) -> Option<String> {
        let (last, above) = path.segments().split_last()?;
        let (last, array) = (last.parse::<usize>().ok()?, PropertyPath::new(above.to_vec()).ok()?);
        self.document.contains(&array).then(|| format!("{array}[{last}]"))
    }

    /// The error for a missing property, with similar names. Its kind is [`Kind::NotFound`].
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("[acme]\nuser = \"bob\"\n");
    /// let error = file.not_found(&"acme.usr".parse()?);
    /// assert!(error.help().is_some_and(|help| help.contains("acme.user")));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn not_found(&self, path: &PropertyPath) -> Error {
        let names: Vec<String> = self.names().map(|(known, _)| known.to_string()).collect();
        let near = near_names(&path.to_string(), &names);
        let error = Error::new(Kind::NotFound, "no such property").at(path);
        let error = if self.document.is_table(path.segments()) {
            let list = format!("bootseal list {}", shell_word(path));
            error.with_help(format!("It is a table. `{list}` shows its content."))
        } else if let Some(element) = self.element(path) {
            error.with_help(format!("It is an array. For one element: {element}"))
        } else if near.is_empty() {
            error.with_help("`bootseal list` shows all names.")
        } else {
            error.with_help(format!("Did you mean {}?", near[..near.len().min(3)].join(", or ")))
        };
        error.in_file_if(self.path())
    }
}
