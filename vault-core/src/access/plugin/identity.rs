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
    /// has no key for these stanzas, and an error if it cannot be run or reports one. The file with
    /// the stanzas `also` is unwrapped in the same run, and its key is kept.
    pub(crate) fn file_key(&self, stanzas: &[Stanza], also: &[Stanza]) -> Result<Option<FileKey>> {
        let key = |bytes: &[u8]| FileKey::init_with_mut(|key| key.copy_from_slice(bytes));
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |opened: &[Opened]| {
            let digest = digest(stanzas);
            let known = opened.iter().find(|(of, _)| *of == digest);
            known.map(|(_, known)| known.expose(key))
        };
        if let Some(known) = known(&opened) {
            return Ok(Some(known));
        }
        let files: Vec<&[Stanza]> =
            [stanzas, also].into_iter().filter(|stanzas| !stanzas.is_empty()).collect();
        opened.extend(self.run(&files)?);
        Ok(known(&opened))
    }

    /// Runs the plugin once for several files.
    fn run(&self, files: &[&[Stanza]]) -> Result<Vec<Opened>> {
        let not_there = |error: Error| match error.kind() {
            Kind::NotFound => Error::new(Kind::NoIdentity, error.what())
                .with_help(error.help().unwrap_or_default()),
            _ => error,
        };
        let mut session = self.plugins.session(&self.name, "identity-v1").map_err(not_there)?;
        self.text
            .expose_str(|text| session.talk.say("add-identity", &[text], &[]))
            .map_err(|_| Error::malformed("the plugin identity is not UTF-8"))?;
        for (index, stanzas) in files.iter().enumerate() {
            let index = index.to_string();
            for stanza in *stanzas {
                let words = [index.as_str(), &stanza.tag]
                    .into_iter()
                    .chain(stanza.args.iter().map(String::as_str));
                session.talk.say("recipient-stanza", &words.collect::<Vec<_>>(), &stanza.body);
            }
        }
        session.talk.say("done", &[], &[]);
        let mut found: Vec<Option<_>> = files.iter().map(|_| None).collect();
        session.answer(|message: &Message| match (message.tag(), message.args()) {
            ("file-key", [index]) if message.body.len() == FILE_KEY_BYTES => {
                let place = index.parse().ok().and_then(|index: usize| found.get_mut(index));
                match place.filter(|place| place.is_none()) {
                    Some(place) => {
                        *place = Some(Secret::copy_of(&message.body));
                        Reply::Ok
                    }
                    None => Reply::Fail,
                }
            }
            ("file-key", _) => Reply::Fail,
            _ => Reply::Unsupported,
        })?;
        if found.iter().all(Option::is_none) && !session.talk.complaints.is_empty() {
            return Err(session.failed("it returned no file key"));
        }
        let mut opened = Vec::new();
        for (stanzas, key) in files.iter().zip(found) {
            if let Some(key) = key {
                opened.push((digest(stanzas), key?));
            }
        }
        Ok(opened)
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
