//! The content of many entries, read from one git process.

use crate::git::blobs::{Answer, Blobs};
use crate::git::budget::Budget;
use crate::git::objects::Entry;
use crate::git::repository::Repository;
use crate::ui::failure::Result;

/// A git process that reads one entry after the other.
pub(crate) struct Batch {
    /// `None` once the budget is spent: the content of the last blob is still in the pipe.
    blobs: Option<Blobs>,
    budget: Budget,
}

impl Batch {
    pub(crate) fn of(repository: &Repository) -> Result<Batch> {
        Ok(Batch { blobs: Some(Blobs::of(repository)?), budget: Budget::new() })
    }

    /// Whether too much was read, so that no further entry can be.
    pub(crate) fn is_spent(&self) -> bool {
        self.blobs.is_none()
    }

    /// Reads an entry; `None` if this process cannot, because the entry is too large or missing, or
    /// because too much was read.
    pub(crate) fn read(&mut self, entry: &Entry) -> Result<Option<Vec<u8>>> {
        let Some(blobs) = &mut self.blobs else { return Ok(None) };
        Ok(match blobs.read(&entry.id, &mut self.budget)? {
            Answer::Blob(bytes) => Some(bytes),
            Answer::TooLarge | Answer::Missing => None,
            Answer::Spent => {
                self.blobs = None;
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::budget::MOST_BYTES;
    use crate::git::command::git;

    #[test]
    fn content_of_a_blob_beyond_the_budget_is_not_taken_for_the_next_blob() {
        let folder = tempfile::tempdir().unwrap();
        // Its lines look like answers of git, and the first one is not text.
        let large = [&b"\xff\n"[..], &b"a blob 0\n\n".repeat(1000)].concat();
        std::fs::write(folder.path().join("large"), large).unwrap();
        std::fs::write(folder.path().join("small"), "x").unwrap();
        for args in [&["init", "-q"][..], &["add", "."]] {
            let done = git(folder.path()).unwrap().args(args).output();
            assert!(done.unwrap().status.success());
        }
        let repository = Repository::around(&folder.path().join("large")).unwrap().remove(0);
        let entry = |name: &str| repository.entry(":0", name).unwrap().unwrap();
        let mut batch = Batch::of(&repository).unwrap();
        assert_eq!(batch.read(&entry("small")).unwrap(), Some(b"x".to_vec()));
        batch.budget.spend(MOST_BYTES - 100);
        assert!(!batch.is_spent());
        for name in ["large", "small", "small"] {
            assert_eq!(batch.read(&entry(name)).unwrap(), None, "{name}");
            assert!(batch.is_spent(), "{name}");
        }
    }
}
