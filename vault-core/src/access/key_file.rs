//! Reads key files onto guarded pages, and refuses those that others can read or write.

use crate::disk::source::{UTF8_MARK, open_source, other_encoding};
use crate::error::{Error, Kind, Result};
use crate::shown::shell_path;
use bootseal_memory::SecretBuf;
use std::fs::File;
use std::path::Path;

/// The size limit. An identity file has only a few lines, so a larger file is not one.
pub(super) const MAX_FILE: usize = 64 * 1024;

/// Reads an identity file onto a guarded page. Refuses it if others can read or write it.
pub(crate) fn read_page(path: &Path) -> Result<SecretBuf> {
    let mut file = open_source(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
        _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
    })?;
    check_mode(&file, path)?;
    page_from(&mut file)
}

/// Reads an identity file from `source` onto a guarded page. Unlike `read_page`, it does not check
/// who else can read the source, which may be a pipe or a descriptor.
pub(crate) fn page_from(source: &mut impl std::io::Read) -> Result<SecretBuf> {
    let mut page = SecretBuf::with_capacity(4096)?;
    match page.read_to_end(source, MAX_FILE) {
        Ok(true) => Ok(page),
        Ok(false) => Err(Error::malformed("longer than 64 KiB: this is not an identity file")),
        Err(error) => Err(Error::new(Kind::Io, format!("cannot be read: {error}"))),
    }
}

/// The text of an identity file, without the byte order mark that editors on Windows add.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str> {
    if let Some(encoding) = other_encoding(bytes) {
        return Err(Error::malformed(format!("is in {encoding}")).with_help("Save it as UTF-8."));
    }
    std::str::from_utf8(bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes))
        .map_err(|_| Error::malformed("not UTF-8: this is not an identity file"))
}

/// Refuses a file that others can read or write, and a folder. Pipes, sockets and character devices
/// are not checked, and neither is a file on a read-only file system.
#[cfg(unix)]
pub(crate) fn check_mode(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let meta = file
        .metadata()
        .map_err(|error| Error::new(Kind::Io, format!("cannot be read: {error}")))?;
    if meta.is_dir() {
        return Err(Error::new(Kind::Io, "this is a folder, not an identity file"));
    }
    if meta.file_type().is_fifo()
        || meta.file_type().is_char_device()
        || meta.file_type().is_socket()
    {
        return Ok(());
    }
    let mode = meta.mode() & 0o777;
    let refuse = |action: &str| {
        Err(Error::new(
            Kind::UnsafeFile,
            format!("others can {action} this key file (mode {mode:04o})"),
        )
        .with_help(format!("chmod 600 {}", shell_path(path))))
    };
    // On a read-only file system, such as a mounted secret, nobody can change the mode.
    let read_only = rustix::fs::fstatvfs(file)
        .is_ok_and(|system| system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if mode & 0o022 != 0 && !read_only {
        return refuse("write");
    }
    if mode & 0o044 != 0 && !read_only {
        return refuse("read");
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn check_mode(_file: &File, _path: &Path) -> Result<()> {
    // On Windows, a file inherits its access list from the user's own folder, where identities are
    // stored by default.
    Ok(())
}
