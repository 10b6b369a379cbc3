//! The folder on Unix: an open descriptor, locked with `flock`.

use crate::disk::acl;
use crate::disk::paths::{is_temporary_of, parent, temporary_name};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
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

    /// Returns `None` if another process holds the lock.
    pub(crate) fn try_lock(real: &Path) -> io::Result<Option<Folder>> {
        let folder = Folder::open_parent(real)?;
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            other => Ok(other.map(|()| Some(Folder(folder)))?),
        }
    }

    pub(crate) fn open(&self, real: &Path) -> io::Result<File> {
        self.open_as(real, OFlags::RDONLY)
    }

    /// Opens an existing file for reading and writing. A file that its owner made read-only is
    /// writable until the returned value is dropped.
    pub(crate) fn open_in_place(&self, real: &Path) -> io::Result<InPlace> {
        match self.open_as(real, OFlags::RDWR) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => return Ok(InPlace { file: other?, mode: None }),
        }
        let file = self.open(real)?;
        let mode = mode_of(&file.metadata()?);
        rustix::fs::fchmod(&file, mode | Mode::WUSR)?;
        let reopened = self.open_as(real, OFlags::RDWR);
        if reopened.is_err() {
            rustix::fs::fchmod(&file, mode)?;
        }
        Ok(InPlace { file: reopened?, mode: Some(mode) })
    }

    fn open_as(&self, real: &Path, access: OFlags) -> io::Result<File> {
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Replaces an existing file. The new file gets the old file's mode, access control list and,
    /// if permitted, its owner. Rights that cannot be kept are narrowed, never widened.
    pub(crate) fn replace(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let old_file = self.open(real)?;
        let old = old_file.metadata()?;
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
            let mut mode = mode_of(&old);
            if let Err(narrowed) = acl::copy(&old_file, file, mode)? {
                mode = narrowed;
            }
            if file.metadata()?.gid() != old.gid() {
                // The group bits would apply to another group, which gets no more than everyone.
                mode = acl::group_as_others(mode);
            }
            rustix::fs::fchmod(file, mode)?;
            file.sync_all()?;
            Ok(rustix::fs::renameat(&self.0, temporary, &self.0, name)?)
        })
    }

    /// Creates or replaces a file that only its owner can read, whatever its mode was before.
    pub(crate) fn put_private(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        self.with_temporary(name, OWNER_ONLY, bytes, |file, temporary| {
            acl::remove(file)?;
            file.sync_all()?;
            Ok(rustix::fs::renameat(&self.0, temporary, &self.0, name)?)
        })
    }

    /// Creates the file with the default mode under the umask, and executable if `program`. Fails
    /// if the file exists.
    pub(crate) fn create(&self, real: &Path, bytes: &[u8], program: bool) -> io::Result<()> {
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mode = Mode::from_raw_mode(if program { 0o777 } else { 0o666 });
        self.remove_left_over(name);
        #[cfg(target_os = "linux")]
        if let Some(done) = create_unnamed(&self.0, name, mode, bytes, |_| Ok(())) {
            return done;
        }
        self.with_temporary(name, mode, bytes, |file, temporary| {
            file.sync_all()?;
            // Unlike a rename, a hard link never replaces a file.
            rustix::fs::linkat(&self.0, temporary, &self.0, name, AtFlags::empty())?;
            Ok(rustix::fs::unlinkat(&self.0, temporary, AtFlags::empty())?)
        })
    }

    /// Removes temporary files that processes left when they were killed: none of them is in use,
    /// because this process holds the lock.
    fn remove_left_over(&self, name: &OsStr) {
        // An error is ignored: these files do no harm.
        for entry in Dir::read_from(&self.0).into_iter().flatten().flatten() {
            let other = OsStr::from_bytes(entry.file_name().to_bytes());
            if is_temporary_of(name, other) {
                let _ = rustix::fs::unlinkat(&self.0, other, AtFlags::empty());
            }
        }
    }

    fn with_temporary(
        &self,
        name: &OsStr,
        mode: Mode,
        bytes: &[u8],
        finish: impl FnOnce(&File, &OsStr) -> io::Result<()>,
    ) -> io::Result<()> {
        self.remove_left_over(name);
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

/// A file that is changed where it is.
pub(crate) struct InPlace {
    pub(crate) file: File,
    /// The mode that the drop restores.
    mode: Option<Mode>,
}

impl Drop for InPlace {
    fn drop(&mut self) {
        if let Some(mode) = self.mode {
            let _ = rustix::fs::fchmod(&self.file, mode);
        }
    }
}

fn mode_of(meta: &std::fs::Metadata) -> Mode {
    #[allow(clippy::unnecessary_cast)] // u32 on Linux, u16 on macOS
    Mode::from_raw_mode((meta.mode() & 0o7777) as rustix::fs::RawMode)
}

/// Creates a file that only its owner can read, at a name that must not exist. On file systems with
/// unnamed files, the file gets its name only when it is complete, so that nothing is left if the
/// process is killed or the disk is full.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // Otherwise the write, which may fail, would come before this error.
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = File::open(parent(path))?;
        if let Some(done) = create_unnamed(&folder, name, OWNER_ONLY, bytes, acl::remove) {
            return done;
        }
    }
    create_named(path, bytes)
}

