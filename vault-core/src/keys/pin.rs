//! Pins: the required vault id, optionally with the lowest accepted generation.

use crate::error::{Error, Kind, Result};
use crate::keys::vault_id::VaultId;
use crate::shown::Typed;
use std::fmt;
use std::str::FromStr;

/// A pin: `vault1…`, or `vault1…@41` for that vault at generation 41 or later. Parsing any other
/// text fails with [`Kind::Usage`].
///
/// ```
/// let pin = "vault1broken".parse::<bootseal_core::Pin>();
/// assert!(pin.is_err()); // a typo is an error, not a missing pin
/// ```
///
/// ```
/// # let [file, _] = bootseal_fixtures::two_vaults();
/// use bootseal_core::Pin;
/// let id = file.vault_id();
/// let pin: Pin = format!("{id}@41").parse()?;
/// assert_eq!((pin.vault, pin.floor), (id, 41));
/// assert_eq!(Pin::from(id).floor, 0);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The vault.
    pub vault: VaultId,
    /// The lowest generation that is accepted; 0 if any generation is accepted.
    pub floor: u64,
}

impl From<VaultId> for Pin {
    fn from(vault: VaultId) -> Pin {
        Pin { vault, floor: 0 }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.floor {
            0 => write!(f, "{}", self.vault),
            floor => write!(f, "{}@{floor}", self.vault),
        }
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Pin> {
        let (id, floor) =
            text.split_once('@').map_or((text, None), |(id, floor)| (id, Some(floor)));
        let bad = || {
            Error::new(Kind::Usage, format!("{} is not a pin", Typed(text)))
                .with_help("A pin is vault1…, or vault1…@GENERATION. `bootseal verify` prints the id of a file.")
        };
        let floor = match floor {
            None => 0,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad())?
            }
            Some(_) => return Err(bad()),
        };
        Ok(Pin { vault: id.parse().map_err(|_| bad())?, floor })
    }
}

/// Checks that `vault` is one of the pinned vaults, if there are pins.
pub(crate) fn check_vault(pins: &[Pin], vault: &VaultId) -> Result<()> {
    if pins.is_empty() || pins.iter().any(|pin| pin.vault == *vault) {
        return Ok(());
    }
    let wanted: Vec<String> = pins.iter().map(|pin| pin.vault.to_string()).collect();
    Err(Error::new(Kind::WrongVault, format!("this is the vault {vault}, not the pinned {}", wanted.join(" or ")))
        .with_help(
            "Deploy the right file. Renew the pin on each host only if a new vault was created on purpose.",
        ))
}

/// Checks that `generation` is not below the highest minimum that the pins set for `vault`.
pub(crate) fn check_floor(pins: &[Pin], vault: &VaultId, generation: u64) -> Result<()> {
    match pins.iter().filter(|pin| pin.vault == *vault).map(|pin| pin.floor).max() {
        Some(floor) if generation < floor => Err(Error::new(
            Kind::OldGeneration,
            format!(
                "this is generation {generation} of the file; the pin requires {floor} or later"
            ),
        )
        .with_help("The file is an older copy. Deploy the newest one.")),
        _ => Ok(()),
    }
}
