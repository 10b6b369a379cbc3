//! Files that only their owner can read. They are changed under a lock and replaced by a rename,
//! and have mode 0600.

use crate::disk::folder::{Folder, PATIENCE, create_private, create_private_keeping, unlocked};
use crate::disk::paths::{create_private_parent, open, real_path};
use crate::error::{Error, Kind, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The right to change one private file, such as state that a program keeps between two runs, or a
/// file that is only for its user.
///
/// The lock is on the folder of the real file, so other private files in the same folder wait too.
/// The system releases it when the process ends. A crash at any point leaves the complete old
/// content or the complete new content.
///
/// The content is not encrypted: anyone who can read the disk can read it.
///
/// ```
/// # let (_folder, path) = bootseal_fixtures::path("state/counter");
/// use bootseal_core::PrivateFile;
/// let file = PrivateFile::lock(&path)?;
/// let count = match file.read_locked(1024)? {
///     Some(bytes) => bytes.len(),
///     None => 0, // the first run
/// };
/// file.replace(&vec![b'x'; count + 1])?;
/// assert_eq!(PrivateFile::read(&path, 1024)?.as_deref(), Some(&b"x"[..]));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct PrivateFile {
    folder: Folder,
    /// The path with links resolved.
    real: PathBuf,
    asked: PathBuf,
}

impl PrivateFile {
    /// Waits for the lock of the file at `path`, which need not exist yet, for at most 10 seconds.
    /// Missing folders are created with mode 0700.
    ///
    /// # Errors
    /// [`Kind::Io`] if the folder cannot be created or opened, if its file system does not support
    /// locks, or if another process, which the error names if possible, still holds the lock.
    pub fn lock(path: &Path) -> Result<PrivateFile> {
        let real = create_private_parent(path).and_then(|()| real_path(path));
        let lock = real.map_err(|error| unlocked(&error)).and_then(|real| {
            let folder = Folder::lock(&real, PATIENCE)?;
            Ok(PrivateFile { folder, real, asked: path.to_path_buf() })
        });
        lock.map_err(|error| error.in_file(path))
    }

    /// Like [`lock`](PrivateFile::lock), but returns `None` at once if another process holds the
    /// lock.
    ///
    /// # Errors
    /// As [`lock`](PrivateFile::lock).
    pub fn try_lock(path: &Path) -> Result<Option<PrivateFile>> {
        let lock = || -> std::io::Result<Option<PrivateFile>> {
            create_private_parent(path)?;
            let real = real_path(path)?;
            let folder = Folder::try_lock(&real)?;
            Ok(folder.map(|folder| PrivateFile { folder, real, asked: path.to_path_buf() }))
        };
        lock().map_err(|error| unlocked(&error).in_file(path))
    }

    /// Reads the current file, at most `max_bytes`. Returns `None` if the file does not exist.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be read or is not a regular file; [`Kind::Malformed`] if it is
    /// larger.
    pub fn read_locked(&self, max_bytes: usize) -> Result<Option<Vec<u8>>> {
        contents(self.folder.open(&self.real), max_bytes)
            .map_err(|error| error.in_file(&self.asked))
    }

