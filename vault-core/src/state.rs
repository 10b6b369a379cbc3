//! Which vault lay in this place before? The memory of a writer's machine: file → vault id.

use crate::document::{parse_toml, to_value};
use crate::error::{Error, Kind, Result};
use crate::fields::Fields;
use crate::path::BasicString;
use crate::save::{FileLock, real_path};
use crate::sealed_file::{Trust, VerifiedFile};
use crate::signature::VaultId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Value;
use toml::de::DeValue;

/// The file `known_vaults`: which vault each sealed file was when it was last vouched for.
///
/// An id becomes known because the file was made here, because a pin matched, or because someone said yes.
/// Reading a file never makes it known. A file is known by the path that was asked for and by its real path, after links: a link
/// that leads to another vault is another file.
///
/// ```
/// # use bootseal_core::*;
/// # let folder = tempfile::tempdir().unwrap();
/// # let (store, path) = (folder.path().join("known_vaults"), folder.path().join("app.sealed.toml"));
/// # let me = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// # FileLock::acquire(&path)?.create(&Vault::create(me, "")?.sign()?)?;
/// let mut file = SealedFile::read(&path)?.verify(&[])?;
/// KnownVaults::remember(&store, &path, file.vault(), file.former_ids())?; // it was vouched for
///
/// KnownVaults::load(&store)?.check(&mut file, &path)?;
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
    /// Ids that the file had, and that were handed over: whoever signs with them is a former writer.
    former: Vec<VaultId>,
}

impl KnownVaults {
    /// Reads the memory at `store`; where there is none yet, nothing is known.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be read, [`Kind::Malformed`] where it holds something else: a memory that cannot be read must not
    /// look like an empty one.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// let known = bootseal_core::KnownVaults::load(&store)?;
    /// assert!(known.vault_of(std::path::Path::new("app.sealed.toml"))?.is_none());
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

    /// The vault that is known for the file at `path`; `None` where none is.
    ///
    /// # Errors
    /// [`Kind::Io`] where the path cannot be followed.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (store, path) = (folder.path().join("known_vaults"), folder.path().join("app.sealed.toml"));
    /// # let me = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// # FileLock::acquire(&path)?.create(&Vault::create(me, "")?.sign()?)?;
    /// let id = SealedFile::read(&path)?.verify(&[])?.vault();
    /// KnownVaults::remember(&store, &path, id, vec![])?;
    /// assert_eq!(KnownVaults::load(&store)?.vault_of(&path)?, Some(id));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn vault_of(&self, path: &Path) -> Result<Option<VaultId>> {
        Ok(self.known.get(&asked_key(path)?).map(|known| known.vault))
    }

    /// Holds `file` against what is known for its path: [`Trust::Remembered`] where it is the same vault, or one that it was handed
    /// over to.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] where another vault is known for the path or for where it leads, or where the id is a former one. A pin
    /// beats memory: a pinned file is not held against it. [`Kind::Io`] where the path cannot be followed.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (store, path) = (folder.path().join("known_vaults"), folder.path().join("app.sealed.toml"));
    /// # let me = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// # FileLock::acquire(&path)?.create(&Vault::create(me, "")?.sign()?)?;
    /// let mut file = SealedFile::read(&path)?.verify(&[])?;
    /// let other = Vault::create(vec![Access::new("eve", Role::Writer, Identity::generate()?.recipient())?], "")?;
    /// KnownVaults::remember(&store, &path, other.file().vault(), vec![])?;
    /// let error = KnownVaults::load(&store)?.check(&mut file, &path).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongVault);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn check(&self, file: &mut VerifiedFile, path: &Path) -> Result<()> {
        if file.trust() == Trust::Pinned {
            return Ok(());
        }
        let asked = asked_key(path)?;
        for key in [&asked, &real_key(path)?] {
            let Some(known) = self.known.get(key) else { continue };
            let what = if known.former.contains(&file.vault()) {
                format!(
                    "this file is signed by {}, which was handed over to {}: a former writer may have made it",
                    file.vault(),
                    known.vault
                )
            } else if known.vault != file.vault() && !file.header.continues(&known.vault) {
                format!("another vault lies here: this one is {}, known for this file is {}", file.vault(), known.vault)
            } else {
                continue;
            };
            return Err(Error::new(Kind::WrongVault, what).in_file(path).with_help(format!(
                "Someone may have put a vault of theirs in its place. If it was made anew on purpose, say so: --pin {}",
                file.vault()
            )));
        }
        if self.known.contains_key(&asked) {
            file.trusted_by(Trust::Remembered);
        }
        Ok(())
    }

    /// Remembers that the file at `path` is `vault`, which had the ids `former` before, and returns what was known instead.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be written or `path` not be followed; [`Kind::Malformed`] where what is at `store` is no such memory.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (store, path) = (folder.path().join("known_vaults"), folder.path().join("app.sealed.toml"));
    /// # let me = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// # FileLock::acquire(&path)?.create(&Vault::create(me, "")?.sign()?)?;
    /// let file = SealedFile::read(&path)?.verify(&[])?;
    /// let before = KnownVaults::remember(&store, &path, file.vault(), file.former_ids())?;
    /// assert!(before.is_none());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn remember(store: &Path, path: &Path, vault: VaultId, former: Vec<VaultId>) -> Result<Option<VaultId>> {
        if let Some(folder) = store.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .create(folder)
                .map_err(|error| Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(folder))?;
        }
        let (asked, real) = (asked_key(path)?, real_key(path)?);
        let known = Known { vault, former };
        if let Ok(memory) = KnownVaults::load(store)
            && memory.known.get(&asked) == Some(&known)
            && memory.known.get(&real) == Some(&known)
        {
            return Ok(None);
        }
        let lock = FileLock::acquire(store)?;
        let mut memory = KnownVaults::load(store)?;
        let before = memory.known.insert(asked, known.clone());
        memory.known.insert(real, known);
        let text = memory.to_text();
        if memory.store.exists() {
            lock.write(&text)?
        } else {
            lock.create(&text)?
        }
        Ok(before.map(|known| known.vault).filter(|before| *before != vault))
    }

    fn to_text(&self) -> String {
        let mut text =
            String::from("# Which vault each sealed file is, as bootseal on this machine last had it vouched for.\n");
        for (file, known) in &self.known {
            text.push_str(&format!("\n[[file]]\npath = {}\nvault = \"{}\"\n", BasicString(file), known.vault));
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
    let entries = files.into_iter().map(|file| {
        let Value::Table(file) = file else { return Err(Error::malformed("`file` must hold tables only")) };
        let mut file = Fields::of("file", file);
        let path = file.string("path")?;
        let path = file.required("path", path)?;
        let vault = file.string("vault")?;
        let vault = file.required("vault", vault)?.parse()?;
        let former = file.array("former")?.unwrap_or_default();
        let former = former.iter().map(|id| id.as_str().unwrap_or_default().parse()).collect::<Result<_>>()?;
        file.finish()?;
        Ok((path, Known { vault, former }))
    });
    entries.collect()
}

fn real_key(path: &Path) -> Result<String> {
    real_path(path).map(|real| key(&real)).map_err(|error| unfollowed(path, &error))
}

/// The path as it was asked for, made absolute; links in it are not followed.
fn asked_key(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(|error| unfollowed(path, &error))?;
    // `absolute` keeps `..`, whose meaning depends on links: such a path is known by where it leads.
    match absolute.components().any(|component| component == std::path::Component::ParentDir) {
        true => real_key(path),
        false => Ok(key(&absolute)),
    }
}

fn unfollowed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot be followed: {error}")).in_file(path)
}

