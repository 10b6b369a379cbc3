//! Reloads the sealed file on SIGHUP and whenever it changes on disk.

use crate::server::table::{DiskState, Running};
use crate::startup::systemd;
use bootseal::{FileStamp, Result};
use bootseal_core::SealedFile;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The interval between two checks of the file.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Starts the thread that reloads the file, and returns the channel that requests a reload. `apply`
/// applies the routes of an accepted file.
pub(crate) fn watch(
    running: &Arc<Running>,
    apply: impl Fn(&Arc<Running>) -> Result<()> + Send + 'static,
) -> std::io::Result<Sender<()>> {
    let (request, requests) = std::sync::mpsc::channel();
    let (weak, runtime) = (Arc::downgrade(running), tokio::runtime::Handle::current());
    let Some(path) = running.vault.path() else { return Ok(request) };
    let stamp = FileStamp::of(&path);
    // If the file was replaced after it was loaded, its stamp is not that of the loaded file, so
    // the first check reloads it.
    let loaded = stamp.filter(|_| generation_on_disk(&path) == Some(running.vault.generation()));
    std::thread::Builder::new().name("bootseal-reload".into()).spawn(move || {
        let _runtime = runtime.enter();
        run(&weak, &path, loaded, &requests, &apply);
    })?;
    Ok(request)
}

fn run(
    weak: &Weak<Running>,
    path: &Path,
    mut last: Option<FileStamp>,
    requests: &Receiver<()>,
    apply: &impl Fn(&Arc<Running>) -> Result<()>,
) {
    loop {
        let requested = match requests.recv_timeout(CHECK_EVERY) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(running) = weak.upgrade() else { return };
        let now = FileStamp::of(path);
        // A file that is briefly missing is being replaced.
        if requested || now.is_some() && now != last {
            last = now;
            reload(&running, path, requested, apply);
        }
    }
}

fn reload(
    running: &Arc<Running>,
    path: &Path,
    requested: bool,
    apply: &impl Fn(&Arc<Running>) -> Result<()>,
) {
    systemd::reloading();
    let before = running.vault.generation();
    let result = match running.vault.reload() {
        Ok(names) => {
            let applied = apply(running);
            let after = running.vault.generation();
            let refused = applied.as_ref().err().map(ToString::to_string);
            // Set before the log line, so that the status page already agrees with it.
            running.set_disk(DiskState { generation: Some(after), refused });
            match (&applied, after == before) {
                (Err(error), _) => {
                    tracing::error!(generation = after, %error, "the file was accepted, but its routes were not: the previous routes stay in force")
                }
                (Ok(()), true) => {
                    if requested {
                        tracing::info!(
                            generation = after,
                            "nothing to reload: the file on disk is already loaded"
                        );
                    }
                }
                (Ok(()), false) => {
                    tracing::info!(
                        generation = after,
                        before,
                        changed = bootseal_core::some_names(&names),
                        "reloaded"
                    )
                }
            }
            if after == before { "same" } else { "taken" }
        }
        Err(error) => {
            let generation = generation_on_disk(path);
            running.set_disk(DiskState { generation, refused: Some(error.to_string()) });
            tracing::warn!(generation = before, on_disk = generation, %error, "the file was not accepted: the previous one stays in force");
            "refused"
        }
    };
    metrics::counter!("bootseal_gateway_reloads_total", "result" => result).increment(1);
    systemd::ready(running.vault.generation());
}

/// The generation of the file on disk, regardless of its signer; `None` if the file cannot be read
/// or its signature is invalid. No other part of that file is used.
fn generation_on_disk(path: &Path) -> Option<u64> {
    SealedFile::read(path).and_then(SealedFile::verify_signature).ok()?.generation()
}
