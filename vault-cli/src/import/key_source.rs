//! The source of the other tool's key or password: a file, a descriptor, the places where the tool
//! itself looks, or a prompt; never argv.

use crate::cli::Encoding;
use crate::context::Context;
use crate::formats::decoded;
use crate::ui::failure::{Failure, Result, unreadable};
use crate::ui::prompt::no_answer;
use bootseal_core::{Kind, Secret, open_source, other_encoding};
use bootseal_memory::SecretBuf;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The maximum number of bytes of a key or password; a file of identities may have several lines.
const MAX_KEY: usize = 64 << 10;

/// The options for the source.
pub(crate) struct KeySource<'a> {
    pub(crate) files: &'a [PathBuf],
    pub(crate) descriptor: Option<u32>,
}

impl KeySource<'_> {
    /// Reads every named key, in order, as plain UTF-8.
    pub(super) fn named(&self, context: &mut Context<'_>) -> Result<Vec<Secret>> {
        self.as_saved(context)?.iter().map(as_utf8).collect()
    }

    /// Reads every named key, in order, with the bytes that were saved.
    pub(super) fn as_saved(&self, context: &mut Context<'_>) -> Result<Vec<Secret>> {
        let mut found =
            self.files.iter().map(|path| from_file(path)).collect::<Result<Vec<_>>>()?;
        if let Some(descriptor) = self.descriptor {
            found.push(from_descriptor(descriptor, context)?);
        }
        Ok(found)
    }

    /// Reads the named keys; else the tool's own `variable`; else asks for one.
    pub(super) fn or_asked(
        &self,
        variable: Option<&str>,
        prompt: &str,
        context: &mut Context<'_>,
    ) -> Result<Vec<Secret>> {
        let named = self.named(context)?;
        if !named.is_empty() {
            return Ok(named);
        }
        if let Some(value) = variable.and_then(|name| context.var(name)) {
            return Ok(vec![from_variable(&value)?]);
        }
        if !context.ui.can_ask_passphrase() {
            return Err(Failure::new(
                Kind::NoTerminal,
                format!("{prompt}: there is no terminal to ask for it"),
            )
            .with_help(
                "Name a file that contains it with --key-file, or a descriptor with --key-fd.",
            ));
        }
        Ok(vec![context.ui.terminal()?.secret(&format!("{prompt}: ")).map_err(no_answer)?])
    }
}

pub(super) fn from_variable(value: &std::ffi::OsStr) -> Result<Secret> {
    Ok(Secret::copy_of(value.as_encoded_bytes())?)
}

pub(super) fn from_file(path: &Path) -> Result<Secret> {
    let failed = |error: std::io::Error| Failure::from(unreadable(&error).in_file(path));
    let mut file = open_source(path).map_err(failed)?;
    read(&mut file).map_err(|failure| failure.within(&bootseal_core::Shown::path(path).to_string()))
}

fn from_descriptor(descriptor: u32, context: &mut Context<'_>) -> Result<Secret> {
    let typed = "this descriptor is a terminal, which would show what is typed; without --key-fd the prompt has no echo";
    if descriptor == 0 {
        if context.ui.stdin_is_terminal || context.ui.stdin_taken {
            let taken = "stdin is already used for something else";
            return Err(Failure::new(
                Kind::Usage,
                if context.ui.stdin_is_terminal { typed } else { taken },
            ));
        }
        context.ui.stdin_taken = true;
        return read(&mut context.ui.stdin);
    }
    if !cfg!(unix) {
        return Err(Failure::new(
            Kind::Usage,
            "on this system a key is read from descriptor 0 only",
        ));
    }
    // Opened by its path in /dev/fd, because adopting the number would need unsafe code.
    let mut source = open_source(Path::new(&format!("/dev/fd/{descriptor}"))).map_err(|error| {
        Failure::new(Kind::Io, format!("descriptor {descriptor} cannot be read: {error}"))
            .with_help(format!(
                "Let the shell open it: bootseal import … --key-fd {descriptor} {descriptor}< FILE"
            ))
    })?;
    if std::io::IsTerminal::is_terminal(&source) {
        return Err(Failure::new(Kind::Usage, typed));
    }
    read(&mut source)
}

fn read(source: &mut dyn Read) -> Result<Secret> {
    let mut page = SecretBuf::with_capacity(4096)?;
    let mut source = source;
    match page.read_to_end(&mut source, MAX_KEY) {
        Ok(true) => Ok(page.freeze()),
        Ok(false) => Err(Failure::new(Kind::Usage, "longer than 64 KiB, so it is not a key")),
        Err(error) => Err(Failure::new(Kind::Io, format!("the key cannot be read: {error}"))),
    }
}

/// Converts a key that Windows has saved to plain UTF-8: without a byte order mark, and from
/// UTF-16.
pub(super) fn as_utf8(key: &Secret) -> Result<Secret> {
    let named = key.expose(other_encoding);
    let marked = key.expose(|bytes| bytes.starts_with(MARK));
    match named {
        None if !marked => Ok(key.clone()),
        None => Ok(key.expose(|bytes| Secret::copy_of(&bytes[MARK.len()..]))?),
        Some("UTF-16") => {
            let bytes = key.expose(|bytes| Zeroizing::new(bytes.to_vec()));
            let (text, _) = decoded(bytes, Some(Encoding::Utf16), None)?;
            Ok(Secret::copy_of(text.as_bytes())?)
        }
        Some(other) => Err(Failure::new(Kind::Usage, format!("the key is in {other}"))
            .with_help("Save it as UTF-8.")),
    }
}

const MARK: &[u8] = "\u{feff}".as_bytes();

/// Removes the trailing line break that an editor or `echo` adds.
pub(super) fn without_newline(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