/// A path as text. One that is not UTF-8 is written by its bytes, so that two of them never meet.
fn key(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => {
            let bytes = path.as_os_str().as_encoded_bytes().iter();
            format!("bytes:{}", bytes.map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> VaultId {
        crate::signature::id_of(&crate::keys::SigningSeed::generate().unwrap())
    }

    #[test]
    fn what_is_remembered_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = (folder.path().join("state/known_vaults"), folder.path().join("a \"b\" ü.sealed.toml"));
        std::fs::write(&file, "").unwrap();
        let (first, second) = (id(), id());
        assert_eq!(KnownVaults::remember(&store, &file, first, vec![]).unwrap(), None);
        assert_eq!(KnownVaults::remember(&store, &file, second, vec![first]).unwrap(), Some(first));
        assert_eq!(KnownVaults::remember(&store, &file, second, vec![first]).unwrap(), None);
        let known = KnownVaults::load(&store).unwrap();
        assert_eq!(known.vault_of(&file).unwrap(), Some(second));
        assert_eq!(known.known.values().next().unwrap().former, [first]);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_another_file_than_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file, link) =
            (folder.path().join("known_vaults"), folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let vault = id();
        KnownVaults::remember(&store, &file, vault, vec![]).unwrap();
        assert_eq!(KnownVaults::load(&store).unwrap().vault_of(&link).unwrap(), None);
        KnownVaults::remember(&store, &link, vault, vec![]).unwrap();
        assert_eq!(KnownVaults::load(&store).unwrap().vault_of(&link).unwrap(), Some(vault));
    }

    #[test]
    fn a_broken_memory_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("known_vaults");
        for text in ["[[file]]\npath = 1\n", "file = 1\n", "nonsense", "[[file]]\npath = \"a\"\nvault = \"vault1x\"\n"]
        {
            std::fs::write(&store, text).unwrap();
            assert_eq!(KnownVaults::load(&store).unwrap_err().kind(), Kind::Malformed, "{text}");
        }
    }
}
