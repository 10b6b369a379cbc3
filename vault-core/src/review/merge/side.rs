//! A side of a merge, with the properties of one version and, if it is signed, its access list.

use crate::error::Result;
use crate::file::header::{Access, Removed};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::review::hand_edit::HandEdit;
use crate::text::document::Document;
use crate::text::path::PropertyPath;
use crate::vault::value::OpenedValue;
use crate::vault::{CanRead, Vault};
use bootseal_memory::Secret;

/// One version in a merge, with its properties and, if it is signed, its access list.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::file("timeout = \"10s\"\n");
/// use bootseal_core::Side;
/// let without_keys = Side::closed(&file)?;
/// let opened = Side::of(&file.open(&[alice])?)?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Side {
    pub(super) document: Document,
    pub(super) values: Vec<(PropertyPath, OpenedValue)>,
    /// The signed facts; `None` for an unsigned side, whose `[bootseal]` is ignored.
    pub(super) signed: Option<Signed>,
    /// Members who know values that only an older version could open, each with the time up to
    /// which they know values.
    pub(super) marks: Vec<(String, u64)>,
}

#[derive(Debug)]
pub(super) struct Signed {
    pub(super) vault: VaultId,
    /// The ids that were handed over to `vault`.
    pub(super) former: Vec<VaultId>,
    pub(super) access: Vec<Access>,
    pub(super) removed: Vec<Removed>,
    pub(super) generation: u64,
    pub(super) epoch: u64,
    /// The value key, if the side was opened. Two sides with the same epoch may have different
    /// keys.
    pub(super) key: Option<Secret>,
}

impl Signed {
    /// Whether the keys of this side are as new as those of `other`, or newer. A handed-over id ranks
    /// below every epoch of the id that it was handed over to.
    pub(super) fn keys_as_new_as(&self, other: &Signed) -> bool {
        match self.vault == other.vault {
            true => self.epoch >= other.epoch,
            false => self.former.contains(&other.vault),
        }
    }
}

impl Side {
    /// A side that verifies and opens.
    ///
    /// # Errors
    /// The errors of [`Vault::open`], if a value does not open.
    pub fn of<Mode>(vault: &Vault<Mode>) -> Result<Side> {
        let mut side = Side { values: vault.open_all()?, ..Side::closed(vault.file())? };
        if let Some(signed) = &mut side.signed {
            signed.key = Some(vault.key.0.clone());
        }
        Ok(side)
    }

    /// A side that verifies but that none of our identities opens. Its sealed values are compared
    /// by their text.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::Kind::Malformed) only if the file was not read from a text.
    pub fn closed(file: &VerifiedFile) -> Result<Side> {
        let header = &file.header;
        Ok(Side {
            document: file.document.clone(),
            values: Vec::new(),
            signed: Some(Signed {
                vault: header.vault,
                former: header.former_ids(),
                access: header.access.clone(),
                removed: header.removed.clone(),
                generation: header.generation,
                epoch: header.epoch,
                key: None,
            }),
            marks: Vec::new(),
        })
    }

    /// A side that does not verify. Its user's part is treated as a hand edit, and one of
    /// `versions` must contain each of its sealed values.
    ///
    /// # Errors
    /// [`Kind::MovedValue`](crate::Kind::MovedValue) if none of them contains a sealed value.
    ///
    /// ```
    /// # let (alice, text) = bootseal_fixtures::sealed("timeout = \"10s\"\n");
    /// use bootseal_core::{HandEdit, SealedFile, Side};
    /// let edit = HandEdit::parse(text.replace("\"10s\"", "\"20s\"").into_bytes())?;
    /// let vault = SealedFile::parse(text.into_bytes())?.verify(&[])?.open_for_writing(&[alice])?;
    /// let theirs = Side::of_edit(&edit, &vault, &[])?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn of_edit<Mode>(
        edit: &HandEdit,
        vault: &Vault<Mode>,
        versions: &[Vault<CanRead>],
    ) -> Result<Side> {
        let (values, marks) = edit.open_with(vault, versions)?;
        Ok(Side { document: edit.document.clone(), values, signed: None, marks })
    }

    /// An empty side, in place of a missing common version.
    pub fn empty() -> Side {
        Side { document: Document::default(), values: Vec::new(), signed: None, marks: Vec::new() }
    }
}
