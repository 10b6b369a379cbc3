//! `bootseal init`: creates an empty vault, and prints its id.

use crate::cli::Init;
use crate::commands::access::own_name::own_name;
use crate::commands::keygen;
use crate::context::Context;
use crate::trust::keyring::{self, Keys};
use crate::trust::save::save;
use crate::trust::vouch::vouch;
use crate::trust::{locate, pins, plugins};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    Access, FileLock, Identity, Kind, Recipient, Role, Shown, Typed, Vault, VerifiedFile,
    some_names,
};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(options: &Init, context: &mut Context<'_>) -> Result<(), Exit> {
    let path = locate::named_file(context)?.unwrap_or_else(|| "app.sealed.toml".into());
    pins::refuse(context)?;
    refuse_existing(&path)?;
    let access = match &options.like {
        Some(like) => alike(like, options, context)?,
        None => access_list(&options.writer, &options.reader, context)?,
    };
    refuse_twice(&access)?;
    let role = role_of(options, &access, context);
    let lock = FileLock::acquire(&path)?;
    let vault = Vault::create(access, "")?;
    let file = save(vault, 0, &path, context, |text| Ok(lock.create(text).map_err(exists)?))?;
    report_created(&path, &file, context);
    let id = file.vault_id();
    let document = json!({
        "file": path.to_string_lossy(), "vault": id.to_string(), "generation": 1, "signed": true,
        "role": role, "properties": 0, "sealed": 0,
    });
    context.ui.answer(&document, id)?;
    Ok(())
}

/// The user's role in the new vault; `None` also if the user's identity cannot be read, because it
/// is only used for this report.
fn role_of(options: &Init, access: &[Access], context: &mut Context<'_>) -> Option<String> {
    if options.writer.is_empty() && options.like.is_none() {
        return Some(Role::Writer.to_string());
    }
    let stdin = context.options.identity.iter().any(|path| path == Path::new("-"));
    let keys = if stdin { None } else { Keys::find(context).ok() };
    let keys = keys?;
    let own = |access: &&Access| {
        keys.identities.iter().any(|identity| identity.may_open(&access.recipient))
            || keys.locked.iter().any(|key| *key.recipient() == access.recipient)
    };
    let mine = access.iter().filter(own).map(|access| access.role);
    mine.max_by_key(|role| *role == Role::Writer).map(|role| role.to_string())
}

/// Refuses an existing file before anything is created, such as an identity.
pub(crate) fn refuse_existing(path: &Path) -> Result<()> {
    match path.exists() {
        true => Err(exists(
            bootseal_core::Error::new(Kind::Exists, "exists already; nothing was changed")
                .in_file(path),
        )
        .into()),
        false => Ok(()),
    }
}

pub(crate) fn exists(error: bootseal_core::Error) -> bootseal_core::Error {
    match error.kind() {
        Kind::Exists => {
            error.with_help("To change it: bootseal set PATH, or bootseal seal INPUT -f FILE")
        }
        _ => error,
    }
}

/// Returns the access list of a new vault: the named members, and the user if no writer is named.
pub(crate) fn access_list(
    writers: &[String],
    readers: &[String],
    context: &mut Context<'_>,
) -> Result<Vec<Access>> {
    let mut list = Vec::new();
    for (given, role) in [(writers, Role::Writer), (readers, Role::Reader)] {
        list.extend(
            given.iter().map(|pair| named(pair, role, context)).collect::<Result<Vec<_>>>()?,
        );
    }
    if writers.is_empty() {
        let name = own_name(context)?;
        list.insert(0, Access::new(&name, Role::Writer, own_recipient(context)?)?);
    }
    Ok(list)
}

/// The recipient of the user's own identity, which is created if there is none; `None` if only a
/// plugin knows the recipient.
///
/// # Errors
/// [`Kind::NoIdentity`] if the named files contain no identity.
pub(crate) fn own_recipient(context: &mut Context<'_>) -> Result<Option<Recipient>> {
    let keys = Keys::find(context)?;
    if keys.named || keyring::own_identity_file(context).is_ok_and(|path| path.exists()) {
        let own = keys.identities.first().map(Identity::recipient);
        let own = own.or_else(|| keys.locked.first().map(|key| Some(key.recipient().clone())));
        return own.ok_or_else(|| Failure::new(Kind::NoIdentity, "no identity for the new member"));
    }
    // An SSH key that happens to exist must not become the only key of a vault.
    let path = keyring::own_identity_file(context)?;
    let made = keygen::make(&path, None)?.recipient();
    context.ui.note(format_args!(
        "you had no identity, so {} was made. Keep it: without it, nothing can be opened",
        Shown::path(&path)
    ));
    Ok(made)
}

/// Refuses options that would set the access list of a file that exists.
pub(crate) fn refuse_lists(writers: &[String], readers: &[String]) -> Result<()> {
    if writers.is_empty() && readers.is_empty() {
        return Ok(());
    }
    let text = "--writer and --reader set the access list of a new file, but this file exists";
    Err(Failure::new(Kind::Usage, text).with_help("bootseal access add NAME RECIPIENT"))
}

/// Refuses a name or a recipient that appears twice.
pub(crate) fn refuse_twice(list: &[Access]) -> Result<()> {
    for (at, access) in list.iter().enumerate() {
        let other = list[..at]
            .iter()
            .find(|other| other.name == access.name || other.recipient == access.recipient);
        if let Some(other) = other {
            let what = if other.name == access.name {
                "appears twice"
            } else {
                "has the same recipient as"
            };
            let whom =
                if other.name == access.name { String::new() } else { format!(" {}", other.name) };
            return Err(Failure::new(
                Kind::Usage,
                format!("{} {what}{whom} in access; nothing was made", access.name),
            ));
        }
    }
    Ok(())
}

fn named(pair: &str, role: Role, context: &Context<'_>) -> Result<Access> {
    let (name, recipient) = pair.split_once('=').ok_or_else(|| {
        Failure::new(Kind::Usage, format!("{} is not NAME=RECIPIENT", Typed(pair)))
    })?;
    Ok(Access::new(
        name,
        role,
        recipient.parse::<Recipient>()?.with_plugins(&plugins::at_hand(context)?),
    )?)
}

/// Copies the access list of another vault, and adds the named members. The other vault must be
/// trusted, because its list determines who can open the new vault.
fn alike(like: &Path, options: &Init, context: &mut Context<'_>) -> Result<Vec<Access>> {
    let keys = Keys::find(context)?;
    let mut found = locate::find_at(like, keys.clone(), keys.pins, context)?;
    vouch(&mut found.file, &found.memory, like, context)?;
    let mut list = found.file.access().to_vec();
    for (given, role) in [(&options.writer, Role::Writer), (&options.reader, Role::Reader)] {
        list.extend(
            given.iter().map(|pair| named(pair, role, context)).collect::<Result<Vec<_>>>()?,
        );
    }
    Ok(list)
}

/// Reports a file that was just created, and its writers.
pub(crate) fn report_created(path: &Path, file: &VerifiedFile, context: &mut Context<'_>) {
    let shown = Shown::path(path).to_string();
    let writers: Vec<&str> = file
        .access()
        .iter()
        .filter(|access| access.role == Role::Writer)
        .map(|access| access.name.as_str())
        .collect();
    context.ui.note(format_args!("made {shown}; writers: {}", some_names(&writers)));
    if let [only] = writers.as_slice() {
        context.ui.note(format_args!("{only} is the only writer: if that key is lost, nobody can change the file. To add a second one: bootseal access add NAME RECIPIENT --writer"));
    }
}
