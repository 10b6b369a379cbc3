//! Notifications to systemd: ready, reloading, stopping (`sd_notify(3)`). Without systemd they do
//! nothing.

#[cfg(unix)]
use sd_notify::NotifyState;

#[cfg(unix)]
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be notified");
    }
}

/// Reports that the gateway serves calls with the file of this generation.
pub(crate) fn ready(generation: u64) {
    #[cfg(unix)]
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("generation {generation}"))]);
    #[cfg(not(unix))]
    let _ = generation;
}

pub(crate) fn reloading() {
    #[cfg(unix)]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

pub(crate) fn stopping() {
    #[cfg(unix)]
    notify(&[NotifyState::Stopping]);
}
