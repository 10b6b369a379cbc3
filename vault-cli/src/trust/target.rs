//! A file to change: it is found, checked for trust, locked, re-read, changed, signed, written and
//! added to the known vaults.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::memory::note_older;
use crate::trust::rules::Rules;
use crate::trust::save::save;
use crate::trust::vouch::vouch;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{
    CanWrite, Error, FileLock, Kind, Pin, Profile, PropertyPath, Vault, VaultId, VerifiedFile,
};
use std::path::{Path, PathBuf};

/// A file to change, with everything that is needed before the prompt for a value.
pub(crate) struct Target {
    path: PathBuf,
    keys: Keys,
    /// The pin that the file must still match when it is locked: see [`pin_of`].
    pin: Pin,
    epoch: u64,
    /// Whether a change may leave a value readable that the rules of the file say to seal.
    may_be_plain: bool,
}

/// The files to change, each with its own result.
pub(crate) type Targets = Vec<(PathBuf, Result<(Target, VerifiedFile)>)>;

/// The files that were found.
pub(crate) fn files(targets: &Targets) -> impl Iterator<Item = &VerifiedFile> + Clone {
    targets.iter().filter_map(|(_, found)| found.as_ref().ok()).map(|(_, file)| file)
}

impl Target {
    /// Finds and verifies the one file, and makes sure that it is trusted.
    pub(crate) fn find(context: &mut Context<'_>) -> Result<(Target, VerifiedFile)> {
        let found = locate::find(context)?;
        let path = found.path.clone();
        Target::of(found, context).map_err(|failure| failure.in_file(&path))
    }

    /// Does the same as [`Target::find`] for every file that `-f` names, each with its own result.
    pub(crate) fn find_all(context: &mut Context<'_>) -> Result<Targets> {
        let found = locate::find_all(context)?;
        let each = found
            .into_iter()
            .map(|(path, found)| (path, found.and_then(|found| Target::of(found, context))));
        Ok(each.collect())
    }

    fn of(found: OpenedFile, context: &mut Context<'_>) -> Result<(Target, VerifiedFile)> {
        let OpenedFile { path, mut keys, pins, memory, mut file } = found;
        vouch(&mut file, &memory, &path, context)?;
        keys.unlock_to_write(&file, context)?;
        let pin = pin_of(&file, &pins);
        let pin = Pin { floor: pin.floor.max(file.generation()), ..pin };
        Ok((Target { path, keys, pin, epoch: file.epoch(), may_be_plain: false }, file))
    }

    /// Lets a change leave values readable that the rules of the file say must be sealed.
    pub(crate) fn may_be_plain(self, may_be_plain: bool) -> Target {
        Target { may_be_plain, ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn vault_id(&self) -> VaultId {
        self.pin.vault
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Locks the file, re-reads it, calls `change`, signs the result, writes it, and adds it to the
    /// known vaults.
    pub(crate) fn change<R>(
        &self,
        context: &mut Context<'_>,
        change: impl FnOnce(&mut Vault<CanWrite>) -> Result<R>,
    ) -> Result<R> {
        self.changed(context, change).map_err(|failure| failure.in_file(&self.path))
    }

    /// Does the same as [`Target::change`], and warns of each login profile that the change breaks,
    /// or breaks in another way. Otherwise the error would appear only when a service starts.
    pub(crate) fn change_and_tell<R>(
        &self,
        context: &mut Context<'_>,
        change: impl FnOnce(&mut Vault<CanWrite>) -> Result<R>,
    ) -> Result<R> {
        let (result, broken) = self.change(context, |vault| {
            let (all, broken) = (vault.file().profiles(), broken_profiles(vault.file()));
            let result = change(vault)?;
            let known = |table: &PropertyPath, error: &Error| {
                broken.iter().any(|(other, before)| other == table && before.what() == error.what())
            };
            let now = broken_profiles(vault.file())
                .into_iter()
                .filter(|(table, error)| all.contains(table) && !known(table, error));
            Ok((result, now.collect::<Vec<_>>()))
        })?;
        context.ui.warn_each(broken.into_iter().map(|(_, error)| error));
        Ok(result)
    }

    fn changed<R>(
        &self,
        context: &mut Context<'_>,
        change: impl FnOnce(&mut Vault<CanWrite>) -> Result<R>,
    ) -> Result<R> {
        let lock = FileLock::acquire(&self.path)?;
        let file = lock.read()?.verify(&[self.pin])?.with_plugins(&self.keys.plugins);
        if file.vault_id() == self.pin.vault && file.epoch() < self.epoch {
            return Err(Failure::new(
                Kind::Conflict,
                "the file was replaced with an older one in the meantime; nothing was changed",
            ));
        }
        note_older(&file, &self.path, context)?;
        let mut vault = file.open_for_writing(&self.keys.identities)?;
        let working = context.ui.working("sealing");
        let rules = vault.file().sealing_names();
        let was_meant = Rules::meant(vault.file()).is_some();
        let result = change(&mut vault)?;
        match rules {
            Some(_) => Rules::refuse_end(vault.file())?,
            None if !was_meant => Rules::refuse_meant(vault.file())?,
            None => {}
        }
        let changed = Rules::changed(rules.as_deref(), vault.file());
        let gone = Rules::gone(rules, vault.file());
        let remark = self.keep_rules(vault.file(), &lock)?;
        save(vault, 0, &self.path, context, |text| {
            lock.write(text)?;
            drop(working);
            Ok(())
        })?;
        if let Some(changed) = changed {
            context.ui.note(changed);
        }
        for remark in gone.into_iter().chain(remark) {
            context.ui.warn(remark);
        }
        Ok(result)
    }

    /// Refuses a change that makes a value readable although the rules of the file say to seal it.
    /// Returns a remark on readable values that new rules match.
    fn keep_rules(&self, after: &VerifiedFile, lock: &FileLock) -> Result<Option<String>> {
        let rules = Rules::of_file(after)?;
        if rules.is_empty() {
            return Ok(None);
        }
        // The file on the disk is still the one before the change.
        let before = lock.read()?.verify(&[self.pin])?;
        rules.keep(after, Some(&before), self.may_be_plain)
    }

    /// Checks that the available identities may change the file, before the prompt for a value.
    pub(crate) fn check_writer(&self, file: VerifiedFile) -> Result<VerifiedFile> {
        Ok(file.open_for_writing(&self.keys.identities)?.into_file())
    }
}

/// The pin that the file must still match when it is read again: this vault, at no lower generation
/// than its pins require.
pub(crate) fn pin_of(file: &VerifiedFile, pins: &[Pin]) -> Pin {
    let meant =
        |pin: &&Pin| pin.vault == file.vault_id() || Some(pin.vault) == file.handed_over_from();
    let floor = pins.iter().filter(meant).map(|pin| pin.floor).max().unwrap_or_default();
    Pin { vault: file.vault_id(), floor }
}

/// Returns the invalid profiles, each with its error.
pub(crate) fn broken_profiles(file: &VerifiedFile) -> Vec<(PropertyPath, Error)> {
    let read = |table: PropertyPath| Profile::read(file, &table).err().map(|error| (table, error));
    file.profiles().into_iter().filter_map(read).collect()
}
