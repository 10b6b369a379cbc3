//! What happens once, at start? Find the file, the key and the pin; verify; open every value; forget the data key.

use crate::error::{Error, Result};
use crate::load::env::{self, Env};
use crate::load::key_sources::{Tried, candidates, pins};
use crate::load::secrets::{Secrets, Snapshot};
use bootseal_core::{
    CanRead, Identity, Kind, KnownFile, KnownVaults, Pin, Profile, PropertyPath, SealedFile, Secret, Trust, Vault,
    VaultId, VerifiedFile,
};
use bootseal_memory::Level;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Vet = Arc<dyn Fn(&VerifiedFile) -> Result<()> + Send + Sync>;

/// Opens the sealed file at `path`, or the one that `BOOTSEAL_FILE` names.
///
/// # Errors
/// As [`Loader::load`].
///
/// ```no_run
/// let vault = bootseal::load("app.sealed.toml")?;
/// let password = vault.secret("db.password")?;
/// # Ok::<(), bootseal::Error>(())
/// ```
pub fn load(path: impl Into<PathBuf>) -> Result<Secrets> {
    Loader::new(path).load()
}

/// Options for [`load`]. What code says comes before what the environment says, but for the file.
///
/// | | looked for in this order; the first hit wins |
/// |---|---|
/// | file | `BOOTSEAL_FILE`; the path in code ([`Loader::exactly`] insists on it) |
/// | key | code; `BOOTSEAL_IDENTITY`; `$CREDENTIALS_DIRECTORY/bootseal.key`, `bootseal.passphrase`; `/run/secrets/bootseal.key`; `/run/secrets/bootseal/bootseal.key`; the user's `bootseal/identity.txt` |
/// | plugins (feature `plugin`) | code; `BOOTSEAL_PLUGIN`; never PATH, never the file |
/// | pin | code; `BOOTSEAL_PIN`; `$CREDENTIALS_DIRECTORY/bootseal.pin`; `# vault:` lines of the identity file |
/// | state | code; `BOOTSEAL_STATE`; `$STATE_DIRECTORY`; else none |
///
/// ```no_run
/// use bootseal::{Level, Loader};
///
/// let vault = Loader::new("app.sealed.toml")
///     .identity_file("/etc/app/bootseal.key")
///     .at_least(Level::MemfdSecret)
///     .load()?;
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    path: PathBuf,
    exactly: bool,
    identities: Vec<Identity>,
    passphrase: Option<Secret>,
    identity_file: Option<PathBuf>,
    pins: Vec<Pin>,
    state: Option<PathBuf>,
    allow_unpinned: bool,
    least: Option<Level>,
    only_profiles: Vec<PropertyPath>,
    #[cfg(feature = "client")]
    pub(crate) proxy: Option<url::Url>,
    #[cfg(feature = "plugin")]
    plugins: Vec<PathBuf>,
    vet: Option<Vet>,
    env: Env,
}

impl Loader {
    /// The file at `path`, unless `BOOTSEAL_FILE` names another one.
    ///
    /// ```no_run
    /// let vault = bootseal::Loader::new("app.sealed.toml").load()?; // as bootseal::load does
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn new(path: impl Into<PathBuf>) -> Loader {
        Loader {
            path: path.into(),
            exactly: false,
            identities: Vec::new(),
            passphrase: None,
            identity_file: None,
            pins: Vec::new(),
            state: None,
            allow_unpinned: false,
            least: None,
            only_profiles: Vec::new(),
            #[cfg(feature = "client")]
            proxy: None,
            #[cfg(feature = "plugin")]
            plugins: Vec::new(),
            vet: None,
            env: Env::default(),
        }
    }

