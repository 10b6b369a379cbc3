//! Recipients, the public counterparts of identities: age wraps a key to them.

#[cfg(feature = "plugin")]
use crate::access::plugin::find::Plugins;
use crate::access::plugin::is_plugin_name;
#[cfg(feature = "plugin")]
use crate::access::plugin::recipient::PluginRecipient;
use crate::access::ssh::public::canonical;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::shown::{Shown, Typed};
use age_core::primitives::bech32_decode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Bech32;
use bech32::primitives::decode::CheckedHrpstring;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use x25519_dalek::{PublicKey, StaticSecret};

/// An age recipient, which has exactly one written form: `age1…` (X25519), `age1tag1…` (P-256, on
/// hardware), `ssh-ed25519 …` and `ssh-rsa …` (feature `ssh`), `age1NAME1…` (the plugin
/// `age-plugin-NAME`, feature `plugin`). Parsing any other text fails with
/// [`Usage`](ErrorKind::Usage).
///
/// ```
/// let text = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
/// let recipient: bootseal_core::Recipient = text.parse()?;
/// assert_eq!(recipient.to_string(), text);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Recipient {
    text: String,
    #[cfg(feature = "plugin")]
    plugins: Plugins,
}

/// The kinds of recipients.
enum Kind<'a> {
    X25519(age::x25519::Recipient),
    Ssh(String),
    Tag(age::tag::Recipient),
    /// Post-quantum recipients, which are not supported: age never mixes them with other
    /// recipients, and a vault has readers of all kinds.
    PostQuantum,
    /// The plugin's name.
    Plugin(&'a str),
    Unknown,
}

impl<'a> Kind<'a> {
    fn of(text: &'a str) -> Kind<'a> {
        if let Some(recipient) = x25519(text) {
            return Kind::X25519(recipient);
        }
        if let Some(text) = canonical(text) {
            return Kind::Ssh(text);
        }
        // age's own decoding is used, because recipients of plugins may be longer than Bech32
        // allows.
        if bech32_decode(text, |_| (), |_| Ok(()), |_, _| Ok(())).is_err()
            || text.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            return Kind::Unknown;
        }
        match text.rsplit_once('1').and_then(|(prefix, _)| prefix.strip_prefix("age1")) {
            Some("tag") => text.parse().map_or(Kind::Unknown, Kind::Tag),
            Some("tagpq" | "pq") => Kind::PostQuantum,
            Some(name) if is_plugin_name(name) => Kind::Plugin(name),
            _ => Kind::Unknown,
        }
    }
}

impl Recipient {
    fn new(text: String) -> Recipient {
        Recipient {
            text,
            #[cfg(feature = "plugin")]
            plugins: Plugins::default(),
        }
    }

    /// Reads a recipient in a verified file. It may be of a kind that this version cannot wrap keys
    /// to.
    pub(crate) fn from_file(text: &str) -> Recipient {
        // Each recipient has exactly one written form. Otherwise, one key could be in a list twice.
        let lower = text.to_ascii_lowercase();
        Recipient::new(match Kind::of(text) {
            Kind::X25519(recipient) => recipient.to_string(),
            Kind::Ssh(text) => text,
            Kind::Unknown if !matches!(Kind::of(&lower), Kind::Unknown) => lower,
            _ => text.to_owned(),
        })
    }

    /// The name of this recipient's plugin: `yubikey` for `age1yubikey1…`.
    pub fn plugin(&self) -> Option<&str> {
        match Kind::of(&self.text) {
            Kind::Plugin(name) => Some(name),
            _ => None,
        }
    }

    /// Whether this may be the recipient of a hardware key, which any plugin may serve.
    #[cfg(feature = "plugin")]
    pub(crate) fn is_tag(&self) -> bool {
        matches!(Kind::of(&self.text), Kind::Tag(_) | Kind::PostQuantum)
    }

    /// Sets where the plugin of a plugin recipient is found. This has no effect on other
    /// recipients.
    #[cfg(feature = "plugin")]
    #[must_use]
    pub fn with_plugins(mut self, plugins: &Plugins) -> Recipient {
        self.plugins = plugins.clone();
        self
    }

