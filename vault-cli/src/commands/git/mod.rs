//! `bootseal git`: checks, merges and setup in a repository.

pub(crate) mod check;
pub(crate) mod merge;
pub(crate) mod setup;
pub(crate) mod textconv;

use crate::ui::failure::{Result, unreadable};
use bootseal_core::{MAX_FILE, open_source};
use std::io::Read;
use std::path::Path;

/// Reads a file that git names, of any content. Of a file that is larger than a sealed file can be,
/// reads only one byte more than the limit, which shows this.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let done =
        open_source(path).and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes));
    done.map_err(|error| unreadable(&error).in_file(path))?;
    Ok(bytes)
}
