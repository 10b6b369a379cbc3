//! The available age plugins, which are searched for in fixed folders, never on PATH, and prompt
//! the user at the terminal.

use crate::context::Context;
use crate::ui::failure::Result;
use crate::ui::terminal::{Console, Terminal};
use bootseal_core::{PluginUser, Plugins, Secret};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Folders of the machine, searched before those of the user.
const FOLDERS: &[&str] = if cfg!(target_os = "macos") {
    &["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin"]
} else if cfg!(unix) {
    &["/usr/local/bin", "/usr/bin"]
} else {
    &[]
};

/// Folders of the user, below the home folder: pipx, cargo and go install there.
const USER_FOLDERS: &[&str] = &[".local/bin", ".cargo/bin", "go/bin"];

/// Finds plugins in `BOOTSEAL_PLUGIN`, then in the fixed folders.
pub(crate) fn at_hand(context: &Context<'_>) -> Result<Plugins> {
    let mut plugins = Plugins::default();
    if let Some(program) = context.var("BOOTSEAL_PLUGIN") {
        plugins = plugins.program(Path::new(&program))?;
    }
    let home = context
        .var("HOME")
        .or_else(|| context.var("USERPROFILE"))
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    let below_home =
        home.iter().flat_map(|home| USER_FOLDERS.iter().map(|folder| home.join(folder)));
    for folder in FOLDERS.iter().map(PathBuf::from).chain(below_home) {
        plugins = plugins.folder(&folder)?;
    }
    Ok(if context.ui.terminal.is_some() { plugins.user(Person) } else { plugins })
}

/// The user at the terminal of the process.
struct Person;

impl PluginUser for Person {
    fn show(&self, plugin: &str, text: &str) {
        let _ = writeln!(std::io::stderr(), "{plugin}: {text}");
    }

    fn confirm(&self, plugin: &str, text: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choices = no.map_or(format!("y = {yes}"), |no| format!("y = {yes}, n = {no}"));
        let answer = Console.line(&format!("{plugin}: {text} [{choices}] ")).ok()?;
        Some(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    fn ask(&self, plugin: &str, text: &str) -> Option<Secret> {
        let line = Console.line(&prompt(plugin, text)).ok()?;
        Secret::copy_of(line.as_bytes()).ok()
    }

    fn ask_secret(&self, plugin: &str, text: &str) -> Option<Secret> {
        Console.secret(&prompt(plugin, text)).ok()
    }
}

/// Formats a prompt; some plugins already end it with a colon.
fn prompt(plugin: &str, text: &str) -> String {
    format!("{plugin}: {}: ", text.trim_end_matches([':', ' ']))
}
