//! How does a change reach the disk? Under a lock, by a rename: a crash at any point leaves the old file or the new one.

use crate::error::{Error, Kind, Result};
use crate::file::sealed::SealedFile;
use std::path::{Path, PathBuf};

/// The right to change one file; whoever else wants it waits until this is dropped.
///
/// The lock is on the folder of the real file, after links: a lock on the file itself would be lost by the rename.
///
/// ```
/// use bootseal_core::{Access, FileLock, Identity, Role, Vault};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("app.sealed.toml");
/// # let me = Identity::generate()?;
/// let vault = Vault::create(vec![Access::new("me", Role::Writer, me.recipient())?], "")?;
/// FileLock::acquire(&path)?.create(&vault.sign()?)?;
///
/// let lock = FileLock::acquire(&path)?;
/// let mut vault = lock.read()?.verify(&[])?.open_for_writing(&[me])?;
/// vault.set_readable(&"timeout".parse()?, &"10s".into())?;
/// lock.write(&vault.sign()?)?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FileLock {
    folder: sys::Folder,
    /// The real path, after links.
    real: PathBuf,
    asked: PathBuf,
}

impl FileLock {
    /// Waits for the lock of the file at `path`, which need not exist yet.
    ///
    /// # Errors
    /// [`Kind::Io`] where the path cannot be followed, where the folder cannot be opened, or its file system has no locks.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// let lock = FileLock::acquire(&path)?; // the file is not there yet: nobody else makes it meanwhile
    /// assert!(!path.exists());
    /// drop(lock); // and the next one may
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn acquire(path: &Path) -> Result<FileLock> {
        let lock = || -> std::io::Result<FileLock> {
            let real = real_path(path)?;
            let folder = sys::Folder::lock(&real)?;
            Ok(FileLock { folder, real, asked: path.to_path_buf() })
        };
        lock().map_err(|error| io("cannot be locked", &error).in_file(path))
    }

    /// The file's path after links.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let me = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, me.recipient())?], "")?;
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let lock = FileLock::acquire(&path)?;
    /// assert_eq!(lock.real_path().file_name(), path.file_name());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn real_path(&self) -> &Path {
        &self.real
    }

    /// Reads the file as it is now.
    ///
    /// # Errors
    /// As [`SealedFile::read`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let me = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, me.recipient())?], "")?;
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let lock = FileLock::acquire(&path)?;
    /// let file = lock.read()?.verify(&[])?;
    /// assert_eq!(file.generation(), 1);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn read(&self) -> Result<SealedFile> {
        let open = self.folder.open(&self.real).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
            _ => io("cannot be read", &error),
        });
        let file =
            open.and_then(|mut open| SealedFile::from_open(&mut open)).map_err(|error| error.in_file(&self.asked))?;
        Ok(file.at(&self.asked))
    }

    /// Puts `text` in the place of the file, which keeps its mode, and its owner where we may set it.
    ///
    /// # Errors
    /// [`Kind::Io`] where the folder or the file cannot be written; the file is then as it was.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let me = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, me.recipient())?], "")?;
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let lock = FileLock::acquire(&path)?;
    /// let vault = lock.read()?.verify(&[])?.open_for_writing(&[me])?;
    /// lock.write(&vault.sign()?)?;
    /// assert_eq!(SealedFile::read(&path)?.verify(&[])?.generation(), 2);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn write(self, text: &str) -> Result<()> {
        self.folder
            .replace(&self.real, text.as_bytes())
            .map_err(|error| io("cannot be written", &error).in_file(&self.asked))
    }

    /// Makes the file with `text` in it; it must not exist.
    ///
    /// # Errors
    /// [`Kind::Exists`] where it does, [`Kind::Io`] where the folder cannot be written.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// FileLock::acquire(&path)?.create("mine\n")?;
    /// let error = FileLock::acquire(&path)?.create("theirs\n").unwrap_err();
    /// assert_eq!(error.kind(), Kind::Exists);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn create(self, text: &str) -> Result<()> {
        self.folder.create(&self.real, text.as_bytes()).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => Error::new(Kind::Exists, "exists already; nothing was changed"),
                _ => io("cannot be written", &error),
            }
            .in_file(&self.asked)
        })
    }
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::Io, format!("{what}: {error}"))
}

/// The path after links; of a file that is not there yet, that of its folder with its name.
pub(crate) fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(folder.canonicalize()?.join(name))
        }
        other => other,
    }
}

/// A name for a file that nobody else uses, beside `name`.
fn temporary_name(name: &std::ffi::OsStr) -> std::io::Result<std::ffi::OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
    Ok(temporary)
}

