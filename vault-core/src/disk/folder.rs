//! The folder of a file that is to be changed, with its lock and the rename that replaces the file.

use crate::disk::holder::Holder;
use crate::disk::paths::parent;
use crate::error::{Error, Kind, Result};
use std::path::Path;
use std::time::{Duration, Instant};

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use other as sys;
pub(crate) use sys::{Folder, InPlace, create_private, create_private_keeping};
#[cfg(unix)]
use unix as sys;

/// How long to wait for a lock, or for a process that opens a pipe for writing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

impl Folder {
    /// Waits for the lock, at most `patience`: anyone who can read the folder can lock it.
    ///
    /// # Errors
    /// [`Kind::Io`] if the folder cannot be locked, or another process still holds the lock; the
    /// error names that process if the system reports its id.
    pub(crate) fn lock(real: &Path, patience: Duration) -> Result<Folder> {
        let began = Instant::now();
        loop {
            if let Some(folder) = Folder::try_lock(real).map_err(|error| unlocked(&error))? {
                return Ok(folder);
            }
            if began.elapsed() >= patience {
                let holder = Holder::of(parent(real));
                return Err(Error::new(Kind::Io, holder.to_string())
                    .with_help("Run the command again when that process has ended."));
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
    }
}

/// The error of a folder whose lock cannot be taken.
pub(crate) fn unlocked(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::Io, "its folder does not exist"),
        _ => Error::new(Kind::Io, format!("cannot be locked: {error}")),
    }
}
