//! Which environment variables does the loader read? All of them stand here.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// The sealed file.
pub(crate) const FILE: &str = "BOOTSEAL_FILE";
/// The identity file.
pub(crate) const IDENTITY: &str = "BOOTSEAL_IDENTITY";
/// A pin, or several with blanks between.
pub(crate) const PIN: &str = "BOOTSEAL_PIN";
/// The folder in which this host remembers what it has seen.
pub(crate) const STATE: &str = "BOOTSEAL_STATE";
/// The same, as systemd names it for a unit.
pub(crate) const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// The program of a plugin, by its absolute path.
#[cfg(feature = "plugin")]
pub(crate) const PLUGIN: &str = "BOOTSEAL_PLUGIN";
/// Where systemd puts a unit's credentials.
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The environment, as an argument.
#[derive(Clone, Default)]
pub(crate) struct Env(Option<Arc<HashMap<String, OsString>>>);

impl Env {
    /// An environment of these variables only.
    pub(crate) fn of(variables: HashMap<String, OsString>) -> Env {
        Env(Some(Arc::new(variables)))
    }

    /// A variable that is set to something.
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
            // The specification says that a relative one is to be ignored.
            let xdg = self.get("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
            xdg.or_else(|| self.get("HOME").map(|home| PathBuf::from(home).join(".config")))
        };
        folder.map(|folder| folder.join("bootseal"))
    }
}
