//! Paths and folders on the way to a file, and files that are opened for reading.

use std::path::{Path, PathBuf};

/// The path with links resolved. For a file that does not exist yet, this is the real path of its
/// folder, joined with the file's name.
pub(crate) fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => path_in_real_folder(path),
        other => other,
    }
}

/// The real path of the file's folder, joined with the file's name, which may be a link.
pub(crate) fn path_in_real_folder(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
    Ok(parent(path).canonicalize()?.join(name))
}

/// The folder of `path`, or the current folder for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
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
pub(super) fn temporary_name(name: &std::ffi::OsStr) -> std::io::Result<std::ffi::OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
    Ok(temporary)
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
