//! Drafts: edited texts that could not be written to the sealed file. They are kept, encrypted with
//! the vault's keys, until `edit` resumes them.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::memory::known_vaults;
use crate::ui::failure::{Failure, Result, unreadable};
use bootseal_core::{
    CanWrite, Pin, PrivateFile, SealedFile, Secret, Vault, VerifiedFile, open_source, shell_path,
};
use std::path::{Path, PathBuf};

/// The draft of one sealed file: the encrypted text in the first line, and below it the version
/// that was edited.
pub(crate) struct Drafts {
    path: PathBuf,
}

impl Drafts {
    /// Returns the path of the draft, beside the known vaults; fails if there is no home folder.
    pub(crate) fn of(file: &Path, context: &Context<'_>) -> Result<Drafts> {
        let folder = known_vaults(context)?.with_file_name("drafts");
        let real = file.canonicalize().map_err(|error| unreadable(&error).in_file(file))?;
        let name: String =
            real.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        // A file name has at most 255 bytes, so only the end of a long path is used.
        let name = &name[name.len().saturating_sub(200)..];
        Ok(Drafts { path: folder.join(name) })
    }

    /// The path, quoted for a shell.
    pub(crate) fn word(&self) -> String {
        shell_path(&self.path)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.path.exists()
    }

    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Saves `text`, encrypted with the keys of `base`, together with `base`.
    pub(crate) fn save(&self, base: &Vault<CanWrite>, text: &[u8], now: u64) -> Result<()> {
        let sealed = base.seal_draft(text, now)?;
        let kept = format!("{sealed}\n{}", base.file().text());
        PrivateFile::lock(&self.path)
            .and_then(|file| file.replace(kept.as_bytes()))
            .map_err(|error| Failure::from(error).within("the draft was not saved"))
    }

    /// Opens the version that was edited, and the text. The draft must belong to the current vault
    /// id of the file, or to a former one.
    pub(crate) fn open(
        &self,
        file: &VerifiedFile,
        keys: &Keys,
    ) -> Result<(Vault<CanWrite>, Secret)> {
        let kept = open_source(&self.path)
            .and_then(std::io::read_to_string)
            .map_err(|error| unreadable(&error).in_file(&self.path))?;
        let (sealed, base) = kept.split_once('\n').unwrap_or_default();
        let pins: Vec<Pin> =
            std::iter::once(file.vault_id()).chain(file.former_ids()).map(Pin::from).collect();
        let base =
            SealedFile::parse(base.as_bytes().to_vec())?.verify(&pins)?.with_plugins(&keys.plugins);
        let base = base.open_for_writing(&keys.identities)?;
        let text = base.open_draft(sealed)?;
        Ok((base, text))
    }
}
