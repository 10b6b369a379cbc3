//! A signed version of a file, reduced to what orders it among other versions.
//!
//! Git may have thousands of versions of a file, and anyone who can push can add more. Therefore,
//! only the table `[bootseal]` of the text is read, after the signature has been verified.

use crate::error::{Error, Result};
use crate::file::sealed::SealedFile;
use crate::keys::pin::{Pin, deciding};
use crate::keys::vault_id::VaultId;

/// A version whose signature is valid: its vault, its numbers, and a digest of its text. Its
/// properties are neither kept nor checked.
///
/// ```
/// # let (_, text) = bootseal_fixtures::sealed("user = \"bob\"\n");
/// use bootseal_core::SealedFile;
/// let version = SealedFile::parse(text.clone().into_bytes())?.verify_version()?;
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// assert_eq!((version.vault_id(), version.generation()), (file.vault_id(), file.generation()));
/// assert_eq!(version.digest(), file.digest());
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedVersion {
    vault: VaultId,
    generation: u64,
    epoch: u64,
    former: Vec<VaultId>,
    digest: [u8; 32],
}

impl SealedFile {
    /// Verifies the signature, and reads only the table `[bootseal]`.
    ///
    /// # Errors
    /// [`Kind::Forged`](crate::Kind::Forged) if the signature is not valid;
    /// [`Kind::Malformed`](crate::Kind::Malformed) if the text has no valid table `[bootseal]`.
    pub fn verify_version(self) -> Result<SignedVersion> {
        let signed = self.verify_signature()?;
        let header = signed.own_header().ok_or_else(|| {
            Error::malformed("the text has a valid signature, but no valid table [bootseal]")
        })?;
        Ok(SignedVersion {
            vault: header.vault,
            generation: header.generation,
            epoch: header.epoch,
            former: header.former_ids(),
            digest: signed.digest(),
        })
    }
}

impl SignedVersion {
    /// The vault's id: the public key under which the signature is valid.
    pub fn vault_id(&self) -> VaultId {
        self.vault
    }

    /// The generation: a number from 1 that every write increases.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The epoch: the number of the data key, from 1 for each vault id.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The earlier ids of this vault, each handed over to the next, oldest first.
    pub fn former_ids(&self) -> &[VaultId] {
        &self.former
    }

    /// The SHA-256 of the signed text.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Whether the vault is pinned, or continues a pinned vault, at no lower generation than the pin
    /// requires. Without pins, every vault is accepted.
    pub fn is_accepted(&self, pins: &[Pin]) -> bool {
        let deciding = || deciding(pins, &self.vault, |id| self.former.contains(id));
        pins.is_empty() || deciding().is_some_and(|pin| pin.allows(self.generation))
    }
}
