//! What was seen of this file before? The memory of a writer's machine, and of a host: file → vault id, generation, epoch.

use crate::disk::folder::{create_private_parent, real_path};
use crate::disk::lock::FileLock;
use crate::error::{Error, Kind, Result, Shown};
use crate::file::sealed::{Trust, VerifiedFile};
use crate::keys::signing::VaultId;
use crate::text::document::{parse_toml, to_value};
use crate::text::path::BasicString;
use crate::text::table_reader::Fields;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Value;
use toml::de::DeValue;

/// By what a file is known: a writer's machine goes by its path, a host, where the path is another at each deployment, by a name.
///
/// ```
/// # use bootseal_core::KnownFile;
/// let place = KnownFile::named("app.sealed.toml");
/// let path = KnownFile::of_path("deploy/app.sealed.toml".as_ref());
/// # assert!(path.is_err()); // there is no such folder here
/// ```
#[derive(Clone, Debug)]
pub struct KnownFile {
    keys: Vec<String>,
    shown: PathBuf,
}

impl KnownFile {
    /// The path that is asked for and, after links, the real one: a link that leads to another vault is another file.
    ///
    /// # Errors
    /// [`Kind::Io`] where the path's folder cannot be followed.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// let place = bootseal_core::KnownFile::of_path(&folder.path().join("app.sealed.toml"))?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn of_path(path: &Path) -> Result<KnownFile> {
        let unfollowed = |error| Error::new(Kind::Io, format!("cannot be followed: {error}")).in_file(path);
        let real = real_path(path).map_err(unfollowed)?;
        let absolute = std::path::absolute(path).map_err(unfollowed)?;
        // `absolute` keeps `..`, whose meaning depends on links: such a path is known by where it leads.
        let asked = match absolute.components().any(|component| component == std::path::Component::ParentDir) {
            true => real.clone(),
            false => absolute,
        };
        let mut keys = vec![key(&asked), key(&real)];
        keys.dedup();
        Ok(KnownFile { keys, shown: path.to_path_buf() })
    }

    /// A name, as hosts have it.
    ///
    /// ```
    /// let place = bootseal_core::KnownFile::named("app.sealed.toml");
    /// ```
    pub fn named(name: &str) -> KnownFile {
        KnownFile { keys: vec![name.to_owned()], shown: name.into() }
    }
}

