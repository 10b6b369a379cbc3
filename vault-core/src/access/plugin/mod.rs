//! Which program is a plugin, and who answers what it asks? What goes over its pipes stands in `plugin_protocol`.
//!
//! The file never names a program: it names a plugin, and the plugin is looked for in folders that whoever runs us gave. PATH and the
//! current folder are not among them.

pub(crate) mod protocol;

use crate::access::plugin::protocol::{Conversation, Message, Reply, Session};
use crate::access::recipient::{Recipient, is_plugin_name};
use crate::error::{Brief, Error, Kind, Result};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use bootseal_memory::Secret;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who answers when a plugin asks. What it says comes escaped, fit for a terminal; `None` where nobody answers.
///
/// ```
/// use bootseal_core::{PluginUser, Secret};
///
/// struct Nobody;
/// impl PluginUser for Nobody {
///     fn show(&self, plugin: &str, text: &str) { println!("{plugin}: {text}") }
///     fn confirm(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> Option<bool> { None }
///     fn ask(&self, _: &str, _: &str) -> Option<Secret> { None }
///     fn ask_secret(&self, _: &str, _: &str) -> Option<Secret> { None }
/// }
/// let plugins = bootseal_core::Plugins::default().user(Nobody);
/// ```
pub trait PluginUser: Send + Sync {
    /// Shows what it has to say: "touch your key", say.
    fn show(&self, plugin: &str, text: &str);
    /// Asks `text`, to be answered by `yes` or, where there is a second choice, by `no`.
    fn confirm(&self, plugin: &str, text: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// Asks for a line that may be seen.
    fn ask(&self, plugin: &str, text: &str) -> Option<Secret>;
    /// Asks for a line that may not be seen: a PIN.
    fn ask_secret(&self, plugin: &str, text: &str) -> Option<Secret>;
}

/// Where plugins may be found, and who answers them. By default nowhere, and nobody.
///
/// ```
/// use bootseal_core::{Kind, Plugins};
/// let plugins = Plugins::default().folder("/usr/bin".as_ref())?;
/// assert_eq!(plugins.folder("bin".as_ref()).unwrap_err().kind(), Kind::Usage); // not absolute
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Plugins(Arc<Settings>);

#[derive(Clone)]
struct Settings {
    programs: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    user: Option<Arc<dyn PluginUser>>,
    patience: Duration,
}

impl Default for Plugins {
    fn default() -> Plugins {
        let patience = Duration::from_secs(120);
        Plugins(Arc::new(Settings { programs: Vec::new(), folders: Vec::new(), user: None, patience }))
    }
}

impl Plugins {
    /// This program, `/…/age-plugin-NAME`, is the plugin NAME, before any in a folder.
    ///
    /// # Errors
    /// [`Kind::Usage`] where the path is not absolute or not so named.
    ///
    /// ```
    /// let plugins = bootseal_core::Plugins::default().program("/opt/hsm/age-plugin-hsm".as_ref())?;
    /// assert!(plugins.program("/opt/hsm/hsm".as_ref()).is_err());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn program(mut self, path: &Path) -> Result<Plugins> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(std::env::consts::EXE_SUFFIX)?.strip_prefix("age-plugin-"));
        if !path.is_absolute() || !name.is_some_and(is_plugin_name) {
            let what = "the program of a plugin is named by its absolute path, /…/age-plugin-NAME";
            return Err(Error::new(Kind::Usage, what).in_file(path));
        }
        Arc::make_mut(&mut self.0).programs.push(path.to_owned());
        Ok(self)
    }

    /// Programs `age-plugin-NAME` in this folder are plugins; several calls: the first folder that has it.
    ///
    /// # Errors
    /// [`Kind::Usage`] where the path is not absolute. See the example of [`Plugins`].
    pub fn folder(mut self, path: &Path) -> Result<Plugins> {
        if !path.is_absolute() {
            return Err(Error::new(Kind::Usage, "a folder of plugins must be named by its absolute path").in_file(path));
        }
        Arc::make_mut(&mut self.0).folders.push(path.to_owned());
        Ok(self)
    }

    /// Who answers what a plugin asks. See the example of [`PluginUser`].
    #[must_use]
    pub fn user(mut self, user: impl PluginUser + 'static) -> Plugins {
        Arc::make_mut(&mut self.0).user = Some(Arc::new(user));
        self
    }

    /// How long a plugin may say nothing before it is ended; 120 seconds unless set, for a finger to find the key. While someone is asked, no time runs.
    ///
    /// ```
    /// let plugins = bootseal_core::Plugins::default().patience(std::time::Duration::from_secs(20));
    /// ```
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Plugins {
        Arc::make_mut(&mut self.0).patience = patience;
        self
    }

