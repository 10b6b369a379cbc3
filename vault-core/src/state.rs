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
/// Reading a file never makes it known.
#[derive(Debug)]
pub struct KnownVaults {
    store: PathBuf,
    known: BTreeMap<String, VaultId>,
}

impl KnownVaults {
    /// Reads the memory at `store`; where there is none yet, nothing is known.
    ///
    /// # Errors
    /// [`Kind::Io`] and [`Kind::Malformed`]; a memory that cannot be read must not look like an empty one.
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

    /// The vault that is known for the file at `path`, found by its real path, after links.
    ///
    /// # Errors
    /// [`Kind::Io`] where the path cannot be followed.
    pub fn vault_of(&self, path: &Path) -> Result<Option<VaultId>> {
        Ok(self.known.get(&key(path)?).copied())
    }

    /// Holds `file` against what is known for its path: [`Trust::Remembered`] where it is the same vault.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] where another vault is known for the path. A pin beats memory: a pinned file is not held against it.
    pub fn check(&self, file: &mut VerifiedFile, path: &Path) -> Result<()> {
        if file.trust() == Trust::Pinned {
            return Ok(());
        }
        let Some(known) = self.vault_of(path)? else { return Ok(()) };
        if known != file.vault() && !file.header.continues(&known) {
            let what = format!("another vault lies here: this one is {}, known for this file is {known}", file.vault());
            return Err(Error::new(Kind::WrongVault, what).in_file(path).with_help(format!(
                "Someone may have put a vault of theirs in its place. If it was made anew on purpose, say so: --pin {}",
                file.vault()
            )));
        }
        file.trusted_by(Trust::Remembered);
        Ok(())
    }

    /// Remembers that the file at `path` is `vault`, and returns what was known instead.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be written.
    pub fn remember(store: &Path, path: &Path, vault: VaultId) -> Result<Option<VaultId>> {
        if let Some(folder) = store.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(folder))?;
        }
        let lock = FileLock::acquire(store)?;
        let mut memory = KnownVaults::load(store)?;
        let before = memory.known.insert(key(path)?, vault);
        if before == Some(vault) {
            return Ok(None);
        }
        let lines = memory
            .known
            .iter()
            .map(|(file, vault)| format!("\n[[file]]\npath = {}\nvault = \"{vault}\"\n", BasicString(file)));
        let text = format!(
            "# Which vault each sealed file is, as bootseal on this machine last had it vouched for.\n{}",
            lines.collect::<String>()
        );
        if memory.store.exists() {
            lock.write(&text)?
        } else {
            lock.create(&text)?
        }
        Ok(before)
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, VaultId>> {
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
        file.finish()?;
        Ok((path, vault))
    });
    entries.collect()
}

/// The real path as text. A path that is not UTF-8 is written by its bytes, so that two of them never meet.
fn key(path: &Path) -> Result<String> {
    let real =
        real_path(path).map_err(|error| Error::new(Kind::Io, format!("cannot be followed: {error}")).in_file(path))?;
    Ok(match real.to_str() {
        Some(text) => text.to_owned(),
        None => format!(
            "bytes:{}",
            real.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = (folder.path().join("state/known_vaults"), folder.path().join("a \"b\" ü.sealed.toml"));
        std::fs::write(&file, "").unwrap();
        let id = crate::signature::id_of(&crate::keys::SigningSeed::generate().unwrap());
        assert_eq!(KnownVaults::remember(&store, &file, id).unwrap(), None);
        let other = crate::signature::id_of(&crate::keys::SigningSeed::generate().unwrap());
        assert_eq!(KnownVaults::remember(&store, &file, other).unwrap(), Some(id));
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&file, &link).unwrap();
            assert_eq!(KnownVaults::load(&store).unwrap().vault_of(&link).unwrap(), Some(other));
        }
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
