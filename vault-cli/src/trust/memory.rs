//! The known vaults of this machine: for each sealed file its vault id, and the highest generation
//! and epoch that were seen.

use crate::context::Context;
use crate::git::forks::{Compared, compare};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{
    Kind, KnownFile, KnownVaults, Shown, SignedFile, SignedVersion, VaultId, VerifiedFile,
};
use std::path::{Path, PathBuf};

/// The known vaults, and the path of one file in them. Without a home folder there are none, so
/// that a pin or a confirmation is needed. They are loaded before the file is read: otherwise the
/// file could look older than a version that another process wrote in between.
pub(crate) struct Memory {
    known: Option<(KnownVaults, KnownFile)>,
    /// The comparison that was made for the file with this digest, which may take seconds.
    compared: Option<([u8; 32], Compared)>,
}

impl Memory {
    /// Loads the known vaults for the file at `path`.
    pub(crate) fn of(path: &Path, context: &Context<'_>) -> Result<Memory> {
        let known = match known_vaults(context) {
            Ok(store) => Some((KnownVaults::load(&store)?, KnownFile::of_path(path)?)),
            Err(_) => None,
        };
        Ok(Memory { known, compared: None })
    }

    /// Refuses another vault than the known one before the file is parsed.
    pub(crate) fn refuse_other_vault(&self, file: &SignedFile) -> Result<(), bootseal_core::Error> {
        self.known.as_ref().map_or(Ok(()), |(known, place)| known.refuse_other_vault(file, place))
    }

    pub(crate) fn recognise(&self, file: &mut VerifiedFile) -> Result<(), bootseal_core::Error> {
        let Some((known, place)) = &self.known else { return Ok(()) };
        known.recognise(file, place).map_err(|error| way_back(error, known, file))
    }

    /// Whether a version may be one of the known vault of this file.
    pub(crate) fn accepts(&self, version: &SignedVersion) -> bool {
        self.known.as_ref().is_none_or(|(known, place)| known.accepts(version, place))
    }

    /// Refuses to seal a secret into a file with an older epoch than one seen here, because a
    /// removed member may open it.
    pub(crate) fn refuse_older(&self, file: &VerifiedFile) -> Result<(), bootseal_core::Error> {
        let Some((known, place)) = &self.known else { return Ok(()) };
        known.refuse_older_epoch(file, place).map_err(|error| way_back(error, known, file))
    }

    /// Refuses a file that a former writer may have made.
    pub(crate) fn refuse_handed_over(
        &self,
        file: &VerifiedFile,
    ) -> Result<(), bootseal_core::Error> {
        let Some((known, place)) = &self.known else { return Ok(()) };
        known.refuse_handed_over(file, place).map_err(|error| way_back(error, known, file))
    }

    /// Whether exactly this text is the newest that was seen of the file.
    pub(crate) fn was_seen(&self, file: &VerifiedFile) -> bool {
        self.known.as_ref().is_some_and(|(known, place)| known.was_seen(file, place))
    }

    /// Compares those handovers of a file that this machine has not confirmed yet with the
    /// handovers in git.
    ///
    /// # Errors
    /// The errors of git.
    pub(crate) fn compare(&self, file: &VerifiedFile, path: &Path) -> Result<Option<Compared>> {
        if let Some((of, compared)) = &self.compared
            && *of == file.digest()
        {
            return Ok(Some(compared.clone()));
        }
        let known = self.known.as_ref().map(|(known, _)| known);
        let is_decided = |id: &VaultId| known.is_some_and(|known| known.is_former(id));
        compare(file, path, self.vault_id(), is_decided)
    }

    /// The path of another file of this vault that is known on this machine.
    pub(crate) fn elsewhere(&self, vault: &VaultId) -> Option<PathBuf> {
        let (known, _) = self.known.as_ref()?;
        known.files().find(|file| file.vault == *vault).map(|file| file.path())
    }

    pub(crate) fn vault_id(&self) -> Option<VaultId> {
        self.known.as_ref().and_then(|(known, place)| known.vault_of(place))
    }

    /// Returns the highest generation seen of this vault; 0 for a vault that was handed over, since
    /// a former writer can still raise it.
    pub(crate) fn generation(&self, vault: &VaultId) -> u64 {
        let known =
            self.known.as_ref().filter(|(known, place)| known.vault_of(place) == Some(*vault));
        known.map_or(0, |(known, place)| known.generation_of(place))
    }

