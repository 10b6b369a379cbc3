//! age plugins: programs that wrap and unwrap a key for hardware or a service.

#[cfg(feature = "plugin")]
pub(crate) mod identity;
#[cfg(feature = "plugin")]
pub(crate) mod recipient;

#[cfg(feature = "plugin")]
pub(crate) mod find;
#[cfg(feature = "plugin")]
pub(crate) mod protocol;
#[cfg(feature = "plugin")]
pub(crate) mod user;

/// Whether `name` can be a plugin's. It becomes the name of a program, so it may hold nothing that
/// a path is made of.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
