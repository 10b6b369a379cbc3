//! The folder on systems without `flock`: a lock file beside the real file.

use crate::disk::paths::{is_temporary_of, parent, temporary_name};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A lock file beside the real file. No other process can open it while this process has it open.
#[derive(Debug)]
pub(crate) struct Folder(#[allow(dead_code)] File);

impl Folder {
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

    pub(crate) fn open_in_place(&self, real: &Path) -> io::Result<InPlace> {
        let file = OpenOptions::new().read(true).write(true).open(real)?;
        Ok(InPlace { file })
    }

    pub(crate) fn replace(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.write_temporary(real, bytes)?;
        std::fs::rename(&temporary, real).inspect_err(|_| drop(std::fs::remove_file(&temporary)))
    }

    /// On Windows, the access list is inherited from the folder.
    pub(crate) fn put_private(&self, real: &Path, bytes: &[u8]) -> io::Result<()> {
        self.replace(real, bytes)
    }

    /// Windows decides by the file's name whether a file is a program.
    pub(crate) fn create(&self, real: &Path, bytes: &[u8], _program: bool) -> io::Result<()> {
        let temporary = self.write_temporary(real, bytes)?;
        let done = std::fs::hard_link(&temporary, real);
        std::fs::remove_file(&temporary)?;
        done
    }

    fn write_temporary(&self, real: &Path, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
        let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        remove_left_over(real, name);
        let temporary = real.with_file_name(temporary_name(name)?);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
        Ok(temporary)
    }
}

/// Removes temporary files that processes left when they were killed: none of them is in use,
/// because this process holds the lock of `name`.
fn remove_left_over(real: &Path, name: &OsStr) {
    for entry in std::fs::read_dir(parent(real)).into_iter().flatten().flatten() {
        if is_temporary_of(name, &entry.file_name()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A file that is changed where it is.
pub(crate) struct InPlace {
    pub(crate) file: File,
}

/// Creates a file at a name that must not exist. On Windows, the access list is inherited from the
/// folder.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// Does the same as [`create_private`] at the name of an existing file, which is renamed to `kept`.
/// If this fails, the old file has its name again.
pub(crate) fn create_private_keeping(path: &Path, kept: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::rename(path, kept)?;
    create_private(path, bytes).inspect_err(|_| drop(std::fs::rename(kept, path)))
}
