//! The environment of a program that we start: ours, without what opens vaults.

use std::process::Command;

/// Takes from a program that is started what opens vaults here: it gets values, not keys.
pub(crate) fn without_keys(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("BOOTSEAL_")) else { continue };
        // What names a file or insists on a vault opens nothing, and a program with a loader of its own goes by it.
        if !matches!(name, "BOOTSEAL_FILE" | "BOOTSEAL_PIN" | "BOOTSEAL_STATE") {
            command.env_remove(name);
        }
    }
}
