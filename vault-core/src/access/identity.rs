//! Identities, the private counterparts of recipients: they unwrap the keys of a vault.

#[cfg(feature = "plugin")]
use crate::access::plugin::find::Plugins;
#[cfg(feature = "plugin")]
use crate::access::plugin::identity::PluginIdentity;
use crate::access::recipient::{Recipient, decoded_share};
#[cfg(feature = "ssh")]
use crate::access::ssh::private::Key;
use crate::error::{Error, Result};
use crate::keys::random::random_key;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, hkdf};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use bootseal_memory::{Secret, SecretBuf};
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

pub(crate) const SECRET_PREFIX: Hrp = Hrp::parse_unchecked("age-secret-key-");
const PUBLIC_PREFIX: Hrp = Hrp::parse_unchecked("age");
/// The length of the authentication tag after a wrapped file key.
const TAG: usize = 16;
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// An identity: an age X25519 key, stored on a guarded page; an SSH key (feature `ssh`), which age
/// keeps on the heap; or the identity of a plugin (feature `plugin`), which runs only when a
/// verified file is opened.
///
/// ```
/// let identity = bootseal_core::Identity::generate()?;
/// assert!(identity.to_string().starts_with("age1")); // the recipient
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Identity(Sort);

#[derive(Clone)]
enum Sort {
    X25519(X25519),
    #[cfg(feature = "ssh")]
    Ssh(Key),
    #[cfg(feature = "plugin")]
    Plugin(PluginIdentity),
}

#[derive(Clone)]
struct X25519 {
    key: Secret,
    public: [u8; 32],
    recipient: Recipient,
}

impl Identity {
    /// Generates an identity.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) if the system has no random numbers or no guarded memory.
    ///
    /// ```
    /// let identity = bootseal_core::Identity::generate()?;
    /// println!("{identity}"); // the recipient; the key itself is never printed
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn generate() -> Result<Identity> {
        Ok(Identity::from_key(random_key()?))
    }

    pub(crate) fn from_key(key: Secret) -> Identity {
        let public = key.expose(|key| PublicKey::from(&static_secret(key)).to_bytes());
        let recipient = Recipient::from_file(
            &bech32::encode::<Bech32>(PUBLIC_PREFIX, &public).unwrap_or_default(),
        );
        Identity(Sort::X25519(X25519 { key, public, recipient }))
    }

    #[cfg(feature = "ssh")]
    pub(crate) fn from_ssh(key: Key) -> Identity {
        Identity(Sort::Ssh(key))
    }

    /// Parses `AGE-SECRET-KEY-1…` or `AGE-PLUGIN-NAME-1…`; the caller keeps the text on a guarded
    /// page.
    pub(crate) fn parse(text: &str) -> Option<Result<Identity>> {
        #[cfg(feature = "plugin")]
        if let Some(plugin) = PluginIdentity::parse(text) {
            return Some(plugin.map(|plugin| Identity(Sort::Plugin(plugin))));
        }
        #[cfg(not(feature = "plugin"))]
        if text.starts_with("AGE-PLUGIN-") {
            let what = "a plugin identity, which needs the feature `plugin` of bootseal";
            return Some(Err(Error::malformed(what).with_help(
                "Build bootseal with that feature, or create a key: `bootseal keygen -o FILE`.",
            )));
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
        if checked.hrp() != SECRET_PREFIX || checked.byte_iter().count() != 32 {
            return None;
        }
        let key = SecretBuf::zeroed(32).map(|mut key| {
            key.expose_mut(|key| {
                key.iter_mut().zip(checked.byte_iter()).for_each(|(to, from)| *to = from)
            });
            key.freeze()
        });
        Some(key.map(Identity::from_key).map_err(Error::from))
    }

    /// The recipient; `None` for a plugin identity, whose recipient only the plugin knows.
    pub fn recipient(&self) -> Option<Recipient> {
        match &self.0 {
            Sort::X25519(own) => Some(own.recipient.clone()),
            #[cfg(feature = "ssh")]
            Sort::Ssh(key) => Some(key.recipient.clone()),
            #[cfg(feature = "plugin")]
            Sort::Plugin(_) => None,
        }
    }

    /// Whether this identity may open keys wrapped to `recipient`. For a plugin identity, only an
    /// attempt can show this, so the result is `true` for each recipient of that plugin and for
    /// `age1tag1…`.
    ///
    /// ```
    /// use bootseal_core::Identity;
    /// let (alice, bob) = (Identity::generate()?, Identity::generate()?);
    /// let recipient = alice.recipient().ok_or("a plugin identity")?;
    /// assert!(alice.may_open(&recipient) && !bob.may_open(&recipient));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn may_open(&self, recipient: &Recipient) -> bool {
        match &self.0 {
            #[cfg(feature = "plugin")]
            Sort::Plugin(plugin) => plugin.may_open(recipient.plugin(), recipient.is_tag()),
            _ => self.recipient().as_ref() == Some(recipient),
        }
    }

