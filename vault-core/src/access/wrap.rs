//! Wrapping of the keys in two armored age files: the data key for all members, the signing seed
//! for writers.

use crate::access::identity::Identity;
use crate::access::recipient::Recipient;
use crate::error::{Error, Kind, Result};
use crate::keys::derive::DataKey;
use crate::keys::random::KEY_BYTES;
use crate::keys::signing::SigningSeed;
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age_core::format::{FileKey, Stanza};
use bootseal_memory::{Secret, SecretBuf};
use std::cell::RefCell;
use std::io::Write;

/// Wraps the data key to everyone in `recipients`.
pub(crate) fn wrap_data_key(key: &DataKey, recipients: &[Recipient]) -> Result<String> {
    key.0.expose(|key| wrap(key, recipients))
}

/// Wraps seed ‖ data key to the writers. If both are wrapped together, only one touch of a hardware
/// key is needed.
pub(crate) fn wrap_writer_keys(
    seed: &SigningSeed,
    key: &DataKey,
    writers: &[Recipient],
) -> Result<String> {
    let mut both = SecretBuf::with_capacity(2 * KEY_BYTES)?;
    seed.0.expose(|seed| both.push(seed))?;
    key.0.expose(|key| both.push(key))?;
    both.expose(|both| wrap(both, writers))
}

/// Whether something can be wrapped to this recipient alone.
pub(crate) fn can_wrap_to(recipient: &Recipient) -> bool {
    wrap(&[], std::slice::from_ref(recipient)).is_ok()
}

/// Encrypts `plain` to `recipients`, armored.
pub(crate) fn wrap(plain: &[u8], recipients: &[Recipient]) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Io, format!("the keys could not be wrapped: {error}"))
    };
    let recipients = recipients.iter().map(Recipient::to_age).collect::<Result<Vec<_>>>()?;
    let recipients = recipients.iter().map(|recipient| &**recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| match error {
        // age returns a plugin's error as an I/O error.
        age::EncryptError::Io(error) => error.downcast().unwrap_or_else(|error| failed(&error)),
        age::EncryptError::IncompatibleRecipients { .. } => Error::new(
            Kind::Usage,
            "age does not mix a plugin's recipient with the others in access: it must be alone, or only with post-quantum ones",
        ),
        error => failed(&error),
    })?;
    let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)
        .map_err(|error| failed(&error))?;
    let mut writer = encryptor.wrap_output(armored).map_err(|error| failed(&error))?;
    writer.write_all(plain).map_err(|error| failed(&error))?;
    let block = writer.finish().and_then(ArmoredWriter::finish).map_err(|error| failed(&error))?;
    String::from_utf8(block).map_err(|error| failed(&error.utf8_error()))
}

/// Opens `read_key` with the first identity that fits; `None` if none does.
pub(crate) fn open_data_key(block: &str, identities: &[Identity]) -> Result<Option<DataKey>> {
    let Some(mut page) = unwrap(block, "read_key", KEY_BYTES, identities, &[])? else {
        return Ok(None);
    };
    page.truncate(KEY_BYTES);
    Ok(Some(DataKey(page.freeze())))
}

/// Opens `write_key` with the first identity that fits; `None` if none does. `read_key`, which is
/// opened next, is given to the same run of a plugin.
pub(crate) fn open_writer_keys(
    block: &str,
    read_key: &str,
    identities: &[Identity],
) -> Result<Option<(SigningSeed, DataKey)>> {
    let also = match identities.iter().any(Identity::is_plugin) {
        true => stanzas_of(read_key),
        false => Vec::new(),
    };
    let Some(page) = unwrap(block, "write_key", 2 * KEY_BYTES, identities, &also)? else {
        return Ok(None);
    };
    let mut seed = SecretBuf::with_capacity(KEY_BYTES)?;
    page.expose(|both| seed.push(&both[..KEY_BYTES]))?;
    let key = page.freeze_range(KEY_BYTES..2 * KEY_BYTES);
    Ok(Some((SigningSeed(seed.freeze()), DataKey(key))))
}

fn unwrap(
    block: &str,
    name: &str,
    length: usize,
    identities: &[Identity],
    also: &[Stanza],
) -> Result<Option<SecretBuf>> {
    match unwrap_with(block, &format!("`{name}`"), length, identities, also)? {
        Some(page) if page.len() < length => {
            Err(Error::malformed(format!("`{name}` contains fewer than {length} bytes")))
        }
        page => Ok(page),
    }
}

