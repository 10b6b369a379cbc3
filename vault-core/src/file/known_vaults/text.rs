//! The file format of the known vaults: TOML with one table for each sealed file.

use crate::error::{Error, Result};
use crate::file::known_vaults::{Known, KnownVaults, Seen};
use crate::keys::vault_id::VaultId;
use crate::text::path::BasicString;
use crate::text::table_reader::Fields;
use crate::text::toml_value::{parse_toml, to_value};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use toml::Value;
use toml::de::DeValue;

impl KnownVaults {
    pub(super) fn to_text(&self) -> String {
        let mut text = String::from(
            "# The vault id, generation and epoch of each sealed file, as last confirmed to bootseal.\n",
        );
        for (file, known) in &self.known {
            text.push_str(&format!(
                "\n[[file]]\npath = {}\nvault = \"{}\"\n",
                BasicString(file),
                known.vault
            ));
            text.push_str(&format!("generation = {}\n", known.generation));
            if let Some(digest) = known.text {
                text.push_str(&format!("text = \"{}\"\n", BASE64_URL_SAFE_NO_PAD.encode(digest)));
            }
            let epochs: Vec<String> =
                known.epochs.iter().map(|(id, epoch)| format!("{id} = {epoch}")).collect();
            text.push_str(&format!("epochs = {{ {} }}\n", epochs.join(", ")));
            if !known.former.is_empty() {
                text.push_str(&format!("former = [{}]\n", quoted(&known.former)));
            }
        }
        for (id, seen) in &self.seen {
            text.push_str(&format!("\n[[seen]]\nvault = \"{id}\"\n"));
            if seen.epoch > 0 {
                text.push_str(&format!("epoch = {}\n", seen.epoch));
            }
            if !seen.successors.is_empty() {
                text.push_str(&format!("successors = [{}]\n", quoted(&seen.successors)));
            }
        }
        text
    }

    /// Parses the records: those of files, by their keys, and what was only read, by id.
    pub(super) fn parse(text: &str) -> Result<(BTreeMap<String, Known>, BTreeMap<VaultId, Seen>)> {
        let Some(Value::Table(table)) = to_value(&DeValue::Table(parse_toml(text)?.into_inner()))
        else {
            return Err(Error::malformed("cannot be read"));
        };
        let mut fields = Fields::of("known_vaults", table);
        let files = fields.array("file")?.unwrap_or_default();
        let seen = fields.array("seen")?.unwrap_or_default();
        fields.finish()?;
        let known = files.into_iter().map(entry).collect::<Result<_>>()?;
        Ok((known, seen.into_iter().map(reading).collect::<Result<_>>()?))
    }
}

fn quoted(ids: &[VaultId]) -> String {
    ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ")
}

fn ids(values: Option<Vec<Value>>) -> Result<Vec<VaultId>> {
    let values = values.unwrap_or_default();
    values.iter().map(|id| id.as_str().unwrap_or_default().parse()).collect()
}

fn count(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::malformed("a negative count"))
}

fn reading(seen: Value) -> Result<(VaultId, Seen)> {
    let Value::Table(seen) = seen else {
        return Err(Error::malformed("`seen` must contain only tables"));
    };
    let mut fields = Fields::of("seen", seen);
    let vault = fields.string("vault")?;
    let vault = fields.required("vault", vault)?.parse()?;
    let epoch = count(fields.integer("epoch")?.unwrap_or_default())?;
    let successors = ids(fields.array("successors")?)?;
    fields.finish()?;
    Ok((vault, Seen { epoch, successors }))
}

fn entry(file: Value) -> Result<(String, Known)> {
    let Value::Table(file) = file else {
        return Err(Error::malformed("`file` must contain only tables"));
    };
    let mut file = Fields::of("file", file);
    let path = file.string("path")?;
    let path = file.required("path", path)?;
    let vault = file.string("vault")?;
    let vault = file.required("vault", vault)?.parse()?;
    // Older versions did not record generations.
    let generation = count(file.integer("generation")?.unwrap_or_default())?;
    let text = match file.string("text")? {
        None => None,
        Some(text) => {
            let bytes =
                BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            Some(bytes.ok_or_else(|| file.error("text", "is not 32 bytes in base64url"))?)
        }
    };
    let epochs = file.table("epochs")?.unwrap_or_default();
    let epochs = epochs
        .iter()
        .map(|(id, epoch)| Ok((id.parse()?, count(epoch.as_integer().unwrap_or(-1))?)));
    let epochs = epochs.collect::<Result<_>>()?;
    let former = ids(file.array("former")?)?;
    file.finish()?;
    Ok((path, Known { vault, generation, text, epochs, former }))
}
