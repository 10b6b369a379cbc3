//! The loader's options, and the order in which it looks for the file, key, pin and state.

use crate::error::{Error, Result};
use crate::load::env::{self, Env};
use bootseal_core::{Identity, Pin, PropertyPath, Secret, VerifiedFile};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// The application's own check of a file.
type Validate = Arc<dyn Fn(&VerifiedFile) -> Result<()> + Send + Sync>;

/// Options for [`load`](crate::load). Options set in code take precedence over the environment,
/// except for the file.
///
/// | | looked for in this order; the first hit wins |
/// |---|---|
/// | file | `BOOTSEAL_FILE`; the path in code ([`Loader::exactly`] ignores the variable) |
/// | key | code; `BOOTSEAL_IDENTITY`; `$CREDENTIALS_DIRECTORY/bootseal.key`, `bootseal.passphrase`; `/run/secrets/bootseal.key`; `/run/secrets/bootseal/bootseal.key`; the user's `bootseal/identity.txt` |
/// | plugins (feature `plugin`) | code; `BOOTSEAL_PLUGIN`; never PATH, never the file |
/// | pin | code; `BOOTSEAL_PIN`; `$CREDENTIALS_DIRECTORY/bootseal.pin`; `# vault:` lines of the identity file |
/// | state | code; `BOOTSEAL_STATE`; `$STATE_DIRECTORY`; else none |
///
/// ```no_run
/// let vault = bootseal::Loader::new("app.sealed.toml")
///     .identity_file("/etc/app/bootseal.key")
///     .state("/var/lib/app")
///     .load()?;
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Loader {
    path: PathBuf,
    exactly: bool,
    pub(crate) identities: Vec<Identity>,
    pub(crate) passphrase: Option<Secret>,
    pub(crate) identity_file: Option<PathBuf>,
    pub(crate) pins: Vec<Pin>,
    state: Option<PathBuf>,
    pub(crate) allow_unpinned: bool,
    pub(crate) only_profiles: Vec<PropertyPath>,
    #[cfg(feature = "client")]
    pub(crate) proxy: Option<url::Url>,
    #[cfg(feature = "plugin")]
    pub(crate) plugins: Vec<PathBuf>,
    validate: Option<Validate>,
    pub(crate) env: Env,
}

impl Loader {
    /// Loads the file at `path`, unless `BOOTSEAL_FILE` names another file.
    pub fn new(path: impl Into<PathBuf>) -> Loader {
        Loader { path: path.into(), ..Loader::default() }
    }

    /// Loads the file at `path`, regardless of the environment.
    pub fn exactly(path: impl Into<PathBuf>) -> Loader {
        Loader { exactly: true, ..Loader::new(path) }
    }

    /// Opens the vault only with the identities in this file, unless an identity or a passphrase is
    /// given in code too. [`Loader::load`] reads the file.
    #[must_use]
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Loader {
        self.identity_file = Some(path.into());
        self
    }

