//! Paths and folders on the way to a file, and files that are opened for reading.

use std::ffi::{OsStr, OsString};
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
pub(super) fn temporary_name(name: &OsStr) -> std::io::Result<OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}{TEMPORARY}", u64::from_le_bytes(random)));
    Ok(temporary)
}

/// The extension of temporary files.
const TEMPORARY: &str = ".tmp";

/// Whether `other` is a name that [`temporary_name`] makes for `name`. A process that holds the lock
/// of `name` may remove such a file: the process that made it was killed.
pub(super) fn is_temporary_of(name: &OsStr, other: &OsStr) -> bool {
    let random = || {
        let other = other.as_encoded_bytes().strip_prefix(b".")?;
        let other = other.strip_prefix(name.as_encoded_bytes())?.strip_prefix(b".")?;
        other.strip_suffix(TEMPORARY.as_bytes())
    };
    let hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    random().is_some_and(|random| random.len() == 16 && random.iter().all(hexadecimal))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests
    use super::*;

    #[test]
    fn only_the_temporary_files_of_a_name_are_recognised() {
        let name = OsStr::new("app.sealed.toml");
        assert!(is_temporary_of(name, &temporary_name(name).unwrap()));
        assert!(!is_temporary_of(name, &temporary_name(OsStr::new("dev.sealed.toml")).unwrap()));
        assert!(!is_temporary_of(OsStr::new("sealed.toml"), &temporary_name(name).unwrap()));
        for other in [
            "app.sealed.toml",
            ".app.sealed.toml.tmp",
            ".app.sealed.toml.0123456789abcde.tmp",
            ".app.sealed.toml.0123456789ABCDEF.tmp",
            ".app.sealed.toml.0123456789abcdefg.tmp",
            ".app.sealed.toml.0123456789abcdef.tmp2",
            "app.sealed.toml.0123456789abcdef.tmp",
        ] {
            assert!(!is_temporary_of(name, OsStr::new(other)), "{other}");
        }
    }
}