    /// Whether opening with this identity runs the program of a plugin.
    pub fn is_plugin(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "plugin")]
            Sort::Plugin(_) => true,
            _ => false,
        }
    }

    /// Sets where the plugin of a plugin identity is found. This has no effect on other identities.
    #[cfg(feature = "plugin")]
    #[must_use]
    pub fn with_plugins(mut self, plugins: &Plugins) -> Identity {
        if let Sort::Plugin(plugin) = &mut self.0 {
            plugin.plugins = plugins.clone();
        }
        self
    }

    /// Returns the file key, if one of the stanzas is for this identity. `also` contains the
    /// stanzas of the file that is opened next, so that one run of a plugin is enough for both.
    pub(crate) fn file_key(&self, stanzas: &[Stanza], also: &[Stanza]) -> Result<Option<FileKey>> {
        #[cfg(not(feature = "plugin"))]
        let _ = also;
        match &self.0 {
            Sort::X25519(own) => {
                let tried = stanzas.iter().find_map(|stanza| own.unwrap_stanza(stanza));
                tried.transpose()
            }
            #[cfg(feature = "ssh")]
            Sort::Ssh(key) => key.file_key(stanzas),
            #[cfg(feature = "plugin")]
            Sort::Plugin(plugin) => plugin.file_key(stanzas, also),
        }
    }

    /// The key of an age identity, and its recipient; `None` for an SSH key or a plugin identity.
    pub(crate) fn age_key(&self) -> Option<(&Secret, &Recipient)> {
        match &self.0 {
            Sort::X25519(own) => Some((&own.key, &own.recipient)),
            #[cfg(any(feature = "ssh", feature = "plugin"))]
            _ => None,
        }
    }
}

/// The recipient, or `age1yubikey1…` for a plugin identity, whose recipient is unknown.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Sort::X25519(own) => own.recipient.fmt(f),
            #[cfg(feature = "ssh")]
            Sort::Ssh(key) => key.recipient.fmt(f),
            #[cfg(feature = "plugin")]
            Sort::Plugin(plugin) => plugin.fmt(f),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

fn static_secret(key: &[u8]) -> StaticSecret {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key);
    let secret = StaticSecret::from(bytes);
    bytes.zeroize();
    secret
}

/// The X25519 recipient type of the age specification (C2SP age.md). It reads the key from a
/// guarded page, whereas age's own identity type keeps the key on the heap.
impl X25519 {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey>> {
        if stanza.tag != "X25519" {
            return None;
        }
        // As in age, a stanza of another form is an error, even if a later one could be opened.
        let share = match stanza.args.as_slice() {
            [share] if stanza.body.len() == FILE_KEY_BYTES + TAG => decoded_share(share),
            _ => None,
        };
        let Some(share) = share else {
            return Some(Err(Error::malformed("the stanza of an X25519 recipient is malformed")));
        };
        let shared =
            self.key.expose(|key| static_secret(key).diffie_hellman(&PublicKey::from(share)));
        if !shared.was_contributory() {
            return Some(Err(Error::malformed(
                "the stanza of an X25519 recipient contains a point of small order",
            )));
        }
        let mut salt = [0; 64];
        salt[..32].copy_from_slice(&share);
        salt[32..].copy_from_slice(&self.public);
        let mut wrapping_key = hkdf(&salt, LABEL, shared.as_bytes());
        let opened = aead_decrypt(&wrapping_key, FILE_KEY_BYTES, &stanza.body);
        wrapping_key.zeroize();
        // This stanza is not for this identity, but another stanza may be.
        let mut bytes = opened.ok()?;
        let key = FileKey::init_with_mut(|key| key.copy_from_slice(&bytes));
        bytes.zeroize();
        Some(Ok(key))
    }
}
