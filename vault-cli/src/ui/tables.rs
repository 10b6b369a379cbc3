//! Tables for people: the access list of a file.

use crate::ui::review_row::{Row, cut};
use bootseal_core::{Access, Role};

/// The width of names up to which the entry that a question is about is aligned with the others.
const NARROW: usize = 24;
/// The columns of a recipient in that entry: an age recipient has 62 characters.
const LONGEST_RECIPIENT: usize = 120;

/// Shows who has access, one line for each entry: name, role and recipient.
pub(crate) fn access(access: &[Access]) -> String {
    rows(access, None).iter().map(Row::uncut).collect::<Vec<_>>().join("\n")
}

/// The same lines for a review. The entry of the member `about` is shown first and with its
/// recipient; next are the writers.
pub(crate) fn rows(access: &[Access], about: Option<&str>) -> Vec<Row> {
    let width = access.iter().map(|access| access.name.len()).max().unwrap_or_default();
    let rows = access.iter().map(|access| {
        let passphrase = if access.passphrase.is_some() { "  by passphrase" } else { "" };
        let (name, role) = (&access.name, access.role);
        if about == Some(name) {
            let width = if width > NARROW { 0 } else { width };
            let recipient = cut(&access.recipient.to_string(), LONGEST_RECIPIENT);
            return Row::fixed(format!("{name:width$}  {role}  {recipient}{passphrase}"));
        }
        Row::fixed(format!("{name:width$}  {role}  "))
            .long(access.recipient.to_string())
            .and(passphrase)
            .ranked(if role == Role::Writer { 1 } else { 2 })
    });
    rows.collect()
}
