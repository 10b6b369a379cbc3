//! The source of a value: a prompt without echo, a pipe, a file, or random generation. The value is
//! read directly into guarded memory, never from argv.

use crate::context::Context;
use crate::formats::{ciphertext_in, remarks};
use crate::ui::failure::{Failure, Result, unreadable};
use bootseal_core::{
    Kind, PropertyPath, Secret, ValueKind, open_source, other_encoding, shell_word,
};
use bootseal_memory::SecretBuf;
use std::io::Read;
use std::path::Path;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const MAX_VALUE: usize = 12 << 20;

/// The options for the source of a value.
pub(super) struct Source<'a> {
    /// The argument after the path: `-`, or a value that is refused.
    pub(super) stdin: Option<&'a str>,
    pub(super) from_file: Option<&'a Path>,
    pub(super) generate: Option<usize>,
    pub(super) empty: bool,
}

impl Source<'_> {
    /// Refuses a value on the command line of `bootseal VERB PATH`.
    pub(super) fn refuse_typed(&self, verb: &str, path: &str) -> Result<()> {
        if self.generate.is_some() && self.stdin.is_some() {
            let text = "--generate takes its length after an equals sign: --generate=40";
            return Err(Failure::new(Kind::Usage, text));
        }
        if self.stdin.is_some_and(|word| word != "-") {
            let text = "a value must not be on the command line: others on this machine can see it there, and the shell's history keeps it";
            return Err(Failure::new(Kind::Usage, text).with_help(format!(
                "Type it at the prompt (bootseal {verb} {}), or use a pipe.",
                shell_word(path)
            )));
        }
        Ok(())
    }

    /// Reads the value for `path`, and warns about characters that are easily overlooked.
    pub(super) fn read(
        &self,
        path: &PropertyPath,
        context: &mut Context<'_>,
    ) -> Result<(ValueKind, Secret)> {
        if let Some(length) = self.generate {
            return Ok((ValueKind::Text, generate(length)?));
        }
        let secret = if let Some(file) = self.from_file {
            from_file(file)?
        } else if !context.ui.stdin_is_terminal {
            // If `-i -` has already read stdin, the value would seem to be empty.
            if context.ui.stdin_taken {
                return Err(Failure::new(Kind::Usage, "stdin cannot be both a key and the value"));
            }
            without_newline(read(&mut context.ui.stdin)?)
        } else if context.ui.can_ask() {
            context.ui.ask_value(path)?
        } else {
            return Err(Failure::new(
                Kind::NoTerminal,
                "there is no terminal to ask for the value",
            )
            .with_help("Pipe it in, or name a file with --from-file."));
        };
        let text = secret.expose_str(|text| (remarks(text), ciphertext_in(text)));
        let kind = if text.is_ok() { ValueKind::Text } else { ValueKind::Bytes };
        if let Some(encoding) = secret.expose(other_encoding).filter(|_| self.from_file.is_none()) {
            let what = format!("the value is in {encoding}, and is sealed as these bytes");
            context.ui.warn(format_args!("{path}: {what}"));
        }
        let (remarks, ciphertext) = text.unwrap_or_default();
        for remark in remarks {
            context.ui.warn(format_args!("{path}: the value {remark}"));
        }
        if let Some(ciphertext) = ciphertext {
            let what = ciphertext.shown();
            context.ui.warn(format_args!("{path}: the value contains {what}, which is not opened"));
        }
        if secret.is_empty() && !self.empty {
            return Err(Failure::new(Kind::Usage, "the value is empty; nothing was changed")
                .with_help("If that is what you want, add --empty."));
        }
        Ok((kind, secret))
    }
}

fn read(source: &mut dyn Read) -> Result<SecretBuf> {
    let mut page = SecretBuf::with_capacity(4096)?;
    let mut source = source;
    match page.read_to_end(&mut source, MAX_VALUE) {
        Ok(true) => Ok(page),
        Ok(false) => Err(Failure::new(
            Kind::Usage,
            "the value is longer than 12 MiB; the maximum size of a sealed file is 16 MiB",
        )),
        Err(error) => Err(Failure::new(Kind::Io, format!("the value cannot be read: {error}"))),
    }
}

fn from_file(path: &Path) -> Result<Secret> {
    let failed = |error: std::io::Error| Failure::from(unreadable(&error).in_file(path));
    let mut file = open_source(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(bootseal_core::Error::new(Kind::Io, "is a folder").in_file(path).into());
    }
    Ok(read(&mut file)?.freeze())
}

/// Removes one trailing newline, as most programs in a pipe add one.
fn without_newline(mut page: SecretBuf) -> Secret {
    let cut = page
        .expose(|bytes| bytes.strip_suffix(b"\r\n").or(bytes.strip_suffix(b"\n")).map(<[u8]>::len));
    if let Some(length) = cut {
        page.truncate(length);
    }
    page.freeze()
}

/// A random value of letters and digits.
pub(super) fn generate(length: usize) -> Result<Secret> {
    if !(8..=4096).contains(&length) {
        return Err(Failure::new(Kind::Usage, "--generate takes a length from 8 to 4096"));
    }
    let mut page = SecretBuf::zeroed(length)?;
    page.expose_mut(|bytes| {
        for byte in bytes {
            // 248 is the greatest multiple of 62 below 256; larger bytes would favour some
            // characters.
            *byte = loop {
                let mut draw = [0];
                getrandom::fill(&mut draw).map_err(|error| {
                    Failure::new(Kind::Io, format!("no random numbers from the system: {error}"))
                })?;
                if draw[0] < 248 {
                    break ALPHABET[usize::from(draw[0] % 62)];
                }
            };
        }
        Ok(())
    })
    .map(|()| page.freeze())
}