    /// The recipient as age's own type.
    pub(crate) fn to_age(&self) -> Result<Box<dyn age::Recipient>> {
        let usage = |what: String| Error::new(ErrorKind::Usage, what);
        let shown = Typed(&self.text);
        Ok(match Kind::of(&self.text) {
            Kind::X25519(recipient) => Box::new(recipient),
            Kind::Tag(recipient) => Box::new(recipient),
            #[cfg(feature = "ssh")]
            Kind::Ssh(text) => match text.parse::<age::ssh::Recipient>() {
                Ok(recipient) => Box::new(recipient),
                Err(age::ssh::ParseRecipientKeyError::RsaModulusTooLarge) => {
                    return Err(usage(format!(
                        "{shown} has more than 4096 bits, the most that age wraps to"
                    )));
                }
                Err(_) => {
                    return Err(usage(format!("{shown} is not a public key that age can wrap to")));
                }
            },
            #[cfg(not(feature = "ssh"))]
            Kind::Ssh(_) => {
                return Err(usage(format!(
                    "wrapping to {shown} needs the feature `ssh` of bootseal-core"
                )));
            }
            #[cfg(feature = "plugin")]
            Kind::Plugin(name) => Box::new(PluginRecipient::new(name, &self.text, &self.plugins)),
            #[cfg(not(feature = "plugin"))]
            Kind::Plugin(_) => {
                return Err(usage(format!(
                    "wrapping to {shown} needs the feature `plugin` of bootseal-core"
                )));
            }
            Kind::PostQuantum => {
                let what = format!(
                    "{shown} is post-quantum, and age does not mix such recipients with others"
                );
                return Err(usage(what).with_help(
                    "Use a recipient of another kind: age1…, age1tag1…, an SSH key or a plugin.",
                ));
            }
            Kind::Unknown => {
                let what = format!(
                    "{shown} is not a recipient (age1…, ssh-ed25519 …, ssh-rsa …, age1tag1…, age1PLUGIN1…)"
                );
                return Err(usage(what).with_help(
                    "`bootseal keygen` creates an identity and prints its recipient; so does `age-keygen`. Supported SSH keys: ssh-ed25519, and ssh-rsa with at least 2048 bits.",
                ));
            }
        })
    }
}

/// Returns `age1…` as a recipient that keys can be wrapped to. Refuses points of small order, which
/// age does not check for.
fn x25519(text: &str) -> Option<age::x25519::Recipient> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    let point: [u8; 32] = checked.byte_iter().collect::<Vec<u8>>().try_into().ok()?;
    let useful =
        StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(point)).was_contributory();
    useful.then(|| text.to_lowercase().parse().ok()).flatten()
}

/// The public share in a stanza that is wrapped to an X25519 or Ed25519 recipient.
pub(crate) fn decoded_share(text: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Recipient) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl Hash for Recipient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.text).fmt(f)
    }
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Recipient> {
        let recipient = match Kind::of(text) {
            Kind::X25519(recipient) => Recipient::new(recipient.to_string()),
            Kind::Ssh(text) => Recipient::new(text),
            _ => Recipient::new(text.to_owned()),
        };
        recipient.to_age()?;
        Ok(recipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_recipients_are_refused_and_one_key_has_one_text() {
        let good = crate::access::identity::Identity::generate().unwrap().recipient().unwrap();
        assert_eq!(good.to_string().to_uppercase().parse::<Recipient>().unwrap(), good);
        assert_eq!(Recipient::from_file(&good.to_string().to_uppercase()), good);
        for bad in [
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
            "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
            "ssh-ed25519 AAAA",
            "",
        ] {
            assert_eq!(bad.parse::<Recipient>().unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }

    fn bech32(prefix: &str) -> String {
        age_core::primitives::bech32_encode(bech32::Hrp::parse_unchecked(prefix), &[7; 20])
    }

    #[test]
    fn the_name_of_a_plugin_cannot_be_a_path() {
        let good = bech32("age1se-9");
        assert_eq!(Recipient::from_file(&good).plugin(), Some("se-9"));
        assert_eq!(Recipient::from_file(&good.to_uppercase()), Recipient::from_file(&good));
        #[cfg(feature = "plugin")]
        assert_eq!(good.parse::<Recipient>().unwrap(), Recipient::from_file(&good));
        for bad in [
            "age1../../tmp/x",
            "age1a/b",
            "age1..",
            "age1a.b",
            "age1a_b",
            "age1a+b",
            "age1",
            "xage1a",
        ] {
            let bad = bech32(bad);
            assert_eq!(Recipient::from_file(&bad).plugin(), None, "{bad}");
            assert_eq!(bad.parse::<Recipient>().unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
        for bad in [good.to_uppercase(), good.replace("se-9", "Se-9"), format!("{good}q")] {
            assert_eq!(bad.parse::<Recipient>().unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }

    #[test]
    fn the_error_for_a_post_quantum_recipient_names_the_reason() {
        for prefix in ["age1tagpq", "age1pq"] {
            let error = bech32(prefix).parse::<Recipient>().unwrap_err().to_string();
            assert!(error.contains("post-quantum"), "{error}");
        }
    }

    #[cfg(not(all(feature = "ssh", feature = "plugin")))]
    #[test]
    fn a_disabled_feature_is_named_and_the_file_still_opens() {
        use crate::{Access, Identity, Role, SealedFile, Vault};
        let me = Identity::generate().unwrap();
        let vault =
            Vault::create(vec![Access::new("me", Role::Writer, me.recipient()).unwrap()], "")
                .unwrap();
        assert!(
            SealedFile::parse(vault.sign().unwrap().into_bytes())
                .unwrap()
                .verify(&[])
                .unwrap()
                .open(&[me])
                .is_ok()
        );
        let ssh =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
        for (text, feature) in [(bech32("age1se"), "plugin"), (ssh.to_owned(), "ssh")] {
            if let Err(error) = text.parse::<Recipient>() {
                assert!(error.to_string().contains(&format!("feature `{feature}`")), "{error}");
            }
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
