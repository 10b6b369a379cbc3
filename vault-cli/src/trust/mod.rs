//! Finds the file and the keys, and decides whether the file is the right vault.

pub(crate) mod each_file;
pub(crate) mod keyring;
pub(crate) mod locate;
pub(crate) mod memory;
pub(crate) mod pins;
pub(crate) mod plugins;
pub(crate) mod programs;
pub(crate) mod rules;
pub(crate) mod save;
pub(crate) mod special_tables;
pub(crate) mod target;
pub(crate) mod value_name;
pub(crate) mod variable;
pub(crate) mod vouch;
