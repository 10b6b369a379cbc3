//! The parser of `[bootseal]`, which checks keys, types and limits.

use crate::access::passphrase::Derivation;
use crate::access::recipient::Recipient;
use crate::error::{Error, Result};
use crate::file::header::{
    Access, Handover, Header, MAX_COUNT, MAX_HISTORY, Removed, Role, is_name,
};
use crate::shown::Brief;
use crate::text::parse::own_table::own_table;
use crate::text::table_reader::Fields;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::str::FromStr;
use toml::{Table, Value};

const MAX_ACCESS: usize = 256;
const MAX_KEY_BLOCK: usize = 256 * 1024;

impl Header {
    /// Parses the text that begins with the line `[bootseal]`, and checks keys, types and limits.
    pub(crate) fn parse(text: &str) -> Result<Header> {
        let mut fields = Fields::of("bootseal", own_table(text)?);
        let format = fields.integer("format")?;
        match fields.required("format", format)? {
            1 => {}
            other => {
                return Err(Error::malformed(format!(
                    "format {other} is not supported: this version reads format 1"
                ))
                .with_help(
                    "Install the version of bootseal that wrote the file, or a newer version.",
                ));
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
        _ => Err(fields.error(key, "must contain only tables")),
    });
    tables.collect::<Result<Vec<_>>>().map(Some)
}

fn access(fields: &mut Fields) -> Result<Vec<Access>> {
    let tables = tables(fields, "access")?;
    let tables = fields.required("access", tables)?;
    if tables.len() > MAX_ACCESS {
        return Err(fields.error(
            "access",
            format_args!("has {} entries; at most {MAX_ACCESS} are allowed", tables.len()),
        ));
    }
    let mut list: Vec<Access> = Vec::with_capacity(tables.len());
    for table in tables {
        let mut entry = Fields::of("bootseal.access", table);
        let name = entry.string("name")?;
        let name = entry.required("name", name)?;
        if !is_name(&name) {
            return Err(entry.error(
                "name",
                format_args!(
                    "is not of the form [A-Za-z0-9][A-Za-z0-9._@-]{{0,63}}: `{}`",
                    Brief(&name)
                ),
            ));
        }
        let role = entry.string("role")?;
        let role = match entry.required("role", role)?.as_str() {
            "reader" => Role::Reader,
            "writer" => Role::Writer,
            _ => {
                return Err(
                    entry.error("role", format_args!("of {name} must be \"reader\" or \"writer\""))
                );
            }
        };
        let recipient = entry.string("recipient")?;
        let recipient = Recipient::from_file(&entry.required("recipient", recipient)?);
        let passphrase = entry.string("passphrase")?;
        let known = passphrase.as_deref().map(Derivation::parse);
        let what = "must be argon2id-1:SALT or argon2id-1s:SALT, with a salt of 16 bytes";
        let passphrase = match known {
            Some(None) => return Err(entry.error("passphrase", format_args!("of {name} {what}"))),
            other => other.flatten(),
        };
        entry.finish()?;
        if list.iter().any(|other| other.name == name) {
            return Err(fields.error("access", format_args!("names {name} twice")));
        }
        if let Some(other) = list.iter().find(|other| other.recipient == recipient) {
            return Err(fields.error(
                "access",
                format_args!("gives {} and {name} the same recipient", other.name),
            ));
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
        return Err(fields.error(
            "removed",
            format_args!("has {} entries; at most {MAX_HISTORY} are allowed", tables.len()),
        ));
    }
    let mut list = Vec::with_capacity(tables.len());
    for table in tables {
        let mut entry = Fields::of("bootseal.removed", table);
        let name = entry.string("name")?;
        let name = entry.required("name", name)?;
        if !is_name(&name) {
            return Err(entry.error("name", "is not a valid name for the access list"));
        }
        let at = match entry.take("at") {
            Some(Value::Datetime(at)) => jiff::Timestamp::from_str(&at.to_string())
                .ok()
                .and_then(|at| u64::try_from(at.as_second()).ok()),
            _ => None,
        };
        let at = at.ok_or_else(|| {
            entry.error(
                "at",
                "must be a date and time with an offset, from 1970-01-01T00:00:00Z to \
                 9999-12-30T22:00:00Z",
            )
        })?;
        entry.finish()?;
        list.push(Removed { name, at });
    }
    Ok(list)
}

fn handover(fields: &mut Fields) -> Result<Vec<Handover>> {
    let tables = tables(fields, "handover")?.unwrap_or_default();
    if tables.len() > MAX_HISTORY {
        return Err(fields.error(
            "handover",
            format_args!("has {} entries; at most {MAX_HISTORY} are allowed", tables.len()),
        ));
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

/// Decodes 64 bytes from canonical base64url.
pub(crate) fn signature_bytes(text: &str) -> Option<[u8; 64]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
