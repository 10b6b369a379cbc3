//! Adopts a whole edited file, including its access list, if no version of it verifies.

use crate::access::identity::Identity;
use crate::access::wrap::open_writer_keys;
use crate::error::{Error, Kind, Result};
use crate::file::header::{Header, MAX_REAL};
use crate::file::verified::{Trust, VerifiedFile};
use crate::keys::signing::id_of;
use crate::review::hand_edit::HandEdit;
use crate::text::document::Document;
use crate::text::host::refuse_unclear_hosts;
use crate::vault::{CanWrite, Vault};

impl Vault<CanWrite> {
    /// Takes over a whole edited file, including its access list, if there is no version to start
    /// from and nothing confirms its vault. The file gets a new id, which starts at epoch 1, and new
    /// keys for its access list, so that anyone who planted or knew the old keys can neither sign
    /// the file nor open the values that are sealed from then on.
    ///
    /// The returned file has [`Trust::Unverified`]: the user must have reviewed all of it before
    /// continuing.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `[bootseal]` is missing or broken, or its keys do not belong
    /// together; [`Kind::NoIdentity`] if none of `identities` may write; [`Kind::MovedValue`] if a
    /// value does not open; [`Kind::Conflict`] if a host in a settings table is not written in ASCII.
    ///
    /// ```
    /// # let (alice, text) = bootseal_fixtures::sealed("timeout = \"10s\"\n");
    /// use bootseal_core::{HandEdit, Trust, Vault};
    /// let edit = HandEdit::parse(text.replace("\"10s\"", "\"20s\"").into_bytes())?;
    /// let vault = Vault::without_basis(&edit, &[alice])?;
    /// assert_eq!(vault.file().trust(), Trust::Unverified);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn without_basis(edit: &HandEdit, identities: &[Identity]) -> Result<Vault<CanWrite>> {
        if edit.own.is_empty() {
            return Err(Error::malformed(
                "has no table [bootseal], and there is no verified version to start from",
            )
            .with_help(
                "Name a version that verifies: bootseal sign --against FILE. To seal a plain-text file: bootseal seal",
            ));
        }
        let header = Header::parse(&edit.own)?;
        // Nothing confirms this number, and close to the maximum, the next write could be the last
        // possible one.
        if header.generation > MAX_REAL {
            return Err(Error::malformed(
                "`bootseal.generation` is a number that no real file reaches",
            ));
        }
        let Some((seed, data_key)) =
            open_writer_keys(&header.write_key, &header.read_key, identities)?
        else {
            return Err(Error::new(Kind::NoIdentity, "none of your identities is a writer")
                .with_help(format!("Writers: {}.", header.writers())));
        };
        if id_of(&seed) != header.vault {
            return Err(Error::malformed(
                "`write_key` does not contain the signing seed of this vault",
            ));
        }
        let document = Document::parse(edit.document.text().to_owned())?;
        refuse_unclear_hosts(&Document::default(), &document)?;
        let file = VerifiedFile {
            document,
            own: edit.own.clone(),
            header,
            trust: Trust::Unverified,
            handed_over_from: None,
            file: None,
        };
        let mut vault = Vault::for_writer(file, seed, data_key)?;
        vault.rotate(true)?;
        Ok(vault)
    }
}
