//! The sealed file before it is trusted. Its form is checked first, then the signature, and then
//! the vault id in the pin. Only then is the file parsed as TOML, and the lowest generation in the
//! pin is checked.
//!
//! If the id is not the pinned id, only the `[bootseal]` table is parsed, to follow the handovers.

use crate::disk::lock::FileLock;
use crate::disk::paths::open;
use crate::error::{Error, Kind, Result};
use crate::file::header::Header;
use crate::file::header::read::signature_bytes;
use crate::file::normalise::{MAX_FILE, RESOLVE, conflict_marker, text_of};
use crate::file::verified::{Trust, VerifiedFile};
use crate::keys::pin::{Pin, check_vault, deciding};
use crate::keys::signing::verify;
use crate::keys::vault_id::VaultId;
use crate::text::document::Document;
use crate::text::outline::Outline;
use crate::text::shared_text::SharedText;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The maximum size of `[bootseal]`: two key blocks of 256 KiB, 256 access entries, and the rest of
/// the header.
const MAX_OWN_PART: usize = 2 << 20;

const EDITED: &str = "None of its values was used. If you changed the file yourself: bootseal sign. If not, restore the last good version (git checkout), and find out who changed it.";

const BRING_BACK: &str = "Restore the last good version from git or a backup.";

/// A file whose size, bytes and last two lines have the form of a sealed file. It is not parsed
/// yet, and nothing in it is trusted.
///
/// ```
/// # let (_, text) = bootseal_fixtures::sealed("");
/// let file = bootseal_core::SealedFile::parse(text.into_bytes())?;
/// println!("claims to be {}", file.claimed_vault());
/// let file = file.verify(&[])?; // verifies that claim
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SealedFile {
    text: SharedText,
    /// The offset of `signature = `.
    signed: usize,
    vault: VaultId,
    signature: [u8; 64],
    file: Option<PathBuf>,
}

