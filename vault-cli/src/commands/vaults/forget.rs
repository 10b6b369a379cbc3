//! `bootseal vaults forget`: forgets a vault at every path, after showing who could read what is
//! sealed next.

use crate::cli::VaultsForget;
use crate::commands::vaults::list::epoch;
use crate::context::Context;
use crate::trust::memory::known_vaults;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::prompt::Consent;
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use crate::ui::tables;
use bootseal_core::{
    Kind, KnownVaults, ReadVault, RememberedFile, SealedFile, Shown, VaultId, VerifiedFile,
};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

pub(crate) fn run(options: &VaultsForget, context: &mut Context<'_>) -> Result<(), Exit> {
    let id: VaultId = options.id.parse().map_err(|error: bootseal_core::Error| {
        Failure::from(error).with_help("`bootseal vaults` shows the ids that this machine knows.")
    })?;
    let store = known_vaults(context)?;
    let known = KnownVaults::load(&store)?;
    let files: Vec<RememberedFile> = known.files().filter(|file| file.mentions(&id)).collect();
    let read = known.readings().find(|read| read.mentions(&id));
    if files.is_empty() && read.is_none() {
        return Err(Failure::new(Kind::NotFound, format!("this machine does not know {id}"))
            .with_help("bootseal vaults shows all that it knows.")
            .into());
    }
    let consent = Consent {
        shown: described(&id, &files, read.as_ref()),
        question: &format!("Forget {id}?"),
        what: "forgetting a vault",
        declined: "not forgotten",
        always: true,
    };
    context.ui.agree(consent)?;
    let changed = KnownVaults::forget(&store, &id)?;
    context.ui.note(format_args!(
        "{id} is forgotten; before anything is sealed into such a file, confirm it: bootseal vaults add --pin {id}"
    ));
    if context.ui.style.json {
        context.ui.document(&json!({ "vault": id.to_string(), "records": changed }))?;
    }
    Ok(())
}

/// Describes what is forgotten, and who can read what is sealed next into the files that are there
/// now.
fn described(id: &VaultId, files: &[RememberedFile], read: Option<&ReadVault>) -> Review {
    let mut review = Review::new(
        Row::fixed(format!("this machine forgets what it has seen of {id}:")),
        "To see all: bootseal vaults, bootseal access list.",
    );
    if let Some(read) = read {
        let text = match read.vault == *id {
            true => format!("  what was read of {id} and not confirmed"),
            false => format!("  that {} was handed over to {id}, which was read", read.vault),
        };
        review.minor("readings", Row::fixed(text));
    }
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    for file in files {
        let path = file.path();
        let shown = || Row::fixed("  ").long(Shown::path(&path).to_string());
        let numbers = match file.vault == *id {
            true => format!("generation {}, epoch {}", file.generation, epoch(file)),
            false => format!("a former id of {}", file.vault),
        };
        review.minor("paths", shown().and(format!(": {numbers}")));
        // Two paths may lead to one file.
        if !seen.insert(std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            continue;
        }
        let caption = |row: Row| row.into_caption().ranked(0);
        match present(&path) {
            Ok(now) => {
                let other = match now.vault_id() {
                    now if now == *id => String::new(),
                    now => format!("{now}, "),
                };
                let text = format!(
                    ": what is sealed next into this file ({other}generation {}, epoch {}) can be read by",
                    now.generation(),
                    now.epoch()
                );
                rows.push(caption(shown().and(text)));
                rows.extend(tables::rows(now.access(), None));
            }
            Err(why) => {
                let text = ": who can read what is sealed next is unknown, because the file there ";
                rows.push(caption(shown().and(text).long(why)));
            }
        }
    }
    review.members(rows);
    review.destination(Row::fixed(
        "Older versions are accepted again: a member who was removed since then, and is in the list, can read what is sealed next.",
    ));
    review
}

/// The file that is at the path now.
fn present(path: &Path) -> std::result::Result<VerifiedFile, String> {
    let file = SealedFile::read(path).and_then(|file| file.verify(&[]));
    file.map_err(|error| match error.kind() {
        Kind::NotFound => "is gone".to_owned(),
        _ => format!("does not verify: {}", error.what()),
    })
}
