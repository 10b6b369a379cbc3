//! Changes the store of the known vaults under its lock.

use crate::disk::lock::FileLock;
use crate::disk::paths::create_private_parent;
use crate::error::{Error, Kind, Result};
use crate::file::known_vaults::KnownVaults;
use std::path::Path;

impl KnownVaults {
    /// Calls `change`, which returns whether it changed anything, and writes the result. It is called
    /// without the lock first: if nothing changes, nothing is written, so that a full disk does not
    /// prevent reading. Otherwise it is called again under the lock, on the store as it is then.
    pub(super) fn update(
        store: &Path,
        mut change: impl FnMut(&mut KnownVaults) -> bool,
    ) -> Result<()> {
        if !change(&mut KnownVaults::load(store)?) {
            return Ok(());
        }
        create_private_parent(store).map_err(|error| {
            Error::new(Kind::Io, format!("cannot be created: {error}"))
                .in_file(store.parent().unwrap_or(store))
        })?;
        let lock = FileLock::acquire(store)?;
        let mut known = KnownVaults::load(store)?;
        if !change(&mut known) {
            return Ok(());
        }
        let text = known.to_text();
        match store.exists() {
            true => lock.write(&text),
            false => lock.create(&text),
        }
    }
}
