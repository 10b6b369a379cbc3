//! Keys and values of YAML, written so that every version of YAML reads the same.

use bootseal_core::is_hidden;
use std::io::{self, Write};
use toml::Value;

pub(super) fn yaml_key(key: &str, out: &mut dyn Write) -> io::Result<()> {
    // Words that some YAML versions read as a boolean or null if they are not quoted.
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && !WORDS.iter().any(|word| key.eq_ignore_ascii_case(word));
    if plain {
        return out.write_all(key.as_bytes());
    }
    // YAML requires the indicator `?` before a key this long.
    if key.len() > 256 {
        out.write_all(b"? ")?;
    }
    yaml_text(key, out)?;
    out.write_all(if key.len() > 256 { b"\n" } else { b"" })
}

pub(super) fn yaml_value(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    match value {
        Value::String(inner) => yaml_text(inner, out),
        Value::Integer(integer) => write!(out, "{integer}"),
        Value::Boolean(boolean) => write!(out, "{boolean}"),
        Value::Float(float) if float.is_nan() => write!(out, ".nan"),
        Value::Float(float) if float.is_infinite() => {
            write!(out, "{}.inf", if *float < 0.0 { "-" } else { "" })
        }
        Value::Float(float) => {
            // YAML 1.1 requires a point, and a sign in the exponent.
            let written = format!("{float:?}");
            match written.split_once('e') {
                Some((mantissa, exponent)) => {
                    let point = if mantissa.contains('.') { "" } else { ".0" };
                    let sign = if exponent.starts_with('-') { "" } else { "+" };
                    write!(out, "{mantissa}{point}e{sign}{exponent}")
                }
                None => write!(out, "{written}"),
            }
        }
        Value::Datetime(time) => yaml_text(&time.to_string(), out),
        Value::Array(elements) => {
            out.write_all(b"[")?;
            for (index, element) in elements.iter().enumerate() {
                out.write_all(if index > 0 { b", " } else { b"" })?;
                yaml_value(element, out)?;
            }
            out.write_all(b"]")
        }
        Value::Table(table) => {
            out.write_all(b"{")?;
            for (index, (key, value)) in table.iter().enumerate() {
                out.write_all(if index > 0 { b", " } else { b"" })?;
                yaml_text(key, out)?;
                out.write_all(b": ")?;
                yaml_value(value, out)?;
            }
            out.write_all(b"}")
        }
    }
}

pub(super) fn yaml_text(inner: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    for next in inner.chars() {
        match next {
            '"' | '\\' => write!(out, "\\{next}"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\r' => write!(out, "\\r"),
            // Also characters that YAML does not allow unescaped: U+FEFF, U+FFFE, U+FFFF, U+0085,
            // U+2028.
            other
                if is_hidden(other)
                    || matches!(
                        other,
                        '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'
                    ) =>
            {
                match u32::from(other) {
                    code @ 0..=0xFFFF => write!(out, "\\u{code:04X}"),
                    code => write!(out, "\\U{code:08X}"),
                }
            }
            other => write!(out, "{other}"),
        }?;
    }
    out.write_all(b"\"")
}