fn create_named(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, OWNER_ONLY)?);
    let written = acl::remove(&file).and_then(|()| file.write_all(bytes));
    written.and_then(|()| file.sync_all()).inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// Does the same as [`create_private`] at the name of an existing file, which is renamed to `kept`
/// only when the new file is complete. If this fails, the old file has its name again.
pub(crate) fn create_private_keeping(path: &Path, kept: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = File::open(parent(path))?;
    #[cfg(target_os = "linux")]
    let whole = unnamed(&folder, OWNER_ONLY, bytes, acl::remove).transpose()?;
    std::fs::rename(path, kept)?;
    #[cfg(target_os = "linux")]
    let done = whole.and_then(|file| link(&file, &folder, name));
    #[cfg(not(target_os = "linux"))]
    let done = None;
    done.unwrap_or_else(|| create_named(path, bytes)).inspect_err(|_| {
        // A link never replaces a file that appeared there meanwhile.
        if std::fs::hard_link(kept, path).is_ok() {
            let _ = std::fs::remove_file(kept);
        }
    })
}

/// Creates a file by `O_TMPFILE` and a link, which never replaces a file. `begin` prepares it before
/// it has content. Returns `None` if the file system or the kernel has no unnamed files.
#[cfg(target_os = "linux")]
fn create_unnamed(
    folder: impl AsFd,
    name: &OsStr,
    mode: Mode,
    bytes: &[u8],
    begin: impl FnOnce(&File) -> io::Result<()>,
) -> Option<io::Result<()>> {
    match unnamed(&folder, mode, bytes, begin)? {
        Ok(file) => link(&file, folder, name),
        Err(error) => Some(Err(error)),
    }
}

/// A complete file without a name, which the system removes if it never gets one.
#[cfg(target_os = "linux")]
fn unnamed(
    folder: impl AsFd,
    mode: Mode,
    bytes: &[u8],
    begin: impl FnOnce(&File) -> io::Result<()>,
) -> Option<io::Result<File>> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, ".", flags, mode).ok()?);
    let written = begin(&file).and_then(|()| file.write_all(bytes));
    Some(written.and_then(|()| file.sync_all()).map(|()| file))
}

/// Gives an unnamed file its name. Returns `None` if the system cannot.
#[cfg(target_os = "linux")]
fn link(file: &File, folder: impl AsFd, name: &OsStr) -> Option<io::Result<()>> {
    use rustix::fs::{CWD, linkat};
    use std::os::fd::AsRawFd;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, own, &folder, name, AtFlags::SYMLINK_FOLLOW) {
        // The name must be on disk too.
        Ok(()) => Some(rustix::fs::fsync(&folder).map_err(Into::into)),
        Err(rustix::io::Errno::EXIST) => Some(Err(io::ErrorKind::AlreadyExists.into())),
        // No /proc, or no hard links.
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_created_with_and_without_unnamed_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, create) in [
            ("unnamed", create_private as fn(&Path, &[u8]) -> io::Result<()>),
            ("named", create_named),
        ] {
            let path = folder.path().join(name);
            create(&path, b"key").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"key");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(create(&path, b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            let link = folder.path().join(format!("link of {name}"));
            std::os::unix::fs::symlink("nowhere", &link).unwrap();
            assert_eq!(create(&link, b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_private_file_takes_the_place_of_one_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("key"), folder.path().join("key.old"));
        std::fs::write(&path, "old").unwrap();
        create_private_keeping(&path, &kept, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read(&kept).unwrap(), b"old");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // An error leaves both as they are.
        let nowhere = folder.path().join("none/key.old");
        assert!(create_private_keeping(&path, &nowhere, b"newer").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_read_only_file_is_changed_in_place_and_stays_read_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        let folder = Folder::try_lock(&path).unwrap().unwrap();
        let mut open = folder.open_in_place(&path).unwrap();
        open.file.write_all(b"new").unwrap();
        drop(open);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    }
}
