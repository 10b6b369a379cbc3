//! `bootseal keygen`: makes an age identity, and prints its recipient.

use super::write_private;
use crate::cli::Keygen;
use crate::commands::access::add::{SHORT, no_passphrase};
use crate::context::Context;
use crate::trust::keyring::{self, passphrase_from};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Identity, IdentityFile, Kind, Secret, Shown};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(options: &Keygen, context: &mut Context<'_>) -> Result<(), Exit> {
    if let Some(path) = &options.of {
        let file = if path == Path::new("-") {
            IdentityFile::from_reader(&mut context.ui.stdin)?
        } else {
            IdentityFile::read(path)?
        };
        let known = file.identities.iter().filter_map(Identity::recipient);
        let recipients: Vec<String> =
            known.chain(file.locked.iter().map(|key| key.recipient().clone())).map(|known| known.to_string()).collect();
        for plugin in file.identities.iter().filter(|identity| identity.is_plugin()) {
            context.ui.warn(format_args!(
                "of {plugin}, only the plugin knows the recipient; it prints it when it makes the identity"
            ));
        }
        context.ui.answer(&json!({ "recipients": recipients }), recipients.join("\n"))?;
        return Ok(());
    }
    let path = match &options.output {
        Some(path) => path.clone(),
        None => keyring::own_identity_file(context)?,
    };
    if path.exists() && !options.force {
        return Err(exists(&path).into());
    }
    let passphrase = match options.passphrase {
        true => Some(passphrase(&path, context)?),
        false => None,
    };
    if path.exists() {
        set_aside(&path, context)?;
    }
    let identity = make(&path, passphrase.as_ref())?;
    context.ui.note(format_args!("made {}; keep it, for nothing opens without it", Shown(&path.to_string_lossy())));
    let recipient = identity.to_string();
    context.ui.answer(&json!({ "file": path.to_string_lossy(), "recipient": recipient }), &recipient)?;
    Ok(())
}

/// Moves an identity that is to be replaced to a name of its own: what it opens may still be wanted.
fn set_aside(path: &Path, context: &mut Context<'_>) -> Result<()> {
    let mut old = path.as_os_str().to_owned();
    old.push(format!(".{}.old", context.now()));
    std::fs::rename(path, &old)
        .map_err(|error| bootseal_core::Error::new(Kind::Io, format!("cannot be set aside: {error}")).in_file(path))?;
    context.ui.note(format_args!("the identity that was there is now {}", Shown(&old.to_string_lossy())));
    Ok(())
}

/// What will lock it: from the descriptor, else typed twice.
fn passphrase(path: &Path, context: &mut Context<'_>) -> Result<Secret> {
    let passphrase = match context.passphrase_fd {
        Some(descriptor) => passphrase_from(descriptor, &mut context.ui)?,
        None if context.ui.can_ask_passphrase() => {
            context.ui.ask_secret(&format!("Passphrase of {}", Shown(&path.to_string_lossy())))?
        }
        None => return Err(no_passphrase()),
    };
    let characters =
        passphrase.expose_str(|text| text.strip_suffix('\n').unwrap_or(text).chars().count()).unwrap_or(SHORT);
    if characters == 0 {
        return Err(Failure::new(Kind::Usage, "the passphrase is empty; nothing was made"));
    }
    if characters < SHORT {
        let text = "the passphrase has fewer than 12 characters: whoever gets hold of the file can try out many";
        context.ui.warn(format_args!("{text}. Six words drawn by chance are a good one"));
    }
    Ok(passphrase)
}

/// Makes an identity at `path`, with the folders above it; never over one that is there.
pub(crate) fn make(path: &Path, passphrase: Option<&Secret>) -> Result<Identity> {
    let identity = Identity::generate()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| {
            Failure::from(bootseal_core::Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(folder))
        })?;
    }
    let text = match passphrase {
        Some(passphrase) => Secret::copy_of(identity.to_locked_text(passphrase)?.as_bytes())?,
        None => identity.to_file_text(&[])?,
    };
    write_private(path, &text).map_err(|failure| match failure.kind() {
        Kind::Exists => exists(path),
        _ => failure,
    })?;
    Ok(identity)
}

fn exists(path: &Path) -> Failure {
    let shown = Shown(&path.to_string_lossy()).to_string();
    Failure::new(Kind::Exists, format!("{shown}: exists already, and may be all that opens something; it stays as it is"))
        .with_help("Its recipient: bootseal keygen -y FILE. Another one beside it: bootseal keygen -o OTHER; in its place: --force")
}
