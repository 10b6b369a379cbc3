//! Recognises passwords, secrets and placeholders by the names and values of fields.

use crate::profile::curl::words::EXPANSION;

/// Reduces a name such as `User-Name` to `username`.
pub(super) fn squeezed(name: &str) -> String {
    name.chars().filter(|next| next.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a field of that name contains the password.
pub(super) fn is_password(key: &str) -> bool {
    ["password", "passwd", "pass", "pwd", "passphrase", "passwort", "pin", "pw"].contains(&key)
        || key.ends_with("password")
        || key.ends_with("passwd")
}

/// Whether a field of that name contains a secret other than the password.
pub(super) fn is_secret(key: &str) -> bool {
    ["secret", "token", "apikey", "accesskey", "privatekey", "otp", "credential"]
        .iter()
        .any(|word| key.contains(word))
        || key == "key"
}

/// Whether a string is a placeholder, which the readers of documentation replace with a secret, or
/// a variable that a shell would expand.
pub(super) fn is_placeholder(text: &str) -> bool {
    if let Some(name) = text.strip_prefix(EXPANSION).and_then(|text| text.strip_prefix('$')) {
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        return name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_');
    }
    let marked = [("<", ">"), ("{{", "}}"), ("[", "]"), ("${", "}"), ("%", "%")];
    let variable = text.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
            && name
                .chars()
                .all(|next| next.is_ascii_uppercase() || next.is_ascii_digit() || next == '_')
    });
    let filler = text.chars().all(|next| "*.x…X".contains(next));
    let yours = ["your_", "your-", "your ", "my_password"]
        .iter()
        .any(|word| text.to_lowercase().starts_with(word));
    variable
        || filler
        || yours
        || marked
            .iter()
            .any(|(open, close)| text.len() > 2 && text.starts_with(open) && text.ends_with(close))
}
