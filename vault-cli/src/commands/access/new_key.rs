//! The key that `access add --new-key` makes. It is written before the sealed files, so that no member
//! without a key is in access.

use crate::context::Context;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Access, Identity, Kind, Pin, PrivateFile, Shown};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A key that was written, to a file or to stdout, before the files that it opens.
pub(super) enum NewKey {
    /// The file, and the pins in it.
    File(PathBuf, Vec<Pin>),
    /// The pins that were printed with the key. If there are several files, or if their ids change,
    /// the pins are printed after the files have been saved.
    Printed(Vec<Pin>),
}

impl NewKey {
    /// Writes the key. `pins` are those of the files before the change.
    ///
    /// # Errors
    /// [`Kind::Io`] if the key cannot be written; [`Kind::Exists`] if the file exists.
    pub(super) fn issue(
        path: &Path,
        identity: &Identity,
        pins: Vec<Pin>,
        new_ids: bool,
        context: &mut Context<'_>,
    ) -> Result<NewKey> {
        if path != Path::new("-") {
            identity.to_file_text(&pins)?.expose(|bytes| PrivateFile::create(path, bytes))?;
            return Ok(NewKey::File(path.to_path_buf(), pins));
        }
        let pins = if new_ids || pins.len() > 1 { Vec::new() } else { pins };
        let text = identity.to_file_text(&pins)?;
        let stdout = &mut context.ui.stdout;
        let written = text.expose(|bytes| stdout.write_all(bytes).and_then(|()| stdout.flush()));
        written.map_err(|error| {
            let text =
                format!("the new key cannot be written to stdout: {error}; nothing was changed");
            Failure::new(Kind::Io, text)
        })?;
        Ok(NewKey::Printed(pins))
    }

    /// Completes the key with the pins of the files that it opens.
    ///
    /// # Errors
    /// [`Kind::Io`] if a pin cannot be written.
    pub(super) fn complete(
        self,
        added: &[Pin],
        access: &Access,
        context: &mut Context<'_>,
    ) -> Result<()> {
        match self {
            // No file was changed, so the key opens nothing.
            NewKey::File(path, _) if added.is_empty() => drop(std::fs::remove_file(path)),
            NewKey::File(path, pins) => {
                // The replacement of a writer needs a pin on the new id: the former writer can still
                // sign for the old one.
                if added != pins {
                    Pin::write_into(&path, added)?;
                }
                let shown = Shown::path(&path).to_string();
                let text = format!("give it to {} only; it contains the vault's pin", access.name);
                context.ui.note(format_args!("made {shown}: {text}"));
            }
            NewKey::Printed(_) if added.is_empty() => context.ui.warn(
                "the new key on stdout opens nothing, because no file was changed: delete it",
            ),
            NewKey::Printed(pins) => {
                for pin in added.iter().filter(|pin| !pins.contains(pin)) {
                    writeln!(context.ui.stdout, "# vault: {pin}")?;
                }
                context.ui.stdout.flush()?;
            }
        }
        Ok(())
    }
}
