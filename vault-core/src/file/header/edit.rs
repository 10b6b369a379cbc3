//! Edits of the text of `[bootseal]`. Each edit replaces one value and keeps comments.

use crate::error::{Error, Result};
use crate::file::header::{Access, Handover, Header, Removed};
use crate::text::outline::Outline;
use crate::text::path::BasicString;
use crate::text::toml_value::parse_toml;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::ops::Range;

impl Header {
    /// The text of a new `[bootseal]` table, without the signature line.
    pub(crate) fn to_text(&self) -> String {
        format!(
            "[bootseal]\nformat = 1\ngeneration = {}\nepoch = {}\naccess = {}\nread_key = {}\nwrite_key = {}\nvault = \"{}\"\n",
            self.generation,
            self.epoch,
            access_text(&self.access),
            block_text(&self.read_key),
            block_text(&self.write_key),
            self.vault,
        )
    }
}

/// Replaces the value of `key` in the text of `[bootseal]`; nothing else changes.
pub(crate) fn replace(text: &str, key: &str, value: &str) -> Result<String> {
    let outline = Outline::of(text)?;
    let entry = outline.entries.iter().find(|entry| entry.path == ["bootseal", key]);
    let span = entry
        .map(|entry| entry.value.clone())
        .ok_or_else(|| Error::malformed(format!("`bootseal.{key}` is missing")))?;
    Ok([&text[..span.start], value, &text[span.end..]].concat())
}

/// Appends an entry to the access list and keeps comments.
pub(crate) fn append_access(text: &str, access: &Access) -> Result<String> {
    let outline = Outline::of(text)?;
    let entry = outline.entries.iter().find(|entry| entry.path == ["bootseal", "access"]);
    let Some((span, end)) = entry.and_then(|entry| Some((entry.value.clone(), entry.array?)))
    else {
        return Err(Error::malformed("`bootseal.access` is missing"));
    };
    let close = span.end - 1;
    let comma = if end.comma_follows { "" } else { "," };
    let between = &text[end.last_element..close];
    // Keeps everything before the line of the closing bracket, including comments.
    let between = match between.rsplit_once('\n') {
        Some((kept, blanks)) if blanks.trim().is_empty() => kept,
        _ => between.trim_end_matches([' ', '\t']),
    };
    Ok(format!(
        "{}{comma}{between}\n  {},\n{}",
        &text[..end.last_element],
        access_line(access),
        &text[close..]
    ))
}

/// The span of the `index`-th entry of the access list.
fn access_entry(text: &str, index: usize) -> Result<Range<usize>> {
    let outline = Outline::of(text)?;
    let entry = outline.entries.into_iter().find(|entry| entry.path == ["bootseal", "access"]);
    let span = entry.and_then(|entry| entry.elements.get(index).cloned());
    span.ok_or_else(|| Error::malformed("`bootseal.access` is missing"))
}

/// Replaces the `index`-th entry of the access list with `access` and keeps comments.
pub(crate) fn replace_access(text: &str, index: usize, access: &Access) -> Result<String> {
    let span = access_entry(text, index)?;
    Ok([&text[..span.start], &access_line(access), &text[span.end..]].concat())
}

/// Removes the `index`-th entry from the access list. If nothing else is on its line, the whole
/// line and its comment are removed. `rest` is the remaining list.
pub(crate) fn drop_access(text: &str, index: usize, rest: &[Access]) -> Result<String> {
    let span = access_entry(text, index)?;
    let line = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let after = text[span.end..].trim_start_matches([' ', '\t']);
    let after = after.strip_prefix(',').unwrap_or(after).trim_start_matches([' ', '\t']);
    let rest_of_line = after.find('\n').unwrap_or(after.len());
    let own_line =
        text[line..span.start].trim().is_empty() && (rest_of_line == 0 || after.starts_with('#'));
    let dropped = match own_line {
        true => {
            [&text[..line], after[rest_of_line..].strip_prefix('\n').unwrap_or_default()].concat()
        }
        false => [&text[..span.start], after].concat(),
    };
    match parse_toml(&dropped) {
        Ok(_) => Ok(dropped),
        // A comma is in an unusual place, so rewrite the list.
        Err(_) => replace(text, "access", &access_text(rest)),
    }
}

