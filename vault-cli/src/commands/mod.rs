//! One file a verb.

pub(crate) mod access_add;
pub(crate) mod access_list;
pub(crate) mod get;
pub(crate) mod init;
pub(crate) mod keygen;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod seal;
pub(crate) mod set;
pub(crate) mod verify;

use crate::cli::Everywhere;
use crate::exit::Result;
use crate::keys::Keys;
use crate::output::Style;
use crate::vaults::Found;
use crate::world::World;
use bootseal_core::{FileLock, Pin, Vault, VerifiedFile, Writer};
use std::path::{Path, PathBuf};

/// Everything that a verb which changes the file needs to know before it asks for a value.
pub(crate) struct Target {
    path: PathBuf,
    keys: Keys,
    /// What the file must still be when it is locked: its vault, and what pins say of its generation.
    pins: Vec<Pin>,
}

impl Target {
    /// Finds and verifies the file, and makes sure that someone vouches for it.
    pub(crate) fn find(everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(Target, VerifiedFile)> {
        let Found { path, mut keys, pins, mut file } = world.find(everywhere, style)?;
        world.vouch(&mut file, &path, style)?;
        world.unlock(&mut keys, &file, everywhere)?;
        let pins = vec![pin_of(&file, &pins)];
        Ok((Target { path, keys, pins }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Locks the file, reads it anew, lets `change` change it, signs it, and writes it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Vault<Writer>) -> Result<R>) -> Result<R> {
        let lock = FileLock::acquire(&self.path)?;
        let file = lock.read()?.verify(&self.pins)?.with_plugins(&self.keys.plugins);
        let mut vault = file.open_for_writing(&self.keys.identities)?;
        let placed = |error: bootseal_core::Error| error.in_file(&self.path);
        let result = change(&mut vault)?;
        lock.write(&vault.sign().map_err(placed)?)?;
        Ok(result)
    }

    /// Whether the identities at hand may change the file: asked before a person is asked for a value.
    pub(crate) fn check_writer(&self, file: VerifiedFile) -> Result<()> {
        file.open_for_writing(&self.keys.identities)?;
        Ok(())
    }
}

/// What the file must still be when it is read again: this vault, at no lower generation than its pins ask for.
pub(crate) fn pin_of(file: &VerifiedFile, pins: &[Pin]) -> Pin {
    let meant = |pin: &&Pin| pin.vault == file.vault() || Some(pin.vault) == file.handed_over_from();
    let floor = pins.iter().filter(meant).map(|pin| pin.floor).max().unwrap_or_default();
    Pin { vault: file.vault(), floor }
}

/// Why a file that was named cannot be read.
pub(crate) fn unreadable(error: &std::io::Error) -> bootseal_core::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => bootseal_core::Error::new(bootseal_core::Kind::NotFound, "no such file"),
        _ => bootseal_core::Error::new(bootseal_core::Kind::Io, format!("cannot be read: {error}")),
    }
}

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
        let kind = if error.kind() == std::io::ErrorKind::AlreadyExists {
            bootseal_core::Kind::Exists
        } else {
            bootseal_core::Kind::Io
        };
        bootseal_core::Error::new(kind, format!("cannot be made: {error}")).in_file(path).into()
    })
}