    fn find(&self, name: &str) -> Result<PathBuf> {
        let file = format!("age-plugin-{name}{}", std::env::consts::EXE_SUFFIX);
        let named = self.0.programs.iter().filter(|path| path.file_name().is_some_and(|name| name == file.as_str()));
        let places: Vec<PathBuf> =
            named.cloned().chain(self.0.folders.iter().map(|folder| folder.join(&file))).collect();
        let Some(found) = places.iter().find(|path| path.is_file()) else {
            let looked: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            let looked = if looked.is_empty() {
                "no place was named for plugins".into()
            } else {
                format!("looked for {}", looked.join(", "))
            };
            return Err(Error::new(Kind::NotFound, format!("the plugin {file} is not there: {looked}")).with_help(
                format!("Install it there, or name it: BOOTSEAL_PLUGIN=/absolute/path/{file}. PATH is not looked at."),
            ));
        };
        let found = found
            .canonicalize()
            .map_err(|error| Error::new(Kind::Io, format!("cannot be run: {error}")).in_file(found))?;
        check_mode(&found)?;
        Ok(found)
    }

    fn session(&self, name: &str, machine: &str) -> Result<Session> {
        let program = self.find(name)?;
        let talk = Conversation::start(&program, machine, self.0.patience)
            .map_err(|error| Error::new(Kind::Io, format!("cannot be run: {error}")).in_file(&program))?;
        Ok(Session { talk, plugin: format!("age-plugin-{name}"), user: self.0.user.clone() })
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugins({:?}, {:?})", self.0.programs, self.0.folders)
    }
}

/// What everyone on the machine may replace is not run.
#[cfg(unix)]
fn check_mode(program: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    for place in [Some(program), program.parent()].into_iter().flatten() {
        let mode = std::fs::metadata(place).map_or(0o777, |meta| meta.mode());
        if mode & 0o002 != 0 {
            let what = format!("a plugin that everyone can replace (mode {:04o})", mode & 0o7777);
            return Err(Error::new(Kind::UnsafeFile, what)
                .in_file(place)
                .with_help(format!("chmod o-w '{}'", place.display())));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<()> {
    Ok(())
}

/// Wraps through a plugin: age's `recipient-v1`.
pub(crate) struct PluginRecipient {
    name: String,
    recipient: String,
    plugins: Plugins,
}

impl PluginRecipient {
    pub(crate) fn new(name: &str, recipient: &str, plugins: &Plugins) -> PluginRecipient {
        PluginRecipient { name: name.to_owned(), recipient: recipient.to_owned(), plugins: plugins.clone() }
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
                stanzas.push(Stanza { tag: tag.clone(), args: args.to_vec(), body: message.body.to_vec() });
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
            true => Err(session.failed("it wrapped nothing")),
            false => Ok((stanzas, labels)),
        }
    }
}

impl age::Recipient for PluginRecipient {
    fn wrap_file_key(&self, key: &FileKey) -> std::result::Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        self.wrap(key).map_err(|error| age::EncryptError::Io(std::io::Error::other(error)))
    }
}

/// `AGE-PLUGIN-NAME-1…`: what only a plugin can make use of. Nothing is run before a verified file is opened with it.
#[derive(Clone)]
pub(crate) struct PluginIdentity {
    name: String,
    text: Secret,
    pub(crate) plugins: Plugins,
    /// File keys that it gave, by what they were wrapped in: a key on hardware is touched once for each key block.
    opened: Arc<Mutex<Vec<Opened>>>,
}

impl PluginIdentity {
    /// `None` where the text is no plugin's identity.
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
        let made = |text| PluginIdentity { name, text, plugins: Plugins::default(), opened: Arc::default() };
        Some(Secret::copy_of(text.as_bytes()).map(made).map_err(Error::from))
    }

    /// The plugin's own recipients; and those of a key that any plugin may hold.
    pub(crate) fn may_open(&self, recipient: &Recipient) -> bool {
        recipient.plugin() == Some(&self.name) || recipient.is_tag()
    }

    /// age's `identity-v1`. `Err` where the plugin could have opened it, and did not.
    pub(crate) fn file_key(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        let digest = digest(stanzas);
        let key = |bytes: &[u8]| FileKey::init_with_mut(|key| key.copy_from_slice(bytes));
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = opened.iter().find(|(of, _)| *of == digest) {
            return Ok(Some(known.expose(key)));
        }
        let not_there = |error: Error| match error.kind() {
            Kind::NotFound => Error::new(Kind::NoIdentity, error.what()).with_help(error.help().unwrap_or_default()),
            _ => error,
        };
        let mut session = self.plugins.session(&self.name, "identity-v1").map_err(not_there)?;
        self.text
            .expose_str(|text| session.talk.say("add-identity", &[text], &[]))
            .map_err(|_| Error::malformed("not text"))?;
        for stanza in stanzas {
            let words = ["0", &stanza.tag].into_iter().chain(stanza.args.iter().map(String::as_str));
            session.talk.say("recipient-stanza", &words.collect::<Vec<_>>(), &stanza.body);
        }
        session.talk.say("done", &[], &[]);
        let mut found = None;
        session.answer(|message: &Message| match (message.tag(), message.args()) {
            ("file-key", [index]) if index == "0" && found.is_none() && message.body.len() == FILE_KEY_BYTES => {
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
            None => Err(session.failed("it opened nothing")),
        }
    }
}

impl fmt::Display for PluginIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "age1{}1…", Brief(&self.name))
    }
}

/// What a file key was wrapped in, and the key.
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
