//! The opened vault: its secrets and readable properties by name.

use crate::error::{Error, Result};
use crate::load::deserialize;
use crate::load::loader::Loader;
use crate::load::snapshot::Snapshot;
#[cfg(feature = "client")]
use crate::load::sources::Sources;
use bootseal_core::{
    CanRead, Gateway, Kind, Property, PropertyPath, Secret, Vault, VaultId, shell_word,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An opened vault, as a cheap handle. Every value is in guarded memory and can be read by name.
///
/// ```
/// let vault = bootseal::testing::vault([("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
/// let password = vault.secret("db.password")?;
/// assert_eq!((vault.text("db.user")?.as_str(), password.len()), ("app", 7));
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone)]
pub struct Secrets(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// The current generation; a reload replaces it.
    pub(crate) now: Mutex<Arc<Snapshot>>,
    /// The loader that opened the file; `None` for a vault without a file.
    pub(crate) loader: Option<Loader>,
    /// Held during a reload.
    pub(crate) reloading: Mutex<()>,
    pub(crate) listeners: Mutex<Vec<Listener>>,
    #[cfg(feature = "client")]
    pub(crate) sources: Sources,
}

pub(crate) type Listener = Arc<dyn Fn(&[String]) + Send + Sync>;

/// Locks even after a panic in another thread, because no code leaves the data under these locks
/// inconsistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
            sources: Sources::default(),
        }))
    }

    /// The secrets of a vault that is already open and need not be in a file. The CLI uses this to
    /// try a login before it writes the file. Such a vault cannot be reloaded, and its refused
    /// logins are not stored.
    ///
    /// # Errors
    /// The errors of [`crate::load`] for a value that cannot be opened, and for a profile that
    /// cannot work.
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

    /// The sealed value at `path`, a TOML dotted key.
    ///
    /// # Errors
    /// [`Kind::NotFound`], with similar names; [`Kind::Conflict`] if the property is readable,
    /// because a property that everybody can read is not a secret; [`Kind::Usage`] if `path` is not
    /// a dotted key.
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
        if now.file.is_sealed(&path).is_none() {
            return Err(now.placed(now.file.not_found(&path)));
        }
        let error = Error::new(
            Kind::Conflict,
            "this property is readable, not sealed; a secret was asked for",
        );
        let help = format!(
            "Seal it: bootseal set {}; or read it with text(\"{path}\")",
            shell_word(&path)
        );
        Err(now.placed(error.at(&path).with_help(help)))
    }

    /// The readable text at `path`, a TOML dotted key.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] if the property is sealed or not text;
    /// [`Kind::Usage`] if `path` is not a dotted key.
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
            Some(Property::Readable(toml::Value::String(text))) => return Ok(text),
            Some(Property::Sealed(_)) => {
                Error::new(Kind::Conflict, "this property is sealed; readable text was asked for")
                    .at(&path)
                    .with_help(format!("Read it with secret(\"{path}\")"))
            }
            Some(Property::Readable(other)) => {
                let text =
                    format!("this property is of type {}; text was asked for", other.type_str());
                Error::new(Kind::Conflict, text).at(&path)
            }
            None => now.file.not_found(&path).into(),
        };
        Err(now.placed(error))
    }

    /// Reads the table, or the whole file for `""`, into the application's own struct. The
    /// settings tables (`login`, `route`, `gateway`, `fleet`, and the rules in `seal`) are left
    /// out, unless `table` is one of them.
    ///
    /// A field of type [`Secret`] accepts only a sealed value. A field of any other type accepts a
    /// sealed value only with `#[serde(with = "bootseal::exposed")]`; see
    /// [`exposed`](crate::load::exposed).
    ///
    /// # Errors
    /// [`Kind::Conflict`] if a sealed value is read into a field that is not a [`Secret`], or a
    /// readable value into a field that is; [`Kind::Malformed`] if the table does not fit the
    /// struct. Each error names the property, but not its value.
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
        let segments = if table.is_empty() {
            Vec::new()
        } else {
            table.parse::<PropertyPath>()?.segments().to_vec()
        };
        let now = self.now();
        // Rules for what is sealed are no settings of the application.
        let has_rules = segments.is_empty() && now.file.has_rules();
        let names = now.file.names().map(|(path, _)| path);
        let names = names
            .filter(|path| path.starts_with(&segments) && !(has_rules && path.is_in_seal_table()));
        let read = |path: PropertyPath| now.file.property(&path).map(|property| (path, property));
        let properties: Vec<_> = names.filter_map(read).collect();
        let read = deserialize::read(&segments, &properties, |path| now.values.get(path));
        read.map_err(|wrong| {
            let mut error = Error::new(wrong.kind, wrong.text);
            if let Some(path) = wrong.path.and_then(|path| path.parse::<PropertyPath>().ok()) {
                error = error.at(&path);
            }
            if let Some(help) = wrong.help {
                error = error.with_help(help);
            }
            now.placed(error)
        })
    }

    /// The names of the login profiles, sorted: `acme` for `[acme.login]`.
    pub fn profiles(&self) -> Vec<String> {
        let mut names: Vec<String> = self.now().profiles.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// The file's routes for the gateway.
    ///
    /// # Errors
    /// As [`bootseal_core::Gateway::read`].
    pub fn gateway(&self) -> Result<Gateway> {
        Ok(Gateway::read(&self.now().file)?)
    }

    /// The vault's id.
    pub fn vault_id(&self) -> VaultId {
        self.now().file.vault_id()
    }

    /// The path of the opened file; `None` for a vault without a file.
    pub fn path(&self) -> Option<PathBuf> {
        self.now().file.path().map(Path::to_owned)
    }

    /// The generation of the opened file, which counts the writes of the file from 1.
    pub fn generation(&self) -> u64 {
        self.now().file.generation()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Secrets({}, generation {}, {} values)",
            self.vault_id(),
            self.generation(),
            self.now().values.len()
        )
    }
}
