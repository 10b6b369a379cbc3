//! Reloads: a newer generation of the file takes the place of the present one, on request or when
//! the file changes.

use crate::error::{Error, Result};
use crate::load::secrets::{Listener, Secrets, lock};
use crate::load::snapshot::Snapshot;
use crate::load::watch::FileStamp;
use bootseal_core::Kind;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A file is looked at no more often.
const SHORTEST: Duration = Duration::from_millis(100);

/// What a watching thread knows of the file.
#[derive(Default)]
struct Watched {
    /// Its stamp when its content was what is opened.
    opened: Option<FileStamp>,
    /// The content that could not be taken and why, which is logged once.
    failure: Option<(Vec<u8>, String)>,
}

impl Secrets {
    /// Reads the file again, by the same rules as at start. Handles keep their value,
    /// [`Secrets::secret`] gives the new one, and a token source logs in again only if its own
    /// profile or values changed. Returns the names of the properties that changed: none if the
    /// file is the same.
    ///
    /// # Errors
    /// As [`Loader::load`](crate::Loader::load); [`Kind::WrongVault`] for another vault,
    /// [`Kind::OldGeneration`] for a file that is not newer. The opened generation stays in use.
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
            return Err(Error::new(
                Kind::Usage,
                "this vault was made in a test and has no file to read again",
            ));
        };
        let one = lock(&self.0.reloading);
        let (newer, opening) = loader.snapshot()?;
        let names = self.take(newer, |newer| loader.accept(newer, &opening))?;
        drop(one);
        if let Some(names) = &names {
            self.notify(names);
        }
        Ok(names.unwrap_or_default())
    }

    /// Puts a newer generation in the place of the present one. Returns `None` if it is the same.
    fn take(
        &self,
        newer: Snapshot,
        accept: impl FnOnce(&Snapshot) -> Result<()>,
    ) -> Result<Option<Vec<String>>> {
        let present = self.now();
        let (old, new) = (&present.file, &newer.file);
        if old.vault_id() != new.vault_id() && !new.former_ids().contains(&old.vault_id()) {
            let text = format!(
                "the file is now another vault, {}; {} stays in use",
                new.vault_id(),
                old.vault_id()
            );
            return Err(newer.placed(Error::new(Kind::WrongVault, text)));
        }
        if old.text() == new.text() {
            return Ok(None);
        }
        if new.generation() <= old.generation() {
            let text = format!(
                "the file has generation {}; generation {} stays in use",
                new.generation(),
                old.generation()
            );
            return Err(newer.placed(Error::new(Kind::OldGeneration, text)));
        }
        let names = present.changes(&newer);
        let prepared = self.prepare(&newer)?;
        accept(&newer)?;
        self.install(newer, prepared);
        Ok(Some(names))
    }

    /// Calls the listeners with nothing locked: a listener may reload, or ask for a secret. One
    /// that panics does not stop the others.
    fn notify(&self, names: &[String]) {
        let listeners: Vec<Listener> = lock(&self.0.listeners).clone();
        for listener in listeners {
            if std::panic::catch_unwind(AssertUnwindSafe(|| listener(names))).is_err() {
                tracing::error!(target: "bootseal", "a listener of on_change panicked; it will be called again at the next change");
            }
        }
    }

    /// Calls `listener` with the names of the changed properties after each reload that took a
    /// newer file, on the thread that reloads.
    ///
    /// ```no_run
    /// let vault = bootseal::load("app.sealed.toml")?;
    /// vault.on_change(|names| println!("{names:?} changed"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn on_change(&self, listener: impl Fn(&[String]) + Send + Sync + 'static) {
        lock(&self.0.listeners).push(Arc::new(listener));
    }

    /// Starts a thread that looks at the file every so often, at most ten times a second, and
    /// [reloads](Secrets::reload) it when its content is not what was opened, as after a link was
    /// swapped. A file that cannot be taken is tried again each time, because its key may arrive a
    /// moment later; the log has one line about it, and the opened generation stays in use. The
    /// thread ends with the last handle.
    ///
    /// # Errors
    /// [`Kind::Io`] when the system gives no thread; [`Kind::Usage`] for a vault of a test.
    ///
    /// ```no_run
    /// let vault = bootseal::load("app.sealed.toml")?;
    /// vault.watch(std::time::Duration::from_secs(10))?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn watch(&self, every: Duration) -> Result<()> {
        let Some(path) = self.0.loader.as_ref().and(self.now().file.path().map(Path::to_owned))
        else {
            return Err(Error::new(
                Kind::Usage,
                "this vault was made in a test and has no file to watch",
            ));
        };
        let (weak, every, mut watched) =
            (Arc::downgrade(&self.0), every.max(SHORTEST), Watched::default());
        let watching = move || {
            loop {
                std::thread::park_timeout(every);
                let Some(vault) = weak.upgrade().map(Secrets) else { return };
                vault.look_at(&path, &mut watched);
            }
        };
        let thread = std::thread::Builder::new().name("bootseal-watch".into()).spawn(watching);
        thread
            .map(drop)
            .map_err(|error| Error::new(Kind::Io, format!("no thread to watch the file: {error}")))
    }

    /// Reloads if the file's content is not what was opened.
    fn look_at(&self, path: &Path, watched: &mut Watched) {
        let stamp = FileStamp::of(path);
        if stamp.is_some() && stamp == watched.opened {
            return;
        }
        // A file that is missing for a moment is being replaced.
        let Ok(content) = std::fs::read(path) else { return };
        if content == self.now().file.text().as_bytes() {
            watched.opened = stamp.filter(FileStamp::is_settled);
            return;
        }
        match self.reload() {
            Ok(names) => {
                tracing::info!(target: "bootseal", generation = self.generation(), changed = names.len(), "reloaded")
            }
            Err(error) => {
                let failure = Some((content, error.to_string()));
                if watched.failure != failure {
                    watched.failure = failure;
                    tracing::warn!(target: "bootseal", generation = self.generation(), %error, "the file changed and is not taken; the opened generation stays in use")
                }
            }
        }
    }
}

/// Without the client there are no token sources that have to follow a newer file.
#[cfg(not(feature = "client"))]
struct Prepared;

#[cfg(not(feature = "client"))]
impl Secrets {
    fn prepare(&self, _: &Snapshot) -> Result<Prepared> {
        Ok(Prepared)
    }

    fn install(&self, newer: Snapshot, _: Prepared) {
        *lock(&self.0.now) = Arc::new(newer);
    }
}
