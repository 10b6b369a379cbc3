//! Every environment variable that the loader reads, and every well-known path of a key.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// The sealed file.
pub(crate) const FILE: &str = "BOOTSEAL_FILE";
/// The identity file.
pub(crate) const IDENTITY: &str = "BOOTSEAL_IDENTITY";
/// A pin, or several pins separated by blanks.
pub(crate) const PIN: &str = "BOOTSEAL_PIN";
/// The state folder, which stores the vaults and generations that this host has seen.
pub(crate) const STATE: &str = "BOOTSEAL_STATE";
/// The state folder that systemd sets for a unit.
pub(crate) const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// The program of a plugin, as an absolute path.
#[cfg(feature = "plugin")]
pub(crate) const PLUGIN: &str = "BOOTSEAL_PLUGIN";
/// The credentials folder that systemd sets for a unit.
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Keys that container platforms mount.
pub(crate) const KEY_FILES: [&str; 2] =
    ["/run/secrets/bootseal.key", "/run/secrets/bootseal/bootseal.key"];
/// The user's key, in the configuration folder.
pub(crate) const USER_KEY_FILE: &str = "identity.txt";
/// File names in the credentials folder.
pub(crate) const CREDENTIAL_KEY: &str = "bootseal.key";
pub(crate) const CREDENTIAL_PASSPHRASE: &str = "bootseal.passphrase";
pub(crate) const CREDENTIAL_PIN: &str = "bootseal.pin";

/// The process's environment, or a replacement for it.
#[derive(Clone, Default)]
pub(crate) struct Env(Option<Arc<HashMap<String, OsString>>>);

impl Env {
    /// An environment with only these variables.
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

    /// The user's configuration folder for this product.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let folder = if cfg!(windows) {
            self.get("APPDATA").map(PathBuf::from)
        } else {
            // The XDG specification requires relative paths to be ignored.
            let xdg = self
                .get("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute());
            xdg.or_else(|| self.get("HOME").map(|home| PathBuf::from(home).join(".config")))
        };
        folder.map(|folder| folder.join("bootseal"))
    }
}
