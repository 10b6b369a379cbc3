//! How does the circle of those who may change, and the keys with it?
//!
//! Letting someone in wraps the same keys for a longer list. Letting someone go makes new keys, seals every value anew, and remembers
//! which values the one who left has seen.

use crate::access::recipient::Recipient;
use crate::access::wrap::{wrap_data_key, wrap_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::edit;
use crate::file::header::{Access, Handover, Header, MAX_COUNT, MAX_HISTORY, Removed, Role, recipients};
use crate::keys::derive::DataKey;
use crate::keys::signing::{SigningSeed, id_of, sign_handover};
use crate::shown::Typed;
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use crate::text::toml_value::quoted;
use crate::vault::value;
use crate::vault::{CanWrite, Vault};
use std::collections::HashMap;

/// The last second that can be written as a date: that of the time library, some hours before TOML's.
const LAST_SECOND: u64 = 253_402_207_199;

impl Vault<CanWrite> {
    /// Adds someone to the access list: the same data key, wrapped anew for the longer list. No value changes.
    ///
    /// # Errors
    /// [`Kind::Exists`] where name or recipient are there already; [`Kind::Usage`] where a recipient cannot be wrapped to.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// let web1 = Identity::generate()?;
    /// vault.add_access(Access::new("web1", Role::Reader, web1.recipient())?)?;
    /// let file = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?;
    /// assert_eq!(file.role_of(&[web1]), Some(Role::Reader));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn add_access(&mut self, access: Access) -> Result<()> {
        self.refuse_taken(&access, None)?;
        let own = edit::append_access(&self.file.own, &access)?;
        let list = self.file.header.access.iter().cloned().chain([access]).collect();
        self.wrap_for(own, list)
    }

    /// Removes someone: a new data key, every value sealed anew; for a writer a new signing key too, and so a new vault id, to which
    /// the old key hands over. `now` in seconds since 1970-01-01 UTC.
    ///
    /// Returns what the removed one knew: every sealed value. The file keeps that list until each has been given anew.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where nobody has that name; [`Kind::Conflict`] for the last writer, and where 64 others who were removed
    /// still know values; those of [`Vault::open`] where a value does not open.
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
        let at = self.position(name)?;
        let mut list = self.file.header.access.clone();
        let gone = list.remove(at);
        if !list.iter().any(|access| access.role == Role::Writer) {
            return Err(Error::new(
                Kind::Conflict,
                format!("{name} is the only writer; without one nobody could change the file"),
            )
            .with_help("Let another one in first: bootseal access add NAME RECIPIENT --writer"));
        }
        let own = edit::drop_access(&self.file.own, at, &list)?;
        let (removed, exposed) = self.known_by(name, now)?;
        self.rekey(own, list, removed, gone.role == Role::Writer)?;
        Ok(exposed)
    }

    /// Puts `access` in the place of the entry of that name. A reader who becomes a writer with the same recipient is an addition;
    /// everything else is a removal and an addition in one, with what [`Vault::remove_access`] does and returns.
    ///
    /// # Errors
    /// As [`Vault::remove_access`] and [`Vault::add_access`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "")?;
    /// let old = vault.file().vault_id();
    /// let new_laptop = Identity::generate()?;
    /// vault.replace_access(Access::new("alice", Role::Writer, new_laptop.recipient())?, 1_700_000_000)?;
    /// assert_ne!(vault.file().vault_id(), old); // alice's old key can sign no more
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn replace_access(&mut self, access: Access, now: u64) -> Result<Vec<PropertyPath>> {
        let at = self.position(&access.name)?;
        self.refuse_taken(&access, Some(at))?;
        let mut list = self.file.header.access.clone();
        let before = std::mem::replace(&mut list[at], access.clone());
        if !list.iter().any(|access| access.role == Role::Writer) {
            return Err(Error::new(
                Kind::Conflict,
                format!("{} is the only writer; without one nobody could change the file", access.name),
            ));
        }
        let own = edit::replace_access(&self.file.own, at, &access)?;
        let same_key = before.recipient == access.recipient;
        if same_key && (before.role == Role::Reader || access.role == Role::Writer) {
            self.wrap_for(own, list)?;
            return Ok(Vec::new());
        }
        // Who goes on reading with the same key knows the values anyway.
        let (removed, exposed) = match same_key {
            true => (self.file.header.removed.clone(), Vec::new()),
            false => self.known_by(&access.name, now)?,
        };
        self.rekey(own, list, removed, before.role == Role::Writer)?;
        Ok(exposed)
    }

    /// A new data key, every value sealed anew, with the time at which it was given. With `signing_key` a new vault id too.
    ///
    /// # Errors
    /// Those of [`Vault::open`] where a value does not open; [`Kind::Io`] without random numbers or guarded memory.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "")?;
    /// let before = (vault.file().epoch(), vault.file().vault_id());
    /// vault.rotate(false)?;
    /// assert_eq!((vault.file().epoch(), vault.file().vault_id()), (before.0 + 1, before.1));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn rotate(&mut self, signing_key: bool) -> Result<()> {
        let header = &self.file.header;
        self.rekey(self.file.own.clone(), header.access.clone(), header.removed.clone(), signing_key)
    }

    fn position(&self, name: &str) -> Result<usize> {
        let access = &self.file.header.access;
        access.iter().position(|access| access.name == name).ok_or_else(|| {
            let error = Error::new(Kind::NotFound, format!("nobody in access is called {}", Typed(name)));
            self.placed(error.with_help(format!("There are: {}", self.file.who())))
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
                Err(Error::new(Kind::Exists, format!("{} ({}) has {what} already", other.name, other.role)))
            }
            None => Ok(()),
        }
    }

    /// The same keys for another list.
    fn wrap_for(&mut self, own: String, list: Vec<Access>) -> Result<()> {
        let recipients = recipients(&list, None);
        let read_key = wrap_data_key(&self.mode.data_key, &recipients)?;
        let mut own = edit::replace(&own, "read_key", &edit::block_text(&read_key))?;
        let writers = recipients_of_writers(&list);
        if writers != recipients_of_writers(&self.file.header.access) {
            let write_key = wrap_writer_keys(&self.mode.seed, &self.mode.data_key, &writers)?;
            own = edit::replace(&own, "write_key", &edit::block_text(&write_key))?;
            self.file.header.write_key = write_key;
        }
        (self.file.header.access, self.file.header.read_key) = (list, read_key);
        self.file.own = own;
        Ok(())
    }

    /// `removed` with the word that `name` knows every value that is sealed now, and which these are.
    fn known_by(&mut self, name: &str, now: u64) -> Result<(Vec<Removed>, Vec<PropertyPath>)> {
        self.forget_removals()?;
        let mut removed = self.file.header.removed.clone();
        let mut at = now;
        let mut exposed = Vec::new();
        for (path, opened) in self.open_all()? {
            // A clock that went wrong must not leave a value unmarked.
            at = at.max(opened.set_at);
            exposed.push(path);
        }
        removed.retain(|removed| removed.name != name);
        if removed.len() >= MAX_HISTORY {
            let text =
                format!("{MAX_HISTORY} who were removed still know values of this file, and more names are not kept");
            return Err(Error::new(Kind::Conflict, text)
                .with_help("Give those values anew: `bootseal list` shows which are known to whom."));
        }
        if !exposed.is_empty() {
            removed.push(Removed { name: name.to_owned(), at: at.min(LAST_SECOND) });
        }
        Ok((removed, exposed))
    }

    /// Writes down who knows every value that was given up to a time. The younger of two times of one name counts.
    pub(crate) fn mark(&mut self, marks: impl IntoIterator<Item = (String, u64)>) -> Result<()> {
        let removed = &mut self.file.header.removed;
        for (name, at) in marks {
            let at = at.min(LAST_SECOND);
            match removed.iter_mut().find(|other| other.name == name) {
                Some(other) => other.at = other.at.max(at),
                None => removed.push(Removed { name, at }),
            }
        }
        removed.sort_by_key(|removed| removed.at);
        self.file.own = edit::set_removed(&self.file.own, removed)?;
        Ok(())
    }

    /// Gives an entry of the access list another name; who opens stays the same.
    pub(crate) fn rename_access(&mut self, old: &str, access: &Access) -> Result<()> {
        let at = self.position(old)?;
        self.refuse_taken(access, Some(at))?;
        self.file.own = edit::replace_access(&self.file.own, at, access)?;
        self.file.header.access[at] = access.clone();
        Ok(())
    }

    /// Takes out of `removed` who knows no value any more.
    pub(crate) fn forget_removals(&mut self) -> Result<()> {
        if self.file.header.removed.is_empty() {
            return Ok(());
        }
        // Where a value does not open, its date cannot be told: all names stay.
        let Ok(values) = self.open_all() else { return Ok(()) };
        let oldest = values.iter().map(|(_, opened)| opened.set_at).min();
        let before = self.file.header.removed.len();
        self.file.header.removed.retain(|removed| oldest.is_some_and(|oldest| oldest <= removed.at));
        if self.file.header.removed.len() < before {
            self.file.own = edit::set_removed(&self.file.own, &self.file.header.removed)?;
        }
        Ok(())
    }

    /// New keys for `list`: what was wrapped for others opens nothing from here on.
    fn rekey(&mut self, own: String, list: Vec<Access>, removed: Vec<Removed>, signing_key: bool) -> Result<()> {
        let old = self.file.vault_id();
        let data_key = DataKey::generate()?;
        let new_seed = if signing_key { Some(SigningSeed::generate()?) } else { None };
        let seed = new_seed.as_ref().unwrap_or(&self.mode.seed);
        let id = id_of(seed);
        let key = data_key.value_key(&id)?;
        let mut changes = HashMap::new();
        for (path, property) in self.file.document.iter() {
            if let Property::Sealed(_) = property {
                let opened = self.open(path)?;
                let set_at = opened.set_at.min(LAST_SECOND);
                changes
                    .insert(path.clone(), quoted(&value::seal(&key, &id, path, opened.kind, set_at, &opened.secret)?));
            }
        }
        let document = Document::parse(self.file.document.with_all(&changes)?)?;

        let header = &self.file.header;
        let epoch = header.epoch.saturating_add(1);
        if epoch > MAX_COUNT {
            return Err(Error::new(Kind::Conflict, "there can be no more new keys: the format counts to 2^53")
                .with_help("Make a vault of its own for the same people: bootseal init --like FILE"));
        }
        let mut handover = header.handover.clone();
        if signing_key {
            let generation = header.generation.max(1);
            handover.push(Handover {
                from: old,
                generation,
                signature: sign_handover(&self.mode.seed, generation, &id),
            });
            if handover.len() > MAX_HISTORY {
                handover.remove(0);
            }
        }
        let read_key = wrap_data_key(&data_key, &recipients(&list, None))?;
        let write_key = wrap_writer_keys(seed, &data_key, &recipients_of_writers(&list))?;
        let own = edit::replace(&own, "epoch", &epoch.to_string())?;
        let own = edit::set_removed(&own, &removed)?;
        let own = edit::set_handover(&own, &handover)?;
        let own = edit::replace(&own, "read_key", &edit::block_text(&read_key))?;
        let own = edit::replace(&own, "write_key", &edit::block_text(&write_key))?;
        let own = edit::replace(&own, "vault", &quoted(&id.to_string()))?;

        self.file.header = Header {
            generation: header.generation,
            epoch,
            access: list,
            removed,
            handover,
            read_key,
            write_key,
            vault: id,
        };
        self.file.own = own;
        self.file.document = document;
        self.key = key;
        self.mode.data_key = data_key;
        if let Some(seed) = new_seed {
            self.mode.seed = seed;
        }
        Ok(())
    }
}