/// A path as text; what is not UTF-8 cannot stand in TOML.
fn key(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => {
            let bytes = path.as_os_str().as_encoded_bytes().iter();
            format!("bytes:{}", bytes.map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

/// What is remembered of each file: which vault it was when it was last vouched for, and how far it had come.
///
/// An id becomes known because the file was made here, because a pin matched, or because someone said yes.
/// Reading a file never makes it known.
///
/// ```
/// # use bootseal_core::*;
/// # let folder = tempfile::tempdir().unwrap();
/// # let (store, path) = (folder.path().join("known_vaults"), folder.path().join("app.sealed.toml"));
/// # let me = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// # FileLock::acquire(&path)?.create(&Vault::create(me, "")?.sign()?)?;
/// let place = KnownFile::of_path(&path)?;
/// let mut file = SealedFile::read(&path)?.verify(&[])?;
/// KnownVaults::remember(&store, &place, &file)?; // it was vouched for
///
/// KnownVaults::load(&store)?.recognise(&mut file, &place)?;
/// assert_eq!(file.trust(), Trust::Remembered);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct KnownVaults {
    store: PathBuf,
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    vault: VaultId,
    /// The highest that was seen, and what was signed as it.
    generation: u64,
    text: Option<[u8; 32]>,
    /// The highest of each id.
    epochs: BTreeMap<VaultId, u64>,
    /// Ids that the file had, and that were handed over: whoever signs with them is a former writer.
    former: Vec<VaultId>,
}

impl Known {
    /// How far the file had come before. An id that was handed over counts up to there: whoever has its key can go on counting.
    fn seen_by(&self, file: &VerifiedFile) -> u64 {
        let handed_over = file.header.handed_over_at(&self.vault).filter(|_| self.vault != file.vault_id());
        handed_over.map_or(self.generation, |at| self.generation.min(at))
    }
}

impl KnownVaults {
    /// Reads the memory at `store`; where there is none yet, nothing is known.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be read, [`Kind::Malformed`] where it holds something else: a memory that cannot be read must not
    /// look like an empty one.
    ///
    /// ```
    /// # use bootseal_core::{KnownVaults, KnownFile};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// let known = KnownVaults::load(&store)?;
    /// assert!(known.vault_of(&KnownFile::named("app.sealed.toml")).is_none());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn load(store: &Path) -> Result<KnownVaults> {
        let text = match std::fs::read_to_string(store) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::new(Kind::Io, format!("cannot be read: {error}")).in_file(store)),
        };
        let known = parse(&text).map_err(|error| {
            error.in_file(store).with_help(
                "This is where bootseal remembers which vault each file is. Mend it, or move it away to begin anew.",
            )
        })?;
        Ok(KnownVaults { store: store.to_path_buf(), known })
    }

    /// The id that is known for the place.
    ///
    /// ```
    /// # use bootseal_core::{KnownVaults, KnownFile};
    /// # let folder = tempfile::tempdir().unwrap();
    /// let known = KnownVaults::load(&folder.path().join("known_vaults"))?;
    /// assert_eq!(known.vault_of(&KnownFile::named("app.sealed.toml")), None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn vault_of(&self, place: &KnownFile) -> Option<VaultId> {
        self.asked(place).map(|known| known.vault)
    }

    /// The highest generation that was seen at the place; 0 where nothing is known.
    ///
    /// ```
    /// # use bootseal_core::{KnownVaults, KnownFile};
    /// # let folder = tempfile::tempdir().unwrap();
    /// let known = KnownVaults::load(&folder.path().join("known_vaults"))?;
    /// assert_eq!(known.generation_of(&KnownFile::named("app.sealed.toml")), 0);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn generation_of(&self, place: &KnownFile) -> u64 {
        self.all(place).map(|known| known.generation).max().unwrap_or_default()
    }

    /// The highest epoch of this vault that was seen at the place; 0 where none was.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?], "")?.file().vault_id();
    /// let known = KnownVaults::load(&folder.path().join("known_vaults"))?;
    /// assert_eq!(known.epoch_of(&KnownFile::named("app.sealed.toml"), &vault), 0);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn epoch_of(&self, place: &KnownFile, vault: &VaultId) -> u64 {
        self.all(place).filter_map(|known| known.epochs.get(vault)).copied().max().unwrap_or_default()
    }

    /// By the first key a file is known; by all of them it may be refused.
    fn asked(&self, place: &KnownFile) -> Option<&Known> {
        place.keys.first().and_then(|key| self.known.get(key))
    }

    fn all<'a>(&'a self, place: &'a KnownFile) -> impl Iterator<Item = &'a Known> {
        place.keys.iter().filter_map(|key| self.known.get(key))
    }

    /// Holds a file that no pin vouches for against the memory, and marks it [`Trust::Remembered`] where it is known.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] where another id is known and none of its handovers leads to this one, or where this id was handed over.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = || -> Result<_> { Ok(vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?]) };
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &read(Vault::create(me()?, "")?.sign()?)?)?;
    ///
    /// let mut foreign = read(Vault::create(me()?, "")?.sign()?)?;
    /// let error = KnownVaults::load(&store)?.recognise(&mut foreign, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongVault);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn recognise(&self, file: &mut VerifiedFile, place: &KnownFile) -> Result<()> {
        if file.trust() == Trust::Pinned {
            return Ok(());
        }
        for known in self.all(place) {
            self.refuse_former(known, file, place)?;
            if known.vault != file.vault_id() && !file.header.continues(&known.vault) {
                let what = format!(
                    "another vault lies here: this one is {}, known for this file is {}",
                    file.vault_id(),
                    known.vault
                );
                return Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
                    "Someone may have put a vault of theirs in its place. If it was made anew on purpose, say so: --pin {}",
                    file.vault_id()
                )));
            }
        }
        if self.asked(place).is_some() {
            file.trusted_by(Trust::Remembered);
        }
        Ok(())
    }

    fn refuse_former(&self, known: &Known, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        // A pin of an old id is kept by any chain from there, and a former writer can make one that leads to an id of theirs.
        let by_chain = file.handed_over_from().is_some();
        let elsewhere = by_chain && known.vault != file.vault_id() && !file.header.continues(&known.vault);
        let chain = if elsewhere { file.former_ids() } else { Vec::new() };
        let what = if known.former.contains(&file.vault_id()) {
            format!(
                "this file is signed by {}, which was handed over to {}: a former writer may have made it",
                file.vault_id(),
                known.vault
            )
        } else if let Some(old) = chain.iter().find(|id| known.former.contains(id)) {
            format!(
                "this file hands {old} over to {}, and it was seen here that it was handed over to {}: a former writer may have made it",
                file.vault_id(),
                known.vault
            )
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
            "Put the newest file in place. What an older one held comes back with `bootseal sign`; a pin that still names the old id is renewed to {}.",
            known.vault
        )))
    }

    /// What must hold before something is sealed for this file's readers, under a pin as well: it is not from before a removal that
    /// was seen here, or the one who was removed would read it.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] for an id that was handed over, or that an old one hands over to beside what was seen here;
    /// [`Kind::OldGeneration`] for an epoch lower than known.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = Identity::generate()?;
    /// # let list = vec![Access::new("me", Role::Writer, me.recipient())?];
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// # let before = Vault::create(list, "")?.sign()?;
    /// let place = KnownFile::named("app.sealed.toml");
    /// let mut vault = read(before.clone())?.open_for_writing(&[me])?;
    /// vault.rotate(false)?;
    /// KnownVaults::remember(&store, &place, &read(vault.sign()?)?)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_older_epoch(&read(before)?, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_older_epoch(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        // Where nothing is known of a place, what was seen of its vault elsewhere counts: moved, an old file is no newer.
        let elsewhere = !self.known.keys().any(|key| place.keys.contains(key));
        for (path, known) in self.known.iter().filter(|(path, _)| elsewhere || place.keys.contains(path)) {
            self.refuse_former(known, file, place)?;
            let Some(epoch) = known.epochs.get(&file.vault_id()).filter(|epoch| **epoch > file.epoch()) else {
                continue;
            };
            let seen = if elsewhere { format!("as {}", Shown(path)) } else { "here".to_owned() };
            let what = format!(
                "this file has the data key of epoch {}, and epoch {epoch} was seen {seen}: what is sealed into it could be read by who was removed since",
                file.epoch()
            );
            return Err(Error::new(Kind::OldGeneration, what)
                .in_file(&place.shown)
                .with_help("Bring the newest file back (git pull, git checkout). To take an older content on purpose: bootseal sign"));
        }
        Ok(())
    }

    /// What must hold before a host takes the file: it is not older than what was seen here, and not another of the same age.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] for an id that was handed over; [`Kind::OldGeneration`] for a lower generation, or for the same with
    /// another text.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = Identity::generate()?;
    /// # let list = vec![Access::new("me", Role::Writer, me.recipient())?];
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// # let first = Vault::create(list, "")?.sign()?;
    /// let place = KnownFile::named("app.sealed.toml");
    /// let second = read(first.clone())?.open_for_writing(&[me])?.sign()?;
    /// KnownVaults::remember(&store, &place, &read(second)?)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_older_generation(&read(first)?, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_older_generation(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        for known in self.all(place) {
            self.refuse_former(known, file, place)?;
            let (generation, seen) = (file.generation(), known.seen_by(file));
            // Of another vault, that a pin now names, nothing is known.
            let same_line = known.vault == file.vault_id() || file.header.continues(&known.vault);
            let what = match generation.cmp(&seen) {
                _ if !same_line => continue,
                std::cmp::Ordering::Less => {
                    format!("this is generation {generation} of the file, and generation {seen} was seen here")
                }
                std::cmp::Ordering::Equal if known.text.is_some_and(|text| text != file.digest()) => {
                    format!(
                        "this is generation {generation} of the file, and another text was seen here as generation {seen}"
                    )
                }
                _ => continue,
            };
            return Err(Error::new(Kind::OldGeneration, what).in_file(&place.shown).with_help(
                "An older copy lies in the file's place. Deploy the newest one; to go back on purpose, a writer makes the old content new: bootseal sign",
            ));
        }
        Ok(())
    }

    /// Keeps what is known of `file`, which was vouched for. Returns the id that was known before where it was another one.
    ///
    /// What was seen only grows, as long as the vault is the same or was handed over; another vault begins anew. An id that was handed
    /// over never comes back.
    ///
    /// # Errors
    /// [`Kind::Io`] where the memory cannot be locked or written; those of [`KnownVaults::load`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = || -> Result<_> { Ok(vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?]) };
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// let place = KnownFile::named("app.sealed.toml");
    /// let first = read(Vault::create(me()?, "")?.sign()?)?;
    /// let other = read(Vault::create(me()?, "")?.sign()?)?;
    /// assert_eq!(KnownVaults::remember(&store, &place, &first)?, None);
    /// assert_eq!(KnownVaults::remember(&store, &place, &other)?, Some(first.vault_id()));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn remember(store: &Path, place: &KnownFile, file: &VerifiedFile) -> Result<Option<VaultId>> {
        create_private_parent(store).map_err(|error| {
            Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(store.parent().unwrap_or(store))
        })?;
        // The common case writes nothing, so that a full disk stops nobody from reading on.
        if KnownVaults::load(store)?.learned(place, file).is_empty() {
            return Ok(None);
        }
        let lock = FileLock::acquire(store)?;
        let mut memory = KnownVaults::load(store)?;
        let before = memory.vault_of(place);
        let learned = memory.learned(place, file);
        memory.known.extend(learned);
        let text = memory.to_text();
        if memory.store.exists() {
            lock.write(&text)?
        } else {
            lock.create(&text)?
        }
        Ok(before.filter(|before| *before != file.vault_id()))
    }

    /// The entries that `file` adds or changes.
    fn learned(&self, place: &KnownFile, file: &VerifiedFile) -> Vec<(String, Known)> {
        let former = file.former_ids();
        let entries = place.keys.iter().map(|key| {
            let mut new = Known {
                vault: file.vault_id(),
                generation: file.generation(),
                text: Some(file.digest()),
                epochs: BTreeMap::from([(file.vault_id(), file.epoch())]),
                former: former.clone(),
            };
            let old = self.known.get(key);
            // It was verified before another process took a handover from it: that is not unlearned.
            if old.is_some_and(|old| old.former.contains(&file.vault_id())) {
                return None;
            }
            if let Some(old) = old.filter(|old| old.vault == file.vault_id() || file.header.continues(&old.vault))
                && old.seen_by(file) >= new.generation
            {
                new.text = old.text.or(new.text.filter(|_| old.seen_by(file) == new.generation));
                new.generation = old.seen_by(file);
            }
            // Facts of an id, whichever vault lies here: what was once handed over stays so, and the file's own chain is bounded.
            if let Some(old) = old {
                for (id, epoch) in &old.epochs {
                    let highest = new.epochs.entry(*id).or_default();
                    *highest = (*highest).max(*epoch);
                }
                new.former.extend(old.former.iter().filter(|id| !former.contains(id)));
                new.former.sort();
            }
            (old != Some(&new)).then(|| (key.clone(), new))
        });
        entries.flatten().collect()
    }

    fn to_text(&self) -> String {
        let mut text = String::from(
            "# Which vault each sealed file is, and how far it has come, as bootseal had it vouched for here.\n",
        );
        for (file, known) in &self.known {
            text.push_str(&format!("\n[[file]]\npath = {}\nvault = \"{}\"\n", BasicString(file), known.vault));
            text.push_str(&format!("generation = {}\n", known.generation));
            if let Some(digest) = known.text {
                text.push_str(&format!("text = \"{}\"\n", BASE64_URL_SAFE_NO_PAD.encode(digest)));
            }
            let epochs: Vec<String> = known.epochs.iter().map(|(id, epoch)| format!("{id} = {epoch}")).collect();
            text.push_str(&format!("epochs = {{ {} }}\n", epochs.join(", ")));
            if !known.former.is_empty() {
                let former: Vec<String> = known.former.iter().map(|id| format!("\"{id}\"")).collect();
                text.push_str(&format!("former = [{}]\n", former.join(", ")));
            }
        }
        text
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, Known>> {
    let Some(Value::Table(table)) = to_value(&DeValue::Table(parse_toml(text)?.into_inner())) else {
        return Err(Error::malformed("cannot be read"));
    };
    let mut fields = Fields::of("known_vaults", table);
    let files = fields.array("file")?.unwrap_or_default();
    fields.finish()?;
    files.into_iter().map(entry).collect()
}

fn entry(file: Value) -> Result<(String, Known)> {
    let Value::Table(file) = file else { return Err(Error::malformed("`file` must hold tables only")) };
    let mut file = Fields::of("file", file);
    let path = file.string("path")?;
    let path = file.required("path", path)?;
    let vault = file.string("vault")?;
    let vault = file.required("vault", vault)?.parse()?;
    let count = |value: i64| u64::try_from(value).map_err(|_| Error::malformed("a count below zero"));
    // A memory from before these were kept has none.
    let generation = count(file.integer("generation")?.unwrap_or_default())?;
    let text = match file.string("text")? {
        None => None,
        Some(text) => {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            Some(bytes.ok_or_else(|| file.error("text", "is not 32 bytes in base64url"))?)
        }
    };
    let epochs = file.table("epochs")?.unwrap_or_default();
    let epochs = epochs.iter().map(|(id, epoch)| Ok((id.parse()?, count(epoch.as_integer().unwrap_or(-1))?)));
    let epochs = epochs.collect::<Result<_>>()?;
    let former = file.array("former")?.unwrap_or_default();
    let former = former.iter().map(|id| id.as_str().unwrap_or_default().parse()).collect::<Result<_>>()?;
    file.finish()?;
    Ok((path, Known { vault, generation, text, epochs, former }))
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::{CanWrite, Vault};

    struct Line {
        alice: Identity,
        text: String,
    }

    impl Line {
        fn new() -> Line {
            let alice = Identity::generate().unwrap();
            let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
            Line { text: Vault::create(access, "").unwrap().sign().unwrap(), alice }
        }

        fn file(&self) -> VerifiedFile {
            SealedFile::parse(self.text.clone().into_bytes()).unwrap().verify(&[]).unwrap()
        }

        fn next(&self, change: impl FnOnce(&mut Vault<CanWrite>)) -> Line {
            let mut vault = self.file().open_for_writing(&[self.alice.clone()]).unwrap();
            change(&mut vault);
            Line { alice: self.alice.clone(), text: vault.sign().unwrap() }
        }
    }

    #[test]
    fn what_is_remembered_is_read_again_and_only_grows() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) = (folder.path().join("state/known_vaults"), folder.path().join("a \"b\" ü.sealed.toml"));
        std::fs::write(&path, "").unwrap();
        let place = KnownFile::of_path(&path).unwrap();
        let remember = |line: &Line| KnownVaults::remember(&store, &place, &line.file()).unwrap();
        let first = Line::new();
        let second = first.next(|vault| vault.rotate(true).unwrap());
        assert_eq!(remember(&first), None);
        assert_eq!(remember(&second), Some(first.file().vault_id()));
        assert_eq!(remember(&second), None);
        let known = KnownVaults::load(&store).unwrap();
        assert_eq!(known.vault_of(&place), Some(second.file().vault_id()));
        let entry = known.known.values().next().unwrap();
        assert_eq!((entry.generation, entry.former.as_slice()), (2, &[first.file().vault_id()][..]));
        assert_eq!(entry.epochs, BTreeMap::from([(first.file().vault_id(), 1), (second.file().vault_id(), 2)]));
        let third = second.next(|vault| vault.rotate(false).unwrap());
        remember(&third);
        remember(&second);
        assert_eq!(KnownVaults::load(&store).unwrap().generation_of(&place), 3);
        assert_eq!(
            KnownVaults::load(&store).unwrap().known.values().next().unwrap().epochs[&third.file().vault_id()],
            3
        );
    }

    #[test]
    fn a_host_refuses_what_is_older_or_another_of_the_same_age() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state");
        let place = KnownFile::named("app.sealed.toml");
        let first = Line::new();
        let second = first.next(|_| ());
        let also_second = first.next(|vault| vault.set_readable(&"a".parse().unwrap(), &Value::Integer(1)).unwrap());
        KnownVaults::remember(&store, &place, &second.file()).unwrap();
        let check = |line: &Line| {
            KnownVaults::load(&store)
                .unwrap()
                .refuse_older_generation(&line.file(), &place)
                .map_err(|error| error.kind())
        };
        assert_eq!(check(&first), Err(Kind::OldGeneration));
        assert_eq!(check(&second), Ok(()));
        assert_eq!(check(&also_second), Err(Kind::OldGeneration));
        assert_eq!(check(&also_second.next(|_| ())), Ok(()));
        // Another vault, that a pin names: nothing is known of it.
        assert_eq!(check(&Line::new()), Ok(()));
    }

    #[test]
    fn an_id_that_was_handed_over_stays_dead() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state");
        let place = KnownFile::named("app.sealed.toml");
        let first = Line::new();
        KnownVaults::remember(&store, &place, &first.next(|vault| vault.rotate(true).unwrap()).file()).unwrap();
        // A former writer goes on signing: higher and higher.
        let forged = first.next(|_| ()).next(|_| ()).next(|_| ());
        KnownVaults::remember(&store, &place, &first.file()).unwrap();
        let known = KnownVaults::load(&store).unwrap();
        assert_eq!(known.recognise(&mut forged.file(), &place).unwrap_err().kind(), Kind::WrongVault);
        assert_eq!(known.refuse_older_epoch(&forged.file(), &place).unwrap_err().kind(), Kind::WrongVault);
        // A pin that still names the old id does not bring it back on a host that remembers.
        let pinned = SealedFile::parse(forged.text.clone().into_bytes())
            .unwrap()
            .verify(&[first.file().vault_id().into()])
            .unwrap();
        assert_eq!(known.refuse_older_generation(&pinned, &place).unwrap_err().kind(), Kind::WrongVault);
    }

    #[test]
    fn the_numbers_of_a_handed_over_id_do_not_stop_the_vault_that_it_became() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state");
        let place = KnownFile::named("app.sealed.toml");
        let first = Line::new();
        let next = first.next(|vault| vault.rotate(true).unwrap());
        let text = first.file().open_for_writing(&[first.alice.clone()]).unwrap().sign_above(1 << 50).unwrap().0;
        let huge = Line { alice: first.alice.clone(), text };
        KnownVaults::remember(&store, &place, &huge.file()).unwrap();
        let known = KnownVaults::load(&store).unwrap();
        assert!(known.refuse_older_generation(&next.file(), &place).is_ok());
        KnownVaults::remember(&store, &place, &next.file()).unwrap();
        assert_eq!(KnownVaults::load(&store).unwrap().generation_of(&place), 2);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_another_file_than_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file, link) =
            (folder.path().join("known_vaults"), folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let (file, link) = (KnownFile::of_path(&file).unwrap(), KnownFile::of_path(&link).unwrap());
        let vault = Line::new().file();
        KnownVaults::remember(&store, &file, &vault).unwrap();
        assert_eq!(KnownVaults::load(&store).unwrap().vault_of(&link), None);
        KnownVaults::remember(&store, &link, &vault).unwrap();
        assert_eq!(KnownVaults::load(&store).unwrap().vault_of(&link), Some(vault.vault_id()));
    }

    #[test]
    fn a_broken_memory_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("known_vaults");
        let id = Line::new().file().vault_id();
        for text in [
            "[[file]]\npath = 1\n".to_owned(),
            "file = 1\n".into(),
            "nonsense".into(),
            "[[file]]\npath = \"a\"\nvault = \"vault1x\"\n".into(),
            format!("[[file]]\npath = \"a\"\nvault = \"{id}\"\ngeneration = -1\n"),
            format!("[[file]]\npath = \"a\"\nvault = \"{id}\"\ntext = \"AAAA\"\n"),
            format!("[[file]]\npath = \"a\"\nvault = \"{id}\"\nepochs = {{ x = 1 }}\n"),
        ] {
            std::fs::write(&store, &text).unwrap();
            assert_eq!(KnownVaults::load(&store).unwrap_err().kind(), Kind::Malformed, "{text}");
        }
    }

    #[test]
    fn a_memory_from_before_generations_were_kept_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("known_vaults");
        let line = Line::new();
        std::fs::write(&store, format!("[[file]]\npath = \"a\"\nvault = \"{}\"\n", line.file().vault_id())).unwrap();
        let known = KnownVaults::load(&store).unwrap();
        assert!(known.refuse_older_generation(&line.file(), &KnownFile::named("a")).is_ok());
        assert_eq!(KnownVaults::remember(&store, &KnownFile::named("a"), &line.file()).unwrap(), None);
        assert_eq!(KnownVaults::load(&store).unwrap().generation_of(&KnownFile::named("a")), 1);
    }
}