/// Opens another tool's armored age file, with at most `most` bytes of content. Returns `None` if
/// none of `identities` opens it. Anyone may have written the file: age does not authenticate the
/// sender.
///
/// # Errors
/// [`Kind::Malformed`] if `block` is not such a file, is corrupted, or contains more bytes;
/// otherwise, the error of the identity that failed.
///
/// ```
/// use bootseal_core::{Identity, Kind, open_age_file};
/// let error = open_age_file("no such file", 32, &[Identity::generate()?]).unwrap_err();
/// assert_eq!(error.kind(), Kind::Malformed);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub fn open_age_file(block: &str, most: usize, identities: &[Identity]) -> Result<Option<Secret>> {
    Ok(unwrap_up_to(block, "the wrapped key", most, identities)?.map(SecretBuf::freeze))
}

/// Opens an armored age file of at most `most` bytes onto a guarded page; `None` if none of
/// `identities` opens it.
pub(crate) fn unwrap_up_to(
    block: &str,
    name: &str,
    most: usize,
    identities: &[Identity],
) -> Result<Option<SecretBuf>> {
    unwrap_with(block, name, most, identities, &[])
}

fn unwrap_with(
    block: &str,
    name: &str,
    most: usize,
    identities: &[Identity],
    also: &[Stanza],
) -> Result<Option<SecretBuf>> {
    let broken = |what: String| Error::malformed(format!("{name} {what}"));
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(block.trim_start().as_bytes()))
        .map_err(|error| broken(format!("is not an armored age file: {error}")))?;
    // Local keys are tried first; identities that run a program or need a touch are tried last.
    let (programs, own): (Vec<_>, Vec<_>) =
        identities.iter().partition(|identity| identity.is_plugin());
    let failed = RefCell::new(None);
    let attempts: Vec<_> = own
        .into_iter()
        .chain(programs)
        .map(|identity| Attempt { identity, also, failed: &failed })
        .collect();
    let opened = decryptor.decrypt(attempts.iter().map(|attempt| attempt as &dyn age::Identity));
    let mut plain = match opened {
        Ok(plain) => plain,
        Err(age::DecryptError::NoMatchingKeys) => return failed.take().map_or(Ok(None), Err),
        Err(error) => {
            let failed = failed.take();
            return Err(failed.unwrap_or_else(|| broken(format!("cannot be decrypted: {error}"))));
        }
    };
    // With one spare byte, reading to the end never reallocates the page.
    let mut page = SecretBuf::with_capacity(most + 1)?;
    match page.read_to_end(&mut plain, most) {
        Ok(true) => Ok(Some(page)),
        Ok(false) => Err(broken(format!("contains more than {most} bytes"))),
        Err(_) => Err(broken("is truncated or corrupted".into())),
    }
}

/// One identity to try. Its failure counts only if no other identity opens the file.
struct Attempt<'a> {
    identity: &'a Identity,
    also: &'a [Stanza],
    failed: &'a RefCell<Option<Error>>,
}

impl age::Identity for Attempt<'_> {
    fn unwrap_stanza(
        &self,
        stanza: &Stanza,
    ) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(
        &self,
        stanzas: &[Stanza],
    ) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        match self.identity.file_key(stanzas, self.also) {
            Ok(key) => key.map(Ok),
            Err(error) => {
                // As in age, a malformed stanza ends the attempt. A plugin that fails does not,
                // because another one may have the key.
                let fatal = !self.identity.is_plugin() && error.kind() == Kind::Malformed;
                self.failed.borrow_mut().get_or_insert(error);
                fatal.then_some(Err(age::DecryptError::InvalidHeader))
            }
        }
    }
}

/// The stanzas of an armored age file; none if it is not such a file.
fn stanzas_of(block: &str) -> Vec<Stanza> {
    let seen = Seen::default();
    let armored = ArmoredReader::new(block.trim_start().as_bytes());
    if let Ok(decryptor) = age::Decryptor::new_buffered(armored) {
        let _ = decryptor.decrypt(std::iter::once(&seen as &dyn age::Identity));
    }
    seen.0.into_inner()
}

/// An identity that opens nothing, and keeps the stanzas that it is given.
#[derive(Default)]
struct Seen(RefCell<Vec<Stanza>>);

impl age::Identity for Seen {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        None
    }

    fn unwrap_stanzas(
        &self,
        stanzas: &[Stanza],
    ) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        let copied = stanzas.iter().map(|stanza| Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        });
        *self.0.borrow_mut() = copied.collect();
        None
    }
}
