//! Who may open the file, and which generation is it? The table `[bootseal]`, a text of its own at the end of the file.

use crate::access::passphrase::Derivation;
use crate::access::recipient::Recipient;
use crate::error::{Brief, Error, Kind, Result, Typed};
use crate::keys::signing::{VaultId, verify_handover};
use crate::text::document::{parse_toml, to_value};
use crate::text::outline::Outline;
use crate::text::path::BasicString;
use crate::text::table_reader::Fields;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use toml::de::DeValue;
use toml::{Table, Value};

pub(crate) const MAX_COUNT: u64 = 1 << 53;
const MAX_ACCESS: usize = 256;
/// The most removals, and the most handovers, that are kept.
pub(crate) const MAX_HISTORY: usize = 64;
const MAX_KEY_BLOCK: usize = 256 * 1024;

/// What someone in the access list may do.
///
/// ```
/// use bootseal_core::{Access, Identity, Role};
/// let web1 = Access::new("web1", Role::Reader, Identity::generate()?.recipient())?;
/// assert_eq!(web1.role.to_string(), "reader");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Open values.
    Reader,
    /// Also seal values and sign the file.
    Writer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
        })
    }
}

/// One line of the access list.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "")?.sign()?;
/// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// for line in file.access() {
///     println!("{} is a {}: {}", line.name, line.role, line.recipient);
/// }
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Letters, digits and `._@-`, at most 64.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// To whom the keys are wrapped.
    pub recipient: Recipient,
    /// How the identity follows from a passphrase, where it does.
    pub passphrase: Option<Derivation>,
}

impl Access {
    /// A line without a passphrase.
    ///
    /// # Errors
    /// [`Kind::Usage`] where `name` is not of the form `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`, or where no recipient is given: a plugin's
    /// identity does not tell its own.
    ///
    /// ```
    /// use bootseal_core::{Access, Identity, Kind, Role};
    /// let recipient = Identity::generate()?.recipient();
    /// let alice = Access::new("alice@laptop", Role::Writer, recipient.clone())?;
    /// assert_eq!(Access::new("two words", Role::Writer, recipient).unwrap_err().kind(), Kind::Usage);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn new(name: &str, role: Role, recipient: impl Into<Option<Recipient>>) -> Result<Access> {
        if !is_name(name) {
            return Err(Error::new(Kind::Usage, format!("{} is not a name for the access list", Typed(name)))
                .with_help(
                    "A name begins with a letter or digit and has letters, digits, `.`, `_`, `@`, `-`; at most 64.",
                ));
        }
        let recipient = recipient.into().ok_or_else(|| {
            Error::new(
                Kind::Usage,
                format!("the identity given for {} is a plugin's, and does not tell its recipient", Typed(name)),
            )
            .with_help("The plugin prints it when it makes the identity; name it: NAME=RECIPIENT.")
        })?;
        Ok(Access { name: name.to_owned(), role, recipient, passphrase: None })
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().enumerate().all(|(at, byte)| byte.is_ascii_alphanumeric() || at > 0 && b"._@-".contains(&byte))
}

/// Someone who was removed, and when (seconds since 1970-01-01 UTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) name: String,
    pub(crate) at: u64,
}

/// The old key's word, given at `generation`, that the vault goes on under another id: `from` of the next entry, at last the vault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) from: VaultId,
    pub(crate) generation: u64,
    pub(crate) signature: [u8; 64],
}

#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) access: Vec<Access>,
    pub(crate) removed: Vec<Removed>,
    pub(crate) handover: Vec<Handover>,
    pub(crate) read_key: String,
    pub(crate) write_key: String,
    pub(crate) vault: VaultId,
}

