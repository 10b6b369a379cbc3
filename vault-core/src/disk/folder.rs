//! The folder of a file that is to be changed, with its lock and the rename that replaces the file.

use std::path::{Path, PathBuf};

pub(crate) use sys::Folder;

/// The path with links resolved. For a file that does not exist yet, this is the real path of its
/// folder, joined with the file's name.
pub(crate) fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
            Ok(parent(path).canonicalize()?.join(name))
        }
        other => other,
    }
}

/// The folder of `path`, or the current folder for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates the folder of `path` and those above it, with mode 0700, unless they exist.
pub(crate) fn create_private_parent(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(parent(path))
}

/// A random hidden file name, derived from `name`, that no other process picks.
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

    const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

    /// An open, locked folder. Files are opened and renamed relative to its descriptor, so that
    /// renaming the folder in the meantime cannot redirect the write.
    #[derive(Debug)]
    pub(crate) struct Folder(OwnedFd);

    impl Folder {
        fn open_parent(real: &Path) -> io::Result<OwnedFd> {
            let folder = real.parent().ok_or(io::ErrorKind::InvalidInput)?;
            Ok(rustix::fs::open(
                folder,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?)
        }

        /// Waits for the lock.
        pub(crate) fn lock(real: &Path) -> io::Result<Folder> {
            let folder = Folder::open_parent(real)?;
            loop {
                match rustix::fs::flock(&folder, FlockOperation::LockExclusive) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            }
            Ok(Folder(folder))
        }

        /// Returns `None` if another process holds the lock.
        pub(crate) fn try_lock(real: &Path) -> io::Result<Option<Folder>> {
            let folder = Folder::open_parent(real)?;
            match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                other => Ok(other.map(|()| Some(Folder(folder)))?),
            }
        }

        pub(crate) fn open(&self, real: &Path) -> io::Result<File> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
        }

        /// Replaces an existing file. The new file gets the old file's mode and, if permitted, its
        /// owner.
        pub(crate) fn replace(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let old = self.open(real)?.metadata()?;
            self.with_temporary(name, OWNER_ONLY, bytes, |file, temporary| {
                let (uid, gid) =
                    (rustix::fs::Uid::from_raw(old.uid()), rustix::fs::Gid::from_raw(old.gid()));
                // Only root may change the owner, but the group is often one of the process's
                // groups.
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

        /// Creates or replaces a file that only its owner can read, whatever its mode was before.
        pub(crate) fn put_private(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            self.with_temporary(name, OWNER_ONLY, bytes, |file, temporary| {
                file.sync_all()?;
                Ok(rustix::fs::renameat(&self.0, temporary, &self.0, name)?)
            })
        }

        /// Creates the file with the default mode under the umask. Fails if the file exists.
        pub(crate) fn create(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            self.with_temporary(name, Mode::from_raw_mode(0o666), bytes, |file, temporary| {
                file.sync_all()?;
                // Unlike a rename, a hard link never replaces a file.
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
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(&self.0, &temporary, flags, mode)?);
            let done = file.write_all(bytes).and_then(|()| finish(&file, &temporary));
            if done.is_err() {
                let _ = rustix::fs::unlinkat(&self.0, &temporary, AtFlags::empty());
            }
            done?;
            // The rename itself must be on disk too.
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

    /// A lock file beside the real file. No other process can open it while this process has it
    /// open.
    #[derive(Debug)]
    pub(crate) struct Folder(#[allow(dead_code)] File);

    impl Folder {
        pub(crate) fn lock(real: &Path) -> io::Result<Folder> {
            loop {
                match Folder::try_lock(real)? {
                    Some(folder) => return Ok(folder),
                    None => std::thread::sleep(std::time::Duration::from_millis(20)),
                }
            }
        }

        pub(crate) fn try_lock(real: &Path) -> io::Result<Option<Folder>> {
            let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let mut lock = std::ffi::OsString::from(".");
            lock.push(name);
            lock.push(".lock");
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            #[cfg(windows)]
            std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
            match options.open(real.with_file_name(&lock)) {
                // ERROR_SHARING_VIOLATION: another process has the lock file open.
                Err(error) if error.raw_os_error() == Some(32) => Ok(None),
                other => other.map(|file| Some(Folder(file))),
            }
        }

        pub(crate) fn open(&self, real: &Path) -> io::Result<File> {
            File::open(real)
        }

        pub(crate) fn replace(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            let temporary = self.write_temporary(real, bytes)?;
            std::fs::rename(&temporary, real)
                .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
        }

        /// On Windows, the access list is inherited from the folder.
        pub(crate) fn put_private(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
            self.replace(real, bytes)
        }

        pub(crate) fn create(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
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

/// Opens a file for reading. If it is a pipe, this does not wait for a writer; the caller checks
/// the file type.
#[cfg(unix)]
pub(crate) fn open(path: &Path) -> std::io::Result<std::fs::File> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?
        .into())
}

#[cfg(not(unix))]
pub(crate) fn open(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::open(path)
}
