//! The `--audit` thread: searches the process's own memory for copies of secrets.

use std::io;
use std::time::Duration;

/// Starts a thread that audits the process once per `interval`, and reports to log and metrics.
///
/// # Errors
/// If the thread cannot be started.
#[cfg(target_os = "linux")]
pub(crate) fn start(interval: Duration) -> io::Result<()> {
    let run = move || {
        loop {
            std::thread::sleep(interval);
            match bootseal::audit() {
                Ok(found) => {
                    metrics::gauge!("bootseal_gateway_audit_copies")
                        .set((found.full + found.fragments) as f64);
                    if found.is_clean() {
                        tracing::info!(secrets = found.secrets, bytes = found.bytes, took = ?found.took, "audit: no secret outside its pages");
                    } else {
                        tracing::error!(
                            full = found.full,
                            fragments = found.fragments,
                            "audit: secrets outside their pages"
                        );
                    }
                }
                Err(error) => tracing::warn!(%error, "audit: not possible"),
            }
        }
    };
    std::thread::Builder::new().name("bootseal-audit".into()).spawn(run).map(drop)
}

/// # Errors
/// Always, because only Linux allows a process to read its own memory as a file.
#[cfg(not(target_os = "linux"))]
pub(crate) fn start(_: Duration) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system does not let a process read its own memory as a file",
    ))
}
