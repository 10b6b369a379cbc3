//! The content of many entries, read from one git process.

use crate::git::blobs::{Answer, Blobs};
use crate::git::budget::Budget;
use crate::git::objects::Entry;
use crate::git::repository::Repository;
use crate::ui::failure::Result;

/// A git process that reads one entry after the other.
pub(crate) struct Batch {
    blobs: Blobs,
    budget: Budget,
}

impl Batch {
    pub(crate) fn of(repository: &Repository) -> Result<Batch> {
        Ok(Batch { blobs: Blobs::of(repository)?, budget: Budget::new() })
    }

    /// Reads an entry; `None` if this process cannot, because the entry is too large or missing, or
    /// because too much was read.
    pub(crate) fn read(&mut self, entry: &Entry) -> Result<Option<Vec<u8>>> {
        if self.budget.is_late() {
            return Ok(None);
        }
        Ok(match self.blobs.read(&entry.id, &mut self.budget)? {
            Answer::Blob(bytes) => Some(bytes),
            Answer::TooLarge | Answer::Missing | Answer::Spent => None,
        })
    }
}
