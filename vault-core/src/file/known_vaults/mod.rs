//! Rollback protection: a writer's machine or a host remembers the vault id, generation and epoch
//! that it has seen for each file.

pub(crate) mod check;
pub(crate) mod forget;
pub(crate) mod handovers;
pub(crate) mod list;
pub(crate) mod remember;
pub(crate) mod seen;
pub(crate) mod text;
pub(crate) mod update;

use crate::disk::paths::real_path;
use crate::disk::private_file::PrivateFile;
use crate::error::{Error, Kind, Result};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The maximum size of the file of known vaults, which has room for more than a million vaults.
const LARGEST: usize = 256 << 20;

/// The key under which a file is remembered. On a writer's machine, this is the path; on a host, it
/// is a name, because the path changes with each deployment.
///
/// ```
/// # let (_folder, path, _) = bootseal_fixtures::stored("");
/// use bootseal_core::KnownFile;
/// let on_a_host = KnownFile::named("app.sealed.toml");
/// let at_a_writer = KnownFile::of_path(&path)?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KnownFile {
    keys: Vec<String>,
    shown: PathBuf,
}

impl KnownFile {
    /// Identifies a file by the given path and by the real path, in which links are resolved. A
    /// link is a different file from its target.
    ///
    /// # Errors
    /// [`Kind::Io`] if the path's folder cannot be resolved.
    pub fn of_path(path: &Path) -> Result<KnownFile> {
        let unfollowed =
            |error| Error::new(Kind::Io, format!("cannot be resolved: {error}")).in_file(path);
        let real = real_path(path).map_err(unfollowed)?;
        let absolute = std::path::absolute(path).map_err(unfollowed)?;
        // `absolute` keeps `..`, whose meaning depends on links. A file with such a path is
        // identified only by its real path.
        let asked = match absolute
            .components()
            .any(|component| component == std::path::Component::ParentDir)
        {
            true => real.clone(),
            false => absolute,
        };
        let mut keys = vec![key(&asked), key(&real)];
        keys.dedup();
        Ok(KnownFile { keys, shown: path.to_path_buf() })
    }

    /// Identifies a file by a name, as hosts do.
    pub fn named(name: &str) -> KnownFile {
        KnownFile { keys: vec![name.to_owned()], shown: name.into() }
    }
}

