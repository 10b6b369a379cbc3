//! Reloads: a newer generation of the file replaces the current one, on request or when the file
//! changes.

use crate::error::{Error, Result};
use crate::load::secrets::{Listener, Secrets, lock};
use crate::load::snapshot::Snapshot;
use crate::load::watch::FileStamp;
use bootseal_core::{Kind, MAX_FILE, PrivateFile};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The shortest interval between two checks of a file.
const SHORTEST: Duration = Duration::from_millis(100);

/// The state of a thread that watches the file.
#[derive(Default)]
struct Watched {
    /// The file's stamp when its content was that of the opened generation.
    opened: Option<FileStamp>,
    /// The content that was refused, and the error, which is logged only once.
    failure: Option<(Vec<u8>, String)>,
}

impl Secrets {
    /// Reads the file again, by the same rules as at startup. Handles keep their value,
    /// [`Secrets::secret`] returns the new value, and a token source logs in again only if its own
    /// profile or values changed. Returns the names of the properties that changed, or none if the
    /// file is the same.
    ///
    /// # Errors
    /// As [`Loader::load`](crate::Loader::load); [`Kind::WrongVault`] if the file contains another
    /// vault; [`Kind::OldGeneration`] if the file is not newer. After an error, the opened
    /// generation stays in use.
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
                "this vault was not loaded from a file and cannot be reloaded",
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

    /// Replaces the current generation with a newer one. Returns `None` if the file is the same.
    fn take(
        &self,
        newer: Snapshot,
        accept: impl FnOnce(&Snapshot) -> Result<()>,
    ) -> Result<Option<Vec<String>>> {
        let present = self.now();
        let (old, new) = (&present.file, &newer.file);
        if old.vault_id() != new.vault_id() && !new.former_ids().contains(&old.vault_id()) {
            let text = format!(
                "the file now contains another vault, {}; {} stays in use",
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

    /// Calls the listeners without holding a lock, because a listener may reload or read a secret.
    /// A listener that panics does not stop the others.
    fn notify(&self, names: &[String]) {
        let listeners: Vec<Listener> = lock(&self.0.listeners).clone();
        for listener in listeners {
            if std::panic::catch_unwind(AssertUnwindSafe(|| listener(names))).is_err() {
                tracing::error!(target: "bootseal", "a listener of on_change panicked; it will be called again at the next change");
            }
        }
    }

    /// Calls `listener` with the names of the changed properties after each reload that loaded a
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

    /// Starts a thread that checks the file at this interval, at most ten times a second, and
    /// [reloads](Secrets::reload) the file when its content has changed, for example because a link
    /// was replaced. If a changed file is refused, the refusal is logged once, and the opened
    /// generation stays in use. The file is tried again at each check, because its key may arrive
    /// later. The thread ends when the last handle is dropped.
    ///
    /// # Errors
    /// [`Kind::Io`] if no thread can be started; [`Kind::Usage`] for a vault without a file.
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
                "this vault was not loaded from a file and cannot be watched",
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
        thread.map(drop).map_err(|error| {
            Error::new(Kind::Io, format!("cannot start a thread to watch the file: {error}"))
        })
    }

    /// Reloads the file if its content differs from the opened generation.
    fn look_at(&self, path: &Path, watched: &mut Watched) {
        let stamp = FileStamp::of(path);
        if stamp.is_some() && stamp == watched.opened {
            return;
        }
        // A file that is briefly missing is being replaced.
        let content = match PrivateFile::read(path, MAX_FILE) {
            Ok(Some(content)) => content,
            Ok(None) => return,
            // It is not a regular file, or too large: the reload reports it.
            Err(_) => Vec::new(),
        };
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
                    tracing::warn!(target: "bootseal", generation = self.generation(), %error, "the changed file was refused; the opened generation stays in use")
                }
            }
        }
    }
}

/// Without the client, there are no token sources to update.
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
