//! The clear text that a writer edits, which is the user's part with each sealed value as
//! `"secret:…"`. It is written for an editor, and parsed afterwards.

use crate::error::{Error, Kind, Result};
use crate::text::outline::refuse_newer_toml;
use crate::text::path::PropertyPath;
use crate::text::plain::{PlainDocument, PlainProperty};
use crate::text::sealed_text::SECRET_PREFIX;
use crate::text::toml_value::value_text;
use crate::vault::Vault;
use crate::vault::value::{OpenedValue, ValueKind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::Write;
use zeroize::{Zeroize, Zeroizing};

/// The prefix of bytes that are not text: `"secret:base64:…"`.
pub(super) const BYTES_PREFIX: &str = "base64:";

/// The text that an editor returns, which is TOML in which values to be sealed are written as
/// `"secret:…"`.
///
/// ```
/// use bootseal_core::ClearText;
///
/// let edit = ClearText::parse("[acme]\nuser = \"bob\"\npassword = \"secret:hunter2\"\n".into())?;
/// assert_eq!(edit.marked().map(ToString::to_string).collect::<Vec<_>>(), ["acme.password"]);
/// assert!(ClearText::parse("[bootseal]\nepoch = 9\n".into()).is_err());
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct ClearText {
    pub(super) document: PlainDocument,
    properties: Vec<PlainProperty>,
}

impl ClearText {
    /// Parses the text; errors have line and column, never the text itself.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it is not TOML 1.0 by the rules of the format; [`Kind::Conflict`] if
    /// it has a table `bootseal`.
    ///
    /// ```
    /// let error = bootseal_core::ClearText::parse("a = 1\nb = \n".into()).err().unwrap();
    /// assert_eq!(error.line().unwrap().0, 2);
    /// ```
    pub fn parse(text: String) -> Result<ClearText> {
        let document = PlainDocument::parse_user(text, || {
            Error::new(
                Kind::Conflict,
                "the table [bootseal] cannot be edited here: only bootseal commands change keys, access and signature",
            )
            .with_help("Remove the table from the text; `bootseal access` changes members.")
        })?;
        refuse_newer_toml(document.text())?;
        let properties = document.properties().collect();
        Ok(ClearText { document, properties })
    }

    /// The properties to be sealed, in the order of the text.
    pub fn marked(&self) -> impl Iterator<Item = &PropertyPath> {
        self.properties.iter().filter(|property| property.marked).map(|property| &property.path)
    }

    /// All properties, in the order of the text.
    pub fn names(&self) -> impl Iterator<Item = &PropertyPath> {
        self.properties.iter().map(|property| &property.path)
    }

    /// All properties with their values; the values of `marked` properties are secret.
    pub fn properties(&self) -> &[PlainProperty] {
        &self.properties
    }
}

impl<Mode> Vault<Mode> {
    /// Writes the user's part with each sealed value as `"secret:…"`, opening one value at a time.
    /// Never write it to disk.
    ///
    /// # Errors
    /// The errors of [`Vault::open`]; [`Kind::Io`] if `out` cannot be written.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("# of Acme\n[acme]\nuser = \"bob\"\n");
    /// use bootseal_core::{Secret, ValueKind};
    /// vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
    /// let mut text = Vec::new();
    /// vault.write_clear(&mut text)?;
    /// assert_eq!(text, b"# of Acme\n[acme]\nuser = \"bob\"\npassword = \"secret:hunter2\"\n");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn write_clear(&self, out: &mut impl Write) -> Result<()> {
        let io = |error: std::io::Error| {
            Error::new(Kind::Io, format!("the clear text cannot be written: {error}"))
        };
        let document = &self.file.document;
        let mut done = 0;
        for (path, span) in document.sealed() {
            let opened = self.open(&path)?;
            let mut shown = toml::Value::String([SECRET_PREFIX, &shown(&opened)].concat());
            let text = Zeroizing::new(value_text(&shown));
            if let toml::Value::String(shown) = &mut shown {
                shown.zeroize();
            }
            out.write_all(&document.text().as_bytes()[done..span.start]).map_err(io)?;
            out.write_all(text.as_bytes()).map_err(io)?;
            done = span.end;
        }
        out.write_all(&document.text().as_bytes()[done..]).map_err(io)
    }
}

/// The text after `secret:`.
pub(super) fn shown(opened: &OpenedValue) -> Zeroizing<String> {
    Zeroizing::new(opened.secret.expose(|bytes| match (opened.kind, std::str::from_utf8(bytes)) {
        (ValueKind::Text | ValueKind::Toml, Ok(text)) => text.to_owned(),
        _ => format!("{BYTES_PREFIX}{}", BASE64_STANDARD.encode(bytes)),
    }))
}
