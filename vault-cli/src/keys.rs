//! Which identities are at hand? Key files, and what is only asked for once it is known that the file wants it.

use crate::cli::Everywhere;
use crate::exit::{Failure, Result};
use crate::prompt::no_answer;
use crate::world::World;
use bootseal_core::{Identity, IdentityFile, Kind, LockedKey, Pin, Plugins, Role, Secret, VerifiedFile};
use std::path::{Path, PathBuf};

/// Identities at hand, and the pins that their files carry.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) identities: Vec<Identity>,
    /// SSH keys whose passphrase was not asked for yet.
    pub(crate) locked: Vec<LockedKey>,
    pub(crate) pins: Vec<Pin>,
    /// Where the programs of plugins may be found.
    pub(crate) plugins: Plugins,
    /// Named by `-i` or `BOOTSEAL_IDENTITY`, so they are meant to open.
    pub(crate) named: bool,
}

impl Keys {
    fn take(&mut self, file: IdentityFile) {
        self.identities.extend(file.identities.into_iter().map(|identity| identity.with_plugins(&self.plugins)));
        self.locked.extend(file.locked);
        self.pins.extend(file.pins);
    }
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

    /// `-i`, else `BOOTSEAL_IDENTITY`, else the user's own where there is one, then their SSH keys.
    pub(crate) fn keys(&mut self, everywhere: &Everywhere) -> Result<Keys> {
        let mut keys = Keys { named: true, plugins: self.plugins()?, ..Keys::default() };
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
            keys.take(file);
        }
        if let (false, Some(home)) = (keys.named, self.var("HOME").or_else(|| self.var("USERPROFILE"))) {
            let folder = PathBuf::from(home).join(".ssh");
            // They are there for something else: one that is of no use here is no mistake.
            let found = ["id_ed25519", "id_rsa"].map(|name| IdentityFile::read(&folder.join(name)));
            found.into_iter().flatten().for_each(|file| keys.take(file));
        }
        Ok(keys)
    }

    /// Adds to `keys` what this very file asks for; called when it is verified and about to be opened.
    pub(crate) fn unlock(&mut self, keys: &mut Keys, file: &VerifiedFile, everywhere: &Everywhere) -> Result<()> {
        for key in keys.locked.clone() {
            let Some(access) = file.access().iter().find(|access| access.recipient == *key.recipient()) else {
                continue;
            };
            let role = file.role_of(&keys.identities);
            // Nobody is asked for what would open no more than what is open already.
            if role != Some(Role::Writer) && role != Some(access.role) {
                let prompt = format!("Passphrase of the SSH key of {}: ", access.name);
                keys.identities.push(key.unlock(&self.passphrase(&prompt, everywhere)?)?);
            }
        }
        Ok(())
    }

    /// One passphrase that is known already: typed once.
    fn passphrase(&mut self, prompt: &str, _everywhere: &Everywhere) -> Result<Secret> {
        self.terminal()?.secret(prompt).map_err(no_answer)
    }
}
