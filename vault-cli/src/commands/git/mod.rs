//! `bootseal git`: checks, merges and setup in a repository.

pub(crate) mod check;
pub(crate) mod merge;
pub(crate) mod setup;
pub(crate) mod textconv;

use crate::ui::failure::{Result, unreadable};
use bootseal_core::open_source;
use std::io::Read;
use std::path::Path;

/// Reads a file that git names, of any content.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let done = open_source(path).and_then(|mut file| file.read_to_end(&mut bytes));
    done.map_err(|error| unreadable(&error).in_file(path))?;
    Ok(bytes)
}
