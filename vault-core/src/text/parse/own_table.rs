//! Reads the table `[bootseal]`, within limits that no valid table reaches.

use crate::error::{Error, Result};
use crate::text::parse::index::{Index, Rules};
use toml::Table;

/// The values of `[bootseal]` in `text`, which contains nothing else.
pub(crate) fn own_table(text: &str) -> Result<Table> {
    let index = Index::of(text, Rules::Own)?;
    let mut table = Table::new();
    for at in 0..index.entries.len() {
        let path = index.property_path(text, at);
        let (Some(path), Some(value)) = (path, index.value(text, at)) else { continue };
        match path.segments() {
            [own, key] if own == "bootseal" => drop(table.insert(key.clone(), value)),
            // `[bootseal]` contains no tables. An empty one stands for this one, so that the reader
            // of `[bootseal]` refuses its name.
            [own, key, ..] if own == "bootseal" => {
                table.insert(key.clone(), toml::Value::Table(Table::new()));
            }
            _ => return Err(Error::malformed("the table `[bootseal]` cannot be read")),
        }
    }
    for path in index.empty_tables(text, &[]) {
        if let [own, key, ..] = path.as_slice()
            && own == "bootseal"
        {
            table.insert(key.clone(), toml::Value::Table(Table::new()));
        }
    }
    Ok(table)
}
