//! Who may open? The public side: an age recipient.

use crate::error::{Error, Kind, Result, Shown, Typed};
use bech32::Bech32;
use bech32::primitives::decode::CheckedHrpstring;
use std::fmt;
use std::str::FromStr;
use x25519_dalek::{PublicKey, StaticSecret};

/// A recipient as age writes it. Those of age's own kind (`age1…`, X25519) can be wrapped to.
/// Any other text does not parse: [`Kind::Usage`].
///
/// ```
/// let text = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
/// let recipient: bootseal_core::Recipient = text.parse()?;
/// assert_eq!(recipient.to_string(), text);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient(String);

impl Recipient {
    /// What stands in a verified file; it may be of a kind that this version cannot wrap to.
    pub(crate) fn from_file(text: &str) -> Recipient {
        let known = x25519(text);
        // One recipient has one text, or one key could stand in a list twice.
        Recipient(known.map_or_else(|| text.to_owned(), |recipient| recipient.to_string()))
    }

    pub(crate) fn to_age(&self) -> Result<age::x25519::Recipient> {
        x25519(&self.0).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{} is not an X25519 recipient (age1…)", Typed(&self.0)))
                .with_help("`bootseal keygen` makes an identity and prints its recipient; `age-keygen` does too.")
        })
    }
}

/// `age1…` as a recipient that can be wrapped to; a point of small order, which age's own code does not expect, is none.
fn x25519(text: &str) -> Option<age::x25519::Recipient> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    let point: [u8; 32] = checked.byte_iter().collect::<Vec<u8>>().try_into().ok()?;
    let useful = StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(point)).was_contributory();
    useful.then(|| text.to_lowercase().parse().ok()).flatten()
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Recipient> {
        Ok(Recipient(Recipient(text.to_owned()).to_age()?.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_wrapped_to_is_refused_and_one_key_has_one_text() {
        let good = crate::identity::Identity::generate().unwrap().recipient();
        assert_eq!(good.to_string().to_uppercase().parse::<Recipient>().unwrap(), good);
        assert_eq!(Recipient::from_file(&good.to_string().to_uppercase()), good);
        for bad in [
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
            "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
            "ssh-ed25519 AAAA",
            "",
        ] {
            assert_eq!(bad.parse::<Recipient>().unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn a_private_key_that_is_given_by_mistake_is_not_repeated() {
        for private in ["AGE-SECRET-KEY-1QQQQ", "age-secret-key-1qqqq"] {
            let error = private.parse::<Recipient>().unwrap_err().to_string();
            assert!(!error.contains("1QQQQ") && !error.contains("1qqqq"), "{error}");
            let error = private.parse::<crate::Pin>().unwrap_err().to_string();
            assert!(!error.contains("1QQQQ") && !error.contains("1qqqq"), "{error}");
        }
    }
}
