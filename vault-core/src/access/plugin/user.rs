//! Questions of a plugin to its user: the trait that an application implements.

use bootseal_memory::Secret;

/// Answers the questions of a plugin. The plugin's texts are escaped and safe for a terminal.
/// `None` means that there is no answer.
///
/// ```
/// use bootseal_core::{PluginUser, Secret};
///
/// struct Nobody;
/// impl PluginUser for Nobody {
///     fn show(&self, plugin: &str, text: &str) { println!("{plugin}: {text}") }
///     fn confirm(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> Option<bool> { None }
///     fn ask(&self, _: &str, _: &str) -> Option<Secret> { None }
///     fn ask_secret(&self, _: &str, _: &str) -> Option<Secret> { None }
/// }
/// let plugins = bootseal_core::Plugins::default().user(Nobody);
/// ```
pub trait PluginUser: Send + Sync {
    /// Shows a message, such as "touch your key".
    fn show(&self, plugin: &str, text: &str);
    /// Asks `text`, with the answers `yes` and, if there is a second choice, `no`.
    fn confirm(&self, plugin: &str, text: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// Asks for a line of text that may be visible.
    fn ask(&self, plugin: &str, text: &str) -> Option<Secret>;
    /// Asks for a line of text that must stay hidden, such as a PIN.
    fn ask_secret(&self, plugin: &str, text: &str) -> Option<Secret>;
}
