//! What this machine remembers of each sealed file: its vault, and the highest generation and epoch that were seen.

use crate::context::Context;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, KnownFile, KnownVaults, Shown, VaultId, VerifiedFile};
use std::path::{Path, PathBuf};

/// What this machine remembers, and as what it knows the path. Without a home there is no memory; a pin, or a question, takes its place.
/// Loaded before the file is read: else what another process writes in between would look like an older file.
pub(crate) struct Memory(Option<(KnownVaults, KnownFile)>);

impl Memory {
    /// What this machine remembers of the file at `path`.
    pub(crate) fn of(path: &Path, context: &Context<'_>) -> Result<Memory> {
        match known_vaults(context) {
            Ok(store) => Ok(Memory(Some((KnownVaults::load(&store)?, KnownFile::of_path(path)?)))),
            Err(_) => Ok(Memory(None)),
        }
    }

    pub(crate) fn recognise(&self, file: &mut VerifiedFile) -> Result<(), bootseal_core::Error> {
        self.0.as_ref().map_or(Ok(()), |(known, place)| known.recognise(file, place))
    }

    /// What was seen stands against taking a secret in where the file is from before a removal.
    pub(crate) fn refuse_older(&self, file: &VerifiedFile) -> Result<(), bootseal_core::Error> {
        self.0.as_ref().map_or(Ok(()), |(known, place)| known.refuse_older_epoch(file, place))
    }

    pub(crate) fn vault_id(&self) -> Option<VaultId> {
        self.0.as_ref().and_then(|(known, place)| known.vault_of(place))
    }

    /// The highest generation that was seen of this vault; of one that was handed over, whoever has its key can go on counting.
    pub(crate) fn generation(&self, vault: &VaultId) -> u64 {
        let known = self.0.as_ref().filter(|(known, place)| known.vault_of(place) == Some(*vault));
        known.map_or(0, |(known, place)| known.generation_of(place))
    }

    pub(crate) fn epoch(&self, vault: &VaultId) -> u64 {
        self.0.as_ref().map_or(0, |(known, place)| known.epoch_of(place, vault))
    }
}

/// Where this machine remembers which vault each file is.
pub(crate) fn known_vaults(context: &Context<'_>) -> Result<PathBuf> {
    let folder = context.user_folder("LOCALAPPDATA", "XDG_STATE_HOME", ".local/state");
    folder.map(|folder| folder.join("bootseal").join("known_vaults")).ok_or_else(|| {
        Failure::new(Kind::Usage, "neither HOME nor XDG_STATE_HOME says where known vaults are remembered")
            .with_help("Set HOME, or XDG_STATE_HOME to a folder of yours.")
    })
}

/// Says so where the file, which is locked, is older than what was seen here.
pub(crate) fn note_older(file: &VerifiedFile, path: &Path, context: &mut Context<'_>) -> Result<()> {
    let memory = Memory::of(path, context)?;
    let seen = memory.generation(&file.vault_id());
    // No error: branches are older than one another all the time.
    if memory.vault_id() == Some(file.vault_id()) && file.generation() < seen {
        let shown = Shown(&path.to_string_lossy()).to_string();
        context.ui.note(format_args!("{shown} is generation {}; generation {seen} was seen here", file.generation()));
    }
    Ok(())
}

/// Keeps what is now known of the file: a pin, or a yes, makes it known; a handover moves the memory on.
pub(crate) fn remember(path: &Path, file: &VerifiedFile, context: &mut Context<'_>) {
    let done =
        known_vaults(context).and_then(|store| Ok(KnownVaults::remember(&store, &KnownFile::of_path(path)?, file)?));
    let shown = Shown(&path.to_string_lossy()).to_string();
    match done {
        Ok(Some(before)) => {
            context.ui.note(format_args!("{shown} was known as {before}; from now on it is {}", file.vault_id()))
        }
        Ok(None) => {}
        // Someone vouches for it now, as on a build server with a pin; next time someone must again.
        Err(failure) => context.ui.warn(format_args!("{shown} is not remembered: {}", failure.text())),
    }
}
