//! `--shred`: overwrites and removes the input of `seal`, and nothing else.

use crate::context::Context;
use crate::ui::failure::{Failure, Result, unreadable};
use bootseal_core::{Error, Kind, Shown};
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

/// The number of bytes that are overwritten at once.
const CHUNK: usize = 1 << 16;

/// A file that will be overwritten and removed.
pub(super) struct Shred {
    path: PathBuf,
    file: File,
}

impl Shred {
    /// Opens the file before it is sealed.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is a symbolic link, whose target must not be overwritten, or no
    /// regular file; [`Kind::Io`] if it cannot be written.
    pub(super) fn of(path: &Path) -> Result<Shred> {
        let refuse = |what: &str| {
            Error::new(
                Kind::Conflict,
                format!("{what}, which --shred does not overwrite; nothing was sealed"),
            )
            .with_help("Name the file itself, or leave --shred out.")
            .in_file(path)
        };
        let found = path.symlink_metadata().map_err(|error| failed(path, &error))?;
        if found.is_symlink() {
            return Err(refuse("is a symbolic link").into());
        }
        if !found.is_file() {
            return Err(refuse("is not a regular file").into());
        }
        let mut options = OpenOptions::new();
        options.write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, {
            use rustix::fs::OFlags;
            (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
        });
        let file = options.open(path).map_err(|error| failed(path, &error))?;
        let shred = Shred { path: path.to_path_buf(), file };
        match shred.is_there() {
            true => Ok(shred),
            false => Err(refuse("was replaced").into()),
        }
    }

    /// Whether the path still leads to the opened file.
    fn is_there(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let found = self.path.symlink_metadata().map(|meta| (meta.dev(), meta.ino()));
            found.ok() == self.file.metadata().map(|meta| (meta.dev(), meta.ino())).ok()
        }
        #[cfg(not(unix))]
        self.path.symlink_metadata().is_ok_and(|meta| meta.is_file())
    }

    /// Overwrites and removes the file. Copies in journals and snapshots remain, and other names of
    /// the file; both are reported.
    pub(super) fn carry_out(mut self, context: &mut Context<'_>) -> Result<()> {
        let others = self.other_names();
        self.overwrite().map_err(|error| failed(&self.path, &error))?;
        if !self.is_there() {
            let text = "is sealed and was overwritten, but another file has its name now, and was not removed";
            return Err(Error::new(Kind::Conflict, text).in_file(&self.path).into());
        }
        std::fs::remove_file(&self.path).map_err(|error| failed(&self.path, &error))?;
        let shown = Shown::path(&self.path).to_string();
        context.ui.note(format_args!(
            "{shown} was overwritten and removed; copies of the disk and git's history may still contain it"
        ));
        if others > 0 {
            context.ui.warn(format_args!(
                "{shown} had {others} more name{} (hard links), which lead to the overwritten file",
                if others == 1 { "" } else { "s" }
            ));
        }
        Ok(())
    }

    #[cfg(unix)]
    fn other_names(&self) -> u64 {
        let meta = self.file.metadata();
        meta.map_or(0, |meta| std::os::unix::fs::MetadataExt::nlink(&meta).saturating_sub(1))
    }

    #[cfg(not(unix))]
    fn other_names(&self) -> u64 {
        0
    }

    fn overwrite(&mut self) -> std::io::Result<()> {
        let length = self.file.metadata()?.len();
        for byte in [0xFF, 0x00] {
            self.file.rewind()?;
            let mut left = length;
            while left > 0 {
                let part = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                self.file.write_all(&[byte; CHUNK][..part])?;
                left -= part as u64;
            }
            self.file.sync_all()?;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => unreadable(error),
        _ => Error::new(Kind::Io, format!("cannot be overwritten: {error}")),
    }
    .in_file(path)
    .into()
}
