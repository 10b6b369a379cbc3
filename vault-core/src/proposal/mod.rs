//! Proposals: values from someone who cannot read the vault, encrypted to its writers. A writer
//! accepts a proposal.
//!
//! Anyone who has the file can make a proposal, so nothing in a proposal is trusted: neither the
//! sender nor the note nor the time.

pub(crate) mod text;

use crate::access::identity::Identity;
use crate::access::wrap::{unwrap_up_to, wrap};
use crate::error::{Error, Kind, Result};
use crate::file::header::Role;
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::text::path::PropertyPath;
use crate::text::settings::tables::AT_THE_TOP;
use crate::vault::value::ValueKind;
use crate::vault::{CanWrite, Vault};
use bootseal_memory::Secret;

/// The maximum armored size: 64 KiB of content, and a stanza for each of 256 writers.
const MAX_ARMORED: usize = 256 * 1024;
/// The tolerated clock skew, in seconds.
const CLOCKS_DIFFER: u64 = 300;

/// An opened proposal. Nothing in it is trusted.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::file("");
/// use bootseal_core::{Kind, Proposal, Secret, ValueKind};
/// let (path, value) = ("acme.password".parse()?, Secret::copy_of(b"hunter2")?);
/// let sent = file.propose(&path, ValueKind::Text, &value, "from the vendor", 1_700_000_000)?;
///
/// let proposal = Proposal::open(&sent, &[alice.clone()])?;
/// let mut vault = file.open_for_writing(&[alice])?;
/// assert_eq!(vault.consider(&proposal, 1_700_000_060)?, None); // there is no value yet
/// vault.accept(&proposal, 1_700_000_060)?;
/// assert_eq!(vault.open(&path)?.set_at, 1_700_000_000);
/// let again = vault.consider(&proposal, 1_700_000_060).unwrap_err();
/// assert_eq!(again.kind(), Kind::Conflict); // a proposal can be accepted only once
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Proposal {
    pub(crate) vault: VaultId,
    pub(crate) path: PropertyPath,
    pub(crate) kind: ValueKind,
    pub(crate) value: Secret,
    pub(crate) proposed_at: u64,
    pub(crate) note: String,
}

impl VerifiedFile {
    /// Checks whether a value may be proposed for the property `path`. Call it before asking for
    /// the value.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the property is in `[bootseal]` or in a login, route, fleet or gateway
    /// table, or if it is readable.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("");
    /// assert!(file.may_be_proposed(&"acme.password".parse()?).is_ok());
    /// assert!(file.may_be_proposed(&"acme.login.url".parse()?).is_err());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn may_be_proposed(&self, path: &PropertyPath) -> Result<()> {
        check_place(path)?;
        let has_rules = self.document.has_rules();
        if path.is_in_seal_table() && has_rules || self.document.would_begin_rules(path) {
            return Err(refused(path, "belongs to the rules for what is sealed"));
        }
        // The property is readable on purpose, so a secret proposed for it is a mistake or a trap.
        match self.is_sealed(path) {
            Some(false) => Err(Error::new(
                Kind::Conflict,
                "is readable, and a proposal cannot change a readable property",
            )
            .at(path)),
            _ => Ok(()),
        }
    }

    /// Proposes `value` for the property `path`: an armored age file that only this vault's writers
    /// open. `now` is in seconds since 1970-01-01 UTC. `note`, of at most 1 KiB, is for the writer
    /// who accepts the proposal. The caller must have made sure that this is the right vault.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the property cannot be proposed, as in
    /// [`VerifiedFile::may_be_proposed`], or if the proposal is too long; [`Kind::Malformed`] if
    /// the bytes are not of `kind`; [`Kind::Usage`] if a writer's recipient cannot be wrapped to.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("timeout = \"10s\"\n");
    /// use bootseal_core::{Kind, Secret, ValueKind};
    /// let value = Secret::copy_of(b"hunter2")?;
    /// let sent = file.propose(&"acme.password".parse()?, ValueKind::Text, &value, "", 1_700_000_000)?;
    /// assert!(sent.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    /// let error = file.propose(&"timeout".parse()?, ValueKind::Text, &value, "", 1_700_000_000).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Conflict); // a readable property
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn propose(
        &self,
        path: &PropertyPath,
        kind: ValueKind,
        value: &Secret,
        note: &str,
        now: u64,
    ) -> Result<String> {
        self.may_be_proposed(path)?;
        let proposal = Proposal {
            vault: self.vault_id(),
            path: path.clone(),
            kind,
            value: value.clone(),
            proposed_at: now,
            note: note.to_owned(),
        };
        let page = text::write(&proposal)?;
        let armored = page.expose(|page| {
            wrap(page, &crate::file::header::recipients(&self.header.access, Some(Role::Writer)))
        })?;
        match armored.len() > MAX_ARMORED {
            true => {
                Err(Error::new(Kind::Conflict, "the proposal would be larger than 256 KiB")
                    .at(path))
            }
            false => Ok(armored),
        }
    }
}