impl SealedFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be read or is not a regular file, [`Kind::NotFound`] if there is
    /// none, and the errors of [`SealedFile::parse`].
    pub fn read(path: &Path) -> Result<SealedFile> {
        let open = open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file")
                .with_help("`bootseal init` creates an empty vault; `bootseal seal INPUT` creates one from a settings file."),
            _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
        });
        let file = open
            .and_then(|mut open| SealedFile::from_open(&mut open))
            .map_err(|error| error.in_file(path))?;
        Ok(file.at(path))
    }

    pub(crate) fn at(self, path: &Path) -> SealedFile {
        SealedFile { file: Some(path.to_path_buf()), ..self }
    }

    pub(crate) fn from_open(open: &mut File) -> Result<SealedFile> {
        SealedFile::parse(bytes_of(open)?)
    }

    /// Checks the size, the bytes, and the form of the last two lines.
    ///
    /// CR LF becomes LF, and a missing final newline is added. A sealed file is normalised only
    /// here, and only the resulting text is used from then on.
    ///
    /// # Errors
    /// [`Kind::Malformed`]; the message gives the reason.
    ///
    /// ```
    /// use bootseal_core::{Kind, SealedFile};
    /// let error = SealedFile::parse(b"\xEF\xBB\xBF[a]\n".to_vec()).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Malformed);
    /// assert!(error.to_string().contains("byte order mark"));
    /// ```
    pub fn parse(bytes: Vec<u8>) -> Result<SealedFile> {
        let text = text_of(bytes).map_err(|error| error.or_help(BRING_BACK))?;
        SealedFile::of_text(text.into())
    }

    /// Like `parse`, for a text that is normalised already.
    pub(crate) fn of_text(text: SharedText) -> Result<SealedFile> {
        SealedFile::of_shape(text).map_err(|error| error.or_help(BRING_BACK))
    }

    fn of_shape(text: SharedText) -> Result<SealedFile> {
        let unsealed = || {
            if conflict_marker(&text).is_some() {
                return Error::malformed("contains git conflict markers").with_help(RESOLVE);
            }
            Error::malformed("not a sealed file: its last two lines are not `vault = \"…\"` and `signature = \"…\"`")
                .with_help("To seal a settings file: bootseal seal. Restore a truncated or edited sealed file from git.")
        };
        let signed = text[..text.len() - 1].rfind('\n').ok_or_else(unsealed)? + 1;
        let vault_line = text[..signed - 1].rfind('\n').map_or(0, |newline| newline + 1);
        let quoted = |line: &str, key: &str| {
            Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix("\"\n")?.to_owned())
        };
        let vault = quoted(&text[vault_line..signed], "vault").ok_or_else(unsealed)?;
        let signature = quoted(&text[signed..], "signature").ok_or_else(unsealed)?;
        let vault = vault.parse().map_err(|error: Error| error.at_offset(&text, vault_line))?;
        let signature = signature_bytes(&signature).ok_or_else(|| {
            Error::malformed("the signature is not 64 bytes in canonical base64url")
                .at_offset(&text, signed)
        })?;
        Ok(SealedFile { text, signed, vault, signature, file: None })
    }

    /// The id that the file claims; [`SealedFile::verify`] checks it.
    pub fn claimed_vault(&self) -> VaultId {
        self.vault
    }

    /// Verifies the signature and, if there are pins, the vault id. Then parses the file, and
    /// checks the lowest generation in the pin. If the id is not a pinned id, only the `[bootseal]`
    /// table is parsed, to follow the handovers.
    ///
    /// # Errors
    /// [`Kind::Forged`] if the signature is not valid; [`Kind::WrongVault`] if there are pins, and
    /// none of them names this vault or one of its former ids; [`Kind::OldGeneration`] if the
    /// generation is below the lowest generation in the pin; [`Kind::Malformed`] if the signed text
    /// is not a sealed file by the rules of format 1.
    ///
    /// ```
    /// # let (_, text) = bootseal_fixtures::sealed("user = \"bob\"\n");
    /// use bootseal_core::{Kind, Pin, SealedFile, Trust};
    /// let forged = text.replace("bob", "eve");
    /// let error = SealedFile::parse(forged.into_bytes())?.verify(&[]).unwrap_err();
    /// assert_eq!(error.kind(), Kind::Forged);
    ///
    /// let file = SealedFile::parse(text.into_bytes())?;
    /// let pin = Pin::from(file.claimed_vault()); // in practice from a setting or a key file
    /// assert_eq!(file.verify(&[pin])?.trust(), Trust::Pinned);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn verify(self, pins: &[Pin]) -> Result<VerifiedFile> {
        self.verify_signature()?.under(pins)
    }

    /// Verifies only the signature, which shows that the vault that the text names has signed it. A
    /// caller with several keys, each with its own pins, verifies once and then calls
    /// [`SignedFile::under`] for each key.
    ///
    /// # Errors
    /// [`Kind::Forged`] if the signature is not valid.
    pub fn verify_signature(self) -> Result<SignedFile> {
        let held = verify(&self.vault, &self.text[..self.signed], &self.signature);
        held.map_err(|error| {
            let help = if conflict_marker(&self.text).is_some() { RESOLVE } else { EDITED };
            placed(error.with_help(help), self.file.as_deref())
        })?;
        Ok(SignedFile(self))
    }

    fn check_pins(self, pins: &[Pin]) -> Result<VerifiedFile> {
        let Err(foreign) = check_vault(pins, &self.vault) else { return self.read_verified(pins) };
        // The id is not the pinned id. It is the same vault only if this text contains an unbroken
        // chain of handovers from the pinned id. Anyone may have signed the text, so only the parts
        // that the chain needs are parsed.
        if !self.header().is_some_and(|header| pins.iter().any(|pin| header.continues(&pin.vault)))
        {
            return Err(foreign);
        }
        let claimed = self.vault.into();
        let Ok(mut file) = self.read_verified(&[claimed]) else { return Err(foreign) };
        let old = deciding(pins, &file.header.vault, |id| file.header.continues(id));
        let Some(old) = old else { return Err(foreign) };
        old.check_floor(file.header.generation)?;
        file.handed_over_from = Some(old.vault);
        Ok(file)
    }

    /// The table `[bootseal]` alone; `None` if it is not valid.
    fn header(&self) -> Option<Header> {
        let own = self.own_part()?;
        Outline::bounds(own).and_then(|_| Header::parse(own)).ok()
    }

    /// The text from the line `[bootseal]` to the end, unparsed. Returns `None` if there is no such
    /// line, or if the text is larger than a valid table can be.
    fn own_part(&self) -> Option<&str> {
        let start = self.text.rfind("\n[bootseal]\n").map_or(0, |newline| newline + 1);
        Some(&self.text[start..])
            .filter(|own| own.starts_with("[bootseal]\n") && own.len() <= MAX_OWN_PART)
    }

    fn read_verified(self, pins: &[Pin]) -> Result<VerifiedFile> {
        let trust = if pins.is_empty() { Trust::Unverified } else { Trust::Pinned };

        let outline = Outline::bounds(&self.text)?;
        let misplaced = || {
            Error::malformed(
                "the table `[bootseal]` must occur once, as the last table of the file, with only its header on the line",
            )
        };
        let last = outline
            .sections
            .last()
            .filter(|section| section.path == ["bootseal"] && !section.array)
            .ok_or_else(misplaced)?;
        if !self.text[last.start..].starts_with("[bootseal]\n") {
            return Err(misplaced());
        }
        let (user, own) =
            (self.text.part(0..last.start), self.text.part(last.start..self.text.len()));
        let header =
            Header::parse(&own).map_err(|error| error.below(user.matches('\n').count()))?;
        if header.vault != self.vault {
            return Err(misplaced());
        }
        let document = Document::parse_bounded(user)?;
        if let Some(pin) = deciding(pins, &self.vault, |_| false) {
            pin.check_floor(header.generation)?;
        }
        Ok(VerifiedFile { document, own, header, trust, handed_over_from: None, file: self.file })
    }
}

