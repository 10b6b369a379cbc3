//! The blobs that have the form of a sealed file, whether or not their signature is valid.

use crate::git::budget::Budget;
use crate::git::history::Gap;
use crate::git::repository::Repository;
use crate::ui::failure::Result;
use bootseal_core::SealedFile;
use std::collections::HashSet;

impl Repository {
    /// Reads these blobs, and keeps the ids of those that have the form of a sealed file. Also
    /// returns why some were not read, if so.
    ///
    /// # Errors
    /// [`Kind::Io`](bootseal_core::Kind::Io) if git cannot be run.
    pub(crate) fn sealed_in_form(
        &self,
        ids: HashSet<String>,
    ) -> Result<(HashSet<String>, Option<Gap>)> {
        let mut kept = HashSet::new();
        let gap = self.each_blob(ids, &mut Budget::new(), |id, blob| {
            if SealedFile::parse(blob).is_ok() {
                kept.insert(id);
            }
        })?;
        Ok((kept, gap))
    }
}