    /// The file at `path`, whatever the environment says.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let vault = bootseal::Loader::exactly(&path).identity(identity).pin(&id)?.load()?;
    /// assert_eq!(vault.generation(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exactly(path: impl Into<PathBuf>) -> Loader {
        Loader { exactly: true, ..Loader::new(path) }
    }

    /// Opens with the identities in this file, and with no others. It is read by [`Loader::load`].
    ///
    /// ```no_run
    /// let vault = bootseal::Loader::new("app.sealed.toml").identity_file("/etc/app/bootseal.key").load()?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    #[must_use]
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Loader {
        self.identity_file = Some(path.into());
        self
    }

    /// Opens with this identity, and with no key from a file; several calls: any of them.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let vault = bootseal::Loader::exactly(&path).pin(&id)?.identity(identity).load()?;
    /// assert_eq!(vault.vault_id().to_string(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Loader {
        self.identities.push(identity);
        self
    }

    /// Opens with this passphrase, and with no key from a file. Which entry of the access list it belongs to is found by trying,
    /// those of 64 MiB first; each takes as much time and memory as its [`Cost`](bootseal_core::Cost) says.
    ///
    /// ```
    /// # use bootseal_core::{Access, Cost, FileLock, Role, Secret, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// let passphrase = Secret::copy_of(b"correct horse battery staple")?; // as a rule, from where only this program reads
    /// # let vault = Vault::create(vec![Access::by_passphrase("app", Role::Writer, Cost::Small, &passphrase)?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let vault = bootseal::Loader::exactly(&path).pin(&id)?.passphrase(passphrase).load()?;
    /// assert_eq!(vault.vault_id().to_string(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn passphrase(mut self, passphrase: Secret) -> Loader {
        self.passphrase = Some(passphrase);
        self
    }

    /// Opens through this program, `/…/age-plugin-NAME`, where an identity is that plugin's. It is run when the signature holds, and answered by
    /// nobody: a plugin that asks for a PIN opens nothing here. Without it: `BOOTSEAL_PLUGIN`; never PATH.
    ///
    /// ```no_run
    /// let loader = bootseal::Loader::new("app.sealed.toml").plugin("/usr/bin/age-plugin-tpm");
    /// let vault = loader.identity_file("/etc/app/tpm.txt").load()?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    #[cfg(feature = "plugin")]
    #[must_use]
    pub fn plugin(mut self, program: impl Into<PathBuf>) -> Loader {
        self.plugins.push(program.into());
        self
    }

    /// Insists on this vault; several calls: any of them.
    ///
    /// # Errors
    /// [`Kind::Usage`] where `pin` is none.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let at_least_7 = format!("{id}@7"); // this vault, at generation 7 or later
    /// let error = bootseal::Loader::exactly(&path).identity(identity).pin(&at_least_7)?.load().unwrap_err();
    /// assert_eq!(error.kind(), bootseal::Kind::OldGeneration);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin(mut self, pin: &str) -> Result<Loader> {
        self.pins.push(pin.parse().map_err(Error::from)?);
        Ok(self)
    }

    /// Remembers in this folder which vault the file is, and how far it has come; a file that is older than what was seen is refused
    /// from then on. Without a pin the first start trusts, and says so in the log.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// # let loader = || bootseal::Loader::exactly(&path).identity(identity.clone()).environment(Default::default());
    /// let vault = loader().state(folder.path().join("state")).load()?; // any vault, and from now on this one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Loader {
        self.state = Some(folder.into());
        self
    }

    /// Opens a file although nothing says which vault it must be. Whoever can write the file can then put a vault of theirs in its
    /// place, with values of theirs; logging in with them stays forbidden.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let loader = bootseal::Loader::exactly(&path).identity(identity).environment(Default::default());
    /// let vault = loader.allow_unpinned().load()?;
    /// assert_eq!(vault.vault_id().to_string(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allow_unpinned(mut self) -> Loader {
        self.allow_unpinned = true;
        self
    }

    /// Reads this login profile only: others, which may not be finished, are not looked at. Several calls: each of them.
    ///
    /// # Errors
    /// [`Kind::Usage`] where `table` is no name of a table.
    ///
    /// ```
    /// let loader = bootseal::Loader::new("app.sealed.toml").only_profile("acme")?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn only_profile(mut self, table: &str) -> Result<Loader> {
        self.only_profiles.push(table.parse().map_err(Error::from)?);
        Ok(self)
    }

    /// The HTTP proxy of logins and calls whose profile names none: `http://host:port`. It is never taken from the environment.
    ///
    /// # Errors
    /// [`Kind::Usage`] where it is no such address, or holds credentials: these go into [`ClientBuilder`](crate::ClientBuilder), for calls.
    ///
    /// ```no_run
    /// let vault = bootseal::Loader::new("app.sealed.toml").proxy("http://proxy.acme.example:3128")?.load()?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn proxy(mut self, url: &str) -> Result<Loader> {
        let parsed = url::Url::parse(url).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let bare = parsed.filter(|url| url.username().is_empty() && url.password().is_none());
        let wrong =
            || Error::new(Kind::Usage, "the proxy must be as \"http://proxy.example:3128\", without credentials");
        self.proxy = Some(bare.ok_or_else(wrong)?);
        Ok(self)
    }

    /// A check of the application's own, that a file has to pass at start and at each reload before anything of it is taken: with its error,
    /// the file before goes on.
    ///
    /// ```
    /// use bootseal::Loader;
    /// let vault = Loader::new("app.sealed.toml").validate_with(|file| bootseal::Gateway::read(file).map(drop).map_err(Into::into));
    /// ```
    #[must_use]
    pub fn validate_with(mut self, check: impl Fn(&VerifiedFile) -> Result<()> + Send + Sync + 'static) -> Loader {
        self.vet = Some(Arc::new(check));
        self
    }

    /// The folders that a reload reads in, and the one that it writes in: for a process that gives up all others (Landlock, `ProtectSystem=`).
    ///
    /// ```
    /// let (read, write) = bootseal::Loader::exactly("/etc/acme/app.sealed.toml").state("/var/lib/acme").folders();
    /// assert!(read.contains(&"/etc/acme".into()));
    /// assert_eq!(write, Some("/var/lib/acme".into()));
    /// ```
    pub fn folders(&self) -> (Vec<PathBuf>, Option<PathBuf>) {
        let named = match self.env.get(env::FILE) {
            Some(named) if !self.exactly => PathBuf::from(named),
            _ => self.path.clone(),
        };
        let key = self.identity_file.clone().or_else(|| self.env.get(env::IDENTITY).map(PathBuf::from));
        let mut files = vec![named];
        match key {
            Some(key) => files.push(key),
            None => {
                files.extend(["/run/secrets/bootseal.key", "/run/secrets/bootseal/bootseal.key"].map(PathBuf::from));
                files.extend(self.env.config_folder().map(|folder| folder.join("identity.txt")));
            }
        }
        // A link leads elsewhere, and may lead elsewhere again later: both its folders count.
        let real: Vec<PathBuf> = files.iter().filter_map(|file| std::fs::canonicalize(file).ok()).collect();
        let folder = |file: &PathBuf| match file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
            None => file.clone(),
        };
        let mut read: Vec<PathBuf> = files.iter().chain(&real).map(folder).collect();
        read.extend(self.env.get(env::CREDENTIALS).map(PathBuf::from));
        (read, self.state_folder().map(|(folder, _)| folder))
    }

    /// Refuses to start where secrets would lie in memory of a lower level: [`Loader::load`] is then an error of [`Kind::Io`].
    ///
    /// ```no_run
    /// use bootseal::{Level, Loader};
    /// let vault = Loader::new("app.sealed.toml").at_least(Level::MemfdSecret).load()?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    #[must_use]
    pub fn at_least(mut self, level: Level) -> Loader {
        self.least = Some(level);
        self
    }

    /// Looks at these variables instead of the process's environment.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let variables = [("BOOTSEAL_PIN".to_owned(), id.clone().into())].into();
    /// let vault = bootseal::Loader::exactly(&path).identity(identity).environment(variables).load()?;
    /// assert_eq!(vault.vault_id().to_string(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn environment(mut self, variables: HashMap<String, OsString>) -> Loader {
        self.env = Env::of(variables);
        self
    }

    /// Verifies and opens the file. Every value is opened once, each on a guarded page; then the data key is wiped.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Io`], [`Kind::Malformed`] for the file; [`Kind::Forged`], [`Kind::WrongVault`],
    /// [`Kind::OldGeneration`], [`Kind::MovedValue`] where it is not authentic, or where nothing says which vault it must be;
    /// [`Kind::NoIdentity`], [`Kind::UnsafeFile`], [`Kind::WrongPassphrase`] for the keys; [`Kind::Usage`] for a pin that is none; [`Kind::Io`] without guarded memory of the
    /// level that was asked for. A login profile that cannot work is [`Kind::Malformed`].
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let vault = bootseal::Loader::exactly(&path).identity(identity).pin(&id)?.load()?;
    /// let error = vault.secret("db.password").unwrap_err(); // nothing was sealed yet
    /// assert_eq!(error.kind(), bootseal::Kind::NotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(self) -> Result<Secrets> {
        let opened = self.snapshot();
        // What ciphers and copies left there.
        bootseal_memory::scrub_registers();
        bootseal_memory::scrub_stack();
        let (opened, opening) = opened?;
        self.accept(&opened, &opening)?;
        Ok(Secrets::new(opened, Some(self)))
    }

    /// What the file says now. Nothing is remembered yet, and nothing is said.
    pub(crate) fn snapshot(&self) -> Result<(Snapshot, Opening)> {
        let Opened { state, place, old_id, report, vault, .. } = self.open()?;
        let memory = state.map(|(folder, _)| (folder.join(STATE_FILE), place));
        Ok((Snapshot::new(vault, &self.only_profiles)?, Opening { memory, old_id, report }))
    }

    /// After all that can fail: what did not open must not become what is known, or there would be no way back to what did.
    pub(crate) fn accept(&self, opened: &Snapshot, opening: &Opening) -> Result<()> {
        let file = &opened.file;
        self.vet.as_ref().map_or(Ok(()), |vet| vet(file))?;
        if let Some((known, place)) = &opening.memory {
            match KnownVaults::remember(known, place, file) {
                Ok(None) => {}
                Ok(Some(before)) if file.former_ids().contains(&before) => {}
                Ok(Some(before)) => {
                    tracing::warn!(target: "bootseal", %before, "another vault was remembered under this file's name; two applications take a state folder each")
                }
                // A first start that is not remembered would be a first start each time.
                Err(error) if file.trust() == Trust::FirstUse => return Err(error.into()),
                Err(error) => tracing::warn!(target: "bootseal", %error, "what was opened is not remembered"),
            }
        }
        let path = file.path().unwrap_or(Path::new("")).display();
        if let Some(old) = opening.old_id {
            tracing::warn!(target: "bootseal", file = %path, %old, vault = %file.vault_id(), "the vault goes on under another id; renew the pin");
        }
        tracing::info!(target: "bootseal", file = %path, vault = %file.vault_id(), generation = file.generation(), memory = %opening.report, "opened");
        Ok(())
    }

    /// Does everything that [`Loader::load`] does but remember and hand out secrets, and says what came from where. No login is made.
    ///
    /// # Errors
    /// As [`Loader::load`], but for login profiles that cannot work: those are in the answer.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault_id().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let check = bootseal::Loader::exactly(&path).pin(&id)?.identity(identity).check()?;
    /// assert_eq!(check.generation, 1);
    /// for (what, from) in &check.sources {
    ///     println!("{what}: {from}"); // "pin: given in code", …
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(self) -> Result<Check> {
        let opened = self.open()?;
        let values = opened.vault.open_all()?.len();
        let file = opened.vault.file();
        let state = match &opened.state {
            None => "none: an older file would be taken".into(),
            Some((folder, source)) => {
                let seen = match opened.seen {
                    0 => "nothing seen yet".into(),
                    seen => format!("generation {seen} was seen"),
                };
                format!("{} ({source}; {seen})", folder.display())
            }
        };
        let tables = file.profiles().into_iter();
        let profiles = tables.map(|table| (table.to_string(), Profile::read(file, &table).err().map(Error::from)));
        Ok(Check {
            path: opened.path.clone(),
            vault: file.vault_id(),
            generation: file.generation(),
            values,
            profiles: profiles.collect(),
            sources: vec![
                ("file", opened.path_source.clone()),
                ("key", opened.key_source.clone()),
                ("pin", opened.pin_source.clone()),
                ("state", state),
                ("memory", opened.report.to_string()),
            ],
        })
    }

    fn open(&self) -> Result<Opened> {
        let report = match self.least {
            Some(least) => bootseal_memory::require(least).map_err(|error| Error::new(Kind::Io, error.to_string()))?,
            None => bootseal_memory::report()?,
        };
        let (path, path_source) = match self.env.get(env::FILE) {
            Some(named) if !self.exactly => (PathBuf::from(named), env::FILE),
            _ => (self.path.clone(), "given in code"),
        };
        let place = KnownFile::named(&path.file_name().unwrap_or_default().to_string_lossy());
        let state = self.state_folder();
        // Before the file: else a deployment between the two, which another process has seen already, would look like an older file.
        let known = match &state {
            Some((folder, _)) => Some(KnownVaults::load(&folder.join(STATE_FILE))?),
            None => None,
        };
        let sealed = SealedFile::read(&path)?;
        let mut tried = Tried::default();
        let (given, pin_source) = pins(&self.pins, &self.env)?;
        let candidates = candidates(
            &self.identities,
            self.passphrase.as_ref(),
            self.identity_file.as_deref(),
            &self.env,
            &mut tried,
        )?;
        let mut foreign = None;
        for candidate in candidates {
            #[cfg(feature = "plugin")]
            let candidate = candidate.with_plugins(&self.plugins, &self.env)?;
            // Pins of an identity file hold for what that identity opens.
            let own = if given.is_empty() { &candidate.file.pins } else { &given };
            let mut verified = match sealed.clone().verify(own) {
                Err(error) if given.is_empty() && error.kind() == Kind::WrongVault => {
                    tried.note(&candidate.name, error.what());
                    foreign.get_or_insert(error);
                    continue;
                }
                other => other?,
            };
            let Some(identities) = candidate.identities(&verified, &mut tried)? else { continue };
            if verified.role_of(&identities).is_none() {
                tried.note(&candidate.name, format_args!("{}: not in access", candidate.shown()));
                continue;
            }
            // A pin that refused this file is not outvoted by a key without one.
            if own.is_empty() && foreign.is_some() {
                tried.note(&candidate.name, "opens it, but has no pin");
                continue;
            }
            let mut old_id = verified.handed_over_from();
            if let Some(known) = &known {
                known.recognise(&mut verified, &place)?;
                known.refuse_older_generation(&verified, &place)?;
                old_id = old_id.or(known.vault_of(&place).filter(|id| *id != verified.vault_id() && own.is_empty()));
                // With a memory and nothing in it yet, the first start decides what is known from then on.
                if verified.trust() == Trust::Unverified {
                    tracing::warn!(target: "bootseal", file = %path.display(), vault = %verified.vault_id(), "first start without a pin: this vault is trusted from now on");
                    verified.trusted_by(Trust::FirstUse);
                }
            }
            if verified.trust() == Trust::Unverified && !self.allow_unpinned {
                return Err(unpinned(&verified, &candidate.name));
            }
            let pin_source = match (verified.trust(), own.is_empty()) {
                (_, false) if given.is_empty() => candidate.name.clone(),
                (_, false) => pin_source.clone(),
                (Trust::Remembered, _) => "none; the vault is the one that is remembered".into(),
                (Trust::FirstUse, _) => "none; a first start trusts, and remembers".into(),
                _ => "none: any vault would be taken".into(),
            };
            let seen = known.as_ref().map(|known| known.generation_of(&place)).unwrap_or_default();
            let vault = match verified.open(&identities) {
                // Of a plugin's identity it is known only now that it opens nothing here.
                Err(error) if error.kind() == Kind::NoIdentity => {
                    tried.note(&candidate.name, error.what());
                    continue;
                }
                other => other?,
            };
            let (path_source, key_source) = (path_source.into(), candidate.name);
            return Ok(Opened {
                path,
                path_source,
                key_source,
                pin_source,
                state: state.clone(),
                seen,
                place,
                old_id,
                report,
                vault,
            });
        }
        if let Some(error) = foreign {
            return Err(error.into());
        }
        // Verified once more without a pin, to say who may open it; nothing else is taken from it.
        let verified = sealed.verify(&given)?;
        let text = format!(
            "no key opens {} ({}, generation {}). Tried: {}.",
            path.display(),
            verified.vault_id(),
            verified.generation(),
            tried.text()
        );
        let help =
            format!("It opens for: {}. On a writer's machine: bootseal access add NAME RECIPIENT", verified.who());
        Err(Error::new(Kind::NoIdentity, text).with_help(help))
    }

    /// Where this host remembers, and what says so.
    pub(crate) fn state_folder(&self) -> Option<(PathBuf, &'static str)> {
        if let Some(folder) = &self.state {
            return Some((folder.clone(), "given in code"));
        }
        if let Some(folder) = self.env.get(env::STATE) {
            return Some((folder.into(), env::STATE));
        }
        // systemd names several with colons between; the first is the unit's own.
        let folders = self.env.get(env::STATE_DIRECTORY)?;
        let first = std::env::split_paths(&folders).next()?;
        Some((first, "$STATE_DIRECTORY"))
    }
}

