//! The members of the access list. Adding a member wraps the same keys for a longer list, and
//! removing a member creates new keys.
//!
//! Removing a member also seals every value again under the new keys, and records which values the
//! member knows.

use crate::access::wrap::{wrap_data_key, wrap_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{Access, Role, edit, recipients};
use crate::shown::{Typed, some_names};
use crate::text::path::PropertyPath;
use crate::vault::{CanWrite, Vault};

impl Vault<CanWrite> {
    /// Adds a member to the access list, and wraps the same data key for the longer list. No value
    /// changes.
    ///
    /// # Errors
    /// [`Kind::Exists`] if the name or the recipient is in the list already; [`Kind::Usage`] if a
    /// recipient cannot be wrapped to.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// use bootseal_core::{Access, Identity, Role};
    /// let web1 = Identity::generate()?;
    /// vault.add_access(Access::new("web1", Role::Reader, web1.recipient())?)?;
    /// let (_, file) = vault.sign_above(0)?;
    /// assert_eq!(file.role_of(&[web1]), Some(Role::Reader));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn add_access(&mut self, access: Access) -> Result<()> {
        self.refuse_taken(&access, None)?;
        let own = edit::append_access(&self.file.own, &access)?;
        let list = self.file.header.access.iter().cloned().chain([access]).collect();
        self.wrap_for(own, list)
    }

    /// Removes a member, makes a new data key, and seals every value again. If the member is a
    /// writer, this also makes a new signing key and therefore a new vault id, to which the old key
    /// hands over the vault. `now` is in seconds since 1970-01-01 UTC.
    ///
    /// Returns the paths of the values that the removed member knows, which are all sealed values.
    /// The file keeps this record until each value has been replaced.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if no member has that name; [`Kind::Conflict`] for the last writer;
    /// the errors of [`Vault::open`] if a value does not open.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// let (alice, bob) = (Identity::generate()?, Identity::generate()?);
    /// let access = vec![
    ///     Access::new("alice", Role::Writer, alice.recipient())?,
    ///     Access::new("bob", Role::Reader, bob.recipient())?,
    /// ];
    /// let mut vault = Vault::create(access, "")?;
    /// vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
    /// let exposed = vault.remove_access("bob", 1_700_000_100)?;
    /// assert_eq!(exposed.len(), 1); // bob knows acme.password: change it at the vendor
    ///
    /// let file = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?;
    /// assert_eq!(file.role_of(&[bob]), None);
    /// assert_eq!(file.known_to(1_700_000_000), ["bob"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn remove_access(&mut self, name: &str, now: u64) -> Result<Vec<PropertyPath>> {
        self.remove_all_access(&[name], now)
    }

    /// Removes several members in one step, as [`Vault::remove_access`] does for one. Keys are
    /// wrapped only for those who stay, so members whose recipients cannot be wrapped to can be
    /// removed together.
    ///
    /// # Errors
    /// As [`Vault::remove_access`]; [`Kind::Conflict`] if no writer would be left; [`Kind::Usage`]
    /// for a recipient of another member that cannot be wrapped to.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// use bootseal_core::{Access, Identity, Role};
    /// for name in ["web1", "web2"] {
    ///     vault.add_access(Access::new(name, Role::Reader, Identity::generate()?.recipient())?)?;
    /// }
    /// vault.remove_all_access(&["web1", "web2"], 1_700_000_000)?;
    /// assert_eq!((vault.file().access().len(), vault.file().epoch()), (1, 2));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn remove_all_access(&mut self, names: &[&str], now: u64) -> Result<Vec<PropertyPath>> {
        let mut list = self.file.header.access.clone();
        let mut own = self.file.own.to_string();
        let mut writer_goes = false;
        let mut gone: Vec<&str> = Vec::new();
        for name in names {
            if gone.contains(name) {
                continue;
            }
            self.position(name)?;
            let Some(at) = list.iter().position(|access| access.name == *name) else { continue };
            writer_goes |= list.remove(at).role == Role::Writer;
            own = edit::drop_access(&own, at, &list)?;
            gone.push(name);
        }
        if !list.iter().any(|access| access.role == Role::Writer) {
            let what = match &gone[..] {
                [name] => format!("{name} is the only writer"),
                names => format!("{} are the only writers", some_names(names)),
            };
            let what = format!("{what}; without one nobody could change the file");
            return Err(Error::new(Kind::Conflict, what).with_help(
                "Add another writer first: bootseal access add NAME RECIPIENT --writer",
            ));
        }
        let (removed, exposed) = self.known_by(&gone, now)?;
        self.rekey(own, list, removed, writer_goes)?;
        Ok(exposed)
    }

    /// Replaces the entry of that name with `access`. If a reader becomes a writer with the same
    /// recipient, this is an addition. Any other change is a removal and an addition in one step,
    /// with the effects and the return value of [`Vault::remove_access`]. If the recipient stays
    /// the same, no value is returned or marked as known, because the member can still read all
    /// values. In this case, a member who has a passphrase keeps it.
    ///
    /// # Errors
    /// As [`Vault::remove_access`], [`Vault::add_access`] and [`Access::in_place_of`].
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// use bootseal_core::{Access, Identity, Role};
    /// let old = vault.file().vault_id();
    /// let new_laptop = Identity::generate()?;
    /// vault.replace_access(Access::new("alice", Role::Writer, new_laptop.recipient())?, 1_700_000_000)?;
    /// assert_ne!(vault.file().vault_id(), old); // alice's old key can no longer sign
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn replace_access(&mut self, access: Access, now: u64) -> Result<Vec<PropertyPath>> {
        let at = self.position(&access.name)?;
        self.refuse_taken(&access, Some(at))?;
        let mut list = self.file.header.access.clone();
        let access = access.in_place_of(&list[at])?;
        let before = std::mem::replace(&mut list[at], access.clone());
        if !list.iter().any(|access| access.role == Role::Writer) {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "{} is the only writer; without one nobody could change the file",
                    access.name
                ),
            ));
        }
        let own = edit::replace_access(&self.file.own, at, &access)?;
        let same_key = before.recipient == access.recipient;
        if same_key && (before.role == Role::Reader || access.role == Role::Writer) {
            self.wrap_for(own, list)?;
            return Ok(Vec::new());
        }
        // A member who can still read with the same key knows the values anyway.
        let (removed, exposed) = match same_key {
            true => (self.file.header.removed.clone(), Vec::new()),
            false => self.known_by(&[&access.name], now)?,
        };
        self.rekey(own, list, removed, before.role == Role::Writer)?;
        Ok(exposed)
    }

    fn position(&self, name: &str) -> Result<usize> {
        let access = &self.file.header.access;
        access.iter().position(|access| access.name == name).ok_or_else(|| {
            let error =
                Error::new(Kind::NotFound, format!("nobody in access is called {}", Typed(name)));
            self.placed(error.with_help(format!("Members: {}", self.file.who())))
        })
    }

    fn refuse_taken(&self, access: &Access, but: Option<usize>) -> Result<()> {
        let others = self.file.header.access.iter().enumerate().filter(|(at, _)| Some(*at) != but);
        match others
            .map(|(_, other)| other)
            .find(|other| other.name == access.name || other.recipient == access.recipient)
        {
            Some(other) => {
                let what = if other.name == access.name { "that name" } else { "that recipient" };
                Err(Error::new(
                    Kind::Exists,
                    format!("{} ({}) has {what} already", other.name, other.role),
                ))
            }
            None => Ok(()),
        }
    }

    /// Wraps the same keys for another list.
    fn wrap_for(&mut self, own: String, list: Vec<Access>) -> Result<()> {
        let read_key = wrap_data_key(&self.mode.data_key, &recipients(&list, None))
            .map_err(|error| self.unusable(error, &list))?;
        let mut own = edit::replace(&own, "read_key", &edit::block_text(&read_key))?;
        let writers = recipients(&list, Some(Role::Writer));
        if writers != recipients(&self.file.header.access, Some(Role::Writer)) {
            let write_key = wrap_writer_keys(&self.mode.seed, &self.mode.data_key, &writers)?;
            own = edit::replace(&own, "write_key", &edit::block_text(&write_key))?;
            self.file.header.write_key = write_key;
        }
        (self.file.header.access, self.file.header.read_key) = (list, read_key);
        self.file.own = own.into();
        Ok(())
    }

    /// Gives a member another name. The keys stay the same, so the member can open and change what it
    /// could before.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if no member is called `old`; [`Kind::Exists`] if another member is called
    /// `new`; [`Kind::Usage`] if `new` is not a valid name.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// vault.rename_access("alice", "alice@laptop")?;
    /// assert_eq!(vault.file().access()[0].name, "alice@laptop");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn rename_access(&mut self, old: &str, new: &str) -> Result<()> {
        let at = self.position(old)?;
        let before = self.file.header.access[at].clone();
        let valid = Access::new(new, before.role, before.recipient.clone())?;
        self.refuse_taken(&valid, Some(at))?;
        let access = Access { name: valid.name, ..before };
        self.file.own = edit::replace_access(&self.file.own, at, &access)?.into();
        self.file.header.access[at] = access;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Header, MAX_COUNT};
    use crate::file::sealed::SealedFile;
    use crate::file::verified::VerifiedFile;
    use crate::keys::pin::Pin;
    use crate::text::document::Property;
    use crate::vault::value;
    use crate::vault::value::ValueKind;
    use bootseal_memory::Secret;

    struct Team {
        alice: Identity,
        bob: Identity,
        web1: Identity,
        text: String,
    }

    fn access(name: &str, role: Role, identity: &Identity) -> Access {
        Access::new(name, role, identity.recipient()).unwrap()
    }

    fn path(text: &str) -> PropertyPath {
        text.parse().unwrap()
    }

    impl Team {
        fn new() -> Team {
            let (alice, bob, web1) = (
                Identity::generate().unwrap(),
                Identity::generate().unwrap(),
                Identity::generate().unwrap(),
            );
            let list = vec![
                access("alice", Role::Writer, &alice),
                access("bob", Role::Writer, &bob),
                access("web1", Role::Reader, &web1),
            ];
            let mut vault = Vault::create(list, "# ours\n[acme]\nuser = \"u\" # who\n").unwrap();
            for name in ["acme.password", "acme.token", "db"] {
                vault
                    .set(
                        &path(name),
                        ValueKind::Text,
                        &Secret::copy_of(name.as_bytes()).unwrap(),
                        100,
                    )
                    .unwrap();
            }
            let text = vault.sign().unwrap();
            Team { alice, bob, web1, text }
        }

        fn file(&self) -> VerifiedFile {
            SealedFile::parse(self.text.clone().into_bytes()).unwrap().verify(&[]).unwrap()
        }

        fn change(&mut self, change: impl FnOnce(&mut Vault<CanWrite>)) -> VerifiedFile {
            let mut vault = self.file().open_for_writing(&[self.alice.clone()]).unwrap();
            change(&mut vault);
            self.text = vault.sign().unwrap();
            self.file()
        }

        fn opens(&self, who: &Identity) -> bool {
            self.file().open(&[who.clone()]).is_ok_and(|vault| vault.open_all().is_ok())
        }
    }

    #[test]
    fn a_removed_reader_opens_nothing_and_its_values_stay_marked_until_replaced() {
        let mut team = Team::new();
        let before = team.file();
        let mut exposed = Vec::new();
        let file = team.change(|vault| exposed = vault.remove_access("web1", 50).unwrap());
        assert_eq!(exposed, ["db", "acme.password", "acme.token"].map(path));
        assert_eq!((file.vault_id(), file.epoch(), file.generation()), (before.vault_id(), 2, 2));
        assert!(!team.opens(&team.web1) && team.opens(&team.bob));
        // The old key opens no value of the new file either.
        let old = before.open(&[team.web1.clone()]).unwrap();
        for (name, property) in file.properties() {
            if let Property::Sealed(text) = property {
                assert_eq!(
                    value::open(&old.key, &file.vault_id(), &name, &text).unwrap_err().kind(),
                    Kind::MovedValue
                );
            }
        }
        // The clock was behind: values set "later" than the removal are marked nevertheless.
        assert_eq!(file.known_to(100), ["web1"]);
        let file = team.change(|vault| vault.rotate(false).unwrap());
        assert_eq!(file.known_to(100), ["web1"]);
        for (at, name) in ["db", "acme.password", "acme.token"].into_iter().enumerate() {
            let file = team.change(|vault| {
                vault
                    .set(&path(name), ValueKind::Text, &Secret::copy_of(b"new").unwrap(), 60)
                    .unwrap()
            });
            assert_eq!(file.known_to(100).is_empty(), at == 2, "{name}");
        }
        assert!(team.text.contains("removed = []"));
        assert!(team.text.contains("# ours\n[acme]\nuser = \"u\" # who\n"));
    }

    #[test]
    fn removing_a_writer_makes_a_new_vault_id_and_a_handover_chain() {
        let mut team = Team::new();
        let first = team.file().vault_id();
        let second = team.change(|vault| drop(vault.remove_access("bob", 200).unwrap())).vault_id();
        assert_ne!(first, second);
        let third = team.change(|vault| vault.rotate(true).unwrap()).vault_id();
        assert!(!team.opens(&team.bob) && team.opens(&team.alice) && team.opens(&team.web1));
        let file = SealedFile::parse(team.text.clone().into_bytes())
            .unwrap()
            .verify(&[Pin::from(first)])
            .unwrap();
        assert_eq!(
            (file.handed_over_from(), file.vault_id(), file.epoch()),
            (Some(first), third, 1)
        );
        assert_eq!(file.former_ids(), [first, second]);
    }

    /// Found by review: a writer signed epoch 2^53, after which no member could be removed.
    #[test]
    fn a_writer_who_signs_the_highest_epoch_can_be_removed() {
        let mut team = Team::new();
        team.change(|vault| set_epoch(vault, MAX_COUNT));
        let mut vault = team.file().open_for_writing(&[team.alice.clone()]).unwrap();
        let error = vault.remove_access("web1", 200).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.to_string().contains("bootseal rotate --signing-key"), "{error}");
        // Removing the writer starts a new id, which has its own epochs.
        let file = team.change(|vault| drop(vault.remove_access("bob", 200).unwrap()));
        assert_eq!(file.epoch(), 1);
        let file = team.change(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        assert_eq!(file.epoch(), 2);
        team.change(|vault| set_epoch(vault, MAX_COUNT));
        let id = team.file().vault_id();
        let file = team.change(|vault| vault.rotate(true).unwrap());
        assert_eq!((file.epoch(), file.former_ids().contains(&id)), (1, true));
    }

    #[test]
    fn a_rotation_above_a_seen_epoch_gets_a_new_id_only_above_the_highest_real_epoch() {
        let mut team = Team::new();
        let id = team.file().vault_id();
        let file = team.change(|vault| vault.rotate_above(7).unwrap());
        assert_eq!((file.epoch(), file.vault_id()), (8, id));
        let file = team.change(|vault| vault.rotate_above(3).unwrap());
        assert_eq!((file.epoch(), file.vault_id()), (9, id));
        let file = team.change(|vault| vault.rotate_above(MAX_COUNT).unwrap());
        assert_eq!((file.epoch(), file.former_ids()), (1, vec![id]));
    }

    fn set_epoch(vault: &mut Vault<CanWrite>, epoch: u64) {
        vault.file.header.epoch = epoch;
        vault.file.own =
            edit::replace(&vault.file.own, "epoch", &epoch.to_string()).unwrap().into();
    }

    #[test]
    fn the_handover_chain_keeps_the_64_newest_entries() {
        let mut team = Team::new();
        let first = team.file().vault_id();
        let second = team.change(|vault| vault.rotate(true).unwrap()).vault_id();
        let file = team.change(|vault| (0..64).for_each(|_| vault.rotate(true).unwrap()));
        assert_eq!(file.former_ids().len(), 64);
        assert!(!file.former_ids().contains(&first) && file.former_ids().contains(&second));
    }

    #[test]
    fn a_change_of_role_or_recipient_is_a_removal_only_if_someone_loses_access() {
        let mut team = Team::new();
        let before = team.file();
        let web1 = team.web1.clone();
        let file = team.change(|vault| {
            drop(vault.replace_access(access("web1", Role::Writer, &web1), 200).unwrap())
        });
        assert_eq!(
            (file.vault_id(), file.epoch(), file.role_of(&[web1.clone()])),
            (before.vault_id(), 1, Some(Role::Writer))
        );
        assert!(file.open_for_writing(&[web1.clone()]).is_ok());
        let file = team.change(|vault| {
            drop(vault.replace_access(access("web1", Role::Reader, &web1), 200).unwrap())
        });
        assert_ne!(file.vault_id(), before.vault_id());
        assert!(file.known_to(100).is_empty() && team.opens(&web1));
        let other = Identity::generate().unwrap();
        let file = team.change(|vault| {
            drop(vault.replace_access(access("web1", Role::Reader, &other), 200).unwrap())
        });
        assert_eq!((file.epoch(), file.known_to(100)), (2, vec!["web1"]));
        assert!(!team.opens(&web1) && team.opens(&other));
    }

    #[test]
    fn the_last_writer_cannot_be_removed() {
        let mut team = Team::new();
        let alice = team.alice.clone();
        team.change(|vault| {
            vault.remove_access("bob", 200).unwrap();
            assert_eq!(vault.remove_access("alice", 200).unwrap_err().kind(), Kind::Conflict);
            assert_eq!(
                vault
                    .replace_access(access("alice", Role::Reader, &alice), 200)
                    .unwrap_err()
                    .kind(),
                Kind::Conflict
            );
            assert_eq!(vault.remove_access("nobody", 200).unwrap_err().kind(), Kind::NotFound);
        });
    }

    #[test]
    fn comments_and_hand_written_lists_survive_a_removal() {
        let team = Team::new();
        let line = |identity: &Identity| format!("recipient = \"{}\" }}", identity);
        for list in [
            format!(
                "[{{ name = \"alice\", role = \"writer\", {}, {{ name = \"bob\", role = \"reader\", {}]",
                line(&team.alice),
                line(&team.bob)
            ),
            format!(
                "[\n  # first\n  {{ name = \"alice\", role = \"writer\", {}, # boss\n  {{ name = \"bob\", role = \"reader\", {} # gone\n  # last\n]",
                line(&team.alice),
                line(&team.bob)
            ),
            format!(
                "[\n  {{ name = \"bob\", role = \"reader\", {}\n  , {{ name = \"alice\", role = \"writer\", {}\n]",
                line(&team.bob),
                line(&team.alice)
            ),
        ] {
            let mut vault = team.file().open_for_writing(&[team.alice.clone()]).unwrap();
            vault.file.own = edit::replace(&vault.file.own, "access", &list).unwrap().into();
            vault.file.header.access = Header::parse(&vault.file.own).unwrap().access;
            vault.remove_access("bob", 200).unwrap();
            let text = vault.sign().unwrap();
            let file = SealedFile::parse(text.clone().into_bytes()).unwrap().verify(&[]).unwrap();
            assert_eq!(file.access().len(), 1);
            for comment in ["# first", "# boss", "# last"] {
                assert_eq!(list.contains(comment), text.contains(comment), "{text}");
            }
            assert!(!text.contains("# gone"));
        }
    }
}
