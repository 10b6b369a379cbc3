//! `bootseal vaults`: lists the known vaults of this machine.

use crate::context::Context;
use crate::trust::memory::known_vaults;
use crate::ui::failure::{Exit, Result};
use bootseal_core::{KnownVaults, MOST_NAMES, ReadVault, RememberedFile, Shown, and_more};
use serde_json::{Value, json};

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let known = KnownVaults::load(&known_vaults(context)?)?;
    let files: Vec<RememberedFile> = known.files().collect();
    let readings: Vec<ReadVault> = known.readings().collect();
    let document = json!({
        "vaults": files.iter().map(document).collect::<Vec<_>>(),
        "read": readings.iter().map(read_document).collect::<Vec<_>>(),
    });
    if files.is_empty() && readings.is_empty() && !context.ui.style.json {
        context.ui.note("this machine knows no vault yet; to add one: bootseal vaults add");
        return Ok(());
    }
    // A pipe gets all of them, so that a program can search in them.
    let most = if context.ui.stdout_is_terminal { MOST_NAMES } else { usize::MAX };
    let all = files.iter().map(text).chain(readings.iter().map(read_text));
    let mut text: Vec<String> = all.take(most).collect();
    let more = and_more((files.len() + readings.len()).saturating_sub(most));
    text.extend(more.map(|more| format!("{more} vaults: bootseal vaults | less")));
    Ok(context.ui.answer(&document, text.join("\n"))?)
}

fn document(file: &RememberedFile) -> Value {
    let former: Vec<String> = file.former.iter().map(ToString::to_string).collect();
    json!({
        "path": file.path().to_string_lossy(), "vault": file.vault.to_string(),
        "generation": file.generation, "epoch": epoch(file), "former": former,
    })
}

fn read_document(read: &ReadVault) -> Value {
    let successors: Vec<String> = read.successors.iter().map(ToString::to_string).collect();
    json!({ "vault": read.vault.to_string(), "epoch": read.epoch, "successors": successors })
}

fn read_text(read: &ReadVault) -> String {
    let mut lines = vec![format!("read, but not confirmed: {}", read.vault)];
    if read.epoch > 0 {
        lines.push(format!("  epoch {}", read.epoch));
    }
    lines.extend(read.successors.iter().map(|id| format!("  handed over to {id}")));
    lines.join("\n")
}

fn text(file: &RememberedFile) -> String {
    let present = match file.former.contains(&file.vault) {
        true => "  its vault was forgotten; only former ids are known".to_owned(),
        false => format!("  {}  generation {}, epoch {}", file.vault, file.generation, epoch(file)),
    };
    let mut lines = vec![Shown::path(&file.path()).to_string(), present];
    lines.extend(file.former.iter().map(|id| format!("  formerly {id}")));
    lines.join("\n")
}

/// The highest epoch seen of the file's present id.
pub(super) fn epoch(file: &RememberedFile) -> u64 {
    file.epochs.get(&file.vault).copied().unwrap_or_default()
}