impl Proposal {
    /// The maximum size of an armored proposal: 256 KiB.
    ///
    /// ```
    /// assert!(bootseal_core::Proposal::open(&" ".repeat(bootseal_core::Proposal::MAX_BYTES + 1), &[]).is_err());
    /// ```
    pub const MAX_BYTES: usize = MAX_ARMORED;

    /// Opens a proposal made by [`VerifiedFile::propose`] with the first of `identities` that can,
    /// onto a guarded page.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it is not a proposal; [`Kind::NoIdentity`] if none of `identities`
    /// opens it.
    pub fn open(armored: &str, identities: &[Identity]) -> Result<Proposal> {
        if armored.len() > MAX_ARMORED {
            return Err(Error::malformed("larger than 256 KiB: this is not a proposal"));
        }
        if !armored.trim_start().starts_with("-----BEGIN AGE ENCRYPTED FILE-----") {
            return Err(Error::malformed("this is not a proposal").with_help(
                "bootseal propose makes one. If others sent the value itself: bootseal set",
            ));
        }
        let page = unwrap_up_to(armored, "the proposal", text::MAX_TEXT, identities)?.ok_or_else(|| {
            Error::new(Kind::NoIdentity, "no available key opens this proposal")
                .with_help("A proposal is encrypted to the writers that the vault had when the proposal was made.")
        })?;
        page.expose(text::read)
    }

    /// The id of the vault that the proposal claims to be for.
    ///
    /// See the example of [`Proposal`].
    pub fn vault_id(&self) -> VaultId {
        self.vault
    }

    /// The property that the proposal is for.
    ///
    /// See the example of [`Proposal`].
    pub fn path(&self) -> &PropertyPath {
        &self.path
    }

    /// The time at which the proposal claims to have been made, in seconds since 1970-01-01 UTC.
    ///
    /// See the example of [`Proposal`].
    pub fn proposed_at(&self) -> u64 {
        self.proposed_at
    }

    /// The sender's note, which is empty if there is none. Print it only through
    /// [`Shown`](crate::Shown), because it may contain any character.
    ///
    /// See the example of [`Proposal`].
    pub fn note(&self) -> &str {
        &self.note
    }
}

impl Vault<CanWrite> {
    /// Checks whether `proposal` may be accepted at `now` (seconds since 1970-01-01 UTC). Returns
    /// the time at which the value to be replaced was set; `None` for a new property.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if the proposal is for another vault; [`Kind::Conflict`] if the
    /// property cannot be proposed, or if the proposal is not newer than the present value or is
    /// from the future; and the errors of [`Vault::open`] for the present value.
    pub fn consider(&self, proposal: &Proposal, now: u64) -> Result<Option<u64>> {
        let refused = |what: &str| Err(Error::new(Kind::Conflict, what).at(&proposal.path));
        if proposal.vault != self.file().vault_id() {
            let what = format!(
                "this proposal is for the vault {}, and this is {}",
                proposal.vault,
                self.file().vault_id()
            );
            // A former id is refused too, because a former writer could have opened the proposal.
            let help = match self.file().former_ids().contains(&proposal.vault) {
                true => {
                    "This vault had that id before. Ask for a new proposal, made with the present file."
                }
                false => {
                    "Select the file of that vault with -f, or ask for a new proposal for this file."
                }
            };
            return Err(Error::new(Kind::WrongVault, what).with_help(help));
        }
        self.file().may_be_proposed(&proposal.path)?;
        if proposal.proposed_at > now.saturating_add(CLOCKS_DIFFER) {
            return refused(
                "the proposal has a time in the future; one of the two clocks is wrong",
            );
        }
        if self.file().is_sealed(&proposal.path).is_none() {
            return Ok(None);
        }
        let set_at = self.open(&proposal.path)?.set_at;
        // An old proposal that is sent again must not restore an old value.
        match proposal.proposed_at > set_at {
            true => Ok(Some(set_at)),
            false => refused("the proposal is not newer than the value that is sealed there"),
        }
    }

