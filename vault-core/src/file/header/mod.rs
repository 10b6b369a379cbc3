//! The table `[bootseal]`: the access list, the generation and the wrapped keys of a file.

pub(crate) mod edit;
pub(crate) mod read;

use crate::access::passphrase::{Cost, Derivation, Text};
use crate::access::recipient::Recipient;
use crate::error::{Error, Kind, Result};
use crate::keys::signing::verify_handover;
use crate::keys::vault_id::VaultId;
use crate::shown::{Typed, some_names};
use bootseal_memory::Secret;
use std::fmt;

/// The maximum generation and epoch of the format.
pub(crate) const MAX_COUNT: u64 = 1 << 53;
/// The highest generation or epoch that a file reaches by honest writes. A writer can sign a higher
/// number only to leave no room for further ones.
pub const MAX_REAL: u64 = MAX_COUNT / 2;
/// The maximum number of removals, and of handovers, that are kept.
pub(crate) const MAX_HISTORY: usize = 64;

/// The role of a member of the access list.
///
/// ```
/// use bootseal_core::{Access, Identity, Role};
/// let web1 = Access::new("web1", Role::Reader, Identity::generate()?.recipient())?;
/// assert_eq!(web1.role.to_string(), "reader");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May open values.
    Reader,
    /// May also seal values and sign the file.
    Writer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
        })
    }
}

/// One entry of the access list.
///
/// ```
/// # let (_, file) = bootseal_fixtures::file("");
/// for line in file.access() {
///     println!("{} is a {}: {}", line.name, line.role, line.recipient);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Letters, digits and `._@-`, at most 64.
    pub name: String,
    /// The member's role.
    pub role: Role,
    /// The recipient that the keys are wrapped to.
    pub recipient: Recipient,
    /// The derivation of the identity, if the member has a passphrase.
    pub passphrase: Option<Derivation>,
}

impl Access {
    /// Creates an entry without a passphrase.
    ///
    /// # Errors
    /// [`Kind::Usage`] if `name` is not of the form `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`, or if
    /// `recipient` is `None`, as the recipient of a plugin identity is.
    ///
    /// ```
    /// use bootseal_core::{Access, Identity, Kind, Role};
    /// let recipient = Identity::generate()?.recipient();
    /// let alice = Access::new("alice@laptop", Role::Writer, recipient.clone())?;
    /// assert_eq!(Access::new("two words", Role::Writer, recipient).unwrap_err().kind(), Kind::Usage);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn new(name: &str, role: Role, recipient: impl Into<Option<Recipient>>) -> Result<Access> {
        Access::check_name(name)?;
        let recipient = recipient.into().ok_or_else(|| {
            Error::new(
                Kind::Usage,
                format!(
                    "the recipient of {} is missing: a plugin identity does not contain it",
                    Typed(name)
                ),
            )
            .with_help("The plugin printed the recipient when it created the identity; add it: NAME=RECIPIENT.")
        })?;
        Ok(Access { name: name.to_owned(), role, recipient, passphrase: None })
    }

    /// Checks a name before anything is asked for or created.
    ///
    /// # Errors
    /// [`Kind::Usage`] if `name` is not of the form `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`.
    pub fn check_name(name: &str) -> Result<()> {
        if is_name(name) {
            return Ok(());
        }
        let what = format!("{} is not a valid name for the access list", Typed(name));
        let help = "A name begins with a letter or digit and has letters, digits, `.`, `_`, `@`, `-`; at most 64.";
        Err(Error::new(Kind::Usage, what).with_help(help))
    }

    /// Creates an entry for a member with a passphrase instead of a key, with a fresh salt. The
    /// derivation uses the memory of `cost`, and takes 0.1 s ([`Cost::Small`]) to 0.5 s
    /// ([`Cost::Full`]).
    ///
    /// # Errors
    /// [`Kind::Usage`] as in [`Access::new`], and if the passphrase is empty, is not UTF-8, or
    /// contains a control character such as a line break, or begins with a byte order mark, which
    /// cannot be typed; [`Kind::Io`] if the system has no random numbers or not enough memory.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// let passphrase = Secret::copy_of(b"correct horse battery staple")?;
    /// let glass = Access::by_passphrase("break-glass", Role::Writer, Cost::Small, &passphrase)?;
    /// let text = Vault::create(vec![glass], "")?.sign()?;
    ///
    /// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let identity = file.identity_by_passphrase("break-glass", &passphrase)?;
    /// file.open(&[identity])?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn by_passphrase(
        name: &str,
        role: Role,
        cost: Cost,
        passphrase: &Secret,
    ) -> Result<Access> {
        let text = Text::of(passphrase)?;
        if text.0.is_empty() {
            return Err(Error::new(Kind::Usage, "the passphrase is empty"));
        }
        if text.0.expose_str(|text| text.chars().any(char::is_control)).unwrap_or(true) {
            let what = "the passphrase contains a line break or another control character, which cannot be typed";
            return Err(Error::new(Kind::Usage, what));
        }
        // A program that reads a passphrase from a file removes the mark, and could not open.
        if text.0.expose_str(|text| text.starts_with('\u{feff}')).unwrap_or(true) {
            let what = "the passphrase begins with a byte order mark, which cannot be typed";
            return Err(Error::new(Kind::Usage, what));
        }
        let how = Derivation::fresh(cost)?;
        let access = Access::new(name, role, how.identity(&text)?.recipient())?;
        Ok(Access { passphrase: Some(how), ..access })
    }

    /// This entry in place of `before`. If both have the same recipient, and this entry names no
    /// passphrase, the member keeps the passphrase from which the recipient is derived.
    ///
    /// # Errors
    /// [`Kind::Usage`] if a reader with a passphrase would become a writer with the same recipient:
    /// nobody knows whether the passphrase is long enough for a writer, unless it is typed again.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// let passphrase = Secret::copy_of(b"correct horse battery staple")?;
    /// let before = Access::by_passphrase("web1", Role::Reader, Cost::Small, &passphrase)?;
    /// let named = |role| Access::new("web1", role, before.recipient.clone());
    /// assert_eq!(named(Role::Reader)?.in_place_of(&before)?, before);
    /// assert_eq!(named(Role::Writer)?.in_place_of(&before).unwrap_err().kind(), Kind::Usage);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn in_place_of(self, before: &Access) -> Result<Access> {
        if self.recipient != before.recipient || before.passphrase.is_none() {
            return Ok(self);
        }
        if self.role == Role::Writer && before.role == Role::Reader {
            let what = format!(
                "{} opens the file with a passphrase, which must be typed and checked before it can sign",
                before.name
            );
            let help = format!(
                "To make {0} a writer: bootseal access add {0} --passphrase --writer --replace",
                before.name
            );
            return Err(Error::new(Kind::Usage, what).with_help(help));
        }
        let passphrase = self.passphrase.or_else(|| before.passphrase.clone());
        Ok(Access { passphrase, ..self })
    }
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte.is_ascii_alphanumeric() || at > 0 && b"._@-".contains(&byte))
}

