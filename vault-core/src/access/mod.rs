//! Recipients and identities: for whom the data key is wrapped, and who can unwrap it.

pub(crate) mod identity;
pub(crate) mod locked;
pub(crate) mod passphrase;
#[cfg(feature = "plugin")]
pub(crate) mod plugin;
pub(crate) mod recipient;
pub(crate) mod ssh;
pub(crate) mod wrap;