/// The file in the state folder that remembers vaults.
const STATE_FILE: &str = "known_vaults";

/// What is said of a file that was opened, and where it is remembered.
pub(crate) struct Opening {
    memory: Option<(PathBuf, KnownFile)>,
    old_id: Option<VaultId>,
    report: bootseal_memory::Report,
}

/// A file that was found, vouched for and opened, and what came from where.
struct Opened {
    path: PathBuf,
    path_source: String,
    key_source: String,
    pin_source: String,
    state: Option<(PathBuf, &'static str)>,
    /// The highest generation that this host saw; 0 where it saw none.
    seen: u64,
    place: KnownFile,
    /// The id that is pinned or remembered, where the vault has another one now.
    old_id: Option<VaultId>,
    report: bootseal_memory::Report,
    vault: Vault<CanRead>,
}

/// What a start would find: the answer of [`Loader::check`].
///
/// ```no_run
/// let check = bootseal::Loader::new("app.sealed.toml").check()?;
/// println!("{}, generation {}, {} values", check.vault, check.generation, check.values);
/// for (profile, error) in check.profiles {
///     println!("{profile}: {}", error.map_or("can work".into(), |error| error.to_string()));
/// }
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Check {
    /// The file.
    pub path: PathBuf,
    /// The vault that it is.
    pub vault: VaultId,
    /// Its generation.
    pub generation: u64,
    /// How many sealed values it holds; each was opened.
    pub values: usize,
    /// The login profiles, and why one cannot work.
    pub profiles: Vec<(String, Option<Error>)>,
    /// `file`, `key`, `pin`, `state` and `memory`, each with what it came from, in words.
    pub sources: Vec<(&'static str, String)>,
}

fn unpinned(file: &VerifiedFile, key: &str) -> Error {
    let path = file.path().map_or(String::new(), |path| format!("{}: ", path.display()));
    let text = format!(
        "{path}nothing says which vault this must be: no pin in code, BOOTSEAL_PIN, $CREDENTIALS_DIRECTORY/bootseal.pin or {key}"
    );
    Error::new(Kind::WrongVault, text).with_help(format!(
        "If it is the right file, pin it: write the line `# vault: {}` into the key file, or set BOOTSEAL_PIN={0}",
        file.vault_id()
    ))
}
