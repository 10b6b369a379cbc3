//! The record of removed members, each with the time up to which the member knows every value that
//! was set. An entry stays until these values are replaced.

use crate::error::Result;
use crate::file::header::{MAX_HISTORY, Removed, edit};
use crate::text::path::PropertyPath;
use crate::vault::{CanWrite, Vault};

/// The last second that can be written as a date. This is the limit of the time library, which is
/// some hours before the limit of TOML.
pub(super) const LAST_SECOND: u64 = 253_402_207_199;

/// The name of the entry that stands for the members who were removed first, if there are more than
/// 64.
const JOINED: &str = "earlier-removed-members";

impl Vault<CanWrite> {
    /// Returns the record with an added entry for each of `names`, which says that this member
    /// knows every value that is sealed now. Also returns the paths of these values.
    pub(super) fn known_by(
        &mut self,
        names: &[&str],
        now: u64,
    ) -> Result<(Vec<Removed>, Vec<PropertyPath>)> {
        self.forget_removals()?;
        let mut removed = self.file.header.removed.clone();
        let mut at = now;
        let mut exposed = Vec::new();
        for (path, opened) in self.open_all()? {
            // A wrong clock must not leave a value unmarked.
            at = at.max(opened.set_at);
            exposed.push(path);
        }
        removed.retain(|removed| !names.contains(&removed.name.as_str()));
        if !exposed.is_empty() {
            let at = at.min(LAST_SECOND);
            removed.extend(names.iter().map(|name| Removed { name: (*name).to_owned(), at }));
        }
        Ok((removed, exposed))
    }

    /// The newest date in the file, in seconds since 1970-01-01 UTC: of a sealed value or of a
    /// removal. If a clock shows an earlier time, either that clock is behind, or the clock that
    /// set this date was ahead. A value that does not open does not count.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("");
    /// use bootseal_core::{Secret, ValueKind};
    /// assert_eq!(vault.newest_date(), None);
    /// for (name, now) in [("token", 1_700_000_000), ("password", 1_600_000_000)] {
    ///     vault.set(&name.parse()?, ValueKind::Text, &Secret::copy_of(b"x")?, now)?;
    /// }
    /// assert_eq!(vault.newest_date(), Some(1_700_000_000));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn newest_date(&self) -> Option<u64> {
        // Each value is wiped before the next one is opened.
        let values =
            self.file.document.sealed().filter_map(|(path, _)| Some(self.open(&path).ok()?.set_at));
        let removals = self.file.header.removed.iter().map(|removed| removed.at);
        values.chain(removals).max()
    }

    /// Records members who know every value set up to a given time. If a name has two times, the
    /// later time is used.
    pub(crate) fn mark(&mut self, marks: impl IntoIterator<Item = (String, u64)>) -> Result<()> {
        let removed = &mut self.file.header.removed;
        for (name, at) in marks {
            let at = at.min(LAST_SECOND);
            match removed.iter_mut().find(|other| other.name == name) {
                Some(other) => other.at = other.at.max(at),
                None => removed.push(Removed { name, at }),
            }
        }
        removed.sort_by_key(|removed| removed.at);
        self.file.own = edit::set_removed(&self.file.own, removed)?.into();
        Ok(())
    }

    /// Replaces the oldest entries with one that stands for all of them, if there are more than the
    /// format allows. Otherwise, whoever adds many members could make removals impossible.
    pub(super) fn join_oldest_removals(&mut self) -> Result<()> {
        let removed = &mut self.file.header.removed;
        if removed.len() <= MAX_HISTORY {
            return Ok(());
        }
        removed.sort_by_key(|removed| removed.at);
        let (mut joined, mut named): (Vec<_>, Vec<_>) =
            removed.drain(..).partition(|removed| removed.name == JOINED);
        joined.extend(named.drain(..named.len().saturating_sub(MAX_HISTORY - 1)));
        let at = joined.iter().map(|removed| removed.at).max().unwrap_or_default();
        removed.push(Removed { name: JOINED.to_owned(), at });
        removed.extend(named);
        removed.sort_by_key(|removed| removed.at);
        self.file.own = edit::set_removed(&self.file.own, removed)?.into();
        Ok(())
    }

    /// Drops the entries of removed members who know no present value.
    pub(crate) fn forget_removals(&mut self) -> Result<()> {
        if self.file.header.removed.is_empty() {
            return Ok(());
        }
        // If a value does not open, its date is unknown, so all names stay.
        let Ok(values) = self.open_all() else { return Ok(()) };
        let oldest = values.iter().map(|(_, opened)| opened.set_at).min();
        let before = self.file.header.removed.len();
        self.file
            .header
            .removed
            .retain(|removed| oldest.is_some_and(|oldest| oldest <= removed.at));
        if self.file.header.removed.len() < before {
            self.file.own = edit::set_removed(&self.file.own, &self.file.header.removed)?.into();
        }
        Ok(())
    }
}