#[cfg(unix)]
mod sys {
    use super::temporary_name;
    use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    #[derive(Debug)]
    pub(super) struct Folder(OwnedFd);

    impl Folder {
        pub(super) fn lock(real: &Path) -> io::Result<Folder> {
            let folder = real.parent().ok_or(io::ErrorKind::InvalidInput)?;
            let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            loop {
                match rustix::fs::flock(&folder, FlockOperation::LockExclusive) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            }
            Ok(Folder(folder))
        }

        pub(super) fn open(&self, real: &Path) -> io::Result<File> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
        }

        pub(super) fn replace(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let old = self.open(real)?.metadata()?;
            self.with_temporary(name, Mode::RUSR | Mode::WUSR, bytes, |file, temporary| {
                let (uid, gid) = (rustix::fs::Uid::from_raw(old.uid()), rustix::fs::Gid::from_raw(old.gid()));
                // The owner only root may give away; the group often is one of ours.
                let owned = rustix::fs::fchown(file, Some(uid), Some(gid))
                    .or_else(|_| rustix::fs::fchown(file, None, Some(gid)));
                match owned {
                    Ok(()) | Err(rustix::io::Errno::PERM) => {}
                    Err(error) => return Err(error.into()),
                }
                #[allow(clippy::unnecessary_cast)] // u32 on Linux, u16 on macOS
                let mode = (old.mode() & 0o7777) as rustix::fs::RawMode;
                rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
                file.sync_all()?;
                Ok(rustix::fs::renameat(&self.0, temporary, &self.0, name)?)
            })
        }

        pub(super) fn create(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            self.with_temporary(name, Mode::from_raw_mode(0o666), bytes, |file, temporary| {
                file.sync_all()?;
                // A link, unlike a rename, never replaces.
                rustix::fs::linkat(&self.0, temporary, &self.0, name, AtFlags::empty())?;
                Ok(rustix::fs::unlinkat(&self.0, temporary, AtFlags::empty())?)
            })
        }

        fn with_temporary(
            &self,
            name: &OsStr,
            mode: Mode,
            bytes: &[u8],
            finish: impl FnOnce(&File, &OsStr) -> io::Result<()>,
        ) -> io::Result<()> {
            let temporary = temporary_name(name)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(&self.0, &temporary, flags, mode)?);
            let done = file.write_all(bytes).and_then(|()| finish(&file, &temporary));
            if done.is_err() {
                let _ = rustix::fs::unlinkat(&self.0, &temporary, AtFlags::empty());
            }
            done?;
            Ok(rustix::fs::fsync(&self.0)?)
        }
    }
}

#[cfg(not(unix))]
mod sys {
    use super::temporary_name;
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};
    use std::path::Path;

    /// A file that nobody else can open while this one is.
    #[derive(Debug)]
    pub(super) struct Folder(#[allow(dead_code)] File);

    impl Folder {
        pub(super) fn lock(real: &Path) -> io::Result<Folder> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let mut lock = std::ffi::OsString::from(".");
            lock.push(name);
            lock.push(".lock");
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            #[cfg(windows)]
            std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
            loop {
                match options.open(real.with_file_name(&lock)) {
                    // ERROR_SHARING_VIOLATION: somebody has it.
                    Err(error) if error.raw_os_error() == Some(32) => {
                        std::thread::sleep(std::time::Duration::from_millis(20))
                    }
                    other => return other.map(Folder),
                }
            }
        }

        pub(super) fn open(&self, real: &Path) -> io::Result<File> {
            File::open(real)
        }

        pub(super) fn replace(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let temporary = self.write_temporary(real, bytes)?;
            std::fs::rename(&temporary, real).inspect_err(|_| drop(std::fs::remove_file(&temporary)))
        }

        pub(super) fn create(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let temporary = self.write_temporary(real, bytes)?;
            let done = std::fs::hard_link(&temporary, real);
            std::fs::remove_file(&temporary)?;
            done
        }

        fn write_temporary(&self, real: &Path, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let temporary = real.with_file_name(temporary_name(name)?);
            let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
            file.write_all(bytes)
                .and_then(|()| file.sync_all())
                .inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
            Ok(temporary)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_keeps_its_mode_a_link_stays_one_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("a.sealed.toml"), folder.path().join("link.sealed.toml"));
        FileLock::acquire(&real).unwrap().create("one\n").unwrap();
        std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("a.sealed.toml", &link).unwrap();
        let lock = FileLock::acquire(&link).unwrap();
        assert_eq!(lock.real_path(), real.canonicalize().unwrap());
        lock.write("two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "two\n");
        assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_exists_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sealed.toml");
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(FileLock::acquire(&path).unwrap().create("theirs").unwrap_err().kind(), Kind::Exists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
