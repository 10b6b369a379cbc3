//! What is systemd told? Ready, reloading, stopping (`sd_notify(3)`); without it, nothing.

#[cfg(unix)]
use sd_notify::NotifyState;

#[cfg(unix)]
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// It takes calls, with the file of this generation.
pub(crate) fn ready(generation: u64) {
    #[cfg(unix)]
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("generation {generation}"))]);
    #[cfg(not(unix))]
    let _ = generation;
}

pub(crate) fn reloading() {
    #[cfg(unix)]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

pub(crate) fn stopping() {
    #[cfg(unix)]
    tell(&[NotifyState::Stopping]);
}
