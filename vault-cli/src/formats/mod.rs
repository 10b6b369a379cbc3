//! What does a settings file in clear hold? One file a format.

pub(crate) mod properties;

use bootseal_core::{PropertyPath, Secret, ValueKind};

/// One property of an input, with its value as it would be sealed and as it would stand readable.
pub(crate) struct InputProperty {
    pub(crate) path: PropertyPath,
    pub(crate) kind: ValueKind,
    pub(crate) value: Secret,
    /// Written `"secret:…"` in a TOML input.
    pub(crate) marked: bool,
}
