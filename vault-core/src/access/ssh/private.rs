//! SSH private keys as identities: ready to use, or locked by a passphrase.

use crate::access::recipient::{Recipient, decoded_share};
use crate::error::{Error, Result};
use crate::shown::Brief;
use age::ssh::{EncryptedKey, UnsupportedKey};
use age_core::format::{FileKey, Stanza};
use secrecy::SecretString;
use std::sync::Arc;

/// A private key that is ready to use. age keeps it on the heap, and wipes it when it is dropped.
#[derive(Clone)]
pub(crate) struct Key {
    key: Arc<age::ssh::Identity>,
    pub(crate) recipient: Recipient,
}

impl Key {
    pub(crate) fn file_key(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        let recipient = self.recipient.to_string();
        let own = recipient.split(' ').next().unwrap_or_default();
        for stanza in stanzas.iter().filter(|stanza| stanza.tag == own) {
            // As in age, a stanza of another form is an error, even if a later one could be opened.
            let sound = match (own, stanza.args.as_slice()) {
                ("ssh-ed25519", [_, share]) => decoded_share(share).is_some(),
                ("ssh-rsa", [_]) => true,
                _ => false,
            };
            if !sound {
                return Err(Error::malformed("the stanza of an SSH recipient is malformed"));
            }
            if let Some(opened) = age::Identity::unwrap_stanza(&*self.key, stanza) {
                return opened.map(Some).map_err(|_| {
                    Error::malformed("this SSH key cannot decrypt a stanza that is for this key")
                });
            }
        }
        Ok(None)
    }
}

/// The content of a private key file.
pub(crate) enum SshKey {
    Open(Key),
    /// A passphrase-protected key, and its recipient, which the file contains in the clear.
    Locked(EncryptedKey, Recipient),
}

/// The key, if the passphrase is right.
pub(crate) fn unlock(
    key: &EncryptedKey,
    passphrase: SecretString,
    recipient: &Recipient,
) -> Option<Key> {
    let key = key.decrypt(passphrase).ok()?;
    Some(Key { key: Arc::new(key.into()), recipient: recipient.clone() })
}

/// Reads a private key in PEM: ready to use, or locked by a passphrase.
pub(crate) fn read(pem: &str) -> Result<SshKey> {
    let broken = || Error::malformed("is not a complete SSH private key");
    let key = age::ssh::Identity::from_buffer(pem.as_bytes(), None).map_err(|_| broken())?;
    if let age::ssh::Identity::Unsupported(why) = &key {
        return Err(unsupported(why));
    }
    let recipient = age::ssh::Recipient::try_from(key.clone()).map_err(|_| broken())?;
    let recipient: Recipient = recipient.to_string().parse()?;
    Ok(match key {
        age::ssh::Identity::Encrypted(key) => SshKey::Locked(key, recipient),
        open => SshKey::Open(Key { key: Arc::new(open), recipient }),
    })
}

fn unsupported(why: &UnsupportedKey) -> Error {
    let (what, help) = match why {
        UnsupportedKey::EncryptedPem => (
            "is an SSH key in the old encrypted PEM format".into(),
            "`ssh-keygen -p -f FILE` converts it to OpenSSH's own format.",
        ),
        UnsupportedKey::EncryptedSsh(cipher) => (
            format!("is an SSH key encrypted with {}, which is not supported", Brief(cipher)),
            "`ssh-keygen -p -Z aes256-ctr -f FILE` encrypts it with a supported cipher.",
        ),
        UnsupportedKey::Hardware(kind) => (
            format!("is an SSH key on hardware ({}), which can sign but not decrypt", Brief(kind)),
            "Use an age plugin for that hardware, or create an identity: `bootseal keygen -o FILE`.",
        ),
        UnsupportedKey::Type(kind) => (
            format!(
                "is an SSH key of the kind {}; only ssh-ed25519 and ssh-rsa are supported",
                Brief(kind)
            ),
            "Create a supported key: `ssh-keygen -t ed25519`, or `bootseal keygen -o FILE`.",
        ),
    };
    Error::malformed(what).with_help(help)
}
