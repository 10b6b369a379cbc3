//! Process start: hardening, sockets and systemd.

pub(crate) mod harden;
pub(crate) mod sockets;
pub(crate) mod systemd;
