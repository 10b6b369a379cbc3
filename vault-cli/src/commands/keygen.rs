//! `bootseal keygen`: creates an age identity, and prints its recipient.

use crate::cli::Keygen;
use crate::commands::access::add::{SHORT, no_passphrase};
use crate::context::Context;
use crate::trust::keyring::{self, passphrase_from};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Identity, IdentityFile, Kind, PrivateFile, Secret, Shown, passphrase_length};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &Keygen, context: &mut Context<'_>) -> Result<(), Exit> {
    if let Some(of) = &options.of {
        let file = match of {
            Some(path) if path == Path::new("-") => {
                IdentityFile::from_reader(&mut context.ui.stdin)?
            }
            Some(path) => IdentityFile::read(path)?,
            None => IdentityFile::read(&keyring::own_identity_file(context)?)?,
        };
        let known = file.identities.iter().filter_map(Identity::recipient);
        let recipients: Vec<String> = known
            .chain(file.locked.iter().map(|key| key.recipient().clone()))
            .map(|known| known.to_string())
            .collect();
        for plugin in file.identities.iter().filter(|identity| identity.is_plugin()) {
            context.ui.warn(format_args!(
                "{plugin}: only the plugin knows the recipient; it prints the recipient when it creates the identity"
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
    let kept = path.exists().then(|| name_for_old(&path, context));
    let identity = make_keeping(&path, kept.as_deref(), passphrase.as_ref())?;
    if let Some(kept) = kept {
        context.ui.note(format_args!("the previous identity is now {}", Shown::path(&kept)));
    }
    context.ui.note(format_args!(
        "made {}; keep it: without it, nothing can be opened",
        Shown::path(&path)
    ));
    let recipient = identity.to_string();
    context
        .ui
        .answer(&json!({ "file": path.to_string_lossy(), "recipient": recipient }), &recipient)?;
    Ok(())
}

/// The free name that an identity gets when it is replaced: it may still be needed to open existing
/// files.
fn name_for_old(path: &Path, context: &Context<'_>) -> PathBuf {
    let mut second = context.now();
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{second}.old"));
        let name = PathBuf::from(name);
        if name.symlink_metadata().is_err() {
            return name;
        }
        second += 1;
    }
}

/// The passphrase of the new identity: from the descriptor, else typed twice.
fn passphrase(path: &Path, context: &mut Context<'_>) -> Result<Secret> {
    let passphrase = match context.passphrase_fd {
        Some(descriptor) => passphrase_from(descriptor, &mut context.ui)?,
        None if context.ui.can_ask_passphrase() => {
            context.ui.ask_secret(&format!("Passphrase of {}", Shown::path(path)))?
        }
        None => return Err(no_passphrase()),
    };
    let characters = passphrase_length(&passphrase)?;
    if passphrase.expose(|bytes| matches!(bytes, b"" | b"\n")) {
        return Err(Failure::new(Kind::Usage, "the passphrase is empty; nothing was made"));
    }
    if characters < SHORT {
        let text = "the passphrase has fewer than 12 characters: anyone who gets the file can guess it offline";
        context.ui.warn(format_args!("{text}. Six random words make a good passphrase"));
    }
    Ok(passphrase)
}

/// Creates an identity at `path`, with missing folders; never replaces an existing file.
pub(crate) fn make(path: &Path, passphrase: Option<&Secret>) -> Result<Identity> {
    make_keeping(path, None, passphrase)
}

/// Does the same as [`make`]; an existing file is renamed to `kept`, if that is given.
fn make_keeping(path: &Path, kept: Option<&Path>, passphrase: Option<&Secret>) -> Result<Identity> {
    let identity = Identity::generate()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| {
            Failure::from(
                bootseal_core::Error::new(Kind::Io, format!("cannot be made: {error}"))
                    .in_file(folder),
            )
        })?;
    }
    let text = match passphrase {
        Some(passphrase) => Secret::copy_of(identity.to_locked_text(passphrase)?.as_bytes())?,
        None => identity.to_file_text(&[])?,
    };
    let write = |bytes: &[u8]| match kept {
        Some(kept) => PrivateFile::create_keeping(path, kept, bytes),
        None => PrivateFile::create(path, bytes),
    };
    text.expose(write).map_err(|error| match error.kind() {
        Kind::Exists => exists(path),
        _ => error.into(),
    })?;
    Ok(identity)
}

fn exists(path: &Path) -> Failure {
    let shown = Shown::path(path).to_string();
    Failure::new(Kind::Exists, format!("{shown}: exists already, and may be the only key to a file; nothing was changed"))
        .with_help(format!("To print its recipient: bootseal keygen -y {shown}. To create another one: bootseal keygen -o OTHER; to replace it: --force"))
}
