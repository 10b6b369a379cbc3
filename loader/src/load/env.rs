//! Every environment variable that the loader reads, and every well-known place of a key.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// The sealed file.
pub(crate) const FILE: &str = "BOOTSEAL_FILE";
/// The identity file.
pub(crate) const IDENTITY: &str = "BOOTSEAL_IDENTITY";
/// A pin, or several separated by blanks.
pub(crate) const PIN: &str = "BOOTSEAL_PIN";
/// The folder in which this host remembers the vaults that it has seen.
pub(crate) const STATE: &str = "BOOTSEAL_STATE";
/// The same, as systemd sets it for a unit.
pub(crate) const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// The program of a plugin, as an absolute path.
#[cfg(feature = "plugin")]
pub(crate) const PLUGIN: &str = "BOOTSEAL_PLUGIN";
/// The folder of a unit's credentials, as systemd sets it.
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Keys that container platforms mount.
pub(crate) const KEY_FILES: [&str; 2] =
    ["/run/secrets/bootseal.key", "/run/secrets/bootseal/bootseal.key"];
/// The user's key, in the folder of settings.
pub(crate) const USER_KEY_FILE: &str = "identity.txt";
/// Names in the folder of a unit's credentials.
pub(crate) const CREDENTIAL_KEY: &str = "bootseal.key";
pub(crate) const CREDENTIAL_PASSPHRASE: &str = "bootseal.passphrase";
pub(crate) const CREDENTIAL_PIN: &str = "bootseal.pin";

/// The environment, as an argument.
#[derive(Clone, Default)]
pub(crate) struct Env(Option<Arc<HashMap<String, OsString>>>);

impl Env {
    /// An environment with these variables only.
    pub(crate) fn of(variables: HashMap<String, OsString>) -> Env {
        Env(Some(Arc::new(variables)))
    }

    /// The value of a variable, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        let value = match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var_os(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The user's folder for settings of this product.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let folder = if cfg!(windows) {
            self.get("APPDATA").map(PathBuf::from)
        } else {
            // The XDG specification says to ignore a relative path.
            let xdg = self
                .get("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute());
            xdg.or_else(|| self.get("HOME").map(|home| PathBuf::from(home).join(".config")))
        };
        folder.map(|folder| folder.join("bootseal"))
    }
}
