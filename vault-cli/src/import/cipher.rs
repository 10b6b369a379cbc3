//! The ciphers of other tools, AES and DES, for decryption only; none of them is used to seal.

use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, Tag};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use zeroize::Zeroizing;

/// Opens AES-256-GCM with the tool's nonce length `N`; `None` if the tag does not match.
pub(super) fn gcm<N: ArraySize>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    text: &[u8],
    tag: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = AesGcm::<aes::Aes256, N>::new_from_slice(key).ok()?;
    let nonce = nonce.try_into().ok()?;
    let tag: Tag = tag.try_into().ok()?;
    let mut plain = Zeroizing::new(text.to_vec());
    cipher.decrypt_inout_detached(&nonce, aad, plain.as_mut_slice().into(), &tag).ok()?;
    Some(plain)
}

/// Decrypts in CBC mode with PKCS#7 padding; `None` if the padding is invalid.
pub(super) fn cbc<D: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    text: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(text.to_vec());
    let length = D::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(&mut plain).ok()?.len();
    plain.truncate(length);
    // Jasypt and Spring never write an empty ciphertext.
    (!text.is_empty()).then_some(plain)
}

/// AES in CBC mode, by the length of the key.
pub(super) fn aes_cbc(key: &[u8], iv: &[u8], text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    match key.len() {
        16 => cbc::<cbc::Decryptor<aes::Aes128>>(key, iv, text),
        24 => cbc::<cbc::Decryptor<aes::Aes192>>(key, iv, text),
        _ => cbc::<cbc::Decryptor<aes::Aes256>>(key, iv, text),
    }
}
