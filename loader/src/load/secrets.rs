//! What does the application hold after the start? Its secrets by name, and a token source for each login profile.

use crate::error::{Error, Result};
use crate::load::loader::Loader;
#[cfg(feature = "client")]
use crate::token::login_history::Attempts;
#[cfg(feature = "client")]
use crate::token::source::TokenSource;
#[cfg(feature = "client")]
use bootseal_core::CredentialKey;
use bootseal_core::{
    CanRead, Kind, OpenedValue, Profile, Property, PropertyPath, Secret, Vault, VaultId, VerifiedFile,
};
#[cfg(feature = "client")]
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A file is watched no faster.
const FASTEST: Duration = Duration::from_millis(100);

/// An opened vault: every value in guarded memory, to be asked for by name. A cheap handle.
///
/// ```
/// let vault = bootseal::testing::vault([("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
/// let password = vault.secret("db.password")?;
/// assert_eq!((vault.text("db.user")?.as_str(), password.len()), ("app", 7));
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    /// Another one after a reload.
    now: Mutex<Arc<Snapshot>>,
    /// How the file was opened; `None` for a vault of a test.
    loader: Option<Loader>,
    /// Held while a reload is made.
    reloading: Mutex<()>,
    listeners: Mutex<Vec<Listener>>,
    #[cfg(feature = "client")]
    sources: Mutex<HashMap<PropertyPath, TokenSource>>,
}

#[cfg(feature = "client")]
type OfSource = (Profile, BTreeMap<String, Secret>, Option<Attempts>);
type Listener = Arc<dyn Fn(&[String]) + Send + Sync>;

/// What one generation of the file says.
pub(crate) struct Snapshot {
    pub(crate) file: VerifiedFile,
    values: HashMap<PropertyPath, OpenedValue>,
    profiles: HashMap<PropertyPath, Profile>,
    #[cfg(feature = "client")]
    credentials: CredentialKey,
}

impl Snapshot {
    /// Every value is opened; then the data key is wiped. Of the profiles those in `only`, or all where it is empty.
    pub(crate) fn new(vault: Vault<CanRead>, only: &[PropertyPath]) -> Result<Snapshot> {
        let values = vault.open_all()?;
        #[cfg(feature = "client")]
        let credentials = vault.credential_key().clone();
        let file = vault.into_file();
        // Checked now and not at the first call: a profile that cannot work is told at start.
        let profiles: bootseal_core::Result<HashMap<_, _>> = file
            .profiles()
            .into_iter()
            .filter(|table| only.is_empty() || only.contains(table))
            .map(|table| Ok((table.clone(), Profile::read(&file, &table)?)))
            .collect();
        Ok(Snapshot {
            values: values.into_iter().collect(),
            profiles: profiles?,
            file,
            #[cfg(feature = "client")]
            credentials,
        })
    }

    /// The names of what is not the same in both.
    fn changes(&self, newer: &Snapshot) -> Vec<String> {
        let same = |path: &PropertyPath| match (self.values.get(path), newer.values.get(path)) {
            (Some(old), Some(new)) => old.kind == new.kind && old.secret.same_as(&new.secret),
            (None, None) => self.file.property(path) == newer.file.property(path),
            _ => false,
        };
        let old = self.file.properties().map(|(path, _)| path);
        let added = newer.file.properties().map(|(path, _)| path).filter(|path| self.file.property(path).is_none());
        old.chain(added).filter(|path| !same(path)).map(ToString::to_string).collect()
    }

    fn placed(&self, error: bootseal_core::Error) -> Error {
        error.in_file_if(self.file.path()).into()
    }

    /// The profile of `table`, and the values that it uses.
    #[cfg(feature = "client")]
    pub(crate) fn account(&self, table: &PropertyPath) -> Result<Option<(Profile, BTreeMap<String, Secret>)>> {
        let Some(profile) = self.profiles.get(table) else { return Ok(None) };
        let is_there = |name: &&str| table.child(name).is_ok_and(|path| self.file.property(&path).is_some());
        let names = profile.value_names().into_iter().chain(profile.spare_names().filter(is_there));
        let values = names.map(|name| Ok((name.to_owned(), self.login_value(&table.child(name)?)?)));
        Ok(Some((profile.clone(), values.collect::<Result<_>>()?)))
    }

