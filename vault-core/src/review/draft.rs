//! Drafts: text that was typed but is not in the file yet, sealed under the keys of the vault.

use crate::error::Result;
use crate::text::path::PropertyPath;
use crate::vault::Vault;
use crate::vault::value::{self, ValueKind};
use bootseal_memory::Secret;

impl<Mode> Vault<Mode> {
    /// Seals text that was typed but is not in the file yet, so that it can be stored on disk. The
    /// same keys open it.
    ///
    /// # Errors
    /// [`Kind::Conflict`](crate::Kind::Conflict) if the text is larger than 16 MiB;
    /// [`Kind::Io`](crate::Kind::Io) if the system has no random numbers or no guarded memory.
    ///
    /// ```
    /// # let vault = bootseal_fixtures::vault("");
    /// let draft = vault.seal_draft(b"password = \"secret:hun", 1_700_000_000)?;
    /// assert!(vault.open_draft(&draft)?.expose(|text| text == b"password = \"secret:hun"));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn seal_draft(&self, text: &[u8], now: u64) -> Result<String> {
        let text = Secret::copy_of(text)?;
        value::seal(&self.key, &self.file.vault_id(), &draft_name()?, ValueKind::Bytes, now, &text)
    }

    /// Opens a draft that [`Vault::seal_draft`] sealed.
    ///
    /// # Errors
    /// [`Kind::MovedValue`](crate::Kind::MovedValue) if the draft was sealed under other keys, or
    /// if the text is not a draft.
    pub fn open_draft(&self, sealed: &str) -> Result<Secret> {
        Ok(value::open(&self.key, &self.file.vault_id(), &draft_name()?, sealed)?.secret)
    }
}

/// No property can have this name, so a draft can never become a value of the file, and a value is
/// never accepted as a draft.
fn draft_name() -> Result<PropertyPath> {
    PropertyPath::new(vec!["bootseal".into(), "draft".into()])
}