impl FileLock {
    /// Reads the current file.
    ///
    /// # Errors
    /// As [`SealedFile::read`].
    pub fn read(&self) -> Result<SealedFile> {
        let open = self.open().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
            _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
        });
        let file = open
            .and_then(|mut open| SealedFile::from_open(&mut open))
            .map_err(|error| error.in_file(self.asked()))?;
        Ok(file.at(self.asked()))
    }
}

fn placed(error: Error, file: Option<&Path>) -> Error {
    let error = if error.kind() == Kind::Malformed { error.or_help(BRING_BACK) } else { error };
    error.in_file_if(file)
}

/// A sealed file whose signature is valid. It has not been checked yet whether its vault is the
/// intended vault.
#[derive(Clone, Debug)]
pub struct SignedFile(SealedFile);

impl SignedFile {
    /// The table `[bootseal]`, if it is the valid table of the vault that signed the text.
    pub(super) fn own_header(&self) -> Option<Header> {
        self.0.header().filter(|header| header.vault == self.0.vault)
    }

    /// The SHA-256 of the signed text.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0.text[..self.0.signed]).into()
    }

    /// The id of the vault that signed the file.
    pub fn vault_id(&self) -> VaultId {
        self.0.vault
    }

    /// The generation in the file. Only the table `[bootseal]` is parsed; `None` if it is not valid.
    ///
    /// ```
    /// # let (_, text) = bootseal_fixtures::sealed("");
    /// let signed = bootseal_core::SealedFile::parse(text.into_bytes())?.verify_signature()?;
    /// assert_eq!(signed.generation(), Some(1));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn generation(&self) -> Option<u64> {
        self.own_header().map(|header| header.generation)
    }

    /// Whether an unbroken chain of handovers leads from `old` to this vault. Only the table
    /// `[bootseal]` is parsed.
    pub(crate) fn continues(&self, old: &VaultId) -> bool {
        self.own_header().is_some_and(|header| header.continues(old))
    }

    /// Checks the vault against `pins`, if there are any, and then parses the file.
    ///
    /// # Errors
    /// The errors of [`SealedFile::verify`], except [`Kind::Forged`].
    pub fn under(self, pins: &[Pin]) -> Result<VerifiedFile> {
        let file = self.0.file.clone();
        self.0.check_pins(pins).map_err(|error| placed(error, file.as_deref()))
    }
}

/// Reads a regular file, up to one byte beyond the size limit, so that an oversized file is
/// detected.
pub(crate) fn bytes_of(open: &mut File) -> Result<Vec<u8>> {
    use std::io::Read;
    let failed = |error: std::io::Error| Error::new(Kind::Io, format!("cannot be read: {error}"));
    let meta = open.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::new(Kind::Io, "is not a regular file"));
    }
    let expected = usize::try_from(meta.len()).unwrap_or(usize::MAX).min(MAX_FILE);
    let mut bytes = Vec::with_capacity(expected + 1);
    open.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
