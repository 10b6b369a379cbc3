//! Who wrote the file? Ed25519 (RFC 8032) over its text; the public key is the vault's id.

use crate::error::{Error, Kind, Result};
use crate::keys::derive::SigningSeed;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

const ID_PREFIX: Hrp = Hrp::parse_unchecked("vault");

/// A vault's id: the public key that signs its file, written in bech32 (BIP 173), `vault1…`. A text that is not exactly one does not parse: [`Kind::Malformed`].
///
/// ```
/// let text = "vault1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqmjmkm5";
/// assert!(text.parse::<bootseal_core::VaultId>().is_err()); // not a checksum that holds
/// ```
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
/// let id = vault.file().vault_id();
/// assert!(id.to_string().starts_with("vault1"));
/// assert_eq!(id.to_string().parse::<VaultId>()?, id);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultId([u8; 32]);

impl VaultId {
    /// The 32 bytes of the Ed25519 public key.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
    /// let id = vault.file().vault_id();
    /// let key: &[u8; 32] = id.as_bytes();
    /// assert_eq!(key.len(), 32);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, ID_PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VaultId {
    type Err = Error;

    fn from_str(text: &str) -> Result<VaultId> {
        let bytes = CheckedHrpstring::new::<Bech32>(text).ok().filter(|checked| checked.hrp() == ID_PREFIX);
        let bytes: Option<[u8; 32]> =
            bytes.and_then(|checked| checked.byte_iter().collect::<Vec<u8>>().try_into().ok());
        match bytes.map(VaultId) {
            // One id has one text: lower case, zero padding bits.
            Some(id) if id.to_string() == text => Ok(id),
            _ => Err(Error::malformed(
                "not a vault id (vault1 and 58 more lower-case characters, with a checksum that holds)",
            )),
        }
    }
}

pub(crate) fn id_of(seed: &SigningSeed) -> VaultId {
    VaultId(seed.0.expose(signing_key).verifying_key().to_bytes())
}

fn signing_key(seed: &[u8]) -> SigningKey {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    bytes.copy_from_slice(seed);
    SigningKey::from_bytes(&bytes)
}

/// Signs the text before `signature = `.
pub(crate) fn sign(seed: &SigningSeed, signed_text: &str) -> [u8; 64] {
    seed.0.expose(|seed| signing_key(seed).sign(&message(signed_text)).to_bytes())
}

/// Whether the signature of `id` over this text holds.
pub(crate) fn verify(id: &VaultId, signed_text: &str, signature: &[u8; 64]) -> Result<()> {
    if verify_strictly(id, &message(signed_text), signature) {
        return Ok(());
    }
    Err(Error::new(Kind::Forged, format!("the signature of {id} does not hold: the file was changed by other hands")))
}

/// Whether `from` said at `generation` that the vault goes on as `to`.
pub(crate) fn verify_handover(from: &VaultId, generation: u64, to: &VaultId, signature: &[u8; 64]) -> bool {
    verify_strictly(from, &handover_message(generation, to), signature)
}

/// The old key's word, given at `generation`, that the vault goes on as `to`.
pub(crate) fn sign_handover(seed: &SigningSeed, generation: u64, to: &VaultId) -> [u8; 64] {
    seed.0.expose(|seed| signing_key(seed).sign(&handover_message(generation, to)).to_bytes())
}

fn handover_message(generation: u64, to: &VaultId) -> Vec<u8> {
    let mut message = b"bootseal 1 handover\0".to_vec();
    message.extend_from_slice(&generation.to_le_bytes());
    message.extend_from_slice(&to.0);
    message
}

/// As RFC 8032 says, with S < L and neither key nor R non-canonical or of small order, without cofactor.
fn verify_strictly(id: &VaultId, message: &[u8], signature: &[u8; 64]) -> bool {
    // `verify_strict` refuses small orders and a large S, but takes a key whose y is not reduced.
    VerifyingKey::from_bytes(&id.0).is_ok_and(|key| {
        key.to_edwards().compress().to_bytes() == id.0
            && key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    })
}

/// `bootseal 1 file` ‖ 0x00 ‖ SHA-256(text).
fn message(signed_text: &str) -> Vec<u8> {
    let mut message = b"bootseal 1 file\0".to_vec();
    message.extend_from_slice(&Sha256::digest(signed_text.as_bytes()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootseal_memory::Secret;

    #[test]
    fn an_id_has_one_text() {
        let id = id_of(&SigningSeed(Secret::copy_of(&[3; 32]).unwrap()));
        let text = id.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(text.parse::<VaultId>().unwrap(), id);
        for other in [
            text.to_uppercase(),
            format!(" {text}"),
            text.replace("vault1", "fault1"),
            text[..63].to_owned(),
            format!("{text}q"),
        ] {
            assert!(other.parse::<VaultId>().is_err(), "{other}");
        }
    }

    /// No vector can show this alone: nobody knows a secret key for a non-canonical encoding that is not of small order.
    #[test]
    fn a_key_whose_y_is_not_reduced_is_refused() {
        // y = p + 1, which is 1 again: the neutral element, in its second encoding.
        let mut twin = [0xFF; 32];
        twin[0] = 0xEE;
        twin[31] = 0x7F;
        let key = VerifyingKey::from_bytes(&twin).unwrap();
        assert_ne!(key.to_edwards().compress().to_bytes(), twin);
        assert!(!verify_strictly(&VaultId(twin), b"x", &[0; 64]));
    }
}
