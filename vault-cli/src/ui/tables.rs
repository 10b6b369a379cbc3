//! Tables for people: the access list of a file.

use bootseal_core::Access;

/// Shows who has access, one line for each entry: name, role and recipient.
pub(crate) fn access(access: &[Access]) -> String {
    let width = access.iter().map(|access| access.name.len()).max().unwrap_or_default();
    let rows = access.iter().map(|access| {
        let passphrase = if access.passphrase.is_some() { "  by passphrase" } else { "" };
        format!("{:width$}  {}  {}{passphrase}", access.name, access.role, access.recipient)
    });
    rows.collect::<Vec<_>>().join("\n")
}
