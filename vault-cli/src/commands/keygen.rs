//! `bootseal keygen`: makes an age identity, and prints its recipient.

use super::write_private;
use crate::cli::Keygen;
use crate::exit::{Done, Failure, Result};
use crate::output::Style;
use crate::world::World;
use bootseal_core::{Identity, IdentityFile, Kind, Shown};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(options: &Keygen, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    if let Some(path) = &options.of {
        let file = if path == Path::new("-") {
            IdentityFile::from_reader(&mut world.stdin)?
        } else {
            IdentityFile::read(path)?
        };
        let known = file.identities.iter().filter_map(Identity::recipient);
        let recipients: Vec<String> =
            known.chain(file.locked.iter().map(|key| key.recipient().clone())).map(|known| known.to_string()).collect();
        for plugin in file.identities.iter().filter(|identity| identity.is_plugin()) {
            world.warn(
                style,
                format_args!(
                    "of {plugin}, only the plugin knows the recipient; it prints it when it makes the identity"
                ),
            );
        }
        world.answer(style, &json!({ "recipients": recipients }), recipients.join("\n"))?;
        return Ok(());
    }
    let path = match &options.output {
        Some(path) => path.clone(),
        None => world.own_identity_file()?,
    };
    if options.force && path.exists() {
        set_aside(&path, style, world)?;
    }
    let identity = make(&path)?;
    world.note(style, format_args!("made {}; keep it, for nothing opens without it", Shown(&path.to_string_lossy())));
    let recipient = identity.to_string();
    world.answer(style, &json!({ "file": path.to_string_lossy(), "recipient": recipient }), &recipient)?;
    Ok(())
}

/// Moves an identity that is to be replaced to a name of its own: what it opens may still be wanted.
fn set_aside(path: &Path, style: Style, world: &mut World<'_>) -> Result<()> {
    let mut old = path.as_os_str().to_owned();
    old.push(format!(".{}.old", (world.now)()));
    std::fs::rename(path, &old)
        .map_err(|error| bootseal_core::Error::new(Kind::Io, format!("cannot be set aside: {error}")).in_file(path))?;
    world.note(style, format_args!("the identity that was there is now {}", Shown(&old.to_string_lossy())));
    Ok(())
}

/// Makes an identity at `path`, with the folders above it; never over one that is there.
pub(crate) fn make(path: &Path) -> Result<Identity> {
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
    write_private(path, &identity.to_file_text(&[])?).map_err(|failure| match failure.kind() {
        Kind::Exists => Failure::new(
            Kind::Exists,
            format!(
                "{}: exists already, and may be all that opens something; it stays as it is",
                Shown(&path.to_string_lossy())
            ),
        )
        .with_help("Its recipient: bootseal keygen -y FILE. Another one beside it: bootseal keygen -o OTHER; in its place: --force"),
        _ => failure,
    })?;
    Ok(identity)
}
