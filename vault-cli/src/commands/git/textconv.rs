//! `bootseal git textconv`: prints a sealed file for `git diff`, with names, readable values and
//! members. Sealed values are abbreviated, so that a diff shows only whether they changed.

use crate::cli::GitTextconv;
use crate::commands::git::read;
use crate::context::Context;
use crate::ui::failure::{Exit, Result};
use crate::ui::output::counted;
use crate::ui::tables;
use bootseal_core::{HandEdit, MAX_FILE, SealedFile, Shown, VerifiedFile};
use std::fmt::{Display, Formatter};

pub(crate) fn run(options: &GitTextconv, context: &mut Context<'_>) -> Result<(), Exit> {
    let bytes = read(&options.file)?;
    let is_cut = bytes.len() > MAX_FILE;
    let error = match SealedFile::parse(bytes.clone()).and_then(|file| file.verify(&[])) {
        Ok(file) => {
            drop(bytes);
            print(file.user_text(), context)?;
            return Ok(print_facts(&file, context)?);
        }
        Err(error) => error,
    };
    context.ui.line(format_args!("# NOT VERIFIED: {}", Shown(error.what())))?;
    // A diff must show the content of any file.
    match HandEdit::parse(bytes.clone()).map(|edit| edit.text()) {
        Ok(text) => print(&text, context)?,
        Err(_) => print(&String::from_utf8_lossy(&bytes), context)?,
    }
    if is_cut {
        context.ui.line("# The rest is not shown, because the file is larger than 16 MiB.")?;
    }
    Ok(())
}

/// Prints the user's part, with abbreviated ciphertexts, and without key blocks and signature.
fn print(text: &str, context: &mut Context<'_>) -> Result<()> {
    let user = text.rfind("\n[bootseal]\n").map_or(text, |at| &text[..at + 1]);
    let user = if text.starts_with("[bootseal]\n") { "" } else { user };
    user.lines().try_for_each(|line| context.ui.line(Shortened(line)))
}

fn print_facts(file: &VerifiedFile, context: &mut Context<'_>) -> Result<()> {
    context.ui.line(format_args!(
        "[bootseal] {}, generation {}, epoch {}",
        file.vault_id(),
        file.generation(),
        file.epoch()
    ))?;
    let access = tables::access(file.access());
    access.lines().try_for_each(|line| context.ui.line(format_args!("  {line}")))?;
    let (properties, sealed) = file.counts();
    let properties = counted(properties, "property", "properties");
    context.ui.line(format_args!("  {properties}, {sealed} sealed"))
}

/// Shows a line with each ciphertext abbreviated to `sealed:…` and its last characters, enough to
/// see that it changed. Any quotes are accepted: a file that does not verify may be written in any
/// way.
struct Shortened<'a>(&'a str);

impl Display for Shortened<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        const TAIL: usize = 8;
        for (index, part) in self.0.split("sealed:").enumerate() {
            let is_end = |next: char| !(next.is_ascii_alphanumeric() || "-_".contains(next));
            let end = part.find(is_end).unwrap_or(part.len());
            let rest = match (index, end > TAIL) {
                (0, _) => part,
                (_, true) => {
                    f.write_str("sealed:…")?;
                    &part[end - TAIL..]
                }
                (_, false) => {
                    f.write_str("sealed:")?;
                    part
                }
            };
            for (tab, text) in rest.split('\t').enumerate() {
                f.write_str(if tab > 0 { "    " } else { "" })?;
                Shown(text).fmt(f)?;
            }
        }
        Ok(())
    }
}
