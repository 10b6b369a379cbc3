//! Writes a TOML value part by part, so that an array of a million elements needs no more memory
//! than one of its elements.

use bootseal_core::{Property, PropertyPath, ValuePart, VerifiedFile};
use std::io::{Result, Write};

/// Writes the parts that `parts` calls its argument with. Arrays are written in brackets, with
/// `separator` between the elements; `value` writes everything else.
pub(crate) fn write_parts(
    out: &mut dyn Write,
    separator: &str,
    value: impl Fn(&toml::Value, &mut dyn Write) -> Result<()>,
    parts: impl FnOnce(&mut dyn FnMut(ValuePart)),
) -> Result<()> {
    let (mut follows, mut done) = (false, Ok(()));
    parts(&mut |part| {
        if done.is_err() {
            return;
        }
        let gap = if follows && part != ValuePart::ArrayEnd { separator } else { "" };
        follows = part != ValuePart::ArrayStart;
        done = out.write_all(gap.as_bytes()).and_then(|()| match part {
            ValuePart::ArrayStart => out.write_all(b"["),
            ValuePart::ArrayEnd => out.write_all(b"]"),
            ValuePart::Value(part) => value(&part, out),
        });
    });
    done
}

/// The TOML of a value on one line, from its parts.
pub(crate) fn one_line(parts: impl FnOnce(&mut dyn FnMut(ValuePart))) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = write_parts(&mut text, ", ", |value, out| write!(out, "{value}"), parts);
    text
}

/// A readable value as `get` prints it: a string as it is, and anything else as TOML.
pub(crate) fn readable_text(file: &VerifiedFile, path: &PropertyPath) -> Vec<u8> {
    if file.is_text(path)
        && let Some(Property::Readable(toml::Value::String(text))) = file.property(path)
    {
        return text.into_bytes();
    }
    one_line(|each| file.parts(path, each))
}
