//! Signs a file: makes its next generation, which is read back and verified before it is returned.

use crate::access::identity::Identity;
use crate::access::wrap::open_data_key;
use crate::error::{Error, Kind, Result};
use crate::file::header::MAX_COUNT;
use crate::file::header::edit::replace;
use crate::file::normalise::MAX_FILE;
use crate::file::sealed::SealedFile;
use crate::file::verified::VerifiedFile;
use crate::keys::pin::Pin;
use crate::keys::signing::sign;
use crate::text::outline::refuse_newer_toml;
use crate::vault::{CanWrite, Vault};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The maximum length of the line with the signature and of the empty line before the table.
const SIGNATURE_LINE: usize = 128;

impl Vault<CanWrite> {
    /// Checks that both key blocks contain the same data key, as every opening for writing does.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if they contain different data keys, or if none of `identities` opens
    /// the readers' block.
    ///
    /// ```
    /// # let (alice, file) = bootseal_fixtures::file("");
    /// let vault = file.open_for_writing(&[alice.clone()])?;
    /// vault.check_key_blocks(&[alice])?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn check_key_blocks(&self, identities: &[Identity]) -> Result<()> {
        let same = open_data_key(&self.file.header.read_key, identities)
            .map_err(|error| self.placed(error))?
            .is_some_and(|key| key.0.same_as(&self.mode.data_key.0));
        if same {
            Ok(())
        } else {
            Err(self.placed(Error::malformed(
                "`read_key` and `write_key` do not contain the same data key",
            )))
        }
    }

    /// Returns the next generation of the file, signed, read back and verified.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if the text must not be signed, because it is TOML that only version 1.1
    /// allows, breaks a rule of the format, or is larger than 16 MiB; [`Kind::Conflict`] if no
    /// higher generation is possible.
    ///
    /// ```
    /// # let (alice, file) = bootseal_fixtures::file("");
    /// use bootseal_core::SealedFile;
    /// let text = file.open_for_writing(&[alice])?.sign()?;
    /// assert_eq!(SealedFile::parse(text.into_bytes())?.verify(&[])?.generation(), 2);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn sign(self) -> Result<String> {
        self.sign_above(0).map(|(text, _)| text)
    }

    /// Like `sign`, but with a generation that is also above `generation`, which was seen
    /// elsewhere. Returns the text and the verified file, pinned to its own vault.
    ///
    /// # Errors
    /// As [`Vault::sign`].
    ///
    /// ```
    /// # let vault = bootseal_fixtures::vault("");
    /// let (text, file) = vault.sign_above(41)?;
    /// assert_eq!(file.generation(), 42);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn sign_above(mut self, generation: u64) -> Result<(String, VerifiedFile)> {
        self.forget_removals()?;
        self.join_oldest_removals()?;
        let generation = self.file.header.generation.max(generation).saturating_add(1);
        if generation > MAX_COUNT {
            return Err(Error::new(
                Kind::Conflict,
                "no higher generation is possible: the format allows generations up to 2^53",
            )
            .with_help("Only a writer who signed this number on purpose can cause this. Continue from an earlier version (bootseal sign --against VERSION), then remove that writer: bootseal access remove NAME"));
        }
        let own = replace(&self.file.own, "generation", &generation.to_string())?;
        let end =
            own.rfind("signature = ").filter(|at| own[..*at].ends_with('\n')).unwrap_or(own.len());
        let vault = self.file.vault_id();
        let user = self.file.document.text();
        let gap = if user.is_empty() || user.ends_with("\n\n") { "" } else { "\n" };
        let mut text = String::with_capacity(user.len() + own.len() + SIGNATURE_LINE);
        [user, gap, &own[..end]].into_iter().for_each(|part| text.push_str(part));
        let seed = self.mode.seed;
        // The old text is freed before the new one is parsed.
        drop(self.file);
        let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(&seed, &text));
        text.push_str(&format!("signature = \"{signature}\"\n"));
        refuse_newer_toml(&text)?;
        if text.len() > MAX_FILE {
            return Err(Error::malformed(
                "the file would be larger than 16 MiB, the limit of a sealed file",
            ));
        }
        let file = SealedFile::parse(text.clone().into_bytes())?.verify(&[Pin::from(vault)])?;
        Ok((text, file))
    }
}
