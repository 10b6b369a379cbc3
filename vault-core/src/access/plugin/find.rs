//! Finds the programs of plugins, only at paths that the caller configures and never in PATH or in
//! the current folder.
//!
//! A sealed file names a plugin, never a program.

use crate::access::plugin::is_plugin_name;
use crate::access::plugin::protocol::{Conversation, Session};
use crate::access::plugin::user::PluginUser;
use crate::error::{Error, Kind, Result};
use crate::shown::shell_path;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The places where plugins are found, and the [`PluginUser`] that answers their questions. By
/// default there are none.
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
        Plugins(Arc::new(Settings {
            programs: Vec::new(),
            folders: Vec::new(),
            user: None,
            patience,
        }))
    }
}

impl Plugins {
    /// Adds the program `/…/age-plugin-NAME` as the plugin NAME; it takes precedence over folders.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the path is not absolute or has another form.
    ///
    /// ```
    /// let plugins = bootseal_core::Plugins::default().program("/opt/hsm/age-plugin-hsm".as_ref())?;
    /// assert!(plugins.program("/opt/hsm/hsm".as_ref()).is_err());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn program(mut self, path: &Path) -> Result<Plugins> {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
            name.strip_suffix(std::env::consts::EXE_SUFFIX)?.strip_prefix("age-plugin-")
        });
        if !path.is_absolute() || !name.is_some_and(is_plugin_name) {
            let what = "the program of a plugin must be an absolute path: /…/age-plugin-NAME";
            return Err(Error::new(Kind::Usage, what).in_file(path));
        }
        Arc::make_mut(&mut self.0).programs.push(path.to_owned());
        Ok(self)
    }

    /// Adds a folder of programs `age-plugin-NAME`. If several folders have a plugin, the first is
    /// used.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the path is not absolute. See the example of [`Plugins`].
    pub fn folder(mut self, path: &Path) -> Result<Plugins> {
        if !path.is_absolute() {
            return Err(Error::new(Kind::Usage, "a folder of plugins must be an absolute path")
                .in_file(path));
        }
        Arc::make_mut(&mut self.0).folders.push(path.to_owned());
        Ok(self)
    }

    /// Sets the handler for the questions of plugins. See the example of [`PluginUser`].
    #[must_use]
    pub fn user(mut self, user: impl PluginUser + 'static) -> Plugins {
        Arc::make_mut(&mut self.0).user = Some(Arc::new(user));
        self
    }

    /// Sets the response timeout, after which a plugin is killed. The default of 120 seconds is
    /// enough to find and touch a hardware key. The time that the user takes to answer a question
    /// does not count.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Plugins {
        Arc::make_mut(&mut self.0).patience = patience;
        self
    }

    fn find(&self, name: &str) -> Result<PathBuf> {
        let file = format!("age-plugin-{name}{}", std::env::consts::EXE_SUFFIX);
        let named = self
            .0
            .programs
            .iter()
            .filter(|path| path.file_name().is_some_and(|name| name == file.as_str()));
        let places: Vec<PathBuf> =
            named.cloned().chain(self.0.folders.iter().map(|folder| folder.join(&file))).collect();
        let Some(found) = places.iter().find(|path| path.is_file()) else {
            let looked: Vec<String> =
                places.iter().map(|path| path.display().to_string()).collect();
            let looked = if looked.is_empty() {
                "no plugin path is configured".into()
            } else {
                format!("looked for {}", looked.join(", "))
            };
            return Err(Error::new(Kind::NotFound, format!("the plugin {file} was not found: {looked}")).with_help(
                format!("Install it there, or set BOOTSEAL_PLUGIN=/absolute/path/{file}. PATH is not searched."),
            ));
        };
        let found = found.canonicalize().map_err(|error| {
            Error::new(Kind::Io, format!("cannot be run: {error}")).in_file(found)
        })?;
        check_mode(&found)?;
        Ok(found)
    }

    pub(crate) fn session(&self, name: &str, machine: &str) -> Result<Session> {
        let program = self.find(name)?;
        let talk = Conversation::start(&program, machine, self.0.patience).map_err(|error| {
            Error::new(Kind::Io, format!("cannot be run: {error}")).in_file(&program)
        })?;
        Ok(Session { talk, plugin: format!("age-plugin-{name}"), user: self.0.user.clone() })
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugins({:?}, {:?})", self.0.programs, self.0.folders)
    }
}

/// Refuses a program that every user of the machine can replace.
#[cfg(unix)]
fn check_mode(program: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    for place in [Some(program), program.parent()].into_iter().flatten() {
        let mode = std::fs::metadata(place).map_or(0o777, |meta| meta.mode());
        if mode & 0o002 != 0 {
            let what = format!("a plugin that any user can replace (mode {:04o})", mode & 0o7777);
            return Err(Error::new(Kind::UnsafeFile, what)
                .in_file(place)
                .with_help(format!("chmod o-w {}", shell_path(place))));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<()> {
    Ok(())
}
