//! What becomes of text that was typed and could not be written? It is kept, sealed by the vault's own keys, until `edit` goes on with it.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::memory::known_vaults;
use crate::ui::failure::{Failure, Result, unreadable};
use crate::ui::shell_quote::word;
use bootseal_core::{CanWrite, Pin, SealedFile, Secret, Shown, Vault, VerifiedFile};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the draft of one sealed file is kept: the sealed text in the first line, below it the version that was edited.
pub(crate) struct Drafts {
    path: PathBuf,
}

impl Drafts {
    /// Beside what this machine remembers; none without a home.
    pub(crate) fn of(file: &Path, context: &Context<'_>) -> Result<Drafts> {
        let folder = known_vaults(context)?.with_file_name("drafts");
        let real = file.canonicalize().map_err(|error| unreadable(&error).in_file(file))?;
        let name: String = real.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        // A name has at most 255 bytes, and a path may have more: its end tells files apart.
        let name = &name[name.len().saturating_sub(200)..];
        Ok(Drafts { path: folder.join(name) })
    }

    /// Its file, as a shell takes it.
    pub(crate) fn word(&self) -> String {
        word(&self.path.to_string_lossy())
    }

    pub(crate) fn is_there(&self) -> bool {
        self.path.exists()
    }

    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    pub(crate) fn save(&self, base: &Vault<CanWrite>, text: &[u8], now: u64) -> Result<()> {
        let sealed = base.seal_draft(text, now)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let save = || {
            std::fs::create_dir_all(folder)?;
            let new = self.path.with_extension("new");
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&new)?;
            file.write_all(format!("{sealed}\n{}", base.file().text()).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)
        };
        save().map_err(|error: std::io::Error| {
            let text = format!("{}: the draft cannot be kept: {error}", Shown(&self.path.to_string_lossy()));
            Failure::new(bootseal_core::Kind::Io, text)
        })
    }

    /// The version that was edited, and the text; only of the vault that the file is now, or was before.
    pub(crate) fn open(&self, file: &VerifiedFile, keys: &Keys) -> Result<(Vault<CanWrite>, Secret)> {
        let kept = std::fs::read_to_string(&self.path).map_err(|error| unreadable(&error).in_file(&self.path))?;
        let (sealed, base) = kept.split_once('\n').unwrap_or_default();
        let pins: Vec<Pin> = std::iter::once(file.vault_id()).chain(file.former_ids()).map(Pin::from).collect();
        let base = SealedFile::parse(base.as_bytes().to_vec())?.verify(&pins)?.with_plugins(&keys.plugins);
        let base = base.open_for_writing(&keys.identities)?;
        let text = base.open_draft(sealed)?;
        Ok((base, text))
    }
}
