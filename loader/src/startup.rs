//! What happens once, at start? Find the file, the key and the pin; verify; open every value; forget the data key.

use crate::env::{self, Env};
use crate::error::{Error, Result};
use crate::secrets::Secrets;
use crate::unlock::{Tried, candidates, pins};
use bootseal_core::{Identity, Kind, Pin, PropertyPath, SealedFile, VerifiedFile};
use bootseal_memory::Level;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

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
/// | key | code; `BOOTSEAL_IDENTITY`; `$CREDENTIALS_DIRECTORY/bootseal.key`; `/run/secrets/bootseal.key`; `/run/secrets/bootseal/bootseal.key`; the user's `bootseal/identity.txt` |
/// | plugins (feature `plugin`) | code; `BOOTSEAL_PLUGIN`; never PATH, never the file |
/// | pin | code; `BOOTSEAL_PIN`; `$CREDENTIALS_DIRECTORY/bootseal.pin`; `# vault:` lines of the identity file |
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
pub struct Loader {
    path: PathBuf,
    exactly: bool,
    identities: Vec<Identity>,
    identity_file: Option<PathBuf>,
    pins: Vec<Pin>,
    allow_unpinned: bool,
    least: Option<Level>,
    only_profiles: Vec<PropertyPath>,
    #[cfg(feature = "plugin")]
    plugins: Vec<PathBuf>,
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
            identity_file: None,
            pins: Vec::new(),
            allow_unpinned: false,
            least: None,
            only_profiles: Vec::new(),
            #[cfg(feature = "plugin")]
            plugins: Vec::new(),
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
    /// # let id = vault.file().vault().to_string();
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
    /// # let id = vault.file().vault().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let vault = bootseal::Loader::exactly(&path).pin(&id)?.identity(identity).load()?;
    /// assert_eq!(vault.vault().to_string(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Loader {
        self.identities.push(identity);
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
    /// # let id = vault.file().vault().to_string();
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

    /// Opens a file although nothing says which vault it must be. Whoever can write the file can then put a vault of theirs in its
    /// place, with values of theirs; logging in with them stays forbidden.
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let loader = bootseal::Loader::exactly(&path).identity(identity).environment(Default::default());
    /// let vault = loader.allow_unpinned().load()?;
    /// assert_eq!(vault.vault().to_string(), id);
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
    /// # let id = vault.file().vault().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let variables = [("BOOTSEAL_PIN".to_owned(), id.clone().into())].into();
    /// let vault = bootseal::Loader::exactly(&path).identity(identity).environment(variables).load()?;
    /// assert_eq!(vault.vault().to_string(), id);
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
    /// [`Kind::NoIdentity`], [`Kind::UnsafeFile`] for the keys; [`Kind::Usage`] for a pin that is none; [`Kind::Io`] without guarded memory of the
    /// level that was asked for. A login profile that cannot work is [`Kind::Malformed`].
    ///
    /// ```
    /// # use bootseal_core::{Access, FileLock, Identity, Role, Vault};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.sealed.toml");
    /// # let identity = Identity::generate()?;
    /// # let vault = Vault::create(vec![Access::new("me", Role::Writer, identity.recipient())?], "")?;
    /// # let id = vault.file().vault().to_string();
    /// # FileLock::acquire(&path)?.create(&vault.sign()?)?;
    /// let vault = bootseal::Loader::exactly(&path).identity(identity).pin(&id)?.load()?;
    /// let error = vault.secret("db.password").unwrap_err(); // nothing was sealed yet
    /// assert_eq!(error.kind(), bootseal::Kind::NotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(self) -> Result<Secrets> {
        let report = bootseal_memory::report()?;
        if self.least.is_some_and(|least| report.level < least) {
            let text = format!("{report}, and this application asks for better");
            return Err(Error::new(Kind::Io, text)
                .with_help("memfd_secret needs Linux 5.14 or later, and a seccomp filter that lets it through."));
        }
        let path = match self.env.get(env::FILE) {
            Some(named) if !self.exactly => PathBuf::from(named),
            _ => self.path.clone(),
        };
        let sealed = SealedFile::read(&path)?;
        let mut tried = Tried::default();
        let given = pins(&self.pins, &self.env)?;
        let candidates = candidates(&self.identities, self.identity_file.as_deref(), &self.env, &mut tried)?;
        let mut foreign = None;
        for candidate in candidates {
            #[cfg(feature = "plugin")]
            let candidate = candidate.with_plugins(&self.plugins, &self.env)?;
            // Pins of an identity file hold for what that identity opens.
            let own = if given.is_empty() { &candidate.file.pins } else { &given };
            let verified = match sealed.clone().verify(own) {
                Err(error) if given.is_empty() && error.kind() == Kind::WrongVault => {
                    tried.note(&candidate.name, error.what());
                    foreign.get_or_insert(error);
                    continue;
                }
                other => other?,
            };
            if verified.role_of(&candidate.file.identities).is_none() {
                tried.note(&candidate.name, format_args!("{}: not in access", candidate.shown()));
                continue;
            }
            // A pin that refused this file is not outvoted by a key without one.
            if own.is_empty() && foreign.is_some() {
                tried.note(&candidate.name, "opens it, but has no pin");
                continue;
            }
            if own.is_empty() && !self.allow_unpinned {
                return Err(unpinned(&verified, &candidate.name));
            }
            if let Some(old) = verified.handed_over_from() {
                tracing::warn!(target: "bootseal", file = %path.display(), pin = %old, vault = %verified.vault(), "the pin is old: the vault goes on under another id");
            }
            let vault = match verified.open(&candidate.file.identities) {
                // Of a plugin's identity it is known only now that it opens nothing here.
                Err(error) if error.kind() == Kind::NoIdentity => {
                    tried.note(&candidate.name, error.what());
                    continue;
                }
                other => other?,
            };
            let values = vault.open_all()?;
            tracing::info!(target: "bootseal", file = %path.display(), vault = %vault.file().vault(), generation = vault.file().generation(), values = values.len(), memory = %report, "opened");
            return Secrets::new(vault.into_file(), values, &self.only_profiles);
        }
        if let Some(error) = foreign {
            return Err(error.into());
        }
        // Verified once more without a pin, to say who may open it; nothing else is taken from it.
        let verified = sealed.verify(&given)?;
        let text = format!(
            "no key opens {} ({}, generation {}). Tried: {}.",
            path.display(),
            verified.vault(),
            verified.generation(),
            tried.text()
        );
        let help =
            format!("It opens for: {}. On a writer's machine: bootseal access add NAME RECIPIENT", verified.who());
        Err(Error::new(Kind::NoIdentity, text).with_help(help))
    }
}

fn unpinned(file: &VerifiedFile, key: &str) -> Error {
    let path = file.path().map_or(String::new(), |path| format!("{}: ", path.display()));
    let text = format!(
        "{path}nothing says which vault this must be: no pin in code, BOOTSEAL_PIN, $CREDENTIALS_DIRECTORY/bootseal.pin or {key}"
    );
    Error::new(Kind::WrongVault, text).with_help(format!(
        "If it is the right file, pin it: write the line `# vault: {}` into the key file, or set BOOTSEAL_PIN={0}",
        file.vault()
    ))
}
