//! The id of a vault: the public key that signs its file, as text `vault1…`.

use crate::error::{Error, Result};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use std::fmt;
use std::str::FromStr;

const ID_PREFIX: Hrp = Hrp::parse_unchecked("vault");

/// A vault's id: the public key that signs its file, written in bech32 (BIP 173), `vault1…`.
/// Parsing any other text fails with [`Kind::Malformed`](crate::Kind::Malformed).
///
/// ```
/// let text = "vault1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqmjmkm5";
/// assert!(text.parse::<bootseal_core::VaultId>().is_err()); // the checksum is wrong
/// ```
///
/// ```
/// # let [file, _] = bootseal_fixtures::two_vaults();
/// let text = file.vault_id().to_string();
/// assert!(text.starts_with("vault1"));
/// assert_eq!(text.parse::<bootseal_core::VaultId>()?, file.vault_id());
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultId(pub(super) [u8; 32]);

impl VaultId {
    /// The 32 bytes of the Ed25519 public key.
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
        let bytes =
            CheckedHrpstring::new::<Bech32>(text).ok().filter(|checked| checked.hrp() == ID_PREFIX);
        let bytes: Option<[u8; 32]> =
            bytes.and_then(|checked| checked.byte_iter().collect::<Vec<u8>>().try_into().ok());
        match bytes.map(VaultId) {
            // An id has exactly one written form, in lower case and with padding bits of zero.
            Some(id) if id.to_string() == text => Ok(id),
            _ => Err(Error::malformed(
                "not a vault id (vault1 and 58 more lower-case characters, with a valid checksum)",
            )),
        }
    }
}
