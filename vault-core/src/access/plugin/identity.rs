//! Identities that only a plugin can use (age-plugin's `identity-v1` state machine).

use crate::access::plugin::find::Plugins;
use crate::access::plugin::is_plugin_name;
use crate::access::plugin::protocol::{Message, Reply};
use crate::error::{Error, Kind, Result};
use crate::shown::Brief;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use bootseal_memory::Secret;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// `AGE-PLUGIN-NAME-1…`, which only its plugin can use. The plugin runs only when a verified file
/// is opened.
#[derive(Clone)]
pub(crate) struct PluginIdentity {
    name: String,
    text: Secret,
    pub(crate) plugins: Plugins,
    /// The file keys that were already unwrapped, by the digest of their stanzas, so that each key
    /// block needs only one touch of a hardware key.
    opened: Arc<Mutex<Vec<Opened>>>,
}

impl PluginIdentity {
    /// Returns `None` if the text is not the identity of a plugin.
    pub(crate) fn parse(text: &str) -> Option<Result<PluginIdentity>> {
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        age_core::primitives::bech32_decode(text, |_| (), |_| Ok(()), |_, _| Ok(())).ok()?;
        let (prefix, _) = text.rsplit_once('1')?;
        let name = prefix.strip_prefix("AGE-PLUGIN-")?.strip_suffix('-')?.to_ascii_lowercase();
        if !is_plugin_name(&name) {
            return None;
        }
        let made = |text| PluginIdentity {
            name,
            text,
            plugins: Plugins::default(),
            opened: Arc::default(),
        };
        Some(Secret::copy_of(text.as_bytes()).map(made).map_err(Error::from))
    }

    /// Whether the recipient belongs to this plugin, or is of a kind that any plugin may serve.
    pub(crate) fn may_open(&self, plugin: Option<&str>, is_tag: bool) -> bool {
        plugin == Some(&self.name) || is_tag
    }

    /// Unwraps the file key through the `identity-v1` state machine. Returns `None` if the plugin
    /// has no key for these stanzas, and an error if it cannot be run or reports one.
    pub(crate) fn file_key(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        let digest = digest(stanzas);
        let key = |bytes: &[u8]| FileKey::init_with_mut(|key| key.copy_from_slice(bytes));
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = opened.iter().find(|(of, _)| *of == digest) {
            return Ok(Some(known.expose(key)));
        }
        let not_there = |error: Error| match error.kind() {
            Kind::NotFound => Error::new(Kind::NoIdentity, error.what())
                .with_help(error.help().unwrap_or_default()),
            _ => error,
        };
        let mut session = self.plugins.session(&self.name, "identity-v1").map_err(not_there)?;
        self.text
            .expose_str(|text| session.talk.say("add-identity", &[text], &[]))
            .map_err(|_| Error::malformed("the plugin identity is not UTF-8"))?;
        for stanza in stanzas {
            let words =
                ["0", &stanza.tag].into_iter().chain(stanza.args.iter().map(String::as_str));
            session.talk.say("recipient-stanza", &words.collect::<Vec<_>>(), &stanza.body);
        }
        session.talk.say("done", &[], &[]);
        let mut found = None;
        session.answer(|message: &Message| match (message.tag(), message.args()) {
            ("file-key", [index])
                if index == "0" && found.is_none() && message.body.len() == FILE_KEY_BYTES =>
            {
                found = Some(Secret::copy_of(&message.body));
                Reply::Ok
            }
            ("file-key", _) => Reply::Fail,
            _ => Reply::Unsupported,
        })?;
        match found.transpose()? {
            Some(found) => {
                let key = found.expose(key);
                opened.push((digest, found));
                Ok(Some(key))
            }
            None if session.talk.complaints.is_empty() => Ok(None),
            None => Err(session.failed("it returned no file key")),
        }
    }
}

impl fmt::Display for PluginIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "age1{}1…", Brief(&self.name))
    }
}

/// The digest of the stanzas, and the file key that they wrap.
type Opened = ([u8; 32], Secret);

fn digest(stanzas: &[Stanza]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for stanza in stanzas {
        for word in [&stanza.tag].into_iter().chain(&stanza.args) {
            digest.update(word.as_bytes());
            digest.update(b" ");
        }
        digest.update(Sha256::digest(&stanza.body));
    }
    digest.finalize().into()
}
