//! The write lock of a sealed file. A change replaces the file by a rename, so a crash at any point
//! leaves either the old file or the new file.

use crate::disk::folder::{Folder, real_path};
use crate::error::{Error, Kind, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The exclusive right to change one file. Other processes wait until this lock is dropped.
///
/// The lock is on the folder of the real file (with links resolved), because the rename would lose
/// a lock on the file itself.
///
/// ```
/// # let (_folder, path, me) = bootseal_fixtures::stored("timeout = \"10s\"\n");
/// use bootseal_core::{FileLock, SealedFile};
/// let lock = FileLock::acquire(&path)?; // from here on, no other process changes the file
/// let mut vault = lock.read()?.verify(&[])?.open_for_writing(&[me])?;
/// vault.set_readable(&"timeout".parse()?, &"30s".into())?;
/// lock.write(&vault.sign()?)?; // releases the lock
/// assert_eq!(SealedFile::read(&path)?.verify(&[])?.generation(), 2);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FileLock {
    folder: Folder,
    /// The path with links resolved.
    real: PathBuf,
    asked: PathBuf,
}

impl FileLock {
    /// Waits for the lock of the file at `path`, which need not exist yet.
    ///
    /// # Errors
    /// [`Kind::Io`] if the path cannot be resolved, if the folder cannot be opened, or if its file
    /// system does not support locks.
    pub fn acquire(path: &Path) -> Result<FileLock> {
        let lock = || -> std::io::Result<FileLock> {
            let real = real_path(path)?;
            let folder = Folder::lock(&real)?;
            Ok(FileLock { folder, real, asked: path.to_path_buf() })
        };
        lock().map_err(|error| io("cannot be locked", &error).in_file(path))
    }

    /// Opens the current file, without following a link that replaced it.
    pub(crate) fn open(&self) -> std::io::Result<File> {
        self.folder.open(&self.real)
    }

    /// The path as the caller gave it, for errors.
    pub(crate) fn asked(&self) -> &Path {
        &self.asked
    }

    /// Replaces the content of the file with `text`. The file keeps its mode and, if permitted, its
    /// owner.
    ///
    /// # Errors
    /// [`Kind::Io`] if the folder or the file cannot be written; the file is then unchanged.
    pub fn write(self, text: &str) -> Result<()> {
        self.folder
            .replace(&self.real, text.as_bytes())
            .map_err(|error| io("cannot be written", &error).in_file(&self.asked))
    }

    /// Creates the file with `text` as its content; it must not exist.
    ///
    /// # Errors
    /// [`Kind::Exists`] if it exists, [`Kind::Io`] if the folder cannot be written.
    ///
    /// ```
    /// # let (_folder, path) = bootseal_fixtures::path("app.sealed.toml");
    /// use bootseal_core::{FileLock, Kind};
    /// FileLock::acquire(&path)?.create("mine\n")?;
    /// let error = FileLock::acquire(&path)?.create("theirs\n").unwrap_err();
    /// assert_eq!(error.kind(), Kind::Exists);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn create(self, text: &str) -> Result<()> {
        self.folder.create(&self.real, text.as_bytes()).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Error::new(Kind::Exists, "exists already; nothing was changed")
                }
                _ => io("cannot be written", &error),
            }
            .in_file(&self.asked)
        })
    }
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::Io, format!("{what}: {error}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_write_keeps_mode_and_links_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) =
            (folder.path().join("a.sealed.toml"), folder.path().join("link.sealed.toml"));
        FileLock::acquire(&real).unwrap().create("one\n").unwrap();
        std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("a.sealed.toml", &link).unwrap();
        let lock = FileLock::acquire(&link).unwrap();
        assert_eq!(lock.real, real.canonicalize().unwrap());
        lock.write("two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "two\n");
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_existing_file_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sealed.toml");
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(
            FileLock::acquire(&path).unwrap().create("theirs").unwrap_err().kind(),
            Kind::Exists
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