/// A removed member, and the time up to which the member knows every value that was set, in seconds
/// since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) name: String,
    pub(crate) at: u64,
}

/// A statement, signed by the old key at `generation`, that the vault continues under a new id. The
/// new id is the `from` of the next entry or, for the last entry, the current vault id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) from: VaultId,
    pub(crate) generation: u64,
    pub(crate) signature: [u8; 64],
}

#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) access: Vec<Access>,
    pub(crate) removed: Vec<Removed>,
    pub(crate) handover: Vec<Handover>,
    pub(crate) read_key: String,
    pub(crate) write_key: String,
    pub(crate) vault: VaultId,
}

impl Header {
    /// Whether an unbroken chain of handovers leads from `old` to this vault.
    pub(crate) fn continues(&self, old: &VaultId) -> bool {
        let Some(start) = self.handover.iter().position(|entry| entry.from == *old) else {
            return false;
        };
        let chain = &self.handover[start..];
        let next = chain[1..].iter().map(|entry| &entry.from).chain([&self.vault]);
        chain
            .iter()
            .zip(next)
            .all(|(entry, to)| verify_handover(&entry.from, entry.generation, to, &entry.signature))
    }

    /// Whether `old` is an earlier version of the vault: its id was handed over, or it has the same id
    /// and lower numbers. Numbers of different ids are not compared, because a former writer can sign
    /// any number.
    pub(crate) fn is_newer_than(&self, old: &Header) -> bool {
        match self.vault == old.vault {
            true => old.generation < self.generation || old.epoch < self.epoch,
            false => self.former_ids().contains(&old.vault),
        }
    }

    /// The generation at which `old` was handed over, if it is an earlier id of this vault.
    pub(crate) fn handed_over_at(&self, old: &VaultId) -> Option<u64> {
        self.handover.iter().find(|entry| entry.from == *old).map(|entry| entry.generation)
    }

    /// The ids from which an unbroken chain of handovers leads to this vault, oldest first. The
    /// chain is walked from its end, so that each signature is verified once.
    pub(crate) fn former_ids(&self) -> Vec<VaultId> {
        let mut to = self.vault;
        let leads_on = |entry: &&Handover| {
            let verified = verify_handover(&entry.from, entry.generation, &to, &entry.signature);
            to = entry.from;
            verified
        };
        let mut ids: Vec<VaultId> =
            self.handover.iter().rev().take_while(leads_on).map(|entry| entry.from).collect();
        ids.reverse();
        ids
    }

    /// The members in the form for messages: "alice, bob (writers), web1".
    pub(crate) fn who(&self) -> String {
        match self.names(Role::Reader) {
            readers if readers.is_empty() => format!("{} (writers)", self.writers()),
            readers => format!("{} (writers), {readers}", self.writers()),
        }
    }

    pub(crate) fn writers(&self) -> String {
        self.names(Role::Writer)
    }

    fn names(&self, role: Role) -> String {
        let names = self
            .access
            .iter()
            .filter(|access| access.role == role)
            .map(|access| access.name.as_str());
        some_names(names)
    }
}

/// The recipients in `list`, either of one role or of all roles.
pub(crate) fn recipients(list: &[Access], role: Option<Role>) -> Vec<Recipient> {
    let wanted = list.iter().filter(|access| role.is_none_or(|role| access.role == role));
    wanted.map(|access| access.recipient.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_limited_to_plain_ascii() {
        for good in ["alice", "a", "web-1.example", "me@host", "1"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_passphrase_that_a_file_cannot_contain_is_refused() {
        for bad in ["", "two\nlines", "\u{feff}long enough for it"] {
            let passphrase = Secret::copy_of(bad.as_bytes()).unwrap();
            let made = Access::by_passphrase("bob", Role::Reader, Cost::Small, &passphrase);
            assert_eq!(made.unwrap_err().kind(), Kind::Usage, "{bad:?}");
        }
    }
}