    /// How a file is older than one seen here. This is not an error: a file on another branch is
    /// often older.
    pub(crate) fn older(&self, file: &VerifiedFile) -> Option<String> {
        let (epoch, newest) = (file.epoch(), self.epoch(&file.vault_id()));
        if epoch < newest {
            return Some(format!(
                "from before a new data key: it has epoch {epoch}, and epoch {newest} was seen on this machine, so nothing can be sealed into it"
            ));
        }
        let (generation, seen) = (file.generation(), self.generation(&file.vault_id()));
        (generation < seen)
            .then(|| format!("generation {generation}; generation {seen} was seen here"))
    }

    /// Returns the highest epoch of this vault that was seen at any path.
    pub(crate) fn epoch(&self, vault: &VaultId) -> u64 {
        self.known.as_ref().map_or(0, |(known, _)| known.epoch_of(vault))
    }
}

/// Adds help to the error of a file from before a removal: what to do if the removal was undone on
/// purpose.
fn way_back(
    error: bootseal_core::Error,
    known: &KnownVaults,
    file: &VerifiedFile,
) -> bootseal_core::Error {
    if !known.has_newer_keys(file) {
        return error;
    }
    let help = error.help().map_or(String::new(), |help| format!("{help}\n  "));
    error.with_help(format!(
        "{help}If the removal was undone on purpose: bootseal vaults forget {}. Members who were removed can then read what is sealed next.",
        file.vault_id()
    ))
}

/// Returns the path of the file with the known vaults.
pub(crate) fn known_vaults(context: &Context<'_>) -> Result<PathBuf> {
    let folder = context.user_folder("LOCALAPPDATA", "XDG_STATE_HOME", ".local/state");
    folder.map(|folder| folder.join("bootseal").join("known_vaults")).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "neither HOME nor XDG_STATE_HOME is set, so known vaults cannot be stored",
        )
        .with_help("Set HOME, or XDG_STATE_HOME to a folder of yours.")
    })
}

/// Prints a note if the file, which is locked to be changed, is older than a version seen here.
pub(crate) fn note_older(
    file: &VerifiedFile,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    if let Some(older) = Memory::of(path, context)?.older(file) {
        context.ui.note(format_args!("{} is {older}", Shown::path(path)));
    }
    Ok(())
}

/// Records what was read in a trusted file. If this machine has read a removal, it then seals
/// nothing into a file from before the removal. A handover that is new here is compared with those
/// in git. Returns the known vaults as they are afterwards.
pub(crate) fn record_reading(
    file: &VerifiedFile,
    path: &Path,
    memory: Memory,
    context: &mut Context<'_>,
) -> Result<Memory> {
    let Some((known, _)) = &memory.known else { return Ok(memory) };
    if !known.is_new_handover(file) && known.epoch_of(&file.vault_id()).max(1) >= file.epoch() {
        return Ok(memory);
    }
    let store = known_vaults(context)?;
    let compared = memory.compare(file, path);
    let record = || -> Result<()> {
        KnownVaults::record_reading(&store, file)?;
        if let Ok(Some(Compared { fork: Some((_, version)), .. })) = &compared {
            KnownVaults::record_contradiction(&store, version)?;
        }
        Ok(())
    };
    let done = record();
    let (compared, done) = match compared {
        Ok(compared) => (compared, done),
        Err(failure) => (None, done.and(Err(failure))),
    };
    // This is not an error: if the machine cannot store this, it cannot store its own changes
    // either, and reports the error then. Verbs that write or pass values on compare again.
    if let Err(failure) = done {
        context.ui.detail(format_args!("what was read was not recorded: {}", failure.text()));
    }
    let compared = compared.map(|compared| (file.digest(), compared));
    Ok(Memory { compared, ..Memory::of(path, context)? })
}

/// Adds a trusted file to the known vaults; after a handover, under its new vault id.
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
        // This is not an error: the file is trusted now, for example by a pin, and is checked again
        // next time.
        Err(failure) => context
            .ui
            .warn(format_args!("{shown} was not added to the known vaults: {}", failure.text())),
    }
}
