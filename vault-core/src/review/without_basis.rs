//! Adopts a whole edited file, including its access list, if no version of it verifies.

use crate::access::identity::Identity;
use crate::access::wrap::open_writer_keys;
use crate::error::{Error, Kind, Result};
use crate::file::header::edit::replace;
use crate::file::header::{Header, MAX_COUNT};
use crate::file::verified::{Trust, VerifiedFile};
use crate::keys::signing::id_of;
use crate::review::hand_edit::HandEdit;
use crate::text::document::Document;
use crate::vault::{CanWrite, Vault};

impl Vault<CanWrite> {
    /// Takes over a whole edited file, including its access list, if there is no version to start
    /// from. The file gets new keys for its access list, and an epoch above both `epoch` and its
    /// own, so that anyone who planted or knew the old keys cannot open the values that are sealed
    /// from then on. `signing_key` also creates a new id, for a file whose present id nothing
    /// confirms.
    ///
    /// The returned file has [`Trust::Unverified`]: the user must have reviewed all of it before
    /// continuing.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `[bootseal]` is missing or broken, or its keys do not belong
    /// together; [`Kind::NoIdentity`] if none of `identities` may write; [`Kind::MovedValue`] if a
    /// value does not open.
    ///
    /// ```
    /// # let (alice, text) = bootseal_fixtures::sealed("timeout = \"10s\"\n");
    /// use bootseal_core::{HandEdit, Trust, Vault};
    /// let edit = HandEdit::parse(text.replace("\"10s\"", "\"20s\"").into_bytes())?;
    /// let vault = Vault::without_basis(&edit, &[alice], 0, false)?;
    /// assert_eq!(vault.file().trust(), Trust::Unverified);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn without_basis(
        edit: &HandEdit,
        identities: &[Identity],
        epoch: u64,
        signing_key: bool,
    ) -> Result<Vault<CanWrite>> {
        if edit.own.is_empty() {
            return Err(Error::malformed(
                "has no table [bootseal], and there is no verified version to start from",
            )
            .with_help(
                "Name a version that verifies: bootseal sign --against FILE. To seal a plain-text file: bootseal seal",
            ));
        }
        let mut header = Header::parse(&edit.own)?;
        // No real file reaches such numbers. Close to the maximum, the next removal could be the
        // last possible one.
        if header.generation.max(header.epoch) > MAX_COUNT / 2 {
            return Err(Error::malformed(
                "`bootseal.generation` or `bootseal.epoch` is a number that no real file reaches",
            ));
        }
        header.epoch = header.epoch.max(epoch);
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
        let own = replace(&edit.own, "epoch", &header.epoch.to_string())?;
        let document = Document::parse(edit.document.text().to_owned())?;
        let file = VerifiedFile {
            document,
            own: own.into(),
            header,
            trust: Trust::Unverified,
            handed_over_from: None,
            file: None,
        };
        let mut vault = Vault::for_writer(file, seed, data_key)?;
        vault.rotate(signing_key)?;
        Ok(vault)
    }
}
