//! Makes new keys for a vault, and seals every value again under them. A new signing key makes a
//! new vault id, to which the old id hands over the vault.

use crate::access::wrap::{wrap_data_key, wrap_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{
    Access, Handover, Header, MAX_COUNT, MAX_HISTORY, MAX_REAL, Removed, Role, edit, recipients,
};
use crate::keys::derive::{DataKey, ValueKey};
use crate::keys::signing::{SigningSeed, id_of, sign_handover};
use crate::keys::vault_id::VaultId;
use crate::text::document::Document;
use crate::text::toml_value::quoted;
use crate::vault::removed::LAST_SECOND;
use crate::vault::value;
use crate::vault::{CanWrite, Vault};

impl Vault<CanWrite> {
    /// Makes a new data key and seals every value again, keeping the time at which each was set.
    /// The epoch grows by 1. `signing_key` also makes a new vault id, which starts at epoch 1.
    ///
    /// # Errors
    /// The errors of [`Vault::open`] if a value does not open; [`Kind::Conflict`] if the epoch is
    /// the highest one of the format and the vault id stays; [`Kind::Io`] if the system has no
    /// random numbers or no guarded memory.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// let before = (vault.file().epoch(), vault.file().vault_id());
    /// vault.rotate(false)?;
    /// assert_eq!((vault.file().epoch(), vault.file().vault_id()), (before.0 + 1, before.1));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn rotate(&mut self, signing_key: bool) -> Result<()> {
        let header = &self.file.header;
        self.rekey(
            self.file.own.to_string(),
            header.access.clone(),
            header.removed.clone(),
            signing_key,
        )
    }

    /// Like `rotate`, with an epoch above `epoch`, which was seen elsewhere. If one of the two
    /// epochs is above [`MAX_REAL`], the vault gets a new id instead, which starts at epoch 1.
    /// Otherwise, a writer who signs a high epoch could make further rotations impossible.
    ///
    /// # Errors
    /// As [`Vault::rotate`].
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// vault.rotate_above(7)?;
    /// assert_eq!(vault.file().epoch(), 8);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn rotate_above(&mut self, epoch: u64) -> Result<()> {
        let highest = self.file.header.epoch.max(epoch);
        if highest > MAX_REAL {
            return self.rotate(true);
        }
        self.file.header.epoch = highest;
        self.rotate(false)
    }

    /// Makes new keys for `list`. Members who are not in `list` can open nothing that is sealed
    /// from now on.
    pub(super) fn rekey(
        &mut self,
        own: String,
        list: Vec<Access>,
        removed: Vec<Removed>,
        signing_key: bool,
    ) -> Result<()> {
        let old = self.file.vault_id();
        let data_key = DataKey::generate()?;
        let new_seed = if signing_key { Some(SigningSeed::generate()?) } else { None };
        let seed = new_seed.as_ref().unwrap_or(&self.mode.seed);
        let id = id_of(seed);
        let key = data_key.value_key(&id)?;
        let document = self.sealed_under(&key, &id)?;
        let header = &self.file.header;
        // Epochs are counted for each id, so a former writer cannot use up those of the new id.
        let epoch = if signing_key { 1 } else { header.epoch.saturating_add(1) };
        if epoch > MAX_COUNT {
            return Err(Error::new(
                Kind::Conflict,
                "no more new keys are possible for this vault id: the format allows epochs up to 2^53",
            )
            .with_help("Start a new id, at epoch 1: bootseal rotate --signing-key"));
        }
        let mut handover = header.handover.clone();
        if signing_key {
            let generation = header.generation.max(1);
            handover.push(Handover {
                from: old,
                generation,
                signature: sign_handover(&self.mode.seed, generation, &id),
            });
            if handover.len() > MAX_HISTORY {
                handover.remove(0);
            }
        }
        let read_key = wrap_data_key(&data_key, &recipients(&list, None))
            .map_err(|error| self.unusable(error, &list))?;
        let write_key = wrap_writer_keys(seed, &data_key, &recipients(&list, Some(Role::Writer)))?;
        let own = edit::replace(&own, "epoch", &epoch.to_string())?;
        let own = edit::set_removed(&own, &removed)?;
        let own = edit::set_handover(&own, &handover)?;
        let own = edit::replace(&own, "read_key", &edit::block_text(&read_key))?;
        let own = edit::replace(&own, "write_key", &edit::block_text(&write_key))?;
        let own = edit::replace(&own, "vault", &quoted(&id.to_string()))?;

        self.file.header = Header {
            generation: header.generation,
            epoch,
            access: list,
            removed,
            handover,
            read_key,
            write_key,
            vault: id,
        };
        self.file.own = own.into();
        self.file.document = document;
        self.key = key;
        self.mode.data_key = data_key;
        if let Some(seed) = new_seed {
            self.mode.seed = seed;
        }
        Ok(())
    }

    /// The user's part with every value sealed again under `key`.
    fn sealed_under(&self, key: &ValueKey, id: &VaultId) -> Result<Document> {
        let mut changes = Vec::new();
        for (path, span) in self.file.document.sealed() {
            let opened = self.open(&path)?;
            let set_at = opened.set_at.min(LAST_SECOND);
            let sealed = value::seal(key, id, &path, opened.kind, set_at, &opened.secret)?;
            changes.push((span, quoted(&sealed)));
        }
        Document::parse(self.file.document.with_values(changes))
    }
}
