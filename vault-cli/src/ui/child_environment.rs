//! The environment of a program that we start: ours, without what opens vaults.

use std::process::Command;

/// Removes the variables that open vaults here from the environment of a program: it receives
/// values, not keys.
pub(crate) fn without_keys(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("BOOTSEAL_")) else {
            continue;
        };
        // These open nothing, and a program that has its own loader needs them.
        if !matches!(name, "BOOTSEAL_FILE" | "BOOTSEAL_PIN" | "BOOTSEAL_STATE") {
            command.env_remove(name);
        }
    }
}
