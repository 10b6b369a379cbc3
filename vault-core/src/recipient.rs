//! Who may open? The public side: an age recipient.

use crate::error::{Error, Kind, Result, Shown};
use std::fmt;
use std::str::FromStr;

/// A recipient as age writes it. Those of age's own kind (`age1…`, X25519) can be wrapped to.
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
        Recipient(text.to_owned())
    }

    pub(crate) fn to_age(&self) -> Result<age::x25519::Recipient> {
        self.0.parse().map_err(|_| {
            Error::new(Kind::Usage, format!("`{}` is not an X25519 recipient (age1…)", Shown(&self.0)))
                .with_help("`bootseal keygen` makes an identity and prints its recipient; `age-keygen` does too.")
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Recipient> {
        let recipient = Recipient(text.to_owned());
        recipient.to_age()?;
        Ok(recipient)
    }
}