    /// Accepts a proposal that [`Vault::consider`] allows: seals its value with the time at which
    /// it was proposed.
    ///
    /// # Errors
    /// As [`Vault::consider`] and [`Vault::set`].
    ///
    /// See the example of [`Proposal`].
    pub fn accept(&mut self, proposal: &Proposal, now: u64) -> Result<()> {
        self.consider(proposal, now)?;
        // `set` raises the time past the newest removal, because no removed member can know a value
        // that is made today. But this value is as old as its proposal, and a member who was
        // removed since then may have proposed it, or opened the proposal as a writer. The value
        // must stay marked as known to that member, so it keeps its time.
        self.set_as_of(&proposal.path, proposal.kind, &proposal.value, proposal.proposed_at)
    }
}

/// Refuses paths that a stranger must not set, which are those of the format and those that decide
/// where logins and calls are sent.
fn check_place(path: &PropertyPath) -> Result<()> {
    let segments = path.segments();
    match segments {
        [top, ..] if top == "bootseal" => Err(refused(path, "belongs to the format")),
        [top, ..] if AT_THE_TOP.contains(&top.as_str()) => {
            Err(refused(path, "belongs to the fleet's or the gateway's settings"))
        }
        _ if path.settings_table().is_some() => {
            Err(refused(path, "belongs to a login profile or a route"))
        }
        _ => Ok(()),
    }
}

fn refused(path: &PropertyPath, what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{what}; no proposal can change it")).at(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::header::Access;
    use crate::file::sealed::SealedFile;

    #[test]
    fn format_and_settings_tables_cannot_be_proposed() {
        for path in [
            "bootseal.generation",
            "bootseal",
            "fleet.store",
            "gateway.admin",
            "a.login.url",
            "a.b.route.upstream",
            "a.login.headers.x",
        ] {
            assert_eq!(
                check_place(&path.parse().unwrap()).unwrap_err().kind(),
                Kind::Conflict,
                "{path}"
            );
        }
        for path in
            ["a", "a.b", "login.url", "a.login", "a.bootseal", "a.fleet.b", "\"a.login.url\""]
        {
            assert!(check_place(&path.parse().unwrap()).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_value_proposed_before_a_removal_stays_marked_as_known() {
        let alice = Identity::generate().unwrap();
        let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
        let text = Vault::create(access, "").unwrap().sign().unwrap();
        let mut file = SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap();
        let path = "a".parse().unwrap();
        let value = Secret::copy_of(b"x").unwrap();
        let sent = file.propose(&path, ValueKind::Text, &value, "", 1000).unwrap();
        file.header.removed.push(crate::file::header::Removed { name: "bob".into(), at: 2000 });
        let mut vault = file.open_for_writing(std::slice::from_ref(&alice)).unwrap();
        vault.accept(&Proposal::open(&sent, &[alice]).unwrap(), 3000).unwrap();
        let set_at = vault.open(&path).unwrap().set_at;
        assert_eq!((set_at, vault.file().known_to(set_at)), (1000, vec!["bob"]));
        vault.set(&path, ValueKind::Text, &value, 1500).unwrap();
        assert_eq!(
            vault.open(&path).unwrap().set_at,
            2001,
            "the time of a value set now is raised"
        );
    }

    #[test]
    fn a_proposal_more_than_five_minutes_in_the_future_is_refused() {
        let alice = Identity::generate().unwrap();
        let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
        let text = Vault::create(access, "").unwrap().sign().unwrap();
        let file = SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap();
        let value = Secret::copy_of(b"x").unwrap();
        let sent = file.propose(&"a".parse().unwrap(), ValueKind::Text, &value, "", 1300).unwrap();
        let vault = file.open_for_writing(std::slice::from_ref(&alice)).unwrap();
        let proposal = Proposal::open(&sent, &[alice]).unwrap();
        assert_eq!(vault.consider(&proposal, 1000).unwrap(), None);
        assert_eq!(vault.consider(&proposal, 999).unwrap_err().kind(), Kind::Conflict);
    }
}