impl Header {
    /// Parses the text that begins with the line `[bootseal]`: exactly its keys, types and limits.
    pub(crate) fn parse(text: &str) -> Result<Header> {
        let table = parse_toml(text)?;
        let read = to_value(&DeValue::Table(table.into_inner())).and_then(|value| match value {
            Value::Table(mut outer) => outer.remove("bootseal"),
            _ => None,
        });
        let Some(Value::Table(table)) = read else {
            return Err(Error::malformed("the table `[bootseal]` cannot be read"));
        };
        let mut fields = Fields::of("bootseal", table);
        let format = fields.integer("format")?;
        match fields.required("format", format)? {
            1 => {}
            other => {
                return Err(Error::malformed(format!("format {other}; this version reads format 1"))
                    .with_help("Install the version of bootseal that wrote it, or a newer one."));
            }
        }
        let generation = count(&mut fields, "generation")?;
        let epoch = count(&mut fields, "epoch")?;
        let access = access(&mut fields)?;
        let removed = removed(&mut fields)?;
        let handover = handover(&mut fields)?;
        let read_key = key_block(&mut fields, "read_key")?;
        let write_key = key_block(&mut fields, "write_key")?;
        let vault = fields.string("vault")?;
        let vault = fields.required("vault", vault)?.parse()?;
        let signature = fields.string("signature")?;
        fields.required("signature", signature)?;
        fields.finish()?;
        Ok(Header { generation, epoch, access, removed, handover, read_key, write_key, vault })
    }

    /// Whether an unbroken chain of handovers leads from `old` to this vault.
    pub(crate) fn continues(&self, old: &VaultId) -> bool {
        let Some(start) = self.handover.iter().position(|entry| entry.from == *old) else { return false };
        let chain = &self.handover[start..];
        let next = chain[1..].iter().map(|entry| &entry.from).chain([&self.vault]);
        chain.iter().zip(next).all(|(entry, to)| verify_handover(&entry.from, entry.generation, to, &entry.signature))
    }

    /// The generation at which `old` was handed over, where the vault goes on from it.
    pub(crate) fn handed_over_at(&self, old: &VaultId) -> Option<u64> {
        self.handover.iter().find(|entry| entry.from == *old).map(|entry| entry.generation)
    }

    /// The ids from which an unbroken chain leads here, oldest first. From the end, so that each signature is verified once.
    pub(crate) fn former_ids(&self) -> Vec<VaultId> {
        let mut to = self.vault;
        let leads_on = |entry: &&Handover| {
            let verified = verify_handover(&entry.from, entry.generation, &to, &entry.signature);
            to = entry.from;
            verified
        };
        let mut ids: Vec<VaultId> = self.handover.iter().rev().take_while(leads_on).map(|entry| entry.from).collect();
        ids.reverse();
        ids
    }

    /// "alice, bob (writers), web1": for messages.
    pub(crate) fn who(&self) -> String {
        match self.names(Role::Reader) {
            readers if readers.is_empty() => format!("{} (writers)", self.writers()),
            readers => format!("{} (writers), {readers}", self.writers()),
        }
    }

    pub(crate) fn writers(&self) -> String {
        self.names(Role::Writer)
    }

