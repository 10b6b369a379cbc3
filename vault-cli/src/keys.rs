//! Which identities are at hand? Key files, and what is only asked for once it is known that the file wants it.

use crate::cli::Everywhere;
use crate::exit::{Failure, Result};
use crate::world::World;
use bootseal_core::{Identity, IdentityFile, Kind, Pin, VerifiedFile};
use std::path::{Path, PathBuf};

/// Identities at hand, and the pins that their files carry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) identities: Vec<Identity>,
    pub(crate) pins: Vec<Pin>,
    /// Named by `-i` or `BOOTSEAL_IDENTITY`, so they are meant to open.
    pub(crate) named: bool,
}

impl World<'_> {
    /// The user's own identity, in their folder for settings.
    pub(crate) fn own_identity_file(&self) -> Result<PathBuf> {
        let folder = self.user_folder("APPDATA", "XDG_CONFIG_HOME", ".config");
        folder.map(|folder| folder.join("bootseal").join("identity.txt")).ok_or_else(|| {
            Failure::new(Kind::Usage, "neither HOME nor XDG_CONFIG_HOME says where your identity is")
                .with_help("Name a file: -i FILE, or keygen -o FILE")
        })
    }

    /// `-i`, else `BOOTSEAL_IDENTITY`, else the user's own where there is one.
    pub(crate) fn keys(&mut self, everywhere: &Everywhere) -> Result<Keys> {
        let mut keys = Keys { named: true, ..Keys::default() };
        let mut paths = everywhere.identity.clone();
        if paths.is_empty() {
            paths.extend(self.var("BOOTSEAL_IDENTITY").map(PathBuf::from));
        }
        if paths.is_empty() {
            keys.named = false;
            paths.extend(self.own_identity_file().ok().filter(|path| path.exists()));
        }
        for path in paths {
            let file = match path == Path::new("-") {
                true => {
                    self.stdin_taken = true;
                    IdentityFile::from_reader(&mut self.stdin)?
                }
                false => IdentityFile::read(&path)?,
            };
            keys.identities.extend(file.identities);
            keys.pins.extend(file.pins);
        }
        Ok(keys)
    }

    /// Adds to `keys` what this very file asks for; called when it is verified and about to be opened.
    pub(crate) fn unlock(&mut self, _keys: &mut Keys, _file: &VerifiedFile, _everywhere: &Everywhere) -> Result<()> {
        Ok(())
    }
}
