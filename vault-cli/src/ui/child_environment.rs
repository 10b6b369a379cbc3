//! The environment of a program that bootseal starts: its own environment, without the variables
//! that open vaults.

use std::process::Command;

/// Removes the variables that open vaults from the environment of a program, which should receive
/// values, not keys.
pub(crate) fn without_keys(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("BOOTSEAL_")) else {
            continue;
        };
        // These variables open nothing, and a program that uses the loader needs them.
        if !matches!(name, "BOOTSEAL_FILE" | "BOOTSEAL_PIN" | "BOOTSEAL_STATE") {
            command.env_remove(name);
        }
    }
}