    /// Reads without the lock. This is enough for a caller that does not write back, because a
    /// rename replaces the file atomically.
    ///
    /// # Errors
    /// As [`read_locked`](PrivateFile::read_locked).
    pub fn read(path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>> {
        contents(open(path), max_bytes).map_err(|error| error.in_file(path))
    }

    /// Creates the file with mode 0600, or replaces it atomically. The lock stays held.
    ///
    /// # Errors
    /// [`Kind::Io`] if the folder cannot be written; the file is then unchanged.
    pub fn replace(&self, bytes: &[u8]) -> Result<()> {
        let written = self.folder.put_private(&self.real, bytes);
        written.map_err(|error| io("cannot be written", &error).in_file(&self.asked))
    }

    /// Creates the file at `path` with mode 0600 and the content `bytes`, in an existing folder. It
    /// takes no lock, so it works on file systems without locks or hard links, such as those of
    /// memory sticks. On Linux, the file appears under its name only when it is complete, except on
    /// file systems without unnamed files (`O_TMPFILE`).
    ///
    /// # Errors
    /// [`Kind::Exists`] if the name exists, even as a dangling link; [`Kind::Io`] if the file
    /// cannot be written, in which case no file is left behind.
    pub fn create(path: &Path, bytes: &[u8]) -> Result<()> {
        create_private(path, bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(Kind::Exists, "exists already; nothing was changed")
                    .with_help("Name another file, or move this one away first.")
                    .in_file(path)
            }
            _ => io("cannot be created", &error).in_file(path),
        })
    }

    /// Creates a private file at `path`, and renames the file that is there to `kept`. If the file
    /// system allows it, the rename happens only when the new file is complete, so that a crash
    /// leaves no incomplete file and, except in a very short moment, a file at `path`.
    ///
    /// # Errors
    /// [`Kind::Io`] if the files cannot be renamed or written. In that case, the old file keeps its
    /// name.
    ///
    /// ```
    /// # let (_folder, path) = bootseal_fixtures::path("key");
    /// use bootseal_core::PrivateFile;
    /// let kept = path.with_extension("old");
    /// PrivateFile::create(&path, b"one")?;
    /// PrivateFile::create_keeping(&path, &kept, b"two")?;
    /// assert_eq!(PrivateFile::read(&kept, 3)?.as_deref(), Some(&b"one"[..]));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn create_keeping(path: &Path, kept: &Path, bytes: &[u8]) -> Result<()> {
        create_private_keeping(path, kept, bytes)
            .map_err(|error| io("cannot be replaced", &error).in_file(path))
    }
}

/// Reads an opened file, which must be regular, at most `max_bytes`; `None` if it was not found.
pub(super) fn contents(
    open: std::io::Result<std::fs::File>,
    max_bytes: usize,
) -> Result<Option<Vec<u8>>> {
    let failed = |error: std::io::Error| io("cannot be read", &error);
    let file = match open {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::new(Kind::Io, "is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() > max_bytes {
        true => Err(Error::malformed(format!("is larger than {max_bytes} bytes"))),
        false => Ok(Some(bytes)),
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
    fn replace_sets_mode_0600_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state");
        PrivateFile::lock(&path).unwrap().replace(b"one").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        PrivateFile::lock(&path).unwrap().replace(b"two").unwrap();
        assert_eq!(PrivateFile::read(&path, 3).unwrap().as_deref(), Some(&b"two"[..]));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn try_lock_does_not_wait_for_a_held_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let held = PrivateFile::try_lock(&path).unwrap();
        assert!(held.is_some() && PrivateFile::try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(PrivateFile::try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn an_existing_file_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        PrivateFile::create(&path, b"mine").unwrap();
        assert_eq!(PrivateFile::create(&path, b"theirs").unwrap_err().kind(), Kind::Exists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        assert_eq!(
            PrivateFile::create(&folder.path().join("link"), b"x").unwrap_err().kind(),
            Kind::Exists
        );
    }

    #[test]
    fn a_pipe_or_an_oversized_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, large) = (folder.path().join("pipe"), folder.path().join("large"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        std::fs::write(&large, "four").unwrap();
        assert_eq!(PrivateFile::read(&pipe, 9).unwrap_err().kind(), Kind::Io);
        assert_eq!(PrivateFile::read(&large, 3).unwrap_err().kind(), Kind::Malformed);
        assert_eq!(
            PrivateFile::lock(&large).unwrap().read_locked(4).unwrap().as_deref(),
            Some(&b"four"[..])
        );
        assert_eq!(PrivateFile::read(&folder.path().join("absent"), 9).unwrap(), None);
    }
}