fn recipients_of_writers(list: &[Access]) -> Vec<Recipient> {
    recipients(list, Some(Role::Writer))
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::sealed::SealedFile;
    use crate::file::verified::VerifiedFile;
    use crate::keys::pin::Pin;
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
            let (alice, bob, web1) =
                (Identity::generate().unwrap(), Identity::generate().unwrap(), Identity::generate().unwrap());
            let list = vec![
                access("alice", Role::Writer, &alice),
                access("bob", Role::Writer, &bob),
                access("web1", Role::Reader, &web1),
            ];
            let mut vault = Vault::create(list, "# ours\n[acme]\nuser = \"u\" # who\n").unwrap();
            for name in ["acme.password", "acme.token", "db"] {
                vault.set(&path(name), ValueKind::Text, &Secret::copy_of(name.as_bytes()).unwrap(), 100).unwrap();
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
    fn a_removed_reader_opens_nothing_and_what_it_knew_stays_marked_until_given_anew() {
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
                assert_eq!(value::open(&old.key, &file.vault_id(), name, text).unwrap_err().kind(), Kind::MovedValue);
            }
        }
        // Its clock was behind: what was given "later" than the removal is marked nevertheless.
        assert_eq!(file.known_to(100), ["web1"]);
        let file = team.change(|vault| vault.rotate(false).unwrap());
        assert_eq!(file.known_to(100), ["web1"]);
        for (at, name) in ["db", "acme.password", "acme.token"].into_iter().enumerate() {
            let file = team.change(|vault| {
                vault.set(&path(name), ValueKind::Text, &Secret::copy_of(b"new").unwrap(), 60).unwrap()
            });
            assert_eq!(file.known_to(100).is_empty(), at == 2, "{name}");
        }
        assert!(team.text.contains("removed = []"));
        assert!(team.text.contains("# ours\n[acme]\nuser = \"u\" # who\n"));
    }

    #[test]
    fn a_removed_writer_leaves_another_vault_id_and_a_chain_that_leads_to_it() {
        let mut team = Team::new();
        let first = team.file().vault_id();
        let second = team.change(|vault| drop(vault.remove_access("bob", 200).unwrap())).vault_id();
        assert_ne!(first, second);
        let third = team.change(|vault| vault.rotate(true).unwrap()).vault_id();
        assert!(!team.opens(&team.bob) && team.opens(&team.alice) && team.opens(&team.web1));
        let file = SealedFile::parse(team.text.clone().into_bytes()).unwrap().verify(&[Pin::from(first)]).unwrap();
        assert_eq!((file.handed_over_from(), file.vault_id(), file.epoch()), (Some(first), third, 3));
        assert_eq!(file.former_ids(), [first, second]);
    }

    #[test]
    fn the_chain_keeps_the_64_newest() {
        let mut team = Team::new();
        let first = team.file().vault_id();
        let second = team.change(|vault| vault.rotate(true).unwrap()).vault_id();
        let file = team.change(|vault| (0..64).for_each(|_| vault.rotate(true).unwrap()));
        assert_eq!(file.former_ids().len(), 64);
        assert!(!file.former_ids().contains(&first) && file.former_ids().contains(&second));
    }

    #[test]
    fn a_change_of_role_or_recipient_is_a_removal_only_where_someone_loses_something() {
        let mut team = Team::new();
        let before = team.file();
        let web1 = team.web1.clone();
        let file = team.change(|vault| drop(vault.replace_access(access("web1", Role::Writer, &web1), 200).unwrap()));
        assert_eq!(
            (file.vault_id(), file.epoch(), file.role_of(&[web1.clone()])),
            (before.vault_id(), 1, Some(Role::Writer))
        );
        assert!(file.open_for_writing(&[web1.clone()]).is_ok());
        let file = team.change(|vault| drop(vault.replace_access(access("web1", Role::Reader, &web1), 200).unwrap()));
        assert_ne!(file.vault_id(), before.vault_id());
        assert!(file.known_to(100).is_empty() && team.opens(&web1));
        let other = Identity::generate().unwrap();
        let file = team.change(|vault| drop(vault.replace_access(access("web1", Role::Reader, &other), 200).unwrap()));
        assert_eq!((file.epoch(), file.known_to(100)), (3, vec!["web1"]));
        assert!(!team.opens(&web1) && team.opens(&other));
    }

    #[test]
    fn the_last_writer_stays() {
        let mut team = Team::new();
        let alice = team.alice.clone();
        team.change(|vault| {
            vault.remove_access("bob", 200).unwrap();
            assert_eq!(vault.remove_access("alice", 200).unwrap_err().kind(), Kind::Conflict);
            assert_eq!(
                vault.replace_access(access("alice", Role::Reader, &alice), 200).unwrap_err().kind(),
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
            vault.file.own = edit::replace(&vault.file.own, "access", &list).unwrap();
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
