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

/// Whether `name` is a valid plugin name. It becomes part of a program's file name, so it must not
/// contain path syntax.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
