//! The stamp of a file, which changes when the file is written or replaced, for example by
//! replacing a link.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Two writes within this time may leave the same modification time.
const GRANULARITY: Duration = Duration::from_secs(1);

/// The target of a path and its modification time. A watcher compares stamps, and reads the file
/// only if they differ.
///
/// ```
/// # let (_folder, path) = bootseal_fixtures::path("app.sealed.toml");
/// use bootseal::FileStamp;
/// std::fs::write(&path, "one")?;
/// let before = FileStamp::of(&path);
/// std::fs::write(&path, "other")?;
/// assert_ne!(FileStamp::of(&path), before);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The path with all links resolved.
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    /// Device and inode, or 0 if the system has no such numbers.
    file: (u64, u64),
}

impl FileStamp {
    /// The stamp of the file that `path` leads to now. `None` if there is no file, for example
    /// while it is being replaced.
    pub fn of(path: &Path) -> Option<FileStamp> {
        let path = std::fs::canonicalize(path).ok()?;
        let meta = std::fs::metadata(&path).ok()?;
        #[cfg(unix)]
        let file = (
            std::os::unix::fs::MetadataExt::dev(&meta),
            std::os::unix::fs::MetadataExt::ino(&meta),
        );
        #[cfg(not(unix))]
        let file = (0, 0);
        Some(FileStamp { path, length: meta.len(), modified: meta.modified().ok(), file })
    }

    /// Whether the last write is old enough that any later write changes the stamp.
    pub(crate) fn is_settled(&self) -> bool {
        let age =
            self.modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        age.is_some_and(|age| age > GRANULARITY)
    }
}