    /// Opens the vault with this identity, and not with a key from a file. To allow several
    /// identities, call this method several times.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Loader {
        self.identities.push(identity);
        self
    }

    /// Opens the vault with this passphrase, and not with a key from a file. The loader tries the
    /// passphrase on each passphrase entry of the access list, beginning with entries that need 64
    /// MiB. Each try takes the time and memory of the entry's [`Cost`](bootseal_core::Cost).
    #[must_use]
    pub fn passphrase(mut self, passphrase: Secret) -> Loader {
        self.passphrase = Some(passphrase);
        self
    }

    /// Opens identities of an age plugin through this program, `/…/age-plugin-NAME`. The program
    /// runs only after the signature has been verified. Its prompts are not answered, so a plugin
    /// that asks for a PIN cannot open the file. Without this option, the program in
    /// `BOOTSEAL_PLUGIN` is used, but never a program from PATH.
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

    /// Accepts only this vault: `vault1…`, or `vault1…@7` for generation 7 or later. To accept
    /// several vaults, call this method several times.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::Kind::Usage) for an invalid pin.
    pub fn pin(mut self, pin: &str) -> Result<Loader> {
        self.pins.push(pin.parse().map_err(Error::from)?);
        Ok(self)
    }

    /// Stores the id of the file's vault and its highest generation in this folder; an older file
    /// is then refused. Without a pin, the first start trusts the file and logs a warning.
    #[must_use]
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Loader {
        self.state = Some(folder.into());
        self
    }

    /// Opens a file whose vault is neither pinned nor remembered. Anyone who can write the file can
    /// then replace it with their own vault. Logins with the values of an unpinned vault remain
    /// forbidden.
    #[must_use]
    pub fn allow_unpinned(mut self) -> Loader {
        self.allow_unpinned = true;
        self
    }

    /// Reads only this login profile, so that other profiles may be unfinished. To read several
    /// profiles, call this method several times.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::Kind::Usage) if `table` is not the name of a table.
    pub fn only_profile(mut self, table: &str) -> Result<Loader> {
        self.only_profiles.push(table.parse().map_err(Error::from)?);
        Ok(self)
    }

    /// Sets the HTTP proxy, `http://host:port`, for the logins and calls of profiles that name no
    /// proxy. No environment variable sets it.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::Kind::Usage) if the address is invalid or contains credentials. For
    /// calls, set credentials with
    /// [`ClientBuilder::proxy_login`](crate::ClientBuilder::proxy_login).
    #[cfg(feature = "client")]
    pub fn proxy(mut self, url: &str) -> Result<Loader> {
        let parsed =
            url::Url::parse(url).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let bare = parsed.filter(|url| url.username().is_empty() && url.password().is_none());
        let text =
            "the proxy must be of the form \"http://proxy.example:3128\", without credentials";
        self.proxy = Some(bare.ok_or_else(|| Error::new(bootseal_core::Kind::Usage, text))?);
        Ok(self)
    }

    /// Adds a check by the application. A file must pass this check at startup and at each reload,
    /// before any of its values is used. If the check fails at a reload, the previous generation
    /// stays in use.
    ///
    /// ```
    /// use bootseal::{Error, Gateway, Loader};
    /// let loader = Loader::new("app.sealed.toml");
    /// let loader = loader.validate_with(|file| Gateway::read(file).map(drop).map_err(Error::from));
    /// ```
    #[must_use]
    pub fn validate_with(
        mut self,
        check: impl Fn(&VerifiedFile) -> Result<()> + Send + Sync + 'static,
    ) -> Loader {
        self.validate = Some(Arc::new(check));
        self
    }

    /// Reads these variables instead of the process's environment.
    #[must_use]
    pub fn environment(mut self, variables: HashMap<String, OsString>) -> Loader {
        self.env = Env::of(variables);
        self
    }

    /// The folders that a reload reads from, and the folder that it writes to. A process that gives
    /// up access to other folders (Landlock, `ProtectSystem=`) must keep access to these.
    ///
    /// ```
    /// let (read, write) = bootseal::Loader::exactly("/etc/acme/app.sealed.toml").state("/var/lib/acme").folders();
    /// assert!(read.contains(&"/etc/acme".into()));
    /// assert_eq!(write, Some("/var/lib/acme".into()));
    /// ```
    pub fn folders(&self) -> (Vec<PathBuf>, Option<PathBuf>) {
        let key =
            self.identity_file.clone().or_else(|| self.env.get(env::IDENTITY).map(PathBuf::from));
        let mut files = vec![self.file().0];
        match key {
            Some(key) => files.push(key),
            None => {
                files.extend(env::KEY_FILES.map(PathBuf::from));
                files
                    .extend(self.env.config_folder().map(|folder| folder.join(env::USER_KEY_FILE)));
            }
        }
        // A link may be replaced later, so both the link's folder and its target's folder are
        // needed.
        let real: Vec<PathBuf> =
            files.iter().filter_map(|file| std::fs::canonicalize(file).ok()).collect();
        let folder = |file: &PathBuf| match file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
            None => file.clone(),
        };
        let mut read: Vec<PathBuf> = files.iter().chain(&real).map(folder).collect();
        read.extend(self.env.get(env::CREDENTIALS).map(PathBuf::from));
        (read, self.state_folder().map(|(folder, _)| folder))
    }

    /// The file, and the source of its path.
    pub(crate) fn file(&self) -> (PathBuf, &'static str) {
        match self.env.get(env::FILE) {
            Some(named) if !self.exactly => (PathBuf::from(named), env::FILE),
            _ => (self.path.clone(), "given in code"),
        }
    }

    /// The state folder, and the source of its path.
    pub(crate) fn state_folder(&self) -> Option<(PathBuf, &'static str)> {
        if let Some(folder) = &self.state {
            return Some((folder.clone(), "given in code"));
        }
        if let Some(folder) = self.env.get(env::STATE) {
            return Some((folder.into(), env::STATE));
        }
        // systemd separates several folders with colons, of which the first is the unit's own
        // folder.
        let folders = self.env.get(env::STATE_DIRECTORY)?;
        let first = std::env::split_paths(&folders).next()?;
        Some((first, "$STATE_DIRECTORY"))
    }

    /// # Errors
    /// The error of the application's own check.
    pub(crate) fn validate(&self, file: &VerifiedFile) -> Result<()> {
        self.validate.as_ref().map_or(Ok(()), |validate| validate(file))
    }
}
