//! Recipients, to which the data key is wrapped, and identities, which unwrap it.

pub(crate) mod wrap;

pub(crate) mod pin_lines;

pub(crate) mod identity_file;
pub(crate) mod identity_text;
pub(crate) mod locked;

pub(crate) mod passphrase;

pub(crate) mod identity;
pub(crate) mod recipient;

pub(crate) mod plugin;
pub(crate) mod ssh;

pub(crate) mod key_file;