/// Sets `removed` or `handover`: replaces the existing value, or adds a new key after `access`.
fn set_history(text: &str, key: &str, lines: &[String]) -> Result<String> {
    let value = match lines {
        [] => "[]".to_owned(),
        lines => {
            format!("[\n{}]", lines.iter().map(|line| format!("  {line},\n")).collect::<String>())
        }
    };
    let outline = Outline::of(text)?;
    let entry = |key: &str| outline.entries.iter().find(|entry| entry.path == ["bootseal", key]);
    match (entry(key), entry("access")) {
        (Some(_), _) => replace(text, key, &value),
        (None, _) if lines.is_empty() => Ok(text.to_owned()),
        (None, Some(access)) => {
            Ok(format!("{}{key} = {value}\n{}", &text[..access.line_end], &text[access.line_end..]))
        }
        (None, None) => Err(Error::malformed("`bootseal.access` is missing")),
    }
}

pub(crate) fn set_removed(text: &str, removed: &[Removed]) -> Result<String> {
    let lines: Result<Vec<String>> = removed
        .iter()
        .map(|removed| {
            let at =
                i64::try_from(removed.at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
            let at = at.ok_or_else(|| {
                Error::malformed("the time of a removal is outside the supported range of years")
            })?;
            Ok(format!("{{ name = \"{}\", at = {at} }}", removed.name))
        })
        .collect();
    set_history(text, "removed", &lines?)
}

pub(crate) fn set_handover(text: &str, handover: &[Handover]) -> Result<String> {
    let lines: Vec<String> = handover
        .iter()
        .map(|entry| {
            let signature = BASE64_URL_SAFE_NO_PAD.encode(entry.signature);
            format!(
                "{{ from = \"{}\", generation = {}, signature = \"{signature}\" }}",
                entry.from, entry.generation
            )
        })
        .collect();
    set_history(text, "handover", &lines)
}

fn access_text(list: &[Access]) -> String {
    let lines: String = list.iter().map(|access| format!("  {},\n", access_line(access))).collect();
    format!("[\n{lines}]")
}

fn access_line(access: &Access) -> String {
    let passphrase =
        access.passphrase.as_ref().map_or(String::new(), |how| format!(", passphrase = \"{how}\""));
    let recipient = access.recipient.to_string();
    format!(
        "{{ name = \"{}\", role = \"{}\", recipient = {}{passphrase} }}",
        access.name,
        access.role,
        BasicString(&recipient)
    )
}

/// An armored block as a TOML value.
pub(crate) fn block_text(block: &str) -> String {
    format!("\"\"\"\n{}\n\"\"\"", block.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::header::Role;
    use toml::Table;

    fn access(name: &str) -> Access {
        let recipient = crate::access::identity::Identity::generate().unwrap().recipient();
        Access::new(name, Role::Reader, recipient).unwrap()
    }

    #[test]
    fn an_added_entry_keeps_comments() {
        for (before, kept) in [
            (
                "[bootseal]\naccess = [\n  { name = \"a\" }, # the boss\n]\nvault = 1\n",
                "  { name = \"a\" }, # the boss\n",
            ),
            (
                "[bootseal]\naccess = [\n  { name = \"a\" } # the boss\n]\nvault = 1\n",
                "  { name = \"a\" }, # the boss\n",
            ),
            ("[bootseal]\naccess = [{ name = \"a\" }]\nvault = 1\n", "{ name = \"a\" },\n"),
            ("[bootseal]\naccess = [ { name = \"a\" } ]\nvault = 1\n", "{ name = \"a\" },\n"),
            (
                "[bootseal]\naccess = [\n  { name = \"a\" },\n  # last words\n]\nvault = 1\n",
                "  # last words\n",
            ),
        ] {
            let after = append_access(before, &access("b")).unwrap();
            assert!(after.contains(kept), "{after}");
            let table: Table = toml::from_str(&after).unwrap();
            assert_eq!(table["bootseal"]["access"].as_array().map(Vec::len), Some(2), "{after}");
            assert!(after.ends_with("]\nvault = 1\n"));
        }
    }
}
