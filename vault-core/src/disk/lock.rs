//! The write lock of a sealed file. A change replaces the file by a rename, so a crash at any point
//! leaves either the old file or the new file.

use crate::disk::folder::{Folder, InPlace, PATIENCE, unlocked};
use crate::disk::paths::{path_in_real_folder, real_path};
use crate::disk::private_file::contents;
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
    /// Waits for the lock of the file at `path`, which need not exist yet, for at most 10 seconds.
    ///
    /// # Errors
    /// [`Kind::Io`] if the path cannot be resolved, if the folder cannot be opened, if its file
    /// system does not support locks, or if another process, which the error names if possible,
    /// still holds the lock.
    pub fn acquire(path: &Path) -> Result<FileLock> {
        FileLock::at(real_path(path), path)
    }

    /// Like [`FileLock::acquire`], but refuses a symbolic link at `path`, because the person who
    /// made the link would choose the file that is written to.
    ///
    /// # Errors
    /// As [`FileLock::acquire`]; [`Kind::Conflict`] for a link.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// # let (_folder, path) = bootseal_fixtures::path(".gitattributes");
    /// # std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    /// use bootseal_core::{FileLock, Kind};
    /// assert_eq!(FileLock::acquire_unlinked(&path).unwrap_err().kind(), Kind::Conflict);
    /// # }
    /// ```
    pub fn acquire_unlinked(path: &Path) -> Result<FileLock> {
        let lock = FileLock::at(path_in_real_folder(path), path)?;
        match lock.real.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => {
                let what = "is a symbolic link, and is not written through";
                Err(Error::new(Kind::Conflict, what)
                    .with_help("Replace the link by a file, then run the command again.")
                    .in_file(path))
            }
            _ => Ok(lock),
        }
    }

    fn at(real: std::io::Result<PathBuf>, asked: &Path) -> Result<FileLock> {
        let lock = real.map_err(|error| unlocked(&error)).and_then(|real| {
            let folder = Folder::lock(&real, PATIENCE)?;
            Ok(FileLock { folder, real, asked: asked.to_path_buf() })
        });
        lock.map_err(|error| error.in_file(asked))
    }

    /// Opens the current file, without following a link that replaced it.
    pub(crate) fn open(&self) -> std::io::Result<File> {
        self.folder.open(&self.real)
    }

    /// Opens the current file for changes where it is.
    pub(crate) fn open_in_place(&self) -> std::io::Result<InPlace> {
        self.folder.open_in_place(&self.real)
    }

    /// The current content of the file as text, at most `max_bytes`; `None` if there is none.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be read or is not a regular file; [`Kind::Malformed`] if it is
    /// larger or not UTF-8.
    ///
    /// ```
    /// # let (_folder, path) = bootseal_fixtures::path("app.sealed.toml");
    /// assert_eq!(bootseal_core::FileLock::acquire(&path)?.read_text(1024)?, None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn read_text(&self, max_bytes: usize) -> Result<Option<String>> {
        let text = contents(self.open(), max_bytes).and_then(|bytes| {
            let text = bytes.map(String::from_utf8).transpose();
            text.map_err(|_| Error::malformed("is not UTF-8"))
        });
        text.map_err(|error| error.in_file(&self.asked))
    }

    /// The path as the caller gave it, for errors.
    pub(crate) fn asked(&self) -> &Path {
        &self.asked
    }

    /// Replaces the content of the file with `text`. The file keeps its mode, its access control
    /// list and, if permitted, its owner; nobody gets more rights than before.
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
        self.create_as(text, false)
    }

    /// Replaces the content of the file with `text`, or creates the file if it does not exist.
    ///
    /// # Errors
    /// As [`FileLock::write`].
    pub fn put(self, text: &str) -> Result<()> {
        match self.real.symlink_metadata() {
            Ok(_) => self.write(text),
            Err(_) => self.create(text),
        }
    }

    /// Like [`FileLock::create`], for a program, such as a hook of git.
    ///
    /// # Errors
    /// As [`FileLock::create`].
    pub fn create_program(self, text: &str) -> Result<()> {
        self.create_as(text, true)
    }

    fn create_as(self, text: &str, program: bool) -> Result<()> {
        self.folder.create(&self.real, text.as_bytes(), program).map_err(|error| {
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
    fn a_write_removes_what_killed_processes_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sealed.toml");
        let leave = |name: &str| std::fs::write(folder.path().join(name), "half").unwrap();
        let names = || {
            let entries = folder.path().read_dir().unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        leave(".b.sealed.toml.0123456789abcdef.tmp");
        for text in ["one\n", "two\n"] {
            leave(".a.sealed.toml.0123456789abcdef.tmp");
            FileLock::acquire(&path).unwrap().put(text).unwrap();
            assert_eq!(names(), [".b.sealed.toml.0123456789abcdef.tmp", "a.sealed.toml"]);
        }
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