    fn names(&self, role: Role) -> String {
        let names = self.access.iter().filter(|access| access.role == role).map(|access| access.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The text of a new `[bootseal]` table, with an empty place for the signature.
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

/// The recipients of `list`, of one role or of all.
pub(crate) fn recipients(list: &[Access], role: Option<Role>) -> Vec<Recipient> {
    let wanted = list.iter().filter(|access| role.is_none_or(|role| access.role == role));
    wanted.map(|access| access.recipient.clone()).collect()
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

/// Adds a line at the end of the access list; comments there stay.
pub(crate) fn append_access(text: &str, access: &Access) -> Result<String> {
    let outline = Outline::of(text)?;
    let entry = outline.entries.iter().find(|entry| entry.path == ["bootseal", "access"]);
    let Some((span, end)) = entry.and_then(|entry| Some((entry.value.clone(), entry.array?))) else {
        return Err(Error::malformed("`bootseal.access` is missing"));
    };
    let close = span.end - 1;
    let comma = if end.comma_follows { "" } else { "," };
    let between = &text[end.last_element..close];
    // Up to the line of the bracket; a comment there keeps its bytes.
    let between = match between.rsplit_once('\n') {
        Some((kept, blanks)) if blanks.trim().is_empty() => kept,
        _ => between.trim_end_matches([' ', '\t']),
    };
    Ok(format!("{}{comma}{between}\n  {},\n{}", &text[..end.last_element], access_line(access), &text[close..]))
}

/// The span of the `index`-th entry of the access list.
fn access_entry(text: &str, index: usize) -> Result<Range<usize>> {
    let outline = Outline::of(text)?;
    let entry = outline.entries.into_iter().find(|entry| entry.path == ["bootseal", "access"]);
    let span = entry.and_then(|entry| entry.elements.get(index).cloned());
    span.ok_or_else(|| Error::malformed("`bootseal.access` is missing"))
}

/// Puts `access` in the place of the `index`-th entry of the access list; comments stay.
pub(crate) fn replace_access(text: &str, index: usize, access: &Access) -> Result<String> {
    let span = access_entry(text, index)?;
    Ok([&text[..span.start], &access_line(access), &text[span.end..]].concat())
}

/// Takes the `index`-th entry out of the access list, with its line and the comment on it where the line is its own; `rest` stays.
pub(crate) fn drop_access(text: &str, index: usize, rest: &[Access]) -> Result<String> {
    let span = access_entry(text, index)?;
    let line = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let after = text[span.end..].trim_start_matches([' ', '\t']);
    let after = after.strip_prefix(',').unwrap_or(after).trim_start_matches([' ', '\t']);
    let rest_of_line = after.find('\n').unwrap_or(after.len());
    let own_line = text[line..span.start].trim().is_empty() && (rest_of_line == 0 || after.starts_with('#'));
    let dropped = match own_line {
        true => [&text[..line], after[rest_of_line..].strip_prefix('\n').unwrap_or_default()].concat(),
        false => [&text[..span.start], after].concat(),
    };
    match parse_toml(&dropped) {
        Ok(_) => Ok(dropped),
        // A comma stood where nobody puts one.
        Err(_) => replace(text, "access", &access_text(rest)),
    }
}

/// Sets `removed` or `handover`: in its place, or as a new key after `access`.
fn set_history(text: &str, key: &str, lines: &[String]) -> Result<String> {
    let value = match lines {
        [] => "[]".to_owned(),
        lines => format!("[\n{}]", lines.iter().map(|line| format!("  {line},\n")).collect::<String>()),
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
            let at = i64::try_from(removed.at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
            let at = at.ok_or_else(|| {
                Error::malformed("the time of a removal lies outside of the years that can be written")
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
            format!("{{ from = \"{}\", generation = {}, signature = \"{signature}\" }}", entry.from, entry.generation)
        })
        .collect();
    set_history(text, "handover", &lines)
}

fn access_text(list: &[Access]) -> String {
    let lines: String = list.iter().map(|access| format!("  {},\n", access_line(access))).collect();
    format!("[\n{lines}]")
}

fn access_line(access: &Access) -> String {
    let passphrase = access.passphrase.as_ref().map_or(String::new(), |how| format!(", passphrase = \"{how}\""));
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

fn count(fields: &mut Fields, key: &'static str) -> Result<u64> {
    let value = fields.integer(key)?;
    let value = fields.required(key, value)?;
    let value = u64::try_from(value).ok().filter(|value| (1..=MAX_COUNT).contains(value));
    value.ok_or_else(|| fields.error(key, "must be from 1 to 2^53"))
}

fn key_block(fields: &mut Fields, key: &'static str) -> Result<String> {
    let block = fields.string(key)?;
    let block = fields.required(key, block)?;
    if block.len() > MAX_KEY_BLOCK {
        return Err(fields.error(key, "is longer than 256 KiB"));
    }
    Ok(block)
}

fn tables(fields: &mut Fields, key: &'static str) -> Result<Option<Vec<Table>>> {
    let Some(array) = fields.array(key)? else { return Ok(None) };
    let tables = array.into_iter().map(|value| match value {
        Value::Table(table) => Ok(table),
        _ => Err(fields.error(key, "must hold tables only")),
    });
    tables.collect::<Result<Vec<_>>>().map(Some)
}

fn access(fields: &mut Fields) -> Result<Vec<Access>> {
    let tables = tables(fields, "access")?;
    let tables = fields.required("access", tables)?;
    if tables.len() > MAX_ACCESS {
        return Err(
            fields.error("access", format_args!("has {} entries; at most {MAX_ACCESS} are allowed", tables.len()))
        );
    }
    let mut list: Vec<Access> = Vec::with_capacity(tables.len());
    for table in tables {
        let mut entry = Fields::of("bootseal.access", table);
        let name = entry.string("name")?;
        let name = entry.required("name", name)?;
        if !is_name(&name) {
            return Err(entry.error(
                "name",
                format_args!("is not of the form [A-Za-z0-9][A-Za-z0-9._@-]{{0,63}}: `{}`", Brief(&name)),
            ));
        }
        let role = entry.string("role")?;
        let role = match entry.required("role", role)?.as_str() {
            "reader" => Role::Reader,
            "writer" => Role::Writer,
            _ => return Err(entry.error("role", format_args!("of {name} must be \"reader\" or \"writer\""))),
        };
        let recipient = entry.string("recipient")?;
        let recipient = Recipient::from_file(&entry.required("recipient", recipient)?);
        let passphrase = entry.string("passphrase")?;
        let known = passphrase.as_deref().map(Derivation::parse);
        let what = "must be argon2id-1:SALT or argon2id-1s:SALT, a salt of 16 bytes";
        let passphrase = match known {
            Some(None) => return Err(entry.error("passphrase", format_args!("of {name} {what}"))),
            other => other.flatten(),
        };
        entry.finish()?;
        if list.iter().any(|other| other.name == name) {
            return Err(fields.error("access", format_args!("names {name} twice")));
        }
        if let Some(other) = list.iter().find(|other| other.recipient == recipient) {
            return Err(fields.error("access", format_args!("gives {} and {name} the same recipient", other.name)));
        }
        list.push(Access { name, role, recipient, passphrase });
    }
    if !list.iter().any(|access| access.role == Role::Writer) {
        return Err(fields.error("access", "names no writer"));
    }
    Ok(list)
}

fn removed(fields: &mut Fields) -> Result<Vec<Removed>> {
    let tables = tables(fields, "removed")?.unwrap_or_default();
    if tables.len() > MAX_HISTORY {
        return Err(
            fields.error("removed", format_args!("has {} entries; at most {MAX_HISTORY} are allowed", tables.len()))
        );
    }
    let mut list = Vec::with_capacity(tables.len());
    for table in tables {
        let mut entry = Fields::of("bootseal.removed", table);
        let name = entry.string("name")?;
        let name = entry.required("name", name)?;
        if !is_name(&name) {
            return Err(entry.error("name", "is not a name of an access list"));
        }
        let at = match entry.take("at") {
            Some(Value::Datetime(at)) => {
                jiff::Timestamp::from_str(&at.to_string()).ok().and_then(|at| u64::try_from(at.as_second()).ok())
            }
            _ => None,
        };
        let at = at.ok_or_else(|| entry.error("at", "must be a date and time with an offset"))?;
        entry.finish()?;
        list.push(Removed { name, at });
    }
    Ok(list)
}

fn handover(fields: &mut Fields) -> Result<Vec<Handover>> {
    let tables = tables(fields, "handover")?.unwrap_or_default();
    if tables.len() > MAX_HISTORY {
        return Err(
            fields.error("handover", format_args!("has {} entries; at most {MAX_HISTORY} are allowed", tables.len()))
        );
    }
    let entries = tables.into_iter().map(|table| {
        let mut entry = Fields::of("bootseal.handover", table);
        let from = entry.string("from")?;
        let from = entry.required("from", from)?.parse()?;
        let generation = count(&mut entry, "generation")?;
        let signature = entry.string("signature")?;
        let signature = signature_bytes(&entry.required("signature", signature)?)
            .ok_or_else(|| entry.error("signature", "is not 64 bytes in canonical base64url"))?;
        entry.finish()?;
        Ok(Handover { from, generation, signature })
    });
    entries.collect()
}

/// 64 bytes in canonical base64url, or nothing.
pub(crate) fn signature_bytes(text: &str) -> Option<[u8; 64]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(name: &str) -> Access {
        let recipient = crate::access::identity::Identity::generate().unwrap().recipient();
        Access::new(name, Role::Reader, recipient).unwrap()
    }

    #[test]
    fn an_entry_is_added_and_comments_stay() {
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
            ("[bootseal]\naccess = [\n  { name = \"a\" },\n  # last words\n]\nvault = 1\n", "  # last words\n"),
        ] {
            let after = append_access(before, &access("b")).unwrap();
            assert!(after.contains(kept), "{after}");
            let table: Table = toml::from_str(&after).unwrap();
            assert_eq!(table["bootseal"]["access"].as_array().map(Vec::len), Some(2), "{after}");
            assert!(after.ends_with("]\nvault = 1\n"));
        }
    }

    #[test]
    fn names_are_plain() {
        for good in ["alice", "a", "web-1.example", "me@host", "1"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
