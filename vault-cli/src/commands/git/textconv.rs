//! `bootseal git textconv`: prints a sealed file for `git diff`, with names, readable values and
//! members. Sealed values are abbreviated, so that a diff shows only whether they changed.

use crate::cli::GitTextconv;
use crate::commands::git::read;
use crate::context::Context;
use crate::ui::failure::{Exit, Result};
use crate::ui::tables;
use bootseal_core::{HandEdit, SealedFile, Shown};

pub(crate) fn run(options: &GitTextconv, context: &mut Context<'_>) -> Result<(), Exit> {
    let bytes = read(&options.file)?;
    for line in lines(&bytes) {
        context.ui.line(line)?;
    }
    Ok(())
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let verified = SealedFile::parse(bytes.to_vec()).and_then(|file| file.verify(&[]));
    let mut lines = Vec::new();
    let text = match (&verified, HandEdit::parse(bytes.to_vec())) {
        (Ok(file), _) => file.text(),
        (Err(error), Ok(edit)) => {
            lines.push(format!("# NOT VERIFIED: {}", Shown(error.what())));
            edit.text()
        }
        // A diff must show the content of any file.
        (Err(error), Err(_)) => {
            lines.push(format!("# NOT VERIFIED: {}", Shown(error.what())));
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    // The user's part, with abbreviated ciphertexts, and without key blocks and signature.
    let user = text.rfind("\n[bootseal]\n").map_or(text.as_str(), |at| &text[..at + 1]);
    let user = if text.starts_with("[bootseal]\n") { "" } else { user };
    lines.extend(user.lines().map(|line| Shown(&shortened(line)).to_string()));
    if let Ok(file) = verified {
        lines.push(format!(
            "[bootseal] {}, generation {}, epoch {}",
            file.vault_id(),
            file.generation(),
            file.epoch()
        ));
        lines.extend(tables::access(file.access()).lines().map(|line| format!("  {line}")));
        let (properties, sealed) = file.counts();
        lines.push(format!("  {properties} properties, {sealed} sealed"));
    }
    lines
}

/// Abbreviates a ciphertext to `sealed:…` and its last characters, enough to see that it changed.
/// Any quotes are accepted: a file that does not verify may be written in any way.
fn shortened(line: &str) -> String {
    const TAIL: usize = 8;
    let line = line.replace('\t', "    ");
    let mut parts = line.split("sealed:");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|next: char| !(next.is_ascii_alphanumeric() || next == '-' || next == '_'));
        let end = end.unwrap_or(part.len());
        let rest = if end > TAIL { format!("…{}", &part[end - TAIL..]) } else { part.to_owned() };
        text.push_str("sealed:");
        text.push_str(&rest);
    }
    text
}
