//! Wraps a file key through a plugin (age-plugin's `recipient-v1` state machine).

use crate::access::plugin::find::Plugins;
use crate::access::plugin::protocol::Reply;
use crate::error::Result;
use age_core::format::{FileKey, Stanza};
use secrecy::ExposeSecret;
use std::collections::HashSet;

pub(crate) struct PluginRecipient {
    name: String,
    recipient: String,
    plugins: Plugins,
}

impl PluginRecipient {
    pub(crate) fn new(name: &str, recipient: &str, plugins: &Plugins) -> PluginRecipient {
        PluginRecipient {
            name: name.to_owned(),
            recipient: recipient.to_owned(),
            plugins: plugins.clone(),
        }
    }

    fn wrap(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>)> {
        let mut session = self.plugins.session(&self.name, "recipient-v1")?;
        session.talk.say("add-recipient", &[&self.recipient], &[]);
        session.talk.say("extension-labels", &[], &[]);
        session.talk.say("wrap-file-key", &[], key.expose_secret());
        session.talk.say("done", &[], &[]);
        let (mut stanzas, mut labels) = (Vec::new(), HashSet::new());
        session.answer(|message| match (message.tag(), message.args()) {
            ("recipient-stanza", [index, tag, args @ ..]) if index == "0" && stanzas.len() < 16 => {
                stanzas.push(Stanza {
                    tag: tag.clone(),
                    args: args.to_vec(),
                    body: message.body.to_vec(),
                });
                Reply::Ok
            }
            ("labels", given) => {
                labels.extend(given.iter().cloned());
                Reply::Ok
            }
            ("recipient-stanza", _) => Reply::Fail,
            _ => Reply::Unsupported,
        })?;
        match stanzas.is_empty() {
            true => Err(session.failed("it returned no stanza")),
            false => Ok((stanzas, labels)),
        }
    }
}

impl age::Recipient for PluginRecipient {
    fn wrap_file_key(
        &self,
        key: &FileKey,
    ) -> std::result::Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        self.wrap(key).map_err(|error| age::EncryptError::Io(std::io::Error::other(error)))
    }
}
