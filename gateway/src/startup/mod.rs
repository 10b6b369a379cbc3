//! Process start: hardening, listening sockets, signals, and notifications to systemd.

pub(crate) mod harden;
pub(crate) mod sockets;

pub(crate) mod audit;
pub(crate) mod log;
pub(crate) mod signals;
pub(crate) mod systemd;
