//! Hand edits: files that were changed but not signed. Only the user's part is read; `[bootseal]`
//! is ignored.

use crate::disk::paths::open;
use crate::error::{Error, Kind, Result};
use crate::file::header::Header;
use crate::file::normalise::{RESOLVE, conflict_marker, text_of};
use crate::file::sealed::{SealedFile, bytes_of};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::review::changes::Changes;
use crate::text::document::Document;
use crate::text::outline::Outline;
use crate::text::path::PropertyPath;
use crate::text::shared_text::SharedText;
use std::path::Path;

/// An edited file whose user's part can be parsed. Nothing in the file is trusted, and its
/// `[bootseal]` is ignored.
///
/// ```
/// # let (alice, text) = bootseal_fixtures::sealed("timeout = \"10s\"\n");
/// use bootseal_core::{HandEdit, SealedFile};
/// let edit = HandEdit::parse(text.replace("\"10s\"", "\"20s\"").into_bytes())?;
/// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?; // the basis: the newest version that verifies
/// let mut vault = file.open_for_writing(&[alice])?;
/// let changes = vault.adopt(&edit, &[])?;
/// assert_eq!(changes.properties().next().unwrap().what(), "changed");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug, PartialEq)]
pub struct HandEdit {
    pub(crate) document: Document,
    pub(super) own: SharedText,
}

impl HandEdit {
    /// Reads an edited file.
    ///
    /// # Errors
    /// [`Kind::NotFound`] and [`Kind::Io`]; the errors of [`HandEdit::parse`].
    pub fn read(path: &Path) -> Result<HandEdit> {
        HandEdit::read_bytes(path)
            .and_then(|bytes| HandEdit::parse(bytes).map_err(|error| error.in_file(path)))
    }

    /// Reads the bytes of a file without parsing them. Like every sealed file, it must be a regular
    /// file within the size limit.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Io`].
    pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
        let open = open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
            _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
        });
        open.and_then(|mut open| bytes_of(&mut open)).map_err(|error| error.in_file(path))
    }

    /// Parses an edited text.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it is not TOML (also because of conflict markers), or if another table
    /// follows `[bootseal]`, which may be absent.
    ///
    /// ```
    /// use bootseal_core::{HandEdit, Kind};
    /// assert!(HandEdit::parse(b"timeout = \"10s\"\n".to_vec()).is_ok());
    /// assert_eq!(HandEdit::parse(b"<<<<<<< HEAD\n".to_vec()).unwrap_err().kind(), Kind::Malformed);
    /// ```
    pub fn parse(bytes: Vec<u8>) -> Result<HandEdit> {
        HandEdit::of_text(&text_of(bytes)?.into())
    }

    /// Reads a version of a file, signed or not: as a verified file, without a pin, and as a hand
    /// edit. Both share one copy of the text.
    ///
    /// # Errors
    /// The errors of [`SealedFile::parse`] and [`SealedFile::verify`] for the first, and those of
    /// [`HandEdit::parse`] for the second.
    pub fn parse_version(bytes: Vec<u8>) -> (Result<VerifiedFile>, Result<HandEdit>) {
        let text: SharedText = match text_of(bytes) {
            Ok(text) => text.into(),
            Err(error) => return (Err(error.clone()), Err(error)),
        };
        let verified = SealedFile::of_text(text.clone()).and_then(|file| file.verify(&[]));
        let edit = match &verified {
            Ok(file) => Ok(HandEdit { document: file.document.clone(), own: file.own.clone() }),
            Err(_) => HandEdit::of_text(&text),
        };
        (verified, edit)
    }

    fn of_text(text: &SharedText) -> Result<HandEdit> {
        // Markers are reported only if parsing fails, because a multi-line string may contain a
        // similar line.
        HandEdit::split(text).map_err(|error| match conflict_marker(text) {
            Some(at) => Error::malformed("contains git conflict markers")
                .at_offset(text, at)
                .with_help(RESOLVE),
            None => error,
        })
    }

    fn split(text: &SharedText) -> Result<HandEdit> {
        let outline = Outline::bounds(text)?;
        let own = outline.sections.iter().position(|section| section.path == ["bootseal"]);
        let at = match own {
            Some(at) if at + 1 == outline.sections.len() => outline.sections[at].start,
            Some(at) => {
                let next = outline.sections[at + 1].start;
                let what = "this table comes after [bootseal], which must be the last table";
                return Err(Error::malformed(what)
                    .at_offset(text, next)
                    .with_help("Move it up, above [bootseal]."));
            }
            None => text.len(),
        };
        let (user, own) = (text.part(0..at), text.part(at..text.len()));
        Ok(HandEdit { document: Document::parse_bounded(user)?, own })
    }
}

impl HandEdit {
    /// The text, with LF at the end of each line.
    pub fn text(&self) -> String {
        [self.document.text(), &self.own].concat()
    }

    /// The id of the vault that the file claims to be, which is not verified.
    pub fn claimed_vault(&self) -> Option<VaultId> {
        Header::parse(&self.own).ok().map(|header| header.vault)
    }

    /// The names of its properties, in the order of the text.
    pub fn names(&self) -> impl Iterator<Item = PropertyPath> {
        self.document.names().map(|(path, _)| path)
    }

    /// Whether it has a property of this name.
    pub fn contains(&self, path: &PropertyPath) -> bool {
        self.document.contains(path)
    }

    /// The properties and comments that changed between this text and `new`. Neither text needs a
    /// valid signature.
    ///
    /// ```
    /// use bootseal_core::HandEdit;
    /// let (old, new) = (HandEdit::parse(b"a = 1\n".to_vec())?, HandEdit::parse(b"a = 2 # why\n".to_vec())?);
    /// let changes = old.changes_to(&new);
    /// assert_eq!((changes.properties().count(), changes.comments.1), (1, vec!["# why".to_owned()]));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn changes_to(&self, new: &HandEdit) -> Changes {
        Changes::of(&self.document, &new.document, |_, _, _| false)
    }

    /// Whether `[bootseal]` differs from that of `file`, apart from the signature. An adoption
    /// ignores such differences.
    ///
    /// ```
    /// # let (_, text) = bootseal_fixtures::sealed("");
    /// use bootseal_core::{HandEdit, SealedFile};
    /// let edit = HandEdit::parse(text.replace("generation = 1", "generation = 9").into_bytes())?;
    /// let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// assert!(edit.differs_in_own_table(&file));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn differs_in_own_table(&self, file: &VerifiedFile) -> bool {
        let signed =
            |own: &str| own.rfind("signature = ").map_or(own.to_owned(), |at| own[..at].to_owned());
        signed(&self.own) != signed(&file.own)
    }
}
