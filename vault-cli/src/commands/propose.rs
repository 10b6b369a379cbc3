//! `bootseal propose`: proposes a value for a vault that the proposer need not be able to open.

use crate::cli::Propose;
use crate::commands::value::Source;
use crate::commands::value_type::Required;
use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::pins;
use crate::trust::value_name::{ValueName, whole_property};
use crate::trust::vouch::vouch;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, PrivateFile, Shown};
use serde_json::json;

pub(crate) fn run(options: &Propose, context: &mut Context<'_>) -> Result<(), Exit> {
    let source = Source {
        stdin: options.stdin.as_deref(),
        from_file: options.from_file.as_deref(),
        generate: options.generate,
        empty: options.empty,
    };
    source.refuse_typed("propose", &options.path)?;
    let name: ValueName = options.path.parse()?;
    // Nothing is opened, so no identity is needed; but an identity file may contain the pin.
    let keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    let OpenedFile { memory, mut file, .. } = locate::find_at(&options.to, keys, pins, context)?;
    vouch(&mut file, &memory, &options.to, context)?;
    let path = whole_property(&name, std::iter::once(&file))?;
    file.may_be_proposed(&path).map_err(|error| error.in_file(&options.to))?;
    if let Some(out) = options.output.as_deref().filter(|out| out.exists()) {
        let error = bootseal_core::Error::new(Kind::Exists, "exists already; nothing was changed")
            .in_file(out);
        return Err(Failure::from(error).into());
    }

    let (kind, value) = source.read(&path, context)?;
    let (kind, value) = match options.sort {
        Some(sort) => Required::from(sort).sealed(&path, &value)?,
        None => (kind, value),
    };
    let note = options.note.as_deref().unwrap_or_default();
    let proposal = file
        .propose(&path, kind, &value, note, context.now())
        .map_err(|error| error.in_file(&options.to))?;
    if let Some(out) = &options.output {
        PrivateFile::create(out, proposal.as_bytes())?;
        context.ui.note(format_args!(
            "made {}: send it to one of the vault's writers, who accepts it with bootseal accept",
            Shown::path(out)
        ));
    } else if !context.ui.style.json {
        context.ui.stdout.write_all(proposal.as_bytes()).or_else(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        })?;
    }
    if context.ui.style.json {
        let out = options.output.as_ref().map(|out| out.to_string_lossy());
        let text = if out.is_none() { Some(proposal) } else { None };
        let vault = file.vault_id().to_string();
        context.ui.document(
            &json!({ "name": path.to_string(), "vault": vault, "file": out, "proposal": text }),
        )?;
    }
    Ok(())
}
