//! When is the file read again? When somebody says so (SIGHUP), and when it changes: its folder's link too, as Kubernetes swaps it.

use crate::server::table::{Disk, Running};
use crate::startup::systemd;
use bootseal::FileStamp;
use bootseal_core::SealedFile;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the file again where it has changed, or somebody asks.
pub(crate) fn watch(running: &Arc<Running>) -> std::io::Result<Sender<()>> {
    let (ask, asked) = std::sync::mpsc::channel();
    let (weak, runtime) = (Arc::downgrade(running), tokio::runtime::Handle::current());
    let Some(path) = running.vault.path() else { return Ok(ask) };
    let seen = FileStamp::of(&path);
    std::thread::Builder::new().name("bootseal-reload".into()).spawn(move || {
        let _in = runtime.enter();
        look_on(&weak, &path, seen, &asked);
    })?;
    Ok(ask)
}

fn look_on(weak: &Weak<Running>, path: &Path, mut seen: Option<FileStamp>, asked: &Receiver<()>) {
    loop {
        let said = match asked.recv_timeout(LOOK) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(running) = weak.upgrade() else { return };
        let now = FileStamp::of(path);
        // A file that is away for a moment is being replaced.
        if said || now.is_some() && now != seen {
            seen = now;
            reload(&running, path, said);
        }
    }
}

fn reload(running: &Arc<Running>, path: &Path, said: bool) {
    systemd::reloading();
    let before = running.vault.generation();
    let result = match running.vault.reload() {
        Ok(names) => {
            let applied = running.apply();
            let after = running.vault.generation();
            match (&applied, after == before) {
                (Err(error), _) => {
                    tracing::error!(generation = after, %error, "the file was taken, and its routes were not: those before go on")
                }
                (Ok(()), true) => {
                    if said {
                        tracing::info!(generation = after, "nothing to reload: the file is the one that is loaded");
                    }
                }
                (Ok(()), false) => {
                    tracing::info!(generation = after, before, changed = names.join(", "), "reloaded")
                }
            }
            running.set_disk(Disk { generation: Some(after), refused: applied.err().map(|error| error.to_string()) });
            if after == before { "same" } else { "taken" }
        }
        Err(error) => {
            // What lies there, whoever wrote it: for the status page. Nothing else is taken from it.
            let generation =
                SealedFile::read(path).and_then(|file| file.verify(&[])).map(|file| file.generation()).ok();
            tracing::warn!(generation = before, on_disk = generation, %error, "the file was not taken; the one before goes on");
            running.set_disk(Disk { generation, refused: Some(error.to_string()) });
            "refused"
        }
    };
    metrics::counter!("bootseal_gateway_reloads_total", "result" => result).increment(1);
    systemd::ready(running.vault.generation());
}
