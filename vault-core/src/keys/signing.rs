//! Signatures: Ed25519 (RFC 8032) over the text of the file, and the handover to a new signing key.

use crate::error::{Error, Kind, Result};
use crate::keys::random::random_key;
use crate::keys::vault_id::VaultId;
use bootseal_memory::Secret;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// The secret key that signs the file; writers have it.
pub(crate) struct SigningSeed(pub(crate) Secret);

impl SigningSeed {
    pub(crate) fn generate() -> Result<SigningSeed> {
        random_key().map(SigningSeed)
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

/// Checks that the signature of `id` over this text is valid.
pub(crate) fn verify(id: &VaultId, signed_text: &str, signature: &[u8; 64]) -> Result<()> {
    if verify_strictly(id, &message(signed_text), signature) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forged,
        format!("the signature of {id} is not valid: the file was changed without the signing key"),
    ))
}

/// Whether `from` signed at `generation` that the vault continues as `to`.
pub(crate) fn verify_handover(
    from: &VaultId,
    generation: u64,
    to: &VaultId,
    signature: &[u8; 64],
) -> bool {
    verify_strictly(from, &handover_message(generation, to), signature)
}

/// Signs, with the old key at `generation`, that the vault continues as `to`.
pub(crate) fn sign_handover(seed: &SigningSeed, generation: u64, to: &VaultId) -> [u8; 64] {
    seed.0.expose(|seed| signing_key(seed).sign(&handover_message(generation, to)).to_bytes())
}

fn handover_message(generation: u64, to: &VaultId) -> Vec<u8> {
    let mut message = b"bootseal 1 handover\0".to_vec();
    message.extend_from_slice(&generation.to_le_bytes());
    message.extend_from_slice(&to.0);
    message
}

/// Verifies as RFC 8032 specifies, without the cofactor: S < L, and neither the key nor R is
/// non-canonical or of small order.
fn verify_strictly(id: &VaultId, message: &[u8], signature: &[u8; 64]) -> bool {
    // `verify_strict` refuses small orders and a large S, but accepts a key whose y is not reduced.
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

    #[test]
    fn a_vault_id_has_exactly_one_text() {
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

    /// No test vector can cover only this case: nobody knows a secret key for a non-canonical
    /// encoding that is not of small order.
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
