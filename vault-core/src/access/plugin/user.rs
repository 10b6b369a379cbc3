//! Questions of a plugin to a person: the one trait that an application implements.

use bootseal_memory::Secret;

/// Who answers when a plugin asks. What it says comes escaped, fit for a terminal; `None` if nobody answers.
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
    /// Shows what it has to say: "touch your key", say.
    fn show(&self, plugin: &str, text: &str);
    /// Asks `text`, to be answered by `yes` or, where there is a second choice, by `no`.
    fn confirm(&self, plugin: &str, text: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// Asks for a line that may be seen.
    fn ask(&self, plugin: &str, text: &str) -> Option<Secret>;
    /// Asks for a line that may not be seen: a PIN.
    fn ask_secret(&self, plugin: &str, text: &str) -> Option<Secret>;
}
