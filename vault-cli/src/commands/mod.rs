//! One file a verb.

pub(crate) mod accept;
pub(crate) mod access;
pub(crate) mod clear_clipboard;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod git;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod keygen;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod profile;
pub(crate) mod propose;
pub(crate) mod rename;
pub(crate) mod resolve;
pub(crate) mod rotate;
pub(crate) mod seal;
pub(crate) mod set;
pub(crate) mod sign;
pub(crate) mod sweep;
pub(crate) mod unset;
mod value;
pub(crate) mod vendor;
pub(crate) mod verify;

use crate::ui::failure::Result;
use std::path::Path;

/// A new file with mode 0600, which must not exist yet, holding `content`.
pub(crate) fn write_private(path: &Path, content: &bootseal_core::Secret) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        content.expose(|bytes| std::io::Write::write_all(&mut file, bytes))?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| {
        let error = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                bootseal_core::Error::new(bootseal_core::Kind::Exists, "exists already, and stays as it is")
                    .with_help("Name another one, or take it away first.")
            }
            _ => bootseal_core::Error::new(bootseal_core::Kind::Io, format!("cannot be made: {error}")),
        };
        error.in_file(path).into()
    })
}
