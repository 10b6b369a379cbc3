//! What this machine remembers of each sealed file: its vault, and the highest generation and epoch
//! that were seen.

use crate::context::Context;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, KnownFile, KnownVaults, Shown, VaultId, VerifiedFile};
use std::path::{Path, PathBuf};

/// What this machine remembers, and the path by which it knows the file. Without a home folder
/// there is no memory, and a pin or a question takes its place. It is loaded before the file is
/// read: otherwise the file could look older than a version that another process wrote in between.
pub(crate) struct Memory(Option<(KnownVaults, KnownFile)>);

impl Memory {
    /// Loads what this machine remembers of the file at `path`.
    pub(crate) fn of(path: &Path, context: &Context<'_>) -> Result<Memory> {
        match known_vaults(context) {
            Ok(store) => Ok(Memory(Some((KnownVaults::load(&store)?, KnownFile::of_path(path)?)))),
            Err(_) => Ok(Memory(None)),
        }
    }

    pub(crate) fn recognise(&self, file: &mut VerifiedFile) -> Result<(), bootseal_core::Error> {
        self.0.as_ref().map_or(Ok(()), |(known, place)| known.recognise(file, place))
    }

    /// Refuses to put a secret into a file from before a removal that was seen here.
    pub(crate) fn refuse_older(&self, file: &VerifiedFile) -> Result<(), bootseal_core::Error> {
        self.0.as_ref().map_or(Ok(()), |(known, place)| known.refuse_older_epoch(file, place))
    }

    pub(crate) fn vault_id(&self) -> Option<VaultId> {
        self.0.as_ref().and_then(|(known, place)| known.vault_of(place))
    }

    /// The highest generation seen of this vault; 0 for a vault that was handed over, since a
    /// former writer can go on counting.
    pub(crate) fn generation(&self, vault: &VaultId) -> u64 {
        let known = self.0.as_ref().filter(|(known, place)| known.vault_of(place) == Some(*vault));
        known.map_or(0, |(known, place)| known.generation_of(place))
    }

    pub(crate) fn epoch(&self, vault: &VaultId) -> u64 {
        self.0.as_ref().map_or(0, |(known, place)| known.epoch_of(place, vault))
    }
}

/// The file in which this machine remembers vaults.
pub(crate) fn known_vaults(context: &Context<'_>) -> Result<PathBuf> {
    let folder = context.user_folder("LOCALAPPDATA", "XDG_STATE_HOME", ".local/state");
    folder.map(|folder| folder.join("bootseal").join("known_vaults")).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "neither HOME nor XDG_STATE_HOME is set, so known vaults cannot be remembered",
        )
        .with_help("Set HOME, or XDG_STATE_HOME to a folder of yours.")
    })
}

/// Prints a note if the locked file is older than a version seen here.
pub(crate) fn note_older(
    file: &VerifiedFile,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    let memory = Memory::of(path, context)?;
    let seen = memory.generation(&file.vault_id());
    // Not an error: a file on another branch is often older.
    if memory.vault_id() == Some(file.vault_id()) && file.generation() < seen {
        let shown = Shown::path(path).to_string();
        context.ui.note(format_args!(
            "{shown} is generation {}; generation {seen} was seen here",
            file.generation()
        ));
    }
    Ok(())
}

/// Remembers the file, which a pin or a person vouched for; after a handover, under its new vault
/// id.
pub(crate) fn remember(path: &Path, file: &VerifiedFile, context: &mut Context<'_>) {
    let done = known_vaults(context)
        .and_then(|store| Ok(KnownVaults::remember(&store, &KnownFile::of_path(path)?, file)?));
    let shown = Shown::path(path).to_string();
    match done {
        Ok(Some(before)) => context.ui.note(format_args!(
            "{shown} was known as {before}; from now on it is {}",
            file.vault_id()
        )),
        Ok(None) => {}
        // It is vouched for now, as by a pin on a build server, and must be again next time.
        Err(failure) => {
            context.ui.warn(format_args!("{shown} is not remembered: {}", failure.text()))
        }
    }
}
