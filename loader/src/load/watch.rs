//! The stamp of a file: it changes when another file takes its place, for example behind a swapped
//! link.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// File systems stamp two writes in quick succession with the same time.
const GRANULARITY: Duration = Duration::from_secs(1);

/// Which file a path leads to, and when it was written. A watcher compares stamps and reads the
/// file only when they differ.
///
/// ```
/// use bootseal::FileStamp;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.sealed.toml");
/// std::fs::write(&path, "one")?;
/// let before = FileStamp::of(&path);
/// std::fs::write(&path, "other")?;
/// assert_ne!(FileStamp::of(&path), before);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Behind all links.
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    /// Device and inode; 0 where the system has none.
    file: (u64, u64),
}

impl FileStamp {
    /// The stamp of the file that `path` leads to now. `None` if there is none: a file that is
    /// missing for a moment is being replaced.
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

    /// Whether any later write is sure to change the stamp: the last one is not too recent.
    pub(crate) fn is_settled(&self) -> bool {
        let age =
            self.modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        age.is_some_and(|age| age > GRANULARITY)
    }
}
