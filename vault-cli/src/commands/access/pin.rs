//! `bootseal access pin`: writes a vault's id into key files, so that nothing else is opened with them.

use crate::cli::{AccessPin, Everywhere};
use crate::context::World;
use crate::trust::keyring::Keys;
use crate::trust::locate::OpenedFile;
use crate::ui::failure::{Exit, Result};
use crate::ui::output::Style;
use bootseal_core::{Pin, Shown};
use serde_json::json;

pub(crate) fn run(
    options: &AccessPin,
    everywhere: &Everywhere,
    style: Style,
    world: &mut World<'_>,
) -> Result<(), Exit> {
    // Nothing is opened, so no key is read: one of them may be what is to be mended.
    let (path, keys) = (world.sealed_file(everywhere)?, Keys::default());
    let pins = world.pins(everywhere, &keys)?;
    let OpenedFile { memory, mut file, .. } = world.find_at(&path, keys, pins, style)?;
    // Through the same door as what takes a secret in: an id that nothing vouches for must not become a pin.
    world.vouch(&mut file, &memory, &path, style)?;
    for path in &options.files {
        Pin::write_into(path, &[file.vault_id().into()])?;
        let shown = Shown(&path.to_string_lossy()).to_string();
        world.note(style, format_args!("{shown} opens {} only, from now on", file.vault_id()));
    }
    if style.json {
        let files: Vec<_> = options.files.iter().map(|path| path.to_string_lossy()).collect();
        world.document(&json!({ "vault": file.vault_id().to_string(), "files": files }))?;
    }
    Ok(())
}
