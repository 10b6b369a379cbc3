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

/// The pin that sets the minimum for a vault: of the pins for its id or, without one, for an earlier
/// id of it, the one with the highest floor.
pub(crate) fn deciding<'a>(
    pins: &'a [Pin],
    vault: &VaultId,
    is_earlier_id: impl Fn(&VaultId) -> bool,
) -> Option<&'a Pin> {
    let highest = |meant: &dyn Fn(&VaultId) -> bool| {
        pins.iter().filter(|pin| meant(&pin.vault)).max_by_key(|pin| pin.floor)
    };
    highest(&|id| id == vault).or_else(|| highest(&is_earlier_id))
}

impl Pin {
    /// Whether a generation of the vault is not below the minimum.
    pub(crate) fn allows(&self, generation: u64) -> bool {
        self.floor <= generation
    }

    /// Checks that `generation` is not below the minimum of this pin.
    pub(crate) fn check_floor(&self, generation: u64) -> Result<()> {
        if self.allows(generation) {
            return Ok(());
        }
        let what = format!(
            "this is generation {generation} of the file; the pin requires {} or later",
            self.floor
        );
        Err(Error::new(Kind::OldGeneration, what)
            .with_help("The file is an older copy. Deploy the newest one."))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests
    use super::*;
    use crate::keys::signing::{SigningSeed, id_of};

    #[test]
    fn a_pin_of_the_id_decides_before_one_of_an_earlier_id() {
        let id = || id_of(&SigningSeed::generate().unwrap());
        let (vault, earlier, other) = (id(), id(), id());
        let pin = |vault, floor| Pin { vault, floor };
        let all = [pin(other, 9), pin(earlier, 8), pin(vault, 2), pin(vault, 3), pin(earlier, 7)];
        let decides = |pins: &[Pin]| deciding(pins, &vault, |id| *id == earlier).copied();
        assert_eq!(decides(&all), Some(pin(vault, 3)));
        assert_eq!(decides(&[all[0], all[1], all[4]]), Some(pin(earlier, 8)));
        assert_eq!((decides(&all[..1]), decides(&[])), (None, None));
        assert!(pin(vault, 3).allows(3) && !pin(vault, 3).allows(2));
        assert_eq!(pin(vault, 3).check_floor(2).unwrap_err().kind(), Kind::OldGeneration);
    }
}
