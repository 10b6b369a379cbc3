//! A login table as it is written into a file: with its keys in the order of a login, formatted as
//! in a manual edit.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{BasicString, CanWrite, Kind, PROFILE_KEYS, Profile, PropertyPath, Vault};
use toml::{Table, Value};
use url::Url;

/// The content of `[NAME.login]`.
#[derive(Clone)]
pub(crate) struct LoginTable(Table);

/// Tables with their own headers.
const STEPS: &[&str] = &["before", "refresh", "logout"];

impl LoginTable {
    pub(crate) fn new(table: Table) -> LoginTable {
        LoginTable(table)
    }

    /// The login table of a profile, after `like` is resolved.
    pub(crate) fn of(profile: &Profile) -> Result<LoginTable> {
        let written: Value = serde_json::from_str(profile.canonical()).map_err(|_| {
            Failure::new(Kind::Malformed, format!("the profile {} cannot be copied", profile.table))
        })?;
        match written {
            Value::Table(table) => Ok(LoginTable(table)),
            _ => Ok(LoginTable(Table::new())),
        }
    }

    pub(crate) fn insert(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Moves all addresses to another origin, for a second instance of the vendor.
    pub(crate) fn move_to(&mut self, url: &str) -> Result<()> {
        let wrong = || {
            Failure::new(Kind::Usage, "--url is not the address of a server")
                .with_help("For example: --url http://127.0.0.1:8600")
        };
        let to = Url::parse(url).ok().filter(|url| url.host().is_some()).ok_or_else(wrong)?;
        if to.path() != "/" || to.query().is_some() {
            let text = "--url is the address of a server, without a path: the paths of the profile are kept";
            return Err(Failure::new(Kind::Usage, text));
        }
        let origin = to.origin().ascii_serialization();
        let moved = |table: &mut Table| {
            if let Some(Value::String(text)) = table.get_mut("url") {
                let rest = text.split_once("://").map_or("", |(_, rest)| rest);
                *text = format!("{origin}{}", rest.find(['/', '?']).map_or("", |at| &rest[at..]));
            }
        };
        moved(&mut self.0);
        for step in STEPS {
            if let Some(Value::Table(table)) = self.0.get_mut(*step) {
                moved(table);
            }
        }
        // These keys belong to the vendor's first instance.
        for key in ["hosts", "ca", "proxy"] {
            self.0.remove(key);
        }
        Ok(())
    }

    /// Returns the text of the tables, of which `path` is the first.
    pub(crate) fn text(&self, path: &PropertyPath) -> Result<String> {
        let mut text = format!("[{path}]\n{}", lines(&self.0));
        for step in STEPS {
            if let Some(Value::Table(table)) = self.0.get(*step) {
                text.push_str(&format!("[{}]\n{}", path.child(step)?, lines(table)));
            }
        }
        Ok(text)
    }

    /// Writes the table into the file, in place of a table of the same name.
    pub(crate) fn write_to(&self, vault: &mut Vault<CanWrite>, path: &PropertyPath) -> Result<()> {
        Ok(vault.replace_table(path, &self.text(path)?)?)
    }
}

fn lines(table: &Table) -> String {
    let known = |key: &str| PROFILE_KEYS.iter().find(|known| known.name == key);
    let place = |key: &str| known(key).and_then(|known| known.order).unwrap_or(usize::MAX);
    let mut entries: Vec<_> =
        table.iter().filter(|(key, _)| !STEPS.contains(&key.as_str())).collect();
    entries.sort_by_key(|(key, _)| place(key));
    entries.into_iter().map(|(key, value)| format!("{} = {}\n", name(key), inline(value))).collect()
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text)
            if text.contains('\n') && !text.contains('\'') && !text.contains('\r') =>
        {
            format!("'''\n{text}'''")
        }
        Value::String(text) => BasicString(text).to_string(),
        Value::Array(array) => {
            format!("[{}]", array.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) => {
            let pairs =
                table.iter().map(|(key, value)| format!("{} = {}", name(key), inline(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn name(key: &str) -> String {
    PropertyPath::new(vec![key.to_owned()])
        .map_or_else(|_| BasicString(key).to_string(), |path| path.to_string())
}