    /// Where failed logins with this account outlive the process, if anywhere.
    #[cfg(feature = "client")]
    fn attempts(
        &self,
        loader: Option<&Loader>,
        profile: &Profile,
        values: &BTreeMap<String, Secret>,
    ) -> Result<Option<Attempts>> {
        let Some((folder, _)) = loader.and_then(Loader::state_folder) else { return Ok(None) };
        let named = values.iter().map(|(name, value)| (name.as_str(), value));
        let credentials = self.credentials.digest(profile.canonical(), named)?;
        Ok(Some(Attempts::new(&folder, self.file.vault_id(), &profile.table.to_string(), credentials)))
    }

    /// A value that a login names: sealed as a rule, but a user's name may be readable.
    #[cfg(feature = "client")]
    fn login_value(&self, path: &PropertyPath) -> Result<Secret> {
        match (self.values.get(path), self.file.property(path)) {
            (Some(value), _) => Ok(value.secret.clone()),
            (None, Some(Property::Readable(toml::Value::String(text)))) => Ok(Secret::of_public(text.as_bytes())?),
            (None, Some(Property::Readable(other))) => Ok(Secret::of_public(other.to_string().as_bytes())?),
            (None, _) => Err(self.placed(self.file.not_found(path))),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What runs under these locks leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Secrets {
    pub(crate) fn new(opened: Snapshot, loader: Option<Loader>) -> Secrets {
        Secrets(Arc::new(Inner {
            now: Mutex::new(Arc::new(opened)),
            loader,
            reloading: Mutex::default(),
            listeners: Mutex::default(),
            #[cfg(feature = "client")]
            sources: Mutex::default(),
        }))
    }

    /// The secrets of a vault that is open already, and perhaps no file yet: how a command line tries a login before it writes one.
    /// There is no reload, and a login that was refused is remembered nowhere.
    ///
    /// # Errors
    /// As [`crate::load`]: where a value does not open, or a profile cannot work.
    ///
    /// ```
    /// use bootseal_core::{Access, Identity, Pin, Role, SealedFile, Vault};
    /// let me = Identity::generate()?;
    /// let draft = Vault::create(vec![Access::new("me", Role::Writer, me.recipient())?], "timeout = \"10s\"\n")?;
    /// let pin = Pin::from(draft.file().vault_id());
    /// let opened = SealedFile::parse(draft.sign()?.into_bytes())?.verify(&[pin])?.open(&[me])?;
    /// assert_eq!(bootseal::Secrets::of(opened)?.text("timeout")?, "10s");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(vault: Vault<CanRead>) -> Result<Secrets> {
        Ok(Secrets::new(Snapshot::new(vault, &[])?, None))
    }

    pub(crate) fn now(&self) -> Arc<Snapshot> {
        lock(&self.0.now).clone()
    }

    #[cfg(feature = "client")]
    fn account(&self, file: &Snapshot, table: &PropertyPath) -> Result<Option<(Profile, BTreeMap<String, Secret>)>> {
        let mut account = file.account(table)?;
        if let Some((profile, _)) = &mut account {
            let default = self.0.loader.as_ref().and_then(|loader| loader.proxy.clone());
            profile.proxy = profile.proxy.take().or(default);
        }
        Ok(account)
    }

    /// Reads the file again, by the rules of the start. Handles keep their value, [`Secrets::secret`] gives the new one, and a token
    /// source logs in anew only where its own profile or values changed. Returns the names of what changed; none where the file is the
    /// same.
    ///
    /// # Errors
    /// As [`Loader::load`]; [`Kind::WrongVault`] for another vault, [`Kind::OldGeneration`] for a file that is not newer. The old one
    /// goes on.
    ///
    /// ```no_run
    /// let vault = bootseal::load("app.sealed.toml")?;
    /// // … bootseal set db.password
    /// for name in vault.reload()? {
    ///     println!("{name} changed");
    /// }
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn reload(&self) -> Result<Vec<String>> {
        let Some(loader) = &self.0.loader else {
            return Err(Error::new(Kind::Usage, "this vault was made in a test, and has no file to be read again"));
        };
        let one = lock(&self.0.reloading);
        let (newer, opening) = loader.snapshot()?;
        let names = self.take(newer, |newer| loader.accept(newer, &opening))?;
        drop(one);
        if let Some(names) = &names {
            self.tell(names);
        }
        Ok(names.unwrap_or_default())
    }

    /// With nothing locked: a listener may reload, or ask for what it likes. One that panics takes nothing away from the others.
    fn tell(&self, names: &[String]) {
        let listeners: Vec<Listener> = lock(&self.0.listeners).clone();
        for listener in listeners {
            if std::panic::catch_unwind(AssertUnwindSafe(|| listener(names))).is_err() {
                tracing::error!(target: "bootseal", "a listener of on_change panicked; what it listens for goes on");
            }
        }
    }

    /// Puts a newer generation in the place of the present one; `None` where it is the same.
    fn take(&self, newer: Snapshot, accept: impl FnOnce(&Snapshot) -> Result<()>) -> Result<Option<Vec<String>>> {
        let present = self.now();
        let (old, new) = (&present.file, &newer.file);
        if old.vault_id() != new.vault_id() && !new.former_ids().contains(&old.vault_id()) {
            let text = format!("the file is another vault now: {}; {} goes on", new.vault_id(), old.vault_id());
            return Err(newer.placed(bootseal_core::Error::new(Kind::WrongVault, text)));
        }
        if old.text() == new.text() {
            return Ok(None);
        }
        if new.generation() <= old.generation() {
            let text =
                format!("the file is of generation {}; generation {} goes on", new.generation(), old.generation());
            return Err(newer.placed(bootseal_core::Error::new(Kind::OldGeneration, text)));
        }
        let names = present.changes(&newer);
        #[cfg(feature = "client")]
        let mut accounts = self.all_accounts(&newer)?;
        accept(&newer)?;
        #[cfg(feature = "client")]
        {
            // Whoever makes a source now finds the newer file, or is told.
            let sources = lock(&self.0.sources);
            *lock(&self.0.now) = Arc::new(newer);
            let told = sources.iter().filter_map(|(table, source)| match accounts.remove(table) {
                Some((profile, values, attempts)) => source.follow(profile, values, attempts),
                None => source.retire(),
            });
            let afterwards: Vec<_> = told.collect();
            drop(sources);
            afterwards.into_iter().for_each(|act| act());
        }
        #[cfg(not(feature = "client"))]
        {
            *lock(&self.0.now) = Arc::new(newer);
        }
        Ok(Some(names))
    }

    /// What each profile's source needs.
    #[cfg(feature = "client")]
    fn all_accounts(&self, file: &Snapshot) -> Result<HashMap<PropertyPath, OfSource>> {
        let one = |table: &PropertyPath| {
            let Some((profile, values)) = self.account(file, table)? else { return Ok(None) };
            let attempts = file.attempts(self.0.loader.as_ref(), &profile, &values)?;
            Ok(Some((table.clone(), (profile, values, attempts))))
        };
        file.profiles.keys().filter_map(|table| one(table).transpose()).collect()
    }

    /// Looks at the file every so often, ten times a second at most, on a thread of its own, and [reloads](Secrets::reload) it when its
    /// content is not what was opened, as when a link was swapped. A file that cannot be taken is tried again each time, for its key may
    /// come a moment later; it is said in the log once, and the old one goes on. It ends with the last handle.
    ///
    /// # Errors
    /// [`Kind::Io`] where there is no thread for it; [`Kind::Usage`] for a vault of a test.
    ///
    /// ```no_run
    /// let vault = bootseal::load("app.sealed.toml")?;
    /// vault.watch(std::time::Duration::from_secs(10))?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn watch(&self, every: Duration) -> Result<()> {
        let Some(path) = self.0.loader.as_ref().and(self.now().file.path().map(Path::to_owned)) else {
            return Err(Error::new(Kind::Usage, "this vault was made in a test, and has no file to be watched"));
        };
        let (weak, every, mut told) = (Arc::downgrade(&self.0), every.max(FASTEST), None);
        let watching = move || loop {
            std::thread::park_timeout(every);
            let Some(vault) = weak.upgrade().map(Secrets) else { return };
            // A file that is away for a moment is being replaced.
            let Ok(content) = std::fs::read(&path) else { continue };
            if content == vault.now().file.text().as_bytes() {
                continue;
            }
            match vault.reload() {
                Ok(names) => {
                    tracing::info!(target: "bootseal", generation = vault.generation(), changed = names.len(), "reloaded")
                }
                Err(error) => {
                    let failure = Some((content, error.to_string()));
                    if told != failure {
                        told = failure;
                        tracing::warn!(target: "bootseal", generation = vault.generation(), %error, "the file changed and is not taken; what was opened goes on")
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("bootseal-watch".into()).spawn(watching);
        thread.map(drop).map_err(|error| Error::new(Kind::Io, format!("no thread to watch the file: {error}")))
    }

    /// Calls `listener` with the names of what changed, after each reload that took a newer file, on the thread that reloads.
    ///
    /// ```no_run
    /// let vault = bootseal::load("app.sealed.toml")?;
    /// vault.on_change(|names| println!("{names:?} changed"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn on_change(&self, listener: impl Fn(&[String]) + Send + Sync + 'static) {
        lock(&self.0.listeners).push(Arc::new(listener));
    }

    /// The table as the application's own struct; the whole file for `""`. The tables `login` and `route` are left out.
    ///
    /// A field of type [`Secret`] takes a sealed value only. Any other type takes a sealed value only under
    /// `#[serde(with = "bootseal::exposed")]`: see [`exposed`](crate::load::exposed).
    ///
    /// # Errors
    /// [`Kind::Conflict`] where a sealed value meets a field that is no [`Secret`], or a readable one a field that is;
    /// [`Kind::Malformed`] where the struct and the table do not fit. Each names the property, and none its value.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Db {
    ///     user: String,
    ///     password: bootseal::Secret,
    /// }
    /// let vault = bootseal::testing::vault([("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
    /// let db: Db = vault.deserialize("db")?;
    /// assert_eq!((db.user.as_str(), db.password.len()), ("app", 7));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self, table: &str) -> Result<T> {
        let segments = if table.is_empty() { Vec::new() } else { table.parse::<PropertyPath>()?.segments().to_vec() };
        let now = self.now();
        let read = crate::load::deserialize::read(&segments, now.file.properties(), |path| now.values.get(path));
        read.map_err(|wrong| {
            let mut error = bootseal_core::Error::new(wrong.kind, wrong.text);
            if let Some(path) = wrong.path.and_then(|path| path.parse::<PropertyPath>().ok()) {
                error = error.at(&path);
            }
            if let Some(help) = wrong.help {
                error = error.with_help(help);
            }
            now.placed(error)
        })
    }

    /// The sealed value at `path`, a TOML dotted key.
    ///
    /// # Errors
    /// [`Kind::NotFound`], with near names; [`Kind::Conflict`] where the property is readable: what everybody can read is not
    /// handed out as a secret. [`Kind::Usage`] where `path` is no dotted key.
    ///
    /// ```no_run
    /// # let vault = bootseal::load("app.sealed.toml")?;
    /// let password = vault.secret("db.password")?;
    /// let url = password.expose_str(|text| format!("postgres://app:{text}@db/app"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn secret(&self, path: &str) -> Result<Secret> {
        let path: PropertyPath = path.parse()?;
        let now = self.now();
        if let Some(value) = now.values.get(&path) {
            return Ok(value.secret.clone());
        }
        let error = match now.file.property(&path) {
            Some(_) => bootseal_core::Error::new(
                Kind::Conflict,
                "this property is readable, not sealed; a secret was asked for",
            )
            .at(&path)
            .with_help(format!("Seal it: bootseal set {path}; or read it with text(\"{path}\")")),
            None => now.file.not_found(&path),
        };
        Err(now.placed(error))
    }

    /// The readable text at `path`, a TOML dotted key.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] where the property is sealed, or no text; [`Kind::Usage`] where `path` is no dotted key.
    ///
    /// ```
    /// # use bootseal::Kind;
    /// let vault = bootseal::testing::vault([("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
    /// assert_eq!(vault.text("db.user")?, "app");
    /// assert_eq!(vault.text("db.password").unwrap_err().kind(), Kind::Conflict);
    /// assert_eq!(vault.text("db.usr").unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn text(&self, path: &str) -> Result<String> {
        let path: PropertyPath = path.parse()?;
        let now = self.now();
        let error = match now.file.property(&path) {
            Some(Property::Readable(toml::Value::String(text))) => return Ok(text.clone()),
            Some(Property::Sealed(_)) => {
                bootseal_core::Error::new(Kind::Conflict, "this property is sealed; readable text was asked for")
                    .at(&path)
                    .with_help(format!("Read it with secret(\"{path}\")"))
            }
            Some(Property::Readable(other)) => bootseal_core::Error::new(
                Kind::Conflict,
                format!("this property is of type {}; text was asked for", other.type_str()),
            )
            .at(&path),
            None => now.file.not_found(&path),
        };
        Err(now.placed(error))
    }

    /// The token source of the profile `[profile.login]`. Every call with the same name gives the same one.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such profile; [`Kind::WrongVault`] where nothing vouches for the file, for its passwords
    /// and addresses may be anyone's.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// assert_eq!(vault.token_source("acme")?.counts().logins, 1); // the same source
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn token_source(&self, profile: &str) -> Result<TokenSource> {
        self.token_source_with(
            profile,
            Arc::new(crate::login::clock::SystemClock),
            Arc::new(crate::login::http_transport::HttpTransport),
        )
    }

    /// The same with another clock and another way to the vendor; they count for the first who asks for this profile.
    ///
    /// # Errors
    /// As [`Secrets::token_source`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// use std::sync::Arc;
    /// let clock = bootseal::testing::Clock::new();
    /// let acme = vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(bootseal::HttpTransport))?;
    /// let token = acme.token_blocking()?;
    /// clock.advance(2 * token.lifetime()); // it has run out
    /// acme.token_blocking()?;
    /// assert_eq!(vendor.logins(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn token_source_with(
        &self,
        profile: &str,
        clock: Arc<dyn crate::login::clock::Clock>,
        transport: Arc<dyn crate::login::Transport>,
    ) -> Result<TokenSource> {
        let table: PropertyPath = profile.parse()?;
        loop {
            let now = self.now();
            let Some((profile, values)) = self.account(&now, &table)? else {
                // Says which profiles there are.
                let missing = Profile::read(&now.file, &table).err();
                return Err(missing.unwrap_or_else(|| now.file.not_found(&table)).into());
            };
            if now.file.trust() == bootseal_core::Trust::Unverified {
                return Err(Error::new(
                    Kind::WrongVault,
                    format!("no login with `{table}`: nothing says which vault this must be"),
                )
                .with_help(format!("Pin it: BOOTSEAL_PIN={}", now.file.vault_id())));
            }
            if let Some(source) = lock(&self.0.sources).get(&table) {
                return Ok(source.clone());
            }
            let attempts = now.attempts(self.0.loader.as_ref(), &profile, &values)?;
            let source = TokenSource::new(profile, values, clock.clone(), transport.clone(), attempts);
            let mut sources = lock(&self.0.sources);
            // What was reloaded meanwhile has not told this one: then once more.
            if Arc::ptr_eq(&now, &self.now()) {
                return Ok(sources.entry(table).or_insert(source).clone());
            }
        }
    }