/// Formats a path as text, in hexadecimal if it is not UTF-8.
fn key(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => {
            let bytes = path.as_os_str().as_encoded_bytes().iter();
            format!("bytes:{}", bytes.map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

/// The known vaults: for each file, the vault id that was last confirmed, and the highest
/// generation and epoch seen.
///
/// An id becomes known because the file was created here, because a pin matched, because someone
/// confirmed it, or because a host without a pin trusts the first file that it sees. Merely reading
/// a file does not make its id known.
///
/// ```
/// # let (_folder, path, _) = bootseal_fixtures::stored("");
/// use bootseal_core::{KnownFile, KnownVaults, SealedFile, Trust};
/// let store = path.with_file_name("known_vaults");
/// let place = KnownFile::of_path(&path)?;
/// let mut file = SealedFile::read(&path)?.verify(&[])?;
/// KnownVaults::remember(&store, &place, &file)?; // a user confirmed it
///
/// KnownVaults::load(&store)?.recognise(&mut file, &place)?;
/// assert_eq!(file.trust(), Trust::Remembered);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct KnownVaults {
    known: BTreeMap<String, Known>,
    /// What was read in trusted files but not confirmed, by vault id.
    seen: BTreeMap<VaultId, Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    vault: VaultId,
    /// The highest generation seen, and the digest of its signed text.
    generation: u64,
    text: Option<[u8; 32]>,
    /// The highest epoch of each id.
    epochs: BTreeMap<VaultId, u64>,
    /// Former ids of the file, which were handed over. A new file that is signed with one of them
    /// may come from a former writer.
    former: Vec<VaultId>,
}

/// What was read of one id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The highest epoch; 0 if none was read.
    epoch: u64,
    /// The ids to which it was handed over. More than one means that a former writer made one of
    /// the handovers. Two ids are enough to prove this, so no more are kept.
    successors: Vec<VaultId>,
}

impl Known {
    /// Whether the current id of the file was forgotten. If so, only the handovers of its former
    /// ids are known, and `vault` is one of these.
    fn is_forgotten(&self) -> bool {
        self.former.contains(&self.vault)
    }

    /// The id that a former id was handed over to, for messages.
    fn successor(&self) -> String {
        match self.is_forgotten() {
            true => "an id that was forgotten here".to_owned(),
            false => self.vault.to_string(),
        }
    }

    /// The highest generation seen of the file. For an id that was handed over, only generations up
    /// to the handover count, because a former writer can sign any later generation.
    fn seen_by(&self, file: &VerifiedFile) -> u64 {
        let handed_over =
            file.header.handed_over_at(&self.vault).filter(|_| self.vault != file.vault_id());
        handed_over.map_or(self.generation, |at| self.generation.min(at))
    }
}

impl KnownVaults {
    /// Reads the known vaults from the file `store`; if it does not exist yet, none are known.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be read, [`Kind::Malformed`] if it has another format, because an
    /// unreadable store must not look like an empty store.
    pub fn load(store: &Path) -> Result<KnownVaults> {
        let bytes = PrivateFile::read(store, LARGEST)?.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| Error::malformed("is not UTF-8"));
        let parsed = text.and_then(|text| KnownVaults::parse(&text));
        let (known, seen) = parsed.map_err(|error| {
            error
                .in_file(store)
                .with_help("bootseal records in this file which vault each sealed file is. Fix it, or move it away to start over.")
        })?;
        Ok(KnownVaults { known, seen })
    }

    /// The id that is known for the file.
    pub fn vault_of(&self, place: &KnownFile) -> Option<VaultId> {
        self.asked(place).map(|known| known.vault)
    }

    /// The highest generation seen of the file; 0 if nothing is known.
    pub fn generation_of(&self, place: &KnownFile) -> u64 {
        self.all(place).map(|known| known.generation).max().unwrap_or_default()
    }

    /// The highest epoch of this vault that was seen in any file; 0 if none was.
    pub fn epoch_of(&self, vault: &VaultId) -> u64 {
        let known = self.known.values().filter_map(|known| known.epochs.get(vault));
        let read = self.seen.get(vault).map(|seen| &seen.epoch);
        known.chain(read).copied().max().unwrap_or_default()
    }

    /// A file is recognised by its first key, but the entry for any of its keys can refuse it.
    fn asked(&self, place: &KnownFile) -> Option<&Known> {
        place.keys.first().and_then(|key| self.known.get(key)).filter(|known| !known.is_forgotten())
    }

    fn all<'a>(&'a self, place: &'a KnownFile) -> impl Iterator<Item = &'a Known> {
        place.keys.iter().filter_map(|key| self.known.get(key))
    }
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::{CanWrite, Vault};
    use toml::Value;

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
    fn known_vaults_are_read_back_and_their_counts_only_grow() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) =
            (folder.path().join("state/known_vaults"), folder.path().join("a \"b\" ü.sealed.toml"));
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
        assert_eq!(
            (entry.generation, entry.former.as_slice()),
            (2, &[first.file().vault_id()][..])
        );
        assert_eq!(
            entry.epochs,
            BTreeMap::from([(first.file().vault_id(), 1), (second.file().vault_id(), 1)])
        );
        let third = second.next(|vault| vault.rotate(false).unwrap());
        remember(&third);
        remember(&second);
        assert_eq!(KnownVaults::load(&store).unwrap().generation_of(&place), 3);
        assert_eq!(
            KnownVaults::load(&store).unwrap().known.values().next().unwrap().epochs
                [&third.file().vault_id()],
            2
        );
    }

    #[test]
    fn a_host_refuses_an_older_file_and_a_different_one_of_the_same_generation() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state");
        let place = KnownFile::named("app.sealed.toml");
        let first = Line::new();
        let second = first.next(|_| ());
        let also_second = first
            .next(|vault| vault.set_readable(&"a".parse().unwrap(), &Value::Integer(1)).unwrap());
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
        // Nothing is known of another vault that a pin names.
        assert_eq!(check(&Line::new()), Ok(()));
    }

    #[test]
    fn an_id_that_was_handed_over_is_never_accepted_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state");
        let place = KnownFile::named("app.sealed.toml");
        let first = Line::new();
        KnownVaults::remember(
            &store,
            &place,
            &first.next(|vault| vault.rotate(true).unwrap()).file(),
        )
        .unwrap();
        // A former writer continues to sign, with ever higher generations.
        let forged = first.next(|_| ()).next(|_| ()).next(|_| ());
        KnownVaults::remember(&store, &place, &first.file()).unwrap();
        let known = KnownVaults::load(&store).unwrap();
        assert_eq!(
            known.recognise(&mut forged.file(), &place).unwrap_err().kind(),
            Kind::WrongVault
        );
        assert_eq!(
            known.refuse_older_epoch(&forged.file(), &place).unwrap_err().kind(),
            Kind::WrongVault
        );
        // A pin that still names the old id does not make it valid on a host that knows the
        // handover.
        let pinned = SealedFile::parse(forged.text.clone().into_bytes())
            .unwrap()
            .verify(&[first.file().vault_id().into()])
            .unwrap();
        assert_eq!(
            known.refuse_older_generation(&pinned, &place).unwrap_err().kind(),
            Kind::WrongVault
        );
    }

    #[test]
    fn the_generations_of_a_handed_over_id_do_not_block_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state");
        let place = KnownFile::named("app.sealed.toml");
        let first = Line::new();
        let next = first.next(|vault| vault.rotate(true).unwrap());
        let text = first
            .file()
            .open_for_writing(&[first.alice.clone()])
            .unwrap()
            .sign_above(1 << 50)
            .unwrap()
            .0;
        let huge = Line { alice: first.alice.clone(), text };
        KnownVaults::remember(&store, &place, &huge.file()).unwrap();
        let known = KnownVaults::load(&store).unwrap();
        assert!(known.refuse_older_generation(&next.file(), &place).is_ok());
        KnownVaults::remember(&store, &place, &next.file()).unwrap();
        assert_eq!(KnownVaults::load(&store).unwrap().generation_of(&place), 2);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_a_different_file_than_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file, link) = (
            folder.path().join("known_vaults"),
            folder.path().join("real"),
            folder.path().join("link"),
        );
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
    fn a_broken_store_is_an_error() {
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
    fn a_store_without_generations_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("known_vaults");
        let line = Line::new();
        std::fs::write(
            &store,
            format!("[[file]]\npath = \"a\"\nvault = \"{}\"\n", line.file().vault_id()),
        )
        .unwrap();
        let known = KnownVaults::load(&store).unwrap();
        assert!(known.refuse_older_generation(&line.file(), &KnownFile::named("a")).is_ok());
        assert_eq!(
            KnownVaults::remember(&store, &KnownFile::named("a"), &line.file()).unwrap(),
            None
        );
        assert_eq!(KnownVaults::load(&store).unwrap().generation_of(&KnownFile::named("a")), 1);
    }
}
