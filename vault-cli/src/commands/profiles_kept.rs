//! Does a change keep a login profile from working? That is told: it would show only when a service starts.

use crate::context::Context;
use crate::trust::target::Target;
use crate::ui::failure::Result;
use bootseal_core::{CanWrite, Error, Profile, PropertyPath, Vault, VerifiedFile};

impl Target {
    /// [`Target::change`], and a word for each profile that cannot work, and could before, or could not for another reason.
    pub(super) fn change_and_tell<R>(
        &self,
        context: &mut Context<'_>,
        change: impl FnOnce(&mut Vault<CanWrite>) -> Result<R>,
    ) -> Result<R> {
        let (result, broken) = self.change(context, |vault| {
            let (all, broken) = (vault.file().profiles(), broken_profiles(vault.file()));
            let result = change(vault)?;
            let told = |table: &PropertyPath, error: &Error| {
                broken.iter().any(|(other, before)| other == table && before.what() == error.what())
            };
            let now = broken_profiles(vault.file())
                .into_iter()
                .filter(|(table, error)| all.contains(table) && !told(table, error));
            Ok((result, now.collect::<Vec<_>>()))
        })?;
        for (_, error) in broken {
            context.ui.warn(error);
        }
        Ok(result)
    }
}

pub(super) fn broken_profiles(file: &VerifiedFile) -> Vec<(PropertyPath, Error)> {
    let read = |table: PropertyPath| Profile::read(file, &table).err().map(|error| (table, error));
    file.profiles().into_iter().filter_map(read).collect()
}