    /// The names of the login profiles, sorted: `acme` for `[acme.login]`.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// assert_eq!(vault.profiles(), ["acme"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn profiles(&self) -> Vec<String> {
        let mut names: Vec<String> = self.now().profiles.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// The vault's id.
    ///
    /// ```
    /// let vault = bootseal::testing::vault([], "")?;
    /// println!("pin it with BOOTSEAL_PIN={}", vault.vault_id());
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn vault_id(&self) -> VaultId {
        self.now().file.vault_id()
    }

    /// The routes that the file has for the gateway.
    ///
    /// # Errors
    /// As [`bootseal_core::Gateway::read`].
    ///
    /// ```
    /// let vault = bootseal::testing::vault([], "")?;
    /// assert!(vault.gateway()?.routes.is_empty());
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn gateway(&self) -> Result<bootseal_core::Gateway> {
        Ok(bootseal_core::Gateway::read(&self.now().file)?)
    }

    /// Where the file lies that was opened; `None` for one of a test.
    ///
    /// ```
    /// assert!(bootseal::testing::vault([], "")?.path().is_none());
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn path(&self) -> Option<std::path::PathBuf> {
        self.now().file.path().map(Path::to_owned)
    }

    /// The generation of the file that was opened: it counts the writes, from 1.
    ///
    /// ```
    /// let vault = bootseal::testing::vault([], "")?;
    /// assert_eq!(vault.generation(), 1);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn generation(&self) -> u64 {
        self.now().file.generation()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({}, generation {}, {} values)", self.vault_id(), self.generation(), self.now().values.len())
    }
}
